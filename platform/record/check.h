/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - validating record batches that a client sent or the disk returned, and walking them.
 *
 * Sizes and counts are checked against the bytes that remain before they are used; decompression
 * goes into the caller's scratch with a bound. No function here keeps a pointer or allocates
 * beyond the scratch. Any thread; one scratch belongs to one thread.
 */
#ifndef SL_RECORD_CHECK_H
#define SL_RECORD_CHECK_H

#include "frame.h"
#include "sluice/batch.h"
#include "sluice/wire.h"

/* Room for decompressed or rebuilt records; grows up to max. */
struct sl_scratch {
	uint8_t *buf;
	size_t cap;
	size_t max; /* bound of the decompressed size; a ratio above 1000 is refused as well */
	void *dctx[SL_CODEC_CNT]; /* the codecs' contexts, made at their first use */
	void *cctx[SL_CODEC_CNT];
};
void sl_scratch_init(struct sl_scratch *s, size_t max); /* max > 0; allocates nothing yet */
void sl_scratch_fini(struct sl_scratch *s);             /* accepts zeroed */

/*
 * Compress (decompress) `in` with a codec of enum sl_codec in Kafka's framing: gzip member,
 * snappy xerial framing (raw accepted on input), lz4 frame with independent blocks, zstd frame.
 * Linked lz4 blocks, bytes after an lz4 frame and empty input are broken: Kafka's Java reader
 * refuses them. `in` must not lie in the scratch. *ret_out borrows from the scratch until its
 * next use (from `in` for SL_CODEC_NONE); its p is never NULL.
 * -ENOSPC: beyond max; -EILSEQ: broken input; -ENOTSUP: unknown codec; -ENOMEM.
 */
SL_MUST_CHECK int sl_decompress(int codec, struct sl_slice in, struct sl_scratch *s,
				struct sl_slice *ret_out);
SL_MUST_CHECK int sl_compress(int codec, struct sl_slice in, struct sl_scratch *s,
			      struct sl_slice *ret_out);

/* In the order in which they are looked for. */
enum sl_batch_fault {
	SL_BF_OK,
	SL_BF_SHORT,  /* fewer bytes than a header or, after LENGTH, a batch */
	SL_BF_MAGIC,  /* not 2 */
	SL_BF_LENGTH, /* batchLength < 49, or more than `exact` allows */
	SL_BF_CRC,
	SL_BF_CODEC,      /* 5..7 */
	SL_BF_COUNT,      /* count <= 0 or != lastOffsetDelta + 1 */
	SL_BF_DECOMPRESS, /* undecodable or beyond the bound */
	SL_BF_RECORD,     /* a record does not parse, wrong delta, bytes left over */
};

const char *sl_batch_fault_name(enum sl_batch_fault f); /* "short", "crc", ... */

/*
 * Header checks only: SHORT (below 61 bytes), MAGIC, LENGTH, SHORT (total > left), CRC. *ret_total:
 * bytes of the batch, set with OK and with CRC. Bytes after the batch are left alone.
 */
enum sl_batch_fault sl_batch_check_frame(const uint8_t *b, size_t left, uint32_t *ret_total);

struct sl_batch_info {
	uint32_t total;
	int32_t count;
	int64_t max_ts; /* recomputed from the records (Kafka's dump tool compares it) */
	int64_t max_ts_offset_delta; /* of the first record that bears max_ts */
	int64_t min_ts;
	bool null_key; /* at least one record has no key */
};

/*
 * Full check of one batch as a producer may send it: frame, codec, count and every record; deltas
 * count up from 0 without a gap. `b` must hold exactly one batch when `exact`, else trailing bytes
 * are left alone. ret_info is set with OK only and may be NULL.
 */
enum sl_batch_fault sl_batch_check(const uint8_t *b, size_t left, bool exact, struct sl_scratch *s,
				   struct sl_batch_info *ret_info);

struct sl_record { /* borrowed from the walker's bytes */
	int64_t offset_delta;
	int64_t ts;
	struct sl_slice key, value; /* p NULL = null */
	uint32_t hdr_cnt;
	struct sl_hdr hdr[SL_FRAME_HDRS_MAX]; /* the first of hdr_cnt */
	struct sl_slice hdr_bytes;            /* all of them, as they lie there */
};

struct sl_record_walk {
	struct sl_rd rd;
	int64_t base_ts;
	int64_t fixed_ts; /* LogAppendTime batches: maxTimestamp for all; else INT64_MIN */
	int32_t left;
};
/* b has passed sl_batch_check_frame(). -EILSEQ, -ENOSPC, -ENOTSUP from decompression. */
SL_MUST_CHECK int sl_record_walk_init(struct sl_record_walk *w, const uint8_t *b,
				      struct sl_scratch *s);
/* 1: a record; 0: no more; -EILSEQ: broken. */
SL_MUST_CHECK int sl_record_walk_next(struct sl_record_walk *w, struct sl_record *ret_rec);
/* All headers of a record that the walker gave: ret_hdr has room for rec->hdr_cnt. */
void sl_record_headers(const struct sl_record *rec, struct sl_hdr *ret_hdr);

/* Sets maxTimestamp and the LogAppendTime bit (cleared if not log_append), recomputes the CRC. */
void sl_batch_set_ts(uint8_t *b, uint32_t total, int64_t max_ts, bool log_append);

#endif
