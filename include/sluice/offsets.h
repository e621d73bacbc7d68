/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offsets.h - committed group offsets for those inside the daemon that consume a topic: the same
 * offsets that Kafka clients see with OffsetFetch, in __consumer_offsets. bridge/kafka implements
 * it; platform/app passes it on.
 */
#ifndef SLUICE_OFFSETS_H
#define SLUICE_OFFSETS_H

#include "sluice/base.h"

struct sl_offsets_ops {
	/*
	 * What is committed: *ret_offset, -1 if nothing is. -EAGAIN: the coordinator is not there
	 * now, ask again. Blocks for at most 5 s (-ETIMEDOUT); -ESHUTDOWN; -EINVAL: a name too
	 * long; -ENOMEM. Any thread but lcores and the network thread.
	 */
	int (*fetch)(void *arg, const char *group, const char *topic, int32_t partition,
		     int64_t *ret_offset);
	/*
	 * Commits as a consumer without members would (generation -1); such a commit does not
	 * expire. Synced when it returns 0 (with offsets.commit.required.acks 1: logged).
	 * `metadata` may be NULL. -EBUSY: the group has members; -ENOENT: no such partition;
	 * -ENOSPC: beyond kafka.max_offsets or .max_groups; -EMSGSIZE: metadata too long; -EIO; the
	 * rest as above; after -ETIMEDOUT it may still be committed. Blocks.
	 */
	int (*commit)(void *arg, const char *group, const char *topic, int32_t partition,
		      int64_t offset, const char *metadata);
};

#endif
