/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quiet.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

struct held {
	struct held *next;
	int fd;
	unsigned refs;
	uint8_t family; /* 4 or 6 */
	uint8_t ip[16];
	uint16_t port;
};

struct sl_quiet {
	struct held *first;
};

int sl_quiet_new(struct sl_quiet **ret_q)
{
	struct sl_quiet *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	*ret_q = q;
	return 0;
}

void sl_quiet_free(struct sl_quiet *q)
{
	if (!q)
		return;
	while (q->first) {
		struct held *h = q->first;
		q->first = h->next;
		close(h->fd);
		free(h);
	}
	free(q);
}

static struct held *find(struct sl_quiet *q, const struct held *want)
{
	for (struct held *h = q->first; h; h = h->next)
		if (h->family == want->family && h->port == want->port &&
		    !memcmp(h->ip, want->ip, sizeof(h->ip)))
			return h;
	return NULL;
}

static int set_int(int fd, int level, int opt, int v)
{
	return setsockopt(fd, level, opt, &v, sizeof(v)) ? -errno : 0;
}

static socklen_t to_sockaddr(const struct held *h, int ifindex, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (h->family == 4) {
		struct sockaddr_in *sin = (struct sockaddr_in *)ss;
		sin->sin_family = AF_INET;
		sin->sin_port = htons(h->port);
		memcpy(&sin->sin_addr, h->ip, 4);
		return sizeof(*sin);
	}
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(h->port);
	memcpy(&sin6->sin6_addr, h->ip, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&sin6->sin6_addr))
		sin6->sin6_scope_id = (uint32_t)ifindex;
	return sizeof(*sin6);
}

/* The filter is there before the address, so not one datagram is queued. */
static int prepare(const struct held *h, int *ret_fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = {.len = 1, .filter = &drop};
	int fd = socket(h->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int rc = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
	if (!rc && h->family == 4)
		rc = set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (!rc && h->family == 6)
		rc = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc && h->family == 6)
		rc = set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (rc) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

/* Sockets of ours with the same port and family: "any" and a single address exclude each other. */
static unsigned share(struct sl_quiet *q, const struct held *h, int on)
{
	unsigned n = 0;

	for (struct held *o = q->first; o; o = o->next) {
		if (o->family != h->family || o->port != h->port)
			continue;
		(void)set_int(o->fd, SOL_SOCKET, SO_REUSEPORT, on);
		n++;
	}
	return n;
}

/*
 * First alone, so that a stranger on the port is seen. If that fails and one of our own is in
 * the way, once more with the port shared for just this call.
 */
static int bind_it(struct sl_quiet *q, const struct held *h, int fd, int ifindex)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(h, ifindex, &ss);

	if (!bind(fd, (struct sockaddr *)&ss, len))
		return 0;
	int rc = -errno;
	if (rc != -EADDRINUSE || !share(q, h, 1))
		return rc;
	rc = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!rc && bind(fd, (struct sockaddr *)&ss, len))
		rc = -errno;
	(void)set_int(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	share(q, h, 0);
	return rc;
}

static int join(const struct held *h, int fd, int ifindex)
{
	if (h->family == 4 && IN_MULTICAST(sl_be32(h->ip))) {
		struct ip_mreqn m = {.imr_ifindex = ifindex};
		memcpy(&m.imr_multiaddr, h->ip, 4);
		return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) ? -errno : 0;
	}
	if (h->family == 6 && h->ip[0] == 0xff) {
		struct ipv6_mreq m = {.ipv6mr_interface = (unsigned)ifindex};
		memcpy(&m.ipv6mr_multiaddr, h->ip, 16);
		return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m)) ? -errno
											: 0;
	}
	return 0;
}

static int hold_one(struct sl_quiet *q, const struct held *want, int ifindex)
{
	struct held *h = find(q, want);
	int fd = -1;

	if (h) {
		h->refs++;
		return 0;
	}
	int rc = prepare(want, &fd);
	if (rc)
		return rc;
	rc = bind_it(q, want, fd, ifindex);
	if (!rc)
		rc = join(want, fd, ifindex);
	h = rc ? NULL : malloc(sizeof(*h));
	if (!rc && !h)
		rc = -ENOMEM;
	if (rc) {
		close(fd);
		return rc;
	}
	*h = *want;
	h->fd = fd;
	h->refs = 1;
	h->next = q->first;
	q->first = h;
	return 0;
}

static void release_one(struct sl_quiet *q, const struct held *want)
{
	struct held *h = find(q, want);

	if (!h || --h->refs)
		return;
	for (struct held **p = &q->first; *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			break;
		}
	}
	close(h->fd);
	free(h);
}

/* One or two sockets per listener. */
static unsigned wanted(const struct sl_cfg_listener *l, struct held w[2])
{
	memset(w, 0, 2 * sizeof(*w));
	w[0].port = w[1].port = l->udp;
	w[0].family = l->addr.family ? l->addr.family : 4;
	w[1].family = 6;
	if (l->addr.family == 0)
		return 2;
	memcpy(w[0].ip, l->addr.ip, l->addr.family == 4 ? 4 : 16);
	return 1;
}

int sl_quiet_hold(struct sl_quiet *q, const struct sl_cfg_listener *l, int ifindex, char *err,
		  size_t errlen)
{
	struct held w[2];
	unsigned n = wanted(l, w);

	for (unsigned i = 0; i < n; i++) {
		int rc = hold_one(q, &w[i], ifindex);
		if (!rc || (i == 1 && rc == -EAFNOSUPPORT))
			continue;
		while (i--)
			release_one(q, &w[i]);
		if (rc == -EADDRINUSE)
			snprintf(err, errlen,
				 "listener %s: another program has UDP port %u of this network "
				 "bound; "
				 "stop it or choose another port",
				 l->name, l->udp);
		else
			snprintf(err, errlen, "listener %s: cannot hold UDP port %u: %s", l->name,
				 l->udp, strerror(-rc));
		return rc;
	}
	return 0;
}

void sl_quiet_release(struct sl_quiet *q, const struct sl_cfg_listener *l)
{
	struct held w[2];
	unsigned n = wanted(l, w);

	for (unsigned i = 0; i < n; i++)
		release_one(q, &w[i]);
}
