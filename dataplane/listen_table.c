/* SPDX-License-Identifier: Apache-2.0 */
#include "listen_table.h"

#include <errno.h>
#include <stdlib.h>

static int add4(struct sl_listen_table *t, uint32_t addr, uint16_t udp, uint16_t idx)
{
	if (sl_lt_find4(t, addr, udp))
		return -EINVAL;
	uint32_t i = sl_lt_hash4(addr, udp);
	while (t->t4[i & t->mask].idx)
		i++;
	t->t4[i & t->mask] = (struct sl_lt4){.addr = addr, .udp = udp, .idx = idx};
	if (addr == 0) {
		t->any4 = true;
	} else {
		t->listed4 = true;
		t->own4 |= sl_lt_own_bit4(addr);
	}
	return 0;
}

static int add6(struct sl_listen_table *t, const uint64_t addr[2], uint16_t udp, uint16_t idx)
{
	if (sl_lt_find6(t, addr, udp))
		return -EINVAL;
	uint32_t i = sl_lt_hash6(addr, udp);
	while (t->t6[i & t->mask].idx)
		i++;
	t->t6[i & t->mask] = (struct sl_lt6){.addr = {addr[0], addr[1]}, .udp = udp, .idx = idx};
	if ((addr[0] | addr[1]) == 0) {
		t->any6 = true;
	} else {
		t->listed6 = true;
		t->own6 |= sl_lt_own_bit6(addr);
	}
	return 0;
}

static int add_listener(struct sl_listen_table *t, const struct sl_cfg_listener *l, uint16_t idx)
{
	uint64_t a6[2] = {0, 0};
	int rc = 0;

	if (l->addr.family == 6)
		memcpy(a6, l->addr.ip, 16);
	if (l->addr.family != 6)
		rc = add4(t, l->addr.family == 4 ? sl_lt_load32(l->addr.ip) : 0, l->udp, idx);
	if (!rc && l->addr.family != 4)
		rc = add6(t, a6, l->udp, idx);
	return rc;
}

int sl_lt_init(struct sl_listen_table *t, const struct sl_cfg_listener *listener, uint32_t cnt,
	       uint16_t port)
{
	uint32_t n = 0, slots = 16;
	int rc = 0;

	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < cnt; i++)
		n += listener[i].port == port;
	while (slots < 4 * n)
		slots *= 2;
	t->mask = slots - 1;
	t->t4 = calloc(slots, sizeof(*t->t4));
	t->t6 = calloc(slots, sizeof(*t->t6));
	if (!t->t4 || !t->t6)
		rc = -ENOMEM;
	for (uint32_t i = 0; !rc && i < cnt; i++)
		if (listener[i].port == port)
			rc = add_listener(t, &listener[i], (uint16_t)(i + 1));
	if (rc)
		sl_lt_fini(t);
	return rc;
}

void sl_lt_fini(struct sl_listen_table *t)
{
	free(t->t4);
	free(t->t6);
	memset(t, 0, sizeof(*t));
}

SL_COLD bool sl_lt_ours4(const struct sl_listen_table *t, const uint8_t *addr, bool with_any)
{
	uint32_t a = sl_lt_load32(addr);

	if (with_any && t->any4 && !sl_lt_multicast4(addr))
		return true;
	for (uint32_t i = 0; i <= t->mask; i++)
		if (t->t4[i].idx && a && t->t4[i].addr == a)
			return true;
	return false;
}

SL_COLD bool sl_lt_ours6(const struct sl_listen_table *t, const uint8_t *addr, bool with_any)
{
	uint64_t a[2];

	memcpy(a, addr, 16);
	if (with_any && t->any6 && addr[0] != 0xff)
		return true;
	for (uint32_t i = 0; i <= t->mask; i++)
		if (t->t6[i].idx && (a[0] | a[1]) && t->t6[i].addr[0] == a[0] &&
		    t->t6[i].addr[1] == a[1])
			return true;
	return false;
}
