/* SPDX-License-Identifier: Apache-2.0 */
/* topic.c - finding, creating and growing topics. */
#include <errno.h>

#include "platform/base/log.h"
#include "store_int.h"

/* ---- finding ------------------------------------------------------------------------------- */

static struct sl_topic *find(const struct sl_store *s, const char *name, size_t len)
{
	uint32_t lo = 0, hi = s->topic_cnt;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int c = strncmp(name, s->topic[mid]->name, len);
		if (c == 0 && s->topic[mid]->name[len])
			c = -1;
		if (c == 0)
			return s->topic[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

struct sl_topic *sl_store_topic_find(struct sl_store *s, const char *name, size_t len)
{
	if (len > SL_TOPIC_NAME_MAX)
		return NULL;
	pthread_rwlock_rdlock(&s->topics_lock);
	struct sl_topic *t = find(s, name, len);
	if (t)
		sl_topic_ref(t);
	pthread_rwlock_unlock(&s->topics_lock);
	return t;
}

struct sl_topic *sl_store_topic_by_id(struct sl_store *s, const uint8_t id[16])
{
	struct sl_topic *t = NULL;

	pthread_rwlock_rdlock(&s->topics_lock);
	for (uint32_t i = 0; i < s->topic_cnt && !t; i++)
		if (memcmp(s->topic[i]->id, id, 16) == 0)
			t = sl_topic_ref(s->topic[i]);
	pthread_rwlock_unlock(&s->topics_lock);
	return t;
}

void sl_store_topics(struct sl_store *s, int (*fn)(struct sl_topic *t, void *arg), void *arg)
{
	pthread_rwlock_rdlock(&s->topics_lock);
	for (uint32_t i = 0; i < s->topic_cnt; i++)
		if (fn(s->topic[i], arg))
			break;
	pthread_rwlock_unlock(&s->topics_lock);
}

uint64_t sl_store_generation(const struct sl_store *s)
{
	return atomic_load_explicit(&s->generation, memory_order_acquire);
}

/* ---- creating ------------------------------------------------------------------------------ */

/* A checkpoint that speaks of a deleted topic would be believed of another one of its name. */
static int forget_names(struct sl_store *s)
{
	struct sl_hk_job job = {.kind = SL_JOB_CHECKPOINTS};

	if (!s->names_stale)
		return 0;
	int err = sl_hk_call(s, &job);
	s->names_stale = err != 0;
	return err;
}

/* The file may have been replaced although its directory could not be synced. */
static void unsay(struct sl_store *s, const struct sl_topic *t, const char *what)
{
	if (sl_topics_store(s, NULL))
		sl_log(SL_LOG_WARN, "storage", "topic %s: not %s, but the next start may bring it",
		       t->name, what);
}

static int publish(struct sl_store *s, struct sl_topic *t)
{
	pthread_rwlock_wrlock(&s->topics_lock);
	int err = sl_topics_insert(s, t);
	pthread_rwlock_unlock(&s->topics_lock);
	if (!err)
		atomic_fetch_add(&s->generation, 1);
	return err;
}

static int create(struct sl_store *s, const char *name, uint32_t parts,
		  const struct sl_topic_layers *layers, struct sl_topic **ret_topic)
{
	uint8_t id[16];

	if (find(s, name, strlen(name)))
		return -EEXIST;
	if (s->topic_cnt >= SL_STORE_TOPICS_MAX || !sl_store_parts_fit(s, parts))
		return -EMFILE;
	int err = forget_names(s);
	if (err)
		return err;
	sl_uuid_make(id);
	struct sl_topic *t = sl_topic_new(s, name, id, parts, layers);
	if (!t)
		return -ENOMEM;
	err = sl_topic_make_parts(s, t, 0, parts);
	if (!err) {
		atomic_store_explicit(&t->part_cnt, parts, memory_order_release);
		err = sl_topics_store(s, &(struct sl_topics_edit){.add = t});
		if (!err)
			err = publish(s, t);
		if (err) {
			unsay(s, t, "made");
			sl_topic_unmake_parts(s, t, 0, parts);
		}
	}
	if (err) {
		sl_topic_free(t);
		return err;
	}
	if (ret_topic)
		*ret_topic = sl_topic_ref(t);
	return 0;
}

int sl_store_topic_create(struct sl_store *s, const char *name, uint32_t partitions,
			  const struct sl_topic_layers *layers, struct sl_topic **ret_topic)
{
	struct sl_topic_layers kafkas = {0};

	sl_topic_cfg_defaults(&kafkas.base);
	if (!layers)
		layers = &kafkas;
	if (!name || !sl_topic_name_valid(name, strnlen(name, SL_TOPIC_NAME_MAX + 1)) ||
	    partitions == 0 || partitions > SL_PARTITIONS_MAX || !sl_topic_layers_valid(layers))
		return -EINVAL;
	pthread_mutex_lock(&s->create_lock);
	int err = create(s, name, partitions, layers, ret_topic);
	pthread_mutex_unlock(&s->create_lock);
	return err;
}

/* ---- growing ------------------------------------------------------------------------------- */

static int grow(struct sl_store *s, struct sl_topic *t, uint32_t total)
{
	uint32_t have = sl_topic_cnt(t);

	if (atomic_load(&t->deleted))
		return -ENOENT;
	if (total <= have || total > SL_PARTITIONS_MAX)
		return -EINVAL;
	if (!sl_store_parts_fit(s, total - have))
		return -EMFILE;
	int err = sl_topic_reserve(t, total);
	if (!err)
		err = sl_topic_make_parts(s, t, have, total);
	if (err)
		return err;
	err = sl_topics_store(s, &(struct sl_topics_edit){.grow = t, .grow_to = total});
	if (err) {
		unsay(s, t, "grown");
		sl_topic_unmake_parts(s, t, have, total);
		return err;
	}
	pthread_rwlock_wrlock(&s->topics_lock); /* whoever counts partitions counts them all */
	s->part_cnt += total - have;
	/* release: pairs with the acquire in sl_topic_cnt(), after which the array holds them */
	atomic_store_explicit(&t->part_cnt, total, memory_order_release);
	pthread_rwlock_unlock(&s->topics_lock);
	atomic_fetch_add(&s->generation, 1);
	return 0;
}

int sl_store_partitions_add(struct sl_store *s, struct sl_topic *t, uint32_t total)
{
	pthread_mutex_lock(&s->create_lock);
	int err = grow(s, t, total);
	pthread_mutex_unlock(&s->create_lock);
	return err;
}
