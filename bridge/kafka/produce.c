/* SPDX-License-Identifier: Apache-2.0 */
#include "produce.h"

/* ---- waiting for synced
 * ---------------------------------------------------------------------------- */

/* False: at least one part still waits. */
static bool is_synced(struct sl_kproduce *p)
{
	for (uint32_t i = 0; i < p->part_cnt; i++) {
		struct sl_kproduce_part *x = &p->parts[i];
		if (x->err || sl_part_synced(x->part) >= x->base_offset + x->check.records)
			continue;
		enum sl_part_state st = sl_part_state(x->part);
		if (st == SL_PART_FAILED)
			x->err = SL_KERR_KAFKA_STORAGE_ERROR;
		else if (st == SL_PART_DELETED)
			x->err = SL_KERR_UNKNOWN_TOPIC_OR_PARTITION;
		else
			return false;
	}
	return true;
}

static void stop_waiting(struct sl_kproduce *p)
{
	struct sl_kserver *s = p->req->server;
	TAILQ_REMOVE(&s->wait_sync, p, sync_link);
	sl_timer_cancel(s->cfg.timers, &p->timer);
}

static void timed_out(void *arg)
{
	struct sl_kproduce *p = arg;

	stop_waiting(p);
	for (uint32_t i = 0; i < p->part_cnt; i++) {
		struct sl_kproduce_part *x = &p->parts[i];
		if (!x->err && sl_part_synced(x->part) < x->base_offset + x->check.records)
			x->err = SL_KERR_REQUEST_TIMED_OUT;
	}
	sl_kproduce_answer(p);
}

/* All appends are back. */
static void logged(struct sl_kproduce *p)
{
	struct sl_kserver *s = p->req->server;

	if (p->acks != -1 || is_synced(p)) {
		sl_kproduce_answer(p);
		return;
	}
	p->timer.fn = timed_out;
	p->timer.arg = p;
	TAILQ_INSERT_TAIL(&s->wait_sync, p, sync_link);
	sl_timer_set(s->cfg.timers, &p->timer,
		     sl_kserver_mono_ns(s) + (uint64_t)SL_MAX(p->timeout_ms, 0) * 1000000u);
}

void sl_kproduce_check_sync(struct sl_kserver *s)
{
	struct sl_kproduce *last = TAILQ_LAST(&s->wait_sync, sl_kproduce_list);
	struct sl_kproduce *p = NULL, *next = TAILQ_FIRST(&s->wait_sync);

	while (p != last) { /* an answer may start requests that are added behind `last` */
		p = next;
		next = TAILQ_NEXT(p, sync_link);
		if (is_synced(p)) {
			stop_waiting(p);
			sl_kproduce_answer(p);
		}
	}
}

void sl_kproduce_give_up(struct sl_kserver *s)
{
	struct sl_kproduce *p;
	while ((p = TAILQ_FIRST(&s->wait_sync)))
		timed_out(p);
}

/* ---- injecting
 * --------------------------------------------------------------------------------------- */

static void came_back(struct sl_kserver *s, struct sl_kappend *ka)
{
	struct sl_kproduce_part *x = SL_CONTAINER_OF(ka, struct sl_kproduce_part, append);
	struct sl_kproduce *p = x->produce;

	(void)s;
	SL_ASSERT(p->pending > 0);
	x->err = sl_kerr_of_append(ka->a.err);
	x->base_offset = ka->a.base_offset;
	x->log_start = ka->a.log_start;
	if (--p->pending == 0 && p->injected)
		logged(p);
}

static void fill_append(struct sl_kproduce_part *x)
{
	const struct sl_kcheck *c = &x->check;
	static const uint8_t ack[] = {SL_ACK_SYNCED, SL_ACK_RECEIVED, SL_ACK_LOGGED};

	x->append.back = came_back;
	x->append.a = (struct sl_append){
		.part = x->part,
		.batch = c->batch,
		.len = c->len,
		.records = c->records,
		.max_ts_ms = c->max_ts_ms,
		.producer_id = sl_batch_pid(c->batch),
		.base_sequence = sl_batch_base_seq(c->batch),
		.producer_epoch = sl_batch_pepoch(c->batch),
		.origin = SL_ORIGIN_KAFKA,
		.ack = ack[x->produce->acks + 1],
	};
}

/* False: the writer's ring is full; goes on from there later. */
static bool inject_parts(struct sl_kserver *s, struct sl_kproduce *p)
{
	for (; p->next < p->part_cnt; p->next++) {
		struct sl_kproduce_part *x = &p->parts[p->next];
		if (x->err)
			continue;
		fill_append(x);
		if (sl_kserver_inject(s, &x->append))
			return false;
		p->pending++;
	}
	return true;
}

void sl_kproduce_inject(struct sl_kserver *s, struct sl_korder *order)
{
	struct sl_kproduce *p;

	if (order->injecting) /* an answer below has started another request: the loop takes it */
		return;
	if (order->waiting) {
		order->waiting = false;
		TAILQ_REMOVE(&s->wait_inject, order, link);
	}
	order->injecting = true; /* and keeps the connection alive */
	while ((p = TAILQ_FIRST(&order->queue)) && p->checked) {
		if (!inject_parts(s, p)) {
			order->waiting = true;
			TAILQ_INSERT_TAIL(&s->wait_inject, order, link);
			break;
		}
		TAILQ_REMOVE(&order->queue, p, order_link);
		p->injected = true;
		if (p->pending == 0) /* all refused */
			logged(p);
	}
	order->injecting = false;
	sl_kconn_order_idle(order);
}
