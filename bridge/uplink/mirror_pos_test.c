/* SPDX-License-Identifier: Apache-2.0 */
/* mirror_pos_test.c - the file, the headers, and what the local log tells. */
#include "mirror_pos.h"

#include <errno.h>
#include <unistd.h>

#include "bridge/fake/fake_store.h"
#include "platform/base/sl_test.h"
#include "platform/record/crc32c.h"

#define TS 1700000000000

/* ---- the file -------------------------------------------------------------------------------- */

static char dir[] = "/tmp/sl-mpos-test-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/mirror", dir);
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static struct sl_mpos a_pos(const char *topic, uint8_t id, int32_t part, int64_t local,
			    int64_t central)
{
	struct sl_mpos p = {.partition = part, .local = local, .central = central};

	strcpy(p.topic, topic);
	memset(p.id, id, 16);
	return p;
}

static void there_and_back(void **state)
{
	struct sl_mpos_file f = {0}, g = {0};
	struct sl_mpos *p;
	uint8_t id[16];

	(void)state;
	assert_int_equal(sl_mpos_read(path, &g), -ENOENT);
	assert_int_equal(sl_mpos_write(path, &f), 0); /* empty is a file, too */
	assert_int_equal(sl_mpos_read(path, &g), 0);
	assert_int_equal(g.cnt, 0);
	for (int i = 0; i < 100; i++) {
		struct sl_mpos pos = a_pos("commands", 7, i % 50, i, 1000 + i);

		assert_int_equal(sl_mpos_set(&f, &pos), 0);
	}
	struct sl_mpos big = a_pos("x", 0xff, SL_PARTITIONS_MAX - 1, INT64_MAX, INT64_MAX);

	memset(big.topic, 't', SL_TOPIC_NAME_MAX);
	assert_int_equal(sl_mpos_set(&f, &big), 0);
	assert_int_equal(f.cnt, 51);
	assert_int_equal(sl_mpos_write(path, &f), 0);
	assert_int_equal(sl_mpos_read(path, &g), 0);
	assert_int_equal(g.cnt, 51);
	memset(id, 7, 16);
	p = sl_mpos_find(&g, "commands", id, 49);
	assert_non_null(p);
	assert_int_equal(p->local, 99);
	assert_int_equal(p->central, 1099);
	assert_null(sl_mpos_find(&g, "commands", id, 50));
	assert_null(sl_mpos_find(&g, "command", id, 49));
	id[15] = 8; /* made again under its name */
	assert_null(sl_mpos_find(&g, "commands", id, 49));
	assert_int_equal(sl_mpos_find(&g, big.topic, big.id, big.partition)->central, INT64_MAX);
	sl_mpos_fini(&f);
	sl_mpos_fini(&g);
}

/* The body with its checksum put right. */
static int read_text(const char *body, struct sl_mpos_file *f)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fprintf(out, "%send %08x\n", body, sl_crc32c(body, strlen(body)));
	fclose(out);
	return sl_mpos_read(path, f);
}

#define ID "000102030405060708090a0b0c0d0e0f"

static void files_that_are_wrong(void **state)
{
	static const char *const bodies[] = {
		"",
		"sluice-mirror\n",
		"sluice-mirror 0\n",
		"mirror 1\n",
		"sluice-mirror 1\npart t " ID " 0 1\n",
		"sluice-mirror 1\npart t " ID " 0 1 2 3\n",
		"sluice-mirror 1\npart t " ID " 4096 1 2\n",
		"sluice-mirror 1\npart t " ID " -1 1 2\n",
		"sluice-mirror 1\npart t " ID " 0 -1 2\n",
		"sluice-mirror 1\npart t " ID " 0 1 9223372036854775808\n",
		"sluice-mirror 1\npart t " ID " 0 1 0x2\n",
		"sluice-mirror 1\npart t " ID "0 0 1 2\n",
		"sluice-mirror 1\npart t 000102030405060708090A0B0C0D0E0F 0 1 2\n",
		"sluice-mirror 1\npart .. " ID " 0 1 2\n",
		"sluice-mirror 1\npart a/b " ID " 0 1 2\n",
		"sluice-mirror 1\nwhole t " ID " 0 1 2\n",
	};
	struct sl_mpos_file f = {0};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bodies); i++) {
		if (read_text(bodies[i], &f) != -EILSEQ)
			fail_msg("taken: %s", bodies[i]);
		assert_int_equal(f.cnt, 0);
	}
	assert_int_equal(read_text("sluice-mirror 2\npart what ever\n", &f), -EPROTO);
	assert_int_equal(read_text("sluice-mirror 1\npart t " ID " 0 1 2\n", &f), 0);
	assert_int_equal(f.cnt, 1);
	sl_mpos_fini(&f);
}

static void files_that_are_damaged(void **state)
{
	struct sl_mpos_file f = {0};
	struct sl_mpos pos = a_pos("commands", 7, 1, 5, 6);
	char good[256], buf[256];
	size_t len;
	FILE *io;

	(void)state;
	assert_int_equal(sl_mpos_set(&f, &pos), 0);
	assert_int_equal(sl_mpos_write(path, &f), 0);
	sl_mpos_fini(&f);
	io = fopen(path, "r");
	len = fread(good, 1, sizeof(good), io);
	fclose(io);
	for (size_t at = 0; at < 2 * len; at++) { /* cut, then flipped */
		memcpy(buf, good, len);
		if (at >= len)
			buf[at - len] ^= 0x10;
		io = fopen(path, "w");
		fwrite(buf, 1, at < len ? at : len, io);
		fclose(io);
		assert_int_equal(sl_mpos_read(path, &f), -EILSEQ);
		assert_int_equal(f.cnt, 0);
	}
	assert_int_equal(sl_mpos_read(dir, &f), -EILSEQ); /* no file at all */
}

/* ---- headers --------------------------------------------------------------------------------- */

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, s ? (uint32_t)strlen(s) : 0};
}

static int64_t told(const char *part, const char *offset)
{
	const struct sl_hdr h[] = {{str("own"), str("x")},
				   {str(SL_MPOS_HDR_PART), str(part)},
				   {str(SL_MPOS_HDR_OFFSET), str(offset)}};

	return sl_mpos_of_headers(h, 3, 2);
}

static void headers(void **state)
{
	const struct sl_hdr twice[] = {
		{str(SL_MPOS_HDR_PART), str("2")},  {str(SL_MPOS_HDR_OFFSET), str("5")},
		{str(SL_MPOS_HDR_PART), str("2")},  {str(SL_MPOS_HDR_OFFSET), str("9")},
		{str("sluice.central"), str("77")},
	};

	(void)state;
	assert_int_equal(told("2", "0"), 0);
	assert_int_equal(told("2", "9223372036854775806"), INT64_MAX - 1);
	assert_int_equal(told("2", "9223372036854775807"), -1); /* nothing could follow */
	assert_int_equal(told("3", "5"), -1);
	assert_int_equal(told(NULL, "5"), -1);
	assert_int_equal(told("2", NULL), -1);
	assert_int_equal(told("2", ""), -1);
	assert_int_equal(told("2", "-5"), -1);
	assert_int_equal(told("2", "5 "), -1);
	assert_int_equal(told("2", "99999999999999999999999999999"), -1);
	assert_int_equal(sl_mpos_of_headers(twice, 5, 2), 9); /* the last ones count */
	assert_int_equal(sl_mpos_of_headers(twice, 1, 2), -1);
	assert_int_equal(sl_mpos_of_headers(twice, 0, 2), -1);
	assert_int_equal(sl_mpos_of_headers(NULL, 5, 2), -1);
}

/* ---- the log --------------------------------------------------------------------------------- */

struct fix {
	struct sl_store *store;
	struct sl_topic *t;
	struct sl_part *p;
	struct sl_cursor_mem mem;
	int64_t end;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->store = fake_store_new();
	assert_int_equal(sl_store_topic_create(f->store, "t", 2, NULL, &f->t), 0);
	f->p = sl_topic_part(f->t, 1);
	assert_int_equal(sl_cursor_mem_init(&f->mem), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	sl_cursor_mem_fini(&f->mem);
	sl_topic_put(f->t);
	fake_store_free(f->store);
	free(f);
	return 0;
}

/* n records in one batch: copies of [central, central + n), or somebody else's if central < 0. */
static void put(struct fix *f, int64_t central, int n)
{
	static uint8_t buf[1 << 20];
	struct sl_bb b;
	char off[24];

	sl_bb_init(&b, buf, sizeof(buf));
	for (int i = 0; i < n; i++) {
		struct sl_hdr h[] = {{str(SL_MPOS_HDR_PART), str("1")},
				     {str(SL_MPOS_HDR_OFFSET), str(off)}};

		snprintf(off, sizeof(off), "%lld", (long long)central + i);
		h[1].value = str(off);
		assert_true(sl_bb_add(&b, TS, str("k"), str("v"), h, central < 0 ? 0 : 2));
	}
	uint32_t len = sl_bb_close(&b);

	sl_batch_set_base_offset(buf, f->end);
	fake_store_put(f->p, buf, len, n);
	f->end += n;
}

static int64_t recover(struct fix *f, const struct sl_mpos *known)
{
	int64_t next = -7;

	assert_int_equal(sl_mpos_recover(&f->mem, f->p, known, &next), 0);
	return next;
}

static void the_log_tells(void **state)
{
	struct fix *f = *state;

	assert_int_equal(recover(f, NULL), -1);
	put(f, 500, 3);
	assert_int_equal(recover(f, NULL), 503);
	put(f, 600, 1);
	assert_int_equal(recover(f, NULL), 601);
	/* somebody else writes there, much */
	put(f, -1, 2);
	assert_int_equal(recover(f, NULL), 601);
	for (int i = 0; i < 20; i++)
		put(f, -1, 500);
	assert_int_equal(recover(f, NULL), 601);
	/* the centre's topic was made again: the last one counts, not the largest */
	put(f, 10, 5);
	assert_int_equal(recover(f, NULL), 15);
}

static void the_log_is_gone(void **state)
{
	struct fix *f = *state;
	struct sl_mpos known = a_pos("t", 1, 1, 4, 504);

	put(f, 500, 4);
	fake_store_set_start(f->p, 4); /* retention took all */
	assert_int_equal(recover(f, NULL), -1);
	assert_int_equal(recover(f, &known), 504);
	put(f, -1, 10); /* nothing of ours behind it */
	assert_int_equal(recover(f, &known), 504);
	put(f, 504, 2); /* something that the file has not seen yet */
	assert_int_equal(recover(f, &known), 506);
	/* a record before what the file says is older than the file */
	fake_store_set_start(f->p, 0);
	known.local = f->end;
	known.central = 900;
	assert_int_equal(recover(f, &known), 900);
	/* a file that speaks of a log which is not this one */
	known.local = f->end + 1;
	assert_int_equal(recover(f, &known), 506);
}

static void damage_is_passed(void **state)
{
	struct fix *f = *state;

	put(f, 500, 4);
	put(f, -1, 4);
	put(f, -1, 4);
	fake_store_cfg(f->store)->cold = true;
	fake_store_set_damage(f->p, 4, 8);
	assert_int_equal(recover(f, NULL), 504);
	fake_store_set_damage(f->p, 0, 4);
	assert_int_equal(recover(f, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(files_that_are_wrong),
		cmocka_unit_test(files_that_are_damaged),
		cmocka_unit_test(headers),
		cmocka_unit_test_setup_teardown(the_log_tells, setup, teardown),
		cmocka_unit_test_setup_teardown(the_log_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_passed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
