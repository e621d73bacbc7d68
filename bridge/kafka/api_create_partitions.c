/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_create_partitions.c - CreatePartitions (key 37), versions 0 to 3: topics grow. Sentences as
 * in org.apache.kafka.controller.ReplicationControlManager.
 */
#include <errno.h>
#include <stdlib.h>

#include "admin.h"

struct item {
	struct sl_kname asked; /* first member */
	int32_t count;
	int32_t assigned; /* new partitions with a manual assignment, -1: null */
	struct sl_kr assignment;
};

struct grow {
	struct sl_kreq *r;
	struct item *item;
	uint32_t cnt;
	uint32_t new_parts;
	int32_t timeout_ms;
	bool validate_only;
};

static void read_item(struct sl_kr *in, struct item *ret, uint32_t *elems)
{
	ret->asked.name = sl_kr_str(in);
	ret->count = sl_kr_i32(in);
	ret->assigned = sl_kr_narray(in, in->flex ? 2 : 4);
	ret->assignment = *in;
	for (int32_t i = 0; i < ret->assigned && !in->rd.bad; i++) {
		sl_rd_bytes(&in->rd, (size_t)sl_kr_array(in, 4) * 4);
		sl_kr_tags(in);
	}
	sl_kr_tags(in);
	*elems += (uint32_t)SL_MAX(ret->assigned, 0);
}

static int parse(struct grow *g)
{
	struct sl_kr in = g->r->in;
	uint32_t elems = 0, n = sl_kr_array(&in, in.flex ? 7 : 10);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	g->item = calloc(n + 1, sizeof(*g->item));
	if (!g->item)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !in.rd.bad; i++) {
		read_item(&in, &g->item[g->cnt++], &elems);
		if (elems > SL_KREQ_PARTS_MAX)
			return -E2BIG;
	}
	g->timeout_ms = sl_kr_i32(&in);
	g->validate_only = sl_kr_bool(&in);
	sl_kr_tags(&in);
	return in.rd.bad ? -EPROTO : 0;
}

static void check_assignment(struct grow *g, const struct item *x, uint32_t more,
			     struct sl_kadmin_err *e)
{
	struct sl_kr in = x->assignment;

	if ((uint32_t)x->assigned != more) {
		sl_kadmin_err(e, SL_KERR_INVALID_REPLICA_ASSIGNMENT,
			      "Attempted to add %u additional partition(s), but only %d "
			      "assignment(s) were specified.",
			      more, x->assigned);
		return;
	}
	for (int32_t i = 0; i < x->assigned && !e->code; i++) {
		sl_kassignment_ok(g->r->server, &in, e);
		sl_kr_tags(&in);
	}
}

static void check(struct grow *g, const struct item *x, const struct sl_topic *t,
		  struct sl_kadmin_err *e)
{
	uint32_t have = sl_topic_partitions(t);

	if (sl_ktopic_is_internal((const char *)x->asked.name.p, x->asked.name.len)) {
		sl_kadmin_err(e, SL_KERR_INVALID_TOPIC_EXCEPTION,
			      "The partitions of %.*s belong to the gateway.",
			      SL_KSTR(x->asked.name));
	} else if (x->count == (int32_t)have) {
		sl_kadmin_err(e, SL_KERR_INVALID_PARTITIONS, "Topic already has %u partition(s).",
			      have);
	} else if (x->count < (int32_t)have) {
		sl_kadmin_err(e, SL_KERR_INVALID_PARTITIONS,
			      "The topic %.*s currently has %u partition(s); %d would not be an "
			      "increase.",
			      SL_KSTR(x->asked.name), have, x->count);
	} else if (x->count > SL_PARTITIONS_MAX) {
		sl_kadmin_err(e, SL_KERR_INVALID_PARTITIONS,
			      "A topic has at most %d partitions here.", SL_PARTITIONS_MAX);
	} else if ((uint32_t)x->count - have > SL_KADMIN_NEW_PARTS - g->new_parts) {
		sl_kadmin_err(e, SL_KERR_POLICY_VIOLATION,
			      "Excessively large number of partitions per request.");
	} else if (x->assigned >= 0) {
		check_assignment(g, x, (uint32_t)x->count - have, e);
	}
	if (!e->code)
		g->new_parts += (uint32_t)x->count - have;
}

static void grow(struct grow *g, const struct item *x, struct sl_topic *t, struct sl_kadmin_err *e)
{
	int rc = sl_store_partitions_add(g->r->server->cfg.store, t, (uint32_t)x->count);

	if (rc == 0)
		return;
	if (rc == -EMFILE)
		sl_kadmin_err(e, SL_KERR_POLICY_VIOLATION,
			      "This gateway takes at most %d partitions in all.",
			      SL_STORE_PARTS_MAX);
	else if (rc == -ENOENT)
		sl_kadmin_err(e, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
	else
		sl_kadmin_err(e, SL_KERR_KAFKA_STORAGE_ERROR,
			      "The partitions could not be made: %s.", strerror(-rc));
}

static void grow_one(struct grow *g, const struct item *x, struct sl_kadmin_err *e)
{
	struct sl_topic *t;

	if (g->timeout_ms <= 0) {
		sl_kadmin_err(e, SL_KERR_REQUEST_TIMED_OUT, NULL);
		return;
	}
	if (x->asked.again) {
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST, "Duplicate topic name.");
		return;
	}
	t = sl_kreq_topic(g->r, x->asked.name);
	if (!t) {
		sl_kadmin_err(e, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
		return;
	}
	check(g, x, t, e);
	if (!e->code && !g->validate_only)
		grow(g, x, t, e);
}

static int run(struct sl_kreq *r)
{
	struct grow g = {.r = r};
	struct sl_kw *w = &r->out.w;
	uint32_t n = 0;
	int rc = parse(&g);

	if (!rc)
		rc = sl_knames_mark(g.item, sizeof(*g.item), g.cnt);
	if (rc)
		goto out;
	for (uint32_t i = 0; i < g.cnt; i++)
		n += g.item[i].asked.first;
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, n);
	for (uint32_t i = 0; i < g.cnt; i++) {
		struct sl_kadmin_err e = {0};
		if (!g.item[i].asked.first)
			continue;
		grow_one(&g, &g.item[i], &e);
		sl_kw_str(w, g.item[i].asked.name);
		sl_kadmin_put_code(r, e.code);
		sl_kadmin_put_msg(w, &e);
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
out:
	free(g.item);
	return rc;
}

int sl_kapi_create_partitions(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_CHANGE, run);
}
