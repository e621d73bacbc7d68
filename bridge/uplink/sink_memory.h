/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_memory.h - a centre in memory, with faults to order, and sinks to it: for unit tests.
 *
 * The centre keeps what Kafka would: topics, transactional ids with epochs, transactions, and knows
 * what a read_committed consumer would see. Nothing happens but in a sink's poll, and there only as
 * much as its pace allows. One thread.
 */
#ifndef SL_BRIDGE_UPLINK_SINK_MEMORY_H
#define SL_BRIDGE_UPLINK_SINK_MEMORY_H

#include "sink.h"

struct mem_centre;
struct mem_sink;

enum mem_rec_state { MEM_OPEN, MEM_COMMITTED, MEM_ABORTED };

struct mem_rec { /* at the centre */
	char topic[SL_TOPIC_NAME_MAX + 1];
	int32_t partition;
	int64_t ts;
	struct sl_slice key, value;
	struct sl_hdr *hdr;
	uint32_t hdr_cnt;
	enum mem_rec_state state;
	uint64_t txn;
	void *mem; /* of all the above */
};

/* What the next end of a transaction, or of an open, comes to: taken in the order of ordering. */
enum mem_fault {
	MEM_COMMIT_LOST,   /* committed, but the answer was lost: FAILED/REBUILD */
	MEM_COMMIT_FATAL,  /* not committed, FAILED/REBUILD */
	MEM_COMMIT_ABORT,  /* FAILED/ABORT without a refusal */
	MEM_COMMIT_RETRY,  /* FAILED/RETRY */
	MEM_COMMIT_TIMEOUT /* the coordinator aborted it before: FAILED/FENCED */
};

struct mem_cfg {             /* of the centre, may be changed at any time */
	uint32_t bytes_max;  /* of a record's value and key: else refused with 10 */
	int64_t ts_max;      /* refused with 32 beyond */
	uint32_t batch;      /* records of a batch */
	uint32_t pace;       /* batches delivered in a poll, 0: all */
	uint32_t window;     /* records that a sink holds */
	uint32_t client_max; /* -EMSGSIZE beyond; 0: none */
	bool denied;         /* topics cannot be made */
	bool up;             /* the link */
};

struct mem_centre *mem_centre_new(void);
void mem_centre_free(struct mem_centre *c);
struct mem_cfg *mem_centre_cfg(struct mem_centre *c);
void mem_centre_order(struct mem_centre *c, enum mem_fault f); /* one more commit fault */
void mem_centre_refuse_opens(struct mem_centre *c, unsigned n, enum sl_sink_class class);
/* A second producer with that gateway's transactional id comes and goes. */
void mem_centre_fence(struct mem_centre *c, const char *gateway);
void mem_centre_topic(struct mem_centre *c, const char *topic, uint32_t partitions);
uint32_t mem_centre_partitions(const struct mem_centre *c, const char *topic); /* 0: none */
/* Gone, with its records; they stay to be counted by the tests. */
void mem_centre_delete(struct mem_centre *c, const char *topic);
/* A record of the positions topic as an operator would write it. val NULL: tombstone */
void mem_centre_put(struct mem_centre *c, const char *topic, const char *key, const char *val);
/* What a read_committed consumer would have seen of a topic, in order of arrival; also of one that
 * was deleted since. */
const struct mem_rec *mem_centre_rec(const struct mem_centre *c, size_t i);
size_t mem_centre_cnt(const struct mem_centre *c);
/* The last committed value of a key, NULL: none. */
const struct mem_rec *mem_centre_last(const struct mem_centre *c, const char *topic,
				      const char *key);
const struct sl_hdr *mem_hdr(const struct mem_rec *r, const char *name); /* the last one, NULL */

struct sl_sink *mem_sink_new(struct mem_centre *c, const char *gateway, const char *positions);
unsigned mem_sink_opens(const struct sl_sink *s); /* how often it was opened */

#endif
