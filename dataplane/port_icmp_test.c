/* SPDX-License-Identifier: Apache-2.0 */
/* Suite net: what a port lets the kernel say and do on its ingest ports: nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "platform/base/clock.h"
#include "port_testlib.h"

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

/* The UDP port that a "port unreachable" is about, 0 if it is another message. */
static uint16_t about(const uint8_t *p, size_t len, bool v6)
{
	if (!v6) { /* a raw IPv4 socket gives the header, too */
		size_t ip = (p[0] & 15) * 4u;
		bool port = len >= ip + 8 + 28 && p[ip] == ICMP_DEST_UNREACH &&
			    p[ip + 1] == ICMP_PORT_UNREACH && (p[ip + 8] & 15) == 5;
		return port ? sl_be16(p + ip + 8 + 22) : 0;
	}
	return len >= 8 + 48 && p[0] == 1 && p[1] == 4 ? sl_be16(p + 8 + 42) : 0;
}

/*
 * How many times the devices are told that TL_UDP is unreachable, up to the answer about a closed
 * port (*closed, another one each time) that is asked last: what the kernel had to say before it,
 * it has said by then.
 */
static unsigned unreachables(int fd, bool v6, uint16_t *closed)
{
	uint64_t give_up = sl_clock_mono_ns() + TL_PATIENCE_MS * 1000000ull;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint8_t buf[512];
	unsigned n = 0;

	for (;;) {
		tl_send_udp(v6 ? TL_GW_IP6 : TL_GW_IP, ++*closed, 1, 0);
		if (poll(&pfd, 1, 100) == 0) /* all the box together gets 1,000/s: ask again */
			assert_true(sl_clock_mono_ns() < give_up);
		for (ssize_t len; (len = recv(fd, buf, sizeof(buf), 0)) > 0;) {
			uint16_t port = about(buf, (size_t)len, v6);
			if (port == *closed)
				return n;
			n += port == TL_UDP;
		}
	}
}

static void no_answer_for_an_ingest_port(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	enum sl_backend be[] = {SL_BE_AF_XDP, SL_BE_AF_PACKET};
	int fd4 = tl_in_ns(tl_dev, icmp_open_here, NULL),
	    fd6 = tl_in_ns(tl_dev, icmp6_open_here, NULL);
	uint64_t all = 0, udp = 0;
	uint16_t closed = 20000;

	/* else the kernel answers one sender about once a second */
	assert_int_equal(tl_sh("ip netns exec %s sysctl -qw net.ipv4.icmp_ratelimit=0 "
			       "net.ipv6.icmp.ratelimit=0",
			       tl_gw),
			 0);
	tl_send_udp(TL_GW_IP, TL_UDP, 1, 0); /* without us there is an answer: the test can fail */
	tl_send_udp(TL_GW_IP6, TL_UDP, 1, 0);
	assert_int_equal(unreachables(fd4, false, &closed), 1);
	assert_int_equal(unreachables(fd6, true, &closed), 1);
	for (int i = 0; i < 2; i++) {
		struct sl_port *p = NULL;
		char err[TL_ERR];
		tl_port(f, be[i], "gw0", tl_gw);
		assert_int_equal(tl_open(f, &l, 1, &p, err), 0);
		for (int phase = 0; phase < 3; phase++) { /* opened, running, quiesced */
			if (phase == 1)
				assert_int_equal(sl_port_start(p, err, sizeof(err)), 0);
			if (phase == 2)
				sl_port_quiesce(p);
			tl_send_udp(TL_GW_IP, TL_UDP, 20, 0);
			tl_send_udp(TL_GW_IP6, TL_UDP, 20, 0);
			if (phase == 1) /* of both families */
				tl_poll_for(p, 40u * (unsigned)(i + 1), &all, &udp);
			assert_int_equal(unreachables(fd4, false, &closed), 0);
			assert_int_equal(unreachables(fd6, true, &closed), 0);
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
	struct tl_fix *f = *state;
	struct sl_cfg_listener l[] = {tl_listener(TL_GW_IP, TL_UDP), tl_listener(NULL, TL_UDP)};
	struct bind_job j = {.ip = TL_GW_IP};
	struct sl_port *p = NULL;
	char err[TL_ERR];

	tl_port(f, SL_BE_AF_PACKET, "gw0", tl_gw);
	assert_int_equal(tl_in_ns(tl_gw, bind_here, &j), 0);
	assert_int_equal(tl_open(f, l, 1, &p, err), -EADDRINUSE);
	assert_non_null(strstr(err, "5514"));
	close(j.fd);
	/* one listener for an address beside one for any: both ours, no conflict */
	p = tl_open_started(f, l, 2);
	/* and nobody else gets in, not even one who shares */
	assert_int_equal(tl_in_ns(tl_gw, bind_here, &j), -EADDRINUSE);
	close(j.fd);
	sl_port_close(p);
	assert_int_equal(tl_in_ns(tl_gw, bind_here, &j), 0);
	close(j.fd);
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
		T(no_answer_for_an_ingest_port),
		T(taken_port_is_an_error),
	};

	if (!tl_can_run())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
