/* SPDX-License-Identifier: Apache-2.0 */
/* engine_topics.c - which partitions are carried, and where to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine_priv.h"
#include "platform/base/carried.h"

#define NO_SLOT UINT32_MAX

static int grow(void *array, uint32_t *cap, uint32_t need, size_t size)
{
	void **p = array;
	uint32_t n = *cap ? *cap : 16;
	void *q;

	if (need <= *cap)
		return 0;
	while (n < need)
		n *= 2;
	q = realloc(*p, n * size);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = n;
	return 0;
}

/* ---- topics there
 * -------------------------------------------------------------------------------- */

struct dest *sl_en_dest_find(const struct sl_engine *e, const char *name)
{
	for (uint32_t i = 0; i < e->dest_cnt; i++)
		if (!strcmp(e->dest[i]->name, name))
			return e->dest[i];
	return NULL;
}

static struct dest *dest_get(struct sl_engine *e, const char *name, uint32_t partitions)
{
	struct dest *d = sl_en_dest_find(e, name);

	if (!d && (grow(&e->dest, &e->dest_cap, e->dest_cnt + 1, sizeof(struct dest *)) ||
		   !(d = calloc(1, sizeof(*d)))))
		return NULL;
	if (!d->name[0]) {
		snprintf(d->name, sizeof(d->name), "%s", name);
		e->dest[e->dest_cnt++] = d;
	}
	d->want = SL_MAX(d->want, partitions);
	return d;
}

static void dest_missing(struct sl_engine *e, struct dest *d, uint64_t now)
{
	const struct sl_config *c = e->cfg.config;
	uint32_t n = c->uplink.partitions ? c->uplink.partitions : d->want;
	int rc = e->ops->make_topic(e->cfg.sink, d->name, n, c->uplink.replication, false);

	if (rc)
		sl_en_error(e, "topic %s cannot be made at the centre: %s", d->name, strerror(-rc));
	d->state = rc ? DEST_FAILED : DEST_MAKING;
	d->due_ns = now + (rc ? sl_en_backoff_ns(e, 3) : DEST_WAIT_NS);
}

static void dest_ask(struct sl_engine *e, struct dest *d, uint64_t now)
{
	int n = e->ops->topic_partitions(e->cfg.sink, d->name);

	if (n > 0) {
		d->state = DEST_OK;
		d->partitions = n;
		d->seen = true;
		d->due_ns = now + DEST_LOOK_NS;
	} else {
		d->state = DEST_WAIT;
		d->due_ns = now + DEST_WAIT_NS;
	}
}

uint64_t sl_en_dests(struct sl_engine *e)
{
	uint64_t now = sl_en_now(e), until = UINT64_MAX;

	for (uint32_t i = 0; i < e->dest_cnt; i++) {
		struct dest *d = e->dest[i];
		if (d->state == DEST_MISSING)
			dest_missing(e, d, now);
		else if (now >= d->due_ns)
			dest_ask(e, d, now);
		/* one that is there is looked at again when something else happens anyway */
		if (d->state != DEST_OK)
			until = SL_MIN(until, d->due_ns);
	}
	return until;
}

void sl_en_dests_ask(struct sl_engine *e)
{
	for (uint32_t i = 0; i < e->dest_cnt; i++) {
		if (e->dest[i]->state != DEST_MISSING)
			e->dest[i]->state = DEST_ASK;
		e->dest[i]->due_ns = 0;
	}
}

void sl_en_dest_lost(struct sl_engine *e, struct dest *d)
{
	(void)e;
	if (d->state == DEST_OK) {
		d->state = DEST_ASK;
		d->due_ns = 0;
	}
}

static void dest_ready(struct sl_engine *e, struct dest *d)
{
	if (d->state == DEST_MAKING && d->seen) {
		sl_en_count(e, SL_BR_UP_TOPICS_REMADE, 1);
		sl_en_error(e,
			    "topic %s was deleted at the centre and is made again: what it had "
			    "is gone there, what follows is sent",
			    d->name);
	} else if (d->state == DEST_MAKING) {
		sl_log(SL_LOG_INFO, "uplink", "topic %s made at the centre", d->name);
	}
	d->state = DEST_ASK;
	d->due_ns = 0;
}

void sl_en_dest_event(struct sl_engine *e, const struct sl_sink_event *ev)
{
	struct dest *d = sl_en_dest_find(e, ev->topic);

	if (!d)
		return;
	if (ev->kind == SL_SINK_TOPIC_READY) {
		dest_ready(e, d);
	} else if (ev->kind == SL_SINK_TOPIC_GONE) {
		if (d->state != DEST_MAKING && d->state != DEST_FAILED)
			d->state = DEST_MISSING;
	} else {
		d->state = DEST_FAILED;
		d->due_ns = sl_en_now(e) + sl_en_backoff_ns(e, 3);
		sl_en_error(e, "topic %s cannot be made at the centre: %s", d->name, ev->text);
	}
}

/* ---- partitions
 * ------------------------------------------------------------------------------------ */

static struct topic *topic_find(const struct sl_engine *e, const uint8_t id[16])
{
	for (uint32_t i = 0; i < e->topic_cnt; i++)
		if (!memcmp(sl_topic_id(e->topic[i]->t), id, 16))
			return e->topic[i];
	return NULL;
}

/* NULL: it was given up, its topic is deleted. */
static struct part *part_at(const struct sl_engine *e, const struct topic *t, uint32_t i)
{
	return t->slot[i] == NO_SLOT ? NULL : e->part[t->slot[i]];
}

struct part *sl_en_part_find(const struct sl_engine *e, const uint8_t id[16], int32_t partition)
{
	struct topic *t = topic_find(e, id);

	return t && partition >= 0 && (uint32_t)partition < t->part_cnt
		       ? part_at(e, t, (uint32_t)partition)
		       : NULL;
}

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void part_headers(struct sl_engine *e, struct part *p)
{
	snprintf(p->id_text, sizeof(p->id_text), "%d", p->id);
	p->hdr[0] = (struct sl_hdr){text("sluice.gateway"), text(e->cfg.config->gateway.id)};
	p->hdr[1] = (struct sl_hdr){text("sluice.topic"), text(sl_topic_name(p->topic->t))};
	p->hdr[2] = (struct sl_hdr){text("sluice.partition"), text(p->id_text)};
	p->overhead = RECORD_BYTES;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(p->hdr); i++)
		p->overhead += p->hdr[i].value.len;
}

void sl_en_part_known(struct sl_engine *e, struct part *p, const struct sl_up_pos *pos)
{
	if (e->held_part == p)
		sl_en_drop_held(e);
	pthread_mutex_lock(&e->lock);
	p->done = p->next = *pos;
	pthread_mutex_unlock(&e->lock);
	p->known = true;
	if (pos->forwarded && p->topic->dest && e->same_names)
		p->topic->dest->seen = true;
	sl_cursor_init(&p->cur, &e->mem, p->p, pos->offset, true);
	sl_part_forwarded_set(p->p, pos->offset);
}

static int free_slot(struct sl_engine *e, uint32_t *ret_slot)
{
	uint32_t i = 0;

	while (i < e->slot_cnt && e->part[i])
		i++;
	if (i == e->slot_cnt) {
		uint32_t cap = e->slot_cap;
		if (grow(&e->txn.touched, &cap, i + 1, sizeof(uint32_t)))
			return -ENOMEM;
		if (grow(&e->part, &e->slot_cap, i + 1, sizeof(struct part *)))
			return -ENOMEM;
		e->part[i] = NULL;
		e->slot_cnt++;
	}
	*ret_slot = i;
	return 0;
}

/* A line of the file counts for a partition as long as the centre has not said more. */
static void part_begin(struct sl_engine *e, struct part *p, bool at_start)
{
	const struct sl_upstate *st = e->cfg.state;
	const struct sl_upstate_part *line =
		at_start ? sl_upstate_find(st, sl_topic_id(p->topic->t), p->id) : NULL;
	int64_t start = sl_part_start(p->p);

	p->found = sl_part_end(p->p);
	p->done = (struct sl_up_pos){.first = start, .offset = start, .leader_epoch = -1};
	if (line) {
		p->done = line->pos;
		if (!st->checked || st->alarm)
			p->found = line->found;
	}
	p->next = p->done;
	/* what is written down was confirmed: it can only be more by now */
	if (line && line->pos.offset <= p->found)
		sl_part_forwarded_set(p->p, line->pos.offset);
	/* one that comes later has an id of its own: the centre cannot know it */
	if (!at_start && e->life)
		sl_en_part_known(e, p, &p->done);
}

static int part_new(struct sl_engine *e, struct topic *t, int32_t id, bool at_start)
{
	size_t size = SL_ALIGN_UP(sizeof(struct part), SL_CACHELINE);
	struct part *p;
	uint32_t slot;
	int rc;

	pthread_mutex_lock(&e->lock); /* the array may move */
	rc = free_slot(e, &slot);
	pthread_mutex_unlock(&e->lock);
	p = rc ? NULL : aligned_alloc(SL_CACHELINE, size);
	if (!p)
		return -ENOMEM;
	memset(p, 0, size);
	p->topic = t;
	p->id = id;
	p->slot = slot;
	p->p = sl_topic_part(t->t, id);
	p->bad_off = p->head_off = -1;
	part_headers(e, p);
	part_begin(e, p, at_start);
	pthread_mutex_lock(&e->lock);
	e->part[slot] = p;
	pthread_mutex_unlock(&e->lock);
	t->slot[id] = slot;
	return 0;
}

/* ---- topics here
 * ------------------------------------------------------------------------------------ */

void sl_en_dest_none(struct sl_engine *e, const struct topic *t)
{
	sl_en_error(e,
		    "uplink.destination %.64s makes no name that a topic at the centre may have of "
		    "%s: it stays here",
		    e->cfg.config->uplink.destination, sl_topic_name(t->t));
}

static void topic_dest(struct sl_engine *e, struct topic *t)
{
	const struct sl_config *c = e->cfg.config;
	char name[SL_TOPIC_NAME_MAX + 1];
	int rc = sl_dest_topic(e->dest_tpl, c->gateway.id, sl_topic_name(t->t), name);

	if (rc || !strcmp(name, c->uplink.positions) || !strcmp(name, c->uplink.dead_letter)) {
		sl_en_dest_none(e, t);
		return;
	}
	t->dest = dest_get(e, name, sl_topic_partitions(t->t));
}

/* Partitions that it did not have before. */
static int topic_parts(struct sl_engine *e, struct topic *t, bool at_start)
{
	uint32_t n = sl_topic_partitions(t->t);
	uint32_t *slot;
	int rc = 0;

	if (n == t->part_cnt)
		return 0;
	slot = realloc(t->slot, n * sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	t->slot = slot;
	if (t->dest)
		t->dest->want = SL_MAX(t->dest->want, n);
	while (t->part_cnt < n && !rc) {
		rc = part_new(e, t, (int32_t)t->part_cnt, at_start);
		if (!rc)
			t->part_cnt++;
	}
	sl_en_save_in(e, SAVE_SOON_NS);
	return rc;
}

static int topic_new(struct sl_engine *e, struct sl_topic *t, bool at_start)
{
	struct topic *n;

	if (grow(&e->topic, &e->topic_cap, e->topic_cnt + 1, sizeof(struct topic *)) ||
	    !(n = calloc(1, sizeof(*n)))) {
		sl_topic_put(t);
		return -ENOMEM;
	}
	n->t = t;
	e->topic[e->topic_cnt++] = n;
	topic_dest(e, n);
	return topic_parts(e, n, at_start);
}

static void topic_free(struct sl_engine *e, struct topic *t)
{
	for (uint32_t i = 0; i < e->topic_cnt; i++) {
		if (e->topic[i] == t) {
			e->topic[i] = e->topic[--e->topic_cnt];
			break;
		}
	}
	sl_topic_put(t->t);
	free(t->slot);
	free(t);
}

/* Deleted here? Then its partitions have one transaction more, which gives up what is left. */
static void mark_gone(struct sl_engine *e, struct topic *t)
{
	struct part *p;

	if (!t->part_cnt || sl_part_state(sl_topic_part(t->t, 0)) != SL_PART_DELETED)
		return;
	pthread_mutex_lock(&e->lock);
	for (uint32_t i = 0; i < t->part_cnt; i++)
		if ((p = part_at(e, t, i)))
			p->leaving = true;
	pthread_mutex_unlock(&e->lock);
}

/* ---- following
 * ---------------------------------------------------------------------------------------- */

struct listing {
	struct sl_topic **t;
	uint32_t cnt, cap;
	const struct sl_config *config;
	bool failed;
};

static int list_one(struct sl_topic *t, void *arg)
{
	struct listing *l = arg;
	const char *name = sl_topic_name(t);

	if (!sl_uplink_carries(l->config, name, strlen(name)))
		return 0;
	if (grow(&l->t, &l->cap, l->cnt + 1, sizeof(struct sl_topic *))) {
		l->failed = true;
		return -ENOMEM;
	}
	l->t[l->cnt++] = sl_topic_ref(t);
	return 0;
}

static int take_listed(struct sl_engine *e, struct listing *l, bool at_start)
{
	int rc = l->failed ? -ENOMEM : 0;

	for (uint32_t i = 0; i < l->cnt; i++) {
		struct topic *t = topic_find(e, sl_topic_id(l->t[i]));
		if (t || rc)
			sl_topic_put(l->t[i]);
		if (t && !rc)
			rc = topic_parts(e, t, at_start);
		else if (!t && !rc)
			rc = topic_new(e, l->t[i], at_start);
	}
	free(l->t);
	return rc;
}

/* Lines of the file that no carried partition has: kept as they are. */
static int keep_others(struct sl_engine *e)
{
	const struct sl_upstate *st = e->cfg.state;

	e->other = calloc(SL_MAX(st->part_cnt, 1u), sizeof(*e->other));
	if (!e->other)
		return -ENOMEM;
	for (uint32_t i = 0; i < st->part_cnt; i++)
		if (!sl_en_part_find(e, st->part[i].topic_id, st->part[i].partition))
			e->other[e->other_cnt++] = st->part[i];
	return 0;
}

int sl_en_topics(struct sl_engine *e, bool at_start)
{
	struct listing l = {.config = e->cfg.config};
	uint64_t generation = sl_store_generation(e->cfg.store);
	int rc;

	for (uint32_t i = 0; i < e->topic_cnt; i++)
		mark_gone(e, e->topic[i]);
	sl_store_topics(e->cfg.store, list_one, &l);
	rc = take_listed(e, &l, at_start);
	if (!rc && at_start) {
		e->dead_letter = dest_get(e, e->cfg.config->uplink.dead_letter, 1);
		rc = e->dead_letter ? keep_others(e) : -ENOMEM;
	}
	if (!rc)
		e->generation = generation;
	return rc;
}

/* ---- leaving
 * ------------------------------------------------------------------------------------------- */

void sl_en_gone(struct sl_engine *e, const struct sl_up_pos *pos, int64_t end)
{
	struct sl_up_gone *g = &e->cfg.state->gone;

	end = SL_MAX(end, pos->offset);
	g->carried += (uint64_t)(end - pos->first);
	g->forwarded += pos->forwarded;
	g->dead_letter += pos->dead_letter;
	g->evicted_unsent += pos->evicted_unsent + (uint64_t)(end - pos->offset);
	g->missing += pos->missing;
}

void sl_en_part_retire(struct sl_engine *e, struct part *p)
{
	struct topic *t = p->topic;
	bool last = true;

	sl_part_forwarded_set(p->p, -1);
	if (e->visit == p || e->held_part == p)
		sl_en_drop_held(e);
	pthread_mutex_lock(&e->lock);
	sl_en_gone(e, &p->done, p->done.offset);
	e->part[p->slot] = NULL;
	pthread_mutex_unlock(&e->lock);
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		if (t->slot[i] == p->slot)
			t->slot[i] = NO_SLOT;
		last = last && t->slot[i] == NO_SLOT;
	}
	free(p);
	if (last) {
		sl_log(SL_LOG_INFO, "uplink", "topic %s was deleted here: carried no more",
		       sl_topic_name(t->t));
		topic_free(e, t);
	}
	sl_en_save_in(e, 0);
}

void sl_en_topics_fini(struct sl_engine *e)
{
	for (uint32_t i = 0; i < e->slot_cnt; i++)
		free(e->part[i]);
	while (e->topic_cnt)
		topic_free(e, e->topic[0]);
	for (uint32_t i = 0; i < e->dest_cnt; i++)
		free(e->dest[i]);
	free(e->part);
	free(e->topic);
	free(e->dest);
	free(e->other);
}
