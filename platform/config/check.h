/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what several keys must keep between them: what the files check*.c share. Internal to
 * platform/config.
 *
 * Runs also after errors of single values: what such a value would have said is then its default,
 * so checks look at the node before they blame it.
 */
#ifndef SL_CONFIG_CHECK_H
#define SL_CONFIG_CHECK_H

#include "platform/base/mqtt_filter.h"
#include "platform/config/load.h"

struct sl_check {
	struct sl_load *l;
	const struct sl_config *cfg;
	const struct sl_node *mqtt, *uplink;                                /* or NULL */
	const struct sl_node *ports, *listeners, *topics, *rules, *brokers; /* lists, or NULL */
	const struct sl_node *downlinks;
	const struct sl_node *made_by[SL_CFG_TOPICS_MAX]; /* who names cfg->topic[i] first */
	/* compiled, NULL if there was an error */
	struct sl_mqtt_filter *rule[SL_CFG_RULES_MAX];
	bool shadowed[SL_CFG_RULES_MAX]; /* by an earlier rule: said */
};

/* Key of an element of a list; NULL if it is not in the file or had an error of its own. */
const struct sl_node *sl_check_get(const struct sl_node *list, uint32_t i, const char *key);
/* Its `name`, or the element. */
const struct sl_node *sl_check_name(const struct sl_node *list, uint32_t i);
uint32_t sl_check_line(const struct sl_check *c, const struct sl_node *n);
/* Index of a topic in cfg->topic, or -1. */
int sl_check_topic(const struct sl_config *cfg, const char *name);
/* Topic `name` exists afterwards; partitions 0: as many as it happens to have. */
void sl_check_add_topic(struct sl_check *c, const char *name, uint32_t partitions,
			const struct sl_node *by, const struct sl_node *partitions_by);
/* Reports the first character that no topic's name has in a literal part of template t, or that
 * the literal parts alone are too long, or that a constant is none. False after reporting. */
bool sl_check_topic_text(const struct sl_check *c, const struct sl_node *n, const struct sl_tpl *t);

void sl_check_rules(struct sl_check *c);      /* mqtt.map: check_rules.c */
void sl_check_rules_fini(struct sl_check *c); /* frees c->rule */
void sl_check_brokers(struct sl_check *c);    /* mqtt.brokers, after the rules: check_brokers.c */
void sl_check_downlinks(struct sl_check *c);  /* after the brokers: check_brokers.c */
void sl_check_uplink(struct sl_check *c);     /* check_uplink.c */
void sl_check_files(struct sl_check *c);      /* only warns: check_files.c */

#endif
