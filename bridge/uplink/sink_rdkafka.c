/* SPDX-License-Identifier: Apache-2.0 */
#include "sink_rdkafka.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/clock.h"

#define PURGE_MS 50 /* after which an abort is helped */

/* ---- jobs ------------------------------------------------------------------------------------ */

struct sl_rdk_job *sl_rdk_job_new(void (*run)(struct sl_rdk_session *, struct sl_rdk_job *))
{
	struct sl_rdk_job *j = calloc(1, sizeof(*j));

	if (j)
		j->run = run;
	return j;
}

void sl_rdk_job_post(struct sl_rdk_sink *k, struct sl_rdk_job *j)
{
	struct sl_rdk_session *s = k->ses;

	if (k->jobs++ == 0 && k->out == 0)
		k->awake_ns = sl_clock_mono_ns();
	pthread_mutex_lock(&s->lock);
	STAILQ_INSERT_TAIL(&s->todo, j, link);
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static int begin(struct sl_sink *base)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	rd_kafka_error_t *e;
	char text[SL_RDK_TEXT];
	int code;

	if (k->state != SL_RDK_IDLE)
		return -EINVAL;
	e = rd_kafka_begin_transaction(k->ses->producer->rk);
	if (e) {
		enum sl_sink_class class = sl_rdk_class_take(e, &code, text, sizeof(text));

		/* nothing is open that could be aborted, and there is nothing to wait for */
		if (class == SL_SINK_ABORT || class == SL_SINK_RETRY)
			class = SL_SINK_REBUILD;
		sl_rdk_break_down(k, class, code, text);
		return -EINVAL;
	}
	atomic_store(&k->ses->refused, 0);
	atomic_store(&k->ses->unsent, 0);
	k->abort_said = false;
	k->state = SL_RDK_IN_TXN;
	return 0;
}

static int end_txn(struct sl_rdk_sink *k, void (*run)(struct sl_rdk_session *, struct sl_rdk_job *))
{
	struct sl_rdk_job *j;

	if (k->state != SL_RDK_IN_TXN)
		return -EINVAL;
	j = sl_rdk_job_new(run);
	if (!j)
		return -ENOMEM;
	k->state = SL_RDK_ENDING;
	sl_rdk_job_post(k, j);
	return 0;
}

static int commit(struct sl_sink *base)
{
	return end_txn(sl_rdk_of(base), sl_rdk_job_commit);
}

static int abort_txn(struct sl_sink *base)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	int rc = end_txn(k, sl_rdk_job_abort);

	k->aborting |= rc == 0;
	k->purge_ns = sl_clock_mono_ns() + PURGE_MS * SL_RDK_NS_PER_MS;
	return rc;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static struct sl_rdk_session *session_new(struct sl_rdk_sink *k)
{
	struct sl_rdk_session *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->set = k->set;
	memcpy(s->positions_topic, k->positions_topic, sizeof(s->positions_topic));
	s->replication = k->replication;
	s->stuck = k->stuck;
	s->efd = dup(k->efd);
	STAILQ_INIT(&s->todo);
	STAILQ_INIT(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (s->efd >= 0)
		return s;
	sl_rdk_session_free(s);
	return NULL;
}

static void forget(struct sl_rdk_sink *k)
{
	k->state = SL_RDK_CLOSED;
	k->jobs = 0;
	k->found = NULL;
	k->saying_found = false;
	k->last = k->positions = NULL;
	k->out = k->delivered = k->unsent = k->refused_at = k->refused_cnt = 0;
	k->say_failed = k->failed_said = k->abort_said = false;
	k->aborting = k->surveying = false;
	k->gone_cnt = 0;
	k->link = k->link_said = SL_RDK_LINK_UNKNOWN;
}

/* Signals are the control thread's; the library's threads take the mask over. */
static int start_worker(struct sl_rdk_sink *k)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&k->thread, NULL, sl_rdk_worker, k->ses);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		pthread_setname_np(k->thread, "sl-uplink-rdk");
	return rc;
}

static int open_sink(struct sl_sink *base)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	struct sl_rdk_job *j;
	int rc;

	if (k->ses)
		return -EINVAL;
	if (atomic_load(&k->stuck->refs) > SL_RDK_STUCK_MAX)
		return -EBUSY;
	j = sl_rdk_job_new(sl_rdk_job_open);
	k->ses = session_new(k);
	if (!j || !k->ses) {
		free(j);
		sl_rdk_session_free(k->ses);
		k->ses = NULL;
		return -ENOMEM;
	}
	k->ses->reader = k->reader;
	rc = start_worker(k);
	if (rc) {
		k->ses->reader = NULL;
		free(j);
		sl_rdk_session_free(k->ses);
		k->ses = NULL;
		return rc;
	}
	k->reader = NULL;
	k->state = SL_RDK_OPENING;
	sl_rdk_job_post(k, j);
	return 0;
}

/* Waits for *flag, serving reports, for the call under way may wait for them. */
static bool wait_flag(struct sl_rdk_sink *k, const bool *flag, uint64_t end_ns)
{
	struct sl_rdk_session *s = k->ses;
	const uint64_t step = 10 * SL_RDK_NS_PER_MS;
	bool up;

	pthread_mutex_lock(&s->lock);
	while (!(up = *flag) && sl_clock_mono_ns() < end_ns) {
		uint64_t till = sl_clock_mono_ns() + step;
		struct timespec t = {.tv_sec = (time_t)(till / 1000000000u),
				     .tv_nsec = (long)(till % 1000000000u)};

		if (!s->released) {
			pthread_mutex_unlock(&s->lock);
			sl_rdk_serve(k);
			pthread_mutex_lock(&s->lock);
		}
		if (!*flag)
			(void)pthread_cond_timedwait(&s->cond, &s->lock, &t);
	}
	pthread_mutex_unlock(&s->lock);
	return up;
}

/* Either it has ended, or it is left behind and frees itself. */
static void end_or_leave(struct sl_rdk_sink *k)
{
	struct sl_rdk_session *s = k->ses;
	bool ended;

	atomic_fetch_add(&k->stuck->refs, 1); /* for an orphan */
	pthread_mutex_lock(&s->lock);
	ended = s->ended;
	s->orphan = !ended;
	pthread_mutex_unlock(&s->lock);
	if (!ended) { /* s is not ours any more */
		pthread_detach(k->thread);
		sl_log(SL_LOG_WARN, "uplink", "a call into librdkafka hangs: left behind");
		return;
	}
	pthread_join(k->thread, NULL);
	k->reader = s->reader;
	s->reader = NULL;
	sl_rdk_session_free(s);
	sl_rdk_stuck_put(k->stuck);
}

static void close_sink(struct sl_sink *base)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	struct sl_rdk_session *s = k->ses;
	uint64_t now = sl_clock_mono_ns();

	if (!s)
		return;
	k->state = SL_RDK_BROKEN; /* no probes any more */
	pthread_mutex_lock(&s->lock);
	atomic_store_explicit(&s->stop, true, memory_order_release);
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	(void)wait_flag(k, &s->left, now + SL_RDK_CLOSE_MS * SL_RDK_NS_PER_MS);
	pthread_mutex_lock(&s->lock);
	s->released = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	(void)wait_flag(k, &s->ended, sl_clock_mono_ns() + SL_RDK_DESTROY_MS * SL_RDK_NS_PER_MS);
	end_or_leave(k);
	k->ses = NULL;
	forget(k);
	sl_rdk_quiet(k);
}

static void free_sink(struct sl_sink *base)
{
	struct sl_rdk_sink *k;

	if (!base)
		return;
	k = sl_rdk_of(base);
	close_sink(base);
	sl_rdk_client_free(k->reader);
	sl_rdk_stuck_put(k->stuck);
	close(k->efd);
	free(k->refused);
	explicit_bzero(&k->set, sizeof(k->set));
	free(k);
}

static int poll_fd(struct sl_sink *base)
{
	return sl_rdk_of(base)->efd;
}

static const struct sl_sink_ops ops = {
	.name = "rdkafka",
	.open = open_sink,
	.begin = begin,
	.produce = sl_rdk_produce,
	.commit = commit,
	.abort = abort_txn,
	.topic_partitions = sl_rdk_topic_partitions,
	.make_topic = sl_rdk_make_topic,
	.poll = sl_rdk_poll_events,
	.poll_fd = poll_fd,
	.close = close_sink,
	.free = free_sink,
};

int sl_sink_rdkafka_new(const struct sl_config *cfg, struct sl_sink **ret_sink, char *err,
			size_t errlen)
{
	struct sl_rdk_sink *k = calloc(1, sizeof(*k));
	int rc = -ENOMEM;

	snprintf(err, errlen, "out of memory");
	if (!k)
		return rc;
	k->base.ops = &ops;
	k->efd = -1;
	sl_rdk_settings_from(cfg, &k->set);
	memcpy(k->positions_topic, cfg->uplink.positions, sizeof(k->positions_topic));
	k->replication = cfg->uplink.replication;
	k->refused = calloc(SL_MAX(k->set.window, 1u), sizeof(*k->refused));
	k->stuck = calloc(1, sizeof(*k->stuck));
	if (!k->refused || !k->stuck)
		goto free_parts;
	atomic_init(&k->stuck->refs, 1);
	rc = sl_rdk_settings_check(&k->set, err, errlen);
	if (rc)
		goto free_parts;
	k->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (k->efd < 0) {
		rc = -errno;
		snprintf(err, errlen, "uplink: no file descriptor");
		goto free_parts;
	}
	*ret_sink = &k->base;
	return 0;

free_parts:
	free(k->stuck);
	free(k->refused);
	free(k);
	return rc;
}
