/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/sl_test.h"
#include "platform/base/utf8.h"

static void characters(void **state)
{
	static const struct {
		const char *s;
		unsigned len;
	} rows[] = {
		{"a", 1},
		{"\xc3\xb6", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\x80", 0},
		{"\xc3", 0},
		{"\xc0\x80", 0},
		{"\xe0\x80\x80", 0},
		{"\xed\xa0\x80", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xff", 0},
		{"\xf8\x88\x80\x80", 0},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		const uint8_t *p = (const uint8_t *)rows[i].s;
		assert_int_equal(sl_utf8_len(p, p + strlen(rows[i].s)), rows[i].len);
	}
}

/* Eight bytes at a time says what one character at a time says, wherever the bad one lies. */
static void spans(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t text[40];

	(void)state;
	assert_int_equal(sl_utf8_span(text, 0), 0);
	for (int round = 0; round < 20000; round++) {
		size_t len = sl_rng_below(&r, sizeof(text)), want = 0;
		for (size_t i = 0; i < len; i++)
			text[i] = (uint8_t)(sl_rng_below(&r, 20) ? 'a'
								 : 0x80 + sl_rng_below(&r, 128));
		if (len > 2 && sl_rng_below(&r, 2))
			memcpy(text + sl_rng_below(&r, (uint32_t)len - 1), "\xc3\xb6", 2);
		while (want < len) {
			unsigned n = sl_utf8_len(text + want, text + len);
			if (n == 0)
				break;
			want += n;
		}
		assert_int_equal(sl_utf8_span(text, len), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters),
		cmocka_unit_test(spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
