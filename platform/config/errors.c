/* SPDX-License-Identifier: Apache-2.0 */
/* Errors with their place: kept, sorted, shown with the line and a caret. */
#include <stdarg.h>
#include <stdlib.h>

#include "platform/config/load.h"
#include "platform/config/values.h"

#define TEXT_MAX     1024
#define SHOWN_MAX    100 /* characters of the source line that are shown */
#define SHOWN_BEFORE 60  /* of them before the caret, if the line is longer */

/* ---- keeping --------------------------------------------------------------------------------- */

/* Start of the line that holds byte `pos`, and the number of that line from 1. */
static uint32_t line_start(const struct sl_source *s, uint32_t pos, uint32_t *ret_line)
{
	uint32_t start = 0, line = 1;

	for (uint32_t i = 0; i < pos && i < s->len; i++) {
		if (s->text[i] == '\n') {
			start = i + 1;
			line++;
		}
	}
	if (start == 0 && s->len >= 3 && !memcmp(s->text, "\xef\xbb\xbf", 3))
		start = 3; /* a byte order mark is no column */
	*ret_line = line;
	return start;
}

static uint32_t chars_between(const char *p, const char *end)
{
	uint32_t n = 0;

	for (; p < end; p++)
		n += (*p & 0xc0) != 0x80;
	return n;
}

uint32_t sl_load_line(const struct sl_load *l, struct sl_place at)
{
	uint32_t line;

	line_start(&l->src[at.file], at.pos, &line);
	return line;
}

/* Owned copy that any terminal and any JSON reader takes: UTF-8 without control bytes. */
static char *clean_dup(const char *s)
{
	char *copy = strdup(s);
	uint8_t *p = (uint8_t *)copy, *end = p ? p + strlen(copy) : NULL;

	while (p && p < end) {
		unsigned n = sl_value_utf8(p, end);
		if (n == 0 || *p < 0x20 || *p == 0x7f)
			*p = *p == '\t' ? ' ' : '?'; /* a tab is one column */
		p += n ? n : 1;
	}
	return copy;
}

static bool place_fill(struct sl_config_error *e, const struct sl_source *s, struct sl_place at)
{
	uint32_t pos = SL_MIN(at.pos, s->len), start = line_start(s, pos, &e->line);
	const char *nl = memchr(s->text + start, '\n', s->len - start);
	uint32_t end = nl ? (uint32_t)(nl - s->text) : s->len;
	char *line;

	if (end > start && s->text[end - 1] == '\r')
		end--;
	pos = SL_MAX(pos, start);
	e->column = chars_between(s->text + start, s->text + pos) + 1;
	e->width = chars_between(s->text + pos, s->text + SL_MIN(SL_MAX(at.end, pos), end));
	line = strndup(s->text + start, end - start);
	e->source = line ? clean_dup(line) : NULL;
	free(line);
	return e->source != NULL;
}

static void error_fini(struct sl_config_error *e)
{
	free(e->file);
	free(e->key);
	free(e->text);
	free(e->source);
	memset(e, 0, sizeof(*e));
}

/* Without memory the error is only counted. */
SL_PRINTF(6, 0)
static void add(struct sl_load *l, const char *file, const struct sl_source *s,
		const struct sl_place *at, const char *key, const char *fmt, va_list ap)
{
	struct sl_config_errors *errs = l->errs;
	char text[TEXT_MAX];
	struct sl_config_error e = {0};
	bool ok;

	if (errs->cnt == SL_CONFIG_ERRORS_MAX) {
		errs->hidden++;
		return;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	e.order = s ? (uint32_t)(s - l->src) : SL_CONFIG_FILES_MAX;
	e.file = clean_dup(file);
	e.key = clean_dup(key);
	e.text = clean_dup(text);
	ok = s ? place_fill(&e, s, *at) : (e.source = strdup("")) != NULL;
	if (ok && e.file && e.key && e.text) {
		errs->err[errs->cnt++] = e;
	} else {
		error_fini(&e);
		errs->hidden++;
	}
}

void sl_err_at(struct sl_load *l, struct sl_place at, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, l->src[at.file].name, &l->src[at.file], &at, key, fmt, ap);
	va_end(ap);
}

void sl_err_value(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
{
	struct sl_place at = sl_doc_value_place(n);
	char path[512];
	va_list ap;

	sl_doc_path(n, path, sizeof(path));
	va_start(ap, fmt);
	add(l, l->src[at.file].name, &l->src[at.file], &at, path, fmt, ap);
	va_end(ap);
}

void sl_err_key(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
{
	struct sl_place at = sl_doc_key_place(n);
	char path[512];
	va_list ap;

	sl_doc_path(n, path, sizeof(path));
	va_start(ap, fmt);
	add(l, l->src[at.file].name, &l->src[at.file], &at, path, fmt, ap);
	va_end(ap);
}

void sl_err_file(struct sl_load *l, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, name, NULL, NULL, "", fmt, ap);
	va_end(ap);
}

unsigned sl_err_cnt(const struct sl_load *l)
{
	return l->errs->cnt + l->errs->hidden;
}

static bool before(const struct sl_config_error *a, const struct sl_config_error *b)
{
	if (a->order != b->order)
		return a->order < b->order;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

void sl_errs_sort(struct sl_config_errors *errs) /* by insertion: stable, and there are few */
{
	for (uint32_t i = 1; i < errs->cnt; i++) {
		struct sl_config_error e = errs->err[i];
		uint32_t k = i;
		for (; k > 0 && before(&e, &errs->err[k - 1]); k--)
			errs->err[k] = errs->err[k - 1];
		errs->err[k] = e;
	}
}

/* ---- showing --------------------------------------------------------------------------------- */

static const char *skip_chars(const char *p, uint32_t n)
{
	for (; *p && n; n--) {
		do
			p++;
		while ((*p & 0xc0) == 0x80);
	}
	return p;
}

static void print_source(const struct sl_config_error *e, FILE *out)
{
	uint32_t col = e->column - 1, from = 0;
	uint32_t chars = chars_between(e->source, e->source + strlen(e->source));

	if (chars > SHOWN_MAX && col > SHOWN_BEFORE)
		from = col - SHOWN_BEFORE;
	const char *a = skip_chars(e->source, from), *b = skip_chars(a, SHOWN_MAX);
	fprintf(out, "%6u | ", e->line);
	fwrite(a, 1, (size_t)(b - a), out);
	fprintf(out, "\n       | %*s^", (int)(col - from), "");
	for (uint32_t i = 1; i < e->width && col - from + i < SHOWN_MAX; i++)
		fputc('~', out);
	fputc('\n', out);
}

void sl_config_errors_print(const struct sl_config_errors *errs, FILE *out)
{
	for (uint32_t i = 0; i < errs->cnt; i++) {
		const struct sl_config_error *e = &errs->err[i];
		fputs(e->file, out);
		if (e->line)
			fprintf(out, ":%u:%u", e->line, e->column);
		fprintf(out, ": %s%s%s\n", e->key, e->key[0] ? ": " : "", e->text);
		if (e->line && e->source[0])
			print_source(e, out);
	}
	if (errs->hidden)
		fprintf(out, "and %u more mistake%s\n", errs->hidden, errs->hidden == 1 ? "" : "s");
}

void sl_config_errors_fini(struct sl_config_errors *errs)
{
	if (!errs)
		return;
	for (uint32_t i = 0; i < errs->cnt; i++)
		error_fini(&errs->err[i]);
	memset(errs, 0, sizeof(*errs));
}
