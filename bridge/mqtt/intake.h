/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake.h - the thread that turns MQTT messages into records.
 *
 * It owns an injector and takes frames from rings (ring.h), each in its order: from the plugins
 * that connect to mqtt.socket (hello.h), and from sources, rings in private memory that a thread of
 * this process fills, for messages that a client of ours got from a broker elsewhere. A frame is
 * mapped (map.h), framed into a record batch, handed to its partition's writer, and answered when
 * it is logged or synced, as the rule says. Frames nobody waits for share batches.
 *
 * What would block (making a topic, a producer id, the search for what a daemon that died had
 * stored) runs in a worker thread; the ring waits for it, the others go on.
 */
#ifndef SL_BRIDGE_MQTT_INTAKE_H
#define SL_BRIDGE_MQTT_INTAKE_H

#include "mqtt.h"
#include "ring.h"

struct sl_intake;
struct sl_intake_source;

/* Binds mqtt.socket, opens the injector. A sentence in err on failure. Control. */
SL_MUST_CHECK int sl_intake_new(const struct sl_mqtt_cfg *cfg, struct sl_intake **ret_intake,
				char *err, size_t errlen);
SL_MUST_CHECK int sl_intake_start(struct sl_intake *in); /* control */
/*
 * No plugin is accepted any more; what lies in the rings is stored and answered. What is left half
 * way to deadline_ns (monotonic) is refused. Sources' threads have stopped putting. -ETIMEDOUT:
 * appends are still under way. Control; blocks.
 */
int sl_intake_stop(struct sl_intake *in, uint64_t deadline_ns);
void sl_intake_free(struct sl_intake *in); /* accepts NULL; sources are freed with it */

/* ---- sources: rings in this process ---------------------------------------------------------- */

struct sl_intake_source_cfg {
	const char *name; /* for the log and sl_mqtt_stats(); copied, cut to SL_CFG_NAME_MAX */
	uint32_t bytes;   /* of its ring, a power of two as SL_RING_BYTES_*; 0: SL_RING_BYTES_DEF */
};

/*
 * At most SL_CFG_BROKERS_MAX. Before sl_intake_start(), on the control thread. While the disk is
 * full a source's frames wait in its ring instead of being refused, so that the broker keeps what
 * does not fit. -ENOSPC: too many; -ENOMEM.
 */
SL_MUST_CHECK int sl_intake_source_add(struct sl_intake *in, const struct sl_intake_source_cfg *cfg,
				       struct sl_intake_source **ret_source);
/*
 * Hands a message over; borrows it only for the call. Waits at most room_ns for room in the ring
 * (0: not at all). -EAGAIN: there was none; -EMSGSIZE; -ESHUTDOWN: the intake stops. Set
 * SL_RING_F_WAITED in m->flags if sl_intake_source_wait() will follow. *ret_id may be NULL. One
 * thread per source.
 */
SL_MUST_CHECK int sl_intake_source_put(struct sl_intake_source *s, const struct sl_ring_msg *m,
				       uint64_t room_ns, uint64_t *ret_id);
/* Waits for the answer to the newest message put. -ETIMEDOUT. The same thread. */
SL_MUST_CHECK int sl_intake_source_wait(struct sl_intake_source *s, uint64_t id,
					uint64_t timeout_ns, enum sl_ring_answer *ret_answer);

/* ---- figures --------------------------------------------------------------------------------- */

/* Fills the plugins' rows of ret_stats->broker (those that are connected) and counts them in
 * ret_stats->brokers. Any thread. */
void sl_intake_stats(struct sl_intake *in, struct sl_mqtt_stats *ret_stats);
/*
 * How many of this source's frames were answered, and of them: refused, though they may be stored
 * when they come again; and never to be stored because of their size. Counted before the frame is
 * answered. Any thread.
 */
void sl_intake_source_stats(const struct sl_intake_source *s, uint64_t *ret_messages,
			    uint64_t *ret_refused, uint64_t *ret_too_large);
/* Counts messages that the broker believes are stored and that are not: MQTT_LOST_BROKER. The
 * source's thread. */
void sl_intake_source_lost(struct sl_intake_source *s, uint64_t messages);

#endif
