/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - the admin HTTP port: a table of paths that can be read, nothing that can be written.
 *
 * GET and HEAD on a path of the table call its callback; another method gets 405, another path
 * 404. A query string is ignored. libmicrohttpd runs one thread of its own for all connections;
 * callbacks run there.
 *
 * Limits: SL_HTTP_CONNS_MAX connections (a further one waits until one is closed),
 * SL_HTTP_CONN_MEMORY bytes for a request's head, a body of a request is read and dropped,
 * SL_HTTP_TIMEOUT_S idle seconds, SL_HTTP_BODY_MAX bytes of an answer.
 */
#ifndef SL_HTTP_HTTP_H
#define SL_HTTP_HTTP_H

#include <stdio.h>

#include "sluice/base.h"

#define SL_HTTP_CONNS_MAX   64
#define SL_HTTP_CONN_MEMORY 16384
#define SL_HTTP_TIMEOUT_S   10
#define SL_HTTP_BODY_MAX    (32u << 20)

#define SL_HTTP_PLAIN      "text/plain; charset=utf-8"
#define SL_HTTP_JSON       "application/json"
#define SL_HTTP_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"

struct sl_http;

/* Writes the answer's body to `out` and returns the status, 200 or 503. Must not block. */
typedef unsigned (*sl_http_fn)(void *arg, FILE *out);

struct sl_http_route {
	const char *path; /* compared whole: "/metrics" */
	const char *type; /* Content-Type */
	sl_http_fn fn;
};

struct sl_http_cfg {
	const char *host;                   /* address or name; IPv6 without brackets */
	uint16_t port;                      /* 0: any free one, see sl_http_port() */
	const struct sl_http_route *routes; /* borrowed until sl_http_stop() has returned */
	unsigned route_cnt;
	void *arg; /* given to every callback */
};

/* -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, ...; -ENOENT: the name is unknown. Control thread. */
SL_MUST_CHECK int sl_http_start(const struct sl_http_cfg *cfg, struct sl_http **ret_http);
/* Closes all connections; waits for a callback under way. Accepts NULL. Control thread. */
void sl_http_stop(struct sl_http *h);
uint16_t sl_http_port(const struct sl_http *h); /* as bound */

#endif
