/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.map: filters, templates, what can never match and what can never be a topic. */
#include <errno.h>

#include "platform/base/utf8.h"
#include "platform/config/check.h"

/* ---- what can be a topic's name -------------------------------------------------------------- */

static bool topic_char(char ch)
{
	return sl_topic_name_valid(&ch, 1) || ch == '.';
}

/* True if all bytes of literal piece p may stand in a topic's name. */
static bool literal_ok(const struct sl_check *c, const struct sl_node *n,
		       const struct sl_tpl_piece *p)
{
	const uint8_t *end = p->text.p + p->text.len;
	struct sl_text_err e;

	for (const uint8_t *at = p->text.p; at < end; at++) {
		if (topic_char((char)*at))
			continue;
		unsigned len = SL_MAX(sl_utf8_len(at, end), 1u);
		sl_text_err_set(&e, p->pos + (size_t)(at - p->text.p), SL_MAX(len, 1u),
				"'%.*s' cannot be in a topic's name: it has letters, digits, '.', "
				"'_' and '-'",
				(int)len, (const char *)at);
		sl_err_text(c->l, n, &e);
		return false;
	}
	return true;
}

bool sl_check_topic_text(const struct sl_check *c, const struct sl_node *n, const struct sl_tpl *t)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < sl_tpl_cnt(t); i++) {
		const struct sl_tpl_piece *p = sl_tpl_piece(t, i);
		if (p->var >= 0)
			continue;
		if (!literal_ok(c, n, p))
			return false;
		len += p->text.len;
	}
	if (len > SL_TOPIC_NAME_MAX) {
		sl_err_value(c->l, n, "is longer than a topic's name can be (%d bytes)",
			     SL_TOPIC_NAME_MAX);
		return false;
	}
	if (!sl_tpl_is_constant(t))
		return true;
	if (sl_topic_name_internal(n->text, n->len))
		sl_err_value(c->l, n, "'%s' is Kafka's own topic", n->text);
	else if (!sl_topic_name_valid(n->text, n->len))
		sl_err_value(c->l, n, "'%s' is no topic's name", n->text);
	else
		return true;
	return false;
}

/* {topic} has the slashes of a name; a filter of two levels or more matches none without. */
static void check_slashes(const struct sl_check *c, const struct sl_node *n, const struct sl_tpl *t,
			  const struct sl_mqtt_filter *f)
{
	uint32_t depth = sl_mqtt_filter_depth(f);
	struct sl_text_err e;

	if (sl_mqtt_filter_level(f, depth - 1)->kind == SL_MQTT_HASH)
		depth--;
	for (uint32_t i = 0; depth > 1 && i < sl_tpl_cnt(t); i++) {
		const struct sl_tpl_piece *p = sl_tpl_piece(t, i);
		if (p->var != SL_MQTT_VAR_TOPIC)
			continue;
		sl_text_err_set(&e, p->pos, p->len,
				"can never be a topic's name: what this filter matches has a '/' "
				"in it");
		sl_err_text(c->l, n, &e);
		return;
	}
}

/* ---- one rule -------------------------------------------------------------------------------- */

struct vars {
	struct sl_tpl_var var[SL_MQTT_VARS_MAX];
	uint32_t cnt;
};

/* NULL after reporting, or without memory. */
static struct sl_tpl *compile(const struct sl_check *c, const struct sl_node *n, const char *text,
			      const struct vars *v)
{
	struct sl_tpl *t = NULL;
	struct sl_text_err e;

	if (sl_tpl_new(text, v->var, v->cnt, &t, &e) == -EINVAL)
		sl_err_text(c->l, n, &e);
	return t;
}

static void check_topic(struct sl_check *c, uint32_t i, const struct vars *v)
{
	const struct sl_cfg_rule *r = &c->cfg->mqtt.rule[i];
	const struct sl_node *n = sl_check_get(c->rules, i, "topic");
	struct sl_tpl *t = n && r->topic[0] ? compile(c, n, r->topic, v) : NULL;

	if (!t)
		return;
	if (sl_check_topic_text(c, n, t)) {
		check_slashes(c, n, t, c->rule[i]);
		if (sl_tpl_is_constant(t))
			sl_check_add_topic(c, r->topic, r->partitions, n,
					   sl_check_get(c->rules, i, "partitions"));
	}
	sl_tpl_free(t);
}

static void check_key(const struct sl_check *c, uint32_t i, const struct vars *v)
{
	const struct sl_node *n = sl_check_get(c->rules, i, "key");

	if (n)
		sl_tpl_free(compile(c, n, c->cfg->mqtt.rule[i].key, v));
}

static void check_headers(const struct sl_check *c, uint32_t i, const struct vars *v)
{
	const struct sl_cfg_rule *r = &c->cfg->mqtt.rule[i];
	const struct sl_node *map = sl_check_get(c->rules, i, "headers");

	for (uint32_t h = 0; h < r->hdr_cnt; h++) {
		const struct sl_node *n = sl_doc_get(map, r->hdr[h].name);
		if (n)
			sl_tpl_free(compile(c, n, r->hdr[h].value, v));
	}
}

static void check_rule(struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_rule *r = &c->cfg->mqtt.rule[i];
	const struct sl_node *n = sl_check_get(c->rules, i, "filter");
	uint16_t level[SL_MQTT_LEVELS_MAX];
	struct sl_text_err e;
	struct vars v;
	int rc;

	if (!n || !r->filter[0])
		return;
	rc = sl_mqtt_filter_new(r->filter, SL_MQTT_RULE, &c->rule[i], &e);
	if (rc == -EINVAL)
		sl_err_text(c->l, n, &e);
	if (rc < 0)
		return;
	v.cnt = sl_mqtt_rule_vars(c->rule[i], v.var, level);
	check_topic(c, i, &v);
	check_key(c, i, &v);
	check_headers(c, i, &v);
}

/* ---- rules beside each other ----------------------------------------------------------------- */

static void check_shadow(struct sl_check *c, uint32_t k)
{
	for (uint32_t i = 0; c->rule[k] && i < k; i++) {
		if (!c->rule[i] || !sl_mqtt_filter_shadows(c->rule[i], c->rule[k]))
			continue;
		const struct sl_node *by = sl_check_get(c->rules, i, "filter");
		sl_warn_value(c->l, sl_check_get(c->rules, k, "filter"),
			      "can never match: '%s' in line %u takes all that it would",
			      c->cfg->mqtt.rule[i].filter, sl_check_line(c, by));
		c->shadowed[k] = true;
		return;
	}
}

static void check_sockets(const struct sl_check *c)
{
	const struct sl_node *n = sl_doc_get(c->mqtt, "socket");

	if (!n)
		n = c->mqtt;
	if (c->cfg->mqtt.on && !strcmp(c->cfg->mqtt.socket, c->cfg->admin.socket))
		sl_err_value(c->l, n, "'%s' is admin.socket already", c->cfg->mqtt.socket);
}

void sl_check_rules(struct sl_check *c)
{
	const struct sl_config *cfg = c->cfg;
	const struct sl_node *n = sl_doc_get(c->mqtt, "default_topic");

	for (uint32_t i = 0; i < cfg->mqtt.rule_cnt; i++)
		check_rule(c, i);
	for (uint32_t i = 0; i < cfg->mqtt.rule_cnt; i++)
		check_shadow(c, i);
	if (n && !n->bad)
		sl_check_add_topic(c, cfg->mqtt.default_topic, 0, n, NULL);
	if (cfg->mqtt.on && !cfg->mqtt.rule_cnt && !cfg->mqtt.default_topic[0] &&
	    !cfg->downlink_cnt)
		sl_warn_key(c->l, c->mqtt,
			    "no rule in `map` and no `default_topic`: whatever comes is stored "
			    "nowhere");
	check_sockets(c);
}

void sl_check_rules_fini(struct sl_check *c)
{
	for (uint32_t i = 0; i < SL_CFG_RULES_MAX; i++)
		sl_mqtt_filter_free(c->rule[i]);
}
