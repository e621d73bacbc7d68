/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alter.h - what AlterConfigs and IncrementalAlterConfigs share: both name resources with settings,
 * the former replaces all that a topic has of its own, the latter changes what it names.
 *
 * Per resource all or nothing. The order of checks and the sentences follow Apache Kafka's
 * ConfigAdminManager and ConfigurationControlManager. A worker.
 */
#ifndef SL_BRIDGE_KAFKA_ALTER_H
#define SL_BRIDGE_KAFKA_ALTER_H

#include "settings.h"

enum sl_kalter_op { SL_KALTER_SET, SL_KALTER_DELETE, SL_KALTER_APPEND, SL_KALTER_SUBTRACT };

struct sl_kalter_cfg {
	bool replace; /* AlterConfigs: elements have no operation, what is not named goes */
};

/* A sl_kadmin_fn with the difference. */
int sl_kalter_run(struct sl_kreq *r, const struct sl_kalter_cfg *cfg);

#endif
