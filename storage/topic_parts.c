/* SPDX-License-Identifier: Apache-2.0 */
/* topic_parts.c - making partitions: directory, first segment, journal slot. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "store_int.h"

/* ---- journal slots ------------------------------------------------------------------------- */

void sl_slot_put(struct sl_store *s, uint32_t slot)
{
	if (slot == SL_NO_SLOT)
		return;
	pthread_mutex_lock(&s->slot_lock);
	if (s->free_slot_cnt == s->free_slot_cap) {
		uint32_t cap = s->free_slot_cap ? 2 * s->free_slot_cap : 64;
		uint32_t *more = realloc(s->free_slot, cap * sizeof(*more));
		if (more) { /* else it is lost until the next start, which makes a new journal */
			s->free_slot = more;
			s->free_slot_cap = cap;
		}
	}
	if (s->free_slot_cnt < s->free_slot_cap)
		s->free_slot[s->free_slot_cnt++] = slot;
	pthread_mutex_unlock(&s->slot_lock);
}

static uint32_t slot_take(struct sl_store *s)
{
	pthread_mutex_lock(&s->slot_lock);
	uint32_t slot = s->free_slot_cnt ? s->free_slot[--s->free_slot_cnt] : SL_NO_SLOT;
	pthread_mutex_unlock(&s->slot_lock);
	return slot;
}

static int add_to_journal(struct sl_store *s, struct sl_part *p)
{
	struct sl_tail_mark m = {.part = p->pub.id, .fresh = true, .bytes = p->tail_blk};

	memcpy(m.topic_id, p->pub.topic->id, 16);
	p->journal_slot = slot_take(s);
	return p->journal_slot == SL_NO_SLOT ? sl_tail_add(&s->tail, &m, &p->journal_slot)
					     : sl_tail_put(&s->tail, &m, p->journal_slot);
}

/* ---- files --------------------------------------------------------------------------------- */

/* What a creation that was cut short left behind may be used again; data may not. */
static int empty_dir(int log_fd, const char *dir)
{
	int fd = sl_dir_open(log_fd, dir, false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;
	int err = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	while (!err && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
		    (strstr(e->d_name, ".log") && st.st_size))
			err = -EEXIST;
	}
	rewinddir(d);
	while (!err && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	closedir(d);
	return err;
}

static int first_segment(struct sl_part *p)
{
	struct sl_seg *g = sl_seg_new(0);
	int err = g ? sl_seg_open_active(p, g) : -ENOMEM;

	if (!err) {
		g->fresh = true;
		sl_seg_flag(g, SL_SEG_NAMED | SL_SEG_DURABLE);
		err = sl_part_add_seg(p, g);
	}
	if (err)
		sl_seg_free(g);
	else
		atomic_store(&p->active, g);
	return err;
}

static int make_partition(struct sl_store *s, struct sl_topic *t, uint32_t id)
{
	struct sl_epochs *e = calloc(1, sizeof(*e));
	struct sl_part *p = sl_part_new(s, t, (int32_t)id);
	int err = e && p ? 0 : -ENOMEM;

	sl_topic_put_part(t, id, p);
	if (!err && mkdirat(s->dir.log_fd, p->dir, 0700))
		err = errno == EEXIST ? empty_dir(s->dir.log_fd, p->dir) : -errno;
	if (!err)
		err = sl_partmeta_store(s->dir.log_fd, p->dir, t->id);
	if (!err) {
		e->cnt = 1; /* epoch 0 from offset 0 */
		err = sl_epochs_store(s->dir.log_fd, p->dir, e);
	}
	free(e);
	if (!err)
		err = first_segment(p);
	if (err)
		return err;
	p->pub.writer = (uint16_t)sl_store_writer_of(s, t->id, (int32_t)id);
	p->w = &s->writer[p->pub.writer];
	p->pool = p->w->pool;
	return add_to_journal(s, p);
}

static int sync_part_dirs(struct sl_store *s, const struct sl_topic *t, uint32_t from, uint32_t to)
{
	int err = 0;

	for (uint32_t i = from; i < to && !err; i++) {
		int fd = sl_dir_open(s->dir.log_fd, sl_topic_at(t, i)->dir, false);
		if (fd < 0)
			return fd;
		err = fsync(fd) ? -errno : 0;
		close(fd);
	}
	if (!err)
		err = sl_tail_sync(&s->tail);
	return !err && fsync(s->dir.log_fd) ? -errno : err;
}

/* ---- all of them --------------------------------------------------------------------------- */

bool sl_store_parts_fit(struct sl_store *s, uint32_t more)
{
	/* those that a writer still has are in its rings, too */
	return (uint64_t)s->part_cnt + atomic_load(&s->trash_parts) + more <= SL_STORE_PARTS_MAX;
}

void sl_topic_unmake_parts(struct sl_store *s, struct sl_topic *t, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct sl_part *p = sl_topic_at(t, i);
		if (!p)
			break;
		if (empty_dir(s->dir.log_fd, p->dir) == 0)
			unlinkat(s->dir.log_fd, p->dir, AT_REMOVEDIR);
		sl_slot_put(s, p->journal_slot);
		sl_topic_put_part(t, i, NULL);
		sl_part_free(p);
	}
}

int sl_topic_make_parts(struct sl_store *s, struct sl_topic *t, uint32_t from, uint32_t to)
{
	int err = 0;

	for (uint32_t i = from; i < to && !err; i++)
		err = make_partition(s, t, i);
	if (!err)
		err = sync_part_dirs(s, t, from, to);
	if (err)
		sl_topic_unmake_parts(s, t, from, to);
	return err;
}
