/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct sl_tpl {
	uint32_t cnt;
	bool constant;
	char *text; /* behind the pieces */
	struct sl_tpl_piece piece[];
};

/* ---- compiling ------------------------------------------------------------------------------- */

struct compile {
	struct sl_tpl *t;
	const struct sl_tpl_var *vars;
	uint32_t var_cnt;
	struct sl_text_err *err;
};

static void add(struct compile *c, int32_t var, const char *at, size_t len, struct sl_slice text)
{
	c->t->piece[c->t->cnt++] = (struct sl_tpl_piece){
		.var = var,
		.pos = (uint32_t)(at - c->t->text),
		.len = (uint32_t)len,
		.text = text,
	};
}

/* "{key}, {header:...}": what the caller knows. */
static void known_text(const struct compile *c, char *buf, size_t cap)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < c->var_cnt && used + 1 < cap; i++) {
		const struct sl_tpl_var *v = &c->vars[i];
		snprintf(buf + used, cap - used, "%s{%.*s%s}", used ? ", " : "", (int)v->name.len,
			 (const char *)v->name.p, v->param ? ":NAME" : "");
		used = strlen(buf);
	}
}

static int report_unknown(const struct compile *c, const char *at, size_t len)
{
	char known[128];

	known_text(c, known, sizeof(known));
	return sl_text_err_set(c->err, (size_t)(at - c->t->text), len,
			       "'%.*s' is not known here (have: %s)", (int)SL_MIN(len, 64u), at,
			       known[0] ? known : "none");
}

/* "{name}" or "{name:parameter}" at p, `len` bytes with its braces. */
static int take_placeholder(struct compile *c, const char *p, size_t len)
{
	const char *name = p + 1, *end = p + len - 1;
	const char *colon = memchr(name, ':', (size_t)(end - name));
	size_t name_len = (size_t)((colon ? colon : end) - name), at = (size_t)(p - c->t->text);
	struct sl_slice param = {NULL, 0};

	if (colon)
		param = (struct sl_slice){(const uint8_t *)colon + 1, (uint32_t)(end - colon - 1)};
	for (uint32_t i = 0; i < c->var_cnt; i++) {
		const struct sl_tpl_var *v = &c->vars[i];
		if (v->name.len != name_len || memcmp(v->name.p, name, name_len) != 0)
			continue;
		if (v->param && param.len == 0)
			return sl_text_err_set(c->err, at, len, "{%.*s} needs a name: {%.*s:NAME}",
					       (int)name_len, name, (int)name_len, name);
		if (!v->param && colon)
			return sl_text_err_set(c->err, at, len, "{%.*s} takes nothing behind a ':'",
					       (int)name_len, name);
		add(c, (int32_t)i, p, len, param);
		c->t->constant = false;
		return 0;
	}
	return report_unknown(c, p, len);
}

/* Returns behind what it took, or NULL. */
static const char *take_brace(struct compile *c, const char *p)
{
	size_t at = (size_t)(p - c->t->text);
	const char *close;

	if (p[1] == p[0]) {
		add(c, -1, p, 2, (struct sl_slice){(const uint8_t *)p, 1});
		return p + 2;
	}
	if (*p == '}') {
		sl_text_err_set(c->err, at, 1, "'}' without its '{' ('}}' is a brace)");
		return NULL;
	}
	close = p + strcspn(p + 1, "{}") + 1;
	if (*close != '}') {
		sl_text_err_set(c->err, at, 1, "'{' without its '}' ('{{' is a brace)");
		return NULL;
	}
	if (take_placeholder(c, p, (size_t)(close - p) + 1) < 0)
		return NULL;
	return close + 1;
}

static int compile(struct compile *c)
{
	const char *p = c->t->text;

	while (p && *p) {
		size_t n = strcspn(p, "{}");
		if (n)
			add(c, -1, p, n, (struct sl_slice){(const uint8_t *)p, (uint32_t)n});
		p += n;
		if (*p)
			p = take_brace(c, p);
	}
	return p ? 0 : -EINVAL;
}

int sl_tpl_new(const char *text, const struct sl_tpl_var *vars, uint32_t var_cnt,
	       struct sl_tpl **ret_tpl, struct sl_text_err *ret_err)
{
	struct compile c = {.vars = vars, .var_cnt = var_cnt, .err = ret_err};
	size_t len = strlen(text), pieces = 1;

	if (len > SL_TPL_TEXT_MAX)
		return sl_text_err_set(ret_err, 0, 0, "is longer than %d bytes", SL_TPL_TEXT_MAX);
	for (const char *p = text; *p; p++) /* each brace ends a literal and begins a piece */
		pieces += *p == '{' || *p == '}' ? 2 : 0;
	c.t = calloc(1, sizeof(*c.t) + pieces * sizeof(c.t->piece[0]) + len + 1);
	if (!c.t)
		return -ENOMEM;
	c.t->text = (char *)&c.t->piece[pieces];
	c.t->constant = true;
	memcpy(c.t->text, text, len + 1);
	if (compile(&c) < 0) {
		free(c.t);
		return -EINVAL;
	}
	SL_ASSERT(c.t->cnt <= pieces);
	*ret_tpl = c.t;
	return 0;
}

void sl_tpl_free(struct sl_tpl *t)
{
	free(t);
}

uint32_t sl_tpl_cnt(const struct sl_tpl *t)
{
	return t->cnt;
}

const struct sl_tpl_piece *sl_tpl_piece(const struct sl_tpl *t, uint32_t i)
{
	SL_DASSERT(i < t->cnt);
	return &t->piece[i];
}

bool sl_tpl_is_constant(const struct sl_tpl *t)
{
	return t->constant;
}

/* ---- filling --------------------------------------------------------------------------------- */

/* What of the `cap` bytes at buf is whole characters, if the next byte goes on one. */
static uint32_t whole(const uint8_t *buf, uint32_t cap, uint8_t next)
{
	uint32_t n = cap;

	if ((next & 0xc0) != 0x80)
		return cap;
	while (n && cap - n < 3 && (buf[n - 1] & 0xc0) == 0x80)
		n--;
	return n && (buf[n - 1] & 0xc0) == 0xc0 ? n - 1 : cap;
}

int sl_tpl_fill(const struct sl_tpl *t, sl_tpl_value value, void *arg, void *buf, uint32_t cap,
		uint32_t *ret_len)
{
	uint8_t *out = buf;
	uint32_t len = 0;

	for (uint32_t i = 0; i < t->cnt; i++) {
		const struct sl_tpl_piece *p = &t->piece[i];
		struct sl_slice s = p->text;
		if (p->var >= 0)
			s = value(arg, (uint32_t)p->var, p->text);
		if (!s.p)
			return -ENODATA;
		if (s.len > cap - len) {
			memcpy(out + len, s.p, cap - len);
			*ret_len = whole(out, cap, s.p[cap - len]);
			return -ENOSPC;
		}
		memcpy(out + len, s.p, s.len);
		len += s.len;
	}
	*ret_len = len;
	return 0;
}
