/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring back end: registered stripe memory, writes that the kernel takes without copying.
 *
 * The ring also holds the lock file of the data directory. The kernel lets go of it only when the
 * last request of the ring is done, so after a kill -9 no old write can land behind the back of
 * the next process: it gets the lock later (docs/decisions/0011-stripe-file.md).
 */
#include "io.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/uio.h>

#define FIXED_MAX     (512ull << 20) /* of one registered buffer; the kernel's limit is 1 GiB */
#define FIXED_CNT_MAX 256u

struct sl_io {
	struct io_uring ring;
	uint8_t *mem;
	size_t mem_bytes;
	bool fixed; /* registering worked */
	unsigned inflight;
	bool unsubmitted;
	struct sl_io_req *head; /* waiting for room */
	struct sl_io_req **tail;
};

static int uring_probe(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(2, &ring, 0);

	if (err)
		return err;
	io_uring_queue_exit(&ring);
	return 0;
}

static int ring_init(struct io_uring *ring)
{
	static const unsigned tries[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int err = -EINVAL;

	for (size_t i = 0; i < SL_ARRAY_SIZE(tries) && err; i++)
		err = io_uring_queue_init(SL_IO_DEPTH, ring, tries[i]);
	return err;
}

/* Pinning needs memlock rights that an unprivileged service may lack: plain writes work too. */
static bool register_memory(struct sl_io *io)
{
	struct iovec iov[FIXED_CNT_MAX];
	size_t left = io->mem_bytes;
	unsigned n = 0;

	for (uint8_t *p = io->mem; left; n++) {
		if (n == FIXED_CNT_MAX)
			return false;
		iov[n].iov_base = p;
		iov[n].iov_len = SL_MIN((size_t)FIXED_MAX, left);
		p += iov[n].iov_len;
		left -= iov[n].iov_len;
	}
	return n && io_uring_register_buffers(&io->ring, iov, n) == 0;
}

static int uring_attach(const struct sl_io_cfg *cfg, struct sl_io **ret_io)
{
	struct sl_io *io = calloc(1, sizeof(*io));
	if (!io)
		return -ENOMEM;
	io->tail = &io->head;
	io->mem = cfg->mem;
	io->mem_bytes = cfg->mem_bytes;
	int err = ring_init(&io->ring);
	if (err)
		goto free_io;
	if (cfg->hold_fd >= 0) {
		err = io_uring_register_files(&io->ring, &cfg->hold_fd, 1);
		if (err)
			goto exit_ring;
	}
	io->fixed = register_memory(io);
	err = io_uring_register_eventfd(&io->ring, cfg->efd);
	if (err)
		goto exit_ring;
	*ret_io = io;
	return 0;
exit_ring:
	io_uring_queue_exit(&io->ring);
free_io:
	free(io);
	return err;
}

static void uring_detach(struct sl_io *io)
{
	if (!io)
		return;
	SL_ASSERT(io->inflight == 0 && !io->head);
	io_uring_unregister_files(&io->ring);
	io_uring_queue_exit(&io->ring);
	free(io);
}

static void prep(struct sl_io *io, struct io_uring_sqe *sqe, struct sl_io_req *r)
{
	if (r->op == SL_IO_SYNC) {
		io_uring_prep_fsync(sqe, r->fd, IORING_FSYNC_DATASYNC);
	} else {
		uint8_t *buf = r->buf + r->done;
		uint32_t len = r->len - r->done;
		size_t at = r->fixed ? (size_t)(buf - io->mem) : 0;
		/* a request never crosses a registered buffer: FIXED_MAX is a multiple of a chunk
		 */
		if (r->fixed && io->fixed)
			io_uring_prep_write_fixed(sqe, r->fd, buf, len, r->off + r->done,
						  (int)(at / FIXED_MAX));
		else
			io_uring_prep_write(sqe, r->fd, buf, len, r->off + r->done);
	}
	io_uring_sqe_set_data(sqe, r);
}

static void feed(struct sl_io *io)
{
	while (io->head && io->inflight < SL_IO_DEPTH) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
		if (!sqe)
			break;
		struct sl_io_req *r = io->head;
		io->head = r->next;
		if (!io->head)
			io->tail = &io->head;
		prep(io, sqe, r);
		io->inflight++;
		io->unsubmitted = true;
	}
}

static void uring_submit(struct sl_io *io, struct sl_io_req *r)
{
	r->done = 0;
	r->res = 0;
	r->next = NULL;
	*io->tail = r;
	io->tail = &r->next;
}

static void uring_flush(struct sl_io *io)
{
	feed(io);
	if (!io->unsubmitted)
		return;
	/* -EAGAIN and -EBUSY (memory, a full completion queue) pass: the next poll tries again. */
	if (io_uring_submit(&io->ring) >= 0)
		io->unsubmitted = io_uring_sq_ready(&io->ring) != 0;
}

/* True when the request is over; else it has been put back in line with what is left of it. */
static bool settle(struct sl_io *io, struct sl_io_req *r, int res)
{
	if (res == -EINTR || res == -EAGAIN) {
		res = 0;
	} else if (res < 0) {
		r->res = res;
		return true;
	} else if (r->op == SL_IO_SYNC) {
		return true;
	} else if (res == 0) {
		r->res = -EIO;
		return true;
	}
	r->done += (uint32_t)res;
	if (r->op == SL_IO_WRITE && r->done >= r->len)
		return true;
	r->next = io->head;
	if (!io->head)
		io->tail = &r->next;
	io->head = r;
	return false;
}

static unsigned uring_reap(struct sl_io *io, struct sl_io_req **ret_done, unsigned n)
{
	unsigned cnt = 0;
	struct io_uring_cqe *cqe;

	while (cnt < n && io->inflight && io_uring_peek_cqe(&io->ring, &cqe) == 0) {
		struct sl_io_req *r = io_uring_cqe_get_data(cqe);
		int res = cqe->res;
		io_uring_cqe_seen(&io->ring, cqe);
		io->inflight--;
		if (settle(io, r, res))
			ret_done[cnt++] = r;
	}
	return cnt;
}

const struct sl_io_ops sl_io_uring = {
	.name = "io_uring",
	.probe = uring_probe,
	.open = sl_io_file_open,
	.prealloc = sl_io_file_prealloc,
	.attach = uring_attach,
	.detach = uring_detach,
	.submit = uring_submit,
	.flush = uring_flush,
	.reap = uring_reap,
};
