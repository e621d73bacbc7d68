/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"

static uint8_t out[4 << 20];

static const struct sl_kserver_cfg small = {.request_max_bytes = 8u << 20,
					    .memory_bytes = 4u << 20,
					    .num_partitions = 1,
					    .auto_create = true,
					    .idle_ms = 60000};

/* Splits what was sent into responses; returns their number. */
static unsigned correlations(const uint8_t *p, size_t n, int32_t *ret, unsigned max)
{
	unsigned cnt = 0;
	while (n >= 8 && cnt < max) {
		uint32_t size = sl_be32(p);
		assert_true(size + 4 <= n);
		ret[cnt++] = (int32_t)sl_be32(p + 4);
		p += size + 4;
		n -= size + 4;
	}
	assert_int_equal(n, 0);
	return cnt;
}

static unsigned take(struct rig_conn *c, int32_t *ret, unsigned max)
{
	size_t n = rig_take(c, out, sizeof(out));
	return correlations(out, n, ret, max);
}

static void send_versions(struct rig_conn *c, int32_t correlation)
{
	struct sl_kw w;
	rig_begin(&w, SL_KAPI_API_VERSIONS, 0, correlation);
	rig_send(c, &w);
}

static void expect_broken(const void *bytes, size_t n)
{
	struct rig r;
	struct rig_conn c;
	rig_init(&r, NULL);
	rig_open(&r, &c);
	rig_feed(&c, bytes, n);
	assert_non_null(sl_kconn_broken(c.c));
	assert_true(c.changed > 0);
	assert_int_equal(rig_take(&c, out, sizeof(out)), 0);
	assert_false(sl_kconn_wants_input(c.c));
	assert_int_equal(atomic_load(&r.server.counters.request_errors), 1);
	rig_close(&c);
	rig_fini(&r);
}

static void test_malformed(void **state)
{
	(void)state;
	static const uint8_t zero[4] = {0}, nine[4] = {0, 0, 0, 9},
			     neg[4] = {0xff, 0xff, 0xff, 0xff},
			     huge[4] = {0x06, 0x40, 0, 1}, /* 100 MiB and a byte */
		no_api[] = {0, 0, 0, 10, 0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
			     no_version[] = {0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff},
			     client_id[] = {0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0, 9},
			     /* Metadata v1: more topics than bytes */
		topics[] = {0, 0, 0, 14,   0,    3,    0,    1,    0,
			    0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff},
			     body_cut[] = {0, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0};
	expect_broken(zero, sizeof(zero));
	expect_broken(nine, sizeof(nine));
	expect_broken(neg, sizeof(neg));
	expect_broken(huge, sizeof(huge));
	expect_broken(no_api, sizeof(no_api));
	expect_broken(no_version, sizeof(no_version));
	expect_broken(client_id, sizeof(client_id));
	expect_broken(topics, sizeof(topics));
	expect_broken(body_cut, sizeof(body_cut));
}

/* A stranger's first request is small; later ones may be as large as the config says. */
static void test_first_frame_limit(void **state)
{
	(void)state;
	uint8_t size[4];
	struct rig r;
	struct rig_conn c;
	sl_put_be32(size, SL_KCONN_FIRST_FRAME_MAX + 1);
	expect_broken(size, sizeof(size));

	rig_init(&r, NULL);
	rig_open(&r, &c);
	send_versions(&c, 1);
	rig_feed(&c, size, sizeof(size));
	rig_feed(&c, "x", 1);
	assert_null(sl_kconn_broken(c.c));
	rig_close(&c);
	rig_fini(&r);
}

static void test_one_broken_one_good(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn a, b;
	int32_t id[4];
	rig_init(&r, NULL);
	rig_open(&r, &a);
	rig_open(&r, &b);
	rig_feed(&a, "\xff\xff\xff\xff", 4);
	send_versions(&b, 7);
	assert_non_null(sl_kconn_broken(a.c));
	assert_int_equal(take(&b, id, 4), 1);
	assert_int_equal(id[0], 7);
	rig_close(&a);
	rig_close(&b);
	rig_fini(&r);
}

/* A parked fetch holds back what comes after it on its connection, and nothing elsewhere. */
static void test_parked_fetch_is_not_overtaken(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn a, b;
	int32_t id[4];
	rig_init(&r, NULL);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &a);
	rig_open(&r, &b);
	rig_send_fetch(&a, 1, "t", 0, 0, 500, 1, 1000);
	send_versions(&a, 2);
	send_versions(&b, 3);
	assert_int_equal(take(&a, id, 4), 0);
	assert_int_equal(take(&b, id, 4), 1);
	rig_pass_ms(&r, 499);
	assert_int_equal(take(&a, id, 4), 0);
	rig_pass_ms(&r, 1);
	assert_int_equal(take(&a, id, 4), 2);
	assert_int_equal(id[0], 1);
	assert_int_equal(id[1], 2);
	rig_close(&a);
	rig_close(&b);
	rig_fini(&r);
}

/* acks=0 has no response and does not hold up the next one. */
static void test_acks_0_is_silent(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	uint8_t b[1000];
	int32_t id[4];
	uint32_t len = rig_batch(b, sizeof(b), 2, 10, RIG_WALL_MS);
	rig_init(&r, NULL);
	struct sl_topic *t = rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	rig_send_produce(&c, 1, 0, "t", 0, b, len);
	rig_send_produce(&c, 2, 1, "t", 0, b, len);
	rig_send_produce(&c, 3, 0, "t", 0, b, len);
	send_versions(&c, 4);
	assert_int_equal(take(&c, id, 4), 2);
	assert_int_equal(id[0], 2);
	assert_int_equal(id[1], 4);
	assert_int_equal(sl_part_end(sl_topic_part(t, 0)), 6);
	rig_close(&c);
	rig_fini(&r);
}

/* An acks=0 producer may send and leave: what came whole is appended. */
static void test_close_with_work_under_way(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	uint8_t b[1000];
	uint32_t len = rig_batch(b, sizeof(b), 2, 10, RIG_WALL_MS);
	rig_init(&r, NULL);
	struct sl_topic *t = rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	rig_send_fetch(&c, 1, "t", 1, 0, 60000, 1, 1000); /* parked: the others wait behind it */
	for (int i = 0; i < 3; i++)
		rig_send_produce(&c, 2 + i, (int16_t)(i - 1), "t", 0, b, len);
	send_versions(&c, 9);
	assert_int_equal(sl_part_end(sl_topic_part(t, 0)), 0);
	rig_close(&c);
	rig_settle(&r);
	assert_int_equal(sl_part_end(sl_topic_part(t, 0)), 6);
	assert_int_equal(r.server.conn_cnt, 0);
	rig_fini(&r);
}

static void test_pipeline_limit(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	struct sl_kw w;
	int32_t id[SL_KCONN_PIPELINE_MAX + 1];
	rig_init(&r, NULL);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	rig_send_fetch(&c, 0, "t", 0, 0, 500, 1, 1000);
	for (int i = 1; i < SL_KCONN_PIPELINE_MAX; i++)
		send_versions(&c, i);
	assert_false(sl_kconn_wants_input(c.c));
	rig_begin(&w, SL_KAPI_API_VERSIONS, 0, SL_KCONN_PIPELINE_MAX);
	sl_put_be32(w.buf, w.len - 4);
	/* the size field is taken, the frame is not */
	assert_int_equal(sl_kconn_input(c.c, w.buf, w.len), 4);
	r.now_ns += (uint64_t)(SL_KCONN_PARTIAL_MS - 1) * 1000000;
	rig_pass_ms(&r, 500);
	sl_kserver_tick(&r.server);
	assert_null(sl_kconn_broken(c.c)); /* we did not read: not the peer's fault */
	assert_int_equal(take(&c, id, SL_ARRAY_SIZE(id)), SL_KCONN_PIPELINE_MAX);
	assert_true(sl_kconn_wants_input(c.c));
	rig_feed(&c, w.buf + 4, w.len - 4);
	assert_int_equal(take(&c, id, SL_ARRAY_SIZE(id)), 1);
	assert_int_equal(id[0], SL_KCONN_PIPELINE_MAX);
	sl_kw_fini(&w);
	rig_close(&c);
	rig_fini(&r);
}

/* A peer that takes no answers: no more requests are started. */
static void test_unsent_stops_starting(void **state)
{
	(void)state;
	static uint8_t b[700 << 10];
	uint32_t len = rig_batch(b, sizeof(b), 1, 600 << 10, RIG_WALL_MS);
	struct rig r;
	struct rig_conn c;
	int32_t id[8];
	rig_init(&r, NULL);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	rig_send_produce(&c, 1, 1, "t", 0, b, len);
	for (int i = 0; i < 4; i++)
		rig_send_fetch(&c, 2 + i, "t", 0, 0, 0, 1, 1 << 20);
	struct iovec iov[64];
	int n = sl_kconn_output(c.c, iov, 64);
	size_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	assert_in_range(bytes, 1 << 20, 2 << 20); /* two of the four fetches */
	assert_int_equal(take(&c, id, 8), 5);
	rig_close(&c);
	rig_fini(&r);
}

/* Memory: two half-sent large frames cannot block each other, and a third one must wait. */
static void test_budget(void **state)
{
	(void)state;
	static uint8_t junk[3 << 20];
	struct rig r;
	struct rig_conn a, b, c;
	uint8_t size[4];
	size_t cap;
	rig_init(&r, &small);
	rig_open(&r, &a);
	rig_open(&r, &b);
	rig_open(&r, &c);
	send_versions(&a, 1);
	send_versions(&b, 1);
	send_versions(&c, 1);
	sl_put_be32(size, 6 << 20);
	junk[1] = 3; /* Metadata v0 with an absurd number of topics */
	junk[10] = 0x7f;
	rig_feed(&a, size, 4);
	rig_feed(&b, size, 4);
	assert_int_equal(sl_kconn_input(a.c, junk, 1 << 20), 1 << 20);
	assert_int_equal(sl_kconn_input(b.c, junk, 1 << 20), 1 << 20);
	/* a grows within the budget, b beyond it as the one that may, a has to wait then */
	size_t in_a = sl_kconn_input(a.c, junk, 3 << 20), in_b = sl_kconn_input(b.c, junk, 3 << 20);
	assert_true(sl_kserver_over_budget(&r.server));
	assert_true((in_a == 3 << 20) != (in_b == 3 << 20));
	struct rig_conn *winner = in_a == 3 << 20 ? &a : &b, *loser = winner == &a ? &b : &a;
	assert_int_equal(sl_kconn_input(winner->c, junk, 1 << 20), 1 << 20);
	assert_false(sl_kconn_wants_input(loser->c));
	assert_null(sl_kconn_direct(loser->c, &cap));
	assert_int_equal(sl_kconn_input(c.c, size, 4), 4);
	assert_int_equal(sl_kconn_input(c.c, junk, 1), 0);
	assert_true(atomic_load(&r.server.counters.memory) < (4u << 20) + (8u << 20));
	/* the winner's frame ends (and is nonsense): its memory is free, the others are told */
	unsigned told = loser->changed;
	assert_int_equal(sl_kconn_input(winner->c, junk, 1 << 20), 1 << 20);
	rig_settle(&r);
	assert_non_null(sl_kconn_broken(winner->c));
	rig_close(winner);
	rig_settle(&r);
	assert_true(loser->changed > told);
	assert_true(sl_kconn_wants_input(loser->c));
	rig_close(loser);
	rig_close(&c);
	rig_fini(&r);
}

static void test_direct_input(void **state)
{
	(void)state;
	static uint8_t b[900 << 10], frame[1 << 20];
	uint32_t len = rig_batch(b, sizeof(b), 1, 800 << 10, RIG_WALL_MS);
	struct rig r;
	struct rig_conn c;
	struct sl_kw w;
	size_t cap, at = 100;
	int32_t id[2];
	rig_init(&r, NULL);
	struct sl_topic *t = rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	assert_null(sl_kconn_direct(c.c, &cap));
	rig_begin(&w, 0, 7, 1);
	sl_kw_cstr(&w, NULL);
	sl_kw_i16(&w, 1);
	sl_kw_i32(&w, 1000);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 1);
	sl_kw_bytes_len(&w, len);
	sl_kw_raw(&w, b, len);
	sl_put_be32(w.buf, w.len - 4);
	memcpy(frame, w.buf, w.len);
	rig_feed(&c, frame, at);
	while (at < w.len) {
		uint8_t *p = sl_kconn_direct(c.c, &cap);
		assert_non_null(p);
		assert_in_range(cap, 1, w.len - at);
		memcpy(p, frame + at, cap);
		sl_kconn_direct_done(c.c, cap);
		at += cap;
	}
	rig_settle(&r);
	assert_int_equal(take(&c, id, 2), 1);
	assert_int_equal(sl_part_end(sl_topic_part(t, 1)), 1);
	sl_kw_fini(&w);
	rig_close(&c);
	rig_fini(&r);
}

static void test_timers(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn idle, slow, busy;
	rig_init(&r, &small);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &idle);
	rig_open(&r, &slow);
	rig_open(&r, &busy);
	rig_feed(&slow, "\0\0", 2);
	rig_send_fetch(&busy, 1, "t", 0, 0, 1000000, 1, 1000);
	rig_pass_ms(&r, SL_KCONN_PARTIAL_MS - 1);
	sl_kserver_tick(&r.server);
	assert_null(sl_kconn_broken(slow.c));
	rig_pass_ms(&r, 1);
	sl_kserver_tick(&r.server);
	assert_non_null(sl_kconn_broken(slow.c));
	assert_null(sl_kconn_broken(idle.c));
	rig_pass_ms(&r, 60000 - SL_KCONN_PARTIAL_MS);
	sl_kserver_tick(&r.server);
	assert_string_equal(sl_kconn_broken(idle.c), "idle");
	assert_null(sl_kconn_broken(busy.c)); /* it waits for us */
	assert_int_equal(atomic_load(&r.server.counters.request_errors), 1);
	rig_close(&idle);
	rig_close(&slow);
	rig_close(&busy);
	rig_fini(&r);
}

/* Memory is short because a peer takes nothing: it goes, after a while. */
static void test_stalled_peer_goes(void **state)
{
	(void)state;
	static uint8_t b[1000 << 10];
	uint32_t len = rig_batch(b, sizeof(b), 1, 900 << 10, RIG_WALL_MS);
	struct rig r;
	struct rig_conn c[5], p;
	int32_t id[2];
	rig_init(&r, &small);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &p);
	rig_send_produce(&p, 1, 1, "t", 0, b, len);
	assert_int_equal(take(&p, id, 2), 1);
	for (int i = 0; i < 5; i++) {
		rig_open(&r, &c[i]);
		rig_send_fetch(&c[i], 1, "t", 0, 0, 0, 1, 1 << 20);
	}
	assert_true(sl_kserver_over_budget(&r.server));
	sl_kserver_tick(&r.server);
	for (int i = 0; i < 5; i++)
		assert_null(sl_kconn_broken(c[i].c));
	rig_pass_ms(&r, SL_KCONN_STALL_MS);
	sl_kserver_tick(&r.server);
	int gone = 0;
	for (int i = 0; i < 5; i++)
		gone += sl_kconn_broken(c[i].c) != NULL;
	assert_int_equal(gone, 1);
	for (int i = 0; i < 5; i++)
		rig_close(&c[i]);
	rig_close(&p);
	rig_fini(&r);
}

/* A Fetch v12 of partition t-1 with one unknown tagged field of `fill` bytes at its end. */
static void send_fetch_12(struct rig_conn *c, int32_t correlation, uint32_t fill)
{
	struct sl_kw w;
	uint8_t *zero = calloc(1, fill + 1);
	rig_begin(&w, 1, 12, correlation);
	sl_kw_i32(&w, -1);
	sl_kw_i32(&w, INT32_MAX); /* max_wait */
	sl_kw_i32(&w, 1);
	sl_kw_i32(&w, 50 << 20);
	sl_kw_i8(&w, 0);
	sl_kw_i32(&w, 0);
	sl_kw_i32(&w, -1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 1);
	sl_kw_i32(&w, -1);
	sl_kw_i64(&w, 0);
	sl_kw_i32(&w, -1);
	sl_kw_i64(&w, -1);
	sl_kw_i32(&w, 50 << 20);
	sl_kw_tags(&w);
	sl_kw_tags(&w);
	sl_kw_array(&w, 0);
	sl_kw_cstr(&w, "");
	sl_kw_uvarint(&w, 1);
	sl_kw_uvarint(&w, 99);
	sl_kw_uvarint(&w, fill);
	sl_kw_raw(&w, zero, fill);
	free(zero);
	rig_send(c, &w);
}

/* What nobody reads has a maximum, in one structure and in all of a request. */
static void test_tagged_fields(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	rig_init(&r, NULL);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	send_fetch_12(&c, 1, SL_KR_TAG_BYTES_MAX);
	assert_null(sl_kconn_broken(c.c));
	assert_false(TAILQ_EMPTY(&r.server.parked));
	rig_close(&c);
	rig_open(&r, &c);
	send_fetch_12(&c, 1, SL_KR_TAG_BYTES_MAX + 1);
	assert_non_null(sl_kconn_broken(c.c));
	rig_close(&c);
	rig_fini(&r);
}

/* A fetch that waits keeps nothing of its frame, and its time has a maximum. */
static void test_parked_fetch_lets_its_frame_go(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c[3], n;
	struct sl_kw w;
	int32_t id[2];
	rig_init(&r, &small);
	rig_topic(&r, "t", NULL);
	for (int i = 0; i < 3; i++) { /* 3 MiB each behind the request's end, of a budget of 4 */
		rig_open(&r, &c[i]);
		rig_begin(&w, 1, 4, 7);
		sl_kw_i32(&w, -1);
		sl_kw_i32(&w, INT32_MAX);
		sl_kw_i32(&w, 1);
		sl_kw_i32(&w, 1000);
		sl_kw_i8(&w, 0);
		sl_kw_array(&w, 1);
		sl_kw_cstr(&w, "t");
		sl_kw_array(&w, 1);
		sl_kw_i32(&w, 0);
		sl_kw_i64(&w, 0);
		sl_kw_i32(&w, 1000);
		for (int k = 0; k < 3 << 17; k++)
			sl_kw_i64(&w, 0);
		rig_send(&c[i], &w);
		assert_null(sl_kconn_broken(c[i].c));
	}
	assert_true(atomic_load(&r.server.counters.memory) < 16 << 10);
	rig_open(&r, &n);
	send_versions(&n, 1);
	assert_int_equal(take(&n, id, 2), 1);
	rig_pass_ms(&r, 299999);
	assert_int_equal(take(&c[0], id, 2), 0);
	rig_pass_ms(&r, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(&c[i], id, 2), 1);
		assert_int_equal(id[0], 7);
		rig_close(&c[i]);
	}
	rig_close(&n);
	rig_fini(&r);
}

/* Memory is short: parked fetches are answered, and none of them keeps others waiting. */
static void test_short_memory_ends_parking(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn f, a, b;
	uint8_t size[4];
	static uint8_t junk[5 << 20];
	int32_t id[2];
	rig_init(&r, &small);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &f);
	rig_open(&r, &a);
	rig_open(&r, &b);
	rig_send_fetch(&f, 1, "t", 0, 0, 200000, 1, 1000);
	send_versions(&a, 1);
	sl_put_be32(size, 6 << 20);
	rig_feed(&a, size, 4);
	assert_int_equal(sl_kconn_input(a.c, junk, sizeof(junk)), sizeof(junk));
	assert_true(sl_kserver_over_budget(&r.server));
	/* the one beyond the budget is a: another fetch has to wait, a fetch of a's would not */
	assert_false(sl_kconn_may_hold(b.c, SL_KCONN_SMALL + 1));
	assert_true(sl_kconn_may_hold(b.c, SL_KCONN_SMALL));
	assert_true(sl_kconn_may_hold(a.c, SL_KCONN_SMALL + 1));
	assert_int_equal(take(&f, id, 2), 0);
	sl_kserver_tick(&r.server);
	rig_settle(&r);
	assert_int_equal(take(&f, id, 2), 1);
	rig_close(&a);
	assert_true(sl_kconn_may_hold(b.c, 1000));
	rig_close(&f);
	rig_close(&b);
	rig_fini(&r);
}

/* Memory is full of requests that nobody finishes: small ones go on, the greediest peer goes. */
static void test_flood_of_partial_requests(void **state)
{
	(void)state;
	static uint8_t junk[6 << 20], b[4096];
	struct rig r;
	struct rig_conn c[4], n;
	uint8_t size[4];
	int32_t id[2];
	int gone = 0;
	rig_init(&r, &small);
	rig_topic(&r, "t", NULL);
	sl_put_be32(size, 6 << 20);
	for (int i = 0; i < 4; i++) {
		rig_open(&r, &c[i]);
		send_versions(&c[i], 1);
		assert_int_equal(take(&c[i], id, 2), 1);
		rig_feed(&c[i], size, 4);
	}
	for (int i = 0; i < 4; i++)
		sl_kconn_input(c[i].c, junk, (6 << 20) - 1);
	assert_true(sl_kserver_over_budget(&r.server));
	rig_open(&r, &n);
	send_versions(&n, 1);
	assert_int_equal(take(&n, id, 2), 1);
	uint32_t len = rig_batch(b, sizeof(b), 1, 100, RIG_WALL_MS);
	rig_send_produce(&n, 2, 1, "t", 0, b, len);
	assert_int_equal(take(&n, id, 2), 1);
	rig_send_fetch(&n, 3, "t", 0, 0, 0, 1, 1000);
	assert_true(rig_take(&n, out, sizeof(out)) > len);
	/* a large one has to wait, until one of the others has kept memory for too long */
	rig_feed(&n, size, 4);
	assert_int_equal(sl_kconn_input(n.c, junk, 1000), 0);
	sl_kserver_tick(&r.server);
	for (int i = 0; i < 4; i++)
		assert_null(sl_kconn_broken(c[i].c));
	rig_pass_ms(&r, SL_KCONN_STALL_MS);
	sl_kserver_tick(&r.server);
	for (int i = 0; i < 4; i++)
		gone += sl_kconn_broken(c[i].c) != NULL;
	assert_int_equal(gone, 1);
	for (int i = 0; i < 4; i++)
		rig_close(&c[i]);
	rig_settle(&r);
	assert_int_equal(sl_kconn_input(n.c, junk, 1000), 1000);
	rig_close(&n);
	rig_fini(&r);
}

/* Metadata v1 of a name that stands there n times, and of one that is unknown. */
static uint32_t repeated(struct rig_conn *c, uint32_t n)
{
	struct sl_kw w;
	struct sl_kr r = {0};
	rig_begin(&w, 3, 4, 1);
	sl_kw_array(&w, n + 1);
	for (uint32_t i = 0; i < n; i++)
		sl_kw_cstr(&w, "t");
	sl_kw_cstr(&w, "unknown");
	sl_kw_bool(&w, false);
	rig_send(c, &w);
	size_t len = rig_take(c, out, sizeof(out));
	assert_true(len > 0);
	sl_rd_init(&r.rd, out + 4, len - 4);
	sl_rd_bytes(&r.rd, 8); /* correlation, throttle time */
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_i32(&r);
	sl_kr_str(&r);
	sl_kr_i32(&r);
	sl_kr_nstr(&r);
	sl_kr_nstr(&r); /* cluster */
	sl_kr_i32(&r);
	uint32_t topics = sl_kr_array(&r, 1);
	assert_int_equal(sl_kr_i16(&r), 0);
	struct sl_slice name = sl_kr_str(&r);
	assert_int_equal(name.len, 1);
	assert_false(r.rd.bad);
	return topics;
}

static void test_metadata_answers_a_name_once(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	rig_init(&r, NULL);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	assert_int_equal(repeated(&c, 1), 2);
	assert_int_equal(repeated(&c, 3), 2);
	assert_int_equal(repeated(&c, SL_KREQ_TOPICS_MAX - 1), 2); /* by a worker */
	rig_close(&c);
	rig_fini(&r);
}

/* Metadata v12 by id: known, unknown, known again. */
static void test_metadata_by_id(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	struct sl_kw w;
	rig_init(&r, NULL);
	const struct sl_topic *t[] = {rig_topic(&r, "b", NULL), rig_topic(&r, "a", NULL), NULL};
	rig_open(&r, &c);
	for (uint32_t n = 3; n <= 30; n += 27) { /* at once, and by a worker */
		rig_begin(&w, 3, 12, 1);
		sl_kw_array(&w, n);
		for (uint32_t i = 0; i < n; i++) {
			sl_kw_raw(&w,
				  t[i % 3] ? sl_topic_id(t[i % 3])
					   : (const uint8_t *)"0123456789abcdef",
				  16);
			sl_kw_cstr(&w, NULL);
			sl_kw_tags(&w);
		}
		sl_kw_bool(&w, true);
		sl_kw_bool(&w, false);
		sl_kw_tags(&w);
		rig_send(&c, &w);
		size_t len = rig_take(&c, out, sizeof(out));
		struct sl_kr k = {.flex = true};
		sl_rd_init(&k.rd, out + 4, len - 4);
		sl_kr_i32(&k);
		sl_kr_tags(&k);
		sl_kr_i32(&k);
		assert_int_equal(sl_kr_array(&k, 1), 1);
		sl_kr_i32(&k);
		sl_kr_str(&k);
		sl_kr_i32(&k);
		sl_kr_nstr(&k);
		sl_kr_tags(&k);
		sl_kr_nstr(&k);
		sl_kr_i32(&k);
		assert_int_equal(sl_kr_array(&k, 1), 3);
		assert_int_equal(sl_kr_i16(&k), 0);
		struct sl_slice name = sl_kr_nstr(&k);
		assert_int_equal(name.len, 1);
		assert_int_equal(name.p[0], 'b');
		assert_memory_equal(sl_kr_uuid(&k), sl_topic_id(t[0]), 16);
	}
	rig_close(&c);
	rig_fini(&r);
}

static void feed_lookups(struct rig_conn *c, uint32_t n)
{
	struct sl_kw w;
	rig_begin(&w, 2, 1, 5);
	sl_kw_i32(&w, -1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, n);
	for (uint32_t i = 0; i < n; i++) {
		sl_kw_i32(&w, (int32_t)(i % 2));
		sl_kw_i64(&w, RIG_WALL_MS);
	}
	sl_put_be32(w.buf, w.len - 4);
	assert_int_equal(sl_kconn_input(c->c, w.buf, w.len), w.len);
	sl_kw_fini(&w);
}

/* Many lookups take turns with what others ask, and end when the peer leaves or the server stops.
 */
static void test_lookups(void **state)
{
	(void)state;
	struct rig r;
	struct rig_conn c;
	int32_t id[2];
	rig_init(&r, NULL);
	rig_topic(&r, "t", NULL);
	rig_open(&r, &c);
	feed_lookups(&c, 200);
	for (int i = 0; i < 3; i++) {
		sl_pool_reap(r.server.pool);
		assert_int_equal(sl_pool_pending(r.server.pool), 1);
	}
	rig_settle(&r);
	assert_int_equal(take(&c, id, 2), 1);
	assert_int_equal(id[0], 5);
	feed_lookups(&c, 200);
	sl_pool_reap(r.server.pool);
	rig_close(&c);
	assert_int_equal(r.server.conn_cnt, 1);
	sl_pool_reap(r.server.pool);
	assert_int_equal(r.server.conn_cnt, 0);
	rig_open(&r, &c);
	feed_lookups(&c, 200);
	sl_kserver_cancel(&r.server);
	sl_pool_reap(r.server.pool);
	assert_int_equal(sl_pool_pending(r.server.pool), 0);
	rig_close(&c);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_first_frame_limit),
		cmocka_unit_test(test_one_broken_one_good),
		cmocka_unit_test(test_parked_fetch_is_not_overtaken),
		cmocka_unit_test(test_acks_0_is_silent),
		cmocka_unit_test(test_close_with_work_under_way),
		cmocka_unit_test(test_pipeline_limit),
		cmocka_unit_test(test_unsent_stops_starting),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_direct_input),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_stalled_peer_goes),
		cmocka_unit_test(test_tagged_fields),
		cmocka_unit_test(test_metadata_answers_a_name_once),
		cmocka_unit_test(test_metadata_by_id),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_parked_fetch_lets_its_frame_go),
		cmocka_unit_test(test_short_memory_ends_parking),
		cmocka_unit_test(test_flood_of_partial_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
