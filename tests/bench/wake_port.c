/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake_port.c - how long the product's receive thread takes to see a datagram: its port, its idle
 * policy, one ingest lcore, and nothing behind them. P10.
 *
 *   wake_port BACKEND NETNS DEVICE PORT IDLE CPU COUNT SKIP
 *
 * BACKEND af_xdp or af_packet, IDLE sleep or spin. A record's own timestamp is in milliseconds, so
 * sluiced itself cannot tell; this is the same code up to the received burst. Says "ready" when
 * the port has started; ends after COUNT stamped datagrams (stamp.h), the first SKIP of them not
 * kept, or two seconds of silence after the first. Prints what stamp.h says; cpu_s is the receive
 * thread's.
 */
#include "stamp.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "dataplane/dataplane.h"
#include "dataplane/eal.h"
#include "dataplane/idle.h"
#include "dataplane/pool.h"
#include "dataplane/port.h"

enum { BURST = 32, MBUFS_SPARE = 4096, UDP_PAYLOAD = 14 + 20 + 8, FIRST_WAIT_S = 20, QUIET_S = 2 };
#define NAP_NS 100000000u /* as long as nothing comes: how often the loop looks at its own end */

struct receiver {
	uint16_t port;
	struct sl_idler idle;
	uint32_t count;
	struct sl_stamp_samples samples;
	double cpu_s, seconds;
};

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool over(uint64_t first, uint64_t last, uint64_t start)
{
	uint64_t now = sl_stamp_now();
	return first ? now - last > QUIET_S * (uint64_t)NS_PER_S
		     : now - start > FIRST_WAIT_S * (uint64_t)NS_PER_S;
}

/* The ingest loop's skeleton: burst, look, idle. */
static int receive(void *arg)
{
	struct receiver *r = arg;
	struct rte_mbuf *m[BURST];
	uint64_t start = sl_stamp_now(), first = 0, last = 0;
	double cpu = 0;
	uint32_t turn = 0;

	while (r->samples.seen < r->count) {
		uint16_t n = rte_eth_rx_burst(r->port, 0, m, BURST);
		for (uint16_t i = 0; i < n; i++) {
			size_t len = rte_pktmbuf_data_len(m[i]);
			if (len > UDP_PAYLOAD)
				sl_stamp_take(&r->samples,
					      rte_pktmbuf_mtod_offset(m[i], uint8_t *, UDP_PAYLOAD),
					      len - UDP_PAYLOAD);
		}
		if (n) {
			rte_pktmbuf_free_bulk(m, n);
			last = sl_stamp_now();
			if (!first) {
				first = last;
				cpu = cpu_s();
			}
		}
		if (sl_idle_turn(&r->idle, n > 0)) {
			sl_idle_arm(&r->idle);
			sl_idle_wait(&r->idle, NAP_NS);
		}
		if (!n && (!r->idle.spin || !(++turn & 0xffff)) && over(first, last, start))
			break;
	}
	r->cpu_s = cpu_s() - cpu;
	r->seconds = (double)(sl_stamp_now() - first) / 1e9;
	return 0;
}

static int fill_config(char **argv, struct sl_config *c)
{
	struct sl_cfg_port *p = &c->port[0];
	struct sl_cfg_listener *l = &c->listener[0];

	c->dataplane.memory_bytes = 64u << 20;
	c->dataplane.hugepages = SL_HUGE_OFF;
	c->dataplane.idle = strcmp(argv[5], "spin") ? SL_IDLE_SLEEP : SL_IDLE_SPIN;
	c->dataplane.ingest = (struct sl_cfg_cpus){.cnt = 1, .cpu = {(uint16_t)atoi(argv[6])}};
	c->dataplane.writers = c->dataplane.ingest;
	c->port_cnt = c->listener_cnt = 1;
	if (!strcmp(argv[1], "af_xdp"))
		p->backend = SL_BE_AF_XDP;
	else if (!strcmp(argv[1], "af_packet"))
		p->backend = SL_BE_AF_PACKET;
	else
		return -EINVAL;
	snprintf(p->name, sizeof p->name, "lan0");
	snprintf(p->netns, sizeof p->netns, "%s", argv[2]);
	snprintf(p->device, sizeof p->device, "%s", argv[3]);
	snprintf(l->name, sizeof l->name, "stamps");
	snprintf(l->topic, sizeof l->topic, "stamps");
	l->udp = (uint16_t)atoi(argv[4]);
	return l->udp ? 0 : -EINVAL;
}

static struct rte_mempool *make_pool(const struct sl_cfg_port *p, char *err, size_t errlen)
{
	uint32_t room, held;

	if (sl_port_needs(p, &room, &held, err, errlen))
		return NULL;
	struct rte_mempool *pool = sl_mbuf_pool_new("bench", held + MBUFS_SPARE, 256, room);
	if (!pool)
		snprintf(err, errlen, "no memory for %u mbufs", held + MBUFS_SPARE);
	return pool;
}

static int measure(const struct sl_config *c, struct sl_ctr_port *ctr, struct receiver *r,
		   char *err, size_t errlen)
{
	struct sl_eal_lcores lcores;
	struct sl_port *port = NULL;
	int rc = sl_eal_lcores(c, &lcores, err, errlen);
	struct rte_mempool *pool = rc ? NULL : make_pool(&c->port[0], err, errlen);

	if (!pool)
		return -ENOMEM;
	const struct sl_port_cfg pc = {.port = &c->port[0],
				       .listener = c->listener,
				       .listener_cnt = 1,
				       .pool = pool,
				       .counters = ctr,
				       .idle = c->dataplane.idle};
	rc = sl_port_open(&pc, &port, err, errlen);
	if (rc)
		return rc;
	rc = sl_port_start(port, err, errlen);
	if (rc)
		goto close;
	r->port = sl_port_id(port);
	rc = sl_port_fd(port) < 0 ? -ENOTSUP : sl_idle_add_fd(&r->idle, sl_port_fd(port));
	if (rc) {
		snprintf(err, errlen, "the port has no fd to wait on");
		goto close;
	}
	printf("ready\n");
	fflush(stdout);
	rte_eal_remote_launch(receive, r, lcores.ingest[0]);
	/* rte_eal_wait_lcore() spins, on the CPU that is measured: sleep until there is no wait */
	while (rte_eal_get_lcore_state(lcores.ingest[0]) == RUNNING)
		nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
	rte_eal_wait_lcore(lcores.ingest[0]);
close:
	sl_port_close(port);
	return rc;
}

int main(int argc, char **argv)
{
	static struct sl_config c;
	static struct sl_ctr_port ctr;
	static struct receiver r;
	char err[512] = "";

	if (argc != 9 || fill_config(argv, &c)) {
		fprintf(stderr, "usage: wake_port BACKEND NETNS DEVICE PORT IDLE CPU COUNT SKIP\n");
		return 2;
	}
	r.count = (uint32_t)strtoul(argv[7], NULL, 10);
	r.samples.skip = (uint32_t)strtoul(argv[8], NULL, 10);
	r.samples.ns = calloc(SL_STAMP_SAMPLES_MAX, sizeof(uint32_t));
	int rc = r.samples.ns ? sl_idle_init(&r.idle, c.dataplane.idle == SL_IDLE_SPIN) : -ENOMEM;
	if (!rc)
		rc = sl_dp_eal_init(&c, err, sizeof err);
	if (!rc)
		rc = measure(&c, &ctr, &r, err, sizeof err);
	sl_dp_eal_cleanup();
	sl_idle_fini(&r.idle);
	if (rc) {
		fprintf(stderr, "wake_port: %s (%s)\n", err, strerror(-rc));
		return 1;
	}
	sl_stamp_print(&r.samples, r.cpu_s, r.seconds);
	return r.samples.cnt ? 0 : 1;
}
