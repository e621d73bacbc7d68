/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lz4 frames (LZ4 frame format 1.6.x), as Kafka's Lz4BlockInputStream takes them: version 01,
 * independent blocks, no dictionary, one frame and nothing after it.
 */
#include <errno.h>
#include <lz4frame.h>

#include "codec.h"

#define MAGIC                0x184d2204u /* little-endian in the file */
#define FLG_OFF              4
#define FLG_VERSION_MASK     0xc0
#define FLG_VERSION          0x40
#define FLG_INDEPENDENT      0x20
#define FLG_RESERVED_OR_DICT 0x03
#define HDR_MIN              7
#define CHUNK                (64u << 10)

static bool frame_is_kafkas(struct sl_slice in)
{
	uint8_t flg;

	if (in.len < HDR_MIN || __builtin_bswap32(sl_be32(in.p)) != MAGIC)
		return false;
	flg = in.p[FLG_OFF];
	return (flg & FLG_VERSION_MASK) == FLG_VERSION && (flg & FLG_INDEPENDENT) &&
	       !(flg & FLG_RESERVED_OR_DICT);
}

/* All of the frame in `in`, and nothing after it. */
static int decode(LZ4F_dctx *d, struct sl_slice in, struct sl_out *o)
{
	for (;;) {
		uint8_t *at;
		size_t out, used = in.len;
		int rc = sl_out_room(o, CHUNK, &at, &out);

		if (rc)
			return rc;
		bool full = out == 0;
		size_t hint = LZ4F_decompress(d, at, &out, in.p, &used, NULL);

		if (LZ4F_isError(hint))
			return -EILSEQ;
		o->len += out;
		in.p += used;
		in.len -= (uint32_t)used;
		if (hint == 0)
			return in.len ? -EILSEQ : 0;
		if (used == 0 && out == 0) /* no progress: at the bound, or out of input */
			return full ? -ENOSPC : -EILSEQ;
	}
}

/*
 * The context is kept after a whole frame only. liblz4 1.9.4 does not forget the content size of a
 * frame that broke off, not even in LZ4F_resetDecompressionContext(), and then refuses the next
 * sender's good frame (codec_test: nothing_is_left_behind).
 */
static int lz4_decompress(struct sl_slice in, struct sl_out *o)
{
	LZ4F_dctx *d = o->s->dctx[SL_CODEC_LZ4];
	int rc;

	if (!frame_is_kafkas(in))
		return -EILSEQ;
	if (!d && LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
		return -ENOMEM;
	rc = decode(d, in, o);
	if (rc) {
		LZ4F_freeDecompressionContext(d);
		d = NULL;
	}
	o->s->dctx[SL_CODEC_LZ4] = d;
	return rc;
}

static int lz4_compress(struct sl_slice in, struct sl_out *o)
{
	/* Larger blocks for larger batches: a few percent better, at the same speed. */
	LZ4F_preferences_t prefs = {
		.frameInfo = {.blockSizeID = in.len <= 64u << 10 ? LZ4F_max64KB : LZ4F_max256KB,
			      .blockMode = LZ4F_blockIndependent},
	};
	size_t bound = LZ4F_compressFrameBound(in.len, &prefs);
	uint8_t *at;
	size_t room;
	int rc = sl_out_room(o, bound, &at, &room);

	if (rc)
		return rc;
	if (room < bound)
		return -ENOSPC;
	size_t n = LZ4F_compressFrame(at, room, in.p, in.len, &prefs);
	if (LZ4F_isError(n))
		return -ENOSPC;
	o->len += n;
	return 0;
}

static void dctx_free(void *ctx)
{
	LZ4F_freeDecompressionContext(ctx);
}

const struct sl_codec_ops sl_codec_lz4 = {
	.decompress = lz4_decompress,
	.compress = lz4_compress,
	.dctx_free = dctx_free,
};
