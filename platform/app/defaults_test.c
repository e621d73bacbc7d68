/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config's defaults of a topic are the store's: a topic that the store finds by its directories
 * alone, or with settings of an older version, behaves as one that the config has made.
 */
#include "platform/base/sl_test.h"
#include "platform/config/config.h"

#define FIELDS(X)                                                                                  \
	X(retention_ms)                                                                            \
	X(retention_bytes)                                                                         \
	X(segment_bytes)                                                                           \
	X(segment_ms)                                                                              \
	X(max_message_bytes)                                                                       \
	X(index_interval_bytes)                                                                    \
	X(ts_before_max_ms)                                                                        \
	X(ts_after_max_ms)                                                                         \
	X(ts_type)                                                                                 \
	X(compression)                                                                             \
	X(compact)                                                                                 \
	X(acks_central)

static void config_and_store_agree(void **state)
{
	static const char text[] = "gateway: {id: gw-01}\n"
				   "topics: [{name: t}]\n";
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;
	struct sl_topic_cfg own;
	unsigned differ = 0;

	(void)state;
	assert_int_equal(sl_config_parse("t.yaml", text, strlen(text), &cfg, &errs), 0);
	sl_topic_cfg_defaults(&own);
	const struct sl_topic_cfg *all = &cfg->kafka.topic_defaults, *one = &cfg->topic[0].cfg;
#define X(field)                                                                                   \
	if (all->field != own.field || one->field != own.field) {                                  \
		print_error("%s: %lld in the config's defaults, %lld of a topic in it, "           \
			    "%lld in the store\n",                                                 \
			    #field, (long long)all->field, (long long)one->field,                  \
			    (long long)own.field);                                                 \
		differ++;                                                                          \
	}
	FIELDS(X)
#undef X
	assert_int_equal(differ, 0);
	/* the store's own comparison: a field that is missing above is not missed */
	assert_true(sl_topic_cfg_equal(all, &own) && sl_topic_cfg_equal(one, &own));
	sl_config_free(cfg);
	sl_config_errors_fini(&errs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(config_and_store_agree)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
