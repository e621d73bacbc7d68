/* SPDX-License-Identifier: Apache-2.0 */
/* downlink_priv.h - what downlink.c (the thread) and downlink_rule.c (one rule) share. */
#ifndef SL_BRIDGE_MQTT_DOWNLINK_PRIV_H
#define SL_BRIDGE_MQTT_DOWNLINK_PRIV_H

#include <pthread.h>

#include "downlink.h"
#include "downlink_msg.h"
#include "platform/base/log.h"

struct sl_dl_client { /* to a broker that rules name */
	struct sl_downlink *d;
	struct sl_mqclient *c; /* NULL: none does */
	bool cut;              /* end this connection, when the library is not on the stack */
};

struct sl_dl_slot { /* a message under way */
	int mid;
	uint32_t part;
	int64_t offset;
	bool done;
};

struct sl_dl_part {
	struct sl_cursor cursor; /* stands behind what was last sent or dropped */
	int64_t committed;       /* nothing below it is to be committed again */
};

struct sl_dl_rule {
	struct sl_downlink *d;
	const struct sl_cfg_downlink *cfg;
	struct sl_dl_client *client;
	struct sl_tpl *tpl;
	char group[SL_DOWNLINK_GROUP_MAX];
	struct sl_topic *topic; /* referenced; NULL: not there */
	uint8_t topic_id[16];
	bool remade;  /* it is another one than before: nothing that is committed is about it */
	uint64_t gen; /* of the store when it was looked for */
	uint32_t part_cnt, known; /* positions are known of the first `known` */
	struct sl_dl_part *part;
	uint32_t next;                              /* partition to read next */
	struct sl_dl_slot slot[SL_DOWNLINK_WINDOW]; /* in the order of sending, from `first` */
	uint32_t first, cnt;
	uint64_t life;      /* of the connection in which they were sent */
	uint64_t retry_ns;  /* something failed: not before */
	uint64_t commit_ns; /* UINT64_MAX: nothing to commit */
	uint64_t hold_ns;   /* a commit failed: not before */
	struct sl_log_limit log_bad, log_failed;
	/* any thread reads */
	_Atomic int64_t position_sum; /* -1: not known */
	_Atomic bool reading;
};

struct sl_downlink {
	struct sl_waker waker; /* its efd wakes us for everything */
	struct sl_downlink_cfg cfg;
	struct sl_cursor_mem mem;
	struct sl_down_msg msg;
	struct sl_dl_client client[SL_CFG_BROKERS_MAX];
	uint32_t rule_cnt;
	struct sl_dl_rule *rule;
	bool waker_added;
	pthread_t thread;
	bool started;
	_Atomic bool stopping;
	_Atomic uint64_t deadline_ns;
};

SL_INLINE void sl_dl_count(struct sl_downlink *d, enum sl_bridge_row row, uint64_t n)
{
	sl_ctr_add(&d->cfg.counters->row[row], n);
}

/* ---- downlink_rule.c: the downlink's thread ----------------------------------------------------
 */

/* Sends what there is, as far as the window allows. True: it has moved. */
bool sl_dl_rule_pump(struct sl_dl_rule *r, uint64_t now_ns);
/* True: a pump would move. */
bool sl_dl_rule_ready(const struct sl_dl_rule *r, uint64_t now_ns);
/* An acknowledgement; false: not one of this rule's. */
bool sl_dl_rule_acked(struct sl_dl_rule *r, int mid, uint8_t reason);
/* The connection that its messages were sent in is gone: they are sent again. */
void sl_dl_rule_follow_client(struct sl_dl_rule *r);
/* Sets commit_ns if there is something to commit. */
void sl_dl_rule_note(struct sl_dl_rule *r, uint64_t now_ns);
/* All positions, as far as they are synced: what a power cut takes from the log must not stay
 * committed. False: not all could be. Blocks. */
bool sl_dl_rule_commit(struct sl_dl_rule *r);
/* Nothing is under way, and a commit would cover all that was done. */
bool sl_dl_rule_settled(const struct sl_dl_rule *r);
void sl_dl_rule_drop_topic(struct sl_dl_rule *r);

#endif
