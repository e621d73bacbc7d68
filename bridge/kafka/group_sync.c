/* SPDX-License-Identifier: Apache-2.0 */
/* group_sync.c - the rest of a generation: assignments, heartbeats, leaving, commits. */
#include "group_priv.h"

static const struct sl_slice none = {NULL, 0};

/* Kafka takes an absent name for any (versions before 5). */
static bool is_consistent(const struct sl_group *g, const struct sl_gsync *s)
{
	return (!s->protocol_type.p || sl_slice_eq(s->protocol_type, g->protocol_type)) &&
	       (!s->protocol.p || sl_slice_eq(s->protocol, g->protocol));
}

static bool take_assignments(struct sl_group *g, const struct sl_gsync *s)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		sl_gmember_assign(m, none);
	for (uint32_t i = 0; i < s->assignment_cnt; i++) {
		m = sl_gmember_find(g, s->assignment[i].member_id);
		if (m && !sl_gmember_assign(m, s->assignment[i].bytes))
			return false;
	}
	return true;
}

static void park_sync(struct sl_gmember *m, struct sl_gsync *s)
{
	struct sl_gsync *old = sl_gmember_unpark_sync(m);
	if (old)
		sl_gsync_fail(old, SL_KERR_REBALANCE_IN_PROGRESS);
	m->sync = s;
	s->member = m;
	m->synced = true;
	sl_gmember_renew(m);
}

static void sync_completing(struct sl_gmember *m, struct sl_gsync *s)
{
	struct sl_group *g = m->group;

	park_sync(m, s);
	if (m != g->leader || g->sync_ticket)
		return;
	if (!take_assignments(g, s)) {
		sl_group_reset_assignments(g, SL_KERR_UNKNOWN_SERVER_ERROR);
		sl_group_rebalance(g);
		return;
	}
	g->sync_ticket = ++g->tickets;
	g->env->store(g->env->arg, g, g->sync_ticket);
}

static bool all_synced(const struct sl_group *g)
{
	const struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		if (!m->synced)
			return false;
	return true;
}

static void stop_sync_timer(struct sl_group *g)
{
	if (g->state == SL_GROUP_STABLE && all_synced(g))
		sl_timer_cancel(g->env->timers, &g->sync_timer);
}

void sl_group_sync(struct sl_group *g, struct sl_gsync *s)
{
	struct sl_gmember *m;
	int16_t err = sl_group_validate(g, s->member_id, s->instance, &m);

	s->member = NULL;
	if (!err && s->generation != g->generation)
		err = SL_KERR_ILLEGAL_GENERATION;
	if (!err && !is_consistent(g, s))
		err = SL_KERR_INCONSISTENT_GROUP_PROTOCOL;
	if (!err && g->state == SL_GROUP_PREPARING)
		err = SL_KERR_REBALANCE_IN_PROGRESS;
	if (err) {
		sl_gsync_fail(s, err);
	} else if (g->state == SL_GROUP_COMPLETING) {
		sync_completing(m, s);
	} else {
		SL_ASSERT(g->state == SL_GROUP_STABLE);
		m->synced = true;
		sl_gmember_renew(m);
		sl_gsync_tell(m, s);
		stop_sync_timer(g);
	}
}

void sl_group_sync_cancel(struct sl_gsync *s)
{
	struct sl_gmember *m = s->member;
	sl_gmember_unpark_sync(m);
	sl_gmember_renew(m);
}

/* The record with the assignments has been stored, or not. */
static void sync_stored(struct sl_group *g, int16_t err)
{
	struct sl_gmember *m;

	g->sync_ticket = 0;
	if (err) {
		sl_group_reset_assignments(g, err);
		sl_group_rebalance(g);
		return;
	}
	sl_group_set_state(g, SL_GROUP_STABLE);
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link)) {
		struct sl_gsync *s = sl_gmember_unpark_sync(m);
		if (s) {
			sl_gmember_renew(m);
			sl_gsync_tell(m, s);
		}
	}
	stop_sync_timer(g);
}

/*
 * A static member's new id has been stored: it goes on in the same generation. Before version 9 a
 * leader cannot be told to skip the assignment: it is told that another one leads.
 */
static void replaced_stored(struct sl_gmember *m, int16_t err)
{
	struct sl_group *g = m->group;
	bool leads = m == g->leader;

	m->join_ticket = 0;
	if (!err && g->state != SL_GROUP_STABLE)
		return; /* a rebalance has begun meanwhile: its barrier answers */
	struct sl_gjoin *j = sl_gmember_unpark_join(m);
	m->is_new = false;
	sl_gmember_renew(m);
	if (err)
		sl_gjoin_fail(j, err, m->id);
	else if (!leads || j->may_skip)
		sl_gjoin_tell(m, j, leads, leads);
	else {
		struct sl_gjoined res = {.generation = g->generation,
					 .protocol_type = g->protocol_type,
					 .protocol = g->protocol,
					 .leader = m->instance,
					 .member_id = m->id};
		j->done(j, &res);
	}
}

void sl_group_stored(struct sl_group *g, uint64_t ticket, int16_t err)
{
	struct sl_gmember *m;

	if (g->state == SL_GROUP_COMPLETING && g->sync_ticket == ticket) {
		sync_stored(g, err);
		return;
	}
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link)) {
		if (m->join && m->join_ticket == ticket) {
			replaced_stored(m, err);
			return;
		}
	}
}

int16_t sl_group_heartbeat(struct sl_group *g, struct sl_slice member_id, struct sl_slice instance,
			   int32_t generation)
{
	struct sl_gmember *m;
	int16_t err = sl_group_validate(g, member_id, instance, &m);

	if (err)
		return err;
	if (generation != g->generation)
		return SL_KERR_ILLEGAL_GENERATION;
	sl_gmember_renew(m);
	return g->state == SL_GROUP_PREPARING ? SL_KERR_REBALANCE_IN_PROGRESS : 0;
}

int16_t sl_group_leave(struct sl_group *g, struct sl_slice member_id, struct sl_slice instance)
{
	struct sl_gpending *p = sl_gpending_find(g, member_id);
	struct sl_gmember *m;
	int16_t err;

	if (p && instance.p)
		return SL_KERR_UNKNOWN_MEMBER_ID;
	if (p) {
		sl_gpending_free(p);
		return 0;
	}
	if (instance.p && member_id.len == 0) {
		m = sl_gmember_find_instance(g, instance);
		err = m ? 0 : SL_KERR_UNKNOWN_MEMBER_ID;
	} else {
		err = sl_group_validate(g, member_id, instance, &m);
	}
	if (!err)
		sl_gmember_remove(m, SL_KERR_UNKNOWN_MEMBER_ID);
	return err;
}

void sl_group_left(struct sl_group *g)
{
	sl_group_after_removal(g);
	if (sl_group_is_vacant(g))
		g->env->emptied(g->env->arg, g);
}

int16_t sl_group_may_commit(struct sl_group *g, struct sl_slice member_id, struct sl_slice instance,
			    int32_t generation)
{
	struct sl_gmember *m;
	int16_t err;

	if (generation < 0 && g->state == SL_GROUP_EMPTY)
		return 0; /* an administrator, or a consumer that assigns by itself */
	if (generation < 0 && member_id.len == 0 && !instance.p)
		return SL_KERR_UNKNOWN_MEMBER_ID;
	err = sl_group_validate(g, member_id, instance, &m);
	if (err)
		return err;
	if (generation != g->generation)
		return SL_KERR_ILLEGAL_GENERATION;
	if (g->state == SL_GROUP_COMPLETING)
		return SL_KERR_REBALANCE_IN_PROGRESS;
	sl_gmember_renew(m);
	return 0;
}
