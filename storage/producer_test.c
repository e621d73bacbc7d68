/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "producer.h"

#define DAY 86400000ll

static struct sl_pappend batch(int64_t pid, int epoch, int32_t seq, uint32_t n, int64_t base)
{
	return (struct sl_pappend){.pid = pid,
				   .epoch = (int16_t)epoch,
				   .base_seq = seq,
				   .records = n,
				   .base_offset = base,
				   .ts_ms = 1000};
}

static int check(struct sl_producers *ps, struct sl_pappend a, bool empty, int64_t *base)
{
	return sl_producers_check(ps, &a, empty, 1000, DAY, base);
}

static void put(struct sl_producers *ps, struct sl_pappend a)
{
	sl_producers_put(ps, &a, 1000);
}

static void sequences(void **state)
{
	struct sl_producers *ps = sl_producers_new();
	int64_t base = -7;
	(void)state;

	/* unknown: only 0 in a partition that never held a record, else anything */
	assert_int_equal(check(ps, batch(1, 0, 5, 3, 0), true, &base), -EILSEQ);
	assert_int_equal(check(ps, batch(1, 0, 0, 3, 0), true, &base), 0);
	assert_int_equal(check(ps, batch(1, 0, 5, 3, 0), false, &base), 0);
	put(ps, batch(1, 0, 5, 3, 100));
	assert_int_equal(check(ps, batch(1, 0, 8, 1, 0), false, &base), 0);
	assert_int_equal(check(ps, batch(1, 0, 9, 1, 0), false, &base), -EILSEQ);
	assert_int_equal(check(ps, batch(1, 0, 7, 1, 0), false, &base), -EILSEQ);
	assert_int_equal(check(ps, batch(1, 0, 5, 2, 0), false, &base),
			 -EILSEQ); /* not the same batch */
	assert_int_equal(base, -7);
	assert_int_equal(check(ps, batch(1, 0, 5, 3, 0), false, &base), -EEXIST);
	assert_int_equal(base, 100);
	/* epochs */
	put(ps, batch(1, 2, 0, 4, 200));
	assert_int_equal(check(ps, batch(1, 1, 4, 1, 0), false, &base), -ESTALE);
	assert_int_equal(check(ps, batch(1, 3, 4, 1, 0), false, &base), -EILSEQ);
	assert_int_equal(check(ps, batch(1, 3, 0, 1, 0), false, &base), 0);
	assert_int_equal(check(ps, batch(1, 2, 4, 1, 0), false, &base), 0);
	sl_producers_free(ps);
	sl_producers_free(NULL);
}

static void five_are_kept(void **state)
{
	struct sl_producers *ps = sl_producers_new();
	int64_t base;
	(void)state;

	for (int i = 0; i < 7; i++)
		put(ps, batch(9, 0, i * 10, 10, 1000 + i));
	for (int i = 0; i < 7; i++) {
		int rc = check(ps, batch(9, 0, i * 10, 10, 0), false, &base);
		assert_int_equal(rc, i < 2 ? -EILSEQ : -EEXIST);
		if (rc == -EEXIST)
			assert_int_equal(base, 1000 + i);
	}
	sl_producers_free(ps);
}

static void sequences_wrap(void **state)
{
	struct sl_producers *ps = sl_producers_new();
	int64_t base;
	(void)state;

	put(ps, batch(9, 0, INT32_MAX - 1, 3, 50)); /* last sequence is 0 */
	assert_int_equal(check(ps, batch(9, 0, 1, 1, 0), false, &base), 0);
	assert_int_equal(check(ps, batch(9, 0, INT32_MAX - 1, 3, 0), false, &base), -EEXIST);
	sl_producers_free(ps);
}

static void bounded_and_expiring(void **state)
{
	struct sl_producers *ps = sl_producers_new();
	struct sl_rng r = sl_rng_from(sl_test_seed());
	struct sl_producer *all = calloc(SL_PRODUCERS_MAX, sizeof(*all));
	int64_t base;
	uint32_t cnt;
	(void)state;

	for (int64_t pid = 0; pid < SL_PRODUCERS_MAX; pid++)
		put(ps, batch(pid * 977, 0, 0, 1, pid));
	put(ps, batch(0, 0, 1, 1, 5000)); /* 0 is not the quietest any more */
	assert_int_equal(sl_producers_cnt(ps), SL_PRODUCERS_MAX);
	put(ps, batch(-5 + (1ll << 40), 0, 0, 1, 6000));
	assert_int_equal(sl_producers_cnt(ps), SL_PRODUCERS_MAX);
	assert_int_equal(check(ps, batch(0, 0, 1, 1, 0), false, &base), -EEXIST);
	assert_int_equal(check(ps, batch(977, 0, 0, 1, 0), false, &base), 0); /* forgotten */
	assert_int_equal(check(ps, batch(2 * 977, 0, 0, 1, 0), false, &base), -EEXIST);
	assert_false(sl_producers_copy(ps, all, SL_PRODUCERS_MAX - 1, &cnt));
	assert_true(sl_producers_copy(ps, all, SL_PRODUCERS_MAX, &cnt));
	assert_int_equal(cnt, SL_PRODUCERS_MAX);
	assert_int_equal(all[0].pid, 2 * 977);
	/* many comings and goings leave the table whole */
	for (int i = 0; i < 20000; i++)
		put(ps, batch((int64_t)sl_rng_below(&r, 3000), 0, 0, 1, i));
	assert_true(sl_producers_copy(ps, all, SL_PRODUCERS_MAX, &cnt));
	for (uint32_t i = 0; i < cnt; i++)
		assert_int_equal(check(ps, batch(all[i].pid, 0, 0, 1, 0), false, &base), -EEXIST);
	struct sl_pappend a = batch(1, 0, 77, 1, 0);
	assert_int_equal(sl_producers_check(ps, &a, false, 1000 + DAY, DAY, &base), 0);
	assert_int_equal(sl_producers_cnt(ps), 0);
	free(all);
	sl_producers_free(ps);
}

/* The log ends earlier: batches behind are forgotten, and who had no others. */
static void truncated(void **state)
{
	struct sl_producers *ps = sl_producers_new();
	int64_t base;
	(void)state;

	for (int i = 0; i < 3; i++) {
		put(ps, batch(21, 0, i * 2, 2, i * 10)); /* 0 1, 10 11, 20 21 */
		put(ps, batch(22 + i, 0, 0, 1, 5 + i * 10));
	}
	sl_producers_truncate(ps, 21);
	assert_int_equal(sl_producers_cnt(ps), 3); /* 24 is at 25 */
	assert_int_equal(check(ps, batch(21, 0, 4, 2, 0), false, &base), 0);
	assert_int_equal(check(ps, batch(21, 0, 2, 2, 0), false, &base), -EEXIST);
	assert_int_equal(base, 10);
	assert_int_equal(check(ps, batch(21, 0, 6, 2, 0), false, &base), -EILSEQ);
	assert_int_equal(check(ps, batch(23, 0, 0, 1, 0), false, &base), -EEXIST);
	assert_int_equal(check(ps, batch(24, 0, 0, 1, 0), false, &base), 0);
	sl_producers_truncate(ps, 0);
	assert_int_equal(sl_producers_cnt(ps), 0);
	put(ps, batch(21, 0, 0, 2, 0));
	assert_int_equal(check(ps, batch(21, 0, 0, 2, 0), false, &base), -EEXIST);
	sl_producers_free(ps);
}

static void files(void **state)
{
	char dir[] = "./slt-producer-XXXXXX";
	struct sl_producers *ps = sl_producers_new(), *own = sl_producers_new(),
			    *kafka = sl_producers_new();
	struct sl_producer all[8];
	uint32_t cnt;
	int64_t base, offset;
	(void)state;

	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 6; i++) {
		put(ps, batch(11, 3, i * 2, 2, i * 2));
		put(ps, batch(12, 0, i, 1, 100 + i));
	}
	assert_true(sl_producers_copy(ps, all, 8, &cnt));
	assert_int_equal(cnt, 2);
	assert_int_equal(sl_pstate_load(fd, "own", own, &offset), -ENOENT);
	assert_int_equal(sl_pstate_store(fd, "own", 106, all, cnt, true), 0);
	assert_int_equal(sl_snapshot_store(fd, "kafka", all, cnt, false), 0);
	assert_int_equal(sl_pstate_load(fd, "own", own, &offset), 0);
	assert_int_equal(offset, 106);
	assert_int_equal(sl_snapshot_load(fd, "kafka", kafka), 0);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(check(own, batch(11, 3, i * 2, 2, 0), false, &base),
				 i < 1 ? -EILSEQ : -EEXIST);
		/* Kafka's file has the last batch of each only */
		assert_int_equal(check(kafka, batch(11, 3, i * 2, 2, 0), false, &base),
				 i < 5 ? -EILSEQ : -EEXIST);
	}
	for (int flip = 0; flip < 2; flip++) {
		const char *name = flip ? "own" : "kafka";
		uint8_t b;
		int f = openat(fd, name, O_RDWR);
		assert_int_equal(pread(f, &b, 1, 40), 1);
		b ^= 1;
		assert_int_equal(pwrite(f, &b, 1, 40), 1);
		close(f);
	}
	assert_int_equal(sl_pstate_load(fd, "own", own, &offset), -EILSEQ);
	assert_int_equal(sl_snapshot_load(fd, "kafka", kafka), -EILSEQ);
	unlinkat(fd, "own", 0);
	unlinkat(fd, "kafka", 0);
	close(fd);
	rmdir(dir);
	sl_producers_free(ps);
	sl_producers_free(own);
	sl_producers_free(kafka);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences),      cmocka_unit_test(five_are_kept),
		cmocka_unit_test(sequences_wrap), cmocka_unit_test(bounded_and_expiring),
		cmocka_unit_test(truncated),      cmocka_unit_test(files),
	};

	return cmocka_run_group_tests_name("producer", tests, NULL, NULL);
}
