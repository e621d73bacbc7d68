/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/template.h"

#include <errno.h>

#include "platform/base/sl_test.h"
#include "platform/base/tpl_vars.h"

static const struct sl_tpl_var VARS[] = {
	SL_TPL_VAR("key", false),
	SL_TPL_VAR("gone", false),
	SL_TPL_VAR("header", true),
};

static struct sl_tpl *compiled(const char *text)
{
	struct sl_text_err e = {0};
	struct sl_tpl *t = NULL;

	if (sl_tpl_new(text, VARS, SL_ARRAY_SIZE(VARS), &t, &e))
		fail_msg("%s: %s", text, e.why);
	return t;
}

/* {key}: what arg is; {gone}: none; {header:NAME}: the name itself. */
static struct sl_slice value(void *arg, uint32_t var, struct sl_slice param)
{
	const char *key = arg;

	if (var == 0)
		return (struct sl_slice){(const uint8_t *)key, (uint32_t)strlen(key)};
	return var == 2 ? param : (struct sl_slice){NULL, 0};
}

static int fill(const char *text, const char *key, char *buf, uint32_t cap)
{
	struct sl_tpl *t = compiled(text);
	char arg[64];
	uint32_t len = UINT32_MAX;
	int rc;

	strcpy(arg, key);
	rc = sl_tpl_fill(t, value, arg, buf, cap, &len);
	if (len != UINT32_MAX)
		buf[len] = '\0';
	sl_tpl_free(t);
	return rc;
}

static void filled(void **state)
{
	static const struct {
		const char *text, *key, *want;
	} rows[] = {
		{"", "k", ""},
		{"plain", "k", "plain"},
		{"{key}", "k1", "k1"},
		{"{key}", "", ""},
		{"devices/{key}/cmd", "k1", "devices/k1/cmd"},
		{"{key}{key}", "ab", "abab"},
		{"{{{key}}}", "x", "{x}"},
		{"{{key}}", "x", "{key}"},
		{"}}{{", "x", "}{"},
		{"a{header:trace id}b", "x", "atrace idb"},
		{"{header::}", "x", ":"},
		{"{key}", "{key}", "{key}"}, /* a value is not looked at */
	};
	char buf[65];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		assert_int_equal(fill(rows[i].text, rows[i].key, buf, 64), 0);
		assert_string_equal(buf, rows[i].want);
	}
	sl_tpl_free(NULL);
}

static void missing(void **state)
{
	char buf[65] = "";

	(void)state;
	assert_int_equal(fill("a{gone}", "k", buf, 64), -ENODATA);
}

static void too_long(void **state)
{
	char buf[16] = "";

	(void)state;
	assert_int_equal(fill("ab{key}", "cd", buf, 4), 0);
	assert_string_equal(buf, "abcd");
	assert_int_equal(fill("ab{key}", "cde", buf, 4), -ENOSPC);
	assert_string_equal(buf, "abcd");
	assert_int_equal(fill("ab{key}x", "", buf, 2), -ENOSPC);
	assert_string_equal(buf, "ab");
	assert_int_equal(fill("x", "", buf, 0), -ENOSPC);
	assert_string_equal(buf, "");
	/* never half a character; what is none is cut anywhere */
	assert_int_equal(fill("{key}", "a\xe2\x82\xac", buf, 2), -ENOSPC);
	assert_string_equal(buf, "a");
	assert_int_equal(fill("{key}", "a\xe2\x82\xac", buf, 3), -ENOSPC);
	assert_string_equal(buf, "a");
	assert_int_equal(fill("{key}", "\xf0\x9f\x98\x80", buf, 3), -ENOSPC);
	assert_string_equal(buf, "");
	assert_int_equal(fill("{key}",
			      "a\xe2\x82\xac"
			      "b",
			      buf, 4),
			 -ENOSPC);
	assert_string_equal(buf, "a\xe2\x82\xac");
	assert_int_equal(fill("{key}", "\x80\x80\x80\x80\x80", buf, 4), -ENOSPC);
	assert_int_equal(strlen(buf), 4);
}

static void refused(const char *text, uint32_t pos, uint32_t len, const char *says)
{
	struct sl_text_err e = {0};
	struct sl_tpl *t = NULL;
	int rc = sl_tpl_new(text, VARS, SL_ARRAY_SIZE(VARS), &t, &e);

	if (rc != -EINVAL || e.pos != pos || e.len != len || !strstr(e.why, says))
		fail_msg("%s: %d at %u, %u: %s", text, rc, e.pos, e.len, e.why);
	assert_null(t);
	assert_int_equal(sl_tpl_new(text, VARS, SL_ARRAY_SIZE(VARS), &t, NULL), -EINVAL);
}

static void mistakes(void **state)
{
	char longest[SL_TPL_TEXT_MAX + 2];
	struct sl_text_err e;
	struct sl_tpl *t;

	(void)state;
	refused("a/{lien}/b", 2, 6,
		"'{lien}' is not known here (have: {key}, {gone}, "
		"{header:NAME})");
	refused("{}", 0, 2, "'{}' is not known");
	refused("{Key}", 0, 5, "is not known");
	refused("a{key", 1, 1, "'{' without its '}'");
	refused("a{", 1, 1, "'{' without its '}'");
	refused("{ke{y}", 0, 1, "'{' without its '}'");
	refused("key}", 3, 1, "'}' without its '{'");
	refused("{{key}", 5, 1, "'}' without its '{'");
	refused("{key:x}", 0, 7, "takes nothing behind a ':'");
	refused("{key:}", 0, 6, "takes nothing behind a ':'");
	refused("{header}", 0, 8, "{header} needs a name: {header:NAME}");
	refused("{header:}", 0, 9, "needs a name");
	assert_int_equal(sl_tpl_new("{x}", NULL, 0, &t, &e), -EINVAL);
	assert_non_null(strstr(e.why, "(have: none)"));
	memset(longest, '{', sizeof(longest));
	longest[SL_TPL_TEXT_MAX] = '\0';
	t = compiled(longest);
	assert_int_equal(sl_tpl_cnt(t), SL_TPL_TEXT_MAX / 2);
	sl_tpl_free(t);
	longest[SL_TPL_TEXT_MAX] = 'x';
	longest[SL_TPL_TEXT_MAX + 1] = '\0';
	refused(longest, 0, 0, "longer than 4096 bytes");
}

static void pieces(void **state)
{
	struct sl_tpl *t = compiled("ab{{{key}/{header:x}");
	static const struct {
		int32_t var;
		uint32_t pos, len;
	} want[] = {{-1, 0, 2}, {-1, 2, 2}, {0, 4, 5}, {-1, 9, 1}, {2, 10, 10}};

	(void)state;
	assert_int_equal(sl_tpl_cnt(t), SL_ARRAY_SIZE(want));
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(want); i++) {
		assert_int_equal(sl_tpl_piece(t, i)->var, want[i].var);
		assert_int_equal(sl_tpl_piece(t, i)->pos, want[i].pos);
		assert_int_equal(sl_tpl_piece(t, i)->len, want[i].len);
	}
	assert_int_equal(sl_tpl_piece(t, 1)->text.len, 1);
	assert_false(sl_tpl_is_constant(t));
	sl_tpl_free(t);
	t = compiled("a}}b");
	assert_true(sl_tpl_is_constant(t));
	sl_tpl_free(t);
}

static int destination(const char *text, const char *topic, char *name)
{
	struct sl_tpl *t = NULL;
	int rc;

	assert_int_equal(sl_tpl_new(text, SL_DEST_VARS, SL_DEST_CNT, &t, NULL), 0);
	rc = sl_dest_topic(t, "gw-01", topic, name);
	sl_tpl_free(t);
	return rc;
}

static void destinations(void **state)
{
	char name[SL_TOPIC_NAME_MAX + 1] = "untouched", longest[SL_TOPIC_NAME_MAX + 2] = "";

	(void)state;
	assert_int_equal(destination("a/{topic}", "logs", name), -EINVAL);
	assert_int_equal(destination("__consumer_{topic}", "offsets", name), -EINVAL);
	memset(longest, 'x', SL_TOPIC_NAME_MAX);
	assert_int_equal(destination("{topic}y", longest, name), -EINVAL);
	assert_string_equal(name, "untouched");
	assert_int_equal(destination("{topic}", longest, name), 0);
	assert_string_equal(name, longest);
	assert_int_equal(destination("{gateway}.{topic}", "logs", name), 0);
	assert_string_equal(name, "gw-01.logs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled),   cmocka_unit_test(missing),
		cmocka_unit_test(too_long), cmocka_unit_test(mistakes),
		cmocka_unit_test(pieces),   cmocka_unit_test(destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
