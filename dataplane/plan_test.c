/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <errno.h>

#include "open_batch.h"
#include "platform/base/sl_test.h"

static struct sl_config cfg;

static struct sl_plan plan(uint64_t mib, uint32_t batch, uint32_t lcores, uint32_t parts,
			   uint32_t datagram)
{
	struct sl_plan p;

	cfg.dataplane.memory_bytes = mib << 20;
	cfg.dataplane.batch_bytes = batch;
	assert_int_equal(sl_plan_batches(&cfg, lcores, parts, datagram, &p), 0);
	assert_true(p.batch_bytes >= SL_OB_BATCH_MIN && p.batch_bytes <= SL_OB_BATCH_MAX);
	assert_true(p.batch_cnt >= parts + SL_PLAN_SPARE);
	assert_true((uint64_t)p.batch_bytes * p.batch_cnt * lcores <= (mib << 20) / 2);
	return p;
}

static void few_partitions(SL_UNUSED void **st)
{
	struct sl_plan p = plan(256, 0, 1, 4, 2048);

	assert_int_equal(p.batch_bytes, SL_PLAN_BATCH_AUTO);
	assert_int_equal(p.batch_cnt, (64 << 20) / SL_PLAN_BATCH_AUTO);
	assert_int_equal(p.large_bytes, 0);
	assert_int_equal(plan(256, 16384, 1, 4, 2048).batch_bytes, 16384);
}

/* limits.md: 8 KiB at 1,024 partitions. */
static void many_partitions(SL_UNUSED void **st)
{
	assert_int_equal(plan(256, 0, 1, 1024, 2048).batch_bytes, 8192);
	assert_int_equal(plan(256, 0, 2, 1024, 2048).batch_bytes, 4096);
	assert_int_equal(plan(256, 0, 1, 8192, 2048).batch_bytes, SL_PLAN_BATCH_MIN);
}

static void large_records(SL_UNUSED void **st)
{
	struct sl_plan p = plan(256, 16384, 1, 4, 65535 + 255);

	assert_true(p.large_bytes >= SL_BATCH_HDR + 65535 + 255 + SL_OB_SLACK);
	assert_int_equal(plan(256, 16384, 1, 4, 9000).large_bytes, 0);
}

static void small_memory(SL_UNUSED void **st)
{
	struct sl_plan p = plan(16, 0, 1, 4, 2048);

	assert_true((uint64_t)p.batch_bytes * p.batch_cnt <= 8 << 20);
	cfg.dataplane.memory_bytes = 16 << 20;
	assert_int_equal(sl_plan_batches(&cfg, 1, 16384, 2048, &p), -ENOMEM);
	assert_int_equal(plan(16, 0, 1, 0, 2048).batch_bytes, SL_PLAN_BATCH_AUTO);
	assert_int_equal(plan(16, 0, 1, 1, 2048).batch_bytes, SL_PLAN_BATCH_AUTO / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_partitions), cmocka_unit_test(many_partitions),
		cmocka_unit_test(large_records), cmocka_unit_test(small_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
