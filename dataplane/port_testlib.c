/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/membarrier.h>
#include <net/ethernet.h>
#include <poll.h>
#include <pthread.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane.h"
#include "netlink.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "pool.h"
#include "port_testlib.h"

char tl_gw[32], tl_dev[32];

bool tl_can_run(void)
{
	if (geteuid() != 0) {
		printf("skipped: network namespaces need root\n");
		return false;
	}
	if (unshare(0) || access("/proc/self/ns/net", R_OK)) {
		printf("skipped: no network namespaces here\n");
		return false;
	}
	snprintf(tl_gw, sizeof(tl_gw), "slt-port-gw-%d", getpid());
	snprintf(tl_dev, sizeof(tl_dev), "slt-port-dev-%d", getpid());
	return true;
}

int tl_sh(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	int rc = system(line);
	if (rc)
		fprintf(stderr, "failed (%d): %s\n", rc, line);
	return rc;
}

void tl_lan_up(bool ipv6)
{
	const char *ns[] = {tl_gw, tl_dev};

	for (int i = 0; i < 2; i++)
		SL_ASSERT(!tl_sh("ip netns add %s && ip -n %s link set lo up", ns[i], ns[i]));
	for (int i = 0; i < 2; i++)
		SL_ASSERT(!tl_sh("echo %d | ip netns exec %s tee "
				 "/proc/sys/net/ipv6/conf/all/disable_ipv6 "
				 "/proc/sys/net/ipv6/conf/default/disable_ipv6 >/dev/null",
				 !ipv6, ns[i]));
	SL_ASSERT(!tl_sh("ip -n %s link add gw0 index 77 address 02:00:00:00:77:01 type veth "
			 "peer name dev0 address 02:00:00:00:77:02 netns %s",
			 tl_gw, tl_dev));
	SL_ASSERT(!tl_sh("ip -n %s addr add " TL_GW_IP "/24 dev gw0", tl_gw));
	SL_ASSERT(!tl_sh("ip -n %s addr add " TL_DEV_IP "/24 dev dev0", tl_dev));
	if (ipv6) {
		SL_ASSERT(!tl_sh("ip -n %s addr add " TL_GW_IP6 "/64 dev gw0 nodad", tl_gw));
		SL_ASSERT(!tl_sh("ip -n %s addr add " TL_DEV_IP6 "/64 dev dev0 nodad", tl_dev));
	}
	SL_ASSERT(!tl_sh("ip -n %s link set gw0 up", tl_gw));
	SL_ASSERT(!tl_sh("ip -n %s link set dev0 up", tl_dev));
	SL_ASSERT(
		!tl_sh("ip -n %s neigh add " TL_DEV_IP " lladdr 02:00:00:00:77:02 dev gw0", tl_gw));
	SL_ASSERT(!tl_sh("ip -n %s neigh add " TL_GW_IP " lladdr 02:00:00:00:77:01 dev dev0",
			 tl_dev));
}

void tl_lan_down(void)
{
	tl_sh("ip netns del %s; ip netns del %s", tl_gw, tl_dev);
}

struct in_ns {
	const char *ns;
	int (*fn)(void *arg);
	void *arg;
	int rc;
};

static void *in_ns_main(void *arg)
{
	struct in_ns *j = arg;
	char path[64];

	snprintf(path, sizeof(path), "/run/netns/%s", j->ns);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	SL_ASSERT(fd >= 0 && !setns(fd, CLONE_NEWNET));
	close(fd);
	j->rc = j->fn(j->arg);
	return NULL;
}

int tl_in_ns(const char *ns, int (*fn)(void *arg), void *arg)
{
	struct in_ns j = {.ns = ns, .fn = fn, .arg = arg};
	pthread_t t;

	SL_ASSERT(!pthread_create(&t, NULL, in_ns_main, &j));
	SL_ASSERT(!pthread_join(t, NULL));
	return j.rc;
}

struct send_job {
	const char *ip;
	uint16_t port;
	uint32_t n, seq;
};

static int send_here(void *arg)
{
	const struct send_job *j = arg;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(j->port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(j->port)};
	bool v6 = strchr(j->ip, ':');
	uint8_t buf[200] = {0};
	int sent = 0;

	SL_ASSERT(inet_pton(v6 ? AF_INET6 : AF_INET, j->ip,
			    v6 ? (void *)&sin6.sin6_addr : (void *)&sin.sin_addr) == 1);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	SL_ASSERT(fd >= 0);
	for (uint32_t i = 0; i < j->n; i++) {
		uint32_t seq = j->seq + i;
		memcpy(buf, &seq, sizeof(seq));
		ssize_t rc = sendto(fd, buf, sizeof(buf), 0,
				    v6 ? (struct sockaddr *)&sin6 : (struct sockaddr *)&sin,
				    v6 ? sizeof(sin6) : sizeof(sin));
		if (rc < 0 && errno == ENOBUFS) {
			i--;
			sched_yield();
			continue;
		}
		sent += rc == sizeof(buf);
	}
	close(fd);
	return sent;
}

int tl_send_udp(const char *ip, uint16_t port, uint32_t n, uint32_t first_seq)
{
	struct send_job j = {.ip = ip, .port = port, .n = n, .seq = first_seq};

	return tl_in_ns(tl_dev, send_here, &j);
}

struct frame_job {
	const char *ifname;
	const void *frame;
	size_t len;
};

static int frame_here(void *arg)
{
	const struct frame_job *j = arg;
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_halen = 6};
	struct sl_nl_link l;
	struct sl_nl *nl;

	SL_ASSERT(!sl_nl_open(&nl) && !sl_nl_link_get(nl, j->ifname, &l));
	sl_nl_close(nl);
	ll.sll_ifindex = l.index;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	SL_ASSERT(fd >= 0);
	ssize_t n = sendto(fd, j->frame, j->len, 0, (struct sockaddr *)&ll, sizeof(ll));
	close(fd);
	return n == (ssize_t)j->len ? 0 : -errno;
}

int tl_send_frame(const char *ns, const char *ifname, const void *frame, size_t len)
{
	struct frame_job j = {.ifname = ifname, .frame = frame, .len = len};

	return tl_in_ns(ns, frame_here, &j);
}

struct link_job {
	const char *ifname;
	struct sl_nl_link l;
	uint32_t xdp;
};

static int link_here(void *arg)
{
	struct link_job *j = arg;
	struct sl_nl *nl;

	SL_ASSERT(!sl_nl_open(&nl) && !sl_nl_link_get(nl, j->ifname, &j->l));
	sl_nl_close(nl);
	return bpf_xdp_query_id(j->l.index, 0, &j->xdp);
}

uint64_t tl_tx_dropped(const char *ns, const char *ifname)
{
	struct link_job j = {.ifname = ifname};

	SL_ASSERT(!tl_in_ns(ns, link_here, &j));
	return j.l.tx_dropped;
}

uint32_t tl_xdp_id(const char *ns, const char *ifname)
{
	struct link_job j = {.ifname = ifname};

	SL_ASSERT(!tl_in_ns(ns, link_here, &j));
	return j.xdp;
}

void tl_eal(void)
{
	static struct sl_config cfg;
	char err[256] = "";

	cfg.dataplane.memory_bytes = 128u << 20;
	cfg.dataplane.hugepages = SL_HUGE_OFF;
	cfg.dataplane.ingest.automatic = cfg.dataplane.writers.automatic = true;
	if (getenv("SL_TEST_DEBUG"))
		sl_log_set_level(SL_LOG_DEBUG);
	if (sl_dp_eal_init(&cfg, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
}

struct rte_mempool *tl_pool(uint32_t room)
{
	char name[32];
	static unsigned n;

	snprintf(name, sizeof(name), "test%u", n++);
	struct rte_mempool *mp = sl_mbuf_pool_new(name, 16383, 0, room);
	SL_ASSERT(mp);
	return mp;
}

struct sl_cfg_listener tl_listener(const char *ip, uint16_t udp)
{
	struct sl_cfg_listener l = {.name = "test", .udp = udp};

	if (ip) {
		bool v6 = strchr(ip, ':');
		l.addr.family = v6 ? 6 : 4;
		SL_ASSERT(inet_pton(v6 ? AF_INET6 : AF_INET, ip, l.addr.ip) == 1);
	}
	return l;
}

static bool is_udp_to(const struct rte_mbuf *m, uint16_t udp)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t n = rte_pktmbuf_data_len(m);

	if (n >= 42 && sl_be16(f + 12) == 0x0800)
		return f[23] == 17 && sl_be16(f + 36) == udp;
	return n >= 62 && sl_be16(f + 12) == 0x86dd && f[20] == 17 && sl_be16(f + 56) == udp;
}

/* One burst; waits up to 5 ms if there is nothing. */
static uint16_t poll_once(struct sl_port *p, uint64_t *all, uint64_t *udp)
{
	struct rte_mbuf *m[32];
	uint16_t n = rte_eth_rx_burst(sl_port_id(p), 0, m, 32);

	for (uint16_t i = 0; i < n; i++)
		*udp += is_udp_to(m[i], TL_UDP);
	*all += n;
	rte_pktmbuf_free_bulk(m, n);
	if (!n && sl_port_fd(p) >= 0) {
		struct pollfd pfd = {.fd = sl_port_fd(p), .events = POLLIN};
		(void)poll(&pfd, 1, 5);
	}
	return n;
}

void tl_poll(struct sl_port *p, unsigned quiet_ms, uint64_t *all, uint64_t *udp)
{
	uint64_t until = sl_clock_mono_ns() + quiet_ms * 1000000ull;

	while (sl_clock_mono_ns() < until)
		if (poll_once(p, all, udp))
			until = sl_clock_mono_ns() + quiet_ms * 1000000ull;
}

void tl_poll_for(struct sl_port *p, uint64_t want, uint64_t *all, uint64_t *udp)
{
	uint64_t give_up = sl_clock_mono_ns() + TL_PATIENCE_MS * 1000000ull;

	while (*udp < want) {
		(void)poll_once(p, all, udp);
		if (sl_clock_mono_ns() > give_up)
			fail_msg("%lu of %lu datagrams came", *udp, want);
	}
}

void tl_wait_wire(struct sl_port *p, const struct sl_ctr_port *ctr, uint64_t wire)
{
	uint64_t give_up = sl_clock_mono_ns() + TL_PATIENCE_MS * 1000000ull;

	for (sl_port_housekeep(p); ctr->wire < wire; sl_port_housekeep(p)) {
		if (sl_clock_mono_ns() > give_up)
			fail_msg("the kernel counted %lu of %lu frames", ctr->wire, wire);
		sched_yield();
	}
	/* A frame is counted before it lies in the ring, within one softirq: this waits for those
	 * under way (it is synchronize_rcu()). */
	(void)syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	sl_port_housekeep(p);
}

/* ---- what the tests of a group share -----------------------------------------------------------
 */

struct tl_fix *tl_fix_new(bool ipv6)
{
	struct tl_fix *f = calloc(1, sizeof(*f));

	SL_ASSERT(f);
	tl_eal();
	tl_lan_up(ipv6);
	SL_ASSERT(!sl_counters_anon(&f->ctr));
	return f;
}

int tl_fix_free(struct tl_fix *f)
{
	char dir[64];

	sl_counters_close(f->ctr);
	free(f);
	sl_dp_eal_cleanup();
	tl_lan_down();
	snprintf(dir, sizeof(dir), "/run/dpdk/sluice-%d", getpid());
	if (!access(dir, F_OK)) {
		fprintf(stderr, "%s is left behind\n", dir);
		return -1;
	}
	return 0;
}

int tl_fresh_pool(void **state)
{
	struct tl_fix *f = *state;

	f->pool = tl_pool(2048);
	return 0;
}

int tl_drop_pool(void **state)
{
	struct tl_fix *f = *state;

	rte_mempool_free(f->pool);
	f->pool = NULL;
	return 0;
}

void tl_port(struct tl_fix *f, enum sl_backend be, const char *device, const char *ns)
{
	f->cfg = (struct sl_cfg_port){.name = "lan0", .backend = be};
	snprintf(f->cfg.device, sizeof(f->cfg.device), "%s", device);
	snprintf(f->cfg.netns, sizeof(f->cfg.netns), "%s", ns);
}

int tl_open(struct tl_fix *f, const struct sl_cfg_listener *l, uint32_t n, struct sl_port **ret_p,
	    char err[TL_ERR])
{
	struct sl_port_cfg pc = {.port = &f->cfg,
				 .listener = l,
				 .listener_cnt = n,
				 .pool = f->pool,
				 .counters = &f->ctr->port[0]};

	err[0] = 0;
	return sl_port_open(&pc, ret_p, err, TL_ERR);
}

struct sl_port *tl_open_started(struct tl_fix *f, const struct sl_cfg_listener *l, uint32_t n)
{
	struct sl_port *p = NULL;
	char err[TL_ERR];

	if (tl_open(f, l, n, &p, err) || sl_port_start(p, err, sizeof(err)))
		fail_msg("%s", err);
	return p;
}
