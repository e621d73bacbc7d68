/* SPDX-License-Identifier: Apache-2.0 */
/* downlink.c - the downlink's thread, and its life. */
#include "downlink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "downlink_priv.h"
#include "platform/base/clock.h"
#include "platform/base/tpl_vars.h"

#define NS_PER_MS 1000000ull
#define NAP_NS    (5 * NS_PER_MS)  /* others' records rang us: not again before */
#define STEP_NS   (50 * NS_PER_MS) /* of waiting at a stop */

/* ---- the connections ------------------------------------------------------------------------- */

static void on_acked(void *arg, int mid, uint8_t reason)
{
	struct sl_dl_client *x = arg;
	struct sl_downlink *d = x->d;

	for (uint32_t i = 0; i < d->rule_cnt; i++)
		if (d->rule[i].client == x && sl_dl_rule_acked(&d->rule[i], mid, reason))
			return;
}

/* Polls all there is, at most until due_ns, and lets the connections have their turns. */
static void wait_and_turn(struct sl_downlink *d, uint64_t due_ns)
{
	struct pollfd p[1 + SL_CFG_BROKERS_MAX];
	uint64_t now, count;
	int ms = -1;

	p[0] = (struct pollfd){.fd = d->waker.efd, .events = POLLIN};
	for (unsigned i = 0; i < SL_CFG_BROKERS_MAX; i++) {
		p[1 + i] = (struct pollfd){.fd = -1};
		if (!d->client[i].c)
			continue;
		sl_mqclient_poll(d->client[i].c, &p[1 + i]);
		due_ns = SL_MIN(due_ns, sl_mqclient_due(d->client[i].c));
	}
	now = sl_clock_mono_ns();
	if (due_ns != UINT64_MAX)
		ms = due_ns <= now ? 0 : (int)SL_MIN((due_ns - now) / NS_PER_MS + 1, 60000u);
	if (poll(p, SL_ARRAY_SIZE(p), ms) < 0)
		return; /* signals are blocked: there are none */
	if (p[0].revents && read(d->waker.efd, &count, sizeof(count)) < 0)
		SL_ASSERT(errno == EAGAIN);
	for (unsigned i = 0; i < SL_CFG_BROKERS_MAX; i++)
		if (d->client[i].c)
			sl_mqclient_turn(d->client[i].c, p[1 + i].fd >= 0 ? p[1 + i].revents : 0);
}

static void flush_all(struct sl_downlink *d)
{
	for (unsigned i = 0; i < SL_CFG_BROKERS_MAX; i++) {
		struct sl_dl_client *x = &d->client[i];
		if (!x->c)
			continue;
		sl_mqclient_flush(x->c);
		if (x->cut)
			sl_mqclient_cut(x->c, "the broker says: Quota exceeded");
		x->cut = false;
	}
	for (uint32_t i = 0; i < d->rule_cnt; i++)
		sl_dl_rule_follow_client(&d->rule[i]);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool stopping(const struct sl_downlink *d)
{
	return atomic_load_explicit(&d->stopping, memory_order_acquire);
}

static bool any_ready(const struct sl_downlink *d, uint64_t now)
{
	for (uint32_t i = 0; i < d->rule_cnt; i++)
		if (sl_dl_rule_ready(&d->rule[i], now))
			return true;
	return false;
}

/* Until when we may sleep; *ret_armed: the waker rings when records come. */
static uint64_t sleep_until(struct sl_downlink *d, bool nap, bool *ret_armed)
{
	uint64_t now = sl_clock_mono_ns(), due = UINT64_MAX;
	bool listening = false;

	for (uint32_t i = 0; i < d->rule_cnt; i++) {
		const struct sl_dl_rule *r = &d->rule[i];
		due = SL_MIN(due, r->commit_ns);
		if (r->retry_ns > now)
			due = SL_MIN(due, r->retry_ns);
		listening |= sl_mqclient_up(r->client->c);
	}
	if (!listening) /* nothing is read while the brokers are away */
		return due;
	if (nap)
		return SL_MIN(due, now + NAP_NS);
	sl_waker_arm(&d->waker);
	*ret_armed = true;
	return any_ready(d, now) ? 0 : due;
}

static bool turn_rules(struct sl_downlink *d)
{
	uint64_t now = sl_clock_mono_ns();
	bool moved = false;

	for (uint32_t i = 0; i < d->rule_cnt; i++) {
		sl_dl_rule_follow_client(&d->rule[i]);
		moved |= sl_dl_rule_pump(&d->rule[i], now);
	}
	flush_all(d);
	for (uint32_t i = 0; i < d->rule_cnt; i++) {
		if (now >= d->rule[i].commit_ns)
			sl_dl_rule_commit(&d->rule[i]);
		sl_dl_rule_note(&d->rule[i], now);
	}
	return moved;
}

static bool settled(const struct sl_downlink *d)
{
	for (uint32_t i = 0; i < d->rule_cnt; i++)
		if (!sl_dl_rule_settled(&d->rule[i]))
			return false;
	return true;
}

/* What is under way comes back, what was done is synced; then the positions are kept. */
static void finish(struct sl_downlink *d)
{
	uint64_t now = sl_clock_mono_ns();
	uint64_t deadline = atomic_load_explicit(&d->deadline_ns, memory_order_relaxed);
	uint64_t until = deadline > now ? now + (deadline - now) / 2 : now;

	while (!settled(d) && (now = sl_clock_mono_ns()) < until) {
		wait_and_turn(d, SL_MIN(until, now + STEP_NS));
		flush_all(d);
	}
	for (uint32_t i = 0; i < d->rule_cnt; i++)
		if (!sl_dl_rule_commit(&d->rule[i]) && sl_clock_mono_ns() >= deadline)
			break;
	for (unsigned i = 0; i < SL_CFG_BROKERS_MAX; i++)
		if (d->client[i].c)
			sl_mqclient_bye(d->client[i].c);
}

static void *thread_main(void *arg)
{
	struct sl_downlink *d = arg;
	bool moved = true, nap = false;

	while (!stopping(d)) {
		bool armed = false;
		wait_and_turn(d, moved ? 0 : sleep_until(d, nap, &armed));
		moved = turn_rules(d);
		/* rung, and not for us: others write a lot */
		nap = !moved && armed &&
		      !atomic_load_explicit(&d->waker.armed, memory_order_relaxed);
	}
	finish(d);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

void sl_downlink_group(const struct sl_config *config, uint32_t rule,
		       char ret_group[SL_DOWNLINK_GROUP_MAX])
{
	const struct sl_cfg_downlink *x = &config->downlink[rule];
	unsigned nth = 1;
	int n;

	for (uint32_t i = 0; i < rule; i++)
		nth += config->downlink[i].broker == x->broker &&
		       !strcmp(config->downlink[i].topic, x->topic);
	n = snprintf(ret_group, SL_DOWNLINK_GROUP_MAX, "sluice.downlink.%s.%s",
		     config->mqtt.broker[x->broker].name, x->topic);
	if (nth > 1)
		snprintf(ret_group + n, SL_DOWNLINK_GROUP_MAX - (size_t)n, ".%u", nth);
}

static int client_init(struct sl_downlink *d, uint32_t broker)
{
	const struct sl_cfg_broker *b = &d->cfg.config->mqtt.broker[broker];
	struct sl_dl_client *x = &d->client[broker];
	struct sl_mqclient_cfg cc = {
		.broker = b,
		.suffix = b->sub_cnt ? "-down" : "",
		.efd = d->waker.efd,
		.acked = on_acked,
		.arg = x,
	};

	if (x->c)
		return 0;
	x->d = d;
	return sl_mqclient_new(&cc, &x->c);
}

static int rule_init(struct sl_downlink *d, uint32_t i, char *err, size_t errlen)
{
	const struct sl_cfg_downlink *x = &d->cfg.config->downlink[i];
	struct sl_dl_rule *r = &d->rule[i];
	struct sl_text_err why;
	int rc;

	*r = (struct sl_dl_rule){
		.d = d,
		.cfg = x,
		.client = &d->client[x->broker],
		.gen = UINT64_MAX,
		.commit_ns = UINT64_MAX,
		.log_bad = SL_LOG_LIMIT(5, 60000),
		.log_failed = SL_LOG_LIMIT(2, 60000),
		.position_sum = -1,
	};
	sl_downlink_group(d->cfg.config, i, r->group);
	rc = sl_tpl_new(x->mqtt, SL_DOWN_VARS, SL_DOWN_CNT, &r->tpl, &why);
	if (rc == -EINVAL)
		snprintf(err, errlen, "downlink %s: %s", x->topic, why.why);
	return rc ? rc : client_init(d, x->broker);
}

static int init(struct sl_downlink *d, char *err, size_t errlen)
{
	int rc;

	d->waker.efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->waker.efd < 0)
		return -errno;
	rc = sl_cursor_mem_init(&d->mem);
	if (rc)
		return rc;
	d->rule = calloc(d->cfg.config->downlink_cnt, sizeof(*d->rule));
	if (!d->rule)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->cfg.config->downlink_cnt; i++) {
		rc = rule_init(d, i, err, errlen);
		d->rule_cnt = i + 1;
		if (rc)
			return rc;
	}
	rc = sl_store_waker_add(d->cfg.store, &d->waker);
	d->waker_added = rc == 0;
	return rc;
}

int sl_downlink_new(const struct sl_downlink_cfg *cfg, struct sl_downlink **ret, char *err,
		    size_t errlen)
{
	struct sl_downlink *d =
		aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(struct sl_downlink), SL_CACHELINE));
	int rc;

	if (!d)
		return -ENOMEM;
	memset(d, 0, sizeof(*d));
	d->cfg = *cfg;
	err[0] = 0;
	rc = init(d, err, errlen);
	if (rc) {
		if (!err[0])
			snprintf(err, errlen, "downlink: %s", strerror(-rc));
		sl_downlink_free(d);
		return rc;
	}
	*ret = d;
	return 0;
}

int sl_downlink_start(struct sl_downlink *d)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all); /* SIGPIPE too: the library writes without asking for none */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&d->thread, NULL, thread_main, d);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	pthread_setname_np(d->thread, "sl-downlink");
	d->started = true;
	return 0;
}

void sl_downlink_stop(struct sl_downlink *d, uint64_t deadline_ns)
{
	uint64_t one = 1;

	if (!d || !d->started)
		return;
	atomic_store_explicit(&d->deadline_ns, deadline_ns, memory_order_relaxed);
	atomic_store_explicit(&d->stopping, true, memory_order_release);
	ssize_t n = write(d->waker.efd, &one, sizeof(one));
	(void)n; /* full: then it is readable anyway */
	pthread_join(d->thread, NULL);
	d->started = false;
}

void sl_downlink_free(struct sl_downlink *d)
{
	if (!d)
		return;
	SL_ASSERT(!d->started);
	if (d->waker_added)
		sl_store_waker_del(d->cfg.store, &d->waker);
	for (uint32_t i = 0; i < d->rule_cnt; i++) {
		sl_dl_rule_drop_topic(&d->rule[i]);
		sl_tpl_free(d->rule[i].tpl);
	}
	free(d->rule);
	for (unsigned i = 0; i < SL_CFG_BROKERS_MAX; i++)
		sl_mqclient_free(d->client[i].c);
	sl_cursor_mem_fini(&d->mem);
	if (d->waker.efd >= 0)
		close(d->waker.efd);
	free(d);
}

/* ---- figures --------------------------------------------------------------------------------- */

bool sl_downlink_broker_stats(struct sl_downlink *d, uint32_t broker,
			      struct sl_mqtt_broker_stats *ret)
{
	struct sl_mqclient_stats st;

	if (broker >= SL_CFG_BROKERS_MAX || !d->client[broker].c)
		return false;
	sl_mqclient_stats(d->client[broker].c, &st);
	*ret = (struct sl_mqtt_broker_stats){.connected = st.connected};
	snprintf(ret->name, sizeof(ret->name), "%s", d->cfg.config->mqtt.broker[broker].name);
	snprintf(ret->last_error, sizeof(ret->last_error), "%s", st.last_error);
	return true;
}

void sl_downlink_rule_stats(struct sl_downlink *d, uint32_t rule,
			    struct sl_downlink_rule_stats *ret)
{
	struct sl_dl_rule *r = &d->rule[rule];
	int64_t sum = atomic_load_explicit(&r->position_sum, memory_order_relaxed), end = 0;
	struct sl_topic *t =
		sl_store_topic_find(d->cfg.store, r->cfg->topic, strlen(r->cfg->topic));

	*ret = (struct sl_downlink_rule_stats){
		.reading = atomic_load_explicit(&r->reading, memory_order_relaxed)};
	for (uint32_t i = 0; t && i < sl_topic_partitions(t); i++) {
		const struct sl_part *p = sl_topic_part(t, (int32_t)i);
		end += sl_part_end(p);
		if (sum < 0) /* not asked yet: as if nothing was sent */
			end -= sl_part_start(p);
	}
	sl_topic_put(t);
	ret->lag = (uint64_t)SL_MAX(end - SL_MAX(sum, 0), 0);
}
