/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "crc32c.h"

uint32_t sl_bb_close(struct sl_bb *b)
{
	return sl_bb_close_as(b, -1, -1, -1);
}

uint32_t sl_bb_close_as(struct sl_bb *b, int64_t producer_id, int16_t epoch, int32_t base_seq)
{
	uint8_t *h = b->buf;

	SL_ASSERT(b->cnt >= 1 && b->len > SL_BATCH_HDR && b->len <= b->cap);
	sl_put_be64(h + SL_BATCH_BASE_OFFSET_OFF, 0);
	sl_put_be32(h + SL_BATCH_LENGTH_OFF, b->len - SL_BATCH_LEN_BIAS);
	sl_put_be32(h + SL_BATCH_LEADER_EPOCH_OFF, UINT32_MAX);
	h[SL_BATCH_MAGIC_OFF] = SL_BATCH_MAGIC;
	sl_put_be16(h + SL_BATCH_ATTRS_OFF, 0);
	sl_put_be32(h + SL_BATCH_LAST_DELTA_OFF, b->cnt - 1);
	sl_put_be64(h + SL_BATCH_BASE_TS_OFF, (uint64_t)b->base_ts);
	sl_put_be64(h + SL_BATCH_MAX_TS_OFF, (uint64_t)b->max_ts);
	sl_put_be64(h + SL_BATCH_PID_OFF, (uint64_t)producer_id);
	sl_put_be16(h + SL_BATCH_PEPOCH_OFF, (uint16_t)epoch);
	sl_put_be32(h + SL_BATCH_BASE_SEQ_OFF, (uint32_t)base_seq);
	sl_put_be32(h + SL_BATCH_COUNT_OFF, b->cnt);
	sl_put_be32(h + SL_BATCH_CRC_OFF,
		    sl_crc32c(h + SL_BATCH_CRC_FROM, b->len - SL_BATCH_CRC_FROM));
	return b->len;
}
