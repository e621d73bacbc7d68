/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "sluice/store.h"

static uint64_t take(struct sl_waker *k)
{
	uint64_t n = 0;

	if (read(k->efd, &n, sizeof(n)) < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	return n;
}

static void rings_once_per_arming(void **state)
{
	struct sl_waker k = {.efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

	(void)state;
	assert_true(k.efd >= 0);
	sl_waker_ring(&k);
	assert_int_equal(take(&k), 0);
	sl_waker_arm(&k);
	sl_waker_ring(&k);
	sl_waker_ring(&k);
	sl_waker_ring(&k);
	assert_int_equal(take(&k), 1);
	sl_waker_arm(&k);
	sl_waker_arm(&k);
	sl_waker_ring(&k);
	assert_int_equal(take(&k), 1);
	close(k.efd);
}

#define ROUNDS 20000

struct shared {
	struct sl_waker waker;
	_Atomic uint32_t published, seen;
};

static void *publisher(void *arg)
{
	struct shared *s = arg;

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		atomic_store_explicit(&s->published, i, memory_order_release);
		sl_waker_ring(&s->waker);
		while (atomic_load_explicit(&s->seen, memory_order_acquire) < i && i % 64 == 0)
			sched_yield(); /* let the sleeper catch up, so that it really sleeps */
	}
	return NULL;
}

/* Arm, look again, sleep: no wake-up is ever lost, or this test waits until its poll times out. */
static void no_wakeup_is_lost(void **state)
{
	struct shared s = {.waker.efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	pthread_t t;
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, publisher, &s), 0);
	while (seen < ROUNDS) {
		uint32_t now = atomic_load_explicit(&s.published, memory_order_acquire);

		if (now == seen) {
			struct pollfd p = {.fd = s.waker.efd, .events = POLLIN};

			sl_waker_arm(&s.waker);
			now = atomic_load_explicit(&s.published, memory_order_acquire);
			if (now == seen)
				assert_int_equal(poll(&p, 1, 20000), 1);
			take(&s.waker);
			continue;
		}
		seen = now;
		atomic_store_explicit(&s.seen, seen, memory_order_release);
	}
	pthread_join(t, NULL);
	close(s.waker.efd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_once_per_arming),
		cmocka_unit_test(no_wakeup_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
