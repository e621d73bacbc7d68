/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_seg.c - one segment at start: scanned, or trusted; torn tails, damage, loss. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "recovery.h"

/* ---- what a scan finds --------------------------------------------------------------------- */

static void on_batch(void *arg, const uint8_t *b, uint32_t pos, uint32_t total)
{
	struct sl_rec_part *pr = arg;
	int64_t pid = sl_batch_pid(b), base = sl_batch_base_offset(b);

	sl_seg_note(pr->cur, pr->interval, b, pos, total);
	if (sl_batch_leader_epoch(b) > pr->epoch) {
		pr->epoch = sl_batch_leader_epoch(b);
		pr->epoch_at = base;
	}
	if (pid < 0 || sl_batch_base_seq(b) < 0 || (sl_batch_attrs(b) & SL_ATTR_CONTROL) ||
	    base < pr->producers_to)
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

static void damaged(struct sl_rec_part *pr, int64_t from, int64_t to)
{
	pr->r->out->damaged_records += (uint64_t)(to - from);
	sl_log(SL_LOG_ERROR, "storage",
	       "%s: offsets %" PRId64 " to %" PRId64 " are damaged (segment %" PRId64
	       ", about byte %u)",
	       pr->p->dir, from, to - 1, pr->cur->base, pr->scan.pos);
}

static void torn(struct sl_rec_part *pr, uint32_t bytes)
{
	if (!bytes)
		return;
	pr->r->out->cut_partitions++;
	pr->r->out->cut_bytes += bytes;
	sl_log(SL_LOG_WARN, "storage", "%s: torn tail of %u bytes cut after offset %" PRId64,
	       pr->p->dir, bytes, pr->end - 1);
}

void sl_rec_lost(struct sl_rec_part *pr, int64_t from, int64_t to)
{
	pr->lost = true;
	pr->r->out->lost_records += to - from;
	sl_log(SL_LOG_ERROR, "storage",
	       "%s: offsets %" PRId64 " to %" PRId64
	       " were synced and are gone: leader epoch raised",
	       pr->p->dir, from, to - 1);
}

/* Scans; over damaged places too, as long as something good follows below `upto`. */
static enum sl_scan_stop walk(struct sl_rec_part *pr, int64_t upto, bool over_zeros)
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

static int open_scan(struct sl_rec_part *pr, struct sl_seg *g, struct stat *st)
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
	sc->strict = false; /* an imported log has gaps, where Kafka compacted it */
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

/*
 * A closed segment, scanned: it must reach the base of the next one. Below the recovery point all
 * was there once, so a file that ends with a whole batch ends with a gap that Kafka left.
 */
static int scan_closed(struct sl_rec_part *pr, struct sl_seg *g, int64_t next)
{
	struct sl_scan *sc = &pr->scan;
	struct stat st;
	int fd = open_scan(pr, g, &st);

	if (fd < 0)
		return fd;
	sc->end_off = next;
	enum sl_scan_stop stop = walk(pr, next, true);
	bool gap = sc->pos == sc->end_pos && next <= pr->point;
	uint32_t size = sc->pos;
	if (sc->next_off < next && pr->known.valid && !gap)
		damaged(pr, sc->next_off, next);
	if (stop == SL_SCAN_BAD)
		size = sc->end_pos; /* what is there stays there */
	pr->producers_scanned = pr->producers_scanned || next > pr->producers_to;
	int err = close_segment(g, fd, size, next);
	if (!err)
		err = sl_seg_store_index(pr->p, g, true);
	close(fd);
	make_final(g);
	return err;
}

static void names(const struct sl_rec_part *pr, int64_t base, char log[SL_FILE_NAME_MAX],
		  char index[SL_FILE_NAME_MAX], char times[SL_FILE_NAME_MAX])
{
	sl_segname(pr->p->dir, base, ".log", log);
	sl_segname(pr->p->dir, base, ".index", index);
	sl_segname(pr->p->dir, base, ".timeindex", times);
}

/* A closed segment below the recovery point, with its index files: only looked at. */
static int trust_closed(struct sl_rec_part *pr, struct sl_seg *g, int64_t next)
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

int sl_rec_closed(struct sl_rec_part *pr, struct sl_seg *g, int64_t next, bool trust)
{
	return trust ? trust_closed(pr, g, next) : scan_closed(pr, g, next);
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
static void end_known(struct sl_rec_part *pr, uint32_t file_bytes)
{
	struct sl_scan *sc = &pr->scan;
	const struct sl_rec_end *k = &pr->known;

	sc->end_pos = SL_MIN(k->pos, file_bytes);
	sc->end_off = k->offset;
	enum sl_scan_stop stop = walk(pr, k->offset, true);
	pr->end = sc->next_off;
	if (sc->next_off >= k->offset) {
		if (!k->fresh)
			return; /* what lies behind is an earlier life's */
		sc->end_pos = file_bytes;
		sc->end_off = INT64_MAX;
		sc->strict = true; /* as our own offsets follow */
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
		sl_rec_lost(pr, sc->next_off, k->offset);
	}
}

int sl_rec_last(struct sl_rec_part *pr, struct sl_seg *g)
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
			sl_rec_lost(pr, pr->end, pr->known.offset);
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
static bool resume_last(struct sl_rec_part *pr, struct sl_seg *g)
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

bool sl_rec_resume(struct sl_rec_part *pr, struct sl_seg **g)
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
