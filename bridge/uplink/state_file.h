/* SPDX-License-Identifier: Apache-2.0 */
/* state_file.h - the file of state.h as text: for state.c and its tests. */
#ifndef SL_BRIDGE_UPLINK_STATE_FILE_H
#define SL_BRIDGE_UPLINK_STATE_FILE_H

#include "state.h"

#define SL_UPSTATE_FILE "uplink"

void sl_up_hex(const uint8_t *raw, size_t len, char *ret_text); /* 2 * len + 1 bytes */

/* -ENOENT; -EFBIG beyond SL_UPSTATE_BYTES_MAX; others of open(2). The caller frees *ret_buf, which
 * has a NUL behind it. */
SL_MUST_CHECK int sl_upstate_file_read(int dir_fd, char **ret_buf, size_t *ret_len);
/* Fills what the file says; buf is cut up. -EILSEQ: damaged; -EPROTO: newer; -ENOMEM. st may be
 * half filled then. */
SL_MUST_CHECK int sl_upstate_parse(struct sl_upstate *st, char *buf, size_t len);
/* Owned text. -ENOMEM. */
SL_MUST_CHECK int sl_upstate_print(const struct sl_upstate *st, char **ret_buf, size_t *ret_len);

#endif
