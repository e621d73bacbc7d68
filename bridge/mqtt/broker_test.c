/* SPDX-License-Identifier: Apache-2.0 */
/* broker_test.c - a client of ours at a broker elsewhere, between a broker and an intake that are
 * the test's. */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "fake_mqtt.h"
#include "platform/base/clock.h"

#define NS_PER_MS 1000000ull
#define MSGS_MAX  64

/* ---- the intake's end ------------------------------------------------------------------------ */

struct sl_intake_source {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool hold; /* nothing is answered */
	int put_err;
	unsigned waits; /* begun */
	uint64_t put, refused, too_large, lost;
	struct {
		char topic[64], client[64], payload[64];
		uint8_t flags, qos, version;
		uint32_t expiry_s, prop_cnt;
		char prop[4][64]; /* type:name=value */
	} msg[MSGS_MAX];
};

static void text(char to[64], struct sl_slice s)
{
	snprintf(to, 64, "%.*s", (int)s.len, (const char *)s.p);
}

int sl_intake_source_put(struct sl_intake_source *s, const struct sl_ring_msg *m, uint64_t room_ns,
			 uint64_t *ret_id)
{
	int rc;

	assert_true(room_ns > 0);
	pthread_mutex_lock(&s->lock);
	rc = s->put_err;
	if (!rc && s->put < MSGS_MAX) {
		unsigned i = (unsigned)s->put;
		text(s->msg[i].topic, m->topic);
		text(s->msg[i].client, m->client);
		text(s->msg[i].payload, m->payload);
		s->msg[i].flags = m->flags;
		s->msg[i].qos = m->qos;
		s->msg[i].version = m->version;
		s->msg[i].expiry_s = m->expiry_s;
		s->msg[i].prop_cnt = m->prop_cnt;
		for (unsigned p = 0; p < m->prop_cnt && p < 4; p++)
			snprintf(s->msg[i].prop[p], 64, "%u:%.*s=%.*s", m->prop[p].type,
				 (int)m->prop[p].name.len, (const char *)m->prop[p].name.p,
				 (int)m->prop[p].value.len, (const char *)m->prop[p].value.p);
	}
	s->put += !rc;
	*ret_id = s->put;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void until(struct timespec *ret, uint64_t ns)
{
	clock_gettime(CLOCK_REALTIME, ret);
	ns += (uint64_t)ret->tv_nsec;
	ret->tv_sec += (time_t)(ns / 1000000000u);
	ret->tv_nsec = (long)(ns % 1000000000u);
}

int sl_intake_source_wait(struct sl_intake_source *s, uint64_t id, uint64_t timeout_ns,
			  enum sl_ring_answer *ret_answer)
{
	struct timespec end;
	int rc = 0;

	until(&end, timeout_ns);
	pthread_mutex_lock(&s->lock);
	assert_true(id <= s->put);
	s->waits++;
	pthread_cond_broadcast(&s->moved);
	while (s->hold && !rc)
		rc = pthread_cond_timedwait(&s->moved, &s->lock, &end);
	*ret_answer = SL_RING_STORED;
	pthread_mutex_unlock(&s->lock);
	return -rc;
}

void sl_intake_source_stats(const struct sl_intake_source *s, uint64_t *ret_messages,
			    uint64_t *ret_refused, uint64_t *ret_too_large)
{
	struct sl_intake_source *x = (struct sl_intake_source *)(uintptr_t)s;
	pthread_mutex_lock(&x->lock);
	*ret_messages = s->put;
	*ret_refused = s->refused;
	*ret_too_large = s->too_large;
	pthread_mutex_unlock(&x->lock);
}

void sl_intake_source_lost(struct sl_intake_source *s, uint64_t messages)
{
	pthread_mutex_lock(&s->lock);
	s->lost += messages;
	pthread_mutex_unlock(&s->lock);
}

/* ---- the test's hold on both ----------------------------------------------------------------- */

struct fix {
	struct sl_intake_source s;
	struct fake_mqtt f;
	struct sl_cfg_broker b;
	struct sl_broker *broker;
	char secret[64];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	pthread_mutex_init(&f->s.lock, NULL);
	pthread_cond_init(&f->s.moved, NULL);
	fake_mqtt_open(&f->f);
	strcpy(f->b.name, "plant");
	strcpy(f->b.host, "127.0.0.1");
	strcpy(f->b.client_id, "sluice-gw-plant");
	f->b.port = f->f.port;
	f->b.keep_alive_s = 60;
	f->b.session_expiry_s = 3600;
	f->b.sub_cnt = 1;
	strcpy(f->b.sub[0].filter, "a/+/#");
	f->b.sub[0].qos = 2;
	*state = f;
	return 0;
}

static void stop(struct fix *f, uint64_t ms)
{
	sl_broker_stop(f->broker, sl_clock_mono_ns() + ms * NS_PER_MS);
	sl_broker_free(f->broker);
	f->broker = NULL;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	if (f->broker)
		stop(f, 1000);
	fake_mqtt_close(&f->f);
	pthread_cond_destroy(&f->s.moved);
	pthread_mutex_destroy(&f->s.lock);
	if (f->secret[0])
		unlink(f->secret);
	free(f);
	return 0;
}

static void start(struct fix *f)
{
	struct sl_broker_cfg cfg = {.broker = &f->b, .source = &f->s};
	assert_int_equal(sl_broker_new(&cfg, &f->broker), 0);
	assert_int_equal(sl_broker_start(f->broker), 0);
}

static void start_connected(struct fix *f)
{
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_suback(&f->f, 1);
}

static void publish(struct fix *f, uint8_t qos, uint16_t mid, const char *payload)
{
	static const struct sl_slice none = {NULL, 0};
	fake_mqtt_publish(&f->f, (uint8_t)(qos << 1), mid, "a/b/c", none, fake_str(payload));
}

/* Waits until *what is at least n. */
#define AWAIT(f, what, n)                                                                          \
	do {                                                                                       \
		struct timespec end_;                                                              \
		until(&end_, FAKE_PATIENCE_MS *NS_PER_MS);                                         \
		pthread_mutex_lock(&(f)->s.lock);                                                  \
		while ((f)->s.what < (n))                                                          \
			assert_int_equal(                                                          \
				pthread_cond_timedwait(&(f)->s.moved, &(f)->s.lock, &end_), 0);    \
		pthread_mutex_unlock(&(f)->s.lock);                                                \
	} while (0)

#define SET(f, what, v)                                                                            \
	do {                                                                                       \
		pthread_mutex_lock(&(f)->s.lock);                                                  \
		(f)->s.what = (v);                                                                 \
		pthread_cond_broadcast(&(f)->s.moved);                                             \
		pthread_mutex_unlock(&(f)->s.lock);                                                \
	} while (0)

static struct sl_mqtt_broker_stats stats(struct fix *f)
{
	struct sl_mqtt_broker_stats st;
	sl_broker_stats(f->broker, &st);
	return st;
}

static void await_error(struct fix *f, const char *what)
{
	uint64_t end = sl_clock_mono_ns() + FAKE_PATIENCE_MS * NS_PER_MS;
	while (!strstr(stats(f).last_error, what)) {
		if (sl_clock_mono_ns() > end)
			fail_msg("last_error is '%s', not '%s'", stats(f).last_error, what);
		usleep(1000);
	}
}

static void expect_puback(struct fix *f, uint16_t mid)
{
	fake_mqtt_expect(&f->f, FAKE_PUBACK);
	assert_int_equal(sl_be16(f->f.body), mid);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* The value of a property of the CONNECT, by its identifier; only numbers are among them. */
static int64_t connect_prop(const struct fake_mqtt *f, uint8_t id)
{
	struct sl_rd r;
	sl_rd_init(&r, f->body + 10, f->len - 10);
	uint32_t n = sl_rd_uvarint(&r);
	r.end = r.p + n;
	while (sl_rd_left(&r)) {
		uint8_t x = sl_rd_u8(&r);
		int64_t v = x == 0x21 || x == 0x22 ? sl_rd_be16(&r) : sl_rd_be32(&r);
		if (x == id)
			return v;
	}
	return -1;
}

static void test_connect_and_subscribe(void **state)
{
	struct fix *f = *state;
	FILE *file;

	strcpy(f->secret, "/tmp/broker_test.XXXXXX");
	int fd = mkstemp(f->secret);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	fputs("s3cret\n", file);
	fclose(file);
	strcpy(f->b.user, "box");
	strcpy(f->b.password_file, f->secret);
	start(f);
	fake_mqtt_accept(&f->f);
	fake_mqtt_expect(&f->f, FAKE_CONNECT);
	assert_int_equal(f->f.body[6], 5);
	assert_int_equal(f->f.body[7], 0xc0); /* user, password; no clean start, no will */
	assert_int_equal(sl_be16(f->f.body + 8), 60);
	assert_int_equal(connect_prop(&f->f, 0x11), 3600);
	assert_int_equal(connect_prop(&f->f, 0x21), SL_MQCLIENT_RECEIVE_MAX);
	assert_int_equal(connect_prop(&f->f, 0x27), SL_MQCLIENT_PACKET_MAX);
	static const char tail[] = "\0\x0fsluice-gw-plant\0\3box\0\6s3cret";
	assert_memory_equal(f->f.body + f->f.len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	f->f.version = 5;
	fake_mqtt_send(&f->f, "\x20\x03\x01\x00\x00", 5);
	fake_mqtt_expect(&f->f, FAKE_SUBSCRIBE);
	/* QoS 2 is asked for as 1; retained as published, and only for a new subscription */
	static const char sub[] = "\0\5a/+/#\x19";
	assert_memory_equal(f->f.body + f->f.len - (sizeof(sub) - 1), sub, sizeof(sub) - 1);
	publish(f, 0, 0, "x");
	AWAIT(f, put, 1);
	assert_true(stats(f).connected);
	assert_string_equal(stats(f).last_error, "");
	stop(f, 1000);
	fake_mqtt_expect(&f->f, FAKE_DISCONNECT);
}

static void test_message_as_it_came(void **state)
{
	static const uint8_t props[] = "\x01\x01"                /* it is text */
				       "\x02\x00\x00\x00\x3c"    /* expires in 60 s */
				       "\x03\x00\x04json"        /* content type */
				       "\x08\x00\x01r"           /* response topic */
				       "\x09\x00\x02\x63\x64"    /* correlation */
				       "\x26\x00\x01k\x00\x01v"; /* user property */
	struct fix *f = *state;

	start_connected(f);
	fake_mqtt_publish(&f->f, 1 << 1 | 1, 7, "a/b/c",
			  (struct sl_slice){props, sizeof(props) - 1}, fake_str("hello"));
	expect_puback(f, 7);
	assert_string_equal(f->s.msg[0].topic, "a/b/c");
	assert_string_equal(f->s.msg[0].client, "plant");
	assert_string_equal(f->s.msg[0].payload, "hello");
	assert_int_equal(f->s.msg[0].qos, 1);
	assert_int_equal(f->s.msg[0].version, 5);
	assert_int_equal(f->s.msg[0].expiry_s, 60);
	assert_int_equal(f->s.msg[0].flags, SL_RING_F_RETAIN | SL_RING_F_UTF8 | SL_RING_F_WAITED);
	assert_int_equal(f->s.msg[0].prop_cnt, 4);
	assert_string_equal(f->s.msg[0].prop[0], "3:=json");
	assert_string_equal(f->s.msg[0].prop[1], "8:=r");
	assert_string_equal(f->s.msg[0].prop[2], "9:=cd");
	assert_string_equal(f->s.msg[0].prop[3], "38:k=v");
	/* nobody waits for QoS 0; a payload may be empty */
	publish(f, 0, 0, "");
	AWAIT(f, put, 2);
	assert_int_equal(f->s.msg[1].flags, 0);
	assert_string_equal(f->s.msg[1].payload, "");
	assert_int_equal(stats(f).messages, 2);
	assert_int_equal(stats(f).lost, 0);
}

/* More user properties than the ring takes: the rest is left out, the message is not. */
static void test_many_properties(void **state)
{
	static uint8_t props[7 * 100];
	struct fix *f = *state;

	for (unsigned i = 0; i < 100; i++)
		memcpy(props + 7 * i, "\x26\x00\x01k\x00\x01v", 7);
	start_connected(f);
	fake_mqtt_publish(&f->f, 1 << 1, 1, "a/b/c", (struct sl_slice){props, sizeof(props)},
			  fake_str("p"));
	expect_puback(f, 1);
	assert_int_equal(f->s.msg[0].prop_cnt, SL_RING_PROPS_MAX);
}

/* What makes an acknowledgement worth something. */
static void test_puback_waits_for_the_intake(void **state)
{
	struct fix *f = *state;

	start_connected(f);
	SET(f, hold, true);
	publish(f, 1, 1, "one");
	AWAIT(f, waits, 1);
	publish(f, 1, 2, "two");
	AWAIT(f, waits, 2); /* it asks again and again, and reads nothing meanwhile */
	assert_true(fake_mqtt_silent(&f->f));
	SET(f, hold, false);
	expect_puback(f, 1);
	expect_puback(f, 2);
}

/* Full: the thread and with it the socket wait, nothing is lost or acknowledged. */
static void test_intake_is_full(void **state)
{
	struct fix *f = *state;

	SET(f, put_err, -EAGAIN);
	start_connected(f);
	publish(f, 1, 1, "one");
	publish(f, 0, 0, "two");
	assert_true(fake_mqtt_silent(&f->f));
	SET(f, put_err, 0);
	expect_puback(f, 1);
	AWAIT(f, put, 2);
	assert_int_equal(stats(f).lost, 0);
}

static void test_too_large_is_lost_and_acknowledged(void **state)
{
	struct fix *f = *state;

	start_connected(f);
	SET(f, put_err, -EMSGSIZE); /* beyond the ring */
	publish(f, 1, 1, "one");
	expect_puback(f, 1);
	assert_int_equal(stats(f).lost, 1);
	SET(f, put_err, 0);
	SET(f, too_large, 1); /* beyond max.message.bytes: says the intake */
	publish(f, 1, 2, "two");
	expect_puback(f, 2);
	assert_int_equal(stats(f).lost, 2);
	assert_int_equal(f->s.lost, 2);
}

/* Refused: no PUBACK, the connection ends, the broker has it for the next one. */
static void test_refused_is_not_acknowledged(void **state)
{
	struct fix *f = *state;

	start_connected(f);
	SET(f, hold, true);
	publish(f, 1, 1, "one");
	AWAIT(f, waits, 1);
	SET(f, refused, 1);
	SET(f, hold, false);
	fake_mqtt_expect(&f->f, FAKE_EOF);
	await_error(f, "could not be stored");
	assert_int_equal(stats(f).lost, 0);
	fake_mqtt_hello(&f->f, true, 0); /* after the pause */
	fake_mqtt_suback(&f->f, 1);
	publish(f, 1, 1, "one");
	expect_puback(f, 1);
	assert_int_equal(f->s.put, 2);
	/* a refused QoS 0 nobody sends again */
	SET(f, hold, true);
	publish(f, 0, 0, "three");
	publish(f, 1, 2, "four");
	AWAIT(f, put, 4);
	SET(f, refused, 3);
	SET(f, hold, false);
	fake_mqtt_expect(&f->f, FAKE_EOF);
	await_error(f, "could not be stored");
	assert_int_equal(stats(f).lost, 1);
}

static void test_older_broker(void **state)
{
	struct fix *f = *state;

	start(f);
	fake_mqtt_accept(&f->f);
	fake_mqtt_expect(&f->f, FAKE_CONNECT);
	assert_int_equal(f->f.body[6], 5);
	fake_mqtt_send(&f->f, "\x20\x02\x00\x01", 4); /* unacceptable protocol version */
	uint64_t before = sl_clock_mono_ns();
	fake_mqtt_hello(&f->f, false, 0);
	assert_int_equal(f->f.version, 4);
	assert_int_equal(f->f.body[7] & 2, 0);                      /* no clean session */
	assert_true(sl_clock_mono_ns() - before < 900 * NS_PER_MS); /* at once */
	fake_mqtt_suback(&f->f, 1);
	publish(f, 1, 3, "old");
	expect_puback(f, 3);
	assert_int_equal(f->s.msg[0].version, 4);
	fake_mqtt_hang_up(&f->f);
	fake_mqtt_hello(&f->f, true, 0); /* and stays with it */
	assert_int_equal(f->f.version, 4);
}

static void test_refused_by_the_broker(void **state)
{
	struct fix *f = *state;

	start(f);
	fake_mqtt_hello(&f->f, false, 0x87);
	await_error(f, "Not authorized");
	assert_false(stats(f).connected);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_suback(&f->f, 0x87); /* this filter not: said, and the rest goes on */
	await_error(f, "subscription was refused");
	assert_true(stats(f).connected);
	fake_mqtt_send(&f->f, "\xe0\x02\x8b\x00", 4); /* DISCONNECT: server shutting down */
	await_error(f, "Server shutting down");
}

static void test_broker_comes_and_goes(void **state)
{
	struct fix *f = *state;

	fake_mqtt_refuse(&f->f);
	start(f);
	await_error(f, "refused");
	fake_mqtt_listen(&f->f);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_suback(&f->f, 1);
	fake_mqtt_hang_up(&f->f);
	fake_mqtt_hello(&f->f, true, 0);
	fake_mqtt_suback(&f->f, 1);
	publish(f, 1, 1, "back");
	expect_puback(f, 1);
}

static void test_not_even_a_try(void **state)
{
	struct fix *f = *state;

	strcpy(f->b.user, "box");
	strcpy(f->b.password_file, "/nonexistent/secret");
	start(f);
	await_error(f, "/nonexistent/secret");
	stop(f, 1000);
	f->b.user[0] = 0;
	strcpy(f->b.host, "no-such-host.invalid");
	start(f);
	await_error(f, "no-such-host.invalid");
	stop(f, 1000);
	strcpy(f->b.host, "127.0.0.1");
	f->b.tls.on = true;
	strcpy(f->b.tls.ca, "/nonexistent/ca.pem");
	start(f);
	await_error(f, "TLS");
}

/* The path of a socket in place of a host: a broker on this box. */
static void test_unix_socket(void **state)
{
	struct fix *f = *state;
	char path[] = "/tmp/broker_test.XXXXXX";

	assert_non_null(mkdtemp(path));
	snprintf(f->b.host, sizeof(f->b.host), "%s/mqtt.sock", path);
	f->b.port = 0;
	start(f);
	await_error(f, "No such file");
	fake_mqtt_refuse(&f->f);
	fake_mqtt_listen_unix(&f->f, f->b.host);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_suback(&f->f, 1);
	publish(f, 1, 1, "near");
	expect_puback(f, 1);
	unlink(f->b.host);
	rmdir(path);
}

/* A peer that is no TLS server, and one that says nothing at all. */
static void test_bad_tls_peer(void **state)
{
	struct fix *f = *state;

	f->b.tls.on = true;
	start(f);
	fake_mqtt_accept(&f->f);
	fake_mqtt_send(&f->f, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	await_error(f, "TLS");
	fake_mqtt_accept(&f->f);
	fake_mqtt_hang_up(&f->f);
	fake_mqtt_accept(&f->f); /* tried again: it has noticed */
}

static void test_garbage(void **state)
{
	struct fix *f = *state;

	start_connected(f);
	fake_mqtt_send(&f->f, "\x30\xff\xff\xff\xff\xff\xff\xff", 8);
	fake_mqtt_expect(&f->f, FAKE_EOF);
	fake_mqtt_hello(&f->f, true, 0);
	fake_mqtt_suback(&f->f, 1);
	fake_mqtt_send(&f->f, "\x30\x03\x00\x07x", 5); /* a topic longer than the packet */
	fake_mqtt_expect(&f->f, FAKE_EOF);
	assert_int_equal(f->s.put, 0);
}

/* The intake answers in time: what came is acknowledged, then goodbye. */
static void *release_soon(void *arg)
{
	struct fix *f = arg;
	AWAIT(f, waits, 2);
	SET(f, hold, false);
	return NULL;
}

static void test_stop(void **state)
{
	struct fix *f = *state;
	pthread_t helper;

	start_connected(f);
	SET(f, hold, true);
	publish(f, 1, 1, "one");
	AWAIT(f, waits, 1);
	assert_int_equal(pthread_create(&helper, NULL, release_soon, f), 0);
	stop(f, FAKE_PATIENCE_MS);
	pthread_join(helper, NULL);
	expect_puback(f, 1);
	fake_mqtt_expect(&f->f, FAKE_DISCONNECT);
}

/* It does not: no PUBACK, and no longer than was said. */
static void test_stop_has_a_bound(void **state)
{
	struct fix *f = *state;

	start_connected(f);
	SET(f, hold, true);
	publish(f, 1, 1, "one");
	AWAIT(f, waits, 1);
	uint64_t before = sl_clock_mono_ns();
	stop(f, 300);
	assert_true(sl_clock_mono_ns() - before < 3000 * NS_PER_MS);
	fake_mqtt_expect(&f->f, FAKE_EOF);
	/* the same with a full ring: QoS 0 is lost then, and counted */
	SET(f, hold, false);
	SET(f, put_err, -EAGAIN);
	start_connected(f);
	publish(f, 0, 0, "zero");
	publish(f, 1, 1, "one");
	usleep(1000); /* most likely it is stuck by now; the outcome is the same if not */
	before = sl_clock_mono_ns();
	stop(f, 300);
	assert_true(sl_clock_mono_ns() - before < 3000 * NS_PER_MS);
	while (fake_mqtt_read(&f->f) != FAKE_EOF)
		assert_int_not_equal(f->f.type, FAKE_PUBACK);
}

/* A silent connection is asked whether it lives; without an answer it is given up. */
static void test_keep_alive(void **state)
{
	struct fix *f = *state;

	f->b.keep_alive_s = 5; /* the least that there is */
	start_connected(f);
	fake_mqtt_expect(&f->f, FAKE_PINGREQ);
	fake_mqtt_expect(&f->f, FAKE_EOF);
	await_error(f, "does not answer");
}

static void test_never_started(void **state)
{
	struct fix *f = *state;
	struct sl_broker_cfg cfg = {.broker = &f->b, .source = &f->s};

	sl_broker_free(NULL);
	sl_broker_stop(NULL, 0);
	assert_int_equal(sl_broker_new(&cfg, &f->broker), 0);
	assert_false(stats(f).connected);
	stop(f, 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_connect_and_subscribe),
		T(test_message_as_it_came),
		T(test_many_properties),
		T(test_puback_waits_for_the_intake),
		T(test_intake_is_full),
		T(test_too_large_is_lost_and_acknowledged),
		T(test_refused_is_not_acknowledged),
		T(test_older_broker),
		T(test_refused_by_the_broker),
		T(test_broker_comes_and_goes),
		T(test_not_even_a_try),
		T(test_unix_socket),
		T(test_bad_tls_peer),
		T(test_garbage),
		T(test_stop),
		T(test_stop_has_a_bound),
		T(test_keep_alive),
		T(test_never_started),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
