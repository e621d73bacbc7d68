/* SPDX-License-Identifier: Apache-2.0 */
/* downlink_msg_test.c - from a record to a command. */
#include "downlink_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/base/tpl_vars.h"

#define NOW 1700000000000

struct fix {
	struct sl_cfg_downlink rule;
	struct sl_tpl *tpl;
	struct sl_cursor_rec rec;
	struct sl_hdr hdr[100];
	struct sl_down_msg m;
};

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, s ? (uint32_t)strlen(s) : 0};
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	strcpy(f->rule.topic, "commands");
	f->rule.qos = 1;
	f->rec.hdr = f->hdr;
	f->rec.rec.ts = NOW - 1000;
	f->rec.rec.key = str("dev-7");
	f->rec.rec.value = str("reboot");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	sl_tpl_free(f->tpl);
	free(f);
	return 0;
}

static void add(struct fix *f, const char *name, const char *value)
{
	f->hdr[f->rec.rec.hdr_cnt++] = (struct sl_hdr){str(name), str(value)};
}

static enum sl_down_verdict make(struct fix *f, const char *tpl)
{
	struct sl_down_in in = {.rule = &f->rule, .rec = &f->rec, .partition = 3, .now_ms = NOW};
	sl_tpl_free(f->tpl);
	f->tpl = NULL;
	assert_int_equal(sl_tpl_new(tpl, SL_DOWN_VARS, SL_DOWN_CNT, &f->tpl, NULL), 0);
	in.tpl = f->tpl;
	return sl_down_msg_make(&in, &f->m);
}

static void test_topic(void **state)
{
	static const struct {
		const char *tpl, *key, *want; /* want NULL: bad */
	} t[] = {
		{"devices/{key}/cmd", "dev-7", "devices/dev-7/cmd"},
		{"{topic}/{partition}", NULL, "commands/3"},
		{"x/{header:to}", NULL, "x/there"},
		{"x/{header:none}", "k", NULL},
		{"devices/{key}", NULL, NULL},
		{"devices/{key}", "", "devices/"},
		{"{key}", "", NULL},
		{"devices/{key}", "a/b", "devices/a/b"},
		{"devices/{key}", "a+b", NULL},
		{"devices/{key}", "#", NULL},
		{"{key}", "$SYS/x", NULL},
		{"{key}", "\xff", NULL},
		{"{key}", "\xc3\xa9", "\xc3\xa9"},
	};
	struct fix *f = *state;

	add(f, "to", "nowhere");
	add(f, "to", "there"); /* the last one counts */
	for (size_t i = 0; i < SL_ARRAY_SIZE(t); i++) {
		f->rec.rec.key = str(t[i].key);
		enum sl_down_verdict v = make(f, t[i].tpl);
		assert_int_equal(v, t[i].want ? SL_DOWN_SEND : SL_DOWN_BAD);
		if (t[i].want)
			assert_string_equal(f->m.pub.topic, t[i].want);
		else
			assert_non_null(f->m.why);
	}
	f->rec.rec.key = (struct sl_slice){(const uint8_t *)"a\0b", 3};
	assert_int_equal(make(f, "{key}"), SL_DOWN_BAD);
}

static void test_topic_length(void **state)
{
	struct fix *f = *state;
	char *key = malloc(70001);
	memset(key, 'k', 70000);
	key[70000] = 0;
	f->rec.rec.key = (struct sl_slice){(const uint8_t *)key, 65535};
	assert_int_equal(make(f, "{key}"), SL_DOWN_SEND);
	assert_int_equal(strlen(f->m.pub.topic), 65535);
	f->rec.rec.key.len = 65536;
	assert_int_equal(make(f, "{key}"), SL_DOWN_BAD);
	f->rec.rec.key.len = 70000;
	assert_int_equal(make(f, "{key}"), SL_DOWN_BAD);
	free(key);
}

static void test_expiry(void **state)
{
	static const struct {
		uint64_t rule_ms;
		int64_t ts;
		const char *header;
		int want;
		uint32_t left_s;
	} t[] = {
		{0, NOW, NULL, SL_DOWN_SEND, 0},
		{0, -1, NULL, SL_DOWN_SEND, 0},
		{1000, NOW - 999, NULL, SL_DOWN_SEND, 1},
		{1000, NOW - 1000, NULL, SL_DOWN_EXPIRED, 0},
		{1001, NOW - 1000, NULL, SL_DOWN_SEND, 1},
		{60000, NOW, NULL, SL_DOWN_SEND, 60},
		{60000, -1, NULL, SL_DOWN_EXPIRED, 0}, /* no timestamp: as old as can be */
		{UINT64_MAX, NOW, NULL, SL_DOWN_SEND, 0},
		{1, NOW - 5000, "1700000002001", SL_DOWN_SEND, 3}, /* the header wins */
		{60000, NOW, "1700000000000", SL_DOWN_EXPIRED, 0},
		{60000, NOW, "0", SL_DOWN_EXPIRED, 0},
		{0, NOW, "999999999999999999", SL_DOWN_SEND, UINT32_MAX - 1},
		{0, NOW, "9999999999999999999", SL_DOWN_BAD, 0},
		{0, NOW, "", SL_DOWN_BAD, 0},
		{0, NOW, "soon", SL_DOWN_BAD, 0},
		{0, NOW, "-1", SL_DOWN_BAD, 0},
		{0, NOW, "1700000002001 ", SL_DOWN_BAD, 0},
	};
	struct fix *f = *state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(t); i++) {
		f->rule.expiry_ms = t[i].rule_ms;
		f->rec.rec.ts = t[i].ts;
		f->rec.rec.hdr_cnt = 0;
		if (t[i].header)
			add(f, "sluice.expires", t[i].header);
		assert_int_equal(make(f, "t"), t[i].want);
		if (t[i].want == SL_DOWN_SEND)
			assert_int_equal(f->m.pub.expiry_s, t[i].left_s);
	}
	f->rec.rec.hdr_cnt = 0;
	f->hdr[f->rec.rec.hdr_cnt++] = (struct sl_hdr){str("sluice.expires"), {NULL, 0}};
	assert_int_equal(make(f, "t"), SL_DOWN_BAD);
}

static void test_payload_and_flags(void **state)
{
	struct fix *f = *state;
	f->rule.qos = 2;
	f->rule.retain = true;
	assert_int_equal(make(f, "t"), SL_DOWN_SEND);
	assert_int_equal(f->m.pub.qos, 2);
	assert_true(f->m.pub.retain);
	assert_int_equal(f->m.pub.payload.len, 6);
	f->rec.rec.value = (struct sl_slice){NULL, 0}; /* clears what is retained */
	assert_int_equal(make(f, "t"), SL_DOWN_SEND);
	assert_int_equal(f->m.pub.payload.len, 0);
}

static void test_properties(void **state)
{
	struct fix *f = *state;

	assert_int_equal(make(f, "t"), SL_DOWN_SEND);
	assert_null(f->m.pub.response_topic.p);
	assert_null(f->m.pub.correlation.p);
	assert_null(f->m.pub.content_type.p);
	assert_int_equal(f->m.pub.user_cnt, 0);
	add(f, "mqtt.response-topic", "answers/7");
	add(f, "mqtt.correlation", "first");
	add(f, "mqtt.correlation", "second");
	add(f, "mqtt.content-type", "json");
	add(f, "mqtt.user.", "empty name");
	add(f, "mqtt.user.a", "1");
	add(f, "mqtt.user.a", "2");
	add(f, "mqtt.userx", "no");
	add(f, "mqtt.topic", "no");
	assert_int_equal(make(f, "t"), SL_DOWN_SEND);
	assert_memory_equal(f->m.pub.response_topic.p, "answers/7", 9);
	assert_memory_equal(f->m.pub.correlation.p, "second", 6);
	assert_memory_equal(f->m.pub.content_type.p, "json", 4);
	assert_int_equal(f->m.pub.user_cnt, 3);
	assert_int_equal(f->m.pub.user[0].name.len, 0);
	assert_memory_equal(f->m.pub.user[2].value.p, "2", 1);
	for (int i = 0; i < 80; i++)
		add(f, "mqtt.user.more", "x");
	assert_int_equal(make(f, "t"), SL_DOWN_SEND);
	assert_int_equal(f->m.pub.user_cnt, SL_RING_PROPS_MAX);
	f->rec.hdr = NULL; /* more than a cursor takes apart */
	assert_int_equal(make(f, "t"), SL_DOWN_BAD);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_topic),      T(test_topic_length), T(test_expiry), T(test_payload_and_flags),
		T(test_properties),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
