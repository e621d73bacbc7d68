/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mirror_priv.h"

#define WAIT_MS 100

/* ---- one record ------------------------------------------------------------------------------ */

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static bool room_for_headers(struct sl_mirror *m, size_t cnt)
{
	struct sl_hdr *h;

	if (cnt <= m->hdr_cap)
		return true;
	h = realloc(m->hdr, cnt * sizeof(*h));
	if (!h)
		return false;
	m->hdr = h;
	m->hdr_cap = (uint32_t)cnt;
	return true;
}

struct numbers { /* text of our two headers */
	char partition[12], offset[24];
};

/* The record's own headers, and ours behind them. Their number; < 0: out of memory. */
static int gather_headers(struct sl_mirror *m, const rd_kafka_message_t *msg, struct numbers *n)
{
	rd_kafka_headers_t *own = NULL;
	size_t cnt = 0, i = 0;
	const char *name;
	const void *value;
	size_t len;

	if (!rd_kafka_message_headers(msg, &own))
		cnt = rd_kafka_header_cnt(own);
	if (!room_for_headers(m, cnt + 2))
		return -ENOMEM;
	while (i < cnt && !rd_kafka_header_get_all(own, i, &name, &value, &len)) {
		m->hdr[i].name = text(name);
		m->hdr[i++].value = (struct sl_slice){value, (uint32_t)len};
	}
	snprintf(n->partition, sizeof(n->partition), "%d", msg->partition);
	snprintf(n->offset, sizeof(n->offset), "%lld", (long long)msg->offset);
	m->hdr[i++] = (struct sl_hdr){text(SL_MPOS_HDR_PART), text(n->partition)};
	m->hdr[i++] = (struct sl_hdr){text(SL_MPOS_HDR_OFFSET), text(n->offset)};
	return (int)i;
}

static bool grow(struct sl_mirror_part *p, uint32_t cap)
{
	uint8_t *buf;

	if (p->cap >= cap)
		return true;
	buf = realloc(p->buf, cap);
	if (!buf)
		return false;
	p->buf = buf;
	p->cap = cap;
	return true;
}

static void refuse(struct sl_mirror *m, struct sl_mirror_part *p, const rd_kafka_message_t *msg,
		   uint64_t bytes)
{
	sl_log_limited(
		&m->limit, SL_LOG_WARN, "uplink",
		"mirror: %s-%d: the record at offset %lld has %llu bytes, which is too large "
		"for the local topic: not copied",
		p->topic->name, p->id, (long long)msg->offset, (unsigned long long)bytes);
	pthread_mutex_lock(&m->lock);
	m->stats.refused++;
	pthread_mutex_unlock(&m->lock);
	p->next = msg->offset + 1;
}

enum added { ADDED, FULL, SKIPPED, FAILED };

/* Into the partition's open batch; FULL: that has to be stored first. */
static enum added add(struct sl_mirror *m, struct sl_mirror_part *p, const rd_kafka_message_t *msg)
{
	struct sl_slice key = {msg->key, (uint32_t)msg->key_len};
	struct sl_slice value = {msg->payload, (uint32_t)msg->len};
	uint32_t cap = SL_MIN(p->topic->max_bytes, SL_MIRROR_BATCH_BYTES);
	struct numbers n;
	uint64_t need = (uint64_t)msg->key_len + msg->len;
	int cnt = gather_headers(m, msg, &n);

	if (cnt < 0)
		return FAILED;
	for (int i = 0; i < cnt; i++)
		need += (uint64_t)m->hdr[i].name.len + m->hdr[i].value.len + 10;
	need += SL_BATCH_HDR + 64; /* as sl_bb_bound() has it, but without its 32 bits */
	if (need > p->topic->max_bytes) {
		if (p->bb.cnt)
			return FULL; /* `next` must not pass what is not stored */
		refuse(m, p, msg, need);
		return SKIPPED;
	}
	if (p->bb.cnt == 0) {
		if (!grow(p, SL_MAX(cap, (uint32_t)need)))
			return FAILED;
		sl_bb_init(&p->bb, p->buf, p->cap);
	}
	if (p->bb.cnt && p->bb.len + need > SL_MAX(cap, p->cap))
		return FULL;
	if (!sl_bb_add(&p->bb, rd_kafka_message_timestamp(msg, NULL), key, value, m->hdr,
		       (unsigned)cnt))
		return FULL;
	p->bb_next = msg->offset + 1;
	return ADDED;
}

/* ---- into the log ---------------------------------------------------------------------------- */

static void stored(struct sl_mirror *m, struct sl_mirror_part *p)
{
	p->next = p->bb_next;
	p->local = p->append.base_offset + p->append.records;
	p->central = p->bb_next;
	p->unsaved = true;
	if (m->ctr)
		sl_ctr_add(&m->ctr->row[SL_BR_MIRRORED], p->append.records);
	pthread_mutex_lock(&m->lock);
	m->stats.mirrored += p->append.records;
	pthread_mutex_unlock(&m->lock);
	p->topic->backoff_ms = 0;
}

static void came_back(struct sl_mirror *m, struct sl_append *a)
{
	struct sl_mirror_part *p = a->user;
	int err = a->err;

	m->out--;
	p->bb.cnt = 0;
	if (!err) {
		stored(m, p);
		return;
	}
	sl_mirror_error(m, "%s-%d: %s", p->topic->name, p->id, strerror(-err));
	sl_mirror_part_halt(m, p);
	p->topic->due_ns = sl_mirror_again(m, &p->topic->backoff_ms);
}

static bool reap(struct sl_mirror *m)
{
	struct sl_append *a[64];
	unsigned n = sl_inject_reap(m->inj, a, SL_ARRAY_SIZE(a));

	for (unsigned i = 0; i < n; i++)
		came_back(m, a[i]);
	return n > 0;
}

/* What is with the data plane is its own until it comes back: there is no giving up. */
static void wait_reaped(struct sl_mirror *m)
{
	struct pollfd p = {.fd = m->done.efd, .events = POLLIN};
	uint64_t v;

	if (reap(m))
		return;
	sl_waker_arm(&m->done);
	if (reap(m))
		return;
	(void)poll(&p, 1, WAIT_MS);
	if (read(m->done.efd, &v, sizeof(v)) < 0)
		return; /* it has not rung */
}

static void submit(struct sl_mirror *m, struct sl_mirror_part *p)
{
	uint32_t len = sl_bb_close(&p->bb);

	p->append = (struct sl_append){
		.part = p->part,
		.batch = p->buf,
		.len = len,
		.records = p->bb.cnt,
		.max_ts_ms = p->bb.max_ts,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
		.origin = SL_ORIGIN_INTERNAL,
		.ack = SL_ACK_LOGGED,
		.user = p,
	};
	while (sl_inject(m->inj, &p->append))
		wait_reaped(m);
	m->out++;
}

static void store_all(struct sl_mirror *m)
{
	for (uint32_t i = 0; i < m->topic_cnt; i++)
		for (uint32_t k = 0; k < m->topic[i].part_cnt; k++)
			if (m->topic[i].part[k].bb.cnt)
				submit(m, &m->topic[i].part[k]);
	while (m->out)
		wait_reaped(m);
}

/* ---- from the consumer ----------------------------------------------------------------------- */

static struct sl_mirror_part *part_of(const rd_kafka_message_t *msg)
{
	struct sl_mirror_topic *t = msg->rkt ? rd_kafka_topic_opaque(msg->rkt) : NULL;

	if (!t || msg->partition < 0 || (uint32_t)msg->partition >= t->part_cnt)
		return NULL;
	return &t->part[msg->partition];
}

static void take(struct sl_mirror *m, const rd_kafka_message_t *msg)
{
	struct sl_mirror_part *p;
	enum added a;

	if (msg->err) {
		sl_mirror_topic_event(m, msg);
		return;
	}
	p = part_of(msg);
	if (!p || !p->fetching || msg->offset < p->next)
		return;
	a = add(m, p, msg);
	if (a == FULL) {
		store_all(m);
		a = p->fetching ? add(m, p, msg) : SKIPPED;
	}
	if (a == FULL || a == FAILED) {
		sl_mirror_error(m, "%s-%d: out of memory", p->topic->name, p->id);
		store_all(m);
		sl_mirror_part_halt(m, p);
		p->topic->due_ns = sl_mirror_again(m, &p->topic->backoff_ms);
	}
}

unsigned sl_mirror_copy(struct sl_mirror *m)
{
	rd_kafka_message_t *msg[SL_MIRROR_BATCH_RECORDS];
	ssize_t n =
		rd_kafka_consume_batch_queue(m->q, SL_MIRROR_POLL_MS, msg, SL_MIRROR_BATCH_RECORDS);

	for (ssize_t i = 0; i < n; i++) {
		take(m, msg[i]);
		rd_kafka_message_destroy(msg[i]);
	}
	store_all(m);
	return n > 0 ? (unsigned)n : 0;
}
