/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - a password and the like, out of a file of its own: the configuration names the path,
 * never the secret.
 *
 * The file is regular and has one line; the newline at its end, also CR LF, is no part of the
 * secret, everything else is. Files are read when the secret is needed, so that one that was
 * replaced is taken at the next connection. Whoever reads one wipes his copy after use
 * (explicit_bzero) and never logs it.
 */
#ifndef SL_BASE_SECRET_H
#define SL_BASE_SECRET_H

#include "sluice/base.h"

#define SL_SECRET_MAX 4096 /* bytes of a secret, without its newline */

/*
 * Reads the secret in `path` into buf, NUL-terminated. `err` gets a sentence that names the path,
 * never the content; with 0 it is "" or a warning: every user of this box can read or write the
 * file. errlen > 0.
 *
 * -ENOENT, -EACCES, ...: cannot be opened or read; -EINVAL: no regular file, empty, more than one
 * line, a NUL byte; -EFBIG: longer than SL_SECRET_MAX; -ENOBUFS: longer than cap - 1. buf is wiped
 * then. Blocks as a file read does. Control threads.
 */
SL_MUST_CHECK int sl_secret_read(const char *path, char *buf, size_t cap, char *err, size_t errlen);

#endif
