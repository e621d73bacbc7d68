/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_list_offsets.c - ListOffsets (key 2), versions 1 to 7. The ends of a log are answered at
 * once, timestamps are looked up by a worker.
 */
#include <errno.h>
#include <stdlib.h>

#include "conn.h"
#include "errors.h"

#define LOOKUPS_MAX 64 /* of one job: then it is others' turn */

enum { TS_LATEST = -1, TS_EARLIEST = -2, TS_MAX = -3 }; /* in place of a timestamp */

struct part {
	struct sl_part *part;
	int32_t index;
	int16_t err;
	bool lookup;          /* for the worker */
	int32_t leader_epoch; /* answer */
	int64_t want;         /* timestamp or one of TS_* */
	int64_t ts, offset;   /* answer */
};

struct topic {
	struct sl_slice name;
	uint32_t part_cnt;
};

struct list {
	struct sl_job job;
	struct sl_kreq *req;
	uint32_t lookups;      /* still to do */
	uint32_t next;         /* the first part that may need one */
	atomic_bool cancelled; /* the peer has left */
	uint32_t topic_cnt, part_cnt;
	struct topic *topics;
	struct part *parts;
};

/* The epoch in which an offset was written: each one began where the one before it ended. */
static int32_t epoch_of(const struct sl_part *p, int64_t offset)
{
	int32_t epoch = sl_part_pub(p)->leader_epoch, before;
	int64_t end;

	while (epoch > 0 && !sl_part_epoch_end(p, epoch - 1, &before, &end) && offset < end)
		epoch = before;
	return epoch;
}

static void answer_end(struct part *x, int16_t version)
{
	int32_t epoch = sl_part_pub(x->part)->leader_epoch;

	if (x->want == TS_LATEST) {
		x->offset = sl_part_end(x->part);
		x->leader_epoch = epoch;
	} else if (x->want == TS_EARLIEST) {
		x->offset = sl_part_start(x->part);
		x->leader_epoch = epoch_of(x->part, x->offset);
	} else if (x->want >= 0 || (x->want == TS_MAX && version >= 7)) {
		x->lookup = true;
	} else {
		x->err = SL_KERR_UNSUPPORTED_VERSION;
	}
}

static void fill_part(struct list *l, struct sl_topic *t, struct part *x, int32_t epoch)
{
	x->ts = x->offset = x->leader_epoch = -1;
	x->part = t ? sl_topic_part(t, x->index) : NULL;
	if (!x->part || sl_part_state(x->part) == SL_PART_DELETED) {
		x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return;
	}
	int32_t have = sl_part_pub(x->part)->leader_epoch;
	if (epoch >= 0 && epoch != have)
		x->err = epoch < have ? SL_KERR_FENCED_LEADER_EPOCH : SL_KERR_UNKNOWN_LEADER_EPOCH;
	else
		answer_end(x, l->req->version);
	l->lookups += x->lookup;
}

/* With l NULL only counts; the second run fills what was allocated. */
static int parse(struct sl_kreq *r, struct sl_kr in, struct list *l, uint32_t *ret_topics,
		 uint32_t *ret_parts)
{
	sl_kr_i32(&in); /* replica id */
	if (r->version >= 2)
		sl_kr_i8(&in); /* isolation: without transactions the last stable offset is the end
				*/
	uint32_t parts = 0, topics = sl_kr_array(&in, in.flex ? 3 : 6);
	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (uint32_t t = 0; t < topics && !in.rd.bad; t++) {
		struct sl_slice name = sl_kr_str(&in);
		uint32_t n = sl_kr_array(&in, 12);
		struct sl_topic *topic = NULL;
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		if (l) {
			l->topics[t] = (struct topic){name, n};
			topic = sl_kreq_topic(r, name);
		}
		for (uint32_t i = 0; i < n && !in.rd.bad; i++, parts++) {
			struct part x = {.index = sl_kr_i32(&in)};
			int32_t epoch = r->version >= 4 ? sl_kr_i32(&in) : -1;
			x.want = sl_kr_i64(&in);
			sl_kr_tags(&in);
			if (l) {
				fill_part(l, topic, &x, epoch);
				l->parts[parts] = x;
			}
		}
		sl_kr_tags(&in);
	}
	sl_kr_tags(&in);
	*ret_topics = topics;
	*ret_parts = parts;
	return in.rd.bad ? -EPROTO : 0;
}

static void put_part(struct sl_kw *w, const struct part *x, int16_t version)
{
	sl_kw_i32(w, x->index);
	sl_kw_i16(w, x->err);
	sl_kw_i64(w, x->ts);
	sl_kw_i64(w, x->offset);
	if (version >= 4)
		sl_kw_i32(w, x->leader_epoch);
	sl_kw_tags(w);
}

static void answer(struct list *l)
{
	struct sl_kreq *r = l->req;
	struct sl_kw *w = &r->out.w;
	const struct part *x = l->parts;

	sl_kreq_begin(r);
	if (r->version >= 2)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, l->topic_cnt);
	for (uint32_t t = 0; t < l->topic_cnt; t++) {
		sl_kw_str(w, l->topics[t].name);
		sl_kw_array(w, l->topics[t].part_cnt);
		for (uint32_t i = 0; i < l->topics[t].part_cnt; i++)
			put_part(w, x++, r->version);
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
	free(l);
	sl_kreq_done(r);
}

static void look_up(struct part *x)
{
	int64_t offset = -1, ts = -1;
	int rc = x->want == TS_MAX ? sl_store_max_ts(x->part, &offset, &ts)
				   : sl_store_offset_for_ts(x->part, x->want, &offset, &ts);
	if (rc) {
		x->err = sl_kerr_of_read(rc);
		return;
	}
	x->offset = offset;
	x->ts = ts;
	x->leader_epoch = offset < 0 ? -1 : epoch_of(x->part, offset);
}

static bool is_off(const struct list *l)
{
	return atomic_load_explicit(&l->cancelled, memory_order_relaxed) ||
	       sl_kserver_cancelled(l->req->server);
}

static void job_run(struct sl_job *j, void *worker)
{
	struct list *l = SL_CONTAINER_OF(j, struct list, job);
	uint32_t n = 0;
	(void)worker;
	for (; l->next < l->part_cnt && n < LOOKUPS_MAX && !is_off(l); l->next++) {
		struct part *x = &l->parts[l->next];
		if (!x->lookup)
			continue;
		look_up(x);
		l->lookups--;
		n++;
	}
}

static void job_done(struct sl_job *j)
{
	struct list *l = SL_CONTAINER_OF(j, struct list, job);
	struct sl_kreq *r = l->req;

	if (is_off(l)) {
		free(l);
		sl_kreq_drop(r);
	} else if (l->lookups == 0) {
		answer(l);
	} else {
		int rc = sl_pool_submit(r->server->pool, j);
		SL_ASSERT(rc == 0); /* it has just given its place back */
	}
}

static void cancel(struct sl_kreq *r)
{
	struct list *l = r->ctx;
	atomic_store_explicit(&l->cancelled, true, memory_order_relaxed);
}

int sl_kapi_list_offsets(struct sl_kreq *r)
{
	uint32_t topics, parts;
	int rc = parse(r, r->in, NULL, &topics, &parts);
	if (rc)
		return rc;
	size_t topics_at = SL_ALIGN_UP(sizeof(struct list), 16);
	size_t parts_at = SL_ALIGN_UP(topics_at + topics * sizeof(struct topic), 16);
	size_t size = parts_at + parts * sizeof(struct part);
	if (!sl_kconn_may_hold(r->conn, size))
		return -EAGAIN;
	struct list *l = calloc(1, size);
	if (!l)
		return -ENOMEM;
	l->req = r;
	l->topics = (struct topic *)(void *)((char *)l + topics_at);
	l->parts = (struct part *)(void *)((char *)l + parts_at);
	l->topic_cnt = topics;
	l->part_cnt = parts;
	rc = parse(r, r->in, l, &topics, &parts);
	SL_ASSERT(rc == 0);
	if (l->lookups == 0) {
		answer(l);
		return 0;
	}
	l->job = (struct sl_job){.run = job_run, .done = job_done};
	rc = sl_pool_submit(r->server->pool, &l->job);
	if (rc) {
		free(l);
		return rc;
	}
	r->ctx = l;
	r->cancel = cancel;
	sl_kreq_charge(r, (int64_t)size);
	return 0;
}
