/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "platform/base/log.h"
#include "sluice/store.h"

#define SMALL_MAX    65536u
#define LOCK_WAIT_MS 5000 /* for the disk to finish what a killed process had under way */
#define CLEAN_MARK   ".kafka_cleanshutdown"

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void sl_uuid_make(uint8_t id[16])
{
	char text[SL_UUID_TEXT];

	do { /* as Kafka: none that starts with a dash, which tools take for an option */
		size_t got = 0;
		while (got < 16) {
			ssize_t n = getrandom(id + got, 16 - got, 0);
			SL_ASSERT(n > 0 || errno == EINTR);
			got += n > 0 ? (size_t)n : 0;
		}
		id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
		id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
		sl_uuid_text(id, text);
	} while (text[0] == '-');
}

void sl_uuid_text(const uint8_t id[16], char ret_text[SL_UUID_TEXT])
{
	uint32_t acc = 0;
	int bits = 0;
	char *p = ret_text;

	for (int i = 0; i < 16; i++) {
		acc = acc << 8 | id[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*p++ = b64[acc >> (bits - 6) & 63];
	}
	*p++ = b64[acc << (6 - bits) & 63];
	*p = '\0';
}

bool sl_uuid_parse(const char *text, uint8_t ret_id[16])
{
	uint8_t id[16];
	uint32_t acc = 0;
	int bits = 0, n = 0;

	if (strnlen(text, SL_UUID_TEXT) != SL_UUID_TEXT - 1)
		return false;
	for (int i = 0; i < SL_UUID_TEXT - 1; i++) {
		const char *at = strchr(b64, text[i]);
		if (!at)
			return false;
		acc = acc << 6 | (uint32_t)(at - b64);
		bits += 6;
		if (bits >= 8 && n < 16) {
			bits -= 8;
			id[n++] = (uint8_t)(acc >> bits);
		}
	}
	memcpy(ret_id, id, 16);
	return true;
}

void sl_partdir(const char *topic, int32_t id, char ret_dir[SL_PARTDIR_MAX])
{
	snprintf(ret_dir, SL_PARTDIR_MAX, "%.*s-%d", SL_TOPIC_NAME_MAX, topic, id);
}

void sl_segname(const char *dir, int64_t base, const char *suffix, char ret_name[SL_FILE_NAME_MAX])
{
	snprintf(ret_name, SL_FILE_NAME_MAX, "%s/%020" PRId64 "%s", dir, base, suffix);
}

bool sl_partdir_parse(const char *dir, char ret_topic[SL_TOPIC_NAME_MAX + 1], int32_t *ret_id)
{
	const char *dash = strrchr(dir, '-');
	size_t digits = dash ? strlen(dash + 1) : 0;

	if (!dash || digits == 0 || digits > 6 || strspn(dash + 1, "0123456789") != digits)
		return false;
	if (!sl_topic_name_valid(dir, (size_t)(dash - dir)))
		return false;
	memcpy(ret_topic, dir, (size_t)(dash - dir));
	ret_topic[dash - dir] = '\0';
	*ret_id = (int32_t)strtol(dash + 1, NULL, 10);
	return *ret_id < SL_PARTITIONS_MAX;
}

int sl_dir_open(int dirfd, const char *name, bool create)
{
	if (create && mkdirat(dirfd, name, 0700) && errno != EEXIST)
		return -errno;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

static int write_new(int dirfd, const char *name, const void *buf, size_t len, bool sync)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = sl_io_pwrite_all(fd, buf, len, 0);
	if (!err && sync && fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

static int write_and_rename(int dirfd, const char *name, const void *buf, size_t len, bool sync)
{
	char tmp[SL_FILE_NAME_MAX + 8];

	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	int err = write_new(dirfd, tmp, buf, len, sync);
	if (!err && renameat(dirfd, tmp, dirfd, name))
		err = -errno;
	if (err)
		unlinkat(dirfd, tmp, 0);
	return err;
}

int sl_file_replace_lazy(int dirfd, const char *name, const void *buf, size_t len)
{
	return write_and_rename(dirfd, name, buf, len, false);
}

int sl_file_replace_whole(int dirfd, const char *name, const void *buf, size_t len)
{
	return write_and_rename(dirfd, name, buf, len, true);
}

int sl_file_replace(int dirfd, const char *name, const void *buf, size_t len)
{
	char tmp[SL_FILE_NAME_MAX];
	int err = write_and_rename(dirfd, name, buf, len, true);

	if (err)
		return err;
	/* the directory that holds `name`: dirfd itself, or one below it */
	const char *slash = strrchr(name, '/');
	if (!slash)
		return fsync(dirfd) ? -errno : 0;
	snprintf(tmp, sizeof(tmp), "%.*s", (int)(slash - name), name);
	int fd = sl_dir_open(dirfd, tmp, false);
	if (fd < 0)
		return fd;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

int sl_file_read(int dirfd, const char *name, size_t max, char **ret_buf, size_t *ret_len)
{
	struct stat st;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = fstat(fd, &st) ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
	if (!err && (uint64_t)st.st_size > max)
		err = -EFBIG;
	char *buf = err ? NULL : malloc((size_t)st.st_size + 1);
	if (!err && !buf)
		err = -ENOMEM;
	if (!err) {
		int64_t n = sl_io_pread_all(fd, buf, (size_t)st.st_size, 0);
		err = n < 0 ? (int)n : 0;
		if (!err) {
			buf[n] = '\0';
			*ret_buf = buf;
			if (ret_len)
				*ret_len = (size_t)n;
			buf = NULL;
		}
	}
	free(buf);
	close(fd);
	return err;
}

/* ---- identity ------------------------------------------------------------------------------ */

/* The value of `key=` at the start of a line, copied; false if it is not there. */
static bool property(const char *text, const char *key, char *ret_val, size_t cap)
{
	size_t klen = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, klen) || p[klen] != '=')
			continue;
		size_t n = strcspn(p + klen + 1, "\r\n");
		if (n >= cap)
			return false;
		memcpy(ret_val, p + klen + 1, n);
		ret_val[n] = '\0';
		return true;
	}
	return false;
}

static int make_meta(struct sl_layout *l)
{
	char date[64], text[512];
	time_t now = time(NULL);
	struct tm tm;
	uint8_t id[16];

	sl_uuid_make(id);
	sl_uuid_text(id, l->cluster_id);
	if (!l->directory_id[0]) {
		sl_uuid_make(id);
		sl_uuid_text(id, l->directory_id);
	}
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", &tm);
	int n = snprintf(text, sizeof(text),
			 "#\n#%s\ncluster.id=%s\ndirectory.id=%s\nnode.id=1\nversion=1\n", date,
			 l->cluster_id, l->directory_id);
	return sl_file_replace(l->log_fd, "meta.properties", text, (size_t)n);
}

static int load_meta(struct sl_layout *l, char *ret_err, size_t errlen)
{
	char *text, id[SL_UUID_TEXT + 1], cid[SL_UUID_TEXT + 1];
	uint8_t raw[16];
	int err = sl_file_read(l->log_fd, "meta.properties", SMALL_MAX, &text, NULL);

	if (err == -ENOENT)
		return make_meta(l);
	if (err)
		return err;
	bool ok = property(text, "directory.id", id, sizeof(id)) && sl_uuid_parse(id, raw) &&
		  property(text, "cluster.id", cid, sizeof(cid)) && sl_uuid_parse(cid, raw);
	free(text);
	if (!ok) {
		sl_log(SL_LOG_WARN, "storage", "meta.properties is damaged: written anew");
		return make_meta(l);
	}
	if (l->directory_id[0] && strcmp(l->directory_id, id) != 0) {
		snprintf(ret_err, errlen,
			 "log/ has directory.id %s, state/ belongs to %s: not one gateway's", id,
			 l->directory_id);
		return -ENOTUNIQ;
	}
	memcpy(l->directory_id, id, SL_UUID_TEXT);
	memcpy(l->cluster_id, cid, SL_UUID_TEXT);
	return 0;
}

/* state/format: "sluice-format N\ndirectory.id=...\n"; a missing file is a new directory. */
static int load_format(struct sl_layout *l, char *ret_err, size_t errlen, bool *ret_new)
{
	char *text;
	unsigned version = 0;
	int err = sl_file_read(l->state_fd, "format", SMALL_MAX, &text, NULL);

	*ret_new = err == -ENOENT;
	if (err)
		return *ret_new ? 0 : err;
	bool ok = sscanf(text, "sluice-format %u", &version) == 1;
	char id[SL_UUID_TEXT + 1];
	uint8_t raw[16];
	if (ok && property(text, "directory.id", id, sizeof(id)) && sl_uuid_parse(id, raw))
		memcpy(l->directory_id, id, SL_UUID_TEXT);
	free(text);
	if (ok && version > SL_STORE_FORMAT) {
		snprintf(ret_err, errlen, "data format %u is newer than this version's %d", version,
			 SL_STORE_FORMAT);
		return -EPROTO;
	}
	if (!ok) {
		sl_log(SL_LOG_WARN, "storage", "state/format is damaged: written anew");
		*ret_new = true;
	}
	return 0;
}

static int load_identity(struct sl_layout *l, char *ret_err, size_t errlen)
{
	bool fresh;
	char text[128];
	int err = load_format(l, ret_err, errlen, &fresh);

	if (!err)
		err = load_meta(l, ret_err, errlen);
	if (err || !fresh)
		return err;
	int n = snprintf(text, sizeof(text), "sluice-format %d\ndirectory.id=%s\n", SL_STORE_FORMAT,
			 l->directory_id);
	return sl_file_replace(l->state_fd, "format", text, (size_t)n);
}

/* ---- locks --------------------------------------------------------------------------------- */

/* When a process began, in the kernel's ticks since boot; 0: not known. */
static unsigned long long start_ticks(long pid)
{
	char path[32], text[1024];
	unsigned long long ticks = 0;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[SL_MAX(n, (ssize_t)0)] = '\0';
	const char *at = strrchr(text, ')'); /* the name before it may hold anything */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%llu", &ticks) == 1 ? ticks : 0;
}

/* The file names pid and start of who took the lock: in a container the next one has the same pid.
 */
static bool owner_lives(int fd)
{
	char text[64] = "";
	unsigned long long then = 0;
	long pid = 0;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%ld %llu", &pid, &then) < 1 || pid <= 0 ||
	    (kill((pid_t)pid, 0) && errno != EPERM))
		return false;
	unsigned long long now = start_ticks(pid);
	return !then || !now || then == now;
}

/*
 * An open file description lock conflicts with Kafka's (a POSIX one) and stays as long as any
 * copy of the descriptor does: the io_uring of a killed process holds one until its last write
 * is done. So a lock that nobody living holds is waited for.
 */
static int take_lock(int dirfd, bool ours)
{
	int fd = openat(dirfd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (int waited_ms = 0;; waited_ms += 10) {
		struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
			break;
		int err = errno;
		if ((err != EAGAIN && err != EACCES) || !ours || waited_ms >= LOCK_WAIT_MS ||
		    owner_lives(fd)) {
			close(fd);
			return err == EAGAIN || err == EACCES ? -EBUSY : -err;
		}
		usleep(10000);
	}
	if (ours) {
		char text[64];
		int n = snprintf(text, sizeof(text), "%ld %llu\n", (long)getpid(),
				 start_ticks(getpid()));
		int err = ftruncate(fd, 0) ? -errno : sl_io_pwrite_all(fd, text, (size_t)n, 0);
		if (err && err != -ENOSPC) {
			close(fd);
			return err;
		}
	}
	return fd;
}

/* ---- life ---------------------------------------------------------------------------------- */

/* The data directory, made if missing; its own name is durable then. */
static int open_data(const char *data)
{
	bool made = mkdir(data, 0700) == 0;

	if (!made && errno != EEXIST)
		return -errno;
	int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int up = made ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (up >= 0) {
		if (fsync(up))
			sl_log(SL_LOG_WARN, "storage", "%s: the directory above: %s", data,
			       strerror(errno));
		close(up);
	}
	return fd;
}

static int open_dirs(struct sl_layout *l, const char *data, int lock_fd)
{
	const struct {
		int *fd;
		int *parent;
		const char *name;
	} dirs[] = {
		{&l->log_fd, &l->data_fd, "log"},
		{&l->state_fd, &l->data_fd, "state"},
		{&l->recycled_fd, &l->state_fd, "recycled"},
		{&l->spare_fd, &l->state_fd, "spare"},
		{&l->producers_fd, &l->state_fd, "producers"},
	};

	l->data_fd = open_data(data);
	if (l->data_fd < 0)
		return l->data_fd;
	l->lock_fd = lock_fd > 0 ? fcntl(lock_fd, F_DUPFD_CLOEXEC, 0) : take_lock(l->data_fd, true);
	l->lock_borrowed = lock_fd > 0;
	if (l->lock_fd < 0)
		return lock_fd > 0 ? -errno : l->lock_fd;
	for (size_t i = 0; i < SL_ARRAY_SIZE(dirs); i++) {
		int fd = sl_dir_open(*dirs[i].parent, dirs[i].name, true);
		if (fd < 0)
			return fd;
		*dirs[i].fd = fd;
	}
	/* a topic that was made is there after a power cut only if what holds it is */
	if (fsync(l->data_fd) || fsync(l->state_fd))
		return -errno;
	l->klock_fd = take_lock(l->log_fd, false);
	return l->klock_fd < 0 ? l->klock_fd : 0;
}

static int load_run(struct sl_layout *l)
{
	char *text;
	int err = sl_file_read(l->state_fd, "run", SMALL_MAX, &text, NULL);

	if (err)
		return err == -ENOENT ? 0 : err;
	l->run = strtoull(text, NULL, 10);
	free(text);
	return 0;
}

static int take_clean_mark(struct sl_layout *l)
{
	l->clean = unlinkat(l->log_fd, CLEAN_MARK, 0) == 0;
	if (!l->clean && errno != ENOENT)
		return -errno;
	return l->clean && fsync(l->log_fd) ? -errno : 0;
}

int sl_layout_open(struct sl_layout *l, const char *data, int lock_fd, char *ret_err, size_t errlen)
{
	memset(l, 0, sizeof(*l));
	l->data_fd = l->log_fd = l->state_fd = l->recycled_fd = l->spare_fd = l->producers_fd = -1;
	l->lock_fd = l->klock_fd = -1;
	ret_err[0] = '\0';
	int err = open_dirs(l, data, lock_fd);
	if (!err)
		err = load_identity(l, ret_err, errlen);
	if (!err)
		err = load_run(l);
	if (!err)
		err = take_clean_mark(l);
	if (err && !ret_err[0])
		snprintf(ret_err, errlen,
			 err == -EBUSY ? "%s: another process holds it (%s)" : "%s: %s", data,
			 strerror(-err));
	if (err)
		sl_layout_close(l);
	return err;
}

/* Only what must be known before anything else is touched: ours alone, and not newer than us. */
static int lock_and_look(struct sl_layout *l, const char *data, char *ret_err, size_t errlen)
{
	bool fresh;
	int fd;

	l->data_fd = open_data(data);
	if (l->data_fd < 0)
		return l->data_fd;
	fd = take_lock(l->data_fd, true);
	if (fd < 0)
		return fd;
	l->lock_fd = fd;
	fd = sl_dir_open(l->data_fd, "state", true);
	if (fd < 0)
		return fd;
	l->state_fd = fd;
	return load_format(l, ret_err, errlen, &fresh);
}

int sl_store_lock(const char *data, int *ret_fd, char *ret_err, size_t errlen)
{
	struct sl_layout l = {.data_fd = -1, .lock_fd = -1, .state_fd = -1};
	char text[256] = "";
	int err = lock_and_look(&l, data, text, sizeof(text));

	if (!err) {
		*ret_fd = l.lock_fd;
		l.lock_fd = -1; /* the caller's */
	} else if (ret_err) {
		snprintf(ret_err, errlen, "%s: %s", data,
			 text[0]         ? text
			 : err == -EBUSY ? "another process holds this data directory (.lock)"
					 : strerror(-err));
	}
	sl_layout_close(&l);
	return err;
}

void sl_layout_close(struct sl_layout *l)
{
	int *fds[] = {&l->producers_fd, &l->spare_fd, &l->recycled_fd, &l->state_fd,
		      &l->klock_fd,     &l->log_fd,   &l->lock_fd,     &l->data_fd};

	struct flock fl = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	/* said aloud, because a ring that is being torn down may hold a copy a moment longer */
	if (l->lock_fd > 0 && !l->lock_borrowed)
		(void)fcntl(l->lock_fd, F_OFD_SETLK, &fl);
	for (size_t i = 0; i < SL_ARRAY_SIZE(fds); i++) {
		if (*fds[i] > 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int sl_layout_set_run(struct sl_layout *l, uint64_t run)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", run);

	return sl_file_replace(l->state_fd, "run", text, (size_t)n);
}

int sl_layout_mark_clean(struct sl_layout *l)
{
	static const char text[] = "{\"version\":0,\"brokerEpoch\":-1}";

	return sl_file_replace(l->log_fd, CLEAN_MARK, text, sizeof(text) - 1);
}
