/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_fuzz.c - a hostile plugin: whatever lies in the ring, and however it changes between two
 * looks, the consumer stays within it.
 *
 * An input is the page's positions and the ring's first bytes: head (8 bytes), tail (8), then
 * rounds of (n, bytes): n x 16 bytes are written over the ring from where the consumer stands, head
 * moves by the next 4, and frames are taken. What is not given is 0.
 *
 * Built twice: with libFuzzer (-Dfuzz=true, clang), and with a main() that replays files.
 */
#include <stdlib.h>

#include "map.h"
#include "record.h"
#include "ring.h"

#define BYTES SL_RING_BYTES_MIN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t left;
};

static void take(struct input *in, void *to, size_t n)
{
	size_t has = SL_MIN(n, in->left);

	memset(to, 0, n);
	memcpy(to, in->p, has);
	in->p += has;
	in->left -= has;
}

/* Reads all that a slice says there is. */
static unsigned sum(struct sl_slice s)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < s.len; i++)
		n += s.p[i];
	return n;
}

/* What the intake does with a message, but for the map: headers into a batch. */
static unsigned use(const struct sl_ring_msg *m, struct sl_mrecord *rec, struct sl_map_out *out)
{
	static uint8_t batch[BYTES];
	static const uint8_t names[2 * UINT16_MAX];
	struct sl_ring_msg copy = *m;
	struct sl_bb bb;
	unsigned n = sum(m->topic) + sum(m->client) + sum(m->payload);

	for (uint32_t i = 0; i < m->prop_cnt; i++)
		n += sum(m->prop[i].name) + sum(m->prop[i].value);
	copy.topic.p = names;
	copy.client.p = names + m->topic.len;
	if (sl_mrecord_fill(rec, &copy, out))
		return n;
	sl_bb_init(&bb, batch, sizeof(batch));
	if (sl_mrecord_bound(rec, &copy, out) + SL_BATCH_HDR <= sizeof(batch))
		SL_ASSERT(sl_bb_add(&bb, 1, (struct sl_slice){NULL, 0}, copy.payload, rec->hdr,
				    rec->hdr_cnt));
	return n;
}

static void rounds(struct input *in, struct sl_ring *r, struct sl_mrecord *rec,
		   struct sl_map_out *out)
{
	struct sl_ring_msg m;
	struct sl_ring_ref ref;
	struct sl_ring_taken t = {.partition = 1};

	while (in->left) {
		uint8_t n;
		uint32_t by;
		take(in, &n, 1);
		for (unsigned i = 0; i < n * 16u; i += 16)
			take(in, r->data + ((r->pos + i) & (r->bytes - 1) & ~15u), 16);
		take(in, &by, 4);
		atomic_store(&r->hdr->head, atomic_load(&r->hdr->head) + by);
		for (unsigned i = 0; i < 64; i++) {
			int rc = sl_ring_peek(r, &m, &ref);
			if (rc < 0)
				return;
			if (rc == 0)
				break;
			SL_ASSERT(use(&m, rec, out) != 1u << 31);
			sl_ring_take(r, &ref, &t);
			sl_ring_taken(&ref, &t);
			sl_ring_answer(r, &ref, SL_RING_STORED);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct sl_map_out *out = calloc(1, sizeof(*out));
	/* exactly as large as it is, so that a sanitizer sees reads beyond it */
	uint8_t *mem = aligned_alloc(64, SL_RING_PAGE + BYTES);
	struct sl_mrecord rec;
	struct sl_ring r;
	uint64_t head, tail;

	SL_ASSERT(out && mem);
	sl_mrecord_init(&rec);
	memset(mem + SL_RING_PAGE, 0, BYTES);
	sl_ring_format(mem, BYTES, (const uint8_t *)"sixteen bytes..", "fuzz");
	take(&in, &head, 8);
	take(&in, &tail, 8);
	atomic_store(&((struct sl_ring_hdr *)(void *)mem)->head, head);
	atomic_store(&((struct sl_ring_hdr *)(void *)mem)->tail, tail);
	if (sl_ring_open(&r, mem, SL_RING_PAGE + BYTES) == 0)
		rounds(&in, &r, &rec, out);
	sl_mrecord_fini(&rec);
	free(mem);
	free(out);
	return 0;
}
