/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "platform/record/golden.h"

#define MAX (4u << 20)

static struct sl_scratch comp, decomp;

static int setup(void **state)
{
	(void)state;
	sl_scratch_init(&comp, MAX + (64u << 10));
	sl_scratch_init(&decomp, MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sl_scratch_fini(&comp);
	sl_scratch_fini(&decomp);
	sl_scratch_fini(&decomp); /* accepts zeroed */
	return 0;
}

static int pack(int codec, const void *p, size_t n, struct sl_slice *ret_z)
{
	return sl_compress(codec, (struct sl_slice){p, (uint32_t)n}, &comp, ret_z);
}

static int unpack(int codec, const void *p, size_t n, struct sl_slice *ret_out)
{
	return sl_decompress(codec, (struct sl_slice){p, (uint32_t)n}, &decomp, ret_out);
}

/* Text-like: words of a small vocabulary. */
static void fill_text(struct sl_rng *r, uint8_t *p, size_t n)
{
	static const char *const words[] = {
		"error ", "10.77.0.1 ", "sshd[1042]: ", "accepted ", "\n", "0x7f "};
	size_t at = 0;

	while (at < n) {
		const char *w = words[sl_rng_below(r, SL_ARRAY_SIZE(words))];
		size_t len = SL_MIN(strlen(w), n - at);

		memcpy(p + at, w, len);
		at += len;
	}
}

static const int codecs[] = {SL_CODEC_NONE, SL_CODEC_GZIP, SL_CODEC_SNAPPY, SL_CODEC_LZ4,
			     SL_CODEC_ZSTD};
#define FIRST_REAL 1

static const char *const parts[] = {"hello ", "world"};

static void round_trips(void **state)
{
	static const uint32_t sizes[] = {1,     2,     60,    1000,   32767,  32768,   32769,
					 65535, 65536, 65537, 262144, 262145, 1048576, MAX};
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t *buf = malloc(MAX);

	(void)state;
	assert_non_null(buf);
	for (size_t c = 0; c < SL_ARRAY_SIZE(codecs); c++)
		for (size_t i = 0; i < SL_ARRAY_SIZE(sizes); i++)
			for (int noise = 0; noise < 2; noise++) {
				struct sl_slice in = {buf, sizes[i]}, z, out;

				if (noise)
					sl_rng_fill(&r, buf, sizes[i]);
				else
					fill_text(&r, buf, sizes[i]);
				assert_int_equal(sl_compress(codecs[c], in, &comp, &z), 0);
				assert_int_equal(sl_decompress(codecs[c], z, &decomp, &out), 0);
				golden_same(out, in);
				if (!noise && codecs[c] && in.len > 100000)
					assert_true(z.len < in.len / 2);
			}
	free(buf);
}

static void empty_input(void **state)
{
	struct sl_slice none = {(const uint8_t *)"", 0}, z, out;

	(void)state;
	for (size_t c = 0; c < SL_ARRAY_SIZE(codecs); c++) {
		assert_int_equal(sl_compress(codecs[c], none, &comp, &z), 0);
		if (codecs[c]) {
			assert_true(z.len > 0);
			assert_int_equal(sl_decompress(codecs[c], none, &decomp, &out), -EILSEQ);
		}
		assert_int_equal(sl_decompress(codecs[c], z, &decomp, &out), 0);
		assert_non_null(out.p);
		assert_int_equal(out.len, 0);
	}
}

static void unknown_codecs(void **state)
{
	struct sl_slice in = golden_str("x"), out;

	(void)state;
	for (int c = SL_CODEC_CNT; c < 8; c++) {
		assert_int_equal(sl_compress(c, in, &comp, &out), -ENOTSUP);
		assert_int_equal(sl_decompress(c, in, &comp, &out), -ENOTSUP);
	}
	assert_int_equal(sl_decompress(-1, in, &comp, &out), -ENOTSUP);
}

/* The bound is exact: `max` bytes pass, one more does not; and the scratch works on afterwards. */
static void bounds_are_exact(void **state)
{
	static const uint32_t sizes[] = {1, 100, 70000, 300000};
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t *buf = malloc(MAX);

	(void)state;
	assert_non_null(buf);
	fill_text(&r, buf, MAX);
	for (size_t c = FIRST_REAL; c < SL_ARRAY_SIZE(codecs); c++)
		for (size_t i = 0; i < SL_ARRAY_SIZE(sizes); i++) {
			struct sl_slice in = {buf, sizes[i]}, more = {buf, sizes[i] + 1}, z, zmore,
					out;
			struct sl_scratch s, big;

			sl_scratch_init(&s, sizes[i]);
			sl_scratch_init(&big, MAX);
			assert_int_equal(sl_compress(codecs[c], in, &comp, &z), 0);
			assert_int_equal(sl_compress(codecs[c], more, &big, &zmore), 0);
			assert_int_equal(sl_decompress(codecs[c], zmore, &s, &out), -ENOSPC);
			assert_int_equal(sl_decompress(codecs[c], z, &s, &out), 0);
			golden_same(out, in);
			assert_true(s.cap <= s.max);
			assert_int_equal(sl_decompress(codecs[c], zmore, &s, &out), -ENOSPC);
			/* too little room to compress is an error as well, never a short output */
			sl_scratch_fini(&s);
			sl_scratch_init(&s, 8);
			assert_int_equal(sl_compress(codecs[c], in, &s, &out), -ENOSPC);
			sl_scratch_fini(&s);
			sl_scratch_fini(&big);
		}
	free(buf);
}

/* 64 MiB of zeros in a few kilobytes: refused by the ratio though `max` would allow it. */
static void bombs(void **state)
{
	size_t n = 64u << 20;
	uint8_t *zeros = calloc(1, n);
	struct sl_scratch s, big;
	struct sl_slice z, out;

	(void)state;
	assert_non_null(zeros);
	sl_scratch_init(&s, 2 * n);
	sl_scratch_init(&big, 2 * n);
	assert_int_equal(
		sl_compress(SL_CODEC_ZSTD, (struct sl_slice){zeros, (uint32_t)n}, &big, &z), 0);
	assert_true(z.len < n / 1000);
	assert_int_equal(sl_decompress(SL_CODEC_ZSTD, z, &s, &out), -ENOSPC);
	assert_int_equal(s.cap, 0); /* refused before anything was allocated */
	sl_scratch_fini(&s);
	sl_scratch_fini(&big);
	free(zeros);
}

/* Cut anywhere, a stream is broken; xerial alone can end after any block. Each cut lies in a block
 * of its own length, so that a sanitizer sees a read beyond it. */
static void cut_input(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t buf[3000];

	(void)state;
	fill_text(&r, buf, sizeof(buf));
	for (size_t c = FIRST_REAL; c < SL_ARRAY_SIZE(codecs); c++) {
		struct sl_slice z, out;

		assert_int_equal(pack(codecs[c], buf, sizeof(buf), &z), 0);
		for (uint32_t n = 1; n < z.len; n++) {
			uint8_t *cut = malloc(n);

			assert_non_null(cut);
			memcpy(cut, z.p, n);
			int rc = unpack(codecs[c], cut, n, &out);
			if (codecs[c] == SL_CODEC_SNAPPY && n == 16)
				assert_int_equal(rc, 0); /* just the header: no blocks */
			else if (codecs[c] == SL_CODEC_SNAPPY && n < 8)
				assert_true(rc < 0); /* half a magic is a raw block's length */
			else if (rc != -EILSEQ)
				fail_msg("codec %d cut at %u of %u: %d", codecs[c], n, z.len, rc);
			free(cut);
		}
	}
}

/* Random damage: any error or a wrong text, but within the bound and inside the buffers. */
static void damaged_input(void **state)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint8_t buf[5000];

	(void)state;
	fill_text(&r, buf, sizeof(buf));
	for (size_t c = FIRST_REAL; c < SL_ARRAY_SIZE(codecs); c++)
		for (int i = 0; i < 1500; i++) {
			struct sl_slice z, out = {0};

			assert_int_equal(pack(codecs[c], buf, sizeof(buf), &z), 0);
			uint8_t *bad = malloc(z.len);
			assert_non_null(bad);
			memcpy(bad, z.p, z.len);
			for (uint32_t k = sl_rng_below(&r, 4) + 1; k; k--)
				bad[sl_rng_below(&r, i % 2 ? z.len : SL_MIN(z.len, 32))] =
					(uint8_t)sl_rng_u64(&r);
			int rc = unpack(codecs[c], bad, z.len, &out);
			assert_true(rc == 0 || rc == -EILSEQ || rc == -ENOSPC);
			if (rc == 0)
				assert_true(out.len <= SL_MIN(decomp.max, z.len * 1000u));
			/* whoever comes next is not harmed */
			assert_int_equal(unpack(codecs[c], z.p, z.len, &out), 0);
			golden_same(out, (struct sl_slice){buf, sizeof(buf)});
			free(bad);
		}
}

/* ---- what other clients send ------------------------------------------------------------- */

static void gzip_of_two_members(void **state)
{
	uint8_t two[512];
	struct sl_slice z, out;
	uint32_t n = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pack(SL_CODEC_GZIP, parts[i], strlen(parts[i]), &z), 0);
		memcpy(two + n, z.p, z.len);
		n += z.len;
	}
	assert_int_equal(unpack(SL_CODEC_GZIP, two, n, &out), 0);
	golden_same(out, golden_str("hello world"));
	two[n] = 'x';
	assert_int_equal(unpack(SL_CODEC_GZIP, two, n + 1, &out), -EILSEQ);
	two[n / 2 - 1] ^= 1; /* the first member's length field */
	assert_int_equal(unpack(SL_CODEC_GZIP, two, n, &out), -EILSEQ);
	/* zlib's own wrapper is not gzip */
	uLongf len = sizeof(two);
	assert_int_equal(compress2(two, &len, (const Bytef *)"hello", 5, 6), Z_OK);
	assert_int_equal(unpack(SL_CODEC_GZIP, two, len, &out), -EILSEQ);
}

static void snappy_raw_and_glued(void **state)
{
	uint8_t raw[256], glued[512];
	struct sl_slice z, out;
	size_t len = sizeof(raw);
	uint32_t n = 0;

	(void)state;
	assert_int_equal(snappy_compress("hello hello hello hello", 23, (char *)raw, &len),
			 SNAPPY_OK);
	assert_int_equal(unpack(SL_CODEC_SNAPPY, raw, len, &out), 0);
	golden_same(out, golden_str("hello hello hello hello"));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pack(SL_CODEC_SNAPPY, parts[i], strlen(parts[i]), &z), 0);
		memcpy(glued + n, z.p, z.len);
		n += z.len;
	}
	assert_int_equal(unpack(SL_CODEC_SNAPPY, glued, n, &out), 0);
	golden_same(out, golden_str("hello world"));
	glued[11] = 0; /* version 0 */
	assert_int_equal(unpack(SL_CODEC_SNAPPY, glued, n, &out), -EILSEQ);
	/* a raw block that claims 4 GiB */
	assert_int_equal(unpack(SL_CODEC_SNAPPY, "\xff\xff\xff\xff\x0f\x04xyz",
				sizeof("\xff\xff\xff\xff\x0f\x04xyz") - 1, &out),
			 -ENOSPC);
}

static int lz4_with(const LZ4F_preferences_t *p, const char *text, uint8_t trailer,
		    struct sl_slice *ret)
{
	static uint8_t frame[400 << 10];
	size_t n = LZ4F_compressFrame(frame, sizeof(frame), text, strlen(text), p);

	assert_false(LZ4F_isError(n));
	if (trailer)
		frame[n++] = trailer;
	return sl_decompress(SL_CODEC_LZ4, (struct sl_slice){frame, (uint32_t)n}, &decomp, ret);
}

static void lz4_variants(void **state)
{
	LZ4F_preferences_t p = {.frameInfo = {.blockMode = LZ4F_blockIndependent,
					      .contentChecksumFlag = LZ4F_contentChecksumEnabled,
					      .blockChecksumFlag = LZ4F_blockChecksumEnabled}};
	size_t long_len = 300000;
	char *text = calloc(1, long_len + 1);
	struct sl_slice out;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < long_len; i++)
		text[i] = (char)('a' + i * i % 26);
	for (int size = LZ4F_max64KB; size <= LZ4F_max4MB; size++) {
		p.frameInfo.blockSizeID = (LZ4F_blockSizeID_t)size;
		p.frameInfo.contentSize = size % 2 ? long_len : 0;
		assert_int_equal(lz4_with(&p, text, 0, &out), 0);
		golden_same(out, golden_str(text));
	}
	p.frameInfo.contentSize = 0;
	assert_int_equal(lz4_with(&p, text, 'x', &out), -EILSEQ); /* bytes after the frame */
	p.frameInfo.blockSizeID = LZ4F_max64KB;
	p.frameInfo.blockMode = LZ4F_blockLinked;
	assert_int_equal(lz4_with(&p, text, 0, &out), -EILSEQ);
	p.frameInfo.blockMode = LZ4F_blockIndependent;
	p.frameInfo.dictID = 7;
	assert_int_equal(lz4_with(&p, text, 0, &out), -EILSEQ);
	free(text);
	/* a skippable frame is not a frame of data */
	assert_int_equal(unpack(SL_CODEC_LZ4, "\x50\x2a\x4d\x18\x01\x01\x01\x01",
				sizeof("\x50\x2a\x4d\x18\x01\x01\x01\x01") - 1, &out),
			 -EILSEQ);
}

/* A frame with its content size breaks off; the next frame, without one, is good. */
static void nothing_is_left_behind(void **state)
{
	static const char text[] = "some text that is long enough";
	LZ4F_preferences_t p = {.frameInfo = {.blockMode = LZ4F_blockIndependent}};
	uint8_t frame[2][256];
	struct sl_slice out;
	size_t n[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		p.frameInfo.contentSize = i ? 0 : sizeof(text);
		n[i] = LZ4F_compressFrame(frame[i], sizeof(frame[i]), text, sizeof(text), &p);
		assert_false(LZ4F_isError(n[i]));
	}
	for (size_t cut = 8; cut < n[0]; cut++) {
		assert_int_equal(unpack(SL_CODEC_LZ4, frame[0], cut, &out), -EILSEQ);
		assert_int_equal(unpack(SL_CODEC_LZ4, frame[1], n[1], &out), 0);
		assert_memory_equal(out.p, text, sizeof(text));
	}
}

/* Without the size in the frame (Java's writer streams), in two frames, with a huge window. */
static void zstd_variants(void **state)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n = 3u << 20;
	uint8_t *text = malloc(n), *z = malloc(2 * ZSTD_compressBound(n));
	struct sl_rng r = sl_rng_from(1);
	struct sl_slice out;

	(void)state;
	assert_true(c && text && z);
	fill_text(&r, text, n);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 27);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	size_t one = ZSTD_compress2(c, z, ZSTD_compressBound(n), text, n);
	assert_false(ZSTD_isError(one));
	assert_int_equal(ZSTD_getFrameContentSize(z, one), ZSTD_CONTENTSIZE_UNKNOWN);
	assert_int_equal(unpack(SL_CODEC_ZSTD, z, one, &out), 0);
	golden_same(out, (struct sl_slice){text, (uint32_t)n});
	size_t two = ZSTD_compress2(c, z + one, ZSTD_compressBound(n), text, 1000);
	assert_int_equal(unpack(SL_CODEC_ZSTD, z, one + two, &out), 0);
	assert_int_equal(out.len, n + 1000);
	z[one - 1] ^= 1; /* checksum */
	assert_int_equal(unpack(SL_CODEC_ZSTD, z, one, &out), -EILSEQ);
	free(text);
	free(z);
	ZSTD_freeCCtx(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(empty_input),
		cmocka_unit_test(unknown_codecs),
		cmocka_unit_test(bounds_are_exact),
		cmocka_unit_test(bombs),
		cmocka_unit_test(cut_input),
		cmocka_unit_test(damaged_input),
		cmocka_unit_test(gzip_of_two_members),
		cmocka_unit_test(snappy_raw_and_glued),
		cmocka_unit_test(lz4_variants),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(zstd_variants),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
