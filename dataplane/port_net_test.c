/* SPDX-License-Identifier: Apache-2.0 */
/* Suite net: what a port does to its network, and what it must not do to anybody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "dataplane.h"
#include "port_testlib.h"

extern char **environ;

static struct sl_counters *ctr;
static struct rte_mempool *pool;
static struct sl_cfg_port cfg;

static void set_port(enum sl_backend be, const char *device, const char *ns)
{
	memset(&cfg, 0, sizeof(cfg));
	snprintf(cfg.name, sizeof(cfg.name), "lan0");
	snprintf(cfg.device, sizeof(cfg.device), "%s", device);
	snprintf(cfg.netns, sizeof(cfg.netns), "%s", ns);
	cfg.backend = be;
}

static int try_open(const struct sl_cfg_listener *l, uint32_t n, struct sl_port **ret_p, char *err)
{
	struct sl_port_cfg pc = {.port = &cfg,
				 .listener = l,
				 .listener_cnt = n,
				 .pool = pool,
				 .counters = &ctr->port[0]};

	err[0] = 0;
	return sl_port_open(&pc, ret_p, err, 256);
}

static struct sl_port *open_started(const struct sl_cfg_listener *l, uint32_t n)
{
	struct sl_port *p = NULL;
	char err[256];

	if (try_open(l, n, &p, err) || sl_port_start(p, err, sizeof(err)))
		fail_msg("%s", err);
	return p;
}

/* ---- XDP ------------------------------------------------------------------------------------- */

static int load_stranger(void)
{
	struct bpf_insn pass[] = {{.code = 0xb7, .dst_reg = 0, .imm = 2}, {.code = 0x95}};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", pass, 2, NULL);
}

struct attach_job {
	const char *ifname;
	int fd;
	int want_index;
};

static int attach_here(void *arg)
{
	struct attach_job *j = arg;
	int index = (int)if_nametoindex(j->ifname);

	if (j->want_index && index != j->want_index)
		return -ENXIO;
	return bpf_xdp_attach(index, j->fd, 0, NULL);
}

/* The program put on the interface while ours ran: the driver takes it off, we put it back. */
static void replaced_program_survives(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct attach_job j = {.ifname = "gw0", .fd = load_stranger()};

	(void)state;
	set_port(SL_BE_AF_XDP, "gw0", tl_gw);
	struct sl_port *p = open_started(&l, 1);
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
	uint32_t theirs = tl_xdp_id(tl_gw, "gw0");
	sl_port_close(p);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), theirs);
	close(j.fd);
	j.fd = -1;
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
}

static int index_here(void *arg)
{
	return (int)if_nametoindex(arg);
}

/* A bystander in another namespace has the same interface index and its own program. */
static void bystander_keeps_its_program(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	char gw0[] = "gw0", ns[64];
	struct attach_job j = {.ifname = "by0", .fd = load_stranger()};
	char here[] = "by0";

	(void)state;
	assert_true(j.fd >= 0);
	j.want_index = tl_in_ns(tl_gw, index_here, gw0);
	snprintf(ns, sizeof(ns), "slt-port-by-%d", getpid());
	assert_int_equal(tl_sh("ip netns add %s", ns), 0);
	assert_int_equal(
		tl_sh("ip -n %s link add by0 index %d type veth peer name by1", ns, j.want_index),
		0);
	assert_int_equal(tl_in_ns(ns, attach_here, &j), 0);
	uint32_t theirs = tl_xdp_id(ns, here);
	assert_int_not_equal(theirs, 0);

	/* The caller lives beside the bystander: a control call made from the wrong thread would
	 * hit the interface of that index there. */
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	int away = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(home >= 0 && away >= 0);
	assert_int_equal(setns(away, CLONE_NEWNET), 0);
	set_port(SL_BE_AF_XDP, "gw0", tl_gw);
	struct sl_port *p = open_started(&l, 1);
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	assert_int_equal(tl_xdp_id(ns, here), theirs);
	sl_port_housekeep(p);
	sl_port_close(p);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
	close(away);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	assert_int_equal(tl_xdp_id(ns, here), theirs);
	close(j.fd);
	tl_sh("ip netns del %s", ns);
}

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
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};

	(void)state;
	for (int i = 0; i < 2; i++) {
		set_port(be[i], "gw0", tl_gw);
		sl_port_close(open_started(&l, 1));
		unsigned before = count_fds();
		for (int k = 0; k < 3; k++)
			sl_port_close(open_started(&l, 1));
		assert_int_equal(count_fds(), before);
	}
}

static void foreign_program_is_refused(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct attach_job j = {.ifname = "gw0", .fd = load_stranger()};
	struct sl_port *p = NULL;
	char err[256];

	(void)state;
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
	uint32_t theirs = tl_xdp_id(tl_gw, "gw0");
	set_port(SL_BE_AF_XDP, "gw0", tl_gw);
	assert_int_equal(try_open(&l, 1, &p, err), -EBUSY);
	assert_non_null(strstr(err, "stranger"));
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), theirs);
	set_port(SL_BE_AUTO, "gw0", tl_gw); /* left to us: there is another way */
	p = open_started(&l, 1);
	assert_string_equal(sl_port_backend(p), "af_packet");
	assert_non_null(strstr(sl_port_why(p), "stranger"));
	sl_port_close(p);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), theirs);
	close(j.fd);
	j.fd = -1;
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
}

/* This program again, as a process that opens gw0 and waits to be killed. */
static pid_t spawn_holder(void)
{
	char *argv[] = {(char *)(uintptr_t) "holder", (char *)(uintptr_t) "hold", tl_gw, NULL};
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
	for (int i = 0; i < 500 && !tl_xdp_id(tl_gw, "gw0"); i++)
		usleep(10000);
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	return pid;
}

static int hold(const char *ns)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP + 1);

	tl_eal();
	SL_ASSERT(!sl_counters_anon(&ctr));
	pool = tl_pool(2048);
	set_port(SL_BE_AF_XDP, "gw0", ns);
	open_started(&l, 1);
	pause();
	return 0;
}

static void leftover_is_taken_off(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = NULL;
	char err[256];
	int status;

	(void)state;
	set_port(SL_BE_AF_XDP, "gw0", tl_gw);
	pid_t pid = spawn_holder();
	assert_int_equal(try_open(&l, 1, &p, err), -EBUSY); /* it lives: hands off */
	assert_non_null(strstr(err, "another running Sluice"));
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0); /* the leftover */
	p = open_started(&l, 1);
	uint64_t all = 0, udp = 0;
	assert_int_equal(tl_send_udp(TL_GW_IP, TL_UDP, 10, 0), 10);
	tl_poll(p, 50, &all, &udp);
	assert_int_equal(udp, 10);
	sl_port_close(p);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), 0);
}

/* ---- what is redirected ------------------------------------------------------------------------
 */

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
	sl_put_be16(f + n, 4000);
	sl_put_be16(f + n + 2, s->port ? s->port : TL_UDP);
	sl_put_be16(f + n + 4, 16);
	memset(f + n + 6, 0, 10);
	return n + 16;
}

static void only_listeners_are_redirected(void **state)
{
	struct sl_cfg_listener l[] = {tl_listener(TL_GW_IP, TL_UDP),
				      tl_listener(TL_GW_IP6, TL_UDP)};
	uint8_t f[256];

	(void)state;
	set_port(SL_BE_AF_XDP, "gw0", tl_gw);
	struct sl_port *p = open_started(l, 2);
	assert_true(sl_port_trusts_partial_csum(p));
	for (size_t i = 0; i < SL_ARRAY_SIZE(shapes); i++) {
		uint64_t all = 0, udp = 0;
		size_t n = build(f, &shapes[i]);
		assert_int_equal(tl_send_frame(tl_dev, "dev0", f, n), 0);
		tl_poll(p, 30, &all, &udp);
		if (all != shapes[i].taken)
			fail_msg("%s: %s", shapes[i].what, all ? "taken" : "left to the kernel");
	}
	sl_port_close(p);
}

static void large_frames_arrive_whole(void **state)
{
	struct sl_cfg_listener l = tl_listener(TL_GW_IP, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};
	struct shape s = {"large", .taken = true};
	static uint8_t f[1514];
	uint32_t room, mbufs;
	char err[256];

	(void)state;
	build(f, &s);
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *m = NULL;
		set_port(be[i], "gw0", tl_gw);
		assert_int_equal(sl_port_needs(&cfg, &room, &mbufs, err, sizeof(err)), 0);
		assert_true(room <= 2048);
		struct sl_port *p = open_started(&l, 1);
		assert_int_equal(tl_send_frame(tl_dev, "dev0", f, sizeof(f)), 0);
		for (int k = 0; k < 100 && !rte_eth_rx_burst(sl_port_id(p), 0, &m, 1); k++)
			usleep(1000);
		assert_non_null(m);
		assert_int_equal(rte_pktmbuf_pkt_len(m), sizeof(f));
		assert_int_equal(m->nb_segs, 1);
		rte_pktmbuf_free(m);
		sl_port_close(p);
	}
}

/* ---- no ICMP ----------------------------------------------------------------------------------
 */

static int icmp_open_here(void *arg)
{
	(void)arg;
	return socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static int icmp6_open_here(void *arg)
{
	(void)arg;
	return socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
}

/* Destination unreachable messages that the devices got. */
static unsigned unreachables(int fd, bool v6)
{
	uint8_t buf[512];
	unsigned n = 0;
	ssize_t len;

	usleep(30000);
	while ((len = recv(fd, buf, sizeof(buf), 0)) > 0)
		n += v6 ? buf[0] == 1 : len > 20 && buf[(buf[0] & 15) * 4] == ICMP_DEST_UNREACH;
	return n;
}

static void no_answer_for_an_ingest_port(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};
	int fd4 = tl_in_ns(tl_dev, icmp_open_here, NULL),
	    fd6 = tl_in_ns(tl_dev, icmp6_open_here, NULL);
	uint64_t all = 0, udp = 0;

	(void)state;
	/* else the kernel answers one sender about once a second */
	assert_int_equal(tl_sh("ip netns exec %s sysctl -qw net.ipv4.icmp_ratelimit=0 "
			       "net.ipv6.icmp.ratelimit=0",
			       tl_gw),
			 0);
	tl_send_udp(TL_GW_IP, TL_UDP, 1, 0); /* without us there is an answer: the test can fail */
	tl_send_udp(TL_GW_IP6, TL_UDP, 1, 0);
	assert_int_equal(unreachables(fd4, false), 1);
	assert_int_equal(unreachables(fd6, true), 1);
	for (int i = 0; i < 2; i++) {
		struct sl_port *p = NULL;
		char err[256];
		set_port(be[i], "gw0", tl_gw);
		assert_int_equal(try_open(&l, 1, &p, err), 0);
		for (int phase = 0; phase < 3; phase++) { /* opened, running, quiesced */
			if (phase == 1)
				assert_int_equal(sl_port_start(p, err, sizeof(err)), 0);
			if (phase == 2)
				sl_port_quiesce(p);
			tl_send_udp(TL_GW_IP, TL_UDP, 20, 0);
			tl_send_udp(TL_GW_IP6, TL_UDP, 20, 0);
			if (phase > 0)
				tl_poll(p, 20, &all, &udp);
			assert_int_equal(unreachables(fd4, false), 0);
			assert_int_equal(unreachables(fd6, true), 0);
		}
		sl_port_close(p);
	}
	assert_int_equal(udp, 80);
	close(fd4);
	close(fd6);
}

struct bind_job {
	const char *ip;
	int fd;
};

static int bind_here(void *arg)
{
	struct bind_job *j = arg;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(TL_UDP)};
	int one = 1;

	inet_pton(AF_INET, j->ip, &sin.sin_addr);
	j->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(j->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(j->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	return bind(j->fd, (struct sockaddr *)&sin, sizeof(sin)) ? -errno : 0;
}

static void taken_port_is_an_error(void **state)
{
	struct sl_cfg_listener l[] = {tl_listener(TL_GW_IP, TL_UDP), tl_listener(NULL, TL_UDP)};
	struct bind_job j = {.ip = TL_GW_IP};
	struct sl_port *p = NULL;
	char err[256];

	(void)state;
	set_port(SL_BE_AF_PACKET, "gw0", tl_gw);
	assert_int_equal(tl_in_ns(tl_gw, bind_here, &j), 0);
	assert_int_equal(try_open(l, 1, &p, err), -EADDRINUSE);
	assert_non_null(strstr(err, "5514"));
	close(j.fd);
	/* one listener for an address beside one for any: both ours, no conflict */
	p = open_started(l, 2);
	/* and nobody else gets in, not even one who shares */
	assert_int_equal(tl_in_ns(tl_gw, bind_here, &j), -EADDRINUSE);
	close(j.fd);
	sl_port_close(p);
	assert_int_equal(tl_in_ns(tl_gw, bind_here, &j), 0);
	close(j.fd);
}

/* ---- choice, errors, links ---------------------------------------------------------------------
 */

static void auto_says_why(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);

	(void)state;
	set_port(SL_BE_AUTO, "gw0", tl_gw);
	struct sl_port *p = open_started(&l, 1);
	assert_string_equal(sl_port_backend(p), "af_xdp");
	assert_non_null(strstr(sl_port_why(p), "gw0 takes an XDP program"));
	sl_port_close(p);

	set_port(SL_BE_AUTO, "lo", tl_gw); /* the loopback has no driver to take a program */
	assert_int_equal(tl_sh("ip -n %s link set lo mtu 1500", tl_gw), 0);
	p = open_started(&l, 1);
	assert_string_equal(sl_port_backend(p), "af_packet");
	sl_port_close(p);

	set_port(SL_BE_AF_XDP, "lo", tl_gw); /* by name: in the network stack then */
	p = open_started(&l, 1);
	assert_non_null(strstr(sl_port_why(p), "generic"));
	sl_port_close(p);
}

static void wrong_names(void **state)
{
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
	char err[256];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(wrong); i++) {
		set_port(wrong[i].be, wrong[i].device, wrong[i].ns);
		assert_int_equal(try_open(&l, 1, &p, err), wrong[i].rc);
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
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tl_sh("ip -n %s link set gw0 down", tl_gw), 0);
		set_port(be[i], "gw0", tl_gw);
		cfg.mtu = 1400;
		cfg.promiscuous = true;
		struct sl_port *p = open_started(&l, 1);
		assert_int_equal(gw0_is("<.*PROMISC.*,UP.* mtu 1400"), 0);
		sl_port_close(p);
		assert_int_equal(gw0_is("<BROADCAST,MULTICAST.*> mtu 1500"), 0);
		assert_int_not_equal(gw0_is("PROMISC|,UP"), 0);
	}
	assert_int_equal(tl_sh("ip -n %s link set gw0 up", tl_gw), 0);
}

static void link_flaps_and_goes(void **state)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};
	uint64_t all, udp;

	(void)state;
	for (int i = 0; i < 2; i++) {
		set_port(be[i], "gw0", tl_gw);
		struct sl_port *p = open_started(&l, 1);
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
		tl_poll(p, 50, &all, &udp);
		assert_int_equal(udp, 10);
		sl_port_close(p);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tl_sh("ip -n %s link add go0 type veth peer name go1 && "
				       "ip -n %s link set go0 up && ip -n %s link set go1 up",
				       tl_gw, tl_gw, tl_gw),
				 0);
		set_port(be[i], "go0", tl_gw);
		struct sl_port *p = open_started(&l, 1);
		uint64_t wire = ctr->port[0].wire;
		assert_int_equal(tl_sh("ip -n %s link del go0", tl_gw), 0);
		sl_port_housekeep(p);
		assert_false(sl_port_link(p));
		all = udp = 0;
		tl_poll(p, 20, &all, &udp);
		sl_port_housekeep(p);
		assert_true(ctr->port[0].wire >= wire);
		sl_port_close(p);
	}
}

/* A port's buffers are not all given back by its driver: each test has a pool of its own. */
static int fresh_pool(void **state)
{
	(void)state;
	pool = tl_pool(2048);
	return 0;
}

static int drop_pool(void **state)
{
	(void)state;
	rte_mempool_free(pool);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	tl_eal();
	tl_lan_up(true);
	return sl_counters_anon(&ctr);
}

static int teardown(void **state)
{
	char prefix[64];

	(void)state;
	sl_counters_close(ctr);
	sl_dp_eal_cleanup();
	tl_lan_down();
	snprintf(prefix, sizeof(prefix), "/run/dpdk/sluice-%d", getpid());
	if (!access(prefix, F_OK)) {
		fprintf(stderr, "%s is left behind\n", prefix);
		return -1;
	}
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh_pool, drop_pool)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(bystander_keeps_its_program),
		T(nothing_stays_open),
		T(foreign_program_is_refused),
		T(replaced_program_survives),
		T(leftover_is_taken_off),
		T(only_listeners_are_redirected),
		T(large_frames_arrive_whole),
		T(no_answer_for_an_ingest_port),
		T(taken_port_is_an_error),
		T(auto_says_why),
		T(wrong_names),
		T(interface_is_given_back),
		T(link_flaps_and_goes),
	};

	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(argv[2]);
	if (!tl_can_run())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
