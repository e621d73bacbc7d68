/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - the one table of keys: what may stand in sluice.yaml, what it means, where it goes.
 *
 * A row's path has '/' between levels and "[]" behind a list, since Kafka's own names have dots:
 * "topics[]/config/retention.ms". A path that ends in '*' stands for all keys of that beginning.
 * Rows of one level are applied in the order of the table, whatever the order in the file: what a
 * later row refers to (ports of a listener, defaults of topics) comes first.
 *
 * A default is the text a user would write and goes through the same parser.
 */
#ifndef SL_CONFIG_KEYS_H
#define SL_CONFIG_KEYS_H

#include "platform/config/load.h"

struct sl_key;

struct sl_choice {
	const char *name; /* NULL ends the list */
	int64_t value;
	bool later; /* known, but not in this version */
};

/* How a value is read. `set` reports its own errors; n is a scalar unless `composite`. */
struct sl_key_type {
	const char *name;  /* for the reference page */
	const char *wants; /* "a size such as 64MiB", for errors */
	bool composite;    /* takes lists too */
	void (*set)(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst);
	void (*text)(int64_t v, char *buf); /* min and max as text; NULL: not to be shown */
};

/* A list of mappings: where its elements live in what it stands in: struct sl_config, or the
 * element of another list. Or one of topic names (SL_T_TOPICS), in struct sl_config. */
struct sl_key_list {
	uint32_t cnt_off, off, stride, max;
	void (*init)(const struct sl_config *cfg, void *elem); /* may be NULL */
};

enum sl_key_flag {
	SL_KEY_REQUIRED = 1u << 0,
	SL_KEY_LATER = 1u << 1, /* known, but not in this version */
	/* A section: what it requires is missing only if it is there; its bool (off, size), if it
	 * has one, says that it is. A text: may be empty. */
	SL_KEY_OPTIONAL = 1u << 2,
};

struct sl_key {
	const char *path;
	const struct sl_key_type *type;
	uint32_t off, size;  /* in struct sl_config, or in the list's element */
	const char *def;     /* NULL: nothing is written when the key is absent */
	uint32_t def_from;   /* or: copied from there in struct sl_config, filled before */
	const char *def_doc; /* shown instead of def */
	int64_t min, max; /* in bytes, ns or as written; max 0: none. A port's, a path's length */
	uint64_t scale;   /* durations: ns per unit of the struct's field */
	const struct sl_choice *choices; /* of an enum; for others words beside the number */
	const struct sl_key_list *list;
	uint32_t flags;
	const char *instead; /* LATER: what there is now */
	const char *help;    /* one or two sentences for the reference page */
};

extern const struct sl_key SL_KEYS[];
extern const size_t SL_KEY_CNT;

/* The row of `key` below `path` ("" for the root), or NULL. */
const struct sl_key *sl_key_find(const char *path, const char *key);
/* True if row k stands directly below `path`; *ret_name is then its last part. */
bool sl_key_below(const struct sl_key *k, const char *path, const char **ret_name);

/* Types; see types.c, types_net.c and types_bridge.c. */
extern const struct sl_key_type SL_T_SECTION, SL_T_LIST; /* structure: apply.c walks them */
extern const struct sl_key_type SL_T_INT, SL_T_SIZE, SL_T_DURATION, SL_T_BOOL, SL_T_ENUM, SL_T_WORD,
	SL_T_SHARE, SL_T_NAME, SL_T_TOPIC, SL_T_PATH;
extern const struct sl_key_type SL_T_CPUS, SL_T_ADDR, SL_T_HOSTPORT, SL_T_HOSTPORTS, SL_T_PORT,
	SL_T_RULE, SL_T_HEADERS;
extern const struct sl_key_type SL_T_TEXT, SL_T_RATE, SL_T_HOST, SL_T_BOOTSTRAP, SL_T_TOPICS,
	SL_T_BROKER, SL_T_RULE_HEADERS, SL_T_CLIENT, SL_T_CLIENT_FILES;

/* ---- for types ------------------------------------------------------------------------------- */

/* Reports that n is not what k wants; `why` may be NULL. */
void sl_key_wrong(struct sl_load *l, const struct sl_key *k, const struct sl_node *n,
		  const char *why);
/* The same for a negative result of values.h. */
void sl_key_refuse(struct sl_load *l, const struct sl_key *k, const struct sl_node *n, int err);
/* False after reporting that v is not within k's range. */
bool sl_key_in_range(struct sl_load *l, const struct sl_key *k, const struct sl_node *n, int64_t v);
/* Looks n's text up. True: found, and in this version; false: not a word of the list, or reported
 * as "not in this version" (then n->bad is set). */
bool sl_key_choice(struct sl_load *l, const struct sl_choice *choices, struct sl_node *n,
		   int64_t *ret);
/* "a, b, c": the words of this version into buf. */
void sl_key_choices_text(const struct sl_choice *choices, char *buf, size_t cap);

#endif
