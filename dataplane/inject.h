/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.h - the injectors of a data plane (sluice/ingest.h), as dataplane.c holds them.
 *
 * An injector's rings are made when it is opened first and kept for the next one that opens the
 * same place, so that a writer that looks at them never looks at freed memory.
 */
#ifndef SL_DATAPLANE_INJECT_H
#define SL_DATAPLANE_INJECT_H

#include <pthread.h>

#include "sluice/ingest.h"
#include "writer.h"

struct sl_injectors {
	struct sl_writer *writer[SL_STORE_WRITERS_MAX];
	unsigned writers;
	pthread_mutex_t lock; /* open and close: control threads */
	struct sl_injector *place[SL_INJECTORS_MAX];
};

/* Control, before the first open. 0 or -errno of the mutex. */
SL_MUST_CHECK int sl_injectors_init(struct sl_injectors *s, struct sl_writer *const *writer,
				    unsigned writers);
void sl_injectors_fini(struct sl_injectors *s); /* writers have ended; NULL and zeroed are fine */

/* Implemented by dataplane.c (and by tests that have no data plane). */
struct sl_injectors *sl_dp_injectors(struct sl_dataplane *dp);

#endif
