/* SPDX-License-Identifier: Apache-2.0 */
/* store_test.c - opening, appending, reading, closing; with both I/O back ends. */
#include "test_util.h"

static const char *const ios[] = {"io_uring", "posix"};

static void refuses_bad_settings(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, "posix");
	t.cfg.writers = 0;
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, t.err, sizeof(t.err)), -EINVAL);
	t.cfg.writers = SL_STORE_WRITERS_MAX + 1;
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, t.err, sizeof(t.err)), -EINVAL);
	t.cfg.writers = 1;
	t.cfg.stripe_bytes = SL_STRIPE_MIN_BYTES - 1;
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, t.err, sizeof(t.err)), -EINVAL);
	assert_true(strlen(t.err) > 0);
	t.cfg.stripe_bytes = SL_STRIPE_MIN_BYTES;
	t.cfg.budget_fraction = 1.5;
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, NULL, 0), -EINVAL);
	t.cfg.budget_fraction = 0;
	t.cfg.io = "floppy";
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, t.err, sizeof(t.err)), -ENOTSUP);
	t.cfg.io = "posix";
	t.cfg.data = NULL;
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, t.err, sizeof(t.err)), -EINVAL);
	t.cfg.data = t.data;
	t.cfg.stripe_dir = "/nonexistent";
	assert_int_equal(sl_store_open(&t.cfg, &t.s, &t.rec, t.err, sizeof(t.err)), -ENOENT);
	sl_store_close(NULL, true);
	tu_fini(&t);
}

static void second_open_is_refused(void **state)
{
	struct tu t;
	struct sl_store *other;
	struct sl_store_writer *w;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	assert_int_equal(sl_store_open(&t.cfg, &other, NULL, t.err, sizeof(t.err)), -EBUSY);
	assert_int_equal(sl_store_writer_attach(t.s, 0, &w), -EBUSY);
	assert_int_equal(sl_store_writer_attach(t.s, 1, &w), -EINVAL);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	tu_fini(&t);
}

static void newer_format_is_refused(void **state)
{
	struct tu t;
	char path[400];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	tu_close(&t, true);
	snprintf(path, sizeof(path), "%s/state/format", t.data);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "sluice-format %d\n", SL_STORE_FORMAT + 1);
	fclose(f);
	assert_int_equal(sl_store_open(&t.cfg, &t.s, NULL, t.err, sizeof(t.err)), -EPROTO);
	assert_non_null(strstr(t.err, "newer"));
	t.s = NULL;
	tu_fini(&t);
}

static void another_gateways_log_is_refused(void **state)
{
	struct tu t;
	char path[400];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	tu_close(&t, true);
	snprintf(path, sizeof(path), "%s/log/meta.properties", t.data);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "cluster.id=AAAAAAAAQACAAAAAAAAAAA\ndirectory.id=BAAAAAAAQACAAAAAAAAAAA\nnode."
		   "id=1\n"
		   "version=1\n");
	fclose(f);
	assert_int_equal(sl_store_open(&t.cfg, &t.s, NULL, t.err, sizeof(t.err)), -ENOTUNIQ);
	t.s = NULL;
	tu_fini(&t);
}

static void round_trip(void **state)
{
	const char *io = *state;
	struct tu t;

	tu_init(&t, NULL, io);
	tu_open(&t);
	if (strcmp(sl_store_io_name(t.s), io))
		fail();
	struct sl_part *p = tu_topic(&t, "logs", 2, NULL);
	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(tu_append(&t, p, 5, 200, i, SL_ACK_LOGGED), i * 5);
	assert_int_equal(sl_part_end(p), 1500);
	tu_check(p, 0, 1500, 5, 200, 0, t.now_ms);
	tu_append(&t, p, 5, 200, 300, SL_ACK_SYNCED);
	tu_sync(&t, p);
	assert_int_equal(sl_part_synced(p), 1505);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	p = tu_topic(&t, "logs", 2, NULL);
	assert_int_equal(sl_part_end(p), 1505);
	assert_int_equal(sl_part_synced(p), 1505);
	tu_check(p, 0, 1505, 5, 200, 0, t.now_ms);
	for (uint64_t i = 301; i < 400; i++)
		tu_append(&t, p, 5, 200, i, SL_ACK_LOGGED);
	tu_check(p, 0, 2000, 5, 200, 0, t.now_ms);
	tu_fini(&t);
}

/* Large batches, all classes of stripes, many rolls, more data than stripes. */
static void rolls_and_sizes(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	static const uint32_t sizes[] = {10, 900, 5000, 70000, 300000, 1000000};

	tu_init(&t, NULL, *state);
	tu_open(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 3 << 20;
	cfg.max_message_bytes = SL_BATCH_MAX_BYTES;
	struct sl_part *p = tu_topic(&t, "big", 1, &cfg);
	int64_t at[200];
	for (uint64_t i = 0; i < 200; i++)
		at[i] = tu_append(&t, p, 1, sizes[i * 7 % 6], i,
				  i % 9 ? SL_ACK_LOGGED : SL_ACK_SYNCED);
	for (uint64_t i = 0; i < 200; i++)
		tu_check(p, at[i], at[i] + 1, 1, sizes[i * 7 % 6], i, t.now_ms);
	tu_sync(&t, p);
	tu_close(&t, true);
	tu_open(&t);
	p = tu_topic(&t, "big", 1, NULL);
	assert_true(p->seg_cnt > 5);
	for (uint64_t i = 0; i < 200; i++)
		tu_check(p, at[i], at[i] + 1, 1, sizes[i * 7 % 6], i, t.now_ms);
	tu_fini(&t);
}

static void limits_of_reading(void **state)
{
	struct tu t;
	uint8_t buf[4096];

	tu_init(&t, NULL, *state);
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "r", 1, NULL);
	for (uint64_t i = 0; i < 10; i++)
		tu_append(&t, p, 3, 100, i, SL_ACK_LOGGED);
	struct sl_read rd = {.offset = 31,
			     .buf = buf,
			     .cap = sizeof(buf),
			     .max_bytes = 4096,
			     .max_offset = INT64_MAX};
	assert_int_equal(sl_store_read_tail(p, &rd), -ERANGE);
	rd.offset = -1;
	assert_int_equal(sl_store_read(p, &rd), -ERANGE);
	rd.offset = 30;
	assert_int_equal(sl_store_read_tail(p, &rd), 0);
	assert_int_equal(rd.len, 0);
	assert_int_equal(rd.next_offset, 30);
	rd.offset = 4; /* inside the second batch: it comes whole */
	rd.max_offset = 9;
	assert_int_equal(sl_store_read_tail(p, &rd), 0);
	assert_int_equal(sl_batch_base_offset(buf), 3);
	assert_int_equal(rd.next_offset, 9);
	assert_int_equal(rd.len, 2 * sl_batch_total(buf));
	rd.max_offset = 5; /* its last offset is not below */
	assert_int_equal(sl_store_read_tail(p, &rd), 0);
	assert_int_equal(rd.len, 0);
	rd.max_offset = INT64_MAX;
	rd.max_bytes = 10;
	assert_int_equal(sl_store_read_tail(p, &rd), 0);
	assert_int_equal(rd.len, 0);
	rd.at_least_one = true;
	assert_int_equal(sl_store_read_tail(p, &rd), 0);
	assert_int_equal(rd.len, sl_batch_total(buf));
	uint32_t one = rd.len;
	rd.cap = one - 1;
	assert_int_equal(sl_store_read_tail(p, &rd), -EMSGSIZE);
	assert_int_equal(rd.need, one);
	/* due, but larger than what is left of the caller's buffer: said, not passed over */
	rd.at_least_one = false;
	rd.max_bytes = 4096;
	assert_int_equal(sl_store_read_tail(p, &rd), -EMSGSIZE);
	assert_int_equal(rd.need, one);
	rd.max_bytes = one - 1;
	assert_int_equal(sl_store_read_tail(p, &rd), 0);
	assert_int_equal(rd.len, 0);
	rd.at_least_one = true;
	/* the same from the disk */
	tu_close(&t, true);
	tu_open(&t);
	p = tu_topic(&t, "r", 1, NULL);
	assert_int_equal(sl_store_read_tail(p, &rd), -EAGAIN);
	assert_int_equal(sl_store_read(p, &rd), -EMSGSIZE);
	assert_int_equal(rd.need, one);
	rd.cap = sizeof(buf);
	assert_int_equal(sl_store_read(p, &rd), 0);
	assert_int_equal(rd.len, one);
	rd.at_least_one = false;
	assert_int_equal(sl_store_read(p, &rd), 0);
	assert_int_equal(rd.len, 0);
	rd.max_bytes = 4096;
	rd.max_offset = 9;
	assert_int_equal(sl_store_read(p, &rd), 0);
	assert_int_equal(rd.len, 2 * one);
	assert_int_equal(rd.next_offset, 9);
	rd.max_offset = INT64_MAX;
	assert_int_equal(sl_store_read(p, &rd), 0);
	assert_int_equal(rd.len, 9 * one);
	assert_int_equal(rd.next_offset, 30);
	tu_fini(&t);
}

static void topics(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg, got;
	struct sl_topic_layers l = {0};
	struct sl_topic *x;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	sl_topic_cfg_defaults(&cfg);
	l.base = cfg;
	assert_int_equal(sl_store_topic_create(t.s, "..", 1, &l, &x), -EINVAL);
	assert_int_equal(sl_store_topic_create(t.s, "a/b", 1, &l, &x), -EINVAL);
	assert_int_equal(sl_store_topic_create(t.s, "", 1, &l, &x), -EINVAL);
	assert_int_equal(sl_store_topic_create(t.s, NULL, 1, &l, &x), -EINVAL);
	assert_int_equal(sl_store_topic_create(t.s, "a", 0, &l, &x), -EINVAL);
	assert_int_equal(sl_store_topic_create(t.s, "a", SL_PARTITIONS_MAX + 1, &l, &x), -EINVAL);
	l.base.segment_bytes = 1;
	assert_int_equal(sl_store_topic_create(t.s, "a", 1, &l, &x), -EINVAL);
	l.base.segment_bytes = cfg.segment_bytes;
	l.own_set = 1u << 31; /* no such setting */
	assert_int_equal(sl_store_topic_create(t.s, "a", 1, &l, &x), -EINVAL);
	l.own_set = 0;
	assert_int_equal(sl_store_topic_create(t.s, "b", 3, &l, &x), 0);
	assert_int_equal(sl_store_topic_create(t.s, "b", 3, &l, &x), -EEXIST);
	assert_int_equal(sl_store_topic_create(t.s, "a", 1, NULL, NULL), 0);
	/* one that fails half way leaves nothing behind: no slot of the journal, no directory */
	char path[400];
	snprintf(path, sizeof(path), "%s/log/z-3", t.data);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/log/z-3/%020d.log", t.data, 0);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "somebody's data");
	fclose(f);
	uint32_t slots = t.s->tail.parts;
	for (int i = 0; i < 3; i++)
		assert_int_equal(sl_store_topic_create(t.s, "z", 5, &l, NULL), -EEXIST);
	assert_int_equal(t.s->tail.parts, slots + 3); /* made once, and free again each time */
	assert_int_equal(t.s->free_slot_cnt, 3);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/log/z-3", t.data);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/log/z-0", t.data);
	assert_int_equal(access(path, F_OK), -1);
	assert_null(sl_store_topic_find(t.s, "c", 1));
	assert_null(sl_store_topic_find(t.s, "bb", 2));
	assert_ptr_equal(sl_store_topic_find(t.s, "bb", 1), x);
	assert_null(sl_topic_part(x, 3));
	assert_null(sl_topic_part(x, -1));
	cfg.retention_ms = 12345;
	cfg.compression = SL_CODEC_LZ4;
	cfg.ts_type = SL_TS_LOG_APPEND_TIME;
	tu_cfg_set(&t, x, &cfg);
	uint8_t id[16];
	memcpy(id, sl_topic_id(x), 16);
	tu_close(&t, true);
	tu_open(&t);
	x = sl_store_topic_find(t.s, "b", 1);
	assert_non_null(x);
	assert_memory_equal(sl_topic_id(x), id, 16);
	assert_int_equal(sl_topic_partitions(x), 3);
	sl_topic_cfg_get(x, &got);
	assert_true(sl_topic_cfg_equal(&got, &cfg));
	got.retention_ms++;
	assert_false(sl_topic_cfg_equal(&got, &cfg));
	tu_close(&t, true);
	/* without its file the directories tell; settings are gone */
	snprintf(path, sizeof(path), "%s/state/topics", t.data);
	assert_int_equal(unlink(path), 0);
	tu_open(&t);
	x = sl_store_topic_find(t.s, "b", 1);
	assert_non_null(x);
	assert_memory_equal(sl_topic_id(x), id, 16);
	assert_int_equal(sl_topic_partitions(x), 3);
	tu_fini(&t);
}

static void producer_ids_never_repeat(void **state)
{
	struct tu t;
	int64_t pid, last = -1;
	(void)state;

	tu_init(&t, NULL, NULL);
	for (int run = 0; run < 3; run++) {
		tu_open(&t);
		for (int i = 0; i < 1100; i++) {
			assert_int_equal(sl_store_producer_id(t.s, &pid), 0);
			assert_true(pid > last);
			last = pid;
		}
		tu_close(&t, false);
	}
	tu_fini(&t);
}

static void counts_and_refusals(void **state)
{
	struct tu t;
	struct sl_counters *c;
	static uint8_t buf[TU_BATCH_CAP];
	(void)state;

	tu_init(&t, NULL, NULL);
	assert_int_equal(sl_counters_anon(&c), 0);
	t.cfg.counters = c;
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "c", 1, NULL);
	tu_append(&t, p, 7, 100, 1, SL_ACK_LOGGED);
	struct sl_append a = {.part = p,
			      .batch = buf,
			      .records = 1,
			      .producer_id = -1,
			      .origin = SL_ORIGIN_KAFKA};
	a.len = tu_batch(buf, 1, 1100000, 1, t.now_ms);
	assert_int_equal(sl_store_append(t.w, &a), -EMSGSIZE);
	assert_int_equal(a.err, -EMSGSIZE);
	assert_int_equal(c->writer[0].appended[SL_ORIGIN_INGEST], 7);
	assert_int_equal(c->writer[0].failed[SL_ORIGIN_KAFKA][SL_APPEND_TOO_LARGE], 1);
	assert_int_equal(c->writer[0].intent_seq % 2, 0);
	atomic_store(&p->pub.state, SL_PART_FAILED);
	assert_int_equal(sl_store_append(t.w, &a), -EIO);
	assert_int_equal(c->writer[0].failed[SL_ORIGIN_KAFKA][SL_APPEND_IO_ERROR], 1);
	atomic_store(&p->pub.state, SL_PART_DELETED);
	assert_int_equal(sl_store_append(t.w, &a), -ENOENT);
	assert_int_equal(c->writer[0].failed[SL_ORIGIN_KAFKA][SL_APPEND_DELETED], 1);
	atomic_store(&p->pub.state, SL_PART_OK);
	tu_close(&t, true);
	/* an append that was published, but not counted, when the process died; and one that was
	 * not */
	struct sl_ctr_writer *w = &c->writer[0];
	uint32_t id;
	tu_open(&t);
	memcpy(&id, sl_topic_id(sl_store_topic_find(t.s, "c", 1)), 4);
	tu_close(&t, false);
	w->intent_seq = 5;
	w->intent_part = id;
	w->intent_origin = SL_ORIGIN_INGEST;
	w->intent_prev = 3;
	w->intent_prev_bytes = 100;
	w->intent_records = 4;
	w->intent_bytes = 50;
	w->intent_end = 7;
	tu_open(&t);
	assert_int_equal(w->intent_seq, 6);
	assert_int_equal(w->appended[SL_ORIGIN_INGEST], 7);
	assert_int_equal(w->appended_bytes[SL_ORIGIN_INGEST], 150);
	tu_close(&t, false);
	w->intent_seq = 7;
	w->intent_end = 8;
	w->intent_prev = 7;
	tu_open(&t);
	assert_int_equal(w->appended[SL_ORIGIN_INGEST], 7);
	tu_fini(&t);
	sl_counters_close(c);
}

static void wakers_ring(void **state)
{
	struct tu t;
	struct sl_waker k[SL_STORE_WAKERS_MAX + 1];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "w", 1, NULL);
	memset(k, 0, sizeof(k));
	for (int i = 0; i < SL_STORE_WAKERS_MAX; i++) {
		k[i].efd = eventfd(0, EFD_NONBLOCK);
		assert_int_equal(sl_store_waker_add(t.s, &k[i]), 0);
	}
	assert_int_equal(sl_store_waker_add(t.s, &k[SL_STORE_WAKERS_MAX]), -ENOSPC);
	sl_waker_arm(&k[3]);
	tu_append(&t, p, 1, 10, 0, SL_ACK_LOGGED);
	assert_int_equal(sl_store_deadline(t.w), 0); /* it must poll before it sleeps */
	sl_store_poll(t.w, sl_clock_mono_ns());
	uint64_t v;
	assert_int_equal(read(k[3].efd, &v, 8), 8);
	assert_int_equal(v, 1);
	assert_int_equal(read(k[2].efd, &v, 8), -1); /* not armed */
	for (int i = 0; i < SL_STORE_WAKERS_MAX; i++) {
		sl_store_waker_del(t.s, &k[i]);
		close(k[i].efd);
	}
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(second_open_is_refused),
		cmocka_unit_test(newer_format_is_refused),
		cmocka_unit_test(another_gateways_log_is_refused),
		cmocka_unit_test(topics),
		cmocka_unit_test(producer_ids_never_repeat),
		cmocka_unit_test(counts_and_refusals),
		cmocka_unit_test(wakers_ring),
	};
	int bad = cmocka_run_group_tests_name("store", tests, NULL, NULL);

	for (size_t i = 0; i < SL_ARRAY_SIZE(ios); i++) {
		if (!sl_io_pick(ios[i])) {
			print_message("skipped part: %s is not usable here\n", ios[i]);
			continue;
		}
		void *io = (void *)(uintptr_t)ios[i];
		const struct CMUnitTest each[] = {
			cmocka_unit_test_prestate(round_trip, io),
			cmocka_unit_test_prestate(rolls_and_sizes, io),
			cmocka_unit_test_prestate(limits_of_reading, io),
		};
		bad += cmocka_run_group_tests_name(ios[i], each, NULL, NULL);
	}
	return bad;
}
