/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"

#include "platform/base/sl_test.h"

#define S 1000000000ull

static void no_cap_never_waits(SL_UNUSED void **state)
{
	struct sl_budget b = {0};

	sl_budget_set(&b, 0, 5);
	sl_budget_take(&b, UINT64_MAX / 2);
	assert_int_equal(sl_budget_wait(&b, 5), 0);
}

static void a_record_larger_than_the_bucket_is_paid_for(SL_UNUSED void **state)
{
	struct sl_budget b;
	uint64_t until;

	sl_budget_set(&b, 100000, 0);
	assert_int_equal(sl_budget_wait(&b, 0), 0);
	sl_budget_take(&b, 1025000); /* ten seconds and the bucket */
	until = sl_budget_wait(&b, 0);
	assert_true(until > 9 * S && until <= 11 * S);
	assert_int_not_equal(sl_budget_wait(&b, until - S / 1000), 0);
	assert_int_equal(sl_budget_wait(&b, until), 0);
}

/* Asked for at any pace, the sum is the rate's. */
static void the_rate_holds(SL_UNUSED void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());

	for (int round = 0; round < 20; round++) {
		uint64_t rate = 1 + sl_rng_below(&r, 50000000), now = 7, taken = 0;
		uint32_t step = 1 + sl_rng_below(&r, 20000000), size = 1 + sl_rng_below(&r, 5000);
		struct sl_budget b;
		sl_budget_set(&b, rate, now);
		while (now < 7 + 60 * S) {
			uint64_t until = sl_budget_wait(&b, now);
			if (!until) {
				sl_budget_take(&b, size);
				taken += size;
			} else
				now = SL_MAX(until, now + sl_rng_below(&r, step));
		}
		uint64_t bucket = SL_MAX(rate / 4, (uint64_t)SL_BUDGET_FLOOR);
		assert_true(taken <= rate * 61 + bucket + size);
		/* who comes late finds the bucket full and no more */
		if (step < S / 100)
			assert_true(taken + size + 1 >= rate * 59);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_cap_never_waits),
		cmocka_unit_test(a_record_larger_than_the_bucket_is_paid_for),
		cmocka_unit_test(the_rate_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
