/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h - when an lcore has nothing to do: spin a little, then sleep in poll(2).
 *
 * It sleeps on the fds it was given and on an eventfd of its own, which others ring through the
 * waker: the owner arms it, looks once more for work, and only then waits. One owner thread.
 */
#ifndef SL_DATAPLANE_IDLE_H
#define SL_DATAPLANE_IDLE_H

#include <poll.h>

#include "sluice/store.h"

#define SL_IDLE_SPINS   64 /* empty turns before the first sleep */
#define SL_IDLE_FDS_MAX 17

struct sl_idler {
	struct sl_waker waker;
	struct pollfd fd[1 + SL_IDLE_FDS_MAX]; /* the first is the waker's */
	unsigned fds;
	unsigned spins; /* empty turns before it sleeps: SL_IDLE_SPINS unless the owner says less */
	unsigned empty; /* turns since there was something */
	bool spin;      /* never sleep */
	uint64_t sleeps;
};

/* -errno of eventfd(2). Control. */
SL_MUST_CHECK int sl_idle_init(struct sl_idler *i, bool spin);
void sl_idle_fini(struct sl_idler *i); /* accepts NULL; zeroed memory counts as never made */
/* A further fd to wake on; -ENOSPC. Before the owner sleeps, or by the owner. */
SL_MUST_CHECK int sl_idle_add_fd(struct sl_idler *i, int fd);

/* Once per turn. True: so many turns were empty that the owner should sleep. */
SL_INLINE bool sl_idle_turn(struct sl_idler *i, bool busy)
{
	i->empty = busy ? 0 : i->empty + 1;
	return !i->spin && i->empty >= i->spins;
}

SL_INLINE void sl_idle_arm(struct sl_idler *i)
{
	sl_waker_arm(&i->waker);
}
SL_INLINE void sl_idle_disarm(struct sl_idler *i)
{
	atomic_store_explicit(&i->waker.armed, 0, memory_order_relaxed);
}
/* Armed. Sleeps until an fd is readable, the waker is rung, or `ns` have passed. Disarms. */
void sl_idle_wait(struct sl_idler *i, uint64_t ns);

#endif
