/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - where a data directory lies, in names that outlive a reboot and do not outlive a
 * copy: docs/formats/uplink-state.md says which and why.
 */
#ifndef SL_BRIDGE_UPLINK_IDENTITY_H
#define SL_BRIDGE_UPLINK_IDENTITY_H

#include "sluice/base.h"

struct sl_up_identity {
	char uuid[64]; /* of the file system; "-": not told */
	char fsid[20]; /* f_fsid where it is made of the UUID; "-" */
	uint64_t inode;
};

/* -errno of open(2) and stat(2). Control; blocks. */
SL_MUST_CHECK int sl_up_identity_read(const char *data, struct sl_up_identity *ret_id);
bool sl_up_identity_same(const struct sl_up_identity *a, const struct sl_up_identity *b);

#endif
