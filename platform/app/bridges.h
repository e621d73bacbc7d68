/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridges.h - what the bridges' counters are called where people see them: parts of the status
 * document and of /metrics.
 *
 * A row's name says its place: mqtt_skipped_no_match is reason `no_match` of `skipped` in the part
 * `mqtt`, sluice_mqtt_skipped_total{reason="no_match"} for Prometheus.
 */
#ifndef SL_APP_BRIDGES_H
#define SL_APP_BRIDGES_H

#include <jansson.h>
#include <stdio.h>

#include "bridge/mqtt/mqtt.h"
#include "ledger.h"

struct sl_bridge_place {
	const char *part, *bucket;
	const char *reason; /* NULL: the bucket has none */
};
/* Any thread. */
void sl_bridge_place(enum sl_bridge_row r, struct sl_bridge_place *ret_place);

/* The rows of a part ("mqtt", "downlink", "uplink") into `obj`: {"bucket": n, "bucket": {"reason":
 * n}}. Any thread. */
void sl_bridges_json(json_t *obj, const char *part, const struct sl_ledger *l);
/* The part `mqtt` with its difference and its connections; owned. m NULL: none of these. */
json_t *sl_bridges_mqtt_json(const struct sl_ledger *l, struct sl_mqtt *m);
/* A counter for each row, and the connections to brokers. m as above. */
void sl_bridges_metrics(FILE *out, const struct sl_ledger *l, struct sl_mqtt *m);

#endif
