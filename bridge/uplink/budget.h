/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.h - a cap in bytes per second: a bucket of a quarter second's bytes that fills with time.
 *
 * What is taken may overdraw it once, so a record larger than the bucket passes too, and is paid
 * for afterwards. One thread; the clock is the caller's.
 */
#ifndef SL_BRIDGE_UPLINK_BUDGET_H
#define SL_BRIDGE_UPLINK_BUDGET_H

#include "sluice/base.h"

#define SL_BUDGET_FLOOR 4096 /* bytes that the bucket holds at least */

struct sl_budget {     /* visible to be embedded */
	uint64_t rate; /* bytes a second, 0: no cap */
	int64_t bytes; /* may be below 0 */
	uint64_t at_ns;
};

/* From now on; begins with a full bucket. */
void sl_budget_set(struct sl_budget *b, uint64_t rate, uint64_t now_ns);
/* 0: something may be taken now; else the monotonic ns at which it may. */
uint64_t sl_budget_wait(struct sl_budget *b, uint64_t now_ns);
void sl_budget_take(struct sl_budget *b, uint64_t bytes);

#endif
