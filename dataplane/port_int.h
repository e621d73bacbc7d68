/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_int.h - the inside of a port, for port.c and its back ends.
 *
 * Everything here runs on the namespace's thread (nsctl.h) unless it says otherwise.
 */
#ifndef SL_DATAPLANE_PORT_INT_H
#define SL_DATAPLANE_PORT_INT_H

#include <net/if.h>
#include <stdatomic.h>

#include "fdscan.h"
#include "netlink.h"
#include "nsctl.h"
#include "port.h"

#define SL_PORT_WHY_MAX  192
#define SL_PORT_ARGS_MAX 512

struct sl_port_losses { /* running totals; only their differences mean something */
	uint64_t wire, lost;
};

struct sl_port_ops {
	const char *name;     /* as in the config and the status */
	const char *driver;   /* DPDK's, the first part of the vdev's name */
	bool interface;       /* there is a network interface, seen by netlink, before open */
	bool quiet;           /* the kernel sees ingest datagrams too: hold their ports */
	uint16_t descriptors; /* of the RX queue */
	uint32_t ring;        /* frames that wait while nobody polls, at least; 0: no bound */

	/* Data room and mbufs held; `link` is NULL without an interface. */
	int (*needs)(const struct sl_cfg_port *cfg, const struct sl_nl_link *link,
		     uint32_t *ret_room, uint32_t *ret_mbufs, char *err, size_t errlen);
	/* Takes what must be there before the device, and writes the vdev's arguments. */
	int (*prepare)(struct sl_port *p, char *args, size_t len, char *err, size_t errlen);
	/* Queues are set up: find the socket, keep the gate closed. `before`: descriptors then. */
	int (*ready)(struct sl_port *p, const struct sl_fdset *before, char *err, size_t errlen);
	/* Opens the gate after the device was started, or closes it. May be NULL. */
	int (*gate)(struct sl_port *p, bool open);
	/* Right before the device starts: the counters' base. May be NULL. */
	int (*base)(struct sl_port *p);
	int (*losses)(struct sl_port *p, struct sl_port_losses *ret_l);
	/* Before and after the driver closes its device; also when it was never made. */
	void (*closing)(struct sl_port *p);
	void (*closed)(struct sl_port *p);
};

struct sl_port {
	struct sl_cfg_port cfg;
	const struct sl_cfg_listener *listener;
	uint32_t listener_cnt;
	struct rte_mempool *pool;
	struct sl_ctr_port *counters;
	enum sl_idle idle;
	uint16_t index;

	const struct sl_port_ops *ops;
	struct sl_nsctl *ns;
	struct sl_nl_link link0; /* the interface as it was before we touched it */
	char vdev[64];
	char why[SL_PORT_WHY_MAX];
	bool has_dev, has_queues, started, gate_open, loss_exact;
	bool driver_stuck;  /* its queue set-up failed: closing it would corrupt its memory */
	uint32_t quiet_cnt; /* listeners held so far */
	uint16_t dpdk_port;
	int fd;

	struct sl_port_losses base; /* the counters minus what losses() said at the start */
	uint64_t left;              /* still in the device when it stopped */
	_Atomic bool link, done;    /* read by any thread */
	bool gone;

	struct sl_xdp *xdp; /* af_xdp */
	struct {
		uint64_t packets, drops; /* af_packet: the kernel's counters clear on read */
	} packet;
	struct {
		uint64_t base_packets, base_dropped, packets, dropped;
	} tap;
	struct {
		int fd;
		uint64_t frames; /* in the file */
	} pcap;
};

extern const struct sl_port_ops sl_port_af_xdp, sl_port_af_packet, sl_port_tap, sl_port_pcap,
	sl_port_pci;

/* Receive queues an interface has in use; 1 where its driver does not say. */
uint32_t sl_port_rx_queues(const char *device);

/* port_open.c. Open leaves nothing behind when it fails; close stops if need be. */
SL_MUST_CHECK int sl_port_open_here(struct sl_port *p, char *err, size_t errlen);
void sl_port_close_here(struct sl_port *p);
void sl_port_stop_here(struct sl_port *p); /* port.c */

#endif
