/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_offset_commit.c - OffsetCommit (key 8), versions 2 to 8. What is committed goes into the
 * group's log as one batch; the answer waits until that is synced (or logged, by setting).
 */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "group_record.h"
#include "groups.h"

struct part {
	int32_t index;
	int16_t err;
};

struct topic {
	struct sl_slice name;
	uint32_t part_cnt; /* its partitions follow each other */
};

struct commit {
	struct sl_kgroup_wait wait;
	struct sl_glog_write w;
	struct sl_slice group, member_id, instance;
	int32_t generation;
	int64_t retention_ms; /* -1: the broker's */
	uint32_t topic_cnt, part_cnt;
	uint32_t good;        /* partitions that are in the batch */
	uint32_t fresh;       /* of them without an offset until now */
	struct sl_kgroup *kg; /* NULL: unknown */
	struct topic *topic;
	struct part *part;
};

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_response(const struct commit *c)
{
	struct sl_kreq *r = c->wait.req;
	struct sl_kw *w = &r->out.w;
	const struct part *x = c->part;

	sl_kreq_begin(r);
	if (r->version >= 3)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, c->topic_cnt);
	for (uint32_t t = 0; t < c->topic_cnt; t++) {
		sl_kw_str(w, c->topic[t].name);
		sl_kw_array(w, c->topic[t].part_cnt);
		for (uint32_t i = 0; i < c->topic[t].part_cnt; i++, x++) {
			sl_kw_i32(w, x->index);
			sl_kw_i16(w, x->err);
			sl_kw_tags(w);
		}
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
}

static void fail_rest(struct commit *c, int16_t err)
{
	for (uint32_t i = 0; i < c->part_cnt; i++)
		if (!c->part[i].err)
			c->part[i].err = err;
}

static void written(struct sl_glog_write *w, int16_t err)
{
	struct commit *c = SL_CONTAINER_OF(w, struct commit, w);
	struct sl_kgroups *ks = w->groups;

	ks->new_offsets -= c->fresh;
	if (err)
		fail_rest(c, err);
	else
		sl_kcount(&ks->counters.commits, c->good);
	put_response(c);
	sl_kgroups_answer(ks, &c->wait);
}

/* ---- reading the request --------------------------------------------------------------------- */

static void parse_head(struct sl_kreq *r, struct sl_kr *in, struct commit *c)
{
	c->group = sl_kr_str(in);
	c->generation = sl_kr_i32(in);
	c->member_id = sl_kr_str(in);
	if (r->version >= 7)
		c->instance = sl_kr_nstr(in);
	c->retention_ms = r->version <= 4 ? sl_kr_i64(in) : -1;
}

static struct sl_offset parse_part(const struct sl_kreq *r, struct sl_kr *in)
{
	struct sl_offset v = {.leader_epoch = -1};

	v.partition = sl_kr_i32(in);
	v.offset = sl_kr_i64(in);
	if (r->version >= 6)
		v.leader_epoch = sl_kr_i32(in);
	v.metadata = sl_kr_nstr(in);
	sl_kr_tags(in);
	return v;
}

/*
 * Runs over the topics twice: with fn NULL it checks and counts, then it hands out each partition
 * in turn.
 */
static int walk(struct sl_kreq *r, struct sl_kr in, struct commit *c,
		void (*fn)(struct commit *c, struct sl_topic *t, struct part *x,
			   struct sl_offset *v))
{
	uint32_t parts = 0, topics;

	parse_head(r, &in, c);
	topics = sl_kr_array(&in, in.flex ? 3 : 6);
	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (uint32_t t = 0; t < topics && !in.rd.bad; t++) {
		struct sl_slice name = sl_kr_str(&in);
		uint32_t n = sl_kr_array(&in, 14);
		struct sl_topic *topic = NULL;
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		if (fn) {
			c->topic[t] = (struct topic){name, n};
			topic = sl_kreq_topic(r, name);
		}
		for (uint32_t i = 0; i < n && !in.rd.bad; i++, parts++) {
			struct sl_offset v = parse_part(r, &in);
			v.topic = name;
			if (fn)
				fn(c, topic, &c->part[parts], &v);
		}
		sl_kr_tags(&in);
	}
	sl_kr_tags(&in);
	c->topic_cnt = topics;
	c->part_cnt = parts;
	return in.rd.bad ? -EPROTO : 0;
}

/* ---- what goes into the log ------------------------------------------------------------------ */

static void check_only(struct commit *c, struct sl_topic *t, struct part *x, struct sl_offset *v)
{
	const struct sl_kgroups *ks = c->wait.req->server->groups;

	x->index = v->partition;
	x->err = sl_kgroups_check_commit(ks, t, v->partition, v->metadata.len);
	if (x->err)
		return;
	c->good++;
	c->fresh +=
		!c->kg || !sl_offsets_find(&ks->offsets, &c->kg->offsets, v->topic, v->partition);
}

static void add_record(struct commit *c, struct sl_topic *t, struct part *x, struct sl_offset *v)
{
	int64_t now = sl_kserver_wall_ms(c->wait.req->server);

	(void)t;
	if (x->err)
		return;
	v->commit_ms = now;
	v->expire_ms = c->retention_ms < 0 ? -1 : now + SL_MIN(c->retention_ms, INT64_MAX - now);
	sl_gkey_write_offset(&c->w.batch.key, c->group, v->topic, v->partition);
	sl_goffset_write(&c->w.batch.value, v);
	sl_gbatch_add(&c->w.batch, now, false);
}

/* The group may commit, and there is room for what it commits. */
static int16_t admit(struct sl_kgroups *ks, struct commit *c)
{
	int16_t err;

	if (!c->kg && c->generation >= 0)
		return SL_KERR_ILLEGAL_GENERATION;
	if (c->kg) {
		err = sl_group_may_commit(&c->kg->g, c->member_id, c->instance, c->generation);
		if (err)
			return err;
	}
	return sl_kgroups_admit_offsets(ks, &c->kg, c->group, c->fresh);
}

static int commit_new(struct sl_kreq *r, struct commit **ret)
{
	struct commit count = {0};
	int rc = walk(r, r->in, &count, NULL);
	if (rc)
		return rc;
	size_t topics_at = SL_ALIGN_UP(sizeof(struct commit), 16);
	size_t parts_at = SL_ALIGN_UP(topics_at + count.topic_cnt * sizeof(struct topic), 16);
	struct commit *c = calloc(1, parts_at + count.part_cnt * sizeof(struct part));
	if (!c)
		return -ENOMEM;
	c->wait.req = r;
	c->kg = sl_kgroups_known(r->server->groups, count.group);
	c->topic = (struct topic *)(void *)((char *)c + topics_at);
	c->part = (struct part *)(void *)((char *)c + parts_at);
	rc = walk(r, r->in, c, check_only);
	SL_ASSERT(rc == 0); /* the same bytes as before */
	*ret = c;
	return 0;
}

int sl_kapi_offset_commit(struct sl_kreq *r)
{
	struct sl_kgroups *ks = r->server->groups;
	struct commit *c;
	int16_t err;
	int rc;

	if (sl_kgroups_open(ks, &err))
		return -EAGAIN;
	rc = commit_new(r, &c);
	if (rc)
		return rc;
	if (!err && c->good)
		err = admit(ks, c);
	if (err || !c->good) {
		fail_rest(c, err);
		put_response(c);
		sl_kgroups_answer(ks, &c->wait);
		return 0;
	}
	rc = walk(r, r->in, c, add_record);
	SL_ASSERT(rc == 0);
	sl_kreq_charge(r, c->w.batch.bb.len);
	ks->new_offsets += c->fresh;
	c->w.sync = !ks->cfg.commit_logged;
	c->w.done = written;
	sl_kgroups_write(ks, c->kg, &c->w);
	return 0;
}
