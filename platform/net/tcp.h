/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.h - listening TCP sockets and what comes from them, IPv4 and IPv6. All sockets made here
 * are non-blocking and close-on-exec.
 */
#ifndef SL_NET_TCP_H
#define SL_NET_TCP_H

#include <sys/uio.h>

#include "sluice/base.h"

#define SL_TCP_ADDRS_MAX 4 /* sockets behind one host name */
#define SL_TCP_HOST_MAX  64

struct sl_tcp_addr {
	char host[SL_TCP_HOST_MAX]; /* numeric; an IPv4-mapped IPv6 address reads as IPv4 */
	uint16_t port;
};

struct sl_tcp_listener {
	unsigned fd_cnt;
	int fd[SL_TCP_ADDRS_MAX];
	uint16_t port; /* bound */
};

/*
 * Listens on every address of `host` ("localhost" has two; "", "*" and "::" mean all, IPv4
 * included). port 0: the kernel picks one, the same for all. An address family that the box does
 * not have is left out as long as one socket remains. -EADDRINUSE, -EADDRNOTAVAIL, -ENOENT (no
 * such host), … with a sentence in err. Control; a name that is not numeric may block.
 */
SL_MUST_CHECK int sl_tcp_listen(const char *host, uint16_t port, struct sl_tcp_listener *ret_l,
				char *err, size_t errlen);
void sl_tcp_listener_close(struct sl_tcp_listener *l); /* accepts zeroed */

/*
 * Next connection, with TCP_NODELAY and keep-alive. -EAGAIN: none; -EMFILE, -ENFILE, -ENOBUFS,
 * -ENOMEM: the box is out of something, wait a moment. `ret_local`: the address it came in by.
 */
SL_MUST_CHECK int sl_tcp_accept(int lfd, int *ret_fd, struct sl_tcp_addr *ret_peer,
				struct sl_tcp_addr *ret_local);

/* Bytes moved (0 from readv: the peer has closed), -EAGAIN or another -errno; EINTR is handled. */
SL_MUST_CHECK ssize_t sl_tcp_readv(int fd, const struct iovec *iov, int cnt);
SL_MUST_CHECK ssize_t sl_tcp_writev(int fd, const struct iovec *iov, int cnt);

#endif
