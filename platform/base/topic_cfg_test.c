/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/topic_cfg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct sl_topic_setting *row(const char *name)
{
	const struct sl_topic_setting *r = sl_topic_setting_find(name, strlen(name));

	assert_non_null(r);
	return r;
}

static int parse(struct sl_topic_cfg *cfg, const char *name, const char *text)
{
	char err[160] = "";
	int rc = sl_topic_setting_parse(cfg, row(name), text, strlen(text), err, sizeof(err));

	if (rc)
		assert_non_null(strstr(err, name));
	else
		assert_string_equal(err, "");
	return rc;
}

static void assert_text(const struct sl_topic_cfg *cfg, const char *name, const char *want)
{
	char text[SL_TOPIC_SETTING_TEXT];

	sl_topic_setting_text(cfg, row(name), text);
	assert_string_equal(text, want);
}

/* Every row: its names are its own, its default is in range and comes back as it is written. */
static void table(void **state)
{
	uint32_t cnt;
	const struct sl_topic_setting *all = sl_topic_settings(&cnt);
	struct sl_topic_cfg cfg;

	(void)state;
	assert_true(cnt > 8 && cnt <= 32);
	memset(&cfg, 0xaa, sizeof(cfg));
	for (uint32_t i = 0; i < cnt; i++) {
		char text[SL_TOPIC_SETTING_TEXT];
		assert_ptr_equal(row(all[i].name), &all[i]);
		const char *broker = all[i].broker; /* ours have none */
		if (broker)
			assert_ptr_equal(sl_topic_setting_of_broker(broker, strlen(broker)),
					 &all[i]);
		assert_int_equal(!broker, strncmp(all[i].name, "sluice.", 7) == 0);
		sl_topic_setting_put(&cfg, &all[i], all[i].def);
		assert_true(sl_topic_setting_get(&cfg, &all[i]) == all[i].def);
		if (!all[i].words)
			assert_true(all[i].def >= all[i].min && all[i].def <= all[i].max);
		sl_topic_setting_text(&cfg, &all[i], text);
		assert_int_equal(parse(&cfg, all[i].name, text), 0);
		assert_true(sl_topic_setting_get(&cfg, &all[i]) == all[i].def);
		assert_true(strlen(all[i].help) > 10);
	}
	assert_null(sl_topic_setting_find("retention", 9));
	assert_null(sl_topic_setting_find("", 0));
	assert_null(sl_topic_setting_find("log.retention.ms", 16));
	assert_null(sl_topic_setting_of_broker("retention.ms", 12));
	assert_null(sl_topic_setting_of_broker("", 0));
	assert_null(sl_topic_setting_of_broker("sluice.acks.all", 15));
}

static void texts(void **state)
{
	struct sl_topic_cfg cfg = {0};

	(void)state;
	assert_text(&cfg, "sluice.acks.all", "synced");
	assert_int_equal(parse(&cfg, "sluice.acks.all", " central "), 0);
	assert_true(cfg.acks_central);
	assert_text(&cfg, "sluice.acks.all", "central");
	assert_int_equal(parse(&cfg, "sluice.acks.all", "logged"), -EINVAL);
	assert_int_equal(parse(&cfg, "retention.ms", " -1 "), 0);
	assert_text(&cfg, "retention.ms", "-1");
	assert_int_equal(parse(&cfg, "message.timestamp.before.max.ms", "9223372036854775807"), 0);
	assert_text(&cfg, "message.timestamp.before.max.ms", "9223372036854775807");
	assert_int_equal(parse(&cfg, "compression.type", "zstd"), 0);
	assert_text(&cfg, "compression.type", "zstd");
	assert_int_equal(cfg.compression, SL_CODEC_ZSTD);
	assert_int_equal(parse(&cfg, "message.timestamp.type", "LogAppendTime"), 0);
	assert_int_equal(cfg.ts_type, SL_TS_LOG_APPEND_TIME);
	assert_int_equal(parse(&cfg, "cleanup.policy", " delete"), 0);
	assert_text(&cfg, "cleanup.policy", "delete");
	cfg.compact = true; /* internal topics have it */
	assert_text(&cfg, "cleanup.policy", "compact");
}

static void refused(void **state)
{
	struct sl_topic_cfg cfg = {.retention_ms = 7, .segment_bytes = 1 << 20};
	const struct sl_topic_setting *r = row("retention.ms");
	char err[8];

	(void)state;
	assert_int_equal(parse(&cfg, "retention.ms", ""), -EINVAL);
	assert_int_equal(parse(&cfg, "retention.ms", "a week"), -EINVAL);
	assert_int_equal(parse(&cfg, "retention.ms", "7d"), -EINVAL);
	assert_int_equal(parse(&cfg, "retention.ms", "0x10"), -EINVAL);
	assert_int_equal(parse(&cfg, "retention.ms", "9223372036854775808"), -EINVAL);
	assert_int_equal(parse(&cfg, "retention.ms", "-2"), -ERANGE);
	assert_int_equal(parse(&cfg, "segment.bytes", "2147483648"), -EINVAL);
	assert_int_equal(parse(&cfg, "segment.bytes", "1048575"), -ERANGE);
	assert_int_equal(parse(&cfg, "segment.bytes", "1073741825"), -ERANGE);
	assert_int_equal(parse(&cfg, "compression.type", "lzo"), -EINVAL);
	assert_int_equal(parse(&cfg, "compression.type", "LZ4"), -EINVAL);
	assert_int_equal(parse(&cfg, "cleanup.policy", "compact"), -ENOTSUP);
	assert_int_equal(parse(&cfg, "cleanup.policy", "compact, delete"), -ENOTSUP);
	assert_int_equal(parse(&cfg, "message.timestamp.type", ""), -EINVAL);
	assert_int_equal(sl_topic_setting_parse(&cfg, r,
						"1\0"
						"2",
						3, NULL, 0),
			 -EINVAL);
	assert_int_equal(sl_topic_setting_parse(&cfg, r, "x", 1, err, sizeof(err)), -EINVAL);
	assert_int_equal(strlen(err), sizeof(err) - 1);
	assert_true(cfg.retention_ms == 7 && cfg.segment_bytes == 1 << 20);
}

static void layers(void **state)
{
	struct sl_topic_cfg base = {.retention_ms = 1, .segment_bytes = 2, .compression = 3};
	struct sl_topic_cfg own = {.retention_ms = 10, .segment_bytes = 20, .compression = 4}, got;
	uint32_t cnt;
	const struct sl_topic_setting *all = sl_topic_settings(&cnt);
	uint32_t bit = sl_topic_setting_bit((uint32_t)(row("retention.ms") - all));

	(void)state;
	sl_topic_cfg_layer(&got, &base, &own, 0);
	assert_true(got.retention_ms == 1 && got.segment_bytes == 2 && got.compression == 3);
	sl_topic_cfg_layer(&got, &base, &own, bit);
	assert_true(got.retention_ms == 10 && got.segment_bytes == 2 && got.compression == 3);
	sl_topic_cfg_layer(&own, &base, &own, bit); /* onto itself */
	assert_true(own.retention_ms == 10 && own.segment_bytes == 2);
	sl_topic_cfg_layer(&got, &base, &own, UINT32_MAX);
	assert_true(got.retention_ms == 10 && got.compression == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(texts),
		cmocka_unit_test(refused),
		cmocka_unit_test(layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
