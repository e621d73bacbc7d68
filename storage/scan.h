/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - walking a segment file batch by batch, with every checksum, at start and for index
 * building. Blocking.
 *
 * A scan stops where the expected next batch is not: the caller, who knows how far the log went,
 * decides whether that is a torn tail, damage, or the end.
 */
#ifndef SL_STORAGE_SCAN_H
#define SL_STORAGE_SCAN_H

#include "sluice/base.h"

#define SL_SCAN_BATCH_MAX (64u << 20) /* an imported log may hold larger batches than ours */

enum sl_scan_stop {
	SL_SCAN_LIMIT, /* end_pos or end_off reached */
	SL_SCAN_END,   /* nothing but zeros, or the end of the file */
	SL_SCAN_STALE, /* a whole batch, but not the one that comes next: an earlier life's */
	SL_SCAN_BAD,   /* anything else */
};

struct sl_scan {
	/* in */
	int fd;
	uint32_t end_pos; /* bytes to look at */
	int64_t end_off;  /* stop before a batch at or beyond; INT64_MAX */
	bool strict;      /* offsets follow without a gap, as our own do; else gaps are taken where
			   * the next batch bears them out */
	void (*batch)(void *arg, const uint8_t *b, uint32_t pos, uint32_t total);
	void *arg;
	/* in and out */
	uint32_t pos;
	int64_t next_off;
	/* out */
	uint64_t scanned; /* bytes read, added */
	/* private */
	uint8_t *buf;
	uint32_t cap, at, len;
};

/* Walks until it stops. */
enum sl_scan_stop sl_scan_run(struct sl_scan *s);
/*
 * From s->pos on, which counts only if something is missing before it, the next place below end_pos
 * where a whole batch lies whose offset is at least
 * next_off and below max_off. True: pos and next_off are set to it.
 */
bool sl_scan_resync(struct sl_scan *s, int64_t max_off);
/* Bytes between s->pos and `to` up to the last one that is not zero, at most 4 MiB looked at. */
uint32_t sl_scan_residue(struct sl_scan *s, uint32_t to);
void sl_scan_fini(struct sl_scan *s); /* accepts zeroed */

#endif
