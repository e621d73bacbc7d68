/* SPDX-License-Identifier: Apache-2.0 */
/* intake_plugin.c - plugins that come, their memory and figures, plugins that leave. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "intake_int.h"
#include "platform/base/murmur2.h"

#define GROUP      "mosquitto" /* may connect, if there is such a group */
#define ACCEPT_MAX 8           /* in one go */
#define FDS_MAX    8           /* taken from a peer that passes more than it should */

uint64_t sl_in_plugin_mark(const char *cluster_id, const uint8_t instance[16], int64_t pid)
{
	uint8_t b[64 + 16 + 8 + 1] = {0};
	size_t n = strnlen(cluster_id, 64);

	memcpy(b, cluster_id, n);
	memcpy(b + 64, instance, 16);
	memcpy(b + 80, &pid, 8);
	uint64_t lo = sl_murmur2(b, sizeof(b));
	b[88] = 1;
	return (uint64_t)sl_murmur2(b, sizeof(b)) << 32 | lo;
}

/* ---- the welcome ----------------------------------------------------------------------------- */

static void add_own(struct sl_welcome *w, size_t *at, char kind, const char *text)
{
	size_t len = strlen(text);

	if (*at + len + 3 > sizeof(w->own)) /* cannot be: 8 brokers, names of 63 bytes */
		return;
	w->own[(*at)++] = kind;
	memcpy(w->own + *at, text, len + 1);
	*at += len + 1;
}

/* Clients of ours at brokers: a message that came from us does not come back. */
static void fill_own(const struct sl_config *c, struct sl_welcome *w)
{
	char text[SL_CFG_NAME_MAX + 16];
	size_t at = 0;

	snprintf(text, sizeof(text), "sluice-%s-", c->gateway.id);
	add_own(w, &at, '^', text);
	for (uint32_t i = 0; i < c->mqtt.broker_cnt; i++) {
		const char *id = c->mqtt.broker[i].client_id;
		if (!id[0] || !strncmp(id, text, strlen(text)))
			continue;
		add_own(w, &at, '=', id);
		char down[SL_CFG_NAME_MAX + 8];
		snprintf(down, sizeof(down), "%s-down", id);
		add_own(w, &at, '=', down);
	}
}

static int answer(struct sl_intake *in, int fd, enum sl_welcome_status st)
{
	struct sl_welcome w = {
		.magic = SL_HELLO_MAGIC, .version = SL_HELLO_VERSION, .status = (uint32_t)st};

	fill_own(in->config, &w);
	return send(fd, &w, sizeof(w), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(w) ? 0
											  : -errno;
}

/* ---- a plugin is there ----------------------------------------------------------------------- */

void sl_in_plugin_close(struct sl_in_ring *r)
{
	if (r->sock.fd >= 0) {
		sl_loop_del(r->in->loop, &r->sock);
		close(r->sock.fd);
		r->sock.fd = -1;
	}
	if (r->wake.fd >= 0 && !r->source) {
		sl_loop_del(r->in->loop, &r->wake);
		close(r->wake.fd);
		r->wake.fd = -1;
	}
}

/* It says nothing after its hello: whatever comes, it is over. */
static void on_sock(void *arg, uint32_t events)
{
	struct sl_in_ring *r = arg;
	char c;
	ssize_t n = recv(r->sock.fd, &c, 1, MSG_DONTWAIT);
	(void)events;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	sl_log(SL_LOG_INFO, "mqtt", "%s: detached; what it left is stored", r->name);
	sl_in_plugin_close(r);
	sl_in_ring_drain(r);
}

/* The turn that follows looks; edge-triggered, so nothing is to be read. */
static void on_wake(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

void sl_in_plugin_opened(struct sl_in_ring *r)
{
	if (r->sock.fd < 0 || r->in->stopping) /* it has left meanwhile, or we leave */
		return;
	sl_in_keep_stats(r->in);
	if (answer(r->in, r->sock.fd, SL_WELCOME)) {
		sl_in_plugin_close(r);
		sl_in_ring_drain(r);
		return;
	}
	sl_log(SL_LOG_INFO, "mqtt", "%s: attached, a ring of %u KiB", r->name, r->ring.bytes >> 10);
}

/* -EPROTO: it is not memory that stays; -errno. */
static int map_memory(int fd, uint32_t bytes, void **ret_mem)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK)) /* else it could be cut under our feet: SIGBUS */
		return -EPROTO;
	if (bytes < SL_RING_PAGE + SL_RING_BYTES_MIN || bytes > SL_RING_PAGE + SL_RING_BYTES_MAX ||
	    fstat(fd, &st) || st.st_size != (off_t)bytes)
		return -EPROTO;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret_mem = p;
	return 0;
}

static bool is_attached(const struct sl_intake *in, const uint8_t instance[16])
{
	const struct sl_in_ring *r;

	TAILQ_FOREACH(r, &in->rings, link)
	if (!r->source && !memcmp(r->ring.hdr->instance, instance, 16))
		return true;
	return false;
}

static void name_it(struct sl_in_ring *r)
{
	char broker[sizeof(r->ring.hdr->broker)];

	memcpy(broker, r->ring.hdr->broker, sizeof(broker));
	broker[sizeof(broker) - 1] = '\0';
	snprintf(r->name, sizeof(r->name), "%s", broker[0] ? broker : "plugin");
}

/* Takes the eventfd and the socket, if it returns 0. */
static int watch(struct sl_in_ring *r, int sock, int efd)
{
	struct sl_loop *l = r->in->loop;
	int rc;

	r->wake = (struct sl_loop_fd){.fd = efd, .fn = on_wake, .arg = r};
	r->sock = (struct sl_loop_fd){.fd = sock, .fn = on_sock, .arg = r};
	rc = sl_loop_add(l, &r->wake, EPOLLIN | EPOLLET); /* refuses what is no such thing */
	if (rc)
		goto none;
	rc = sl_loop_add(l, &r->sock, EPOLLIN);
	if (!rc)
		return 0;
	sl_loop_del(l, &r->wake);
none:
	r->wake.fd = r->sock.fd = -1;
	return rc;
}

/* Takes the descriptors if it returns SL_WELCOME: the answer then comes when the ring is open. */
static enum sl_welcome_status attach(struct sl_intake *in, const struct sl_hello *h, int sock,
				     const int fds[SL_HELLO_FDS])
{
	struct sl_in_ring *r;
	void *mem = NULL;

	if (in->stopping || in->plugin_cnt == SL_MQTT_PLUGINS_MAX || is_attached(in, h->instance))
		return SL_WELCOME_BUSY;
	if (map_memory(fds[0], h->mem_bytes, &mem))
		return SL_WELCOME_MEMORY;
	r = sl_in_ring_new(in, mem, h->mem_bytes);
	if (!r || memcmp(r->ring.hdr->instance, h->instance, sizeof(h->instance))) {
		if (r)
			sl_in_ring_free(r);
		else
			munmap(mem, h->mem_bytes);
		return SL_WELCOME_MEMORY;
	}
	name_it(r);
	if (watch(r, sock, fds[1]) || sl_in_handover_start(r)) {
		if (r->sock.fd >= 0) { /* the caller closes them */
			sl_loop_del(in->loop, &r->sock);
			sl_loop_del(in->loop, &r->wake);
			r->sock.fd = r->wake.fd = -1;
		}
		sl_in_ring_free(r);
		return SL_WELCOME_BUSY;
	}
	close(fds[0]); /* mapped */
	TAILQ_INSERT_TAIL(&in->rings, r, link);
	in->plugin_cnt++;
	if (!in->beat.armed)
		sl_in_beat(in);
	return SL_WELCOME;
}

/* ---- a connection that has not said hello ---------------------------------------------------- */

static void conn_free(struct sl_in_conn *c, bool close_it)
{
	struct sl_intake *in = c->in;

	sl_loop_del(in->loop, &c->f);
	if (close_it)
		close(c->f.fd);
	sl_timer_cancel(sl_loop_timers(in->loop), &c->timer);
	TAILQ_REMOVE(&in->conns, c, link);
	in->conn_cnt--;
	free(c);
}

static void conn_late(void *arg)
{
	conn_free(arg, true);
}

/* One message with its descriptors; how many came in *ret_cnt. Bytes, or -errno. */
static ssize_t receive(int fd, struct sl_hello *h, int fds[FDS_MAX], int *ret_cnt)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {h, sizeof(*h)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = ctl.buf,
			   .msg_controllen = sizeof(ctl.buf)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_cnt = 0;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		int cnt = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		cnt = SL_MIN(cnt, FDS_MAX - *ret_cnt);
		memcpy(fds + *ret_cnt, CMSG_DATA(c), (size_t)cnt * sizeof(int));
		*ret_cnt += cnt;
	}
	return m.msg_flags & MSG_TRUNC ? n + 1 : n; /* longer than a hello */
}

static enum sl_welcome_status check_hello(const struct sl_hello *h, ssize_t n, int fd_cnt)
{
	if (n != (ssize_t)sizeof(*h) || h->magic != SL_HELLO_MAGIC ||
	    h->version != SL_HELLO_VERSION)
		return SL_WELCOME_VERSION;
	return fd_cnt == SL_HELLO_FDS ? SL_WELCOME : SL_WELCOME_MEMORY;
}

static void on_hello(void *arg, uint32_t events)
{
	static const char *const why[SL_WELCOME_STATUS_CNT] = {
		[SL_WELCOME_VERSION] = "it speaks another version",
		[SL_WELCOME_MEMORY] = "the memory that it passed is no ring",
	};
	struct sl_in_conn *c = arg;
	struct sl_intake *in = c->in;
	struct sl_hello h = {0};
	int fds[FDS_MAX], fd_cnt;
	(void)events;

	ssize_t n = receive(c->f.fd, &h, fds, &fd_cnt);
	if (n == -EAGAIN || n == -EINTR)
		return;
	int fd = c->f.fd;
	conn_free(c, false);
	enum sl_welcome_status st = n > 0 ? check_hello(&h, n, fd_cnt) : SL_WELCOME_STATUS_CNT;
	if (st == SL_WELCOME)
		st = attach(in, &h, fd, fds);
	if (st == SL_WELCOME)
		return;
	if (st != SL_WELCOME_STATUS_CNT && st != SL_WELCOME_BUSY)
		sl_log_limited(&in->log_bad, SL_LOG_WARN, "mqtt", "a plugin is refused: %s",
			       why[st]);
	if (st != SL_WELCOME_STATUS_CNT)
		(void)!answer(in, fd, st); /* the end of the connection says it, too */
	for (int i = 0; i < fd_cnt; i++)
		close(fds[i]);
	close(fd);
}

static int conn_new(struct sl_intake *in, int fd)
{
	struct sl_in_conn *c;

	if (in->conn_cnt == SL_IN_CONNS_MAX)
		return -EAGAIN;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->in = in;
	c->f = (struct sl_loop_fd){.fd = fd, .fn = on_hello, .arg = c};
	int rc = sl_loop_add(in->loop, &c->f, EPOLLIN);
	if (rc) {
		free(c);
		return rc;
	}
	c->timer.fn = conn_late;
	c->timer.arg = c;
	sl_timer_set(sl_loop_timers(in->loop), &c->timer, sl_loop_now(in->loop) + SL_IN_CLOSE_NS);
	TAILQ_INSERT_TAIL(&in->conns, c, link);
	in->conn_cnt++;
	return 0;
}

static void on_accept(void *arg, uint32_t events)
{
	struct sl_intake *in = arg;
	(void)events;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(in->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				sl_log_limited(&in->log_bad, SL_LOG_WARN, "mqtt", "accept: %s",
					       strerror(errno));
			return;
		}
		if (conn_new(in, fd))
			close(fd);
	}
}

/* ---- the socket ------------------------------------------------------------------------------ */

/* The broker runs as a user of its own: its group may connect. */
static void give_to_group(const char *path)
{
	char buf[4096];
	struct group g, *found = NULL;

	if (getgrnam_r(GROUP, &g, buf, sizeof(buf), &found) || !found)
		return;
	if (chown(path, (uid_t)-1, g.gr_gid))
		sl_log(SL_LOG_INFO, "mqtt", "%s is not given to group %s: %s", path, GROUP,
		       strerror(errno));
}

int sl_in_plugins_listen(struct sl_intake *in, char *err, size_t errlen)
{
	const char *path = in->config->mqtt.socket;
	int fd = sl_unix_listen(path, SOCK_SEQPACKET, SL_IN_CONNS_MAX, &in->file);

	if (fd < 0) {
		snprintf(err, errlen, "mqtt.socket %s: %s", path, strerror(-fd));
		return fd;
	}
	give_to_group(path);
	in->listen = (struct sl_loop_fd){.fd = fd, .fn = on_accept, .arg = in};
	return 0;
}

int sl_in_plugins_start(struct sl_intake *in)
{
	return in->listen.fd < 0 ? 0 : sl_loop_add(in->loop, &in->listen, EPOLLIN);
}

void sl_in_plugins_stop(struct sl_intake *in)
{
	struct sl_in_ring *r;
	struct sl_in_conn *c;

	if (in->listen.fd >= 0) {
		sl_loop_del(in->loop, &in->listen);
		sl_unix_unlink(&in->file);
		close(in->listen.fd);
		in->listen.fd = -1;
	}
	while ((c = TAILQ_FIRST(&in->conns)))
		conn_free(c, true);
	TAILQ_FOREACH(r, &in->rings, link)
	sl_in_ring_drain(r);
}
