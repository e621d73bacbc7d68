/* SPDX-License-Identifier: Apache-2.0 */
/* What people see of the bridges' counters: every row has a place, a help text, and is shown once.
 */
#include "bridges.h"

#include "platform/base/sl_test.h"

static struct sl_mqtt_stats broker_stats;

void sl_mqtt_stats(struct sl_mqtt *m, struct sl_mqtt_stats *ret_stats)
{
	assert_non_null(m);
	*ret_stats = broker_stats;
}

static struct sl_mqtt *a_bridge(void)
{
	return (struct sl_mqtt *)&broker_stats; /* only handed through */
}

static void fill(struct sl_ledger *l)
{
	memset(l, 0, sizeof(*l));
	for (unsigned r = 0; r < SL_BRIDGE_ROW_CNT; r++)
		l->bridge[r] = 1000 + r;
	l->mqtt_difference = 7;
}

static json_int_t at(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v))
		fail_msg("no figure %s", key);
	return json_integer_value(v);
}

static void places(void **state)
{
	struct sl_bridge_place p;

	(void)state;
	sl_bridge_place(SL_BR_MQTT_RECEIVED, &p);
	assert_string_equal(p.part, "mqtt");
	assert_string_equal(p.bucket, "received");
	assert_null(p.reason);
	sl_bridge_place(SL_BR_MQTT_NO_MATCH, &p);
	assert_string_equal(p.part, "mqtt");
	assert_string_equal(p.bucket, "skipped");
	assert_string_equal(p.reason, "no_match");
	sl_bridge_place(SL_BR_MQTT_REF_DISK, &p);
	assert_string_equal(p.bucket, "refused");
	assert_string_equal(p.reason, "disk_full");
	sl_bridge_place(SL_BR_DOWN_EXPIRED, &p);
	assert_string_equal(p.part, "downlink");
	assert_string_equal(p.bucket, "expired");
	sl_bridge_place(SL_BR_UP_FENCES, &p);
	assert_string_equal(p.part, "uplink");
	assert_string_equal(p.bucket, "fences");
	sl_bridge_place(SL_BR_MIRRORED, &p);
	assert_string_equal(p.part, "uplink");
	assert_string_equal(p.bucket, "mirrored");
}

/* How many figures lie in an object and below it. */
static unsigned figures(json_t *o)
{
	unsigned n = 0;
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v) n += json_is_object(v) ? figures(v) : 1;
	return n;
}

static void every_row_is_in_the_document_once(void **state)
{
	static const char *const parts[] = {"mqtt", "downlink", "uplink"};
	struct sl_ledger l;
	unsigned n = 0;

	(void)state;
	fill(&l);
	for (size_t i = 0; i < SL_ARRAY_SIZE(parts); i++) {
		json_t *o = json_object();
		sl_bridges_json(o, parts[i], &l);
		n += figures(o);
		json_decref(o);
	}
	assert_int_equal(n, SL_BRIDGE_ROW_CNT);
}

static void mqtt_part(void **state)
{
	struct sl_ledger l;
	json_t *o, *b;

	(void)state;
	fill(&l);
	o = sl_bridges_mqtt_json(&l, NULL);
	assert_int_equal(at(o, "received"), 1000 + SL_BR_MQTT_RECEIVED);
	assert_int_equal(at(json_object_get(o, "skipped"), "retained"), 1000 + SL_BR_MQTT_RETAINED);
	assert_int_equal(at(json_object_get(o, "refused"), "shutdown"),
			 1000 + SL_BR_MQTT_REF_SHUTDOWN);
	assert_int_equal(at(o, "difference"), 7);
	assert_int_equal(json_array_size(json_object_get(o, "brokers")), 0);
	json_decref(o);

	broker_stats =
		(struct sl_mqtt_stats){.brokers = 2,
				       .broker = {{.name = "mosquitto 2.0.11, process 1",
						   .plugin = true,
						   .connected = true,
						   .messages = 5,
						   .lost = 1},
						  {.name = "hall", .last_error = "no \xff text"}}};
	o = sl_bridges_mqtt_json(&l, a_bridge());
	b = json_array_get(json_object_get(o, "brokers"), 0);
	assert_string_equal(json_string_value(json_object_get(b, "name")),
			    "mosquitto 2.0.11, process 1");
	assert_true(json_is_true(json_object_get(b, "plugin")));
	assert_true(json_is_true(json_object_get(b, "connected")));
	assert_int_equal(at(b, "messages"), 5);
	assert_int_equal(at(b, "lost"), 1);
	b = json_array_get(json_object_get(o, "brokers"), 1);
	assert_true(json_is_false(json_object_get(b, "plugin")));
	assert_string_equal(json_string_value(json_object_get(b, "last_error")), "no ? text");
	json_decref(o);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void metrics(void **state)
{
	struct sl_ledger l;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	fill(&l);
	broker_stats =
		(struct sl_mqtt_stats){.brokers = 3,
				       .broker = {{.name = "a", .plugin = true, .connected = true},
						  {.name = "a", .plugin = true, .connected = true},
						  {.name = "hall", .connected = true}}};
	sl_bridges_metrics(f, &l, a_bridge());
	fclose(f);
	assert_int_equal(count(text, "# HELP "), count(text, "# TYPE "));
	assert_int_equal(count(text, "# HELP sluice_mqtt_skipped_total "), 1);
	assert_int_equal(count(text, "\nsluice_mqtt_skipped_total{reason=\""), 4);
	assert_int_equal(count(text, "\nsluice_mqtt_refused_total{reason=\""), 5);
	assert_int_equal(count(text, "\nsluice_mqtt_skipped_total{reason=\"no_match\"} 10"), 1);
	assert_int_equal(count(text, "\nsluice_downlink_sent_total 10"), 1);
	assert_int_equal(count(text, "\nsluice_uplink_mirrored_total 10"), 1);
	assert_int_equal(count(text, "\nsluice_mqtt_difference 7\n"), 1);
	assert_int_equal(count(text, "\nsluice_mqtt_plugins 2\n"), 1);
	assert_int_equal(count(text, "\nsluice_mqtt_broker_up{broker=\"hall\"} 1\n"), 1);
	assert_null(strstr(text, "(null)")); /* a family without help */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(every_row_is_in_the_document_once),
		cmocka_unit_test(mqtt_part),
		cmocka_unit_test(metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
