/* SPDX-License-Identifier: Apache-2.0 */
/* api_heartbeat.c - Heartbeat (key 12), versions 0 to 4. */
#include <errno.h>

#include "errors.h"
#include "groups.h"

static int16_t beat(struct sl_kreq *r, struct sl_slice group, struct sl_slice member_id,
		    struct sl_slice instance, int32_t generation)
{
	struct sl_kgroup *kg = sl_kgroups_known(r->server->groups, group);

	if (group.len == 0)
		return SL_KERR_INVALID_GROUP_ID;
	if (!kg)
		return SL_KERR_UNKNOWN_MEMBER_ID;
	return sl_group_heartbeat(&kg->g, member_id, instance, generation);
}

int sl_kapi_heartbeat(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in;
	struct sl_kw *w = &r->out.w;
	struct sl_slice group = sl_kr_str(in), instance = {NULL, 0};
	int32_t generation = sl_kr_i32(in);
	struct sl_slice member_id = sl_kr_str(in);

	if (r->version >= 3)
		instance = sl_kr_nstr(in);
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	sl_kreq_begin(r);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, beat(r, group, member_id, instance, generation));
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
