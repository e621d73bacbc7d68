/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdscan.h - finds the file descriptor that a driver has just opened.
 *
 * DPDK's drivers do not tell their sockets; they are recognised among this process's descriptors
 * as those that were not there before the driver's call. Control and nsctl threads.
 */
#ifndef SL_DATAPLANE_FDSCAN_H
#define SL_DATAPLANE_FDSCAN_H

#include "sluice/base.h"

#define SL_FD_MAX 65536

struct sl_fdset { /* which descriptors exist */
	uint64_t word[SL_FD_MAX / 64];
};

/* Calls fn for each open descriptor until it returns non-zero, which is returned. -errno. */
int sl_fd_each(int (*fn)(int fd, void *arg), void *arg);
SL_MUST_CHECK int sl_fd_snapshot(struct sl_fdset *ret_set);
/* The first descriptor not in `before` for which is_it() says yes; -ENOENT if none. */
SL_MUST_CHECK int sl_fd_new(const struct sl_fdset *before, bool (*is_it)(int fd, void *arg),
			    void *arg);
bool sl_fd_domain(int fd, int domain); /* it is a socket of that family */

#endif
