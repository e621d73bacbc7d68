/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eal_rundir.h - the folder that EAL makes under /run/dpdk whether it needs it or not.
 *
 * A folder of ours is named SL_EAL_PREFIX "<pid>". Nothing else is ever removed.
 */
#ifndef SL_DATAPLANE_EAL_RUNDIR_H
#define SL_DATAPLANE_EAL_RUNDIR_H

#include "sluice/base.h"

#define SL_EAL_PREFIX "sluice-"

/* Removes `dir` with the files in it (no folders), and its parent if that is empty then. */
void sl_eal_rundir_remove(const char *dir);
/* Removes siblings of `dir` whose process is gone. Control. */
void sl_eal_rundir_sweep(const char *dir);
/* The pid in a folder name of ours, or 0. */
int sl_eal_rundir_pid(const char *name);

#endif
