/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - what one sl_config_load() carries from file to struct. Internal to platform/config.
 */
#ifndef SL_CONFIG_LOAD_H
#define SL_CONFIG_LOAD_H

#include "platform/base/text_err.h"
#include "platform/config/config.h"
#include "platform/config/doc.h"

#define SL_CONFIG_VALUE_MAX 4096 /* bytes of one value after ${...} */

struct sl_source {
	char *name;
	char *text; /* NUL-terminated, whole file */
	uint32_t len;
};

struct sl_chunk;

struct sl_load {
	struct sl_source src[SL_CONFIG_FILES_MAX];
	unsigned src_cnt;
	struct sl_chunk *chunks; /* arena of the tree: freed at once */
	uint32_t node_cnt;
	struct sl_node *root;
	struct sl_config *cfg;
	struct sl_config_errors *errs;
	bool files; /* what the config names may be looked at */
};

/* Zeroed memory that lives as long as the load; NULL without memory. */
void *sl_load_alloc(struct sl_load *l, size_t size);
/* `len` bytes and a NUL. */
char *sl_load_strndup(struct sl_load *l, const char *s, size_t len);
/* Takes `text` (malloc'ed, NUL-terminated), also when it fails. -EMFILE, -ENOMEM. */
SL_MUST_CHECK int sl_load_add_source(struct sl_load *l, const char *name, char *text, uint32_t len);

/* ---- errors (errors.c): kept until there are SL_CONFIG_ERRORS_MAX, then counted -------------- */

void sl_err_value(struct sl_load *l, const struct sl_node *n, const char *fmt, ...) SL_PRINTF(3, 4);
void sl_err_key(struct sl_load *l, const struct sl_node *n, const char *fmt, ...) SL_PRINTF(3, 4);
void sl_err_at(struct sl_load *l, struct sl_place at, const char *key, const char *fmt, ...)
	SL_PRINTF(4, 5);
/* About a piece of n's text: points at it if the file has the text as it is, at n otherwise. */
void sl_err_text(struct sl_load *l, const struct sl_node *n, const struct sl_text_err *e);
/* Kept apart, and thrown away if there is an error too. */
void sl_warn_value(struct sl_load *l, const struct sl_node *n, const char *fmt, ...)
	SL_PRINTF(3, 4);
void sl_warn_key(struct sl_load *l, const struct sl_node *n, const char *fmt, ...) SL_PRINTF(3, 4);
/* About a file as a whole: it cannot be read, is too large. */
void sl_err_file(struct sl_load *l, const char *name, const char *fmt, ...) SL_PRINTF(3, 4);
/* In the order of files and lines; without warnings if there are errors. */
void sl_errs_finish(struct sl_config_errors *errs);
/* Line from 1 of a place. */
uint32_t sl_load_line(const struct sl_load *l, struct sl_place at);
unsigned sl_err_cnt(const struct sl_load *l);

/* ---- stages, in this order; each reports and goes on as far as that makes sense -------------- */

/* Replaces ${NAME} and ${NAME:-default} in every scalar below n (env.c). -ENOMEM. */
SL_MUST_CHECK int sl_env_expand(struct sl_load *l, struct sl_node *n);
/* Moves what is in `from` into `into` (merge.c). */
void sl_merge(struct sl_load *l, struct sl_node *into, struct sl_node *from);
/* Fills l->cfg from l->root by the table of keys (apply.c). */
void sl_apply(struct sl_load *l);
/* What several keys must keep between them (check.c). */
void sl_check(struct sl_load *l);

#endif
