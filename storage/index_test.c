/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index.h"
#include "platform/base/sl_test.h"

#define LEN      1000u
#define INTERVAL 4096u

/* n batches of one record and LEN bytes, timestamps 10 apart. */
static struct sl_idx *filled(uint32_t n)
{
	struct sl_idx *x = sl_idx_new();

	assert_non_null(x);
	for (uint32_t i = 0; i < n; i++)
		sl_idx_note(x, INTERVAL, i, i * LEN, LEN, 1000 + i * 10, i);
	return x;
}

static void empty(void **state)
{
	struct sl_idx *x = sl_idx_new();
	(void)state;

	assert_int_equal(sl_idx_find(x, 0), 0);
	assert_int_equal(sl_idx_find(x, UINT32_MAX), 0);
	assert_int_equal(sl_idx_find_ts(x, INT64_MAX), 0);
	sl_idx_free(x);
	sl_idx_free(NULL);
}

/* Kafka's rule: an entry when more than the interval has gone by since the last; never the first.
 */
static void kafkas_rule(void **state)
{
	struct sl_idx *x = filled(11);
	(void)state;

	assert_int_equal(atomic_load(&x->on), 2);
	assert_int_equal(atomic_load(&x->o[0]), 5ull << 32 | 5 * LEN);
	assert_int_equal(atomic_load(&x->o[1]), 10ull << 32 | 10 * LEN);
	assert_int_equal(atomic_load(&x->t[0].ts), 1050);
	assert_int_equal(sl_idx_find(x, 4), 0);
	assert_int_equal(sl_idx_find(x, 5), 5 * LEN);
	assert_int_equal(sl_idx_find(x, 9), 5 * LEN);
	assert_int_equal(sl_idx_find(x, 10), 10 * LEN);
	assert_int_equal(sl_idx_find_ts(x, 1050), 0);
	assert_int_equal(sl_idx_find_ts(x, 1051), 5);
	sl_idx_free(x);
}

/* Beyond its capacity it thins itself: still sorted, still below what is asked for, bounded. */
static void thins_itself(void **state)
{
	const uint32_t n = SL_IDX_CAP * 5 * 3 + 7;
	struct sl_idx *x = filled(n);
	(void)state;

	assert_true(atomic_load(&x->on) <= SL_IDX_CAP);
	for (uint32_t rel = 0; rel < n; rel += 97) {
		uint32_t pos = sl_idx_find(x, rel);
		assert_int_equal(pos % LEN, 0);
		assert_true(pos <= rel * LEN);
		assert_true(rel * LEN - pos <= 5 * INTERVAL * 4);
	}
	sl_idx_free(x);
}

static void files(void **state)
{
	char dir[] = "./slt-index-XXXXXX";
	struct sl_idx *x = filled(500), *y = sl_idx_new();
	struct stat st;
	int64_t ts;
	uint32_t rel, size = 500 * LEN;
	(void)state;

	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(sl_idx_load(y, fd, "i", "t", size), -ENOENT);
	assert_false(sl_idx_file_sane(fd, "i", "t", size, 500));
	assert_int_equal(sl_idx_store(x, fd, "i", "t", 1000 + 499 * 10, 499, true), 0);
	assert_int_equal(fstatat(fd, "i", &st, 0), 0);
	assert_int_equal(st.st_size, atomic_load(&x->on) * SL_IDX_ENTRY);
	assert_int_equal(fstatat(fd, "t", &st, 0), 0);
	assert_int_equal(st.st_size,
			 (atomic_load(&x->tn) + 1) * SL_TIDX_ENTRY); /* and the final one */
	assert_int_equal(sl_idx_file_last_ts(fd, "t", &ts, &rel), 0);
	assert_int_equal(ts, 1000 + 499 * 10);
	assert_int_equal(rel, 499);
	assert_true(sl_idx_file_sane(fd, "i", "t", size, 500));
	assert_false(sl_idx_file_sane(fd, "i", "t", 5000, 500)); /* entries beyond the .log */
	assert_false(sl_idx_file_sane(fd, "i", "t", size, 499));
	assert_int_equal(sl_idx_load(y, fd, "i", "t", size), 0);
	for (uint32_t i = 0; i < 500; i++) {
		assert_int_equal(sl_idx_find(y, i), sl_idx_find(x, i));
		assert_int_equal(sl_idx_file_find(fd, "i", i, size), sl_idx_find(x, i));
		assert_int_equal(sl_idx_file_find_ts(fd, "t", 1000 + i * 10),
				 sl_idx_find_ts(x, 1000 + i * 10));
	}
	/* damage: odd size, falling entries */
	assert_int_equal(truncate(dir, 0), -1);
	int f = openat(fd, "i", O_RDWR);
	assert_int_equal(ftruncate(f, 13), 0);
	assert_int_equal(sl_idx_load(y, fd, "i", "t", size), -EILSEQ);
	assert_int_equal(sl_idx_file_find(fd, "i", 400, size), 0);
	assert_int_equal(ftruncate(f, 0), 0);
	assert_int_equal(pwrite(f, "\0\0\0\5\0\0\1\0\0\0\0\4\0\0\2\0", 16, 0), 16);
	assert_int_equal(sl_idx_load(y, fd, "i", "t", size), -EILSEQ);
	close(f);
	unlinkat(fd, "i", 0);
	unlinkat(fd, "t", 0);
	close(fd);
	rmdir(dir);
	sl_idx_free(x);
	sl_idx_free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(kafkas_rule),
		cmocka_unit_test(thins_itself),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
