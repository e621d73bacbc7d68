/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the log: what storage offers to writer threads, bridges and the control plane.
 *
 * Concepts
 *   store      one data directory, locked; owns topics, a housekeeping thread, the stripe file.
 *   topic      name, topic id (UUID), partitions, configuration under Kafka's own names.
 *   partition  one Kafka log; owned by exactly one writer for the life of the process.
 *   writer     what one writer thread holds: its stripes and its I/O queue. Only the owner of a
 *              partition appends to it; everybody may read what it has published.
 *
 * What an offset is worth
 *   log start <= synced <= log end. The log end is the high watermark and the end of what is
 *   `logged`: bytes below it lie in the stripe file (which outlives the process) or in the
 *   segment. Below `synced` a completed fdatasync covers them.
 *
 * Thread roles, named in each declaration
 *   control    main thread and the like; may block.
 *   writer     the one thread that attached the writer; never blocks, no locks.
 *   reader     any other thread; may block only where it says so.
 *
 * Errors are -errno. Nothing here prints or exits.
 */
#ifndef SLUICE_STORE_H
#define SLUICE_STORE_H

#include <stdatomic.h>

#include "sluice/base.h"
#include "sluice/batch.h"

struct sl_store;
struct sl_store_writer;
struct sl_topic;
struct sl_part;

#define SL_STORE_FORMAT      1 /* of <data>/state/format; a higher one on disk is refused */
#define SL_STORE_WRITERS_MAX 32
#define SL_STORE_WAKERS_MAX  16
#define SL_STORE_TOPICS_MAX  4096
#define SL_STORE_PARTS_MAX   16384 /* all topics together */

enum sl_ack { SL_ACK_RECEIVED, SL_ACK_LOGGED, SL_ACK_SYNCED, SL_ACK_CENTRAL };

/* Who wrote a record: the classes of the log book of the ledger. */
enum sl_origin {
	SL_ORIGIN_INGEST,
	SL_ORIGIN_KAFKA,
	SL_ORIGIN_MQTT,
	SL_ORIGIN_INTERNAL,
	SL_ORIGIN_CNT
};

/* Why an append failed for good: append_failed[reason] of the ledger. */
/* clang-format off: a table */
#define SL_APPEND_REASONS(X)                                                                       \
	X(DISK_FULL, "disk_full") /* no space, or below storage.reserve: -ENOSPC */                \
	X(IO_ERROR, "io_error")   /* the partition's file failed: -EIO */                          \
	X(TOO_LARGE, "too_large") /* beyond max.message.bytes or segment.bytes: -EMSGSIZE */       \
	X(DELETED, "deleted")     /* the topic is being deleted: -ENOENT */                        \
	X(SHUTDOWN, "shutdown")   /* the drain's bound was reached: -ESHUTDOWN */
/* clang-format on */
enum sl_append_reason {
#define X(id, name) SL_APPEND_##id,
	SL_APPEND_REASONS(X)
#undef X
		SL_APPEND_REASON_CNT
};
const char *sl_append_reason_name(enum sl_append_reason r); /* any thread */

/* ---- topics -------------------------------------------------------------------------------- */

enum sl_ts_type { SL_TS_CREATE_TIME, SL_TS_LOG_APPEND_TIME };
enum sl_compression { SL_COMP_PRODUCER = -1 /* else enum sl_codec */ };

/* One topic's settings, Kafka's names and defaults. Negative means "no limit" where Kafka says so.
 */
struct sl_topic_cfg {
	int64_t retention_ms;      /* retention.ms, default 7 d */
	int64_t retention_bytes;   /* retention.bytes, per partition, default -1 */
	int64_t segment_bytes;     /* segment.bytes, default storage.segment; 1 MiB .. 1 GiB */
	int64_t segment_ms;        /* segment.ms, default 7 d */
	int32_t max_message_bytes; /* max.message.bytes, default 1048588, at most SL_BATCH_MAX_BYTES
				    */
	int32_t index_interval_bytes; /* index.interval.bytes, default 4096 */
	int64_t ts_before_max_ms;     /* message.timestamp.before.max.ms */
	int64_t ts_after_max_ms;      /* message.timestamp.after.max.ms */
	enum sl_ts_type ts_type;      /* message.timestamp.type */
	int compression;              /* compression.type: SL_COMP_PRODUCER or enum sl_codec */
	bool compact;                 /* cleanup.policy has compact: accepted by later versions */
	bool acks_central;            /* sluice.acks.all: acks=all waits for the centre */
};
/* Kafka's defaults with ours from DESIGN (segment 64 MiB). Any thread. */
void sl_topic_cfg_defaults(struct sl_topic_cfg *cfg);
bool sl_topic_cfg_equal(const struct sl_topic_cfg *a, const struct sl_topic_cfg *b);

/* ---- partitions: the published part ---------------------------------------------------------- */

enum sl_part_state {
	SL_PART_OK,
	SL_PART_DISK_FULL, /* appends are refused by name; clears itself when space returns */
	SL_PART_FAILED,    /* a write or sync failed: no append until the next start */
	SL_PART_DELETED,
};

/*
 * First member of struct sl_part; visible so that the accessors inline. Only storage writes.
 * log_end is stored with release after the bytes; load it with acquire (the accessors do).
 */
struct sl_part_pub {
	/* the writer writes */
	_Atomic int64_t log_end SL_ALIGNED(SL_CACHELINE); /* next offset = high watermark */
	_Atomic int64_t synced;    /* next offset not yet covered by a completed sync */
	_Atomic int64_t end_bytes; /* bytes ever appended in this life: reader-side min_bytes */
	_Atomic uint32_t state;    /* enum sl_part_state */
	/* the housekeeper writes */
	_Atomic int64_t log_start SL_ALIGNED(SL_CACHELINE);
	_Atomic int64_t size_bytes; /* of all segments */
	/* the uplink writes */
	_Atomic int64_t forwarded SL_ALIGNED(SL_CACHELINE); /* -1: no uplink carries it */
	/* constant while the partition lives */
	struct sl_topic *topic SL_ALIGNED(SL_CACHELINE);
	int32_t id;
	int32_t leader_epoch;
	uint16_t writer; /* index of its writer */
};

SL_INLINE const struct sl_part_pub *sl_part_pub(const struct sl_part *p)
{
	return (const struct sl_part_pub *)(const void *)p;
}
SL_INLINE int64_t sl_part_end(const struct sl_part *p)
{
	return atomic_load_explicit(&sl_part_pub(p)->log_end, memory_order_acquire);
}
SL_INLINE int64_t sl_part_synced(const struct sl_part *p)
{
	return atomic_load_explicit(&sl_part_pub(p)->synced, memory_order_acquire);
}
SL_INLINE int64_t sl_part_start(const struct sl_part *p)
{
	return atomic_load_explicit(&sl_part_pub(p)->log_start, memory_order_acquire);
}
/* Next offset that the centre has not got; -1: no uplink carries this partition, or the position is
 * not known yet. */
SL_INLINE int64_t sl_part_forwarded(const struct sl_part *p)
{
	return atomic_load_explicit(&sl_part_pub(p)->forwarded, memory_order_acquire);
}
SL_INLINE int64_t sl_part_bytes_in(const struct sl_part *p)
{
	return atomic_load_explicit(&sl_part_pub(p)->end_bytes, memory_order_acquire);
}
SL_INLINE enum sl_part_state sl_part_state(const struct sl_part *p)
{
	return (enum sl_part_state)atomic_load_explicit(&sl_part_pub(p)->state,
							memory_order_acquire);
}
SL_INLINE uint16_t sl_part_writer(const struct sl_part *p)
{
	return sl_part_pub(p)->writer;
}

/* ---- store: life ----------------------------------------------------------------------------- */

struct sl_store_cfg {
	const char *data;       /* data directory, made if missing (0700) */
	const char *stripe_dir; /* tmpfs or hugetlbfs for the stripe file; NULL: /dev/shm */
	const char *io;         /* "io_uring", "posix" or NULL: the best that works */
	unsigned writers;       /* 1 .. SL_STORE_WRITERS_MAX */
	uint64_t
		stripe_bytes; /* tail cache and write stripes of all writers, >= 8 MiB per writer */
	double budget_fraction;      /* of the file system, 0 .. 1; or 0 and: */
	uint64_t budget_bytes;       /* 0 = none */
	double reserve_fraction;     /* kept free: below it appends are refused as disk_full */
	uint64_t reserve_bytes;      /* used if reserve_fraction is 0 */
	uint32_t sync_interval_us;   /* window of a group sync that somebody waits for */
	uint64_t sync_bytes;         /* a sync starts at once beyond this much */
	uint32_t flush_interval_ms;  /* at the latest then data nobody waits for is synced, default
					1000 */
	uint32_t retention_check_ms; /* default 30000; tests shorten it */
	uint64_t pid_expiry_ms;      /* producer.id.expiration.ms, default 86400000 */
	struct sl_counters
		*counters; /* mapped counter file (counters.h), may be NULL in unit tests */
	int64_t (*now_ms)(void *arg); /* wall clock, ms; NULL: sl_clock_wall_ms() */
	void *now_arg;
	int lock_fd; /* > 0: from sl_store_lock(), the caller's; else open takes the lock */
};

/*
 * Takes <data>/.lock for this process before anything in the directory is looked at, makes the
 * directory with log/ and state/ (0700) if missing, and checks <data>/state/format. So the caller
 * may open its counter file there before sl_store_open(). *ret_fd is closed by the caller after
 * sl_store_close(). -EBUSY: another process holds it; -EPROTO: newer format; `err` (may be NULL)
 * gets a sentence. Control; blocks.
 */
SL_MUST_CHECK int sl_store_lock(const char *data, int *ret_fd, char *err, size_t errlen);

/* What opening found: for the log line, status and the tests. */
struct sl_store_recovery {
	bool clean; /* the last stop was clean */
	uint32_t partitions;
	uint64_t stripes_written; /* stripes of the last run written out */
	uint64_t stripe_records;  /* records among them beyond the segment's own end */
	uint64_t cut_partitions;  /* partitions with a torn tail */
	uint64_t cut_bytes;
	uint64_t tails_restored;  /* blocks put back from state/tail */
	int64_t lost_records;     /* known to have been `synced` and gone; -> leader epoch raised */
	uint64_t damaged_records; /* unreadable amid good ones: kept apart, reads give -EILSEQ */
	uint64_t scanned_bytes;
	uint64_t duration_us;
};

/*
 * Locks, checks the format version, recovers every partition, starts the housekeeping thread.
 * -EBUSY: another process holds the directory; -EPROTO: newer format; -ENOTUNIQ: the directory
 * belongs to another gateway (meta.properties). Control; blocks.
 * `ret_err` (may be NULL) gets a sentence for the operator of at most `errlen` bytes.
 */
SL_MUST_CHECK int sl_store_open(const struct sl_store_cfg *cfg, struct sl_store **ret_store,
				struct sl_store_recovery *ret_rec, char *ret_err, size_t errlen);
/*
 * Every writer has detached. `clean`: cut files to size, write indexes, checkpoints, snapshots
 * and the clean-shutdown mark, remove the stripe file. Accepts NULL. 0, or -EIO if that did not
 * work out or was not asked for: everything is released, and the next start recovers. Control;
 * blocks.
 */
int sl_store_close(struct sl_store *s, bool clean);
const char *sl_store_io_name(const struct sl_store *s);    /* "io_uring" or "posix" */
const char *sl_store_cluster_id(const struct sl_store *s); /* 22 characters, from meta.properties */

/* ---- topics ------------------------------------------------------------------------------------
 */

/*
 * A topic's settings have two layers, so that the config file and an admin's changes do not fight:
 * `base`, what the file (or the broker's defaults) says, given anew at each start, and `own`, what
 * was set for this topic through the Kafka port, which is kept in <data>/state/topics and wins,
 * setting by setting, until it is deleted there. What is in force is base with own over it.
 * A `set` mask has the bit of each setting that was named (platform/base/topic_cfg.h).
 */
struct sl_topic_layers {
	struct sl_topic_cfg base, own;
	uint32_t base_set; /* named for this topic by the config file */
	uint32_t own_set;  /* named through the Kafka port */
};

/*
 * References: whoever finds a topic holds a reference and gives it back with sl_topic_put(). While
 * it is held, the topic and its partitions stay valid memory, also when the topic is deleted
 * meanwhile: then every partition's state is SL_PART_DELETED, reads give -ENOENT, appends -ENOENT.
 */

/*
 * Creates topic and partition files. `layers` NULL: Kafka's defaults. -EINVAL: bad name, count or
 * setting; -EEXIST; -ENOSPC; -EMFILE: SL_STORE_TOPICS_MAX or _PARTS_MAX. *ret_topic (may be NULL)
 * is referenced. Control or worker thread; blocks; any number of threads may call at once.
 */
SL_MUST_CHECK int sl_store_topic_create(struct sl_store *s, const char *name, uint32_t partitions,
					const struct sl_topic_layers *layers,
					struct sl_topic **ret_topic);
/* Referenced; NULL if unknown. Any thread that is not an lcore; takes a short lock. */
struct sl_topic *sl_store_topic_find(struct sl_store *s, const char *name, size_t len);
struct sl_topic *sl_store_topic_by_id(struct sl_store *s, const uint8_t id[16]);
struct sl_topic *sl_topic_ref(struct sl_topic *t); /* one more; any thread that holds one */
void sl_topic_put(struct sl_topic *t);             /* accepts NULL; any thread but lcores */
/*
 * The topic is gone when this returns, durably: not found any more, its name free for another with
 * another id. Its directories are renamed as Kafka does (<topic>-<n>.<hex>-delete) and removed by
 * the housekeeper once writers and readers have let go. -ENOENT: it was deleted already. Control
 * or worker; blocks.
 */
SL_MUST_CHECK int sl_store_topic_delete(struct sl_store *s, struct sl_topic *t);
/* Grows to `total` partitions, durable on return. -EINVAL: not more than now, or beyond
 * SL_PARTITIONS_MAX; -EMFILE; -ENOSPC; -ENOENT. Control or worker; blocks. */
SL_MUST_CHECK int sl_store_partitions_add(struct sl_store *s, struct sl_topic *t, uint32_t total);
/* Moves with every topic made, deleted or grown: who caches topics looks again when it does. Any
 * thread. */
uint64_t sl_store_generation(const struct sl_store *s);
/* Calls fn for every topic in the order of names under a read lock; fn must not call back in, and
 * takes a reference if it keeps one. */
void sl_store_topics(struct sl_store *s, int (*fn)(struct sl_topic *t, void *arg), void *arg);
const char *sl_topic_name(const struct sl_topic *t);
const uint8_t *sl_topic_id(const struct sl_topic *t); /* 16 bytes */
/* May grow, never shrinks. Any thread. */
uint32_t sl_topic_partitions(const struct sl_topic *t);
/* NULL if id is out of range. Valid while the topic is referenced. Any thread. */
struct sl_part *sl_topic_part(const struct sl_topic *t, int32_t id);
/* Copies the settings in force; or their layers. Any thread. */
void sl_topic_cfg_get(const struct sl_topic *t, struct sl_topic_cfg *ret_cfg);
void sl_topic_layers_get(const struct sl_topic *t, struct sl_topic_layers *ret_layers);
/* What the file says now; kept in memory only. -EINVAL. Control, at start. */
SL_MUST_CHECK int sl_topic_base_set(struct sl_topic *t, const struct sl_topic_cfg *base,
				    uint32_t base_set);
/*
 * Replaces the topic's own layer, durable when it returns, in force at once: retention with its
 * next run (which this asks for), segment size and time with the next append, the rest with the
 * next Produce. -EINVAL, -ENOENT, -EIO. Control or worker; blocks.
 */
SL_MUST_CHECK int sl_store_topic_own_set(struct sl_store *s, struct sl_topic *t,
					 const struct sl_topic_cfg *own, uint32_t own_set);

/*
 * Kafka's DeleteRecords: log start moves up to `offset` (-1: high watermark), durable on return,
 * and may lie within a batch; whole segments below it go. *ret_start: log start afterwards, which
 * is also success if it was beyond already. -ERANGE: beyond the high watermark; -ENOENT; -EIO: the
 * partition or the checkpoint failed; -ETIMEDOUT: its writer did not sync within 30 s, which log
 * start waits for. Worker; blocks.
 */
SL_MUST_CHECK int sl_store_delete_records(struct sl_store *s, struct sl_part *p, int64_t offset,
					  int64_t *ret_start);
/*
 * OffsetForLeaderEpoch: the largest epoch known that is <= `epoch` and the offset at which it
 * ended (log end for the current one). As Kafka's LeaderEpochFileCache: an epoch before all that
 * are known is answered with itself and the offset at which the first one begins; one beyond the
 * current, or negative, is -ENOENT: answer (-1, -1). Never blocks. Any thread.
 */
SL_MUST_CHECK int sl_part_epoch_end(const struct sl_part *p, int32_t epoch, int32_t *ret_epoch,
				    int64_t *ret_end);
/* Where the partitions' directories lie, for DescribeLogDirs: an absolute path. Any thread. */
const char *sl_store_log_dir(const struct sl_store *s);

/* ---- appending: writer threads --------------------------------------------------------------- */

/*
 * One closed batch on its way into a partition. The batch is complete, checked and checksummed;
 * the writer sets baseOffset and leader epoch in its own copy. Storage keeps no pointer into it
 * once sl_store_append() has returned.
 */
struct sl_append {
	struct sl_part *part;
	const uint8_t *batch;
	uint32_t len;
	uint32_t records; /* = lastOffsetDelta + 1 */
	int64_t max_ts_ms;
	int64_t producer_id; /* -1: no duplicate detection */
	int32_t base_sequence;
	int16_t producer_epoch;
	uint8_t origin; /* enum sl_origin */
	uint8_t ack;    /* enum sl_ack: SYNCED starts a group sync */
	/* results, valid when err is 0 or -EEXIST */
	int err;
	int64_t base_offset;
	int64_t log_start;
	void *user; /* of the caller */
};

/* Takes the writer for the calling thread (io_uring wants one submitter). -EBUSY if taken. */
SL_MUST_CHECK int sl_store_writer_attach(struct sl_store *s, unsigned idx,
					 struct sl_store_writer **ret_writer);
/*
 * Appends one batch and publishes it. Returns (and sets a->err to)
 *   0          logged; a->base_offset is its offset
 *   -EAGAIN    no stripe or extent free yet: nothing happened; poll and try again, same order
 *   -EEXIST    duplicate of one of the producer's last five batches; a->base_offset is the first's
 *   -EILSEQ    out of order sequence;  -ESTALE  old producer epoch;  -ENOKEY  unknown producer id
 *   -ENOSPC -EIO -EMSGSIZE -ENOENT     refused for good, counted by reason
 */
SL_MUST_CHECK int sl_store_append(struct sl_store_writer *w, struct sl_append *a);
/* Submits and reaps I/O, starts syncs that are due. Returns the number of things that moved. */
unsigned sl_store_poll(struct sl_store_writer *w, uint64_t now_ns);
/* Readable when a poll would find a completion or the housekeeper has something for the writer. */
int sl_store_writer_fd(const struct sl_store_writer *w);
/* Monotonic ns at which poll must run next even without an event; UINT64_MAX: never. */
uint64_t sl_store_deadline(const struct sl_store_writer *w);
/* Writes and syncs all there is, at most until `deadline_ns` (monotonic). 0 or -ETIMEDOUT. Blocks.
 */
int sl_store_writer_drain(struct sl_store_writer *w, uint64_t deadline_ns);
/* Gives the writer back. Accepts NULL. */
void sl_store_writer_detach(struct sl_store_writer *w);

/* ---- being told --------------------------------------------------------------------------------
 */

/*
 * A thread that waits for log ends or synced offsets to move arms its waker, looks once more at
 * what it waits for, and only then sleeps on the eventfd. Writers ring an armed waker once.
 */
struct sl_waker {
	int efd; /* eventfd, the owner's */
	_Atomic uint32_t armed;
} SL_ALIGNED(SL_CACHELINE);

/* Keeps the pointer until removed. -ENOSPC beyond SL_STORE_WAKERS_MAX. Control. */
SL_MUST_CHECK int sl_store_waker_add(struct sl_store *s, struct sl_waker *k);
void sl_store_waker_del(struct sl_store *s,
			struct sl_waker *k); /* after writers have detached, or stopped ringing */
SL_INLINE void sl_waker_arm(struct sl_waker *k) /* the owner; pairs with the fence in ring */
{
	atomic_store_explicit(&k->armed, 1, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
}
/* Rings if armed: one write(2) at most per arming. Any thread. */
void sl_waker_ring(struct sl_waker *k);

/* ---- what the uplink knows
 * ------------------------------------------------------------------------------------ */

#define SL_DEAD_LETTERS_KEPT 64 /* runs of them in a partition: the last ones, for who waits */

/*
 * The centre has everything below `offset` (or its dead-letter topic has); rings armed wakers. -1:
 * not carried (any more). One thread, the uplink's.
 */
void sl_part_forwarded_set(struct sl_part *p, int64_t offset);
/* Moves whenever a partition's forwarded offset does: who waits for many looks at them only then.
 * Any thread. */
uint64_t sl_store_forwards(const struct sl_store *s);
/* The record at `offset` went to the dead-letter topic; called before forwarded moves beyond it.
 * The uplink's thread; takes a short lock. */
void sl_part_dead_letter(struct sl_part *p, int64_t offset);
/* True if one of [from, to) went there. Any thread; takes a short lock. */
bool sl_part_dead_in(const struct sl_part *p, int64_t from, int64_t to);
/* True if one of [from, to) was deleted here, by whatever, while `forwarded` was known and below
 * it: forwarded moves over those, too. The last stretch of them is known. As above. */
bool sl_part_unsent_in(const struct sl_part *p, int64_t from, int64_t to);
/* Whether the centre can be reached now: who asks for `central` is refused at once while not. Rings
 * armed wakers when it changes. False until the uplink says otherwise. */
void sl_store_link_set(struct sl_store *s, bool up); /* the uplink; any thread of it */
bool sl_store_link(const struct sl_store *s);        /* any thread */

/* ---- reading: readers
 * ---------------------------------------------------------------------------- */

struct sl_read {
	int64_t offset;     /* wanted: the first batch returned contains it or is the next one */
	uint32_t max_bytes; /* whole batches up to this many, */
	bool at_least_one;  /* but the first one even if it is larger (KIP-74) */
	uint8_t *buf;       /* the caller's */
	uint32_t cap;
	int64_t max_offset; /* only batches whose last offset is below it; INT64_MAX: high watermark
			     */
	/* results */
	uint32_t len;
	int64_t next_offset; /* of the byte after the last batch returned; with -EILSEQ: where it is
			      * good again */
	uint32_t need;       /* with -EMSGSIZE: cap that the first batch needs, else 0 */
};

/*
 * Copies stored batches from memory. 0 (len may be 0 at the end of the log); -EAGAIN: not in
 * memory, use sl_store_read(); -ERANGE: below log start or above log end; -ENOENT: the topic was
 * deleted; -EMSGSIZE: nothing was copied because buf is too small for a first batch that is due:
 * one within max_bytes, or any with at_least_one. So with 0 and len 0 the next batch is beyond
 * max_bytes. Never blocks. Any thread but lcores.
 */
SL_MUST_CHECK int sl_store_read_tail(struct sl_part *p, struct sl_read *rd);
/*
 * The same from memory or disk; every batch's CRC is checked on the way from disk. -EILSEQ:
 * damage at rd->offset. Blocks on the disk: worker threads only.
 */
SL_MUST_CHECK int sl_store_read(struct sl_part *p, struct sl_read *rd);
/*
 * First record with timestamp >= ts: its offset and timestamp; offset -1 if there is none. Looks
 * into compressed batches. Blocks: worker threads only.
 */
SL_MUST_CHECK int sl_store_offset_for_ts(struct sl_part *p, int64_t ts_ms, int64_t *ret_offset,
					 int64_t *ret_ts);
/* Offset and timestamp of the record with the largest timestamp (-1, -1 if empty). Blocks. */
SL_MUST_CHECK int sl_store_max_ts(struct sl_part *p, int64_t *ret_offset, int64_t *ret_ts);

/* ---- the rest
 * ------------------------------------------------------------------------------------ */

/* A producer id never given out before, also after a crash (fsynced in blocks). Worker; blocks. */
SL_MUST_CHECK int sl_store_producer_id(struct sl_store *s, int64_t *ret_pid);

struct sl_store_stats { /* since open unless named otherwise */
	uint64_t fs_bytes, fs_free_bytes, log_bytes, budget_bytes;
	uint64_t evicted_bytes, evicted_records, evicted_segments; /* by the byte budget */
	/* records that retention, the budget or DeleteRecords took while forwarded was known and
	 * not beyond them; the uplink's own `evicted_unsent` also has those from before it knew.
	 * Not those of deleted topics. */
	uint64_t deleted_unsent;
	uint64_t expired_segments; /* by retention.ms, retention.bytes or DeleteRecords */
	uint64_t writes, write_bytes, syncs, sync_failed, write_failed;
	uint64_t tail_hits, tail_misses;
	bool disk_full;
};
void sl_store_stats(struct sl_store *s, struct sl_store_stats *ret_stats); /* control, reader */

#endif
