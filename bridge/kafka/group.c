/* SPDX-License-Identifier: Apache-2.0 */
/* group.c - the states of a group: the barrier, and what comes of time. */
#include "group.h"

#include <stdlib.h>

#include "group_priv.h"

const char *sl_group_state_name(enum sl_group_state st)
{
	static const char *const name[] = {"Empty", "PreparingRebalance", "CompletingRebalance",
					   "Stable", "Dead"};
	return name[st];
}

void sl_group_set_state(struct sl_group *g, enum sl_group_state st)
{
	g->state = st;
	g->state_ms = g->env->wall_ms(g->env->arg);
}

uint64_t sl_group_after_ms(const struct sl_group *g, int64_t ms)
{
	return g->env->mono_ns(g->env->arg) + (uint64_t)SL_MAX(ms, 0) * SL_GROUP_MS;
}

static int32_t rebalance_ms_max(const struct sl_group *g)
{
	const struct sl_gmember *m;
	int32_t ms = 0;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		ms = SL_MAX(ms, m->rebalance_ms);
	return ms;
}

/* ---- members come and go --------------------------------------------------------------------- */

static void member_expired(void *arg);

void sl_gmember_link(struct sl_group *g, struct sl_gmember *m)
{
	m->timer.fn = member_expired;
	m->timer.arg = m;
	TAILQ_INSERT_TAIL(&g->members, m, link);
	g->member_cnt++;
	g->env->members++;
	if (!g->leader)
		g->leader = m;
}

void sl_gmember_remove(struct sl_gmember *m, int16_t err)
{
	struct sl_group *g = m->group;

	sl_gmember_fail_parked(m, err);
	TAILQ_REMOVE(&g->members, m, link);
	g->left = true;
	g->member_cnt--;
	g->env->members--;
	if (g->leader == m)
		g->leader = TAILQ_FIRST(&g->members);
	sl_gmember_free(m);
}

void sl_gpending_free(struct sl_gpending *p)
{
	struct sl_group *g = p->group;
	struct sl_group_env *env = g->env;

	sl_timer_cancel(env->timers, &p->timer);
	TAILQ_REMOVE(&g->pending, p, link);
	g->pending_cnt--;
	g->held_cnt -= p->held;
	sl_gbytes_free(env, &p->id);
	free(p);
}

/* ---- the barrier ----------------------------------------------------------------------------- */

static void complete_join(struct sl_group *g);

static void join_time_up(void *arg)
{
	struct sl_group *g = arg;

	if (g->initial && g->joined_since && g->initial_left_ms > 0) {
		uint32_t ms = SL_MIN(g->env->initial_delay_ms, g->initial_left_ms);
		g->initial_left_ms -= ms;
		g->joined_since = false;
		sl_timer_set(g->env->timers, &g->join_timer, sl_group_after_ms(g, ms));
		return;
	}
	complete_join(g);
}

static void set_join_timer(struct sl_group *g, int64_t ms)
{
	g->join_timer.fn = join_time_up;
	g->join_timer.arg = g;
	sl_timer_set(g->env->timers, &g->join_timer, sl_group_after_ms(g, ms));
}

void sl_group_maybe_complete(struct sl_group *g)
{
	if (g->state == SL_GROUP_PREPARING && !g->initial && g->awaiting == g->member_cnt &&
	    g->held_cnt == 0)
		complete_join(g);
}

/* Assignments that have not been given out are void. */
void sl_group_reset_assignments(struct sl_group *g, int16_t err)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link)) {
		struct sl_gsync *s = sl_gmember_unpark_sync(m);
		sl_gmember_assign(m, (struct sl_slice){NULL, 0});
		if (s) {
			sl_gsync_fail(s, err);
			sl_gmember_renew(m);
		}
	}
	g->sync_ticket = 0;
}

void sl_group_rebalance(struct sl_group *g)
{
	g->left = false;
	if (g->state == SL_GROUP_COMPLETING)
		sl_group_reset_assignments(g, SL_KERR_REBALANCE_IN_PROGRESS);
	sl_timer_cancel(g->env->timers, &g->sync_timer);
	g->initial = g->state == SL_GROUP_EMPTY;
	sl_group_set_state(g, SL_GROUP_PREPARING);
	g->env->rebalances++;
	if (!g->initial) {
		set_join_timer(g, rebalance_ms_max(g));
		sl_group_maybe_complete(g);
		return;
	}
	uint32_t delay = g->env->initial_delay_ms;
	int32_t whole = rebalance_ms_max(g);
	g->initial_left_ms = whole > 0 && (uint32_t)whole > delay ? (uint32_t)whole - delay : 0;
	g->joined_since = false;
	if (delay)
		set_join_timer(g, delay);
	else
		complete_join(g);
}

void sl_group_rebalance_or_complete(struct sl_group *g)
{
	if (g->state == SL_GROUP_PREPARING)
		sl_group_maybe_complete(g);
	else
		sl_group_rebalance(g);
}

/* The leader must be one that is there. False: there are members, and none has joined. */
static bool elect_leader(struct sl_group *g)
{
	struct sl_gmember *m;
	if (g->leader && g->leader->join)
		return true;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link)) {
		if (m->join) {
			g->leader = m;
			return true;
		}
	}
	return g->member_cnt == 0;
}

static void remove_absent(struct sl_group *g)
{
	struct sl_gmember *m, *next;
	for (m = TAILQ_FIRST(&g->members); m; m = next) {
		next = TAILQ_NEXT(m, link);
		if (!m->join && !m->instance.p)
			sl_gmember_remove(m, SL_KERR_UNKNOWN_MEMBER_ID);
	}
}

static void sync_time_up(void *arg)
{
	struct sl_group *g = arg;
	struct sl_gmember *m, *next;
	bool any = false;

	for (m = TAILQ_FIRST(&g->members); m; m = next) {
		next = TAILQ_NEXT(m, link);
		if (!m->synced) {
			sl_gmember_remove(m, SL_KERR_UNKNOWN_MEMBER_ID);
			any = true;
		}
	}
	if (any)
		sl_group_rebalance(g);
}

static void become_empty(struct sl_group *g)
{
	sl_gbytes_free(g->env, &g->protocol);
	sl_group_set_state(g, SL_GROUP_EMPTY);
	g->env->store(g->env->arg, g, ++g->tickets);
	g->env->emptied(g->env->arg, g);
}

/* Everybody is told of the new generation. */
static void tell_generation(struct sl_group *g)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link)) {
		struct sl_gjoin *j = sl_gmember_unpark_join(m);
		m->synced = false;
		if (j) {
			m->is_new = false;
			sl_gjoin_tell(m, j, false, m == g->leader);
		}
		sl_gmember_renew(m);
	}
}

/* After the last one the count begins anew: negative ones mean none to clients. */
static int32_t next_generation(const struct sl_group *g)
{
	return g->generation < INT32_MAX ? g->generation + 1 : 1;
}

static void complete_join(struct sl_group *g)
{
	int32_t before = g->generation;
	struct sl_slice selected;

	sl_timer_cancel(g->env->timers, &g->join_timer);
	g->initial = false;
	remove_absent(g);
	if (!elect_leader(g)) { /* static members, none has come back: their sessions decide */
		set_join_timer(g, rebalance_ms_max(g));
		return;
	}
	g->generation = next_generation(g);
	if (g->member_cnt == 0) {
		become_empty(g);
		return;
	}
	if (!sl_gbytes_dup(g->env, sl_group_select_protocol(g), &selected)) {
		g->generation = before;
		sl_group_give_up(g, SL_KERR_GROUP_MAX_SIZE_REACHED);
		set_join_timer(g, rebalance_ms_max(g));
		return;
	}
	sl_gbytes_free(g->env, &g->protocol);
	g->protocol = selected;
	sl_group_set_state(g, SL_GROUP_COMPLETING);
	tell_generation(g);
	g->sync_timer.fn = sync_time_up;
	g->sync_timer.arg = g;
	sl_timer_set(g->env->timers, &g->sync_timer, sl_group_after_ms(g, rebalance_ms_max(g)));
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* A member has gone: the others share anew. */
void sl_group_after_removal(struct sl_group *g)
{
	bool left = g->left;
	g->left = false;
	if (!left || g->state == SL_GROUP_PREPARING)
		sl_group_maybe_complete(g);
	else if (g->state == SL_GROUP_STABLE || g->state == SL_GROUP_COMPLETING)
		sl_group_rebalance(g);
}

static void member_expired(void *arg)
{
	struct sl_gmember *m = arg;
	struct sl_group *g = m->group;

	sl_gmember_remove(m, SL_KERR_UNKNOWN_MEMBER_ID);
	sl_group_after_removal(g);
}

void sl_gpending_due(void *arg)
{
	struct sl_gpending *p = arg;
	struct sl_group *g = p->group;

	if (p->held && p->session_ms > SL_GROUP_PENDING_HOLD_MS) {
		p->held = false;
		g->held_cnt--;
		sl_timer_set(g->env->timers, &p->timer,
			     sl_group_after_ms(g, p->session_ms - SL_GROUP_PENDING_HOLD_MS));
	} else {
		sl_gpending_free(p);
	}
	sl_group_maybe_complete(g);
	if (sl_group_is_vacant(g))
		g->env->emptied(g->env->arg, g);
}

/* ---- life ------------------------------------------------------------------------------------ */

void sl_group_init(struct sl_group *g, struct sl_group_env *env)
{
	memset(g, 0, sizeof(*g));
	g->env = env;
	g->state_ms = env->wall_ms(env->arg);
	TAILQ_INIT(&g->members);
	TAILQ_INIT(&g->pending);
}

void sl_group_fini(struct sl_group *g)
{
	struct sl_gmember *m;
	struct sl_gpending *p;

	if (!g->env)
		return;
	sl_timer_cancel(g->env->timers, &g->join_timer);
	sl_timer_cancel(g->env->timers, &g->sync_timer);
	while ((p = TAILQ_FIRST(&g->pending)))
		sl_gpending_free(p);
	while ((m = TAILQ_FIRST(&g->members))) {
		TAILQ_REMOVE(&g->members, m, link);
		g->env->members--;
		sl_gmember_free(m);
	}
	sl_gbytes_free(g->env, &g->protocol_type);
	sl_gbytes_free(g->env, &g->protocol);
	memset(g, 0, sizeof(*g));
}
