/* SPDX-License-Identifier: Apache-2.0 */
#include "test_eth.h"

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane.h"

void te_eal(uint64_t memory_mib, bool huge)
{
	static struct sl_config cfg;
	char err[256] = "";

	cfg.dataplane.memory_bytes = memory_mib << 20;
	cfg.dataplane.hugepages = huge ? SL_HUGE_REQUIRED : SL_HUGE_OFF;
	cfg.dataplane.ingest.automatic = cfg.dataplane.writers.automatic = true;
	if (sl_dp_eal_init(&cfg, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
}

void te_eal_end(void)
{
	sl_dp_eal_cleanup();
}

static struct rte_mempool *make_pool(uint32_t mbufs, uint32_t room, uint32_t cache)
{
	static unsigned n;
	char name[32];

	snprintf(name, sizeof(name), "test_pool_%u", n++);
	struct rte_mempool *mp = rte_pktmbuf_pool_create(
		name, mbufs, cache, 0, (uint16_t)(room + RTE_PKTMBUF_HEADROOM), 0);
	SL_ASSERT(mp);
	return mp;
}

struct rte_mempool *te_pool(uint32_t mbufs, uint32_t room)
{
	return make_pool(mbufs, room, 0);
}

struct rte_mempool *te_pool_cached(uint32_t mbufs, uint32_t room)
{
	return make_pool(mbufs, room, 256);
}

uint16_t te_port(struct rte_mempool *pool)
{
	static unsigned n;
	struct rte_eth_conf conf = {0};
	char name[32];
	uint16_t port;

	snprintf(name, sizeof(name), "net_ring%u", n++);
	SL_ASSERT(rte_eal_hotplug_add("vdev", name, "") == 0);
	SL_ASSERT(rte_eth_dev_get_port_by_name(name, &port) == 0);
	SL_ASSERT(rte_eth_dev_configure(port, 1, 1, &conf) == 0);
	SL_ASSERT(rte_eth_rx_queue_setup(port, 0, 512, 0, NULL, pool) == 0);
	SL_ASSERT(rte_eth_tx_queue_setup(port, 0, 512, 0, NULL) == 0);
	SL_ASSERT(rte_eth_dev_start(port) == 0);
	return port;
}

void te_port_close(uint16_t port)
{
	SL_ASSERT(rte_eth_dev_stop(port) == 0);
	SL_ASSERT(rte_eth_dev_close(port) == 0);
}

static bool transmit(uint16_t port, struct rte_mbuf *m)
{
	if (rte_eth_tx_burst(port, 0, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

bool te_send(uint16_t port, struct rte_mempool *pool, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (!m)
		return false;
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	return transmit(port, m);
}

bool te_send_chain(uint16_t port, struct rte_mempool *pool, const uint8_t *frame, uint32_t len,
		   uint32_t piece)
{
	struct rte_mbuf *head = NULL;

	for (uint32_t at = 0; at < len; at += piece) {
		uint32_t n = SL_MIN(piece, len - at);
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		SL_ASSERT(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + at, n);
		if (head)
			SL_ASSERT(rte_pktmbuf_chain(head, m) == 0);
		else
			head = m;
	}
	return transmit(port, head);
}
