/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_describe_configs.c - DescribeConfigs (key 32), versions 1 to 4: all known settings of topics
 * and of this broker, or those that were asked for.
 */
#include <errno.h>

#include "settings.h"

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

struct mask { /* which rows are wanted */
	bool all;
	bool row[SL_KSETTINGS_MAX];
};

struct resource {
	int8_t type;
	struct sl_slice name;
	struct mask mask;
};

struct flags {
	bool synonyms, help;
};

/* One resource; keys that are not known are left out of the answer, as Kafka does. */
static void parse_resource(struct sl_kr *in, struct resource *ret, uint32_t *keys)
{
	ret->type = sl_kr_i8(in);
	ret->name = sl_kr_str(in);
	int32_t n = sl_kr_narray(in, in->flex ? 1 : 2);
	ret->mask = (struct mask){.all = n <= 0};
	for (int32_t i = 0; i < n && !in->rd.bad; i++) {
		struct sl_slice key = sl_kr_str(in);
		int row = in->rd.bad                     ? -1
			  : ret->type == RESOURCE_BROKER ? sl_kbroker_setting_row(key)
							 : sl_ktopic_setting_row(key);
		if (row >= 0)
			ret->mask.row[row] = true;
	}
	*keys += (uint32_t)SL_MAX(n, 0);
	sl_kr_tags(in);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_setting(struct sl_kw *w, int16_t version, const struct sl_ksetting *e,
			const struct flags *f)
{
	unsigned syns = f->synonyms ? e->syn_cnt : 0;

	sl_kw_cstr(w, e->name);
	sl_kw_cstr(w, e->value);
	sl_kw_bool(w, e->read_only);
	sl_kw_i8(w, e->source);
	sl_kw_bool(w, false); /* sensitive */
	sl_kw_array(w, syns);
	for (unsigned i = 0; i < syns; i++) {
		sl_kw_cstr(w, e->syn[i].name);
		sl_kw_cstr(w, e->syn[i].value);
		sl_kw_i8(w, e->syn[i].source);
		sl_kw_tags(w);
	}
	if (version >= 3) {
		sl_kw_i8(w, (int8_t)e->type);
		sl_kw_cstr(w, f->help ? e->help : NULL);
	}
	sl_kw_tags(w);
}

static uint32_t count(const struct mask *m, uint32_t rows)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < rows; i++)
		n += m->all || m->row[i];
	return n;
}

static void put_head(struct sl_kreq *r, const struct resource *x, const struct sl_kadmin_err *e)
{
	struct sl_kw *w = &r->out.w;

	sl_kadmin_put_code(r, e->code);
	sl_kw_cstr(w, e->said ? e->msg : "");
	sl_kw_i8(w, x->type);
	sl_kw_str(w, x->name);
}

static void put_topic(struct sl_kreq *r, const struct resource *x, const struct flags *f,
		      struct sl_topic *t)
{
	struct sl_kw *w = &r->out.w;
	uint32_t rows = sl_ktopic_setting_cnt();
	struct sl_topic_layers layers;
	struct sl_ksetting e;

	sl_topic_layers_get(t, &layers);
	sl_kw_array(w, count(&x->mask, rows));
	for (uint32_t i = 0; i < rows; i++) {
		if (!x->mask.all && !x->mask.row[i])
			continue;
		sl_ktopic_setting(r->server, i, &layers, &e);
		put_setting(w, r->version, &e, f);
	}
}

static void put_broker(struct sl_kreq *r, const struct resource *x, const struct flags *f)
{
	struct sl_kw *w = &r->out.w;
	/* the empty name is the default of all brokers: nothing is ever set there */
	uint32_t rows = x->name.len ? sl_kbroker_setting_cnt() : 0;
	struct sl_ksetting e;

	sl_kw_array(w, count(&x->mask, rows));
	for (uint32_t i = 0; i < rows; i++) {
		if (!x->mask.all && !x->mask.row[i])
			continue;
		sl_kbroker_setting(r, i, &e);
		put_setting(w, r->version, &e, f);
	}
}

static void put_resource(struct sl_kreq *r, const struct resource *x, const struct flags *f)
{
	struct sl_kadmin_err e = {0};
	struct sl_topic *t = NULL;

	if (x->type == RESOURCE_BROKER) {
		sl_kbroker_id_ok(r->server, x->name, &e);
	} else if (x->type != RESOURCE_TOPIC) {
		sl_kadmin_err(&e, SL_KERR_INVALID_REQUEST,
			      "Resources of type %d have no settings here: topics (2) and brokers "
			      "(4) do",
			      x->type);
	} else if (sl_ktopic_name_ok(x->name, &e)) {
		t = sl_kreq_topic(r, x->name);
		e.code = t ? 0 : SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
	}
	put_head(r, x, &e);
	if (t)
		put_topic(r, x, f, t);
	else if (!e.code)
		put_broker(r, x, f);
	else
		sl_kw_array(&r->out.w, 0);
	sl_kw_tags(&r->out.w);
}

static int run(struct sl_kreq *r)
{
	struct sl_kr in = r->in, again;
	struct resource x;
	struct flags f;
	uint32_t keys = 0, n = sl_kr_array(&in, in.flex ? 4 : 7);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	again = in;
	for (uint32_t i = 0; i < n && !in.rd.bad; i++) {
		parse_resource(&in, &x, &keys);
		if (keys > SL_KREQ_PARTS_MAX)
			return -E2BIG;
	}
	f.synonyms = sl_kr_bool(&in);
	f.help = r->version >= 3 ? sl_kr_bool(&in) : false;
	sl_kr_tags(&in);
	if (in.rd.bad)
		return -EPROTO;
	sl_kreq_begin(r);
	sl_kw_i32(&r->out.w, 0); /* throttle time */
	sl_kw_array(&r->out.w, n);
	for (uint32_t i = 0; i < n && !r->out.w.bad; i++) {
		parse_resource(&again, &x, &keys);
		put_resource(r, &x, &f);
	}
	sl_kw_tags(&r->out.w);
	return 0;
}

int sl_kapi_describe_configs(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_READ, run);
}
