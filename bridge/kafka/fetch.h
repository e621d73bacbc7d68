/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - a Fetch under way: collecting stored batches until there are enough (min_bytes), the
 * answer is full, something is wrong or the time is up (max_wait).
 *
 * What has been copied is kept while it waits and is never read twice. A turn copies at most
 * SL_KFETCH_TURN_BYTES for one fetch, so that a large one does not hold up the others; what is not
 * in memory is read by a worker. Memory for batches is taken within the listener's budget only,
 * beyond it by one connection, for its first batch: an answer that cannot grow goes out as it is,
 * and one that cannot begin waits for memory, up to SL_KFETCH_HUNGRY_MS beyond its time. The
 * request's frame is not kept. Network thread.
 */
#ifndef SL_BRIDGE_KAFKA_FETCH_H
#define SL_BRIDGE_KAFKA_FETCH_H

#include "conn.h"

#define SL_KFETCH_TURN_BYTES  (1u << 20)
#define SL_KFETCH_CHUNK       (256u << 10) /* memory for batches is taken in such pieces */
#define SL_KFETCH_COLD_CHUNK  (512u << 10) /* and in larger ones for what comes from the disk */
#define SL_KFETCH_BYTES_MAX   (16u << 20)  /* of one answer, whatever the client allows */
#define SL_KFETCH_WAIT_MAX_MS 300000       /* max_wait, whatever the client asks for */
#define SL_KFETCH_HUNGRY_MS   1000 /* then an answer without batches: the client asks again */

struct sl_kfetch_seg { /* stored batches of one partition, in order */
	const uint8_t *p;
	uint32_t len;
	uint32_t next; /* index + 1 of the partition's next piece, 0: none */
};

struct sl_kfetch_part {
	struct sl_part *part; /* NULL with err */
	int32_t index;
	uint32_t topic;
	int32_t max_bytes; /* as asked for */
	int16_t err;
	bool full;                    /* no more of it in this answer */
	int64_t next;                 /* offset to read from */
	uint32_t got;                 /* bytes */
	uint32_t seg_first, seg_last; /* index + 1 */
};

struct sl_kfetch_topic {
	struct sl_slice name; /* copied: behind parts */
	uint32_t part_cnt;
};

struct sl_kfetch {
	struct sl_kreq *req;
	TAILQ_ENTRY(sl_kfetch) link; /* in parked, fetching, cold or hungry */
	struct sl_kfetch_list *list; /* which one, NULL: none */
	struct sl_timer timer;       /* while parked or hungry */
	uint32_t hungry_for;         /* bytes that memory was too short for; 0: none */
	struct sl_job job;
	struct sl_read job_read;
	int job_err;
	bool job_out;   /* with a worker */
	bool cancelled; /* the peer left meanwhile */
	bool at_once;   /* an error: do not wait */
	uint8_t isolation;
	int16_t err; /* of the whole answer */
	int32_t min_bytes, max_bytes;
	uint64_t deadline_ns;
	uint32_t at; /* partition to go on with */
	uint64_t total;
	struct sl_kfetch_seg *seg;
	uint32_t seg_cnt, seg_cap;
	uint32_t topic_cnt, part_cnt;
	struct sl_kfetch_topic *topics;
	struct sl_kfetch_part *parts;
	uint8_t *names; /* where the next topic's name is copied to */
};

/* Goes on from f->at; answers, parks or hands over. f may be gone afterwards. */
void sl_kfetch_run(struct sl_kfetch *f);
/* The peer has left. */
void sl_kfetch_cancel(struct sl_kreq *r);

/* Ends it with the answer that is there (api_fetch.c). */
void sl_kfetch_answer(struct sl_kfetch *f);
void sl_kfetch_free(struct sl_kfetch *f);

#endif
