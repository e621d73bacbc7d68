/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store.h - a log in memory behind the functions of sluice/store.h that the data plane calls.
 *
 * Every appended batch is checked in full and copied. Knobs make it refuse, be busy or be slow to
 * drain; they may be turned while writers run.
 */
#ifndef SL_DATAPLANE_TEST_STORE_H
#define SL_DATAPLANE_TEST_STORE_H

#include "platform/record/check.h"
#include "sluice/counters.h"
#include "sluice/store.h"

#define TS_TOPICS 4

struct ts_batch {
	struct sl_append app;
	uint8_t *bytes;
};

struct sl_part {
	struct sl_part_pub pub; /* first */
	struct ts_batch *batch; /* in the order of appending; its writer writes */
	uint32_t cnt, cap;
};

struct sl_topic {
	int refs; /* held by the code under test */
	char name[32];
	uint32_t parts;
	struct sl_part *part;
	struct sl_topic_cfg cfg;
};

struct sl_store_writer {
	struct sl_store *store;
	unsigned idx;
	int efd;
	bool attached;
	uint64_t tries, polls;
};

struct sl_store {
	struct sl_topic topic[TS_TOPICS];
	unsigned topics, writers;
	struct sl_store_writer writer[SL_STORE_WRITERS_MAX];
	struct sl_counters *counters;
	/* knobs */
	_Atomic bool busy;           /* every append: -EAGAIN */
	_Atomic unsigned busy_every; /* every nth append: -EAGAIN once */
	_Atomic int refuse;          /* every append: this error, for good */
	int attach_rc, drain_rc;
};

struct sl_store *ts_new(unsigned writers, struct sl_counters *ctr);
void ts_free(struct sl_store *s);
/* Partition p belongs to writer p mod writers. */
struct sl_topic *ts_topic(struct sl_store *s, const char *name, uint32_t parts, int32_t max_bytes);
/* Not found any more; its partitions refuse. Its memory stays until ts_free(). */
void ts_delete(struct sl_topic *t);
/* Walks all records of a partition in order; returns their number. fn may be NULL. */
uint64_t ts_walk(const struct sl_part *p, void (*fn)(const struct sl_record *r, void *arg),
		 void *arg);
uint64_t ts_records(const struct sl_topic *t);
uint32_t ts_batches(const struct sl_topic *t);

#endif
