/* SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 2000

struct rec {
	struct sl_timer t;
	struct sl_timers *ts;
	uint64_t want;  /* UINT64_MAX: cancelled */
	uint64_t *last; /* due of the one fired before */
	unsigned fired;
	struct sl_timer *victim;
	uint64_t again; /* set again to this when fired, 0: not */
};

static void fire(void *arg)
{
	struct rec *r = arg;
	assert_false(r->t.armed);
	assert_true(r->want >= *r->last);
	*r->last = r->want;
	r->fired++;
	if (r->victim)
		sl_timer_cancel(r->ts, r->victim);
	if (r->again)
		sl_timer_set(r->ts, &r->t, r->again);
}

static void rec_init(struct rec *r, struct sl_timers *ts, uint64_t *last)
{
	memset(r, 0, sizeof(*r));
	r->t.fn = fire;
	r->t.arg = r;
	r->ts = ts;
	r->last = last;
}

static void test_empty(void **state)
{
	(void)state;
	struct sl_timers ts = {0};
	struct sl_timer idle = {0};
	assert_int_equal(sl_timers_next(&ts), UINT64_MAX);
	assert_int_equal(sl_timers_run(&ts, UINT64_MAX), 0);
	sl_timer_cancel(&ts, &idle);
}

static void test_cancel_while_firing(void **state)
{
	(void)state;
	struct sl_timers ts = {0};
	uint64_t last = 0;
	struct rec a, b;
	rec_init(&a, &ts, &last);
	rec_init(&b, &ts, &last);
	a.victim = &b.t;
	sl_timer_set(&ts, &a.t, 5);
	sl_timer_set(&ts, &b.t, 6);
	assert_int_equal(sl_timers_run(&ts, 10), 1);
	assert_int_equal(b.fired, 0);
	assert_int_equal(sl_timers_next(&ts), UINT64_MAX);
}

static void test_set_again_for_the_past_ends(void **state)
{
	(void)state;
	struct sl_timers ts = {0};
	uint64_t last = 0;
	struct rec a;
	rec_init(&a, &ts, &last);
	a.again = 1;
	sl_timer_set(&ts, &a.t, 5);
	assert_int_equal(sl_timers_run(&ts, 10), 1);
	assert_int_equal(sl_timers_run(&ts, 10), 0);
	a.again = 0;
	assert_int_equal(sl_timers_run(&ts, 11), 1);
	assert_int_equal(a.fired, 2);
}

/* Sets, moves and cancels at random, beside a plain array that knows what must happen. */
static void test_random(void **state)
{
	(void)state;
	const char *env = getenv("SL_SEED");
	unsigned seed = env ? (unsigned)atoi(env) : 20260131;
	print_message("seed %u\n", seed);
	static struct rec r[N];
	struct sl_timers ts = {0};
	uint64_t last = 0, now = 0;
	for (int i = 0; i < N; i++) {
		rec_init(&r[i], &ts, &last);
		r[i].want = UINT64_MAX;
	}
	for (int step = 0; step < 200; step++) {
		for (int k = 0; k < 50; k++) {
			struct rec *x = &r[rand_r(&seed) % N];
			if (rand_r(&seed) % 4 == 0) {
				sl_timer_cancel(&ts, &x->t);
				x->want = UINT64_MAX;
			} else {
				x->want = now + 1 + (unsigned)rand_r(&seed) % 5000;
				x->fired = 0;
				sl_timer_set(&ts, &x->t, x->want);
			}
		}
		now += (unsigned)rand_r(&seed) % 300;
		last = 0;
		sl_timers_run(&ts, now);
		uint64_t next = UINT64_MAX;
		for (int i = 0; i < N; i++) {
			bool due = r[i].want <= now;
			assert_int_equal(r[i].fired, due ? 1 : 0);
			if (due) {
				r[i].want = UINT64_MAX;
				r[i].fired = 0;
			}
			next = SL_MIN(next, r[i].want);
		}
		assert_int_equal(sl_timers_next(&ts), next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_cancel_while_firing),
		cmocka_unit_test(test_set_again_for_the_past_ends),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
