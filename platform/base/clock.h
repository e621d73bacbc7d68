/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - monotonic time, and a wall clock that cannot jump.
 *
 * sl_clock_wall_ms() is the monotonic clock plus an offset that follows the system's wall clock
 * slowly (at most 1 ms per 10 ms), so records keep CreateTime in order while NTP steps; a step of
 * more than 10 s is followed at once and counted. Disciplining is done by sl_clock_discipline(),
 * called about once a second by the control thread; readers only load.
 */
#ifndef SL_BASE_CLOCK_H
#define SL_BASE_CLOCK_H

#include "sluice/base.h"

uint64_t sl_clock_mono_ns(void); /* CLOCK_MONOTONIC; any thread, vDSO, no system call */
int64_t sl_clock_wall_ms(void);  /* ms since the epoch; any thread */
void sl_clock_discipline(void);  /* control thread; the first call sets the offset */
uint64_t sl_clock_steps(void);   /* steps followed at once since start */

#endif
