/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t mono_ns(void *arg)
{
	return ((struct rig *)arg)->now_ns;
}

static int64_t wall_ms(void *arg)
{
	return ((struct rig *)arg)->wall_ms;
}

/* The n-th call gives bytes of value n, the first one 0. */
static void count_up(void *arg, uint8_t *ret_bytes, size_t n)
{
	memset(ret_bytes, (int)((struct rig *)arg)->randoms++, n);
}

static void rig_config(struct sl_config *c)
{
	c->kafka.listen_cnt = 1;
	snprintf(c->kafka.listen[0].host, sizeof(c->kafka.listen[0].host), "127.0.0.1");
	c->kafka.listen[0].port = 9092;
	c->kafka.num_partitions = 2;
	c->kafka.auto_create = true;
	c->kafka.max_connections = 1000;
	c->kafka.request_max_bytes = 100u << 20;
	c->kafka.workers = 2;
	c->kafka.idle_ms = 600000;
	c->storage.flush_interval_ms = 1000;
	c->storage.retention_check_ms = 30000;
	sl_topic_cfg_defaults(&c->kafka.topic_defaults);
}

void rig_init(struct rig *r, const struct sl_kserver_cfg *cfg)
{
	struct sl_kserver_cfg c = {.request_max_bytes = 100u << 20,
				   .memory_bytes = 64u << 20,
				   .num_partitions = 2,
				   .auto_create = true,
				   .idle_ms = 600000};
	struct sl_topic_cfg defaults;

	memset(r, 0, sizeof(*r));
	if (cfg)
		c = *cfg;
	if (!c.topic_defaults) {
		sl_topic_cfg_defaults(&defaults);
		c.topic_defaults = &defaults;
	}
	r->config = calloc(1, sizeof(*r->config));
	SL_ASSERT(r->config);
	rig_config(r->config);
	c.config = r->config;
	r->store = fake_store_new();
	fake_store_cfg(r->store)->auto_sync = true;
	r->now_ns = 1000000000;
	r->wall_ms = RIG_WALL_MS;
	c.store = r->store;
	c.dp = fake_store_dataplane(r->store);
	c.timers = &r->timers;
	c.node_id = 1;
	c.workers = 0;
	c.mono_ns = mono_ns;
	c.wall_ms = wall_ms;
	c.random = count_up;
	c.clock_arg = r;
	r->server.waker.efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	SL_ASSERT(r->server.waker.efd >= 0);
	int rc = sl_kserver_init(&r->server, &c);
	SL_ASSERT(rc == 0);
	r->server.topic_defaults = *c.topic_defaults;
	r->server.cfg.topic_defaults = &r->server.topic_defaults;
}

void rig_fini(struct rig *r)
{
	int efd = r->server.waker.efd;

	rig_settle(r);
	SL_ASSERT(r->server.conn_cnt == 0);
	SL_ASSERT(atomic_load(&r->server.counters.memory) == 0);
	sl_kserver_fini(&r->server); /* with it go the timers of groups */
	SL_ASSERT(sl_timers_next(&r->timers) == UINT64_MAX);
	fake_store_free(r->store);
	free(r->config);
	close(efd);
}

static void changed(void *arg)
{
	((struct rig_conn *)arg)->changed++;
}

void rig_open(struct rig *r, struct rig_conn *ret)
{
	struct sl_kconn_cfg cfg = {.server = &r->server,
				   .peer = "192.0.2.1:4242",
				   .local_host = "127.0.0.1",
				   .local_port = 9092,
				   .changed = changed,
				   .arg = ret};
	*ret = (struct rig_conn){.rig = r};
	int rc = sl_kconn_new(&cfg, &ret->c);
	SL_ASSERT(rc == 0);
}

void rig_close(struct rig_conn *c)
{
	sl_kconn_close(c->c);
	c->c = NULL;
}

void rig_settle(struct rig *r)
{
	for (int i = 0; i < 8; i++) { /* worker, writer, answer, and what that starts */
		if (!r->manual)
			fake_store_step(r->store);
		while (sl_kserver_turn(&r->server))
			;
	}
}

void rig_pass_ms(struct rig *r, unsigned ms)
{
	r->now_ns += (uint64_t)ms * 1000000u;
	r->wall_ms += ms;
	sl_timers_run(&r->timers, r->now_ns);
	rig_settle(r);
}

void rig_feed(struct rig_conn *c, const void *p, size_t n)
{
	size_t used = sl_kconn_input(c->c, p, n);
	SL_ASSERT(used == n || sl_kconn_broken(c->c));
	rig_settle(c->rig);
}

size_t rig_take(struct rig_conn *c, uint8_t *buf, size_t cap)
{
	struct iovec iov[5]; /* few, so that answers are cut */
	size_t n = 0;
	int cnt;

	while (n < cap && (cnt = sl_kconn_output(c->c, iov, (int)SL_ARRAY_SIZE(iov))) > 0) {
		size_t part = 0;
		for (int i = 0; i < cnt && n + part < cap; i++) {
			size_t take = SL_MIN(iov[i].iov_len, cap - n - part);
			memcpy(buf + n + part, iov[i].iov_base, take);
			part += take;
		}
		sl_kconn_sent(c->c, part);
		n += part;
	}
	rig_settle(c->rig);
	return n;
}

void rig_begin(struct sl_kw *w, int16_t key, int16_t version, int32_t correlation)
{
	const struct sl_kapi *api = sl_kapi_find(key);
	*w = (struct sl_kw){0};
	sl_kw_i32(w, 0);
	sl_kw_i16(w, key);
	sl_kw_i16(w, version);
	sl_kw_i32(w, correlation);
	sl_kw_cstr(w, "rig");
	w->flex = api && version >= api->flexible;
	sl_kw_tags(w);
}

void rig_send(struct rig_conn *c, struct sl_kw *w)
{
	SL_ASSERT(!w->bad);
	sl_put_be32(w->buf, w->len - 4);
	rig_feed(c, w->buf, w->len);
	sl_kw_fini(w);
}

uint32_t rig_batch(uint8_t *buf, uint32_t cap, unsigned n, uint32_t val_len, int64_t ts)
{
	struct sl_bb bb;
	uint8_t *val = malloc(val_len ? val_len : 1);
	SL_ASSERT(val);
	memset(val, 'v', val_len);
	sl_bb_init(&bb, buf, cap);
	for (unsigned i = 0; i < n; i++) {
		char key[16];
		int kl = snprintf(key, sizeof(key), "k%u", i);
		bool ok = sl_bb_add(&bb, ts + i, (struct sl_slice){(uint8_t *)key, (uint32_t)kl},
				    (struct sl_slice){val, val_len}, NULL, 0);
		SL_ASSERT(ok);
	}
	free(val);
	return sl_bb_close(&bb);
}

void rig_send_produce(struct rig_conn *c, int32_t correlation, int16_t acks, const char *topic,
		      int32_t partition, const uint8_t *batch, uint32_t len)
{
	struct sl_kw w;
	rig_begin(&w, 0, 7, correlation);
	sl_kw_cstr(&w, NULL);
	sl_kw_i16(&w, acks);
	sl_kw_i32(&w, 1000);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, topic);
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, partition);
	sl_kw_bytes_len(&w, len);
	sl_kw_raw(&w, batch, len);
	rig_send(c, &w);
}

void rig_send_fetch(struct rig_conn *c, int32_t correlation, const char *topic, int32_t partition,
		    int64_t offset, int32_t max_wait_ms, int32_t min_bytes, int32_t max_bytes)
{
	struct sl_kw w;
	rig_begin(&w, 1, 11, correlation);
	sl_kw_i32(&w, -1);
	sl_kw_i32(&w, max_wait_ms);
	sl_kw_i32(&w, min_bytes);
	sl_kw_i32(&w, max_bytes);
	sl_kw_i8(&w, 0);
	sl_kw_i32(&w, 0);
	sl_kw_i32(&w, -1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, topic);
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, partition);
	sl_kw_i32(&w, -1);
	sl_kw_i64(&w, offset);
	sl_kw_i64(&w, -1);
	sl_kw_i32(&w, max_bytes);
	sl_kw_array(&w, 0);
	sl_kw_cstr(&w, "");
	rig_send(c, &w);
}

struct sl_topic *rig_topic(struct rig *r, const char *name, const struct sl_topic_cfg *cfg)
{
	struct sl_topic_layers layers = {0};
	struct sl_topic *t;

	sl_topic_cfg_defaults(&layers.base);
	if (cfg)
		layers.base = *cfg;
	int rc = sl_store_topic_create(r->store, name, 2, &layers, &t);
	SL_ASSERT(rc == 0);
	sl_topic_put(t); /* the store holds it */
	return t;
}
