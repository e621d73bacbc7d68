/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_mem.h"

#include <rte_malloc.h>
#include <sys/mman.h>

#include "eal.h"

#define HUGE (2u << 20)

struct head { /* in front of what is returned */
	void *map;
	size_t bytes; /* 0: from DPDK's heap */
	uint8_t pad[SL_CACHELINE - 2 * sizeof(void *)];
};
_Static_assert(sizeof(struct head) == SL_CACHELINE, "keeps the alignment");

/* Whole hugepages, beginning on one. */
static void *map(size_t bytes)
{
	size_t want = SL_ALIGN_UP(bytes, HUGE);
	uint8_t *p =
		mmap(NULL, want + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	uint8_t *from = (uint8_t *)SL_ALIGN_UP((uintptr_t)p, HUGE);
	if (from > p)
		munmap(p, (size_t)(from - p));
	munmap(from + want, (size_t)(p + HUGE - from));
	/* both only advice: an older kernel gives small pages, and at the first touch */
	(void)madvise(from, want, MADV_HUGEPAGE);
	(void)madvise(from, want, MADV_POPULATE_WRITE);
	return from;
}

void *sl_dp_mem_alloc(size_t bytes, size_t align)
{
	struct head *h;

	SL_ASSERT(align <= 4096);
	bytes += sizeof(*h);
	if (sl_eal_hugepages()) {
		h = rte_zmalloc("sluice", bytes, SL_CACHELINE);
		if (!h)
			return NULL;
		h->bytes = 0;
	} else {
		h = map(bytes);
		if (!h)
			return NULL;
		h->bytes = SL_ALIGN_UP(bytes, HUGE);
	}
	h->map = h;
	return h + 1;
}

void sl_dp_mem_free(void *p)
{
	if (!p)
		return;
	struct head *h = (struct head *)p - 1;
	if (h->bytes)
		munmap(h->map, h->bytes);
	else
		rte_free(h->map);
}
