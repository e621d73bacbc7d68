/* SPDX-License-Identifier: Apache-2.0 */
#include "syslog_sd.h"

#include "decode.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- a byte at a time ------------------------------------------------------------------------ */

/* Behind an SD-ID or PARAM-NAME, or NULL. */
static const uint8_t *sd_name(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *start = p;

	while (p < end && p - start <= SL_SD_NAME_MAX && *p > ' ' && *p < 0x7f && *p != '=' &&
	       *p != ']' && *p != '"')
		p++;
	return p == start || p - start > SL_SD_NAME_MAX ? NULL : p;
}

/* p is behind the opening quote; behind the closing one, or NULL. */
static const uint8_t *sd_value(const uint8_t *p, const uint8_t *end)
{
	for (; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == ']')
			return NULL;
		/* a backslash before anything else is a plain one (section 6.3.3) */
		if (*p == '\\' && end - p > 1 && (p[1] == '"' || p[1] == '\\' || p[1] == ']'))
			p++;
	}
	return NULL;
}

static const uint8_t *sd_element(const uint8_t *p, const uint8_t *end)
{
	p = sd_name(p + 1, end);
	while (p && p < end && *p == ' ') {
		p = sd_name(p + 1, end);
		if (!p || end - p < 2 || p[0] != '=' || p[1] != '"')
			return NULL;
		p = sd_value(p + 2, end);
	}
	return p && p < end && *p == ']' ? p + 1 : NULL;
}

bool sl_sd_ok_scalar(const uint8_t *p, const uint8_t *end)
{
	unsigned n = 0;

	if (p < end && *p == '-')
		p++;
	else
		for (; p && p < end && *p == '['; p = sd_element(p, end))
			if (n++ == SL_SD_ELEMENTS_MAX)
				return false;
	return p && (n || p[-1] == '-') && (p == end || *p == ' ');
}

/* ---- 64 bytes at a time ---------------------------------------------------------------------- */

#if defined(__x86_64__)
#define WINDOW 64

/* Where the special bytes are in 64 bytes of the message, a bit each. */
struct special {
	uint64_t quote, blank, equals;
	uint64_t stop; /* ']' and '\\', which differ in their last bit */
};

_Static_assert((']' & 1) && ('\\' | 1) == ']', "one compare for both");

SL_INLINE uint64_t equal16(__m128i v, char c, unsigned nth)
{
	return (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)))
	       << 16 * nth;
}

SL_INLINE struct special find_sse2(const uint8_t *p)
{
	struct special s = {0};

	for (unsigned i = 0; i < WINDOW / 16; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * (size_t)i));
		s.quote |= equal16(v, '"', i);
		s.blank |= equal16(v, ' ', i);
		s.equals |= equal16(v, '=', i);
		s.stop |= equal16(_mm_or_si128(v, _mm_set1_epi8(1)), ']', i);
	}
	return s;
}

SL_AVX2 SL_INLINE uint64_t equal64(__m256i a, __m256i b, char c)
{
	__m256i k = _mm256_set1_epi8(c);

	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, k)) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, k)) << 32;
}

SL_AVX2 SL_INLINE struct special find_avx2(const uint8_t *p)
{
	__m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));

	__m256i one = _mm256_set1_epi8(1);

	return (struct special){
		.quote = equal64(a, b, '"'),
		.blank = equal64(a, b, ' '),
		.equals = equal64(a, b, '='),
		.stop = equal64(_mm256_or_si256(a, one), _mm256_or_si256(b, one), ']')};
}

/* Some 33 bits in a row. */
SL_INLINE bool long_run(uint64_t m)
{
	uint64_t r = m & m >> 1;

	r &= r >> 2;
	r &= r >> 4;
	r &= r >> 8;
	r &= r >> 16;
	return r & m >> 32;
}

/*
 * The element that begins with the 64 bytes at p, all of it at once, if it ends in them and escapes
 * nothing. Length of the element, or 0: not seen to be right, look closer.
 *
 * Quotes behind a '=' open, the others close. closing - opening, as one subtraction, sets the bits
 * from each opening quote up to its closing one, provided that they alternate: if they do not, an
 * opening one is clear in it or a closing one set, or the borrow runs beyond the end. All else is
 * outside. There, every '=' is followed by an opening quote; every closing quote is followed by a
 * blank or the end, and every blank but the first, which ends the ID, follows one. So there is
 * exactly one name="value" between two blanks.
 */
SL_INLINE unsigned element_at_once(const uint8_t *p, struct special s)
{
	unsigned e = s.stop ? (unsigned)__builtin_ctzll(s.stop) : 0;
	uint64_t end = UINT64_C(1) << e, below = end - 1;
	uint64_t quote = s.quote & below, opening = s.equals << 1 & quote;
	uint64_t closing = quote & ~opening, in = closing - opening;
	uint64_t blank = s.blank & below & ~in, equals = s.equals & below & ~in;
	uint64_t id_end = blank ? blank & -blank : end;
	uint64_t behind_value = blank ? (blank ^ id_end) | end : 0;
	uint64_t wrong = (in & (end | closing)) | (~in & opening) | (equals << 1 ^ opening) |
			 (closing << 1 ^ behind_value) | ((equals | quote) & (id_end - 1)) |
			 (id_end & 2) | (blank << 1 & (equals | blank | end));

	if (wrong || p[e] != ']')
		return 0;
	if (e > SL_SD_NAME_MAX + 1 &&
	    long_run(below & ~UINT64_C(1) & ~(in | quote | blank | equals)))
		return 0;
	return e + 1;
}

/* ---- token by token: long elements, escapes, and what is wrong ---- */

/* The last bytes are seen through a window that begins before `at`; bits of what lies before are
 * shifted out, so a message has to be as long as a window. */
struct view {
	const uint8_t *at;
	const uint8_t *end;
	uint64_t name;  /* where one may end, or has a backslash */
	uint64_t value; /* where one may end, or escape something */
};

/* Bytes that a window at `at` begins earlier, so that it ends with the message. */
SL_INLINE unsigned early(const uint8_t *at, const uint8_t *end)
{
	return end - at < WINDOW ? (unsigned)(WINDOW - (end - at)) : 0;
}

static void look(struct view *w, const uint8_t *at)
{
	unsigned n = early(at, w->end);
	struct special s = find_sse2(at - n);

	w->at = at;
	w->name = (s.quote | s.blank | s.equals | s.stop) >> n;
	w->value = (s.quote | s.stop) >> n;
}

/* Behind the name at p < end, or NULL. A name that the message ends in is as bad as one that is too
 * long: nothing valid can follow. A backslash is a part of it. */
static const uint8_t *view_name(struct view *w, const uint8_t *p)
{
	const uint8_t *start = p;

	do {
		uint64_t m = p - w->at < WINDOW ? w->name >> (p - w->at) : 0;
		if (!m) {
			look(w, p);
			m = w->name;
		}
		if (!m)
			return NULL;
		p += __builtin_ctzll(m);
	} while (*p == '\\' && ++p < w->end);
	return p - start - 1 < SL_SD_NAME_MAX && p > start ? p : NULL;
}

static const uint8_t *view_value(struct view *w, const uint8_t *p)
{
	while (p < w->end) {
		uint64_t m = p - w->at < WINDOW ? w->value >> (p - w->at) : 0;
		if (sl_unlikely(!m)) {
			look(w, p);
			m = w->value;
		}
		if (sl_unlikely(!m)) {
			p += SL_MIN(WINDOW, w->end - p);
			continue;
		}
		p += __builtin_ctzll(m);
		if (sl_likely(*p == '"'))
			return p + 1;
		if (*p == ']')
			return NULL;
		p += w->end - p > 1 && (p[1] == '"' || p[1] == '\\' || p[1] == ']') ? 2 : 1;
	}
	return NULL;
}

/* p is at a '['. */
static const uint8_t *element_by_token(const uint8_t *p, const uint8_t *end)
{
	struct view view = {.at = p, .end = end}, *w = &view;

	if (++p == end)
		return NULL;
	look(w, p);
	p = view_name(w, p);
	while (p && p < end && *p == ' ') {
		if (++p == end)
			return NULL;
		p = view_name(w, p);
		if (!p || end - p < 2 || p[0] != '=' || p[1] != '"')
			return NULL;
		p = view_value(w, p + 2);
	}
	return p && p < end && *p == ']' ? p + 1 : NULL;
}

SL_INLINE bool ok_printable(const uint8_t *msg, const uint8_t *p, const uint8_t *end,
			    struct special (*find)(const uint8_t *p))
{
	unsigned elements = 0;

	if (p < end && *p == '-')
		return p + 1 == end || p[1] == ' ';
	if (p == end || *p != '[' || sl_unlikely(end - msg < WINDOW))
		return sl_sd_ok_scalar(p, end);
	while (p && p < end && *p == '[') {
		unsigned n = early(p, end);
		struct special s = find(p - n);
		if (elements++ == SL_SD_ELEMENTS_MAX)
			return false;
		s = (struct special){s.quote >> n, s.blank >> n, s.equals >> n, s.stop >> n};
		unsigned len = element_at_once(p, s);
		p = sl_likely(len) ? p + len : element_by_token(p, end);
	}
	return p && (p == end || *p == ' ');
}

bool sl_sd_ok_printable(const uint8_t *msg, const uint8_t *p, const uint8_t *end)
{
	return ok_printable(msg, p, end, find_sse2);
}

SL_AVX2 bool sl_sd_ok_printable_avx2(const uint8_t *msg, const uint8_t *p, const uint8_t *end)
{
	return ok_printable(msg, p, end, find_avx2);
}
#else
bool sl_sd_ok_printable(SL_UNUSED const uint8_t *msg, const uint8_t *p, const uint8_t *end)
{
	return sl_sd_ok_scalar(p, end);
}

bool sl_sd_ok_printable_avx2(SL_UNUSED const uint8_t *msg, const uint8_t *p, const uint8_t *end)
{
	return sl_sd_ok_scalar(p, end);
}
#endif
