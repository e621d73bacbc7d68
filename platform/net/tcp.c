/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_BACKLOG 1024

static void addr_from(const struct sockaddr_storage *ss, struct sl_tcp_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (ss->ss_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, ss, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, ret->host, sizeof(ret->host));
		ret->port = ntohs(in.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, ss, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], ret->host,
				  sizeof(ret->host));
		else
			inet_ntop(AF_INET6, &in6.sin6_addr, ret->host, sizeof(ret->host));
		ret->port = ntohs(in6.sin6_port);
	}
}

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
	/* the port lies at the same place in both families */
	_Static_assert(offsetof(struct sockaddr_in, sin_port) ==
			       offsetof(struct sockaddr_in6, sin6_port),
		       "sockaddr layouts");
	port = htons(port);
	memcpy((char *)ss + offsetof(struct sockaddr_in, sin_port), &port, sizeof(port));
}

static int listen_one(const struct sockaddr_storage *ss, socklen_t len, bool dual, int *ret_fd,
		      uint16_t *ret_port)
{
	int on = 1, off = 0, rc;
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (ss->ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual ? &off : &on, sizeof(on))) ||
	    bind(fd, (const struct sockaddr *)ss, len) || listen(fd, TCP_BACKLOG))
		goto fail;
	struct sockaddr_storage got;
	socklen_t gl = sizeof(got);
	if (getsockname(fd, (struct sockaddr *)&got, &gl))
		goto fail;
	struct sl_tcp_addr a;
	addr_from(&got, &a);
	*ret_port = a.port;
	*ret_fd = fd;
	return 0;
fail:
	rc = -errno;
	close(fd);
	return rc;
}

static bool family_missing(int rc)
{
	return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
}

static int listen_list(const struct addrinfo *list, uint16_t port, bool dual,
		       struct sl_tcp_listener *l)
{
	int rc = -ENOENT;
	for (const struct addrinfo *ai = list; ai && l->fd_cnt < SL_TCP_ADDRS_MAX;
	     ai = ai->ai_next) {
		struct sockaddr_storage ss;
		uint16_t got;
		if (ai->ai_addrlen > sizeof(ss))
			continue;
		memset(&ss, 0, sizeof(ss));
		memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
		set_port(&ss, l->fd_cnt ? l->port : port);
		int one = listen_one(&ss, ai->ai_addrlen, dual, &l->fd[l->fd_cnt], &got);
		if (one == 0) {
			l->port = got;
			l->fd_cnt++;
			continue;
		}
		rc = one;
		if (!family_missing(one)) {
			sl_tcp_listener_close(l);
			return rc;
		}
	}
	return l->fd_cnt ? 0 : rc;
}

int sl_tcp_listen(const char *host, uint16_t port, struct sl_tcp_listener *ret_l, char *err,
		  size_t errlen)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct sl_tcp_listener l = {0};
	bool all = !*host || !strcmp(host, "*") || !strcmp(host, "::");
	int rc;

	int gai = getaddrinfo(all ? "::" : host, NULL, &hints, &list);
	if (gai) {
		snprintf(err, errlen, "%s: %s", host, gai_strerror(gai));
		return -ENOENT;
	}
	rc = listen_list(list, port, all, &l);
	freeaddrinfo(list);
	if (rc && all && family_missing(rc)) { /* a box without IPv6 */
		struct sockaddr_storage ss = {.ss_family = AF_INET};
		set_port(&ss, port);
		rc = listen_one(&ss, sizeof(struct sockaddr_in), false, &l.fd[0], &l.port);
		l.fd_cnt = rc == 0;
	}
	if (rc) {
		snprintf(err, errlen, "%s:%u: %s", all ? "*" : host, port, strerror(-rc));
		return rc;
	}
	*ret_l = l;
	return 0;
}

void sl_tcp_listener_close(struct sl_tcp_listener *l)
{
	for (unsigned i = 0; i < l->fd_cnt; i++)
		close(l->fd[i]);
	l->fd_cnt = 0;
}

int sl_tcp_accept(int lfd, int *ret_fd, struct sl_tcp_addr *ret_peer, struct sl_tcp_addr *ret_local)
{
	struct sockaddr_storage peer, local;
	socklen_t len = sizeof(peer);
	int on = 1, fd;

	do
		fd = accept4(lfd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO));
	if (fd < 0)
		return -errno;
	addr_from(&peer, ret_peer);
	len = sizeof(local);
	if (getsockname(fd, (struct sockaddr *)&local, &len))
		memset(&local, 0, sizeof(local));
	addr_from(&local, ret_local);
	/* both only help: a socket that refuses them still works */
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	*ret_fd = fd;
	return 0;
}

ssize_t sl_tcp_readv(int fd, const struct iovec *iov, int cnt)
{
	ssize_t n;
	do
		n = readv(fd, iov, cnt);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sl_tcp_writev(int fd, const struct iovec *iov, int cnt)
{
	/* sendmsg and not writev, because a peer that left must not raise SIGPIPE */
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)cnt};
	ssize_t n;
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
