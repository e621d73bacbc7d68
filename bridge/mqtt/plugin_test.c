/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_test.c - the plugin in a broker that is only played: options, what it returns for whom,
 * what it hands over. Built twice: as mosquitto 2.0 loads it, and with BROKER_2_1, where the broker
 * has what tells the plugin that MQTT 5's "quota exceeded" can be sent.
 */
#include <errno.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <unistd.h>

#include "intake_rig.h"

struct mosquitto { /* a client of the broker */
	const char *id;
	int version;
};

static struct {
	MOSQ_FUNC_generic_callback message, tick;
	void *data;
	char log[512];
	unsigned lines;
} broker;

/* ---- the broker's functions ------------------------------------------------------------------ */

int mosquitto_callback_register(SL_UNUSED mosquitto_plugin_id_t *id, int event,
				MOSQ_FUNC_generic_callback fn, SL_UNUSED const void *event_data,
				void *userdata)
{
	*(event == MOSQ_EVT_TICK ? &broker.tick : &broker.message) = fn;
	broker.data = userdata;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_callback_unregister(SL_UNUSED mosquitto_plugin_id_t *id, int event,
				  SL_UNUSED MOSQ_FUNC_generic_callback fn,
				  SL_UNUSED const void *event_data)
{
	*(event == MOSQ_EVT_TICK ? &broker.tick : &broker.message) = NULL;
	return MOSQ_ERR_SUCCESS;
}

void mosquitto_log_printf(int level, const char *fmt, ...) SL_PRINTF(2, 3);

void mosquitto_log_printf(SL_UNUSED int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(broker.log, sizeof(broker.log), fmt, ap);
	va_end(ap);
	broker.lines++;
}

const char *mosquitto_client_id(const struct mosquitto *client)
{
	return client->id;
}

int mosquitto_client_protocol_version(const struct mosquitto *client)
{
	return client->version;
}

#ifdef BROKER_2_1
int mosquitto_plugin_set_info(mosquitto_plugin_id_t *id, const char *name, const char *version);
int mosquitto_plugin_set_info(SL_UNUSED mosquitto_plugin_id_t *id, SL_UNUSED const char *name,
			      SL_UNUSED const char *version)
{
	return 0;
}
#endif

/* ---- helpers --------------------------------------------------------------------------------- */

static int load(struct mosquitto_opt *opts, int cnt, void **ret_userdata)
{
	memset(&broker, 0, sizeof(broker));
	return mosquitto_plugin_init(NULL, ret_userdata, opts, cnt);
}

static int publish(struct mosquitto *client, int qos, const char *topic, const char *payload,
		   mosquitto_property *props)
{
	char name[64], bytes[64];
	struct mosquitto_evt_message ed = {.client = client,
					   .topic = name,
					   .payload = bytes,
					   .payloadlen = (uint32_t)strlen(payload),
					   .qos = (uint8_t)qos,
					   .properties = props};

	snprintf(name, sizeof(name), "%s", topic);
	snprintf(bytes, sizeof(bytes), "%s", payload);
	return broker.message(MOSQ_EVT_MESSAGE, &ed, broker.data);
}

static void tick(void)
{
	struct mosquitto_evt_tick ed = {.next_s = 86400};

	assert_int_equal(broker.tick(MOSQ_EVT_TICK, &ed, broker.data), MOSQ_ERR_SUCCESS);
	assert_int_equal(ed.next_s, 0); /* 2.1 would come again in a day */
	assert_in_range(ed.next_ns, 1, 100000000);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void versions(SL_UNUSED void **st)
{
	static const int new[] = {6, 5, 4}, old[] = {4, 3};

	assert_int_equal(mosquitto_plugin_version(3, new), 5);
	assert_int_equal(mosquitto_plugin_version(2, old), -1);
	assert_int_equal(mosquitto_plugin_version(0, NULL), -1);
}

static void bad_options(SL_UNUSED void **st)
{
	static struct mosquitto_opt bad[] = {
		{"wait", "9ms"},
		{"wait", "11s"},
		{"wait", ""},
		{"wait", "1min"},
		{"wait", "-1"},
		{"wait", NULL},
		{"wait", "99999999999999999999"},
		{"ring", "255KiB"},
		{"ring", "257MiB"},
		{"ring", "8MB"},
		{"ring", "x"},
		{"ring", "18446744073709551615MiB"},
		{"socket", ""},
		{"sokcet", "/x"},
	};
	static char longer[200];
	void *data = NULL;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		assert_int_equal(load(&bad[i], 1, &data), MOSQ_ERR_INVAL);
		assert_non_null(strstr(broker.log, bad[i].key));
		assert_null(broker.message);
		assert_null(data);
	}
	memset(longer, 'x', 108);
	struct mosquitto_opt path = {"socket", longer};
	assert_int_equal(load(&path, 1, &data), MOSQ_ERR_INVAL);
}

static void good_options(SL_UNUSED void **st)
{
	static struct mosquitto_opt good[] = {
		{"wait", "10"},     {"wait", "500ms"}, {"wait", "10s"},     {"ring", "256KiB"},
		{"ring", "300KiB"}, {"ring", "16MiB"}, {"ring", "8388608"}, {"socket", "/nowhere"},
	};
	void *data = NULL;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(good); i++) {
		assert_int_equal(load(&good[i], 1, &data), MOSQ_ERR_SUCCESS);
		assert_int_equal(mosquitto_plugin_cleanup(data, NULL, 0), MOSQ_ERR_SUCCESS);
		assert_null(broker.message);
	}
	assert_int_equal(mosquitto_plugin_cleanup(NULL, NULL, 0), MOSQ_ERR_SUCCESS);
}

/* Never ACL_DENIED (12), and a code that MQTT 3.1.1 would take for an ack only where it is none. */
static void refusals(SL_UNUSED void **st)
{
	static struct mosquitto_opt opt = {"socket", "/nowhere/at/all"};
	struct mosquitto c = {.id = "dev"};
	void *data;

	assert_int_equal(load(&opt, 1, &data), MOSQ_ERR_SUCCESS);
	tick();
	assert_int_equal(broker.lines, 1); /* nobody there: said once */
	for (int i = 0; i < 1000; i++) {
		tick();
		c.version = 3 + i % 3;
		assert_int_equal(publish(&c, 0, "t", "x", NULL), MOSQ_ERR_SUCCESS);
		int one = publish(&c, 1, "t", "x", NULL), two = publish(&c, 2, "t", "x", NULL);
#ifdef BROKER_2_1
		assert_int_equal(one, c.version == 5 ? -6 : MOSQ_ERR_UNKNOWN);
#else
		assert_int_equal(one, MOSQ_ERR_UNKNOWN);
#endif
		assert_int_equal(two, MOSQ_ERR_UNKNOWN);
	}
	assert_int_equal(broker.lines, 1);
	/* without a client: a message that another plugin publishes */
	assert_int_equal(publish(NULL, 0, "t", "x", NULL), MOSQ_ERR_SUCCESS);
	mosquitto_plugin_cleanup(data, NULL, 0);
}

static void messages(SL_UNUSED void **st)
{
	struct rig r;
	struct mosquitto c = {.id = "dev-1", .version = 5}, own = {.id = "sluice-gw-down"};
	mosquitto_property *props = NULL;
	void *data;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	struct mosquitto_opt opts[] = {{"socket", r.path}, {"wait", "5s"}};
	assert_int_equal(load(opts, 2, &data), MOSQ_ERR_SUCCESS);
	rig_until(&r, (tick(), strstr(broker.log, "attached")));
	assert_int_equal(publish(&own, 1, "t/own", "x", NULL), MOSQ_ERR_SUCCESS);
	assert_int_equal(mosquitto_property_add_string(&props, MQTT_PROP_CONTENT_TYPE, "a/b"), 0);
	assert_int_equal(mosquitto_property_add_string(&props, MQTT_PROP_RESPONSE_TOPIC, "r"), 0);
	assert_int_equal(mosquitto_property_add_binary(&props, MQTT_PROP_CORRELATION_DATA, "c1", 2),
			 0);
	assert_int_equal(mosquitto_property_add_byte(&props, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1),
			 0);
	assert_int_equal(
		mosquitto_property_add_int32(&props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, 60), 0);
	for (int i = 0; i < 70; i++) { /* more than are carried: 61 beside the other three */
		char name[16];
		snprintf(name, sizeof(name), "u%d", i);
		assert_int_equal(mosquitto_property_add_string_pair(&props, MQTT_PROP_USER_PROPERTY,
								    name, "v"),
				 0);
	}
	assert_int_equal(publish(&c, 1, "t/1", "hello", props), MOSQ_ERR_SUCCESS);
	mosquitto_property_free_all(&props);
	const struct sl_cursor_rec *rec = rig_record(&r, "t", 0, 0);
	assert_true(rig_is(rec->rec.value, "hello"));
	assert_string_equal(rig_header(rec, "mqtt.client"), "dev-1");
	assert_string_equal(rig_header(rec, "mqtt.content-type"), "a/b");
	assert_string_equal(rig_header(rec, "mqtt.response-topic"), "r");
	assert_string_equal(rig_header(rec, "mqtt.correlation"), "c1");
	assert_string_equal(rig_header(rec, "mqtt.user.u60"), "v");
	assert_string_equal(rig_header(rec, "mqtt.user.u61"), "(none)");
	fake_store_fail(r.store, -EIO, 0);
	assert_int_not_equal(publish(&c, 1, "t/1", "x", NULL), MOSQ_ERR_SUCCESS);
	assert_int_equal(publish(&c, 0, "t/1", "x", NULL), MOSQ_ERR_SUCCESS);
	rig_stop(&r);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_CUT_PROPS), 9);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_PUSHED_BACK), 1);
	assert_int_equal(rig_row(&r, SL_BR_MQTT_RECEIVED), 3);
	mosquitto_plugin_cleanup(data, NULL, 0);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),     cmocka_unit_test(bad_options),
		cmocka_unit_test(good_options), cmocka_unit_test(refusals),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
