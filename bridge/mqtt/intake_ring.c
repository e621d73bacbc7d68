/* SPDX-License-Identifier: Apache-2.0 */
/* intake_ring.c - frames out of a ring, answers into it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "intake_int.h"

struct sl_in_ring *sl_in_ring_new(struct sl_intake *in, void *mem, size_t mem_bytes)
{
	struct sl_in_ring *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->item = malloc(sizeof(*r->item) * SL_IN_ITEMS);
	if (!r->item || sl_ring_open(&r->ring, mem, mem_bytes)) {
		free(r->item);
		free(r);
		return NULL;
	}
	r->in = in;
	r->mem = mem;
	r->mem_bytes = mem_bytes;
	r->pid = -1;
	r->sock.fd = r->wake.fd = -1;
	r->state = SL_IN_RUNNING;
	return r;
}

void sl_in_ring_free(struct sl_in_ring *r)
{
	if (r->wake.fd >= 0)
		close(r->wake.fd);
	if (r->sock.fd >= 0)
		close(r->sock.fd);
	sl_in_handover_free(r->handover);
	munmap(r->mem, r->mem_bytes);
	free(r->item);
	free(r);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void count(struct sl_in_ring *r, const struct sl_in_item *it)
{
	struct sl_ctr_bridge *c = r->in->ctr;

	sl_in_count(&r->messages, 1);
	if (it->row == SL_BR_MQTT_REF_LARGE)
		sl_in_count(&r->too_large, 1);
	else if (it->answer == SL_RING_REFUSED)
		sl_in_count(&r->refused, 1);
	sl_ctr_add(&c->row[it->row], 1);
	sl_ctr_add(&c->row[SL_BR_MQTT_RECEIVED], 1);
}

static struct sl_in_item *item_nth(struct sl_in_ring *r, uint32_t n)
{
	return &r->item[(r->item_at + n) % SL_IN_ITEMS];
}

static void tell_logged(struct sl_in_ring *r)
{
	uint32_t was = r->logged;

	while (r->logged < r->item_cnt) {
		const struct sl_in_item *it = item_nth(r, r->logged);
		if (!it->logged && it->answer == SL_RING_NONE)
			break;
		r->logged++;
	}
	if (r->logged > was)
		atomic_store_explicit(&r->ring.hdr->logged, item_nth(r, r->logged - 1)->ref.id,
				      memory_order_release);
}

void sl_in_ring_answers(struct sl_in_ring *r)
{
	if (!r->item_cnt)
		return;
	tell_logged(r);
	while (r->item_cnt) {
		const struct sl_in_item *it = item_nth(r, 0);
		if (it->answer == SL_RING_NONE)
			break;
		count(r, it);
		r->item_at = (r->item_at + 1) % SL_IN_ITEMS;
		r->item_cnt--;
		r->logged -= r->logged > 0;
		/* one for a run that nobody waits for */
		if (it->ref.waited || !r->item_cnt || item_nth(r, 0)->answer == SL_RING_NONE ||
		    item_nth(r, 0)->ref.waited)
			sl_ring_answer(&r->ring, &it->ref, (enum sl_ring_answer)it->answer);
	}
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* The frame gets a place among those in hand. */
static uint32_t item_new(struct sl_in_ring *r)
{
	uint32_t place = (r->item_at + r->item_cnt++) % SL_IN_ITEMS;

	r->item[place] =
		(struct sl_in_item){.ref = r->ref, .since_ns = r->in->now_ns, .next = SL_IN_ITEMS};
	return place;
}

static bool answer_now(struct sl_in_ring *r, enum sl_ring_answer a, enum sl_bridge_row row)
{
	struct sl_in_item *it = &r->item[item_new(r)];

	it->answer = (uint8_t)a;
	it->row = (uint8_t)row;
	return true;
}

static bool refuse_now(struct sl_in_ring *r, enum sl_bridge_row row)
{
	return answer_now(r, SL_RING_REFUSED, row);
}

/* Names that are checked must not change afterwards: our own copy. */
static void copy_names(struct sl_in_ring *r)
{
	uint8_t *p = r->in->names;

	if (r->topic.len)
		memcpy(p, r->topic.p, r->topic.len);
	r->msg.topic = (struct sl_slice){p, r->topic.len};
	p += r->topic.len;
	if (r->client.len)
		memcpy(p, r->client.p, r->client.len);
	r->msg.client = (struct sl_slice){p, r->client.len};
}

static bool no_topic(struct sl_in_ring *r, int err)
{
	struct sl_intake *in = r->in;

	switch (err) {
	case -EMFILE:
		return refuse_now(r, SL_BR_MQTT_REF_TOPICS);
	case -EINVAL:
		return answer_now(r, SL_RING_SKIPPED, SL_BR_MQTT_BAD_TOPIC);
	case -ENOSPC:
		if (!r->source || in->stopping)
			return refuse_now(r, SL_BR_MQTT_REF_DISK);
		r->held = true;
		if (!in->hold.armed)
			sl_timer_set(sl_loop_timers(in->loop), &in->hold,
				     in->now_ns + SL_IN_HOLD_NS);
		return false;
	case -EINPROGRESS:
	case -EAGAIN:
		return false;
	default:
		return refuse_now(r, SL_BR_MQTT_REF_FAILED);
	}
}

static bool store(struct sl_in_ring *r)
{
	struct sl_intake *in = r->in;
	struct sl_in_topic *t;
	int rc = sl_in_topic_get(r, &t);

	if (rc)
		return no_topic(r, rc);
	if (sl_mrecord_fill(&in->rec, &r->msg, &in->out_map))
		return false;
	uint32_t place = item_new(r);
	rc = sl_in_batch_add(r, t, place);
	if (rc == -EAGAIN) {
		r->item_cnt--;
		return false;
	}
	if (rc) {
		r->item[place].answer = SL_RING_REFUSED;
		r->item[place].row = SL_BR_MQTT_REF_LARGE;
	}
	return true;
}

/* False: it cannot go on now, and stays pending. */
static bool take(struct sl_in_ring *r)
{
	static const uint8_t skipped[SL_MAP_RESULT_CNT] = {
		[SL_MAP_NO_MATCH] = SL_BR_MQTT_NO_MATCH,
		[SL_MAP_BAD_TOPIC] = SL_BR_MQTT_BAD_TOPIC,
		[SL_MAP_BAD_NAME] = SL_BR_MQTT_BAD_NAME,
	};
	struct sl_intake *in = r->in;
	struct sl_map_out *o = &in->out_map;

	if (sl_unlikely(r->handover != NULL) && sl_in_handover_has(r, r->ref.id))
		return answer_now(r, SL_RING_STORED, SL_BR_MQTT_DUPLICATE);
	copy_names(r);
	enum sl_map_result res = sl_map_apply(in->map, r->msg.topic, r->msg.client, o);
	if (res != SL_MAP_OK)
		return answer_now(r, SL_RING_SKIPPED, (enum sl_bridge_row)skipped[res]);
	if (o->rule && o->rule->skip_retained && (r->msg.flags & SL_RING_F_RETAIN))
		return answer_now(r, SL_RING_SKIPPED, SL_BR_MQTT_RETAINED);
	return store(r);
}

/* False: there is none that may be taken now. */
static bool next_frame(struct sl_in_ring *r)
{
	if (r->pending)
		return true;
	if (r->draining && r->ring.pos >= r->drain_to)
		return false;
	int rc = sl_ring_peek(&r->ring, &r->msg, &r->ref);
	if (rc < 0)
		sl_in_ring_broken(r);
	if (rc <= 0)
		return false;
	r->topic = r->msg.topic;
	r->client = r->msg.client;
	r->pending_ns = r->in->now_ns;
	r->pending = true;
	return true;
}

bool sl_in_ring_turn(struct sl_in_ring *r)
{
	unsigned n = 0, quiet = 0;

	sl_in_ring_answers(r);
	if (r->state != SL_IN_RUNNING || r->broken || r->making || r->held || r->in->stopping_hard)
		return false;
	while (n < SL_IN_TURN && r->item_cnt < SL_IN_ITEMS && next_frame(r)) {
		if (!take(r))
			break;
		r->pending = false;
		quiet += !r->ref.waited;
		n++;
	}
	sl_in_batch_close_all(r);
	r->taken += quiet;
	if (n)
		sl_in_ring_answers(r); /* those that are skipped */
	return n > 0;
}

/* ---- its end --------------------------------------------------------------------------------- */

void sl_in_ring_drain(struct sl_in_ring *r)
{
	if (r->draining)
		return;
	r->draining = true;
	/* if it is nonsense, the next peek says so */
	r->drain_to = atomic_load_explicit(&r->ring.hdr->head, memory_order_acquire);
}

bool sl_in_ring_done(const struct sl_in_ring *r)
{
	if (r->item_cnt || r->making || r->state == SL_IN_OPENING)
		return false;
	return r->broken || (r->draining && !r->pending && r->ring.pos >= r->drain_to);
}

void sl_in_ring_broken(struct sl_in_ring *r)
{
	if (r->broken)
		return;
	sl_log_limited(&r->in->log_bad, SL_LOG_ERROR, "mqtt",
		       "%s: what lies in its ring cannot be: let go of it", r->name);
	r->broken = true;
	r->pending = false;
}
