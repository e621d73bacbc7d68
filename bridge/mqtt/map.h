/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - from an MQTT topic name to a Kafka topic, key and headers. Pure: no I/O, no clock.
 *
 * A rule is a topic filter (platform/base/mqtt_filter.h) in which a level may also be {name}, which
 * matches one level like `+` and gives it a name. Rules are tried in their order, the first match
 * wins. The rule's topic, key and header values are templates (platform/base/template.h): {name}
 * stands for what that level was, {0} for what `#` matched (without the leading slash), {topic} for
 * the whole MQTT topic and {client} for the client's id.
 *
 * What no rule matches goes to mqtt.default_topic if there is one, with the client's id as key.
 *
 * Compiled once, read by any thread.
 */
#ifndef SL_BRIDGE_MQTT_MAP_H
#define SL_BRIDGE_MQTT_MAP_H

#include "platform/record/frame.h"
#include "sluice/config.h"

#define SL_MAP_KEY_MAX 1024 /* bytes of a key or header value after filling in; cut beyond */

struct sl_map;

enum sl_map_result {
	SL_MAP_OK,
	SL_MAP_NO_MATCH,  /* no rule, and no default topic */
	SL_MAP_BAD_TOPIC, /* what came out is no legal Kafka topic name, or Kafka's own */
	SL_MAP_BAD_NAME,  /* no MQTT topic name: empty, a wildcard, NUL, not UTF-8, too deep */
	SL_MAP_RESULT_CNT
};
const char *sl_map_result_name(enum sl_map_result r); /* "no_match", ... */

struct sl_map_out {                     /* the caller's; valid with SL_MAP_OK only */
	const struct sl_cfg_rule *rule; /* NULL: the default topic */
	char topic[SL_TOPIC_NAME_MAX + 1];
	uint32_t topic_len;
	bool has_key;
	uint32_t key_len;
	uint8_t key[SL_MAP_KEY_MAX];
	uint32_t hdr_cnt;                        /* the rule's own headers */
	struct sl_hdr hdr[SL_CFG_RULE_HDRS_MAX]; /* values point into text[] */
	uint8_t text[SL_CFG_RULE_HDRS_MAX * SL_MAP_KEY_MAX];
};

/* -EINVAL only if the config was not checked; -ENOMEM. Control. `cfg` is borrowed until free. */
SL_MUST_CHECK int sl_map_new(const struct sl_config *cfg, struct sl_map **ret_map);
void sl_map_free(struct sl_map *m); /* accepts NULL */
/* Any thread. `name` need not end in NUL; `client` may be empty. */
enum sl_map_result sl_map_apply(const struct sl_map *m, struct sl_slice name,
				struct sl_slice client, struct sl_map_out *ret_out);

#endif
