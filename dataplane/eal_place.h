/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eal_place.h - placement of lcores on CPUs as a pure function, and EAL's words for it.
 * eal.h is what others use; this is its inside, visible for the tests.
 */
#ifndef SL_DATAPLANE_EAL_PLACE_H
#define SL_DATAPLANE_EAL_PLACE_H

#include "eal.h"

#define SL_EAL_MASK_MAX 1024 /* CPU_SETSIZE */

struct sl_eal_mask { /* CPUs this process may use, ascending */
	uint32_t cnt;
	uint16_t cpu[SL_EAL_MASK_MAX];
};

/* The calling thread's affinity mask. */
void sl_eal_mask_get(struct sl_eal_mask *ret_mask);
/* As sl_eal_lcores(), for a given mask of at least one CPU. Pure. */
SL_MUST_CHECK int sl_eal_place(const struct sl_eal_mask *m, const struct sl_config *cfg,
			       struct sl_eal_lcores *ret_lcores, char *err, size_t errlen);
/* True if the i-th ingest lcore may have real-time priority and starve nobody: it sleeps when idle,
 * no capture is replayed (that is never idle), and no other lcore of ours is on its CPU. Pure. */
bool sl_eal_may_hurry(const struct sl_config *cfg, const struct sl_eal_lcores *l, uint32_t i);
/* Writes the value of --lcores: the main lcore 0 on all CPUs, each other one on its own.
 * -ENAMETOOLONG if it does not fit. */
SL_MUST_CHECK int sl_eal_lcores_arg(const struct sl_eal_mask *m, const struct sl_eal_lcores *l,
				    char *buf, size_t len);

#endif
