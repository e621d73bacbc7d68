/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - what the two halves of reading share. */
#ifndef SL_STORAGE_READER_H
#define SL_STORAGE_READER_H

#include "store_int.h"

/* Bounds of a read: 1: there is something to look for; 0: empty result, set up; -ERANGE. */
int sl_read_begin(struct sl_part *p, struct sl_read *rd, int64_t *ret_limit);
/*
 * Decides about the next batch of `total` bytes with that last offset. 1: take it; 0: enough;
 * -EMSGSIZE: it is due, but the buffer is too small.
 */
int sl_read_take(struct sl_read *rd, uint32_t total, int64_t last, int64_t limit);

#endif
