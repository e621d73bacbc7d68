/* SPDX-License-Identifier: Apache-2.0 */
/*
 * downlink_msg.h - from a record to the MQTT message that it is a command for. Pure.
 *
 *   topic     the rule's template; a key or header that is missing, or a result that is no topic
 *             name (wildcards, not UTF-8, too deep, beginning with $), makes the record bad
 *   payload   the value; null is an empty payload, which clears a retained message
 *   expiry    header `sluice.expires` (ms since the epoch as decimal text), else the rule's after
 *             the record's timestamp; a record without a timestamp is as old as can be
 *   MQTT 5    mqtt.response-topic, mqtt.correlation, mqtt.content-type, mqtt.user.<name>: the
 *             headers that messages get on their way in. Of several with one name the last counts,
 *             but for mqtt.user.
 */
#ifndef SL_BRIDGE_MQTT_DOWNLINK_MSG_H
#define SL_BRIDGE_MQTT_DOWNLINK_MSG_H

#include "bridge/cursor/cursor.h"
#include "client.h"
#include "platform/base/template.h"

enum sl_down_verdict { SL_DOWN_SEND, SL_DOWN_EXPIRED, SL_DOWN_BAD };

struct sl_down_in {
	const struct sl_cfg_downlink *rule;
	const struct sl_tpl *tpl; /* of rule->mqtt, with SL_DOWN_VARS */
	const struct sl_cursor_rec *rec;
	int32_t partition;
	int64_t now_ms;
};

struct sl_down_msg {                           /* the caller's: 66 KiB */
	struct sl_mqclient_pub pub;            /* borrows from this struct and from the record */
	const char *why;                       /* with SL_DOWN_BAD: constant */
	struct sl_hdr user[SL_RING_PROPS_MAX]; /* more are left out */
	char topic[65536];
};

enum sl_down_verdict sl_down_msg_make(const struct sl_down_in *in, struct sl_down_msg *ret_msg);

#endif
