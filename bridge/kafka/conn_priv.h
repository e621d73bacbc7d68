/* SPDX-License-Identifier: Apache-2.0 */
/* conn_priv.h - the connection machine's inside, shared by conn.c and conn_input.c only. */
#ifndef SL_BRIDGE_KAFKA_CONN_PRIV_H
#define SL_BRIDGE_KAFKA_CONN_PRIV_H

#include "conn.h"

struct sl_kconn {
	struct sl_kconn_cfg cfg;
	struct sl_kserver *server;
	TAILQ_ENTRY(sl_kconn) link, stalled_link, starved_link;
	bool stalled, starved; /* on those lists */
	bool closed;           /* the peer is gone: nothing is read or sent any more */
	bool pumping;
	bool broken;
	char why[96];
	struct sl_korder order;

	/* input: a frame's size field, then the frame */
	uint8_t head[4];
	uint32_t head_len;
	struct sl_kreq *partial; /* NULL: between frames */
	uint32_t got;            /* of the partial frame */
	bool first_done;         /* a stranger no more */
	bool blocked;            /* we do not read: our doing, not the peer's */
	uint64_t input_ns;       /* last progress */
	uint64_t frame_ns;       /* the partial frame's beginning */

	STAILQ_HEAD(, sl_kreq) reqs; /* oldest first: done, then running, then queued */
	struct sl_kreq *next_start;  /* the first queued one, NULL: none */
	uint32_t req_cnt, running, running_pipelined;
	uint64_t unsent;  /* bytes of responses that are done */
	uint64_t sent_ns; /* last progress of output, or when there was none to send */
	uint64_t held;    /* bytes of the budget */
};

/* Gives a request that is on no list back, with all it holds. */
void sl_kreq_free(struct sl_kreq *r);

#endif
