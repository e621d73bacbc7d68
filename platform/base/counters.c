/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counters_layout.h"

#define FILE_MAX_BYTES (64u << 20) /* of a file of another version */

/* ---- names ------------------------------------------------------------------------------- */

static const struct {
	enum sl_frame_group group;
	const char *name;
} frame_rows[SL_FRAME_ROW_CNT] = {
#define X(grp, id, str) [SL_FR_##id] = {SL_FG_##grp, str},
	SL_FRAME_ROWS(X)
#undef X
};

static const char *const note_rows[SL_NOTE_ROW_CNT] = {
#define X(id, str) [SL_NR_##id] = str,
	SL_NOTE_ROWS(X)
#undef X
};

static const char *const bridge_rows[SL_BRIDGE_ROW_CNT] = {
#define X(id, str) [SL_BR_##id] = str,
	SL_BRIDGE_ROWS(X)
#undef X
};

static const char *const reasons[SL_APPEND_REASON_CNT] = {
#define X(id, str) [SL_APPEND_##id] = str,
	SL_APPEND_REASONS(X)
#undef X
};

static const char *const groups[] = {
	[SL_FG_OTHER] = "other",       [SL_FG_BAD] = "bad",
	[SL_FG_FRAGMENT] = "fragment", [SL_FG_REFUSED] = "refused",
	[SL_FG_CONTROL] = "control",   [SL_FG_DUPLICATE] = "duplicate",
	[SL_FG_LIMITED] = "limited",   [SL_FG_RING_FULL] = "ring_full",
	[SL_FG_ACCEPTED] = "accepted",
};

static const char *const origins[SL_ORIGIN_CNT] = {
	[SL_ORIGIN_INGEST] = "ingest",
	[SL_ORIGIN_KAFKA] = "kafka",
	[SL_ORIGIN_MQTT] = "mqtt",
	[SL_ORIGIN_INTERNAL] = "internal",
};

const char *sl_frame_row_name(enum sl_frame_row r)
{
	SL_ASSERT((unsigned)r < SL_FRAME_ROW_CNT);
	return frame_rows[r].name;
}

enum sl_frame_group sl_frame_row_group(enum sl_frame_row r)
{
	SL_ASSERT((unsigned)r < SL_FRAME_ROW_CNT);
	return frame_rows[r].group;
}

const char *sl_frame_group_name(enum sl_frame_group g)
{
	SL_ASSERT((unsigned)g < SL_ARRAY_SIZE(groups));
	return groups[g];
}

const char *sl_note_row_name(enum sl_note_row r)
{
	SL_ASSERT((unsigned)r < SL_NOTE_ROW_CNT);
	return note_rows[r];
}

const char *sl_bridge_row_name(enum sl_bridge_row r)
{
	SL_ASSERT((unsigned)r < SL_BRIDGE_ROW_CNT);
	return bridge_rows[r];
}

const char *sl_append_reason_name(enum sl_append_reason r)
{
	SL_ASSERT((unsigned)r < SL_APPEND_REASON_CNT);
	return reasons[r];
}

const char *sl_origin_name(enum sl_origin o)
{
	SL_ASSERT((unsigned)o < SL_ORIGIN_CNT);
	return origins[o];
}

int64_t sl_counters_lcore_rx_fix(struct sl_ctr_lcore *l)
{
	uint64_t sum = 0;

	for (int r = 0; r < SL_FRAME_ROW_CNT; r++)
		sum += sl_ctr_get(&l->frame[r]);
	int64_t diff = (int64_t)(sum - sl_ctr_get(&l->rx));
	sl_ctr_set(&l->rx, sum);
	return diff;
}

/* ---- the file ---------------------------------------------------------------------------- */

static int write_file(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

static int sync_dir_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) : 1;
	int rc = 0;

	snprintf(dir, sizeof(dir), "%.*s", len ? len : 1, slash ? path : ".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

/* Puts a whole file in place at once: never half a header, whatever the power does. */
static int replace(const char *path, const struct sl_counters *content)
{
	char tmp[PATH_MAX];
	int rc;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = write_file(fd, content, sizeof(*content));
	close(fd);
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc)
		unlink(tmp);
	return rc ? rc : sync_dir_of(path);
}

/* A new file: empty, or with the figures of an old one. */
static int make(const char *path, const struct sl_ctr_header *old_hdr, const uint8_t *old_file)
{
	struct sl_counters *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	sl_ctr_header_make((struct sl_ctr_header *)c->header);
	if (old_hdr)
		sl_ctr_migrate(old_hdr, old_file, c);
	rc = replace(path, c);
	free(c);
	return rc;
}

static int read_all(int fd, uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EILSEQ; /* shrank under us */
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Returns 1 if the file has this version's layout, 0 if it was brought to it; or an error. */
static int adopt(const char *path, int fd)
{
	struct sl_ctr_header ours, hdr;
	struct stat st;
	int rc;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(((struct sl_counters *)0)->header) ||
	    st.st_size > FILE_MAX_BYTES)
		return -EILSEQ;
	uint8_t *file = malloc((size_t)st.st_size);
	if (!file)
		return -ENOMEM;
	rc = read_all(fd, file, (size_t)st.st_size);
	if (!rc) {
		memcpy(&hdr, file, sizeof(hdr));
		rc = sl_ctr_header_check(&hdr, (uint64_t)st.st_size);
	}
	if (!rc) {
		sl_ctr_header_make(&ours);
		rc = memcmp(&ours, &hdr, sizeof(hdr)) ? make(path, &hdr, file) : 1;
	}
	free(file);
	return rc;
}

static int set_aside(const char *path)
{
	char bad[PATH_MAX];

	if (snprintf(bad, sizeof(bad), "%s.bad", path) >= (int)sizeof(bad))
		return -ENAMETOOLONG;
	return rename(path, bad) ? -errno : 0;
}

/* Sees to it that a file of this version's layout lies at path. */
static int settle(const char *path, bool *ret_reset)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? make(path, NULL, NULL) : -errno;
	rc = adopt(path, fd);
	close(fd);
	if (rc != -EILSEQ)
		return rc < 0 ? rc : 0;
	rc = set_aside(path);
	if (!rc)
		rc = make(path, NULL, NULL);
	if (!rc)
		*ret_reset = true;
	return rc;
}

static int map(int fd, struct sl_counters **ret_ctr)
{
	int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
	void *p = mmap(NULL, sizeof(struct sl_counters), PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret_ctr = p;
	return 0;
}

int sl_counters_open(const char *path, struct sl_counters **ret_ctr, bool *ret_reset)
{
	bool reset = false;
	int rc = settle(path, &reset);

	if (rc)
		return rc;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	rc = map(fd, ret_ctr);
	close(fd);
	if (!rc && ret_reset)
		*ret_reset = reset;
	return rc;
}

int sl_counters_anon(struct sl_counters **ret_ctr)
{
	int rc = map(-1, ret_ctr);

	if (!rc)
		sl_ctr_header_make((struct sl_ctr_header *)(*ret_ctr)->header);
	return rc;
}

int sl_counters_checkpoint(struct sl_counters *c)
{
	return msync(c, sizeof(*c), MS_SYNC) ? -errno : 0;
}

void sl_counters_close(struct sl_counters *c)
{
	if (c)
		munmap(c, sizeof(*c));
}
