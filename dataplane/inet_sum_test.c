/* SPDX-License-Identifier: Apache-2.0 */
#include "inet_sum.h"

#include "platform/base/sl_test.h"
#include "test_frames.h"

/* RFC 1071 section 3: 00 01 f2 03 f4 f5 f6 f7 sums up to ddf2. */
static void known(SL_UNUSED void **st)
{
	static const uint8_t b[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(__builtin_bswap16(sl_inet_fold(sl_inet_sum_scalar(b, sizeof(b)))), 0xddf2);
	assert_int_equal(__builtin_bswap16(sl_inet_fold(sl_inet_sum_best()(b, sizeof(b)))), 0xddf2);
	assert_int_equal(sl_inet_fold(sl_inet_sum_scalar(b, 0)), 0);
}

/* Every length, every alignment, on memory that ends where the data ends. */
static void twins(SL_UNUSED void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	sl_inet_sum_fn best = sl_inet_sum_best();

	for (uint32_t len = 0; len < 700; len++) {
		uint32_t at = sl_rng_below(&r, 33);
		uint8_t *b = malloc(at + len + !(at + len));
		if (len % 5 == 0)
			memset(b, 0xff, at + len);
		else
			sl_rng_fill(&r, b, at + len);
		uint16_t want = tf_csum(b + at, len, 0);
		assert_int_equal(__builtin_bswap16(sl_inet_fold(best(b + at, len))), want);
		assert_int_equal(__builtin_bswap16(sl_inet_fold(sl_inet_sum_scalar(b + at, len))),
				 want);
		free(b);
	}
}

static void longest(SL_UNUSED void **st)
{
	uint8_t *b = malloc(65535);

	memset(b, 0xff, 65535);
	assert_int_equal(__builtin_bswap16(sl_inet_fold(sl_inet_sum_best()(b, 65535))),
			 tf_csum(b, 65535, 0));
	free(b);
}

static void twenty(SL_UNUSED void **st)
{
	uint8_t b[20];
	struct sl_rng r = sl_rng_from(7);

	sl_rng_fill(&r, b, sizeof(b));
	assert_int_equal(sl_inet_fold(sl_inet_sum20(b)), sl_inet_fold(sl_inet_sum_scalar(b, 20)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(twins),
					   cmocka_unit_test(longest), cmocka_unit_test(twenty)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
