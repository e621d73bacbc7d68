/* SPDX-License-Identifier: Apache-2.0 */
#include "open_batch.h"

#include <errno.h>

#include "platform/base/sl_test.h"
#include "test_store.h"

#define BATCH  4096u
#define LINGER 1000u
#define LIT(s) ((struct sl_slice){(const uint8_t *)(s), sizeof(s) - 1})

struct fix {
	struct sl_store *store;
	struct sl_topic *topic;
	_Atomic uint32_t max_bytes;
	struct sl_handoff lane[2];
	uint64_t accepted;
	struct sl_ob ob;
};

static struct sl_ob_cfg config(struct fix *f, uint32_t cnt, uint32_t large)
{
	static const _Atomic uint32_t *max_bytes[1];

	max_bytes[0] = &f->max_bytes;
	return (struct sl_ob_cfg){.topic = &f->topic,
				  .topic_max_bytes = max_bytes,
				  .topic_cnt = 1,
				  .handoff = f->lane,
				  .writers = 2,
				  .batch_bytes = BATCH,
				  .batch_cnt = cnt,
				  .large_bytes = large,
				  .linger_ns = LINGER,
				  .accepted = &f->accepted};
}

static struct fix *make(uint32_t parts, uint32_t cnt, uint32_t large, uint32_t max_bytes)
{
	struct fix *f = calloc(1, sizeof(*f));

	f->store = ts_new(2, NULL);
	f->topic = ts_topic(f->store, "t", parts, (int32_t)max_bytes);
	f->max_bytes = max_bytes;
	for (unsigned w = 0; w < 2; w++)
		assert_int_equal(sl_handoff_init(&f->lane[w], cnt + SL_OB_LARGE_CNT), 0);
	struct sl_ob_cfg cfg = config(f, cnt, large);
	assert_int_equal(sl_ob_init(&f->ob, &cfg), 0);
	return f;
}

static void unmake(struct fix *f)
{
	sl_ob_fini(&f->ob, NULL);
	sl_handoff_fini(&f->lane[0]);
	sl_handoff_fini(&f->lane[1]);
	ts_free(f->store);
	free(f);
}

/* What a writer does; returns batches. */
static unsigned write_all(struct fix *f)
{
	struct sl_append *a;
	unsigned n = 0;

	for (unsigned w = 0; w < 2; w++) {
		struct sl_store_writer *sw;
		assert_int_equal(sl_store_writer_attach(f->store, w, &sw), 0);
		for (; sl_handoff_take(&f->lane[w], &a, 1) == 1; n++) {
			assert_int_equal(sl_store_append(sw, a), 0);
			assert_int_equal(a->origin, SL_ORIGIN_INGEST);
			assert_int_equal(a->producer_id, -1);
			sl_handoff_return(&f->lane[w], &a, 1);
		}
		sl_store_writer_detach(sw);
	}
	return n;
}

static enum sl_frame_row add(struct fix *f, uint32_t part, uint64_t now, uint32_t len)
{
	static uint8_t bytes[70000];

	return sl_ob_add(&f->ob, &f->ob.slot[part], now, 1700000000000, LIT("key"),
			 (struct sl_slice){bytes, len}, NULL, 0);
}

static void closed_by_size(SL_UNUSED void **st)
{
	struct fix *f = make(1, 8, 0, 1 << 20);
	unsigned n = 0;

	while (f->ob.batches == 0)
		assert_int_equal(add(f, 0, 0, 100), (n++, SL_FR_ACCEPTED));
	assert_in_range(n, 30, 40);
	assert_int_equal(f->ob.records, 1); /* the one that did not fit */
	assert_int_equal(f->ob.handed, n - 1);
	assert_int_equal(f->accepted, n);
	assert_int_equal(f->ob.rung, 1);
	assert_int_equal(sl_ob_close_oldest(&f->ob, 10), 1);
	assert_int_equal(f->ob.records, 0);
	assert_int_equal(write_all(f), 2);
	assert_int_equal(ts_walk(&f->topic->part[0], NULL, NULL), n);
	assert_int_equal(sl_ob_reap(&f->ob), 8);
	unmake(f);
}

static void closed_by_linger(SL_UNUSED void **st)
{
	struct fix *f = make(4, 8, 0, 1 << 20);

	assert_true(sl_ob_deadline(&f->ob) == UINT64_MAX);
	add(f, 2, 100, 10);
	add(f, 0, 200, 10);
	add(f, 3, 300, 10);
	add(f, 2, 900, 10); /* the linger counts from the first */
	assert_int_equal(sl_ob_deadline(&f->ob), 100 + LINGER);
	sl_ob_close_due(&f->ob, 99 + LINGER);
	assert_int_equal(f->ob.batches, 0);
	sl_ob_close_due(&f->ob, 200 + LINGER);
	assert_int_equal(f->ob.batches, 2);
	assert_int_equal(f->ob.handed, 3);
	assert_int_equal(sl_ob_deadline(&f->ob), 300 + LINGER);
	assert_int_equal(f->ob.rung, 1); /* partitions 0 and 2: writer 0 */
	sl_ob_close_due(&f->ob, 300 + LINGER);
	assert_int_equal(f->ob.rung, 3);
	assert_int_equal(write_all(f), 3);
	assert_int_equal(ts_records(f->topic), 4);
	unmake(f);
}

/* A batch in the middle of the list is closed by size. */
static void list_stays_whole(SL_UNUSED void **st)
{
	struct fix *f = make(3, 32, 0, 1 << 20);

	for (uint32_t p = 0; p < 3; p++)
		add(f, p, p, 10);
	for (unsigned i = 0; i < 3; i++)
		add(f, 1, 50 + i, 3000); /* each closes the one before */
	assert_int_equal(sl_ob_deadline(&f->ob), LINGER);
	assert_int_equal(sl_ob_close_oldest(&f->ob, 1), 1);
	assert_int_equal(sl_ob_deadline(&f->ob), 2 + LINGER);
	assert_int_equal(sl_ob_close_oldest(&f->ob, 9), 2);
	assert_true(sl_ob_deadline(&f->ob) == UINT64_MAX);
	write_all(f);
	assert_int_equal(ts_records(f->topic), 6);
	unmake(f);
}

static void pool_runs_dry(SL_UNUSED void **st)
{
	struct fix *f = make(2, 3, 0, 1 << 20);
	uint64_t full = 0;

	for (unsigned i = 0; i < 500; i++)
		full += add(f, i & 1, 0, 1000) == SL_FR_RING_FULL;
	assert_int_equal(f->ob.free_cnt, 0);
	assert_int_equal(f->accepted + full, 500);
	assert_true(full > 480);
	assert_int_equal(add(f, 0, 0, 1000), SL_FR_RING_FULL);
	write_all(f); /* what came back is used again */
	assert_int_equal(add(f, 0, 0, 1000), SL_FR_ACCEPTED);
	sl_ob_close_oldest(&f->ob, 9);
	write_all(f);
	assert_int_equal(ts_records(f->topic), f->accepted);
	assert_int_equal(sl_ob_reap(&f->ob), 3);
	unmake(f);
}

static void large_and_too_large(SL_UNUSED void **st)
{
	struct fix *f = make(1, 4, 70000, 40000);

	assert_int_equal(add(f, 0, 0, 10), SL_FR_ACCEPTED);
	assert_int_equal(add(f, 0, 0, 20000), SL_FR_ACCEPTED); /* alone, behind the first */
	assert_int_equal(f->ob.batches, 2);
	assert_int_equal(add(f, 0, 0, 10), SL_FR_ACCEPTED);
	/* exactly at the limit, and one beyond */
	uint32_t over = SL_BATCH_HDR + 3 + 1 + 1 + 1 + 1 + 3 + 3 + 1; /* framing and key */
	assert_int_equal(add(f, 0, 0, 40000 - over), SL_FR_ACCEPTED);
	assert_int_equal(add(f, 0, 0, 40000 - over + 1), SL_FR_REFUSED_TOO_LARGE);
	assert_int_equal(add(f, 0, 0, 69999), SL_FR_REFUSED_TOO_LARGE);
	assert_int_equal(f->accepted, 4);
	sl_ob_close_oldest(&f->ob, 9);
	write_all(f);
	assert_int_equal(ts_records(f->topic), 4);
	assert_int_equal(f->topic->part[0].batch[3].app.len, 40000);
	assert_int_equal(sl_ob_reap(&f->ob), 4);
	assert_int_equal(f->ob.large_free_cnt, SL_OB_LARGE_CNT);
	/* large ones run out by themselves */
	for (unsigned i = 0; i < SL_OB_LARGE_CNT; i++)
		assert_int_equal(add(f, 0, 0, 20000), SL_FR_ACCEPTED);
	assert_int_equal(add(f, 0, 0, 20000), SL_FR_RING_FULL);
	assert_int_equal(add(f, 0, 0, 100), SL_FR_ACCEPTED);
	unmake(f);
}

/* A topic that allows less than a batch of ours; changed while running. */
static void small_topic(SL_UNUSED void **st)
{
	struct fix *f = make(1, 16, 0, 1000);

	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(add(f, 0, 0, 100), SL_FR_ACCEPTED);
	assert_int_equal(add(f, 0, 0, 1000), SL_FR_REFUSED_TOO_LARGE);
	assert_int_equal(add(f, 0, 0, BATCH), SL_FR_REFUSED_TOO_LARGE); /* no large class */
	sl_ob_close_oldest(&f->ob, 9);
	write_all(f);
	for (uint32_t i = 0; i < f->topic->part[0].cnt; i++)
		assert_true(f->topic->part[0].batch[i].app.len <= 1000);
	f->max_bytes = 1 << 20;
	assert_int_equal(add(f, 0, 0, 1000), SL_FR_ACCEPTED);
	unmake(f);
}

static void sticky_moves_on(SL_UNUSED void **st)
{
	struct fix *f = make(3, 16, 0, 1 << 20);
	struct sl_ob_topic *t = &f->ob.topic[0];

	assert_int_equal(t->sticky, 0);
	add(f, 1, 0, 10);
	sl_ob_close(&f->ob, &f->ob.slot[1]); /* another partition's batch */
	assert_int_equal(t->sticky, 0);
	for (unsigned i = 1; i <= 4; i++) {
		add(f, t->sticky, 0, 10);
		sl_ob_close(&f->ob, &f->ob.slot[t->sticky]);
		assert_int_equal(t->sticky, i % 3);
	}
	unmake(f);
}

static void bad_configs(SL_UNUSED void **st)
{
	struct fix *f = make(4, 8, 0, 1 << 20);
	struct sl_ob ob;
	struct sl_ob_cfg c = config(f, 4, 0); /* no more than partitions */

	assert_int_equal(sl_ob_init(&ob, &c), -EINVAL);
	c = config(f, 8, BATCH);
	assert_int_equal(sl_ob_init(&ob, &c), -EINVAL);
	c = config(f, 8, 0);
	c.batch_bytes = SL_OB_BATCH_MIN - 1;
	assert_int_equal(sl_ob_init(&ob, &c), -EINVAL);
	c = config(f, 8, 0);
	c.writers = 0;
	assert_int_equal(sl_ob_init(&ob, &c), -EINVAL);
	sl_ob_fini(NULL, NULL);
	memset(&ob, 0, sizeof(ob));
	sl_ob_fini(&ob, NULL);
	unmake(f);
}

struct sink {
	struct sl_rng r;
	unsigned n;
};

static uint32_t make_value(struct sl_rng *r, uint8_t *buf)
{
	uint32_t len = sl_rng_below(r, 8) ? sl_rng_below(r, 300) : sl_rng_below(r, 9000);

	sl_rng_fill(r, buf, len);
	return len;
}

static void expect(const struct sl_record *rec, void *arg)
{
	static uint8_t buf[9000];
	struct sink *s = arg;

	assert_int_equal(rec->value.len, make_value(&s->r, buf));
	assert_memory_equal(rec->value.p, buf, rec->value.len);
	assert_int_equal(rec->ts, 1000 + s->n);
	assert_int_equal(rec->hdr_cnt, s->n % 3);
	s->n++;
}

/* Sizes at random, a writer that comes now and then: all bytes arrive, in order. */
static void order_and_bytes(SL_UNUSED void **st)
{
	uint64_t seed = sl_test_seed();
	struct fix *f = make(1, 64, 20000, 1 << 20);
	struct sl_rng r = sl_rng_from(seed), when = sl_rng_from(seed + 1);
	const struct sl_hdr h[2] = {{LIT("a"), LIT("b")}, {LIT("source"), LIT("c")}};
	static uint8_t buf[9000];

	for (unsigned i = 0; i < 5000; i++) {
		uint32_t len = make_value(&r, buf);
		assert_int_equal(sl_ob_add(&f->ob, &f->ob.slot[0], i, 1000 + i,
					   (struct sl_slice){NULL, 0}, (struct sl_slice){buf, len},
					   h, i % 3),
				 SL_FR_ACCEPTED);
		if (sl_rng_below(&when, 10) == 0)
			write_all(f);
		if (sl_rng_below(&when, 50) == 0)
			sl_ob_close_oldest(&f->ob, 1);
	}
	sl_ob_close_oldest(&f->ob, 1);
	write_all(f);
	struct sink s = {.r = sl_rng_from(seed)};
	assert_int_equal(ts_walk(&f->topic->part[0], expect, &s), 5000);
	unmake(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_by_size),      cmocka_unit_test(closed_by_linger),
		cmocka_unit_test(list_stays_whole),    cmocka_unit_test(pool_runs_dry),
		cmocka_unit_test(large_and_too_large), cmocka_unit_test(small_topic),
		cmocka_unit_test(sticky_moves_on),     cmocka_unit_test(bad_configs),
		cmocka_unit_test(order_and_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
