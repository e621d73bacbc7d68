/* SPDX-License-Identifier: Apache-2.0 */
/* reader_ts.c - offsets by timestamp. Looks into compressed batches; blocks. */
#include <errno.h>
#include <stdlib.h>

#include "platform/record/check.h"
#include "reader.h"

#define READ_BYTES  (SL_BATCH_MAX_BYTES + 4096)
#define SCRATCH_MAX (256u << 20)

struct finder {
	struct sl_part *p;
	int64_t ts; /* wanted: at least this */
	bool exact; /* wanted: this one */
	bool all;   /* wanted: the largest of all, the first that bears it */
	uint8_t *buf;
	struct sl_scratch scratch;
	int64_t offset, found_ts;
};

static bool matches(const struct finder *f, int64_t ts)
{
	if (f->all)
		return ts > f->found_ts;
	return f->exact ? ts == f->ts : ts >= f->ts;
}

/* The first matching record of a batch. 1: found. */
static int in_batch(struct finder *f, const uint8_t *b)
{
	struct sl_record_walk w;
	struct sl_record rec;
	int rc = sl_record_walk_init(&w, b, &f->scratch);

	if (rc)
		return rc;
	while ((rc = sl_record_walk_next(&w, &rec)) == 1) {
		int64_t offset = sl_batch_base_offset(b) + rec.offset_delta;
		if (!matches(f, rec.ts) || offset < sl_part_start(f->p))
			continue;
		f->offset = offset;
		f->found_ts = rec.ts;
		if (!f->all)
			return 1;
	}
	return rc;
}

/* From `from` to the end of the log. 1: found; 0: there is none. Damage is stepped over. */
static int search(struct finder *f, int64_t from)
{
	struct sl_read rd = {
		.offset = from,
		.max_bytes = READ_BYTES,
		.at_least_one = true,
		.buf = f->buf,
		.cap = READ_BYTES,
		.max_offset = INT64_MAX,
	};

	for (;;) {
		int rc = sl_store_read(f->p, &rd);
		if (rc == -EILSEQ && rd.next_offset > rd.offset) {
			rd.offset = rd.next_offset;
			continue;
		}
		if (rc || rd.len == 0)
			return rc;
		for (uint32_t pos = 0; pos < rd.len; pos += sl_batch_total(rd.buf + pos)) {
			if (sl_batch_max_ts(rd.buf + pos) < (f->all ? f->found_ts + 1 : f->ts))
				continue;
			rc = in_batch(f, rd.buf + pos);
			if (rc == 1 || (rc < 0 && rc != -EILSEQ && rc != -ENOTSUP))
				return rc;
		}
		rd.offset = rd.next_offset;
	}
}

/* Where the time index of a segment says to begin. The segment is referenced. */
static int64_t begin_in(struct sl_part *p, struct sl_seg *g, int64_t ts)
{
	char name[SL_FILE_NAME_MAX];
	uint32_t rel = 0;

	pthread_mutex_lock(&p->lock);
	bool memory = g->idx != NULL;
	if (memory)
		rel = sl_idx_find_ts(g->idx, ts);
	pthread_mutex_unlock(&p->lock);
	if (!memory) {
		sl_segname(p->dir, g->base, ".timeindex", name);
		rel = sl_idx_file_find_ts(p->store->dir.log_fd, name, ts);
	}
	return SL_MAX(g->base + rel, sl_part_start(p));
}

/* The first segment that holds a record with a timestamp of ts or later: where to begin in it. */
static int64_t begin_at(struct sl_part *p, int64_t ts)
{
	struct sl_seg *g = NULL;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->seg_cnt && !g; i++)
		if (atomic_load_explicit(&p->segs[i]->max_ts, memory_order_acquire) >= ts ||
		    i + 1 == p->seg_cnt)
			g = p->segs[i];
	if (g)
		g->refs++;
	pthread_mutex_unlock(&p->lock);
	if (!g)
		return sl_part_start(p);
	int64_t from = begin_in(p, g, ts);
	sl_part_seg_put(p, g);
	return SL_MIN(from, sl_part_end(p));
}

static int find(struct finder f, int64_t from, int64_t *ret_offset, int64_t *ret_ts)
{
	f.offset = f.found_ts = -1;
	f.buf = malloc(READ_BYTES);
	if (!f.buf)
		return -ENOMEM;
	sl_scratch_init(&f.scratch, SCRATCH_MAX);
	int rc = search(&f, from);
	sl_scratch_fini(&f.scratch);
	free(f.buf);
	if (rc < 0)
		return rc;
	*ret_offset = f.offset;
	*ret_ts = f.found_ts;
	return 0;
}

int sl_store_offset_for_ts(struct sl_part *p, int64_t ts_ms, int64_t *ret_offset, int64_t *ret_ts)
{
	return find((struct finder){.p = p, .ts = ts_ms}, begin_at(p, ts_ms), ret_offset, ret_ts);
}

/* The segment with the largest timestamp so far. */
static void newer(const struct sl_seg *g, int64_t *ts, int64_t *from)
{
	int64_t t = atomic_load_explicit(&g->max_ts, memory_order_acquire);

	if (t <= *ts)
		return;
	*ts = t;
	*from = g->base;
}

int sl_store_max_ts(struct sl_part *p, int64_t *ret_offset, int64_t *ret_ts)
{
	int64_t ts = -1, from = 0;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->seg_cnt; i++)
		newer(p->segs[i], &ts, &from);
	/* and those that are not in the list yet: without the lock none gets there, and none goes
	 */
	uint32_t in = atomic_load_explicit(&p->rolled_in, memory_order_acquire);
	for (uint32_t i = atomic_load_explicit(&p->rolled_out, memory_order_acquire); i != in; i++)
		newer(atomic_load_explicit(&p->rolled[i % SL_ROLLED_RING], memory_order_acquire),
		      &ts, &from);
	pthread_mutex_unlock(&p->lock);
	if (ts < 0) {
		*ret_offset = *ret_ts = -1;
		return 0;
	}
	from = SL_MAX(SL_MIN(SL_MAX(from, begin_at(p, ts)), sl_part_end(p)), sl_part_start(p));
	int rc = find((struct finder){.p = p, .ts = ts, .exact = true}, from, ret_offset, ret_ts);
	if (rc || *ret_offset >= 0)
		return rc;
	/* the record was deleted, and log start lies in its segment: what is left is looked at */
	return find((struct finder){.p = p, .all = true}, sl_part_start(p), ret_offset, ret_ts);
}
