/* SPDX-License-Identifier: Apache-2.0 */
#include "key.h"

#define GROUPS 8

static char *put_dec(char *p, uint8_t v)
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *put_dotted(char *p, const uint8_t *a)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_dec(p, a[i]);
	}
	return p;
}

/* Lower case, no leading zeros (RFC 5952 sections 4.1 and 4.3). */
static char *put_hex16(char *p, uint16_t v)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 12;

	while (shift > 0 && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = digits[v >> shift & 15];
	return p;
}

/* The first of the longest runs of zero groups, if it has two or more (section 4.2). */
static unsigned longest_run(const uint16_t *g, unsigned *ret_at)
{
	unsigned best = 0, run = 0;

	*ret_at = GROUPS;
	for (unsigned i = 0; i < GROUPS; i++) {
		run = g[i] ? 0 : run + 1;
		if (run > best && run > 1) {
			best = run;
			*ret_at = i + 1 - run;
		}
	}
	return best;
}

static char *put_v6(char *p, const uint8_t *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint16_t g[GROUPS];
	unsigned at;

	if (!memcmp(a, mapped, sizeof(mapped))) { /* section 5 */
		memcpy(p, "::ffff:", 7);
		return put_dotted(p + 7, a + 12);
	}
	for (unsigned i = 0; i < GROUPS; i++)
		g[i] = sl_be16(a + 2 * i);
	unsigned run = longest_run(g, &at);
	for (unsigned i = 0; i < GROUPS; i++) {
		if (i == at) {
			*p++ = ':';
			i += run - 1;
			if (i == GROUPS - 1)
				*p++ = ':';
			continue;
		}
		if (i)
			*p++ = ':';
		p = put_hex16(p, g[i]);
	}
	return p;
}

uint32_t sl_addr_text(const uint8_t *addr, uint8_t family, char *ret)
{
	return (uint32_t)((family == 4 ? put_dotted(ret, addr) : put_v6(ret, addr)) - ret);
}

struct sl_source4 *sl_key_fill4(struct sl_source4 set[2], const uint8_t *addr)
{
	char text[SL_ADDR_TEXT_MAX] = {0};

	set[1] = set[0];
	memcpy(&set->addr, addr, 4);
	set->len = (uint8_t)sl_addr_text(addr, 4, text);
	memcpy(set->text, text, sizeof(set->text));
	set->hash = sl_murmur2(set->text, set->len);
	return set;
}

SL_INLINE struct sl_source4 *second_set(struct sl_key_cache *c, uint32_t addr)
{
	uint32_t h = (addr ^ addr >> 16) * 0xc2b2ae3du;

	return c->set4[h >> (32 - SL_KEY_SETS4_BITS)];
}

struct sl_source4 *sl_key_find4(struct sl_key_cache *c, const uint8_t *addr)
{
	uint32_t a;

	memcpy(&a, addr, 4);
	struct sl_source4 *first = sl_key_set4(c, a), *second = second_set(c, a);
	for (unsigned i = 0; i < 2; i++)
		if (second[i].addr == a && second[i].len)
			return &second[i];
	return sl_key_fill4(first[1].len && !second[1].len ? second : first, addr);
}

void sl_key_fill6(struct sl_source6 *row, const uint8_t *addr)
{
	memcpy(row->addr, addr, 16);
	row->len = (uint8_t)sl_addr_text(addr, 6, row->text);
	row->hash = sl_murmur2(row->text, row->len);
}
