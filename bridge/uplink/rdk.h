/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rdk.h - librdkafka as the uplink uses it: client settings, instances with bounded logs, and what
 * its errors ask for. Shared by the sink (sink_rdkafka.c) and the mirror (mirror.c).
 */
#ifndef SL_BRIDGE_UPLINK_RDK_H
#define SL_BRIDGE_UPLINK_RDK_H

#include <librdkafka/rdkafka.h>

#include "platform/base/log.h"
#include "sink.h"

#define SL_RDK_TEXT 256 /* bytes of a sentence */
/* Of key, value and headers together: what a cursor hands out, and below the 100 MiB that a
 * broker takes as one request by default. */
#define SL_RDK_MESSAGE_MAX (64u * 1024 * 1024 + 65536)

/* ---- settings -------------------------------------------------------------------------------- */

/* A copy, so that a thread that hangs in the library needs no config of ours any more. */
struct sl_rdk_settings {
	char gateway[SL_CFG_NAME_MAX];
	char bootstrap[SL_CFG_TEXT_MAX];
	uint32_t window;
	uint64_t commit_bytes;
	uint32_t prop_cnt;
	struct sl_cfg_prop prop[SL_CFG_PROPS_MAX];
};

void sl_rdk_settings_from(const struct sl_config *cfg, struct sl_rdk_settings *ret_set);
/* Would the library take them? -EINVAL with a sentence: a property that it does not know, a value
 * that it refuses, one that is the uplink's own. Files of secrets are not looked at. Control. */
SL_MUST_CHECK int sl_rdk_settings_check(const struct sl_rdk_settings *set, char *err,
					size_t errlen);

/* ---- instances ------------------------------------------------------------------------------- */

enum sl_rdk_kind {
	SL_RDK_PRODUCER, /* transactional; delivery reports and errors as events of its main queue
			  */
	SL_RDK_READER,   /* simple consumer without a group, read_committed: positions */
	SL_RDK_MIRROR,   /* the same for more data */
};

struct sl_rdk_client {
	rd_kafka_t *rk;
	enum sl_rdk_kind kind;
	struct sl_log_limit limit;
};

/* Reads files of secrets; starts threads, connects later. -EINVAL, -EACCES (a secret cannot be
 * read), -ENOMEM with a sentence. Blocks as file reads do. */
SL_MUST_CHECK int sl_rdk_client_new(const struct sl_rdk_settings *set, enum sl_rdk_kind kind,
				    struct sl_rdk_client **ret_client, char *err, size_t errlen);
/* No call into it is under way, no handle of it is left. Blocks shortly, for as long as a name is
 * being resolved at worst. Accepts NULL. */
void sl_rdk_client_free(struct sl_rdk_client *c);

/* ---- errors ---------------------------------------------------------------------------------- */

/* What became of a record that was not delivered. */
enum sl_rdk_report {
	SL_RDK_REFUSED, /* for good: its own fault, or of one in the same batch */
	SL_RDK_UNSENT,  /* purged, timed out, the transaction failed: the same again may go well */
	SL_RDK_GONE,    /* there is no such topic or partition */
	SL_RDK_DENIED,
};
enum sl_rdk_report sl_rdk_report_of(rd_kafka_resp_err_t err);

/* What a failed call of the transaction API asks for. Pure. */
enum sl_sink_class sl_rdk_class_of(rd_kafka_resp_err_t err, bool fatal, bool abort, bool retriable);
/* The same of an error object, which it frees; its code and a sentence. */
enum sl_sink_class sl_rdk_class_take(rd_kafka_error_t *e, int *ret_code, char *text, size_t len);
/* What a request about a topic that failed with this asks for: RETRY or DENIED. */
enum sl_sink_class sl_rdk_topic_class(rd_kafka_resp_err_t err);
bool sl_rdk_denied(rd_kafka_resp_err_t err);

#endif
