/* SPDX-License-Identifier: Apache-2.0 */
#include "text_scan.h"

#include "decode.h"

#include "platform/base/sl_test.h"

static bool plain(const char *s, uint32_t len)
{
	uint8_t *b = calloc(1, len + !len);

	memcpy(b, s, len);
	bool yes = sl_text_is_plain(b, len);
	free(b);
	return yes;
}
#define PLAIN(s)  assert_true(plain(s, sizeof(s) - 1))
#define BINARY(s) assert_false(plain(s, sizeof(s) - 1))

static void controls(SL_UNUSED void **st)
{
	PLAIN("");
	PLAIN("plain text, tab\t, line\r\n");
	BINARY("\0");
	BINARY("text\x01");
	BINARY("\x1b[31m");
	BINARY("del\x7f");
	BINARY("ends with NUL\0");
}

/* RFC 3629: examples and the edges of its grammar. */
static void utf8(SL_UNUSED void **st)
{
	PLAIN("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf");
	PLAIN("\xef\xbb\xbf with a BOM");
	PLAIN("\xed\x9f\xbf \xee\x80\x80");
	BINARY("\x80");
	BINARY("\xc1\xbf");
	BINARY("\xc2");
	BINARY("\xc2 ");
	BINARY("\xe0\x9f\xbf");
	BINARY("\xe1\x80");
	BINARY("\xed\xa0\x80");
	BINARY("\xf0\x8f\xbf\xbf");
	BINARY("\xf4\x90\x80\x80");
	BINARY("\xf5\x80\x80\x80");
	BINARY("\xff");
	BINARY("\xe2\x82 ");
}

static void same_by(void (*scan)(const uint8_t *, uint32_t, struct sl_text_scan *),
		    const uint8_t *b, uint32_t len)
{
	struct sl_text_scan fast, slow;

	scan(b, len, &fast);
	sl_text_scan_scalar(b, len, &slow);
	assert_int_equal(fast.printable, slow.printable);
	assert_true(fast.blank[0] == slow.blank[0] && fast.blank[1] == slow.blank[1]);
	for (uint32_t from = 0; from <= len; from++) {
		const uint8_t *q = from < len ? memchr(b + from, ' ', len - from) : NULL;
		assert_int_equal(sl_text_blank(&fast, b, len, from), q ? q - b : len);
	}
}

static void same(const uint8_t *b, uint32_t len)
{
	same_by(sl_text_scan, b, len);
	if (sl_cpu_avx2())
		same_by(sl_text_scan_avx2, b, len);
}

/* Every length, and every place of a byte that is not printable, or is a blank. */
static void twins(SL_UNUSED void **st)
{
	static const uint8_t odd[] = {0, 0x1f, ' ', 0x7f, 0x80, 0xff};

	for (uint32_t len = 0; len < 300; len += len < 80 ? 1 : 7) {
		uint8_t *b = calloc(1, len + !len);
		memset(b, 'x', len);
		same(b, len);
		for (uint32_t at = 0; at < len; at++) {
			b[at] = odd[at % sizeof(odd)];
			same(b, len);
			assert_int_equal(sl_text_is_plain(b, len), b[at] == ' ');
			b[at] = at & 1 ? '!' : '~';
		}
		free(b);
	}
}

static void at_random(SL_UNUSED void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());

	for (unsigned i = 0; i < 3000; i++) {
		uint32_t len = sl_rng_below(&r, 200);
		uint8_t *b = calloc(1, len + !len);
		for (uint32_t k = 0; k < len; k++)
			b[k] = sl_rng_below(&r, 4) ? 'x' : ' ';
		same(b, len);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(controls), cmocka_unit_test(utf8),
					   cmocka_unit_test(twins), cmocka_unit_test(at_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
