/* SPDX-License-Identifier: Apache-2.0 */
/* dp_int.h - the data plane's own parts; for dataplane.c and dp_build.c only. */
#ifndef SL_DATAPLANE_INT_H
#define SL_DATAPLANE_INT_H

#include "dataplane.h"
#include "eal.h"
#include "ingest.h"
#include "inject.h"
#include "port.h"
#include "writer.h"

struct dp_port {
	struct sl_port *port;
	struct rte_mempool *pool;
	struct sl_classifier *cls;
	struct sl_cfg_listener *listener; /* copies of those on this port, in one piece */
	uint32_t data_room;
	bool started;
};

struct dp_topic {
	struct sl_topic *topic;
	_Atomic uint32_t max_bytes; /* refreshed by housekeeping, read by ingest lcores */
	uint32_t used;              /* partitions that ingest lcores write to: the first so many */
	uint32_t told;              /* the last count that the batches did not suffice for */
};

struct dp_ingest {
	struct sl_ingest *loop;
	struct sl_handoff *lane; /* one per writer */
	uint32_t port_cnt;
	uint32_t port[SL_CFG_PORTS_MAX];
	bool running;
};

struct sl_dataplane {
	const struct sl_config *config;
	struct sl_store *store;
	struct sl_counters *counters;
	struct sl_eal_lcores lcores;
	uint32_t ports, topics, ingest_cnt, writer_cnt;
	struct dp_port port[SL_CFG_PORTS_MAX];
	struct dp_topic *topic;   /* of the listeners, each once */
	uint32_t *listener_topic; /* listener -> topic */
	struct dp_old *old;       /* replaced, and somebody may still use it: dp_rebind.c */
	struct dp_ingest ingest[SL_CFG_CPUS_MAX];
	struct sl_writer *writer[SL_STORE_WRITERS_MAX];
	bool writer_running[SL_STORE_WRITERS_MAX];
	struct sl_injectors injectors;
};

/* Each fills its part of dp and says in `err` what is wrong; what exists so far is undone by
 * sl_dp_unbuild(), which accepts any half of it. Control. */
SL_MUST_CHECK int sl_dp_build_port(struct sl_dataplane *dp, uint32_t i, char *err, size_t errlen);
SL_MUST_CHECK int sl_dp_build_topics(struct sl_dataplane *dp, char *err, size_t errlen);
SL_MUST_CHECK int sl_dp_build_writers(struct sl_dataplane *dp, char *err, size_t errlen);
/* After ports, topics and writers: their lanes are tied to them. */
SL_MUST_CHECK int sl_dp_build_ingest(struct sl_dataplane *dp, uint32_t n, char *err, size_t errlen);
void sl_dp_unbuild(struct sl_dataplane *dp);

/* max.message.bytes of every topic as it is now. */
void sl_dp_refresh_topics(struct sl_dataplane *dp);

/* dp_rebind.c: gives back what was replaced. False: not all have let go of it. Control. */
bool sl_dp_routes_reap(struct sl_dataplane *dp);
void sl_dp_routes_drop(struct sl_dataplane *dp); /* no lcore runs any more */

/* Writes the sentence and returns rc. */
SL_PRINTF(4, 5) int sl_dp_fail(int rc, char *err, size_t errlen, const char *fmt, ...);

#endif
