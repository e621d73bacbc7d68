/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_util.h - what the storage tests share: a directory of their own, batches with known
 * content, a writer that is pumped by hand. For tests only; everything asserts.
 */
#ifndef SL_STORAGE_TEST_UTIL_H
#define SL_STORAGE_TEST_UTIL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/record/check.h"
#include "platform/record/crc32c.h"
#include "platform/record/frame.h"
#include "store_int.h"

#define TU_ALL_SET   ((1u << 12) - 1)
#define TU_BATCH_CAP (SL_BATCH_MAX_BYTES + 4096)

struct tu {
	char dir[256], data[288], shm[288];
	struct sl_store_cfg cfg;
	struct sl_store *s;
	struct sl_store_recovery rec;
	struct sl_store_writer *w;
	_Atomic int64_t now_ms; /* read by the housekeeper */
	char err[256];
};

static int tu_rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void tu_rmtree(const char *path)
{
	nftw(path, tu_rm, 16, FTW_DEPTH | FTW_PHYS);
}

/*
 * Directories of tests bear the pid of their process. What a failed test leaves goes when its
 * process ends, and what a killed one leaves goes when the next test begins; SL_TEST_KEEP=1 keeps
 * the former to be looked at.
 */
#define TU_DIRS_MAX 64
static struct {
	char path[TU_DIRS_MAX][256];
	unsigned cnt;
	pid_t pid;
} tu_dirs;

static void tu_leave(void)
{
	for (unsigned i = 0; i < tu_dirs.cnt && tu_dirs.pid == getpid(); i++)
		if (!getenv("SL_TEST_KEEP"))
			tu_rmtree(tu_dirs.path[i]);
}

/* Below `base`, entries "<prefix><pid>..." whose process is gone. */
static inline void tu_sweep(const char *base, const char *prefix)
{
	DIR *d = opendir(base);
	struct dirent *e;
	char path[600];

	while (d && (e = readdir(d))) {
		char *end;
		if (strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		long pid = strtol(e->d_name + strlen(prefix), &end, 10);
		if (pid <= 0 || (*end != '-' && *end != '.') || kill((pid_t)pid, 0) == 0 ||
		    errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", base, e->d_name);
		tu_rmtree(path);
	}
	if (d)
		closedir(d);
}

/* Makes "<base>/<prefix><pid>-XXXXXX", which goes with this process at the latest. */
static inline void tu_mkdir(char *buf, size_t cap, const char *base, const char *prefix)
{
	SL_ASSERT(buf);
	tu_sweep(base, prefix);
	snprintf(buf, cap, "%s/%s%d-XXXXXX", base, prefix, (int)getpid());
	assert_non_null(mkdtemp(buf));
	if (tu_dirs.pid != getpid()) {
		tu_dirs.pid = getpid();
		tu_dirs.cnt = 0;
		atexit(tu_leave);
	}
	if (tu_dirs.cnt < TU_DIRS_MAX)
		snprintf(tu_dirs.path[tu_dirs.cnt++], sizeof(tu_dirs.path[0]), "%s", buf);
}

static int64_t tu_now(void *arg)
{
	return ((struct tu *)arg)->now_ms;
}

/* `base`: directory for the test's own; NULL: the working directory. */
static inline void tu_init(struct tu *t, const char *base, const char *io)
{
	memset(t, 0, sizeof(*t));
	tu_mkdir(t->dir, sizeof(t->dir), base ? base : ".", "slt-store-");
	snprintf(t->data, sizeof(t->data), "%s/data", t->dir);
	snprintf(t->shm, sizeof(t->shm), "%s/shm", t->dir);
	assert_int_equal(mkdir(t->shm, 0700), 0);
	t->now_ms = 1700000000000ll;
	t->cfg = (struct sl_store_cfg){
		.data = t->data,
		.stripe_dir = t->shm,
		.io = io,
		.writers = 1,
		.stripe_bytes = 16u << 20,
		.sync_interval_us = 1000,
		.flush_interval_ms = 50,
		.retention_check_ms = 20,
		.now_ms = tu_now,
		.now_arg = t,
	};
	sl_log_set_level(SL_LOG_ERROR);
}

static inline void tu_open(struct tu *t)
{
	int err = sl_store_open(&t->cfg, &t->s, &t->rec, t->err, sizeof(t->err));

	if (err)
		fail_msg("open: %s", t->err);
	assert_int_equal(sl_store_writer_attach(t->s, 0, &t->w), 0);
}

static inline void tu_close(struct tu *t, bool clean)
{
	if (clean)
		assert_int_equal(sl_store_writer_drain(t->w, sl_clock_mono_ns() + 20000000000ull),
				 0);
	sl_store_writer_detach(t->w);
	sl_store_close(t->s, clean);
	t->s = NULL;
	t->w = NULL;
}

static inline void tu_fini(struct tu *t)
{
	if (t->s)
		tu_close(t, false);
	tu_rmtree(t->dir);
}

static inline struct sl_part *tu_topic(struct tu *t, const char *name, uint32_t parts,
				       const struct sl_topic_cfg *cfg)
{
	struct sl_topic_layers l = {.own_set = cfg ? TU_ALL_SET : 0};
	struct sl_topic *topic = sl_store_topic_find(t->s, name, strlen(name));

	sl_topic_cfg_defaults(&l.base);
	if (cfg)
		l.own = *cfg;
	if (!topic)
		assert_int_equal(sl_store_topic_create(t->s, name, parts, &l, &topic), 0);
	struct sl_part *p = sl_topic_part(topic, 0);
	sl_topic_put(topic); /* the store's own reference is enough for a test */
	return p;
}

/* All settings are the topic's own, as they are now. */
static inline void tu_cfg_set(struct tu *t, struct sl_topic *topic, const struct sl_topic_cfg *cfg)
{
	assert_int_equal(sl_store_topic_own_set(t->s, topic, cfg, TU_ALL_SET), 0);
}

/* One poll, and a wait for the eventfd if nothing moved. */
static inline void tu_pump(struct tu *t)
{
	if (sl_store_poll(t->w, sl_clock_mono_ns()))
		return;
	struct pollfd pfd = {.fd = sl_store_writer_fd(t->w), .events = POLLIN};
	poll(&pfd, 1, 1);
}

/* A batch of `n` records whose values are `bytes` long and follow from `tag`. Returns its length.
 */
static inline uint32_t tu_batch(uint8_t *buf, uint32_t n, uint32_t bytes, uint64_t tag, int64_t ts)
{
	struct sl_bb b;
	uint8_t *val = malloc(bytes + 8);

	sl_bb_init(&b, buf, TU_BATCH_CAP);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < bytes; k++)
			val[k] = (uint8_t)(tag * 31 + i * 7 + k);
		if (bytes >= 8)
			memcpy(val, &tag, 8);
		struct sl_slice key = {NULL, 0}, v = {val, bytes};
		assert_true(sl_bb_add(&b, ts, key, v, NULL, 0));
	}
	free(val);
	return sl_bb_close(&b);
}

/* Appends, pumping while there is no room. Returns the result that is not -EAGAIN. */
static inline int tu_append_raw(struct tu *t, struct sl_append *a)
{
	int rc;

	for (int i = 0; (rc = sl_store_append(t->w, a)) == -EAGAIN; i++) {
		if (i > 20000)
			fail_msg("no room for 20 s");
		tu_pump(t);
	}
	return rc;
}

static inline int64_t tu_append(struct tu *t, struct sl_part *p, uint32_t n, uint32_t bytes,
				uint64_t tag, enum sl_ack ack)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_append a = {
		.part = p,
		.batch = buf,
		.records = n,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
		.origin = SL_ORIGIN_INGEST,
		.ack = (uint8_t)ack,
	};

	a.len = tu_batch(buf, n, bytes, tag, t->now_ms);
	a.max_ts_ms = t->now_ms;
	int rc = tu_append_raw(t, &a);
	if (rc)
		fail_msg("append: %s", strerror(-rc));
	return a.base_offset;
}

static inline void tu_sync(struct tu *t, struct sl_part *p)
{
	int64_t end = sl_part_end(p);

	for (int i = 0; sl_part_synced(p) < end; i++) {
		if (i > 20000 || sl_part_state(p) == SL_PART_FAILED)
			fail_msg("not synced");
		tu_pump(t);
	}
}

/* Reads the batch at `offset`; its bytes in a static buffer, length returned; 0: none. */
static inline uint32_t tu_read(struct sl_part *p, int64_t offset, bool disk, uint8_t **ret_b,
			       int *ret_rc)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_read rd = {
		.offset = offset,
		.max_bytes = 1,
		.at_least_one = true,
		.buf = buf,
		.cap = sizeof(buf),
		.max_offset = INT64_MAX,
	};
	int rc = disk ? sl_store_read(p, &rd) : sl_store_read_tail(p, &rd);

	*ret_b = buf;
	if (ret_rc)
		*ret_rc = rc;
	return rc ? 0 : rd.len;
}

/* Checks that what was read is tu_batch(), at that offset. */
static inline void tu_same(const uint8_t *b, uint32_t len, int64_t offset, uint32_t n,
			   uint32_t bytes, uint64_t tag, int64_t ts)
{
	static uint8_t want[TU_BATCH_CAP];

	assert_int_equal(len, tu_batch(want, n, bytes, tag, ts));
	assert_int_equal(sl_batch_base_offset(b), offset);
	if (memcmp(b + SL_BATCH_MAGIC_OFF, want + SL_BATCH_MAGIC_OFF, len - SL_BATCH_MAGIC_OFF))
		fail_msg("offset %" PRId64 ": other bytes", offset);
}

/* Checks that offsets from .. to hold batches of tu_batch() with rising tags from `tag`, each with
 * n records. */
static inline void tu_check(struct sl_part *p, int64_t from, int64_t to, uint32_t n, uint32_t bytes,
			    uint64_t tag, int64_t ts)
{
	for (int64_t off = from; off < to; off += n, tag++) {
		uint8_t *b;
		int rc;
		uint32_t len = tu_read(p, off, true, &b, &rc);
		if (len == 0)
			fail_msg("offset %" PRId64 ": %s", off, strerror(-rc));
		tu_same(b, len, off, n, bytes, tag, ts);
	}
}

#endif
