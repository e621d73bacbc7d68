/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_fetch.c - Fetch (key 1), versions 4 to 12: the request and the answer; fetch.c does the rest.
 *
 * Sessions (KIP-227) are answered with session id 0, "none": every fetch names its partitions.
 * There are no transactions, so the last stable offset is the high watermark.
 */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "fetch.h"

struct wire_part {
	int32_t index, leader_epoch, max_bytes;
	int64_t offset;
};

static void parse_part(struct sl_kr *in, int16_t version, struct wire_part *ret)
{
	ret->index = sl_kr_i32(in);
	ret->leader_epoch = version >= 9 ? sl_kr_i32(in) : -1;
	ret->offset = sl_kr_i64(in);
	if (version >= 12)
		sl_kr_i32(in); /* last fetched epoch */
	if (version >= 5)
		sl_kr_i64(in); /* log start offset: a follower's */
	ret->max_bytes = sl_kr_i32(in);
	sl_kr_tags(in);
}

static int16_t check_part(const struct sl_part *p, const struct wire_part *w)
{
	int32_t epoch = sl_part_pub(p)->leader_epoch;

	if (w->leader_epoch >= 0 && w->leader_epoch != epoch)
		return w->leader_epoch < epoch ? SL_KERR_FENCED_LEADER_EPOCH
					       : SL_KERR_UNKNOWN_LEADER_EPOCH;
	if (sl_part_state(p) == SL_PART_DELETED)
		return SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (w->offset < sl_part_start(p) || w->offset > sl_part_end(p))
		return SL_KERR_OFFSET_OUT_OF_RANGE;
	return 0;
}

static void fill_part(struct sl_kfetch *f, struct sl_topic *t, uint32_t topic, uint32_t at,
		      const struct wire_part *w)
{
	struct sl_kfetch_part *x = &f->parts[at];

	x->index = w->index;
	x->topic = topic;
	x->max_bytes = w->max_bytes;
	x->next = w->offset;
	x->part = t ? sl_topic_part(t, w->index) : NULL;
	if (!x->part) {
		/* does not end the wait for the others: they may have data soon */
		x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return;
	}
	x->err = check_part(x->part, w);
	if (x->err)
		f->at_once = true;
}

/* With f NULL only counts; the second run fills what was allocated. */
static int parse_topics(struct sl_kreq *r, struct sl_kr *in, struct sl_kfetch *f,
			uint32_t *ret_topics, uint32_t *ret_parts, size_t *ret_names)
{
	uint32_t parts = 0, topics = sl_kr_array(in, in->flex ? 3 : 6);
	size_t names = 0;

	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (uint32_t t = 0; t < topics && !in->rd.bad; t++) {
		struct sl_slice name = sl_kr_str(in);
		uint32_t n = sl_kr_array(in, 16);
		struct sl_topic *topic = NULL;
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		names += name.len;
		if (f) {
			topic = sl_kreq_topic(r, name);
			f->topics[t] = (struct sl_kfetch_topic){.name = {f->names, name.len},
								.part_cnt = n};
			memcpy(f->names, name.p, name.len);
			f->names += name.len;
		}
		for (uint32_t i = 0; i < n && !in->rd.bad; i++, parts++) {
			struct wire_part w;
			parse_part(in, r->version, &w);
			if (f)
				fill_part(f, topic, t, parts, &w);
		}
		sl_kr_tags(in);
	}
	*ret_topics = topics;
	*ret_parts = parts;
	*ret_names = names;
	return in->rd.bad ? -EPROTO : 0;
}

struct wire_head {
	int32_t max_wait_ms, min_bytes, max_bytes, session_id, session_epoch;
	uint8_t isolation;
};

static void parse_head(struct sl_kr *in, int16_t version, struct wire_head *ret)
{
	sl_kr_i32(in); /* replica id: only consumers come here */
	ret->max_wait_ms = sl_kr_i32(in);
	ret->min_bytes = sl_kr_i32(in);
	ret->max_bytes = sl_kr_i32(in);
	ret->isolation = (uint8_t)sl_kr_i8(in);
	ret->session_id = version >= 7 ? sl_kr_i32(in) : 0;
	ret->session_epoch = version >= 7 ? sl_kr_i32(in) : -1;
}

/* Forgotten topics and the client's rack mean nothing without sessions and replicas. */
static int parse_rest(struct sl_kr *in, int16_t version)
{
	uint32_t n = version >= 7 ? sl_kr_array(in, in->flex ? 3 : 6) : 0;

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (uint32_t t = 0; t < n && !in->rd.bad; t++) {
		sl_kr_str(in);
		sl_rd_bytes(&in->rd, (size_t)sl_kr_array(in, 4) * 4);
		sl_kr_tags(in);
	}
	if (version >= 11)
		sl_kr_str(in);
	sl_kr_tags(in);
	return in->rd.bad ? -EPROTO : 0;
}

static int fetch_new(struct sl_kreq *r, struct sl_kfetch **ret_f)
{
	struct wire_head h;
	uint32_t topics, parts;
	size_t names;
	struct sl_kr in = r->in;
	parse_head(&in, r->version, &h);
	struct sl_kr again = in;
	int rc = parse_topics(r, &in, NULL, &topics, &parts, &names);
	if (!rc)
		rc = parse_rest(&in, r->version);
	if (rc)
		return rc;

	size_t topics_at = SL_ALIGN_UP(sizeof(struct sl_kfetch), 16);
	size_t parts_at = SL_ALIGN_UP(topics_at + topics * sizeof(struct sl_kfetch_topic), 16);
	size_t names_at = parts_at + parts * sizeof(struct sl_kfetch_part);
	size_t size = names_at + names;
	if (!sl_kconn_may_hold(r->conn, size))
		return -EAGAIN;
	struct sl_kfetch *f = calloc(1, size);
	if (!f)
		return -ENOMEM;
	sl_kreq_charge(r, (int64_t)size);
	f->req = r;
	f->topics = (struct sl_kfetch_topic *)(void *)((char *)f + topics_at);
	f->parts = (struct sl_kfetch_part *)(void *)((char *)f + parts_at);
	f->names = (uint8_t *)f + names_at;
	f->isolation = h.isolation;
	f->min_bytes = h.min_bytes;
	uint64_t limit = SL_MAX(r->server->cfg.memory_bytes / 8, 1u << 20);
	f->max_bytes = (int32_t)SL_MIN(SL_MIN(limit, SL_KFETCH_BYTES_MAX),
				       (uint64_t)SL_MAX(h.max_bytes, 1));
	uint64_t wait_ms = (uint64_t)SL_MIN(SL_MAX(h.max_wait_ms, 0), SL_KFETCH_WAIT_MAX_MS);
	f->deadline_ns = sl_kserver_mono_ns(r->server) + wait_ms * 1000000u;
	f->topic_cnt = topics;
	f->part_cnt = parts;
	/* not a whole fetch (epoch 0 asks for a session, -1 for none): we never gave a session out
	 */
	if (h.session_epoch != 0 && h.session_epoch != -1) {
		f->err = SL_KERR_FETCH_SESSION_ID_NOT_FOUND;
		f->topic_cnt = f->part_cnt = 0;
	} else {
		rc = parse_topics(r, &again, f, &topics, &parts, &names);
		SL_ASSERT(rc == 0);
	}
	*ret_f = f;
	return 0;
}

int sl_kapi_fetch(struct sl_kreq *r)
{
	struct sl_kfetch *f;
	/* answers are what takes memory: wait until others are sent */
	if (!sl_kconn_may_hold(r->conn, 0))
		return -EAGAIN;
	int rc = fetch_new(r, &f);
	if (rc)
		return rc;
	sl_kreq_release_frame(r); /* it may be long until the answer */
	r->ctx = f;
	r->cancel = sl_kfetch_cancel;
	sl_kfetch_run(f);
	return 0;
}

/* ---- the answer
 * ---------------------------------------------------------------------------------- */

static void put_part(struct sl_kfetch *f, const struct sl_kfetch_part *x)
{
	struct sl_kout *o = &f->req->out;
	struct sl_kw *w = &o->w;
	int16_t version = f->req->version;
	int64_t end = x->err ? -1 : sl_part_end(x->part);

	sl_kw_i32(w, x->index);
	sl_kw_i16(w, x->err);
	sl_kw_i64(w, end); /* high watermark */
	sl_kw_i64(w, end); /* last stable offset */
	if (version >= 5)
		sl_kw_i64(w, x->err ? -1 : sl_part_start(x->part));
	if (f->isolation) /* read_committed: no transaction was aborted */
		sl_kw_array(w, 0);
	else
		sl_kw_null_array(w);
	if (version >= 11)
		sl_kw_i32(w, -1);   /* preferred read replica */
	sl_kw_bytes_len(w, x->got); /* empty, never null: librdkafka does not take that */
	for (uint32_t i = x->seg_first; i; i = f->seg[i - 1].next)
		sl_kout_splice(o, f->seg[i - 1].p, f->seg[i - 1].len);
	sl_kw_tags(w);
}

void sl_kfetch_answer(struct sl_kfetch *f)
{
	struct sl_kreq *r = f->req;
	struct sl_kw *w = &r->out.w;
	const struct sl_kfetch_part *x = f->parts;

	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	if (r->version >= 7) {
		sl_kw_i16(w, f->err);
		sl_kw_i32(w, 0); /* session id: none */
	}
	sl_kw_array(w, f->topic_cnt);
	for (uint32_t t = 0; t < f->topic_cnt; t++) {
		sl_kw_str(w, f->topics[t].name);
		sl_kw_array(w, f->topics[t].part_cnt);
		for (uint32_t i = 0; i < f->topics[t].part_cnt; i++)
			put_part(f, x++);
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
	sl_kfetch_free(f);
	sl_kreq_done(r);
}

void sl_kfetch_free(struct sl_kfetch *f)
{
	free(f->seg);
	free(f);
}
