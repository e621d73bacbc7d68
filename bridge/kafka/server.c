/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>

#include "conn.h"
#include "groups.h"
#include "platform/base/clock.h"

#define REAP_BURST 64

static void worker_init(void *worker, void *arg)
{
	struct sl_kworker *w = worker;
	(void)arg;
	sl_scratch_init(&w->unpacked, SL_KSERVER_UNPACKED_MAX);
	sl_scratch_init(&w->packed, SL_KSERVER_UNPACKED_MAX);
}

static void worker_fini(void *worker)
{
	struct sl_kworker *w = worker;
	sl_scratch_fini(&w->unpacked);
	sl_scratch_fini(&w->packed);
}

static void groups_free(struct sl_kserver *s)
{
	sl_kgroups_fini(s->groups);
	free(s->groups);
	s->groups = NULL;
}

static int groups_new(struct sl_kserver *s)
{
	static const struct sl_kgroups_cfg none = {0};
	int rc;

	s->groups = calloc(1, sizeof(*s->groups));
	if (!s->groups)
		return -ENOMEM;
	rc = sl_kgroups_init(s->groups, s, s->cfg.groups ? s->cfg.groups : &none);
	s->cfg.groups = NULL; /* copied */
	if (rc) {
		free(s->groups);
		s->groups = NULL;
	}
	return rc;
}

int sl_kserver_init(struct sl_kserver *s, const struct sl_kserver_cfg *cfg)
{
	struct sl_pool_cfg pc = {.threads = cfg->workers,
				 .jobs_max = SL_KSERVER_JOBS_MAX,
				 .worker_bytes = sizeof(struct sl_kworker),
				 .worker_init = worker_init,
				 .worker_fini = worker_fini,
				 .wake = cfg->wake,
				 .arg = cfg->wake_arg};
	int efd = s->waker.efd, rc;

	memset(s, 0, sizeof(*s));
	s->waker.efd = efd;
	s->cfg = *cfg;
	s->topic_defaults = *cfg->topic_defaults;
	s->log_bad = (struct sl_log_limit)SL_LOG_LIMIT(10, 10000);
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->stalled);
	TAILQ_INIT(&s->starved);
	TAILQ_INIT(&s->wait_inject);
	TAILQ_INIT(&s->wait_sync);
	TAILQ_INIT(&s->wait_central);
	STAILQ_INIT(&s->admin);
	TAILQ_INIT(&s->parked);
	TAILQ_INIT(&s->cold);
	TAILQ_INIT(&s->fetching);
	TAILQ_INIT(&s->hungry);
	worker_init(&s->inline_worker, NULL);
	rc = groups_new(s);
	if (rc)
		goto fini_worker;
	rc = sl_pool_new(&pc, &s->pool);
	if (rc)
		goto free_groups;
	rc = sl_store_waker_add(cfg->store, &s->waker);
	if (rc)
		goto free_pool;
	rc = sl_injector_open(cfg->dp, &s->waker, &s->inj);
	if (rc)
		goto del_waker;
	return 0;

del_waker:
	sl_store_waker_del(cfg->store, &s->waker);
free_pool:
	sl_pool_free(s->pool);
	s->pool = NULL;
free_groups:
	groups_free(s);
fini_worker:
	worker_fini(&s->inline_worker);
	return rc;
}

void sl_kserver_fini(struct sl_kserver *s)
{
	if (!s->pool)
		return;
	SL_ASSERT(s->conn_cnt == 0 && s->appends_out == 0);
	groups_free(s);
	sl_injector_close(s->inj);
	sl_store_waker_del(s->cfg.store, &s->waker);
	sl_pool_free(s->pool);
	worker_fini(&s->inline_worker);
	sl_kbufs_fini(&s->bufs);
	s->pool = NULL;
}

uint64_t sl_kserver_mono_ns(const struct sl_kserver *s)
{
	return s->cfg.mono_ns ? s->cfg.mono_ns(s->cfg.clock_arg) : sl_clock_mono_ns();
}

int64_t sl_kserver_wall_ms(const struct sl_kserver *s)
{
	return s->cfg.wall_ms ? s->cfg.wall_ms(s->cfg.clock_arg) : sl_clock_wall_ms();
}

bool sl_kserver_over_budget(const struct sl_kserver *s)
{
	return atomic_load_explicit(&s->counters.memory, memory_order_relaxed) >
	       s->cfg.memory_bytes;
}

bool sl_kserver_has_room(const struct sl_kserver *s, uint64_t bytes)
{
	return atomic_load_explicit(&s->counters.memory, memory_order_relaxed) + bytes <=
	       s->cfg.memory_bytes;
}

void sl_kserver_cancel(struct sl_kserver *s)
{
	atomic_store_explicit(&s->cancelled, true, memory_order_relaxed);
}

bool sl_kserver_cancelled(const struct sl_kserver *s)
{
	return atomic_load_explicit(&s->cancelled, memory_order_relaxed);
}

/* Each element once: what is put back on the list while this runs waits for the next turn. */
static void retry_injects(struct sl_kserver *s)
{
	struct sl_korder *last = TAILQ_LAST(&s->wait_inject, sl_korder_list), *o = NULL;
	while (o != last) {
		o = TAILQ_FIRST(&s->wait_inject);
		sl_kproduce_inject(s, o); /* takes it off the list; may free it */
	}
}

static void retry_stalled(struct sl_kserver *s)
{
	struct sl_kconn *last = TAILQ_LAST(&s->stalled, sl_kconn_list), *c = NULL;
	while (c != last) {
		c = TAILQ_FIRST(&s->stalled);
		sl_kconn_pump(c); /* takes it off the list; may free it */
	}
}

static void use_freed(struct sl_kserver *s)
{
	struct sl_kconn *c;
	s->memory_freed = false;
	sl_kfetch_feed(s);
	while ((c = sl_kconn_next_starved(s)))
		sl_kconn_changed(c);
}

int sl_kserver_inject(struct sl_kserver *s, struct sl_kappend *x)
{
	int rc = sl_inject(s->inj, &x->a);
	if (rc)
		return rc;
	s->appends_out++;
	s->appends_awaited += x->a.ack != SL_ACK_RECEIVED;
	return 0;
}

/* False: there was nothing. */
static bool reap(struct sl_kserver *s)
{
	struct sl_append *done[REAP_BURST];
	unsigned n;
	bool some = false;

	do {
		n = sl_inject_reap(s->inj, done, REAP_BURST);
		for (unsigned i = 0; i < n; i++) {
			struct sl_kappend *x = SL_CONTAINER_OF(done[i], struct sl_kappend, a);
			SL_ASSERT(s->appends_out > 0);
			s->appends_out--;
			s->appends_awaited -= x->a.ack != SL_ACK_RECEIVED;
			x->back(s, x);
		}
		some |= n > 0;
	} while (n == REAP_BURST);
	return some;
}

/* What other threads have done to the logs since. */
static void look(struct sl_kserver *s)
{
	if (s->appends_out)
		reap(s);
	sl_kproduce_check_waiting(s);
	sl_kfetch_check_parked(s);
}

static bool move(struct sl_kserver *s)
{
	bool more;

	sl_pool_reap(s->pool);
	more = sl_kgroups_turn(s->groups);
	sl_kfetch_continue(s);
	retry_injects(s);
	retry_stalled(s);
	if (s->memory_freed)
		use_freed(s);
	if (sl_kserver_over_budget(s))
		sl_kfetch_squeeze(s);
	more |= sl_kgroups_busy(s->groups);
	return more || !TAILQ_EMPTY(&s->fetching) || s->memory_freed;
}

bool sl_kserver_turn(struct sl_kserver *s)
{
	look(s);
	return move(s);
}

bool sl_kserver_prepare(struct sl_kserver *s)
{
	bool more = move(s);
	bool waits = s->appends_awaited || s->appends_out >= SL_KSERVER_LAZY_MAX ||
		     !TAILQ_EMPTY(&s->stalled) || !TAILQ_EMPTY(&s->starved) ||
		     !TAILQ_EMPTY(&s->wait_sync) || !TAILQ_EMPTY(&s->wait_central) ||
		     !TAILQ_EMPTY(&s->parked) || !TAILQ_EMPTY(&s->wait_inject) ||
		     sl_kgroups_waits(s->groups);

	if (!waits) /* what comes back may let something start that is waited for */
		return (s->appends_out && reap(s)) || more;
	/* still armed: nothing has happened since the last look */
	if (atomic_load_explicit(&s->waker.armed, memory_order_relaxed))
		return more;
	sl_waker_arm(&s->waker); /* before looking: pairs with the fence in ring */
	return sl_kserver_turn(s);
}

uint64_t sl_kserver_due(const struct sl_kserver *s)
{
	return s->appends_out > s->appends_awaited ? sl_kserver_mono_ns(s) + SL_KSERVER_LAZY_NS
						   : UINT64_MAX;
}

/* Memory is short and somebody waits for it: the peer that holds most and does not get on goes. */
static void relieve(struct sl_kserver *s)
{
	struct sl_kconn *c, *worst = NULL;
	uint64_t most = 0;

	for (c = sl_kconn_first(s); c; c = sl_kconn_next(c)) {
		uint64_t held = sl_kconn_stalled_bytes(c);
		if (held > most) {
			most = held;
			worst = c;
		}
	}
	if (worst)
		sl_kconn_break(worst, "memory is short and the peer keeps too much of it");
}

void sl_kserver_tick(struct sl_kserver *s)
{
	struct sl_kconn *c;

	for (c = sl_kconn_first(s); c; c = sl_kconn_next(c))
		sl_kconn_tick(c);
	if (sl_kserver_over_budget(s) || !TAILQ_EMPTY(&s->starved)) {
		sl_kfetch_give_up(s); /* nobody waits for records with memory that others need */
		relieve(s);
	}
}

bool sl_kserver_quiet(const struct sl_kserver *s)
{
	struct sl_kconn *c;

	if (s->appends_out || sl_pool_pending(s->pool) || !sl_kgroups_quiet(s->groups))
		return false;
	for (c = sl_kconn_first(s); c; c = sl_kconn_next(c))
		if (!sl_kconn_quiet(c))
			return false;
	return true;
}
