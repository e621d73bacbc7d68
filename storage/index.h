/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the sparse offset and time index of one segment, in memory and as Kafka's files.
 *
 * In memory the index of a segment that still grows has a fixed number of entries. When they are
 * used up every second one goes and the interval doubles, so memory is bounded and the writer
 * never waits; Kafka accepts any density. Entries follow Kafka's rule: one is made when more than
 * the interval has been appended since the last, before the batch at that place is counted, so the
 * first batch of a segment is never indexed.
 *
 * Threads: the writer (or recovery, before it) notes; readers find at any time. `seq` is odd while
 * entries are being thinned: readers that saw it look again.
 */
#ifndef SL_STORAGE_INDEX_H
#define SL_STORAGE_INDEX_H

#include <stdatomic.h>

#include "sluice/base.h"

#define SL_IDX_CAP      2048u /* entries of either kind; must be even */
#define SL_IDX_ENTRY    8u    /* bytes in .index: offset - base i32, position i32 */
#define SL_TIDX_ENTRY   12u   /* bytes in .timeindex: timestamp i64, offset - base i32 */
#define SL_IDX_FILE_MAX (64u << 20)

struct sl_tidx_entry {
	_Atomic int64_t ts;
	_Atomic int64_t rel;
};

struct sl_idx { /* visible to be embedded by size only; use the functions */
	_Atomic uint32_t seq;
	_Atomic uint32_t on, tn;
	uint32_t interval;
	uint32_t since;                 /* bytes since the last entry */
	_Atomic uint64_t o[SL_IDX_CAP]; /* relative offset << 32 | position */
	struct sl_tidx_entry t[SL_IDX_CAP];
};

/* Pages are touched only as entries come. NULL: no memory. Control, housekeeping. */
struct sl_idx *sl_idx_new(void);
void sl_idx_free(struct sl_idx *x); /* accepts NULL */

/*
 * A batch of `len` bytes with last offset base + rel lies at `pos`; max_ts is the largest
 * timestamp of the segment including this batch, first borne by the batch that ends at ts_rel.
 * The writer.
 */
void sl_idx_note(struct sl_idx *x, uint32_t interval, uint32_t rel, uint32_t pos, uint32_t len,
		 int64_t max_ts, uint32_t ts_rel);
/* Position from which a walk finds the batch with base + rel. Any thread. */
uint32_t sl_idx_find(struct sl_idx *x, uint32_t rel);
/* Relative offset from which a walk finds the first record with a timestamp >= ts. Any thread. */
uint32_t sl_idx_find_ts(struct sl_idx *x, int64_t ts);

/*
 * Kafka's two files, written whole, synced if told so; the last time entry is the final maximum
 * unless max_ts is negative. Housekeeping.
 */
SL_MUST_CHECK int sl_idx_store(struct sl_idx *x, int dirfd, const char *index_name,
			       const char *time_name, int64_t max_ts, uint32_t ts_rel, bool sync);
/* The reverse, thinned to the capacity. -ENOENT, -EILSEQ: build it anew. `size`: of the .log. */
SL_MUST_CHECK int sl_idx_load(struct sl_idx *x, int dirfd, const char *index_name,
			      const char *time_name, uint32_t size);

/* Looks into the files of a finished segment. 0 where a file is missing or damaged. Blocks. */
uint32_t sl_idx_file_find(int dirfd, const char *index_name, uint32_t rel, uint32_t size);
uint32_t sl_idx_file_find_ts(int dirfd, const char *time_name, int64_t ts);
/* Last entry of a .timeindex. -ENOENT, -EILSEQ; -ENODATA if it has none. Blocks. */
SL_MUST_CHECK int sl_idx_file_last_ts(int dirfd, const char *time_name, int64_t *ret_ts,
				      uint32_t *ret_rel);
/* True if both files are there and plausible for a segment of that size and offset range. */
bool sl_idx_file_sane(int dirfd, const char *index_name, const char *time_name, uint32_t size,
		      int64_t offsets);

#endif
