/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extent.c - extents and spare segments, which the housekeeper makes before the writer needs them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "store_int.h"

#define FAST_EXTENT_NS 250000000ull
#define SLOW_EXTENT_NS 5000000000ull
#define SNAP_ROOM      64u
#define EXTENT_SHARE   16u /* extents of all partitions: this part of the budget */
#define EXTENT_LEAST   (128u << 10)
#define RECYCLED_MAX   4u /* a recycled file may be this many extents, else it is cut */

/* ---- extents ------------------------------------------------------------------------------- */

/* Extents of all partitions together take a small part of the budget only. */
static uint32_t extent_max(struct sl_store *s)
{
	uint64_t budget = atomic_load(&s->budget);
	uint32_t parts = atomic_load_explicit(&s->part_cnt, memory_order_relaxed);
	uint64_t max = budget ? budget / EXTENT_SHARE / SL_MAX(parts, 1u) : SL_EXTENT_MAX;

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

static int extend_to(struct sl_part *p, struct sl_seg *g, uint32_t to)
{
	int err = sl_retention_room(p->store,
				    to - atomic_load_explicit(&g->alloc, memory_order_relaxed));

	return err ? err : sl_seg_extend(p, g, to);
}

int sl_hk_extend(struct sl_part *p)
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
	int err = extend_to(p, g, to);
	while (err == -ENOSPC && to > need && p->extent > EXTENT_LEAST) { /* less may still fit */
		p->extent /= 2;
		to = SL_MAX(SL_MIN(alloc + (uint32_t)SL_ALIGN_DOWN(p->extent, SL_IO_BLOCK), cap),
			    need);
		err = extend_to(p, g, to);
	}
	if (!err)
		adapt_extent(p);
	return err;
}

/* ---- spare segments ------------------------------------------------------------------------ */

/*
 * A recycled file's blocks can be overwritten as they are. But a quiet partition must not sit on a
 * busy one's whole segment: what is far more than it would have asked for goes back.
 */
static void take_blocks(struct sl_part *p, struct sl_seg *g, uint64_t had)
{
	uint64_t keep = SL_ALIGN_DOWN(had, SL_IO_BLOCK);
	uint32_t extent = SL_MIN(p->extent, extent_max(p->store));

	if (keep > (uint64_t)RECYCLED_MAX * extent &&
	    ftruncate(g->wfd, (off_t)SL_ALIGN_DOWN(extent, SL_IO_BLOCK)) == 0)
		keep = SL_ALIGN_DOWN(extent, SL_IO_BLOCK);
	atomic_store(&g->alloc, (uint32_t)keep);
	atomic_fetch_sub(&p->store->log_bytes, (int64_t)(had - keep));
}

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
	if (g->wfd < 0) {
		atomic_fetch_sub(&s->log_bytes, (int64_t)had);
		return g->wfd;
	}
	if (had) {
		take_blocks(p, g, had);
		return 0;
	}
	/* without space it begins empty: a roll must always be possible, so that the old one can go
	 */
	if (sl_retention_room(s, first) == 0 && sl_seg_extend(p, g, first))
		sl_log(SL_LOG_DEBUG, "storage", "%s: the next segment begins without space",
		       p->dir);
	return 0;
}

int sl_hk_spare(struct sl_part *p)
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
