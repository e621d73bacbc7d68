/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket from outside: limits, slow and rude clients, stale and live socket files. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "platform/control/control.h"

#define WAIT_MS 20000 /* never reached: how long a test would hang before it fails */

struct fixture {
	char dir[32], path[64];
	struct sl_control *ctl;
};

static json_t *cmd_echo(void *arg, const json_t *req)
{
	(void)arg;
	return json_deep_copy(req);
}

static json_t *cmd_fail(void *arg, const json_t *req)
{
	(void)arg;
	(void)req;
	return NULL;
}

static json_t *cmd_large(void *arg, const json_t *req)
{
	static char text[1 << 20];
	json_t *list = json_array();

	(void)arg;
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < json_integer_value(json_object_get(req, "mib")); i++)
		json_array_append_new(list, json_string(text));
	return json_pack("{s:o}", "list", list);
}

static const struct sl_control_cmd cmds[] = {
	{"echo", cmd_echo}, {"fail", cmd_fail}, {"large", cmd_large}};

static int start_at(const char *path, uint32_t timeout_ms, struct sl_control **ret)
{
	struct sl_control_cfg cfg = {.path = path,
				     .cmds = cmds,
				     .cmd_cnt = SL_ARRAY_SIZE(cmds),
				     .timeout_ms = timeout_ms};

	return sl_control_start(&cfg, ret);
}

static void setup_with(struct fixture *f, uint32_t timeout_ms)
{
	strcpy(f->dir, "/tmp/slt-control-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	assert_int_equal(start_at(f->path, timeout_ms, &f->ctl), 0);
}

static void teardown(struct fixture *f)
{
	sl_control_stop(f->ctl);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(f->dir), 0);
}

static int dial(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Reads until a newline or the end; returns the bytes. */
static size_t read_line(int fd, char *buf, size_t cap)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	while (len < cap - 1 && (len == 0 || buf[len - 1] != '\n')) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		ssize_t n = read(fd, buf + len, 1);
		if (n <= 0)
			break;
		len++;
	}
	buf[len] = '\0';
	return len;
}

static void expect_line(int fd, const char *want)
{
	char buf[512];

	read_line(fd, buf, sizeof(buf));
	if (!strstr(buf, want))
		fail_msg("'%s' is not in '%s'", want, buf);
}

static void expect_end(int fd)
{
	char buf[8];

	assert_int_equal(read_line(fd, buf, sizeof(buf)), 0);
	close(fd);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void calls(void **state)
{
	struct fixture f = {0};
	json_t *v = NULL;
	struct stat st;

	(void)state;
	setup_with(&f, 0);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(sl_control_call(f.path, "echo", WAIT_MS, &v), 0);
	assert_string_equal(json_string_value(json_object_get(v, "cmd")), "echo");
	json_decref(v);
	v = NULL;
	assert_int_equal(sl_control_call(f.path, "nope", WAIT_MS, &v), -EREMOTEIO);
	assert_string_equal(json_string_value(json_object_get(v, "error")), "unknown command");
	json_decref(v);
	v = NULL;
	assert_int_equal(sl_control_call(f.path, "fail", WAIT_MS, &v), -EREMOTEIO);
	json_decref(v);
	teardown(&f);
}

static void call_errors(void **state)
{
	struct fixture f = {0};
	char path[256];
	json_t *v = NULL;

	(void)state;
	setup_with(&f, 0);
	snprintf(path, sizeof(path), "%s/none", f.dir);
	assert_int_equal(sl_control_call(path, "echo", WAIT_MS, &v), -ENOENT);
	memset(path, 'a', 200);
	path[200] = '\0';
	assert_int_equal(sl_control_call(path, "echo", WAIT_MS, &v), -ENAMETOOLONG);
	assert_int_equal(start_at(path, 0, &f.ctl), -ENAMETOOLONG);
	assert_int_equal(start_at("", 0, &f.ctl), -ENAMETOOLONG);

	/* somebody listens and never answers; somebody who answers nonsense */
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/dumb", f.dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(sl_control_call(sa.sun_path, "echo", 1, &v), -ETIMEDOUT);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	close(accept(fd, NULL, NULL)); /* of the call above */
	int client = dial(sa.sun_path), server = accept(fd, NULL, NULL);
	close(server);
	expect_end(client);
	assert_null(v);
	close(fd);
	assert_int_equal(unlink(sa.sun_path), 0);
	teardown(&f);
}

static void requests_on_one_connection(void **state)
{
	struct fixture f = {0};
	int fd;

	(void)state;
	setup_with(&f, 0);
	fd = dial(f.path);
	say(fd, "{\"cmd\":\"echo\",\"n\":1}\n{\"cmd\":\"echo\",\"n\":2}\n{\"cmd\":");
	expect_line(fd, "\"n\":1");
	expect_line(fd, "\"n\":2");
	say(fd, "\"echo\",\"n\":3}\n");
	expect_line(fd, "\"n\":3");
	say(fd, "nonsense\n");
	expect_line(fd, "a request is one line");
	say(fd, "[]\n");
	expect_line(fd, "a request is one line");
	say(fd, "{\"cmd\":7}\n");
	expect_line(fd, "a request is one line");
	say(fd, "{\"cmd\":\"echo\",\"cmd\":\"fail\"}\n");
	expect_line(fd, "a request is one line");
	close(fd);
	teardown(&f);
}

static void too_long(void **state)
{
	char text[SL_CONTROL_REQUEST_MAX + 1];
	struct fixture f = {0};
	int fd;

	(void)state;
	setup_with(&f, 0);
	memset(text, ' ', sizeof(text));
	memcpy(text, "{\"cmd\":\"echo\"}", 14);
	text[SL_CONTROL_REQUEST_MAX - 1] = '\n'; /* just fits */
	text[SL_CONTROL_REQUEST_MAX] = '\0';
	fd = dial(f.path);
	say(fd, text);
	expect_line(fd, "{\"cmd\":\"echo\"}");
	text[SL_CONTROL_REQUEST_MAX - 1] = ' ';
	say(fd, text);
	expect_line(fd, "too long");
	expect_end(fd);
	teardown(&f);
}

static void large_answers(void **state)
{
	struct fixture f = {0};
	json_t *v = NULL;
	char line[64];
	int fd;

	(void)state;
	setup_with(&f, 0);
	snprintf(line, sizeof(line), "{\"cmd\":\"large\",\"mib\":%d}\n",
		 SL_CONTROL_ANSWER_MAX >> 20);
	fd = dial(f.path);
	say(fd, line);
	expect_line(fd, "answer is too large");
	say(fd, "{\"cmd\":\"large\",\"mib\":3}\n"); /* more than a socket buffer: read slowly */
	char *buf = malloc(4u << 20);
	size_t len = 0;
	ssize_t n;
	while ((n = read(fd, buf + len, 65536)) > 0) {
		len += (size_t)n;
		if (buf[len - 1] == '\n')
			break;
	}
	v = json_loadb(buf, len, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(v, "list")), 3);
	json_decref(v);
	free(buf);
	close(fd);
	teardown(&f);
}

static void too_many(void **state)
{
	struct fixture f = {0};
	int fd[SL_CONTROL_CONNS_MAX + 1];

	(void)state;
	setup_with(&f, 0);
	for (int i = 0; i < SL_CONTROL_CONNS_MAX; i++) {
		fd[i] = dial(f.path);
		say(fd[i], "{\"cmd\":\"echo\"}\n");
		expect_line(fd[i], "echo"); /* it has its place */
	}
	fd[SL_CONTROL_CONNS_MAX] = dial(f.path);
	expect_line(fd[SL_CONTROL_CONNS_MAX], "too many connections");
	expect_end(fd[SL_CONTROL_CONNS_MAX]);
	for (int i = 0; i < SL_CONTROL_CONNS_MAX; i++)
		close(fd[i]);
	teardown(&f);
}

static void slow_clients_are_closed(void **state)
{
	struct fixture f = {0};
	int fd;

	(void)state;
	setup_with(&f, 20);
	fd = dial(f.path);
	say(fd, "{\"cmd\":");
	expect_end(fd); /* nothing more came in time */
	fd = dial(f.path);
	say(fd,
	    "{\"cmd\":\"large\",\"mib\":3}\n"); /* and does not read: stop must not hang on it */
	teardown(&f);
	close(fd);
}

static void socket_files(void **state)
{
	struct fixture f = {0};
	struct sl_control *second = NULL;
	char path[96], inner[160];
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	json_t *v = NULL;
	int fd;

	(void)state;
	setup_with(&f, 0);
	assert_int_equal(start_at(f.path, 0, &second), -EADDRINUSE);
	assert_int_equal(sl_control_call(f.path, "echo", WAIT_MS, &v), 0); /* and left alone */
	json_decref(v);

	snprintf(path, sizeof(path), "%s/stale", f.dir); /* what a kill -9 leaves */
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(start_at(path, 0, &second), 0);
	sl_control_stop(second);

	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* a file is not ours to remove */
	close(fd);
	assert_int_equal(start_at(path, 0, &second), -EEXIST);
	assert_int_equal(unlink(path), 0);

	snprintf(inner, sizeof(inner), "%s/sub/s", f.dir); /* one level is made, not two */
	assert_int_equal(start_at(inner, 0, &second), 0);
	sl_control_stop(second);
	snprintf(inner, sizeof(inner), "%s/sub", f.dir);
	assert_int_equal(rmdir(inner), 0);
	snprintf(inner, sizeof(inner), "%s/x/y/s", f.dir);
	assert_int_equal(start_at(inner, 0, &second), -ENOENT);

	assert_int_equal(start_at(path, 0, &second), 0); /* replaced behind our back: not ours */
	assert_int_equal(unlink(path), 0);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	sl_control_stop(second);
	assert_int_equal(unlink(path), 0);
	sl_control_stop(NULL);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls),
		cmocka_unit_test(call_errors),
		cmocka_unit_test(requests_on_one_connection),
		cmocka_unit_test(too_long),
		cmocka_unit_test(large_answers),
		cmocka_unit_test(too_many),
		cmocka_unit_test(slow_clients_are_closed),
		cmocka_unit_test(socket_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
