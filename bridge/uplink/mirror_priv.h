/* SPDX-License-Identifier: Apache-2.0 */
/* mirror_priv.h - inside the mirror: its thread's structures. Nobody else includes this. */
#ifndef SL_BRIDGE_UPLINK_MIRROR_PRIV_H
#define SL_BRIDGE_UPLINK_MIRROR_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "mirror.h"
#include "mirror_pos.h"
#include "platform/record/frame.h"
#include "rdk.h"

#define SL_MIRROR_POLL_MS 200
#define SL_MIRROR_SAVE_NS 5000000000ull
#define SL_MIRROR_LOOK_NS 20000000000ull /* the centre's partitions, when all is well */
#define SL_MIRROR_ASK_MS  1000           /* for a request that blocks the thread */
#define SL_MIRROR_PATH    (SL_CFG_PATH_MAX + 32)

struct sl_mirror_topic;

struct sl_mirror_part {
	struct sl_mirror_topic *topic;
	struct sl_part *part;
	int32_t id;
	bool placed;   /* `next` is known */
	bool fetching; /* the consumer reads it */
	int64_t next;  /* offset at the centre; -1: its first */
	int64_t high;  /* end there, -1: not known */
	/* what the file may say once `synced` is there */
	int64_t local, central;
	bool unsaved;
	/* the batch that is being filled, or is with the data plane */
	struct sl_bb bb;
	uint8_t *buf;
	uint32_t cap;
	int64_t bb_next; /* `next` when it is stored */
	struct sl_append append;
};

struct sl_mirror_topic {
	const char *name; /* the config's */
	rd_kafka_topic_t *rkt;
	struct sl_topic *topic; /* referenced; NULL: not found or made yet */
	struct sl_mirror_part *part;
	uint32_t part_cnt;
	uint32_t max_bytes; /* of a batch, by the local topic's settings */
	uint64_t due_ns;    /* when to look at it again */
	uint32_t backoff_ms;
};

struct sl_mirror {
	struct sl_mirror_cfg cfg;
	struct sl_rdk_settings set;
	char path[SL_MIRROR_PATH];
	struct sl_ctr_bridge *ctr;
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	_Atomic bool released; /* nothing but the consumer is touched by the thread any more */

	/* the mirror thread's */
	struct sl_rdk_client *client;
	rd_kafka_queue_t *q;
	struct sl_injector *inj; /* opened and closed by control */
	struct sl_waker done;
	struct sl_cursor_mem mem;
	struct sl_mpos_file saved;
	struct sl_mirror_topic topic[SL_CFG_DOWNLINKS_MAX];
	uint32_t topic_cnt;
	struct sl_hdr *hdr; /* of the record at hand */
	uint32_t hdr_cap;
	uint32_t out; /* appends with the data plane */
	uint64_t save_ns, rng;
	uint64_t generation; /* of the store's topics, when they were last looked at */
	uint32_t client_backoff_ms;
	uint64_t client_due_ns;
	struct sl_log_limit limit;

	pthread_mutex_t lock; /* of stats */
	struct sl_mirror_stats stats;
};

/* mirror.c */
void sl_mirror_error(struct sl_mirror *m, const char *fmt, ...) SL_PRINTF(2, 3);
/* Monotonic ns at which to try again; doubles *backoff_ms within the config's bounds. */
uint64_t sl_mirror_again(struct sl_mirror *m, uint32_t *backoff_ms);
bool sl_mirror_stopping(const struct sl_mirror *m);

/* mirror_topic.c: finding, making and growing topics; where their partitions go on */
void sl_mirror_topic_tend(struct sl_mirror *m, struct sl_mirror_topic *t, uint64_t now_ns);
/* Stops reading; what is not stored will be read again. */
void sl_mirror_part_halt(struct sl_mirror *m, struct sl_mirror_part *p);
bool sl_mirror_topic_deleted(const struct sl_mirror_topic *t); /* the local one */
/* The local topic is gone, or the mirror ends. */
void sl_mirror_topic_drop(struct sl_mirror *m, struct sl_mirror_topic *t);
/* What the consumer says of a partition that is not a record. */
void sl_mirror_topic_event(struct sl_mirror *m, const rd_kafka_message_t *msg);

/* mirror_copy.c: records into the log */
/* Up to SL_MIRROR_BATCH_RECORDS from the consumer, stored when it returns. Their number. */
unsigned sl_mirror_copy(struct sl_mirror *m);

#endif
