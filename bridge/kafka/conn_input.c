/* SPDX-License-Identifier: Apache-2.0 */
/* conn_input.c - from bytes to requests, within the budget of memory. */
#include <errno.h>
#include <stdlib.h>

#include "conn_priv.h"

/* ---- memory budget --------------------------------------------------------------------------- */

/* What small requests take is there for each connection: nobody can use it up for the others. */
static bool is_small(const struct sl_kconn *c, uint64_t bytes)
{
	return c->held + bytes <= SL_KCONN_SMALL;
}

/*
 * May the connection take `bytes` more? Beyond the budget only one connection at a time may, and
 * only to finish a frame, so that partly received frames cannot block each other for ever.
 */
static bool may_charge(struct sl_kconn *c, uint64_t bytes)
{
	struct sl_kserver *s = c->server;

	if (is_small(c, bytes) || sl_kserver_has_room(s, bytes))
		return true;
	return !s->overdraft || s->overdraft == c;
}

bool sl_kconn_may_hold(struct sl_kconn *c, uint64_t bytes)
{
	if (is_small(c, bytes) || sl_kserver_has_room(c->server, bytes))
		return true;
	if (!c->server->overdraft)
		c->server->overdraft = c;
	return c->server->overdraft == c;
}

/* may_charge() said yes: takes the one place beyond the budget if that was why. */
static void note_overdraft(struct sl_kconn *c)
{
	if (!is_small(c, 0) && sl_kserver_over_budget(c->server))
		c->server->overdraft = c;
}

static void starve(struct sl_kconn *c)
{
	if (!c->starved) {
		c->starved = true;
		TAILQ_INSERT_TAIL(&c->server->starved, c, starved_link);
	}
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* Reads the header and queues the frame. False: broken. */
static bool frame_complete(struct sl_kconn *c)
{
	struct sl_kreq *r = c->partial;
	struct sl_kr *in = &r->in;

	c->partial = NULL;
	c->head_len = 0;
	sl_rd_init(&in->rd, r->frame, r->size);
	int16_t key = sl_kr_i16(in);
	r->version = sl_kr_i16(in);
	r->correlation = sl_kr_i32(in);
	r->api = sl_kapi_find(key);
	bool probe = key == SL_KAPI_API_VERSIONS; /* answered at any version: KIP-511 */
	if (!r->api || (!probe && (r->version < r->api->min || r->version > r->api->max))) {
		sl_kconn_break(c, "API key %d version %d is not served", key, r->version);
		sl_kreq_free(r);
		return false;
	}
	if (!probe || (r->version >= 0 && r->version <= r->api->max)) {
		in->flex = r->version >= r->api->flexible;
		r->client_id = sl_kr_nstr_plain(in);
		sl_kr_tags(in);
	}
	if (in->rd.bad) {
		sl_kreq_free(r);
		sl_kconn_break(c, "malformed request header");
		return false;
	}
	c->first_done = true;
	STAILQ_INSERT_TAIL(&c->reqs, r, link);
	c->req_cnt++;
	if (!c->next_start)
		c->next_start = r;
	sl_kcount(&c->server->counters.requests, 1);
	return true;
}

static bool may_take_frame(struct sl_kconn *c)
{
	const struct sl_kserver_cfg *cfg = &c->server->cfg;
	if (c->req_cnt >= SL_KCONN_PIPELINE_MAX)
		return false;
	if (c->held > SL_MAX(cfg->memory_bytes / 4, SL_KCONN_FRAME_STEP))
		return false;
	/* beyond the budget it may begin, and finish what is small or if nobody else does */
	if (is_small(c, sizeof(struct sl_kreq)) || !sl_kserver_over_budget(c->server))
		return true;
	starve(c);
	return false;
}

/* More memory for the partial frame. False: not now, or broken. */
static bool frame_grow(struct sl_kconn *c, size_t want)
{
	struct sl_kreq *r = c->partial;
	struct sl_kbufs *bufs = &c->server->bufs;
	size_t cap;

	if (!may_charge(c, want - r->frame_cap)) {
		starve(c);
		return false;
	}
	uint8_t *p = sl_kbufs_get(bufs, want, &cap);
	if (!p) {
		sl_kconn_break(c, "out of memory");
		return false;
	}
	if (c->got)
		memcpy(p, r->frame, c->got);
	sl_kbufs_put(bufs, r->frame, r->frame_cap);
	sl_kreq_charge(r, (int64_t)cap - (int64_t)r->frame_cap);
	r->frame = p;
	r->frame_cap = cap;
	note_overdraft(c);
	return true;
}

/* The size field is there. False: broken. */
static bool check_size(struct sl_kconn *c)
{
	uint32_t max = c->server->cfg.request_max_bytes;
	int32_t size = (int32_t)sl_be32(c->head);

	if (!c->first_done)
		max = SL_MIN(max, SL_KCONN_FIRST_FRAME_MAX);
	if (size >= SL_KCONN_FRAME_MIN && (uint32_t)size <= max)
		return true;
	sl_kconn_break(c, "request of %d bytes (%d to %u are taken)", size, SL_KCONN_FRAME_MIN,
		       max);
	return false;
}

/* Makes the request. False: not now, or broken. */
static bool frame_begin(struct sl_kconn *c)
{
	if (!may_take_frame(c))
		return false;
	struct sl_kreq *r = calloc(1, sizeof(*r));
	if (!r) {
		sl_kconn_break(c, "out of memory");
		return false;
	}
	r->conn = c;
	r->server = c->server;
	r->size = sl_be32(c->head);
	c->partial = r;
	c->got = 0;
	c->frame_ns = sl_kserver_mono_ns(c->server);
	sl_kreq_charge(r, sizeof(*r));
	note_overdraft(c);
	return true;
}

/* Room at the end of the partial frame, made if need be. 0: not now, or broken. */
static size_t frame_room(struct sl_kconn *c)
{
	struct sl_kreq *r = c->partial;

	if (c->got == r->frame_cap) {
		size_t want = r->frame_cap ? r->frame_cap * 2 : SL_KCONN_FRAME_STEP;
		if (!frame_grow(c, SL_MIN(want, r->size)))
			return 0;
	}
	return SL_MIN(r->frame_cap, r->size) - c->got;
}

/* Uses some of n bytes. 0: cannot go on now. */
static size_t input_step(struct sl_kconn *c, const uint8_t *p, size_t n)
{
	if (c->head_len < sizeof(c->head)) {
		size_t take = SL_MIN(n, sizeof(c->head) - c->head_len);
		memcpy(c->head + c->head_len, p, take);
		c->head_len += (uint32_t)take;
		if (c->head_len == sizeof(c->head) && !check_size(c))
			return 0;
		return take;
	}
	if (!c->partial && !frame_begin(c))
		return 0;
	size_t room = frame_room(c), take = SL_MIN(n, room);
	if (take == 0)
		return 0;
	memcpy(c->partial->frame + c->got, p, take);
	c->got += (uint32_t)take;
	if (c->got == c->partial->size && !frame_complete(c))
		return 0;
	return take;
}

size_t sl_kconn_input(struct sl_kconn *c, const uint8_t *p, size_t n)
{
	size_t used = 0;

	while (used < n && !c->broken) {
		size_t step = input_step(c, p + used, n - used);
		if (step == 0) {
			c->blocked = true;
			break;
		}
		used += step;
	}
	c->input_ns = sl_kserver_mono_ns(c->server);
	sl_kcount(&c->server->counters.bytes_in, used);
	sl_kconn_pump(c);
	return used;
}

uint8_t *sl_kconn_direct(struct sl_kconn *c, size_t *ret_cap)
{
	if (!c->partial || c->broken)
		return NULL;
	*ret_cap = frame_room(c);
	return *ret_cap ? c->partial->frame + c->got : NULL;
}

void sl_kconn_direct_done(struct sl_kconn *c, size_t n)
{
	SL_ASSERT(c->partial && n <= c->partial->size - c->got);
	c->got += (uint32_t)n;
	c->input_ns = sl_kserver_mono_ns(c->server);
	sl_kcount(&c->server->counters.bytes_in, n);
	if (c->got == c->partial->size && frame_complete(c))
		sl_kconn_pump(c);
}

bool sl_kconn_wants_input(struct sl_kconn *c)
{
	if (c->broken)
		return false;
	bool wants = c->partial ? frame_room(c) > 0 : may_take_frame(c);
	if (wants && c->blocked) /* the peer's time starts again */
		c->input_ns = sl_kserver_mono_ns(c->server);
	c->blocked = !wants;
	return wants;
}
