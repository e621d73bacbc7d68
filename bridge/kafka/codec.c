/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"

#include <stdlib.h>

#define KW_FIRST 256   /* bytes of a writer's first buffer */
#define STR_MAX  32767 /* Kafka's own limit of a string, in both encodings */

void sl_kr_bad(struct sl_kr *r)
{
	r->rd.bad = true;
	r->rd.p = r->rd.end;
}

/* -1 null, else the length; beyond `max` or beyond what remains it is bad (and -1). */
static int64_t read_len(struct sl_kr *r, bool flex, bool wide, uint32_t max)
{
	int64_t n;
	if (flex)
		n = (int64_t)sl_rd_uvarint(&r->rd) - 1;
	else if (wide)
		n = sl_kr_i32(r);
	else
		n = sl_kr_i16(r);
	if (n < 0)
		return -1;
	if (n > max || (uint64_t)n > sl_rd_left(&r->rd)) {
		sl_kr_bad(r);
		return -1;
	}
	return n;
}

static struct sl_slice slice(struct sl_kr *r, int64_t n)
{
	if (n < 0 || r->rd.bad)
		return (struct sl_slice){NULL, 0};
	return sl_rd_bytes(&r->rd, (size_t)n);
}

struct sl_slice sl_kr_nstr(struct sl_kr *r)
{
	return slice(r, read_len(r, r->flex, false, STR_MAX));
}

struct sl_slice sl_kr_nstr_plain(struct sl_kr *r)
{
	return slice(r, read_len(r, false, false, STR_MAX));
}

struct sl_slice sl_kr_str(struct sl_kr *r)
{
	struct sl_slice s = sl_kr_nstr(r);
	if (!s.p)
		sl_kr_bad(r);
	return s;
}

struct sl_slice sl_kr_nbytes(struct sl_kr *r)
{
	return slice(r, read_len(r, r->flex, true, INT32_MAX));
}

const uint8_t *sl_kr_uuid(struct sl_kr *r)
{
	return sl_rd_bytes(&r->rd, 16).p;
}

int32_t sl_kr_narray(struct sl_kr *r, uint32_t elem_min)
{
	int64_t n = read_len(r, r->flex, true, INT32_MAX);
	if (n > 0 && (uint64_t)n > sl_rd_left(&r->rd) / elem_min) {
		sl_kr_bad(r);
		return 0;
	}
	return r->rd.bad ? 0 : (int32_t)n;
}

uint32_t sl_kr_array(struct sl_kr *r, uint32_t elem_min)
{
	int32_t n = sl_kr_narray(r, elem_min);
	if (n < 0) {
		sl_kr_bad(r);
		return 0;
	}
	return (uint32_t)n;
}

void sl_kr_tags(struct sl_kr *r)
{
	if (!r->flex)
		return;
	uint32_t n = sl_rd_uvarint(&r->rd);
	if (n > SL_KR_TAGS_MAX)
		sl_kr_bad(r);
	for (uint32_t i = 0; i < n && !r->rd.bad; i++) {
		sl_rd_uvarint(&r->rd); /* tag */
		uint32_t size = sl_rd_uvarint(&r->rd);
		sl_rd_bytes(&r->rd, size);
		if (size > SL_KR_TAG_BYTES_MAX - r->tag_bytes)
			sl_kr_bad(r);
		else
			r->tag_bytes += size;
	}
}

void sl_kw_fini(struct sl_kw *w)
{
	free(w->buf);
	*w = (struct sl_kw){0};
}

bool sl_kw_grow(struct sl_kw *w, uint32_t n)
{
	if (w->bad)
		return false;
	uint64_t want = (uint64_t)w->len + n;
	uint64_t cap = w->cap ? w->cap : KW_FIRST;
	while (cap < want)
		cap *= 2;
	uint8_t *buf = cap <= SL_KW_MAX ? realloc(w->buf, cap) : NULL;
	if (!buf) {
		w->bad = true;
		w->cap = w->len; /* so that every later call comes here */
		return false;
	}
	w->buf = buf;
	w->cap = (uint32_t)cap;
	return true;
}

void sl_kw_uvarint(struct sl_kw *w, uint32_t v)
{
	if (!sl_kw_room(w, 5))
		return;
	while (v >= 0x80) {
		w->buf[w->len++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	w->buf[w->len++] = (uint8_t)v;
}

void sl_kw_raw(struct sl_kw *w, const void *p, uint32_t n)
{
	if (n && sl_kw_room(w, n)) {
		memcpy(w->buf + w->len, p, n);
		w->len += n;
	}
}

void sl_kw_str(struct sl_kw *w, struct sl_slice s)
{
	SL_ASSERT(s.len <= STR_MAX);
	if (w->flex)
		sl_kw_uvarint(w, s.p ? s.len + 1 : 0);
	else
		sl_kw_i16(w, s.p ? (int16_t)s.len : -1);
	if (s.p)
		sl_kw_raw(w, s.p, s.len);
}

void sl_kw_cstr(struct sl_kw *w, const char *s)
{
	sl_kw_str(w, (struct sl_slice){(const uint8_t *)s, s ? (uint32_t)strlen(s) : 0});
}

void sl_kw_array(struct sl_kw *w, uint32_t n)
{
	if (w->flex)
		sl_kw_uvarint(w, n + 1);
	else
		sl_kw_i32(w, (int32_t)n);
}

void sl_kw_null_array(struct sl_kw *w)
{
	if (w->flex)
		sl_kw_uvarint(w, 0);
	else
		sl_kw_i32(w, -1);
}

void sl_kw_bytes_len(struct sl_kw *w, uint32_t n)
{
	sl_kw_array(w, n); /* the same two encodings */
}

void sl_kw_tags(struct sl_kw *w)
{
	if (w->flex)
		sl_kw_uvarint(w, 0);
}
