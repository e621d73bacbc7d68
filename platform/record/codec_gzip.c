/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952): one member on output; on input several, as Java's GZIPInputStream reads them. */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec.h"

#define GZIP_BITS (15 + 16) /* largest window, gzip header wanted */
#define CHUNK     65536

struct zs_kind {
	int (*init)(z_stream *z);
	int (*reset)(z_stream *z);
};

static int inflate_init(z_stream *z)
{
	return inflateInit2(z, GZIP_BITS);
}

static int deflate_init(z_stream *z)
{
	return deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY);
}

static const struct zs_kind inflating = {inflate_init, inflateReset};
static const struct zs_kind deflating = {deflate_init, deflateReset};

/* The scratch's stream of this kind, ready for a new input. */
static int stream(void **slot, const struct zs_kind *k, struct sl_slice in, z_stream **ret_z)
{
	z_stream *z = *slot;

	if (!z) {
		z = calloc(1, sizeof(*z));
		if (!z)
			return -ENOMEM;
		if (k->init(z) != Z_OK) {
			free(z);
			return -ENOMEM;
		}
		*slot = z;
	} else if (k->reset(z) != Z_OK) {
		return -ENOMEM;
	}
	z->next_in = (z_const Bytef *)(uintptr_t)in.p;
	z->avail_in = in.len;
	*ret_z = z;
	return 0;
}

/* One step into the room that is left. 1: go on; 0: end of input and output; or an error. */
static int inflate_step(z_stream *z, struct sl_out *o)
{
	uint8_t *at;
	size_t room;
	int rc = sl_out_room(o, CHUNK, &at, &room);

	if (rc)
		return rc;
	z->next_out = at;
	z->avail_out = (uInt)SL_MIN(room, UINT32_MAX);
	int zrc = inflate(z, Z_NO_FLUSH);
	o->len += (size_t)(z->next_out - at);
	switch (zrc) {
	case Z_STREAM_END:
		if (z->avail_in == 0)
			return 0;
		return inflateReset(z) == Z_OK ? 1 : -ENOMEM;
	case Z_OK:
		return 1;
	case Z_BUF_ERROR: /* no progress: out of input, or at the bound */
		return z->avail_in || room == 0 ? -ENOSPC : -EILSEQ;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EILSEQ;
	}
}

static int gzip_decompress(struct sl_slice in, struct sl_out *o)
{
	z_stream *z;
	int rc = stream(&o->s->dctx[SL_CODEC_GZIP], &inflating, in, &z);

	if (rc)
		return rc;
	do
		rc = inflate_step(z, o);
	while (rc == 1);
	return rc;
}

static int gzip_compress(struct sl_slice in, struct sl_out *o)
{
	z_stream *z;
	uint8_t *at;
	size_t room;
	int rc = stream(&o->s->cctx[SL_CODEC_GZIP], &deflating, in, &z);

	if (!rc)
		rc = sl_out_room(o, deflateBound(z, in.len), &at, &room);
	if (rc)
		return rc;
	z->next_out = at;
	z->avail_out = (uInt)SL_MIN(room, UINT32_MAX);
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return -ENOSPC;
	o->len += (size_t)(z->next_out - at);
	return 0;
}

static void inflate_free(void *ctx)
{
	if (ctx)
		inflateEnd(ctx);
	free(ctx);
}

static void deflate_free(void *ctx)
{
	if (ctx)
		deflateEnd(ctx);
	free(ctx);
}

const struct sl_codec_ops sl_codec_gzip = {
	.decompress = gzip_decompress,
	.compress = gzip_compress,
	.dctx_free = inflate_free,
	.cctx_free = deflate_free,
};
