/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_rig.h - for tests: a box with an engine over the store in memory and a centre in memory,
 * with a clock that moves when turns say so, and a check of what the centre has.
 *
 * Records say in their value what they are: "<topic>/<partition>/<offset>/" and padding.
 */
#ifndef SL_BRIDGE_UPLINK_ENGINE_RIG_H
#define SL_BRIDGE_UPLINK_ENGINE_RIG_H

#include "bridge/fake/fake_store.h"
#include "engine.h"
#include "sink_memory.h"

#define RIG_WALL_MS 1700000000000
#define RIG_TS(off) (RIG_WALL_MS - 1000000 + (off))

struct rig {
	char data[64];
	struct sl_config *cfg;
	struct sl_store *store;
	struct mem_centre *centre; /* may be shared */
	bool own_centre;
	struct sl_sink *sink;
	struct sl_upstate *state;
	struct sl_engine *engine;
	struct sl_ctr_bridge *counters;
	uint64_t now_ns;
	uint64_t turns;
};

/* A directory, a store that syncs at once, the defaults of the config; nothing runs. */
void rig_init(struct rig *r, const char *gateway, struct mem_centre *centre);
void rig_fini(struct rig *r);
/* -errno of the steps. The log's ends are taken then. */
int rig_start(struct rig *r);
void rig_crash(struct rig *r); /* nothing is said to anybody */
void rig_stop(struct rig *r);  /* cleanly, within 10 s */

void rig_topic(struct rig *r, const char *topic, uint32_t partitions);
struct sl_part *rig_part(struct rig *r, const char *topic, int32_t id);
/* n records with `pad` more bytes each, in one batch. */
void rig_produce(struct rig *r, const char *topic, int32_t part, unsigned n, uint32_t pad);
void rig_produce_ts(struct rig *r, const char *topic, int32_t part, int64_t ts);

/* Turns for so much of simulated time. */
void rig_run(struct rig *r, unsigned ms);
/* Turns until nothing is left to send, for 600 s at most; asserts that it ended. */
void rig_drain(struct rig *r);
struct sl_uplink_stats rig_stats(struct rig *r);
uint64_t rig_row(const struct rig *r, enum sl_bridge_row row);

/*
 * What the centre has of this box's topic, committed: every record once, in order per partition,
 * as it was put here; those that are missing must be in `evicted` of them, or dead letters of which
 * `dead` are expected. Returns how many there are.
 */
struct rig_seen {
	uint64_t forwarded, dead;
	int64_t last[SL_PARTITIONS_MAX]; /* last offset of each partition, -1: none */
};
void rig_check(struct rig *r, const char *topic, struct rig_seen *ret);

/* `to` gets the state file of `from`, as a copy of the whole disk would have it. */
void rig_clone_state(struct rig *from, struct rig *to);

#endif
