/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.c - MQTT in and out, as one thing for platform/app: made, started and stopped in order. */
#include "mqtt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "downlink.h"
#include "intake.h"
#include "platform/base/clock.h"

struct sl_mqtt {
	const struct sl_config *config;
	struct sl_intake *intake;
	struct sl_broker *broker[SL_CFG_BROKERS_MAX]; /* NULL: nothing is subscribed there */
	struct sl_downlink *downlink;                 /* NULL: no rules */
};

/* A ring and a client for every broker at which something is subscribed. */
static int make_brokers(struct sl_mqtt *m, char *err, size_t errlen)
{
	for (uint32_t i = 0; i < m->config->mqtt.broker_cnt; i++) {
		const struct sl_cfg_broker *b = &m->config->mqtt.broker[i];
		struct sl_intake_source_cfg sc = {.name = b->name};
		struct sl_broker_cfg bc = {.broker = b};
		int rc;

		if (!b->sub_cnt)
			continue;
		rc = sl_intake_source_add(m->intake, &sc, &bc.source);
		if (!rc)
			rc = sl_broker_new(&bc, &m->broker[i]);
		if (rc) {
			snprintf(err, errlen, "mqtt broker %s: %s", b->name, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static int make_downlink(struct sl_mqtt *m, const struct sl_mqtt_cfg *cfg, char *err, size_t errlen)
{
	struct sl_downlink_cfg dc = {
		.config = cfg->config,
		.store = cfg->store,
		.offsets = cfg->offsets,
		.offsets_arg = cfg->offsets_arg,
		.counters = &cfg->counters->bridge[SL_CTR_DOWNLINK],
	};

	if (!cfg->config->downlink_cnt)
		return 0;
	if (!cfg->offsets) {
		snprintf(err, errlen, "downlink: there is nobody to keep its position");
		return -EINVAL;
	}
	return sl_downlink_new(&dc, &m->downlink, err, errlen);
}

int sl_mqtt_new(const struct sl_mqtt_cfg *cfg, struct sl_mqtt **ret_mqtt, char *err, size_t errlen)
{
	struct sl_mqtt *m = calloc(1, sizeof(*m));
	int rc;

	if (!m) {
		snprintf(err, errlen, "mqtt: out of memory");
		return -ENOMEM;
	}
	m->config = cfg->config;
	rc = sl_intake_new(cfg, &m->intake, err, errlen);
	if (!rc)
		rc = make_brokers(m, err, errlen);
	if (!rc)
		rc = make_downlink(m, cfg, err, errlen);
	if (rc) {
		sl_mqtt_free(m);
		return rc;
	}
	*ret_mqtt = m;
	return 0;
}

int sl_mqtt_start(struct sl_mqtt *m)
{
	int rc = sl_intake_start(m->intake);

	for (uint32_t i = 0; i < SL_CFG_BROKERS_MAX && !rc; i++)
		if (m->broker[i])
			rc = sl_broker_start(m->broker[i]);
	if (!rc && m->downlink)
		rc = sl_downlink_start(m->downlink);
	return rc;
}

int sl_mqtt_stop(struct sl_mqtt *m, uint64_t deadline_ns)
{
	uint64_t now = sl_clock_mono_ns(), half;

	if (!m)
		return 0;
	half = deadline_ns > now ? now + (deadline_ns - now) / 2 : now;
	sl_downlink_stop(m->downlink, half);
	for (uint32_t i = 0; i < SL_CFG_BROKERS_MAX; i++)
		sl_broker_stop(m->broker[i], half);
	return sl_intake_stop(m->intake, deadline_ns);
}

void sl_mqtt_free(struct sl_mqtt *m)
{
	if (!m)
		return;
	sl_downlink_free(m->downlink);
	for (uint32_t i = 0; i < SL_CFG_BROKERS_MAX; i++)
		sl_broker_free(m->broker[i]);
	sl_intake_free(m->intake);
	free(m);
}

/* A broker with two connections is connected if both are. */
static void broker_stats(struct sl_mqtt *m, uint32_t i, struct sl_mqtt_broker_stats *ret)
{
	struct sl_mqtt_broker_stats down = {.connected = true};
	bool has_down = m->downlink && sl_downlink_broker_stats(m->downlink, i, &down);

	*ret = (struct sl_mqtt_broker_stats){.connected = true};
	if (m->broker[i])
		sl_broker_stats(m->broker[i], ret);
	else if (has_down)
		*ret = down;
	else
		ret->connected = false; /* nobody uses it */
	if (has_down && ret->connected && !down.connected)
		memcpy(ret->last_error, down.last_error, sizeof(ret->last_error));
	ret->connected &= down.connected;
	snprintf(ret->name, sizeof(ret->name), "%s", m->config->mqtt.broker[i].name);
}

void sl_mqtt_stats(struct sl_mqtt *m, struct sl_mqtt_stats *ret_stats)
{
	memset(ret_stats, 0, sizeof(*ret_stats));
	sl_intake_stats(m->intake, ret_stats);
	for (uint32_t i = 0; i < m->config->mqtt.broker_cnt; i++)
		broker_stats(m, i, &ret_stats->broker[ret_stats->brokers++]);
}
