/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_source.c - stripes and journal of the last run, and writing them into the files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/record/check.h"
#include "recovery.h"

/* ---- collecting ---------------------------------------------------------------------------- */

static int cmp(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int part_cmp(const uint8_t ida[16], int32_t pa, const uint8_t idb[16], int32_t pb)
{
	int c = memcmp(ida, idb, 16);

	return c ? c : cmp(pa, pb);
}

static int stripe_cmp(const void *a, const void *b)
{
	const struct sl_sdesc *x = ((const struct sl_rec_stripe *)a)->d;
	const struct sl_sdesc *y = ((const struct sl_rec_stripe *)b)->d;
	int c = part_cmp(x->topic_id, x->part, y->topic_id, y->part);

	if (!c)
		c = cmp(x->seg_base, y->seg_base);
	return c ? c : cmp((int64_t)x->file_pos, (int64_t)y->file_pos);
}

static int mark_cmp(const void *a, const void *b)
{
	const struct sl_tail_mark *x = a, *y = b;
	int c = part_cmp(x->topic_id, x->part, y->topic_id, y->part);

	return c ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

static int add_stripe(const struct sl_sdesc *d, const uint8_t *mem, void *arg)
{
	struct sl_rec *r = arg;

	if (r->stripe_cnt == r->stripe_cap) {
		size_t cap = r->stripe_cap ? 2 * r->stripe_cap : 256;
		struct sl_rec_stripe *more = realloc(r->stripe, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->stripe = more;
		r->stripe_cap = cap;
	}
	r->stripe[r->stripe_cnt++] = (struct sl_rec_stripe){d, mem};
	return 0;
}

static int add_mark(const struct sl_tail_mark *m, void *arg)
{
	struct sl_rec *r = arg;
	uint32_t len = (uint32_t)(m->end_pos % SL_IO_BLOCK);

	if (r->mark_cnt == r->mark_cap) {
		size_t cap = r->mark_cap ? 2 * r->mark_cap : 256;
		struct sl_tail_mark *more = realloc(r->mark, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->mark = more;
		r->mark_cap = cap;
	}
	uint8_t *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, m->bytes, len);
	r->mark[r->mark_cnt] = *m;
	r->mark[r->mark_cnt++].bytes = copy;
	return 0;
}

static int end_cmp(const void *a, const void *b)
{
	const struct sl_send *x = a, *y = b;

	return part_cmp(x->topic_id, x->part, y->topic_id, y->part);
}

static int add_end(const struct sl_send *e, void *arg)
{
	struct sl_rec *r = arg;

	r->end[r->end_cnt++] = *e;
	return 0;
}

static int load_stripes(struct sl_rec *r)
{
	struct sl_store *s = r->s;
	int err = sl_arena_old_open(&r->old, s->stripe_dir, s->dir.directory_id, s->dir.run);

	if (err == -ENOENT)
		return 0;
	if (err == -ESTALE || err == -EILSEQ) {
		sl_log(SL_LOG_WARN, "storage", "the stripe file is %s: not used",
		       err == -ESTALE ? "of another run" : "damaged");
		return 0;
	}
	if (!err) {
		r->end = calloc(SL_STRIPE_ENDS, sizeof(*r->end));
		err = r->end ? sl_arena_old_ends(&r->old, add_end, r) : -ENOMEM;
	}
	if (!err && r->end_cnt)
		qsort(r->end, r->end_cnt, sizeof(*r->end), end_cmp);
	return err ? err : sl_arena_old_each(&r->old, add_stripe, r);
}

int sl_rec_load(struct sl_rec *r)
{
	r->buf = malloc(SL_STRIPE_CHUNK);
	int err = r->buf ? load_stripes(r) : -ENOMEM;
	if (!err) {
		err = sl_tail_each(r->s->dir.state_fd, add_mark, r);
		err = err == -ENOENT ? 0 : err;
	}
	if (err)
		return err;
	if (r->stripe_cnt)
		qsort(r->stripe, r->stripe_cnt, sizeof(*r->stripe), stripe_cmp);
	if (r->mark_cnt)
		qsort(r->mark, r->mark_cnt, sizeof(*r->mark), mark_cmp);
	/* a checkpoint that does not parse counts as missing: more is scanned then */
	err = sl_cp_load(r->s->dir.log_fd, SL_CP_RECOVERY, &r->points);
	if (err != -ENOMEM)
		err = sl_cp_load(r->s->dir.log_fd, SL_CP_HIGH_WATERMARK, &r->highs);
	if (err != -ENOMEM)
		err = sl_cp_load(r->s->dir.log_fd, SL_CP_LOG_START, &r->starts);
	return err == -ENOMEM ? err : 0;
}

void sl_rec_unload(struct sl_rec *r)
{
	for (size_t i = 0; i < r->mark_cnt; i++)
		free((void *)(uintptr_t)r->mark[i].bytes);
	free(r->mark);
	free(r->stripe);
	free(r->end);
	free(r->buf);
	sl_cp_fini(&r->points);
	sl_cp_fini(&r->highs);
	sl_cp_fini(&r->starts);
	sl_arena_old_close(&r->old);
}

/* ---- stripes into files -------------------------------------------------------------------- */

/*
 * Bytes of a stripe that can be proven: its batches follow one another from base_offset, with
 * right checksums. Counts the records that the file does not have yet.
 */
static uint32_t prove(struct sl_rec *r, const struct sl_rec_stripe *st, int64_t file_bytes,
		      int64_t *ret_end, uint64_t *ret_new)
{
	uint32_t used = atomic_load_explicit(&st->d->used, memory_order_acquire);
	uint32_t pos = st->d->head, total;
	int64_t off = st->d->base_offset;

	while (pos < used) {
		const uint8_t *b = st->mem + pos;
		if (sl_batch_check_frame(b, used - pos, &total) != SL_BF_OK ||
		    sl_batch_base_offset(b) != off || sl_batch_last_delta(b) < 0)
			break;
		if (pos + total > file_bytes || memcmp(r->buf + pos, b, total))
			*ret_new += (uint64_t)sl_batch_last_delta(b) + 1;
		off += sl_batch_last_delta(b) + 1;
		pos += total;
	}
	if (pos < used)
		sl_log(SL_LOG_ERROR, "storage",
		       "a stripe of segment %" PRId64 " is damaged after offset %" PRId64,
		       st->d->seg_base, off);
	*ret_end = off;
	return pos;
}

static int replay_stripe(struct sl_rec *r, struct sl_part *p, const struct sl_rec_stripe *st,
			 int64_t newest, struct sl_rec_end *e)
{
	char name[SL_FILE_NAME_MAX];
	uint64_t fresh_records = 0;
	int64_t end;

	sl_segname(p->dir, st->d->seg_base, ".log", name);
	/* made when it is new: the roll had not given it its name yet */
	int create = st->d->seg_base > newest ? O_CREAT : 0;
	int fd = openat(r->s->dir.log_fd, name, O_RDWR | create | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT) {
		sl_log(SL_LOG_WARN, "storage", "%s is gone: its stripe is not used", name);
		return 0;
	}
	if (fd < 0)
		return -errno;
	int64_t got = sl_io_pread_all(fd, r->buf, st->d->bytes, st->d->file_pos);
	uint32_t used = prove(r, st, SL_MAX(got, (int64_t)0), &end, &fresh_records);
	int err = sl_io_pwrite_all(fd, st->mem, used, st->d->file_pos);
	if (err == -ENOSPC && sl_stock_drop(r->s))
		err = sl_io_pwrite_all(fd, st->mem, used, st->d->file_pos);
	if (!err && fdatasync(fd))
		err = -errno;
	close(fd);
	if (err)
		return err;
	r->out->stripes_written++;
	r->out->stripe_records += fresh_records;
	*e = (struct sl_rec_end){
		.valid = true,
		.exact = true,
		.fresh = st->d->fresh == 1,
		.seg_base = st->d->seg_base,
		.offset = end,
		.pos = (uint32_t)st->d->file_pos + used,
	};
	return 0;
}

/* ---- torn blocks --------------------------------------------------------------------------- */

int sl_rec_restore(struct sl_rec *r, struct sl_part *p, const struct sl_tail_mark *m)
{
	char name[SL_FILE_NAME_MAX];
	uint8_t have[SL_IO_BLOCK];
	struct stat st;
	uint64_t pos = SL_ALIGN_DOWN(m->end_pos, SL_IO_BLOCK);
	uint32_t len = (uint32_t)(m->end_pos - pos);
	int torn = 0;

	if (len == 0)
		return 0;
	sl_segname(p->dir, m->seg_base, ".log", name);
	int fd = openat(r->s->dir.log_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int err = fstat(fd, &st) ? -errno : 0;
	if (!err && (uint64_t)st.st_size >= pos) {
		int64_t got = sl_io_pread_all(fd, have, len, pos);
		torn = got != (int64_t)len || memcmp(have, m->bytes, len);
	}
	if (torn) {
		err = sl_io_pwrite_all(fd, m->bytes, len, pos);
		if (!err && fdatasync(fd))
			err = -errno;
	}
	close(fd);
	return err ? err : torn;
}

static size_t first_stripe(const struct sl_rec *r, const struct sl_part *p)
{
	size_t lo = 0, hi = r->stripe_cnt;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct sl_sdesc *d = r->stripe[mid].d;
		if (part_cmp(d->topic_id, d->part, p->pub.topic->id, p->pub.id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t first_mark(const struct sl_rec *r, const struct sl_part *p)
{
	size_t lo = 0, hi = r->mark_cnt;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct sl_tail_mark *m = &r->mark[mid];
		if (part_cmp(m->topic_id, m->part, p->pub.topic->id, p->pub.id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct sl_rec_end last_end(const struct sl_rec *r, const struct sl_part *p)
{
	struct sl_send key = {.part = p->pub.id};

	memcpy(key.topic_id, p->pub.topic->id, 16);
	const struct sl_send *e =
		r->end_cnt ? bsearch(&key, r->end, r->end_cnt, sizeof(key), end_cmp) : NULL;
	if (!e)
		return (struct sl_rec_end){0};
	return (struct sl_rec_end){
		.valid = true,
		.exact = true,
		.fresh = e->fresh == 1,
		.seg_base = e->seg_base,
		.offset = e->offset,
		.pos = (uint32_t)e->pos,
	};
}

int sl_rec_replay(struct sl_rec *r, struct sl_part *p, int64_t newest, struct sl_rec_end *ret_end)
{
	struct sl_rec_end e = last_end(r, p), s = {0};
	int err = 0;

	for (size_t i = first_stripe(r, p); i < r->stripe_cnt && !err; i++) {
		const struct sl_sdesc *d = r->stripe[i].d;
		if (part_cmp(d->topic_id, d->part, p->pub.topic->id, p->pub.id))
			break;
		err = replay_stripe(r, p, &r->stripe[i], newest, &s);
		if (!err && s.valid && (!e.valid || s.offset >= e.offset))
			e = s;
	}
	*ret_end = e;
	return err;
}

const struct sl_tail_mark *sl_rec_marks(const struct sl_rec *r, const struct sl_part *p,
					unsigned *ret_cnt)
{
	size_t from = first_mark(r, p), to = from;

	while (to < r->mark_cnt &&
	       !part_cmp(r->mark[to].topic_id, r->mark[to].part, p->pub.topic->id, p->pub.id))
		to++;
	/* a partition has two slots; should there be more, the newest count */
	from = to - from > 2 ? to - 2 : from;
	*ret_cnt = (unsigned)(to - from);
	return r->mark + from;
}
