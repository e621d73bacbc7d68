/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/config/doc.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/utf8.h"
#include "platform/config/load.h"

/* ---- bytes that YAML does not take ----------------------------------------------------------- */

/* libfyaml ends a document silently at a bad byte, so they are found first. */
static int check_bytes(struct sl_load *l, uint16_t file)
{
	const struct sl_source *s = &l->src[file];
	const uint8_t *start = (const uint8_t *)s->text, *end = start + s->len;

	for (const uint8_t *p = start; p < end;) {
		unsigned n = sl_utf8_len(p, end);
		struct sl_place at = {file, (uint32_t)(p - start), (uint32_t)(p - start) + 1};
		if (n == 0) {
			sl_err_at(l, at, "", "byte 0x%02x is not UTF-8 text", *p);
			return -EINVAL;
		}
		if ((*p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r') || *p == 0x7f) {
			sl_err_at(l, at, "", "control byte 0x%02x is not allowed here", *p);
			return -EINVAL;
		}
		p += n;
	}
	return 0;
}

/* ---- from libfyaml's nodes to ours ----------------------------------------------------------- */

static struct sl_node *node_new(struct sl_load *l, uint16_t file)
{
	struct sl_node *n = NULL;

	if (l->node_cnt < SL_DOC_NODES_MAX)
		n = sl_load_alloc(l, sizeof(*n));
	if (n) {
		l->node_cnt++;
		n->file = file;
	}
	return n;
}

static void token_place(struct fy_token *t, uint32_t *ret_pos, uint32_t *ret_end)
{
	const struct fy_mark *a = t ? fy_token_start_mark(t) : NULL;
	const struct fy_mark *b = t ? fy_token_end_mark(t) : NULL;

	if (a && b) {
		*ret_pos = (uint32_t)a->input_pos;
		*ret_end = (uint32_t)b->input_pos;
	}
}

static bool is_null(const char *s, size_t len, enum fy_node_style style)
{
	if (style != FYNS_PLAIN && style != FYNS_ANY)
		return false;
	return len == 0 || (len == 1 && *s == '~') || (len == 4 && !memcmp(s, "null", 4));
}

static int scalar_fill(struct sl_load *l, struct fy_node *fyn, struct sl_node *n)
{
	size_t len = 0;
	const char *s = fy_node_get_scalar(fyn, &len);

	token_place(fy_node_get_scalar_token(fyn), &n->pos, &n->end);
	if (!s || is_null(s, len, fy_node_get_style(fyn)))
		return 0;
	n->type = SL_NODE_SCALAR;
	n->text = sl_load_strndup(l, s, len);
	n->len = (uint32_t)len;
	if (!n->text)
		return -ENOMEM;
	if (memchr(s, 0, len)) { /* "\0" in a quoted scalar */
		n->bad = true;
		sl_err_value(l, n, "a NUL byte is not allowed in a value");
	}
	return 0;
}

/* What a file could say and we do not take: keeps the tree a tree. */
static bool refused(struct sl_load *l, struct fy_node *fyn, const struct sl_node *n)
{
	if (fyn && fy_node_is_alias(fyn))
		sl_err_value(l, n, "aliases (*name) are not supported: write the value out");
	else if (fyn && fy_node_get_tag_token(fyn))
		sl_err_value(l, n, "tags (!name) are not supported");
	else if (fyn && fy_node_get_anchor(fyn))
		sl_err_value(l, n, "anchors (&name) are not supported: write the value out");
	else
		return false;
	return true;
}

static int convert(struct sl_load *l, struct fy_node *fyn, struct sl_node *n, unsigned depth);

/* Takes n into the map unless its name is there already, or the map is full. */
static int take_key(struct sl_load *l, struct sl_node *map, struct sl_node *n)
{
	struct sl_node *first = sl_doc_get(map, n->key);

	if (map->cnt == SL_DOC_MAP_MAX) {
		n->parent = map;
		sl_err_key(l, n, "more than %d keys in one mapping", SL_DOC_MAP_MAX);
		return -EINVAL;
	}
	if (first) {
		n->parent = map;
		sl_err_key(l, n, "given twice (first in line %u)",
			   sl_load_line(l, sl_doc_key_place(first)));
		return 0;
	}
	sl_doc_append(map, n);
	return 0;
}

static int convert_pair(struct sl_load *l, struct fy_node_pair *pair, struct sl_node *map,
			unsigned depth)
{
	struct fy_node *fkey = fy_node_pair_key(pair);
	struct sl_node *n = node_new(l, map->file);
	size_t len = 0;
	const char *key = fkey && fy_node_is_scalar(fkey) ? fy_node_get_scalar(fkey, &len) : NULL;

	if (!n)
		return -ENOMEM;
	if (key && !fy_node_is_alias(fkey))
		token_place(fy_node_get_scalar_token(fkey), &n->key_pos, &n->key_end);
	if (!key || fy_node_is_alias(fkey) || len == 0 || len > SL_DOC_KEY_MAX ||
	    memchr(key, 0, len)) {
		struct sl_place at = n->key_end ? sl_doc_key_place(n) : sl_doc_value_place(map);
		sl_err_at(l, at, "", "a key must be plain text of 1 to %d bytes", SL_DOC_KEY_MAX);
		return -EINVAL;
	}
	n->key = sl_load_strndup(l, key, len);
	if (!n->key)
		return -ENOMEM;
	int rc = take_key(l, map, n);
	return rc < 0 ? rc : convert(l, fy_node_pair_value(pair), n, depth + 1);
}

static int convert_map(struct sl_load *l, struct fy_node *fyn, struct sl_node *n, unsigned depth)
{
	struct fy_node_pair *pair;
	void *it = NULL;
	int rc = 0;

	n->type = SL_NODE_MAP;
	while (rc == 0 && (pair = fy_node_mapping_iterate(fyn, &it)))
		rc = convert_pair(l, pair, n, depth);
	return rc;
}

static int convert_list(struct sl_load *l, struct fy_node *fyn, struct sl_node *n, unsigned depth)
{
	struct fy_node *item;
	void *it = NULL;
	int rc = 0;

	n->type = SL_NODE_LIST;
	while (rc == 0 && (item = fy_node_sequence_iterate(fyn, &it))) {
		struct sl_node *c = node_new(l, n->file);
		if (!c)
			return -ENOMEM;
		sl_doc_append(n, c);
		rc = convert(l, item, c, depth + 1);
	}
	return rc;
}

/* Recursion is bounded by SL_CONFIG_DEPTH_MAX. */
static int convert(struct sl_load *l, struct fy_node *fyn, struct sl_node *n, unsigned depth)
{
	if (fyn && fy_node_is_scalar(fyn)) {
		if (fy_node_is_alias(fyn))
			token_place(fy_node_get_scalar_token(fyn), &n->pos, &n->end);
		else if (scalar_fill(l, fyn, n) < 0)
			return -ENOMEM;
	}
	if (refused(l, fyn, n))
		return -EINVAL;
	if (!fyn || fy_node_is_scalar(fyn))
		return 0;
	if (depth > SL_CONFIG_DEPTH_MAX) {
		sl_err_value(l, n, "nested deeper than %d levels", SL_CONFIG_DEPTH_MAX);
		return -EINVAL;
	}
	return fy_node_is_mapping(fyn) ? convert_map(l, fyn, n, depth)
				       : convert_list(l, fyn, n, depth);
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* Byte offset of a line and column as libfyaml counts them in errors (from 1, in characters). */
static uint32_t offset_of(const struct sl_source *s, int line, int column)
{
	uint32_t p = 0;

	for (int i = 1; i < line; i++) {
		const char *nl = memchr(s->text + p, '\n', s->len - p);
		if (!nl)
			break;
		p = (uint32_t)(nl + 1 - s->text);
	}
	for (int i = 1; i < column && p < s->len && s->text[p] != '\n'; i++) {
		do
			p++;
		while (p < s->len && (s->text[p] & 0xc0) == 0x80);
	}
	return p;
}

/* libfyaml's words for two mistakes that people make often, in other words. */
static const struct {
	const char *msg, *hint;
} HINTS[] = {
	{"invalid multiline plain key", "a ':' is missing, or a line is indented too far"},
	{"could not find expected ':'", "a ':' is missing"},
	{"invalid indentation in mapping", "this line fits no level above it"},
};

static const char *hint_for(const char *msg)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(HINTS); i++) {
		if (!strcmp(HINTS[i].msg, msg))
			return HINTS[i].hint;
	}
	return NULL;
}

#define OPEN_MAX 64

/*
 * The innermost '[' or '{' that is open at the end of the text, for an error that libfyaml finds
 * only there. A reading of quotes and comments that is good enough for a hint. False: none.
 */
static bool open_bracket(const struct sl_source *s, uint32_t *ret_pos)
{
	uint32_t open[OPEN_MAX], depth = 0;
	char quote = 0, prev = '\n';

	for (uint32_t i = 0; i < s->len; prev = s->text[i++]) {
		char c = s->text[i];
		bool starts = strchr(" \t\n,[{:", prev) != NULL;
		if (quote)
			quote = c == quote ? 0 : quote;
		else if ((c == '"' || c == '\'') && starts)
			quote = c;
		else if (c == '#' && starts)
			i += (uint32_t)strcspn(s->text + i, "\n") - 1;
		else if ((c == '[' || c == '{') && starts && depth < OPEN_MAX)
			open[depth++] = i;
		else if ((c == ']' || c == '}') && depth)
			depth--;
	}
	if (depth)
		*ret_pos = open[depth - 1];
	return depth > 0;
}

static void report_one(struct sl_load *l, uint16_t file, const struct fy_diag_error *e)
{
	const struct sl_source *s = &l->src[file];
	uint32_t pos = offset_of(s, e->line, e->column), open;
	const char *hint = hint_for(e->msg);

	if (pos >= s->len && strstr(e->msg, "flow") && open_bracket(s, &open))
		sl_err_at(l, (struct sl_place){file, open, open + 1}, "",
			  "not YAML: this '%c' is not closed", s->text[open]);
	else
		sl_err_at(l, (struct sl_place){file, pos, pos + 1}, "", "not YAML: %s%s%s%s",
			  e->msg, hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
}

static void report_syntax(struct sl_load *l, uint16_t file, struct fy_diag *diag)
{
	struct fy_diag_error *e;
	void *it = NULL;
	unsigned cnt = 0;

	while ((e = fy_diag_errors_iterate(diag, &it))) {
		if (e->type == FYET_ERROR && cnt++ < SL_CONFIG_ERRORS_MAX)
			report_one(l, file, e);
	}
	if (cnt == 0)
		sl_err_at(l, (struct sl_place){file, 0, 0}, "", "not YAML");
}

static int take_document(struct sl_load *l, uint16_t file, struct fy_document *fyd,
			 struct sl_node **ret_root)
{
	struct fy_node *froot = fyd ? fy_document_root(fyd) : NULL;
	struct sl_node *root = NULL;
	int rc;

	if (froot) {
		root = node_new(l, file);
		rc = root ? convert(l, froot, root, 1) : -ENOMEM;
		if (rc == -ENOMEM && l->node_cnt >= SL_DOC_NODES_MAX) {
			sl_err_file(l, l->src[file].name, "more than %d values", SL_DOC_NODES_MAX);
			rc = -EINVAL;
		}
		if (rc < 0)
			return rc;
	}
	if (root && root->type == SL_NODE_NULL)
		root = NULL;
	if (root && root->type != SL_NODE_MAP) {
		sl_err_value(l, root, "the file must be a mapping: `gateway:` and so on");
		return -EINVAL;
	}
	*ret_root = root;
	return 0;
}

static int parse_with(struct sl_load *l, uint16_t file, struct fy_parser *fyp, struct fy_diag *diag,
		      struct sl_node **ret_root)
{
	struct sl_source *s = &l->src[file];
	struct fy_document *fyd, *second = NULL;
	int rc;

	if (fy_parser_set_string(fyp, s->text, s->len) < 0)
		return -ENOMEM;
	fyd = fy_parse_load_document(fyp);
	if (fyd)
		second = fy_parse_load_document(fyp);
	if (fy_parser_get_stream_error(fyp)) {
		report_syntax(l, file, diag);
		rc = -EINVAL;
	} else if (second) {
		sl_err_file(l, s->name, "more than one YAML document");
		rc = -EINVAL;
	} else {
		rc = take_document(l, file, fyd, ret_root);
	}
	if (second)
		fy_parse_document_destroy(fyp, second);
	if (fyd)
		fy_parse_document_destroy(fyp, fyd);
	return rc;
}

int sl_doc_parse(struct sl_load *l, uint16_t file, struct sl_node **ret_root)
{
	struct fy_diag_cfg dcfg;
	struct fy_diag *diag;
	struct fy_parser *fyp;
	int rc = check_bytes(l, file);

	if (rc < 0)
		return rc;
	if (l->src[file].len == 0) { /* libfyaml calls an empty string an error */
		*ret_root = NULL;
		return 0;
	}
	fy_diag_cfg_default(&dcfg);
	dcfg.fp = NULL;
	dcfg.colorize = false;
	diag = fy_diag_create(&dcfg);
	if (!diag)
		return -ENOMEM;
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg pcfg = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_ALLOW_DUPLICATE_KEYS |
			 FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
		.diag = diag,
	};
	fyp = fy_parser_create(&pcfg);
	rc = fyp ? parse_with(l, file, fyp, diag, ret_root) : -ENOMEM;
	if (fyp)
		fy_parser_destroy(fyp);
	fy_diag_destroy(diag);
	return rc;
}
