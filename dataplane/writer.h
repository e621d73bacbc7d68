/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - the loop of one writer lcore: it alone appends to the partitions it owns.
 *
 * Batches come over lanes: one from every ingest lcore, one from every injector (inject.h). A lane
 * is a pair of rings, and its order is kept: a batch that storage cannot take yet (-EAGAIN) stays
 * at the head, and nothing behind it is taken. What storage refuses for good it has counted; the
 * batch goes back like one that was appended, with the error in it.
 *
 * Idle: it sleeps on its own eventfd, which a producer rings only if the writer has said that it
 * sleeps, and on the store's fd, until the store's deadline.
 *
 * Thread roles: control makes, stops and frees; one thread runs (or turns, in tests).
 */
#ifndef SL_DATAPLANE_WRITER_H
#define SL_DATAPLANE_WRITER_H

#include "handoff.h"
#include "idle.h"
#include "sluice/counters.h"
#include "sluice/ingest.h"

#define SL_WRITER_BURST 32 /* batches of a lane per turn */

struct sl_writer;

/* A lane from an injector, as the writer sees it. Owned by the injector set (inject.c). */
struct sl_inject_lane {
	struct sl_handoff rings;
	_Atomic(struct sl_waker *) done; /* rung after something was given back; NULL: nobody */
};

struct sl_writer_cfg {
	struct sl_store *store;
	unsigned idx;        /* of the store's writers */
	unsigned ingest_cnt; /* lanes of ingest lcores */
	bool spin;           /* never sleep */
	bool shares_cpu;     /* with an ingest lcore: empty turns are taken from it */
	struct sl_ctr_writer *ctr;
};

/* -EINVAL, -ENOMEM, -errno of eventfd(2). Control. */
SL_MUST_CHECK int sl_writer_new(const struct sl_writer_cfg *cfg, struct sl_writer **ret_writer);
void sl_writer_free(struct sl_writer *w); /* accepts NULL */
/* The lane of the nth ingest lcore; `starved` (may be NULL) is rung after batches were given back.
 * Both stay for the life of the writer. Control, before it runs. */
void sl_writer_set_ingest(struct sl_writer *w, unsigned nth, struct sl_handoff *lane,
			  struct sl_waker *starved);

/* Attaches to the store, runs until stop, drains, detaches. 0 or -errno. An lcore_function_t. */
int sl_writer_run(void *writer);
/* Waits until it runs: 0, or why it could not attach. Control; blocks for a moment. */
SL_MUST_CHECK int sl_writer_wait_up(struct sl_writer *w);
/*
 * No producer gives any more. The writer appends what lies in its lanes, writes and syncs it, at
 * most until deadline_ns (monotonic), and counts the rest as failed[shutdown]. Control.
 */
void sl_writer_stop(struct sl_writer *w, uint64_t deadline_ns);
/* After the thread has ended: 0, -ETIMEDOUT if something was left. */
int sl_writer_outcome(const struct sl_writer *w);

struct sl_waker *sl_writer_waker(struct sl_writer *w); /* producers ring it after they gave */

/* Publishes an injector's lane; it stays for the life of the writer. nth < SL_INJECTORS_MAX. */
void sl_writer_add_lane(struct sl_writer *w, unsigned nth, struct sl_inject_lane *lane);
/* Waits until the writer has passed between two turns, or has ended. Control. */
void sl_writer_quiesce(struct sl_writer *w);
/* It has ended, and takes nothing from its lanes any more. Any thread. */
bool sl_writer_gone(const struct sl_writer *w);

/* The steps of sl_writer_run(), for tests and benches, all on one thread. */
SL_MUST_CHECK int sl_writer_attach(struct sl_writer *w);
unsigned sl_writer_turn(struct sl_writer *w);                    /* things that moved */
int sl_writer_finish(struct sl_writer *w, uint64_t deadline_ns); /* drains and detaches */

#endif
