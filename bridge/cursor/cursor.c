/* SPDX-License-Identifier: Apache-2.0 */
#include "cursor.h"

#include <errno.h>
#include <stdlib.h>

#define READ_BYTES_MIN 4096u /* a store that asks for less than this asks for nothing */

/* ---- memory ---------------------------------------------------------------------------------- */

int sl_cursor_mem_init(struct sl_cursor_mem *m)
{
	*m = (struct sl_cursor_mem){.cap = SL_CURSOR_READ_BYTES};
	sl_scratch_init(&m->scratch, SL_CURSOR_RECORDS_MAX);
	m->buf = malloc(m->cap);
	return m->buf ? 0 : -ENOMEM;
}

void sl_cursor_mem_fini(struct sl_cursor_mem *m)
{
	sl_scratch_fini(&m->scratch);
	free(m->buf);
	free(m->hdr);
	*m = (struct sl_cursor_mem){0};
}

/* For one batch that is larger than what is read at once. */
static int mem_grow(struct sl_cursor_mem *m, uint32_t need)
{
	uint8_t *buf;

	if (need <= m->cap || need > SL_CURSOR_READ_MAX)
		return -EIO; /* no log takes such a batch */
	m->owner = NULL;
	buf = realloc(m->buf, need);
	if (!buf)
		return -ENOMEM;
	m->buf = buf;
	m->cap = need;
	return 0;
}

static int mem_headers(struct sl_cursor_mem *m, const struct sl_record *rec)
{
	struct sl_hdr *hdr;

	if (rec->hdr_cnt > m->hdr_cap) {
		hdr = realloc(m->hdr, rec->hdr_cnt * sizeof(*hdr));
		if (!hdr)
			return -ENOMEM;
		m->hdr = hdr;
		m->hdr_cap = rec->hdr_cnt;
	}
	sl_record_headers(rec, m->hdr);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

void sl_cursor_init(struct sl_cursor *c, struct sl_cursor_mem *m, struct sl_part *p, int64_t offset,
		    bool synced)
{
	*c = (struct sl_cursor){.part = p, .mem = m, .offset = offset, .synced = synced};
}

static void drop(struct sl_cursor *c)
{
	c->pos = c->len = 0;
	c->walking = false;
}

void sl_cursor_seek(struct sl_cursor *c, int64_t offset)
{
	if (offset < c->offset)
		drop(c); /* forward, what was read is walked through */
	c->offset = offset;
}

static int64_t limit(const struct sl_cursor *c)
{
	return c->synced ? sl_part_synced(c->part) : sl_part_end(c->part);
}

/* From memory if it is there, else from the disk. -EMSGSIZE: rd->need bytes are needed. */
static int read_store(struct sl_cursor *c, struct sl_read *rd)
{
	*rd = (struct sl_read){
		.offset = c->offset,
		.max_bytes = SL_MAX(c->mem->cap, READ_BYTES_MIN),
		.at_least_one = true,
		.buf = c->mem->buf,
		.cap = c->mem->cap,
		.max_offset = c->synced ? sl_part_synced(c->part) : INT64_MAX,
	};
	int rc = sl_store_read_tail(c->part, rd);
	return rc == -EAGAIN ? sl_store_read(c->part, rd) : rc;
}

/* 1: there are bytes; 0: nothing now; else as sl_cursor_next(). */
static int fill(struct sl_cursor *c, int64_t *ret_next)
{
	struct sl_read rd;
	int rc;

	drop(c);
	if (sl_part_state(c->part) == SL_PART_DELETED)
		return -ENOENT;
	if (c->offset >= limit(c) && c->offset <= sl_part_end(c->part) &&
	    c->offset >= sl_part_start(c->part))
		return 0;
	c->mem->owner = c;
	rc = read_store(c, &rd);
	if (rc == -EMSGSIZE) {
		rc = mem_grow(c->mem, rd.need);
		if (rc)
			return rc;
		c->mem->owner = c;
		rc = read_store(c, &rd);
	}
	if (rc == -EILSEQ) {
		if (rd.next_offset <= c->offset)
			return -EIO;
		*ret_next = rd.next_offset;
	}
	if (rc == -EMSGSIZE) /* the batch there changed between two looks: it does not */
		return -EIO;
	c->len = rc ? 0 : rd.len;
	return rc ? rc : c->len > 0;
}

/* ---- walking --------------------------------------------------------------------------------- */

static int damaged(struct sl_cursor *c, int64_t next, int64_t *ret_next)
{
	c->walking = false;
	c->pos = c->batch_end;
	*ret_next = next;
	return -EILSEQ;
}

static int64_t behind_batch(const struct sl_cursor *c)
{
	return c->base + sl_batch_last_delta(c->mem->buf + c->start) + 1;
}

/* Enters the batch at c->pos: it is walked next, or nothing of it is wanted. 0; -EILSEQ, -ENOMEM.
 */
static int enter(struct sl_cursor *c, int64_t *ret_next)
{
	const uint8_t *b = c->mem->buf + c->pos;
	uint32_t left = c->len - c->pos;
	int rc;

	/* what comes from memory has been checked, what comes from the disk has a good checksum:
	 * but a wrong length would take us out of the buffer */
	if (left < SL_BATCH_HDR || sl_batch_length(b) < SL_BATCH_HDR - SL_BATCH_LEN_BIAS ||
	    sl_batch_total(b) > left || sl_batch_last_delta(b) < 0)
		return -EIO;
	c->start = c->pos;
	c->batch_end = c->pos + sl_batch_total(b);
	c->base = sl_batch_base_offset(b);
	if (behind_batch(c) <= c->offset) {
		c->pos = c->batch_end;
		return 0;
	}
	if (sl_batch_attrs(b) & SL_ATTR_CONTROL) {
		c->offset = behind_batch(c);
		c->pos = c->batch_end;
		return 0;
	}
	rc = sl_record_walk_init(&c->walk, b, &c->mem->scratch);
	if (rc == -ENOMEM)
		return rc;
	if (rc) /* stored as it came from a client, who may have lied about the compressed part */
		return damaged(c, behind_batch(c), ret_next);
	c->walking = true;
	return 0;
}

static int give(struct sl_cursor *c, struct sl_cursor_rec *r, int64_t offset)
{
	int rc = 0;

	r->offset = offset;
	r->leader_epoch = sl_batch_leader_epoch(c->mem->buf + c->start);
	r->bytes = r->rec.key.len + r->rec.value.len + r->rec.hdr_bytes.len;
	r->hdr = r->rec.hdr;
	if (r->rec.hdr_cnt > SL_CURSOR_HDRS_MAX)
		r->hdr = NULL;
	else if (r->rec.hdr_cnt > SL_FRAME_HDRS_MAX) {
		rc = mem_headers(c->mem, &r->rec);
		r->hdr = c->mem->hdr;
	}
	if (rc) {
		drop(c); /* c->offset stands: read again when there is memory */
		return rc;
	}
	c->offset = offset + 1;
	return 1;
}

/* 1: a record was given; 0: the batch has no more. */
static int walk(struct sl_cursor *c, struct sl_cursor_rec *r, int64_t *ret_next)
{
	int rc = 0;

	while (c->offset < behind_batch(c) && (rc = sl_record_walk_next(&c->walk, &r->rec)) == 1) {
		int64_t delta = r->rec.offset_delta;
		if (delta < 0 || c->base + delta >= behind_batch(c))
			return damaged(c, behind_batch(c), ret_next);
		if (c->base + delta >= c->offset)
			return give(c, r, c->base + delta);
	}
	if (rc < 0)
		return damaged(c, behind_batch(c), ret_next);
	c->offset = SL_MAX(c->offset, behind_batch(c)); /* compaction took its last records */
	c->walking = false;
	c->pos = c->batch_end;
	return 0;
}

int sl_cursor_next(struct sl_cursor *c, struct sl_cursor_rec *ret_rec, int64_t *ret_next)
{
	int rc = 0;

	if (c->mem->owner != c)
		drop(c);
	do {
		if (c->walking)
			rc = walk(c, ret_rec, ret_next);
		else if (c->pos < c->len)
			rc = enter(c, ret_next);
		else if ((rc = fill(c, ret_next)) > 0)
			rc = 0;
		else
			return rc;
	} while (rc == 0);
	return rc;
}
