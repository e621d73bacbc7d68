/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.h - segments, partitions and topics as storage sees them.
 *
 * Who changes what
 *   writer       active segment, stripes, published offsets. Takes no lock, makes no blocking call.
 *   housekeeper  the list of segments, files, extents, index files, log start.
 *   readers      take the short list lock and a reference on a segment.
 *
 * Writer and housekeeper talk through `to_hk` and `to_wr`: bits set with release; whoever sets the
 * first bit pushes the partition into the ring of the pair, so it is in a ring at most once.
 */
#ifndef SL_STORAGE_PART_H
#define SL_STORAGE_PART_H

#include <pthread.h>

#include "index.h"
#include "producer.h"
#include "sluice/store.h"
#include "stripe.h"

#define SL_CLOSING_MAX    3u /* rolled segments of a partition that are not synced yet */
#define SL_ROLLED_RING    4u /* > SL_CLOSING_MAX: rolled segments not yet named */
#define SL_UNWRITTEN_MAX  8u /* closed stripes of a partition on their way to the disk */
#define SL_EXTENT_MIN     (1u << 20)
#define SL_EXTENT_MAX     (16u << 20)
#define SL_EXTENT_WRITTEN (4u << 20) /* larger ones are allocated, not written */

/* ---- segments -------------------------------------------------------------------------------- */

enum sl_seg_flag {
	SL_SEG_NAMED = 1,   /* bears its name in the log directory: may be written */
	SL_SEG_DURABLE = 2, /* and the directory is synced: its records may become `synced` */
	SL_SEG_CLOSED = 4,  /* the writer has rolled past it */
	SL_SEG_DONE = 8,    /* written and synced whole: the housekeeper may finish it */
	SL_SEG_FINAL = 16,  /* cut to size, index files written */
	SL_SEG_DEAD = 32,   /* deleted: freed by its last reference */
};

/* Producer state at the moment of a roll, filled by the writer into the housekeeper's memory. */
struct sl_snap {
	uint32_t cap, cnt;
	bool filled;
	struct sl_producer p[];
};

struct sl_seg {
	int64_t base;
	_Atomic uint32_t flags;      /* enum sl_seg_flag */
	_Atomic uint32_t alloc;      /* housekeeper: bytes that have their disk space */
	_Atomic uint32_t size;       /* writer: bytes appended */
	_Atomic uint32_t written;    /* writer: bytes in the file, without a gap */
	_Atomic int64_t max_ts;      /* writer: largest timestamp, -1 none */
	_Atomic int64_t max_ts_off;  /* last offset of the first batch that bears it */
	_Atomic int64_t touched_ms;  /* wall clock of the last append: retention's second opinion */
	int64_t first_ts;            /* writer: of the first batch, -1 none */
	int64_t end;                 /* next offset once CLOSED */
	bool fresh;                  /* the file held nothing older */
	int64_t old_max;             /* highest offset that an earlier life of the file held, -1 */
	int wfd;                     /* for writing; -1 once FINAL */
	struct sl_idx *idx;          /* list lock: NULL once FINAL */
	struct sl_snap *snap;        /* housekeeper's */
	char spare[32];              /* name below state/spare until NAMED */
	unsigned refs;               /* list lock */
	struct sl_seg *next_closing; /* writer */
};

SL_INLINE uint32_t sl_seg_flags(const struct sl_seg *g)
{
	return atomic_load_explicit(&g->flags, memory_order_acquire);
}
SL_INLINE void sl_seg_flag(struct sl_seg *g, uint32_t f)
{
	atomic_fetch_or_explicit(&g->flags, f, memory_order_release);
}
SL_INLINE uint32_t sl_seg_size(const struct sl_seg *g)
{
	return atomic_load_explicit(&g->size, memory_order_acquire);
}

/* wfd -1, no index. NULL: no memory. */
struct sl_seg *sl_seg_new(int64_t base);
void sl_seg_free(struct sl_seg *g); /* closes what is open; accepts NULL */
/* Counts a batch: maximum timestamp and index. The writer, or recovery. */
void sl_seg_note(struct sl_seg *g, uint32_t interval, const uint8_t *batch, uint32_t pos,
		 uint32_t total);

/* ---- partitions ------------------------------------------------------------------------------ */

enum sl_to_hk {
	SL_HK_EXTEND = 1,
	SL_HK_SPARE = 2,
	SL_HK_ROLLED = 4,
	SL_HK_DONE = 8,
	SL_HK_FAILED = 16, /* a write or sync failed: to be said */
	SL_HK_GONE = 32,   /* deleted: the last thing that the writer does with it */
};
enum sl_to_wr {
	SL_WR_LOOK = 1,
	SL_WR_ROLL = 2,
	SL_WR_SYNC = 4,  /* somebody waits for `synced` */
	SL_WR_LEAVE = 8, /* deleted: let go of it and answer SL_HK_GONE; nothing is told after it */
};

#define SL_NO_SLOT UINT32_MAX

struct sl_round_part;

struct sl_run { /* of offsets: [from, to) */
	int64_t from, to;
};

struct sl_epoch {
	int32_t epoch;
	int64_t start; /* offset of its first record */
};

struct sl_part {
	struct sl_part_pub pub; /* first: store.h */

	/* constant */
	struct sl_store *store;
	struct sl_store_writer *w;
	struct sl_pool *pool;
	uint32_t journal_slot; /* SL_NO_SLOT: none */
	char dir[SL_PARTDIR_MAX];
	struct sl_epoch *epoch; /* as of this start, rising; NULL with count 0: epoch 0 from 0 */
	uint32_t epoch_cnt;

	/* between threads */
	_Atomic uint32_t to_hk SL_ALIGNED(SL_CACHELINE);
	_Atomic uint32_t to_wr;
	_Atomic uint32_t need;           /* bytes that the active segment must have next */
	_Atomic(struct sl_seg *) spare;  /* housekeeper gives, writer takes */
	_Atomic(struct sl_seg *) active; /* writer stores */
	_Atomic sl_sref tail;            /* writer stores: newest stripe */
	_Atomic uint32_t extent_low;     /* housekeeper: ask for more below this much room */
	_Atomic(struct sl_seg *) rolled[SL_ROLLED_RING];
	_Atomic uint32_t rolled_in, rolled_out;

	/* the writer */
	struct sl_stripe *tail_st SL_ALIGNED(SL_CACHELINE);
	struct sl_stripe *unw_head, *unw_tail; /* not clean yet, in order, the open one last */
	uint32_t unw_closed;
	uint64_t unw_closed_bytes;
	uint8_t cls; /* stripe class that suits its rate */
	bool in_dirty, in_want;
	bool held, held_want;        /* waits for durable names; somebody waits for it */
	int64_t end_abs;             /* bytes appended in this life */
	int64_t written_abs;         /* of them in the file without a gap */
	struct sl_round_part *round; /* being synced */
	uint64_t journal_seq;
	uint64_t dirty_ns, want_ns;
	struct sl_part *dirty_next, *want_next;
	struct sl_seg *closing, **closing_tail;
	uint32_t closing_cnt;
	struct sl_producers *producers;
	uint8_t *tail_blk; /* SL_IO_BLOCK: unfinished last block without a stripe */
	struct sl_part *leave_next;
	bool letting_go;

	/* list lock */
	pthread_mutex_t lock SL_ALIGNED(SL_CACHELINE);
	struct sl_seg **segs;
	uint32_t seg_cnt, seg_cap;
	struct sl_run dead[SL_DEAD_LETTERS_KEPT]; /* dead letters, rising; a ring */
	uint64_t dead_cnt;                        /* ever; the newest is at dead_cnt - 1 */
	struct sl_run unsent;                     /* last stretch that went before it was sent */

	/* the housekeeper */
	uint32_t pending; /* enum sl_to_hk bits that must be tried again */
	bool pending_listed;
	bool pending_space; /* one of them failed for want of space */
	uint32_t extent;    /* bytes of the next extent */
	uint64_t extent_ns; /* when the last one was made */
	struct sl_part *pending_next;
	bool left; /* its writer was told to let go of it: nothing more is said to it */
};

SL_INLINE struct sl_part_pub *sl_part_pubw(struct sl_part *p)
{
	return &p->pub;
}

/* A partition without segments. NULL: no memory. Control. */
struct sl_part *sl_part_new(struct sl_store *s, struct sl_topic *t, int32_t id);
void sl_part_free(struct sl_part *p); /* accepts NULL */
/* Adds at the end of the list. Takes the lock. */
SL_MUST_CHECK int sl_part_add_seg(struct sl_part *p, struct sl_seg *g);
/* The segment that holds offset (or the next one after a gap), referenced; *ret_next: base of the
 * one behind it, or -1. NULL: none. Takes the lock. */
struct sl_seg *sl_part_seg_get(struct sl_part *p, int64_t offset, int64_t *ret_next);
void sl_part_seg_put(struct sl_part *p, struct sl_seg *g);
/* DISK_FULL, and back to OK from DISK_FULL only. Any thread. */
void sl_part_set_state(struct sl_part *p, enum sl_part_state from, enum sl_part_state to);
/* FAILED, for good. False if it was before, or is deleted. Any thread. */
bool sl_part_fail(struct sl_part *p);
/* DELETED, for good. Control or worker, once. */
void sl_part_delete(struct sl_part *p);

/* FAILED or DELETED: nothing more is written to its files. Any thread. */
SL_INLINE bool sl_part_dead(const struct sl_part *p)
{
	enum sl_part_state s = sl_part_state(p);

	return s == SL_PART_FAILED || s == SL_PART_DELETED;
}

/* ---- topics ---------------------------------------------------------------------------------- */

#define SL_TOPIC_GROWTHS 13u /* doublings of the array up to SL_PARTITIONS_MAX */

/*
 * Partitions are added, never taken away while the topic is known. Readers load the count, then the
 * array: a new array is stored before the count that needs it, and an old one stays until the topic
 * is freed.
 */
struct sl_topic {
	char name[SL_TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	struct sl_store *store;
	bool internal; /* "__...": neither retention nor the budget takes its segments */
	_Atomic bool deleted;
	_Atomic uint32_t refs;
	_Atomic uint32_t part_cnt;
	_Atomic(struct sl_part **) part;
	uint32_t part_cap;                           /* create lock */
	struct sl_part **outgrown[SL_TOPIC_GROWTHS]; /* create lock */
	uint32_t outgrown_cnt;
	pthread_mutex_t lock; /* layers, cfg */
	struct sl_topic_layers layers;
	struct sl_topic_cfg cfg; /* in force */
	bool unlayered;          /* its own layer comes from a file without masks: state.md */
	/* what the writer needs on every append, without the lock */
	_Atomic int64_t segment_bytes, segment_ms;
	_Atomic int32_t max_message_bytes, index_interval;
	/* the housekeeper, once it is deleted */
	uint32_t staying; /* partitions whose writer has not let go */
	struct sl_topic *trash_next;
};

SL_INLINE uint32_t sl_topic_cnt(const struct sl_topic *t)
{
	return atomic_load_explicit(&t->part_cnt, memory_order_acquire);
}
/* i < sl_topic_cnt(), or the caller made it. */
SL_INLINE struct sl_part *sl_topic_at(const struct sl_topic *t, uint32_t i)
{
	return atomic_load_explicit(&t->part, memory_order_acquire)[i];
}

/* With one reference, with room for `parts` partitions and without any. NULL: no memory. Control.
 */
struct sl_topic *sl_topic_new(struct sl_store *s, const char *name, const uint8_t id[16],
			      uint32_t parts, const struct sl_topic_layers *layers);
void sl_topic_free(struct sl_topic *t); /* and its partitions; accepts NULL and half-built */
/* Room for `parts`; the array may move. -ENOMEM. Under the create lock. */
SL_MUST_CHECK int sl_topic_reserve(struct sl_topic *t, uint32_t parts);
/* Partition `i`, seen by nobody until it is counted. Under the create lock. */
void sl_topic_put_part(struct sl_topic *t, uint32_t i, struct sl_part *p);
/* Both layers, at once in force. Any thread. */
void sl_topic_layers_put(struct sl_topic *t, const struct sl_topic_layers *layers);
bool sl_topic_cfg_valid(const struct sl_topic_cfg *cfg);
bool sl_topic_layers_valid(const struct sl_topic_layers *layers);

#endif
