/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_create_topics.c - CreateTopics (key 19), versions 2 to 7. What is checked in which order, and
 * the sentences, are those of org.apache.kafka.controller.ReplicationControlManager.
 */
#include <errno.h>
#include <stdlib.h>

#include "settings.h"

struct item {
	struct sl_kname asked; /* first member */
	struct sl_kr body;     /* behind the name */
};

struct create { /* the request */
	struct sl_kreq *r;
	struct item *item;
	uint32_t cnt;
	uint32_t new_parts; /* made so far */
	int32_t timeout_ms;
	bool validate_only;
};

struct wish { /* one topic of it */
	struct sl_slice name;
	int32_t parts;
	int16_t replication;
	uint32_t assigned;
	uint32_t usual; /* partitions if the request does not say */
	struct sl_topic_layers layers;
};

static const uint8_t no_id[16];

/* ---- reading --------------------------------------------------------------------------------- */

static void skip_body(struct sl_kr *in, uint32_t *elems)
{
	sl_kr_i32(in);
	sl_kr_i16(in);
	uint32_t n = sl_kr_array(in, 5);
	for (uint32_t i = 0; i < n && !in->rd.bad; i++) {
		sl_kr_i32(in);
		sl_rd_bytes(&in->rd, (size_t)sl_kr_array(in, 4) * 4);
		sl_kr_tags(in);
	}
	uint32_t configs = sl_kr_array(in, in->flex ? 3 : 4);
	for (uint32_t i = 0; i < configs && !in->rd.bad; i++) {
		sl_kr_str(in);
		sl_kr_nstr(in);
		sl_kr_tags(in);
	}
	sl_kr_tags(in);
	*elems += n + configs;
}

static int parse(struct create *c)
{
	struct sl_kr in = c->r->in;
	uint32_t elems = 0, n = sl_kr_array(&in, in.flex ? 10 : 16);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	c->item = calloc(n + 1, sizeof(*c->item));
	if (!c->item)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !in.rd.bad; i++) {
		struct item *x = &c->item[c->cnt++];
		x->asked.name = sl_kr_str(&in);
		x->body = in;
		skip_body(&in, &elems);
		if (elems > SL_KREQ_PARTS_MAX)
			return -E2BIG;
	}
	c->timeout_ms = sl_kr_i32(&in);
	c->validate_only = sl_kr_bool(&in);
	sl_kr_tags(&in);
	return in.rd.bad ? -EPROTO : 0;
}

/* ---- one topic ------------------------------------------------------------------------------- */

/* The manual assignment: each partition once, in sequence from 0, each on this node. */
static bool read_assignment(struct create *c, struct sl_kr *in, uint32_t n, struct sl_kadmin_err *e)
{
	static const char gap[] = "partitions should be a consecutive 0-based integer sequence";
	uint8_t seen[SL_PARTITIONS_MAX / 8] = {0};
	bool in_range = true;

	for (uint32_t i = 0; i < n; i++) {
		int32_t part = sl_kr_i32(in);
		struct sl_kr brokers = *in;
		sl_rd_bytes(&in->rd, (size_t)sl_kr_array(in, 4) * 4);
		sl_kr_tags(in);
		if (e->code)
			continue;
		if (part < 0 || (uint32_t)part >= SL_MIN(n, SL_PARTITIONS_MAX)) {
			in_range = false;
		} else if (seen[part / 8] & 1u << part % 8) {
			sl_kadmin_err(
				e, SL_KERR_INVALID_REPLICA_ASSIGNMENT,
				"Found multiple manual partition assignments for partition %d",
				part);
			continue;
		} else {
			seen[part / 8] |= (uint8_t)(1u << part % 8);
		}
		sl_kassignment_ok(c->r->server, &brokers, e);
	}
	if (!e->code && !in_range)
		sl_kadmin_err(e, SL_KERR_INVALID_REPLICA_ASSIGNMENT, "%s", gap);
	return e->code == 0;
}

static void read_configs(struct create *c, struct sl_kr *in, struct wish *x,
			 struct sl_kadmin_err *e)
{
	uint32_t n = sl_kr_array(in, in->flex ? 3 : 4);

	for (uint32_t i = 0; i < n; i++) {
		struct sl_slice key = sl_kr_str(in), value = sl_kr_nstr(in);
		sl_kr_tags(in);
		if (e->code)
			continue;
		if (!value.p)
			sl_kadmin_err(e, SL_KERR_INVALID_CONFIG,
				      "Null value not supported for topic configs: %.*s",
				      SL_KSTR(key));
		else
			sl_ktopic_setting_put(c->r->server, key, value, &x->layers, e);
	}
	if (!e->code)
		sl_ktopic_settings_fit(c->r->server, x->name, NULL, &x->layers, e);
}

/* Numbers of partitions and replicas without an assignment. */
static void check_counts(const struct create *c, struct wish *x, struct sl_kadmin_err *e)
{
	const struct sl_kserver_cfg *cfg = &c->r->server->cfg;

	if (x->replication < -1 || x->replication == 0)
		sl_kadmin_err(e, SL_KERR_INVALID_REPLICATION_FACTOR,
			      "Replication factor must be larger than 0, or -1 to use the default "
			      "value.");
	else if (x->parts < -1 || x->parts == 0)
		sl_kadmin_err(e, SL_KERR_INVALID_PARTITIONS,
			      "Number of partitions was set to an invalid non-positive value.");
	else if (x->replication > 1 && !cfg->clamp_replication)
		sl_kadmin_err(
			e, SL_KERR_INVALID_REPLICATION_FACTOR,
			"Unable to replicate the partition %d time(s): The target replication "
			"factor of %d cannot be reached because only 1 broker(s) are "
			"registered.",
			x->replication, x->replication);
	else if (x->parts == -1)
		x->parts = (int32_t)x->usual;
}

static void check_limits(const struct create *c, const struct wish *x, struct sl_kadmin_err *e)
{
	if (e->code)
		return;
	if ((uint32_t)x->parts > SL_KADMIN_NEW_PARTS - c->new_parts)
		sl_kadmin_err(e, SL_KERR_POLICY_VIOLATION,
			      "Excessively large number of partitions per request.");
	else if (x->parts > SL_PARTITIONS_MAX)
		sl_kadmin_err(e, SL_KERR_INVALID_PARTITIONS,
			      "A topic has at most %d partitions here.", SL_PARTITIONS_MAX);
}

static void check_name(struct create *c, struct sl_slice name, struct sl_kadmin_err *e)
{
	struct sl_kserver *s = c->r->server;
	char other[SL_TOPIC_NAME_MAX + 1];

	if (!sl_ktopic_name_ok(name, e))
		return;
	struct sl_topic *t = sl_store_topic_find(s->cfg.store, (const char *)name.p, name.len);
	if (t)
		sl_kadmin_err(e, SL_KERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.",
			      SL_KSTR(name));
	else if (sl_ktopic_is_internal((const char *)name.p, name.len))
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Creation of internal topic %.*s is prohibited.", SL_KSTR(name));
	else if (sl_ktopic_collides(s, name, other))
		sl_kadmin_err(e, SL_KERR_INVALID_TOPIC_EXCEPTION,
			      "Topic '%.*s' collides with existing topic: %s", SL_KSTR(name),
			      other);
	sl_topic_put(t);
}

static void read_wish(struct create *c, struct item *it, struct wish *x, struct sl_kadmin_err *e)
{
	struct sl_kr in = it->body;
	static const char manual[] = "A manual partition assignment was specified, but %s was not "
				     "set to -1.";
	struct sl_kadmin_err later = {0}; /* the settings are looked at first */

	x->parts = sl_kr_i32(&in);
	x->replication = sl_kr_i16(&in);
	x->assigned = sl_kr_array(&in, 5);
	read_assignment(c, &in, x->assigned, &later);
	read_configs(c, &in, x, e);
	if (e->code)
		return;
	if (!x->assigned) {
		check_counts(c, x, e);
	} else if (x->replication != -1 || x->parts != -1) {
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST, manual,
			      x->replication != -1 ? "replication factor" : "numPartitions");
	} else {
		*e = later;
		x->parts = (int32_t)x->assigned;
	}
	check_limits(c, x, e);
}

static struct sl_topic *make(struct create *c, struct sl_slice name, const struct wish *x,
			     struct sl_kadmin_err *e)
{
	char text[SL_TOPIC_NAME_MAX + 1];
	struct sl_topic *t = NULL;

	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	int rc = sl_store_topic_create(c->r->server->cfg.store, text, (uint32_t)x->parts,
				       &x->layers, &t);
	if (rc == 0)
		return sl_kreq_keep(c->r, t);
	if (rc == -EEXIST)
		sl_kadmin_err(e, SL_KERR_TOPIC_ALREADY_EXISTS, "Topic '%s' already exists.", text);
	else if (rc == -EMFILE)
		sl_kadmin_err(e, SL_KERR_POLICY_VIOLATION,
			      "This gateway takes at most %d topics with %d partitions in all.",
			      SL_STORE_TOPICS_MAX, SL_STORE_PARTS_MAX);
	else
		sl_kadmin_err(e, sl_kerr_of_create(rc), "The topic could not be made: %s.",
			      strerror(-rc));
	return NULL;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_configs(struct sl_kreq *r, const struct sl_topic_layers *layers)
{
	struct sl_kw *w = &r->out.w;
	struct sl_ksetting e;
	uint32_t n = sl_ktopic_setting_cnt();

	sl_kw_array(w, n);
	for (uint32_t i = 0; i < n; i++) {
		sl_ktopic_setting(r->server, i, layers, &e);
		sl_kw_cstr(w, e.name);
		sl_kw_cstr(w, e.value);
		sl_kw_bool(w, e.read_only);
		sl_kw_i8(w, e.source);
		sl_kw_bool(w, false); /* sensitive */
		sl_kw_tags(w);
	}
}

static void put_result(struct create *c, struct sl_slice name, const struct sl_topic *t,
		       const struct wish *x, const struct sl_kadmin_err *e)
{
	struct sl_kw *w = &c->r->out.w;
	int16_t version = c->r->version;

	sl_kw_str(w, name);
	if (version >= 7)
		sl_kw_raw(w, t ? sl_topic_id(t) : no_id, 16);
	sl_kadmin_put_code(c->r, e->code);
	sl_kadmin_put_msg(w, e);
	if (version >= 5) {
		sl_kw_i32(w, e->code ? -1 : x->parts);
		sl_kw_i16(w, e->code ? -1 : 1); /* replication factor */
		if (e->code)
			sl_kw_array(w, 0);
		else
			put_configs(c->r, &x->layers);
	}
	sl_kw_tags(w);
}

static void create_one(struct create *c, struct item *it)
{
	struct sl_kadmin_err e = {0};
	struct sl_topic *t = NULL;
	struct wish x = {.name = it->asked.name};

	if (c->timeout_ms <= 0) /* it is over already: so says Kafka, and makes nothing */
		sl_kadmin_err(&e, SL_KERR_REQUEST_TIMED_OUT, NULL);
	else if (it->asked.again)
		sl_kadmin_err(&e, SL_KERR_INVALID_REQUEST, "Duplicate topic name.");
	else
		check_name(c, it->asked.name, &e);
	if (!e.code) {
		x.usual = sl_ktopic_base(c->r->server, it->asked.name, &x.layers);
		read_wish(c, it, &x, &e);
	}
	if (!e.code) {
		c->new_parts += (uint32_t)x.parts;
		if (!c->validate_only)
			t = make(c, it->asked.name, &x, &e);
	}
	put_result(c, it->asked.name, t, &x, &e);
}

static int run(struct sl_kreq *r)
{
	struct create c = {.r = r};
	uint32_t n = 0;
	int rc = parse(&c);

	if (!rc)
		rc = sl_knames_mark(c.item, sizeof(*c.item), c.cnt);
	if (rc)
		goto out;
	for (uint32_t i = 0; i < c.cnt; i++)
		n += c.item[i].asked.first;
	sl_kreq_begin(r);
	sl_kw_i32(&r->out.w, 0); /* throttle time */
	sl_kw_array(&r->out.w, n);
	for (uint32_t i = 0; i < c.cnt && !r->out.w.bad; i++)
		if (c.item[i].asked.first)
			create_one(&c, &c.item[i]);
	sl_kw_tags(&r->out.w);
out:
	free(c.item);
	return rc;
}

int sl_kapi_create_topics(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_CHANGE, run);
}
