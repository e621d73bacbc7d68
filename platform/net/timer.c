/* SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

static struct sl_timer *meld(struct sl_timer *a, struct sl_timer *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (b->due_ns < a->due_ns) {
		struct sl_timer *t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	a->next = NULL;
	a->prev = NULL;
	return a;
}

/* Melds a list of siblings: in pairs from the left, then the pairs from the right. */
static struct sl_timer *meld_list(struct sl_timer *first)
{
	struct sl_timer *pairs = NULL;
	while (first) {
		struct sl_timer *a = first, *b = a->next;
		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	struct sl_timer *root = NULL;
	while (pairs) {
		struct sl_timer *a = pairs;
		pairs = a->next;
		a->next = NULL;
		root = meld(root, a);
	}
	return root;
}

void sl_timer_cancel(struct sl_timers *ts, struct sl_timer *t)
{
	if (!t->armed)
		return;
	struct sl_timer *below = meld_list(t->child);
	if (ts->root == t) {
		ts->root = below;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		ts->root = meld(ts->root, below);
	}
	t->child = t->next = t->prev = NULL;
	t->armed = false;
}

void sl_timer_set(struct sl_timers *ts, struct sl_timer *t, uint64_t due_ns)
{
	SL_ASSERT(t->fn);
	sl_timer_cancel(ts, t);
	/* one that is set again while they fire waits for the next call: the call must end */
	t->due_ns = ts->running_ns && due_ns <= ts->running_ns ? ts->running_ns + 1 : due_ns;
	t->armed = true;
	ts->root = meld(ts->root, t);
}

uint64_t sl_timers_next(const struct sl_timers *ts)
{
	return ts->root ? ts->root->due_ns : UINT64_MAX;
}

unsigned sl_timers_run(struct sl_timers *ts, uint64_t now_ns)
{
	unsigned n = 0;

	ts->running_ns = now_ns;
	while (ts->root && ts->root->due_ns <= now_ns) {
		struct sl_timer *t = ts->root;
		sl_timer_cancel(ts, t);
		t->fn(t->arg);
		n++;
	}
	ts->running_ns = 0;
	return n;
}
