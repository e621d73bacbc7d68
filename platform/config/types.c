/* SPDX-License-Identifier: Apache-2.0 */
/* Types of values: numbers, words, names, paths. Those of networks and CPUs: types_net.c. */
#include <errno.h>
#include <stdio.h>

#include "platform/config/keys.h"
#include "platform/config/values.h"

/* ---- shared ---------------------------------------------------------------------------------- */

void sl_key_wrong(struct sl_load *l, const struct sl_key *k, const struct sl_node *n,
		  const char *why)
{
	char words[256] = "";

	if (k->choices && k->type != &SL_T_ENUM && k->type != &SL_T_WORD) {
		snprintf(words, sizeof(words), " or ");
		sl_key_choices_text(k->choices, words + 4, sizeof(words) - 4);
	}
	sl_err_value(l, n, "'%.*s'%s%s: must be %s%s", (int)SL_MIN(n->len, 80u), n->text,
		     why ? " " : "", why ? why : " is not valid here", k->type->wants, words);
}

void sl_key_refuse(struct sl_load *l, const struct sl_key *k, const struct sl_node *n, int err)
{
	sl_key_wrong(l, k, n, err == -ERANGE ? "is too large" : NULL);
}

bool sl_key_in_range(struct sl_load *l, const struct sl_key *k, const struct sl_node *n, int64_t v)
{
	char lo[SL_VALUE_TEXT_MAX], hi[SL_VALUE_TEXT_MAX];

	if (k->max == 0 || (v >= k->min && v <= k->max))
		return true;
	k->type->text(k->min, lo);
	k->type->text(k->max, hi);
	if (v < k->min && k->max == INT64_MAX)
		sl_err_value(l, n, "%s is too small (at least %s)", n->text, lo);
	else if (v < k->min)
		sl_err_value(l, n, "%s is too small (%s to %s)", n->text, lo, hi);
	else
		sl_err_value(l, n, "%s is too large (%s to %s)", n->text, lo, hi);
	return false;
}

void sl_key_choices_text(const struct sl_choice *choices, char *buf, size_t cap)
{
	size_t used = 0;

	buf[0] = '\0';
	for (const struct sl_choice *c = choices; c->name; c++) {
		if (c->later)
			continue;
		snprintf(buf + used, cap - used, "%s%s", used ? ", " : "", c->name);
		used = strlen(buf);
	}
}

bool sl_key_choice(struct sl_load *l, const struct sl_choice *choices, struct sl_node *n,
		   int64_t *ret)
{
	char have[256];

	for (const struct sl_choice *c = choices; c && c->name; c++) {
		if (strcmp(c->name, n->text))
			continue;
		if (!c->later) {
			*ret = c->value;
			return true;
		}
		sl_key_choices_text(choices, have, sizeof(have));
		sl_err_value(l, n, "'%s' is not in this version (have: %s)", n->text, have);
		n->bad = true;
	}
	return false;
}

static void store_int(const struct sl_key *k, void *dst, int64_t v)
{
	SL_ASSERT(k->size <= sizeof(v)); /* little-endian: the low bytes are the value */
	memcpy(dst, &v, k->size);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void set_number(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst,
		       int rc, int64_t v)
{
	int64_t word;

	if (rc < 0 && sl_key_choice(l, k->choices, n, &word))
		store_int(k, dst, word);
	else if (rc < 0 && !n->bad)
		sl_key_refuse(l, k, n, rc);
	else if (rc == 0 && sl_key_in_range(l, k, n, v))
		store_int(k, dst, k->scale ? v / (int64_t)k->scale : v);
}

static void set_int(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	int64_t v = 0;
	int rc = sl_value_int(n->text, &v);

	set_number(l, k, n, dst, rc, v);
}

static void set_size(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	uint64_t v = 0;
	int rc = sl_value_size(n->text, &v);

	if (rc == 0 && v > INT64_MAX)
		rc = -ERANGE;
	if (rc == -ENOENT)
		sl_key_wrong(l, k, n, "has an unknown unit (B, KiB, MiB, GiB, TiB)");
	else
		set_number(l, k, n, dst, rc, (int64_t)v);
}

static void set_duration(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	char unit[SL_VALUE_TEXT_MAX];
	uint64_t v = 0;
	int rc = sl_value_duration(n->text, &v);

	if (rc == 0 && v > INT64_MAX)
		rc = -ERANGE;
	if (rc == -ENOENT) {
		sl_key_wrong(l, k, n, "needs a unit (us, ms, s, m, h, d)");
	} else if (rc == 0 && v % k->scale) {
		sl_value_duration_text(k->scale, unit);
		sl_err_value(l, n, "%s is finer than %s", n->text, unit);
	} else {
		set_number(l, k, n, dst, rc, (int64_t)v);
	}
}

static void set_share(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	struct sl_cfg_size out = {0};
	int rc;

	if (strchr(n->text, '%')) {
		rc = sl_value_percent(n->text, &out.fraction);
		if (rc == -ERANGE)
			sl_err_value(l, n, "%s is too large (0%% to 100%%)", n->text);
		else if (rc < 0)
			sl_key_refuse(l, k, n, rc);
		else if (out.fraction <= 0 && k->min > 0)
			sl_err_value(l, n, "%s is too small: it must leave room for a log",
				     n->text);
		else
			memcpy(dst, &out, sizeof(out));
		return;
	}
	rc = sl_value_size(n->text, &out.bytes);
	if (rc == -ENOENT)
		sl_key_wrong(l, k, n, "has an unknown unit (%, B, KiB, MiB, GiB, TiB)");
	else if (rc == 0 && out.bytes > 0 && out.bytes <= 100)
		sl_key_wrong(l, k, n, "is a number of bytes: a share has a %");
	else if (rc < 0 || out.bytes > INT64_MAX)
		sl_key_refuse(l, k, n, rc < 0 ? rc : -ERANGE);
	else if (sl_key_in_range(l, k, n, (int64_t)out.bytes))
		memcpy(dst, &out, sizeof(out));
}

static void int_text(int64_t v, char *buf)
{
	snprintf(buf, SL_VALUE_TEXT_MAX, "%lld", (long long)v);
}

static void size_text(int64_t v, char *buf)
{
	sl_value_size_text((uint64_t)v, buf);
}

static void duration_text(int64_t v, char *buf)
{
	sl_value_duration_text((uint64_t)v, buf);
}

const struct sl_key_type SL_T_INT = {"number", "a whole number", false, set_int, int_text};
const struct sl_key_type SL_T_SIZE = {"size", "a size such as 64MiB or a number of bytes", false,
				      set_size, size_text};
const struct sl_key_type SL_T_DURATION = {"time", "a time such as 5ms, 10s or 7d", false,
					  set_duration, duration_text};
const struct sl_key_type SL_T_SHARE = {"share", "a share such as 70% or a size such as 10GiB",
				       false, set_share, size_text};

/* ---- words ----------------------------------------------------------------------------------- */

static void set_bool(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	bool yes = !strcmp(n->text, "true");

	if (yes || !strcmp(n->text, "false"))
		store_int(k, dst, yes);
	else
		sl_key_wrong(l, k, n, NULL);
}

static void wrong_word(struct sl_load *l, const struct sl_key *k, const struct sl_node *n)
{
	char have[256];

	sl_key_choices_text(k->choices, have, sizeof(have));
	sl_err_value(l, n, "'%.*s' is not one of: %s", (int)SL_MIN(n->len, 80u), n->text, have);
}

static void set_enum(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	int64_t v;

	if (sl_key_choice(l, k->choices, n, &v))
		store_int(k, dst, v);
	else if (!n->bad)
		wrong_word(l, k, n);
}

/* True if n fits and holds only what `ok` lets pass; copied then. */
static bool take_text(struct sl_load *l, const struct sl_key *k, const struct sl_node *n, void *dst,
		      bool (*ok)(char c))
{
	size_t max = k->max ? (size_t)k->max : k->size - 1;

	if (n->len > max) {
		sl_err_value(l, n, "longer than %zu bytes", max);
		return false;
	}
	for (uint32_t i = 0; i < n->len; i++) {
		if (!ok(n->text[i])) {
			sl_key_wrong(l, k, n, NULL);
			return false;
		}
	}
	if (n->len == 0) {
		sl_err_value(l, n, "is empty: must be %s", k->type->wants);
		return false;
	}
	memcpy(dst, n->text, n->len + 1);
	return true;
}

static bool printable(char c)
{
	return c > ' ' && c < 0x7f && c != '/';
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool path_char(char c)
{
	return (uint8_t)c >= ' ' && c != 0x7f;
}

static void set_word(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	int64_t v;

	if (!k->choices)
		take_text(l, k, n, dst, printable);
	else if (sl_key_choice(l, k->choices, n, &v))
		take_text(l, k, n, dst, printable);
	else if (!n->bad)
		wrong_word(l, k, n);
}

static bool dots(const char *s)
{
	return !strcmp(s, ".") || !strcmp(s, "..");
}

static void set_name(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	if (dots(n->text))
		sl_key_wrong(l, k, n, NULL);
	else
		take_text(l, k, n, dst, name_char);
}

static void set_topic(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	if (!sl_topic_name_valid(n->text, n->len))
		sl_key_wrong(l, k, n, NULL);
	else if (sl_topic_name_internal(n->text, n->len))
		sl_err_value(l, n, "'%s' is Kafka's own topic", n->text);
	else
		memcpy(dst, n->text, n->len + 1);
}

static void set_path(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	if (n->text[0] != '/')
		sl_key_wrong(l, k, n, NULL);
	else
		take_text(l, k, n, dst, path_char);
}

const struct sl_key_type SL_T_BOOL = {"true, false", "true or false", false, set_bool, NULL};
const struct sl_key_type SL_T_ENUM = {"word", "one word", false, set_enum, NULL};
const struct sl_key_type SL_T_WORD = {"word", "one word of printable characters without '/'", false,
				      set_word, NULL};
const struct sl_key_type SL_T_NAME = {"name", "1 to 63 of letters, digits, '.', '_' and '-'", false,
				      set_name, NULL};
const struct sl_key_type SL_T_TOPIC = {
	"topic", "a topic name: 1 to 249 of letters, digits, '.', '_' and '-'", false, set_topic,
	NULL};
const struct sl_key_type SL_T_PATH = {"path", "an absolute path", false, set_path, NULL};
