/* SPDX-License-Identifier: Apache-2.0 */
/* api_produce.c - Produce (key 0), versions 3 to 9: the request, its check, and the answer. */
#include <errno.h>
#include <stdlib.h>

#include "admin.h"
#include "produce.h"

/* Uncompressed bytes that are checked without a worker: a quarter of a millisecond at most. Going
 * by a worker costs two thread switches and a cold cache (docs/decisions/0046). */
#define INLINE_MAX       (1u << 20)
#define RECOMPRESSED_MAX (32u << 20) /* of one request, by topics with a compression.type */

/* ---- reading the request --------------------------------------------------------------------- */

/* Reads one partition; with p NULL only counts. */
static void parse_part(struct sl_kr *in, struct sl_kproduce *p, uint8_t *frame, uint32_t *cnt)
{
	int32_t index = sl_kr_i32(in);
	struct sl_slice recs = sl_kr_nbytes(in);

	sl_kr_tags(in);
	if (p) {
		struct sl_kproduce_part *x = &p->parts[*cnt];
		x->produce = p;
		x->index = index;
		x->topic = p->topic_cnt;
		x->base_offset = x->log_start = -1;
		x->check.append_time_ms = -1;
		/* the frame is ours to change, the slice into it is const */
		x->recs = recs.p ? frame + (recs.p - frame) : NULL;
		x->recs_len = recs.len;
		p->bytes += recs.len;
	}
	++*cnt;
}

/*
 * Runs twice: with p NULL it checks the structure and counts, then it fills what was allocated
 * from the counts. The cursor is the caller's copy.
 */
static int parse(const struct sl_kreq *r, struct sl_kr in, struct sl_kproduce *p,
		 uint32_t *ret_topics, uint32_t *ret_parts)
{
	uint32_t parts = 0;
	bool transactional = sl_kr_nstr(&in).p != NULL;
	int16_t acks = sl_kr_i16(&in);
	int32_t timeout_ms = sl_kr_i32(&in);
	uint32_t topics = sl_kr_array(&in, in.flex ? 3 : 6);

	if (topics > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	if (p) {
		p->transactional = transactional;
		p->acks = acks;
		p->timeout_ms = timeout_ms;
	}
	for (uint32_t t = 0; t < topics && !in.rd.bad; t++) {
		struct sl_slice name = sl_kr_str(&in);
		uint32_t n = sl_kr_array(&in, in.flex ? 6 : 8);
		if (n > SL_KREQ_PARTS_MAX - parts)
			return -E2BIG;
		for (uint32_t i = 0; i < n && !in.rd.bad; i++)
			parse_part(&in, p, r->frame, &parts);
		sl_kr_tags(&in);
		if (p)
			p->topics[p->topic_cnt++] =
				(struct sl_kproduce_topic){.name = name, .part_cnt = n};
	}
	sl_kr_tags(&in);
	if (in.rd.bad)
		return -EPROTO;
	*ret_topics = topics;
	*ret_parts = parts;
	return 0;
}

static int produce_new(struct sl_kreq *r, struct sl_kproduce **ret_p)
{
	uint32_t topics, parts;
	int rc = parse(r, r->in, NULL, &topics, &parts);
	if (rc)
		return rc;
	size_t topics_at = SL_ALIGN_UP(sizeof(struct sl_kproduce), 16);
	size_t parts_at = SL_ALIGN_UP(topics_at + topics * sizeof(struct sl_kproduce_topic), 16);
	size_t size = parts_at + parts * sizeof(struct sl_kproduce_part);
	if (!sl_kconn_may_hold(r->conn, size))
		return -EAGAIN;
	struct sl_kproduce *p = calloc(1, size);
	if (!p)
		return -ENOMEM;
	p->req = r;
	p->now_ms = sl_kserver_wall_ms(r->server);
	p->topics = (struct sl_kproduce_topic *)(void *)((char *)p + topics_at);
	p->parts = (struct sl_kproduce_part *)(void *)((char *)p + parts_at);
	p->part_cnt = parts;
	rc = parse(r, r->in, p, &topics, &parts);
	SL_ASSERT(rc == 0 && parts == p->part_cnt); /* the same bytes as before */
	sl_kreq_charge(r, (int64_t)size);
	*ret_p = p;
	return 0;
}

static void produce_free(struct sl_kproduce *p)
{
	for (uint32_t i = 0; i < p->part_cnt; i++)
		sl_kcheck_fini(&p->parts[i].check);
	free(p);
}

/* Clients may not write to internal topics, but Kafka's own tool that says who it is may. */
static bool may_write(const struct sl_kreq *r, struct sl_slice topic)
{
	static const char admin[] = "__admin_client";
	struct sl_slice id = r->client_id;

	return !sl_ktopic_is_internal((const char *)topic.p, topic.len) ||
	       (id.len == sizeof(admin) - 1 && !memcmp(id.p, admin, id.len));
}

static void look_up(struct sl_kproduce *p)
{
	struct sl_kproduce_part *x = p->parts;

	for (uint32_t t = 0; t < p->topic_cnt; t++) {
		struct sl_kproduce_topic *tp = &p->topics[t];
		tp->topic = sl_kreq_topic(p->req, tp->name);
		if (tp->topic)
			sl_topic_cfg_get(tp->topic, &tp->cfg);
		for (uint32_t i = 0; i < tp->part_cnt; i++, x++) {
			x->part = tp->topic ? sl_topic_part(tp->topic, x->index) : NULL;
			if (p->acks < -1 || p->acks > 1)
				x->err = SL_KERR_INVALID_REQUIRED_ACKS;
			else if (!may_write(p->req, tp->name))
				x->err = SL_KERR_INVALID_TOPIC_EXCEPTION;
			else if (!x->part)
				x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
			else if (p->acks == -1 && tp->cfg.acks_central)
				x->central = sl_kproduce_central_ok(x);
		}
	}
}

/* ---- checking
 * ------------------------------------------------------------------------------------ */

static void check_all(struct sl_kproduce *p, struct sl_kworker *w)
{
	uint64_t own = 0;

	for (uint32_t i = 0; i < p->part_cnt; i++) {
		struct sl_kproduce_part *x = &p->parts[i];
		struct sl_kcheck_in in = {.version = p->req->version,
					  .transactional = p->transactional,
					  .now_ms = p->now_ms,
					  .cfg = &p->topics[x->topic].cfg};
		if (!x->err && sl_kserver_cancelled(p->req->server))
			x->err = SL_KERR_REQUEST_TIMED_OUT; /* the stop does not wait for it */
		if (x->err)
			continue;
		sl_kcheck_batch(&in, x->recs, x->recs_len, w, &x->check);
		own += x->check.own ? x->check.len : 0;
		if (own > RECOMPRESSED_MAX) {
			x->check.err = SL_KERR_MESSAGE_TOO_LARGE;
			x->check.msg = "the request expands beyond what is taken";
			sl_kcheck_fini(&x->check);
		}
		x->err = x->check.err;
		x->msg = x->check.msg;
	}
}

/* Cheaper to check at once than to hand over: nothing to decompress or to compress, and small. */
static bool is_light(const struct sl_kproduce *p)
{
	if (p->bytes > INLINE_MAX)
		return false;
	for (uint32_t i = 0; i < p->part_cnt; i++) {
		const struct sl_kproduce_part *x = &p->parts[i];
		if (x->err || x->recs_len < SL_BATCH_HDR)
			continue;
		int to = p->topics[x->topic].cfg.compression;
		if ((sl_batch_attrs(x->recs) & SL_ATTR_CODEC_MASK) != SL_CODEC_NONE ||
		    (to != SL_COMP_PRODUCER && to != SL_CODEC_NONE))
			return false;
	}
	return true;
}

static void check_run(struct sl_job *j, void *worker)
{
	check_all(SL_CONTAINER_OF(j, struct sl_kproduce, job), worker);
}

static void check_done(struct sl_job *j)
{
	struct sl_kproduce *p = SL_CONTAINER_OF(j, struct sl_kproduce, job);

	for (uint32_t i = 0; i < p->part_cnt; i++)
		if (p->parts[i].check.own)
			sl_kreq_charge(p->req, p->parts[i].check.len);
	p->checked = true;
	sl_kproduce_inject(p->req->server, sl_kconn_order(p->req->conn));
}

int sl_kapi_produce(struct sl_kreq *r)
{
	struct sl_kserver *s = r->server;
	struct sl_korder *order = sl_kconn_order(r->conn);
	uint64_t charged = r->charged;
	struct sl_kproduce *p;
	if (!sl_kconn_may_hold(r->conn, 0))
		return -EAGAIN;
	int rc = produce_new(r, &p);
	if (rc)
		return rc;
	look_up(p);
	if (is_light(p)) {
		check_all(p, &s->inline_worker);
		p->checked = true;
	} else {
		p->job = (struct sl_job){.run = check_run, .done = check_done};
		rc = sl_pool_submit(s->pool, &p->job);
		if (rc) {
			sl_kreq_charge(r, (int64_t)charged - (int64_t)r->charged);
			produce_free(p);
			return rc;
		}
	}
	r->ctx = p;
	TAILQ_INSERT_TAIL(&order->queue, p, order_link);
	sl_kproduce_inject(s, order);
	return 0;
}

/* ---- answering
 * ------------------------------------------------------------------------------------ */

static void put_part(struct sl_kw *w, const struct sl_kproduce_part *x, int16_t version)
{
	sl_kw_i32(w, x->index);
	sl_kw_i16(w, x->err);
	sl_kw_i64(w, x->err ? -1 : x->base_offset);
	sl_kw_i64(w, x->err ? -1 : x->check.append_time_ms);
	if (version >= 5)
		sl_kw_i64(w, x->err ? -1 : x->log_start);
	if (version >= 8) {
		sl_kw_array(w, x->check.record_cnt);
		for (uint32_t i = 0; i < x->check.record_cnt; i++) {
			sl_kw_i32(w, x->check.record[i].index);
			sl_kw_cstr(w, x->check.record[i].msg);
			sl_kw_tags(w);
		}
		sl_kw_cstr(w, x->err ? x->msg : NULL);
	}
	sl_kw_tags(w);
}

static void put_response(struct sl_kproduce *p)
{
	struct sl_kw *w = &p->req->out.w;
	const struct sl_kproduce_part *x = p->parts;

	sl_kreq_begin(p->req);
	sl_kw_array(w, p->topic_cnt);
	for (uint32_t t = 0; t < p->topic_cnt; t++) {
		sl_kw_str(w, p->topics[t].name);
		sl_kw_array(w, p->topics[t].part_cnt);
		for (uint32_t i = 0; i < p->topics[t].part_cnt; i++)
			put_part(w, x++, p->req->version);
		sl_kw_tags(w);
	}
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_tags(w);
}

/* Ends the request; p is gone afterwards, and so may be its connection. */
void sl_kproduce_answer(struct sl_kproduce *p)
{
	struct sl_kreq *r = p->req;
	struct sl_kcounters *n = &r->server->counters;
	int16_t acks = p->acks;
	uint32_t failed = 0;

	for (uint32_t i = 0; i < p->part_cnt; i++) {
		if (p->parts[i].err)
			failed++;
		else
			sl_kcount(&n->produce_records, p->parts[i].check.records);
	}
	sl_kcount(&n->produce_errors, failed);
	if (acks)
		put_response(p);
	produce_free(p);
	if (acks)
		sl_kreq_done(r);
	else if (failed)
		sl_kreq_fail(r, "records with acks=0 were refused");
	else
		sl_kreq_drop(r);
}
