/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.h - what the files of the last run say about a partition, and putting it right.
 *
 * What is known of where a log ended, best first:
 *   stripes      of a run that was killed: exact, they end where the log ended.
 *   marks        of the journal, two per partition. The older one is proof: its sync was complete
 *                before the newer was begun. The newer one was written beside the data that it
 *                speaks of and proves nothing by itself: it counts when the log goes on to exactly
 *                its place, or a checkpoint says that it was published.
 *   checkpoints  published offsets, without a place in a file.
 * Below the known end everything was promised: what is not there is lost or damaged, and said so.
 * Behind it the bytes are believed only in a file that held nothing older.
 */
#ifndef SL_STORAGE_RECOVERY_H
#define SL_STORAGE_RECOVERY_H

#include "checkpoint.h"
#include "scan.h"
#include "store_int.h"

#define SL_REC_POS_ANY UINT32_MAX

struct sl_rec_stripe {
	const struct sl_sdesc *d;
	const uint8_t *mem;
};

struct sl_rec {
	struct sl_store *s;
	struct sl_store_recovery *out;
	struct sl_arena_old old;
	bool power_cut; /* nobody knows what was logged and not synced */
	bool changed;   /* names or small files: to be synced before the journal is replaced */
	struct sl_rec_stripe *stripe; /* by topic, partition, segment, position */
	size_t stripe_cnt, stripe_cap;
	struct sl_send *end; /* by topic, partition */
	size_t end_cnt;
	struct sl_tail_mark *mark; /* by topic, partition, sequence; bytes owned */
	size_t mark_cnt, mark_cap;
	struct sl_cp points, highs, starts;
	uint8_t *buf; /* SL_STRIPE_CHUNK */
};

/* Where a log is known to have ended. */
struct sl_rec_end {
	bool valid, exact, fresh; /* exact: the killed run said so, not the last sync */
	int64_t seg_base, offset;
	uint32_t pos; /* SL_REC_POS_ANY: only the offset is known */
};

struct sl_rec_part { /* one partition's recovery */
	struct sl_rec *r;
	struct sl_part *p;
	int64_t *base; /* of the segment files, sorted */
	uint32_t cnt, cap;
	int64_t newest_snap; /* -1: none */
	struct sl_rec_end known;
	int64_t point;        /* recovery point, -1: none */
	int64_t producers_to; /* producer state is complete up to here */
	struct sl_seg *cur;   /* being scanned */
	uint32_t interval;
	int64_t end;      /* log end found so far */
	int32_t epoch;    /* the highest in the batches that were scanned, -1, and */
	int64_t epoch_at; /* the first of them */
	bool need_active; /* nothing can be appended to the last segment */
	bool lost;
	bool producers_scanned; /* closed segments had to be scanned for their producers */
	struct sl_scan scan;
};

/* recovery_source.c. Blocking; at start only. */
SL_MUST_CHECK int sl_rec_load(struct sl_rec *r);
void sl_rec_unload(struct sl_rec *r);
/*
 * Writes a partition's stripes into its files and says where the log ended by them.
 * `newest`: base of its last segment file, -1 none; only one behind that is made anew.
 */
SL_MUST_CHECK int sl_rec_replay(struct sl_rec *r, struct sl_part *p, int64_t newest,
				struct sl_rec_end *ret_end);
/* The partition's marks in the order of their sequence: the first of *ret_cnt, 0 to 2. */
const struct sl_tail_mark *sl_rec_marks(const struct sl_rec *r, const struct sl_part *p,
					unsigned *ret_cnt);
/* Puts the block of a mark back where it is torn. 1: it was, 0, -errno. */
SL_MUST_CHECK int sl_rec_restore(struct sl_rec *r, struct sl_part *p, const struct sl_tail_mark *m);
/* recovery_end.c: sets pr->known from the stripes' end, the marks and published offsets. */
SL_MUST_CHECK int sl_rec_known(struct sl_rec_part *pr, const struct sl_rec_end *stripes,
			       int64_t published);
/* recovery_seg.c: one segment. A closed one reaches to `next`; `trust`: its index files do. */
SL_MUST_CHECK int sl_rec_closed(struct sl_rec_part *pr, struct sl_seg *g, int64_t next, bool trust);
SL_MUST_CHECK int sl_rec_last(struct sl_rec_part *pr, struct sl_seg *g);
/* The last one after a clean stop: from its last index entry on. False: *g is as new, scan it. */
bool sl_rec_resume(struct sl_rec_part *pr, struct sl_seg **g);
void sl_rec_lost(struct sl_rec_part *pr, int64_t from, int64_t to);
/* recovery_part.c */
SL_MUST_CHECK int sl_rec_part(struct sl_rec *r, struct sl_part *p);

#endif
