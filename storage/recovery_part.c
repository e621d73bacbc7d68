/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_part.c - one partition at start: segments, ends, damage, producers, epoch. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "recovery.h"

#define DIGITS 20

struct part_rec { /* one partition's recovery */
	struct sl_rec *r;
	struct sl_part *p;
	int64_t *base; /* of the segment files, sorted */
	uint32_t cnt, cap;
	int64_t newest_snap; /* -1: none */
	struct sl_rec_end known;
	int64_t point;        /* recovery point, -1: none */
	int64_t producers_to; /* producer state is complete up to here; INT64_MAX: unknown */
	struct sl_seg *cur;   /* being scanned */
	uint32_t interval;
	int64_t end;      /* log end found so far */
	bool need_active; /* nothing can be appended to the last segment */
	bool lost;
	struct sl_scan scan;
};

/* ---- files --------------------------------------------------------------------------------- */

static bool file_base(const char *name, const char **ret_suffix, int64_t *ret_base)
{
	if (strspn(name, "0123456789") != DIGITS || name[0] != '0')
		return false;
	errno = 0;
	*ret_base = strtoll(name, NULL, 10);
	*ret_suffix = name + DIGITS;
	return errno == 0;
}

static int add_base(struct part_rec *pr, int64_t base)
{
	if (pr->cnt == pr->cap) {
		uint32_t cap = pr->cap ? 2 * pr->cap : 32;
		int64_t *more = realloc(pr->base, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		pr->base = more;
		pr->cap = cap;
	}
	uint32_t at = pr->cnt++;
	while (at > 0 && pr->base[at - 1] > base) {
		pr->base[at] = pr->base[at - 1];
		at--;
	}
	pr->base[at] = base;
	return 0;
}

static bool has_base(const struct part_rec *pr, int64_t base)
{
	for (uint32_t i = 0; i < pr->cnt; i++)
		if (pr->base[i] == base)
			return true;
	return false;
}

static int list_files(struct part_rec *pr)
{
	struct sl_store *s = pr->p->store;
	int fd = sl_dir_open(s->dir.log_fd, pr->p->dir, true);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!d) {
		err = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (e = readdir(d))) {
		const char *suffix;
		int64_t base;
		if (!file_base(e->d_name, &suffix, &base))
			continue;
		if (strcmp(suffix, ".log") == 0)
			err = add_base(pr, base);
		else if (strcmp(suffix, ".snapshot") == 0)
			pr->newest_snap = SL_MAX(pr->newest_snap, base);
		else if (strstr(suffix, ".deleted") || strstr(suffix, ".cleaned"))
			unlinkat(fd, e->d_name, 0);
	}
	rewinddir(d);
	while (!err && (e = readdir(d))) { /* what a deletion cut short left behind */
		const char *suffix;
		int64_t base;
		if (file_base(e->d_name, &suffix, &base) && !has_base(pr, base) &&
		    (strcmp(suffix, ".index") == 0 || strcmp(suffix, ".timeindex") == 0))
			unlinkat(fd, e->d_name, 0);
	}
	closedir(d);
	return err;
}

static void names(const struct part_rec *pr, int64_t base, char log[SL_FILE_NAME_MAX],
		  char index[SL_FILE_NAME_MAX], char times[SL_FILE_NAME_MAX])
{
	sl_segname(pr->p->dir, base, ".log", log);
	sl_segname(pr->p->dir, base, ".index", index);
	sl_segname(pr->p->dir, base, ".timeindex", times);
}

static void remove_segment(struct part_rec *pr, int64_t base)
{
	char log[SL_FILE_NAME_MAX], index[SL_FILE_NAME_MAX], times[SL_FILE_NAME_MAX];
	int fd = pr->p->store->dir.log_fd;

	names(pr, base, log, index, times);
	unlinkat(fd, log, 0);
	unlinkat(fd, index, 0);
	unlinkat(fd, times, 0);
}

/* ---- producers ----------------------------------------------------------------------------- */

static void load_producers(struct part_rec *pr)
{
	struct sl_part *p = pr->p;
	char name[SL_FILE_NAME_MAX];
	int64_t own = -1;

	sl_part_pstate_name(p, name, sizeof(name));
	pr->producers_to = INT64_MAX;
	if (sl_pstate_load(p->store->dir.producers_fd, name, p->producers, &own) == 0 &&
	    own >= pr->newest_snap) {
		pr->producers_to = own;
		return;
	}
	if (pr->newest_snap < 0)
		return;
	sl_producers_free(p->producers);
	p->producers = sl_producers_new();
	SL_ASSERT(p->producers); /* the same memory was there a moment ago */
	sl_segname(p->dir, pr->newest_snap, ".snapshot", name);
	int err = sl_snapshot_load(p->store->dir.log_fd, name, p->producers);
	if (err == 0)
		pr->producers_to = pr->newest_snap;
	else
		sl_log(SL_LOG_WARN, "storage", "%s: %s", name, strerror(-err));
}

static void on_batch(void *arg, const uint8_t *b, uint32_t pos, uint32_t total)
{
	struct part_rec *pr = arg;
	int64_t pid = sl_batch_pid(b), base = sl_batch_base_offset(b);

	sl_seg_note(pr->cur, pr->interval, b, pos, total);
	if (pid < 0 || sl_batch_base_seq(b) < 0 || (sl_batch_attrs(b) & SL_ATTR_CONTROL) ||
	    (pr->producers_to != INT64_MAX && base < pr->producers_to))
		return;
	struct sl_pappend a = {
		.pid = pid,
		.epoch = sl_batch_pepoch(b),
		.base_seq = sl_batch_base_seq(b),
		.records = (uint32_t)sl_batch_last_delta(b) + 1,
		.base_offset = base,
		.ts_ms = sl_batch_max_ts(b),
	};
	sl_producers_put(pr->p->producers, &a, a.ts_ms);
}

/* ---- damage -------------------------------------------------------------------------------- */

static void damaged(struct part_rec *pr, int64_t from, int64_t to)
{
	pr->r->out->damaged_records += (uint64_t)(to - from);
	sl_log(SL_LOG_ERROR, "storage",
	       "%s: offsets %" PRId64 " to %" PRId64 " are damaged (segment %" PRId64
	       ", about byte %u)",
	       pr->p->dir, from, to - 1, pr->cur->base, pr->scan.pos);
}

static void torn(struct part_rec *pr, uint32_t bytes)
{
	if (!bytes)
		return;
	pr->r->out->cut_partitions++;
	pr->r->out->cut_bytes += bytes;
	sl_log(SL_LOG_WARN, "storage", "%s: torn tail of %u bytes cut after offset %" PRId64,
	       pr->p->dir, bytes, pr->end - 1);
}

static void lost(struct part_rec *pr, int64_t from, int64_t to)
{
	pr->lost = true;
	pr->r->out->lost_records += to - from;
	sl_log(SL_LOG_ERROR, "storage",
	       "%s: offsets %" PRId64 " to %" PRId64
	       " were synced and are gone: leader epoch raised",
	       pr->p->dir, from, to - 1);
}

/* Scans; over damaged places too, as long as something good follows below `upto`. */
static enum sl_scan_stop walk(struct part_rec *pr, int64_t upto, bool over_zeros)
{
	struct sl_scan *sc = &pr->scan;

	for (;;) {
		enum sl_scan_stop stop = sl_scan_run(sc);
		if (stop == SL_SCAN_LIMIT || (!over_zeros && stop != SL_SCAN_BAD))
			return stop;
		uint32_t pos = sc->pos;
		int64_t off = sc->next_off;
		if (!sl_scan_resync(sc, upto)) {
			sc->pos = pos;
			sc->next_off = off;
			return stop;
		}
		damaged(pr, off, sc->next_off);
	}
}

/* ---- segments ------------------------------------------------------------------------------ */

static int open_scan(struct part_rec *pr, struct sl_seg *g, struct stat *st)
{
	char log[SL_FILE_NAME_MAX];
	struct sl_scan *sc = &pr->scan;

	sl_segname(pr->p->dir, g->base, ".log", log);
	int fd = openat(pr->p->store->dir.log_fd, log, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, st)) {
		int err = -errno;
		close(fd);
		return err;
	}
	atomic_store(&g->touched_ms,
		     (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000);
	sc->fd = fd;
	sc->at = sc->len = 0;
	sc->pos = 0;
	sc->next_off = g->base;
	sc->end_off = INT64_MAX;
	sc->end_pos = (uint32_t)SL_MIN((uint64_t)st->st_size, (uint64_t)INT32_MAX);
	sc->strict = pr->known.valid;
	sc->batch = on_batch;
	sc->arg = pr;
	pr->cur = g;
	return fd;
}

static int close_segment(struct sl_seg *g, int fd, uint32_t size, int64_t end)
{
	int err = 0;

	if (ftruncate(fd, size) || fsync(fd))
		err = -errno;
	atomic_store(&g->size, size);
	atomic_store(&g->written, size);
	atomic_store(&g->alloc, size);
	g->end = end;
	sl_seg_flag(g, SL_SEG_NAMED | SL_SEG_DURABLE);
	return err;
}

static void make_final(struct sl_seg *g)
{
	sl_idx_free(g->idx);
	g->idx = NULL;
	sl_seg_flag(g, SL_SEG_NAMED | SL_SEG_DURABLE | SL_SEG_CLOSED | SL_SEG_DONE | SL_SEG_FINAL);
}

/* A closed segment, scanned: it must reach the base of the next one. */
static int scan_closed(struct part_rec *pr, struct sl_seg *g, int64_t next)
{
	struct stat st;
	int fd = open_scan(pr, g, &st);

	if (fd < 0)
		return fd;
	pr->scan.end_off = next;
	enum sl_scan_stop stop = walk(pr, next, true);
	uint32_t size = pr->scan.pos;
	if (pr->scan.next_off < next && pr->known.valid)
		damaged(pr, pr->scan.next_off, next);
	if (stop == SL_SCAN_BAD)
		size = pr->scan.end_pos; /* what is there stays there */
	int err = close_segment(g, fd, size, next);
	if (!err)
		err = sl_seg_store_index(pr->p, g, true);
	close(fd);
	make_final(g);
	return err;
}

/* A closed segment below the recovery point, with its index files: only looked at. */
static int trust_closed(struct part_rec *pr, struct sl_seg *g, int64_t next)
{
	char log[SL_FILE_NAME_MAX], index[SL_FILE_NAME_MAX], times[SL_FILE_NAME_MAX];
	int dir = pr->p->store->dir.log_fd;
	struct stat st;
	int64_t ts;
	uint32_t rel;

	names(pr, g->base, log, index, times);
	if (fstatat(dir, log, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return -EINVAL;
	uint32_t size = (uint32_t)SL_MIN((uint64_t)st.st_size, (uint64_t)INT32_MAX);
	if (!sl_idx_file_sane(dir, index, times, size, next - g->base))
		return scan_closed(pr, g, next);
	if (sl_idx_file_last_ts(dir, times, &ts, &rel) == 0) {
		atomic_store(&g->max_ts, ts);
		atomic_store(&g->max_ts_off, g->base + rel);
	}
	atomic_store(&g->touched_ms,
		     (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
	atomic_store(&g->size, size);
	atomic_store(&g->written, size);
	atomic_store(&g->alloc, size);
	g->end = next;
	make_final(g);
	return 0;
}

/* Behind the block in which the scan stopped there is nothing at all: the file was not written. */
static bool gone_behind(struct sl_scan *sc)
{
	uint32_t keep = sc->pos;

	sc->pos = (uint32_t)SL_ALIGN_UP(sc->pos + 1, SL_IO_BLOCK);
	bool gone = sl_scan_residue(sc, sc->end_pos) == 0;
	sc->pos = keep;
	return gone;
}

/* The last segment of a log whose end is known. */
static void end_known(struct part_rec *pr, uint32_t file_bytes)
{
	struct sl_scan *sc = &pr->scan;
	const struct sl_rec_end *k = &pr->known;

	sc->end_pos = SL_MIN(k->pos, file_bytes);
	enum sl_scan_stop stop = walk(pr, k->offset, true);
	pr->end = sc->next_off;
	if (sc->pos >= k->pos || sc->next_off >= k->offset) {
		if (!k->fresh)
			return; /* what lies behind is an earlier life's */
		sc->end_pos = file_bytes;
		if (!k->exact)
			sl_scan_run(sc);
		pr->end = sc->next_off;
		torn(pr, sl_scan_residue(sc, file_bytes));
	} else if (stop == SL_SCAN_BAD &&
		   !gone_behind(sc)) { /* to the end of what is known: appends go on behind it */
		damaged(pr, sc->next_off, k->offset);
		sc->pos = sc->end_pos;
		pr->end = k->offset;
		pr->need_active = true;
	} else {
		lost(pr, sc->next_off, k->offset);
	}
}

static int scan_last(struct part_rec *pr, struct sl_seg *g)
{
	struct stat st;
	int fd = open_scan(pr, g, &st);

	if (fd < 0)
		return fd;
	uint32_t file_bytes = pr->scan.end_pos;
	if (pr->known.valid && pr->known.seg_base == g->base) {
		end_known(pr, file_bytes);
	} else {
		bool gone = pr->known.valid; /* its end lay in a segment that is not there */
		walk(pr, INT64_MAX, false);
		pr->end = pr->scan.next_off;
		if (gone && pr->end < pr->known.offset)
			lost(pr, pr->end, pr->known.offset);
		torn(pr, sl_scan_residue(&pr->scan, file_bytes));
	}
	int err = close_segment(g, fd, pr->scan.pos, pr->end);
	uint32_t tail = pr->scan.pos % SL_IO_BLOCK;
	if (!err && tail &&
	    sl_io_pread_all(fd, pr->p->tail_blk, tail, pr->scan.pos - tail) != (int64_t)tail)
		err = -EIO;
	close(fd);
	if (!err && pr->need_active) {
		err = sl_seg_store_index(pr->p, g, true);
		make_final(g);
	}
	return err;
}

/* ---- after a clean stop -------------------------------------------------------------------- */

/* From the last index entry to the end of the file; false: anything is odd, so scan it all. */
static bool resume_last(struct part_rec *pr, struct sl_seg *g)
{
	char log[SL_FILE_NAME_MAX], index[SL_FILE_NAME_MAX], times[SL_FILE_NAME_MAX];
	uint8_t h[SL_BATCH_HDR];
	int64_t ts;
	uint32_t rel;
	struct stat st;

	names(pr, g->base, log, index, times);
	int fd = open_scan(pr, g, &st);
	if (fd < 0)
		return false;
	uint32_t size = pr->scan.end_pos;
	bool ok =
		size == 0 || sl_idx_load(g->idx, pr->p->store->dir.log_fd, index, times, size) == 0;
	if (ok && size) {
		pr->scan.pos = sl_idx_find(g->idx, UINT32_MAX);
		g->idx->since = 0;
		ok = sl_io_pread_all(fd, h, sizeof(h), 0) == sizeof(h);
		g->first_ts = sl_batch_max_ts(h);
		ok = ok && sl_io_pread_all(fd, h, sizeof(h), pr->scan.pos) == sizeof(h);
		pr->scan.next_off = sl_batch_base_offset(h);
		if (sl_idx_file_last_ts(pr->p->store->dir.log_fd, times, &ts, &rel) == 0) {
			atomic_store(&g->max_ts, ts);
			atomic_store(&g->max_ts_off, g->base + rel);
		}
	}
	ok = ok && sl_scan_run(&pr->scan) == SL_SCAN_LIMIT && pr->scan.pos == size &&
	     pr->scan.next_off == pr->point;
	uint32_t tail = size % SL_IO_BLOCK;
	ok = ok &&
	     (!tail || sl_io_pread_all(fd, pr->p->tail_blk, tail, size - tail) == (int64_t)tail);
	close(fd);
	if (!ok)
		return false;
	pr->end = pr->point;
	atomic_store(&g->size, size);
	atomic_store(&g->written, size);
	atomic_store(&g->alloc, size);
	g->end = pr->end;
	sl_seg_flag(g, SL_SEG_NAMED | SL_SEG_DURABLE);
	return true;
}

static bool try_resume(struct part_rec *pr, struct sl_seg **g)
{
	if (!pr->p->store->dir.clean || pr->point < 0 || pr->known.exact ||
	    (pr->known.valid && pr->known.offset > pr->point))
		return false;
	if (resume_last(pr, *g))
		return true;
	struct sl_seg *again = sl_seg_new((*g)->base);
	if (again && (again->idx = sl_idx_new())) {
		sl_seg_free(*g);
		*g = again;
	} else {
		sl_seg_free(again);
	}
	return false;
}

/* ---- putting it together ------------------------------------------------------------------- */

static bool trusted(const struct part_rec *pr, int64_t next)
{
	return pr->point >= 0 && next <= pr->point &&
	       (pr->producers_to == INT64_MAX || next <= pr->producers_to);
}

static int do_segment(struct part_rec *pr, uint32_t i)
{
	int64_t next = i + 1 < pr->cnt ? pr->base[i + 1] : -1;
	struct sl_seg *g = sl_seg_new(pr->base[i]);
	int err;

	if (g)
		g->idx = sl_idx_new();
	if (!g || !g->idx) {
		sl_seg_free(g);
		return -ENOMEM;
	}
	g->fresh = true; /* cut to what is in it */
	bool last = next < 0 || (pr->known.valid && pr->known.seg_base == g->base);
	if (!last)
		err = trusted(pr, next) ? trust_closed(pr, g, next) : scan_closed(pr, g, next);
	else
		err = next < 0 && try_resume(pr, &g) ? 0 : scan_last(pr, g);
	if (!err)
		err = sl_part_add_seg(pr->p, g);
	if (err) {
		sl_seg_free(g);
		return err;
	}
	atomic_fetch_add(&pr->p->store->log_bytes, sl_seg_size(g));
	if (!last)
		pr->end = next;
	return 0;
}

/* Segments behind the known end: made after the last sync, so nothing in them was promised. */
static void drop_behind(struct part_rec *pr)
{
	while (pr->known.valid && pr->cnt && pr->base[pr->cnt - 1] > pr->known.seg_base) {
		int64_t base = pr->base[--pr->cnt];
		struct sl_scan sc = {.end_off = INT64_MAX, .end_pos = INT32_MAX, .next_off = base};
		char log[SL_FILE_NAME_MAX];
		sl_segname(pr->p->dir, base, ".log", log);
		sc.fd = openat(pr->p->store->dir.log_fd, log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (sc.fd >= 0) {
			sc.strict = true;
			sl_scan_run(&sc);
			close(sc.fd);
		}
		if (sc.pos) {
			pr->r->out->cut_partitions++;
			pr->r->out->cut_bytes += sc.pos;
			sl_log(SL_LOG_WARN, "storage",
			       "%s: segment %" PRId64 " was never synced: cut, with %u bytes",
			       pr->p->dir, base, sc.pos);
		}
		sl_scan_fini(&sc);
		remove_segment(pr, base);
	}
}

static int make_active(struct part_rec *pr, int64_t base)
{
	struct sl_seg *g = sl_seg_new(base);
	int err = g ? sl_seg_open_active(pr->p, g) : -ENOMEM;

	if (!err && ftruncate(g->wfd, 0))
		err = -errno;
	if (!err)
		err = sl_part_add_seg(pr->p, g);
	if (err) {
		sl_seg_free(g);
		return err;
	}
	g->fresh = true;
	sl_seg_flag(g, SL_SEG_NAMED | SL_SEG_DURABLE);
	pr->end = base;
	return 0;
}

static int settle_epoch(struct part_rec *pr)
{
	struct sl_epochs *e = calloc(1, sizeof(*e));
	struct sl_part *p = pr->p;
	int err = 0;

	if (!e)
		return -ENOMEM;
	sl_epochs_load(p->store->dir.log_fd, p->dir, e);
	int32_t last = e->cnt ? e->row[e->cnt - 1].epoch : -1;
	bool had = e->cnt > 0;
	while (e->cnt && e->row[e->cnt - 1].start > pr->end)
		e->cnt--;
	if (pr->lost || !had) {
		if (e->cnt == SL_EPOCHS_MAX)
			memmove(&e->row[0], &e->row[1], --e->cnt * sizeof(e->row[0]));
		if (e->cnt && e->row[e->cnt - 1].start == pr->end)
			e->cnt--; /* an epoch without a record */
		e->row[e->cnt].epoch = ++last;
		e->row[e->cnt++].start = pr->lost ? pr->end : sl_part_start(p);
		err = sl_epochs_store(p->store->dir.log_fd, p->dir, e);
	}
	p->pub.leader_epoch = SL_MAX(last, 0);
	free(e);
	return err;
}

static int open_last(struct part_rec *pr)
{
	struct sl_part *p = pr->p;
	int64_t start =
		SL_MAX(sl_cp_find(&pr->r->starts, p->pub.topic->name, p->pub.id), (int64_t)0);
	int err = 0;

	if (p->seg_cnt == 0) {
		if (pr->known.valid && pr->known.offset > start)
			lost(pr, start, pr->known.offset);
		err = make_active(pr, start);
	} else if (pr->need_active) {
		err = make_active(pr, pr->end);
	} else {
		err = sl_seg_open_active(p, p->segs[p->seg_cnt - 1]);
	}
	if (err)
		return err;
	struct sl_seg *g = p->segs[p->seg_cnt - 1];
	/* the block in which the log ends has its space already */
	atomic_store(&g->alloc, (uint32_t)SL_ALIGN_UP(sl_seg_size(g), SL_IO_BLOCK));
	atomic_store(&p->active, g);
	start = SL_MIN(SL_MAX(start, p->segs[0]->base), pr->end);
	atomic_store(&p->pub.log_start, start);
	atomic_store(&p->pub.log_end, pr->end);
	atomic_store(&p->pub.synced, pr->end);
	return 0;
}

static int recover(struct part_rec *pr)
{
	struct sl_part *p = pr->p;
	uint8_t id[16];
	int err = list_files(pr);

	if (!err)
		err = sl_rec_replay(pr->r, p, pr->cnt ? pr->base[pr->cnt - 1] : -1, &pr->known);
	if (!err) { /* again: it may have made segments */
		pr->cnt = 0;
		err = list_files(pr);
	}
	if (err)
		return err;
	if (sl_partmeta_load(p->store->dir.log_fd, p->dir, id) || memcmp(id, p->pub.topic->id, 16))
		err = sl_partmeta_store(p->store->dir.log_fd, p->dir, p->pub.topic->id);
	load_producers(pr);
	drop_behind(pr);
	if (pr->known.valid && !has_base(pr, pr->known.seg_base))
		sl_log(SL_LOG_ERROR, "storage", "%s: segment %" PRId64 " is gone", p->dir,
		       pr->known.seg_base);
	for (uint32_t i = 0; i < pr->cnt && !err; i++)
		err = do_segment(pr, i);
	if (!err)
		err = open_last(pr);
	return err ? err : settle_epoch(pr);
}

int sl_rec_part(struct sl_rec *r, struct sl_part *p)
{
	struct part_rec pr = {
		.r = r,
		.p = p,
		.newest_snap = -1,
		.interval = (uint32_t)atomic_load(&p->pub.topic->index_interval),
	};

	pr.point = sl_cp_find(&r->points, p->pub.topic->name, p->pub.id);
	int err = recover(&pr);
	r->out->scanned_bytes += pr.scan.scanned;
	r->out->partitions++;
	sl_scan_fini(&pr.scan);
	free(pr.base);
	return err;
}
