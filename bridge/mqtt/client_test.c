/* SPDX-License-Identifier: Apache-2.0 */
/* client_test.c - the pauses between a connection's lives, by a clock that is the test's. What is
 * sent and received is in broker_test.c and downlink_test.c. */
#include "client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_mqtt.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

struct fix {
	char dir[32];
	struct sl_cfg_broker b;
	struct sl_mqclient *c;
	struct fake_mqtt f;
	uint64_t now_ns;
	int efd;
};

static uint64_t mono_ns(void *arg)
{
	return ((struct fix *)arg)->now_ns;
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	strcpy(f->dir, "/tmp/client_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	strcpy(f->b.name, "b");
	strcpy(f->b.client_id, "id");
	snprintf(f->b.host, sizeof(f->b.host), "%s/sock", f->dir); /* needs no look-up */
	f->b.keep_alive_s = 60;
	f->now_ns = NS_PER_S;
	f->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_mqtt_open(&f->f);
	fake_mqtt_refuse(&f->f);
	struct sl_mqclient_cfg cfg = {
		.broker = &f->b, .suffix = "-x", .efd = f->efd, .arg = f, .mono_ns = mono_ns};
	assert_int_equal(sl_mqclient_new(&cfg, &f->c), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	sl_mqclient_free(f->c);
	sl_mqclient_free(NULL);
	fake_mqtt_close(&f->f);
	unlink(f->b.host);
	rmdir(f->dir);
	close(f->efd);
	free(f);
	return 0;
}

/* Sits at its descriptor until that is ready, and gives it its turn. */
static void turn(struct fix *f)
{
	struct pollfd p;
	sl_mqclient_poll(f->c, &p);
	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, FAKE_PATIENCE_MS), 1);
	sl_mqclient_turn(f->c, p.revents);
	sl_mqclient_flush(f->c);
}

static void connect_it(struct fix *f)
{
	f->now_ns = SL_MAX(f->now_ns, sl_mqclient_due(f->c));
	sl_mqclient_turn(f->c, 0);
	turn(f); /* connected */
	fake_mqtt_accept(&f->f);
	fake_mqtt_expect(&f->f, FAKE_CONNECT);
	fake_mqtt_send(&f->f, "\x20\x03\x00\x00\x00", 5);
	while (!sl_mqclient_up(f->c))
		turn(f);
}

static void lose_it(struct fix *f)
{
	fake_mqtt_hang_up(&f->f);
	while (sl_mqclient_up(f->c))
		turn(f);
}

static uint64_t pause_ms(const struct fix *f)
{
	return (sl_mqclient_due(f->c) - f->now_ns) / NS_PER_MS;
}

static void assert_pause(const struct fix *f, uint64_t about_ms)
{
	uint64_t low = SL_MAX(about_ms * 3 / 4, SL_MQCLIENT_BACKOFF_MS);
	uint64_t high = SL_MIN(about_ms * 5 / 4, SL_MQCLIENT_BACKOFF_MAX_MS);
	assert_in_range(pause_ms(f), low, high);
}

static void test_pauses_grow(void **state)
{
	struct fix *f = *state;
	struct sl_mqclient_stats st;

	assert_int_equal(sl_mqclient_due(f->c), 0); /* the first time at once */
	for (uint64_t ms = 1000; ms < 1000000; ms *= 2) {
		sl_mqclient_turn(f->c, 0);
		sl_mqclient_stats(f->c, &st);
		assert_false(st.connected);
		assert_non_null(strstr(st.last_error, "No such file"));
		assert_pause(f, SL_MIN(ms, SL_MQCLIENT_BACKOFF_MAX_MS));
		uint64_t due = sl_mqclient_due(f->c);
		f->now_ns = due - 1;
		sl_mqclient_turn(f->c, 0); /* not before */
		assert_int_equal(sl_mqclient_due(f->c), due);
		f->now_ns = due;
	}
}

/* Connections that end at once do not begin at a second again and again; one that lasted does. */
static void test_what_a_life_is_worth(void **state)
{
	struct fix *f = *state;

	fake_mqtt_listen_unix(&f->f, f->b.host);
	for (uint64_t ms = 1000; ms <= 8000; ms *= 2) {
		connect_it(f);
		lose_it(f);
		assert_pause(f, ms);
	}
	assert_int_equal(sl_mqclient_life(f->c), 4);
	connect_it(f);
	f->now_ns += SL_MQCLIENT_STEADY_MS * NS_PER_MS;
	lose_it(f);
	assert_pause(f, 1000);
}

static void test_nobody_says_hello(void **state)
{
	struct fix *f = *state;
	struct sl_mqclient_stats st;

	fake_mqtt_listen_unix(&f->f, f->b.host);
	sl_mqclient_turn(f->c, 0);
	turn(f);
	assert_int_equal(sl_mqclient_due(f->c), f->now_ns + SL_MQCLIENT_HELLO_MS * NS_PER_MS);
	f->now_ns = sl_mqclient_due(f->c);
	sl_mqclient_turn(f->c, 0);
	sl_mqclient_stats(f->c, &st);
	assert_string_equal(st.last_error, "no answer to CONNECT");
	assert_pause(f, 1000);
}

static void test_not_connected(void **state)
{
	struct fix *f = *state;
	struct sl_mqclient_pub p = {.topic = "t"};
	struct pollfd pfd;
	int mid;

	sl_mqclient_poll(f->c, &pfd);
	assert_int_equal(pfd.fd, -1);
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), -ENOTCONN);
	sl_mqclient_flush(f->c);
	sl_mqclient_cut(f->c, "nothing to cut");
	assert_int_equal(sl_mqclient_due(f->c), 0);
	sl_mqclient_bye(f->c);
	assert_int_equal(sl_mqclient_due(f->c), UINT64_MAX);
	sl_mqclient_turn(f->c, 0);
	assert_false(sl_mqclient_up(f->c));
}

/* What MQTT does not allow is refused before it is sent. */
static void test_publish_refuses(void **state)
{
	static const struct sl_hdr nul = {{(const uint8_t *)"a\0", 2}, {NULL, 0}};
	struct fix *f = *state;
	struct sl_mqclient_pub p = {.topic = "t", .qos = 1};
	uint8_t *big = calloc(1, 65536);
	int mid;

	fake_mqtt_listen_unix(&f->f, f->b.host);
	connect_it(f);
	p.topic = "";
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), -EINVAL);
	p.topic = "a/+";
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), -EINVAL);
	p.topic = "t";
	p.correlation = (struct sl_slice){big, 65536};
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), -EINVAL);
	p.correlation.len = 65535;
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), 0);
	p.correlation.p = NULL;
	p.response_topic = (struct sl_slice){(const uint8_t *)"\xff", 1};
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), -EINVAL);
	p.response_topic.p = NULL;
	p.user = &nul;
	p.user_cnt = 1;
	assert_int_equal(sl_mqclient_publish(f->c, &p, &mid), -EINVAL);
	free(big);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_pauses_grow),   T(test_what_a_life_is_worth), T(test_nobody_says_hello),
		T(test_not_connected), T(test_publish_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
