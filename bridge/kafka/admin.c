/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct sl_kadmin {
	struct sl_job job;
	STAILQ_ENTRY(sl_kadmin) link; /* in server->admin */
	struct sl_kreq *req;
	sl_kadmin_fn run;
	enum sl_kadmin_kind kind;
	int rc;
};

/* ---- running --------------------------------------------------------------------------------- */

static void job_run(struct sl_job *j, void *worker)
{
	struct sl_kadmin *a = SL_CONTAINER_OF(j, struct sl_kadmin, job);
	(void)worker;
	a->rc = -ECANCELED;
	if (!sl_kserver_cancelled(a->req->server))
		a->rc = a->run(a->req);
}

static void end(struct sl_kreq *r, int rc)
{
	static const struct {
		int rc;
		const char *why;
	} whys[] = {
		{-EPROTO, "malformed request"},
		{-E2BIG, "request names too much"},
		{-ENOMEM, "out of memory"},
	};

	if (rc == 0) {
		sl_kcount(&r->server->counters.admin_errors, r->refused);
		sl_kreq_done(r);
		return;
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(whys); i++) {
		if (whys[i].rc == rc) {
			sl_kreq_fail(r, whys[i].why);
			return;
		}
	}
	sl_kreq_drop(r); /* cancelled: nobody waits for it any more */
}

static void job_done(struct sl_job *j)
{
	struct sl_kadmin *a = SL_CONTAINER_OF(j, struct sl_kadmin, job);
	struct sl_kreq *r = a->req;
	struct sl_kserver *s = r->server;
	int rc = a->rc;

	if (a->kind == SL_KADMIN_CHANGE) {
		STAILQ_REMOVE_HEAD(&s->admin, link);
		struct sl_kadmin *next = STAILQ_FIRST(&s->admin);
		if (next) {
			int err = sl_pool_submit(s->pool, &next->job);
			SL_ASSERT(err == 0); /* this one has just given its place back */
		}
	}
	free(a);
	end(r, rc);
}

int sl_kadmin_start(struct sl_kreq *r, enum sl_kadmin_kind kind, sl_kadmin_fn run)
{
	struct sl_kserver *s = r->server;
	/* two bytes are the least that an element takes */
	uint64_t work = (uint64_t)SL_MIN(r->size / 2, SL_KREQ_TOPICS_MAX) * SL_KADMIN_WORK_PER_REQ;

	if (!sl_kconn_may_hold(r->conn, work))
		return -EAGAIN;
	struct sl_kadmin *a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct sl_kadmin){
		.job = {.run = job_run, .done = job_done}, .req = r, .run = run, .kind = kind};
	bool first = kind == SL_KADMIN_READ || STAILQ_EMPTY(&s->admin);
	int rc = first ? sl_pool_submit(s->pool, &a->job) : 0;
	if (rc) {
		free(a);
		return rc;
	}
	if (kind == SL_KADMIN_CHANGE)
		STAILQ_INSERT_TAIL(&s->admin, a, link);
	sl_kreq_charge(r, (int64_t)work);
	return 0;
}

/* ---- errors ---------------------------------------------------------------------------------- */

void sl_kadmin_err(struct sl_kadmin_err *e, int16_t code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->said = fmt != NULL;
	if (!fmt)
		return;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
}

void sl_kadmin_put_code(struct sl_kreq *r, int16_t code)
{
	r->refused += code != 0;
	sl_kw_i16(&r->out.w, code);
}

void sl_kadmin_put_msg(struct sl_kw *w, const struct sl_kadmin_err *e)
{
	sl_kw_cstr(w, e->said ? e->msg : NULL);
}

/* ---- topics ---------------------------------------------------------------------------------- */

bool sl_ktopic_is_internal(const char *name, size_t len)
{
	static const char *const names[] = {"__consumer_offsets", "__transaction_state",
					    "__cluster_metadata"};
	for (size_t i = 0; i < SL_ARRAY_SIZE(names); i++)
		if (len == strlen(names[i]) && !memcmp(name, names[i], len))
			return true;
	return false;
}

bool sl_ktopic_name_ok(struct sl_slice name, struct sl_kadmin_err *e)
{
	const char *p = (const char *)name.p;

	if (sl_topic_name_valid(p, name.len))
		return true;
	if (name.len == 0)
		sl_kadmin_err(e, SL_KERR_INVALID_TOPIC_EXCEPTION,
			      "Topic name is invalid: the empty string is not allowed");
	else if (p[0] == '.' && (name.len == 1 || (name.len == 2 && p[1] == '.')))
		sl_kadmin_err(e, SL_KERR_INVALID_TOPIC_EXCEPTION,
			      "Topic name is invalid: '%.*s' is not allowed", SL_KSTR(name));
	else if (name.len > SL_TOPIC_NAME_MAX)
		sl_kadmin_err(e, SL_KERR_INVALID_TOPIC_EXCEPTION,
			      "Topic name is invalid: the length of '%.*s' is longer than the max "
			      "allowed length %d",
			      SL_KSTR(name), SL_TOPIC_NAME_MAX);
	else
		sl_kadmin_err(e, SL_KERR_INVALID_TOPIC_EXCEPTION,
			      "Topic name is invalid: '%.*s' contains one or more characters other "
			      "than ASCII alphanumerics, '.', '_' and '-'",
			      SL_KSTR(name));
	return false;
}

struct collision {
	struct sl_slice name;
	char *ret_name;
	bool found;
};

static int compare_name(struct sl_topic *t, void *arg)
{
	struct collision *c = arg;
	const char *have = sl_topic_name(t), *want = (const char *)c->name.p;
	bool differs = false;

	if (strlen(have) != c->name.len)
		return 0;
	for (uint32_t i = 0; i < c->name.len; i++) {
		char a = have[i] == '.' ? '_' : have[i], b = want[i] == '.' ? '_' : want[i];
		if (a != b)
			return 0;
		differs |= have[i] != want[i];
	}
	if (!differs)
		return 0;
	memcpy(c->ret_name, have, c->name.len + 1);
	c->found = true;
	return 1;
}

bool sl_ktopic_collides(struct sl_kserver *s, struct sl_slice name,
			char ret_name[SL_TOPIC_NAME_MAX + 1])
{
	struct collision c = {.name = name, .ret_name = ret_name};

	if (memchr(name.p, '.', name.len) || memchr(name.p, '_', name.len))
		sl_store_topics(s->cfg.store, compare_name, &c);
	return c.found;
}

uint32_t sl_ktopic_base(const struct sl_kserver *s, struct sl_slice name,
			struct sl_topic_layers *ret_layers)
{
	const struct sl_config *c = s->cfg.config;

	*ret_layers = (struct sl_topic_layers){.base = s->topic_defaults};
	for (uint32_t i = 0; c && i < c->topic_cnt; i++) {
		const struct sl_cfg_topic *t = &c->topic[i];
		if (strlen(t->name) != name.len || memcmp(t->name, name.p, name.len) != 0)
			continue;
		ret_layers->base = t->cfg;
		ret_layers->base_set = t->set;
		return t->partitions;
	}
	return s->cfg.num_partitions;
}

static void other_broker(int32_t id, struct sl_kadmin_err *e)
{
	sl_kadmin_err(e, SL_KERR_INVALID_REPLICA_ASSIGNMENT,
		      "The manual partition assignment includes broker %d, but no such broker is "
		      "registered.",
		      id);
}

bool sl_kassignment_ok(const struct sl_kserver *s, struct sl_kr *in, struct sl_kadmin_err *e)
{
	uint32_t n = sl_kr_array(in, 4), own = 0;

	if (n == 0)
		sl_kadmin_err(e, SL_KERR_INVALID_REPLICA_ASSIGNMENT,
			      "The manual partition assignment includes an empty replica list.");
	for (uint32_t i = 0; i < n; i++) {
		int32_t id = sl_kr_i32(in);
		if (id == s->cfg.node_id)
			own++;
		else if (!e->code)
			other_broker(id, e);
	}
	if (!e->code && own > 1)
		sl_kadmin_err(e, SL_KERR_INVALID_REPLICA_ASSIGNMENT,
			      "The manual partition assignment includes the broker %d more than "
			      "once.",
			      s->cfg.node_id);
	return e->code == 0;
}

/* ---- slices ---------------------------------------------------------------------------------- */

bool sl_kslice_same(struct sl_slice a, struct sl_slice b)
{
	return a.len == b.len && !a.p == !b.p && (!a.len || !memcmp(a.p, b.p, a.len));
}

static int by_content(const void *x, const void *y)
{
	const struct sl_slice *a = *(const struct sl_slice *const *)x;
	const struct sl_slice *b = *(const struct sl_slice *const *)y;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len ? memcmp(a->p, b->p, a->len) : 0;
}

void sl_kslices_sort(struct sl_slice **by, uint32_t n)
{
	qsort(by, n, sizeof(struct sl_slice *), by_content);
}

int sl_knames_mark(void *items, size_t stride, uint32_t n)
{
	struct sl_slice **by = calloc(n + 1, sizeof(*by));

	if (!by)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct sl_kname *x = (struct sl_kname *)(void *)((uint8_t *)items + i * stride);
		by[i] = &x->name;
		x->first = true;
		x->again = false;
	}
	sl_kslices_sort(by, n);
	for (uint32_t i = 1; i < n; i++) {
		struct sl_kname *before = SL_CONTAINER_OF(by[i - 1], struct sl_kname, name);
		struct sl_kname *x = SL_CONTAINER_OF(by[i], struct sl_kname, name);
		if (!sl_kslice_same(before->name, x->name))
			continue;
		x->again = before->again = true;
		x->first = false;
	}
	free(by);
	return 0;
}

/* ---- who we are ------------------------------------------------------------------------------ */

const char *sl_kadmin_advertised(const struct sl_kreq *r, uint16_t *ret_port)
{
	const struct sl_kserver_cfg *cfg = &r->server->cfg;

	if (!cfg->advertise_host || !*cfg->advertise_host)
		return sl_kconn_local(r->conn, ret_port);
	*ret_port = cfg->advertise_port;
	return cfg->advertise_host;
}
