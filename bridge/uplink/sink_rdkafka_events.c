/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "sink_rdkafka.h"

/* ---- events ---------------------------------------------------------------------------------- */

static void say(struct sl_sink_event *ev, enum sl_sink_event_kind kind, const char *text)
{
	ev->kind = kind;
	snprintf(ev->text, sizeof(ev->text), "%s", text);
}

static bool say_link(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	if (k->link == k->link_said)
		return false;
	k->link_said = k->link;
	say(ev, k->link == SL_RDK_LINK_UP ? SL_SINK_LINK_UP : SL_SINK_LINK_DOWN, k->link_text);
	return true;
}

static bool say_reports(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	if (k->delivered || (k->unsent && k->refused_at == k->refused_cnt)) {
		bool good = k->delivered > 0;

		ev->kind = good ? SL_SINK_DELIVERED : SL_SINK_UNSENT;
		ev->count = good ? k->delivered : k->unsent;
		*(good ? &k->delivered : &k->unsent) = 0;
		return true;
	}
	if (k->refused_at == k->refused_cnt) {
		k->refused_at = k->refused_cnt = 0;
		return false;
	}
	const struct sl_rdk_refusal *r = &k->refused[k->refused_at++];

	say(ev, SL_SINK_REFUSED, rd_kafka_err2str((rd_kafka_resp_err_t)r->err));
	ev->tag = r->tag;
	ev->kafka_error = r->err;
	return true;
}

static bool say_gone(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	if (!k->gone_cnt)
		return false;
	for (unsigned b = 0; b < SL_RDK_TOPIC_BUCKETS; b++) {
		for (struct sl_rdk_topic *t = k->ses->topic[b]; t; t = t->next) {
			if (!t->say_gone)
				continue;
			t->say_gone = false;
			k->gone_cnt--;
			say(ev, SL_SINK_TOPIC_GONE, "does not exist at the centre any more");
			memcpy(ev->topic, t->name, strlen(t->name) + 1);
			return true;
		}
	}
	SL_ASSERT(!"counted topics are there");
	return false;
}

static bool say_failed(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	if (!k->say_failed)
		return false;
	k->say_failed = false;
	say(ev, SL_SINK_FAILED, k->failed.text);
	ev->class = k->failed.class;
	ev->kafka_error = k->failed.kafka_error;
	return true;
}

/* What the positions topic had, then READY. */
static bool say_found(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	if (!k->saying_found)
		return false;
	if (sl_rdk_positions_next(k->found, k->set.gateway, ev))
		return true;
	k->saying_found = false;
	k->state = SL_RDK_IDLE;
	say(ev, SL_SINK_READY, "");
	return true;
}

/* ---- jobs that are done ---------------------------------------------------------------------- */

static void opened(struct sl_rdk_sink *k, const struct sl_rdk_job *j)
{
	k->positions = sl_rdk_topic_get(k, k->positions_topic);
	if (!k->positions) {
		sl_rdk_break_down(k, SL_SINK_REBUILD, 0, "out of memory");
		return;
	}
	k->positions->partitions = j->found;
	k->positions->looked_ns = sl_clock_mono_ns();
	k->found = k->ses->found;
	k->saying_found = true;
	sl_rdk_set_link(k, SL_RDK_LINK_UP, "");
}

static bool looked(struct sl_rdk_sink *k, const struct sl_rdk_job *j, struct sl_sink_event *ev)
{
	struct sl_rdk_topic *t = sl_rdk_topic_find(k, j->topic);

	SL_ASSERT(t);
	t->looking = false;
	if (j->kind != SL_SINK_TOPIC_FAILED) {
		t->partitions = j->kind == SL_SINK_TOPIC_READY ? j->found : 0;
		t->looked_ns = sl_clock_mono_ns();
		sl_rdk_set_link(k, SL_RDK_LINK_UP, "");
	}
	say(ev, j->kind, j->text);
	ev->class = j->class;
	ev->kafka_error = j->kafka_error;
	memcpy(ev->topic, j->topic, sizeof(ev->topic));
	return true;
}

static void surveyed(struct sl_rdk_sink *k, const struct sl_rdk_job *j)
{
	k->surveying = false;
	/* Where records are on their way a question waits behind them: only silence tells then. */
	if (j->kind == SL_SINK_LINK_UP)
		sl_rdk_set_link(k, SL_RDK_LINK_UP, "");
	else if (!sl_rdk_awaiting(k))
		sl_rdk_set_link(k, SL_RDK_LINK_DOWN, j->text);
	for (int i = 0; j->metadata && i < j->metadata->topic_cnt; i++) {
		const struct rd_kafka_metadata_topic *mt = &j->metadata->topics[i];
		struct sl_rdk_topic *t = sl_rdk_topic_find(k, mt->topic);

		if (!t || t->partitions <= 0 || t->looking)
			continue;
		if (mt->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			sl_rdk_known_topic_gone(k, t);
		else if (!mt->err && mt->partition_cnt > t->partitions)
			t->partitions = mt->partition_cnt;
		t->looked_ns = sl_clock_mono_ns();
	}
}

static bool txn_ended(struct sl_rdk_sink *k, const struct sl_rdk_job *j, struct sl_sink_event *ev)
{
	k->aborting = false;
	if (j->kind == SL_SINK_FAILED && j->class != SL_SINK_ABORT) {
		sl_rdk_break_down(k, j->class, j->kafka_error, j->text);
		return false;
	}
	if (k->state == SL_RDK_BROKEN)
		return false;
	k->state = j->kind == SL_SINK_FAILED ? SL_RDK_IN_TXN : SL_RDK_IDLE;
	if (j->kind == SL_SINK_FAILED)
		k->abort_said = true;
	else
		sl_rdk_set_link(k, SL_RDK_LINK_UP, "");
	say(ev, j->kind, j->text);
	ev->class = j->class;
	ev->kafka_error = j->kafka_error;
	return true;
}

static bool is_answer(enum sl_sink_event_kind kind)
{
	return kind != SL_SINK_FAILED && kind != SL_SINK_TOPIC_FAILED && kind != SL_SINK_LINK_DOWN;
}

/* False: there is nothing to say of it. */
static bool job_to_event(struct sl_rdk_sink *k, const struct sl_rdk_job *j,
			 struct sl_sink_event *ev)
{
	if (is_answer(j->kind)) /* else asking now and then would hide a silence */
		k->awake_ns = sl_clock_mono_ns();
	if (j->run == sl_rdk_job_look || j->run == sl_rdk_job_make)
		return looked(k, j, ev);
	if (j->run == sl_rdk_job_survey) {
		surveyed(k, j);
		return false;
	}
	if (j->run != sl_rdk_job_open)
		return txn_ended(k, j, ev);
	if (k->state == SL_RDK_BROKEN)
		return false;
	if (j->kind == SL_SINK_READY)
		opened(k, j);
	else
		sl_rdk_break_down(k, j->class, j->kafka_error, j->text);
	return false;
}

static struct sl_rdk_job *job_done(struct sl_rdk_sink *k)
{
	struct sl_rdk_session *s = k->ses;
	struct sl_rdk_job *j;

	pthread_mutex_lock(&s->lock);
	j = STAILQ_FIRST(&s->done);
	if (j)
		STAILQ_REMOVE_HEAD(&s->done, link);
	pthread_mutex_unlock(&s->lock);
	return j;
}

static bool say_job(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	struct sl_rdk_job *j;
	bool said = false;

	while (!said && (j = job_done(k))) {
		k->jobs--;
		said = job_to_event(k, j, ev);
		sl_rdk_job_free(j);
	}
	return said;
}

/* ---- polling --------------------------------------------------------------------------------- */

/* In this order: what became of the records before what became of their transaction. */
static bool next_event(struct sl_rdk_sink *k, struct sl_sink_event *ev)
{
	return say_link(k, ev) || say_reports(k, ev) || say_gone(k, ev) || say_failed(k, ev) ||
	       say_found(k, ev) || say_job(k, ev) || say_link(k, ev) || say_gone(k, ev) ||
	       say_failed(k, ev) || say_found(k, ev);
}

static unsigned collect(struct sl_rdk_sink *k, struct sl_sink_event *ev, unsigned n)
{
	unsigned cnt = 0;

	sl_rdk_serve(k);
	while (cnt < n && next_event(k, &ev[cnt]))
		cnt++;
	if (cnt == n) /* perhaps not all */
		sl_rdk_ring(k->efd);
	return cnt;
}

void sl_rdk_quiet(struct sl_rdk_sink *k)
{
	uint64_t v;
	ssize_t got = read(k->efd, &v, sizeof(v));

	(void)got; /* it may not have rung */
}

unsigned sl_rdk_poll_events(struct sl_sink *base, struct sl_sink_event *ret_ev, unsigned n,
			    int timeout_ms)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	struct pollfd p = {.fd = k->efd, .events = POLLIN};
	unsigned cnt;

	if (!k->ses || n == 0)
		return 0;
	cnt = collect(k, ret_ev, n);
	if (cnt)
		return cnt;
	sl_rdk_quiet(k); /* before looking: what comes now rings again */
	cnt = collect(k, ret_ev, n);
	if (cnt || timeout_ms <= 0)
		return cnt;
	(void)poll(&p, 1, timeout_ms);
	return collect(k, ret_ev, n);
}
