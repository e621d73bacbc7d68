/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as a config has them, names as devices have them. Which filter matches which name is
 * platform/base/mqtt_filter_test.c's; which config is refused is tests/config's. */
#include "bridge/mqtt/map.h"

#include <errno.h>

#include "platform/base/mqtt_filter.h"
#include "platform/base/sl_test.h"

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static struct sl_config *config(void)
{
	struct sl_config *cfg = calloc(1, sizeof(*cfg));

	assert_non_null(cfg);
	return cfg;
}

static struct sl_cfg_rule *rule(struct sl_config *cfg, const char *filter, const char *topic,
				const char *key)
{
	struct sl_cfg_rule *r = &cfg->mqtt.rule[cfg->mqtt.rule_cnt++];

	snprintf(r->filter, sizeof(r->filter), "%s", filter);
	snprintf(r->topic, sizeof(r->topic), "%s", topic);
	snprintf(r->key, sizeof(r->key), "%s", key);
	return r;
}

static void header(struct sl_cfg_rule *r, const char *name, const char *value)
{
	struct sl_cfg_rule_hdr *h = &r->hdr[r->hdr_cnt++];

	snprintf(h->name, sizeof(h->name), "%s", name);
	snprintf(h->value, sizeof(h->value), "%s", value);
}

static struct sl_map *compiled(const struct sl_config *cfg)
{
	struct sl_map *m = NULL;

	assert_int_equal(sl_map_new(cfg, &m), 0);
	return m;
}

static struct sl_map_out out;

static enum sl_map_result apply(const struct sl_map *m, const char *name, const char *client)
{
	memset(&out, 0xa5, sizeof(out));
	return sl_map_apply(m, text(name), text(client), &out);
}

static void mapped(const struct sl_map *m, const char *name, const char *topic, const char *key)
{
	assert_int_equal(apply(m, name, "c1"), SL_MAP_OK);
	assert_string_equal(out.topic, topic);
	assert_int_equal(out.topic_len, strlen(topic));
	assert_int_equal(out.has_key, key != NULL);
	assert_int_equal(out.key_len, key ? strlen(key) : 0);
	if (key)
		assert_memory_equal(out.key, key, strlen(key));
}

static void first_match_wins(void **state)
{
	struct sl_config *cfg = config();
	struct sl_map *m;

	(void)state;
	rule(cfg, "factory/{line}/+/state", "telemetry", "{line}");
	rule(cfg, "factory/+/+/state", "never", "");
	rule(cfg, "{site}/{dev}/up", "site.{site}", "{dev}:{client}");
	rule(cfg, "logs/#", "logs", "{0}");
	rule(cfg, "raw/#", "raw", "");
	m = compiled(cfg);
	mapped(m, "factory/l7/press/state", "telemetry", "l7");
	assert_ptr_equal(out.rule, &cfg->mqtt.rule[0]);
	mapped(m, "berlin/d1/up", "site.berlin", "d1:c1");
	mapped(m, "logs/a/b", "logs", "a/b");
	mapped(m, "logs", "logs", "");
	mapped(m, "logs/", "logs", "");
	mapped(m, "raw/x", "raw", NULL);
	assert_int_equal(apply(m, "other", "c1"), SL_MAP_NO_MATCH);
	assert_int_equal(apply(m, "$SYS/d1/up", "c1"), SL_MAP_NO_MATCH);
	sl_map_free(m);
	sl_map_free(NULL);
	free(cfg);
}

static void no_rules(void **state)
{
	struct sl_config *cfg = config();
	struct sl_map *m = compiled(cfg);

	(void)state;
	assert_int_equal(apply(m, "a", "c"), SL_MAP_NO_MATCH);
	assert_int_equal(apply(m, "", "c"), SL_MAP_BAD_NAME);
	sl_map_free(m);
	strcpy(cfg->mqtt.default_topic, "rest");
	m = compiled(cfg);
	mapped(m, "a", "rest", "c1");
	assert_null(out.rule);
	assert_int_equal(out.hdr_cnt, 0);
	mapped(m, "$SYS/x", "rest", "c1");
	assert_int_equal(sl_map_apply(m, text("a"), (struct sl_slice){NULL, 0}, &out), SL_MAP_OK);
	assert_true(out.has_key && out.key_len == 0);
	sl_map_free(m);
	free(cfg);
}

static void bad_names(void **state)
{
	static const char *const bad[] = {"", "a/+", "a/#", "#", "\xff", "a\xc3"};
	struct sl_config *cfg = config();
	char deep[SL_MQTT_LEVELS_MAX + 1];
	struct sl_map *m;

	(void)state;
	rule(cfg, "#", "all", "");
	m = compiled(cfg);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(apply(m, bad[i], "c"), SL_MAP_BAD_NAME);
	assert_int_equal(
		sl_map_apply(m, (struct sl_slice){(const uint8_t *)"a\0b", 3}, text("c"), &out),
		SL_MAP_BAD_NAME);
	memset(deep, '/', sizeof(deep));
	deep[SL_MQTT_LEVELS_MAX] = '\0';
	assert_int_equal(apply(m, deep, "c"), SL_MAP_BAD_NAME);
	deep[SL_MQTT_LEVELS_MAX - 1] = '\0';
	assert_int_equal(apply(m, deep, "c"), SL_MAP_OK);
	sl_map_free(m);
	free(cfg);
}

/* What devices put into a topic's name never becomes one that is not legal, or Kafka's own. */
static void bad_topics(void **state)
{
	static const char *const bad[] = {"t/a b",
					  "t/",
					  "t/.",
					  "t/..",
					  "t/\xc3\xa4",
					  "t/a:b",
					  "t/__consumer_offsets",
					  "t/__transaction_state"};
	struct sl_config *cfg = config();
	char name[300] = "t/";
	struct sl_map *m;

	(void)state;
	rule(cfg, "t/{x}", "{x}", "");
	rule(cfg, "all/#", "{0}", "");
	strcpy(cfg->mqtt.default_topic, "rest"); /* not for these */
	m = compiled(cfg);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(apply(m, bad[i], "c"), SL_MAP_BAD_TOPIC);
	assert_int_equal(apply(m, "all/a/b", "c"), SL_MAP_BAD_TOPIC);
	assert_int_equal(apply(m, "all/a", "c"), SL_MAP_OK);
	memset(name + 2, 'x', SL_TOPIC_NAME_MAX);
	assert_int_equal(apply(m, name, "c"), SL_MAP_OK);
	assert_int_equal(out.topic_len, SL_TOPIC_NAME_MAX);
	assert_string_equal(out.topic, name + 2);
	name[2 + SL_TOPIC_NAME_MAX] = 'x';
	assert_int_equal(apply(m, name, "c"), SL_MAP_BAD_TOPIC);
	sl_map_free(m);
	free(cfg);
}

static void headers(void **state)
{
	struct sl_config *cfg = config();
	struct sl_cfg_rule *r = rule(cfg, "f/{line}/#", "t", "");
	static const char *const want[][2] = {{"line", "l1"},
					      {"rest", "a/b"},
					      {"all", "f/l1/a/b from c1"},
					      {"fixed", "{x}"},
					      {"empty", ""}};
	struct sl_map *m;

	(void)state;
	header(r, "line", "{line}");
	header(r, "rest", "{0}");
	header(r, "all", "{topic} from {client}");
	header(r, "fixed", "{{x}}");
	header(r, "empty", "");
	m = compiled(cfg);
	assert_int_equal(apply(m, "f/l1/a/b", "c1"), SL_MAP_OK);
	assert_false(out.has_key);
	assert_int_equal(out.hdr_cnt, SL_ARRAY_SIZE(want));
	for (size_t i = 0; i < SL_ARRAY_SIZE(want); i++) {
		assert_int_equal(out.hdr[i].name.len, strlen(want[i][0]));
		assert_memory_equal(out.hdr[i].name.p, want[i][0], strlen(want[i][0]));
		assert_int_equal(out.hdr[i].value.len, strlen(want[i][1]));
		assert_memory_equal(out.hdr[i].value.p, want[i][1], strlen(want[i][1]));
	}
	sl_map_free(m);
	free(cfg);
}

static void long_values_are_cut(void **state)
{
	struct sl_config *cfg = config();
	char *name = calloc(1, SL_MQTT_TEXT_MAX + 1);
	struct sl_map *m;

	(void)state;
	header(rule(cfg, "#", "t", "{topic}"), "name", "x{topic}");
	m = compiled(cfg);
	memset(name, 'n', SL_MQTT_TEXT_MAX);
	assert_int_equal(apply(m, name, "c"), SL_MAP_OK);
	assert_int_equal(out.key_len, SL_MAP_KEY_MAX);
	assert_int_equal(out.hdr[0].value.len, SL_MAP_KEY_MAX);
	assert_int_equal(out.hdr[0].value.p[0], 'x');
	name[SL_MAP_KEY_MAX] = '\0';
	assert_int_equal(apply(m, name, "c"), SL_MAP_OK);
	assert_int_equal(out.key_len, SL_MAP_KEY_MAX);
	sl_map_free(m);
	free(name);
	free(cfg);
}

static void unchecked(void **state)
{
	struct sl_config *cfg = config();
	struct sl_map *m = NULL;

	(void)state;
	rule(cfg, "a", "t", "");
	rule(cfg, "a/b#", "t", "");
	assert_int_equal(sl_map_new(cfg, &m), -EINVAL);
	strcpy(cfg->mqtt.rule[1].filter, "a/{x}");
	strcpy(cfg->mqtt.rule[1].topic, "{y}");
	assert_int_equal(sl_map_new(cfg, &m), -EINVAL);
	strcpy(cfg->mqtt.rule[1].topic, "t");
	strcpy(cfg->mqtt.rule[1].key, "{");
	assert_int_equal(sl_map_new(cfg, &m), -EINVAL);
	cfg->mqtt.rule[1].key[0] = '\0';
	header(&cfg->mqtt.rule[1], "h", "{0}");
	assert_int_equal(sl_map_new(cfg, &m), -EINVAL);
	assert_null(m);
	free(cfg);
}

static void names_of_results(void **state)
{
	(void)state;
	for (int r = 0; r < SL_MAP_RESULT_CNT; r++)
		assert_true(strlen(sl_map_result_name((enum sl_map_result)r)) > 0);
	assert_string_equal(sl_map_result_name(SL_MAP_BAD_TOPIC), "bad_topic");
}

/* ---- against trying one rule after the other ------------------------------------------------- */

static void draw(struct sl_rng *r, char *s, bool filter)
{
	static const char *const words[] = {"a", "b", "c", "", "$s"};
	uint32_t depth = 1 + sl_rng_below(r, 4);

	s[0] = '\0';
	for (uint32_t i = 0; i < depth; i++) {
		uint32_t k = sl_rng_below(r, filter ? 8 : 5);
		const char *w = k < 5 ? words[k] : k == 7 && i + 1 == depth ? "#" : "+";
		strcat(strcat(s, i ? "/" : ""), w);
	}
	if (!s[0])
		strcpy(s, "a");
}

static void signs_skip_no_rule(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct sl_config *cfg = config();
		struct sl_mqtt_filter *f[SL_CFG_RULES_MAX];
		uint32_t cnt = 1 + sl_rng_below(&r, SL_CFG_RULES_MAX);
		char s[64];
		for (uint32_t i = 0; i < cnt; i++) {
			draw(&r, s, true);
			rule(cfg, s, "t", "");
			assert_int_equal(sl_mqtt_filter_new(s, SL_MQTT_RULE, &f[i], NULL), 0);
		}
		struct sl_map *m = compiled(cfg);
		for (int i = 0; i < 200; i++) {
			struct sl_mqtt_name n;
			uint32_t want = 0;
			draw(&r, s, false);
			assert_int_equal(sl_mqtt_name_split(text(s), &n), 0);
			while (want < cnt && !sl_mqtt_filter_matches(f[want], &n))
				want++;
			assert_int_equal(apply(m, s, "c"),
					 want < cnt ? SL_MAP_OK : SL_MAP_NO_MATCH);
			if (want < cnt)
				assert_ptr_equal(out.rule, &cfg->mqtt.rule[want]);
		}
		for (uint32_t i = 0; i < cnt; i++)
			sl_mqtt_filter_free(f[i]);
		sl_map_free(m);
		free(cfg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_match_wins),
		cmocka_unit_test(no_rules),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(bad_topics),
		cmocka_unit_test(headers),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(unchecked),
		cmocka_unit_test(names_of_results),
		cmocka_unit_test(signs_skip_no_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
