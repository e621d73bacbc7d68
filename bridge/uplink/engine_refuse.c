/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_refuse.c - records that the centre refuses for good.
 *
 * A refusal fails its whole batch, so what is reported is a list of suspects. Their transaction is
 * aborted, and they go again by themselves: half of them; what passes is done with, what does not
 * is halved again. A record that is refused alone in its transaction is the one: it goes to the
 * dead-letter topic, and its position moves over it. In between, ordinary transactions carry
 * everything else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine_priv.h"
#include "platform/base/murmur2.h"

#define GROUP_MAX  (1u << 20)
#define STEP_AS_IS 0 /* its value and headers with it */
#define STEP_CUT   1 /* DEAD_VALUE_MAX bytes of the value */
#define STEP_BARE  2 /* neither value nor headers of its own; a key of ours */
#define DEAD_HDRS  4 /* beside ours */

/* Kafka's name of an error that a record may get (protocol guide, "Error Codes"). */
static const char *error_name(int code)
{
	switch (code) {
	case 2:
		return "CORRUPT_MESSAGE";
	case KAFKA_TOO_LARGE:
		return "MESSAGE_TOO_LARGE";
	case 18:
		return "RECORD_LIST_TOO_LARGE";
	case 32:
		return "INVALID_TIMESTAMP";
	case 43:
		return "UNSUPPORTED_FOR_MESSAGE_FORMAT";
	case KAFKA_INVALID:
		return "INVALID_RECORD";
	default:
		return "REFUSED";
	}
}

/* ---- finding out
 * --------------------------------------------------------------------------------------- */

void sl_en_refused(struct sl_engine *e, const struct sl_sink_event *ev)
{
	struct txn *t = &e->txn;
	uint64_t slot = (ev->tag & ~TAG_POSITION) >> TAG_SLOT_SHIFT;
	struct part *p;
	int64_t off;

	if (t->state == TX_NONE || t->state == TX_ABORT)
		return; /* what is aborted anyway */
	t->refused++;
	if (ev->tag & TAG_POSITION) {
		t->position_refused = true;
		sl_en_error(e, "the centre refuses positions: %s", ev->text);
		return;
	}
	p = slot < e->slot_cnt ? e->part[slot] : NULL;
	if (!p || !p->touched)
		return;
	off = p->done.offset + (int64_t)((ev->tag - (uint64_t)p->done.offset) & TAG_OFFSET_MASK);
	p->ref_lo = p->ref_cnt ? SL_MIN(p->ref_lo, off) : off;
	p->ref_hi = p->ref_cnt ? SL_MAX(p->ref_hi, off + 1) : off + 1;
	p->ref_cnt++;
	p->ref_error = ev->kafka_error;
}

static void guilty(struct sl_engine *e, struct part *p, int64_t offset, int error)
{
	p->bad_off = offset;
	p->bad_error = error;
	p->bad_step = error == KAFKA_TOO_LARGE || error == 18 ? STEP_CUT : STEP_AS_IS;
	sl_en_error(e, "%s-%d: record %" PRId64 " is refused by the centre (%s, %d): to %s",
		    sl_topic_name(p->topic->t), p->id, offset, error_name(error), error,
		    e->cfg.config->uplink.dead_letter);
}

void sl_en_refuse_here(struct sl_engine *e, struct part *p, int error)
{
	guilty(e, p, e->rec.offset, error);
	sl_en_unread(e, p);
}

void sl_en_suspects(struct sl_engine *e, struct part *p)
{
	const struct txn *t = &e->txn;

	if (t->kind == TX_DEAD && t->alone == p) {
		if (p->bad_step < STEP_BARE) {
			p->bad_step++;
			return;
		}
		sl_en_error(e, "%s refuses the dead letter of %s-%d at %" PRId64 " too (%d)",
			    e->cfg.config->uplink.dead_letter, sl_topic_name(p->topic->t), p->id,
			    p->bad_off, p->ref_error);
		p->retry_ns = sl_en_now(e) + sl_en_backoff_ns(e, 5);
	} else if (t->kind == TX_GROUP && t->alone == p && t->records == 1) {
		guilty(e, p, p->ref_lo, p->ref_error);
	} else {
		bool more = p->sus_hi > p->done.offset;
		p->sus_hi = more ? SL_MAX(p->sus_hi, p->ref_hi) : p->ref_hi;
		p->sus_lo = p->ref_lo;
		p->sus_group = SL_MAX(p->ref_cnt / 2, 1u);
	}
}

void sl_en_suspects_passed(struct part *p)
{
	if (p->bad_off >= 0 && p->bad_off < p->done.offset)
		p->bad_off = -1; /* evicted meanwhile */
	if (p->done.offset <= p->sus_lo)
		return;
	p->sus_lo = p->done.offset;
	p->sus_group = SL_MIN(p->sus_group * 2, GROUP_MAX);
}

static bool suspects_due(const struct sl_engine *e, const struct part *p, uint64_t now)
{
	if (!sl_en_has_suspects(p) || !p->known || p->leaving || p->retry_ns > now)
		return false;
	if (p->done.offset < sl_en_bound(p)) /* ordinary ones come first */
		return false;
	if (p->bad_off >= 0)
		return e->dead_letter->state == DEST_OK;
	return p->topic->dest && p->topic->dest->state == DEST_OK;
}

struct part *sl_en_suspect_next(struct sl_engine *e)
{
	uint64_t now = sl_en_now(e);

	for (uint32_t i = 0; i < e->slot_cnt; i++) {
		uint32_t at = (e->suspect_at + i) % e->slot_cnt;
		if (e->part[at] && suspects_due(e, e->part[at], now)) {
			e->suspect_at = at + 1;
			return e->part[at];
		}
	}
	return NULL;
}

/* ---- dead letters
 * ---------------------------------------------------------------------------------------- */

static struct sl_hdr text_hdr(const char *name, const char *value)
{
	return (struct sl_hdr){{(const uint8_t *)name, (uint32_t)strlen(name)},
			       {(const uint8_t *)value, (uint32_t)strlen(value)}};
}

/* Where the letters of this gateway lie, in the order in which they were written. */
static int32_t letter_partition(const struct sl_engine *e)
{
	const char *gw = e->cfg.config->gateway.id;
	uint32_t n = (uint32_t)e->dead_letter->partitions;

	return (int32_t)sl_partition_for(sl_murmur2(gw, strlen(gw)), n);
}

static int letter(struct sl_engine *e, struct part *p)
{
	char code[24], ts[24], size[24];
	uint32_t full = e->rec.rec.value.len;
	struct sl_sink_rec r;
	int rc = sl_en_record(e, p, p->bad_step < STEP_BARE, DEAD_HDRS, &r);

	if (rc)
		return rc;
	r.topic = e->dead_letter->name;
	r.partition = letter_partition(e);
	r.ts_ms = sl_en_wall(e); /* its own may be why it was refused */
	if (e->rec.rec.ts > 0)
		e->hdr[r.hdr_cnt++] = sl_en_number("sluice.timestamp", e->rec.rec.ts, ts);
	e->hdr[r.hdr_cnt++] = text_hdr("sluice.error", error_name(p->bad_error));
	e->hdr[r.hdr_cnt++] = sl_en_number("sluice.error.code", p->bad_error, code);
	if (p->bad_step == STEP_BARE) {
		r.value = (struct sl_slice){NULL, 0};
		r.key = p->hdr[0].value;
	} else if (p->bad_step == STEP_CUT) {
		r.value.len = SL_MIN(full, (uint32_t)DEAD_VALUE_MAX);
	}
	if (r.value.len != full)
		e->hdr[r.hdr_cnt++] = sl_en_number("sluice.value.bytes", full, size);
	return e->ops->produce(e->cfg.sink, &r);
}

static void letter_sent(struct sl_engine *e, struct part *p)
{
	p->next.offset = e->rec.offset + 1;
	p->next.dead_letter++;
	p->next.leader_epoch = e->rec.leader_epoch;
	e->txn.records++;
	sl_budget_take(&e->budget, SL_MIN(e->rec.bytes, (uint32_t)DEAD_VALUE_MAX) + p->overhead);
	e->held = false;
	e->held_part = NULL;
}

uint64_t sl_en_send_dead(struct sl_engine *e, struct part *p)
{
	uint64_t now = sl_en_now(e), wait = sl_budget_wait(&e->budget, now);
	int rc;

	if (wait)
		return wait;
	sl_en_touch(e, p);
	rc = e->held ? 1 : sl_en_read(e, p, p->bad_off + 1);
	if (rc < 0)
		return now + POLL_NS;
	if (rc > 0) {
		rc = letter(e, p);
		if (rc == -EMSGSIZE && p->bad_step < STEP_BARE) {
			p->bad_step++;
			rc = letter(e, p);
		}
		if (!rc) {
			letter_sent(e, p);
		} else if (rc == -EAGAIN) {
			e->held = true;
			e->held_part = p;
			return now + POLL_NS;
		} else {
			sl_en_unread(e, p);
			p->retry_ns = now + PART_RETRY_NS;
			if (rc == -ENOENT)
				sl_en_dest_lost(e, e->dead_letter);
			else if (rc == -EPIPE)
				return now + POLL_NS;
		}
	}
	sl_en_finish(e);
	return now + POLL_NS;
}
