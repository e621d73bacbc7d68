/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_metadata.c - Metadata (key 3), versions 0 to 12: this node, and topics with their ids.
 * Topics that do not exist are created by a worker if both the client and the config allow it; and
 * all but the shortest answers are looked up and written there, so that nobody waits for them.
 */
#include <errno.h>
#include <stdlib.h>

#include "admin.h"

#define INLINE_MAX 8 /* topics that are looked up without a worker */

struct want {                 /* one topic that was asked for */
	struct sl_slice name; /* p NULL: by id */
	const uint8_t *id;    /* 16 bytes; NULL: by name */
	struct sl_topic *topic;
	int16_t err;
	bool create;
	bool again; /* it stands before in the list: answered there */
};

struct meta {
	struct sl_job job;
	struct sl_kreq *req;
	bool all, allow_create;
	bool cluster_ops, topic_ops; /* say what the client may do */
	uint32_t cnt;
	struct want want[];
};

struct all { /* every topic there is: `cnt` of those that the request keeps */
	struct sl_kreq *req;
	uint32_t first, cnt;
};

static const uint8_t no_id[16];

/* ---- reading the request --------------------------------------------------------------------- */

static void parse_want(struct sl_kr *in, int16_t version, struct want *ret)
{
	*ret = (struct want){0};
	if (version >= 10) {
		const uint8_t *id = sl_kr_uuid(in);
		ret->id = id && memcmp(id, no_id, 16) ? id : NULL;
		ret->name = sl_kr_nstr(in);
	} else {
		ret->name = sl_kr_str(in);
	}
	sl_kr_tags(in);
	/* ids in requests came to work with version 12 (KAFKA-10774) */
	if (!ret->name.p && (!ret->id || version < 12))
		ret->err = SL_KERR_INVALID_REQUEST;
	else if (ret->name.p)
		ret->id = NULL;
}

static void parse_flags(struct sl_kr *in, int16_t version, struct meta *m)
{
	m->allow_create = version >= 4 ? sl_kr_bool(in) : true;
	if (version >= 8 && version <= 10)
		m->cluster_ops = sl_kr_bool(in);
	if (version >= 8)
		m->topic_ops = sl_kr_bool(in);
	sl_kr_tags(in);
}

static int parse(struct sl_kreq *r, struct meta **ret_m)
{
	struct sl_kr *in = &r->in;
	uint32_t elem_min = r->version >= 10 ? 18 : 2;
	int32_t n = sl_kr_narray(in, elem_min);
	bool all = r->version == 0 ? n <= 0 : n < 0;

	if (n > (int32_t)SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	size_t size = sizeof(struct meta) + (size_t)SL_MAX(n, 0) * sizeof(struct want);
	if (!sl_kconn_may_hold(r->conn, size))
		return -EAGAIN;
	struct meta *m = calloc(1, size);
	if (!m)
		return -ENOMEM;
	m->req = r;
	m->all = all;
	for (int32_t i = 0; i < n && !in->rd.bad; i++)
		parse_want(in, r->version, &m->want[m->cnt++]);
	parse_flags(in, r->version, m);
	if (in->rd.bad || (n < 0 && r->version == 0)) {
		free(m);
		return -EPROTO;
	}
	*ret_m = m;
	return 0;
}

/* ---- finding and creating
 * ------------------------------------------------------------------------ */

static int collect(struct sl_topic *t, void *arg)
{
	struct all *a = arg;
	t = sl_kreq_keep(a->req, sl_topic_ref(t));
	if (!t)
		return 1;
	if (a->cnt == 0)
		a->first = a->req->topic_cnt - 1;
	a->cnt++;
	return 0;
}

static void find_id(struct meta *m, struct want *x)
{
	x->topic = sl_kreq_topic_by_id(m->req, x->id);
	if (!x->topic)
		x->err = SL_KERR_UNKNOWN_TOPIC_ID;
}

static void find_name(struct meta *m, struct want *x)
{
	struct sl_kserver *s = m->req->server;
	const char *name = (const char *)x->name.p;

	if (!sl_topic_name_valid(name, x->name.len)) {
		x->err = SL_KERR_INVALID_TOPIC_EXCEPTION;
		return;
	}
	x->topic = sl_kreq_topic(m->req, x->name);
	if (x->topic)
		return;
	x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
	x->create =
		m->allow_create && s->cfg.auto_create && !sl_ktopic_is_internal(name, x->name.len);
}

static int by_want(const void *a, const void *b)
{
	const struct want *x = *(struct want *const *)a, *y = *(struct want *const *)b;
	int d = 0;

	if (!x->id != !y->id)
		return x->id ? 1 : -1;
	if (x->id)
		d = memcmp(x->id, y->id, 16);
	else if (x->name.len != y->name.len)
		d = x->name.len < y->name.len ? -1 : 1;
	else if (x->name.len)
		d = memcmp(x->name.p, y->name.p, x->name.len);
	return d ? d : x < y ? -1 : 1;
}

static bool is_same(const struct want *x, const struct want *y)
{
	if (x->id || y->id)
		return x->id && y->id && !memcmp(x->id, y->id, 16);
	return x->name.len == y->name.len &&
	       (!x->name.len || !memcmp(x->name.p, y->name.p, x->name.len));
}

/* Each topic is answered once, where it stands first; Apache Kafka takes them as a set. */
static int mark_repeated(struct meta *m)
{
	struct want **by = malloc((m->cnt + 1) * sizeof(struct want *));
	if (!by)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->cnt; i++)
		by[i] = &m->want[i];
	qsort(by, m->cnt, sizeof(struct want *), by_want);
	for (uint32_t i = 1; i < m->cnt; i++)
		by[i]->again = is_same(by[i - 1], by[i]);
	free(by);
	return 0;
}

/* True: some are to be created. */
static bool find(struct meta *m)
{
	bool create = false;

	if (mark_repeated(m))
		m->req->out.w.bad = true;
	for (uint32_t i = 0; i < m->cnt; i++) {
		struct want *x = &m->want[i];
		if (!x->err && !x->topic && !x->again) {
			if (x->id)
				find_id(m, x);
			else
				find_name(m, x);
		}
		create |= x->create;
	}
	return create;
}

static void create_one(struct sl_kreq *r, struct want *x)
{
	struct sl_kserver *s = r->server;
	struct sl_topic_layers layers;
	char name[SL_TOPIC_NAME_MAX + 1], other[SL_TOPIC_NAME_MAX + 1];
	struct sl_topic *t = NULL;

	if (sl_ktopic_collides(s, x->name, other)) {
		x->err = SL_KERR_INVALID_TOPIC_EXCEPTION;
		return;
	}
	uint32_t parts = sl_ktopic_base(s, x->name, &layers);
	memcpy(name, x->name.p, x->name.len);
	name[x->name.len] = '\0';
	int rc = sl_store_topic_create(s->cfg.store, name, parts, &layers, &t);
	if (rc == -EEXIST) { /* another client was faster, or the name stands here twice */
		t = sl_store_topic_find(s->cfg.store, name, x->name.len);
		rc = t ? 0 : -ENOENT;
	}
	x->topic = sl_kreq_keep(r, rc ? NULL : t);
	x->err = sl_kerr_of_create(rc);
}

/* ---- the answer
 * ------------------------------------------------------------------------------------ */

static void put_broker(struct sl_kreq *r)
{
	struct sl_kw *w = &r->out.w;
	uint16_t port;
	const char *host = sl_kadmin_advertised(r, &port);

	sl_kw_array(w, 1);
	sl_kw_i32(w, r->server->cfg.node_id);
	sl_kw_cstr(w, host);
	sl_kw_i32(w, port);
	if (r->version >= 1)
		sl_kw_cstr(w, NULL); /* rack */
	sl_kw_tags(w);
}

static void put_partition(struct sl_kreq *r, const struct sl_part *p)
{
	struct sl_kw *w = &r->out.w;
	int32_t node = r->server->cfg.node_id;

	sl_kw_i16(w, 0);
	sl_kw_i32(w, sl_part_pub(p)->id);
	sl_kw_i32(w, node); /* leader */
	if (r->version >= 7)
		sl_kw_i32(w, sl_part_pub(p)->leader_epoch);
	for (int list = 0; list < 2; list++) { /* replicas, in-sync replicas */
		sl_kw_array(w, 1);
		sl_kw_i32(w, node);
	}
	if (r->version >= 5)
		sl_kw_array(w, 0); /* offline replicas */
	sl_kw_tags(w);
}

/* One topic; t NULL: only its error. */
static void put_topic(const struct meta *m, const struct sl_topic *t, struct sl_slice name,
		      const uint8_t *id, int16_t err)
{
	struct sl_kreq *r = m->req;
	struct sl_kw *w = &r->out.w;
	uint32_t parts = t ? sl_topic_partitions(t) : 0;

	sl_kw_i16(w, err);
	if (name.p || r->version >= 12)
		sl_kw_str(w, name);
	else
		sl_kw_cstr(w, ""); /* not nullable before version 12 */
	if (r->version >= 10)
		sl_kw_raw(w, id, 16);
	if (r->version >= 1)
		sl_kw_bool(w, sl_ktopic_is_internal((const char *)name.p, name.len));
	sl_kw_array(w, parts);
	for (uint32_t i = 0; i < parts && !w->bad; i++)
		put_partition(r, sl_topic_part(t, (int32_t)i));
	if (r->version >= 8)
		sl_kw_i32(w, m->topic_ops && t ? SL_KOPS_TOPIC : SL_KOPS_UNKNOWN);
	sl_kw_tags(w);
}

static void put_known(const struct meta *m, struct sl_topic *t)
{
	const char *name = sl_topic_name(t);
	struct sl_slice s = {(const uint8_t *)name, (uint32_t)strlen(name)};
	put_topic(m, t, s, sl_topic_id(t), 0);
}

static void put_all_topics(const struct meta *m)
{
	struct sl_kreq *r = m->req;
	struct all all = {.req = r};
	struct sl_kw *w = &r->out.w;

	sl_store_topics(r->server->cfg.store, collect, &all);
	sl_kw_array(w, all.cnt);
	for (uint32_t i = 0; i < all.cnt && !w->bad; i++)
		put_known(m, r->topic[all.first + i]);
}

static void put_wanted(struct meta *m)
{
	struct sl_kreq *r = m->req;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->cnt; i++)
		n += !m->want[i].again;
	sl_kw_array(&r->out.w, n);
	for (uint32_t i = 0; i < m->cnt && !r->out.w.bad; i++) {
		const struct want *x = &m->want[i];
		if (x->again)
			continue;
		if (x->topic && !x->err)
			put_known(m, x->topic);
		else
			put_topic(m, NULL, x->name, x->id ? x->id : no_id, x->err);
	}
}

/* Any thread: nobody else looks at a response that is being written. */
static void put_response(struct meta *m)
{
	struct sl_kreq *r = m->req;
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	if (r->version >= 3)
		sl_kw_i32(w, 0); /* throttle time */
	put_broker(r);
	if (r->version >= 2)
		sl_kw_cstr(w, sl_store_cluster_id(r->server->cfg.store));
	if (r->version >= 1)
		sl_kw_i32(w, r->server->cfg.node_id); /* controller */
	if (m->all)
		put_all_topics(m);
	else
		put_wanted(m);
	if (r->version >= 8 && r->version <= 10)
		sl_kw_i32(w, m->cluster_ops ? SL_KOPS_CLUSTER : SL_KOPS_UNKNOWN);
	sl_kw_tags(w);
}

static void job_run(struct sl_job *j, void *worker)
{
	struct meta *m = SL_CONTAINER_OF(j, struct meta, job);
	struct sl_kserver *s = m->req->server;
	bool create = find(m);

	(void)worker;
	for (uint32_t i = 0; create && i < m->cnt && !sl_kserver_cancelled(s); i++)
		if (m->want[i].create)
			create_one(m->req, &m->want[i]);
	put_response(m);
}

static void job_done(struct sl_job *j)
{
	struct meta *m = SL_CONTAINER_OF(j, struct meta, job);
	struct sl_kreq *r = m->req;

	free(m);
	sl_kreq_done(r);
}

int sl_kapi_metadata(struct sl_kreq *r)
{
	struct meta *m;
	int rc = parse(r, &m);
	if (rc)
		return rc;
	if (!m->all && m->cnt <= INLINE_MAX && !find(m)) {
		put_response(m);
		job_done(&m->job);
		return 0;
	}
	m->job = (struct sl_job){.run = job_run, .done = job_done};
	rc = sl_pool_submit(r->server->pool, &m->job);
	if (rc)
		free(m);
	else
		sl_kreq_charge(r, (int64_t)(sizeof(*m) + m->cnt * sizeof(m->want[0])));
	return rc;
}
