/* SPDX-License-Identifier: Apache-2.0 */
/* api_sync_group.c - SyncGroup (key 14), versions 0 to 5. It waits for the leader's. */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "groups.h"

struct sync {
	struct sl_kgroup_wait wait;
	struct sl_gsync s;
};

static void put_response(struct sl_kreq *r, const struct sl_gsynced *res)
{
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, res->err);
	if (r->version >= 5) {
		sl_kw_str(w, res->protocol_type);
		sl_kw_str(w, res->protocol);
	}
	sl_kw_bytes_len(w, res->assignment.len);
	sl_kw_raw(w, res->assignment.p, res->assignment.len);
	sl_kw_tags(w);
}

static void done(struct sl_gsync *s, const struct sl_gsynced *res)
{
	struct sync *x = SL_CONTAINER_OF(s, struct sync, s);
	struct sl_kreq *r = x->wait.req;

	put_response(r, res);
	sl_kgroups_answer(r->server->groups, &x->wait);
}

static int fail(struct sl_kreq *r, int16_t err)
{
	struct sl_gsynced res = {.err = err};
	put_response(r, &res);
	sl_kreq_done(r);
	return 0;
}

static void cancel(struct sl_kreq *r)
{
	struct sync *x = r->ctx;
	sl_group_sync_cancel(&x->s);
	free(x);
	sl_kreq_drop(r);
}

/* Everything but the assignments, whose number is returned: they come next. */
static uint32_t parse_head(struct sl_kreq *r, struct sl_slice *ret_group, struct sl_gsync *s)
{
	struct sl_kr *in = &r->in;

	*ret_group = sl_kr_str(in);
	s->generation = sl_kr_i32(in);
	s->member_id = sl_kr_str(in);
	if (r->version >= 3)
		s->instance = sl_kr_nstr(in);
	if (r->version >= 5) {
		s->protocol_type = sl_kr_nstr(in);
		s->protocol = sl_kr_nstr(in);
	}
	return sl_kr_array(in, in->flex ? 3 : 6);
}

static int parse_assignments(struct sl_kr *in, uint32_t n, struct sl_gassignment **ret)
{
	if (n > SL_KREQ_PARTS_MAX)
		return -E2BIG;
	struct sl_gassignment *a = calloc(n ? n : 1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !in->rd.bad; i++) {
		a[i].member_id = sl_kr_str(in);
		a[i].bytes = sl_kr_nbytes(in);
		if (!a[i].bytes.p)
			sl_kr_bad(in);
		sl_kr_tags(in);
	}
	sl_kr_tags(in);
	if (in->rd.bad) {
		free(a);
		return -EPROTO;
	}
	*ret = a;
	return 0;
}

static int start(struct sl_kreq *r, struct sl_kgroup *kg, const struct sl_gsync *s)
{
	struct sync *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->wait.req = r;
	x->s = *s;
	x->s.done = done;
	sl_group_sync(&kg->g, &x->s);
	x->s.assignment = NULL; /* the caller's */
	if (x->s.member) {
		r->ctx = x;
		r->cancel = cancel;
	}
	r->client_id = (struct sl_slice){NULL, 0};
	sl_kreq_release_frame(r);
	return 0;
}

int sl_kapi_sync_group(struct sl_kreq *r)
{
	struct sl_gassignment *a = NULL;
	struct sl_gsync s = {0};
	struct sl_slice group;
	struct sl_kgroup *kg;
	uint32_t n = parse_head(r, &group, &s);
	int rc = parse_assignments(&r->in, n, &a);

	if (rc)
		return rc;
	s.assignment = a;
	s.assignment_cnt = n;
	kg = sl_kgroups_known(r->server->groups, group);
	if (group.len == 0)
		rc = fail(r, SL_KERR_INVALID_GROUP_ID);
	else if (!kg)
		rc = fail(r, SL_KERR_UNKNOWN_MEMBER_ID);
	else
		rc = start(r, kg, &s);
	free(a);
	return rc;
}
