/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - a port's pool of packet buffers, in one gapless piece of memory.
 *
 * rte_pktmbuf_pool_create() keeps every buffer within a page, which without hugepages leaves a gap
 * after each; net_af_xdp reckons with no gaps, so that four buffers in ten lay outside the memory
 * it gave to the kernel. Those vanished from its fill ring one by one until nothing was received.
 */
#ifndef SL_DATAPLANE_POOL_H
#define SL_DATAPLANE_POOL_H

#include "sluice/base.h"

struct rte_mempool;

/* As rte_pktmbuf_pool_create(), `room` without the headroom; NULL with rte_errno set. Control. */
struct rte_mempool *sl_mbuf_pool_new(const char *name, uint32_t mbufs, uint32_t cache,
				     uint32_t room);
/* True if all buffers lie back to back, as net_af_xdp takes for granted. */
bool sl_pool_gapless(struct rte_mempool *mp);

#endif
