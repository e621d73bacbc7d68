/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - where the listeners of one ingest lcore write to: their topics' partitions, as arrays
 * that the loop walks by index.
 *
 * Topics come, go and grow while the loop runs. Then control makes a new route and offers it
 * (sl_ingest_offer); between two bursts the lcore closes what is open and exchanges its arrays for
 * those of the route, which holds the old ones from then on. Batches of the old ones may still be
 * under way: whoever frees the route waits for them (dp_rebind.c). A route keeps no reference on a
 * topic: its maker does.
 */
#ifndef SL_DATAPLANE_ROUTE_H
#define SL_DATAPLANE_ROUTE_H

#include "ingest.h"

struct sl_route {
	struct sl_ob_slot *slot;
	struct sl_ob_topic *topic;
	struct sl_fastmod *fast; /* per topic */
	struct sl_ingest_listener *listener;
	uint32_t slots, topics;
};

struct sl_route_topic {
	struct sl_topic *topic;
	uint32_t partitions; /* the first so many of it are used */
	const _Atomic uint32_t *max_bytes;
};

/* Copies the arrays; `listener` has the new indices into `topic`. -ENOMEM. Control. */
SL_MUST_CHECK int sl_route_new(const struct sl_route_topic *topic, uint32_t topics,
			       const struct sl_ingest_listener *listener, uint32_t listeners,
			       uint32_t writers, struct sl_route **ret_route);
void sl_route_free(struct sl_route *r); /* accepts NULL. Control. */

#endif
