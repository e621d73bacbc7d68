/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The renderers on fixed answers, compared with the text in golden/. SL_GOLDEN_UPDATE=1 writes the
 * files anew: read the diff before it is kept.
 */
#include "platform/base/sl_test.h"
#include "platform/cli/explain.h"
#include "platform/cli/render.h"
#include "sluice/counters.h"

static json_t *load(const char *name)
{
	char path[512];
	json_error_t err;
	json_t *v;

	snprintf(path, sizeof(path), "%s/%s.json", SL_GOLDEN_DIR, name);
	v = json_load_file(path, 0, &err);
	if (!v)
		fail_msg("%s:%d: %s", path, err.line, err.text);
	return v;
}

/* Compares with golden/<name>.txt. */
static void expect(const char *name, const char *text)
{
	char path[512], want[16384];
	const char *update = getenv("SL_GOLDEN_UPDATE");
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.txt", SL_GOLDEN_DIR, name);
	f = fopen(path, update ? "w" : "r");
	assert_non_null(f);
	if (update) {
		fputs(text, f);
	} else {
		n = fread(want, 1, sizeof(want) - 1, f);
		want[n] = '\0';
		assert_string_equal(text, want);
	}
	fclose(f);
}

enum shape { STATUS, LINE, DROPS };

static void check(const char *input, const char *golden, enum shape shape, const char *prev_input)
{
	json_t *st = load(input), *prev = prev_input ? load(prev_input) : NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (shape == STATUS)
		sl_render_status(f, st, prev, 2.0);
	else if (shape == LINE)
		sl_render_line(f, st, prev, 2.0);
	else
		sl_render_drops(f, st);
	fclose(f);
	expect(golden, text);
	free(text);
	json_decref(st);
	json_decref(prev);
}

static void status_texts(void **state)
{
	(void)state;
	check("empty", "empty-status", STATUS, NULL);
	check("healthy", "healthy-status", STATUS, NULL);
	check("healthy", "healthy-status-rates", STATUS, "empty");
	check("troubled", "troubled-status", STATUS, NULL);
}

static void line_texts(void **state)
{
	(void)state;
	check("empty", "empty-line", LINE, NULL);
	check("healthy", "healthy-line", LINE, "empty");
	check("healthy", "healthy-line-first", LINE, NULL);
	check("troubled", "troubled-line", LINE, NULL);
}

static void drops_texts(void **state)
{
	(void)state;
	check("empty", "empty-drops", DROPS, NULL);
	check("healthy", "healthy-drops", DROPS, NULL);
	check("troubled", "troubled-drops", DROPS, NULL);
}

static void drops_as_json(void **state)
{
	json_t *st = load("troubled"), *v = sl_drops_json(st);
	json_t *list = json_object_get(v, "drops"), *d;
	size_t i;
	int64_t last = INT64_MAX;

	(void)state;
	assert_int_equal(sl_json_int(v, "wire"), 1000000);
	assert_int_equal(sl_json_int(v, "messages"), 50000 + 120 + 3000);
	assert_int_equal(sl_json_int(v, "commands"), 9);
	assert_int_equal(json_array_size(list), 14);
	json_array_foreach(list, i, d)
	{
		assert_true(sl_json_int(d, "count") <= last);
		last = sl_json_int(d, "count");
	}
	d = json_array_get(list, 0);
	assert_string_equal(sl_json_str(d, "bucket", ""), "ring_full");
	assert_true(json_real_value(json_object_get(d, "share")) == 0.02);
	json_decref(v);
	json_decref(st);
}

static void numbers(void **state)
{
	char buf[SL_NUM_TEXT];

	(void)state;
	assert_string_equal(sl_num_text(0, buf), "0");
	assert_string_equal(sl_num_text(999, buf), "999");
	assert_string_equal(sl_num_text(-1000, buf), "-1,000");
	assert_string_equal(sl_num_text(INT64_MIN, buf), "-9,223,372,036,854,775,808");
	assert_string_equal(sl_num_text(INT64_MAX, buf), "9,223,372,036,854,775,807");
	assert_string_equal(sl_bytes_text(0, buf), "0 B");
	assert_string_equal(sl_bytes_text(1023, buf), "1023 B");
	assert_string_equal(sl_bytes_text(1024, buf), "1.0 KiB");
	assert_string_equal(sl_bytes_text((1 << 20) - 1, buf), "1.0 MiB");
	assert_string_equal(sl_bytes_text(64ll << 30, buf), "64.0 GiB");
	assert_string_equal(sl_bytes_text(INT64_MAX, buf), "8192.0 PiB");
}

/* Rows of the parts that `sluice drops` reads, by the names that the status gives them. */
static void bridges_are_explained(void)
{
	static const struct {
		const char *prefix, *part, *bucket;
	} at[] = {{"mqtt_skipped_", "mqtt", "skipped"},
		  {"mqtt_refused_", "mqtt", "refused"},
		  {"mqtt_", "mqtt", NULL},
		  {"downlink_", "downlink", NULL}};
	static const char *const stages[] = {"received", "stored", "sent"};

	for (unsigned r = 0; r < SL_BRIDGE_ROW_CNT; r++) {
		const char *name = sl_bridge_row_name((enum sl_bridge_row)r), *rest = NULL;
		bool stage = false;
		size_t i = 0;
		for (; i < SL_ARRAY_SIZE(at) && !rest; i++)
			if (!strncmp(name, at[i].prefix, strlen(at[i].prefix)))
				rest = name + strlen(at[i].prefix);
		for (size_t k = 0; rest && k < SL_ARRAY_SIZE(stages); k++)
			stage |= !strcmp(rest, stages[k]);
		if (!rest || stage)
			continue;
		i--;
		if (!sl_explain_find(at[i].part, at[i].bucket ? at[i].bucket : rest,
				     at[i].bucket ? rest : ""))
			fail_msg("%s is not explained", name);
	}
}

/* A reason without an explanation would be a number without a meaning. */
static void every_reason_is_explained(void **state)
{
	(void)state;
	for (int r = 0; r < SL_FRAME_ROW_CNT; r++) {
		enum sl_frame_group g = sl_frame_row_group((enum sl_frame_row)r);
		const char *bucket = sl_frame_group_name(g);
		bool reasons = g == SL_FG_BAD || g == SL_FG_FRAGMENT || g == SL_FG_REFUSED ||
			       g == SL_FG_CONTROL;
		const char *reason = reasons ? sl_frame_row_name((enum sl_frame_row)r) : "";
		if (g != SL_FG_ACCEPTED && !sl_explain_find("ledger", bucket, reason))
			fail_msg("%s[%s] is not explained", bucket, reason);
	}
#define X(id, name)                                                                                \
	if (!sl_explain_find("ledger", "append_failed", name))                                     \
		fail_msg("append_failed[%s] is not explained", name);
	SL_APPEND_REASONS(X)
#undef X
	bridges_are_explained();
	assert_non_null(sl_explain_find("ledger", "lost_by_device", ""));
	assert_non_null(sl_explain_find("ledger", "lost_at_crash", ""));
	assert_null(sl_explain_find("ledger", "bad", ""));
	assert_null(sl_explain_find("ledger", "", "udp_port"));
	assert_null(sl_explain_find("mqtt", "bad", "udp_port"));
	assert_null(sl_explain_find("", "other", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),      cmocka_unit_test(every_reason_is_explained),
		cmocka_unit_test(status_texts), cmocka_unit_test(line_texts),
		cmocka_unit_test(drops_texts),  cmocka_unit_test(drops_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
