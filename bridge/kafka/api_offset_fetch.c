/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_offset_fetch.c - OffsetFetch (key 9), versions 1 to 8: one group's offsets, from version 8
 * on those of several. What is not committed is answered with -1 and no error. Without
 * transactions every committed offset is stable.
 */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "groups.h"

static void put_part(struct sl_kreq *r, int32_t index, const struct sl_offset *v)
{
	static const struct sl_offset absent = {
		.offset = -1, .leader_epoch = -1, .metadata = {(const uint8_t *)"", 0}};
	struct sl_kw *w = &r->out.w;

	if (!v)
		v = &absent;
	sl_kw_i32(w, index);
	sl_kw_i64(w, v->offset);
	if (r->version >= 5)
		sl_kw_i32(w, v->leader_epoch);
	sl_kw_str(w, v->metadata);
	sl_kw_i16(w, 0);
	sl_kw_tags(w);
}

static bool same_topic(const struct sl_offset *a, const struct sl_offset *b)
{
	return a->topic.len == b->topic.len && !memcmp(a->topic.p, b->topic.p, a->topic.len);
}

/* All that the group has committed, topic by topic. */
static void put_all(struct sl_kreq *r, const struct sl_kgroup *kg)
{
	const struct sl_offset **v = kg ? sl_offsets_sorted(&kg->offsets) : NULL;
	uint32_t n = v ? kg->offsets.cnt : 0, topics = 0, end;
	struct sl_kw *w = &r->out.w;

	if (kg && kg->offsets.cnt && !v)
		w->bad = true; /* no memory */
	for (uint32_t i = 0; i < n; i++)
		topics += i == 0 || !same_topic(v[i], v[i - 1]);
	sl_kw_array(w, topics);
	for (uint32_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && same_topic(v[end], v[i]); end++)
			;
		sl_kw_str(w, v[i]->topic);
		sl_kw_array(w, end - i);
		for (uint32_t k = i; k < end; k++)
			put_part(r, v[k]->partition, v[k]);
		sl_kw_tags(w);
	}
	free(v);
}

/* The topics that stand next in the request, n of them. With `out` false only checks. */
static int walk_topics(struct sl_kreq *r, struct sl_kr *in, uint32_t n, uint32_t *parts,
		       const struct sl_kgroup *kg, bool out)
{
	struct sl_kgroups *ks = r->server->groups;
	struct sl_kw *w = &r->out.w;

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	if (out)
		sl_kw_array(w, n);
	for (uint32_t t = 0; t < n && !in->rd.bad; t++) {
		struct sl_slice name = sl_kr_str(in);
		uint32_t cnt = sl_kr_array(in, 4);
		if (cnt > SL_KREQ_PARTS_MAX - *parts)
			return -E2BIG;
		*parts += cnt;
		if (out) {
			sl_kw_str(w, name);
			sl_kw_array(w, cnt);
		}
		for (uint32_t i = 0; i < cnt && !in->rd.bad; i++) {
			int32_t index = sl_kr_i32(in);
			if (out)
				put_part(r, index,
					 kg ? sl_offsets_find(&ks->offsets, &kg->offsets, name,
							      index)
					    : NULL);
		}
		sl_kr_tags(in);
		if (out)
			sl_kw_tags(w);
	}
	return in->rd.bad ? -EPROTO : 0;
}

static int walk_group(struct sl_kreq *r, struct sl_kr *in, uint32_t *parts, bool out)
{
	struct sl_slice id = sl_kr_str(in);
	int32_t n = sl_kr_narray(in, in->flex ? 3 : 6);
	const struct sl_kgroup *kg;

	if (in->rd.bad || (n < 0 && r->version < 2))
		return -EPROTO;
	kg = out ? sl_kgroups_known(r->server->groups, id) : NULL;
	if (out && r->version >= 8)
		sl_kw_str(&r->out.w, id);
	if (n >= 0)
		return walk_topics(r, in, (uint32_t)n, parts, kg, out);
	if (out)
		put_all(r, kg);
	return 0;
}

/* Twice: first to check, then to answer. */
static int walk(struct sl_kreq *r, struct sl_kr in, bool out)
{
	struct sl_kw *w = &r->out.w;
	uint32_t parts = 0, groups = r->version >= 8 ? sl_kr_array(&in, 3) : 1;
	int rc = 0;

	if (groups > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	if (out && r->version >= 8)
		sl_kw_array(w, groups);
	for (uint32_t i = 0; i < groups && !rc && !w->bad; i++) {
		rc = walk_group(r, &in, &parts, out);
		if (r->version >= 8)
			sl_kr_tags(&in);
		if (out && r->version >= 2)
			sl_kw_i16(w, 0); /* the group's error */
		if (out && r->version >= 8)
			sl_kw_tags(w);
	}
	if (r->version >= 7)
		sl_kr_bool(&in); /* require stable */
	sl_kr_tags(&in);
	if (out)
		sl_kw_tags(w);
	return rc ? rc : in.rd.bad ? -EPROTO : 0;
}

int sl_kapi_offset_fetch(struct sl_kreq *r)
{
	int rc = walk(r, r->in, false);

	if (rc)
		return rc;
	sl_kreq_begin(r);
	if (r->version >= 3)
		sl_kw_i32(&r->out.w, 0); /* throttle time */
	rc = walk(r, r->in, true);
	SL_ASSERT(rc == 0 || r->out.w.bad);
	sl_kreq_done(r);
	return 0;
}
