/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

/*
 * Versions: docs/formats/kafka-wire.md. Produce is advertised from 0 because librdkafka before
 * 2.11.1 sends everything uncompressed unless that exact version is in the range (KAFKA-18659);
 * 0 to 2 carry message formats that no log here holds, and close the connection as Apache
 * Kafka 4 does.
 */
static const struct sl_kapi rows[] = {
	/* key, advertised from, served from, to, flexible from, pipelined, handler, name */
	{0, 0, 3, 9, 9, true, sl_kapi_produce, "Produce"},
	{1, 4, 4, 12, 12, false, sl_kapi_fetch, "Fetch"},
	{2, 1, 1, 7, 6, false, sl_kapi_list_offsets, "ListOffsets"},
	{3, 0, 0, 12, 9, false, sl_kapi_metadata, "Metadata"},
	{18, 0, 0, 4, 3, false, sl_kapi_api_versions, "ApiVersions"},
	{22, 0, 0, 4, 2, false, sl_kapi_init_producer_id, "InitProducerId"},
};

const struct sl_kapi *sl_kapi_rows(size_t *ret_cnt)
{
	*ret_cnt = SL_ARRAY_SIZE(rows);
	return rows;
}

const struct sl_kapi *sl_kapi_find(int16_t key)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++)
		if (rows[i].key == key)
			return &rows[i];
	return NULL;
}
