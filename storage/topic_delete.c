/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_delete.c - deleting a topic while writers and readers run. docs/decisions/0016.
 *
 * In this order: state/topics without it (durable: from here on it is gone); not to be found, its
 * partitions DELETED; the housekeeper renames the directories, writes the checkpoints without it,
 * and tells the writers to let go (leave.c). They answer when nothing of theirs names it any more;
 * then the housekeeper removes the files (topic_trash.c). Memory goes with the last reference.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "store_int.h"

void sl_tombs_free(struct sl_store *s)
{
	while (s->tomb) {
		struct sl_tomb *b = s->tomb;
		s->tomb = b->next;
		free(b);
	}
}

static struct sl_tomb *bury(struct sl_store *s, const struct sl_topic *t)
{
	struct sl_tomb *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	memcpy(b->name, t->name, sizeof(b->name));
	memcpy(b->id, t->id, sizeof(b->id));
	b->parts = sl_topic_cnt(t);
	b->next = s->tomb;
	s->tomb = b;
	return b;
}

static void unbury(struct sl_store *s, struct sl_tomb *b)
{
	struct sl_tomb **at = &s->tomb;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	free(b);
}

/* Nobody finds it any more; the table's reference is the caller's now. */
static void unpublish(struct sl_store *s, struct sl_topic *t)
{
	uint32_t parts = sl_topic_cnt(t), i = 0;

	pthread_rwlock_wrlock(&s->topics_lock);
	while (s->topic[i] != t)
		i++;
	memmove(s->topic + i, s->topic + i + 1, (s->topic_cnt - i - 1) * sizeof(struct sl_topic *));
	s->topic_cnt--;
	s->part_cnt -= parts;
	pthread_rwlock_unlock(&s->topics_lock);
	atomic_fetch_add(&s->trash_parts, parts);
	atomic_store_explicit(&t->deleted, true, memory_order_release);
	/* before the directories move: a reader that opens by name looks at the state afterwards */
	for (i = 0; i < parts; i++)
		sl_part_delete(sl_topic_at(t, i));
	atomic_fetch_add(&s->generation, 1);
	sl_store_ring(s); /* who waits for records waits in vain */
}

static int delete (struct sl_store *s, struct sl_topic *t)
{
	struct sl_hk_job job = {.kind = SL_JOB_DELETE, .topic = t};

	if (atomic_load(&t->deleted))
		return -ENOENT;
	struct sl_tomb *b = bury(s, t);
	if (!b)
		return -ENOMEM;
	int err = sl_topics_store(s, &(struct sl_topics_edit){.drop = t});
	if (err) {
		unbury(s, b);
		/* the file may have been replaced although its directory could not be synced */
		if (sl_topics_store(s, NULL))
			sl_log(SL_LOG_WARN, "storage",
			       "topic %s: not deleted, but the next start may be without it",
			       t->name);
		return err;
	}
	sl_topic_layered(t); /* nothing is settled about it any more */
	unpublish(s, t);
	err = sl_hk_call(s, &job);
	if (err != -EEXIST) /* the names are free: the next writing of the file leaves it out */
		unbury(s, b);
	s->names_stale = err != 0;
	return 0;
}

int sl_store_topic_delete(struct sl_store *s, struct sl_topic *t)
{
	pthread_mutex_lock(&s->create_lock);
	int err = delete (s, t);
	pthread_mutex_unlock(&s->create_lock);
	return err;
}

/* ---- the housekeeper's part ---------------------------------------------------------------- */

/* -EEXIST: a directory still bears the topic's name; another error: the checkpoints do. */
int sl_job_delete(struct sl_store *s, struct sl_hk_job *job)
{
	struct sl_topic *t = job->topic;
	uint32_t parts = sl_topic_cnt(t);
	int err = 0, rc;

	t->staying = parts;
	t->trash_next = s->hk.trash;
	s->hk.trash = t;
	for (uint32_t i = 0; i < parts; i++) {
		rc = sl_trash_rename(sl_topic_at(t, i));
		if (rc) {
			sl_log(SL_LOG_ERROR, "storage", "%s is deleted, and stays in its place: %s",
			       sl_topic_at(t, i)->dir, strerror(-rc));
			err = -EEXIST;
		}
	}
	if (fsync(s->dir.log_fd) && !err)
		err = -EEXIST;
	for (uint32_t i = 0; i < parts; i++) {
		struct sl_part *p = sl_topic_at(t, i);
		sl_hk_forget(p);
		sl_hk_tell(p, SL_WR_LEAVE);
		p->left = true;
	}
	s->hk.checkpoint_sum = -1;
	rc = sl_checkpoints_store(s, false);
	return err ? err : rc;
}
