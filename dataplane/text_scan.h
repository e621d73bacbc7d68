/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_scan.h - is it plain text, and where are its first blanks? Vectorised, beside a scalar twin.
 *
 * Text is UTF-8 (RFC 3629: shortest forms, no surrogates, up to U+10FFFF) without control bytes
 * other than tab, line feed and carriage return. Any thread.
 */
#ifndef SL_DATAPLANE_TEXT_SCAN_H
#define SL_DATAPLANE_TEXT_SCAN_H

#include "sluice/base.h"

#define SL_TEXT_BLANKS 128u /* bytes from the start whose blanks are noted */

struct sl_text_scan {
	uint64_t blank[SL_TEXT_BLANKS / 64]; /* a bit per byte that is 0x20 */
	bool printable;                      /* nothing but 0x20 .. 0x7e */
};

/* One pass over the text. */
void sl_text_scan(const uint8_t *p, uint32_t len, struct sl_text_scan *ret);
/* The same; only where the processor has AVX2. */
void sl_text_scan_avx2(const uint8_t *p, uint32_t len, struct sl_text_scan *ret);
void sl_text_scan_scalar(const uint8_t *p, uint32_t len, struct sl_text_scan *ret);

/* The whole question, one byte at a time. */
bool sl_text_is_plain(const uint8_t *p, uint32_t len);

/* First blank at or behind `from` (0 .. len) of the text that was scanned, or len. */
SL_INLINE uint32_t sl_text_blank(const struct sl_text_scan *s, const uint8_t *p, uint32_t len,
				 uint32_t from)
{
	uint64_t m;

	if (sl_likely(from < 64)) {
		m = s->blank[0] & (UINT64_MAX << from);
		if (sl_likely(m))
			return (uint32_t)__builtin_ctzll(m);
		from = 64;
	}
	if (from < SL_TEXT_BLANKS) {
		m = s->blank[1] & (UINT64_MAX << (from - 64));
		if (m)
			return 64 + (uint32_t)__builtin_ctzll(m);
		from = SL_TEXT_BLANKS;
	}
	while (from < len && p[from] != ' ')
		from++;
	return SL_MIN(from, len);
}

#endif
