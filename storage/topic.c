/* SPDX-License-Identifier: Apache-2.0 */
/* topic.c - creating, finding and changing topics. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "platform/base/log.h"
#include "store_int.h"

/* ---- finding ------------------------------------------------------------------------------- */

static struct sl_topic *find(const struct sl_store *s, const char *name, size_t len)
{
	uint32_t lo = 0, hi = s->topic_cnt;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int c = strncmp(name, s->topic[mid]->name, len);
		if (c == 0 && s->topic[mid]->name[len])
			c = -1;
		if (c == 0)
			return s->topic[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

struct sl_topic *sl_store_topic_find(struct sl_store *s, const char *name, size_t len)
{
	if (len > SL_TOPIC_NAME_MAX)
		return NULL;
	pthread_rwlock_rdlock(&s->topics_lock);
	struct sl_topic *t = find(s, name, len);
	pthread_rwlock_unlock(&s->topics_lock);
	return t;
}

void sl_store_topics(struct sl_store *s, int (*fn)(struct sl_topic *t, void *arg), void *arg)
{
	pthread_rwlock_rdlock(&s->topics_lock);
	for (uint32_t i = 0; i < s->topic_cnt; i++)
		if (fn(s->topic[i], arg))
			break;
	pthread_rwlock_unlock(&s->topics_lock);
}

/* ---- creating ------------------------------------------------------------------------------ */

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

static int make_partition(struct sl_store *s, struct sl_topic *t, int32_t id)
{
	struct sl_epochs *e = calloc(1, sizeof(*e));
	struct sl_part *p = sl_part_new(s, t, id);
	int err = e && p ? 0 : -ENOMEM;

	t->part[id] = p;
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
	struct sl_tail_mark m = {.part = id, .fresh = true, .bytes = p->tail_blk};
	memcpy(m.topic_id, t->id, 16);
	p->pub.writer = (uint16_t)sl_store_writer_of(s, t->id, id);
	p->w = &s->writer[p->pub.writer];
	p->pool = p->w->pool;
	return sl_tail_add(&s->tail, &m, &p->journal_slot);
}

static void remove_files(struct sl_store *s, const struct sl_topic *t)
{
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		if (!t->part[i])
			break;
		if (empty_dir(s->dir.log_fd, t->part[i]->dir) == 0)
			unlinkat(s->dir.log_fd, t->part[i]->dir, AT_REMOVEDIR);
	}
}

static int sync_part_dirs(struct sl_store *s, const struct sl_topic *t)
{
	int err = 0;

	for (uint32_t i = 0; i < t->part_cnt && !err; i++) {
		int fd = sl_dir_open(s->dir.log_fd, t->part[i]->dir, false);
		if (fd < 0)
			return fd;
		err = fsync(fd) ? -errno : 0;
		close(fd);
	}
	if (!err)
		err = sl_tail_sync(&s->tail);
	return !err && fsync(s->dir.log_fd) ? -errno : err;
}

static int create(struct sl_store *s, const char *name, uint32_t parts,
		  const struct sl_topic_cfg *cfg, struct sl_topic **ret_topic)
{
	uint8_t id[16];

	if (find(s, name, strlen(name)))
		return -EEXIST;
	if (s->topic_cnt >= SL_STORE_TOPICS_MAX || s->part_cnt + parts > SL_STORE_PARTS_MAX)
		return -EMFILE;
	sl_uuid_make(id);
	struct sl_topic *t = sl_topic_new(name, id, parts, cfg);
	if (!t)
		return -ENOMEM;
	uint32_t slots = s->tail.parts;
	int err = 0;
	for (uint32_t i = 0; i < parts && !err; i++)
		err = make_partition(s, t, (int32_t)i);
	if (!err)
		err = sync_part_dirs(s, t);
	bool stored = !err;
	if (!err)
		err = sl_topics_store(s, t);
	if (!err) {
		pthread_rwlock_wrlock(&s->topics_lock);
		err = sl_topics_insert(s, t);
		pthread_rwlock_unlock(&s->topics_lock);
	}
	if (err) {
		if (stored && sl_topics_store(s, NULL)) /* it may stand there all the same */
			sl_log(SL_LOG_WARN, "storage",
			       "topic %s: not made, but the next start may bring it", name);
		s->tail.parts = slots; /* theirs for the next topic */
		remove_files(s, t);
		sl_topic_free(t);
		return err;
	}
	if (ret_topic)
		*ret_topic = t;
	return 0;
}

int sl_store_topic_create(struct sl_store *s, const char *name, uint32_t partitions,
			  const struct sl_topic_cfg *cfg, struct sl_topic **ret_topic)
{
	if (!name || !sl_topic_name_valid(name, strnlen(name, SL_TOPIC_NAME_MAX + 1)) ||
	    partitions == 0 || partitions > SL_PARTITIONS_MAX || !cfg || !sl_topic_cfg_valid(cfg))
		return -EINVAL;
	pthread_mutex_lock(&s->create_lock);
	int err = create(s, name, partitions, cfg, ret_topic);
	pthread_mutex_unlock(&s->create_lock);
	return err;
}

int sl_store_topic_cfg_set(struct sl_store *s, struct sl_topic *t, const struct sl_topic_cfg *cfg)
{
	struct sl_topic_cfg old;

	if (!sl_topic_cfg_valid(cfg))
		return -EINVAL;
	pthread_mutex_lock(&s->create_lock);
	sl_topic_cfg_get(t, &old);
	sl_topic_cfg_put(t, cfg);
	int err = sl_topics_store(s, NULL);
	if (err)
		sl_topic_cfg_put(t, &old);
	pthread_mutex_unlock(&s->create_lock);
	return err;
}
