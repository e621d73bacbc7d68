/* SPDX-License-Identifier: Apache-2.0 */
#include "test_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sl_store *ts_new(unsigned writers, struct sl_counters *ctr)
{
	struct sl_store *s = calloc(1, sizeof(*s));

	SL_ASSERT(s);
	s->writers = writers;
	s->counters = ctr;
	for (unsigned i = 0; i < writers; i++)
		s->writer[i] = (struct sl_store_writer){
			.store = s, .idx = i, .efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	return s;
}

void ts_free(struct sl_store *s)
{
	for (unsigned i = 0; i < s->topics; i++) {
		for (uint32_t p = 0; p < s->topic[i].parts; p++) {
			struct sl_part *part = &s->topic[i].part[p];
			for (uint32_t b = 0; b < part->cnt; b++)
				free(part->batch[b].bytes);
			free(part->batch);
		}
		free(s->topic[i].part);
	}
	for (unsigned i = 0; i < s->writers; i++)
		close(s->writer[i].efd);
	free(s);
}

struct sl_topic *ts_topic(struct sl_store *s, const char *name, uint32_t parts, int32_t max_bytes)
{
	SL_ASSERT(s->topics < TS_TOPICS);
	struct sl_topic *t = &s->topic[s->topics++];
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->parts = parts;
	t->part = aligned_alloc(SL_CACHELINE, parts * sizeof(*t->part));
	SL_ASSERT(t->part);
	memset(t->part, 0, parts * sizeof(*t->part));
	t->cfg.max_message_bytes = max_bytes;
	for (uint32_t p = 0; p < parts; p++) {
		t->part[p].pub.topic = t;
		t->part[p].pub.id = (int32_t)p;
		t->part[p].pub.writer = (uint16_t)(p % s->writers);
	}
	return t;
}

void ts_delete(struct sl_topic *t)
{
	t->name[0] = '\0';
	for (uint32_t p = 0; p < t->parts; p++)
		atomic_store(&t->part[p].pub.state, SL_PART_DELETED);
}

uint64_t ts_walk(const struct sl_part *p, void (*fn)(const struct sl_record *r, void *arg),
		 void *arg)
{
	struct sl_scratch scratch;
	struct sl_record_walk w;
	struct sl_record r;
	uint64_t n = 0;

	sl_scratch_init(&scratch, 1 << 20);
	for (uint32_t b = 0; b < p->cnt; b++) {
		SL_ASSERT(sl_record_walk_init(&w, p->batch[b].bytes, &scratch) == 0);
		for (; sl_record_walk_next(&w, &r) == 1; n++)
			if (fn)
				fn(&r, arg);
	}
	sl_scratch_fini(&scratch);
	return n;
}

uint64_t ts_records(const struct sl_topic *t)
{
	uint64_t n = 0;

	for (uint32_t p = 0; p < t->parts; p++)
		n += (uint64_t)sl_part_end(&t->part[p]);
	return n;
}

uint32_t ts_batches(const struct sl_topic *t)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < t->parts; p++)
		n += t->part[p].cnt;
	return n;
}

/* ---- store.h --------------------------------------------------------------------------------- */

struct sl_topic *sl_store_topic_find(struct sl_store *s, const char *name, size_t len)
{
	for (unsigned i = 0; i < s->topics; i++)
		if (strlen(s->topic[i].name) == len && !memcmp(s->topic[i].name, name, len))
			return sl_topic_ref(&s->topic[i]);
	return NULL;
}

const char *sl_topic_name(const struct sl_topic *t)
{
	return t->name;
}

struct sl_topic *sl_topic_ref(struct sl_topic *t)
{
	t->refs++;
	return t;
}

void sl_topic_put(struct sl_topic *t)
{
	if (t)
		SL_ASSERT(t->refs-- > 0);
}

uint32_t sl_topic_partitions(const struct sl_topic *t)
{
	return t->parts;
}

struct sl_part *sl_topic_part(const struct sl_topic *t, int32_t id)
{
	return id >= 0 && (uint32_t)id < t->parts ? &t->part[id] : NULL;
}

void sl_topic_cfg_get(const struct sl_topic *t, struct sl_topic_cfg *ret_cfg)
{
	*ret_cfg = t->cfg;
}

int sl_store_writer_attach(struct sl_store *s, unsigned idx, struct sl_store_writer **ret_writer)
{
	if (s->attach_rc)
		return s->attach_rc;
	if (s->writer[idx].attached)
		return -EBUSY;
	s->writer[idx].attached = true;
	*ret_writer = &s->writer[idx];
	return 0;
}

static void keep(struct sl_part *p, const struct sl_append *a)
{
	if (p->cnt == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 64;
		p->batch = realloc(p->batch, p->cap * sizeof(*p->batch));
		SL_ASSERT(p->batch);
	}
	struct ts_batch *b = &p->batch[p->cnt++];
	b->app = *a;
	b->bytes = malloc(a->len);
	SL_ASSERT(b->bytes);
	memcpy(b->bytes, a->batch, a->len);
	sl_batch_set_base_offset(b->bytes, a->base_offset);
}

static int append(struct sl_store_writer *w, struct sl_append *a)
{
	struct sl_store *s = w->store;
	struct sl_batch_info info;
	struct sl_scratch scratch;
	unsigned every = atomic_load(&s->busy_every);

	SL_ASSERT(w->attached && a->part->pub.writer == w->idx);
	if (sl_part_state(a->part) == SL_PART_DELETED) {
		if (s->counters)
			sl_ctr_add(
				&s->counters->writer[w->idx].failed[a->origin][SL_APPEND_DELETED],
				a->records);
		return -ENOENT;
	}
	if (atomic_load(&s->busy) || (every && ++w->tries % every == 0))
		return -EAGAIN;
	sl_scratch_init(&scratch, 1 << 20);
	SL_ASSERT(sl_batch_check(a->batch, a->len, true, &scratch, &info) == SL_BF_OK);
	sl_scratch_fini(&scratch);
	SL_ASSERT((uint32_t)info.count == a->records && info.max_ts == a->max_ts_ms);
	struct sl_ctr_writer *c = s->counters ? &s->counters->writer[w->idx] : NULL;
	int rc = atomic_load(&s->refuse);
	if (rc) {
		if (c)
			sl_ctr_add(&c->failed[a->origin][SL_APPEND_IO_ERROR], a->records);
		return rc;
	}
	a->base_offset = sl_part_end(a->part);
	keep(a->part, a);
	atomic_store_explicit(&a->part->pub.log_end, a->base_offset + a->records,
			      memory_order_release);
	if (c)
		sl_ctr_add(&c->appended[a->origin], a->records);
	return 0;
}

int sl_store_append(struct sl_store_writer *w, struct sl_append *a)
{
	return a->err = append(w, a);
}

unsigned sl_store_poll(struct sl_store_writer *w, SL_UNUSED uint64_t now_ns)
{
	w->polls++;
	return 0;
}

int sl_store_writer_fd(const struct sl_store_writer *w)
{
	return w->efd;
}

uint64_t sl_store_deadline(SL_UNUSED const struct sl_store_writer *w)
{
	return UINT64_MAX;
}

int sl_store_writer_drain(struct sl_store_writer *w, SL_UNUSED uint64_t deadline_ns)
{
	return w->store->drain_rc;
}

void sl_store_writer_detach(struct sl_store_writer *w)
{
	if (w)
		w->attached = false;
}
