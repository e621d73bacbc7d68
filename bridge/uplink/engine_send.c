/* SPDX-License-Identifier: Apache-2.0 */
/* engine_send.c - records out of the log, into the transaction under way. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine_priv.h"

#define VISIT_RECORDS 64 /* sent between two looks at the clock */

enum visit {
	VISIT_GO,     /* there is more */
	VISIT_OVER,   /* of this partition, for now */
	VISIT_FULL,   /* the sink takes no more at present */
	VISIT_FAILED, /* the producer is gone, or about to be */
};

/* ---- a record as it goes out --------------------------------------------------------------------
 */

static int room(struct sl_engine *e, uint32_t n)
{
	struct sl_hdr *h;

	if (n <= e->hdr_cap)
		return 0;
	n = SL_MAX(n, 64u);
	h = realloc(e->hdr, n * sizeof(*h));
	if (!h)
		return -ENOMEM;
	e->hdr = h;
	e->hdr_cap = n;
	return 0;
}

struct sl_hdr sl_en_number(const char *name, int64_t v, char text[24])
{
	char *end = text + 24, *p = end;
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (v < 0)
		*--p = '-';
	return (struct sl_hdr){{(const uint8_t *)name, (uint32_t)strlen(name)},
			       {(const uint8_t *)p, (uint32_t)(end - p)}};
}

int sl_en_record(struct sl_engine *e, struct part *p, bool own, uint32_t extra,
		 struct sl_sink_rec *ret)
{
	const struct sl_cursor_rec *r = &e->rec;
	uint32_t n = own && r->hdr ? r->rec.hdr_cnt : 0;
	int rc = room(e, n + OWN_HDRS + extra);

	if (rc)
		return rc;
	if (n)
		memcpy(e->hdr, r->hdr, n * sizeof(*e->hdr));
	memcpy(e->hdr + n, p->hdr, sizeof(p->hdr));
	n += SL_ARRAY_SIZE(p->hdr);
	e->hdr[n++] = sl_en_number("sluice.offset", r->offset, e->offset_text);
	*ret = (struct sl_sink_rec){.ts_ms = r->rec.ts,
				    .key = r->rec.key,
				    .value = r->rec.value,
				    .hdr = e->hdr,
				    .tag = (uint64_t)p->slot << TAG_SLOT_SHIFT |
					   ((uint64_t)r->offset & TAG_OFFSET_MASK)};
	if (sl_unlikely(r->rec.ts <= 0)) { /* the library would make it "now", unsaid */
		e->hdr[n++] = sl_en_number("sluice.timestamp", r->rec.ts, e->ts_text);
		ret->ts_ms = sl_en_wall(e);
	}
	ret->hdr_cnt = n;
	return 0;
}

int32_t sl_en_partition(const struct part *p, const struct dest *d)
{
	return p->id < d->partitions ? p->id : p->id % d->partitions;
}

/* ---- reading
 * ----------------------------------------------------------------------------------------- */

void sl_en_unread(struct sl_engine *e, struct part *p)
{
	sl_cursor_seek(&p->cur, e->rec.offset);
	e->held = false;
	e->held_part = NULL;
}

/* The position moves to `to` over offsets that are in `*count` from now on. */
static bool move(struct sl_engine *e, struct part *p, int64_t to, uint64_t *count)
{
	if (to <= p->next.offset)
		return true;
	if (e->txn.state == TX_NONE && !sl_en_begin(e, TX_NORMAL, NULL))
		return false;
	sl_en_touch(e, p);
	*count += (uint64_t)(to - p->next.offset);
	p->next.offset = to;
	p->next.leader_epoch = -1; /* of what was written there nothing is known */
	return true;
}

static bool evicted(struct sl_engine *e, struct part *p)
{
	int64_t start = sl_part_start(p->p);

	if (start <= p->cur.offset) { /* beyond the end: what was synced is gone */
		sl_en_error(e, "%s-%d: the log ends below %" PRId64 ", which was sent",
			    sl_topic_name(p->topic->t), p->id, p->cur.offset);
		p->retry_ns = sl_en_now(e) + PART_RETRY_NS;
		return true;
	}
	sl_cursor_seek(&p->cur, start);
	return move(e, p, start, &p->next.evicted_unsent);
}

static bool damaged(struct sl_engine *e, struct part *p, int64_t good)
{
	uint64_t before = p->next.missing;
	bool ok = move(e, p, good, &p->next.missing);

	sl_en_error(e, "%s-%d: offsets %" PRId64 " to %" PRId64 " cannot be read: passed over",
		    sl_topic_name(p->topic->t), p->id, p->cur.offset, good - 1);
	p->damaged += p->next.missing - before;
	sl_cursor_seek(&p->cur, good);
	return ok;
}

int sl_en_read(struct sl_engine *e, struct part *p, int64_t bound)
{
	int64_t good = 0;
	int rc = 0;

	while (p->cur.offset < bound) {
		rc = sl_cursor_next(&p->cur, &e->rec, &good);
		if (rc == -ERANGE && evicted(e, p) && p->retry_ns <= sl_en_now(e))
			continue;
		if (rc == -EILSEQ && damaged(e, p, good))
			continue;
		break;
	}
	if (e->phase == PH_DOWN)
		return -EPIPE;
	if (rc == 1 && e->rec.offset >= bound) {
		sl_en_unread(e, p);
		rc = 0;
	} else if (rc == 1) {
		return move(e, p, e->rec.offset, &p->next.missing) ? 1 : -EPIPE;
	} else if (rc == -EIO || rc == -ENOMEM) {
		sl_en_error(e, "%s-%d at %" PRId64 ": %s", sl_topic_name(p->topic->t), p->id,
			    p->cur.offset, strerror(-rc));
		p->retry_ns = sl_en_now(e) + PART_RETRY_NS;
		return 0;
	} else if (rc == -ENOENT || rc == -ERANGE) {
		return 0; /* deleted: the store's generation tells */
	}
	/* over what holds no records, control batches and the like */
	return move(e, p, SL_MIN(p->cur.offset, bound), &p->next.missing) ? 0 : -EPIPE;
}

/* ---- sending
 * ------------------------------------------------------------------------------------------- */

static void sent(struct sl_engine *e, struct part *p)
{
	uint64_t bytes = e->rec.bytes + p->overhead;

	sl_en_touch(e, p);
	if (p->head_off != p->done.offset) { /* the first one behind the committed position */
		__atomic_store_n(&p->head_ts, e->rec.rec.ts, __ATOMIC_RELAXED);
		__atomic_store_n(&p->head_off, p->done.offset, __ATOMIC_RELAXED);
	}
	p->next.offset = e->rec.offset + 1;
	p->next.forwarded++;
	p->next.leader_epoch = e->rec.leader_epoch;
	e->txn.records++;
	e->txn.bytes += e->rec.bytes;
	e->circle_bytes += bytes;
	sl_budget_take(&e->budget, bytes);
	e->held = false;
	e->held_part = NULL;
}

static enum visit send_one(struct sl_engine *e, struct part *p)
{
	struct dest *d = p->topic->dest;
	struct sl_sink_rec r;
	int rc;

	if (e->txn.state == TX_NONE && !sl_en_begin(e, TX_NORMAL, NULL))
		return VISIT_FAILED;
	if (!e->rec.hdr && e->rec.rec.hdr_cnt)
		rc = -EMSGSIZE;
	else
		rc = sl_en_record(e, p, true, 0, &r);
	if (!rc) {
		r.topic = d->name;
		r.partition = sl_en_partition(p, d);
		rc = e->ops->produce(e->cfg.sink, &r);
	}
	switch (rc) {
	case 0:
		sent(e, p);
		return VISIT_GO;
	case -EAGAIN:
		e->held = true;
		e->held_part = p;
		return VISIT_FULL;
	case -EMSGSIZE:
		sl_en_refuse_here(e, p, e->rec.hdr ? KAFKA_TOO_LARGE : KAFKA_INVALID);
		return VISIT_OVER;
	case -ENOENT:
		sl_en_dest_lost(e, d);
		sl_en_unread(e, p);
		return VISIT_OVER;
	case -ENOMEM:
		sl_en_unread(e, p);
		p->retry_ns = sl_en_now(e) + PART_RETRY_NS;
		return VISIT_OVER;
	default: /* -EPIPE: FAILED follows */
		sl_en_unread(e, p);
		return VISIT_FAILED;
	}
}

/* A deleted topic: what was not sent is given up. */
static enum visit give_up(struct sl_engine *e, struct part *p)
{
	if (e->held_part == p)
		sl_en_unread(e, p);
	if (e->txn.state == TX_NONE && !sl_en_begin(e, TX_NORMAL, NULL))
		return VISIT_FAILED;
	sl_en_touch(e, p);
	if (!move(e, p, sl_part_end(p->p), &p->next.evicted_unsent))
		return VISIT_FAILED;
	return VISIT_OVER;
}

static enum visit visit(struct sl_engine *e, struct part *p, int64_t bound, uint32_t max)
{
	enum visit v = VISIT_GO;

	if (p->leaving)
		return give_up(e, p);
	for (uint32_t i = 0; i < max && v == VISIT_GO; i++) {
		int rc = e->held ? 1 : sl_en_read(e, p, bound);
		if (rc <= 0)
			return rc ? VISIT_FAILED : VISIT_OVER;
		v = send_one(e, p);
		if (v == VISIT_GO && !sl_cursor_held(&p->cur))
			v = VISIT_OVER;
	}
	return v;
}

/* ---- whose turn it is
 * ------------------------------------------------------------------------------------ */

static bool has_work(const struct part *p, uint64_t now)
{
	const struct dest *d = p->topic->dest;

	if (!p->known || p->retry_ns > now)
		return false;
	if (p->leaving)
		return !p->touched || p->next.offset < sl_part_end(p->p);
	if (!d || d->state != DEST_OK || sl_part_synced(p->p) <= p->next.offset)
		return false;
	return p->next.offset < sl_en_bound(p);
}

/*
 * A round that sent little is not followed by another at once, for with many partitions looking
 * costs more than what is found. After one that found nothing the owner arms its waker; the round
 * after that is not held up, and if it finds nothing either, the store's move ends the sleep.
 */
static void round_over(struct sl_engine *e)
{
	uint64_t now = sl_en_now(e);

	if (e->circle_bytes >= SWEEP_BYTES) {
		e->sweep_ns = 0;
	} else if (e->circle_bytes) {
		e->sweep_ns = now + SWEEP_MIN_NS;
	} else {
		e->want_store = true;
		e->looking = !e->looking;
		e->sweep_ns =
			e->looking ? 0
				   : now + SL_MAX(SWEEP_MIN_NS, SWEEP_SHARE * (now - e->circle_ns));
	}
}

static struct part *next_part(struct sl_engine *e, uint64_t now)
{
	if (e->circle == 0) {
		if (now < e->sweep_ns)
			return NULL;
		e->circle = e->slot_cnt;
		e->circle_ns = now;
		e->circle_bytes = 0;
	}
	while (e->circle) {
		struct part *p = e->part[e->rr % e->slot_cnt];
		e->rr = (e->rr + 1) % e->slot_cnt;
		e->circle--;
		if (p && has_work(p, now))
			return p;
	}
	round_over(e);
	return NULL;
}

/* ---- the transaction under way
 * ---------------------------------------------------------------------------- */

static uint64_t deadline(const struct sl_engine *e)
{
	return e->txn.state == TX_OPEN
		       ? e->txn.begun_ns + e->cfg.config->uplink.commit_interval_ms * MS
		       : UINT64_MAX;
}

static bool complete(const struct sl_engine *e, uint64_t now)
{
	return e->txn.state == TX_OPEN &&
	       (e->txn.bytes >= e->cfg.config->uplink.commit_bytes || now >= deadline(e));
}

static uint64_t send_normal(struct sl_engine *e)
{
	for (unsigned n = 0; n < TURN_RECORDS; n += VISIT_RECORDS) {
		uint64_t now = sl_en_now(e), wait;
		enum visit v;

		if (e->txn.refused || complete(e, now)) {
			e->txn.refused ? sl_en_flush(e) : sl_en_finish(e);
			return now + POLL_NS;
		}
		wait = sl_budget_wait(&e->budget, now);
		if (wait)
			return SL_MIN(wait, deadline(e));
		if (!e->visit)
			e->visit = next_part(e, now);
		if (!e->visit) /* the next round, or, if nothing is there, the store's move */
			return SL_MIN(e->want_store ? UINT64_MAX : e->sweep_ns, deadline(e));
		v = visit(e, e->visit, sl_en_bound(e->visit), VISIT_RECORDS);
		if (v == VISIT_OVER)
			e->visit = NULL;
		else if (v != VISIT_GO)
			return SL_MIN(now + POLL_NS, deadline(e));
	}
	return 0;
}

/* Suspects by themselves: as many as the group has, then the end. */
static uint64_t send_group(struct sl_engine *e, struct part *p)
{
	uint64_t now = sl_en_now(e), wait = sl_budget_wait(&e->budget, now);
	enum visit v = VISIT_GO;

	if (wait)
		return wait;
	sl_en_touch(e, p);
	while (e->txn.records < p->sus_group && (v == VISIT_GO || v == VISIT_OVER)) {
		int64_t before = p->next.offset;
		v = visit(e, p, p->sus_hi, SL_MIN(p->sus_group - e->txn.records, VISIT_RECORDS));
		if (v == VISIT_OVER && p->next.offset == before)
			break;
	}
	if (v == VISIT_GO || v == VISIT_OVER)
		sl_en_finish(e);
	return now + POLL_NS;
}

uint64_t sl_en_send(struct sl_engine *e)
{
	struct txn *t = &e->txn;
	struct part *p = NULL;
	uint64_t until;

	if (t->state == TX_OPEN && t->refused) {
		sl_en_flush(e);
		return sl_en_now(e) + POLL_NS;
	}
	if (t->state == TX_NONE && e->suspect_turn)
		p = sl_en_suspect_next(e);
	if (t->state == TX_NONE && !p) {
		until = send_normal(e);
		if (t->state != TX_NONE || e->phase != PH_READY)
			return until;
		p = sl_en_suspect_next(e);
		if (!p)
			return until;
	}
	if (p) {
		e->suspect_turn = false;
		if (!sl_en_begin(e, p->bad_off >= 0 ? TX_DEAD : TX_GROUP, p))
			return 0;
	}
	if (t->kind == TX_DEAD)
		return sl_en_send_dead(e, t->alone);
	return t->kind == TX_GROUP ? send_group(e, t->alone) : send_normal(e);
}
