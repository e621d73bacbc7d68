/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_test.c - the peer leaves, or the server's time is up, while a worker thread is at work for
 * a request: reading from disk, looking up a time, checking a batch.
 *
 * What workers call is wrapped by the linker: each call announces itself and waits for the test to
 * let it go on. So "while it is on the pool" is a state here and no matter of luck.
 */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "errors.h"
#include "produce_check.h"

#define PATIENCE_S 20 /* of a test that fails */

/* ---- the gate -------------------------------------------------------------------------------- */

/* What the wrapped functions and the test share: they get no context. */
static struct {
	bool shut;     /* set while no job is under way */
	sem_t entered; /* a worker stands before the gate */
	sem_t go;
	sem_t woken; /* a job has ended: the pool's wake */
	_Atomic unsigned passed;
} gate;

static void wait_for(sem_t *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	while (sem_timedwait(s, &until))
		SL_ASSERT(errno == EINTR);
}

static void pass(void)
{
	if (gate.shut) {
		sem_post(&gate.entered);
		wait_for(&gate.go);
	}
	atomic_fetch_add(&gate.passed, 1);
}

int __real_sl_store_read(struct sl_part *p, struct sl_read *rd);
int __wrap_sl_store_read(struct sl_part *p, struct sl_read *rd);
int __wrap_sl_store_read(struct sl_part *p, struct sl_read *rd)
{
	pass();
	return __real_sl_store_read(p, rd);
}

int __real_sl_store_offset_for_ts(struct sl_part *p, int64_t ts, int64_t *ret_o, int64_t *ret_ts);
int __wrap_sl_store_offset_for_ts(struct sl_part *p, int64_t ts, int64_t *ret_o, int64_t *ret_ts);
int __wrap_sl_store_offset_for_ts(struct sl_part *p, int64_t ts, int64_t *ret_o, int64_t *ret_ts)
{
	pass();
	return __real_sl_store_offset_for_ts(p, ts, ret_o, ret_ts);
}

void __real_sl_kcheck_batch(const struct sl_kcheck_in *in, uint8_t *recs, uint32_t len,
			    struct sl_kworker *w, struct sl_kcheck *ret);
void __wrap_sl_kcheck_batch(const struct sl_kcheck_in *in, uint8_t *recs, uint32_t len,
			    struct sl_kworker *w, struct sl_kcheck *ret);
void __wrap_sl_kcheck_batch(const struct sl_kcheck_in *in, uint8_t *recs, uint32_t len,
			    struct sl_kworker *w, struct sl_kcheck *ret)
{
	pass();
	__real_sl_kcheck_batch(in, recs, len, w, ret);
}

/* ---- a server with one worker thread --------------------------------------------------------- */

struct fix {
	struct rig r;
	struct rig_conn c;
	struct sl_topic *t;
	struct sl_topic_cfg defaults;
	uint8_t *batch; /* small enough for one read */
	uint32_t batch_len;
	uint8_t *large; /* too large to be checked at once */
	uint32_t large_len;
	uint8_t *out;
};

#define BATCH_CAP (200u << 10)
#define LARGE_CAP (1200u << 10)
#define OUT_CAP   (1u << 20)

static void wake(void *arg)
{
	(void)arg;
	sem_post(&gate.woken);
}

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	struct sl_kserver_cfg cfg;

	memset(f, 0, sizeof(*f));
	memset(&gate, 0, sizeof(gate));
	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.go, 0, 0);
	sem_init(&gate.woken, 0, 0);
	rig_init(&f->r, NULL);
	cfg = f->r.server.cfg; /* the same server once more, with a thread */
	sl_topic_cfg_defaults(&f->defaults);
	cfg.topic_defaults = &f->defaults;
	cfg.workers = 1;
	cfg.wake = wake;
	sl_kserver_fini(&f->r.server);
	assert_int_equal(sl_kserver_init(&f->r.server, &cfg), 0);
	rig_open(&f->r, &f->c);
	struct sl_topic_cfg large = f->defaults;
	large.max_message_bytes = LARGE_CAP;
	f->t = rig_topic(&f->r, "t", &large);
	f->batch = malloc(BATCH_CAP);
	f->large = malloc(LARGE_CAP);
	f->large_len = rig_batch(f->large, LARGE_CAP, 1, 1100 << 10, RIG_WALL_MS);
	f->out = malloc(OUT_CAP);
	f->batch_len = rig_batch(f->batch, BATCH_CAP, 1, 150 << 10, RIG_WALL_MS);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (f->c.c)
		rig_close(&f->c);
	rig_fini(&f->r); /* nothing under way, no memory held */
	sem_destroy(&gate.entered);
	sem_destroy(&gate.go);
	sem_destroy(&gate.woken);
	free(f->batch);
	free(f->large);
	free(f->out);
	free(f);
	return 0;
}

/* Until all jobs are back, turning the server after each. */
static void finish_jobs(struct fix *f)
{
	while (sl_pool_pending(f->r.server.pool)) {
		wait_for(&gate.woken);
		rig_settle(&f->r);
	}
}

/* One batch per partition is in the log. */
static void fill(struct fix *f)
{
	for (int32_t i = 0; i < 2; i++) {
		rig_send_produce(&f->c, i, 1, "t", i, f->batch, f->batch_len);
		finish_jobs(f);
		assert_true(rig_take(&f->c, f->out, OUT_CAP) > 0);
	}
	fake_store_cfg(f->r.store)->cold = true;
	gate.shut = true;
	atomic_store(&gate.passed, 0);
}

static void send_fetch(struct rig_conn *c)
{
	rig_send_fetch(c, 7, "t", 0, 0, 60000, 1, 1 << 20);
}

static void send_lookups(struct fix *f)
{
	struct sl_kw w;

	rig_begin(&w, 2, 1, 8);
	sl_kw_i32(&w, -1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 2);
	for (int32_t i = 0; i < 2; i++) {
		sl_kw_i32(&w, i);
		sl_kw_i64(&w, RIG_WALL_MS);
	}
	rig_send(&f->c, &w);
}

/* The peer leaves before the worker goes on: the machine stays until it has. */
static void leave_and_go_on(struct fix *f)
{
	wait_for(&gate.entered);
	rig_close(&f->c);
	rig_settle(&f->r);
	assert_int_equal(f->r.server.conn_cnt, 1);
	assert_true(atomic_load(&f->r.server.counters.memory) > 0);
	sem_post(&gate.go);
	finish_jobs(f);
	assert_int_equal(f->r.server.conn_cnt, 0);
	assert_int_equal(atomic_load(&f->r.server.counters.memory), 0);
}

/* ---- the peer leaves ------------------------------------------------------------------------- */

static void peer_leaves_a_cold_read(void **state)
{
	struct fix *f = *state;

	fill(f);
	send_fetch(&f->c);
	leave_and_go_on(f);
	assert_int_equal(gate.passed, 1); /* and nothing was read after it */
	assert_int_equal(atomic_load(&f->r.server.counters.fetch_from_disk), 0);
}

static void peer_leaves_a_lookup(void **state)
{
	struct fix *f = *state;

	fill(f);
	send_lookups(f);
	leave_and_go_on(f);
	assert_int_equal(gate.passed, 1); /* the second partition was not looked at */
}

/* What was sent whole is taken: the batch goes into the log once, as if the peer had stayed. */
static void peer_leaves_a_check(void **state)
{
	struct fix *f = *state;

	gate.shut = true;
	rig_send_produce(&f->c, 1, 1, "t", 0, f->large, f->large_len);
	leave_and_go_on(f);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 1);
	assert_int_equal(atomic_load(&f->r.server.counters.produce_records), 1);
}

/* Three of one connection, the first with the worker: the order stays, each is there once. */
static void peer_leaves_a_queue_of_checks(void **state)
{
	struct fix *f = *state;
	struct sl_part *p = sl_topic_part(f->t, 0);

	gate.shut = true;
	for (int i = 0; i < 3; i++)
		rig_send_produce(&f->c, i, -1, "t", 0, f->large, f->large_len);
	wait_for(&gate.entered);
	assert_int_equal(sl_part_end(p), 0);
	rig_close(&f->c);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(f->r.server.conn_cnt, 1);
		if (i)
			wait_for(&gate.entered);
		sem_post(&gate.go);
		wait_for(&gate.woken);
		rig_settle(&f->r);
		assert_int_equal(sl_part_end(p), i + 1);
	}
	assert_int_equal(f->r.server.conn_cnt, 0);
}

/* One leaves, another one waits behind it for the same worker: it is served. */
static void others_are_served(void **state)
{
	struct fix *f = *state;
	struct rig_conn other;

	fill(f);
	rig_open(&f->r, &other);
	send_fetch(&f->c);
	wait_for(&gate.entered);
	send_fetch(&other);
	rig_close(&f->c);
	sem_post(&gate.go);
	wait_for(&gate.entered);
	sem_post(&gate.go);
	finish_jobs(f);
	assert_true(rig_take(&other, f->out, OUT_CAP) > f->batch_len);
	rig_close(&other);
}

/* ---- the stop's time is up ------------------------------------------------------------------- */

/* The job under way ends as it would; those behind it do not start reading. */
static void stop_with_reads_waiting(void **state)
{
	struct fix *f = *state;
	struct rig_conn other;

	fill(f);
	rig_open(&f->r, &other);
	send_fetch(&f->c);
	wait_for(&gate.entered);
	send_fetch(&other);
	sl_kserver_cancel(&f->r.server);
	sem_post(&gate.go);
	finish_jobs(f);
	assert_int_equal(gate.passed, 1);
	assert_true(rig_take(&f->c, f->out, OUT_CAP) > f->batch_len);
	size_t n = rig_take(&other, f->out, OUT_CAP); /* an error, and no records */
	assert_in_range(n, 1, 200);
	rig_close(&other);
}

static void stop_with_checks_waiting(void **state)
{
	struct fix *f = *state;

	gate.shut = true;
	for (int i = 0; i < 2; i++)
		rig_send_produce(&f->c, i, 1, "t", i, f->large, f->large_len);
	wait_for(&gate.entered);
	sl_kserver_cancel(&f->r.server);
	sem_post(&gate.go);
	finish_jobs(f);
	assert_int_equal(gate.passed, 1);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 1);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 1)), 0); /* refused by name, not taken */
	assert_int_equal(atomic_load(&f->r.server.counters.produce_records), 1);
	assert_int_equal(atomic_load(&f->r.server.counters.produce_errors), 1);
	assert_true(rig_take(&f->c, f->out, OUT_CAP) > 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(peer_leaves_a_cold_read),  T(peer_leaves_a_lookup),
		T(peer_leaves_a_check),      T(peer_leaves_a_queue_of_checks),
		T(others_are_served),        T(stop_with_reads_waiting),
		T(stop_with_checks_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
