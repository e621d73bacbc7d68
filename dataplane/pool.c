/* SPDX-License-Identifier: Apache-2.0 */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include "pool.h"

struct rte_mempool *sl_mbuf_pool_new(const char *name, uint32_t mbufs, uint32_t cache,
				     uint32_t room)
{
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size =
							(uint16_t)(room + RTE_PKTMBUF_HEADROOM)};
	unsigned elt = (unsigned)(sizeof(struct rte_mbuf) + room + RTE_PKTMBUF_HEADROOM);
	/* Only a card that addresses memory physically cares for the borders of pages. */
	unsigned flags = rte_eal_iova_mode() == RTE_IOVA_VA ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;

	if (room + RTE_PKTMBUF_HEADROOM > UINT16_MAX) {
		rte_errno = EINVAL;
		return NULL;
	}
	struct rte_mempool *mp = rte_mempool_create_empty(name, mbufs, elt, cache, sizeof(priv),
							  (int)rte_socket_id(), flags);
	if (!mp)
		return NULL;
	int rc = rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL);
	if (!rc) {
		rte_pktmbuf_pool_init(mp, &priv);
		rc = rte_mempool_populate_default(mp);
	}
	if (rc < 0) {
		rte_mempool_free(mp);
		rte_errno = -rc;
		return NULL;
	}
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

static void widen(struct rte_mempool *mp, void *arg, void *obj, unsigned idx)
{
	uintptr_t *span = arg, at = (uintptr_t)obj - mp->header_size;

	(void)idx;
	span[0] = SL_MIN(span[0], at);
	span[1] = SL_MAX(span[1], at);
}

bool sl_pool_gapless(struct rte_mempool *mp)
{
	uintptr_t span[2] = {UINTPTR_MAX, 0};
	size_t total = mp->header_size + mp->elt_size + mp->trailer_size;

	return mp->nb_mem_chunks == 1 && rte_mempool_obj_iter(mp, widen, span) == mp->size &&
	       span[1] - span[0] == (mp->size - 1) * total;
}
