/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice_xdp.h - what the XDP program and the process that attached it share: map layouts.
 * Included by both.
 */
#ifndef SL_DATAPLANE_SLUICE_XDP_H
#define SL_DATAPLANE_SLUICE_XDP_H

#include <linux/types.h>

#define SL_XDP_QUEUES_MAX    64
#define SL_XDP_LISTENERS_MAX 1024

/* Names in the kernel hold 15 characters. The prefix is how leftovers are known as ours. */
#define SL_XDP_PREFIX     "sluice_"
#define SL_XDP_MAP_CFG    "sluice_cfg"
#define SL_XDP_MAP_LISTEN "sluice_listen"
#define SL_XDP_MAP_STAT   "sluice_stat"

struct sl_xdp_key {  /* of sluice_listen; an all-zero ip means any address of the family */
	__u8 ip[16]; /* network order, IPv4 in the first four bytes */
	__u16 port;  /* network order */
	__u8 family; /* 4 or 6 */
	__u8 zero;
};

struct sl_xdp_cfg {     /* the only entry of sluice_cfg */
	__u32 open;     /* 0: everything goes to the kernel */
	__u32 all_macs; /* 1: also frames for another station's address (promiscuous) */
	__u8 mac[6];
	__u8 zero[2];
};

enum sl_xdp_stat {                    /* rows of sluice_stat, per CPU */
		   SL_XDP_REDIRECTED, /* handed to the socket */
		   SL_XDP_NO_SOCKET,  /* for a listener, but on a queue that has no socket */
		   SL_XDP_STAT_CNT,
};

#endif
