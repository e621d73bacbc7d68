/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen_table.h - which listener wants (address, UDP port): the classifier's tables, built once.
 *
 * One flat hash per family, exact addresses and "any" (an address of zeros) in the same table.
 * Visible to be inlined into classify.c; nobody else needs it. Constant after sl_lt_init().
 */
#ifndef SL_DATAPLANE_LISTEN_TABLE_H
#define SL_DATAPLANE_LISTEN_TABLE_H

#include "sluice/config.h"

/* Open addressing, linear steps, at most a quarter full. */
struct sl_lt4 {
	uint32_t addr; /* as loaded from the wire */
	uint16_t udp;
	uint16_t idx; /* listener + 1; 0 = free */
};
struct sl_lt6 {
	uint64_t addr[2];
	uint16_t udp;
	uint16_t idx;
};
_Static_assert(SL_CFG_LISTENERS_MAX < UINT16_MAX, "idx is 16 bits");

struct sl_listen_table {
	bool any4, any6;       /* a listener without an address */
	bool listed4, listed6; /* a listener with one */
	uint32_t mask;         /* slots of each table - 1 */
	uint64_t own4, own6;   /* a bit per hash of each listed address: may it be one of ours? */
	struct sl_lt4 *t4;
	struct sl_lt6 *t6;
};

/* The listeners of one port. -ENOMEM; -EINVAL: two want the same address and UDP port. Control. */
SL_MUST_CHECK int sl_lt_init(struct sl_listen_table *t, const struct sl_cfg_listener *listener,
			     uint32_t cnt, uint16_t port);
void sl_lt_fini(struct sl_listen_table *t); /* accepts zeroed */

/* Is it the address of any listener, whatever its UDP port? Off the hot path. */
bool sl_lt_ours4(const struct sl_listen_table *t, const uint8_t *addr, bool with_any);
bool sl_lt_ours6(const struct sl_listen_table *t, const uint8_t *addr, bool with_any);

SL_INLINE uint32_t sl_lt_load32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return v;
}

SL_INLINE uint32_t sl_lt_hash4(uint32_t addr, uint16_t udp)
{
	uint32_t h = addr * 0x9e3779b1u ^ (uint32_t)udp * 0x85ebca77u;
	return h ^ h >> 15;
}

SL_INLINE uint32_t sl_lt_hash6(const uint64_t a[2], uint16_t udp)
{
	uint64_t m = (a[0] * 0x9e3779b97f4a7c15u) ^ (a[1] * 0xc2b2ae3d27d4eb4fu);
	return sl_lt_hash4((uint32_t)(m >> 32), udp);
}

SL_INLINE uint64_t sl_lt_own_bit4(uint32_t addr)
{
	return UINT64_C(1) << ((addr * 0x9e3779b1u) >> 26);
}

SL_INLINE uint64_t sl_lt_own_bit6(const uint64_t a[2])
{
	return UINT64_C(1) << (((a[0] ^ a[1]) * 0x9e3779b97f4a7c15u) >> 58);
}

/* Listener + 1, or 0. */
SL_INLINE uint16_t sl_lt_find4(const struct sl_listen_table *t, uint32_t addr, uint16_t udp)
{
	for (uint32_t i = sl_lt_hash4(addr, udp);; i++) {
		const struct sl_lt4 *e = &t->t4[i & t->mask];
		if ((e->addr == addr && e->udp == udp) || e->idx == 0)
			return e->idx;
	}
}

SL_INLINE uint16_t sl_lt_find6(const struct sl_listen_table *t, const uint64_t addr[2],
			       uint16_t udp)
{
	for (uint32_t i = sl_lt_hash6(addr, udp);; i++) {
		const struct sl_lt6 *e = &t->t6[i & t->mask];
		if ((e->addr[0] == addr[0] && e->addr[1] == addr[1] && e->udp == udp) ||
		    e->idx == 0)
			return e->idx;
	}
}

SL_INLINE bool sl_lt_multicast4(const uint8_t *a)
{
	return (a[0] & 0xf0) == 0xe0;
}

SL_INLINE uint16_t sl_lt_lookup4(const struct sl_listen_table *t, const uint8_t *dst, uint16_t udp)
{
	uint16_t idx = t->listed4 ? sl_lt_find4(t, sl_lt_load32(dst), udp) : 0;
	if (!idx && t->any4 && !sl_lt_multicast4(dst))
		idx = sl_lt_find4(t, 0, udp);
	return idx;
}

SL_INLINE uint16_t sl_lt_lookup6(const struct sl_listen_table *t, const uint8_t *dst, uint16_t udp)
{
	static const uint64_t any[2];
	uint64_t a[2];
	uint16_t idx = 0;

	if (t->listed6) {
		memcpy(a, dst, 16);
		idx = sl_lt_find6(t, a, udp);
	}
	if (!idx && t->any6 && dst[0] != 0xff)
		idx = sl_lt_find6(t, any, udp);
	return idx;
}

#endif
