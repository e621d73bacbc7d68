/* SPDX-License-Identifier: Apache-2.0 */
#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/record/crc32c.h"
#include "sluice/store.h"

#define TMP_NAME SL_TAIL_FILE ".new"

static uint32_t slot_crc(const struct sl_tail_slot *s, const uint8_t *bytes)
{
	struct sl_tail_slot h = *s;

	h.crc = 0;
	return sl_crc32c_more(sl_crc32c(&h, sizeof(h)), bytes, h.len);
}

uint32_t sl_tail_fill(const struct sl_tail_mark *m, uint8_t *buf)
{
	struct sl_tail_slot s = {
		.magic = SL_TAIL_MAGIC,
		.version = SL_TAIL_VERSION,
		.flags = m->fresh ? SL_TAIL_FRESH : 0,
		.part = m->part,
		.len = (uint32_t)(m->end_pos % SL_IO_BLOCK),
		.seg_base = m->seg_base,
		.block_pos = SL_ALIGN_DOWN(m->end_pos, SL_IO_BLOCK),
		.synced = m->synced,
		.seq = m->seq,
	};
	uint32_t total = (uint32_t)SL_ALIGN_UP(sizeof(s) + s.len, SL_IO_BLOCK);

	memcpy(s.topic_id, m->topic_id, 16);
	s.crc = slot_crc(&s, m->bytes);
	memcpy(buf, &s, sizeof(s));
	if (s.len)
		memcpy(buf + sizeof(s), m->bytes, s.len);
	memset(buf + sizeof(s) + s.len, 0, total - sizeof(s) - s.len);
	return total;
}

bool sl_tail_parse(const uint8_t *buf, struct sl_tail_mark *m)
{
	struct sl_tail_slot s;

	memcpy(&s, buf, sizeof(s));
	if (s.magic != SL_TAIL_MAGIC || s.version != SL_TAIL_VERSION || s.len >= SL_IO_BLOCK ||
	    s.crc != slot_crc(&s, buf + sizeof(s)))
		return false;
	if (s.part < 0 || s.part >= SL_PARTITIONS_MAX || s.seg_base < 0 || s.synced < s.seg_base ||
	    s.block_pos % SL_IO_BLOCK || s.block_pos >= 1ull << 31)
		return false;
	memcpy(m->topic_id, s.topic_id, 16);
	m->part = s.part;
	m->fresh = s.flags & SL_TAIL_FRESH;
	m->seg_base = s.seg_base;
	m->end_pos = s.block_pos + s.len;
	m->synced = s.synced;
	m->seq = s.seq;
	m->bytes = buf + sizeof(s);
	return true;
}

int sl_tail_each(int state_fd, int (*fn)(const struct sl_tail_mark *m, void *arg), void *arg)
{
	uint8_t buf[SL_TAIL_SLOT];
	int fd = openat(state_fd, SL_TAIL_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	for (uint64_t i = 0; !err && i < 2ull * SL_STORE_PARTS_MAX; i++) {
		struct sl_tail_mark m;
		int64_t n = sl_io_pread_all(fd, buf, sizeof(buf), i * SL_TAIL_SLOT);
		if (n < 0 && n != -EIO) /* an unreadable slot counts as torn */
			err = (int)n;
		if (n >= 0 && n < (int64_t)sizeof(buf))
			break;
		if (n == sizeof(buf) && sl_tail_parse(buf, &m))
			err = fn(&m, arg);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int sl_tail_make(struct sl_tail *t, int state_fd, bool direct, const struct sl_io_ops *io)
{
	t->parts = 0;
	t->direct = direct;
	unlinkat(state_fd, TMP_NAME, 0);
	t->fd = io->open(state_fd, TMP_NAME, true, &t->direct);
	return t->fd < 0 ? t->fd : 0;
}

/* Both slots are written in full, so that later writes need no space. */
int sl_tail_put(struct sl_tail *t, const struct sl_tail_mark *m, uint32_t slot)
{
	struct sl_tail_mark first = *m;
	uint8_t *buf = aligned_alloc(SL_IO_BLOCK, 2 * SL_TAIL_SLOT);

	if (!buf)
		return -ENOMEM;
	memset(buf, 0, 2 * SL_TAIL_SLOT);
	first.seq = 0;
	sl_tail_fill(&first, buf);
	int err = sl_io_pwrite_all(t->fd, buf, 2 * SL_TAIL_SLOT, sl_tail_off(slot, 0));
	free(buf);
	return err;
}

int sl_tail_add(struct sl_tail *t, const struct sl_tail_mark *m, uint32_t *ret_slot)
{
	if (t->parts == SL_STORE_PARTS_MAX)
		return -EMFILE;
	int err = sl_tail_put(t, m, t->parts);
	if (!err)
		*ret_slot = t->parts++;
	return err;
}

int sl_tail_sync(struct sl_tail *t)
{
	return fsync(t->fd) ? -errno : 0;
}

int sl_tail_publish(struct sl_tail *t, int state_fd)
{
	(void)t;
	if (renameat(state_fd, TMP_NAME, state_fd, SL_TAIL_FILE))
		return -errno;
	return fsync(state_fd) ? -errno : 0;
}

void sl_tail_fini(struct sl_tail *t)
{
	if (t->fd > 0)
		close(t->fd);
	t->fd = -1;
}
