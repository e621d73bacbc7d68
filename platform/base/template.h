/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - text with placeholders, as the configuration has it: "devices/{key}/cmd".
 *
 * {name} stands for a value that the caller knows by that name; {name:PARAMETER} too, for names
 * that take one, such as {header:trace-id}: the parameter is whatever stands up to the brace.
 * {{ and }} are braces. Everything else is itself.
 *
 * Compiled once, filled by any thread. Nothing here knows what a value means: bytes go in as they
 * are.
 */
#ifndef SL_BASE_TEMPLATE_H
#define SL_BASE_TEMPLATE_H

#include "platform/base/text_err.h"
#include "sluice/wire.h"

#define SL_TPL_TEXT_MAX 4096 /* bytes of a template */

struct sl_tpl_var { /* a name that the caller knows; its index is the placeholder's number */
	struct sl_slice name;
	bool param; /* {name:PARAMETER}; else {name} */
};
/* The same from a literal. */
#define SL_TPL_VAR(s, p)                                                                           \
	{                                                                                          \
		{(const uint8_t *)(s), sizeof(s) - 1}, (p)                                         \
	}

struct sl_tpl_piece {
	int32_t var;          /* number of a placeholder, or -1: literal */
	uint32_t pos, len;    /* where it stands in the text, braces included */
	struct sl_slice text; /* a literal's bytes; of a placeholder its parameter */
};

struct sl_tpl;

/*
 * Checks and compiles; the text is copied, `vars` is not kept. -EINVAL: *ret_err (may be NULL) says
 * what is wrong and where: an unknown name, a brace without the other, a parameter that is missing
 * or too much, longer than SL_TPL_TEXT_MAX; -ENOMEM.
 */
SL_MUST_CHECK int sl_tpl_new(const char *text, const struct sl_tpl_var *vars, uint32_t var_cnt,
			     struct sl_tpl **ret_tpl, struct sl_text_err *ret_err);
void sl_tpl_free(struct sl_tpl *t); /* accepts NULL */

/* For checks of what a template can become. i < cnt; lives as long as the template. */
uint32_t sl_tpl_cnt(const struct sl_tpl *t);
const struct sl_tpl_piece *sl_tpl_piece(const struct sl_tpl *t, uint32_t i);
/* True if no placeholder is in it. */
bool sl_tpl_is_constant(const struct sl_tpl *t);

/* The value of placeholder `var`: borrowed until sl_tpl_fill() has returned, or called again; p
 * NULL: there is none. */
typedef struct sl_slice (*sl_tpl_value)(void *arg, uint32_t var, struct sl_slice param);

/*
 * Writes at most cap bytes into buf, no NUL behind them. 0; -ENODATA: a value is missing; -ENOSPC:
 * does not fit: buf has what did, cut where a UTF-8 character begins. *ret_len: bytes written, with
 * 0 and -ENOSPC.
 */
SL_MUST_CHECK int sl_tpl_fill(const struct sl_tpl *t, sl_tpl_value value, void *arg, void *buf,
			      uint32_t cap, uint32_t *ret_len);

#endif
