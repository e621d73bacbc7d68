/* SPDX-License-Identifier: Apache-2.0 */
/* client_props.h - which of librdkafka's settings uplink.client may have. Any thread. */
#ifndef SL_CONFIG_CLIENT_PROPS_H
#define SL_CONFIG_CLIENT_PROPS_H

#include "sluice/base.h"

/* Why a setting is not the user's, as the rest of a sentence that begins with its name; NULL: it
 * may be set. Names that librdkafka does not know are its own to refuse. */
const char *sl_client_why_not(const char *name);
/* True if the value is a secret: it does not belong into a config in clear text. */
bool sl_client_is_secret(const char *name);
/* True if the value is the path of a file. */
bool sl_client_is_path(const char *name);

#endif
