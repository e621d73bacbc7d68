/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the uplink as a state machine over a sink, a store and a clock: no thread, no socket.
 *
 * sl_engine_turn() does what can be done now and says until when it may be left alone. One
 * transaction is open at a time. It takes records of all carried partitions in turn, what one read
 * brought at a visit, and ends by time or bytes; with it go the positions of the partitions it
 * touched. What the centre refuses for good ends a transaction; the suspects are then sent in
 * transactions of their own, groups halved until one record is refused alone, and that one goes to
 * the dead-letter topic.
 *
 * Threads: the owner's, but for sl_engine_stats(), which any thread may call.
 */
#ifndef SL_BRIDGE_UPLINK_ENGINE_H
#define SL_BRIDGE_UPLINK_ENGINE_H

#include "sink.h"
#include "sluice/counters.h"
#include "state.h"
#include "uplink.h"

struct sl_engine;

struct sl_engine_cfg {
	const struct sl_config *config; /* borrowed, as all of these */
	struct sl_store *store;
	struct sl_sink *sink;
	struct sl_upstate *state;
	struct sl_ctr_bridge *counters; /* may be NULL */
	uint64_t (*now_ns)(void *arg);  /* monotonic; NULL: the clocks of platform/base */
	int64_t (*wall_ms)(void *arg);
	void *arg;
	uint64_t seed; /* of the jitter */
};

/*
 * Takes the carried topics as they are now, with their logs' ends, so it must run before anything
 * is appended in this life; then saves the state, unless that has an alarm (and again and again if
 * the disk does not take it: the sink stays closed until then). No network. -ENOMEM, -EINVAL (the
 * destination); a sentence in err.
 */
SL_MUST_CHECK int sl_engine_new(const struct sl_engine_cfg *cfg, struct sl_engine **ret_engine,
				char *err, size_t errlen);
/* The sink is closed if it was open. Accepts NULL. */
void sl_engine_free(struct sl_engine *e);

struct sl_engine_wait {
	uint64_t until_ns; /* monotonic: the next turn is due then; 0: at once */
	bool store;        /* or when the store moves: arm a waker, take one more turn, sleep */
};
/* One turn. It may block on the disk. The sink's own events are due when they come. */
void sl_engine_turn(struct sl_engine *e, struct sl_engine_wait *ret_wait);

/* As uplink.h has them; -errno of saving the state. */
int sl_engine_pause(struct sl_engine *e, bool paused);
void sl_engine_rate(struct sl_engine *e, uint64_t bytes_per_s);
int sl_engine_adopt(struct sl_engine *e);

/* No new transaction; the one that is open is committed. Take turns until stopped. */
void sl_engine_stop(struct sl_engine *e);
bool sl_engine_stopped(const struct sl_engine *e);

void sl_engine_stats(struct sl_engine *e, struct sl_uplink_stats *ret_stats);

#endif
