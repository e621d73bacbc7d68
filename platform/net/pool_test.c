/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct work {
	struct sl_job j;
	int in, out;
	int *order; /* next place */
	int place;
};

struct scratch {
	int used;
};

static void run(struct sl_job *j, void *worker)
{
	struct work *w = SL_CONTAINER_OF(j, struct work, j);
	((struct scratch *)worker)->used++;
	w->out = w->in * 2;
}

static void done(struct sl_job *j)
{
	struct work *w = SL_CONTAINER_OF(j, struct work, j);
	w->place = (*w->order)++;
}

static void test_bad_cfg(void **state)
{
	(void)state;
	struct sl_pool *p;
	struct sl_pool_cfg none = {.threads = 1}, many = {.threads = 65, .jobs_max = 1};
	assert_int_equal(sl_pool_new(&none, &p), -EINVAL);
	assert_int_equal(sl_pool_new(&many, &p), -EINVAL);
	sl_pool_free(NULL);
}

static void test_inline(void **state)
{
	(void)state;
	struct sl_pool *p;
	struct sl_pool_cfg cfg = {.jobs_max = 3, .worker_bytes = sizeof(struct scratch)};
	int order = 0;
	struct work w[4];
	assert_int_equal(sl_pool_new(&cfg, &p), 0);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct work){.j = {.run = run, .done = done}, .in = i, .order = &order};
		assert_int_equal(sl_pool_submit(p, &w[i].j), i < 3 ? 0 : -EAGAIN);
	}
	assert_int_equal(sl_pool_pending(p), 3);
	assert_int_equal(sl_pool_reap(p), 3);
	assert_int_equal(sl_pool_reap(p), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(w[i].out, i * 2);
		assert_int_equal(w[i].place, i);
	}
	assert_int_equal(sl_pool_submit(p, &w[3].j), 0); /* room again; freed without running */
	sl_pool_free(p);
	assert_int_equal(w[3].out, 0);
}

static void post(void *arg)
{
	sem_post(arg);
}

static void test_threads(void **state)
{
	(void)state;
	enum { JOBS = 500 };
	static struct work w[JOBS];
	sem_t ready;
	struct sl_pool *p;
	struct sl_pool_cfg cfg = {.threads = 3,
				  .jobs_max = JOBS,
				  .worker_bytes = sizeof(struct scratch),
				  .wake = post,
				  .arg = &ready};
	int order = 0;
	assert_int_equal(sem_init(&ready, 0, 0), 0);
	assert_int_equal(sl_pool_new(&cfg, &p), 0);
	for (int i = 0; i < JOBS; i++) {
		w[i] = (struct work){.j = {.run = run, .done = done}, .in = i, .order = &order};
		assert_int_equal(sl_pool_submit(p, &w[i].j), 0);
	}
	while (sl_pool_pending(p)) { /* every batch of ended jobs rings once: no polling */
		while (sem_wait(&ready))
			assert_int_equal(errno, EINTR);
		sl_pool_reap(p);
	}
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(w[i].out, i * 2);
	assert_int_equal(order, JOBS);
	sl_pool_free(p);
	sem_destroy(&ready);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_cfg),
		cmocka_unit_test(test_inline),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
