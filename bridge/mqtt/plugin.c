/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.c - mosquitto_sluice.so: the broker's side, plugin interface v5 of mosquitto 2.0 and 2.1.
 *
 *   plugin /usr/lib/sluice/mosquitto_sluice.so
 *   plugin_opt_socket /run/sluice/mqtt.sock
 *   plugin_opt_wait 1000ms        how long a QoS 1 or 2 publisher's message may wait for sluiced
 *   plugin_opt_ring 8MiB          memory between the broker and sluiced
 *
 * What a return value does to clients is in docs/mqtt.md; ACL_DENIED is never returned, because an
 * MQTT 3.1.1 client gets a plain acknowledgement for it.
 */
#include <errno.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "plugin_link.h"

#define EXPORT __attribute__((visibility("default")))

/* 2.1 has it: then the broker knows MQTT 5's reason code 0x97, by this return value. */
extern int mosquitto_plugin_set_info(mosquitto_plugin_id_t *id, const char *name,
				     const char *version) __attribute__((weak));
#define ERR_QUOTA_EXCEEDED (-6) /* MOSQ_ERR_QUOTA_EXCEEDED of 2.1's mosquitto.h */

/* Closes the connection without an ack; MQTT 5 clients are told 0x80, "unspecified error". */
#define ERR_CLOSE MOSQ_ERR_UNKNOWN

struct plugin {
	mosquitto_plugin_id_t *id;
	struct sl_plink link;
	bool knows_quota;
};

/* ---- options --------------------------------------------------------------------------------- */

/* A number with one of the suffixes. False: it is none, or beyond max. */
static bool number(const char *text, const char *const suffix[], const uint64_t factor[],
		   uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return false;
	unsigned long long v = strtoull(text, &end, 10);
	for (unsigned i = 0; suffix[i]; i++) {
		if (strcmp(end, suffix[i]))
			continue;
		*ret = v * factor[i];
		return !errno && v <= max / factor[i];
	}
	return false;
}

static bool opt_wait(const char *text, struct sl_plink_cfg *cfg)
{
	static const char *const suffix[] = {"", "ms", "s", NULL};
	static const uint64_t factor[] = {1000000, 1000000, 1000000000};

	return number(text, suffix, factor, SL_PLINK_WAIT_MAX_NS, &cfg->wait_ns) &&
	       cfg->wait_ns >= SL_PLINK_WAIT_MIN_NS;
}

static bool opt_ring(const char *text, struct sl_plink_cfg *cfg)
{
	static const char *const suffix[] = {"", "KiB", "MiB", NULL};
	static const uint64_t factor[] = {1, 1 << 10, 1 << 20};
	uint64_t n;
	uint32_t bytes = SL_RING_BYTES_MIN;

	if (!number(text, suffix, factor, SL_RING_BYTES_MAX, &n) || n < SL_RING_BYTES_MIN)
		return false;
	while (bytes < n)
		bytes <<= 1;
	cfg->ring_bytes = bytes;
	return true;
}

static bool opt_socket(const char *text, struct sl_plink_cfg *cfg)
{
	cfg->socket = text;
	return text[0] && strlen(text) <= SL_PLINK_PATH_MAX;
}

static const struct option {
	const char *key;
	bool (*set)(const char *text, struct sl_plink_cfg *cfg);
	const char *want;
} options[] = {
	{"socket", opt_socket, "a path of at most 107 bytes: sluiced's mqtt.socket"},
	{"wait", opt_wait, "10ms to 10s"},
	{"ring", opt_ring, "256KiB to 256MiB"},
};

/* False: said in the broker's log. */
static bool set_option(const struct mosquitto_opt *o, struct sl_plink_cfg *cfg)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(options); i++) {
		if (strcmp(options[i].key, o->key))
			continue;
		if (o->value && options[i].set(o->value, cfg))
			return true;
		mosquitto_log_printf(MOSQ_LOG_ERR, "sluice: plugin_opt_%s %s: expected %s", o->key,
				     o->value ? o->value : "", options[i].want);
		return false;
	}
	mosquitto_log_printf(MOSQ_LOG_ERR, "sluice: unknown option plugin_opt_%s", o->key);
	return false;
}

/* ---- messages -------------------------------------------------------------------------------- */

struct strings { /* that the broker's library made for us */
	void *p[2 * SL_RING_PROPS_MAX];
	unsigned cnt;
};

static struct sl_slice keep(struct strings *s, void *p, size_t len)
{
	s->p[s->cnt++] = p;
	return (struct sl_slice){p, (uint32_t)len};
}

/* One property of an identifier that we carry. False: it could not be read. */
static bool get_prop(const mosquitto_property *p, int id, struct strings *s, struct sl_ring_msg *m)
{
	char *name = NULL, *value = NULL;
	void *data = NULL;
	uint16_t len = 0;

	m->prop[m->prop_cnt].type = (uint8_t)id;
	if (id == MQTT_PROP_USER_PROPERTY) {
		if (!mosquitto_property_read_string_pair(p, id, &name, &value, false))
			return false;
		m->prop[m->prop_cnt].name = keep(s, name, strlen(name));
		m->prop[m->prop_cnt].value = keep(s, value, strlen(value));
	} else if (id == MQTT_PROP_CORRELATION_DATA) {
		if (!mosquitto_property_read_binary(p, id, &data, &len, false))
			return false;
		m->prop[m->prop_cnt].value = keep(s, data, len);
	} else {
		if (!mosquitto_property_read_string(p, id, &value, false))
			return false;
		m->prop[m->prop_cnt].value = keep(s, value, strlen(value));
	}
	m->prop_cnt++;
	return true;
}

static uint32_t get_props(const mosquitto_property *p, struct strings *s, struct sl_ring_msg *m)
{
	uint32_t cut = 0;
	uint8_t utf8 = 0;

	for (; p; p = mosquitto_property_next(p)) {
		int id = mosquitto_property_identifier(p);
		switch (id) {
		case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
			if (mosquitto_property_read_byte(p, id, &utf8, false) && utf8 == 1)
				m->flags |= SL_RING_F_UTF8;
			break;
		case MQTT_PROP_MESSAGE_EXPIRY_INTERVAL:
			mosquitto_property_read_int32(p, id, &m->expiry_s, false);
			break;
		case MQTT_PROP_CONTENT_TYPE:
		case MQTT_PROP_RESPONSE_TOPIC:
		case MQTT_PROP_CORRELATION_DATA:
		case MQTT_PROP_USER_PROPERTY:
			if (m->prop_cnt == SL_RING_PROPS_MAX || !get_prop(p, id, s, m))
				cut++;
			break;
		default:
			break;
		}
	}
	return cut;
}

static int refusal(const struct plugin *pl, int version, uint8_t qos)
{
	/* Not at QoS 2: there are clients that ignore a PUBREC's reason and report success. Not for
	 * MQTT 3.1.1: it has no reasons, the ack would be a plain one. */
	return pl->knows_quota && version == 5 && qos == 1 ? ERR_QUOTA_EXCEEDED : ERR_CLOSE;
}

static int hand_over(struct plugin *pl, const struct mosquitto_evt_message *ed, const char *client)
{
	struct strings s;
	struct sl_ring_msg m;
	int version = ed->client ? mosquitto_client_protocol_version(ed->client) : 5;

	/* not the whole of either: they are large, and this runs for every message */
	s.cnt = 0;
	m.prop_cnt = 0;
	m.id = 0;
	m.flags = ed->retain ? SL_RING_F_RETAIN : 0;
	m.qos = ed->qos;
	m.version = (uint8_t)version;
	m.expiry_s = 0;
	m.topic = (struct sl_slice){(const uint8_t *)ed->topic, (uint32_t)strlen(ed->topic)};
	m.client = (struct sl_slice){(const uint8_t *)client, (uint32_t)strlen(client)};
	m.payload = (struct sl_slice){ed->payload, ed->payload ? ed->payloadlen : 0};
	if (ed->properties) {
		uint32_t cut = get_props(ed->properties, &s, &m);
		if (cut)
			sl_plink_cut(&pl->link, cut);
	}
	enum sl_plink_result r = sl_plink_hand(&pl->link, &m);
	for (unsigned i = 0; i < s.cnt; i++)
		free(s.p[i]);
	return r == SL_PLINK_REFUSED ? refusal(pl, version, ed->qos) : MOSQ_ERR_SUCCESS;
}

static int on_message(int event, void *event_data, void *userdata)
{
	const struct mosquitto_evt_message *ed = event_data;
	struct plugin *pl = userdata;
	const char *client = ed->client ? mosquitto_client_id(ed->client) : "";
	(void)event;

	sl_plink_look(&pl->link, sl_plink_now());
	if (!client)
		client = "";
	if (!ed->topic || sl_plink_own(&pl->link, client))
		return MOSQ_ERR_SUCCESS;
	return hand_over(pl, ed, client);
}

static int on_tick(int event, void *event_data, void *userdata)
{
	struct mosquitto_evt_tick *ed = event_data;
	struct plugin *pl = userdata;
	(void)event;

	sl_plink_look(&pl->link, sl_plink_now());
	ed->next_s = 0; /* 2.1 asks; 2.0 ticks by itself */
	ed->next_ns = SL_PLINK_TRY_NS;
	return MOSQ_ERR_SUCCESS;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void log_line(void *arg, enum sl_plink_level level, const char *text)
{
	static const int mosq_level[] = {MOSQ_LOG_NOTICE, MOSQ_LOG_WARNING, MOSQ_LOG_ERR};
	(void)arg;

	mosquitto_log_printf(mosq_level[level], "%s", text);
}

static int make_link(struct plugin *pl, const struct mosquitto_opt *opts, int opt_count)
{
	char broker[64];
	struct sl_plink_cfg cfg = {.socket = "/run/sluice/mqtt.sock",
				   .ring_bytes = SL_RING_BYTES_DEF,
				   .wait_ns = SL_PLINK_WAIT_DEF_NS,
				   .broker = broker,
				   .log = log_line};

	snprintf(broker, sizeof(broker), "mosquitto, process %ld", (long)getpid());
	for (int i = 0; i < opt_count; i++)
		if (!set_option(&opts[i], &cfg))
			return -EINVAL;
	int rc = sl_plink_init(&pl->link, &cfg);
	if (rc)
		mosquitto_log_printf(MOSQ_LOG_ERR, "sluice: %u bytes of shared memory: %s",
				     cfg.ring_bytes, strerror(-rc));
	return rc;
}

EXPORT int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
	for (int i = 0; i < supported_version_count; i++)
		if (supported_versions[i] == 5)
			return 5;
	return -1;
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
				 struct mosquitto_opt *opts, int opt_count)
{
	struct plugin *pl = calloc(1, sizeof(*pl));

	if (!pl)
		return MOSQ_ERR_NOMEM;
	pl->id = identifier;
	pl->knows_quota = mosquitto_plugin_set_info != NULL;
	if (make_link(pl, opts, opt_count)) {
		free(pl);
		return MOSQ_ERR_INVAL;
	}
	int rc = mosquitto_callback_register(identifier, MOSQ_EVT_MESSAGE, on_message, NULL, pl);
	if (!rc)
		rc = mosquitto_callback_register(identifier, MOSQ_EVT_TICK, on_tick, NULL, pl);
	if (rc) {
		mosquitto_log_printf(MOSQ_LOG_ERR,
				     "sluice: the broker takes no callbacks: error %d", rc);
		mosquitto_callback_unregister(identifier, MOSQ_EVT_MESSAGE, on_message, NULL);
		sl_plink_fini(&pl->link);
		free(pl);
		return rc;
	}
	*userdata = pl;
	return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *opts, int opt_count)
{
	struct plugin *pl = userdata;
	(void)opts;
	(void)opt_count;

	if (!pl)
		return MOSQ_ERR_SUCCESS;
	mosquitto_callback_unregister(pl->id, MOSQ_EVT_MESSAGE, on_message, NULL);
	mosquitto_callback_unregister(pl->id, MOSQ_EVT_TICK, on_tick, NULL);
	sl_plink_fini(&pl->link);
	free(pl);
	return MOSQ_ERR_SUCCESS;
}
