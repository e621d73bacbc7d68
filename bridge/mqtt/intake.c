/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - the intake's thread: when it works, when it sleeps, its end. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "intake_int.h"
#include "platform/base/clock.h"

#define NAMES_BYTES (2u * (UINT16_MAX + 1)) /* of topic and client, at their longest */

/* ---- a turn ---------------------------------------------------------------------------------- */

static void release(struct sl_intake *in, struct sl_in_ring *r)
{
	if (r->source) /* its other end may be looked at until the intake is freed */
		return;
	sl_in_beat(in); /* the figures of its last moments */
	sl_in_plugin_close(r);
	TAILQ_REMOVE(&in->rings, r, link);
	in->plugin_cnt--;
	sl_in_ring_free(r);
	sl_in_keep_stats(in);
}

static bool turn(struct sl_intake *in)
{
	struct sl_in_ring *r, *next;
	bool moved = false;

	in->now_ns = sl_clock_mono_ns();
	in->wall_ms = sl_clock_wall_ms();
	if (in->out)
		moved |= sl_in_batch_reap(in);
	if (!TAILQ_EMPTY(&in->syncing))
		moved |= sl_in_batch_check_sync(in);
	if (sl_pool_pending(in->pool))
		moved |= sl_pool_reap(in->pool) > 0;
	if (!TAILQ_EMPTY(&in->retry))
		moved |= sl_in_batch_retry(in);
	for (r = TAILQ_FIRST(&in->rings); r; r = next) {
		next = TAILQ_NEXT(r, link);
		moved |= sl_in_ring_turn(r);
		if (sl_unlikely(r->draining || r->broken) && sl_in_ring_done(r))
			release(in, r);
	}
	return moved;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

/* Announces sleep to all who could wake us. False: one of them has something already. */
static bool arm(struct sl_intake *in, uint64_t *due)
{
	struct sl_in_ring *r;
	bool quiet = true;

	if (in->out_waited || !TAILQ_EMPTY(&in->retry) || in->memory > SL_IN_MEMORY_MAX / 2 ||
	    in->stopping)
		sl_waker_arm(&in->done);
	else if (in->out)
		*due = in->now_ns + SL_IN_LAZY_NS;
	if (!TAILQ_EMPTY(&in->syncing))
		sl_waker_arm(&in->synced);
	TAILQ_FOREACH(r, &in->rings, link)
	{
		bool flows = r->taken >= SL_IN_NAP_MIN;
		r->taken = 0;
		if (r->state != SL_IN_RUNNING || r->broken || r->making || r->held)
			continue;
		if (flows)
			*due = SL_MIN(*due, in->now_ns + SL_IN_NAP_NS);
		if (r->item_cnt == SL_IN_ITEMS || r->pending) { /* the way back makes room */
			sl_waker_arm(&in->done);
			*due = SL_MIN(*due, in->now_ns + SL_IN_NAP_NS);
			continue;
		}
		quiet &= sl_ring_sleep(&r->ring, flows ? SL_RING_NAPS : SL_RING_SLEEPS);
	}
	return quiet;
}

static void disarm(struct sl_intake *in)
{
	struct sl_in_ring *r;

	TAILQ_FOREACH(r, &in->rings, link)
	if (!r->broken)
		sl_ring_awake(&r->ring);
}

/* Everybody is answered, or what is left is nobody's to wait for. */
static bool is_over(const struct sl_intake *in)
{
	const struct sl_in_ring *r;

	if (in->out || sl_pool_pending(in->pool))
		return false;
	if (in->stopping_hard)
		return true;
	TAILQ_FOREACH(r, &in->rings, link)
	if (!sl_in_ring_done(r))
		return false;
	return true;
}

/* Whether to look on instead of sleeping: only for what is expected within so short a time. */
static bool looks_on(const struct sl_intake *in)
{
	return (in->eager || in->out_waited) && in->now_ns - in->moved_ns < SL_IN_SPIN_NS;
}

static void moved(struct sl_intake *in, bool first)
{
	if (first) /* after a sleep: was it worth one? */
		in->eager = in->now_ns - in->moved_ns < SL_IN_EAGER_NS;
	in->moved_ns = in->now_ns;
}

/*
 * Works as long as there is something, looks on for a little, announces its sleep and looks once
 * more. Now and then it returns all the same, so that the loop sees its descriptors and timers.
 */
static uint64_t prepare(void *arg)
{
	struct sl_intake *in = arg;
	uint64_t due = UINT64_MAX, began = sl_clock_mono_ns();
	bool some = false;

	disarm(in);
	do {
		if (turn(in)) {
			moved(in, !some);
			some = true;
		} else if (in->stopping && is_over(in)) {
			sl_loop_stop(in->loop);
		} else if (some) {
			sched_yield(); /* the one we wait for may want this CPU */
		}
		if (in->now_ns - began > SL_IN_WORK_NS)
			return 0;
	} while (some && looks_on(in));
	if (!arm(in, &due) || turn(in))
		return 0;
	return due;
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void abandon(void *arg)
{
	struct sl_intake *in = arg;

	sl_log(SL_LOG_ERROR, "mqtt", "stop: %u batches and %u jobs did not come back", in->out,
	       sl_pool_pending(in->pool));
	in->abandoned = true;
	sl_loop_stop(in->loop);
}

static void stop_hard(void *arg)
{
	struct sl_intake *in = arg;

	in->stopping_hard = true;
	sl_in_batch_refuse_all(in);
	in->stop_timer.fn = abandon;
	sl_timer_set(sl_loop_timers(in->loop), &in->stop_timer, in->stop_deadline_ns);
}

static void stop_soft(void *arg)
{
	struct sl_intake *in = arg;
	uint64_t now = sl_clock_mono_ns();
	uint64_t bound = in->stop_deadline_ns > now ? in->stop_deadline_ns - now : 0;

	in->stopping = true;
	for (unsigned i = 0; i < in->source_cnt; i++)
		atomic_store_explicit(&in->source[i].closed, true, memory_order_release);
	sl_in_plugins_stop(in);
	sl_in_batch_release_held(in);
	in->stop_timer.fn = stop_hard;
	in->stop_timer.arg = in;
	sl_timer_set(sl_loop_timers(in->loop), &in->stop_timer, now + bound / 2);
}

int sl_intake_stop(struct sl_intake *in, uint64_t deadline_ns)
{
	if (!in)
		return 0;
	if (in->started) {
		in->stop_deadline_ns = deadline_ns;
		in->stop_msg = (struct sl_loop_msg){.fn = stop_soft, .arg = in};
		sl_loop_post(in->loop, &in->stop_msg);
		pthread_join(in->thread, NULL);
		in->started = false;
		sl_in_beat(in); /* the last figures */
	}
	return in->abandoned ? -ETIMEDOUT : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_efd(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

static void on_beat(void *arg)
{
	struct sl_intake *in = arg;

	in->now_ns = sl_loop_now(in->loop);
	sl_in_beat(in);
}

static void on_hold(void *arg)
{
	sl_in_batch_release_held(arg);
}

static void wake(void *arg)
{
	sl_loop_wake(arg);
}

static int add_waker(struct sl_intake *in, struct sl_waker *k, struct sl_loop_fd *f)
{
	*f = (struct sl_loop_fd){.fn = on_efd, .arg = in};
	f->fd = k->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return f->fd < 0 ? -errno : sl_loop_add(in->loop, f, EPOLLIN | EPOLLET);
}

static int open_all(struct sl_intake *in)
{
	struct sl_loop_cfg lc = {.prepare = prepare, .arg = in};
	int rc = sl_loop_new(&lc, &in->loop);

	if (rc)
		return rc;
	struct sl_pool_cfg pc = {
		.threads = 1, .jobs_max = SL_IN_JOBS_MAX, .wake = wake, .arg = in->loop};
	rc = sl_pool_new(&pc, &in->pool);
	if (!rc)
		rc = add_waker(in, &in->done, &in->done_fd);
	if (!rc)
		rc = add_waker(in, &in->synced, &in->synced_fd);
	if (!rc)
		rc = sl_store_waker_add(in->cfg.store, &in->synced);
	if (rc)
		return rc;
	in->synced_added = true;
	rc = sl_injector_open(in->cfg.dp, &in->done, &in->inj);
	if (!rc)
		rc = sl_map_new(in->config, &in->map);
	if (!rc)
		rc = -pthread_mutex_init(&in->lock, NULL);
	in->lock_made = !rc;
	in->names = malloc(NAMES_BYTES);
	return rc ? rc : in->names ? 0 : -ENOMEM;
}

static void init(struct sl_intake *in, const struct sl_mqtt_cfg *cfg)
{
	memset(in, 0, sizeof(*in));
	in->cfg = *cfg;
	in->config = cfg->config;
	in->ctr = &cfg->counters->bridge[SL_CTR_MQTT_IN];
	in->listen.fd = in->done_fd.fd = in->synced_fd.fd = -1;
	in->now_ns = sl_clock_mono_ns();
	in->log_bad = (struct sl_log_limit)SL_LOG_LIMIT(10, 10000);
	in->log_refused = (struct sl_log_limit)SL_LOG_LIMIT(3, 10000);
	in->log_topics = (struct sl_log_limit)SL_LOG_LIMIT(10, 10000);
	TAILQ_INIT(&in->rings);
	TAILQ_INIT(&in->conns);
	TAILQ_INIT(&in->retry);
	TAILQ_INIT(&in->held);
	TAILQ_INIT(&in->syncing);
	TAILQ_INIT(&in->free_small);
	TAILQ_INIT(&in->free_large);
	sl_mrecord_init(&in->rec);
	in->beat.fn = on_beat;
	in->beat.arg = in;
	in->hold.fn = on_hold;
	in->hold.arg = in;
	sl_in_topics_init(in);
}

int sl_intake_new(const struct sl_mqtt_cfg *cfg, struct sl_intake **ret_intake, char *err,
		  size_t errlen)
{
	struct sl_intake *in = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*in), SL_CACHELINE));
	int rc;

	if (!in)
		return -ENOMEM;
	init(in, cfg);
	rc = open_all(in);
	if (rc)
		snprintf(err, errlen, "mqtt: %s", strerror(-rc));
	else if (cfg->config->mqtt.socket[0])
		rc = sl_in_plugins_listen(in, err, errlen);
	if (rc) {
		sl_intake_free(in);
		return rc;
	}
	*ret_intake = in;
	return 0;
}

static void *thread_main(void *arg)
{
	struct sl_intake *in = arg;
	int rc = sl_loop_run(in->loop);

	SL_ASSERT(rc == 0);
	return NULL;
}

int sl_intake_start(struct sl_intake *in)
{
	sigset_t all, old;
	int rc = sl_in_plugins_start(in);

	if (rc)
		return rc;
	if (in->source_cnt)
		sl_in_beat(in);
	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&in->thread, NULL, thread_main, in);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	pthread_setname_np(in->thread, "sl-mqtt");
	in->started = true;
	return 0;
}

static void rings_free(struct sl_intake *in)
{
	struct sl_in_ring *r;

	while ((r = TAILQ_FIRST(&in->rings))) {
		TAILQ_REMOVE(&in->rings, r, link);
		sl_in_ring_free(r);
	}
}

void sl_intake_free(struct sl_intake *in)
{
	if (!in)
		return;
	SL_ASSERT(!in->started);
	if (in->abandoned)
		return; /* the data plane still holds memory of ours: better lost than used */
	sl_in_batch_refuse_all(in); /* what came back after the bound */
	rings_free(in);
	sl_in_batch_fini(in);
	sl_in_topics_fini(in);
	if (in->listen.fd >= 0) { /* never started */
		sl_unix_unlink(&in->file);
		close(in->listen.fd);
	}
	sl_injector_close(in->inj);
	if (in->synced_added)
		sl_store_waker_del(in->cfg.store, &in->synced);
	sl_pool_free(in->pool);
	if (in->done_fd.fd >= 0)
		close(in->done_fd.fd);
	if (in->synced_fd.fd >= 0)
		close(in->synced_fd.fd);
	sl_loop_free(in->loop);
	sl_map_free(in->map);
	sl_mrecord_fini(&in->rec);
	if (in->lock_made)
		pthread_mutex_destroy(&in->lock);
	free(in->names);
	free(in);
}

void sl_intake_stats(struct sl_intake *in, struct sl_mqtt_stats *ret_stats)
{
	pthread_mutex_lock(&in->lock);
	for (unsigned i = 0; i < in->stats.brokers; i++)
		ret_stats->broker[ret_stats->brokers++] = in->stats.broker[i];
	pthread_mutex_unlock(&in->lock);
}
