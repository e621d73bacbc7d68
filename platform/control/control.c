/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/control/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/net/unix.h"

struct conn {
	int fd; /* -1: free */
	uint64_t deadline_ns;
	size_t in_len;
	char *out; /* the answer under way; NULL: reading */
	size_t out_len, out_off;
	bool closing; /* after the answer */
	char in[SL_CONTROL_REQUEST_MAX];
};

struct sl_control {
	struct sl_control_cfg cfg;
	struct sl_unix_file file;
	int listen_fd;
	int stop_fd; /* eventfd: readable once sl_control_stop() was called */
	pthread_t thread;
	struct conn conn[SL_CONTROL_CONNS_MAX];
};

/* ---- one request ----------------------------------------------------------------------------- */

/* Takes v; NULL stands for "no memory". Returns one line, malloc'ed, or NULL. */
static char *line_of(json_t *v, size_t *ret_len)
{
	char *text = v ? json_dumps(v, JSON_COMPACT) : NULL, *line;
	size_t len = text ? strlen(text) : 0;

	json_decref(v);
	line = text ? realloc(text, len + 2) : NULL;
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	*ret_len = len + 1;
	return line;
}

static json_t *error_json(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *run_command(struct sl_control *ctl, const char *name, const json_t *req)
{
	for (unsigned i = 0; i < ctl->cfg.cmd_cnt; i++) {
		if (!strcmp(ctl->cfg.cmds[i].name, name)) {
			json_t *v = ctl->cfg.cmds[i].fn(ctl->cfg.arg, req);
			return v ? v : error_json("the command failed");
		}
	}
	return error_json("unknown command");
}

static char *answer(struct sl_control *ctl, const char *text, size_t len, size_t *ret_len)
{
	json_t *req = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *v;
	const char *name = json_string_value(json_object_get(req, "cmd"));
	char *line;

	v = name ? run_command(ctl, name, req)
		 : error_json("a request is one line such as {\"cmd\":\"status\"}");
	json_decref(req);
	line = line_of(v, ret_len);
	if (line && *ret_len > SL_CONTROL_ANSWER_MAX) {
		free(line);
		line = line_of(error_json("the answer is too large"), ret_len);
	}
	return line;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void conn_close(struct conn *c)
{
	close(c->fd);
	free(c->out);
	c->out = NULL;
	c->fd = -1;
}

static void conn_deadline(struct sl_control *ctl, struct conn *c)
{
	c->deadline_ns = sl_clock_mono_ns() + (uint64_t)ctl->cfg.timeout_ms * 1000000;
}

static void conn_say(struct sl_control *ctl, struct conn *c, char *line, size_t len)
{
	c->out = line;
	c->out_len = len;
	c->out_off = 0;
	conn_deadline(ctl, c);
	if (!line)
		conn_close(c);
}

/* Answers the first whole line in the buffer, if there is one. */
static void conn_line(struct sl_control *ctl, struct conn *c)
{
	char *nl = memchr(c->in, '\n', c->in_len), *line;
	size_t used, len = 0;

	if (!nl && c->in_len < sizeof(c->in))
		return;
	if (!nl) {
		c->closing = true;
		line = line_of(error_json("the request is too long"), &len);
		conn_say(ctl, c, line, len);
		return;
	}
	used = (size_t)(nl + 1 - c->in);
	line = answer(ctl, c->in, used - 1, &len);
	c->in_len -= used;
	memmove(c->in, c->in + used, c->in_len);
	conn_say(ctl, c, line, len);
}

static void conn_read(struct sl_control *ctl, struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

	if (n > 0) {
		c->in_len += (size_t)n;
		conn_line(ctl, c);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		conn_close(c);
	}
}

static void conn_write(struct sl_control *ctl, struct conn *c)
{
	ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_close(c);
		return;
	}
	c->out_off += (size_t)n;
	if (c->out_off < c->out_len)
		return;
	free(c->out);
	c->out = NULL;
	conn_deadline(ctl, c);
	if (c->closing)
		conn_close(c);
	else
		conn_line(ctl, c); /* the next request may be here already */
}

static void refuse(int fd)
{
	static const char busy[] = "{\"error\":\"too many connections\"}\n";

	if (send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* it will see the end of the connection instead */
	}
	close(fd);
}

static void take_connection(struct sl_control *ctl)
{
	int fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (unsigned i = 0; i < SL_CONTROL_CONNS_MAX; i++) {
		struct conn *c = &ctl->conn[i];
		if (c->fd >= 0)
			continue;
		*c = (struct conn){.fd = fd};
		conn_deadline(ctl, c);
		return;
	}
	refuse(fd);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int next_timeout(const struct sl_control *ctl)
{
	uint64_t now = sl_clock_mono_ns(), first = UINT64_MAX;

	for (unsigned i = 0; i < SL_CONTROL_CONNS_MAX; i++) {
		if (ctl->conn[i].fd >= 0)
			first = SL_MIN(first, ctl->conn[i].deadline_ns);
	}
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (int)((first - now) / 1000000 + 1);
}

static void serve(struct sl_control *ctl, const struct pollfd *fds)
{
	uint64_t now = sl_clock_mono_ns();

	for (unsigned i = 0; i < SL_CONTROL_CONNS_MAX; i++) {
		struct conn *c = &ctl->conn[i];
		if (c->fd < 0 || c->fd != fds[i].fd)
			continue;
		if (fds[i].revents && c->out)
			conn_write(ctl, c);
		else if (fds[i].revents)
			conn_read(ctl, c);
		else if (now >= c->deadline_ns)
			conn_close(c);
	}
}

static void *control_thread(void *arg)
{
	enum { LISTEN = SL_CONTROL_CONNS_MAX, STOP, FDS };
	struct sl_control *ctl = arg;
	struct pollfd fds[FDS];

	for (;;) {
		for (unsigned i = 0; i < SL_CONTROL_CONNS_MAX; i++) {
			struct conn *c = &ctl->conn[i];
			fds[i] = (struct pollfd){.fd = c->fd, .events = c->out ? POLLOUT : POLLIN};
		}
		fds[LISTEN] = (struct pollfd){.fd = ctl->listen_fd, .events = POLLIN};
		fds[STOP] = (struct pollfd){.fd = ctl->stop_fd, .events = POLLIN};
		if (poll(fds, FDS, next_timeout(ctl)) < 0)
			continue; /* EINTR, or memory was short for a moment */
		if (fds[STOP].revents)
			return NULL;
		serve(ctl, fds);
		if (fds[LISTEN].revents)
			take_connection(ctl);
	}
}

int sl_control_start(const struct sl_control_cfg *cfg, struct sl_control **ret_ctl)
{
	struct sl_control *ctl = calloc(1, sizeof(*ctl));
	int rc;

	if (!ctl)
		return -ENOMEM;
	ctl->cfg = *cfg;
	if (ctl->cfg.timeout_ms == 0)
		ctl->cfg.timeout_ms = SL_CONTROL_TIMEOUT_MS;
	for (unsigned i = 0; i < SL_CONTROL_CONNS_MAX; i++)
		ctl->conn[i].fd = -1;
	ctl->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ctl->stop_fd < 0) {
		rc = -errno;
		goto free_ctl;
	}
	rc = ctl->listen_fd =
		sl_unix_listen(cfg->path, SOCK_STREAM, SL_CONTROL_CONNS_MAX, &ctl->file);
	if (rc < 0)
		goto close_stop;
	rc = -pthread_create(&ctl->thread, NULL, control_thread, ctl);
	if (rc < 0)
		goto close_listen;
	pthread_setname_np(ctl->thread, "sl-control");
	*ret_ctl = ctl;
	return 0;

close_listen:
	close(ctl->listen_fd);
	sl_unix_unlink(&ctl->file);
close_stop:
	close(ctl->stop_fd);
free_ctl:
	free(ctl);
	return rc;
}

void sl_control_stop(struct sl_control *ctl)
{
	if (!ctl)
		return;
	SL_ASSERT(eventfd_write(ctl->stop_fd, 1) == 0);
	pthread_join(ctl->thread, NULL);
	for (unsigned i = 0; i < SL_CONTROL_CONNS_MAX; i++) {
		if (ctl->conn[i].fd >= 0)
			conn_close(&ctl->conn[i]);
	}
	close(ctl->listen_fd);
	sl_unix_unlink(&ctl->file);
	close(ctl->stop_fd);
	free(ctl);
}
