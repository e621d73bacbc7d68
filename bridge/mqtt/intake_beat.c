/* SPDX-License-Identifier: Apache-2.0 */
/* intake_beat.c - 20 times a second: the heartbeat, and what plugins and clients have counted. */
#include "intake_int.h"

#define NS_PER_MS 1000000u

/* What a plugin counted since it was looked at last, also by another daemon. */
static void read_figures(struct sl_in_ring *r)
{
	struct sl_ring_hdr *h = r->ring.hdr;
	const struct {
		_Atomic uint64_t *now;
		enum sl_bridge_row row;
	} f[] = {{&h->lost_qos0, SL_BR_MQTT_LOST_QOS0},
		 {&h->pushed_back, SL_BR_MQTT_PUSHED_BACK},
		 {&h->waits_expired, SL_BR_MQTT_EXPIRED_WAITS},
		 {&h->cut_props, SL_BR_MQTT_CUT_PROPS}};

	_Static_assert(SL_ARRAY_SIZE(f) == SL_ARRAY_SIZE(h->counted), "one each");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(f); i++) {
		uint64_t now = atomic_load_explicit(f[i].now, memory_order_relaxed);
		uint64_t was = atomic_load_explicit(&h->counted[i], memory_order_relaxed);
		if (now <= was)
			continue;
		sl_ctr_add(&r->in->ctr->row[f[i].row], now - was);
		atomic_store_explicit(&h->counted[i], now, memory_order_relaxed);
	}
}

static void read_lost(struct sl_in_ring *r)
{
	uint64_t now = atomic_load_explicit(&r->lost, memory_order_relaxed);

	sl_ctr_add(&r->in->ctr->row[SL_BR_MQTT_LOST_BROKER], now - r->lost_seen);
	r->lost_seen = now;
}

/* Somebody waits for a frame that is under way for too long: it stands still. */
static bool is_stuck(const struct sl_in_ring *r)
{
	const struct sl_in_item *it = &r->item[r->item_at];

	uint64_t since = r->item_cnt ? it->since_ns : r->pending ? r->pending_ns : r->in->now_ns;

	return r->in->now_ns - since > SL_RING_STALL_MS * (uint64_t)NS_PER_MS;
}

void sl_in_keep_stats(struct sl_intake *in)
{
	struct sl_mqtt_stats *s = &in->stats;
	const struct sl_in_ring *r;

	pthread_mutex_lock(&in->lock);
	s->brokers = 0;
	TAILQ_FOREACH(r, &in->rings, link)
	{
		if (r->source || s->brokers == SL_MQTT_PLUGINS_MAX)
			continue;
		struct sl_mqtt_broker_stats *b = &s->broker[s->brokers++];
		*b = (struct sl_mqtt_broker_stats){
			.plugin = true,
			.connected = r->sock.fd >= 0 && r->state == SL_IN_RUNNING,
			.messages = atomic_load_explicit(&r->messages, memory_order_relaxed),
			.lost = atomic_load_explicit(&r->ring.hdr->lost_qos0,
						     memory_order_relaxed)};
		memcpy(b->name, r->name, sizeof(b->name));
	}
	pthread_mutex_unlock(&in->lock);
}

void sl_in_beat(struct sl_intake *in)
{
	struct sl_in_ring *r;

	TAILQ_FOREACH(r, &in->rings, link)
	{
		if (r->source) {
			read_lost(r);
			continue;
		}
		read_figures(r);
		if (!is_stuck(r) && r->state == SL_IN_RUNNING)
			sl_ring_beat(&r->ring);
	}
	sl_in_keep_stats(in);
	if (!TAILQ_EMPTY(&in->rings)) /* else the thread sleeps for good */
		sl_timer_set(sl_loop_timers(in->loop), &in->beat,
			     in->now_ns + SL_RING_HEARTBEAT_MS * (uint64_t)NS_PER_MS);
}
