/* SPDX-License-Identifier: Apache-2.0 */
/* What the uplink tells the store, who is woken by it, and what is counted as deleted unsent. */
#include "test_util.h"

#include <pthread.h>

static uint64_t rings(struct sl_waker *k)
{
	uint64_t v;

	return read(k->efd, &v, 8) == 8 ? v : 0;
}

static void moves_and_rings(void **state)
{
	struct tu t;
	struct sl_waker k = {.efd = eventfd(0, EFD_NONBLOCK)};
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "f", 2, NULL);
	assert_int_equal(sl_store_waker_add(t.s, &k), 0);
	assert_int_equal(sl_part_forwarded(p), -1);
	uint64_t moves = sl_store_forwards(t.s);
	sl_part_forwarded_set(p, 5);
	assert_int_equal(sl_store_forwards(t.s), moves + 1);
	assert_int_equal(rings(&k), 0); /* not armed */
	sl_waker_arm(&k);
	sl_part_forwarded_set(p, 5);
	assert_int_equal(rings(&k), 0); /* nothing moved */
	assert_int_equal(sl_store_forwards(t.s), moves + 1);
	sl_part_forwarded_set(p, 9);
	assert_int_equal(rings(&k), 1);
	sl_part_forwarded_set(p, 10);
	assert_int_equal(rings(&k), 0); /* once for each arming */
	sl_waker_arm(&k);
	sl_part_forwarded_set(p, -1);
	assert_int_equal(rings(&k), 1);
	assert_int_equal(sl_part_forwarded(p), -1);
	assert_int_equal(sl_part_forwarded(sl_topic_part(p->pub.topic, 1)), -1);
	sl_store_waker_del(t.s, &k);
	close(k.efd);
	tu_fini(&t);
}

static void the_link(void **state)
{
	struct tu t;
	struct sl_waker k = {.efd = eventfd(0, EFD_NONBLOCK)};
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	assert_int_equal(sl_store_waker_add(t.s, &k), 0);
	assert_false(sl_store_link(t.s));
	sl_waker_arm(&k);
	sl_store_link_set(t.s, false);
	assert_int_equal(rings(&k), 0);
	sl_store_link_set(t.s, true);
	assert_int_equal(rings(&k), 1);
	assert_true(sl_store_link(t.s));
	sl_waker_arm(&k);
	sl_store_link_set(t.s, false);
	assert_int_equal(rings(&k), 1);
	assert_false(sl_store_link(t.s));
	sl_store_waker_del(t.s, &k);
	close(k.efd);
	tu_close(&t, true);
	tu_open(&t);
	assert_false(sl_store_link(t.s)); /* nothing of it outlives the store */
	assert_int_equal(sl_part_forwarded(tu_topic(&t, "f", 1, NULL)), -1);
	tu_fini(&t);
}

static void dead_letters(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "f", 1, NULL);
	assert_false(sl_part_dead_in(p, 0, INT64_MAX));
	sl_part_dead_letter(p, 10);
	assert_true(sl_part_dead_in(p, 10, 11));
	assert_true(sl_part_dead_in(p, 0, 100));
	assert_false(sl_part_dead_in(p, 0, 10));
	assert_false(sl_part_dead_in(p, 11, 12));
	assert_false(sl_part_dead_in(p, 10, 10)); /* an empty stretch */
	/* a run is one note, whatever its length */
	for (int64_t i = 11; i < 500; i++)
		sl_part_dead_letter(p, i);
	assert_true(sl_part_dead_in(p, 10, 11));
	assert_true(sl_part_dead_in(p, 499, 500));
	assert_false(sl_part_dead_in(p, 500, 1000));
	/* single ones push the oldest out */
	for (int64_t i = 1; i < SL_DEAD_LETTERS_KEPT; i++)
		sl_part_dead_letter(p, 1000 * i);
	assert_true(sl_part_dead_in(p, 0, 500));
	sl_part_dead_letter(p, 1000 * SL_DEAD_LETTERS_KEPT);
	assert_false(sl_part_dead_in(p, 0, 1000));
	assert_true(sl_part_dead_in(p, 1000, 1001));
	assert_true(sl_part_dead_in(p, 1000 * SL_DEAD_LETTERS_KEPT, INT64_MAX));
	tu_fini(&t);
}

/* ---- deleted before it was sent -------------------------------------------------------------- */

static struct sl_part *small_segments(struct tu *t, const char *name)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	cfg.retention_ms = -1;
	return tu_topic(t, name, 1, &cfg);
}

static void fill(struct tu *t, struct sl_part *p, int n)
{
	for (int i = 0; i < n; i++)
		tu_append(t, p, 1, 100000, (uint64_t)sl_part_end(p), SL_ACK_LOGGED);
}

static uint64_t unsent(struct tu *t)
{
	struct sl_store_stats st;

	sl_store_stats(t->s, &st);
	return st.deleted_unsent;
}

static void limit(struct tu *t, struct sl_part *p, int64_t bytes)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_get(p->pub.topic, &cfg);
	cfg.retention_bytes = bytes;
	tu_cfg_set(t, p->pub.topic, &cfg);
}

/* Until log start has moved to `at` and stays there. */
static void until_start(struct tu *t, struct sl_part *p, int64_t at)
{
	for (int i = 0; sl_part_start(p) < at; i++) {
		if (i > 20000)
			fail_msg("log start stays at %" PRId64, sl_part_start(p));
		tu_pump(t);
	}
	assert_int_equal(sl_part_start(p), at);
}

static void by_retention(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = small_segments(&t, "f"), *q = small_segments(&t, "g");
	fill(&t, p, 55); /* ten records of 100 kB in a segment */
	fill(&t, q, 55);
	tu_sync(&t, p);
	tu_sync(&t, q);
	sl_part_forwarded_set(p, 25); /* nobody carries q */
	limit(&t, p, 36 * 100000);
	limit(&t, q, 36 * 100000);
	until_start(&t, p, 10);
	until_start(&t, q, 10);
	assert_int_equal(unsent(&t), 0); /* all that went was sent */
	limit(&t, p, 16 * 100000);
	until_start(&t, p, 30);
	assert_int_equal(unsent(&t), 5);
	assert_false(sl_part_unsent_in(p, 0, 25));
	assert_true(sl_part_unsent_in(p, 24, 26));
	assert_true(sl_part_unsent_in(p, 29, 100));
	assert_false(sl_part_unsent_in(p, 30, 100));
	limit(&t, p, 6 * 100000); /* a stretch that goes on is one */
	until_start(&t, p, 40);
	assert_int_equal(unsent(&t), 15);
	assert_true(sl_part_unsent_in(p, 25, 26));
	assert_true(sl_part_unsent_in(p, 39, 40));
	limit(&t, q, 6 * 100000);
	until_start(&t, q, 40);
	assert_int_equal(unsent(&t), 15);
	assert_false(sl_part_unsent_in(q, 0, 100));
	tu_fini(&t);
}

static void by_the_budget(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.budget_bytes = 24 << 20;
	tu_open(&t);
	struct sl_part *p = small_segments(&t, "f");
	sl_part_forwarded_set(p, 0);
	fill(&t, p, 600);
	tu_sync(&t, p);
	assert_true(sl_part_start(p) > 300);
	assert_int_equal(unsent(&t), (uint64_t)sl_part_start(p));
	assert_true(sl_part_unsent_in(p, 0, 1));
	/* the centre takes what is left: that goes without being counted */
	uint64_t was = unsent(&t);
	int64_t start = sl_part_start(p);
	sl_part_forwarded_set(p, INT64_MAX - 1);
	fill(&t, p, 300);
	assert_true(sl_part_start(p) > start);
	assert_int_equal(unsent(&t), was);
	tu_fini(&t);
}

struct call {
	struct tu *t;
	struct sl_part *p;
	int64_t offset;
	_Atomic bool done;
};

static void *delete_to(void *arg)
{
	struct call *c = arg;
	int64_t start;
	int rc = sl_store_delete_records(c->t->s, c->p, c->offset, &start);

	SL_ASSERT(rc == 0);
	atomic_store(&c->done, true);
	return NULL;
}

/* Within a segment, and again when the segment itself goes: each record counts once. */
static void by_delete_records(void **state)
{
	struct tu t;
	struct sl_store_stats st;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.retention_check_ms = 3600 * 1000;
	tu_open(&t);
	struct sl_part *p = small_segments(&t, "f");
	fill(&t, p, 35);
	tu_sync(&t, p);
	sl_part_forwarded_set(p, 3);
	static const int64_t to[] = {2, 13, 13, 35};
	static const uint64_t want[] = {0, 10, 10, 32};
	for (size_t i = 0; i < SL_ARRAY_SIZE(to); i++) {
		struct call c = {.t = &t, .p = p, .offset = to[i]};
		pthread_t th;
		assert_int_equal(pthread_create(&th, NULL, delete_to, &c), 0);
		while (!atomic_load(&c.done))
			tu_pump(&t);
		pthread_join(th, NULL);
		assert_int_equal(sl_part_start(p), to[i]);
		assert_int_equal(unsent(&t), want[i]);
	}
	sl_store_stats(t.s, &st);
	assert_int_equal(st.evicted_records, 0);
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_and_rings), cmocka_unit_test(the_link),
		cmocka_unit_test(dead_letters),    cmocka_unit_test(by_retention),
		cmocka_unit_test(by_the_budget),   cmocka_unit_test(by_delete_records),
	};
	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
