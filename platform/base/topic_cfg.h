/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_cfg.h - the one table of topic settings: Kafka's name, the broker setting it falls back to,
 * type, range, default and its place in struct sl_topic_cfg.
 *
 * The config file's keys, the store's state file and the Kafka port's DescribeConfigs,
 * AlterConfigs and CreateTopics all read it; a new setting is one row. A row's index is its bit in
 * a `set` mask (store.h). Pure; any thread.
 */
#ifndef SL_PLATFORM_BASE_TOPIC_CFG_H
#define SL_PLATFORM_BASE_TOPIC_CFG_H

#include "sluice/store.h"

/* Kafka's ConfigDef types, with the numbers of the DescribeConfigs response (KIP-569). */
enum sl_setting_type {
	SL_SET_BOOLEAN = 1,
	SL_SET_STRING = 2,
	SL_SET_INT = 3,
	SL_SET_SHORT = 4,
	SL_SET_LONG = 5,
	SL_SET_DOUBLE = 6,
	SL_SET_LIST = 7,
	SL_SET_CLASS = 8,
	SL_SET_PASSWORD = 9,
};

struct sl_setting_word {
	const char *word;
	int64_t value;
	bool later; /* Kafka knows it, this version does not: refused by name */
};

struct sl_topic_setting {
	const char *name;   /* "retention.ms" */
	const char *broker; /* "log.retention.ms", the default of all topics; NULL: none */
	enum sl_setting_type type;
	int64_t min, max, def;
	const struct sl_setting_word *words; /* ends with a NULL word; NULL: a number */
	uint16_t off;                        /* in struct sl_topic_cfg */
	uint8_t bytes;                       /* 1, 4 or 8 */
	const char *help;                    /* one sentence */
};

const struct sl_topic_setting *sl_topic_settings(uint32_t *ret_cnt);
/* By topic name, or by broker name. NULL: unknown. */
const struct sl_topic_setting *sl_topic_setting_find(const char *name, size_t len);
const struct sl_topic_setting *sl_topic_setting_of_broker(const char *name, size_t len);
SL_INLINE uint32_t sl_topic_setting_bit(uint32_t index)
{
	return 1u << index;
}

int64_t sl_topic_setting_get(const struct sl_topic_cfg *cfg, const struct sl_topic_setting *row);
void sl_topic_setting_put(struct sl_topic_cfg *cfg, const struct sl_topic_setting *row, int64_t v);

#define SL_TOPIC_SETTING_TEXT 24
/* The value as Kafka writes it; NUL-terminated. */
void sl_topic_setting_text(const struct sl_topic_cfg *cfg, const struct sl_topic_setting *row,
			   char ret_text[SL_TOPIC_SETTING_TEXT]);
/*
 * Reads Kafka's text of a value into cfg. -EINVAL: not of its type; -ERANGE; -ENOTSUP: Kafka knows
 * the word, this version does not. `err` gets a sentence that names setting and value.
 */
SL_MUST_CHECK int sl_topic_setting_parse(struct sl_topic_cfg *cfg,
					 const struct sl_topic_setting *row, const char *text,
					 size_t len, char *err, size_t errlen);

/* Takes from `over` what `set` names, the rest from `base`. */
void sl_topic_cfg_layer(struct sl_topic_cfg *ret_cfg, const struct sl_topic_cfg *base,
			const struct sl_topic_cfg *over, uint32_t set);

#endif
