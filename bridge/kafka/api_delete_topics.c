/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_delete_topics.c - DeleteTopics (key 20), versions 1 to 6: by name, from version 6 on also by
 * id. Checks and sentences follow org.apache.kafka's ControllerApis.deleteTopics.
 */
#include <errno.h>
#include <stdlib.h>

#include "admin.h"
#include "groups.h"

struct item {
	struct sl_slice name; /* p NULL: by id */
	struct sl_slice id;   /* 16 bytes; p NULL: by name */
	struct sl_topic *topic;
	const char *why;
	int16_t code;
	bool silent; /* answered at another place */
};

struct delete
{
	struct sl_kreq *r;
	struct item *item;
	uint32_t cnt;
	int32_t timeout_ms;
};

static const uint8_t no_id[16];

/* ---- reading --------------------------------------------------------------------------------- */

static struct item read_item(struct sl_kr *in, int16_t version)
{
	struct item x = {0};

	if (version < 6) {
		x.name = sl_kr_str(in);
		return x;
	}
	x.name = sl_kr_nstr(in);
	const uint8_t *id = sl_kr_uuid(in);
	if (id && memcmp(id, no_id, 16) != 0)
		x.id = (struct sl_slice){id, 16};
	sl_kr_tags(in);
	return x;
}

static int parse(struct delete *d)
{
	struct sl_kr in = d->r->in;
	uint32_t elem_min = d->r->version >= 6 ? 18 : in.flex ? 1 : 2;
	uint32_t n = sl_kr_array(&in, elem_min);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	d->item = calloc(n + 1, sizeof(*d->item));
	if (!d->item)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !in.rd.bad; i++)
		d->item[d->cnt++] = read_item(&in, d->r->version);
	d->timeout_ms = sl_kr_i32(&in);
	sl_kr_tags(&in);
	return in.rd.bad ? -EPROTO : 0;
}

static void refuse(struct item *x, int16_t code, const char *why)
{
	x->code = code;
	x->why = why;
}

/* Names, or ids, that stand there twice: one answer, an error. */
static int mark_repeated(struct delete *d, bool ids)
{
	struct sl_slice **by = calloc(d->cnt + 1, sizeof(*by));
	uint32_t n = 0;

	if (!by)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->cnt; i++) {
		struct sl_slice *s = ids ? &d->item[i].id : &d->item[i].name;
		if (s->p && !d->item[i].code)
			by[n++] = s;
	}
	sl_kslices_sort(by, n);
	for (uint32_t i = 1; i < n; i++) {
		if (!sl_kslice_same(*by[i - 1], *by[i]))
			continue;
		struct item *a = ids ? SL_CONTAINER_OF(by[i - 1], struct item, id)
				     : SL_CONTAINER_OF(by[i - 1], struct item, name);
		struct item *b = ids ? SL_CONTAINER_OF(by[i], struct item, id)
				     : SL_CONTAINER_OF(by[i], struct item, name);
		const char *why = ids ? "Duplicate topic id." : "Duplicate topic name.";
		refuse(a, SL_KERR_INVALID_REQUEST, why);
		refuse(b, SL_KERR_INVALID_REQUEST, why);
		a->silent = true;
	}
	free(by);
	return 0;
}

static void find(struct delete *d, struct item *x)
{
	if (x->name.p && x->id.p)
		refuse(x, SL_KERR_INVALID_REQUEST,
		       "You may not specify both topic name and topic id.");
	else if (!x->name.p && !x->id.p)
		refuse(x, SL_KERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
	if (x->code)
		return;
	x->topic = x->id.p ? sl_kreq_topic_by_id(d->r, x->id.p) : sl_kreq_topic(d->r, x->name);
	if (x->topic)
		return;
	if (x->id.p)
		refuse(x, SL_KERR_UNKNOWN_TOPIC_ID, "This server does not host this topic ID.");
	else
		refuse(x, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION,
		       "This server does not host this topic-partition.");
}

static int by_topic(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;
	if ((*x)->topic != (*y)->topic)
		return (*x)->topic < (*y)->topic ? -1 : 1;
	return !(*x)->name.p - !(*y)->name.p;
}

/* One topic by its name and by its id. */
static int mark_both(struct delete *d)
{
	struct item **by = calloc(d->cnt + 1, sizeof(struct item *));
	uint32_t n = 0;

	if (!by)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->cnt; i++)
		if (d->item[i].topic && !d->item[i].code)
			by[n++] = &d->item[i];
	qsort(by, n, sizeof(struct item *), by_topic);
	for (uint32_t i = 1; i < n; i++) {
		if (by[i - 1]->topic != by[i]->topic)
			continue;
		refuse(by[i - 1], SL_KERR_INVALID_REQUEST,
		       "The provided topic name maps to an ID that was already supplied.");
		by[i]->silent = true;
	}
	free(by);
	return 0;
}

/* ---- deleting and answering ------------------------------------------------------------------ */

static void delete_one(struct delete *d, struct item *x)
{
	const char *name = sl_topic_name(x->topic);

	if (sl_ktopic_is_internal(name, strlen(name))) {
		refuse(x, SL_KERR_INVALID_TOPIC_EXCEPTION, "The topic belongs to the gateway.");
		return;
	}
	int rc = sl_store_topic_delete(d->r->server->cfg.store, x->topic);
	if (!rc)
		sl_kgroups_topic_deleted(
			d->r->server->groups,
			(struct sl_slice){(const uint8_t *)name, (uint32_t)strlen(name)});
	if (rc == -ENOENT) /* somebody else was faster */
		refuse(x, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION,
		       "This server does not host this topic-partition.");
	else if (rc)
		refuse(x, SL_KERR_KAFKA_STORAGE_ERROR, "The deletion could not be stored.");
}

static void put_item(struct sl_kreq *r, const struct item *x)
{
	struct sl_kw *w = &r->out.w;
	int16_t version = r->version;

	if (x->topic)
		sl_kw_cstr(w, sl_topic_name(x->topic));
	else if (x->name.p || version >= 6)
		sl_kw_str(w, x->name);
	else
		sl_kw_cstr(w, "");
	if (version >= 6) {
		const uint8_t *id = x->id.p ? x->id.p : no_id;
		sl_kw_raw(w, x->topic ? sl_topic_id(x->topic) : id, 16);
	}
	sl_kadmin_put_code(r, x->code);
	if (version >= 5)
		sl_kw_cstr(w, x->why);
	sl_kw_tags(w);
}

static int prepare(struct delete *d)
{
	int rc = parse(d);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < d->cnt && d->timeout_ms <= 0; i++)
		refuse(&d->item[i], SL_KERR_REQUEST_TIMED_OUT, NULL);
	for (uint32_t i = 0; i < d->cnt; i++)
		if (d->item[i].name.p && d->item[i].id.p && !d->item[i].code)
			find(d, &d->item[i]); /* refuses it */
	rc = mark_repeated(d, false);
	if (!rc)
		rc = mark_repeated(d, true);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < d->cnt; i++)
		if (!d->item[i].code)
			find(d, &d->item[i]);
	return mark_both(d);
}

static int run(struct sl_kreq *r)
{
	struct delete d = {.r = r};
	struct sl_kw *w = &r->out.w;
	uint32_t n = 0;
	int rc = prepare(&d);

	if (rc)
		goto out;
	for (uint32_t i = 0; i < d.cnt; i++) {
		struct item *x = &d.item[i];
		n += !x->silent;
		if (!x->code && !x->silent && !w->bad)
			delete_one(&d, x);
	}
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, n);
	for (uint32_t i = 0; i < d.cnt; i++)
		if (!d.item[i].silent)
			put_item(r, &d.item[i]);
	sl_kw_tags(w);
out:
	free(d.item);
	return rc;
}

int sl_kapi_delete_topics(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_CHANGE, run);
}
