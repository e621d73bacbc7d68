/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"

#define NS_PER_MS 1000000ull
#define SLICE_NS  (200 * NS_PER_MS) /* of waiting: so soon a stop is noticed */

/* What was received since the last acknowledgements. */
struct batch {
	uint64_t last_id; /* that the intake is asked about; 0: none */
	bool cut;         /* something could not be handed over */
};

struct sl_broker {
	struct sl_broker_cfg cfg;
	struct sl_mqclient *client;
	struct batch batch;
	uint64_t loose;          /* QoS 0 and 2, handed over: nobody sends them again */
	uint64_t refused, large; /* the source's figures when they were last looked at */
	int efd;
	pthread_t thread;
	bool started;
	struct sl_log_limit log_large;
	_Atomic bool stopping;
	_Atomic uint64_t deadline_ns;
	_Atomic uint64_t lost;
};

/* ---- messages -------------------------------------------------------------------------------- */

static bool stopping(const struct sl_broker *b)
{
	return atomic_load_explicit(&b->stopping, memory_order_acquire);
}

static void count_lost(struct sl_broker *b, uint64_t n)
{
	if (!n)
		return;
	atomic_fetch_add_explicit(&b->lost, n, memory_order_relaxed);
	sl_intake_source_lost(b->cfg.source, n);
}

static int hand_over(struct sl_broker *b, const struct sl_ring_msg *m, uint64_t *ret_id)
{
	int rc;

	do
		rc = sl_intake_source_put(b->cfg.source, m, SLICE_NS, ret_id);
	while (rc == -EAGAIN && !stopping(b)); /* the socket waits with us */
	return rc;
}

static void on_message(void *arg, const struct sl_ring_msg *msg)
{
	struct sl_broker *b = arg;
	struct batch *x = &b->batch;
	struct sl_ring_msg m = *msg;
	const char *name = b->cfg.broker->name;
	uint64_t id;
	int rc;

	m.client = (struct sl_slice){(const uint8_t *)name, (uint32_t)strlen(name)};
	if (m.qos > 0)
		m.flags |= SL_RING_F_WAITED;
	rc = x->cut ? -ESHUTDOWN : hand_over(b, &m, &id);
	if (rc == -EMSGSIZE) {
		sl_log_limited(&b->log_large, SL_LOG_ERROR, "mqtt",
			       "broker %s: a message of %u bytes is too large for any topic: lost",
			       name, m.payload.len);
		count_lost(b, 1);
	} else if (rc) {
		x->cut = true;
		count_lost(b, m.qos != 1);
	} else {
		b->loose += m.qos != 1;
		x->last_id = m.qos > 0 ? id : x->last_id;
	}
}

/* False: no answer, and the stop's time is up. */
static bool wait_for_answers(struct sl_broker *b)
{
	enum sl_ring_answer answer;

	while (b->batch.last_id &&
	       sl_intake_source_wait(b->cfg.source, b->batch.last_id, SLICE_NS, &answer)) {
		if (stopping(b) && sl_clock_mono_ns() >= atomic_load_explicit(&b->deadline_ns,
									      memory_order_relaxed))
			return false;
	}
	return true;
}

/* True if the intake has refused something since it was last asked: what is not sent again is lost.
 */
static bool look_at_refusals(struct sl_broker *b)
{
	uint64_t messages, refused, large, gone;

	sl_intake_source_stats(b->cfg.source, &messages, &refused, &large);
	count_lost(b, large - b->large);
	gone = SL_MIN(refused - b->refused, b->loose);
	count_lost(b, gone);
	b->loose -= gone;
	bool some = refused != b->refused;
	b->refused = refused;
	b->large = large;
	return some;
}

/* Decides over the batch: the acknowledgements that wait in the library may go, or must not. */
static void batch_end(struct sl_broker *b)
{
	bool answered = wait_for_answers(b);
	bool refused = look_at_refusals(b);

	if (b->batch.cut || !answered)
		sl_mqclient_cut(b->client, NULL); /* we are stopping */
	else if (refused)
		sl_mqclient_cut(b->client, "messages could not be stored: not acknowledged");
	else
		sl_mqclient_flush(b->client);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int poll_ms(uint64_t due_ns)
{
	uint64_t now = sl_clock_mono_ns();

	if (due_ns == UINT64_MAX)
		return -1;
	return due_ns <= now ? 0 : (int)SL_MIN((due_ns - now) / NS_PER_MS + 1, 60000u);
}

static void *thread_main(void *arg)
{
	struct sl_broker *b = arg;
	uint64_t count;

	while (!stopping(b)) {
		struct pollfd p[2] = {[1] = {.fd = b->efd, .events = POLLIN}};
		sl_mqclient_poll(b->client, &p[0]);
		if (poll(p, 2, poll_ms(sl_mqclient_due(b->client))) < 0)
			continue; /* signals are blocked: there are none */
		if (p[1].revents && read(b->efd, &count, sizeof(count)) < 0)
			SL_ASSERT(errno == EAGAIN);
		b->batch = (struct batch){0};
		sl_mqclient_turn(b->client, p[0].fd >= 0 ? p[0].revents : 0);
		batch_end(b);
	}
	sl_mqclient_bye(b->client);
	return NULL;
}

/* ---- control --------------------------------------------------------------------------------- */

int sl_broker_new(const struct sl_broker_cfg *cfg, struct sl_broker **ret_broker)
{
	struct sl_broker *b = calloc(1, sizeof(*b));
	struct sl_mqclient_cfg cc = {.broker = cfg->broker,
				     .suffix = "",
				     .subscribe = true,
				     .message = on_message,
				     .arg = b};
	int rc;

	if (!b)
		return -ENOMEM;
	b->cfg = *cfg;
	b->log_large = (struct sl_log_limit)SL_LOG_LIMIT(5, 60000);
	b->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->efd < 0) {
		rc = -errno;
		free(b);
		return rc;
	}
	cc.efd = b->efd;
	rc = sl_mqclient_new(&cc, &b->client);
	if (rc) {
		sl_broker_free(b);
		return rc;
	}
	*ret_broker = b;
	return 0;
}

int sl_broker_start(struct sl_broker *b)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all); /* SIGPIPE too: the library writes without asking for none */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&b->thread, NULL, thread_main, b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	pthread_setname_np(b->thread, "sl-mqtt-broker");
	b->started = true;
	return 0;
}

void sl_broker_stop(struct sl_broker *b, uint64_t deadline_ns)
{
	uint64_t one = 1;

	if (!b || !b->started)
		return;
	atomic_store_explicit(&b->deadline_ns, deadline_ns, memory_order_relaxed);
	atomic_store_explicit(&b->stopping, true, memory_order_release);
	ssize_t n = write(b->efd, &one, sizeof(one));
	(void)n; /* full: then it is readable anyway */
	pthread_join(b->thread, NULL);
	b->started = false;
}

void sl_broker_free(struct sl_broker *b)
{
	if (!b)
		return;
	SL_ASSERT(!b->started);
	sl_mqclient_free(b->client);
	close(b->efd);
	free(b);
}

void sl_broker_stats(struct sl_broker *b, struct sl_mqtt_broker_stats *ret)
{
	struct sl_mqclient_stats st;
	uint64_t refused, large;

	*ret = (struct sl_mqtt_broker_stats){.plugin = false};
	sl_mqclient_stats(b->client, &st);
	snprintf(ret->name, sizeof(ret->name), "%s", b->cfg.broker->name);
	ret->connected = st.connected;
	snprintf(ret->last_error, sizeof(ret->last_error), "%s", st.last_error);
	sl_intake_source_stats(b->cfg.source, &ret->messages, &refused, &large);
	ret->lost = atomic_load_explicit(&b->lost, memory_order_relaxed);
}
