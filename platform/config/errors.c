/* SPDX-License-Identifier: Apache-2.0 */
/* Errors with their place: kept, sorted, shown with the line and a caret. */
#include <stdarg.h>
#include <stdlib.h>

#include "platform/base/utf8.h"
#include "platform/config/load.h"

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
		unsigned n = sl_utf8_len(p, end);
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

/* Without memory the error is only counted. `at` NULL: about the file as a whole. */
SL_PRINTF(6, 0)
static void add(struct sl_load *l, struct sl_config_list *list, const char *file,
		const struct sl_place *at, const char *key, const char *fmt, va_list ap)
{
	const struct sl_source *s = at ? &l->src[at->file] : NULL;
	char text[TEXT_MAX];
	struct sl_config_error e = {0};
	bool ok;

	if (list->cnt == SL_CONFIG_ERRORS_MAX) {
		list->hidden++;
		return;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	e.order = s ? (uint32_t)(s - l->src) : SL_CONFIG_FILES_MAX;
	e.file = clean_dup(file);
	e.key = clean_dup(key);
	e.text = clean_dup(text);
	ok = s ? place_fill(&e, s, *at) : (e.source = strdup("")) != NULL;
	if (ok && e.file && e.key && e.text) {
		list->err[list->cnt++] = e;
	} else {
		error_fini(&e);
		list->hidden++;
	}
}

SL_PRINTF(5, 0)
static void add_at(struct sl_load *l, struct sl_config_list *list, struct sl_place at,
		   const char *key, const char *fmt, va_list ap)
{
	add(l, list, l->src[at.file].name, &at, key, fmt, ap);
}

SL_PRINTF(5, 0)
static void add_node(struct sl_load *l, struct sl_config_list *list, const struct sl_node *n,
		     struct sl_place at, const char *fmt, va_list ap)
{
	char path[512];

	sl_doc_path(n, path, sizeof(path));
	add_at(l, list, at, path, fmt, ap);
}

void sl_err_at(struct sl_load *l, struct sl_place at, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_at(l, &l->errs->errors, at, key, fmt, ap);
	va_end(ap);
}

void sl_err_value(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_node(l, &l->errs->errors, n, sl_doc_value_place(n), fmt, ap);
	va_end(ap);
}

void sl_err_key(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_node(l, &l->errs->errors, n, sl_doc_key_place(n), fmt, ap);
	va_end(ap);
}

void sl_warn_value(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_node(l, &l->errs->warnings, n, sl_doc_value_place(n), fmt, ap);
	va_end(ap);
}

void sl_warn_key(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_node(l, &l->errs->warnings, n, sl_doc_key_place(n), fmt, ap);
	va_end(ap);
}

/* Escapes, folded lines and ${...} make a text that is not the file's, byte for byte. */
static bool is_verbatim(const struct sl_load *l, const struct sl_node *n)
{
	const struct sl_source *s = &l->src[n->file];

	return n->end > n->pos && n->end <= s->len && n->end - n->pos == n->len &&
	       memcmp(s->text + n->pos, n->text, n->len) == 0;
}

void sl_err_text(struct sl_load *l, const struct sl_node *n, const struct sl_text_err *e)
{
	struct sl_place at = sl_doc_value_place(n);
	char path[512];

	if (e->len && e->pos + e->len <= n->len && is_verbatim(l, n)) {
		at.pos = n->pos + e->pos;
		at.end = at.pos + e->len;
	}
	sl_doc_path(n, path, sizeof(path));
	sl_err_at(l, at, path, "%s", e->why);
}

void sl_err_file(struct sl_load *l, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, &l->errs->errors, name, NULL, "", fmt, ap);
	va_end(ap);
}

unsigned sl_err_cnt(const struct sl_load *l)
{
	return l->errs->errors.cnt + l->errs->errors.hidden;
}

static bool before(const struct sl_config_error *a, const struct sl_config_error *b)
{
	if (a->order != b->order)
		return a->order < b->order;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

static void list_sort(struct sl_config_list *list) /* by insertion: stable, and there are few */
{
	for (uint32_t i = 1; i < list->cnt; i++) {
		struct sl_config_error e = list->err[i];
		uint32_t k = i;
		for (; k > 0 && before(&e, &list->err[k - 1]); k--)
			list->err[k] = list->err[k - 1];
		list->err[k] = e;
	}
}

static void list_fini(struct sl_config_list *list)
{
	for (uint32_t i = 0; i < list->cnt; i++)
		error_fini(&list->err[i]);
	memset(list, 0, sizeof(*list));
}

void sl_errs_finish(struct sl_config_errors *errs)
{
	if (errs->errors.cnt || errs->errors.hidden)
		list_fini(&errs->warnings);
	list_sort(&errs->errors);
	list_sort(&errs->warnings);
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

static void print_list(const struct sl_config_list *list, const char *kind, const char *noun,
		       FILE *out)
{
	for (uint32_t i = 0; i < list->cnt; i++) {
		const struct sl_config_error *e = &list->err[i];
		fputs(e->file, out);
		if (e->line)
			fprintf(out, ":%u:%u", e->line, e->column);
		fprintf(out, ": %s%s%s%s\n", e->key, e->key[0] ? ": " : "", kind, e->text);
		if (e->line && e->source[0])
			print_source(e, out);
	}
	if (list->hidden)
		fprintf(out, "and %u more %s%s\n", list->hidden, noun,
			list->hidden == 1 ? "" : "s");
}

void sl_config_errors_print(const struct sl_config_errors *errs, FILE *out)
{
	print_list(&errs->errors, "", "mistake", out);
	print_list(&errs->warnings, "warning: ", "warning", out);
}

void sl_config_error_text(const struct sl_config_error *e, char *buf, size_t cap)
{
	char at[32] = "";

	if (e->line)
		snprintf(at, sizeof(at), ":%u:%u", e->line, e->column);
	snprintf(buf, cap, "%s%s: %s%s%s", e->file, at, e->key, e->key[0] ? ": " : "", e->text);
}

void sl_config_errors_fini(struct sl_config_errors *errs)
{
	if (!errs)
		return;
	list_fini(&errs->errors);
	list_fini(&errs->warnings);
}
