/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - what each reason of the loss ledger and of the bridges means, in plain words, and
 * what to do.
 */
#ifndef SL_CLI_EXPLAIN_H
#define SL_CLI_EXPLAIN_H

#include "sluice/base.h"

struct sl_explain {
	const char *part;   /* of the status: "ledger", "mqtt", "downlink" */
	const char *bucket; /* in it: "bad", "append_failed", ... */
	const char *reason; /* "" for a bucket without reasons */
	bool record;        /* of the ledger: counts records that were accepted, not frames */
	const char *means;
	const char *todo;
};

extern const struct sl_explain SL_EXPLAIN[];
extern const size_t SL_EXPLAIN_CNT;

/* NULL if this version does not know the reason. */
const struct sl_explain *sl_explain_find(const char *part, const char *bucket, const char *reason);

#endif
