/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "mirror_priv.h"
#include "platform/base/clock.h"
#include "platform/base/topic_cfg.h"

#define MIRROR_GONE RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART

/* ---- reading a partition --------------------------------------------------------------------- */

void sl_mirror_part_halt(struct sl_mirror *m, struct sl_mirror_part *p)
{
	(void)m;
	if (p->fetching)
		(void)rd_kafka_consume_stop(p->topic->rkt, p->id);
	p->fetching = false;
	p->bb.cnt = 0;
}

static bool part_fetch(struct sl_mirror *m, struct sl_mirror_part *p)
{
	int64_t from = p->next >= 0 ? p->next : RD_KAFKA_OFFSET_BEGINNING;

	if (p->fetching)
		return true;
	if (rd_kafka_consume_start_queue(p->topic->rkt, p->id, from, m->q)) {
		sl_mirror_error(m, "%s-%d: %s", p->topic->name, p->id,
				rd_kafka_err2str(rd_kafka_last_error()));
		return false;
	}
	p->fetching = true;
	return true;
}

/* Where it goes on, by what is here. */
static bool part_place(struct sl_mirror *m, struct sl_mirror_part *p)
{
	const struct sl_mpos *known;
	int rc;

	if (p->placed)
		return true;
	known = sl_mpos_find(&m->saved, p->topic->name, sl_topic_id(p->topic->topic), p->id);
	rc = sl_mpos_recover(&m->mem, p->part, known, &p->next);
	if (rc) {
		sl_mirror_error(m, "%s-%d: reading the local log: %s", p->topic->name, p->id,
				strerror(-rc));
		return false;
	}
	p->placed = true;
	/* What only the log told goes into the file, too: the log may be emptied any time. */
	p->local = sl_part_end(p->part);
	p->central = p->next;
	p->unsaved = p->next >= 0 && (!known || known->central != p->next);
	return true;
}

/* The centre has not got what comes next: it was deleted there, or it is another topic. */
static void part_out_of_range(struct sl_mirror *m, struct sl_mirror_part *p)
{
	int64_t low = 0, high = 0;

	sl_mirror_part_halt(m, p);
	if (rd_kafka_query_watermark_offsets(m->client->rk, p->topic->name, p->id, &low, &high,
					     SL_MIRROR_ASK_MS)) {
		p->topic->due_ns = sl_mirror_again(m, &p->topic->backoff_ms);
		return;
	}
	if (p->next >= 0 && p->next < low)
		sl_mirror_error(m,
				"%s-%d: offsets %lld to %lld were deleted at the centre before "
				"they were copied",
				p->topic->name, p->id, (long long)p->next, (long long)low - 1);
	else if (p->next > high)
		sl_mirror_error(m,
				"%s-%d: the centre's log ends at %lld, before offset %lld: another "
				"topic, copied from its start",
				p->topic->name, p->id, (long long)high, (long long)p->next);
	if (p->next < low || p->next > high)
		p->next = low;
	(void)part_fetch(m, p);
}

void sl_mirror_topic_event(struct sl_mirror *m, const rd_kafka_message_t *msg)
{
	struct sl_mirror_topic *t = msg->rkt ? rd_kafka_topic_opaque(msg->rkt) : NULL;
	struct sl_mirror_part *p;
	int64_t low = 0;

	if (!t || msg->partition < 0 || (uint32_t)msg->partition >= t->part_cnt)
		return;
	p = &t->part[msg->partition];
	switch (msg->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		(void)rd_kafka_get_watermark_offsets(m->client->rk, t->name, p->id, &low, &p->high);
		return;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		part_out_of_range(m, p);
		return;
	case MIRROR_GONE:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		sl_mirror_error(m, "%s-%d: %s", t->name, p->id, rd_kafka_err2str(msg->err));
		sl_mirror_part_halt(m, p);
		t->due_ns = sl_mirror_again(m, &t->backoff_ms);
		return;
	default: /* the library goes on by itself */
		sl_mirror_error(m, "%s-%d: %s", t->name, p->id, rd_kafka_err2str(msg->err));
	}
}

/* ---- topics ---------------------------------------------------------------------------------- */

bool sl_mirror_topic_deleted(const struct sl_mirror_topic *t)
{
	return t->topic && sl_part_state(sl_topic_part(t->topic, 0)) == SL_PART_DELETED;
}

void sl_mirror_topic_drop(struct sl_mirror *m, struct sl_mirror_topic *t)
{
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		sl_mirror_part_halt(m, &t->part[i]);
		free(t->part[i].buf);
	}
	free(t->part);
	t->part = NULL;
	t->part_cnt = 0;
	sl_topic_put(t->topic);
	t->topic = NULL;
}

/* How many partitions the centre's topic has; 0: not known now. */
static uint32_t ask_centre(struct sl_mirror *m, struct sl_mirror_topic *t)
{
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t err =
		rd_kafka_metadata(m->client->rk, 0, t->rkt, &md, SL_MIRROR_ASK_MS);
	uint32_t cnt = 0;

	if (!err && md->topic_cnt == 1) {
		err = md->topics[0].err;
		cnt = err && err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
			      ? 0
			      : (uint32_t)md->topics[0].partition_cnt;
	}
	if (md)
		rd_kafka_metadata_destroy(md);
	if (!cnt)
		sl_mirror_error(m, "%s: %s", t->name,
				err == MIRROR_GONE ? "there is no such topic at the centre"
						   : rd_kafka_err2str(err));
	return cnt;
}

/*
 * The settings of a topic made now are those that the config gives it at each start, with room for
 * what a log can take at all: the centre's limit may be anything.
 */
static void fill_layers(const struct sl_config *c, const char *name, struct sl_topic_layers *l)
{
	static const char setting[] = "max.message.bytes";
	const struct sl_topic_setting *row = sl_topic_setting_find(setting, strlen(setting));
	uint32_t cnt;
	uint32_t bit = sl_topic_setting_bit((uint32_t)(row - sl_topic_settings(&cnt)));

	*l = (struct sl_topic_layers){.base = c->kafka.topic_defaults};
	for (uint32_t i = 0; i < c->topic_cnt; i++) {
		if (strcmp(c->topic[i].name, name) != 0)
			continue;
		l->base = c->topic[i].cfg;
		l->base_set = c->topic[i].set;
	}
	l->own = l->base;
	if (l->base_set & bit)
		return;
	l->own.max_message_bytes = (int32_t)SL_BATCH_MAX_BYTES;
	l->own_set = bit;
}

static int make_local(struct sl_mirror *m, struct sl_mirror_topic *t, uint32_t cnt)
{
	struct sl_topic_layers layers;
	int rc;

	fill_layers(m->cfg.config, t->name, &layers);
	rc = sl_store_topic_create(m->cfg.store, t->name, cnt, &layers, &t->topic);
	if (rc == -EEXIST) { /* somebody was faster */
		t->topic = sl_store_topic_find(m->cfg.store, t->name, strlen(t->name));
		rc = t->topic ? 0 : -EAGAIN;
	}
	return rc;
}

static int have_local(struct sl_mirror *m, struct sl_mirror_topic *t, uint32_t cnt)
{
	int rc = 0;

	if (sl_mirror_topic_deleted(t))
		sl_mirror_topic_drop(m, t);
	if (!t->topic)
		t->topic = sl_store_topic_find(m->cfg.store, t->name, strlen(t->name));
	if (!t->topic)
		rc = make_local(m, t, cnt);
	if (!rc && sl_topic_partitions(t->topic) < cnt)
		rc = sl_store_partitions_add(m->cfg.store, t->topic, cnt);
	if (rc)
		sl_mirror_error(m, "%s: the local topic with %u partitions: %s", t->name, cnt,
				strerror(-rc));
	return rc;
}

static bool have_parts(struct sl_mirror *m, struct sl_mirror_topic *t, uint32_t cnt)
{
	struct sl_mirror_part *part;

	if (cnt <= t->part_cnt)
		return true;
	for (uint32_t i = 0; i < t->part_cnt; i++) /* none is on its way: the array may move */
		SL_ASSERT(t->part[i].bb.cnt == 0 && m->out == 0);
	part = realloc(t->part, cnt * sizeof(*part));
	if (!part)
		return false;
	t->part = part;
	memset(part + t->part_cnt, 0, (cnt - t->part_cnt) * sizeof(*part));
	for (uint32_t i = t->part_cnt; i < cnt; i++) {
		part[i].topic = t;
		part[i].id = (int32_t)i;
		part[i].part = sl_topic_part(t->topic, (int32_t)i);
		part[i].next = part[i].high = -1;
	}
	t->part_cnt = cnt;
	return true;
}

static bool tend(struct sl_mirror *m, struct sl_mirror_topic *t)
{
	struct sl_topic_cfg cfg;
	uint32_t cnt = ask_centre(m, t);
	bool ok = cnt > 0;

	cnt = SL_MIN(cnt, (uint32_t)SL_PARTITIONS_MAX);
	if (!ok || have_local(m, t, cnt) || !have_parts(m, t, cnt))
		return false;
	sl_topic_cfg_get(t->topic, &cfg);
	t->max_bytes = SL_MIN((uint32_t)cfg.max_message_bytes, (uint32_t)SL_BATCH_MAX_BYTES);
	for (uint32_t i = 0; i < t->part_cnt; i++)
		ok &= part_place(m, &t->part[i]) && part_fetch(m, &t->part[i]);
	return ok;
}

void sl_mirror_topic_tend(struct sl_mirror *m, struct sl_mirror_topic *t, uint64_t now_ns)
{
	if (now_ns < t->due_ns)
		return;
	if (!tend(m, t)) {
		t->due_ns = sl_mirror_again(m, &t->backoff_ms);
		return;
	}
	t->backoff_ms = 0;
	t->due_ns = sl_clock_mono_ns() + SL_MIRROR_LOOK_NS;
	pthread_mutex_lock(&m->lock);
	m->stats.connected = true;
	pthread_mutex_unlock(&m->lock);
}
