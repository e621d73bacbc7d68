/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - reading from the files: find, read, check every checksum. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/record/check.h"
#include "scan.h"

#define WALK_BYTES 16384u

/* A segment held open for a read: no path after this, and nobody fills the file anew. */
struct held {
	struct sl_part *p;
	struct sl_seg *g;
	int fd;
	int64_t next_base; /* of the segment behind, -1 none */
	uint32_t limit;    /* bytes that are in the file */
	uint32_t size;     /* bytes that were appended */
	uint32_t from;     /* where the index says to look */
};

/* Under the list lock, because the housekeeper takes the index away when it finishes a segment. */
static uint32_t index_find(struct held *h, int64_t offset)
{
	char name[SL_FILE_NAME_MAX];
	uint32_t rel = offset > h->g->base
			       ? (uint32_t)SL_MIN(offset - h->g->base, (int64_t)UINT32_MAX)
			       : 0;
	uint32_t pos = 0;

	pthread_mutex_lock(&h->p->lock);
	bool memory = h->g->idx != NULL;
	if (memory)
		pos = sl_idx_find(h->g->idx, rel);
	pthread_mutex_unlock(&h->p->lock);
	if (memory)
		return pos;
	sl_segname(h->p->dir, h->g->base, ".index", name);
	return sl_idx_file_find(h->p->store->dir.log_fd, name, rel, h->limit);
}

static void let_go(struct held *h)
{
	close(h->fd);
	sl_part_seg_put(h->p, h->g);
}

static int hold(struct sl_part *p, int64_t offset, struct held *h)
{
	h->p = p;
	h->g = sl_part_seg_get(p, offset, &h->next_base);
	if (!h->g)
		return -ERANGE;
	h->fd = sl_seg_read_fd(p, h->g);
	if (h->fd < 0) {
		int err = h->fd;
		sl_part_seg_put(p, h->g);
		if (err != -ENOENT || sl_part_state(p) == SL_PART_DELETED)
			return err;
		/* deleted under our feet: the log starts later now */
		return offset < sl_part_start(p) ? -ERANGE : -EIO;
	}
	h->limit = atomic_load_explicit(&h->g->written, memory_order_acquire);
	h->size = sl_seg_size(h->g);
	h->from = index_find(h, offset);
	if (h->from >= h->limit)
		h->from = 0;
	/* the topic was deleted, and these files may be another's that bears its name: it became
	 * DELETED before its directory moved */
	if (sl_part_state(p) == SL_PART_DELETED) {
		let_go(h);
		return -ENOENT;
	}
	return 0;
}

static bool plausible(const uint8_t *b, uint32_t left)
{
	int32_t len = sl_batch_length(b);

	return sl_batch_magic(b) == SL_BATCH_MAGIC && len >= SL_BATCH_HDR - SL_BATCH_LEN_BIAS &&
	       (uint32_t)len <= left - SL_MIN(left, (uint32_t)SL_BATCH_LEN_BIAS) &&
	       sl_batch_last_delta(b) >= 0;
}

/*
 * The header of the batch at pos, of which `have` bytes were read. 0: the whole batch is in the
 * file; -ENODATA: it ends behind what has been written; -EILSEQ: it makes no sense.
 */
static int header_state(const struct held *h, const uint8_t *b, uint32_t have, uint32_t pos)
{
	if (have < SL_BATCH_HDR)
		return h->limit < h->size ? -ENODATA : -EILSEQ;
	if (plausible(b, h->limit - pos))
		return 0;
	return plausible(b, h->size - pos) ? -ENODATA : -EILSEQ;
}

/*
 * Position of the first batch from `from` on whose last offset is not below `offset`. -ENODATA:
 * none in this segment; -EILSEQ: *ret_pos is where the headers stop making sense.
 */
static int find_batch(const struct held *h, uint32_t from, int64_t offset, uint32_t *ret_pos)
{
	uint8_t buf[WALK_BYTES];
	uint32_t pos = from, at = 0, have = 0;

	while (pos < h->limit) {
		if (pos < at || pos + SL_BATCH_HDR > at + have) {
			int64_t n = sl_io_pread_all(h->fd, buf, SL_MIN(sizeof(buf), h->limit - pos),
						    pos);
			if (n < 0)
				return (int)n;
			at = pos;
			have = (uint32_t)n;
		}
		const uint8_t *b = buf + (pos - at);
		*ret_pos = pos;
		int rc = header_state(h, b, at + have - pos, pos);
		if (rc || sl_batch_last_offset(b) >= offset)
			return rc;
		pos += sl_batch_total(b);
	}
	return -ENODATA;
}

/* Takes checked batches out of `got` bytes at rd->buf + rd->len. 1: all of them; 0: enough. */
static int take_checked(struct sl_read *rd, uint32_t got, int64_t limit, uint32_t *ret_taken)
{
	uint32_t pos = 0, total;
	int take = 1;

	while (got - pos >= SL_BATCH_HDR) {
		const uint8_t *b = rd->buf + rd->len;
		uint32_t left = got - pos;
		if (!plausible(b, UINT32_MAX))
			return -EILSEQ;
		if (sl_batch_total(b) > left)
			break; /* read on from here */
		take = sl_read_take(rd, sl_batch_total(b), sl_batch_last_offset(b), limit);
		if (take <= 0)
			break;
		if (sl_batch_check_frame(b, left, &total) != SL_BF_OK)
			return -EILSEQ;
		pos += total;
		rd->len += total;
		rd->next_offset = sl_batch_last_offset(b) + 1;
		*ret_taken = pos;
	}
	return take;
}

/* Whole batches from `pos` of a held segment on. 1: to the end of what is in the file. */
static int read_from(struct held *h, uint32_t pos, struct sl_read *rd, int64_t limit)
{
	uint8_t hdr[SL_BATCH_HDR];
	int rc = 1;

	while (pos < h->limit) {
		uint32_t max = SL_MIN(rd->max_bytes, rd->cap), want, taken = 0;
		int64_t n = sl_io_pread_all(h->fd, hdr, sizeof(hdr), pos);
		if (n < 0)
			return (int)n;
		rc = header_state(h, hdr, (uint32_t)SL_MIN(n, (int64_t)(h->limit - pos)), pos);
		if (rc)
			return rc == -ENODATA ? 1 : rc;
		rc = sl_read_take(rd, sl_batch_total(hdr), sl_batch_last_offset(hdr), limit);
		if (rc <= 0)
			return rc;
		want = SL_MAX(max - SL_MIN(max, rd->len), sl_batch_total(hdr));
		want = SL_MIN(want, SL_MIN(h->limit - pos, rd->cap - rd->len));
		n = sl_io_pread_all(h->fd, rd->buf + rd->len, want, pos);
		if (n < 0)
			return (int)n;
		rc = take_checked(rd, (uint32_t)n, limit, &taken);
		if (rc <= 0)
			return rc;
		if (taken == 0)
			return -EILSEQ; /* the header changed between two looks */
		pos += taken;
	}
	return rc;
}

/* The next good batch behind `pos`, where damage is. False: none in this segment. */
static bool skip_damage(const struct held *h, uint32_t *pos, int64_t from, int64_t *ret_base)
{
	struct sl_scan sc = {.fd = h->fd, .end_pos = h->limit, .pos = *pos, .next_off = from};
	bool found = sl_scan_resync(&sc, sl_part_end(h->p));

	if (found) {
		*pos = sc.pos;
		*ret_base = sc.next_off;
	}
	sl_scan_fini(&sc);
	return found;
}

static int64_t behind_segment(const struct held *h)
{
	return h->next_base >= 0 ? h->next_base : sl_part_end(h->p);
}

/* 1: to the end of the segment; 0: enough; -EILSEQ: rd->next_offset is where it is good again. */
static int read_segment(struct held *h, struct sl_read *rd, int64_t limit)
{
	uint32_t pos = h->from;
	int64_t base = h->g->base;
	int rc;

	while ((rc = find_batch(h, pos, rd->next_offset, &pos)) == -EILSEQ) {
		if (!skip_damage(h, &pos, base, &base)) {
			rd->next_offset = behind_segment(h);
			return -EILSEQ;
		}
		if (base > rd->offset) { /* the offset wanted lay in the damage */
			rd->next_offset = base;
			return -EILSEQ;
		}
		base++;
	}
	if (rc)
		return rc == -ENODATA ? 1 : rc;
	rc = read_from(h, pos, rd, limit);
	if (rc == -EILSEQ && rd->len > 0)
		return 0; /* what is good first */
	if (rc == -EILSEQ)
		rd->next_offset =
			skip_damage(h, &pos, rd->offset, &base) ? base : behind_segment(h);
	return rc;
}

/* One segment of the disk. 1: go on behind it; 0: done; else -errno. */
static int read_disk(struct sl_part *p, struct sl_read *rd, int64_t limit)
{
	struct held h;
	int rc = hold(p, rd->next_offset, &h);

	if (rc)
		return rc;
	rc = read_segment(&h, rd, limit);
	if (rc == -EILSEQ) {
		/* a page cached before the block was written past the cache: look at the disk
		 * itself */
		posix_fadvise(h.fd, 0, 0, POSIX_FADV_DONTNEED);
		rd->next_offset = rd->offset;
		rc = read_segment(&h, rd, limit);
	}
	if (rc == 1 && h.next_base > 0 && h.next_base < limit && rd->len == 0) {
		rd->next_offset = SL_MAX(rd->next_offset, h.next_base); /* a gap in the offsets */
		let_go(&h);
		return 1;
	}
	let_go(&h);
	return rc < 0 ? rc : 0;
}

int sl_store_read(struct sl_part *p, struct sl_read *rd)
{
	int64_t limit;
	int rc = sl_store_read_tail(p, rd);

	if (rc != -EAGAIN)
		return rc;
	rc = sl_read_begin(p, rd, &limit);
	if (rc <= 0)
		return rc;
	do {
		rc = read_disk(p, rd, limit);
	} while (rc == 1);
	if (rc == 0 && rd->len == 0 && rd->need == 0) {
		/* written behind our back between the two looks, or a segment not in the list yet
		 */
		rc = sl_store_read_tail(p, rd);
		rc = rc == -EAGAIN ? 0 : rc;
	}
	return rc;
}
