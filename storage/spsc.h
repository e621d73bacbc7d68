/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spsc.h - a ring of pointers between exactly one producing and one consuming thread.
 *
 * Capacity is a power of two, claimed once. Push pairs its release of `tail` with the consumer's
 * acquire; pop pairs its release of `head` with the producer's acquire.
 */
#ifndef SL_STORAGE_SPSC_H
#define SL_STORAGE_SPSC_H

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "sluice/base.h"

struct sl_spsc {
	void **slot;
	uint32_t mask;
	_Atomic uint32_t tail SL_ALIGNED(SL_CACHELINE); /* the producer writes */
	_Atomic uint32_t head SL_ALIGNED(SL_CACHELINE); /* the consumer writes */
};

/* cap: power of two, 2 .. 2^20. */
SL_INLINE int sl_spsc_init(struct sl_spsc *r, uint32_t cap)
{
	SL_ASSERT(cap >= 2 && cap <= 1u << 20 && (cap & (cap - 1)) == 0);
	r->slot = calloc(cap, sizeof(*r->slot));
	if (!r->slot)
		return -ENOMEM;
	r->mask = cap - 1;
	atomic_init(&r->tail, 0);
	atomic_init(&r->head, 0);
	return 0;
}

SL_INLINE void sl_spsc_fini(struct sl_spsc *r)
{
	free(r->slot);
	r->slot = NULL;
}

/* Producer. False when full. */
SL_INLINE bool sl_spsc_push(struct sl_spsc *r, void *p)
{
	uint32_t t = atomic_load_explicit(&r->tail, memory_order_relaxed);
	if (t - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask)
		return false;
	r->slot[t & r->mask] = p;
	atomic_store_explicit(&r->tail, t + 1, memory_order_release);
	return true;
}

/* Consumer. NULL when empty. */
SL_INLINE void *sl_spsc_pop(struct sl_spsc *r)
{
	uint32_t h = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (h == atomic_load_explicit(&r->tail, memory_order_acquire))
		return NULL;
	void *p = r->slot[h & r->mask];
	atomic_store_explicit(&r->head, h + 1, memory_order_release);
	return p;
}

SL_INLINE bool sl_spsc_empty(struct sl_spsc *r)
{
	return atomic_load_explicit(&r->head, memory_order_acquire) ==
	       atomic_load_explicit(&r->tail, memory_order_acquire);
}

#endif
