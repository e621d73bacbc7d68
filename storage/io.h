/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - the disk behind a table, so that a back end can be exchanged whole.
 *
 * Two kinds of call. `open` and `prealloc` block and are made by the housekeeping thread and at
 * start. The rest serve one writer thread and never block: it submits requests, hands them over
 * with flush, and reaps what is done. The back end keeps the pointer of a request until it is
 * reaped.
 *
 * A write is all or nothing towards the caller: short writes are continued inside the back end.
 * Requests complete in any order. A back end rings the writer's eventfd when something is done.
 */
#ifndef SL_STORAGE_IO_H
#define SL_STORAGE_IO_H

#include "sluice/base.h"

#define SL_IO_BLOCK 4096u /* alignment of position, length and memory of every write */
#define SL_IO_DEPTH 256u  /* requests in the hands of the kernel per writer; more wait in line */

enum sl_io_op { SL_IO_WRITE, SL_IO_SYNC };

struct sl_io_req {
	uint8_t op;   /* enum sl_io_op */
	uint8_t kind; /* the caller's */
	bool fixed;   /* buf lies in the memory given to attach */
	int fd;
	uint8_t *buf;
	uint32_t len;
	uint64_t off;
	int res;                /* 0 or -errno, valid once reaped */
	uint32_t done;          /* the back end's: bytes written so far */
	void *owner;            /* the caller's */
	struct sl_io_req *next; /* the back end's */
};

struct sl_io; /* one writer's queue */

struct sl_io_cfg {
	uint8_t *mem; /* write stripes; registered with the kernel where it helps */
	size_t mem_bytes;
	int efd;     /* rung when something can be reaped */
	int hold_fd; /* kept open by the kernel as long as a request of ours is under way */
};

struct sl_io_ops {
	const char *name;
	/* 0 if this kernel lets us use it, else -errno. Blocks. */
	int (*probe)(void);
	/* Opens for writing below dirfd; *direct says whether to ask for O_DIRECT and is cleared
	 * where the file system refuses. Returns the fd or -errno. Blocks. */
	int (*open)(int dirfd, const char *path, bool create, bool *direct);
	/* Gives [from, to), multiples of SL_IO_BLOCK, its disk space; it reads as zeros afterwards.
	 * `written`: by writing them, so that later writes and syncs change no metadata; else only
	 * allocated, for those who write it at once. 0 or -errno. Blocks. */
	int (*prealloc)(int fd, uint64_t from, uint64_t to, bool written);
	/* The calling thread becomes the only submitter. */
	int (*attach)(const struct sl_io_cfg *cfg, struct sl_io **ret_io);
	/* Nothing is under way any more. Accepts NULL. */
	void (*detach)(struct sl_io *io);
	void (*submit)(struct sl_io *io, struct sl_io_req *req);
	void (*flush)(struct sl_io *io);
	unsigned (*reap)(struct sl_io *io, struct sl_io_req **ret_done, unsigned n);
};

extern const struct sl_io_ops sl_io_uring;
extern const struct sl_io_ops sl_io_posix;

/* "io_uring", "posix" or NULL (the first that works). NULL result: unknown name, or it is not
 * usable here. */
const struct sl_io_ops *sl_io_pick(const char *name);

/* What both back ends share: plain system calls. Blocking. */
int sl_io_file_open(int dirfd, const char *path, bool create, bool *direct);
int sl_io_file_prealloc(int fd, uint64_t from, uint64_t to, bool written);
/* Whole transfer or -errno; EINTR is retried, a short write without cause is -EIO. */
int sl_io_pwrite_all(int fd, const void *buf, size_t len, uint64_t off);
/* Bytes read (short only at the end of the file) or -errno. */
int64_t sl_io_pread_all(int fd, void *buf, size_t len, uint64_t off);

#endif
