/* SPDX-License-Identifier: Apache-2.0 */
#include "carried.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool carries(const struct sl_config *c, const char *topic)
{
	return sl_uplink_carries(c, topic, strlen(topic));
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct sl_config));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void no_uplink(void **state)
{
	struct sl_config *c = *state;

	assert_false(carries(NULL, "a"));
	assert_false(carries(c, "a"));
	c->uplink.all_topics = true;
	assert_false(carries(c, "a"));
}

static void by_name(void **state)
{
	struct sl_config *c = *state;

	strcpy(c->uplink.bootstrap, "central:9092");
	assert_false(carries(c, "a"));
	strcpy(c->uplink.topic[0], "logs");
	strcpy(c->uplink.topic[1], "tele");
	c->uplink.topic_cnt = 2;
	assert_true(carries(c, "logs"));
	assert_true(carries(c, "tele"));
	assert_false(carries(c, "log"));
	assert_false(carries(c, "logsx"));
	assert_false(carries(c, ""));
	assert_true(sl_uplink_carries(c, "logsx", 4)); /* not NUL-terminated */
}

static void all_of_them(void **state)
{
	struct sl_config *c = *state;

	strcpy(c->uplink.bootstrap, "central:9092");
	c->uplink.all_topics = true;
	strcpy(c->uplink.mirror[0], "commands");
	c->uplink.mirror_cnt = 1;
	assert_true(carries(c, "logs"));
	assert_true(carries(c, "_"));
	assert_true(carries(c, "command"));
	assert_false(carries(c, "commands")); /* it would go round in a circle */
	assert_false(carries(c, "__consumer_offsets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_uplink, setup, teardown),
		cmocka_unit_test_setup_teardown(by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(all_of_them, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
