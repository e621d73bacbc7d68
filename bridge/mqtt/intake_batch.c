/* SPDX-License-Identifier: Apache-2.0 */
/* intake_batch.c - record batches: open, on their way, back. */
#include <errno.h>
#include <stdlib.h>

#include "intake_int.h"
#include "platform/base/murmur2.h"

#define REAP_BURST  64
#define RECORDS_MAX 8192 /* of a batch */

/* ---- memory ---------------------------------------------------------------------------------- */

static struct sl_in_batch *from_list(struct sl_in_batch_list *list, unsigned *cnt)
{
	struct sl_in_batch *b = TAILQ_FIRST(list);

	if (b) {
		TAILQ_REMOVE(list, b, link);
		(*cnt)--;
	}
	return b;
}

static struct sl_in_batch *batch_alloc(struct sl_intake *in, uint32_t need, bool waited)
{
	uint32_t size = waited && need <= SL_IN_SMALL ? SL_IN_SMALL : SL_MAX(need, SL_IN_LARGE);
	struct sl_in_batch *b = NULL;

	if (in->memory + size > SL_IN_MEMORY_MAX)
		return NULL;
	if (size == SL_IN_SMALL)
		b = from_list(&in->free_small, &in->free_small_cnt);
	else if (size == SL_IN_LARGE)
		b = from_list(&in->free_large, &in->free_large_cnt);
	if (!b)
		b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	in->memory += size;
	return b;
}

static void batch_free(struct sl_intake *in, struct sl_in_batch *b)
{
	in->memory -= b->size;
	sl_in_topic_unuse(b->topic);
	if (b->size == SL_IN_SMALL && in->free_small_cnt < SL_IN_KEEP) {
		TAILQ_INSERT_HEAD(&in->free_small, b, link);
		in->free_small_cnt++;
	} else if (b->size == SL_IN_LARGE && in->free_large_cnt < SL_IN_KEEP / 4) {
		TAILQ_INSERT_HEAD(&in->free_large, b, link);
		in->free_large_cnt++;
	} else {
		free(b);
	}
}

void sl_in_batch_fini(struct sl_intake *in)
{
	struct sl_in_batch *b;

	while ((b = from_list(&in->free_small, &in->free_small_cnt)))
		free(b);
	while ((b = from_list(&in->free_large, &in->free_large_cnt)))
		free(b);
}

/* ---- its end --------------------------------------------------------------------------------- */

/* All its frames have their answer; the batch is gone. */
static void settle(struct sl_in_batch *b, enum sl_ring_answer a, enum sl_bridge_row row)
{
	struct sl_in_ring *r = b->ring;

	for (uint32_t i = b->first; i != SL_IN_ITEMS; i = r->item[i].next) {
		r->item[i].answer = (uint8_t)a;
		r->item[i].row = (uint8_t)row;
	}
	batch_free(r->in, b);
}

static void logged(struct sl_in_batch *b)
{
	struct sl_in_ring *r = b->ring;

	for (uint32_t i = b->first; i != SL_IN_ITEMS; i = r->item[i].next)
		r->item[i].logged = true;
}

static enum sl_bridge_row row_of(int err)
{
	switch (err) {
	case -ENOSPC:
		return SL_BR_MQTT_REF_DISK;
	case -EMSGSIZE:
		return SL_BR_MQTT_REF_LARGE;
	case -ESHUTDOWN:
		return SL_BR_MQTT_REF_SHUTDOWN;
	default:
		return SL_BR_MQTT_REF_FAILED;
	}
}

static void refused(struct sl_in_batch *b, int err)
{
	struct sl_in_ring *r = b->ring;
	struct sl_intake *in = r->in;

	if (err == -ENOENT || err == -EMSGSIZE) /* deleted, or its settings have changed */
		sl_in_topic_drop(in, b->topic);
	sl_log_limited(&in->log_refused, SL_LOG_WARN, "mqtt", "%s: topic %s: refused: %s", r->name,
		       b->topic->name, strerror(-err));
	settle(b, SL_RING_REFUSED, row_of(err));
}

/* 1: it is answered; 0: not yet. */
static bool is_synced(struct sl_in_batch *b)
{
	enum sl_part_state st;

	if (sl_part_synced(b->a.part) >= b->a.base_offset + b->a.records) {
		settle(b, SL_RING_STORED, SL_BR_MQTT_STORED);
		return true;
	}
	st = sl_part_state(b->a.part);
	if (st != SL_PART_FAILED && st != SL_PART_DELETED)
		return false;
	refused(b, st == SL_PART_FAILED ? -EIO : -ENOENT);
	return true;
}

static void came_back(struct sl_intake *in, struct sl_in_batch *b)
{
	int err = b->a.err;

	if (err == -ENOSPC && b->ring->source && !in->stopping) {
		b->where = SL_IN_IS_HELD;
		b->ring->held = true;
		TAILQ_INSERT_TAIL(&in->held, b, link);
		if (!in->hold.armed)
			sl_timer_set(sl_loop_timers(in->loop), &in->hold,
				     in->now_ns + SL_IN_HOLD_NS);
	} else if (err) {
		refused(b, err);
	} else if (b->a.ack == SL_ACK_SYNCED) {
		logged(b);
		if (is_synced(b))
			return;
		b->where = SL_IN_IS_SYNCING;
		TAILQ_INSERT_TAIL(&in->syncing, b, link);
	} else {
		logged(b);
		settle(b, SL_RING_STORED, SL_BR_MQTT_STORED);
	}
}

bool sl_in_batch_reap(struct sl_intake *in)
{
	struct sl_append *done[REAP_BURST];
	unsigned n, all = 0;

	do {
		n = sl_inject_reap(in->inj, done, REAP_BURST);
		for (unsigned i = 0; i < n; i++) {
			struct sl_in_batch *b = SL_CONTAINER_OF(done[i], struct sl_in_batch, a);
			SL_ASSERT(in->out > 0);
			in->out--;
			in->out_waited -= b->waited;
			came_back(in, b);
		}
		all += n;
	} while (n == REAP_BURST);
	return all > 0;
}

bool sl_in_batch_check_sync(struct sl_intake *in)
{
	struct sl_in_batch *b = TAILQ_FIRST(&in->syncing), *next;
	bool some = false;

	for (; b; b = next) {
		next = TAILQ_NEXT(b, link);
		/* out of the list first: settling frees it */
		TAILQ_REMOVE(&in->syncing, b, link);
		if (is_synced(b)) {
			some = true;
			continue;
		}
		if (next)
			TAILQ_INSERT_BEFORE(next, b, link);
		else
			TAILQ_INSERT_TAIL(&in->syncing, b, link);
	}
	return some;
}

/* ---- on its way ------------------------------------------------------------------------------ */

/* False: the writer's ring is full. */
static bool inject(struct sl_in_batch *b)
{
	struct sl_intake *in = b->ring->in;
	int rc = sl_inject(in->inj, &b->a);

	if (rc == -EAGAIN)
		return false;
	if (rc) {
		refused(b, rc);
		return true;
	}
	b->where = SL_IN_IS_OUT;
	in->out++;
	in->out_waited += b->waited;
	return true;
}

bool sl_in_batch_retry(struct sl_intake *in)
{
	struct sl_in_batch *b;
	bool some = false;

	while ((b = TAILQ_FIRST(&in->retry))) {
		TAILQ_REMOVE(&in->retry, b, link);
		if (!inject(b)) {
			TAILQ_INSERT_HEAD(&in->retry, b, link);
			break;
		}
		some = true;
	}
	return some;
}

void sl_in_batch_release_held(struct sl_intake *in)
{
	struct sl_in_ring *r;

	TAILQ_FOREACH(r, &in->rings, link)
	r->held = false;
	TAILQ_CONCAT(&in->retry, &in->held, link); /* in their order */
}

/* At the stop's end. A plugin's frames are left in its ring, for the next daemon: some of them may
 * be logged already, which it will find. */
static void give_up(struct sl_intake *in, struct sl_in_batch_list *list)
{
	struct sl_in_batch *b;

	while ((b = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, b, link);
		if (b->ring->source)
			settle(b, SL_RING_REFUSED, SL_BR_MQTT_REF_SHUTDOWN);
		else
			batch_free(in, b);
	}
}

void sl_in_batch_refuse_all(struct sl_intake *in)
{
	give_up(in, &in->retry);
	give_up(in, &in->held);
	give_up(in, &in->syncing);
}

/* Where each frame will be found, for the next daemon; and the batch bears its mark. */
static void note(struct sl_in_batch *b)
{
	struct sl_in_ring *r = b->ring;
	struct sl_ring_hdr *h = r->ring.hdr;
	uint32_t seq = atomic_load_explicit(&h->sequence, memory_order_relaxed) & INT32_MAX;
	struct sl_ring_taken t = {.partition = sl_part_pub(b->a.part)->id,
				  .sequence = seq,
				  .end_before = sl_part_end(b->a.part)};

	memcpy(t.topic_id, sl_topic_id(b->topic->t), sizeof(t.topic_id));
	/* never given again, whatever becomes of this batch: a stale note finds nothing */
	atomic_store_explicit(&h->sequence, seq + 1, memory_order_relaxed);
	for (uint32_t i = b->first; i != SL_IN_ITEMS; i = r->item[i].next)
		sl_ring_take(&r->ring, &r->item[i].ref, &t);
	b->a.len = sl_bb_close_as(&b->bb, r->pid, 0, (int32_t)seq);
}

static void batch_close(struct sl_in_batch *b)
{
	struct sl_in_ring *r = b->ring;
	struct sl_intake *in = r->in;

	r->open[b->place] = NULL;
	r->open_cnt--;
	if (b->unkeyed)
		b->topic->next++;
	if (r->pid >= 0)
		note(b);
	else
		b->a.len = sl_bb_close(&b->bb);
	b->a.batch = b->bb.buf;
	b->a.records = b->bb.cnt;
	b->a.max_ts_ms = b->bb.max_ts;
	if (!TAILQ_EMPTY(&in->retry) || !inject(b)) { /* behind those that wait */
		b->where = SL_IN_IS_RETRY;
		TAILQ_INSERT_TAIL(&in->retry, b, link);
	}
}

void sl_in_batch_close_all(struct sl_in_ring *r)
{
	for (unsigned i = 0; r->open_cnt && i < SL_IN_OPEN; i++)
		if (r->open[i])
			batch_close(r->open[i]);
}

/* ---- open ------------------------------------------------------------------------------------ */

/* The place of the partition's open batch, or an empty one; another's is closed for it. */
static unsigned place_of(struct sl_in_ring *r, const struct sl_part *p)
{
	unsigned home = sl_murmur2(&p, sizeof(p)) % SL_IN_OPEN, empty = SL_IN_OPEN;

	for (unsigned i = 0; i < 4; i++) {
		unsigned at = (home + i) % SL_IN_OPEN;
		if (r->open[at] && r->open[at]->a.part == p)
			return at;
		if (!r->open[at] && empty == SL_IN_OPEN)
			empty = at;
	}
	if (empty != SL_IN_OPEN)
		return empty;
	batch_close(r->open[home]);
	return home;
}

static struct sl_in_batch *batch_new(struct sl_in_ring *r, struct sl_in_topic *t, struct sl_part *p,
				     unsigned place, uint32_t need)
{
	struct sl_intake *in = r->in;
	struct sl_in_batch *b = batch_alloc(in, need, r->ref.waited);

	if (!b)
		return NULL;
	b->a = (struct sl_append){.part = p,
				  .producer_id = -1,
				  .producer_epoch = -1,
				  .base_sequence = -1,
				  .origin = SL_ORIGIN_MQTT,
				  .ack = SL_ACK_LOGGED};
	b->ring = r;
	b->topic = t;
	t->uses++;
	b->first = b->last = SL_IN_ITEMS;
	b->place = (uint8_t)place;
	b->where = SL_IN_IS_OPEN;
	b->waited = b->unkeyed = false;
	sl_bb_init(&b->bb, b->buf, SL_MIN(b->size, t->batch_max));
	r->open[place] = b;
	r->open_cnt++;
	return b;
}

static struct sl_part *partition_of(struct sl_intake *in, struct sl_in_topic *t)
{
	const struct sl_map_out *o = &in->out_map;
	uint32_t n = o->has_key ? sl_partition_for(sl_murmur2(o->key, o->key_len), t->parts)
				: t->next % t->parts;

	return sl_topic_part(t->t, (int32_t)n);
}

/* The open batch with room for `need` bytes, or a new one. NULL: no memory now. */
static struct sl_in_batch *batch_for(struct sl_in_ring *r, struct sl_in_topic *t, uint32_t need)
{
	struct sl_part *p = partition_of(r->in, t);
	unsigned at = place_of(r, p);
	struct sl_in_batch *b = r->open[at];

	if (b && (b->bb.len + need > b->bb.cap || b->bb.cnt == RECORDS_MAX)) {
		batch_close(b);
		b = NULL;
	}
	return b ? b : batch_new(r, t, p, at, SL_BATCH_HDR + need);
}

int sl_in_batch_add(struct sl_in_ring *r, struct sl_in_topic *t, uint32_t place)
{
	struct sl_intake *in = r->in;
	const struct sl_map_out *o = &in->out_map;
	uint64_t need = sl_mrecord_bound(&in->rec, &r->msg, o);
	struct sl_slice key = {o->has_key ? o->key : NULL, o->has_key ? o->key_len : 0};
	struct sl_slice value = {r->msg.payload.p, r->msg.payload.len};

	if (need + SL_BATCH_HDR > t->batch_max)
		return -EMSGSIZE;
	struct sl_in_batch *b = batch_for(r, t, (uint32_t)need);
	if (!b)
		return -EAGAIN;
	SL_ASSERT(sl_bb_add(&b->bb, in->wall_ms, key, value, in->rec.hdr, in->rec.hdr_cnt));
	r->item[place].next = SL_IN_ITEMS;
	if (b->first == SL_IN_ITEMS)
		b->first = place;
	else
		r->item[b->last].next = place;
	b->last = place;
	b->unkeyed |= !o->has_key;
	if (o->rule && o->rule->ack == SL_ACK_SYNCED && r->msg.qos > 0)
		b->a.ack = SL_ACK_SYNCED;
	if (r->ref.waited) { /* nothing else comes until it is answered */
		b->waited = true;
		batch_close(b);
	}
	return 0;
}
