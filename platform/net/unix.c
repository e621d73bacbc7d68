/* SPDX-License-Identifier: Apache-2.0 */
#include "unix.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A file lies at the address. 0: it was a dead process's and is gone. */
static int clear_stale(const struct sockaddr_un *sa, int type)
{
	struct stat st;
	int fd, rc;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: alive, and its queue is full */
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ? -EADDRINUSE : -errno;
	close(fd);
	if (rc == -EAGAIN)
		return -EADDRINUSE;
	if (rc != -ECONNREFUSED && rc != -ENOENT)
		return rc;
	return unlink(sa->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* /run/sluice is made by systemd; without it, here. One level only. */
static int make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[SL_UNIX_PATH_MAX + 1];

	if (!slash || slash == path)
		return 0;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	return mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int bind_file(int fd, const struct sockaddr_un *sa, int backlog, struct sl_unix_file *file)
{
	struct stat st;
	int rc;

	/* nobody can connect before listen(), so the mode is right from the first moment on */
	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return -errno;
	if (chmod(sa->sun_path, 0660) < 0 || lstat(sa->sun_path, &st) < 0 ||
	    listen(fd, backlog) < 0) {
		rc = -errno;
		unlink(sa->sun_path);
		return rc;
	}
	memcpy(file->path, sa->sun_path, sizeof(sa->sun_path));
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return 0;
}

int sl_unix_listen(const char *path, int type, int backlog, struct sl_unix_file *ret_file)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct sl_unix_file file = {.path = ""};
	size_t len = strlen(path);
	int fd, rc;

	_Static_assert(sizeof(sa.sun_path) <= sizeof(file.path), "a path fits");
	_Static_assert(sizeof(sa.sun_path) == SL_UNIX_PATH_MAX + 1, "unix(7)");
	if (len == 0 || len > SL_UNIX_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, len + 1);
	rc = make_parent(path);
	if (rc == 0)
		rc = clear_stale(&sa, type);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = bind_file(fd, &sa, backlog, &file);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_file = file;
	return fd;
}

void sl_unix_unlink(const struct sl_unix_file *file)
{
	struct stat st;

	if (lstat(file->path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino)
		unlink(file->path);
}
