/* SPDX-License-Identifier: Apache-2.0 */
/* api_list_partition_reassignments.c - ListPartitionReassignments (key 46), version 0: with one
 * node nothing ever moves. */
#include <errno.h>

#include "request.h"

int sl_kapi_list_partition_reassignments(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in;
	struct sl_kw *w = &r->out.w;

	sl_kr_i32(in); /* timeout */
	int32_t n = sl_kr_narray(in, 3);
	if (n > (int32_t)SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (int32_t i = 0; i < n && !in->rd.bad; i++) {
		sl_kr_str(in);
		sl_rd_bytes(&in->rd, (size_t)sl_kr_array(in, 4) * 4);
		sl_kr_tags(in);
	}
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, 0);
	sl_kw_cstr(w, NULL);
	sl_kw_array(w, 0);
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
