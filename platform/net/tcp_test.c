/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int dial4(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 10000), 1);
}

static void test_v4(void **state)
{
	(void)state;
	struct sl_tcp_listener l;
	struct sl_tcp_addr peer, local;
	char err[128] = "";
	int fd;
	assert_int_equal(sl_tcp_listen("127.0.0.1", 0, &l, err, sizeof(err)), 0);
	assert_int_equal(l.fd_cnt, 1);
	assert_int_not_equal(l.port, 0);
	assert_int_equal(sl_tcp_accept(l.fd[0], &fd, &peer, &local), -EAGAIN);
	int c = dial4(l.port);
	readable(l.fd[0]);
	assert_int_equal(sl_tcp_accept(l.fd[0], &fd, &peer, &local), 0);
	assert_string_equal(peer.host, "127.0.0.1");
	assert_string_equal(local.host, "127.0.0.1");
	assert_int_equal(local.port, l.port);

	char buf[4] = "";
	struct iovec in[2] = {{buf, 2}, {buf + 2, 2}};
	assert_int_equal(sl_tcp_readv(fd, in, 2), -EAGAIN);
	assert_int_equal(write(c, "abc", 3), 3);
	readable(fd);
	assert_int_equal(sl_tcp_readv(fd, in, 2), 3);
	assert_memory_equal(buf, "abc", 3);
	close(c);
	readable(fd);
	assert_int_equal(sl_tcp_readv(fd, in, 2), 0);
	/* writing to one that left: an error, no signal */
	ssize_t n = 0;
	for (int i = 0; i < 100 && n >= 0; i++)
		n = sl_tcp_writev(fd, in, 2);
	assert_true(n == -EPIPE || n == -ECONNRESET);
	close(fd);
	sl_tcp_listener_close(&l);
}

static void test_all_takes_v4_as_v4(void **state)
{
	(void)state;
	struct sl_tcp_listener l;
	struct sl_tcp_addr peer, local;
	char err[128] = "";
	int fd;
	assert_int_equal(sl_tcp_listen("*", 0, &l, err, sizeof(err)), 0);
	int c = dial4(l.port);
	readable(l.fd[0]);
	assert_int_equal(sl_tcp_accept(l.fd[0], &fd, &peer, &local), 0);
	assert_string_equal(local.host, "127.0.0.1");
	close(fd);
	close(c);
	sl_tcp_listener_close(&l);
}

static void test_localhost_has_all_its_addresses(void **state)
{
	(void)state;
	struct sl_tcp_listener l;
	char err[128] = "";
	assert_int_equal(sl_tcp_listen("localhost", 0, &l, err, sizeof(err)), 0);
	assert_true(l.fd_cnt >= 1);
	int c = dial4(l.port); /* IPv4 is among them, whatever the order of names */
	close(c);
	sl_tcp_listener_close(&l);
	sl_tcp_listener_close(&l);
}

static void test_errors_say_what(void **state)
{
	(void)state;
	struct sl_tcp_listener l, m;
	char err[128] = "";
	assert_int_equal(sl_tcp_listen("127.0.0.1", 0, &l, err, sizeof(err)), 0);
	assert_int_equal(sl_tcp_listen("127.0.0.1", l.port, &m, err, sizeof(err)), -EADDRINUSE);
	assert_non_null(strstr(err, "127.0.0.1:"));
	assert_int_equal(sl_tcp_listen("198.51.100.1", 0, &m, err, sizeof(err)), -EADDRNOTAVAIL);
	assert_int_equal(sl_tcp_listen("not a host", 0, &m, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "not a host"));
	sl_tcp_listener_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_say_what),
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_all_takes_v4_as_v4),
		cmocka_unit_test(test_localhost_has_all_its_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
