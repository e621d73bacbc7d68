/* SPDX-License-Identifier: Apache-2.0 */
/* Suite net: which frames a port takes, and that it takes them whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <cmocka.h>

#include "platform/base/clock.h"
#include "port_testlib.h"

#define SPORT 4000

struct shape {
	const char *what;
	bool taken;
	uint8_t tags; /* VLAN tags */
	bool v6;
	uint8_t proto;     /* 0: UDP */
	uint8_t opt_words; /* IPv4 options */
	uint8_t ext;       /* IPv6: this extension header first, 0 none */
	uint16_t frag;     /* flags and offset as on the wire */
	uint16_t port;     /* 0: TL_UDP */
	uint8_t last_ip;   /* last byte of the destination, 0: 1 */
	uint8_t last_mac;  /* 0: ours */
};

static const struct shape shapes[] = {
	{"plain IPv4", .taken = true},
	{"one tag", .taken = true, .tags = 1},
	{"two tags", .taken = true, .tags = 2},
	{"three tags", .taken = false, .tags = 3},
	{"IPv4 options", .taken = true, .opt_words = 10},
	{"TCP", .taken = false, .proto = 6},
	{"other port", .taken = false, .port = 5515},
	{"other address", .taken = false, .last_ip = 9},
	{"other station", .taken = false, .last_mac = 9},
	{"first fragment", .taken = true, .frag = 0x2000},
	{"later fragment", .taken = false, .frag = 0x2010},
	{"plain IPv6", .taken = true, .v6 = true},
	{"IPv6, two tags", .taken = true, .v6 = true, .tags = 2},
	{"IPv6 hop-by-hop", .taken = true, .v6 = true, .ext = 1},
	{"IPv6 other port", .taken = false, .v6 = true, .port = 5515},
	{"IPv6 other address", .taken = false, .v6 = true, .last_ip = 9},
	{"IPv6 first fragment", .taken = true, .v6 = true, .ext = 44, .frag = 0x0001},
	{"IPv6 later fragment", .taken = false, .v6 = true, .ext = 44, .frag = 0x0081},
	{"IPv6 TCP", .taken = false, .v6 = true, .proto = 6},
};

static size_t put_ip(uint8_t *f, const struct shape *s)
{
	uint8_t proto = s->proto ? s->proto : 17, *p = f;
	uint8_t last = s->last_ip ? s->last_ip : 1;

	if (!s->v6) {
		size_t hlen = 20 + s->opt_words * 4u;
		memset(p, 1, hlen);
		p[0] = (uint8_t)(0x40 | hlen / 4);
		sl_put_be16(p + 2, (uint16_t)(hlen + 16));
		sl_put_be16(p + 6, s->frag);
		p[9] = proto;
		memcpy(p + 12, "\x0a\x4d\x00\x02\x0a\x4d\x00", 7);
		p[19] = last;
		return hlen;
	}
	memset(p, 0, 40);
	p[0] = 0x60;
	sl_put_be16(p + 4, (uint16_t)(16 + (s->ext ? 8 : 0)));
	p[6] = s->ext ? (s->ext == 1 ? 0 : s->ext) : proto;
	p[7] = 64;
	inet_pton(AF_INET6, TL_DEV_IP6, p + 8);
	inet_pton(AF_INET6, TL_GW_IP6, p + 24);
	p[39] = last;
	if (!s->ext)
		return 40;
	memset(p + 40, 0, 8);
	p[40] = proto;
	if (s->ext == 44)
		sl_put_be16(p + 42, s->frag);
	return 48;
}

static size_t build(uint8_t *f, const struct shape *s)
{
	size_t n = 12;

	memcpy(f, "\x02\0\0\0\x77\x01\x02\0\0\0\x77\x02", 12);
	if (s->last_mac)
		f[5] = s->last_mac;
	for (unsigned t = 0; t < s->tags; t++, n += 4) {
		sl_put_be16(f + n, t + 1u < s->tags ? 0x88a8 : 0x8100);
		sl_put_be16(f + n + 2, 7);
	}
	sl_put_be16(f + n, s->v6 ? 0x86dd : 0x0800);
	n += 2;
	n += put_ip(f + n, s);
	sl_put_be16(f + n, SPORT);
	sl_put_be16(f + n + 2, s->port ? s->port : TL_UDP);
	sl_put_be16(f + n + 4, 16);
	memset(f + n + 6, 0, 10);
	return n + 16;
}

#define LAST_SPORT 4001 /* of the frame that is sent last; all others have SPORT */

/* Frames that came before the last one, which must come: a veth keeps their order. */
static unsigned taken_before_last(struct sl_port *p)
{
	uint64_t give_up = sl_clock_mono_ns() + TL_PATIENCE_MS * 1000000ull;
	bool last = false;

	for (unsigned n = 0;; n++) {
		struct rte_mbuf *m = NULL;
		while (!rte_eth_rx_burst(sl_port_id(p), 0, &m, 1))
			if (sl_clock_mono_ns() > give_up)
				fail_msg("the last frame did not come");
		last = sl_be16(rte_pktmbuf_mtod_offset(m, const uint8_t *, 34)) == LAST_SPORT;
		rte_pktmbuf_free(m);
		if (last)
			return n;
	}
}

static void only_listeners_are_redirected(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l[] = {tl_listener(TL_GW_IP, TL_UDP),
				      tl_listener(TL_GW_IP6, TL_UDP)};
	static const struct shape plain = {"last", .taken = true};
	uint8_t frame[256], last[256];
	size_t last_len = build(last, &plain);

	sl_put_be16(last + 34, LAST_SPORT);
	tl_port(f, SL_BE_AF_XDP, "gw0", tl_gw);
	struct sl_port *p = tl_open_started(f, l, 2);
	assert_true(sl_port_trusts_partial_csum(p));
	for (size_t i = 0; i < SL_ARRAY_SIZE(shapes); i++) {
		size_t n = build(frame, &shapes[i]);
		assert_int_equal(tl_send_frame(tl_dev, "dev0", frame, n), 0);
		assert_int_equal(tl_send_frame(tl_dev, "dev0", last, last_len), 0);
		unsigned taken = taken_before_last(p);
		if (taken != shapes[i].taken)
			fail_msg("%s: %s", shapes[i].what, taken ? "taken" : "left to the kernel");
	}
	sl_port_close(p);
}

static void large_frames_arrive_whole(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(TL_GW_IP, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};
	struct shape s = {"large", .taken = true};
	static uint8_t frame[1514];
	uint32_t room, mbufs;
	char err[TL_ERR];

	build(frame, &s);
	for (int i = 0; i < 2; i++) {
		uint64_t give_up = sl_clock_mono_ns() + TL_PATIENCE_MS * 1000000ull;
		struct rte_mbuf *m = NULL;
		tl_port(f, be[i], "gw0", tl_gw);
		assert_int_equal(sl_port_needs(&f->cfg, &room, &mbufs, err, sizeof(err)), 0);
		assert_true(room <= 2048);
		struct sl_port *p = tl_open_started(f, &l, 1);
		assert_int_equal(tl_send_frame(tl_dev, "dev0", frame, sizeof(frame)), 0);
		while (!rte_eth_rx_burst(sl_port_id(p), 0, &m, 1))
			assert_true(sl_clock_mono_ns() < give_up);
		assert_int_equal(rte_pktmbuf_pkt_len(m), sizeof(frame));
		assert_int_equal(m->nb_segs, 1);
		rte_pktmbuf_free(m);
		sl_port_close(p);
	}
}

static int setup(void **state)
{
	*state = tl_fix_new(true);
	return 0;
}

static int teardown(void **state)
{
	return tl_fix_free(*state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tl_fresh_pool, tl_drop_pool)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_listeners_are_redirected),
		T(large_frames_arrive_whole),
	};

	if (!tl_can_run())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
