/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the settings that clients are told of and may change: every name of Kafka's
 * TopicConfig, and the broker's as far as they mean something here.
 *
 * A topic setting either has an effect, then platform/base/topic_cfg.h has its row, or it has one
 * value that is true of this gateway: that one is shown as read-only and accepted, any other is
 * refused by name. Broker settings belong to the config file: they are shown and never changed.
 *
 * Where a value comes from (KIP-226): the topic's own layer, set through this port, is source 1;
 * the config file is 4, what it says of the topic before what it says for all; else 5, a default.
 * Any thread.
 */
#ifndef SL_BRIDGE_KAFKA_SETTINGS_H
#define SL_BRIDGE_KAFKA_SETTINGS_H

#include "admin.h"
#include "platform/base/topic_cfg.h"

enum sl_ksource { SL_KSOURCE_TOPIC = 1, SL_KSOURCE_FILE = 4, SL_KSOURCE_DEFAULT = 5 };

#define SL_KSETTING_VALUE 768 /* bytes of a value's text: SL_CFG_LISTEN_MAX addresses */
#define SL_KSETTING_SYNS  4

struct sl_ksynonym {
	const char *name, *value;
	int8_t source;
	char buf[SL_TOPIC_SETTING_TEXT];
};

struct sl_ksetting { /* as DescribeConfigs shows it */
	const char *name;
	const char *value; /* NULL: null; or `buf` */
	const char *help;
	bool read_only;
	int8_t source; /* enum sl_ksource */
	uint8_t type;  /* enum sl_setting_type */
	unsigned syn_cnt;
	struct sl_ksynonym syn[SL_KSETTING_SYNS]; /* nearest first */
	char buf[SL_KSETTING_VALUE];
};

/* Rows in the order of names; at most SL_KSETTINGS_MAX of either kind. */
#define SL_KSETTINGS_MAX 128
uint32_t sl_ktopic_setting_cnt(void);
uint32_t sl_kbroker_setting_cnt(void);
const char *sl_ktopic_setting_name(uint32_t row);
const char *sl_kbroker_setting_name(uint32_t row);
/* The row, or -1: unknown. */
int sl_ktopic_setting_row(struct sl_slice name);
int sl_kbroker_setting_row(struct sl_slice name);
/* Of a topic with these layers. */
void sl_ktopic_setting(const struct sl_kserver *s, uint32_t row,
		       const struct sl_topic_layers *layers, struct sl_ksetting *ret);
/* Of the broker, as the asking connection sees it. */
void sl_kbroker_setting(const struct sl_kreq *r, uint32_t row, struct sl_ksetting *ret);

/*
 * Puts a value, or with p NULL takes it away, in the topic's own layer. False: e says why, 40 or
 * 42, and nothing has changed. Unknown names can be taken away, as with Kafka.
 */
bool sl_ktopic_setting_put(const struct sl_kserver *s, struct sl_slice name, struct sl_slice value,
			   struct sl_topic_layers *layers, struct sl_kadmin_err *e);
/* Is it this node's id, or empty for all brokers? Else false, and e says 42. */
bool sl_kbroker_id_ok(const struct sl_kserver *s, struct sl_slice name, struct sl_kadmin_err *e);
/*
 * False, and e says 40: the settings in force do not fit each other, or what `was` in force (NULL:
 * a new topic) had no sluice.acks.all=central, and no uplink carries the topic: what became
 * impossible since does not stand in the way of other changes.
 */
bool sl_ktopic_settings_fit(const struct sl_kserver *s, struct sl_slice topic,
			    const struct sl_topic_layers *was, const struct sl_topic_layers *layers,
			    struct sl_kadmin_err *e);

#endif
