/* SPDX-License-Identifier: Apache-2.0 */
#include "centre_memory.h"

#include <stdio.h>
#include <stdlib.h>

struct mem_centre *mem_centre_new(void)
{
	struct mem_centre *c = calloc(1, sizeof(*c));

	SL_ASSERT(c);
	c->cfg = (struct mem_cfg){.bytes_max = 1000000,
				  .ts_max = INT64_MAX,
				  .batch = 100,
				  .window = 1000,
				  .up = true};
	c->next_txn = 1;
	return c;
}

void mem_centre_free(struct mem_centre *c)
{
	for (size_t i = 0; i < c->rec_cnt; i++)
		free(c->rec[i].mem);
	free(c->rec);
	free(c);
}

struct mem_cfg *mem_centre_cfg(struct mem_centre *c)
{
	return &c->cfg;
}

void mem_centre_order(struct mem_centre *c, enum mem_fault f)
{
	SL_ASSERT(c->fault_cnt < MEM_FAULTS_MAX);
	c->fault[c->fault_cnt++] = f;
}

void mem_centre_refuse_opens(struct mem_centre *c, unsigned n, enum sl_sink_class class)
{
	c->refuse_opens = n;
	c->refuse_class = class;
}

struct mem_topic *mem_centre_find(const struct mem_centre *c, const char *name)
{
	for (unsigned i = 0; i < c->topic_cnt; i++)
		if (!strcmp(c->topic[i].name, name))
			return (struct mem_topic *)(uintptr_t)&c->topic[i];
	return NULL;
}

void mem_centre_topic(struct mem_centre *c, const char *topic, uint32_t partitions)
{
	struct mem_topic *t = mem_centre_find(c, topic);

	if (!t) {
		SL_ASSERT(c->topic_cnt < MEM_TOPICS_MAX);
		t = &c->topic[c->topic_cnt++];
		snprintf(t->name, sizeof(t->name), "%s", topic);
	}
	t->partitions = partitions;
}

uint32_t mem_centre_partitions(const struct mem_centre *c, const char *topic)
{
	const struct mem_topic *t = mem_centre_find(c, topic);

	return t ? t->partitions : 0;
}

void mem_centre_delete(struct mem_centre *c, const char *topic)
{
	struct mem_topic *t = mem_centre_find(c, topic);

	SL_ASSERT(t);
	*t = c->topic[--c->topic_cnt];
}

struct mem_id *mem_centre_id(struct mem_centre *c, const char *gateway)
{
	for (unsigned i = 0; i < c->id_cnt; i++)
		if (!strcmp(c->id[i].gateway, gateway))
			return &c->id[i];
	SL_ASSERT(c->id_cnt < MEM_IDS_MAX);
	snprintf(c->id[c->id_cnt].gateway, SL_CFG_NAME_MAX, "%s", gateway);
	return &c->id[c->id_cnt++];
}

void mem_centre_end(struct mem_centre *c, uint64_t txn, enum mem_rec_state state)
{
	for (size_t i = c->rec_cnt; i-- > 0 && txn;)
		if (c->rec[i].txn == txn && c->rec[i].state == MEM_OPEN)
			c->rec[i].state = state;
}

void mem_centre_abort(struct mem_centre *c, struct mem_id *id)
{
	mem_centre_end(c, id->open, MEM_ABORTED);
	id->open = 0;
}

void mem_centre_fence(struct mem_centre *c, const char *gateway)
{
	struct mem_id *id = mem_centre_id(c, gateway);

	mem_centre_abort(c, id);
	id->epoch++;
}

static void *dup_slice(uint8_t **at, struct sl_slice *s)
{
	uint8_t *to = *at;

	if (!s->p)
		return NULL;
	memcpy(to, s->p, s->len);
	*at += s->len;
	s->p = to;
	return to;
}

/* An own copy of what a record borrows. */
void mem_rec_copy(struct mem_rec *to, const struct sl_sink_rec *r)
{
	size_t n = r->hdr_cnt * sizeof(struct sl_hdr) + r->key.len + r->value.len;
	uint8_t *at;

	for (uint32_t i = 0; i < r->hdr_cnt; i++)
		n += r->hdr[i].name.len + r->hdr[i].value.len;
	memset(to, 0, sizeof(*to));
	to->mem = malloc(n + 1);
	SL_ASSERT(to->mem);
	snprintf(to->topic, sizeof(to->topic), "%s", r->topic);
	to->partition = r->partition;
	to->ts = r->ts_ms;
	to->hdr = to->mem;
	to->hdr_cnt = r->hdr_cnt;
	at = (uint8_t *)to->mem + r->hdr_cnt * sizeof(struct sl_hdr);
	if (r->hdr_cnt)
		memcpy(to->hdr, r->hdr, r->hdr_cnt * sizeof(struct sl_hdr));
	to->key = r->key;
	to->value = r->value;
	dup_slice(&at, &to->key);
	dup_slice(&at, &to->value);
	for (uint32_t i = 0; i < r->hdr_cnt; i++) {
		dup_slice(&at, &to->hdr[i].name);
		dup_slice(&at, &to->hdr[i].value);
	}
}

void mem_centre_append(struct mem_centre *c, const struct mem_rec *r)
{
	if (c->rec_cnt == c->rec_cap) {
		c->rec_cap = c->rec_cap ? c->rec_cap * 2 : 1024;
		c->rec = realloc(c->rec, c->rec_cap * sizeof(*c->rec));
		SL_ASSERT(c->rec);
	}
	c->rec[c->rec_cnt++] = *r;
}

void mem_centre_put(struct mem_centre *c, const char *topic, const char *key, const char *val)
{
	struct mem_rec r;
	struct sl_sink_rec s = {.topic = topic, .ts_ms = 1};

	s.key = (struct sl_slice){(const uint8_t *)key, (uint32_t)strlen(key)};
	if (val)
		s.value = (struct sl_slice){(const uint8_t *)val, (uint32_t)strlen(val)};
	mem_rec_copy(&r, &s);
	r.state = MEM_COMMITTED;
	mem_centre_append(c, &r);
}

const struct mem_rec *mem_centre_rec(const struct mem_centre *c, size_t i)
{
	return &c->rec[i];
}

size_t mem_centre_cnt(const struct mem_centre *c)
{
	return c->rec_cnt;
}

const struct mem_rec *mem_centre_last(const struct mem_centre *c, const char *topic,
				      const char *key)
{
	for (size_t i = c->rec_cnt; i-- > 0;) {
		const struct mem_rec *r = &c->rec[i];
		if (r->state == MEM_COMMITTED && !strcmp(r->topic, topic) &&
		    r->key.len == strlen(key) && !memcmp(r->key.p, key, r->key.len))
			return r->value.p ? r : NULL;
	}
	return NULL;
}

const struct sl_hdr *mem_hdr(const struct mem_rec *r, const char *name)
{
	for (uint32_t i = r->hdr_cnt; i-- > 0;)
		if (r->hdr[i].name.len == strlen(name) &&
		    !memcmp(r->hdr[i].name.p, name, r->hdr[i].name.len))
			return &r->hdr[i];
	return NULL;
}
