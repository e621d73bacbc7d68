/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - the daemon's parts, their order of starting and stopping.
 *
 * Main thread only, except sl_gateway_status() and sl_gateway_metrics(), which the control socket
 * and the admin port call on their own threads.
 */
#ifndef SL_APP_GATEWAY_H
#define SL_APP_GATEWAY_H

#include <stdatomic.h>
#include <stdio.h>

#include "bridge/kafka/kafka.h"
#include "bridge/mqtt/mqtt.h"
#include "bridge/uplink/uplink.h"
#include "dataplane/dataplane.h"
#include "dataplane/eal.h"
#include "ledger.h"
#include "platform/control/control.h"
#include "platform/http/http.h"
#include "rates.h"
#include "sluice/config.h"

struct sl_gateway { /* visible to this folder only */
	struct sl_config *config;
	struct sl_counters *counters;
	struct sl_store *store;
	struct sl_store_recovery recovery;
	struct sl_dataplane *dp;
	struct sl_kafka *kafka;
	struct sl_mqtt *mqtt;     /* NULL: no such section */
	struct sl_uplink *uplink; /* the same */
	struct sl_http *http;
	struct sl_control *control;
	struct sl_rates rates;
	uint64_t topics_gen; /* of the store, as the data plane last saw it */
	int lock_fd;
	bool eal;
	uint64_t started_ns; /* monotonic, of exec */
	uint64_t ready_ns;
	_Atomic bool ready;
};

/*
 * Starts everything; takes `config` whatever happens. On failure everything started is stopped
 * again, and `err` has a sentence. g is zeroed by the caller.
 */
SL_MUST_CHECK int sl_gateway_start(struct sl_gateway *g, struct sl_config *config, char *err,
				   size_t errlen);
/* Once a second: clock, loss readers, rates; now and then the counters' checkpoint. */
void sl_gateway_housekeep(struct sl_gateway *g);
/* Drains within the config's bound and stops. 0; -ETIMEDOUT: the rest was counted; -EIO: the log
 * could not be closed cleanly (a line says why), the next start recovers; -EINPROGRESS: a bridge
 * hangs in the disk or the link, nothing was released and the process must end by _exit(). */
int sl_gateway_stop(struct sl_gateway *g);

/* The status document of DESIGN's shape; owned by the caller, NULL if out of memory. Any thread. */
json_t *sl_gateway_status(struct sl_gateway *g);
/* Prometheus text of the same figures. Any thread. */
void sl_gateway_metrics(struct sl_gateway *g, FILE *out);

#endif
