/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h - a partition read record by record, for those who carry records away: the uplink, the
 * way down to the devices.
 *
 * A cursor stands at an offset and reads batches into memory that it shares with other cursors of
 * its thread (struct sl_cursor_mem): one is filled at a time, and what it holds is good until
 * another cursor reads. Batches are decompressed there, within a bound.
 *
 * One thread; reads may block on the disk.
 */
#ifndef SL_BRIDGE_CURSOR_H
#define SL_BRIDGE_CURSOR_H

#include "platform/record/check.h"
#include "sluice/store.h"

#define SL_CURSOR_READ_BYTES  (1u << 20) /* read at once; grows for a larger batch, up to */
#define SL_CURSOR_READ_MAX    SL_BATCH_MAX_BYTES
#define SL_CURSOR_RECORDS_MAX (64u << 20) /* of one batch, decompressed */
#define SL_CURSOR_HDRS_MAX    65536       /* of one record: one with more comes without them */

struct sl_cursor_mem { /* embedded; init/fini only */
	uint8_t *buf;
	uint32_t cap;
	struct sl_scratch scratch;
	struct sl_hdr *hdr; /* of a record with more than SL_FRAME_HDRS_MAX */
	uint32_t hdr_cap;
	const struct sl_cursor *owner; /* whose bytes these are */
};
SL_MUST_CHECK int sl_cursor_mem_init(struct sl_cursor_mem *m); /* -ENOMEM */
void sl_cursor_mem_fini(struct sl_cursor_mem *m);              /* accepts zeroed */

struct sl_cursor { /* visible to be embedded */
	struct sl_part *part;
	struct sl_cursor_mem *mem;
	int64_t offset; /* of the next record */
	bool synced;    /* stay below the synced offset, not the high watermark */
	/* private */
	uint32_t pos, len, start, batch_end; /* in mem->buf: here, of what was read, this batch */
	int64_t base;
	bool walking;
	struct sl_record_walk walk;
};

/* The caller holds a reference to the topic for as long as the cursor is used. */
void sl_cursor_init(struct sl_cursor *c, struct sl_cursor_mem *m, struct sl_part *p, int64_t offset,
		    bool synced);
/* More of what was read is left: the next record costs no read, if no other cursor reads first. */
SL_INLINE bool sl_cursor_held(const struct sl_cursor *c)
{
	if (c->mem->owner != c)
		return false;
	return c->walking ? c->walk.left > 0 || c->batch_end < c->len : c->pos < c->len;
}
/* Goes there; what was read is dropped if it does not hold that offset. */
void sl_cursor_seek(struct sl_cursor *c, int64_t offset);

struct sl_cursor_rec { /* borrowed until the next call with the same memory */
	int64_t offset;
	int32_t leader_epoch; /* of its batch */
	uint32_t bytes;       /* of key, value and headers, for budgets */
	struct sl_record rec;
	/* all of rec.hdr_cnt, also beyond SL_FRAME_HDRS_MAX; NULL beyond SL_CURSOR_HDRS_MAX. May
	 * point into this struct: good where it was given, not in a copy */
	const struct sl_hdr *hdr;
};

/*
 * 1: *ret_rec is the record at c->offset or the next one there is, and the cursor stands behind it;
 * control batches are skipped. 0: nothing more now.
 * -ERANGE: what stood there is deleted; c->offset is left, sl_part_start() says where the log
 *          begins (or it lies beyond the log end: then that is below c->offset);
 * -EILSEQ: damage at c->offset; *ret_next is where it is good again;
 * -ENOENT: the topic is deleted; -EIO, -ENOMEM.
 */
SL_MUST_CHECK int sl_cursor_next(struct sl_cursor *c, struct sl_cursor_rec *ret_rec,
				 int64_t *ret_next);

#endif
