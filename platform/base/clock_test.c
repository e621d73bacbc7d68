/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "platform/base/clock.h"
#include "platform/base/clock_model.h"
#include "platform/base/sl_test.h"

#define MS INT64_C(1000000)
#define S  (1000 * MS)
#define T0 (1700000000 * S) /* wall time at mono 0 */

static int64_t wall(const struct sl_clock_model *m, int64_t mono)
{
	int64_t w = -1;

	assert_true(sl_clock_model_wall(m, (uint64_t)mono, &w));
	return w;
}

static void unset_says_so(void **state)
{
	struct sl_clock_model m = {0};
	int64_t w = 42;

	(void)state;
	assert_false(sl_clock_model_wall(&m, 1, &w));
	assert_int_equal(w, 42);
}

static void follows_when_equal(void **state)
{
	struct sl_clock_model m = {0};

	(void)state;
	sl_clock_model_discipline(&m, 5 * S, T0 + 5 * S);
	assert_int_equal(wall(&m, 5 * S), T0 + 5 * S);
	assert_int_equal(wall(&m, 9 * S), T0 + 9 * S);
	assert_int_equal(m.steps, 0);
}

/* The system's clock jumps by 200 ms: 2 s later we are there, and no faster. */
static void slews(void **state)
{
	for (int sign = -1; sign <= 1; sign += 2) {
		struct sl_clock_model m = {0};

		(void)state;
		sl_clock_model_discipline(&m, 0, T0);
		sl_clock_model_discipline(&m, 1 * S, T0 + 1 * S + sign * 200 * MS);
		assert_int_equal(wall(&m, 1 * S), T0 + 1 * S);
		assert_int_equal(wall(&m, 1 * S + 10 * MS), T0 + 1 * S + 10 * MS + sign * MS);
		assert_int_equal(wall(&m, 3 * S - 10 * MS), T0 + 3 * S - 10 * MS + sign * 199 * MS);
		assert_int_equal(wall(&m, 3 * S), T0 + 3 * S + sign * 200 * MS);
		assert_int_equal(wall(&m, 7 * S), T0 + 7 * S + sign * 200 * MS);
		assert_int_equal(m.steps, 0);
	}
}

static void a_step_is_followed_at_once(void **state)
{
	struct sl_clock_model m = {0};

	(void)state;
	sl_clock_model_discipline(&m, 0, T0);
	sl_clock_model_discipline(&m, 1 * S, T0 + 1 * S + 10 * S); /* just not a step */
	assert_int_equal(wall(&m, 1 * S), T0 + 1 * S);
	assert_int_equal(m.steps, 0);
	sl_clock_model_discipline(&m, 2 * S, T0 + 3600 * S);
	assert_int_equal(wall(&m, 2 * S), T0 + 3600 * S);
	assert_int_equal(m.steps, 1);
	sl_clock_model_discipline(&m, 3 * S, T0);
	assert_int_equal(wall(&m, 3 * S), T0);
	assert_int_equal(m.steps, 2);
}

/* A reader whose time stamp is older than the last discipline sees the old line. */
static void a_late_reader(void **state)
{
	struct sl_clock_model m = {0};

	(void)state;
	sl_clock_model_discipline(&m, 0, T0);
	sl_clock_model_discipline(&m, 1 * S, T0 + 1 * S + 200 * MS);
	assert_int_equal(wall(&m, 1 * S - 5), T0 + 1 * S - 5);
}

/* Whatever small errors NTP feeds in, wall time never runs backwards. */
static void never_backwards(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	struct sl_clock_model m = {0};
	int64_t last = 0, mono = 0;

	(void)state;
	sl_clock_model_discipline(&m, 0, T0);
	for (int i = 0; i < 20000; i++) {
		mono += sl_rng_below(&r, 500) * MS;
		if (sl_rng_below(&r, 3) == 0)
			sl_clock_model_discipline(
				&m, (uint64_t)mono,
				wall(&m, mono) + ((int64_t)sl_rng_below(&r, 9000) - 4500) * MS);
		int64_t w = wall(&m, mono);
		assert_true(w >= last);
		last = w;
	}
	assert_int_equal(m.steps, 0);
}

struct race {
	struct sl_clock_model m;
	_Atomic bool done;
};

#define FLIPS 2000000

/* The system's clock 4 s ahead and 4 s behind by turns, 100 s apart: offset and slew change
 * together, and only their sum is one of the two. */
static void *flip(void *arg)
{
	struct race *r = arg;

	for (int64_t i = 1; i <= FLIPS; i++)
		sl_clock_model_discipline(&r->m, (uint64_t)(i * 100 * S),
					  i * 100 * S + (i & 1 ? 4 * S : -4 * S));
	atomic_store(&r->done, true);
	return NULL;
}

static void readers_see_whole_values(void **state)
{
	const int64_t late = INT64_C(1) << 62; /* after all of the writer's times */
	struct race r = {0};
	uint64_t torn = 0;
	pthread_t t;

	(void)state;
	sl_clock_model_discipline(&r.m, 0, -4 * S);
	assert_int_equal(pthread_create(&t, NULL, flip, &r), 0);
	while (!atomic_load_explicit(&r.done, memory_order_relaxed)) {
		int64_t w = wall(&r.m, late) - late;

		torn += w != 4 * S && w != -4 * S;
	}
	pthread_join(t, NULL);
	assert_int_equal(torn, 0);
	assert_int_equal(r.m.steps, 0);
}

static void the_real_clock(void **state)
{
	struct timespec ts;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000;
	assert_true(llabs(sl_clock_wall_ms() - now) < 60000); /* before the first discipline */
	sl_clock_discipline();
	assert_true(llabs(sl_clock_wall_ms() - now) < 60000);
	uint64_t a = sl_clock_mono_ns();
	assert_true(sl_clock_mono_ns() >= a);
	assert_int_equal(sl_clock_steps(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unset_says_so),
		cmocka_unit_test(follows_when_equal),
		cmocka_unit_test(slews),
		cmocka_unit_test(a_step_is_followed_at_once),
		cmocka_unit_test(a_late_reader),
		cmocka_unit_test(never_backwards),
		cmocka_unit_test(readers_see_whole_values),
		cmocka_unit_test(the_real_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
