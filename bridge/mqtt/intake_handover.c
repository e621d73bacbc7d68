/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_handover.c - a ring whose last daemon died: which of its frames lie in the log already.
 *
 * Before a batch goes to its writer, each of its frames in the ring is told the partition, the log
 * end then, and the batch's sequence; the batch bears the ring's producer id and that sequence,
 * which is given once only. So a frame is in the log if and only if, between the noted end and the
 * log's end, there is a batch with both. A worker looks; nothing is taken from the ring before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "intake_int.h"

#define READ_BYTES (1u << 20)

struct reader {
	uint8_t *buf;
	uint32_t cap;
};

/* ---- looking: a worker ----------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct sl_in_handed *x = *(const struct sl_in_handed *const *)a;
	const struct sl_in_handed *y = *(const struct sl_in_handed *const *)b;
	int d = memcmp(x->t.topic_id, y->t.topic_id, sizeof(x->t.topic_id));

	if (d)
		return d;
	if (x->t.partition != y->t.partition)
		return x->t.partition < y->t.partition ? -1 : 1;
	if (x->t.sequence != y->t.sequence)
		return x->t.sequence < y->t.sequence ? -1 : 1;
	return x->id < y->id ? -1 : 1;
}

/* The frames of one partition: all that have this sequence are there. */
static void found(struct sl_in_handed **f, uint32_t cnt, uint32_t sequence)
{
	uint32_t lo = 0, hi = cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f[mid]->t.sequence < sequence)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < cnt && f[lo]->t.sequence == sequence; lo++)
		f[lo]->found = true;
}

static void look_through(const uint8_t *p, uint32_t len, int64_t pid, struct sl_in_handed **f,
			 uint32_t cnt)
{
	while (len >= SL_BATCH_HDR) {
		uint32_t total = sl_batch_total(p);
		if (sl_batch_length(p) < (int32_t)(SL_BATCH_HDR - SL_BATCH_LEN_BIAS) || total > len)
			return;
		if (sl_batch_pid(p) == pid && sl_batch_base_seq(p) >= 0)
			found(f, cnt, (uint32_t)sl_batch_base_seq(p));
		p += total;
		len -= total;
	}
}

/* -errno of sl_store_read(), with a buffer that grew if it had to. */
static int read_some(struct reader *rd, struct sl_part *p, struct sl_read *q)
{
	int rc;

	do {
		q->buf = rd->buf;
		q->cap = rd->cap;
		q->max_bytes = rd->cap;
		rc = sl_store_read(p, q);
		if (rc != -EMSGSIZE || q->need <= rd->cap)
			return rc;
		uint8_t *more = realloc(rd->buf, q->need);
		if (!more)
			return -ENOMEM;
		rd->buf = more;
		rd->cap = q->need;
	} while (true);
}

static void look_in_partition(struct sl_part *p, int64_t pid, struct sl_in_handed **f, uint32_t cnt,
			      struct reader *rd)
{
	int64_t end = sl_part_end(p), from = end;

	for (uint32_t i = 0; i < cnt; i++)
		from = SL_MIN(from, SL_MAX(f[i]->t.end_before, 0));
	while (from < end) {
		struct sl_read q = {.offset = from, .at_least_one = true, .max_offset = INT64_MAX};
		int rc = read_some(rd, p, &q);
		if (rc == -ERANGE && from < sl_part_start(p)) {
			from = sl_part_start(p);
			continue;
		}
		if (rc && rc != -EILSEQ)
			return; /* what is not found is stored again */
		if (!rc)
			look_through(q.buf, q.len, pid, f, cnt);
		if (q.next_offset <= from)
			return;
		from = q.next_offset;
	}
}

static void look(struct sl_in_handover *h)
{
	struct sl_in_handed **f = malloc(h->cnt * sizeof(struct sl_in_handed *));
	struct reader rd = {.buf = malloc(READ_BYTES), .cap = READ_BYTES};

	if (!f || !rd.buf)
		goto out; /* nothing is found: at least once */
	for (uint32_t i = 0; i < h->cnt; i++)
		f[i] = &h->f[i];
	qsort(f, h->cnt, sizeof(struct sl_in_handed *), by_place);
	for (uint32_t i = 0, n; i < h->cnt; i += n) {
		const struct sl_ring_taken *t = &f[i]->t;
		for (n = 1; i + n < h->cnt && f[i + n]->t.partition == t->partition &&
			    !memcmp(f[i + n]->t.topic_id, t->topic_id, sizeof(t->topic_id));)
			n++;
		struct sl_topic *topic = sl_store_topic_by_id(h->store, t->topic_id);
		struct sl_part *p = topic ? sl_topic_part(topic, t->partition) : NULL;
		if (p)
			look_in_partition(p, h->pid, f + i, n, &rd);
		sl_topic_put(topic);
	}
out:
	free(rd.buf);
	free(f);
}

static void handover_run(struct sl_job *j, void *worker)
{
	struct sl_in_handover *h = SL_CONTAINER_OF(j, struct sl_in_handover, job);
	(void)worker;

	if (h->pid >= 0) {
		if (h->cnt)
			look(h);
		return;
	}
	int rc = sl_store_producer_id(h->store, &h->pid);
	if (rc)
		h->pid = -1;
}

/* ---- the intake's thread --------------------------------------------------------------------- */

/* The frames that may be in the log, from the tail on: what is noted at them, copied. */
static int collect(struct sl_in_ring *r, struct sl_in_handover *h)
{
	struct sl_ring look_at = r->ring; /* a view of its own: nothing is taken */
	uint64_t to = atomic_load_explicit(&r->ring.hdr->taken_id, memory_order_acquire);
	struct sl_ring_ref ref;
	int rc;

	h->f = malloc(SL_IN_ITEMS * sizeof(*h->f));
	if (!h->f)
		return -ENOMEM;
	while (h->cnt < SL_IN_ITEMS && (rc = sl_ring_peek(&look_at, &r->msg, &ref)) > 0 &&
	       ref.id <= to) {
		struct sl_in_handed *f = &h->f[h->cnt++];
		*f = (struct sl_in_handed){.id = ref.id};
		sl_ring_taken(&ref, &f->t);
	}
	return 0;
}

static void handover_done(struct sl_job *j)
{
	struct sl_in_handover *h = SL_CONTAINER_OF(j, struct sl_in_handover, job);
	struct sl_in_ring *r = h->ring;
	struct sl_ring_hdr *hdr = r->ring.hdr;
	uint32_t there = 0;

	for (uint32_t i = 0; i < h->cnt; i++)
		there += h->f[i].found;
	if (h->cnt)
		sl_log(SL_LOG_INFO, "mqtt",
		       "%s: %u frames were in hand when the last daemon ended, %u of them are "
		       "stored",
		       r->name, h->cnt, there);
	if (h->pid < 0)
		sl_log_limited(&r->in->log_bad, SL_LOG_WARN, "mqtt",
			       "%s: no producer id: after a crash its messages may be doubled",
			       r->name);
	r->pid = h->pid;
	atomic_store_explicit(&hdr->producer_id, h->pid, memory_order_relaxed);
	atomic_store_explicit(
		&hdr->producer_mark,
		sl_in_plugin_mark(sl_store_cluster_id(h->store), hdr->instance, h->pid),
		memory_order_release);
	r->state = SL_IN_RUNNING;
	sl_in_plugin_opened(r);
}

bool sl_in_handover_has(struct sl_in_ring *r, uint64_t id)
{
	struct sl_in_handover *h = r->handover;

	if (h->cnt && id >= h->f[0].id && id - h->f[0].id < h->cnt)
		return h->f[id - h->f[0].id].found;
	r->handover = NULL; /* the rest is new */
	sl_in_handover_free(h);
	return false;
}

int sl_in_handover_start(struct sl_in_ring *r)
{
	const struct sl_ring_hdr *hdr = r->ring.hdr;
	struct sl_store *store = r->in->cfg.store;
	struct sl_in_handover *h = calloc(1, sizeof(*h));
	int64_t pid = atomic_load_explicit(&hdr->producer_id, memory_order_acquire);
	int rc = 0;

	if (!h)
		return -ENOMEM;
	h->job = (struct sl_job){.run = handover_run, .done = handover_done};
	h->ring = r;
	h->store = store;
	h->pid = -1;
	/* of this data directory, and given to this ring: else what is noted is somebody else's */
	if (pid >= 0 && atomic_load_explicit(&hdr->producer_mark, memory_order_acquire) ==
				sl_in_plugin_mark(sl_store_cluster_id(store), hdr->instance, pid)) {
		h->pid = pid;
		rc = collect(r, h);
	}
	r->handover = h;
	if (!rc)
		rc = sl_pool_submit(r->in->pool, &h->job);
	if (!rc)
		r->state = SL_IN_OPENING;
	return rc;
}

void sl_in_handover_free(struct sl_in_handover *h)
{
	if (!h)
		return;
	free(h->f);
	free(h);
}
