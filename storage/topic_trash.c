/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_trash.c - the directories of deleted topics.
 *
 * They are renamed as Apache Kafka renames them, <topic>-<n>.<32 hex digits>-delete, which it
 * accepts in a log directory: LocalLog.logDeleteDirName. A long topic name is cut, so that the name
 * stays within 255 bytes. The digits are the topic's id: two topics of one name never meet.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "platform/base/log.h"
#include "store_int.h"

#define DELETED    "-delete"
#define DIGITS     32u
#define NAME_BYTES 256u

static void trash_name(const char *topic, const uint8_t id[16], int32_t part,
		       char ret_name[NAME_BYTES])
{
	char suffix[80], hex[DIGITS + 1];

	for (unsigned i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	int n = snprintf(suffix, sizeof(suffix), "-%d.%s" DELETED, part, hex);
	snprintf(ret_name, NAME_BYTES, "%.*s%s", (int)NAME_BYTES - 1 - n, topic, suffix);
}

static bool is_trash(const char *name)
{
	size_t len = strlen(name), tail = strlen(DELETED);
	const char *dot = strrchr(name, '.');

	return dot && len > tail && strcmp(name + len - tail, DELETED) == 0 &&
	       strspn(dot + 1, "0123456789abcdef") == DIGITS &&
	       dot + 1 + DIGITS == name + len - tail;
}

static void remove_dir(struct sl_store *s, const char *name)
{
	int fd = sl_dir_open(s->dir.log_fd, name, false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(fd, e->d_name, 0);
	if (d)
		closedir(d);
	if (unlinkat(s->dir.log_fd, name, AT_REMOVEDIR) && errno != ENOENT)
		sl_log(SL_LOG_WARN, "storage", "log/%s cannot be removed: %s", name,
		       strerror(errno));
}

int sl_trash_rename(struct sl_part *p)
{
	struct sl_store *s = p->store;
	char name[NAME_BYTES];

	trash_name(p->pub.topic->name, p->pub.topic->id, p->pub.id, name);
	if (renameat(s->dir.log_fd, p->dir, s->dir.log_fd, name) && errno != ENOENT)
		return -errno;
	return 0;
}

/* ---- once the writer has let go ------------------------------------------------------------ */

/* Its blocks count no more, and its descriptor is closed; the memory is still the readers'. */
static void drop_segment(struct sl_store *s, struct sl_seg *g)
{
	atomic_fetch_sub(&s->log_bytes, atomic_load(&g->alloc));
	if (g->spare[0] && !(sl_seg_flags(g) & SL_SEG_NAMED))
		unlinkat(s->dir.spare_fd, g->spare, 0);
	if (g->wfd >= 0)
		close(g->wfd);
	g->wfd = -1;
}

static void drop_segments(struct sl_part *p)
{
	uint32_t out = atomic_load(&p->rolled_out), in = atomic_load(&p->rolled_in);
	struct sl_seg *spare = atomic_load(&p->spare);

	for (; out != in; out++)
		drop_segment(p->store, atomic_load(&p->rolled[out % SL_ROLLED_RING]));
	if (spare)
		drop_segment(p->store, spare);
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->seg_cnt; i++)
		drop_segment(p->store, p->segs[i]);
	pthread_mutex_unlock(&p->lock);
	atomic_store_explicit(&p->pub.size_bytes, 0, memory_order_relaxed);
}

static void unlist(struct sl_store *s, struct sl_topic *t)
{
	struct sl_topic **at = &s->hk.trash;

	while (*at != t)
		at = &(*at)->trash_next;
	*at = t->trash_next;
}

void sl_trash_part(struct sl_part *p)
{
	struct sl_store *s = p->store;
	struct sl_topic *t = p->pub.topic;
	char name[NAME_BYTES], pstate[SL_FILE_NAME_MAX];

	drop_segments(p);
	trash_name(t->name, t->id, p->pub.id, name);
	remove_dir(s, name);
	sl_part_pstate_name(p, pstate, sizeof(pstate));
	unlinkat(s->dir.producers_fd, pstate, 0);
	sl_slot_put(s, p->journal_slot);
	p->journal_slot = SL_NO_SLOT;
	atomic_fetch_sub(&s->trash_parts, 1);
	if (--t->staying)
		return;
	unlist(s, t);
	sl_topic_put(t); /* what was the table's reference */
}

void sl_trash_finish(struct sl_store *s)
{
	while (s->hk.trash) {
		struct sl_topic *t = s->hk.trash;
		uint32_t parts = sl_topic_cnt(t);
		for (uint32_t i = 0; i < parts && t == s->hk.trash; i++)
			if (sl_topic_at(t, i)->journal_slot != SL_NO_SLOT)
				sl_trash_part(sl_topic_at(t, i));
	}
}

/* ---- at start ------------------------------------------------------------------------------ */

/* The run that deleted it was killed before it could rename: by name and id, nothing else. */
static void sweep_tomb(struct sl_store *s, const struct sl_tomb *b)
{
	char dir[SL_PARTDIR_MAX];
	uint8_t id[16];

	for (uint32_t i = 0; i < b->parts; i++) {
		sl_partdir(b->name, (int32_t)i, dir);
		if (sl_partmeta_load(s->dir.log_fd, dir, id) == 0 && memcmp(id, b->id, 16) == 0)
			remove_dir(s, dir);
	}
}

static bool known_id(const struct sl_store *s, const uint8_t id[16])
{
	for (uint32_t i = 0; i < s->topic_cnt; i++)
		if (memcmp(s->topic[i]->id, id, 16) == 0)
			return true;
	return false;
}

/* Producer states of topics that are no more: "<topic id>-<n>". */
static void sweep_producers(struct sl_store *s)
{
	int fd = sl_dir_open(s->dir.state_fd, "producers", false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	char text[SL_UUID_TEXT];
	uint8_t id[16];

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		snprintf(text, sizeof(text), "%.22s", e->d_name);
		if (sl_uuid_parse(text, id) && !known_id(s, id))
			unlinkat(fd, e->d_name, 0);
	}
	if (d)
		closedir(d);
}

void sl_trash_sweep(struct sl_store *s)
{
	for (const struct sl_tomb *b = s->tomb; b; b = b->next)
		sweep_tomb(s, b);
	int fd = sl_dir_open(s->dir.data_fd, "log", false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (is_trash(e->d_name))
			remove_dir(s, e->d_name);
	if (d)
		closedir(d);
	if (fsync(s->dir.log_fd)) /* a tomb is given up only when its directories are */
		return;
	sl_tombs_free(s);
	sweep_producers(s);
}
