/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.h - the control socket's file: made safely beside what a dead process left. Internal.
 */
#ifndef SL_CONTROL_SOCKET_H
#define SL_CONTROL_SOCKET_H

#include <sys/types.h>

#include "sluice/base.h"

struct sl_ctl_file {
	char path[128];
	dev_t dev; /* which file we made: another one is not ours to remove */
	ino_t ino;
};

/* A listening, non-blocking socket of mode 0660, or -errno as sl_control_start() names them. */
SL_MUST_CHECK int sl_ctl_listen(const char *path, struct sl_ctl_file *ret_file);
/* Removes the file if it is still the one that was made. */
void sl_ctl_unlink(const struct sl_ctl_file *file);

#endif
