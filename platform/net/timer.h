/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.h - one-shot timers without a clock of their own: a pairing heap of embedded nodes.
 *
 * Setting never allocates and never fails; set and cancel cost O(log n) amortised. The owner tells
 * the time, so tests need no sleeping. One thread.
 */
#ifndef SL_NET_TIMER_H
#define SL_NET_TIMER_H

#include "sluice/base.h"

struct sl_timer { /* embedded; zeroed means idle; fn and arg are the owner's to set */
	void (*fn)(void *arg);
	void *arg;
	uint64_t due_ns;
	struct sl_timer *child, *next,
		*prev; /* prev: the left sibling, or the parent of a first child */
	bool armed;
};

struct sl_timers { /* embedded; zeroed means empty */
	struct sl_timer *root;
	uint64_t running_ns; /* now_ns of the run under way, 0: none */
};

/* Arms, or moves if armed already. Keeps the pointer until it fires or is cancelled. */
void sl_timer_set(struct sl_timers *ts, struct sl_timer *t, uint64_t due_ns);
/* Idle timers are left alone. */
void sl_timer_cancel(struct sl_timers *ts, struct sl_timer *t);
/* Monotonic ns of the first one; UINT64_MAX: none. */
uint64_t sl_timers_next(const struct sl_timers *ts);
/*
 * Fires those due at now_ns, earliest first; each is idle before its fn runs, so fn may set it
 * again, and one set again for now_ns or before waits for the next call. Returns how many fired.
 */
unsigned sl_timers_run(struct sl_timers *ts, uint64_t now_ns);

#endif
