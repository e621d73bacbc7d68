/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_build.c - makes the parts of the data plane from the config: ports with their pools and
 * classifiers, the topics of the listeners, ingest loops with their lanes, writers.
 */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dp_int.h"
#include "dp_mem.h"
#include "plan.h"
#include "pool.h"

int sl_dp_fail(int rc, char *err, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- ports and their pools ----------------------------------------------------------------------
 */

static int make_pool(struct sl_dataplane *dp, uint32_t i, uint32_t mbufs, char *err, size_t errlen)
{
	struct dp_port *p = &dp->port[i];
	char name[32];

	snprintf(name, sizeof(name), "sl_mbuf_%u", i);
	p->pool = sl_mbuf_pool_new(name, mbufs, SL_PLAN_MBUF_CACHE, p->data_room);
	if (p->pool)
		return 0;
	return sl_dp_fail(-ENOMEM, err, errlen,
			  "port %s: no memory for %u packets of %u bytes; raise dataplane.memory",
			  dp->config->port[i].name, mbufs, p->data_room);
}

static int copy_listeners(struct sl_dataplane *dp, uint32_t i, uint32_t *ret_cnt)
{
	const struct sl_config *c = dp->config;
	struct dp_port *p = &dp->port[i];
	uint32_t n = 0;

	p->listener = calloc(c->listener_cnt + 1, sizeof(*p->listener));
	if (!p->listener)
		return -ENOMEM;
	for (uint32_t k = 0; k < c->listener_cnt; k++)
		if (c->listener[k].port == i)
			p->listener[n++] = c->listener[k];
	*ret_cnt = n;
	return 0;
}

int sl_dp_build_port(struct sl_dataplane *dp, uint32_t i, char *err, size_t errlen)
{
	const struct sl_config *c = dp->config;
	struct dp_port *p = &dp->port[i];
	uint32_t mbufs, listeners;

	if (c->port[i].loop && c->port[i].pace_capture)
		return sl_dp_fail(
			-EINVAL, err, errlen,
			"port %s: `pace: capture` and `replay: forever` exclude each other",
			c->port[i].name);
	int rc = sl_port_needs(&c->port[i], &p->data_room, &mbufs, err, errlen);
	if (rc)
		return rc;
	rc = make_pool(dp, i, mbufs + SL_PLAN_MBUFS_AT_WORK, err, errlen);
	if (!rc)
		rc = copy_listeners(dp, i, &listeners);
	if (rc)
		return rc;
	struct sl_port_cfg pc = {
		.port = &c->port[i],
		.index = (uint16_t)i,
		.listener = p->listener,
		.listener_cnt = listeners,
		.pool = p->pool,
		.counters = &dp->counters->port[i],
		.idle = c->dataplane.idle,
	};
	rc = sl_port_open(&pc, &p->port, err, errlen);
	if (rc)
		return rc;
	struct sl_cls_cfg cc = {
		.listener = c->listener,
		.listener_cnt = c->listener_cnt,
		.port = (uint16_t)i,
		.trust_partial_csum = sl_port_trusts_partial_csum(p->port),
		.trust_all_csum = sl_port_trusts_all_csum(p->port),
	};
	rc = sl_cls_new(&cc, &p->cls);
	if (rc)
		return sl_dp_fail(rc, err, errlen, "port %s: %s", c->port[i].name,
				  rc == -EINVAL ? "two listeners want the same address and UDP port"
						: strerror(-rc));
	return 0;
}

static void close_port(struct dp_port *p)
{
	sl_port_close(p->port);
	sl_cls_free(p->cls);
	rte_mempool_free(p->pool);
	free(p->listener);
	memset(p, 0, sizeof(*p));
}

/* ---- topics ------------------------------------------------------------------------------------
 */

void sl_dp_refresh_topics(struct sl_dataplane *dp)
{
	struct sl_topic_cfg tc;

	for (uint32_t i = 0; i < dp->topics; i++) {
		sl_topic_cfg_get(dp->topic[i].topic, &tc);
		atomic_store_explicit(&dp->topic[i].max_bytes, (uint32_t)tc.max_message_bytes,
				      memory_order_relaxed);
	}
}

int sl_dp_build_topics(struct sl_dataplane *dp, char *err, size_t errlen)
{
	const struct sl_config *c = dp->config;

	dp->topic = calloc(c->listener_cnt + 1, sizeof(*dp->topic));
	dp->listener_topic = calloc(c->listener_cnt + 1, sizeof(*dp->listener_topic));
	if (!dp->topic || !dp->listener_topic)
		return sl_dp_fail(-ENOMEM, err, errlen, "no memory for listeners");
	for (uint32_t i = 0; i < c->listener_cnt; i++) {
		const struct sl_cfg_listener *l = &c->listener[i];
		struct sl_topic *t = sl_store_topic_find(dp->store, l->topic, strlen(l->topic));
		uint32_t k = 0;
		if (!t)
			return sl_dp_fail(-ENOENT, err, errlen, "listener %s: there is no topic %s",
					  l->name, l->topic);
		while (k < dp->topics && dp->topic[k].topic != t)
			k++;
		if (k == dp->topics)
			dp->topic[dp->topics++] =
				(struct dp_topic){.topic = t, .used = sl_topic_partitions(t)};
		else
			sl_topic_put(t); /* one reference is enough */
		dp->listener_topic[i] = k;
	}
	sl_dp_refresh_topics(dp);
	return 0;
}

/* ---- writers, ingest loops
 * ----------------------------------------------------------------------- */

/* What one ingest lcore works with, put together for sl_ingest_new(). */
struct assembly {
	struct sl_topic *topic[SL_CFG_LISTENERS_MAX];
	const _Atomic uint32_t *max_bytes[SL_CFG_LISTENERS_MAX];
	struct sl_ingest_listener listener[SL_CFG_LISTENERS_MAX];
	struct sl_ingest_port port[SL_CFG_PORTS_MAX];
	struct sl_waker *waker[SL_STORE_WRITERS_MAX];
	uint32_t topics, partitions, datagram_max, key_max;
};

static void assemble_port(struct sl_dataplane *dp, struct assembly *a, uint32_t nth, uint32_t i)
{
	struct dp_port *p = &dp->port[i];

	a->port[nth] = (struct sl_ingest_port){
		.eth_id = sl_port_id(p->port),
		.fd = -1, /* known once the port has started */
		.ring = sl_port_ring(p->port),
		.patient = !strcmp(sl_port_backend(p->port), "pcap"),
		.paced = dp->config->port[i].pace_capture,
		.port = p->port,
		.cls = p->cls,
	};
	/* a capture's frames may come in several pieces, each as large as the data room */
	uint32_t datagram = a->port[nth].patient ? SL_INGEST_FRAME_MAX : p->data_room;
	a->datagram_max = SL_MAX(a->datagram_max, datagram);
}

static void assemble_listener(struct sl_dataplane *dp, struct assembly *a, uint32_t i)
{
	const struct sl_cfg_listener *l = &dp->config->listener[i];
	struct dp_topic *t = &dp->topic[dp->listener_topic[i]];
	uint32_t k = 0;

	while (k < a->topics && a->topic[k] != t->topic)
		k++;
	if (k == a->topics) {
		a->topic[k] = t->topic;
		a->max_bytes[k] = &t->max_bytes;
		a->partitions += sl_topic_partitions(t->topic);
		a->topics++;
	}
	a->key_max = SL_MAX(a->key_max, l->key == SL_KEY_SLICE ? l->slice_len : 255u);
	a->listener[i] = (struct sl_ingest_listener){
		.decoder = sl_decoder_for(l->protocol),
		.key = {.rule = l->key, .slice_off = l->slice_off, .slice_len = l->slice_len},
		.headers = l->headers,
		.topic = k,
	};
}

static int make_lanes(struct sl_dataplane *dp, struct dp_ingest *in, uint32_t depth)
{
	in->lane = calloc(dp->writer_cnt, sizeof(*in->lane));
	if (!in->lane)
		return -ENOMEM;
	for (uint32_t w = 0; w < dp->writer_cnt; w++) {
		int rc = sl_handoff_init(&in->lane[w], depth);
		if (rc)
			return rc;
	}
	return 0;
}

/* A bit per writer on that CPU. */
static uint64_t writers_on(const struct sl_eal_lcores *l, uint32_t cpu)
{
	uint64_t m = 0;

	for (uint32_t w = 0; w < l->writer_cnt; w++)
		m |= (uint64_t)(l->writer_cpu[w] == cpu) << w;
	return m;
}

static int build_ingest(struct sl_dataplane *dp, uint32_t n, struct assembly *a, char *err,
			size_t errlen)
{
	const struct sl_config *c = dp->config;
	struct dp_ingest *in = &dp->ingest[n];

	for (uint32_t i = n; i < dp->ports; i += dp->ingest_cnt) {
		assemble_port(dp, a, in->port_cnt, i);
		in->port[in->port_cnt++] = i;
		for (uint32_t k = 0; k < c->listener_cnt; k++)
			if (c->listener[k].port == i)
				assemble_listener(dp, a, k);
	}
	struct sl_plan plan;
	int rc = sl_plan_batches(c, dp->ingest_cnt, a->partitions, a->datagram_max + a->key_max,
				 &plan);
	if (rc)
		return sl_dp_fail(
			rc, err, errlen,
			"%u partitions need more memory for batches than dataplane.memory "
			"leaves (%llu MiB)",
			a->partitions, (unsigned long long)(c->dataplane.memory_bytes >> 20));
	for (uint32_t w = 0; w < dp->writer_cnt; w++)
		a->waker[w] = sl_writer_waker(dp->writer[w]);
	struct sl_ingest_cfg ic = {
		.port = a->port,
		.port_cnt = in->port_cnt,
		.listener = a->listener,
		.listener_cnt = c->listener_cnt,
		.writer = a->waker,
		.near = writers_on(&dp->lcores, dp->lcores.ingest_cpu[n]),
		.spin = c->dataplane.idle == SL_IDLE_SPIN,
		.tsc_hz = rte_get_tsc_hz(),
		.ctr = &dp->counters->lcore[n],
		.batches = {.topic = a->topic,
			    .topic_max_bytes = a->max_bytes,
			    .topic_cnt = a->topics,
			    .writers = dp->writer_cnt,
			    .batch_bytes = plan.batch_bytes,
			    .batch_cnt = plan.batch_cnt,
			    .large_bytes = plan.large_bytes,
			    .linger_ns = (uint64_t)c->dataplane.linger_us * 1000,
			    .alloc = sl_dp_mem_alloc,
			    .release = sl_dp_mem_free},
	};
	rc = make_lanes(dp, in, plan.batch_cnt + SL_OB_LARGE_CNT);
	ic.batches.handoff = in->lane;
	if (!rc)
		rc = sl_ingest_new(&ic, &in->loop);
	if (rc)
		return sl_dp_fail(rc, err, errlen, "ingest %u: %s for %u batches of %u bytes", n,
				  strerror(-rc), plan.batch_cnt, plan.batch_bytes);
	for (uint32_t w = 0; w < dp->writer_cnt; w++)
		sl_writer_set_ingest(dp->writer[w], n, &in->lane[w], sl_ingest_starved(in->loop));
	return 0;
}

int sl_dp_build_ingest(struct sl_dataplane *dp, uint32_t n, char *err, size_t errlen)
{
	struct assembly *a = calloc(1, sizeof(*a));

	if (!a)
		return sl_dp_fail(-ENOMEM, err, errlen, "no memory for ingest %u", n);
	int rc = build_ingest(dp, n, a, err, errlen);
	free(a);
	return rc;
}

/* ---- writers ------------------------------------------------------------------------------------
 */

static bool on_ingest_cpu(const struct sl_dataplane *dp, uint32_t w)
{
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		if (dp->lcores.ingest_cpu[n] == dp->lcores.writer_cpu[w])
			return true;
	return false;
}

int sl_dp_build_writers(struct sl_dataplane *dp, char *err, size_t errlen)
{
	for (uint32_t w = 0; w < dp->writer_cnt; w++) {
		struct sl_writer_cfg wc = {
			.store = dp->store,
			.idx = w,
			.ingest_cnt = dp->ingest_cnt,
			.spin = dp->config->dataplane.idle == SL_IDLE_SPIN,
			.shares_cpu = on_ingest_cpu(dp, w),
			.ctr = &dp->counters->writer[w],
		};
		int rc = sl_writer_new(&wc, &dp->writer[w]);
		if (rc)
			return sl_dp_fail(rc, err, errlen, "writer %u: %s", w, strerror(-rc));
	}
	int rc = sl_injectors_init(&dp->injectors, dp->writer, dp->writer_cnt);
	return rc ? sl_dp_fail(rc, err, errlen, "injectors: %s", strerror(-rc)) : 0;
}

void sl_dp_unbuild(struct sl_dataplane *dp)
{
	sl_injectors_fini(&dp->injectors);
	for (uint32_t w = 0; w < dp->writer_cnt; w++)
		sl_writer_free(dp->writer[w]);
	for (uint32_t n = 0; n < dp->ingest_cnt; n++) {
		struct dp_ingest *in = &dp->ingest[n];
		sl_ingest_free(in->loop);
		for (uint32_t w = 0; in->lane && w < dp->writer_cnt; w++)
			sl_handoff_fini(&in->lane[w]);
		free(in->lane);
	}
	for (uint32_t i = 0; i < dp->ports; i++)
		close_port(&dp->port[i]);
	sl_dp_routes_drop(dp);
	for (uint32_t i = 0; i < dp->topics; i++)
		sl_topic_put(dp->topic[i].topic);
	free(dp->topic);
	free(dp->listener_topic);
}
