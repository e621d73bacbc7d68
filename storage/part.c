/* SPDX-License-Identifier: Apache-2.0 */
#include "store_int.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- segments ------------------------------------------------------------------------------ */

struct sl_seg *sl_seg_new(int64_t base)
{
	struct sl_seg *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->base = base;
	g->end = base;
	g->first_ts = -1;
	g->old_max = -1;
	g->wfd = -1;
	atomic_init(&g->max_ts, -1);
	atomic_init(&g->max_ts_off, base);
	return g;
}

void sl_seg_free(struct sl_seg *g)
{
	if (!g)
		return;
	if (g->wfd >= 0)
		close(g->wfd);
	sl_idx_free(g->idx);
	free(g->snap);
	free(g);
}

void sl_seg_note(struct sl_seg *g, uint32_t interval, const uint8_t *batch, uint32_t pos,
		 uint32_t total)
{
	int64_t ts = sl_batch_max_ts(batch), last = sl_batch_last_offset(batch);

	if (ts > atomic_load_explicit(&g->max_ts, memory_order_relaxed)) {
		atomic_store_explicit(&g->max_ts_off, last, memory_order_relaxed);
		atomic_store_explicit(&g->max_ts, ts, memory_order_release);
	}
	if (g->first_ts < 0 && ts >= 0)
		g->first_ts = ts;
	sl_idx_note(
		g->idx, interval, (uint32_t)(last - g->base), pos, total,
		atomic_load_explicit(&g->max_ts, memory_order_relaxed),
		(uint32_t)(atomic_load_explicit(&g->max_ts_off, memory_order_relaxed) - g->base));
}

/* ---- partitions ---------------------------------------------------------------------------- */

struct sl_part *sl_part_new(struct sl_store *s, struct sl_topic *t, int32_t id)
{
	struct sl_part *p = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*p), SL_CACHELINE));

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->pub.topic = t;
	p->pub.id = id;
	p->store = s;
	p->journal_slot = SL_NO_SLOT;
	atomic_init(&p->pub.forwarded, -1);
	p->closing_tail = &p->closing;
	p->extent = SL_EXTENT_MIN;
	atomic_init(&p->extent_low, SL_EXTENT_MIN / 2);
	sl_partdir(t->name, id, p->dir);
	pthread_mutex_init(&p->lock, NULL);
	p->producers = sl_producers_new();
	p->tail_blk = calloc(1, SL_IO_BLOCK);
	if (!p->producers || !p->tail_blk) {
		sl_part_free(p);
		return NULL;
	}
	return p;
}

void sl_part_free(struct sl_part *p)
{
	if (!p)
		return;
	uint32_t out = atomic_load(&p->rolled_out), in = atomic_load(&p->rolled_in);
	for (; out != in; out++) /* rolled, but never reached the list */
		sl_seg_free(atomic_load(&p->rolled[out % SL_ROLLED_RING]));
	for (uint32_t i = 0; i < p->seg_cnt; i++)
		sl_seg_free(p->segs[i]);
	sl_seg_free(atomic_load(&p->spare));
	free(p->segs);
	sl_producers_free(p->producers);
	free(p->tail_blk);
	free(p->epoch);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int sl_part_add_seg(struct sl_part *p, struct sl_seg *g)
{
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (p->seg_cnt == p->seg_cap) {
		uint32_t cap = p->seg_cap ? 2 * p->seg_cap : 8;
		struct sl_seg **segs = realloc(p->segs, cap * sizeof(*segs));
		if (segs) {
			p->segs = segs;
			p->seg_cap = cap;
		} else {
			err = -ENOMEM;
		}
	}
	if (!err)
		p->segs[p->seg_cnt++] = g;
	pthread_mutex_unlock(&p->lock);
	return err;
}

struct sl_seg *sl_part_seg_get(struct sl_part *p, int64_t offset, int64_t *ret_next)
{
	struct sl_seg *g = NULL;

	pthread_mutex_lock(&p->lock);
	uint32_t lo = 0, hi = p->seg_cnt;
	while (lo < hi) { /* first one whose base lies beyond */
		uint32_t mid = (lo + hi) / 2;
		if (p->segs[mid]->base <= offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (p->seg_cnt) {
		uint32_t i = lo ? lo - 1 : 0;
		g = p->segs[i];
		g->refs++;
		*ret_next = i + 1 < p->seg_cnt ? p->segs[i + 1]->base : -1;
	}
	pthread_mutex_unlock(&p->lock);
	return g;
}

void sl_part_seg_put(struct sl_part *p, struct sl_seg *g)
{
	pthread_mutex_lock(&p->lock);
	bool gone = --g->refs == 0 && (sl_seg_flags(g) & SL_SEG_DEAD);
	pthread_mutex_unlock(&p->lock);
	if (gone)
		sl_seg_free(g);
}

void sl_part_set_state(struct sl_part *p, enum sl_part_state from, enum sl_part_state to)
{
	uint32_t v = from;

	atomic_compare_exchange_strong_explicit(&p->pub.state, &v, to, memory_order_release,
						memory_order_relaxed);
}

bool sl_part_fail(struct sl_part *p)
{
	uint32_t v = atomic_load_explicit(&p->pub.state, memory_order_relaxed);

	do {
		if (v == SL_PART_FAILED || v == SL_PART_DELETED)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&p->pub.state, &v, SL_PART_FAILED, memory_order_acq_rel, memory_order_relaxed));
	atomic_fetch_add_explicit(&p->w->failed_parts, 1, memory_order_relaxed);
	return true;
}

void sl_part_delete(struct sl_part *p)
{
	uint32_t was =
		atomic_exchange_explicit(&p->pub.state, SL_PART_DELETED, memory_order_seq_cst);

	if (was == SL_PART_FAILED) /* its memory is coming back */
		atomic_fetch_sub_explicit(&p->w->failed_parts, 1, memory_order_relaxed);
}
