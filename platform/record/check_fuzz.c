/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_fuzz.c - foreign bytes through sl_batch_check() and the walker.
 *
 * The checksum is put right first, or nothing would get past it; one bit of the input decides
 * whether that is done. Built twice: with libFuzzer (-Dfuzz=true, clang), and with a main() that
 * replays the files and folders named on its command line, which the tests run.
 */
#include <stdlib.h>

#include "platform/record/check.h"
#include "platform/record/crc32c.h"

#define SCRATCH_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the walker hands out must lie in memory that we may read. */
static void touch(struct sl_slice s)
{
	SL_ASSERT(s.p || s.len == 0);
	for (uint32_t i = 0; i < s.len; i++)
		(void)*(const volatile uint8_t *)(s.p + i);
}

static void walk(const uint8_t *b, const struct sl_batch_info *info, struct sl_scratch *s)
{
	struct sl_record_walk w;
	struct sl_record rec;
	int32_t n = 0;
	int rc;

	SL_ASSERT(sl_record_walk_init(&w, b, s) == 0);
	while ((rc = sl_record_walk_next(&w, &rec)) == 1) {
		SL_ASSERT(rec.offset_delta == n);
		SL_ASSERT(rec.ts <= info->max_ts && rec.ts >= info->min_ts);
		touch(rec.key);
		touch(rec.value);
		for (uint32_t i = 0; i < SL_MIN(rec.hdr_cnt, SL_FRAME_HDRS_MAX); i++) {
			touch(rec.hdr[i].name);
			touch(rec.hdr[i].value);
		}
		n++;
	}
	SL_ASSERT(rc == 0 && n == info->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sl_scratch s;
	struct sl_batch_info info;

	if (size == 0)
		return 0;
	bool fix = data[0] & 1;
	data++;
	size--;
	uint8_t *b = malloc(size ? size : 1);
	if (!b)
		return 0;
	memcpy(b, data, size);
	if (!s.max)
		sl_scratch_init(&s, SCRATCH_MAX);
	if (fix && size >= SL_BATCH_HDR) {
		b[SL_BATCH_MAGIC_OFF] = SL_BATCH_MAGIC;
		sl_put_be32(b + SL_BATCH_LENGTH_OFF, (uint32_t)(size - SL_BATCH_LEN_BIAS));
		sl_put_be32(b + SL_BATCH_CRC_OFF,
			    sl_crc32c(b + SL_BATCH_CRC_FROM, size - SL_BATCH_CRC_FROM));
	}
	if (sl_batch_check(b, size, false, &s, &info) == SL_BF_OK)
		walk(b, &info, &s);
	SL_ASSERT(s.cap <= SCRATCH_MAX);
	free(b);
	return 0;
}
