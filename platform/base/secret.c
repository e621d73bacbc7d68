/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_LEN (SL_SECRET_MAX + 2) /* CR LF */

struct line {
	char text[LINE_MAX_LEN + 1];
	size_t len;
};

/* A FIFO or a device must neither block nor be changed by being looked at: O_NONBLOCK. */
static int open_regular(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int read_line(int fd, struct line *ret)
{
	ssize_t n;

	while ((n = read(fd, ret->text + ret->len, sizeof(ret->text) - ret->len)) > 0)
		ret->len += (size_t)n;
	return n < 0 ? -errno : 0;
}

/* Takes the newline off; what is wrong with the rest, or NULL. */
static const char *judge(struct line *s, size_t cap, int *ret_rc)
{
	if (s->len > LINE_MAX_LEN)
		goto too_long;
	if (s->len && s->text[s->len - 1] == '\n')
		s->len--;
	if (s->len && s->text[s->len - 1] == '\r')
		s->len--;
	*ret_rc = -EINVAL;
	if (s->len == 0)
		return "is empty";
	if (memchr(s->text, 0, s->len))
		return "has a NUL byte";
	if (memchr(s->text, '\n', s->len))
		return "has more than one line";
	if (s->len > SL_SECRET_MAX)
		goto too_long;
	*ret_rc = -ENOBUFS;
	if (s->len >= cap)
		return "is longer than what it is for can be";
	*ret_rc = 0;
	return NULL;
too_long:
	*ret_rc = -EFBIG;
	return "is longer than 4096 bytes";
}

int sl_secret_read(const char *path, char *buf, size_t cap, char *err, size_t errlen)
{
	struct line s = {.len = 0};
	const char *why = NULL;
	struct stat st;
	int fd = open_regular(path, &st), rc = fd < 0 ? fd : 0;

	err[0] = '\0';
	if (rc == -EINVAL)
		why = "is not a regular file";
	if (rc == 0) {
		rc = read_line(fd, &s);
		close(fd);
	}
	if (rc == 0)
		why = judge(&s, cap, &rc);
	if (rc == 0) {
		memcpy(buf, s.text, s.len);
		buf[s.len] = '\0';
		if (st.st_mode & (S_IROTH | S_IWOTH))
			snprintf(err, errlen, "%s can be %s by every user of this box (mode %03o)",
				 path, st.st_mode & S_IROTH ? "read" : "written",
				 (unsigned)st.st_mode & 07777);
	} else {
		if (buf && cap) /* the first for gcc under UBSan */
			explicit_bzero(buf, cap);
		snprintf(err, errlen, "%s%s%s", path, why ? " " : ": ", why ? why : strerror(-rc));
	}
	explicit_bzero(&s, sizeof(s));
	return rc;
}
