/* SPDX-License-Identifier: Apache-2.0 */
/* cursor_test.c - a partition read record by record: every codec, gaps, damage, deletion. */
#include "cursor.h"

#include <errno.h>

#include "bridge/fake/fake_store.h"
#include "platform/base/sl_test.h"

#define TS 1700000000000

struct fix {
	struct sl_store *store;
	struct sl_topic *t;
	struct sl_part *p, *q;
	struct sl_cursor_mem mem;
	struct sl_cursor c;
	uint8_t *buf; /* for building batches */
};

#define BUF_BYTES (4u << 20)

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->store = fake_store_new();
	fake_store_cfg(f->store)->auto_sync = true;
	assert_int_equal(sl_store_topic_create(f->store, "t", 2, NULL, &f->t), 0);
	f->p = sl_topic_part(f->t, 0);
	f->q = sl_topic_part(f->t, 1);
	assert_int_equal(sl_cursor_mem_init(&f->mem), 0);
	sl_cursor_init(&f->c, &f->mem, f->p, 0, true);
	f->buf = malloc(BUF_BYTES);
	assert_non_null(f->buf);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	sl_cursor_mem_fini(&f->mem);
	sl_topic_put(f->t);
	fake_store_free(f->store);
	free(f->buf);
	free(f);
	return 0;
}

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* n records "v<first + i>" of `pad` more bytes into f->buf; returns the batch's length. */
static uint32_t build(struct fix *f, int first, int n, uint32_t pad)
{
	char *val = calloc(1, pad + 32);
	struct sl_bb b;

	assert_non_null(val);
	sl_bb_init(&b, f->buf, BUF_BYTES);
	for (int i = 0; i < n; i++) {
		int len = snprintf(val, 32, "v%d", first + i);
		struct sl_slice v = {(uint8_t *)val, (uint32_t)len + pad};
		assert_true(sl_bb_add(&b, TS + first + i, text("k"), v, NULL, 0));
	}
	free(val);
	return sl_bb_close(&b);
}

static void reseal(struct fix *f, uint32_t len, int16_t attrs)
{
	sl_put_be16(f->buf + SL_BATCH_ATTRS_OFF, (uint16_t)attrs);
	sl_batch_set_ts(f->buf, len, sl_batch_max_ts(f->buf), attrs & SL_ATTR_LOG_APPEND_TIME);
}

/* Compresses what build() made. */
static uint32_t pack(struct fix *f, uint32_t len, int codec)
{
	struct sl_slice in = {f->buf + SL_BATCH_HDR, len - SL_BATCH_HDR}, out;
	struct sl_scratch s;

	sl_scratch_init(&s, 8 << 20);
	assert_int_equal(sl_compress(codec, in, &s, &out), 0);
	memmove(f->buf + SL_BATCH_HDR, out.p, out.len);
	len = SL_BATCH_HDR + out.len;
	sl_put_be32(f->buf + SL_BATCH_LENGTH_OFF, len - SL_BATCH_LEN_BIAS);
	reseal(f, len, (int16_t)codec);
	sl_scratch_fini(&s);
	return len;
}

static void put(struct fix *f, struct sl_part *p, int n)
{
	int64_t first = sl_part_end(p);

	fake_store_put(p, f->buf, build(f, (int)first, n, 0), n);
}

static int next(struct fix *f, struct sl_cursor_rec *r)
{
	int64_t good = -1;

	return sl_cursor_next(&f->c, r, &good);
}

/* The next record is that of `offset` as build() made it. */
static void expect(struct sl_cursor *c, int64_t offset)
{
	struct sl_cursor_rec r;
	char want[32];
	int64_t good;
	int len = snprintf(want, sizeof(want), "v%lld", (long long)offset);

	assert_int_equal(sl_cursor_next(c, &r, &good), 1);
	assert_int_equal(r.offset, offset);
	assert_int_equal(r.rec.ts, TS + offset);
	assert_true(r.rec.value.len >= (uint32_t)len);
	assert_memory_equal(r.rec.value.p, want, len);
	assert_int_equal(c->offset, offset + 1);
}

static void empty_partition_has_nothing(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;

	assert_int_equal(next(f, &r), 0);
	assert_int_equal(f->c.offset, 0);
}

static void reads_batches_of_every_codec(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;

	for (int codec = 0; codec < SL_CODEC_CNT; codec++) {
		int64_t first = sl_part_end(f->p);
		uint32_t len = build(f, (int)first, 100, 50);
		fake_store_put(f->p, f->buf, codec ? pack(f, len, codec) : len, 100);
	}
	for (int64_t i = 0; i < 100 * SL_CODEC_CNT; i++)
		expect(&f->c, i);
	assert_int_equal(next(f, &r), 0);
}

static void stays_below_synced(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;

	fake_store_cfg(f->store)->auto_sync = false;
	put(f, f->p, 3);
	assert_int_equal(next(f, &r), 0);
	fake_store_sync(f->store);
	put(f, f->p, 3);
	for (int i = 0; i < 3; i++)
		expect(&f->c, i);
	assert_int_equal(next(f, &r), 0);
	sl_cursor_init(&f->c, &f->mem, f->p, 2, false); /* the high watermark */
	for (int i = 2; i < 6; i++)
		expect(&f->c, i);
}

static void reads_from_disk_when_memory_has_it_no_more(void **state)
{
	struct fix *f = *state;

	fake_store_cfg(f->store)->cold = true;
	put(f, f->p, 5);
	for (int i = 0; i < 5; i++)
		expect(&f->c, i);
}

static void starts_and_seeks_within_a_batch(void **state)
{
	struct fix *f = *state;

	put(f, f->p, 10);
	put(f, f->p, 10);
	sl_cursor_init(&f->c, &f->mem, f->p, 7, true);
	expect(&f->c, 7);
	sl_cursor_seek(&f->c, 3); /* back */
	expect(&f->c, 3);
	sl_cursor_seek(&f->c, 9); /* on, in this batch */
	expect(&f->c, 9);
	sl_cursor_seek(&f->c, 15); /* in the next */
	expect(&f->c, 15);
	sl_cursor_seek(&f->c, 0);
	expect(&f->c, 0);
}

static void cursors_share_memory(void **state)
{
	struct fix *f = *state;
	struct sl_cursor d;

	sl_cursor_init(&d, &f->mem, f->q, 0, true);
	put(f, f->p, 5);
	put(f, f->q, 5);
	for (int i = 0; i < 5; i++) {
		expect(&f->c, i);
		expect(&d, i);
	}
}

static void a_cursor_at_the_same_place_does_not_inherit(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	int64_t good;

	put(f, f->p, 5);
	expect(&f->c, 0);
	sl_cursor_init(&f->c, &f->mem, f->q, 0, true);
	assert_int_equal(sl_cursor_next(&f->c, &r, &good), 0);
}

static void skips_control_batches(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;

	put(f, f->p, 2);
	uint32_t len = build(f, 2, 1, 0);
	reseal(f, len, SL_ATTR_CONTROL | SL_ATTR_TRANSACTIONAL);
	fake_store_put(f->p, f->buf, len, 1);
	put(f, f->p, 1);
	expect(&f->c, 0);
	expect(&f->c, 1);
	expect(&f->c, 3);
	put(f, f->p, 1);
	reseal(f, build(f, 5, 1, 0), SL_ATTR_CONTROL);
	fake_store_put(f->p, f->buf, len, 1);
	expect(&f->c, 4);
	assert_int_equal(next(f, &r), 0);
	assert_int_equal(f->c.offset, 6); /* stands behind it: nothing is left to send */
}

static void log_append_time_is_the_batch_s(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	uint32_t len = build(f, 0, 2, 0);

	sl_batch_set_ts(f->buf, len, TS + 5000, true);
	fake_store_put(f->p, f->buf, len, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(next(f, &r), 1);
		assert_int_equal(r.rec.ts, TS + 5000);
	}
}

/* Offsets that compaction took: within a batch, at its end, a whole one. */
static void gaps_in_offsets(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	uint32_t len = build(f, 0, 1, 0);

	sl_put_be32(f->buf + SL_BATCH_LAST_DELTA_OFF, 4); /* one record, five offsets */
	reseal(f, len, 0);
	fake_store_put(f->p, f->buf, len, 5);
	put(f, f->p, 1);
	expect(&f->c, 0);
	expect(&f->c, 5);
	sl_put_be32(f->buf + SL_BATCH_LAST_DELTA_OFF, 4);
	len = build(f, 0, 1, 0);
	sl_put_be32(f->buf + SL_BATCH_LAST_DELTA_OFF, 2);
	reseal(f, len, 0);
	fake_store_put(f->p, f->buf, len, 3); /* 6 .. 8 */
	sl_cursor_seek(&f->c, 7);             /* in the gap at the end */
	assert_int_equal(next(f, &r), 0);
	assert_int_equal(f->c.offset, 9);
}

static void many_headers(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	enum { N = SL_FRAME_HDRS_MAX + 24 };
	struct sl_hdr h[N];
	char name[N][16], value[N][16];
	struct sl_bb b;

	for (int i = 0; i < N; i++) {
		snprintf(name[i], sizeof(name[i]), "n%d", i);
		snprintf(value[i], sizeof(value[i]), "v%d", i);
		h[i] = (struct sl_hdr){text(name[i]), text(value[i])};
	}
	h[N - 1].value = (struct sl_slice){NULL, 0};
	for (unsigned n = 0; n <= N; n += n < SL_FRAME_HDRS_MAX - 1 ? 5 : 1) {
		sl_bb_init(&b, f->buf, BUF_BYTES);
		assert_true(sl_bb_add(&b, TS, text("k"), text("v"), h, n));
		fake_store_put(f->p, f->buf, sl_bb_close(&b), 1);
		assert_int_equal(next(f, &r), 1);
		assert_int_equal(r.rec.hdr_cnt, n);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(r.hdr[i].name.len, h[i].name.len);
			assert_memory_equal(r.hdr[i].name.p, h[i].name.p, h[i].name.len);
			assert_int_equal(r.hdr[i].value.len, h[i].value.len);
			assert_int_equal(!r.hdr[i].value.p, !h[i].value.p);
		}
		assert_int_equal(r.bytes, 2 + r.rec.hdr_bytes.len);
	}
}

static void too_many_headers_are_left_out(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	unsigned n = SL_CURSOR_HDRS_MAX + 1;
	struct sl_hdr *h = calloc(n, sizeof(*h));
	struct sl_bb b;

	assert_non_null(h);
	for (unsigned last = n - 1; last <= n; last++) {
		sl_bb_init(&b, f->buf, BUF_BYTES);
		assert_true(sl_bb_add(&b, TS, text("k"), text("v"), h, last));
		fake_store_put(f->p, f->buf, sl_bb_close(&b), 1);
	}
	assert_int_equal(next(f, &r), 1);
	assert_non_null(r.hdr);
	assert_int_equal(next(f, &r), 1);
	assert_null(r.hdr);
	assert_int_equal(r.rec.hdr_cnt, n);
	free(h);
}

static void nulls_stay_null(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	struct sl_slice null = {NULL, 0}, none = {(const uint8_t *)"", 0};
	struct sl_bb b;

	sl_bb_init(&b, f->buf, BUF_BYTES);
	assert_true(sl_bb_add(&b, TS, null, null, NULL, 0));
	assert_true(sl_bb_add(&b, TS, none, none, NULL, 0));
	fake_store_put(f->p, f->buf, sl_bb_close(&b), 2);
	assert_int_equal(next(f, &r), 1);
	assert_true(!r.rec.key.p && !r.rec.value.p);
	assert_int_equal(next(f, &r), 1);
	assert_true(r.rec.key.p && r.rec.value.p && !r.rec.key.len && !r.rec.value.len);
}

static void a_batch_larger_than_the_buffer(void **state)
{
	struct fix *f = *state;
	uint32_t len = build(f, 0, 2, 900000);

	assert_true(len > SL_CURSOR_READ_BYTES);
	fake_store_put(f->p, f->buf, len, 2);
	put(f, f->p, 1);
	for (int i = 0; i < 3; i++)
		expect(&f->c, i);
	assert_int_equal(f->mem.cap, len);
}

static void damage_is_told_and_can_be_passed(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	int64_t good = -1;

	for (int i = 0; i < 4; i++)
		put(f, f->p, 5);
	fake_store_set_damage(f->p, 5, 15);
	for (int i = 0; i < 5; i++)
		expect(&f->c, i);
	assert_int_equal(sl_cursor_next(&f->c, &r, &good), -EILSEQ);
	assert_int_equal(f->c.offset, 5);
	assert_int_equal(good, 15);
	sl_cursor_seek(&f->c, good);
	expect(&f->c, 15);
}

/* A good checksum over nonsense: what a client lied about. */
static void broken_records_are_damage(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;
	int64_t good = -1;
	uint32_t len = build(f, 0, 3, 100);

	f->buf[len - 100] = 0x55;
	sl_put_be32(f->buf + SL_BATCH_COUNT_OFF, 5); /* more than there are */
	sl_put_be32(f->buf + SL_BATCH_LAST_DELTA_OFF, 4);
	reseal(f, len, 0);
	fake_store_put(f->p, f->buf, len, 5);
	len = build(f, 5, 1, 0);
	sl_put_be16(f->buf + SL_BATCH_ATTRS_OFF, SL_CODEC_ZSTD); /* it is not */
	reseal(f, len, SL_CODEC_ZSTD);
	fake_store_put(f->p, f->buf, len, 1);
	put(f, f->p, 1);
	for (int i = 0; i < 3; i++)
		expect(&f->c, i);
	assert_int_equal(sl_cursor_next(&f->c, &r, &good), -EILSEQ);
	assert_int_equal(f->c.offset, 3);
	assert_int_equal(good, 5);
	sl_cursor_seek(&f->c, good);
	assert_int_equal(sl_cursor_next(&f->c, &r, &good), -EILSEQ);
	assert_int_equal(good, 6);
	sl_cursor_seek(&f->c, good);
	expect(&f->c, 6);
}

static void what_retention_took_is_out_of_range(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;

	put(f, f->p, 5);
	put(f, f->p, 5);
	fake_store_set_start(f->p, 7); /* within a batch */
	assert_int_equal(next(f, &r), -ERANGE);
	assert_int_equal(f->c.offset, 0);
	sl_cursor_seek(&f->c, sl_part_start(f->p));
	expect(&f->c, 7);
	sl_cursor_seek(&f->c, 11);
	assert_int_equal(next(f, &r), -ERANGE);
	assert_int_equal(f->c.offset, 11);
}

static void a_deleted_topic_is_gone(void **state)
{
	struct fix *f = *state;
	struct sl_cursor_rec r;

	assert_int_equal(sl_store_topic_delete(f->store, f->t), 0);
	assert_int_equal(next(f, &r), -ENOENT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(empty_partition_has_nothing),
		T(reads_batches_of_every_codec),
		T(stays_below_synced),
		T(reads_from_disk_when_memory_has_it_no_more),
		T(starts_and_seeks_within_a_batch),
		T(cursors_share_memory),
		T(a_cursor_at_the_same_place_does_not_inherit),
		T(skips_control_batches),
		T(log_append_time_is_the_batch_s),
		T(gaps_in_offsets),
		T(many_headers),
		T(too_many_headers_are_left_out),
		T(nulls_stay_null),
		T(a_batch_larger_than_the_buffer),
		T(damage_is_told_and_can_be_passed),
		T(broken_records_are_damage),
		T(what_retention_took_is_out_of_range),
		T(a_deleted_topic_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
