/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_store_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/record/check.h"

#define FAKE_DEDUP 5

/* ---- life ------------------------------------------------------------------------------------ */

struct sl_store *fake_store_new(void)
{
	struct sl_store *s = calloc(1, sizeof(*s));
	SL_ASSERT(s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	s->dp.store = s;
	s->next_pid = 4000;
	return s;
}

void fake_store_free(struct sl_store *s)
{
	for (size_t t = 0; t < s->topic_cnt; t++)
		sl_topic_put(s->topic[t]);
	SL_ASSERT(atomic_load(&s->alive) == 0); /* all references were given back */
	free(s->deleted);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct fake_cfg *fake_store_cfg(struct sl_store *s)
{
	return &s->cfg;
}

void fake_store_fail(struct sl_store *s, int append_err, int create_err)
{
	pthread_mutex_lock(&s->lock);
	s->cfg.append_err = append_err;
	s->cfg.create_err = create_err;
	pthread_mutex_unlock(&s->lock);
}

struct sl_dataplane *fake_store_dataplane(struct sl_store *s)
{
	return &s->dp;
}

const char *sl_store_cluster_id(const struct sl_store *s)
{
	(void)s;
	return "fakefakefakefakefake_A";
}

void fake_store_ring(struct sl_store *s)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(s->waker); i++)
		if (s->waker[i])
			sl_waker_ring(s->waker[i]);
}

int sl_store_waker_add(struct sl_store *s, struct sl_waker *k)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(s->waker); i++) {
		if (!s->waker[i]) {
			s->waker[i] = k;
			return 0;
		}
	}
	return -ENOSPC;
}

void sl_store_waker_del(struct sl_store *s, struct sl_waker *k)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(s->waker); i++)
		if (s->waker[i] == k)
			s->waker[i] = NULL;
}

int sl_store_producer_id(struct sl_store *s, int64_t *ret_pid)
{
	pthread_mutex_lock(&s->lock);
	*ret_pid = s->next_pid++;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ---- appending ------------------------------------------------------------------------------- */

static struct producer *producer_of(struct sl_part *p, int64_t pid)
{
	for (size_t i = 0; i < p->producer_cnt; i++)
		if (p->producer[i].pid == pid)
			return &p->producer[i];
	p->producer = realloc(p->producer, (p->producer_cnt + 1) * sizeof(*p->producer));
	SL_ASSERT(p->producer);
	p->producer[p->producer_cnt] = (struct producer){.pid = pid, .epoch = -1};
	return &p->producer[p->producer_cnt++];
}

static int check_sequence(struct sl_part *p, struct sl_append *a)
{
	struct producer *x = producer_of(p, a->producer_id);
	int32_t last = a->base_sequence + (int32_t)a->records - 1;

	if (a->producer_epoch < x->epoch)
		return -ESTALE;
	for (unsigned i = 0; i < x->cnt && a->producer_epoch == x->epoch; i++) {
		if (x->recent[i].first == a->base_sequence && x->recent[i].last == last) {
			a->base_offset = x->recent[i].offset;
			return -EEXIST;
		}
	}
	if (x->cnt == 0 && a->base_sequence != 0 && sl_part_end(p) == 0)
		return -ENOKEY;
	if (x->cnt && a->base_sequence !=
			      (a->producer_epoch == x->epoch ? x->recent[x->cnt - 1].last + 1 : 0))
		return -EILSEQ;
	if (x->cnt == FAKE_DEDUP)
		memmove(&x->recent[0], &x->recent[1], --x->cnt * sizeof(x->recent[0]));
	x->epoch = a->producer_epoch;
	x->recent[x->cnt].first = a->base_sequence;
	x->recent[x->cnt].last = last;
	x->recent[x->cnt++].offset = sl_part_end(p);
	return 0;
}

static int64_t put(struct sl_part *p, const uint8_t *batch, uint32_t len, int64_t offsets)
{
	int64_t end = sl_part_end(p);
	struct batch b = {.len = len, .base = end, .last = end + offsets - 1};

	b.bytes = malloc(len);
	if (p->batch_cnt == p->batch_cap) {
		p->batch_cap = p->batch_cap ? p->batch_cap * 2 : 16;
		p->batch = realloc(p->batch, p->batch_cap * sizeof(*p->batch));
	}
	SL_ASSERT(b.bytes && p->batch);
	memcpy(b.bytes, batch, len);
	sl_batch_set_base_offset(b.bytes, end);
	sl_batch_set_leader_epoch(b.bytes, p->pub.leader_epoch);
	p->batch[p->batch_cnt++] = b;
	atomic_fetch_add(&p->pub.end_bytes, len);
	atomic_fetch_add(&p->pub.size_bytes, len);
	atomic_store(&p->pub.log_end, b.last + 1);
	if (p->store->cfg.auto_sync)
		atomic_store(&p->pub.synced, b.last + 1);
	return end;
}

void fake_store_put(struct sl_part *p, const uint8_t *batch, uint32_t len, int64_t offsets)
{
	pthread_mutex_lock(&p->store->lock);
	put(p, batch, len, offsets);
	fake_store_ring(p->store);
	pthread_mutex_unlock(&p->store->lock);
}

static int append(struct sl_part *p, struct sl_append *a)
{
	a->log_start = sl_part_start(p);
	if (sl_part_state(p) == SL_PART_DELETED)
		return -ENOENT;
	if (p->store->cfg.append_err)
		return p->store->cfg.append_err;
	if (a->producer_id >= 0) {
		int rc = check_sequence(p, a);
		if (rc)
			return rc;
	}
	a->base_offset = put(p, a->batch, a->len, a->records);
	return 0;
}

int sl_injector_open(struct sl_dataplane *dp, struct sl_waker *done, struct sl_injector **ret_inj)
{
	dp->inj.store = dp->store;
	dp->inj.done_waker = done;
	*ret_inj = &dp->inj;
	return 0;
}

void sl_injector_close(struct sl_injector *inj)
{
	SL_ASSERT(!inj || (inj->todo_cnt == 0 && inj->done_cnt == 0));
}

int sl_inject(struct sl_injector *inj, struct sl_append *a)
{
	struct sl_store *s = inj->store;
	unsigned depth = s->cfg.ring_depth ? s->cfg.ring_depth : SL_INJECT_DEPTH;
	int rc = -EAGAIN;

	pthread_mutex_lock(&s->lock);
	if (inj->todo_cnt + inj->done_cnt < depth) {
		inj->todo[inj->todo_cnt++] = a;
		rc = 0;
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

unsigned sl_inject_reap(struct sl_injector *inj, struct sl_append **ret_done, unsigned n)
{
	pthread_mutex_lock(&inj->store->lock);
	n = SL_MIN(n, inj->done_cnt);
	memcpy(ret_done, inj->done, n * sizeof(*ret_done));
	inj->done_cnt -= n;
	memmove(inj->done, inj->done + n, inj->done_cnt * sizeof(*ret_done));
	pthread_mutex_unlock(&inj->store->lock);
	return n;
}

static void step_locked(struct sl_store *s)
{
	struct sl_injector *inj = &s->dp.inj;

	for (unsigned i = 0; i < inj->todo_cnt; i++) {
		struct sl_append *a = inj->todo[i];
		a->err = append(a->part, a);
		inj->done[inj->done_cnt++] = a;
	}
	if (inj->todo_cnt == 0)
		return;
	inj->todo_cnt = 0;
	sl_waker_ring(inj->done_waker);
	fake_store_ring(s);
}

void fake_store_step(struct sl_store *s)
{
	pthread_mutex_lock(&s->lock);
	step_locked(s);
	pthread_mutex_unlock(&s->lock);
}

void fake_store_sync(struct sl_store *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t t = 0; t < s->topic_cnt; t++)
		for (uint32_t i = 0; i < sl_topic_partitions(s->topic[t]); i++)
			atomic_store(&s->topic[t]->part[i]->pub.synced,
				     sl_part_end(s->topic[t]->part[i]));
	fake_store_ring(s);
	pthread_mutex_unlock(&s->lock);
}

void fake_store_set_state(struct sl_store *s, struct sl_part *p, enum sl_part_state st)
{
	atomic_store(&p->pub.state, (uint32_t)st);
	fake_store_ring(s);
}

void fake_store_set_damage(struct sl_part *p, int64_t from, int64_t to)
{
	p->bad_from = from;
	p->bad_to = to;
}

void fake_store_set_start(struct sl_part *p, int64_t log_start)
{
	atomic_store(&p->pub.log_start, log_start);
}

static void *thread_main(void *arg)
{
	struct sl_store *s = arg;
	pthread_mutex_lock(&s->lock);
	while (s->running) {
		step_locked(s);
		if (s->running && s->dp.inj.todo_cnt == 0)
			pthread_cond_wait(&s->work, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void fake_store_thread_start(struct sl_store *s)
{
	s->running = true;
	int rc = pthread_create(&s->thread, NULL, thread_main, s);
	SL_ASSERT(rc == 0);
}

void fake_store_thread_stop(struct sl_store *s)
{
	pthread_mutex_lock(&s->lock);
	s->running = false;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
}

/* ---- reading --------------------------------------------------------------------------------- */

static size_t find_batch(const struct sl_part *p, int64_t offset)
{
	size_t lo = 0, hi = p->batch_cnt;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (p->batch[mid].last < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* As storage takes batches. 1: this one; 0: enough; -EMSGSIZE. */
static int take_batch(struct sl_read *rd, const struct batch *b)
{
	if (b->last >= rd->max_offset)
		return 0;
	if (rd->len == 0 && b->len > rd->cap && (rd->at_least_one || b->len <= rd->max_bytes)) {
		rd->need = b->len;
		return -EMSGSIZE;
	}
	if (rd->len == 0 && rd->at_least_one)
		return 1;
	return (uint64_t)rd->len + b->len <= SL_MIN(rd->max_bytes, rd->cap);
}

static int read_locked(struct sl_part *p, struct sl_read *rd)
{
	int rc = 1;

	rd->len = 0;
	rd->need = 0;
	rd->next_offset = rd->offset;
	if (sl_part_state(p) == SL_PART_DELETED)
		return -ENOENT;
	if (rd->offset < sl_part_start(p) || rd->offset > sl_part_end(p))
		return -ERANGE;
	if (rd->offset >= p->bad_from && rd->offset < p->bad_to) {
		rd->next_offset = p->bad_to;
		return -EILSEQ;
	}
	for (size_t i = find_batch(p, rd->offset); i < p->batch_cnt; i++) {
		const struct batch *b = &p->batch[i];
		if (b->base < p->bad_to && b->last >= p->bad_from)
			break; /* what is good first */
		rc = take_batch(rd, b);
		if (rc <= 0)
			break;
		memcpy(rd->buf + rd->len, b->bytes, b->len);
		rd->len += b->len;
		rd->next_offset = b->last + 1;
	}
	return rc < 0 ? rc : 0;
}

int sl_store_read(struct sl_part *p, struct sl_read *rd)
{
	if (p->store->cfg.damaged)
		return -EILSEQ;
	pthread_mutex_lock(&p->store->lock);
	int rc = read_locked(p, rd);
	pthread_mutex_unlock(&p->store->lock);
	return rc;
}

int sl_store_read_tail(struct sl_part *p, struct sl_read *rd)
{
	return p->store->cfg.cold ? -EAGAIN : sl_store_read(p, rd);
}

/* The first record that is at least `ts`, or with ts INT64_MAX the first of the largest. */
static int scan_ts(struct sl_part *p, int64_t ts, int64_t *ret_offset, int64_t *ret_ts)
{
	struct sl_scratch s;
	int rc = 0;
	int64_t best = -1;

	*ret_offset = *ret_ts = -1;
	sl_scratch_init(&s, 64 << 20);
	pthread_mutex_lock(&p->store->lock);
	if (sl_part_state(p) == SL_PART_DELETED)
		rc = -ENOENT;
	for (size_t i = 0; i < p->batch_cnt && !rc; i++) {
		struct sl_record_walk w;
		struct sl_record r;
		const struct batch *b = &p->batch[i];
		rc = sl_record_walk_init(&w, b->bytes, &s);
		while (!rc && sl_record_walk_next(&w, &r) == 1) {
			bool hit = ts == INT64_MAX ? r.ts > best : r.ts >= ts;
			if (b->base + r.offset_delta < sl_part_start(p))
				continue; /* deleted */
			if (!hit)
				continue;
			*ret_offset = b->base + r.offset_delta;
			*ret_ts = best = r.ts;
			if (ts != INT64_MAX)
				goto out;
		}
	}
out:
	pthread_mutex_unlock(&p->store->lock);
	sl_scratch_fini(&s);
	return rc;
}

int sl_store_offset_for_ts(struct sl_part *p, int64_t ts_ms, int64_t *ret_offset, int64_t *ret_ts)
{
	return scan_ts(p, ts_ms, ret_offset, ret_ts);
}

int sl_store_max_ts(struct sl_part *p, int64_t *ret_offset, int64_t *ret_ts)
{
	return scan_ts(p, INT64_MAX, ret_offset, ret_ts);
}
