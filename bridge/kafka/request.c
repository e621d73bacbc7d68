/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <stdlib.h>

#include "server.h"

void sl_kreq_begin(struct sl_kreq *r)
{
	struct sl_kw *w = &r->out.w;
	bool flexible = r->version >= r->api->flexible;

	w->flex = flexible;
	sl_kw_i32(w, 0); /* the size, known at the end */
	sl_kw_i32(w, r->correlation);
	/* ApiVersions is answered with header version 0 at all its versions, so that a client that
	 * knows nothing of us yet can read it (KIP-511) */
	if (flexible && r->api->key != SL_KAPI_API_VERSIONS)
		sl_kw_tags(w);
}

/* ---- topics ---------------------------------------------------------------------------------- */

struct sl_topic *sl_kreq_keep(struct sl_kreq *r, struct sl_topic *t)
{
	if (!t)
		return NULL;
	if (r->topic_cnt == r->topic_cap) {
		uint32_t cap = r->topic_cap ? r->topic_cap * 2 : 4;
		struct sl_topic **p = realloc(r->topic, cap * sizeof(struct sl_topic *));
		if (!p) {
			r->out.w.bad = true;
			sl_topic_put(t);
			return NULL;
		}
		r->topic = p;
		r->topic_cap = cap;
	}
	r->topic[r->topic_cnt++] = t;
	return t;
}

struct sl_topic *sl_kreq_topic(struct sl_kreq *r, struct sl_slice name)
{
	return sl_kreq_keep(
		r, sl_store_topic_find(r->server->cfg.store, (const char *)name.p, name.len));
}

struct sl_topic *sl_kreq_topic_by_id(struct sl_kreq *r, const uint8_t id[16])
{
	return sl_kreq_keep(r, sl_store_topic_by_id(r->server->cfg.store, id));
}

void sl_kreq_put_topics(struct sl_kreq *r)
{
	for (uint32_t i = 0; i < r->topic_cnt; i++)
		sl_topic_put(r->topic[i]);
	free(r->topic);
	r->topic = NULL;
	r->topic_cnt = r->topic_cap = 0;
}

/* ---- the response ---------------------------------------------------------------------------- */

void sl_kout_splice(struct sl_kout *o, const uint8_t *p, uint32_t len)
{
	if (o->splice_cnt == o->splice_cap) {
		uint32_t cap = o->splice_cap ? o->splice_cap * 2 : 8;
		struct sl_ksplice *sp = realloc(o->splice, cap * sizeof(*sp));
		if (!sp) {
			o->w.bad = true;
			return;
		}
		o->splice = sp;
		o->splice_cap = cap;
	}
	o->splice[o->splice_cnt++] = (struct sl_ksplice){.at = o->w.len, .len = len, .p = p};
	o->bytes += len;
}

struct gather {
	struct iovec *iov;
	int n, max;
	uint64_t skip; /* bytes sent already, still to pass over */
};

/* Adds what of a piece has not been sent. False: no room for it. */
static bool gather(struct gather *g, const uint8_t *p, uint32_t len)
{
	if (g->skip >= len) {
		g->skip -= len;
		return true;
	}
	if (g->n == g->max)
		return false;
	g->iov[g->n].iov_base = (void *)(uintptr_t)(p + g->skip);
	g->iov[g->n].iov_len = len - g->skip;
	g->skip = 0;
	g->n++;
	return true;
}

int sl_kout_iov(const struct sl_kout *o, struct iovec *iov, int max, bool *ret_whole)
{
	struct gather g = {.iov = iov, .max = max, .skip = o->sent};
	uint32_t at = 0;

	*ret_whole = false;
	if (o->sent == o->bytes) { /* also: no response at all */
		*ret_whole = true;
		return 0;
	}
	for (uint32_t i = 0; i < o->splice_cnt; i++) {
		const struct sl_ksplice *sp = &o->splice[i];
		if (!gather(&g, o->w.buf + at, sp->at - at) || !gather(&g, sp->p, sp->len))
			return g.n;
		at = sp->at;
	}
	*ret_whole = gather(&g, o->w.buf + at, o->w.len - at);
	return g.n;
}

uint64_t sl_kout_memory(const struct sl_kout *o)
{
	const struct sl_kchunk *c;
	uint64_t n = o->w.cap + o->splice_cap * sizeof(*o->splice);
	for (c = SLIST_FIRST(&o->chunks); c; c = SLIST_NEXT(c, link))
		n += c->buf_cap;
	return n;
}

struct sl_kchunk *sl_kout_chunk(struct sl_kout *o, struct sl_kbufs *bufs, size_t size)
{
	size_t cap;
	struct sl_kchunk *c = sl_kbufs_get(bufs, sizeof(*c) + size, &cap);
	if (!c)
		return NULL;
	c->cap = (uint32_t)(cap - sizeof(*c));
	c->len = 0;
	c->buf_cap = cap;
	SLIST_INSERT_HEAD(&o->chunks, c, link);
	return c;
}

void sl_kout_fini(struct sl_kout *o, struct sl_kbufs *bufs)
{
	struct sl_kchunk *c;
	while ((c = SLIST_FIRST(&o->chunks))) {
		SLIST_REMOVE_HEAD(&o->chunks, link);
		sl_kbufs_put(bufs, c, c->buf_cap);
	}
	sl_kw_fini(&o->w);
	free(o->splice);
	*o = (struct sl_kout){0};
}
