/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave.c - a writer lets go of deleted partitions.
 *
 * What is under way is waited for: the kernel reads the stripes, a sync round names the partition.
 * Then its stripes become free, it leaves every list, and the housekeeper is told. That message is
 * the last that this thread does with it: its memory may be gone a moment later. Appends that come
 * afterwards hold a reference on the topic and only look at the state.
 */
#include "store_int.h"

void sl_writer_leave(struct sl_store_writer *w, struct sl_part *p)
{
	p->leave_next = w->leaving;
	w->leaving = p;
}

/* Whatever is in flight is not clean, and all that is not clean is in this list. */
static bool under_way(const struct sl_part *p)
{
	if (p->round)
		return true;
	for (const struct sl_stripe *st = p->unw_head; st; st = st->unw_next)
		if (st->inflight)
			return true;
	return false;
}

static bool drop_stripe(struct sl_stripe *st, void *arg)
{
	(void)arg;
	if (!st->part || !st->part->letting_go)
		return true;
	/* a start after a kill ignores stripes of topics that it does not know; this is for those
	 * that find the descriptor in the pool */
	atomic_store_explicit(&st->desc->state, SL_SD_FREE, memory_order_release);
	st->part = NULL;
	st->seg = NULL;
	st->open = false;
	st->clean = st->complete = true;
	st->unw_next = st->wprev = st->wnext = NULL;
	return true;
}

static void let_go(struct sl_store_writer *w, struct sl_part *p)
{
	sl_writer_unlist(w, p);
	if (p->tail_st)
		w->tails--;
	p->tail_st = NULL;
	p->unw_head = p->unw_tail = NULL;
	p->closing = NULL;
	sl_writer_ask_hk(w, p, SL_HK_GONE);
}

unsigned sl_writer_leave_poll(struct sl_store_writer *w)
{
	struct sl_part **at = &w->leaving, *p, *ready = NULL;
	unsigned n = 0;

	if (!w->leaving)
		return 0;
	while ((p = *at)) {
		if (under_way(p)) {
			at = &p->leave_next;
			continue;
		}
		*at = p->leave_next;
		p->leave_next = ready;
		p->letting_go = true;
		ready = p;
		n++;
	}
	if (ready) /* one walk for all of them */
		sl_pool_each_old(w->pool, w->pool->chunks, drop_stripe, NULL);
	while ((p = ready)) {
		ready = p->leave_next;
		let_go(w, p);
	}
	return n;
}
