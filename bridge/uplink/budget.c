/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"

#define NS_PER_S 1000000000u

static int64_t bucket(const struct sl_budget *b)
{
	return (int64_t)SL_MIN(SL_MAX(b->rate / 4, (uint64_t)SL_BUDGET_FLOOR),
			       (uint64_t)INT64_MAX / 2);
}

void sl_budget_set(struct sl_budget *b, uint64_t rate, uint64_t now_ns)
{
	b->rate = rate;
	b->bytes = bucket(b);
	b->at_ns = now_ns;
}

uint64_t sl_budget_wait(struct sl_budget *b, uint64_t now_ns)
{
	if (!b->rate)
		return 0;
	uint64_t more =
		(uint64_t)SL_MIN((unsigned __int128)b->rate * (now_ns - b->at_ns) / NS_PER_S,
				 (unsigned __int128)INT64_MAX / 2);
	if (b->bytes + (int64_t)more >= bucket(b)) {
		b->bytes = bucket(b);
		b->at_ns = now_ns;
	} else { /* what is less than a byte stays to be had */
		b->bytes += (int64_t)more;
		b->at_ns += (uint64_t)((unsigned __int128)more * NS_PER_S / b->rate);
	}
	if (b->bytes > 0)
		return 0;
	uint64_t owed = (uint64_t)(1 - b->bytes);
	return now_ns + (uint64_t)((unsigned __int128)owed * NS_PER_S / b->rate) + 1;
}

void sl_budget_take(struct sl_budget *b, uint64_t bytes)
{
	if (b->rate)
		b->bytes -= (int64_t)bytes;
}
