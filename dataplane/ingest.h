/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest.h - the loop of one ingest lcore: poll, classify, decode, key, frame, flush.
 *
 * It serves the ports given to it, and no other lcore ever polls them, so that one sender's
 * datagrams keep their order. It never waits for a writer: without a free batch a record is
 * dropped and counted as ring_full. A `patient` port, whose frames stay where they are until they
 * are fetched (a capture file), is instead not polled while batches are short.
 *
 * Idle: after SL_IDLE_SPINS empty turns it sleeps on the ports' fds, at most until the oldest open
 * batch is due. Before that it closes open batches early, as long as that costs little: at most
 * SL_INGEST_EARLY_PER_S batches a second and SL_INGEST_EARLY_BURST at once
 * (docs/decisions/0033-idle-close.md).
 *
 * While many frames come it naps instead, for a fraction of what the devices' rings hold and of the
 * linger (idle.h), and closes nothing early.
 *
 * A writer is rung at the end of the turn in which it was given something. One that shares the
 * lcore's CPU is rung for several batches together: after SL_INGEST_NEAR_BATCHES or
 * SL_INGEST_NEAR_US, and at once when there is nothing else to do
 * (docs/decisions/0026-writer-on-the-same-cpu.md).
 *
 * Thread role: control makes and frees; one thread runs or turns; stop from any thread.
 */
#ifndef SL_DATAPLANE_INGEST_LOOP_H
#define SL_DATAPLANE_INGEST_LOOP_H

#include "classify.h"
#include "decode.h"
#include "idle.h"
#include "key.h"
#include "open_batch.h"

#define SL_INGEST_BURST        32
#define SL_INGEST_PORTS_MAX    SL_CFG_PORTS_MAX
#define SL_INGEST_EARLY_PER_S  2000
#define SL_INGEST_EARLY_BURST  64
#define SL_INGEST_NEAR_BATCHES 8
#define SL_INGEST_NEAR_US      500
/* The longest frame that is looked at: a datagram of 64 KiB with its IPv6 header and two tags. */
#define SL_INGEST_FRAME_MAX (65535 + 40 + 22)

struct sl_port;
struct sl_ingest;

struct sl_ingest_port {
	uint16_t eth_id; /* DPDK port, queue 0 */
	int fd;          /* readable when frames wait; -1: none */
	uint32_t ring;   /* frames that its device holds while nobody polls; 0: as many as come */
	bool patient;
	bool paced;                 /* frames are due when the capture says so (pace.h) */
	const struct sl_port *port; /* asked for its end; NULL: it has none */
	const struct sl_classifier *cls;
};

struct sl_ingest_listener {
	const struct sl_decoder *decoder; /* NULL: not on this lcore */
	struct sl_key_rule_cfg key;
	uint32_t headers; /* enum sl_hdr_bit */
	uint32_t topic;   /* index into sl_ob_cfg.topic */
};

struct sl_ingest_cfg {
	const struct sl_ingest_port *port;
	uint32_t port_cnt;
	const struct sl_ingest_listener *listener; /* by sl_pkt.listener */
	uint32_t listener_cnt;
	struct sl_ob_cfg batches;       /* `accepted` is filled in here */
	struct sl_waker *const *writer; /* one per writer: rung when batches were handed over */
	uint64_t near;                  /* a bit per writer that runs on this lcore's CPU */
	bool spin;                      /* never sleep */
	uint64_t tsc_hz;                /* 0: unknown, the clock is then read every turn */
	struct sl_ctr_lcore *ctr;
};

/* Copies the arrays. -EINVAL, -ENOMEM, -errno of eventfd(2). Control. */
SL_MUST_CHECK int sl_ingest_new(const struct sl_ingest_cfg *cfg, struct sl_ingest **ret_ingest);
void sl_ingest_free(struct sl_ingest *g); /* accepts NULL */

/* The fd of a port that had none at first: it exists once the port has started. -ENOSPC. Control,
 * before the loop runs. */
SL_MUST_CHECK int sl_ingest_watch(struct sl_ingest *g, uint32_t nth_port, int fd);

struct sl_route;
/*
 * Between two bursts the lcore closes what is open and exchanges its arrays for those of r, which
 * has the old ones once sl_ingest_took() is true. One at a time. Control.
 */
void sl_ingest_offer(struct sl_ingest *g, struct sl_route *r);
bool sl_ingest_took(const struct sl_ingest *g); /* acquire: nothing old is written to any more */
uint32_t sl_ingest_batches(const struct sl_ingest *g); /* of its pool. Control. */
/* As the loop has them; while nothing is offered. Control. */
const struct sl_ingest_listener *sl_ingest_listeners(const struct sl_ingest *g);

/* One turn over all ports: frames taken. For tests and benches; sl_ingest_run() does it for ever.
 */
unsigned sl_ingest_turn(struct sl_ingest *g);
/* Closes and hands over what is open; tells the writers. */
void sl_ingest_flush(struct sl_ingest *g);
/* Until stop; then fetches what the ports still hold, flushes and returns 0. An lcore_function_t.
 */
int sl_ingest_run(void *ingest);
void sl_ingest_stop(struct sl_ingest *g);

/* A writer rings it after it gave batches back: only armed while a patient port starves. */
struct sl_waker *sl_ingest_starved(struct sl_ingest *g);
/* Times the loop went to sleep. Same thread, or after it. */
uint64_t sl_ingest_sleeps(const struct sl_ingest *g);

#endif
