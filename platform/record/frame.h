/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - building one uncompressed record batch in place: the hot end of the ingest path.
 *
 * A builder fills caller's memory from SL_BATCH_HDR on; sl_bb_close() writes the header and the
 * CRC. Inline because it runs once per record. One thread per builder; never allocates.
 */
#ifndef SL_RECORD_FRAME_H
#define SL_RECORD_FRAME_H

#include "sluice/batch.h"
#include "sluice/wire.h"

#define SL_FRAME_HDRS_MAX 16

struct sl_hdr { /* one record header; value.p NULL = null */
	struct sl_slice name;
	struct sl_slice value;
};

struct sl_bb {
	uint8_t *buf;
	uint32_t cap;
	uint32_t len;    /* bytes used, header included */
	uint32_t cnt;    /* records so far */
	int64_t base_ts; /* of the first record */
	int64_t max_ts;
};

/* cap >= SL_BATCH_HDR + 64 */
SL_INLINE void sl_bb_init(struct sl_bb *b, uint8_t *buf, uint32_t cap)
{
	b->buf = buf;
	b->cap = cap;
	b->len = SL_BATCH_HDR;
	b->cnt = 0;
	b->base_ts = 0;
	b->max_ts = 0;
}

SL_INLINE uint32_t sl_varint_size(uint32_t zz)
{
	return zz < 1u << 7 ? 1 : zz < 1u << 14 ? 2 : zz < 1u << 21 ? 3 : zz < 1u << 28 ? 4 : 5;
}
SL_INLINE uint32_t sl_zz32(int32_t v)
{
	return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}
/* Branches on purpose: they are predicted, and a store pointer that waits for a computed size costs
 * more (tried: a branchless form took 45 cycles a record instead of 33, also on mixed lengths). */
SL_INLINE uint8_t *sl_put_uv(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* Keys are short, and of nearly the same length: not worth a call. */
SL_INLINE uint8_t *sl_put_key(uint8_t *p, const uint8_t *key, uint32_t n)
{
	if (sl_likely(n >= 8 && n <= 16)) {
		uint64_t a, b;
		memcpy(&a, key, 8);
		memcpy(&b, key + n - 8, 8);
		memcpy(p, &a, 8);
		memcpy(p + n - 8, &b, 8);
	} else if (n) {
		memcpy(p, key, n);
	}
	return p + n;
}

/* Upper bound of what a record adds to a batch. Lengths are bounded by the caller (< 2^24). */
SL_INLINE uint32_t sl_bb_bound(uint32_t key_len, uint32_t val_len, const struct sl_hdr *h,
			       unsigned nh)
{
	uint32_t n = 5 + 1 + 10 + 5 + 5 + key_len + 5 + val_len + 5;
	for (unsigned i = 0; i < nh; i++)
		n += 10 + h[i].name.len + h[i].value.len;
	return n;
}

/*
 * Appends a record; key.p NULL = null key, val.p NULL = null value. False, and nothing changed,
 * if it does not fit. Lengths below 2^24 together.
 */
SL_INLINE bool sl_bb_add(struct sl_bb *b, int64_t ts, struct sl_slice key, struct sl_slice val,
			 const struct sl_hdr *h, unsigned nh)
{
	if (b->len + sl_bb_bound(key.len, val.len, h, nh) > b->cap)
		return false;
	if (b->cnt == 0) {
		b->base_ts = ts;
		b->max_ts = ts;
	}
	int64_t dts = (int64_t)((uint64_t)ts - (uint64_t)b->base_ts);
	uint64_t zts = ((uint64_t)dts << 1) ^ (uint64_t)(dts >> 63);
	uint32_t zod = sl_zz32((int32_t)b->cnt);
	uint32_t zk = sl_zz32(key.p ? (int32_t)key.len : -1);
	uint32_t zv = sl_zz32(val.p ? (int32_t)val.len : -1);
	uint32_t body = 1 + (zts < 0x80 ? 1u : (70u - (uint32_t)__builtin_clzll(zts | 1)) / 7u) +
			sl_varint_size(zod) + sl_varint_size(zk) + key.len + sl_varint_size(zv) +
			val.len + sl_varint_size(sl_zz32((int32_t)nh));
	for (unsigned i = 0; i < nh; i++)
		body += sl_varint_size(sl_zz32((int32_t)h[i].name.len)) + h[i].name.len +
			sl_varint_size(sl_zz32(h[i].value.p ? (int32_t)h[i].value.len : -1)) +
			h[i].value.len;
	uint8_t *p = b->buf + b->len;
	p = sl_put_uv(p, sl_zz32((int32_t)body));
	SL_UNUSED uint8_t *body_at = p;
	*p++ = 0;
	p = sl_put_uv(p, zts);
	p = sl_put_uv(p, zod);
	p = sl_put_uv(p, zk);
	p = sl_put_key(p, key.p, key.len);
	p = sl_put_uv(p, zv);
	if (val.len) {
		memcpy(p, val.p, val.len);
		p += val.len;
	}
	p = sl_put_uv(p, sl_zz32((int32_t)nh));
	for (unsigned i = 0; i < nh; i++) {
		p = sl_put_uv(p, sl_zz32((int32_t)h[i].name.len));
		if (h[i].name.len)
			memcpy(p, h[i].name.p, h[i].name.len);
		p += h[i].name.len;
		p = sl_put_uv(p, sl_zz32(h[i].value.p ? (int32_t)h[i].value.len : -1));
		if (h[i].value.len) {
			memcpy(p, h[i].value.p, h[i].value.len);
			p += h[i].value.len;
		}
	}
	SL_DASSERT((uint32_t)(p - body_at) == body);
	b->len = (uint32_t)(p - b->buf);
	b->cnt++;
	if (ts > b->max_ts)
		b->max_ts = ts;
	return true;
}

/* Writes header and CRC: baseOffset 0, leader epoch -1, no producer. cnt >= 1. Returns bytes. */
uint32_t sl_bb_close(struct sl_bb *b);
/* The same, bearing a producer's mark. */
uint32_t sl_bb_close_as(struct sl_bb *b, int64_t producer_id, int16_t epoch, int32_t base_seq);

#endif
