/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bufs.h"

static struct sl_kr reader(const void *p, size_t n, bool flex)
{
	struct sl_kr r = {.flex = flex};
	sl_rd_init(&r.rd, p, n);
	return r;
}

static void test_strings(void **state)
{
	(void)state;
	struct sl_kr r = reader("\0\3abc\0\0\xff\xff\x80\0", 11, false);
	struct sl_slice s = sl_kr_str(&r);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.p, "abc", 3);
	s = sl_kr_nstr(&r);
	assert_non_null(s.p); /* empty, not null */
	assert_int_equal(s.len, 0);
	assert_null(sl_kr_nstr(&r).p);
	assert_null(sl_kr_nstr(&r).p); /* any negative length is null */
	assert_false(r.rd.bad);

	r = reader("\4abc\1\0", 6, true);
	assert_int_equal(sl_kr_str(&r).len, 3);
	assert_non_null(sl_kr_nstr(&r).p);
	assert_null(sl_kr_nstr(&r).p);
	assert_false(r.rd.bad);

	r = reader("\0", 1, true);
	sl_kr_str(&r); /* null where none is allowed */
	assert_true(r.rd.bad);
	r = reader("\0\4abc", 5, false);
	assert_null(sl_kr_nstr(&r).p); /* longer than what is there */
	assert_true(r.rd.bad);
	r = reader("\xff\xff\xff\xff\xff\1", 6, true); /* a varint of more than 32 bits */
	sl_kr_nstr(&r);
	assert_true(r.rd.bad);
}

static void test_bytes(void **state)
{
	(void)state;
	struct sl_kr r = reader("\0\0\0\2xy\xff\xff\xff\xff", 10, false);
	assert_int_equal(sl_kr_nbytes(&r).len, 2);
	assert_null(sl_kr_nbytes(&r).p);
	assert_false(r.rd.bad);
	r = reader("\x7f\xff\xff\xff", 4, false);
	sl_kr_nbytes(&r);
	assert_true(r.rd.bad);
}

static void test_arrays(void **state)
{
	(void)state;
	struct sl_kr r = reader("\0\0\0\2abcd", 8, false);
	assert_int_equal(sl_kr_array(&r, 2), 2);
	assert_false(r.rd.bad);
	r = reader("\0\0\0\3abcd", 8, false); /* three of at least two bytes cannot be there */
	assert_int_equal(sl_kr_array(&r, 2), 0);
	assert_true(r.rd.bad);
	r = reader("\xff\xff\xff\xff", 4, false);
	assert_int_equal(sl_kr_narray(&r, 2), -1);
	assert_false(r.rd.bad);
	r = reader("\xff\xff\xff\xff", 4, false);
	assert_int_equal(sl_kr_array(&r, 2), 0);
	assert_true(r.rd.bad);
	r = reader("\0", 1, true);
	assert_int_equal(sl_kr_narray(&r, 2), -1);
	assert_false(r.rd.bad);
	r = reader("\3ab", 3, true);
	assert_int_equal(sl_kr_array(&r, 1), 2);
	assert_false(r.rd.bad);
}

static void test_tags(void **state)
{
	(void)state;
	struct sl_kr r = reader("\2\0\1x\5\2yz!", 9, true);
	sl_kr_tags(&r);
	assert_false(r.rd.bad);
	assert_int_equal(sl_rd_left(&r.rd), 1);
	r = reader("!", 1, false); /* nothing there without flexible versions */
	sl_kr_tags(&r);
	assert_int_equal(sl_rd_left(&r.rd), 1);

	uint8_t many[1 + 2 * (SL_KR_TAGS_MAX + 1)] = {SL_KR_TAGS_MAX + 1};
	r = reader(many, sizeof(many), true);
	sl_kr_tags(&r);
	assert_true(r.rd.bad);
	many[0]--;
	r = reader(many, sizeof(many), true);
	sl_kr_tags(&r);
	assert_false(r.rd.bad);
	r = reader("\1\0\x7f", 3, true); /* a field longer than what is there */
	sl_kr_tags(&r);
	assert_true(r.rd.bad);
}

static void test_write_read(void **state)
{
	(void)state;
	for (int flex = 0; flex < 2; flex++) {
		struct sl_kw w = {.flex = flex};
		sl_kw_i8(&w, -1);
		sl_kw_i16(&w, -2);
		sl_kw_i32(&w, -3);
		sl_kw_i64(&w, -4);
		sl_kw_cstr(&w, "text");
		sl_kw_cstr(&w, NULL);
		sl_kw_array(&w, 3);
		sl_kw_raw(&w, "abc", 3);
		sl_kw_null_array(&w);
		sl_kw_bytes_len(&w, 200);
		for (int i = 0; i < 200; i++)
			sl_kw_i8(&w, (int8_t)i);
		sl_kw_tags(&w);
		assert_false(w.bad);

		struct sl_kr r = reader(w.buf, w.len, flex);
		assert_int_equal(sl_kr_i8(&r), -1);
		assert_int_equal(sl_kr_i16(&r), -2);
		assert_int_equal(sl_kr_i32(&r), -3);
		assert_int_equal(sl_kr_i64(&r), -4);
		assert_int_equal(sl_kr_str(&r).len, 4);
		assert_null(sl_kr_nstr(&r).p);
		assert_int_equal(sl_kr_array(&r, 1), 3);
		sl_rd_bytes(&r.rd, 3);
		assert_int_equal(sl_kr_narray(&r, 1), -1);
		assert_int_equal(sl_kr_nbytes(&r).len, 200);
		sl_kr_tags(&r);
		assert_false(r.rd.bad);
		assert_int_equal(sl_rd_left(&r.rd), 0);
		sl_kw_fini(&w);
	}
	sl_kw_fini(&(struct sl_kw){0});
}

static void test_write_limit(void **state)
{
	(void)state;
	struct sl_kw w = {0};
	uint8_t *mib = calloc(1, 1 << 20);
	for (unsigned i = 0; i < (SL_KW_MAX >> 20); i++)
		sl_kw_raw(&w, mib, 1 << 20);
	assert_false(w.bad);
	sl_kw_i8(&w, 1);
	assert_true(w.bad);
	sl_kw_i32(&w, 1); /* sticky, and harmless */
	assert_int_equal(w.len, SL_KW_MAX);
	sl_kw_fini(&w);
	free(mib);
}

static void test_bufs(void **state)
{
	(void)state;
	struct sl_kbufs b = {0};
	size_t cap, big;
	void *p = sl_kbufs_get(&b, 5000, &cap);
	assert_int_equal(cap, 8192);
	sl_kbufs_put(&b, p, cap);
	assert_int_equal(b.kept, 8192);
	assert_ptr_equal(sl_kbufs_get(&b, 8192, &cap), p); /* the same again */
	assert_int_equal(b.kept, 0);
	void *q = sl_kbufs_get(&b, 700000, &big);
	assert_int_equal(big, 700000);
	sl_kbufs_put(&b, q, big); /* too large to keep */
	sl_kbufs_put(&b, p, cap);
	sl_kbufs_put(&b, NULL, 0);
	assert_int_equal(b.kept, 8192);

	void *many[20];
	for (int i = 0; i < 20; i++)
		many[i] = sl_kbufs_get(&b, 512 << 10, &cap);
	for (int i = 0; i < 20; i++)
		sl_kbufs_put(&b, many[i], cap);
	assert_true(b.kept <= SL_KBUFS_KEPT_MAX);
	sl_kbufs_fini(&b);
	assert_int_equal(b.kept, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),    cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_arrays),     cmocka_unit_test(test_tags),
		cmocka_unit_test(test_write_read), cmocka_unit_test(test_write_limit),
		cmocka_unit_test(test_bufs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
