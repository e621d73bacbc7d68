/* SPDX-License-Identifier: Apache-2.0 */
/* Suite net: how a port opens, what it says when it cannot, and how it gives its interface back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <dirent.h>

#include <cmocka.h>

#include "port_testlib.h"

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void nothing_stays_open(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};

	for (int i = 0; i < 2; i++) {
		tl_port(f, be[i], "gw0", tl_gw);
		sl_port_close(tl_open_started(f, &l, 1));
		unsigned before = count_fds();
		for (int k = 0; k < 3; k++)
			sl_port_close(tl_open_started(f, &l, 1));
		assert_int_equal(count_fds(), before);
	}
}

static void auto_says_why(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);

	tl_port(f, SL_BE_AUTO, "gw0", tl_gw);
	struct sl_port *p = tl_open_started(f, &l, 1);
	assert_string_equal(sl_port_backend(p), "af_xdp");
	assert_non_null(strstr(sl_port_why(p), "gw0 takes an XDP program"));
	sl_port_close(p);

	tl_port(f, SL_BE_AUTO, "lo", tl_gw); /* the loopback has no driver to take a program */
	assert_int_equal(tl_sh("ip -n %s link set lo mtu 1500", tl_gw), 0);
	p = tl_open_started(f, &l, 1);
	assert_string_equal(sl_port_backend(p), "af_packet");
	sl_port_close(p);

	tl_port(f, SL_BE_AF_XDP, "lo", tl_gw); /* by name: in the network stack then */
	p = tl_open_started(f, &l, 1);
	assert_non_null(strstr(sl_port_why(p), "generic"));
	sl_port_close(p);
}

static void wrong_names(void **state)
{
	struct tl_fix *f = *state;
	static const struct {
		enum sl_backend be;
		const char *device, *ns;
		int rc;
	} wrong[] = {
		{SL_BE_AF_XDP, "nope0", "", -ENODEV},
		{SL_BE_AF_PACKET, "nope0", "", -ENODEV},
		{SL_BE_AUTO, "nope0", "", -ENODEV},
		{SL_BE_AUTO, "", "", -EINVAL},
		{SL_BE_AF_PACKET, "lo,iface=eth0", "", -EINVAL},
		{SL_BE_AF_PACKET, "lo", "slt-no-such-netns", -ENOENT},
		{SL_BE_AF_PACKET, "lo", "../etc", -EINVAL},
		{SL_BE_PCI, "0000:99:00.0", "", -ENODEV},
		{SL_BE_PCAP, "/nope.pcap", "", -ENOENT},
		{SL_BE_PCAP, "/proc/self/exe", "", -EPROTO},
	};
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = NULL;
	char err[TL_ERR];

	for (size_t i = 0; i < SL_ARRAY_SIZE(wrong); i++) {
		tl_port(f, wrong[i].be, wrong[i].device, wrong[i].ns);
		assert_int_equal(tl_open(f, &l, 1, &p, err), wrong[i].rc);
		assert_true(strlen(err) > 10);
		assert_null(p);
	}
}

/* 0 if gw0 looks like this. */
static int gw0_is(const char *pattern)
{
	return tl_sh("ip -n %s -o link show gw0 | grep -qE '%s'", tl_gw, pattern);
}

static void interface_is_given_back(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(tl_sh("ip -n %s link set gw0 down", tl_gw), 0);
		tl_port(f, be[i], "gw0", tl_gw);
		f->cfg.mtu = 1400;
		f->cfg.promiscuous = true;
		struct sl_port *p = tl_open_started(f, &l, 1);
		assert_int_equal(gw0_is("<.*PROMISC.*,UP.* mtu 1400"), 0);
		sl_port_close(p);
		assert_int_equal(gw0_is("<BROADCAST,MULTICAST.*> mtu 1500"), 0);
		assert_int_not_equal(gw0_is("PROMISC|,UP"), 0);
	}
	assert_int_equal(tl_sh("ip -n %s link set gw0 up", tl_gw), 0);
}

static void link_flaps_and_goes(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};
	uint64_t all, udp;

	for (int i = 0; i < 2; i++) {
		tl_port(f, be[i], "gw0", tl_gw);
		struct sl_port *p = tl_open_started(f, &l, 1);
		sl_port_housekeep(p);
		assert_true(sl_port_link(p));
		assert_int_equal(tl_sh("ip -n %s link set gw0 down", tl_gw), 0);
		sl_port_housekeep(p);
		assert_false(sl_port_link(p));
		all = udp = 0;
		tl_poll(p, 20, &all, &udp);
		assert_int_equal(
			tl_sh("ip -n %s link set gw0 up && ip -n %s neigh replace " TL_GW_IP
			      " lladdr 02:00:00:00:77:01 dev dev0",
			      tl_gw, tl_dev),
			0);
		sl_port_housekeep(p);
		assert_true(sl_port_link(p));
		assert_int_equal(tl_send_udp(TL_GW_IP, TL_UDP, 10, 0), 10);
		tl_poll_for(p, 10, &all, &udp);
		sl_port_close(p);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tl_sh("ip -n %s link add go0 type veth peer name go1 && "
				       "ip -n %s link set go0 up && ip -n %s link set go1 up",
				       tl_gw, tl_gw, tl_gw),
				 0);
		tl_port(f, be[i], "go0", tl_gw);
		struct sl_port *p = tl_open_started(f, &l, 1);
		uint64_t wire = f->ctr->port[0].wire;
		assert_int_equal(tl_sh("ip -n %s link del go0", tl_gw), 0);
		sl_port_housekeep(p);
		assert_false(sl_port_link(p));
		all = udp = 0;
		tl_poll(p, 20, &all, &udp);
		sl_port_housekeep(p);
		assert_true(f->ctr->port[0].wire >= wire);
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
		T(nothing_stays_open),      T(auto_says_why),       T(wrong_names),
		T(interface_is_given_back), T(link_flaps_and_goes),
	};

	if (!tl_can_run())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
