/* SPDX-License-Identifier: Apache-2.0 */
/* log_line.h - making one log line, without a clock or a file: for log.c and its test. */
#ifndef SL_BASE_LOG_LINE_H
#define SL_BASE_LOG_LINE_H

#include "log.h"

#define SL_LOG_LINE_MAX 1024 /* bytes, newline included; a longer line ends in "..." */

/*
 * Fills `line` (SL_LOG_LINE_MAX bytes, no NUL) and returns its length. `journal`: the syslog
 * priority as <N> in front, and no time, which the journal adds itself. Control bytes, invalid
 * UTF-8 and the C1 controls become \n, \t, \xNN, so a peer cannot forge a line or drive a terminal.
 */
size_t sl_log_line(char *line, enum sl_log_level l, bool journal, int64_t wall_ms, const char *area,
		   const char *msg);

/* True if a line may be written at now_ms (monotonic, > 0); *ret_held: lines held back before. */
bool sl_log_limit_take(struct sl_log_limit *lim, uint64_t now_ms, uint32_t *ret_held);

#endif
