/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "platform/base/clock.h"
#include "sink_rdkafka.h"

#define SEEN_MS   15000 /* for a topic just made to be known to the brokers */
#define SEEN_STEP 50

/* ---- looking --------------------------------------------------------------------------------- */

static void topic_failed(struct sl_rdk_job *j, enum sl_sink_class class, rd_kafka_resp_err_t err,
			 const char *doing, const char *why)
{
	j->kind = SL_SINK_TOPIC_FAILED;
	j->class = class;
	j->kafka_error = err > 0 ? (int)err : 0;
	snprintf(j->text, sizeof(j->text), "%s %.120s: %.100s", doing, j->topic, why);
}

/* Kafka's word for one topic, taken apart. */
static void judge(struct sl_rdk_job *j, const struct rd_kafka_metadata_topic *t)
{
	switch (t->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: /* of some partition, for now */
		if (t->partition_cnt > 0) {
			j->kind = SL_SINK_TOPIC_READY;
			j->found = t->partition_cnt;
			return;
		}
		topic_failed(j, SL_SINK_RETRY, t->err, "looking for", "no partitions yet");
		return;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		j->kind = SL_SINK_TOPIC_GONE;
		j->kafka_error = (int)RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		snprintf(j->text, sizeof(j->text), "%.120s does not exist at the centre", j->topic);
		return;
	default:
		topic_failed(j, sl_rdk_topic_class(t->err), t->err, "looking for",
			     rd_kafka_err2str(t->err));
	}
}

void sl_rdk_job_look(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(s->producer->rk, 0, j->rkt, &md, SL_RDK_LOOK_MS);
	if (err)
		topic_failed(j, sl_rdk_topic_class(err), err, "looking for", rd_kafka_err2str(err));
	else if (md->topic_cnt != 1)
		topic_failed(j, SL_SINK_RETRY, 0, "looking for", "not in the answer");
	else
		judge(j, &md->topics[0]);
	if (md)
		rd_kafka_metadata_destroy(md);
}

/* All topics that this producer has ever been asked for, in one request. */
void sl_rdk_job_survey(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	rd_kafka_resp_err_t err =
		rd_kafka_metadata(s->producer->rk, 0, NULL, &j->metadata, 4 * SL_RDK_SLICE_MS);

	j->kind = err ? SL_SINK_LINK_DOWN : SL_SINK_LINK_UP;
	snprintf(j->text, sizeof(j->text), "%s", err ? rd_kafka_err2str(err) : "");
}

/* ---- administration -------------------------------------------------------------------------- */

/* Waits for the event of an admin request in slices. NULL: stopping, or it never came. */
static rd_kafka_event_t *await(struct sl_rdk_session *s, rd_kafka_queue_t *q, unsigned ms)
{
	uint64_t end = sl_clock_mono_ns() + ms * 1000000ull;
	rd_kafka_event_t *e = NULL;

	while (!e && !sl_rdk_stopping(s) && sl_clock_mono_ns() < end)
		e = rd_kafka_queue_poll(q, SL_RDK_SLICE_MS);
	return e;
}

static rd_kafka_AdminOptions_t *options(struct sl_rdk_session *s, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(s->producer->rk, op);
	char why[64];

	(void)rd_kafka_AdminOptions_set_request_timeout(o, SL_RDK_MAKE_MS - 1000, why, sizeof(why));
	return o;
}

/* Small segments that are compacted early: what a start reads stays small. */
static void add_settings(const struct sl_rdk_job *j, rd_kafka_NewTopic_t *nt)
{
	if (j->compacted || j->positions)
		(void)rd_kafka_NewTopic_set_config(nt, "cleanup.policy", "compact");
	if (j->positions) {
		(void)rd_kafka_NewTopic_set_config(nt, "segment.bytes", "4194304");
		(void)rd_kafka_NewTopic_set_config(nt, "min.cleanable.dirty.ratio", "0.1");
	}
}

/* The outcome of CreateTopics for our one topic. False: j says why not. */
static bool created(struct sl_rdk_job *j, rd_kafka_event_t *e)
{
	const rd_kafka_topic_result_t **r;
	rd_kafka_resp_err_t err;
	size_t n = 0;

	if (!e) {
		topic_failed(j, SL_SINK_RETRY, RD_KAFKA_RESP_ERR__TIMED_OUT, "making", "no answer");
		return false;
	}
	err = rd_kafka_event_error(e);
	if (err) {
		topic_failed(j, sl_rdk_topic_class(err), err, "making",
			     rd_kafka_event_error_string(e));
		return false;
	}
	r = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(e), &n);
	err = n == 1 ? rd_kafka_topic_result_error(r[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
	if (!err || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return true;
	topic_failed(j, sl_rdk_topic_class(err), err, "making",
		     n == 1 && rd_kafka_topic_result_error_string(r[0])
			     ? rd_kafka_topic_result_error_string(r[0])
			     : rd_kafka_err2str(err));
	return false;
}

static bool create(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	char why[128] = "";
	rd_kafka_NewTopic_t *nt = rd_kafka_NewTopic_new(j->topic, (int)j->partitions,
							j->replication, why, sizeof(why));
	rd_kafka_queue_t *q;
	rd_kafka_AdminOptions_t *o;
	rd_kafka_event_t *e;
	bool ok;

	if (!nt) {
		topic_failed(j, SL_SINK_DENIED, RD_KAFKA_RESP_ERR__INVALID_ARG, "making", why);
		return false;
	}
	add_settings(j, nt);
	q = rd_kafka_queue_new(s->producer->rk);
	o = options(s, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(s->producer->rk, &nt, 1, o, q);
	e = await(s, q, SL_RDK_MAKE_MS);
	ok = created(j, e);
	if (e)
		rd_kafka_event_destroy(e);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_queue_destroy(q);
	rd_kafka_NewTopic_destroy(nt);
	return ok;
}

void sl_rdk_job_make(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	const struct timespec step = {.tv_nsec = SEEN_STEP * 1000000};
	uint64_t end;

	if (!create(s, j))
		return;
	/* The brokers learn of it one by one. */
	end = sl_clock_mono_ns() + SEEN_MS * 1000000ull;
	for (;;) {
		sl_rdk_job_look(s, j);
		if (j->kind == SL_SINK_TOPIC_READY || sl_rdk_stopping(s) ||
		    sl_clock_mono_ns() > end)
			break;
		nanosleep(&step, NULL);
	}
	if (j->kind == SL_SINK_TOPIC_GONE)
		topic_failed(j, SL_SINK_RETRY, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "making",
			     "it was made, but the brokers do not know it");
}

/* ---- is the positions topic one that keeps? -------------------------------------------------- */

/* The value of cleanup.policy, "" if it was not told. */
static const char *policy_in(const rd_kafka_event_t *e)
{
	const rd_kafka_DescribeConfigs_result_t *r =
		rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)(uintptr_t)e);
	const rd_kafka_ConfigResource_t **res;
	const rd_kafka_ConfigEntry_t **entry;
	size_t n = 0, cnt = 0;

	res = r ? rd_kafka_DescribeConfigs_result_resources(r, &n) : NULL;
	if (n != 1 || rd_kafka_ConfigResource_error(res[0]))
		return "";
	entry = rd_kafka_ConfigResource_configs(res[0], &cnt);
	for (size_t i = 0; i < cnt; i++)
		if (strcmp(rd_kafka_ConfigEntry_name(entry[i]), "cleanup.policy") == 0)
			return rd_kafka_ConfigEntry_value(entry[i])
				       ? rd_kafka_ConfigEntry_value(entry[i])
				       : "";
	return "";
}

bool sl_rdk_check_compacted(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	rd_kafka_ConfigResource_t *res =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, j->topic);
	rd_kafka_queue_t *q = rd_kafka_queue_new(s->producer->rk);
	rd_kafka_AdminOptions_t *o = options(s, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_event_t *e;
	bool ok = true;

	rd_kafka_DescribeConfigs(s->producer->rk, &res, 1, o, q);
	e = await(s, q, SL_RDK_LOOK_MS);
	/* Who may not ask is believed: the right to describe settings is often not given. */
	if (e && strstr(policy_in(e), "delete"))
		ok = sl_rdk_fail(j, SL_SINK_DENIED, 0,
				 "%.100s has cleanup.policy=%.40s: positions would expire; it must "
				 "be compact",
				 j->topic, policy_in(e));
	if (e)
		rd_kafka_event_destroy(e);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_queue_destroy(q);
	rd_kafka_ConfigResource_destroy(res);
	return ok && !sl_rdk_stopping(s);
}
