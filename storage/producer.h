/* SPDX-License-Identifier: Apache-2.0 */
/*
 * producer.h - what a partition remembers of idempotent producers (KIP-98, KIP-360).
 *
 * The last five batches of each producer are kept, so that a repeated one is answered with its
 * first offset. Rules as in Apache Kafka's ProducerStateManager and ProducerAppendInfo; for an
 * unknown producer as Kafka 4.5 (KAFKA-15591): any first sequence, but only 0 in a partition that
 * never held a record. The number of producers is bounded: beyond it the one that has been quiet
 * longest is forgotten.
 *
 * Threads: check and put belong to the writer (to recovery before it); copying out too. Files are
 * for control and housekeeping threads.
 */
#ifndef SL_STORAGE_PRODUCER_H
#define SL_STORAGE_PRODUCER_H

#include "layout.h"

#define SL_PRODUCERS_MAX    1024u /* per partition */
#define SL_PRODUCER_BATCHES 5u

struct sl_pbatch {
	int32_t first_seq, last_seq;
	int64_t base_offset;
	int32_t offset_delta; /* last offset - base offset */
	int32_t zero;
	int64_t ts_ms; /* of the batch */
};

struct sl_producer {
	int64_t pid;
	int64_t seen_ms; /* wall clock of its last batch: expiry */
	int16_t epoch;
	uint8_t cnt; /* batches kept, oldest first */
	uint8_t zero;
	uint16_t newer, older; /* by last use; index + 1, 0 none */
	struct sl_pbatch batch[SL_PRODUCER_BATCHES];
};

struct sl_producers; /* one partition's */

/* Virtual memory only until producers come. NULL: no memory. */
struct sl_producers *sl_producers_new(void);
void sl_producers_free(struct sl_producers *ps); /* accepts NULL */
uint32_t sl_producers_cnt(const struct sl_producers *ps);

struct sl_pappend {
	int64_t pid;
	int16_t epoch;
	int32_t base_seq;
	uint32_t records;
	int64_t base_offset;
	int64_t ts_ms;
};

/*
 * 0: append it; -EEXIST: *ret_base is the first one's offset; -EILSEQ: out of order; -ESTALE: an
 * older epoch. `empty`: the partition never held a record.
 */
SL_MUST_CHECK int sl_producers_check(struct sl_producers *ps, const struct sl_pappend *a,
				     bool empty, int64_t now_ms, int64_t expiry_ms,
				     int64_t *ret_base);
/* Remembers an appended batch. Never fails: forgets the quietest producer if it must. */
void sl_producers_put(struct sl_producers *ps, const struct sl_pappend *a, int64_t now_ms);

/* Forgets batches that reach to offset `end` or beyond: the log ends there. */
void sl_producers_truncate(struct sl_producers *ps, int64_t end);

/* Copies all, longest quiet first, into cap places; false if they do not fit. */
bool sl_producers_copy(const struct sl_producers *ps, struct sl_producer *ret_all, uint32_t cap,
		       uint32_t *ret_cnt);

/* Kafka's .snapshot: the last batch of each. Written whole, renamed into place; `sync`: durable. */
SL_MUST_CHECK int sl_snapshot_store(int log_fd, const char *name, const struct sl_producer *all,
				    uint32_t cnt, bool sync);
/* Ours: all batches of each, complete up to `offset`. <data>/state/producers/<topic id>-<n>. */
SL_MUST_CHECK int sl_pstate_store(int producers_fd, const char *name, int64_t offset,
				  const struct sl_producer *all, uint32_t cnt, bool sync);
/* -ENOENT, -EILSEQ: *ps is unchanged. */
SL_MUST_CHECK int sl_snapshot_load(int log_fd, const char *name, struct sl_producers *ps);
SL_MUST_CHECK int sl_pstate_load(int producers_fd, const char *name, struct sl_producers *ps,
				 int64_t *ret_offset);

#endif
