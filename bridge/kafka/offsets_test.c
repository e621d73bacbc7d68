/* SPDX-License-Identifier: Apache-2.0 */
#include "offsets.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "group_record.h"

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static struct sl_offset value(const char *topic, int32_t partition, int64_t offset)
{
	return (struct sl_offset){.topic = str(topic),
				  .partition = partition,
				  .offset = offset,
				  .expire_ms = -1,
				  .metadata = str("note")};
}

static void test_table(void **state)
{
	struct sl_offsets o = {0};
	struct sl_offset_list a, b;
	struct sl_offset v;
	(void)state;
	assert_int_equal(sl_offsets_init(&o, 3, 7), 0);
	sl_offset_list_init(&a);
	sl_offset_list_init(&b);
	v = value("t", 0, 10);
	assert_int_equal(sl_offsets_set(&o, &a, &v), 0);
	v = value("t", 0, 20);
	assert_int_equal(sl_offsets_set(&o, &b, &v), 0);
	v = value("s", 1, 30);
	assert_int_equal(sl_offsets_set(&o, &a, &v), 0);
	v = value("s", 0, 40);
	assert_int_equal(sl_offsets_set(&o, &a, &v), -ENOSPC);
	v = value("t", 0, 11); /* there is no more room, but this is not new */
	assert_int_equal(sl_offsets_set(&o, &a, &v), 0);
	assert_int_equal(sl_offsets_find(&o, &a, str("t"), 0)->offset, 11);
	assert_int_equal(sl_offsets_find(&o, &b, str("t"), 0)->offset, 20);
	assert_null(sl_offsets_find(&o, &b, str("s"), 1));
	assert_null(sl_offsets_find(&o, &a, str("t"), 1));
	assert_null(sl_offsets_find(&o, &a, str(""), 0));
	const struct sl_offset **s = sl_offsets_sorted(&a);
	assert_int_equal(s[0]->offset, 30);
	assert_int_equal(s[1]->offset, 11);
	free(s);
	sl_offsets_del(&o, &a, sl_offsets_find(&o, &a, str("t"), 0));
	assert_null(sl_offsets_find(&o, &a, str("t"), 0));
	sl_offsets_del_all(&o, &a);
	sl_offsets_del_all(&o, &b);
	assert_int_equal(a.cnt + a.bytes + b.cnt + b.bytes + o.cnt, 0);
	assert_null(sl_offsets_sorted(&a));
	sl_offsets_fini(&o);
}

/* As java.lang.String.hashCode() says. */
static void test_java_hash(void **state)
{
	static const struct {
		const char *text;
		int32_t hash;
	} known[] = {
		{"", 0},
		{"a", 97},
		{"console-consumer-12345", 158455506},
		{"gr\xc3\xbc\xc3\x9f", 3186062},   /* gruess with umlaut and sharp s */
		{"\xf0\x9f\x98\x80", 1772899},     /* U+1F600: two units */
		{"polygenelubricants", INT32_MIN}, /* a word known for it */
	};
	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(known); i++)
		assert_int_equal(sl_java_hash(str(known[i].text)), known[i].hash);
	assert_int_equal(sl_group_partition(str("polygenelubricants"), 50), 0);
	/* what is not UTF-8 is hashed somehow, within its bytes */
	sl_java_hash(str("\xff\xc3"));
	sl_java_hash(str("\xf0\x9f\x98"));
	sl_java_hash(str("\xed\xa0\x80"));
}

static void test_records(void **state)
{
	struct sl_kw w = {0};
	struct sl_gkey k;
	struct sl_offset v = value("t", 3, 99), got = {0};
	(void)state;
	sl_gkey_write_offset(&w, str("g"), str("t"), 3);
	for (uint32_t n = 0; n < w.len; n++)
		assert_false(sl_gkey_read((struct sl_slice){w.buf, n}, &k) && n >= 2);
	assert_true(sl_gkey_read((struct sl_slice){w.buf, w.len}, &k));
	assert_int_equal(k.kind, SL_GREC_OFFSET);
	assert_int_equal(k.partition, 3);
	w.buf[1] = 9;
	assert_true(sl_gkey_read((struct sl_slice){w.buf, w.len}, &k));
	assert_int_equal(k.kind, SL_GREC_FOREIGN);
	assert_false(sl_gkey_read((struct sl_slice){NULL, 0}, &k));
	for (int expires = 0; expires < 2; expires++) {
		w.len = 0;
		v.expire_ms = expires ? 77 : -1;
		v.leader_epoch = 5;
		v.commit_ms = 55;
		sl_goffset_write(&w, &v);
		for (uint32_t n = 0; n < w.len; n++)
			assert_false(sl_goffset_read((struct sl_slice){w.buf, n}, &got));
		assert_true(sl_goffset_read((struct sl_slice){w.buf, w.len}, &got));
		assert_int_equal(got.offset, 99);
		assert_int_equal(got.commit_ms, 55);
		assert_int_equal(got.expire_ms, v.expire_ms);
		assert_int_equal(got.leader_epoch, expires ? -1 : 5);
		assert_int_equal(got.metadata.len, 4);
	}
	w.buf[1] = 4;
	assert_false(sl_goffset_read((struct sl_slice){w.buf, w.len}, &got));
	sl_kw_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_java_hash),
		cmocka_unit_test(test_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
