/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <stdlib.h>

#include "io.h"
#include "platform/record/check.h"

#define WINDOW      (4u << 20)
#define RESIDUE_MAX (4u << 20)

/* At least `n` bytes at pos in memory, or as many as there are below end_pos. */
static const uint8_t *view(struct sl_scan *s, uint32_t pos, uint32_t n, uint32_t *ret_have)
{
	uint32_t want = (uint32_t)SL_MIN((uint64_t)n, s->end_pos - SL_MIN(pos, s->end_pos));

	if (pos < s->at || pos + want > s->at + s->len) {
		uint32_t need = SL_MAX(WINDOW, want);
		if (s->cap < need) {
			free(s->buf);
			s->buf = malloc(need);
			s->cap = s->buf ? need : 0;
		}
		s->at = pos;
		s->len = 0;
		int64_t got =
			s->buf ? sl_io_pread_all(
					 s->fd, s->buf,
					 SL_MIN(s->cap, s->end_pos - SL_MIN(pos, s->end_pos)), pos)
			       : -1;
		if (got > 0) {
			s->len = (uint32_t)got;
			s->scanned += (uint64_t)got;
		}
	}
	uint32_t have = s->at + s->len - SL_MIN(pos, s->at + s->len);
	*ret_have = SL_MIN(have, want);
	return s->buf + (pos - s->at);
}

static bool all_zero(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* A whole, plausible batch at pos: its bytes, or NULL. */
static const uint8_t *whole_batch(struct sl_scan *s, uint32_t pos, uint32_t *ret_total)
{
	uint32_t have;
	const uint8_t *b = view(s, pos, SL_BATCH_HDR, &have);

	if (have < SL_BATCH_HDR || sl_batch_magic(b) != SL_BATCH_MAGIC)
		return NULL;
	int32_t len = sl_batch_length(b);
	if (len < SL_BATCH_HDR - SL_BATCH_LEN_BIAS || (uint32_t)len > SL_SCAN_BATCH_MAX)
		return NULL;
	b = view(s, pos, (uint32_t)len + SL_BATCH_LEN_BIAS, &have);
	if (sl_batch_check_frame(b, have, ret_total) != SL_BF_OK)
		return NULL;
	return sl_batch_last_delta(b) < 0 ? NULL : b;
}

static enum sl_scan_stop why_not(struct sl_scan *s)
{
	uint32_t have;
	const uint8_t *b = view(s, s->pos, SL_BATCH_HDR, &have);

	return all_zero(b, have) ? SL_SCAN_END : SL_SCAN_BAD;
}

/*
 * The batch at pos begins behind the offset that comes next. The base offset lies outside of the
 * checksum, so what follows has a say: a gap that compaction left goes on behind the batch, a
 * damaged offset does not.
 */
static bool gap_before(struct sl_scan *s, uint32_t pos, uint32_t total, int64_t last)
{
	uint32_t next_total;
	const uint8_t *next = whole_batch(s, pos + total, &next_total);

	return !next || sl_batch_base_offset(next) > last;
}

enum sl_scan_stop sl_scan_run(struct sl_scan *s)
{
	while (s->pos < s->end_pos && s->next_off < s->end_off) {
		uint32_t total;
		const uint8_t *b = whole_batch(s, s->pos, &total);
		if (!b)
			return why_not(s);
		int64_t base = sl_batch_base_offset(b), last = sl_batch_last_offset(b);
		if (base < s->next_off || (s->strict && base != s->next_off) || last >= s->end_off)
			return SL_SCAN_STALE;
		if (base > s->next_off) {
			if (!gap_before(s, s->pos, total, last))
				return SL_SCAN_STALE;
			b = whole_batch(s, s->pos, &total); /* it looked elsewhere */
			if (!b)
				return SL_SCAN_BAD;
		}
		if (s->batch)
			s->batch(s->arg, b, s->pos, total);
		s->pos += total;
		s->next_off = last + 1;
	}
	return SL_SCAN_LIMIT;
}

static bool fits(struct sl_scan *s, uint32_t pos, int64_t max_off)
{
	uint32_t total;
	const uint8_t *b = whole_batch(s, pos, &total);

	return b && sl_batch_base_offset(b) >= s->next_off && sl_batch_last_offset(b) < max_off;
}

/* The batch at s->pos itself, where only what should come before it is missing. */
static bool fits_here(struct sl_scan *s, int64_t max_off)
{
	uint32_t total;
	const uint8_t *b = whole_batch(s, s->pos, &total);

	return b && sl_batch_base_offset(b) > s->next_off && sl_batch_last_offset(b) < max_off &&
	       gap_before(s, s->pos, total, sl_batch_last_offset(b));
}

bool sl_scan_resync(struct sl_scan *s, int64_t max_off)
{
	uint32_t have, pos = s->pos, total;
	const uint8_t *b = view(s, pos, SL_BATCH_HDR, &have);
	int64_t len = have == SL_BATCH_HDR ? sl_batch_length(b) : 0;

	if (fits_here(s, max_off)) {
		/* pos stays */
	} else if (len >= SL_BATCH_HDR - SL_BATCH_LEN_BIAS && len <= SL_SCAN_BATCH_MAX &&
		   pos + len + SL_BATCH_LEN_BIAS < s->end_pos &&
		   fits(s, pos + (uint32_t)len + SL_BATCH_LEN_BIAS, max_off)) {
		/* the length of the damaged one usually survives */
		s->pos = pos + (uint32_t)len + SL_BATCH_LEN_BIAS;
	} else {
		for (pos++; pos + SL_BATCH_HDR <= s->end_pos; pos++) {
			b = view(s, pos, SL_BATCH_HDR, &have);
			if (have < SL_BATCH_HDR)
				return false;
			if (b[SL_BATCH_MAGIC_OFF] == SL_BATCH_MAGIC && b[0] == 0 &&
			    sl_batch_base_offset(b) >= s->next_off && fits(s, pos, max_off))
				break;
		}
		if (pos + SL_BATCH_HDR > s->end_pos)
			return false;
		s->pos = pos;
	}
	b = whole_batch(s, s->pos, &total);
	s->next_off = sl_batch_base_offset(b);
	return true;
}

uint32_t sl_scan_residue(struct sl_scan *s, uint32_t to)
{
	uint32_t have, n = SL_MIN(to - SL_MIN(s->pos, to), RESIDUE_MAX), keep = s->end_pos;

	if (n == 0)
		return 0;
	s->end_pos = to;
	const uint8_t *b = view(s, s->pos, n, &have);
	s->end_pos = keep;
	while (have > 0 && b[have - 1] == 0)
		have--;
	return have;
}

void sl_scan_fini(struct sl_scan *s)
{
	free(s->buf);
	s->buf = NULL;
	s->cap = s->len = 0;
}
