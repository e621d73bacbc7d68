/* SPDX-License-Identifier: Apache-2.0 */
/* writer.c - the life of a writer, its poll and its drain. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "store_int.h"

#define REAP_BURST   64u
#define DRAIN_NAP_MS 20
#define EFD_EVERY    16u /* empty polls after which a stale ring is read away */

/* ---- life ---------------------------------------------------------------------------------- */

int sl_writer_init(struct sl_store_writer *w, struct sl_store *s, unsigned idx)
{
	const size_t per = SL_IO_BLOCK + SL_TAIL_SLOT;

	w->store = s;
	w->idx = idx;
	w->pool = &s->arena.pool[idx];
	w->ctr = s->cfg.counters ? &s->cfg.counters->writer[idx] : &w->own_ctr;
	w->journal_fd = -1;
	w->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->efd < 0)
		return -errno;
	bool direct = s->tail.direct;
	w->journal_fd = s->io->open(s->dir.state_fd, SL_TAIL_FILE, false, &direct);
	if (w->journal_fd < 0)
		return w->journal_fd;
	int err = sl_spsc_init(&w->to_hk, SL_STORE_PARTS_MAX);
	if (!err)
		err = sl_spsc_init(&w->from_hk, SL_STORE_PARTS_MAX);
	if (err)
		return err;
	w->round.mem = aligned_alloc(SL_IO_BLOCK, SL_ROUND_PARTS * per);
	if (!w->round.mem)
		return -ENOMEM;
	memset(w->round.mem, 0, SL_ROUND_PARTS * per);
	for (unsigned i = 0; i < SL_ROUND_PARTS; i++) {
		w->round.part[i].block = w->round.mem + i * per;
		w->round.part[i].slot = w->round.mem + i * per + SL_IO_BLOCK;
	}
	return 0;
}

void sl_writer_fini(struct sl_store_writer *w)
{
	if (w->efd > 0)
		close(w->efd);
	if (w->journal_fd > 0)
		close(w->journal_fd);
	sl_spsc_fini(&w->to_hk);
	sl_spsc_fini(&w->from_hk);
	free(w->round.mem);
}

int sl_store_writer_attach(struct sl_store *s, unsigned idx, struct sl_store_writer **ret_writer)
{
	if (idx >= s->cfg.writers)
		return -EINVAL;
	struct sl_store_writer *w = &s->writer[idx];
	bool taken = false;
	if (!atomic_compare_exchange_strong(&w->attached, &taken, true))
		return -EBUSY;
	struct sl_io_cfg cfg = {
		.mem = w->pool->mem,
		.mem_bytes = (size_t)w->pool->chunks * SL_STRIPE_CHUNK,
		.efd = w->efd,
		.hold_fd = s->dir.lock_fd,
	};
	int err = s->io->attach(&cfg, &w->io);
	if (err) {
		atomic_store(&w->attached, false);
		return err;
	}
	*ret_writer = w;
	return 0;
}

int sl_store_writer_fd(const struct sl_store_writer *w)
{
	return w->efd;
}

/* ---- poll ---------------------------------------------------------------------------------- */

static void done(struct sl_store_writer *w, struct sl_io_req *r)
{
	w->inflight--;
	switch ((enum sl_req_kind)r->kind) {
	case SL_RK_STRIPE:
		sl_writer_stripe_done(w, r->owner, r->res);
		break;
	case SL_RK_SLOT:
		sl_round_slot_done(w, r->owner, r->res);
		break;
	case SL_RK_SYNC:
		sl_round_sync_done(w, r->owner, r->res);
		break;
	case SL_RK_JOURNAL:
		sl_round_journal_done(w, r->res);
		break;
	}
}

static unsigned reap(struct sl_store_writer *w)
{
	struct sl_io_req *r[REAP_BURST];
	unsigned n, all = 0;

	if (!w->inflight)
		return 0;
	do {
		n = w->store->io->reap(w->io, r, REAP_BURST);
		for (unsigned i = 0; i < n; i++)
			done(w, r[i]);
		all += n;
	} while (n == REAP_BURST);
	return all;
}

static void roll_for_retention(struct sl_store_writer *w, struct sl_part *p)
{
	if (sl_part_dead(p) ||
	    sl_seg_size(atomic_load_explicit(&p->active, memory_order_relaxed)) == 0)
		return;
	if (sl_writer_roll(w, p))
		sl_writer_want(w, p); /* it can go once it is synced */
	else
		sl_writer_ask_hk(w, p, SL_HK_SPARE); /* retention asks again */
}

/* What the housekeeper has finished: stripes that waited for a name, a roll that retention wants.
 */
static unsigned hear_hk(struct sl_store_writer *w)
{
	struct sl_part *p;
	unsigned n = 0;

	while ((p = sl_spsc_pop(&w->from_hk))) {
		uint32_t bits = atomic_exchange_explicit(&p->to_wr, 0, memory_order_acq_rel);
		n++;
		if (bits & SL_WR_LEAVE) {
			sl_writer_leave(w, p);
			continue;
		}
		if (bits & SL_WR_ROLL)
			roll_for_retention(w, p);
		sl_round_release(w, p);
		if ((bits & SL_WR_SYNC) && !sl_part_dead(p) && sl_part_synced(p) < sl_part_end(p))
			sl_writer_want(w, p);
		sl_writer_submit_part(w, p);
	}
	return n;
}

/*
 * Reads the eventfd away, before looking: what is done later rings again. While there is work
 * only now and then, because a poll loop that moves does not sleep on it.
 */
static void quiet_efd(struct sl_store_writer *w)
{
	uint64_t v;

	if (w->idle_polls++ % EFD_EVERY == 1) {
		ssize_t n = read(w->efd, &v, sizeof(v));
		(void)n;
	}
}

unsigned sl_store_poll(struct sl_store_writer *w, uint64_t now_ns)
{
	quiet_efd(w);
	unsigned moved = reap(w) + hear_hk(w);
	unsigned round;

	while ((round = sl_round_poll(w, now_ns))) {
		moved += round;
		if (w->round.phase != SL_ROUND_IDLE)
			break;
	}
	moved += sl_writer_leave_poll(w);
	w->store->io->flush(w->io);
	if (w->ring_pending) {
		w->ring_pending = false;
		sl_store_ring(w->store);
	}
	if (moved)
		w->idle_polls = 0;
	return moved;
}

uint64_t sl_store_deadline(const struct sl_store_writer *w)
{
	return w->ring_pending ? 0 : sl_round_due(w);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void nap(struct sl_store_writer *w)
{
	struct pollfd pfd = {.fd = w->efd, .events = POLLIN};
	uint64_t v;

	if (poll(&pfd, 1, DRAIN_NAP_MS) > 0) {
		ssize_t n = read(w->efd, &v, sizeof(v));
		(void)n;
	}
}

int sl_store_writer_drain(struct sl_store_writer *w, uint64_t deadline_ns)
{
	int err = 0;

	w->draining = true;
	for (;;) {
		uint64_t now = sl_clock_mono_ns();
		if (sl_store_poll(w, now))
			continue;
		if (!w->dirty_head && !w->want_head && !w->held &&
		    w->round.phase == SL_ROUND_IDLE && !w->inflight)
			break;
		if (now >= deadline_ns) {
			err = -ETIMEDOUT;
			break;
		}
		nap(w);
	}
	w->draining = false;
	return err;
}

/*
 * What is under way is waited for, because the kernel still uses the memory; nothing new is
 * begun. What is left in the stripes is written by a clean close or by the next start.
 */
void sl_store_writer_detach(struct sl_store_writer *w)
{
	if (!w)
		return;
	while (w->inflight) {
		w->store->io->flush(w->io);
		if (!reap(w))
			nap(w);
	}
	for (unsigned i = 0; i < w->round.cnt; i++) {
		struct sl_part *p = w->round.part[i].p;
		p->round = NULL;
		/* what its slot says was never published: the next one takes its place, so that the
		 * other slot stays as it is */
		p->journal_seq--;
		sl_writer_dirty(w, p);
	}
	w->round.cnt = 0;
	w->round.phase = SL_ROUND_IDLE;
	w->store->io->detach(w->io);
	w->io = NULL;
	if (w->ring_pending) {
		w->ring_pending = false;
		sl_store_ring(w->store);
	}
	atomic_store(&w->attached, false);
}
