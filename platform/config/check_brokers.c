/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.brokers and downlink: who is a client where, and what comes down. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/tpl_vars.h"
#include "platform/config/check.h"

/* ---- brokers --------------------------------------------------------------------------------- */

static void fill_defaults(struct sl_check *c, uint32_t i)
{
	struct sl_cfg_broker *b = &c->l->cfg->mqtt.broker[i];
	char id[sizeof(b->client_id)];

	if (!b->port)
		b->port = b->tls.on ? 8883 : 1883;
	if (!b->client_id[0]) {
		snprintf(id, sizeof(id), "sluice-%s-%s", c->cfg->gateway.id, b->name);
		memcpy(b->client_id, id, sizeof(id));
	}
}

static void check_broker_pair(const struct sl_check *c, uint32_t i, uint32_t k)
{
	const struct sl_cfg_broker *a = &c->cfg->mqtt.broker[i], *b = &c->cfg->mqtt.broker[k];
	const struct sl_node *n = sl_check_get(c->brokers, k, "client_id");

	if (!a->name[0] || !b->name[0])
		return;
	if (!strcmp(a->name, b->name))
		sl_err_value(c->l, sl_check_name(c->brokers, k),
			     "broker '%s' is there already (line %u)", b->name,
			     sl_check_line(c, sl_check_name(c->brokers, i)));
	else if (!strcmp(a->host, b->host) && a->port == b->port &&
		 !strcmp(a->client_id, b->client_id))
		sl_err_value(c->l, n ? n : sl_check_name(c->brokers, k),
			     "'%s' is the client_id of broker '%s' (line %u), which is the same "
			     "one: each would throw the other out",
			     b->client_id, a->name, sl_check_line(c, sl_check_name(c->brokers, i)));
}

static void check_credentials(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_broker *b = &c->cfg->mqtt.broker[i];
	static const char *const of_tcp[] = {"port", "tls"};
	const struct sl_node *tls = sl_check_get(c->brokers, i, "tls"), *n;

	for (size_t k = 0; b->host[0] == '/' && k < SL_ARRAY_SIZE(of_tcp); k++) {
		n = sl_check_get(c->brokers, i, of_tcp[k]);
		if (n)
			sl_err_key(c->l, n, "is not for a Unix socket, which `host` names");
	}
	n = sl_check_get(c->brokers, i, "password_file");
	if (n && !b->user[0] && !sl_doc_get(sl_doc_at(c->brokers, i), "user"))
		sl_err_key(c->l, n, "needs `user`");
	n = sl_doc_get(tls, "cert");
	if (n && !sl_doc_get(tls, "key"))
		sl_err_key(c->l, n, "needs `key`");
	n = sl_doc_get(tls, "key");
	if (n && !sl_doc_get(tls, "cert"))
		sl_err_key(c->l, n, "needs `cert`");
}

struct subs {
	const struct sl_node *list;
	struct sl_mqtt_filter *f[SL_CFG_SUBS_MAX];
};

static const struct sl_node *sub_node(const struct subs *s, uint32_t i)
{
	return sl_check_get(s->list, i, "filter");
}

/* A rule or the default topic wants what a subscription brings. */
static bool is_wanted(const struct sl_check *c, const struct sl_mqtt_filter *f)
{
	if (c->cfg->mqtt.default_topic[0])
		return true;
	for (uint32_t i = 0; i < c->cfg->mqtt.rule_cnt; i++) {
		if (!c->rule[i] || sl_mqtt_filter_overlaps(c->rule[i], f))
			return true;
	}
	return false;
}

static void check_sub(const struct sl_check *c, struct subs *s, const struct sl_cfg_broker *b,
		      uint32_t k)
{
	const struct sl_node *n = sub_node(s, k);
	struct sl_text_err e;
	int rc;

	if (!n || !b->sub[k].filter[0])
		return;
	rc = sl_mqtt_filter_new(b->sub[k].filter, SL_MQTT_SUBSCRIPTION, &s->f[k], &e);
	if (rc == -EINVAL)
		sl_err_text(c->l, n, &e);
	if (rc < 0)
		return;
	if (!is_wanted(c, s->f[k]))
		sl_warn_value(c->l, n,
			      "no rule of mqtt.map matches what it brings, and there is no "
			      "default_topic: it is stored nowhere");
	for (uint32_t i = 0; i < k; i++) {
		if (!s->f[i])
			continue;
		if (!strcmp(b->sub[i].filter, b->sub[k].filter)) {
			sl_err_value(c->l, n, "is in the list twice (line %u)",
				     sl_check_line(c, sub_node(s, i)));
			return;
		}
		if (sl_mqtt_filter_overlaps(s->f[i], s->f[k])) {
			sl_warn_value(c->l, n,
				      "overlaps with '%s' in line %u: a broker may send what is in "
				      "both twice",
				      b->sub[i].filter, sl_check_line(c, sub_node(s, i)));
			return;
		}
	}
}

static bool has_downlink(const struct sl_check *c, uint32_t broker)
{
	for (uint32_t i = 0; i < c->cfg->downlink_cnt; i++) {
		if (c->cfg->downlink[i].broker == broker)
			return true;
	}
	return false;
}

static void check_broker(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_broker *b = &c->cfg->mqtt.broker[i];
	struct subs s = {.list = sl_check_get(c->brokers, i, "subscribe")};

	check_credentials(c, i);
	for (uint32_t k = 0; k < b->sub_cnt; k++)
		check_sub(c, &s, b, k);
	for (uint32_t k = 0; k < b->sub_cnt; k++)
		sl_mqtt_filter_free(s.f[k]);
	if (!b->sub_cnt && !has_downlink(c, i))
		sl_warn_value(c->l, sl_check_name(c->brokers, i),
			      "neither subscribes nor carries a downlink: it does nothing");
}

static bool is_sys(const struct sl_mqtt_filter *f)
{
	const struct sl_mqtt_level *l = sl_mqtt_filter_level(f, 0);

	return l->kind == SL_MQTT_LITERAL && l->text.len == 4 && !memcmp(l->text.p, "$SYS", 4);
}

/* $SYS never reaches a plugin's event; a subscription can bring it. */
static void check_sys(const struct sl_check *c)
{
	bool subscribed = false;

	for (uint32_t i = 0; i < c->cfg->mqtt.broker_cnt; i++)
		for (uint32_t k = 0; k < c->cfg->mqtt.broker[i].sub_cnt; k++)
			subscribed |= strstr(c->cfg->mqtt.broker[i].sub[k].filter, "$SYS") != NULL;
	for (uint32_t i = 0; i < c->cfg->mqtt.rule_cnt && !subscribed; i++) {
		if (c->rule[i] && !c->shadowed[i] && is_sys(c->rule[i]))
			sl_warn_value(c->l, sl_check_get(c->rules, i, "filter"),
				      "can never match: mosquitto shows $SYS to no plugin, only to "
				      "a subscription (mqtt.brokers)");
	}
}

void sl_check_brokers(struct sl_check *c)
{
	for (uint32_t k = 0; k < c->cfg->mqtt.broker_cnt; k++) {
		fill_defaults(c, k);
		check_broker(c, k);
		for (uint32_t i = 0; i < k; i++)
			check_broker_pair(c, i, k);
	}
	check_sys(c);
}

/* ---- downlinks ------------------------------------------------------------------------------- */

/* Wildcards are for those who subscribe. */
static void check_wildcards(const struct sl_check *c, const struct sl_node *n,
			    const struct sl_tpl *t)
{
	struct sl_text_err e;

	for (uint32_t i = 0; i < sl_tpl_cnt(t); i++) {
		const struct sl_tpl_piece *p = sl_tpl_piece(t, i);
		for (uint32_t k = 0; p->var < 0 && k < p->text.len; k++) {
			if (p->text.p[k] != '+' && p->text.p[k] != '#')
				continue;
			sl_text_err_set(&e, p->pos + k, 1, "'%c' cannot be in a message's name",
					p->text.p[k]);
			sl_err_text(c->l, n, &e);
			return;
		}
	}
	if (n->text[0] == '$')
		sl_err_value(c->l, n, "names that begin with '$' are the broker's own");
}

/* "devices/{key}/cmd" -> "devices/+/cmd": what its messages are called, near enough. */
static struct sl_mqtt_filter *names_of(const struct sl_tpl *t)
{
	char text[SL_CFG_TEXT_MAX] = "";
	struct sl_mqtt_filter *f = NULL;
	uint32_t len = 0, level = 0; /* where the level began */
	bool wild = false;

	for (uint32_t i = 0; i < sl_tpl_cnt(t); i++) {
		const struct sl_tpl_piece *p = sl_tpl_piece(t, i);
		for (uint32_t k = 0; p->var < 0 && k < p->text.len; k++) {
			bool slash = p->text.p[k] == '/';
			if (slash)
				wild = false;
			if (!wild && len + 2 < sizeof(text))
				text[len++] = (char)p->text.p[k];
			if (slash)
				level = len;
		}
		if (p->var >= 0 && level + 2 < sizeof(text)) {
			len = level;
			text[len++] = '+';
			wild = true;
		}
	}
	text[len] = '\0';
	return sl_mqtt_filter_new(text, SL_MQTT_RULE, &f, NULL) < 0 ? NULL : f;
}

/* What goes down must not come up again into the same topic. */
static void check_loop(const struct sl_check *c, const struct sl_cfg_downlink *d,
		       const struct sl_node *n, const struct sl_tpl *t)
{
	struct sl_mqtt_filter *f = names_of(t);

	for (uint32_t i = 0; f && i < c->cfg->mqtt.rule_cnt; i++) {
		if (!c->rule[i] || strcmp(c->cfg->mqtt.rule[i].topic, d->topic) != 0 ||
		    !sl_mqtt_filter_overlaps(c->rule[i], f))
			continue;
		sl_warn_value(c->l, n,
			      "a rule of mqtt.map (line %u) takes such messages into topic '%s': "
			      "one that comes back goes round for ever",
			      sl_check_line(c, sl_check_get(c->rules, i, "filter")), d->topic);
		break;
	}
	sl_mqtt_filter_free(f);
}

static void check_name(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_downlink *d = &c->cfg->downlink[i];
	const struct sl_node *n = sl_check_get(c->downlinks, i, "mqtt");
	struct sl_tpl *t = NULL;
	struct sl_text_err e;
	int rc;

	if (!n || !d->mqtt[0])
		return;
	rc = sl_tpl_new(d->mqtt, SL_DOWN_VARS, SL_DOWN_CNT, &t, &e);
	if (rc == -EINVAL)
		sl_err_text(c->l, n, &e);
	if (rc < 0)
		return;
	check_wildcards(c, n, t);
	check_loop(c, d, n, t);
	sl_tpl_free(t);
}

/* A downlink that names no broker has the only one. */
static void check_which(const struct sl_check *c, uint32_t i)
{
	const struct sl_node *node = sl_doc_at(c->downlinks, i);
	uint32_t cnt = c->cfg->mqtt.broker_cnt;
	char have[256] = "";

	if (sl_doc_get(node, "broker") || node->type != SL_NODE_MAP || cnt == 1)
		return;
	for (uint32_t b = 0; b < cnt; b++) {
		size_t used = strlen(have);
		snprintf(have + used, sizeof(have) - used, "%s%s", used ? ", " : "",
			 c->cfg->mqtt.broker[b].name);
	}
	if (cnt == 0)
		sl_err_value(c->l, node, "needs a broker to publish at: mqtt.brokers has none");
	else
		sl_err_value(c->l, node, "needs `broker`: which one? (have: %s)", have);
}

static bool is_mirrored(const struct sl_config *cfg, const char *topic)
{
	for (uint32_t i = 0; i < cfg->uplink.mirror_cnt; i++) {
		if (!strcmp(cfg->uplink.mirror[i], topic))
			return true;
	}
	return false;
}

static void check_downlink_pair(const struct sl_check *c, uint32_t i, uint32_t k)
{
	const struct sl_cfg_downlink *a = &c->cfg->downlink[i], *b = &c->cfg->downlink[k];
	const struct sl_node *n = sl_check_get(c->downlinks, k, "mqtt");

	if (n && a->topic[0] && !strcmp(a->topic, b->topic) && !strcmp(a->mqtt, b->mqtt) &&
	    a->broker == b->broker)
		sl_err_value(c->l, n, "topic '%s' goes there already (line %u)", b->topic,
			     sl_check_line(c, sl_doc_at(c->downlinks, i)));
}

void sl_check_downlinks(struct sl_check *c)
{
	for (uint32_t k = 0; k < c->cfg->downlink_cnt; k++) {
		const char *topic = c->cfg->downlink[k].topic;
		check_name(c, k);
		check_which(c, k);
		for (uint32_t i = 0; i < k; i++)
			check_downlink_pair(c, i, k);
		if (!is_mirrored(c->cfg, topic))
			sl_check_add_topic(c, topic, 0, sl_check_get(c->downlinks, k, "topic"),
					   NULL);
	}
}
