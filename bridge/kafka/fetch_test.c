/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_test.c - Fetch: when it answers, with how much, from where. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"
#include "fetch.h"

struct fix {
	struct rig r;
	struct rig_conn c, p;
	struct sl_topic *t;
	uint8_t *out;
};

#define OUT_MAX (8u << 20)

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	memset(f, 0, sizeof(*f));
	f->out = malloc(OUT_MAX);
	rig_init(&f->r, NULL);
	rig_open(&f->r, &f->c);
	rig_open(&f->r, &f->p);
	f->t = rig_topic(&f->r, "t", NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	if (f->c.c)
		rig_close(&f->c);
	rig_close(&f->p);
	rig_fini(&f->r);
	free(f->out);
	free(f);
	return 0;
}

/* Appends a batch of n records of val_len bytes; returns its size. */
static uint32_t produce(struct fix *f, int32_t part, unsigned n, uint32_t val_len)
{
	uint32_t cap = n * (val_len + 64) + 128;
	uint8_t *b = malloc(cap);
	uint32_t len = rig_batch(b, cap, n, val_len, RIG_WALL_MS);
	rig_send_produce(&f->p, 1, 1, "t", part, b, len);
	assert_true(rig_take(&f->p, f->out, OUT_MAX) > 0);
	free(b);
	return len;
}

struct got {
	int16_t err;
	int64_t hw;
	uint32_t len; /* of the records */
	uint32_t batches;
	int64_t first, last; /* offsets */
};

/* The answer of one partition, v11; false: none yet. The batches must follow each other. */
static bool take(struct fix *f, struct got *g)
{
	size_t n = rig_take(&f->c, f->out, OUT_MAX);
	if (n == 0)
		return false;
	struct sl_kr r = {0};
	*g = (struct got){.first = -1, .last = -1};
	assert_int_equal(sl_be32(f->out) + 4, n);
	sl_rd_init(&r.rd, f->out + 4, n - 4);
	sl_kr_i32(&r); /* correlation */
	sl_kr_i32(&r); /* throttle */
	assert_int_equal(sl_kr_i16(&r), 0);
	sl_kr_i32(&r); /* session */
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_i32(&r);
	g->err = sl_kr_i16(&r);
	g->hw = sl_kr_i64(&r);
	sl_kr_i64(&r);
	sl_kr_i64(&r);
	assert_int_equal(sl_kr_narray(&r, 1), -1);
	sl_kr_i32(&r);
	struct sl_slice recs = sl_kr_nbytes(&r);
	assert_non_null(recs.p); /* never null */
	assert_false(r.rd.bad);
	assert_int_equal(sl_rd_left(&r.rd), 0);
	g->len = recs.len;
	for (uint32_t at = 0; at < recs.len; g->batches++) {
		uint32_t total;
		assert_int_equal(sl_batch_check_frame(recs.p + at, recs.len - at, &total),
				 SL_BF_OK);
		if (g->batches)
			assert_int_equal(sl_batch_base_offset(recs.p + at), g->last + 1);
		else
			g->first = sl_batch_base_offset(recs.p + at);
		g->last = sl_batch_last_offset(recs.p + at);
		at += total;
	}
	return true;
}

static struct got must_take(struct fix *f)
{
	struct got g;
	assert_true(take(f, &g));
	return g;
}

static void test_errors(void **state)
{
	struct fix *f = *state;
	produce(f, 0, 3, 10);
	rig_send_fetch(&f->c, 1, "nobody", 0, 0, 5000, 1, 1000);
	assert_int_equal(must_take(f).err, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	rig_send_fetch(&f->c, 1, "t", 9, 0, 5000, 1, 1000);
	assert_int_equal(must_take(f).err, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	rig_send_fetch(&f->c, 1, "t", 0, 4, 5000, 1, 1000);
	assert_int_equal(must_take(f).err, SL_KERR_OFFSET_OUT_OF_RANGE);
	fake_store_set_start(sl_topic_part(f->t, 0), 2);
	rig_send_fetch(&f->c, 1, "t", 0, 1, 5000, 1, 1000);
	struct got g = must_take(f);
	assert_int_equal(g.err, SL_KERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(g.hw, -1);
	rig_send_fetch(&f->c, 1, "t", 0, -5, 5000, 1, 1000);
	assert_int_equal(must_take(f).err, SL_KERR_OFFSET_OUT_OF_RANGE);
}

static void test_min_bytes_0_answers_at_once(void **state)
{
	struct fix *f = *state;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 0, 1000);
	struct got g = must_take(f);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.len, 0);
	assert_int_equal(g.hw, 0);
}

static void test_wakes_on_append(void **state)
{
	struct fix *f = *state;
	struct got g;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1, 1000);
	assert_false(take(f, &g));
	produce(f, 1, 1, 10); /* another partition */
	assert_false(take(f, &g));
	produce(f, 0, 2, 10);
	g = must_take(f);
	assert_int_equal(g.batches, 1);
	assert_int_equal(g.last, 1);
	assert_int_equal(g.hw, 2);
}

/* min_bytes counts what came in while it waited, and nothing is lost or doubled. */
static void test_min_bytes(void **state)
{
	struct fix *f = *state;
	struct got g;
	uint32_t one = produce(f, 0, 1, 100);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, (int32_t)one * 3, 1 << 20);
	assert_false(take(f, &g));
	produce(f, 0, 1, 100);
	assert_false(take(f, &g));
	produce(f, 0, 1, 100);
	g = must_take(f);
	assert_int_equal(g.len, one * 3);
	assert_int_equal(g.batches, 3);
	assert_int_equal(g.first, 0);
	/* the time is up first: what there is */
	rig_send_fetch(&f->c, 1, "t", 0, 1, 5000, (int32_t)one * 30, 1 << 20);
	rig_pass_ms(&f->r, 4999);
	assert_false(take(f, &g));
	rig_pass_ms(&f->r, 1);
	assert_int_equal(must_take(f).batches, 2);
}

static void test_sizes(void **state)
{
	struct fix *f = *state;
	uint32_t one = produce(f, 0, 10, 100);
	for (int i = 0; i < 4; i++)
		produce(f, 0, 10, 100);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 0, 1, 0); /* the first batch whatever the limit */
	assert_int_equal(must_take(f).batches, 1);
	rig_send_fetch(&f->c, 1, "t", 0, 5, 0, 1, 1); /* from its middle: whole */
	struct got g = must_take(f);
	assert_int_equal(g.batches, 1);
	assert_int_equal(g.first, 0);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 0, 1, (int32_t)one * 3 + 5);
	assert_int_equal(must_take(f).batches, 3);
	/* a min_bytes that max_bytes can never reach: full is full, no wait */
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1 << 20, (int32_t)one * 2);
	assert_int_equal(must_take(f).batches, 2);
}

/* Batches larger than a chunk, and more than a turn copies. */
static void test_large(void **state)
{
	struct fix *f = *state;
	uint64_t all = 0;
	for (int i = 0; i < 6; i++)
		all += produce(f, 0, 1, i % 2 ? 700 << 10 : 3000);
	for (int i = 0; i < 40; i++)
		all += produce(f, 0, 10, 4000);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 0, 1, 6 << 20);
	struct got g = must_take(f);
	assert_int_equal(g.len, all);
	assert_int_equal(g.batches, 46);
	assert_int_equal(atomic_load(&f->r.server.counters.fetch_from_disk), 0);
}

static void test_cold(void **state)
{
	struct fix *f = *state;
	uint64_t all = 0;
	for (int i = 0; i < 5; i++)
		all += produce(f, 0, 1, i % 2 ? 700 << 10 : 3000);
	fake_store_cfg(f->r.store)->cold = true;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 0, 1, 6 << 20);
	struct got g = must_take(f);
	assert_int_equal(g.batches, 5);
	assert_int_equal(g.len, all);
	assert_int_equal(atomic_load(&f->r.server.counters.fetch_from_disk), all);
	fake_store_cfg(f->r.store)->damaged = true;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1, 6 << 20);
	g = must_take(f);
	assert_int_equal(g.err, SL_KERR_CORRUPT_MESSAGE);
	assert_int_equal(g.len, 0);
}

/* The pool has no room: it waits and goes on later. */
static void test_cold_waits_for_a_worker(void **state)
{
	struct fix *f = *state;
	struct got g;
	static struct sl_kw w;
	produce(f, 0, 1, 100);
	fake_store_cfg(f->r.store)->cold = true;
	static struct rig_conn other[SL_KSERVER_JOBS_MAX];
	for (int i = 0; i < SL_KSERVER_JOBS_MAX; i++) { /* all places are taken */
		rig_open(&f->r, &other[i]);
		rig_begin(&w, 22, 0, 1);
		sl_kw_cstr(&w, NULL);
		sl_kw_i32(&w, 1000);
		sl_put_be32(w.buf, w.len - 4);
		assert_int_equal(sl_kconn_input(other[i].c, w.buf, w.len), w.len);
		sl_kw_fini(&w);
	}
	assert_int_equal(sl_pool_pending(f->r.server.pool), SL_KSERVER_JOBS_MAX);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 0, 1, 1 << 20); /* settles: the others are served */
	g = must_take(f);
	assert_int_equal(g.batches, 1);
	for (int i = 0; i < SL_KSERVER_JOBS_MAX; i++)
		rig_close(&other[i]);
}

static void test_peer_leaves(void **state)
{
	struct fix *f = *state;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 60000, 1, 1000);
	assert_false(TAILQ_EMPTY(&f->r.server.parked));
	rig_close(&f->c);
	assert_true(TAILQ_EMPTY(&f->r.server.parked));
	assert_int_equal(f->r.server.conn_cnt, 1);

	/* and while a worker reads for it */
	produce(f, 0, 1, 100);
	fake_store_cfg(f->r.store)->cold = true;
	rig_open(&f->r, &f->c);
	struct sl_kw w;
	rig_begin(&w, 1, 4, 1);
	sl_kw_i32(&w, -1);
	sl_kw_i32(&w, 0);
	sl_kw_i32(&w, 1);
	sl_kw_i32(&w, 1000);
	sl_kw_i8(&w, 0);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_i64(&w, 0);
	sl_kw_i32(&w, 1000);
	sl_put_be32(w.buf, w.len - 4);
	assert_int_equal(sl_kconn_input(f->c.c, w.buf, w.len), w.len);
	sl_kw_fini(&w);
	assert_int_equal(sl_pool_pending(f->r.server.pool), 1);
	rig_close(&f->c);
	assert_int_equal(f->r.server.conn_cnt, 2); /* it lives until the worker is back */
	rig_settle(&f->r);
	assert_int_equal(f->r.server.conn_cnt, 1);
}

static void test_give_up(void **state)
{
	struct fix *f = *state;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 60000, 1, 1000);
	sl_kfetch_give_up(&f->r.server);
	assert_int_equal(must_take(f).len, 0);
}

/* Every ring is seen: armed, looked again, then asleep (what the loop's prepare hook relies on). */
static void test_prepare_arms(void **state)
{
	struct fix *f = *state;
	struct got g;
	assert_false(sl_kserver_prepare(&f->r.server));
	assert_int_equal(atomic_load(&f->r.server.waker.armed), 0); /* nobody waits */
	rig_send_fetch(&f->c, 1, "t", 0, 0, 60000, 1, 1000);
	assert_false(sl_kserver_prepare(&f->r.server));
	assert_int_equal(atomic_load(&f->r.server.waker.armed), 1);
	uint8_t b[200];
	uint32_t len = rig_batch(b, sizeof(b), 1, 10, RIG_WALL_MS);
	f->r.manual = true;
	struct sl_kw w;
	rig_begin(&w, 0, 3, 1);
	sl_kw_cstr(&w, NULL);
	sl_kw_i16(&w, 1);
	sl_kw_i32(&w, 1000);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_bytes_len(&w, len);
	sl_kw_raw(&w, b, len);
	sl_put_be32(w.buf, w.len - 4);
	assert_int_equal(sl_kconn_input(f->p.c, w.buf, w.len), w.len);
	sl_kw_fini(&w);
	assert_false(sl_kserver_prepare(&f->r.server));
	fake_store_step(f->r.store);
	assert_int_equal(atomic_load(&f->r.server.waker.armed), 0); /* rung */
	assert_false(sl_kserver_prepare(&f->r.server));
	assert_true(take(f, &g));
	assert_int_equal(g.batches, 1);
}

/* Batches do not divide a chunk evenly: a partition is filled to its limit, and the next one too.
 */
static void test_two_partitions(void **state)
{
	struct fix *f = *state;
	uint32_t len[2] = {0}, largest = 0;
	uint64_t all = 0;
	struct sl_kw w;

	for (uint32_t i = 0; all < 3 << 19; i++) {
		uint32_t one = produce(f, 0, 1, 12000 + i * 7919 % 48000);
		all += one;
		largest = SL_MAX(largest, one);
	}
	uint32_t other = produce(f, 1, 1, 50000);
	for (int cold = 0; cold < 2; cold++) {
		fake_store_cfg(f->r.store)->cold = cold;
		rig_begin(&w, 1, 4, 1);
		sl_kw_i32(&w, -1);
		sl_kw_i32(&w, 0);
		sl_kw_i32(&w, 1);
		sl_kw_i32(&w, 4 << 20);
		sl_kw_i8(&w, 0);
		sl_kw_array(&w, 1);
		sl_kw_cstr(&w, "t");
		sl_kw_array(&w, 2);
		for (int i = 0; i < 2; i++) {
			sl_kw_i32(&w, i);
			sl_kw_i64(&w, 0);
			sl_kw_i32(&w, 1 << 20);
		}
		rig_send(&f->c, &w);
		size_t n = rig_take(&f->c, f->out, OUT_MAX);
		struct sl_kr r = {0};
		sl_rd_init(&r.rd, f->out + 4, n - 4);
		sl_rd_bytes(&r.rd, 8); /* correlation, throttle time */
		assert_int_equal(sl_kr_array(&r, 1), 1);
		sl_kr_str(&r);
		assert_int_equal(sl_kr_array(&r, 1), 2);
		for (int i = 0; i < 2; i++) {
			sl_rd_bytes(&r.rd, 4 + 2 + 8 + 8 + 4);
			len[i] = sl_kr_nbytes(&r).len;
		}
		assert_false(r.rd.bad);
		assert_int_equal(sl_rd_left(&r.rd), 0);
		assert_in_range(len[0], (1 << 20) - largest + 1, 1 << 20);
		assert_int_equal(len[1], other);
	}
}

/*
 * More fetches than memory has room for: all together keep to the budget (and one batch), those
 * that found room are answered with what they have, the others when memory is free again.
 */
static void test_budget(void **state)
{
	enum { N = 40 };
	struct sl_kserver_cfg cfg = {.request_max_bytes = 1 << 20,
				     .memory_bytes = 8 << 20,
				     .num_partitions = 1,
				     .auto_create = true};
	struct fix g = {.out = ((struct fix *)*state)->out};
	struct rig_conn c[N];

	for (int cold = 0; cold < 2; cold++) {
		rig_init(&g.r, &cfg);
		g.t = rig_topic(&g.r, "t", NULL);
		rig_open(&g.r, &g.p);
		fake_store_cfg(g.r.store)->cold = cold;
		for (int i = 0; i < N; i++) {
			rig_open(&g.r, &c[i]);
			rig_send_fetch(&c[i], i, "t", 0, 0, 5000, 1, 1 << 20);
		}
		produce(&g, 0, 1, 300 << 10); /* all of them read */
		uint64_t most = atomic_load(&g.r.server.counters.memory);
		assert_in_range(most, 7 << 20, (8 << 20) + (512 << 10));
		assert_false(TAILQ_EMPTY(&g.r.server.hungry));
		unsigned answered = 0, with = 0;
		for (int round = 0; round < N && answered < N; round++) {
			for (int i = 0; i < N; i++) {
				struct fix one = {.out = g.out, .c = c[i]};
				struct got got;
				if (!take(&one, &got))
					continue;
				answered++;
				with += got.batches > 0;
			}
		}
		assert_int_equal(answered, N);
		assert_int_equal(with, N);
		for (int i = 0; i < N; i++)
			rig_close(&c[i]);
		rig_close(&g.p);
		rig_fini(&g.r);
	}
}

/* Memory that does not come: an answer without batches, in time. */
static void test_hungry(void **state)
{
	struct fix *f = *state;
	struct got g;
	static uint8_t b[3 * SL_KCONN_SMALL]; /* more than there is for everybody */
	uint32_t len = rig_batch(b, sizeof(b), 1, 2 * SL_KCONN_SMALL, RIG_WALL_MS);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1, 1 << 20);
	f->r.manual = true;
	rig_send_produce(&f->p, 1, 0, "t", 0, b, len);
	f->r.server.cfg.memory_bytes = 1;
	f->r.server.overdraft = f->p.c; /* somebody else is the one */
	fake_store_step(f->r.store);
	sl_kfetch_check_parked(&f->r.server); /* records, and no memory for them */
	assert_true(TAILQ_EMPTY(&f->r.server.parked));
	assert_false(TAILQ_EMPTY(&f->r.server.hungry));
	f->r.now_ns += 5999 * 1000000ull;
	sl_timers_run(&f->r.timers, f->r.now_ns);
	assert_false(TAILQ_EMPTY(&f->r.server.hungry));
	f->r.now_ns += 1000000;
	sl_timers_run(&f->r.timers, f->r.now_ns);
	g = must_take(f);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.len, 0);
	f->r.server.cfg.memory_bytes = 1 << 20;
	rig_settle(&f->r);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1, 1 << 20);
	assert_int_equal(must_take(f).batches, 1);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_errors),
		T(test_min_bytes_0_answers_at_once),
		T(test_wakes_on_append),
		T(test_min_bytes),
		T(test_sizes),
		T(test_large),
		T(test_cold),
		T(test_cold_waits_for_a_worker),
		T(test_peer_leaves),
		T(test_give_up),
		T(test_prepare_arms),
		T(test_two_partitions),
		T(test_budget),
		T(test_hungry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
