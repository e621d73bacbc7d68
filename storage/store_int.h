/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_int.h - the store, its writers and its housekeeper, for the files of this folder.
 */
#ifndef SL_STORAGE_STORE_INT_H
#define SL_STORAGE_STORE_INT_H

#include <pthread.h>

#include "io.h"
#include "layout.h"
#include "part.h"
#include "platform/base/log.h"
#include "sluice/counters.h"
#include "sluice/store.h"
#include "spsc.h"
#include "stripe.h"
#include "tail.h"

#define SL_ROUND_PARTS 64u  /* partitions in one group sync */
#define SL_STOCK_MAX   8u   /* recycled files kept */
#define SL_PID_BLOCK   1000 /* producer ids made durable at a time */

/* ---- writers --------------------------------------------------------------------------------- */

enum sl_req_kind { SL_RK_STRIPE, SL_RK_SLOT, SL_RK_SYNC, SL_RK_JOURNAL };

struct sl_round_part { /* one partition in a group sync */
	struct sl_part *p;
	struct sl_seg *seg; /* active when the round began */
	int64_t target_abs; /* bytes that must be in the file */
	int64_t target_off; /* log end that becomes `synced` */
	uint8_t *block;     /* SL_IO_BLOCK: copy of the unfinished block on its way to the file */
	uint8_t *slot;      /* SL_TAIL_SLOT: on its way to the journal */
	bool block_busy;    /* block is being written */
	bool slot_done, failed;
	struct sl_io_req slot_req;
	struct sl_io_req sync_req[SL_CLOSING_MAX + 1];
};

enum sl_round_phase { SL_ROUND_IDLE, SL_ROUND_WRITE, SL_ROUND_SYNC };

struct sl_round {
	enum sl_round_phase phase;
	unsigned cnt;
	unsigned pending; /* sync requests under way */
	bool journal_failed;
	struct sl_io_req journal_req;
	struct sl_round_part part[SL_ROUND_PARTS];
	uint8_t *mem; /* blocks and slots */
};

struct sl_store_writer {
	struct sl_store *store;
	unsigned idx;
	_Atomic bool attached;
	struct sl_pool *pool;
	struct sl_ctr_writer *ctr;
	struct sl_ctr_writer own_ctr; /* used without a counter file */
	int efd;
	int journal_fd; /* its own: a write-back error is told once to each open file */
	struct sl_spsc to_hk, from_hk;

	/* the writer thread */
	struct sl_io *io SL_ALIGNED(SL_CACHELINE);
	unsigned inflight; /* requests of all kinds */
	bool ring_pending; /* something was published since the last ring */
	uint32_t tails;    /* partitions that have a stripe */
	bool draining;
	unsigned idle_polls;
	struct sl_part *dirty_head, *dirty_tail; /* unsynced bytes, oldest first */
	struct sl_part *want_head, *want_tail;   /* somebody waits for a sync, oldest first */
	uint64_t want_bytes;
	uint32_t held;           /* partitions that wait for durable names, in neither list */
	struct sl_part *leaving; /* deleted ones that something is still under way for */
	struct sl_round round;

	/* statistics, read by anybody */
	_Atomic uint64_t writes, write_bytes, syncs, sync_failed, write_failed;
	_Atomic uint32_t failed_parts; /* what they have not written keeps its memory */
	_Atomic uint64_t stuck;        /* appends refused because there is no other memory */
};

/* append.c: what sync.c and writer.c share */
void sl_writer_part_fail(struct sl_store_writer *w, struct sl_part *p);
void sl_writer_dirty(struct sl_store_writer *w, struct sl_part *p);
void sl_writer_want(struct sl_store_writer *w, struct sl_part *p);
bool sl_writer_roll(struct sl_store_writer *w, struct sl_part *p);
void sl_writer_ask_hk(struct sl_store_writer *w, struct sl_part *p, uint32_t bits);
/* sync.c: a deleted partition is neither dirty nor wanted any more */
void sl_writer_unlist(struct sl_store_writer *w, struct sl_part *p);
/* leave.c: letting go of deleted partitions */
void sl_writer_leave(struct sl_store_writer *w, struct sl_part *p);
unsigned sl_writer_leave_poll(struct sl_store_writer *w);
/* flush.c */
void sl_writer_submit(struct sl_store_writer *w, struct sl_stripe *st);
void sl_writer_submit_part(struct sl_store_writer *w, struct sl_part *p);
void sl_writer_stripe_done(struct sl_store_writer *w, struct sl_stripe *st, int res);
struct sl_stripe *sl_writer_open_stripe(struct sl_store_writer *w, struct sl_part *p, uint32_t len);
void sl_writer_finish_stripe(struct sl_store_writer *w, struct sl_part *p);
/* There is no stripe to be had before the next start, unless a topic is deleted: every chunk holds
 * what a failed partition could not write. Asked when opening one did not work. */
bool sl_writer_stuck(struct sl_store_writer *w);
/* The segment goes to the housekeeper, who may delete it: no descriptor may name it any more. */
void sl_writer_forget_tail(struct sl_store_writer *w, struct sl_part *p, const struct sl_seg *g);
/* Writes out and syncs what a writer left behind, with plain calls. Control, no writer attached. */
SL_MUST_CHECK int sl_part_flush_blocking(struct sl_part *p);
/* sync.c */
unsigned sl_round_poll(struct sl_store_writer *w, uint64_t now_ns);
void sl_round_slot_done(struct sl_store_writer *w, struct sl_round_part *rp, int res);
void sl_round_sync_done(struct sl_store_writer *w, struct sl_round_part *rp, int res);
void sl_round_journal_done(struct sl_store_writer *w, int res);
uint64_t sl_round_due(const struct sl_store_writer *w);
/* A held partition goes back to the lists, if its names are durable now or it has failed. */
void sl_round_release(struct sl_store_writer *w, struct sl_part *p);
/* writer.c */
int sl_writer_init(struct sl_store_writer *w, struct sl_store *s, unsigned idx);
void sl_writer_fini(struct sl_store_writer *w); /* accepts zeroed */

/* ---- housekeeper ------------------------------------------------------------------------------
 */

struct sl_stock { /* a file kept for its blocks */
	char name[64];
	char from[SL_PARTDIR_MAX]; /* the log directory it came from in this run, or empty */
	int64_t old_max;           /* highest offset it ever held */
	uint64_t bytes;
};

enum sl_job_kind { SL_JOB_DELETE, SL_JOB_DELETE_RECORDS, SL_JOB_CHECKPOINTS };

struct sl_hk_job { /* what another thread waits for */
	enum sl_job_kind kind;
	struct sl_topic *topic;
	struct sl_part *part;
	int64_t offset;       /* wanted; afterwards: log start */
	uint64_t deadline_ns; /* monotonic */
	int rc;
	bool done;
	struct sl_hk_job *next;
};

struct sl_hk {
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	struct sl_waker waker;
	pthread_mutex_t job_lock;
	pthread_cond_t job_done;
	struct sl_hk_job *job;     /* job lock: not looked at yet */
	struct sl_hk_job *waiting; /* begun, and not finished */
	_Atomic bool job_new, retention_now;
	struct sl_topic *trash; /* deleted, and a writer still has some of it */
	struct sl_part
		*pending; /* to be tried again: those that wait for space seldom, others soon */
	uint64_t next_soon_ns, next_retry_ns, next_retention_ns, next_checkpoint_ns;
	uint64_t spare_seq;
	int64_t checkpoint_sum;        /* of the last checkpoints: nothing moved, nothing written */
	uint64_t finished_bytes;       /* of segments, since the last checkpoints */
	_Atomic uint64_t finished_max; /* more than that: checkpoints at once; tests lower it */
	struct sl_stock stock[SL_STOCK_MAX];
	unsigned stock_cnt;
	struct sl_log_limit full_lines, failed_lines; /* a full disk must not fill a log */
	struct sl_log_limit unsent_lines;             /* nor a long outage */
	uint64_t stuck_seen;
};

/* A deleted topic whose directories still bear its name: <data>/state/topics says so. */
struct sl_tomb {
	char name[SL_TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	uint32_t parts;
	struct sl_tomb *next;
};

/* ---- the store ---------------------------------------------------------------------------------
 */

struct sl_store {
	struct sl_store_cfg cfg;
	char *stripe_dir;
	struct sl_layout dir;
	const struct sl_io_ops *io;
	_Atomic bool direct; /* O_DIRECT works here */
	struct sl_arena arena;
	struct sl_tail tail;
	struct sl_store_writer *writer;

	pthread_rwlock_t topics_lock;
	struct sl_topic **topic; /* sorted by name */
	uint32_t topic_cnt, topic_cap;
	_Atomic uint32_t part_cnt;   /* the housekeeper looks without the lock */
	pthread_mutex_t create_lock; /* topics file, journal growth, producer ids, and: */
	uint32_t unlayered;          /* topics that have no base yet: state.md */
	struct sl_tomb *tomb;
	bool names_stale; /* checkpoints may still speak of a deleted topic */
	_Atomic uint64_t generation;
	_Atomic uint32_t trash_parts; /* deleted ones that a writer still has */
	pthread_mutex_t slot_lock;
	uint32_t *free_slot; /* slot lock: journal slots of deleted partitions */
	uint32_t free_slot_cnt, free_slot_cap;
	char *log_path; /* absolute */
	int64_t pid_next, pid_end;

	struct sl_hk hk;
	_Atomic(struct sl_waker *) waker[SL_STORE_WAKERS_MAX];
	_Atomic bool link;         /* the centre can be reached: the uplink says so */
	_Atomic uint64_t forwards; /* times that a forwarded offset moved */

	/* statistics */
	_Atomic int64_t log_bytes; /* disk space of segments, spares and stock */
	_Atomic uint64_t budget;
	_Atomic uint64_t evicted_bytes, evicted_records, evicted_segments, expired_segments;
	_Atomic uint64_t deleted_unsent;
	_Atomic uint64_t tail_hits, tail_misses;
	_Atomic bool disk_full;
};

int64_t sl_store_now_ms(const struct sl_store *s);
void sl_store_ring(struct sl_store *s); /* armed wakers; any thread */
unsigned sl_store_writer_of(const struct sl_store *s, const uint8_t topic_id[16], int32_t part);
/* Calls fn for every partition; the caller keeps topics from changing, or holds the lock. */
int sl_store_each_part(struct sl_store *s, int (*fn)(struct sl_part *p, void *arg), void *arg);

/* topics.c: <data>/state/topics and the directories that prove them */
SL_MUST_CHECK int sl_topics_load(struct sl_store *s);
struct sl_topics_edit { /* what is to be as if it had happened already */
	const struct sl_topic *add, *drop, *grow;
	uint32_t grow_to;
};
SL_MUST_CHECK int sl_topics_store(struct sl_store *s, const struct sl_topics_edit *edit);
SL_MUST_CHECK int sl_topics_insert(struct sl_store *s, struct sl_topic *t);

/* topic_cfg.c: its own layer is known from here on. True if it was not. Create lock. */
bool sl_topic_layered(struct sl_topic *t);

/* topic_parts.c: partitions [from, to) of a topic, files and all; under the create lock */
SL_MUST_CHECK int sl_topic_make_parts(struct sl_store *s, struct sl_topic *t, uint32_t from,
				      uint32_t to);
void sl_topic_unmake_parts(struct sl_store *s, struct sl_topic *t, uint32_t from, uint32_t to);
bool sl_store_parts_fit(struct sl_store *s, uint32_t more);
/* Gives a journal slot back; SL_NO_SLOT is none. Any thread. */
void sl_slot_put(struct sl_store *s, uint32_t slot);

/* epoch.c: what sl_part_epoch_end() answers from */
struct sl_epochs;
SL_MUST_CHECK int sl_part_epochs_keep(struct sl_part *p, const struct sl_epochs *e);

/* topic_trash.c: directories of deleted topics; housekeeper, or nobody else is there */
SL_MUST_CHECK int sl_trash_rename(struct sl_part *p); /* -ENOENT is fine: 0 */
/* The writer has let go: files, slot, and with the last partition the topic. */
void sl_trash_part(struct sl_part *p);
void sl_trash_finish(struct sl_store *s); /* no writer is attached */
void sl_tombs_free(struct sl_store *s);
void sl_trash_sweep(struct sl_store *s); /* at start: what a run that was killed left behind */

/* segfile.c: segment files and what belongs to them; housekeeping and control; they block */
SL_MUST_CHECK int sl_seg_open_active(struct sl_part *p, struct sl_seg *g);
SL_MUST_CHECK int sl_seg_extend(struct sl_part *p, struct sl_seg *g, uint32_t to);
/* After the writer's last sync: cut to size, index, snapshot, close. `sync`, here and below:
 * durable on return; else the caller syncs the file system. */
SL_MUST_CHECK int sl_seg_finish(struct sl_part *p, struct sl_seg *g, bool sync);
SL_MUST_CHECK int sl_seg_store_index(struct sl_part *p, struct sl_seg *g, bool sync);
/* Deletes the files of a segment, or gives the .log to the stock. */
void sl_seg_remove(struct sl_part *p, struct sl_seg *g, bool recycle);
int sl_seg_read_fd(struct sl_part *p, const struct sl_seg *g);
void sl_part_pstate_name(const struct sl_part *p, char *buf, size_t cap);
SL_MUST_CHECK int sl_part_snapshot(struct sl_part *p, int64_t offset, const struct sl_producer *all,
				   uint32_t cnt, bool sync);

/* housekeeper.c */
SL_MUST_CHECK int sl_hk_start(struct sl_store *s);
void sl_hk_stop(struct sl_store *s); /* finishes what writers asked for; accepts not started */
void sl_hk_tell(struct sl_part *p, uint32_t bits); /* bits for the writer; housekeeper only */
/* extent.c: on the housekeeper's thread; they block. Errors as in sl_retention_room(), or of the
 * disk. */
SL_MUST_CHECK int sl_hk_extend(struct sl_part *p); /* the active segment, if it is short of room */
SL_MUST_CHECK int sl_hk_spare(struct sl_part *p);  /* the next segment, if there is none */
/* Takes it out of what is to be tried again. Housekeeper. */
void sl_hk_forget(struct sl_part *p);
void sl_hk_retention_soon(struct sl_store *s); /* any thread */
/* hk_job.c: has the housekeeper do a job and waits for it. Control or worker. */
int sl_hk_call(struct sl_store *s, struct sl_hk_job *job);
void sl_hk_jobs(struct sl_store *s, uint64_t now); /* housekeeper */
int sl_job_delete(struct sl_store *s, struct sl_hk_job *job);
int sl_job_delete_records(struct sl_store *s, struct sl_hk_job *job, uint64_t now);
/* forward.c: log start moves up to `to` (not below where it is); returns how many of the records
 * that go by it the uplink had not sent, counted. Housekeeper. */
uint64_t sl_part_start_move(struct sl_part *p, int64_t to);
/* retention.c */
void sl_retention_run(struct sl_store *s);
/* Deletes the segments below log start, and has the active one rolled if all of it is. */
void sl_retention_below_start(struct sl_part *p);
/* 0 if `bytes` more fit into budget and file system, after eviction; -EAGAIN: soon, when what was
 * rolled has been synced; -ENOSPC. */
SL_MUST_CHECK int sl_retention_room(struct sl_store *s, uint64_t bytes);
bool sl_retention_full(struct sl_store *s, uint64_t more); /* beyond the byte budget with that */
/* Evicts one segment. 0, -EAGAIN: one will be ready soon, -ENOSPC: there is none. */
SL_MUST_CHECK int sl_retention_evict(struct sl_store *s);
SL_MUST_CHECK int sl_checkpoints_store(struct sl_store *s, bool final);
/* stock.c */
void sl_stock_load(struct sl_store *s);
bool sl_stock_put(struct sl_store *s, int dirfd, const char *name, int64_t old_max, uint64_t bytes);
/* Moves a file whose offsets all lie below `base` to spare/<name>, durably. Its bytes, 0: none. */
uint64_t sl_stock_take(struct sl_store *s, int64_t base, const char *name, int64_t *ret_old_max);
bool sl_stock_drop(struct sl_store *s); /* false if there was nothing to drop */

/* recovery.c */
SL_MUST_CHECK int sl_recover(struct sl_store *s, struct sl_store_recovery *rec, char *ret_err,
			     size_t errlen);
/* intent.c: makes `appended` exact after a kill -9 */
void sl_intents_finish(struct sl_store *s);

#endif
