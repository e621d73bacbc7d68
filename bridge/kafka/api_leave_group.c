/* SPDX-License-Identifier: Apache-2.0 */
/* api_leave_group.c - LeaveGroup (key 13), versions 0 to 5; from 3 on, a list of members. */
#include <errno.h>

#include "errors.h"
#include "groups.h"

struct who {
	struct sl_slice member_id, instance;
};

static struct who parse_member(struct sl_kr *in, int16_t version)
{
	struct who x = {.member_id = sl_kr_str(in)};

	if (version >= 3) {
		x.instance = sl_kr_nstr(in);
		if (version >= 5)
			sl_kr_nstr(in); /* the reason */
		sl_kr_tags(in);
	}
	return x;
}

/* Leaves, and answers with what came of it; the members have been checked. */
static void answer_list(struct sl_kreq *r, struct sl_kgroup *kg, struct sl_kr members, int16_t err)
{
	struct sl_kw *w = &r->out.w;
	uint32_t n = sl_kr_array(&members, members.flex ? 3 : 4);

	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, err);
	sl_kw_array(w, err ? 0 : n);
	for (uint32_t i = 0; i < n && !err; i++) {
		struct who x = parse_member(&members, r->version);
		sl_kw_str(w, x.member_id);
		sl_kw_str(w, x.instance);
		sl_kw_i16(w, kg ? sl_group_leave(&kg->g, x.member_id, x.instance)
				: SL_KERR_UNKNOWN_MEMBER_ID);
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
}

static void answer_one(struct sl_kreq *r, struct sl_kgroup *kg, struct sl_kr member, int16_t err)
{
	struct sl_kw *w = &r->out.w;

	if (!err) {
		struct who x = parse_member(&member, r->version);
		err = sl_group_leave(&kg->g, x.member_id, x.instance);
	}
	sl_kreq_begin(r);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, err);
	sl_kw_tags(w);
}

int sl_kapi_leave_group(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in, members;
	struct sl_slice group = sl_kr_str(in);
	int16_t err = 0;

	members = *in;
	uint32_t n = r->version >= 3 ? sl_kr_array(in, in->flex ? 3 : 4) : 1;
	if (n > SL_KREQ_PARTS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < n && !in->rd.bad; i++)
		parse_member(in, r->version);
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	struct sl_kgroup *kg = sl_kgroups_known(r->server->groups, group);
	if (group.len == 0)
		err = SL_KERR_INVALID_GROUP_ID;
	else if (!kg && r->version < 3) /* a list says it of each member, as Kafka does */
		err = SL_KERR_UNKNOWN_MEMBER_ID;
	if (r->version >= 3)
		answer_list(r, kg, members, err);
	else
		answer_one(r, kg, members, err);
	if (kg && !err)
		sl_group_left(&kg->g);
	sl_kreq_done(r);
	return 0;
}
