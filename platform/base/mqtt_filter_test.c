/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every example of MQTT 5, 4.7.1 to 4.7.3, as a row; what a rule's author can get wrong, with its
 * place; and all three questions (matches, shadows, overlaps) against plain definitions of them.
 */
#include "platform/base/mqtt_filter.h"

#include <errno.h>

#include "platform/base/sl_test.h"

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static struct sl_mqtt_filter *compiled(const char *s, enum sl_mqtt_use use)
{
	struct sl_text_err e = {0};
	struct sl_mqtt_filter *f = NULL;

	if (sl_mqtt_filter_new(s, use, &f, &e))
		fail_msg("%s: %s", s, e.why);
	return f;
}

static bool matches(const char *filter, const char *name)
{
	struct sl_mqtt_filter *f = compiled(filter, SL_MQTT_RULE);
	struct sl_mqtt_name n;
	bool yes;

	assert_int_equal(sl_mqtt_name_split(text(name), &n), 0);
	yes = sl_mqtt_filter_matches(f, &n);
	sl_mqtt_filter_free(f);
	return yes;
}

/* ---- the specification's own examples -------------------------------------------------------- */

static const struct {
	const char *filter, *name;
	bool yes;
} SPEC[] = {
	/* 4.7.1.2 the multi-level wildcard */
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/#", "sport", true},
	{"#", "sport", true},
	{"#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/#", "sport/tennis/player1", true},
	/* 4.7.1.3 the single-level wildcard */
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player2", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"+", "sport", true},
	{"+/tennis/#", "sport/tennis", true},
	{"+/tennis/#", "sport/tennis/player1", true},
	{"sport/+/player1", "sport/tennis/player1", true},
	{"sport/+/player1", "sport/tennis/player2", false},
	{"+/+", "/finance", true},
	{"/+", "/finance", true},
	{"+", "/finance", false},
	/* 4.7.2 names that begin with $ */
	{"#", "$SYS/monitor/Clients", false},
	{"+/monitor/Clients", "$SYS/monitor/Clients", false},
	{"$SYS/#", "$SYS/monitor/Clients", true},
	{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	{"sport/#", "sport/$SYS", true},
	{"sport/+", "sport/$SYS", true},
	/* 4.7.3 semantics: case, blanks, leading and trailing '/', a name of '/' alone */
	{"ACCOUNTS", "Accounts", false},
	{"Accounts payable", "Accounts payable", true},
	{"finance", "/finance", false},
	{"/finance", "finance", false},
	{"finance/", "finance", false},
	{"finance", "finance", true},
	{"/", "/", true},
	{"+/+", "/", true},
	{"#", "/", true},
	{"/#", "/", true},
	/* what they leave out */
	{"a//b", "a//b", true},
	{"a/+/b", "a//b", true},
	{"a//b", "a/b", false},
	{"a/#", "a/", true},
	{"a/#", "ab", false},
	{"a/+/#", "a", false},
	{"a/+/#", "a/b", true},
	{"+/#", "a", true},
	{"\xc3\xa4/+", "\xc3\xa4/\xe2\x82\xac", true},
	/* a named level is one level, and a wildcard for 4.7.2 */
	{"factory/{line}/+/state", "factory/l1/press/state", true},
	{"factory/{line}/+/state", "factory/l1/press/state/x", false},
	{"{site}/#", "$SYS/x", false},
	{"{site}/#", "berlin", true},
};

static void specification(void **state)
{
	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(SPEC); i++) {
		if (matches(SPEC[i].filter, SPEC[i].name) != SPEC[i].yes)
			fail_msg("%s, %s: not %d", SPEC[i].filter, SPEC[i].name, SPEC[i].yes);
	}
}

/* ---- names ----------------------------------------------------------------------------------- */

static int split(const void *p, size_t len)
{
	struct sl_mqtt_name n;

	return sl_mqtt_name_split((struct sl_slice){p, (uint32_t)len}, &n);
}

static void names(void **state)
{
	static const char *const bad[] = {"+",        "a/+",          "#", "a/#/b", "a+", "\xff",
					  "a/\xc3/b", "\xed\xa0\x80", /* a surrogate */
					  "\xc0\x80"};
	char *longest = malloc(SL_MQTT_TEXT_MAX + 1);
	struct sl_mqtt_name n;

	(void)state;
	assert_int_equal(split("", 0), -EINVAL);
	assert_int_equal(split(NULL, 0), -EINVAL);
	assert_int_equal(split("a\0b", 3), -EINVAL);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(split(bad[i], strlen(bad[i])), -EINVAL);
	memset(longest, 'x', SL_MQTT_TEXT_MAX + 1);
	assert_int_equal(split(longest, SL_MQTT_TEXT_MAX), 0);
	assert_int_equal(split(longest, SL_MQTT_TEXT_MAX + 1), -EINVAL);
	memset(longest, '/', SL_MQTT_LEVELS_MAX);
	assert_int_equal(split(longest, SL_MQTT_LEVELS_MAX - 1), 0);
	assert_int_equal(split(longest, SL_MQTT_LEVELS_MAX), -E2BIG);
	free(longest);

	assert_int_equal(sl_mqtt_name_split(text("/ab//c"), &n), 0);
	assert_int_equal(n.cnt, 4);
	assert_int_equal(sl_mqtt_name_level(&n, 0).len, 0);
	assert_memory_equal(sl_mqtt_name_level(&n, 1).p, "ab", 2);
	assert_int_equal(sl_mqtt_name_level(&n, 1).len, 2);
	assert_int_equal(sl_mqtt_name_level(&n, 2).len, 0);
	assert_int_equal(sl_mqtt_name_level(&n, 3).len, 1);
	assert_int_equal(sl_mqtt_name_rest(&n, 1).len, 5);
	assert_memory_equal(sl_mqtt_name_rest(&n, 1).p, "ab//c", 5);
	assert_int_equal(sl_mqtt_name_rest(&n, 4).len, 0);
	assert_non_null(sl_mqtt_name_rest(&n, 4).p);
}

/* ---- filters that are none ------------------------------------------------------------------- */

static void refused(const char *s, enum sl_mqtt_use use, uint32_t pos, uint32_t len,
		    const char *says)
{
	struct sl_text_err e = {0};
	struct sl_mqtt_filter *f = NULL;
	int rc = sl_mqtt_filter_new(s, use, &f, &e);

	if (rc != -EINVAL || e.pos != pos || e.len != len || !strstr(e.why, says))
		fail_msg("%s: %d at %u, %u: %s", s, rc, e.pos, e.len, e.why);
	assert_null(f);
	assert_int_equal(sl_mqtt_filter_new(s, use, &f, NULL), -EINVAL);
}

static void mistakes(void **state)
{
	char deep[2 * SL_MQTT_LEVELS_MAX + 2] = "";

	(void)state;
	refused("", SL_MQTT_RULE, 0, 0, "is empty");
	refused("sport/tennis#", SL_MQTT_RULE, 12, 1, "'#' must be a level of its own");
	refused("sport/tennis/#/ranking", SL_MQTT_RULE, 13, 1, "'#' must be the last level");
	refused("#/a", SL_MQTT_RULE, 0, 1, "last level");
	refused("sport+", SL_MQTT_RULE, 5, 1, "'+' must be a level of its own");
	refused("a/b+c/d", SL_MQTT_RULE, 3, 1, "'+' must be");
	refused("a/##", SL_MQTT_RULE, 2, 1, "'#' must be a level of its own");
	refused("a/+#", SL_MQTT_RULE, 2, 1, "'+' must be a level of its own");
	refused("a/\xff/b", SL_MQTT_RULE, 2, 1, "not UTF-8");
	refused("a/{}/b", SL_MQTT_RULE, 2, 2, "'{}' has no name");
	refused("a/{1}/b", SL_MQTT_RULE, 2, 3, "begins with a letter");
	refused("a/{li ne}/b", SL_MQTT_RULE, 2, 7, "letters, digits");
	refused("a/{x}/{x}", SL_MQTT_RULE, 6, 3, "twice");
	refused("{topic}/a", SL_MQTT_RULE, 0, 7, "meaning of its own");
	refused("a/{client}", SL_MQTT_RULE, 2, 8, "meaning of its own");
	refused("a/x{line}/b", SL_MQTT_RULE, 2, 7, "a placeholder is a level of its own");
	refused("a/{x}{y}/b", SL_MQTT_RULE, 2, 6, "a placeholder is a level of its own");
	refused("a/{line/b", SL_MQTT_RULE, 2, 1, "'{' without its '}'");
	refused("a/line}/b", SL_MQTT_RULE, 6, 1, "'}' without its '{'");
	refused("$share/g/a", SL_MQTT_RULE, 0, 6, "$share");
	refused("$share/g", SL_MQTT_SUBSCRIPTION, 0, 8, "$share/GROUP/FILTER");
	refused("$share//a", SL_MQTT_SUBSCRIPTION, 0, 9, "$share/GROUP/FILTER");
	refused("$share/g/", SL_MQTT_SUBSCRIPTION, 0, 9, "$share/GROUP/FILTER");
	refused("$share/a+/b", SL_MQTT_SUBSCRIPTION, 8, 1, "no wildcards");
	refused("a/{line}/b", SL_MQTT_SUBSCRIPTION, 2, 6, "belong into mqtt.map");
	refused("a/b#", SL_MQTT_SUBSCRIPTION, 3, 1, "level of its own");
	for (int i = 0; i < SL_MQTT_LEVELS_MAX; i++)
		strcat(deep, "a/");
	refused(deep, SL_MQTT_RULE, 2 * SL_MQTT_LEVELS_MAX, 0, "more than 256 levels");
	deep[2 * SL_MQTT_LEVELS_MAX - 1] = '\0';
	sl_mqtt_filter_free(compiled(deep, SL_MQTT_RULE));
	sl_mqtt_filter_free(NULL);
}

static void levels(void **state)
{
	struct sl_mqtt_filter *f = compiled("a/{line}/+//#", SL_MQTT_RULE);
	static const enum sl_mqtt_kind want[] = {SL_MQTT_LITERAL, SL_MQTT_NAMED, SL_MQTT_PLUS,
						 SL_MQTT_LITERAL, SL_MQTT_HASH};

	(void)state;
	assert_int_equal(sl_mqtt_filter_depth(f), 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(sl_mqtt_filter_level(f, i)->kind, want[i]);
	assert_int_equal(sl_mqtt_filter_level(f, 1)->text.len, 4);
	assert_memory_equal(sl_mqtt_filter_level(f, 1)->text.p, "line", 4);
	assert_int_equal(sl_mqtt_filter_level(f, 3)->text.len, 0);
	sl_mqtt_filter_free(f);

	/* braces that are no placeholder mean nothing to a broker; $share is taken off */
	f = compiled("$share/g/a/{x y}/+", SL_MQTT_SUBSCRIPTION);
	assert_int_equal(sl_mqtt_filter_depth(f), 3);
	assert_int_equal(sl_mqtt_filter_level(f, 1)->kind, SL_MQTT_LITERAL);
	sl_mqtt_filter_free(f);
}

static void variables(void **state)
{
	struct sl_mqtt_filter *f = compiled("a/{line}/+/{m}/#", SL_MQTT_RULE);
	static const char *const want[] = {"topic", "client", "line", "m", "0"};
	static const char *const values[] = {"l1", "m1", "x/y"};
	struct sl_tpl_var vars[SL_MQTT_VARS_MAX];
	uint16_t level[SL_MQTT_LEVELS_MAX];
	struct sl_mqtt_name n;

	(void)state;
	assert_int_equal(sl_mqtt_rule_vars(f, vars, level), SL_ARRAY_SIZE(want));
	assert_int_equal(sl_mqtt_name_split(text("a/l1/q/m1/x/y"), &n), 0);
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(want); i++) {
		assert_int_equal(vars[i].name.len, strlen(want[i]));
		assert_memory_equal(vars[i].name.p, want[i], vars[i].name.len);
		assert_false(vars[i].param);
	}
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(values); i++) {
		struct sl_slice v = sl_mqtt_rule_value(f, level[i], &n);
		assert_int_equal(v.len, strlen(values[i]));
		assert_memory_equal(v.p, values[i], v.len);
	}
	assert_int_equal(sl_mqtt_name_split(text("a/l1/q/m1"), &n), 0); /* '#' matched nothing */
	assert_int_equal(sl_mqtt_rule_value(f, level[2], &n).len, 0);
	sl_mqtt_filter_free(f);
}

/* ---- against plain definitions --------------------------------------------------------------- */

/* The specification's words, over strings, with nothing prepared. */
static bool plain_match(const char *f, const char *n, bool first)
{
	size_t fl = strcspn(f, "/"), nl = strcspn(n, "/");

	if (first && n[0] == '$' && (f[0] == '+' || f[0] == '#'))
		return false;
	if (f[0] == '#')
		return true;
	if (!(fl == 1 && f[0] == '+') && (fl != nl || memcmp(f, n, fl) != 0))
		return false;
	if (f[fl] && n[nl])
		return plain_match(f + fl + 1, n + nl + 1, false);
	if (!f[fl] && !n[nl])
		return true;
	return !n[nl] && strcmp(f + fl, "/#") == 0;
}

/* Levels that filters are made of, and those of names: 'z' stands for all that no filter has. */
static const char *const PARTS[] = {"a", "b", "", "$s", "+", "+", "#"};
static const char *const WORDS[] = {"a", "b", "", "$s", "z"};
#define FILTER_DEPTH 3
#define NAME_DEPTH   4

static void draw_filter(struct sl_rng *r, char *out)
{
	uint32_t depth = 1 + sl_rng_below(r, FILTER_DEPTH);

	out[0] = '\0';
	for (uint32_t i = 0; i < depth; i++) {
		bool last = i + 1 == depth;
		const char *p = PARTS[sl_rng_below(r, SL_ARRAY_SIZE(PARTS) - !last)];
		strcat(strcat(out, i ? "/" : ""), p);
	}
	if (!out[0])
		strcpy(out, "a");
}

/* The i-th name of up to NAME_DEPTH levels; false: there is none. */
static bool nth_name(uint32_t i, char *out)
{
	uint32_t depth = 1 + i % NAME_DEPTH;

	i /= NAME_DEPTH;
	out[0] = '\0';
	for (uint32_t k = 0; k < depth; k++, i /= SL_ARRAY_SIZE(WORDS))
		strcat(strcat(out, k ? "/" : ""), WORDS[i % SL_ARRAY_SIZE(WORDS)]);
	return out[0] != '\0';
}
#define NAMES (NAME_DEPTH * 625u)

static void compare(const char *one, const char *two, struct sl_mqtt_name *all, char (*str)[32])
{
	struct sl_mqtt_filter *a = compiled(one, SL_MQTT_RULE), *b = compiled(two, SL_MQTT_RULE);
	bool shadows = true, overlaps = false;

	for (uint32_t i = 0; i < NAMES; i++) {
		if (!str[i][0])
			continue;
		bool in_a = sl_mqtt_filter_matches(a, &all[i]);
		bool in_b = sl_mqtt_filter_matches(b, &all[i]);
		if (in_a != plain_match(one, str[i], true))
			fail_msg("%s, %s: %d", one, str[i], in_a);
		shadows &= in_a || !in_b;
		overlaps |= in_a && in_b;
	}
	if (sl_mqtt_filter_shadows(a, b) != shadows)
		fail_msg("%s before %s: shadows is not %d", one, two, shadows);
	if (sl_mqtt_filter_overlaps(a, b) != overlaps || sl_mqtt_filter_overlaps(b, a) != overlaps)
		fail_msg("%s and %s: overlaps is not %d", one, two, overlaps);
	sl_mqtt_filter_free(a);
	sl_mqtt_filter_free(b);
}

static void definitions(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	struct sl_mqtt_name *all = calloc(NAMES, sizeof(*all));
	char(*str)[32] = calloc(NAMES, sizeof(*str)), one[64], two[64];

	(void)state;
	for (uint32_t i = 0; i < NAMES; i++) {
		if (nth_name(i, str[i]))
			assert_int_equal(sl_mqtt_name_split(text(str[i]), &all[i]), 0);
	}
	compare("+/#", "#", all, str);
	compare("#", "+/#", all, str);
	compare("#", "$s/#", all, str);
	for (int round = 0; round < 1500; round++) {
		draw_filter(&r, one);
		draw_filter(&r, two);
		compare(one, two, all, str);
	}
	free(all);
	free(str);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specification), cmocka_unit_test(names),
		cmocka_unit_test(mistakes),      cmocka_unit_test(levels),
		cmocka_unit_test(variables),     cmocka_unit_test(definitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
