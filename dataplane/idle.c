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

void sl_idle_wait(struct sl_idler *i, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
	uint64_t drained;

	i->sleeps++;
	i->empty = 0;
	int n = ppoll(i->fd, i->fds, &ts, NULL);
	sl_idle_disarm(i);
	if (n <= 0)
		return;
	/* Who rings has taken the arming first: an eventfd that is rung later than this wakes us
	 * once for nothing, no more. */
	if (i->fd[0].revents & POLLIN)
		while (read(i->waker.efd, &drained, sizeof(drained)) < 0 && errno == EINTR)
			;
	for (unsigned k = 1; k < i->fds; k++)
		if (sl_unlikely(i->fd[k].revents & ~POLLIN))
			calm(&i->fd[k]);
}
