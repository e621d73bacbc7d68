/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "conn_priv.h"

/* ---- memory budget --------------------------------------------------------------------------- */

static void charge(struct sl_kconn *c, int64_t bytes)
{
	struct sl_kserver *s = c->server;

	c->held += (uint64_t)bytes;
	sl_kcount(&s->counters.memory, (uint64_t)bytes);
	if (bytes < 0)
		s->memory_freed = true;
	if (s->overdraft && bytes < 0 && (s->overdraft->held == 0 || !sl_kserver_over_budget(s)))
		s->overdraft = NULL;
}

void sl_kreq_charge(struct sl_kreq *r, int64_t bytes)
{
	r->charged += (uint64_t)bytes;
	charge(r->conn, bytes);
}

/* ---- life ------------------------------------------------------------------------------------ */

int sl_kconn_new(const struct sl_kconn_cfg *cfg, struct sl_kconn **ret_conn)
{
	struct sl_kconn *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->server = cfg->server;
	STAILQ_INIT(&c->reqs);
	TAILQ_INIT(&c->order.queue);
	c->input_ns = c->sent_ns = sl_kserver_mono_ns(c->server);
	c->server->conn_cnt++;
	TAILQ_INSERT_TAIL(&c->server->conns, c, link);
	*ret_conn = c;
	return 0;
}

void sl_kreq_free(struct sl_kreq *r)
{
	struct sl_kbufs *bufs = &r->server->bufs;

	charge(r->conn, -(int64_t)r->charged);
	sl_kreq_put_topics(r);
	sl_kbufs_put(bufs, r->frame, r->frame_cap);
	sl_kout_fini(&r->out, bufs);
	free(r);
}

static void conn_free(struct sl_kconn *c)
{
	struct sl_kserver *s = c->server;

	SL_ASSERT(c->held == 0 && TAILQ_EMPTY(&c->order.queue));
	if (c->stalled)
		TAILQ_REMOVE(&s->stalled, c, stalled_link);
	if (c->starved)
		TAILQ_REMOVE(&s->starved, c, starved_link);
	if (s->overdraft == c)
		s->overdraft = NULL;
	TAILQ_REMOVE(&s->conns, c, link);
	s->conn_cnt--;
	free(c);
}

void sl_kconn_changed(struct sl_kconn *c)
{
	if (!c->closed)
		c->cfg.changed(c->cfg.arg);
}

void sl_kconn_break(struct sl_kconn *c, const char *fmt, ...)
{
	struct sl_kserver *s = c->server;
	va_list ap;

	if (c->closed || c->broken)
		return;
	c->broken = true;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	sl_kcount(&s->counters.request_errors, 1);
	sl_log_limited(&s->log_bad, SL_LOG_WARN, "kafka", "closed %s: %s", c->cfg.peer, c->why);
	sl_kconn_changed(c);
}

void sl_kconn_close(struct sl_kconn *c)
{
	if (!c)
		return;
	SL_ASSERT(!c->closed && !c->pumping);
	c->closed = true;
	if (c->partial) {
		sl_kreq_free(c->partial);
		c->partial = NULL;
	}
	struct sl_kreq *r, *next;
	c->pumping = true; /* endings below must not free the connection yet */
	for (r = STAILQ_FIRST(&c->reqs); r; r = next) {
		next = STAILQ_NEXT(r, link);
		if (r->state == SL_KREQ_RUNNING && r->cancel)
			r->cancel(r);
	}
	c->pumping = false;
	sl_kconn_pump(c);
}

/* ---- requests: start and end ----------------------------------------------------------------- */

/* Removes the done ones at the head that have nothing (more) to send. */
static void pop_sent(struct sl_kconn *c)
{
	struct sl_kreq *r;
	while ((r = STAILQ_FIRST(&c->reqs)) && r->state == SL_KREQ_DONE &&
	       (c->closed || r->out.sent == r->out.bytes)) {
		STAILQ_REMOVE_HEAD(&c->reqs, link);
		c->unsent -= r->out.bytes - r->out.sent;
		c->req_cnt--;
		sl_kreq_free(r);
	}
}

static bool may_start(const struct sl_kconn *c, const struct sl_kreq *r)
{
	if (c->running && !(r->api->pipelined && c->running == c->running_pipelined))
		return false;
	return c->closed || c->unsent <= SL_KCONN_UNSENT_MAX;
}

static void set_running(struct sl_kconn *c, struct sl_kreq *r)
{
	r->state = SL_KREQ_RUNNING;
	c->running++;
	c->running_pipelined += r->api->pipelined;
	c->next_start = STAILQ_NEXT(r, link);
}

static void unset_running(struct sl_kconn *c, struct sl_kreq *r)
{
	r->state = SL_KREQ_QUEUED;
	c->running--;
	c->running_pipelined -= r->api->pipelined;
	c->next_start = r;
}

static const char *why_broken(int err)
{
	switch (err) {
	case -EPROTO:
		return "malformed request";
	case -E2BIG:
		return "request names too many topics or partitions";
	case -ENOMEM:
		return "out of memory";
	}
	return "request could not be served";
}

/* False: it waits for room. */
static bool start(struct sl_kconn *c, struct sl_kreq *r)
{
	if (c->closed && !r->api->pipelined) { /* nobody is left to read the answer */
		set_running(c, r);
		sl_kreq_drop(r);
		return true;
	}
	struct sl_kr in = r->in;
	set_running(c, r);
	int rc = r->api->start(r); /* r may be gone when it returns 0 */
	if (rc == 0)
		return true;
	if (rc != -EAGAIN) {
		sl_kreq_fail(r, why_broken(rc));
		return true;
	}
	sl_kreq_put_topics(r);
	r->in = in; /* it will be read again from the start */
	unset_running(c, r);
	if (!c->stalled) {
		c->stalled = true;
		TAILQ_INSERT_TAIL(&c->server->stalled, c, stalled_link);
	}
	return false;
}

void sl_kconn_pump(struct sl_kconn *c)
{
	if (c->pumping) /* a handler that answers at once comes by here */
		return;
	c->pumping = true;
	if (c->stalled) {
		c->stalled = false;
		TAILQ_REMOVE(&c->server->stalled, c, stalled_link);
	}
	while (c->next_start && (!c->broken || c->closed) && may_start(c, c->next_start))
		if (!start(c, c->next_start))
			break;
	c->pumping = false;
	pop_sent(c);
	sl_kconn_order_idle(&c->order);
}

void sl_kconn_order_idle(struct sl_korder *order)
{
	struct sl_kconn *c = SL_CONTAINER_OF(order, struct sl_kconn, order);
	if (c->closed && !c->pumping && !order->injecting && STAILQ_EMPTY(&c->reqs))
		conn_free(c);
}

void sl_kreq_release_frame(struct sl_kreq *r)
{
	sl_kbufs_put(&r->server->bufs, r->frame, r->frame_cap);
	sl_kreq_charge(r, -(int64_t)r->frame_cap);
	r->frame = NULL;
	r->frame_cap = 0;
}

static void finish(struct sl_kreq *r)
{
	struct sl_kconn *c = r->conn;

	SL_ASSERT(r->state == SL_KREQ_RUNNING);
	c->running--;
	c->running_pipelined -= r->api->pipelined;
	r->state = SL_KREQ_DONE;
	r->cancel = NULL;
	sl_kreq_put_topics(r);
	sl_kreq_release_frame(r);
	/* from now on it holds its response only */
	uint64_t held = sizeof(*r) + sl_kout_memory(&r->out);
	sl_kreq_charge(r, (int64_t)held - (int64_t)r->charged);
	if (c->unsent == 0)
		c->sent_ns = sl_kserver_mono_ns(c->server);
	c->unsent += r->out.bytes;
	sl_kconn_changed(c);
	sl_kconn_pump(c);
}

void sl_kreq_done(struct sl_kreq *r)
{
	struct sl_kout *o = &r->out;
	o->bytes += o->w.len;
	if (o->w.bad || o->bytes - 4 > INT32_MAX) {
		sl_kreq_fail(r, "response too large or out of memory");
		return;
	}
	SL_ASSERT(o->w.len >= 8);
	sl_put_be32(o->w.buf, (uint32_t)(o->bytes - 4));
	finish(r);
}

void sl_kreq_drop(struct sl_kreq *r)
{
	sl_kout_fini(&r->out, &r->server->bufs);
	finish(r);
}

void sl_kreq_fail(struct sl_kreq *r, const char *why)
{
	sl_kconn_break(r->conn, "%s v%d: %s", r->api->name, r->version, why);
	sl_kreq_drop(r);
}

/* ---- output ---------------------------------------------------------------------------------- */

int sl_kconn_output(struct sl_kconn *c, struct iovec *iov, int max)
{
	struct sl_kreq *r;
	int n = 0;

	pop_sent(c); /* silent ones at the head */
	for (r = STAILQ_FIRST(&c->reqs); r; r = STAILQ_NEXT(r, link)) {
		bool whole;
		if (r->state != SL_KREQ_DONE)
			break;
		n += sl_kout_iov(&r->out, iov + n, max - n, &whole);
		if (!whole)
			break;
	}
	return n;
}

void sl_kconn_sent(struct sl_kconn *c, size_t n)
{
	SL_ASSERT(n <= c->unsent);
	c->unsent -= n;
	c->sent_ns = sl_kserver_mono_ns(c->server);
	sl_kcount(&c->server->counters.bytes_out, n);
	struct sl_kreq *r;
	for (r = STAILQ_FIRST(&c->reqs); r; r = STAILQ_NEXT(r, link)) {
		uint64_t part = SL_MIN((uint64_t)n, r->out.bytes - r->out.sent);
		r->out.sent += part;
		n -= part;
		if (n == 0)
			break;
	}
	sl_kconn_pump(c);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static uint64_t ms_since(const struct sl_kconn *c, uint64_t then_ns)
{
	uint64_t now = sl_kserver_mono_ns(c->server);
	return now > then_ns ? (now - then_ns) / 1000000u : 0;
}

bool sl_kconn_quiet(const struct sl_kconn *c)
{
	return STAILQ_EMPTY(&c->reqs) && c->unsent == 0;
}

uint64_t sl_kconn_stalled_bytes(const struct sl_kconn *c)
{
	bool no_output = c->unsent && ms_since(c, c->sent_ns) >= SL_KCONN_STALL_MS;
	bool no_request = c->partial && c->partial->frame_cap > SL_KCONN_SMALL &&
			  ms_since(c, c->frame_ns) >= SL_KCONN_STALL_MS;

	return !c->closed && (no_output || no_request) ? c->held : 0;
}

void sl_kconn_tick(struct sl_kconn *c)
{
	uint32_t idle_ms = c->server->cfg.idle_ms;

	if (c->closed || c->broken)
		return;
	if ((c->partial || c->head_len) && !c->blocked &&
	    ms_since(c, c->input_ns) >= SL_KCONN_PARTIAL_MS) {
		sl_kconn_break(c, "request not completed in time");
		return;
	}
	/* a request under way is no idleness, an answer that nobody takes is */
	if (idle_ms && c->running == 0 && ms_since(c, c->input_ns) >= idle_ms &&
	    ms_since(c, c->sent_ns) >= idle_ms) {
		sl_log(SL_LOG_DEBUG, "kafka", "closed %s: idle", c->cfg.peer);
		c->broken = true; /* nobody's mistake: not counted as one */
		snprintf(c->why, sizeof(c->why), "idle");
		sl_kconn_changed(c);
	}
}

const char *sl_kconn_broken(const struct sl_kconn *c)
{
	return c->broken ? c->why : NULL;
}

const char *sl_kconn_local(const struct sl_kconn *c, uint16_t *ret_port)
{
	*ret_port = c->cfg.local_port;
	return c->cfg.local_host;
}

const char *sl_kconn_peer(const struct sl_kconn *c)
{
	return c->cfg.peer;
}

bool sl_kconn_closed(const struct sl_kconn *c)
{
	return c->closed;
}

struct sl_korder *sl_kconn_order(struct sl_kconn *c)
{
	return &c->order;
}

struct sl_kconn *sl_kconn_next_starved(struct sl_kserver *s)
{
	struct sl_kconn *c = TAILQ_FIRST(&s->starved);
	if (c) {
		TAILQ_REMOVE(&s->starved, c, starved_link);
		c->starved = false;
	}
	return c;
}

struct sl_kconn *sl_kconn_first(const struct sl_kserver *s)
{
	return TAILQ_FIRST(&s->conns);
}

struct sl_kconn *sl_kconn_next(const struct sl_kconn *c)
{
	return TAILQ_NEXT(c, link);
}
