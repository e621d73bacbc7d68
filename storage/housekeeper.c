/* SPDX-License-Identifier: Apache-2.0 */
/*
 * housekeeper.c - the storage's own thread: everything around a log that may block.
 *
 * It makes extents and spare segments before the writer needs them, gives rolled segments their
 * names, finishes them when they are synced, and on timers runs retention, the budget and the
 * checkpoints. What fails for want of space is tried again every RETRY_NS, and a partition that
 * waits for it says DISK_FULL meanwhile. What only has to wait for a segment that is being synced,
 * before it can be evicted, is tried again soon.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "store_int.h"

#define RETRY_NS       500000000ull
#define SOON_NS        5000000ull
#define CHECKPOINT_NS  5000000000ull
#define FAST_EXTENT_NS 250000000ull
#define SLOW_EXTENT_NS 5000000000ull
#define SNAP_ROOM      64u
#define EXTENT_SHARE   16u /* extents of all partitions: this part of the budget */
#define EXTENT_LEAST   (128u << 10)

void sl_hk_tell(struct sl_part *p, uint32_t bits)
{
	uint64_t one = 1;

	if (atomic_fetch_or_explicit(&p->to_wr, bits, memory_order_acq_rel) == 0) {
		bool ok = sl_spsc_push(&p->w->from_hk, p);
		SL_ASSERT(ok); /* each partition is in the ring once at most */
	}
	ssize_t n = write(p->w->efd, &one, sizeof(one));
	(void)n; /* a full counter is readable already */
}

/* ---- extents ------------------------------------------------------------------------------- */

/* Extents of all partitions together take a small part of the budget only. */
static uint32_t extent_max(struct sl_store *s)
{
	uint64_t budget = atomic_load(&s->budget);
	uint64_t max = budget ? budget / EXTENT_SHARE / SL_MAX(s->part_cnt, 1u) : SL_EXTENT_MAX;

	return (uint32_t)SL_ALIGN_DOWN(
		SL_MIN(SL_MAX(max, (uint64_t)EXTENT_LEAST), (uint64_t)SL_EXTENT_MAX), SL_IO_BLOCK);
}

/* After an extent was made: the next one follows the rate at which this one is used up. */
static void adapt_extent(struct sl_part *p)
{
	uint64_t now = sl_clock_mono_ns(), took = now - p->extent_ns;

	if (p->extent_ns && took < FAST_EXTENT_NS)
		p->extent *= 2;
	else if (took > SLOW_EXTENT_NS && p->extent > SL_EXTENT_MIN)
		p->extent /= 2;
	p->extent = SL_MIN(p->extent, extent_max(p->store));
	p->extent_ns = now;
	atomic_store_explicit(&p->extent_low, p->extent / 2, memory_order_relaxed);
}

static uint32_t segment_cap(const struct sl_part *p)
{
	return (uint32_t)SL_ALIGN_UP(
		(uint64_t)atomic_load_explicit(&p->pub.topic->segment_bytes, memory_order_relaxed),
		SL_IO_BLOCK);
}

static int extend(struct sl_part *p)
{
	struct sl_seg *g = atomic_load_explicit(&p->active, memory_order_acquire);
	uint32_t alloc = atomic_load_explicit(&g->alloc, memory_order_relaxed);
	uint32_t need = atomic_load_explicit(&p->need, memory_order_relaxed);
	uint32_t cap = segment_cap(p);

	p->extent = SL_MIN(p->extent, extent_max(p->store));
	/* `need` may speak of the segment before: it never exceeds a segment and a batch */
	need = SL_MIN(need, SL_MAX(cap, alloc + (uint32_t)SL_STRIPE_CHUNK));
	uint32_t to = SL_MAX(SL_MIN(alloc + p->extent, cap), need);
	if (sl_seg_size(g) + p->extent / 2 < alloc && alloc >= need)
		return 0; /* there is room again */
	if (to <= alloc)
		return 0;
	int err = sl_retention_room(p->store, to - alloc);
	if (!err)
		err = sl_seg_extend(p, g, to);
	if (!err)
		adapt_extent(p);
	return err;
}

/* ---- spare segments ------------------------------------------------------------------------ */

static int spare_file(struct sl_part *p, struct sl_seg *g)
{
	struct sl_store *s = p->store;
	bool direct = atomic_load(&s->direct);

	snprintf(g->spare, sizeof(g->spare), "%" PRIu64, s->hk.spare_seq++);
	uint32_t first = SL_MIN(SL_MIN(p->extent, extent_max(s)), segment_cap(p));
	uint64_t had = sl_stock_take(s, sl_part_end(p), g->spare, &g->old_max);

	if (!had && sl_retention_full(s, first) && sl_retention_evict(s) == 0)
		had = sl_stock_take(s, sl_part_end(p), g->spare,
				    &g->old_max); /* what went for it */
	g->fresh = had == 0;
	g->wfd = s->io->open(s->dir.spare_fd, g->spare, true, &direct);
	if (g->wfd < 0)
		return g->wfd;
	if (had) { /* whole blocks of it can be overwritten as they are */
		atomic_store(&g->alloc, (uint32_t)SL_ALIGN_DOWN(had, SL_IO_BLOCK));
		atomic_fetch_sub(&s->log_bytes, had % SL_IO_BLOCK);
		return 0;
	}
	/* without space it begins empty: a roll must always be possible, so that the old one can go
	 */
	if (sl_retention_room(s, first) == 0 && sl_seg_extend(p, g, first))
		sl_log(SL_LOG_DEBUG, "storage", "%s: the next segment begins without space",
		       p->dir);
	return 0;
}

static int spare(struct sl_part *p)
{
	if (atomic_load_explicit(&p->spare, memory_order_relaxed))
		return 0;
	struct sl_seg *g = sl_seg_new(0);
	uint32_t cap = sl_producers_cnt(p->producers) + SNAP_ROOM;
	if (!g)
		return -ENOMEM;
	g->idx = sl_idx_new();
	g->snap = calloc(1, sizeof(*g->snap) + cap * sizeof(g->snap->p[0]));
	int err = g->idx && g->snap ? spare_file(p, g) : -ENOMEM;
	if (err) {
		if (g->spare[0])
			unlinkat(p->store->dir.spare_fd, g->spare, 0);
		atomic_fetch_sub(&p->store->log_bytes, atomic_load(&g->alloc));
		sl_seg_free(g);
		return err;
	}
	g->snap->cap = cap;
	/* release: the writer that takes it sees it whole */
	atomic_store_explicit(&p->spare, g, memory_order_release);
	return 0;
}

/* ---- rolled segments ----------------------------------------------------------------------- */

static int sync_dir(struct sl_part *p)
{
	int fd = sl_dir_open(p->store->dir.log_fd, p->dir, false);

	if (fd < 0)
		return fd;
	int err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

static int name_rolled(struct sl_part *p)
{
	uint32_t in = atomic_load_explicit(&p->rolled_in, memory_order_acquire);
	uint32_t out = atomic_load_explicit(&p->rolled_out, memory_order_relaxed);

	for (; out != in; out++) {
		char name[SL_FILE_NAME_MAX];
		struct sl_seg *g = atomic_load_explicit(&p->rolled[out % SL_ROLLED_RING],
							memory_order_relaxed);
		if (!(sl_seg_flags(g) & SL_SEG_NAMED)) {
			sl_segname(p->dir, g->base, ".log", name);
			if (renameat(p->store->dir.spare_fd, g->spare, p->store->dir.log_fd, name))
				return -errno;
			sl_seg_flag(g, SL_SEG_NAMED);
			sl_hk_tell(p, SL_WR_LOOK);
		}
		int err = sync_dir(p);
		if (!err)
			err = sl_part_add_seg(p, g);
		if (err)
			return err;
		sl_seg_flag(g, SL_SEG_DURABLE);
		atomic_store_explicit(&p->rolled_out, out + 1, memory_order_release);
		sl_hk_tell(p, SL_WR_LOOK);
	}
	return 0;
}

static struct sl_seg *next_done(struct sl_part *p)
{
	struct sl_seg *g = NULL;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = p->seg_cnt; i > 0; i--) { /* the oldest one: they are finished in order */
		uint32_t f = sl_seg_flags(p->segs[i - 1]);
		if (f & SL_SEG_FINAL)
			break;
		if (f & SL_SEG_DONE)
			g = p->segs[i - 1];
	}
	pthread_mutex_unlock(&p->lock);
	return g;
}

static int finish_done(struct sl_part *p)
{
	struct sl_seg *g;
	int err = 0;

	while (!err && (g = next_done(p)))
		err = sl_seg_finish(p, g, true);
	return err;
}

/* ---- serving ------------------------------------------------------------------------------- */

static const struct {
	uint32_t bit;
	int (*fn)(struct sl_part *p);
	const char *what;
} jobs[] = {
	{SL_HK_ROLLED, name_rolled, "naming a segment"},
	{SL_HK_DONE, finish_done, "finishing a segment"},
	{SL_HK_EXTEND, extend, "an extent"},
	{SL_HK_SPARE, spare, "a spare segment"},
};

static void failed(struct sl_part *p, uint32_t bit, const char *what, int err)
{
	struct sl_store *s = p->store;

	p->pending |= bit;
	if (!p->pending_listed) {
		p->pending_listed = true;
		p->pending_next = s->hk.pending;
		s->hk.pending = p;
	}
	if (err == -ENOSPC || err == -EDQUOT) {
		if (sl_part_state(p) == SL_PART_OK)
			sl_log_limited(&s->hk.full_lines, SL_LOG_WARN, "storage",
				       "%s: no space for %s: appends are refused", p->dir, what);
		sl_part_set_state(p, SL_PART_OK, SL_PART_DISK_FULL);
		atomic_store(&s->disk_full, true);
	} else if (err == -EIO || err == -EROFS) {
		if (sl_part_state(p) != SL_PART_FAILED)
			sl_log(SL_LOG_ERROR, "storage", "%s: %s: %s: the partition is stopped",
			       p->dir, what, strerror(-err));
		atomic_store_explicit(&p->pub.state, SL_PART_FAILED, memory_order_release);
	}
	sl_hk_tell(p, SL_WR_LOOK);
}

static void serve(struct sl_part *p)
{
	uint32_t bits = atomic_exchange_explicit(&p->to_hk, 0, memory_order_acq_rel);

	bits &= ~p->pending; /* those have their time */
	if (!bits)
		return;
	for (size_t i = 0; i < SL_ARRAY_SIZE(jobs); i++) {
		if (!(bits & jobs[i].bit))
			continue;
		int err = jobs[i].fn(p);
		if (err == -ENOSPC && sl_stock_drop(p->store)) /* kept files are the first to go */
			err = jobs[i].fn(p);
		if (err)
			failed(p, jobs[i].bit, jobs[i].what, err);
	}
	sl_hk_tell(p, SL_WR_LOOK);
}

static void retry_one(struct sl_part *p)
{
	uint32_t bits = p->pending;

	p->pending = 0;
	p->pending_listed = false;
	for (size_t i = 0; i < SL_ARRAY_SIZE(jobs); i++) {
		int err = bits & jobs[i].bit ? jobs[i].fn(p) : 0;
		if (err)
			failed(p, jobs[i].bit, jobs[i].what, err);
	}
	if (p->pending == 0 && sl_part_state(p) == SL_PART_DISK_FULL) {
		sl_log_limited(&p->store->hk.full_lines, SL_LOG_INFO, "storage",
			       "%s: there is space again", p->dir);
		sl_part_set_state(p, SL_PART_DISK_FULL, SL_PART_OK);
	}
	sl_hk_tell(p, SL_WR_LOOK);
}

static void retry(struct sl_store *s)
{
	struct sl_part *p = s->hk.pending;
	bool full = false;

	s->hk.pending = NULL;
	while (p) {
		struct sl_part *next = p->pending_next;
		retry_one(p);
		full = full || sl_part_state(p) == SL_PART_DISK_FULL;
		p = next;
	}
	atomic_store(&s->disk_full, full);
}

static unsigned serve_writers(struct sl_store *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->cfg.writers; i++) {
		struct sl_part *p;
		while ((p = sl_spsc_pop(&s->writer[i].to_hk))) {
			serve(p);
			n++;
		}
	}
	return n;
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void timers(struct sl_store *s, uint64_t now)
{
	struct sl_hk *hk = &s->hk;

	if (hk->pending && now >= hk->next_retry_ns) {
		retry(s);
		hk->next_retry_ns = now + (atomic_load(&s->disk_full) ? RETRY_NS : SOON_NS);
	}
	if (now >= hk->next_retention_ns) {
		sl_retention_run(s);
		hk->next_retention_ns = now + (uint64_t)s->cfg.retention_check_ms * 1000000;
	}
	if (now >= hk->next_checkpoint_ns) {
		int err = sl_checkpoints_store(s, false);
		if (err)
			sl_log(SL_LOG_WARN, "storage", "checkpoints: %s", strerror(-err));
		hk->next_checkpoint_ns = now + CHECKPOINT_NS;
	}
}

static int sleep_ms(const struct sl_hk *hk, uint64_t now)
{
	uint64_t due = SL_MIN(hk->next_retention_ns, hk->next_checkpoint_ns);

	if (hk->pending)
		due = SL_MIN(due, hk->next_retry_ns);
	return due <= now ? 0 : (int)SL_MIN((due - now) / 1000000 + 1, (uint64_t)60000);
}

static bool idle(struct sl_store *s)
{
	for (unsigned i = 0; i < s->cfg.writers; i++)
		if (!sl_spsc_empty(&s->writer[i].to_hk))
			return false;
	return !atomic_load_explicit(&s->hk.stop, memory_order_acquire);
}

static void *hk_main(void *arg)
{
	struct sl_store *s = arg;
	struct sl_hk *hk = &s->hk;

	while (!atomic_load_explicit(&hk->stop, memory_order_acquire)) {
		serve_writers(s);
		timers(s, sl_clock_mono_ns());
		sl_waker_arm(&hk->waker);
		if (!idle(s))
			continue;
		struct pollfd pfd = {.fd = hk->waker.efd, .events = POLLIN};
		if (poll(&pfd, 1, sleep_ms(hk, sl_clock_mono_ns())) > 0) {
			uint64_t v;
			ssize_t n = read(hk->waker.efd, &v, sizeof(v));
			(void)n;
		}
	}
	while (serve_writers(s))
		;
	return NULL;
}

int sl_hk_start(struct sl_store *s)
{
	struct sl_hk *hk = &s->hk;
	uint64_t now = sl_clock_mono_ns();

	hk->waker.efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (hk->waker.efd < 0)
		return -errno;
	hk->next_retention_ns = now + (uint64_t)s->cfg.retention_check_ms * 1000000;
	hk->next_checkpoint_ns = now + CHECKPOINT_NS;
	int err = -pthread_create(&hk->thread, NULL, hk_main, s);
	hk->running = err == 0;
	return err;
}

void sl_hk_stop(struct sl_store *s)
{
	struct sl_hk *hk = &s->hk;

	if (hk->running) {
		atomic_store_explicit(&hk->stop, true, memory_order_release);
		atomic_store(&hk->waker.armed, 1);
		sl_waker_ring(&hk->waker);
		pthread_join(hk->thread, NULL);
		hk->running = false;
	}
	if (hk->waker.efd > 0)
		close(hk->waker.efd);
	hk->waker.efd = -1;
}
