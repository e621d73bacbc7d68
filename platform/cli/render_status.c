/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <time.h>

#include "platform/cli/render.h"

/* ---- head and ports -------------------------------------------------------------------------- */

static void put_uptime(FILE *out, int64_t s)
{
	if (s >= 86400)
		fprintf(out, "%" PRId64 "d %" PRId64 "h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		fprintf(out, "%" PRId64 "h %" PRId64 "m", s / 3600, s / 60 % 60);
	else if (s >= 60)
		fprintf(out, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
	else
		fprintf(out, "%" PRId64 "s", s);
}

static int64_t uptime(const json_t *st)
{
	return (int64_t)json_number_value(json_object_get(st, "uptime_s"));
}

static const char *ready_text(const json_t *st)
{
	return json_is_true(json_object_get(st, "ready")) ? "ready" : "NOT READY";
}

static void put_head(FILE *out, const json_t *st)
{
	sl_put_text(out, sl_json_str(st, "gateway", "?"));
	fputs("   sluice ", out);
	sl_put_text(out, sl_json_str(st, "version", "?"));
	fputs("   up ", out);
	put_uptime(out, uptime(st));
	fprintf(out, "   %s\n", ready_text(st));
}

static bool link_up(const json_t *port)
{
	const json_t *v = json_object_get(port, "link");

	return json_is_true(v) || (json_is_string(v) && !strcmp(json_string_value(v), "up"));
}

static const char *link_text(const json_t *port)
{
	if (json_is_true(json_object_get(port, "done")))
		return "done"; /* a capture at its end */
	return link_up(port) ? "link up" : "LINK DOWN";
}

static void put_ports(FILE *out, const json_t *st)
{
	const json_t *ports = json_object_get(st, "ports"), *p;
	size_t i;

	fputs("\nports\n", out);
	json_array_foreach(ports, i, p)
	{
		fprintf(out, "  %-12s %-10s %-9s ", sl_json_str(p, "name", "?"),
			sl_json_str(p, "backend", "?"), link_text(p));
		sl_put_text(out, sl_json_str(p, "why", ""));
		fputs("\n", out);
		if (json_is_false(json_object_get(p, "loss_exact")))
			fputs("               its losses are not known exactly\n", out);
	}
	if (json_array_size(ports) == 0)
		fputs("  none\n", out);
}

static void put_lcores(FILE *out, const json_t *st)
{
	const json_t *lcores = json_object_get(st, "lcores"), *v;
	size_t i;

	if (json_array_size(lcores) == 0)
		return;
	fputs("  threads: ", out);
	json_array_foreach(lcores, i, v)
	{
		fputs(i ? ", " : "", out);
		sl_put_text(out, json_is_string(v) ? json_string_value(v) : "?");
	}
	fputs("\n", out);
}

/* ---- rates ----------------------------------------------------------------------------------- */

/* Where the ever growing total of a rate stands in the status, beside its name in `rates`. */
static const struct rate {
	const char *key, *label;
	const char *book, *total, *inner;
	bool always; /* also when it is 0 */
} RATES[] = {
	{"rx", "frames received", "ledger", "rx", NULL, true},
	{"accepted", "records accepted", "ledger", "accepted", NULL, true},
	{"appended", "records appended", "ledger", "appended", NULL, true},
	{"kafka", "Kafka records appended", "log", "appended", "kafka", false},
	{"mqtt", "MQTT messages appended", "log", "appended", "mqtt", false},
	{"lost_by_device", "lost by device", "ledger", "lost_by_device", NULL, false},
	{"ring_full", "ring full", "ledger", "ring_full", NULL, false},
};
static const struct rate *const APPENDED = &RATES[2];

static int64_t total(const json_t *st, const struct rate *r)
{
	const json_t *book = json_object_get(st, r->book);

	return r->inner ? sl_json_int(json_object_get(book, r->total), r->inner)
			: sl_json_int(book, r->total);
}

/* Since `prev`, or without one what the daemon says of the last seconds. */
static double rate(const json_t *st, const json_t *prev, double dt_s, const struct rate *r)
{
	int64_t d;

	if (!prev)
		return json_number_value(json_object_get(json_object_get(st, "rates"), r->key));
	d = total(st, r) - total(prev, r);
	return dt_s > 0 && d > 0 ? (double)d / dt_s : 0;
}

/* Of a slow stream one digit more: "0.2" is not nothing. */
static const char *rate_text(double v, char buf[SL_NUM_TEXT])
{
	if (v >= 10 || v < 0.05)
		return sl_num_text((int64_t)(v + 0.5), buf);
	snprintf(buf, SL_NUM_TEXT, "%.1f", v);
	return buf;
}

static void put_rates(FILE *out, const json_t *st, const json_t *prev, double dt_s)
{
	const json_t *own = json_object_get(st, "rates");
	char num[SL_NUM_TEXT];

	if (!prev && !own)
		return; /* the first moments of a run, or an older daemon */
	if (!prev)
		dt_s = json_number_value(json_object_get(own, "over_s"));
	fprintf(out, "\nper second, over the last %.1f s\n", dt_s);
	for (size_t i = 0; i < SL_ARRAY_SIZE(RATES); i++) {
		double v = rate(st, prev, dt_s, &RATES[i]);
		if (v > 0 || RATES[i].always)
			fprintf(out, "  %-28s %15s\n", RATES[i].label, rate_text(v, num));
	}
}

/* ---- the two books --------------------------------------------------------------------------- */

static void put_ledger(FILE *out, const json_t *st)
{
	json_t *ledger = json_object_get(st, "ledger"), *log = json_object_get(st, "log");

	fputs("\nframes, since the data directory was made\n", out);
	sl_put_book(out, ledger);
	sl_put_verdict(out, ledger, "frame", "frames");
	if (!log)
		return;
	fputs("\nlog, since then\n", out);
	sl_put_book(out, log);
	sl_put_verdict(out, log, "record", "records");
}

/* ---- topics and the rest --------------------------------------------------------------------- */

/* enum sl_part_state, as the daemon numbers it. */
static const char *part_state(const json_t *p)
{
	static const char *const names[] = {"", "DISK FULL", "FAILED", "deleted"};
	int64_t v = sl_json_int(p, "state");

	return v >= 0 && v < (int64_t)SL_ARRAY_SIZE(names) ? names[v] : "?";
}

static void put_partition(FILE *out, const json_t *p)
{
	static const char *const cols[] = {"log_start", "end", "synced"};
	int64_t behind = sl_json_int(p, "end") - sl_json_int(p, "synced");
	char num[SL_NUM_TEXT];
	const char *state = part_state(p);

	fprintf(out, "  %9" PRId64, sl_json_int(p, "id"));
	for (size_t i = 0; i < SL_ARRAY_SIZE(cols); i++)
		fprintf(out, " %15s", sl_num_text(sl_json_int(p, cols[i]), num));
	if (behind > 0)
		fprintf(out, "   %s to sync", sl_num_text(behind, num));
	if (state[0])
		fprintf(out, "   %s", state);
	fputs("\n", out);
}

static void put_topics(FILE *out, const json_t *st)
{
	const json_t *topics = json_object_get(st, "topics"), *t, *p;
	size_t i, k;

	fputs("\ntopics\n", out);
	if (json_array_size(topics) == 0)
		fputs("  none\n", out);
	else
		fprintf(out, "  %9s %15s %15s %15s\n", "partition", "start", "end", "synced");
	json_array_foreach(topics, i, t)
	{
		fputs("  ", out);
		sl_put_text(out, sl_json_str(t, "name", "?"));
		fputs("\n", out);
		json_array_foreach(json_object_get(t, "partitions"), k, p) put_partition(out, p);
	}
}

static void put_notes(FILE *out, const json_t *st)
{
	json_t *notes = json_object_get(st, "notes"), *v;
	const char *key;
	bool head = false;

	json_object_foreach(notes, key, v)
	{
		if (json_integer_value(v) == 0)
			continue;
		if (!head)
			fputs("\nnotes\n", out);
		head = true;
		sl_put_row(out, key, NULL, NULL, json_integer_value(v));
	}
}

static void put_recovery(FILE *out, const json_t *st)
{
	const json_t *r = json_object_get(st, "recovery");
	char num[SL_NUM_TEXT];
	int64_t lost = sl_json_int(r, "lost_records");

	if (!r || json_is_true(json_object_get(r, "clean")))
		return;
	fprintf(out, "\nthe last run did not stop cleanly: %s records came back from memory, ",
		sl_num_text(sl_json_int(r, "stripe_records"), num));
	fprintf(out, "%s synced records lost\n", sl_num_text(lost, num));
}

static void put_disk_full(FILE *out, const json_t *st)
{
	if (json_is_true(json_object_get(json_object_get(st, "store"), "disk_full")))
		fputs("\nDISK FULL: records are refused until there is room\n", out);
}

static void put_disk(FILE *out, const json_t *st)
{
	const json_t *store = json_object_get(st, "store");
	int64_t budget = sl_json_int(store, "budget_bytes");
	char num[SL_NUM_TEXT];

	if (!budget) /* an older daemon */
		return;
	fprintf(out, "\ndisk\n  log %s", sl_bytes_text(sl_json_int(store, "log_bytes"), num));
	fprintf(out, " of a budget of %s", sl_bytes_text(budget, num));
	fprintf(out, ", %s free\n", sl_bytes_text(sl_json_int(store, "fs_free_bytes"), num));
}

void sl_render_status(FILE *out, const json_t *st, const json_t *prev, double dt_s)
{
	put_head(out, st);
	put_disk_full(out, st);
	put_recovery(out, st);
	put_ports(out, st);
	put_lcores(out, st);
	put_rates(out, st, prev, dt_s);
	put_ledger(out, st);
	sl_render_mqtt(out, st);
	sl_render_uplink(out, st);
	put_notes(out, st);
	put_disk(out, st);
	put_topics(out, st);
}

void sl_render_line(FILE *out, const json_t *st, const json_t *prev, double dt_s)
{
	const json_t *ledger = json_object_get(st, "ledger");
	int64_t diff = sl_json_int(ledger, "difference");
	char num[SL_NUM_TEXT];

	fputs("up ", out);
	put_uptime(out, uptime(st));
	fprintf(out, "  %s", ready_text(st));
	if (prev || json_object_get(st, "rates"))
		fprintf(out, "  %s records/s", rate_text(rate(st, prev, dt_s, APPENDED), num));
	fprintf(out, "  wire %s", sl_num_text(sl_json_int(ledger, "wire"), num));
	fprintf(out, "  accepted %s", sl_num_text(sl_json_int(ledger, "accepted"), num));
	fprintf(out, "  appended %s", sl_num_text(sl_json_int(ledger, "appended"), num));
	fprintf(out, "  lost by device %s",
		sl_num_text(sl_json_int(ledger, "lost_by_device"), num));
	if (diff == 0)
		fputs("  every frame accounted for\n", out);
	else
		fprintf(out, "  %s frames not accounted for\n",
			sl_num_text(diff < 0 ? -diff : diff, num));
}
