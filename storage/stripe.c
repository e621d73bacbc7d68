/* SPDX-License-Identifier: Apache-2.0 */
#include "stripe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/record/crc32c.h"
#include "sluice/store.h"

const uint32_t sl_stripe_bytes[SL_STRIPE_CLASSES] = {16u << 10,  32u << 10,  64u << 10, 128u << 10,
						     256u << 10, 512u << 10, 1u << 20,  2u << 20};

#define HDR_BYTES   4096u
#define HUGETLBFS   0x958458f6
#define CLAIM_TRIES 1000000u

_Static_assert(SL_STRIPE_ENDS >= SL_STORE_PARTS_MAX, "a record for each partition");
_Static_assert(SL_BATCH_MAX_BYTES + SL_IO_BLOCK <= SL_STRIPE_CHUNK, "a batch fits behind a head");

static void boot_id(char ret_id[40])
{
	memset(ret_id, 0, 40);
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, ret_id, 36);
	(void)n; /* an empty id still equals itself within one boot */
	close(fd);
}

static uint32_t hdr_crc(const struct sl_shdr *h)
{
	return sl_crc32c(h, offsetof(struct sl_shdr, crc));
}

static void file_name(char *buf, size_t cap, const char *directory_id, const char *suffix)
{
	snprintf(buf, cap, "sluice-%s%s", directory_id, suffix);
}

/* ---- making -------------------------------------------------------------------------------- */

static int carve(struct sl_arena *a, const struct sl_shdr *h)
{
	a->end = (struct sl_send *)(void *)(a->map + h->end_off);
	a->pool = calloc(a->writers, sizeof(*a->pool));
	if (!a->pool)
		return -ENOMEM;
	for (unsigned w = 0; w < a->writers; w++) {
		struct sl_pool *p = &a->pool[w];
		p->mem = a->map + h->mem_off + (uint64_t)w * h->units * SL_STRIPE_UNIT;
		p->desc = (struct sl_sdesc *)(void *)(a->map + h->desc_off) + (size_t)w * h->units;
		p->chunks = h->units / SL_STRIPE_UNITS;
		p->st = aligned_alloc(SL_CACHELINE, (size_t)h->units * sizeof(*p->st));
		p->chunk = calloc(p->chunks, sizeof(*p->chunk));
		p->fifo = calloc(p->chunks, sizeof(*p->fifo));
		if (!p->st || !p->chunk || !p->fifo)
			return -ENOMEM;
		memset(p->st, 0, (size_t)h->units * sizeof(*p->st));
		for (uint32_t u = 0; u < h->units; u++) {
			p->st[u].unit = u;
			p->st[u].desc = &p->desc[u];
			p->st[u].mem = p->mem + (size_t)u * SL_STRIPE_UNIT;
			atomic_init(&p->st[u].pins, SL_STRIPE_PINNED_BACK);
		}
		for (unsigned c = 0; c < SL_STRIPE_CLASSES; c++)
			p->filling[c] = -1;
	}
	return 0;
}

static void plan(struct sl_shdr *h, unsigned writers, uint64_t bytes)
{
	uint64_t chunks = bytes / writers / SL_STRIPE_CHUNK;

	h->magic = SL_STRIPE_MAGIC;
	h->version = SL_STRIPE_VERSION;
	h->writers = writers;
	h->units = (uint32_t)(chunks * SL_STRIPE_UNITS);
	h->unit_bytes = SL_STRIPE_UNIT;
	h->desc_off = HDR_BYTES;
	h->end_off = HDR_BYTES + (uint64_t)writers * h->units * sizeof(struct sl_sdesc);
	/* the memory starts on a hugepage boundary, and the file is whole hugepages */
	h->mem_off =
		SL_ALIGN_UP(h->end_off + SL_STRIPE_ENDS * sizeof(struct sl_send), SL_STRIPE_CHUNK);
	h->total = h->mem_off + (uint64_t)writers * h->units * SL_STRIPE_UNIT;
}

/* On hugetlbfs it ends with EINTR between two pages for whatever is pending, a notice of io_uring
 * too. Pages that are there stay, so the next call gets further. */
static int claim(int fd, uint64_t bytes)
{
	for (unsigned tries = 0; fallocate(fd, 0, 0, (off_t)bytes); tries++)
		if (errno != EINTR || tries == CLAIM_TRIES)
			return -errno;
	return 0;
}

/* fallocate claims the memory now: a tmpfs that is too small is an error here, not a SIGBUS. */
static int map_file(struct sl_arena *a, const char *tmp, struct sl_shdr *h)
{
	struct statfs fs;
	int fd = openat(a->dir_fd, tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int err = fstatfs(fd, &fs) ? -errno : 0;
	if (!err && (uint64_t)fs.f_type == HUGETLBFS)
		h->total = SL_ALIGN_UP(h->total, (uint64_t)fs.f_bsize);
	if (!err)
		err = claim(fd, h->total);
	if (!err) {
		a->map = mmap(NULL, h->total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
			      0);
		err = a->map == MAP_FAILED ? -errno : 0;
		if (err)
			a->map = NULL;
		else
			a->map_bytes = h->total;
	}
	close(fd);
	if (err)
		unlinkat(a->dir_fd, tmp, 0);
	return err;
}

int sl_arena_make(struct sl_arena *a, const char *dir, const char *directory_id, uint64_t run,
		  unsigned writers, uint64_t bytes)
{
	struct sl_shdr h = {0};
	char tmp[80];

	memset(a, 0, sizeof(*a));
	a->dir_fd = -1;
	if (bytes / writers < SL_STRIPE_MIN_BYTES || bytes / writers > 1ull << 40)
		return -EINVAL;
	plan(&h, writers, bytes);
	a->writers = writers;
	a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->dir_fd < 0)
		return -errno;
	file_name(a->name, sizeof(a->name), directory_id, "");
	file_name(tmp, sizeof(tmp), directory_id, ".new");
	unlinkat(a->dir_fd, a->name, 0); /* the last run's is used up: its memory goes first */
	int err = map_file(a, tmp, &h);
	if (err)
		return err;
	memcpy(h.directory_id, directory_id, SL_UUID_TEXT);
	h.run = run;
	boot_id(h.boot_id);
	h.crc = hdr_crc(&h);
	memcpy(a->map, &h, sizeof(h));
	return carve(a, &h);
}

int sl_arena_publish(struct sl_arena *a)
{
	char tmp[80];

	snprintf(tmp, sizeof(tmp), "%s.new", a->name);
	return renameat(a->dir_fd, tmp, a->dir_fd, a->name) ? -errno : 0;
}

void sl_arena_fini(struct sl_arena *a, bool unlink)
{
	char tmp[80];

	for (unsigned w = 0; a->pool && w < a->writers; w++) {
		free(a->pool[w].st);
		free(a->pool[w].chunk);
		free(a->pool[w].fifo);
	}
	free(a->pool);
	if (a->map)
		munmap(a->map, a->map_bytes);
	if (a->dir_fd > 0 && a->name[0]) {
		snprintf(tmp, sizeof(tmp), "%s.new", a->name);
		unlinkat(a->dir_fd, tmp, 0);
		if (unlink)
			unlinkat(a->dir_fd, a->name, 0);
	}
	if (a->dir_fd > 0)
		close(a->dir_fd);
	memset(a, 0, sizeof(*a));
	a->dir_fd = -1;
}

/* ---- the last run's ------------------------------------------------------------------------ */

static int check_old(const struct sl_arena_old *o, const char *directory_id, uint64_t run)
{
	const struct sl_shdr *h = o->hdr;
	char boot[40];

	if (h->magic != SL_STRIPE_MAGIC || h->crc != hdr_crc(h))
		return -EILSEQ;
	boot_id(boot);
	if (h->version != SL_STRIPE_VERSION || h->run != run ||
	    memcmp(h->directory_id, directory_id, SL_UUID_TEXT) || memcmp(h->boot_id, boot, 40))
		return -ESTALE;
	uint64_t units = (uint64_t)h->writers * h->units;
	if (h->writers == 0 || h->writers > SL_STORE_WRITERS_MAX ||
	    h->unit_bytes != SL_STRIPE_UNIT || h->units % SL_STRIPE_UNITS ||
	    h->total > o->map_bytes || h->desc_off != HDR_BYTES ||
	    h->end_off < h->desc_off + units * sizeof(struct sl_sdesc) ||
	    h->mem_off < h->end_off + SL_STRIPE_ENDS * sizeof(struct sl_send) ||
	    h->mem_off + units * SL_STRIPE_UNIT > h->total)
		return -EILSEQ;
	return 0;
}

int sl_arena_old_open(struct sl_arena_old *o, const char *dir, const char *directory_id,
		      uint64_t run)
{
	char path[80];
	struct stat st;

	memset(o, 0, sizeof(*o));
	file_name(path, sizeof(path), directory_id, "");
	int dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dfd < 0)
		return -errno;
	int fd = openat(dfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;
	close(dfd);
	if (err)
		return err;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < HDR_BYTES)
		err = -EILSEQ;
	if (!err) {
		o->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		err = o->map == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (err) {
		o->map = NULL;
		return err;
	}
	o->map_bytes = (size_t)st.st_size;
	o->hdr = (const struct sl_shdr *)(const void *)o->map;
	err = check_old(o, directory_id, run);
	if (err)
		sl_arena_old_close(o);
	return err;
}

static bool plausible(const struct sl_sdesc *d, uint32_t unit, uint32_t used)
{
	bool size = false;

	for (unsigned c = 0; c < SL_STRIPE_CLASSES; c++)
		size = size || d->bytes == sl_stripe_bytes[c];
	return size && unit % (d->bytes / SL_STRIPE_UNIT) == 0 && used <= d->bytes &&
	       d->head < SL_IO_BLOCK && d->head <= used && d->file_pos % SL_IO_BLOCK == 0 &&
	       d->file_pos < 1ull << 31 && d->seg_base >= 0 && d->base_offset >= d->seg_base &&
	       d->part >= 0 && d->part < SL_PARTITIONS_MAX;
}

int sl_arena_old_each(const struct sl_arena_old *o,
		      int (*fn)(const struct sl_sdesc *d, const uint8_t *mem, void *arg), void *arg)
{
	const struct sl_shdr *h = o->hdr;
	const struct sl_sdesc *desc = (const struct sl_sdesc *)(const void *)(o->map + h->desc_off);
	uint64_t units = (uint64_t)h->writers * h->units;

	for (uint64_t u = 0; u < units; u++) {
		const struct sl_sdesc *d = &desc[u];
		uint32_t state = atomic_load_explicit(&d->state, memory_order_acquire);
		uint32_t used = atomic_load_explicit(&d->used, memory_order_acquire);
		if (state != SL_SD_OPEN && state != SL_SD_CLOSED)
			continue;
		if (!plausible(d, (uint32_t)(u % h->units), used))
			continue;
		int err = fn(d, o->map + h->mem_off + u * SL_STRIPE_UNIT, arg);
		if (err)
			return err;
	}
	return 0;
}

static uint32_t end_crc(const struct sl_send *e)
{
	return sl_crc32c(e, offsetof(struct sl_send, crc));
}

int sl_arena_old_ends(const struct sl_arena_old *o, int (*fn)(const struct sl_send *e, void *arg),
		      void *arg)
{
	const struct sl_send *e = (const struct sl_send *)(const void *)(o->map + o->hdr->end_off);

	for (uint32_t i = 0; i < SL_STRIPE_ENDS; i++, e++) {
		if (e->crc == 0 || e->crc != end_crc(e) || e->pos >= 1ull << 31 ||
		    e->seg_base < 0 || e->offset < e->seg_base)
			continue;
		int err = fn(e, arg);
		if (err)
			return err;
	}
	return 0;
}

void sl_arena_put_end(struct sl_arena *a, uint32_t i, const struct sl_send *e)
{
	SL_ASSERT(i < SL_STRIPE_ENDS);
	a->end[i] = *e;
	a->end[i].crc = end_crc(e);
}

void sl_arena_old_close(struct sl_arena_old *o)
{
	if (o->map)
		munmap(o->map, o->map_bytes);
	memset(o, 0, sizeof(*o));
}

/* ---- handing out --------------------------------------------------------------------------- */

static uint32_t per_chunk(uint32_t cls)
{
	return SL_STRIPE_CHUNK / sl_stripe_bytes[cls];
}

static struct sl_stripe *slot(struct sl_pool *p, uint32_t chunk, uint32_t i)
{
	uint32_t cls = p->chunk[chunk].cls;

	return &p->st[chunk * SL_STRIPE_UNITS + i * (sl_stripe_bytes[cls] / SL_STRIPE_UNIT)];
}

static bool taken_back(struct sl_stripe *st)
{
	return atomic_load_explicit(&st->pins, memory_order_relaxed) & SL_STRIPE_PINNED_BACK;
}

/* Empties a chunk if every stripe in it may go. Half done is fine: the rest goes next time. */
static bool empty_chunk(struct sl_pool *p, uint32_t c,
			bool (*reclaim)(struct sl_stripe *, bool, void *), void *arg)
{
	struct sl_chunk *ch = &p->chunk[c];

	for (uint32_t i = 0; i < ch->used; i++) {
		struct sl_stripe *st = slot(p, c, i);
		if (!taken_back(st) && (atomic_load_explicit(&st->pins, memory_order_relaxed) ||
					!reclaim(st, false, arg)))
			return false;
	}
	for (uint32_t i = 0; i < ch->used; i++) {
		struct sl_stripe *st = slot(p, c, i);
		uint32_t none = 0;
		if (taken_back(st))
			continue;
		/* acquire: pairs with the release of the last reader's unpin */
		if (!atomic_compare_exchange_strong_explicit(
			    &st->pins, &none, SL_STRIPE_PINNED_BACK, memory_order_acquire,
			    memory_order_relaxed))
			return false;
		reclaim(st, true, arg);
	}
	return true;
}

static void fifo_remove(struct sl_pool *p, uint32_t at)
{
	for (uint32_t i = at; i + 1 < p->fifo_cnt; i++)
		p->fifo[(p->fifo_head + i) % p->chunks] =
			p->fifo[(p->fifo_head + i + 1) % p->chunks];
	p->fifo_cnt--;
}

static int32_t take_chunk(struct sl_pool *p, bool (*reclaim)(struct sl_stripe *, bool, void *),
			  void *arg)
{
	if (p->fifo_cnt < p->chunks)
		for (uint32_t c = 0; c < p->chunks; c++)
			if (!p->chunk[c].busy)
				return (int32_t)c;
	for (uint32_t i = 0; i < p->fifo_cnt; i++) {
		uint32_t c = p->fifo[(p->fifo_head + i) % p->chunks];
		if (!empty_chunk(p, c, reclaim, arg))
			continue;
		fifo_remove(p, i);
		for (unsigned k = 0; k < SL_STRIPE_CLASSES; k++)
			if (p->filling[k] == (int32_t)c)
				p->filling[k] = -1;
		return (int32_t)c;
	}
	return -1;
}

struct sl_stripe *sl_pool_alloc(struct sl_pool *p, uint32_t cls,
				bool (*reclaim)(struct sl_stripe *st, bool commit, void *arg),
				void *arg)
{
	int32_t c = p->filling[cls];

	if (c < 0 || p->chunk[c].used == per_chunk(cls)) {
		c = take_chunk(p, reclaim, arg);
		if (c < 0)
			return NULL;
		p->chunk[c] = (struct sl_chunk){.cls = (uint8_t)cls, .busy = true};
		p->fifo[(p->fifo_head + p->fifo_cnt++) % p->chunks] = (uint32_t)c;
		p->filling[cls] = c;
	}
	struct sl_stripe *st = slot(p, (uint32_t)c, p->chunk[c].used++);
	SL_ASSERT(taken_back(st));
	st->bytes = sl_stripe_bytes[cls];
	return st;
}

void sl_pool_each_old(struct sl_pool *p, uint32_t chunks,
		      bool (*fn)(struct sl_stripe *st, void *arg), void *arg)
{
	for (uint32_t i = 0; i < p->fifo_cnt && chunks; i++) {
		uint32_t c = p->fifo[(p->fifo_head + i) % p->chunks];
		bool goes = true;
		for (uint32_t k = 0; k < p->chunk[c].used; k++)
			if (!taken_back(slot(p, c, k)))
				goes = fn(slot(p, c, k), arg) && goes;
		chunks -= goes;
	}
}

bool sl_pool_stuck(struct sl_pool *p, bool (*fn)(const struct sl_stripe *st))
{
	for (uint32_t c = 0; c < p->chunks; c++) {
		bool stuck = false;
		for (uint32_t k = 0; k < p->chunk[c].used && !stuck; k++)
			stuck = !taken_back(slot(p, c, k)) && fn(slot(p, c, k));
		if (!stuck)
			return false;
	}
	return true;
}

sl_sref sl_stripe_offer(struct sl_pool *p, struct sl_stripe *st)
{
	(void)p;
	uint32_t gen = atomic_load_explicit(&st->gen, memory_order_relaxed) + 1;
	gen += gen == 0;
	atomic_store_explicit(&st->gen, gen, memory_order_relaxed);
	/* release: pairs with the acquire of pinning, which then sees the fields */
	atomic_store_explicit(&st->pins, 0, memory_order_release);
	return (sl_sref)gen << 32 | st->unit;
}

struct sl_stripe *sl_stripe_pin(struct sl_pool *p, sl_sref ref)
{
	if (!ref)
		return NULL;
	struct sl_stripe *st = &p->st[(uint32_t)ref];
	uint32_t v = atomic_load_explicit(&st->pins, memory_order_relaxed);
	do {
		if (v & SL_STRIPE_PINNED_BACK)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(&st->pins, &v, v + 1, memory_order_acquire,
							memory_order_relaxed));
	if (atomic_load_explicit(&st->gen, memory_order_relaxed) == (uint32_t)(ref >> 32))
		return st;
	sl_stripe_unpin(st);
	return NULL;
}

void sl_stripe_unpin(struct sl_stripe *st)
{
	atomic_fetch_sub_explicit(&st->pins, 1, memory_order_release);
}
