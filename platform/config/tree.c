/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of doc.h, once it is made: looking up, places, paths. Knows no YAML. */
#include <stdio.h>

#include "platform/config/doc.h"

struct sl_node *sl_doc_get(const struct sl_node *map, const char *key)
{
	if (!map || map->type != SL_NODE_MAP)
		return NULL;
	for (struct sl_node *n = map->first; n; n = n->next) {
		if (n->key && !strcmp(n->key, key))
			return n;
	}
	return NULL;
}

struct sl_node *sl_doc_at(const struct sl_node *list, uint32_t i)
{
	struct sl_node *n = list && list->type == SL_NODE_LIST ? list->first : NULL;

	while (n && i--)
		n = n->next;
	return n;
}

void sl_doc_append(struct sl_node *parent, struct sl_node *child)
{
	child->parent = parent;
	child->next = NULL;
	child->idx = parent->cnt++;
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

struct sl_place sl_doc_key_place(const struct sl_node *n)
{
	for (const struct sl_node *p = n; p; p = p->parent) {
		if (p->key_end)
			return (struct sl_place){p->file, p->key_pos, p->key_end};
	}
	return (struct sl_place){n->file, 0, 0};
}

struct sl_place sl_doc_value_place(const struct sl_node *n)
{
	if (n->end)
		return (struct sl_place){n->file, n->pos, n->end};
	if (n->key_end)
		return (struct sl_place){n->file, n->key_pos, n->key_end};
	for (const struct sl_node *c = n->first; c; c = c->first) {
		if (c->key_end)
			return (struct sl_place){c->file, c->key_pos, c->key_end};
		if (c->end)
			return (struct sl_place){c->file, c->pos, c->end};
	}
	return sl_doc_key_place(n);
}

void sl_doc_path(const struct sl_node *n, char *buf, size_t cap)
{
	size_t used = 0;

	buf[0] = '\0';
	if (!n || !n->parent)
		return;
	sl_doc_path(n->parent, buf, cap); /* as deep as the document: SL_CONFIG_DEPTH_MAX */
	used = strlen(buf);
	if (n->key)
		snprintf(buf + used, cap - used, "%s%s", used ? "." : "", n->key);
	else
		snprintf(buf + used, cap - used, "[%u]", n->idx);
}
