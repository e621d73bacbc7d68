/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/record/golden.h"

#define CAP  (1u << 21)
#define POOL (1u << 18)

static struct sl_scratch scratch;
static uint8_t *pool; /* random bytes that records are cut from */

static int setup(void **state)
{
	(void)state;
	sl_scratch_init(&scratch, CAP);
	pool = malloc(POOL);
	return pool ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sl_scratch_fini(&scratch);
	free(pool);
	return 0;
}

/* Byte for byte what Kafka's MemoryRecordsBuilder makes of the same records. */
static void equals_kafkas_bytes(void **state)
{
	static uint8_t want[GOLDEN_FILE_MAX], got[GOLDEN_FILE_MAX];
	uint32_t n = golden_load("none.bin", want);

	(void)state;
	assert_int_equal(golden_build(got, sizeof(got)), n);
	assert_memory_equal(got, want, n);
}

static void header_fields(void **state)
{
	uint8_t buf[256];
	struct sl_bb b;

	(void)state;
	memset(buf, 0xa5, sizeof(buf));
	sl_bb_init(&b, buf, sizeof(buf));
	assert_true(sl_bb_add(&b, 1000, golden_str("k"), golden_str("v"), NULL, 0));
	assert_true(sl_bb_add(&b, 900, golden_str("k"), golden_str("v"), NULL, 0));
	uint32_t n = sl_bb_close(&b);
	assert_int_equal(sl_batch_total(buf), n);
	assert_int_equal(sl_batch_base_offset(buf), 0);
	assert_int_equal(sl_batch_leader_epoch(buf), -1);
	assert_int_equal(sl_batch_magic(buf), 2);
	assert_int_equal(sl_batch_attrs(buf), 0);
	assert_int_equal(sl_batch_last_delta(buf), 1);
	assert_int_equal(sl_batch_base_ts(buf), 1000);
	assert_int_equal(sl_batch_max_ts(buf), 1000);
	assert_int_equal(sl_batch_pid(buf), -1);
	assert_int_equal(sl_batch_pepoch(buf), -1);
	assert_int_equal(sl_batch_base_seq(buf), -1);
	assert_int_equal(sl_batch_count(buf), 2);
	/* what the writer sets lies outside the checksum */
	sl_batch_set_base_offset(buf, INT64_C(0x0102030405060708));
	sl_batch_set_leader_epoch(buf, 77);
	assert_int_equal(sl_batch_check(buf, n, true, &scratch, NULL), SL_BF_OK);
	assert_int_equal(sl_batch_last_offset(buf), INT64_C(0x0102030405060709));
}

/* Lengths on both sides of each varint's step. */
static const uint32_t edges[] = {0,    1,    62,   63,   64,    65,    126,     127,    128,
				 8190, 8191, 8192, 8193, 16383, 16384, 1048575, 1048576};
static const int64_t ts_edges[] = {0,
				   1,
				   63,
				   64,
				   -64,
				   -65,
				   8191,
				   8192,
				   1 << 20,
				   -(1 << 27),
				   INT64_C(1) << 34,
				   INT64_C(1) << 41,
				   -(INT64_C(1) << 48),
				   INT64_C(1) << 55,
				   INT64_MAX,
				   INT64_MIN};

static void one_record(uint32_t klen, uint32_t vlen, int64_t dts, const struct sl_hdr *h,
		       unsigned nh)
{
	static uint8_t payload[1048576 + 16];
	struct sl_slice key = {payload, klen}, val = {payload + 1, vlen};
	uint32_t bound = sl_bb_bound(klen, vlen, h, nh);
	uint32_t cap = SL_BATCH_HDR + sl_bb_bound(0, 0, NULL, 0) + 64 + bound;
	uint8_t *buf = malloc(cap);
	struct sl_bb b, before;

	assert_non_null(buf);
	sl_bb_init(&b, buf, cap);
	assert_true(
		sl_bb_add(&b, 0, (struct sl_slice){NULL, 0}, (struct sl_slice){NULL, 0}, NULL, 0));
	assert_int_equal(b.len, SL_BATCH_HDR + 7); /* seven one-byte fields */
	b.cap = b.len + bound - 1; /* one less than the bound: refused, nothing changed */
	before = b;
	assert_false(sl_bb_add(&b, dts, key, val, h, nh));
	assert_memory_equal(&b, &before, sizeof(b));
	b.cap++;
	assert_true(sl_bb_add(&b, dts, key, val, h, nh));
	assert_true(b.len - before.len <= bound);
	uint32_t n = sl_bb_close(&b);

	struct sl_record_walk w;
	struct sl_record rec;
	assert_int_equal(sl_batch_check(buf, n, true, &scratch, NULL), SL_BF_OK);
	assert_int_equal(sl_record_walk_init(&w, buf, &scratch), 0);
	assert_int_equal(sl_record_walk_next(&w, &rec), 1);
	assert_int_equal(sl_record_walk_next(&w, &rec), 1);
	assert_int_equal(rec.ts, dts);
	golden_same(rec.key, key);
	golden_same(rec.value, val);
	assert_int_equal(rec.hdr_cnt, nh);
	for (unsigned i = 0; i < SL_MIN(nh, SL_FRAME_HDRS_MAX); i++) {
		golden_same(rec.hdr[i].name, h[i].name);
		golden_same(rec.hdr[i].value, h[i].value);
	}
	assert_int_equal(sl_record_walk_next(&w, &rec), 0);
	free(buf);
}

static void every_edge(void **state)
{
	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(edges); i++) {
		struct sl_hdr h = {{pool, SL_MIN(edges[i], POOL)}, {pool, SL_MIN(edges[i], POOL)}};

		one_record(edges[i], 3, 1, NULL, 0);
		one_record(3, edges[i], 1, NULL, 0);
		one_record(3, 3, 1, &h, 1);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(ts_edges); i++)
		one_record(4, 100, ts_edges[i], NULL, 0);
}

static void many_headers(void **state)
{
	struct sl_hdr h[130];

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(h); i++) {
		h[i].name = (struct sl_slice){pool, i};
		h[i].value = (struct sl_slice){i % 3 ? pool + i : NULL, i % 3 ? i : 0};
	}
	for (unsigned n = 0; n <= SL_ARRAY_SIZE(h); n++)
		one_record(5, 50, -1, h, n);
}

/* ---- random batches against the walker --------------------------------------------------- */

struct drawn {
	int64_t ts;
	struct sl_slice key, val;
	unsigned nh;
	struct sl_hdr h[SL_FRAME_HDRS_MAX];
};

static struct sl_slice draw(struct sl_rng *r, uint32_t most, unsigned null_in)
{
	uint32_t len = sl_rng_below(r, 4) ? sl_rng_below(r, SL_MIN(most, 300) + 1)
					  : sl_rng_below(r, most + 1);

	if (null_in && sl_rng_below(r, null_in) == 0)
		return (struct sl_slice){NULL, 0};
	return (struct sl_slice){pool + sl_rng_below(r, POOL - len), len};
}

static void draw_record(struct sl_rng *r, struct drawn *d)
{
	d->ts = GOLDEN_T + (int64_t)sl_rng_below(r, 100000) - 50000;
	d->key = draw(r, 2000, 4);
	d->val = draw(r, 20000, 8);
	d->nh = sl_rng_below(r, 3) ? 0 : sl_rng_below(r, SL_FRAME_HDRS_MAX + 1);
	for (unsigned i = 0; i < d->nh; i++) {
		d->h[i].name = draw(r, 200, 0);
		d->h[i].value = draw(r, 2000, 4);
	}
}

static void compare(const uint8_t *buf, const struct drawn *d, uint32_t cnt)
{
	struct sl_record_walk w;
	struct sl_record rec;

	assert_int_equal(sl_record_walk_init(&w, buf, &scratch), 0);
	for (uint32_t i = 0; i < cnt; i++) {
		assert_int_equal(sl_record_walk_next(&w, &rec), 1);
		assert_int_equal(rec.offset_delta, i);
		assert_int_equal(rec.ts, d[i].ts);
		golden_same(rec.key, d[i].key);
		golden_same(rec.value, d[i].val);
		assert_int_equal(rec.hdr_cnt, d[i].nh);
		for (unsigned k = 0; k < d[i].nh; k++) {
			golden_same(rec.hdr[k].name, d[i].h[k].name);
			golden_same(rec.hdr[k].value, d[i].h[k].value);
		}
	}
	assert_int_equal(sl_record_walk_next(&w, &rec), 0);
}

#define RECORDS_MAX 4096

static void random_batches(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	struct drawn *d = calloc(RECORDS_MAX, sizeof(*d));

	(void)state;
	assert_non_null(d);
	sl_rng_fill(&r, pool, POOL);
	for (int round = 0; round < 60; round++) {
		uint32_t cap = 200 + sl_rng_below(&r, round % 4 ? 30000 : 500000);
		uint8_t *buf = malloc(cap); /* exactly: a sanitizer sees any byte beyond */
		struct sl_batch_info info;
		struct sl_bb b;
		uint32_t n = 0;

		assert_non_null(buf);
		sl_bb_init(&b, buf, cap);
		do {
			draw_record(&r, &d[n]);
			uint32_t bound = sl_bb_bound(d[n].key.len, d[n].val.len, d[n].h, d[n].nh);
			bool fits = b.len + bound <= cap;
			uint32_t len = b.len;

			assert_int_equal(
				sl_bb_add(&b, d[n].ts, d[n].key, d[n].val, d[n].h, d[n].nh), fits);
			assert_in_range(b.len - len, 0, bound);
			if (!fits && n)
				break;
			n += fits;
		} while (n < RECORDS_MAX);
		assert_int_equal(b.cnt, n);
		uint32_t total = sl_bb_close(&b);
		int64_t max_ts = INT64_MIN;
		bool null_key = false;

		for (uint32_t i = 0; i < n; i++) {
			max_ts = SL_MAX(max_ts, d[i].ts);
			null_key |= !d[i].key.p;
		}
		assert_int_equal(sl_batch_check(buf, total, true, &scratch, &info), SL_BF_OK);
		assert_int_equal(info.total, total);
		assert_int_equal(info.count, n);
		assert_int_equal(info.max_ts, max_ts);
		assert_int_equal(sl_batch_max_ts(buf), max_ts);
		assert_int_equal(d[info.max_ts_offset_delta].ts, max_ts);
		assert_int_equal(info.null_key, null_key);
		compare(buf, d, n);
		free(buf);
	}
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_kafkas_bytes), cmocka_unit_test(header_fields),
		cmocka_unit_test(every_edge),          cmocka_unit_test(many_headers),
		cmocka_unit_test(random_batches),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
