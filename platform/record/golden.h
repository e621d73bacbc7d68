/* SPDX-License-Identifier: Apache-2.0 */
/* golden.h - the records of tests/vectors/record (see Gen.java there), for the unit tests. */
#ifndef SL_RECORD_GOLDEN_H
#define SL_RECORD_GOLDEN_H

#include "platform/base/sl_test.h"
#include "platform/record/check.h"

#ifndef SL_VECTORS
#define SL_VECTORS "tests/vectors/record"
#endif

#define GOLDEN_T        INT64_C(1769860800000)
#define GOLDEN_CNT      7
#define GOLDEN_BIG      40000
#define GOLDEN_FILE_MAX 65536

static inline struct sl_slice golden_str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

#define S(s)                                                                                       \
	{                                                                                          \
		.p = (const uint8_t *)(s), .len = sizeof(s) - 1                                    \
	}
#define MANY(n)                                                                                    \
	{                                                                                          \
		S("h" n), S("v")                                                                   \
	}

struct golden_record {
	int64_t ts;
	struct sl_slice key, value;
	uint32_t nh;
	struct sl_hdr h[20];
};

static const struct golden_record golden[GOLDEN_CNT] = {
	{GOLDEN_T,
	 S("10.77.0.1"),
	 S("<34>1 2026-01-31T12:00:00Z web01 app - - - hello"),
	 0,
	 {{{0}, {0}}}},
	{GOLDEN_T + 5, {NULL, 0}, S("no key"), 0, {{{0}, {0}}}},
	{GOLDEN_T - 3, S("k"), {NULL, 0}, 0, {{{0}, {0}}}},
	{GOLDEN_T + 5, S(""), S(""), 0, {{{0}, {0}}}},
	{GOLDEN_T + 2,
	 S("h"),
	 S("headers"),
	 4,
	 {{S("facility"), S("4")},
	  {S("null"), {NULL, 0}},
	  {S("empty"), S("")},
	  {S(""), S("no name")}}},
	{GOLDEN_T + 4, S("\xff\0\x80"), {NULL, GOLDEN_BIG}, 0, {{{0}, {0}}}}, /* golden_value() */
	{GOLDEN_T + 1, S("many"), {NULL, 0}, 20, {MANY("00"), MANY("01"), MANY("02"), MANY("03"),
						  MANY("04"), MANY("05"), MANY("06"), MANY("07"),
						  MANY("08"), MANY("09"), MANY("10"), MANY("11"),
						  MANY("12"), MANY("13"), MANY("14"), MANY("15"),
						  MANY("16"), MANY("17"), MANY("18"), MANY("19")}},
};
#undef S
#undef MANY

static inline struct sl_slice golden_value(int i)
{
	static uint8_t big[GOLDEN_BIG];

	if (golden[i].value.len != GOLDEN_BIG)
		return golden[i].value;
	for (int k = 0; k < GOLDEN_BIG; k++)
		big[k] = (uint8_t)(k * 7 + k / 251);
	return (struct sl_slice){big, GOLDEN_BIG};
}

static inline void golden_same(struct sl_slice a, struct sl_slice b)
{
	assert_int_equal(!a.p, !b.p);
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.p, b.p, a.len);
}

/* ts INT64_MIN: the golden one */
static inline void golden_check(int i, const struct sl_record *r, int64_t ts)
{
	assert_int_equal(r->offset_delta, i);
	assert_int_equal(r->ts, ts == INT64_MIN ? golden[i].ts : ts);
	golden_same(r->key, golden[i].key);
	golden_same(r->value, golden_value(i));
	assert_int_equal(r->hdr_cnt, golden[i].nh);
	for (uint32_t k = 0; k < SL_MIN(r->hdr_cnt, SL_FRAME_HDRS_MAX); k++) {
		golden_same(r->hdr[k].name, golden[i].h[k].name);
		golden_same(r->hdr[k].value, golden[i].h[k].value);
	}
}

static inline uint32_t golden_load(const char *name, uint8_t *buf)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", SL_VECTORS, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("cannot open %s", path);
	size_t n = fread(buf, 1, GOLDEN_FILE_MAX, f);
	fclose(f);
	return (uint32_t)n;
}

/* The golden records through our builder, uncompressed. */
static inline uint32_t golden_build(uint8_t *buf, uint32_t cap)
{
	struct sl_bb b;

	sl_bb_init(&b, buf, cap);
	for (int i = 0; i < GOLDEN_CNT; i++)
		assert_true(sl_bb_add(&b, golden[i].ts, golden[i].key, golden_value(i), golden[i].h,
				      golden[i].nh));
	return sl_bb_close(&b);
}

#endif
