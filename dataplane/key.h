/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - the record key of a datagram and its hash, by the listener's rule.
 *
 * The default key is the sender's address as text. Text and hash of recent senders are kept in a
 * cache of the lcore, so that nothing is formatted per packet: two IPv4 senders share a line, an
 * IPv6 sender has one. An IPv4 sender whose set is taken by two others may lie in a second one, so
 * that a thousand regular senders all find their place. A flood of forged senders costs one
 * formatting each, nothing else.
 */
#ifndef SL_DATAPLANE_KEY_H
#define SL_DATAPLANE_KEY_H

#include "classify.h"
#include "decode.h"
#include "platform/base/murmur2.h"

#define SL_ADDR_TEXT_MAX  43 /* longest text is 39 bytes; no NUL behind it */
#define SL_KEY_SETS4_BITS 11
#define SL_KEY_ROWS6_BITS 10

/* Visible to be inlined; a row of zeros is free: no sender has address 0, or its length. */
struct sl_source4 {
	uint32_t addr; /* as loaded from the wire */
	uint32_t hash; /* murmur2 of the text */
	uint8_t len;
	char text[23];
};
struct sl_source6 {
	uint64_t addr[2];
	uint32_t hash;
	uint8_t len;
	char text[SL_ADDR_TEXT_MAX];
};
_Static_assert(sizeof(struct sl_source4) == SL_CACHELINE / 2, "two to a line");
_Static_assert(sizeof(struct sl_source6) == SL_CACHELINE, "one to a line");

/* Visible to be embedded; zeroed is empty. One thread. */
struct sl_key_cache {
	struct sl_source4 set4[1u << SL_KEY_SETS4_BITS][2] SL_ALIGNED(SL_CACHELINE);
	struct sl_source6 row6[1u << SL_KEY_ROWS6_BITS];
};

/* What a key is made of: text borrowed from the cache until the next call, and its hash. */
struct sl_key {
	struct sl_slice key; /* p NULL: none */
	uint32_t hash;
};

/* IPv4 dotted; IPv6 by RFC 5952. Returns bytes written to ret (at least SL_ADDR_TEXT_MAX), no NUL.
 * Any thread. */
uint32_t sl_addr_text(const uint8_t *addr, uint8_t family, char *ret);

/* Makes the sender's text: over the older way of the set (IPv4), over the row (IPv6). */
struct sl_source4 *sl_key_fill4(struct sl_source4 set[2], const uint8_t *addr);
void sl_key_fill6(struct sl_source6 *row, const uint8_t *addr);

/* The sender is not in its first set: found in the second, or filled in where there is room, at
 * last over the older way of the first. */
struct sl_source4 *sl_key_find4(struct sl_key_cache *c, const uint8_t *addr);

SL_INLINE struct sl_source4 *sl_key_set4(struct sl_key_cache *c, uint32_t addr)
{
	uint32_t h = addr * 0x9e3779b1u;

	h = (h ^ h >> 15) * 0x85ebca77u;
	return c->set4[h >> (32 - SL_KEY_SETS4_BITS)];
}

SL_INLINE struct sl_source6 *sl_key_row6(struct sl_key_cache *c, const uint64_t addr[2])
{
	uint64_t h = (addr[0] ^ addr[1] * 0xc2b2ae3d27d4eb4fu) * 0x9e3779b97f4a7c15u;

	return &c->row6[h >> (64 - SL_KEY_ROWS6_BITS)];
}

SL_INLINE void sl_key_prefetch(struct sl_key_cache *c, const uint8_t *addr, uint8_t family)
{
	uint64_t a6[2];
	uint32_t a4;

	if (sl_likely(family == 4)) {
		memcpy(&a4, addr, 4);
		__builtin_prefetch(sl_key_set4(c, a4));
	} else {
		memcpy(a6, addr, 16);
		__builtin_prefetch(sl_key_row6(c, a6));
	}
}

/* The sender's address. Valid until the next call: another sender may take the place. */
SL_INLINE struct sl_key sl_key_source(struct sl_key_cache *c, const uint8_t *addr, uint8_t family)
{
	if (sl_likely(family == 4)) {
		uint32_t a;
		memcpy(&a, addr, 4);
		struct sl_source4 *s = sl_key_set4(c, a);
		s += s->addr != a; /* which of the two is no branch: it cannot be foretold */
		if (sl_unlikely((s->addr != a) | !s->len))
			s = sl_key_find4(c, addr);
		return (struct sl_key){{(const uint8_t *)s->text, s->len}, s->hash};
	}
	uint64_t a[2];
	memcpy(a, addr, 16);
	struct sl_source6 *s = sl_key_row6(c, a);
	if (sl_unlikely(s->addr[0] != a[0] || s->addr[1] != a[1] || !s->len))
		sl_key_fill6(s, addr);
	return (struct sl_key){{(const uint8_t *)s->text, s->len}, s->hash};
}

struct sl_key_rule_cfg {
	enum sl_key_rule rule;
	uint16_t slice_off, slice_len;
};

/* The rule found nothing: *ret_missing is set, the source is the key. */
SL_INLINE struct sl_key sl_key_of(const struct sl_key_rule_cfg *r, struct sl_key_cache *c,
				  const struct sl_pkt *pkt, struct sl_slice host, bool *ret_missing)
{
	struct sl_key k = {.key = {.p = NULL}};

	switch (r->rule) {
	case SL_KEY_NONE:
		return k;
	case SL_KEY_HOST:
		k.key = host;
		break;
	case SL_KEY_SLICE:
		if (pkt->payload.len >= (uint32_t)r->slice_off + r->slice_len)
			k.key = (struct sl_slice){pkt->payload.p + r->slice_off, r->slice_len};
		break;
	case SL_KEY_SOURCE:
		break;
	}
	if (k.key.p) {
		k.hash = sl_murmur2(k.key.p, k.key.len);
		return k;
	}
	*ret_missing = r->rule != SL_KEY_SOURCE;
	return sl_key_source(c, pkt->src, pkt->family);
}

/*
 * hash mod partitions without a division: exact for 31-bit hashes (Lemire, Kaser, Kurz 2019,
 * "Faster remainder by direct computation"). The answer is sl_partition_for()'s.
 */
struct sl_fastmod {
	uint64_t m;
	uint32_t d;
};
SL_INLINE struct sl_fastmod sl_fastmod_for(uint32_t d) /* d >= 1 */
{
	return (struct sl_fastmod){.m = UINT64_MAX / d + 1, .d = d};
}
SL_INLINE uint32_t sl_partition_fast(uint32_t hash, const struct sl_fastmod *f)
{
	uint64_t low = f->m * (hash & 0x7fffffffu);
	return (uint32_t)(((unsigned __int128)low * f->d) >> 64);
}

#endif
