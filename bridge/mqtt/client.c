/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - a connection's life. */
#include "client.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "client_priv.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"

#define NS_PER_MS 1000000ull
#define LOOK_S    3u /* at the latest, for the keep alive */

static uint64_t now_ns(const struct sl_mqclient *c)
{
	return c->cfg.mono_ns ? c->cfg.mono_ns(c->cfg.arg) : sl_clock_mono_ns();
}

/* ---- what is told to others ------------------------------------------------------------------ */

static void tell(struct sl_mqclient *c, bool connected, const char *error)
{
	pthread_mutex_lock(&c->lock);
	c->stats.connected = connected;
	snprintf(c->stats.last_error, sizeof(c->stats.last_error), "%s", error);
	pthread_mutex_unlock(&c->lock);
}

void sl_mqclient_stats(struct sl_mqclient *c, struct sl_mqclient_stats *ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = c->stats;
	pthread_mutex_unlock(&c->lock);
}

/* ---- the end of a connection, and the pause after it ----------------------------------------- */

/* xorshift64: chance enough to spread a fleet's attempts. */
static double chance(struct sl_mqclient *c)
{
	c->chance ^= c->chance << 13;
	c->chance ^= c->chance >> 7;
	c->chance ^= c->chance << 17;
	return (double)(c->chance >> 11) / (double)(1ull << 53);
}

static uint64_t pause_ms(struct sl_mqclient *c)
{
	uint64_t ms = SL_MQCLIENT_BACKOFF_MS;

	for (unsigned i = 0; i < c->failures && ms < SL_MQCLIENT_BACKOFF_MAX_MS; i++)
		ms *= 2;
	c->failures++;
	ms = (uint64_t)((double)SL_MIN(ms, SL_MQCLIENT_BACKOFF_MAX_MS) * (0.75 + chance(c) / 2));
	return SL_MIN(SL_MAX(ms, SL_MQCLIENT_BACKOFF_MS), SL_MQCLIENT_BACKOFF_MAX_MS);
}

static void hang_up(struct sl_mqclient *c)
{
	int fd = c->m ? mosquitto_socket(c->m) : -1;

	if (fd >= 0) /* the library closes it with the next attempt, or its own end */
		shutdown(fd, SHUT_RDWR);
}

static void lost(struct sl_mqclient *c, const char *why)
{
	uint64_t now = now_ns(c), ms;
	bool same = !strcmp(c->stats.last_error, why); /* only this thread writes it */

	if (c->state == SL_MQCLIENT_UP && now - c->up_ns >= SL_MQCLIENT_STEADY_MS * NS_PER_MS)
		c->failures = 0;
	ms = pause_ms(c);
	sl_log(same ? SL_LOG_DEBUG : SL_LOG_WARN, "mqtt", "broker %s (%s): %s: %s; again in %.1f s",
	       c->cfg.broker->name, c->id,
	       c->state == SL_MQCLIENT_UP ? "connection lost" : "no connection", why,
	       (double)ms / 1000);
	hang_up(c);
	sl_lookup_free(c->lookup);
	c->lookup = NULL;
	c->state = SL_MQCLIENT_WAIT;
	c->due_ns = now + ms * NS_PER_MS;
	tell(c, false, why);
}

static void over(struct sl_mqclient *c)
{
	hang_up(c);
	sl_lookup_free(c->lookup);
	c->lookup = NULL;
	c->state = SL_MQCLIENT_OVER;
	c->due_ns = UINT64_MAX;
	tell(c, false, "stopped");
}

static void lost_by(struct sl_mqclient *c, int rc)
{
	char why[SL_CFG_TEXT_MAX];

	sl_mqclient_say(c, rc, why, sizeof(why));
	lost(c, why);
}

void sl_mqclient_cut(struct sl_mqclient *c, const char *why)
{
	if (c->state <= SL_MQCLIENT_WAIT || c->state >= SL_MQCLIENT_OVER)
		return;
	if (why)
		lost(c, why);
	else
		over(c);
}

/* ---- its begin ------------------------------------------------------------------------------- */

static void dial(struct sl_mqclient *c)
{
	char err[SL_CFG_TEXT_MAX];

	if (sl_mqclient_dial(c, err, sizeof(err))) {
		lost(c, err);
		return;
	}
	c->state = SL_MQCLIENT_TCP;
	c->due_ns = now_ns(c) + SL_MQCLIENT_HELLO_MS * NS_PER_MS;
}

static void start(struct sl_mqclient *c)
{
	char err[SL_CFG_TEXT_MAX];
	int rc;

	c->connack = false;
	c->disconnect_reason = 0;
	c->lib_error[0] = 0;
	c->state = SL_MQCLIENT_LOOKUP;
	c->due_ns = UINT64_MAX;
	rc = sl_mqclient_prepare(c, err, sizeof(err));
	if (rc) {
		lost(c, err);
		return;
	}
	if (c->cfg.broker->host[0] == '/') {
		dial(c);
		return;
	}
	rc = sl_lookup_new(c->cfg.broker->host, c->cfg.efd, &c->lookup);
	if (rc)
		lost(c, strerror(-rc));
}

static void look_up(struct sl_mqclient *c)
{
	char err[SL_CFG_TEXT_MAX];
	int gai;

	if (!sl_lookup_over(c->lookup, &gai))
		return;
	sl_lookup_free(c->lookup);
	c->lookup = NULL;
	if (!gai) {
		dial(c);
		return;
	}
	snprintf(err, sizeof(err), "%.150s: %s", c->cfg.broker->host, gai_strerror(gai));
	lost(c, err);
}

/* TCP is there, or not. */
static void tcp_done(struct sl_mqclient *c)
{
	int err = 0, rc;
	socklen_t len = sizeof(err);

	if (getsockopt(mosquitto_socket(c->m), SOL_SOCKET, SO_ERROR, &err, &len) || err) {
		lost(c, strerror(err ? err : errno));
		return;
	}
	c->state = SL_MQCLIENT_HELLO;
	if (!c->cfg.broker->tls.on)
		return;
	rc = mosquitto_loop_read(c->m, 1); /* which sends the first record of TLS */
	if (rc)
		lost_by(c, rc);
}

static void answered(struct sl_mqclient *c)
{
	char err[SL_CFG_TEXT_MAX];
	uint64_t now = now_ns(c);

	c->state = SL_MQCLIENT_UP;
	c->lib_error[0] = 0;
	c->up_ns = now;
	c->due_ns = now;
	c->life++;
	if (c->cfg.subscribe && sl_mqclient_subscribe(c, err, sizeof(err))) {
		lost(c, err);
		return;
	}
	sl_log(SL_LOG_INFO, "mqtt", "broker %s: connected to %s:%u as %s, MQTT %s%s",
	       c->cfg.broker->name, c->cfg.broker->host, c->cfg.broker->port, c->id,
	       sl_mqclient_is_v5(c) ? "5" : "3.1.1", c->session ? ", session kept" : "");
	tell(c, true, "");
}

/* The broker does not know version 5: at once again with the older one. */
static bool fall_back(struct sl_mqclient *c)
{
	if (!c->connack || c->connack_reason != MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION ||
	    c->version != MQTT_PROTOCOL_V5)
		return false;
	sl_log(SL_LOG_INFO, "mqtt", "broker %s: refuses MQTT 5, taking 3.1.1", c->cfg.broker->name);
	c->version = MQTT_PROTOCOL_V311;
	hang_up(c);
	start(c);
	return true;
}

/* ---- while it lives -------------------------------------------------------------------------- */

static void keep_alive(struct sl_mqclient *c, uint64_t now)
{
	/* the broker may have told the library a shorter time than ours */
	uint64_t s = SL_MIN(SL_MAX(c->cfg.broker->keep_alive_s / 4u, 1u), LOOK_S);
	int rc = mosquitto_loop_misc(c->m);

	c->due_ns = now + s * 1000 * NS_PER_MS;
	if (rc)
		lost_by(c, rc);
}

static void read_some(struct sl_mqclient *c)
{
	int rc = 0;

	for (int i = 0; i < SL_MQCLIENT_READ_MAX && !rc; i++) {
		errno = 0;
		rc = mosquitto_loop_read(c->m, 1);
		if (mosquitto_socket(c->m) < 0 && !rc) /* DISCONNECT */
			rc = MOSQ_ERR_CONN_LOST;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		if (c->state == SL_MQCLIENT_HELLO)
			break;
	}
	if (c->state == SL_MQCLIENT_HELLO && rc && fall_back(c))
		return;
	if (rc)
		lost_by(c, rc);
	else if (c->state == SL_MQCLIENT_HELLO && c->connack)
		answered(c);
}

static void ready(struct sl_mqclient *c, short revents)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (c->state == SL_MQCLIENT_TCP) {
		tcp_done(c);
		return;
	}
	if (revents & (POLLIN | POLLHUP | POLLERR))
		read_some(c);
	if (!(revents & (POLLHUP | POLLERR)) || c->state < SL_MQCLIENT_TCP)
		return;
	/* the library tries a TLS hello that has failed for ever */
	getsockopt(mosquitto_socket(c->m), SOL_SOCKET, SO_ERROR, &err, &len);
	lost(c, err ? strerror(err) : "the broker closed the connection");
}

static void time_up(struct sl_mqclient *c, uint64_t now)
{
	switch (c->state) {
	case SL_MQCLIENT_WAIT:
		start(c);
		break;
	case SL_MQCLIENT_TCP:
	case SL_MQCLIENT_HELLO:
		lost(c, c->state == SL_MQCLIENT_TCP ? "no answer to TCP" : "no answer to CONNECT");
		break;
	case SL_MQCLIENT_UP:
		keep_alive(c, now);
		break;
	case SL_MQCLIENT_LOOKUP:
	case SL_MQCLIENT_OVER:
		break;
	}
}

void sl_mqclient_turn(struct sl_mqclient *c, short revents)
{
	if (c->state == SL_MQCLIENT_LOOKUP)
		look_up(c);
	else if (revents && c->state >= SL_MQCLIENT_TCP && c->state < SL_MQCLIENT_OVER)
		ready(c, revents);
	uint64_t now = now_ns(c);
	if (now >= c->due_ns)
		time_up(c, now);
}

void sl_mqclient_flush(struct sl_mqclient *c)
{
	int rc;

	if (c->state != SL_MQCLIENT_HELLO && c->state != SL_MQCLIENT_UP)
		return;
	if (!mosquitto_want_write(c->m))
		return;
	rc = mosquitto_loop_write(c->m, 1);
	if (rc)
		lost_by(c, rc);
}

void sl_mqclient_poll(const struct sl_mqclient *c, struct pollfd *ret_pfd)
{
	bool open = c->state >= SL_MQCLIENT_TCP && c->state < SL_MQCLIENT_OVER;

	*ret_pfd = (struct pollfd){.fd = open ? mosquitto_socket(c->m) : -1, .events = POLLIN};
	if (c->state == SL_MQCLIENT_TCP)
		ret_pfd->events = POLLOUT;
	else if (open && mosquitto_want_write(c->m))
		ret_pfd->events |= POLLOUT;
}

uint64_t sl_mqclient_due(const struct sl_mqclient *c)
{
	return c->due_ns;
}

bool sl_mqclient_up(const struct sl_mqclient *c)
{
	return c->state == SL_MQCLIENT_UP;
}

uint64_t sl_mqclient_life(const struct sl_mqclient *c)
{
	return c->life;
}

bool sl_mqclient_is_v5(const struct sl_mqclient *c)
{
	return c->version == MQTT_PROTOCOL_V5;
}

void sl_mqclient_bye(struct sl_mqclient *c)
{
	if (c->state == SL_MQCLIENT_UP && !mosquitto_disconnect_v5(c->m, 0, NULL)) {
		int rc = mosquitto_loop_write(c->m, 1);
		(void)rc; /* as it may be: it is the end */
	}
	over(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

int sl_mqclient_new(const struct sl_mqclient_cfg *cfg, struct sl_mqclient **ret)
{
	struct sl_mqclient *c = calloc(1, sizeof(*c));
	int rc = c ? sl_mqclient_lib_init() : -ENOMEM;

	if (rc) {
		free(c);
		return rc;
	}
	c->cfg = *cfg;
	c->version = MQTT_PROTOCOL_V5;
	snprintf(c->id, sizeof(c->id), "%s%.15s", cfg->broker->client_id, cfg->suffix);
	c->cfg.suffix = NULL;
	while (!c->chance) {
		ssize_t n = getrandom(&c->chance, sizeof(c->chance), 0);
		SL_ASSERT(n == sizeof(c->chance));
	}
	pthread_mutex_init(&c->lock, NULL);
	snprintf(c->stats.last_error, sizeof(c->stats.last_error), "not connected yet");
	*ret = c;
	return 0;
}

void sl_mqclient_free(struct sl_mqclient *c)
{
	if (!c)
		return;
	sl_lookup_free(c->lookup);
	mosquitto_destroy(c->m);
	sl_mqclient_lib_fini();
	pthread_mutex_destroy(&c->lock);
	free(c);
}
