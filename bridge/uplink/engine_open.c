/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_open.c - what the centre says at a connection: may this instance write, and from where.
 *
 * The first look of a life compares with what the file says; later ones, after a producer was lost,
 * with what this life has committed, down to the last count. Nothing is written there before both
 * have been answered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine_priv.h"

void sl_en_open(struct sl_engine *e)
{
	int rc;

	e->pos_cnt = 0;
	e->claim_seen = false;
	e->bad_position[0] = 0;
	e->txn.state = TX_NONE;
	e->phase = PH_OPENING;
	rc = e->ops->open(e->cfg.sink);
	if (!rc)
		return;
	sl_en_error(e, "the library for the centre does not start: %s", strerror(-rc));
	e->phase = PH_DOWN;
	e->failures++;
	e->retry_ns = sl_en_now(e) + sl_en_backoff_ns(e, e->failures);
}

static void add_position(struct sl_engine *e, const struct sl_position *p)
{
	if (e->pos_cnt == e->pos_cap) {
		uint32_t cap = e->pos_cap ? e->pos_cap * 2 : 64;
		struct sl_position *q = realloc(e->pos, cap * sizeof(*q));
		if (!q) {
			sl_en_error(e, "out of memory while positions are read");
			sl_en_rebuild(e, false);
			return;
		}
		e->pos = q;
		e->pos_cap = cap;
	}
	e->pos[e->pos_cnt++] = *p;
}

void sl_en_open_event(struct sl_engine *e, const struct sl_sink_event *ev)
{
	if (ev->kind == SL_SINK_POSITION) {
		add_position(e, &ev->position);
	} else if (ev->kind == SL_SINK_CLAIM) {
		e->claim = ev->claim;
		e->claim_seen = true;
	} else if (!e->bad_position[0]) {
		snprintf(e->bad_position, sizeof(e->bad_position), "%s", ev->text);
	}
}

/* ---- looking up
 * ------------------------------------------------------------------------------------- */

static int cmp_pos(const void *a, const void *b)
{
	const struct sl_position *x = a, *y = b;
	int d = memcmp(x->topic_id, y->topic_id, sizeof(x->topic_id));

	return d ? d : (x->partition > y->partition) - (x->partition < y->partition);
}

static const struct sl_position *find(const struct sl_engine *e, const uint8_t id[16], int32_t part)
{
	struct sl_position key = {.partition = part};

	memcpy(key.topic_id, id, sizeof(key.topic_id));
	return e->pos_cnt ? bsearch(&key, e->pos, e->pos_cnt, sizeof(key), cmp_pos) : NULL;
}

static const struct sl_position *find_part(const struct sl_engine *e, const struct part *p)
{
	return find(e, sl_topic_id(p->topic->t), p->id);
}

static struct sl_up_pos from_centre(const struct sl_position *r)
{
	return (struct sl_up_pos){.first = r->first,
				  .offset = r->offset,
				  .forwarded = r->forwarded,
				  .dead_letter = r->dead_letter,
				  .evicted_unsent = r->evicted_unsent,
				  .missing = r->missing,
				  .leader_epoch = r->leader_epoch};
}

static bool equal(const struct sl_up_pos *a, const struct sl_up_pos *b)
{
	return a->first == b->first && a->offset == b->offset && a->forwarded == b->forwarded &&
	       a->dead_letter == b->dead_letter && a->evicted_unsent == b->evicted_unsent &&
	       a->missing == b->missing;
}

/* ---- the first look of a life
 * ------------------------------------------------------------------------ */

/* Is this log the one that the position is of? The epoch in which its last record was written ended
 * here at or behind it. */
static bool of_this_log(const struct part *p, const struct sl_position *r)
{
	int32_t epoch;
	int64_t end;

	if (r->offset > p->found)
		return false;
	if (r->leader_epoch < 0)
		return true;
	return !sl_part_epoch_end(p->p, r->leader_epoch, &epoch, &end) && end >= r->offset;
}

/* 0, or an alarm is raised. */
static int check_first(struct sl_engine *e, const struct part *p, const struct sl_position *r)
{
	const char *name = sl_topic_name(p->topic->t);

	if (!r && p->done.offset > p->done.first) {
		sl_en_alarm(
			e, SL_UP_ALARM_IDENTITY,
			"the centre has no position for %s-%d though it confirmed %lld: another "
			"cluster, or the positions were deleted",
			name, p->id, (long long)p->done.offset);
	} else if (r && strcmp(r->topic, name)) {
		sl_en_alarm(e, SL_UP_ALARM_IDENTITY,
			    "the centre knows topic %.100s under the id that %.100s has here",
			    r->topic, name);
	} else if (r && !of_this_log(p, r)) {
		sl_en_alarm(e, SL_UP_ALARM_BEYOND,
			    "the centre is at %lld of %s-%d, this log ended at %lld when it was "
			    "opened: an older state of the disk",
			    (long long)r->offset, name, p->id, (long long)p->found);
	} else if (r && r->offset < p->done.offset) {
		sl_en_alarm(e, SL_UP_ALARM_IDENTITY,
			    "the centre is at %lld of %s-%d and had confirmed %lld: it has lost "
			    "something, or is another cluster",
			    (long long)r->offset, name, p->id, (long long)p->done.offset);
	} else {
		return 0;
	}
	return -EPERM;
}

/* A position of a partition that the topic does not have here. */
static int check_missing(struct sl_engine *e)
{
	for (uint32_t i = 0; i < e->pos_cnt; i++) {
		const struct sl_position *r = &e->pos[i];
		struct sl_topic *t = sl_store_topic_by_id(e->cfg.store, r->topic_id);
		bool beyond = t && !sl_topic_part(t, r->partition);
		sl_topic_put(t);
		if (beyond) {
			sl_en_alarm(e, SL_UP_ALARM_BEYOND,
				    "the centre has a position for %s-%d, which is not here: an "
				    "older state of the disk",
				    r->topic, r->partition);
			return -EPERM;
		}
	}
	return 0;
}

/* An operator's word: what the centre has passed is not sent again, what lies beyond this log's
 * end, or cannot be of it, begins there. */
static struct sl_up_pos adopted(const struct part *p, const struct sl_position *r)
{
	struct sl_up_pos pos = r ? from_centre(r) : p->done;

	if (p->doubtful && r && equal(&pos, &p->doubt))
		return p->doubt; /* our own last word */
	if (pos.offset > p->found && p->done.offset == p->found)
		return p->done;
	if (pos.offset > p->found)
		return (struct sl_up_pos){
			.first = p->found, .offset = p->found, .leader_epoch = -1};
	if (r && !of_this_log(p, r))
		pos.leader_epoch = -1;
	return pos;
}

/* Topics that were deleted while nobody looked: counted by what the centre knows of them last. */
static void count_gone(struct sl_engine *e)
{
	uint32_t kept = 0;

	pthread_mutex_lock(&e->lock);
	for (uint32_t i = 0; i < e->other_cnt; i++) {
		const struct sl_upstate_part *o = &e->other[i];
		struct sl_topic *t = sl_store_topic_by_id(e->cfg.store, o->topic_id);
		const struct sl_position *r = find(e, o->topic_id, o->partition);
		struct sl_up_pos pos = o->pos;
		if (r && r->offset >= o->pos.offset)
			pos = from_centre(r);
		if (t)
			e->other[kept++] = *o; /* here, but not carried at present */
		else
			sl_en_gone(e, &pos, o->found);
		sl_topic_put(t);
	}
	e->other_cnt = kept;
	pthread_mutex_unlock(&e->lock);
}

static int look_first(struct sl_engine *e)
{
	bool adopt = e->cfg.state->adopt;
	int rc = adopt ? 0 : check_missing(e);

	for (uint32_t i = 0; i < e->slot_cnt && !rc && !adopt; i++)
		if (e->part[i])
			rc = check_first(e, e->part[i], find_part(e, e->part[i]));
	if (rc)
		return rc;
	for (uint32_t i = 0; i < e->slot_cnt; i++) {
		struct part *p = e->part[i];
		const struct sl_position *r = p ? find_part(e, p) : NULL;
		struct sl_up_pos pos;
		if (!p)
			continue;
		pos = adopt ? adopted(p, r) : r ? from_centre(r) : p->done;
		p->at_centre = r != NULL;
		p->doubtful = false;
		sl_en_part_known(e, p, &pos);
	}
	count_gone(e);
	return 0;
}

/* ---- later looks
 * --------------------------------------------------------------------------------------- */

enum outcome { OLD = 1, NEW = 2 }; /* of the doubtful transaction, as one partition shows it */

/* OLD, NEW, both if it cannot be told, 0: neither is there. */
static unsigned outcome(const struct part *p, const struct sl_position *r)
{
	struct sl_up_pos pos = r ? from_centre(r) : p->done;
	unsigned o = 0;

	if (r ? p->at_centre && equal(&pos, &p->done) : !p->at_centre)
		o |= OLD;
	if (p->doubtful && r && equal(&pos, &p->doubt))
		o |= NEW;
	if (!p->doubtful && o)
		o = OLD | NEW;
	return o;
}

/* The doubtful transaction was committed after all. */
static void settle(struct sl_engine *e, struct part *p)
{
	if (e->doubt_dead && e->doubt_slot == p->slot && p->bad_off >= 0) {
		sl_part_dead_letter(p->p, p->bad_off);
		p->bad_off = -1;
	}
	p->at_centre = true;
	sl_en_part_known(e, p, &p->doubt);
	sl_en_suspects_passed(p);
}

static int look_again(struct sl_engine *e)
{
	unsigned all = OLD | NEW;
	bool settled = false;

	for (uint32_t i = 0; i < e->slot_cnt; i++) {
		const struct part *p = e->part[i];
		if (p && p->known && !(all &= outcome(p, find_part(e, p)))) {
			sl_en_alarm(e, SL_UP_ALARM_TOKEN,
				    "the position of %s-%d at the centre is not what this instance "
				    "wrote: somebody else writes as %s",
				    sl_topic_name(p->topic->t), p->id, e->cfg.state->gateway);
			return -EPERM;
		}
	}
	for (uint32_t i = 0; i < e->slot_cnt; i++) {
		struct part *p = e->part[i];
		if (!p)
			continue;
		if (p->doubtful && !(all & OLD)) {
			settle(e, p);
			settled = true;
		} else {
			sl_en_part_known(e, p, &p->done);
		}
		p->doubtful = false;
	}
	if (settled)
		sl_en_count(e, SL_BR_UP_COMMITS, 1);
	return 0;
}

/* ---- the claim
 * ----------------------------------------------------------------------------------------- */

static const char *date(int64_t ms, char text[32])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		text[0] = 0;
	return text;
}

static int check_claim(struct sl_engine *e)
{
	char since[32];
	const struct sl_upstate *st = e->cfg.state;
	const char *found = e->claim_seen ? e->claim.instance : "";

	if (st->adopt || sl_upstate_may_follow(st, found))
		return 0;
	if (!e->claim_seen)
		sl_en_alarm(e, SL_UP_ALARM_IDENTITY,
			    "the centre does not know gateway %s any more: another cluster, or the "
			    "positions were deleted",
			    st->gateway);
	else
		sl_en_alarm(e, SL_UP_ALARM_TOKEN,
			    "another instance (%.8s, since %s) writes as gateway %s: a clone, or "
			    "this is an older state of the disk",
			    found, date(e->claim.since_ms, since), st->gateway);
	return -EPERM;
}

/* Who may be found there next time: what was found now, or this instance. */
static int offer(struct sl_engine *e)
{
	struct sl_upstate *st = e->cfg.state;
	const char *found = e->claim_seen ? e->claim.instance : "";

	strcpy(e->claim_found, found);
	if (!strcmp(found, st->instance) && st->writer_cnt == 1 && st->checked)
		return 0; /* nothing new to write down */
	memcpy(st->writer[0], e->claim_found, sizeof(st->writer[0]));
	memcpy(st->writer[1], st->instance, sizeof(st->writer[1]));
	st->writer_cnt = strcmp(found, st->instance) ? 2 : 1;
	st->checked = true;
	return sl_en_save(e);
}

void sl_en_opened(struct sl_engine *e)
{
	int rc = 0;

	if (e->pos_cnt)
		qsort(e->pos, e->pos_cnt, sizeof(*e->pos), cmp_pos);
	if (e->bad_position[0] && !e->cfg.state->adopt) {
		sl_en_alarm(e, SL_UP_ALARM_IDENTITY, "%s", e->bad_position);
		rc = -EPERM;
	}
	if (!rc)
		rc = check_claim(e);
	if (!rc)
		rc = e->life ? look_again(e) : look_first(e);
	if (!rc)
		rc = offer(e);
	if (rc == -EPERM)
		return;
	if (rc) {
		sl_en_rebuild(e, false); /* the disk does not take it: not without */
		return;
	}
	e->life = true;
	e->phase = PH_CLAIM;
	sl_en_dests_ask(e);
	if (!sl_en_begin(e, TX_CLAIM, NULL))
		return;
	/* what an adoption changed is said at once, with the claim that says so */
	for (uint32_t i = 0; i < e->slot_cnt && e->cfg.state->adopt; i++)
		if (e->part[i])
			sl_en_touch(e, e->part[i]);
	sl_en_finish(e);
}

int sl_en_claim_produce(struct sl_engine *e)
{
	const struct sl_upstate *st = e->cfg.state;
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];
	struct sl_claim c = {.adopted = st->adopt, .since_ms = sl_en_wall(e)};
	int n;

	memcpy(c.gateway, st->gateway, sizeof(c.gateway));
	memcpy(c.instance, st->instance, sizeof(c.instance));
	if (strcmp(e->claim_found, st->instance))
		memcpy(c.previous, e->claim_found, sizeof(c.previous));
	else /* claimed before in this life: its predecessor stays */
		memcpy(c.previous, e->claim.previous, sizeof(c.previous));
	n = sl_claim_encode(&c, key, sizeof(key), val, sizeof(val));
	if (n < 0)
		return n;
	return e->ops->produce(e->cfg.sink,
			       &(struct sl_sink_rec){.topic = e->cfg.config->uplink.positions,
						     .ts_ms = sl_en_wall(e),
						     .key = {(uint8_t *)key, (uint32_t)strlen(key)},
						     .value = {(uint8_t *)val, (uint32_t)n},
						     .tag = TAG_POSITION});
}

void sl_en_claimed(struct sl_engine *e)
{
	struct sl_upstate *st = e->cfg.state;
	bool save = st->adopt || st->writer_cnt != 1;

	memcpy(st->writer[0], st->instance, sizeof(st->writer[0]));
	st->writer_cnt = 1;
	st->adopt = false;
	if (save)
		sl_en_save(e);
	e->phase = PH_READY;
	e->link = true;
	pthread_mutex_lock(&e->lock);
	e->last_error[0] = 0;
	pthread_mutex_unlock(&e->lock);
	for (uint32_t i = 0; i < e->topic_cnt; i++)
		if (!e->topic[i]->dest)
			sl_en_dest_none(e, e->topic[i]);
	sl_store_link_set(e->cfg.store, true);
	sl_log(SL_LOG_INFO, "uplink", "connected to the centre as %s, instance %.8s", st->gateway,
	       st->instance);
}
