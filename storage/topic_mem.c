/* SPDX-License-Identifier: Apache-2.0 */
/* topic_mem.c - a topic in memory: its array of partitions, its references. */
#include <errno.h>
#include <stdlib.h>

#include "store_int.h"

static uint32_t cap_for(uint32_t parts)
{
	uint32_t cap = 1;

	while (cap < parts)
		cap *= 2;
	return cap;
}

struct sl_topic *sl_topic_new(struct sl_store *s, const char *name, const uint8_t id[16],
			      uint32_t parts, const struct sl_topic_layers *layers)
{
	struct sl_topic *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	memcpy(t->name, name, strnlen(name, SL_TOPIC_NAME_MAX));
	memcpy(t->id, id, 16);
	t->store = s;
	t->internal = strncmp(name, "__", 2) == 0;
	atomic_init(&t->refs, 1);
	if (sl_topic_reserve(t, parts)) {
		sl_topic_free(t);
		return NULL;
	}
	sl_topic_layers_put(t, layers);
	return t;
}

int sl_topic_reserve(struct sl_topic *t, uint32_t parts)
{
	struct sl_part **old = atomic_load_explicit(&t->part, memory_order_relaxed);
	uint32_t cap = cap_for(parts);

	if (old && cap <= t->part_cap)
		return 0;
	struct sl_part **all = calloc(cap, sizeof(struct sl_part *));
	if (!all)
		return -ENOMEM;
	if (old) {
		SL_ASSERT(t->outgrown_cnt < SL_TOPIC_GROWTHS);
		memcpy(all, old, t->part_cap * sizeof(struct sl_part *));
		t->outgrown[t->outgrown_cnt++] = old;
	}
	t->part_cap = cap;
	/* release: who loads it sees the partitions that the old one had */
	atomic_store_explicit(&t->part, all, memory_order_release);
	return 0;
}

void sl_topic_put_part(struct sl_topic *t, uint32_t i, struct sl_part *p)
{
	SL_ASSERT(i < t->part_cap);
	atomic_load_explicit(&t->part, memory_order_relaxed)[i] = p;
}

void sl_topic_free(struct sl_topic *t)
{
	if (!t)
		return;
	struct sl_part **all = atomic_load(&t->part);
	for (uint32_t i = 0; all && i < t->part_cap; i++)
		sl_part_free(all[i]);
	free(all);
	for (uint32_t i = 0; i < t->outgrown_cnt; i++)
		free(t->outgrown[i]);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct sl_topic *sl_topic_ref(struct sl_topic *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void sl_topic_put(struct sl_topic *t)
{
	if (!t)
		return;
	/* release: pairs with the acquire of whoever is last */
	uint32_t had = atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel);
	SL_ASSERT(had > 0);
	if (had == 1)
		sl_topic_free(t);
}

const char *sl_topic_name(const struct sl_topic *t)
{
	return t->name;
}

const uint8_t *sl_topic_id(const struct sl_topic *t)
{
	return t->id;
}

uint32_t sl_topic_partitions(const struct sl_topic *t)
{
	return sl_topic_cnt(t);
}

struct sl_part *sl_topic_part(const struct sl_topic *t, int32_t id)
{
	return id >= 0 && (uint32_t)id < sl_topic_cnt(t) ? sl_topic_at(t, (uint32_t)id) : NULL;
}
