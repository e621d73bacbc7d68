/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "platform/cli/render.h"

/* What an alarm means, and what an operator does about it. */
static const struct advice {
	const char *alarm, *todo;
} ADVICE[] = {
	{"copy", "This data directory was copied or restored. If the box that it came from is gone "
		 "for good: "
		 "`sluice uplink adopt`. If that one is alive: stop this one, or give it a "
		 "gateway.id of its "
		 "own."},
	{"beyond",
	 "The disk holds an older state than the centre has seen: a restored backup, or the first "
	 "of "
	 "two boxes cloned from one disk. If this is the box that goes on: `sluice uplink adopt` "
	 "(what the centre has is not sent again). If another one does: give this one a gateway.id "
	 "of its own."},
	{"token",
	 "Another instance writes at the centre under this gateway.id. Find it (two boxes from one "
	 "disk image?) and give it an id of its own; then `sluice uplink adopt` here."},
	{"identity",
	 "What the centre knows of this gateway does not fit what is here: another cluster behind "
	 "uplink.bootstrap, or a positions topic that was deleted or written by hand. Correct that "
	 "and "
	 "restart, or go on from what both agree on: `sluice uplink adopt`."},
};

static const char *advice(const char *alarm)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(ADVICE); i++)
		if (!strcmp(ADVICE[i].alarm, alarm))
			return ADVICE[i].todo;
	return NULL;
}

static double number(const json_t *up, const char *key)
{
	return json_number_value(json_object_get(up, key));
}

static void put_age(FILE *out, double s)
{
	int64_t n = (int64_t)s;

	if (n >= 86400)
		fprintf(out, "%" PRId64 "d %" PRId64 "h", n / 86400, n / 3600 % 24);
	else if (n >= 3600)
		fprintf(out, "%" PRId64 "h %" PRId64 "m", n / 3600, n / 60 % 60);
	else if (n >= 60)
		fprintf(out, "%" PRId64 "m %" PRId64 "s", n / 60, n % 60);
	else
		fprintf(out, "%.1f s", s);
}

static void put_lag(FILE *out, const json_t *up)
{
	int64_t lag = sl_json_int(up, "lag_records");
	char num[SL_NUM_TEXT];

	fprintf(out, "  not sent yet: %s records", sl_num_text(lag, num));
	if (lag) {
		fputs(", the oldest ", out);
		put_age(out, number(up, "oldest_s"));
		fputs(" old", out);
	}
	fputs("\n", out);
}

static void put_state(FILE *out, const json_t *up)
{
	const char *state = sl_json_str(up, "state", "?"),
		   *alarm = sl_json_str(up, "alarm", "none");
	const char *said = sl_json_str(up, "last_error", ""), *todo;
	char num[SL_NUM_TEXT];

	fprintf(out, "uplink: %s", state);
	if (strcmp(alarm, "none"))
		fprintf(out, " (%s): NOTHING IS SENT", alarm);
	else if (number(up, "retry_s") > 0)
		fprintf(out, ", next try in %.0f s", number(up, "retry_s"));
	if (sl_json_int(up, "rate_bytes"))
		fprintf(out, ", at most %s/s", sl_bytes_text(sl_json_int(up, "rate_bytes"), num));
	fputs("\n", out);
	if (said[0]) {
		fputs("  ", out);
		sl_put_text(out, said);
		fputs("\n", out);
	}
	todo = advice(alarm);
	if (todo)
		fprintf(out, "  %s\n", todo);
}

static bool is_off(const json_t *up)
{
	return !strcmp(sl_json_str(up, "state", "off"), "off");
}

void sl_render_uplink(FILE *out, const json_t *st)
{
	const json_t *up = json_object_get(st, "uplink"), *log = json_object_get(st, "log");
	int64_t diff = sl_json_int(log, "difference");
	char num[SL_NUM_TEXT];

	if (is_off(up))
		return;
	fputs("\n", out);
	put_state(out, up);
	put_lag(out, up);
	fprintf(out, "  at the centre: %s records",
		sl_num_text(sl_json_int(log, "forwarded"), num));
	if (sl_json_int(log, "dead_letter"))
		fprintf(out, ", dead letters: %s",
			sl_num_text(sl_json_int(log, "dead_letter"), num));
	if (sl_json_int(log, "evicted_unsent"))
		fprintf(out, ", deleted unsent: %s",
			sl_num_text(sl_json_int(log, "evicted_unsent"), num));
	fputs("\n", out);
	if (diff)
		fprintf(out, "  %s records not accounted for\n", sl_num_text(diff, num));
}

static void put_topics(FILE *out, const json_t *up)
{
	const json_t *topics = json_object_get(up, "topics"), *t;
	char num[SL_NUM_TEXT];
	size_t i;

	if (json_array_size(topics))
		fputs("topics\n", out);
	json_array_foreach(topics, i, t)
	{
		fprintf(out, "  %4" PRId64 " partitions %15s behind   ",
			sl_json_int(t, "partitions"),
			sl_num_text(sl_json_int(t, "lag_records"), num));
		sl_put_text(out, sl_json_str(t, "name", "?"));
		fputs(json_is_false(json_object_get(t, "known")) ? "   (not known yet)\n" : "\n",
		      out);
	}
}

void sl_render_uplink_full(FILE *out, json_t *up)
{
	static const char *const counts[] = {"commits", "aborts",        "rebuilds",
					     "fences",  "topics_remade", "damaged"};
	const json_t *mirror = json_object_get(up, "mirror"), *lag;
	char num[SL_NUM_TEXT];

	put_state(out, up);
	if (is_off(up)) {
		fputs("  the config names no uplink.bootstrap\n", out);
		return;
	}
	fputs("  to ", out);
	sl_put_text(out, sl_json_str(up, "bootstrap", "?"));
	fputs(" as ", out);
	sl_put_text(out, sl_json_str(up, "gateway", "?"));
	fputs("\n", out);
	put_lag(out, up);
	for (size_t i = 0; i < SL_ARRAY_SIZE(counts); i++)
		sl_put_row(out, counts[i], NULL, NULL, sl_json_int(up, counts[i]));
	put_topics(out, up);
	if (!mirror)
		return;
	lag = json_object_get(mirror, "lag_records");
	fprintf(out, "copied down: %s, %s records",
		json_is_true(json_object_get(mirror, "connected")) ? "connected" : "NOT CONNECTED",
		sl_num_text(sl_json_int(up, "mirrored"), num));
	if (json_is_integer(lag))
		fprintf(out, ", %s behind", sl_num_text(json_integer_value(lag), num));
	fputs("\n", out);
	if (sl_json_str(mirror, "last_error", "")[0]) {
		fputs("  ", out);
		sl_put_text(out, sl_json_str(mirror, "last_error", ""));
		fputs("\n", out);
	}
}
