/* SPDX-License-Identifier: Apache-2.0 */
#include "inject.h"

#include <errno.h>
#include <stdlib.h>

struct sl_injector {
	struct sl_injectors *set;
	bool open;                                /* under the set's lock */
	uint32_t under_way[SL_STORE_WRITERS_MAX]; /* the injector's thread */
	unsigned next;                            /* writer to reap first: all get their turn */
	struct sl_inject_lane lane[SL_STORE_WRITERS_MAX];
};

int sl_injectors_init(struct sl_injectors *s, struct sl_writer *const *writer, unsigned writers)
{
	memset(s, 0, sizeof(*s));
	int rc = pthread_mutex_init(&s->lock, NULL);
	if (rc)
		return -rc;
	for (unsigned i = 0; i < writers; i++)
		s->writer[i] = writer[i];
	s->writers = writers;
	return 0;
}

static void free_place(struct sl_injector *inj)
{
	if (!inj)
		return;
	for (unsigned w = 0; w < inj->set->writers; w++)
		sl_handoff_fini(&inj->lane[w].rings);
	free(inj);
}

void sl_injectors_fini(struct sl_injectors *s)
{
	if (!s || !s->writers)
		return;
	for (unsigned i = 0; i < SL_INJECTORS_MAX; i++)
		free_place(s->place[i]);
	pthread_mutex_destroy(&s->lock);
	memset(s, 0, sizeof(*s));
}

static int new_place(struct sl_injectors *s, unsigned nth)
{
	struct sl_injector *inj = calloc(1, sizeof(*inj));

	if (!inj)
		return -ENOMEM;
	inj->set = s;
	for (unsigned w = 0; w < s->writers; w++) {
		int rc = sl_handoff_init(&inj->lane[w].rings, SL_INJECT_DEPTH);
		if (rc) {
			free_place(inj);
			return rc;
		}
	}
	s->place[nth] = inj;
	return 0;
}

static int open_place(struct sl_injectors *s, struct sl_waker *done, struct sl_injector **ret_inj)
{
	unsigned nth = 0;

	while (nth < SL_INJECTORS_MAX && s->place[nth] && s->place[nth]->open)
		nth++;
	if (nth == SL_INJECTORS_MAX)
		return -ENOSPC;
	bool fresh = !s->place[nth];
	int rc = fresh ? new_place(s, nth) : 0;
	if (rc)
		return rc;
	struct sl_injector *inj = s->place[nth];
	inj->open = true;
	for (unsigned w = 0; w < s->writers; w++) {
		atomic_store_explicit(&inj->lane[w].done, done, memory_order_release);
		if (fresh)
			sl_writer_add_lane(s->writer[w], nth, &inj->lane[w]);
	}
	*ret_inj = inj;
	return 0;
}

int sl_injector_open(struct sl_dataplane *dp, struct sl_waker *done, struct sl_injector **ret_inj)
{
	struct sl_injectors *s = sl_dp_injectors(dp);

	pthread_mutex_lock(&s->lock);
	int rc = open_place(s, done, ret_inj);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void sl_injector_close(struct sl_injector *inj)
{
	if (!inj)
		return;
	struct sl_injectors *s = inj->set;
	for (unsigned w = 0; w < s->writers; w++) {
		SL_ASSERT(inj->under_way[w] == 0 || sl_writer_gone(s->writer[w]));
		atomic_store_explicit(&inj->lane[w].done, NULL, memory_order_release);
	}
	/* a writer may be about to ring a waker that it read before */
	for (unsigned w = 0; w < s->writers; w++)
		sl_writer_quiesce(s->writer[w]);
	pthread_mutex_lock(&s->lock);
	inj->open = false;
	pthread_mutex_unlock(&s->lock);
}

int sl_inject(struct sl_injector *inj, struct sl_append *a)
{
	unsigned w = sl_part_writer(a->part);

	SL_DASSERT(w < inj->set->writers);
	if (sl_unlikely(sl_writer_gone(inj->set->writer[w])))
		return -ESHUTDOWN;
	if (inj->under_way[w] == SL_INJECT_DEPTH)
		return -EAGAIN;
	inj->under_way[w]++;
	SL_ASSERT(sl_handoff_give(&inj->lane[w].rings, a));
	sl_waker_ring(sl_writer_waker(inj->set->writer[w]));
	return 0;
}

/* What a writer that has ended did not take: it is ours again. */
static unsigned reap_orphans(struct sl_injector *inj, unsigned w, struct sl_append **ret,
			     unsigned n)
{
	unsigned got = sl_handoff_take(&inj->lane[w].rings, ret, n);

	for (unsigned i = 0; i < got; i++)
		ret[i]->err = -ESHUTDOWN;
	return got;
}

unsigned sl_inject_reap(struct sl_injector *inj, struct sl_append **ret_done, unsigned n)
{
	unsigned got = 0, writers = inj->set->writers;

	for (unsigned i = 0; i < writers && got < n; i++) {
		unsigned w = (inj->next + i) % writers;
		/* looked at before the ring: what it gave back at the end is then seen below */
		bool gone = sl_writer_gone(inj->set->writer[w]);
		unsigned k = sl_handoff_reap(&inj->lane[w].rings, ret_done + got, n - got);
		if (sl_unlikely(gone && got + k < n))
			k += reap_orphans(inj, w, ret_done + got + k, n - got - k);
		inj->under_way[w] -= k;
		got += k;
	}
	inj->next = (inj->next + 1) % writers;
	return got;
}
