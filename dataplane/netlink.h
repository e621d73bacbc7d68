/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - a network interface's state, asked from the kernel.
 *
 * The socket belongs to the network namespace of the thread that opened it and stays there; /sys
 * would show the namespace of whoever mounted it. One thread per socket.
 */
#ifndef SL_DATAPLANE_NETLINK_H
#define SL_DATAPLANE_NETLINK_H

#include "sluice/base.h"

struct sl_nl;

struct sl_nl_link {
	int index;
	uint32_t flags; /* IFF_UP ... */
	bool running;   /* up, and the carrier is there */
	uint32_t mtu;
	uint8_t mac[6];
	char kind[16]; /* "veth", "tun", ... "" for a plain device */
	uint64_t rx_packets, rx_dropped, tx_packets, tx_dropped;
};

SL_MUST_CHECK int sl_nl_open(struct sl_nl **ret_nl); /* -errno */
void sl_nl_close(struct sl_nl *nl);                  /* accepts NULL */

/* By name. -ENODEV: there is none. Blocks for one round trip to the kernel. */
SL_MUST_CHECK int sl_nl_link_get(struct sl_nl *nl, const char *name, struct sl_nl_link *ret_link);
int sl_nl_mtu_set(struct sl_nl *nl, int index, uint32_t mtu);
/* Sets and clears interface flags (IFF_UP, IFF_PROMISC). */
int sl_nl_flags_set(struct sl_nl *nl, int index, uint32_t set, uint32_t clear);

#endif
