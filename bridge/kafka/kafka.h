/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka.h - the Kafka listener: what platform/app sees of it.
 *
 * One network thread runs all connections (platform/net loop) and never waits for disk,
 * decompression or file creation: a small worker pool does that. Records go in through an
 * injector (ingest.h), come out through store.h.
 */
#ifndef SL_BRIDGE_KAFKA_H
#define SL_BRIDGE_KAFKA_H

#include "sluice/config.h"
#include "sluice/ingest.h"
#include "sluice/offsets.h"

struct sl_kafka;

struct sl_kafka_cfg {
	const struct sl_config *config; /* borrowed */
	struct sl_store *store;
	struct sl_dataplane *dp;
	int32_t node_id; /* 1 */
};

/* Binds the listeners, of which there may be none: then it is a group coordinator for those inside
 * the daemon (sl_kafka_offsets_ops()). -EADDRINUSE and the like with a sentence in err. Control. */
SL_MUST_CHECK int sl_kafka_new(const struct sl_kafka_cfg *cfg, struct sl_kafka **ret_kafka,
			       char *err, size_t errlen);
SL_MUST_CHECK int sl_kafka_start(struct sl_kafka *k);
/*
 * Stops accepting, answers what is under way, closes; over by deadline_ns (monotonic). The last
 * quarter of that time, at most 5 s, is kept for what must come back: appends and worker jobs,
 * which are told to end. -ETIMEDOUT: some have not. Then data plane and workers still use memory of
 * the listener's, the workers the store: neither store nor data plane may be freed or closed any
 * more, the process has to end without that; sl_kafka_free() lets the memory be. Control.
 */
int sl_kafka_stop(struct sl_kafka *k, uint64_t deadline_ns);
void sl_kafka_free(struct sl_kafka *k);                       /* accepts NULL */
uint16_t sl_kafka_port(const struct sl_kafka *k, unsigned i); /* bound port of listener i */

/*
 * Committed offsets for other threads of the daemon; `arg` is a struct sl_kafka that was started.
 * With -ESHUTDOWN once it is being stopped; nobody may call when sl_kafka_stop() has returned.
 */
const struct sl_offsets_ops *sl_kafka_offsets_ops(void);

struct sl_kafka_stats {
	uint64_t connections, connections_total, connections_refused;
	uint64_t requests_total, request_errors_total; /* closed for a malformed request */
	uint64_t bytes_in, bytes_out;
	uint64_t memory_bytes; /* held now by all connections */
	uint64_t produce_records, produce_errors, fetch_bytes, fetch_from_disk;
	uint64_t admin_errors;    /* topics, partitions and settings answered with an error */
	uint64_t central_refused; /* partitions of acks=all: the centre was out of reach */
	uint64_t groups, group_members, group_offsets; /* now; offsets: committed ones */
	uint64_t group_rebalances, offset_commits, offsets_expired;
	uint64_t group_refused;      /* joins and commits beyond a limit */
	uint64_t group_foreign;      /* records of __consumer_offsets that were not understood */
	uint64_t group_write_errors; /* records that could not be written there */
	uint64_t group_compactions;  /* partitions of it that were rewritten */
};
void sl_kafka_stats(struct sl_kafka *k, struct sl_kafka_stats *ret_stats); /* any thread */

#endif
