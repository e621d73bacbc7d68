/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - from sluice.yaml (and conf.d beside it) to a checked struct sl_config.
 *
 * Concepts
 *   document   one YAML file; every value in it knows its file, line and column.
 *   merge      the .yaml files of conf.d beside the main file are read in the order of their
 *              names: mappings join, lists append, one value given in two files is an error that
 *              names both places.
 *   table      keys.c: one row per key with type, unit, range, default and help. It checks the
 *              document, fills the struct and writes the reference page.
 *   check      what one row cannot see: names that refer to each other, duplicates, contradictions.
 *   warning    what is no mistake, but hardly meant: a rule that can never match, a secret's file
 *              that is not there. Only asked for when there is no mistake.
 *
 * A topic that only a listener, a rule of mqtt.map or a downlink names is among struct sl_config's
 * topics afterwards, with the defaults: whoever starts the store creates all of them and is done.
 *
 * Limits: a file SL_CFG_FILE_MAX bytes, SL_CONFIG_FILES_MAX files, SL_CONFIG_DEPTH_MAX levels.
 * Nothing here opens a socket, a device or a data directory, prints, or needs a privilege; files
 * that the config names (secrets, certificates) are looked at for warnings. Control thread.
 */
#ifndef SL_CONFIG_CONFIG_H
#define SL_CONFIG_CONFIG_H

#include <stdio.h>

#include "sluice/config.h"

#define SL_CONFIG_FILES_MAX  64
#define SL_CONFIG_DEPTH_MAX  8
#define SL_CONFIG_ERRORS_MAX 20 /* kept; more are only counted */

struct sl_config_error {
	char *file;      /* as the caller named it, or the conf.d file beside it */
	uint32_t line;   /* from 1; 0: about the file as a whole */
	uint32_t column; /* from 1, in characters */
	char *key;       /* "ports[0].backend", or "" */
	char *text;      /* one sentence, no newline */
	char *source;    /* the line itself, or "" */
	uint32_t width;  /* characters that the caret underlines */
	uint32_t order;  /* of its file: the main one first */
};

struct sl_config_list {
	uint32_t cnt;    /* kept in err */
	uint32_t hidden; /* found beyond SL_CONFIG_ERRORS_MAX */
	struct sl_config_error err[SL_CONFIG_ERRORS_MAX];
};

/* On the caller's memory; zeroed is empty. */
struct sl_config_errors {
	struct sl_config_list errors;
	struct sl_config_list warnings; /* only with a good config */
};

/*
 * Reads, merges, checks. 0: *ret_cfg is owned by the caller (sl_config_free), and *ret_errs may
 * have warnings. -EINVAL: mistakes in the file; -ENOENT, -EACCES, -EFBIG, ...: it could not be
 * read; either way *ret_errs (zeroed by the caller, freed by sl_config_errors_fini in every case)
 * says what is wrong, in the order of files and lines. -ENOMEM may come without an entry.
 */
SL_MUST_CHECK int sl_config_load(const char *path, struct sl_config **ret_cfg,
				 struct sl_config_errors *ret_errs);
/* The same from memory, without conf.d and without a look at files that it names: `name` stands
 * for the file in errors. */
SL_MUST_CHECK int sl_config_parse(const char *name, const char *text, size_t len,
				  struct sl_config **ret_cfg, struct sl_config_errors *ret_errs);
void sl_config_free(struct sl_config *cfg); /* accepts NULL */

/* "file:line:column: key: text", then the line and a caret; at the end how many were left out. With
 * warnings "key: warning: text". */
void sl_config_errors_print(const struct sl_config_errors *errs, FILE *out);
/* "file:line:column: key: text" without a newline, cut to fit: for a log. */
void sl_config_error_text(const struct sl_config_error *e, char *buf, size_t cap);
void sl_config_errors_fini(struct sl_config_errors *errs); /* accepts NULL and zeroed */

/* Writes docs/configuration.md from the table of keys. */
void sl_config_print_reference(FILE *out);

#endif
