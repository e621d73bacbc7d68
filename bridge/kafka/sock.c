/* SPDX-License-Identifier: Apache-2.0 */
#include "sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct sl_ksock {
	struct sl_ksocks *all;
	struct sl_loop_fd f;
	struct sl_kconn *conn;
	TAILQ_ENTRY(sl_ksock) link, dirty_link;
	bool dirty;
	uint8_t *rest; /* bytes read that the machine has not taken yet; NULL: none */
	size_t rest_len;
};

static void changed(void *arg)
{
	struct sl_ksock *k = arg;
	if (!k->dirty) {
		k->dirty = true;
		TAILQ_INSERT_TAIL(&k->all->dirty, k, dirty_link);
	}
}

static void sock_close(struct sl_ksock *k)
{
	struct sl_ksocks *ks = k->all;

	sl_loop_del(ks->loop, &k->f);
	close(k->f.fd);
	sl_kconn_close(k->conn); /* calls `changed` no more */
	if (k->dirty)
		TAILQ_REMOVE(&ks->dirty, k, dirty_link);
	TAILQ_REMOVE(&ks->all, k, link);
	ks->cnt--;
	atomic_store_explicit(&ks->server->counters.connections, ks->cnt, memory_order_relaxed);
	free(k->rest);
	free(k);
}

/* ---- input ----------------------------------------------------------------------------------- */

/* Offers bytes to the machine and keeps what it does not take. False: no memory for that. */
static bool feed(struct sl_ksock *k, const uint8_t *p, size_t n)
{
	size_t used = sl_kconn_input(k->conn, p, n);
	if (used == n)
		return true;
	uint8_t *rest = malloc(n - used); /* at most SL_KSOCK_STAGE */
	if (!rest)
		return false;
	memcpy(rest, p + used, n - used);
	k->rest = rest;
	k->rest_len = n - used;
	return true;
}

/* The machine first gets what it did not take before. False: it still does not take all. */
static bool feed_rest(struct sl_ksock *k)
{
	uint8_t *rest = k->rest;
	if (!rest)
		return true;
	if (!sl_kconn_wants_input(k->conn))
		return false;
	k->rest = NULL;
	if (!feed(k, rest, k->rest_len))
		sl_kconn_break(k->conn, "out of memory");
	free(rest);
	return !k->rest;
}

/* One read. Bytes, 0 at the end, -EAGAIN, -errno; *ret_drained: the socket has no more. */
static ssize_t read_once(struct sl_ksock *k, bool *ret_drained)
{
	struct iovec iov[2];
	size_t direct = 0;
	int n = 0;
	uint8_t *p = sl_kconn_direct(k->conn, &direct);

	if (p)
		iov[n++] = (struct iovec){p, direct};
	else
		direct = 0;
	iov[n++] = (struct iovec){k->all->stage, SL_KSOCK_STAGE};
	ssize_t got = sl_tcp_readv(k->f.fd, iov, n);
	if (got <= 0)
		return got;
	*ret_drained = (size_t)got < direct + SL_KSOCK_STAGE;
	size_t to_direct = SL_MIN((size_t)got, direct);
	if (to_direct)
		sl_kconn_direct_done(k->conn, to_direct);
	if ((size_t)got > to_direct && !feed(k, k->all->stage, (size_t)got - to_direct))
		return -ENOMEM;
	return got;
}

/* False: the connection is gone. */
static bool sock_read(struct sl_ksock *k)
{
	size_t budget = SL_KSOCK_TURN;
	bool drained = false;

	while (!drained && budget > 0 && !k->all->stopping) {
		if (!feed_rest(k) || !sl_kconn_wants_input(k->conn))
			break;
		ssize_t n = read_once(k, &drained);
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			sock_close(k);
			return false;
		}
		budget -= SL_MIN(budget, (size_t)n);
	}
	return true;
}

/* ---- output ---------------------------------------------------------------------------------- */

/* 0: all is sent; 1: the socket is full; -errno. */
static int sock_write(struct sl_ksock *k)
{
	struct iovec iov[SL_KSOCK_IOV];
	int n;

	while ((n = sl_kconn_output(k->conn, iov, SL_KSOCK_IOV)) > 0) {
		size_t want = 0;
		for (int i = 0; i < n; i++)
			want += iov[i].iov_len;
		ssize_t sent = sl_tcp_writev(k->f.fd, iov, n);
		if (sent == -EAGAIN)
			return 1;
		if (sent < 0)
			return (int)sent;
		sl_kconn_sent(k->conn, (size_t)sent);
		if ((size_t)sent < want)
			return 1;
	}
	return 0;
}

static void flush_one(struct sl_ksock *k)
{
	int rc;

	rc = sock_write(k);
	feed_rest(k); /* after writing: what was sent makes room */
	if (rc < 0 || sl_kconn_broken(k->conn)) {
		sock_close(k);
		return;
	}
	bool in = !k->all->stopping && !k->rest && sl_kconn_wants_input(k->conn);
	sl_loop_mod(k->all->loop, &k->f, (in ? EPOLLIN : 0u) | (rc ? EPOLLOUT : 0u));
}

static void on_event(void *arg, uint32_t events)
{
	struct sl_ksock *k = arg;

	if ((events & (EPOLLHUP | EPOLLERR)) && !(k->f.events & EPOLLIN)) {
		sock_close(k); /* nobody is there to answer */
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		if (!sock_read(k))
			return;
	changed(k);
}

/* ---- all of them ----------------------------------------------------------------------------- */

void sl_ksocks_init(struct sl_ksocks *ks)
{
	TAILQ_INIT(&ks->all);
	TAILQ_INIT(&ks->dirty);
}

static int sock_new(struct sl_ksocks *ks, int fd, const struct sl_tcp_addr *peer,
		    const struct sl_tcp_addr *local)
{
	struct sl_kconn_cfg cfg = {
		.server = ks->server, .local_port = local->port, .changed = changed};
	struct sl_ksock *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return -ENOMEM;
	snprintf(cfg.peer, sizeof(cfg.peer), "%s:%u", peer->host, peer->port);
	snprintf(cfg.local_host, sizeof(cfg.local_host), "%s", local->host);
	cfg.arg = k;
	k->all = ks;
	k->f = (struct sl_loop_fd){.fd = fd, .fn = on_event, .arg = k};
	rc = sl_kconn_new(&cfg, &k->conn);
	if (rc)
		goto free_sock;
	rc = sl_loop_add(ks->loop, &k->f, EPOLLIN);
	if (rc)
		goto close_conn;
	TAILQ_INSERT_TAIL(&ks->all, k, link);
	ks->cnt++;
	return 0;

close_conn:
	sl_kconn_close(k->conn);
free_sock:
	free(k);
	return rc;
}

void sl_ksocks_add(struct sl_ksocks *ks, int fd, const struct sl_tcp_addr *peer,
		   const struct sl_tcp_addr *local)
{
	struct sl_kcounters *c = &ks->server->counters;

	if (ks->cnt >= ks->max || sock_new(ks, fd, peer, local)) {
		sl_kcount(&c->connections_refused, 1);
		sl_log_limited(&ks->server->log_bad, SL_LOG_WARN, "kafka",
			       "refused %s:%u: %u connections are open", peer->host, peer->port,
			       ks->cnt);
		close(fd);
		return;
	}
	sl_kcount(&c->connections_total, 1);
	atomic_store_explicit(&c->connections, ks->cnt, memory_order_relaxed);
}

bool sl_ksocks_flush(struct sl_ksocks *ks)
{
	struct sl_ksock *last = TAILQ_LAST(&ks->dirty, sl_ksock_list), *k = NULL;

	while (k != last) {
		k = TAILQ_FIRST(&ks->dirty);
		TAILQ_REMOVE(&ks->dirty, k, dirty_link);
		k->dirty = false;
		flush_one(k);
	}
	return last != NULL;
}

void sl_ksocks_stop_input(struct sl_ksocks *ks)
{
	struct sl_ksock *k;
	ks->stopping = true;
	for (k = TAILQ_FIRST(&ks->all); k; k = TAILQ_NEXT(k, link))
		changed(k);
}

void sl_ksocks_close_all(struct sl_ksocks *ks)
{
	struct sl_ksock *k;
	while ((k = TAILQ_FIRST(&ks->all)))
		sock_close(k);
}
