/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - life, turns, the sink's events, what the operator orders. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine_priv.h"
#include "platform/base/clock.h"

uint64_t sl_en_now(const struct sl_engine *e)
{
	return e->cfg.now_ns ? e->cfg.now_ns(e->cfg.arg) : sl_clock_mono_ns();
}

int64_t sl_en_wall(const struct sl_engine *e)
{
	return e->cfg.wall_ms ? e->cfg.wall_ms(e->cfg.arg) : sl_clock_wall_ms();
}

void sl_en_count(struct sl_engine *e, enum sl_bridge_row row, uint64_t n)
{
	if (e->cfg.counters)
		sl_ctr_add(&e->cfg.counters->row[row], n);
}

/* splitmix64 */
static uint64_t draw(struct sl_engine *e)
{
	uint64_t z = (e->rng += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- what goes wrong ---------------------------------------------------------------------------
 */

static void set_error(struct sl_engine *e, const char *text)
{
	pthread_mutex_lock(&e->lock);
	snprintf(e->last_error, sizeof(e->last_error), "%s", text);
	pthread_mutex_unlock(&e->lock);
}

void sl_en_error(struct sl_engine *e, const char *fmt, ...)
{
	char text[SL_CFG_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	set_error(e, text);
	sl_log_limited(&e->log_limit, SL_LOG_WARN, "uplink", "%s", text);
}

/* Between half of it and all. */
uint64_t sl_en_backoff_ns(struct sl_engine *e, unsigned failures)
{
	uint64_t min = SL_MAX(e->cfg.config->uplink.backoff_min_ms, 1u);
	uint64_t max = SL_MAX(e->cfg.config->uplink.backoff_max_ms, min);
	uint64_t ms = min;

	for (unsigned i = 1; i < failures && ms < max; i++)
		ms *= 2;
	ms = SL_MIN(ms, max);
	return (ms * MS) / 2 + draw(e) % ((ms * MS) / 2 + 1);
}

void sl_en_close(struct sl_engine *e)
{
	if (e->phase != PH_DOWN)
		e->ops->close(e->cfg.sink);
	e->phase = PH_DOWN;
}

void sl_en_rebuild(struct sl_engine *e, bool at_once)
{
	sl_en_close(e);
	sl_en_forget_txn(e, e->txn.state == TX_COMMIT);
	e->failures++;
	sl_en_count(e, SL_BR_UP_REBUILDS, 1);
	if (at_once && e->failures == 1) {
		e->retry_ns = sl_en_now(e);
		return;
	}
	e->link = false;
	sl_store_link_set(e->cfg.store, false);
	e->retry_ns = sl_en_now(e) + sl_en_backoff_ns(e, e->failures);
}

void sl_en_alarm(struct sl_engine *e, enum sl_up_alarm alarm, const char *fmt, ...)
{
	struct sl_upstate *st = e->cfg.state;
	va_list ap;

	sl_en_close(e);
	sl_en_forget_txn(e, false);
	sl_store_link_set(e->cfg.store, false);
	pthread_mutex_lock(&e->lock);
	st->alarm = alarm;
	va_start(ap, fmt);
	vsnprintf(st->alarm_text, sizeof(st->alarm_text), fmt, ap);
	va_end(ap);
	for (char *p = st->alarm_text; *p; p++) /* it becomes a line of the file */
		if ((unsigned char)*p < ' ')
			*p = ' ';
	snprintf(e->last_error, sizeof(e->last_error), "%s", st->alarm_text);
	pthread_mutex_unlock(&e->lock);
	e->retry_ns = UINT64_MAX;
	sl_log(SL_LOG_ERROR, "uplink",
	       "ALARM %s: %s. Nothing is sent until the operator decides (sluice uplink adopt); "
	       "ingest goes on",
	       sl_up_alarm_name(alarm), st->alarm_text);
	sl_en_save(e);
}

/* ---- the file -----------------------------------------------------------------------------------
 */

void sl_en_save_in(struct sl_engine *e, uint64_t ns)
{
	e->save_ns = SL_MIN(e->save_ns, sl_en_now(e) + ns);
}

static int put_line(struct sl_engine *e, const struct part *p)
{
	const struct sl_topic *t = p->topic->t;
	struct sl_upstate_part *line;
	int rc = sl_upstate_add(e->cfg.state, sl_topic_id(t), p->id, &line);

	if (rc)
		return rc;
	strcpy(line->topic, sl_topic_name(t));
	line->found = p->leaving ? sl_part_end(p->p) : SL_MAX(p->found, p->done.offset);
	line->pos = p->done;
	return 0;
}

int sl_en_save(struct sl_engine *e)
{
	struct sl_upstate *st = e->cfg.state;
	struct sl_upstate_part *line;
	int rc = 0;

	if (st->alarm == SL_UP_ALARM_COPY)
		return 0; /* the file is another box's until the operator says otherwise */
	st->part_cnt = 0;
	for (uint32_t i = 0; i < e->slot_cnt && !rc; i++)
		if (e->part[i])
			rc = put_line(e, e->part[i]);
	for (uint32_t i = 0; i < e->other_cnt && !rc; i++) {
		rc = sl_upstate_add(st, e->other[i].topic_id, e->other[i].partition, &line);
		if (!rc)
			*line = e->other[i];
	}
	sl_upstate_sort(st);
	if (!rc)
		rc = sl_upstate_save(st);
	e->saved |= rc == 0;
	e->save_ns = rc ? sl_en_now(e) + SAVE_RETRY_NS : UINT64_MAX;
	if (rc)
		sl_en_error(e, "state/uplink cannot be written: %s", strerror(-rc));
	return rc;
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static int start(struct sl_engine *e, char *err, size_t errlen)
{
	struct sl_upstate *st = e->cfg.state;
	struct sl_text_err te = {0};
	int rc = sl_tpl_new(e->cfg.config->uplink.destination, SL_DEST_VARS, SL_DEST_CNT,
			    &e->dest_tpl, &te);

	if (rc) {
		snprintf(err, errlen, "uplink.destination %s", te.why);
		return rc;
	}
	e->same_names = !strcmp(st->destination, e->cfg.config->uplink.destination);
	e->ev = calloc(EVENTS_MAX, sizeof(*e->ev));
	rc = e->ev ? sl_cursor_mem_init(&e->mem) : -ENOMEM;
	if (!rc)
		rc = sl_en_topics(e, true);
	if (rc) {
		snprintf(err, errlen, "out of memory");
		return rc;
	}
	if (st->alarm) {
		sl_log(SL_LOG_ERROR, "uplink",
		       "ALARM %s: %s. Nothing is sent until the operator decides (sluice uplink "
		       "adopt); ingest goes on",
		       sl_up_alarm_name(st->alarm), st->alarm_text);
		snprintf(e->last_error, sizeof(e->last_error), "%s", st->alarm_text);
	} else {
		st->checked = false; /* `found` stands until the centre was looked at */
	}
	e->retry_ns = st->alarm ? UINT64_MAX : 0;
	strcpy(st->destination, e->cfg.config->uplink.destination);
	sl_en_save(e); /* a disk that does not take it now is asked again */
	sl_en_publish(e);
	return 0;
}

int sl_engine_new(const struct sl_engine_cfg *cfg, struct sl_engine **ret_engine, char *err,
		  size_t errlen)
{
	struct sl_engine *e = calloc(1, sizeof(*e));
	int rc;

	if (!e) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	e->cfg = *cfg;
	e->ops = cfg->sink->ops;
	e->rng = cfg->seed;
	e->save_ns = UINT64_MAX;
	e->log_limit = (struct sl_log_limit)SL_LOG_LIMIT(5, 60000);
	pthread_mutex_init(&e->lock, NULL);
	sl_budget_set(&e->budget, cfg->config->uplink.rate_bytes, sl_en_now(e));
	rc = start(e, err, errlen);
	if (rc) {
		sl_engine_free(e);
		return rc;
	}
	*ret_engine = e;
	return 0;
}

void sl_engine_free(struct sl_engine *e)
{
	if (!e)
		return;
	sl_en_close(e);
	sl_store_link_set(e->cfg.store, false);
	sl_en_topics_fini(e);
	sl_cursor_mem_fini(&e->mem);
	sl_tpl_free(e->dest_tpl);
	free(e->txn.touched);
	free(e->pos);
	free(e->hdr);
	free(e->ev);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* ---- the sink's events
 * --------------------------------------------------------------------------- */

static void link_changed(struct sl_engine *e, const struct sl_sink_event *ev)
{
	bool up = ev->kind == SL_SINK_LINK_UP;

	if (e->link == up)
		return;
	e->link = up;
	if (!up)
		sl_en_error(e, "no connection to the centre: %s", ev->text);
	else
		sl_log(SL_LOG_INFO, "uplink", "the centre answers again");
	sl_store_link_set(e->cfg.store, up && e->phase == PH_READY);
}

/* Retry: the call that ended is made again. */
static void retry(struct sl_engine *e)
{
	int rc = -EPIPE;

	if (e->txn.state == TX_COMMIT)
		rc = e->ops->commit(e->cfg.sink);
	else if (e->txn.state == TX_ABORT)
		rc = e->ops->abort(e->cfg.sink);
	else if (e->txn.state != TX_NONE)
		return;
	if (rc)
		sl_en_rebuild(e, false);
}

static void failed(struct sl_engine *e, const struct sl_sink_event *ev)
{
	/* a transaction with a refusal fails as it should: what it was about is told elsewhere */
	if (!(ev->class == SL_SINK_ABORT && e->txn.refused))
		sl_en_error(e, "%s", ev->text);
	switch (ev->class) {
	case SL_SINK_RETRY:
		retry(e);
		break;
	case SL_SINK_ABORT:
		if (e->txn.state == TX_NONE || e->txn.state == TX_ABORT)
			sl_en_rebuild(e, true);
		else
			sl_en_abort(e);
		break;
	case SL_SINK_FENCED:
		sl_en_count(e, SL_BR_UP_FENCES, 1);
		sl_en_rebuild(e, true);
		break;
	case SL_SINK_REBUILD:
		sl_en_rebuild(e, e->phase == PH_READY);
		break;
	case SL_SINK_DENIED:
		sl_en_rebuild(e, false);
		break;
	}
}

static void event(struct sl_engine *e, const struct sl_sink_event *ev)
{
	switch (ev->kind) {
	case SL_SINK_READY:
		if (e->phase == PH_OPENING)
			sl_en_opened(e);
		break;
	case SL_SINK_POSITION:
	case SL_SINK_CLAIM:
	case SL_SINK_BAD_POSITION:
		if (e->phase == PH_OPENING)
			sl_en_open_event(e, ev);
		break;
	case SL_SINK_DELIVERED:
	case SL_SINK_UNSENT:
		break;
	case SL_SINK_REFUSED:
		sl_en_refused(e, ev);
		break;
	case SL_SINK_COMMITTED:
		if (e->txn.state == TX_COMMIT)
			sl_en_committed(e);
		break;
	case SL_SINK_ABORTED:
		if (e->txn.state == TX_ABORT)
			sl_en_aborted(e);
		break;
	case SL_SINK_TOPIC_READY:
	case SL_SINK_TOPIC_GONE:
	case SL_SINK_TOPIC_FAILED:
		sl_en_dest_event(e, ev);
		break;
	case SL_SINK_LINK_DOWN:
	case SL_SINK_LINK_UP:
		link_changed(e, ev);
		break;
	case SL_SINK_FAILED:
		failed(e, ev);
		break;
	}
}

static void events(struct sl_engine *e)
{
	unsigned n;

	do {
		n = e->phase == PH_DOWN ? 0 : e->ops->poll(e->cfg.sink, e->ev, EVENTS_MAX, 0);
		/* what comes behind an end of the connection is of that connection */
		for (unsigned i = 0; i < n && e->phase != PH_DOWN; i++)
			event(e, &e->ev[i]);
	} while (n == EVENTS_MAX);
}

/* ---- turns
 * --------------------------------------------------------------------------------------- */

static bool wanted(const struct sl_engine *e)
{
	return !e->stopping && !e->cfg.state->paused && !e->cfg.state->alarm;
}

static void step_down(struct sl_engine *e)
{
	if (wanted(e) && e->saved && sl_en_now(e) >= e->retry_ns)
		sl_en_open(e);
	else if (e->stopping)
		e->stopped = true;
}

/* What the operator wants stopped ends between two transactions. */
static bool step_end(struct sl_engine *e)
{
	if (wanted(e))
		return false;
	if (e->txn.state == TX_OPEN)
		sl_en_finish(e);
	if (e->txn.state != TX_NONE)
		return false;
	sl_en_close(e);
	sl_store_link_set(e->cfg.store, false);
	e->retry_ns = 0; /* when it is wanted again, at once */
	e->failures = 0;
	if (e->save_ns != UINT64_MAX)
		sl_en_save(e);
	return true;
}

static void follow(struct sl_engine *e)
{
	if (e->txn.state == TX_NONE && sl_store_generation(e->cfg.store) != e->generation &&
	    sl_en_topics(e, false))
		sl_en_error(e, "out of memory: new topics are not carried yet");
}

/* Until when there is nothing to do in PH_READY. */
static uint64_t step_ready(struct sl_engine *e)
{
	uint64_t now = sl_en_now(e), until = UINT64_MAX;

	if (step_end(e))
		return 0;
	switch (e->txn.state) {
	case TX_NONE:
		until = sl_en_dests(e);
		if (e->hold_ns > now)
			return SL_MIN(until, e->hold_ns);
		/* fall through */
		__attribute__((fallthrough));
	case TX_OPEN:
		now = e->link ? sl_en_send(e) : now + POLL_NS;
		return SL_MIN(until, now);
	case TX_POSITIONS:
		sl_en_positions(e);
		/* fall through */
		__attribute__((fallthrough));
	case TX_COMMIT:
	case TX_ABORT:
		return now + POLL_NS;
	}
	return now;
}

/* The time of a transaction that was left open without a link, and nothing else, runs on. */
static void overdue(struct sl_engine *e)
{
	if (e->phase == PH_READY && e->txn.state == TX_OPEN && !e->link &&
	    sl_en_now(e) >= e->txn.begun_ns + e->cfg.config->uplink.commit_interval_ms * MS)
		sl_en_finish(e);
}

void sl_engine_turn(struct sl_engine *e, struct sl_engine_wait *ret_wait)
{
	uint64_t until;

	e->want_store = false;
	events(e);
	follow(e);
	overdue(e);
	if (e->phase == PH_DOWN)
		step_down(e);
	if (e->phase == PH_DOWN)
		until = wanted(e) ? (e->saved ? e->retry_ns : e->save_ns) : UINT64_MAX;
	else if (e->phase == PH_READY)
		until = step_ready(e);
	else {
		if (e->phase == PH_CLAIM && e->txn.state == TX_POSITIONS)
			sl_en_positions(e);
		if (!wanted(e) && e->phase != PH_DOWN) { /* not worth waiting for */
			sl_en_forget_txn(e, e->txn.state == TX_COMMIT);
			sl_en_close(e);
			until = 0;
		} else
			until = sl_en_now(e) + POLL_NS;
	}
	sl_en_heads(e);
	if (sl_en_now(e) >= e->save_ns)
		sl_en_save(e);
	sl_en_publish(e);
	uint64_t now = sl_en_now(e);
	ret_wait->store = e->want_store && e->phase == PH_READY;
	ret_wait->until_ns = e->stopped ? UINT64_MAX : SL_MIN(until, now + TICK_NS);
	if (until <= now)
		ret_wait->until_ns = 0;
}

/* ---- the operator
 * --------------------------------------------------------------------------------- */

int sl_engine_pause(struct sl_engine *e, bool paused)
{
	struct sl_upstate *st = e->cfg.state;
	int rc;

	if (st->paused == paused)
		return 0;
	st->paused = paused;
	rc = st->alarm == SL_UP_ALARM_COPY ? -EBUSY : sl_en_save(e);
	if (rc)
		st->paused = !paused;
	else
		sl_log(SL_LOG_INFO, "uplink", "%s by the operator", paused ? "paused" : "resumed");
	if (!rc && !paused && !st->alarm) {
		e->retry_ns = 0;
		e->failures = 0;
	}
	sl_en_publish(e);
	return rc;
}

void sl_engine_rate(struct sl_engine *e, uint64_t bytes_per_s)
{
	sl_budget_set(&e->budget, bytes_per_s, sl_en_now(e));
	sl_en_publish(e);
}

int sl_engine_adopt(struct sl_engine *e)
{
	struct sl_upstate *st = e->cfg.state, old;
	int rc = 0;

	if (!st->alarm)
		return -EALREADY;
	old = *st;
	st->identity = st->here;
	if (st->alarm == SL_UP_ALARM_COPY)
		rc = sl_upstate_token(st->instance);
	pthread_mutex_lock(&e->lock);
	st->alarm = SL_UP_ALARM_NONE;
	st->alarm_text[0] = 0;
	st->adopt = true;
	pthread_mutex_unlock(&e->lock);
	if (!rc)
		rc = sl_en_save(e);
	if (rc) {
		pthread_mutex_lock(&e->lock);
		st->identity = old.identity;
		strcpy(st->instance, old.instance);
		st->alarm = old.alarm;
		memcpy(st->alarm_text, old.alarm_text, sizeof(old.alarm_text));
		st->adopt = old.adopt;
		pthread_mutex_unlock(&e->lock);
		return rc;
	}
	set_error(e, "");
	sl_log(SL_LOG_WARN, "uplink", "adopted by the operator: this directory is gateway %s",
	       st->gateway);
	e->life = false;
	e->failures = 0;
	e->retry_ns = 0;
	sl_en_publish(e);
	return 0;
}

void sl_engine_stop(struct sl_engine *e)
{
	e->stopping = true;
}

bool sl_engine_stopped(const struct sl_engine *e)
{
	return e->stopped;
}
