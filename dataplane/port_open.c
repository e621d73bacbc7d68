/* SPDX-License-Identifier: Apache-2.0 */
/* port_open.c - makes a port's device and takes it away again, on its namespace's thread. */
#include <errno.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>

#include "eal_log.h"
#include "port_choose.h"
#include "port_int.h"
#include "quiet.h"

#define VDEV_TRIES 64

static int hold_quiet(struct sl_port *p, char *err, size_t errlen)
{
	struct sl_quiet *q = sl_nsctl_quiet(p->ns);

	for (; p->ops->quiet && p->quiet_cnt < p->listener_cnt; p->quiet_cnt++) {
		int rc = sl_quiet_hold(q, &p->listener[p->quiet_cnt], p->link0.index, err, errlen);
		if (rc)
			return rc;
	}
	return 0;
}

static void release_quiet(struct sl_port *p)
{
	while (p->quiet_cnt)
		sl_quiet_release(sl_nsctl_quiet(p->ns), &p->listener[--p->quiet_cnt]);
}

/* An interface that exists is brought up and given its MTU; close puts both back. */
static int take_interface(struct sl_port *p, char *err, size_t errlen)
{
	struct sl_nl *nl = sl_nsctl_nl(p->ns);
	const char *dev = p->cfg.device;

	if (!p->ops->interface)
		return 0;
	int rc = sl_nl_link_get(nl, dev, &p->link0);
	if (!rc && p->cfg.mtu && p->cfg.mtu != p->link0.mtu)
		rc = sl_nl_mtu_set(nl, p->link0.index, p->cfg.mtu);
	if (!rc && !(p->link0.flags & IFF_UP))
		rc = sl_nl_flags_set(nl, p->link0.index, IFF_UP, 0);
	if (rc)
		snprintf(err, errlen, "port %s: interface %s%s%s: %s", p->cfg.name, dev,
			 p->cfg.netns[0] ? " in network namespace " : "", p->cfg.netns,
			 rc == -ENODEV ? "there is none of this name" : strerror(-rc));
	return rc;
}

static void give_back_interface(struct sl_port *p)
{
	struct sl_nl *nl = sl_nsctl_nl(p->ns);
	struct sl_nl_link now;

	if (!p->ops->interface || !p->link0.index || sl_nl_link_get(nl, p->cfg.device, &now) ||
	    now.index != p->link0.index)
		return;
	if (now.mtu != p->link0.mtu && p->cfg.mtu)
		(void)sl_nl_mtu_set(nl, now.index, p->link0.mtu);
	uint32_t watched = IFF_PROMISC | (p->link0.flags & IFF_UP ? 0 : IFF_UP);
	uint32_t want = p->link0.flags & watched;
	if ((now.flags & watched) != want)
		(void)sl_nl_flags_set(nl, now.index, want, watched & ~want);
}

static int check_pool(const struct sl_port *p, char *err, size_t errlen)
{
	uint32_t room, mbufs;

	if (!p->ops->interface)
		return 0;
	int rc = p->ops->needs(&p->cfg, &p->link0, &room, &mbufs, err, errlen);
	if (!rc && rte_pktmbuf_data_room_size(p->pool) < room + RTE_PKTMBUF_HEADROOM) {
		snprintf(err, errlen, "port %s: the MTU of %s has grown since its memory was taken",
			 p->cfg.name, p->cfg.device);
		rc = -EAGAIN;
	}
	return rc;
}

static int make_vdev(struct sl_port *p, const char *args, char *err, size_t errlen)
{
	uint16_t id;
	unsigned i;

	if (!p->ops->driver)
		return 0;
	for (i = 0; i < VDEV_TRIES; i++) { /* a stuck device keeps its name */
		snprintf(p->vdev, sizeof(p->vdev), "%s%u", p->ops->driver,
			 p->index + i * SL_CFG_PORTS_MAX);
		if (rte_eth_dev_get_port_by_name(p->vdev, &id))
			break;
	}
	sl_eal_log_forget();
	int rc = rte_eal_hotplug_add("vdev", p->vdev, args);
	if (!rc) {
		p->has_dev = true;
		rc = rte_eth_dev_get_port_by_name(p->vdev, &p->dpdk_port);
	}
	if (rc) {
		snprintf(err, errlen, "port %s: %s could not be opened with %s", p->cfg.name,
			 p->cfg.device[0] ? p->cfg.device : "the file", p->ops->name);
		sl_eal_log_quote(err, errlen);
	}
	return rc;
}

/*
 * net_af_xdp opens our program's object file and makes its UMEM in the queue's set-up, and frees
 * neither when it closes (docs/decisions/0022): what this one call takes is not reported as a leak.
 */
#ifdef SL_SANITIZED
void __lsan_disable(void) __attribute__((weak)); /* NULL: a sanitizer that looks for no leaks */
void __lsan_enable(void) __attribute__((weak));
#endif

static int setup_rx_queue(const struct sl_port *p)
{
	int node = rte_eth_dev_socket_id(p->dpdk_port);

#ifdef SL_SANITIZED
	bool forgets = p->ops == &sl_port_af_xdp && __lsan_disable;
	if (forgets)
		__lsan_disable();
#endif
	int rc = rte_eth_rx_queue_setup(p->dpdk_port, 0, p->ops->descriptors,
					node < 0 ? 0 : (unsigned)node, NULL, p->pool);
#ifdef SL_SANITIZED
	if (forgets)
		__lsan_enable();
#endif
	return rc;
}

static int make_queues(struct sl_port *p, char *err, size_t errlen)
{
	const struct rte_eth_conf conf = {0};

	sl_eal_log_forget();
	int rc = rte_eth_dev_configure(p->dpdk_port, 1, 1, &conf);
	if (!rc) {
		rc = setup_rx_queue(p);
		/* net_af_xdp keeps pointing at what it freed: never close it then. */
		p->driver_stuck = rc && p->ops == &sl_port_af_xdp;
	}
	if (!rc)
		rc = rte_eth_tx_queue_setup(p->dpdk_port, 0, p->ops->descriptors, 0, NULL);
	p->has_queues = !rc;
	if (rc) {
		snprintf(err, errlen, "port %s: %s could not be set up with %s", p->cfg.name,
			 p->cfg.device, p->ops->name);
		sl_eal_log_quote(err, errlen);
	}
	return rc;
}

void sl_port_close_here(struct sl_port *p)
{
	sl_port_stop_here(p);
	if (p->ops->closing)
		p->ops->closing(p);
	if (p->has_dev && !p->driver_stuck) {
		(void)rte_eth_dev_close(p->dpdk_port);
		if (p->ops->driver)
			(void)rte_eal_hotplug_remove("vdev", p->vdev);
	}
	p->has_dev = false;
	if (p->ops->closed)
		p->ops->closed(p);
	give_back_interface(p);
	release_quiet(p);
}

int sl_port_open_here(struct sl_port *p, char *err, size_t errlen)
{
	char args[SL_PORT_ARGS_MAX] = "";
	struct sl_fdset *before = malloc(sizeof(*before));

	if (!before) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	int rc = sl_port_choose(sl_nsctl_nl(p->ns), &p->cfg, &p->ops, p->why, sizeof(p->why), err,
				errlen);
	if (!rc)
		rc = take_interface(p, err, errlen);
	if (!rc)
		rc = check_pool(p, err, errlen);
	if (!rc)
		rc = hold_quiet(p, err, errlen);
	if (!rc)
		rc = p->ops->prepare(p, args, sizeof(args), err, errlen);
	if (!rc)
		rc = sl_fd_snapshot(before);
	if (!rc)
		rc = make_vdev(p, args, err, errlen);
	if (!rc)
		rc = make_queues(p, err, errlen);
	if (!rc)
		rc = p->ops->ready(p, before, err, errlen);
	free(before);
	if (rc && p->ops)
		sl_port_close_here(p);
	return rc;
}
