/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters_layout.h - how the counter file describes itself: for counters.c and its test.
 *
 * The first 4096 bytes name every field of the kinds of line, so that a version with more or
 * fewer rows finds each figure by its name. Byte table: docs/formats/counters.md.
 */
#ifndef SL_BASE_COUNTERS_LAYOUT_H
#define SL_BASE_COUNTERS_LAYOUT_H

#include "sluice/counters.h"

#define SL_CTR_MAGIC   "SLUICTR1"
#define SL_CTR_VERSION 1  /* a higher one is refused */
#define SL_CTR_NAME    32 /* bytes of a field's name, NUL-padded */
#define SL_CTR_FIELDS  124

enum sl_ctr_section {
	SL_CS_GLOBAL,
	SL_CS_LCORE,
	SL_CS_WRITER,
	SL_CS_PORT,
	SL_CS_FIRST, /* how many the first files had: the others are described further behind */
	SL_CS_BRIDGE = SL_CS_FIRST,
	SL_CS_CNT
};

struct sl_ctr_desc {     /* one kind of line; little-endian, as the figures are */
	uint32_t off;    /* of the first line in the file */
	uint32_t stride; /* bytes from one line to the next */
	uint32_t cnt;    /* lines */
	uint32_t fields; /* u64 each, from the start of the line; what follows is reserved */
};

struct sl_ctr_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t file_bytes;
	struct sl_ctr_desc first[SL_CS_FIRST];
	uint32_t field_cnt; /* names used, section after section */
	uint32_t hash;      /* murmur2 of the header with this field 0 */
	struct sl_ctr_desc more[SL_CS_CNT - SL_CS_FIRST]; /* 0 in a file that does not have them */
	uint8_t pad[24];
	char name[SL_CTR_FIELDS][SL_CTR_NAME];
};
_Static_assert(sizeof(struct sl_ctr_header) <= 4096, "header");
_Static_assert(offsetof(struct sl_ctr_header, name) == 128, "byte table");

SL_INLINE const struct sl_ctr_desc *sl_ctr_desc(const struct sl_ctr_header *h, int section)
{
	return section < SL_CS_FIRST ? &h->first[section] : &h->more[section - SL_CS_FIRST];
}

/* This version's header. */
void sl_ctr_header_make(struct sl_ctr_header *ret_hdr);
/* 0; -EPROTO: newer version; -EILSEQ: not a header of ours, or one that points out of the file. */
SL_MUST_CHECK int sl_ctr_header_check(const struct sl_ctr_header *hdr, uint64_t file_bytes);
/*
 * Takes the figures of an older or younger layout over into a zeroed file of this version. A row
 * unknown here goes where it keeps the books closed: a frame row to `other`, a failure reason to
 * `io_error`; lines beyond our number are added to the last one; notes unknown here are dropped.
 */
void sl_ctr_migrate(const struct sl_ctr_header *old_hdr, const uint8_t *old_file,
		    struct sl_counters *ret_ctr);

#endif
