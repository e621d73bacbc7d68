/* SPDX-License-Identifier: Apache-2.0 */
#include "position.h"

#include <errno.h>

#include "platform/base/sl_test.h"

#define TOKEN_A "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
#define TOKEN_B "ffffffffffffffffffffffffffffffff"
#define ID_HEX  "00010203040506070809aabbccddeeff"
#define KEY     "gw-01/" ID_HEX "/3"

/* A position with each member in its place, in the order of the table. */
#define VAL(v, gw, topic, id, part, off, epoch, first, sums)                                       \
	"{\"v\":" v ",\"gateway\":" gw ",\"topic\":" topic ",\"topic_id\":" id                     \
	",\"partition\":" part ",\"offset\":" off ",\"leader_epoch\":" epoch                       \
	",\"instance\":\"" TOKEN_A "\",\"previous\":\"\",\"first\":" first "," sums "}"
#define SUMS "\"forwarded\":90,\"dead_letter\":1,\"evicted_unsent\":2,\"missing\":7"
#define GOOD VAL("1", "\"gw-01\"", "\"logs\"", "\"" ID_HEX "\"", "3", "120", "2", "20", SUMS)

static const uint8_t topic_id[16] = {0, 1, 2,    3,    4,    5,    6,    7,
				     8, 9, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static struct sl_position a_position(void)
{
	struct sl_position p = {.gateway = "gw-01",
				.topic = "logs",
				.partition = 3,
				.offset = 120,
				.leader_epoch = 2,
				.instance = TOKEN_A,
				.first = 20,
				.forwarded = 90,
				.dead_letter = 1,
				.evicted_unsent = 2,
				.missing = 7};

	memcpy(p.topic_id, topic_id, 16);
	return p;
}

static int decode(const char *key, const char *val, enum sl_pos_kind *kind, struct sl_position *pos)
{
	struct sl_claim claim;

	return sl_pos_decode("gw-01", str(key), str(val), kind, &claim, pos);
}

/* ---- there and back -------------------------------------------------------------------------- */

static void same_position(const struct sl_position *a, const struct sl_position *b)
{
	assert_string_equal(a->gateway, b->gateway);
	assert_string_equal(a->topic, b->topic);
	assert_memory_equal(a->topic_id, b->topic_id, 16);
	assert_int_equal(a->partition, b->partition);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->leader_epoch, b->leader_epoch);
	assert_string_equal(a->instance, b->instance);
	assert_string_equal(a->previous, b->previous);
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->forwarded, b->forwarded);
	assert_int_equal(a->dead_letter, b->dead_letter);
	assert_int_equal(a->evicted_unsent, b->evicted_unsent);
	assert_int_equal(a->missing, b->missing);
}

static void position_there_and_back(void **state)
{
	struct sl_position p = a_position(), q = {0};
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];
	enum sl_pos_kind kind = SL_POS_OTHER;

	(void)state;
	int n = sl_position_encode(&p, key, sizeof(key), val, sizeof(val));
	assert_int_equal(n, strlen(val));
	assert_string_equal(key, KEY);
	assert_string_equal(val, GOOD);
	assert_int_equal(decode(key, val, &kind, &q), 0);
	assert_int_equal(kind, SL_POS_POSITION);
	same_position(&p, &q);
}

static void the_largest_fits(void **state)
{
	struct sl_position p = a_position(), q = {0};
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];
	enum sl_pos_kind kind = SL_POS_OTHER;
	struct sl_claim claim;

	(void)state;
	memset(p.gateway, 'g', SL_CFG_NAME_MAX - 1);
	memset(p.topic, 't', SL_TOPIC_NAME_MAX);
	strcpy(p.previous, TOKEN_B);
	p.partition = SL_PARTITIONS_MAX - 1;
	p.leader_epoch = INT32_MAX;
	p.offset = INT64_MAX;
	p.first = 0;
	p.forwarded = INT64_MAX;
	p.dead_letter = p.evicted_unsent = p.missing = 0;
	int n = sl_position_encode(&p, key, sizeof(key), val, sizeof(val));
	assert_true(n > 0);
	assert_int_equal(sl_pos_decode(p.gateway, str(key), str(val), &kind, &claim, &q), 0);
	same_position(&p, &q);
	/* and one byte less does not */
	assert_int_equal(sl_position_encode(&p, key, sizeof(key), val, (size_t)n), -EMSGSIZE);
	assert_int_equal(sl_position_encode(&p, key, strlen(key), val, sizeof(val)), -EMSGSIZE);
	for (size_t cap = 0; cap < (size_t)n; cap++)
		assert_int_equal(sl_position_encode(&p, key, sizeof(key), val, cap), -EMSGSIZE);
}

static void claim_there_and_back(void **state)
{
	struct sl_claim c = {.gateway = "gw-01",
			     .instance = TOKEN_A,
			     .previous = TOKEN_B,
			     .adopted = true,
			     .since_ms = 1700000000123},
			d = {0};
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];
	enum sl_pos_kind kind = SL_POS_OTHER;
	struct sl_position pos;

	(void)state;
	int n = sl_claim_encode(&c, key, sizeof(key), val, sizeof(val));
	assert_int_equal(n, strlen(val));
	assert_string_equal(key, "gw-01");
	assert_string_equal(val, "{\"v\":1,\"gateway\":\"gw-01\",\"instance\":\"" TOKEN_A
				 "\",\"previous\":\"" TOKEN_B
				 "\",\"adopted\":true,\"since_ms\":1700000000123}");
	assert_int_equal(sl_pos_decode("gw-01", str(key), str(val), &kind, &d, &pos), 0);
	assert_int_equal(kind, SL_POS_CLAIM);
	assert_string_equal(d.gateway, c.gateway);
	assert_string_equal(d.instance, c.instance);
	assert_string_equal(d.previous, c.previous);
	assert_true(d.adopted);
	assert_int_equal(d.since_ms, c.since_ms);
	assert_int_equal(sl_claim_encode(&c, key, 5, val, sizeof(val)), -EMSGSIZE);
	assert_int_equal(sl_claim_encode(&c, key, sizeof(key), val, 10), -EMSGSIZE);
}

/* ---- whose they are -------------------------------------------------------------------------- */

static void keys_of_others(void **state)
{
	static const char *const others[] = {"",
					     "gw-0",
					     "gw-011",
					     "gw-011/" ID_HEX "/3",
					     "GW-01",
					     "/",
					     "gw-02/" ID_HEX "/3",
					     "xgw-01",
					     " gw-01"};
	enum sl_pos_kind kind;
	struct sl_position pos;
	struct sl_claim claim;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(others); i++) {
		kind = SL_POS_CLAIM;
		assert_int_equal(decode(others[i], "junk", &kind, &pos), 0);
		assert_int_equal(kind, SL_POS_OTHER);
	}
	kind = SL_POS_CLAIM;
	assert_int_equal(
		sl_pos_decode("gw-01", (struct sl_slice){NULL, 0}, str(GOOD), &kind, &claim, &pos),
		0);
	assert_int_equal(kind, SL_POS_OTHER);
	/* a tombstone */
	kind = SL_POS_CLAIM;
	assert_int_equal(
		sl_pos_decode("gw-01", str(KEY), (struct sl_slice){NULL, 0}, &kind, &claim, &pos),
		0);
	assert_int_equal(kind, SL_POS_OTHER);
	assert_true(sl_pos_key_ours("gw-01", str(KEY)));
	assert_true(sl_pos_key_ours("gw-01", str("gw-01/")));
	assert_false(sl_pos_key_ours("gw-01", str("gw-01x")));
}

static void keys_of_ours_that_are_wrong(void **state)
{
	static const char *const keys[] = {
		"gw-01/",
		"gw-01/" ID_HEX,
		"gw-01/" ID_HEX "/",
		"gw-01/" ID_HEX "/4",
		"gw-01/" ID_HEX "/03",
		"gw-01/" ID_HEX "/3 ",
		"gw-01/" ID_HEX "/3/3",
		"gw-01/00010203040506070809AABBCCDDEEFF/3",
		"gw-01/00010203040506070809aabbccddeef0/3",
	};
	struct sl_position pos = {.offset = 77};
	enum sl_pos_kind kind;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(keys); i++) {
		assert_int_equal(decode(keys[i], GOOD, &kind, &pos), -EILSEQ);
		assert_int_equal(pos.offset, 77); /* untouched */
	}
	assert_int_equal(decode("gw-01", GOOD, &kind, &pos), -EILSEQ); /* not a claim */
}

/* ---- values ---------------------------------------------------------------------------------- */

static void values_that_are_good(void **state)
{
	static const char *const vals[] = {
		" \t\r\n" GOOD " \n",
		VAL(" 1 ", "\"gw-01\"", "\"logs\"", "\"" ID_HEX "\"", "\t3", "120", "-1", "20",
		    SUMS),
		/* members of a later version */
		VAL("1", "\"gw-01\"", "\"logs\"", "\"" ID_HEX "\"", "3", "120", "2", "20",
		    SUMS ",\"x\":\"y\",\"y\":-12,\"\":true , \"z\" : false"),
		/* another order */
		"{" SUMS ",\"first\":20,\"previous\":\"" TOKEN_B "\",\"instance\":\"" TOKEN_A
		"\",\"leader_epoch\":0,\"offset\":120,\"partition\":3,\"topic_id\":\"" ID_HEX
		"\",\"topic\":\"logs\",\"gateway\":\"gw-01\",\"v\":1}",
	};
	struct sl_position pos;
	enum sl_pos_kind kind;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(vals); i++) {
		memset(&pos, 0, sizeof(pos));
		assert_int_equal(decode(KEY, vals[i], &kind, &pos), 0);
		assert_int_equal(pos.offset, 120);
		assert_int_equal(pos.missing, 7);
	}
}

#define G  "\"gw-01\""
#define T  "\"logs\""
#define ID "\"" ID_HEX "\""

static void values_that_are_hostile(void **state)
{
	static const char *const vals[] = {
		"",
		" ",
		"{",
		"{}",
		"null",
		"[]",
		"\"\"",
		"1",
		"{\"v\":1}",
		"{\"v\":1,}",
		"{,}",
		GOOD "}",
		GOOD GOOD,
		GOOD "x",
		VAL("2", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("0", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("\"1\"", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("1.0", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("1e0", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("01", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("+1", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("", G, T, ID, "3", "120", "2", "20", SUMS),
		VAL("1", "\"gw-02\"", T, ID, "3", "120", "2", "20", SUMS),
		VAL("1", "\"gw-01\\u0020\"", T, ID, "3", "120", "2", "20", SUMS),
		VAL("1", "gw-01", T, ID, "3", "120", "2", "20", SUMS),
		VAL("1", "null", T, ID, "3", "120", "2", "20", SUMS),
		VAL("1", G, "\"\"", ID, "3", "120", "2", "20", SUMS),
		VAL("1", G, "\"..\"", ID, "3", "120", "2", "20", SUMS),
		VAL("1", G, "\"a/b\"", ID, "3", "120", "2", "20", SUMS),
		VAL("1", G, "\"lo\ngs\"", ID, "3", "120", "2", "20", SUMS),
		VAL("1", G, "\"logs", ID, "3", "120", "2", "20", SUMS),
		VAL("1", G, T, "\"\"", "3", "120", "2", "20", SUMS),
		VAL("1", G, T, "\"00010203040506070809aabbccddeefg\"", "3", "120", "2", "20", SUMS),
		VAL("1", G, T, "\"00010203040506070809AABBCCDDEEFF\"", "3", "120", "2", "20", SUMS),
		VAL("1", G, T, "\"" ID_HEX "00\"", "3", "120", "2", "20", SUMS),
		VAL("1", G, T, ID, "-3", "120", "2", "20", SUMS),
		VAL("1", G, T, ID, "4096", "120", "2", "20", SUMS),
		VAL("1", G, T, ID, "4294967299", "120", "2", "20", SUMS),
		VAL("1", G, T, ID, "3", "-120", "2", "20", SUMS),
		VAL("1", G, T, ID, "3", "9223372036854775808", "2", "20", SUMS),
		VAL("1", G, T, ID, "3", "99999999999999999999999999999999999999", "2", "20", SUMS),
		VAL("1", G, T, ID, "3", "120", "-2", "20", SUMS),
		VAL("1", G, T, ID, "3", "120", "2147483648", "20", SUMS),
		VAL("1", G, T, ID, "3", "120", "-0", "20", SUMS),
		VAL("1", G, T, ID, "3", "120", "-", "20", SUMS),
		VAL("1", G, T, ID, "3", "120", "2", "121", SUMS),
		VAL("1", G, T, ID, "3", "120", "2", "19", SUMS),
		VAL("1", G, T, ID, "3", "120", "2", "20",
		    "\"forwarded\":-1,\"dead_letter\":92,\"evicted_unsent\":2,\"missing\":7"),
		VAL("1", G, T, ID, "3", "120", "2", "20",
		    "\"forwarded\":9223372036854775807,\"dead_letter\":9223372036854775807,"
		    "\"evicted_unsent\":95,\"missing\":7"),
		VAL("1", G, T, ID, "3", "120", "2", "20",
		    "\"forwarded\":90,\"dead_letter\":1,\"evicted_unsent\":2"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"missing\":7"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"x\":{}"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"x\":[1]"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"x\":null"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"x\":tru"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"x\""),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",x:1"),
		VAL("1", G, T, ID, "3", "120", "2", "20", SUMS ",\"x\":\"a\\\""),
		/* tokens */
		"{\"v\":1,\"gateway\":\"gw-01\",\"topic\":\"logs\",\"topic_id\":" ID
		",\"partition\":3,\"offset\":120,\"leader_epoch\":2,\"instance\":\"\",\"previous\":"
		"\"\",\"first\":20," SUMS "}",
		"{\"v\":1,\"gateway\":\"gw-01\",\"topic\":\"logs\",\"topic_id\":" ID
		",\"partition\":3,\"offset\":120,\"leader_epoch\":2,\"instance\":\"" TOKEN_A
		"\",\"previous\":\"zz\",\"first\":20," SUMS "}",
	};
	struct sl_position pos = {.offset = 77};
	enum sl_pos_kind kind;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(vals); i++) {
		if (decode(KEY, vals[i], &kind, &pos) != -EILSEQ)
			fail_msg("taken: %s", vals[i]);
		assert_int_equal(pos.offset, 77);
	}
}

static void claims_that_are_hostile(void **state)
{
#define CL(gw, inst, prev, adopted, since)                                                         \
	"{\"v\":1,\"gateway\":" gw ",\"instance\":" inst ",\"previous\":" prev                     \
	",\"adopted\":" adopted ",\"since_ms\":" since "}"
	static const char *const vals[] = {
		GOOD,
		CL("\"gw-02\"", "\"" TOKEN_A "\"", "\"\"", "false", "1"),
		CL(G, "\"\"", "\"\"", "false", "1"),
		CL(G, "\"" TOKEN_A "0\"", "\"\"", "false", "1"),
		CL(G, "\"" TOKEN_A "\"", "\"a\"", "false", "1"),
		CL(G, "\"" TOKEN_A "\"", "\"\"", "0", "1"),
		CL(G, "\"" TOKEN_A "\"", "\"\"", "False", "1"),
		CL(G, "\"" TOKEN_A "\"", "\"\"", "false", "-1"),
		CL(G, "\"" TOKEN_A "\"", "\"\"", "false", "\"1\""),
	};
	struct sl_claim claim = {.since_ms = 5};
	struct sl_position pos;
	enum sl_pos_kind kind;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(vals); i++) {
		if (sl_pos_decode("gw-01", str("gw-01"), str(vals[i]), &kind, &claim, &pos) !=
		    -EILSEQ)
			fail_msg("taken: %s", vals[i]);
		assert_int_equal(claim.since_ms, 5);
	}
	assert_int_equal(sl_pos_decode("gw-01", str("gw-01"),
				       str(CL(G, "\"" TOKEN_A "\"", "\"\"", "false", "1")), &kind,
				       &claim, &pos),
			 0);
}

/* From an exact allocation, so that the sanitizer sees a byte read beyond it. */
static int decode_exact(const char *val, size_t len, struct sl_position *pos)
{
	uint8_t *p = malloc(len ? len : 1);
	enum sl_pos_kind kind;
	struct sl_claim claim;

	assert_non_null(p);
	memcpy(p, val, len);
	int rc = sl_pos_decode("gw-01", str(KEY), (struct sl_slice){p, (uint32_t)len}, &kind,
			       &claim, pos);
	free(p);
	return rc;
}

static void cut_and_flipped(void **state)
{
	struct sl_rng rng = sl_rng_from(sl_test_seed());
	const size_t len = strlen(GOOD);
	struct sl_position pos;
	char buf[sizeof(GOOD)];

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(decode_exact(GOOD, n, &pos), -EILSEQ);
	assert_int_equal(decode_exact(GOOD, len, &pos), 0);
	for (int i = 0; i < 20000; i++) {
		memcpy(buf, GOOD, sizeof(buf));
		for (uint32_t k = 0; k <= sl_rng_below(&rng, 3); k++)
			buf[sl_rng_below(&rng, (uint32_t)len)] = (char)sl_rng_u64(&rng);
		int rc = decode_exact(buf, len, &pos);
		assert_true(rc == 0 || rc == -EILSEQ);
		if (rc == 0) { /* then it holds what it must */
			assert_string_equal(pos.gateway, "gw-01");
			assert_int_equal(pos.offset - pos.first, pos.forwarded + pos.dead_letter +
									 pos.evicted_unsent +
									 pos.missing);
		}
	}
}

static void too_long(void **state)
{
	char val[SL_POS_VALUE_MAX + 2];
	struct sl_position pos;

	(void)state;
	memset(val, ' ', sizeof(val));
	memcpy(val, GOOD, strlen(GOOD));
	assert_int_equal(decode_exact(val, SL_POS_VALUE_MAX, &pos), 0);
	assert_int_equal(decode_exact(val, SL_POS_VALUE_MAX + 1, &pos), -EILSEQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(position_there_and_back),
		cmocka_unit_test(the_largest_fits),
		cmocka_unit_test(claim_there_and_back),
		cmocka_unit_test(keys_of_others),
		cmocka_unit_test(keys_of_ours_that_are_wrong),
		cmocka_unit_test(values_that_are_good),
		cmocka_unit_test(values_that_are_hostile),
		cmocka_unit_test(claims_that_are_hostile),
		cmocka_unit_test(cut_and_flipped),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
