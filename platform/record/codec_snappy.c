/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snappy in the framing of xerial's snappy-java, which Kafka's Java clients write and read:
 *   82 53 4e 41 50 50 59 00 | version i32 | lowest compatible version i32 | { length i32 | block }*
 * Big-endian. Each block is plain snappy of at most 32 KiB before compression. Input without that
 * magic is one plain snappy block, as some other clients send it.
 */
#include <errno.h>
#include <snappy-c.h>

#include "codec.h"

#define BLOCK          32768u
#define XERIAL_HDR     16
#define XERIAL_VERSION 1
#define XERIAL_HEAD    0x82534e41u /* the magic's first word: a length can not be negative */

static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static int put_plain(struct sl_slice in, struct sl_out *o)
{
	size_t len, room;
	uint8_t *at;

	if (snappy_uncompressed_length((const char *)in.p, in.len, &len) != SNAPPY_OK)
		return -EILSEQ;
	if (len > o->max - o->len)
		return -ENOSPC;
	int rc = sl_out_room(o, len ? len : 1, &at, &room);
	if (rc)
		return rc;
	if (snappy_uncompress((const char *)in.p, in.len, (char *)at, &len) != SNAPPY_OK)
		return -EILSEQ;
	o->len += len;
	return 0;
}

/* The header may come again between blocks, where two streams were put together. */
static bool rest_of_header(struct sl_rd *r)
{
	struct sl_slice m = sl_rd_bytes(r, sizeof(magic) - 4);
	uint32_t version = sl_rd_be32(r);

	sl_rd_be32(r); /* what readers it is meant for; theirs to know */
	return !r->bad && !memcmp(m.p, magic + 4, sizeof(magic) - 4) && version >= XERIAL_VERSION &&
	       version <= INT32_MAX;
}

static int snappy_decompress(struct sl_slice in, struct sl_out *o)
{
	struct sl_rd r;
	int rc = 0;

	if (in.len < sizeof(magic) || memcmp(in.p, magic, sizeof(magic)))
		return put_plain(in, o);
	sl_rd_init(&r, in.p, in.len);
	while (!rc && sl_rd_left(&r)) {
		uint32_t len = sl_rd_be32(&r);

		if (len == XERIAL_HEAD) {
			rc = rest_of_header(&r) ? 0 : -EILSEQ;
			continue;
		}
		struct sl_slice block = sl_rd_bytes(&r, len);
		rc = r.bad ? -EILSEQ : put_plain(block, o);
	}
	return rc;
}

static int put_block(const uint8_t *p, uint32_t len, struct sl_out *o)
{
	size_t room, out = snappy_max_compressed_length(len);
	uint8_t *at;
	int rc = sl_out_room(o, 4 + out, &at, &room);

	if (rc)
		return rc;
	if (room < 4 + out)
		return -ENOSPC;
	if (snappy_compress((const char *)p, len, (char *)at + 4, &out) != SNAPPY_OK)
		return -ENOSPC;
	sl_put_be32(at, (uint32_t)out);
	o->len += 4 + out;
	return 0;
}

static int snappy_compress_xerial(struct sl_slice in, struct sl_out *o)
{
	size_t room;
	uint8_t *at;
	int rc = sl_out_room(o, XERIAL_HDR, &at, &room);

	if (!rc && room < XERIAL_HDR)
		rc = -ENOSPC;
	if (rc)
		return rc;
	memcpy(at, magic, sizeof(magic));
	sl_put_be32(at + 8, XERIAL_VERSION);
	sl_put_be32(at + 12, XERIAL_VERSION);
	o->len += XERIAL_HDR;
	for (uint32_t off = 0; !rc && off < in.len; off += BLOCK)
		rc = put_block(in.p + off, SL_MIN(BLOCK, in.len - off), o);
	return rc;
}

const struct sl_codec_ops sl_codec_snappy = {
	.decompress = snappy_decompress,
	.compress = snappy_compress_xerial,
};
