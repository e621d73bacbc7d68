/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stock.c - files of deleted segments, kept for their blocks: overwriting blocks that were written
 * once is twice as fast as writing fresh ones.
 *
 * The name in state/recycled says how high the offsets in it went: "<highest>-<number>". A file is
 * handed out only for a segment that begins above that, so no old batch in it can ever be taken
 * for the expected next one; the journal's mark is the first line of defence.
 *
 * Nobody writes to it before every rename that brought it there is durable: after a power cut it
 * must neither be back in a log directory, nor here under the name of what it held before.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_int.h"

#define STOCK_BYTES_MIN (256u << 10) /* smaller files are not worth it */

static void drop_at(struct sl_store *s, unsigned i)
{
	struct sl_hk *hk = &s->hk;

	unlinkat(s->dir.recycled_fd, hk->stock[i].name, 0);
	atomic_fetch_sub(&s->log_bytes, hk->stock[i].bytes);
	hk->stock[i] = hk->stock[--hk->stock_cnt];
}

void sl_stock_load(struct sl_store *s)
{
	struct sl_hk *hk = &s->hk;
	int fd = sl_dir_open(s->dir.state_fd, "recycled", false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		struct stat st;
		int64_t max;
		uint64_t nr;
		if (e->d_name[0] == '.')
			continue;
		bool ok = sscanf(e->d_name, "%" SCNd64 "-%" SCNu64, &max, &nr) == 2 && max >= 0 &&
			  strlen(e->d_name) < sizeof(hk->stock[0].name) &&
			  hk->stock_cnt < SL_STOCK_MAX &&
			  fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			  S_ISREG(st.st_mode);
		if (!ok) {
			unlinkat(fd, e->d_name, 0);
			continue;
		}
		struct sl_stock *k = &hk->stock[hk->stock_cnt++];
		snprintf(k->name, sizeof(k->name), "%.63s", e->d_name);
		k->old_max = max;
		k->bytes = (uint64_t)st.st_size;
		hk->spare_seq = SL_MAX(hk->spare_seq, nr + 1);
		atomic_fetch_add(&s->log_bytes, k->bytes);
	}
	closedir(d);
}

bool sl_stock_put(struct sl_store *s, int dirfd, const char *name, int64_t old_max, uint64_t bytes)
{
	struct sl_hk *hk = &s->hk;
	struct sl_stock k = {.old_max = old_max, .bytes = bytes};
	uint64_t budget = atomic_load(&s->budget);

	if (bytes < STOCK_BYTES_MIN || hk->stock_cnt == SL_STOCK_MAX || old_max < 0 ||
	    atomic_load(&s->disk_full))
		return false;
	if (budget && (hk->stock_cnt + 1) * bytes > budget / 8)
		return false;
	snprintf(k.name, sizeof(k.name), "%" PRId64 "-%" PRIu64, old_max, hk->spare_seq++);
	snprintf(k.from, sizeof(k.from), "%.*s", (int)strcspn(name, "/"), name);
	if (renameat(dirfd, name, s->dir.recycled_fd, k.name))
		return false;
	hk->stock[hk->stock_cnt++] = k;
	return true;
}

/* The log directory that it came from (not known after a start, which syncs them all), the stock,
 * and where it lies now. */
static int make_durable(struct sl_store *s, const struct sl_stock *k)
{
	int err = 0;

	if (k->from[0]) {
		int fd = sl_dir_open(s->dir.log_fd, k->from, false);
		if (fd < 0 && fd != -ENOENT) /* a deleted topic's: what comes back goes again */
			return fd;
		err = fd >= 0 && fsync(fd) ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	if (!err && (fsync(s->dir.recycled_fd) || fsync(s->dir.spare_fd)))
		err = -errno;
	return err;
}

uint64_t sl_stock_take(struct sl_store *s, int64_t base, const char *name, int64_t *ret_old_max)
{
	struct sl_hk *hk = &s->hk;

	for (unsigned i = 0; i < hk->stock_cnt; i++) {
		struct sl_stock *k = &hk->stock[i];
		if (k->old_max >= base)
			continue;
		if (renameat(s->dir.recycled_fd, k->name, s->dir.spare_fd, name))
			return 0;
		struct sl_stock taken = *k;
		hk->stock[i] = hk->stock[--hk->stock_cnt];
		if (make_durable(s, &taken)) {
			unlinkat(s->dir.spare_fd, name, 0);
			atomic_fetch_sub(&s->log_bytes, taken.bytes);
			return 0;
		}
		*ret_old_max = taken.old_max;
		return taken.bytes;
	}
	return 0;
}

bool sl_stock_drop(struct sl_store *s)
{
	bool any = s->hk.stock_cnt > 0;

	while (s->hk.stock_cnt)
		drop_at(s, s->hk.stock_cnt - 1);
	return any;
}
