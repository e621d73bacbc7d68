/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.c - the uplink's thread around the engine, and what others may ask of it. */
#include "uplink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "mirror.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"

#define NS_PER_S 1000000000ull
#define CLOSE_NS (2 * NS_PER_S) /* what a sink takes to let go, with room */
#define ORDER_NS (3 * NS_PER_S) /* an operator waits for the turn under way */
#define NO_FD_NS (NS_PER_S / 50)
#define FDS      3

struct sl_uplink {
	struct sl_uplink_cfg cfg;
	struct sl_upstate *state;
	struct sl_sink *sink;
	struct sl_engine *engine;
	struct sl_mirror *mirror;
	struct sl_waker waker; /* rung by the store */
	bool waker_added;
	int kick; /* eventfd: the operator's */
	pthread_t thread;
	bool running;
	/*
	 * `lock` is held for a turn. Whoever else wants it takes `gate` first and keeps it, so that
	 * the thread, which passes through the gate before each turn, waits for him: a mutex by
	 * itself would let the thread have it again and again.
	 */
	pthread_mutex_t gate, lock;
	_Atomic bool stop, abandon;
};

/* ---- the thread
 * ------------------------------------------------------------------------------------------ */

static void drain(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		;
}

static void sleep_until(struct sl_uplink *u, uint64_t until_ns)
{
	struct pollfd fds[FDS] = {{.fd = u->waker.efd, .events = POLLIN},
				  {.fd = u->kick, .events = POLLIN},
				  {.fd = u->sink->ops->poll_fd(u->sink), .events = POLLIN}};
	uint64_t now = sl_clock_mono_ns(), ns = until_ns > now ? until_ns - now : 0;
	struct timespec ts;

	if (fds[2].fd < 0)
		ns = SL_MIN(ns, NO_FD_NS);
	ts = (struct timespec){(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	if (ppoll(fds, FDS, &ts, NULL) <= 0)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (fds[i].revents)
			drain(fds[i].fd);
}

static void turn(struct sl_uplink *u, struct sl_engine_wait *w, bool *ret_stopped)
{
	pthread_mutex_lock(&u->gate);
	pthread_mutex_lock(&u->lock);
	pthread_mutex_unlock(&u->gate);
	if (atomic_load(&u->stop))
		sl_engine_stop(u->engine);
	sl_engine_turn(u->engine, w);
	*ret_stopped = sl_engine_stopped(u->engine);
	pthread_mutex_unlock(&u->lock);
}

static void *run(void *arg)
{
	struct sl_uplink *u = arg;
	struct sl_engine_wait w;
	bool stopped = false;

	prctl(PR_SET_NAME, "sl-uplink");
	while (!stopped && !atomic_load(&u->abandon)) {
		turn(u, &w, &stopped);
		if (stopped || w.until_ns == 0)
			continue;
		/* armed first, then one more look, then asleep */
		if (w.store && !atomic_load_explicit(&u->waker.armed, memory_order_relaxed))
			sl_waker_arm(&u->waker);
		else
			sleep_until(u, w.until_ns);
	}
	return NULL;
}

/* ---- life
 * -------------------------------------------------------------------------------------------------
 */

static int open_fds(struct sl_uplink *u)
{
	u->waker.efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->waker.efd < 0 || u->kick < 0)
		return -errno;
	int rc = sl_store_waker_add(u->cfg.store, &u->waker);
	u->waker_added = rc == 0;
	return rc;
}

static int build(struct sl_uplink *u, char *err, size_t errlen)
{
	const struct sl_config *c = u->cfg.config;
	struct sl_engine_cfg ec = {.config = c,
				   .store = u->cfg.store,
				   .seed = sl_clock_mono_ns() ^ (uint64_t)getpid() << 32};
	struct sl_mirror_cfg mc = {
		.config = c, .store = u->cfg.store, .dp = u->cfg.dp, .counters = u->cfg.counters};
	int rc = open_fds(u);

	if (rc) {
		snprintf(err, errlen, "uplink: %s", strerror(-rc));
		return rc;
	}
	rc = sl_upstate_open(c->gateway.data, c->gateway.id, &u->state, err, errlen);
	if (!rc)
		rc = sl_sink_rdkafka_new(c, &u->sink, err, errlen);
	if (rc)
		return rc;
	ec.sink = u->sink;
	ec.state = u->state;
	ec.counters = u->cfg.counters ? &u->cfg.counters->bridge[SL_CTR_UPLINK] : NULL;
	rc = sl_engine_new(&ec, &u->engine, err, errlen);
	return rc ? rc : sl_mirror_new(&mc, &u->mirror, err, errlen);
}

int sl_uplink_new(const struct sl_uplink_cfg *cfg, struct sl_uplink **ret_up, char *err,
		  size_t errlen)
{
	size_t size = SL_ALIGN_UP(sizeof(struct sl_uplink), SL_CACHELINE);
	struct sl_uplink *u = aligned_alloc(SL_CACHELINE, size);
	int rc;

	if (!u) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	memset(u, 0, size);
	u->cfg = *cfg;
	u->waker.efd = u->kick = -1;
	pthread_mutex_init(&u->gate, NULL);
	pthread_mutex_init(&u->lock, NULL);
	rc = build(u, err, errlen);
	if (rc) {
		sl_uplink_free(u);
		return rc;
	}
	*ret_up = u;
	return 0;
}

int sl_uplink_start(struct sl_uplink *u)
{
	int rc = u->mirror ? sl_mirror_start(u->mirror) : 0;

	if (rc)
		return rc;
	rc = -pthread_create(&u->thread, NULL, run, u);
	u->running = rc == 0;
	return rc;
}

static void kick(struct sl_uplink *u)
{
	uint64_t one = 1;

	if (write(u->kick, &one, sizeof(one)) < 0)
		return; /* full: it is awake then */
}

static int join(struct sl_uplink *u, uint64_t until_ns)
{
	struct timespec ts = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};

	return pthread_clockjoin_np(u->thread, NULL, CLOCK_MONOTONIC, &ts);
}

int sl_uplink_stop(struct sl_uplink *u, uint64_t deadline_ns)
{
	int mirror, hung = 0;

	atomic_store(&u->stop, true);
	kick(u);
	mirror = u->mirror ? sl_mirror_stop(u->mirror, deadline_ns) : 0;
	if (u->running && join(u, deadline_ns)) {
		/* what is open stays so: the next start aborts it there, and sends it again */
		atomic_store(&u->abandon, true);
		kick(u);
		hung = join(u, SL_MAX(deadline_ns, sl_clock_mono_ns()) + CLOSE_NS);
	}
	if (!hung)
		u->running = false;
	sl_store_link_set(u->cfg.store, false); /* who waits for the centre is not kept waiting */
	return hung || mirror ? -ETIMEDOUT : 0;
}

void sl_uplink_free(struct sl_uplink *u)
{
	if (!u)
		return;
	SL_ASSERT(!u->running);
	sl_mirror_free(u->mirror);
	sl_engine_free(u->engine);
	if (u->sink)
		u->sink->ops->free(u->sink);
	sl_upstate_close(u->state);
	if (u->waker_added)
		sl_store_waker_del(u->cfg.store, &u->waker);
	if (u->waker.efd >= 0)
		close(u->waker.efd);
	if (u->kick >= 0)
		close(u->kick);
	pthread_mutex_destroy(&u->gate);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* ---- the operator
 * --------------------------------------------------------------------------------------------- */

enum order { PAUSE, RESUME, RATE, ADOPT };

/* A turn that hangs in the disk is not waited for. */
static int take(struct sl_uplink *u)
{
	uint64_t until = sl_clock_mono_ns() + ORDER_NS;
	struct timespec ts = {(time_t)(until / NS_PER_S), (long)(until % NS_PER_S)};

	if (pthread_mutex_clocklock(&u->gate, CLOCK_MONOTONIC, &ts))
		return -ETIMEDOUT;
	if (!pthread_mutex_clocklock(&u->lock, CLOCK_MONOTONIC, &ts))
		return 0;
	pthread_mutex_unlock(&u->gate);
	return -ETIMEDOUT;
}

static int order(struct sl_uplink *u, enum order o, uint64_t arg)
{
	int rc = take(u);

	if (rc)
		return rc;
	if (o == ADOPT)
		rc = sl_engine_adopt(u->engine);
	else if (o == RATE)
		sl_engine_rate(u->engine, arg);
	else
		rc = sl_engine_pause(u->engine, o == PAUSE);
	pthread_mutex_unlock(&u->lock);
	pthread_mutex_unlock(&u->gate);
	kick(u);
	return rc;
}

int sl_uplink_pause(struct sl_uplink *u)
{
	return order(u, PAUSE, 0);
}

int sl_uplink_resume(struct sl_uplink *u)
{
	return order(u, RESUME, 0);
}

int sl_uplink_rate(struct sl_uplink *u, uint64_t bytes_per_s)
{
	return order(u, RATE, bytes_per_s);
}

int sl_uplink_adopt(struct sl_uplink *u)
{
	return order(u, ADOPT, 0);
}

void sl_uplink_stats(struct sl_uplink *u, struct sl_uplink_stats *ret_stats)
{
	if (u)
		sl_engine_stats(u->engine, ret_stats);
	else
		*ret_stats = (struct sl_uplink_stats){.state = SL_UP_OFF, .oldest_ms = -1};
}

bool sl_uplink_mirror(struct sl_uplink *u, struct sl_mirror_stats *ret_stats)
{
	if (!u || !u->mirror)
		return false;
	sl_mirror_stats(u->mirror, ret_stats);
	return true;
}
