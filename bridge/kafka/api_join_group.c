/* SPDX-License-Identifier: Apache-2.0 */
/* api_join_group.c - JoinGroup (key 11), versions 0 to 9. It waits for the group's barrier. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conn.h"
#include "errors.h"
#include "groups.h"

#define HOST_MAX 96

struct join {
	struct sl_kgroup_wait wait;
	struct sl_gjoin j;
};

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_bytes(struct sl_kw *w, struct sl_slice s)
{
	sl_kw_bytes_len(w, s.len);
	sl_kw_raw(w, s.p, s.len);
}

static void put_members(struct sl_kw *w, const struct sl_gjoined *res, int16_t version)
{
	const struct sl_gmember *m;

	sl_kw_array(w, res->listed ? res->listed->member_cnt : 0);
	if (!res->listed)
		return;
	TAILQ_FOREACH(m, &res->listed->members, link)
	{
		sl_kw_str(w, m->id);
		if (version >= 5)
			sl_kw_str(w, m->instance);
		put_bytes(w, sl_gmember_metadata(m, res->protocol));
		sl_kw_tags(w);
	}
}

static void put_response(struct sl_kreq *r, const struct sl_gjoined *res)
{
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	if (r->version >= 2)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, res->err);
	sl_kw_i32(w, res->generation);
	if (r->version >= 7)
		sl_kw_str(w, res->protocol_type);
	sl_kw_str(w, res->protocol);
	sl_kw_str(w, res->leader);
	if (r->version >= 9)
		sl_kw_bool(w, res->skip_assignment);
	sl_kw_str(w, res->member_id);
	put_members(w, res, r->version);
	sl_kw_tags(w);
}

static void done(struct sl_gjoin *j, const struct sl_gjoined *res)
{
	struct join *x = SL_CONTAINER_OF(j, struct join, j);
	struct sl_kreq *r = x->wait.req;

	put_response(r, res);
	sl_kgroups_answer(r->server->groups, &x->wait);
}

static int fail(struct sl_kreq *r, int16_t err, struct sl_slice member_id)
{
	static const struct sl_slice empty = {(const uint8_t *)"", 0};
	struct sl_gjoined res = {.err = err,
				 .generation = -1,
				 .protocol = empty,
				 .leader = empty,
				 .member_id = member_id};
	put_response(r, &res);
	sl_kreq_done(r);
	return 0;
}

static void cancel(struct sl_kreq *r)
{
	struct join *x = r->ctx;
	sl_group_join_cancel(&x->j);
	free(x);
	sl_kreq_drop(r);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* As many protocols as a member may have are kept, and all are counted. */
static void parse_protocols(struct sl_kr *in, struct sl_gprotocol *ret, uint32_t *ret_cnt)
{
	uint32_t n = sl_kr_array(in, in->flex ? 3 : 6);

	for (uint32_t i = 0; i < n && !in->rd.bad; i++) {
		struct sl_gprotocol p = {.name = sl_kr_str(in)};
		p.metadata = sl_kr_nbytes(in);
		if (!p.metadata.p)
			sl_kr_bad(in);
		sl_kr_tags(in);
		if (i < SL_GROUP_PROTOCOLS_MAX)
			ret[i] = p;
	}
	*ret_cnt = n;
}

static int parse(struct sl_kreq *r, struct sl_slice *ret_group, struct sl_gjoin *j,
		 struct sl_gprotocol *protocol)
{
	struct sl_kr *in = &r->in;

	*ret_group = sl_kr_str(in);
	j->session_ms = sl_kr_i32(in);
	j->rebalance_ms = r->version >= 1 ? sl_kr_i32(in) : j->session_ms;
	j->member_id = sl_kr_str(in);
	if (r->version >= 5)
		j->instance = sl_kr_nstr(in);
	j->protocol_type = sl_kr_str(in);
	parse_protocols(in, protocol, &j->protocol_cnt);
	j->protocol = protocol;
	if (r->version >= 8)
		sl_kr_nstr(in); /* the reason */
	sl_kr_tags(in);
	j->client_id = r->client_id;
	j->must_know_id = r->version >= 4;
	j->may_skip = r->version >= 9;
	return in->rd.bad ? -EPROTO : 0;
}

/* "/192.0.2.1", as Java writes an address. */
static struct sl_slice host_of(const struct sl_kconn *c, char buf[HOST_MAX])
{
	const char *peer = sl_kconn_peer(c), *colon = strrchr(peer, ':');
	int n = snprintf(buf, HOST_MAX, "/%.*s", colon ? (int)(colon - peer) : 80, peer);
	return (struct sl_slice){(const uint8_t *)buf, (uint32_t)n};
}

static void start(struct sl_kreq *r, struct sl_kgroup *kg, struct join *x)
{
	x->wait.req = r;
	x->j.done = done;
	sl_group_join(&kg->g, &x->j); /* what it answers at once is sent later, too */
	if (x->j.member) {
		r->ctx = x;
		r->cancel = cancel;
	}
	r->client_id = (struct sl_slice){NULL, 0};
	sl_kreq_release_frame(r);
}

int sl_kapi_join_group(struct sl_kreq *r)
{
	struct sl_kgroups *ks = r->server->groups;
	struct sl_gprotocol protocol[SL_GROUP_PROTOCOLS_MAX];
	struct sl_gjoin j = {0};
	struct sl_slice group;
	struct sl_kgroup *kg;
	char host[HOST_MAX];
	int16_t err;

	if (parse(r, &group, &j, protocol))
		return -EPROTO;
	if (sl_kgroups_open(ks, &err))
		return -EAGAIN;
	if (!err && group.len == 0)
		err = SL_KERR_INVALID_GROUP_ID;
	if (err)
		return fail(r, err, j.member_id);
	kg = sl_kgroups_find(ks, group);
	if (!kg && j.member_id.len)
		return fail(r, SL_KERR_UNKNOWN_MEMBER_ID, j.member_id);
	if (!kg)
		kg = sl_kgroups_get(ks, group);
	if (!kg)
		return fail(r, SL_KERR_GROUP_MAX_SIZE_REACHED, j.member_id);
	struct join *x = calloc(1, sizeof(*x));
	if (!x) {
		sl_kgroups_look_at(ks, kg);
		return -ENOMEM;
	}
	j.client_host = host_of(r->conn, host);
	x->j = j;
	start(r, kg, x);
	return 0;
}
