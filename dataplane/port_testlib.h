/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_testlib.h - two namespaces joined by veth, a sender in one, a port in the other.
 * For the tests of suite net; every name carries the process id.
 */
#ifndef SL_DATAPLANE_PORT_TESTLIB_H
#define SL_DATAPLANE_PORT_TESTLIB_H

#include "port.h"

#define TL_GW_IP   "10.77.0.1"
#define TL_DEV_IP  "10.77.0.2"
#define TL_GW_IP6  "fd00:77::1"
#define TL_DEV_IP6 "fd00:77::2"
#define TL_UDP     5514

extern char tl_gw[32], tl_dev[32]; /* namespace names; the interfaces are gw0 and dev0 */

bool tl_can_run(void);                           /* prints why not */
int tl_sh(const char *fmt, ...) SL_PRINTF(1, 2); /* exit status of a shell line */
void tl_lan_up(bool ipv6);
void tl_lan_down(void);

/* Runs fn(arg) on a thread inside a namespace and returns its result. */
int tl_in_ns(const char *ns, int (*fn)(void *arg), void *arg);
/* Sends n datagrams of 200 bytes (sequence number first) from dev to ip:port; how many went. */
int tl_send_udp(const char *ip, uint16_t port, uint32_t n, uint32_t first_seq);
int tl_send_frame(const char *ns, const char *ifname, const void *frame, size_t len);
/* tx_dropped of an interface. */
uint64_t tl_tx_dropped(const char *ns, const char *ifname);
/* 0: nothing attached. */
uint32_t tl_xdp_id(const char *ns, const char *ifname);

void tl_eal(void);                          /* once per process; 2 lcores, --no-huge */
struct rte_mempool *tl_pool(uint32_t room); /* 16,383 mbufs */
struct sl_cfg_listener tl_listener(const char *ip, uint16_t udp);
/* Polls until nothing came for quiet_ms; counts frames that are UDP to `udp`, and all. */
void tl_poll(struct sl_port *p, unsigned quiet_ms, uint64_t *all, uint64_t *udp);

#endif
