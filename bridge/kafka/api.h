/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the table of Kafka APIs that are served. A new one is a row in api_table.c and a file
 * api_<name>.c; what has no row is not advertised and closes the connection that asks for it.
 */
#ifndef SL_BRIDGE_KAFKA_API_H
#define SL_BRIDGE_KAFKA_API_H

#include "sluice/base.h"

struct sl_kreq;

enum { SL_KAPI_PRODUCE = 0, SL_KAPI_API_VERSIONS = 18 };

/*
 * Takes up a request whose header has been read; r->in stands at the body. Network thread; must
 * not block. 0: answered, or it will be: exactly one of the sl_kreq_*() endings follows, now or
 * later. -EAGAIN: nothing happened, no room now, call again. Anything else closes the connection:
 * -EPROTO malformed, -E2BIG beyond a limit of ours, -ENOMEM.
 */
typedef int (*sl_kapi_start_fn)(struct sl_kreq *r);

struct sl_kapi {
	int16_t key;
	int16_t advertised_min; /* below min only for the sake of librdkafka's exact checks */
	int16_t min, max;       /* served */
	int16_t flexible; /* first version with compact types and header v2 / v1; INT16_MAX: none */
	/* may start before earlier requests of the connection are done, if those are such too */
	bool pipelined;
	sl_kapi_start_fn start;
	const char *name;
};

const struct sl_kapi *sl_kapi_find(int16_t key);     /* NULL: not served */
const struct sl_kapi *sl_kapi_rows(size_t *ret_cnt); /* in the order of keys */

int sl_kapi_produce(struct sl_kreq *r);
int sl_kapi_fetch(struct sl_kreq *r);
int sl_kapi_list_offsets(struct sl_kreq *r);
int sl_kapi_metadata(struct sl_kreq *r);
int sl_kapi_api_versions(struct sl_kreq *r);
int sl_kapi_init_producer_id(struct sl_kreq *r);
int sl_kapi_create_topics(struct sl_kreq *r);
int sl_kapi_delete_topics(struct sl_kreq *r);
int sl_kapi_delete_records(struct sl_kreq *r);
int sl_kapi_describe_acls(struct sl_kreq *r);
int sl_kapi_describe_configs(struct sl_kreq *r);
int sl_kapi_alter_configs(struct sl_kreq *r);
int sl_kapi_describe_log_dirs(struct sl_kreq *r);
int sl_kapi_create_partitions(struct sl_kreq *r);
int sl_kapi_incremental_alter_configs(struct sl_kreq *r);
int sl_kapi_list_partition_reassignments(struct sl_kreq *r);
int sl_kapi_describe_client_quotas(struct sl_kreq *r);
int sl_kapi_describe_cluster(struct sl_kreq *r);
int sl_kapi_offset_commit(struct sl_kreq *r);
int sl_kapi_offset_fetch(struct sl_kreq *r);
int sl_kapi_find_coordinator(struct sl_kreq *r);
int sl_kapi_join_group(struct sl_kreq *r);
int sl_kapi_heartbeat(struct sl_kreq *r);
int sl_kapi_leave_group(struct sl_kreq *r);
int sl_kapi_sync_group(struct sl_kreq *r);
int sl_kapi_describe_groups(struct sl_kreq *r);
int sl_kapi_list_groups(struct sl_kreq *r);
int sl_kapi_offset_for_leader_epoch(struct sl_kreq *r);
int sl_kapi_delete_groups(struct sl_kreq *r);
int sl_kapi_offset_delete(struct sl_kreq *r);

#endif
