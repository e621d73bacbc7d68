/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - a few threads that do what would make a loop wait: disk, decompression, file creation.
 *
 * Jobs are embedded nodes, started in the order of submission, bounded in number. A job runs on a
 * worker and comes back to the owner's thread, which takes it with sl_pool_reap(). With no threads
 * the jobs run inside sl_pool_reap(): deterministic, for tests.
 */
#ifndef SL_NET_POOL_H
#define SL_NET_POOL_H

#include "sluice/base.h"

#define SL_POOL_THREADS_MAX 64

struct sl_pool;

struct sl_job { /* embedded; belongs to the pool from submit until done runs */
	struct sl_job *next;
	void (*run)(struct sl_job *j,
		    void *worker);      /* on a worker; `worker` is that thread's own */
	void (*done)(struct sl_job *j); /* on the owner's thread */
};

struct sl_pool_cfg {
	unsigned threads;    /* 0 .. SL_POOL_THREADS_MAX */
	unsigned jobs_max;   /* submitted and not yet reaped */
	size_t worker_bytes; /* each worker's own memory, zeroed; for scratch space */
	void (*worker_init)(void *worker, void *arg); /* may be NULL; on the control thread */
	void (*worker_fini)(void *worker);            /* may be NULL; on the control thread */
	void (*wake)(void *arg); /* a worker: something can be reaped, may be NULL */
	void *arg;
};

SL_MUST_CHECK int sl_pool_new(const struct sl_pool_cfg *cfg, struct sl_pool **ret_pool);
/* Waits for jobs under way; the rest neither run nor come back. Accepts NULL. Control; blocks. */
void sl_pool_free(struct sl_pool *p);
/* Takes j. -EAGAIN: jobs_max are under way. The owner's thread; never blocks on a job. */
SL_MUST_CHECK int sl_pool_submit(struct sl_pool *p, struct sl_job *j);
/* Runs done() of jobs that have come back, in the order in which they ended. How many. Owner. */
unsigned sl_pool_reap(struct sl_pool *p);
unsigned sl_pool_pending(const struct sl_pool *p); /* submitted and not reaped; owner */

#endif
