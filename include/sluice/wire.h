/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - bounds-checked cursors over bytes that came from outside, or go there.
 *
 * Errors are sticky: after the first out-of-bounds access every read returns 0 and `bad` stays
 * set, so a parser reads a whole structure and checks once. Nothing is allocated; slices borrow
 * from the buffer under the cursor. Any thread; one cursor belongs to one thread.
 */
#ifndef SLUICE_WIRE_H
#define SLUICE_WIRE_H

#include "sluice/base.h"

struct sl_slice { /* borrowed bytes; p == NULL means null where a protocol has nulls */
	const uint8_t *p;
	uint32_t len;
};

struct sl_rd {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

struct sl_wr {
	uint8_t *p;
	uint8_t *start;
	uint8_t *end;
	bool bad; /* did not fit */
};

SL_INLINE void sl_rd_init(struct sl_rd *r, const void *buf, size_t len)
{
	r->p = buf;
	r->end = r->p + len;
	r->bad = false;
}

SL_INLINE size_t sl_rd_left(const struct sl_rd *r)
{
	return (size_t)(r->end - r->p);
}

SL_INLINE bool sl_rd_need(struct sl_rd *r, size_t n)
{
	if (sl_unlikely(sl_rd_left(r) < n)) {
		r->bad = true;
		r->p = r->end;
		return false;
	}
	return true;
}

SL_INLINE uint8_t sl_rd_u8(struct sl_rd *r)
{
	return sl_rd_need(r, 1) ? *r->p++ : 0;
}

SL_INLINE uint16_t sl_rd_be16(struct sl_rd *r)
{
	if (!sl_rd_need(r, 2))
		return 0;
	r->p += 2;
	return sl_be16(r->p - 2);
}

SL_INLINE uint32_t sl_rd_be32(struct sl_rd *r)
{
	if (!sl_rd_need(r, 4))
		return 0;
	r->p += 4;
	return sl_be32(r->p - 4);
}

SL_INLINE uint64_t sl_rd_be64(struct sl_rd *r)
{
	if (!sl_rd_need(r, 8))
		return 0;
	r->p += 8;
	return sl_be64(r->p - 8);
}

/* `n` bytes as a slice; an empty slice with p set when n is 0. */
SL_INLINE struct sl_slice sl_rd_bytes(struct sl_rd *r, size_t n)
{
	struct sl_slice s = {NULL, 0};
	if (!sl_rd_need(r, n))
		return s;
	s.p = r->p;
	s.len = (uint32_t)n;
	r->p += n;
	return s;
}

/* Unsigned LEB128 of at most 5 (10) bytes; a longer one, or one beyond 32 (64) bits, is bad. */
SL_INLINE uint64_t sl_rd_uvarint_n(struct sl_rd *r, unsigned bits)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < bits; shift += 7) {
		uint8_t b = sl_rd_u8(r);
		if (shift + 7 > bits && (b & 0x7f) >> (bits - shift))
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return r->bad ? 0 : v;
	}
	r->bad = true;
	r->p = r->end;
	return 0;
}

SL_INLINE uint32_t sl_rd_uvarint(struct sl_rd *r)
{
	return (uint32_t)sl_rd_uvarint_n(r, 32);
}

/* Zig-zag varint (i32) and varlong (i64), as in Kafka records. */
SL_INLINE int32_t sl_rd_varint(struct sl_rd *r)
{
	uint32_t v = (uint32_t)sl_rd_uvarint_n(r, 32);
	return (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
}

SL_INLINE int64_t sl_rd_varlong(struct sl_rd *r)
{
	uint64_t v = sl_rd_uvarint_n(r, 64);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

SL_INLINE void sl_wr_init(struct sl_wr *w, void *buf, size_t cap)
{
	w->start = w->p = buf;
	w->end = w->p + cap;
	w->bad = false;
}

SL_INLINE size_t sl_wr_len(const struct sl_wr *w)
{
	return (size_t)(w->p - w->start);
}

SL_INLINE bool sl_wr_room(struct sl_wr *w, size_t n)
{
	if (sl_unlikely((size_t)(w->end - w->p) < n)) {
		w->bad = true;
		return false;
	}
	return true;
}

SL_INLINE void sl_wr_u8(struct sl_wr *w, uint8_t v)
{
	if (sl_wr_room(w, 1))
		*w->p++ = v;
}

SL_INLINE void sl_wr_be16(struct sl_wr *w, uint16_t v)
{
	if (sl_wr_room(w, 2)) {
		sl_put_be16(w->p, v);
		w->p += 2;
	}
}

SL_INLINE void sl_wr_be32(struct sl_wr *w, uint32_t v)
{
	if (sl_wr_room(w, 4)) {
		sl_put_be32(w->p, v);
		w->p += 4;
	}
}

SL_INLINE void sl_wr_be64(struct sl_wr *w, uint64_t v)
{
	if (sl_wr_room(w, 8)) {
		sl_put_be64(w->p, v);
		w->p += 8;
	}
}

#endif
