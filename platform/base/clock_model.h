/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_model.h - the arithmetic of the disciplined wall clock, without a clock: for clock.c and
 * its test.
 *
 * Wall time is mono + offset. When the system's clock differs, the offset moves towards it by at
 * most one tenth of the monotonic time that passes, so wall time runs at 0.9 to 1.1 of its speed
 * and never backwards; a difference beyond SL_CLOCK_STEP_NS is taken over at once.
 */
#ifndef SL_BASE_CLOCK_MODEL_H
#define SL_BASE_CLOCK_MODEL_H

#include <stdatomic.h>

#include "sluice/base.h"

#define SL_CLOCK_STEP_NS  (10 * INT64_C(1000000000))
#define SL_CLOCK_SLEW_DIV 10 /* 1 ms of correction per 10 ms */

/* One writer; readers retry while `seq` is odd or has moved. Zero-initialised: never set. */
struct sl_clock_model {
	_Atomic uint32_t seq;
	_Atomic uint64_t from_ns;  /* monotonic time at which the slew began */
	_Atomic int64_t offset_ns; /* wall - mono at from_ns */
	_Atomic int64_t slew_ns;   /* still to be added to the offset from then on */
	_Atomic uint64_t steps;
};

/* False if the model was never set: *ret_wall_ns is untouched then. Any thread, lock-free. */
bool sl_clock_model_wall(const struct sl_clock_model *m, uint64_t mono_ns, int64_t *ret_wall_ns);
/* Tells the model what the system's wall clock shows at mono_ns. One thread. */
void sl_clock_model_discipline(struct sl_clock_model *m, uint64_t mono_ns, int64_t wall_ns);

#endif
