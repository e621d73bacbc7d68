/* SPDX-License-Identifier: Apache-2.0 */
#include "syslog_date.h"

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

/*
 * A date is compared with a pattern of 16 bytes: '0' stands for a digit, anything else for itself.
 * Subtracting the pattern leaves the digits' values, and 0 elsewhere; `most` says how large each
 * byte may be. The two-digit fields then become numbers all at once.
 */
struct pattern {
	uint8_t bytes[16];
	uint8_t most[16];
	uint8_t where[16]; /* the fields' digits, in pairs; 0x80: none */
};

#if defined(__SSSE3__)
SL_INLINE __m128i load16(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* 16 bytes are at p. False: the pattern does not fit. */
SL_INLINE bool match(const uint8_t *p, const struct pattern *t, uint16_t ret[8])
{
	__m128i d = _mm_sub_epi8(load16(p), load16(t->bytes));

	if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(d, load16(t->most)), d)) != 0xffff)
		return false;
	d = _mm_shuffle_epi8(d, load16(t->where));
	_mm_storeu_si128((__m128i *)(void *)ret, _mm_maddubs_epi16(d, _mm_set1_epi16(0x010a)));
	return true;
}
#else
SL_INLINE bool match(const uint8_t *p, const struct pattern *t, uint16_t ret[8])
{
	uint8_t d[16];

	for (unsigned i = 0; i < 16; i++) {
		d[i] = (uint8_t)(p[i] - t->bytes[i]);
		if (d[i] > t->most[i])
			return false;
	}
	for (unsigned i = 0; i < 8; i++)
		ret[i] = t->where[2 * i] & 0x80
				 ? 0
				 : (uint16_t)(d[t->where[2 * i]] * 10 + d[t->where[2 * i + 1]]);
	return true;
}
#endif

/* Fields 2 .. 4 of both patterns. */
SL_INLINE bool clock_ok(const uint16_t n[8])
{
	return (n[2] < 24) & (n[3] < 60) & (n[4] < 60);
}

/* The second and third letters of the twelve names, added up, differ in their low five bits. */
#define MONTH(a, b, c, d) [(b + c) & 31] = {{a, b, c}, d}
static const struct {
	char name[3];
	uint8_t days;
} months[32] = {
	MONTH('J', 'a', 'n', 31), MONTH('F', 'e', 'b', 29), MONTH('M', 'a', 'r', 31),
	MONTH('A', 'p', 'r', 30), MONTH('M', 'a', 'y', 31), MONTH('J', 'u', 'n', 30),
	MONTH('J', 'u', 'l', 31), MONTH('A', 'u', 'g', 31), MONTH('S', 'e', 'p', 30),
	MONTH('O', 'c', 't', 31), MONTH('N', 'o', 'v', 30), MONTH('D', 'e', 'c', 31),
};

uint32_t sl_date_3164(const uint8_t *p, const uint8_t *end)
{
	/* "Mmm dd hh:mm:ss", with one byte in front to make it 16 */
	static const struct pattern t = {
		{0, 0, 0, 0, ' ', '0', '0', ' ', '0', '0', ':', '0', '0', ':', '0', '0'},
		{0, 255, 255, 255, 0, 3, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9},
		{0x80, 0x80, 5, 6, 8, 9, 11, 12, 14, 15, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80},
	};
	uint8_t b[16];
	uint16_t n[8];

	if (end - p < SL_DATE_3164_LEN)
		return 0;
	unsigned m = (p[1] + p[2]) & 31;
	if (memcmp(p, months[m].name, 3) != 0)
		return 0;
	b[0] = 0;
	memcpy(b + 1, p, SL_DATE_3164_LEN);
	if (b[5] == ' ')
		b[5] = '0';
	if (!match(b, &t, n) || !clock_ok(n))
		return 0;
	return n[1] >= 1 && n[1] <= months[m].days ? SL_DATE_3164_LEN : 0;
}

SL_INLINE bool digit(uint8_t c)
{
	return (uint8_t)(c - '0') <= 9;
}

static bool leap(const uint8_t *year)
{
	unsigned century = (year[0] - '0') * 10u + (year[1] - '0');
	unsigned y = (year[2] - '0') * 10u + (year[3] - '0');

	return y % 4 == 0 && (y != 0 || century % 4 == 0);
}

/* "Z" or "+hh:mm"; 0 if neither. */
SL_INLINE uint32_t zone_len(const uint8_t *p, const uint8_t *end)
{
	if (end - p >= 1 && p[0] == 'Z')
		return 1;
	if (end - p < 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
		return 0;
	if (!digit(p[1]) || !digit(p[2]) || !digit(p[4]) || !digit(p[5]) || p[4] > '5')
		return 0;
	return p[1] < '2' || (p[1] == '2' && p[2] < '4') ? 6 : 0;
}

uint32_t sl_date_5424(const uint8_t *p, const uint8_t *end)
{
	/* "Y-MM-DDThh:mm:ss": what follows the first three digits of the year */
	static const struct pattern t = {
		{'0', '-', '0', '0', '-', '0', '0', 'T', '0', '0', ':', '0', '0', ':', '0', '0'},
		{9, 0, 1, 9, 0, 3, 9, 0, 2, 9, 0, 5, 9, 0, 5, 9},
		{2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80},
	};
	static const uint8_t days[20] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint16_t n[8];

	if (end - p < 20 || !digit(p[0]) || !digit(p[1]) || !digit(p[2]))
		return 0;
	if (!match(p + 3, &t, n) || !clock_ok(n) || n[1] < 1)
		return 0;
	if (n[1] > days[n[0]] && !(n[0] == 2 && n[1] == 29 && leap(p)))
		return 0;
	const uint8_t *q = p + 19;
	if (*q == '.') {
		const uint8_t *first = ++q;
		while (q < end && digit(*q))
			q++;
		if (q == first || q - first > 6)
			return 0;
	}
	uint32_t z = zone_len(q, end);
	return z ? (uint32_t)(q - p) + z : 0;
}
