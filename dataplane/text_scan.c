/* SPDX-License-Identifier: Apache-2.0 */
#include "text_scan.h"

#include "decode.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void sl_text_scan_scalar(const uint8_t *p, uint32_t len, struct sl_text_scan *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->printable = true;
	for (uint32_t i = 0; i < len; i++) {
		ret->printable &= p[i] >= 0x20 && p[i] < 0x7f;
		if (i < SL_TEXT_BLANKS && p[i] == ' ')
			ret->blank[i / 64] |= UINT64_C(1) << i % 64;
	}
}

#if defined(__x86_64__)
SL_INLINE __m128i load16(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* As signed bytes and plus one, 0x20 .. 0x7e is what is greater than 0x20. */
SL_INLINE __m128i printable16(__m128i v)
{
	return _mm_cmpgt_epi8(_mm_add_epi8(v, _mm_set1_epi8(1)), _mm_set1_epi8(0x20));
}

SL_INLINE uint64_t blanks16(__m128i v)
{
	return (uint16_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')));
}

SL_INLINE bool all_set(__m128i v)
{
	return _mm_movemask_epi8(v) == 0xffff;
}

/* The last 16 bytes again, together with some that were looked at already. */
SL_INLINE void scan_tail(const uint8_t *p, uint32_t len, struct sl_text_scan *ret, __m128i good)
{
	uint32_t at = len - 16, bit = at % 64;
	__m128i v = load16(p + at);

	if (at < SL_TEXT_BLANKS) {
		ret->blank[at / 64] |= blanks16(v) << bit;
		if (at < 64 && bit > 48)
			ret->blank[1] |= blanks16(v) >> (64 - bit);
	}
	ret->printable = all_set(_mm_and_si128(good, printable16(v)));
}

void sl_text_scan(const uint8_t *p, uint32_t len, struct sl_text_scan *ret)
{
	__m128i good = _mm_set1_epi8(-1);
	uint32_t i = 0, noted = SL_MIN(len, SL_TEXT_BLANKS);

	if (sl_unlikely(len < 16)) {
		sl_text_scan_scalar(p, len, ret);
		return;
	}
	ret->blank[0] = ret->blank[1] = 0;
	for (; i + 16 <= noted; i += 16) {
		__m128i v = load16(p + i);
		ret->blank[i / 64] |= blanks16(v) << i % 64;
		good = _mm_and_si128(good, printable16(v));
	}
	for (; len - i >= 64; i += 64) {
		__m128i a =
			_mm_and_si128(printable16(load16(p + i)), printable16(load16(p + i + 16)));
		__m128i b = _mm_and_si128(printable16(load16(p + i + 32)),
					  printable16(load16(p + i + 48)));
		good = _mm_and_si128(good, _mm_and_si128(a, b));
	}
	for (; len - i >= 16; i += 16)
		good = _mm_and_si128(good, printable16(load16(p + i)));
	scan_tail(p, len, ret, good);
}

SL_AVX2 SL_INLINE __m256i load32(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

SL_AVX2 SL_INLINE __m256i printable32(__m256i v)
{
	return _mm256_cmpgt_epi8(_mm256_add_epi8(v, _mm256_set1_epi8(1)), _mm256_set1_epi8(0x20));
}

SL_AVX2 SL_INLINE uint64_t blanks32(__m256i v)
{
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(' ')));
}

SL_AVX2 void sl_text_scan_avx2(const uint8_t *p, uint32_t len, struct sl_text_scan *ret)
{
	if (sl_unlikely(len < SL_TEXT_BLANKS)) {
		sl_text_scan(p, len, ret);
		return;
	}
	__m256i a = load32(p), b = load32(p + 32), c = load32(p + 64), d = load32(p + 96);
	ret->blank[0] = blanks32(a) | blanks32(b) << 32;
	ret->blank[1] = blanks32(c) | blanks32(d) << 32;
	a = _mm256_and_si256(printable32(a), printable32(b));
	c = _mm256_and_si256(printable32(c), printable32(d));
	for (uint32_t i = SL_TEXT_BLANKS; i + 32 <= len; i += 32)
		a = _mm256_and_si256(a, printable32(load32(p + i)));
	c = _mm256_and_si256(c, printable32(load32(p + len - 32)));
	ret->printable = _mm256_movemask_epi8(_mm256_and_si256(a, c)) == -1;
}

/* Bytes at p that may be skipped: 16 plain ones, or none. */
SL_INLINE uint32_t skip_plain(const uint8_t *p, uint32_t left)
{
	return left >= 16 && all_set(printable16(load16(p))) ? 16 : 0;
}
#else
void sl_text_scan(const uint8_t *p, uint32_t len, struct sl_text_scan *ret)
{
	sl_text_scan_scalar(p, len, ret);
}

void sl_text_scan_avx2(const uint8_t *p, uint32_t len, struct sl_text_scan *ret)
{
	sl_text_scan_scalar(p, len, ret);
}

SL_INLINE uint32_t skip_plain(SL_UNUSED const uint8_t *p, SL_UNUSED uint32_t left)
{
	return 0;
}
#endif

/* Bytes of the UTF-8 sequence at p, or 0. RFC 3629 section 4, one row per line of its grammar. */
static uint32_t utf8_len(const uint8_t *p, uint32_t left)
{
	static const struct {
		uint8_t lead_min, lead_max, second_min, second_max, len;
	} rows[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	unsigned r = 0;

	while (r < SL_ARRAY_SIZE(rows) && p[0] > rows[r].lead_max)
		r++;
	if (r == SL_ARRAY_SIZE(rows) || p[0] < rows[r].lead_min || left < rows[r].len)
		return 0;
	if (p[1] < rows[r].second_min || p[1] > rows[r].second_max)
		return 0;
	for (uint32_t i = 2; i < rows[r].len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return rows[r].len;
}

bool sl_text_is_plain(const uint8_t *p, uint32_t len)
{
	uint32_t i = 0;

	while (i < len) {
		uint32_t skip = skip_plain(p + i, len - i);
		if (skip) {
			i += skip;
			continue;
		}
		uint8_t c = p[i];
		if (c >= 0x80) {
			uint32_t n = utf8_len(p + i, len - i);
			if (!n)
				return false;
			i += n;
		} else {
			if (c == 0x7f || (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
				return false;
			i++;
		}
	}
	return true;
}
