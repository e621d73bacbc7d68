/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/sl_test.h"
#include "platform/record/crc32c.h"

typedef uint32_t (*crc_fn)(uint32_t crc, const void *p, size_t len);
static const crc_fn ways[] = {sl_crc32c_more, sl_crc32c_table, sl_crc32c_insn, sl_crc32c_isal};

/* RFC 3720, appendix B.4, and the check value that every CRC catalogue names. */
static void known_values(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = 31 - i;
	}
	for (size_t w = 0; w < SL_ARRAY_SIZE(ways); w++) {
		assert_int_equal(ways[w](0, "123456789", 9), 0xe3069283);
		assert_int_equal(ways[w](0, zeros, 32), 0x8a9136aa);
		assert_int_equal(ways[w](0, ones, 32), 0x62a8ab43);
		assert_int_equal(ways[w](0, up, 32), 0x46dd794e);
		assert_int_equal(ways[w](0, down, 32), 0x113fdb5c);
		assert_int_equal(ways[w](0, NULL, 0), 0);
		assert_int_equal(ways[w](0x12345678, "", 0), 0x12345678);
	}
	assert_int_equal(sl_crc32c("123456789", 9), 0xe3069283);
}

#define SPAN 4096

/* Every length up to 1200 (the switch lies at 512), every alignment within a cache line. */
static void all_ways_agree(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t *buf = malloc(SPAN + 64);

	(void)state;
	assert_non_null(buf);
	sl_rng_fill(&r, buf, SPAN + 64);
	for (size_t len = 0; len < SPAN; len += len < 1200 ? 1 : 97)
		for (size_t off = 0; off < 64; off += len < 80 ? 1 : 7) {
			uint32_t seed = (uint32_t)sl_rng_u64(&r);
			uint32_t want = sl_crc32c_table(seed, buf + off, len);

			for (size_t w = 0; w < SL_ARRAY_SIZE(ways); w++)
				assert_int_equal(ways[w](seed, buf + off, len), want);
		}
	free(buf);
}

/* Blocks of exactly their length, so that a sanitizer sees a read beyond the end. */
static void parts_make_the_whole(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());

	(void)state;
	for (int i = 0; i < 300; i++) {
		size_t len = 1 + sl_rng_below(&r, i < 290 ? 5000 : 3000000);
		size_t cut = sl_rng_below(&r, (uint32_t)len + 1);
		uint8_t *buf = malloc(len);

		assert_non_null(buf);
		sl_rng_fill(&r, buf, len);
		assert_int_equal(sl_crc32c_more(sl_crc32c(buf, cut), buf + cut, len - cut),
				 sl_crc32c(buf, len));
		free(buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(all_ways_agree),
		cmocka_unit_test(parts_make_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
