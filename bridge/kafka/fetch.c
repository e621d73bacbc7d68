/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <errno.h>
#include <stdlib.h>

#include "errors.h"

#define ROOM_MIN 4096u /* a chunk with less is left as it is */

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_leave(struct sl_kfetch *f)
{
	if (f->list) {
		TAILQ_REMOVE(f->list, f, link);
		f->list = NULL;
	}
	sl_timer_cancel(f->req->server->cfg.timers, &f->timer);
}

static void list_join(struct sl_kfetch *f, struct sl_kfetch_list *list)
{
	SL_ASSERT(!f->list);
	f->list = list;
	TAILQ_INSERT_TAIL(list, f, link);
}

static void wait_is_over(void *arg)
{
	struct sl_kfetch *f = arg;
	list_leave(f);
	sl_kfetch_answer(f);
}

void sl_kfetch_cancel(struct sl_kreq *r)
{
	struct sl_kfetch *f = r->ctx;
	f->cancelled = true;
	if (f->job_out)
		return;
	list_leave(f);
	sl_kfetch_free(f);
	sl_kreq_drop(r);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void drop_empty_chunk(struct sl_kfetch *f)
{
	struct sl_kout *o = &f->req->out;
	struct sl_kchunk *c = SLIST_FIRST(&o->chunks);

	if (!c || c->len)
		return;
	SLIST_REMOVE_HEAD(&o->chunks, link);
	sl_kreq_charge(f->req, -(int64_t)c->buf_cap);
	sl_kbufs_put(&f->req->server->bufs, c, c->buf_cap);
}

/*
 * A chunk with at least `need` free bytes; a new one is larger unless memory is short. -ENOBUFS:
 * memory is too short for that. -ENOMEM.
 */
static int chunk_with(struct sl_kfetch *f, uint32_t need, struct sl_kchunk **ret)
{
	struct sl_kserver *s = f->req->server;
	struct sl_kchunk *c = SLIST_FIRST(&f->req->out.chunks);

	/* a small chunk that only shows again what the batch needs would be freed at once, and what
	 * is freed feeds the hungry: for ever */
	need = SL_MAX(need, f->hungry_for);
	uint32_t size = SL_MAX(need, SL_KFETCH_CHUNK - sizeof(*c));
	*ret = c;
	if (c && c->cap - c->len >= need)
		return 0;
	drop_empty_chunk(f);
	if (!sl_kserver_has_room(s, sl_kbufs_cap(sizeof(*c) + size))) {
		size = need;
		/* only a first batch may go beyond the budget, and only one connection's */
		if (f->total || !sl_kconn_may_hold(f->req->conn, sl_kbufs_cap(sizeof(*c) + size))) {
			f->hungry_for = need;
			return -ENOBUFS;
		}
	}
	c = sl_kout_chunk(&f->req->out, &s->bufs, size);
	if (!c)
		return -ENOMEM;
	f->hungry_for = 0;
	sl_kreq_charge(f->req, (int64_t)c->buf_cap);
	*ret = c;
	return 0;
}

static bool seg_add(struct sl_kfetch *f, struct sl_kfetch_part *x, const uint8_t *p, uint32_t len)
{
	if (x->seg_last) { /* right behind the piece before: one piece */
		struct sl_kfetch_seg *last = &f->seg[x->seg_last - 1];
		if (last->p + last->len == p) {
			last->len += len;
			return true;
		}
	}
	if (f->seg_cnt == f->seg_cap) {
		uint32_t cap = f->seg_cap ? f->seg_cap * 2 : 8;
		struct sl_kfetch_seg *seg = realloc(f->seg, cap * sizeof(*seg));
		if (!seg)
			return false;
		f->seg = seg;
		f->seg_cap = cap;
	}
	f->seg[f->seg_cnt++] = (struct sl_kfetch_seg){.p = p, .len = len};
	if (x->seg_last)
		f->seg[x->seg_last - 1].next = f->seg_cnt;
	else
		x->seg_first = f->seg_cnt;
	x->seg_last = f->seg_cnt;
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool wants(const struct sl_kfetch *f, const struct sl_kfetch_part *x)
{
	if (f->total && sl_kserver_over_budget(f->req->server))
		return false; /* memory is short: what there is will do */
	return !x->err && !x->full && f->total < (uint64_t)f->max_bytes &&
	       sl_part_end(x->part) > x->next;
}

static void set_read(const struct sl_kfetch *f, const struct sl_kfetch_part *x, struct sl_kchunk *c,
		     struct sl_read *rd)
{
	int64_t part_left = (int64_t)x->max_bytes - x->got;
	int64_t left = SL_MIN(part_left, (int64_t)f->max_bytes - (int64_t)f->total);
	*rd = (struct sl_read){.offset = x->next,
			       .max_bytes = (uint32_t)SL_MAX(left, 0),
			       /* the first batch of an answer is due whatever its size: KIP-74 */
			       .at_least_one = f->total == 0,
			       .buf = c->data + c->len,
			       .cap = c->cap - c->len,
			       .max_offset = INT64_MAX};
}

/* An error stops the wait; but what was read before it goes out without it. */
static void part_error(struct sl_kfetch *f, struct sl_kfetch_part *x, int16_t err)
{
	f->at_once = true;
	x->full = true;
	if (x->got == 0)
		x->err = err;
}

/* Takes in what a read returned. */
static void take(struct sl_kfetch *f, struct sl_kfetch_part *x, const struct sl_read *rd, int rc)
{
	struct sl_kchunk *c = SLIST_FIRST(&f->req->out.chunks);

	if (rc) {
		part_error(f, x, sl_kerr_of_read(rc));
		return;
	}
	if (rd->len == 0) {
		/* there is more, but it does not fit; or it was not there after all */
		x->full = !rd->at_least_one;
		return;
	}
	if (!seg_add(f, x, rd->buf, rd->len)) {
		part_error(f, x, SL_KERR_UNKNOWN_SERVER_ERROR);
		return;
	}
	c->len += rd->len;
	x->next = rd->next_offset;
	x->got += rd->len;
	f->total += rd->len;
	if ((int64_t)x->got >= x->max_bytes)
		x->full = true;
	sl_kcount(&f->req->server->counters.fetch_bytes, rd->len);
}

static void job_run(struct sl_job *j, void *worker)
{
	struct sl_kfetch *f = SL_CONTAINER_OF(j, struct sl_kfetch, job);
	(void)worker;
	f->job_err = -ECANCELED;
	if (!sl_kserver_cancelled(f->req->server))
		f->job_err = sl_store_read(f->parts[f->at].part, &f->job_read);
}

static void park(struct sl_kfetch *f, struct sl_kfetch_list *list, uint64_t until_ns);

/* No memory for another chunk: f ends with what it has, or waits for memory if that is nothing. */
static void no_chunk(struct sl_kfetch *f, int rc)
{
	struct sl_kserver *s = f->req->server;

	if (rc == -ENOBUFS && f->total == 0) {
		uint64_t until_ns = SL_MAX(f->deadline_ns, sl_kserver_mono_ns(s));
		park(f, &s->hungry, until_ns + SL_KFETCH_HUNGRY_MS * 1000000ull);
		return;
	}
	if (rc == -ENOMEM)
		part_error(f, &f->parts[f->at], SL_KERR_UNKNOWN_SERVER_ERROR);
	sl_kfetch_answer(f);
}

static int hand_over(struct sl_kfetch *f, uint32_t need);

static void job_done(struct sl_job *j)
{
	struct sl_kfetch *f = SL_CONTAINER_OF(j, struct sl_kfetch, job);
	struct sl_kreq *r = f->req;

	f->job_out = false;
	if (f->cancelled) {
		sl_kfetch_free(f);
		sl_kreq_drop(r);
		return;
	}
	if (f->job_err == -EMSGSIZE && f->job_read.need > f->job_read.cap) {
		if (hand_over(f, f->job_read.need))
			list_join(f, &r->server->cold);
		return;
	}
	sl_kcount(&r->server->counters.fetch_from_disk, f->job_err ? 0 : f->job_read.len);
	take(f, &f->parts[f->at], &f->job_read, f->job_err);
	sl_kfetch_run(f);
}

/*
 * Reads partition f->at in a worker; `need` bytes are a batch that is due, 0: unknown. -EAGAIN: the
 * pool is full. Otherwise f may be gone.
 */
static int hand_over(struct sl_kfetch *f, uint32_t need)
{
	struct sl_kfetch_part *x = &f->parts[f->at];
	struct sl_kchunk *c;
	/* a read from disk is worth more than what is left of a chunk: two thread switches each */
	bool room = sl_kserver_has_room(f->req->server, 2 * SL_KFETCH_COLD_CHUNK);
	uint32_t least = room ? SL_KFETCH_COLD_CHUNK - sizeof(*c) : SL_KFETCH_CHUNK / 2;
	int err = chunk_with(f, need ? need : least, &c);

	if (err) {
		no_chunk(f, err);
		return 0;
	}
	set_read(f, x, c, &f->job_read);
	f->job = (struct sl_job){.run = job_run, .done = job_done};
	int rc = sl_pool_submit(f->req->server->pool, &f->job);
	f->job_out = rc == 0;
	return rc;
}

/*
 * Copies what memory has of one partition, up to *budget. 0; -EAGAIN: it is on disk; as
 * chunk_with().
 */
static int read_part(struct sl_kfetch *f, struct sl_kfetch_part *x, int64_t *budget)
{
	uint32_t need = ROOM_MIN;

	while (*budget > 0 && wants(f, x)) {
		struct sl_kchunk *c;
		struct sl_read rd;
		int rc = chunk_with(f, need, &c);
		if (rc)
			return rc;
		set_read(f, x, c, &rd);
		rc = sl_store_read_tail(x->part, &rd);
		if (rc == -EAGAIN)
			return rc;
		if (rc == -EMSGSIZE && rd.need > rd.cap) {
			need = rd.need;
			continue;
		}
		need = ROOM_MIN;
		take(f, x, &rd, rc);
		*budget -= rd.len;
		if (rc || rd.len == 0)
			break;
	}
	return 0;
}

static bool enough(const struct sl_kfetch *f)
{
	if (f->at_once || f->total >= (uint64_t)SL_MAX(f->min_bytes, 0) ||
	    f->total >= (uint64_t)f->max_bytes)
		return true;
	if (f->total && sl_kserver_over_budget(f->req->server))
		return true; /* memory is short: send what there is */
	if (sl_kserver_mono_ns(f->req->server) >= f->deadline_ns)
		return true;
	for (uint32_t i = 0; i < f->part_cnt; i++)
		if (!f->parts[i].err && !f->parts[i].full)
			return false;
	return true; /* nothing can come any more */
}

/* Waits in a list, but not beyond until_ns. */
static void park(struct sl_kfetch *f, struct sl_kfetch_list *list, uint64_t until_ns)
{
	f->timer.fn = wait_is_over;
	f->timer.arg = f;
	list_join(f, list);
	sl_timer_set(f->req->server->cfg.timers, &f->timer, until_ns);
}

void sl_kfetch_run(struct sl_kfetch *f)
{
	struct sl_kserver *s = f->req->server;
	int64_t budget = SL_KFETCH_TURN_BYTES;

	for (; f->at < f->part_cnt; f->at++) {
		struct sl_kfetch_part *x = &f->parts[f->at];
		if (x->err)
			continue;
		if (sl_part_state(x->part) == SL_PART_DELETED) {
			part_error(f, x, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
			continue;
		}
		int rc = read_part(f, x, &budget);
		if (rc == -EAGAIN) {
			if (hand_over(f, 0))
				list_join(f, &s->cold);
			return;
		}
		if (rc) {
			no_chunk(f, rc);
			return;
		}
		if (budget <= 0 && wants(f, x)) {
			list_join(f, &s->fetching);
			return;
		}
	}
	f->at = 0;
	if (enough(f))
		sl_kfetch_answer(f);
	else
		park(f, &s->parked, f->deadline_ns);
}

/* ---- called every turn
 * --------------------------------------------------------------------------- */

static bool has_news(const struct sl_kfetch *f)
{
	for (uint32_t i = 0; i < f->part_cnt; i++) {
		const struct sl_kfetch_part *x = &f->parts[i];
		if (!x->err && (wants(f, x) || sl_part_state(x->part) == SL_PART_DELETED))
			return true;
	}
	return false;
}

void sl_kfetch_check_parked(struct sl_kserver *s)
{
	struct sl_kfetch *last = TAILQ_LAST(&s->parked, sl_kfetch_list);
	struct sl_kfetch *f = NULL, *next = TAILQ_FIRST(&s->parked);

	while (f != last) { /* what parks while this runs comes behind `last` */
		f = next;
		next = TAILQ_NEXT(f, link);
		if (has_news(f)) {
			list_leave(f);
			sl_kfetch_run(f);
		}
	}
}

void sl_kfetch_squeeze(struct sl_kserver *s)
{
	struct sl_kfetch *last = TAILQ_LAST(&s->parked, sl_kfetch_list);
	struct sl_kfetch *f = NULL, *next = TAILQ_FIRST(&s->parked);

	while (f != last) { /* an answer may let another one park, behind `last` */
		f = next;
		next = TAILQ_NEXT(f, link);
		if (f->total)
			wait_is_over(f);
	}
}

static void end_all(struct sl_kfetch_list *list)
{
	struct sl_kfetch *last = TAILQ_LAST(list, sl_kfetch_list), *f = NULL;

	while (f != last) {
		f = TAILQ_FIRST(list);
		wait_is_over(f);
	}
}

void sl_kfetch_give_up(struct sl_kserver *s)
{
	end_all(&s->parked);
	end_all(&s->hungry);
}

static void run_each(struct sl_kfetch_list *list)
{
	struct sl_kfetch *last = TAILQ_LAST(list, sl_kfetch_list), *f = NULL;

	while (f != last) {
		f = TAILQ_FIRST(list);
		list_leave(f);
		sl_kfetch_run(f);
	}
}

void sl_kfetch_feed(struct sl_kserver *s)
{
	run_each(&s->hungry);
}

void sl_kfetch_continue(struct sl_kserver *s)
{
	run_each(&s->fetching);
	if (sl_pool_pending(s->pool) < SL_KSERVER_JOBS_MAX)
		run_each(&s->cold);
}
