/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush_test.c - stripes on their way into the file: blocks that several of them share, what a
 * writer leaves behind, memory that stopped partitions hold.
 */
#include "platform/base/sl_test.h"
#include "test_util.h"

/* ---- a back end that can be slow with one stripe, or fail ---------------------------------- */

static struct {
	const struct sl_stripe *slow; /* its writes lie in wait, while others pass */
	struct sl_io_req *kept[8];
	unsigned kept_cnt;
	bool stall, fail_writes;
} plan;

static struct sl_io_ops planned;

static void planned_submit(struct sl_io *io, struct sl_io_req *r)
{
	if (r->kind == SL_RK_STRIPE && r->owner == plan.slow) {
		assert_true(plan.kept_cnt < SL_ARRAY_SIZE(plan.kept));
		plan.kept[plan.kept_cnt++] = r;
		return;
	}
	sl_io_posix.submit(io, r);
}

static unsigned planned_reap(struct sl_io *io, struct sl_io_req **done, unsigned n)
{
	if (plan.stall)
		return 0;
	unsigned got = sl_io_posix.reap(io, done, n);
	for (unsigned i = 0; i < got; i++)
		if (plan.fail_writes && done[i]->kind == SL_RK_STRIPE)
			done[i]->res = -EIO;
	return got;
}

static void let_go(struct tu *t)
{
	plan.slow = NULL;
	for (unsigned i = 0; i < plan.kept_cnt; i++)
		sl_io_posix.submit(t->w->io, plan.kept[i]);
	plan.kept_cnt = 0;
}

static void start(struct tu *t, uint64_t stripe_bytes)
{
	memset(&plan, 0, sizeof(plan));
	planned = sl_io_posix;
	planned.submit = planned_submit;
	planned.reap = planned_reap;
	tu_init(t, NULL, "posix");
	t->cfg.flush_interval_ms = 3600000; /* nothing is synced unless asked for */
	t->cfg.stripe_bytes = stripe_bytes;
	if (sl_store_open(&t->cfg, &t->s, &t->rec, t->err, sizeof(t->err)))
		fail_msg("%s", t->err);
	t->s->io = &planned;
	assert_int_equal(sl_store_writer_attach(t->s, 0, &t->w), 0);
}

/* ---- blocks that stripes share -------------------------------------------------------------- */

struct log { /* what was appended to a partition */
	struct sl_part *p;
	uint32_t bytes[32], n;
};

static void put(struct tu *t, struct log *l, uint32_t bytes, enum sl_ack ack)
{
	assert_true(l->n < SL_ARRAY_SIZE(l->bytes));
	l->bytes[l->n] = bytes;
	tu_append(t, l->p, 1, bytes, l->n++, ack);
}

static void check(struct tu *t, const struct log *l)
{
	struct sl_part *p = tu_topic(t, "x", 1, NULL);

	assert_int_equal(sl_part_end(p), l->n);
	for (uint32_t i = 0; i < l->n; i++)
		tu_check(p, i, i + 1, 1, l->bytes[i], i, t->now_ms);
}

/* Every byte from the disk. */
static void check_after_a_start(struct tu *t, const struct log *l)
{
	tu_close(t, true);
	tu_open(t);
	assert_true(t->rec.clean);
	check(t, l);
	tu_fini(t);
}

/*
 * The first stripe is finished before its time while a sync's write of its unfinished block is
 * under way. The second begins in that block, takes little and is closed; the third begins there
 * too, and what it writes must not be overtaken by the padded block of the first.
 */
static void three_in_a_block(void **state)
{
	const bool more = *state; /* the first one has to write that block once more */
	struct tu t;
	struct log l = {0};

	start(&t, 16u << 20);
	l.p = tu_topic(&t, "x", 1, NULL);
	for (int i = 0; i < 3; i++)
		put(&t, &l, 900, SL_ACK_SYNCED);
	tu_sync(&t, l.p);
	struct sl_stripe *first = l.p->tail_st;
	plan.slow = first;
	put(&t, &l, 100, SL_ACK_SYNCED);
	for (int i = 0; !first->inflight; i++) {
		if (i > 10000)
			fail_msg("the sync does not begin");
		tu_pump(&t);
	}
	if (more)
		put(&t, &l, 100, SL_ACK_LOGGED);
	sl_writer_finish_stripe(t.w, l.p);
	put(&t, &l, 10, SL_ACK_LOGGED);
	struct sl_stripe *second = l.p->tail_st;
	put(&t, &l, 20000, SL_ACK_LOGGED);
	struct sl_stripe *third = l.p->tail_st;
	assert_ptr_not_equal(second, first);
	assert_ptr_not_equal(third, second);
	assert_int_equal(second->file_pos, third->file_pos);
	assert_true(first->file_pos + first->used > third->file_pos);
	sl_writer_finish_stripe(t.w, l.p); /* the third is to be written now */
	for (int i = 0; i < 100; i++)      /* it may not, but what may must get its chance */
		tu_pump(&t);
	let_go(&t);
	put(&t, &l, 10, SL_ACK_SYNCED);
	tu_sync(&t, l.p);
	check_after_a_start(&t, &l);
}

/*
 * A clean close writes what is left by plain calls, in order: a stripe that padded its last block
 * and is in the file stays as it is, for the next one has written that block since.
 */
static void a_written_block_is_left_alone(void **state)
{
	struct tu t;
	struct log l = {0};
	(void)state;

	start(&t, 16u << 20);
	l.p = tu_topic(&t, "x", 1, NULL);
	put(&t, &l, 3000, SL_ACK_LOGGED);
	struct sl_stripe *zero = l.p->tail_st;
	plan.slow = zero;
	put(&t, &l, 8000, SL_ACK_LOGGED);
	put(&t, &l, 9000, SL_ACK_LOGGED); /* does not fit: `zero` is closed, and slow */
	struct sl_stripe *first = l.p->tail_st;
	assert_ptr_not_equal(first, zero);
	assert_true(zero->inflight);
	sl_writer_finish_stripe(t.w, l.p);
	put(&t, &l, 5000, SL_ACK_SYNCED);
	struct sl_stripe *second = l.p->tail_st;
	assert_int_not_equal((first->file_pos + first->used) % SL_IO_BLOCK, 0);
	for (int i = 0; !first->complete || second->wdone != second->used; i++) {
		if (i > 10000)
			fail_msg("they are not written");
		tu_pump(&t);
	}
	assert_ptr_equal(l.p->unw_head, zero);
	assert_int_equal(sl_part_flush_blocking(l.p), 0);
	let_go(&t);
	sl_store_writer_detach(t.w);
	assert_int_equal(sl_store_close(t.s, true), 0);
	tu_open(&t);
	check(&t, &l);
	tu_fini(&t);
}

/* Sizes of all kinds and little memory, so that stripes are closed and finished at any moment. */
static void sizes_at_random(void **state)
{
	enum { PARTS = 3, BATCHES = 3000 };
	static const uint32_t max[] = {100, 2000, 30000, 100000};
	static uint32_t bytes[PARTS][BATCHES];
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_rng r = sl_rng_from(sl_test_seed());
	uint32_t n[PARTS] = {0};
	struct sl_topic_cfg cfg;
	struct tu t;

	tu_init(&t, NULL, *state);
	t.cfg.stripe_bytes = SL_STRIPE_MIN_BYTES;
	tu_open(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	struct sl_topic *topic = tu_topic(&t, "x", PARTS, &cfg)->pub.topic;
	for (unsigned i = 0; i < BATCHES; i++) {
		unsigned k = sl_rng_below(&r, PARTS);
		uint32_t b = 8 + sl_rng_below(&r, max[sl_rng_below(&r, 4)]);
		struct sl_append a = {.part = sl_topic_part(topic, (int32_t)k),
				      .batch = buf,
				      .records = 1,
				      .producer_id = -1,
				      .ack = sl_rng_below(&r, 8) ? SL_ACK_LOGGED : SL_ACK_SYNCED};
		a.len = tu_batch(buf, 1, b, n[k], t.now_ms);
		assert_int_equal(tu_append_raw(&t, &a), 0);
		bytes[k][n[k]++] = b;
		if (sl_rng_below(&r, 4) == 0)
			sl_store_poll(t.w, sl_clock_mono_ns());
	}
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	topic = tu_topic(&t, "x", PARTS, NULL)->pub.topic;
	for (int32_t k = 0; k < PARTS; k++) {
		assert_int_equal(sl_part_end(sl_topic_part(topic, k)), n[k]);
		for (uint32_t i = 0; i < n[k]; i++)
			tu_check(sl_topic_part(topic, k), i, i + 1, 1, bytes[k][i], i, t.now_ms);
	}
	tu_fini(&t);
}

/* ---- memory that stopped partitions hold ---------------------------------------------------- */

static int append_once(struct tu *t, struct sl_part *p, uint32_t bytes, uint64_t tag)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_append a = {
		.part = p, .batch = buf, .records = 1, .producer_id = -1, .ack = SL_ACK_SYNCED};

	a.len = tu_batch(buf, 1, bytes, tag, t->now_ms);
	return sl_store_append(t->w, &a);
}

/* `cnt` partitions take what there is room for, cannot write it, and are stopped. */
static struct sl_topic *stop_some(struct tu *t, int32_t cnt, uint32_t bytes)
{
	struct sl_topic *topic = tu_topic(t, "bad", (uint32_t)cnt, NULL)->pub.topic;

	plan.stall = true;
	for (int32_t i = 0; i < cnt; i++) {
		int rc = 0;
		for (unsigned k = 0, tries = 0; k < 4 && tries < 50; tries++) {
			rc = append_once(t, sl_topic_part(topic, i), bytes, k);
			assert_true(rc == 0 || rc == -EAGAIN);
			k += rc == 0;
			tu_pump(t);
		}
	}
	plan.stall = false;
	plan.fail_writes = true;
	for (int32_t i = 0; i < cnt; i++)
		for (int k = 0; sl_part_state(sl_topic_part(topic, i)) != SL_PART_FAILED; k++) {
			if (k > 10000)
				fail_msg("partition %d is not stopped", i);
			tu_pump(t);
		}
	plan.fail_writes = false;
	return topic;
}

/* All memory is held by them: the others are refused by name, and not put off for ever. */
static void all_memory_is_stuck(void **state)
{
	struct tu t;
	uint64_t n = 1;
	int rc = 0;
	(void)state;

	start(&t, SL_STRIPE_MIN_BYTES);
	struct sl_part *good = tu_topic(&t, "good", 1, NULL);
	tu_append(&t, good, 1, 1000, 0, SL_ACK_SYNCED);
	tu_sync(&t, good);
	struct sl_topic *bad = stop_some(&t, 4, 300000);
	for (int i = 0; i < 20000 && rc != -EIO; i++) {
		rc = append_once(&t, good, 100000, n);
		n += rc == 0;
		if (rc == -EAGAIN)
			tu_pump(&t);
	}
	assert_int_equal(rc, -EIO);
	assert_int_equal(sl_part_state(good), SL_PART_OK);
	assert_true(t.w->ctr->failed[0][SL_APPEND_IO_ERROR] > 0);
	/* what was logged is still there after a restart, and all is well again */
	int64_t end = sl_part_end(good), bad_end = sl_part_end(sl_topic_part(bad, 0));
	tu_close(&t, false);
	tu_open(&t);
	assert_int_equal(sl_part_end(tu_topic(&t, "good", 1, NULL)), end);
	assert_int_equal(sl_part_end(tu_topic(&t, "bad", 4, NULL)), bad_end);
	tu_append(&t, tu_topic(&t, "good", 1, NULL), 1, 100000, n, SL_ACK_SYNCED);
	tu_sync(&t, tu_topic(&t, "good", 1, NULL));
	tu_fini(&t);
}

/* Deleting the topic that holds it gives the memory back, without a restart. */
static void stuck_memory_comes_back(void **state)
{
	struct tu t;
	uint64_t n = 0;
	int rc = 0;
	(void)state;

	start(&t, SL_STRIPE_MIN_BYTES);
	struct sl_part *good = tu_topic(&t, "good", 1, NULL);
	struct sl_topic *bad = stop_some(&t, 4, 300000);
	for (int i = 0; i < 20000 && rc != -EIO; i++) {
		rc = append_once(&t, good, 100000, n);
		n += rc == 0;
		if (rc == -EAGAIN)
			tu_pump(&t);
	}
	assert_int_equal(rc, -EIO);
	assert_int_equal(atomic_load(&t.w->failed_parts), 4);
	assert_int_equal(sl_store_topic_delete(t.s, bad), 0);
	assert_int_equal(atomic_load(&t.w->failed_parts), 0);
	for (int i = 0; i < 50; i++, n++)
		tu_append(&t, good, 1, 100000, n, SL_ACK_SYNCED);
	tu_sync(&t, good);
	tu_check(good, 0, (int64_t)n, 1, 100000, 0, t.now_ms);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	assert_int_equal(t.rec.partitions, 1);
	tu_fini(&t);
}

/*
 * They hold the oldest memory only. The others go on with the rest, although quiet partitions have
 * unwritten stripes all over it: those are finished, and not only where the memory is oldest.
 */
static void some_memory_is_stuck(void **state)
{
	enum { QUIET = 8 };
	struct tu t;
	uint64_t n = 0;
	(void)state;

	start(&t, 12u << 20);
	struct sl_part *good = tu_topic(&t, "good", 1, NULL);
	struct sl_topic *quiet = tu_topic(&t, "quiet", QUIET, NULL)->pub.topic;
	stop_some(&t, 2, 300000);
	for (int32_t i = 0; i < QUIET; i++) {
		tu_append(&t, sl_topic_part(quiet, i), 1, 100000, 0, SL_ACK_LOGGED);
		for (int k = 0; k < 20; k++)
			tu_append(&t, good, 1, 100000, n++, SL_ACK_LOGGED);
	}
	tu_append(&t, good, 1, 100000, n++, SL_ACK_SYNCED);
	tu_sync(&t, good);
	tu_check(good, 0, (int64_t)n, 1, 100000, 0, t.now_ms);
	for (int32_t i = 0; i < QUIET; i++)
		tu_check(sl_topic_part(quiet, i), 0, 1, 1, 100000, 0, t.now_ms);
	tu_fini(&t);
}

int main(void)
{
	static const bool yes = true;
	static const char *const ios[] = {"io_uring", "posix"};
	const struct CMUnitTest tests[] = {
		{"three in a block", three_in_a_block, NULL, NULL, NULL},
		{"three in a block, one twice", three_in_a_block, NULL, NULL,
		 (void *)(uintptr_t)&yes},
		cmocka_unit_test(a_written_block_is_left_alone),
		cmocka_unit_test(all_memory_is_stuck),
		cmocka_unit_test(stuck_memory_comes_back),
		cmocka_unit_test(some_memory_is_stuck),
	};
	int bad = cmocka_run_group_tests_name("flush", tests, NULL, NULL);

	for (size_t i = 0; i < SL_ARRAY_SIZE(ios); i++) {
		void *io = (void *)(uintptr_t)ios[i];
		const struct CMUnitTest each[] = {cmocka_unit_test_prestate(sizes_at_random, io)};
		if (sl_io_pick(ios[i]))
			bad += cmocka_run_group_tests_name(ios[i], each, NULL, NULL);
		else
			print_message("skipped part: %s is not usable here\n", ios[i]);
	}
	return bad;
}
