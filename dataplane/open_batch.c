/* SPDX-License-Identifier: Apache-2.0 */
#include "open_batch.h"

#include <errno.h>
#include <stdlib.h>

/* ---- life ------------------------------------------------------------------------------------ */

static void *heap_alloc(size_t bytes, size_t align)
{
	void *p = aligned_alloc(align, SL_ALIGN_UP(bytes, align));

	if (p)
		memset(p, 0, bytes);
	return p;
}

static uint32_t stride(uint32_t bytes)
{
	return (uint32_t)SL_ALIGN_UP(bytes, SL_CACHELINE);
}

uint64_t sl_ob_bytes(const struct sl_ob_cfg *cfg)
{
	return (uint64_t)stride(cfg->batch_bytes) * cfg->batch_cnt +
	       (uint64_t)stride(cfg->large_bytes) * SL_OB_LARGE_CNT;
}

static int make_slots(struct sl_ob *ob, const struct sl_ob_cfg *cfg)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < cfg->topic_cnt; i++)
		ob->slots += sl_topic_partitions(cfg->topic[i]);
	if (cfg->batch_cnt <= ob->slots)
		return -EINVAL;
	ob->slot = calloc(ob->slots + 1, sizeof(*ob->slot));
	ob->topic = calloc(cfg->topic_cnt + 1, sizeof(*ob->topic));
	if (!ob->slot || !ob->topic)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfg->topic_cnt; i++) {
		uint32_t n = sl_topic_partitions(cfg->topic[i]);
		ob->topic[i] = (struct sl_ob_topic){
			.max_bytes = cfg->topic_max_bytes[i], .first_slot = at, .partitions = n};
		for (uint32_t k = 0; k < n; k++, at++) {
			struct sl_part *p = sl_topic_part(cfg->topic[i], (int32_t)k);
			SL_ASSERT(p && sl_part_writer(p) < cfg->writers);
			ob->slot[at] = (struct sl_ob_slot){
				.part = p, .topic = i, .writer = sl_part_writer(p)};
		}
	}
	ob->topics = cfg->topic_cnt;
	return 0;
}

static int make_pool(struct sl_ob *ob, const struct sl_ob_cfg *cfg)
{
	void *(*alloc)(size_t, size_t) = cfg->alloc ? cfg->alloc : heap_alloc;
	uint32_t large = cfg->large_bytes ? SL_OB_LARGE_CNT : 0, n = cfg->batch_cnt + large;

	ob->all = alloc((size_t)n * sizeof(*ob->all), SL_CACHELINE);
	ob->mem = alloc(sl_ob_bytes(cfg), 4096);
	ob->free = calloc(cfg->batch_cnt, sizeof(struct sl_batch *));
	if (!ob->all || !ob->mem || !ob->free)
		return -ENOMEM;
	uint8_t *p = ob->mem;
	for (uint32_t i = 0; i < n; i++) {
		struct sl_batch *b = &ob->all[i];
		b->large = i >= cfg->batch_cnt;
		b->mem = p;
		b->mem_len = b->large ? cfg->large_bytes : cfg->batch_bytes;
		p += stride(b->mem_len);
		if (b->large)
			ob->large_free[ob->large_free_cnt++] = b;
		else
			ob->free[ob->free_cnt++] = b;
	}
	ob->cnt = cfg->batch_cnt;
	ob->large_cnt = large;
	return 0;
}

int sl_ob_init(struct sl_ob *ob, const struct sl_ob_cfg *cfg)
{
	memset(ob, 0, sizeof(*ob));
	if (cfg->batch_bytes < SL_OB_BATCH_MIN || cfg->batch_bytes > SL_OB_BATCH_MAX ||
	    cfg->writers == 0 || cfg->writers > SL_STORE_WRITERS_MAX ||
	    (cfg->large_bytes && cfg->large_bytes <= cfg->batch_bytes))
		return -EINVAL;
	ob->linger_ns = cfg->linger_ns;
	ob->accepted = cfg->accepted;
	ob->handoff = cfg->handoff;
	ob->writers = cfg->writers;
	int rc = make_slots(ob, cfg);
	if (!rc)
		rc = make_pool(ob, cfg);
	if (rc)
		sl_ob_fini(ob, cfg->release);
	return rc;
}

void sl_ob_fini(struct sl_ob *ob, void (*release)(void *p))
{
	if (!ob)
		return;
	if (!release)
		release = free;
	release(ob->all);
	release(ob->mem);
	free(ob->free);
	free(ob->slot);
	free(ob->topic);
	memset(ob, 0, sizeof(*ob));
}

/* ---- the pool -------------------------------------------------------------------------------- */

static void put_free(struct sl_ob *ob, struct sl_batch *b)
{
	if (b->large)
		ob->large_free[ob->large_free_cnt++] = b;
	else
		ob->free[ob->free_cnt++] = b;
	SL_DASSERT(ob->free_cnt <= ob->cnt && ob->large_free_cnt <= ob->large_cnt);
}

static void reap_writer(struct sl_ob *ob, uint32_t w)
{
	struct sl_append *back[64];
	unsigned n;

	do {
		n = sl_handoff_reap(&ob->handoff[w], back, SL_ARRAY_SIZE(back));
		for (unsigned i = 0; i < n; i++)
			put_free(ob, SL_CONTAINER_OF(back[i], struct sl_batch, app));
	} while (n == SL_ARRAY_SIZE(back));
}

uint32_t sl_ob_reap(struct sl_ob *ob)
{
	for (uint32_t w = 0; w < ob->writers; w++)
		reap_writer(ob, w);
	return ob->free_cnt;
}

/* A free element, the one used last if possible: its lines are still near. */
static struct sl_batch *take_free(struct sl_ob *ob, const struct sl_ob_slot *s, bool large)
{
	reap_writer(ob, s->writer);
	if (!(large ? ob->large_free_cnt : ob->free_cnt))
		sl_ob_reap(ob);
	if (large)
		return ob->large_free_cnt ? ob->large_free[--ob->large_free_cnt] : NULL;
	return ob->free_cnt ? ob->free[--ob->free_cnt] : NULL;
}

/* ---- open and close ----------------------------------------------------------------------------
 */

static void link_newest(struct sl_ob *ob, struct sl_batch *b)
{
	b->newer = NULL;
	b->older = ob->newest;
	if (ob->newest)
		ob->newest->newer = b;
	else
		ob->oldest = b;
	ob->newest = b;
}

static void unlink_open(struct sl_ob *ob, struct sl_batch *b)
{
	if (b->older)
		b->older->newer = b->newer;
	else
		ob->oldest = b->newer;
	if (b->newer)
		b->newer->older = b->older;
	else
		ob->newest = b->older;
}

static void hand_over(struct sl_ob *ob, const struct sl_ob_slot *s, struct sl_batch *b)
{
	b->app = (struct sl_append){
		.part = s->part,
		.batch = b->mem,
		.len = sl_bb_close(&b->bb),
		.records = b->bb.cnt,
		.max_ts_ms = b->bb.max_ts,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
		.origin = SL_ORIGIN_INGEST,
		.ack = SL_ACK_RECEIVED,
	};
	ob->handed += b->bb.cnt;
	ob->batches++;
	ob->rung |= UINT64_C(1) << s->writer;
	/* the rings are as deep as the pool is large */
	SL_ASSERT(sl_handoff_give(&ob->handoff[s->writer], &b->app));
}

void sl_ob_close(struct sl_ob *ob, struct sl_ob_slot *s)
{
	struct sl_batch *b = s->open;
	struct sl_ob_topic *t = &ob->topic[s->topic];

	unlink_open(ob, b);
	s->open = NULL;
	ob->records -= b->bb.cnt;
	hand_over(ob, s, b);
	/* Records without a key fill one batch after the other, as Kafka's producers do. */
	if (t->first_slot + t->sticky == b->slot)
		t->sticky = t->sticky + 1 == t->partitions ? 0 : t->sticky + 1;
}

void sl_ob_close_due(struct sl_ob *ob, uint64_t now_ns)
{
	while (ob->oldest && ob->oldest->due_ns <= now_ns)
		sl_ob_close(ob, &ob->slot[ob->oldest->slot]);
}

uint32_t sl_ob_close_oldest(struct sl_ob *ob, uint32_t n)
{
	uint32_t done = 0;

	for (; done < n && ob->oldest; done++)
		sl_ob_close(ob, &ob->slot[ob->oldest->slot]);
	return done;
}

/* ---- records that do not just fit
 * ---------------------------------------------------------------- */

/* For a record that is near a limit: in a batch of its own, whose size then is exact. */
static enum sl_frame_row add_alone(struct sl_ob *ob, struct sl_ob_slot *s, uint32_t max_bytes,
				   int64_t ts_ms, struct sl_slice key, struct sl_slice val,
				   const struct sl_hdr *h, unsigned nh)
{
	uint32_t bound = SL_BATCH_HDR + sl_bb_bound(key.len, val.len, h, nh);
	bool large = bound > ob->all[0].mem_len;

	if (large && (!ob->large_cnt || bound > ob->all[ob->cnt].mem_len))
		return SL_FR_REFUSED_TOO_LARGE;
	struct sl_batch *b = take_free(ob, s, large);
	if (!b)
		return SL_FR_RING_FULL;
	sl_bb_init(&b->bb, b->mem, b->mem_len);
	SL_ASSERT(sl_bb_add(&b->bb, ts_ms, key, val, h, nh));
	if (b->bb.len > max_bytes) {
		put_free(ob, b);
		return SL_FR_REFUSED_TOO_LARGE;
	}
	sl_ctr_add(ob->accepted, 1);
	hand_over(ob, s, b);
	return SL_FR_ACCEPTED;
}

enum sl_frame_row sl_ob_add_slow(struct sl_ob *ob, struct sl_ob_slot *s, uint64_t now_ns,
				 int64_t ts_ms, struct sl_slice key, struct sl_slice val,
				 const struct sl_hdr *h, unsigned nh)
{
	uint32_t max_bytes =
		atomic_load_explicit(ob->topic[s->topic].max_bytes, memory_order_relaxed);
	uint32_t cap = SL_MIN(max_bytes, ob->all[0].mem_len);

	if (s->open)
		sl_ob_close(ob, s);
	if (SL_BATCH_HDR + sl_bb_bound(key.len, val.len, h, nh) > cap)
		return add_alone(ob, s, max_bytes, ts_ms, key, val, h, nh);
	struct sl_batch *b = take_free(ob, s, false);
	if (!b)
		return SL_FR_RING_FULL;
	sl_bb_init(&b->bb, b->mem, cap);
	SL_ASSERT(sl_bb_add(&b->bb, ts_ms, key, val, h, nh));
	b->slot = (uint32_t)(s - ob->slot);
	b->due_ns = now_ns + ob->linger_ns;
	link_newest(ob, b);
	s->open = b;
	ob->records++;
	sl_ctr_add(ob->accepted, 1);
	return SL_FR_ACCEPTED;
}
