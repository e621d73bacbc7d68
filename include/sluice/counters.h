/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - the loss ledger's raw figures, in a file that outlives the process.
 *
 * <data>/state/counters is mapped MAP_SHARED. Each lcore and each port has lines of its own: one
 * writer, plain (relaxed) stores, no publishing step; readers add up. The file names every row,
 * so a version with more rows reads an older file. Byte table: docs/formats/counters.md.
 *
 * Every frame that an ingest lcore received is counted in exactly one row of SL_FRAME_ROWS; `rx`
 * is stored last in a burst, so after a kill -9 the start makes rx equal to the sum of the rows.
 */
#ifndef SLUICE_COUNTERS_H
#define SLUICE_COUNTERS_H

#include "sluice/base.h"
#include "sluice/store.h"

/* group, id, name: the group is the ledger's bucket, the name the reason in it. */
/* clang-format off: a table */
#define SL_FRAME_ROWS(X)                                                                           \
	X(OTHER, OTHER, "other") /* not for us: other ethertype, protocol, port, address */        \
	X(BAD, BAD_L2_SHORT, "l2_short")     /* shorter than its Ethernet and VLAN headers */      \
	X(BAD, BAD_L2_LENGTH, "l2_length")   /* 802.3 length instead of a type */                  \
	X(BAD, BAD_VLAN_DEPTH, "vlan_depth") /* a third VLAN tag */                                \
	X(BAD, BAD_IP_VERSION, "ip_version")                                                       \
	X(BAD, BAD_IP_HEADER,                                                                      \
	  "ip_header") /* IHL < 5, total < IHL, extension headers beyond bounds */                 \
	X(BAD, BAD_IP_CHECKSUM, "ip_checksum")                                                     \
	X(BAD, BAD_IP_SOURCE, "ip_source")   /* multicast, loopback, unspecified, our own */       \
	X(BAD, BAD_TRUNCATED, "truncated")   /* frame shorter than its IP or UDP length */         \
	X(BAD, BAD_UDP_LENGTH, "udp_length") /* < 8 or beyond the IP payload */                    \
	X(BAD, BAD_UDP_CHECKSUM, "udp_checksum")                                                   \
	X(BAD, BAD_UDP_PORT, "udp_port") /* source or destination port 0 */                        \
	X(FRAGMENT, FRAG_V4, "ipv4")                                                               \
	X(FRAGMENT, FRAG_V6, "ipv6")                                                               \
	X(REFUSED, REFUSED_EMPTY, "empty") /* empty datagram where the protocol wants bytes */     \
	X(REFUSED, REFUSED_TOO_LARGE, "too_large") /* larger than max.message.bytes allows */      \
	X(CONTROL, CONTROL_ECHO, "echo") /* replies of later protocols count here by type */       \
	X(DUPLICATE, DUPLICATE, "duplicate")                                                       \
	X(LIMITED, LIMITED, "limited")                                                             \
	X(RING_FULL, RING_FULL, "ring_full") /* no free batch: the writer lags */                  \
	X(ACCEPTED, ACCEPTED, "accepted")    /* framed into an open batch */
/* clang-format on */

enum sl_frame_group {
	SL_FG_OTHER,
	SL_FG_BAD,
	SL_FG_FRAGMENT,
	SL_FG_REFUSED,
	SL_FG_CONTROL,
	SL_FG_DUPLICATE,
	SL_FG_LIMITED,
	SL_FG_RING_FULL,
	SL_FG_ACCEPTED,
};

enum sl_frame_row {
#define X(group, id, name) SL_FR_##id,
	SL_FRAME_ROWS(X)
#undef X
		SL_FRAME_ROW_CNT
};

/* Beside the ledger: what a record looked like though it was stored. Named, per lcore. */
/* clang-format off: a table */
#define SL_NOTE_ROWS(X)                                                                            \
	X(SYSLOG_NO_PRI, "syslog_no_pri")                                                          \
	X(SYSLOG_BAD_DATE, "syslog_bad_date")                                                      \
	X(SYSLOG_BAD_SD, "syslog_bad_structured_data")                                             \
	X(SYSLOG_BINARY, "syslog_binary") /* NUL or other control bytes, or not UTF-8 */           \
	X(SYSLOG_RFC5424, "syslog_rfc5424")                                                        \
	X(SYSLOG_RFC3164, "syslog_rfc3164")                                                        \
	X(KEY_MISSING, "key_missing")       /* the key rule found nothing: keyed by source */      \
	X(CSUM_TRUSTED, "checksum_trusted") /* only the pseudo-header's sum was in the frame */    \
	X(BATCHES, "batches")               /* closed and handed over */
/* clang-format on */
enum sl_note_row {
#define X(id, name) SL_NR_##id,
	SL_NOTE_ROWS(X)
#undef X
		SL_NOTE_ROW_CNT
};

struct sl_ctr_lcore { /* one ingest lcore writes */
	uint64_t rx;  /* frames taken from its queues */
	uint64_t frame[SL_FRAME_ROW_CNT];
	uint64_t note[SL_NOTE_ROW_CNT];
	uint64_t in_open; /* records in open batches now: set, not added */
	uint64_t handed;  /* records handed to writers */
	uint64_t in_hand; /* frames of a capture not due yet: set, not added */
	uint64_t reserved[7];
} SL_ALIGNED(SL_CACHELINE);

struct sl_ctr_writer {                    /* one writer thread writes */
	uint64_t appended[SL_ORIGIN_CNT]; /* records */
	uint64_t appended_bytes[SL_ORIGIN_CNT];
	uint64_t failed[SL_ORIGIN_CNT][SL_APPEND_REASON_CNT]; /* records */
	uint64_t
		taken; /* records of ingest lcores taken from the rings (appended or failed next) */
	/* the append under way: tells a start whether `appended` already includes it */
	uint64_t intent_seq; /* odd while an append is between publish and count */
	uint64_t intent_origin;
	uint64_t intent_records;
	uint64_t intent_bytes;
	uint64_t intent_end;        /* log end that the append publishes */
	uint64_t intent_part;       /* partition number << 32 | the topic id's first 4 bytes */
	uint64_t intent_prev;       /* appended[intent_origin] before it */
	uint64_t intent_prev_bytes; /* appended_bytes[intent_origin] before it */
	uint64_t reserved[6];
} SL_ALIGNED(SL_CACHELINE);

struct sl_ctr_port {   /* the port's control thread writes */
	uint64_t wire; /* frames that reached the back end */
	uint64_t lost_by_device;
	uint64_t reserved[6];
} SL_ALIGNED(SL_CACHELINE);

/*
 * What the bridges did. MQTT in: received = stored + duplicate + the skipped_ and refused_ rows;
 * what was never handed over stands beside it.
 */
/* clang-format off: a table */
#define SL_BRIDGE_ROWS(X)                                                                          \
	X(MQTT_RECEIVED, "mqtt_received") /* messages taken from plugins and brokers */            \
	X(MQTT_STORED, "mqtt_stored")                                                              \
	X(MQTT_DUPLICATE, "mqtt_duplicate")       /* handed over twice, was in the log already */  \
	X(MQTT_NO_MATCH, "mqtt_skipped_no_match") /* acknowledged, stored nowhere */               \
	X(MQTT_BAD_TOPIC, "mqtt_skipped_bad_topic")                                                \
	X(MQTT_BAD_NAME, "mqtt_skipped_bad_name")                                                  \
	X(MQTT_RETAINED, "mqtt_skipped_retained")                                                  \
	X(MQTT_REF_DISK, "mqtt_refused_disk_full") /* pushed back, never acknowledged */           \
	X(MQTT_REF_LARGE, "mqtt_refused_too_large")                                                \
	X(MQTT_REF_FAILED, "mqtt_refused_failed")                                                  \
	X(MQTT_REF_TOPICS, "mqtt_refused_max_topics") /* mqtt.max_topics is reached */             \
	X(MQTT_REF_SHUTDOWN, "mqtt_refused_shutdown")                                              \
	X(MQTT_LOST_QOS0, "mqtt_lost_qos0")     /* never handed over: daemon away, ring full */    \
	X(MQTT_PUSHED_BACK, "mqtt_pushed_back") /* QoS 1 and 2 that the plugin refused */          \
	X(MQTT_EXPIRED_WAITS, "mqtt_waits_expired")  /* of them */                                 \
	X(MQTT_LOST_BROKER, "mqtt_lost_from_broker") /* acked by the library, then not stored */   \
	X(MQTT_CUT_PROPS,                                                                          \
	  "mqtt_properties_cut") /* user properties beyond the 64th of a message */                \
	X(DOWN_SENT, "downlink_sent")                                                              \
	X(DOWN_EXPIRED, "downlink_expired")                                                        \
	X(DOWN_BAD, "downlink_bad")   /* no legal MQTT topic came out, or too large */             \
	X(DOWN_GONE, "downlink_gone") /* deleted or damaged before they were sent */               \
	X(UP_COMMITS, "uplink_commits")                                                            \
	X(UP_ABORTS, "uplink_aborts")                                                              \
	X(UP_REBUILDS, "uplink_rebuilds") /* a new producer after a fatal error */                 \
	X(UP_FENCES, "uplink_fences")                                                              \
	X(UP_TOPICS_REMADE, "uplink_topics_remade") /* deleted at the centre, made again */        \
	X(UP_DAMAGED, "uplink_damaged")             /* records that could not be read */           \
	X(MIRRORED, "mirrored")                     /* records copied down */
/* clang-format on */
enum sl_bridge_row {
#define X(id, name) SL_BR_##id,
	SL_BRIDGE_ROWS(X)
#undef X
		SL_BRIDGE_ROW_CNT
};
const char *sl_bridge_row_name(enum sl_bridge_row r); /* any thread */

/* A line of these rows for each thread that counts them. */
enum sl_bridge_line {
	SL_CTR_MQTT_IN,
	SL_CTR_DOWNLINK,
	SL_CTR_UPLINK,
	SL_CTR_MIRROR,
	SL_CTR_BRIDGES
};

struct sl_ctr_bridge { /* its thread writes */
	uint64_t row[SL_BRIDGE_ROW_CNT];
	uint64_t reserved[7];
} SL_ALIGNED(SL_CACHELINE);

struct sl_ctr_global {          /* the control thread writes, at start */
	uint64_t lost_at_crash; /* accepted, then neither appended nor failed when the process died
				 */
	uint64_t crashes;       /* starts that found no clean stop */
	uint64_t starts;
	uint64_t reserved[13];
} SL_ALIGNED(SL_CACHELINE);

#define SL_CTR_LCORES  32
#define SL_CTR_WRITERS SL_STORE_WRITERS_MAX
#define SL_CTR_PORTS   32

struct sl_counters {          /* the mapped file */
	uint8_t header[4096]; /* magic, version, sizes, row names */
	struct sl_ctr_global global;
	struct sl_ctr_lcore lcore[SL_CTR_LCORES];
	struct sl_ctr_writer writer[SL_CTR_WRITERS];
	struct sl_ctr_port port[SL_CTR_PORTS];
	struct sl_ctr_bridge bridge[SL_CTR_BRIDGES];
};

/* Opens or makes the file and maps it; a file of another layout is taken over row by row.
 * -EPROTO: newer version, file untouched. A file that is not ours is set aside as <path>.bad, a new
 * one is made, and *ret_reset (may be NULL) is true. Control; blocks. platform/base. */
SL_MUST_CHECK int sl_counters_open(const char *path, struct sl_counters **ret_ctr, bool *ret_reset);
/* Anonymous memory instead of a file: unit tests, benches. */
SL_MUST_CHECK int sl_counters_anon(struct sl_counters **ret_ctr);
int sl_counters_checkpoint(struct sl_counters *c); /* msync; control; blocks */
void sl_counters_close(struct sl_counters *c);     /* accepts NULL */

const char *sl_frame_row_name(enum sl_frame_row r);
enum sl_frame_group sl_frame_row_group(enum sl_frame_row r);
const char *sl_frame_group_name(enum sl_frame_group g);
const char *sl_note_row_name(enum sl_note_row r);
const char *sl_origin_name(enum sl_origin o);

/* After a kill -9: makes rx the sum of the line's rows; returns by how much it rose. Control,
 * before the lcore starts. */
int64_t sl_counters_lcore_rx_fix(struct sl_ctr_lcore *l);

/* One writer per line: a relaxed load, add, store; readers on other threads see whole values. */
SL_INLINE void sl_ctr_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}
SL_INLINE void sl_ctr_set(uint64_t *c, uint64_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}
SL_INLINE uint64_t sl_ctr_get(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

#endif
