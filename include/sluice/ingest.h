/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest.h - the way into a partition for everybody who is not an ingest lcore.
 *
 * The data plane implements it; bridges call it. An injector is one producing thread's set of
 * rings, one single-producer single-consumer pair per writer, so that a preempted producer stalls
 * nobody. A submitted append belongs to the data plane until it comes back from reap.
 */
#ifndef SLUICE_INGEST_H
#define SLUICE_INGEST_H

#include "sluice/store.h"

struct sl_dataplane;
struct sl_injector;

#define SL_INJECTORS_MAX 16
#define SL_INJECT_DEPTH  1024 /* appends under way per injector and writer */

/*
 * `done` is rung (if armed) when something can be reaped; borrowed until close. -ENOSPC beyond
 * SL_INJECTORS_MAX. Control thread, before or while writers run.
 */
SL_MUST_CHECK int sl_injector_open(struct sl_dataplane *dp, struct sl_waker *done,
				   struct sl_injector **ret_inj);
/* Nothing is under way any more. Accepts NULL. Control thread. */
void sl_injector_close(struct sl_injector *inj);

/*
 * Hands the append to the writer of a->part. 0; -EAGAIN: its ring is full (reap and try again).
 * Takes a, and borrows a->batch, until a comes back. The injector's thread; never blocks.
 */
SL_MUST_CHECK int sl_inject(struct sl_injector *inj, struct sl_append *a);
/* Appends that are done (logged or refused), in the order of each writer; at most n. Same thread.
 */
unsigned sl_inject_reap(struct sl_injector *inj, struct sl_append **ret_done, unsigned n);

#endif
