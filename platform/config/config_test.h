/* SPDX-License-Identifier: Apache-2.0 */
/* config_test.h - what the tests of the config share: a text that is good, a text that is not. */
#ifndef SL_CONFIG_TEST_H
#define SL_CONFIG_TEST_H

#include <errno.h>

#include "platform/base/sl_test.h"
#include "platform/config/config.h"

#define ID "gateway: {id: gw-01}\n"

static inline struct sl_config *good(const char *text)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;
	int rc = sl_config_parse("t.yaml", text, strlen(text), &cfg, &errs);

	if (rc) {
		sl_config_errors_print(&errs, stderr);
		fail_msg("refused: %d", rc);
	}
	assert_int_equal(errs.errors.cnt, 0);
	sl_config_errors_fini(&errs);
	return cfg;
}

/* Refused with one error at this key, line and column. */
static inline void bad(const char *text, const char *key, uint32_t line, uint32_t column)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;

	assert_int_equal(sl_config_parse("t.yaml", text, strlen(text), &cfg, &errs), -EINVAL);
	assert_null(cfg);
	assert_int_equal(errs.errors.cnt, 1);
	assert_string_equal(errs.errors.err[0].file, "t.yaml");
	assert_string_equal(errs.errors.err[0].key, key);
	assert_int_equal(errs.errors.err[0].line, line);
	assert_int_equal(errs.errors.err[0].column, column);
	sl_config_errors_fini(&errs);
	assert_int_equal(errs.errors.cnt, 0);
}

#endif
