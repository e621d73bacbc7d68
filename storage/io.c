/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ZERO_CHUNK (1u << 20)

const struct sl_io_ops *sl_io_pick(const char *name)
{
	static const struct sl_io_ops *const all[] = {&sl_io_uring, &sl_io_posix};

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		if (name && strcmp(name, all[i]->name) != 0)
			continue;
		if (all[i]->probe() == 0)
			return all[i];
	}
	return NULL;
}

int sl_io_file_open(int dirfd, const char *path, bool create, bool *direct)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
	int fd;

	if (*direct) {
		fd = openat(dirfd, path, flags | O_DIRECT, 0600);
		if (fd >= 0 || errno != EINVAL)
			return fd >= 0 ? fd : -errno;
		*direct = false;
	}
	fd = openat(dirfd, path, flags, 0600);
	return fd >= 0 ? fd : -errno;
}

int sl_io_pwrite_all(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

int64_t sl_io_pread_all(int fd, void *buf, size_t len, uint64_t off)
{
	uint8_t *p = buf;
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, p + got, len - got, (off_t)(off + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (int64_t)got;
}

static int write_zeros(int fd, uint64_t from, uint64_t to)
{
	/* The kernel's zero page many times over: costs no memory. */
	size_t chunk = SL_MIN((uint64_t)ZERO_CHUNK, to - from);
	void *z = mmap(NULL, chunk, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (z == MAP_FAILED)
		return -ENOMEM;
	int err = 0;
	while (from < to && !err) {
		size_t n = SL_MIN((uint64_t)chunk, to - from);
		err = sl_io_pwrite_all(fd, z, n, from);
		from += n;
	}
	munmap(z, chunk);
	return err;
}

int sl_io_file_prealloc(int fd, uint64_t from, uint64_t to, bool written)
{
	SL_ASSERT(from % SL_IO_BLOCK == 0 && to % SL_IO_BLOCK == 0);
	if (to <= from)
		return 0;
	if (written)
		return write_zeros(fd, from, to);
	while (fallocate(fd, 0, (off_t)from, (off_t)(to - from))) {
		if (errno == EOPNOTSUPP)
			return write_zeros(fd, from, to);
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}
