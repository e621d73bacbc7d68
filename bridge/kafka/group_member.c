/* SPDX-License-Identifier: Apache-2.0 */
/* group_member.c - what a group knows of its members: identities, protocols, assignments. */
#include <errno.h>
#include <stdlib.h>

#include "codec.h"
#include "group_priv.h"

/* ---- memory that is counted ------------------------------------------------------------------ */

static bool charge(struct sl_group_env *env, size_t bytes)
{
	if (env->bytes + bytes > env->bytes_max) {
		env->refused++;
		return false;
	}
	env->bytes += bytes;
	return true;
}

bool sl_gbytes_dup(struct sl_group_env *env, struct sl_slice s, struct sl_slice *ret_copy)
{
	if (!s.p) {
		*ret_copy = (struct sl_slice){NULL, 0};
		return true;
	}
	if (!charge(env, s.len))
		return false;
	uint8_t *p = malloc(s.len ? s.len : 1);
	if (!p) {
		env->bytes -= s.len;
		return false;
	}
	if (s.len)
		memcpy(p, s.p, s.len);
	*ret_copy = (struct sl_slice){p, s.len};
	return true;
}

void sl_gbytes_free(struct sl_group_env *env, struct sl_slice *s)
{
	if (!s->p)
		return;
	env->bytes -= s->len;
	free((void *)(uintptr_t)s->p);
	*s = (struct sl_slice){NULL, 0};
}

/* ---- protocols ------------------------------------------------------------------------------- */

static size_t protocols_bytes(const struct sl_gjoin *j)
{
	size_t n = j->protocol_cnt * sizeof(*j->protocol);
	for (uint32_t i = 0; i < j->protocol_cnt; i++)
		n += j->protocol[i].name.len + j->protocol[i].metadata.len;
	return n;
}

static struct sl_slice put(uint8_t **at, struct sl_slice s)
{
	struct sl_slice copy = {*at, s.len};
	if (s.len)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

/* The list and the bytes that it points at in one piece. */
static struct sl_gprotocol *protocols_dup(const struct sl_gjoin *j, size_t bytes)
{
	struct sl_gprotocol *to = malloc(bytes ? bytes : 1);
	if (!to)
		return NULL;
	uint8_t *at = (uint8_t *)(to + j->protocol_cnt);
	for (uint32_t i = 0; i < j->protocol_cnt; i++) {
		to[i].name = put(&at, j->protocol[i].name);
		to[i].metadata = put(&at, j->protocol[i].metadata);
	}
	return to;
}

bool sl_gmember_update(struct sl_gmember *m, const struct sl_gjoin *j)
{
	struct sl_group_env *env = m->group->env;
	size_t bytes = protocols_bytes(j);

	if (bytes > SL_GROUP_MEMBER_BYTES_MAX) {
		env->refused++;
		return false;
	}
	if (!charge(env, bytes))
		return false;
	struct sl_gprotocol *p = protocols_dup(j, bytes);
	if (!p) {
		env->bytes -= bytes;
		return false;
	}
	env->bytes -= m->protocol_bytes;
	free(m->protocol);
	m->protocol = p;
	m->protocol_cnt = j->protocol_cnt;
	m->protocol_bytes = bytes;
	m->session_ms = j->session_ms;
	m->rebalance_ms = j->rebalance_ms;
	return true;
}

bool sl_gmember_matches(const struct sl_gmember *m, const struct sl_gjoin *j)
{
	if (m->protocol_cnt != j->protocol_cnt)
		return false;
	for (uint32_t i = 0; i < m->protocol_cnt; i++)
		if (!sl_slice_eq(m->protocol[i].name, j->protocol[i].name) ||
		    !sl_slice_eq(m->protocol[i].metadata, j->protocol[i].metadata))
			return false;
	return true;
}

static const struct sl_gprotocol *knows(const struct sl_gmember *m, struct sl_slice name)
{
	for (uint32_t i = 0; i < m->protocol_cnt; i++)
		if (sl_slice_eq(m->protocol[i].name, name))
			return &m->protocol[i];
	return NULL;
}

static bool all_know(const struct sl_group *g, struct sl_slice name)
{
	const struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		if (!knows(m, name))
			return false;
	return true;
}

bool sl_group_supports(const struct sl_group *g, const struct sl_gjoin *j)
{
	if (j->protocol_cnt == 0 || j->protocol_type.len == 0)
		return false;
	if (g->member_cnt == 0)
		return true;
	if (!sl_slice_eq(g->protocol_type, j->protocol_type))
		return false;
	for (uint32_t i = 0; i < j->protocol_cnt; i++)
		if (all_know(g, j->protocol[i].name))
			return true;
	return false;
}

/* The member's vote among the ballot's names: the first of its own that is a candidate; or cnt. */
static uint32_t vote(const struct sl_gmember *m, const struct sl_gmember *ballot,
		     const bool *candidate)
{
	for (uint32_t k = 0; k < m->protocol_cnt; k++)
		for (uint32_t i = 0; i < ballot->protocol_cnt; i++)
			if (candidate[i] &&
			    sl_slice_eq(ballot->protocol[i].name, m->protocol[k].name))
				return i;
	return ballot->protocol_cnt;
}

/* A candidate is known to all, so to the first member, too: its list is the ballot. */
struct sl_slice sl_group_select_protocol(const struct sl_group *g)
{
	const struct sl_gmember *first = TAILQ_FIRST(&g->members), *m;
	uint32_t votes[SL_GROUP_PROTOCOLS_MAX + 1] = {0}, best = 0;
	bool candidate[SL_GROUP_PROTOCOLS_MAX];

	if (!first)
		return (struct sl_slice){NULL, 0};
	SL_ASSERT(first->protocol_cnt > 0 && first->protocol_cnt <= SL_GROUP_PROTOCOLS_MAX);
	for (uint32_t i = 0; i < first->protocol_cnt; i++)
		candidate[i] = all_know(g, first->protocol[i].name);
	for (m = first; m; m = TAILQ_NEXT(m, link))
		votes[vote(m, first, candidate)]++;
	for (uint32_t i = 1; i < first->protocol_cnt; i++)
		if (votes[i] > votes[best])
			best = i;
	return first->protocol[best].name;
}

struct sl_slice sl_gmember_metadata(const struct sl_gmember *m, struct sl_slice protocol)
{
	const struct sl_gprotocol *p = knows(m, protocol);
	return p ? p->metadata : (struct sl_slice){(const uint8_t *)"", 0};
}

/* ---- members --------------------------------------------------------------------------------- */

struct sl_gmember *sl_gmember_find(const struct sl_group *g, struct sl_slice id)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		if (sl_slice_eq(m->id, id))
			return m;
	return NULL;
}

struct sl_gmember *sl_gmember_find_instance(const struct sl_group *g, struct sl_slice instance)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		if (m->instance.p && sl_slice_eq(m->instance, instance))
			return m;
	return NULL;
}

struct sl_gpending *sl_gpending_find(const struct sl_group *g, struct sl_slice id)
{
	struct sl_gpending *p;
	for (p = TAILQ_FIRST(&g->pending); p; p = TAILQ_NEXT(p, link))
		if (sl_slice_eq(p->id, id))
			return p;
	return NULL;
}

struct sl_gmember *sl_gmember_new(struct sl_group *g, struct sl_slice id, const struct sl_gjoin *j)
{
	struct sl_group_env *env = g->env;

	if (!charge(env, sizeof(struct sl_gmember)))
		return NULL;
	struct sl_gmember *m = calloc(1, sizeof(*m));
	if (!m) {
		env->bytes -= sizeof(*m);
		return NULL;
	}
	m->group = g;
	if (!sl_gbytes_dup(env, id, &m->id) || !sl_gbytes_dup(env, j->instance, &m->instance) ||
	    !sl_gbytes_dup(env, j->client_id, &m->client_id) ||
	    !sl_gbytes_dup(env, j->client_host, &m->client_host) || !sl_gmember_update(m, j)) {
		sl_gmember_free(m);
		return NULL;
	}
	return m;
}

bool sl_gmember_set_id(struct sl_gmember *m, struct sl_slice id)
{
	struct sl_slice copy;
	if (!sl_gbytes_dup(m->group->env, id, &copy))
		return false;
	sl_gbytes_free(m->group->env, &m->id);
	m->id = copy;
	return true;
}

bool sl_gmember_assign(struct sl_gmember *m, struct sl_slice bytes)
{
	struct sl_group_env *env = m->group->env;
	struct sl_slice old = {m->assignment, m->assignment_len}, copy = {NULL, 0};

	if (bytes.len && !sl_gbytes_dup(env, bytes, &copy))
		return false;
	sl_gbytes_free(env, &old);
	m->assignment = (uint8_t *)(uintptr_t)copy.p;
	m->assignment_len = copy.len;
	return true;
}

void sl_gmember_free(struct sl_gmember *m)
{
	struct sl_group_env *env = m->group->env;

	SL_ASSERT(!m->join && !m->sync);
	sl_timer_cancel(env->timers, &m->timer);
	sl_gmember_assign(m, (struct sl_slice){NULL, 0});
	env->bytes -= m->protocol_bytes + sizeof(*m);
	free(m->protocol);
	sl_gbytes_free(env, &m->id);
	sl_gbytes_free(env, &m->instance);
	sl_gbytes_free(env, &m->client_id);
	sl_gbytes_free(env, &m->client_host);
	free(m);
}

/* ---- reading back ---------------------------------------------------------------------------- */

int sl_group_seed(struct sl_group *g, const struct sl_group_seed *seed)
{
	g->generation = seed->generation;
	g->state_ms = seed->state_ms;
	if (!sl_gbytes_dup(g->env, seed->protocol_type, &g->protocol_type) ||
	    !sl_gbytes_dup(g->env, seed->protocol, &g->protocol))
		return -ENOMEM;
	return 0;
}

int sl_group_seed_member(struct sl_group *g, const struct sl_gmember_seed *seed,
			 struct sl_slice leader)
{
	struct sl_gprotocol p = {g->protocol.p ? g->protocol
					       : (struct sl_slice){(const uint8_t *)"", 0},
				 seed->metadata};
	struct sl_gjoin j = {.instance = seed->instance,
			     .client_id = seed->client_id,
			     .client_host = seed->client_host,
			     .protocol = &p,
			     .protocol_cnt = 1,
			     .session_ms = seed->session_ms,
			     .rebalance_ms = seed->rebalance_ms};
	struct sl_gmember *m = sl_gmember_new(g, seed->id, &j);

	if (!m)
		return -ENOMEM;
	if (!sl_gmember_assign(m, seed->assignment)) {
		sl_gmember_free(m);
		return -ENOMEM;
	}
	m->synced = true;
	sl_gmember_link(g, m);
	if (leader.p && sl_slice_eq(leader, m->id))
		g->leader = m;
	return 0;
}

void sl_group_seed_end(struct sl_group *g)
{
	struct sl_gmember *m;
	for (m = TAILQ_FIRST(&g->members); m; m = TAILQ_NEXT(m, link))
		sl_gmember_renew(m);
	g->state = g->member_cnt ? SL_GROUP_STABLE : SL_GROUP_EMPTY;
}
