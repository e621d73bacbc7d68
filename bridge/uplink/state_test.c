/* SPDX-License-Identifier: Apache-2.0 */
/* state_test.c - the uplink's file: what is written is read, damage and copies are found. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "state_file.h"

struct fix {
	char data[64];
	struct sl_upstate *st;
	char err[256];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	char path[96];

	assert_non_null(f);
	strcpy(f->data, "/tmp/sl-upstate-XXXXXX");
	assert_non_null(mkdtemp(f->data));
	snprintf(path, sizeof(path), "%s/state", f->data);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(sl_upstate_open(f->data, "gw", &f->st, f->err, sizeof(f->err)), 0);
	*state = f;
	return 0;
}

static int rm(const char *path, SL_UNUSED const struct stat *st, SL_UNUSED int flag,
	      SL_UNUSED struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fix *f = *state;

	sl_upstate_close(f->st);
	nftw(f->data, rm, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void again(struct fix *f, const char *gateway)
{
	sl_upstate_close(f->st);
	f->st = NULL;
	assert_int_equal(sl_upstate_open(f->data, gateway, &f->st, f->err, sizeof(f->err)), 0);
}

static void fill(struct fix *f)
{
	struct sl_upstate *st = f->st;
	struct sl_upstate_part *p;

	st->paused = true;
	st->adopt = true;
	st->checked = false;
	st->alarm = SL_UP_ALARM_BEYOND;
	strcpy(st->alarm_text, "the centre is beyond,  by far");
	st->gone = (struct sl_up_gone){10, 1, 2, 3, 4};
	st->writer_cnt = 2;
	assert_int_equal(sl_upstate_token(st->writer[1]), 0);
	for (uint8_t i = 3; i-- > 0;) {
		uint8_t id[16] = {i};
		assert_int_equal(sl_upstate_add(st, id, i, &p), 0);
		strcpy(p->topic, "a-topic");
		p->found = 100 + i;
		p->pos = (struct sl_up_pos){5, 25 + i, 15, 1, 4, i, -1};
	}
}

static void the_first_start(void **state)
{
	struct fix *f = *state;

	assert_true(f->st->fresh);
	assert_true(f->st->checked);
	assert_int_equal(f->st->alarm, SL_UP_ALARM_NONE);
	assert_int_equal(strlen(f->st->instance), 32);
	assert_true(sl_upstate_may_follow(f->st, ""));
	assert_false(sl_upstate_may_follow(f->st, f->st->instance));
	assert_true(f->st->identity.inode > 0);
}

static void what_is_saved_is_read(void **state)
{
	struct fix *f = *state;
	char instance[SL_TOKEN_TEXT], writer[SL_TOKEN_TEXT];
	const struct sl_upstate_part *p;

	fill(f);
	strcpy(instance, f->st->instance);
	strcpy(writer, f->st->writer[1]);
	assert_int_equal(sl_upstate_save(f->st), 0);
	again(f, "gw");
	assert_false(f->st->fresh);
	assert_string_not_equal(f->st->instance, instance); /* a new one */
	assert_true(f->st->paused && f->st->adopt && !f->st->checked);
	assert_int_equal(f->st->alarm, SL_UP_ALARM_BEYOND);
	assert_string_equal(f->st->alarm_text, "the centre is beyond,  by far");
	assert_int_equal(f->st->gone.carried, 10);
	assert_int_equal(f->st->gone.missing, 4);
	assert_int_equal(f->st->writer_cnt, 2);
	assert_true(sl_upstate_may_follow(f->st, ""));
	assert_true(sl_upstate_may_follow(f->st, writer));
	assert_false(sl_upstate_may_follow(f->st, instance));
	assert_int_equal(f->st->part_cnt, 3);
	p = sl_upstate_find(f->st, (uint8_t[16]){2}, 2);
	assert_non_null(p);
	assert_string_equal(p->topic, "a-topic");
	assert_int_equal(p->found, 102);
	assert_int_equal(p->pos.first, 5);
	assert_int_equal(p->pos.offset, 27);
	assert_int_equal(p->pos.forwarded, 15);
	assert_int_equal(p->pos.dead_letter, 1);
	assert_int_equal(p->pos.evicted_unsent, 4);
	assert_int_equal(p->pos.missing, 2);
	assert_null(sl_upstate_find(f->st, (uint8_t[16]){2}, 1));
}

static void another_name_begins_anew(void **state)
{
	struct fix *f = *state;

	fill(f);
	assert_int_equal(sl_upstate_save(f->st), 0);
	again(f, "gw-2");
	assert_true(f->st->fresh && f->st->paused);
	assert_string_equal(f->st->gateway, "gw-2");
	assert_int_equal(f->st->part_cnt, 0);
	assert_int_equal(f->st->alarm, SL_UP_ALARM_NONE);
	assert_int_equal(strlen(f->st->instance), 32);
}

static void a_copy_is_found(void **state)
{
	struct fix *f = *state;
	char instance[SL_TOKEN_TEXT];

	strcpy(instance, f->st->instance);
	f->st->identity.inode++;
	assert_int_equal(sl_upstate_save(f->st), 0);
	again(f, "gw");
	assert_int_equal(f->st->alarm, SL_UP_ALARM_COPY);
	assert_string_equal(f->st->instance, instance);
	assert_true(strlen(f->st->alarm_text) > 20);
}

static void identities(SL_UNUSED void **state)
{
	struct sl_up_identity a = {"u1", "f1", 7}, b = a;

	assert_true(sl_up_identity_same(&a, &b));
	b.inode = 8;
	assert_false(sl_up_identity_same(&a, &b));
	b = a;
	strcpy(b.uuid, "u2"); /* the stronger one decides */
	assert_false(sl_up_identity_same(&a, &b));
	strcpy(b.uuid, "-");
	assert_true(sl_up_identity_same(&a, &b)); /* a kernel that does not tell */
	strcpy(b.fsid, "f2");
	assert_false(sl_up_identity_same(&a, &b));
	strcpy(b.fsid, "-");
	assert_true(sl_up_identity_same(&a, &b));
	strcpy(b.uuid, "u1");
	strcpy(a.fsid, "f9");
	assert_true(sl_up_identity_same(&a, &b));
	assert_int_equal(sl_up_identity_read("/nowhere/at/all", &a), -ENOENT);
}

static void put_file(struct fix *f, const char *buf, size_t len)
{
	char path[96];
	FILE *out;

	snprintf(path, sizeof(path), "%s/state/uplink", f->data);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(buf, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
}

/* Every byte of the file, changed or cut off there. */
static void damage_is_found(void **state)
{
	struct fix *f = *state;
	char *buf, *bad, path[96];
	size_t len;

	fill(f);
	assert_int_equal(sl_upstate_print(f->st, &buf, &len), 0);
	bad = malloc(len + 1);
	for (size_t i = 0; i < 2 * len; i++) {
		struct sl_upstate st = {.dir_fd = -1};
		size_t n = i < len ? len : i - len;
		memcpy(bad, buf, len + 1);
		if (i < len)
			bad[i] ^= 0x01;
		bad[n] = 0;
		int rc = sl_upstate_parse(&st, bad, n);
		/* a number in the first line may say that it is of a newer version */
		assert_true(rc == -EILSEQ || (i < 16 && rc == -EPROTO));
		free(st.part);
	}
	put_file(f, buf, len - 1);
	again(f, "gw");
	assert_true(f->st->fresh);
	snprintf(path, sizeof(path), "%s/state/uplink.bad", f->data);
	assert_int_equal(access(path, F_OK), 0);
	free(bad);
	free(buf);
}

static void a_newer_format_is_refused(void **state)
{
	struct fix *f = *state;
	struct sl_upstate *st;

	put_file(f, "sluice-uplink 2\nwhatever\n", 25);
	assert_int_equal(sl_upstate_open(f->data, "gw", &st, f->err, sizeof(f->err)), -EPROTO);
	assert_non_null(strstr(f->err, "newer"));
}

static void sums_must_add_up(void **state)
{
	struct fix *f = *state;
	struct sl_upstate st = {.dir_fd = -1};
	char *buf;
	size_t len;

	fill(f);
	f->st->part[1].pos.forwarded++;
	assert_int_equal(sl_upstate_print(f->st, &buf, &len), 0);
	assert_int_equal(sl_upstate_parse(&st, buf, len), -EILSEQ);
	free(st.part);
	free(buf);
}

static void a_directory_that_cannot_be_written(void **state)
{
	struct fix *f = *state;

	close(f->st->dir_fd);
	f->st->dir_fd = open("/dev/null", O_RDONLY);
	assert_int_equal(sl_upstate_save(f->st), -ENOTDIR);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(the_first_start),
		T(what_is_saved_is_read),
		T(another_name_begins_anew),
		T(a_copy_is_found),
		T(identities),
		T(damage_is_found),
		T(a_newer_format_is_refused),
		T(sums_must_add_up),
		T(a_directory_that_cannot_be_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
