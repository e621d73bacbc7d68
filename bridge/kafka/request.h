/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - one request under way and the response that grows in it.
 *
 * A request owns the frame that it was read into (parsers borrow from it) and its response. The
 * response is one writer's bytes with foreign pieces spliced in (record batches), so that stored
 * records are copied once and never again before the socket. Network thread throughout.
 */
#ifndef SL_BRIDGE_KAFKA_REQUEST_H
#define SL_BRIDGE_KAFKA_REQUEST_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "api.h"
#include "bufs.h"
#include "codec.h"

/* Topics, and partitions of all topics together, that one request may name. Beyond: -E2BIG. */
#define SL_KREQ_TOPICS_MAX 16384u
#define SL_KREQ_PARTS_MAX  16384u

struct sl_kconn;
struct sl_kserver;
struct sl_topic;

/* A piece of memory that a response's splices point into. */
struct sl_kchunk {
	SLIST_ENTRY(sl_kchunk) link;
	uint32_t cap, len; /* of data */
	size_t buf_cap;    /* of the whole buffer (bufs.h) */
	uint8_t data[];
};
SLIST_HEAD(sl_kchunks, sl_kchunk);

struct sl_ksplice { /* `len` bytes at `p` come before byte `at` of the writer's buffer */
	uint32_t at;
	uint32_t len;
	const uint8_t *p;
};

struct sl_kout {
	struct sl_kw w;
	struct sl_ksplice *splice;
	uint32_t splice_cnt, splice_cap;
	struct sl_kchunks chunks; /* owned */
	uint64_t bytes;           /* of the whole response */
	uint64_t sent;
};

enum sl_kreq_state { SL_KREQ_QUEUED, SL_KREQ_RUNNING, SL_KREQ_DONE };

struct sl_kreq {
	STAILQ_ENTRY(sl_kreq) link; /* the connection's requests, oldest first */
	struct sl_kconn *conn;
	struct sl_kserver *server;
	const struct sl_kapi *api;
	int16_t version;
	int32_t correlation;
	enum sl_kreq_state state;
	uint8_t *frame;            /* owned until done; the bytes after the size field */
	size_t frame_cap;          /* as bufs.h gave it */
	uint32_t size;             /* of the frame */
	struct sl_slice client_id; /* of the header, borrows from the frame; p NULL: null */
	struct sl_kr in;
	struct sl_kout out;
	void *ctx;               /* the handler's */
	struct sl_topic **topic; /* references held until the end; owned */
	uint32_t topic_cnt, topic_cap;
	uint32_t refused; /* errors in an admin answer: counted when it ends */
	/*
	 * Set by a handler that waits without having changed anything: called when the peer has
	 * left. It ends with sl_kreq_drop(), at once or when a job that it still has comes back.
	 */
	void (*cancel)(struct sl_kreq *r);
	uint64_t charged; /* of the memory budget */
};

/* Starts the response: size, correlation id, header tags. Then body fields go to r->out.w. */
void sl_kreq_begin(struct sl_kreq *r);
/*
 * The three endings; none may touch r afterwards. Ends with the response that was begun, which is
 * sent after those of earlier requests; a response that could not be built closes the connection.
 */
void sl_kreq_done(struct sl_kreq *r);
void sl_kreq_drop(struct sl_kreq *r); /* without any response (acks=0) */
void sl_kreq_fail(struct sl_kreq *r,
		  const char *why); /* closes the connection; `why` is constant */

/* Adds to (takes from) what the request holds of the memory budget; given back when it ends. */
void sl_kreq_charge(struct sl_kreq *r, int64_t bytes);

/*
 * Finds a topic for the request, which keeps the reference until it ends, in whichever way: the
 * topic and its partitions stay valid memory until then. NULL: unknown; or no memory to keep it,
 * then the response is bad, too. The thread whose turn the request is (network, or its job).
 */
struct sl_topic *sl_kreq_topic(struct sl_kreq *r, struct sl_slice name);
struct sl_topic *sl_kreq_topic_by_id(struct sl_kreq *r, const uint8_t id[16]);
/* The request takes a reference that the caller has; without memory to keep it, it gives it back
 * and returns NULL. Accepts NULL. */
struct sl_topic *sl_kreq_keep(struct sl_kreq *r, struct sl_topic *t);
/* Gives them back; the endings do. */
void sl_kreq_put_topics(struct sl_kreq *r);

/* The frame is no longer needed (nothing borrows from it): a request that waits does not keep it.
 */
void sl_kreq_release_frame(struct sl_kreq *r);

/* Splices foreign bytes in at the writer's position; they live in one of the out's chunks. */
void sl_kout_splice(struct sl_kout *o, const uint8_t *p, uint32_t len);
/* Pieces that have not been sent, at most `max`. Returns their number; *ret_whole: all of them. */
int sl_kout_iov(const struct sl_kout *o, struct iovec *iov, int max, bool *ret_whole);
uint64_t sl_kout_memory(const struct sl_kout *o); /* bytes it holds */
/* A chunk with room for `size` bytes, put first in the list. NULL: no memory. */
struct sl_kchunk *sl_kout_chunk(struct sl_kout *o, struct sl_kbufs *bufs, size_t size);
void sl_kout_fini(struct sl_kout *o, struct sl_kbufs *bufs); /* accepts zeroed */

#endif
