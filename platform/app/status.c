/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - the status document that `sluice status --json` prints; the same figures feed
 * metrics.c. Counts are since the data directory was made unless they are of this run. */
#include "bridges.h"
#include "gateway.h"
#include "platform/base/clock.h"
#include "sl_version.h"
#include "uplink_report.h"

#define SNAPSHOT_TRIES 20
#define STATUS_PORTS   SL_CFG_PORTS_MAX

static json_t *u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static void set(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, u64(v));
}

static json_t *ports_json(struct sl_gateway *g)
{
	struct sl_dp_port_status st[STATUS_PORTS];
	unsigned n = g->dp ? sl_dp_ports(g->dp, st, STATUS_PORTS) : 0;
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "name",
						   st[i].name, "backend", st[i].backend, "why",
						   st[i].why, "link", st[i].link, "loss_exact",
						   st[i].loss_exact, "done", st[i].done));
	return a;
}

/* Rows of one group as {reason: n}; every row, so that a reader sees the zeros too. */
static json_t *group_json(const struct sl_ledger *l, enum sl_frame_group group)
{
	json_t *o = json_object();

	for (unsigned r = 0; r < SL_FRAME_ROW_CNT; r++)
		if (sl_frame_row_group((enum sl_frame_row)r) == group)
			set(o, sl_frame_row_name((enum sl_frame_row)r), l->row[r]);
	return o;
}

static json_t *reasons_json(const uint64_t *failed)
{
	json_t *o = json_object();

	for (unsigned r = 0; r < SL_APPEND_REASON_CNT; r++)
		set(o, sl_append_reason_name((enum sl_append_reason)r), failed[r]);
	return o;
}

static json_t *ledger_json(const struct sl_ledger *l)
{
	json_t *o = json_object();

	set(o, "wire", l->wire);
	set(o, "lost_by_device", l->lost_by_device);
	set(o, "waiting", l->waiting);
	set(o, "rx", l->rx);
	set(o, "other", l->row[SL_FR_OTHER]);
	json_object_set_new(o, "bad", group_json(l, SL_FG_BAD));
	json_object_set_new(o, "fragment", group_json(l, SL_FG_FRAGMENT));
	json_object_set_new(o, "refused", group_json(l, SL_FG_REFUSED));
	json_object_set_new(o, "control", group_json(l, SL_FG_CONTROL));
	set(o, "duplicate", l->row[SL_FR_DUPLICATE]);
	set(o, "limited", l->row[SL_FR_LIMITED]);
	set(o, "ring_full", l->row[SL_FR_RING_FULL]);
	set(o, "accepted", l->accepted);
	set(o, "appended", l->appended);
	json_object_set_new(o, "append_failed", reasons_json(l->append_failed));
	set(o, "lost_at_crash", l->lost_at_crash);
	set(o, "in_flight", l->in_flight);
	set(o, "difference", l->difference);
	return o;
}

/* NULL in the first moments of a run. */
static json_t *rates_json(struct sl_gateway *g, const struct sl_ledger *l)
{
	double per_s[SL_RATE_CNT], over_s;
	json_t *o;

	if (!sl_rates_get(&g->rates, l, sl_clock_mono_ns(), per_s, &over_s))
		return NULL;
	o = json_object();
	json_object_set_new(o, "over_s", json_real(over_s));
	for (unsigned i = 0; i < SL_RATE_CNT; i++)
		json_object_set_new(o, sl_rate_name((enum sl_rate)i), json_real(per_s[i]));
	return o;
}

static const char *const origin_name[SL_ORIGIN_CNT] = {"ingest", "kafka", "mqtt", "internal"};

static json_t *log_json(struct sl_gateway *g, const struct sl_ledger *l)
{
	json_t *o = json_object(), *app = json_object(), *fail = json_object();

	for (unsigned i = 0; i < SL_ORIGIN_CNT; i++) {
		set(app, origin_name[i], l->log_appended[i]);
		json_object_set_new(fail, origin_name[i], reasons_json(l->log_failed[i]));
	}
	json_object_set_new(o, "appended", app);
	json_object_set_new(o, "append_failed", fail);
	sl_uplink_log_json(o, g, l);
	return o;
}

static int topic_json(struct sl_topic *t, void *arg)
{
	json_t *parts = json_array();

	for (uint32_t i = 0; i < sl_topic_partitions(t); i++) {
		struct sl_part *p = sl_topic_part(t, (int32_t)i);
		int64_t sent = sl_part_forwarded(p);
		json_t *o = json_object();

		set(o, "id", i);
		set(o, "log_start", (uint64_t)sl_part_start(p));
		set(o, "end", (uint64_t)sl_part_end(p));
		set(o, "synced", (uint64_t)sl_part_synced(p));
		/* null: no uplink carries it, or how far the centre is is not known yet */
		json_object_set_new(o, "forwarded", sent < 0 ? json_null() : json_integer(sent));
		json_object_set_new(o, "state", json_integer(sl_part_state(p)));
		json_array_append_new(parts, o);
	}
	json_array_append_new(
		arg, json_pack("{s:s, s:o}", "name", sl_topic_name(t), "partitions", parts));
	return 0;
}

static json_t *recovery_json(const struct sl_store_recovery *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "clean", json_boolean(r->clean));
	set(o, "stripes_written", r->stripes_written);
	set(o, "stripe_records", r->stripe_records);
	set(o, "cut_partitions", r->cut_partitions);
	set(o, "cut_bytes", r->cut_bytes);
	set(o, "tails_restored", r->tails_restored);
	set(o, "lost_records", (uint64_t)r->lost_records);
	set(o, "scanned_bytes", r->scanned_bytes);
	set(o, "duration_us", r->duration_us);
	return o;
}

static json_t *store_json(struct sl_store *s)
{
	struct sl_store_stats st;
	json_t *o = json_object();

	sl_store_stats(s, &st);
	json_object_set_new(o, "io", json_string(sl_store_io_name(s)));
	json_object_set_new(o, "disk_full", json_boolean(st.disk_full));
	set(o, "fs_bytes", st.fs_bytes);
	set(o, "fs_free_bytes", st.fs_free_bytes);
	set(o, "log_bytes", st.log_bytes);
	set(o, "budget_bytes", st.budget_bytes);
	set(o, "evicted_records", st.evicted_records);
	set(o, "evicted_bytes", st.evicted_bytes);
	set(o, "evicted_segments", st.evicted_segments);
	set(o, "expired_segments", st.expired_segments);
	set(o, "deleted_unsent", st.deleted_unsent);
	set(o, "writes", st.writes);
	set(o, "write_bytes", st.write_bytes);
	set(o, "syncs", st.syncs);
	set(o, "write_failed", st.write_failed);
	set(o, "sync_failed", st.sync_failed);
	set(o, "tail_hits", st.tail_hits);
	set(o, "tail_misses", st.tail_misses);
	return o;
}

static json_t *kafka_json(struct sl_kafka *k)
{
	struct sl_kafka_stats st = {0};
	json_t *o = json_object();

	if (k)
		sl_kafka_stats(k, &st);
	set(o, "connections", st.connections);
	set(o, "connections_refused", st.connections_refused);
	set(o, "requests", st.requests_total);
	set(o, "request_errors", st.request_errors_total);
	set(o, "memory_bytes", st.memory_bytes);
	set(o, "produce_records", st.produce_records);
	set(o, "produce_errors", st.produce_errors);
	set(o, "fetch_bytes", st.fetch_bytes);
	set(o, "fetch_from_disk", st.fetch_from_disk);
	return o;
}

static json_t *downlink_json(const struct sl_ledger *l)
{
	json_t *o = json_object();

	sl_bridges_json(o, "downlink", l);
	return o;
}

static json_t *lcores_json(struct sl_gateway *g)
{
	char name[2 * SL_CFG_CPUS_MAX][64];
	unsigned n = g->dp ? sl_dp_lcores(g->dp, name, SL_ARRAY_SIZE(name)) : 0;
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, json_string(name[i]));
	return a;
}

static json_t *notes_json(const struct sl_ledger *l)
{
	json_t *o = json_object();

	for (unsigned r = 0; r < SL_NOTE_ROW_CNT; r++)
		set(o, sl_note_row_name((enum sl_note_row)r), l->note[r]);
	set(o, "starts", l->starts);
	set(o, "crashes", l->crashes);
	set(o, "clock_steps", sl_clock_steps()); /* of this run */
	return o;
}

json_t *sl_gateway_status(struct sl_gateway *g)
{
	json_t *doc = json_object(), *topics = json_array(), *rates;
	struct sl_ledger l;

	sl_dp_read_losses(g->dp);
	sl_ledger_snapshot(g->counters, SNAPSHOT_TRIES, &l);
	sl_store_topics(g->store, topic_json, topics);
	json_object_set_new(doc, "gateway", json_string(g->config->gateway.id));
	json_object_set_new(doc, "version", json_string(SL_VERSION));
	set(doc, "uptime_s", (sl_clock_mono_ns() - g->started_ns) / 1000000000);
	json_object_set_new(doc, "ready",
			    json_boolean(atomic_load_explicit(&g->ready, memory_order_acquire)));
	json_object_set_new(doc, "ports", ports_json(g));
	rates = rates_json(g, &l);
	if (rates)
		json_object_set_new(doc, "rates", rates);
	json_object_set_new(doc, "ledger", ledger_json(&l));
	json_object_set_new(doc, "log", log_json(g, &l));
	json_object_set_new(doc, "topics", topics);
	json_object_set_new(doc, "lcores", lcores_json(g));
	json_object_set_new(doc, "notes", notes_json(&l));
	json_object_set_new(doc, "store", store_json(g->store));
	json_object_set_new(doc, "kafka", kafka_json(g->kafka));
	json_object_set_new(doc, "mqtt", sl_bridges_mqtt_json(&l, g->mqtt));
	json_object_set_new(doc, "downlink", downlink_json(&l));
	json_object_set_new(doc, "uplink", sl_uplink_json(g, &l));
	json_object_set_new(doc, "recovery", recovery_json(&g->recovery));
	return doc;
}
