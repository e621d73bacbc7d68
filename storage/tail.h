/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.h - the tail journal <data>/state/tail: the unfinished last block of every partition as it
 * was at its last sync, and how far that sync reached.
 *
 * O_DIRECT writes whole blocks and Kafka's batches do not end on one, so the last block of a
 * partition is written again when more comes. A torn rewrite would damage records that are
 * `synced`. Therefore each sync of a partition also writes a slot here, the two slots of a
 * partition in turn, and `synced` is published only when both syncs are complete. The slot that is
 * not being written is always whole, so recovery finds the last published state.
 *
 * A slot is also the durable mark of where the log ended: what lies behind it in a recycled file
 * is somebody else's, however valid it looks. Byte table: docs/formats/tail-journal.md.
 *
 * Threads: writers fill and write slots of their own partitions through their I/O queue; opening,
 * growing and rebuilding are for control and worker threads under the store's create lock.
 */
#ifndef SL_STORAGE_TAIL_H
#define SL_STORAGE_TAIL_H

#include "io.h"
#include "layout.h"

#define SL_TAIL_FILE    "tail"
#define SL_TAIL_MAGIC   0x4c494154u /* "TAIL" */
#define SL_TAIL_VERSION 1u
#define SL_TAIL_SLOT    8192u /* bytes of a slot in the file and of its buffer */
#define SL_TAIL_FRESH   1u    /* flag: the segment file held nothing older */

struct sl_tail_slot { /* host byte order; the block's bytes follow */
	uint32_t magic;
	uint16_t version;
	uint16_t flags;
	uint8_t topic_id[16];
	int32_t part;
	uint32_t len; /* bytes of the block that follow, < SL_IO_BLOCK */
	int64_t seg_base;
	uint64_t block_pos; /* of the block in the segment; the log ended at block_pos + len */
	int64_t synced;     /* log end that this sync makes durable */
	uint64_t seq;       /* rises with each slot of a partition */
	uint32_t crc;       /* CRC-32C of header (this field 0) and bytes */
	uint32_t zero;
};
_Static_assert(sizeof(struct sl_tail_slot) == 72, "docs/formats/tail-journal.md");
_Static_assert(sizeof(struct sl_tail_slot) + SL_IO_BLOCK <= SL_TAIL_SLOT, "a slot holds a block");

struct sl_tail {
	int fd;
	bool direct;
	uint32_t parts; /* partitions with two slots each */
};

/* What a sync of a partition says. */
struct sl_tail_mark {
	uint8_t topic_id[16];
	int32_t part;
	bool fresh;
	int64_t seg_base;
	uint64_t end_pos; /* bytes of the segment below the end */
	int64_t synced;
	uint64_t seq;
	const uint8_t *bytes; /* end_pos % SL_IO_BLOCK of them: borrowed */
};

/* Fills an SL_TAIL_SLOT buffer, zeros behind it. Returns the bytes to write (whole blocks). Any. */
uint32_t sl_tail_fill(const struct sl_tail_mark *m, uint8_t *buf);
/* Where the slot of a partition's sync number `seq` lies. */
SL_INLINE uint64_t sl_tail_off(uint32_t part_slot, uint64_t seq)
{
	return ((uint64_t)part_slot * 2 + (seq & 1)) * SL_TAIL_SLOT;
}
/* True if buf holds a whole slot; *m borrows its bytes. */
bool sl_tail_parse(const uint8_t *buf, struct sl_tail_mark *m);

/* Reads the journal of the last run: fn for each whole slot, in no order. -ENOENT: none. */
SL_MUST_CHECK int sl_tail_each(int state_fd, int (*fn)(const struct sl_tail_mark *m, void *arg),
			       void *arg);

/* A new journal under a temporary name; marks are added, then it takes the place of the old one. */
SL_MUST_CHECK int sl_tail_make(struct sl_tail *t, int state_fd, bool direct,
			       const struct sl_io_ops *io);
/* Adds one partition, durable after sl_tail_sync(). Sets *ret_slot; the mark's seq is ignored. */
SL_MUST_CHECK int sl_tail_add(struct sl_tail *t, const struct sl_tail_mark *m, uint32_t *ret_slot);
/* The same for a slot that was another partition's, whose writer has let go of it. */
SL_MUST_CHECK int sl_tail_put(struct sl_tail *t, const struct sl_tail_mark *m, uint32_t slot);
SL_MUST_CHECK int sl_tail_sync(struct sl_tail *t);
SL_MUST_CHECK int sl_tail_publish(struct sl_tail *t, int state_fd);
void sl_tail_fini(struct sl_tail *t); /* accepts zeroed */

#endif
