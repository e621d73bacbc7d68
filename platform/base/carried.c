/* SPDX-License-Identifier: Apache-2.0 */
#include "carried.h"

static bool listed(const char (*name)[SL_TOPIC_NAME_MAX + 1], uint32_t cnt, const char *topic,
		   size_t len)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (strlen(name[i]) == len && memcmp(name[i], topic, len) == 0)
			return true;
	return false;
}

bool sl_uplink_carries(const struct sl_config *cfg, const char *topic, size_t len)
{
	if (!cfg || !cfg->uplink.bootstrap[0])
		return false;
	if (!cfg->uplink.all_topics)
		return listed(cfg->uplink.topic, cfg->uplink.topic_cnt, topic, len);
	bool internal = len >= 2 && memcmp(topic, "__", 2) == 0;
	return !internal && !listed(cfg->uplink.mirror, cfg->uplink.mirror_cnt, topic, len);
}
