/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/clock.h"

#define LOOP_EVENTS 64 /* taken from the kernel in one turn */

struct sl_loop {
	struct sl_loop_cfg cfg;
	int epfd;
	struct sl_loop_fd wake; /* eventfd */
	struct sl_timers timers;
	uint64_t now_ns;
	struct epoll_event ev[LOOP_EVENTS];
	int ev_cnt, ev_at; /* those from ev_at on have not been handled in this turn */
	/* any thread writes */
	struct sl_loop_msg *_Atomic posted SL_ALIGNED(SL_CACHELINE); /* newest first */
	_Atomic bool stop;
};

/* Edge-triggered: each write is an event of its own, and nothing is to be read. */
static void woken(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

int sl_loop_new(const struct sl_loop_cfg *cfg, struct sl_loop **ret_loop)
{
	struct sl_loop *l = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*l), SL_CACHELINE));
	int rc;

	if (!l)
		return -ENOMEM;
	memset(l, 0, sizeof(*l));
	l->cfg = *cfg;
	l->now_ns = sl_clock_mono_ns();
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		rc = -errno;
		goto free_loop;
	}
	l->wake = (struct sl_loop_fd){.fn = woken, .arg = l};
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake.fd < 0) {
		rc = -errno;
		goto close_ep;
	}
	rc = sl_loop_add(l, &l->wake, EPOLLIN | EPOLLET);
	if (rc)
		goto close_wake;
	*ret_loop = l;
	return 0;

close_wake:
	close(l->wake.fd);
close_ep:
	close(l->epfd);
free_loop:
	free(l);
	return rc;
}

void sl_loop_free(struct sl_loop *l)
{
	if (!l)
		return;
	close(l->wake.fd);
	close(l->epfd);
	free(l);
}

int sl_loop_add(struct sl_loop *l, struct sl_loop_fd *f, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = f};
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, f->fd, &e))
		return -errno;
	f->events = events;
	return 0;
}

void sl_loop_mod(struct sl_loop *l, struct sl_loop_fd *f, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = f};
	if (events == f->events)
		return;
	int rc = epoll_ctl(l->epfd, EPOLL_CTL_MOD, f->fd, &e);
	SL_ASSERT(rc == 0); /* only a descriptor that was not added could fail */
	f->events = events;
}

void sl_loop_del(struct sl_loop *l, struct sl_loop_fd *f)
{
	int rc = epoll_ctl(l->epfd, EPOLL_CTL_DEL, f->fd, NULL);
	SL_ASSERT(rc == 0);
	for (int i = l->ev_at; i < l->ev_cnt; i++)
		if (l->ev[i].data.ptr == f)
			l->ev[i].data.ptr = NULL;
}

struct sl_timers *sl_loop_timers(struct sl_loop *l)
{
	return &l->timers;
}

uint64_t sl_loop_now(const struct sl_loop *l)
{
	return l->now_ns;
}

void sl_loop_wake(struct sl_loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake.fd, &one, sizeof(one));
	(void)n; /* it would take centuries to fill the counter */
}

void sl_loop_post(struct sl_loop *l, struct sl_loop_msg *m)
{
	struct sl_loop_msg *old = atomic_load_explicit(&l->posted, memory_order_relaxed);
	do
		m->next = old;
	while (!atomic_compare_exchange_weak_explicit(&l->posted, &old, m, memory_order_release,
						      memory_order_relaxed));
	if (!old) /* whoever found it empty rings; the others ride along */
		sl_loop_wake(l);
}

void sl_loop_stop(struct sl_loop *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_release);
	sl_loop_wake(l);
}

static void run_posted(struct sl_loop *l)
{
	/* pairs with the release in sl_loop_post() */
	struct sl_loop_msg *m = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
	struct sl_loop_msg *first = NULL;
	while (m) { /* newest first: turn it round */
		struct sl_loop_msg *next = m->next;
		m->next = first;
		first = m;
		m = next;
	}
	while (first) {
		m = first;
		first = m->next;
		m->fn(m->arg);
	}
}

static int wait_until(struct sl_loop *l, uint64_t until_ns)
{
	uint64_t now = sl_clock_mono_ns();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	struct timespec ts = {.tv_sec = (time_t)(left / 1000000000u),
			      .tv_nsec = (long)(left % 1000000000u)};
	int n = epoll_pwait2(l->epfd, l->ev, LOOP_EVENTS, until_ns == UINT64_MAX ? NULL : &ts,
			     NULL);
	if (n < 0 && errno == ENOSYS) /* before Linux 5.11: whole milliseconds, rounded up */
		n = epoll_wait(l->epfd, l->ev, LOOP_EVENTS,
			       until_ns == UINT64_MAX
				       ? -1
				       : (int)SL_MIN((left + 999999) / 1000000, 60000u));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

int sl_loop_turn(struct sl_loop *l, uint64_t until_ns)
{
	if (l->cfg.prepare) {
		uint64_t latest_ns = l->cfg.prepare(l->cfg.arg);
		until_ns = SL_MIN(until_ns, latest_ns);
	}
	until_ns = SL_MIN(until_ns, sl_timers_next(&l->timers));
	int n = wait_until(l, until_ns);
	l->now_ns = sl_clock_mono_ns();
	if (n < 0)
		return n;
	l->ev_cnt = n;
	for (l->ev_at = 0; l->ev_at < l->ev_cnt;) {
		struct epoll_event *e = &l->ev[l->ev_at++];
		struct sl_loop_fd *f = e->data.ptr;
		if (f)
			f->fn(f->arg, e->events);
	}
	l->ev_cnt = l->ev_at = 0;
	run_posted(l);
	sl_timers_run(&l->timers, l->now_ns);
	return 0;
}

int sl_loop_run(struct sl_loop *l)
{
	int rc = 0;
	while (!rc && !atomic_load_explicit(&l->stop, memory_order_acquire))
		rc = sl_loop_turn(l, UINT64_MAX);
	run_posted(l);
	return rc;
}
