/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a config file: no crash, no leak, and either a config or errors that can be shown.
 */
#include <stdio.h>
#include <stdlib.h>

#include "platform/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;
	char *text = NULL;
	size_t len = 0;
	int rc = sl_config_parse("fuzz", (const char *)data, size, &cfg, &errs);
	FILE *f = open_memstream(&text, &len);

	SL_ASSERT((rc == 0) == (cfg != NULL) && (rc == 0) == (errs.errors.cnt == 0));
	SL_ASSERT(f);
	sl_config_errors_print(&errs, f);
	fclose(f);
	SL_ASSERT(rc == 0 || (len > 0 && errs.warnings.cnt == 0));
	SL_ASSERT(len > 0 || errs.warnings.cnt == 0);
	free(text);
	sl_config_errors_fini(&errs);
	sl_config_free(cfg);
	return 0;
}
