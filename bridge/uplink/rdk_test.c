/* SPDX-License-Identifier: Apache-2.0 */
#include "rdk.h"

#include <errno.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "sink_rdkafka.h"

/* ---- settings -------------------------------------------------------------------------------- */

static struct sl_rdk_settings some_settings(void)
{
	struct sl_rdk_settings s = {.gateway = "gw-01",
				    .bootstrap = "127.0.0.1:1",
				    .window = 2000,
				    .commit_bytes = 8u << 20};

	return s;
}

static void add(struct sl_rdk_settings *s, const char *name, const char *value, bool file)
{
	struct sl_cfg_prop *p = &s->prop[s->prop_cnt++];

	*p = (struct sl_cfg_prop){.file = file};
	strcpy(p->name, name);
	strcpy(p->value, value);
}

static void settings_that_are_good(void **state)
{
	struct sl_rdk_settings s = some_settings();
	char err[256];

	(void)state;
	assert_int_equal(sl_rdk_settings_check(&s, err, sizeof(err)), 0);
	add(&s, "compression.type", "lz4", false);
	add(&s, "linger.ms", "20", false); /* a default of ours that the config changes */
	add(&s, "security.protocol", "SASL_SSL", false);
	add(&s, "sasl.mechanism", "SCRAM-SHA-256", false);
	add(&s, "sasl.username", "gw", false);
	add(&s, "sasl.password", "/nowhere/secret", true); /* looked at when it is used */
	if (sl_rdk_settings_check(&s, err, sizeof(err)))
		fail_msg("%s", err);
}

static void settings_that_are_not(void **state)
{
	static const struct {
		const char *name, *value;
		bool file;
		const char *says;
	} bad[] = {
		{"linger.msec", "5", false, "linger.msec"},
		{"linger.ms", "soon", false, "linger.ms"},
		{"linger.ms", "-5", false, "linger.ms"},
		{"security.protocol", "TLS", false, "security.protocol"},
		{"transactional.id", "mine", false, "the uplink's own"},
		{"bootstrap.servers", "x:1", false, "the uplink's own"},
		{"enable.idempotence", "false", false, "the uplink's own"},
		{"isolation.level", "read_uncommitted", false, "the uplink's own"},
		{"message.timeout.ms", "1000", false, "the uplink's own"},
		{"group.id", "/x", true, "the uplink's own"},
		{"sasl.passphrase", "/x", true, "sasl.passphrase"},
		{"", "", false, "No such configuration property"},
	};
	char err[256];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_rdk_settings s = some_settings();

		err[0] = 0;
		add(&s, bad[i].name, bad[i].value, bad[i].file);
		if (sl_rdk_settings_check(&s, err, sizeof(err)) != -EINVAL ||
		    !strstr(err, bad[i].says))
			fail_msg("%s=%s: %s", bad[i].name, bad[i].value, err);
	}
}

static void secrets(void **state)
{
	struct sl_rdk_settings s = some_settings();
	struct sl_rdk_client *c = NULL;
	char err[256] = "", path[] = "/tmp/sl-rdk-test-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	add(&s, "sasl.password", "/nowhere/secret", true);
	assert_int_equal(sl_rdk_client_new(&s, SL_RDK_PRODUCER, &c, err, sizeof(err)), -EACCES);
	assert_non_null(strstr(err, "/nowhere/secret"));
	/* what the library refuses is not quoted */
	s.prop_cnt = 0;
	add(&s, "linger.ms", path, true);
	assert_int_equal(write(fd, "hunter2\n", 8), 8);
	close(fd);
	assert_int_equal(sl_rdk_client_new(&s, SL_RDK_PRODUCER, &c, err, sizeof(err)), -EINVAL);
	assert_null(strstr(err, "hunter2"));
	unlink(path);
	assert_null(c);
	sl_rdk_client_free(NULL);
}

/* Settings for producers in a consumer and the other way round are no reason to refuse. */
static void instances(void **state)
{
	struct sl_rdk_settings s = some_settings();
	char err[256];

	(void)state;
	add(&s, "compression.type", "lz4", false);
	add(&s, "fetch.min.bytes", "1", false);
	for (enum sl_rdk_kind k = SL_RDK_PRODUCER; k <= SL_RDK_MIRROR; k++) {
		struct sl_rdk_client *c = NULL;

		assert_int_equal(sl_rdk_client_new(&s, k, &c, err, sizeof(err)), 0);
		sl_rdk_client_free(c);
	}
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void reports(void **state)
{
	(void)state;
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), SL_RDK_REFUSED);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP), SL_RDK_REFUSED);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_INVALID_RECORD), SL_RDK_REFUSED);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC), SL_RDK_GONE);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), SL_RDK_GONE);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
			 SL_RDK_DENIED);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR__PURGE_INFLIGHT), SL_RDK_UNSENT);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT), SL_RDK_UNSENT);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER),
			 SL_RDK_UNSENT);
	assert_int_equal(sl_rdk_report_of(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS), SL_RDK_UNSENT);
}

static void error_classes(void **state)
{
	(void)state;
	/* retriable, abortable, fatal, none of the three */
	assert_int_equal(sl_rdk_class_of(RD_KAFKA_RESP_ERR__TIMED_OUT, false, false, true),
			 SL_SINK_RETRY);
	assert_int_equal(sl_rdk_class_of(RD_KAFKA_RESP_ERR__TIMED_OUT, false, true, false),
			 SL_SINK_ABORT);
	assert_int_equal(sl_rdk_class_of(RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, true, false, false),
			 SL_SINK_REBUILD);
	assert_int_equal(sl_rdk_class_of(RD_KAFKA_RESP_ERR__STATE, false, false, false),
			 SL_SINK_REBUILD);
	/* whatever the flags */
	assert_int_equal(sl_rdk_class_of(RD_KAFKA_RESP_ERR__FENCED, true, false, false),
			 SL_SINK_FENCED);
	assert_int_equal(
		sl_rdk_class_of(RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, false, true, false),
		SL_SINK_FENCED);
	assert_int_equal(sl_rdk_class_of(RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
					 true, false, false),
			 SL_SINK_DENIED);
	assert_int_equal(sl_rdk_topic_class(RD_KAFKA_RESP_ERR_POLICY_VIOLATION), SL_SINK_DENIED);
	assert_int_equal(sl_rdk_topic_class(RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR),
			 SL_SINK_RETRY);
	assert_int_equal(sl_rdk_topic_class(RD_KAFKA_RESP_ERR__TRANSPORT), SL_SINK_RETRY);
}

/* ---- what the positions topic said ----------------------------------------------------------- */

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void put_position(struct sl_rdk_positions *p, int32_t part, int64_t offset)
{
	struct sl_position pos = {.gateway = "gw-01", .topic = "logs", .partition = part};
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];

	memset(pos.instance, 'a', SL_TOKEN_TEXT - 1);
	pos.offset = offset;
	pos.forwarded = (uint64_t)offset;
	assert_true(sl_position_encode(&pos, key, sizeof(key), val, sizeof(val)) > 0);
	assert_int_equal(sl_rdk_positions_put(p, 7, str(key), str(val)), 0);
}

static void the_last_of_a_key_counts(void **state)
{
	struct sl_rdk_positions *p = sl_rdk_positions_new();
	static struct sl_sink_event ev;
	int64_t seen[3] = {-1, -1, -1};

	(void)state;
	assert_non_null(p);
	assert_false(sl_rdk_positions_next(p, "gw-01", &ev));
	p->at = 0;
	for (int64_t off = 1; off <= 5; off++)
		for (int32_t part = 0; part < 3; part++)
			put_position(p, part, off * 100 + part);
	assert_int_equal(p->cnt, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(sl_rdk_positions_next(p, "gw-01", &ev));
		assert_int_equal(ev.kind, SL_SINK_POSITION);
		seen[ev.position.partition] = ev.position.offset;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen[i], 500 + i);
	assert_false(sl_rdk_positions_next(p, "gw-01", &ev));
	sl_rdk_positions_free(p);
	sl_rdk_positions_free(NULL);
}

static void tombstones_and_junk(void **state)
{
	struct sl_rdk_positions *p = sl_rdk_positions_new();
	static struct sl_sink_event ev;
	char big[SL_POS_VALUE_MAX + 100];

	(void)state;
	assert_non_null(p);
	put_position(p, 0, 5);
	char key[] = "gw-01/00000000000000000000000000000000/0";
	assert_int_equal(sl_rdk_positions_put(p, 7, str(key), (struct sl_slice){NULL, 0}), 0);
	assert_false(sl_rdk_positions_next(p, "gw-01", &ev)); /* deleted by hand */
	/* one that is not understood is said, however long it is, and so is an empty one */
	p->at = 0;
	memset(big, 'x', sizeof(big));
	assert_int_equal(sl_rdk_positions_put(p, 7, str("gw-01/junk"),
					      (struct sl_slice){(uint8_t *)big, sizeof(big)}),
			 0);
	assert_int_equal(sl_rdk_positions_put(p, 7, str("gw-01"), str("")), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(sl_rdk_positions_next(p, "gw-01", &ev));
		assert_int_equal(ev.kind, SL_SINK_BAD_POSITION);
		assert_non_null(strstr(ev.text, "gw-01"));
	}
	assert_false(sl_rdk_positions_next(p, "gw-01", &ev));
	sl_rdk_positions_free(p);
}

static void too_many_keys(void **state)
{
	struct sl_rdk_positions *p = sl_rdk_positions_new();
	char key[64];

	(void)state;
	assert_non_null(p);
	for (unsigned i = 0; i < SL_RDK_POSITIONS_MAX; i++) {
		snprintf(key, sizeof(key), "gw-01/%u", i);
		assert_int_equal(sl_rdk_positions_put(p, 0, str(key), str("x")), 0);
	}
	assert_int_equal(sl_rdk_positions_put(p, 0, str("gw-01/more"), str("x")), -E2BIG);
	assert_int_equal(sl_rdk_positions_put(p, 0, str("gw-01/5"), str("y")), 0);
	sl_rdk_positions_free(p);
}

/* ---- the sink without anybody there ---------------------------------------------------------- */

static void nobody_there(void **state)
{
	static struct sl_config cfg;
	static struct sl_sink_event ev[8];
	struct sl_sink *s = NULL;
	struct sl_sink_rec r = {.topic = "t", .ts_ms = 1};
	char err[256];

	(void)state;
	strcpy(cfg.gateway.id, "gw-01");
	strcpy(cfg.uplink.bootstrap, "127.0.0.1:1");
	strcpy(cfg.uplink.positions, "sluice.positions");
	cfg.uplink.window = 100;
	strcpy(cfg.uplink.prop[0].name, "no.such");
	cfg.uplink.prop_cnt = 1;
	assert_int_equal(sl_sink_rdkafka_new(&cfg, &s, err, sizeof(err)), -EINVAL);
	assert_null(s);
	cfg.uplink.prop_cnt = 0;
	assert_int_equal(sl_sink_rdkafka_new(&cfg, &s, err, sizeof(err)), 0);
	/* closed: nothing works, nothing hangs */
	assert_int_equal(s->ops->poll(s, ev, 8, 0), 0);
	assert_int_equal(s->ops->begin(s), -EINVAL);
	assert_int_equal(s->ops->produce(s, &r), -EINVAL);
	assert_int_equal(s->ops->commit(s), -EINVAL);
	assert_int_equal(s->ops->abort(s), -EINVAL);
	assert_int_equal(s->ops->topic_partitions(s, "t"), 0);
	assert_int_equal(s->ops->make_topic(s, "t", 1, -1, false), -EINVAL);
	s->ops->close(s);
	/* opening: all brokers are away is said, and it can be closed and opened again */
	for (int i = 0; i < 2; i++) {
		bool down = false;

		assert_int_equal(s->ops->open(s), 0);
		assert_int_equal(s->ops->open(s), -EINVAL);
		for (int turn = 0; !down && turn < 100; turn++) {
			unsigned n = s->ops->poll(s, ev, 8, 200);

			for (unsigned k = 0; k < n; k++)
				down |= ev[k].kind == SL_SINK_LINK_DOWN;
		}
		assert_true(down);
		assert_int_equal(s->ops->begin(s), -EINVAL);
		s->ops->close(s);
	}
	const struct sl_sink_ops *ops = s->ops;

	ops->free(s);
	ops->free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_are_good),
		cmocka_unit_test(settings_that_are_not),
		cmocka_unit_test(secrets),
		cmocka_unit_test(instances),
		cmocka_unit_test(reports),
		cmocka_unit_test(error_classes),
		cmocka_unit_test(the_last_of_a_key_counts),
		cmocka_unit_test(tombstones_and_junk),
		cmocka_unit_test(too_many_keys),
		cmocka_unit_test(nobody_there),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
