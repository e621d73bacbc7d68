/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt.h - MQTT into topics and back: what platform/app sees of it.
 *
 * One intake thread owns an injector (ingest.h) and takes messages from rings (ring.h): one per
 * plugin that connected to mqtt.socket, and one in private memory per remote broker, which a
 * libmosquitto thread fills. It maps them, frames record batches and hands them to the writers; it
 * answers when they are logged or synced, as the rule says. One downlink thread reads topics with
 * cursors and publishes through the remote brokers' clients.
 */
#ifndef SL_BRIDGE_MQTT_H
#define SL_BRIDGE_MQTT_H

#include "sluice/config.h"
#include "sluice/counters.h"
#include "sluice/ingest.h"
#include "sluice/offsets.h"

#define SL_MQTT_PLUGINS_MAX 8

struct sl_mqtt;

struct sl_mqtt_cfg {
	const struct sl_config *config; /* borrowed */
	struct sl_store *store;
	struct sl_dataplane *dp;
	const struct sl_offsets_ops
		*offsets; /* where the downlink's position is kept; NULL: none */
	void *offsets_arg;
	struct sl_counters
		*counters; /* the mapped file: lines SL_CTR_MQTT_IN and SL_CTR_DOWNLINK */
};

/* Binds mqtt.socket. A sentence in err on failure. Control. */
SL_MUST_CHECK int sl_mqtt_new(const struct sl_mqtt_cfg *cfg, struct sl_mqtt **ret_mqtt, char *err,
			      size_t errlen);
SL_MUST_CHECK int sl_mqtt_start(struct sl_mqtt *m);
/* What is in the rings is stored and answered, then everybody is let go, by deadline_ns
 * (monotonic). -ETIMEDOUT: appends are still under way; neither store nor data plane may be freed.
 * Control. */
int sl_mqtt_stop(struct sl_mqtt *m, uint64_t deadline_ns);
void sl_mqtt_free(struct sl_mqtt *m); /* accepts NULL */

struct sl_mqtt_broker_stats {
	char name[SL_CFG_NAME_MAX];
	bool plugin; /* else a client of ours at a broker elsewhere */
	bool connected;
	uint64_t messages, lost; /* of this connection */
	char last_error[SL_CFG_TEXT_MAX];
};
struct sl_mqtt_stats {
	unsigned brokers;
	struct sl_mqtt_broker_stats broker[SL_MQTT_PLUGINS_MAX + SL_CFG_BROKERS_MAX];
};
/* The counts since the data directory was made are in the counter file. Any thread. */
void sl_mqtt_stats(struct sl_mqtt *m, struct sl_mqtt_stats *ret_stats);

#endif
