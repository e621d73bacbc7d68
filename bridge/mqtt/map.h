/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - from an MQTT topic name to a Kafka topic, key and headers. Pure: no I/O, no clock.
 *
 * A rule is a topic filter (MQTT 5, 4.7) in which a level may also be {name}, which matches one
 * level like `+` and gives it a name. Rules are tried in their order, the first match wins. The
 * rule's topic, key and header values are templates: text in which {name} stands for what that
 * level was, {0} for what `#` matched (without the leading slash), {topic} for the whole MQTT topic
 * and {client} for the client's id; {{ and }} are braces. A filter that begins with a wildcard does
 * not match names that begin with `$` [MQTT-4.7.2-1].
 *
 * Compiled once, read by any thread.
 */
#ifndef SL_BRIDGE_MQTT_MAP_H
#define SL_BRIDGE_MQTT_MAP_H

#include "platform/record/frame.h"
#include "sluice/config.h"

#define SL_MAP_LEVELS_MAX 128   /* of a filter or a name; a name with more matches nothing */
#define SL_MAP_NAME_MAX   65535 /* bytes of an MQTT topic name, its own limit */
#define SL_MAP_KEY_MAX    1024  /* bytes of a key or header value after filling in; cut beyond */

struct sl_map;

enum sl_map_result {
	SL_MAP_OK,
	SL_MAP_NO_MATCH,  /* no rule, and no default topic */
	SL_MAP_BAD_TOPIC, /* what came out is no legal Kafka topic name */
	SL_MAP_BAD_NAME,  /* no MQTT topic name: empty, a wildcard, NUL, not UTF-8, too deep */
	SL_MAP_RESULT_CNT
};
const char *sl_map_result_name(enum sl_map_result r); /* "no_match", ... */

struct sl_map_out {                     /* the caller's; filled with SL_MAP_OK only */
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

/* What is wrong with a filter or a template, for people: 0, or -EINVAL with a sentence. `filter`
 * may be NULL: then no names are known but {topic} and {client}. Any thread. */
SL_MUST_CHECK int sl_map_check_filter(const char *filter, char *err, size_t errlen);
SL_MUST_CHECK int sl_map_check_template(const char *text, const char *filter, char *err,
					size_t errlen);
/* True if every name that `later` matches is matched by `earlier` too: then it never wins. */
bool sl_map_shadows(const char *earlier, const char *later);
/* A filter without {name}: for a subscription, and `+` in place of {name} for shadowing. MQTT 4.7.
 * Exported for the wildcard table of the specification. */
bool sl_map_matches(const char *filter, const char *name, size_t len);

/* -EINVAL only if the config was not checked; -ENOMEM. Control. `cfg` is borrowed until free. */
SL_MUST_CHECK int sl_map_new(const struct sl_config *cfg, struct sl_map **ret_map);
void sl_map_free(struct sl_map *m); /* accepts NULL */
/* Any thread. `name` need not end in NUL. */
enum sl_map_result sl_map_apply(const struct sl_map *m, struct sl_slice name,
				struct sl_slice client, struct sl_map_out *ret_out);

#endif
