/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_filter.h - MQTT topic names and topic filters (MQTT 5, 4.7; 3.1.1 has the same). Pure.
 *
 * A name is levels with '/' between them; a level may be empty. In a filter a level may be '+',
 * any one level, and the last one '#', any number of levels and also none. A filter that begins
 * with a wildcard does not match names that begin with '$' [MQTT-4.7.2-1].
 *
 * A rule's filter may also have levels such as {line}, which match as '+' does and give what they
 * matched a name; braces mean nothing else in it. A subscription's is passed to a broker as it
 * stands, and may begin with $share/GROUP/.
 *
 * Limits: SL_MQTT_TEXT_MAX bytes, SL_MQTT_LEVELS_MAX levels: what mosquitto lets pass has fewer.
 * Compiled filters are read by any thread.
 */
#ifndef SL_BASE_MQTT_FILTER_H
#define SL_BASE_MQTT_FILTER_H

#include "platform/base/template.h"

#define SL_MQTT_TEXT_MAX   65535 /* bytes of a name or filter [MQTT-1.5.4] */
#define SL_MQTT_LEVELS_MAX 256

/* ---- names ----------------------------------------------------------------------------------- */

struct sl_mqtt_name { /* borrows the name; 3 KiB: for the stack */
	const uint8_t *p;
	uint32_t len, cnt;
	uint32_t off[SL_MQTT_LEVELS_MAX + 1]; /* level i is [off[i], off[i + 1] - 1) */
	uint32_t hash[SL_MQTT_LEVELS_MAX];    /* of each level's bytes */
};

/*
 * Splits a message's topic name. -EINVAL: none [MQTT-3.3.2-2, MQTT-4.7.3]: empty, longer than
 * SL_MQTT_TEXT_MAX, a wildcard, NUL, not UTF-8; -E2BIG: more levels than there is room for.
 * *ret_name means nothing then.
 */
SL_MUST_CHECK int sl_mqtt_name_split(struct sl_slice name, struct sl_mqtt_name *ret_name);

SL_INLINE struct sl_slice sl_mqtt_name_level(const struct sl_mqtt_name *n, uint32_t i)
{
	return (struct sl_slice){n->p + n->off[i], n->off[i + 1] - n->off[i] - 1};
}
/* From level i (<= cnt) to the end; empty if there is none. */
SL_INLINE struct sl_slice sl_mqtt_name_rest(const struct sl_mqtt_name *n, uint32_t i)
{
	return i < n->cnt ? (struct sl_slice){n->p + n->off[i], n->len - n->off[i]}
			  : (struct sl_slice){n->p + n->len, 0};
}

/* ---- filters --------------------------------------------------------------------------------- */

enum sl_mqtt_use { SL_MQTT_RULE, SL_MQTT_SUBSCRIPTION };

enum sl_mqtt_kind { SL_MQTT_LITERAL, SL_MQTT_PLUS, SL_MQTT_NAMED, SL_MQTT_HASH };

struct sl_mqtt_level {
	enum sl_mqtt_kind kind;
	struct sl_slice text; /* LITERAL: the level; NAMED: the name without its braces */
	uint32_t hash;        /* LITERAL: as in struct sl_mqtt_name */
};

struct sl_mqtt_filter;

/*
 * Checks and compiles; the text is copied. For SL_MQTT_SUBSCRIPTION, $share/GROUP/ is taken off:
 * what is left is what names are matched with. -EINVAL: *ret_err (may be NULL) says what is wrong
 * and where; -ENOMEM.
 */
SL_MUST_CHECK int sl_mqtt_filter_new(const char *text, enum sl_mqtt_use use,
				     struct sl_mqtt_filter **ret_filter,
				     struct sl_text_err *ret_err);
void sl_mqtt_filter_free(struct sl_mqtt_filter *f); /* accepts NULL */

uint32_t sl_mqtt_filter_depth(const struct sl_mqtt_filter *f);
/* i < depth; lives as long as the filter. */
const struct sl_mqtt_level *sl_mqtt_filter_level(const struct sl_mqtt_filter *f, uint32_t i);

/*
 * What a rule's templates may name: {topic}, the whole name; {client}, the id of who sent it; then
 * each named level of the filter in its order, and {0}, what '#' matched. ret_level[i - 2] is the
 * level of variable i. Their number; names live as long as the filter.
 */
#define SL_MQTT_VARS_MAX (SL_MQTT_LEVELS_MAX + 2)
enum { SL_MQTT_VAR_TOPIC, SL_MQTT_VAR_CLIENT, SL_MQTT_VAR_LEVEL };
uint32_t sl_mqtt_rule_vars(const struct sl_mqtt_filter *f, struct sl_tpl_var *ret_vars,
			   uint16_t *ret_level);
/* The value of such a variable of level `level`, in a name that the filter matches. */
struct sl_slice sl_mqtt_rule_value(const struct sl_mqtt_filter *f, uint16_t level,
				   const struct sl_mqtt_name *name);

bool sl_mqtt_filter_matches(const struct sl_mqtt_filter *f, const struct sl_mqtt_name *name);
/* True if every name that `later` matches is matched by `earlier` too. */
bool sl_mqtt_filter_shadows(const struct sl_mqtt_filter *earlier,
			    const struct sl_mqtt_filter *later);
/* True if there is a name that both match. */
bool sl_mqtt_filter_overlaps(const struct sl_mqtt_filter *a, const struct sl_mqtt_filter *b);

#endif
