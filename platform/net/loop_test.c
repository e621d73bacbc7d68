/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/base/clock.h"

struct pipe_end {
	struct sl_loop *loop;
	struct sl_loop_fd f;
	struct pipe_end *other; /* removed when this one is called */
	int calls;
};

static void on_pipe(void *arg, uint32_t events)
{
	struct pipe_end *e = arg;
	assert_true(events & EPOLLIN);
	e->calls++;
	if (e->other)
		sl_loop_del(e->loop, &e->other->f);
}

static void test_del_of_a_ready_one(void **state)
{
	(void)state;
	struct sl_loop_cfg cfg = {0};
	struct sl_loop *l;
	int a[2], b[2];
	assert_int_equal(sl_loop_new(&cfg, &l), 0);
	assert_int_equal(pipe(a) | pipe(b), 0);
	struct pipe_end ea = {.loop = l, .f = {.fd = a[0], .fn = on_pipe, .arg = &ea}};
	struct pipe_end eb = {.loop = l, .f = {.fd = b[0], .fn = on_pipe, .arg = &eb}};
	ea.other = &eb;
	eb.other = &ea;
	assert_int_equal(sl_loop_add(l, &ea.f, EPOLLIN), 0);
	assert_int_equal(sl_loop_add(l, &eb.f, EPOLLIN), 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	assert_int_equal(sl_loop_turn(l, 0), 0);
	assert_int_equal(ea.calls + eb.calls,
			 1); /* both were ready; the first removed the second */
	sl_loop_free(l);
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}

static void test_add_of_a_bad_fd(void **state)
{
	(void)state;
	struct sl_loop_cfg cfg = {0};
	struct sl_loop *l;
	assert_int_equal(sl_loop_new(&cfg, &l), 0);
	struct sl_loop_fd f = {.fd = -1};
	assert_int_equal(sl_loop_add(l, &f, EPOLLIN), -EBADF);
	sl_loop_free(l);
	sl_loop_free(NULL);
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void test_timer_ends_the_sleep(void **state)
{
	(void)state;
	struct sl_loop_cfg cfg = {0};
	struct sl_loop *l;
	int fired = 0;
	assert_int_equal(sl_loop_new(&cfg, &l), 0);
	struct sl_timer t = {.fn = count, .arg = &fired};
	sl_timer_set(sl_loop_timers(l), &t, sl_clock_mono_ns() + 2000000);
	while (!fired)
		assert_int_equal(sl_loop_turn(l, UINT64_MAX), 0);
	assert_int_equal(fired, 1);
	sl_loop_free(l);
}

#define POSTS 1000
struct poster {
	struct sl_loop *loop;
	struct sl_loop_msg m[POSTS];
	struct seq {
		struct poster *p;
		int no;
	} s[POSTS];
	int next;
	int *alive;
};

static void on_post(void *arg)
{
	struct seq *s = arg;
	assert_int_equal(s->no, s->p->next); /* in the order of posting */
	s->p->next++;
	if (s->p->next == POSTS && --*s->p->alive == 0)
		sl_loop_stop(s->p->loop);
}

static void *poster_main(void *arg)
{
	struct poster *p = arg;
	for (int i = 0; i < POSTS; i++) {
		p->s[i] = (struct seq){p, i};
		p->m[i] = (struct sl_loop_msg){.fn = on_post, .arg = &p->s[i]};
		sl_loop_post(p->loop, &p->m[i]);
	}
	return NULL;
}

static void test_post_from_threads(void **state)
{
	(void)state;
	static struct poster p[3];
	struct sl_loop_cfg cfg = {0};
	struct sl_loop *l;
	pthread_t t[3];
	int alive = 3;
	assert_int_equal(sl_loop_new(&cfg, &l), 0);
	for (int i = 0; i < 3; i++) {
		p[i].loop = l;
		p[i].alive = &alive;
		assert_int_equal(pthread_create(&t[i], NULL, poster_main, &p[i]), 0);
	}
	assert_int_equal(sl_loop_run(l), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(p[i].next, POSTS);
	}
	sl_loop_free(l);
}

static uint64_t prep(void *arg)
{
	++*(int *)arg;
	return 0;
}

static void test_prepare_keeps_it_awake(void **state)
{
	(void)state;
	int turns = 0;
	struct sl_loop_cfg cfg = {.prepare = prep, .arg = &turns};
	struct sl_loop *l;
	assert_int_equal(sl_loop_new(&cfg, &l), 0);
	assert_int_equal(sl_loop_turn(l, UINT64_MAX), 0);
	assert_int_equal(turns, 1);
	sl_loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_of_a_bad_fd),
		cmocka_unit_test(test_del_of_a_ready_one),
		cmocka_unit_test(test_timer_ends_the_sleep),
		cmocka_unit_test(test_post_from_threads),
		cmocka_unit_test(test_prepare_keeps_it_awake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
