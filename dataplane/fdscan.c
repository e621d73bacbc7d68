/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "fdscan.h"

int sl_fd_each(int (*fn)(int fd, void *arg), void *arg)
{
	DIR *d = opendir("/proc/self/fd");
	int rc = 0;

	if (!d)
		return -errno;
	for (struct dirent *e = readdir(d); e && !rc; e = readdir(d)) {
		char *end;
		long fd = strtol(e->d_name, &end, 10);
		if (end == e->d_name || *end || fd < 0 || fd >= SL_FD_MAX || fd == dirfd(d))
			continue;
		rc = fn((int)fd, arg);
	}
	closedir(d);
	return rc;
}

static int note(int fd, void *arg)
{
	struct sl_fdset *s = arg;

	s->word[fd / 64] |= 1ull << (fd % 64);
	return 0;
}

int sl_fd_snapshot(struct sl_fdset *ret_set)
{
	memset(ret_set, 0, sizeof(*ret_set));
	return sl_fd_each(note, ret_set);
}

struct search {
	const struct sl_fdset *before;
	bool (*is_it)(int fd, void *arg);
	void *arg;
	int found;
};

static int look(int fd, void *arg)
{
	struct search *s = arg;

	if (s->before->word[fd / 64] >> (fd % 64) & 1 || !s->is_it(fd, s->arg))
		return 0;
	s->found = fd;
	return 1;
}

int sl_fd_new(const struct sl_fdset *before, bool (*is_it)(int fd, void *arg), void *arg)
{
	struct search s = {.before = before, .is_it = is_it, .arg = arg};
	int rc = sl_fd_each(look, &s);

	if (rc < 0)
		return rc;
	return rc ? s.found : -ENOENT;
}

bool sl_fd_domain(int fd, int domain)
{
	int got = 0;
	socklen_t len = sizeof(got);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &got, &len) && got == domain;
}
