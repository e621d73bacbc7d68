/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/utf8.h"

unsigned sl_utf8_len(const uint8_t *p, const uint8_t *end)
{
	static const struct {
		uint8_t mask, lead, len;
		uint32_t min;
	} forms[] = {{0x80, 0x00, 1, 0},
		     {0xe0, 0xc0, 2, 0x80},
		     {0xf0, 0xe0, 3, 0x800},
		     {0xf8, 0xf0, 4, 0x10000}};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(forms); i++) {
		if ((*p & forms[i].mask) != forms[i].lead)
			continue;
		if (end - p < forms[i].len)
			return 0;
		uint32_t c = *p & (uint8_t)~forms[i].mask;
		for (unsigned k = 1; k < forms[i].len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[k] & 0x3f);
		}
		bool ok = c >= forms[i].min && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		return ok ? forms[i].len : 0;
	}
	return 0;
}

size_t sl_utf8_span(const uint8_t *p, size_t len)
{
	const uint8_t *at = p, *end = p + len;

	while (at < end) {
		uint64_t w = 0;
		unsigned n = 1;
		if (end - at >= 8)
			memcpy(&w, at, n = 8);
		if (n == 8 ? (w & 0x8080808080808080u) == 0 : *at < 0x80) {
			at += n;
			continue;
		}
		n = sl_utf8_len(at, end);
		if (n == 0)
			break;
		at += n;
	}
	return (size_t)(at - p);
}
