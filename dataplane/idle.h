/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h - when an lcore has nothing to do: spin a little, then sleep in poll(2).
 *
 * It sleeps on the fds it was given and on an eventfd of its own, which others ring through the
 * waker: the owner arms it, looks once more for work, and only then waits. One owner thread.
 *
 * While much comes, an fd wakes it for every few frames, and waking costs more than the frames do.
 * An owner that counts what it takes may then nap: sleep for a bounded time, deaf to the fds but
 * not to the waker, so that the next turns find full bursts
 * (docs/decisions/0023-idle-and-priority.md).
 */
#ifndef SL_DATAPLANE_IDLE_H
#define SL_DATAPLANE_IDLE_H

#include <poll.h>

#include "sluice/store.h"

#define SL_IDLE_SPINS   64 /* empty turns before the first sleep */
#define SL_IDLE_FDS_MAX 17

#define SL_IDLE_NAP_SPINS  4        /* empty turns before a nap */
#define SL_IDLE_NAP_PER_MS 64u      /* frames a millisecond from which on naps pay */
#define SL_IDLE_NAP_MAX_NS 200000u  /* longest nap */
#define SL_IDLE_NAP_MIN_NS 40000u   /* shorter ones bring nothing */
#define SL_IDLE_NAP_ROOM   8        /* a nap lets an eighth of a device's ring fill */
#define SL_IDLE_NAP_LINGER 8        /* and takes an eighth of the linger */
#define SL_IDLE_RATE_NS    1000000u /* the rate is what came in the last such time or more */

/* How much came lately, and what a nap must leave alone. */
struct sl_idle_naps {
	uint32_t room;            /* frames that the smallest device ring holds; 0: never nap */
	uint64_t max_ns;          /* never longer */
	uint64_t since_ns, count; /* the time from which on the rate is taken, and the count then */
	uint64_t before;          /* the count before the last sleep */
	uint64_t per_ms;
	uint64_t taken; /* naps, ever */
};

struct sl_idler {
	struct sl_waker waker;
	struct pollfd fd[1 + SL_IDLE_FDS_MAX]; /* the first is the waker's */
	unsigned fds;
	unsigned spins; /* empty turns before it sleeps: SL_IDLE_SPINS unless the owner says less */
	unsigned empty; /* turns since there was something */
	bool spin;      /* never sleep */
	uint64_t sleeps; /* naps among them */
	struct sl_idle_naps naps;
};

/* -errno of eventfd(2). Control. */
SL_MUST_CHECK int sl_idle_init(struct sl_idler *i, bool spin);
void sl_idle_fini(struct sl_idler *i); /* accepts NULL; zeroed memory counts as never made */
/* A further fd to wake on; -ENOSPC. Before the owner sleeps, or by the owner. */
SL_MUST_CHECK int sl_idle_add_fd(struct sl_idler *i, int fd);

/* Naps are wanted, of frames that wait in rings of at least `room` (0: no naps) and in batches that
 * linger for linger_ns. By the owner, or before it runs; the smallest room counts. */
void sl_idle_naps(struct sl_idler *i, uint32_t room, uint64_t linger_ns);
/* Asked before each sleep, with the frames taken so far: how long a nap to take, 0: none, sleep on
 * the fds. A nap that brought nothing is the last. Pure but for i->naps and i->spins. */
uint64_t sl_idle_nap_ns(struct sl_idler *i, uint64_t now_ns, uint64_t frames);

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
/* The same, without the fds. */
void sl_idle_nap(struct sl_idler *i, uint64_t ns);

#endif
