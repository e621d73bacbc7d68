/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd frames (RFC 8878). Decoded in one shot into the scratch, not as a stream: a stream would
 * allocate the window that the frame asks for, up to 128 MiB at a sender's word.
 */
#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec.h"

#define LEVEL 3 /* zstd's and Kafka's default */
#define GUESS 4 /* ratio to begin with when the frame does not say its size */

static int zstd_decompress(struct sl_slice in, struct sl_out *o)
{
	ZSTD_DCtx *d = o->s->dctx[SL_CODEC_ZSTD];
	unsigned long long size = ZSTD_getFrameContentSize(in.p, in.len);
	size_t want;

	if (size == ZSTD_CONTENTSIZE_ERROR)
		return -EILSEQ;
	if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > o->max)
		return -ENOSPC;
	want = size == ZSTD_CONTENTSIZE_UNKNOWN ? (size_t)in.len * GUESS : (size_t)size + 1;
	if (!d && !(d = o->s->dctx[SL_CODEC_ZSTD] = ZSTD_createDCtx()))
		return -ENOMEM;
	for (;;) {
		uint8_t *at;
		size_t room;
		int rc = sl_out_room(o, want, &at, &room);

		if (rc)
			return rc;
		size_t n = ZSTD_decompressDCtx(d, at, room, in.p, in.len);
		if (!ZSTD_isError(n)) {
			o->len += n;
			return 0;
		}
		if (ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall)
			return -EILSEQ;
		if (room == o->max)
			return -ENOSPC;
		want = room * 2;
	}
}

static int zstd_compress(struct sl_slice in, struct sl_out *o)
{
	ZSTD_CCtx *c = o->s->cctx[SL_CODEC_ZSTD];
	uint8_t *at;
	size_t room;
	int rc;

	if (!c && !(c = o->s->cctx[SL_CODEC_ZSTD] = ZSTD_createCCtx()))
		return -ENOMEM;
	rc = sl_out_room(o, ZSTD_compressBound(in.len), &at, &room);
	if (rc)
		return rc;
	size_t n = ZSTD_compressCCtx(c, at, room, in.p, in.len, LEVEL);
	if (ZSTD_isError(n))
		return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ? -ENOMEM : -ENOSPC;
	o->len += n;
	return 0;
}

static void dctx_free(void *ctx)
{
	ZSTD_freeDCtx(ctx);
}

static void cctx_free(void *ctx)
{
	ZSTD_freeCCtx(ctx);
}

const struct sl_codec_ops sl_codec_zstd = {
	.decompress = zstd_decompress,
	.compress = zstd_compress,
	.dctx_free = dctx_free,
	.cctx_free = cctx_free,
};
