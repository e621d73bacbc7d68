/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/control/control.h"

/* Waits for `events` until the deadline. 0, -ETIMEDOUT, -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		uint64_t now = sl_clock_mono_ns();
		int n = now < deadline_ns ? (int)((deadline_ns - now) / 1000000 + 1) : 0;

		n = poll(&p, 1, n);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int send_all(int fd, const char *p, size_t len, uint64_t deadline_ns)
{
	while (len) {
		int rc = wait_for(fd, POLLOUT, deadline_ns);
		ssize_t n = rc < 0 ? 0 : send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (rc < 0)
			return rc;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Reads up to a newline or the end. Returns an owned, NUL-terminated line of *ret_len bytes. */
static int recv_line(int fd, char **ret_line, size_t *ret_len, uint64_t deadline_ns)
{
	size_t cap = 65536, len = 0;
	char *buf = malloc(cap);

	while (buf) {
		int rc = wait_for(fd, POLLIN, deadline_ns);
		ssize_t n = rc < 0 ? 0 : recv(fd, buf + len, cap - len - 1, MSG_DONTWAIT);

		if (rc == 0 && n < 0 && errno != EAGAIN && errno != EINTR)
			rc = -errno;
		if (rc == 0 && n > 0)
			len += (size_t)n;
		if (rc == 0 && (n == 0 || (n > 0 && buf[len - 1] == '\n'))) {
			buf[len] = '\0';
			*ret_line = buf;
			*ret_len = len;
			return 0;
		}
		if (rc == 0 && len + 1 == cap && cap >= SL_CONTROL_ANSWER_MAX)
			rc = -EPROTO;
		if (rc < 0) {
			free(buf);
			return rc;
		}
		if (len + 1 == cap) {
			char *more = realloc(buf, cap *= 2);
			if (!more)
				free(buf);
			buf = more;
		}
	}
	return -ENOMEM;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (len > SL_CONTROL_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static int exchange(int fd, const char *request, uint64_t deadline_ns, json_t **ret_answer)
{
	char *line = NULL;
	size_t len = 0;
	json_t *answer;
	int rc = send_all(fd, request, strlen(request), deadline_ns);

	if (rc == 0)
		rc = send_all(fd, "\n", 1, deadline_ns);
	if (rc == 0 || rc == -EPIPE) /* it may have said why before it closed */
		rc = recv_line(fd, &line, &len, deadline_ns);
	if (rc < 0)
		return rc == -ECONNRESET ? -EPROTO : rc;
	answer = json_loadb(line, len, 0, NULL);
	free(line);
	if (!json_is_object(answer)) {
		json_decref(answer);
		return -EPROTO;
	}
	*ret_answer = answer;
	return json_is_string(json_object_get(answer, "error")) ? -EREMOTEIO : 0;
}

int sl_control_ask(const char *path, const json_t *req, int timeout_ms, json_t **ret_answer)
{
	uint64_t deadline = sl_clock_mono_ns() + (uint64_t)timeout_ms * 1000000;
	char *text = req ? json_dumps(req, JSON_COMPACT) : NULL;
	int fd, rc = -ENOMEM;

	if (text) {
		rc = fd = connect_to(path);
		if (fd >= 0) {
			rc = exchange(fd, text, deadline, ret_answer);
			close(fd);
		}
	}
	free(text);
	return rc;
}

int sl_control_call(const char *path, const char *cmd, int timeout_ms, json_t **ret_answer)
{
	json_t *req = json_pack("{s:s}", "cmd", cmd);
	int rc = sl_control_ask(path, req, timeout_ms, ret_answer);

	json_decref(req);
	return rc;
}
