/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_cfg_table.h - the rows of the table of topic settings, for those who make tables of them at
 * compile time: topic_cfg.c and the config file's keys. Everybody else reads topic_cfg.h.
 *
 * SL_TOPIC_SETTINGS(S, N, E, T): S for segment.bytes, whose default is storage.segment; N for other
 * numbers; E for words; T for words that only a topic has: ours, without a broker setting that
 * would be the default of all topics, because kafka.config has Kafka's names and nothing else, and
 * because a topic opts in by itself. Each is called with
 *   S, N  (topic's name, broker's name, field of struct sl_topic_cfg, enum sl_setting_type without
 *         its prefix, least, largest, default, help)
 *   E     (topic's name, broker's name, field, type, list of words, default's word, default, help)
 *   T     (topic's name, field, type, list of words, default's word, default, help)
 * and a list of words calls its argument with (word, value, later). The order is that of the bits
 * in a `set` mask, which nobody stores, and of the pages that are made from it.
 *
 * Ranges are Kafka's (org.apache.kafka.storage.internals.log.LogConfig, 4.x), but for what this log
 * bounds more tightly: segments and batches.
 */
#ifndef SL_PLATFORM_BASE_TOPIC_CFG_TABLE_H
#define SL_PLATFORM_BASE_TOPIC_CFG_TABLE_H

#include "sluice/batch.h"
#include "sluice/store.h"

#define SL_TOPIC_SETTING_FOREVER 9223372036854775807

#define SL_WORDS_TS_TYPE(W)                                                                        \
	W("CreateTime", SL_TS_CREATE_TIME, false)                                                  \
	W("LogAppendTime", SL_TS_LOG_APPEND_TIME, false)

#define SL_WORDS_COMPRESSION(W)                                                                    \
	W("producer", SL_COMP_PRODUCER, false)                                                     \
	W("uncompressed", SL_CODEC_NONE, false)                                                    \
	W("gzip", SL_CODEC_GZIP, false)                                                            \
	W("snappy", SL_CODEC_SNAPPY, false)                                                        \
	W("lz4", SL_CODEC_LZ4, false)                                                              \
	W("zstd", SL_CODEC_ZSTD, false)

/* A row is read as one, not as a column of its fields. */
/* clang-format off */
#define SL_WORDS_CLEANUP(W)                                                                        \
	W("delete", false, false)                                                                  \
	W("compact", true, true)                                                                   \
	W("compact,delete", true, true)                                                            \
	W("delete,compact", true, true)

#define SL_WORDS_ACKS_ALL(W)                                                                       \
	W("synced", false, false)                                                                  \
	W("central", true, false)

#define SL_TOPIC_SETTINGS(S, N, E, T)                                                              \
	S("segment.bytes", "log.segment.bytes", segment_bytes, INT, 1048576, 1073741824, 67108864, \
	  "Size of a segment file in bytes.")                                                      \
	N("retention.ms", "log.retention.ms", retention_ms, LONG, -1,                              \
	  SL_TOPIC_SETTING_FOREVER, 604800000,                                                     \
	  "Records older than this are deleted, in ms; -1: no limit.")                             \
	N("retention.bytes", "log.retention.bytes", retention_bytes, LONG, -1,                     \
	  SL_TOPIC_SETTING_FOREVER, -1,                                                            \
	  "Bytes that a partition keeps; -1: no limit but `storage.budget`.")                      \
	N("segment.ms", "log.roll.ms", segment_ms, LONG, 1, SL_TOPIC_SETTING_FOREVER, 604800000,   \
	  "A segment is closed after this many ms even if it is not full.")                        \
	N("max.message.bytes", "message.max.bytes", max_message_bytes, INT, 0, SL_BATCH_MAX_BYTES, \
	  1048588, "Largest record batch that is taken, in bytes.")                                \
	N("index.interval.bytes", "log.index.interval.bytes", index_interval_bytes, INT, 0,        \
	  INT32_MAX, 4096, "Bytes of log per entry of the index.")                                 \
	N("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms",                \
	  ts_before_max_ms, LONG, 0, SL_TOPIC_SETTING_FOREVER, 9223372036854775807,                \
	  "How far before now a producer's CreateTime may lie, in ms.")                            \
	N("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms",                  \
	  ts_after_max_ms, LONG, 0, SL_TOPIC_SETTING_FOREVER, 9223372036854775807,                 \
	  "How far after now a producer's CreateTime may lie, in ms.")                             \
	E("message.timestamp.type", "log.message.timestamp.type", ts_type, STRING,                 \
	  SL_WORDS_TS_TYPE, "CreateTime", SL_TS_CREATE_TIME,                                       \
	  "Whose clock stamps records: the producer's, or the box's on append.")                   \
	E("compression.type", "compression.type", compression, STRING, SL_WORDS_COMPRESSION,       \
	  "producer", SL_COMP_PRODUCER, "Codec of stored batches; `producer` keeps what came.")    \
	E("cleanup.policy", "log.cleanup.policy", compact, LIST, SL_WORDS_CLEANUP, "delete",       \
	  false, "What happens to old segments.")                                                  \
	T("sluice.acks.all", acks_central, STRING, SL_WORDS_ACKS_ALL, "synced", false,             \
	  "When acks=all is answered: `synced` here, or when the `central` cluster has the record.")
/* clang-format on */

#endif
