/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.h - what the files of the last run say about a partition, and putting it right.
 *
 * Three sources, in this order: stripes of the killed run (exact, they end where the log ended),
 * journal marks (where the last sync ended), the bytes themselves. Whatever lies beyond the best
 * of the first two is only believed in a file that held nothing older.
 */
#ifndef SL_STORAGE_RECOVERY_H
#define SL_STORAGE_RECOVERY_H

#include "checkpoint.h"
#include "scan.h"
#include "store_int.h"

struct sl_rec_stripe {
	const struct sl_sdesc *d;
	const uint8_t *mem;
};

struct sl_rec {
	struct sl_store *s;
	struct sl_store_recovery *out;
	struct sl_arena_old old;
	struct sl_rec_stripe *stripe; /* by topic, partition, segment, position */
	size_t stripe_cnt, stripe_cap;
	struct sl_send *end; /* by topic, partition */
	size_t end_cnt;
	struct sl_tail_mark *mark; /* by topic, partition, sequence; bytes owned */
	size_t mark_cnt, mark_cap;
	struct sl_cp points, starts;
	uint8_t *buf; /* SL_STRIPE_CHUNK */
};

/* Where a log is known to have ended. */
struct sl_rec_end {
	bool valid, exact, fresh; /* exact: the killed run said so, not the last sync */
	int64_t seg_base, offset;
	uint32_t pos;
};

/* recovery_source.c. Blocking; at start only. */
SL_MUST_CHECK int sl_rec_load(struct sl_rec *r);
void sl_rec_unload(struct sl_rec *r);
/*
 * Writes a partition's stripes into its files, puts torn blocks back, says where the log ended.
 * `newest`: base of its last segment file, -1 none; only one behind that is made anew.
 */
SL_MUST_CHECK int sl_rec_replay(struct sl_rec *r, struct sl_part *p, int64_t newest,
				struct sl_rec_end *ret_end);
/* recovery_part.c */
SL_MUST_CHECK int sl_rec_part(struct sl_rec *r, struct sl_part *p);

#endif
