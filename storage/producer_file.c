/* SPDX-License-Identifier: Apache-2.0 */
/* producer_file.c - producer state on disk. Byte tables: docs/formats/state.md. */
#include "producer.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/record/crc32c.h"
#include "sluice/wire.h"

enum { SNAP_HDR = 10, SNAP_ENTRY = 46, SNAP_VERSION = 1 };
enum { PS_HDR = 28, PS_ENTRY = 20, PS_BATCH = 28, PS_VERSION = 1 };
#define PS_MAGIC 0x534c5053u /* "SLPS" */
#define FILE_MAX (8u << 20)

static int put_file(int dirfd, const char *name, const void *buf, size_t len, bool sync)
{
	return sync ? sl_file_replace(dirfd, name, buf, len)
		    : sl_file_replace_lazy(dirfd, name, buf, len);
}

int sl_snapshot_store(int log_fd, const char *name, const struct sl_producer *all, uint32_t cnt,
		      bool sync)
{
	size_t len = SNAP_HDR + (size_t)cnt * SNAP_ENTRY;
	uint8_t *buf = malloc(len);
	struct sl_wr w;

	if (!buf)
		return -ENOMEM;
	sl_wr_init(&w, buf, len);
	sl_wr_be16(&w, SNAP_VERSION);
	sl_wr_be32(&w, 0);
	sl_wr_be32(&w, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		const struct sl_producer *p = &all[i];
		const struct sl_pbatch *b = &p->batch[p->cnt - 1];
		sl_wr_be64(&w, (uint64_t)p->pid);
		sl_wr_be16(&w, (uint16_t)p->epoch);
		sl_wr_be32(&w, (uint32_t)b->last_seq);
		sl_wr_be64(&w, (uint64_t)(b->base_offset + b->offset_delta));
		sl_wr_be32(&w, (uint32_t)b->offset_delta);
		sl_wr_be64(&w, (uint64_t)b->ts_ms);
		sl_wr_be32(&w, UINT32_MAX);
		sl_wr_be64(&w, UINT64_MAX);
	}
	SL_ASSERT(!w.bad && sl_wr_len(&w) == len);
	sl_put_be32(buf + 2, sl_crc32c(buf + 6, len - 6));
	int err = put_file(log_fd, name, buf, len, sync);
	free(buf);
	return err;
}

int sl_snapshot_load(int log_fd, const char *name, struct sl_producers *ps)
{
	char *text;
	size_t len;
	struct sl_rd r;
	int err = sl_file_read(log_fd, name, FILE_MAX, &text, &len);

	if (err)
		return err;
	const uint8_t *buf = (const uint8_t *)text;
	uint32_t cnt = len >= SNAP_HDR ? sl_be32(buf + 6) : 0;
	if (len < SNAP_HDR || sl_be16(buf) != SNAP_VERSION || cnt > len / SNAP_ENTRY ||
	    len != SNAP_HDR + (size_t)cnt * SNAP_ENTRY ||
	    sl_be32(buf + 2) != sl_crc32c(buf + 6, len - 6))
		err = -EILSEQ;
	sl_rd_init(&r, buf + (err ? 0 : SNAP_HDR), err ? 0 : len - SNAP_HDR);
	while (!err && sl_rd_left(&r)) {
		struct sl_pappend a;
		a.pid = (int64_t)sl_rd_be64(&r);
		a.epoch = (int16_t)sl_rd_be16(&r);
		int32_t last_seq = (int32_t)sl_rd_be32(&r);
		int64_t last_offset = (int64_t)sl_rd_be64(&r);
		int32_t delta = (int32_t)sl_rd_be32(&r);
		a.ts_ms = (int64_t)sl_rd_be64(&r);
		sl_rd_bytes(&r, 12);
		if (delta < 0 || last_seq < 0 || last_offset < delta)
			continue; /* a producer without a batch */
		a.records = (uint32_t)delta + 1;
		a.base_seq = (int32_t)(((uint32_t)last_seq - (uint32_t)delta) & INT32_MAX);
		a.base_offset = last_offset - delta;
		sl_producers_put(ps, &a, a.ts_ms);
	}
	free(text);
	return err;
}

int sl_pstate_store(int producers_fd, const char *name, int64_t offset,
		    const struct sl_producer *all, uint32_t cnt, bool sync)
{
	size_t cap = PS_HDR + (size_t)cnt * (PS_ENTRY + SL_PRODUCER_BATCHES * PS_BATCH);
	uint8_t *buf = malloc(cap);
	struct sl_wr w;

	if (!buf)
		return -ENOMEM;
	sl_wr_init(&w, buf, cap);
	sl_wr_be32(&w, PS_MAGIC);
	sl_wr_be32(&w, 0);
	sl_wr_be32(&w, PS_VERSION);
	sl_wr_be32(&w, 0);
	sl_wr_be64(&w, (uint64_t)offset);
	sl_wr_be32(&w, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		sl_wr_be64(&w, (uint64_t)all[i].pid);
		sl_wr_be64(&w, (uint64_t)all[i].seen_ms);
		sl_wr_be16(&w, (uint16_t)all[i].epoch);
		sl_wr_be16(&w, all[i].cnt);
		for (unsigned k = 0; k < all[i].cnt; k++) {
			const struct sl_pbatch *b = &all[i].batch[k];
			sl_wr_be32(&w, (uint32_t)b->first_seq);
			sl_wr_be32(&w, (uint32_t)b->last_seq);
			sl_wr_be64(&w, (uint64_t)b->base_offset);
			sl_wr_be32(&w, (uint32_t)b->offset_delta);
			sl_wr_be64(&w, (uint64_t)b->ts_ms);
		}
	}
	SL_ASSERT(!w.bad);
	size_t len = sl_wr_len(&w);
	sl_put_be32(buf + 4, sl_crc32c(buf + 8, len - 8));
	int err = put_file(producers_fd, name, buf, len, sync);
	free(buf);
	return err;
}

static int pstate_parse(struct sl_rd *r, uint32_t cnt, struct sl_producers *ps)
{
	for (uint32_t i = 0; i < cnt; i++) {
		int64_t pid = (int64_t)sl_rd_be64(r);
		int64_t seen = (int64_t)sl_rd_be64(r);
		int16_t epoch = (int16_t)sl_rd_be16(r);
		uint16_t n = sl_rd_be16(r);
		if (n > SL_PRODUCER_BATCHES)
			return -EILSEQ;
		for (unsigned k = 0; k < n; k++) {
			struct sl_pappend a = {.pid = pid, .epoch = epoch};
			a.base_seq = (int32_t)sl_rd_be32(r);
			sl_rd_be32(r); /* last sequence follows from the count */
			a.base_offset = (int64_t)sl_rd_be64(r);
			a.records = sl_rd_be32(r) + 1;
			a.ts_ms = (int64_t)sl_rd_be64(r);
			if (r->bad || a.records == 0 || a.records > INT32_MAX)
				return -EILSEQ;
			sl_producers_put(ps, &a, seen);
		}
	}
	return r->bad || sl_rd_left(r) ? -EILSEQ : 0;
}

int sl_pstate_load(int producers_fd, const char *name, struct sl_producers *ps, int64_t *ret_offset)
{
	char *text;
	size_t len;
	struct sl_rd r;
	int err = sl_file_read(producers_fd, name, FILE_MAX, &text, &len);

	if (err)
		return err;
	const uint8_t *buf = (const uint8_t *)text;
	if (len < PS_HDR || sl_be32(buf) != PS_MAGIC || sl_be32(buf + 8) != PS_VERSION ||
	    sl_be32(buf + 4) != sl_crc32c(buf + 8, len - 8) || sl_be32(buf + 24) > SL_PRODUCERS_MAX)
		err = -EILSEQ;
	if (!err) {
		sl_rd_init(&r, buf + PS_HDR, len - PS_HDR);
		err = pstate_parse(&r, sl_be32(buf + 24), ps);
		if (!err)
			*ret_offset = (int64_t)sl_be64(buf + 16);
	}
	free(text);
	return err;
}
