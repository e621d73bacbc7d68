/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - how dataplane.memory is divided into packets and batches. Pure.
 *
 * The sum of what can be open at once stays within a third of a common L3 cache (SL_PLAN_OPEN_BYTES
 * for all ingest lcores together): many partitions get smaller batches, down to SL_PLAN_BATCH_MIN.
 * The pool behind them is larger, a quarter of the memory: it is what a stalled writer is bridged
 * with, and as it is last in, first out, it stays cold in health.
 */
#ifndef SL_DATAPLANE_PLAN_H
#define SL_DATAPLANE_PLAN_H

#include "sluice/config.h"

#define SL_PLAN_MBUF_CACHE    256u
#define SL_PLAN_MBUFS_AT_WORK 1024u /* beyond what a port holds: bursts, the lcore's cache */
#define SL_PLAN_OPEN_BYTES    (10u << 20)
#define SL_PLAN_BATCH_AUTO    (64u << 10) /* dataplane.batch_bytes 0 */
#define SL_PLAN_BATCH_MIN     4096u
#define SL_PLAN_SPARE         64u    /* batches beyond one per partition, at least */
#define SL_PLAN_BATCHES_MAX   65536u /* of one ingest lcore */

struct sl_plan {
	uint32_t batch_bytes;
	uint32_t batch_cnt;
	uint32_t large_bytes; /* 0: every datagram fits into a batch */
};

/* For one of `lcores` ingest lcores that feeds `partitions`; `record_max` bounds what a datagram
 * and the key taken from it add up to. -ENOMEM: even the smallest batches are too many for the
 * memory. */
SL_MUST_CHECK int sl_plan_batches(const struct sl_config *cfg, uint32_t lcores, uint32_t partitions,
				  uint32_t record_max, struct sl_plan *ret_plan);

#endif
