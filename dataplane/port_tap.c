/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_tap.c - a TAP interface made by DPDK's net_tap; devices send into it through the kernel.
 *
 * The driver asks for a signal per frame and reads only when one came. Measured, that costs the
 * sender most of its rate, and a full signal queue kills the process by SIGIO. Without signals
 * the driver reads on every poll, which is what a poller on poll() wants: so they are turned off.
 *
 * The kernel counts a frame as sent (tx_packets) when the driver reads it, and as tx_dropped when
 * the queue was full.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "port_int.h"

#define MTU_DEFAULT 1500
#define MTU_MAX     9600
#define ROOM_MIN    2048
#define TAP_QUEUE   1000 /* frames: the kernel's length of an Ethernet interface's queue */

static int tap_needs(const struct sl_cfg_port *cfg, const struct sl_nl_link *link,
		     uint32_t *ret_room, uint32_t *ret_mbufs, char *err, size_t errlen)
{
	uint32_t mtu = cfg->mtu ? cfg->mtu : MTU_DEFAULT;

	(void)link;
	if (mtu > MTU_MAX) {
		snprintf(err, errlen, "port %s: an MTU of %u is too large for tap (at most %d)",
			 cfg->name, mtu, MTU_MAX);
		return -EMSGSIZE;
	}
	*ret_room = SL_MAX(mtu + 64, (uint32_t)ROOM_MIN);
	*ret_mbufs = 2; /* the driver reads into one that it holds ready */
	return 0;
}

static int tap_prepare(struct sl_port *p, char *args, size_t len, char *err, size_t errlen)
{
	struct sl_nl_link l;

	if (!sl_nl_link_get(sl_nsctl_nl(p->ns), p->cfg.device, &l)) {
		snprintf(err, errlen, "port %s: an interface %s exists already; tap makes its own",
			 p->cfg.name, p->cfg.device);
		return -EEXIST;
	}
	snprintf(args, len, "iface=%s", p->cfg.device);
	return 0;
}

/* The queue's descriptor, not the one that only keeps the interface alive. */
static bool is_queue(int fd, void *arg)
{
	struct ifreq ifr = {0};
	char path[32], target[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	return !strcmp(target, "/dev/net/tun") && !ioctl(fd, TUNGETIFF, &ifr) &&
	       !(ifr.ifr_flags & IFF_DETACH_QUEUE) && !strcmp(ifr.ifr_name, arg);
}

static int tap_ready(struct sl_port *p, const struct sl_fdset *before, char *err, size_t errlen)
{
	struct sl_nl *nl = sl_nsctl_nl(p->ns);
	int fd = sl_fd_new(before, is_queue, p->cfg.device);

	if (fd < 0) {
		snprintf(err, errlen, "%s: the tap's descriptor was not found", p->cfg.device);
		return fd;
	}
	p->fd = fd;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_ASYNC)) {
		snprintf(err, errlen, "%s: cannot turn its signals off: %s", p->cfg.device,
			 strerror(errno));
		return -errno;
	}
	int rc = sl_nl_link_get(nl, p->cfg.device, &p->link0);
	if (!rc && p->cfg.mtu)
		rc = sl_nl_mtu_set(nl, p->link0.index, p->cfg.mtu);
	if (rc)
		snprintf(err, errlen, "%s: cannot set its MTU: %s", p->cfg.device, strerror(-rc));
	p->loss_exact = true;
	return rc;
}

/* The interface is down until the driver starts it, so nothing is in its queue yet. */
static int tap_base(struct sl_port *p)
{
	struct sl_nl_link l;
	int rc = sl_nl_link_get(sl_nsctl_nl(p->ns), p->cfg.device, &l);

	if (rc)
		return rc;
	p->tap.base_packets = l.tx_packets;
	p->tap.base_dropped = l.tx_dropped;
	return 0;
}

/* Open: the driver brings it up by starting. Closed: down, but its queue can still be read. */
static int tap_gate(struct sl_port *p, bool open)
{
	if (open || p->gone)
		return 0;
	return sl_nl_flags_set(sl_nsctl_nl(p->ns), p->link0.index, 0, IFF_UP);
}

static int tap_losses(struct sl_port *p, struct sl_port_losses *ret_l)
{
	struct rte_eth_stats st = {0};
	struct sl_nl_link l;

	int rc = sl_nl_link_get(sl_nsctl_nl(p->ns), p->cfg.device, &l);
	if (rc)
		return rc;
	rc = rte_eth_stats_get(p->dpdk_port, &st);
	if (rc)
		return rc;
	p->tap.packets = l.tx_packets - p->tap.base_packets;
	p->tap.dropped = l.tx_dropped - p->tap.base_dropped;
	ret_l->wire = p->tap.packets + p->tap.dropped;
	/* Read, then given up by the driver: longer than an mbuf, or no mbuf for the next one. */
	ret_l->lost = p->tap.dropped + st.ierrors + st.rx_nombuf;
	return 0;
}

const struct sl_port_ops sl_port_tap = {
	.name = "tap",
	.driver = "net_tap",
	.descriptors = 1,
	.ring = TAP_QUEUE,
	.needs = tap_needs,
	.prepare = tap_prepare,
	.ready = tap_ready,
	.gate = tap_gate,
	.base = tap_base,
	.losses = tap_losses,
};
