/* SPDX-License-Identifier: Apache-2.0 */
/*
 * produce_wait.c - from `logged` to the answer of acks=all: until the records are synced, and for
 * topics with sluice.acks.all=central until the centre has them.
 *
 * Two lists, because the first wait is short and looked at with every sync, while the second one
 * can last as long as the link's outage: it is looked at when the uplink has moved.
 */
#include "platform/base/carried.h"
#include "produce.h"

/* ---- one partition's outcome ----------------------------------------------------------------- */

static int64_t end_of(const struct sl_kproduce_part *x)
{
	return x->base_offset + x->check.records;
}

/* True: it has its outcome, or at least this much. */
typedef bool (*stage_fn)(struct sl_kproduce_part *x);

static bool is_synced(struct sl_kproduce_part *x)
{
	if (x->err || sl_part_synced(x->part) >= end_of(x))
		return true;
	switch (sl_part_state(x->part)) {
	case SL_PART_FAILED:
		x->err = SL_KERR_KAFKA_STORAGE_ERROR;
		return true;
	case SL_PART_DELETED:
		x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return true;
	default:
		return false;
	}
}

static void set_err(struct sl_kproduce_part *x, int16_t err, const char *msg)
{
	x->err = err;
	x->msg = msg;
}

static bool is_central(struct sl_kproduce_part *x)
{
	if (x->err || !x->central)
		return true;
	if (sl_part_forwarded(x->part) < end_of(x)) {
		if (sl_part_state(x->part) != SL_PART_DELETED)
			return false;
		x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return true;
	}
	if (sl_part_dead_in(x->part, x->base_offset, end_of(x)))
		set_err(x, SL_KERR_INVALID_RECORD,
			"the central cluster refused a record: it is in the dead-letter topic");
	else if (sl_part_unsent_in(x->part, x->base_offset, end_of(x)))
		set_err(x, SL_KERR_KAFKA_STORAGE_ERROR,
			"a record was deleted here before the central cluster had it");
	return true;
}

static bool all(struct sl_kproduce *p, stage_fn stage)
{
	for (uint32_t i = 0; i < p->part_cnt; i++)
		if (!stage(&p->parts[i]))
			return false;
	return true;
}

bool sl_kproduce_central_ok(struct sl_kproduce_part *x)
{
	struct sl_kserver *s = x->produce->req->server;
	struct sl_slice topic = x->produce->topics[x->topic].name;

	if (!sl_uplink_carries(s->cfg.config, (const char *)topic.p, topic.len)) {
		set_err(x, SL_KERR_REQUEST_TIMED_OUT,
			"sluice.acks.all is central, and no uplink carries this topic");
		sl_log_limited(&s->log_bad, SL_LOG_WARN, "kafka", "%.*s refused: %s",
			       (int)topic.len, (const char *)topic.p, x->msg);
	} else if (!sl_store_link(s->cfg.store)) {
		set_err(x, SL_KERR_REQUEST_TIMED_OUT, "the central cluster is out of reach now");
	} else {
		return true;
	}
	sl_kcount(&s->counters.central_refused, 1);
	return false;
}

/* ---- the lists ------------------------------------------------------------------------------- */

static void wait_in(struct sl_kproduce *p, struct sl_kproduce_list *list)
{
	if (p->waits_in)
		TAILQ_REMOVE(p->waits_in, p, wait_link);
	p->waits_in = list;
	TAILQ_INSERT_TAIL(list, p, wait_link);
}

static void answer(struct sl_kproduce *p)
{
	if (p->waits_in)
		TAILQ_REMOVE(p->waits_in, p, wait_link);
	sl_timer_cancel(p->req->server->cfg.timers, &p->timer);
	sl_kproduce_answer(p);
}

static void timed_out(void *arg)
{
	struct sl_kproduce *p = arg;

	for (uint32_t i = 0; i < p->part_cnt; i++) {
		struct sl_kproduce_part *x = &p->parts[i];
		if (!is_synced(x) || !is_central(x))
			x->err = SL_KERR_REQUEST_TIMED_OUT;
	}
	answer(p);
}

/* Nobody is left to be told: what it has appended goes its way without it. */
static void peer_left(struct sl_kreq *r)
{
	answer(r->ctx);
}

/* It may take long: what came with the request is in the log, and not needed any more. */
static void shed(struct sl_kproduce *p)
{
	for (uint32_t t = 0; t < p->topic_cnt; t++)
		if (!p->topics[t].topic)
			return; /* its name stands in the frame only */
	for (uint32_t t = 0; t < p->topic_cnt; t++) {
		const char *name = sl_topic_name(p->topics[t].topic);
		p->topics[t].name =
			(struct sl_slice){(const uint8_t *)name, (uint32_t)strlen(name)};
	}
	for (uint32_t i = 0; i < p->part_cnt; i++) {
		struct sl_kproduce_part *x = &p->parts[i];
		if (x->check.own) {
			sl_kreq_charge(p->req, -(int64_t)x->check.len);
			sl_kcheck_free_own(&x->check);
		}
		x->recs = NULL;
	}
	sl_kreq_release_frame(p->req);
}

/* Ends it, or puts it where it waits. */
static void move_on(struct sl_kproduce *p)
{
	struct sl_kserver *s = p->req->server;

	if (!all(p, is_synced)) {
		if (!p->waits_in)
			wait_in(p, &s->wait_sync);
	} else if (!sl_kconn_closed(p->req->conn) && !all(p, is_central)) {
		wait_in(p, &s->wait_central);
		p->req->cancel = peer_left;
		shed(p);
	} else {
		answer(p);
	}
}

void sl_kproduce_logged(struct sl_kproduce *p)
{
	struct sl_kserver *s = p->req->server;

	if (p->acks != -1 || (all(p, is_synced) && all(p, is_central))) {
		sl_kproduce_answer(p);
		return;
	}
	p->timer.fn = timed_out;
	p->timer.arg = p;
	sl_timer_set(s->cfg.timers, &p->timer,
		     sl_kserver_mono_ns(s) + (uint64_t)SL_MAX(p->timeout_ms, 0) * 1000000u);
	move_on(p);
}

/* ---- looking --------------------------------------------------------------------------------- */

static void look_at(struct sl_kproduce_list *list, stage_fn stage)
{
	struct sl_kproduce *last = TAILQ_LAST(list, sl_kproduce_list);
	struct sl_kproduce *p = NULL, *next = TAILQ_FIRST(list);

	while (p != last) { /* an answer may start requests that are added behind `last` */
		p = next;
		next = TAILQ_NEXT(p, wait_link);
		if (all(p, stage))
			move_on(p);
	}
}

void sl_kproduce_check_waiting(struct sl_kserver *s)
{
	/* loaded before looking: what moves meanwhile is found with the next turn */
	uint64_t moved = sl_store_forwards(s->cfg.store) + sl_store_generation(s->cfg.store);

	look_at(&s->wait_sync, is_synced);
	if (moved == s->central_seen)
		return;
	s->central_seen = moved;
	look_at(&s->wait_central, is_central);
}

void sl_kproduce_give_up(struct sl_kserver *s)
{
	struct sl_kproduce *p;

	while ((p = TAILQ_FIRST(&s->wait_sync)))
		timed_out(p);
	while ((p = TAILQ_FIRST(&s->wait_central)))
		timed_out(p);
}

void sl_kproduce_give_up_central(struct sl_kserver *s)
{
	struct sl_kproduce *p;

	while (!sl_store_link(s->cfg.store) && (p = TAILQ_FIRST(&s->wait_central)))
		timed_out(p);
}
