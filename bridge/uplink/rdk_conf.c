/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "platform/base/secret.h"
#include "rdk.h"

#define LOG_AREA     "uplink"
#define LOG_BURST    10 /* lines of an instance */
#define LOG_WINDOW   60000
#define BUFFER_MIN   (80u << 20) /* bytes: one message of the largest size must fit */
#define LIBRARY_MAIN 4           /* syslog's LOG_WARNING: beyond it nobody wants to read */

/* ---- what is set ----------------------------------------------------------------------------- */

struct setting {
	const char *name, *value;
};

/*
 * Ours where the config does not say otherwise: decision 0072 has the measurements. Where it
 * matters that something is not set: message.timeout.ms follows transaction.timeout.ms.
 */
static const struct setting defaults_all[] = {
	{"socket.timeout.ms", "10000"},      {"socket.connection.setup.timeout.ms", "10000"},
	{"socket.keepalive.enable", "true"}, {"socket.nagle.disable", "true"},
	{"reconnect.backoff.ms", "100"},     {"reconnect.backoff.max.ms", "1000"},
	{"log.connection.close", "false"},   {NULL, NULL},
};

static const struct setting defaults_producer[] = {
	{"max.in.flight.requests.per.connection", "2"},
	{"linger.ms", "1"},
	{"transaction.timeout.ms", "60000"},
	{NULL, NULL},
};

/* Positions: small, read to the end and no further. */
static const struct setting defaults_reader[] = {
	{"fetch.wait.max.ms", "100"},
	{"queued.min.messages", "1000"},
	{"queued.max.messages.kbytes", "4096"},
	{NULL, NULL},
};

/* It hurries nowhere: its back-off is that of an outage. */
static const struct setting defaults_mirror[] = {
	{"reconnect.backoff.ms", "1000"},       {"reconnect.backoff.max.ms", "60000"},
	{"fetch.wait.max.ms", "500"},           {"queued.min.messages", "1000"},
	{"queued.max.messages.kbytes", "4096"}, {NULL, NULL},
};

/* What exactly-once rests on, and what the config has keys of its own for. */
static const char *const ours[] = {
	"bootstrap.servers",
	"metadata.broker.list",
	"transactional.id",
	"enable.idempotence",
	"isolation.level",
	"group.id",
	"enable.auto.commit",
	"enable.auto.offset.store",
	"enable.partition.eof",
	"auto.offset.reset",
	"acks",
	"request.required.acks",
	"message.timeout.ms",
	"delivery.timeout.ms",
	"allow.auto.create.topics",
	"queue.buffering.max.messages",
	"enabled_events",
	"log_cb",
	"opaque",
	"delivery.report.only.error",
	"enable.gapless.guarantee",
};

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(ours); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, char *err, size_t errlen)
{
	char why[200] = "";

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return 0;
	snprintf(err, errlen, "uplink.client: %s: %s", name, why);
	return -EINVAL;
}

static int set_all(rd_kafka_conf_t *conf, const struct setting *s, char *err, size_t errlen)
{
	int rc = 0;

	for (; !rc && s->name; s++)
		rc = set(conf, s->name, s->value, err, errlen);
	return rc;
}

static int set_number(rd_kafka_conf_t *conf, const char *name, uint64_t v, char *err, size_t errlen)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return set(conf, name, text, err, errlen);
}

/* ---- what the config says -------------------------------------------------------------------- */

static int set_secret(rd_kafka_conf_t *conf, const struct sl_cfg_prop *p, char *err, size_t errlen)
{
	char secret[SL_SECRET_MAX + 1], why[SL_RDK_TEXT];
	int rc = sl_secret_read(p->value, secret, sizeof(secret), why, sizeof(why));

	if (rc) {
		snprintf(err, errlen, "uplink.client_files: %s: %s", p->name, why);
		return -EACCES;
	}
	if (rd_kafka_conf_set(conf, p->name, secret, NULL, 0) != RD_KAFKA_CONF_OK) {
		/* the library's own words would quote the secret */
		snprintf(err, errlen, "uplink.client_files: %s: librdkafka refuses what %.100s has",
			 p->name, p->value);
		rc = -EINVAL;
	}
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

static int set_props(rd_kafka_conf_t *conf, const struct sl_rdk_settings *st, char *err,
		     size_t errlen)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < st->prop_cnt; i++) {
		const struct sl_cfg_prop *p = &st->prop[i];

		rc = p->file ? set_secret(conf, p, err, errlen)
			     : set(conf, p->name, p->value, err, errlen);
	}
	return rc;
}

/* ---- per kind -------------------------------------------------------------------------------- */

static const struct setting *defaults_of(enum sl_rdk_kind kind)
{
	static const struct setting *const of[] = {
		[SL_RDK_PRODUCER] = defaults_producer,
		[SL_RDK_READER] = defaults_reader,
		[SL_RDK_MIRROR] = defaults_mirror,
	};
	return of[kind];
}

static int set_default(rd_kafka_conf_t *conf, const struct sl_rdk_settings *st,
		       enum sl_rdk_kind kind, char *err, size_t errlen)
{
	uint64_t buffer = SL_MAX(2 * st->commit_bytes, (uint64_t)BUFFER_MIN) / 1024;
	char id[SL_CFG_NAME_MAX + 16];
	int rc = set_all(conf, defaults_all, err, errlen);

	snprintf(id, sizeof(id), "sluice.%s", st->gateway);
	if (!rc)
		rc = set(conf, "client.id", id, err, errlen);
	if (!rc)
		rc = set_number(conf, "message.max.bytes", SL_RDK_MESSAGE_MAX, err, errlen);
	if (!rc && kind == SL_RDK_PRODUCER)
		rc = set_number(conf, "queue.buffering.max.kbytes", SL_MIN(buffer, 2097151u), err,
				errlen);
	return rc ? rc : set_all(conf, defaults_of(kind), err, errlen);
}

static int set_ours(rd_kafka_conf_t *conf, const struct sl_rdk_settings *st, enum sl_rdk_kind kind,
		    char *err, size_t errlen)
{
	static const struct setting consumer[] = {
		{"isolation.level", "read_committed"},
		{"enable.partition.eof", "true"},
		{"enable.auto.commit", "false"},
		{NULL, NULL},
	};
	static const struct setting producer[] = {
		{"enable.idempotence", "true"},
		{NULL, NULL},
	};
	char id[SL_CFG_NAME_MAX + 16];
	int rc = set(conf, "bootstrap.servers", st->bootstrap, err, errlen);

	snprintf(id, sizeof(id), "sluice.%s", st->gateway);
	/* A topic that is missing is made by us, with the partitions that it should have. */
	if (!rc)
		rc = set(conf, "allow.auto.create.topics", "false", err, errlen);
	/* Who copies wants to know of what is not there any more. */
	if (!rc && kind != SL_RDK_PRODUCER)
		rc = set(conf, "auto.offset.reset", kind == SL_RDK_MIRROR ? "error" : "earliest",
			 err, errlen);
	if (rc || kind != SL_RDK_PRODUCER)
		return rc ? rc : set_all(conf, consumer, err, errlen);
	rc = set(conf, "transactional.id", id, err, errlen);
	if (!rc)
		rc = set_number(conf, "queue.buffering.max.messages", st->window, err, errlen);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	return rc ? rc : set_all(conf, producer, err, errlen);
}

/* ---- logs ------------------------------------------------------------------------------------ */

static bool worth_a_line(int level, const char *fac)
{
	/* Settings of producers given to consumers and the other way round; what every failed
	 * attempt to connect says is told by events. */
	return level <= LIBRARY_MAIN && strcmp(fac, "CONFWARN") != 0;
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
	struct sl_rdk_client *c = rd_kafka_opaque(rk);

	if (c && worth_a_line(level, fac))
		sl_log_limited(&c->limit, level < 3 ? SL_LOG_WARN : SL_LOG_INFO, LOG_AREA,
			       "librdkafka: %s: %.700s", fac, buf);
}

/* ---- instances ------------------------------------------------------------------------------- */

void sl_rdk_settings_from(const struct sl_config *cfg, struct sl_rdk_settings *ret_set)
{
	memset(ret_set, 0, sizeof(*ret_set));
	memcpy(ret_set->gateway, cfg->gateway.id, sizeof(ret_set->gateway));
	memcpy(ret_set->bootstrap, cfg->uplink.bootstrap, sizeof(ret_set->bootstrap));
	ret_set->window = cfg->uplink.window;
	ret_set->commit_bytes = cfg->uplink.commit_bytes;
	ret_set->prop_cnt = SL_MIN(cfg->uplink.prop_cnt, (uint32_t)SL_CFG_PROPS_MAX);
	memcpy(ret_set->prop, cfg->uplink.prop, sizeof(ret_set->prop));
}

static int check_prop(rd_kafka_conf_t *conf, const struct sl_cfg_prop *p, char *err, size_t errlen)
{
	const char *list = p->file ? "client_files" : "client";

	if (is_ours(p->name)) {
		snprintf(err, errlen, "uplink.%s: %s is the uplink's own and cannot be set", list,
			 p->name);
		return -EINVAL;
	}
	if (!p->file)
		return set(conf, p->name, p->value, err, errlen);
	/* whether it takes the value is seen when the file is read: for each new connection */
	if (rd_kafka_conf_set(conf, p->name, "x", NULL, 0) != RD_KAFKA_CONF_UNKNOWN)
		return 0;
	snprintf(err, errlen, "uplink.%s: librdkafka has no setting %s", list, p->name);
	return -EINVAL;
}

int sl_rdk_settings_check(const struct sl_rdk_settings *st, char *err, size_t errlen)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int rc = set_default(conf, st, SL_RDK_PRODUCER, err, errlen);

	for (uint32_t i = 0; !rc && i < st->prop_cnt; i++)
		rc = check_prop(conf, &st->prop[i], err, errlen);
	if (!rc)
		rc = set_ours(conf, st, SL_RDK_PRODUCER, err, errlen);
	rd_kafka_conf_destroy(conf);
	return rc;
}

int sl_rdk_client_new(const struct sl_rdk_settings *st, enum sl_rdk_kind kind,
		      struct sl_rdk_client **ret_client, char *err, size_t errlen)
{
	struct sl_rdk_client *c = calloc(1, sizeof(*c));
	rd_kafka_conf_t *conf;
	char why[200] = "";
	int rc;

	if (!c) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	*c = (struct sl_rdk_client){.kind = kind, .limit = SL_LOG_LIMIT(LOG_BURST, LOG_WINDOW)};
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set_opaque(conf, c);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rc = set_default(conf, st, kind, err, errlen);
	if (!rc)
		rc = set_props(conf, st, err, errlen);
	if (!rc)
		rc = set_ours(conf, st, kind, err, errlen);
	if (rc)
		goto destroy_conf;
	c->rk = rd_kafka_new(kind == SL_RDK_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf,
			     why, sizeof(why));
	if (!c->rk) { /* the configuration is still ours then */
		snprintf(err, errlen, "librdkafka: %s", why);
		rc = -EINVAL;
		goto destroy_conf;
	}
	*ret_client = c;
	return 0;

destroy_conf:
	rd_kafka_conf_destroy(conf);
	free(c);
	return rc;
}

void sl_rdk_client_free(struct sl_rdk_client *c)
{
	if (!c)
		return;
	rd_kafka_destroy(c->rk);
	free(c);
}
