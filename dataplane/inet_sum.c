/* SPDX-License-Identifier: Apache-2.0 */
#include "inet_sum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The last 0 .. 7 bytes as one little-endian word, without reading beyond them. */
SL_INLINE uint64_t tail_word(const uint8_t *p, uint32_t len)
{
	uint64_t v = 0;
	unsigned shift = 0;

	if (len & 4) {
		uint32_t w;
		memcpy(&w, p, 4);
		v = w;
		p += 4;
		shift = 32;
	}
	if (len & 2) {
		uint16_t h;
		memcpy(&h, p, 2);
		v |= (uint64_t)h << shift;
		p += 2;
		shift += 16;
	}
	if (len & 1)
		v |= (uint64_t)*p << shift;
	return v;
}

SL_INLINE uint64_t halves(uint64_t v)
{
	return (v & 0xffffffffu) + (v >> 32);
}

uint64_t sl_inet_sum_scalar(const uint8_t *p, uint32_t len)
{
	uint64_t s = 0;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		s += halves(v);
	}
	return s + halves(tail_word(p, len));
}

#if defined(__x86_64__)
/* Read from n on: a mask of the last n bytes of 32. */
static const uint8_t last_bytes[64] = {
	[32] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff,        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff,        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

/*
 * 32 bytes a step: words of 32 bits are widened to 64 and added in eight lanes. The rest is read
 * once more as the last 32 bytes, with those masked out that were added already; as 16-bit words
 * must stay in step, an odd last byte is added by itself.
 */
__attribute__((target("avx2"))) static uint64_t sum_avx2(const uint8_t *p, uint32_t len)
{
	const __m256i zero = _mm256_setzero_si256();
	__m256i a = zero, b = zero, v;
	uint32_t even = len & ~1u, rest = even & 31;

	if (sl_unlikely(even < 32))
		return sl_inet_sum_scalar(p, len);
	const uint8_t *end = p + even;
	for (; end - p >= 32; p += 32) {
		v = _mm256_loadu_si256((const __m256i *)(const void *)p);
		a = _mm256_add_epi64(a, _mm256_unpacklo_epi32(v, zero));
		b = _mm256_add_epi64(b, _mm256_unpackhi_epi32(v, zero));
	}
	v = _mm256_and_si256(
		_mm256_loadu_si256((const __m256i *)(const void *)(end - 32)),
		_mm256_loadu_si256((const __m256i *)(const void *)(last_bytes + rest)));
	a = _mm256_add_epi64(a, _mm256_unpacklo_epi32(v, zero));
	b = _mm256_add_epi64(b, _mm256_unpackhi_epi32(v, zero));
	a = _mm256_add_epi64(a, b);
	__m128i x = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
	x = _mm_add_epi64(x, _mm_unpackhi_epi64(x, x));
	return (uint64_t)_mm_cvtsi128_si64(x) + (len & 1 ? *end : 0);
}
#endif

sl_inet_sum_fn sl_inet_sum_best(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2;
#endif
	return sl_inet_sum_scalar;
}
