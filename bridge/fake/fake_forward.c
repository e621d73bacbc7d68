/* SPDX-License-Identifier: Apache-2.0 */
/* fake_forward.c - what the uplink tells the store. */
#include "fake_store_priv.h"

void sl_part_forwarded_set(struct sl_part *p, int64_t offset)
{
	if (atomic_exchange(&p->pub.forwarded, offset) == offset)
		return;
	atomic_fetch_add(&p->store->forwards, 1);
	fake_store_ring(p->store);
}

uint64_t sl_store_forwards(const struct sl_store *s)
{
	return atomic_load(&s->forwards);
}

void sl_part_dead_letter(struct sl_part *p, int64_t offset)
{
	pthread_mutex_lock(&p->store->lock);
	p->dead[p->dead_cnt++ % FAKE_DEAD_MAX] = offset;
	pthread_mutex_unlock(&p->store->lock);
}

bool sl_part_dead_in(const struct sl_part *p, int64_t from, int64_t to)
{
	bool found = false;

	pthread_mutex_lock(&p->store->lock);
	for (size_t i = 0; i < SL_MIN(p->dead_cnt, (size_t)FAKE_DEAD_MAX); i++)
		found = found || (p->dead[i] >= from && p->dead[i] < to);
	pthread_mutex_unlock(&p->store->lock);
	return found;
}

void fake_store_set_unsent(struct sl_part *p, int64_t from, int64_t to)
{
	pthread_mutex_lock(&p->store->lock);
	p->unsent_from = from;
	p->unsent_to = to;
	pthread_mutex_unlock(&p->store->lock);
}

bool sl_part_unsent_in(const struct sl_part *p, int64_t from, int64_t to)
{
	pthread_mutex_lock(&p->store->lock);
	bool found = p->unsent_from < to && p->unsent_to > from;
	pthread_mutex_unlock(&p->store->lock);
	return found;
}

void sl_store_link_set(struct sl_store *s, bool up)
{
	if (atomic_exchange(&s->link, up) != up)
		fake_store_ring(s);
}

bool sl_store_link(const struct sl_store *s)
{
	return atomic_load(&s->link);
}
