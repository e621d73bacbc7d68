/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - log lines to stderr, one write(2) each, with level, rate limit and key=value text.
 *
 * Only control, network and worker threads log; an lcore counts instead. A line looks like
 *   2026-01-31T12:00:00.123Z warn  kafka: closed 10.0.0.7:4242: request of 200 MiB (max 100 MiB)
 */
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

#include <stdatomic.h>

#include "sluice/base.h"

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARN, SL_LOG_INFO, SL_LOG_DEBUG };

void sl_log_set_level(enum sl_log_level l); /* process-wide, the one global of this module */
bool sl_log_on(enum sl_log_level l);
/* `area` is the folder's or subsystem's name. At most 1 KiB a line; control bytes are escaped. */
void sl_log(enum sl_log_level l, const char *area, const char *fmt, ...) SL_PRINTF(3, 4);

/* At most `burst` lines per `window_ms`; the first line of the next window says how many were
 * held back. Zero-initialised except for the two settings. Any thread. */
struct sl_log_limit {
	uint32_t burst;
	uint32_t window_ms;
	_Atomic uint64_t window_start_ms;
	_Atomic uint32_t used;
	_Atomic uint32_t held;
};
#define SL_LOG_LIMIT(b, ms)                                                                        \
	{                                                                                          \
		.burst = (b), .window_ms = (ms)                                                    \
	}
void sl_log_limited(struct sl_log_limit *lim, enum sl_log_level l, const char *area,
		    const char *fmt, ...) SL_PRINTF(4, 5);

#endif
