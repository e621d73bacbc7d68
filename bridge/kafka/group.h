/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h - one consumer group by the classic protocol (KIP-62, KIP-134, KIP-345, KIP-394,
 * KIP-814): a state machine without sockets and without a log. Behaviour follows Apache Kafka's
 * org.apache.kafka.coordinator.group.classic.ClassicGroup and GroupMetadataManager.
 *
 *   Empty -> PreparingRebalance -> CompletingRebalance -> Stable -> PreparingRebalance ...
 *
 *   PreparingRebalance   joins are parked until all members have sent theirs (the barrier), at most
 *                        for the largest rebalance timeout of its members
 *   CompletingRebalance  joins are answered, syncs are parked until the leader's brings the
 *                        assignments and the group's record has been stored
 *   Stable               the assignments are out
 *
 * A request that waits is a struct of its handler (sl_gjoin, sl_gsync) that the member points at;
 * its `done` runs once, during the call that parked it or during a later one, and must not call
 * back into the group. What members say of themselves (protocol metadata, assignments) is bytes:
 * nothing here looks into it.
 *
 * The structs are visible to be embedded and walked; only group*.c change them. One thread.
 */
#ifndef SL_BRIDGE_KAFKA_GROUP_H
#define SL_BRIDGE_KAFKA_GROUP_H

#include <sys/queue.h>

#include "platform/net/timer.h"
#include "sluice/wire.h"

#define SL_GROUP_ID_BYTES         16         /* random bytes in a member id */
#define SL_GROUP_NEW_JOIN_MS      300000     /* a member that waits for its first answer */
#define SL_GROUP_PENDING_HOLD_MS  3000       /* a barrier waits for a promised member, at most */
#define SL_GROUP_PROTOCOLS_MAX    64         /* of one member */
#define SL_GROUP_MEMBER_BYTES_MAX (1u << 20) /* protocols and metadata of one member */

enum sl_group_state {
	SL_GROUP_EMPTY,
	SL_GROUP_PREPARING,
	SL_GROUP_COMPLETING,
	SL_GROUP_STABLE,
	SL_GROUP_DEAD,
};
const char *sl_group_state_name(enum sl_group_state st); /* Kafka's: "PreparingRebalance" */

struct sl_group;

/* What all groups share: limits, clocks, the way out, and what they hold together. */
struct sl_group_env {
	struct sl_timers *timers;
	uint64_t (*mono_ns)(void *arg);
	int64_t (*wall_ms)(void *arg);
	void (*random)(void *arg, uint8_t ret_bytes[SL_GROUP_ID_BYTES]);
	/* Writes the group's record as it is now; ends with sl_group_stored(), not before returning
	 */
	void (*store)(void *arg, struct sl_group *g, uint64_t ticket);
	/* The group may have become one that nobody needs; must not free it before returning. */
	void (*emptied)(void *arg, struct sl_group *g);
	void *arg;
	uint32_t initial_delay_ms;               /* group.initial.rebalance.delay.ms */
	uint32_t min_session_ms, max_session_ms; /* group.min/max.session.timeout.ms */
	uint32_t max_members;                    /* group.max.size */
	uint64_t bytes_max;                      /* of all groups together */
	/* what they hold and did */
	uint64_t bytes, members, rebalances, refused;
};

struct sl_gprotocol {
	struct sl_slice name, metadata;
};

struct sl_gjoin;
struct sl_gsync;

struct sl_gmember {
	TAILQ_ENTRY(sl_gmember) link;
	struct sl_group *group;
	struct sl_slice id, instance, client_id, client_host; /* instance.p NULL: dynamic */
	int32_t session_ms, rebalance_ms;
	uint32_t protocol_cnt;
	struct sl_gprotocol *protocol; /* owned, with the bytes it points at */
	size_t protocol_bytes;
	uint8_t *assignment; /* owned; NULL: empty */
	uint32_t assignment_len;
	struct sl_timer timer; /* session; not while it is parked */
	struct sl_gjoin *join; /* parked, NULL: none */
	struct sl_gsync *sync;
	uint64_t join_ticket; /* its join waits for this store, 0: none */
	bool is_new;          /* has not been answered yet */
	bool synced;          /* in this generation */
};
TAILQ_HEAD(sl_gmembers, sl_gmember);

struct sl_gpending { /* a member id that was given out and has not come back */
	TAILQ_ENTRY(sl_gpending) link;
	struct sl_group *group;
	struct sl_slice id;
	int32_t session_ms;
	bool held; /* a barrier waits for it */
	struct sl_timer timer;
};

struct sl_group {
	struct sl_group_env *env;
	enum sl_group_state state;
	int32_t generation;
	int64_t state_ms;              /* wall clock of the last change of state, -1: unknown */
	struct sl_slice protocol_type; /* owned bytes; p NULL: none */
	struct sl_slice protocol;      /* owned; p NULL: none is selected */
	struct sl_gmembers members;    /* in the order of joining */
	uint32_t member_cnt;
	uint32_t awaiting; /* members whose join is parked */
	TAILQ_HEAD(, sl_gpending) pending;
	uint32_t pending_cnt, held_cnt;
	struct sl_gmember *leader;
	struct sl_timer join_timer, sync_timer;
	bool left;         /* a member was removed, and nothing has followed from it yet */
	bool initial;      /* the first barrier: it lasts its time */
	bool joined_since; /* during it, since its timer was set */
	uint32_t initial_left_ms;
	uint64_t tickets, sync_ticket; /* the last one; that of the leader's sync, 0: none */
};

void sl_group_init(struct sl_group *g, struct sl_group_env *env);
/* Nothing is parked any more. Accepts zeroed. */
void sl_group_fini(struct sl_group *g);

/* ---- requests: `err` of the answers is a Kafka error code (errors.h) ------------------------- */

struct sl_gjoined { /* borrowed during `done` */
	int16_t err;
	bool skip_assignment;
	int32_t generation;
	struct sl_slice protocol_type, protocol; /* p NULL: null */
	struct sl_slice leader, member_id;
	const struct sl_group *listed; /* its members are told to the leader; NULL: none */
};

struct sl_gjoin {
	/* in, borrowed during sl_group_join() */
	struct sl_slice member_id; /* empty: new */
	struct sl_slice instance;  /* p NULL: none */
	struct sl_slice client_id, client_host;
	struct sl_slice protocol_type;
	const struct sl_gprotocol *protocol;
	uint32_t protocol_cnt;
	int32_t session_ms, rebalance_ms;
	bool must_know_id; /* v4: a new dynamic member is told its id first (KIP-394) */
	bool may_skip;     /* v9: a static leader may be told to skip the assignment (KIP-814) */
	/* out */
	void (*done)(struct sl_gjoin *j, const struct sl_gjoined *res);
	struct sl_gmember *member; /* parked there; NULL: not parked */
};
void sl_group_join(struct sl_group *g, struct sl_gjoin *j);
/* The client has left: `done` will not run. Only while it is parked. */
void sl_group_join_cancel(struct sl_gjoin *j);

struct sl_gassignment {
	struct sl_slice member_id, bytes;
};
struct sl_gsynced {
	int16_t err;
	struct sl_slice protocol_type, protocol, assignment;
};
struct sl_gsync {
	/* in, borrowed during sl_group_sync() */
	struct sl_slice member_id, instance;
	struct sl_slice protocol_type, protocol; /* p NULL: not told */
	int32_t generation;
	const struct sl_gassignment *assignment;
	uint32_t assignment_cnt;
	/* out */
	void (*done)(struct sl_gsync *s, const struct sl_gsynced *res);
	struct sl_gmember *member;
};
void sl_group_sync(struct sl_group *g, struct sl_gsync *s);
void sl_group_sync_cancel(struct sl_gsync *s);

/* The store asked for under `ticket` has ended; err is a Kafka error code. */
void sl_group_stored(struct sl_group *g, uint64_t ticket, int16_t err);

int16_t sl_group_heartbeat(struct sl_group *g, struct sl_slice member_id, struct sl_slice instance,
			   int32_t generation);
/*
 * Removes members; after all of a request sl_group_left() starts what follows from it. An empty
 * member id with an instance removes whoever has the instance.
 */
int16_t sl_group_leave(struct sl_group *g, struct sl_slice member_id, struct sl_slice instance);
void sl_group_left(struct sl_group *g);
/* May this commit offsets now? 0, and its session is renewed, or an error code. */
int16_t sl_group_may_commit(struct sl_group *g, struct sl_slice member_id, struct sl_slice instance,
			    int32_t generation);
/* Every parked request ends with this error; members and state stay. */
void sl_group_give_up(struct sl_group *g, int16_t err);

/* ---- looking at it --------------------------------------------------------------------------- */

/* Metadata of the member for the protocol that is selected; len 0: none. */
struct sl_slice sl_gmember_metadata(const struct sl_gmember *m, struct sl_slice protocol);
/* Nobody is or will be a member. */
SL_INLINE bool sl_group_is_vacant(const struct sl_group *g)
{
	return g->state == SL_GROUP_EMPTY && g->member_cnt == 0 && g->pending_cnt == 0;
}
bool sl_group_is_consumer(const struct sl_group *g); /* protocol type "consumer" */

/*
 * The topics that members of a `consumer` group subscribe to, put together once for many questions.
 * As Kafka: unparsable metadata counts as a subscription to everything; groups of other types
 * subscribe to nothing. More topics than are taken count as everything, too.
 */
#define SL_GROUP_SUBS_MAX 65536
struct sl_gsubs {
	struct sl_slice *topic; /* sorted; they borrow from the members until the group changes */
	uint32_t cnt;
	bool all;
};
void sl_gsubs_init(struct sl_gsubs *s, const struct sl_group *g);
bool sl_gsubs_has(const struct sl_gsubs *s, struct sl_slice topic);
void sl_gsubs_fini(struct sl_gsubs *s); /* accepts zeroed */

/* ---- reading back: a group that has just been initialised ------------------------------------ */

struct sl_gmember_seed {
	struct sl_slice id, instance, client_id, client_host, metadata, assignment;
	int32_t session_ms, rebalance_ms;
};
struct sl_group_seed {
	struct sl_slice protocol_type, protocol, leader; /* p NULL: null */
	int32_t generation;
	int64_t state_ms;
};
/* -ENOMEM: beyond bytes_max too. The group is as it was or has fewer members then. */
SL_MUST_CHECK int sl_group_seed(struct sl_group *g, const struct sl_group_seed *seed);
SL_MUST_CHECK int sl_group_seed_member(struct sl_group *g, const struct sl_gmember_seed *seed,
				       struct sl_slice leader);
/* Members get fresh sessions; Stable if there are any. */
void sl_group_seed_end(struct sl_group *g);

#endif
