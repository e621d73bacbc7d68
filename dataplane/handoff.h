/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.h - the way of closed batches to a writer and back: two single-producer single-consumer
 * rings between one producing thread and one writer.
 *
 * What is under way is bounded by whoever produces (a pool, a count), never above the depth given
 * at init; so neither ring can be full, and giving back never fails. The rings' own release and
 * acquire publish the batch's bytes with its pointer.
 */
#ifndef SL_DATAPLANE_HANDOFF_H
#define SL_DATAPLANE_HANDOFF_H

#include <rte_ring.h>

#include "sluice/store.h"

#define SL_HANDOFF_DEPTH_MAX (1u << 20)

struct sl_handoff {
	struct rte_ring *to;   /* producer -> writer */
	struct rte_ring *back; /* writer -> producer */
};

/* At least `depth` appends may be under way. -EINVAL, -ENOMEM. Control. */
SL_MUST_CHECK int sl_handoff_init(struct sl_handoff *h, uint32_t depth);
void sl_handoff_fini(struct sl_handoff *h); /* accepts NULL and zeroed */

/* The producer. False: more than `depth` are under way. */
SL_INLINE bool sl_handoff_give(struct sl_handoff *h, struct sl_append *a)
{
	return rte_ring_sp_enqueue(h->to, a) == 0;
}
/* The producer: those that came back. */
SL_INLINE unsigned sl_handoff_reap(struct sl_handoff *h, struct sl_append **ret, unsigned n)
{
	return rte_ring_sc_dequeue_burst(h->back, (void **)ret, n, NULL);
}
/* The writer. */
SL_INLINE unsigned sl_handoff_take(struct sl_handoff *h, struct sl_append **ret, unsigned n)
{
	return rte_ring_sc_dequeue_burst(h->to, (void **)ret, n, NULL);
}
SL_INLINE void sl_handoff_return(struct sl_handoff *h, struct sl_append *const *a, unsigned n)
{
	SL_ASSERT(rte_ring_sp_enqueue_bulk(h->back, (void *const *)a, n, NULL) == n);
}
/* How many were given, ever, modulo 2^32; and whether all up to there came back. Any thread. */
SL_INLINE uint32_t sl_handoff_given(const struct sl_handoff *h)
{
	return __atomic_load_n(&h->to->prod.tail, __ATOMIC_ACQUIRE);
}
SL_INLINE bool sl_handoff_returned(const struct sl_handoff *h, uint32_t given)
{
	return (int32_t)(__atomic_load_n(&h->back->prod.tail, __ATOMIC_ACQUIRE) - given) >= 0;
}
SL_INLINE bool sl_handoff_pending(const struct sl_handoff *h)
{
	return !rte_ring_empty(h->to);
}

#endif
