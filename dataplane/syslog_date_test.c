/* SPDX-License-Identifier: Apache-2.0 */
#include "syslog_date.h"

#include "platform/base/sl_test.h"

typedef uint32_t (*date_fn)(const uint8_t *p, const uint8_t *end);

static uint32_t date(date_fn fn, const char *s, size_t len)
{
	uint8_t *b = calloc(1, len + !len);

	memcpy(b, s, len);
	uint32_t n = fn(b, b + len);
	free(b);
	assert_true(n <= len);
	return n;
}

static void rfc3164(SL_UNUSED void **st)
{
	static const char *const good[] = {
		"Oct 11 22:14:15", "Jan  1 00:00:00", "Feb 29 23:59:59", "Dec 31 12:00:00",
		"Mar 01 01:02:03", "Apr 30 01:02:03", "May 31 01:02:03", "Jun 30 01:02:03",
		"Jul 31 01:02:03", "Aug 31 01:02:03", "Sep 30 01:02:03", "Nov 30 01:02:03",
	};
	static const char *const bad[] = {
		"oct 11 22:14:15", "Oct 32 22:14:15", "Oct  0 22:14:15",    "Oct 00 22:14:15",
		"Feb 30 22:14:15", "Apr 31 22:14:15", "Oct 11 24:14:15",    "Oct 11 22:60:15",
		"Oct 11 22:14:60", "Oct 11-22:14:15", "Oct-11 22:14:15",    "Oct 11 22.14.15",
		"Oct 1  22:14:15", "Xyz 11 22:14:15", "Oct 11 2a:14:15",    "Oct 11 22:14:1 ",
		"Oct  a 22:14:15", "Okt 11 22:14:15", "\0\0\0 11 22:14:15",
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++) {
		assert_int_equal(date(sl_date_3164, good[i], 15), 15);
		for (size_t n = 0; n < 15; n++)
			assert_int_equal(date(sl_date_3164, good[i], n), 0);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(date(sl_date_3164, bad[i], 15), 0);
}

/* The examples of RFC 5424 section 6.2.3.1, and what is near to them. */
static void rfc5424(SL_UNUSED void **st)
{
	static const char *const good[] = {
		"1985-04-12T23:20:50.52Z",   "1985-04-12T19:20:50.52-04:00",
		"2003-10-11T22:14:15.003Z",  "2003-08-24T05:14:15.000003-07:00",
		"2024-02-29T00:00:00Z",      "2000-02-29T00:00:00Z",
		"0000-01-01T00:00:00+23:59",
	};
	static const char *const bad[] = {
		"2003-08-24T05:14:15.000000003-07:00", /* more than six digits */
		"2023-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2003-13-11T22:14:15Z",
		"2003-00-11T22:14:15Z",
		"2003-10-00T22:14:15Z",
		"2003-10-32T22:14:15Z",
		"2003-10-11 22:14:15Z",
		"2003-10-11t22:14:15Z",
		"2003-10-11T22:14:15z",
		"2003-10-11T24:14:15Z",
		"2003-10-11T22:60:15Z",
		"2003-10-11T22:14:60Z",
		"2003-10-11T22:14:15.Z",
		"2003-10-11T22:14:15",
		"2003-10-11T22:14:15+7:00",
		"2003-10-11T22:14:15+24:00",
		"2003-10-11T22:14:15+0700",
		"2003/10/11T22:14:15Z",
		"x003-10-11T22:14:15Z",
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++) {
		size_t len = strlen(good[i]);
		assert_int_equal(date(sl_date_5424, good[i], len), len);
		for (size_t n = 0; n < len; n++)
			assert_int_equal(date(sl_date_5424, good[i], n), 0);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(date(sl_date_5424, bad[i], strlen(bad[i])), 0);
	assert_int_equal(date(sl_date_5424, "2003-10-11T22:14:15Zjunk", 24), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rfc3164), cmocka_unit_test(rfc5424)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
