/* SPDX-License-Identifier: Apache-2.0 */
#include "classify.h"

#include <errno.h>

#include "platform/base/sl_test.h"
#include "test_frames.h"

/* Port 0: two addresses of each family, any on 6000, a group and a broadcast address. */
static const struct sl_cfg_listener listeners[] = {
	{.port = 0, .addr = {4, {10, 77, 0, 1}}, .udp = 5514},
	{.port = 0, .addr = {6, {0xfd, 0, [15] = 1}}, .udp = 5514},
	{.port = 0, .udp = 6000},
	{.port = 0, .addr = {4, {239, 1, 2, 3}}, .udp = 5514},
	{.port = 0, .addr = {4, {10, 77, 0, 255}}, .udp = 5514},
	{.port = 1, .addr = {4, {10, 77, 0, 1}}, .udp = 7000},
	{.port = 0, .addr = {6, {0xff, 2, [15] = 9}}, .udp = 5514},
	{.port = 0, .addr = {4, {10, 77, 0, 2}}, .udp = 5515},
};
enum { L_V4, L_V6, L_ANY, L_GROUP, L_BCAST, L_OTHER_PORT, L_GROUP6, L_V4_B };

static struct sl_classifier *make(bool partial, bool all)
{
	struct sl_cls_cfg cfg = {.listener = listeners,
				 .listener_cnt = SL_ARRAY_SIZE(listeners),
				 .trust_partial_csum = partial,
				 .trust_all_csum = all};
	struct sl_classifier *c;

	assert_int_equal(sl_cls_new(&cfg, &c), 0);
	return c;
}

static int setup(void **st)
{
	*st = make(false, false);
	return 0;
}

static int teardown(void **st)
{
	sl_cls_free(*st);
	return 0;
}

/* From a copy of exactly that size, so that a read beyond it is seen. */
static enum sl_frame_row row_of(const struct sl_classifier *c, const uint8_t *p, uint32_t len,
				struct sl_pkt *ret)
{
	struct sl_pkt mine;
	uint8_t *b = calloc(1, len + !len);

	memcpy(b, p, len);
	enum sl_frame_row row = sl_classify(c, b, len, &mine);
	if (row == SL_FR_ACCEPTED) {
		assert_true(mine.payload.p >= b && mine.payload.p + mine.payload.len <= b + len);
		assert_true(mine.src >= b && mine.src + (mine.family == 6 ? 16 : 4) <= b + len);
		assert_true(mine.listener < SL_ARRAY_SIZE(listeners));
		mine.payload.p = p + (mine.payload.p - b);
		mine.src = p + (mine.src - b);
		if (ret)
			*ret = mine;
	}
	free(b);
	return row;
}

#define ROW(c, f, want)                                                                            \
	assert_string_equal(sl_frame_row_name(row_of(c, (f)->buf, (f)->len, NULL)),                \
			    sl_frame_row_name(SL_FR_##want))

static void good(void **st)
{
	struct sl_pkt k;
	struct tf f;

	tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "hello");
	assert_int_equal(row_of(*st, f.buf, f.len, &k), SL_FR_ACCEPTED);
	assert_int_equal(k.listener, L_V4);
	assert_int_equal(k.family, 4);
	assert_int_equal(k.sport, 40000);
	assert_false(k.csum_trusted);
	assert_memory_equal(k.src, f.src, 4);
	assert_int_equal(k.payload.len, 5);
	assert_memory_equal(k.payload.p, "hello", 5);

	tf_v6(&f, "fd00::9", "fd00::1", 5514, "hello, six");
	assert_int_equal(row_of(*st, f.buf, f.len, &k), SL_FR_ACCEPTED);
	assert_int_equal(k.listener, L_V6);
	assert_int_equal(k.family, 6);
	assert_memory_equal(k.src, f.src, 16);
	assert_int_equal(k.payload.len, 10);
}

static void empty_and_padding(void **st)
{
	struct sl_pkt k;
	struct tf f;

	tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "");
	memset(f.buf + f.len, 0xee, 18);
	f.len += 18; /* to 60 bytes, as Ethernet does */
	assert_int_equal(row_of(*st, f.buf, f.len, &k), SL_FR_ACCEPTED);
	assert_int_equal(k.payload.len, 0);
	assert_non_null(k.payload.p);
	/* behind the UDP length, but within the IP length: padding as well */
	tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "abcdefgh");
	sl_put_be16(f.buf + f.udp + 4, 8 + 3);
	sl_put_be16(f.buf + f.udp + 6, 0);
	assert_int_equal(row_of(*st, f.buf, f.len, &k), SL_FR_ACCEPTED);
	assert_int_equal(k.payload.len, 3);
}

static void vlans(void **st)
{
	struct sl_pkt k;
	struct tf f;

	for (unsigned n = 0; n <= 3; n++) {
		tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "tagged");
		f.vlans = n;
		tf_build(&f);
		if (n < 3)
			assert_int_equal(row_of(*st, f.buf, f.len, &k), SL_FR_ACCEPTED);
		else
			ROW(*st, &f, BAD_VLAN_DEPTH);
	}
	assert_int_equal(k.payload.len, 6);
}

static void addresses(void **st)
{
	static const struct {
		const char *dst;
		uint16_t port;
		int listener; /* -1: other */
	} rows[] = {
		{"10.77.0.1", 5514, L_V4},      {"10.77.0.2", 5514, -1},
		{"10.77.0.2", 5515, L_V4_B},    {"10.77.0.1", 6000, L_ANY},
		{"192.0.2.77", 6000, L_ANY},    {"255.255.255.255", 6000, L_ANY},
		{"255.255.255.255", 5514, -1},  {"239.1.2.3", 5514, L_GROUP},
		{"239.1.2.4", 5514, -1},        {"239.1.2.3", 6000, -1},
		{"10.77.0.255", 5514, L_BCAST}, {"10.77.0.1", 7000, -1},
		{"10.77.0.1", 5515, -1},        {"fd00::1", 5514, L_V6},
		{"fd00::2", 5514, -1},          {"fd00::2", 6000, L_ANY},
		{"ff02::9", 5514, L_GROUP6},    {"ff02::9", 6000, -1},
		{"ff02::1", 6000, -1},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		struct sl_pkt k;
		struct tf f;
		bool v6 = strchr(rows[i].dst, ':');
		(v6 ? tf_v6 : tf_v4)(&f, v6 ? "fd00::9" : "10.77.0.9", rows[i].dst, rows[i].port,
				     "x");
		enum sl_frame_row row = row_of(*st, f.buf, f.len, &k);
		if (rows[i].listener < 0)
			assert_int_equal(row, SL_FR_OTHER);
		else {
			assert_int_equal(row, SL_FR_ACCEPTED);
			assert_int_equal(k.listener, rows[i].listener);
		}
	}
}

static void link_rows(void **st)
{
	struct tf f;

	tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "x");
	f.len = 13;
	ROW(*st, &f, BAD_L2_SHORT);
	f.len = 0;
	ROW(*st, &f, BAD_L2_SHORT);
	tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "x");
	f.vlans = 2;
	tf_build(&f);
	f.len = 21;
	ROW(*st, &f, BAD_L2_SHORT);
	tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "x");
	sl_put_be16(f.buf + 12, 0x5dc);
	ROW(*st, &f, BAD_L2_LENGTH);
	sl_put_be16(f.buf + 12, 0x0806);
	ROW(*st, &f, OTHER);
}

static void ip4_rows(void **st)
{
	struct tf f;
	uint8_t *ip = f.buf + 14;
#define V4() tf_v4(&f, "10.77.0.9", "10.77.0.1", 5514, "payload")

	V4(), ip[0] = 0x65;
	ROW(*st, &f, BAD_IP_VERSION);
	V4(), ip[0] = 0x44;
	ROW(*st, &f, BAD_IP_HEADER);
	V4(), sl_put_be16(ip + 2, 19);
	ROW(*st, &f, BAD_IP_HEADER);
	V4(), ip[11] ^= 1;
	ROW(*st, &f, BAD_IP_CHECKSUM);
	V4(), sl_put_be16(ip + 2, (uint16_t)(f.len - 14 + 1)), tf_fix_ip4_csum(&f);
	ROW(*st, &f, BAD_TRUNCATED);
	V4(), f.len = 33;
	ROW(*st, &f, BAD_TRUNCATED);
	V4(), ip[9] = 6, tf_fix_ip4_csum(&f);
	ROW(*st, &f, OTHER);
	V4(), ip[6] = 0x20, tf_fix_ip4_csum(&f); /* more fragments */
	ROW(*st, &f, FRAG_V4);
	V4(), ip[7] = 1, tf_fix_ip4_csum(&f); /* an offset */
	ROW(*st, &f, FRAG_V4);
	V4(), ip[6] = 0x40, tf_fix_ip4_csum(&f); /* don't fragment: fine */
	ROW(*st, &f, ACCEPTED);
	f.ip_options = 40;
	tf_build(&f);
	ROW(*st, &f, ACCEPTED);
	f.buf[f.ip + 25] ^= 4; /* options are part of the sum */
	ROW(*st, &f, BAD_IP_CHECKSUM);
}

static void ip4_sources(void **st)
{
	static const char *const bad[] = {"0.0.0.0",   "0.1.2.3",         "127.0.0.1", "224.0.0.1",
					  "240.0.0.1", "255.255.255.255", "10.77.0.1", "10.77.0.2"};
	struct tf f;

	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		tf_v4(&f, bad[i], "10.77.0.1", 5514, "x");
		ROW(*st, &f, BAD_IP_SOURCE);
	}
	tf_v4(&f, "192.0.2.1", "192.0.2.1", 6000, "x"); /* itself, to a listener on any */
	ROW(*st, &f, BAD_IP_SOURCE);
	tf_v4(&f, "223.255.255.255", "10.77.0.1", 5514, "x");
	ROW(*st, &f, ACCEPTED);
}

static void udp_rows(void **st)
{
	struct tf f;
	uint8_t *udp = f.buf + 34;

	V4(), sl_put_be16(udp + 4, 7);
	ROW(*st, &f, BAD_UDP_LENGTH);
	V4(), sl_put_be16(udp + 4, (uint16_t)(8 + 7 + 1));
	ROW(*st, &f, BAD_UDP_LENGTH);
	V4(), sl_put_be16(f.buf + 16, 27), tf_fix_ip4_csum(&f); /* no room for a header */
	ROW(*st, &f, BAD_UDP_LENGTH);
	V4(), udp[8] ^= 0x10;
	ROW(*st, &f, BAD_UDP_CHECKSUM);
	V4(), sl_put_be16(udp, 0);
	ROW(*st, &f, BAD_UDP_PORT);
	V4(), sl_put_be16(udp + 2, 0);
	ROW(*st, &f, BAD_UDP_PORT);
	V4(), f.no_csum = true, tf_build(&f);
	ROW(*st, &f, ACCEPTED);
}

/* What is not ours is `other`, whatever else is wrong with it. */
static void not_ours_is_other(void **st)
{
	struct tf f;

	tf_v4(&f, "10.77.0.9", "10.77.0.3", 5514, "x");
	f.buf[f.udp + 8] ^= 1;
	f.buf[f.ip + 10] ^= 1;
	ROW(*st, &f, OTHER);
	V4(), f.buf[23] = 6; /* TCP with a bad header checksum */
	ROW(*st, &f, OTHER);
	tf_v6(&f, "fd00::9", "fd00::1", 5515, "x");
	f.buf[f.udp + 8] ^= 1;
	ROW(*st, &f, OTHER);
}

static void fragments_need_an_address(SL_UNUSED void **st)
{
	struct sl_cls_cfg cfg = {.listener = listeners, .listener_cnt = 2}; /* none on any */
	struct sl_classifier *c;
	struct tf f;

	assert_int_equal(sl_cls_new(&cfg, &c), 0);
	tf_v4(&f, "10.77.0.9", "10.77.0.3", 5514, "x");
	f.buf[f.ip + 6] = 0x20;
	tf_fix_ip4_csum(&f);
	ROW(c, &f, OTHER);
	V4(), f.buf[20] = 0x20;
	tf_fix_ip4_csum(&f);
	ROW(c, &f, FRAG_V4);
	f.buf[24] ^= 1;
	ROW(c, &f, BAD_IP_CHECKSUM);
	sl_cls_free(c);
}

static void partial_checksums(void **st)
{
	struct sl_classifier *partial = make(true, false), *all = make(false, true);
	struct sl_pkt k;
	struct tf f;

	for (int family = 4; family <= 6; family += 2) {
		if (family == 4)
			V4();
		else
			tf_v6(&f, "fd00::9", "fd00::1", 5514, "payload");
		ROW(*st, &f, ACCEPTED);
		assert_int_equal(row_of(partial, f.buf, f.len, &k), SL_FR_ACCEPTED);
		assert_false(k.csum_trusted);
		f.partial_csum = true;
		tf_build(&f);
		ROW(*st, &f, BAD_UDP_CHECKSUM);
		assert_int_equal(row_of(partial, f.buf, f.len, &k), SL_FR_ACCEPTED);
		assert_true(k.csum_trusted);
		f.buf[f.udp + 6] ^= 1; /* neither */
		ROW(partial, &f, BAD_UDP_CHECKSUM);
		ROW(all, &f, ACCEPTED);
	}
	sl_cls_free(partial);
	sl_cls_free(all);
}

static void ip6_rows(void **st)
{
	struct tf f;
	uint8_t *ip = f.buf + 14;
#define V6() tf_v6(&f, "fd00::9", "fd00::1", 5514, "payload")

	V6(), ip[0] = 0x40;
	ROW(*st, &f, BAD_IP_VERSION);
	V6(), f.len = 14 + 39;
	ROW(*st, &f, BAD_TRUNCATED);
	V6(), f.len--;
	ROW(*st, &f, BAD_TRUNCATED);
	V6(), ip[6] = 58;
	ROW(*st, &f, OTHER);
	V6(), f.no_csum = true, tf_build(&f);
	ROW(*st, &f, BAD_UDP_CHECKSUM);
	V6(), f.buf[f.udp + 9] ^= 1;
	ROW(*st, &f, BAD_UDP_CHECKSUM);
	V6(), sl_put_be16(ip + 4, 7);
	ROW(*st, &f, BAD_UDP_LENGTH);
	V6(), sl_put_be16(f.buf + f.udp + 2, 0);
	ROW(*st, &f, BAD_UDP_PORT);
	V6(), sl_put_be16(f.buf + f.udp, 0);
	ROW(*st, &f, BAD_UDP_PORT);
	static const char *const bad[] = {"::", "::1", "ff02::1", "fd00::1"};
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		tf_v6(&f, bad[i], "fd00::1", 5514, "x");
		ROW(*st, &f, BAD_IP_SOURCE);
	}
}

static enum sl_frame_row with_ext(const struct sl_classifier *c, uint8_t first, const uint8_t *ext,
				  unsigned len)
{
	struct tf f;

	tf_v6(&f, "fd00::9", "fd00::1", 5514, "payload");
	f.ext = ext;
	f.ext_len = len;
	f.ext_first = first;
	tf_build(&f);
	for (uint32_t cut = 0; cut < f.len; cut++)
		assert_int_not_equal(row_of(c, f.buf, cut, NULL), SL_FR_ACCEPTED);
	return row_of(c, f.buf, f.len, NULL);
}

static void ip6_extensions(void **st)
{
	enum { HOP = 0, ROUTING = 43, FRAG = 44, AH = 51, DST = 60, UDP = 17, TCP = 6 };
	static const uint8_t dst1[8] = {UDP}, hop_dst[16] = {DST, [8] = UDP}, routing[8] = {UDP};
	static const uint8_t four[32] = {DST, [8] = DST, [16] = DST, [24] = UDP};
	static const uint8_t five[40] = {DST, [8] = DST, [16] = DST, [24] = DST, [32] = UDP};
	static const uint8_t dst_hop[16] = {HOP, [8] = UDP}, tcp[8] = {TCP};
	static const uint8_t atomic[8] = {UDP}, two_frags[16] = {FRAG, [8] = UDP};
	static const uint8_t first_frag[8] = {UDP, 0, 0, 1}, later[8] = {UDP, 0, 5, 0xa8};
	static const uint8_t tcp_frag[8] = {TCP, 0, 0, 1}, beyond[8] = {UDP, 200};
	static const uint8_t ah[12] = {UDP, 1};
	uint8_t big[264] = {UDP, 32}, most[256] = {UDP, 31};

	assert_int_equal(with_ext(*st, DST, dst1, 8), SL_FR_ACCEPTED);
	assert_int_equal(with_ext(*st, HOP, hop_dst, 16), SL_FR_ACCEPTED);
	assert_int_equal(with_ext(*st, DST, four, 32), SL_FR_ACCEPTED);
	assert_int_equal(with_ext(*st, DST, five, 40), SL_FR_BAD_IP_HEADER);
	assert_int_equal(with_ext(*st, DST, most, sizeof(most)), SL_FR_ACCEPTED);
	assert_int_equal(with_ext(*st, DST, big, sizeof(big)), SL_FR_BAD_IP_HEADER);
	assert_int_equal(with_ext(*st, DST, beyond, 8), SL_FR_BAD_IP_HEADER);
	assert_int_equal(with_ext(*st, DST, dst_hop, 16), SL_FR_BAD_IP_HEADER);
	assert_int_equal(with_ext(*st, DST, tcp, 8), SL_FR_OTHER);
	assert_int_equal(with_ext(*st, ROUTING, routing, 8), SL_FR_BAD_IP_HEADER);
	assert_int_equal(with_ext(*st, AH, ah, 12), SL_FR_ACCEPTED);
	assert_int_equal(with_ext(*st, FRAG, atomic, 8), SL_FR_ACCEPTED);
	assert_int_equal(with_ext(*st, FRAG, two_frags, 16), SL_FR_BAD_IP_HEADER);
	assert_int_equal(with_ext(*st, FRAG, first_frag, 8), SL_FR_FRAG_V6);
	assert_int_equal(with_ext(*st, FRAG, later, 8), SL_FR_FRAG_V6);
	assert_int_equal(with_ext(*st, FRAG, tcp_frag, 8), SL_FR_OTHER);
}

static void every_truncation(void **st)
{
	struct tf f;

	for (unsigned v = 0; v < 3; v++)
		for (int family = 4; family <= 6; family += 2) {
			(family == 4 ? tf_v4 : tf_v6)(&f, family == 4 ? "10.77.0.9" : "fd00::9",
						      family == 4 ? "10.77.0.1" : "fd00::1", 5514,
						      "some bytes of payload");
			f.vlans = v;
			f.ip_options = family == 4 ? 8 : 0;
			tf_build(&f);
			for (uint32_t n = 0; n < f.len; n++) {
				enum sl_frame_row r = row_of(*st, f.buf, n, NULL);
				assert_true(r == SL_FR_BAD_L2_SHORT || r == SL_FR_BAD_TRUNCATED);
			}
			ROW(*st, &f, ACCEPTED);
		}
}

/* Spoiled frames: never a read out of bounds, and never a row that is not a frame's. */
static void spoiled(void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint32_t seen[SL_FRAME_ROW_CNT] = {0};
	struct tf f;

	for (unsigned i = 0; i < 200000; i++) {
		if (sl_rng_below(&r, 2))
			V4();
		else
			V6();
		f.vlans = sl_rng_below(&r, 4);
		tf_build(&f);
		for (unsigned k = sl_rng_below(&r, 3); k > 0; k--)
			f.buf[12 + sl_rng_below(&r, f.len - 12)] ^=
				(uint8_t)(1u << sl_rng_below(&r, 8));
		if (sl_rng_below(&r, 4) == 0)
			f.len = sl_rng_below(&r, f.len + 1);
		seen[row_of(*st, f.buf, f.len, NULL)]++;
	}
	assert_true(seen[SL_FR_ACCEPTED] > 0 && seen[SL_FR_OTHER] > 0);
	assert_true(seen[SL_FR_BAD_TRUNCATED] > 0 && seen[SL_FR_BAD_UDP_CHECKSUM] > 0);
	for (unsigned i = SL_FR_REFUSED_EMPTY; i < SL_FR_ACCEPTED; i++)
		assert_int_equal(seen[i], 0);
}

static void two_want_the_same(SL_UNUSED void **st)
{
	struct sl_cfg_listener l[2] = {listeners[L_V4], listeners[L_V4]};
	struct sl_cls_cfg cfg = {.listener = l, .listener_cnt = 2};
	struct sl_classifier *c = NULL;

	assert_int_equal(sl_cls_new(&cfg, &c), -EINVAL);
	l[0].addr.family = l[1].addr.family = 0;
	assert_int_equal(sl_cls_new(&cfg, &c), -EINVAL);
	l[1].addr = (struct sl_cfg_addr){.family = 6}; /* :: is any as well */
	assert_int_equal(sl_cls_new(&cfg, &c), -EINVAL);
	assert_null(c);
	sl_cls_free(NULL);
}

static void many_listeners(SL_UNUSED void **st)
{
	static struct sl_cfg_listener l[SL_CFG_LISTENERS_MAX];
	struct sl_cls_cfg cfg = {.listener = l, .listener_cnt = SL_CFG_LISTENERS_MAX};
	struct sl_classifier *c;
	struct sl_pkt k;
	struct tf f;

	for (unsigned i = 0; i < SL_CFG_LISTENERS_MAX; i++)
		l[i] = (struct sl_cfg_listener){.addr = {4, {10, 0, (uint8_t)(i / 16), 1}},
						.udp = (uint16_t)(5000 + i % 16)};
	assert_int_equal(sl_cls_new(&cfg, &c), 0);
	for (unsigned i = 0; i < SL_CFG_LISTENERS_MAX; i++) {
		tf_v4(&f, "192.0.2.1", "10.0.0.1", (uint16_t)(5000 + i % 16), "x");
		f.dst[2] = (uint8_t)(i / 16);
		tf_build(&f);
		assert_int_equal(sl_classify(c, f.buf, f.len, &k), SL_FR_ACCEPTED);
		assert_int_equal(k.listener, i);
	}
	sl_cls_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(empty_and_padding),
		cmocka_unit_test(vlans),
		cmocka_unit_test(addresses),
		cmocka_unit_test(link_rows),
		cmocka_unit_test(ip4_rows),
		cmocka_unit_test(ip4_sources),
		cmocka_unit_test(udp_rows),
		cmocka_unit_test(not_ours_is_other),
		cmocka_unit_test(fragments_need_an_address),
		cmocka_unit_test(partial_checksums),
		cmocka_unit_test(ip6_rows),
		cmocka_unit_test(ip6_extensions),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(spoiled),
		cmocka_unit_test(two_want_the_same),
		cmocka_unit_test(many_listeners),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
