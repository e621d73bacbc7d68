/* SPDX-License-Identifier: Apache-2.0 */
/* group_join.c - members come, and come back. */
#include <stdio.h>
#include <stdlib.h>

#include "group_priv.h"

static const struct sl_slice empty = {(const uint8_t *)"", 0};

/* "<prefix>-<uuid>", the prefix being the instance id or the client id, as Kafka makes them. */
static bool make_member_id(struct sl_group *g, const struct sl_gjoin *j, struct sl_slice *ret_id)
{
	struct sl_slice prefix = j->instance.p ? j->instance : j->client_id;
	uint8_t r[SL_GROUP_ID_BYTES];
	char uuid[38];

	g->env->random(g->env->arg, r);
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* version 4, variant 1: RFC 4122 */
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	snprintf(uuid, sizeof(uuid),
		 "-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
		 r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
		 r[14], r[15]);
	/* what comes back must be a string of the protocol */
	uint32_t n = SL_MIN(prefix.len, INT16_MAX - 37u);
	uint8_t *p = malloc(n + 37);
	if (!p)
		return false;
	if (n)
		memcpy(p, prefix.p, n);
	memcpy(p + n, uuid, 37);
	*ret_id = (struct sl_slice){p, n + 37};
	return true;
}

static void refuse(struct sl_group *g, struct sl_gjoin *j)
{
	g->env->refused++;
	sl_gjoin_fail(j, SL_KERR_GROUP_MAX_SIZE_REACHED, empty);
}

static void join_added(struct sl_group *g, struct sl_gjoin *j, struct sl_slice id)
{
	struct sl_slice type;
	struct sl_gmember *m = sl_gmember_new(g, id, j);
	if (!m) {
		sl_gjoin_fail(j, SL_KERR_GROUP_MAX_SIZE_REACHED, empty);
		return;
	}
	if (g->member_cnt == 0 && !sl_slice_eq(g->protocol_type, j->protocol_type)) {
		if (!sl_gbytes_dup(g->env, j->protocol_type, &type)) {
			sl_gmember_free(m);
			sl_gjoin_fail(j, SL_KERR_GROUP_MAX_SIZE_REACHED, empty);
			return;
		}
		sl_gbytes_free(g->env, &g->protocol_type);
		g->protocol_type = type;
	}
	m->is_new = true;
	sl_gmember_link(g, m);
	g->joined_since = true;
	sl_gmember_park_join(m, j);
	sl_group_rebalance_or_complete(g);
}

static void join_promised(struct sl_group *g, struct sl_gjoin *j, struct sl_slice id)
{
	struct sl_gpending *p = NULL;

	if (g->pending_cnt < g->env->max_members)
		p = calloc(1, sizeof(*p));
	if (!p) {
		refuse(g, j);
		return;
	}
	if (!sl_gbytes_dup(g->env, id, &p->id)) {
		free(p);
		sl_gjoin_fail(j, SL_KERR_GROUP_MAX_SIZE_REACHED, empty);
		return;
	}
	p->group = g;
	p->session_ms = j->session_ms;
	p->held = true;
	p->timer.fn = sl_gpending_due;
	p->timer.arg = p;
	TAILQ_INSERT_TAIL(&g->pending, p, link);
	g->pending_cnt++;
	g->held_cnt++;
	sl_timer_set(g->env->timers, &p->timer,
		     sl_group_after_ms(g, SL_MIN(p->session_ms, SL_GROUP_PENDING_HOLD_MS)));
	sl_gjoin_fail(j, SL_KERR_MEMBER_ID_REQUIRED, p->id);
}

/* A static member is back under a new id: the old one is fenced, and nobody else need know. */
static void join_replaces(struct sl_group *g, struct sl_gmember *m, struct sl_gjoin *j,
			  struct sl_slice id)
{
	sl_gmember_fail_parked(m, SL_KERR_FENCED_INSTANCE_ID);
	if (!sl_gmember_update(m, j) || !sl_gmember_set_id(m, id)) {
		sl_gjoin_fail(j, SL_KERR_GROUP_MAX_SIZE_REACHED, empty);
		return;
	}
	m->is_new = true;
	sl_gmember_park_join(m, j);
	if (g->state == SL_GROUP_STABLE && sl_slice_eq(g->protocol, sl_group_select_protocol(g))) {
		m->join_ticket = ++g->tickets;
		g->env->store(g->env->arg, g, m->join_ticket);
		return;
	}
	sl_group_rebalance_or_complete(g);
}

static void join_new(struct sl_group *g, struct sl_gjoin *j)
{
	struct sl_gmember *m = j->instance.p ? sl_gmember_find_instance(g, j->instance) : NULL;
	struct sl_slice id;

	if (!sl_group_supports(g, j)) {
		sl_gjoin_fail(j, SL_KERR_INCONSISTENT_GROUP_PROTOCOL, empty);
		return;
	}
	if (!make_member_id(g, j, &id)) {
		refuse(g, j);
		return;
	}
	if (m)
		join_replaces(g, m, j, id);
	else if (!j->instance.p && j->must_know_id)
		join_promised(g, j, id);
	else
		join_added(g, j, id);
	free((void *)(uintptr_t)id.p);
}

static void rejoin(struct sl_gmember *m, struct sl_gjoin *j)
{
	struct sl_group *g = m->group;

	if (!sl_gmember_update(m, j)) {
		sl_gjoin_fail(j, SL_KERR_GROUP_MAX_SIZE_REACHED, m->id);
		return;
	}
	sl_gmember_park_join(m, j);
	sl_group_rebalance_or_complete(g);
}

static void join_known(struct sl_group *g, struct sl_gjoin *j)
{
	struct sl_gpending *p = sl_gpending_find(g, j->member_id);
	struct sl_gmember *m;
	int16_t err;

	if (!sl_group_supports(g, j)) {
		sl_gjoin_fail(j, SL_KERR_INCONSISTENT_GROUP_PROTOCOL, j->member_id);
		return;
	}
	if (p && !j->instance.p) {
		sl_gpending_free(p);
		join_added(g, j, j->member_id);
		return;
	}
	err = sl_group_validate(g, j->member_id, j->instance, &m);
	if (err) {
		sl_gjoin_fail(j, err, j->member_id);
		return;
	}
	/* the answer to an earlier join was lost, or a follower asks in vain: as it is now */
	bool same = sl_gmember_matches(m, j);
	if (same &&
	    (g->state == SL_GROUP_COMPLETING || (g->state == SL_GROUP_STABLE && m != g->leader))) {
		j->member = NULL;
		sl_gjoin_tell(m, j, false, g->state == SL_GROUP_COMPLETING && m == g->leader);
		sl_gmember_renew(m);
		return;
	}
	rejoin(m, j);
}

/* group.max.size, counted as Kafka does: while a barrier is up, by those who stand before it. */
static bool has_place(const struct sl_group *g, const struct sl_gjoin *j)
{
	const struct sl_gmember *m = NULL;

	if (g->state == SL_GROUP_EMPTY)
		return true;
	if (j->member_id.len)
		m = sl_gmember_find(g, j->member_id);
	else if (j->instance.p) /* it takes its predecessor's */
		m = sl_gmember_find_instance(g, j->instance);
	if (g->state == SL_GROUP_PREPARING)
		return (m && m->join) || g->awaiting < g->env->max_members;
	return m || g->member_cnt < g->env->max_members;
}

void sl_group_join(struct sl_group *g, struct sl_gjoin *j)
{
	struct sl_group_env *env = g->env;

	j->member = NULL;
	if (j->session_ms < 0 || (uint32_t)j->session_ms < env->min_session_ms ||
	    (uint32_t)j->session_ms > env->max_session_ms) {
		sl_gjoin_fail(j, SL_KERR_INVALID_SESSION_TIMEOUT, j->member_id);
	} else if (j->protocol_cnt > SL_GROUP_PROTOCOLS_MAX) {
		env->refused++;
		sl_gjoin_fail(j, SL_KERR_INCONSISTENT_GROUP_PROTOCOL, j->member_id);
	} else if (!has_place(g, j)) {
		struct sl_gmember *m = sl_gmember_find(g, j->member_id);
		refuse(g, j);
		if (m) { /* it does not come back */
			sl_gmember_remove(m, SL_KERR_UNKNOWN_MEMBER_ID);
			sl_group_after_removal(g);
		}
	} else if (j->member_id.len == 0) {
		join_new(g, j);
	} else {
		join_known(g, j);
	}
	if (sl_group_is_vacant(g))
		env->emptied(env->arg, g);
}

void sl_group_join_cancel(struct sl_gjoin *j)
{
	struct sl_gmember *m = j->member;
	struct sl_group *g = m->group;

	sl_gmember_unpark_join(m);
	/* nobody knows the id of one that was to learn it by this answer */
	if (m->is_new && !m->instance.p && !j->must_know_id) {
		sl_gmember_remove(m, SL_KERR_UNKNOWN_MEMBER_ID);
		sl_group_after_removal(g);
		return;
	}
	sl_gmember_renew(m);
}
