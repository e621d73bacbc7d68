/* SPDX-License-Identifier: Apache-2.0 */
/*
 * produce_check.h - what a broker does to a producer's batch before it may enter a log: checks it
 * as Apache Kafka does (ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords,
 * LogValidator), sets its timestamps and, if the topic says so, compresses it anew.
 *
 * Pure: no store, no socket. Any thread; the worker's scratch belongs to one.
 */
#ifndef SL_BRIDGE_KAFKA_PRODUCE_CHECK_H
#define SL_BRIDGE_KAFKA_PRODUCE_CHECK_H

#include "errors.h"
#include "server.h"

#define SL_KCHECK_RECORDS_MAX 100 /* record errors named in one answer */

struct sl_kcheck_in {
	int16_t version;    /* of the Produce request */
	bool transactional; /* it has a transactional id */
	int64_t now_ms;
	const struct sl_topic_cfg *cfg;
};

struct sl_kcheck_record { /* RECORD_ERRORS of the answer, v8+ */
	int32_t index;
	const char *msg; /* constant */
};

struct sl_kcheck {
	int16_t err;     /* enum sl_kerr */
	const char *msg; /* constant, NULL: none */
	uint32_t record_cnt;
	struct sl_kcheck_record *record; /* owned, malloc */
	/* with err 0: */
	uint8_t *batch; /* the caller's bytes, changed in place, or `own` */
	uint32_t len;
	uint32_t records;
	int64_t max_ts_ms;
	int64_t append_time_ms; /* LogAppendTime topics, else -1 */
	uint8_t *own;           /* owned, malloc: compressed anew; NULL: none */
};

/*
 * Checks the `len` bytes of one partition (NULL: null records). *ret is set in any case; the
 * caller gives it to sl_kcheck_fini(). The bytes may be changed even if the check fails.
 */
void sl_kcheck_batch(const struct sl_kcheck_in *in, uint8_t *b, uint32_t len, struct sl_kworker *w,
		     struct sl_kcheck *ret);
void sl_kcheck_fini(struct sl_kcheck *c);     /* accepts zeroed */
void sl_kcheck_free_own(struct sl_kcheck *c); /* it is in the log: the bytes are not needed */

#endif
