/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_log.h - writing to __consumer_offsets, and keeping it short.
 *
 * A write is one record batch for one partition. Writes of a partition are logged in the order in
 * which they were submitted; each is applied to memory (sl_kgroups_apply()) at that moment.
 *
 * Shortening. There is no compaction in the log, so a partition that has grown beyond
 * SL_GLOG_REWRITE_BYTES and four times its live state is rewritten:
 *
 *   freeze   new writes wait; those under way come back: memory is what the log says
 *   write    all live state is appended anew; the writes that waited follow it
 *   sync     until a completed sync covers it
 *   delete   everything before the first of the new records, by a worker
 *
 * A crash before the deletion leaves both copies, which say the same; the deletion itself is the
 * store's, durable in one step.
 *
 * Network thread.
 */
#ifndef SL_BRIDGE_KAFKA_GROUP_LOG_H
#define SL_BRIDGE_KAFKA_GROUP_LOG_H

#include <sys/queue.h>

#include "codec.h"
#include "platform/net/pool.h"
#include "platform/net/timer.h"
#include "platform/record/frame.h"
#include "server.h"

#define SL_GLOG_REWRITE_BYTES (4u << 20)
#define SL_GLOG_BATCH_BYTES   (256u << 10) /* of a rewrite's batches, about */
#define SL_GLOG_SYNC_MS       5000         /* offsets.commit.timeout.ms */

struct sl_kgroups;
struct sl_kgroup;

/* A batch that grows; errors (no memory, larger than a log takes) are sticky. Zeroed is empty. */
struct sl_gbatch {
	struct sl_bb bb;
	struct sl_kw key, value; /* scratch for one record */
	bool bad;
	bool too_large;
};
/* The record is what key and value hold; with `tombstone` its value is null. Empties both. */
void sl_gbatch_add(struct sl_gbatch *b, int64_t ts_ms, bool tombstone);
void sl_gbatch_fini(struct sl_gbatch *b); /* accepts zeroed */

struct sl_glog_write {
	struct sl_kappend append;
	STAILQ_ENTRY(sl_glog_write) link;
	TAILQ_ENTRY(sl_glog_write) sync_link;
	struct sl_timer timer;
	struct sl_kgroups *groups;
	struct sl_kgroup *group; /* NULL: a rewrite's */
	struct sl_gbatch batch;
	bool sync; /* done only when synced */
	int err;
	void (*done)(struct sl_glog_write *w, int16_t err);
};
STAILQ_HEAD(sl_glog_queue, sl_glog_write);
TAILQ_HEAD(sl_glog_waiters, sl_glog_write);

enum sl_glog_step { SL_GLOG_IDLE, SL_GLOG_FREEZE, SL_GLOG_WRITE, SL_GLOG_SYNC, SL_GLOG_DELETE };

struct sl_glog_part {
	struct sl_part *part;
	struct sl_kgroups *groups;
	uint32_t index;
	struct sl_glog_queue queue;   /* not injected yet */
	struct sl_glog_queue rewrite; /* batches of the rewrite, before those */
	uint32_t out;                 /* injected and not back */
	uint64_t bytes;               /* appended since the last rewrite */
	uint64_t check_at;            /* look at `bytes` when they are as many */
	/* the rewrite under way */
	enum sl_glog_step step;
	uint32_t rewrite_left; /* batches that are not back */
	bool rewrite_failed;
	int64_t rewrite_first, rewrite_end; /* offsets */
	struct sl_job job;
	int job_err;
};

struct sl_glog {
	struct sl_topic *topic; /* referenced; NULL: not open */
	uint32_t part_cnt;
	struct sl_glog_part *part;
	struct sl_glog_waiters waiters; /* for synced */
	struct sl_glog_queue failed;    /* before they reached the log: their end is told later */
	uint32_t writes;                /* submitted and not done */
};

/* Takes the reference. -ENOMEM. */
SL_MUST_CHECK int sl_glog_open(struct sl_glog *l, struct sl_kgroups *ks, struct sl_topic *t);
void sl_glog_close(struct sl_glog *l); /* nothing is under way; accepts one not open */
void sl_glog_submit(struct sl_glog *l, uint32_t partition, struct sl_glog_write *w);
/* Moves on what can move. True: something did. */
bool sl_glog_turn(struct sl_glog *l);
bool sl_glog_waits(const struct sl_glog *l);
/* What waits for synced, and what has not been injected, ends now. */
void sl_glog_give_up(struct sl_glog *l);

/* group_rewrite.c */
void sl_glog_maybe_rewrite(struct sl_glog_part *p);
bool sl_glog_rewrite_turn(struct sl_glog_part *p); /* true: something moved */

#endif
