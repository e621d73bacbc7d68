/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - what the codecs share inside this folder; the operations stand in check.h.
 *
 * A codec appends its output to the scratch through an sl_out, which enforces the bound. Contexts
 * are made at the first use and live with the scratch, so a worker allocates nothing per batch.
 */
#ifndef SL_RECORD_CODEC_H
#define SL_RECORD_CODEC_H

#include "check.h"

#define SL_RATIO_MAX 1000 /* decompressed : compressed */

struct sl_out {
	struct sl_scratch *s;
	size_t len; /* bytes written so far */
	size_t max; /* bound of len, > 0 */
};

/*
 * Room at the end of the output: `want` bytes or more, or, if the bound is nearer, what is left up
 * to it, possibly 0. 0 or -ENOMEM. want > 0.
 */
SL_MUST_CHECK int sl_out_room(struct sl_out *o, size_t want, uint8_t **ret_at, size_t *ret_room);

struct sl_codec_ops {
	int (*decompress)(struct sl_slice in, struct sl_out *o); /* in.len > 0 */
	int (*compress)(struct sl_slice in, struct sl_out *o);
	void (*dctx_free)(void *ctx); /* NULL: has none; else accepts NULL */
	void (*cctx_free)(void *ctx);
};

extern const struct sl_codec_ops sl_codec_gzip;
extern const struct sl_codec_ops sl_codec_snappy;
extern const struct sl_codec_ops sl_codec_lz4;
extern const struct sl_codec_ops sl_codec_zstd;

#endif
