/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_record.h - the records of __consumer_offsets, byte for byte as Apache Kafka writes them
 * (OffsetCommitKey/Value, GroupMetadataKey/Value; byte table: docs/formats/consumer-offsets.md).
 * Written: keys of version 1 and 2, offset values of version 3 (version 1 with an expiry of their
 * own), group values of version 3. Read: offset values 0 to 3, group values 0 to 3. Pure.
 */
#ifndef SL_BRIDGE_KAFKA_GROUP_RECORD_H
#define SL_BRIDGE_KAFKA_GROUP_RECORD_H

#include "codec.h"
#include "group.h"
#include "offsets.h"

enum sl_grecord_kind { SL_GREC_OFFSET, SL_GREC_GROUP, SL_GREC_FOREIGN };

struct sl_gkey { /* borrowed */
	enum sl_grecord_kind kind;
	struct sl_slice group, topic;
	int32_t partition;
};
/* Keys of kinds we do not know are FOREIGN. False: it does not parse. */
bool sl_gkey_read(struct sl_slice key, struct sl_gkey *ret_key);
void sl_gkey_write_offset(struct sl_kw *w, struct sl_slice group, struct sl_slice topic,
			  int32_t partition);
void sl_gkey_write_group(struct sl_kw *w, struct sl_slice group);

/* Fills what a value has: offset, epoch, times, metadata. False: it does not parse. */
bool sl_goffset_read(struct sl_slice value, struct sl_offset *ret);
void sl_goffset_write(struct sl_kw *w, const struct sl_offset *v);

/* Header, then member by member. */
struct sl_gmeta_rd {
	struct sl_kr r;
	int16_t version;
	uint32_t left; /* members still to read */
};
bool sl_gmeta_read(struct sl_slice value, struct sl_gmeta_rd *ret_rd, struct sl_group_seed *ret);
bool sl_gmeta_read_member(struct sl_gmeta_rd *rd, struct sl_gmember_seed *ret);
/* With its members, or as an empty group of the same generation. */
void sl_gmeta_write(struct sl_kw *w, const struct sl_group *g, bool members);

/* Java's String.hashCode() of UTF-8 text. */
int32_t sl_java_hash(struct sl_slice text);
/* Kafka's Utils.abs(hash) % partitions. */
uint32_t sl_group_partition(struct sl_slice group, uint32_t partitions);

#endif
