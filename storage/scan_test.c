/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include "test_util.h"

struct file {
	int fd;
	uint32_t at[64], cnt, size;
};

static struct file make(uint32_t n, uint32_t bytes)
{
	static uint8_t buf[TU_BATCH_CAP];
	char path[] = "./slt-scan-XXXXXX";
	struct file f = {.fd = mkstemp(path)};

	assert_true(f.fd >= 0);
	unlink(path);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = tu_batch(buf, 2, bytes, i, 1000 + i);
		sl_batch_set_base_offset(buf, 10 + 2 * (int64_t)i);
		assert_int_equal(pwrite(f.fd, buf, len, f.size), len);
		f.at[f.cnt++] = f.size;
		f.size += len;
	}
	return f;
}

static struct sl_scan scan(const struct file *f, uint32_t end)
{
	return (struct sl_scan){
		.fd = f->fd, .end_pos = end, .end_off = INT64_MAX, .strict = true, .next_off = 10};
}

static void flip(const struct file *f, uint32_t pos)
{
	uint8_t b;

	assert_int_equal(pread(f->fd, &b, 1, pos), 1);
	b ^= 0x10;
	assert_int_equal(pwrite(f->fd, &b, 1, pos), 1);
}

static void whole(void **state)
{
	struct file f = make(20, 3000);
	struct sl_scan s = scan(&f, f.size);
	(void)state;

	assert_int_equal(sl_scan_run(&s), SL_SCAN_LIMIT);
	assert_int_equal(s.pos, f.size);
	assert_int_equal(s.next_off, 50);
	sl_scan_fini(&s);
	s = scan(&f, f.size);
	s.end_off = 30;
	assert_int_equal(sl_scan_run(&s), SL_SCAN_LIMIT);
	assert_int_equal(s.next_off, 30);
	assert_int_equal(s.pos, f.at[10]);
	sl_scan_fini(&s);
	sl_scan_fini(&s);
	close(f.fd);
}

static void ends(void **state)
{
	struct file f = make(20, 3000);
	struct sl_scan s = scan(&f, f.size + 10000);
	(void)state;

	assert_int_equal(sl_scan_run(&s), SL_SCAN_END); /* the end of the file */
	assert_int_equal(ftruncate(f.fd, f.size + 9000), 0);
	sl_scan_fini(&s);
	s = scan(&f, f.size + 10000);
	assert_int_equal(sl_scan_run(&s), SL_SCAN_END); /* zeros */
	assert_int_equal(s.next_off, 50);
	assert_int_equal(sl_scan_residue(&s, f.size + 9000), 0);
	assert_int_equal(pwrite(f.fd, "x", 1, f.size + 99), 1);
	s.at = s.len = 0;
	assert_int_equal(sl_scan_residue(&s, f.size + 9000), 100);
	sl_scan_fini(&s);
	/* a whole batch that is not the next one */
	s = scan(&f, f.size);
	s.next_off = 9;
	assert_int_equal(sl_scan_run(&s), SL_SCAN_STALE);
	s.strict = false; /* an imported log may have gaps */
	assert_int_equal(sl_scan_run(&s), SL_SCAN_LIMIT);
	sl_scan_fini(&s);
	s = scan(&f, f.size);
	s.next_off = 11;
	s.strict = false;
	assert_int_equal(sl_scan_run(&s), SL_SCAN_STALE);
	sl_scan_fini(&s);
	close(f.fd);
}

/* Every byte of a batch, damaged in turn, stops the scan there, and the next batch is found. */
static void damage(void **state)
{
	struct file f = make(5, 200);
	uint32_t len = f.at[3] - f.at[2];
	(void)state;

	for (uint32_t i = 0; i < len; i++) {
		if (i >= SL_BATCH_LEADER_EPOCH_OFF && i < SL_BATCH_MAGIC_OFF)
			continue; /* outside of the checksum, and any value is right */
		flip(&f, f.at[2] + i);
		struct sl_scan s = scan(&f, f.size);
		enum sl_scan_stop stop = sl_scan_run(&s);
		assert_true(stop == SL_SCAN_BAD || (i < 8 && stop == SL_SCAN_STALE));
		assert_int_equal(s.pos, f.at[2]);
		assert_int_equal(s.next_off, 14);
		assert_true(sl_scan_resync(&s, INT64_MAX));
		if (stop == SL_SCAN_BAD) {
			assert_int_equal(s.pos, f.at[3]);
			assert_int_equal(s.next_off, 16);
		}
		sl_scan_fini(&s);
		flip(&f, f.at[2] + i);
	}
	struct sl_scan s = scan(&f, f.size);
	s.pos = f.at[4];
	s.next_off = 18;
	flip(&f, f.at[4] + 100);
	assert_false(sl_scan_resync(&s, INT64_MAX));
	sl_scan_fini(&s);
	close(f.fd);
}

static void move(const struct file *f, uint32_t i, int64_t base)
{
	uint8_t b[8];

	sl_put_be64(b, (uint64_t)base);
	assert_int_equal(pwrite(f->fd, b, 8, f->at[i]), 8);
}

/* A gap is one if what follows goes on behind it; else the offset itself is damaged. */
static void gaps(void **state)
{
	struct file f = make(5, 200); /* 10, 12, .. 18 */
	(void)state;

	move(&f, 3, 30);
	move(&f, 4, 40);
	for (int strict = 0; strict < 2; strict++) {
		struct sl_scan s = scan(&f, f.size);
		s.strict = strict;
		assert_int_equal(sl_scan_run(&s), strict ? SL_SCAN_STALE : SL_SCAN_LIMIT);
		if (strict) { /* what is missing lies before this batch, which is good */
			assert_int_equal(s.pos, f.at[3]);
			assert_true(sl_scan_resync(&s, INT64_MAX));
			assert_int_equal(s.pos, f.at[3]);
		}
		assert_int_equal(s.next_off, strict ? 30 : 42);
		sl_scan_fini(&s);
	}
	move(&f, 4, 18);
	struct sl_scan s = scan(&f, f.size);
	s.strict = false;
	assert_int_equal(sl_scan_run(&s), SL_SCAN_STALE);
	assert_int_equal(s.next_off, 16);
	assert_true(sl_scan_resync(&s, INT64_MAX));
	assert_int_equal(s.pos, f.at[4]);
	assert_int_equal(s.next_off, 18);
	sl_scan_fini(&s);
	/* the last one: only the limit tells */
	move(&f, 3, 16);
	move(&f, 4, 99);
	s = scan(&f, f.size);
	s.strict = false;
	s.end_off = 20;
	assert_int_equal(sl_scan_run(&s), SL_SCAN_STALE);
	assert_int_equal(s.next_off, 18);
	sl_scan_fini(&s);
	close(f.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whole), cmocka_unit_test(ends),
					   cmocka_unit_test(damage), cmocka_unit_test(gaps)};

	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
