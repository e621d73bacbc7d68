/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "platform/base/sl_test.h"
#include "platform/config/values.h"

static void ints(void **state)
{
	static const struct {
		const char *s;
		int rc;
		int64_t v;
	} rows[] = {
		{"0", 0, 0},
		{"-1", 0, -1},
		{"007", 0, 7},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775809", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"7d", -ENOENT, 0},
		{"0x10", -ENOENT, 0},
		{"1_000", -ENOENT, 0},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		int64_t v = 42;
		assert_int_equal(sl_value_int(rows[i].s, &v), rows[i].rc);
		assert_int_equal(v, rows[i].rc ? 42 : rows[i].v);
	}
}

struct scaled {
	const char *s;
	int rc;
	uint64_t v;
};

static void check_scaled(const struct scaled *rows, size_t cnt,
			 int (*parse)(const char *s, uint64_t *ret))
{
	for (size_t i = 0; i < cnt; i++) {
		uint64_t v = 42;
		int rc = parse(rows[i].s, &v);
		if (rc != rows[i].rc || v != (rows[i].rc ? 42 : rows[i].v))
			fail_msg("'%s': %d, %llu", rows[i].s, rc, (unsigned long long)v);
	}
}

static void sizes(void **state)
{
	static const struct scaled rows[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"1B", 0, 1},
		{"16KiB", 0, 16384},
		{"8MiB", 0, 8388608},
		{"10GiB", 0, 10737418240ull},
		{"16777215TiB", 0, 16777215ull << 40},
		{"16777216TiB", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"MiB", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.5GiB", -EINVAL, 0},
		{"8MB", -ENOENT, 0},
		{"8M", -ENOENT, 0},
		{"8mib", -ENOENT, 0},
		{"8 MiB", -ENOENT, 0},
		{"8MiB ", -ENOENT, 0},
	};

	(void)state;
	check_scaled(rows, SL_ARRAY_SIZE(rows), sl_value_size);
}

static void durations(void **state)
{
	static const struct scaled rows[] = {
		{"0", 0, 0},
		{"1ns", 0, 1},
		{"500us", 0, 500000},
		{"5ms", 0, 5000000},
		{"10s", 0, 10000000000ull},
		{"2m", 0, 120000000000ull},
		{"1h", 0, 3600000000000ull},
		{"7d", 0, 604800000000000ull},
		{"213503d", 0, 213503ull * 86400000000000ull},
		{"213504d", -ERANGE, 0},
		{"5", -ENOENT, 0},
		{"5min", -ENOENT, 0},
		{"5S", -ENOENT, 0},
		{"", -EINVAL, 0},
		{"ms", -EINVAL, 0},
		{"0.5s", -EINVAL, 0},
	};

	(void)state;
	check_scaled(rows, SL_ARRAY_SIZE(rows), sl_value_duration);
}

static void rates(void **state)
{
	static const struct scaled rows[] = {
		{"0", 0, 0},
		{"1B/s", 0, 1},
		{"500KB/s", 0, 500000},
		{"500KiB/s", 0, 512000},
		{"10MB/s", 0, 10000000},
		{"1MiB/s", 0, 1 << 20},
		{"2GB/s", 0, 2000000000ull},
		{"1GiB/s", 0, 1 << 30},
		{"99999999999GB/s", -ERANGE, 0},
		{"10", -ENOENT, 0},
		{"10MB", -ENOENT, 0},
		{"10Mb/s", -ENOENT, 0},
		{"10 MB/s", -ENOENT, 0},
		{"1.5MB/s", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"off", -EINVAL, 0},
	};
	char buf[SL_VALUE_TEXT_MAX];

	(void)state;
	check_scaled(rows, SL_ARRAY_SIZE(rows), sl_value_rate);
	sl_value_rate_text(10000000, buf);
	assert_string_equal(buf, "10MB/s");
	sl_value_rate_text(512000, buf);
	assert_string_equal(buf, "500KiB/s");
}

static void hosts(void **state)
{
	static const char *const good[] = {"a", "h-1.example", "10.0.0.1", "fd00::1", "::", "a_b"};
	static const char *const none[] = {"",    "-a",    ".a",  "a b",
					   "a:1", "[::1]", "a/b", "fd00::1::2"};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++)
		assert_true(sl_value_is_host(good[i], strlen(good[i])));
	for (size_t i = 0; i < SL_ARRAY_SIZE(none); i++)
		assert_false(sl_value_is_host(none[i], strlen(none[i])));
	assert_true(sl_value_is_host("host:1", 4));
}

static void percents(void **state)
{
	double v = -1;

	(void)state;
	assert_int_equal(sl_value_percent("70%", &v), 0);
	assert_true(v > 0.699999 && v < 0.700001);
	assert_int_equal(sl_value_percent("2.5%", &v), 0);
	assert_true(v > 0.024999 && v < 0.025001);
	assert_int_equal(sl_value_percent("100%", &v), 0);
	assert_true(v == 1.0);
	assert_int_equal(sl_value_percent("0%", &v), 0);
	assert_true(v == 0.0);
	assert_int_equal(sl_value_percent("100.1%", &v), -ERANGE);
	assert_int_equal(sl_value_percent("101%", &v), -ERANGE);
	assert_int_equal(sl_value_percent("70", &v), -ENOENT);
	assert_int_equal(sl_value_percent("70%%", &v), -ENOENT);
	assert_int_equal(sl_value_percent("2.%", &v), -EINVAL);
	assert_int_equal(sl_value_percent("2.1234567%", &v), -EINVAL);
	assert_int_equal(sl_value_percent("%", &v), -EINVAL);
	assert_int_equal(sl_value_percent("-1%", &v), -EINVAL);
}

static void cpus(void **state)
{
	struct sl_cfg_cpus c = {0};

	(void)state;
	assert_int_equal(sl_value_cpus("1", &c), 0);
	assert_int_equal(sl_value_cpus("0-2, 7", &c), 0);
	assert_int_equal(c.cnt, 5);
	assert_int_equal(c.cpu[0], 1);
	assert_int_equal(c.cpu[3], 2);
	assert_int_equal(c.cpu[4], 7);
	memset(&c, 0, sizeof(c));
	assert_int_equal(sl_value_cpus("1,1", &c), 0);
	assert_int_equal(c.cnt, 2);
	memset(&c, 0, sizeof(c));
	assert_int_equal(sl_value_cpus("0-31", &c), 0);
	assert_int_equal(sl_value_cpus("32", &c), -E2BIG);
	memset(&c, 0, sizeof(c));
	assert_int_equal(sl_value_cpus("3-1", &c), -ERANGE);
	assert_int_equal(sl_value_cpus("65536", &c), -ERANGE);
	assert_int_equal(sl_value_cpus("99999999999999999999", &c), -ERANGE);
	assert_int_equal(sl_value_cpus("", &c), -EINVAL);
	assert_int_equal(sl_value_cpus("1,", &c), -EINVAL);
	assert_int_equal(sl_value_cpus("1-", &c), -EINVAL);
	assert_int_equal(sl_value_cpus("1;2", &c), -EINVAL);
	assert_int_equal(sl_value_cpus("all", &c), -EINVAL);
}

static void addresses(void **state)
{
	static const uint8_t v4[4] = {10, 77, 0, 1};
	struct sl_cfg_addr a = {.family = 9};

	(void)state;
	assert_int_equal(sl_value_addr("10.77.0.256", &a), -EINVAL);
	assert_int_equal(sl_value_addr("", &a), -EINVAL);
	assert_int_equal(sl_value_addr("fe80::1%eth0", &a), -EINVAL);
	assert_int_equal(sl_value_addr("10.77.1", &a), -EINVAL);
	assert_int_equal(a.family, 9);
	assert_int_equal(sl_value_addr("10.77.0.1", &a), 0);
	assert_int_equal(a.family, 4);
	assert_memory_equal(a.ip, v4, 4);
	assert_int_equal(sl_value_addr("fd00::1", &a), 0);
	assert_int_equal(a.family, 6);
	assert_int_equal(a.ip[15], 1);
}

static void hostports(void **state)
{
	struct sl_cfg_listen h = {.port = 7};
	char name[128];

	(void)state;
	assert_int_equal(sl_value_hostport("127.0.0.1", &h), -ENOENT);
	assert_int_equal(sl_value_hostport("127.0.0.1:", &h), -ENOENT);
	assert_int_equal(sl_value_hostport("[::1]", &h), -ENOENT);
	assert_int_equal(sl_value_hostport("[::1:9092", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("[nope]:1", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("[::1]9092", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("::1:9092", &h), -EINVAL);
	assert_int_equal(sl_value_hostport(":9092", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("a b:9092", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("-a:9092", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("a:9092x", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("a:x", &h), -EINVAL);
	assert_int_equal(sl_value_hostport("a:65536", &h), -ERANGE);
	assert_int_equal(sl_value_hostport("", &h), -ENOENT);
	assert_int_equal(h.port, 7);
	assert_int_equal(sl_value_hostport("[fd00::1]:65535", &h), 0);
	assert_string_equal(h.host, "fd00::1");
	assert_int_equal(h.port, 65535);
	assert_int_equal(sl_value_hostport("gw-01.example:0", &h), 0);
	assert_string_equal(h.host, "gw-01.example");
	memset(name, 'a', sizeof(name));
	memcpy(name + SL_CFG_NAME_MAX - 1, ":1", 3);
	assert_int_equal(sl_value_hostport(name, &h), 0);
	memcpy(name + SL_CFG_NAME_MAX - 1, "a:1", 4);
	assert_int_equal(sl_value_hostport(name, &h), -E2BIG);
}

static void slices(void **state)
{
	uint16_t off = 9, len = 9;

	(void)state;
	assert_int_equal(sl_value_slice("payload[4:4]", &off, &len), -ERANGE);
	assert_int_equal(sl_value_slice("payload[0:65536]", &off, &len), -ERANGE);
	assert_int_equal(sl_value_slice("payload[4:]", &off, &len), -EINVAL);
	assert_int_equal(sl_value_slice("payload[:4]", &off, &len), -EINVAL);
	assert_int_equal(sl_value_slice("payload[4:12", &off, &len), -EINVAL);
	assert_int_equal(sl_value_slice("payload[4:12] ", &off, &len), -EINVAL);
	assert_int_equal(sl_value_slice("payload", &off, &len), -EINVAL);
	assert_int_equal(sl_value_slice("", &off, &len), -EINVAL);
	assert_int_equal(off, 9);
	assert_int_equal(sl_value_slice("payload[4:12]", &off, &len), 0);
	assert_int_equal(off, 4);
	assert_int_equal(len, 8);
	assert_int_equal(sl_value_slice("payload[65534:65535]", &off, &len), 0);
	assert_int_equal(len, 1);
}

static void texts(void **state)
{
	char buf[SL_VALUE_TEXT_MAX];

	(void)state;
	sl_value_size_text(64ull << 20, buf);
	assert_string_equal(buf, "64MiB");
	sl_value_size_text(1025, buf);
	assert_string_equal(buf, "1025B");
	sl_value_size_text(0, buf);
	assert_string_equal(buf, "0");
	sl_value_duration_text(5000000, buf);
	assert_string_equal(buf, "5ms");
	sl_value_duration_text(172800000000000ull, buf);
	assert_string_equal(buf, "2d");
}

/* Any size and any time reads back from its own text. */
static void texts_read_back(void **state)
{
	struct sl_rng rng = sl_rng_from(sl_test_seed());

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t v = sl_rng_u64(&rng) >> sl_rng_below(&rng, 64), back = 0;
		char buf[SL_VALUE_TEXT_MAX];
		sl_value_size_text(v, buf);
		assert_int_equal(sl_value_size(buf, &back), 0);
		assert_true(back == v);
		sl_value_duration_text(v, buf);
		assert_int_equal(sl_value_duration(buf, &back), 0);
		assert_true(back == v);
	}
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(sl_value_distance("segment", "segment", 3), 0);
	assert_int_equal(sl_value_distance("segmnt", "segment", 3), 1);
	assert_int_equal(sl_value_distance("sgement", "segment", 3), 1);
	assert_int_equal(sl_value_distance("", "abc", 9), 3);
	assert_int_equal(sl_value_distance("abc", "xyz", 2), 3);
	assert_int_equal(sl_value_distance("abc", "xyz", 1), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ints),      cmocka_unit_test(sizes),
		cmocka_unit_test(durations), cmocka_unit_test(percents),
		cmocka_unit_test(cpus),      cmocka_unit_test(addresses),
		cmocka_unit_test(hostports), cmocka_unit_test(slices),
		cmocka_unit_test(rates),     cmocka_unit_test(hosts),
		cmocka_unit_test(texts),     cmocka_unit_test(texts_read_back),
		cmocka_unit_test(distances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
