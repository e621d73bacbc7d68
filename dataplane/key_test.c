/* SPDX-License-Identifier: Apache-2.0 */
#include "key.h"

#include <arpa/inet.h>

#include "platform/base/sl_test.h"

static struct sl_key_cache *cache_new(void)
{
	struct sl_key_cache *c = aligned_alloc(SL_CACHELINE, sizeof(*c));

	memset(c, 0, sizeof(*c));
	return c;
}

static const char *text(const uint8_t *a, uint8_t family)
{
	static char buf[SL_ADDR_TEXT_MAX + 1];

	buf[sl_addr_text(a, family, buf)] = 0;
	return buf;
}

/* RFC 5952: every "must" and "should" of sections 4 and 5. */
static void addresses(SL_UNUSED void **st)
{
	static const char *const as_is[] = {
		"::",
		"::1",
		"1::",
		"2001:db8::1",
		"2001:db8::1:0:0:1",
		"2001:db8:0:1:1:1:1:1",
		"2001:db8::aaaa",
		"2001:0:0:1::1",
		"fe80::1:2",
		"1:2:3:4:5:6:7:8",
		"::ffff:192.0.2.1",
		"1:0:2::",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};
	static const char *const v4[] = {"0.0.0.0", "1.2.3.4", "10.77.0.1", "99.100.101.200",
					 "255.255.255.255"};
	uint8_t a[16];

	for (size_t i = 0; i < SL_ARRAY_SIZE(as_is); i++) {
		assert_int_equal(inet_pton(AF_INET6, as_is[i], a), 1);
		assert_string_equal(text(a, 6), as_is[i]);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(v4); i++) {
		assert_int_equal(inet_pton(AF_INET, v4[i], a), 1);
		assert_string_equal(text(a, 4), v4[i]);
	}
}

static void round_trip(SL_UNUSED void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t a[16], b[16];

	for (unsigned i = 0; i < 20000; i++) {
		sl_rng_fill(&r, a, sizeof(a));
		for (unsigned k = 0; k < 8; k++) /* many zero groups */
			if (sl_rng_below(&r, 2))
				a[2 * k] = a[2 * k + 1] = 0;
		assert_int_equal(inet_pton(AF_INET6, text(a, 6), b), 1);
		assert_memory_equal(a, b, 16);
	}
}

/* Four senders of one set: the two that came too late find a place elsewhere, and all stay. */
static void crowded_set(SL_UNUSED void **st)
{
	struct sl_key_cache *c = cache_new();
	struct sl_source4 *first = NULL;
	const uint8_t *at[4];
	uint32_t addr[4];
	unsigned n = 0;

	for (uint32_t a = 0x0100000a; n < 4; a += 0x01000000 + (a >= 0xff000000)) {
		struct sl_source4 *set = sl_key_set4(c, a);
		first = first ? first : set;
		if (set == first)
			addr[n++] = a;
	}
	for (unsigned round = 0; round < 4; round++)
		for (unsigned i = 0; i < 4; i++) {
			uint8_t b[4];
			memcpy(b, &addr[i], 4);
			struct sl_key k = sl_key_source(c, b, 4);
			assert_int_equal(k.key.len, strlen(text(b, 4)));
			assert_memory_equal(k.key.p, text(b, 4), k.key.len);
			assert_int_equal(k.hash, sl_murmur2(k.key.p, k.key.len));
			if (round > 1) /* a set's first sender moved over for its second */
				assert_ptr_equal(k.key.p, at[i]);
			at[i] = k.key.p;
		}
	free(c);
}

static void cache(SL_UNUSED void **st)
{
	struct sl_key_cache *c = cache_new();
	uint8_t a[16] = {10, 77};

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 20000; i++) { /* ten times what it holds */
			a[2] = (uint8_t)(i >> 8);
			a[3] = (uint8_t)i;
			struct sl_key s = sl_key_source(c, a, i & 1 ? 6 : 4);
			const char *want = text(a, i & 1 ? 6 : 4);
			assert_int_equal(s.key.len, strlen(want));
			assert_memory_equal(s.key.p, want, s.key.len);
			assert_int_equal(s.hash, sl_murmur2(want, s.key.len));
			assert_ptr_equal(sl_key_source(c, a, i & 1 ? 6 : 4).key.p, s.key.p);
		}
	free(c);
}

static void rules(SL_UNUSED void **st)
{
	struct sl_key_cache *c = cache_new();
	static const uint8_t addr[4] = {10, 0, 0, 7};
	struct sl_pkt pkt = {.payload = SL_LIT("0123456789"), .src = addr, .family = 4};
	struct sl_slice host = SL_LIT("web-1"), no_host = {NULL, 0};
	struct sl_key_rule_cfg r = {.rule = SL_KEY_SOURCE};
	bool missing = false;
#define KEY(h) sl_key_of(&r, c, &pkt, h, &missing)
#define IS(k, s)                                                                                   \
	(assert_int_equal((k).key.len, strlen(s)), assert_memory_equal((k).key.p, s, strlen(s)),   \
	 assert_int_equal((k).hash, sl_murmur2(s, strlen(s))))

	IS(KEY(host), "10.0.0.7");
	r.rule = SL_KEY_HOST;
	IS(KEY(host), "web-1");
	assert_false(missing);
	IS(KEY(no_host), "10.0.0.7");
	assert_true(missing);
	missing = false;
	r = (struct sl_key_rule_cfg){SL_KEY_SLICE, 4, 6};
	IS(KEY(host), "456789");
	assert_false(missing);
	r.slice_len = 7;
	IS(KEY(host), "10.0.0.7");
	assert_true(missing);
	missing = false;
	r = (struct sl_key_rule_cfg){SL_KEY_SLICE, 65535, 65535};
	IS(KEY(host), "10.0.0.7");
	assert_true(missing);
	missing = false;
	r.rule = SL_KEY_NONE;
	assert_null(KEY(host).key.p);
	assert_false(missing);
	free(c);
}

static void fastmod(SL_UNUSED void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());

	for (uint32_t d = 1; d <= SL_PARTITIONS_MAX; d++) {
		struct sl_fastmod f = sl_fastmod_for(d);
		const uint32_t edges[] = {0,     1,          d - 1,      d,
					  d + 1, 0x7fffffff, 0x80000000, UINT32_MAX};
		for (size_t i = 0; i < SL_ARRAY_SIZE(edges); i++)
			assert_int_equal(sl_partition_fast(edges[i], &f),
					 sl_partition_for(edges[i], d));
		for (unsigned i = 0; i < 50; i++) {
			uint32_t h = (uint32_t)sl_rng_u64(&r);
			assert_int_equal(sl_partition_fast(h, &f), sl_partition_for(h, d));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(round_trip),
		cmocka_unit_test(cache),     cmocka_unit_test(rules),
		cmocka_unit_test(fastmod),   cmocka_unit_test(crowded_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
