/* SPDX-License-Identifier: Apache-2.0 */
#include "idle.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

int sl_idle_init(struct sl_idler *i, bool spin)
{
	memset(i, 0, sizeof(*i));
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	i->waker.efd = fd;
	i->fd[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	i->fds = 1;
	i->spin = spin;
	i->spins = SL_IDLE_SPINS;
	return 0;
}

void sl_idle_fini(struct sl_idler *i)
{
	if (!i || i->fds == 0)
		return;
	close(i->waker.efd);
	memset(i, 0, sizeof(*i));
}

int sl_idle_add_fd(struct sl_idler *i, int fd)
{
	if (i->fds == SL_ARRAY_SIZE(i->fd))
		return -ENOSPC;
	i->fd[i->fds++] = (struct pollfd){.fd = fd, .events = POLLIN};
	return 0;
}

/* ---- naps: the policy ------------------------------------------------------------------------ */

void sl_idle_naps(struct sl_idler *i, uint32_t room, uint64_t linger_ns)
{
	struct sl_idle_naps *n = &i->naps;

	n->room = n->room ? SL_MIN(n->room, room) : room;
	n->max_ns = SL_MIN(linger_ns / SL_IDLE_NAP_LINGER, (uint64_t)SL_IDLE_NAP_MAX_NS);
}

/* A nap's length at this rate: what comes meanwhile has its place in the ring, eight times over. */
static uint64_t nap_length(const struct sl_idle_naps *n)
{
	if (n->per_ms < SL_IDLE_NAP_PER_MS)
		return 0;
	uint64_t ns = SL_MIN(n->max_ns, n->room / SL_IDLE_NAP_ROOM * (uint64_t)1000000 / n->per_ms);
	return ns < SL_IDLE_NAP_MIN_NS ? 0 : ns;
}

uint64_t sl_idle_nap_ns(struct sl_idler *i, uint64_t now_ns, uint64_t frames)
{
	struct sl_idle_naps *n = &i->naps;

	if (!n->room)
		return 0;
	uint64_t over_ns = now_ns - n->since_ns;
	if (over_ns >= SL_IDLE_RATE_NS) {
		n->per_ms = SL_MIN(frames - n->count, (uint64_t)UINT32_MAX) * 1000000 / over_ns;
		n->since_ns = now_ns;
		n->count = frames;
	}
	if (frames == n->before)
		n->per_ms = 0;
	n->before = frames;
	uint64_t ns = nap_length(n);
	i->spins = ns ? SL_IDLE_NAP_SPINS : SL_IDLE_SPINS;
	return ns;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

/*
 * An fd that reports an error would wake us for ever: a socket whose interface went down does so
 * until the port's housekeeping has fetched its error. An fd that is none is no longer waited for.
 */
SL_COLD static void calm(struct pollfd *f)
{
	const struct timespec nap = {.tv_nsec = 1000000};

	if (f->revents & POLLNVAL)
		f->fd = -1;
	nanosleep(&nap, NULL);
}

static void wait_on(struct sl_idler *i, unsigned fds, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
	uint64_t drained;

	i->sleeps++;
	i->empty = 0;
	int n = ppoll(i->fd, fds, &ts, NULL);
	sl_idle_disarm(i);
	if (n <= 0)
		return;
	/* Who rings has taken the arming first: an eventfd that is rung later than this wakes us
	 * once for nothing, no more. */
	if (i->fd[0].revents & POLLIN)
		while (read(i->waker.efd, &drained, sizeof(drained)) < 0 && errno == EINTR)
			;
	for (unsigned k = 1; k < fds; k++)
		if (sl_unlikely(i->fd[k].revents & ~POLLIN))
			calm(&i->fd[k]);
}

void sl_idle_wait(struct sl_idler *i, uint64_t ns)
{
	wait_on(i, i->fds, ns);
}

void sl_idle_nap(struct sl_idler *i, uint64_t ns)
{
	i->naps.taken++;
	wait_on(i, 1, ns);
}
