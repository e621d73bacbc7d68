/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offsets.h - the committed offsets of all groups, in memory: a table by (group, topic, partition)
 * and, per group, a list.
 *
 * Pure: what is kept here has been stored in the log already. One thread.
 */
#ifndef SL_BRIDGE_KAFKA_OFFSETS_H
#define SL_BRIDGE_KAFKA_OFFSETS_H

#include <sys/queue.h>

#include "sluice/wire.h"

struct sl_offset {
	struct sl_offset *next; /* of its bucket */
	TAILQ_ENTRY(sl_offset) link;
	const struct sl_offset_list *list;
	int64_t offset;
	int64_t commit_ms;
	int64_t expire_ms; /* -1: by the broker's retention */
	int32_t leader_epoch;
	int32_t partition;
	struct sl_slice topic, metadata; /* within the same piece of memory; never null */
};

struct sl_offset_list {              /* a group's; zeroed, then sl_offset_list_init() */
	TAILQ_HEAD(, sl_offset) all; /* in no particular order */
	uint32_t cnt;
	uint64_t bytes; /* of the records that hold them, without the group's name */
};
void sl_offset_list_init(struct sl_offset_list *l);

struct sl_offsets {
	struct sl_offset **bucket;
	uint32_t mask, cnt, max;
	uint32_t seed;
};

/* At most `max` offsets. -ENOMEM. */
SL_MUST_CHECK int sl_offsets_init(struct sl_offsets *o, uint32_t max, uint32_t seed);
void sl_offsets_fini(struct sl_offsets *o); /* accepts zeroed; all lists are empty */

struct sl_offset *sl_offsets_find(const struct sl_offsets *o, const struct sl_offset_list *l,
				  struct sl_slice topic, int32_t partition);
/* Sets what `v` says (link, list and next aside). -ENOSPC: beyond max; -ENOMEM. */
SL_MUST_CHECK int sl_offsets_set(struct sl_offsets *o, struct sl_offset_list *l,
				 const struct sl_offset *v);
void sl_offsets_del(struct sl_offsets *o, struct sl_offset_list *l, struct sl_offset *x);
void sl_offsets_del_all(struct sl_offsets *o, struct sl_offset_list *l);
/* The list by topic and partition, in an array that the caller frees; NULL: no memory or none. */
const struct sl_offset **sl_offsets_sorted(const struct sl_offset_list *l);

#endif
