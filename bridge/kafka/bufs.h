/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bufs.h - buffers for frames and answers that are used again: the allocator would give them back
 * to the system and fetch cleared pages anew for each request (docs/decisions/0042). Sizes are
 * powers of two; larger ones come from malloc. One thread.
 */
#ifndef SL_BRIDGE_KAFKA_BUFS_H
#define SL_BRIDGE_KAFKA_BUFS_H

#include "sluice/base.h"

#define SL_KBUFS_MIN_SHIFT 12         /* 4 KiB */
#define SL_KBUFS_MAX_SHIFT 19         /* 512 KiB */
#define SL_KBUFS_KEPT_MAX  (8u << 20) /* bytes kept that nobody uses */

struct sl_kbuf { /* a free one */
	struct sl_kbuf *next;
};

struct sl_kbufs { /* embedded; zeroed is empty */
	struct sl_kbuf *free[SL_KBUFS_MAX_SHIFT - SL_KBUFS_MIN_SHIFT + 1];
	size_t kept;
};

void sl_kbufs_fini(struct sl_kbufs *b); /* all are back; accepts zeroed */
size_t sl_kbufs_cap(size_t size);       /* that a buffer for `size` bytes has */
/* At least `size` bytes, not cleared; *ret_cap is what it has. NULL: no memory. */
void *sl_kbufs_get(struct sl_kbufs *b, size_t size, size_t *ret_cap);
/* Takes p, which has `cap` bytes as get said. Accepts NULL. */
void sl_kbufs_put(struct sl_kbufs *b, void *p, size_t cap);

#endif
