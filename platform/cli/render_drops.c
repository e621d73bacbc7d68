/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "platform/cli/explain.h"
#include "platform/cli/render.h"

#define WRAP   96
#define INDENT 4

/* One line of the answer. */
struct drop {
	const char *bucket, *reason;
	int64_t count;
	double share;                /* of the frames on the wire, or of the records accepted */
	const struct sl_explain *ex; /* NULL: of a newer daemon */
};

#define DROPS_MAX 128

struct drops {
	struct drop row[DROPS_MAX];
	unsigned cnt;
	int64_t wire, accepted;
};

/* The ledger's figures that stand for a stage and not for a loss. */
static bool is_stage(const char *key)
{
	static const char *const stages[] = {"wire",     "waiting",   "rx",        "accepted",
					     "appended", "in_flight", "difference"};

	for (size_t i = 0; i < SL_ARRAY_SIZE(stages); i++) {
		if (!strcmp(stages[i], key))
			return true;
	}
	return false;
}

static void add(struct drops *d, const char *bucket, const char *reason, int64_t count)
{
	struct drop *r = &d->row[d->cnt];
	int64_t of;

	if (count == 0 || d->cnt == DROPS_MAX)
		return;
	*r = (struct drop){bucket, reason, count, 0, sl_explain_find(bucket, reason)};
	of = r->ex && r->ex->record ? d->accepted : d->wire;
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
	json_t *ledger = json_object_get(st, "ledger"), *v, *n;
	const char *key, *reason;

	d->cnt = 0;
	d->wire = sl_json_int(ledger, "wire");
	d->accepted = sl_json_int(ledger, "accepted");
	json_object_foreach(ledger, key, v)
	{
		if (json_is_integer(v) && !is_stage(key))
			add(d, key, "", json_integer_value(v));
		json_object_foreach(v, reason, n) add(d, key, reason, json_integer_value(n));
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
	char num[SL_NUM_TEXT], name[96];

	snprintf(name, sizeof(name), r->reason[0] ? "%s[%s]" : "%s", r->bucket, r->reason);
	fputs("\n", out);
	sl_put_text(out, name);
	fprintf(out, ": %s", sl_num_text(r->count, num));
	if (r->share >= 0.0001)
		fprintf(out, " (%.2f %% of %s)\n", r->share * 100,
			r->ex && r->ex->record ? "accepted records" : "frames");
	else
		fprintf(out, " (less than 0.01 %% of %s)\n",
			r->ex && r->ex->record ? "accepted records" : "frames");
	put_wrapped(out, r->ex ? r->ex->means : "A reason that this program does not know yet.");
	put_wrapped(out, r->ex ? r->ex->todo : "Use the `sluice` of the daemon's version.");
}

void sl_render_drops(FILE *out, const json_t *st)
{
	struct drops d;
	char num[SL_NUM_TEXT];

	collect(st, &d);
	fprintf(out, "%s frames on the wire, ", sl_num_text(d.wire, num));
	fprintf(out, "%s records accepted\n", sl_num_text(d.accepted, num));
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
		o = json_pack("{s:s, s:s, s:I, s:f, s:s, s:s}", "bucket", r->bucket, "reason",
			      r->reason, "count", (json_int_t)r->count, "share", r->share, "means",
			      r->ex ? r->ex->means : "", "todo", r->ex ? r->ex->todo : "");
		if (!o || json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list ? json_pack("{s:I, s:I, s:o}", "wire", (json_int_t)d.wire, "accepted",
				(json_int_t)d.accepted, "drops", list)
		    : NULL;
}
