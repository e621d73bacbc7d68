/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hk_job.c - what other threads have the housekeeper do, and wait for: whatever changes a
 * partition's files must not meet what the housekeeper does with them.
 */
#include <errno.h>

#include "store_int.h"

int sl_hk_call(struct sl_store *s, struct sl_hk_job *job)
{
	struct sl_hk *hk = &s->hk;
	struct sl_hk_job **at = &hk->job;

	SL_ASSERT(hk->running);
	job->done = false;
	job->next = NULL;
	pthread_mutex_lock(&hk->job_lock);
	while (*at)
		at = &(*at)->next;
	*at = job;
	/* pairs with the look after arming */
	atomic_store_explicit(&hk->job_new, true, memory_order_seq_cst);
	sl_waker_ring(&hk->waker);
	while (!job->done)
		pthread_cond_wait(&hk->job_done, &hk->job_lock);
	pthread_mutex_unlock(&hk->job_lock);
	return job->rc;
}

static int run(struct sl_store *s, struct sl_hk_job *job, uint64_t now)
{
	switch (job->kind) {
	case SL_JOB_DELETE:
		return sl_job_delete(s, job);
	case SL_JOB_DELETE_RECORDS:
		return sl_job_delete_records(s, job, now);
	case SL_JOB_CHECKPOINTS:
		break;
	}
	s->hk.checkpoint_sum = -1; /* whatever they are like */
	return sl_checkpoints_store(s, false);
}

static void finish(struct sl_hk *hk, struct sl_hk_job *job, int rc)
{
	pthread_mutex_lock(&hk->job_lock);
	job->rc = rc;
	job->done = true; /* its memory is the caller's again once the lock is free */
	pthread_cond_broadcast(&hk->job_done);
	pthread_mutex_unlock(&hk->job_lock);
}

void sl_hk_jobs(struct sl_store *s, uint64_t now)
{
	struct sl_hk *hk = &s->hk;
	struct sl_hk_job **at = &hk->waiting, *job;

	if (atomic_exchange_explicit(&hk->job_new, false, memory_order_acq_rel)) {
		while (*at)
			at = &(*at)->next;
		pthread_mutex_lock(&hk->job_lock);
		*at = hk->job;
		hk->job = NULL;
		pthread_mutex_unlock(&hk->job_lock);
	}
	for (at = &hk->waiting; (job = *at);) {
		int rc = run(s, job, now);
		if (rc == -EAGAIN) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		finish(hk, job, rc);
	}
}
