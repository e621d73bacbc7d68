/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/mqtt/map.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/base/mqtt_filter.h"

#define NO_LEVEL UINT32_MAX

/*
 * What is looked at first: of a rule's literal levels the one that it shares with the fewest other
 * rules. With many rules of the same shape (factory/line17/+/state) this alone tells them apart, so
 * a name costs a comparison per rule, and levels are compared with one or two.
 */
struct sign {
	uint32_t level; /* NO_LEVEL: none is literal */
	uint32_t hash;
};

struct rule {
	const struct sl_cfg_rule *cfg;
	struct sl_mqtt_filter *filter;
	uint16_t level[SL_MQTT_LEVELS_MAX]; /* of the templates' variables */
	struct sl_tpl *topic, *key;         /* key NULL: none */
	struct sl_tpl *hdr[SL_CFG_RULE_HDRS_MAX];
};

struct sl_map {
	const struct sl_config *cfg;
	uint32_t rule_cnt;
	struct sign *sign; /* one per rule, side by side */
	struct rule *rule;
};

const char *sl_map_result_name(enum sl_map_result r)
{
	static const char *const names[SL_MAP_RESULT_CNT] = {
		[SL_MAP_OK] = "ok",
		[SL_MAP_NO_MATCH] = "no_match",
		[SL_MAP_BAD_TOPIC] = "bad_topic",
		[SL_MAP_BAD_NAME] = "bad_name",
	};

	return names[r];
}

/* ---- compiling ------------------------------------------------------------------------------- */

static int compile_rule(struct rule *r, const struct sl_cfg_rule *cfg)
{
	struct sl_tpl_var vars[SL_MQTT_VARS_MAX];
	uint32_t var_cnt;
	int rc = sl_mqtt_filter_new(cfg->filter, SL_MQTT_RULE, &r->filter, NULL);

	if (rc < 0)
		return rc;
	r->cfg = cfg;
	var_cnt = sl_mqtt_rule_vars(r->filter, vars, r->level);
	rc = sl_tpl_new(cfg->topic, vars, var_cnt, &r->topic, NULL);
	if (rc == 0 && cfg->key[0])
		rc = sl_tpl_new(cfg->key, vars, var_cnt, &r->key, NULL);
	for (uint32_t i = 0; rc == 0 && i < cfg->hdr_cnt; i++)
		rc = sl_tpl_new(cfg->hdr[i].value, vars, var_cnt, &r->hdr[i], NULL);
	return rc;
}

/* Rules that have this literal at this level. */
static uint32_t rules_with(const struct sl_map *m, uint32_t level, uint32_t hash)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->rule_cnt; i++) {
		const struct sl_mqtt_filter *f = m->rule[i].filter;
		if (level >= sl_mqtt_filter_depth(f))
			continue;
		const struct sl_mqtt_level *l = sl_mqtt_filter_level(f, level);
		n += l->kind == SL_MQTT_LITERAL && l->hash == hash;
	}
	return n;
}

static struct sign sign_of(const struct sl_map *m, const struct sl_mqtt_filter *f)
{
	struct sign best = {.level = NO_LEVEL};
	uint32_t fewest = UINT32_MAX;

	for (uint32_t i = 0; i < sl_mqtt_filter_depth(f); i++) {
		const struct sl_mqtt_level *l = sl_mqtt_filter_level(f, i);
		if (l->kind != SL_MQTT_LITERAL)
			continue;
		uint32_t n = rules_with(m, i, l->hash);
		if (n < fewest) {
			fewest = n;
			best = (struct sign){.level = i, .hash = l->hash};
		}
	}
	return best;
}

int sl_map_new(const struct sl_config *cfg, struct sl_map **ret_map)
{
	struct sl_map *m = calloc(1, sizeof(*m));
	uint32_t cnt = cfg->mqtt.rule_cnt;
	int rc = -ENOMEM;

	if (!m)
		return rc;
	m->cfg = cfg;
	m->rule = calloc(SL_MAX(cnt, 1u), sizeof(*m->rule));
	m->sign = calloc(SL_MAX(cnt, 1u), sizeof(*m->sign));
	if (!m->rule || !m->sign)
		goto fail;
	for (; m->rule_cnt < cnt; m->rule_cnt++) {
		rc = compile_rule(&m->rule[m->rule_cnt], &cfg->mqtt.rule[m->rule_cnt]);
		if (rc < 0) {
			m->rule_cnt++; /* half built: freed with the others */
			goto fail;
		}
	}
	for (uint32_t i = 0; i < cnt; i++)
		m->sign[i] = sign_of(m, m->rule[i].filter);
	*ret_map = m;
	return 0;
fail:
	sl_map_free(m);
	return rc;
}

void sl_map_free(struct sl_map *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->rule_cnt; i++) {
		struct rule *r = &m->rule[i];
		sl_mqtt_filter_free(r->filter);
		sl_tpl_free(r->topic);
		sl_tpl_free(r->key);
		for (uint32_t h = 0; h < SL_CFG_RULE_HDRS_MAX; h++)
			sl_tpl_free(r->hdr[h]);
	}
	free(m->rule);
	free(m->sign);
	free(m);
}

/* ---- applying -------------------------------------------------------------------------------- */

struct fill {
	const struct rule *rule;
	const struct sl_mqtt_name *name;
	struct sl_slice client;
};

static struct sl_slice value(void *arg, uint32_t var, SL_UNUSED struct sl_slice param)
{
	const struct fill *f = arg;
	struct sl_slice v;

	if (var == SL_MQTT_VAR_TOPIC)
		v = (struct sl_slice){f->name->p, f->name->len};
	else if (var == SL_MQTT_VAR_CLIENT)
		v = f->client;
	else
		v = sl_mqtt_rule_value(f->rule->filter, f->rule->level[var - SL_MQTT_VAR_LEVEL],
				       f->name);
	if (!v.p) /* a client without an id has an empty one */
		v = (struct sl_slice){(const uint8_t *)"", 0};
	return v;
}

static const struct rule *first_match(const struct sl_map *m, const struct sl_mqtt_name *n)
{
	for (uint32_t i = 0; i < m->rule_cnt; i++) {
		const struct sign *s = &m->sign[i];
		if (s->level != NO_LEVEL && (s->level >= n->cnt || n->hash[s->level] != s->hash))
			continue;
		if (sl_mqtt_filter_matches(m->rule[i].filter, n))
			return &m->rule[i];
	}
	return NULL;
}

/* A key or header value: what is longer is cut. */
static uint32_t fill_cut(const struct sl_tpl *t, struct fill *f, uint8_t *buf)
{
	uint32_t len = 0;
	int rc = sl_tpl_fill(t, value, f, buf, SL_MAP_KEY_MAX, &len);

	SL_ASSERT(rc == 0 || rc == -ENOSPC); /* value() has one for every variable */
	return len;
}

static enum sl_map_result apply_rule(struct fill *f, struct sl_map_out *out)
{
	const struct rule *r = f->rule;

	out->rule = r->cfg;
	if (sl_tpl_fill(r->topic, value, f, out->topic, SL_TOPIC_NAME_MAX, &out->topic_len) < 0 ||
	    !sl_topic_name_valid(out->topic, out->topic_len) ||
	    sl_topic_name_internal(out->topic, out->topic_len))
		return SL_MAP_BAD_TOPIC;
	out->topic[out->topic_len] = '\0';
	out->has_key = r->key != NULL;
	out->key_len = r->key ? fill_cut(r->key, f, out->key) : 0;
	out->hdr_cnt = r->cfg->hdr_cnt;
	for (uint32_t i = 0; i < out->hdr_cnt; i++) {
		const char *name = r->cfg->hdr[i].name;
		uint8_t *text = &out->text[i * SL_MAP_KEY_MAX];
		out->hdr[i].name = (struct sl_slice){(const uint8_t *)name, (uint32_t)strlen(name)};
		out->hdr[i].value = (struct sl_slice){text, fill_cut(r->hdr[i], f, text)};
	}
	return SL_MAP_OK;
}

static enum sl_map_result apply_default(const struct sl_map *m, struct sl_slice client,
					struct sl_map_out *out)
{
	const char *topic = m->cfg->mqtt.default_topic;

	if (!topic[0])
		return SL_MAP_NO_MATCH;
	out->rule = NULL;
	out->topic_len = (uint32_t)strlen(topic);
	memcpy(out->topic, topic, out->topic_len + 1);
	out->has_key = true;
	out->key_len = SL_MIN(client.len, (uint32_t)SL_MAP_KEY_MAX);
	if (out->key_len)
		memcpy(out->key, client.p, out->key_len);
	out->hdr_cnt = 0;
	return SL_MAP_OK;
}

enum sl_map_result sl_map_apply(const struct sl_map *m, struct sl_slice name,
				struct sl_slice client, struct sl_map_out *ret_out)
{
	struct sl_mqtt_name n;
	struct fill f = {.name = &n, .client = client};

	if (sl_mqtt_name_split(name, &n) < 0)
		return SL_MAP_BAD_NAME;
	f.rule = first_match(m, &n);
	return f.rule ? apply_rule(&f, ret_out) : apply_default(m, client, ret_out);
}
