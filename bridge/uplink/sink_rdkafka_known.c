/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/clock.h"
#include "platform/base/murmur2.h"
#include "sink_rdkafka.h"

struct sl_rdk_topic *sl_rdk_topic_find(struct sl_rdk_sink *k, const char *name)
{
	struct sl_rdk_topic *t;

	if (k->last && strcmp(k->last->name, name) == 0)
		return k->last;
	t = k->ses->topic[sl_murmur2(name, strlen(name)) % SL_RDK_TOPIC_BUCKETS];
	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	if (t)
		k->last = t;
	return t;
}

struct sl_rdk_topic *sl_rdk_topic_get(struct sl_rdk_sink *k, const char *name)
{
	struct sl_rdk_session *s = k->ses;
	struct sl_rdk_topic *t = sl_rdk_topic_find(k, name), **at;
	size_t len = strlen(name);

	if (t || s->topic_cnt >= SL_RDK_TOPICS_MAX || len > SL_TOPIC_NAME_MAX)
		return t;
	t = calloc(1, sizeof(*t) + len + 1);
	if (!t)
		return NULL;
	memcpy(t->name, name, len + 1);
	t->rkt = rd_kafka_topic_new(s->producer->rk, name, NULL);
	if (!t->rkt) {
		free(t);
		return NULL;
	}
	at = &s->topic[sl_murmur2(name, len) % SL_RDK_TOPIC_BUCKETS];
	t->next = *at;
	*at = t;
	s->topic_cnt++;
	return k->last = t;
}

void sl_rdk_topic_look(struct sl_rdk_sink *k, struct sl_rdk_topic *t)
{
	struct sl_rdk_job *j = t->looking ? NULL : sl_rdk_job_new(sl_rdk_job_look);

	if (!j)
		return;
	memcpy(j->topic, t->name, strlen(t->name) + 1);
	j->rkt = t->rkt;
	t->looking = true;
	sl_rdk_job_post(k, j);
}

static void topic_gone(struct sl_rdk_sink *k, struct sl_rdk_topic *t)
{
	t->partitions = 0;
	if (!t->say_gone)
		k->gone_cnt++;
	t->say_gone = true;
}

/* What a producer has once known of a topic stays in the way when that is made again. */
void sl_rdk_known_topic_gone(struct sl_rdk_sink *k, struct sl_rdk_topic *t)
{
	char text[SL_RDK_TEXT];

	topic_gone(k, t);
	snprintf(text, sizeof(text), "%.200s was deleted at the centre", t->name);
	sl_rdk_break_down(k, SL_SINK_REBUILD, (int)RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, text);
}

int sl_rdk_topic_partitions(struct sl_sink *base, const char *name)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	struct sl_rdk_topic *t;

	if (k->state < SL_RDK_IDLE || k->state == SL_RDK_BROKEN)
		return 0;
	t = sl_rdk_topic_get(k, name);
	if (!t)
		return 0;
	if (t->partitions <= 0)
		sl_rdk_topic_look(k, t);
	else if (sl_clock_mono_ns() - t->looked_ns > SL_RDK_TOPIC_AGE_MS * SL_RDK_NS_PER_MS)
		sl_rdk_survey(k);
	return t->partitions;
}

int sl_rdk_make_topic(struct sl_sink *base, const char *name, uint32_t partitions,
		      int32_t replication, bool compacted)
{
	struct sl_rdk_sink *k = sl_rdk_of(base);
	struct sl_rdk_topic *t;
	struct sl_rdk_job *j;

	if (k->state < SL_RDK_IDLE || k->state == SL_RDK_BROKEN || partitions == 0 ||
	    partitions > INT32_MAX)
		return -EINVAL;
	t = sl_rdk_topic_get(k, name);
	if (!t)
		return k->ses->topic_cnt >= SL_RDK_TOPICS_MAX ? -EMFILE : -EINVAL;
	j = sl_rdk_job_new(sl_rdk_job_make);
	if (!j)
		return -ENOMEM;
	memcpy(j->topic, t->name, strlen(t->name) + 1);
	j->rkt = t->rkt;
	j->partitions = partitions;
	j->replication = replication;
	j->compacted = compacted;
	t->looking = true;
	sl_rdk_job_post(k, j);
	return 0;
}
