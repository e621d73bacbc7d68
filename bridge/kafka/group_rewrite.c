/* SPDX-License-Identifier: Apache-2.0 */
/* group_rewrite.c - shortening a partition of __consumer_offsets: group_log.h says how. */
#include <errno.h>
#include <stdlib.h>

#include "groups.h"

#define LIVE_FACTOR 4 /* what has been written since must be so many times what lives */

static void rewrite_done(struct sl_glog_write *w, int16_t err)
{
	(void)err;
	free(w);
}

void sl_glog_maybe_rewrite(struct sl_glog_part *p)
{
	uint64_t live;

	if (p->step != SL_GLOG_IDLE)
		return;
	live = sl_kgroups_live_bytes(p->groups, p->index) * LIVE_FACTOR;
	if (p->bytes >= live)
		p->step = SL_GLOG_FREEZE;
	else
		p->check_at = live;
}

/* Takes the batch. */
static int add_batch(void *arg, struct sl_gbatch *b)
{
	struct sl_glog_part *p = arg;
	struct sl_glog_write *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->batch = *b;
	w->done = rewrite_done;
	w->sync = true; /* in no hurry, but the deletion waits for it */
	p->rewrite_left++;
	sl_glog_submit(&p->groups->log, p->index, w);
	return 0;
}

static void end_rewrite(struct sl_glog_part *p, bool good)
{
	p->step = SL_GLOG_IDLE;
	p->check_at = SL_GLOG_REWRITE_BYTES;
	p->bytes = 0; /* after a failure too: not again at once */
	if (good)
		sl_kcount(&p->groups->counters.compactions, 1);
}

static void begin_write(struct sl_glog_part *p)
{
	p->step = SL_GLOG_WRITE;
	p->rewrite_left = 0;
	p->rewrite_failed = false;
	p->rewrite_first = p->rewrite_end = -1;
	p->bytes = 0;
	if (sl_kgroups_snapshot(p->groups, p->index, add_batch, p))
		p->rewrite_failed = true;
	if (p->rewrite_left == 0 && !p->rewrite_failed) /* nothing lives: all may go */
		p->rewrite_first = p->rewrite_end = sl_part_end(p->part);
}

static void job_run(struct sl_job *j, void *worker)
{
	struct sl_glog_part *p = SL_CONTAINER_OF(j, struct sl_glog_part, job);
	int64_t start;

	(void)worker;
	p->job_err = sl_store_delete_records(p->groups->server->cfg.store, p->part,
					     p->rewrite_first, &start);
}

static void job_done(struct sl_job *j)
{
	struct sl_glog_part *p = SL_CONTAINER_OF(j, struct sl_glog_part, job);

	if (p->job_err)
		sl_log(SL_LOG_WARN, "kafka", "%s-%u: deleting up to %lld: %s", SL_OFFSETS_TOPIC,
		       p->index, (long long)p->rewrite_first, strerror(-p->job_err));
	end_rewrite(p, !p->job_err);
}

static bool synced(const struct sl_glog_part *p)
{
	return sl_part_synced(p->part) >= p->rewrite_end;
}

bool sl_glog_rewrite_turn(struct sl_glog_part *p)
{
	switch (p->step) {
	case SL_GLOG_IDLE:
	case SL_GLOG_DELETE:
		return false;
	case SL_GLOG_FREEZE:
		if (p->out)
			return false;
		begin_write(p);
		return true;
	case SL_GLOG_WRITE:
		if (p->rewrite_left)
			return false;
		p->step = SL_GLOG_SYNC;
		__attribute__((fallthrough));
	case SL_GLOG_SYNC:
		if (p->rewrite_failed || sl_part_state(p->part) == SL_PART_FAILED) {
			end_rewrite(p, false);
			return true;
		}
		if (!synced(p))
			return false;
		p->job = (struct sl_job){.run = job_run, .done = job_done};
		if (sl_pool_submit(p->groups->server->pool, &p->job))
			return false; /* the next turn tries again */
		p->step = SL_GLOG_DELETE;
		return true;
	}
	return false;
}
