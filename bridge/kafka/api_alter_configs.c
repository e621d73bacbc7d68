/* SPDX-License-Identifier: Apache-2.0 */
/* api_alter_configs.c - AlterConfigs (key 33), versions 0 to 2: replaces a topic's own settings. */
#include "alter.h"

static int run(struct sl_kreq *r)
{
	return sl_kalter_run(r, &(const struct sl_kalter_cfg){.replace = true});
}

int sl_kapi_alter_configs(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_CHANGE, run);
}
