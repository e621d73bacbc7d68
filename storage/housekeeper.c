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

#define RETRY_NS         500000000ull
#define SOON_NS          5000000ull
#define CHECKPOINT_NS    5000000000ull
#define CHECKPOINT_BYTES (256ull << 20) /* finished since the last ones: new ones at once */
#define JOB_LOOK_NS      2000000ull     /* a job that waits for a writer looks again */

void sl_hk_tell(struct sl_part *p, uint32_t bits)
{
	uint64_t one = 1;

	if (p->left)
		return;
	if (atomic_fetch_or_explicit(&p->to_wr, bits, memory_order_acq_rel) == 0) {
		bool ok = sl_spsc_push(&p->w->from_hk, p);
		SL_ASSERT(ok); /* each partition is in the ring once at most */
	}
	ssize_t n = write(p->w->efd, &one, sizeof(one));
	(void)n; /* a full counter is readable already */
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

	while (!err && (g = next_done(p))) {
		err = sl_seg_finish(p, g, true);
		if (!err)
			p->store->hk.finished_bytes += sl_seg_size(g);
	}
	if (!err)
		sl_retention_below_start(p);
	return err;
}

static int say_failed(struct sl_part *p)
{
	sl_log_limited(&p->store->hk.failed_lines, SL_LOG_ERROR, "storage",
		       "%s: a write or sync failed: the partition is stopped", p->dir);
	return 0;
}

/* ---- serving ------------------------------------------------------------------------------- */

static const struct {
	uint32_t bit;
	int (*fn)(struct sl_part *p);
	const char *what;
} jobs[] = {
	{SL_HK_FAILED, say_failed, "a failure"},
	{SL_HK_ROLLED, name_rolled, "naming a segment"},
	{SL_HK_DONE, finish_done, "finishing a segment"},
	{SL_HK_EXTEND, sl_hk_extend, "an extent"},
	{SL_HK_SPARE, sl_hk_spare, "a spare segment"},
};

static void failed(struct sl_part *p, uint32_t bit, const char *what, int err)
{
	struct sl_store *s = p->store;

	p->pending |= bit;
	if (err == -EIO || err == -EROFS) { /* for good: not tried again */
		if (sl_part_fail(p))
			sl_log_limited(&s->hk.failed_lines, SL_LOG_ERROR, "storage",
				       "%s: %s: %s: the partition is stopped", p->dir, what,
				       strerror(-err));
		sl_store_ring(s); /* who waits for its sync waits in vain */
		sl_hk_tell(p, SL_WR_LOOK);
		return;
	}
	if (!p->pending_listed) {
		p->pending_listed = true;
		p->pending_next = s->hk.pending;
		s->hk.pending = p;
	}
	if (err == -ENOSPC || err == -EDQUOT) {
		p->pending_space = true;
		if (sl_part_state(p) == SL_PART_OK)
			sl_log_limited(&s->hk.full_lines, SL_LOG_WARN, "storage",
				       "%s: no space for %s: appends are refused", p->dir, what);
		sl_part_set_state(p, SL_PART_OK, SL_PART_DISK_FULL);
		atomic_store(&s->disk_full, true);
	}
	sl_hk_tell(p, SL_WR_LOOK);
}

static void do_job(struct sl_part *p, size_t i)
{
	int err = jobs[i].fn(p);

	if (err == -ENOSPC && sl_stock_drop(p->store)) /* kept files are the first to go */
		err = jobs[i].fn(p);
	if (err)
		failed(p, jobs[i].bit, jobs[i].what, err);
}

static void serve(struct sl_part *p)
{
	uint32_t bits = atomic_exchange_explicit(&p->to_hk, 0, memory_order_acq_rel);

	if (bits & SL_HK_GONE) {
		sl_trash_part(p);
		return;
	}
	if (p->left)
		return;
	bits &= ~p->pending; /* those have their time */
	if (!bits)
		return;
	for (size_t i = 0; i < SL_ARRAY_SIZE(jobs); i++) {
		if (bits & jobs[i].bit)
			do_job(p, i);
	}
	sl_hk_tell(p, SL_WR_LOOK);
}

/* Who says DISK_FULL is to be tried again. */
static void note_full(struct sl_store *s)
{
	bool full = false;

	for (const struct sl_part *p = s->hk.pending; p; p = p->pending_next)
		full = full || sl_part_state(p) == SL_PART_DISK_FULL;
	atomic_store(&s->disk_full, full);
}

void sl_hk_forget(struct sl_part *p)
{
	struct sl_part **at = &p->store->hk.pending;

	while (*at && *at != p)
		at = &(*at)->pending_next;
	if (*at)
		*at = p->pending_next;
	p->pending = 0;
	p->pending_listed = p->pending_space = false;
	note_full(p->store);
}

static void retry_one(struct sl_part *p)
{
	uint32_t bits = p->pending;

	p->pending = 0;
	p->pending_listed = p->pending_space = false;
	for (size_t i = 0; i < SL_ARRAY_SIZE(jobs); i++) {
		if (bits & jobs[i].bit)
			do_job(p, i);
	}
	if (p->pending == 0 && sl_part_state(p) == SL_PART_DISK_FULL) {
		sl_log_limited(&p->store->hk.full_lines, SL_LOG_INFO, "storage",
			       "%s: there is space again", p->dir);
		sl_part_set_state(p, SL_PART_DISK_FULL, SL_PART_OK);
	}
	sl_hk_tell(p, SL_WR_LOOK);
}

/* Those that wait for space, or those that only wait for a sync. */
static void retry(struct sl_store *s, bool space)
{
	struct sl_part *p = s->hk.pending;

	s->hk.pending = NULL;
	while (p) {
		struct sl_part *next = p->pending_next;
		if (p->pending_space == space) {
			retry_one(p);
		} else {
			p->pending_next = s->hk.pending;
			s->hk.pending = p;
		}
		p = next;
	}
	note_full(s);
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

/* A writer without memory refuses appends by name; nobody else would hear why. */
static void say_stuck(struct sl_store *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->cfg.writers; i++)
		sum += atomic_load_explicit(&s->writer[i].stuck, memory_order_relaxed);
	if (sum != s->hk.stuck_seen)
		sl_log_limited(&s->hk.failed_lines, SL_LOG_ERROR, "storage",
			       "%" PRIu64 " appends refused: all stripes hold what stopped "
			       "partitions could not write",
			       sum - s->hk.stuck_seen);
	s->hk.stuck_seen = sum;
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void timers(struct sl_store *s, uint64_t now)
{
	struct sl_hk *hk = &s->hk;

	say_stuck(s);
	if (hk->pending && now >= hk->next_soon_ns) {
		retry(s, false);
		hk->next_soon_ns = now + SOON_NS;
	}
	if (hk->pending && now >= hk->next_retry_ns) {
		retry(s, true);
		hk->next_retry_ns = now + RETRY_NS;
	}
	bool asked = atomic_exchange_explicit(&hk->retention_now, false, memory_order_acq_rel);
	if (asked || now >= hk->next_retention_ns) {
		sl_retention_run(s);
		hk->next_retention_ns = now + (uint64_t)s->cfg.retention_check_ms * 1000000;
	}
	/* what a start after a crash must look at stays small, also at full rate */
	if (now >= hk->next_checkpoint_ns || hk->finished_bytes >= atomic_load(&hk->finished_max)) {
		hk->finished_bytes = 0;
		int err = sl_checkpoints_store(s, false);
		if (err)
			sl_log(SL_LOG_WARN, "storage", "checkpoints: %s", strerror(-err));
		hk->next_checkpoint_ns = now + CHECKPOINT_NS;
	}
}

static int sleep_ms(const struct sl_hk *hk, uint64_t now)
{
	uint64_t due = SL_MIN(hk->next_retention_ns, hk->next_checkpoint_ns);

	for (const struct sl_part *p = hk->pending; p; p = p->pending_next)
		due = SL_MIN(due, p->pending_space ? hk->next_retry_ns : hk->next_soon_ns);
	if (hk->waiting)
		due = SL_MIN(due, now + JOB_LOOK_NS);
	return due <= now ? 0 : (int)SL_MIN((due - now) / 1000000 + 1, (uint64_t)60000);
}

static bool idle(struct sl_store *s)
{
	for (unsigned i = 0; i < s->cfg.writers; i++)
		if (!sl_spsc_empty(&s->writer[i].to_hk))
			return false;
	if (atomic_load_explicit(&s->hk.job_new, memory_order_acquire) ||
	    atomic_load_explicit(&s->hk.retention_now, memory_order_acquire))
		return false;
	return !atomic_load_explicit(&s->hk.stop, memory_order_acquire);
}

static void *hk_main(void *arg)
{
	struct sl_store *s = arg;
	struct sl_hk *hk = &s->hk;

	while (!atomic_load_explicit(&hk->stop, memory_order_acquire)) {
		serve_writers(s);
		sl_hk_jobs(s, sl_clock_mono_ns());
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

void sl_hk_retention_soon(struct sl_store *s)
{
	/* pairs with the look after arming */
	atomic_store_explicit(&s->hk.retention_now, true, memory_order_seq_cst);
	sl_waker_ring(&s->hk.waker);
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
	atomic_store(&hk->finished_max, CHECKPOINT_BYTES);
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
