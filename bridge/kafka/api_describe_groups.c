/* SPDX-License-Identifier: Apache-2.0 */
/* api_describe_groups.c - DescribeGroups (key 15), versions 0 to 5. */
#include <errno.h>

#include "errors.h"
#include "groups.h"

#define AUTHORIZED_OPERATIONS_UNKNOWN INT32_MIN

static const struct sl_slice empty = {(const uint8_t *)"", 0};

static struct sl_slice or_empty(struct sl_slice s)
{
	return s.p ? s : empty;
}

static void put_bytes(struct sl_kw *w, struct sl_slice s)
{
	sl_kw_bytes_len(w, s.len);
	sl_kw_raw(w, s.p, s.len);
}

/* Only a stable group says what its members have: in others it is about to change. */
static void put_member(struct sl_kreq *r, const struct sl_group *g, const struct sl_gmember *m)
{
	struct sl_kw *w = &r->out.w;
	struct sl_slice assignment = {m->assignment, m->assignment_len};
	bool stable = g->state == SL_GROUP_STABLE;

	sl_kw_str(w, m->id);
	if (r->version >= 4)
		sl_kw_str(w, m->instance);
	sl_kw_str(w, or_empty(m->client_id));
	sl_kw_str(w, or_empty(m->client_host));
	put_bytes(w, stable ? sl_gmember_metadata(m, g->protocol) : empty);
	put_bytes(w, stable ? assignment : empty);
	sl_kw_tags(w);
}

static void put_group(struct sl_kreq *r, struct sl_slice id)
{
	struct sl_kw *w = &r->out.w;
	const struct sl_kgroup *kg = sl_kgroups_known(r->server->groups, id);
	const struct sl_group *g = kg ? &kg->g : NULL;
	const struct sl_gmember *m;

	sl_kw_i16(w, 0); /* an unknown group is a dead one: no error before version 6 */
	sl_kw_str(w, id);
	sl_kw_cstr(w, sl_group_state_name(g ? g->state : SL_GROUP_DEAD));
	sl_kw_str(w, g ? or_empty(g->protocol_type) : empty);
	sl_kw_str(w, g && g->state == SL_GROUP_STABLE ? or_empty(g->protocol) : empty);
	sl_kw_array(w, g ? g->member_cnt : 0);
	if (g)
		TAILQ_FOREACH(m, &g->members, link)
	put_member(r, g, m);
	if (r->version >= 3)
		sl_kw_i32(w, AUTHORIZED_OPERATIONS_UNKNOWN);
	sl_kw_tags(w);
}

int sl_kapi_describe_groups(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in, names = *in;
	struct sl_kw *w = &r->out.w;
	uint32_t n = sl_kr_array(in, in->flex ? 1 : 2);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < n && !in->rd.bad; i++)
		sl_kr_str(in);
	if (r->version >= 3)
		sl_kr_bool(in); /* authorized operations wanted */
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	sl_kreq_begin(r);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kr_array(&names, 1);
	sl_kw_array(w, n);
	for (uint32_t i = 0; i < n && !w->bad; i++)
		put_group(r, sl_kr_str(&names));
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
