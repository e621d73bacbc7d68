/* SPDX-License-Identifier: Apache-2.0 */
#include "bufs.h"

#include <stdlib.h>

static unsigned shift_for(size_t size)
{
	unsigned shift = SL_KBUFS_MIN_SHIFT;
	while (shift <= SL_KBUFS_MAX_SHIFT && (size_t)1 << shift < size)
		shift++;
	return shift;
}

size_t sl_kbufs_cap(size_t size)
{
	unsigned shift = shift_for(size);
	return shift > SL_KBUFS_MAX_SHIFT ? size : (size_t)1 << shift;
}

void *sl_kbufs_get(struct sl_kbufs *b, size_t size, size_t *ret_cap)
{
	unsigned shift = shift_for(size);
	if (shift > SL_KBUFS_MAX_SHIFT) {
		*ret_cap = size;
		return malloc(size);
	}
	struct sl_kbuf **head = &b->free[shift - SL_KBUFS_MIN_SHIFT];
	struct sl_kbuf *p = *head;
	*ret_cap = (size_t)1 << shift;
	if (!p)
		return malloc(*ret_cap);
	*head = p->next;
	b->kept -= *ret_cap;
	return p;
}

void sl_kbufs_put(struct sl_kbufs *b, void *p, size_t cap)
{
	unsigned shift = shift_for(cap);
	if (!p)
		return;
	if (shift > SL_KBUFS_MAX_SHIFT || b->kept + cap > SL_KBUFS_KEPT_MAX) {
		free(p);
		return;
	}
	SL_ASSERT(cap == (size_t)1 << shift);
	struct sl_kbuf *f = p, **head = &b->free[shift - SL_KBUFS_MIN_SHIFT];
	f->next = *head;
	*head = f;
	b->kept += cap;
}

void sl_kbufs_fini(struct sl_kbufs *b)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(b->free); i++) {
		struct sl_kbuf *p;
		while ((p = b->free[i])) {
			b->free[i] = p->next;
			free(p);
		}
	}
	b->kept = 0;
}
