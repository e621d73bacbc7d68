/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/sl_test.h"

static char dir[64], path[128];

static void put(const char *text, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static char buf[SL_SECRET_MAX + 1], err[256];

static int get(size_t cap)
{
	memset(buf, 'x', sizeof(buf));
	return sl_secret_read(path, buf, cap, err, sizeof(err));
}

static void expect_bad(int rc, const char *says)
{
	assert_int_equal(get(sizeof(buf)), rc);
	assert_non_null(strstr(err, says));
	assert_non_null(strstr(err, path));
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
}

static void good(void **state)
{
	static const char *const same[] = {"s3cret", "s3cret\n", "s3cret\r\n"};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(same); i++) {
		put(same[i], strlen(same[i]), 0600);
		assert_int_equal(get(sizeof(buf)), 0);
		assert_string_equal(buf, "s3cret");
		assert_string_equal(err, "");
	}
	put(" \tp w\xc3\xa4 \n", 9, 0640); /* blanks belong to it; the group may read */
	assert_int_equal(get(sizeof(buf)), 0);
	assert_string_equal(buf, " \tp w\xc3\xa4 ");
	assert_string_equal(err, "");
}

static void lengths(void **state)
{
	char text[SL_SECRET_MAX + 4];

	(void)state;
	memset(text, 'a', sizeof(text));
	put(text, SL_SECRET_MAX, 0600);
	assert_int_equal(get(sizeof(buf)), 0);
	assert_int_equal(strlen(buf), SL_SECRET_MAX);
	text[SL_SECRET_MAX] = '\r';
	text[SL_SECRET_MAX + 1] = '\n';
	put(text, SL_SECRET_MAX + 2, 0600);
	assert_int_equal(get(sizeof(buf)), 0);
	text[SL_SECRET_MAX] = 'a';
	put(text, SL_SECRET_MAX + 2, 0600);
	expect_bad(-EFBIG, "longer than 4096 bytes");
	put(text, SL_SECRET_MAX + 1, 0600);
	expect_bad(-EFBIG, "longer than 4096 bytes");
	memset(text, 'a', sizeof(text));
	put(text, sizeof(text), 0600);
	expect_bad(-EFBIG, "longer than 4096 bytes");

	put("12345", 5, 0600);
	assert_int_equal(get(6), 0);
	assert_string_equal(buf, "12345");
	assert_int_equal(get(5), -ENOBUFS);
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[5], 'x'); /* nothing behind cap is touched */
	assert_int_equal(get(0), -ENOBUFS);
	assert_int_equal(buf[0], 'x');
}

static void refused(void **state)
{
	(void)state;
	put("", 0, 0600);
	expect_bad(-EINVAL, "is empty");
	put("\n", 1, 0600);
	expect_bad(-EINVAL, "is empty");
	put("a\nb", 3, 0600);
	expect_bad(-EINVAL, "more than one line");
	put("a\n\n", 3, 0600);
	expect_bad(-EINVAL, "more than one line");
	put("a\0b", 3, 0600);
	expect_bad(-EINVAL, "NUL byte");
	unlink(path);
	expect_bad(-ENOENT, "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_bad(-EINVAL, "not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_bad(-EINVAL, "not a regular file");
	rmdir(path);
}

static void open_to_all(void **state)
{
	(void)state;
	put("s", 1, 0644);
	assert_int_equal(get(sizeof(buf)), 0);
	assert_string_equal(buf, "s");
	assert_non_null(strstr(err, "can be read by every user of this box (mode 644)"));
	put("s", 1, 0602);
	assert_int_equal(get(sizeof(buf)), 0);
	assert_non_null(strstr(err, "can be written by every user"));
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/slt-secret-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/password", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(lengths),
		cmocka_unit_test(refused),
		cmocka_unit_test(open_to_all),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
