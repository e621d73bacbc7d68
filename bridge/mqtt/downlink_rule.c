/* SPDX-License-Identifier: Apache-2.0 */
/* downlink_rule.c - one rule: its topic, its window, its position. */
#include <errno.h>
#include <stdlib.h>

#include "downlink_priv.h"
#include "platform/base/clock.h"

#define NS_PER_MS 1000000ull
#define RETRY_NS  (1000 * NS_PER_MS)
#define QUOTA     0x97 /* MQTT 5: quota exceeded */
#define REFUSED   0x80 /* from here on reason codes are errors */
#define BURST     256  /* records looked at in one pump */

/* ---- the topic ------------------------------------------------------------------------------- */

void sl_dl_rule_drop_topic(struct sl_dl_rule *r)
{
	if (!r->topic)
		return;
	sl_topic_put(r->topic);
	free(r->part);
	r->d->mem.owner = NULL;
	r->topic = NULL;
	r->part = NULL;
	r->part_cnt = r->known = r->next = 0;
	r->first = r->cnt = 0; /* acknowledgements that still come are nobody's */
	r->remade = true;
}

static int grow(struct sl_dl_rule *r)
{
	uint32_t n = sl_topic_partitions(r->topic);
	struct sl_dl_part *p;

	if (n <= r->part_cnt)
		return 0;
	p = realloc(r->part, n * sizeof(*p));
	if (!p)
		return -ENOMEM;
	r->d->mem.owner = NULL; /* the cursors have moved */
	r->part = p;
	r->part_cnt = n;
	return 0;
}

/* Looks for the topic if topics have changed since. */
static int follow_topic(struct sl_dl_rule *r)
{
	uint64_t gen = sl_store_generation(r->d->cfg.store);
	struct sl_topic *t;
	int rc;

	if (gen == r->gen)
		return 0;
	t = sl_store_topic_find(r->d->cfg.store, r->cfg->topic, strlen(r->cfg->topic));
	if (r->topic && (!t || memcmp(r->topic_id, sl_topic_id(t), sizeof(r->topic_id)) != 0))
		sl_dl_rule_drop_topic(r);
	if (r->topic || !t) {
		sl_topic_put(t);
	} else {
		r->topic = t;
		memcpy(r->topic_id, sl_topic_id(t), sizeof(r->topic_id));
	}
	rc = r->topic ? grow(r) : 0;
	if (!rc)
		r->gen = gen;
	return rc;
}

/* ---- positions ------------------------------------------------------------------------------- */

static int64_t first_offset(const struct sl_dl_rule *r, const struct sl_part *p, int64_t committed)
{
	int64_t start = sl_part_start(p), end = sl_part_end(p);

	if (committed < 0)
		return start;
	if (committed > end) {
		sl_log(SL_LOG_WARN, "mqtt",
		       "downlink %s: offset %lld is committed, the log ends at %lld: going on "
		       "there",
		       r->cfg->topic, (long long)committed, (long long)end);
		return end;
	}
	return committed; /* if that is gone, reading says so */
}

/* Asks what is committed, for partitions of which we do not know yet. */
static int know_positions(struct sl_dl_rule *r)
{
	const struct sl_downlink_cfg *c = &r->d->cfg;

	for (; r->known < r->part_cnt; r->known++) {
		struct sl_part *sp = sl_topic_part(r->topic, (int32_t)r->known);
		struct sl_dl_part *p = &r->part[r->known];
		int64_t committed = -1;
		int rc = 0;
		if (!r->remade)
			rc = c->offsets->fetch(c->offsets_arg, r->group, r->cfg->topic,
					       (int32_t)r->known, &committed);
		if (rc)
			return rc;
		sl_cursor_init(&p->cursor, &r->d->mem, sp, first_offset(r, sp, committed), false);
		p->committed = p->cursor.offset;
	}
	return 0;
}

/* The first record that is not done with. */
static int64_t position(const struct sl_dl_rule *r, uint32_t part)
{
	for (uint32_t i = 0; i < r->cnt; i++) {
		const struct sl_dl_slot *s = &r->slot[(r->first + i) % SL_DOWNLINK_WINDOW];
		if (s->part == part && !s->done)
			return s->offset;
	}
	return r->part[part].cursor.offset;
}

static int64_t to_commit(const struct sl_dl_rule *r, uint32_t part)
{
	return SL_MIN(position(r, part), sl_part_synced(r->part[part].cursor.part));
}

void sl_dl_rule_note(struct sl_dl_rule *r, uint64_t now_ns)
{
	uint64_t todo = 0, later = UINT64_MAX;
	int64_t sum = 0;

	for (uint32_t i = 0; i < r->known; i++) {
		int64_t at = position(r, i), may = to_commit(r, i);
		sum += at;
		if (at > r->part[i].committed)
			later = now_ns + SL_DOWNLINK_COMMIT_MS * NS_PER_MS;
		if (may > r->part[i].committed)
			todo += (uint64_t)(may - r->part[i].committed);
	}
	if (todo >= SL_DOWNLINK_COMMIT_RECORDS)
		later = now_ns;
	if (later < r->commit_ns)
		r->commit_ns = SL_MAX(later, r->hold_ns);
	if (!r->topic || r->known < r->part_cnt)
		sum = -1;
	atomic_store_explicit(&r->position_sum, sum, memory_order_relaxed);
	atomic_store_explicit(&r->reading, sum >= 0 && sl_mqclient_up(r->client->c),
			      memory_order_relaxed);
}

bool sl_dl_rule_commit(struct sl_dl_rule *r)
{
	const struct sl_downlink_cfg *c = &r->d->cfg;
	bool all = true;

	r->commit_ns = UINT64_MAX;
	for (uint32_t i = 0; i < r->known; i++) {
		int64_t at = to_commit(r, i);
		int rc;
		if (at <= r->part[i].committed)
			continue;
		rc = c->offsets->commit(c->offsets_arg, r->group, r->cfg->topic, (int32_t)i, at,
					NULL);
		if (rc) {
			sl_log_limited(&r->log_failed, SL_LOG_WARN, "mqtt",
				       "downlink %s: offset %lld of partition %u is not committed: "
				       "%s",
				       r->cfg->topic, (long long)at, i,
				       rc == -EBUSY ? "its group has members" : strerror(-rc));
			r->hold_ns = sl_clock_mono_ns() + RETRY_NS;
			return false; /* the others would fail as well, and each may take seconds */
		}
		r->part[i].committed = at;
		all &= at == position(r, i);
	}
	return all;
}

bool sl_dl_rule_settled(const struct sl_dl_rule *r)
{
	if (r->cnt && sl_mqclient_up(r->client->c))
		return false;
	for (uint32_t i = 0; i < r->known; i++)
		if (sl_part_synced(r->part[i].cursor.part) < position(r, i) &&
		    sl_part_state(r->part[i].cursor.part) == SL_PART_OK)
			return false;
	return true;
}

/* ---- messages under way ---------------------------------------------------------------------- */

static void slot_add(struct sl_dl_rule *r, uint32_t part, int64_t offset, int mid)
{
	r->slot[(r->first + r->cnt) % SL_DOWNLINK_WINDOW] =
		(struct sl_dl_slot){.mid = mid, .part = part, .offset = offset};
	r->cnt++;
}

static void slots_pop(struct sl_dl_rule *r)
{
	while (r->cnt && r->slot[r->first].done) {
		r->first = (r->first + 1) % SL_DOWNLINK_WINDOW;
		r->cnt--;
	}
}

static void drop_bad(struct sl_dl_rule *r, uint32_t part, int64_t offset, const char *why)
{
	sl_dl_count(r->d, SL_BR_DOWN_BAD, 1);
	sl_log_limited(&r->log_bad, SL_LOG_WARN, "mqtt", "downlink %s-%u, offset %lld dropped: %s",
		       r->cfg->topic, part, (long long)offset, why);
}

bool sl_dl_rule_acked(struct sl_dl_rule *r, int mid, uint8_t reason)
{
	struct sl_dl_slot *s = NULL;

	for (uint32_t i = 0; i < r->cnt && !s; i++) {
		struct sl_dl_slot *x = &r->slot[(r->first + i) % SL_DOWNLINK_WINDOW];
		if (x->mid == mid && !x->done)
			s = x;
	}
	if (!s)
		return false;
	if (reason == QUOTA) { /* not now: it is sent again after a pause, with what follows it */
		r->client->cut = true;
		return true;
	}
	s->done = true;
	if (reason >= REFUSED)
		drop_bad(r, s->part, s->offset, "the broker refuses it");
	else
		sl_dl_count(r->d, SL_BR_DOWN_SENT, 1);
	slots_pop(r);
	return true;
}

static void rewind_parts(struct sl_dl_rule *r)
{
	for (uint32_t i = 0; i < r->known; i++)
		sl_cursor_seek(&r->part[i].cursor, position(r, i));
	r->first = r->cnt = 0;
}

void sl_dl_rule_follow_client(struct sl_dl_rule *r)
{
	uint64_t life = sl_mqclient_life(r->client->c);

	if (r->cnt && (r->life != life || !sl_mqclient_up(r->client->c)))
		rewind_parts(r);
	r->life = life;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* 0: done with the record; else it is to be looked at again. */
static int send_one(struct sl_dl_rule *r, uint32_t part, const struct sl_cursor_rec *rec)
{
	struct sl_downlink *d = r->d;
	struct sl_down_in in = {
		.rule = r->cfg,
		.tpl = r->tpl,
		.rec = rec,
		.partition = (int32_t)part,
		.now_ms = d->cfg.wall_ms ? d->cfg.wall_ms(d->cfg.wall_arg) : sl_clock_wall_ms(),
	};
	int mid, rc = 0;

	switch (sl_down_msg_make(&in, &d->msg)) {
	case SL_DOWN_EXPIRED:
		sl_dl_count(d, SL_BR_DOWN_EXPIRED, 1);
		return 0;
	case SL_DOWN_BAD:
		drop_bad(r, part, rec->offset, d->msg.why);
		return 0;
	case SL_DOWN_SEND:
		rc = sl_mqclient_publish(r->client->c, &d->msg.pub, &mid);
		break;
	}
	if (rc == -EMSGSIZE)
		drop_bad(r, part, rec->offset, "too large for the broker");
	else if (rc == -EINVAL)
		drop_bad(r, part, rec->offset, "a property that MQTT does not allow");
	else if (!rc)
		slot_add(r, part, rec->offset, mid);
	return rc == -EMSGSIZE || rc == -EINVAL ? 0 : rc;
}

static void gone(struct sl_dl_rule *r, uint32_t part, int64_t to, const char *why)
{
	struct sl_cursor *c = &r->part[part].cursor;

	if (to > c->offset) {
		sl_dl_count(r->d, SL_BR_DOWN_GONE, (uint64_t)(to - c->offset));
		sl_log_limited(&r->log_bad, SL_LOG_WARN, "mqtt",
			       "downlink %s-%u: offsets %lld to %lld %s", r->cfg->topic, part,
			       (long long)c->offset, (long long)to - 1, why);
	}
	sl_cursor_seek(c, to);
}

/* What a cursor says besides records. True: go on with this partition. */
static bool reading_failed(struct sl_dl_rule *r, uint32_t part, int rc, int64_t next,
			   uint64_t now_ns)
{
	struct sl_cursor *c = &r->part[part].cursor;
	int64_t start = sl_part_start(c->part);

	switch (rc) {
	case -ERANGE:
		if (c->offset < start)
			gone(r, part, start, "were deleted before they were sent");
		else
			sl_cursor_seek(c, SL_MIN(c->offset, sl_part_end(c->part)));
		return true;
	case -EILSEQ:
		gone(r, part, next, "cannot be read");
		return true;
	case -ENOENT:
		sl_dl_rule_drop_topic(r);
		r->gen = UINT64_MAX; /* look again */
		return false;
	}
	r->retry_ns = now_ns + RETRY_NS;
	sl_log_limited(&r->log_failed, SL_LOG_WARN, "mqtt", "downlink %s-%u: %s", r->cfg->topic,
		       part, strerror(-rc));
	return false;
}

/* One partition, until it has no more or the window is full. */
static unsigned read_part(struct sl_dl_rule *r, uint32_t part, uint64_t now_ns)
{
	struct sl_cursor_rec rec;
	unsigned n = 0;
	int64_t next;

	while (n < BURST && r->cnt < SL_DOWNLINK_WINDOW) {
		struct sl_cursor *c = &r->part[part].cursor;
		int rc = sl_cursor_next(c, &rec, &next);
		if (rc == 0 || (rc < 0 && !reading_failed(r, part, rc, next, now_ns)))
			break;
		n++;
		if (rc < 0)
			continue;
		rc = send_one(r, part, &rec);
		if (rc) { /* no connection any more, or no memory */
			sl_cursor_seek(c, rec.offset);
			r->retry_ns = rc == -ENOTCONN ? 0 : now_ns + RETRY_NS;
			break;
		}
	}
	return n;
}

static bool may_read(const struct sl_dl_rule *r, uint64_t now_ns)
{
	return sl_mqclient_up(r->client->c) && now_ns >= r->retry_ns && r->cnt < SL_DOWNLINK_WINDOW;
}

bool sl_dl_rule_ready(const struct sl_dl_rule *r, uint64_t now_ns)
{
	if (!may_read(r, now_ns))
		return false;
	if (sl_store_generation(r->d->cfg.store) != r->gen || r->known < r->part_cnt)
		return true;
	for (uint32_t i = 0; i < r->known; i++)
		if (sl_part_end(r->part[i].cursor.part) > r->part[i].cursor.offset)
			return true;
	return false;
}

bool sl_dl_rule_pump(struct sl_dl_rule *r, uint64_t now_ns)
{
	unsigned n = 0;
	int rc;

	if (!may_read(r, now_ns))
		return false;
	rc = follow_topic(r);
	if (!rc && r->topic)
		rc = know_positions(r);
	if (rc) {
		r->retry_ns = now_ns + RETRY_NS;
		sl_log_limited(&r->log_failed, SL_LOG_WARN, "mqtt",
			       "downlink %s: its committed offset is not known: %s", r->cfg->topic,
			       strerror(-rc));
		return false;
	}
	for (uint32_t i = 0; i < r->part_cnt && may_read(r, now_ns); i++) {
		uint32_t part = r->next;
		r->next = (r->next + 1) % r->part_cnt;
		n += read_part(r, part, now_ns);
	}
	return n > 0;
}
