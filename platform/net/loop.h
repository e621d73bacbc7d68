/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one thread that waits for file descriptors, timers and messages of other threads.
 *
 * Level-triggered epoll. The owner runs it in a thread of its own; all calls are for that thread
 * (or for control before it runs), except sl_loop_post(), sl_loop_wake() and sl_loop_stop().
 */
#ifndef SL_NET_LOOP_H
#define SL_NET_LOOP_H

#include <sys/epoll.h>

#include "sluice/base.h"
#include "timer.h"

struct sl_loop;

struct sl_loop_fd { /* embedded; fd, fn and arg are the owner's to set before sl_loop_add() */
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT: what is waited for now */
	void (*fn)(void *arg, uint32_t events);
	void *arg;
};

struct sl_loop_msg { /* embedded; belongs to the loop from post until fn runs */
	struct sl_loop_msg *next;
	void (*fn)(void *arg);
	void *arg;
};

struct sl_loop_cfg {
	/*
	 * Runs in every turn right before the sleep: the place to arm wakers and look once more.
	 * Returns the monotonic ns until which the loop may sleep at most; 0: not at all. May be
	 * NULL.
	 */
	uint64_t (*prepare)(void *arg);
	void *arg;
};

SL_MUST_CHECK int sl_loop_new(const struct sl_loop_cfg *cfg, struct sl_loop **ret_loop);
void sl_loop_free(struct sl_loop *l); /* not running; accepts NULL */

/* Keeps the pointer until sl_loop_del(). -errno of epoll_ctl. */
SL_MUST_CHECK int sl_loop_add(struct sl_loop *l, struct sl_loop_fd *f, uint32_t events);
/* Changes what is waited for; no system call if it is that already. */
void sl_loop_mod(struct sl_loop *l, struct sl_loop_fd *f, uint32_t events);
/* f is not called again, not even for events found in this turn. Call it before close(2). */
void sl_loop_del(struct sl_loop *l, struct sl_loop_fd *f);

struct sl_timers *sl_loop_timers(struct sl_loop *l);
uint64_t sl_loop_now(const struct sl_loop *l); /* monotonic ns, taken once a turn */

/* Runs m->fn(m->arg) on the loop's thread, in the order of posting. Any thread; never blocks. */
void sl_loop_post(struct sl_loop *l, struct sl_loop_msg *m);
void sl_loop_wake(struct sl_loop *l); /* ends the sleep, so that prepare runs; any thread */

/* Until sl_loop_stop(); messages posted before it are run. 0 or -errno of epoll_wait. */
SL_MUST_CHECK int sl_loop_run(struct sl_loop *l);
/* One turn that sleeps at most until `until_ns`: for tests and for winding down. */
SL_MUST_CHECK int sl_loop_turn(struct sl_loop *l, uint64_t until_ns);
void sl_loop_stop(struct sl_loop *l); /* any thread; a later run returns at once */

#endif
