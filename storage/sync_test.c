/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_test.c - group syncs: who takes part, who must not wait for whom, and who is told.
 *
 * Renames go through a wrapper of ours (see meson.build), so that naming a segment can fail.
 */
#include <sys/syscall.h>

#include "test_util.h"

static struct {
	_Atomic int rename_err; /* of segments of "stuck": this error, 0 none */
	_Atomic int again;      /* of segments of "soon": -EAGAIN this many times */
	bool fail_write, hold;  /* stripes fail; slots and syncs do not complete */
	struct sl_io_req *kept[64];
	unsigned kept_cnt;
} plan;

int __wrap_renameat(int oldfd, const char *from, int newfd, const char *to);

int __wrap_renameat(int oldfd, const char *from, int newfd, const char *to)
{
	int err = atomic_load(&plan.rename_err);

	if (err && strncmp(to, "stuck-", 6) == 0 && strstr(to, ".log")) {
		errno = err;
		return -1;
	}
	if (strncmp(to, "soon-", 5) == 0 && strstr(to, ".log") &&
	    atomic_fetch_sub(&plan.again, 1) > 0) {
		errno = EAGAIN;
		return -1;
	}
	return (int)syscall(SYS_renameat, oldfd, from, newfd, to);
}

int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	return (int)syscall(SYS_fsync, fd);
}

static struct sl_io_ops planned;

static unsigned planned_reap(struct sl_io *io, struct sl_io_req **done, unsigned n)
{
	unsigned out = 0;

	while (!plan.hold && plan.kept_cnt && out < n)
		done[out++] = plan.kept[--plan.kept_cnt];
	unsigned got = sl_io_posix.reap(io, done + out, n - out);
	for (unsigned i = out, end = out + got; i < end; i++) {
		struct sl_io_req *r = done[i];
		if (plan.fail_write && r->kind == SL_RK_STRIPE)
			r->res = -EIO;
		if (plan.hold && r->kind != SL_RK_STRIPE) {
			assert_true(plan.kept_cnt < SL_ARRAY_SIZE(plan.kept));
			plan.kept[plan.kept_cnt++] = r;
		} else {
			done[out++] = r;
		}
	}
	return out;
}

static void start(struct tu *t)
{
	memset(&plan, 0, sizeof(plan));
	planned = sl_io_posix;
	planned.reap = planned_reap;
	tu_init(t, NULL, "posix");
	if (sl_store_open(&t->cfg, &t->s, &t->rec, t->err, sizeof(t->err)))
		fail_msg("%s", t->err);
	t->s->io = &planned;
	assert_int_equal(sl_store_writer_attach(t->s, 0, &t->w), 0);
}

static int append_once(struct tu *t, struct sl_part *p, enum sl_ack ack)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_append a = {
		.part = p, .batch = buf, .records = 1, .producer_id = -1, .ack = (uint8_t)ack};

	a.len = tu_batch(buf, 1, 100, 0, t->now_ms);
	return sl_store_append(t->w, &a);
}

#define UNTIL(t, cond)                                                                             \
	for (int until_ = 0; !(cond); until_++) {                                                  \
		if (until_ > 10000)                                                                \
			fail_msg("never: %s", #cond);                                              \
		tu_pump(t);                                                                        \
	}

/* More partitions than a round takes are wanted all the time: what nobody waits for is synced too.
 */
static void nobody_starves(void **state)
{
	enum { WANTED = SL_ROUND_PARTS + 30 };
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.flush_interval_ms = 20;
	tu_open(&t);
	struct sl_topic *w = tu_topic(&t, "wanted", WANTED, NULL)->pub.topic;
	struct sl_part *d = tu_topic(&t, "dirty", 1, NULL);
	for (int32_t i = 0; i < WANTED; i++) /* all have their space */
		tu_append(&t, sl_topic_part(w, i), 1, 100, 0, SL_ACK_SYNCED);
	tu_append(&t, d, 1, 100, 0, SL_ACK_SYNCED);
	tu_sync(&t, d);
	for (int32_t i = 0; i < WANTED; i++)
		assert_int_equal(append_once(&t, sl_topic_part(w, i), SL_ACK_SYNCED), 0);
	tu_append(&t, d, 1, 100, 0, SL_ACK_LOGGED);
	uint64_t until = sl_clock_mono_ns() + 10000000000ull;
	while (sl_part_synced(d) == 1) {
		if (sl_clock_mono_ns() > until)
			fail_msg("not synced for 10 s");
		for (int32_t i = 0; i < WANTED; i++) {
			int rc = append_once(&t, sl_topic_part(w, i), SL_ACK_SYNCED);
			assert_true(rc == 0 || rc == -EAGAIN);
		}
		do {
			tu_pump(&t);
		} while (t.w->round.phase == SL_ROUND_IDLE);
	}
	for (int32_t i = 0; i < WANTED; i++)
		tu_sync(&t, sl_topic_part(w, i));
	tu_fini(&t);
}

/* A segment that cannot be given its name: its partition waits, the others do not. */
static void a_name_that_does_not_come(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	(void)state;

	start(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	struct sl_part *stuck = tu_topic(&t, "stuck", 1, &cfg);
	struct sl_part *ok = tu_topic(&t, "ok", 1, NULL);
	atomic_store(&plan.rename_err, ENOSPC);
	for (uint64_t i = 0; i < 11; i++)
		tu_append(&t, stuck, 1, 100000, i, SL_ACK_SYNCED);
	assert_int_equal(atomic_load(&stuck->active)->base, 10);
	UNTIL(&t, sl_part_state(stuck) == SL_PART_DISK_FULL);
	for (uint64_t i = 0; i < 20; i++) {
		tu_append(&t, ok, 1, 1000, i, SL_ACK_SYNCED);
		tu_sync(&t, ok);
	}
	assert_true(sl_part_synced(stuck) <= 10);
	assert_int_equal(sl_store_writer_drain(t.w, sl_clock_mono_ns() + 20000000), -ETIMEDOUT);
	/* it is not tried all the time meanwhile */
	struct sl_store_stats a, b;
	sl_store_stats(t.s, &a);
	for (int i = 0; i < 50; i++)
		tu_pump(&t);
	sl_store_stats(t.s, &b);
	assert_true(b.syncs - a.syncs < 10);
	atomic_store(&plan.rename_err, 0);
	tu_sync(&t, stuck);
	tu_check(stuck, 0, 11, 1, 100000, 0, t.now_ms);
	assert_int_equal(stuck->held, false);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	tu_check(tu_topic(&t, "stuck", 1, NULL), 0, 11, 1, 100000, 0, t.now_ms);
	tu_fini(&t);
}

/* What lies in a segment without a name is found by its time like all the rest. */
static void times_in_a_segment_without_a_name(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	int64_t off, ts;
	(void)state;

	start(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	struct sl_part *stuck = tu_topic(&t, "stuck", 1, &cfg);
	atomic_store(&plan.rename_err, ENOSPC);
	for (uint64_t i = 0; i < 11; i++) {
		t.now_ms += 10;
		tu_append(&t, stuck, 1, 100000, i, SL_ACK_LOGGED);
	}
	assert_int_equal(atomic_load(&stuck->active)->base, 10);
	assert_int_equal(stuck->seg_cnt, 1);
	assert_int_equal(sl_store_max_ts(stuck, &off, &ts), 0);
	assert_int_equal(off, 10);
	assert_int_equal(ts, t.now_ms);
	for (int64_t i = 0; i < 11; i++) {
		assert_int_equal(sl_store_offset_for_ts(stuck, t.now_ms - (10 - i) * 10, &off, &ts),
				 0);
		assert_int_equal(off, i);
	}
	atomic_store(&plan.rename_err, 0);
	tu_fini(&t);
}

/* What has to wait for a moment is tried again soon, also while another one waits for space. */
static void soon_is_soon(void **state)
{
	enum { TIMES = 8 }; /* 4 s if each took as long as a try for space */
	struct tu t;
	struct sl_topic_cfg cfg;
	(void)state;

	start(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	struct sl_part *stuck = tu_topic(&t, "stuck", 1, &cfg);
	struct sl_part *soon = tu_topic(&t, "soon", 1, &cfg);
	atomic_store(&plan.rename_err, ENOSPC);
	for (uint64_t i = 0; i < 11; i++)
		tu_append(&t, stuck, 1, 100000, i, SL_ACK_LOGGED);
	UNTIL(&t, sl_part_state(stuck) == SL_PART_DISK_FULL);
	atomic_store(&plan.again, TIMES);
	uint64_t from = sl_clock_mono_ns();
	for (uint64_t i = 0; i < 11; i++)
		tu_append(&t, soon, 1, 100000, i, SL_ACK_SYNCED);
	tu_sync(&t, soon);
	assert_true(atomic_load(&plan.again) < 0);
	assert_true(sl_clock_mono_ns() - from < 2000000000ull);
	assert_int_equal(sl_part_state(stuck), SL_PART_DISK_FULL);
	atomic_store(&plan.rename_err, 0);
	tu_fini(&t);
}

/* The same for good: the partition is stopped, who waits is told, and a drain comes to its end. */
static void a_name_that_never_comes(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	struct sl_waker k = {.efd = eventfd(0, EFD_NONBLOCK)};
	uint64_t v;
	(void)state;

	start(&t);
	assert_int_equal(sl_store_waker_add(t.s, &k), 0);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	struct sl_part *stuck = tu_topic(&t, "stuck", 1, &cfg);
	atomic_store(&plan.rename_err, ENOSPC);
	for (uint64_t i = 0; i < 11; i++)
		tu_append(&t, stuck, 1, 100000, i, SL_ACK_SYNCED);
	UNTIL(&t, stuck->held && sl_part_state(stuck) == SL_PART_DISK_FULL);
	sl_waker_arm(&k);
	while (read(k.efd, &v, sizeof(v)) == sizeof(v))
		;
	atomic_store(&plan.rename_err, EIO);
	/* nobody polls the writer: the housekeeper tells */
	struct pollfd pfd = {.fd = k.efd, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(sl_part_state(stuck), SL_PART_FAILED);
	assert_int_equal(sl_store_writer_drain(t.w, sl_clock_mono_ns() + 10000000000ull), 0);
	assert_int_equal(append_once(&t, stuck, SL_ACK_SYNCED), -EIO);
	sl_store_waker_del(t.s, &k);
	atomic_store(&plan.rename_err, 0);
	tu_close(&t, false);
	tu_open(&t);
	stuck = tu_topic(&t, "stuck", 1, NULL);
	assert_int_equal(sl_part_end(stuck), 11);
	tu_check(stuck, 0, 11, 1, 100000, 0, t.now_ms);
	tu_fini(&t);
	close(k.efd);
}

/* A topic whose segment never gets its name can still be deleted: nobody waits for it then. */
static void a_held_one_is_deleted(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	(void)state;

	start(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	struct sl_part *stuck = tu_topic(&t, "stuck", 2, &cfg);
	struct sl_part *ok = tu_topic(&t, "ok", 1, NULL);
	atomic_store(&plan.rename_err, ENOSPC);
	for (uint64_t i = 0; i < 11; i++)
		tu_append(&t, stuck, 1, 100000, i, SL_ACK_SYNCED);
	UNTIL(&t, stuck->held && sl_part_state(stuck) == SL_PART_DISK_FULL);
	assert_int_equal(t.w->held, 1);
	struct sl_topic *x = sl_topic_ref(stuck->pub.topic);
	assert_true(atomic_load(&t.s->disk_full));
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	assert_false(atomic_load(&t.s->disk_full));
	assert_int_equal(sl_store_writer_drain(t.w, sl_clock_mono_ns() + 10000000000ull), 0);
	UNTIL(&t, atomic_load(&t.s->trash_parts) == 0);
	assert_int_equal(t.w->held, 0);
	assert_false(stuck->held || stuck->in_dirty || stuck->in_want);
	assert_null(t.s->hk.pending);
	sl_topic_put(x);
	/* one that is in a round when it goes */
	atomic_store(&plan.rename_err, 0);
	stuck = tu_topic(&t, "stuck", 1, &cfg);
	plan.hold = true;
	tu_append(&t, stuck, 1, 1000, 0, SL_ACK_SYNCED);
	tu_append(&t, ok, 1, 1000, 0, SL_ACK_SYNCED);
	UNTIL(&t, stuck->round && plan.kept_cnt > 0);
	x = sl_topic_ref(stuck->pub.topic);
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	for (int i = 0; i < 100; i++)
		tu_pump(&t);
	assert_int_equal(atomic_load(&t.s->trash_parts), 1); /* the kernel has its slot */
	plan.hold = false;
	tu_sync(&t, ok);
	UNTIL(&t, atomic_load(&t.s->trash_parts) == 0);
	sl_topic_put(x);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	assert_int_equal(t.rec.partitions, 1);
	tu_fini(&t);
}

/* Failed, and then deleted: it is not failed any more, and a clean stop is one. */
static void a_failed_one_is_deleted(void **state)
{
	struct tu t;
	(void)state;

	start(&t);
	struct sl_part *bad = tu_topic(&t, "bad", 1, NULL);
	plan.fail_write = true;
	tu_append(&t, bad, 1, 100000, 0, SL_ACK_SYNCED);
	UNTIL(&t, sl_part_state(bad) == SL_PART_FAILED);
	plan.fail_write = false;
	assert_int_equal(atomic_load(&t.w->failed_parts), 1);
	assert_int_equal(sl_store_topic_delete(t.s, bad->pub.topic), 0);
	assert_int_equal(atomic_load(&t.w->failed_parts), 0);
	UNTIL(&t, atomic_load(&t.s->trash_parts) == 0);
	bad = tu_topic(&t, "bad", 1, NULL);
	tu_append(&t, bad, 1, 100000, 7, SL_ACK_SYNCED);
	tu_sync(&t, bad);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	tu_check(tu_topic(&t, "bad", 1, NULL), 0, 1, 1, 100000, 7, t.now_ms);
	tu_fini(&t);
}

/* A failed write is told at once, not when the rest of its round is done. */
static void a_failure_is_told_at_once(void **state)
{
	struct tu t;
	struct sl_waker k = {.efd = eventfd(0, EFD_NONBLOCK)};
	uint64_t v;
	(void)state;

	start(&t);
	assert_int_equal(sl_store_waker_add(t.s, &k), 0);
	struct sl_part *p = tu_topic(&t, "f", 1, NULL);
	tu_append(&t, p, 1, 1000, 0, SL_ACK_SYNCED);
	tu_sync(&t, p);
	plan.hold = plan.fail_write = true;
	tu_append(&t, p, 1, 1000, 1, SL_ACK_SYNCED);
	sl_store_poll(t.w, sl_clock_mono_ns()); /* rings for what was logged */
	sl_waker_arm(&k);
	while (read(k.efd, &v, sizeof(v)) == sizeof(v))
		;
	UNTIL(&t, sl_part_state(p) == SL_PART_FAILED);
	assert_int_equal(read(k.efd, &v, sizeof(v)), sizeof(v));
	sl_store_waker_del(t.s, &k);
	plan.hold = plan.fail_write = false;
	tu_fini(&t);
	close(k.efd);
}

/*
 * A writer that goes in the middle of a round has written a slot that proves nothing. The next
 * round must write that one again, not the one of the last sync that was published.
 */
static void the_slot_of_a_round_cut_short(void **state)
{
	struct tu t;
	(void)state;

	start(&t);
	struct sl_part *p = tu_topic(&t, "s", 1, NULL);
	tu_append(&t, p, 1, 1000, 0, SL_ACK_SYNCED);
	tu_sync(&t, p);
	uint64_t seq = p->journal_seq;
	tu_append(&t, p, 1, 1000, 1, SL_ACK_SYNCED);
	UNTIL(&t, t.w->round.phase != SL_ROUND_IDLE);
	assert_int_equal(p->journal_seq, seq + 1);
	sl_store_writer_detach(t.w);
	assert_int_equal(sl_part_synced(p), 1);
	assert_int_equal(p->journal_seq, seq);
	assert_int_equal(sl_store_writer_attach(t.s, 0, &t.w), 0);
	tu_sync(&t, p);
	assert_int_equal(p->journal_seq, seq + 1);
	assert_int_equal(sl_part_synced(p), 2);
	tu_fini(&t);
}

/* The kernel tells a write-back error once to each open file: no writer takes it from another. */
static void a_journal_of_ones_own(void **state)
{
	struct tu t;
	struct stat a, b;
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.writers = 2;
	tu_open(&t);
	int one = t.s->writer[0].journal_fd, two = t.s->writer[1].journal_fd;
	assert_int_equal(fstat(one, &a) | fstat(two, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	/* open file descriptions conflict with each other, and so they are two */
	assert_int_equal(fcntl(one, F_OFD_SETLK, &fl), 0);
	assert_int_equal(fcntl(two, F_OFD_SETLK, &fl), -1);
	fl.l_type = F_UNLCK;
	assert_int_equal(fcntl(one, F_OFD_SETLK, &fl), 0);
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_starves),
		cmocka_unit_test(a_name_that_does_not_come),
		cmocka_unit_test(times_in_a_segment_without_a_name),
		cmocka_unit_test(soon_is_soon),
		cmocka_unit_test(a_name_that_never_comes),
		cmocka_unit_test(a_held_one_is_deleted),
		cmocka_unit_test(a_failed_one_is_deleted),
		cmocka_unit_test(a_failure_is_told_at_once),
		cmocka_unit_test(the_slot_of_a_round_cut_short),
		cmocka_unit_test(a_journal_of_ones_own),
	};

	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
