/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_test.c - power cuts, torn blocks, damage and old data, made by hand. */
#include "checkpoint.h"
#include "recovery_util.h"

static void stripes_survive_a_kill(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 100, SL_ACK_LOGGED);
	tu_close(&t, false); /* full stripes may have been written, the last one was not */
	p = again(&t);
	assert_false(t.rec.clean);
	assert_true(t.rec.stripe_records > 0 && t.rec.stripe_records <= 100 * RECS);
	assert_true(t.rec.stripes_written >= 1);
	assert_int_equal(sl_part_end(p), 100 * RECS);
	tu_check(p, 0, 100 * RECS, RECS, BYTES, 0, t.now_ms);
	append_n(&t, p, 100, 50, SL_ACK_LOGGED);
	tu_check(p, 0, 150 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

static void a_stale_stripe_file_is_not_used(void **state)
{
	struct tu t;
	char keep[300], cmd[1200];
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 10, SL_ACK_LOGGED);
	tu_close(&t, false);
	snprintf(keep, sizeof(keep), "%s/kept", t.dir);
	snprintf(cmd, sizeof(cmd), "cp -r %s %s", t.shm, keep);
	assert_int_equal(system(cmd), 0);
	p = again(&t);
	append_n(&t, p, 10, 10, SL_ACK_LOGGED);
	tu_close(&t, true);
	/* the file of the run before last comes back from somewhere */
	snprintf(cmd, sizeof(cmd), "rm -rf %s && mv %s %s", t.shm, keep, t.shm);
	assert_int_equal(system(cmd), 0);
	p = again(&t);
	assert_int_equal(t.rec.stripes_written, 0);
	assert_int_equal(sl_part_end(p), 20 * RECS);
	tu_check(p, 0, 20 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

static void power_cut_keeps_what_is_synced(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 30, SL_ACK_SYNCED);
	tu_sync(&t, p);
	append_n(&t, p, 30, 20, SL_ACK_LOGGED);
	power_cut(&t);
	p = again(&t);
	assert_int_equal(t.rec.lost_records, 0);
	assert_true(sl_part_end(p) >= 30 * RECS);
	assert_int_equal(sl_part_end(p) % RECS, 0);
	tu_check(p, 0, sl_part_end(p), RECS, BYTES, 0, t.now_ms);
	/* what was logged has been read by somebody, and its offsets are given out again */
	assert_int_equal(p->pub.leader_epoch, 1);
	tu_fini(&t);
}

static void torn_tail_is_cut(void **state)
{
	struct tu t;
	static const char junk[5000] = {[0] = 'j', [4999] = 'k'};
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 30, SL_ACK_SYNCED);
	tu_sync(&t, p);
	uint32_t size = sl_seg_size(atomic_load(&p->active));
	power_cut(&t);
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), size), sizeof(junk));
	close(fd);
	p = again(&t);
	assert_int_equal(t.rec.cut_partitions, 1);
	assert_int_equal(t.rec.cut_bytes, sizeof(junk));
	assert_int_equal(sl_part_end(p), 30 * RECS);
	append_n(&t, p, 30, 5, SL_ACK_LOGGED);
	tu_check(p, 0, 35 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

static void torn_block_is_restored(void **state)
{
	struct tu t;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 33, SL_ACK_SYNCED);
	tu_sync(&t, p);
	uint32_t size = sl_seg_size(atomic_load(&p->active));
	assert_true(size % SL_IO_BLOCK > 1024);
	append_n(&t, p, 33, 1, SL_ACK_LOGGED);
	power_cut(&t);
	/* the rewrite of the last block got as far as its second sector, which is rubbish */
	uint8_t rubbish[512];
	memset(rubbish, 0xa5, sizeof(rubbish));
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, rubbish, 512, (off_t)SL_ALIGN_DOWN(size, SL_IO_BLOCK) + 512),
			 512);
	close(fd);
	p = again(&t);
	assert_int_equal(t.rec.tails_restored, 1);
	assert_int_equal(t.rec.lost_records, 0);
	assert_true(sl_part_end(p) >= 33 * RECS);
	tu_check(p, 0, 33 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

static void lost_records_raise_the_epoch(void **state)
{
	struct tu t;
	uint8_t *b;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 40, SL_ACK_SYNCED);
	tu_sync(&t, p);
	next_round(&t, p, 40);
	power_cut(&t);
	uint64_t at = place_of(&t, 20 * RECS);
	int fd = log_file(&t, 0);
	assert_int_equal(ftruncate(fd, (off_t)SL_ALIGN_DOWN(at, SL_IO_BLOCK)), 0);
	close(fd);
	p = again(&t);
	int64_t end = sl_part_end(p);
	assert_true(end < 21 * RECS && end > 0);
	assert_int_equal(t.rec.lost_records, 40 * RECS - end);
	assert_int_equal(p->pub.leader_epoch, 1);
	append_n(&t, p, 100, 1, SL_ACK_SYNCED);
	tu_sync(&t, p);
	assert_true(tu_read(p, end, true, &b, NULL) > 0);
	assert_int_equal(sl_batch_leader_epoch(b), 1);
	tu_close(&t, true);
	struct sl_epochs *e = calloc(1, sizeof(*e));
	char dir[400];
	snprintf(dir, sizeof(dir), "%s/log", t.data);
	int lfd = open(dir, O_RDONLY | O_DIRECTORY);
	sl_epochs_load(lfd, "x-0", e);
	close(lfd);
	assert_int_equal(e->cnt, 2);
	assert_int_equal(e->row[1].epoch, 1);
	assert_int_equal(e->row[1].start, end);
	free(e);
	p = again(&t);
	assert_int_equal(t.rec.lost_records, 0); /* once */
	assert_int_equal(p->pub.leader_epoch, 1);
	tu_fini(&t);
}

static void damage_is_kept_apart(void **state)
{
	struct tu t;
	uint8_t *b;
	int rc;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 40, SL_ACK_SYNCED);
	tu_sync(&t, p);
	next_round(&t, p, 40);
	power_cut(&t);
	uint64_t at = place_of(&t, 20 * RECS);
	int fd = log_file(&t, 0);
	uint8_t bit;
	assert_int_equal(pread(fd, &bit, 1, (off_t)at + 200), 1);
	bit ^= 4;
	assert_int_equal(pwrite(fd, &bit, 1, (off_t)at + 200), 1);
	close(fd);
	p = again(&t);
	assert_int_equal(t.rec.damaged_records, RECS);
	assert_int_equal(t.rec.lost_records, 0);
	assert_int_equal(t.rec.cut_bytes, 0);
	assert_int_equal(sl_part_end(p), 41 * RECS);
	assert_int_equal(tu_read(p, 20 * RECS, true, &b, &rc), 0);
	assert_int_equal(rc, -EILSEQ);
	struct sl_read rd = {.offset = 20 * RECS + 1,
			     .max_bytes = 1,
			     .at_least_one = true,
			     .buf = b,
			     .cap = TU_BATCH_CAP,
			     .max_offset = INT64_MAX};
	assert_int_equal(sl_store_read(p, &rd), -EILSEQ);
	assert_int_equal(rd.next_offset, 21 * RECS);
	tu_check(p, 0, 20 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_check(p, 21 * RECS, 40 * RECS, RECS, BYTES, 21, t.now_ms);
	append_n(&t, p, 41, 9, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_check(p, 21 * RECS, 50 * RECS, RECS, BYTES, 21, t.now_ms);
	tu_fini(&t);
}

/* The header itself is gone, so the way to the next batch must be searched. */
static void damaged_header(void **state)
{
	struct tu t;
	uint8_t *b, zero[40] = {0};
	int rc;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 40, SL_ACK_SYNCED);
	tu_sync(&t, p);
	next_round(&t, p, 40);
	power_cut(&t);
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, zero, sizeof(zero), (off_t)place_of(&t, 12)), sizeof(zero));
	close(fd);
	p = again(&t);
	assert_int_equal(t.rec.damaged_records, RECS);
	assert_int_equal(tu_read(p, 12, true, &b, &rc), 0);
	assert_int_equal(rc, -EILSEQ);
	tu_check(p, 16, 40 * RECS, RECS, BYTES, 4, t.now_ms);
	tu_fini(&t);
}

/* Nothing good is left below the last proven mark: the offsets are not used again. */
static void damage_up_to_the_end(void **state)
{
	struct tu t;
	uint8_t *b, junk[30000];
	int rc;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 40, SL_ACK_SYNCED);
	tu_sync(&t, p);
	next_round(&t, p, 40);
	uint32_t size = sl_seg_size(atomic_load(&p->active));
	power_cut(&t);
	uint64_t at = place_of(&t, 30 * RECS);
	memset(junk, 0x5a, sizeof(junk));
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, junk, size - at, (off_t)at), size - at);
	close(fd);
	p = again(&t);
	/* the last batch came back from the journal */
	assert_int_equal(sl_part_end(p), 41 * RECS);
	assert_int_equal(t.rec.lost_records, 0);
	assert_true(t.rec.damaged_records >= 8 * RECS);
	assert_int_equal(tu_read(p, 31 * RECS, true, &b, &rc), 0);
	assert_int_equal(rc, -EILSEQ);
	append_n(&t, p, 41, 2, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_check(p, 0, 30 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_check(p, 40 * RECS, 43 * RECS, RECS, BYTES, 40, t.now_ms);
	tu_close(&t, true);
	p = again(&t);
	assert_int_equal(sl_part_end(p), 43 * RECS);
	tu_check(p, 40 * RECS, 43 * RECS, RECS, BYTES, 40, t.now_ms);
	tu_fini(&t);
}

/* Damage that came while the box was off: the start does not look, the reader must. */
static void damage_after_a_clean_stop(void **state)
{
	struct tu t;
	uint8_t *b;
	int rc;
	struct sl_part *p = start(&t);
	struct sl_topic_cfg cfg;
	(void)state;

	sl_topic_cfg_get(p->pub.topic, &cfg);
	cfg.segment_bytes = 1 << 20;
	tu_cfg_set(&t, p->pub.topic, &cfg);
	append_n(&t, p, 0, 900, SL_ACK_LOGGED);
	tu_close(&t, true);
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, "boo", 3, (off_t)place_of(&t, 50 * RECS) + 300), 3);
	close(fd);
	p = again(&t);
	assert_true(t.rec.clean);
	assert_true(p->seg_cnt > 1);
	assert_int_equal(tu_read(p, 50 * RECS + 2, true, &b, &rc), 0);
	assert_int_equal(rc, -EILSEQ);
	tu_check(p, 0, 50 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_check(p, 51 * RECS, 900 * RECS, RECS, BYTES, 51, t.now_ms);
	tu_fini(&t);
}

/*
 * The worst that a recycled file can hold: right behind the tail a whole batch of somebody else,
 * with a right checksum and exactly the offset that comes next.
 */
static void old_batches_are_not_believed(void **state)
{
	static uint8_t old[TU_BATCH_CAP];
	bool stripes_gone = *state != NULL;
	struct tu t;
	struct sl_part *p = start(&t);

	atomic_load(&p->active)->fresh = false; /* as if it had come from the stock */
	append_n(&t, p, 0, 25, SL_ACK_SYNCED);
	tu_sync(&t, p);
	if (!stripes_gone)
		append_n(&t, p, 25, 5, SL_ACK_LOGGED);
	int64_t end = sl_part_end(p);
	uint32_t size = sl_seg_size(atomic_load(&p->active));
	if (stripes_gone)
		power_cut(&t);
	else
		tu_close(&t, false);
	uint32_t len = tu_batch(old, RECS, BYTES, 777, t.now_ms);
	sl_batch_set_base_offset(old, end);
	int fd = log_file(&t, 0);
	assert_int_equal(pwrite(fd, old, len, size), len);
	close(fd);
	p = again(&t);
	assert_int_equal(sl_part_end(p), end);
	assert_int_equal(t.rec.cut_bytes, 0);
	tu_check(p, 0, end, RECS, BYTES, 0, t.now_ms);
	append_n(&t, p, (uint64_t)end / RECS, 3, SL_ACK_SYNCED);
	tu_sync(&t, p);
	power_cut(&t);
	p = again(&t);
	tu_check(p, 0, end + 3 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

/* A segment that was rolled into, but never synced: not there after a power cut. */
static void unsynced_segments_go(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	struct sl_part *p = start(&t);
	(void)state;

	sl_topic_cfg_get(p->pub.topic, &cfg);
	cfg.segment_bytes = 1 << 20;
	tu_cfg_set(&t, p->pub.topic, &cfg);
	append_n(&t, p, 0, 300, SL_ACK_SYNCED);
	tu_sync(&t, p);
	append_n(&t, p, 300, 500, SL_ACK_LOGGED);
	int64_t rolled = atomic_load(&p->active)->base;
	assert_true(rolled > 300 * RECS);
	power_cut(&t);
	p = again(&t);
	assert_int_equal(t.rec.lost_records, 0);
	assert_true(sl_part_end(p) >= 300 * RECS);
	tu_check(p, 0, sl_part_end(p), RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

static void everything_of_ours_is_gone(void **state)
{
	struct tu t;
	char cmd[800];
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 60, SL_ACK_SYNCED);
	tu_sync(&t, p);
	power_cut(&t);
	snprintf(cmd, sizeof(cmd), "rm -rf %s/state %s/log/*checkpoint", t.data, t.data);
	assert_int_equal(system(cmd), 0);
	p = again(&t);
	assert_int_equal(sl_part_end(p), 60 * RECS);
	tu_check(p, 0, 60 * RECS, RECS, BYTES, 0, t.now_ms);
	tu_fini(&t);
}

static void foreign_things_are_left_alone(void **state)
{
	struct tu t;
	char cmd[2000];
	struct stat st;
	struct sl_part *p = start(&t);
	(void)state;

	append_n(&t, p, 0, 5, SL_ACK_LOGGED);
	tu_close(&t, true);
	snprintf(cmd, sizeof(cmd),
		 "mkdir %s/log/stranger %s/target && ln -s ../../target %s/log/evil-0 && "
		 "touch %s/log/x-0/notes.txt %s/log/stranger/00000000000000000000.log",
		 t.data, t.dir, t.data, t.data, t.data);
	assert_int_equal(system(cmd), 0);
	p = again(&t);
	assert_int_equal(sl_part_end(p), 5 * RECS);
	snprintf(cmd, sizeof(cmd), "%s/log/stranger/00000000000000000000.log", t.data);
	assert_int_equal(stat(cmd, &st), 0);
	struct sl_topic *e;
	assert_true(sl_store_topic_create(t.s, "evil", 1, NULL, &e) < 0);
	tu_fini(&t);
}

/* Restart with a gigabyte of log; and without its index files. */
static void producers_survive(void **state)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct tu t;
	struct sl_part *p = start(&t);
	int64_t base[8];

	for (int i = 0; i < 8; i++) {
		struct sl_append a = {.part = p,
				      .batch = buf,
				      .records = RECS,
				      .producer_id = 42,
				      .producer_epoch = 1,
				      .base_sequence = i * (int)RECS,
				      .ack = SL_ACK_SYNCED};
		a.len = tu_batch(buf, RECS, 50, (uint64_t)i, t.now_ms);
		sl_put_be64(buf + SL_BATCH_PID_OFF, 42);
		sl_put_be16(buf + SL_BATCH_PEPOCH_OFF, 1);
		sl_put_be32(buf + SL_BATCH_BASE_SEQ_OFF, (uint32_t)a.base_sequence);
		sl_put_be32(buf + SL_BATCH_CRC_OFF,
			    sl_crc32c(buf + SL_BATCH_CRC_FROM, a.len - SL_BATCH_CRC_FROM));
		assert_int_equal(tu_append_raw(&t, &a), 0);
		base[i] = a.base_offset;
	}
	tu_sync(&t, p);
	for (int run = 0; run < 3; run++) {
		if (*state && run == 0)
			tu_close(&t, false);
		else if (*state)
			power_cut(&t);
		else
			tu_close(&t, true);
		p = again(&t);
		for (int i = 0; i < 8; i++) {
			struct sl_append a = {.part = p,
					      .batch = buf,
					      .records = RECS,
					      .producer_id = 42,
					      .producer_epoch = 1,
					      .base_sequence = i * (int)RECS};
			a.len = tu_batch(buf, RECS, 50, (uint64_t)i, t.now_ms);
			int rc = sl_store_append(t.w, &a);
			assert_int_equal(rc, i >= 3 ? -EEXIST : -EILSEQ);
			if (rc == -EEXIST)
				assert_int_equal(a.base_offset, base[i]);
		}
	}
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stripes_survive_a_kill),
		cmocka_unit_test(a_stale_stripe_file_is_not_used),
		cmocka_unit_test(power_cut_keeps_what_is_synced),
		cmocka_unit_test(torn_tail_is_cut),
		cmocka_unit_test(torn_block_is_restored),
		cmocka_unit_test(lost_records_raise_the_epoch),
		cmocka_unit_test(damage_is_kept_apart),
		cmocka_unit_test(damaged_header),
		cmocka_unit_test(damage_up_to_the_end),
		cmocka_unit_test(damage_after_a_clean_stop),
		cmocka_unit_test_prestate(old_batches_are_not_believed, (void *)0),
		cmocka_unit_test_prestate(old_batches_are_not_believed, (void *)1),
		cmocka_unit_test(unsynced_segments_go),
		cmocka_unit_test(everything_of_ours_is_gone),
		cmocka_unit_test(foreign_things_are_left_alone),
		cmocka_unit_test_prestate(producers_survive, (void *)0),
		cmocka_unit_test_prestate(producers_survive, (void *)1),
	};

	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
