/* SPDX-License-Identifier: Apache-2.0 */
/* api_offset_for_leader_epoch.c - OffsetForLeaderEpoch (key 23), versions 2 to 4 (KIP-320). */
#include <errno.h>

#include "errors.h"
#include "request.h"
#include "server.h"

struct answer {
	int16_t err;
	int32_t epoch;
	int64_t end;
};

static struct answer look_up(const struct sl_part *p, int32_t current, int32_t epoch)
{
	struct answer a = {.epoch = -1, .end = -1};

	if (!p || sl_part_state(p) == SL_PART_DELETED) {
		a.err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return a;
	}
	int32_t have = sl_part_pub(p)->leader_epoch;
	if (current >= 0 && current != have)
		a.err = current < have ? SL_KERR_FENCED_LEADER_EPOCH : SL_KERR_UNKNOWN_LEADER_EPOCH;
	else if (sl_part_epoch_end(p, epoch, &a.epoch, &a.end)) /* none: undefined, no error */
		a.epoch = -1, a.end = -1;
	return a;
}

/* With `out` false only checks and counts. */
static int walk(struct sl_kreq *r, struct sl_kr in, bool out)
{
	struct sl_kw *w = &r->out.w;
	uint32_t parts = 0, topics;

	if (r->version >= 3)
		sl_kr_i32(&in); /* replica id */
	topics = sl_kr_array(&in, in.flex ? 3 : 6);
	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	if (out)
		sl_kw_array(w, topics);
	for (uint32_t t = 0; t < topics && !in.rd.bad; t++) {
		struct sl_slice name = sl_kr_str(&in);
		uint32_t n = sl_kr_array(&in, 12);
		struct sl_topic *topic = out ? sl_kreq_topic(r, name) : NULL;
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		parts += n;
		if (out) {
			sl_kw_str(w, name);
			sl_kw_array(w, n);
		}
		for (uint32_t i = 0; i < n && !in.rd.bad; i++) {
			int32_t index = sl_kr_i32(&in);
			int32_t current = sl_kr_i32(&in);
			int32_t epoch = sl_kr_i32(&in);
			sl_kr_tags(&in);
			if (!out)
				continue;
			struct answer a =
				look_up(topic ? sl_topic_part(topic, index) : NULL, current, epoch);
			sl_kw_i16(w, a.err);
			sl_kw_i32(w, index);
			sl_kw_i32(w, a.epoch);
			sl_kw_i64(w, a.end);
			sl_kw_tags(w);
		}
		sl_kr_tags(&in);
		if (out)
			sl_kw_tags(w);
	}
	sl_kr_tags(&in);
	return in.rd.bad ? -EPROTO : 0;
}

int sl_kapi_offset_for_leader_epoch(struct sl_kreq *r)
{
	int rc = walk(r, r->in, false);

	if (rc)
		return rc;
	sl_kreq_begin(r);
	sl_kw_i32(&r->out.w, 0); /* throttle time */
	rc = walk(r, r->in, true);
	SL_ASSERT(rc == 0); /* the same bytes as before */
	sl_kw_tags(&r->out.w);
	sl_kreq_done(r);
	return 0;
}
