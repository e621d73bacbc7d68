/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix.h - a listening unix socket whose file is made safely beside what a dead process left.
 */
#ifndef SL_NET_UNIX_H
#define SL_NET_UNIX_H

#include <sys/types.h>

#include "sluice/base.h"

#define SL_UNIX_PATH_MAX 107 /* unix(7) */

struct sl_unix_file {
	char path[SL_UNIX_PATH_MAX + 1];
	dev_t dev; /* which file we made: another one is not ours to remove */
	ino_t ino;
};

/*
 * A listening, non-blocking socket of `type` (SOCK_STREAM, SOCK_SEQPACKET) and mode 0660 at `path`;
 * makes the last folder of it if that is missing, and takes the place of a dead process's socket.
 * The descriptor; -EADDRINUSE: somebody listens there; -EEXIST: a file that is no socket;
 * -ENAMETOOLONG; -errno. Control.
 */
SL_MUST_CHECK int sl_unix_listen(const char *path, int type, int backlog,
				 struct sl_unix_file *ret_file);
/* Removes the file if it is still the one that was made. */
void sl_unix_unlink(const struct sl_unix_file *file);

#endif
