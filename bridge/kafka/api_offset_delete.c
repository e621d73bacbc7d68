/* SPDX-License-Identifier: Apache-2.0 */
/* api_offset_delete.c - OffsetDelete (key 47), version 0. */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "groups.h"

struct del {
	struct sl_kgroup_wait wait;
	struct sl_glog_write w;
	struct sl_kgroup *kg; /* NULL: unknown */
	uint32_t good;        /* tombstones in the batch */
	struct sl_gsubs subs; /* while the request is walked over */
};

/* ---- the answer: the request is read once more ----------------------------------------------- */

/* What an answer says of one partition, before the log is asked. */
static int16_t check(const struct del *d, struct sl_topic *t, struct sl_slice name, int32_t index)
{
	if (!t || !sl_topic_part(t, index))
		return SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (sl_gsubs_has(&d->subs, name))
		return SL_KERR_GROUP_SUBSCRIBED_TO_TOPIC;
	return 0;
}

static int16_t group_error(const struct del *d)
{
	const struct sl_group *g = d->kg ? &d->kg->g : NULL;

	if (!g)
		return SL_KERR_GROUP_ID_NOT_FOUND;
	if (g->state != SL_GROUP_EMPTY && !sl_group_is_consumer(g))
		return SL_KERR_NON_EMPTY_GROUP;
	return 0;
}

enum step { COUNT, WRITE, ANSWER };

static void put_tombstone(struct del *d, struct sl_slice name, int32_t index)
{
	struct sl_kgroups *ks = d->wait.req->server->groups;
	const struct sl_offset *x = sl_offsets_find(&ks->offsets, &d->kg->offsets, name, index);

	if (x) {
		sl_kgroup_put_tombstone(&d->w.batch, d->kg, x, sl_kserver_wall_ms(ks->server));
		d->good++;
	}
}

static void one(struct sl_kreq *r, struct del *d, enum step step, struct sl_topic *t,
		struct sl_slice name, int32_t index, int16_t err)
{
	struct sl_kw *w = &r->out.w;
	int16_t own = step == COUNT ? 0 : check(d, t, name, index);

	if (step == WRITE && !own)
		put_tombstone(d, name, index);
	if (step == ANSWER) {
		sl_kw_i32(w, index);
		sl_kw_i16(w, own ? own : err);
	}
}

static int walk(struct sl_kreq *r, struct sl_kr in, struct del *d, enum step step, int16_t err)
{
	struct sl_kw *w = &r->out.w;
	uint32_t parts = 0, topics;

	sl_kr_str(&in); /* the group */
	topics = sl_kr_array(&in, 6);
	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	if (step == ANSWER)
		sl_kw_array(w, topics);
	for (uint32_t t = 0; t < topics && !in.rd.bad; t++) {
		struct sl_slice name = sl_kr_str(&in);
		uint32_t n = sl_kr_array(&in, 4);
		struct sl_topic *topic = step == COUNT ? NULL : sl_kreq_topic(r, name);
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		parts += n;
		if (step == ANSWER) {
			sl_kw_str(w, name);
			sl_kw_array(w, n);
		}
		for (uint32_t i = 0; i < n && !in.rd.bad; i++)
			one(r, d, step, topic, name, sl_kr_i32(&in), err);
	}
	return in.rd.bad ? -EPROTO : 0;
}

/* The request has been checked. */
static void act(struct del *d, enum step step, int16_t err)
{
	struct sl_kreq *r = d->wait.req;

	sl_gsubs_init(&d->subs, &d->kg->g);
	int rc = walk(r, r->in, d, step, err);
	SL_ASSERT(rc == 0); /* the same bytes as before */
	sl_gsubs_fini(&d->subs);
}

static void put_response(struct del *d, int16_t top, int16_t err)
{
	struct sl_kreq *r = d->wait.req;
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	sl_kw_i16(w, top);
	sl_kw_i32(w, 0); /* throttle time */
	if (top)
		sl_kw_array(w, 0);
	else
		act(d, ANSWER, err);
	sl_kgroups_answer(r->server->groups, &d->wait);
}

static void written(struct sl_glog_write *w, int16_t err)
{
	put_response(SL_CONTAINER_OF(w, struct del, w), 0, err);
}

int sl_kapi_offset_delete(struct sl_kreq *r)
{
	struct sl_kgroups *ks = r->server->groups;
	struct sl_kr in = r->in;
	int rc = walk(r, r->in, NULL, COUNT, 0);

	if (rc)
		return rc;
	struct del *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->wait.req = r;
	struct sl_slice id = sl_kr_str(&in);
	d->kg = sl_kgroups_known(ks, id);
	int16_t err = id.len ? group_error(d) : SL_KERR_INVALID_GROUP_ID;
	if (!err)
		act(d, WRITE, 0);
	if (err || d->good == 0) {
		put_response(d, err, 0);
		return 0;
	}
	d->w.sync = true;
	d->w.done = written;
	sl_kgroups_write(ks, d->kg, &d->w);
	return 0;
}
