/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "stripe.h"

static char dir[64];
static const char id[] = "AAAAAAAAQACAAAAAAAAAAA";

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "./slt-stripe-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void sizes(void **state)
{
	struct sl_arena a;
	(void)state;

	assert_int_equal(sl_arena_make(&a, dir, id, 1, 2, 2 * SL_STRIPE_MIN_BYTES - 1), -EINVAL);
	sl_arena_fini(&a, true);
	assert_int_equal(sl_arena_make(&a, "/nonexistent", id, 1, 1, SL_STRIPE_MIN_BYTES), -ENOENT);
	sl_arena_fini(&a, true);
	memset(&a, 0, sizeof(a));
	sl_arena_fini(&a, true);
	assert_int_equal(sl_arena_make(&a, dir, id, 1, 2, 2 * SL_STRIPE_MIN_BYTES), 0);
	assert_int_equal(a.pool[0].chunks, 4);
	assert_int_equal((uintptr_t)a.pool[1].mem % SL_IO_BLOCK, 0);
	sl_arena_fini(&a, true);
}

static int count(const struct sl_sdesc *d, const uint8_t *mem, void *arg)
{
	(void)d;
	(void)mem;
	++*(int *)arg;
	return 0;
}

static void last_runs_file(void **state)
{
	struct sl_arena a;
	struct sl_arena_old o;
	int n = 0;
	(void)state;

	assert_int_equal(sl_arena_old_open(&o, dir, id, 7), -ENOENT);
	assert_int_equal(sl_arena_make(&a, dir, id, 7, 1, SL_STRIPE_MIN_BYTES), 0);
	assert_int_equal(sl_arena_old_open(&o, dir, id, 7), -ENOENT); /* not published yet */
	assert_int_equal(sl_arena_publish(&a), 0);
	struct sl_sdesc *d = &a.pool[0].desc[8];
	*d = (struct sl_sdesc){
		.bytes = 128 << 10, .file_pos = 4096, .seg_base = 5, .base_offset = 9};
	atomic_store(&d->used, 100);
	atomic_store(&d->state, SL_SD_OPEN);
	assert_int_equal(sl_arena_old_open(&o, dir, id, 6), -ESTALE);
	assert_int_equal(sl_arena_old_open(&o, dir, "BAAAAAAAQACAAAAAAAAAAA", 7), -ENOENT);
	assert_int_equal(sl_arena_old_open(&o, dir, id, 7), 0);
	assert_int_equal(sl_arena_old_each(&o, count, &n), 0);
	assert_int_equal(n, 1);
	/* what is out of bounds is not believed */
	static const struct {
		uint32_t bytes, head, used;
		uint64_t pos;
		int64_t seg, base;
	} bad[] = {{100, 0, 10, 0, 0, 0},
		   {128 << 10, 0, (128 << 10) + 1, 0, 0, 0},
		   {128 << 10, 4096, 5000, 0, 0, 0},
		   {128 << 10, 50, 40, 0, 0, 0},
		   {128 << 10, 0, 10, 7, 0, 0},
		   {128 << 10, 0, 10, 1ull << 40, 0, 0},
		   {128 << 10, 0, 10, 0, -1, 0},
		   {128 << 10, 0, 10, 0, 8, 7},
		   {2 << 20, 0, 10, 0, 0, 0}};
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		d->bytes = bad[i].bytes;
		d->head = bad[i].head;
		d->file_pos = bad[i].pos;
		d->seg_base = bad[i].seg;
		d->base_offset = bad[i].base;
		atomic_store(&d->used, bad[i].used);
		n = 0;
		assert_int_equal(sl_arena_old_each(&o, count, &n), 0);
		assert_int_equal(n, 0);
	}
	sl_arena_old_close(&o);
	((struct sl_shdr *)(void *)a.map)->units++;
	assert_int_equal(sl_arena_old_open(&o, dir, id, 7), -EILSEQ);
	sl_arena_fini(&a, true);
	assert_int_equal(sl_arena_old_open(&o, dir, id, 7), -ENOENT);
}

struct keep {
	struct sl_stripe *st;
	int asked;
};

static bool may_go(struct sl_stripe *st, bool commit, void *arg)
{
	struct keep *k = arg;

	k->asked += !commit;
	return st != k->st;
}

static void handing_out(void **state)
{
	struct sl_arena a;
	struct keep k = {0};
	sl_sref ref[8];
	struct sl_stripe *st[8];
	(void)state;

	assert_int_equal(sl_arena_make(&a, dir, id, 1, 1, SL_STRIPE_MIN_BYTES), 0);
	struct sl_pool *p = &a.pool[0];
	for (int i = 0; i < 8; i++) { /* four chunks of two stripes */
		st[i] = sl_pool_alloc(p, 6, may_go, &k);
		assert_non_null(st[i]);
		assert_int_equal(st[i]->bytes, 1 << 20);
		ref[i] = sl_stripe_offer(p, st[i]);
	}
	assert_int_equal(k.asked, 0);
	assert_null(sl_stripe_pin(p, 0));
	assert_ptr_equal(sl_stripe_pin(p, ref[0]), st[0]);
	k.st = st[2]; /* the second chunk may not go either */
	struct sl_stripe *n = sl_pool_alloc(p, 0, may_go, &k);
	assert_non_null(n);
	assert_int_equal(n->bytes, SL_STRIPE_UNIT);
	assert_ptr_equal(n->mem, st[4]->mem); /* the oldest chunk that may */
	assert_null(sl_stripe_pin(p, ref[4]));
	assert_null(sl_stripe_pin(p, ref[5]));
	sl_sref again = sl_stripe_offer(p, n);
	assert_null(sl_stripe_pin(p, ref[4])); /* the same unit, another generation */
	assert_ptr_equal(sl_stripe_pin(p, again), n);
	sl_stripe_unpin(n);
	sl_stripe_unpin(st[0]);
	for (int i = 1; i < 128; i++)
		sl_stripe_offer(p, sl_pool_alloc(p, 0, may_go, &k));
	n = sl_pool_alloc(p, 7, may_go, &k);
	assert_ptr_equal(n->mem, st[0]->mem); /* nobody reads it any more */
	sl_stripe_offer(p, n);
	k.st = n;
	n = sl_pool_alloc(p, 7, may_go, &k);
	assert_non_null(n);
	sl_arena_fini(&a, true);
}

/* Readers pin and look while the writer takes stripes back and fills them anew. */
struct race {
	struct sl_pool *p;
	_Atomic sl_sref latest;
	_Atomic bool stop;
	_Atomic uint64_t looked;
};

static void *race_reader(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		struct sl_stripe *st = sl_stripe_pin(r->p, atomic_load(&r->latest));
		if (!st)
			continue;
		uint64_t first, last;
		memcpy(&first, st->mem, 8);
		memcpy(&last, st->mem + SL_STRIPE_UNIT - 8, 8);
		if (first != last || first != (uint64_t)st->first_off)
			abort();
		sl_stripe_unpin(st);
		atomic_fetch_add(&r->looked, 1);
	}
	return NULL;
}

static void pinned_memory_does_not_change(void **state)
{
	struct sl_arena a;
	struct keep k = {0};
	struct race r = {0};
	pthread_t t[2];
	(void)state;

	assert_int_equal(sl_arena_make(&a, dir, id, 1, 1, SL_STRIPE_MIN_BYTES), 0);
	r.p = &a.pool[0];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, race_reader, &r), 0);
	for (uint64_t i = 0; i < 20000 || (atomic_load(&r.looked) < 100 && i < 20000000); i++) {
		struct sl_stripe *st = sl_pool_alloc(r.p, 0, may_go, &k);
		if (!st)
			continue; /* all pinned at this moment */
		st->first_off = (int64_t)i;
		for (uint32_t at = 0; at < SL_STRIPE_UNIT; at += 8)
			memcpy(st->mem + at, &i, 8);
		atomic_store(&r.latest, sl_stripe_offer(r.p, st));
	}
	atomic_store(&r.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_true(atomic_load(&r.looked) > 0);
	sl_arena_fini(&a, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(last_runs_file),
		cmocka_unit_test(handing_out),
		cmocka_unit_test(pinned_memory_does_not_change),
	};

	return cmocka_run_group_tests_name("stripe", tests, make_dir, drop_dir);
}
