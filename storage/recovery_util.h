/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery_util.h - for the recovery tests: a store with the topic x, batches of RECS records, and
 * ends of all kinds. A crash is a close that leaves everything as it is; a power cut also takes
 * the stripe file away.
 */
#ifndef SL_STORAGE_RECOVERY_UTIL_H
#define SL_STORAGE_RECOVERY_UTIL_H

#include "test_util.h"

#define BYTES 500u
#define RECS  4u

static inline void power_cut(struct tu *t)
{
	tu_close(t, false);
	tu_rmtree(t->shm);
	assert_int_equal(mkdir(t->shm, 0700), 0);
}

static inline struct sl_part *start(struct tu *t)
{
	tu_init(t, NULL, NULL);
	t->cfg.flush_interval_ms = 3600000; /* nothing is synced unless asked for */
	tu_open(t);
	return tu_topic(t, "x", 1, NULL);
}

static inline struct sl_part *again(struct tu *t)
{
	tu_open(t);
	return tu_topic(t, "x", 1, NULL);
}

static inline void append_n(struct tu *t, struct sl_part *p, uint64_t from, uint64_t n,
			    enum sl_ack ack)
{
	for (uint64_t i = from; i < from + n; i++)
		tu_append(t, p, RECS, BYTES, i, ack);
}

/* One more round: the one before it is proven by that. */
static inline void next_round(struct tu *t, struct sl_part *p, uint64_t tag)
{
	append_n(t, p, tag, 1, SL_ACK_SYNCED);
	tu_sync(t, p);
}

static inline int log_file(struct tu *t, int64_t base)
{
	char path[500];

	snprintf(path, sizeof(path), "%s/log/x-0/%020" PRId64 ".log", t->data, base);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

/* Where the batch with that base offset lies in the file of the first segment. */
static inline uint64_t place_of(struct tu *t, int64_t offset)
{
	uint8_t h[SL_BATCH_HDR];
	uint64_t pos = 0;
	int fd = log_file(t, 0);

	for (;;) {
		assert_int_equal(pread(fd, h, sizeof(h), (off_t)pos), sizeof(h));
		assert_int_equal(sl_batch_magic(h), SL_BATCH_MAGIC);
		if (sl_batch_base_offset(h) == offset)
			break;
		pos += sl_batch_total(h);
	}
	close(fd);
	return pos;
}

#endif
