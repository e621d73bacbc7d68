/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: one JSON line in, one JSON line out.
 *
 * A unix stream socket of mode 0660. A client sends {"cmd":"status"} and a newline, and gets one
 * line of JSON back: what the command's callback made, or {"error":"..."}. It may send the next
 * request on the same connection. A thread of its own serves all connections.
 *
 * Limits: a request SL_CONTROL_REQUEST_MAX bytes, SL_CONTROL_CONNS_MAX connections (a further one
 * is told so and closed), an answer SL_CONTROL_ANSWER_MAX bytes, SL_CONTROL_TIMEOUT_MS for a
 * request to arrive or an answer to leave.
 */
#ifndef SL_CONTROL_CONTROL_H
#define SL_CONTROL_CONTROL_H

#include <jansson.h>

#include "sluice/base.h"

#define SL_CONTROL_REQUEST_MAX 4096
#define SL_CONTROL_ANSWER_MAX  (16u << 20)
#define SL_CONTROL_CONNS_MAX   16
#define SL_CONTROL_TIMEOUT_MS  5000
#define SL_CONTROL_PATH_MAX    107 /* of a unix socket, without the NUL */

struct sl_control;

/*
 * Returns owned JSON, or NULL for "failed". `req` is the request object, borrowed. Runs on the
 * control socket's thread: what it reads must be safe to read from there; it should not block.
 */
typedef json_t *(*sl_control_fn)(void *arg, const json_t *req);

struct sl_control_cmd {
	const char *name;
	sl_control_fn fn;
};

struct sl_control_cfg {
	const char *path;
	const struct sl_control_cmd *cmds; /* borrowed until sl_control_stop() has returned */
	unsigned cmd_cnt;
	void *arg;           /* given to every callback */
	uint32_t timeout_ms; /* 0: SL_CONTROL_TIMEOUT_MS */
};

/*
 * Binds and starts the thread. A socket file that nobody listens on is replaced; its directory is
 * made if only that is missing. -EADDRINUSE: a live process answers there; -EEXIST: something that
 * is not a socket lies there; -ENAMETOOLONG; others of bind(2). Control thread.
 */
SL_MUST_CHECK int sl_control_start(const struct sl_control_cfg *cfg, struct sl_control **ret_ctl);
/* Ends the thread, closes connections, removes the socket file if it is still ours. Accepts NULL.
 * Control thread; waits for a callback under way. */
void sl_control_stop(struct sl_control *ctl);

/*
 * The client's side: sends {"cmd":cmd} and waits for the answer at most timeout_ms. Returns owned
 * JSON in *ret_answer. -ENOENT, -ECONNREFUSED: nobody there; -ETIMEDOUT; -EPROTO: no JSON object
 * came back; -EREMOTEIO: the daemon answered with an error, which is in *ret_answer's "error".
 * Blocks.
 */
SL_MUST_CHECK int sl_control_call(const char *path, const char *cmd, int timeout_ms,
				  json_t **ret_answer);
/* The same with a whole request, which is borrowed. */
SL_MUST_CHECK int sl_control_ask(const char *path, const json_t *req, int timeout_ms,
				 json_t **ret_answer);

#endif
