/* SPDX-License-Identifier: Apache-2.0 */
/* kafka.c - the listener's life: its sockets, its thread, its end. */
#include "kafka.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inside.h"
#include "platform/base/clock.h"
#include "sock.h"

#define NS_PER_S        1000000000u
#define ACCEPT_BURST    64
#define ACCEPT_PAUSE_NS (NS_PER_S / 10)   /* when the box has run out of descriptors */
#define STOP_GRACE_NS   (5ull * NS_PER_S) /* at most, of stop's time: for appends to come back */
#define FLUSH_ROUNDS    4

struct acceptor {
	struct sl_kafka *kafka;
	struct sl_loop_fd f;
	struct sl_timer pause;
};

struct sl_kafka {
	const struct sl_config *config;
	struct sl_loop *loop;
	struct sl_kserver server;
	struct sl_ksocks socks;
	struct sl_kinside inside;
	struct sl_loop_fd waker;
	struct sl_timer tick, stop_timer;
	unsigned listener_cnt;
	struct sl_tcp_listener listener[SL_CFG_LISTEN_MAX];
	unsigned acceptor_cnt;
	struct acceptor acceptor[SL_CFG_LISTEN_MAX * SL_TCP_ADDRS_MAX];
	pthread_t thread;
	bool started;
	bool stopping, stopping_hard; /* hard: the peers' answers are no longer waited for */
	bool abandoned;
	struct sl_loop_msg stop_msg;
	uint64_t stop_deadline_ns;
};

/* ---- the loop's thread
 * --------------------------------------------------------------------------- */

static void resume_accept(void *arg)
{
	struct acceptor *a = arg;
	sl_loop_mod(a->kafka->loop, &a->f, EPOLLIN);
}

static void on_accept(void *arg, uint32_t events)
{
	struct acceptor *a = arg;
	struct sl_kafka *k = a->kafka;
	struct sl_tcp_addr peer, local;
	int fd;
	(void)events;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		int rc = sl_tcp_accept(a->f.fd, &fd, &peer, &local);
		if (rc == -EAGAIN)
			return;
		if (rc) {
			sl_log_limited(&k->server.log_bad, SL_LOG_WARN, "kafka", "accept: %s",
				       strerror(-rc));
			sl_loop_mod(k->loop, &a->f, 0);
			sl_timer_set(sl_loop_timers(k->loop), &a->pause,
				     sl_loop_now(k->loop) + ACCEPT_PAUSE_NS);
			return;
		}
		sl_ksocks_add(&k->socks, fd, &peer, &local);
		if (!k->tick.armed)
			sl_timer_set(sl_loop_timers(k->loop), &k->tick,
				     sl_loop_now(k->loop) + NS_PER_S);
	}
}

static void on_tick(void *arg)
{
	struct sl_kafka *k = arg;
	sl_kserver_tick(&k->server);
	if (k->socks.cnt) /* without connections the thread sleeps for good */
		sl_timer_set(sl_loop_timers(k->loop), &k->tick, sl_loop_now(k->loop) + NS_PER_S);
}

/* The turn that follows looks; edge-triggered, so nothing is to be read. */
static void on_waker(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

static void check_stopped(struct sl_kafka *k)
{
	if (!k->stopping)
		return;
	sl_kfetch_give_up(&k->server);
	sl_kgroups_give_up(k->server.groups, k->stopping_hard);
	sl_kproduce_give_up_central(&k->server); /* the uplink has been stopped before us */
	if (k->stopping_hard)
		sl_kproduce_give_up(&k->server);
	if (!sl_kserver_quiet(&k->server))
		return;
	sl_ksocks_close_all(&k->socks);
	SL_ASSERT(k->server.conn_cnt == 0);
	sl_loop_stop(k->loop);
}

static uint64_t prepare(void *arg)
{
	struct sl_kafka *k = arg;
	bool more = true;

	for (int i = 0; i < FLUSH_ROUNDS && more; i++) {
		more = sl_kserver_prepare(&k->server);
		more |= sl_kinside_turn(&k->inside);
		more |= sl_ksocks_flush(&k->socks); /* sending may start what waited for it */
	}
	check_stopped(k);
	more |= !TAILQ_EMPTY(&k->socks.dirty);
	return more ? 0 : sl_kserver_due(&k->server);
}

static void *thread_main(void *arg)
{
	struct sl_kafka *k = arg;
	int rc = sl_loop_run(k->loop);
	SL_ASSERT(rc == 0);
	return NULL;
}

/* ---- stopping
 * ------------------------------------------------------------------------------------ */

static void abandon(void *arg)
{
	struct sl_kafka *k = arg;
	sl_log(SL_LOG_ERROR, "kafka", "stop: %llu appends and %u jobs did not come back",
	       (unsigned long long)k->server.appends_out, sl_pool_pending(k->server.pool));
	k->abandoned = true;
	sl_loop_stop(k->loop);
}

/* The time is up: nobody gets an answer any more, only appends and jobs are waited for. */
static void stop_hard(void *arg)
{
	struct sl_kafka *k = arg;
	k->stopping_hard = true;
	sl_kserver_cancel(&k->server);
	sl_ksocks_close_all(&k->socks);
	k->stop_timer.fn = abandon;
	sl_timer_set(sl_loop_timers(k->loop), &k->stop_timer, k->stop_deadline_ns);
}

static void stop_soft(void *arg)
{
	struct sl_kafka *k = arg;

	for (unsigned i = 0; i < k->acceptor_cnt; i++) {
		sl_timer_cancel(sl_loop_timers(k->loop), &k->acceptor[i].pause);
		sl_loop_del(k->loop, &k->acceptor[i].f);
	}
	k->acceptor_cnt = 0;
	for (unsigned i = 0; i < k->listener_cnt; i++)
		sl_tcp_listener_close(&k->listener[i]);
	k->stopping = true;
	sl_kinside_close(&k->inside);
	sl_ksocks_stop_input(&k->socks);
	k->stop_timer.fn = stop_hard;
	k->stop_timer.arg = k;
	uint64_t now = sl_clock_mono_ns();
	uint64_t bound = k->stop_deadline_ns > now ? k->stop_deadline_ns - now : 0;
	sl_timer_set(sl_loop_timers(k->loop), &k->stop_timer,
		     now + bound - SL_MIN(STOP_GRACE_NS, bound / 4));
}

int sl_kafka_stop(struct sl_kafka *k, uint64_t deadline_ns)
{
	if (!k)
		return 0;
	if (!k->started)
		return k->abandoned ? -ETIMEDOUT : 0;
	k->stop_deadline_ns = deadline_ns;
	k->stop_msg = (struct sl_loop_msg){.fn = stop_soft, .arg = k};
	sl_loop_post(k->loop, &k->stop_msg);
	pthread_join(k->thread, NULL);
	k->started = false;
	return k->abandoned ? -ETIMEDOUT : 0;
}

/* ---- control
 * ------------------------------------------------------------------------------------- */

static int listen_all(struct sl_kafka *k, char *err, size_t errlen)
{
	for (uint32_t i = 0; i < k->config->kafka.listen_cnt; i++) {
		const struct sl_cfg_listen *l = &k->config->kafka.listen[i];
		int rc = sl_tcp_listen(l->host, l->port, &k->listener[i], err, errlen);
		if (rc)
			return rc;
		k->listener_cnt++;
	}
	return 0;
}

static void wake(void *arg)
{
	sl_loop_wake(arg);
}

static struct sl_kgroups_cfg groups_cfg(const struct sl_config *c)
{
	return (struct sl_kgroups_cfg){
		.initial_delay_ms = c->kafka.group_initial_delay_ms,
		.min_session_ms = c->kafka.group_min_session_ms,
		.max_session_ms = c->kafka.group_max_session_ms,
		.max_members = c->kafka.group_max_size,
		.partitions = c->kafka.offsets_partitions,
		.retention_ms = (uint64_t)c->kafka.offsets_retention_min * 60000,
		.check_ms = c->kafka.offsets_check_ms,
		.metadata_max = c->kafka.offset_metadata_max,
		.commit_logged = c->kafka.offsets_commit_acks == 1,
		.max_groups = c->kafka.max_groups,
		.max_offsets = c->kafka.max_offsets,
		.memory_bytes = c->kafka.group_memory_bytes,
	};
}

static int server_init(struct sl_kafka *k, const struct sl_kafka_cfg *cfg)
{
	const struct sl_config *c = cfg->config;
	struct sl_kgroups_cfg gc = groups_cfg(c);
	struct sl_kserver_cfg sc = {
		.store = cfg->store,
		.dp = cfg->dp,
		.timers = sl_loop_timers(k->loop),
		.node_id = cfg->node_id,
		.advertise_host = c->kafka.advertise.host,
		.advertise_port = c->kafka.advertise.port,
		.config = c,
		.num_partitions = c->kafka.num_partitions,
		.clamp_replication = c->kafka.clamp_replication,
		.auto_create = c->kafka.auto_create,
		.topic_defaults = &c->kafka.topic_defaults,
		.groups = &gc,
		.request_max_bytes = c->kafka.request_max_bytes,
		.memory_bytes = c->kafka.memory_bytes,
		.workers = c->kafka.workers,
		.idle_ms = c->kafka.idle_ms,
		.wake = wake,
		.wake_arg = k->loop,
	};
	k->server.waker.efd = k->waker.fd;
	int rc = sl_kserver_init(&k->server, &sc);
	if (!rc) /* answer only when ready: groups are known before the first client is */
		sl_kgroups_load(k->server.groups);
	return rc;
}

int sl_kafka_new(const struct sl_kafka_cfg *cfg, struct sl_kafka **ret_kafka, char *err,
		 size_t errlen)
{
	struct sl_kafka *k = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*k), SL_CACHELINE));
	int rc;

	if (!k)
		return -ENOMEM;
	memset(k, 0, sizeof(*k));
	k->config = cfg->config;
	k->waker.fd = -1;
	rc = listen_all(k, err, errlen);
	if (rc)
		goto fail;
	struct sl_loop_cfg lc = {.prepare = prepare, .arg = k};
	rc = sl_loop_new(&lc, &k->loop);
	if (rc)
		goto fail_say;
	k->waker = (struct sl_loop_fd){.fn = on_waker, .arg = k};
	k->waker.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = k->waker.fd < 0 ? -errno : sl_loop_add(k->loop, &k->waker, EPOLLIN | EPOLLET);
	if (!rc)
		rc = server_init(k, cfg);
	if (rc)
		goto fail_say;
	k->socks.loop = k->loop;
	k->socks.server = &k->server;
	k->socks.max = cfg->config->kafka.max_connections;
	sl_ksocks_init(&k->socks);
	sl_kinside_init(&k->inside, &k->server, k->loop);
	*ret_kafka = k;
	return 0;

fail_say:
	snprintf(err, errlen, "%s", strerror(-rc));
fail:
	sl_kafka_free(k);
	return rc;
}

static int start_accepting(struct sl_kafka *k)
{
	for (unsigned i = 0; i < k->listener_cnt; i++) {
		for (unsigned j = 0; j < k->listener[i].fd_cnt; j++) {
			struct acceptor *a = &k->acceptor[k->acceptor_cnt];
			a->kafka = k;
			a->f = (struct sl_loop_fd){
				.fd = k->listener[i].fd[j], .fn = on_accept, .arg = a};
			a->pause.fn = resume_accept;
			a->pause.arg = a;
			int rc = sl_loop_add(k->loop, &a->f, EPOLLIN);
			if (rc)
				return rc;
			k->acceptor_cnt++;
		}
	}
	return 0;
}

int sl_kafka_start(struct sl_kafka *k)
{
	sigset_t all, old;
	int rc = start_accepting(k);

	if (rc)
		return rc;
	k->tick.fn = on_tick;
	k->tick.arg = k;
	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&k->thread, NULL, thread_main, k);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	pthread_setname_np(k->thread, "sl-kafka");
	k->started = true;
	return 0;
}

void sl_kafka_free(struct sl_kafka *k)
{
	if (!k)
		return;
	SL_ASSERT(!k->started);
	if (k->abandoned)
		return; /* the data plane still holds memory of ours: better lost than used */
	for (unsigned i = 0; i < k->listener_cnt; i++)
		sl_tcp_listener_close(&k->listener[i]);
	sl_kserver_fini(&k->server);
	if (k->waker.fd >= 0)
		close(k->waker.fd);
	sl_loop_free(k->loop);
	free(k);
}

uint16_t sl_kafka_port(const struct sl_kafka *k, unsigned i)
{
	return i < k->listener_cnt ? k->listener[i].port : 0;
}

/* ---- committed offsets for the inside -------------------------------------------------------- */

static int offsets_fetch(void *arg, const char *group, const char *topic, int32_t partition,
			 int64_t *ret_offset)
{
	struct sl_kafka *k = arg;
	return sl_kinside_fetch(&k->inside, group, topic, partition, ret_offset);
}

static int offsets_commit(void *arg, const char *group, const char *topic, int32_t partition,
			  int64_t offset, const char *metadata)
{
	struct sl_kafka *k = arg;
	return sl_kinside_commit(&k->inside, group, topic, partition, offset, metadata);
}

const struct sl_offsets_ops *sl_kafka_offsets_ops(void)
{
	static const struct sl_offsets_ops ops = {.fetch = offsets_fetch, .commit = offsets_commit};
	return &ops;
}

void sl_kafka_stats(struct sl_kafka *k, struct sl_kafka_stats *ret_stats)
{
	struct sl_kcounters *c = &k->server.counters;
	struct sl_kgroup_counters *g = &k->server.groups->counters;
#define GET(f) atomic_load_explicit(&c->f, memory_order_relaxed)
	*ret_stats = (struct sl_kafka_stats){
		.connections = GET(connections),
		.connections_total = GET(connections_total),
		.connections_refused = GET(connections_refused),
		.requests_total = GET(requests),
		.request_errors_total = GET(request_errors),
		.bytes_in = GET(bytes_in),
		.bytes_out = GET(bytes_out),
		.memory_bytes = GET(memory),
		.produce_records = GET(produce_records),
		.produce_errors = GET(produce_errors),
		.admin_errors = GET(admin_errors),
		.central_refused = GET(central_refused),
		.fetch_bytes = GET(fetch_bytes),
		.fetch_from_disk = GET(fetch_from_disk),
	};
#undef GET
#define GET(f) atomic_load_explicit(&g->f, memory_order_relaxed)
	ret_stats->groups = GET(groups);
	ret_stats->group_members = GET(members);
	ret_stats->group_offsets = GET(offsets);
	ret_stats->group_rebalances = GET(rebalances);
	ret_stats->offset_commits = GET(commits);
	ret_stats->offsets_expired = GET(expired);
	ret_stats->group_refused = GET(refused);
	ret_stats->group_foreign = GET(foreign);
	ret_stats->group_write_errors = GET(write_errors);
	ret_stats->group_compactions = GET(compactions);
#undef GET
}
