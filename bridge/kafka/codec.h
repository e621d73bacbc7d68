/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - Kafka's primitive types, read from a request and written into a response.
 *
 * One function per type serves both encodings: with `flex` set (KIP-482) strings, byte arrays and
 * arrays have an unsigned varint of length + 1, and structures end in tagged fields; without it
 * they have an i16 or i32 length and no tags. Byte tables: docs/formats/kafka-wire.md.
 *
 * Reading: errors are sticky (wire.h); a parser reads a whole structure and looks at rd.bad once.
 * Every count is checked against the bytes that remain before it is returned, so a loop over it is
 * bounded by the size of the request. Slices borrow from the request's frame.
 * Any thread; one reader or writer belongs to one thread.
 */
#ifndef SL_BRIDGE_KAFKA_CODEC_H
#define SL_BRIDGE_KAFKA_CODEC_H

#include "sluice/wire.h"

#define SL_KR_TAGS_MAX      64          /* tagged fields in one structure */
#define SL_KR_TAG_BYTES_MAX (64u << 10) /* of them in a whole request: we know none of them */

/* ---- reading --------------------------------------------------------------------------------- */

struct sl_kr {
	struct sl_rd rd;
	bool flex;
	uint32_t tag_bytes; /* skipped so far */
};

SL_INLINE int8_t sl_kr_i8(struct sl_kr *r)
{
	return (int8_t)sl_rd_u8(&r->rd);
}
SL_INLINE bool sl_kr_bool(struct sl_kr *r)
{
	return sl_rd_u8(&r->rd) != 0;
}
SL_INLINE int16_t sl_kr_i16(struct sl_kr *r)
{
	return (int16_t)sl_rd_be16(&r->rd);
}
SL_INLINE int32_t sl_kr_i32(struct sl_kr *r)
{
	return (int32_t)sl_rd_be32(&r->rd);
}
SL_INLINE int64_t sl_kr_i64(struct sl_kr *r)
{
	return (int64_t)sl_rd_be64(&r->rd);
}
void sl_kr_bad(struct sl_kr *r); /* the structure makes no sense: sets the sticky error */

/* STRING / COMPACT_STRING; null is bad. */
struct sl_slice sl_kr_str(struct sl_kr *r);
/* NULLABLE_STRING; null has p == NULL. Any negative length is null, as Kafka takes it. */
struct sl_slice sl_kr_nstr(struct sl_kr *r);
/* The NULLABLE_STRING of a request header's client id: never compact. */
struct sl_slice sl_kr_nstr_plain(struct sl_kr *r);
/* NULLABLE_BYTES and RECORDS; null has p == NULL. */
struct sl_slice sl_kr_nbytes(struct sl_kr *r);
/* UUID: 16 bytes; NULL when bad. */
const uint8_t *sl_kr_uuid(struct sl_kr *r);
/*
 * Number of elements of an ARRAY whose elements take at least elem_min bytes; null is bad.
 * A count beyond what the remaining bytes can hold is bad.
 */
uint32_t sl_kr_array(struct sl_kr *r, uint32_t elem_min);
/* The same, but null allowed: -1. */
int32_t sl_kr_narray(struct sl_kr *r, uint32_t elem_min);
/*
 * The tagged fields that end a structure, all skipped; nothing unless flex. Too many of them, or
 * too large together, are bad.
 */
void sl_kr_tags(struct sl_kr *r);

/* ---- writing --------------------------------------------------------------------------------- */

/*
 * A buffer that grows up to SL_KW_MAX; errors (no memory, too large) are sticky. Zeroed is empty.
 */
#define SL_KW_MAX (64u << 20)

struct sl_kw {
	uint8_t *buf; /* owned */
	uint32_t len, cap;
	bool bad;
	bool flex;
};

void sl_kw_fini(struct sl_kw *w); /* accepts zeroed */
/* Makes room for n more bytes; false: bad. */
bool sl_kw_grow(struct sl_kw *w, uint32_t n);

SL_INLINE bool sl_kw_room(struct sl_kw *w, uint32_t n)
{
	return sl_likely(w->cap - w->len >= n) || sl_kw_grow(w, n);
}
SL_INLINE void sl_kw_i8(struct sl_kw *w, int8_t v)
{
	if (sl_kw_room(w, 1))
		w->buf[w->len++] = (uint8_t)v;
}
SL_INLINE void sl_kw_bool(struct sl_kw *w, bool v)
{
	sl_kw_i8(w, v);
}
SL_INLINE void sl_kw_i16(struct sl_kw *w, int16_t v)
{
	if (sl_kw_room(w, 2)) {
		sl_put_be16(w->buf + w->len, (uint16_t)v);
		w->len += 2;
	}
}
SL_INLINE void sl_kw_i32(struct sl_kw *w, int32_t v)
{
	if (sl_kw_room(w, 4)) {
		sl_put_be32(w->buf + w->len, (uint32_t)v);
		w->len += 4;
	}
}
SL_INLINE void sl_kw_i64(struct sl_kw *w, int64_t v)
{
	if (sl_kw_room(w, 8)) {
		sl_put_be64(w->buf + w->len, (uint64_t)v);
		w->len += 8;
	}
}
void sl_kw_uvarint(struct sl_kw *w, uint32_t v);
void sl_kw_raw(struct sl_kw *w, const void *p, uint32_t n);
void sl_kw_str(struct sl_kw *w, struct sl_slice s); /* p == NULL: null */
void sl_kw_cstr(struct sl_kw *w, const char *s);    /* NULL: null */
void sl_kw_array(struct sl_kw *w, uint32_t n);
void sl_kw_null_array(struct sl_kw *w);
/* The length of a byte array; its n bytes follow by other means. */
void sl_kw_bytes_len(struct sl_kw *w, uint32_t n);
/* No tagged fields; nothing unless flex. */
void sl_kw_tags(struct sl_kw *w);

#endif
