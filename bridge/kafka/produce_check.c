/* SPDX-License-Identifier: Apache-2.0 */
#include "produce_check.h"

#include <errno.h>
#include <stdlib.h>

#define SCRATCH_KEEP (4u << 20) /* a worker keeps no more than this between batches */

static bool fail(struct sl_kcheck *c, int16_t err, const char *msg)
{
	c->err = err;
	c->msg = msg;
	return false;
}

/* ---- the header ------------------------------------------------------------------------------ */

static bool check_header(const struct sl_kcheck_in *in, const uint8_t *b, uint32_t len,
			 struct sl_kcheck *c)
{
	if (!b)
		return fail(c, SL_KERR_INVALID_RECORD, "no records");
	if (len < SL_BATCH_HDR)
		return fail(c, SL_KERR_INVALID_RECORD, "no whole record batch");
	if (sl_batch_length(b) < SL_BATCH_HDR - SL_BATCH_LEN_BIAS)
		return fail(c, SL_KERR_CORRUPT_MESSAGE, "batch length makes no sense");
	if (sl_batch_magic(b) > SL_BATCH_MAGIC)
		return fail(c, SL_KERR_CORRUPT_MESSAGE, "there is no such magic");
	if (sl_batch_magic(b) != SL_BATCH_MAGIC)
		return fail(c, SL_KERR_INVALID_RECORD, "only record batches of magic 2 are taken");
	if (sl_batch_total(b) > len)
		return fail(c, SL_KERR_INVALID_RECORD, "batch length makes no sense");
	if (sl_batch_total(b) != len)
		return fail(c, SL_KERR_INVALID_RECORD, "exactly one batch per partition is taken");

	int16_t attrs = sl_batch_attrs(b);
	if ((attrs & SL_ATTR_CODEC_MASK) == SL_CODEC_ZSTD && in->version < 7)
		return fail(c, SL_KERR_UNSUPPORTED_COMPRESSION_TYPE,
			    "zstd needs Produce version 7 or later");
	if ((attrs & SL_ATTR_CODEC_MASK) >= SL_CODEC_CNT)
		return fail(c, SL_KERR_UNSUPPORTED_COMPRESSION_TYPE, "unknown compression codec");
	if (attrs & SL_ATTR_TRANSACTIONAL)
		return in->transactional
			       ? fail(c, SL_KERR_INVALID_TXN_STATE, "no transaction is open")
			       : fail(c, SL_KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
				      "transactional records without a transactional id");
	if (attrs & SL_ATTR_CONTROL)
		return fail(c, SL_KERR_INVALID_RECORD, "clients may not write control batches");
	if (sl_batch_base_offset(b) != 0)
		return fail(c, SL_KERR_INVALID_RECORD, "the base offset of a batch must be 0");
	if (sl_batch_pid(b) >= 0 && (sl_batch_base_seq(b) < 0 || sl_batch_pepoch(b) < 0))
		return fail(c, SL_KERR_INVALID_RECORD, "producer id without epoch or sequence");
	return true;
}

static bool check_size(const struct sl_kcheck_in *in, uint32_t len, struct sl_kcheck *c)
{
	if (len > SL_BATCH_MAX_BYTES || (int64_t)len > in->cfg->max_message_bytes)
		return fail(c, SL_KERR_MESSAGE_TOO_LARGE, "batch larger than max.message.bytes");
	if ((int64_t)len > in->cfg->segment_bytes)
		return fail(c, SL_KERR_RECORD_LIST_TOO_LARGE, "batch larger than segment.bytes");
	return true;
}

/* ---- the records ----------------------------------------------------------------------------- */

static bool check_body(const uint8_t *b, uint32_t len, struct sl_kworker *w,
		       struct sl_batch_info *info, struct sl_kcheck *c)
{
	static const struct {
		int16_t err;
		const char *msg;
	} of[] = {
		[SL_BF_SHORT] = {SL_KERR_INVALID_RECORD, "no whole record batch"},
		[SL_BF_MAGIC] = {SL_KERR_INVALID_RECORD,
				 "only record batches of magic 2 are taken"},
		[SL_BF_LENGTH] = {SL_KERR_INVALID_RECORD, "batch length makes no sense"},
		[SL_BF_CRC] = {SL_KERR_CORRUPT_MESSAGE, "checksum of the batch does not match"},
		[SL_BF_CODEC] = {SL_KERR_UNSUPPORTED_COMPRESSION_TYPE, "unknown compression codec"},
		[SL_BF_COUNT] = {SL_KERR_INVALID_RECORD, "record count and offsets do not match"},
		[SL_BF_DECOMPRESS] = {SL_KERR_INVALID_RECORD, "records cannot be decompressed"},
		[SL_BF_RECORD] = {SL_KERR_INVALID_RECORD, "a record does not parse"},
	};
	enum sl_batch_fault f = sl_batch_check(b, len, true, &w->unpacked, info);

	if (f == SL_BF_OK)
		return true;
	SL_ASSERT((size_t)f < SL_ARRAY_SIZE(of));
	return fail(c, of[f].err, of[f].msg);
}

static bool outside(const struct sl_kcheck_in *in, int64_t ts)
{
	if (ts == -1) /* no timestamp: there is nothing to hold against the clock */
		return false;
	/* the settings may be as large as a long goes: subtract on the safe side */
	return ts > in->now_ms ? ts - in->now_ms > in->cfg->ts_after_max_ms
			       : in->now_ms - SL_MAX(ts, 0) > in->cfg->ts_before_max_ms;
}

static void note_record(struct sl_kcheck *c, int64_t index, const char *msg)
{
	if (c->record_cnt >= SL_KCHECK_RECORDS_MAX)
		return;
	if (!c->record)
		c->record = calloc(SL_KCHECK_RECORDS_MAX, sizeof(*c->record));
	if (c->record) /* without memory the partition's own error must do */
		c->record[c->record_cnt++] = (struct sl_kcheck_record){(int32_t)index, msg};
}

/* Walks the records again to name those that are refused. True: none is. */
static bool check_each(const struct sl_kcheck_in *in, const uint8_t *b, struct sl_kworker *w,
		       bool times, struct sl_kcheck *c)
{
	struct sl_record_walk walk;
	struct sl_record rec;
	bool bad_key = false, bad_ts = false;

	if (sl_record_walk_init(&walk, b, &w->unpacked))
		return fail(c, SL_KERR_INVALID_RECORD, "records cannot be decompressed");
	while (sl_record_walk_next(&walk, &rec) == 1) {
		if (in->cfg->compact && !rec.key.p) {
			bad_key = true;
			note_record(c, rec.offset_delta, "a compacted topic needs keys");
		} else if (times && outside(in, rec.ts)) {
			bad_ts = true;
			note_record(c, rec.offset_delta, "timestamp outside the topic's window");
		}
	}
	if (bad_key)
		return fail(c, SL_KERR_INVALID_RECORD, "one or more records have been rejected");
	if (bad_ts)
		return fail(c, SL_KERR_INVALID_TIMESTAMP,
			    "one or more records have a timestamp outside the topic's window");
	return true;
}

static bool check_records(const struct sl_kcheck_in *in, const uint8_t *b, struct sl_kworker *w,
			  const struct sl_batch_info *info, struct sl_kcheck *c)
{
	bool create_time = in->cfg->ts_type == SL_TS_CREATE_TIME;
	bool keys = in->cfg->compact && info->null_key;
	bool times =
		create_time && (outside(in, info->min_ts) || outside(in, info->max_ts) ||
				(info->min_ts == -1 && in->cfg->ts_before_max_ms < in->now_ms));

	return (!keys && !times) || check_each(in, b, w, times, c);
}

/* ---- what we change -------------------------------------------------------------------------- */

/* Compresses the records anew as the topic's compression.type wants. */
static bool recompress(const struct sl_kcheck_in *in, struct sl_kworker *w, struct sl_kcheck *c)
{
	int from = sl_batch_attrs(c->batch) & SL_ATTR_CODEC_MASK, to = in->cfg->compression;
	struct sl_slice body = {c->batch + SL_BATCH_HDR, c->len - SL_BATCH_HDR};

	if (to == SL_COMP_PRODUCER || to == from)
		return true;
	if ((from != SL_CODEC_NONE && sl_decompress(from, body, &w->unpacked, &body)) ||
	    (to != SL_CODEC_NONE && sl_compress(to, body, &w->packed, &body)))
		return fail(c, SL_KERR_UNKNOWN_SERVER_ERROR, "records could not be compressed");
	if (!check_size(in, SL_BATCH_HDR + body.len, c))
		return false;
	c->own = malloc(SL_BATCH_HDR + body.len);
	if (!c->own)
		return fail(c, SL_KERR_UNKNOWN_SERVER_ERROR, "out of memory");
	memcpy(c->own, c->batch, SL_BATCH_HDR);
	memcpy(c->own + SL_BATCH_HDR, body.p, body.len);
	c->batch = c->own;
	c->len = SL_BATCH_HDR + body.len;
	uint16_t attrs = (uint16_t)((sl_batch_attrs(c->batch) & ~SL_ATTR_CODEC_MASK) | to);
	sl_put_be16(c->batch + SL_BATCH_ATTRS_OFF, attrs);
	sl_put_be32(c->batch + SL_BATCH_LENGTH_OFF, c->len - SL_BATCH_LEN_BIAS);
	return true;
}

/*
 * A producer has no business with the LogAppendTime bit: a LogAppendTime topic refuses it, a
 * CreateTime topic takes the records' own times instead (both as Kafka does).
 */
static bool clear_append_time(const struct sl_kcheck_in *in, uint8_t *b, uint32_t len,
			      struct sl_kworker *w, struct sl_batch_info *info, struct sl_kcheck *c)
{
	uint16_t attrs = (uint16_t)sl_batch_attrs(b);

	if (!(attrs & SL_ATTR_LOG_APPEND_TIME))
		return true;
	if (in->cfg->ts_type == SL_TS_LOG_APPEND_TIME)
		return fail(c, SL_KERR_INVALID_TIMESTAMP, "producers may not set LogAppendTime");
	sl_put_be16(b + SL_BATCH_ATTRS_OFF, (uint16_t)(attrs & ~SL_ATTR_LOG_APPEND_TIME));
	sl_batch_set_ts(b, len, sl_batch_max_ts(b), false); /* new CRC */
	return check_body(b, len, w, info, c);
}

static void set_times(const struct sl_kcheck_in *in, const struct sl_batch_info *info,
		      struct sl_kcheck *c)
{
	if (in->cfg->ts_type == SL_TS_LOG_APPEND_TIME) {
		c->max_ts_ms = c->append_time_ms = in->now_ms;
		sl_batch_set_ts(c->batch, c->len, in->now_ms, true);
		return;
	}
	c->max_ts_ms = info->max_ts;
	if (c->own || sl_batch_max_ts(c->batch) != info->max_ts)
		sl_batch_set_ts(c->batch, c->len, info->max_ts, false);
}

static void trim(struct sl_scratch *s)
{
	if (s->cap > SCRATCH_KEEP) {
		size_t max = s->max;
		sl_scratch_fini(s);
		sl_scratch_init(s, max);
	}
}

void sl_kcheck_batch(const struct sl_kcheck_in *in, uint8_t *b, uint32_t len, struct sl_kworker *w,
		     struct sl_kcheck *ret)
{
	struct sl_batch_info info;

	*ret = (struct sl_kcheck){.batch = b, .len = len, .append_time_ms = -1};
	if (check_header(in, b, len, ret) && check_size(in, len, ret) &&
	    check_body(b, len, w, &info, ret) && clear_append_time(in, b, len, w, &info, ret) &&
	    check_records(in, b, w, &info, ret) && recompress(in, w, ret)) {
		ret->records = (uint32_t)info.count;
		set_times(in, &info, ret);
	}
	trim(&w->unpacked);
	trim(&w->packed);
}

void sl_kcheck_fini(struct sl_kcheck *c)
{
	free(c->record);
	c->record = NULL;
	sl_kcheck_free_own(c);
}

void sl_kcheck_free_own(struct sl_kcheck *c)
{
	free(c->own);
	c->own = NULL;
}
