/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "sink_rdkafka.h"

#define AGAIN_MS       100 /* before a call that ended with "try again" is made again */
#define SETTLE_MS      1000
#define FLUSH_SLICE_MS 20 /* then look whether a report has made the rest of no use */

bool sl_rdk_fail(struct sl_rdk_job *j, enum sl_sink_class class, int kafka_error, const char *fmt,
		 ...)
{
	va_list ap;

	j->kind = SL_SINK_FAILED;
	j->class = class;
	j->kafka_error = kafka_error > 0 ? kafka_error : 0;
	va_start(ap, fmt);
	vsnprintf(j->text, sizeof(j->text), fmt, ap);
	va_end(ap);
	return false;
}

static void pause_ms(long ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

/* True: the call has failed for good and j says so; false: make it again. Takes e. */
static bool failed(struct sl_rdk_session *s, struct sl_rdk_job *j, rd_kafka_error_t *e)
{
	int code;
	enum sl_sink_class class;

	j->kind = SL_SINK_FAILED;
	class = sl_rdk_class_take(e, &code, j->text, sizeof(j->text));
	j->class = class;
	j->kafka_error = code;
	if (class != SL_SINK_RETRY || sl_rdk_stopping(s))
		return true;
	pause_ms(AGAIN_MS);
	return false;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

void sl_rdk_ring(int efd)
{
	static const uint64_t one = 1;
	ssize_t n = write(efd, &one, sizeof(one));

	(void)n; /* full is as good */
}

static void hand_back(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	pthread_mutex_lock(&s->lock);
	STAILQ_INSERT_TAIL(&s->done, j, link);
	pthread_mutex_unlock(&s->lock);
	sl_rdk_ring(s->efd);
}

void sl_rdk_job_free(struct sl_rdk_job *j)
{
	if (j->metadata)
		rd_kafka_metadata_destroy(j->metadata);
	free(j);
}

/* ---- transactions ---------------------------------------------------------------------------- */

/* True: the producer has failed for good, and j says so. It is not always told by an event. */
static bool has_failed(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	char text[SL_RDK_TEXT];
	rd_kafka_resp_err_t err = rd_kafka_fatal_error(s->producer->rk, text, sizeof(text));

	if (err)
		sl_rdk_fail(j, sl_rdk_class_of(err, true, false, false), err, "%s", text);
	return err != 0;
}

/* What the uplink thread asks meanwhile, because no report comes. */
static void run_surveys(struct sl_rdk_session *s)
{
	struct sl_rdk_job *j;

	pthread_mutex_lock(&s->lock);
	j = STAILQ_FIRST(&s->todo);
	if (j && j->run == sl_rdk_job_survey)
		STAILQ_REMOVE_HEAD(&s->todo, link);
	else
		j = NULL;
	pthread_mutex_unlock(&s->lock);
	if (!j)
		return;
	j->run(s, j);
	hand_back(s, j);
}

/* Everything out, or no reason left to wait for it. Reports are served by the uplink thread. */
static void flush(struct sl_rdk_session *s)
{
	while (rd_kafka_flush(s->producer->rk, FLUSH_SLICE_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
		if (sl_rdk_stopping(s) || atomic_load(&s->broken) || atomic_load(&s->refused) ||
		    atomic_load(&s->unsent))
			return;
		run_surveys(s);
	}
}

/*
 * With -1 the call lasts as long as the transaction has left, which the library asks for: shorter
 * ones, made again, risk its own state. It is made again after that.
 */
static void finish(struct sl_rdk_session *s, struct sl_rdk_job *j,
		   rd_kafka_error_t *(*call)(rd_kafka_t *, int), enum sl_sink_event_kind done)
{
	while (!sl_rdk_stopping(s)) {
		rd_kafka_error_t *e = call(s->producer->rk, -1);

		if (!e) {
			j->kind = done;
			return;
		}
		if (failed(s, j, e))
			return;
	}
	sl_rdk_fail(j, SL_SINK_RETRY, 0, "closed");
}

/*
 * The library's commit would flush as well, but after a refusal it waits its timeout out first
 * (2.0.2): so look at the reports before.
 */
void sl_rdk_job_commit(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	uint32_t refused, unsent;

	flush(s);
	refused = atomic_load(&s->refused);
	unsent = atomic_load(&s->unsent);
	if (has_failed(s, j))
		return;
	if (refused || unsent) {
		sl_rdk_fail(j, SL_SINK_ABORT, 0, "%u records refused, %u not sent", refused,
			    unsent);
		return;
	}
	finish(s, j, rd_kafka_commit_transaction, SL_SINK_COMMITTED);
}

/*
 * An abort while a partition is being registered with the coordinator fails for good with
 * INVALID_TXN_STATE (librdkafka 4849): so what is out goes out first, unless it cannot.
 */
static void settle(struct sl_rdk_session *s)
{
	uint64_t end = sl_clock_mono_ns() + SETTLE_MS * 1000000ull;

	while (!sl_rdk_stopping(s) && !atomic_load(&s->broken) && !atomic_load(&s->refused) &&
	       !atomic_load(&s->unsent) && sl_clock_mono_ns() < end)
		if (rd_kafka_flush(s->producer->rk, FLUSH_SLICE_MS) != RD_KAFKA_RESP_ERR__TIMED_OUT)
			return;
}

void sl_rdk_job_abort(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	settle(s);
	finish(s, j, rd_kafka_abort_transaction, SL_SINK_ABORTED);
	if (j->kind == SL_SINK_FAILED && j->class == SL_SINK_ABORT) /* it has just failed to */
		j->class = SL_SINK_REBUILD;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool make_producer(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	static const uint64_t one = 1;
	rd_kafka_queue_t *q;

	if (sl_rdk_client_new(&s->set, SL_RDK_PRODUCER, &s->producer, j->text, sizeof(j->text))) {
		j->kind = SL_SINK_FAILED;
		j->class = SL_SINK_DENIED;
		return false;
	}
	q = rd_kafka_queue_get_main(s->producer->rk);
	rd_kafka_queue_io_event_enable(q, s->efd, &one, sizeof(one));
	atomic_store_explicit(&s->q, q, memory_order_release);
	return true;
}

/* In slices: unlike commit and abort it can be called again and goes on where it was. */
static bool init_transactions(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	rd_kafka_error_t *e;

	while ((e = rd_kafka_init_transactions(s->producer->rk, 2 * SL_RDK_SLICE_MS)))
		if (failed(s, j, e))
			return false;
	return !sl_rdk_stopping(s);
}

static bool have_positions_topic(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	sl_rdk_job_look(s, j);
	while (j->kind == SL_SINK_TOPIC_FAILED && j->class == SL_SINK_RETRY && !sl_rdk_stopping(s))
		sl_rdk_job_look(s, j);
	if (j->kind == SL_SINK_TOPIC_GONE)
		sl_rdk_job_make(s, j);
	if (sl_rdk_stopping(s))
		return false;
	if (j->kind == SL_SINK_TOPIC_READY)
		return sl_rdk_check_compacted(s, j);
	j->kind = SL_SINK_FAILED;
	if (j->class == SL_SINK_RETRY)
		j->class = SL_SINK_REBUILD;
	return false;
}

void sl_rdk_job_open(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	if (!make_producer(s, j) || !init_transactions(s, j))
		return;
	s->positions_rkt = rd_kafka_topic_new(s->producer->rk, s->positions_topic, NULL);
	if (!s->positions_rkt) {
		sl_rdk_fail(j, SL_SINK_DENIED, 0, "%s: librdkafka refuses the topic's name",
			    s->positions_topic);
		return;
	}
	memcpy(j->topic, s->positions_topic, sizeof(j->topic));
	j->rkt = s->positions_rkt;
	j->positions = true;
	j->partitions = SL_RDK_POSITION_PARTS;
	j->replication = s->replication;
	if (!have_positions_topic(s, j) || !sl_rdk_read_positions(s, j, j->found, &s->found))
		return;
	j->kind = SL_SINK_READY;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static struct sl_rdk_job *next_job(struct sl_rdk_session *s)
{
	struct sl_rdk_job *j;

	pthread_mutex_lock(&s->lock);
	while (STAILQ_EMPTY(&s->todo) && !sl_rdk_stopping(s))
		pthread_cond_wait(&s->cond, &s->lock);
	j = sl_rdk_stopping(s) ? NULL : STAILQ_FIRST(&s->todo);
	if (j)
		STAILQ_REMOVE_HEAD(&s->todo, link);
	pthread_mutex_unlock(&s->lock);
	return j;
}

/* Until the uplink thread has let go of the queue and the topics. */
static void wait_released(struct sl_rdk_session *s)
{
	pthread_mutex_lock(&s->lock);
	s->left = true;
	pthread_cond_broadcast(&s->cond);
	while (!s->released)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void destroy_topics(struct sl_rdk_session *s)
{
	for (unsigned b = 0; b < SL_RDK_TOPIC_BUCKETS; b++) {
		struct sl_rdk_topic *t;

		while ((t = s->topic[b])) {
			s->topic[b] = t->next;
			rd_kafka_topic_destroy(t->rkt);
			free(t);
		}
	}
	if (s->positions_rkt)
		rd_kafka_topic_destroy(s->positions_rkt);
}

static void destroy_producer(struct sl_rdk_session *s)
{
	rd_kafka_queue_t *q = atomic_load(&s->q);

	destroy_topics(s);
	if (q) {
		rd_kafka_queue_io_event_enable(q, -1, NULL, 0);
		rd_kafka_queue_destroy(q);
	}
	sl_rdk_client_free(s->producer);
	s->producer = NULL;
}

static void free_jobs(struct sl_rdk_jobs *list)
{
	struct sl_rdk_job *j;

	while ((j = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		sl_rdk_job_free(j);
	}
}

void sl_rdk_stuck_put(struct sl_rdk_stuck *k)
{
	if (atomic_fetch_sub(&k->refs, 1) == 1)
		free(k);
}

void sl_rdk_session_free(struct sl_rdk_session *s)
{
	if (!s)
		return;
	free_jobs(&s->todo);
	free_jobs(&s->done);
	sl_rdk_positions_free(s->found);
	sl_rdk_client_free(s->reader);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	if (s->efd >= 0)
		close(s->efd);
	explicit_bzero(&s->set, sizeof(s->set));
	free(s);
}

void *sl_rdk_worker(void *session)
{
	struct sl_rdk_session *s = session;
	struct sl_rdk_job *j;
	bool orphan;

	while ((j = next_job(s))) {
		j->run(s, j);
		hand_back(s, j);
	}
	wait_released(s);
	destroy_producer(s);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	orphan = s->orphan;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	if (orphan) {
		struct sl_rdk_stuck *k = s->stuck;

		sl_rdk_session_free(s);
		sl_rdk_stuck_put(k);
	}
	return NULL;
}
