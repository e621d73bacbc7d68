/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_mutate.c - how libFuzzer changes the inputs of conn_fuzz.c: most of the time within frames,
 * with sizes, headers and checksums put right afterwards, so that what is changed is seen by a
 * handler and not by the first check. Only in the libFuzzer build.
 */
#include "api.h"
#include "platform/record/crc32c.h"
#include "sluice/batch.h"
#include "sluice/wire.h"

#define FRAMES_MAX  256
#define HEAD        12 /* size, key, version, correlation */
#define MUTANT_MAX  (1u << 20)
#define BATCHES_MAX 64 /* in one frame, whose checksum is put right */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t out_max, unsigned seed);

struct frames {
	uint8_t *data;
	size_t size, max;
	uint32_t rng;
	unsigned cnt;
	size_t at[FRAMES_MAX + 1]; /* where each one begins, and the end */
};

static uint32_t next_random(struct frames *f)
{
	f->rng ^= f->rng << 13;
	f->rng ^= f->rng >> 17;
	f->rng ^= f->rng << 5;
	return f->rng;
}

static uint32_t below(struct frames *f, uint32_t n)
{
	return next_random(f) % n;
}

/* False: it is not a sequence of whole frames. */
static bool cut(struct frames *f)
{
	size_t at = 0;

	f->cnt = 0;
	while (f->size - at >= HEAD && f->cnt < FRAMES_MAX) {
		uint32_t len = sl_be32(f->data + at);
		if (len < HEAD - 4 || len > f->size - at - 4)
			return false;
		f->at[f->cnt++] = at;
		at += 4 + len;
	}
	f->at[f->cnt] = at;
	return f->cnt > 0 && at == f->size;
}

static size_t len_of(const struct frames *f, unsigned i)
{
	return f->at[i + 1] - f->at[i];
}

/* Where the body begins behind client id and tags, as far as the frame goes. */
static size_t body_of(const struct frames *f, unsigned i)
{
	const uint8_t *p = f->data + f->at[i];
	const struct sl_kapi *api = sl_kapi_find((int16_t)sl_be16(p + 4));
	size_t at = HEAD, len = len_of(f, i);

	if (len >= HEAD + 2)
		at += 2 + (size_t)SL_MAX((int16_t)sl_be16(p + HEAD), 0);
	if (api && (int16_t)sl_be16(p + 6) >= api->flexible)
		at++; /* no tags */
	return SL_MIN(at, len);
}

/* Any place that looks like a batch gets the checksum of what is there. */
static void fix_batches(uint8_t *p, size_t len)
{
	unsigned fixed = 0;

	for (size_t i = 0; i + SL_BATCH_HDR <= len && fixed < BATCHES_MAX; i++) {
		uint8_t *b = p + i;
		if (sl_batch_magic(b) != SL_BATCH_MAGIC || sl_batch_base_offset(b) != 0)
			continue;
		int32_t n = sl_batch_length(b);
		if (n < (int32_t)(SL_BATCH_HDR - SL_BATCH_LEN_BIAS) ||
		    (size_t)n + SL_BATCH_LEN_BIAS > len - i)
			continue;
		uint32_t total = sl_batch_total(b);
		sl_put_be32(b + SL_BATCH_CRC_OFF,
			    sl_crc32c(b + SL_BATCH_CRC_FROM, total - SL_BATCH_CRC_FROM));
		fixed++;
	}
}

/* Puts `n` bytes at `at`, in place of `old`; the caller has looked that there is room. */
static void replace(struct frames *f, size_t at, size_t old, const uint8_t *p, size_t n)
{
	memmove(f->data + at + n, f->data + at + old, f->size - at - old);
	if (n)
		memcpy(f->data + at, p, n);
	f->size = f->size - old + n;
}

static void mutate_body(struct frames *f, unsigned i, uint8_t *tmp)
{
	size_t body = f->at[i] + body_of(f, i), old = f->at[i + 1] - body;
	size_t room = SL_MIN(old + (f->max - f->size), MUTANT_MAX - HEAD);

	if (room == 0 || old > room)
		return;
	memcpy(tmp, f->data + body, old);
	size_t n = LLVMFuzzerMutate(tmp, old, room);
	replace(f, body, old, tmp, n);
	sl_put_be32(f->data + f->at[i], (uint32_t)(body + n - f->at[i] - 4));
	if (below(f, 4))
		fix_batches(f->data + body, n);
}

/* A count, a length or a number that a careless reader trips over. */
static void put_number(struct frames *f, unsigned i)
{
	static const uint32_t odd[] = {
		0,       1,          2,          0x7f,       0xff,       0x7fff,     0x8000, 0xffff,
		0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x40000000, 16384,  16385};
	uint32_t v = odd[below(f, SL_ARRAY_SIZE(odd))];
	size_t body = body_of(f, i), left = len_of(f, i) - body, width = 1u << below(f, 3);

	if (left < width)
		return;
	uint8_t *p = f->data + f->at[i] + body + below(f, (uint32_t)(left - width + 1));
	if (width == 4)
		sl_put_be32(p, v);
	else if (width == 2)
		sl_put_be16(p, (uint16_t)v);
	else
		*p = (uint8_t)v;
	if (below(f, 2))
		fix_batches(f->data + f->at[i] + body, left);
}

static void change_head(struct frames *f, unsigned i)
{
	uint8_t *p = f->data + f->at[i];
	size_t rows;
	const struct sl_kapi *row = sl_kapi_rows(&rows), *api;

	if (below(f, 4) == 0)
		sl_put_be16(p + 4, (uint16_t)row[below(f, (uint32_t)rows)].key);
	api = sl_kapi_find((int16_t)sl_be16(p + 4));
	if (api)
		sl_put_be16(p + 6, (uint16_t)(api->min +
					      (int)below(f, (uint32_t)(api->max - api->min + 1))));
	if (below(f, 2)) /* whose it is, and how long it takes */
		sl_put_be32(p + 8, next_random(f) & 0x00ff0001u);
}

static void repeat(struct frames *f, unsigned i, uint8_t *tmp)
{
	size_t n = len_of(f, i);

	if (n > f->max - f->size || n > MUTANT_MAX)
		return;
	memcpy(tmp, f->data + f->at[i], n);
	replace(f, f->at[below(f, f->cnt + 1)], 0, tmp, n);
}

static void drop(struct frames *f, unsigned i)
{
	if (f->cnt > 1)
		replace(f, f->at[i], len_of(f, i), NULL, 0);
}

static void change(struct frames *f, uint8_t *tmp)
{
	unsigned i = below(f, f->cnt);

	switch (below(f, 8)) {
	case 0:
		change_head(f, i);
		return;
	case 1:
		repeat(f, i, tmp);
		return;
	case 2:
		drop(f, i);
		return;
	case 3:
	case 4:
		put_number(f, i);
		return;
	}
	mutate_body(f, i, tmp);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static uint8_t tmp[MUTANT_MAX];
	struct frames f = {.data = data, .size = size, .max = max_size, .rng = seed | 1};

	if (below(&f, 16) == 0 || !cut(&f))
		return LLVMFuzzerMutate(data, size, max_size);
	unsigned times = 1 + below(&f, 3);
	for (unsigned i = 0; i < times && cut(&f); i++)
		change(&f, tmp);
	return f.size;
}

/* The beginning of one conversation and the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t out_max, unsigned seed)
{
	struct frames fa = {.data = (uint8_t *)(uintptr_t)a, .size = a_size, .rng = seed | 1};
	struct frames fb = {.data = (uint8_t *)(uintptr_t)b, .size = b_size, .rng = seed | 1};

	size_t head = cut(&fa) ? fa.at[1 + below(&fa, fa.cnt)] : a_size;
	size_t from = cut(&fb) ? fb.at[below(&fb, fb.cnt)] : 0;
	head = SL_MIN(head, out_max);
	size_t tail = SL_MIN(b_size - from, out_max - head);
	memcpy(out, a, head);
	memcpy(out + head, b + from, tail);
	return head + tail;
}
