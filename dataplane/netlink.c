/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "netlink.h"

struct sl_nl {
	struct mnl_socket *sock;
	uint32_t seq;
	char buf[32768]; /* a link message with all its statistics */
};

int sl_nl_open(struct sl_nl **ret_nl)
{
	struct sl_nl *nl = calloc(1, sizeof(*nl));

	if (!nl)
		return -ENOMEM;
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		int rc = -errno;
		sl_nl_close(nl);
		return rc;
	}
	*ret_nl = nl;
	return 0;
}

void sl_nl_close(struct sl_nl *nl)
{
	if (!nl)
		return;
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl);
}

/* Sends what is in `h` and hands each answer to `cb`. */
static int ask(struct sl_nl *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	unsigned port = mnl_socket_get_portid(nl->sock);
	uint32_t seq = ++nl->seq;

	h->nlmsg_seq = seq;
	if (mnl_socket_sendto(nl->sock, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->sock, nl->buf, sizeof(nl->buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int rc = mnl_cb_run(nl->buf, (size_t)n, seq, port, cb, arg);
		if (rc < 0)
			return -errno;
		if (rc == MNL_CB_STOP)
			return 0;
	}
}

static int on_info(const struct nlattr *a, void *arg)
{
	struct sl_nl_link *l = arg;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND &&
	    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
		snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

static void take_stats(const struct nlattr *a, struct sl_nl_link *l)
{
	struct rtnl_link_stats64 s = {0};

	/* An older kernel knows fewer fields; attributes are only aligned to four bytes. */
	memcpy(&s, mnl_attr_get_payload(a), SL_MIN(sizeof(s), (size_t)mnl_attr_get_payload_len(a)));
	l->rx_packets = s.rx_packets;
	l->rx_dropped = s.rx_dropped;
	l->tx_packets = s.tx_packets;
	l->tx_dropped = s.tx_dropped;
}

static int on_attr(const struct nlattr *a, void *arg)
{
	struct sl_nl_link *l = arg;

	switch (mnl_attr_get_type(a)) {
	case IFLA_MTU:
		l->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == sizeof(l->mac))
			memcpy(l->mac, mnl_attr_get_payload(a), sizeof(l->mac));
		break;
	case IFLA_LINKINFO:
		return mnl_attr_parse_nested(a, on_info, l);
	case IFLA_STATS64:
		take_stats(a, l);
		break;
	}
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *h, void *arg)
{
	struct sl_nl_link *l = arg;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);

	l->index = m->ifi_index;
	l->flags = m->ifi_flags;
	l->running = (m->ifi_flags & IFF_UP) && (m->ifi_flags & IFF_LOWER_UP);
	(void)mnl_attr_parse(h, sizeof(*m), on_attr, l);
	return MNL_CB_STOP;
}

int sl_nl_link_get(struct sl_nl *nl, const char *name, struct sl_nl_link *ret_link)
{
	struct sl_nl_link l = {0};

	if (!name[0] || strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->buf);
	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	int rc = ask(nl, h, on_link, &l);
	if (!rc)
		*ret_link = l;
	return rc;
}

static struct nlmsghdr *put_change(struct sl_nl *nl, int index, struct ifinfomsg **ret_m)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->buf);

	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	*ret_m = mnl_nlmsg_put_extra_header(h, sizeof(**ret_m));
	(*ret_m)->ifi_family = AF_UNSPEC;
	(*ret_m)->ifi_index = index;
	return h;
}

int sl_nl_mtu_set(struct sl_nl *nl, int index, uint32_t mtu)
{
	struct ifinfomsg *m;
	struct nlmsghdr *h = put_change(nl, index, &m);

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return ask(nl, h, NULL, NULL);
}

int sl_nl_flags_set(struct sl_nl *nl, int index, uint32_t set, uint32_t clear)
{
	struct ifinfomsg *m;
	struct nlmsghdr *h = put_change(nl, index, &m);

	m->ifi_flags = set;
	m->ifi_change = set | clear;
	return ask(nl, h, NULL, NULL);
}
