/* SPDX-License-Identifier: Apache-2.0 */
/* engine_stats.c - how far it is, for whoever asks. */
#include <errno.h>
#include <stdio.h>

#include "engine_priv.h"

#define HEAD_BYTES 4096u

static enum sl_up_state state_now(const struct sl_engine *e)
{
	const struct sl_upstate *st = e->cfg.state;

	if (st->alarm)
		return SL_UP_ALARM;
	if (st->paused)
		return SL_UP_PAUSED;
	return e->phase == PH_READY && e->link ? SL_UP_RUNNING : SL_UP_CONNECTING;
}

void sl_en_publish(struct sl_engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->pub.state = state_now(e);
	e->pub.retry_ns = e->phase == PH_DOWN ? e->retry_ns : 0;
	e->pub.rate = e->budget.rate;
	pthread_mutex_unlock(&e->lock);
}

/* ---- the oldest record not sent
 * ------------------------------------------------------------------------ */

/* Timestamp of the first record at or behind p->done.offset: of its batch, which need not be
 * decompressed for that. */
static void head(struct sl_engine *e, struct part *p)
{
	struct sl_read rd = {.offset = SL_MAX(p->done.offset, sl_part_start(p->p)),
			     .max_bytes = HEAD_BYTES,
			     .at_least_one = true,
			     .buf = e->mem.buf,
			     .cap = e->mem.cap,
			     .max_offset = INT64_MAX};
	int64_t ts = 0;
	int rc;

	e->mem.owner = NULL;
	rc = sl_store_read_tail(p->p, &rd);
	if (rc == -EAGAIN)
		rc = sl_store_read(p->p, &rd);
	if (!rc && rd.len >= SL_BATCH_HDR)
		ts = sl_batch_attrs(rd.buf) & SL_ATTR_LOG_APPEND_TIME ? sl_batch_max_ts(rd.buf)
								      : sl_batch_base_ts(rd.buf);
	__atomic_store_n(&p->head_ts, ts, __ATOMIC_RELAXED);
	__atomic_store_n(&p->head_off, p->done.offset, __ATOMIC_RELAXED);
}

void sl_en_heads(struct sl_engine *e)
{
	unsigned n = 0;

	/* while records are sent they tell it themselves, and e->mem is in use */
	if (e->txn.state != TX_NONE || (e->phase == PH_READY && e->link))
		return;
	sl_en_drop_held(e); /* e->mem is used */
	for (uint32_t i = 0; i < e->slot_cnt && n < HEADS_A_TURN; i++) {
		struct part *p = e->part[i];
		if (!p || p->leaving || p->head_off == p->done.offset ||
		    sl_part_end(p->p) <= p->done.offset)
			continue;
		head(e, p);
		n++;
	}
}

/* ---- sums
 * --------------------------------------------------------------------------------------------------
 */

static void add_part(const struct part *p, struct sl_uplink_stats *s, int64_t *oldest)
{
	int64_t end = SL_MAX(sl_part_end(p->p), p->done.offset);
	int64_t from = SL_MAX(p->done.offset, SL_MIN(sl_part_start(p->p), end));
	int64_t ts = __atomic_load_n(&p->head_ts, __ATOMIC_RELAXED);

	if (p->leaving)
		from = end;
	s->forwarded += p->done.forwarded;
	s->dead_letter += p->done.dead_letter;
	/* what went since is told to the centre with the next commit */
	s->evicted_unsent += p->done.evicted_unsent + (uint64_t)(from - p->done.offset);
	s->backlog += (uint64_t)(end - from);
	s->carried += (uint64_t)(end - p->done.first);
	if (from < end && ts > 0 &&
	    __atomic_load_n(&p->head_off, __ATOMIC_RELAXED) == p->done.offset)
		*oldest = SL_MIN(*oldest, ts);
}

void sl_engine_stats(struct sl_engine *e, struct sl_uplink_stats *ret_stats)
{
	struct sl_uplink_stats s = {0};
	const struct sl_up_gone *g = &e->cfg.state->gone;
	int64_t oldest = INT64_MAX, now = sl_en_wall(e);
	uint64_t mono = sl_en_now(e), retry;

	pthread_mutex_lock(&e->lock);
	s.state = e->pub.state;
	s.rate_bytes = e->pub.rate;
	retry = e->pub.retry_ns;
	s.alarm = e->cfg.state->alarm;
	snprintf(s.last_error, sizeof(s.last_error), "%s", e->last_error);
	for (uint32_t i = 0; i < e->slot_cnt; i++)
		if (e->part[i])
			add_part(e->part[i], &s, &oldest);
	s.carried += g->carried;
	s.forwarded += g->forwarded;
	s.dead_letter += g->dead_letter;
	s.evicted_unsent += g->evicted_unsent;
	pthread_mutex_unlock(&e->lock);
	s.difference = s.carried - s.forwarded - s.dead_letter - s.evicted_unsent - s.backlog;
	s.oldest_ms = s.backlog == 0 ? -1 : oldest == INT64_MAX ? 0 : SL_MAX(now - oldest, 0);
	if (s.state == SL_UP_CONNECTING && retry > mono)
		s.retry_ms = (uint32_t)SL_MIN((retry - mono) / MS, UINT32_MAX);
	*ret_stats = s;
}
