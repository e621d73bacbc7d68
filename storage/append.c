/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c - one batch into its partition: checks, place, copy, publish.
 *
 * Nothing here waits. What is missing (a stripe, an extent, the next segment) is asked for and the
 * append is given back with -EAGAIN, unchanged.
 */
#include <errno.h>

#include "copy.h"
#include "platform/base/clock.h"
#include "store_int.h"

#define YEAR_2000_MS 946684800000ll
#define FUTURE_MS    (3600ll * 1000)

/* ---- lists --------------------------------------------------------------------------------- */

void sl_writer_dirty(struct sl_store_writer *w, struct sl_part *p)
{
	if (p->in_dirty || p->held)
		return;
	p->in_dirty = true;
	p->dirty_ns = sl_clock_mono_ns();
	p->dirty_next = NULL;
	if (w->dirty_tail)
		w->dirty_tail->dirty_next = p;
	else
		w->dirty_head = p;
	w->dirty_tail = p;
}

void sl_writer_want(struct sl_store_writer *w, struct sl_part *p)
{
	if (p->in_want || (p->held && p->held_want))
		return;
	p->want_ns = sl_clock_mono_ns();
	if (p->held) {
		p->held_want = true;
		return;
	}
	p->in_want = true;
	p->want_next = NULL;
	if (w->want_tail)
		w->want_tail->want_next = p;
	else
		w->want_head = p;
	w->want_tail = p;
}

void sl_writer_ask_hk(struct sl_store_writer *w, struct sl_part *p, uint32_t bits)
{
	uint32_t had = atomic_fetch_or_explicit(&p->to_hk, bits, memory_order_acq_rel);

	if (had == 0) {
		bool ok = sl_spsc_push(&w->to_hk, p);
		SL_ASSERT(ok); /* each partition is in the ring once at most */
	}
	if ((had | bits) != had)
		sl_waker_ring(&w->store->hk.waker);
}

void sl_writer_part_fail(struct sl_store_writer *w, struct sl_part *p)
{
	if (!sl_part_fail(p))
		return;
	w->ring_pending = true; /* who waits for its sync waits in vain */
	sl_round_release(w, p);
	sl_writer_ask_hk(w, p, SL_HK_FAILED);
}

/* ---- room ---------------------------------------------------------------------------------- */

/* What a device's clock may do to rolling is bounded: before 2000 and far ahead count as now. */
static int64_t sane_ts(int64_t ts, int64_t now)
{
	if (now < YEAR_2000_MS)
		return ts;
	return ts < YEAR_2000_MS ? now : SL_MIN(ts, now + FUTURE_MS);
}

/* Kafka's LogSegment.shouldRoll; our index thins itself and is never full. */
static bool must_roll(const struct sl_part *p, const struct sl_append *a, int64_t now)
{
	const struct sl_topic *t = p->pub.topic;
	const struct sl_seg *g = atomic_load_explicit(&p->active, memory_order_relaxed);
	uint32_t size = sl_seg_size(g);
	int64_t end = atomic_load_explicit(&p->pub.log_end, memory_order_relaxed);

	if (size == 0)
		return false;
	if (size + (uint64_t)a->len >
	    (uint64_t)atomic_load_explicit(&t->segment_bytes, memory_order_relaxed))
		return true;
	if (end + a->records - 1 - g->base > INT32_MAX)
		return true;
	if (g->first_ts < 0)
		return false;
	int64_t ts = sl_batch_max_ts(a->batch);
	return ts >= 0 && sane_ts(ts, now) - sane_ts(g->first_ts, now) >
				  atomic_load_explicit(&t->segment_ms, memory_order_relaxed);
}

static int wait_hk(struct sl_store_writer *w, struct sl_part *p, uint32_t bits)
{
	if (sl_part_state(p) == SL_PART_DISK_FULL)
		return -ENOSPC; /* the housekeeper tries again by itself */
	sl_writer_ask_hk(w, p, bits);
	return -EAGAIN;
}

/* Makes the spare the active segment. False: there is none yet, or too many are unsynced. */
bool sl_writer_roll(struct sl_store_writer *w, struct sl_part *p)
{
	struct sl_seg *old = atomic_load_explicit(&p->active, memory_order_relaxed);
	struct sl_seg *g = atomic_load_explicit(&p->spare, memory_order_acquire);

	if (p->closing_cnt == SL_CLOSING_MAX) {
		sl_writer_want(w, p);
		return false;
	}
	if (!g)
		return false;
	atomic_store_explicit(&p->spare, NULL, memory_order_relaxed);
	sl_writer_finish_stripe(w, p);
	old->end = atomic_load_explicit(&p->pub.log_end, memory_order_relaxed);
	sl_seg_flag(old, SL_SEG_CLOSED);
	old->next_closing = NULL;
	*p->closing_tail = old;
	p->closing_tail = &old->next_closing;
	p->closing_cnt++;
	g->base = g->end = old->end;
	atomic_store_explicit(&g->max_ts_off, g->base, memory_order_relaxed);
	old->snap = g->snap; /* made of late, so that it is large enough */
	g->snap = NULL;
	if (old->snap)
		old->snap->filled = sl_producers_copy(p->producers, old->snap->p, old->snap->cap,
						      &old->snap->cnt);
	atomic_store_explicit(&p->need, 0, memory_order_relaxed);
	atomic_store_explicit(&p->active, g, memory_order_release);
	uint32_t in = atomic_load_explicit(&p->rolled_in, memory_order_relaxed);
	atomic_store_explicit(&p->rolled[in % SL_ROLLED_RING], g, memory_order_relaxed);
	atomic_store_explicit(&p->rolled_in, in + 1, memory_order_release);
	sl_writer_dirty(w, p); /* its sync says in the journal where the log goes on */
	sl_writer_ask_hk(w, p, SL_HK_ROLLED);
	return true;
}

/* Asks for the next extent and the next segment before they are needed. */
static void look_ahead(struct sl_store_writer *w, struct sl_part *p, const struct sl_seg *g,
		       uint32_t size)
{
	int64_t max = atomic_load_explicit(&p->pub.topic->segment_bytes, memory_order_relaxed);
	uint32_t alloc = atomic_load_explicit(&g->alloc, memory_order_acquire);
	uint32_t low = atomic_load_explicit(&p->extent_low, memory_order_relaxed);

	if (alloc - SL_MIN(alloc, size) < low && (int64_t)alloc < max &&
	    !(atomic_load_explicit(&p->to_hk, memory_order_relaxed) & SL_HK_EXTEND))
		sl_writer_ask_hk(w, p, SL_HK_EXTEND);
	if (max - (int64_t)size < (int64_t)SL_MAX(2 * low, max / 4) &&
	    !atomic_load_explicit(&p->spare, memory_order_relaxed) &&
	    !(atomic_load_explicit(&p->to_hk, memory_order_relaxed) & SL_HK_SPARE))
		sl_writer_ask_hk(w, p, SL_HK_SPARE);
}

/* Place for a batch: segment, extent, stripe. 0 or -EAGAIN, -ENOSPC, -EIO. */
static int make_room(struct sl_store_writer *w, struct sl_part *p, const struct sl_append *a,
		     int64_t now)
{
	if (must_roll(p, a, now) && !sl_writer_roll(w, p)) {
		if (p->closing_cnt == SL_CLOSING_MAX)
			return -EAGAIN;
		return wait_hk(w, p, SL_HK_SPARE);
	}
	struct sl_seg *g = atomic_load_explicit(&p->active, memory_order_relaxed);
	uint32_t need = (uint32_t)SL_ALIGN_UP(sl_seg_size(g) + a->len, SL_IO_BLOCK);
	if (need > atomic_load_explicit(&g->alloc, memory_order_acquire)) {
		atomic_store_explicit(&p->need, need, memory_order_relaxed);
		return wait_hk(w, p, SL_HK_EXTEND);
	}
	struct sl_stripe *st = p->tail_st;
	if (st && st->open && st->bytes - st->used >= a->len)
		return 0;
	if (sl_writer_open_stripe(w, p, a->len))
		return 0;
	return sl_writer_stuck(w) ? -EIO : -EAGAIN;
}

/* ---- counting ------------------------------------------------------------------------------ */

static void count_failed(struct sl_store_writer *w, const struct sl_append *a,
			 enum sl_append_reason why)
{
	sl_ctr_add(&w->ctr->failed[a->origin][why], a->records);
}

/* Keeps the compiler from moving stores: a killed process leaves a prefix of them, for every store
 * that was carried out reaches memory. */
static void intent_begin(struct sl_ctr_writer *c, const struct sl_append *a,
			 const struct sl_part *p, int64_t end)
{
	uint32_t id;

	memcpy(&id, p->pub.topic->id, sizeof(id));
	sl_ctr_set(&c->intent_origin, a->origin);
	sl_ctr_set(&c->intent_records, a->records);
	sl_ctr_set(&c->intent_bytes, a->len);
	sl_ctr_set(&c->intent_end, (uint64_t)end);
	sl_ctr_set(&c->intent_part, (uint64_t)(uint32_t)p->pub.id << 32 | id);
	sl_ctr_set(&c->intent_prev, c->appended[a->origin]);
	sl_ctr_set(&c->intent_prev_bytes, c->appended_bytes[a->origin]);
	atomic_signal_fence(memory_order_seq_cst);
	sl_ctr_add(&c->intent_seq, 1);
	atomic_signal_fence(memory_order_seq_cst);
}

static void intent_end(struct sl_ctr_writer *c, const struct sl_append *a)
{
	atomic_signal_fence(memory_order_seq_cst);
	sl_ctr_add(&c->appended[a->origin], a->records);
	sl_ctr_add(&c->appended_bytes[a->origin], a->len);
	atomic_signal_fence(memory_order_seq_cst);
	sl_ctr_add(&c->intent_seq, 1);
}

/* ---- publishing ---------------------------------------------------------------------------- */

/* Waymarks, so that a reader need not walk a stripe from its start. */
static void leave_mark(struct sl_stripe *st, uint32_t pos, int64_t offset)
{
	uint32_t k = (uint32_t)((uint64_t)pos * SL_STRIPE_MARKS / st->bytes);
	uint64_t rel = (uint64_t)(offset - st->first_off);

	if (pos == st->head || rel > UINT32_MAX ||
	    atomic_load_explicit(&st->marks[k], memory_order_relaxed))
		return;
	atomic_store_explicit(&st->marks[k], rel << 32 | pos, memory_order_relaxed);
}

static void publish(struct sl_store_writer *w, struct sl_part *p, struct sl_append *a, int64_t now)
{
	struct sl_part_pub *pub = sl_part_pubw(p);
	struct sl_stripe *st = p->tail_st;
	struct sl_seg *g = st->seg;
	int64_t base = atomic_load_explicit(&pub->log_end, memory_order_relaxed);
	int64_t end = base + a->records;
	uint8_t *b = st->mem + st->used;
	uint32_t pos = sl_seg_size(g);

	sl_copy(b, a->batch, a->len);
	sl_batch_set_base_offset(b, base);
	sl_batch_set_leader_epoch(b, pub->leader_epoch);
	leave_mark(st, st->used, base);
	sl_seg_note(
		g,
		(uint32_t)atomic_load_explicit(&p->pub.topic->index_interval, memory_order_relaxed),
		b, pos, a->len);
	atomic_store_explicit(&g->touched_ms, now, memory_order_relaxed);
	intent_begin(w->ctr, a, p, end);
	st->used += a->len;
	/* release: the bytes are there for whoever sees `used`, the next process included */
	atomic_store_explicit(&st->desc->used, st->used, memory_order_release);
	p->end_abs += a->len;
	atomic_store_explicit(&g->size, pos + a->len, memory_order_release);
	atomic_store_explicit(&pub->end_bytes, p->end_abs, memory_order_relaxed);
	atomic_store_explicit(&pub->log_end, end, memory_order_release);
	intent_end(w->ctr, a);
	a->base_offset = base;
	a->log_start = atomic_load_explicit(&pub->log_start, memory_order_relaxed);
	w->ring_pending = true;
	sl_writer_dirty(w, p);
	if (a->ack == SL_ACK_SYNCED || a->ack == SL_ACK_CENTRAL) {
		sl_writer_want(w, p);
		w->want_bytes += a->len;
	}
	look_ahead(w, p, g, pos + a->len);
}

/* ---- the call ------------------------------------------------------------------------------ */

static int refuse(struct sl_store_writer *w, const struct sl_append *a)
{
	const struct sl_topic *t = a->part->pub.topic;
	enum sl_part_state state = sl_part_state(a->part);
	int64_t max =
		SL_MIN((int64_t)atomic_load_explicit(&t->max_message_bytes, memory_order_relaxed),
		       atomic_load_explicit(&t->segment_bytes, memory_order_relaxed));

	if (state == SL_PART_FAILED) {
		count_failed(w, a, SL_APPEND_IO_ERROR);
		return -EIO;
	}
	if (state == SL_PART_DELETED) {
		count_failed(w, a, SL_APPEND_DELETED);
		return -ENOENT;
	}
	if ((int64_t)a->len > max || a->len > SL_BATCH_MAX_BYTES) {
		count_failed(w, a, SL_APPEND_TOO_LARGE);
		return -EMSGSIZE;
	}
	return 0;
}

static int append(struct sl_store_writer *w, struct sl_append *a)
{
	struct sl_part *p = a->part;
	int64_t now = sl_store_now_ms(w->store);
	struct sl_pappend pa = {.pid = a->producer_id,
				.epoch = a->producer_epoch,
				.base_seq = a->base_sequence,
				.records = a->records};

	int err = refuse(w, a);
	if (err)
		return err;
	if (a->producer_id >= 0) {
		err = sl_producers_check(p->producers, &pa, sl_part_end(p) == 0, now,
					 (int64_t)w->store->cfg.pid_expiry_ms, &a->base_offset);
		a->log_start = sl_part_start(p);
		if (err)
			return err;
	}
	err = make_room(w, p, a, now);
	if (err) {
		if (err != -EAGAIN)
			count_failed(w, a,
				     err == -ENOSPC ? SL_APPEND_DISK_FULL : SL_APPEND_IO_ERROR);
		return err;
	}
	publish(w, p, a, now);
	if (a->producer_id >= 0) {
		pa.base_offset = a->base_offset;
		pa.ts_ms = sl_batch_max_ts(a->batch);
		sl_producers_put(p->producers, &pa, now);
	}
	return 0;
}

int sl_store_append(struct sl_store_writer *w, struct sl_append *a)
{
	SL_DASSERT(a->part->w == w && a->len >= SL_BATCH_HDR && a->records >= 1);
	SL_DASSERT(sl_batch_total(a->batch) == a->len && a->origin < SL_ORIGIN_CNT);
	SL_DASSERT((uint32_t)sl_batch_last_delta(a->batch) + 1 == a->records);
	a->err = append(w, a);
	return a->err;
}
