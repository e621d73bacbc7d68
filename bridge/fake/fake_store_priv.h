/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store_priv.h - the inside of the store in memory, for fake_store.c and fake_topics.c only.
 */
#ifndef SL_BRIDGE_FAKE_STORE_PRIV_H
#define SL_BRIDGE_FAKE_STORE_PRIV_H

#include <pthread.h>

#include "fake_store.h"
#include "platform/record/check.h"

#define FAKE_DEDUP      5
#define FAKE_TOPICS_MAX 64
#define FAKE_EPOCHS_MAX 16
#define FAKE_DEAD_MAX   64

struct batch {
	uint8_t *bytes;
	uint32_t len;
	int64_t base, last;
};

struct producer {
	int64_t pid;
	int16_t epoch;
	unsigned cnt;
	struct {
		int32_t first, last;
		int64_t offset;
	} recent[FAKE_DEDUP]; /* newest last */
};

struct sl_part {
	struct sl_part_pub pub; /* first, as store.h says */
	struct sl_store *store;
	struct batch *batch;
	size_t batch_cnt, batch_cap;
	struct producer *producer;
	size_t producer_cnt;
	int64_t bad_from, bad_to; /* offsets that cannot be read */
	unsigned epoch_cnt;
	struct {
		int32_t epoch;
		int64_t start;
	} epoch[FAKE_EPOCHS_MAX]; /* oldest first */
	int64_t dead[FAKE_DEAD_MAX];
	size_t dead_cnt;
	int64_t unsent_from, unsent_to;
};

struct sl_topic {
	_Atomic uint32_t refs; /* the store's list has one */
	char name[SL_TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	struct sl_topic_layers layers; /* under the store's lock */
	struct sl_store *store;
	_Atomic uint32_t partitions;
	struct sl_part *part[SL_PARTITIONS_MAX];
};

struct sl_injector {
	struct sl_store *store;
	struct sl_waker *done_waker;
	struct sl_append *todo[SL_INJECT_DEPTH], *done[SL_INJECT_DEPTH];
	unsigned todo_cnt, done_cnt;
};

struct sl_dataplane {
	struct sl_store *store;
	struct sl_injector inj;
};

struct fake_deleted { /* a name that was deleted before: its next topic has another id */
	char name[SL_TOPIC_NAME_MAX + 1];
	unsigned times;
};

struct sl_store {
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_t thread;
	bool running;
	struct fake_cfg cfg;
	struct sl_topic *topic[FAKE_TOPICS_MAX]; /* in the order of names */
	size_t topic_cnt;
	struct fake_deleted *deleted;
	size_t deleted_cnt;
	_Atomic uint64_t generation;
	_Atomic unsigned alive; /* topics that somebody refers to */
	struct sl_waker *waker[SL_STORE_WAKERS_MAX];
	_Atomic bool link;
	_Atomic uint64_t forwards;
	struct sl_dataplane dp;
	int64_t next_pid;
};

void fake_store_ring(struct sl_store *s); /* all wakers */

#endif
