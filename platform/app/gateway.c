/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/base/topic_cfg.h"
#include "platform/config/config.h"

#define NODE_ID          1
#define CHECKPOINT_EVERY 10 /* housekeeping turns */

/* ---- what the control socket and the admin port answer ------------------------------------------
 */

static json_t *on_status(void *arg, SL_UNUSED const json_t *req)
{
	return sl_gateway_status(arg);
}

static const struct sl_control_cmd control_cmds[] = {
	{"status", on_status},
};

static unsigned on_metrics(void *arg, FILE *out)
{
	sl_gateway_metrics(arg, out);
	return 200;
}

static unsigned on_health(SL_UNUSED void *arg, FILE *out)
{
	fputs("ok\n", out);
	return 200;
}

static unsigned on_ready(void *arg, FILE *out)
{
	struct sl_gateway *g = arg;
	bool ready = atomic_load_explicit(&g->ready, memory_order_acquire);

	fputs(ready ? "ready\n" : "not ready\n", out);
	return ready ? 200 : 503;
}

static unsigned on_status_http(void *arg, FILE *out)
{
	json_t *doc = sl_gateway_status(arg);

	if (!doc)
		return 503;
	json_dumpf(doc, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(doc);
	return 200;
}

static const struct sl_http_route routes[] = {
	{"/metrics", SL_HTTP_PROMETHEUS, on_metrics},
	{"/healthz", SL_HTTP_PLAIN, on_health},
	{"/readyz", SL_HTTP_PLAIN, on_ready},
	{"/api/v1/status", SL_HTTP_JSON, on_status_http},
};

/* ---- starting: each step says in `err` what went wrong
 * -------------------------------------------- */

static int open_counters(struct sl_gateway *g, char *err, size_t errlen)
{
	char path[SL_CFG_PATH_MAX + 32];
	bool reset = false;
	int rc;

	snprintf(path, sizeof(path), "%s/state/counters", g->config->gateway.data);
	rc = sl_counters_open(path, &g->counters, &reset);
	if (rc == -EPROTO)
		snprintf(err, errlen, "%s was written by a newer version", path);
	else if (rc)
		snprintf(err, errlen, "%s: %s", path, strerror(-rc));
	if (!rc && reset)
		sl_log(SL_LOG_WARN, "app", "%s was not readable: set aside, counting starts anew",
		       path);
	return rc;
}

static void log_recovery(const struct sl_store_recovery *r)
{
	if (r->clean)
		sl_log(SL_LOG_INFO, "storage",
		       "%u partitions, last stop was clean, opened in %lu ms", r->partitions,
		       (unsigned long)(r->duration_us / 1000));
	else
		sl_log(SL_LOG_WARN, "storage",
		       "%u partitions recovered in %lu ms: %lu stripes (%lu records) written out, "
		       "%lu torn tails cut (%lu bytes), %lu blocks restored, %lu bytes scanned",
		       r->partitions, (unsigned long)(r->duration_us / 1000),
		       (unsigned long)r->stripes_written, (unsigned long)r->stripe_records,
		       (unsigned long)r->cut_partitions, (unsigned long)r->cut_bytes,
		       (unsigned long)r->tails_restored, (unsigned long)r->scanned_bytes);
	if (r->lost_records)
		sl_log(SL_LOG_ERROR, "storage",
		       "%ld records that were synced are gone; leader epoch raised",
		       (long)r->lost_records);
}

static int open_store(struct sl_gateway *g, char *err, size_t errlen)
{
	const struct sl_config *c = g->config;
	struct sl_eal_lcores lc;
	struct sl_store_cfg sc = {
		.data = c->gateway.data,
		.stripe_dir = c->storage.stripes[0] ? c->storage.stripes : NULL,
		.io = strcmp(c->storage.io, "auto") ? c->storage.io : NULL,
		.stripe_bytes = c->storage.tail_cache_bytes,
		.budget_fraction = c->storage.budget.fraction,
		.budget_bytes = c->storage.budget.bytes,
		.reserve_fraction = c->storage.reserve.fraction,
		.reserve_bytes = c->storage.reserve.bytes,
		.sync_interval_us = c->storage.sync_interval_us,
		.sync_bytes = c->storage.sync_bytes,
		.flush_interval_ms = c->storage.flush_interval_ms,
		.retention_check_ms = c->storage.retention_check_ms,
		.pid_expiry_ms = 86400000,
		.counters = g->counters,
		.lock_fd = g->lock_fd,
	};
	int rc = sl_eal_lcores(c, &lc, err, errlen);

	if (rc)
		return rc;
	sc.writers = lc.writer_cnt;
	rc = sl_store_open(&sc, &g->store, &g->recovery, err, errlen);
	if (rc)
		return rc;
	log_recovery(&g->recovery);
	return 0;
}

/* What the file says of a topic: its entry, or the defaults of all topics. */
static const struct sl_cfg_topic *topic_entry(const struct sl_config *c, const char *name)
{
	for (uint32_t i = 0; i < c->topic_cnt; i++)
		if (!strcmp(c->topic[i].name, name))
			return &c->topic[i];
	return NULL;
}

/* A setting that the file names and an admin set otherwise: the admin's is in force. */
static void log_overridden(const struct sl_topic *t, const struct sl_cfg_topic *entry)
{
	struct sl_topic_layers l;
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	sl_topic_layers_get(t, &l);
	for (uint32_t i = 0; i < cnt; i++) {
		char own[SL_TOPIC_SETTING_TEXT], file[SL_TOPIC_SETTING_TEXT];
		if (!(l.own_set & entry->set & sl_topic_setting_bit(i)))
			continue;
		sl_topic_setting_text(&l.own, &row[i], own);
		sl_topic_setting_text(&entry->cfg, &row[i], file);
		if (strcmp(own, file))
			sl_log(SL_LOG_INFO, "app",
			       "topic %s: %s is %s, set through the Kafka port; the config's %s "
			       "is not in force",
			       entry->name, row[i].name, own, file);
	}
}

/* Never fewer than there are: a key would change its partition for nothing. */
static int match_partitions(struct sl_gateway *g, struct sl_topic *t, uint32_t want)
{
	uint32_t have = sl_topic_partitions(t);

	if (want > have) {
		sl_log(SL_LOG_INFO, "app", "topic %s grows from %u to %u partitions",
		       sl_topic_name(t), have, want);
		return sl_store_partitions_add(g->store, t, want);
	}
	if (want < have)
		sl_log(SL_LOG_INFO, "app",
		       "topic %s has %u partitions, the config says %u: left as it is",
		       sl_topic_name(t), have, want);
	return 0;
}

static int settle_topic(struct sl_gateway *g, struct sl_topic *t)
{
	const struct sl_config *c = g->config;
	const struct sl_cfg_topic *entry = topic_entry(c, sl_topic_name(t));
	int rc = sl_topic_base_set(t, entry ? &entry->cfg : &c->kafka.topic_defaults,
				   entry ? entry->set : 0);

	if (rc || !entry)
		return rc;
	log_overridden(t, entry);
	return match_partitions(g, t, entry->partitions);
}

struct topics {
	struct sl_topic *t[SL_STORE_TOPICS_MAX];
	uint32_t cnt;
};

static int collect(struct sl_topic *t, void *arg)
{
	struct topics *all = arg;

	all->t[all->cnt++] = sl_topic_ref(t);
	return all->cnt == SL_STORE_TOPICS_MAX;
}

/* Topics of earlier runs: what the file says now is under what was set through the Kafka port. */
static int settle_topics(struct sl_gateway *g, char *err, size_t errlen)
{
	struct topics *all = calloc(1, sizeof(*all));
	int rc = all ? 0 : -ENOMEM;

	if (all)
		sl_store_topics(g->store, collect, all);
	for (uint32_t i = 0; all && i < all->cnt; i++) {
		if (!rc) {
			rc = settle_topic(g, all->t[i]);
			if (rc)
				snprintf(err, errlen, "topic %s: %s", sl_topic_name(all->t[i]),
					 strerror(-rc));
		}
		sl_topic_put(all->t[i]);
	}
	free(all);
	return rc;
}

/* The config's topics; those that only a listener names are among them. */
static int make_topics(struct sl_gateway *g, char *err, size_t errlen)
{
	const struct sl_config *c = g->config;
	int rc = settle_topics(g, err, errlen);

	for (uint32_t i = 0; i < c->topic_cnt && !rc; i++) {
		const struct sl_cfg_topic *e = &c->topic[i];
		struct sl_topic_layers l = {.base = e->cfg, .base_set = e->set};
		rc = sl_store_topic_create(g->store, e->name, e->partitions, &l, NULL);
		if (rc == -EEXIST)
			rc = 0;
		if (rc)
			snprintf(err, errlen, "topic %s: %s", e->name, strerror(-rc));
	}
	return rc;
}

static int start_dataplane(struct sl_gateway *g, char *err, size_t errlen)
{
	struct sl_dp_cfg dc = {.config = g->config, .store = g->store, .counters = g->counters};
	int rc = sl_dp_new(&dc, &g->dp, err, errlen);

	return rc ? rc : sl_dp_start(g->dp, err, errlen);
}

static int start_kafka(struct sl_gateway *g, char *err, size_t errlen)
{
	struct sl_kafka_cfg kc = {
		.config = g->config, .store = g->store, .dp = g->dp, .node_id = NODE_ID};
	int rc;

	if (!g->config->kafka.listen_cnt)
		return 0;
	rc = sl_kafka_new(&kc, &g->kafka, err, errlen);
	if (rc)
		return rc;
	rc = sl_kafka_start(g->kafka);
	if (rc)
		snprintf(err, errlen, "kafka listener: %s", strerror(-rc));
	return rc;
}

static int start_admin(struct sl_gateway *g, char *err, size_t errlen)
{
	const struct sl_config *c = g->config;
	struct sl_control_cfg cc = {
		.path = c->admin.socket,
		.cmds = control_cmds,
		.cmd_cnt = SL_ARRAY_SIZE(control_cmds),
		.arg = g,
	};
	struct sl_http_cfg hc = {
		.host = c->admin.listen.host,
		.port = c->admin.listen.port,
		.routes = routes,
		.route_cnt = SL_ARRAY_SIZE(routes),
		.arg = g,
	};
	int rc = 0;

	if (c->admin.listen.port) {
		rc = sl_http_start(&hc, &g->http);
		if (rc) {
			snprintf(err, errlen, "admin.listen %s:%u: %s", hc.host, hc.port,
				 strerror(-rc));
			return rc;
		}
	}
	rc = sl_control_start(&cc, &g->control);
	if (rc)
		snprintf(err, errlen, "admin.socket %s: %s", cc.path, strerror(-rc));
	return rc;
}

int sl_gateway_start(struct sl_gateway *g, struct sl_config *config, char *err, size_t errlen)
{
	struct sl_ledger books;
	uint64_t lost;
	int rc;

	g->config = config;
	g->lock_fd = -1;
	g->started_ns = sl_clock_mono_ns();
	sl_rates_init(&g->rates);
	sl_clock_discipline();
	rc = sl_store_lock(config->gateway.data, &g->lock_fd, err, errlen);
	if (rc)
		goto fail;
	rc = sl_dp_eal_init(config, err, errlen);
	if (rc)
		goto fail;
	g->eal = true;
	rc = open_counters(g, err, errlen);
	if (rc)
		goto fail;
	rc = open_store(g, err, errlen);
	if (rc)
		goto fail;
	lost = sl_ledger_reconcile(g->counters, g->recovery.clean);
	sl_ledger_read(g->counters, false, &books);
	if (books.difference)
		sl_log(SL_LOG_ERROR, "app",
		       "%lu frames or records of the last run are not accounted for",
		       (unsigned long)books.difference);
	if (lost)
		sl_log(SL_LOG_WARN, "app",
		       "%lu records were accepted and lost when the last run died",
		       (unsigned long)lost);
	rc = make_topics(g, err, errlen);
	if (rc)
		goto fail;
	rc = start_dataplane(g, err, errlen);
	if (rc)
		goto fail;
	rc = start_kafka(g, err, errlen);
	if (rc)
		goto fail;
	rc = start_admin(g, err, errlen);
	if (rc)
		goto fail;
	g->ready_ns = sl_clock_mono_ns();
	atomic_store_explicit(&g->ready, true, memory_order_release);
	return 0;
fail:
	sl_gateway_stop(g);
	return rc;
}

/* Topics come and go through the Kafka port: listeners write to what there is. */
static void follow_topics(struct sl_gateway *g)
{
	uint64_t now = sl_store_generation(g->store);

	if (now == g->topics_gen)
		return;
	int rc = sl_dp_rebind(g->dp);
	if (!rc)
		g->topics_gen = now;
	else if (rc != -EAGAIN) /* that one is not through all lcores yet: with the next turn */
		sl_log(SL_LOG_ERROR, "app", "listeners stay with the topics they have: %s",
		       strerror(-rc));
}

void sl_gateway_housekeep(struct sl_gateway *g)
{
	static const unsigned every = CHECKPOINT_EVERY;
	struct sl_ledger l;

	sl_clock_discipline();
	sl_dp_housekeep(g->dp);
	sl_ledger_read(g->counters, true, &l);
	sl_rates_keep(&g->rates, &l, sl_clock_mono_ns());
	follow_topics(g);
	if ((sl_clock_mono_ns() / 1000000000) % every == 0)
		sl_counters_checkpoint(g->counters);
}

/* ---- stopping: the reverse, on whatever of it exists
 * ------------------------------------------------ */

static void release(struct sl_gateway *g)
{
	if (g->counters)
		sl_counters_close(g->counters);
	if (g->eal)
		sl_dp_eal_cleanup();
	if (g->lock_fd >= 0)
		close(g->lock_fd);
	sl_config_free(g->config);
	sl_rates_fini(&g->rates);
	memset(g, 0, sizeof(*g));
	g->lock_fd = -1;
}

int sl_gateway_stop(struct sl_gateway *g)
{
	uint64_t now = sl_clock_mono_ns();
	uint64_t bound = (uint64_t)(g->config ? g->config->drain_ms : 0) * 1000000;
	int rc = 0, hung = 0, closed;

	atomic_store_explicit(&g->ready, false, memory_order_release);
	if (g->kafka)
		hung = sl_kafka_stop(g->kafka, now + bound / 2);
	if (g->dp) {
		/* at least half of the bound, however long the listener took of its own half */
		rc = sl_dp_stop(g->dp, SL_MAX(now + bound, sl_clock_mono_ns() + bound / 2));
		sl_dp_housekeep(g->dp);
	}
	sl_http_stop(g->http);
	sl_control_stop(g->control);
	if (g->counters)
		sl_counters_checkpoint(g->counters);
	if (hung) /* a worker still reads the store: it is left as it is, the next start recovers */
		return -EINPROGRESS;
	sl_kafka_free(g->kafka);
	sl_dp_free(g->dp);
	closed = sl_store_close(g->store, rc == 0);
	release(g);
	return rc ? rc : closed;
}
