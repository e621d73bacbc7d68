/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carried.h - which topics the uplink carries: asked by the uplink itself, by who lets a topic opt
 * in to acks=all at the centre, and by the check of the config file. Pure; any thread.
 */
#ifndef SL_PLATFORM_BASE_CARRIED_H
#define SL_PLATFORM_BASE_CARRIED_H

#include "sluice/config.h"

/*
 * There is an uplink, and its topics name this one, or `*` and it is neither internal ("__...") nor
 * copied down from the centre. `cfg` NULL: false.
 */
bool sl_uplink_carries(const struct sl_config *cfg, const char *topic, size_t len);

#endif
