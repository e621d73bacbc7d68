/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_rdkafka.h - inside the sink to a real cluster; nobody else includes this.
 *
 * Two threads and two objects. The uplink thread owns the sink: delivery reports, topics that it
 * has asked for, events not fetched yet. From open to close there is a session: one librdkafka
 * producer and one worker thread that makes the calls that block, one job after the other. Jobs go
 * to the worker and come back done, in order, each with the event that it ends with.
 *
 * A call into librdkafka cannot be broken off. So close() waits for the worker up to a bound and
 * then leaves it behind: the session is then the worker's alone, and goes when the call returns.
 * A worker that is left behind touches nothing of the sink or of the config.
 */
#ifndef SL_BRIDGE_UPLINK_SINK_RDKAFKA_H
#define SL_BRIDGE_UPLINK_SINK_RDKAFKA_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "rdk.h"
#include "sluice/store.h"

#define SL_RDK_TOPICS_MAX     (SL_STORE_TOPICS_MAX + 16) /* asked for by the engine */
#define SL_RDK_TOPIC_BUCKETS  512
#define SL_RDK_TOPIC_AGE_MS   60000                    /* then its partitions are looked at again */
#define SL_RDK_POSITION_PARTS 25                       /* of a positions topic that we make */
#define SL_RDK_POSITIONS_MAX  (2 * SL_STORE_PARTS_MAX) /* keys of one gateway; older topics' too */
#define SL_RDK_DOUBT_MS       1500                     /* without a report: is a topic gone? */
#define SL_RDK_SILENCE_MS     10000 /* somebody should have answered: the link counts as down */
#define SL_RDK_PROBE_MS       1000  /* while it is down and nothing else is under way */
#define SL_RDK_CLOSE_MS       800   /* for the call under way, */
#define SL_RDK_DESTROY_MS     200   /* and for the library to let go */
#define SL_RDK_STUCK_MAX      3     /* sessions left behind at a time */
#define SL_RDK_SLICE_MS       250   /* of a wait that can be cut up */
#define SL_RDK_LOOK_MS        5000  /* for the metadata of a topic */
#define SL_RDK_MAKE_MS        30000

/* ---- jobs ------------------------------------------------------------------------------------ */

struct sl_rdk_session;

struct sl_rdk_job { /* the uplink thread's, but from post until it is done */
	STAILQ_ENTRY(sl_rdk_job) link;
	void (*run)(struct sl_rdk_session *s, struct sl_rdk_job *j);
	/* what for */
	char topic[SL_TOPIC_NAME_MAX + 1];
	rd_kafka_topic_t *rkt; /* of `topic`; borrowed from the session */
	uint32_t partitions;
	int32_t replication;
	bool compacted;
	bool positions; /* the positions topic: with settings of its own */
	/* what came of it */
	enum sl_sink_event_kind kind;
	enum sl_sink_class class;
	int kafka_error;
	int32_t found;                            /* partitions of the topic */
	const struct rd_kafka_metadata *metadata; /* of all topics, owned: a survey */
	char text[SL_RDK_TEXT];
};
STAILQ_HEAD(sl_rdk_jobs, sl_rdk_job);

/* ---- what the positions topic says, as the worker found it ------------------------------------
 */

struct sl_rdk_found {              /* one key */
	struct sl_rdk_found *next; /* same bucket */
	int32_t partition;
	uint32_t key_len, val_len;
	uint8_t *val; /* NULL: a tombstone */
	uint8_t key[];
};

struct sl_rdk_positions {
	struct sl_rdk_found *bucket[1024];
	uint32_t cnt;
	int32_t partition; /* where they lie, or where the first will */
	/* the uplink thread's way through it */
	uint32_t at;
	struct sl_rdk_found *next;
};

struct sl_rdk_positions *sl_rdk_positions_new(void);
void sl_rdk_positions_free(struct sl_rdk_positions *p); /* accepts NULL */
/* The last record of a key counts. -ENOMEM, -E2BIG. */
SL_MUST_CHECK int sl_rdk_positions_put(struct sl_rdk_positions *p, int32_t partition,
				       struct sl_slice key, struct sl_slice val);
/* The next one as an event: CLAIM, POSITION or BAD_POSITION. False: no more. */
bool sl_rdk_positions_next(struct sl_rdk_positions *p, const char *gateway,
			   struct sl_sink_event *ret_ev);

/* ---- session --------------------------------------------------------------------------------- */

struct sl_rdk_topic { /* the uplink thread's until `released` */
	struct sl_rdk_topic *next;
	rd_kafka_topic_t *rkt;
	int32_t partitions; /* 0: not known, or gone */
	uint64_t looked_ns; /* at the last look, 0: never */
	bool looking;       /* a job is under way */
	bool say_gone;      /* an event is due */
	char name[];
};

struct sl_rdk_stuck { /* how many sessions were left behind: one reference each, and the sink's */
	_Atomic uint32_t refs;
};
void sl_rdk_stuck_put(struct sl_rdk_stuck *k);

struct sl_rdk_session {
	/* constant from the start */
	struct sl_rdk_settings set;
	char positions_topic[SL_TOPIC_NAME_MAX + 1];
	int32_t replication;
	int efd; /* a duplicate of the sink's */
	struct sl_rdk_stuck *stuck;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t cond;
	struct sl_rdk_jobs todo, done;
	bool left;     /* the worker is in no call any more and does none */
	bool released; /* the uplink thread uses nothing of this any more */
	bool ended;    /* nothing of the library is left, the worker touches nothing any more */
	bool orphan;   /* left behind: the worker frees */

	_Atomic bool stop;
	_Atomic(rd_kafka_queue_t *) q; /* the producer's main queue, once it is there */
	/* of the transaction; the uplink thread counts, the worker looks */
	_Atomic uint32_t refused, unsent;
	_Atomic bool broken; /* fatal: nothing to wait for */

	/* the uplink thread's until `released` */
	struct sl_rdk_topic *topic[SL_RDK_TOPIC_BUCKETS];
	uint32_t topic_cnt;
	/* the worker's until `left` */
	struct sl_rdk_client *producer, *reader;
	rd_kafka_topic_t *positions_rkt;
	struct sl_rdk_positions *found; /* the uplink thread's once the open job is done */
};

SL_INLINE bool sl_rdk_stopping(struct sl_rdk_session *s)
{
	return atomic_load_explicit(&s->stop, memory_order_acquire);
}

void *sl_rdk_worker(void *session);                 /* the thread */
void sl_rdk_session_free(struct sl_rdk_session *s); /* ended, or never begun; accepts NULL */
void sl_rdk_ring(int efd);                          /* makes poll_fd readable */

/* Jobs; run by the worker. */
void sl_rdk_job_open(struct sl_rdk_session *s, struct sl_rdk_job *j);
void sl_rdk_job_commit(struct sl_rdk_session *s, struct sl_rdk_job *j);
void sl_rdk_job_abort(struct sl_rdk_session *s, struct sl_rdk_job *j);
void sl_rdk_job_look(struct sl_rdk_session *s, struct sl_rdk_job *j);   /* TOPIC_* */
void sl_rdk_job_make(struct sl_rdk_session *s, struct sl_rdk_job *j);   /* TOPIC_* */
void sl_rdk_job_survey(struct sl_rdk_session *s, struct sl_rdk_job *j); /* LINK_*; metadata */

/* Frees the job and what it brought. */
void sl_rdk_job_free(struct sl_rdk_job *j);
/* Fills the job in with a failure and returns false, for `return sl_rdk_fail(...)`. */
bool sl_rdk_fail(struct sl_rdk_job *j, enum sl_sink_class class, int kafka_error, const char *fmt,
		 ...) SL_PRINTF(4, 5);
/* Reads the positions topic to its end into *ret_found. False: j says why, or stopping. */
bool sl_rdk_read_positions(struct sl_rdk_session *s, struct sl_rdk_job *j, int32_t partitions,
			   struct sl_rdk_positions **ret_found);
/* The positions topic must not delete by time or size: false and j says so if it does. */
bool sl_rdk_check_compacted(struct sl_rdk_session *s, struct sl_rdk_job *j);

/* ---- the sink: the uplink thread's ------------------------------------------------------------
 */

#define SL_RDK_NS_PER_MS 1000000ull

enum sl_rdk_state {
	SL_RDK_CLOSED,
	SL_RDK_OPENING,
	SL_RDK_IDLE, /* ready, no transaction */
	SL_RDK_IN_TXN,
	SL_RDK_ENDING, /* commit or abort is with the worker */
	SL_RDK_BROKEN, /* only close helps */
};

enum sl_rdk_link { SL_RDK_LINK_UNKNOWN, SL_RDK_LINK_UP, SL_RDK_LINK_DOWN };

struct sl_rdk_refusal { /* not said yet */
	uint64_t tag;
	int err;
};

struct sl_rdk_sink {
	struct sl_sink base;
	struct sl_rdk_settings set;
	char positions_topic[SL_TOPIC_NAME_MAX + 1];
	int32_t replication;
	int efd;
	struct sl_rdk_stuck *stuck;
	struct sl_rdk_client *reader; /* kept open between sessions */

	struct sl_rdk_session *ses;
	pthread_t thread;
	enum sl_rdk_state state;
	uint32_t jobs; /* with the worker */
	struct sl_rdk_positions *found;
	bool saying_found; /* READY follows when all is said */
	struct sl_rdk_topic *last, *positions;

	/* records */
	uint32_t out;                   /* produced, not reported */
	uint32_t delivered, unsent;     /* not said yet */
	struct sl_rdk_refusal *refused; /* [window]: not said yet are [refused_at, refused_cnt) */
	uint32_t refused_at, refused_cnt;

	/* events that are no job's */
	bool say_failed, failed_said, abort_said;
	struct sl_sink_event failed;
	uint32_t gone_cnt; /* topics with say_gone */
	enum sl_rdk_link link, link_said;
	char link_text[SL_RDK_TEXT];
	uint64_t awake_ns; /* when somebody answered last, or when we began to wait */
	uint64_t probe_ns; /* not before */
	bool surveying;
	bool aborting;
	uint64_t purge_ns; /* the same */
};

SL_INLINE struct sl_rdk_sink *sl_rdk_of(struct sl_sink *s)
{
	return SL_CONTAINER_OF(s, struct sl_rdk_sink, base);
}

/* Somebody at the centre owes us an answer. */
SL_INLINE bool sl_rdk_awaiting(const struct sl_rdk_sink *k)
{
	return k->out > 0 || k->jobs > 0;
}

/* sink_rdkafka.c */
struct sl_rdk_job *sl_rdk_job_new(void (*run)(struct sl_rdk_session *, struct sl_rdk_job *));
void sl_rdk_job_post(struct sl_rdk_sink *k, struct sl_rdk_job *j);

/* sink_rdkafka_link.c: what goes wrong, and whether anybody is there */
/* The session is of no use any more: says FAILED, once. */
void sl_rdk_break_down(struct sl_rdk_sink *k, enum sl_sink_class class, int err, const char *text);
/* The transaction only: says FAILED of class ABORT, once in it. */
void sl_rdk_must_abort(struct sl_rdk_sink *k, const char *text);
void sl_rdk_set_link(struct sl_rdk_sink *k, enum sl_rdk_link l, const char *text);
/* Now and then; `all_down`: the library says so. */
void sl_rdk_watch_link(struct sl_rdk_sink *k, bool all_down);
void sl_rdk_survey(struct sl_rdk_sink *k);

/* sink_rdkafka_known.c: topics that were asked for */
struct sl_rdk_topic *sl_rdk_topic_find(struct sl_rdk_sink *k, const char *name);
struct sl_rdk_topic *sl_rdk_topic_get(struct sl_rdk_sink *k, const char *name); /* adds it */
void sl_rdk_topic_look(struct sl_rdk_sink *k, struct sl_rdk_topic *t);
/* One that was there. Breaks the session down. */
void sl_rdk_known_topic_gone(struct sl_rdk_sink *k, struct sl_rdk_topic *t);
int sl_rdk_topic_partitions(struct sl_sink *base, const char *name);
int sl_rdk_make_topic(struct sl_sink *base, const char *name, uint32_t partitions,
		      int32_t replication, bool compacted);

/* sink_rdkafka_out.c: records, and what became of them */
int sl_rdk_produce(struct sl_sink *base, const struct sl_sink_rec *r);
/* All that lies in the producer's main queue. */
void sl_rdk_serve(struct sl_rdk_sink *k);

/* sink_rdkafka_events.c */
unsigned sl_rdk_poll_events(struct sl_sink *base, struct sl_sink_event *ret_ev, unsigned n,
			    int timeout_ms);
void sl_rdk_quiet(struct sl_rdk_sink *k); /* poll_fd is not readable any more */

#endif
