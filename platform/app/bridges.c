/* SPDX-License-Identifier: Apache-2.0 */
#include "bridges.h"

#include "platform/http/prom.h"

#define FAMILY_MAX 96

/* ---- names ----------------------------------------------------------------------------------- */

/* The first that fits; what fits none is the uplink's. */
static const struct {
	const char *prefix, *part, *bucket; /* bucket NULL: what follows the prefix */
} PREFIXES[] = {
	{"mqtt_skipped_", "mqtt", "skipped"},
	{"mqtt_refused_", "mqtt", "refused"},
	{"mqtt_", "mqtt", NULL},
	{"downlink_", "downlink", NULL},
	{"uplink_", "uplink", NULL},
	{"", "uplink", NULL},
};

/* For Prometheus; of a bucket with reasons the first row's. */
static const char *const HELP[SL_BRIDGE_ROW_CNT] = {
	[SL_BR_MQTT_RECEIVED] = "MQTT messages taken from plugins and brokers.",
	[SL_BR_MQTT_STORED] = "MQTT messages appended to the log.",
	[SL_BR_MQTT_DUPLICATE] = "MQTT messages handed over twice and kept once.",
	[SL_BR_MQTT_NO_MATCH] = "MQTT messages acknowledged and stored nowhere, by reason.",
	[SL_BR_MQTT_REF_DISK] = "MQTT messages refused by the log, by reason.",
	[SL_BR_MQTT_LOST_QOS0] = "MQTT messages of QoS 0 that a plugin could not hand over.",
	[SL_BR_MQTT_PUSHED_BACK] = "MQTT messages of QoS 1 and 2 that a plugin did not let its "
				   "broker acknowledge.",
	[SL_BR_MQTT_EXPIRED_WAITS] = "Of the messages pushed back: waits for sluiced that ran out.",
	[SL_BR_MQTT_LOST_BROKER] = "MQTT messages acknowledged to a broker elsewhere and not "
				   "stored.",
	[SL_BR_MQTT_CUT_PROPS] = "User properties of MQTT messages beyond the 64th.",
	[SL_BR_DOWN_SENT] = "Records sent to devices as MQTT messages.",
	[SL_BR_DOWN_EXPIRED] = "Records not sent to devices: too old.",
	[SL_BR_DOWN_BAD] = "Records not sent to devices: no legal MQTT message came out.",
	[SL_BR_DOWN_GONE] = "Records deleted or damaged before they were sent to devices.",
	[SL_BR_UP_COMMITS] = "Transactions committed at the centre.",
	[SL_BR_UP_ABORTS] = "Transactions aborted at the centre.",
	[SL_BR_UP_REBUILDS] = "Producers replaced after a fatal error.",
	[SL_BR_UP_FENCES] = "Producers fenced by a newer one.",
	[SL_BR_UP_TOPICS_REMADE] = "Topics made again that were deleted at the centre.",
	[SL_BR_UP_DAMAGED] = "Records that the uplink could not read.",
	[SL_BR_MIRRORED] = "Records of the centre copied down.",
};

void sl_bridge_place(enum sl_bridge_row r, struct sl_bridge_place *ret_place)
{
	const char *name = sl_bridge_row_name(r);

	for (size_t i = 0; i < SL_ARRAY_SIZE(PREFIXES); i++) {
		size_t len = strlen(PREFIXES[i].prefix);
		if (strncmp(name, PREFIXES[i].prefix, len))
			continue;
		*ret_place = (struct sl_bridge_place){PREFIXES[i].part, name + len, NULL};
		if (PREFIXES[i].bucket) {
			ret_place->reason = name + len;
			ret_place->bucket = PREFIXES[i].bucket;
		}
		return;
	}
}

/* ---- the status document --------------------------------------------------------------------- */

void sl_bridges_json(json_t *obj, const char *part, const struct sl_ledger *l)
{
	for (unsigned r = 0; r < SL_BRIDGE_ROW_CNT; r++) {
		struct sl_bridge_place p;
		json_t *to = obj;

		sl_bridge_place((enum sl_bridge_row)r, &p);
		if (strcmp(p.part, part))
			continue;
		if (p.reason) {
			to = json_object_get(obj, p.bucket);
			if (!to) {
				to = json_object(); /* `obj` owns it from here */
				json_object_set_new(obj, p.bucket, to);
			}
		}
		json_object_set_new(to, p.reason ? p.reason : p.bucket,
				    json_integer((json_int_t)l->bridge[r]));
	}
}

/* What a peer or a library said: JSON wants UTF-8. */
static json_t *text_json(const char *s)
{
	json_t *v = json_string(s);
	char plain[SL_CFG_TEXT_MAX];
	size_t n = 0;

	if (v)
		return v;
	for (; s[n] && n < sizeof(plain) - 1; n++)
		plain[n] = (uint8_t)s[n] < 0x80 ? s[n] : '?';
	plain[n] = '\0';
	return json_string(plain);
}

static json_t *brokers_json(struct sl_mqtt *m)
{
	struct sl_mqtt_stats st = {0};
	json_t *a = json_array();

	if (m)
		sl_mqtt_stats(m, &st);
	for (unsigned i = 0; i < st.brokers; i++) {
		const struct sl_mqtt_broker_stats *b = &st.broker[i];
		json_array_append_new(
			a, json_pack("{s:o, s:b, s:b, s:I, s:I, s:o}", "name", text_json(b->name),
				     "plugin", b->plugin, "connected", b->connected, "messages",
				     (json_int_t)b->messages, "lost", (json_int_t)b->lost,
				     "last_error", text_json(b->last_error)));
	}
	return a;
}

json_t *sl_bridges_mqtt_json(const struct sl_ledger *l, struct sl_mqtt *m)
{
	json_t *o = json_object();

	sl_bridges_json(o, "mqtt", l);
	json_object_set_new(o, "difference", json_integer((json_int_t)l->mqtt_difference));
	json_object_set_new(o, "brokers", brokers_json(m));
	return o;
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

static void rows(FILE *out, const struct sl_ledger *l)
{
	char family[FAMILY_MAX], last[FAMILY_MAX] = "";

	for (unsigned r = 0; r < SL_BRIDGE_ROW_CNT; r++) {
		struct sl_bridge_place p;

		sl_bridge_place((enum sl_bridge_row)r, &p);
		snprintf(family, sizeof(family), "sluice_%s_%s_total", p.part, p.bucket);
		if (strcmp(family, last)) /* rows of a bucket stand together */
			sl_prom_family(out, family, SL_PROM_COUNTER, HELP[r]);
		memcpy(last, family, sizeof(last));
		sl_prom_u64(out, family, (const struct sl_prom_label[]){{"reason", p.reason}},
			    p.reason != NULL, l->bridge[r]);
	}
	sl_prom_family(out, "sluice_mqtt_difference", SL_PROM_GAUGE,
		       "MQTT messages that do not add up; 0 in health.");
	sl_prom_u64(out, "sluice_mqtt_difference", NULL, 0, l->mqtt_difference);
}

/* A plugin's name has its broker's process id in it, which is no label: they are counted. */
static void connections(FILE *out, const struct sl_mqtt_stats *st)
{
	uint64_t plugins = 0;

	for (unsigned i = 0; i < st->brokers; i++)
		plugins += st->broker[i].plugin && st->broker[i].connected;
	sl_prom_family(out, "sluice_mqtt_plugins", SL_PROM_GAUGE,
		       "Brokers whose plugin is connected.");
	sl_prom_u64(out, "sluice_mqtt_plugins", NULL, 0, plugins);
	sl_prom_family(out, "sluice_mqtt_broker_up", SL_PROM_GAUGE,
		       "1 if the client of a broker in mqtt.brokers is connected.");
	for (unsigned i = 0; i < st->brokers; i++)
		if (!st->broker[i].plugin)
			sl_prom_u64(out, "sluice_mqtt_broker_up",
				    (const struct sl_prom_label[]){{"broker", st->broker[i].name}},
				    1, st->broker[i].connected);
}

void sl_bridges_metrics(FILE *out, const struct sl_ledger *l, struct sl_mqtt *m)
{
	struct sl_mqtt_stats st = {0};

	if (m)
		sl_mqtt_stats(m, &st);
	rows(out, l);
	connections(out, &st);
}
