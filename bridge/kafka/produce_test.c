/* SPDX-License-Identifier: Apache-2.0 */
/* produce_test.c - Produce from request to answer: acks, order, duplicates, errors of the store. */
#include "rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"
#include "platform/record/crc32c.h"

struct fix {
	struct rig r;
	struct rig_conn c;
	struct sl_topic *t;
	uint8_t b[4096];
	uint32_t len;
	uint8_t out[4096];
};

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	memset(f, 0, sizeof(*f));
	rig_init(&f->r, NULL);
	rig_open(&f->r, &f->c);
	f->t = rig_topic(&f->r, "t", NULL);
	f->len = rig_batch(f->b, sizeof(f->b), 2, 20, RIG_WALL_MS);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	if (f->c.c)
		rig_close(&f->c);
	fake_store_step(f->r.store);
	fake_store_sync(f->r.store);
	rig_fini(&f->r);
	free(f);
	return 0;
}

struct answer {
	int32_t correlation;
	int16_t err;
	int64_t base_offset;
};

/* One answer of one partition, v7; false: there is none. */
static bool take(struct fix *f, struct answer *ret)
{
	size_t n = rig_take(&f->c, f->out, sizeof(f->out));
	if (n == 0)
		return false;
	struct sl_kr r = {0};
	sl_rd_init(&r.rd, f->out + 4, n - 4);
	ret->correlation = sl_kr_i32(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_i32(&r);
	ret->err = sl_kr_i16(&r);
	ret->base_offset = sl_kr_i64(&r);
	assert_false(r.rd.bad);
	return true;
}

static struct answer must_take(struct fix *f)
{
	struct answer a;
	assert_true(take(f, &a));
	return a;
}

static void test_acks_all_waits_for_synced(void **state)
{
	struct fix *f = *state;
	struct answer a;
	fake_store_cfg(f->r.store)->auto_sync = false;
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 2); /* logged, */
	assert_false(take(f, &a));                                /* but not answered */
	fake_store_sync(f->r.store);
	rig_settle(&f->r);
	a = must_take(f);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.base_offset, 0);
}

/* Appends that nobody waits for ring nobody, unless they are many; what comes next collects them.
 */
static void test_acks_0_is_reaped_later(void **state)
{
	struct fix *f = *state;
	struct sl_kserver *s = &f->r.server;
	f->r.manual = true;
	assert_true(sl_kserver_due(s) == UINT64_MAX);
	rig_send_produce(&f->c, 1, 0, "t", 0, f->b, f->len);
	assert_false(sl_kserver_prepare(s));
	assert_int_equal(atomic_load(&s->waker.armed), 0);
	assert_true(sl_kserver_due(s) == f->r.now_ns + SL_KSERVER_LAZY_NS);
	fake_store_step(f->r.store);
	assert_true(sl_kserver_prepare(s)); /* look again: it may have let something start */
	assert_false(sl_kserver_prepare(s));
	assert_int_equal(s->appends_out, 0);
	assert_true(sl_kserver_due(s) == UINT64_MAX);
	for (int i = 0; i < SL_KSERVER_LAZY_MAX; i++) {
		assert_false(sl_kserver_prepare(s));
		assert_int_equal(atomic_load(&s->waker.armed), 0);
		rig_send_produce(&f->c, 2, 0, "t", 0, f->b, f->len);
	}
	assert_false(sl_kserver_prepare(s));
	assert_int_equal(atomic_load(&s->waker.armed), 1);
	fake_store_step(f->r.store);
	sl_kserver_prepare(s);
	assert_int_equal(s->appends_out, 0);
	rig_send_produce(&f->c, 3, 1, "t", 0, f->b, f->len); /* one that is waited for */
	assert_int_equal(s->appends_awaited, 1);
	atomic_store(&s->waker.armed, 0);
	assert_false(sl_kserver_prepare(s));
	assert_int_equal(atomic_load(&s->waker.armed), 1);
	assert_true(sl_kserver_due(s) == UINT64_MAX);
	fake_store_step(f->r.store);
	rig_settle(&f->r);
	assert_int_equal(must_take(f).err, 0);
	assert_int_equal(s->appends_awaited, 0);
}

static void test_acks_1_answers_when_logged(void **state)
{
	struct fix *f = *state;
	struct answer a;
	fake_store_cfg(f->r.store)->auto_sync = false;
	f->r.manual = true;
	rig_send_produce(&f->c, 1, 1, "t", 0, f->b, f->len);
	assert_false(take(f, &a));
	fake_store_step(f->r.store);
	rig_settle(&f->r);
	assert_int_equal(must_take(f).err, 0);
}

static void test_timeout(void **state)
{
	struct fix *f = *state;
	struct answer a;
	fake_store_cfg(f->r.store)->auto_sync = false;
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	rig_pass_ms(&f->r, 999);
	assert_false(take(f, &a));
	rig_pass_ms(&f->r, 1);
	assert_int_equal(must_take(f).err, SL_KERR_REQUEST_TIMED_OUT);
}

static void test_partition_fails_while_waiting(void **state)
{
	struct fix *f = *state;
	fake_store_cfg(f->r.store)->auto_sync = false;
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	fake_store_set_state(f->r.store, sl_topic_part(f->t, 0), SL_PART_FAILED);
	rig_settle(&f->r);
	assert_int_equal(must_take(f).err, SL_KERR_KAFKA_STORAGE_ERROR);
}

static void test_errors_of_the_store(void **state)
{
	struct fix *f = *state;
	static const struct {
		int err;
		int16_t code;
	} rows[] = {
		{-ENOSPC, SL_KERR_KAFKA_STORAGE_ERROR},
		{-EIO, SL_KERR_KAFKA_STORAGE_ERROR},
		{-EMSGSIZE, SL_KERR_MESSAGE_TOO_LARGE},
		{-ENOENT, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION},
		{-EILSEQ, SL_KERR_OUT_OF_ORDER_SEQUENCE_NUMBER},
		{-ENOKEY, SL_KERR_OUT_OF_ORDER_SEQUENCE_NUMBER},
		{-ESTALE, SL_KERR_INVALID_PRODUCER_EPOCH},
		{-ESHUTDOWN, SL_KERR_KAFKA_STORAGE_ERROR},
		{-EFAULT, SL_KERR_UNKNOWN_SERVER_ERROR},
	};
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		fake_store_cfg(f->r.store)->append_err = rows[i].err;
		rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
		struct answer a = must_take(f);
		assert_int_equal(a.err, rows[i].code);
		assert_int_equal(a.base_offset, -1);
	}
	assert_int_equal(atomic_load(&f->r.server.counters.produce_errors), SL_ARRAY_SIZE(rows));
}

static void test_unknown(void **state)
{
	struct fix *f = *state;
	rig_send_produce(&f->c, 1, 1, "nobody", 0, f->b, f->len);
	assert_int_equal(must_take(f).err, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	rig_send_produce(&f->c, 1, 1, "t", 2, f->b, f->len);
	assert_int_equal(must_take(f).err, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	rig_send_produce(&f->c, 1, 1, "t", -1, f->b, f->len);
	assert_int_equal(must_take(f).err, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	rig_send_produce(&f->c, 1, 5, "t", 0, f->b, f->len);
	assert_int_equal(must_take(f).err, SL_KERR_INVALID_REQUIRED_ACKS);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 0);
}

static void test_acks_0_error_closes(void **state)
{
	struct fix *f = *state;
	struct answer a;
	fake_store_cfg(f->r.store)->append_err = -ENOSPC;
	rig_send_produce(&f->c, 1, 0, "t", 0, f->b, f->len);
	assert_false(take(f, &a));
	assert_non_null(sl_kconn_broken(f->c.c));
}

static void set_producer(struct fix *f, int64_t pid, int16_t epoch, int32_t seq)
{
	sl_put_be64(f->b + SL_BATCH_PID_OFF, (uint64_t)pid);
	sl_put_be16(f->b + SL_BATCH_PEPOCH_OFF, (uint16_t)epoch);
	sl_put_be32(f->b + SL_BATCH_BASE_SEQ_OFF, (uint32_t)seq);
	sl_put_be32(f->b + SL_BATCH_CRC_OFF,
		    sl_crc32c(f->b + SL_BATCH_CRC_FROM, f->len - SL_BATCH_CRC_FROM));
}

static void test_duplicate_gets_the_first_offset(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 3; i++) {
		set_producer(f, 7, 0, i * 2);
		rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
		assert_int_equal(must_take(f).base_offset, i * 2);
	}
	set_producer(f, 7, 0, 2);
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	struct answer a = must_take(f);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.base_offset, 2);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 6);
	set_producer(f, 7, 0, 50);
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	assert_int_equal(must_take(f).err, SL_KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

/*
 * A compressed (slow) batch before an uncompressed (checked at once) one, and a ring that takes
 * one append at a time: the order of the requests is the order of the log all the same.
 */
static void test_order(void **state)
{
	struct fix *f = *state;
	static uint8_t big[200 << 10];
	uint32_t big_len = rig_batch(big, sizeof(big), 1, 150 << 10, RIG_WALL_MS);
	struct answer a;
	fake_store_cfg(f->r.store)->ring_depth = 1;
	f->r.manual = true;
	struct sl_kw w;
	for (int i = 0; i < 6; i++) { /* all in the machine before anything moves */
		const uint8_t *p = i % 2 ? f->b : big;
		uint32_t n = i % 2 ? f->len : big_len;
		rig_begin(&w, 0, 7, i);
		sl_kw_cstr(&w, NULL);
		sl_kw_i16(&w, 1);
		sl_kw_i32(&w, 1000);
		sl_kw_array(&w, 1);
		sl_kw_cstr(&w, "t");
		sl_kw_array(&w, 1);
		sl_kw_i32(&w, 0);
		sl_kw_bytes_len(&w, n);
		sl_kw_raw(&w, p, n);
		sl_put_be32(w.buf, w.len - 4);
		assert_int_equal(sl_kconn_input(f->c.c, w.buf, w.len), w.len);
		sl_kw_fini(&w);
	}
	int64_t next = 0;
	for (int i = 0; i < 6; i++) {
		rig_settle(&f->r);
		assert_false(take(f, &a));
		fake_store_step(f->r.store); /* one append */
		rig_settle(&f->r);
		a = must_take(f);
		assert_int_equal(a.correlation, i);
		assert_int_equal(a.base_offset, next);
		next += i % 2 ? 2 : 1;
	}
}

static void test_close_while_ring_is_full(void **state)
{
	struct fix *f = *state;
	fake_store_cfg(f->r.store)->ring_depth = 1;
	f->r.manual = true;
	for (int i = 0; i < 3; i++)
		rig_send_produce(&f->c, i, -1, "t", 0, f->b, f->len);
	rig_close(&f->c);
	for (int i = 0; i < 3; i++) {
		rig_settle(&f->r);
		assert_int_equal(f->r.server.conn_cnt, 1);
		fake_store_step(f->r.store);
	}
	rig_settle(&f->r);
	assert_int_equal(f->r.server.conn_cnt, 0);
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 6);
}

static void test_give_up_waiting(void **state)
{
	struct fix *f = *state;
	fake_store_cfg(f->r.store)->auto_sync = false;
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	sl_kproduce_give_up(&f->r.server);
	assert_int_equal(must_take(f).err, SL_KERR_REQUEST_TIMED_OUT);
}

/* Puts a Produce into the machine without a turn of the server. */
static void feed(struct rig_conn *c, int32_t correlation, const uint8_t *b, uint32_t len)
{
	struct sl_kw w;
	rig_begin(&w, 0, 7, correlation);
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
	assert_int_equal(sl_kconn_input(c->c, w.buf, w.len), w.len);
	sl_kw_fini(&w);
}

/*
 * The answer to a refused request starts one that had found the workers busy, while the ring is
 * full: the connection waits for the ring once, and is gone from there when it is closed.
 */
static void test_answer_starts_another_request(void **state)
{
	struct fix *f = *state;
	struct rig_conn first, others[5];
	struct sl_korder *o;
	unsigned n = 0;
	uint8_t bad[256];

	assert_true(f->len <= sizeof(bad));
	memcpy(bad, f->b, f->len);
	bad[SL_BATCH_ATTRS_OFF + 1] = SL_CODEC_LZ4; /* for a worker, who finds the CRC wrong */
	fake_store_cfg(f->r.store)->ring_depth = 1;
	f->r.manual = true;
	rig_open(&f->r, &first);
	feed(&first, 1, f->b, f->len); /* fills the ring */
	feed(&f->c, 1, bad, f->len);
	feed(&f->c, 2, f->b, f->len);
	for (int i = 0; i < 5; i++)
		rig_open(&f->r, &others[i]);
	for (int i = 0; i < SL_KSERVER_JOBS_MAX - 1; i++)
		feed(&others[i / 60], i, bad, f->len);
	feed(&f->c, 3, bad, f->len); /* the pool is full */
	assert_false(TAILQ_EMPTY(&f->r.server.stalled));
	sl_kserver_turn(&f->r.server);
	TAILQ_FOREACH(o, &f->r.server.wait_inject, link)
	{
		assert_ptr_equal(o, sl_kconn_order(f->c.c));
		assert_int_equal(++n, 1);
	}
	assert_int_equal(n, 1);
	rig_close(&f->c);
	for (int i = 0; i < 4; i++) {
		fake_store_step(f->r.store);
		rig_settle(&f->r);
	}
	assert_true(TAILQ_EMPTY(&f->r.server.wait_inject));
	assert_int_equal(sl_part_end(sl_topic_part(f->t, 0)), 4);
	rig_close(&first);
	for (int i = 0; i < 5; i++)
		rig_close(&others[i]);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_unknown),
		T(test_errors_of_the_store),
		T(test_acks_0_error_closes),
		T(test_acks_all_waits_for_synced),
		T(test_acks_1_answers_when_logged),
		T(test_acks_0_is_reaped_later),
		T(test_timeout),
		T(test_partition_fails_while_waiting),
		T(test_duplicate_gets_the_first_offset),
		T(test_order),
		T(test_close_while_ring_is_full),
		T(test_give_up_waiting),
		T(test_answer_starts_another_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
