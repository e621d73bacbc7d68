/* SPDX-License-Identifier: Apache-2.0 */
/* group_expire.c - offsets and groups that end: by time, by request, with their topic; and the
 * snapshot of those that live. */
#include <errno.h>
#include <stdlib.h>

#include "group_record.h"
#include "groups.h"

#define BATCH_RECORDS 1000

/* ---- tombstones ------------------------------------------------------------------------------ */

/* Tombstones of one group, in as many batches as it takes; `done` with the last. */
struct purge {
	struct sl_glog_write w;
	struct purge_end *end; /* shared by the batches of one deletion; NULL: nobody waits */
	uint32_t records;
};

struct purge_end {
	uint32_t left; /* batches */
	int16_t err;
	void (*done)(void *arg, int16_t err);
	void *arg;
};

static void purge_done(struct sl_glog_write *w, int16_t err)
{
	struct purge *p = SL_CONTAINER_OF(w, struct purge, w);
	struct purge_end *end = p->end;

	free(p);
	if (!end)
		return;
	if (err)
		end->err = err;
	if (--end->left == 0) {
		end->done(end->arg, end->err);
		free(end);
	}
}

/* Makes the batch if need be. False: no memory. */
static bool purge_begin(struct purge **at, struct purge_end *end)
{
	if (*at)
		return true;
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return false;
	(*at)->w.done = purge_done;
	(*at)->w.sync = end != NULL;
	(*at)->end = end;
	if (end)
		end->left++;
	return true;
}

static void purge_flush(struct sl_kgroups *ks, struct sl_kgroup *kg, struct purge **at)
{
	struct purge *p = *at;
	*at = NULL;
	if (p)
		sl_kgroups_write(ks, kg, &p->w);
}

static void purge_offset(struct sl_kgroups *ks, struct sl_kgroup *kg, const struct sl_offset *x,
			 struct purge **at, struct purge_end *end)
{
	if (!purge_begin(at, end))
		return; /* another time */
	sl_kgroup_put_tombstone(&(*at)->w.batch, kg, x, sl_kserver_wall_ms(ks->server));
	if (++(*at)->records >= BATCH_RECORDS)
		purge_flush(ks, kg, at);
}

static void purge_group(struct sl_kgroups *ks, struct sl_kgroup *kg, struct purge **at,
			struct purge_end *end)
{
	if (purge_begin(at, end))
		sl_kgroup_put_group_tombstone(&(*at)->w.batch, kg, sl_kserver_wall_ms(ks->server));
}

void sl_kgroup_delete(struct sl_kgroups *ks, struct sl_kgroup *kg,
		      void (*done)(void *arg, int16_t err), void *arg)
{
	struct purge_end *end = calloc(1, sizeof(*end));
	const struct sl_offset *x;
	struct purge *p = NULL;

	SL_ASSERT(end);
	*end = (struct purge_end){.left = 1, .done = done, .arg = arg}; /* until all are begun */
	TAILQ_FOREACH(x, &kg->offsets.all, link)
	purge_offset(ks, kg, x, &p, end);
	purge_group(ks, kg, &p, end);
	purge_flush(ks, kg, &p);
	if (--end->left == 0) { /* no memory for any */
		done(arg, -1);
		free(end);
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

/* When the clock of an offset's retention began; -1: it does not run. */
static int64_t since(const struct sl_kgroup *kg, const struct sl_gsubs *subs,
		     const struct sl_offset *x)
{
	const struct sl_group *g = &kg->g;

	if (!g->protocol_type.p) /* nobody but the commits themselves */
		return x->commit_ms;
	if (g->state == SL_GROUP_EMPTY)
		return g->state_ms >= 0 ? g->state_ms : x->commit_ms;
	if (g->state == SL_GROUP_STABLE && sl_group_is_consumer(g) && !sl_gsubs_has(subs, x->topic))
		return x->commit_ms;
	return -1;
}

static bool is_expired(const struct sl_kgroups *ks, const struct sl_kgroup *kg,
		       const struct sl_gsubs *subs, const struct sl_offset *x, int64_t now)
{
	int64_t from = since(kg, subs, x);

	if (from < 0)
		return false;
	if (x->expire_ms >= 0)
		return now >= x->expire_ms;
	return now - from >= (int64_t)ks->cfg.retention_ms;
}

static void expire_group(struct sl_kgroups *ks, struct sl_kgroup *kg, int64_t now)
{
	const struct sl_offset *x;
	struct purge *p = NULL;
	struct sl_gsubs subs = {0};
	uint32_t gone = 0;

	if (kg->writes) /* a commit is under way: another time */
		return;
	if (kg->offsets.cnt)
		sl_gsubs_init(&subs, &kg->g);
	TAILQ_FOREACH(x, &kg->offsets.all, link)
	{
		if (is_expired(ks, kg, &subs, x, now)) {
			purge_offset(ks, kg, x, &p, NULL);
			gone++;
		}
	}
	sl_gsubs_fini(&subs);
	if (gone == kg->offsets.cnt && sl_group_is_vacant(&kg->g))
		purge_group(ks, kg, &p, NULL);
	purge_flush(ks, kg, &p);
	sl_kcount(&ks->counters.expired, gone);
}

void sl_kgroups_expire(struct sl_kgroups *ks)
{
	int64_t now = sl_kserver_wall_ms(ks->server);
	struct sl_kgroup *kg;

	TAILQ_FOREACH(kg, &ks->all, link)
	expire_group(ks, kg, now);
}

void sl_kgroups_forget_topic(struct sl_kgroups *ks, struct sl_slice topic)
{
	struct sl_kgroup *kg;

	if (ks->state != SL_KGROUPS_OPEN)
		return;
	TAILQ_FOREACH(kg, &ks->all, link)
	{
		const struct sl_offset *x;
		struct purge *p = NULL;
		TAILQ_FOREACH(x, &kg->offsets.all, link)
		if (x->topic.len == topic.len && !memcmp(x->topic.p, topic.p, topic.len))
			purge_offset(ks, kg, x, &p, NULL);
		purge_flush(ks, kg, &p);
	}
}

/* ---- what lives ------------------------------------------------------------------------------ */

uint64_t sl_kgroups_live_bytes(const struct sl_kgroups *ks, uint32_t partition)
{
	const struct sl_kgroup *kg;
	uint64_t n = 0;

	TAILQ_FOREACH(kg, &ks->all, link)
	if (kg->partition == partition)
		n += kg->record_bytes + kg->offsets.bytes + (uint64_t)kg->offsets.cnt * kg->id.len;
	return n;
}

struct snapshot {
	struct sl_gbatch b;
	int (*fn)(void *arg, struct sl_gbatch *b);
	void *arg;
	int err;
};

static void snapshot_flush(struct snapshot *s)
{
	if (!s->err && s->b.bad)
		s->err = -ENOMEM;
	if (!s->err && s->b.bb.cnt)
		s->err = s->fn(s->arg, &s->b);
	else if (s->b.bb.cnt || s->b.bad)
		sl_gbatch_fini(&s->b);
	else
		return;
	if (s->err)
		sl_gbatch_fini(&s->b);
	s->b = (struct sl_gbatch){0};
}

static void snapshot_add(struct snapshot *s, int64_t ts_ms)
{
	/* a record that is large by itself does not make a batch too large with others */
	if (s->b.bb.cnt && s->b.bb.len + s->b.key.len + s->b.value.len > SL_GLOG_BATCH_BYTES) {
		struct sl_gbatch next = {.key = s->b.key, .value = s->b.value};
		s->b.key = s->b.value = (struct sl_kw){0};
		snapshot_flush(s);
		s->b = next;
	}
	sl_gbatch_add(&s->b, ts_ms, false);
}

static void snapshot_group(struct snapshot *s, const struct sl_kgroup *kg, int64_t now)
{
	const struct sl_group *g = &kg->g;
	const struct sl_offset *x;

	if (kg->record_bytes) {
		/* amid a rebalance the members are not settled: they come back after a crash */
		sl_gkey_write_group(&s->b.key, kg->id);
		sl_gmeta_write(&s->b.value, g, g->state == SL_GROUP_STABLE);
		snapshot_add(s, now);
	}
	TAILQ_FOREACH(x, &kg->offsets.all, link)
	{
		sl_gkey_write_offset(&s->b.key, kg->id, x->topic, x->partition);
		sl_goffset_write(&s->b.value, x);
		snapshot_add(s, x->commit_ms);
	}
}

int sl_kgroups_snapshot(struct sl_kgroups *ks, uint32_t partition,
			int (*fn)(void *arg, struct sl_gbatch *b), void *arg)
{
	struct snapshot s = {.fn = fn, .arg = arg};
	int64_t now = sl_kserver_wall_ms(ks->server);
	const struct sl_kgroup *kg;

	TAILQ_FOREACH(kg, &ks->all, link)
	if (kg->partition == partition && !s.err)
		snapshot_group(&s, kg, now);
	snapshot_flush(&s);
	sl_gbatch_fini(&s.b);
	return s.err;
}
