/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct jobs { /* first in, first out */
	struct sl_job *head, *tail;
};

struct worker {
	struct sl_pool *pool;
	pthread_t thread;
	void *mem;
	bool running;
};

struct sl_pool {
	struct sl_pool_cfg cfg;
	unsigned pending; /* owner */
	unsigned worker_cnt;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct jobs todo, ended; /* under lock */
	bool stop;               /* under lock */
	struct worker worker[];
};

static void jobs_push(struct jobs *q, struct sl_job *j)
{
	j->next = NULL;
	if (q->tail)
		q->tail->next = j;
	else
		q->head = j;
	q->tail = j;
}

static struct sl_job *jobs_pop(struct jobs *q)
{
	struct sl_job *j = q->head;
	if (j) {
		q->head = j->next;
		if (!q->head)
			q->tail = NULL;
	}
	return j;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct sl_pool *p = w->pool;

	(void)pthread_setname_np(pthread_self(), "sl-worker");
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct sl_job *j = jobs_pop(&p->todo);
		if (!j) {
			pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		j->run(j, w->mem);
		pthread_mutex_lock(&p->lock);
		bool first = !p->ended.head;
		jobs_push(&p->ended, j);
		if (first && p->cfg.wake) {
			pthread_mutex_unlock(&p->lock);
			p->cfg.wake(p->cfg.arg);
			pthread_mutex_lock(&p->lock);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int worker_start(struct sl_pool *p, struct worker *w)
{
	sigset_t all, old;
	int rc;

	w->pool = p;
	w->mem = calloc(1, p->cfg.worker_bytes ? p->cfg.worker_bytes : 1);
	if (!w->mem)
		return -ENOMEM;
	if (p->cfg.worker_init)
		p->cfg.worker_init(w->mem, p->cfg.arg);
	if (p->cfg.threads == 0)
		return 0;
	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = rc == 0;
	return rc;
}

int sl_pool_new(const struct sl_pool_cfg *cfg, struct sl_pool **ret_pool)
{
	unsigned workers = cfg->threads ? cfg->threads : 1;
	struct sl_pool *p;

	if (cfg->threads > SL_POOL_THREADS_MAX || cfg->jobs_max == 0)
		return -EINVAL;
	p = calloc(1, sizeof(*p) + workers * sizeof(p->worker[0]));
	if (!p)
		return -ENOMEM;
	p->cfg = *cfg;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	while (p->worker_cnt < workers) {
		int rc = worker_start(p, &p->worker[p->worker_cnt++]);
		if (rc) {
			sl_pool_free(p);
			return rc;
		}
	}
	*ret_pool = p;
	return 0;
}

void sl_pool_free(struct sl_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->worker_cnt; i++) {
		struct worker *w = &p->worker[i];
		if (w->running)
			pthread_join(w->thread, NULL);
		if (w->mem && p->cfg.worker_fini)
			p->cfg.worker_fini(w->mem);
		free(w->mem);
	}
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int sl_pool_submit(struct sl_pool *p, struct sl_job *j)
{
	SL_ASSERT(j->run && j->done);
	if (p->pending >= p->cfg.jobs_max)
		return -EAGAIN;
	p->pending++;
	pthread_mutex_lock(&p->lock);
	jobs_push(&p->todo, j);
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void run_inline(struct sl_pool *p)
{
	struct sl_job *j;
	while ((j = jobs_pop(&p->todo))) {
		j->run(j, p->worker[0].mem);
		jobs_push(&p->ended, j);
	}
}

unsigned sl_pool_reap(struct sl_pool *p)
{
	unsigned n = 0;

	if (p->pending == 0)
		return 0;
	if (p->cfg.threads == 0)
		run_inline(p);
	pthread_mutex_lock(&p->lock);
	struct jobs ended = p->ended;
	p->ended = (struct jobs){NULL, NULL};
	pthread_mutex_unlock(&p->lock);
	for (struct sl_job *j; (j = jobs_pop(&ended)); n++) {
		p->pending--;
		j->done(j);
	}
	return n;
}

unsigned sl_pool_pending(const struct sl_pool *p)
{
	return p->pending;
}
