/* SPDX-License-Identifier: Apache-2.0 */
/* engine_txn.c - one transaction: begun, its positions, its end one way or the other. */
#include <errno.h>
#include <stdio.h>

#include "engine_priv.h"

void sl_en_drop_held(struct sl_engine *e)
{
	if (e->held)
		sl_cursor_seek(&e->held_part->cur, e->rec.offset);
	e->held = false;
	e->held_part = NULL;
	e->visit = NULL;
}

bool sl_en_begin(struct sl_engine *e, enum txn_kind kind, struct part *alone)
{
	struct txn *t = &e->txn;
	int rc = e->ops->begin(e->cfg.sink);

	if (kind != TX_NORMAL) /* others read into the memory that it lies in */
		sl_en_drop_held(e);
	if (rc) {
		sl_en_error(e, "no transaction can be begun: %s", strerror(-rc));
		sl_en_rebuild(e, false);
		return false;
	}
	*t = (struct txn){.state = TX_OPEN,
			  .kind = kind,
			  .begun_ns = sl_en_now(e),
			  .alone = alone,
			  .touched = t->touched};
	return true;
}

void sl_en_touch(struct sl_engine *e, struct part *p)
{
	if (p->touched)
		return;
	p->touched = true;
	p->ref_cnt = 0;
	p->damaged = 0;
	e->txn.touched[e->txn.cnt++] = p->slot;
}

void sl_en_rewind(struct sl_engine *e, struct part *p)
{
	if (e->held_part == p)
		sl_en_drop_held(e);
	p->next = p->done;
	sl_cursor_seek(&p->cur, p->done.offset);
}

static void untouch(struct sl_engine *e)
{
	for (uint32_t i = 0; i < e->txn.cnt; i++)
		if (e->part[e->txn.touched[i]])
			e->part[e->txn.touched[i]]->touched = false;
	e->txn = (struct txn){.state = TX_NONE, .touched = e->txn.touched};
}

/* ---- ending it
 * ---------------------------------------------------------------------------------------- */

static void commit(struct sl_engine *e)
{
	int rc = e->ops->commit(e->cfg.sink);

	e->txn.state = TX_COMMIT;
	if (rc) {
		sl_en_error(e, "commit: %s", strerror(-rc));
		sl_en_rebuild(e, true);
	}
}

void sl_en_finish(struct sl_engine *e)
{
	if (e->txn.kind != TX_NORMAL) /* else the next transaction has what was not taken yet */
		sl_en_drop_held(e);
	e->txn.state = TX_POSITIONS;
	e->txn.at = 0;
	sl_en_positions(e);
}

void sl_en_flush(struct sl_engine *e)
{
	commit(e);
}

int sl_en_position_produce(struct sl_engine *e, struct part *p)
{
	const struct sl_upstate *st = e->cfg.state;
	const struct sl_topic *t = p->topic->t;
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];
	struct sl_position r = {.partition = p->id,
				.offset = p->next.offset,
				.leader_epoch = p->next.leader_epoch,
				.first = p->next.first,
				.forwarded = p->next.forwarded,
				.dead_letter = p->next.dead_letter,
				.evicted_unsent = p->next.evicted_unsent,
				.missing = p->next.missing};
	int n;

	memcpy(r.gateway, st->gateway, sizeof(r.gateway));
	strcpy(r.topic, sl_topic_name(t));
	memcpy(r.topic_id, sl_topic_id(t), sizeof(r.topic_id));
	memcpy(r.instance, st->instance, sizeof(r.instance));
	if (strcmp(e->claim_found, st->instance))
		memcpy(r.previous, e->claim_found, sizeof(r.previous));
	else
		memcpy(r.previous, e->claim.previous, sizeof(r.previous));
	n = sl_position_encode(&r, key, sizeof(key), val, sizeof(val));
	if (n < 0)
		return n;
	return e->ops->produce(e->cfg.sink,
			       &(struct sl_sink_rec){.topic = e->cfg.config->uplink.positions,
						     .ts_ms = sl_en_wall(e),
						     .key = {(uint8_t *)key, (uint32_t)strlen(key)},
						     .value = {(uint8_t *)val, (uint32_t)n},
						     .tag = TAG_POSITION | p->slot});
}

void sl_en_positions(struct sl_engine *e)
{
	struct txn *t = &e->txn;
	int rc = 0;

	if (t->kind == TX_CLAIM && !t->claimed) {
		rc = sl_en_claim_produce(e);
		t->claimed = rc == 0;
	}
	while (!rc && t->at < t->cnt) {
		rc = sl_en_position_produce(e, e->part[t->touched[t->at]]);
		t->at += rc == 0;
	}
	if (rc == -EAGAIN || rc == -EPIPE)
		return; /* room, or FAILED, comes with an event */
	if (rc) {
		sl_en_error(e, "positions cannot be written to %s: %s",
			    e->cfg.config->uplink.positions,
			    rc == -ENOENT ? "the topic is gone" : strerror(-rc));
		sl_en_rebuild(e, false);
		return;
	}
	commit(e);
}

void sl_en_abort(struct sl_engine *e)
{
	int rc = e->ops->abort(e->cfg.sink);

	e->txn.state = TX_ABORT;
	if (rc) {
		sl_en_error(e, "abort: %s", strerror(-rc));
		sl_en_rebuild(e, true);
	}
}

/* ---- ended
 * ---------------------------------------------------------------------------------------------- */

static void part_committed(struct sl_engine *e, struct part *p)
{
	int64_t dead = e->txn.kind == TX_DEAD && e->txn.alone == p && p->bad_off >= 0 &&
				       p->next.dead_letter > p->done.dead_letter
			       ? p->bad_off
			       : -1;

	if (p->damaged)
		sl_en_count(e, SL_BR_UP_DAMAGED, p->damaged);
	p->at_centre = true;
	pthread_mutex_lock(&e->lock);
	p->done = p->next;
	pthread_mutex_unlock(&e->lock);
	p->found = SL_MAX(p->found, p->done.offset);
	if (dead >= 0) {
		sl_part_dead_letter(p->p, dead);
		p->bad_off = -1;
	}
	sl_en_suspects_passed(p);
	if (!p->leaving)
		sl_part_forwarded_set(p->p, p->done.offset);
}

void sl_en_committed(struct sl_engine *e)
{
	struct txn *t = &e->txn;
	enum txn_kind kind = t->kind;

	for (uint32_t i = 0; i < t->cnt; i++)
		part_committed(e, e->part[t->touched[i]]);
	for (uint32_t i = 0; i < t->cnt; i++) {
		struct part *p = e->part[t->touched[i]];
		if (p->leaving && p->done.offset >= sl_part_end(p->p))
			sl_en_part_retire(e, p);
	}
	untouch(e);
	if (kind == TX_CLAIM) {
		sl_en_claimed(e);
		return;
	}
	e->suspect_turn = kind == TX_NORMAL; /* by turns */
	e->failures = 0;
	e->aborts = 0;
	sl_en_count(e, SL_BR_UP_COMMITS, 1);
	sl_en_save_in(e, SAVE_NS);
}

/* Nothing of it is there. Suspects are told from the rest, then all go back to where they were. */
void sl_en_aborted(struct sl_engine *e)
{
	struct txn *t = &e->txn;

	sl_en_count(e, SL_BR_UP_ABORTS, 1);
	if (t->kind == TX_CLAIM || t->position_refused) {
		sl_en_rebuild(e, false);
		return;
	}
	for (uint32_t i = 0; i < t->cnt; i++) {
		struct part *p = e->part[t->touched[i]];
		if (p->ref_cnt)
			sl_en_suspects(e, p);
		sl_en_rewind(e, p);
	}
	if (t->refused)
		e->suspect_turn = true;
	else if (++e->aborts >= ABORTS_IN_ROW)
		e->hold_ns = sl_en_now(e) + sl_en_backoff_ns(e, e->aborts - ABORTS_IN_ROW + 1);
	untouch(e);
}

void sl_en_forget_txn(struct sl_engine *e, bool doubt)
{
	struct txn *t = &e->txn;

	sl_en_drop_held(e);
	if (t->state == TX_NONE)
		return;
	doubt = doubt && !t->refused;
	if (doubt) {
		e->doubt_dead = t->kind == TX_DEAD;
		e->doubt_slot = t->alone ? t->alone->slot : 0;
	}
	for (uint32_t i = 0; i < t->cnt; i++) {
		struct part *p = e->part[t->touched[i]];
		if (doubt) {
			p->doubtful = true;
			p->doubt = p->next;
		}
		sl_en_rewind(e, p);
	}
	untouch(e);
}
