/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ${NAME} and ${NAME:-default} in scalars; "$$" is a dollar. Done on the tree, after YAML: what a
 * variable holds is one value and can never become structure. A default reaches to the next '}'.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "platform/config/load.h"

#define NAME_MAX_LEN 128

struct expansion {
	char buf[SL_CONFIG_VALUE_MAX + 1];
	size_t len;
	bool too_long;
};

static void put(struct expansion *x, const char *p, size_t n)
{
	if (n > SL_CONFIG_VALUE_MAX - x->len) {
		x->too_long = true;
		return;
	}
	memcpy(x->buf + x->len, p, n);
	x->len += n;
}

static bool name_valid(const char *p, size_t n)
{
	if (n == 0 || n > NAME_MAX_LEN || isdigit((unsigned char)*p))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)p[i]) && p[i] != '_')
			return false;
	}
	return true;
}

/* `p` is behind "${". Returns behind "}", or NULL after reporting. */
static const char *expand_one(struct sl_load *l, struct sl_node *n, const char *p,
			      struct expansion *x)
{
	const char *close = strchr(p, '}'), *value;
	char name[NAME_MAX_LEN + 1];

	if (!close) {
		sl_err_value(l, n, "'${' without its '}' ('$$' makes a plain dollar)");
		return NULL;
	}
	const char *dash = memmem(p, (size_t)(close - p), ":-", 2);
	size_t len = (size_t)((dash ? dash : close) - p);
	if (!name_valid(p, len)) {
		sl_err_value(l, n, "'${%.*s}' does not name an environment variable",
			     (int)SL_MIN(close - p, 64), p);
		return NULL;
	}
	memcpy(name, p, len);
	name[len] = '\0';
	value = getenv(name);
	if (value && (*value || !dash)) { /* like the shell's :- an empty one counts as unset */
		put(x, value, strnlen(value, SL_CONFIG_VALUE_MAX + 1));
	} else if (dash) {
		put(x, dash + 2, (size_t)(close - dash - 2));
	} else {
		sl_err_value(l, n, "environment variable %s is not set (${%s:-default} gives one)",
			     name, name);
		return NULL;
	}
	return close + 1;
}

static int expand_scalar(struct sl_load *l, struct sl_node *n)
{
	struct expansion x = {.len = 0};
	const char *p = n->text;

	if (!memchr(p, '$', n->len) || n->bad)
		return 0;
	while (*p) {
		const char *dollar = strchrnul(p, '$');
		put(&x, p, (size_t)(dollar - p));
		p = dollar;
		if (p[0] == '$' && p[1] == '{') {
			p = expand_one(l, n, p + 2, &x);
			if (!p) {
				n->bad = true;
				return 0;
			}
		} else if (*p) {
			put(&x, "$", 1);
			p += p[1] == '$' ? 2 : 1;
		}
	}
	if (x.too_long) {
		n->bad = true;
		sl_err_value(l, n, "longer than %d bytes", SL_CONFIG_VALUE_MAX);
		return 0;
	}
	n->text = sl_load_strndup(l, x.buf, x.len);
	n->len = (uint32_t)x.len;
	return n->text ? 0 : -ENOMEM;
}

int sl_env_expand(struct sl_load *l, struct sl_node *n)
{
	int rc = 0;

	if (n->type == SL_NODE_SCALAR)
		return expand_scalar(l, n);
	for (struct sl_node *c = n->first; c && rc == 0; c = c->next)
		rc = sl_env_expand(l, c);
	return rc;
}
