/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c - what the uplink knows and others wait for: how far the centre is, what did not get
 * there as it was, whether it can be reached; and what was deleted here before it got there.
 *
 * Order: what is special about an offset (a dead letter, deleted unsent) is noted under the list
 * lock before `forwarded` is stored beyond it with release. Who has loaded `forwarded` (acquire)
 * and asks then finds the note.
 */
#include "store_int.h"

void sl_part_forwarded_set(struct sl_part *p, int64_t offset)
{
	SL_ASSERT(offset >= -1);
	if (atomic_load_explicit(&p->pub.forwarded, memory_order_relaxed) == offset)
		return;
	atomic_store_explicit(&p->pub.forwarded, offset, memory_order_release);
	/* after it: who sees the count move finds the offset */
	atomic_fetch_add_explicit(&p->store->forwards, 1, memory_order_release);
	sl_store_ring(p->store);
}

uint64_t sl_store_forwards(const struct sl_store *s)
{
	return atomic_load_explicit(&s->forwards, memory_order_acquire);
}

/* ---- notes about offsets ------------------------------------------------------------------- */

static bool meets(const struct sl_run *r, int64_t from, int64_t to)
{
	return r->from < to && r->to > from;
}

/* A list of notes may be asked by who only reads. */
static pthread_mutex_t *lock_of(const struct sl_part *p)
{
	return (pthread_mutex_t *)(uintptr_t)&p->lock;
}

void sl_part_dead_letter(struct sl_part *p, int64_t offset)
{
	pthread_mutex_lock(&p->lock);
	struct sl_run *last = &p->dead[(p->dead_cnt - 1) % SL_DEAD_LETTERS_KEPT];
	if (p->dead_cnt && last->to == offset) /* runs: a refused batch is one note */
		last->to++;
	else
		p->dead[p->dead_cnt++ % SL_DEAD_LETTERS_KEPT] = (struct sl_run){offset, offset + 1};
	pthread_mutex_unlock(&p->lock);
}

bool sl_part_dead_in(const struct sl_part *p, int64_t from, int64_t to)
{
	bool found = false;

	pthread_mutex_lock(lock_of(p));
	uint64_t n = SL_MIN(p->dead_cnt, (uint64_t)SL_DEAD_LETTERS_KEPT);
	for (uint64_t i = 0; i < n && !found; i++)
		found = meets(&p->dead[i], from, to);
	pthread_mutex_unlock(lock_of(p));
	return found;
}

bool sl_part_unsent_in(const struct sl_part *p, int64_t from, int64_t to)
{
	pthread_mutex_lock(lock_of(p));
	bool found = meets(&p->unsent, from, to);
	pthread_mutex_unlock(lock_of(p));
	return found;
}

/* ---- deleting ------------------------------------------------------------------------------ */

uint64_t sl_part_start_move(struct sl_part *p, int64_t to)
{
	int64_t from = sl_part_start(p), forwarded = sl_part_forwarded(p);
	uint64_t unsent = 0;

	if (to <= from)
		return 0;
	from = SL_MAX(from, forwarded);
	if (forwarded >= 0 && from < to) {
		unsent = (uint64_t)(to - from);
		atomic_fetch_add(&p->store->deleted_unsent, unsent);
		pthread_mutex_lock(&p->lock);
		if (p->unsent.to != from) /* during an outage one stretch grows */
			p->unsent.from = from;
		p->unsent.to = to;
		pthread_mutex_unlock(&p->lock);
	}
	atomic_store_explicit(&p->pub.log_start, to, memory_order_release);
	return unsent;
}

/* ---- the link ------------------------------------------------------------------------------ */

void sl_store_link_set(struct sl_store *s, bool up)
{
	if (atomic_exchange_explicit(&s->link, up, memory_order_acq_rel) != up)
		sl_store_ring(s);
}

bool sl_store_link(const struct sl_store *s)
{
	return atomic_load_explicit(&s->link, memory_order_acquire);
}
