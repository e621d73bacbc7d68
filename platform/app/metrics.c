/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - the same figures as status.c in Prometheus' text format. */
#include "bridges.h"
#include "gateway.h"
#include "platform/base/clock.h"
#include "platform/http/prom.h"
#include "sl_version.h"
#include "uplink_report.h"

#define SNAPSHOT_TRIES 5

static void one(FILE *f, const char *name, enum sl_prom_type type, const char *help, uint64_t v)
{
	sl_prom_family(f, name, type, help);
	sl_prom_u64(f, name, NULL, 0, v);
}

static void frames(FILE *f, const struct sl_ledger *l)
{
	static const char name[] = "sluice_frames_total";

	one(f, "sluice_frames_wire_total", SL_PROM_COUNTER,
	    "Frames that reached a port's back end.", l->wire);
	one(f, "sluice_frames_lost_by_device_total", SL_PROM_COUNTER,
	    "Frames that a port's back end lost before they were received.", l->lost_by_device);
	one(f, "sluice_frames_received_total", SL_PROM_COUNTER, "Frames received by ingest lcores.",
	    l->rx);
	sl_prom_family(f, name, SL_PROM_COUNTER, "Frames received, by what became of them.");
	for (unsigned r = 0; r < SL_FRAME_ROW_CNT; r++) {
		enum sl_frame_group g = sl_frame_row_group((enum sl_frame_row)r);
		const struct sl_prom_label lb[] = {
			{"bucket", sl_frame_group_name(g)},
			{"reason", sl_frame_row_name((enum sl_frame_row)r)},
		};
		sl_prom_u64(f, name, lb, 2, l->row[r]);
	}
	one(f, "sluice_records_in_flight", SL_PROM_GAUGE, "Records accepted and not yet appended.",
	    l->in_flight);
	one(f, "sluice_records_lost_at_crash_total", SL_PROM_COUNTER,
	    "Records accepted and lost when the process died.", l->lost_at_crash);
	one(f, "sluice_starts_total", SL_PROM_COUNTER, "Starts since the data directory was made.",
	    l->starts);
	one(f, "sluice_crashes_total", SL_PROM_COUNTER, "Starts that found no clean stop.",
	    l->crashes);
	one(f, "sluice_ledger_difference", SL_PROM_GAUGE,
	    "Frames and records that do not add up; 0 in health.", l->difference);
}

static void records(FILE *f, const struct sl_ledger *l)
{
	static const char *const origin[SL_ORIGIN_CNT] = {"ingest", "kafka", "mqtt", "internal"};

	sl_prom_family(f, "sluice_records_appended_total", SL_PROM_COUNTER,
		       "Records appended to the log.");
	for (unsigned o = 0; o < SL_ORIGIN_CNT; o++)
		sl_prom_u64(f, "sluice_records_appended_total",
			    (const struct sl_prom_label[]){{"origin", origin[o]}}, 1,
			    l->log_appended[o]);
	sl_prom_family(f, "sluice_records_append_failed_total", SL_PROM_COUNTER,
		       "Records refused by the log, by reason.");
	for (unsigned o = 0; o < SL_ORIGIN_CNT; o++)
		for (unsigned r = 0; r < SL_APPEND_REASON_CNT; r++)
			sl_prom_u64(f, "sluice_records_append_failed_total",
				    (const struct sl_prom_label[]){
					    {"origin", origin[o]},
					    {"reason",
					     sl_append_reason_name((enum sl_append_reason)r)}},
				    2, l->log_failed[o][r]);
	sl_prom_family(f, "sluice_notes_total", SL_PROM_COUNTER,
		       "What records looked like though they were stored.");
	for (unsigned r = 0; r < SL_NOTE_ROW_CNT; r++)
		sl_prom_u64(f, "sluice_notes_total",
			    (const struct sl_prom_label[]){
				    {"note", sl_note_row_name((enum sl_note_row)r)}},
			    1, l->note[r]);
}

/* One family at a time over all partitions: exporters' names where they exist. */
struct part_metric {
	FILE *f;
	const char *name;
	int64_t (*get)(const struct sl_part *p);
};

static int64_t get_state(const struct sl_part *p)
{
	return sl_part_state(p);
}

static int part_lines(struct sl_topic *t, void *arg)
{
	const struct part_metric *m = arg;
	char id[16];

	for (uint32_t i = 0; i < sl_topic_partitions(t); i++) {
		snprintf(id, sizeof(id), "%u", i);
		sl_prom_i64(m->f, m->name,
			    (const struct sl_prom_label[]){{"topic", sl_topic_name(t)},
							   {"partition", id}},
			    2, m->get(sl_topic_part(t, (int32_t)i)));
	}
	return 0;
}

static void partitions(FILE *f, struct sl_store *s)
{
	static const struct {
		const char *name, *help;
		int64_t (*get)(const struct sl_part *p);
	} rows[] = {
		{"kafka_topic_partition_current_offset", "Log end of a partition.", sl_part_end},
		{"kafka_topic_partition_oldest_offset", "Log start of a partition.", sl_part_start},
		{"sluice_partition_synced_offset", "Below it a completed sync covers the log.",
		 sl_part_synced},
		{"sluice_partition_state", "0 ok, 1 disk full, 2 failed, 3 deleted.", get_state},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		struct part_metric m = {.f = f, .name = rows[i].name, .get = rows[i].get};

		sl_prom_family(f, rows[i].name, SL_PROM_GAUGE, rows[i].help);
		sl_store_topics(s, part_lines, &m);
	}
}

static void ports(FILE *f, struct sl_dataplane *dp)
{
	struct sl_dp_port_status st[SL_CFG_PORTS_MAX];
	unsigned n = sl_dp_ports(dp, st, SL_ARRAY_SIZE(st));

	sl_prom_family(f, "sluice_port_up", SL_PROM_GAUGE, "1 if a port's link is up.");
	for (unsigned i = 0; i < n; i++)
		sl_prom_u64(f, "sluice_port_up",
			    (const struct sl_prom_label[]){{"port", st[i].name},
							   {"backend", st[i].backend}},
			    2, st[i].link);
	sl_prom_family(f, "sluice_port_loss_exact", SL_PROM_GAUGE,
		       "1 if the back end's losses are counted exactly.");
	for (unsigned i = 0; i < n; i++)
		sl_prom_u64(f, "sluice_port_loss_exact",
			    (const struct sl_prom_label[]){{"port", st[i].name},
							   {"backend", st[i].backend}},
			    2, st[i].loss_exact);
}

static void storage(FILE *f, struct sl_store *s)
{
	struct sl_store_stats st;

	sl_store_stats(s, &st);
	one(f, "sluice_disk_full", SL_PROM_GAUGE, "1 while records are refused for want of space.",
	    st.disk_full);
	one(f, "sluice_disk_free_bytes", SL_PROM_GAUGE,
	    "Free bytes of the data directory's file system.", st.fs_free_bytes);
	one(f, "sluice_log_bytes", SL_PROM_GAUGE, "Bytes of all segments.", st.log_bytes);
	one(f, "sluice_log_budget_bytes", SL_PROM_GAUGE, "Bytes that the log may take.",
	    st.budget_bytes);
	one(f, "sluice_log_evicted_records_total", SL_PROM_COUNTER,
	    "Records that went for the budget.", st.evicted_records);
	one(f, "sluice_log_evicted_bytes_total", SL_PROM_COUNTER, "Bytes that went for the budget.",
	    st.evicted_bytes);
	one(f, "sluice_log_deleted_unsent_records_total", SL_PROM_COUNTER,
	    "Records that went, by whatever, before the uplink had sent them.", st.deleted_unsent);
	one(f, "sluice_log_expired_segments_total", SL_PROM_COUNTER,
	    "Segments that retention removed.", st.expired_segments);
	one(f, "sluice_disk_writes_total", SL_PROM_COUNTER, "Writes to segments.", st.writes);
	one(f, "sluice_disk_written_bytes_total", SL_PROM_COUNTER, "Bytes written to segments.",
	    st.write_bytes);
	one(f, "sluice_disk_syncs_total", SL_PROM_COUNTER, "Completed group syncs.", st.syncs);
	one(f, "sluice_disk_write_failed_total", SL_PROM_COUNTER, "Failed writes.",
	    st.write_failed);
	one(f, "sluice_disk_sync_failed_total", SL_PROM_COUNTER, "Failed syncs.", st.sync_failed);
}

static void groups(FILE *f, const struct sl_kafka_stats *st)
{
	one(f, "sluice_kafka_groups", SL_PROM_GAUGE, "Consumer groups.", st->groups);
	one(f, "sluice_kafka_group_members", SL_PROM_GAUGE, "Members of all groups.",
	    st->group_members);
	one(f, "sluice_kafka_committed_offsets", SL_PROM_GAUGE, "Committed offsets of all groups.",
	    st->group_offsets);
	one(f, "sluice_kafka_group_rebalances_total", SL_PROM_COUNTER, "Rebalances begun.",
	    st->group_rebalances);
	one(f, "sluice_kafka_offset_commits_total", SL_PROM_COUNTER, "Offsets committed.",
	    st->offset_commits);
	one(f, "sluice_kafka_offsets_expired_total", SL_PROM_COUNTER,
	    "Committed offsets removed by their retention.", st->offsets_expired);
	one(f, "sluice_kafka_group_refused_total", SL_PROM_COUNTER,
	    "Joins and commits beyond a limit.", st->group_refused);
	one(f, "sluice_kafka_group_records_skipped_total", SL_PROM_COUNTER,
	    "Records of __consumer_offsets that were not understood.", st->group_foreign);
	one(f, "sluice_kafka_group_write_errors_total", SL_PROM_COUNTER,
	    "Records that could not be written to __consumer_offsets.", st->group_write_errors);
	one(f, "sluice_kafka_group_rewrites_total", SL_PROM_COUNTER,
	    "Partitions of __consumer_offsets that were rewritten.", st->group_compactions);
}

static void kafka(FILE *f, struct sl_kafka *k)
{
	struct sl_kafka_stats st = {0};

	if (k)
		sl_kafka_stats(k, &st);
	one(f, "sluice_kafka_connections", SL_PROM_GAUGE, "Open connections.", st.connections);
	one(f, "sluice_kafka_connections_total", SL_PROM_COUNTER, "Connections accepted.",
	    st.connections_total);
	one(f, "sluice_kafka_connections_refused_total", SL_PROM_COUNTER,
	    "Connections beyond the maximum.", st.connections_refused);
	one(f, "sluice_kafka_requests_total", SL_PROM_COUNTER, "Requests.", st.requests_total);
	one(f, "sluice_kafka_request_errors_total", SL_PROM_COUNTER,
	    "Connections closed for a malformed request.", st.request_errors_total);
	one(f, "sluice_kafka_received_bytes_total", SL_PROM_COUNTER, "Bytes received.",
	    st.bytes_in);
	one(f, "sluice_kafka_sent_bytes_total", SL_PROM_COUNTER, "Bytes sent.", st.bytes_out);
	one(f, "sluice_kafka_memory_bytes", SL_PROM_GAUGE, "Memory held by connections.",
	    st.memory_bytes);
	one(f, "sluice_kafka_produced_records_total", SL_PROM_COUNTER,
	    "Records taken from producers.", st.produce_records);
	one(f, "sluice_kafka_fetched_bytes_total", SL_PROM_COUNTER, "Bytes of record batches sent.",
	    st.fetch_bytes);
	one(f, "sluice_kafka_fetches_from_disk_total", SL_PROM_COUNTER,
	    "Fetches that memory could not serve.", st.fetch_from_disk);
	one(f, "sluice_kafka_produce_errors_total", SL_PROM_COUNTER,
	    "Partitions of produce requests answered with an error.", st.produce_errors);
	one(f, "sluice_kafka_central_refused_total", SL_PROM_COUNTER,
	    "Partitions of acks=all refused because the central cluster was out of reach.",
	    st.central_refused);
	one(f, "sluice_kafka_admin_errors_total", SL_PROM_COUNTER,
	    "Topics, partitions and settings of admin requests answered with an error.",
	    st.admin_errors);
	groups(f, &st);
}

void sl_gateway_metrics(struct sl_gateway *g, FILE *f)
{
	struct sl_ledger l;

	sl_dp_read_losses(g->dp);
	sl_ledger_snapshot(g->counters, SNAPSHOT_TRIES, &l);
	sl_prom_family(f, "sluice_build_info", SL_PROM_GAUGE, "Always 1.");
	sl_prom_u64(f, "sluice_build_info", (const struct sl_prom_label[]){{"version", SL_VERSION}},
		    1, 1);
	one(f, "sluice_ready", SL_PROM_GAUGE, "1 when everything serves.",
	    atomic_load_explicit(&g->ready, memory_order_acquire));
	one(f, "sluice_uptime_seconds", SL_PROM_GAUGE, "Since the process started.",
	    (sl_clock_mono_ns() - g->started_ns) / 1000000000);
	ports(f, g->dp);
	frames(f, &l);
	records(f, &l);
	partitions(f, g->store);
	storage(f, g->store);
	kafka(f, g->kafka);
	sl_bridges_metrics(f, &l, g->mqtt);
	sl_uplink_metrics(f, g);
}
