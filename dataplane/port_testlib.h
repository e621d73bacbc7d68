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

#define TL_ERR         256   /* room for an error text */
#define TL_PATIENCE_MS 10000 /* of a test that fails */

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
/* Polls until nothing came for quiet_ms; counts frames that are UDP to TL_UDP, and all. For what
 * must not come: what must is waited for with tl_poll_for(). */
void tl_poll(struct sl_port *p, unsigned quiet_ms, uint64_t *all, uint64_t *udp);
/* Polls until *udp is `want`; fails the test after TL_PATIENCE_MS. */
void tl_poll_for(struct sl_port *p, uint64_t want, uint64_t *all, uint64_t *udp);
/* Nobody polls: waits until the kernel has put frame number `wire` where the port takes it from
 * (or has counted its loss); fails the test after TL_PATIENCE_MS. */
void tl_wait_wire(struct sl_port *p, const struct sl_ctr_port *ctr, uint64_t wire);

/* ---- what the tests of a group share -----------------------------------------------------------
 */

struct tl_fix {
	struct sl_counters *ctr;  /* the port's are ctr->port[0] */
	struct rte_mempool *pool; /* each test's own: drivers do not give all buffers back */
	struct sl_cfg_port cfg;   /* of the next tl_open(): tl_port() sets it anew */
};

struct tl_fix *tl_fix_new(bool ipv6); /* EAL, namespaces, counters */
/* -1 after saying so if EAL's folder stays behind. */
int tl_fix_free(struct tl_fix *f);
int tl_fresh_pool(void **state); /* cmocka's set-up and tear-down of one test */
int tl_drop_pool(void **state);

void tl_port(struct tl_fix *f, enum sl_backend be, const char *device, const char *ns);
int tl_open(struct tl_fix *f, const struct sl_cfg_listener *l, uint32_t n, struct sl_port **ret_p,
	    char err[TL_ERR]);
/* The test fails if it does not open and start. */
struct sl_port *tl_open_started(struct tl_fix *f, const struct sl_cfg_listener *l, uint32_t n);

#endif
