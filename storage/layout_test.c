/* SPDX-License-Identifier: Apache-2.0 */
/* layout_test.c - names, identity, locks, and Kafka's checkpoint files. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint.h"
#include "platform/base/sl_test.h"

static int rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void uuids(void **state)
{
	uint8_t id[16], back[16];
	char text[SL_UUID_TEXT];
	(void)state;

	for (int i = 0; i < 200; i++) {
		sl_uuid_make(id);
		sl_uuid_text(id, text);
		assert_int_equal(strlen(text), 22);
		assert_true(text[0] != '-');
		assert_true(sl_uuid_parse(text, back));
		assert_memory_equal(id, back, 16);
	}
	assert_false(sl_uuid_parse("", back));
	assert_false(sl_uuid_parse("AAAAAAAAAAAAAAAAAAAAA", back));
	assert_false(sl_uuid_parse("AAAAAAAAAAAAAAAAAAAAA!", back));
	assert_false(sl_uuid_parse("AAAAAAAAAAAAAAAAAAAAAAA", back));
}

static void names(void **state)
{
	char topic[SL_TOPIC_NAME_MAX + 1], name[SL_FILE_NAME_MAX];
	int32_t id;
	(void)state;

	assert_true(sl_partdir_parse("a-b-12", topic, &id));
	assert_string_equal(topic, "a-b");
	assert_int_equal(id, 12);
	assert_false(sl_partdir_parse("a-", topic, &id));
	assert_false(sl_partdir_parse("a", topic, &id));
	assert_false(sl_partdir_parse("-1", topic, &id));
	assert_false(sl_partdir_parse("..-1", topic, &id));
	assert_false(sl_partdir_parse("a-9999", topic, &id));
	assert_false(sl_partdir_parse("a-1.abc-delete", topic, &id));
	sl_segname("t-0", 42, ".timeindex", name);
	assert_string_equal(name, "t-0/00000000000000000042.timeindex");
}

static void small_files(void **state)
{
	char dir[] = "./slt-layout-XXXXXX", *text;
	size_t len;
	(void)state;

	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(sl_file_read(fd, "f", 100, &text, &len), -ENOENT);
	assert_int_equal(sl_file_replace(fd, "f", "hello", 5), 0);
	assert_int_equal(sl_file_read(fd, "f", 4, &text, &len), -EFBIG);
	assert_int_equal(sl_file_read(fd, "f", 5, &text, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "hello");
	free(text);
	assert_int_equal(symlinkat("f", fd, "l"), 0);
	assert_int_equal(sl_file_read(fd, "l", 5, &text, &len), -ELOOP);
	assert_int_equal(symlinkat(".", fd, "d"), 0);
	assert_true(sl_dir_open(fd, "d", true) < 0);
	struct stat st;
	assert_int_equal(fstatat(fd, "f.tmp", &st, 0), -1);
	assert_int_equal(fstatat(fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
	nftw(dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

static void checkpoints(void **state)
{
	char dir[] = "./slt-layout-XXXXXX", *text;
	struct sl_cp cp = {0};
	static const char *const bad[] = {"",
					  "0\n",
					  "1\n0\n",
					  "0\n2\nt 0 5\n",
					  "0\n1\nt x 5\n",
					  "0\n1\nt 0 -5\n",
					  "0\n1\n../x 0 5\n",
					  "0\n-1\n",
					  "0\n1\nt 0 5"};
	(void)state;

	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(sl_cp_load(fd, "c", &cp), -ENOENT);
	assert_int_equal(sl_cp_add(&cp, "t", 1, 7), 0);
	assert_int_equal(sl_cp_add(&cp, "t", 0, 5), 0);
	assert_int_equal(sl_cp_store(fd, "c", &cp), 0);
	sl_cp_fini(&cp);
	assert_int_equal(sl_file_read(fd, "c", 100, &text, NULL), 0);
	assert_string_equal(text, "0\n2\nt 1 7\nt 0 5\n");
	free(text);
	assert_int_equal(sl_cp_load(fd, "c", &cp), 0);
	assert_int_equal(sl_cp_find(&cp, "t", 0), 5);
	assert_int_equal(sl_cp_find(&cp, "t", 1), 7);
	assert_int_equal(sl_cp_find(&cp, "t", 2), -1);
	assert_int_equal(sl_cp_find(&cp, "u", 0), -1);
	sl_cp_fini(&cp);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		assert_int_equal(sl_file_replace(fd, "c", bad[i], strlen(bad[i])), 0);
		assert_int_equal(sl_cp_load(fd, "c", &cp), -EILSEQ);
		assert_int_equal(cp.cnt, 0);
	}
	struct sl_epochs *e = calloc(1, sizeof(*e));
	assert_int_equal(mkdirat(fd, "t-0", 0700), 0);
	sl_epochs_load(fd, "t-0", e);
	assert_int_equal(e->cnt, 0);
	e->cnt = 2;
	e->row[1].epoch = 3;
	e->row[1].start = 55;
	assert_int_equal(sl_epochs_store(fd, "t-0", e), 0);
	assert_int_equal(sl_file_read(fd, "t-0/leader-epoch-checkpoint", 100, &text, NULL), 0);
	assert_string_equal(text, "0\n2\n0 0\n3 55\n");
	free(text);
	e->cnt = 0;
	sl_epochs_load(fd, "t-0", e);
	assert_int_equal(e->cnt, 2);
	assert_int_equal(e->row[1].start, 55);
	free(e);
	uint8_t id[16], got[16];
	sl_uuid_make(id);
	assert_int_equal(sl_partmeta_load(fd, "t-0", got), -ENOENT);
	assert_int_equal(sl_partmeta_store(fd, "t-0", id), 0);
	assert_int_equal(sl_partmeta_load(fd, "t-0", got), 0);
	assert_memory_equal(id, got, 16);
	assert_int_equal(sl_file_replace(fd, "t-0/partition.metadata", "version: 1\n", 11), 0);
	assert_int_equal(sl_partmeta_load(fd, "t-0", got), -EILSEQ);
	close(fd);
	nftw(dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* Kafka takes a POSIX lock on log/.lock: it must not get it, nor we if it has it. */
static void locks(void **state)
{
	char dir[] = "./slt-layout-XXXXXX", path[128], err[200];
	struct sl_layout l, other;
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	(void)state;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(sl_layout_open(&l, dir, 0, err, sizeof(err)), 0);
	assert_int_equal(sl_layout_open(&other, dir, 0, err, sizeof(err)), -EBUSY);
	snprintf(path, sizeof(path), "%s/log/.lock", dir);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETLK, &fl), -1);
	sl_layout_close(&l);
	int go[2], ready[2];
	assert_int_equal(pipe(go) | pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) { /* a broker */
		char c = fcntl(fd, F_SETLK, &fl) ? 'n' : 'y';
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(1);
		_exit(0);
	}
	char c;
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(sl_layout_open(&l, dir, 0, err, sizeof(err)), -EBUSY);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(sl_layout_open(&l, dir, 0, err, sizeof(err)), 0);
	sl_layout_close(&l);
	memset(&l, 0, sizeof(l));
	sl_layout_close(&l);
	close(fd);
	nftw(dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/*
 * A process that was killed leaves its lock to its io_uring for a moment: that is waited for, even
 * if the next one has the same pid, as in a container. The dead one is played by a file description
 * that lives on in a child.
 */
static void a_lock_of_the_same_pid(void **state)
{
	char dir[] = "./slt-layout-XXXXXX", path[128], err[200], text[64];
	struct sl_layout l;
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	(void)state;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(sl_layout_open(&l, dir, 0, err, sizeof(err)), 0);
	sl_layout_close(&l);
	snprintf(path, sizeof(path), "%s/.lock", dir);
	int fd = open(path, O_RDWR | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	int n = snprintf(text, sizeof(text), "%d 1\n", (int)getpid());
	assert_int_equal(write(fd, text, (size_t)n), n);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(100000);
		_exit(0);
	}
	close(fd);
	assert_int_equal(sl_layout_open(&l, dir, 0, err, sizeof(err)), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* one that lives is not waited for */
	struct sl_layout other;
	assert_int_equal(sl_layout_open(&other, dir, 0, err, sizeof(err)), -EBUSY);
	sl_layout_close(&l);
	nftw(dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuids),       cmocka_unit_test(names),
		cmocka_unit_test(small_files), cmocka_unit_test(checkpoints),
		cmocka_unit_test(locks),       cmocka_unit_test(a_lock_of_the_same_pid),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
