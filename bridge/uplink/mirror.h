/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.h - topics of the centre, copied down: each of `uplink.mirror` into the local topic of the
 * same name, which is made with as many partitions as the centre's has and grows with it.
 *
 * One thread with a consumer of its own (read_committed, no group), independent of the way up. A
 * record keeps partition, key, value, headers and timestamp and gets the headers
 * sluice.central.partition and sluice.central.offset, numbers as decimal text. Each record is
 * copied once: where a partition goes on is told by the last copied record in the local log itself,
 * and by <data>/state/mirror when that one is deleted (docs/formats/mirror.md). What waits at a
 * dead link or a full disk is tried again with a jittered back-off of 1 s to 60 s.
 *
 * A mirrored topic is never carried up: sl_mirror_has().
 */
#ifndef SL_BRIDGE_UPLINK_MIRROR_H
#define SL_BRIDGE_UPLINK_MIRROR_H

#include "sluice/config.h"
#include "sluice/counters.h"
#include "sluice/ingest.h"

#define SL_MIRROR_BATCH_RECORDS 500
#define SL_MIRROR_BATCH_BYTES   (256u * 1024) /* of one append; a larger record goes alone */

struct sl_mirror;

struct sl_mirror_cfg {
	const struct sl_config *config; /* borrowed */
	struct sl_store *store;
	struct sl_dataplane *dp;
	struct sl_counters *counters; /* line SL_CTR_MIRROR; may be NULL */
};

struct sl_mirror_stats {
	bool connected;    /* the centre answered last time */
	uint64_t mirrored; /* records of this run */
	uint64_t refused;  /* of this run: too large for a local log */
	int64_t lag;       /* records at the centre that are not here; -1: not known */
	char last_error[SL_CFG_TEXT_MAX];
};

/* Does this config mirror a topic of that name? Any thread. */
bool sl_mirror_has(const struct sl_config *cfg, const char *topic);

/* *ret_mirror is NULL if the config mirrors nothing; the others accept that. Reads
 * <data>/state/mirror; touches no network. A sentence in err on failure. Control; blocks. */
SL_MUST_CHECK int sl_mirror_new(const struct sl_mirror_cfg *cfg, struct sl_mirror **ret_mirror,
				char *err, size_t errlen);
SL_MUST_CHECK int sl_mirror_start(struct sl_mirror *m); /* control, once */
/* Appends under way are finished, what is stored is written down. 0; -ETIMEDOUT: the thread is
 * stuck: neither m, nor store, nor data plane may be freed. Control. */
int sl_mirror_stop(struct sl_mirror *m, uint64_t deadline_ns);
void sl_mirror_free(struct sl_mirror *m);                                     /* not running */
void sl_mirror_stats(struct sl_mirror *m, struct sl_mirror_stats *ret_stats); /* any thread */

#endif
