/* SPDX-License-Identifier: Apache-2.0 */
/* group_park.c - requests that wait at a member, and what they are told in the end. */
#include "group_priv.h"

static const struct sl_slice none = {NULL, 0};
static const struct sl_slice empty = {(const uint8_t *)"", 0};

/* The member's session begins anew; one that is parked is alive as long as its connection is. */
void sl_gmember_renew(struct sl_gmember *m)
{
	struct sl_group *g = m->group;
	int64_t ms = m->session_ms;

	if (m->sync || (m->join && !m->is_new)) {
		sl_timer_cancel(g->env->timers, &m->timer);
		return;
	}
	if (m->join)
		ms = SL_GROUP_NEW_JOIN_MS;
	sl_timer_set(g->env->timers, &m->timer, sl_group_after_ms(g, ms));
}

void sl_gjoin_fail(struct sl_gjoin *j, int16_t err, struct sl_slice member_id)
{
	struct sl_gjoined res = {.err = err,
				 .generation = -1,
				 .protocol_type = none,
				 .protocol = empty,
				 .leader = empty,
				 .member_id = member_id};
	j->member = NULL;
	j->done(j, &res);
}

/* Takes the parked join off the member. */
struct sl_gjoin *sl_gmember_unpark_join(struct sl_gmember *m)
{
	struct sl_gjoin *j = m->join;
	if (j) {
		m->join = NULL;
		m->join_ticket = 0;
		j->member = NULL;
		m->group->awaiting--;
	}
	return j;
}

void sl_gmember_park_join(struct sl_gmember *m, struct sl_gjoin *j)
{
	struct sl_gjoin *old = sl_gmember_unpark_join(m);
	if (old) /* the same member once more, by another connection */
		sl_gjoin_fail(old, SL_KERR_REBALANCE_IN_PROGRESS, m->id);
	m->join = j;
	j->member = m;
	m->group->awaiting++;
	sl_gmember_renew(m);
}

/* What a member is told of the generation that the group is in. */
void sl_gjoin_tell(struct sl_gmember *m, struct sl_gjoin *j, bool skip_assignment, bool list)
{
	struct sl_group *g = m->group;
	struct sl_gjoined res = {.generation = g->generation,
				 .skip_assignment = skip_assignment,
				 .protocol_type = g->protocol_type,
				 .protocol = g->protocol,
				 .leader = g->leader ? g->leader->id : empty,
				 .member_id = m->id,
				 .listed = list ? g : NULL};
	j->done(j, &res);
}

void sl_gsync_fail(struct sl_gsync *s, int16_t err)
{
	struct sl_gsynced res = {
		.err = err, .protocol_type = none, .protocol = none, .assignment = empty};
	s->member = NULL;
	s->done(s, &res);
}

void sl_gsync_tell(const struct sl_gmember *m, struct sl_gsync *s)
{
	const struct sl_group *g = m->group;
	struct sl_gsynced res = {.protocol_type = g->protocol_type, .protocol = g->protocol};
	res.assignment =
		m->assignment ? (struct sl_slice){m->assignment, m->assignment_len} : empty;
	s->member = NULL;
	s->done(s, &res);
}

struct sl_gsync *sl_gmember_unpark_sync(struct sl_gmember *m)
{
	struct sl_gsync *s = m->sync;
	m->sync = NULL;
	return s;
}

void sl_gmember_fail_parked(struct sl_gmember *m, int16_t err)
{
	struct sl_gjoin *j = sl_gmember_unpark_join(m);
	struct sl_gsync *s = sl_gmember_unpark_sync(m);
	if (j)
		sl_gjoin_fail(j, err, m->id);
	if (s)
		sl_gsync_fail(s, err);
}

void sl_group_give_up(struct sl_group *g, int16_t err)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link)) {
		sl_gmember_fail_parked(m, err);
		sl_gmember_renew(m);
	}
}

int16_t sl_group_validate(const struct sl_group *g, struct sl_slice id, struct sl_slice instance,
			  struct sl_gmember **ret_m)
{
	struct sl_gmember *m;

	if (instance.p) {
		m = sl_gmember_find_instance(g, instance);
		if (m && !sl_slice_eq(m->id, id))
			return SL_KERR_FENCED_INSTANCE_ID;
	} else {
		m = sl_gmember_find(g, id);
	}
	*ret_m = m;
	return m ? 0 : SL_KERR_UNKNOWN_MEMBER_ID;
}
