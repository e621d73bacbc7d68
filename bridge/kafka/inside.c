/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "errors.h"
#include "group_record.h"

#define KEEP_MS (10ll * 365 * 86400 * 1000)

/* ---- the network thread ---------------------------------------------------------------------- */

void sl_kinside_init(struct sl_kinside *in, struct sl_kserver *s, struct sl_loop *loop)
{
	in->server = s;
	in->loop = loop;
	in->wait_ms = SL_KINSIDE_WAIT_MS;
	STAILQ_INIT(&in->waiting);
	atomic_store_explicit(&in->closed, false, memory_order_relaxed);
}

static int err_of(int16_t kerr)
{
	switch (kerr) {
	case SL_KERR_NONE:
		return 0;
	case SL_KERR_UNKNOWN_TOPIC_OR_PARTITION:
		return -ENOENT;
	case SL_KERR_COORDINATOR_NOT_AVAILABLE:
	case SL_KERR_COORDINATOR_LOAD_IN_PROGRESS:
		return -EAGAIN;
	case SL_KERR_UNKNOWN_MEMBER_ID:
	case SL_KERR_ILLEGAL_GENERATION:
	case SL_KERR_REBALANCE_IN_PROGRESS:
		return -EBUSY;
	case SL_KERR_INVALID_COMMIT_OFFSET_SIZE:
		return -ENOSPC;
	case SL_KERR_OFFSET_METADATA_TOO_LARGE:
		return -EMSGSIZE;
	}
	return -EIO;
}

static void written(struct sl_glog_write *w, int16_t err)
{
	struct sl_kinside_call *c = SL_CONTAINER_OF(w, struct sl_kinside_call, w);
	struct sl_kgroups *ks = w->groups;

	ks->new_offsets -= c->fresh;
	if (!err)
		sl_kcount(&ks->counters.commits, 1);
	c->done(c, err_of(err));
}

static void write_offset(struct sl_kinside_call *c, struct sl_kgroup *kg)
{
	struct sl_kgroups *ks = c->inside->server->groups;
	int64_t now = sl_kserver_wall_ms(c->inside->server);
	struct sl_offset v = {
		.topic = c->topic,
		.partition = c->partition,
		.offset = c->offset,
		.leader_epoch = -1,
		.metadata = c->metadata,
		.commit_ms = now,
		.expire_ms = now + KEEP_MS,
	};

	memset(&c->w, 0, sizeof(c->w));
	sl_gkey_write_offset(&c->w.batch.key, c->group, v.topic, v.partition);
	sl_goffset_write(&c->w.batch.value, &v);
	sl_gbatch_add(&c->w.batch, now, false);
	ks->new_offsets += c->fresh;
	c->w.sync = !ks->cfg.commit_logged;
	c->w.done = written;
	sl_kgroups_write(ks, kg, &c->w);
}

static void begin_commit(struct sl_kinside_call *c)
{
	static const struct sl_slice none = {NULL, 0};
	struct sl_kgroups *ks = c->inside->server->groups;
	struct sl_store *store = c->inside->server->cfg.store;
	struct sl_topic *t = sl_store_topic_find(store, (const char *)c->topic.p, c->topic.len);
	struct sl_kgroup *kg = sl_kgroups_known(ks, c->group);
	int16_t err = sl_kgroups_check_commit(ks, t, c->partition, c->metadata.len);

	sl_topic_put(t);
	c->fresh = !kg || !sl_offsets_find(&ks->offsets, &kg->offsets, c->topic, c->partition);
	if (!err && kg) /* as a consumer without members */
		err = sl_group_may_commit(&kg->g, none, none, -1);
	if (!err)
		err = sl_kgroups_admit_offsets(ks, &kg, c->group, c->fresh);
	if (err)
		c->done(c, err_of(err));
	else
		write_offset(c, kg);
}

static void begin_fetch(struct sl_kinside_call *c)
{
	const struct sl_kgroups *ks = c->inside->server->groups;
	const struct sl_kgroup *kg = sl_kgroups_known(ks, c->group);
	const struct sl_offset *x =
		kg ? sl_offsets_find(&ks->offsets, &kg->offsets, c->topic, c->partition) : NULL;

	c->offset = x ? x->offset : -1;
	c->done(c, 0);
}

void sl_kinside_begin(struct sl_kinside *in, struct sl_kinside_call *c)
{
	int16_t err;

	c->inside = in;
	if (atomic_load_explicit(&in->closed, memory_order_relaxed)) {
		c->done(c, -ESHUTDOWN);
		return;
	}
	if (sl_kgroups_open(in->server->groups, &err)) {
		STAILQ_INSERT_TAIL(&in->waiting, c, link);
		return;
	}
	if (err)
		c->done(c, err_of(err));
	else if (c->commit)
		begin_commit(c);
	else
		begin_fetch(c);
}

bool sl_kinside_turn(struct sl_kinside *in)
{
	STAILQ_HEAD(, sl_kinside_call) again = STAILQ_HEAD_INITIALIZER(again);
	struct sl_kinside_call *c;

	if (STAILQ_EMPTY(&in->waiting) || in->server->groups->state == SL_KGROUPS_OPENING)
		return false;
	STAILQ_CONCAT(&again, &in->waiting);
	while ((c = STAILQ_FIRST(&again))) {
		STAILQ_REMOVE_HEAD(&again, link);
		sl_kinside_begin(in, c);
	}
	return STAILQ_EMPTY(&in->waiting); /* not yet: whoever opens it wakes the loop */
}

void sl_kinside_close(struct sl_kinside *in)
{
	struct sl_kinside_call *c;

	atomic_store_explicit(&in->closed, true, memory_order_relaxed);
	while ((c = STAILQ_FIRST(&in->waiting))) {
		STAILQ_REMOVE_HEAD(&in->waiting, link);
		c->done(c, -ESHUTDOWN);
	}
}

/* ---- the caller's thread --------------------------------------------------------------------- */

/* Held by the caller and by the network thread; the last one frees it. */
struct visit {
	struct sl_kinside_call call;
	struct sl_loop_msg msg;
	pthread_mutex_t lock;
	pthread_cond_t came;
	bool over, left; /* the call is; the caller has */
	int rc;
	char text[]; /* group, topic, metadata */
};

static void visit_free(struct visit *v)
{
	pthread_cond_destroy(&v->came);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static void visit_done(struct sl_kinside_call *c, int rc)
{
	struct visit *v = SL_CONTAINER_OF(c, struct visit, call);

	pthread_mutex_lock(&v->lock);
	bool left = v->left;
	v->rc = rc;
	v->over = true;
	pthread_cond_signal(&v->came);
	pthread_mutex_unlock(&v->lock);
	if (left)
		visit_free(v);
}

static void visit_begin(void *arg)
{
	struct visit *v = arg;
	sl_kinside_begin(v->call.inside, &v->call);
}

static struct sl_slice keep(char **at, const char *text, size_t n)
{
	struct sl_slice s = {(const uint8_t *)*at, (uint32_t)n};
	memcpy(*at, text, n);
	*at += n;
	return s;
}

static int visit_new(struct sl_kinside *in, const char *group, const char *topic,
		     const char *metadata, struct visit **ret)
{
	size_t gn = strlen(group), tn = strlen(topic), mn = strlen(metadata);
	pthread_condattr_t attr;

	if (gn > SL_KINSIDE_GROUP_MAX || tn > SL_TOPIC_NAME_MAX || mn > SL_KINSIDE_NOTE_MAX)
		return -EINVAL;
	struct visit *v = calloc(1, sizeof(*v) + gn + tn + mn);
	if (!v)
		return -ENOMEM;
	char *at = v->text;
	v->call.group = keep(&at, group, gn);
	v->call.topic = keep(&at, topic, tn);
	v->call.metadata = keep(&at, metadata, mn);
	v->call.inside = in;
	v->call.done = visit_done;
	v->msg = (struct sl_loop_msg){.fn = visit_begin, .arg = v};
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->came, &attr);
	pthread_condattr_destroy(&attr);
	*ret = v;
	return 0;
}

/* Posts it and waits. Frees it, or leaves that to the network thread. */
static int visit(struct visit *v, int64_t *ret_offset)
{
	struct sl_kinside *in = v->call.inside;
	struct timespec until;
	int rc = 0;

	if (atomic_load_explicit(&in->closed, memory_order_relaxed)) {
		visit_free(v);
		return -ESHUTDOWN;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += in->wait_ms / 1000;
	until.tv_nsec += in->wait_ms % 1000 * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	sl_loop_post(in->loop, &v->msg);
	pthread_mutex_lock(&v->lock);
	while (!v->over && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&v->came, &v->lock, &until);
	bool over = v->over;
	v->left = true;
	pthread_mutex_unlock(&v->lock);
	if (!over)
		return -ETIMEDOUT;
	rc = v->rc;
	if (!rc && ret_offset)
		*ret_offset = v->call.offset;
	visit_free(v);
	return rc;
}

int sl_kinside_fetch(void *arg, const char *group, const char *topic, int32_t partition,
		     int64_t *ret_offset)
{
	struct visit *v;
	int rc = visit_new(arg, group, topic, "", &v);

	if (rc)
		return rc;
	v->call.partition = partition;
	return visit(v, ret_offset);
}

int sl_kinside_commit(void *arg, const char *group, const char *topic, int32_t partition,
		      int64_t offset, const char *metadata)
{
	struct visit *v;
	int rc = offset < 0 ? -EINVAL : visit_new(arg, group, topic, metadata ? metadata : "", &v);

	if (rc)
		return rc;
	v->call.commit = true;
	v->call.partition = partition;
	v->call.offset = offset;
	return visit(v, NULL);
}
