/* SPDX-License-Identifier: Apache-2.0 */
/* groups.c - the registry of groups, and their way to the log and to the waiting requests. */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "conn.h"
#include "errors.h"
#include "group_record.h"

#define OPEN_AGAIN_NS 1000000000ull /* after a failure */
#define GROUP_BYTES   sizeof(struct sl_kgroup)

static const struct sl_kgroups_cfg defaults = {
	.min_session_ms = 6000,
	.max_session_ms = 1800000,
	.max_members = 1000,
	.partitions = 4,
	.retention_ms = 10080ull * 60000,
	.check_ms = 600000,
	.metadata_max = 4096,
	.max_groups = 10000,
	.max_offsets = 200000,
	.memory_bytes = 64u << 20,
};

/* ---- what the machines ask for --------------------------------------------------------------- */

static struct sl_kgroup *kgroup_of(struct sl_group *g)
{
	return SL_CONTAINER_OF(g, struct sl_kgroup, g);
}

static uint64_t env_mono(void *arg)
{
	return sl_kserver_mono_ns(((struct sl_kgroups *)arg)->server);
}

static int64_t env_wall(void *arg)
{
	return sl_kserver_wall_ms(((struct sl_kgroups *)arg)->server);
}

static void env_random(void *arg, uint8_t ret_bytes[SL_GROUP_ID_BYTES])
{
	struct sl_kgroups *ks = arg;
	const struct sl_kserver_cfg *cfg = &ks->server->cfg;

	if (cfg->random) {
		cfg->random(cfg->clock_arg, ret_bytes, SL_GROUP_ID_BYTES);
		return;
	}
	ssize_t n = getrandom(ret_bytes, SL_GROUP_ID_BYTES, 0);
	SL_ASSERT(n == SL_GROUP_ID_BYTES); /* up to 256 bytes never come short: random(7) */
}

struct store_write {
	struct sl_glog_write w;
	uint64_t ticket;
};

static void store_done(struct sl_glog_write *w, int16_t err)
{
	struct store_write *sw = SL_CONTAINER_OF(w, struct store_write, w);
	struct sl_kgroup *kg = w->group;
	uint64_t ticket = sw->ticket;

	free(sw);
	if (err == SL_KERR_INVALID_COMMIT_OFFSET_SIZE) /* what Kafka says of too large a group */
		err = SL_KERR_UNKNOWN_SERVER_ERROR;
	sl_group_stored(&kg->g, ticket, err);
}

static void env_store(void *arg, struct sl_group *g, uint64_t ticket)
{
	struct sl_kgroups *ks = arg;
	struct sl_kgroup *kg = kgroup_of(g);
	struct store_write *sw = calloc(1, sizeof(*sw));

	/* without it there would be nobody to tell of the failure: as fatal as a broken machine */
	SL_ASSERT(sw);
	sw->ticket = ticket;
	sw->w.done = store_done;
	sl_gkey_write_group(&sw->w.batch.key, kg->id);
	sl_gmeta_write(&sw->w.batch.value, g, true);
	sl_gbatch_add(&sw->w.batch, sl_kserver_wall_ms(ks->server), false);
	sl_kgroups_write(ks, kg, &sw->w);
}

static void env_emptied(void *arg, struct sl_group *g)
{
	sl_kgroups_look_at(arg, kgroup_of(g));
}

/* ---- the registry ---------------------------------------------------------------------------- */

static struct sl_kgroup **bucket_of(const struct sl_kgroups *ks, struct sl_slice id)
{
	uint64_t h = 0xcbf29ce484222325u ^ ks->offsets.seed;
	for (uint32_t i = 0; i < id.len; i++)
		h = (h ^ id.p[i]) * 0x100000001b3u;
	h *= 0x9e3779b97f4a7c15u;
	return &ks->bucket[(uint32_t)(h >> 32) & ks->mask];
}

struct sl_kgroup *sl_kgroups_find(const struct sl_kgroups *ks, struct sl_slice id)
{
	struct sl_kgroup *kg = *bucket_of(ks, id);
	while (kg && (kg->id.len != id.len || memcmp(kg->id.p, id.p, id.len) != 0))
		kg = kg->next;
	return kg;
}

struct sl_kgroup *sl_kgroups_known(const struct sl_kgroups *ks, struct sl_slice id)
{
	return ks->state == SL_KGROUPS_OPEN ? sl_kgroups_find(ks, id) : NULL;
}

static struct sl_kgroup *kgroup_new(struct sl_kgroups *ks, struct sl_slice id)
{
	struct sl_group_env *env = &ks->env;

	if (ks->cnt >= ks->cfg.max_groups || env->bytes + GROUP_BYTES + id.len > env->bytes_max) {
		env->refused++;
		return NULL;
	}
	struct sl_kgroup *kg = calloc(1, sizeof(*kg));
	uint8_t *name = malloc(id.len ? id.len : 1);
	if (!kg || !name) {
		free(kg);
		free(name);
		return NULL;
	}
	memcpy(name, id.p, id.len);
	kg->id = (struct sl_slice){name, id.len};
	env->bytes += GROUP_BYTES + id.len;
	sl_group_init(&kg->g, env);
	sl_offset_list_init(&kg->offsets);
	kg->partition = sl_group_partition(id, ks->log.part_cnt);
	return kg;
}

struct sl_kgroup *sl_kgroups_get(struct sl_kgroups *ks, struct sl_slice id)
{
	struct sl_kgroup *kg = sl_kgroups_find(ks, id), **at;

	if (kg)
		return kg;
	kg = kgroup_new(ks, id);
	if (!kg)
		return NULL;
	at = bucket_of(ks, id);
	kg->next = *at;
	*at = kg;
	TAILQ_INSERT_TAIL(&ks->all, kg, link);
	ks->cnt++;
	return kg;
}

static void kgroup_free(struct sl_kgroups *ks, struct sl_kgroup *kg)
{
	struct sl_kgroup **at = bucket_of(ks, kg->id);

	SL_ASSERT(kg->writes == 0);
	while (*at != kg)
		at = &(*at)->next;
	*at = kg->next;
	TAILQ_REMOVE(&ks->all, kg, link);
	if (kg->looking)
		TAILQ_REMOVE(&ks->look, kg, look_link);
	ks->cnt--;
	sl_offsets_del_all(&ks->offsets, &kg->offsets);
	sl_group_fini(&kg->g);
	ks->env.bytes -= GROUP_BYTES + kg->id.len;
	free((void *)(uintptr_t)kg->id.p);
	free(kg);
}

void sl_kgroups_look_at(struct sl_kgroups *ks, struct sl_kgroup *kg)
{
	if (!kg->looking) {
		kg->looking = true;
		TAILQ_INSERT_TAIL(&ks->look, kg, look_link);
	}
}

/* Groups of which nothing is left, neither here nor in the log. */
bool sl_kgroups_drop_unneeded(struct sl_kgroups *ks)
{
	struct sl_kgroup *kg;
	bool moved = false;

	while ((kg = TAILQ_FIRST(&ks->look))) {
		TAILQ_REMOVE(&ks->look, kg, look_link);
		kg->looking = false;
		moved = true;
		if (sl_group_is_vacant(&kg->g) && kg->writes == 0 && kg->offsets.cnt == 0 &&
		    kg->record_bytes == 0)
			kgroup_free(ks, kg);
	}
	return moved;
}

/* ---- writing --------------------------------------------------------------------------------- */

void sl_kgroups_write(struct sl_kgroups *ks, struct sl_kgroup *kg, struct sl_glog_write *w)
{
	w->group = kg;
	kg->writes++;
	sl_glog_submit(&ks->log, kg->partition, w);
}

int16_t sl_kgroups_check_commit(const struct sl_kgroups *ks, const struct sl_topic *t,
				int32_t partition, uint32_t metadata_len)
{
	const struct sl_part *p = t ? sl_topic_part(t, partition) : NULL;

	if (!p || sl_part_state(p) == SL_PART_DELETED)
		return SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (metadata_len > ks->cfg.metadata_max)
		return SL_KERR_OFFSET_METADATA_TOO_LARGE;
	return 0;
}

int16_t sl_kgroups_admit_offsets(struct sl_kgroups *ks, struct sl_kgroup **kg, struct sl_slice id,
				 uint32_t fresh)
{
	/* the one error of a commit that clients take as final and tell their user */
	if ((uint64_t)ks->offsets.cnt + ks->new_offsets + fresh > ks->offsets.max) {
		ks->env.refused++;
		return SL_KERR_INVALID_COMMIT_OFFSET_SIZE;
	}
	if (!*kg)
		*kg = sl_kgroups_get(ks, id);
	return *kg ? 0 : SL_KERR_INVALID_COMMIT_OFFSET_SIZE;
}

void sl_kgroup_put_tombstone(struct sl_gbatch *b, const struct sl_kgroup *kg,
			     const struct sl_offset *x, int64_t now_ms)
{
	sl_gkey_write_offset(&b->key, kg->id, x->topic, x->partition);
	sl_gbatch_add(b, now_ms, true);
}

void sl_kgroup_put_group_tombstone(struct sl_gbatch *b, const struct sl_kgroup *kg, int64_t now_ms)
{
	sl_gkey_write_group(&b->key, kg->id);
	sl_gbatch_add(b, now_ms, true);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void topic_layers(struct sl_topic_layers *ret)
{
	*ret = (struct sl_topic_layers){0};
	sl_topic_cfg_defaults(&ret->base);
	ret->base.retention_ms = -1; /* what lives is never deleted by time or size */
	ret->base.retention_bytes = -1;
	ret->base.segment_bytes = SL_GLOG_REWRITE_BYTES;
	ret->base.max_message_bytes = (int32_t)SL_BATCH_MAX_BYTES;
}

static int find_or_create(struct sl_kgroups *ks, struct sl_topic **ret_t)
{
	struct sl_store *store = ks->server->cfg.store;
	struct sl_topic_layers layers;
	int rc;

	topic_layers(&layers);
	rc = sl_store_topic_create(store, SL_OFFSETS_TOPIC, ks->cfg.partitions, &layers, ret_t);
	if (rc != -EEXIST)
		return rc;
	*ret_t = sl_store_topic_find(store, SL_OFFSETS_TOPIC, strlen(SL_OFFSETS_TOPIC));
	return *ret_t ? sl_topic_base_set(*ret_t, &layers.base, 0) : -ENOENT;
}

static void job_run(struct sl_job *j, void *worker)
{
	struct sl_kgroups *ks = SL_CONTAINER_OF(j, struct sl_kgroups, job);

	(void)worker;
	ks->job_err = find_or_create(ks, &ks->job_topic);
}

static void opened(struct sl_kgroups *ks)
{
	ks->state = SL_KGROUPS_OPEN;
	ks->failed_ns = 0;
	sl_timer_set(ks->server->cfg.timers, &ks->expiry,
		     sl_kserver_mono_ns(ks->server) + ks->cfg.check_ms * 1000000ull);
}

/* Somebody else has made it since the start: reading it would block. */
static bool is_empty(struct sl_topic *t)
{
	for (uint32_t i = 0; i < sl_topic_partitions(t); i++)
		if (sl_part_end(sl_topic_part(t, (int32_t)i)) > 0)
			return false;
	return true;
}

static void job_done(struct sl_job *j)
{
	struct sl_kgroups *ks = SL_CONTAINER_OF(j, struct sl_kgroups, job);

	if (!ks->job_err && !is_empty(ks->job_topic)) {
		sl_topic_put(ks->job_topic);
		ks->job_err = -EEXIST;
	}
	if (!ks->job_err)
		ks->job_err = sl_kgroups_read_back(ks, ks->job_topic);
	if (!ks->job_err) {
		opened(ks);
		return;
	}
	sl_log(SL_LOG_ERROR, "kafka", "%s: %s", SL_OFFSETS_TOPIC,
	       ks->job_err == -EEXIST ? "it holds records that have not been read"
				      : strerror(-ks->job_err));
	ks->state = SL_KGROUPS_CLOSED;
	ks->failed_ns = sl_kserver_mono_ns(ks->server);
}

int sl_kgroups_open(struct sl_kgroups *ks, int16_t *ret_err)
{
	*ret_err = 0;
	if (ks->state == SL_KGROUPS_OPEN)
		return 0;
	if (ks->state == SL_KGROUPS_OPENING)
		return -EAGAIN;
	if (ks->failed_ns && sl_kserver_mono_ns(ks->server) - ks->failed_ns < OPEN_AGAIN_NS) {
		*ret_err = SL_KERR_COORDINATOR_NOT_AVAILABLE;
		return 0;
	}
	ks->job = (struct sl_job){.run = job_run, .done = job_done};
	int rc = sl_pool_submit(ks->server->pool, &ks->job);
	if (!rc)
		ks->state = SL_KGROUPS_OPENING;
	return -EAGAIN;
}

void sl_kgroups_load(struct sl_kgroups *ks)
{
	struct sl_store *store = ks->server->cfg.store;
	struct sl_topic *t = sl_store_topic_find(store, SL_OFFSETS_TOPIC, strlen(SL_OFFSETS_TOPIC));
	struct sl_topic_layers layers;

	if (!t)
		return;
	topic_layers(&layers);
	int rc = sl_topic_base_set(t, &layers.base, 0);
	if (rc)
		sl_topic_put(t);
	else
		rc = sl_kgroups_read_back(ks, t);
	if (!rc)
		opened(ks);
	else
		sl_log(SL_LOG_ERROR, "kafka",
		       "%s could not be read: no groups until the next start", SL_OFFSETS_TOPIC);
}

/* ---- the turn -------------------------------------------------------------------------------- */

void sl_kgroups_answer(struct sl_kgroups *ks, struct sl_kgroup_wait *w)
{
	w->req->cancel = NULL;
	STAILQ_INSERT_TAIL(&ks->ready, w, link);
}

static bool flush(struct sl_kgroups *ks)
{
	struct sl_kgroup_wait *w;
	bool moved = false;

	while ((w = STAILQ_FIRST(&ks->ready))) {
		struct sl_kreq *r = w->req;
		STAILQ_REMOVE_HEAD(&ks->ready, link);
		free(w);
		sl_kreq_done(r); /* may start requests that add to the list */
		moved = true;
	}
	return moved;
}

void sl_kgroups_topic_deleted(struct sl_kgroups *ks, struct sl_slice topic)
{
	struct sl_kgone *x = malloc(sizeof(*x) + topic.len);

	if (!x)
		return;
	x->len = topic.len;
	memcpy(x->name, topic.p, topic.len);
	x->next = atomic_load_explicit(&ks->gone, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&ks->gone, &x->next, x, memory_order_release,
						      memory_order_relaxed))
		; /* pairs with the exchange in take_gone() */
}

static bool take_gone(struct sl_kgroups *ks)
{
	struct sl_kgone *x, *next;

	if (!atomic_load_explicit(&ks->gone, memory_order_relaxed))
		return false;
	x = atomic_exchange_explicit(&ks->gone, NULL, memory_order_acquire);
	for (; x; x = next) {
		next = x->next;
		sl_kgroups_forget_topic(ks, (struct sl_slice){x->name, x->len});
		free(x);
	}
	return true;
}

static void publish(struct sl_kgroups *ks)
{
	struct sl_kgroup_counters *c = &ks->counters;
	atomic_store_explicit(&c->groups, ks->cnt, memory_order_relaxed);
	atomic_store_explicit(&c->members, ks->env.members, memory_order_relaxed);
	atomic_store_explicit(&c->offsets, ks->offsets.cnt, memory_order_relaxed);
	atomic_store_explicit(&c->rebalances, ks->env.rebalances, memory_order_relaxed);
	atomic_store_explicit(&c->refused, ks->env.refused, memory_order_relaxed);
}

bool sl_kgroups_turn(struct sl_kgroups *ks)
{
	bool moved = take_gone(ks);

	if (ks->state == SL_KGROUPS_OPEN) {
		moved |= sl_glog_turn(&ks->log);
		moved |= sl_kgroups_drop_unneeded(ks);
		publish(ks);
	}
	moved |= flush(ks);
	return moved;
}

bool sl_kgroups_busy(const struct sl_kgroups *ks)
{
	return !STAILQ_EMPTY(&ks->ready) || !STAILQ_EMPTY(&ks->log.failed) ||
	       !TAILQ_EMPTY(&ks->look) ||
	       atomic_load_explicit(&ks->gone, memory_order_relaxed) != NULL;
}

bool sl_kgroups_waits(const struct sl_kgroups *ks)
{
	return ks->state == SL_KGROUPS_OPEN && sl_glog_waits(&ks->log);
}

void sl_kgroups_give_up(struct sl_kgroups *ks, bool hard)
{
	struct sl_kgroup *kg;

	if (ks->state != SL_KGROUPS_OPEN)
		return;
	TAILQ_FOREACH(kg, &ks->all, link)
	sl_group_give_up(&kg->g, SL_KERR_NOT_COORDINATOR);
	if (hard)
		sl_glog_give_up(&ks->log);
	sl_kgroups_turn(ks);
}

bool sl_kgroups_quiet(const struct sl_kgroups *ks)
{
	return ks->log.writes == 0 && STAILQ_EMPTY(&ks->ready);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void expiry_due(void *arg)
{
	struct sl_kgroups *ks = arg;
	sl_kgroups_expire(ks);
	sl_timer_set(ks->server->cfg.timers, &ks->expiry,
		     sl_kserver_mono_ns(ks->server) + ks->cfg.check_ms * 1000000ull);
}

static void env_init(struct sl_kgroups *ks)
{
	const struct sl_kgroups_cfg *c = &ks->cfg;
	ks->env = (struct sl_group_env){
		.timers = ks->server->cfg.timers,
		.mono_ns = env_mono,
		.wall_ms = env_wall,
		.random = env_random,
		.store = env_store,
		.emptied = env_emptied,
		.arg = ks,
		.initial_delay_ms = c->initial_delay_ms,
		.min_session_ms = c->min_session_ms,
		.max_session_ms = c->max_session_ms,
		.max_members = c->max_members,
		.bytes_max = c->memory_bytes,
	};
}

int sl_kgroups_init(struct sl_kgroups *ks, struct sl_kserver *s, const struct sl_kgroups_cfg *cfg)
{
	uint8_t seed[SL_GROUP_ID_BYTES];
	uint32_t n = 256;

	memset(ks, 0, sizeof(*ks));
	ks->server = s;
	ks->cfg = cfg->max_groups ? *cfg : defaults;
	TAILQ_INIT(&ks->all);
	TAILQ_INIT(&ks->look);
	STAILQ_INIT(&ks->ready);
	STAILQ_INIT(&ks->log.failed);
	ks->expiry = (struct sl_timer){.fn = expiry_due, .arg = ks};
	env_init(ks);
	while (n < ks->cfg.max_groups)
		n *= 2;
	ks->mask = n - 1;
	ks->bucket = calloc(n, sizeof(struct sl_kgroup *));
	if (!ks->bucket)
		return -ENOMEM;
	env_random(ks, seed);
	int rc = sl_offsets_init(&ks->offsets, ks->cfg.max_offsets, sl_be32(seed));
	if (rc) {
		free(ks->bucket);
		ks->bucket = NULL;
	}
	return rc;
}

void sl_kgroups_drop_all(struct sl_kgroups *ks)
{
	struct sl_kgroup *kg;
	while ((kg = TAILQ_FIRST(&ks->all)))
		kgroup_free(ks, kg);
}

void sl_kgroups_fini(struct sl_kgroups *ks)
{
	if (!ks->bucket)
		return;
	SL_ASSERT(STAILQ_EMPTY(&ks->ready));
	ks->state = SL_KGROUPS_CLOSED;
	take_gone(ks);
	sl_timer_cancel(ks->server->cfg.timers, &ks->expiry);
	sl_kgroups_drop_all(ks);
	sl_glog_close(&ks->log);
	sl_offsets_fini(&ks->offsets);
	free(ks->bucket);
	ks->bucket = NULL;
}
