/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/sl_test.h"
#include "sluice/base.h"

static void legal_names(void **state)
{
	static const char *const good[] = {"a", "A.b_c-9",           "...", "..a", ".a",
					   "-", "__consumer_offsets"};
	char longest[SL_TOPIC_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++)
		assert_true(sl_topic_name_valid(good[i], strlen(good[i])));
	memset(longest, 'x', sizeof(longest));
	assert_true(sl_topic_name_valid(longest, sizeof(longest)));
}

static void illegal_names(void **state)
{
	static const char *const bad[] = {"",    ".",   "..", "a/b",  "../x",
					  "a b", "a\n", "ä",  "a\\b", "a:b"};
	char too_long[SL_TOPIC_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_false(sl_topic_name_valid(bad[i], strlen(bad[i])));
	assert_false(sl_topic_name_valid("a\0b", 3));
	assert_false(sl_topic_name_valid(NULL, 3));
	memset(too_long, 'x', sizeof(too_long));
	assert_false(sl_topic_name_valid(too_long, sizeof(too_long)));
}

/* Every byte value by itself, against Kafka's pattern spelled out. */
static void every_byte(void **state)
{
	static const char legal[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char name[2] = {'x', (char)c};
		bool want = c && (strchr(legal, c) || c == '.');

		assert_int_equal(sl_topic_name_valid(name, 2), want);
	}
}

static void internal_names(void **state)
{
	(void)state;
	assert_true(sl_topic_name_internal("__consumer_offsets", 18));
	assert_true(sl_topic_name_internal("__transaction_state", 19));
	assert_false(sl_topic_name_internal("__consumer_offsets", 17));
	assert_false(sl_topic_name_internal("__consumer_offsetz", 18));
	assert_false(sl_topic_name_internal("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legal_names),
		cmocka_unit_test(illegal_names),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(internal_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
