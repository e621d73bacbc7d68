/* SPDX-License-Identifier: Apache-2.0 */
/* When an lcore naps, how long, and what wakes it. The clock of the policy is the test's. */
#include "idle.h"

#include <errno.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/sl_test.h"

#define MS      1000000u
#define ROOM    2048u
#define LINGER  5000000u
#define FOREVER 3600000000000u

struct sim {
	struct sl_idler i;
	uint64_t now_ns, frames;
};

static void sim_new(struct sim *s, uint32_t room, uint64_t linger_ns)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(sl_idle_init(&s->i, false), 0);
	sl_idle_naps(&s->i, room, linger_ns);
	s->now_ns = 77 * (uint64_t)MS;
}

static void sim_free(struct sim *s)
{
	sl_idle_fini(&s->i);
}

/* The nap at a rate that has lasted; the first look only opens the window. */
static uint64_t nap_at(uint32_t room, uint64_t linger_ns, uint64_t per_ms)
{
	struct sim s;
	uint64_t ns = 0;

	sim_new(&s, room, linger_ns);
	for (unsigned k = 0; k < 4; k++) {
		s.now_ns += MS;
		s.frames += per_ms;
		ns = sl_idle_nap_ns(&s.i, s.now_ns, s.frames);
	}
	assert_int_equal(s.i.spins, ns ? SL_IDLE_NAP_SPINS : SL_IDLE_SPINS);
	sim_free(&s);
	return ns;
}

static void only_when_much_comes(SL_UNUSED void **st)
{
	assert_int_equal(nap_at(ROOM, LINGER, 0), 0);
	assert_int_equal(nap_at(ROOM, LINGER, 1), 0);
	assert_int_equal(nap_at(ROOM, LINGER, 20), 0);
	assert_int_equal(nap_at(ROOM, LINGER, SL_IDLE_NAP_PER_MS - 1), 0);
	assert_int_equal(nap_at(ROOM, LINGER, SL_IDLE_NAP_PER_MS), SL_IDLE_NAP_MAX_NS);
	assert_int_equal(nap_at(ROOM, LINGER, 300), SL_IDLE_NAP_MAX_NS);
	assert_int_equal(nap_at(0, LINGER, 300), 0); /* an owner that did not ask for naps */
}

static void bounded_by_the_ring(SL_UNUSED void **st)
{
	assert_int_equal(nap_at(ROOM, LINGER, 2500), ROOM / SL_IDLE_NAP_ROOM * MS / 2500);
	assert_int_equal(nap_at(1000, LINGER, 1000), 125000);
	assert_int_equal(nap_at(ROOM, LINGER, 6400), SL_IDLE_NAP_MIN_NS);
	assert_int_equal(nap_at(ROOM, LINGER, 6401), 0);
	assert_int_equal(nap_at(ROOM, LINGER, 20000), 0);
	assert_int_equal(nap_at(SL_IDLE_NAP_ROOM - 1, LINGER, 300), 0);
	struct sim s;
	sim_new(&s, ROOM, LINGER);
	sl_idle_naps(&s.i, 500, LINGER); /* a second port */
	sl_idle_naps(&s.i, 8192, LINGER);
	assert_int_equal(s.i.naps.room, 500);
	sim_free(&s);
}

static void bounded_by_the_linger(SL_UNUSED void **st)
{
	assert_int_equal(nap_at(ROOM, 800000, 300), 100000);
	assert_int_equal(nap_at(ROOM, 100000, 300), 0);
	assert_int_equal(nap_at(ROOM, 0, 300), 0);
	assert_int_equal(nap_at(ROOM, UINT64_MAX, 300), SL_IDLE_NAP_MAX_NS);
}

/* Counters go on from earlier runs, and clocks may not have moved. */
static void odd_beginnings(SL_UNUSED void **st)
{
	struct sim s;

	sim_new(&s, ROOM, LINGER);
	assert_int_equal(sl_idle_nap_ns(&s.i, 0, UINT64_MAX - 5), 0);
	assert_int_equal(sl_idle_nap_ns(&s.i, 0, UINT64_MAX - 4), 0);
	(void)sl_idle_nap_ns(&s.i, MS, UINT64_MAX - 3); /* as good as endless: no nap fits a ring */
	assert_int_equal(s.i.spins, SL_IDLE_SPINS);
	assert_int_equal(sl_idle_nap_ns(&s.i, 2 * MS, 296), SL_IDLE_NAP_MAX_NS);
	sim_free(&s);
}

static void silence_ends_it(SL_UNUSED void **st)
{
	struct sim s;

	sim_new(&s, ROOM, LINGER);
	for (unsigned k = 0; k < 10; k++) {
		s.now_ns += 250000;
		s.frames += 75;
		(void)sl_idle_nap_ns(&s.i, s.now_ns, s.frames);
	}
	assert_int_equal(s.i.spins, SL_IDLE_NAP_SPINS);
	/* one nap without a frame, and it waits for the fds; a lone frame changes nothing */
	assert_int_equal(sl_idle_nap_ns(&s.i, s.now_ns + 200000, s.frames), 0);
	assert_int_equal(s.i.spins, SL_IDLE_SPINS);
	assert_int_equal(sl_idle_nap_ns(&s.i, s.now_ns + 300000, s.frames + 1), 0);
	/* until a whole millisecond was busy */
	s.now_ns += 20 * MS;
	assert_int_equal(sl_idle_nap_ns(&s.i, s.now_ns, ++s.frames), 0);
	assert_int_equal(sl_idle_nap_ns(&s.i, s.now_ns + MS / 2, s.frames + 100), 0);
	assert_int_equal(sl_idle_nap_ns(&s.i, s.now_ns + MS, s.frames + 200), SL_IDLE_NAP_MAX_NS);
	sim_free(&s);
}

#define SLACK_NS 50000u /* the kernel may be so late */

/* Frames that wait after one sleep by the policy while `per_ms` come; an fd wakes for the first. */
static uint64_t sleep_at(struct sim *s, uint64_t per_ms, bool *ret_napped)
{
	uint64_t ns = sl_idle_nap_ns(&s->i, s->now_ns, s->frames);
	uint64_t slept = ns ? ns + SLACK_NS : 1000;
	uint64_t came = per_ms * slept / MS + 1;

	uint64_t work = came * 100; /* ns; more comes meanwhile, and is taken too */
	s->now_ns += slept + work;
	s->frames += came + per_ms * work / MS;
	*ret_napped = ns > 0;
	return came;
}

/* Rates that jump about: a ring is a third full at a steady rate, and takes a jump to four times
 * the rate. */
static void ring_never_fills(SL_UNUSED void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint64_t naps = 0, steady = 0, jumped = 0, rate = 1000;
	struct sim s;
	bool napped;

	sim_new(&s, ROOM, LINGER);
	for (unsigned k = 0; k < 2000; k++) {
		uint64_t next = 1 + sl_rng_below(&r, 8000);
		uint64_t came = sleep_at(&s, next, &napped);
		if (napped && next <= 4 * rate)
			jumped = SL_MAX(jumped, came);
		for (uint64_t end = s.now_ns + 3 * MS; s.now_ns < end;)
			(void)sleep_at(&s, next, &napped);
		for (unsigned n = 0; n < 20; n++) {
			came = sleep_at(&s, next, &napped);
			steady = napped ? SL_MAX(steady, came) : steady;
			naps += napped;
		}
		rate = next;
	}
	print_message("%lu naps, longest queue %lu, after a jump %lu\n", naps, steady, jumped);
	assert_true(naps > 1000);
	assert_true(steady <= ROOM / 3);
	assert_true(jumped <= ROOM);
	sim_free(&s);
}

/* A nap does not hear the fds, and hears the waker. */
static void what_wakes(SL_UNUSED void **st)
{
	struct sim s;
	int p[2];

	sim_new(&s, ROOM, LINGER);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(sl_idle_add_fd(&s.i, p[0]), 0);
	uint64_t begin = sl_clock_mono_ns();
	sl_idle_arm(&s.i);
	sl_idle_nap(&s.i, 20 * MS);
	assert_true(sl_clock_mono_ns() - begin >= 20 * (uint64_t)MS);
	sl_idle_arm(&s.i);
	sl_idle_wait(&s.i, FOREVER);
	sl_idle_arm(&s.i);
	sl_waker_ring(&s.i.waker);
	sl_idle_nap(&s.i, FOREVER);
	assert_int_equal(atomic_load(&s.i.waker.armed), 0);
	assert_int_equal(s.i.sleeps, 3);
	assert_int_equal(s.i.naps.taken, 2);
	close(p[0]);
	close(p[1]);
	sim_free(&s);
}

static void turns(SL_UNUSED void **st)
{
	struct sim s;

	sim_new(&s, 0, LINGER);
	for (unsigned k = 1; k < SL_IDLE_SPINS; k++)
		assert_false(sl_idle_turn(&s.i, false));
	assert_true(sl_idle_turn(&s.i, false));
	assert_false(sl_idle_turn(&s.i, true));
	for (unsigned k = 0; k < SL_IDLE_FDS_MAX; k++)
		assert_int_equal(sl_idle_add_fd(&s.i, 0), 0);
	assert_int_equal(sl_idle_add_fd(&s.i, 0), -ENOSPC);
	sim_free(&s);
	sl_idle_fini(&s.i); /* zeroed */
	sl_idle_fini(NULL);
	assert_int_equal(sl_idle_init(&s.i, true), 0);
	for (unsigned k = 0; k < 1000; k++)
		assert_false(sl_idle_turn(&s.i, false));
	sim_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns),
		cmocka_unit_test(only_when_much_comes),
		cmocka_unit_test(bounded_by_the_ring),
		cmocka_unit_test(bounded_by_the_linger),
		cmocka_unit_test(odd_beginnings),
		cmocka_unit_test(silence_ends_it),
		cmocka_unit_test(ring_never_fills),
		cmocka_unit_test(what_wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
