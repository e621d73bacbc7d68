/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"
#include "syslog_sd.h"

#include "platform/base/sl_test.h"

/* On a copy of exactly that size, behind `lead` bytes of message. */
static bool ok(const char *sd, uint32_t len, uint32_t lead)
{
	uint8_t *b = malloc(lead + len + 1);

	assert_non_null(b);
	memset(b, 'x', lead);
	memcpy(b + lead, sd, len);
	b = realloc(b, lead + len + !(lead + len));
	assert_non_null(b);
	const uint8_t *p = b + lead, *end = p + len;
	bool slow = sl_sd_ok_scalar(p, end), fast = sl_sd_ok_printable(b, p, end);
	if (sl_cpu_avx2())
		assert_int_equal(sl_sd_ok_printable_avx2(b, p, end), fast);
	free(b);
	if (slow != fast)
		fail_msg("scalar says %d, the other %d: \"%.*s\" behind %u", slow, fast, (int)len,
			 sd, lead);
	return fast;
}

static bool ok_everywhere(const char *sd)
{
	bool first = ok(sd, (uint32_t)strlen(sd), 1); /* somebody's byte is always before it */

	for (uint32_t lead = 2; lead < 140; lead++)
		assert_int_equal(ok(sd, (uint32_t)strlen(sd), lead), first);
	return first;
}

static void grammar(SL_UNUSED void **st)
{
	assert_true(ok_everywhere("-"));
	assert_true(ok_everywhere("- text"));
	assert_true(ok_everywhere("[a]"));
	assert_true(ok_everywhere("[a] "));
	assert_true(ok_everywhere("[a][b]"));
	assert_true(ok_everywhere(
		"[exampleSDID@32473 iut=\"3\" eventSource=\"App\" eventID=\"1011\"]"));
	assert_true(ok_everywhere("[a b=\"\"] rest"));
	assert_true(ok_everywhere("[a b=\"\\\"\\]\\\\\"] rest"));
	assert_true(ok_everywhere("[a b=\"\\n\"] rest"));
	assert_true(ok_everywhere("[a\\ b\\=\"v\"]"));
	assert_true(ok_everywhere("[abcdefghijklmnopqrstuvwxyz012345 b=\"v\"]"));
	assert_false(ok_everywhere("[abcdefghijklmnopqrstuvwxyz0123456 b=\"v\"]"));
	assert_false(ok_everywhere(""));
	assert_false(ok_everywhere(" "));
	assert_false(ok_everywhere("x"));
	assert_false(ok_everywhere("--"));
	assert_false(ok_everywhere("-x"));
	assert_false(ok_everywhere("["));
	assert_false(ok_everywhere("[]"));
	assert_false(ok_everywhere("[a"));
	assert_false(ok_everywhere("[a "));
	assert_false(ok_everywhere("[a ]"));
	assert_false(ok_everywhere("[a b]"));
	assert_false(ok_everywhere("[a b=]"));
	assert_false(ok_everywhere("[a b=\"]"));
	assert_false(ok_everywhere("[a b=\""));
	assert_false(ok_everywhere("[a b=\"v"));
	assert_false(ok_everywhere("[a b=\"v\\"));
	assert_false(ok_everywhere("[a b=\"v\""));
	assert_false(ok_everywhere("[a b=\"v\"c=\"d\"]"));
	assert_false(ok_everywhere("[a]x"));
	assert_false(ok_everywhere("[a]["));
	assert_false(ok_everywhere("[a=b]"));
}

static void many_elements(SL_UNUSED void **st)
{
	char sd[3 * SL_SD_ELEMENTS_MAX + 4] = "";

	for (unsigned i = 0; i < SL_SD_ELEMENTS_MAX; i++)
		memcpy(sd + 3 * i, "[a]", 4);
	assert_true(ok(sd, (uint32_t)strlen(sd), 9));
	memcpy(sd + 3 * SL_SD_ELEMENTS_MAX, "[a]", 4);
	assert_false(ok(sd, (uint32_t)strlen(sd), 9));
}

static void long_values(SL_UNUSED void **st)
{
	char sd[700];

	for (unsigned n = 0; n < 300; n++) {
		memset(sd, 'v', sizeof(sd));
		memcpy(sd, "[a b=\"", 6);
		memcpy(sd + 6 + n, "\\\"", 2);
		memcpy(sd + 8 + 2 * n, "\"]", 2);
		assert_true(ok(sd, 10 + 2 * n, n % 70));
		assert_false(ok(sd, 9 + 2 * n, n % 70));
	}
}

/* Pieces of structured data in any order: most are nearly right. */
static void at_random(SL_UNUSED void **st)
{
	static const char *const pieces[] = {
		"[a",   "]",  " b=\"", "\"",
		"v",    "\\", "\\\"",  "\\]",
		" ",    "[",  "=",     "-",
		"[id ", "]",  "\" ",   "long-value-of-some-bytes-0123456789",
		"n=\"", "\"]"};
	struct sl_rng r = sl_rng_from(sl_test_seed());
	unsigned good = 0;

	for (unsigned i = 0; i < 200000; i++) {
		char sd[512];
		uint32_t len = 0, n = 1 + sl_rng_below(&r, 14);
		bool proper = sl_rng_below(&r, 2);
		for (uint32_t k = 0; k < n; k++) {
			/* proper: elements with parameters, in which one thing may be wrong */
			static const char *const right[] = {"[a", " b=\"", "v", "\"", "]"};
			const char *s = proper && sl_rng_below(&r, 12)
						? right[k % SL_ARRAY_SIZE(right)]
						: pieces[sl_rng_below(&r, SL_ARRAY_SIZE(pieces))];
			memcpy(sd + len, s, strlen(s));
			len += (uint32_t)strlen(s);
		}
		good += ok(sd, len, 1 + sl_rng_below(&r, 130));
	}
	assert_true(good > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar),
		cmocka_unit_test(many_elements),
		cmocka_unit_test(long_values),
		cmocka_unit_test(at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
