/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_delete_records.c - DeleteRecords (key 21), versions 0 to 2: log start moves up. -1 is the
 * high watermark.
 */
#include <errno.h>

#include "admin.h"

static int16_t delete_one(struct sl_kreq *r, struct sl_slice name, struct sl_topic *t,
			  int32_t index, int64_t offset, int64_t *ret_low)
{
	struct sl_part *p = t ? sl_topic_part(t, index) : NULL;
	struct sl_topic_cfg cfg;

	*ret_low = -1;
	if (!p)
		return SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (sl_ktopic_is_internal((const char *)name.p, name.len))
		return SL_KERR_INVALID_TOPIC_EXCEPTION;
	sl_topic_cfg_get(t, &cfg);
	if (cfg.compact) /* its records go by key */
		return SL_KERR_POLICY_VIOLATION;
	if (offset < -1)
		return SL_KERR_OFFSET_OUT_OF_RANGE;
	int rc = sl_store_delete_records(r->server->cfg.store, p, offset, ret_low);
	if (rc)
		*ret_low = -1;
	return sl_kerr_of_read(rc);
}

/* Checks the structure first, so that nothing is deleted by half a request; then does it. */
static int walk(struct sl_kreq *r, struct sl_kr in, bool act)
{
	struct sl_kw *w = &r->out.w;
	uint32_t parts = 0, topics = sl_kr_array(&in, in.flex ? 3 : 6);

	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	if (act)
		sl_kw_array(w, topics);
	for (uint32_t i = 0; i < topics && !in.rd.bad; i++) {
		struct sl_slice name = sl_kr_str(&in);
		uint32_t n = sl_kr_array(&in, 12);
		struct sl_topic *t = act ? sl_kreq_topic(r, name) : NULL;
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		parts += n;
		if (act) {
			sl_kw_str(w, name);
			sl_kw_array(w, n);
		}
		for (uint32_t k = 0; k < n && !in.rd.bad; k++) {
			int32_t index = sl_kr_i32(&in);
			int64_t low, offset = sl_kr_i64(&in);
			sl_kr_tags(&in);
			if (!act)
				continue;
			int16_t err = delete_one(r, name, t, index, offset, &low);
			sl_kw_i32(w, index);
			sl_kw_i64(w, low);
			sl_kadmin_put_code(r, err);
			sl_kw_tags(w);
		}
		sl_kr_tags(&in);
		if (act)
			sl_kw_tags(w);
	}
	sl_kr_i32(&in); /* timeout: it is done before the answer */
	sl_kr_tags(&in);
	return in.rd.bad ? -EPROTO : 0;
}

static int run(struct sl_kreq *r)
{
	int rc = walk(r, r->in, false);

	if (rc)
		return rc;
	sl_kreq_begin(r);
	sl_kw_i32(&r->out.w, 0); /* throttle time */
	rc = walk(r, r->in, true);
	SL_ASSERT(rc == 0); /* the same bytes as before */
	sl_kw_tags(&r->out.w);
	return 0;
}

int sl_kapi_delete_records(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_CHANGE, run);
}
