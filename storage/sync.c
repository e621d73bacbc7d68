/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - group sync: one round at a time per writer.
 *
 * A round takes the partitions that somebody waits for, and those whose data has waited long
 * enough. First it writes: what is not in the file yet, and each partition's journal slot. When
 * all of that is done it syncs every file concerned and the journal. When all of that is done it
 * publishes `synced`. A failed write or sync fails its partition for good: the page that the
 * kernel could not write counts as clean afterwards, so a second sync proves nothing.
 *
 * A partition takes part only when the names of its segments are durable. Until then it is held,
 * so that a directory that cannot be synced stops nobody else.
 */
#include <errno.h>

#include "store_int.h"

#define OVERDUE_FIRST 16u /* of a round, for partitions that nobody waits for */

/* ---- choosing ------------------------------------------------------------------------------ */

static struct sl_part *pop_want(struct sl_store_writer *w)
{
	struct sl_part *p = w->want_head;

	w->want_head = p->want_next;
	if (!w->want_head)
		w->want_tail = NULL;
	p->in_want = false;
	return p;
}

static struct sl_part *pop_dirty(struct sl_store_writer *w)
{
	struct sl_part *p = w->dirty_head;

	w->dirty_head = p->dirty_next;
	if (!w->dirty_head)
		w->dirty_tail = NULL;
	p->in_dirty = false;
	return p;
}

/* A partition chosen as wanted leaves the dirty list too; it is seldom far from its head. */
static void unlink_dirty(struct sl_store_writer *w, struct sl_part *p)
{
	struct sl_part *prev = NULL;

	if (!p->in_dirty)
		return;
	for (struct sl_part *q = w->dirty_head; q != p; q = q->dirty_next)
		prev = q;
	if (prev)
		prev->dirty_next = p->dirty_next;
	else
		w->dirty_head = p->dirty_next;
	if (w->dirty_tail == p)
		w->dirty_tail = prev;
	p->in_dirty = false;
}

static void unlink_want(struct sl_store_writer *w, struct sl_part *p)
{
	struct sl_part *prev = NULL;

	if (!p->in_want)
		return;
	for (struct sl_part *q = w->want_head; q != p; q = q->want_next)
		prev = q;
	if (prev)
		prev->want_next = p->want_next;
	else
		w->want_head = p->want_next;
	if (w->want_tail == p)
		w->want_tail = prev;
	p->in_want = false;
}

void sl_writer_unlist(struct sl_store_writer *w, struct sl_part *p)
{
	unlink_want(w, p);
	unlink_dirty(w, p);
	w->held -= p->held;
	p->held = p->held_want = false;
}

static uint64_t want_due(const struct sl_store_writer *w)
{
	if (!w->want_head)
		return UINT64_MAX;
	if (w->draining || w->want_bytes >= w->store->cfg.sync_bytes)
		return 0;
	return w->want_head->want_ns + (uint64_t)w->store->cfg.sync_interval_us * 1000;
}

static uint64_t dirty_due(const struct sl_store_writer *w)
{
	if (!w->dirty_head)
		return UINT64_MAX;
	if (w->draining)
		return 0;
	return w->dirty_head->dirty_ns + (uint64_t)w->store->cfg.flush_interval_ms * 1000000;
}

uint64_t sl_round_due(const struct sl_store_writer *w)
{
	if (w->round.phase != SL_ROUND_IDLE)
		return UINT64_MAX; /* completions ring the eventfd */
	return SL_MIN(want_due(w), dirty_due(w));
}

/* ---- writing ------------------------------------------------------------------------------- */

static void write_slot(struct sl_store_writer *w, struct sl_round_part *rp)
{
	struct sl_part *p = rp->p;
	const struct sl_stripe *st = p->tail_st;
	struct sl_tail_mark m = {
		.part = p->pub.id,
		.fresh = rp->seg->fresh,
		.seg_base = rp->seg->base,
		.end_pos = sl_seg_size(rp->seg),
		.synced = rp->target_off,
		.seq = ++p->journal_seq,
	};
	uint32_t tail = (uint32_t)(m.end_pos % SL_IO_BLOCK);

	memcpy(m.topic_id, p->pub.topic->id, 16);
	SL_ASSERT(tail == 0 || !st || st->seg == rp->seg);
	m.bytes = st && tail ? st->mem + st->used - tail : p->tail_blk;
	rp->slot_req = (struct sl_io_req){
		.op = SL_IO_WRITE,
		.kind = SL_RK_SLOT,
		.fd = w->journal_fd,
		.buf = rp->slot,
		.len = sl_tail_fill(&m, rp->slot),
		.off = sl_tail_off(p->journal_slot, m.seq),
		.owner = rp,
	};
	w->inflight++;
	w->store->io->submit(w->io, &rp->slot_req);
}

/* Every segment with records below the log end has a name that survives a power cut. */
static bool names_durable(const struct sl_part *p)
{
	for (const struct sl_seg *g = p->closing; g; g = g->next_closing)
		if (!(sl_seg_flags(g) & SL_SEG_DURABLE))
			return false;
	return sl_seg_flags(atomic_load_explicit(&p->active, memory_order_relaxed)) &
	       SL_SEG_DURABLE;
}

/* It takes part again when the housekeeper says that its names are durable. */
static void hold(struct sl_store_writer *w, struct sl_part *p, bool wanted)
{
	w->held += !p->held;
	p->held = true;
	p->held_want = p->held_want || wanted;
}

/* At the heads of the lists, with the time at which it came there first. */
void sl_round_release(struct sl_store_writer *w, struct sl_part *p)
{
	bool dead = sl_part_dead(p), wanted = p->held_want;

	if (!p->held || (!dead && !names_durable(p)))
		return;
	p->held = p->held_want = false;
	w->held--;
	if (dead)
		return;
	if (wanted && !p->in_want) {
		p->in_want = true;
		p->want_next = w->want_head;
		w->want_head = p;
		w->want_tail = w->want_tail ? w->want_tail : p;
	}
	if (!p->in_dirty) {
		p->in_dirty = true;
		p->dirty_next = w->dirty_head;
		w->dirty_head = p;
		w->dirty_tail = w->dirty_tail ? w->dirty_tail : p;
	}
}

static void add_part(struct sl_store_writer *w, struct sl_part *p, bool wanted)
{
	struct sl_round_part *rp = &w->round.part[w->round.cnt];

	if (p->round || sl_part_dead(p))
		return;
	if (!names_durable(p)) {
		hold(w, p, wanted);
		return;
	}
	w->round.cnt++;
	rp->p = p;
	rp->seg = atomic_load_explicit(&p->active, memory_order_relaxed);
	rp->target_abs = p->end_abs;
	rp->target_off = sl_part_end(p);
	rp->slot_done = rp->failed = rp->block_busy = false;
	p->round = rp;
	write_slot(w, rp);
	sl_writer_submit_part(w, p);
}

static void begin(struct sl_store_writer *w, uint64_t now)
{
	struct sl_round *r = &w->round;
	bool wanted = want_due(w) <= now;

	r->cnt = 0;
	r->journal_failed = false;
	/* overdue ones first, but not many: else they starve where more than a round's worth of
	 * partitions is always wanted */
	while (r->cnt < OVERDUE_FIRST && dirty_due(w) <= now)
		add_part(w, pop_dirty(w), false);
	while (wanted && w->want_head && r->cnt < SL_ROUND_PARTS) {
		struct sl_part *p = pop_want(w);
		unlink_dirty(w, p);
		add_part(w, p, true);
	}
	if (!w->want_head)
		w->want_bytes = 0;
	while (r->cnt < SL_ROUND_PARTS && dirty_due(w) <= now)
		add_part(w, pop_dirty(w), false);
	if (r->cnt)
		r->phase = SL_ROUND_WRITE;
}

void sl_round_slot_done(struct sl_store_writer *w, struct sl_round_part *rp, int res)
{
	rp->slot_done = true;
	if (res) {
		atomic_fetch_add_explicit(&w->write_failed, 1, memory_order_relaxed);
		sl_writer_part_fail(w, rp->p);
		rp->failed = true;
	}
}

static bool part_written(struct sl_round_part *rp)
{
	if (sl_part_dead(rp->p))
		rp->failed = true;
	if (!rp->slot_done || rp->block_busy)
		return false;
	return rp->failed || rp->p->written_abs >= rp->target_abs;
}

/* ---- syncing ------------------------------------------------------------------------------- */

static void sync_fd(struct sl_store_writer *w, struct sl_io_req *r, int fd, enum sl_req_kind kind,
		    void *owner)
{
	*r = (struct sl_io_req){.op = SL_IO_SYNC, .kind = (uint8_t)kind, .fd = fd, .owner = owner};
	w->inflight++;
	w->round.pending++;
	atomic_fetch_add_explicit(&w->syncs, 1, memory_order_relaxed);
	w->store->io->submit(w->io, r);
}

static void sync_part(struct sl_store_writer *w, struct sl_round_part *rp)
{
	unsigned n = 0;
	bool active = true;

	for (struct sl_seg *g = rp->p->closing; g; g = g->next_closing) {
		sync_fd(w, &rp->sync_req[n++], g->wfd, SL_RK_SYNC, rp);
		if (g == rp->seg) { /* rolled meanwhile: nothing of this round lies behind it */
			active = false;
			break;
		}
	}
	if (active)
		sync_fd(w, &rp->sync_req[n], rp->seg->wfd, SL_RK_SYNC, rp);
}

void sl_round_sync_done(struct sl_store_writer *w, struct sl_round_part *rp, int res)
{
	w->round.pending--;
	if (res) {
		atomic_fetch_add_explicit(&w->sync_failed, 1, memory_order_relaxed);
		sl_writer_part_fail(w, rp->p);
		rp->failed = true;
	}
}

void sl_round_journal_done(struct sl_store_writer *w, int res)
{
	w->round.pending--;
	if (res) {
		atomic_fetch_add_explicit(&w->sync_failed, 1, memory_order_relaxed);
		w->round.journal_failed = true;
	}
}

/* ---- publishing ---------------------------------------------------------------------------- */

static void drop_closing(struct sl_store_writer *w, struct sl_part *p, int64_t synced)
{
	bool done = false;

	while (p->closing && p->closing->end <= synced) {
		struct sl_seg *g = p->closing;
		p->closing = g->next_closing;
		p->closing_cnt--;
		sl_writer_forget_tail(w, p, g);
		sl_seg_flag(g, SL_SEG_DONE); /* from here on it is the housekeeper's */
		done = true;
	}
	if (!p->closing)
		p->closing_tail = &p->closing;
	if (done)
		sl_writer_ask_hk(w, p, SL_HK_DONE);
}

static void publish(struct sl_store_writer *w)
{
	for (unsigned i = 0; i < w->round.cnt; i++) {
		struct sl_round_part *rp = &w->round.part[i];
		struct sl_part *p = rp->p;
		p->round = NULL;
		if (w->round.journal_failed)
			sl_writer_part_fail(w, p);
		if (rp->failed || w->round.journal_failed)
			continue;
		/* release: pairs with the acquire in sl_part_synced() */
		atomic_store_explicit(&p->pub.synced, rp->target_off, memory_order_release);
		drop_closing(w, p, rp->target_off);
	}
	w->round.phase = SL_ROUND_IDLE;
	w->round.cnt = 0;
	w->ring_pending = true;
}

unsigned sl_round_poll(struct sl_store_writer *w, uint64_t now_ns)
{
	struct sl_round *r = &w->round;
	unsigned moved = 0;

	if (r->phase == SL_ROUND_IDLE && sl_round_due(w) <= now_ns) {
		begin(w, now_ns);
		moved++;
	}
	if (r->phase == SL_ROUND_WRITE) {
		for (unsigned i = 0; i < r->cnt; i++)
			if (!part_written(&r->part[i]))
				return moved;
		for (unsigned i = 0; i < r->cnt; i++)
			if (!r->part[i].failed)
				sync_part(w, &r->part[i]);
		sync_fd(w, &r->journal_req, w->journal_fd, SL_RK_JOURNAL, NULL);
		r->phase = SL_ROUND_SYNC;
		return moved + 1;
	}
	if (r->phase == SL_ROUND_SYNC && r->pending == 0) {
		publish(w);
		moved++;
	}
	return moved;
}
