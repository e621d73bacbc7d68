/* SPDX-License-Identifier: Apache-2.0 */
/* group_priv.h - the group's inside, shared by group*.c only. */
#ifndef SL_BRIDGE_KAFKA_GROUP_PRIV_H
#define SL_BRIDGE_KAFKA_GROUP_PRIV_H

#include "errors.h"
#include "group.h"

#define SL_GROUP_MS 1000000ull /* ns */

SL_INLINE bool sl_slice_eq(struct sl_slice a, struct sl_slice b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.p, b.p, a.len));
}

/*
 * Copies are charged to env->bytes. False: no memory, or beyond env->bytes_max, which is counted
 * as refused. Null stays null.
 */
bool sl_gbytes_dup(struct sl_group_env *env, struct sl_slice s, struct sl_slice *ret_copy);
void sl_gbytes_free(struct sl_group_env *env, struct sl_slice *s); /* leaves null */

struct sl_gmember *sl_gmember_find(const struct sl_group *g, struct sl_slice id);
struct sl_gmember *sl_gmember_find_instance(const struct sl_group *g, struct sl_slice instance);
/* A member with a copy of all that the join says, under `id`; in no list. NULL: see above. */
struct sl_gmember *sl_gmember_new(struct sl_group *g, struct sl_slice id, const struct sl_gjoin *j);
void sl_gmember_free(struct sl_gmember *m); /* in no list, nothing parked */
/* Takes over protocols and timeouts of the join; false: nothing has changed. */
bool sl_gmember_update(struct sl_gmember *m, const struct sl_gjoin *j);
bool sl_gmember_matches(const struct sl_gmember *m, const struct sl_gjoin *j);
bool sl_gmember_set_id(struct sl_gmember *m, struct sl_slice id);
bool sl_gmember_assign(struct sl_gmember *m, struct sl_slice bytes);

/* ---- group_park.c: requests that wait, and their answers ------------------------------------- */

/* The member's session begins anew; one that is parked is alive as long as its connection is. */
void sl_gmember_renew(struct sl_gmember *m);
void sl_gmember_park_join(struct sl_gmember *m, struct sl_gjoin *j);
struct sl_gjoin *sl_gmember_unpark_join(struct sl_gmember *m); /* NULL: none was parked */
struct sl_gsync *sl_gmember_unpark_sync(struct sl_gmember *m);
void sl_gmember_fail_parked(struct sl_gmember *m, int16_t err);
void sl_gjoin_fail(struct sl_gjoin *j, int16_t err, struct sl_slice member_id);
/* What a member is told of the generation that the group is in. */
void sl_gjoin_tell(struct sl_gmember *m, struct sl_gjoin *j, bool skip_assignment, bool list);
void sl_gsync_fail(struct sl_gsync *s, int16_t err);
void sl_gsync_tell(const struct sl_gmember *m, struct sl_gsync *s); /* its assignment */
/* The member that a request speaks for: 0, or a Kafka error code. */
int16_t sl_group_validate(const struct sl_group *g, struct sl_slice id, struct sl_slice instance,
			  struct sl_gmember **ret_m);

/* ---- group.c: the barrier -------------------------------------------------------------------- */

void sl_group_set_state(struct sl_group *g, enum sl_group_state st);
uint64_t sl_group_after_ms(const struct sl_group *g, int64_t ms); /* a time for a timer */
void sl_gmember_link(struct sl_group *g, struct sl_gmember *m);
void sl_gmember_remove(struct sl_gmember *m, int16_t err); /* what is parked ends with err */
void sl_gpending_due(void *arg);                           /* its timer */
void sl_gpending_free(struct sl_gpending *p);
void sl_group_maybe_complete(struct sl_group *g); /* if all stand before the barrier */
void sl_group_rebalance(struct sl_group *g);
void sl_group_rebalance_or_complete(struct sl_group *g);
/* Assignments that have not been given out are void; parked syncs end with err. */
void sl_group_reset_assignments(struct sl_group *g, int16_t err);
void sl_group_after_removal(struct sl_group *g); /* members have gone: the others share anew */

struct sl_gpending *sl_gpending_find(const struct sl_group *g, struct sl_slice id);

/* All members know one of the protocols that the join offers, of the group's type. */
bool sl_group_supports(const struct sl_group *g, const struct sl_gjoin *j);
/* What most members like best among what all know; p NULL: none. Borrowed from a member. */
struct sl_slice sl_group_select_protocol(const struct sl_group *g);

#endif
