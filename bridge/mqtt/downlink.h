/* SPDX-License-Identifier: Apache-2.0 */
/*
 * downlink.h - commands: records of a topic go to devices as MQTT messages.
 *
 * One thread. Each rule reads its topic's partitions with cursors, as far as they are `logged`, and
 * publishes through a connection to its broker; a broker has one such connection, beside the one
 * that subscribes there, and each of its lives is a new session (docs/decisions/0064).
 *
 * A rule has at most SL_DOWNLINK_WINDOW messages under way. Its position in a partition is the
 * first record whose message is neither acknowledged (PUBACK, PUBCOMP; QoS 0: written) nor dropped,
 * and is committed at the latest a quarter of a second later, and at a stop, as the offset of the
 * group sl_downlink_group(). A connection or a daemon that dies makes it go on there: nothing is
 * left out, and what was not committed is sent once more.
 *
 * Without a committed offset a rule begins at the log's start: commands that were written before
 * the gateway knew what to do with them are not lost, and old ones are what `expiry` is for.
 */
#ifndef SL_BRIDGE_MQTT_DOWNLINK_H
#define SL_BRIDGE_MQTT_DOWNLINK_H

#include "mqtt.h"

#define SL_DOWNLINK_WINDOW         64
#define SL_DOWNLINK_COMMIT_MS      250 /* after an acknowledgement, or as soon as */
#define SL_DOWNLINK_COMMIT_RECORDS 256 /* are done with: what a kill -9 repeats, about */
#define SL_DOWNLINK_GROUP_MAX      (32 + SL_CFG_NAME_MAX + SL_TOPIC_NAME_MAX)

struct sl_downlink;

struct sl_downlink_cfg {
	const struct sl_config *config; /* borrowed; downlink_cnt > 0 */
	struct sl_store *store;
	const struct sl_offsets_ops *offsets;
	void *offsets_arg;
	struct sl_ctr_bridge *counters; /* the line SL_CTR_DOWNLINK: its thread writes */
	int64_t (*wall_ms)(void *arg);  /* NULL: sl_clock_wall_ms() */
	void *wall_arg;
};

/* -EINVAL: a rule that was not checked; with a sentence in err. Control. */
SL_MUST_CHECK int sl_downlink_new(const struct sl_downlink_cfg *cfg, struct sl_downlink **ret,
				  char *err, size_t errlen);
SL_MUST_CHECK int sl_downlink_start(struct sl_downlink *d);
/* Reads no more; what is under way is waited for until half the time to deadline_ns (monotonic),
 * then the positions are committed. Whoever keeps the offsets still runs. Control; blocks. */
void sl_downlink_stop(struct sl_downlink *d, uint64_t deadline_ns);
void sl_downlink_free(struct sl_downlink *d); /* accepts NULL; stopped, or never started */

/*
 * The group that keeps a rule's offsets: sluice.downlink.<broker>.<topic>; the second and later
 * rules of the same broker and topic, in the order of the file, have .2, .3 behind it.
 */
void sl_downlink_group(const struct sl_config *config, uint32_t rule,
		       char ret_group[SL_DOWNLINK_GROUP_MAX]);

/* Of the connection to a broker for commands; false: no rule uses it. Any thread. */
bool sl_downlink_broker_stats(struct sl_downlink *d, uint32_t broker,
			      struct sl_mqtt_broker_stats *ret);
struct sl_downlink_rule_stats {
	uint64_t
		lag; /* records that are logged and not done with; 0 while the topic is not there */
	bool reading; /* its broker is connected and its position known */
};
void sl_downlink_rule_stats(struct sl_downlink *d, uint32_t rule,
			    struct sl_downlink_rule_stats *ret); /* any thread */

#endif
