/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - layout of Kafka's record batch, magic 2 (KIP-98), and inline accessors.
 *
 * Byte table: docs/formats/record-batch.md. All integers big-endian. The CRC-32C covers bytes
 * from SL_BATCH_CRC_FROM to the end, so baseOffset and partitionLeaderEpoch may be set by the
 * writer without recomputing anything. The accessors do not check bounds: the caller knows that
 * at least SL_BATCH_HDR bytes are there.
 */
#ifndef SLUICE_BATCH_H
#define SLUICE_BATCH_H

#include "sluice/base.h"

enum {
	SL_BATCH_BASE_OFFSET_OFF = 0,   /* i64 */
	SL_BATCH_LENGTH_OFF = 8,        /* i32: bytes after this field = total - 12 */
	SL_BATCH_LEADER_EPOCH_OFF = 12, /* i32 */
	SL_BATCH_MAGIC_OFF = 16,        /* i8 = 2 */
	SL_BATCH_CRC_OFF = 17,          /* u32 */
	SL_BATCH_ATTRS_OFF = 21,        /* i16 */
	SL_BATCH_LAST_DELTA_OFF = 23,   /* i32 */
	SL_BATCH_BASE_TS_OFF = 27,      /* i64, ms since the epoch */
	SL_BATCH_MAX_TS_OFF = 35,       /* i64 */
	SL_BATCH_PID_OFF = 43,          /* i64, -1 none */
	SL_BATCH_PEPOCH_OFF = 51,       /* i16, -1 none */
	SL_BATCH_BASE_SEQ_OFF = 53,     /* i32, -1 none */
	SL_BATCH_COUNT_OFF = 57,        /* i32 */
	SL_BATCH_HDR = 61,              /* first byte of the records */
	SL_BATCH_CRC_FROM = 21,
	SL_BATCH_LEN_BIAS = 12, /* total size = batchLength + 12 */
	SL_BATCH_MAGIC = 2,
};

enum {
	SL_ATTR_CODEC_MASK = 0x07,
	SL_ATTR_LOG_APPEND_TIME = 0x08,
	SL_ATTR_TRANSACTIONAL = 0x10,
	SL_ATTR_CONTROL = 0x20,
	SL_ATTR_DELETE_HORIZON = 0x40,
};

enum sl_codec {
	SL_CODEC_NONE = 0,
	SL_CODEC_GZIP = 1,
	SL_CODEC_SNAPPY = 2,
	SL_CODEC_LZ4 = 3,
	SL_CODEC_ZSTD = 4,
	SL_CODEC_CNT,
};

/* Largest batch that a log takes, header included: it must lie whole in one write stripe. */
#define SL_BATCH_MAX_BYTES (2u * 1024 * 1024 - 4096)

SL_INLINE int64_t sl_batch_base_offset(const uint8_t *b)
{
	return (int64_t)sl_be64(b + SL_BATCH_BASE_OFFSET_OFF);
}
SL_INLINE int32_t sl_batch_length(const uint8_t *b)
{
	return (int32_t)sl_be32(b + SL_BATCH_LENGTH_OFF);
}
/* Bytes of the whole batch. Meaningless (may wrap) unless sl_batch_length() is >= 49. */
SL_INLINE uint32_t sl_batch_total(const uint8_t *b)
{
	return (uint32_t)sl_batch_length(b) + SL_BATCH_LEN_BIAS;
}
SL_INLINE int32_t sl_batch_leader_epoch(const uint8_t *b)
{
	return (int32_t)sl_be32(b + SL_BATCH_LEADER_EPOCH_OFF);
}
SL_INLINE uint8_t sl_batch_magic(const uint8_t *b)
{
	return b[SL_BATCH_MAGIC_OFF];
}
SL_INLINE uint32_t sl_batch_crc(const uint8_t *b)
{
	return sl_be32(b + SL_BATCH_CRC_OFF);
}
SL_INLINE int16_t sl_batch_attrs(const uint8_t *b)
{
	return (int16_t)sl_be16(b + SL_BATCH_ATTRS_OFF);
}
SL_INLINE int32_t sl_batch_last_delta(const uint8_t *b)
{
	return (int32_t)sl_be32(b + SL_BATCH_LAST_DELTA_OFF);
}
SL_INLINE int64_t sl_batch_last_offset(const uint8_t *b)
{
	return sl_batch_base_offset(b) + sl_batch_last_delta(b);
}
SL_INLINE int64_t sl_batch_base_ts(const uint8_t *b)
{
	return (int64_t)sl_be64(b + SL_BATCH_BASE_TS_OFF);
}
SL_INLINE int64_t sl_batch_max_ts(const uint8_t *b)
{
	return (int64_t)sl_be64(b + SL_BATCH_MAX_TS_OFF);
}
SL_INLINE int64_t sl_batch_pid(const uint8_t *b)
{
	return (int64_t)sl_be64(b + SL_BATCH_PID_OFF);
}
SL_INLINE int16_t sl_batch_pepoch(const uint8_t *b)
{
	return (int16_t)sl_be16(b + SL_BATCH_PEPOCH_OFF);
}
SL_INLINE int32_t sl_batch_base_seq(const uint8_t *b)
{
	return (int32_t)sl_be32(b + SL_BATCH_BASE_SEQ_OFF);
}
SL_INLINE int32_t sl_batch_count(const uint8_t *b)
{
	return (int32_t)sl_be32(b + SL_BATCH_COUNT_OFF);
}
SL_INLINE void sl_batch_set_base_offset(uint8_t *b, int64_t off)
{
	sl_put_be64(b + SL_BATCH_BASE_OFFSET_OFF, (uint64_t)off);
}
SL_INLINE void sl_batch_set_leader_epoch(uint8_t *b, int32_t epoch)
{
	sl_put_be32(b + SL_BATCH_LEADER_EPOCH_OFF, (uint32_t)epoch);
}

#endif
