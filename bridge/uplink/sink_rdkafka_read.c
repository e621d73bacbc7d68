/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/clock.h"
#include "platform/base/murmur2.h"
#include "sink_rdkafka.h"

#define BURST        500
#define SAY_AFTER_MS 5000 /* that somebody else's transaction is waited for */
#define BUCKETS      SL_ARRAY_SIZE(((struct sl_rdk_positions *)0)->bucket)

/* ---- what was found -------------------------------------------------------------------------- */

struct sl_rdk_positions *sl_rdk_positions_new(void)
{
	struct sl_rdk_positions *p = calloc(1, sizeof(*p));

	if (p)
		p->partition = -1;
	return p;
}

void sl_rdk_positions_free(struct sl_rdk_positions *p)
{
	if (!p)
		return;
	for (size_t b = 0; b < BUCKETS; b++) {
		struct sl_rdk_found *f;

		while ((f = p->bucket[b])) {
			p->bucket[b] = f->next;
			free(f->val);
			free(f);
		}
	}
	free(p);
}

static struct sl_rdk_found *find(struct sl_rdk_positions *p, struct sl_slice key)
{
	struct sl_rdk_found *f = p->bucket[sl_murmur2(key.p, key.len) % BUCKETS];

	while (f && (f->key_len != key.len || memcmp(f->key, key.p, key.len) != 0))
		f = f->next;
	return f;
}

static struct sl_rdk_found *add(struct sl_rdk_positions *p, struct sl_slice key)
{
	struct sl_rdk_found **at = &p->bucket[sl_murmur2(key.p, key.len) % BUCKETS];
	struct sl_rdk_found *f = calloc(1, sizeof(*f) + key.len);

	if (!f)
		return NULL;
	f->key_len = key.len;
	memcpy(f->key, key.p, key.len);
	f->next = *at;
	*at = f;
	p->cnt++;
	return f;
}

int sl_rdk_positions_put(struct sl_rdk_positions *p, int32_t partition, struct sl_slice key,
			 struct sl_slice val)
{
	/* One longer than allowed stays one longer than allowed, and is refused when it is read. */
	uint32_t len = SL_MIN(val.len, (uint32_t)SL_POS_VALUE_MAX + 1);
	struct sl_rdk_found *f;
	uint8_t *copy = NULL;

	key.len = SL_MIN(key.len, (uint32_t)SL_POS_KEY_MAX + 1);
	if (val.p) {
		copy = malloc(len ? len : 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, val.p, len);
	}
	f = find(p, key);
	if (!f && p->cnt >= SL_RDK_POSITIONS_MAX) {
		free(copy);
		return -E2BIG;
	}
	if (!f)
		f = add(p, key);
	if (!f) {
		free(copy);
		return -ENOMEM;
	}
	free(f->val);
	f->val = copy;
	f->val_len = val.p ? len : 0;
	f->partition = partition;
	return 0;
}

/* ---- as events ------------------------------------------------------------------------------- */

static struct sl_rdk_found *next_found(struct sl_rdk_positions *p)
{
	struct sl_rdk_found *f;

	while (!p->next && p->at < BUCKETS)
		p->next = p->bucket[p->at++];
	f = p->next;
	if (f)
		p->next = f->next;
	return f;
}

bool sl_rdk_positions_next(struct sl_rdk_positions *p, const char *gateway,
			   struct sl_sink_event *ret_ev)
{
	struct sl_rdk_found *f;
	enum sl_pos_kind kind;

	do
		f = next_found(p);
	while (f && !f->val);
	if (!f)
		return false;
	ret_ev->text[0] = 0;
	if (sl_pos_decode(gateway, (struct sl_slice){f->key, f->key_len},
			  (struct sl_slice){f->val, f->val_len}, &kind, &ret_ev->claim,
			  &ret_ev->position)) {
		ret_ev->kind = SL_SINK_BAD_POSITION;
		snprintf(ret_ev->text, sizeof(ret_ev->text),
			 "the record of key %.*s is not understood", (int)SL_MIN(f->key_len, 160u),
			 (const char *)f->key);
		return true;
	}
	SL_ASSERT(kind != SL_POS_OTHER); /* only keys of ours are put in */
	ret_ev->kind = kind == SL_POS_CLAIM ? SL_SINK_CLAIM : SL_SINK_POSITION;
	return true;
}

/* ---- reading to the end ---------------------------------------------------------------------- */

struct part {
	bool reading;
	bool target_known;
	int64_t target; /* high watermark after init_transactions */
};

struct reading {
	struct sl_rdk_session *s;
	struct sl_rdk_job *j;
	struct sl_rdk_positions *found;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *q;
	struct part *part;
	int32_t parts, left;
	uint64_t begun_ns;
	bool said;
};

static bool take_record(struct reading *r, const rd_kafka_message_t *m)
{
	struct sl_slice key = {m->key, (uint32_t)SL_MIN(m->key_len, (size_t)UINT32_MAX)};
	struct sl_slice val = {m->payload, (uint32_t)SL_MIN(m->len, (size_t)UINT32_MAX)};
	int rc;

	if (!sl_pos_key_ours(r->s->set.gateway, key))
		return true;
	if (r->found->partition >= 0 && r->found->partition != m->partition)
		return sl_rdk_fail(
			r->j, SL_SINK_DENIED, 0,
			"positions of %s lie in partitions %d and %d of %.100s: only one "
			"can be true",
			r->s->set.gateway, r->found->partition, m->partition, r->j->topic);
	rc = sl_rdk_positions_put(r->found, m->partition, key, val);
	if (rc)
		return sl_rdk_fail(r->j, SL_SINK_DENIED, 0, "%.100s has more than %u keys of %s",
				   r->j->topic, (unsigned)SL_RDK_POSITIONS_MAX, r->s->set.gateway);
	r->found->partition = m->partition;
	return true;
}

/*
 * The end for read_committed is the last stable offset. Where another gateway's transaction is open
 * that lies before the high watermark, and what we wrote behind it is not seen yet: so the end is
 * reached only when it is at what was the high watermark when we began.
 */
static void take_end(struct reading *r, const rd_kafka_message_t *m)
{
	struct part *p = &r->part[m->partition];
	int64_t low = 0, high = 0;

	if (!p->reading)
		return;
	if (!p->target_known && !rd_kafka_get_watermark_offsets(r->s->reader->rk, r->j->topic,
								m->partition, &low, &high)) {
		p->target = high;
		p->target_known = true;
	}
	if (p->target_known && m->offset >= p->target) {
		p->reading = false;
		r->left--;
	}
}

static bool take_message(struct reading *r, const rd_kafka_message_t *m)
{
	if (m->partition < 0 || m->partition >= r->parts)
		return true;
	switch (m->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return take_record(r, m);
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		take_end(r, m);
		return true;
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return sl_rdk_fail(r->j, SL_SINK_REBUILD, m->err, "reading %.100s: %s", r->j->topic,
				   rd_kafka_err2str(m->err));
	default:
		if (sl_rdk_denied(m->err))
			return sl_rdk_fail(r->j, SL_SINK_DENIED, m->err, "reading %.100s: %s",
					   r->j->topic, rd_kafka_err2str(m->err));
		return true; /* the library goes on by itself */
	}
}

static void say_waiting(struct reading *r)
{
	if (r->said || sl_clock_mono_ns() - r->begun_ns < SAY_AFTER_MS * 1000000ull)
		return;
	r->said = true;
	for (int32_t i = 0; i < r->parts; i++) {
		if (!r->part[i].reading)
			continue;
		sl_log(SL_LOG_WARN, "uplink", "reading %s: partition %d %s", r->j->topic, i,
		       r->part[i].target_known
			       ? "waits for the end of a transaction, of another gateway perhaps"
			       : "gives no answer");
		return;
	}
}

static bool read_on(struct reading *r)
{
	rd_kafka_message_t *m[BURST];
	bool ok = true;

	while (ok && r->left > 0 && !sl_rdk_stopping(r->s)) {
		ssize_t n = rd_kafka_consume_batch_queue(r->q, SL_RDK_SLICE_MS, m, BURST);

		for (ssize_t i = 0; i < n; i++) {
			ok = ok && take_message(r, m[i]);
			rd_kafka_message_destroy(m[i]);
		}
		say_waiting(r);
	}
	return ok && r->left == 0;
}

/* Reads partitions [from, to) to their end, but for `skip`. */
static bool read_range(struct reading *r, int32_t from, int32_t to, int32_t skip)
{
	bool ok = true;
	int32_t i;

	memset(r->part, 0, (size_t)r->parts * sizeof(*r->part));
	r->left = 0;
	r->begun_ns = sl_clock_mono_ns();
	for (i = from; ok && i < to; i++) {
		if (i == skip)
			continue;
		if (rd_kafka_consume_start_queue(r->rkt, i, RD_KAFKA_OFFSET_BEGINNING, r->q)) {
			ok = sl_rdk_fail(r->j, SL_SINK_REBUILD, 0, "reading %.100s: %s",
					 r->j->topic, rd_kafka_err2str(rd_kafka_last_error()));
			break;
		}
		r->part[i].reading = true;
		r->left++;
	}
	ok = ok && read_on(r);
	for (int32_t k = from; k < i; k++)
		if (k != skip)
			(void)rd_kafka_consume_stop(r->rkt, k);
	return ok;
}

static bool read_all(struct reading *r)
{
	const char *gw = r->s->set.gateway;
	int32_t home = (int32_t)sl_partition_for(sl_murmur2(gw, strlen(gw)), (uint32_t)r->parts);

	if (!read_range(r, home, home + 1, -1))
		return false;
	if (r->found->partition < 0 && r->parts > 1 && !read_range(r, 0, r->parts, home))
		return false;
	if (r->found->partition < 0)
		r->found->partition = home;
	return true;
}

static bool have_reader(struct sl_rdk_session *s, struct sl_rdk_job *j)
{
	if (s->reader)
		return true;
	if (!sl_rdk_client_new(&s->set, SL_RDK_READER, &s->reader, j->text, sizeof(j->text)))
		return true;
	j->kind = SL_SINK_FAILED;
	j->class = SL_SINK_DENIED;
	return false;
}

bool sl_rdk_read_positions(struct sl_rdk_session *s, struct sl_rdk_job *j, int32_t partitions,
			   struct sl_rdk_positions **ret_found)
{
	struct reading r = {.s = s, .j = j, .parts = partitions};
	bool ok = false;

	if (!have_reader(s, j))
		return false;
	r.found = sl_rdk_positions_new();
	r.part = calloc((size_t)partitions, sizeof(*r.part));
	if (!r.found || !r.part) {
		sl_rdk_fail(j, SL_SINK_REBUILD, 0, "out of memory");
		goto out;
	}
	r.rkt = rd_kafka_topic_new(s->reader->rk, j->topic, NULL);
	r.q = rd_kafka_queue_new(s->reader->rk);
	ok = read_all(&r);
	rd_kafka_queue_destroy(r.q);
	rd_kafka_topic_destroy(r.rkt);
out:
	free(r.part);
	if (ok)
		*ret_found = r.found;
	else
		sl_rdk_positions_free(r.found);
	return ok;
}
