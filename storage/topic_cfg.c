/* SPDX-License-Identifier: Apache-2.0 */
/* topic_cfg.c - a topic's settings: two layers, what is in force, changing them. */
#include <errno.h>

#include "platform/base/topic_cfg.h"
#include "store_int.h"

void sl_topic_cfg_defaults(struct sl_topic_cfg *cfg)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	memset(cfg, 0, sizeof(*cfg));
	for (uint32_t i = 0; i < cnt; i++)
		sl_topic_setting_put(cfg, &row[i], row[i].def);
}

/* Setting by setting: the struct has padding. */
bool sl_topic_cfg_equal(const struct sl_topic_cfg *a, const struct sl_topic_cfg *b)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	for (uint32_t i = 0; i < cnt; i++)
		if (sl_topic_setting_get(a, &row[i]) != sl_topic_setting_get(b, &row[i]))
			return false;
	return true;
}

static bool in_range(const struct sl_topic_setting *row, int64_t v)
{
	if (!row->words)
		return v >= row->min && v <= row->max;
	for (const struct sl_setting_word *w = row->words; w->word; w++)
		if (w->value == v) /* a later one too: the gateway's own topics have it */
			return true;
	return false;
}

bool sl_topic_cfg_valid(const struct sl_topic_cfg *cfg)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	for (uint32_t i = 0; i < cnt; i++)
		if (!in_range(&row[i], sl_topic_setting_get(cfg, &row[i])))
			return false;
	return true;
}

static uint32_t known_bits(void)
{
	uint32_t cnt;

	sl_topic_settings(&cnt);
	return cnt == 32 ? UINT32_MAX : (1u << cnt) - 1;
}

bool sl_topic_layers_valid(const struct sl_topic_layers *l)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_layer(&cfg, &l->base, &l->own, l->own_set);
	return ((l->own_set | l->base_set) & ~known_bits()) == 0 && sl_topic_cfg_valid(&l->base) &&
	       sl_topic_cfg_valid(&cfg);
}

/* ---- in force ------------------------------------------------------------------------------ */

void sl_topic_layers_put(struct sl_topic *t, const struct sl_topic_layers *layers)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_layer(&cfg, &layers->base, &layers->own, layers->own_set);
	pthread_mutex_lock(&t->lock);
	t->layers = *layers;
	/* what is not set does not matter, and reads back as what is in force */
	t->layers.own = cfg;
	t->cfg = cfg;
	atomic_store_explicit(&t->segment_bytes, cfg.segment_bytes, memory_order_relaxed);
	atomic_store_explicit(&t->segment_ms, cfg.segment_ms, memory_order_relaxed);
	atomic_store_explicit(&t->max_message_bytes, cfg.max_message_bytes, memory_order_relaxed);
	atomic_store_explicit(&t->index_interval, cfg.index_interval_bytes, memory_order_relaxed);
	pthread_mutex_unlock(&t->lock);
}

void sl_topic_cfg_get(const struct sl_topic *t, struct sl_topic_cfg *ret_cfg)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&t->lock;

	pthread_mutex_lock(lock);
	*ret_cfg = t->cfg;
	pthread_mutex_unlock(lock);
}

void sl_topic_layers_get(const struct sl_topic *t, struct sl_topic_layers *ret_layers)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&t->lock;

	pthread_mutex_lock(lock);
	*ret_layers = t->layers;
	pthread_mutex_unlock(lock);
}

/* ---- changing ------------------------------------------------------------------------------ */

/*
 * A file without masks kept what was in force. What the base says as well came from it, and what
 * the config file names for the topic was always the file's: the rest was set when the file still
 * named it, and stays, because it may be all that keeps the data.
 */
static void settle_unlayered(struct sl_topic_layers *l)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	l->own_set &= ~l->base_set;
	for (uint32_t i = 0; i < cnt; i++)
		if (sl_topic_setting_get(&l->own, &row[i]) ==
		    sl_topic_setting_get(&l->base, &row[i]))
			l->own_set &= ~sl_topic_setting_bit(i);
}

bool sl_topic_layered(struct sl_topic *t)
{
	bool was = t->unlayered;

	t->unlayered = false;
	t->store->unlayered -= was;
	return was;
}

int sl_topic_base_set(struct sl_topic *t, const struct sl_topic_cfg *base, uint32_t base_set)
{
	struct sl_store *s = t->store;
	struct sl_topic_layers l;
	int err = 0;

	pthread_mutex_lock(&s->create_lock);
	sl_topic_layers_get(t, &l);
	l.base = *base;
	l.base_set = base_set;
	if (t->unlayered)
		settle_unlayered(&l);
	if (!sl_topic_layers_valid(&l)) {
		err = -EINVAL;
	} else {
		sl_topic_layers_put(t, &l);
		if (sl_topic_layered(t) && s->unlayered == 0)
			err = sl_topics_store(s, NULL); /* from now on the file has masks */
	}
	pthread_mutex_unlock(&s->create_lock);
	return err;
}

int sl_store_topic_own_set(struct sl_store *s, struct sl_topic *t, const struct sl_topic_cfg *own,
			   uint32_t own_set)
{
	struct sl_topic_layers old, l;
	int err = 0;

	pthread_mutex_lock(&s->create_lock);
	sl_topic_layers_get(t, &old);
	l = old;
	l.own = *own;
	l.own_set = own_set;
	if (atomic_load(&t->deleted))
		err = -ENOENT;
	else if (!sl_topic_layers_valid(&l))
		err = -EINVAL;
	if (!err) {
		sl_topic_layers_put(t, &l);
		err = sl_topics_store(s, NULL);
		if (err)
			sl_topic_layers_put(t, &old);
		else
			sl_topic_layered(t);
	}
	pthread_mutex_unlock(&s->create_lock);
	if (!err)
		sl_hk_retention_soon(s);
	return err;
}
