/* SPDX-License-Identifier: Apache-2.0 */
#include "produce.h"

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
		sl_kproduce_logged(p);
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
		if (x->err || (x->central && !sl_kproduce_central_ok(x)))
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
			sl_kproduce_logged(p);
	}
	order->injecting = false;
	sl_kconn_order_idle(order);
}
