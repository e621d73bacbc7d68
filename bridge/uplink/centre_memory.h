/* SPDX-License-Identifier: Apache-2.0 */
/*
 * centre_memory.h - what the centre in memory keeps, for its two halves: the centre itself
 * (centre_memory.c) and the sinks to it (sink_memory.c). Tests see sink_memory.h.
 */
#ifndef SL_BRIDGE_UPLINK_CENTRE_MEMORY_H
#define SL_BRIDGE_UPLINK_CENTRE_MEMORY_H

#include "sink_memory.h"

#define MEM_TOPICS_MAX 64
#define MEM_IDS_MAX    8
#define MEM_FAULTS_MAX 4096

struct mem_topic {
	char name[SL_TOPIC_NAME_MAX + 1];
	uint32_t partitions;
};

struct mem_id { /* a transactional id */
	char gateway[SL_CFG_NAME_MAX];
	unsigned epoch;
	uint64_t open; /* transaction, 0: none */
};

struct mem_centre {
	struct mem_cfg cfg;
	struct mem_topic topic[MEM_TOPICS_MAX];
	unsigned topic_cnt;
	struct mem_id id[MEM_IDS_MAX];
	unsigned id_cnt;
	struct mem_rec *rec;
	size_t rec_cnt, rec_cap;
	uint64_t next_txn;
	enum mem_fault fault[MEM_FAULTS_MAX];
	unsigned fault_cnt, fault_at;
	unsigned refuse_opens;
	enum sl_sink_class refuse_class;
};

/* Takes what r holds. */
void mem_centre_append(struct mem_centre *c, const struct mem_rec *r);
/* What the id has open, as a coordinator does for a newer epoch. */
void mem_centre_abort(struct mem_centre *c, struct mem_id *id);
/* Made at its first use. */
struct mem_id *mem_centre_id(struct mem_centre *c, const char *gateway);
/* A deep copy in one piece of memory. */
void mem_rec_copy(struct mem_rec *to, const struct sl_sink_rec *r);
/* All records of a transaction. */
void mem_centre_end(struct mem_centre *c, uint64_t txn, enum mem_rec_state state);
/* NULL: there is none. */
struct mem_topic *mem_centre_find(const struct mem_centre *c, const char *name);

#endif
