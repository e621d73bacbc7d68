/* SPDX-License-Identifier: Apache-2.0 */
/* segfile.c - segment files, their extents, index files and snapshots. Everything here blocks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "store_int.h"

#define SNAPSHOTS_KEPT 2u

/* ---- opening and growing ------------------------------------------------------------------- */

int sl_seg_open_active(struct sl_part *p, struct sl_seg *g)
{
	char name[SL_FILE_NAME_MAX];
	bool direct = atomic_load(&p->store->direct);

	sl_segname(p->dir, g->base, ".log", name);
	int fd = p->store->io->open(p->store->dir.log_fd, name, true, &direct);
	if (fd < 0)
		return fd;
	if (!direct)
		atomic_store(&p->store->direct, false);
	if (!g->idx)
		g->idx = sl_idx_new();
	if (!g->idx) {
		close(fd);
		return -ENOMEM;
	}
	g->wfd = fd;
	return 0;
}

/*
 * Space up to `to`; on failure the file keeps what it had. Small extents belong to a quiet
 * partition and are written, because their syncs count; large ones are filled within a moment, and
 * writing them twice would halve the disk.
 */
int sl_seg_extend(struct sl_part *p, struct sl_seg *g, uint32_t to)
{
	uint32_t alloc = atomic_load_explicit(&g->alloc, memory_order_relaxed);

	if (to <= alloc)
		return 0;
	int err = p->store->io->prealloc(g->wfd, alloc, to, to - alloc <= SL_EXTENT_WRITTEN);
	if (err) {
		if (ftruncate(g->wfd, alloc))
			sl_log(SL_LOG_DEBUG, "storage", "%s: truncate: %s", p->dir,
			       strerror(errno));
		return err;
	}
	atomic_fetch_add(&p->store->log_bytes, to - alloc);
	atomic_store_explicit(&g->alloc, to, memory_order_release);
	return 0;
}

int sl_seg_read_fd(struct sl_part *p, const struct sl_seg *g)
{
	char name[SL_FILE_NAME_MAX];

	sl_segname(p->dir, g->base, ".log", name);
	int fd = openat(p->store->dir.log_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* ---- finishing ----------------------------------------------------------------------------- */

int sl_seg_store_index(struct sl_part *p, struct sl_seg *g, bool sync)
{
	char in[SL_FILE_NAME_MAX], tn[SL_FILE_NAME_MAX];
	int64_t max_ts = atomic_load(&g->max_ts);

	sl_segname(p->dir, g->base, ".index", in);
	sl_segname(p->dir, g->base, ".timeindex", tn);
	return sl_idx_store(g->idx, p->store->dir.log_fd, in, tn, max_ts,
			    (uint32_t)(atomic_load(&g->max_ts_off) - g->base), sync);
}

void sl_part_pstate_name(const struct sl_part *p, char *buf, size_t cap)
{
	char id[SL_UUID_TEXT];

	sl_uuid_text(p->pub.topic->id, id);
	snprintf(buf, cap, "%s-%d", id, p->pub.id);
}

/* Kafka's loader takes the newest that fits a segment; older ones than the last two are of no use.
 */
static void prune_snapshots(struct sl_part *p)
{
	int64_t newest[SNAPSHOTS_KEPT];
	int fd = sl_dir_open(p->store->dir.log_fd, p->dir, false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned i = 0; i < SNAPSHOTS_KEPT; i++)
		newest[i] = -1;
	for (int pass = 0; pass < 2; pass++, rewinddir(d)) {
		while ((e = readdir(d))) {
			const char *dot = strchr(e->d_name, '.');
			if (!dot || strcmp(dot, ".snapshot"))
				continue;
			int64_t at = strtoll(e->d_name, NULL, 10);
			if (pass == 1 && at < newest[SNAPSHOTS_KEPT - 1])
				unlinkat(fd, e->d_name, 0);
			for (unsigned i = 0; pass == 0 && i < SNAPSHOTS_KEPT; i++) {
				if (at <= newest[i])
					continue;
				memmove(newest + i + 1, newest + i,
					(SNAPSHOTS_KEPT - 1 - i) * sizeof(newest[0]));
				newest[i] = at;
				break;
			}
		}
	}
	closedir(d);
}

int sl_part_snapshot(struct sl_part *p, int64_t offset, const struct sl_producer *all, uint32_t cnt,
		     bool sync)
{
	char name[SL_FILE_NAME_MAX];
	int err = 0;

	sl_part_pstate_name(p, name, sizeof(name));
	if (cnt)
		err = sl_pstate_store(p->store->dir.producers_fd, name, offset, all, cnt, sync);
	else if (unlinkat(p->store->dir.producers_fd, name, 0) && errno != ENOENT)
		err = -errno;
	sl_segname(p->dir, offset, ".snapshot", name);
	if (!err)
		err = sl_snapshot_store(p->store->dir.log_fd, name, all, cnt, sync);
	if (!err)
		prune_snapshots(p);
	return err;
}

int sl_seg_finish(struct sl_part *p, struct sl_seg *g, bool sync)
{
	uint32_t size = sl_seg_size(g), alloc = atomic_load(&g->alloc);

	if (ftruncate(g->wfd, size) || (sync && fsync(g->wfd)))
		return -errno;
	int err = sl_seg_store_index(p, g, sync);
	if (!err && g->snap && g->snap->filled)
		err = sl_part_snapshot(p, g->end, g->snap->p, g->snap->cnt, sync);
	if (err)
		return err;
	atomic_fetch_sub(&p->store->log_bytes, (int64_t)alloc - size);
	atomic_store(&g->alloc, size);
	pthread_mutex_lock(&p->lock); /* readers look into the index under the lock */
	struct sl_idx *x = g->idx;
	g->idx = NULL;
	sl_seg_flag(g, SL_SEG_FINAL);
	pthread_mutex_unlock(&p->lock);
	sl_idx_free(x);
	close(g->wfd);
	g->wfd = -1;
	free(g->snap);
	g->snap = NULL;
	return 0;
}

/* ---- removing ------------------------------------------------------------------------------ */

void sl_seg_remove(struct sl_part *p, struct sl_seg *g, bool recycle)
{
	static const char *const others[] = {".index", ".timeindex", ".snapshot", ".txnindex"};
	struct sl_store *s = p->store;
	char name[SL_FILE_NAME_MAX];
	uint32_t size = sl_seg_size(g);

	sl_segname(p->dir, g->base, ".log", name);
	if (!recycle ||
	    !sl_stock_put(s, s->dir.log_fd, name, SL_MAX(g->end - 1, g->old_max), size)) {
		unlinkat(s->dir.log_fd, name, 0);
		atomic_fetch_sub(&s->log_bytes, size);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(others); i++) {
		sl_segname(p->dir, g->base, others[i], name);
		unlinkat(s->dir.log_fd, name, 0);
	}
}
