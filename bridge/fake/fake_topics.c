/* SPDX-License-Identifier: Apache-2.0 */
/* fake_topics.c - the topic part of the store in memory: references, layers, deletion, growth. */
#include <errno.h>
#include <stdlib.h>

#include "fake_store_priv.h"
#include "platform/base/topic_cfg.h"

/* ---- parts ----------------------------------------------------------------------------------- */

static struct sl_part *part_new(struct sl_topic *t, int32_t id)
{
	size_t size = SL_ALIGN_UP(sizeof(struct sl_part), SL_CACHELINE);
	struct sl_part *p = aligned_alloc(SL_CACHELINE, size);
	SL_ASSERT(p);
	memset(p, 0, size);
	p->pub.topic = t;
	p->pub.id = id;
	atomic_init(&p->pub.forwarded, -1);
	p->store = t->store;
	p->epoch_cnt = 1; /* epoch 0 from offset 0 */
	return p;
}

static void part_free(struct sl_part *p)
{
	for (size_t b = 0; b < p->batch_cnt; b++)
		free(p->batch[b].bytes);
	free(p->batch);
	free(p->producer);
	free(p);
}

void fake_store_set_epoch(struct sl_part *p, int32_t epoch)
{
	SL_ASSERT(p->epoch_cnt < FAKE_EPOCHS_MAX && epoch > p->pub.leader_epoch);
	p->pub.leader_epoch = epoch;
	p->epoch[p->epoch_cnt].epoch = epoch;
	p->epoch[p->epoch_cnt++].start = sl_part_end(p);
}

int sl_part_epoch_end(const struct sl_part *p, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end)
{
	for (unsigned i = p->epoch_cnt; i-- > 0;) {
		if (p->epoch[i].epoch > epoch)
			continue;
		*ret_epoch = p->epoch[i].epoch;
		*ret_end = i + 1 < p->epoch_cnt ? p->epoch[i + 1].start : sl_part_end(p);
		return 0;
	}
	return -ENOENT;
}

int sl_store_delete_records(struct sl_store *s, struct sl_part *p, int64_t offset,
			    int64_t *ret_start)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (offset == -1)
		offset = sl_part_end(p);
	if (sl_part_state(p) == SL_PART_DELETED)
		rc = -ENOENT;
	else if (offset < 0 || offset > sl_part_end(p))
		rc = -ERANGE;
	else if (offset > sl_part_start(p))
		atomic_store(&p->pub.log_start, offset);
	if (!rc)
		*ret_start = sl_part_start(p);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* ---- references ------------------------------------------------------------------------------ */

struct sl_topic *sl_topic_ref(struct sl_topic *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void sl_topic_put(struct sl_topic *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (uint32_t i = 0; i < sl_topic_partitions(t); i++)
		part_free(t->part[i]);
	atomic_fetch_sub(&t->store->alive, 1);
	free(t);
}

static struct sl_topic *find_locked(struct sl_store *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->topic_cnt; i++)
		if (strlen(s->topic[i]->name) == len && !memcmp(s->topic[i]->name, name, len))
			return s->topic[i];
	return NULL;
}

struct sl_topic *sl_store_topic_find(struct sl_store *s, const char *name, size_t len)
{
	pthread_mutex_lock(&s->lock);
	struct sl_topic *t = find_locked(s, name, len);
	if (t)
		sl_topic_ref(t);
	pthread_mutex_unlock(&s->lock);
	return t;
}

struct sl_topic *sl_store_topic_by_id(struct sl_store *s, const uint8_t id[16])
{
	struct sl_topic *t = NULL;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->topic_cnt && !t; i++)
		if (!memcmp(s->topic[i]->id, id, 16))
			t = sl_topic_ref(s->topic[i]);
	pthread_mutex_unlock(&s->lock);
	return t;
}

void sl_store_topics(struct sl_store *s, int (*fn)(struct sl_topic *t, void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->topic_cnt && fn(s->topic[i], arg) == 0; i++)
		;
	pthread_mutex_unlock(&s->lock);
}

/* ---- creating, deleting, growing ------------------------------------------------------------- */

static struct fake_deleted *deleted_find(struct sl_store *s, const char *name)
{
	for (size_t i = 0; i < s->deleted_cnt; i++)
		if (!strcmp(s->deleted[i].name, name))
			return &s->deleted[i];
	return NULL;
}

/*
 * The name's first 15 bytes, padded, and how often the name was deleted before: known to the
 * golden vectors.
 */
static void make_id(struct sl_store *s, struct sl_topic *t)
{
	const struct fake_deleted *d = deleted_find(s, t->name);
	memset(t->id, 0xa5, sizeof(t->id));
	memcpy(t->id, t->name, strnlen(t->name, sizeof(t->id) - 1));
	t->id[15] ^= d ? (uint8_t)d->times : 0;
}

static void note_deleted(struct sl_store *s, const char *name)
{
	struct fake_deleted *d = deleted_find(s, name);
	if (!d) {
		s->deleted = realloc(s->deleted, (s->deleted_cnt + 1) * sizeof(*d));
		SL_ASSERT(s->deleted);
		d = &s->deleted[s->deleted_cnt++];
		memset(d, 0, sizeof(*d));
		memcpy(d->name, name, strlen(name));
	}
	d->times++;
}

static int may_create(struct sl_store *s, const char *name, uint32_t partitions)
{
	if (s->cfg.create_err)
		return s->cfg.create_err;
	if (!sl_topic_name_valid(name, strlen(name)) || partitions == 0 ||
	    partitions > SL_PARTITIONS_MAX)
		return -EINVAL;
	if (find_locked(s, name, strlen(name)))
		return -EEXIST;
	return s->topic_cnt == FAKE_TOPICS_MAX ? -EMFILE : 0;
}

static struct sl_topic *topic_new(struct sl_store *s, const char *name, uint32_t partitions,
				  const struct sl_topic_layers *layers)
{
	struct sl_topic *t = calloc(1, sizeof(*t));
	SL_ASSERT(t);
	atomic_store(&t->refs, 1);
	atomic_fetch_add(&s->alive, 1);
	t->store = s;
	memcpy(t->name, name, strlen(name));
	make_id(s, t);
	if (layers)
		t->layers = *layers;
	else
		sl_topic_cfg_defaults(&t->layers.base);
	for (uint32_t i = 0; i < partitions; i++)
		t->part[i] = part_new(t, (int32_t)i);
	atomic_store(&t->partitions, partitions);
	return t;
}

int sl_store_topic_create(struct sl_store *s, const char *name, uint32_t partitions,
			  const struct sl_topic_layers *layers, struct sl_topic **ret_topic)
{
	pthread_mutex_lock(&s->lock);
	int rc = may_create(s, name, partitions);
	if (!rc) {
		struct sl_topic *t = topic_new(s, name, partitions, layers);
		size_t at = s->topic_cnt++;
		for (; at > 0 && strcmp(s->topic[at - 1]->name, name) > 0; at--)
			s->topic[at] = s->topic[at - 1];
		s->topic[at] = t;
		atomic_fetch_add(&s->generation, 1);
		if (ret_topic)
			*ret_topic = sl_topic_ref(t);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int sl_store_topic_delete(struct sl_store *s, struct sl_topic *t)
{
	size_t at;

	pthread_mutex_lock(&s->lock);
	for (at = 0; at < s->topic_cnt && s->topic[at] != t; at++)
		;
	if (at == s->topic_cnt) {
		pthread_mutex_unlock(&s->lock);
		return -ENOENT;
	}
	memmove(&s->topic[at], &s->topic[at + 1],
		(--s->topic_cnt - at) * sizeof(struct sl_topic *));
	note_deleted(s, t->name);
	for (uint32_t i = 0; i < sl_topic_partitions(t); i++)
		atomic_store(&t->part[i]->pub.state, (uint32_t)SL_PART_DELETED);
	atomic_fetch_add(&s->generation, 1);
	fake_store_ring(s);
	pthread_mutex_unlock(&s->lock);
	sl_topic_put(t); /* the list's */
	return 0;
}

int sl_store_partitions_add(struct sl_store *s, struct sl_topic *t, uint32_t total)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (find_locked(s, t->name, strlen(t->name)) != t)
		rc = -ENOENT;
	else if (total <= sl_topic_partitions(t) || total > SL_PARTITIONS_MAX)
		rc = -EINVAL;
	for (uint32_t i = sl_topic_partitions(t); !rc && i < total; i++) {
		t->part[i] = part_new(t, (int32_t)i);
		atomic_store(&t->partitions, i + 1);
	}
	if (!rc)
		atomic_fetch_add(&s->generation, 1);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

uint64_t sl_store_generation(const struct sl_store *s)
{
	return atomic_load(&s->generation);
}

/* ---- accessors ------------------------------------------------------------------------------- */

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
	return atomic_load(&t->partitions);
}

struct sl_part *sl_topic_part(const struct sl_topic *t, int32_t id)
{
	return id >= 0 && (uint32_t)id < sl_topic_partitions(t) ? t->part[id] : NULL;
}

const char *sl_store_log_dir(const struct sl_store *s)
{
	(void)s;
	return "/fake/log";
}

void sl_store_stats(struct sl_store *s, struct sl_store_stats *ret_stats)
{
	*ret_stats = (struct sl_store_stats){.fs_bytes = 1ull << 40, .fs_free_bytes = 1ull << 39};
	pthread_mutex_lock(&s->lock);
	for (size_t t = 0; t < s->topic_cnt; t++)
		for (uint32_t i = 0; i < sl_topic_partitions(s->topic[t]); i++)
			ret_stats->log_bytes +=
				(uint64_t)atomic_load(&s->topic[t]->part[i]->pub.size_bytes);
	pthread_mutex_unlock(&s->lock);
}

/* ---- settings -------------------------------------------------------------------------------- */

void sl_topic_layers_get(const struct sl_topic *t, struct sl_topic_layers *ret_layers)
{
	pthread_mutex_lock(&t->store->lock);
	*ret_layers = t->layers;
	pthread_mutex_unlock(&t->store->lock);
}

void sl_topic_cfg_get(const struct sl_topic *t, struct sl_topic_cfg *ret_cfg)
{
	struct sl_topic_layers l;
	sl_topic_layers_get(t, &l);
	sl_topic_cfg_layer(ret_cfg, &l.base, &l.own, l.own_set);
}

int sl_topic_base_set(struct sl_topic *t, const struct sl_topic_cfg *base, uint32_t base_set)
{
	pthread_mutex_lock(&t->store->lock);
	t->layers.base = *base;
	t->layers.base_set = base_set;
	pthread_mutex_unlock(&t->store->lock);
	return 0;
}

int sl_store_topic_own_set(struct sl_store *s, struct sl_topic *t, const struct sl_topic_cfg *own,
			   uint32_t own_set)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&s->lock);
	if (find_locked(s, t->name, strlen(t->name)) == t) {
		t->layers.own = *own;
		t->layers.own_set = own_set;
		rc = s->cfg.own_set_err;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void sl_topic_cfg_defaults(struct sl_topic_cfg *cfg)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	memset(cfg, 0, sizeof(*cfg));
	for (uint32_t i = 0; i < cnt; i++)
		sl_topic_setting_put(cfg, &row[i], row[i].def);
}
