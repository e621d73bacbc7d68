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

static int add_base(struct sl_rec_part *pr, int64_t base)
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

static bool has_base(const struct sl_rec_part *pr, int64_t base)
{
	for (uint32_t i = 0; i < pr->cnt; i++)
		if (pr->base[i] == base)
			return true;
	return false;
}

static int list_files(struct sl_rec_part *pr)
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

static void remove_segment(struct sl_rec_part *pr, int64_t base)
{
	static const char *const all[] = {".log", ".index", ".timeindex"};
	char name[SL_FILE_NAME_MAX];

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		sl_segname(pr->p->dir, base, all[i], name);
		unlinkat(pr->p->store->dir.log_fd, name, 0);
	}
	pr->r->changed = true;
}

/* ---- producers ----------------------------------------------------------------------------- */

static void load_producers(struct sl_rec_part *pr)
{
	struct sl_part *p = pr->p;
	char name[SL_FILE_NAME_MAX];
	int64_t own = -1;

	sl_part_pstate_name(p, name, sizeof(name));
	pr->producers_to = 0; /* nothing is known: all of the log is looked at */
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

/* Snapshots of a log that went on behind its present end. */
static void drop_snapshots(struct sl_rec_part *pr)
{
	int fd = sl_dir_open(pr->p->store->dir.log_fd, pr->p->dir, false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		const char *suffix;
		int64_t base;
		if (file_base(e->d_name, &suffix, &base) && base > pr->end &&
		    strcmp(suffix, ".snapshot") == 0)
			unlinkat(fd, e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/*
 * State that speaks of records which are gone would call new ones duplicates. And what closed
 * segments had to be scanned for is stored, so that the next start need not.
 */
static int settle_producers(struct sl_rec_part *pr)
{
	struct sl_part *p = pr->p;
	bool ahead = pr->producers_to > pr->end || pr->newest_snap > pr->end;

	if (!ahead && !pr->producers_scanned)
		return 0;
	if (ahead) {
		sl_producers_truncate(p->producers, pr->end);
		drop_snapshots(pr);
	}
	uint32_t cnt = sl_producers_cnt(p->producers);
	struct sl_producer *all = calloc(cnt + 1, sizeof(*all));
	int err = all && sl_producers_copy(p->producers, all, cnt, &cnt) ? 0 : -ENOMEM;
	if (!err)
		err = sl_part_snapshot(p, pr->end, all, cnt, false);
	free(all);
	pr->r->changed = true;
	return err;
}

/* ---- putting it together ------------------------------------------------------------------- */

static bool trusted(const struct sl_rec_part *pr, int64_t next)
{
	return pr->point >= 0 && next <= pr->point && next <= pr->producers_to;
}

static int do_segment(struct sl_rec_part *pr, uint32_t i)
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
		err = sl_rec_closed(pr, g, next, trusted(pr, next));
	else
		err = next < 0 && sl_rec_resume(pr, &g) ? 0 : sl_rec_last(pr, g);
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
static void drop_behind(struct sl_rec_part *pr)
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

static int make_active(struct sl_rec_part *pr, int64_t base)
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
	sl_seg_flag(g, SL_SEG_NAMED | SL_SEG_DURABLE); /* before anything is published */
	pr->r->changed = true;
	pr->end = base;
	return 0;
}

static void push_epoch(struct sl_epochs *e, int32_t epoch, int64_t start)
{
	if (e->cnt && e->row[e->cnt - 1].start >= start)
		e->cnt--; /* an epoch without a record */
	if (e->cnt == SL_EPOCHS_MAX)
		memmove(&e->row[0], &e->row[1], --e->cnt * sizeof(e->row[0]));
	e->row[e->cnt].epoch = epoch;
	e->row[e->cnt++].start = start;
}

/*
 * A new epoch wherever offsets that were given out are given out again: after a loss, and after a
 * power cut, because what was logged and not synced has been seen by consumers.
 */
static int settle_epoch(struct sl_rec_part *pr)
{
	struct sl_epochs *e = calloc(1, sizeof(*e));
	struct sl_part *p = pr->p;
	bool raise = pr->lost || pr->r->power_cut;
	int err = 0;

	if (!e)
		return -ENOMEM;
	sl_epochs_load(p->store->dir.log_fd, p->dir, e);
	int32_t last = e->cnt ? e->row[e->cnt - 1].epoch : -1;
	while (e->cnt && e->row[e->cnt - 1].start > pr->end)
		e->cnt--;
	bool store = raise || last < 0 || last < pr->epoch;
	if (last < 0)
		push_epoch(e, last = SL_MAX(pr->epoch, 0), sl_part_start(p));
	else if (last < pr->epoch) /* the file is an older one */
		push_epoch(e, last = pr->epoch, pr->epoch_at);
	if (raise)
		push_epoch(e, ++last, pr->end);
	if (store) {
		err = sl_epochs_store_whole(p->store->dir.log_fd, p->dir, e);
		pr->r->changed = true;
	}
	p->pub.leader_epoch = last;
	if (!err)
		err = sl_part_epochs_keep(p, e);
	free(e);
	return err;
}

static int open_last(struct sl_rec_part *pr)
{
	struct sl_part *p = pr->p;
	int64_t start =
		SL_MAX(sl_cp_find(&pr->r->starts, p->pub.topic->name, p->pub.id), (int64_t)0);
	int err = 0;

	if (p->seg_cnt == 0) {
		if (pr->known.valid && pr->known.offset > start)
			sl_rec_lost(pr, start, pr->known.offset);
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

static int recover(struct sl_rec_part *pr)
{
	struct sl_part *p = pr->p;
	const char *name = p->pub.topic->name;
	struct sl_rec_end stripes;
	uint8_t id[16];
	int err = list_files(pr);

	if (!err)
		err = sl_rec_replay(pr->r, p, pr->cnt ? pr->base[pr->cnt - 1] : -1, &stripes);
	if (!err) { /* again: it may have made segments */
		pr->cnt = 0;
		err = list_files(pr);
	}
	if (!err)
		err = sl_rec_known(pr, &stripes,
				   SL_MAX(pr->point, sl_cp_find(&pr->r->highs, name, p->pub.id)));
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
	if (!err)
		err = settle_producers(pr);
	return err ? err : settle_epoch(pr);
}

int sl_rec_part(struct sl_rec *r, struct sl_part *p)
{
	struct sl_rec_part pr = {
		.r = r,
		.p = p,
		.newest_snap = -1,
		.epoch = -1,
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
