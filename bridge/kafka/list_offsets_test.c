/* SPDX-License-Identifier: Apache-2.0 */
/* list_offsets_test.c - ListOffsets: the leader epoch that comes with an offset. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fix {
	struct rig r;
	struct rig_conn c;
	struct sl_part *p;
	uint8_t out[1024];
};

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	memset(f, 0, sizeof(*f));
	rig_init(&f->r, NULL);
	rig_open(&f->r, &f->c);
	f->p = sl_topic_part(rig_topic(&f->r, "t", NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	rig_close(&f->c);
	rig_fini(&f->r);
	free(f);
	return 0;
}

static void produce(struct fix *f, int64_t ts)
{
	uint8_t b[512];
	uint32_t len = rig_batch(b, sizeof(b), 3, 10, ts);
	rig_send_produce(&f->c, 1, 1, "t", 0, b, len);
	assert_true(rig_take(&f->c, f->out, sizeof(f->out)) > 0);
}

/* v4, one partition; its epoch. */
static int32_t look(struct fix *f, int64_t ts, int64_t *ret_offset)
{
	struct sl_kw w;
	struct sl_kr r = {0};
	rig_begin(&w, 2, 4, 1);
	sl_kw_i32(&w, -1);
	sl_kw_i8(&w, 0);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_i32(&w, -1); /* current leader epoch */
	sl_kw_i64(&w, ts);
	rig_send(&f->c, &w);
	size_t n = rig_take(&f->c, f->out, sizeof(f->out));
	sl_rd_init(&r.rd, f->out + 4, n - 4);
	sl_kr_i32(&r); /* correlation */
	sl_kr_i32(&r); /* throttle */
	sl_kr_array(&r, 1);
	sl_kr_str(&r);
	sl_kr_array(&r, 1);
	sl_kr_i32(&r);
	assert_int_equal(sl_kr_i16(&r), 0);
	sl_kr_i64(&r);
	*ret_offset = sl_kr_i64(&r);
	int32_t epoch = sl_kr_i32(&r);
	assert_false(r.rd.bad);
	return epoch;
}

/* Offsets 0 to 2 of epoch 0, 3 to 5 of 2, none of 4, then 7. */
static void test_epochs(void **state)
{
	struct fix *f = *state;
	int64_t offset;
	produce(f, RIG_WALL_MS);
	assert_int_equal(look(f, -1, &offset), 0);
	fake_store_set_epoch(f->p, 2);
	produce(f, RIG_WALL_MS + 1000);
	fake_store_set_epoch(f->p, 4);
	fake_store_set_epoch(f->p, 7);
	produce(f, RIG_WALL_MS + 2000);

	assert_int_equal(look(f, -1, &offset), 7);
	assert_int_equal(offset, 9);
	assert_int_equal(look(f, -2, &offset), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(look(f, RIG_WALL_MS + 2, &offset), 0);
	assert_int_equal(offset, 2);
	assert_int_equal(look(f, RIG_WALL_MS + 3, &offset), 2);
	assert_int_equal(offset, 3);
	assert_int_equal(look(f, RIG_WALL_MS + 1003, &offset), 7);
	assert_int_equal(offset, 6);
	assert_int_equal(look(f, RIG_WALL_MS + 3000, &offset), -1); /* nothing so late */
	assert_int_equal(offset, -1);
	fake_store_set_start(f->p, 4);
	assert_int_equal(look(f, -2, &offset), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_epochs, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
