/* SPDX-License-Identifier: Apache-2.0 */
/* The tree against the table: unknown keys, types, defaults, required keys. */
#include <stdio.h>

#include "platform/config/keys.h"
#include "platform/config/values.h"

#define PATH_MAX_LEN 128 /* of a row of the table */

const struct sl_key_type SL_T_SECTION = {"section", "a mapping", true, NULL, NULL};
const struct sl_key_type SL_T_LIST = {"list", "a list of mappings", true, NULL, NULL};

/* One mapping of the file beside the struct it fills. */
struct scope {
	const char *path;           /* of the table: "ports[]" */
	const struct sl_node *node; /* NULL: absent, only defaults apply */
	bool wrong;                 /* it was no mapping, which is enough to say */
	void *base;
};

static void apply_scope(struct sl_load *l, const struct scope *s);

/* ---- unknown keys ---------------------------------------------------------------------------- */

/* "ports[]/backend" -> "ports[].backend" */
static void shown_path(const char *path, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s", path);
	for (char *p = buf; *p; p++) {
		if (*p == '/')
			*p = '.';
	}
}

static const char *nearest(const char *path, const char *key)
{
	unsigned best = (unsigned)strlen(key) / 3 + 1;
	const char *found = NULL, *name;

	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		if ((SL_KEYS[i].flags & SL_KEY_LATER) || !sl_key_below(&SL_KEYS[i], path, &name))
			continue;
		unsigned d = sl_value_distance(key, name, best);
		if (d < best || (d == best && !found)) {
			best = d;
			found = name;
		}
	}
	return found;
}

/* The one row elsewhere in the table whose last part is `key`. */
static const struct sl_key *elsewhere(const char *key)
{
	const struct sl_key *found = NULL;

	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const char *slash = strrchr(SL_KEYS[i].path, '/');
		if ((SL_KEYS[i].flags & SL_KEY_LATER) ||
		    strcmp(slash ? slash + 1 : SL_KEYS[i].path, key))
			continue;
		if (found)
			return NULL;
		found = &SL_KEYS[i];
	}
	return found;
}

static void report_unknown(struct sl_load *l, const struct scope *s, const struct sl_node *n)
{
	const struct sl_key *other = elsewhere(n->key);
	const char *near = nearest(s->path, n->key);
	char path[PATH_MAX_LEN];

	if (other) {
		shown_path(other->path, path, sizeof(path));
		sl_err_key(l, n, "unknown key here: it is %s", path);
	} else if (near) {
		sl_err_key(l, n, "unknown key: did you mean '%s'?", near);
	} else {
		sl_err_key(l, n, "unknown key");
	}
}

static void check_keys(struct sl_load *l, const struct scope *s)
{
	for (const struct sl_node *n = s->node ? s->node->first : NULL; n; n = n->next) {
		const struct sl_key *k = sl_key_find(s->path, n->key);
		if (!k)
			report_unknown(l, s, n);
		else if ((k->flags & SL_KEY_LATER) && k->instead)
			sl_err_key(l, n, "not in this version: use %s", k->instead);
		else if (k->flags & SL_KEY_LATER)
			sl_err_key(l, n, "not in this version");
	}
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void apply_default(struct sl_load *l, const struct sl_key *k, void *dst)
{
	struct sl_node n = {.type = SL_NODE_SCALAR};
	unsigned errors = sl_err_cnt(l);

	if (k->def_from)
		memcpy(dst, (const char *)l->cfg + k->def_from, k->size);
	if (!k->def)
		return;
	n.text = k->def;
	n.len = (uint32_t)strlen(k->def);
	k->type->set(l, k, &n, dst);
	SL_ASSERT(sl_err_cnt(l) == errors); /* a default is good by its own row */
}

static void report_missing(struct sl_load *l, const struct scope *s, const char *name)
{
	char path[512];
	struct sl_place at = {0, 0, 0};

	shown_path(s->path, path, sizeof(path));
	if (s->node) {
		sl_doc_path(s->node, path, sizeof(path));
		at = sl_doc_value_place(s->node);
	}
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "%s%s", used ? "." : "", name);
	sl_err_at(l, at, path, "is missing: it has no default");
}

static void apply_value(struct sl_load *l, const struct sl_key *k, const struct scope *s,
			struct sl_node *n, const char *name)
{
	void *dst = (char *)s->base + k->off;

	if (!n && (k->flags & SL_KEY_REQUIRED) && !s->wrong)
		report_missing(l, s, name);
	else if (!n || n->bad)
		apply_default(l, k, dst);
	else if (n->type == SL_NODE_NULL)
		sl_err_key(l, n, "has no value: must be %s", k->type->wants);
	else if (n->type != SL_NODE_SCALAR && !k->type->composite)
		sl_err_value(l, n, "must be %s, not a %s", k->type->wants,
			     n->type == SL_NODE_MAP ? "mapping" : "list");
	else
		k->type->set(l, k, n, dst);
}

static void apply_section(struct sl_load *l, const struct sl_key *k, const struct scope *s,
			  struct sl_node *n)
{
	struct scope sub = {.path = k->path, .wrong = s->wrong, .base = s->base};
	bool optional = k->flags & SL_KEY_OPTIONAL;

	if (n && n->type == SL_NODE_MAP) {
		sub.node = n;
		if (optional && k->size)
			*((bool *)s->base + k->off) = true;
	} else if (n && n->type == SL_NODE_NULL && optional) {
		/* "tls:" may mean either: with the defaults, or not at all */
		sub.wrong = true;
		sl_err_key(l, n, "is empty: `%s: {}` is one with the defaults", n->key);
	} else if (n && n->type != SL_NODE_NULL) {
		sub.wrong = true;
		if (!n->bad)
			sl_err_value(l, n, "must be a mapping");
	} else if (optional) { /* what it would require is not missing */
		sub.wrong = true;
	}
	apply_scope(l, &sub);
}

static void apply_list(struct sl_load *l, const struct sl_key *k, const struct scope *s,
		       struct sl_node *n)
{
	const struct sl_key_list *list = k->list;
	uint32_t *cnt = (uint32_t *)(void *)((char *)s->base + list->cnt_off);
	char path[PATH_MAX_LEN];

	if (!n || n->type == SL_NODE_NULL || n->bad)
		return;
	if (n->type != SL_NODE_LIST) {
		sl_err_value(l, n, "must be a list: `- name: ...`");
		return;
	}
	snprintf(path, sizeof(path), "%s[]", k->path);
	for (struct sl_node *c = n->first; c; c = c->next) {
		struct scope sub = {.path = path, .node = c};
		if (*cnt == list->max) {
			sl_err_value(l, c, "more than %u of them", list->max);
			return;
		}
		/* every element takes its place, so that check.c finds its node by its index */
		sub.base = (char *)s->base + list->off + (size_t)*cnt * list->stride;
		++*cnt;
		if (c->type != SL_NODE_MAP) {
			sl_err_value(l, c, "must be a mapping: `name: ...`");
			continue;
		}
		if (list->init)
			list->init(l->cfg, sub.base);
		apply_scope(l, &sub);
	}
}

/* Recursion is bounded by the depth of the table. */
static void apply_scope(struct sl_load *l, const struct scope *s)
{
	check_keys(l, s);
	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const struct sl_key *k = &SL_KEYS[i];
		const char *name;
		if ((k->flags & SL_KEY_LATER) || !sl_key_below(k, s->path, &name))
			continue;
		struct sl_node *n = sl_doc_get(s->node, name);
		if (k->type == &SL_T_SECTION)
			apply_section(l, k, s, n);
		else if (k->type == &SL_T_LIST)
			apply_list(l, k, s, n);
		else
			apply_value(l, k, s, n, name);
	}
}

void sl_apply(struct sl_load *l)
{
	struct scope root = {.path = "", .node = l->root, .base = l->cfg};

	apply_scope(l, &root);
}
