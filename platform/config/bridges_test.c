/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt, downlink and uplink: what lands in struct sl_config, where errors point, what is warned of.
 * Texts of errors: tests/config. */
#include "platform/config/config_test.h"

/* Sections that are not there are off, and know their defaults all the same. */
static void bridge_defaults(void **state)
{
	struct sl_config *c = good(ID);

	(void)state;
	assert_false(c->mqtt.on);
	assert_string_equal(c->mqtt.socket, "/run/sluice/mqtt.sock");
	assert_string_equal(c->mqtt.default_topic, "");
	assert_int_equal(c->mqtt.max_topics, 256);
	assert_int_equal(c->mqtt.rule_cnt + c->mqtt.broker_cnt + c->downlink_cnt, 0);
	assert_string_equal(c->uplink.bootstrap, "");
	assert_int_equal(c->uplink.topic_cnt + c->uplink.mirror_cnt + c->uplink.prop_cnt, 0);
	assert_false(c->uplink.all_topics);
	assert_string_equal(c->uplink.destination, "{topic}");
	assert_string_equal(c->uplink.dead_letter, "sluice.dead");
	assert_string_equal(c->uplink.positions, "sluice.positions");
	assert_int_equal(c->uplink.partitions, 0);
	assert_int_equal(c->uplink.replication, -1);
	assert_int_equal(c->uplink.commit_interval_ms, 250);
	assert_int_equal(c->uplink.commit_bytes, 8 << 20);
	assert_int_equal(c->uplink.rate_bytes, 0);
	assert_int_equal(c->uplink.window, 2000);
	assert_int_equal(c->uplink.backoff_min_ms, 1000);
	assert_int_equal(c->uplink.backoff_max_ms, 60000);
	sl_config_free(c);

	c = good(ID "mqtt: {default_topic: t, brokers: [{name: b, host: h, tls: {}, "
		    "subscribe: [{filter: x}]}, {name: c, host: h, subscribe: [{filter: y}]}]}\n"
		    "downlink: [{topic: c, mqtt: x, broker: c}]\n");
	assert_true(c->mqtt.on);
	assert_true(c->mqtt.broker[0].tls.on && !c->mqtt.broker[0].tls.insecure);
	assert_int_equal(c->mqtt.broker[0].port, 8883);
	assert_false(c->mqtt.broker[1].tls.on);
	assert_int_equal(c->mqtt.broker[1].port, 1883);
	assert_string_equal(c->mqtt.broker[0].client_id, "sluice-gw-01-b");
	assert_string_equal(c->mqtt.broker[0].user, "");
	assert_int_equal(c->mqtt.broker[0].keep_alive_s, 60);
	assert_int_equal(c->mqtt.broker[0].session_expiry_s, 86400);
	assert_int_equal(c->mqtt.broker[0].sub[0].qos, 1);
	assert_int_equal(c->downlink[0].qos, 1);
	assert_false(c->downlink[0].retain);
	assert_int_equal(c->downlink[0].expiry_ms, 0);
	sl_config_free(c);
}

static void mqtt(void **state)
{
	struct sl_config *c = good(
		ID
		"mqtt:\n"
		"  socket: /x.sock\n"
		"  default_topic: rest\n"
		"  max_topics: 0\n"
		"  map:\n"
		"  - {filter: 'f/{l}/#', topic: tele, key: '{0}', partitions: 8, ack: synced,"
		" retained: skip, headers: {line: '{l}', all: '{{{topic}'}}\n"
		"  - {filter: '{x}', topic: 'x.{x}', key: ''}\n"
		"  - {filter: g, topic: logs}\n"
		"  brokers:\n"
		"  - {name: a, host: 'fd00::1', port: 1, client_id: me, user: u v,"
		" password_file: /p, keep_alive: 5s, session_expiry: 0,"
		" tls: {ca: /ca, cert: /cert, key: /key, insecure: true},"
		" subscribe: [{filter: '$share/g/f/+', qos: 2}, {filter: 'g', qos: 0}]}\n"
		"  - {name: b, host: h}\n"
		"downlink:\n"
		"  - {topic: cmd, mqtt: 'd/{key}', qos: 0, retain: true, expiry: 60s, broker: b}\n"
		"  - {topic: down, mqtt: 'e/{header:to}', broker: a}\n"
		"uplink: {bootstrap: h, mirror: [down]}\n"
		"topics: [{name: logs, partitions: 2}]\n");
	const struct sl_cfg_rule *r = c->mqtt.rule;
	const struct sl_cfg_broker *b = c->mqtt.broker;

	(void)state;
	assert_true(c->mqtt.on);
	assert_string_equal(c->mqtt.socket, "/x.sock");
	assert_int_equal(c->mqtt.max_topics, 0);
	assert_int_equal(c->mqtt.rule_cnt, 3);
	assert_string_equal(r[0].filter, "f/{l}/#");
	assert_string_equal(r[0].topic, "tele");
	assert_string_equal(r[0].key, "{0}");
	assert_int_equal(r[0].partitions, 8);
	assert_int_equal(r[0].ack, SL_ACK_SYNCED);
	assert_true(r[0].skip_retained);
	assert_int_equal(r[0].hdr_cnt, 2);
	assert_string_equal(r[0].hdr[1].name, "all");
	assert_string_equal(r[0].hdr[1].value, "{{{topic}");
	assert_string_equal(r[1].key, "");
	assert_int_equal(r[1].partitions, 0);
	assert_string_equal(r[2].key, "{client}");
	assert_int_equal(r[2].ack, SL_ACK_LOGGED);
	assert_false(r[2].skip_retained);
	assert_int_equal(c->mqtt.broker_cnt, 2);
	assert_string_equal(b[0].host, "fd00::1");
	assert_int_equal(b[0].port, 1);
	assert_string_equal(b[0].client_id, "me");
	assert_string_equal(b[0].user, "u v");
	assert_string_equal(b[0].password_file, "/p");
	assert_int_equal(b[0].keep_alive_s, 5);
	assert_int_equal(b[0].session_expiry_s, 0);
	assert_string_equal(b[0].tls.key, "/key");
	assert_true(b[0].tls.insecure);
	assert_int_equal(b[0].sub_cnt, 2);
	assert_string_equal(b[0].sub[0].filter, "$share/g/f/+");
	assert_int_equal(b[0].sub[0].qos, 2);
	assert_int_equal(b[0].sub[1].qos, 0);
	assert_int_equal(b[1].sub_cnt, 0);
	assert_int_equal(c->downlink_cnt, 2);
	assert_true(c->downlink[0].retain);
	assert_int_equal(c->downlink[0].expiry_ms, 60000);
	assert_int_equal(c->downlink[0].broker, 1);
	assert_int_equal(c->downlink[1].broker, 0);
	/* what exists at start: listed, of rules, the default; a downlink's, unless it is mirrored
	 */
	assert_int_equal(c->topic_cnt, 4);
	assert_string_equal(c->topic[0].name, "logs");
	assert_int_equal(c->topic[0].partitions, 2);
	assert_string_equal(c->topic[1].name, "tele");
	assert_int_equal(c->topic[1].partitions, 8);
	assert_string_equal(c->topic[2].name, "rest");
	assert_int_equal(c->topic[2].partitions, 4);
	assert_string_equal(c->topic[3].name, "cmd");
	sl_config_free(c);
}

static void uplink(void **state)
{
	struct sl_config *c;

	(void)state;
	setenv("SLT_CFG_PW", "swordfish", 1);
	c = good(ID "uplink:\n"
		    "  bootstrap: [a.example, '[fd00::1]:9093, b.example:9094']\n"
		    "  topics: [logs, telemetry]\n"
		    "  destination: '{gateway}.{topic}'\n"
		    "  partitions: 3\n"
		    "  replication: 2\n"
		    "  dead_letter: dead\n"
		    "  positions: pos\n"
		    "  commit: {interval: 1s, bytes: 1MiB}\n"
		    "  rate: 500KiB/s\n"
		    "  window: 1\n"
		    "  backoff: {min: 10ms, max: 20ms}\n"
		    "  mirror: commands\n"
		    "  client: {security.protocol: SASL_SSL, linger.ms: 7, sasl.password: "
		    "'${SLT_CFG_PW}'}\n"
		    "  client_files: {ssl.key.password: /secret}\n");
	assert_string_equal(c->uplink.bootstrap, "a.example:9092,[fd00::1]:9093,b.example:9094");
	assert_int_equal(c->uplink.topic_cnt, 2);
	assert_string_equal(c->uplink.topic[1], "telemetry");
	assert_string_equal(c->uplink.destination, "{gateway}.{topic}");
	assert_int_equal(c->uplink.partitions, 3);
	assert_int_equal(c->uplink.replication, 2);
	assert_string_equal(c->uplink.dead_letter, "dead");
	assert_string_equal(c->uplink.positions, "pos");
	assert_int_equal(c->uplink.commit_interval_ms, 1000);
	assert_int_equal(c->uplink.commit_bytes, 1 << 20);
	assert_int_equal(c->uplink.rate_bytes, 500 << 10);
	assert_int_equal(c->uplink.window, 1);
	assert_int_equal(c->uplink.backoff_min_ms, 10);
	assert_int_equal(c->uplink.backoff_max_ms, 20);
	assert_int_equal(c->uplink.mirror_cnt, 1);
	assert_string_equal(c->uplink.mirror[0], "commands");
	assert_int_equal(c->uplink.prop_cnt, 4);
	assert_string_equal(c->uplink.prop[1].name, "linger.ms");
	assert_string_equal(c->uplink.prop[1].value, "7");
	assert_string_equal(c->uplink.prop[2].value, "swordfish");
	assert_false(c->uplink.prop[2].file);
	assert_string_equal(c->uplink.prop[3].name, "ssl.key.password");
	assert_true(c->uplink.prop[3].file);
	assert_int_equal(c->topic_cnt, 0);
	sl_config_free(c);
	for (int i = 0; i < 2; i++) {
		c = good(i ? ID "uplink: {bootstrap: a, topics: '*', rate: off}\n"
			   : ID "uplink: {bootstrap: a, topics: ['*']}\n");
		assert_true(c->uplink.all_topics);
		assert_int_equal(c->uplink.topic_cnt, 0);
		assert_int_equal(c->uplink.rate_bytes, 0);
		sl_config_free(c);
	}
}

/* The caret stands at what is wrong in a text, unless the file writes the text otherwise. */
static void places_in_texts(void **state)
{
	(void)state;
	bad(ID "mqtt: {map: [{filter: a/b#, topic: t}]}\n", "mqtt.map[0].filter", 2, 26);
	bad(ID "mqtt: {map: [{filter: 'a/b#', topic: t}]}\n", "mqtt.map[0].filter", 2, 27);
	bad(ID "mqtt: {map: [{filter: 'a''/b#', topic: t}]}\n", "mqtt.map[0].filter", 2, 24);
	bad(ID "mqtt: {map: [{filter: \"a\\x2fb#\", topic: t}]}\n", "mqtt.map[0].filter", 2, 24);
	bad(ID "mqtt: {map: [{filter: '\xc3\xa4/b#', topic: t}]}\n", "mqtt.map[0].filter", 2, 27);
	bad(ID "mqtt:\n  map:\n  - filter: '{x}'\n    topic: a.{y}\n", "mqtt.map[0].topic", 5, 14);
	bad(ID "uplink: {bootstrap: 'a, b:c', topics: t}\n", "uplink.bootstrap", 2, 25);
}

/* A good config may have warnings, in the order of lines; a bad one has none. */
static void warnings(void **state)
{
	static const char rules[] = ID "mqtt:\n"
				       "  map:\n"
				       "  - {filter: 'a/#', topic: t}\n"
				       "  - {filter: '{x}/b', topic: t}\n"
				       "  - {filter: 'c/b', topic: t}\n"
				       "  - {filter: 'a/b', topic: t%s}\n";
	struct sl_config_errors errs = {0};
	struct sl_config *c = NULL;
	char text[512], line[256];

	(void)state;
	snprintf(text, sizeof(text), rules, "");
	assert_int_equal(sl_config_parse("t.yaml", text, strlen(text), &c, &errs), 0);
	assert_int_equal(errs.errors.cnt, 0);
	assert_int_equal(errs.warnings.cnt, 2);
	assert_int_equal(errs.warnings.err[0].line, 6);
	assert_int_equal(errs.warnings.err[1].line, 7);
	sl_config_error_text(&errs.warnings.err[0], line, sizeof(line));
	assert_string_equal(line, "t.yaml:6:15: mqtt.map[2].filter: can never match: '{x}/b' in "
				  "line 5 takes all that it would");
	sl_config_error_text(&errs.warnings.err[0], line, 10);
	assert_string_equal(line, "t.yaml:6:");
	sl_config_errors_fini(&errs);
	sl_config_free(c);
	snprintf(text, sizeof(text), rules, ", ack: no");
	assert_int_equal(sl_config_parse("t.yaml", text, strlen(text), &c, &errs), -EINVAL);
	assert_int_equal(errs.errors.cnt, 1);
	assert_int_equal(errs.warnings.cnt, 0);
	sl_config_errors_fini(&errs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridge_defaults), cmocka_unit_test(mqtt),
		cmocka_unit_test(uplink),          cmocka_unit_test(places_in_texts),
		cmocka_unit_test(warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
