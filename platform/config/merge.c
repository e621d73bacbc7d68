/* SPDX-License-Identifier: Apache-2.0 */
/* One tree out of several files: mappings join, lists append, nothing overrides anything. */
#include "platform/config/load.h"

static void report_twice(struct sl_load *l, const struct sl_node *first, const struct sl_node *n)
{
	struct sl_place at = sl_doc_value_place(first);

	sl_err_key(l, n, "already set in %s:%u", l->src[at.file].name, sl_load_line(l, at));
}

/* Within one file no key stands twice (doc.c). Depth is bounded by the document's. */
static void merge_child(struct sl_load *l, struct sl_node *into, struct sl_node *n)
{
	struct sl_node *old = sl_doc_get(into, n->key);

	if (!old) {
		sl_doc_append(into, n);
		return;
	}
	if (n->type == SL_NODE_NULL)
		return;
	if (old->type == SL_NODE_NULL) { /* "topics:" with nothing below it */
		struct sl_node *next = old->next, *parent = old->parent;
		uint32_t idx = old->idx;
		for (struct sl_node *c = n->first; c; c = c->next)
			c->parent = old;
		*old = *n;
		old->next = next;
		old->parent = parent;
		old->idx = idx;
		return;
	}
	if (old->type != n->type || old->type == SL_NODE_SCALAR) {
		report_twice(l, old, n);
		return;
	}
	sl_merge(l, old, n);
}

void sl_merge(struct sl_load *l, struct sl_node *into, struct sl_node *from)
{
	for (struct sl_node *c = from->first, *next; c; c = next) {
		next = c->next;
		if (into->type == SL_NODE_LIST)
			sl_doc_append(into, c);
		else
			merge_child(l, into, c);
	}
}
