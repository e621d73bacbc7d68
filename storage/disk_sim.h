/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_sim.h - for tests: what a disk may hold after a power cut.
 *
 * The test program is linked with --wrap for the calls by which storage changes files. While
 * recording, each one is noted in order (and none is really synced). A cut at operation n is then
 * played out on paper: what a completed sync covered is there; of everything younger any part may
 * be: data by sectors of 512 bytes in any order, changes of a directory up to some point of it,
 * each directory by itself. That is less than file systems promise, and what POSIX does.
 *
 * One tree at a time, kept in globals because the wrapped calls have no context.
 */
#ifndef SL_STORAGE_DISK_SIM_H
#define SL_STORAGE_DISK_SIM_H

#include "platform/base/sl_test.h"
#include "sluice/base.h"

/* Forgets what was, takes the tree below `root` as durable, and records. Other threads may start
 * to change it only afterwards. */
void sl_sim_start(const char *root);
void sl_sim_stop(void);    /* nobody changes the tree any more */
uint64_t sl_sim_ops(void); /* operations so far; any thread */
/* Makes below `to`, an empty directory, what may be left when power goes after `at` operations. */
void sl_sim_cut(uint64_t at, struct sl_rng *rng, const char *to);

#endif
