/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/cli/render.h"

void sl_put_row(FILE *out, const char *bucket, const char *reason, const char *inner, int64_t v)
{
	char num[SL_NUM_TEXT];
	int n = fprintf(out, "  %s", bucket);

	if (reason)
		n += fprintf(out, "[%s%s%s]", reason, inner ? " " : "", inner ? inner : "");
	fprintf(out, "%*s %15s\n", n < 30 ? 30 - n : 0, "", sl_num_text(v, num));
}

/* The figures of a bucket: {reason: n}, or in the log's book {origin: {reason: n}}. */
static void put_reasons(FILE *out, const char *bucket, json_t *reasons)
{
	const char *reason, *inner;
	json_t *n, *m;

	json_object_foreach(reasons, reason, n)
	{
		if (json_integer_value(n))
			sl_put_row(out, bucket, reason, NULL, json_integer_value(n));
		json_object_foreach(n, inner, m)
		{
			if (json_integer_value(m))
				sl_put_row(out, bucket, reason, inner, json_integer_value(m));
		}
	}
}

void sl_put_book(FILE *out, json_t *book)
{
	const char *key;
	json_t *v;

	json_object_foreach(book, key, v)
	{
		if (!strcmp(key, "difference"))
			continue;
		if (json_integer_value(v))
			sl_put_row(out, key, NULL, NULL, json_integer_value(v));
		put_reasons(out, key, v);
	}
}

void sl_put_verdict(FILE *out, const json_t *book, const char *one, const char *many)
{
	const json_t *d = json_object_get(book, "difference");
	int64_t v = json_integer_value(d);
	char num[SL_NUM_TEXT];

	if (!json_is_integer(d)) {
		fputs("  difference                   not told\n", out);
		return;
	}
	sl_put_row(out, "difference", NULL, NULL, v);
	if (v == 0)
		fprintf(out, "  every %s accounted for\n", one);
	else
		fprintf(out, "  %s %s not accounted for\n", sl_num_text(v < 0 ? -v : v, num),
			v == 1 || v == -1 ? one : many);
}
