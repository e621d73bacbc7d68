/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.h - the group coordinator of a server: all groups and committed offsets, and their
 * record in the internal topic __consumer_offsets.
 *
 * The topic is made when the first client looks for its coordinator; one that exists is read back
 * at start, before any client is answered. Memory follows the log: offsets change when a record
 * of theirs has been logged, in the log's order, by the same function that reads them back. Group
 * metadata is the other way round: the record says what the machine (group.h) has come to.
 *
 * Network thread, unless named otherwise.
 */
#ifndef SL_BRIDGE_KAFKA_GROUPS_H
#define SL_BRIDGE_KAFKA_GROUPS_H

#include "group.h"
#include "group_log.h"
#include "offsets.h"
#include "request.h"

#define SL_OFFSETS_TOPIC "__consumer_offsets"

struct sl_kgroups_cfg {            /* all zero: Kafka's defaults and ours */
	uint32_t initial_delay_ms; /* group.initial.rebalance.delay.ms */
	uint32_t min_session_ms;   /* group.min.session.timeout.ms */
	uint32_t max_session_ms;   /* group.max.session.timeout.ms */
	uint32_t max_members;      /* group.max.size */
	uint32_t partitions;       /* offsets.topic.num.partitions */
	uint64_t retention_ms;     /* offsets.retention.minutes */
	uint32_t check_ms;         /* offsets.retention.check.interval.ms */
	uint32_t metadata_max;     /* offset.metadata.max.bytes */
	bool commit_logged;        /* offsets.commit.required.acks 1, not -1 */
	uint32_t max_groups;       /* kafka.max_groups */
	uint32_t max_offsets;      /* kafka.max_offsets: committed ones, of all groups */
	uint64_t memory_bytes;     /* kafka.group_memory: what members say of themselves */
};

struct sl_kgroup {
	struct sl_group g;
	struct sl_kgroup *next; /* of its bucket */
	TAILQ_ENTRY(sl_kgroup) link, look_link;
	struct sl_slice id;
	uint32_t partition; /* of the internal topic */
	struct sl_offset_list offsets;
	uint32_t writes;       /* under way: they keep it in memory */
	uint64_t record_bytes; /* of its record in the log; 0: there is none */
	bool looking;          /* on the list of those that may not be needed any more */
};
TAILQ_HEAD(sl_kgroup_list, sl_kgroup);

struct sl_kgroup_counters {                        /* the network thread writes, any thread reads */
	_Atomic uint64_t groups, members, offsets; /* now */
	_Atomic uint64_t rebalances, commits, expired, refused; /* since the start */
	_Atomic uint64_t foreign, compactions, write_errors;
};

/* A request that waits for the group; begins its handler's struct, which is freed by free(). */
struct sl_kgroup_wait {
	STAILQ_ENTRY(sl_kgroup_wait) link;
	struct sl_kreq *req;
};

struct sl_kgone { /* a note of a topic that was deleted */
	struct sl_kgone *next;
	uint32_t len;
	uint8_t name[];
};

enum sl_kgroups_state { SL_KGROUPS_CLOSED, SL_KGROUPS_OPENING, SL_KGROUPS_OPEN };

struct sl_kgroups {
	struct sl_kserver *server;
	struct sl_kgroups_cfg cfg;
	enum sl_kgroups_state state;
	uint64_t failed_ns; /* opening failed then: not again at once; 0: it did not */
	struct sl_job job;
	int job_err;
	struct sl_topic *job_topic; /* referenced, while the job has it */
	struct sl_group_env env;
	struct sl_offsets offsets;
	uint32_t new_offsets; /* records of commits under way */
	struct sl_glog log;
	uint32_t mask, cnt;
	struct sl_kgroup **bucket;
	struct sl_kgroup_list all;           /* in the order of their making */
	struct sl_kgroup_list look;          /* perhaps nobody needs them */
	STAILQ_HEAD(, sl_kgroup_wait) ready; /* their responses have been built */
	struct sl_timer expiry;
	_Atomic(struct sl_kgone *)
		gone; /* pushed by any thread, taken whole by the network thread */
	struct sl_kgroup_counters counters;
};

/* ---- the server's side ----------------------------------------------------------------------- */

/* Control. `cfg` zeroed: defaults. */
SL_MUST_CHECK int sl_kgroups_init(struct sl_kgroups *ks, struct sl_kserver *s,
				  const struct sl_kgroups_cfg *cfg);
/* Nothing is parked or being written. Accepts zeroed. Control. */
void sl_kgroups_fini(struct sl_kgroups *ks);
/*
 * Reads the internal topic back if it exists. One that cannot be read leaves the server without a
 * coordinator (its clients get a retriable error), and is logged. Before the network thread runs.
 * Control; blocks.
 */
void sl_kgroups_load(struct sl_kgroups *ks);
/* True: something moved. */
bool sl_kgroups_turn(struct sl_kgroups *ks);
bool sl_kgroups_busy(const struct sl_kgroups *ks); /* a turn would move something at once */
/* Somebody waits for `synced`, or for room in a ring. */
bool sl_kgroups_waits(const struct sl_kgroups *ks);
/* Everything parked is answered with a retriable error; with `hard`, also what waits for the log.
 */
void sl_kgroups_give_up(struct sl_kgroups *ks, bool hard);
bool sl_kgroups_quiet(const struct sl_kgroups *ks); /* no write of ours is under way */
/*
 * A topic has been deleted: so are, with the next turn, the offsets that were committed for it. Any
 * thread; without memory for the note they stay until they expire.
 */
void sl_kgroups_topic_deleted(struct sl_kgroups *ks, struct sl_slice topic);

/* ---- for the handlers ------------------------------------------------------------------------ */

/*
 * The coordinator is there, made if need be. 0 with *ret_err 0, or an error code for the client;
 * -EAGAIN: it is being made, the request waits.
 */
SL_MUST_CHECK int sl_kgroups_open(struct sl_kgroups *ks, int16_t *ret_err);
/* NULL: unknown, or there is no coordinator. */
struct sl_kgroup *sl_kgroups_known(const struct sl_kgroups *ks, struct sl_slice id);
/* The same while it is being read back, too. */
struct sl_kgroup *sl_kgroups_find(const struct sl_kgroups *ks, struct sl_slice id);
/* Made if unknown; NULL: as many groups, or as much memory, as there may be: counted. */
struct sl_kgroup *sl_kgroups_get(struct sl_kgroups *ks, struct sl_slice id);
/* Looks soon whether anybody still needs the group. */
void sl_kgroups_look_at(struct sl_kgroups *ks, struct sl_kgroup *kg);
bool sl_kgroups_drop_unneeded(struct sl_kgroups *ks); /* true: looked at some */
/* The request's response is complete: it is sent, and `w` freed, when the stack is shallow. */
void sl_kgroups_answer(struct sl_kgroups *ks, struct sl_kgroup_wait *w);
/*
 * Writes the batch for the group; done(w, err) runs when it is logged or, with `sync`, synced. The
 * write is the caller's until then; its `err` is a Kafka error code of a group request.
 */
void sl_kgroups_write(struct sl_kgroups *ks, struct sl_kgroup *kg, struct sl_glog_write *w);
/*
 * May an offset of this partition be committed at all? `t` NULL: unknown topic. An error code.
 */
int16_t sl_kgroups_check_commit(const struct sl_kgroups *ks, const struct sl_topic *t,
				int32_t partition, uint32_t metadata_len);
/*
 * Is there room for `fresh` offsets more? Makes the group if there is none (*kg NULL; which only
 * those without a generation may commit for). 0, or an error code.
 */
int16_t sl_kgroups_admit_offsets(struct sl_kgroups *ks, struct sl_kgroup **kg, struct sl_slice id,
				 uint32_t fresh);
/* Adds a tombstone of the offset, of the group. */
void sl_kgroup_put_tombstone(struct sl_gbatch *b, const struct sl_kgroup *kg,
			     const struct sl_offset *x, int64_t now_ms);
void sl_kgroup_put_group_tombstone(struct sl_gbatch *b, const struct sl_kgroup *kg, int64_t now_ms);
/*
 * Deletes all offsets of a vacant group, and the group. `done` (may be NULL) runs when the last
 * tombstone is synced.
 */
void sl_kgroup_delete(struct sl_kgroups *ks, struct sl_kgroup *kg,
		      void (*done)(void *arg, int16_t err), void *arg);

/* One record of the log: of partition `from` that is being read back, or (-1) just logged. */
void sl_kgroups_apply(struct sl_kgroups *ks, struct sl_slice key, struct sl_slice value,
		      int32_t from);
/* Opens the log over the topic (takes the reference) and reads it all back. Blocks unless the topic
 * is empty. Control; or network thread. */
SL_MUST_CHECK int sl_kgroups_read_back(struct sl_kgroups *ks, struct sl_topic *t);
/* Bytes of live records of a partition, about. */
uint64_t sl_kgroups_live_bytes(const struct sl_kgroups *ks, uint32_t partition);
/* Encodes them all, in batches that go to fn (takes the batch). -ENOMEM. */
SL_MUST_CHECK int sl_kgroups_snapshot(struct sl_kgroups *ks, uint32_t partition,
				      int (*fn)(void *arg, struct sl_gbatch *b), void *arg);
void sl_kgroups_drop_all(struct sl_kgroups *ks); /* from memory; nothing is under way */
void sl_kgroups_expire(struct sl_kgroups *ks);
void sl_kgroups_forget_topic(struct sl_kgroups *ks, struct sl_slice topic);

#endif
