/* SPDX-License-Identifier: Apache-2.0 */
/* reader_tail.c - reading from memory: the stripes of a partition, newest to oldest and back. */
#include <errno.h>

#include "reader.h"

#define STEPS_MAX 8192u /* stripes looked at before the disk is asked */

int sl_read_begin(struct sl_part *p, struct sl_read *rd, int64_t *ret_limit)
{
	int64_t end = sl_part_end(p);

	rd->len = 0;
	rd->need = 0;
	rd->next_offset = rd->offset;
	if (sl_part_state(p) == SL_PART_DELETED)
		return -ENOENT;
	if (rd->offset < sl_part_start(p) || rd->offset > end)
		return -ERANGE;
	*ret_limit = SL_MIN(rd->max_offset, end);
	return rd->offset < *ret_limit;
}

int sl_read_take(struct sl_read *rd, uint32_t total, int64_t last, int64_t limit)
{
	if (last >= limit)
		return 0;
	if (rd->len == 0 && total > rd->cap && (rd->at_least_one || total <= rd->max_bytes)) {
		rd->need = total;
		return -EMSGSIZE;
	}
	if (rd->len == 0 && rd->at_least_one)
		return 1;
	return (uint64_t)rd->len + total <= SL_MIN(rd->max_bytes, rd->cap);
}

/* The stripe whose batches include `offset`, pinned. */
static struct sl_stripe *seek(struct sl_part *p, int64_t offset)
{
	struct sl_stripe *st =
		sl_stripe_pin(p->pool, atomic_load_explicit(&p->tail, memory_order_acquire));

	for (unsigned i = 0; st && st->first_off > offset; i++) {
		sl_sref ref = atomic_load_explicit(&st->prev, memory_order_acquire);
		struct sl_stripe *prev = i < STEPS_MAX ? sl_stripe_pin(p->pool, ref) : NULL;
		sl_stripe_unpin(st);
		st = prev;
	}
	return st;
}

static uint32_t nearest_mark(const struct sl_stripe *st, int64_t offset)
{
	for (unsigned k = SL_STRIPE_MARKS; k-- > 0;) {
		uint64_t m = atomic_load_explicit(&st->marks[k], memory_order_relaxed);
		if (m && st->first_off + (int64_t)(m >> 32) <= offset)
			return (uint32_t)m;
	}
	return st->head;
}

struct run { /* batches that lie side by side, copied at once */
	uint32_t from, to;
	int64_t next;
};

/* 1: the stripe is exhausted; 0: enough; -EMSGSIZE. */
static int gather(struct sl_stripe *st, struct sl_read *rd, int64_t limit, struct run *run)
{
	uint32_t used = atomic_load_explicit(&st->desc->used, memory_order_acquire);
	uint32_t pos = nearest_mark(st, rd->next_offset);
	int take = 1;

	run->from = run->to = pos;
	while (pos < used) {
		const uint8_t *b = st->mem + pos;
		uint32_t total = sl_batch_total(b);
		int64_t last = sl_batch_last_offset(b);
		SL_DASSERT(total >= SL_BATCH_HDR && total <= used - pos);
		pos += total;
		if (last < rd->next_offset) {
			run->from = run->to = pos;
			continue;
		}
		take = sl_read_take(rd, total, last, limit);
		if (take <= 0)
			break;
		/* counted at once, so that the limits hold for the next one */
		rd->len += total;
		run->to = pos;
		run->next = last + 1;
	}
	return take;
}

int sl_store_read_tail(struct sl_part *p, struct sl_read *rd)
{
	int64_t limit;
	int rc = sl_read_begin(p, rd, &limit);

	if (rc <= 0)
		return rc;
	struct sl_stripe *st = seek(p, rd->offset);
	if (!st) {
		atomic_fetch_add_explicit(&p->store->tail_misses, 1, memory_order_relaxed);
		return -EAGAIN;
	}
	do {
		struct run run = {.next = rd->next_offset};
		uint32_t at = rd->len;
		rc = gather(st, rd, limit, &run);
		if (run.to > run.from)
			memcpy(rd->buf + at, st->mem + run.from, run.to - run.from);
		rd->next_offset = run.next;
		sl_sref ref = atomic_load_explicit(&st->next, memory_order_acquire);
		struct sl_stripe *next = rc == 1 && ref ? sl_stripe_pin(p->pool, ref) : NULL;
		sl_stripe_unpin(st);
		st = next;
	} while (st);
	atomic_fetch_add_explicit(&p->store->tail_hits, 1, memory_order_relaxed);
	return rc < 0 ? rc : 0;
}
