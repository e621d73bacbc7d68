/* SPDX-License-Identifier: Apache-2.0 */
/* downlink_test.c - the downlink between a log in memory, offsets that the test keeps, and a broker
 * that is the test's. */
#include "downlink.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/fake/fake_store.h"
#include "fake_mqtt.h"
#include "platform/base/clock.h"
#include "platform/record/frame.h"

#define NS_PER_MS 1000000ull
#define WALL      1700000000000
#define GROUP     "sluice.downlink.plant.commands"
#define KEPT_MAX  8

struct offsets { /* what a coordinator keeps */
	pthread_mutex_t lock;
	int fetch_err, commit_err;
	_Atomic unsigned fetches, commits;
	struct {
		char group[SL_DOWNLINK_GROUP_MAX];
		int32_t partition;
		int64_t offset;
	} kept[KEPT_MAX];
	unsigned cnt;
};

struct fix {
	struct sl_config *c;
	struct sl_store *store;
	struct sl_counters *counters;
	struct sl_downlink *d;
	struct fake_mqtt f;
	struct offsets o;
	_Atomic int64_t wall_ms;
};

/* ---- offsets --------------------------------------------------------------------------------- */

static int find(struct offsets *o, const char *group, int32_t partition)
{
	for (unsigned i = 0; i < o->cnt; i++)
		if (!strcmp(o->kept[i].group, group) && o->kept[i].partition == partition)
			return (int)i;
	return -1;
}

static int o_fetch(void *arg, const char *group, const char *topic, int32_t partition,
		   int64_t *ret_offset)
{
	struct offsets *o = arg;
	assert_string_equal(topic, "commands");
	pthread_mutex_lock(&o->lock);
	int rc = o->fetch_err, i = find(o, group, partition);
	o->fetches++;
	if (!rc)
		*ret_offset = i < 0 ? -1 : o->kept[i].offset;
	pthread_mutex_unlock(&o->lock);
	return rc;
}

static void keep(struct offsets *o, const char *group, int32_t partition, int64_t offset)
{
	int i = find(o, group, partition);
	if (i < 0) {
		assert_true(o->cnt < KEPT_MAX);
		i = (int)o->cnt++;
		snprintf(o->kept[i].group, sizeof(o->kept[i].group), "%s", group);
		o->kept[i].partition = partition;
	}
	o->kept[i].offset = offset;
}

static int o_commit(void *arg, const char *group, const char *topic, int32_t partition,
		    int64_t offset, const char *metadata)
{
	struct offsets *o = arg;
	(void)metadata;
	assert_string_equal(topic, "commands");
	pthread_mutex_lock(&o->lock);
	int rc = o->commit_err;
	o->commits++;
	if (!rc)
		keep(o, group, partition, offset);
	pthread_mutex_unlock(&o->lock);
	return rc;
}

static int64_t committed(struct fix *f, const char *group, int32_t partition)
{
	pthread_mutex_lock(&f->o.lock);
	int i = find(&f->o, group, partition);
	int64_t v = i < 0 ? -1 : f->o.kept[i].offset;
	pthread_mutex_unlock(&f->o.lock);
	return v;
}

/* ---- the test's hold ------------------------------------------------------------------------- */

static int64_t wall_ms(void *arg)
{
	return atomic_load(&((struct fix *)arg)->wall_ms);
}

static struct sl_topic *make_topic(struct fix *f, uint32_t partitions)
{
	struct sl_topic_layers layers = {0};
	struct sl_topic *t;
	sl_topic_cfg_defaults(&layers.base);
	assert_int_equal(sl_store_topic_create(f->store, "commands", partitions, &layers, &t), 0);
	sl_topic_put(t); /* the store holds it */
	return t;
}

static struct sl_part *part(struct fix *f, int32_t i)
{
	struct sl_topic *t = sl_store_topic_find(f->store, "commands", 8);
	sl_topic_put(t);
	return sl_topic_part(t, i);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->c = calloc(1, sizeof(*f->c));
	f->store = fake_store_new();
	fake_store_cfg(f->store)->auto_sync = true;
	assert_int_equal(sl_counters_anon(&f->counters), 0);
	pthread_mutex_init(&f->o.lock, NULL);
	fake_mqtt_open(&f->f);
	atomic_store(&f->wall_ms, WALL);
	f->c->mqtt.broker_cnt = 1;
	struct sl_cfg_broker *b = &f->c->mqtt.broker[0];
	strcpy(b->name, "plant");
	strcpy(b->host, "127.0.0.1");
	strcpy(b->client_id, "gw");
	b->port = f->f.port;
	b->keep_alive_s = 60;
	f->c->downlink_cnt = 1;
	struct sl_cfg_downlink *x = &f->c->downlink[0];
	strcpy(x->topic, "commands");
	strcpy(x->mqtt, "d/{key}");
	x->qos = 1;
	*state = f;
	return 0;
}

static void start(struct fix *f)
{
	static const struct sl_offsets_ops ops = {.fetch = o_fetch, .commit = o_commit};
	struct sl_downlink_cfg cfg = {
		.config = f->c,
		.store = f->store,
		.offsets = &ops,
		.offsets_arg = &f->o,
		.counters = &f->counters->bridge[SL_CTR_DOWNLINK],
		.wall_ms = wall_ms,
		.wall_arg = f,
	};
	char err[128];
	assert_int_equal(sl_downlink_new(&cfg, &f->d, err, sizeof(err)), 0);
	assert_int_equal(sl_downlink_start(f->d), 0);
}

static void stop(struct fix *f, uint64_t ms)
{
	sl_downlink_stop(f->d, sl_clock_mono_ns() + ms * NS_PER_MS);
	sl_downlink_free(f->d);
	f->d = NULL;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	if (f->d)
		stop(f, 100);
	fake_mqtt_close(&f->f);
	fake_store_free(f->store);
	sl_counters_close(f->counters);
	pthread_mutex_destroy(&f->o.lock);
	free(f->c);
	free(f);
	return 0;
}

static void write_at(struct fix *f, int32_t partition, const char *key, const char *value,
		     int64_t ts, const struct sl_hdr *h, unsigned nh)
{
	uint8_t buf[4096];
	struct sl_bb bb;
	sl_bb_init(&bb, buf, sizeof(buf));
	assert_true(sl_bb_add(&bb, ts, fake_str(key), fake_str(value), h, nh));
	uint32_t len = sl_bb_close(&bb);
	fake_store_put(part(f, partition), buf, len, 1);
	if (fake_store_cfg(f->store)->auto_sync)
		fake_store_sync(f->store);
}

static void command(struct fix *f, const char *key, const char *value)
{
	write_at(f, 0, key, value, WALL, NULL, 0);
}

/* The next packet is a PUBLISH of this; its packet id. */
static uint16_t expect(struct fix *f, const char *topic, const char *payload)
{
	fake_mqtt_expect(&f->f, FAKE_PUBLISH);
	struct fake_publish m = fake_mqtt_parse(&f->f);
	if (m.topic.len != strlen(topic) || memcmp(m.topic.p, topic, m.topic.len) != 0)
		fail_msg("topic %.*s, not %s", (int)m.topic.len, (const char *)m.topic.p, topic);
	assert_int_equal(m.payload.len, strlen(payload));
	assert_memory_equal(m.payload.p, payload, m.payload.len);
	assert_false(m.dup);
	return m.mid;
}

static void ack(struct fix *f, uint16_t mid)
{
	fake_mqtt_ack(&f->f, FAKE_PUBACK, mid, 0);
}

static uint64_t row(struct fix *f, enum sl_bridge_row r)
{
	return sl_ctr_get(&f->counters->bridge[SL_CTR_DOWNLINK].row[r]);
}

#define AWAIT(cond)                                                                                \
	do {                                                                                       \
		uint64_t end_ = sl_clock_mono_ns() + FAKE_PATIENCE_MS * NS_PER_MS;                 \
		while (!(cond)) {                                                                  \
			if (sl_clock_mono_ns() > end_)                                             \
				fail_msg("never came: %s", #cond);                                 \
			usleep(1000);                                                              \
		}                                                                                  \
	} while (0)

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_send_ack_commit(void **state)
{
	struct fix *f = *state;
	struct sl_downlink_rule_stats st;
	struct sl_mqtt_broker_stats bs;

	make_topic(f, 1);
	command(f, "7", "written before the gateway knew");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	assert_int_equal(f->f.body[7], 2); /* a new session */
	ack(f, expect(f, "d/7", "written before the gateway knew"));
	AWAIT(committed(f, GROUP, 0) == 1); /* by time */
	command(f, "8", "now");
	uint16_t mid = expect(f, "d/8", "now");
	sl_downlink_rule_stats(f->d, 0, &st);
	assert_true(st.reading);
	AWAIT((sl_downlink_rule_stats(f->d, 0, &st), st.lag == 1));
	ack(f, mid);
	AWAIT((sl_downlink_rule_stats(f->d, 0, &st), st.lag == 0));
	assert_true(sl_downlink_broker_stats(f->d, 0, &bs));
	assert_true(bs.connected);
	assert_string_equal(bs.name, "plant");
	assert_false(sl_downlink_broker_stats(f->d, 1, &bs));
	stop(f, 2000);
	fake_mqtt_expect(&f->f, FAKE_DISCONNECT);
	assert_int_equal(committed(f, GROUP, 0), 2); /* at the stop */
	assert_int_equal(row(f, SL_BR_DOWN_SENT), 2);
	start(f); /* nothing comes twice */
	fake_mqtt_hello(&f->f, false, 0);
	command(f, "9", "after");
	ack(f, expect(f, "d/9", "after"));
	AWAIT(row(f, SL_BR_DOWN_SENT) == 3);
}

/* MQTT 5: what the device needs to answer, and how long it is good for. */
static void test_properties(void **state)
{
	const struct sl_hdr h[] = {
		{fake_str("mqtt.response-topic"), fake_str("r")},
		{fake_str("mqtt.correlation"), fake_str("c\1")},
		{fake_str("mqtt.content-type"), fake_str("t")},
		{fake_str("mqtt.user.k"), fake_str("v")},
	};
	static const char want[] = "\x03\0\1t\x02\0\0\0\x3c\x08\0\1r\x09\0\2c\1\x26\0\1k\0\1v";
	struct fix *f = *state;

	make_topic(f, 1);
	f->c->downlink[0].retain = true;
	f->c->downlink[0].expiry_ms = 61000;
	write_at(f, 0, "7", "x", WALL - 1000, h, 4);
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_expect(&f->f, FAKE_PUBLISH);
	struct fake_publish m = fake_mqtt_parse(&f->f);
	assert_true(m.retain);
	assert_int_equal(m.props.len, sizeof(want) - 1);
	assert_memory_equal(m.props.p, want, sizeof(want) - 1);
}

/* To a broker of MQTT 3.1.1 the same without them. */
static void test_older_broker(void **state)
{
	const struct sl_hdr h[] = {{fake_str("mqtt.correlation"), fake_str("c")}};
	struct fix *f = *state;

	make_topic(f, 1);
	write_at(f, 0, "7", "x", WALL, h, 1);
	start(f);
	fake_mqtt_accept(&f->f);
	fake_mqtt_expect(&f->f, FAKE_CONNECT);
	fake_mqtt_send(&f->f, "\x20\x02\x00\x01", 4);
	fake_mqtt_hello(&f->f, false, 0);
	assert_int_equal(f->f.version, 4);
	ack(f, expect(f, "d/7", "x"));
	AWAIT(row(f, SL_BR_DOWN_SENT) == 1);
}

/* At most so many under way; the position is the first that is not acknowledged. */
static void test_window_and_order(void **state)
{
	struct fix *f = *state;
	uint16_t mid[SL_DOWNLINK_WINDOW];
	char v[16];

	make_topic(f, 1);
	for (int i = 0; i < SL_DOWNLINK_WINDOW + 10; i++) {
		snprintf(v, sizeof(v), "%d", i);
		command(f, "7", v);
	}
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	for (int i = 0; i < SL_DOWNLINK_WINDOW; i++) {
		snprintf(v, sizeof(v), "%d", i);
		mid[i] = expect(f, "d/7", v);
	}
	for (int i = 1; i < SL_DOWNLINK_WINDOW; i++)
		ack(f, mid[i]);
	AWAIT(row(f, SL_BR_DOWN_SENT) == SL_DOWNLINK_WINDOW - 1);
	assert_true(fake_mqtt_silent(&f->f)); /* the first one is still out */
	assert_true(committed(f, GROUP, 0) <= 0);
	ack(f, mid[0]);
	for (int i = SL_DOWNLINK_WINDOW; i < SL_DOWNLINK_WINDOW + 10; i++) {
		snprintf(v, sizeof(v), "%d", i);
		ack(f, expect(f, "d/7", v));
	}
	AWAIT(committed(f, GROUP, 0) == SL_DOWNLINK_WINDOW + 10);
}

/* A connection that ends, and a daemon that dies: all that was not acknowledged comes again. */
static void test_again_from_the_position(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	command(f, "1", "a");
	command(f, "2", "b");
	command(f, "3", "c");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	ack(f, expect(f, "d/1", "a"));
	expect(f, "d/2", "b");
	expect(f, "d/3", "c");
	AWAIT(row(f, SL_BR_DOWN_SENT) == 1);
	fake_mqtt_hello(&f->f, false, 0); /* after it hung up on the first one */
	ack(f, expect(f, "d/2", "b"));
	expect(f, "d/3", "c");
	AWAIT(committed(f, GROUP, 0) == 2);
	stop(f, 100); /* the acknowledgement does not come in time */
	assert_int_equal(committed(f, GROUP, 0), 2);
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	ack(f, expect(f, "d/3", "c"));
	AWAIT(committed(f, GROUP, 0) == 3);
	assert_int_equal(row(f, SL_BR_DOWN_SENT), 3);
}

/* While the broker is away nothing is read, and what is too old when it comes back is dropped. */
static void test_expired_during_an_outage(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	f->c->downlink[0].expiry_ms = 5000;
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_refuse(&f->f);
	fake_mqtt_hang_up(&f->f);
	command(f, "1", "old");
	write_at(f, 0, "2", "young", WALL + 3000, NULL, 0);
	atomic_store(&f->wall_ms, WALL + 6000);
	fake_mqtt_listen(&f->f);
	fake_mqtt_hello(&f->f, false, 0);
	ack(f, expect(f, "d/2", "young"));
	AWAIT(committed(f, GROUP, 0) == 2);
	assert_int_equal(row(f, SL_BR_DOWN_EXPIRED), 1);
	assert_int_equal(row(f, SL_BR_DOWN_SENT), 1);
}

/* The same for one that was under way when the connection ended: it is looked at anew. */
static void test_expired_while_under_way(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	f->c->downlink[0].expiry_ms = 5000;
	command(f, "1", "x");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	expect(f, "d/1", "x");
	atomic_store(&f->wall_ms, WALL + 6000);
	fake_mqtt_hello(&f->f, false, 0);
	AWAIT(row(f, SL_BR_DOWN_EXPIRED) == 1);
	AWAIT(committed(f, GROUP, 0) == 1);
	assert_true(fake_mqtt_silent(&f->f));
}

static void test_bad_ones_do_not_stop_it(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	command(f, "a+b", "no topic name");
	command(f, "1", "refused by the broker");
	command(f, "2", "good");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	uint16_t mid = expect(f, "d/1", "refused by the broker");
	fake_mqtt_ack(&f->f, FAKE_PUBACK, mid, 0x87);
	ack(f, expect(f, "d/2", "good"));
	AWAIT(committed(f, GROUP, 0) == 3);
	assert_int_equal(row(f, SL_BR_DOWN_BAD), 2);
	assert_int_equal(row(f, SL_BR_DOWN_SENT), 1);
}

/* The broker says how much it takes in CONNACK. */
static void test_broker_has_limits(void **state)
{
	static const uint8_t connack[] = "\x20\x0a\0\0\x07\x24\0\x27\0\0\0\x20"; /* QoS 0, 32 B */
	struct fix *f = *state;

	make_topic(f, 1);
	command(f, "1", "this one has more bytes than that");
	command(f, "2", "short");
	start(f);
	fake_mqtt_accept(&f->f);
	fake_mqtt_expect(&f->f, FAKE_CONNECT);
	f->f.version = 5;
	fake_mqtt_send(&f->f, connack, sizeof(connack) - 1);
	fake_mqtt_expect(&f->f, FAKE_PUBLISH);
	assert_int_equal(fake_mqtt_parse(&f->f).qos, 0);
	AWAIT(committed(f, GROUP, 0) == 2);
	assert_int_equal(row(f, SL_BR_DOWN_BAD), 1);
	assert_int_equal(row(f, SL_BR_DOWN_SENT), 1);
}

/* Not refused for good: later. */
static void test_quota(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	command(f, "1", "x");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	fake_mqtt_ack(&f->f, FAKE_PUBACK, expect(f, "d/1", "x"), 0x97);
	fake_mqtt_expect(&f->f, FAKE_EOF);
	fake_mqtt_hello(&f->f, false, 0);
	ack(f, expect(f, "d/1", "x"));
	AWAIT(committed(f, GROUP, 0) == 1);
	assert_int_equal(row(f, SL_BR_DOWN_BAD), 0);
}

static void test_qos_0(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	f->c->downlink[0].qos = 0;
	for (int i = 0; i < 3 * SL_DOWNLINK_WINDOW; i++)
		command(f, "1", "x");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	for (int i = 0; i < 3 * SL_DOWNLINK_WINDOW; i++)
		expect(f, "d/1", "x");
	AWAIT(committed(f, GROUP, 0) == 3 * SL_DOWNLINK_WINDOW);
}

static void test_qos_2(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	f->c->downlink[0].qos = 2;
	command(f, "1", "x");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	uint16_t mid = expect(f, "d/1", "x");
	fake_mqtt_ack(&f->f, FAKE_PUBREC, mid, 0);
	fake_mqtt_expect(&f->f, FAKE_PUBREL);
	assert_int_equal(row(f, SL_BR_DOWN_SENT), 0);
	fake_mqtt_ack(&f->f, FAKE_PUBCOMP, mid, 0);
	AWAIT(committed(f, GROUP, 0) == 1);
}

/* Offsets are committed only as far as the log is synced: a power cut may take the rest of it. */
static void test_commits_what_is_synced(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	fake_store_cfg(f->store)->auto_sync = false;
	command(f, "1", "a");
	fake_store_sync(f->store);
	command(f, "2", "b");
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	ack(f, expect(f, "d/1", "a"));
	ack(f, expect(f, "d/2", "b")); /* logged is enough to act on */
	AWAIT(committed(f, GROUP, 0) == 1);
	fake_store_sync(f->store);
	AWAIT(committed(f, GROUP, 0) == 2);
}

static void test_offsets_fail(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	command(f, "1", "a");
	f->o.fetch_err = -EAGAIN;
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	AWAIT(f->o.fetches >= 2); /* again and again, and nothing is sent on a guess */
	assert_true(fake_mqtt_silent(&f->f));
	pthread_mutex_lock(&f->o.lock);
	f->o.fetch_err = 0;
	f->o.commit_err = -EBUSY;
	pthread_mutex_unlock(&f->o.lock);
	ack(f, expect(f, "d/1", "a"));
	AWAIT(f->o.commits >= 2);
	command(f, "2", "b"); /* goes on */
	ack(f, expect(f, "d/2", "b"));
	pthread_mutex_lock(&f->o.lock);
	f->o.commit_err = 0;
	pthread_mutex_unlock(&f->o.lock);
	AWAIT(committed(f, GROUP, 0) == 2);
}

/* Deleted below the position, damaged, beyond the end: counted, and on. */
static void test_log_moved(void **state)
{
	struct fix *f = *state;
	struct sl_part *p;

	make_topic(f, 3);
	for (int i = 0; i < 10; i++)
		command(f, "1", "x");
	write_at(f, 1, "1", "bad", WALL, NULL, 0);
	write_at(f, 1, "1", "good", WALL, NULL, 0);
	write_at(f, 2, "1", "lost in a power cut", WALL, NULL, 0);
	p = part(f, 0);
	fake_store_set_start(p, 9);
	fake_store_set_damage(part(f, 1), 0, 1);
	keep(&f->o, GROUP, 0, 4);
	keep(&f->o, GROUP, 2, 7);
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	ack(f, expect(f, "d/1", "x"));
	ack(f, expect(f, "d/1", "good"));
	AWAIT(committed(f, GROUP, 0) == 10 && committed(f, GROUP, 1) == 2);
	assert_int_equal(row(f, SL_BR_DOWN_GONE), 5 + 1);
	write_at(f, 2, "2", "next", WALL, NULL, 0);
	ack(f, expect(f, "d/2", "next"));
}

/* A topic that comes later, grows, and is replaced by another of its name. */
static void test_topic_changes(void **state)
{
	struct fix *f = *state;

	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	make_topic(f, 1);
	command(f, "1", "a");
	ack(f, expect(f, "d/1", "a"));
	struct sl_topic *t = sl_store_topic_find(f->store, "commands", 8);
	assert_int_equal(sl_store_partitions_add(f->store, t, 2), 0);
	write_at(f, 1, "2", "b", WALL, NULL, 0);
	ack(f, expect(f, "d/2", "b"));
	command(f, "3", "under way when its topic goes");
	uint16_t mid = expect(f, "d/3", "under way when its topic goes");
	assert_int_equal(sl_store_topic_delete(f->store, t), 0);
	sl_topic_put(t);
	make_topic(f, 1);
	command(f, "4", "of the new one");
	uint16_t next = expect(f, "d/4", "of the new one");
	ack(f, mid);
	ack(f, next);
	AWAIT(row(f, SL_BR_DOWN_SENT) == 3);
	AWAIT(committed(f, GROUP, 0) == 1);
}

/* Two rules of one topic: each has its own group; a broker that also subscribes has two ids. */
static void test_two_rules(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	f->c->downlink_cnt = 2;
	f->c->downlink[1] = f->c->downlink[0];
	strcpy(f->c->downlink[1].mqtt, "copy/{key}");
	f->c->mqtt.broker[0].sub_cnt = 1;
	command(f, "1", "x");
	start(f);
	fake_mqtt_accept(&f->f);
	fake_mqtt_expect(&f->f, FAKE_CONNECT);
	assert_memory_equal(f->f.body + f->f.len - 9, "\0\7gw-down", 9);
	f->f.version = 5;
	fake_mqtt_send(&f->f, "\x20\x03\x00\x00\x00", 5);
	ack(f, expect(f, "d/1", "x"));
	ack(f, expect(f, "copy/1", "x"));
	AWAIT(committed(f, GROUP, 0) == 1 && committed(f, GROUP ".2", 0) == 1);
}

/* With nothing to do it sleeps; others' records wake it now and then, not each time. */
static void test_stop_is_prompt(void **state)
{
	struct fix *f = *state;

	make_topic(f, 1);
	start(f);
	fake_mqtt_hello(&f->f, false, 0);
	uint64_t before = sl_clock_mono_ns();
	stop(f, 10000);
	assert_true(sl_clock_mono_ns() - before < 5000 * NS_PER_MS);
	fake_mqtt_refuse(&f->f); /* and while it is between two attempts */
	start(f);
	struct sl_mqtt_broker_stats bs;
	AWAIT((sl_downlink_broker_stats(f->d, 0, &bs), strstr(bs.last_error, "refused")));
	before = sl_clock_mono_ns();
	stop(f, 10000);
	assert_true(sl_clock_mono_ns() - before < 5000 * NS_PER_MS);
}

static void test_bad_config(void **state)
{
	struct fix *f = *state;
	struct sl_downlink_cfg cfg = {.config = f->c, .store = f->store};
	char err[200];

	strcpy(f->c->downlink[0].mqtt, "d/{nonsense}");
	assert_int_equal(sl_downlink_new(&cfg, &f->d, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "nonsense"));
	sl_downlink_free(NULL);
	sl_downlink_stop(NULL, 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_send_ack_commit),
		T(test_properties),
		T(test_older_broker),
		T(test_window_and_order),
		T(test_again_from_the_position),
		T(test_expired_during_an_outage),
		T(test_expired_while_under_way),
		T(test_bad_ones_do_not_stop_it),
		T(test_broker_has_limits),
		T(test_quota),
		T(test_qos_0),
		T(test_qos_2),
		T(test_commits_what_is_synced),
		T(test_offsets_fail),
		T(test_log_moved),
		T(test_topic_changes),
		T(test_two_rules),
		T(test_stop_is_prompt),
		T(test_bad_config),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
