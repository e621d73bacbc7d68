/* SPDX-License-Identifier: Apache-2.0 */
/* tpl_vars.h - the names that the bridges' templates know, for those who check them and those who
 * fill them. A rule's are in mqtt_filter.h. */
#ifndef SL_BASE_TPL_VARS_H
#define SL_BASE_TPL_VARS_H

#include "platform/base/template.h"

/* uplink.destination */
enum { SL_DEST_GATEWAY, SL_DEST_TOPIC, SL_DEST_CNT };
extern const struct sl_tpl_var SL_DEST_VARS[SL_DEST_CNT];
/* The topic's name at the centre. -EINVAL: what comes out is no legal topic name, or one that
 * Kafka keeps for itself. Any thread. */
SL_MUST_CHECK int sl_dest_topic(const struct sl_tpl *t, const char *gateway, const char *topic,
				char ret_name[SL_TOPIC_NAME_MAX + 1]);

/* downlink[].mqtt: the record's key as it is, its partition as decimal text, its topic, the value
 * of a header of that name. */
enum { SL_DOWN_KEY, SL_DOWN_PARTITION, SL_DOWN_TOPIC, SL_DOWN_HEADER, SL_DOWN_CNT };
extern const struct sl_tpl_var SL_DOWN_VARS[SL_DOWN_CNT];

#endif
