/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention_test.c - rolling, retention by time and size, the byte budget, recycled files.
 *
 * Renames and syncs go through wrappers of ours (see meson.build), which look at the way of a
 * recycled file: who has to be synced before its blocks are used again.
 */
#include <sys/syscall.h>

#include "checkpoint.h"
#include "test_util.h"

/* ---- what a power cut could undo ------------------------------------------------------------ */

enum { LOG_DIR = 1, STOCK_DIR = 2, SPARE_DIR = 4 }; /* directories whose last rename may be lost */

static struct {
	pthread_mutex_t lock;
	unsigned unsynced; /* of the directories now */
	char taken[64];    /* a recycled file's name among the spares */
	unsigned owed;     /* directories to be synced before it gets its name in a log */
	unsigned taken_cnt, early;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool dir_is(int fd, const char *end)
{
	char link[64], path[600];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[SL_MAX(n, (ssize_t)0)] = '\0';
	size_t have = strlen(path), want = strlen(end);
	return have >= want && strcmp(path + have - want, end) == 0;
}

int __wrap_renameat(int oldfd, const char *from, int newfd, const char *to);
int __wrap_fsync(int fd);

int __wrap_renameat(int oldfd, const char *from, int newfd, const char *to)
{
	pthread_mutex_lock(&disk.lock);
	if (dir_is(newfd, "state/recycled")) {
		disk.unsynced |= LOG_DIR | STOCK_DIR;
	} else if (dir_is(oldfd, "state/recycled")) {
		disk.unsynced |= STOCK_DIR | SPARE_DIR;
		disk.owed = disk.unsynced;
		snprintf(disk.taken, sizeof(disk.taken), "%s", to);
		disk.taken_cnt++;
	} else if (dir_is(oldfd, "state/spare") && strcmp(from, disk.taken) == 0) {
		disk.early += disk.owed != 0;
	}
	int rc = (int)syscall(SYS_renameat, oldfd, from, newfd, to);
	pthread_mutex_unlock(&disk.lock);
	return rc;
}

int __wrap_fsync(int fd)
{
	int rc = (int)syscall(SYS_fsync, fd);
	unsigned done = dir_is(fd, "log/r-0")          ? LOG_DIR
			: dir_is(fd, "state/recycled") ? STOCK_DIR
			: dir_is(fd, "state/spare")    ? SPARE_DIR
						       : 0;

	pthread_mutex_lock(&disk.lock);
	disk.unsynced &= ~done;
	disk.owed &= ~done;
	pthread_mutex_unlock(&disk.lock);
	return rc;
}

/* ---- rolling and retention ------------------------------------------------------------------ */

#define DAY (24ll * 3600 * 1000)

static struct sl_part *start(struct tu *t, int64_t retention_ms, int64_t retention_bytes)
{
	struct sl_topic_cfg cfg;

	tu_open(t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	cfg.retention_ms = retention_ms;
	cfg.retention_bytes = retention_bytes;
	return tu_topic(t, "r", 1, &cfg);
}

#define UNTIL(t, cond)                                                                             \
	for (int until_ = 0; !(cond); until_++) {                                                  \
		if (until_ > 10000)                                                                \
			fail_msg("never: %s", #cond);                                              \
		tu_pump(t);                                                                        \
	}

static uint32_t segments(struct sl_part *p)
{
	pthread_mutex_lock(&p->lock);
	uint32_t n = p->seg_cnt;
	pthread_mutex_unlock(&p->lock);
	return n;
}

static void by_bytes(void **state)
{
	struct tu t;
	struct sl_store_stats st;
	(void)state;

	tu_init(&t, NULL, NULL);
	struct sl_part *p = start(&t, -1, 2 << 20);
	for (uint64_t i = 0; i < 70; i++)
		tu_append(&t, p, 1, 100000, i, SL_ACK_LOGGED);
	UNTIL(&t, sl_part_start(p) >= 40);
	int64_t at = sl_part_start(p);
	/* it never goes below the limit */
	assert_true((70 - at) * 100000 >= 2 << 20);
	uint8_t *b;
	int rc;
	assert_int_equal(tu_read(p, at - 1, true, &b, &rc), 0);
	assert_int_equal(rc, -ERANGE);
	tu_check(p, at, 70, 1, 100000, (uint64_t)at, t.now_ms);
	sl_store_stats(t.s, &st);
	assert_true(st.expired_segments >= 4);
	assert_int_equal(st.evicted_segments, 0);
	tu_close(&t, true);
	tu_open(&t);
	p = tu_topic(&t, "r", 1, NULL);
	assert_int_equal(sl_part_start(p), at);
	tu_check(p, at, 70, 1, 100000, (uint64_t)at, t.now_ms);
	tu_fini(&t);
}

/* The active segment goes too: what is left is an empty log that goes on at the same offset. */
static void by_time(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	struct sl_part *p = start(&t, DAY, -1);
	for (uint64_t i = 0; i < 25; i++)
		tu_append(&t, p, 1, 100000, i, SL_ACK_SYNCED);
	tu_sync(&t, p);
	t.now_ms += DAY - 1000;
	for (int i = 0; i < 100; i++)
		tu_pump(&t);
	assert_int_equal(sl_part_start(p), 0);
	t.now_ms += 2000;
	UNTIL(&t, sl_part_start(p) == 25);
	assert_int_equal(sl_part_end(p), 25);
	UNTIL(&t, segments(p) == 1);
	assert_int_equal(tu_append(&t, p, 1, 1000, 25, SL_ACK_LOGGED), 25);
	tu_check(p, 25, 26, 1, 1000, 25, t.now_ms);
	tu_close(&t, false);
	tu_open(&t);
	p = tu_topic(&t, "r", 1, NULL);
	assert_int_equal(sl_part_start(p), 25);
	assert_int_equal(sl_part_end(p), 26);
	tu_check(p, 25, 26, 1, 1000, 25, t.now_ms);
	tu_fini(&t);
}

/* A device's clock that is years ahead neither pins a segment nor rolls one for each record. */
static void by_a_fast_clock(void **state)
{
	struct tu t;
	static uint8_t buf[TU_BATCH_CAP];
	(void)state;

	tu_init(&t, NULL, NULL);
	struct sl_part *p = start(&t, DAY, -1);
	for (int i = 0; i < 10; i++) {
		struct sl_append a = {.part = p,
				      .batch = buf,
				      .records = 1,
				      .producer_id = -1,
				      .ack = SL_ACK_SYNCED};
		a.len = tu_batch(buf, 1, 100, 1, i % 2 ? t.now_ms : t.now_ms + 3650 * DAY);
		assert_int_equal(tu_append_raw(&t, &a), 0);
		tu_batch(buf, 1, 100, 1, 1000); /* 1970 */
		assert_int_equal(tu_append_raw(&t, &a), 0);
	}
	tu_sync(&t, p);
	assert_int_equal(segments(p), 1);
	t.now_ms += DAY + 60000;
	UNTIL(&t, sl_part_start(p) == 20);
	tu_fini(&t);
}

static void rolls_by_time(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	(void)state;

	tu_init(&t, NULL, NULL);
	struct sl_part *p = start(&t, -1, -1);
	sl_topic_cfg_get(p->pub.topic, &cfg);
	cfg.segment_ms = 3600000;
	tu_cfg_set(&t, p->pub.topic, &cfg);
	tu_append(&t, p, 1, 100, 0, SL_ACK_LOGGED);
	t.now_ms += 3600000;
	tu_append(&t, p, 1, 100, 1, SL_ACK_LOGGED);
	assert_int_equal(atomic_load(&p->active)->base, 0); /* not more than segment.ms yet */
	t.now_ms += 1;
	tu_append(&t, p, 1, 100, 2, SL_ACK_SYNCED);
	assert_int_equal(atomic_load(&p->active)->base, 2);
	tu_sync(&t, p);
	UNTIL(&t, segments(p) == 2);
	tu_fini(&t);
}

/* Far more than the budget goes through; files are used again, and nothing old shows. */
static void by_the_budget(void **state)
{
	struct tu t;
	struct sl_store_stats st;
	bool recycled = false;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.budget_bytes = 24 << 20;
	struct sl_part *p = start(&t, -1, -1);
	for (uint64_t i = 0; i < 1000; i++) {
		tu_append(&t, p, 1, 100000, i, i % 10 ? SL_ACK_LOGGED : SL_ACK_SYNCED);
		recycled = recycled || !atomic_load(&p->active)->fresh;
		sl_store_poll(t.w, sl_clock_mono_ns());
	}
	assert_true(recycled);
	pthread_mutex_lock(&disk.lock);
	assert_true(disk.taken_cnt > 0);
	assert_int_equal(disk.early, 0); /* no file is written to that a power cut brings back */
	pthread_mutex_unlock(&disk.lock);
	sl_store_stats(t.s, &st);
	assert_true(st.evicted_segments > 50);
	assert_true(st.evicted_records <= (uint64_t)sl_part_start(p));
	assert_true(st.log_bytes <= t.cfg.budget_bytes);
	assert_false(st.disk_full);
	for (int64_t off = sl_part_start(p); off < 1000; off++) {
		uint8_t *b;
		int rc;
		uint32_t len = tu_read(p, off, true, &b, &rc);
		if (len) {
			tu_same(b, len, off, 1, 100000, (uint64_t)off, t.now_ms);
			continue;
		}
		assert_int_equal(rc, -ERANGE); /* evicted while we look */
		assert_true(off < sl_part_start(p));
	}
	tu_append(&t, p, 1, 100000, 1000, SL_ACK_SYNCED);
	tu_sync(&t, p);
	/* a power cut in a recycled file: nothing but what is known to be ours */
	int64_t from = sl_part_start(p);
	tu_close(&t, false);
	tu_rmtree(t.shm);
	assert_int_equal(mkdir(t.shm, 0700), 0);
	tu_open(&t);
	p = tu_topic(&t, "r", 1, NULL);
	assert_int_equal(t.rec.lost_records, 0);
	assert_int_equal(sl_part_end(p), 1001);
	assert_true(sl_part_start(p) >= from);
	tu_check(p, sl_part_start(p), 1001, 1, 100000, (uint64_t)sl_part_start(p), t.now_ms);
	tu_fini(&t);
}

/* A reader that holds a segment reads on while it is deleted, and its file is not filled anew. */
static void a_held_segment_stays(void **state)
{
	struct tu t;
	int64_t next;
	uint8_t before[4096], after[4096];
	(void)state;

	tu_init(&t, NULL, NULL);
	struct sl_part *p = start(&t, -1, 1 << 20);
	for (uint64_t i = 0; i < 15; i++)
		tu_append(&t, p, 1, 100000, i, SL_ACK_SYNCED);
	tu_sync(&t, p);
	struct sl_seg *g = sl_part_seg_get(p, 0, &next);
	assert_non_null(g);
	assert_true(next > 0);
	int fd = sl_seg_read_fd(p, g);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, before, sizeof(before), 0), sizeof(before));
	for (uint64_t i = 15; i < 100; i++)
		tu_append(&t, p, 1, 100000, i, SL_ACK_SYNCED);
	UNTIL(&t, sl_part_start(p) > 50);
	assert_int_equal(pread(fd, after, sizeof(after), 0), sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
	close(fd);
	sl_part_seg_put(p, g);
	tu_fini(&t);
}

/* Disk space of all segments, spares and kept files. */
static int64_t space(struct tu *t)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < t->s->topic_cnt; i++) {
		for (uint32_t k = 0; k < t->s->topic[i]->part_cnt; k++) {
			struct sl_part *p = t->s->topic[i]->part[k];
			struct sl_seg *spare = atomic_load(&p->spare);
			for (uint32_t g = 0; g < p->seg_cnt; g++)
				sum += atomic_load(&p->segs[g]->alloc);
			sum += spare ? atomic_load(&spare->alloc) : 0;
		}
	}
	for (unsigned i = 0; i < t->s->hk.stock_cnt; i++)
		sum += (int64_t)t->s->hk.stock[i].bytes;
	return sum;
}

static unsigned kept(struct tu *t)
{
	char path[400];
	unsigned n = 0;

	snprintf(path, sizeof(path), "%s/state/recycled", t->data);
	DIR *d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static struct sl_io_ops picky;
static _Atomic int refuse; /* to open so many spares */

static int picky_open(int dirfd, const char *path, bool create, bool *direct)
{
	if (dir_is(dirfd, "state/spare") && atomic_fetch_sub(&refuse, 1) > 0)
		return -EMFILE;
	return sl_io_file_open(dirfd, path, create, direct);
}

/* A quiet partition that is handed a busy one's file gives back what it would not use for long. */
static void a_quiet_one_takes_little(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	picky = *t.s->io;
	picky.open = picky_open;
	t.s->io = &picky;
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	cfg.segment_ms = 3600000;
	struct sl_part *quiet = tu_topic(&t, "quiet", 1, &cfg);
	for (uint64_t i = 0; i < 10; i++) /* offsets beyond what the busy one reaches */
		tu_append(&t, quiet, 100, 10, i, SL_ACK_SYNCED);
	UNTIL(&t, atomic_load(&quiet->spare));
	cfg.segment_bytes = 8 << 20;
	cfg.retention_bytes = 1 << 20;
	struct sl_part *busy = tu_topic(&t, "busy", 1, &cfg);
	for (uint64_t i = 0; i < 450; i++)
		tu_append(&t, busy, 1, 100000, i, SL_ACK_SYNCED);
	tu_sync(&t, busy);
	UNTIL(&t, sl_part_start(busy) >= 249 && kept(&t) > 1);
	atomic_store(&refuse, 1); /* a file that is lost that way is not counted on */
	t.now_ms += 3600001;      /* it rolls, and is given a new spare */
	tu_append(&t, quiet, 1, 10, 10, SL_ACK_SYNCED);
	UNTIL(&t, atomic_load(&quiet->spare));
	const struct sl_seg *g = atomic_load(&quiet->spare);
	assert_true(atomic_load(&refuse) < 0);
	assert_false(g->fresh);
	assert_true(atomic_load(&g->alloc) >= SL_EXTENT_MIN / 8);
	assert_true(atomic_load(&g->alloc) <= 4 * SL_EXTENT_MIN);
	tu_sync(&t, quiet);
	sl_store_writer_detach(t.w);
	sl_hk_stop(t.s); /* all is still */
	assert_int_equal(atomic_load(&t.s->log_bytes), space(&t));
	sl_store_close(t.s, false);
	t.s = NULL;
	tu_fini(&t);
}

/* At a high rate checkpoints do not wait for their time: a start would have much to look at. */
static void checkpoints_by_bytes(void **state)
{
	struct tu t;
	struct sl_cp cp;
	int64_t at = 0;
	(void)state;

	tu_init(&t, NULL, NULL);
	struct sl_part *p = start(&t, -1, -1);
	uint64_t from = sl_clock_mono_ns();
	atomic_store(&t.s->hk.finished_max, 3 << 20);
	for (uint64_t i = 0; i < 70; i++)
		tu_append(&t, p, 1, 100000, i, SL_ACK_SYNCED);
	tu_sync(&t, p);
	for (int i = 0; at < 30; i++) {
		if (i > 2000)
			fail_msg("the checkpoint says %" PRId64, at);
		tu_pump(&t);
		if (sl_cp_load(t.s->dir.log_fd, SL_CP_RECOVERY, &cp) == 0) {
			at = sl_cp_find(&cp, "r", 0);
			sl_cp_fini(&cp);
		}
	}
	if (sl_clock_mono_ns() - from > 4000000000ull)
		print_message("too slow here to tell these checkpoints from the timed ones\n");
	tu_fini(&t);
}

static void offsets_by_time(void **state)
{
	struct tu t;
	int64_t off, ts, from;
	(void)state;

	tu_init(&t, NULL, NULL);
	from = t.now_ms;
	struct sl_part *p = start(&t, -1, -1);
	assert_int_equal(sl_store_offset_for_ts(p, 0, &off, &ts), 0);
	assert_int_equal(off, -1);
	assert_int_equal(sl_store_max_ts(p, &off, &ts), 0);
	assert_int_equal(off, -1);
	for (uint64_t i = 0; i < 400; i++) {
		t.now_ms = from + (int64_t)i * 10;
		tu_append(&t, p, 2, 10000, i, SL_ACK_LOGGED);
	}
	for (int run = 0; run < 2; run++) {
		for (int i = 0; i < 400; i += 13) {
			assert_int_equal(sl_store_offset_for_ts(p, from + i * 10, &off, &ts), 0);
			assert_int_equal(off, 2 * i);
			assert_int_equal(ts, from + i * 10);
			assert_int_equal(sl_store_offset_for_ts(p, from + i * 10 - 5, &off, &ts),
					 0);
			assert_int_equal(off, 2 * i);
		}
		assert_int_equal(sl_store_offset_for_ts(p, from + 4000, &off, &ts), 0);
		assert_int_equal(off, -1);
		assert_int_equal(sl_store_max_ts(p, &off, &ts), 0);
		assert_int_equal(off, 798);
		assert_int_equal(ts, from + 3990);
		if (run == 0) {
			tu_close(&t, true);
			tu_open(&t);
			p = tu_topic(&t, "r", 1, NULL);
		}
	}
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_bytes),
		cmocka_unit_test(by_time),
		cmocka_unit_test(by_a_fast_clock),
		cmocka_unit_test(rolls_by_time),
		cmocka_unit_test(by_the_budget),
		cmocka_unit_test(a_held_segment_stays),
		cmocka_unit_test(a_quiet_one_takes_little),
		cmocka_unit_test(checkpoints_by_bytes),
		cmocka_unit_test(offsets_by_time),
	};

	return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
