/* SPDX-License-Identifier: Apache-2.0 */
#include "offsets.h"

#include <errno.h>
#include <stdlib.h>

#define RECORD_BYTES 60 /* of a commit's record besides its names and metadata, about */

void sl_offset_list_init(struct sl_offset_list *l)
{
	TAILQ_INIT(&l->all);
	l->cnt = 0;
	l->bytes = 0;
}

int sl_offsets_init(struct sl_offsets *o, uint32_t max, uint32_t seed)
{
	uint32_t n = 1024;

	while (n < max && n < 1u << 20)
		n *= 2;
	o->bucket = calloc(n, sizeof(struct sl_offset *));
	if (!o->bucket)
		return -ENOMEM;
	o->mask = n - 1;
	o->cnt = 0;
	o->max = max;
	o->seed = seed;
	return 0;
}

void sl_offsets_fini(struct sl_offsets *o)
{
	SL_ASSERT(o->cnt == 0);
	free(o->bucket);
	o->bucket = NULL;
}

/* FNV-1a; topics that are committed exist, so no stranger chooses the names freely. */
static uint32_t hash(const struct sl_offsets *o, const struct sl_offset_list *l,
		     struct sl_slice topic, int32_t partition)
{
	uint64_t h = 0xcbf29ce484222325u ^ o->seed ^ (uintptr_t)l;
	for (uint32_t i = 0; i < topic.len; i++)
		h = (h ^ topic.p[i]) * 0x100000001b3u;
	h = (h ^ (uint32_t)partition) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32) & o->mask;
}

static bool is(const struct sl_offset *x, const struct sl_offset_list *l, struct sl_slice topic,
	       int32_t partition)
{
	return x->list == l && x->partition == partition && x->topic.len == topic.len &&
	       !memcmp(x->topic.p, topic.p, topic.len);
}

struct sl_offset *sl_offsets_find(const struct sl_offsets *o, const struct sl_offset_list *l,
				  struct sl_slice topic, int32_t partition)
{
	struct sl_offset *x = o->bucket[hash(o, l, topic, partition)];
	while (x && !is(x, l, topic, partition))
		x = x->next;
	return x;
}

void sl_offsets_del(struct sl_offsets *o, struct sl_offset_list *l, struct sl_offset *x)
{
	struct sl_offset **at = &o->bucket[hash(o, l, x->topic, x->partition)];

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	TAILQ_REMOVE(&l->all, x, link);
	l->cnt--;
	l->bytes -= RECORD_BYTES + x->topic.len + x->metadata.len;
	o->cnt--;
	free(x);
}

void sl_offsets_del_all(struct sl_offsets *o, struct sl_offset_list *l)
{
	struct sl_offset *x;
	while ((x = TAILQ_FIRST(&l->all)))
		sl_offsets_del(o, l, x);
}

static struct sl_offset *copy(const struct sl_offset *v)
{
	struct sl_offset *x = malloc(sizeof(*x) + v->topic.len + v->metadata.len);
	if (!x)
		return NULL;
	uint8_t *p = (uint8_t *)(x + 1);
	*x = *v;
	x->topic.p = p;
	memcpy(p, v->topic.p, v->topic.len);
	p += v->topic.len;
	x->metadata.p = p;
	if (v->metadata.len)
		memcpy(p, v->metadata.p, v->metadata.len);
	return x;
}

int sl_offsets_set(struct sl_offsets *o, struct sl_offset_list *l, const struct sl_offset *v)
{
	struct sl_offset *old = sl_offsets_find(o, l, v->topic, v->partition);

	if (!old && o->cnt >= o->max)
		return -ENOSPC;
	struct sl_offset *x = copy(v);
	if (!x)
		return -ENOMEM;
	if (old)
		sl_offsets_del(o, l, old);
	struct sl_offset **at = &o->bucket[hash(o, l, x->topic, x->partition)];
	x->list = l;
	x->next = *at;
	*at = x;
	TAILQ_INSERT_TAIL(&l->all, x, link);
	l->cnt++;
	l->bytes += RECORD_BYTES + x->topic.len + x->metadata.len;
	o->cnt++;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct sl_offset *x = *(const struct sl_offset *const *)a;
	const struct sl_offset *y = *(const struct sl_offset *const *)b;
	int d = memcmp(x->topic.p, y->topic.p, SL_MIN(x->topic.len, y->topic.len));

	if (d == 0 && x->topic.len != y->topic.len)
		d = x->topic.len < y->topic.len ? -1 : 1;
	if (d == 0 && x->partition != y->partition)
		d = x->partition < y->partition ? -1 : 1;
	return d;
}

const struct sl_offset **sl_offsets_sorted(const struct sl_offset_list *l)
{
	const struct sl_offset *x;
	uint32_t n = 0;

	if (l->cnt == 0)
		return NULL;
	const struct sl_offset **v = malloc(l->cnt * sizeof(const struct sl_offset *));
	if (!v)
		return NULL;
	for (x = TAILQ_FIRST(&l->all); x; x = TAILQ_NEXT(x, link))
		v[n++] = x;
	qsort(v, n, sizeof(const struct sl_offset *), by_place);
	return v;
}
