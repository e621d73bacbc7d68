/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - messages from a broker elsewhere: a client of ours that subscribes there.
 *
 * One thread per broker. What it receives goes to the intake (intake.h), in order. A PUBACK is
 * written only when the intake has answered for the message, as the plugin does: libmosquitto
 * queues its acknowledgements before it shows us a message, but writes them when we say (client.h).
 * While the intake has no room or no answer, the socket is not read, so the broker keeps what
 * comes; a message that the intake refuses ends the connection without its PUBACK, and the broker
 * sends it again after the pause that follows. So QoS 1 is at least once into the log, and lost are
 * only messages that can never be stored (too large), and QoS 0 ones that are refused: counted as
 * mqtt_lost_from_broker.
 */
#ifndef SL_BRIDGE_MQTT_BROKER_H
#define SL_BRIDGE_MQTT_BROKER_H

#include "intake.h"

struct sl_broker;

struct sl_broker_cfg {
	const struct sl_cfg_broker *broker; /* borrowed; with at least one subscription */
	struct sl_intake_source *source;    /* its own one; borrowed */
};

SL_MUST_CHECK int sl_broker_new(const struct sl_broker_cfg *cfg, struct sl_broker **ret_broker);
SL_MUST_CHECK int sl_broker_start(struct sl_broker *b);
/* What has been received is waited for until deadline_ns (monotonic), and acknowledged. The intake
 * still runs. Control; blocks. */
void sl_broker_stop(struct sl_broker *b, uint64_t deadline_ns);
void sl_broker_free(struct sl_broker *b); /* accepts NULL; stopped, or never started */
void sl_broker_stats(struct sl_broker *b, struct sl_mqtt_broker_stats *ret); /* any thread */

#endif
