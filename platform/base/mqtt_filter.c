/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/mqtt_filter.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/base/utf8.h"

/* FNV-1a: levels are short, and it needs no block of bytes. */
#define HASH_START 2166136261u
#define HASH_STEP  16777619u

struct sl_mqtt_filter {
	uint32_t cnt;
	char *text; /* behind the levels */
	struct sl_mqtt_level level[];
};

/* ---- names ----------------------------------------------------------------------------------- */

int sl_mqtt_name_split(struct sl_slice name, struct sl_mqtt_name *ret_name)
{
	struct sl_mqtt_name *n = ret_name;
	uint32_t h = HASH_START, cnt = 0;
	uint8_t high = 0;

	if (!name.p || name.len == 0 || name.len > SL_MQTT_TEXT_MAX)
		return -EINVAL;
	n->off[0] = 0;
	for (uint32_t i = 0; i < name.len; i++) {
		uint8_t c = name.p[i];
		if (c == '/') {
			if (cnt == SL_MQTT_LEVELS_MAX - 1)
				return -E2BIG;
			n->hash[cnt++] = h;
			n->off[cnt] = i + 1;
			h = HASH_START;
			continue;
		}
		if (c == '\0' || c == '+' || c == '#')
			return -EINVAL;
		high |= c;
		h = (h ^ c) * HASH_STEP;
	}
	if ((high & 0x80) && sl_utf8_span(name.p, name.len) != name.len)
		return -EINVAL;
	n->hash[cnt++] = h;
	n->off[cnt] = name.len + 1;
	n->cnt = cnt;
	n->p = name.p;
	n->len = name.len;
	return 0;
}

/* ---- checking a filter ----------------------------------------------------------------------- */

struct compile {
	struct sl_mqtt_filter *f;
	const char *text; /* of the user, for places in errors */
	enum sl_mqtt_use use;
	struct sl_text_err *err;
};

static bool name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool name_char(char c)
{
	return name_start(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool same(struct sl_slice a, struct sl_slice b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static struct sl_slice slice(const char *p, size_t len)
{
	return (struct sl_slice){(const uint8_t *)p, (uint32_t)len};
}

/* "{line}" at p, `len` bytes with its braces. */
static int check_named(struct compile *c, const char *p, size_t len)
{
	static const char *const own[] = {"topic", "client"};
	struct sl_slice name = slice(p + 1, len - 2);
	size_t at = (size_t)(p - c->text);

	if (name.len == 0)
		return sl_text_err_set(c->err, at, len, "'{}' has no name");
	for (uint32_t i = 0; i < name.len; i++) {
		if (!(i ? name_char : name_start)((char)name.p[i]))
			return sl_text_err_set(c->err, at, len,
					       "'%.*s': a placeholder's name has letters, digits, "
					       "'_' and '-', and begins with a letter",
					       (int)SL_MIN(len, 80u), p);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(own); i++) {
		if (same(name, slice(own[i], strlen(own[i]))))
			return sl_text_err_set(c->err, at, len,
					       "{%s} has a meaning of its own in templates: "
					       "another name",
					       own[i]);
	}
	for (uint32_t i = 0; i < c->f->cnt; i++) {
		const struct sl_mqtt_level *l = &c->f->level[i];
		if (l->kind == SL_MQTT_NAMED && same(l->text, name))
			return sl_text_err_set(c->err, at, len, "'%.*s' is in it twice",
					       (int)SL_MIN(len, 80u), p);
	}
	c->f->level[c->f->cnt].kind = SL_MQTT_NAMED;
	c->f->level[c->f->cnt].text = name;
	return 0;
}

/* A level of a rule with a brace in it. */
static int check_braces(struct compile *c, const char *p, size_t len)
{
	const char *open = memchr(p, '{', len), *close = memchr(p, '}', len);
	size_t at = (size_t)(p - c->text);

	if (open == p && close == p + len - 1)
		return check_named(c, p, len);
	if (!close || !open)
		return sl_text_err_set(c->err, at + (size_t)((open ? open : close) - p), 1,
				       open ? "'{' without its '}' (a level with braces in it is "
					      "matched by '+')"
					    : "'}' without its '{' (a level with braces in it is "
					      "matched by '+')");
	return sl_text_err_set(c->err, at, len,
			       "'%.*s': a placeholder is a level of its own, such as a/{line}/b",
			       (int)SL_MIN(len, 80u), p);
}

/* What a subscription has no use for, and a rule's author may have written there. */
static bool is_placeholder(const char *p, size_t len)
{
	bool yes = len > 2 && p[0] == '{' && p[len - 1] == '}';

	for (size_t i = 1; yes && i < len - 1; i++)
		yes = name_char(p[i]);
	return yes;
}

static int check_wildcard(struct compile *c, const char *p, size_t len, bool last)
{
	const char *w = p;
	size_t at = (size_t)(p - c->text);

	while (*w != '+' && *w != '#')
		w++;
	if (len > 1)
		return sl_text_err_set(c->err, at + (size_t)(w - p), 1,
				       "'%c' must be a level of its own, such as a/%c", *w, *w);
	if (*w == '#' && !last)
		return sl_text_err_set(c->err, at, 1, "'#' must be the last level");
	c->f->level[c->f->cnt].kind = *w == '+' ? SL_MQTT_PLUS : SL_MQTT_HASH;
	return 0;
}

static uint32_t hash_of(struct sl_slice s)
{
	uint32_t h = HASH_START;

	for (uint32_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * HASH_STEP;
	return h;
}

static int check_level(struct compile *c, const char *p, size_t len, bool last)
{
	struct sl_mqtt_level *l = &c->f->level[c->f->cnt];

	if (memchr(p, '+', len) || memchr(p, '#', len))
		return check_wildcard(c, p, len, last);
	if (c->use == SL_MQTT_RULE && (memchr(p, '{', len) || memchr(p, '}', len)))
		return check_braces(c, p, len);
	if (c->use == SL_MQTT_SUBSCRIPTION && is_placeholder(p, len))
		return sl_text_err_set(c->err, (size_t)(p - c->text), len,
				       "'%.*s': placeholders belong into mqtt.map: a subscription "
				       "has '+' there",
				       (int)SL_MIN(len, 80u), p);
	l->kind = SL_MQTT_LITERAL;
	l->text = slice(p, len);
	l->hash = hash_of(l->text);
	return 0;
}

static int check_levels(struct compile *c, const char *p)
{
	for (;;) {
		const char *end = strchrnul(p, '/');
		int rc;
		if (c->f->cnt == SL_MQTT_LEVELS_MAX)
			return sl_text_err_set(c->err, (size_t)(p - c->text), strlen(p),
					       "has more than %d levels", SL_MQTT_LEVELS_MAX);
		rc = check_level(c, p, (size_t)(end - p), *end == '\0');
		if (rc < 0)
			return rc;
		c->f->cnt++;
		if (*end == '\0')
			return 0;
		p = end + 1;
	}
}

/* *ret_filter: behind $share/GROUP/ of a subscription [MQTT 5, 4.8.2]. */
static int check_share(const struct compile *c, const char **ret_filter)
{
	static const char lead[] = "$share/";
	const char *group = c->text + sizeof(lead) - 1, *end;

	*ret_filter = c->text;
	if (strncmp(c->text, lead, sizeof(lead) - 1))
		return 0;
	if (c->use == SL_MQTT_RULE)
		return sl_text_err_set(c->err, 0, sizeof(lead) - 2,
				       "no message's name begins with $share: it is for "
				       "subscriptions (mqtt.brokers)");
	end = strchr(group, '/');
	if (!end || end == group || end[1] == '\0')
		return sl_text_err_set(c->err, 0, strlen(c->text),
				       "a shared subscription is $share/GROUP/FILTER");
	for (const char *p = group; p < end; p++) {
		if (*p == '+' || *p == '#')
			return sl_text_err_set(c->err, (size_t)(p - c->text), 1,
					       "the group of $share has no wildcards");
	}
	*ret_filter = end + 1;
	return 0;
}

static int check_text(const struct compile *c, size_t len)
{
	size_t good = sl_utf8_span((const uint8_t *)c->text, len);

	if (len == 0)
		return sl_text_err_set(c->err, 0, 0, "is empty: '#' matches every name");
	if (len > SL_MQTT_TEXT_MAX)
		return sl_text_err_set(c->err, 0, 0, "is longer than %d bytes", SL_MQTT_TEXT_MAX);
	if (good != len)
		return sl_text_err_set(c->err, good, 1, "is not UTF-8 text");
	return 0;
}

int sl_mqtt_filter_new(const char *text, enum sl_mqtt_use use, struct sl_mqtt_filter **ret_filter,
		       struct sl_text_err *ret_err)
{
	struct compile c = {.text = text, .use = use, .err = ret_err};
	size_t len = strlen(text), levels = 1;
	const char *filter = text;
	int rc = check_text(&c, len);

	if (rc == 0)
		rc = check_share(&c, &filter);
	if (rc < 0)
		return rc;
	for (const char *p = text; *p; p++)
		levels += *p == '/';
	levels = SL_MIN(levels, (size_t)SL_MQTT_LEVELS_MAX);
	c.f = calloc(1, sizeof(*c.f) + levels * sizeof(c.f->level[0]) + len + 1);
	if (!c.f)
		return -ENOMEM;
	c.f->text = (char *)&c.f->level[levels];
	memcpy(c.f->text, text, len + 1);
	rc = check_levels(&c, filter);
	if (rc < 0) {
		free(c.f);
		return rc;
	}
	for (uint32_t i = 0; i < c.f->cnt; i++) /* from the user's text into the copy */
		if (c.f->level[i].text.p)
			c.f->level[i].text.p = (const uint8_t *)c.f->text +
					       (c.f->level[i].text.p - (const uint8_t *)text);
	*ret_filter = c.f;
	return 0;
}

void sl_mqtt_filter_free(struct sl_mqtt_filter *f)
{
	free(f);
}

uint32_t sl_mqtt_filter_depth(const struct sl_mqtt_filter *f)
{
	return f->cnt;
}

const struct sl_mqtt_level *sl_mqtt_filter_level(const struct sl_mqtt_filter *f, uint32_t i)
{
	SL_DASSERT(i < f->cnt);
	return &f->level[i];
}

uint32_t sl_mqtt_rule_vars(const struct sl_mqtt_filter *f, struct sl_tpl_var *ret_vars,
			   uint16_t *ret_level)
{
	uint32_t n = SL_MQTT_VAR_LEVEL;

	ret_vars[SL_MQTT_VAR_TOPIC] = (struct sl_tpl_var)SL_TPL_VAR("topic", false);
	ret_vars[SL_MQTT_VAR_CLIENT] = (struct sl_tpl_var)SL_TPL_VAR("client", false);
	for (uint32_t i = 0; i < f->cnt; i++) {
		const struct sl_mqtt_level *l = &f->level[i];
		if (l->kind != SL_MQTT_NAMED && l->kind != SL_MQTT_HASH)
			continue;
		ret_level[n - SL_MQTT_VAR_LEVEL] = (uint16_t)i;
		ret_vars[n] = (struct sl_tpl_var)SL_TPL_VAR("0", false);
		if (l->kind == SL_MQTT_NAMED)
			ret_vars[n].name = l->text;
		n++;
	}
	return n;
}

struct sl_slice sl_mqtt_rule_value(const struct sl_mqtt_filter *f, uint16_t level,
				   const struct sl_mqtt_name *name)
{
	return f->level[level].kind == SL_MQTT_HASH ? sl_mqtt_name_rest(name, level)
						    : sl_mqtt_name_level(name, level);
}

/* ---- matching -------------------------------------------------------------------------------- */

bool sl_mqtt_filter_matches(const struct sl_mqtt_filter *f, const struct sl_mqtt_name *n)
{
	uint32_t i;

	if (n->p[0] == '$' && f->level[0].kind != SL_MQTT_LITERAL)
		return false;
	for (i = 0; i < f->cnt; i++) {
		const struct sl_mqtt_level *l = &f->level[i];
		if (l->kind == SL_MQTT_HASH) /* also right behind the name's last level */
			return true;
		if (i == n->cnt)
			return false;
		if (l->kind == SL_MQTT_LITERAL &&
		    (l->hash != n->hash[i] || !same(l->text, sl_mqtt_name_level(n, i))))
			return false;
	}
	return i == n->cnt;
}

static bool is_one(const struct sl_mqtt_level *l)
{
	return l->kind == SL_MQTT_PLUS || l->kind == SL_MQTT_NAMED;
}

/* A first level that wildcards leave alone. */
static bool is_dollar(const struct sl_mqtt_level *l)
{
	return l->kind == SL_MQTT_LITERAL && l->text.len && l->text.p[0] == '$';
}

/*
 * A filter for comparing with another. No name is empty, so "#" is "+/#" and "/#" is "/+/#": with
 * that '+' in its place, two filters compare level by level.
 */
struct view {
	const struct sl_mqtt_filter *f;
	uint32_t plus; /* where it goes; f->cnt: nowhere */
	uint32_t cnt;
};

static struct view view_of(const struct sl_mqtt_filter *f)
{
	struct view v = {.f = f, .plus = f->cnt, .cnt = f->cnt};

	if (f->level[0].kind == SL_MQTT_HASH)
		v.plus = 0;
	else if (f->cnt == 2 && f->level[0].kind == SL_MQTT_LITERAL && f->level[0].text.len == 0 &&
		 f->level[1].kind == SL_MQTT_HASH)
		v.plus = 1;
	v.cnt += v.plus < f->cnt;
	return v;
}

static const struct sl_mqtt_level *at(const struct view *v, uint32_t i)
{
	static const struct sl_mqtt_level plus = {.kind = SL_MQTT_PLUS};

	return i == v->plus ? &plus : &v->f->level[i - (i > v->plus)];
}

static bool is_hash(const struct view *v, uint32_t i)
{
	return i < v->cnt && at(v, i)->kind == SL_MQTT_HASH;
}

bool sl_mqtt_filter_shadows(const struct sl_mqtt_filter *earlier,
			    const struct sl_mqtt_filter *later)
{
	struct view e = view_of(earlier), l = view_of(later);

	if (is_dollar(at(&l, 0)) && at(&e, 0)->kind != SL_MQTT_LITERAL)
		return false;
	for (uint32_t i = 0;; i++) {
		if (is_hash(&e, i))
			return true;
		if (i == e.cnt || i == l.cnt)
			return e.cnt == l.cnt;
		if (is_hash(&l, i))
			return false;
		if (is_one(at(&e, i)))
			continue;
		if (is_one(at(&l, i)) || !same(at(&e, i)->text, at(&l, i)->text))
			return false;
	}
}

bool sl_mqtt_filter_overlaps(const struct sl_mqtt_filter *a, const struct sl_mqtt_filter *b)
{
	struct view x = view_of(a), y = view_of(b);

	if ((is_dollar(at(&x, 0)) && at(&y, 0)->kind != SL_MQTT_LITERAL) ||
	    (is_dollar(at(&y, 0)) && at(&x, 0)->kind != SL_MQTT_LITERAL))
		return false;
	for (uint32_t i = 0;; i++) {
		if (is_hash(&x, i) || is_hash(&y, i))
			return true;
		if (i == x.cnt || i == y.cnt)
			return x.cnt == y.cnt;
		if (!is_one(at(&x, i)) && !is_one(at(&y, i)) &&
		    !same(at(&x, i)->text, at(&y, i)->text))
			return false;
	}
}
