/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_init_producer_id.c - InitProducerId (key 22), versions 0 to 4, for idempotent producers.
 * There are no transactions: a transactional id gets an error that no client retries.
 */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "request.h"
#include "server.h"

struct init {
	struct sl_job job;
	struct sl_kreq *req;
	int64_t pid;
	int err;
};

static void answer(struct sl_kreq *r, int16_t err, int64_t pid)
{
	struct sl_kw *w = &r->out.w;
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, err);
	sl_kw_i64(w, err ? -1 : pid);
	sl_kw_i16(w, err ? -1 : 0); /* epoch */
	sl_kw_tags(w);
	sl_kreq_done(r);
}

static void job_run(struct sl_job *j, void *worker)
{
	struct init *x = SL_CONTAINER_OF(j, struct init, job);
	(void)worker;
	x->err = sl_store_producer_id(x->req->server->cfg.store, &x->pid);
}

static void job_done(struct sl_job *j)
{
	struct init *x = SL_CONTAINER_OF(j, struct init, job);
	struct sl_kreq *r = x->req;
	int16_t err = x->err ? SL_KERR_KAFKA_STORAGE_ERROR : 0;
	int64_t pid = x->pid;
	free(x);
	answer(r, err, pid);
}

int sl_kapi_init_producer_id(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in;
	struct sl_slice transactional_id = sl_kr_nstr(in);
	sl_kr_i32(in); /* transaction timeout */
	int64_t pid = r->version >= 3 ? sl_kr_i64(in) : -1;
	int16_t epoch = r->version >= 3 ? sl_kr_i16(in) : -1;
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	if (transactional_id.p) {
		answer(r,
		       transactional_id.len ? SL_KERR_UNSUPPORTED_VERSION : SL_KERR_INVALID_REQUEST,
		       -1);
		return 0;
	}
	if ((pid == -1) != (epoch == -1)) {
		answer(r, SL_KERR_INVALID_REQUEST, -1);
		return 0;
	}
	/* one that has an id gets a new one all the same, as Kafka does without a transactional id
	 */
	struct init *x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->req = r;
	x->job = (struct sl_job){.run = job_run, .done = job_done};
	int rc = sl_pool_submit(r->server->pool, &x->job);
	if (rc)
		free(x);
	return rc;
}
