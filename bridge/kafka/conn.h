/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - the machine behind one Kafka connection, without a socket: bytes in, responses out.
 *
 * Requests of one connection start in order, and each only when those before it are done, except
 * that Produce requests may be under way together; responses leave in the order of the requests.
 * Input stops (back-pressure) while the connection has SL_KCONN_PIPELINE_MAX requests, holds too
 * much memory, or its peer does not take the responses. Network thread throughout.
 *
 * A closed connection lives on, invisibly, until its requests are done: records that were read
 * completely are appended even if the producer has left, as acks=0 producers do.
 */
#ifndef SL_BRIDGE_KAFKA_CONN_H
#define SL_BRIDGE_KAFKA_CONN_H

#include "request.h"
#include "server.h"

#define SL_KCONN_PIPELINE_MAX    64 /* requests read ahead */
#define SL_KCONN_FRAME_MIN       10 /* api key, version, correlation id, client id's length */
#define SL_KCONN_FIRST_FRAME_MAX (4u << 20)   /* a stranger's first request */
#define SL_KCONN_FRAME_STEP      (256u << 10) /* a frame's memory grows with what has arrived */
#define SL_KCONN_SMALL           (16u << 10)  /* held by each connection, whatever others hold */
#define SL_KCONN_UNSENT_MAX      (1u << 20)   /* beyond: no further request starts */
#define SL_KCONN_PARTIAL_MS      30000 /* a request that does not get on for so long is given up */
#define SL_KCONN_STALL_MS        10000 /* a peer that keeps memory for so long, when it is short */

struct sl_kconn_cfg {
	struct sl_kserver *server;
	char peer[80]; /* address:port, for log lines */
	char local_host[64];
	uint16_t local_port;
	/* The connection may have output now, want input again, or want to be closed. Must not call
	 * back into the machine. */
	void (*changed)(void *arg);
	void *arg;
};

SL_MUST_CHECK int sl_kconn_new(const struct sl_kconn_cfg *cfg, struct sl_kconn **ret_conn);
/* The peer has left or must go. c is not to be touched afterwards. Accepts NULL. */
void sl_kconn_close(struct sl_kconn *c);

/* False: do not read from the socket now. */
bool sl_kconn_wants_input(struct sl_kconn *c);
/*
 * Bytes that arrived; copies what it needs and returns how many were used: fewer than n means that
 * the caller keeps the rest and offers it again when `changed` was called.
 */
size_t sl_kconn_input(struct sl_kconn *c, const uint8_t *p, size_t n);
/*
 * Where the next bytes of a partly received frame belong, so that large ones are not copied:
 * read up to *ret_cap bytes to the address returned, then say how many they were. NULL: none.
 */
uint8_t *sl_kconn_direct(struct sl_kconn *c, size_t *ret_cap);
void sl_kconn_direct_done(struct sl_kconn *c, size_t n);

/* What is to be sent next, at most `max` pieces; borrowed until the next call into the machine. */
int sl_kconn_output(struct sl_kconn *c, struct iovec *iov, int max);
void sl_kconn_sent(struct sl_kconn *c, size_t n);

/* Why the connection must be closed, or NULL. It has been counted and logged. */
const char *sl_kconn_broken(const struct sl_kconn *c);
/* Nothing under way and nothing to send. */
bool sl_kconn_quiet(const struct sl_kconn *c);
/* Looks at the timers; afterwards sl_kconn_broken() may say something. About once a second. */
void sl_kconn_tick(struct sl_kconn *c);

/* ---- for the handlers and the server --------------------------------------------------------- */

const char *sl_kconn_local(const struct sl_kconn *c, uint16_t *ret_port);
const char *sl_kconn_peer(const struct sl_kconn *c);
bool sl_kconn_closed(const struct sl_kconn *c); /* the peer has left: nobody reads answers */
struct sl_korder *sl_kconn_order(struct sl_kconn *c);
/* The order's injecting has ended: frees the connection if only that had kept it. */
void sl_kconn_order_idle(struct sl_korder *order);
/*
 * May the connection hold `bytes` more? Up to SL_KCONN_SMALL always; within the budget; or as the
 * one connection beyond it, which it then is until it holds nothing or memory is no longer short.
 */
bool sl_kconn_may_hold(struct sl_kconn *c, uint64_t bytes);
/* Starts what can start. */
void sl_kconn_pump(struct sl_kconn *c);
/*
 * The peer has taken nothing of its responses, or not completed a large request, for
 * SL_KCONN_STALL_MS: bytes held, else 0.
 */
uint64_t sl_kconn_stalled_bytes(const struct sl_kconn *c);
/* Asks for the connection to be closed, counts and logs why. */
void sl_kconn_break(struct sl_kconn *c, const char *fmt, ...) SL_PRINTF(2, 3);
void sl_kconn_changed(struct sl_kconn *c);
struct sl_kconn *sl_kconn_first(const struct sl_kserver *s); /* of all */
struct sl_kconn *sl_kconn_next(const struct sl_kconn *c);
/* Takes the first one off server->starved; NULL: none. */
struct sl_kconn *sl_kconn_next_starved(struct sl_kserver *s);

#endif
