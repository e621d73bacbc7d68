/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_eth.h - EAL without hugepages, and a DPDK port that receives what is sent to it (net_ring),
 * for tests and benches of the loops. Needs no privilege.
 */
#ifndef SL_DATAPLANE_TEST_ETH_H
#define SL_DATAPLANE_TEST_ETH_H

#include <rte_mbuf.h>

#include "sluice/base.h"

/* Once per process; aborts with the reason. `huge`: on hugepages, which must be there. */
void te_eal(uint64_t memory_mib, bool huge);
void te_eal_end(void); /* also takes away EAL's folder (below /run, or /tmp without root) */
struct rte_mempool *te_pool(uint32_t mbufs, uint32_t room);
/* With a cache per lcore, as the product's. */
struct rte_mempool *te_pool_cached(uint32_t mbufs, uint32_t room);
/* A started port; frames given to te_send() come out of its queue 0. */
uint16_t te_port(struct rte_mempool *pool);
void te_port_close(uint16_t port);
/* False: the port's ring or the pool is full. */
bool te_send(uint16_t port, struct rte_mempool *pool, const uint8_t *frame, uint32_t len);
/* In pieces of at most `piece` bytes, chained. */
bool te_send_chain(uint16_t port, struct rte_mempool *pool, const uint8_t *frame, uint32_t len,
		   uint32_t piece);

#endif
