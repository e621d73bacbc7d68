/* SPDX-License-Identifier: Apache-2.0 */
/* uplink: what goes where at the centre, and what must not come back. */
#include <errno.h>

#include "platform/base/tpl_vars.h"
#include "platform/config/check.h"

/* The node of a list of names, or of a single one, that says `name`. */
static const struct sl_node *find(const struct sl_node *list, const char *name)
{
	if (list && list->type == SL_NODE_SCALAR)
		return list;
	for (const struct sl_node *n = list ? list->first : NULL; n; n = n->next) {
		if (n->type == SL_NODE_SCALAR && !strcmp(n->text, name))
			return n;
	}
	return list;
}

/* ---- names at the centre --------------------------------------------------------------------- */

static bool has_topic(const struct sl_tpl *t)
{
	for (uint32_t i = 0; i < sl_tpl_cnt(t); i++) {
		if (sl_tpl_piece(t, i)->var == SL_DEST_TOPIC)
			return true;
	}
	return false;
}

/* One forwarded topic: what it is called there. */
static void check_there(const struct sl_check *c, const struct sl_tpl *t, const char *topic)
{
	const struct sl_config *cfg = c->cfg;
	const struct sl_node *n = find(sl_doc_get(c->uplink, "topics"), topic);
	char there[SL_TOPIC_NAME_MAX + 1];

	if (sl_dest_topic(t, cfg->gateway.id, topic, there) < 0) {
		sl_err_value(c->l, n,
			     "'%s' would have no legal name at the centre: '%s' makes it longer "
			     "than %d bytes, or Kafka's own",
			     topic, cfg->uplink.destination, SL_TOPIC_NAME_MAX);
		return;
	}
	if (!strcmp(there, cfg->uplink.dead_letter))
		sl_err_value(c->l, n, "'%s' would go to '%s', which is uplink.dead_letter", topic,
			     there);
	if (!strcmp(there, cfg->uplink.positions))
		sl_err_value(c->l, n, "'%s' would go to '%s', which is uplink.positions", topic,
			     there);
	for (uint32_t i = 0; i < cfg->uplink.mirror_cnt; i++) {
		if (!strcmp(cfg->uplink.mirror[i], there) && strcmp(topic, there) != 0)
			sl_warn_value(c->l, find(sl_doc_get(c->uplink, "mirror"), there),
				      "is what topic '%s' is called at the centre: what went up "
				      "comes down again",
				      topic);
	}
}

static void check_destination(const struct sl_check *c)
{
	const struct sl_config *cfg = c->cfg;
	const struct sl_node *n = sl_doc_get(c->uplink, "destination");
	struct sl_tpl *t = NULL;
	struct sl_text_err e;
	int rc;

	if (!cfg->uplink.destination[0]) /* an error of its own */
		return;
	rc = sl_tpl_new(cfg->uplink.destination, SL_DEST_VARS, SL_DEST_CNT, &t, &e);
	if (rc == -EINVAL && n)
		sl_err_text(c->l, n, &e);
	if (rc < 0)
		return;
	if (n && (n->bad || !sl_check_topic_text(c, n, t)))
		goto out;
	if (!has_topic(t) && (cfg->uplink.all_topics || cfg->uplink.topic_cnt > 1)) {
		sl_err_value(c->l, n, "without {topic} all topics would become one at the centre");
		goto out;
	}
	for (uint32_t i = 0; i < cfg->uplink.topic_cnt; i++)
		check_there(c, t, cfg->uplink.topic[i]);
out:
	sl_tpl_free(t);
}

/* ---- the mirror ------------------------------------------------------------------------------ */

/* Who of this box writes to a topic that is copied down. */
static const struct sl_node *local_writer(const struct sl_check *c, const char *topic)
{
	const struct sl_config *cfg = c->cfg;

	for (uint32_t i = 0; i < cfg->listener_cnt; i++) {
		if (!strcmp(cfg->listener[i].topic, topic))
			return sl_check_get(c->listeners, i, "topic");
	}
	for (uint32_t i = 0; i < cfg->mqtt.rule_cnt; i++) {
		if (!strcmp(cfg->mqtt.rule[i].topic, topic))
			return sl_check_get(c->rules, i, "topic");
	}
	return strcmp(cfg->mqtt.default_topic, topic) ? NULL : sl_doc_get(c->mqtt, "default_topic");
}

static void check_mirrored(const struct sl_check *c, const char *topic)
{
	const struct sl_config *cfg = c->cfg;
	const struct sl_node *n = find(sl_doc_get(c->uplink, "mirror"), topic);
	const struct sl_node *writer = local_writer(c, topic);

	if (!strcmp(topic, cfg->uplink.positions))
		sl_err_value(c->l, n, "'%s' is uplink.positions: it stays at the centre", topic);
	for (uint32_t i = 0; i < cfg->uplink.topic_cnt; i++) {
		if (strcmp(cfg->uplink.topic[i], topic))
			continue;
		sl_err_value(c->l, n,
			     "'%s' is in uplink.topics too (line %u): what went up would come "
			     "down, and go up again",
			     topic, sl_check_line(c, find(sl_doc_get(c->uplink, "topics"), topic)));
		return;
	}
	if (writer)
		sl_warn_value(c->l, n, "'%s' is written to on this box too (line %u)", topic,
			      sl_check_line(c, writer));
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* The later one of two keys that contradict each other, as far as the file has them. */
static const struct sl_node *either(const struct sl_node *section, const char *a, const char *b)
{
	const struct sl_node *n = sl_doc_get(section, b);

	return n ? n : sl_doc_get(section, a);
}

static void check_values(const struct sl_check *c)
{
	const struct sl_config *cfg = c->cfg;
	const struct sl_node *n = either(c->uplink, "dead_letter", "positions");

	if (n && !strcmp(cfg->uplink.dead_letter, cfg->uplink.positions))
		sl_err_value(c->l, n, "'%s' is both dead_letter and positions",
			     cfg->uplink.positions);
	n = either(sl_doc_get(c->uplink, "backoff"), "min", "max");
	if (n && cfg->uplink.backoff_min_ms > cfg->uplink.backoff_max_ms)
		sl_err_value(c->l, n, "the longest wait (%u ms) is shorter than the first (%u ms)",
			     cfg->uplink.backoff_max_ms, cfg->uplink.backoff_min_ms);
	n = sl_doc_get(c->uplink, "replication");
	if (n && cfg->uplink.replication == 0)
		sl_err_value(c->l, n,
			     "a topic has at least one replica (-1: the centre's default)");
}

void sl_check_uplink(struct sl_check *c)
{
	if (!c->uplink || c->uplink->type != SL_NODE_MAP)
		return;
	if (!sl_doc_get(c->uplink, "topics") && !sl_doc_get(c->uplink, "mirror"))
		sl_err_key(c->l, c->uplink,
			   "has neither `topics` to forward nor `mirror`: `topics: ['*']` forwards "
			   "all");
	check_values(c);
	check_destination(c);
	for (uint32_t i = 0; i < c->cfg->uplink.mirror_cnt; i++)
		check_mirrored(c, c->cfg->uplink.mirror[i]);
}
