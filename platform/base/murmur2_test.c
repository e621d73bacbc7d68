/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/murmur2.h"
#include "platform/base/sl_test.h"

/* Kafka's own values: org.apache.kafka.common.utils.UtilsTest.testMurmur2, and some made with
 * Utils.murmur2 of 3.9.1 for the empty key and each length of tail. */
static const struct {
	const char *key;
	int32_t hash;
} values[] = {
	{"21", -973932308},
	{"foobar", -790332482},
	{"a-little-bit-long-string", -985981536},
	{"a-little-bit-longer-string", -1486304829},
	{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
	{"abc", 479470107},
	{"", 275646681},
	{"a", -1563381124},
	{"abcd", -1323649548},
	{"abcde", 461995741},
	{"10.77.0.1", -709601611},
	{"2001:db8::1", -1604073492},
	{"\xff\x80\xfe\x90\xff\x81\xc3", 274176857},
};

static void hashes_equal_kafkas(void **state)
{
	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(values); i++)
		assert_int_equal((int32_t)sl_murmur2(values[i].key, strlen(values[i].key)),
				 values[i].hash);
}

static void alignment_does_not_matter(void **state)
{
	const char *key = "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8";
	size_t len = strlen(key);
	char buf[64];

	(void)state;
	for (size_t off = 0; off < 8; off++) {
		memcpy(buf + off, key, len);
		assert_int_equal((int32_t)sl_murmur2(buf + off, len), -58897971);
	}
}

/* toPositive() clears the sign, it does not negate: -973932308 & 0x7fffffff = 1173551340. */
static void partition_is_of_the_positive_hash(void **state)
{
	(void)state;
	assert_int_equal(sl_partition_for((uint32_t)-973932308, 1), 0);
	assert_int_equal(sl_partition_for((uint32_t)-973932308, 4), 1173551340 % 4);
	assert_int_equal(sl_partition_for((uint32_t)-973932308, 4095), 1173551340 % 4095);
	assert_int_equal(sl_partition_for(0x80000000u, 7), 0);
	assert_int_equal(sl_partition_for(0xffffffffu, 4096), 0x7fffffff % 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_equal_kafkas),
		cmocka_unit_test(alignment_does_not_matter),
		cmocka_unit_test(partition_is_of_the_positive_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
