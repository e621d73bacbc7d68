/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "codec.h"

#define FIRST_CAP 65536

static const struct sl_codec_ops *const codecs[SL_CODEC_CNT] = {
	[SL_CODEC_GZIP] = &sl_codec_gzip,
	[SL_CODEC_SNAPPY] = &sl_codec_snappy,
	[SL_CODEC_LZ4] = &sl_codec_lz4,
	[SL_CODEC_ZSTD] = &sl_codec_zstd,
};

void sl_scratch_init(struct sl_scratch *s, size_t max)
{
	SL_ASSERT(max > 0);
	memset(s, 0, sizeof(*s));
	s->max = max;
}

void sl_scratch_fini(struct sl_scratch *s)
{
	for (int c = 0; c < SL_CODEC_CNT; c++) {
		if (codecs[c] && codecs[c]->dctx_free)
			codecs[c]->dctx_free(s->dctx[c]);
		if (codecs[c] && codecs[c]->cctx_free)
			codecs[c]->cctx_free(s->cctx[c]);
	}
	free(s->buf);
	memset(s, 0, sizeof(*s));
}

int sl_out_room(struct sl_out *o, size_t want, uint8_t **ret_at, size_t *ret_room)
{
	struct sl_scratch *s = o->s;
	size_t need = o->max - o->len > want ? o->len + want : o->max;

	if (need > s->cap) {
		size_t cap = SL_MAX(SL_MAX(s->cap, FIRST_CAP / 2) * 2, need);
		cap = SL_MIN(cap, s->max);
		uint8_t *buf = realloc(s->buf, cap);

		if (!buf)
			return -ENOMEM;
		s->buf = buf;
		s->cap = cap;
	}
	*ret_at = s->buf + o->len;
	*ret_room = SL_MIN(s->cap, o->max) - o->len;
	return 0;
}

/* True if nothing of `in` lies in memory that the output may overwrite or move. */
static bool apart(struct sl_slice in, const struct sl_scratch *s)
{
	return !s->buf || in.p + in.len <= s->buf || in.p >= s->buf + s->cap;
}

static int run(int codec, bool compress, struct sl_slice in, struct sl_scratch *s,
	       struct sl_slice *ret_out)
{
	struct sl_out o = {.s = s, .max = s->max};
	int rc;

	if (codec == SL_CODEC_NONE) {
		*ret_out = in;
		return 0;
	}
	if (codec < 0 || codec >= SL_CODEC_CNT)
		return -ENOTSUP;
	SL_ASSERT(apart(in, s));
	if (!compress && in.len == 0)
		return -EILSEQ;
	if (!compress && (uint64_t)in.len * SL_RATIO_MAX < o.max)
		o.max = (size_t)in.len * SL_RATIO_MAX;
	rc = compress ? codecs[codec]->compress(in, &o) : codecs[codec]->decompress(in, &o);
	if (rc)
		return rc;
	SL_ASSERT(o.len <= o.max);
	ret_out->p = s->buf ? s->buf : (const uint8_t *)"";
	ret_out->len = (uint32_t)o.len;
	return 0;
}

int sl_decompress(int codec, struct sl_slice in, struct sl_scratch *s, struct sl_slice *ret_out)
{
	return run(codec, false, in, s, ret_out);
}

int sl_compress(int codec, struct sl_slice in, struct sl_scratch *s, struct sl_slice *ret_out)
{
	return run(codec, true, in, s, ret_out);
}
