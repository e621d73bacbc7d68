/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery_mark_test.c - what the journal's two marks prove, and checkpoints, gaps and producers.
 * The disk of a power cut is made by hand: files as they were earlier, slots damaged or written.
 */
#include "checkpoint.h"
#include "recovery_util.h"

static void shell(const char *fmt, ...) SL_PRINTF(1, 2);
static void shell(const char *fmt, ...)
{
	char cmd[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	assert_int_equal(system(cmd), 0);
}

static struct sl_part *start_small(struct tu *t) /* segments of 1 MiB */
{
	struct sl_topic_cfg cfg;
	struct sl_part *p = start(t);

	sl_topic_cfg_get(p->pub.topic, &cfg);
	cfg.segment_bytes = 1 << 20;
	tu_cfg_set(t, p->pub.topic, &cfg);
	return p;
}

/* Appends until the active segment is another one and holds `n` batches. Next tag. */
static uint64_t roll(struct tu *t, struct sl_part *p, uint64_t tag, uint64_t n)
{
	const struct sl_seg *g = atomic_load(&p->active);

	while (atomic_load(&p->active) == g)
		append_n(t, p, tag++, 1, SL_ACK_LOGGED);
	append_n(t, p, tag, n - 1, SL_ACK_LOGGED);
	tag += n - 1;
	return tag;
}

struct marks { /* of the one partition there is */
	unsigned cnt;
	struct sl_tail_mark m[2]; /* older, newer */
	uint8_t bytes[2][SL_IO_BLOCK];
};

static int see(const struct sl_tail_mark *m, void *arg)
{
	struct marks *s = arg;
	unsigned i = s->cnt++;

	assert_true(i < 2);
	if (i == 1 && m->seq < s->m[0].seq) {
		s->m[1] = s->m[0];
		memcpy(s->bytes[1], s->bytes[0], SL_IO_BLOCK);
		i = 0;
	}
	s->m[i] = *m;
	memcpy(s->bytes[i], m->bytes, m->end_pos % SL_IO_BLOCK);
	return 0;
}

static int state_fd(struct tu *t)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/state", t->data);
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	return fd;
}

static void read_marks(struct tu *t, struct marks *s)
{
	int fd = state_fd(t);

	s->cnt = 0;
	assert_int_equal(sl_tail_each(fd, see, s), 0);
	close(fd);
	for (unsigned i = 0; i < 2; i++)
		s->m[i].bytes = s->bytes[i];
}

static void write_slot(struct tu *t, const struct sl_tail_mark *m, bool rotten)
{
	uint8_t buf[SL_TAIL_SLOT] = {0};
	int dir = state_fd(t), fd = openat(dir, SL_TAIL_FILE, O_RDWR);

	sl_tail_fill(m, buf);
	buf[30] ^= rotten;
	assert_int_equal(pwrite(fd, buf, sizeof(buf), (off_t)sl_tail_off(0, m->seq)), sizeof(buf));
	close(fd);
	close(dir);
}

static void nothing_is_missing(struct tu *t)
{
	assert_int_equal(t->rec.lost_records, 0);
	assert_int_equal(t->rec.damaged_records, 0);
}

/* The slot of a round reached the disk, its data did not: nothing was promised. */
static void a_slot_is_no_proof(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	bool one_block = *state != NULL;

	append_n(&t, p, 0, 30, SL_ACK_SYNCED);
	tu_sync(&t, p);
	shell("cp %s/log/x-0/*.log %s/keep", t.data, t.dir);
	append_n(&t, p, 30, one_block ? 1 : 20, SL_ACK_SYNCED);
	tu_sync(&t, p);
	power_cut(&t);
	shell("cp %s/keep %s/log/x-0/00000000000000000000.log", t.dir, t.data);
	p = again(&t);
	nothing_is_missing(&t);
	assert_true(sl_part_end(p) == 30 * RECS || (one_block && sl_part_end(p) == 31 * RECS));
	assert_int_equal(p->pub.leader_epoch, 1); /* 30 .. were seen by consumers */
	uint64_t next = (uint64_t)sl_part_end(p) / RECS;
	append_n(&t, p, next, 5, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_check(p, 0, sl_part_end(p), RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

/* The same with the log rolled in between, the new segment there or not. */
static void a_slot_beyond_a_roll(void **state)
{
	struct tu t;
	struct sl_part *p = start_small(&t);
	bool there = *state != NULL;

	append_n(&t, p, 0, 300, SL_ACK_SYNCED);
	tu_sync(&t, p);
	uint64_t n = roll(&t, p, 300, 10);
	next_round(&t, p, n++);
	int64_t base = atomic_load(&p->active)->base;
	power_cut(&t);
	struct marks s;
	read_marks(&t, &s);
	assert_int_equal(s.cnt, 2);
	assert_int_equal(s.m[0].seg_base, 0);
	assert_int_equal(s.m[1].seg_base, base);
	/* the middle of the first segment's rest is not there, nor the second one's name */
	int fd = log_file(&t, 0);
	assert_int_equal(ftruncate(fd, (off_t)SL_ALIGN_UP(s.m[0].end_pos, SL_IO_BLOCK)), 0);
	close(fd);
	if (!there)
		shell("rm %s/log/x-0/%020" PRId64 ".log", t.data, base);
	p = again(&t);
	nothing_is_missing(&t);
	int64_t end = sl_part_end(p);
	assert_true(end >= s.m[0].synced && end < base);
	assert_int_equal(p->seg_cnt, 1);
	tu_check(p, 0, end, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

/* Data and slot are there, whether published or not: then it is all taken, over a roll too. */
static void a_slot_that_is_borne_out(void **state)
{
	struct tu t;
	struct sl_part *p = start_small(&t);
	(void)state;

	append_n(&t, p, 0, 300, SL_ACK_SYNCED);
	tu_sync(&t, p);
	uint64_t n = roll(&t, p, 300, 10);
	atomic_load(&p->active)->fresh = false; /* as if it had come from the stock */
	next_round(&t, p, n++);
	power_cut(&t);
	p = again(&t);
	nothing_is_missing(&t);
	assert_int_equal(sl_part_end(p), n * RECS);
	tu_check(p, 0, sl_part_end(p), RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

/* The newest slot is torn or rotten; a checkpoint knows that more was published. */
static void a_checkpoint_knows_more(void **state)
{
	struct tu t;
	struct marks s;
	struct sl_part *p = start_small(&t);
	bool lost = *state != NULL;

	append_n(&t, p, 0, 300, SL_ACK_SYNCED);
	tu_sync(&t, p);
	uint64_t n = roll(&t, p, 300, 10);
	atomic_load(&p->active)->fresh = false;
	next_round(&t, p, n++);
	assert_int_equal(sl_checkpoints_store(t.s, false), 0);
	int64_t base = atomic_load(&p->active)->base;
	power_cut(&t);
	read_marks(&t, &s);
	write_slot(&t, &s.m[1], true);
	if (lost)
		shell("truncate -s 8192 %s/log/x-0/%020" PRId64 ".log", t.data, base);
	p = again(&t);
	assert_int_equal(t.rec.damaged_records, 0);
	if (lost) {
		assert_int_equal(t.rec.lost_records, (int64_t)n * RECS - sl_part_end(p));
		assert_true(t.rec.lost_records > 0 && sl_part_end(p) > base);
	} else {
		nothing_is_missing(&t);
		assert_int_equal(sl_part_end(p), n * RECS);
	}
	tu_check(p, 0, sl_part_end(p), RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

/* Both slots are whole, the newer one's data is damaged, and it was published. */
static void a_checkpoint_proves_a_slot(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 40, SL_ACK_SYNCED);
	tu_sync(&t, p);
	assert_int_equal(sl_checkpoints_store(t.s, false), 0);
	power_cut(&t);
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, "boo", 3, (off_t)place_of(&t, 20 * RECS) + 300), 3);
	close(fd);
	p = again(&t);
	assert_int_equal(t.rec.damaged_records, RECS);
	assert_int_equal(sl_part_end(p), 40 * RECS);
	tu_fini(&t);
}

/* Retention has taken the segment of the proven mark; the newer mark's data is not there. */
static void a_mark_of_a_deleted_segment(void **state)
{
	struct tu t;
	struct marks s;
	struct sl_part *p = start_small(&t);
	(void)state;

	append_n(&t, p, 0, 300, SL_ACK_SYNCED);
	uint64_t n = roll(&t, p, 300, 10);
	next_round(&t, p, n);
	next_round(&t, p, n + 1);
	int64_t base = atomic_load(&p->active)->base;
	power_cut(&t);
	read_marks(&t, &s);
	s.m[0].seg_base = 0; /* as far as the end of the first segment, which is gone */
	s.m[0].synced = base;
	write_slot(&t, &s.m[0], false);
	s.m[1].fresh = false;
	s.m[1].end_pos += 50 * SL_IO_BLOCK;
	s.m[1].synced += 100;
	write_slot(&t, &s.m[1], false);
	shell("rm %s/log/x-0/00000000000000000000.*", t.data);
	p = again(&t);
	nothing_is_missing(&t);
	assert_int_equal(sl_part_start(p), base);
	assert_int_equal(sl_part_end(p), base);
	append_n(&t, p, 0, 3, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_check(p, base, base + 3 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

/* ---- gaps ---------------------------------------------------------------------------------- */

static void move_batch(struct tu *t, int64_t seg, uint64_t pos, int64_t offset)
{
	uint8_t b[8];
	int fd = log_file(t, seg);

	sl_put_be64(b, (uint64_t)offset);
	assert_int_equal(pwrite(fd, b, 8, (off_t)pos), 8);
	close(fd);
}

/* A log that Kafka compacted, imported: starts of all kinds find the same in it. */
static void gaps_are_no_damage(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 4, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_close(&t, true);
	move_batch(&t, 0, place_of(&t, 3 * RECS), 100);
	move_batch(&t, 0, place_of(&t, 2 * RECS), 50);
	shell("rm -rf %s/state %s/log/*checkpoint %s/log/.kafka_cleanshutdown %s/log/x-0/*index",
	      t.data, t.data, t.data, t.data);
	for (int i = 0; i < 5; i++) {
		p = again(&t);
		nothing_is_missing(&t);
		assert_int_equal(sl_part_end(p), 104 + i * (int)RECS);
		tu_check(p, 100, 104, RECS, BYTES, 3, t.now_ms);
		tu_check(p, 50, 54, RECS, BYTES, 2, t.now_ms);
		next_round(&t, p, 4);
		if (i == 1)
			tu_close(&t, true);
		else if (i % 2)
			power_cut(&t);
		else
			tu_close(&t, false);
	}
	tu_fini(&t);
}

/* In closed segments too, at their end as well, when they must be scanned again. */
static void gaps_in_closed_segments(void **state)
{
	struct tu t;
	struct sl_part *p = start_small(&t);
	(void)state;

	uint64_t n = roll(&t, p, 0, 10);
	int64_t base = atomic_load(&p->active)->base;
	tu_close(&t, true);
	int64_t last = base - (int64_t)RECS;
	int fd = log_file(&t, 0); /* the last batch is compacted away, the one before moved */
	assert_int_equal(ftruncate(fd, (off_t)place_of(&t, last)), 0);
	close(fd);
	move_batch(&t, 0, place_of(&t, last - (int64_t)RECS), last - 2);
	shell("rm -rf %s/state %s/log/*checkpoint %s/log/.kafka_cleanshutdown %s/log/x-0/*index "
	      "%s/log/x-0/*snapshot",
	      t.data, t.data, t.data, t.data, t.data);
	for (int i = 0; i < 3; i++) {
		p = again(&t);
		nothing_is_missing(&t);
		assert_int_equal(sl_part_end(p), (n + (uint64_t)i) * RECS);
		next_round(&t, p, 4);
		power_cut(&t);
		shell("rm -f %s/log/x-0/*index", t.data);
	}
	tu_fini(&t);
}

/* The base offset is outside of the checksum: a damaged one is no gap. */
static void a_damaged_offset_is_no_gap(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 40, SL_ACK_SYNCED);
	tu_sync(&t, p);
	next_round(&t, p, 40);
	power_cut(&t);
	move_batch(&t, 0, place_of(&t, 20 * RECS), 24 * RECS + 2);
	p = again(&t);
	assert_int_equal(t.rec.damaged_records, RECS);
	assert_int_equal(sl_part_end(p), 41 * RECS);
	tu_check(p, 26 * RECS, 41 * RECS, RECS, BYTES, 26, t.now_ms);
	tu_fini(&t);
}

/* ---- producers and epochs ------------------------------------------------------------------ */

static int produce(struct tu *t, struct sl_part *p, int64_t pid, int seq)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_append a = {.part = p,
			      .batch = buf,
			      .records = RECS,
			      .producer_id = pid,
			      .base_sequence = seq,
			      .ack = SL_ACK_SYNCED};

	a.len = tu_batch(buf, RECS, BYTES, (uint64_t)pid, t->now_ms);
	sl_put_be64(buf + SL_BATCH_PID_OFF, (uint64_t)pid);
	sl_put_be16(buf + SL_BATCH_PEPOCH_OFF, 0);
	sl_put_be32(buf + SL_BATCH_BASE_SEQ_OFF, (uint32_t)seq);
	sl_put_be32(buf + SL_BATCH_CRC_OFF,
		    sl_crc32c(buf + SL_BATCH_CRC_FROM, a.len - SL_BATCH_CRC_FROM));
	return tu_append_raw(t, &a);
}

/* Closed segments below the recovery point, and no producer state at all: it is in the batches. */
static void producers_of_closed_segments(void **state)
{
	struct tu t;
	struct sl_part *p = start_small(&t);
	(void)state;

	for (int i = 0; i < 100; i++)
		assert_int_equal(produce(&t, p, i, 0), 0);
	next_round(&t, p, roll(&t, p, 0, 10));
	tu_close(&t, true);
	shell("rm -f %s/state/producers/* %s/log/x-0/*.snapshot %s/log/.kafka_cleanshutdown",
	      t.data, t.data, t.data);
	for (int run = 0; run < 3; run++) {
		p = again(&t);
		if (run == 1) /* what was scanned for is stored: once is enough */
			assert_true(t.rec.scanned_bytes < 200000);
		for (int i = 0; i < 100; i++)
			assert_int_equal(produce(&t, p, i, 0), -EEXIST);
		tu_close(&t, false);
	}
	tu_fini(&t);
}

/* Records are gone: their producers' retries are appended, not called duplicates of nothing. */
static void producers_of_lost_records(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 30, SL_ACK_LOGGED);
	assert_int_equal(produce(&t, p, 7, 0), 0);
	assert_int_equal(produce(&t, p, 7, 4), 0);
	assert_int_equal(produce(&t, p, 8, 0), 0);
	tu_close(&t, true); /* the state is stored as of the end */
	shell("rm -f %s/log/.kafka_cleanshutdown", t.data);
	int fd = log_file(&t, 0);
	assert_int_equal(ftruncate(fd, (off_t)place_of(&t, 31 * RECS)), 0);
	close(fd);
	for (int run = 0; run < 2; run++) {
		p = again(&t);
		assert_int_equal(t.rec.lost_records, run ? 0 : 2 * (int)RECS);
		assert_int_equal(produce(&t, p, 7, 0), -EEXIST);
		assert_int_equal(produce(&t, p, 7, 4), run ? -EEXIST : 0);
		assert_int_equal(produce(&t, p, 8, 0), run ? -EEXIST : 0);
		tu_close(&t, false);
	}
	tu_fini(&t);
}

/* The epochs' file is gone: the batches still say which was the last. */
static void epochs_without_their_file(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	for (int run = 0; run < 3; run++) {
		assert_int_equal(p->pub.leader_epoch, run);
		next_round(&t, p, 1);
		power_cut(&t);
		if (run == 1)
			shell("rm %s/log/x-0/leader-epoch-checkpoint", t.data);
		p = again(&t);
	}
	assert_int_equal(p->pub.leader_epoch, 3);
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(a_slot_is_no_proof, (void *)0),
		cmocka_unit_test_prestate(a_slot_is_no_proof, (void *)1),
		cmocka_unit_test_prestate(a_slot_beyond_a_roll, (void *)0),
		cmocka_unit_test_prestate(a_slot_beyond_a_roll, (void *)1),
		cmocka_unit_test(a_slot_that_is_borne_out),
		cmocka_unit_test_prestate(a_checkpoint_knows_more, (void *)0),
		cmocka_unit_test_prestate(a_checkpoint_knows_more, (void *)1),
		cmocka_unit_test(a_checkpoint_proves_a_slot),
		cmocka_unit_test(a_mark_of_a_deleted_segment),
		cmocka_unit_test(gaps_are_no_damage),
		cmocka_unit_test(gaps_in_closed_segments),
		cmocka_unit_test(a_damaged_offset_is_no_gap),
		cmocka_unit_test(producers_of_closed_segments),
		cmocka_unit_test(producers_of_lost_records),
		cmocka_unit_test(epochs_without_their_file),
	};

	return cmocka_run_group_tests_name("recovery marks", tests, NULL, NULL);
}
