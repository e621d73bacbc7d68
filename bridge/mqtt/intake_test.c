/* SPDX-License-Identifier: Apache-2.0 */
/* intake_test.c - messages through plugin link, ring and intake into a store in memory. */
#include <errno.h>

#include "intake_rig.h"

static void a_message(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_ring_msg m = rig_msg(1, "plant/7/state", "21.5");
	const struct sl_cursor_rec *rec;

	rig_init(&r);
	struct sl_cfg_rule *rule = rig_rule(&r, "plant/{unit}/state", "telemetry", "{unit}");
	rule->hdr_cnt = 1;
	snprintf(rule->hdr[0].name, sizeof(rule->hdr[0].name), "unit");
	snprintf(rule->hdr[0].value, sizeof(rule->hdr[0].value), "u{unit}");
	rig_start(&r);
	rig_attach(&r, 5000);
	m.version = 5;
	m.flags = SL_RING_F_RETAIN;
	m.prop_cnt = 4;
	m.prop[0].type = SL_RING_PROP_USER;
	m.prop[0].name = rig_text("colour");
	m.prop[0].value = rig_text("red");
	m.prop[1].type = SL_RING_PROP_CONTENT_TYPE;
	m.prop[1].value = rig_text("text/plain");
	m.prop[2].type = SL_RING_PROP_RESPONSE_TOPIC;
	m.prop[2].value = rig_text("answers/here");
	m.prop[3].type = SL_RING_PROP_CORRELATION;
	m.prop[3].value = rig_text("");
	assert_int_equal(sl_plink_hand(&r.link, &m), SL_PLINK_DONE);
	assert_int_equal(rig_records(&r, "telemetry"), 1); /* before the answer */
	rec = rig_record(&r, "telemetry", 0, 0);
	assert_true(rig_is(rec->rec.key, "7"));
	assert_true(rig_is(rec->rec.value, "21.5"));
	assert_true(rec->rec.ts > 1600000000000);
	assert_string_equal(rig_header(rec, "mqtt.topic"), "plant/7/state");
	assert_string_equal(rig_header(rec, "mqtt.client"), "client-7");
	assert_string_equal(rig_header(rec, "mqtt.qos"), "1");
	assert_string_equal(rig_header(rec, "mqtt.retain"), "1");
	assert_string_equal(rig_header(rec, "mqtt.user.colour"), "red");
	assert_string_equal(rig_header(rec, "mqtt.content-type"), "text/plain");
	assert_string_equal(rig_header(rec, "mqtt.response-topic"), "answers/here");
	assert_string_equal(rig_header(rec, "mqtt.correlation"), "");
	assert_string_equal(rig_header(rec, "unit"), "u7");
	assert_int_equal(rec->rec.hdr_cnt, 9);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_STORED), 1);
	rig_books_close(&r);
	rig_fini(&r);
}

/* Acknowledged as any broker would, stored nowhere, counted under its own reason. */
static void skipped(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_ring_msg m;

	rig_init(&r);
	rig_rule(&r, "bad/{name}", "{name}", "");
	rig_rule(&r, "cmd/#", "commands", "")->skip_retained = true;
	rig_start(&r);
	rig_attach(&r, 5000);
	assert_int_equal(rig_hand(&r, 1, "nobody/wants", "x"), SL_PLINK_DONE);
	assert_int_equal(rig_hand(&r, 2, "bad/no spaces", "x"), SL_PLINK_DONE);
	assert_int_equal(rig_hand(&r, 1, "", "x"), SL_PLINK_DONE);
	m = rig_msg(1, "cmd/1", "x");
	m.flags = SL_RING_F_RETAIN;
	assert_int_equal(sl_plink_hand(&r.link, &m), SL_PLINK_DONE);
	assert_int_equal(rig_hand(&r, 1, "cmd/1", "x"), SL_PLINK_DONE);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_NO_MATCH), 1);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_BAD_TOPIC), 1);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_BAD_NAME), 1);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_RETAINED), 1);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_STORED), 1);
	rig_books_close(&r);
	rig_fini(&r);
}

static void refused(SL_UNUSED void **st)
{
	static const struct {
		int err;
		enum sl_bridge_row row;
	} cases[] = {{-ENOSPC, SL_BR_MQTT_REF_DISK},
		     {-EMSGSIZE, SL_BR_MQTT_REF_LARGE},
		     {-EIO, SL_BR_MQTT_REF_FAILED},
		     {-ENOENT, SL_BR_MQTT_REF_FAILED},
		     {-ESHUTDOWN, SL_BR_MQTT_REF_SHUTDOWN}};
	struct rig r;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	rig_attach(&r, 5000);
	assert_int_equal(rig_hand(&r, 1, "a", "first"), SL_PLINK_DONE);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		uint64_t was = rig_row(&r, cases[i].row);
		fake_store_fail(r.store, cases[i].err, 0);
		assert_int_equal(rig_hand(&r, 1 + (int)i % 2, "a", "x"), SL_PLINK_REFUSED);
		assert_int_equal(rig_row(&r, cases[i].row), was + 1);
	}
	fake_store_fail(r.store, 0, 0);
	assert_int_equal(rig_hand(&r, 1, "a", "last"), SL_PLINK_DONE);
	assert_int_equal(rig_records(&r, "t"), 2);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_PUSHED_BACK), SL_ARRAY_SIZE(cases));
	assert_int_equal(rig_row(&r, SL_BR_MQTT_EXPIRED_WAITS), 0);
	rig_books_close(&r);
	rig_fini(&r);
}

static void too_large(SL_UNUSED void **st)
{
	struct rig r;
	static uint8_t bytes[SL_RING_BYTES_MIN];
	struct sl_ring_msg m = rig_msg(1, "a", "");

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	r.c->kafka.topic_defaults.max_message_bytes = 50000;
	rig_start(&r);
	rig_attach(&r, 5000);
	m.payload = (struct sl_slice){bytes, 60000};
	assert_int_equal(sl_plink_hand(&r.link, &m), SL_PLINK_REFUSED);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_REF_LARGE), 1);
	m.payload.len = 49000;
	assert_int_equal(sl_plink_hand(&r.link, &m), SL_PLINK_DONE);
	m.payload.len = SL_RING_BYTES_MIN / 2; /* not even into the ring */
	assert_int_equal(sl_plink_hand(&r.link, &m), SL_PLINK_REFUSED);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_PUSHED_BACK), 2);
	rig_books_close(&r);
	rig_fini(&r);
}

/* Order, and shared batches: many fewer than records. */
static void a_flow(SL_UNUSED void **st)
{
	struct rig r;
	enum { N = 20000 };
	char text[16];
	uint64_t lost = 0;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	rig_attach(&r, 5000);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		while (rig_hand(&r, 0, "a/b", text) == SL_PLINK_LOST)
			lost++;
	}
	assert_int_equal(rig_hand(&r, 1, "a/b", "end"), SL_PLINK_DONE);
	assert_int_equal(rig_records(&r, "t"), N + 1);
	struct sl_cursor cur;
	struct sl_cursor_rec rec;
	int64_t next;
	sl_cursor_init(&cur, &r.mem, rig_part(&r, "t", 0), 0, false);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(sl_cursor_next(&cur, &rec, &next), 1);
		assert_true(rig_is(rec.rec.value, text));
		assert_null(rec.rec.key.p);
	}
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_STORED), N + 1);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_LOST_QOS0), lost);
	rig_books_close(&r);
	rig_fini(&r);
}

/* Nobody there; one that stands still; one that returns. Each wait at most its bound. */
static void away(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_plink_cfg cfg = {
		.socket = r.path, .ring_bytes = SL_RING_BYTES_MIN, .wait_ns = 30000000};

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	assert_int_equal(sl_plink_init(&r.link, &cfg), 0);
	rig_look(&r);
	assert_int_equal(r.link.state, SL_PLINK_OFF);
	assert_int_equal(rig_hand(&r, 1, "a", "x"), SL_PLINK_REFUSED);
	assert_int_equal(rig_hand(&r, 0, "a", "x"), SL_PLINK_LOST);
	r.writer = false; /* nothing is appended until we say so */
	rig_start(&r);
	rig_attach(&r, 30);
	uint64_t began = rig_now();
	/* the topic is made before; the append is what it waits for */
	assert_int_equal(rig_hand(&r, 1, "a", "1"), SL_PLINK_REFUSED);
	assert_in_range(rig_now() - began, 30000000, 5000000000);
	/* longer than the stall's bound, so that the heartbeat has stopped; then nobody waits */
	uint64_t beat, stop = rig_now() + 300000000;
	rig_until(&r, rig_now() > stop);
	r.link.stood_at = beat = atomic_load(&r.link.ring.hdr->heartbeat);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_hand(&r, 2, "a", "2"), SL_PLINK_REFUSED);
	assert_int_equal(atomic_load(&r.link.ring.hdr->heartbeat), beat);
	assert_int_equal(r.link.ring.hdr->waits_expired, 1);
	fake_store_step(r.store); /* the first one is stored after all */
	rig_until(&r, atomic_load(&r.link.ring.hdr->heartbeat) != beat);
	fake_store_thread_start(r.store);
	r.writer = true;
	rig_until(&r, rig_hand(&r, 1, "a", "3") == SL_PLINK_DONE);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_LOST_QOS0), 1);
	assert_true(rig_row(&r, SL_BR_MQTT_PUSHED_BACK) >= 102);
	rig_books_close(&r);

	/* it has left: refused without a wait; and another one takes over the same ring */
	rig_until(&r, (rig_look(&r), r.link.state == SL_PLINK_OFF));
	assert_int_equal(rig_hand(&r, 1, "a", "4"), SL_PLINK_REFUSED);
	rig_start(&r);
	rig_attach(&r, 30);
	rig_until(&r, rig_hand(&r, 1, "a", "5") == SL_PLINK_DONE);
	rig_fini(&r);
}

/* `synced`: no answer before; and a partition that fails meanwhile is a refusal. */
static void synced(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_ring_msg m = rig_msg(1, "s", "x");
	enum sl_ring_answer a;
	uint64_t id;

	rig_init(&r);
	rig_rule(&r, "#", "t", "")->ack = SL_ACK_SYNCED;
	fake_store_cfg(r.store)->auto_sync = false;
	rig_start(&r);
	rig_attach(&r, 5000);
	m.flags = SL_RING_F_WAITED;
	assert_int_equal(sl_ring_put(&r.link.ring, &m, &id), 0); /* not to wait for it */
	rig_wake(&r);
	rig_until(&r, atomic_load(&r.link.ring.hdr->logged) == id);
	assert_false(sl_ring_answered(&r.link.ring, id, &a));
	fake_store_sync(r.store);
	rig_until(&r, sl_ring_answered(&r.link.ring, id, &a));
	assert_int_equal(a, SL_RING_STORED);
	/* QoS 0 asks for nothing */
	assert_int_equal(rig_hand(&r, 0, "s", "y"), SL_PLINK_DONE);
	rig_until(&r, rig_row(&r, SL_BR_MQTT_STORED) == 2);
	assert_int_equal(sl_ring_put(&r.link.ring, &m, &id), 0);
	rig_wake(&r);
	rig_until(&r, rig_records(&r, "t") == 3);
	fake_store_set_state(r.store, rig_part(&r, "t", 0), SL_PART_FAILED);
	rig_until(&r, sl_ring_answered(&r.link.ring, id, &a));
	assert_int_equal(a, SL_RING_REFUSED);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_REF_FAILED), 1);
	rig_fini(&r);
}

/* Keys choose the partition as Kafka's clients do; without one all get their share. */
static void partitions(SL_UNUSED void **st)
{
	struct rig r;

	rig_init(&r);
	rig_rule(&r, "k/{id}", "keyed", "{id}")->partitions = 3;
	rig_rule(&r, "n/#", "none", "")->partitions = 3;
	rig_start(&r);
	rig_attach(&r, 5000);
	for (int i = 0; i < 6; i++)
		assert_int_equal(rig_hand(&r, 1, "n/x", "x"), SL_PLINK_DONE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sl_part_end(rig_part(&r, "none", i)), 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_hand(&r, 1, "k/dev-1", "x"), SL_PLINK_DONE);
	int full = 0;
	for (int i = 0; i < 3; i++)
		full += sl_part_end(rig_part(&r, "keyed", i)) == 5;
	assert_int_equal(full, 1);
	rig_fini(&r);
}

static void topics_are_bounded(SL_UNUSED void **st)
{
	struct rig r;
	char topic[32];

	rig_init(&r);
	r.c->mqtt.max_topics = 3;
	rig_rule(&r, "dev/{id}", "dev-{id}", "");
	rig_rule(&r, "fixed", "fixed", "");
	assert_int_equal(sl_store_topic_create(r.store, "dev-old", 1, NULL, NULL), 0);
	assert_int_equal(sl_store_topic_create(r.store, "other", 1, NULL, NULL), 0);
	rig_start(&r);
	rig_attach(&r, 5000);
	for (int i = 0; i < 4; i++) {
		snprintf(topic, sizeof(topic), "dev/%d", i);
		assert_int_equal(rig_hand(&r, 1, topic, "x"),
				 i < 2 ? SL_PLINK_DONE : SL_PLINK_REFUSED);
	}
	assert_int_equal(rig_hand(&r, 1, "dev/old", "x"), SL_PLINK_DONE);
	assert_int_equal(rig_hand(&r, 1, "fixed", "x"), SL_PLINK_DONE);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_REF_TOPICS), 2);
	fake_store_fail(r.store, 0, -EIO);
	rig_rule(&r, "late", "late", ""); /* not compiled: no rule of this intake */
	assert_int_equal(rig_hand(&r, 1, "late", "x"), SL_PLINK_DONE);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_NO_MATCH), 1);
	rig_books_close(&r);
	rig_fini(&r);
}

static void topic_cannot_be_made(SL_UNUSED void **st)
{
	struct rig r;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	fake_store_fail(r.store, 0, -EIO);
	rig_start(&r);
	rig_attach(&r, 5000);
	assert_int_equal(rig_hand(&r, 1, "a", "x"), SL_PLINK_REFUSED);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_REF_FAILED), 1);
	fake_store_fail(r.store, 0, -ENOSPC);
	assert_int_equal(rig_hand(&r, 1, "a", "x"), SL_PLINK_REFUSED);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_REF_DISK), 1);
	fake_store_fail(r.store, 0, 0);
	assert_int_equal(rig_hand(&r, 1, "a", "x"), SL_PLINK_DONE);
	/* deleted under its feet: made again */
	struct sl_topic *t = sl_store_topic_find(r.store, "t", 1);
	assert_int_equal(sl_store_topic_delete(r.store, t), 0);
	sl_topic_put(t);
	rig_until(&r, rig_hand(&r, 1, "a", "y") == SL_PLINK_DONE);
	assert_int_equal(rig_records(&r, "t"), 1);
	rig_fini(&r);
}

/* What a broker that died left in its ring is stored, then the ring is let go. */
static void broker_dies(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_mqtt_stats stats = {0};

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	r.writer = false;
	rig_start(&r);
	rig_attach(&r, 5000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_hand(&r, 0, "a", "x"), SL_PLINK_DONE);
	rig_until(&r, (stats.brokers = 0, sl_intake_stats(r.in, &stats), stats.brokers == 1));
	assert_true(stats.broker[0].plugin && stats.broker[0].connected);
	assert_string_equal(stats.broker[0].name, "test");
	sl_plink_fini(&r.link); /* memory, eventfd, connection */
	rig_until(&r, (fake_store_step(r.store), rig_records(&r, "t") == 100));
	rig_until(&r, (stats.brokers = 0, sl_intake_stats(r.in, &stats), stats.brokers == 0));
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_STORED), 100);
	rig_fini(&r);
}

static void own_clients(SL_UNUSED void **st)
{
	struct rig r;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	r.c->mqtt.broker_cnt = 2;
	snprintf(r.c->mqtt.broker[0].client_id, SL_CFG_NAME_MAX, "sluice-gw-one");
	snprintf(r.c->mqtt.broker[1].client_id, SL_CFG_NAME_MAX, "mine");
	rig_start(&r);
	rig_attach(&r, 5000);
	assert_true(sl_plink_own(&r.link, "sluice-gw-one"));
	assert_true(sl_plink_own(&r.link, "sluice-gw-anything"));
	assert_true(sl_plink_own(&r.link, "mine"));
	assert_true(sl_plink_own(&r.link, "mine-down"));
	assert_false(sl_plink_own(&r.link, "mine2"));
	assert_false(sl_plink_own(&r.link, "sluice-gw2-one"));
	assert_false(sl_plink_own(&r.link, ""));
	rig_fini(&r);
}

static void sources(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_mqtt_cfg mc;
	struct sl_intake_source_cfg sc = {.name = "far", .bytes = SL_RING_BYTES_MIN};
	struct sl_intake_source *s;
	struct sl_ring_msg m = rig_msg(1, "a", "x");
	enum sl_ring_answer a = SL_RING_NONE;
	uint64_t id, messages, no, large;
	char err[128];

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	mc = (struct sl_mqtt_cfg){.config = r.c,
				  .store = r.store,
				  .dp = fake_store_dataplane(r.store),
				  .counters = r.ctr};
	assert_int_equal(sl_intake_new(&mc, &r.in, err, sizeof(err)), 0);
	assert_int_equal(sl_intake_source_add(r.in, &sc, &s), 0);
	assert_int_equal(sl_intake_start(r.in), 0);
	fake_store_thread_start(r.store);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(sl_intake_source_put(s, &m, 5000000000ull, NULL), 0);
	m.flags = SL_RING_F_WAITED;
	assert_int_equal(sl_intake_source_put(s, &m, 5000000000ull, &id), 0);
	assert_int_equal(sl_intake_source_wait(s, id, 5000000000ull, &a), 0);
	assert_int_equal(a, SL_RING_STORED);
	assert_int_equal(rig_records(&r, "t"), 1001);
	/* a full disk holds it instead of refusing */
	fake_store_fail(r.store, -ENOSPC, 0);
	assert_int_equal(sl_intake_source_put(s, &m, 0, &id), 0);
	assert_int_equal(sl_intake_source_wait(s, id, 30000000, &a), -ETIMEDOUT);
	fake_store_fail(r.store, 0, 0);
	assert_int_equal(sl_intake_source_wait(s, id, 5000000000ull, &a), 0);
	assert_int_equal(a, SL_RING_STORED);
	fake_store_fail(r.store, -EIO, 0);
	assert_int_equal(sl_intake_source_put(s, &m, 0, &id), 0);
	assert_int_equal(sl_intake_source_wait(s, id, 5000000000ull, &a), 0);
	assert_int_equal(a, SL_RING_REFUSED);
	sl_intake_source_stats(s, &messages, &no, &large);
	assert_int_equal(messages, 1003);
	assert_int_equal(no, 1);
	assert_int_equal(large, 0);
	sl_intake_source_lost(s, 3);
	/* held when the daemon stops: refused */
	fake_store_fail(r.store, -ENOSPC, 0);
	assert_int_equal(sl_intake_source_put(s, &m, 0, &id), 0);
	rig_until(&r, sl_intake_source_wait(s, id, 300000000, &a) == -ETIMEDOUT);
	assert_int_equal(sl_intake_stop(r.in, rig_now() + 20000000000ull), 0);
	assert_int_equal(sl_intake_source_put(s, &m, 0, &id), -ESHUTDOWN);
	sl_intake_source_stats(s, &messages, &no, &large);
	assert_int_equal(no, 2);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_LOST_BROKER), 3);
	rig_books_close(&r);
	fake_store_thread_stop(r.store);
	sl_intake_free(r.in);
	r.in = NULL;
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message),
		cmocka_unit_test(skipped),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_large),
		cmocka_unit_test(a_flow),
		cmocka_unit_test(away),
		cmocka_unit_test(synced),
		cmocka_unit_test(partitions),
		cmocka_unit_test(topics_are_bounded),
		cmocka_unit_test(topic_cannot_be_made),
		cmocka_unit_test(broker_dies),
		cmocka_unit_test(own_clients),
		cmocka_unit_test(sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
