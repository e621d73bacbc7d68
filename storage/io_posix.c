/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posix back end: pwrite and fdatasync in one helper thread per writer, so that the writer thread
 * itself never waits for the disk.
 */
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sluice/store.h"
#include "spsc.h"

#define RING (4u * SL_IO_DEPTH)

struct sl_io {
	struct sl_spsc todo, done;
	struct sl_waker waker; /* the helper sleeps on it */
	int efd;               /* the writer's */
	_Atomic bool stop;
	pthread_t thread;
	unsigned inflight;      /* writer */
	bool fresh;             /* writer: pushed since the last ring */
	struct sl_io_req *head; /* writer: waiting for room */
	struct sl_io_req **tail;
};

static void ring_writer(struct sl_io *io)
{
	uint64_t one = 1;
	ssize_t n = write(io->efd, &one, sizeof(one));
	(void)n; /* EAGAIN: the counter is full, so it is readable already */
}

static void serve(struct sl_io *io, struct sl_io_req *r)
{
	if (r->op == SL_IO_SYNC)
		r->res = fdatasync(r->fd) ? -errno : 0;
	else
		r->res = sl_io_pwrite_all(r->fd, r->buf, r->len, r->off);
	bool ok = sl_spsc_push(&io->done, r);
	SL_ASSERT(ok); /* never more in flight than the ring holds */
	ring_writer(io);
}

static void *helper(void *arg)
{
	struct sl_io *io = arg;

	for (;;) {
		struct sl_io_req *r = sl_spsc_pop(&io->todo);
		if (r) {
			serve(io, r);
			continue;
		}
		if (atomic_load_explicit(&io->stop, memory_order_acquire))
			return NULL;
		sl_waker_arm(&io->waker);
		if (!sl_spsc_empty(&io->todo) ||
		    atomic_load_explicit(&io->stop, memory_order_acquire))
			continue;
		struct pollfd pfd = {.fd = io->waker.efd, .events = POLLIN};
		if (poll(&pfd, 1, -1) > 0) {
			uint64_t v;
			ssize_t n = read(io->waker.efd, &v, sizeof(v));
			(void)n;
		}
	}
}

static int posix_probe(void)
{
	return 0;
}

static void free_io(struct sl_io *io)
{
	if (io->waker.efd >= 0)
		close(io->waker.efd);
	sl_spsc_fini(&io->done);
	sl_spsc_fini(&io->todo);
	free(io);
}

static int posix_attach(const struct sl_io_cfg *cfg, struct sl_io **ret_io)
{
	struct sl_io *io = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*io), SL_CACHELINE));
	if (!io)
		return -ENOMEM;
	memset(io, 0, sizeof(*io));
	io->tail = &io->head;
	io->efd = cfg->efd;
	io->waker.efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int err = io->waker.efd < 0 ? -errno : 0;
	if (!err)
		err = sl_spsc_init(&io->todo, RING);
	if (!err)
		err = sl_spsc_init(&io->done, RING);
	if (!err)
		err = -pthread_create(&io->thread, NULL, helper, io);
	if (err) {
		free_io(io);
		return err;
	}
	*ret_io = io;
	return 0;
}

static void posix_detach(struct sl_io *io)
{
	if (!io)
		return;
	SL_ASSERT(io->inflight == 0 && !io->head);
	atomic_store_explicit(&io->stop, true, memory_order_release);
	atomic_store(&io->waker.armed, 1);
	sl_waker_ring(&io->waker);
	pthread_join(io->thread, NULL);
	free_io(io);
}

static void posix_submit(struct sl_io *io, struct sl_io_req *r)
{
	r->res = 0;
	r->next = NULL;
	*io->tail = r;
	io->tail = &r->next;
}

static void posix_flush(struct sl_io *io)
{
	while (io->head && io->inflight < RING - 1) {
		struct sl_io_req *r = io->head;
		io->head = r->next;
		if (!io->head)
			io->tail = &io->head;
		bool ok = sl_spsc_push(&io->todo, r);
		SL_ASSERT(ok);
		io->inflight++;
		io->fresh = true;
	}
	if (io->fresh) {
		io->fresh = false;
		sl_waker_ring(&io->waker);
	}
}

static unsigned posix_reap(struct sl_io *io, struct sl_io_req **ret_done, unsigned n)
{
	unsigned cnt = 0;

	while (cnt < n) {
		struct sl_io_req *r = sl_spsc_pop(&io->done);
		if (!r)
			break;
		io->inflight--;
		ret_done[cnt++] = r;
	}
	return cnt;
}

const struct sl_io_ops sl_io_posix = {
	.name = "posix",
	.probe = posix_probe,
	.open = sl_io_file_open,
	.prealloc = sl_io_file_prealloc,
	.attach = posix_attach,
	.detach = posix_detach,
	.submit = posix_submit,
	.flush = posix_flush,
	.reap = posix_reap,
};
