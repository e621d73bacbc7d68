/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/config/config.h"
#include "topics.h"
#include "uplink_report.h"

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
	{"uplink.status", sl_uplink_on_status},
	{"uplink.pause", sl_uplink_on_pause},
	{"uplink.resume", sl_uplink_on_resume},
	{"uplink.rate", sl_uplink_on_rate},
	{"uplink.adopt", sl_uplink_on_adopt},
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

static int make_dataplane(struct sl_gateway *g, char *err, size_t errlen)
{
	struct sl_dp_cfg dc = {.config = g->config, .store = g->store, .counters = g->counters};

	return sl_dp_new(&dc, &g->dp, err, errlen);
}

/* Before anything is appended: it looks where the logs ended. */
static int make_uplink(struct sl_gateway *g, char *err, size_t errlen)
{
	struct sl_uplink_cfg uc = {
		.config = g->config, .store = g->store, .dp = g->dp, .counters = g->counters};

	return g->config->uplink.bootstrap[0] ? sl_uplink_new(&uc, &g->uplink, err, errlen) : 0;
}

static int start_dataplane(struct sl_gateway *g, char *err, size_t errlen)
{
	return sl_dp_start(g->dp, err, errlen);
}

static int start_kafka(struct sl_gateway *g, char *err, size_t errlen)
{
	struct sl_kafka_cfg kc = {
		.config = g->config, .store = g->store, .dp = g->dp, .node_id = NODE_ID};
	int rc;

	/* without listeners it keeps the offsets of the downlink */
	if (!g->config->kafka.listen_cnt && !g->config->downlink_cnt)
		return 0;
	rc = sl_kafka_new(&kc, &g->kafka, err, errlen);
	if (rc)
		return rc;
	rc = sl_kafka_start(g->kafka);
	if (rc)
		snprintf(err, errlen, "kafka listener: %s", strerror(-rc));
	return rc;
}

static int start_mqtt(struct sl_gateway *g, char *err, size_t errlen)
{
	struct sl_mqtt_cfg mc = {
		.config = g->config,
		.store = g->store,
		.dp = g->dp,
		.offsets = g->kafka ? sl_kafka_offsets_ops() : NULL,
		.offsets_arg = g->kafka,
		.counters = g->counters,
	};
	int rc;

	if (!g->config->mqtt.on)
		return 0;
	rc = sl_mqtt_new(&mc, &g->mqtt, err, errlen);
	if (rc)
		return rc;
	rc = sl_mqtt_start(g->mqtt);
	if (rc)
		snprintf(err, errlen, "mqtt: %s", strerror(-rc));
	return rc;
}

static int start_uplink(struct sl_gateway *g, char *err, size_t errlen)
{
	int rc = g->uplink ? sl_uplink_start(g->uplink) : 0;

	if (rc)
		snprintf(err, errlen, "uplink: %s", strerror(-rc));
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

static int lock_data(struct sl_gateway *g, char *err, size_t errlen)
{
	return sl_store_lock(g->config->gateway.data, &g->lock_fd, err, errlen);
}

static int start_eal(struct sl_gateway *g, char *err, size_t errlen)
{
	int rc = sl_dp_eal_init(g->config, err, errlen);

	g->eal = rc == 0;
	return rc;
}

static int close_books(struct sl_gateway *g, SL_UNUSED char *err, SL_UNUSED size_t errlen)
{
	uint64_t lost = sl_ledger_reconcile(g->counters, g->recovery.clean);
	struct sl_ledger books;

	sl_ledger_read(g->counters, false, &books);
	if (books.difference || books.mqtt_difference)
		sl_log(SL_LOG_ERROR, "app",
		       "%lu frames or records and %lu MQTT messages of the last run are not "
		       "accounted for",
		       (unsigned long)books.difference, (unsigned long)books.mqtt_difference);
	if (lost)
		sl_log(SL_LOG_WARN, "app",
		       "%lu records were accepted and lost when the last run died",
		       (unsigned long)lost);
	return 0;
}

static int make_topics(struct sl_gateway *g, char *err, size_t errlen)
{
	return sl_topics_settle(g->store, g->config, err, errlen);
}

/* In this order; a stop is the reverse. What the config has no section for does nothing. */
static int (*const steps[])(struct sl_gateway *g, char *err, size_t errlen) = {
	lock_data,   start_eal,      open_counters, open_store,      close_books,
	make_topics, make_dataplane, make_uplink,   start_dataplane, start_kafka,
	start_mqtt,  start_uplink,   start_admin,
};

int sl_gateway_start(struct sl_gateway *g, struct sl_config *config, char *err, size_t errlen)
{
	int rc = 0;

	g->config = config;
	g->lock_fd = -1;
	g->started_ns = sl_clock_mono_ns();
	sl_rates_init(&g->rates);
	sl_clock_discipline();
	for (size_t i = 0; i < SL_ARRAY_SIZE(steps) && !rc; i++)
		rc = steps[i](g, err, errlen);
	if (rc) {
		sl_gateway_stop(g);
		return rc;
	}
	g->ready_ns = sl_clock_mono_ns();
	atomic_store_explicit(&g->ready, true, memory_order_release);
	return 0;
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

/* The reverse of their start; each has until its share of the bound is over. Not 0: one of them
 * still has records or jobs under way. */
static int stop_bridges(struct sl_gateway *g, uint64_t now, uint64_t bound)
{
	int uplink = g->uplink ? sl_uplink_stop(g->uplink, now + bound / 4) : 0;
	int mqtt = g->mqtt ? sl_mqtt_stop(g->mqtt, now + bound / 8 * 3) : 0;
	int kafka = g->kafka ? sl_kafka_stop(g->kafka, now + bound / 2) : 0;

	return uplink ? uplink : mqtt ? mqtt : kafka;
}

int sl_gateway_stop(struct sl_gateway *g)
{
	uint64_t now = sl_clock_mono_ns();
	uint64_t bound = (uint64_t)(g->config ? g->config->drain_ms : 0) * 1000000;
	int rc = 0, hung, closed;

	atomic_store_explicit(&g->ready, false, memory_order_release);
	hung = stop_bridges(g, now, bound);
	if (g->dp) {
		/* at least half of the bound, however long the bridges took of their own half */
		rc = sl_dp_stop(g->dp, SL_MAX(now + bound, sl_clock_mono_ns() + bound / 2));
		sl_dp_housekeep(g->dp);
	}
	sl_http_stop(g->http);
	sl_control_stop(g->control);
	if (g->counters)
		sl_counters_checkpoint(g->counters);
	if (hung) /* what still runs uses the store: it is left as it is, the next start recovers */
		return -EINPROGRESS;
	sl_uplink_free(g->uplink);
	sl_mqtt_free(g->mqtt);
	sl_kafka_free(g->kafka);
	sl_dp_free(g->dp);
	closed = sl_store_close(g->store, rc == 0);
	release(g);
	return rc ? rc : closed;
}
