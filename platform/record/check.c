/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "check.h"
#include "crc32c.h"

#define BATCH_LENGTH_MIN (SL_BATCH_HDR - SL_BATCH_LEN_BIAS)

const char *sl_batch_fault_name(enum sl_batch_fault f)
{
	static const char *const names[] = {
		[SL_BF_OK] = "ok",         [SL_BF_SHORT] = "short",
		[SL_BF_MAGIC] = "magic",   [SL_BF_LENGTH] = "length",
		[SL_BF_CRC] = "crc",       [SL_BF_CODEC] = "codec",
		[SL_BF_COUNT] = "count",   [SL_BF_DECOMPRESS] = "decompress",
		[SL_BF_RECORD] = "record",
	};

	SL_ASSERT((unsigned)f < SL_ARRAY_SIZE(names));
	return names[f];
}

enum sl_batch_fault sl_batch_check_frame(const uint8_t *b, size_t left, uint32_t *ret_total)
{
	if (left < SL_BATCH_HDR)
		return SL_BF_SHORT;
	if (sl_batch_magic(b) != SL_BATCH_MAGIC)
		return SL_BF_MAGIC;
	/* below INT32_MAX - 12, so that the total is an int32 as well */
	if (sl_batch_length(b) < BATCH_LENGTH_MIN ||
	    sl_batch_length(b) > INT32_MAX - SL_BATCH_LEN_BIAS)
		return SL_BF_LENGTH;
	uint32_t total = sl_batch_total(b);
	if (total > left)
		return SL_BF_SHORT;
	*ret_total = total;
	if (sl_crc32c(b + SL_BATCH_CRC_FROM, total - SL_BATCH_CRC_FROM) != sl_batch_crc(b))
		return SL_BF_CRC;
	return SL_BF_OK;
}

int sl_record_walk_init(struct sl_record_walk *w, const uint8_t *b, struct sl_scratch *s)
{
	struct sl_slice in = {b + SL_BATCH_HDR, sl_batch_total(b) - SL_BATCH_HDR};
	struct sl_slice records;
	int rc = sl_decompress(sl_batch_attrs(b) & SL_ATTR_CODEC_MASK, in, s, &records);

	if (rc)
		return rc;
	sl_rd_init(&w->rd, records.p, records.len);
	w->base_ts = sl_batch_base_ts(b);
	w->fixed_ts = sl_batch_attrs(b) & SL_ATTR_LOG_APPEND_TIME ? sl_batch_max_ts(b) : INT64_MIN;
	w->left = sl_batch_count(b);
	return 0;
}

/* A varint length and that many bytes; -1 is null if `nullable`. Anything else negative is bad. */
static struct sl_slice get_bytes(struct sl_rd *r, bool nullable)
{
	int32_t len = sl_rd_varint(r);

	if (len == -1 && nullable)
		return (struct sl_slice){NULL, 0};
	/* a negative length becomes one that no buffer can hold */
	return sl_rd_bytes(r, len < 0 ? SIZE_MAX : (size_t)len);
}

static void get_headers(struct sl_rd *r, struct sl_record *rec)
{
	int32_t n = sl_rd_varint(r);

	/* each takes two bytes at least, which bounds the loop before it runs */
	if (n < 0 || (size_t)n > sl_rd_left(r) / 2) {
		r->bad = true;
		return;
	}
	rec->hdr_cnt = (uint32_t)n;
	rec->hdr_bytes.p = r->p;
	for (int32_t i = 0; i < n && !r->bad; i++) {
		struct sl_hdr h = {.name = get_bytes(r, false)};

		h.value = get_bytes(r, true);
		if (i < SL_FRAME_HDRS_MAX)
			rec->hdr[i] = h;
	}
	rec->hdr_bytes.len = (uint32_t)(r->p - rec->hdr_bytes.p);
}

void sl_record_headers(const struct sl_record *rec, struct sl_hdr *ret_hdr)
{
	struct sl_rd r;

	sl_rd_init(&r, rec->hdr_bytes.p, rec->hdr_bytes.len);
	for (uint32_t i = 0; i < rec->hdr_cnt; i++) {
		ret_hdr[i].name = get_bytes(&r, false);
		ret_hdr[i].value = get_bytes(&r, true);
	}
	SL_ASSERT(!r.bad); /* the walker went this way before */
}

int sl_record_walk_next(struct sl_record_walk *w, struct sl_record *ret_rec)
{
	struct sl_rd r;

	if (w->left <= 0)
		return sl_rd_left(&w->rd) ? -EILSEQ : 0;
	struct sl_slice body = get_bytes(&w->rd, false);
	if (w->rd.bad)
		return -EILSEQ;
	sl_rd_init(&r, body.p, body.len);
	sl_rd_u8(&r); /* attributes: no bit is defined */
	uint64_t delta = (uint64_t)sl_rd_varlong(&r);
	/* a sender's delta may wrap, as it does in Java */
	ret_rec->ts =
		w->fixed_ts != INT64_MIN ? w->fixed_ts : (int64_t)((uint64_t)w->base_ts + delta);
	ret_rec->offset_delta = sl_rd_varint(&r);
	ret_rec->key = get_bytes(&r, true);
	ret_rec->value = get_bytes(&r, true);
	ret_rec->hdr_cnt = 0;
	get_headers(&r, ret_rec);
	if (r.bad || sl_rd_left(&r)) {
		w->rd.bad = true;
		return -EILSEQ;
	}
	w->left--;
	return 1;
}

static void info_add(struct sl_batch_info *info, int64_t ts, int64_t offset_delta, bool null_key)
{
	if (offset_delta == 0 || ts > info->max_ts) {
		info->max_ts = ts;
		info->max_ts_offset_delta = offset_delta;
	}
	if (offset_delta == 0 || ts < info->min_ts)
		info->min_ts = ts;
	info->null_key |= null_key;
}

/* ---- the usual record ------------------------------------------------------------------------ */

#define PLAIN_VARINT 3 /* bytes: up to 2^20, where nearly all lengths, deltas and times are */
#define PLAIN_PREFIX (4 * PLAIN_VARINT + 1)

/* A zig-zag varint of at most PLAIN_VARINT bytes, which can be read. Returns its bytes, 0: longer.
 */
SL_INLINE unsigned plain_varint(const uint8_t *p, int32_t *ret_v)
{
	uint32_t v = p[0] & 0x7fu;
	unsigned n = 1;

	if (p[0] & 0x80) {
		v |= (p[1] & 0x7fu) << 7;
		n = 2;
		if (p[1] & 0x80) {
			v |= (p[2] & 0x7fu) << 14;
			n = p[2] & 0x80 ? 0 : 3;
		}
	}
	*ret_v = (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
	return n;
}

/*
 * A record without headers whose numbers are short: nearly every one, checked without a cursor
 * (11 ns instead of 27). Returns its bytes; 0: look at it with sl_record_walk_next(), which also
 * decides whether it is broken.
 */
SL_INLINE size_t plain_record(const uint8_t *p, size_t left, int64_t index, int32_t *ret_ts_delta,
			      bool *ret_null_key)
{
	int32_t len, offset, key, value;
	unsigned n, m;

	if (left < PLAIN_PREFIX || !(n = plain_varint(p, &len)) || len < 0 ||
	    (size_t)len > left - n)
		return 0;
	size_t bytes = n + (size_t)len;
	const uint8_t *end = p + bytes;
	p += n + 1; /* attributes: no bit is defined */
	if (!(n = plain_varint(p, ret_ts_delta)) || !(m = plain_varint(p + n, &offset)) ||
	    offset != index)
		return 0;
	p += n + m;
	if (!(n = plain_varint(p, &key)) || key < -1)
		return 0;
	p += n;
	/* so many bytes are there if the key is; else the difference is too small or negative */
	if (end - p < (ptrdiff_t)SL_MAX(key, 0) + PLAIN_VARINT)
		return 0;
	p += SL_MAX(key, 0);
	if (!(n = plain_varint(p, &value)) || value < -1)
		return 0;
	p += n;
	if (end - p != (ptrdiff_t)SL_MAX(value, 0) + 1 || end[-1] != 0) /* no headers */
		return 0;
	*ret_null_key = key < 0;
	return bytes;
}

static enum sl_batch_fault check_records(const uint8_t *b, struct sl_scratch *s,
					 struct sl_batch_info *info)
{
	struct sl_record_walk w;
	struct sl_record rec;
	int rc;

	if (sl_record_walk_init(&w, b, s))
		return SL_BF_DECOMPRESS;
	for (int64_t i = 0;; i++) {
		int32_t delta;
		bool null_key;
		size_t n = w.left > 0
				   ? plain_record(w.rd.p, sl_rd_left(&w.rd), i, &delta, &null_key)
				   : 0;
		if (sl_likely(n)) {
			sl_rd_bytes(&w.rd, n);
			w.left--;
			int64_t ts = (int64_t)((uint64_t)w.base_ts + (uint64_t)(int64_t)delta);
			info_add(info, w.fixed_ts != INT64_MIN ? w.fixed_ts : ts, i, null_key);
			continue;
		}
		rc = sl_record_walk_next(&w, &rec);
		if (rc != 1)
			break;
		if (rec.offset_delta != i)
			return SL_BF_RECORD;
		info_add(info, rec.ts, i, !rec.key.p);
	}
	return rc ? SL_BF_RECORD : SL_BF_OK;
}

enum sl_batch_fault sl_batch_check(const uint8_t *b, size_t left, bool exact, struct sl_scratch *s,
				   struct sl_batch_info *ret_info)
{
	struct sl_batch_info info = {0};
	enum sl_batch_fault f = sl_batch_check_frame(b, left, &info.total);

	if (f)
		return f;
	if (exact && info.total != left)
		return SL_BF_LENGTH;
	if ((sl_batch_attrs(b) & SL_ATTR_CODEC_MASK) >= SL_CODEC_CNT)
		return SL_BF_CODEC;
	info.count = sl_batch_count(b);
	if (info.count <= 0 || sl_batch_last_delta(b) != info.count - 1)
		return SL_BF_COUNT;
	f = check_records(b, s, &info);
	if (!f && ret_info)
		*ret_info = info;
	return f;
}

void sl_batch_set_ts(uint8_t *b, uint32_t total, int64_t max_ts, bool log_append)
{
	uint16_t attrs = (uint16_t)sl_batch_attrs(b);

	SL_ASSERT(total >= SL_BATCH_HDR);
	attrs = log_append ? attrs | SL_ATTR_LOG_APPEND_TIME
			   : attrs & (uint16_t)~SL_ATTR_LOG_APPEND_TIME;
	sl_put_be16(b + SL_BATCH_ATTRS_OFF, attrs);
	sl_put_be64(b + SL_BATCH_MAX_TS_OFF, (uint64_t)max_ts);
	sl_put_be32(b + SL_BATCH_CRC_OFF,
		    sl_crc32c(b + SL_BATCH_CRC_FROM, total - SL_BATCH_CRC_FROM));
}
