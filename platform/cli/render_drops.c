/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "platform/cli/explain.h"
#include "platform/cli/render.h"

#define WRAP   96
#define INDENT 4

/* The parts of the status that tell of drops: what their counts are shares of, and the figures in
 * them that stand for a stage and not for a loss. */
static const struct part {
	const char *name, *of;
	const char *stages[8];
} PARTS[] = {
	{"ledger",
	 "frames",
	 {"wire", "waiting", "rx", "accepted", "appended", "in_flight", "difference"}},
	{"mqtt", "MQTT messages", {"received", "stored", "difference"}},
	{"downlink", "commands", {"sent"}},
};
enum { LEDGER, MQTT, DOWNLINK, PART_CNT };
_Static_assert(SL_ARRAY_SIZE(PARTS) == PART_CNT, "a name for each");

/* One line of the answer. */
struct drop {
	const struct part *part;
	const char *bucket, *reason;
	int64_t count;
	double share;                /* of what the part counts, or of the records accepted */
	const struct sl_explain *ex; /* NULL: of a newer daemon */
};

#define DROPS_MAX 128

struct drops {
	struct drop row[DROPS_MAX];
	unsigned cnt;
	int64_t all[PART_CNT]; /* what shares are of: frames, messages offered, commands */
	int64_t accepted;
};

static bool is_stage(const struct part *p, const char *key)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(p->stages) && p->stages[i]; i++) {
		if (!strcmp(p->stages[i], key))
			return true;
	}
	return false;
}

static void add(struct drops *d, const struct part *p, const char *bucket, const char *reason,
		int64_t count)
{
	struct drop *r = &d->row[d->cnt];
	int64_t of;

	if (count == 0 || d->cnt == DROPS_MAX)
		return;
	*r = (struct drop){p, bucket, reason, count, 0, sl_explain_find(p->name, bucket, reason)};
	of = r->ex && r->ex->record ? d->accepted : d->all[p - PARTS];
	r->share = of > 0 ? (double)count / (double)of : 0;
	d->cnt++;
}

static int by_count(const void *a, const void *b)
{
	const struct drop *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

/* Borrows strings of `st`. */
static void collect(const json_t *st, struct drops *d)
{
	json_t *mqtt = json_object_get(st, "mqtt"), *down = json_object_get(st, "downlink");
	json_t *ledger = json_object_get(st, "ledger"), *v, *n;
	const char *key, *reason;

	d->cnt = 0;
	d->accepted = sl_json_int(ledger, "accepted");
	d->all[LEDGER] = sl_json_int(ledger, "wire");
	d->all[MQTT] = sl_json_int(mqtt, "received") + sl_json_int(mqtt, "lost_qos0") +
		       sl_json_int(mqtt, "pushed_back");
	d->all[DOWNLINK] =
		sl_json_int(down, "sent") + sl_json_int(down, "expired") + sl_json_int(down, "bad");
	for (unsigned i = 0; i < PART_CNT; i++) {
		json_object_foreach(json_object_get(st, PARTS[i].name), key, v)
		{
			if (json_is_integer(v) && !is_stage(&PARTS[i], key))
				add(d, &PARTS[i], key, "", json_integer_value(v));
			json_object_foreach(v, reason, n)
				add(d, &PARTS[i], key, reason, json_integer_value(n));
		}
	}
	qsort(d->row, d->cnt, sizeof(d->row[0]), by_count);
}

static void put_wrapped(FILE *out, const char *text)
{
	int col = 0;

	while (*text) {
		int word = (int)strcspn(text, " ");
		if (col && col + 1 + word > WRAP - INDENT) {
			fputs("\n", out);
			col = 0;
		}
		if (col)
			fprintf(out, " %.*s", word, text);
		else
			fprintf(out, "%*s%.*s", INDENT, "", word, text);
		col += word + (col != 0);
		text += word;
		while (*text == ' ')
			text++;
	}
	fputs("\n", out);
}

static void put_drop(FILE *out, const struct drop *r)
{
	const char *of = r->ex && r->ex->record ? "accepted records" : r->part->of;
	char num[SL_NUM_TEXT], name[96];

	snprintf(name, sizeof(name), r->reason[0] ? "%s%s%s[%s]" : "%s%s%s",
		 r->part == &PARTS[LEDGER] ? "" : r->part->name,
		 r->part == &PARTS[LEDGER] ? "" : " ", r->bucket, r->reason);
	fputs("\n", out);
	sl_put_text(out, name);
	fprintf(out, ": %s", sl_num_text(r->count, num));
	if (r->share >= 0.0001)
		fprintf(out, " (%.2f %% of %s)\n", r->share * 100, of);
	else
		fprintf(out, " (less than 0.01 %% of %s)\n", of);
	put_wrapped(out, r->ex ? r->ex->means : "A reason that this program does not know yet.");
	put_wrapped(out, r->ex ? r->ex->todo : "Use the `sluice` of the daemon's version.");
}

void sl_render_drops(FILE *out, const json_t *st)
{
	struct drops d;
	char num[SL_NUM_TEXT];

	collect(st, &d);
	fprintf(out, "%s frames on the wire, ", sl_num_text(d.all[LEDGER], num));
	fprintf(out, "%s records accepted\n", sl_num_text(d.accepted, num));
	if (d.all[MQTT])
		fprintf(out, "%s MQTT message%s offered\n", sl_num_text(d.all[MQTT], num),
			d.all[MQTT] == 1 ? "" : "s");
	if (d.all[DOWNLINK])
		fprintf(out, "%s command%s for devices\n", sl_num_text(d.all[DOWNLINK], num),
			d.all[DOWNLINK] == 1 ? "" : "s");
	if (d.cnt == 0)
		fputs("nothing was dropped\n", out);
	for (unsigned i = 0; i < d.cnt; i++)
		put_drop(out, &d.row[i]);
}

json_t *sl_drops_json(const json_t *st)
{
	json_t *list = json_array(), *o;
	struct drops d;

	collect(st, &d);
	for (unsigned i = 0; list && i < d.cnt; i++) {
		const struct drop *r = &d.row[i];
		o = json_pack("{s:s, s:s, s:s, s:I, s:f, s:s, s:s}", "part", r->part->name,
			      "bucket", r->bucket, "reason", r->reason, "count",
			      (json_int_t)r->count, "share", r->share, "means",
			      r->ex ? r->ex->means : "", "todo", r->ex ? r->ex->todo : "");
		if (!o || json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list ? json_pack("{s:I, s:I, s:I, s:I, s:o}", "wire", (json_int_t)d.all[LEDGER],
				"accepted", (json_int_t)d.accepted, "messages",
				(json_int_t)d.all[MQTT], "commands", (json_int_t)d.all[DOWNLINK],
				"drops", list)
		    : NULL;
}
