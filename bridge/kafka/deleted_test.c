/* SPDX-License-Identifier: Apache-2.0 */
/* deleted_test.c - topics that are deleted under requests: who waits is told, nothing dangles. The
 * store in memory asserts at the end that every reference came back. */
#include "rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"

struct fix {
	struct rig r;
	struct rig_conn c, p;
	uint8_t b[1024];
	uint32_t len;
	uint8_t out[8192];
};

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	memset(f, 0, sizeof(*f));
	rig_init(&f->r, NULL);
	rig_open(&f->r, &f->c);
	rig_open(&f->r, &f->p);
	rig_topic(&f->r, "t", NULL);
	f->len = rig_batch(f->b, sizeof(f->b), 2, 20, RIG_WALL_MS);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	if (f->c.c)
		rig_close(&f->c);
	rig_close(&f->p);
	fake_store_step(f->r.store);
	rig_fini(&f->r);
	free(f);
	return 0;
}

static void delete_topic(struct fix *f, const char *name)
{
	struct sl_topic *t = sl_store_topic_find(f->r.store, name, strlen(name));
	assert_non_null(t);
	assert_int_equal(sl_store_topic_delete(f->r.store, t), 0);
	assert_int_equal(sl_store_topic_delete(f->r.store, t), -ENOENT);
	sl_topic_put(t);
	rig_settle(&f->r);
}

static bool answered(struct fix *f, struct rig_conn *c, struct sl_kr *r)
{
	size_t n = rig_take(c, f->out, sizeof(f->out));
	*r = (struct sl_kr){0};
	if (n == 0)
		return false;
	sl_rd_init(&r->rd, f->out + 4, n - 4);
	sl_kr_i32(r); /* correlation */
	return true;
}

/* Of a Produce v7 to one partition. */
static int16_t produce_err(struct fix *f, struct rig_conn *c)
{
	struct sl_kr r;
	assert_true(answered(f, c, &r));
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_i32(&r);
	return sl_kr_i16(&r);
}

/* Of a Fetch v11 of one partition, and the bytes of its records. */
static int16_t fetch_err(struct fix *f, struct rig_conn *c, uint32_t *ret_len)
{
	struct sl_kr r;
	assert_true(answered(f, c, &r));
	sl_kr_i32(&r); /* throttle */
	assert_int_equal(sl_kr_i16(&r), 0);
	sl_kr_i32(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_i32(&r);
	int16_t err = sl_kr_i16(&r);
	for (int i = 0; i < 3; i++)
		sl_kr_i64(&r);
	sl_kr_narray(&r, 1);
	sl_kr_i32(&r);
	*ret_len = sl_kr_nbytes(&r).len;
	assert_false(r.rd.bad);
	return err;
}

static void test_parked_fetch_is_answered(void **state)
{
	struct fix *f = *state;
	struct sl_kr r;
	uint32_t len;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1, 1000);
	assert_false(answered(f, &f->c, &r));
	delete_topic(f, "t"); /* and no time passes */
	assert_int_equal(fetch_err(f, &f->c, &len), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(len, 0);
	rig_send_fetch(&f->c, 2, "t", 0, 0, 5000, 1, 1000);
	assert_int_equal(fetch_err(f, &f->c, &len), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* What was collected before goes out; the next fetch learns the rest. */
static void test_fetch_keeps_what_it_has(void **state)
{
	struct fix *f = *state;
	struct sl_kr r;
	uint32_t len;
	rig_send_produce(&f->p, 1, 1, "t", 0, f->b, f->len);
	assert_int_equal(produce_err(f, &f->p), 0);
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 100000, 100000);
	assert_false(answered(f, &f->c, &r));
	delete_topic(f, "t");
	assert_int_equal(fetch_err(f, &f->c, &len), 0);
	assert_int_equal(len, f->len);
}

/* A worker that reads from disk learns it from the store. */
static void test_cold_fetch(void **state)
{
	struct fix *f = *state;
	uint32_t len;
	struct sl_topic *t = sl_store_topic_find(f->r.store, "t", 1);
	struct sl_read rd = {.max_bytes = 1000, .buf = f->out, .cap = sizeof(f->out)};
	rig_send_produce(&f->p, 1, 1, "t", 0, f->b, f->len);
	assert_int_equal(produce_err(f, &f->p), 0);
	fake_store_cfg(f->r.store)->cold = true;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 100000, 100000);
	delete_topic(f, "t");
	assert_int_equal(fetch_err(f, &f->c, &len), 0);
	assert_int_equal(len, f->len);
	assert_int_equal(sl_store_read(sl_topic_part(t, 0), &rd), -ENOENT);
	sl_topic_put(t);
}

static void test_fetcher_leaves(void **state)
{
	struct fix *f = *state;
	rig_send_fetch(&f->c, 1, "t", 0, 0, 5000, 1, 1000);
	rig_close(&f->c);
	delete_topic(f, "t");
}

static void test_produce_that_waits_for_synced(void **state)
{
	struct fix *f = *state;
	struct sl_kr r;
	fake_store_cfg(f->r.store)->auto_sync = false;
	rig_send_produce(&f->c, 1, -1, "t", 0, f->b, f->len);
	assert_false(answered(f, &f->c, &r));
	delete_topic(f, "t");
	assert_int_equal(produce_err(f, &f->c), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void test_produce_on_its_way(void **state)
{
	struct fix *f = *state;
	struct sl_kr r;
	f->r.manual = true;
	rig_send_produce(&f->c, 1, 1, "t", 0, f->b, f->len); /* in the ring */
	assert_false(answered(f, &f->c, &r));
	delete_topic(f, "t");
	fake_store_step(f->r.store);
	rig_settle(&f->r);
	assert_int_equal(produce_err(f, &f->c), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* The producer leaves, the topic goes, and the append comes back last. */
static void test_producer_leaves(void **state)
{
	struct fix *f = *state;
	f->r.manual = true;
	rig_send_produce(&f->c, 1, 1, "t", 0, f->b, f->len);
	rig_close(&f->c);
	delete_topic(f, "t");
	fake_store_step(f->r.store);
	rig_settle(&f->r);
}

static void test_recreated_topic_works_at_once(void **state)
{
	struct fix *f = *state;
	uint8_t before[16];
	uint32_t len;
	struct sl_topic *t = sl_store_topic_find(f->r.store, "t", 1);
	memcpy(before, sl_topic_id(t), 16);
	sl_topic_put(t);
	rig_send_produce(&f->c, 1, 1, "t", 0, f->b, f->len);
	assert_int_equal(produce_err(f, &f->c), 0);
	delete_topic(f, "t");
	rig_send_produce(&f->c, 2, 1, "t", 0, f->b, f->len);
	assert_int_equal(produce_err(f, &f->c), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	t = rig_topic(&f->r, "t", NULL);
	assert_memory_not_equal(before, sl_topic_id(t), 16);
	rig_send_produce(&f->c, 3, -1, "t", 0, f->b, f->len);
	assert_int_equal(produce_err(f, &f->c), 0);
	rig_send_fetch(&f->c, 4, "t", 0, 0, 5000, 1, 100000);
	assert_int_equal(fetch_err(f, &f->c, &len), 0);
	assert_int_equal(len, f->len); /* the new one's only batch */
}

/* ListOffsets v1: a timestamp that a worker looks up, and the end. */
static void test_list_offsets(void **state)
{
	struct fix *f = *state;
	struct sl_kw w;
	struct sl_kr r;
	delete_topic(f, "t");
	rig_begin(&w, 2, 1, 1);
	sl_kw_i32(&w, -1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 2);
	for (int i = 0; i < 2; i++) {
		sl_kw_i32(&w, 0);
		sl_kw_i64(&w, i ? RIG_WALL_MS : -1);
	}
	rig_send(&f->c, &w);
	assert_true(answered(f, &f->c, &r));
	sl_kr_array(&r, 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_array(&r, 1), 2);
	for (int i = 0; i < 2; i++) {
		sl_kr_i32(&r);
		assert_int_equal(sl_kr_i16(&r), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
		sl_kr_i64(&r);
		assert_int_equal(sl_kr_i64(&r), -1);
	}
	assert_false(r.rd.bad);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_parked_fetch_is_answered),
		T(test_fetch_keeps_what_it_has),
		T(test_cold_fetch),
		T(test_fetcher_leaves),
		T(test_produce_that_waits_for_synced),
		T(test_produce_on_its_way),
		T(test_producer_leaves),
		T(test_recreated_topic_works_at_once),
		T(test_list_offsets),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
