/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "platform/base/clock.h"
#include "sink_rdkafka.h"

#define PURGE_MS 50 /* while an abort waits for records that are out */

/* ---- reports --------------------------------------------------------------------------------- */

static void report_gone(struct sl_rdk_sink *k, const rd_kafka_message_t *m)
{
	struct sl_rdk_topic *t = m->rkt ? sl_rdk_topic_find(k, rd_kafka_topic_name(m->rkt)) : NULL;

	if (t)
		sl_rdk_known_topic_gone(k, t);
	else
		sl_rdk_break_down(k, SL_SINK_REBUILD, m->err, rd_kafka_err2str(m->err));
}

static void report_bad(struct sl_rdk_sink *k, const rd_kafka_message_t *m)
{
	char text[SL_RDK_TEXT];

	switch (sl_rdk_report_of(m->err)) {
	case SL_RDK_REFUSED:
		SL_ASSERT(k->refused_cnt < k->set.window);
		k->refused[k->refused_cnt++] =
			(struct sl_rdk_refusal){(uint64_t)(uintptr_t)m->_private, (int)m->err};
		atomic_fetch_add(&k->ses->refused, 1);
		return;
	case SL_RDK_GONE:
		report_gone(k, m);
		break;
	case SL_RDK_DENIED:
		snprintf(text, sizeof(text), "%.120s: %s",
			 m->rkt ? rd_kafka_topic_name(m->rkt) : "", rd_kafka_err2str(m->err));
		sl_rdk_break_down(k, SL_SINK_DENIED, m->err, text);
		break;
	case SL_RDK_UNSENT:
		break;
	}
	k->unsent++;
	atomic_fetch_add(&k->ses->unsent, 1);
}

/* A fence is not always told by an event, but always by what becomes of the records. */
static void look_for_fatal(struct sl_rdk_sink *k)
{
	char text[SL_RDK_TEXT];
	rd_kafka_resp_err_t err = rd_kafka_fatal_error(k->ses->producer->rk, text, sizeof(text));

	if (err)
		sl_rdk_break_down(k, sl_rdk_class_of(err, true, false, false), err, text);
}

static void take_reports(struct sl_rdk_sink *k, rd_kafka_event_t *e)
{
	const rd_kafka_message_t *m;
	uint32_t good = 0, unsent = k->unsent;

	while ((m = rd_kafka_event_message_next(e))) {
		SL_ASSERT(k->out > 0);
		k->out--;
		if (sl_likely(!m->err))
			good++;
		else
			report_bad(k, m);
	}
	k->delivered += good;
	if (good)
		sl_rdk_set_link(k, SL_RDK_LINK_UP, "");
	if (k->unsent != unsent)
		look_for_fatal(k);
}

/* True: all brokers are down. */
static bool take_error(struct sl_rdk_sink *k, rd_kafka_event_t *e)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(e);
	const char *text = rd_kafka_event_error_string(e);

	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		look_for_fatal(k);
	} else if (sl_rdk_denied(err) ||
		   (err == RD_KAFKA_RESP_ERR__SSL && k->state == SL_RDK_OPENING)) {
		sl_rdk_break_down(k, SL_SINK_DENIED, err, text ? text : "");
	}
	return err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

/*
 * abort_transaction() purges once, and then waits for what is out. A batch that was on its way
 * behind a refused one comes back after that as out of order, is put back into the queue, and the
 * call hangs until the messages time out (2.0.2: a minute). So purge again while it waits.
 */
static void help_abort(struct sl_rdk_sink *k)
{
	uint64_t now;

	if (!k->aborting || k->out == 0)
		return;
	now = sl_clock_mono_ns();
	if (now < k->purge_ns)
		return;
	k->purge_ns = now + PURGE_MS * SL_RDK_NS_PER_MS;
	(void)rd_kafka_purge(k->ses->producer->rk,
			     RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

/* All that lies in the producer's main queue. */
void sl_rdk_serve(struct sl_rdk_sink *k)
{
	rd_kafka_queue_t *q = atomic_load_explicit(&k->ses->q, memory_order_acquire);
	bool all_down = false;
	rd_kafka_event_t *e;

	while (q && (e = rd_kafka_queue_poll(q, 0))) {
		if (rd_kafka_event_type(e) == RD_KAFKA_EVENT_DR)
			take_reports(k, e);
		else if (rd_kafka_event_type(e) == RD_KAFKA_EVENT_ERROR)
			all_down |= take_error(k, e);
		rd_kafka_event_destroy(e);
	}
	sl_rdk_watch_link(k, all_down);
	help_abort(k);
}

/* ---- records --------------------------------------------------------------------------------- */

static rd_kafka_headers_t *headers_of(const struct sl_sink_rec *r)
{
	rd_kafka_headers_t *h = rd_kafka_headers_new(r->hdr_cnt);

	for (uint32_t i = 0; h && i < r->hdr_cnt; i++) {
		const struct sl_hdr *x = &r->hdr[i];

		if (rd_kafka_header_add(h, (const char *)x->name.p, x->name.len, x->value.p,
					x->value.len)) {
			rd_kafka_headers_destroy(h);
			return NULL;
		}
	}
	return h;
}

static rd_kafka_error_t *hand_over(struct sl_rdk_sink *k, struct sl_rdk_topic *t, int32_t partition,
				   const struct sl_sink_rec *r)
{
	rd_kafka_headers_t *h = r->hdr_cnt ? headers_of(r) : NULL;
	rd_kafka_error_t *e;
	rd_kafka_vu_t v[8] = {
		{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = t->rkt},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = r->ts_ms},
		{.vtype = RD_KAFKA_VTYPE_KEY,
		 .u.mem = {.ptr = (void *)(uintptr_t)r->key.p, .size = r->key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE,
		 .u.mem = {.ptr = (void *)(uintptr_t)r->value.p, .size = r->value.len}},
		{.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)r->tag},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = h},
	};

	e = rd_kafka_produceva(k->ses->producer->rk, v, h ? 8 : 7);
	if (e && h)
		rd_kafka_headers_destroy(h); /* taken over only when it went well */
	return e;
}

/* What sl_rdk_produce() returns for an error of the library, which it frees. */
static int refused_at_once(struct sl_rdk_sink *k, struct sl_rdk_topic *t, rd_kafka_error_t *e)
{
	rd_kafka_resp_err_t err = rd_kafka_error_code(e);
	char text[SL_RDK_TEXT];

	snprintf(text, sizeof(text), "%s", rd_kafka_error_string(e));
	rd_kafka_error_destroy(e);
	switch (err) {
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
		return -EAGAIN;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		return -EMSGSIZE;
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		sl_rdk_known_topic_gone(k, t);
		return -ENOENT;
	default:
		break;
	}
	look_for_fatal(k);
	sl_rdk_must_abort(k, text);
	return -EPIPE;
}

int sl_rdk_produce(struct sl_sink *base, const struct sl_sink_rec *r)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	struct sl_rdk_topic *t;
	rd_kafka_error_t *e;
	int32_t partition;

	if (k->state != SL_RDK_IN_TXN)
		return k->state == SL_RDK_BROKEN ? -EPIPE : -EINVAL;
	if (k->abort_said)
		return -EPIPE;
	if (k->out + k->refused_cnt >= k->set.window)
		return -EAGAIN;
	t = sl_rdk_topic_find(k, r->topic);
	partition = t && t == k->positions ? k->found->partition : r->partition;
	if (!t || partition < 0 || partition >= t->partitions) {
		t = t ? t : sl_rdk_topic_get(k, r->topic);
		if (t)
			sl_rdk_topic_look(k, t);
		return -ENOENT;
	}
	e = hand_over(k, t, partition, r);
	if (sl_unlikely(e))
		return refused_at_once(k, t, e);
	if (k->out++ == 0 && k->jobs == 0)
		k->awake_ns = sl_clock_mono_ns();
	return 0;
}
