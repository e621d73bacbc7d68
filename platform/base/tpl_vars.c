/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/tpl_vars.h"

#include <errno.h>

const struct sl_tpl_var SL_DEST_VARS[SL_DEST_CNT] = {
	[SL_DEST_GATEWAY] = SL_TPL_VAR("gateway", false),
	[SL_DEST_TOPIC] = SL_TPL_VAR("topic", false),
};

const struct sl_tpl_var SL_DOWN_VARS[SL_DOWN_CNT] = {
	[SL_DOWN_KEY] = SL_TPL_VAR("key", false),
	[SL_DOWN_PARTITION] = SL_TPL_VAR("partition", false),
	[SL_DOWN_TOPIC] = SL_TPL_VAR("topic", false),
	[SL_DOWN_HEADER] = SL_TPL_VAR("header", true),
};

static struct sl_slice dest_value(void *arg, uint32_t var, SL_UNUSED struct sl_slice param)
{
	const char *const *value = arg;

	return (struct sl_slice){(const uint8_t *)value[var], (uint32_t)strlen(value[var])};
}

int sl_dest_topic(const struct sl_tpl *t, const char *gateway, const char *topic,
		  char ret_name[SL_TOPIC_NAME_MAX + 1])
{
	const char *value[SL_DEST_CNT] = {[SL_DEST_GATEWAY] = gateway, [SL_DEST_TOPIC] = topic};
	char name[SL_TOPIC_NAME_MAX + 1];
	uint32_t len;

	if (sl_tpl_fill(t, dest_value, value, name, SL_TOPIC_NAME_MAX, &len) < 0 ||
	    !sl_topic_name_valid(name, len) || sl_topic_name_internal(name, len))
		return -EINVAL;
	memcpy(ret_name, name, len);
	ret_name[len] = '\0';
	return 0;
}
