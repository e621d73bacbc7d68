/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "platform/base/clock.h"

#define SPINS_SHARED  2 /* empty turns before sleeping, on the CPU of an ingest lcore */
#define REST_MAX_NS   1000000000u
#define REST_HELD_NS  2000000u /* with a batch that storage could not take */
#define REST_DRAIN_NS 1000000u
#define NAP_NS        100000u /* of the control thread, while it waits for this one */

enum state { NEW, UP, FAILED, GONE };

struct lane {
	struct sl_handoff *rings;
	struct sl_waker *starved;         /* of an ingest lcore; or */
	_Atomic(struct sl_waker *) *done; /* of an injector */
	uint32_t at, cnt;                 /* held[at .. cnt) is taken and not yet appended */
	struct sl_append *held[SL_WRITER_BURST];
};

struct sl_writer {
	struct sl_store *store;
	struct sl_store_writer *sw;
	struct sl_ctr_writer *ctr;
	struct sl_idler idle;
	unsigned idx;
	unsigned ingest_cnt;
	unsigned held; /* lanes whose head storage could not take in the last turn */
	int outcome;
	struct lane *lane; /* ingest lcores first, then SL_INJECTORS_MAX injectors */
	/* others write, or read while this thread runs */
	_Atomic(struct sl_inject_lane *) inject[SL_INJECTORS_MAX] SL_ALIGNED(SL_CACHELINE);
	_Atomic uint64_t stop_ns SL_ALIGNED(SL_CACHELINE); /* 0: run */
	_Atomic int state;
	_Atomic int attach_rc;
	_Atomic uint64_t turns SL_ALIGNED(SL_CACHELINE);
};

/* ---- life ------------------------------------------------------------------------------------ */

int sl_writer_new(const struct sl_writer_cfg *cfg, struct sl_writer **ret_writer)
{
	if (cfg->idx >= SL_STORE_WRITERS_MAX || !cfg->ctr)
		return -EINVAL;
	struct sl_writer *w = aligned_alloc(SL_CACHELINE, sizeof(*w));
	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->store = cfg->store;
	w->idx = cfg->idx;
	w->ctr = cfg->ctr;
	w->ingest_cnt = cfg->ingest_cnt;
	int rc = -ENOMEM;
	w->lane = calloc(cfg->ingest_cnt + SL_INJECTORS_MAX, sizeof(*w->lane));
	if (w->lane)
		rc = sl_idle_init(&w->idle, cfg->spin);
	if (cfg->shares_cpu)
		w->idle.spins = SPINS_SHARED;
	if (rc) {
		sl_writer_free(w);
		return rc;
	}
	*ret_writer = w;
	return 0;
}

void sl_writer_set_ingest(struct sl_writer *w, unsigned nth, struct sl_handoff *lane,
			  struct sl_waker *starved)
{
	SL_ASSERT(nth < w->ingest_cnt);
	w->lane[nth].rings = lane;
	w->lane[nth].starved = starved;
}

void sl_writer_free(struct sl_writer *w)
{
	if (!w)
		return;
	sl_idle_fini(&w->idle);
	free(w->lane);
	free(w);
}

struct sl_waker *sl_writer_waker(struct sl_writer *w)
{
	return &w->idle.waker;
}

void sl_writer_add_lane(struct sl_writer *w, unsigned nth, struct sl_inject_lane *lane)
{
	SL_ASSERT(nth < SL_INJECTORS_MAX);
	atomic_store_explicit(&w->inject[nth], lane, memory_order_release);
}

bool sl_writer_gone(const struct sl_writer *w)
{
	return atomic_load_explicit(&w->state, memory_order_acquire) == GONE;
}

/* ---- a turn ------------------------------------------------------------------------------------
 */

static void give_back(struct lane *l, uint32_t from, uint32_t to)
{
	struct sl_waker *k = l->starved;

	sl_handoff_return(l->rings, l->held + from, to - from);
	if (l->done)
		k = atomic_load_explicit(l->done, memory_order_acquire);
	if (k)
		sl_waker_ring(k);
}

/* Appends from the head of a lane until it is empty or storage wants to be polled first. */
static unsigned serve_lane(struct sl_writer *w, struct lane *l)
{
	if (l->at == l->cnt) {
		l->at = 0;
		l->cnt = sl_handoff_take(l->rings, l->held, SL_WRITER_BURST);
	}
	uint32_t from = l->at;
	for (; l->at < l->cnt; l->at++) {
		struct sl_append *a = l->held[l->at];
		uint32_t records = a->records;
		if (sl_store_append(w->sw, a) == -EAGAIN) {
			w->held++;
			break;
		}
		if (!l->done) /* an ingest lcore's */
			sl_ctr_add(&w->ctr->taken, records);
	}
	if (l->at > from)
		give_back(l, from, l->at);
	return l->at - from;
}

/* The lanes of injectors appear while this thread runs. */
static void find_lanes(struct sl_writer *w)
{
	for (unsigned i = 0; i < SL_INJECTORS_MAX; i++) {
		struct lane *l = &w->lane[w->ingest_cnt + i];
		if (l->rings)
			continue;
		struct sl_inject_lane *in =
			atomic_load_explicit(&w->inject[i], memory_order_acquire);
		if (in) {
			l->done = &in->done;
			l->rings = &in->rings;
		}
	}
}

SL_HOT unsigned sl_writer_turn(struct sl_writer *w)
{
	unsigned moved = 0;

	w->held = 0;
	find_lanes(w);
	for (unsigned i = 0; i < w->ingest_cnt + SL_INJECTORS_MAX; i++)
		if (w->lane[i].rings)
			moved += serve_lane(w, &w->lane[i]);
	moved += sl_store_poll(w->sw, sl_clock_mono_ns());
	/* pairs with sl_writer_quiesce(): what was read in this turn is let go */
	atomic_store_explicit(&w->turns, atomic_load_explicit(&w->turns, memory_order_relaxed) + 1,
			      memory_order_release);
	return moved;
}

/* ---- resting ------------------------------------------------------------------------------------
 */

static bool lanes_pending(struct sl_writer *w)
{
	find_lanes(w);
	for (unsigned i = 0; i < w->ingest_cnt + SL_INJECTORS_MAX; i++) {
		const struct lane *l = &w->lane[i];
		if (l->rings && l->at == l->cnt && sl_handoff_pending(l->rings))
			return true;
	}
	return false;
}

static bool lanes_empty(struct sl_writer *w)
{
	for (unsigned i = 0; i < w->ingest_cnt + SL_INJECTORS_MAX; i++)
		if (w->lane[i].at < w->lane[i].cnt)
			return false;
	return !lanes_pending(w);
}

static void rest(struct sl_writer *w, uint64_t max_ns)
{
	sl_idle_arm(&w->idle);
	uint64_t now = sl_clock_mono_ns(), due = sl_store_deadline(w->sw);
	uint64_t ns = due <= now ? 0 : SL_MIN(due - now, max_ns);
	/* pairs with the fence in sl_waker_ring(): after arming, look once more */
	if (ns == 0 || lanes_pending(w))
		sl_idle_disarm(&w->idle);
	else
		sl_idle_wait(&w->idle, ns);
}

/* ---- running ------------------------------------------------------------------------------------
 */

int sl_writer_attach(struct sl_writer *w)
{
	int rc = sl_store_writer_attach(w->store, w->idx, &w->sw);

	if (!rc)
		rc = sl_idle_add_fd(&w->idle, sl_store_writer_fd(w->sw));
	return rc;
}

static void run_until_stopped(struct sl_writer *w)
{
	while (!atomic_load_explicit(&w->stop_ns, memory_order_acquire)) {
		unsigned moved = sl_writer_turn(w);
		if (!sl_idle_turn(&w->idle, moved > 0))
			continue;
		sl_idle_arm(&w->idle);
		if (atomic_load_explicit(&w->stop_ns, memory_order_seq_cst))
			break;
		rest(w, w->held ? REST_HELD_NS : REST_MAX_NS);
	}
	sl_idle_disarm(&w->idle);
}

/* What could not be appended in time: counted here, given back with the error. */
static uint64_t refuse_rest(struct sl_writer *w)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < w->ingest_cnt + SL_INJECTORS_MAX; i++) {
		struct lane *l = &w->lane[i];
		if (l->at == l->cnt)
			l->at = l->cnt = 0;
		while (l->rings &&
		       (l->at < l->cnt ||
			(l->cnt = sl_handoff_take(l->rings, l->held, SL_WRITER_BURST)) > 0)) {
			uint32_t from = l->at;
			for (; l->at < l->cnt; l->at++) {
				struct sl_append *a = l->held[l->at];
				a->err = -ESHUTDOWN;
				left += a->records;
				sl_ctr_add(&w->ctr->failed[a->origin][SL_APPEND_SHUTDOWN],
					   a->records);
				if (!l->done)
					sl_ctr_add(&w->ctr->taken, a->records);
			}
			give_back(l, from, l->cnt);
			l->at = l->cnt = 0;
		}
	}
	return left;
}

int sl_writer_finish(struct sl_writer *w, uint64_t deadline_ns)
{
	for (;;) {
		unsigned moved = sl_writer_turn(w);
		if (lanes_empty(w) || sl_clock_mono_ns() >= deadline_ns)
			break;
		if (!moved)
			rest(w, REST_DRAIN_NS);
	}
	uint64_t left = refuse_rest(w);
	int rc = sl_store_writer_drain(w->sw, deadline_ns);
	sl_store_writer_detach(w->sw);
	w->sw = NULL;
	w->outcome = left ? -ETIMEDOUT : rc;
	atomic_store_explicit(&w->state, GONE, memory_order_release);
	return w->outcome;
}

int sl_writer_run(void *writer)
{
	struct sl_writer *w = writer;
	int rc = sl_writer_attach(w);

	if (rc) {
		sl_store_writer_detach(w->sw);
		atomic_store_explicit(&w->attach_rc, rc, memory_order_relaxed);
		atomic_store_explicit(&w->state, FAILED, memory_order_release);
		return rc;
	}
	atomic_store_explicit(&w->state, UP, memory_order_release);
	run_until_stopped(w);
	return sl_writer_finish(w, atomic_load_explicit(&w->stop_ns, memory_order_relaxed));
}

/* ---- the control thread's side
 * -------------------------------------------------------------------- */

static void nap(void)
{
	const struct timespec ts = {.tv_nsec = NAP_NS};

	nanosleep(&ts, NULL);
}

int sl_writer_wait_up(struct sl_writer *w)
{
	int st;

	while ((st = atomic_load_explicit(&w->state, memory_order_acquire)) == NEW)
		nap();
	return st == FAILED ? atomic_load_explicit(&w->attach_rc, memory_order_relaxed) : 0;
}

void sl_writer_stop(struct sl_writer *w, uint64_t deadline_ns)
{
	atomic_store_explicit(&w->stop_ns, deadline_ns ? deadline_ns : 1, memory_order_seq_cst);
	sl_waker_ring(&w->idle.waker);
}

int sl_writer_outcome(const struct sl_writer *w)
{
	return w->outcome;
}

void sl_writer_quiesce(struct sl_writer *w)
{
	uint64_t before = atomic_load_explicit(&w->turns, memory_order_acquire);

	/* the turn that is under way when we look may have begun before; the one after has not */
	while (atomic_load_explicit(&w->state, memory_order_acquire) == UP &&
	       atomic_load_explicit(&w->turns, memory_order_acquire) < before + 2) {
		sl_waker_ring(&w->idle.waker);
		nap();
	}
}
