/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - writes and syncs that fail, by a back end of its own in the table.
 */
#include "test_util.h"

static struct {
	int write, sync, slot, journal; /* requests of this kind until one fails; 0: none */
	bool stall;                     /* nothing completes */
} plan;

static bool due(int *n)
{
	return *n > 0 && --*n == 0;
}

static unsigned faulty_reap(struct sl_io *io, struct sl_io_req **done, unsigned n)
{
	if (plan.stall)
		return 0;
	unsigned got = sl_io_posix.reap(io, done, n);
	for (unsigned i = 0; i < got; i++) {
		int *which[] = {[SL_RK_STRIPE] = &plan.write,
				[SL_RK_SLOT] = &plan.slot,
				[SL_RK_SYNC] = &plan.sync,
				[SL_RK_JOURNAL] = &plan.journal};
		if (due(which[done[i]->kind]))
			done[i]->res = -EIO;
	}
	return got;
}

static struct sl_io_ops faulty;

static struct sl_part *start(struct tu *t)
{
	int err;

	memset(&plan, 0, sizeof(plan));
	faulty = sl_io_posix;
	faulty.name = "fault";
	faulty.reap = faulty_reap;
	tu_init(t, NULL, "posix");
	err = sl_store_open(&t->cfg, &t->s, &t->rec, t->err, sizeof(t->err));
	if (err)
		fail_msg("%s", t->err);
	t->s->io = &faulty;
	assert_int_equal(sl_store_writer_attach(t->s, 0, &t->w), 0);
	struct sl_part *p = tu_topic(t, "f", 2, NULL);
	for (uint64_t i = 0; i < 10; i++)
		tu_append(t, p, 1, 1000, i, SL_ACK_SYNCED);
	tu_sync(t, p);
	return p;
}

static void fails_for_good(struct tu *t, struct sl_part *p)
{
	uint8_t buf[4096];
	struct sl_store_stats st;
	struct sl_append a = {
		.part = p, .batch = buf, .records = 1, .producer_id = -1, .ack = SL_ACK_SYNCED};

	for (int i = 0; sl_part_state(p) != SL_PART_FAILED; i++) {
		if (i > 10000)
			fail_msg("it did not fail");
		tu_pump(t);
	}
	a.len = tu_batch(buf, 1, 1000, 1, t->now_ms);
	assert_int_equal(sl_store_append(t->w, &a), -EIO);
	for (int i = 0; i < 200; i++) /* the next sync would succeed: it proves nothing */
		tu_pump(t);
	assert_int_equal(sl_part_synced(p), 10);
	assert_int_equal(sl_part_state(p), SL_PART_FAILED);
	sl_store_stats(t->s, &st);
	assert_int_equal(st.sync_failed + st.write_failed, 1);
	/* what was logged is still read, and is there after a restart */
	tu_check(p, 0, sl_part_end(p), 1, 1000, 0, t->now_ms);
	int64_t end = sl_part_end(p);
	tu_close(t, true);
	tu_open(t);
	assert_false(t->rec.clean);
	p = tu_topic(t, "f", 2, NULL);
	assert_int_equal(sl_part_state(p), SL_PART_OK);
	assert_int_equal(sl_part_end(p), end);
	tu_check(p, 0, end, 1, 1000, 0, t->now_ms);
	tu_append(t, p, 1, 1000, (uint64_t)end, SL_ACK_SYNCED);
	tu_sync(t, p);
	tu_fini(t);
}

static void a_failed_sync(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	struct sl_part *other = sl_topic_part(p->pub.topic, 1);
	plan.sync = 1;
	for (uint64_t i = 10; i < 15; i++)
		tu_append(&t, p, 1, 1000, i, SL_ACK_SYNCED);
	for (int i = 0; sl_part_state(p) != SL_PART_FAILED && i < 10000; i++)
		tu_pump(&t);
	/* the other partition of the same writer goes on */
	tu_append(&t, other, 1, 1000, 1, SL_ACK_SYNCED);
	tu_sync(&t, other);
	fails_for_good(&t, p);
}

static void a_failed_write(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	plan.write = 1;
	for (uint64_t i = 10; i < 15; i++)
		tu_append(&t, p, 1, 1000, i, SL_ACK_SYNCED);
	fails_for_good(&t, p);
}

static void a_failed_slot(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	plan.slot = 1;
	for (uint64_t i = 10; i < 15; i++)
		tu_append(&t, p, 1, 1000, i, SL_ACK_SYNCED);
	fails_for_good(&t, p);
}

static void a_failed_journal(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	plan.journal = 1;
	for (uint64_t i = 10; i < 15; i++)
		tu_append(&t, p, 1, 1000, i, SL_ACK_SYNCED);
	fails_for_good(&t, p);
}

/* A disk that hangs: appends go on until the stripes are full, then -EAGAIN; nothing blocks. */
static void a_disk_that_hangs(void **state)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct tu t;
	struct sl_part *p = start(&t);
	uint64_t n = 10, idle = 0;
	(void)state;

	plan.stall = true;
	struct sl_append a = {
		.part = p, .batch = buf, .records = 1, .producer_id = -1, .ack = SL_ACK_LOGGED};
	while (idle < 300) {
		a.len = tu_batch(buf, 1, 1000, n, t.now_ms);
		int rc = sl_store_append(t.w, &a);
		if (rc) {
			assert_int_equal(rc, -EAGAIN);
			idle++;
			tu_pump(&t);
			continue;
		}
		n++;
	}
	assert_true(n > 100);
	assert_int_equal(sl_part_end(p), n);
	assert_int_equal(sl_store_writer_drain(t.w, sl_clock_mono_ns() + 50000000), -ETIMEDOUT);
	plan.stall = false;
	tu_append(&t, p, 1, 1000, n++, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_check(p, 0, (int64_t)n, 1, 1000, 0, t.now_ms);
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_sync),     cmocka_unit_test(a_failed_write),
		cmocka_unit_test(a_failed_slot),     cmocka_unit_test(a_failed_journal),
		cmocka_unit_test(a_disk_that_hangs),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
