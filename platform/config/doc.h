/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc.h - a YAML document as a small tree of our own, every node with its place in the source.
 *
 * The only module that knows libfyaml. What it leaves out on purpose: anchors, aliases, tags,
 * several documents in a file, keys that are not plain text: each is an error with its place, and
 * so is a key given twice.
 */
#ifndef SL_CONFIG_DOC_H
#define SL_CONFIG_DOC_H

#include "sluice/base.h"

#define SL_DOC_NODES_MAX 100000 /* of all files together */
#define SL_DOC_MAP_MAX   1024   /* keys of one mapping */
#define SL_DOC_KEY_MAX   255

struct sl_load;

enum sl_node_type { SL_NODE_NULL, SL_NODE_SCALAR, SL_NODE_MAP, SL_NODE_LIST };

struct sl_node {
	enum sl_node_type type;
	bool bad;          /* an error about it was reported: present, without a value */
	uint16_t file;     /* index into the load's sources */
	uint32_t pos, end; /* of a scalar: byte offsets in the source */
	uint32_t key_pos, key_end;
	const char *key;  /* NULL: an element of a list, or the root */
	const char *text; /* of a scalar: NUL-terminated, `len` bytes, after ${...} */
	uint32_t len;
	uint32_t idx; /* place among its siblings */
	uint32_t cnt; /* children */
	struct sl_node *parent, *first, *last, *next;
};

/* A piece of the source. */
struct sl_place {
	uint16_t file;
	uint32_t pos, end;
};

/* Parses source `file` of the load into *ret_root (lives as long as the load; NULL if the document
 * is empty). -EINVAL: errors were reported. -ENOMEM. */
SL_MUST_CHECK int sl_doc_parse(struct sl_load *l, uint16_t file, struct sl_node **ret_root);

/* First child of that name, or NULL; `map` may be NULL or of another type. */
struct sl_node *sl_doc_get(const struct sl_node *map, const char *key);
/* i-th child, or NULL. */
struct sl_node *sl_doc_at(const struct sl_node *list, uint32_t i);
void sl_doc_append(struct sl_node *parent, struct sl_node *child);

/* Where to point: at the value; at the key if the value has no place of its own (nothing there, a
 * mapping, a list), else at what it contains or where it stands. */
struct sl_place sl_doc_value_place(const struct sl_node *n);
struct sl_place sl_doc_key_place(const struct sl_node *n);
/* "ports[0].backend" into buf, cut to fit; "" for the root. */
void sl_doc_path(const struct sl_node *n, char *buf, size_t cap);

#endif
