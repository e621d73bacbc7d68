/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/log.h"
#include "platform/base/topic_cfg.h"

/* What the file says of a topic: its entry, or the defaults of all topics. */
static const struct sl_cfg_topic *topic_entry(const struct sl_config *c, const char *name)
{
	for (uint32_t i = 0; i < c->topic_cnt; i++)
		if (!strcmp(c->topic[i].name, name))
			return &c->topic[i];
	return NULL;
}

/* A setting that the file names and an admin set otherwise: the admin's is in force. */
static void log_overridden(const struct sl_topic *t, const struct sl_cfg_topic *entry)
{
	struct sl_topic_layers l;
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	sl_topic_layers_get(t, &l);
	for (uint32_t i = 0; i < cnt; i++) {
		char own[SL_TOPIC_SETTING_TEXT], file[SL_TOPIC_SETTING_TEXT];
		if (!(l.own_set & entry->set & sl_topic_setting_bit(i)))
			continue;
		sl_topic_setting_text(&l.own, &row[i], own);
		sl_topic_setting_text(&entry->cfg, &row[i], file);
		if (strcmp(own, file))
			sl_log(SL_LOG_INFO, "app",
			       "topic %s: %s is %s, set through the Kafka port; the config's %s "
			       "is not in force",
			       entry->name, row[i].name, own, file);
	}
}

/* Never fewer than there are: a key would change its partition for nothing. */
static int match_partitions(struct sl_store *s, struct sl_topic *t, uint32_t want)
{
	uint32_t have = sl_topic_partitions(t);

	if (want > have) {
		sl_log(SL_LOG_INFO, "app", "topic %s grows from %u to %u partitions",
		       sl_topic_name(t), have, want);
		return sl_store_partitions_add(s, t, want);
	}
	if (want < have)
		sl_log(SL_LOG_INFO, "app",
		       "topic %s has %u partitions, the config says %u: left as it is",
		       sl_topic_name(t), have, want);
	return 0;
}

static int settle_topic(struct sl_store *s, const struct sl_config *c, struct sl_topic *t)
{
	const struct sl_cfg_topic *entry = topic_entry(c, sl_topic_name(t));
	int rc = sl_topic_base_set(t, entry ? &entry->cfg : &c->kafka.topic_defaults,
				   entry ? entry->set : 0);

	if (rc || !entry)
		return rc;
	log_overridden(t, entry);
	return match_partitions(s, t, entry->partitions);
}

struct topics {
	struct sl_topic *t[SL_STORE_TOPICS_MAX];
	uint32_t cnt;
};

static int collect(struct sl_topic *t, void *arg)
{
	struct topics *all = arg;

	all->t[all->cnt++] = sl_topic_ref(t);
	return all->cnt == SL_STORE_TOPICS_MAX;
}

static int settle_all(struct sl_store *s, const struct sl_config *c, char *err, size_t errlen)
{
	struct topics *all = calloc(1, sizeof(*all));
	int rc = all ? 0 : -ENOMEM;

	if (all)
		sl_store_topics(s, collect, all);
	for (uint32_t i = 0; all && i < all->cnt; i++) {
		if (!rc) {
			rc = settle_topic(s, c, all->t[i]);
			if (rc)
				snprintf(err, errlen, "topic %s: %s", sl_topic_name(all->t[i]),
					 strerror(-rc));
		}
		sl_topic_put(all->t[i]);
	}
	free(all);
	return rc;
}

/* The config's topics: those that only a listener names are among them. */
int sl_topics_settle(struct sl_store *s, const struct sl_config *c, char *err, size_t errlen)
{
	int rc = settle_all(s, c, err, errlen);

	for (uint32_t i = 0; i < c->topic_cnt && !rc; i++) {
		const struct sl_cfg_topic *e = &c->topic[i];
		struct sl_topic_layers l = {.base = e->cfg, .base_set = e->set};
		rc = sl_store_topic_create(s, e->name, e->partitions, &l, NULL);
		if (rc == -EEXIST)
			rc = 0;
		if (rc)
			snprintf(err, errlen, "topic %s: %s", e->name, strerror(-rc));
	}
	return rc;
}
