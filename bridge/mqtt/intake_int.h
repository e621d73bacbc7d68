/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_int.h - the intake's own structs. This folder only. Everything here belongs to the
 * intake's thread unless named otherwise.
 *
 *   ring    a consumer's end, with the frames that are in hand, oldest first.
 *   item    one frame in hand, until it is answered; answers go out in the ring's order.
 *   batch   records of one partition on their way through its writer.
 *   topic   a cached reference to a topic of the store.
 */
#ifndef SL_BRIDGE_MQTT_INTAKE_INT_H
#define SL_BRIDGE_MQTT_INTAKE_INT_H

#include <pthread.h>
#include <sys/queue.h>

#include "hello.h"
#include "intake.h"
#include "map.h"
#include "platform/base/log.h"
#include "platform/net/loop.h"
#include "platform/net/pool.h"
#include "platform/net/unix.h"
#include "record.h"

#define SL_IN_ITEMS      4096u       /* frames in hand of one ring */
#define SL_IN_OPEN       64u         /* places for open batches of one ring */
#define SL_IN_SMALL      4096u       /* batch buffers: of one waited message, */
#define SL_IN_LARGE      65536u      /* of many that nobody waits for; else made to measure */
#define SL_IN_KEEP       256u        /* free ones kept of either size */
#define SL_IN_MEMORY_MAX (32u << 20) /* of all batches */
#define SL_IN_TOPICS     256u        /* places of the topic cache's hash; a power of two */
#define SL_IN_JOBS_MAX   32u
#define SL_IN_TURN       256u     /* frames of one ring in a turn */
#define SL_IN_WORK_NS    1000000u /* in one go, before the loop looks at its fds */
#define SL_IN_SPIN_NS    100000u /* looks on for so long before it sleeps, if what comes is near: */
#define SL_IN_EAGER_NS                                                                             \
	200000u /* an awaited append, or the last frame came so soon after another                 \
		 */
#define SL_IN_LAZY_NS   2000000u      /* appends nobody waits for come back by then */
#define SL_IN_NAP_NS    1000000u      /* while frames flow that nobody waits for */
#define SL_IN_NAP_MIN   16u           /* so many since the last sleep are a flow */
#define SL_IN_HOLD_NS   100000000u    /* a source's batches while the disk is full */
#define SL_IN_CLOSE_NS  5000000000ull /* for a plugin to say hello */
#define SL_IN_CONNS_MAX (SL_MQTT_PLUGINS_MAX + 4)
#define SL_IN_RINGS_MAX (SL_MQTT_PLUGINS_MAX + SL_CFG_BROKERS_MAX)

struct sl_in_ring;

struct sl_in_topic { /* kept as long as batches use it, in the hash or not */
	TAILQ_ENTRY(sl_in_topic) link;
	char name[SL_TOPIC_NAME_MAX + 1];
	uint32_t len;
	struct sl_topic *t; /* referenced */
	uint64_t generation;
	uint32_t parts;
	uint32_t next;      /* partition of the next records without a key */
	uint32_t batch_max; /* bytes that its settings allow */
	uint32_t uses;      /* batches */
	bool cached;
};
TAILQ_HEAD(sl_in_topic_list, sl_in_topic);

struct sl_in_item {
	struct sl_ring_ref ref;
	uint64_t since_ns; /* taken */
	uint32_t next;     /* of the same batch; SL_IN_ITEMS: the last */
	uint8_t answer;    /* enum sl_ring_answer; NONE: in hand */
	uint8_t row;       /* enum sl_bridge_row: what it counts as */
	bool logged;
};

enum sl_in_where { SL_IN_IS_OPEN, SL_IN_IS_OUT, SL_IN_IS_RETRY, SL_IN_IS_HELD, SL_IN_IS_SYNCING };

struct sl_in_batch {
	struct sl_append a;
	TAILQ_ENTRY(sl_in_batch) link;
	struct sl_in_ring *ring;
	struct sl_in_topic *topic;
	struct sl_bb bb;
	uint32_t first, last; /* items, as places */
	uint32_t sequence;
	int64_t end_before;
	uint32_t size; /* of buf */
	uint8_t place; /* in ring->open */
	uint8_t where; /* enum sl_in_where */
	bool waited, unkeyed;
	uint8_t buf[] SL_ALIGNED(8);
};
TAILQ_HEAD(sl_in_batch_list, sl_in_batch);

/* What a daemon that died had taken from the ring and not answered. */
struct sl_in_handed {
	uint64_t id;
	struct sl_ring_taken t;
	bool found;
};

struct sl_in_handover {
	struct sl_job job;
	struct sl_in_ring *ring;
	struct sl_store *store;
	int64_t pid;  /* in: -1, one is needed */
	uint32_t cnt; /* of f, in the order of ids */
	struct sl_in_handed *f;
};

enum sl_in_state {
	SL_IN_OPENING, /* a worker looks for what was handed over */
	SL_IN_RUNNING,
};

struct sl_in_ring {
	struct sl_intake *in;
	TAILQ_ENTRY(sl_in_ring) link;
	struct sl_ring ring;
	enum sl_in_state state;
	bool source, broken;
	bool draining; /* no frame beyond drain_to, then it goes */
	bool making;   /* a worker makes the topic of the pending frame */
	int make_err;  /* what came of it */
	bool held;     /* a source: batches wait for the disk */
	uint64_t drain_to;
	int64_t pid; /* -1: batches are not marked */
	char name[SL_CFG_NAME_MAX];
	void *mem;
	size_t mem_bytes;
	/* the frame that was peeked and could not go on */
	bool pending;
	struct sl_ring_msg msg;
	struct sl_ring_ref ref;
	struct sl_slice topic, client; /* of msg, as they lie in the ring */
	uint64_t pending_ns;           /* since when */
	/* in hand */
	uint32_t item_at, item_cnt;
	uint32_t logged; /* of these, from the oldest on, without a gap */
	struct sl_in_item *item;
	struct sl_in_batch *open[SL_IN_OPEN];
	uint32_t open_cnt;
	struct sl_in_handover *handover;
	/* figures */
	uint64_t taken; /* since the last sleep, that nobody waits for */
	_Atomic uint64_t messages, refused, too_large, lost;
	uint64_t lost_seen;
	/* plugins: the connection; -1: gone */
	struct sl_loop_fd sock, wake;
};
TAILQ_HEAD(sl_in_ring_list, sl_in_ring);

struct sl_in_conn { /* has not said hello */
	TAILQ_ENTRY(sl_in_conn) link;
	struct sl_intake *in;
	struct sl_loop_fd f;
	struct sl_timer timer;
};

struct sl_intake_source {
	struct sl_intake *in;
	struct sl_in_ring *ring; /* the intake's end; its figures are atomic */
	struct sl_ring put;      /* the source's end; its thread's */
	int efd;                 /* the ring's `wake` */
	_Atomic bool closed;
};

struct sl_intake {
	struct sl_mqtt_cfg cfg;
	const struct sl_config *config;
	struct sl_ctr_bridge *ctr;
	struct sl_map *map;
	struct sl_loop *loop;
	struct sl_pool *pool;
	struct sl_injector *inj;
	struct sl_waker done;   /* appends came back */
	struct sl_waker synced; /* synced moved */
	struct sl_loop_fd done_fd, synced_fd, listen;
	bool done_added, synced_added;
	struct sl_unix_file file;
	struct sl_timer beat, hold, stop_timer;
	pthread_t thread;
	bool started, abandoned;
	bool stopping, stopping_hard;
	uint64_t stop_deadline_ns;
	struct sl_loop_msg stop_msg;
	struct sl_log_limit log_bad, log_refused, log_topics;

	struct sl_in_ring_list rings;
	unsigned plugin_cnt;
	TAILQ_HEAD(, sl_in_conn) conns;
	unsigned conn_cnt;
	unsigned source_cnt;
	struct sl_intake_source source[SL_CFG_BROKERS_MAX];

	/* batches */
	struct sl_in_batch_list retry;   /* a writer's ring was full */
	struct sl_in_batch_list held;    /* of sources, the disk is full */
	struct sl_in_batch_list syncing; /* logged, answered when synced */
	struct sl_in_batch_list free_small, free_large;
	unsigned free_small_cnt, free_large_cnt;
	uint64_t memory;
	uint32_t out, out_waited; /* with writers */

	/* topics */
	struct sl_in_topic_list topics[SL_IN_TOPICS];
	uint32_t made;       /* topics there are that rules with placeholders could have made */
	uint64_t counted_ns; /* when they were counted */

	/* scratch */
	struct sl_map_out out_map;
	struct sl_mrecord rec;
	uint8_t *names; /* topic and client of the frame in hand, our own copy */
	uint64_t now_ns;
	uint64_t moved_ns; /* when there was something last */
	bool eager;        /* it comes in quick succession */
	int64_t wall_ms;

	/* what other threads ask for */
	pthread_mutex_t lock;
	bool lock_made;
	struct sl_mqtt_stats stats;
};

/* intake_ring.c: frames in, answers out */
struct sl_in_ring *sl_in_ring_new(struct sl_intake *in, void *mem, size_t mem_bytes);
void sl_in_ring_free(struct sl_in_ring *r); /* nothing in hand */
bool sl_in_ring_turn(struct sl_in_ring *r); /* true: something moved */
void sl_in_ring_answers(struct sl_in_ring *r);
/* Nothing beyond what is there now is read any more. */
void sl_in_ring_drain(struct sl_in_ring *r);
bool sl_in_ring_done(const struct sl_in_ring *r); /* draining, and all is answered */
void sl_in_ring_broken(struct sl_in_ring *r);

/* intake_batch.c */
/* Adds the record in->rec of the ring's pending frame. 0: it is item `place`'s; -EAGAIN: no memory
 * now; -EMSGSIZE. */
SL_MUST_CHECK int sl_in_batch_add(struct sl_in_ring *r, struct sl_in_topic *t, uint32_t place);
void sl_in_batch_close_all(struct sl_in_ring *r);
bool sl_in_batch_reap(struct sl_intake *in);
bool sl_in_batch_retry(struct sl_intake *in); /* those that found a writer's ring full */
bool sl_in_batch_check_sync(struct sl_intake *in);
void sl_in_batch_release_held(struct sl_intake *in); /* try the disk again */
void sl_in_batch_refuse_all(struct sl_intake *in);   /* what waits here, at the stop's end */
void sl_in_batch_fini(struct sl_intake *in);

/* intake_topic.c */
void sl_in_topics_init(struct sl_intake *in);
void sl_in_topics_fini(struct sl_intake *in);
/* The topic of in->out_map. -EINPROGRESS: a worker makes it, the ring waits; -EAGAIN: ask again;
 * -EMFILE: mqtt.max_topics; -errno of making it. */
SL_MUST_CHECK int sl_in_topic_get(struct sl_in_ring *r, struct sl_in_topic **ret_topic);
void sl_in_topic_drop(struct sl_intake *in, struct sl_in_topic *t); /* it was deleted */
void sl_in_topic_unuse(struct sl_in_topic *t);
/* True if `topic` could be what the template `rule` makes: text with {…} for one or more bytes. */
bool sl_in_topic_could_be(const char *rule, const char *topic);

/* intake_plugin.c */
SL_MUST_CHECK int sl_in_plugins_listen(struct sl_intake *in, char *err, size_t errlen);
SL_MUST_CHECK int sl_in_plugins_start(struct sl_intake *in);
void sl_in_plugins_stop(struct sl_intake *in); /* no new ones; the others are drained */
void sl_in_plugin_close(struct sl_in_ring *r); /* its sockets */
uint64_t sl_in_plugin_mark(const char *cluster_id, const uint8_t instance[16], int64_t pid);

/* intake_beat.c */
void sl_in_beat(struct sl_intake *in);       /* heartbeats and figures of all rings */
void sl_in_keep_stats(struct sl_intake *in); /* for other threads */

/* intake_handover.c */
/* Submits the search; the ring is SL_IN_OPENING until sl_in_plugin_opened(). */
SL_MUST_CHECK int sl_in_handover_start(struct sl_in_ring *r);
void sl_in_handover_free(struct sl_in_handover *h);
/* True: this frame lies in the log already. Ids come in their order: behind the last one that was
 * handed over, what was found is let go. */
bool sl_in_handover_has(struct sl_in_ring *r, uint64_t id);
void sl_in_plugin_opened(struct sl_in_ring *r);

SL_INLINE void sl_in_count(_Atomic uint64_t *c, uint64_t n) /* one writer */
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
