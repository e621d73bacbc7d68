/* SPDX-License-Identifier: Apache-2.0 */
#include "produce_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/record/crc32c.h"
#include "rig.h"

#define NOW RIG_WALL_MS

struct fix {
	struct sl_topic_cfg cfg;
	struct sl_kcheck_in in;
	struct sl_kworker w;
	struct sl_kcheck c;
	uint8_t b[8192];
	uint32_t len;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	sl_topic_cfg_defaults(&f->cfg);
	f->in = (struct sl_kcheck_in){.version = 9, .now_ms = NOW, .cfg = &f->cfg};
	sl_scratch_init(&f->w.unpacked, 1 << 20);
	sl_scratch_init(&f->w.packed, 1 << 20);
	f->len = rig_batch(f->b, sizeof(f->b), 3, 100, NOW);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	sl_kcheck_fini(&f->c);
	sl_scratch_fini(&f->w.unpacked);
	sl_scratch_fini(&f->w.packed);
	free(f);
	return 0;
}

static int16_t check(struct fix *f)
{
	sl_kcheck_fini(&f->c);
	sl_kcheck_batch(&f->in, f->b, f->len, &f->w, &f->c);
	if (f->c.err)
		assert_non_null(f->c.msg);
	return f->c.err;
}

static void crc(struct fix *f)
{
	sl_put_be32(f->b + SL_BATCH_CRC_OFF,
		    sl_crc32c(f->b + SL_BATCH_CRC_FROM, f->len - SL_BATCH_CRC_FROM));
}

static void set_attrs(struct fix *f, uint16_t attrs)
{
	sl_put_be16(f->b + SL_BATCH_ATTRS_OFF, attrs);
	crc(f);
}

static void test_good(void **state)
{
	struct fix *f = *state;
	assert_int_equal(check(f), 0);
	assert_ptr_equal(f->c.batch, f->b);
	assert_int_equal(f->c.len, f->len);
	assert_int_equal(f->c.records, 3);
	assert_int_equal(f->c.max_ts_ms, NOW + 2);
	assert_int_equal(f->c.append_time_ms, -1);
	assert_null(f->c.own);
}

static void test_no_batch(void **state)
{
	struct fix *f = *state;
	sl_kcheck_batch(&f->in, NULL, 0, &f->w, &f->c);
	assert_int_equal(f->c.err, SL_KERR_INVALID_RECORD);
	for (f->len = 0; f->len <= SL_BATCH_HDR; f->len += SL_BATCH_HDR - 1) {
		assert_int_equal(check(f),
				 SL_KERR_INVALID_RECORD); /* empty, cut, almost a header */
	}
	f->len = SL_BATCH_HDR; /* a header only, its length set to that */
	sl_put_be32(f->b + SL_BATCH_LENGTH_OFF, SL_BATCH_HDR - SL_BATCH_LEN_BIAS);
	crc(f);
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
}

static void test_header_faults(void **state)
{
	struct fix *f = *state;
	struct fix good = *f;

	f->b[SL_BATCH_MAGIC_OFF] = 1;
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	memcpy(f->b, good.b, f->len);
	f->b[SL_BATCH_MAGIC_OFF] = 3;
	assert_int_equal(check(f), SL_KERR_CORRUPT_MESSAGE);
	memcpy(f->b, good.b, f->len);
	sl_put_be32(f->b + SL_BATCH_LENGTH_OFF, 5);
	assert_int_equal(check(f), SL_KERR_CORRUPT_MESSAGE);
	memcpy(f->b, good.b, f->len);
	sl_put_be32(f->b + SL_BATCH_LENGTH_OFF, f->len); /* beyond the end */
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	memcpy(f->b, good.b, f->len);
	memcpy(f->b + f->len, good.b, f->len); /* two batches */
	f->len *= 2;
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	f->len /= 2;
	sl_batch_set_base_offset(f->b, 1);
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	memcpy(f->b, good.b, f->len);
	f->b[f->len - 1] ^= 1;
	assert_int_equal(check(f), SL_KERR_CORRUPT_MESSAGE);
	memcpy(f->b, good.b, f->len);
	set_attrs(f, SL_ATTR_CONTROL);
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	set_attrs(f, SL_ATTR_TRANSACTIONAL);
	assert_int_equal(check(f), SL_KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	f->in.transactional = true;
	assert_int_equal(check(f), SL_KERR_INVALID_TXN_STATE);
	set_attrs(f, 6);
	assert_int_equal(check(f), SL_KERR_UNSUPPORTED_COMPRESSION_TYPE);
	set_attrs(f, SL_CODEC_ZSTD);
	f->in.version = 6;
	assert_int_equal(check(f), SL_KERR_UNSUPPORTED_COMPRESSION_TYPE);
	f->in.version = 7;
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD); /* it is not zstd */
}

static void test_count_and_sequence(void **state)
{
	struct fix *f = *state;
	sl_put_be32(f->b + SL_BATCH_LAST_DELTA_OFF, 7);
	crc(f);
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	sl_put_be32(f->b + SL_BATCH_LAST_DELTA_OFF, 2);
	sl_put_be64(f->b + SL_BATCH_PID_OFF, 5); /* but no sequence */
	crc(f);
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	sl_put_be32(f->b + SL_BATCH_BASE_SEQ_OFF, 0);
	sl_put_be16(f->b + SL_BATCH_PEPOCH_OFF, 0);
	crc(f);
	assert_int_equal(check(f), 0);
}

static void test_sizes(void **state)
{
	struct fix *f = *state;
	f->cfg.max_message_bytes = (int32_t)f->len;
	assert_int_equal(check(f), 0);
	f->cfg.max_message_bytes--;
	assert_int_equal(check(f), SL_KERR_MESSAGE_TOO_LARGE);
	f->cfg.max_message_bytes = 1 << 20;
	f->cfg.segment_bytes = f->len - 1;
	assert_int_equal(check(f), SL_KERR_RECORD_LIST_TOO_LARGE);
}

static void test_max_timestamp_is_recomputed(void **state)
{
	struct fix *f = *state;
	sl_put_be64(f->b + SL_BATCH_MAX_TS_OFF, 5);
	crc(f);
	assert_int_equal(check(f), 0);
	assert_int_equal(sl_batch_max_ts(f->b), NOW + 2);
	assert_int_equal(check(f), 0); /* with a good checksum */
}

static void test_log_append_time(void **state)
{
	struct fix *f = *state;
	f->in.now_ms = NOW + 5000;
	set_attrs(f, SL_ATTR_LOG_APPEND_TIME); /* on a CreateTime topic: taken without the bit */
	assert_int_equal(check(f), 0);
	assert_int_equal(sl_batch_attrs(f->b), 0);
	assert_int_equal(sl_batch_max_ts(f->b), NOW + 2);
	f->cfg.ts_type = SL_TS_LOG_APPEND_TIME;
	f->cfg.ts_after_max_ms = 0; /* means nothing here */
	assert_int_equal(check(f), 0);
	assert_int_equal(f->c.append_time_ms, NOW + 5000);
	assert_int_equal(f->c.max_ts_ms, NOW + 5000);
	assert_int_equal(sl_batch_max_ts(f->b), NOW + 5000);
	assert_int_equal(sl_batch_attrs(f->b), SL_ATTR_LOG_APPEND_TIME);
	assert_int_equal(check(f), SL_KERR_INVALID_TIMESTAMP); /* now it comes with the bit */
}

static void test_timestamp_window(void **state)
{
	struct fix *f = *state;
	f->cfg.ts_after_max_ms = 1; /* NOW, NOW + 1 are in, NOW + 2 is not */
	assert_int_equal(check(f), SL_KERR_INVALID_TIMESTAMP);
	assert_int_equal(f->c.record_cnt, 1);
	assert_int_equal(f->c.record[0].index, 2);
	f->cfg.ts_after_max_ms = 2;
	assert_int_equal(check(f), 0);
	f->in.now_ms = NOW + 10;
	f->cfg.ts_before_max_ms = 9;
	assert_int_equal(check(f), SL_KERR_INVALID_TIMESTAMP);
	assert_int_equal(f->c.record_cnt, 1);
	assert_int_equal(f->c.record[0].index, 0);
	f->cfg.ts_before_max_ms = 0;
	assert_int_equal(check(f), SL_KERR_INVALID_TIMESTAMP);
	assert_int_equal(f->c.record_cnt, 3);
	f->len = rig_batch(f->b, sizeof(f->b), 1, 10, -1); /* no timestamp at all */
	assert_int_equal(check(f), 0);
}

static void test_keys_on_compacted_topics(void **state)
{
	struct fix *f = *state;
	struct sl_bb bb;
	struct sl_slice k = {(const uint8_t *)"k", 1}, none = {NULL, 0};
	f->cfg.compact = true;
	assert_int_equal(check(f), 0);
	sl_bb_init(&bb, f->b, sizeof(f->b));
	assert_true(sl_bb_add(&bb, NOW, k, k, NULL, 0));
	assert_true(sl_bb_add(&bb, NOW, none, k, NULL, 0));
	f->len = sl_bb_close(&bb);
	assert_int_equal(check(f), SL_KERR_INVALID_RECORD);
	assert_int_equal(f->c.record_cnt, 1);
	assert_int_equal(f->c.record[0].index, 1);
	f->cfg.compact = false;
	assert_int_equal(check(f), 0);
}

static void test_record_errors_are_bounded(void **state)
{
	struct fix *f = *state;
	f->len = rig_batch(f->b, sizeof(f->b), 200, 1, NOW + 1000);
	f->cfg.ts_after_max_ms = 0;
	assert_int_equal(check(f), SL_KERR_INVALID_TIMESTAMP);
	assert_int_equal(f->c.record_cnt, SL_KCHECK_RECORDS_MAX);
}

/* Every codec into every other: the records must stay, and the stored batch must check out. */
static void test_recompress(void **state)
{
	struct fix *f = *state;
	for (int from = 0; from < SL_CODEC_CNT; from++) {
		f->len = rig_batch(f->b, sizeof(f->b), 5, 200, NOW);
		f->cfg.compression = from;
		assert_int_equal(check(f), 0);
		if (from != SL_CODEC_NONE) {
			assert_non_null(f->c.own);
			memcpy(f->b, f->c.batch, f->c.len);
			f->len = f->c.len;
		}
		for (int to = SL_COMP_PRODUCER; to < SL_CODEC_CNT; to++) {
			struct sl_batch_info info;
			f->cfg.compression = to;
			assert_int_equal(check(f), 0);
			assert_int_equal(f->c.own != NULL, to != SL_COMP_PRODUCER && to != from);
			assert_int_equal(sl_batch_attrs(f->c.batch) & SL_ATTR_CODEC_MASK,
					 to == SL_COMP_PRODUCER ? from : to);
			assert_int_equal(
				sl_batch_check(f->c.batch, f->c.len, true, &f->w.unpacked, &info),
				SL_BF_OK);
			assert_int_equal(info.count, 5);
			assert_int_equal(info.max_ts, NOW + 4);
		}
	}
	/* uncompressed it is larger than the topic takes */
	f->len = rig_batch(f->b, sizeof(f->b), 5, 1000, NOW);
	f->cfg.compression = SL_CODEC_LZ4;
	assert_int_equal(check(f), 0);
	memcpy(f->b, f->c.batch, f->c.len);
	f->len = f->c.len;
	f->cfg.compression = SL_CODEC_NONE;
	f->cfg.max_message_bytes = 1000;
	assert_int_equal(check(f), SL_KERR_MESSAGE_TOO_LARGE);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_no_batch),
		T(test_header_faults),
		T(test_count_and_sequence),
		T(test_sizes),
		T(test_good),
		T(test_max_timestamp_is_recomputed),
		T(test_log_append_time),
		T(test_timestamp_window),
		T(test_keys_on_compacted_topics),
		T(test_record_errors_are_bounded),
		T(test_recompress),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
