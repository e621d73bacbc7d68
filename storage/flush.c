/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush.c - stripes on their way into the file.
 *
 * A closed stripe writes its whole blocks; the unfinished last one belongs to its successor, which
 * has a copy. So stripes of a partition may be in flight together and never share a block, with
 * two exceptions: a sync writes the unfinished block of the open stripe, from a copy; and a stripe
 * that is finished before its time (a roll, or memory is short) writes its unfinished block itself.
 * Every later write that touches such a block waits, also that of a stripe further on: one that
 * took little lies in a single block with both its neighbours. One write per stripe is in flight at
 * a time.
 */
#include <errno.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "store_int.h"

#define FAST_FILL_NS   100000000ull  /* filled faster: a larger class next time */
#define SLOW_FILL_NS   2000000000ull /* slower: a smaller one */
#define PRESSED_CHUNKS 2u            /* written out at once when there is no stripe to be had */

static uint32_t down(uint32_t n)
{
	return n & ~(SL_IO_BLOCK - 1);
}

static uint32_t up(uint32_t n)
{
	return down(n + SL_IO_BLOCK - 1);
}

/* ---- what is in the file ------------------------------------------------------------------- */

static void covered(struct sl_part *p, const struct sl_stripe *st, uint32_t bytes)
{
	uint32_t pos = (uint32_t)st->file_pos + bytes;

	if (st->abs0 + bytes > p->written_abs)
		p->written_abs = st->abs0 + bytes;
	if (pos > atomic_load_explicit(&st->seg->written, memory_order_relaxed))
		atomic_store_explicit(&st->seg->written, pos, memory_order_release);
}

/* Moves the part of the log that is in the file without a gap. */
static void advance(struct sl_part *p)
{
	struct sl_stripe *st;

	while ((st = p->unw_head)) {
		if (st->open || !st->complete) {
			covered(p, st, st->open ? st->wdone : SL_MIN(st->wdone, st->used));
			return;
		}
		covered(p, st, st->final ? st->used : down(st->used));
		p->unw_head = st->unw_next;
		if (!p->unw_head)
			p->unw_tail = NULL;
		p->unw_closed--;
		p->unw_closed_bytes -= st->bytes;
		st->clean = true;
		if (st->wnext)
			st->wnext->wprev = NULL;
		st->wnext = NULL;
		if (st != p->tail_st) /* the last one tells the next start where the log ends */
			atomic_store_explicit(&st->desc->state, SL_SD_FREE, memory_order_release);
	}
}

/* ---- writing ------------------------------------------------------------------------------- */

static void add_req(struct sl_store_writer *w, struct sl_stripe *st, uint8_t *buf, uint32_t len,
		    uint64_t off, bool fixed)
{
	struct sl_io_req *r = &st->req[st->op_left++];

	*r = (struct sl_io_req){
		.op = SL_IO_WRITE,
		.kind = SL_RK_STRIPE,
		.fixed = fixed,
		.fd = st->seg->wfd,
		.buf = buf,
		.len = len,
		.off = off,
		.owner = st,
	};
	w->inflight++;
	atomic_fetch_add_explicit(&w->writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&w->write_bytes, len, memory_order_relaxed);
	w->store->io->submit(w->io, r);
}

/*
 * The block in which this stripe begins is still being written by one before it, or has yet to be:
 * one that was finished before its time pads that block with zeros. A stripe that never got beyond
 * its first block shares it with its own predecessor, so the search goes back to one that did.
 */
static bool block_busy(const struct sl_stripe *st)
{
	for (const struct sl_stripe *prev = st->wprev; prev; prev = prev->wprev) {
		if ((prev->final && !prev->complete) ||
		    (prev->inflight && prev->file_pos + prev->op_to > st->file_pos))
			return true;
		if (prev->file_pos < st->file_pos)
			break;
	}
	return false;
}

static void completed(struct sl_part *p, struct sl_stripe *st)
{
	if (!st->open)
		st->complete = true;
	advance(p);
}

void sl_writer_submit(struct sl_store_writer *w, struct sl_stripe *st)
{
	struct sl_part *p = st->part;
	bool tail_block = false;
	uint32_t to;

	if (st->inflight || st->complete || sl_part_dead(p) ||
	    !(sl_seg_flags(st->seg) & SL_SEG_NAMED) || block_busy(st))
		return;
	if (st->open) { /* only a sync writes it */
		if (!p->round || p->written_abs >= p->round->target_abs || st->wdone == st->used)
			return;
		to = down(st->used);
		tail_block = to != st->used;
	} else if (st->final) {
		to = st->wdone == st->used ? st->wfull : up(st->used);
		memset(st->mem + st->used, 0, up(st->used) - st->used);
	} else {
		to = down(st->used);
	}
	if (to <= st->wfull && !tail_block) {
		completed(p, st);
		return;
	}
	if (tail_block && p->round->block_busy)
		return;
	st->inflight = true;
	st->op_tail = false;
	st->op_left = 0;
	st->op_err = 0;
	st->op_used = st->used;
	st->op_full = down(st->used);
	st->op_to = tail_block ? to + SL_IO_BLOCK : to;
	if (to > st->wfull)
		add_req(w, st, st->mem + st->wfull, to - st->wfull, st->file_pos + st->wfull, true);
	if (tail_block) { /* a copy: appends go on in the original */
		uint8_t *b = p->round->block;
		p->round->block_busy = st->op_tail = true;
		memcpy(b, st->mem + to, st->used - to);
		memset(b + (st->used - to), 0, SL_IO_BLOCK - (st->used - to));
		add_req(w, st, b, SL_IO_BLOCK, st->file_pos + to, false);
	}
}

void sl_writer_submit_part(struct sl_store_writer *w, struct sl_part *p)
{
	struct sl_stripe *next;

	for (struct sl_stripe *st = p->unw_head; st; st = next) {
		next = st->unw_next;
		sl_writer_submit(w, st);
	}
}

void sl_writer_stripe_done(struct sl_store_writer *w, struct sl_stripe *st, int res)
{
	struct sl_part *p = st->part;

	if (res)
		st->op_err = res;
	if (--st->op_left)
		return;
	st->inflight = false;
	if (st->op_tail)
		p->round->block_busy = false;
	if (st->op_err) {
		atomic_fetch_add_explicit(&w->write_failed, 1, memory_order_relaxed);
		sl_writer_part_fail(w, p);
		return;
	}
	st->wfull = st->op_full;
	st->wdone = st->op_used;
	if (!st->open && st->op_used == st->used && (st->final ? st->op_to >= up(st->used) : true))
		st->complete = true;
	advance(p);
	sl_writer_submit_part(w, p); /* what waited for this block */
}

/* ---- opening and closing ------------------------------------------------------------------- */

static void leave_end(struct sl_store_writer *w, struct sl_part *p, const struct sl_stripe *st)
{
	struct sl_send e = {
		.part = p->pub.id,
		.fresh = st->seg->fresh,
		.seg_base = st->seg->base,
		.pos = st->file_pos + st->used,
		.offset = sl_part_end(p),
	};

	memcpy(e.topic_id, p->pub.topic->id, 16);
	sl_arena_put_end(&w->store->arena, p->journal_slot, &e);
}

/* Whether a stripe may be taken from the cache, and letting go of it. */
static bool reclaim(struct sl_stripe *st, bool commit, void *arg)
{
	struct sl_part *p = st->part;
	struct sl_store_writer *w = arg;

	if (!p) /* of a deleted partition: nobody's */
		return true;
	if (!commit) {
		if (st != p->tail_st || !st->open)
			return st->clean && !(st == p->tail_st && p->round);
		return !st->inflight && st->wdone == st->used && !p->round && p->unw_head == st;
	}
	if (st == p->tail_st) {
		memcpy(p->tail_blk, st->mem + down(st->used), st->used - down(st->used));
		leave_end(w, p, st);
		p->tail_st = NULL;
		w->tails--;
		if (p->unw_head == st) {
			SL_ASSERT(st->open && !st->unw_next);
			p->unw_head = p->unw_tail = NULL;
		}
	}
	atomic_store_explicit(&st->desc->state, SL_SD_FREE, memory_order_release);
	st->part = NULL;
	return true;
}

/* What a failed partition could not write stays where it is until the next start. */
static bool stuck(const struct sl_stripe *st)
{
	const struct sl_part *p = st->part;

	if (!p || sl_part_state(p) != SL_PART_FAILED || st->clean || st->inflight)
		return false;
	return !st->open || st->wdone != st->used || p->unw_head != st;
}

/* Memory is short: what the oldest chunks still hold goes to the disk, so that they can be reused.
 */
static bool finish_old(struct sl_stripe *st, void *arg)
{
	struct sl_part *p = st->part;

	if (stuck(st))
		return false;
	if (p && p->tail_st == st && st->open && st->wdone != st->used)
		sl_writer_finish_stripe(arg, p);
	return true;
}

bool sl_writer_stuck(struct sl_store_writer *w)
{
	if (!atomic_load_explicit(&w->failed_parts, memory_order_relaxed) ||
	    !sl_pool_stuck(w->pool, stuck))
		return false;
	atomic_fetch_add_explicit(&w->stuck, 1, memory_order_relaxed);
	return true;
}

/*
 * A class in which several batches of this size fit, following the partition's rate, but so that
 * the open stripes of all partitions take half of the memory at most.
 */
static uint32_t choose_class(const struct sl_store_writer *w, const struct sl_part *p,
			     uint32_t head, uint32_t len, uint8_t *ret_rate)
{
	const struct sl_stripe *st = p->tail_st;
	uint32_t cls = p->cls;

	if (st && st->open) {
		uint64_t took = sl_clock_mono_ns() - st->opened_ns;
		if (took < FAST_FILL_NS && cls < SL_STRIPE_CLASS_MIB)
			cls++;
		else if (took > SLOW_FILL_NS && cls > 0)
			cls--;
	}
	*ret_rate = (uint8_t)cls;
	while (cls < SL_STRIPE_CLASS_MIB && sl_stripe_bytes[cls] < 4 * len + SL_IO_BLOCK)
		cls++;
	while (cls > 0 && (uint64_t)sl_stripe_bytes[cls] * 2 * (w->tails + 1) >
				  (uint64_t)w->pool->chunks * SL_STRIPE_CHUNK)
		cls--;
	while (sl_stripe_bytes[cls] < head + len)
		cls++;
	SL_ASSERT(cls < SL_STRIPE_CLASSES);
	return cls;
}

static bool may_open(const struct sl_store_writer *w, const struct sl_part *p, uint32_t bytes)
{
	uint64_t share = (uint64_t)w->pool->chunks * SL_STRIPE_CHUNK / 4;

	if (p->unw_closed == 0)
		return true;
	return p->unw_closed < SL_UNWRITTEN_MAX && p->unw_closed_bytes + bytes <= share;
}

static void set_up(struct sl_part *p, struct sl_stripe *st, struct sl_seg *g, uint32_t head)
{
	struct sl_sdesc *d = st->desc;

	st->part = p;
	st->seg = g;
	st->first_off = sl_part_end(p);
	st->head = st->used = head;
	st->file_pos = sl_seg_size(g) - head;
	st->abs0 = p->end_abs - head;
	st->opened_ns = sl_clock_mono_ns();
	st->open = true;
	st->final = st->clean = st->complete = st->inflight = false;
	st->wfull = 0;
	st->wdone = 0;
	st->unw_next = st->wprev = st->wnext = NULL;
	atomic_store_explicit(&st->next, 0, memory_order_relaxed);
	for (unsigned i = 0; i < SL_STRIPE_MARKS; i++)
		atomic_store_explicit(&st->marks[i], 0, memory_order_relaxed);
	d->bytes = st->bytes;
	memcpy(d->topic_id, p->pub.topic->id, 16);
	d->part = p->pub.id;
	d->head = head;
	d->seg_base = g->base;
	d->file_pos = st->file_pos;
	d->base_offset = st->first_off;
	d->fresh = g->fresh;
	atomic_store_explicit(&d->used, head, memory_order_relaxed);
	/* release: the fields above are there for the next process that sees OPEN */
	atomic_store_explicit(&d->state, SL_SD_OPEN, memory_order_release);
}

static void push_unwritten(struct sl_part *p, struct sl_stripe *st)
{
	if (p->unw_tail)
		p->unw_tail->unw_next = st;
	else
		p->unw_head = st;
	p->unw_tail = st;
}

/* The successor has the unfinished block: what is left of the predecessor is whole blocks. */
static void close_for(struct sl_store_writer *w, struct sl_stripe *prev)
{
	prev->open = false;
	atomic_store_explicit(&prev->desc->state, SL_SD_CLOSED, memory_order_release);
	prev->part->unw_closed++;
	prev->part->unw_closed_bytes += prev->bytes;
	sl_writer_submit(w, prev);
}

struct sl_stripe *sl_writer_open_stripe(struct sl_store_writer *w, struct sl_part *p, uint32_t len)
{
	struct sl_seg *g = atomic_load_explicit(&p->active, memory_order_relaxed);
	uint32_t head = sl_seg_size(g) % SL_IO_BLOCK;
	uint8_t rate;
	uint32_t cls = choose_class(w, p, head, len, &rate);

	if (!may_open(w, p, sl_stripe_bytes[cls]))
		return NULL;
	struct sl_stripe *st = sl_pool_alloc(w->pool, cls, reclaim, w);
	if (!st) {
		sl_pool_each_old(w->pool, PRESSED_CHUNKS, finish_old, w);
		return NULL;
	}
	p->cls = rate;
	struct sl_stripe *prev = p->tail_st; /* looked at after alloc, which may have taken it */
	bool carries = prev && prev->seg == g;
	SL_ASSERT(!prev || carries || !prev->open);
	memcpy(st->mem, carries ? prev->mem + down(prev->used) : p->tail_blk, head);
	set_up(p, st, g, head);
	atomic_store_explicit(&st->prev, atomic_load_explicit(&p->tail, memory_order_relaxed),
			      memory_order_relaxed);
	sl_sref ref = sl_stripe_offer(w->pool, st);
	w->tails += !prev;
	p->tail_st = st;
	push_unwritten(p, st);
	if (prev) {
		atomic_store_explicit(&prev->next, ref, memory_order_release);
		if (prev->clean) {
			atomic_store_explicit(&prev->desc->state, SL_SD_FREE, memory_order_release);
		} else if (carries) { /* they meet in a block */
			prev->wnext = st;
			st->wprev = prev;
		}
		if (prev->open)
			close_for(w, prev);
	}
	atomic_store_explicit(&p->tail, ref, memory_order_release);
	return st;
}

/* The open stripe takes no more and writes its unfinished block itself. */
void sl_writer_finish_stripe(struct sl_store_writer *w, struct sl_part *p)
{
	struct sl_stripe *st = p->tail_st;

	if (!st || !st->open)
		return;
	st->open = false;
	st->final = true;
	p->unw_closed++;
	p->unw_closed_bytes += st->bytes;
	if (st->wdone == st->used && !st->inflight)
		completed(p, st);
	else
		sl_writer_submit(w, st);
}

void sl_writer_forget_tail(struct sl_store_writer *w, struct sl_part *p, const struct sl_seg *g)
{
	struct sl_stripe *st = p->tail_st;

	if (!st || st->seg != g)
		return;
	/* the journal says where the log ends; as a cache the stripe stays */
	SL_ASSERT(st->clean && st->final);
	atomic_store_explicit(&st->desc->state, SL_SD_FREE, memory_order_release);
	p->tail_st = NULL;
	w->tails--;
}

/* ---- what a writer left behind ------------------------------------------------------------- */

static int write_plain(struct sl_stripe *st)
{
	uint32_t to = st->open || st->final ? up(st->used) : down(st->used);

	/* in the file already; its last block may have been written by the successor since */
	if (st->complete || st->wdone == st->used)
		return 0;
	if (st->open || st->final)
		memset(st->mem + st->used, 0, up(st->used) - st->used);
	if (to <= st->wfull)
		return 0;
	return sl_io_pwrite_all(st->seg->wfd, st->mem + st->wfull, to - st->wfull,
				st->file_pos + st->wfull);
}

int sl_part_flush_blocking(struct sl_part *p)
{
	struct sl_seg *active = atomic_load(&p->active);

	if (sl_part_synced(p) == sl_part_end(p) && !p->unw_head && !p->closing)
		return 0;
	while (p->unw_head) {
		struct sl_stripe *st = p->unw_head;
		int err = sl_seg_flags(st->seg) & SL_SEG_NAMED ? write_plain(st) : -EIO;
		if (err)
			return err;
		covered(p, st, st->open || st->final ? st->used : down(st->used));
		p->unw_head = st->unw_next;
	}
	p->unw_tail = NULL;
	for (struct sl_seg *g = p->closing; g; g = g->next_closing) {
		if (fdatasync(g->wfd))
			return -errno;
		sl_seg_flag(g, SL_SEG_DONE);
	}
	p->closing = NULL;
	p->closing_cnt = 0;
	if (active->wfd >= 0 && fdatasync(active->wfd))
		return -errno;
	atomic_store_explicit(&p->pub.synced, sl_part_end(p), memory_order_release);
	return 0;
}
