/* SPDX-License-Identifier: Apache-2.0 */
/*
 * full_test.c - a small file system that fills up under load and gets space again, three times.
 * Needs root (a loop mount in a mount namespace of its own); exits 77 with a reason otherwise.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "test_util.h"

#define FS_MIB      96
#define BALLAST_MIB 40

static char mnt[96];

static void ballast(const char *dir, bool there)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/ballast", dir);
	if (!there) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	for (int mib = BALLAST_MIB; mib > 0 && posix_fallocate(fd, 0, (off_t)mib << 20); mib--)
		;
	close(fd);
}

/* Appends until it is refused; true if it was, by name. */
static bool fill(struct tu *t, struct sl_part *p, uint64_t *n)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_append a = {
		.part = p, .batch = buf, .records = 1, .producer_id = -1, .ack = SL_ACK_SYNCED};

	for (int i = 0; i < 3000; i++) {
		a.len = tu_batch(buf, 1, 50000, *n, t->now_ms);
		int rc = tu_append_raw(t, &a);
		if (rc == -ENOSPC)
			return true;
		if (rc)
			fail_msg("append: %s", strerror(-rc));
		++*n;
	}
	return false;
}

static void full_and_free_again(void **state)
{
	struct tu t;
	struct sl_counters *c;
	struct sl_store_stats st;
	struct sl_topic_cfg cfg;
	uint64_t n = 0;

	tu_init(&t, mnt, *state);
	char shm[64];
	tu_mkdir(shm, sizeof(shm), "/dev/shm", "slt-full-");
	t.cfg.stripe_dir = shm;
	t.cfg.retention_check_ms = 100;
	assert_int_equal(sl_counters_anon(&c), 0);
	t.cfg.counters = c;
	tu_open(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 2 << 20;
	struct sl_part *p = tu_topic(&t, "full", 1, &cfg);
	for (int cycle = 0; cycle < 3; cycle++) {
		ballast(mnt, true);
		if (!fill(&t, p, &n))
			fail_msg("the disk never filled");
		assert_int_equal(sl_part_state(p), SL_PART_DISK_FULL);
		sl_store_stats(t.s, &st);
		assert_true(st.disk_full);
		assert_int_equal(c->writer[0].failed[SL_ORIGIN_INGEST][SL_APPEND_DISK_FULL],
				 cycle + 1);
		assert_int_equal(sl_part_end(p), n);
		tu_sync(&t, p);   /* what was logged has its space */
		if (cycle == 1) { /* a crash on a full disk */
			tu_close(&t, false);
			tu_open(&t);
			p = tu_topic(&t, "full", 1, &cfg);
			assert_int_equal(sl_part_end(p), n);
		}
		ballast(mnt, false);
		uint64_t until = sl_clock_mono_ns() + 5000000000ull;
		while (sl_part_state(p) != SL_PART_OK && sl_clock_mono_ns() < until)
			tu_pump(&t);
		assert_int_equal(sl_part_state(p), SL_PART_OK);
		for (int i = 0; i < 20; i++)
			tu_append(&t, p, 1, 50000, n++, SL_ACK_SYNCED);
		tu_sync(&t, p);
		tu_check(p, sl_part_start(p), (int64_t)n, 1, 50000, (uint64_t)sl_part_start(p),
			 t.now_ms);
		/* room for the next cycle */
		cfg.retention_bytes = 4 << 20;
		tu_cfg_set(&t, p->pub.topic, &cfg);
		for (int i = 0; sl_part_start(p) < (int64_t)n - 150 && i < 10000; i++)
			tu_pump(&t);
		cfg.retention_bytes = -1;
		tu_cfg_set(&t, p->pub.topic, &cfg);
	}
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	p = tu_topic(&t, "full", 1, &cfg);
	assert_int_equal(sl_part_end(p), n);
	tu_fini(&t);
	sl_counters_close(c);
	tu_rmtree(shm);
}

/* The reserve is kept free of the log. */
static void the_reserve(void **state)
{
	struct tu t;
	struct statvfs fs;
	uint64_t n = 0;
	(void)state;

	tu_init(&t, mnt, NULL);
	char shm[64];
	tu_mkdir(shm, sizeof(shm), "/dev/shm", "slt-full-");
	t.cfg.stripe_dir = shm;
	t.cfg.reserve_bytes = 30 << 20;
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "full", 1, NULL);
	assert_true(fill(&t, p, &n));
	assert_int_equal(statvfs(mnt, &fs), 0);
	assert_true(fs.f_bavail * fs.f_frsize >= 29 << 20);
	/* and all of the rest was used, although the extents of a fast log are large */
	assert_true(fs.f_bavail * fs.f_frsize <= 31 << 20);
	tu_fini(&t);
	tu_rmtree(shm);
}

/* What retention frees is space at once, and not kept in the stock. */
static void retention_ends_it(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	uint64_t n = 0;
	(void)state;

	tu_init(&t, mnt, NULL);
	char shm[64];
	tu_mkdir(shm, sizeof(shm), "/dev/shm", "slt-full-");
	t.cfg.stripe_dir = shm;
	t.cfg.reserve_bytes = 20 << 20;
	tu_open(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 4 << 20;
	struct sl_part *p = tu_topic(&t, "full", 1, &cfg);
	assert_true(fill(&t, p, &n));
	tu_sync(&t, p);
	cfg.retention_bytes = (int64_t)n * 50000 - (14 << 20); /* fewer go than the stock takes */
	tu_cfg_set(&t, p->pub.topic, &cfg);
	for (int i = 0; sl_part_state(p) != SL_PART_OK; i++) {
		if (i > 10000)
			fail_msg("still full after %" PRIu64 " segments went",
				 atomic_load(&t.s->expired_segments));
		tu_pump(&t);
	}
	assert_true(sl_part_start(p) > 0);
	tu_append(&t, p, 1, 50000, n, SL_ACK_SYNCED);
	tu_sync(&t, p);
	tu_fini(&t);
	tu_rmtree(shm);
}

/* The mount lives in a namespace of this process and ends with it, however it ends. */
static const char *mount_small(char *img, size_t cap)
{
	char cmd[700];

	if (geteuid() != 0)
		return "not root";
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace";
	tu_sweep(".", "slt-full-");
	snprintf(img, cap, "./slt-full-%d.img", (int)getpid());
	snprintf(mnt, sizeof(mnt), "./slt-full-%d.mnt", (int)getpid());
	snprintf(cmd, sizeof(cmd),
		 "truncate -s %dM %s && mkfs.ext4 -q -m 0 %s && mkdir %s && mount -o loop %s %s",
		 FS_MIB, img, img, mnt, img, mnt);
	return system(cmd) ? "no loop mount of an ext4 image" : NULL;
}

int main(void)
{
	char img[64];
	const struct CMUnitTest tests[] = {
		{"full, io_uring", full_and_free_again, NULL, NULL, (void *)(uintptr_t) "io_uring"},
		{"full, posix", full_and_free_again, NULL, NULL, (void *)(uintptr_t) "posix"},
		cmocka_unit_test(the_reserve),
		cmocka_unit_test(retention_ends_it),
	};

	const char *why = mount_small(img, sizeof(img));
	if (why) {
		print_message("skipped: %s\n", why);
		unlink(img);
		rmdir(mnt);
		return 77;
	}
	int bad = cmocka_run_group_tests_name("full", tests, NULL, NULL);
	umount2(mnt, MNT_DETACH);
	rmdir(mnt);
	unlink(img);
	return bad;
}
