/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.h - Kafka's error codes, as far as they are answered here, and the one place where an
 * -errno of ours becomes one. Source: org.apache.kafka.common.protocol.Errors.
 */
#ifndef SL_BRIDGE_KAFKA_ERRORS_H
#define SL_BRIDGE_KAFKA_ERRORS_H

#include "sluice/base.h"

enum sl_kerr {
	SL_KERR_UNKNOWN_SERVER_ERROR = -1,
	SL_KERR_NONE = 0,
	SL_KERR_OFFSET_OUT_OF_RANGE = 1,
	SL_KERR_CORRUPT_MESSAGE = 2, /* retriable */
	SL_KERR_UNKNOWN_TOPIC_OR_PARTITION = 3,
	SL_KERR_REQUEST_TIMED_OUT = 7,
	SL_KERR_MESSAGE_TOO_LARGE = 10,
	SL_KERR_INVALID_TOPIC_EXCEPTION = 17,
	SL_KERR_RECORD_LIST_TOO_LARGE = 18,
	SL_KERR_INVALID_REQUIRED_ACKS = 21,
	SL_KERR_INVALID_TIMESTAMP = 32,
	SL_KERR_UNSUPPORTED_VERSION = 35,
	SL_KERR_INVALID_REQUEST = 42,
	SL_KERR_POLICY_VIOLATION = 44,
	SL_KERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45,
	SL_KERR_INVALID_PRODUCER_EPOCH = 47,
	SL_KERR_INVALID_TXN_STATE = 48,
	SL_KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
	SL_KERR_KAFKA_STORAGE_ERROR = 56,
	SL_KERR_FETCH_SESSION_ID_NOT_FOUND = 70,
	SL_KERR_FENCED_LEADER_EPOCH = 74,
	SL_KERR_UNKNOWN_LEADER_EPOCH = 75,
	SL_KERR_UNSUPPORTED_COMPRESSION_TYPE = 76,
	SL_KERR_INVALID_RECORD = 87,
	SL_KERR_UNKNOWN_TOPIC_ID = 100,
};

/* What sl_store_append() said, for a Produce answer; 0 and -EEXIST are success. Any thread. */
int16_t sl_kerr_of_append(int err);
/* What a read or an offset lookup said. Any thread. */
int16_t sl_kerr_of_read(int err);
/* What creating a topic said. Any thread. */
int16_t sl_kerr_of_create(int err);

#endif
