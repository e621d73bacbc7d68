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
	{8, 2, 2, 8, 8, false, sl_kapi_offset_commit, "OffsetCommit"},
	{9, 1, 1, 8, 6, false, sl_kapi_offset_fetch, "OffsetFetch"},
	{10, 0, 0, 4, 3, false, sl_kapi_find_coordinator, "FindCoordinator"},
	{11, 0, 0, 9, 6, false, sl_kapi_join_group, "JoinGroup"},
	{12, 0, 0, 4, 4, false, sl_kapi_heartbeat, "Heartbeat"},
	{13, 0, 0, 5, 4, false, sl_kapi_leave_group, "LeaveGroup"},
	{14, 0, 0, 5, 4, false, sl_kapi_sync_group, "SyncGroup"},
	{15, 0, 0, 5, 5, false, sl_kapi_describe_groups, "DescribeGroups"},
	{16, 0, 0, 5, 3, false, sl_kapi_list_groups, "ListGroups"},
	{18, 0, 0, 4, 3, false, sl_kapi_api_versions, "ApiVersions"},
	{19, 2, 2, 7, 5, false, sl_kapi_create_topics, "CreateTopics"},
	{20, 1, 1, 6, 4, false, sl_kapi_delete_topics, "DeleteTopics"},
	{21, 0, 0, 2, 2, false, sl_kapi_delete_records, "DeleteRecords"},
	{22, 0, 0, 4, 2, false, sl_kapi_init_producer_id, "InitProducerId"},
	{23, 2, 2, 4, 4, false, sl_kapi_offset_for_leader_epoch, "OffsetForLeaderEpoch"},
	{29, 1, 1, 3, 2, false, sl_kapi_describe_acls, "DescribeAcls"},
	{32, 1, 1, 4, 4, false, sl_kapi_describe_configs, "DescribeConfigs"},
	{33, 0, 0, 2, 2, false, sl_kapi_alter_configs, "AlterConfigs"},
	{35, 1, 1, 4, 2, false, sl_kapi_describe_log_dirs, "DescribeLogDirs"},
	{37, 0, 0, 3, 2, false, sl_kapi_create_partitions, "CreatePartitions"},
	{42, 0, 0, 2, 2, false, sl_kapi_delete_groups, "DeleteGroups"},
	{44, 0, 0, 1, 1, false, sl_kapi_incremental_alter_configs, "IncrementalAlterConfigs"},
	{46, 0, 0, 0, 0, false, sl_kapi_list_partition_reassignments, "ListPartitionReassignments"},
	{47, 0, 0, 0, INT16_MAX, false, sl_kapi_offset_delete, "OffsetDelete"},
	{48, 0, 0, 1, 1, false, sl_kapi_describe_client_quotas, "DescribeClientQuotas"},
	{60, 0, 0, 1, 0, false, sl_kapi_describe_cluster, "DescribeCluster"},
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
