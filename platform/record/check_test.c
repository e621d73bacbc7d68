/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "platform/record/crc32c.h"
#include "platform/record/golden.h"

static struct sl_scratch scratch;
static uint8_t buf[GOLDEN_FILE_MAX];

static int setup(void **state)
{
	(void)state;
	sl_scratch_init(&scratch, 1u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sl_scratch_fini(&scratch);
	return 0;
}

/* ---- batches that Kafka made ------------------------------------------------------------- */

static const struct {
	const char *file;
	int codec;
	int64_t fixed_ts; /* INT64_MIN: CreateTime */
} files[] = {
	{"none.bin", SL_CODEC_NONE, INT64_MIN},
	{"gzip.bin", SL_CODEC_GZIP, INT64_MIN},
	{"snappy.bin", SL_CODEC_SNAPPY, INT64_MIN},
	{"lz4.bin", SL_CODEC_LZ4, INT64_MIN},
	{"zstd.bin", SL_CODEC_ZSTD, INT64_MIN},
	{"append-time.bin", SL_CODEC_ZSTD, GOLDEN_T + 77},
	{"transactional.bin", SL_CODEC_LZ4, INT64_MIN},
};

static void reads_kafkas_batches(void **state)
{
	(void)state;
	for (size_t f = 0; f < SL_ARRAY_SIZE(files); f++) {
		uint32_t n = golden_load(files[f].file, buf), total = 0;
		bool fixed = files[f].fixed_ts != INT64_MIN;
		struct sl_batch_info info;
		struct sl_record_walk w;
		struct sl_record rec;

		assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_OK);
		assert_int_equal(total, n);
		assert_int_equal(sl_batch_attrs(buf) & SL_ATTR_CODEC_MASK, files[f].codec);
		assert_int_equal(sl_batch_check(buf, n, true, &scratch, &info), SL_BF_OK);
		assert_int_equal(info.total, n);
		assert_int_equal(info.count, GOLDEN_CNT);
		assert_int_equal(info.max_ts, fixed ? files[f].fixed_ts : GOLDEN_T + 5);
		assert_int_equal(info.max_ts, sl_batch_max_ts(buf));
		assert_int_equal(info.max_ts_offset_delta, fixed ? 0 : 1);
		assert_int_equal(info.min_ts, fixed ? files[f].fixed_ts : GOLDEN_T - 3);
		assert_true(info.null_key);
		assert_int_equal(sl_record_walk_init(&w, buf, &scratch), 0);
		for (int i = 0; i < GOLDEN_CNT; i++) {
			assert_int_equal(sl_record_walk_next(&w, &rec), 1);
			golden_check(i, &rec, files[f].fixed_ts);
		}
		assert_int_equal(sl_record_walk_next(&w, &rec), 0);
		assert_int_equal(sl_record_walk_next(&w, &rec), 0);
	}
	golden_load("transactional.bin", buf);
	assert_int_equal(sl_batch_pid(buf), 4242);
	assert_int_equal(sl_batch_pepoch(buf), 7);
	assert_int_equal(sl_batch_base_seq(buf), 99);
	assert_true(sl_batch_attrs(buf) & SL_ATTR_TRANSACTIONAL);
}

/* ---- faults, one after the other --------------------------------------------------------- */

static uint32_t small_batch(void)
{
	struct sl_bb b;

	sl_bb_init(&b, buf, sizeof(buf));
	for (int i = 0; i < 3; i++)
		assert_true(sl_bb_add(&b, 5, golden_str("k"), golden_str("value"), NULL, 0));
	return sl_bb_close(&b);
}

static void fix_crc(uint32_t n)
{
	sl_put_be32(buf + SL_BATCH_CRC_OFF,
		    sl_crc32c(buf + SL_BATCH_CRC_FROM, n - SL_BATCH_CRC_FROM));
}

static void frame_faults_in_order(void **state)
{
	uint32_t n = small_batch(), total = 7;

	(void)state;
	for (uint32_t left = 0; left < n; left++) {
		assert_int_equal(sl_batch_check_frame(buf, left, &total), SL_BF_SHORT);
		assert_int_equal(total, 7); /* untouched */
	}
	assert_int_equal(sl_batch_check_frame(buf, n + 100, &total), SL_BF_OK);
	assert_int_equal(total, n);
	assert_int_equal(sl_batch_check(buf, n + 1, true, &scratch, NULL), SL_BF_LENGTH);
	assert_int_equal(sl_batch_check(buf, n + 1, false, &scratch, NULL), SL_BF_OK);

	/* everything wrong at once, put right from the first check on */
	total = 7;
	buf[SL_BATCH_MAGIC_OFF] = 1;
	sl_put_be32(buf + SL_BATCH_LENGTH_OFF, 48);
	buf[n - 1] ^= 1;
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_MAGIC);
	buf[SL_BATCH_MAGIC_OFF] = 2;
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_LENGTH);
	sl_put_be32(buf + SL_BATCH_LENGTH_OFF, (uint32_t)-1);
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_LENGTH);
	sl_put_be32(buf + SL_BATCH_LENGTH_OFF, INT32_MAX);
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_LENGTH);
	sl_put_be32(buf + SL_BATCH_LENGTH_OFF, n - 12 + 1);
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_SHORT);
	assert_int_equal(total, 7);
	sl_put_be32(buf + SL_BATCH_LENGTH_OFF, n - 12);
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_CRC);
	assert_int_equal(total, n);
	buf[n - 1] ^= 1;
	assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_OK);
}

static void expect(uint32_t n, enum sl_batch_fault want)
{
	struct sl_batch_info info = {.count = 77};

	fix_crc(n);
	assert_string_equal(sl_batch_fault_name(sl_batch_check(buf, n, true, &scratch, &info)),
			    sl_batch_fault_name(want));
	if (want)
		assert_int_equal(info.count, 77); /* untouched */
}

static void every_bit_counts(void **state)
{
	uint32_t n = small_batch(), total;

	(void)state;
	for (uint32_t bit = SL_BATCH_CRC_OFF * 8; bit < n * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_equal(sl_batch_check_frame(buf, n, &total), SL_BF_CRC);
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void header_faults(void **state)
{
	uint32_t n = small_batch();

	(void)state;
	for (uint8_t c = 5; c < 8; c++) {
		buf[SL_BATCH_ATTRS_OFF + 1] = c;
		expect(n, SL_BF_CODEC);
	}
	buf[SL_BATCH_ATTRS_OFF + 1] = 0;
	static const int32_t counts[][2] = {
		{0, -1}, {-1, -2}, {4, 2}, {3, 3}, {INT32_MIN, INT32_MAX}};
	for (size_t i = 0; i < SL_ARRAY_SIZE(counts); i++) {
		sl_put_be32(buf + SL_BATCH_COUNT_OFF, (uint32_t)counts[i][0]);
		sl_put_be32(buf + SL_BATCH_LAST_DELTA_OFF, (uint32_t)counts[i][1]);
		expect(n, SL_BF_COUNT);
	}
	/* consistent, but not what is there: one too many, one too few, the most */
	static const int32_t lies[] = {4, 2, INT32_MAX};
	for (size_t i = 0; i < SL_ARRAY_SIZE(lies); i++) {
		sl_put_be32(buf + SL_BATCH_COUNT_OFF, (uint32_t)lies[i]);
		sl_put_be32(buf + SL_BATCH_LAST_DELTA_OFF, (uint32_t)lies[i] - 1);
		expect(n, SL_BF_RECORD);
	}
	sl_put_be32(buf + SL_BATCH_COUNT_OFF, 3);
	sl_put_be32(buf + SL_BATCH_LAST_DELTA_OFF, 2);
	expect(n, SL_BF_OK);
	buf[SL_BATCH_ATTRS_OFF + 1] = SL_CODEC_GZIP;
	expect(n, SL_BF_DECOMPRESS);
	buf[SL_BATCH_ATTRS_OFF + 1] = SL_CODEC_ZSTD;
	expect(n, SL_BF_DECOMPRESS);
}

/* One record given byte by byte; each case is wrong in one way. */
static void record_faults(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t len;
		enum sl_batch_fault want;
	} cases[] = {
#define R(s, want) {s, sizeof(s) - 1, want}
		R("\x10\0\0\0\2k\2v\0", SL_BF_OK),
		R("\x0c\0\0\0\1\1\0", SL_BF_OK),         /* null key, null value */
		R("\x0c\0\0\0\0\0\0", SL_BF_OK),         /* both empty */
		R("\x12\0\0\0\2k\2v\0\0", SL_BF_RECORD), /* a byte left within the record */
		R("\x10\0\0\0\2k\2v\0\0", SL_BF_RECORD), /* after it */
		R("\x0e\0\0\0\2k\2v\0", SL_BF_RECORD),   /* its length too small */
		R("\x14\0\0\0\2k\2v\0", SL_BF_RECORD),   /* too large */
		R("\x01\0\0\0\2k\2v\0", SL_BF_RECORD),   /* -1 */
		R("\x00", SL_BF_RECORD),
		R("", SL_BF_RECORD),
		R("\xff\xff\xff\xff\x0f", SL_BF_RECORD),     /* INT32_MIN */
		R("\xff\xff\xff\xff\xff\x01", SL_BF_RECORD), /* a varint of six bytes */
		R("\x10\0\0\2\2k\2v\0", SL_BF_RECORD),       /* offset delta 1 */
		R("\x10\0\0\1\2k\2v\0", SL_BF_RECORD),       /* -1 */
		R("\x10\0\0\0\3k\2v\0", SL_BF_RECORD),       /* key length -2 */
		R("\x10\0\0\0\2k\3v\0", SL_BF_RECORD),       /* value length -2 */
		R("\x10\0\0\0\x20k\2v\0", SL_BF_RECORD),     /* key beyond the record */
		R("\x10\0\0\0\2k\2v\1", SL_BF_RECORD),       /* -1 headers */
		R("\x10\0\0\0\2k\2v\2", SL_BF_RECORD),       /* one header that is not there */
		R("\x14\0\0\0\2k\2v\2\0\1", SL_BF_OK),       /* empty name, null value */
		R("\x14\0\0\0\2k\2v\2\1\1", SL_BF_RECORD),   /* null name */
		R("\x14\0\0\0\2k\2v\2\0\3", SL_BF_RECORD),   /* header value length -2 */
		R("\x18\0\0\0\2k\2v\xfe\xff\xff\xff\x0f", SL_BF_RECORD), /* 2^31 - 1 headers */
		R("\x10\x7f\0\0\2k\2v\0", SL_BF_OK), /* attributes: Kafka ignores them */
#undef R
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		uint32_t n = SL_BATCH_HDR + cases[i].len;

		small_batch();
		memcpy(buf + SL_BATCH_HDR, cases[i].bytes, cases[i].len);
		sl_put_be32(buf + SL_BATCH_LENGTH_OFF, n - SL_BATCH_LEN_BIAS);
		sl_put_be32(buf + SL_BATCH_COUNT_OFF, 1);
		sl_put_be32(buf + SL_BATCH_LAST_DELTA_OFF, 0);
		expect(n, cases[i].want);
	}
}

/* A broken record ends the walk for good. */
static void walk_stops_at_the_first_error(void **state)
{
	uint32_t n = small_batch();
	struct sl_record_walk w;
	struct sl_record rec;

	(void)state;
	buf[n - 1] = 2; /* the last record claims a header */
	assert_int_equal(sl_record_walk_init(&w, buf, &scratch), 0);
	assert_int_equal(sl_record_walk_next(&w, &rec), 1);
	assert_int_equal(sl_record_walk_next(&w, &rec), 1);
	assert_int_equal(sl_record_walk_next(&w, &rec), -EILSEQ);
	assert_int_equal(sl_record_walk_next(&w, &rec), -EILSEQ);
	buf[SL_BATCH_ATTRS_OFF + 1] = 7;
	assert_int_equal(sl_record_walk_init(&w, buf, &scratch), -ENOTSUP);
	buf[SL_BATCH_ATTRS_OFF + 1] = SL_CODEC_LZ4;
	assert_int_equal(sl_record_walk_init(&w, buf, &scratch), -EILSEQ);
}

static void beyond_the_bound(void **state)
{
	struct sl_record_walk w;
	struct sl_scratch tiny;
	uint32_t n = golden_load("gzip.bin", buf);

	(void)state;
	sl_scratch_init(&tiny, 1000);
	assert_int_equal(sl_batch_check(buf, n, true, &tiny, NULL), SL_BF_DECOMPRESS);
	assert_int_equal(sl_record_walk_init(&w, buf, &tiny), -ENOSPC);
	sl_scratch_fini(&tiny);
}

static void sets_timestamps(void **state)
{
	uint32_t n = golden_load("lz4.bin", buf);
	struct sl_batch_info info;

	(void)state;
	sl_batch_set_ts(buf, n, 123456, true);
	assert_int_equal(sl_batch_check(buf, n, true, &scratch, &info), SL_BF_OK);
	assert_int_equal(info.max_ts, 123456);
	assert_int_equal(info.min_ts, 123456);
	assert_int_equal(sl_batch_attrs(buf), SL_CODEC_LZ4 | SL_ATTR_LOG_APPEND_TIME);
	sl_batch_set_ts(buf, n, GOLDEN_T + 5, false);
	assert_int_equal(sl_batch_check(buf, n, true, &scratch, &info), SL_BF_OK);
	assert_int_equal(info.min_ts, GOLDEN_T - 3);
	assert_int_equal(sl_batch_attrs(buf), SL_CODEC_LZ4);
}

/* Damage behind a right checksum: any answer, nothing outside the buffers. */
static void damaged_batches(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	int ok = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint32_t n = i % 8 == 7 ? small_batch()
					: golden_load(files[i % SL_ARRAY_SIZE(files)].file, buf);
		struct sl_batch_info info;

		for (uint32_t k = sl_rng_below(&r, 3) + 1; k; k--) {
			uint32_t at = SL_BATCH_CRC_FROM + sl_rng_below(&r, n - SL_BATCH_CRC_FROM);

			buf[sl_rng_below(&r, 2) ? at : SL_MIN(at, SL_BATCH_HDR + at % 200)] =
				(uint8_t)sl_rng_u64(&r);
		}
		fix_crc(n);
		uint8_t *exact = malloc(n);
		assert_non_null(exact);
		memcpy(exact, buf, n);
		ok += sl_batch_check(exact, n, true, &scratch, &info) == SL_BF_OK;
		free(exact);
	}
	printf("%d of 3000 damaged batches still parse\n", ok);
}

/* What sl_batch_check() must say of records, with the walker alone: the twin of its shortcut. */
static enum sl_batch_fault by_walking(const uint8_t *b, struct sl_batch_info *ret)
{
	struct sl_record_walk w;
	struct sl_record rec;
	int rc;

	assert_int_equal(sl_record_walk_init(&w, b, &scratch), 0);
	for (int64_t i = 0; (rc = sl_record_walk_next(&w, &rec)) == 1; i++) {
		if (rec.offset_delta != i)
			return SL_BF_RECORD;
		if (i == 0 || rec.ts > ret->max_ts) {
			ret->max_ts = rec.ts;
			ret->max_ts_offset_delta = i;
		}
		if (i == 0 || rec.ts < ret->min_ts)
			ret->min_ts = rec.ts;
		if (!rec.key.p)
			ret->null_key = true;
	}
	return rc ? SL_BF_RECORD : SL_BF_OK;
}

/* Lengths and times on both sides of what a varint of one, two and three bytes holds. */
static uint32_t mixed_batch(struct sl_rng *r)
{
	static const uint8_t bytes[9000];
	static const uint32_t len[] = {0, 1, 2, 50, 63, 64, 65, 200, 8191, 8192, 9000};
	static const int64_t ts[] = {0, 1, 63, 64, 8191, 8192, 1 << 20, -1, -65, INT64_MAX / 2};
	struct sl_hdr h = {golden_str("h"), golden_str("v")};
	struct sl_bb b;

	sl_bb_init(&b, buf, sizeof(buf));
	for (uint32_t i = 0, n = 1 + sl_rng_below(r, 70); i < n; i++) {
		struct sl_slice key = {bytes, len[sl_rng_below(r, 8)]}, value = key;
		value.len = len[sl_rng_below(r, sl_rng_below(r, 6) ? 8 : SL_ARRAY_SIZE(len))];
		if (!sl_rng_below(r, 3))
			key = (struct sl_slice){NULL, 0};
		if (!sl_rng_below(r, 9))
			value = (struct sl_slice){NULL, 0};
		if (!sl_bb_add(&b, 1000 + ts[sl_rng_below(r, SL_ARRAY_SIZE(ts))], key, value, &h,
			       !sl_rng_below(r, 5)))
			break;
	}
	return sl_bb_close(&b);
}

static void shortcut_says_what_the_walk_says(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	int bad = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		uint32_t n = mixed_batch(&r), damage = sl_rng_below(&r, 30);
		struct sl_batch_info got = {0}, want = {0};
		while (damage--) /* the records only: the header is checked elsewhere */
			buf[SL_BATCH_HDR + sl_rng_below(&r, n - SL_BATCH_HDR)] =
				(uint8_t)(sl_rng_below(&r, 2) ? sl_rng_u64(&r)
							      : sl_rng_below(&r, 4));
		fix_crc(n);
		uint8_t *exact = malloc(n); /* so that a sanitizer sees a byte read behind it */
		assert_non_null(exact);
		memcpy(exact, buf, n);
		enum sl_batch_fault f = by_walking(exact, &want);
		assert_int_equal(sl_batch_check(exact, n, true, &scratch, &got), f);
		bad += f != SL_BF_OK;
		if (f == SL_BF_OK) {
			assert_int_equal(got.max_ts, want.max_ts);
			assert_int_equal(got.max_ts_offset_delta, want.max_ts_offset_delta);
			assert_int_equal(got.min_ts, want.min_ts);
			assert_int_equal(got.null_key, want.null_key);
		}
		free(exact);
	}
	printf("%d of 4000 batches were broken\n", bad);
	assert_in_range(bad, 1000, 3500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_kafkas_batches),
		cmocka_unit_test(frame_faults_in_order),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(header_faults),
		cmocka_unit_test(record_faults),
		cmocka_unit_test(walk_stops_at_the_first_error),
		cmocka_unit_test(beyond_the_bound),
		cmocka_unit_test(sets_timestamps),
		cmocka_unit_test(damaged_batches),
		cmocka_unit_test(shortcut_says_what_the_walk_says),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
