/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eal.h - which lcore does what.
 *
 * sl_dp_eal_init() (dataplane.h) turns the config's CPUs into lcores. The calling thread is the
 * main lcore (0); it floats over all CPUs the process may use. Each entry of `ingest` and of
 * `writers` becomes one lcore pinned to its CPU; two entries may share a CPU.
 */
#ifndef SL_DATAPLANE_EAL_H
#define SL_DATAPLANE_EAL_H

#include "sluice/config.h"

#define SL_EAL_LCORES_MAX (2 * SL_CFG_CPUS_MAX + 1)

/* The placement in force: lcore ids for rte_eal_remote_launch(), and the CPU under each. */
struct sl_eal_lcores {
	uint32_t ingest_cnt, writer_cnt;
	uint16_t ingest[SL_CFG_CPUS_MAX], ingest_cpu[SL_CFG_CPUS_MAX];
	uint16_t writer[SL_CFG_CPUS_MAX], writer_cpu[SL_CFG_CPUS_MAX];
};

/*
 * Resolves the config's CPUs against the calling thread's affinity mask: `auto` means one writer
 * on the last CPU and one ingest lcore before it (the same CPU if there is only one). Pure but for
 * reading the mask; works before sl_dp_eal_init() and gives the same answer after it, as EAL init
 * restores the mask. -EINVAL with a sentence in `err`: a CPU that this process may not use, or
 * more lcores than there are. Control.
 */
SL_MUST_CHECK int sl_eal_lcores(const struct sl_config *cfg, struct sl_eal_lcores *ret_lcores,
				char *err, size_t errlen);

/* True if EAL runs on hugepages. After sl_dp_eal_init(). */
bool sl_eal_hugepages(void);

#endif
