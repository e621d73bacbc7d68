/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_batch.h - the open Kafka batches of one ingest lcore: one per partition at most.
 *
 * Concepts
 *   batch   one element of this lcore's bounded pool: a struct sl_append and the bytes it hands
 *           over. It is free, open (being filled), or under way to a writer and back.
 *   slot    one partition as this lcore sees it: its open batch, if any, and where it goes.
 *
 * A batch is closed when the next record does not fit, when it is older than the linger, or when
 * the caller says so (idleness). Closing writes header and CRC and hands it to the partition's
 * writer. The pool is last in, first out, so that in health only a few batches are in use and stay
 * in the cache, however large the pool is. A record too large for a batch of the pool goes alone
 * into one of a few large elements.
 *
 * Nothing waits and nothing is allocated after init. One thread after init. The structs are
 * visible to be inlined.
 */
#ifndef SL_DATAPLANE_OPEN_BATCH_H
#define SL_DATAPLANE_OPEN_BATCH_H

#include "handoff.h"
#include "platform/record/frame.h"
#include "sluice/counters.h"
#include "sluice/store.h"

#define SL_OB_BATCH_MIN 2048u
#define SL_OB_BATCH_MAX (1u << 20)
#define SL_OB_LARGE_CNT 32u
/* Room beside key, value and headers that any record fits in: see sl_bb_bound(). */
#define SL_OB_SLACK 256u

struct sl_batch {
	struct sl_append app; /* first: what crosses the ring */
	struct sl_bb bb;
	uint8_t *mem;
	uint32_t mem_len;
	uint32_t slot;                  /* while open */
	struct sl_batch *older, *newer; /* while open: by age */
	uint64_t due_ns;                /* while open: the linger ends */
	bool large;
} SL_ALIGNED(SL_CACHELINE);

/* What every partition of a topic has in common, for this lcore. */
struct sl_ob_topic {
	const _Atomic uint32_t *max_bytes; /* max.message.bytes; control thread writes */
	uint32_t first_slot;
	uint32_t partitions;
	uint32_t sticky; /* partition that records without a key go to now */
};

struct sl_ob_slot {
	struct sl_batch *open; /* NULL: none */
	struct sl_part *part;
	uint32_t topic;
	uint16_t writer;
};

struct sl_ob {
	struct sl_ob_slot *slot;
	struct sl_ob_topic *topic;
	struct sl_batch **free; /* stack */
	uint32_t free_cnt, cnt;
	struct sl_batch *large_free[SL_OB_LARGE_CNT];
	uint32_t large_free_cnt, large_cnt;
	struct sl_batch *oldest, *newest; /* open ones */
	uint64_t linger_ns;
	uint64_t *accepted;         /* counted before a record can leave this lcore */
	uint64_t records;           /* in open batches */
	uint64_t handed, batches;   /* records and batches given to writers, ever */
	uint64_t rung;              /* a bit per writer that was given something: caller clears */
	struct sl_handoff *handoff; /* one per writer */
	uint32_t writers, slots, topics;
	struct sl_batch *all; /* cnt + large_cnt elements */
	uint8_t *mem;
};
_Static_assert(SL_STORE_WRITERS_MAX <= 64, "a bit per writer");

struct sl_ob_cfg {
	struct sl_topic *const *topic; /* those this lcore's listeners write to */
	const _Atomic uint32_t *const *topic_max_bytes;
	uint32_t topic_cnt;
	struct sl_handoff *handoff; /* one per writer, depth >= batch_cnt + SL_OB_LARGE_CNT */
	uint32_t writers;
	uint32_t batch_bytes; /* SL_OB_BATCH_MIN .. _MAX */
	uint32_t batch_cnt;   /* more than there are partitions */
	uint32_t large_bytes; /* 0: no datagram can be larger than a batch */
	uint64_t linger_ns;
	uint64_t *accepted;                         /* the lcore's counter of SL_FR_ACCEPTED */
	void *(*alloc)(size_t bytes, size_t align); /* zeroed; NULL: the heap */
	void (*release)(void *p);
};

/* -EINVAL, -ENOMEM. Control. */
SL_MUST_CHECK int sl_ob_init(struct sl_ob *ob, const struct sl_ob_cfg *cfg);
/* Batches that are not back from a writer are gone with it: stop writers first. NULL, zeroed. */
void sl_ob_fini(struct sl_ob *ob, void (*release)(void *p));
/* Memory that init takes for its buffers. */
uint64_t sl_ob_bytes(const struct sl_ob_cfg *cfg);

/* Closes the open batch of a slot and hands it over. */
void sl_ob_close(struct sl_ob *ob, struct sl_ob_slot *s);
void sl_ob_close_due(struct sl_ob *ob, uint64_t now_ns);
/* At most n of the oldest; returns how many. */
uint32_t sl_ob_close_oldest(struct sl_ob *ob, uint32_t n);
/* Takes back what writers returned. Returns free elements. */
uint32_t sl_ob_reap(struct sl_ob *ob);

/* When the next batch is due, monotonic ns; UINT64_MAX: none is open. */
SL_INLINE uint64_t sl_ob_deadline(const struct sl_ob *ob)
{
	return ob->oldest ? ob->oldest->due_ns : UINT64_MAX;
}

/* The rest of sl_ob_add(): opens a batch, or a large one for this record alone. */
enum sl_frame_row sl_ob_add_slow(struct sl_ob *ob, struct sl_ob_slot *s, uint64_t now_ns,
				 int64_t ts_ms, struct sl_slice key, struct sl_slice val,
				 const struct sl_hdr *h, unsigned nh);

/*
 * Frames one record into the slot's open batch. SL_FR_ACCEPTED, SL_FR_RING_FULL (no free batch:
 * writers lag), SL_FR_REFUSED_TOO_LARGE (beyond max.message.bytes). Copies, keeps no pointer.
 */
SL_INLINE enum sl_frame_row sl_ob_add(struct sl_ob *ob, struct sl_ob_slot *s, uint64_t now_ns,
				      int64_t ts_ms, struct sl_slice key, struct sl_slice val,
				      const struct sl_hdr *h, unsigned nh)
{
	if (sl_likely(s->open && sl_bb_add(&s->open->bb, ts_ms, key, val, h, nh))) {
		ob->records++;
		sl_ctr_add(ob->accepted, 1);
		return SL_FR_ACCEPTED;
	}
	return sl_ob_add_slow(ob, s, now_ns, ts_ms, key, val, h, nh);
}

SL_INLINE void sl_ob_prefetch(const struct sl_ob_slot *s)
{
	if (s->open) {
		const uint8_t *p = s->open->bb.buf + s->open->bb.len;
		__builtin_prefetch(p, 1);
		__builtin_prefetch(p + SL_CACHELINE, 1);
	}
}

#endif
