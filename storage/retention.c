/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.c - what goes and when: retention.ms and retention.bytes as Kafka does it, the byte
 * budget of the whole directory, the reserve of the file system; and Kafka's checkpoints.
 *
 * Only finished segments are deleted, from the start of a log. When the active one is due the
 * writer is asked to roll, and it goes with the next look.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "checkpoint.h"
#include "platform/base/log.h"
#include "store_int.h"

int sl_store_each_part(struct sl_store *s, int (*fn)(struct sl_part *p, void *arg), void *arg)
{
	int err = 0;

	for (uint32_t t = 0; t < s->topic_cnt && !err; t++) {
		uint32_t parts = sl_topic_cnt(s->topic[t]);
		for (uint32_t i = 0; i < parts && !err; i++)
			err = fn(sl_topic_at(s->topic[t], i), arg);
	}
	return err;
}

/* ---- one segment --------------------------------------------------------------------------- */

/*
 * The age of a segment. A timestamp beyond the moment in which the last record came is a device's
 * clock, not an age.
 */
static int64_t segment_ts(const struct sl_seg *g)
{
	int64_t ts = atomic_load(&g->max_ts), touched = atomic_load(&g->touched_ms);

	return ts < 0 ? touched : touched > 0 ? SL_MIN(ts, touched) : ts;
}

/* The first segment, if it may be deleted: finished, and another one behind it. */
static struct sl_seg *candidate(struct sl_part *p)
{
	struct sl_seg *g = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->seg_cnt > 1 && (sl_seg_flags(p->segs[0]) & SL_SEG_FINAL))
		g = p->segs[0];
	pthread_mutex_unlock(&p->lock);
	return g;
}

static int64_t part_bytes(struct sl_part *p)
{
	int64_t sum = 0;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->seg_cnt; i++)
		sum += sl_seg_size(p->segs[i]);
	pthread_mutex_unlock(&p->lock);
	atomic_store_explicit(&p->pub.size_bytes, sum, memory_order_relaxed);
	return sum;
}

/* Returns how many of its records an uplink had not sent. */
static uint64_t delete_first(struct sl_part *p, struct sl_seg *g)
{
	pthread_mutex_lock(&p->lock);
	SL_ASSERT(p->segs[0] == g && p->seg_cnt > 1);
	int64_t next = p->segs[1]->base;
	pthread_mutex_unlock(&p->lock);
	/* log start may lie in the next one already: DeleteRecords */
	uint64_t unsent = sl_part_start_move(p, next);
	pthread_mutex_lock(&p->lock);
	memmove(p->segs, p->segs + 1, (p->seg_cnt - 1) * sizeof(struct sl_seg *));
	p->seg_cnt--;
	bool busy = g->refs > 0;
	sl_seg_flag(g, SL_SEG_DEAD);
	pthread_mutex_unlock(&p->lock);
	/* a reader that holds the file must not see it filled anew */
	sl_seg_remove(p, g, !busy);
	pthread_mutex_lock(&p->lock);
	bool mine = g->refs == 0 && !busy;
	pthread_mutex_unlock(&p->lock);
	if (mine)
		sl_seg_free(g);
	return unsent;
}

static void ask_roll(struct sl_part *p)
{
	const struct sl_seg *g = atomic_load_explicit(&p->active, memory_order_acquire);

	if (sl_seg_size(g) > 0)
		sl_hk_tell(p, SL_WR_ROLL);
}

/* What goes as it should is of interest to nobody; what goes before the centre has it, is. */
static void say_deleted(struct sl_part *p, int64_t base, const char *why, uint64_t unsent)
{
	if (unsent)
		sl_log_limited(&p->store->hk.unsent_lines, SL_LOG_WARN, "storage",
			       "%s: segment %" PRId64 " deleted by %s: %" PRIu64
			       " of its records were not sent to the centre yet",
			       p->dir, base, why, unsent);
	else
		sl_log(SL_LOG_DEBUG, "storage", "%s: segment %" PRId64 " deleted by %s", p->dir,
		       base, why);
}

/* ---- by time and size ---------------------------------------------------------------------- */

static void count_expired(struct sl_part *p, struct sl_seg *g, const char *why)
{
	int64_t base = g->base;

	atomic_fetch_add(&p->store->expired_segments, 1);
	say_deleted(p, base, why, delete_first(p, g));
}

void sl_retention_below_start(struct sl_part *p)
{
	int64_t start = sl_part_start(p);
	struct sl_seg *g;

	/* the candidate's end is the base of the one behind it */
	while ((g = candidate(p)) && g->end <= start)
		count_expired(p, g, "DeleteRecords");
	if (start == sl_part_end(p) && !candidate(p))
		ask_roll(p); /* it goes once it is finished */
}

static int expire(struct sl_part *p, void *arg)
{
	struct sl_topic_cfg cfg;
	struct sl_seg *g;
	int64_t now = *(int64_t *)arg;

	sl_retention_below_start(p); /* what goes by that does not count below */
	int64_t bytes = part_bytes(p);
	if (p->pub.topic->internal)
		return 0;
	sl_topic_cfg_get(p->pub.topic, &cfg);
	while (cfg.retention_bytes >= 0 && (g = candidate(p)) &&
	       bytes - sl_seg_size(g) >= cfg.retention_bytes) {
		bytes -= sl_seg_size(g);
		count_expired(p, g, "retention.bytes");
	}
	while (cfg.retention_ms >= 0 && (g = candidate(p)) &&
	       now - segment_ts(g) > cfg.retention_ms)
		count_expired(p, g, "retention.ms");
	if (cfg.retention_ms >= 0 && !candidate(p)) {
		const struct sl_seg *a = atomic_load_explicit(&p->active, memory_order_acquire);
		if (sl_seg_size(a) > 0 && now - segment_ts(a) > cfg.retention_ms)
			ask_roll(p);
	}
	part_bytes(p);
	return 0;
}

/* ---- the budget ---------------------------------------------------------------------------- */

#define ROLLS_AT_ONCE 16u

struct oldest {
	struct sl_part *part;
	struct sl_seg *seg;
	int64_t order;
	uint32_t largest; /* active segment, if none can go */
	unsigned asked;
	bool coming; /* rolled, and soon finished */
};

/* What goes first: the smallest. The seam for policies, which know the partition, what of the
 * segment was forwarded, and the topic's settings. */
static int64_t eviction_order(SL_UNUSED const struct sl_part *p, const struct sl_seg *g)
{
	return segment_ts(g);
}

static int find_oldest(struct sl_part *p, void *arg)
{
	struct oldest *o = arg;
	struct sl_seg *g = candidate(p);
	const struct sl_seg *active = atomic_load_explicit(&p->active, memory_order_acquire);
	uint32_t size = sl_seg_size(active);

	if (p->pub.topic->internal || sl_part_dead(p))
		return 0;
	pthread_mutex_lock(&p->lock);
	o->coming = o->coming || (p->seg_cnt && p->segs[0] != active && !g);
	pthread_mutex_unlock(&p->lock);
	if (g && (!o->seg || eviction_order(p, g) < o->order)) {
		o->part = p;
		o->seg = g;
		o->order = eviction_order(p, g);
	}
	o->largest = SL_MAX(o->largest, size);
	return 0;
}

/* Nothing can go: the larger active segments are rolled, several at once. */
static int ask_larger(struct sl_part *p, void *arg)
{
	struct oldest *o = arg;

	if (p->pub.topic->internal || sl_part_dead(p) || o->asked == ROLLS_AT_ONCE ||
	    sl_seg_size(atomic_load_explicit(&p->active, memory_order_acquire)) <= o->largest / 2)
		return 0;
	o->asked++;
	ask_roll(p);
	return 0;
}

static void evict(struct sl_part *p, struct sl_seg *g)
{
	struct sl_store *s = p->store;
	int64_t base = g->base, from = SL_MAX(base, sl_part_start(p)); /* DeleteRecords had more */

	atomic_fetch_add(&s->evicted_bytes, sl_seg_size(g));
	atomic_fetch_add(&s->evicted_records, (uint64_t)SL_MAX(g->end - from, (int64_t)0));
	atomic_fetch_add(&s->evicted_segments, 1);
	say_deleted(p, base, "the byte budget", delete_first(p, g));
}

int sl_retention_evict(struct sl_store *s)
{
	struct oldest o = {0};

	pthread_rwlock_rdlock(&s->topics_lock);
	sl_store_each_part(s, find_oldest, &o);
	if (o.seg) {
		evict(o.part, o.seg);
	} else if (o.largest && !o.coming) {
		sl_store_each_part(s, ask_larger, &o);
	}
	pthread_rwlock_unlock(&s->topics_lock);
	return o.seg ? 0 : o.largest || o.coming ? -EAGAIN : -ENOSPC;
}

static uint64_t share(double fraction, uint64_t bytes, uint64_t of)
{
	return fraction > 0 ? (uint64_t)(fraction * (double)of) : bytes;
}

bool sl_retention_full(struct sl_store *s, uint64_t more)
{
	uint64_t budget = atomic_load(&s->budget);

	return budget && (uint64_t)atomic_load(&s->log_bytes) + more > budget;
}

static uint64_t reserve_of(struct sl_store *s, const struct statfs *fs)
{
	return share(s->cfg.reserve_fraction, s->cfg.reserve_bytes,
		     (uint64_t)fs->f_blocks * (uint64_t)fs->f_bsize);
}

int sl_retention_room(struct sl_store *s, uint64_t bytes)
{
	struct statfs fs;

	while (sl_retention_full(s, bytes)) {
		int err = sl_stock_drop(s) ? 0 : sl_retention_evict(s);
		if (err)
			return err;
	}
	do {
		if (fstatfs(s->dir.log_fd, &fs))
			return 0; /* the write itself will tell */
		if ((uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >= bytes + reserve_of(s, &fs))
			return 0;
	} while (sl_stock_drop(s));
	return -ENOSPC;
}

void sl_retention_run(struct sl_store *s)
{
	struct statfs fs;
	int64_t now = sl_store_now_ms(s);

	if (s->cfg.budget_fraction > 0 && fstatfs(s->dir.log_fd, &fs) == 0)
		atomic_store(&s->budget, share(s->cfg.budget_fraction, 0,
					       (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize));
	pthread_rwlock_rdlock(&s->topics_lock);
	sl_store_each_part(s, expire, &now);
	pthread_rwlock_unlock(&s->topics_lock);
	while (sl_retention_full(s, 0) && (sl_stock_drop(s) || sl_retention_evict(s) == 0))
		;
}

/* ---- checkpoints --------------------------------------------------------------------------- */

struct points {
	struct sl_cp recovery, start, high;
	int64_t sum;
	bool final;
};

/* Below it nothing needs a scan: synced, and every closed segment there has its index files. */
static int64_t recovery_point(struct sl_part *p, bool final)
{
	int64_t at = sl_part_synced(p);

	if (final)
		return at;
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = p->seg_cnt; i > 0; i--) {
		uint32_t f = sl_seg_flags(p->segs[i - 1]);
		if (f & SL_SEG_FINAL)
			break;
		if (f & SL_SEG_CLOSED)
			at = SL_MIN(at, p->segs[i - 1]->base);
	}
	pthread_mutex_unlock(&p->lock);
	return at;
}

static int add_points(struct sl_part *p, void *arg)
{
	struct points *c = arg;
	const char *name = p->pub.topic->name;
	int64_t rp = recovery_point(p, c->final), start = sl_part_start(p), hw = sl_part_synced(p);
	int err = sl_cp_add(&c->recovery, name, p->pub.id, rp);

	if (!err)
		err = sl_cp_add(&c->start, name, p->pub.id, start);
	if (!err)
		err = sl_cp_add(&c->high, name, p->pub.id, hw);
	c->sum += rp + start + hw + 1;
	return err;
}

int sl_checkpoints_store(struct sl_store *s, bool final)
{
	struct points c = {.final = final};
	int fd = s->dir.log_fd;

	pthread_rwlock_rdlock(&s->topics_lock);
	int err = sl_store_each_part(s, add_points, &c);
	pthread_rwlock_unlock(&s->topics_lock);
	if (!err && (final || c.sum != s->hk.checkpoint_sum)) {
		err = sl_cp_store(fd, SL_CP_RECOVERY, &c.recovery);
		if (!err)
			err = sl_cp_store(fd, SL_CP_LOG_START, &c.start);
		if (!err)
			err = sl_cp_store(fd, SL_CP_HIGH_WATERMARK, &c.high);
		if (!err)
			s->hk.checkpoint_sum = c.sum;
	}
	sl_cp_fini(&c.recovery);
	sl_cp_fini(&c.start);
	sl_cp_fini(&c.high);
	return err;
}
