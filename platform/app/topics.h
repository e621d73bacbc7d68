/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics.h - the config's topics and what the store has of earlier runs, brought together at a
 * start.
 */
#ifndef SL_APP_TOPICS_H
#define SL_APP_TOPICS_H

#include "sluice/config.h"

/*
 * Topics of earlier runs get what the file says now, under what an admin set through the Kafka
 * port; they grow to the file's partitions, never shrink. Those that the file names and that are
 * missing are made. A sentence in err on failure. Control; blocks.
 */
SL_MUST_CHECK int sl_topics_settle(struct sl_store *s, const struct sl_config *c, char *err,
				   size_t errlen);

#endif
