/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <errno.h>

#include "open_batch.h"

/* Batch header, record headers and framing beside datagram and key. */
#define RECORD_EXTRA (SL_BATCH_HDR + SL_OB_SLACK + 1024u)

static uint32_t power_of_two_below(uint64_t v)
{
	return v ? 1u << (31 - __builtin_clz((uint32_t)SL_MIN(v, (uint64_t)UINT32_MAX))) : 0;
}

int sl_plan_batches(const struct sl_config *cfg, uint32_t lcores, uint32_t partitions,
		    uint32_t record_max, struct sl_plan *ret_plan)
{
	uint64_t quarter = cfg->dataplane.memory_bytes / 4 / lcores;
	uint32_t want =
		cfg->dataplane.batch_bytes ? cfg->dataplane.batch_bytes : SL_PLAN_BATCH_AUTO;
	uint32_t bytes = SL_MIN(SL_MAX(want, SL_OB_BATCH_MIN), SL_OB_BATCH_MAX);
	uint32_t least = partitions + SL_PLAN_SPARE;
	struct sl_plan p = {0};

	if (partitions && (uint64_t)bytes * partitions * lcores > SL_PLAN_OPEN_BYTES) {
		uint32_t fair = power_of_two_below(SL_PLAN_OPEN_BYTES / lcores / partitions);
		bytes = SL_MIN(bytes, SL_MAX(fair, SL_PLAN_BATCH_MIN));
	}
	while ((uint64_t)bytes * least > quarter && bytes > SL_PLAN_BATCH_MIN)
		bytes = SL_MAX(bytes / 2, SL_PLAN_BATCH_MIN);
	/* the least must fit into half of the memory, the rest is for packets */
	if ((uint64_t)bytes * least > 2 * quarter)
		return -ENOMEM;
	p.batch_bytes = bytes;
	p.batch_cnt = (uint32_t)SL_MIN(SL_MAX(quarter / bytes, (uint64_t)least),
				       (uint64_t)SL_PLAN_BATCHES_MAX);
	if (p.batch_cnt < least)
		return -ENOMEM;
	if (record_max + RECORD_EXTRA > bytes)
		p.large_bytes = (uint32_t)SL_ALIGN_UP(record_max + RECORD_EXTRA, 4096);
	*ret_plan = p;
	return 0;
}
