/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "rdk.h"

/* ---- tables ---------------------------------------------------------------------------------- */

/* What a broker says of a record that it will never take, whoever sends it how often. */
static const rd_kafka_resp_err_t refusals[] = {
	RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
	RD_KAFKA_RESP_ERR_INVALID_MSG,        RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
	RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,  RD_KAFKA_RESP_ERR_INVALID_RECORD,
	RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
};

static const rd_kafka_resp_err_t gone[] = {
	RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
	RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
	RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
};

static const rd_kafka_resp_err_t denied[] = {
	RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
	RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM,
	RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE,
	RD_KAFKA_RESP_ERR_SECURITY_DISABLED,
	RD_KAFKA_RESP_ERR__AUTHENTICATION,
	/* nor does any of these change by trying again */
	RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
	RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT,
	RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
};

/* A newer epoch of our transactional id, or what remains of a transaction that the coordinator has
 * ended by its timeout: they look the same. */
static const rd_kafka_resp_err_t fences[] = {
	RD_KAFKA_RESP_ERR__FENCED,
	RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
	RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
};

/* Of CreateTopics: what an operator has to change. */
static const rd_kafka_resp_err_t topic_denied[] = {
	RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
	RD_KAFKA_RESP_ERR_INVALID_CONFIG,   RD_KAFKA_RESP_ERR_INVALID_REQUEST,
	RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,  RD_KAFKA_RESP_ERR__INVALID_ARG,
};

#define HAS(table, err) has(table, SL_ARRAY_SIZE(table), err)

static bool has(const rd_kafka_resp_err_t *t, size_t n, rd_kafka_resp_err_t err)
{
	for (size_t i = 0; i < n; i++)
		if (t[i] == err)
			return true;
	return false;
}

/* ---- what they ask for ----------------------------------------------------------------------- */

bool sl_rdk_denied(rd_kafka_resp_err_t err)
{
	return HAS(denied, err);
}

enum sl_rdk_report sl_rdk_report_of(rd_kafka_resp_err_t err)
{
	if (HAS(refusals, err))
		return SL_RDK_REFUSED;
	if (HAS(gone, err))
		return SL_RDK_GONE;
	return HAS(denied, err) ? SL_RDK_DENIED : SL_RDK_UNSENT;
}

enum sl_sink_class sl_rdk_class_of(rd_kafka_resp_err_t err, bool fatal, bool abort, bool retriable)
{
	if (HAS(denied, err))
		return SL_SINK_DENIED;
	if (HAS(fences, err))
		return SL_SINK_FENCED;
	if (fatal)
		return SL_SINK_REBUILD;
	if (abort)
		return SL_SINK_ABORT;
	return retriable ? SL_SINK_RETRY : SL_SINK_REBUILD; /* none of the three: as fatal */
}

enum sl_sink_class sl_rdk_class_take(rd_kafka_error_t *e, int *ret_code, char *text, size_t len)
{
	rd_kafka_resp_err_t err = rd_kafka_error_code(e);
	enum sl_sink_class class = sl_rdk_class_of(err, rd_kafka_error_is_fatal(e),
						   rd_kafka_error_txn_requires_abort(e),
						   rd_kafka_error_is_retriable(e));

	*ret_code = err > 0 ? (int)err : 0;
	snprintf(text, len, "%s (%s)", rd_kafka_error_string(e), rd_kafka_error_name(e));
	rd_kafka_error_destroy(e);
	return class;
}

enum sl_sink_class sl_rdk_topic_class(rd_kafka_resp_err_t err)
{
	return HAS(denied, err) || HAS(topic_denied, err) ? SL_SINK_DENIED : SL_SINK_RETRY;
}
