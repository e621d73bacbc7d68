/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_incremental_alter_configs.c - IncrementalAlterConfigs (key 44), versions 0 and 1: sets,
 * deletes, and appends to or subtracts from lists (KIP-339).
 */
#include "alter.h"

static int run(struct sl_kreq *r)
{
	return sl_kalter_run(r, &(const struct sl_kalter_cfg){.replace = false});
}

int sl_kapi_incremental_alter_configs(struct sl_kreq *r)
{
	return sl_kadmin_start(r, SL_KADMIN_CHANGE, run);
}
