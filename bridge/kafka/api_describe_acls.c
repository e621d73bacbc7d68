/* SPDX-License-Identifier: Apache-2.0 */
/* api_describe_acls.c - DescribeAcls (key 29), versions 1 to 3: there is no authorizer, and
 * MirrorMaker 2 takes exactly this answer for it. */
#include <errno.h>

#include "errors.h"
#include "request.h"

int sl_kapi_describe_acls(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in;
	struct sl_kw *w = &r->out.w;

	sl_kr_i8(in);   /* resource type */
	sl_kr_nstr(in); /* its name */
	sl_kr_i8(in);   /* pattern type */
	sl_kr_nstr(in); /* principal */
	sl_kr_nstr(in); /* host */
	sl_kr_i8(in);   /* operation */
	sl_kr_i8(in);   /* permission */
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, SL_KERR_SECURITY_DISABLED);
	sl_kw_cstr(w, "No Authorizer is configured on the broker");
	sl_kw_array(w, 0);
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
