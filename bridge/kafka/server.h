/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - what the connections of the network thread share, without sockets: store, injector,
 * worker pool, memory budget, the lists of those who wait.
 *
 * sl_kserver_turn() moves everything on; the loop calls it before each sleep, tests call it by
 * hand. The structs are visible to this folder only. Network thread unless named otherwise.
 */
#ifndef SL_BRIDGE_KAFKA_SERVER_H
#define SL_BRIDGE_KAFKA_SERVER_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "bufs.h"
#include "kafka.h"
#include "platform/base/log.h"
#include "platform/net/pool.h"
#include "platform/net/timer.h"
#include "platform/record/check.h"

struct sl_kadmin;
struct sl_kconn;
struct sl_kserver;
struct sl_kfetch;
struct sl_kgroups;
struct sl_kgroups_cfg;
struct sl_kproduce;

#define SL_KSERVER_JOBS_MAX     256         /* in the worker pool */
#define SL_KSERVER_LAZY_MAX     16          /* appends nobody waits for that stay unreaped, */
#define SL_KSERVER_LAZY_NS      2000000     /* so long at most */
#define SL_KSERVER_UNPACKED_MAX (32u << 20) /* a batch's records, decompressed */

struct sl_kserver_cfg {
	struct sl_store *store;
	struct sl_dataplane *dp;
	struct sl_timers *timers; /* fired by the owner */
	int32_t node_id;
	const char *advertise_host; /* "" or NULL: the local address of the connection that asks */
	uint16_t advertise_port;
	const struct sl_config *config; /* for what is told about the broker; borrowed */
	uint32_t num_partitions;
	bool auto_create;
	bool clamp_replication;                    /* a replication factor above 1 counts as 1 */
	const struct sl_topic_cfg *topic_defaults; /* copied */
	const struct sl_kgroups_cfg *groups;       /* copied; NULL: defaults (groups.h) */
	uint32_t request_max_bytes;
	uint64_t memory_bytes;
	uint32_t workers;        /* 0: jobs run inside turn() */
	uint32_t idle_ms;        /* 0: never */
	void (*wake)(void *arg); /* called by workers: turn() has something to do */
	void *wake_arg;
	uint64_t (*mono_ns)(void *arg);                          /* NULL: sl_clock_mono_ns() */
	int64_t (*wall_ms)(void *arg);                           /* NULL: sl_clock_wall_ms() */
	void (*random)(void *arg, uint8_t *ret_bytes, size_t n); /* NULL: the kernel's */
	void *clock_arg;
};

struct sl_kappend { /* an append on its way: begins what its owner embeds */
	struct sl_append a;
	void (*back)(struct sl_kserver *s, struct sl_kappend *x); /* it is done: a.err says how */
};

struct sl_kworker { /* each worker's scratch; the network thread has one, too */
	struct sl_scratch unpacked, packed;
};

/* The Produce requests of one connection, oldest first: that is the order of injection. */
struct sl_korder {
	TAILQ_HEAD(, sl_kproduce) queue;
	TAILQ_ENTRY(sl_korder) link; /* in wait_inject */
	bool waiting;                /* there */
	bool injecting; /* an answer under way may ask for it again: not twice at a time */
};

TAILQ_HEAD(sl_kconn_list, sl_kconn);
TAILQ_HEAD(sl_korder_list, sl_korder);
TAILQ_HEAD(sl_kproduce_list, sl_kproduce);
TAILQ_HEAD(sl_kfetch_list, sl_kfetch);

struct sl_kcounters { /* the network thread writes, any thread reads */
	_Atomic uint64_t connections, connections_total, connections_refused;
	_Atomic uint64_t requests, request_errors;
	_Atomic uint64_t bytes_in, bytes_out, memory;
	_Atomic uint64_t produce_records, produce_errors, fetch_bytes, fetch_from_disk;
	_Atomic uint64_t admin_errors;    /* topics, partitions and settings refused */
	_Atomic uint64_t central_refused; /* partitions of acks=all: the centre out of reach */
};

struct sl_kserver {
	struct sl_kserver_cfg cfg;
	struct sl_topic_cfg topic_defaults;
	struct sl_injector *inj;
	struct sl_pool *pool;
	struct sl_waker waker;
	struct sl_kworker inline_worker;
	struct sl_kbufs bufs;
	struct sl_kcounters counters;
	struct sl_log_limit log_bad;
	struct sl_kgroups *groups; /* owned */

	uint64_t appends_out;       /* injected and not reaped */
	uint64_t appends_awaited;   /* of these; nobody waits for those of acks=0 */
	uint64_t conn_cnt;          /* machines alive, closed ones with work under way included */
	bool memory_freed;          /* since `starved` and `hungry` were looked at */
	atomic_bool cancelled;      /* the stop's time is up: jobs end as soon as they can */
	struct sl_kconn *overdraft; /* the one connection that may go beyond the budget */

	struct sl_kconn_list conns;
	struct sl_kconn_list stalled; /* their next request found no room to start */
	struct sl_kconn_list starved; /* their input waits for memory */
	struct sl_korder_list wait_inject;
	struct sl_kproduce_list wait_sync;
	struct sl_kproduce_list wait_central;
	uint64_t central_seen;          /* moves of the store when wait_central was looked at */
	STAILQ_HEAD(, sl_kadmin) admin; /* what changes topics, oldest first: one at a time */
	struct sl_kfetch_list parked;
	struct sl_kfetch_list cold;     /* wait for room in the worker pool */
	struct sl_kfetch_list fetching; /* have more to copy in the next turn */
	struct sl_kfetch_list hungry;   /* their first batch waits for memory */
};

/* Opens the injector and adds the waker (whose efd is the owner's to poll and drain). Control. */
SL_MUST_CHECK int sl_kserver_init(struct sl_kserver *s, const struct sl_kserver_cfg *cfg);
/* All connections closed, nothing under way. Accepts zeroed. Control. */
void sl_kserver_fini(struct sl_kserver *s);

/* Moves on whatever can move, looking at everything. True: there is more to do at once. */
bool sl_kserver_turn(struct sl_kserver *s);
/*
 * The same for the loop's prepare hook: looks at log ends and appends only if the waker was rung
 * since it was armed, and arms it for what is waited for. False: it is safe to sleep,
 * until sl_kserver_due() at the latest.
 */
bool sl_kserver_prepare(struct sl_kserver *s);
/*
 * Monotonic ns by which it must be called again, UINT64_MAX: no need. Appends with acks=0 are not
 * worth a wake-up each: they come back with the next request, or then.
 */
uint64_t sl_kserver_due(const struct sl_kserver *s);
/* Timeouts, memory pressure. About once a second. */
void sl_kserver_tick(struct sl_kserver *s);
/* No append, job or request is under way. */
bool sl_kserver_quiet(const struct sl_kserver *s);

/* Hands it to its writer. 0; -EAGAIN: the ring is full, nothing happened. */
SL_MUST_CHECK int sl_kserver_inject(struct sl_kserver *s, struct sl_kappend *x);

uint64_t sl_kserver_mono_ns(const struct sl_kserver *s);
int64_t sl_kserver_wall_ms(const struct sl_kserver *s); /* any thread */
bool sl_kserver_over_budget(const struct sl_kserver *s);
/* `bytes` more are within the budget. */
bool sl_kserver_has_room(const struct sl_kserver *s, uint64_t bytes);
/* From now on jobs do no more than they must: the stop does not wait for them. */
void sl_kserver_cancel(struct sl_kserver *s);
bool sl_kserver_cancelled(const struct sl_kserver *s); /* any thread */

SL_INLINE void sl_kcount(_Atomic uint64_t *c, uint64_t n)
{
	/* one writer: no locked instruction */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* ---- what the handlers' files offer to the turn ---------------------------------------------- */

void sl_kproduce_inject(struct sl_kserver *s, struct sl_korder *order); /* those that are ready */
void sl_kproduce_check_waiting(struct sl_kserver *s);
void sl_kproduce_give_up(struct sl_kserver *s);         /* those that wait time out now */
void sl_kproduce_give_up_central(struct sl_kserver *s); /* for a centre that is out of reach */
void sl_kfetch_check_parked(struct sl_kserver *s);
void sl_kfetch_continue(struct sl_kserver *s);
void sl_kfetch_feed(struct sl_kserver *s);    /* memory was freed: the hungry try again */
void sl_kfetch_squeeze(struct sl_kserver *s); /* parked ones that hold batches are answered now */
void sl_kfetch_give_up(struct sl_kserver *s); /* all that wait are answered now */

#endif
