/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/base.h"

static bool legal(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool sl_topic_name_valid(const char *name, size_t len)
{
	if (!name || len == 0 || len > SL_TOPIC_NAME_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!legal((unsigned char)name[i]))
			return false;
	return true;
}

bool sl_topic_name_internal(const char *name, size_t len)
{
	static const char *const own[] = {"__consumer_offsets", "__transaction_state"};

	for (size_t i = 0; i < SL_ARRAY_SIZE(own); i++)
		if (len == strlen(own[i]) && memcmp(name, own[i], len) == 0)
			return true;
	return false;
}
