/* SPDX-License-Identifier: Apache-2.0 */
#include "group_log.h"

#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "groups.h"

#define FIRST_CAP 1024u /* of a batch */

/* ---- batches --------------------------------------------------------------------------------- */

static bool batch_room(struct sl_gbatch *b, uint32_t need)
{
	struct sl_bb *bb = &b->bb;
	uint64_t want = (uint64_t)(bb->buf ? bb->len : SL_BATCH_HDR) + need;
	uint32_t cap = bb->buf ? bb->cap : FIRST_CAP;

	if (want > SL_BATCH_MAX_BYTES) {
		b->too_large = b->bad = true;
		return false;
	}
	if (bb->buf && want <= bb->cap)
		return true;
	while (cap < want)
		cap *= 2;
	uint8_t *p = realloc(bb->buf, cap);
	if (!p) {
		b->bad = true;
		return false;
	}
	if (bb->buf) {
		bb->buf = p;
		bb->cap = cap;
	} else {
		sl_bb_init(bb, p, cap);
	}
	return true;
}

void sl_gbatch_add(struct sl_gbatch *b, int64_t ts_ms, bool tombstone)
{
	struct sl_slice key = {b->key.buf, b->key.len}, value = {NULL, 0};

	if (!tombstone)
		value = (struct sl_slice){b->value.buf, b->value.len};
	b->bad |= b->key.bad || b->value.bad;
	if (!b->bad && batch_room(b, sl_bb_bound(key.len, value.len, NULL, 0))) {
		bool ok = sl_bb_add(&b->bb, ts_ms, key, value, NULL, 0);
		SL_ASSERT(ok);
	}
	b->key.len = b->value.len = 0;
}

void sl_gbatch_fini(struct sl_gbatch *b)
{
	free(b->bb.buf);
	sl_kw_fini(&b->key);
	sl_kw_fini(&b->value);
	*b = (struct sl_gbatch){0};
}

/* ---- the end of a write ---------------------------------------------------------------------- */

/* As Kafka maps what an append said into what a group request is answered. */
static int16_t kerr_of_write(int err)
{
	switch (err) {
	case 0:
		return 0;
	case -EMSGSIZE:
		return SL_KERR_INVALID_COMMIT_OFFSET_SIZE;
	case -ENOMEM:
		return SL_KERR_UNKNOWN_SERVER_ERROR;
	case -ENOENT:
	case -ETIMEDOUT:
		return SL_KERR_COORDINATOR_NOT_AVAILABLE;
	}
	return SL_KERR_NOT_COORDINATOR; /* the disk: retriable */
}

static void finish(struct sl_glog_write *w)
{
	struct sl_kgroups *ks = w->groups;
	struct sl_kgroup *kg = w->group;

	sl_gbatch_fini(&w->batch);
	ks->log.writes--;
	if (w->err)
		sl_kcount(&ks->counters.write_errors, 1);
	w->done(w, kerr_of_write(w->err)); /* w is the caller's again */
	if (kg) {
		kg->writes--;
		sl_kgroups_look_at(ks, kg);
	}
}

static int64_t end_of(const struct sl_glog_write *w)
{
	return w->append.a.base_offset + w->append.a.records;
}

/* 1: synced; 0: not yet; or why it never will be. */
static int is_synced(const struct sl_glog_write *w)
{
	const struct sl_part *p = w->append.a.part;

	if (sl_part_synced(p) >= end_of(w))
		return 1;
	if (sl_part_state(p) == SL_PART_FAILED)
		return -EIO;
	if (sl_part_state(p) == SL_PART_DELETED)
		return -ENOENT;
	return 0;
}

static void stop_waiting(struct sl_glog_write *w, int err)
{
	struct sl_kgroups *ks = w->groups;
	TAILQ_REMOVE(&ks->log.waiters, w, sync_link);
	sl_timer_cancel(ks->server->cfg.timers, &w->timer);
	w->err = err;
	finish(w);
}

static void sync_time_up(void *arg)
{
	stop_waiting(arg, -ETIMEDOUT);
}

static void wait_for_sync(struct sl_glog_write *w)
{
	struct sl_kgroups *ks = w->groups;
	w->timer = (struct sl_timer){.fn = sync_time_up, .arg = w};
	TAILQ_INSERT_TAIL(&ks->log.waiters, w, sync_link);
	sl_timer_set(ks->server->cfg.timers, &w->timer,
		     sl_kserver_mono_ns(ks->server) + SL_GLOG_SYNC_MS * 1000000ull);
}

/* ---- into the log ---------------------------------------------------------------------------- */

static void apply_batch(struct sl_glog_write *w)
{
	struct sl_record_walk walk;
	struct sl_record rec;
	int rc = sl_record_walk_init(&walk, w->append.a.batch,
				     &w->groups->server->inline_worker.unpacked);

	SL_ASSERT(rc == 0);
	while ((rc = sl_record_walk_next(&walk, &rec)) == 1)
		sl_kgroups_apply(w->groups, rec.key, rec.value, -1);
	SL_ASSERT(rc == 0); /* our own bytes */
}

static void rewrite_came_back(struct sl_glog_part *p, struct sl_glog_write *w)
{
	const struct sl_append *a = &w->append.a;

	if (w->err)
		p->rewrite_failed = true;
	else if (p->rewrite_first < 0)
		p->rewrite_first = a->base_offset;
	if (!w->err)
		p->rewrite_end = end_of(w);
	p->rewrite_left--;
	finish(w);
}

static void came_back(struct sl_kserver *s, struct sl_kappend *x)
{
	struct sl_glog_write *w = SL_CONTAINER_OF(x, struct sl_glog_write, append);
	struct sl_kgroups *ks = w->groups;
	struct sl_glog_part *p = &ks->log.part[sl_part_pub(w->append.a.part)->id];

	(void)s;
	p->out--;
	w->err = w->append.a.err;
	if (!w->err)
		p->bytes += w->append.a.len;
	if (!w->group) {
		rewrite_came_back(p, w);
		return;
	}
	if (!w->err)
		apply_batch(w);
	if (!w->err && w->sync && is_synced(w) == 0)
		wait_for_sync(w);
	else
		finish(w);
	if (p->bytes >= p->check_at)
		sl_glog_maybe_rewrite(p);
}

static bool inject(struct sl_glog_part *p, struct sl_glog_queue *q)
{
	struct sl_glog_write *w;
	bool moved = false;

	while ((w = STAILQ_FIRST(q))) {
		if (sl_kserver_inject(p->groups->server, &w->append))
			break;
		STAILQ_REMOVE_HEAD(q, link);
		p->out++;
		moved = true;
	}
	return moved;
}

/* The rewrite's batches first; others only when they are all on their way. */
static bool pump(struct sl_glog_part *p)
{
	bool moved = inject(p, &p->rewrite);

	if (p->step != SL_GLOG_FREEZE && STAILQ_EMPTY(&p->rewrite))
		moved |= inject(p, &p->queue);
	return moved;
}

static void fill_append(struct sl_glog_write *w, struct sl_part *part)
{
	struct sl_bb *bb = &w->batch.bb;
	uint32_t len = sl_bb_close(bb);

	w->append.back = came_back;
	w->append.a = (struct sl_append){
		.part = part,
		.batch = bb->buf,
		.len = len,
		.records = bb->cnt,
		.max_ts_ms = bb->max_ts,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
		.origin = SL_ORIGIN_INTERNAL,
		.ack = w->sync ? SL_ACK_SYNCED : SL_ACK_LOGGED,
	};
}

void sl_glog_submit(struct sl_glog *l, uint32_t partition, struct sl_glog_write *w)
{
	struct sl_glog_part *p = &l->part[partition];

	l->writes++;
	w->err = 0;
	w->groups = p->groups;
	if (w->batch.bad) {
		w->err = w->batch.too_large ? -EMSGSIZE : -ENOMEM;
		STAILQ_INSERT_TAIL(&l->failed, w, link);
		return;
	}
	SL_ASSERT(w->batch.bb.cnt > 0);
	fill_append(w, p->part);
	STAILQ_INSERT_TAIL(w->group ? &p->queue : &p->rewrite, w, link);
	pump(p);
}

/* ---- the turn -------------------------------------------------------------------------------- */

static bool check_waiters(struct sl_glog *l)
{
	struct sl_glog_write *w = TAILQ_FIRST(&l->waiters), *next;
	struct sl_glog_write *last = TAILQ_LAST(&l->waiters, sl_glog_waiters);
	bool moved = false, end = !w;

	for (; !end; w = next) { /* `done` may submit more, which come behind `last` */
		int rc = is_synced(w);
		next = TAILQ_NEXT(w, sync_link);
		end = w == last;
		if (rc) {
			stop_waiting(w, rc > 0 ? 0 : rc);
			moved = true;
		}
	}
	return moved;
}

bool sl_glog_turn(struct sl_glog *l)
{
	struct sl_glog_write *w;
	bool moved = false;

	if (!l->topic)
		return false;
	while ((w = STAILQ_FIRST(&l->failed))) {
		STAILQ_REMOVE_HEAD(&l->failed, link);
		finish(w);
		moved = true;
	}
	moved |= check_waiters(l);
	for (uint32_t i = 0; i < l->part_cnt; i++) {
		moved |= sl_glog_rewrite_turn(&l->part[i]);
		moved |= pump(&l->part[i]);
	}
	return moved;
}

bool sl_glog_waits(const struct sl_glog *l)
{
	if (!l->topic)
		return false;
	if (!TAILQ_EMPTY(&l->waiters))
		return true;
	for (uint32_t i = 0; i < l->part_cnt; i++)
		if (!STAILQ_EMPTY(&l->part[i].queue) || l->part[i].step != SL_GLOG_IDLE)
			return true;
	return false;
}

static void drop_queue(struct sl_glog_queue *q, struct sl_glog *l)
{
	struct sl_glog_write *w;
	while ((w = STAILQ_FIRST(q))) {
		STAILQ_REMOVE_HEAD(q, link);
		w->err = -ETIMEDOUT;
		STAILQ_INSERT_TAIL(&l->failed, w, link);
	}
}

void sl_glog_give_up(struct sl_glog *l)
{
	struct sl_glog_write *w;

	if (!l->topic)
		return;
	while ((w = TAILQ_FIRST(&l->waiters)))
		stop_waiting(w, -ETIMEDOUT);
	for (uint32_t i = 0; i < l->part_cnt; i++) {
		struct sl_glog_part *p = &l->part[i];
		STAILQ_FOREACH(w, &p->rewrite, link)
		p->rewrite_left--;
		drop_queue(&p->rewrite, l);
		drop_queue(&p->queue, l);
		p->rewrite_failed = true;
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

int sl_glog_open(struct sl_glog *l, struct sl_kgroups *ks, struct sl_topic *t)
{
	uint32_t n = sl_topic_partitions(t);
	struct sl_glog_part *p = calloc(n, sizeof(*p));

	if (!p)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		p[i].part = sl_topic_part(t, (int32_t)i);
		p[i].groups = ks;
		p[i].index = i;
		p[i].check_at = SL_GLOG_REWRITE_BYTES;
		STAILQ_INIT(&p[i].queue);
		STAILQ_INIT(&p[i].rewrite);
	}
	TAILQ_INIT(&l->waiters);
	STAILQ_INIT(&l->failed);
	l->part = p;
	l->part_cnt = n;
	l->topic = t;
	return 0;
}

void sl_glog_close(struct sl_glog *l)
{
	if (!l->topic)
		return;
	SL_ASSERT(l->writes == 0);
	sl_topic_put(l->topic);
	free(l->part);
	memset(l, 0, sizeof(*l));
}
