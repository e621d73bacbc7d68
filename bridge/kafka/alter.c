/* SPDX-License-Identifier: Apache-2.0 */
#include "alter.h"

#include <errno.h>
#include <stdlib.h>

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

#define LIST_MAX 64 /* bytes of a list's text: each element of a change is compared with each */

struct resource {
	int8_t type;
	bool again; /* it stands there twice */
	struct sl_slice name;
	struct sl_kr settings; /* at the array of them */
};

struct change {
	struct sl_slice name, value; /* value.p NULL: null */
	int8_t op;
};

struct alter {
	struct sl_kreq *r;
	const struct sl_kalter_cfg *cfg;
	struct resource *res;
	uint32_t cnt;
	bool validate_only;
};

/* ---- reading --------------------------------------------------------------------------------- */

static struct change read_change(const struct alter *a, struct sl_kr *in)
{
	struct change c = {.name = sl_kr_str(in)};

	if (!a->cfg->replace)
		c.op = sl_kr_i8(in);
	c.value = sl_kr_nstr(in);
	sl_kr_tags(in);
	return c;
}

static uint32_t change_cnt(const struct alter *a, struct sl_kr *in)
{
	return sl_kr_array(in, (in->flex ? 3u : 4u) + (a->cfg->replace ? 0 : 1));
}

static int parse(struct alter *a)
{
	struct sl_kr in = a->r->in;
	uint32_t elems = 0, n = sl_kr_array(&in, in.flex ? 4 : 7);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	a->res = calloc(n + 1, sizeof(*a->res));
	if (!a->res)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !in.rd.bad; i++) {
		struct resource *x = &a->res[a->cnt++];
		x->type = sl_kr_i8(&in);
		x->name = sl_kr_str(&in);
		x->settings = in;
		uint32_t settings = change_cnt(a, &in);
		elems += settings;
		if (elems > SL_KREQ_PARTS_MAX)
			return -E2BIG;
		for (uint32_t k = 0; k < settings && !in.rd.bad; k++)
			read_change(a, &in);
		sl_kr_tags(&in);
	}
	a->validate_only = sl_kr_bool(&in);
	sl_kr_tags(&in);
	return in.rd.bad ? -EPROTO : 0;
}

static int mark_repeated(struct alter *a)
{
	struct sl_slice **by = calloc(a->cnt + 1, sizeof(*by));

	if (!by)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->cnt; i++)
		by[i] = &a->res[i].name;
	sl_kslices_sort(by, a->cnt);
	for (uint32_t i = 1; i < a->cnt; i++) {
		struct resource *x = SL_CONTAINER_OF(by[i - 1], struct resource, name);
		/* of one name there are as many as types, or some are the same */
		for (uint32_t k = i; k < a->cnt && sl_kslice_same(x->name, *by[k]); k++) {
			struct resource *y = SL_CONTAINER_OF(by[k], struct resource, name);
			if (y->type != x->type)
				continue;
			x->again = y->again = true;
			break;
		}
	}
	free(by);
	return 0;
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct list { /* text of elements with commas between */
	char text[LIST_MAX];
	uint32_t len;
	bool full;
};

static void list_add(struct list *l, const char *p, uint32_t n)
{
	if (n == 0)
		return;
	if (l->len + n + 1 >= sizeof(l->text)) {
		l->full = true;
		return;
	}
	if (l->len)
		l->text[l->len++] = ',';
	memcpy(l->text + l->len, p, n);
	l->len += n;
}

/* Takes the next element off *s, without blanks around it. False: that was all. */
static bool next_element(struct sl_slice *s, struct sl_slice *ret)
{
	if (!s->p)
		return false;
	const uint8_t *comma = s->len ? memchr(s->p, ',', s->len) : NULL;
	uint32_t n = comma ? (uint32_t)(comma - s->p) : s->len;
	*ret = (struct sl_slice){s->p, n};
	*s = comma ? (struct sl_slice){comma + 1, s->len - n - 1} : (struct sl_slice){NULL, 0};
	while (ret->len && *ret->p == ' ')
		ret->p++, ret->len--;
	while (ret->len && ret->p[ret->len - 1] == ' ')
		ret->len--;
	return true;
}

static bool has_element(struct sl_slice list, struct sl_slice want)
{
	struct sl_slice x;
	while (next_element(&list, &x))
		if (x.len == want.len && !memcmp(x.p, want.p, x.len))
			return true;
	return false;
}

/* What the list is with `change` appended or subtracted. */
static void combine(struct sl_slice have, struct sl_slice change, bool append, struct list *ret)
{
	struct sl_slice x, rest = have;

	*ret = (struct list){0};
	while (next_element(&rest, &x))
		if (append || !has_element(change, x))
			list_add(ret, (const char *)x.p, x.len);
	while (append && next_element(&change, &x))
		if (!has_element((struct sl_slice){(uint8_t *)ret->text, ret->len}, x))
			list_add(ret, (const char *)x.p, x.len);
}

static void change_list(struct alter *a, const struct change *c, struct sl_topic_layers *layers,
			struct sl_kadmin_err *e)
{
	static const char *const ops[] = {"SET", "DELETE", "APPEND", "SUBTRACT"};
	int row = sl_ktopic_setting_row(c->name);
	struct sl_ksetting now;
	struct list l;

	if (row < 0) {
		sl_ktopic_setting_put(a->r->server, c->name, c->value, layers, e);
		return;
	}
	sl_ktopic_setting(a->r->server, (uint32_t)row, layers, &now);
	if (now.type != SL_SET_LIST) {
		sl_kadmin_err(e, SL_KERR_INVALID_CONFIG,
			      "Can't %s to key %s because its type is not LIST.", ops[c->op],
			      now.name);
		return;
	}
	struct sl_slice have = {(const uint8_t *)now.value, (uint32_t)strlen(now.value)};
	combine(have, c->value, c->op == SL_KALTER_APPEND, &l);
	if (l.full) {
		sl_kadmin_err(e, SL_KERR_INVALID_CONFIG, "%s: the list is too long.", now.name);
		return;
	}
	sl_ktopic_setting_put(a->r->server, c->name,
			      (struct sl_slice){(const uint8_t *)l.text, l.len}, layers, e);
}

/* ---- one resource ---------------------------------------------------------------------------- */

static void change_one(struct alter *a, const struct change *c, struct sl_topic_layers *layers,
		       struct sl_kadmin_err *e)
{
	if (c->op < SL_KALTER_SET || c->op > SL_KALTER_SUBTRACT)
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST, "Unknown operation %d for key %.*s",
			      c->op, SL_KSTR(c->name));
	else if (c->op == SL_KALTER_DELETE)
		sl_ktopic_setting_put(a->r->server, c->name, (struct sl_slice){NULL, 0}, layers, e);
	else if (!c->value.p)
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST, "Null value not supported for : %.*s",
			      SL_KSTR(c->name));
	else if (c->op == SL_KALTER_SET)
		sl_ktopic_setting_put(a->r->server, c->name, c->value, layers, e);
	else
		change_list(a, c, layers, e);
}

/* The names of one resource's changes, each once. */
static void check_keys(struct alter *a, const struct resource *x, struct sl_kadmin_err *e)
{
	struct sl_kr in = x->settings;
	uint32_t n = change_cnt(a, &in), i;
	struct sl_slice *name = malloc((n + 1) * sizeof(*name));
	struct sl_slice **by = malloc((n + 1) * sizeof(*by));

	if (!name || !by) {
		sl_kadmin_err(e, SL_KERR_UNKNOWN_SERVER_ERROR, "out of memory");
		goto out;
	}
	for (i = 0; i < n; i++) {
		name[i] = read_change(a, &in).name;
		by[i] = &name[i];
	}
	sl_kslices_sort(by, n);
	for (i = 1; i < n && !e->code; i++)
		if (sl_kslice_same(*by[i - 1], *by[i]))
			sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
				      "Error due to duplicate config keys");
out:
	free(name);
	free(by);
}

/* The layers of a topic that does not exist are the defaults: what is named is checked first. */
static void changed_layers(struct alter *a, const struct resource *x, const struct sl_topic *t,
			   struct sl_topic_layers *layers, struct sl_kadmin_err *e)
{
	struct sl_kr in = x->settings;
	uint32_t n = change_cnt(a, &in);
	struct sl_topic_layers was;

	if (t)
		sl_topic_layers_get(t, layers);
	else
		sl_ktopic_base(a->r->server, x->name, layers);
	was = *layers;
	if (a->cfg->replace)
		layers->own_set = 0;
	for (uint32_t i = 0; i < n && !e->code; i++) {
		struct change c = read_change(a, &in);
		change_one(a, &c, layers, e);
	}
	if (!e->code)
		sl_ktopic_settings_fit(a->r->server, x->name, &was, layers, e);
}

static void alter_topic(struct alter *a, const struct resource *x, struct sl_kadmin_err *e)
{
	struct sl_store *store = a->r->server->cfg.store;
	struct sl_topic_layers layers;

	if (x->name.len == 0) {
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Default topic resources are not allowed.");
		return;
	}
	if (!sl_ktopic_name_ok(x->name, e))
		return;
	struct sl_topic *t = sl_kreq_topic(a->r, x->name);
	changed_layers(a, x, t, &layers, e);
	if (!e->code && !t)
		sl_kadmin_err(e, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION,
			      "The topic '%.*s' does not exist.", SL_KSTR(x->name));
	if (!e->code && sl_ktopic_is_internal((const char *)x->name.p, x->name.len))
		sl_kadmin_err(e, SL_KERR_POLICY_VIOLATION,
			      "The settings of %.*s belong to the gateway.", SL_KSTR(x->name));
	if (e->code || a->validate_only)
		return;
	int rc = sl_store_topic_own_set(store, t, &layers.own, layers.own_set);
	if (rc == -ENOENT)
		sl_kadmin_err(e, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION,
			      "The topic '%.*s' does not exist.", SL_KSTR(x->name));
	else if (rc == -EINVAL)
		sl_kadmin_err(e, SL_KERR_INVALID_CONFIG, "The settings do not fit each other.");
	else if (rc)
		sl_kadmin_err(e, SL_KERR_KAFKA_STORAGE_ERROR, "The settings were not stored: %s.",
			      strerror(-rc));
}

/* The config file owns the broker's: nothing to take away, and nothing can be set. */
static void alter_broker(struct alter *a, const struct resource *x, struct sl_kadmin_err *e)
{
	struct sl_kr in = x->settings;
	uint32_t n = change_cnt(a, &in);

	sl_kbroker_id_ok(a->r->server, x->name, e);
	for (uint32_t i = 0; i < n && !e->code; i++) {
		struct change c = read_change(a, &in);
		if (c.op != SL_KALTER_DELETE)
			sl_kadmin_err(e, SL_KERR_INVALID_CONFIG,
				      "Cannot update %.*s: broker settings are set in the "
				      "gateway's config file.",
				      SL_KSTR(c.name));
	}
}

static void alter_one(struct alter *a, const struct resource *x, struct sl_kadmin_err *e)
{
	if (x->again) {
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Each resource must appear at most once.");
		return;
	}
	check_keys(a, x, e);
	if (e->code)
		return;
	if (x->type == RESOURCE_TOPIC)
		alter_topic(a, x, e);
	else if (x->type == RESOURCE_BROKER)
		alter_broker(a, x, e);
	else
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST, "Unknown resource type %d", x->type);
}

int sl_kalter_run(struct sl_kreq *r, const struct sl_kalter_cfg *cfg)
{
	struct alter a = {.r = r, .cfg = cfg};
	struct sl_kw *w = &r->out.w;
	int rc = parse(&a);

	if (!rc)
		rc = mark_repeated(&a);
	if (rc)
		goto out;
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, a.cnt);
	for (uint32_t i = 0; i < a.cnt; i++) {
		struct sl_kadmin_err e = {0};
		alter_one(&a, &a.res[i], &e);
		sl_kadmin_put_code(r, e.code);
		sl_kadmin_put_msg(w, &e);
		sl_kw_i8(w, a.res[i].type);
		sl_kw_str(w, a.res[i].name);
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
out:
	free(a.res);
	return rc;
}
