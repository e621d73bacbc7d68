/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_describe_log_dirs.c - DescribeLogDirs (key 35), versions 1 to 4: the one directory, the size
 * of each partition in it, and the file system's bytes (KIP-827).
 */
#include <errno.h>
#include <stdlib.h>

#include "admin.h"

struct item { /* a topic that was asked for */
	struct sl_topic *topic;
	struct sl_kr parts; /* at the array of partitions */
	uint32_t part_cnt;  /* that the topic has: it may grow meanwhile */
	uint32_t found;     /* of those in the request */
};

static void put_part(struct sl_kw *w, const struct sl_part *p)
{
	const struct sl_part_pub *pub = sl_part_pub(p);

	sl_kw_i32(w, pub->id);
	sl_kw_i64(w, atomic_load_explicit(&pub->size_bytes, memory_order_relaxed));
	sl_kw_i64(w, 0);      /* offset lag: this is the leader */
	sl_kw_bool(w, false); /* not on its way to another directory */
	sl_kw_tags(w);
}

/* ---- all topics ------------------------------------------------------------------------------ */

static int keep(struct sl_topic *t, void *arg)
{
	return sl_kreq_keep(arg, sl_topic_ref(t)) ? 0 : 1;
}

static void put_all(struct sl_kreq *r)
{
	struct sl_kw *w = &r->out.w;
	uint32_t first = r->topic_cnt;

	sl_store_topics(r->server->cfg.store, keep, r);
	uint32_t end = r->topic_cnt;
	sl_kw_array(w, end - first);
	for (uint32_t i = first; i < end && !w->bad; i++) {
		struct sl_topic *t = r->topic[i];
		uint32_t parts = sl_topic_partitions(t);
		sl_kw_cstr(w, sl_topic_name(t));
		sl_kw_array(w, parts);
		for (uint32_t k = 0; k < parts; k++)
			put_part(w, sl_topic_part(t, (int32_t)k));
		sl_kw_tags(w);
	}
}

/* ---- those that were asked for --------------------------------------------------------------- */

/* Reads an array of partitions, and writes those that there are; w NULL: only counts. What is not
 * there is left out, as Kafka does. */
static uint32_t each_part(struct sl_kr *in, const struct item *x, struct sl_kw *w, uint32_t *elems)
{
	uint32_t n = sl_kr_array(in, 4), found = 0;

	for (uint32_t i = 0; i < n; i++) {
		int32_t index = sl_kr_i32(in);
		if (index < 0 || (uint32_t)index >= x->part_cnt)
			continue;
		found++;
		if (w)
			put_part(w, sl_topic_part(x->topic, index));
	}
	*elems += n;
	return found;
}

static int read_items(struct sl_kreq *r, struct sl_kr *in, struct item *item, uint32_t n)
{
	uint32_t elems = 0;

	for (uint32_t i = 0; i < n && !in->rd.bad; i++) {
		struct sl_slice name = sl_kr_str(in);
		if (in->rd.bad)
			break;
		item[i].topic = sl_kreq_topic(r, name);
		item[i].part_cnt = item[i].topic ? sl_topic_partitions(item[i].topic) : 0;
		item[i].parts = *in;
		item[i].found = each_part(in, &item[i], NULL, &elems);
		sl_kr_tags(in);
		if (elems > SL_KREQ_PARTS_MAX)
			return -E2BIG;
	}
	sl_kr_tags(in);
	return in->rd.bad ? -EPROTO : 0;
}

static void put_items(struct sl_kw *w, const struct item *item, uint32_t n)
{
	uint32_t found = 0, elems = 0;

	for (uint32_t i = 0; i < n; i++)
		found += item[i].found != 0;
	sl_kw_array(w, found);
	for (uint32_t i = 0; i < n; i++) {
		struct sl_kr parts = item[i].parts;
		if (!item[i].found)
			continue;
		sl_kw_cstr(w, sl_topic_name(item[i].topic));
		sl_kw_array(w, item[i].found);
		each_part(&parts, &item[i], w, &elems);
		sl_kw_tags(w);
	}
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_dir(struct sl_kreq *r, const struct item *item, int32_t n)
{
	struct sl_store *store = r->server->cfg.store;
	struct sl_kw *w = &r->out.w;
	struct sl_store_stats st;

	sl_store_stats(store, &st);
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	if (r->version >= 3)
		sl_kw_i16(w, 0);
	sl_kw_array(w, 1);
	sl_kw_i16(w, 0);
	sl_kw_cstr(w, sl_store_log_dir(store));
	if (n < 0)
		put_all(r);
	else
		put_items(w, item, (uint32_t)n);
	if (r->version >= 4) {
		sl_kw_i64(w, (int64_t)st.fs_bytes);
		sl_kw_i64(w, (int64_t)st.fs_free_bytes);
	}
	sl_kw_tags(w);
	sl_kw_tags(w);
}

static int run(struct sl_kreq *r)
{
	struct sl_kr in = r->in;
	int32_t n = sl_kr_narray(&in, in.flex ? 3 : 6); /* null: all */

	if (n > (int32_t)SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	struct item *item = calloc((size_t)SL_MAX(n, 0) + 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	int rc = read_items(r, &in, item, (uint32_t)SL_MAX(n, 0));
	if (!rc)
		put_dir(r, item, n);
	free(item);
	return rc;
}

int sl_kapi_describe_log_dirs(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_READ, run);
}
