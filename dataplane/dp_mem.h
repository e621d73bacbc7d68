/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_mem.h - memory for batches and caches of the lcores: DPDK's heap if it lies on hugepages,
 * otherwise the kernel's transparent hugepages where they are allowed (a batch is 16 pages of
 * 4 KiB; see docs/decisions/0030-ingest-path.md for what that is worth). Zeroed and present when
 * it is returned, so that nothing is left to fail later. Control.
 */
#ifndef SL_DATAPLANE_MEM_H
#define SL_DATAPLANE_MEM_H

#include "sluice/base.h"

/* Aligned to at least SL_CACHELINE; `align` beyond that is not promised. NULL: no memory. */
void *sl_dp_mem_alloc(size_t bytes, size_t align);
void sl_dp_mem_free(void *p); /* accepts NULL */

#endif
