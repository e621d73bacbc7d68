/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h - a DPDK port, whatever its back end, and its loss reader.
 *
 * Every control call on a port's device (probe, configure, start, stop, close, promiscuous, MTU,
 * link, statistics, XDP attach and detach, quiet sockets) runs on one thread per network
 * namespace (nsctl.h) that entered it once and stays there; the functions below hand their work
 * to it and wait. An ingest lcore calls rte_eth_rx_burst(sl_port_id(p), 0, ...) and nothing of
 * this.
 */
#ifndef SL_DATAPLANE_PORT_H
#define SL_DATAPLANE_PORT_H

#include "sluice/config.h"
#include "sluice/counters.h"

struct sl_port;
struct rte_mempool;
struct rte_mbuf;

struct sl_port_cfg {
	const struct sl_cfg_port *port;
	uint16_t index;                         /* in the config; names the vdev */
	const struct sl_cfg_listener *listener; /* those of this port: what XDP redirects, */
	uint32_t listener_cnt;                  /* and what must not answer ICMP unreachable */
	struct rte_mempool *pool; /* for its one RX queue, from sl_mbuf_pool_new() (pool.h); to be
				   * freed after close, which leaves buffers out */
	struct sl_ctr_port *counters; /* running totals go on from what is in them */
	enum sl_idle idle;            /* SL_IDLE_SPIN: the poller never waits on sl_port_fd() */
};

/* Opens and configures; the device exists but does not receive. `err`: a sentence. Control. */
SL_MUST_CHECK int sl_port_open(const struct sl_port_cfg *cfg, struct sl_port **ret_port, char *err,
			       size_t errlen);
SL_MUST_CHECK int sl_port_start(struct sl_port *p, char *err, size_t errlen);
/* Nothing new comes in from here on (what arrives is not ours to count); what the device holds can
 * still be received. Call it, let the ingest lcores poll until empty, then stop. Control. */
void sl_port_quiesce(struct sl_port *p);
/* No lcore polls any more. Frames still in the device count as lost_by_device. */
void sl_port_stop(struct sl_port *p);
void sl_port_close(struct sl_port *p); /* stops if need be; accepts NULL */

/* Mbuf data room that this port needs, headroom not included: MTU + 400 (af_xdp), 2048, ... Called
 * before the pool is made. *ret_mbufs: how many it holds by itself (rings, a pcap file in memory).
 */
SL_MUST_CHECK int sl_port_needs(const struct sl_cfg_port *cfg, uint32_t *ret_data_room,
				uint32_t *ret_mbufs, char *err, size_t errlen);

uint16_t sl_port_id(const struct sl_port *p); /* DPDK port id */
/*
 * fd to poll for POLLIN when idle, or -1 (pcap: never idle until its end; pci: nap). Constant after
 * start. POLLERR without POLLIN means that the interface went down: nap, do not spin on it;
 * sl_port_housekeep() clears the condition.
 */
int sl_port_fd(const struct sl_port *p);
/* Frames that the device holds while nobody polls; 0: they wait elsewhere (pcap). */
uint32_t sl_port_ring(const struct sl_port *p);
bool sl_port_trusts_partial_csum(const struct sl_port *p); /* checksum: auto on veth, tap; trust */
bool sl_port_trusts_all_csum(const struct sl_port *p);
bool sl_port_done(const struct sl_port *p); /* pcap at its end (replay once) */
const char *sl_port_backend(const struct sl_port *p);
const char *sl_port_why(const struct sl_port *p);
bool sl_port_link(const struct sl_port *p); /* as of the last sl_port_housekeep() */
bool sl_port_loss_exact(const struct sl_port *p);
/* Reads losses, link state and removal into the counters. Control, about once a second. */
void sl_port_housekeep(struct sl_port *p);
/* Reads losses only, so that whoever reads the counters next sees what is lost by now. Any thread
 * that may call sl_nsctl_call(). */
void sl_port_read_losses(struct sl_port *p);

#endif
