/* SPDX-License-Identifier: Apache-2.0 */
#include "producer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HASH (2 * SL_PRODUCERS_MAX)
_Static_assert((HASH & (HASH - 1)) == 0, "the hash table is masked");
_Static_assert(SL_PRODUCERS_MAX < UINT16_MAX, "links are 16 bits");

struct sl_producers {
	uint32_t cnt;
	uint16_t newest, oldest; /* index + 1 */
	uint16_t hash[HASH];     /* index + 1, linear probing */
	struct sl_producer p[SL_PRODUCERS_MAX];
};

struct sl_producers *sl_producers_new(void)
{
	void *p = mmap(NULL, sizeof(struct sl_producers), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void sl_producers_free(struct sl_producers *ps)
{
	if (ps)
		munmap(ps, sizeof(*ps));
}

uint32_t sl_producers_cnt(const struct sl_producers *ps)
{
	return __atomic_load_n(&ps->cnt, __ATOMIC_RELAXED);
}

static uint32_t home(int64_t pid)
{
	return (uint32_t)(((uint64_t)pid * 0x9e3779b97f4a7c15ull) >> 40) & (HASH - 1);
}

static struct sl_producer *find(struct sl_producers *ps, int64_t pid)
{
	for (uint32_t h = home(pid); ps->hash[h]; h = (h + 1) & (HASH - 1))
		if (ps->p[ps->hash[h] - 1].pid == pid)
			return &ps->p[ps->hash[h] - 1];
	return NULL;
}

static void hash_in(struct sl_producers *ps, uint16_t link)
{
	uint32_t h = home(ps->p[link - 1].pid);

	while (ps->hash[h])
		h = (h + 1) & (HASH - 1);
	ps->hash[h] = link;
}

/* Linear probing without tombstones: what follows in the run is put in again. */
static void hash_out(struct sl_producers *ps, uint16_t link)
{
	uint32_t h = home(ps->p[link - 1].pid);

	while (ps->hash[h] != link)
		h = (h + 1) & (HASH - 1);
	ps->hash[h] = 0;
	for (h = (h + 1) & (HASH - 1); ps->hash[h]; h = (h + 1) & (HASH - 1)) {
		uint16_t moved = ps->hash[h];
		ps->hash[h] = 0;
		hash_in(ps, moved);
	}
}

static void unlink_use(struct sl_producers *ps, uint16_t link)
{
	struct sl_producer *e = &ps->p[link - 1];

	if (e->newer)
		ps->p[e->newer - 1].older = e->older;
	else
		ps->newest = e->older;
	if (e->older)
		ps->p[e->older - 1].newer = e->newer;
	else
		ps->oldest = e->newer;
}

static void link_newest(struct sl_producers *ps, uint16_t link)
{
	struct sl_producer *e = &ps->p[link - 1];

	e->newer = 0;
	e->older = ps->newest;
	if (ps->newest)
		ps->p[ps->newest - 1].newer = link;
	else
		ps->oldest = link;
	ps->newest = link;
}

/* Frees a place: the last entry moves into it, so entries stay dense and few pages are touched. */
static void forget(struct sl_producers *ps, uint16_t link)
{
	uint16_t last = (uint16_t)ps->cnt;

	unlink_use(ps, link);
	hash_out(ps, link);
	if (link != last) {
		struct sl_producer *e = &ps->p[last - 1];
		hash_out(ps, last);
		ps->p[link - 1] = *e;
		if (e->newer)
			ps->p[e->newer - 1].older = link;
		else
			ps->newest = link;
		if (e->older)
			ps->p[e->older - 1].newer = link;
		else
			ps->oldest = link;
		hash_in(ps, link);
	}
	__atomic_store_n(&ps->cnt, ps->cnt - 1, __ATOMIC_RELAXED);
}

static int32_t seq_add(int32_t seq, uint32_t n)
{
	return (int32_t)(((uint32_t)seq + n) & INT32_MAX); /* wraps at 2^31 - 1 */
}

int sl_producers_check(struct sl_producers *ps, const struct sl_pappend *a, bool empty,
		       int64_t now_ms, int64_t expiry_ms, int64_t *ret_base)
{
	while (ps->oldest && now_ms - ps->p[ps->oldest - 1].seen_ms >= expiry_ms)
		forget(ps, ps->oldest);
	struct sl_producer *e = find(ps, a->pid);
	if (!e || e->cnt == 0)
		return empty && a->base_seq != 0 ? -EILSEQ : 0;
	if (a->epoch < e->epoch)
		return -ESTALE;
	if (a->epoch > e->epoch)
		return a->base_seq == 0 ? 0 : -EILSEQ;
	int32_t last = seq_add(a->base_seq, a->records - 1);
	for (unsigned i = 0; i < e->cnt; i++) {
		if (e->batch[i].first_seq == a->base_seq && e->batch[i].last_seq == last) {
			*ret_base = e->batch[i].base_offset;
			return -EEXIST;
		}
	}
	return a->base_seq == seq_add(e->batch[e->cnt - 1].last_seq, 1) ? 0 : -EILSEQ;
}

void sl_producers_put(struct sl_producers *ps, const struct sl_pappend *a, int64_t now_ms)
{
	struct sl_producer *e = find(ps, a->pid);
	uint16_t link;

	if (!e) {
		if (ps->cnt == SL_PRODUCERS_MAX)
			forget(ps, ps->oldest);
		link = (uint16_t)(ps->cnt + 1);
		e = &ps->p[link - 1];
		memset(e, 0, sizeof(*e));
		e->pid = a->pid;
		e->epoch = a->epoch;
		__atomic_store_n(&ps->cnt, link, __ATOMIC_RELAXED);
		hash_in(ps, link);
	} else {
		link = (uint16_t)(e - ps->p + 1);
		unlink_use(ps, link);
	}
	link_newest(ps, link);
	if (e->epoch != a->epoch)
		e->cnt = 0;
	e->epoch = a->epoch;
	e->seen_ms = now_ms;
	if (e->cnt == SL_PRODUCER_BATCHES)
		memmove(e->batch, e->batch + 1, --e->cnt * sizeof(e->batch[0]));
	e->batch[e->cnt++] = (struct sl_pbatch){
		.first_seq = a->base_seq,
		.last_seq = seq_add(a->base_seq, a->records - 1),
		.base_offset = a->base_offset,
		.offset_delta = (int32_t)a->records - 1,
		.ts_ms = a->ts_ms,
	};
}

void sl_producers_truncate(struct sl_producers *ps, int64_t end)
{
	for (uint32_t i = ps->cnt; i > 0; i--) { /* downwards: the last one fills a freed place */
		struct sl_producer *e = &ps->p[i - 1];
		while (e->cnt &&
		       e->batch[e->cnt - 1].base_offset + e->batch[e->cnt - 1].offset_delta >= end)
			e->cnt--;
		if (e->cnt == 0)
			forget(ps, (uint16_t)i);
	}
}

bool sl_producers_copy(const struct sl_producers *ps, struct sl_producer *ret_all, uint32_t cap,
		       uint32_t *ret_cnt)
{
	uint32_t n = 0;

	if (ps->cnt > cap)
		return false;
	for (uint16_t l = ps->oldest; l; l = ps->p[l - 1].newer)
		ret_all[n++] = ps->p[l - 1];
	*ret_cnt = n;
	return true;
}
