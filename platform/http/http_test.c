/* SPDX-License-Identifier: Apache-2.0 */
/* The admin port from outside, by plain sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "platform/http/http.h"

#define WAIT_MS 20000 /* never reached */

static unsigned on_metrics(void *arg, FILE *out)
{
	fprintf(out, "answer %d\n", *(int *)arg);
	return 200;
}

static unsigned on_ready(void *arg, FILE *out)
{
	(void)arg;
	fputs("not ready\n", out);
	return 503;
}

static unsigned on_empty(void *arg, FILE *out)
{
	(void)arg;
	(void)out;
	return 200;
}

static unsigned on_huge(void *arg, FILE *out)
{
	static const char block[65536];

	(void)arg;
	for (size_t n = 0; n <= SL_HTTP_BODY_MAX; n += sizeof(block))
		fwrite(block, 1, sizeof(block), out);
	return 200;
}

static const struct sl_http_route routes[] = {
	{"/metrics", SL_HTTP_PROMETHEUS, on_metrics},
	{"/readyz", SL_HTTP_PLAIN, on_ready},
	{"/empty", SL_HTTP_JSON, on_empty},
	{"/huge", SL_HTTP_PLAIN, on_huge},
};

static int answer_value = 42;

static struct sl_http *start(void)
{
	struct sl_http_cfg cfg = {.host = "127.0.0.1",
				  .routes = routes,
				  .route_cnt = SL_ARRAY_SIZE(routes),
				  .arg = &answer_value};
	struct sl_http *h = NULL;

	assert_int_equal(sl_http_start(&cfg, &h), 0);
	assert_true(sl_http_port(h) > 0);
	return h;
}

static int dial(const struct sl_http *h)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(sl_http_port(h)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Sends, reads to the end of the connection. */
static char *ask(const struct sl_http *h, const char *request)
{
	char *buf = calloc(1, 65536);
	int fd = dial(h);
	size_t len = 0;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL),
			 (ssize_t)strlen(request));
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		ssize_t n = read(fd, buf + len, 65535 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	return buf;
}

static void expect(const struct sl_http *h, const char *request, const char *status,
		   const char *header, const char *body)
{
	char *got = ask(h, request), *head_end = strstr(got, "\r\n\r\n");

	if (strncmp(got, status, strlen(status)) || !head_end || !strstr(got, header) ||
	    strcmp(head_end + 4, body))
		fail_msg("`%s`:\n%s", request, got);
	free(got);
}

#define END " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void gets(void **state)
{
	struct sl_http *h = start();

	(void)state;
	expect(h, "GET /metrics" END, "HTTP/1.1 200", "text/plain; version=0.0.4", "answer 42\n");
	expect(h, "GET /metrics?x=y" END, "HTTP/1.1 200", "Cache-Control: no-store", "answer 42\n");
	expect(h, "HEAD /metrics" END, "HTTP/1.1 200", "Content-Length: 10", "");
	expect(h, "GET /readyz" END, "HTTP/1.1 503", "text/plain", "not ready\n");
	expect(h, "GET /empty" END, "HTTP/1.1 200", "application/json", "");
	expect(h, "GET /huge" END, "HTTP/1.1 500", "text/plain", "no answer\n");
	sl_http_stop(h);
}

static void others(void **state)
{
	struct sl_http *h = start();
	char *got;

	(void)state;
	expect(h, "GET /" END, "HTTP/1.1 404", "nosniff", "not found\n");
	expect(h, "GET /metrics/" END, "HTTP/1.1 404", "", "not found\n");
	expect(h, "GET /../metrics" END, "HTTP/1.1 404", "", "not found\n");
	expect(h, "GET /metrics%00x" END, "HTTP/1.1 404", "", "not found\n");
	expect(h, "POST /nowhere" END, "HTTP/1.1 404", "", "not found\n");
	expect(h, "DELETE /metrics" END, "HTTP/1.1 405", "Allow: GET, HEAD", "only GET and HEAD\n");
	expect(h,
	       "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
	       "5\r\n\r\nhello",
	       "HTTP/1.1 405", "", "only GET and HEAD\n");
	got = ask(h, "nonsense\r\n\r\n");
	assert_null(strstr(got, "200 OK"));
	free(got);
	sl_http_stop(h);
}

static void limits(void **state)
{
	struct sl_http *h = start();
	char *request = malloc(65536), *got;
	int fd[SL_HTTP_CONNS_MAX];

	(void)state;
	strcpy(request, "GET /metrics HTTP/1.1\r\nX: ");
	size_t n = strlen(request);
	memset(request + n, 'x', 40000);
	strcpy(request + n + 40000, "\r\n\r\n");
	got = ask(h, request);
	assert_null(strstr(got, "answer"));
	free(got);
	free(request);

	for (int i = 0; i < SL_HTTP_CONNS_MAX; i++)
		fd[i] = dial(h);
	int one_more = dial(h);
	struct pollfd p = {.fd = one_more, .events = POLLIN};
	assert_int_equal(
		send(one_more, "GET /metrics" END, strlen("GET /metrics" END), MSG_NOSIGNAL),
		(ssize_t)strlen("GET /metrics" END));
	assert_int_equal(poll(&p, 1, 100), 0); /* it has no place, and waits for one */
	close(fd[0]);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	close(one_more);
	for (int i = 1; i < SL_HTTP_CONNS_MAX; i++)
		close(fd[i]);
	sl_http_stop(h);
}

static void starting(void **state)
{
	struct sl_http *h = start(), *second = NULL;
	struct sl_http_cfg cfg = {.host = "127.0.0.1", .port = sl_http_port(h), .routes = routes};

	(void)state;
	assert_int_equal(sl_http_start(&cfg, &second), -EADDRINUSE);
	cfg.host = "192.0.2.1"; /* TEST-NET-1: on no machine */
	assert_int_equal(sl_http_start(&cfg, &second), -EADDRNOTAVAIL);
	cfg.host = "not an address";
	assert_int_equal(sl_http_start(&cfg, &second), -ENOENT);
	assert_null(second);
	cfg.host = "127.0.0.1";
	sl_http_stop(h);
	assert_int_equal(sl_http_start(&cfg, &second), 0); /* free again at once */
	assert_int_equal(sl_http_port(second), cfg.port);
	sl_http_stop(second);
	sl_http_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gets),
		cmocka_unit_test(others),
		cmocka_unit_test(limits),
		cmocka_unit_test(starting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
