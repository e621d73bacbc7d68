/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror_pos.h - where a mirrored partition goes on: the file <data>/state/mirror, and what the
 * local log itself tells. Byte table: docs/formats/mirror.md. Control or the mirror's thread;
 * blocks on the disk.
 */
#ifndef SL_BRIDGE_UPLINK_MIRROR_POS_H
#define SL_BRIDGE_UPLINK_MIRROR_POS_H

#include "bridge/cursor/cursor.h"

#define SL_MPOS_MAX        SL_STORE_PARTS_MAX /* lines */
#define SL_MPOS_HDR_PART   "sluice.central.partition"
#define SL_MPOS_HDR_OFFSET "sluice.central.offset"

struct sl_mpos { /* everything below `central` there was copied before `local` here */
	char topic[SL_TOPIC_NAME_MAX + 1];
	uint8_t id[16]; /* of the local topic */
	int32_t partition;
	int64_t local, central;
};

struct sl_mpos_file {
	struct sl_mpos *pos;
	uint32_t cnt, cap;
};

/* *f is empty at first. 0; -ENOENT; -EILSEQ: damaged, -EPROTO: newer: then it is empty; -ENOMEM. */
SL_MUST_CHECK int sl_mpos_read(const char *path, struct sl_mpos_file *f);
/* Replaces the file. -errno. */
SL_MUST_CHECK int sl_mpos_write(const char *path, const struct sl_mpos_file *f);
void sl_mpos_fini(struct sl_mpos_file *f); /* accepts zeroed */
/* NULL if there is none. Valid until the next set. */
struct sl_mpos *sl_mpos_find(const struct sl_mpos_file *f, const char *topic, const uint8_t id[16],
			     int32_t partition);
/* Adds or replaces. -ENOMEM; -E2BIG. */
SL_MUST_CHECK int sl_mpos_set(struct sl_mpos_file *f, const struct sl_mpos *pos);

/* The offset at the centre that the headers name for this partition; -1: they do not. Pure. */
int64_t sl_mpos_of_headers(const struct sl_hdr *hdr, uint32_t cnt, int32_t partition);
/* Next offset to copy from the centre; -1: nothing was ever copied. `known` may be NULL. -EIO,
 * -ENOMEM, -ENOENT from reading. */
SL_MUST_CHECK int sl_mpos_recover(struct sl_cursor_mem *mem, struct sl_part *part,
				  const struct sl_mpos *known, int64_t *ret_next);

#endif
