/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct sl_http {
	struct sl_http_cfg cfg;
	struct MHD_Daemon *daemon;
	uint16_t port;
};

/* ---- answers --------------------------------------------------------------------------------- */

/* Takes `body` (malloc'ed). */
static enum MHD_Result reply(struct MHD_Connection *conn, unsigned status, const char *type,
			     char *body, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result rc;

	if (!r) {
		free(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	rc = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result reply_text(struct MHD_Connection *conn, unsigned status, const char *text)
{
	char *body = strdup(text);

	return body ? reply(conn, status, SL_HTTP_PLAIN, body, strlen(body)) : MHD_NO;
}

static enum MHD_Result reply_route(struct sl_http *h, struct MHD_Connection *conn,
				   const struct sl_http_route *route)
{
	char *body = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&body, &len);
	unsigned status;

	if (!f)
		return MHD_NO;
	status = route->fn(h->cfg.arg, f);
	if (fclose(f) != 0 || !body || len > SL_HTTP_BODY_MAX) {
		free(body);
		return reply_text(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "no answer\n");
	}
	return reply(conn, status, route->type, body, len);
}

static const struct sl_http_route *find_route(const struct sl_http *h, const char *path)
{
	for (unsigned i = 0; i < h->cfg.route_cnt; i++) {
		if (!strcmp(h->cfg.routes[i].path, path))
			return &h->cfg.routes[i];
	}
	return NULL;
}

/* libmicrohttpd calls once for the head, then for each piece of a body, then without one. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	static char seen;
	struct sl_http *h = arg;
	const struct sl_http_route *route;

	(void)version;
	(void)data;
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*data_len) {
		*data_len = 0; /* nothing here reads a body */
		return MHD_YES;
	}
	route = find_route(h, url);
	if (!route)
		return reply_text(conn, MHD_HTTP_NOT_FOUND, "not found\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return reply_text(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	return reply_route(h, conn, route);
}

/* Paths are compared as they were sent: "%00" or "%2e" never become something else. */
static size_t keep_escapes(void *arg, struct MHD_Connection *conn, char *s)
{
	(void)arg;
	(void)conn;
	return strlen(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int bound_port(int fd, uint16_t *ret_port)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a = {.in6 = {0}};
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.sa, &len) < 0)
		return -errno;
	*ret_port = ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
	return 0;
}

static int listen_on(const struct addrinfo *ai)
{
	int one = 1, rc;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SL_HTTP_CONNS_MAX) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* A listening socket at the first address of the name. */
static int open_listener(const struct sl_http_cfg *cfg)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *ai = NULL;
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", cfg->port);
	rc = getaddrinfo(cfg->host, port, &hints, &ai);
	if (rc == EAI_SYSTEM)
		return -errno;
	if (rc != 0)
		return rc == EAI_MEMORY ? -ENOMEM : -ENOENT;
	rc = listen_on(ai);
	freeaddrinfo(ai);
	return rc;
}

int sl_http_start(const struct sl_http_cfg *cfg, struct sl_http **ret_http)
{
	struct sl_http *h = calloc(1, sizeof(*h));
	int fd, rc;

	if (!h)
		return -ENOMEM;
	h->cfg = *cfg;
	rc = fd = open_listener(cfg);
	if (rc < 0)
		goto free_http;
	rc = bound_port(fd, &h->port);
	if (rc < 0)
		goto close_fd;
	h->daemon =
		MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
				 on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
				 MHD_OPTION_CONNECTION_LIMIT, (unsigned)SL_HTTP_CONNS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SL_HTTP_TIMEOUT_S,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SL_HTTP_CONN_MEMORY,
				 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
	rc = -ENOMEM;
	if (!h->daemon)
		goto close_fd;
	*ret_http = h;
	return 0;

close_fd:
	close(fd);
free_http:
	free(h);
	return rc;
}

void sl_http_stop(struct sl_http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon); /* closes the listening socket too */
	free(h);
}

uint16_t sl_http_port(const struct sl_http *h)
{
	return h->port;
}
