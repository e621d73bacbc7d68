/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdlib.h>

#include "pace.h"
#include "platform/base/clock.h"
#include "port.h"
#include "route.h"

#define CLOCK_STEP_US   20         /* the clock is not read more often */
#define REST_MAX_NS     NS_PER_S   /* longest sleep */
#define REST_BLIND_NS   1000000u   /* with a port that has no fd and is not at its end */
#define LAST_FRAMES_MAX (1u << 20) /* fetched from a port after stop: it is quiet by then */
#define PREFETCH_AHEAD  4

struct sl_ingest {
	struct sl_ob ob;
	struct sl_idler idle;
	struct sl_waker starved; /* shares the eventfd of idle */
	struct sl_ctr_lcore *ctr;
	struct sl_ingest_port port[SL_INGEST_PORTS_MAX];
	uint32_t ports;
	struct sl_pace *pace; /* one per port */
	bool draining;        /* stop has come: nothing new from captures */
	bool starving;        /* a patient port was not polled in this turn */
	struct sl_ingest_listener *listener;
	struct sl_fastmod *fast; /* per topic */
	struct sl_waker *writer[SL_STORE_WRITERS_MAX];
	uint64_t near;          /* writers on this CPU, a bit each */
	uint64_t near_ns;       /* when they are rung at the latest; 0: nothing waits */
	uint64_t near_batches;  /* or at this many batches, ever */
	uint32_t near_together; /* batches for one ring */
	uint64_t tsc_at, tsc_step;
	uint64_t now_ns;
	int64_t wall_ms;
	uint64_t early_ns; /* bucket of early closes: time not yet turned into them */
	uint64_t early_at_ns;
	void (*release)(void *p);
	uint8_t *flat; /* frames of several segments, put together */
	struct sl_key_cache *keys;
	struct sl_pkt pkt[SL_INGEST_BURST];
	struct rte_mbuf *mbuf[SL_INGEST_BURST];
	_Atomic bool stop SL_ALIGNED(SL_CACHELINE);
	_Atomic(struct sl_route *) route; /* offered; NULL once it is taken */
};

/* ---- life ------------------------------------------------------------------------------------ */

/* What is spare beside the open ones is not all to wait for one ring. */
static void count_together(struct sl_ingest *g)
{
	g->near_together =
		SL_MIN((uint32_t)SL_INGEST_NEAR_BATCHES, (g->ob.cnt - g->ob.slots) / 4 + 1);
}

static int copy_config(struct sl_ingest *g, const struct sl_ingest_cfg *cfg)
{
	g->ports = cfg->port_cnt;
	for (uint32_t i = 0; i < cfg->port_cnt; i++)
		g->port[i] = cfg->port[i];
	g->pace = calloc(cfg->port_cnt + 1, sizeof(*g->pace));
	if (!g->pace)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfg->port_cnt; i++)
		sl_pace_init(&g->pace[i]);
	for (uint32_t i = 0; i < cfg->batches.writers; i++)
		g->writer[i] = cfg->writer[i];
	g->near = cfg->near;
	count_together(g);
	g->listener = calloc(cfg->listener_cnt + 1, sizeof(*g->listener));
	g->fast = calloc(cfg->batches.topic_cnt + 1, sizeof(*g->fast));
	g->flat = aligned_alloc(SL_CACHELINE,
				SL_ALIGN_UP(SL_INGEST_BURST * SL_INGEST_FRAME_MAX, SL_CACHELINE));
	if (!g->listener || !g->fast || !g->flat)
		return -ENOMEM;
	memcpy(g->listener, cfg->listener, cfg->listener_cnt * sizeof(*g->listener));
	for (uint32_t i = 0; i < cfg->batches.topic_cnt; i++)
		g->fast[i] = sl_fastmod_for(sl_topic_partitions(cfg->batches.topic[i]));
	return 0;
}

static int make_keys(struct sl_ingest *g, const struct sl_ingest_cfg *cfg)
{
	g->keys = cfg->batches.alloc ? cfg->batches.alloc(sizeof(*g->keys), SL_CACHELINE)
				     : aligned_alloc(SL_CACHELINE, sizeof(*g->keys));
	if (!g->keys)
		return -ENOMEM;
	memset(g->keys, 0, sizeof(*g->keys));
	return 0;
}

static int prepare_idle(struct sl_ingest *g, bool spin)
{
	int rc = sl_idle_init(&g->idle, spin);

	for (uint32_t i = 0; !rc && i < g->ports; i++)
		rc = sl_ingest_watch(g, i, g->port[i].fd);
	g->starved.efd = g->idle.waker.efd;
	return rc;
}

int sl_ingest_watch(struct sl_ingest *g, uint32_t nth, int fd)
{
	SL_ASSERT(nth < g->ports);
	g->port[nth].fd = fd;
	if (g->port[nth].ring)
		sl_idle_naps(&g->idle, g->port[nth].ring, g->ob.linger_ns);
	return fd >= 0 ? sl_idle_add_fd(&g->idle, fd) : 0;
}

int sl_ingest_new(const struct sl_ingest_cfg *cfg, struct sl_ingest **ret_ingest)
{
	if (cfg->port_cnt > SL_INGEST_PORTS_MAX || cfg->listener_cnt > SL_CFG_LISTENERS_MAX)
		return -EINVAL;
	struct sl_ingest *g = aligned_alloc(SL_CACHELINE, sizeof(*g));
	if (!g)
		return -ENOMEM;
	memset(g, 0, sizeof(*g));
	g->ctr = cfg->ctr;
	g->release = cfg->batches.release;
	g->tsc_step = cfg->tsc_hz / 1000000 * CLOCK_STEP_US;
	struct sl_ob_cfg batches = cfg->batches;
	batches.accepted = &cfg->ctr->frame[SL_FR_ACCEPTED];
	int rc = sl_ob_init(&g->ob, &batches);
	if (!rc)
		rc = make_keys(g, cfg);
	if (!rc)
		rc = copy_config(g, cfg);
	if (!rc)
		rc = prepare_idle(g, cfg->spin);
	if (rc) {
		sl_ingest_free(g);
		return rc;
	}
	/* the counter file may be older than this process */
	g->ob.handed = sl_ctr_get(&g->ctr->handed);
	g->ob.batches = sl_ctr_get(&g->ctr->note[SL_NR_BATCHES]);
	*ret_ingest = g;
	return 0;
}

void sl_ingest_free(struct sl_ingest *g)
{
	if (!g)
		return;
	sl_idle_fini(&g->idle);
	sl_ob_fini(&g->ob, g->release);
	(g->release ? g->release : free)(g->keys);
	for (uint32_t i = 0; g->pace && i < g->ports; i++)
		rte_pktmbuf_free_bulk(g->pace[i].held + g->pace[i].at,
				      (unsigned)(g->pace[i].cnt - g->pace[i].at));
	free(g->pace);
	free(g->flat);
	free(g->fast);
	free(g->listener);
	free(g);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The clock is read when the time stamp counter says that it has moved on. */
SL_INLINE void read_clock(struct sl_ingest *g)
{
	uint64_t tsc = rte_rdtsc();

	if (sl_likely(tsc - g->tsc_at < g->tsc_step))
		return;
	g->tsc_at = tsc;
	g->now_ns = sl_clock_mono_ns();
	g->wall_ms = sl_clock_wall_ms();
}

/* ---- poll ------------------------------------------------------------------------------------ */

/* Of a patient port no more is fetched than there are batches for, whatever the keys are. */
SL_COLD static uint16_t patience(struct sl_ingest *g)
{
	uint32_t n = SL_INGEST_BURST;

	if (g->ob.free_cnt < n || g->ob.large_free_cnt < SL_MIN(n, g->ob.large_cnt))
		sl_ob_reap(&g->ob);
	n = SL_MIN(n, g->ob.free_cnt);
	if (g->ob.large_cnt)
		n = SL_MIN(n, g->ob.large_free_cnt);
	g->starving |= n == 0;
	return (uint16_t)n;
}

/* What was taken from a capture and is not due yet is in the ledger as `waiting`. */
SL_COLD static unsigned poll_paced(struct sl_ingest *g, const struct sl_ingest_port *p,
				   uint16_t want)
{
	unsigned n = sl_pace_rx(&g->pace[p - g->port], p->eth_id, g->mbuf, want,
				g->draining ? UINT64_MAX : g->now_ns);
	uint64_t held = 0;

	for (uint32_t i = 0; i < g->ports; i++)
		held += g->pace[i].cnt - g->pace[i].at;
	sl_ctr_set(&g->ctr->in_hand, held);
	return n;
}

SL_INLINE unsigned stage_poll(struct sl_ingest *g, const struct sl_ingest_port *p)
{
	uint16_t want = SL_INGEST_BURST;

	if (sl_unlikely(p->patient) && sl_likely(!g->draining)) {
		want = patience(g);
		if (want == 0)
			return 0;
	}
	unsigned n = sl_likely(!p->paced) ? rte_eth_rx_burst(p->eth_id, 0, g->mbuf, want)
					  : poll_paced(g, p, want);
	for (unsigned i = 0; i < SL_MIN(n, (unsigned)PREFETCH_AHEAD); i++)
		__builtin_prefetch(rte_pktmbuf_mtod(g->mbuf[i], const void *));
	return n;
}

/* ---- classify -------------------------------------------------------------------------------- */

/* The frame as one piece. Bytes beyond any datagram are left out: they are padding. */
SL_COLD static const uint8_t *flatten(struct sl_ingest *g, const struct rte_mbuf *m, unsigned nth,
				      uint32_t *ret_len)
{
	uint32_t len = SL_MIN(m->pkt_len, (uint32_t)SL_INGEST_FRAME_MAX);
	const uint8_t *p = rte_pktmbuf_read(m, 0, len, g->flat + (size_t)nth * SL_INGEST_FRAME_MAX);

	*ret_len = p ? len : 0;
	return p ? p : g->flat;
}

/* Datagrams for listeners go to g->pkt, in order; everything else is counted. */
SL_INLINE unsigned stage_classify(struct sl_ingest *g, const struct sl_ingest_port *p, unsigned n)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct rte_mbuf *m = g->mbuf[i];
		const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
		uint32_t len = m->data_len;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(
				rte_pktmbuf_mtod(g->mbuf[i + PREFETCH_AHEAD], const void *));
		if (sl_unlikely(m->nb_segs != 1))
			frame = flatten(g, m, i, &len);
		enum sl_frame_row row = sl_classify(p->cls, frame, len, &g->pkt[k]);
		if (sl_unlikely(row != SL_FR_ACCEPTED)) {
			sl_ctr_add(&g->ctr->frame[row], 1);
			continue;
		}
		sl_key_prefetch(g->keys, g->pkt[k].src, g->pkt[k].family);
		k++;
	}
	return k;
}

/* ---- decode, key, steer ------------------------------------------------------------------------
 */

SL_INLINE void count_notes(struct sl_ingest *g, uint32_t notes)
{
	for (; notes; notes &= notes - 1)
		sl_ctr_add(&g->ctr->note[__builtin_ctz(notes)], 1);
}

SL_INLINE void add_source(struct sl_ingest *g, const struct sl_pkt *pkt, struct sl_decoded *d)
{
	sl_decoded_hdr(d, SL_LIT("source"), sl_key_source(g->keys, pkt->src, pkt->family).key);
}

SL_INLINE struct sl_ob_slot *steer(struct sl_ingest *g, uint32_t topic, const struct sl_key *k)
{
	struct sl_ob_topic *t = &g->ob.topic[topic];
	uint32_t part = k->key.p ? sl_partition_fast(k->hash, &g->fast[topic]) : t->sticky;

	return &g->ob.slot[t->first_slot + part];
}

/* One datagram into the open batch of its partition, or counted under the row that says why not. */
SL_INLINE void take_record(struct sl_ingest *g, const struct sl_pkt *pkt)
{
	const struct sl_ingest_listener *l = &g->listener[pkt->listener];
	struct sl_decoded d;
	bool missing = false;

	enum sl_frame_row row = l->decoder->decode(pkt->payload, l->headers, &d);
	if (sl_likely(row == SL_FR_ACCEPTED)) {
		struct sl_key k = sl_key_of(&l->key, g->keys, pkt, d.host, &missing);
		if (l->headers & SL_HDR_SOURCE)
			add_source(g, pkt, &d);
		struct sl_ob_slot *slot = steer(g, l->topic, &k);
		/* said twice, so that the compiler makes one without loops over headers */
		row = sl_likely(d.hdr_cnt == 0) ? sl_ob_add(&g->ob, slot, g->now_ns, g->wall_ms,
							    k.key, pkt->payload, NULL, 0)
						: sl_ob_add(&g->ob, slot, g->now_ns, g->wall_ms,
							    k.key, pkt->payload, d.hdr, d.hdr_cnt);
		d.notes |= missing ? SL_NOTE(KEY_MISSING) : 0;
		d.notes |= pkt->csum_trusted ? SL_NOTE(CSUM_TRUSTED) : 0;
	}
	if (sl_unlikely(row != SL_FR_ACCEPTED)) /* accepted ones are counted already */
		sl_ctr_add(&g->ctr->frame[row], 1);
	else
		count_notes(g, d.notes);
}

SL_INLINE void stage_records(struct sl_ingest *g, unsigned k)
{
	for (unsigned i = 0; i < k; i++)
		take_record(g, &g->pkt[i]);
}

/* ---- flush, housekeeping ------------------------------------------------------------------------
 */

static void ring(struct sl_ingest *g, uint64_t writers)
{
	for (uint64_t m = writers; m; m &= m - 1)
		sl_waker_ring(g->writer[__builtin_ctzll(m)]);
	g->ob.rung &= ~writers;
	if (writers & g->near)
		g->near_ns = 0;
}

/* A writer on this CPU runs only while we do not: two switches for each batch would be a tenth of
 * the CPU. It is rung for several together while there are frames. */
static void wake_writers(struct sl_ingest *g, bool busy)
{
	uint64_t near = g->ob.rung & g->near;

	if (near && busy) {
		if (g->near_ns == 0) {
			g->near_ns = g->now_ns + SL_INGEST_NEAR_US * 1000u;
			g->near_batches = g->ob.batches - 1 + g->near_together;
		}
		if (g->now_ns < g->near_ns && g->ob.batches < g->near_batches) {
			ring(g, g->ob.rung & ~near);
			return;
		}
	}
	ring(g, g->ob.rung);
}

/* What readers add up. */
SL_INLINE void publish(struct sl_ingest *g, bool busy)
{
	sl_ctr_set(&g->ctr->in_open, g->ob.records);
	sl_ctr_set(&g->ctr->handed, g->ob.handed);
	sl_ctr_set(&g->ctr->note[SL_NR_BATCHES], g->ob.batches);
	if (g->ob.rung)
		wake_writers(g, busy);
}

static unsigned serve_port(struct sl_ingest *g, const struct sl_ingest_port *p)
{
	unsigned n = stage_poll(g, p);

	if (n == 0)
		return 0;
	unsigned k = stage_classify(g, p, n);
	stage_records(g, k);
	rte_pktmbuf_free_bulk(g->mbuf, n);
	/* last: a process that dies before this has counted its frames, but not their sum */
	sl_ctr_add(&g->ctr->rx, n);
	return n;
}

/* ---- other topics ----------------------------------------------------------------------------
 */

/* What is open still goes where it was meant to; then the arrays change places. */
SL_COLD static void take_route(struct sl_ingest *g)
{
	struct sl_route *r = atomic_load_explicit(&g->route, memory_order_acquire), old;

	sl_ob_close_oldest(&g->ob, UINT32_MAX);
	publish(g, false);
	old = (struct sl_route){.slot = g->ob.slot,
				.topic = g->ob.topic,
				.fast = g->fast,
				.listener = g->listener,
				.slots = g->ob.slots,
				.topics = g->ob.topics};
	g->ob.slot = r->slot;
	g->ob.topic = r->topic;
	g->ob.slots = r->slots;
	g->ob.topics = r->topics;
	g->fast = r->fast;
	g->listener = r->listener;
	count_together(g);
	*r = old;
	/* release: pairs with sl_ingest_took() */
	atomic_store_explicit(&g->route, NULL, memory_order_release);
}

void sl_ingest_offer(struct sl_ingest *g, struct sl_route *r)
{
	SL_ASSERT(sl_ingest_took(g) && r->slots < g->ob.cnt);
	/* pairs with the look after arming */
	atomic_store_explicit(&g->route, r, memory_order_seq_cst);
	sl_waker_ring(&g->idle.waker);
}

bool sl_ingest_took(const struct sl_ingest *g)
{
	return !atomic_load_explicit(&g->route, memory_order_acquire);
}

uint32_t sl_ingest_batches(const struct sl_ingest *g)
{
	return g->ob.cnt;
}

const struct sl_ingest_listener *sl_ingest_listeners(const struct sl_ingest *g)
{
	return g->listener;
}

SL_HOT unsigned sl_ingest_turn(struct sl_ingest *g)
{
	unsigned n = 0;

	g->starving = false;
	if (sl_unlikely(atomic_load_explicit(&g->route, memory_order_relaxed) != NULL))
		take_route(g);
	read_clock(g);
	for (uint32_t i = 0; i < g->ports; i++)
		n += serve_port(g, &g->port[i]);
	sl_ob_close_due(&g->ob, g->now_ns);
	publish(g, n > 0);
	return n;
}

void sl_ingest_flush(struct sl_ingest *g)
{
	sl_ob_close_oldest(&g->ob, UINT32_MAX);
	publish(g, false);
}

/* ---- resting ------------------------------------------------------------------------------------
 */

/* Quiet: what is open need not wait for the linger, as long as few batches become small by it. */
static void close_early(struct sl_ingest *g)
{
	const uint64_t each = NS_PER_S / SL_INGEST_EARLY_PER_S;

	g->early_ns += g->now_ns - g->early_at_ns;
	g->early_at_ns = g->now_ns;
	if (g->early_ns > SL_INGEST_EARLY_BURST * each)
		g->early_ns = SL_INGEST_EARLY_BURST * each;
	g->early_ns -= sl_ob_close_oldest(&g->ob, (uint32_t)(g->early_ns / each)) * each;
	publish(g, false);
}

static uint64_t rest_ns(const struct sl_ingest *g)
{
	uint64_t due = sl_ob_deadline(&g->ob), ns = REST_MAX_NS;

	if (due <= g->now_ns)
		return 0;
	ns = SL_MIN(ns, due - g->now_ns);
	for (uint32_t i = 0; i < g->ports && ns > REST_BLIND_NS; i++) {
		const struct sl_ingest_port *p = &g->port[i];
		if (p->fd < 0 && !(p->patient && g->starving) &&
		    !(p->port && sl_port_done(p->port)))
			ns = REST_BLIND_NS;
	}
	return ns;
}

static void rest(struct sl_ingest *g)
{
	g->tsc_at = 0;
	read_clock(g);
	uint64_t nap =
		g->starving ? 0 : sl_idle_nap_ns(&g->idle, g->now_ns, sl_ctr_get(&g->ctr->rx));
	if (!nap)
		close_early(g);
	sl_idle_arm(&g->idle);
	if (g->starving)
		sl_waker_arm(&g->starved);
	uint64_t ns = rest_ns(g);
	/* pairs with stop and with a writer that gave batches back: look once more after arming */
	if (atomic_load_explicit(&g->stop, memory_order_seq_cst) ||
	    atomic_load_explicit(&g->route, memory_order_seq_cst) ||
	    (g->starving && patience(g) > 0) || ns == 0)
		sl_idle_disarm(&g->idle);
	else if (nap)
		sl_idle_nap(&g->idle, SL_MIN(ns, nap));
	else
		sl_idle_wait(&g->idle, ns);
	atomic_store_explicit(&g->starved.armed, 0, memory_order_relaxed);
	g->tsc_at = 0;
}

/* ---- running ------------------------------------------------------------------------------------
 */

/* Frames that the ports held when stop came were counted as received by the back end. What is left
 * of a capture stays in its file; but what was taken from it and is not due yet is not lost. */
static void fetch_last(struct sl_ingest *g)
{
	g->draining = true;
	for (uint32_t i = 0; i < g->ports; i++)
		for (uint32_t n = 0, got = 1; got && n < LAST_FRAMES_MAX; n += got)
			got = g->port[i].patient && !g->port[i].paced ? 0
								      : serve_port(g, &g->port[i]);
}

int sl_ingest_run(void *ingest)
{
	struct sl_ingest *g = ingest;

	while (!atomic_load_explicit(&g->stop, memory_order_relaxed)) {
		unsigned n = sl_ingest_turn(g);
		if (sl_idle_turn(&g->idle, n > 0))
			rest(g);
	}
	fetch_last(g);
	sl_ingest_flush(g);
	return 0;
}

void sl_ingest_stop(struct sl_ingest *g)
{
	atomic_store_explicit(&g->stop, true, memory_order_seq_cst);
	sl_waker_ring(&g->idle.waker);
}

struct sl_waker *sl_ingest_starved(struct sl_ingest *g)
{
	return &g->starved;
}

uint64_t sl_ingest_sleeps(const struct sl_ingest *g)
{
	return g->idle.sleeps;
}
