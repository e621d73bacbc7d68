/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "mirror_priv.h"
#include "platform/base/clock.h"

#define NS_PER_MS 1000000ull
#define LEAVE_MS  300 /* for the library to let go, after the store is done with */
#define STEP_MS   20

bool sl_mirror_has(const struct sl_config *cfg, const char *topic)
{
	for (uint32_t i = 0; i < cfg->uplink.mirror_cnt; i++)
		if (strcmp(cfg->uplink.mirror[i], topic) == 0)
			return true;
	return false;
}

bool sl_mirror_stopping(const struct sl_mirror *m)
{
	return atomic_load_explicit(&m->stop, memory_order_acquire);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

void sl_mirror_error(struct sl_mirror *m, const char *fmt, ...)
{
	char text[SL_CFG_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sl_log_limited(&m->limit, SL_LOG_WARN, "uplink", "mirror: %s", text);
	pthread_mutex_lock(&m->lock);
	memcpy(m->stats.last_error, text, sizeof(text));
	m->stats.connected = false;
	pthread_mutex_unlock(&m->lock);
}

static uint64_t draw(struct sl_mirror *m)
{
	m->rng = m->rng * 6364136223846793005u + 1442695040888963407u;
	return m->rng >> 33;
}

uint64_t sl_mirror_again(struct sl_mirror *m, uint32_t *backoff_ms)
{
	const uint32_t min = SL_MAX(m->cfg.config->uplink.backoff_min_ms, 100u);
	const uint32_t max = SL_MAX(m->cfg.config->uplink.backoff_max_ms, min);
	uint32_t ms = *backoff_ms ? *backoff_ms * 2 : min;

	*backoff_ms = ms = SL_MIN(ms, max);
	/* three quarters of it and up to a half more: a fleet does not come back at once */
	return sl_clock_mono_ns() + (ms * 3ull / 4 + draw(m) % (ms / 2 + 1)) * NS_PER_MS;
}

/* ---- what is kept ---------------------------------------------------------------------------- */

/* Only what no power cut takes back. True: something has changed. */
static bool note(struct sl_mirror *m, struct sl_mirror_part *p)
{
	struct sl_mpos pos = {.partition = p->id, .local = p->local, .central = p->central};

	if (!p->unsaved || sl_part_synced(p->part) < p->local)
		return false;
	snprintf(pos.topic, sizeof(pos.topic), "%s", p->topic->name);
	memcpy(pos.id, sl_topic_id(p->topic->topic), sizeof(pos.id));
	if (sl_mpos_set(&m->saved, &pos))
		return false;
	p->unsaved = false;
	return true;
}

static void save(struct sl_mirror *m)
{
	bool changed = false;
	int rc;

	m->save_ns = sl_clock_mono_ns() + SL_MIRROR_SAVE_NS;
	for (uint32_t i = 0; i < m->topic_cnt; i++)
		for (uint32_t k = 0; k < m->topic[i].part_cnt; k++)
			changed |= note(m, &m->topic[i].part[k]);
	rc = changed ? sl_mpos_write(m->path, &m->saved) : 0;
	if (rc)
		sl_mirror_error(m, "writing %s: %s", m->path, strerror(-rc));
}

static void count_lag(struct sl_mirror *m)
{
	int64_t lag = 0;

	for (uint32_t i = 0; i < m->topic_cnt; i++) {
		for (uint32_t k = 0; lag >= 0 && k < m->topic[i].part_cnt; k++) {
			const struct sl_mirror_part *p = &m->topic[i].part[k];

			if (p->high < 0)
				lag = -1;
			else
				lag += SL_MAX(p->high - SL_MAX(p->next, 0), 0);
		}
	}
	pthread_mutex_lock(&m->lock);
	m->stats.lag = lag;
	pthread_mutex_unlock(&m->lock);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static rd_kafka_topic_t *topic_handle(struct sl_mirror *m, struct sl_mirror_topic *t)
{
	rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(m->client->rk);

	rd_kafka_topic_conf_set_opaque(conf, t);
	return rd_kafka_topic_new(m->client->rk, t->name, conf);
}

/* A consumer, as soon as the settings make one: a secret may not be there yet. */
static bool have_client(struct sl_mirror *m, uint64_t now)
{
	char err[SL_RDK_TEXT];

	if (m->client || now < m->client_due_ns)
		return m->client != NULL;
	if (sl_rdk_client_new(&m->set, SL_RDK_MIRROR, &m->client, err, sizeof(err))) {
		sl_mirror_error(m, "%s", err);
		m->client_due_ns = sl_mirror_again(m, &m->client_backoff_ms);
		return false;
	}
	m->q = rd_kafka_queue_new(m->client->rk);
	for (uint32_t i = 0; i < m->topic_cnt; i++)
		m->topic[i].rkt = topic_handle(m, &m->topic[i]);
	return true;
}

/* A local topic that was deleted is made again at once, not when the next record comes. */
static void look_at_store(struct sl_mirror *m)
{
	uint64_t now = sl_store_generation(m->cfg.store);

	for (uint32_t i = 0; now != m->generation && i < m->topic_cnt; i++)
		if (sl_mirror_topic_deleted(&m->topic[i]))
			m->topic[i].due_ns = 0;
	m->generation = now;
}

static void turn(struct sl_mirror *m)
{
	const struct timespec step = {.tv_nsec = SL_MIRROR_POLL_MS * 1000000L};
	uint64_t now = sl_clock_mono_ns();

	if (!have_client(m, now)) {
		nanosleep(&step, NULL);
		return;
	}
	look_at_store(m);
	for (uint32_t i = 0; i < m->topic_cnt && !sl_mirror_stopping(m); i++)
		sl_mirror_topic_tend(m, &m->topic[i], now);
	(void)sl_mirror_copy(m);
	if (sl_clock_mono_ns() >= m->save_ns)
		save(m);
	count_lag(m);
}

static void *thread_main(void *arg)
{
	struct sl_mirror *m = arg;
	struct sl_rdk_client *client;
	rd_kafka_topic_t *rkt[SL_CFG_DOWNLINKS_MAX];
	rd_kafka_queue_t *q;
	uint32_t cnt = m->topic_cnt;

	while (!sl_mirror_stopping(m))
		turn(m);
	save(m);
	for (uint32_t i = 0; i < cnt; i++) {
		rkt[i] = m->topic[i].rkt;
		sl_mirror_topic_drop(m, &m->topic[i]);
	}
	client = m->client;
	q = m->q;
	/* From here on m may go: the library can take its time (a name being resolved). */
	atomic_store_explicit(&m->released, true, memory_order_release);
	for (uint32_t i = 0; client && i < cnt; i++)
		rd_kafka_topic_destroy(rkt[i]);
	if (q)
		rd_kafka_queue_destroy(q);
	sl_rdk_client_free(client);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int read_saved(struct sl_mirror *m)
{
	int rc = sl_mpos_read(m->path, &m->saved);

	if (rc == -ENOENT || rc == -ENOMEM)
		return rc == -ENOENT ? 0 : rc;
	if (rc)
		sl_log(SL_LOG_WARN, "uplink", "mirror: %s is not used (%s): the log tells alone",
		       m->path, rc == -EPROTO ? "it is of a newer version" : "damaged");
	return 0;
}

static int open_all(struct sl_mirror *m)
{
	int rc;

	m->done.efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->done.efd < 0)
		return -errno;
	rc = sl_cursor_mem_init(&m->mem);
	if (!rc)
		rc = read_saved(m);
	return rc ? rc : sl_injector_open(m->cfg.dp, &m->done, &m->inj);
}

int sl_mirror_new(const struct sl_mirror_cfg *cfg, struct sl_mirror **ret_mirror, char *err,
		  size_t errlen)
{
	const struct sl_config *c = cfg->config;
	struct sl_mirror *m;
	int rc;

	if (!c->uplink.bootstrap[0] || !c->uplink.mirror_cnt) {
		*ret_mirror = NULL;
		return 0;
	}
	m = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*m), SL_CACHELINE));
	if (!m) {
		snprintf(err, errlen, "mirror: out of memory");
		return -ENOMEM;
	}
	memset(m, 0, sizeof(*m));
	m->cfg = *cfg;
	m->ctr = cfg->counters ? &cfg->counters->bridge[SL_CTR_MIRROR] : NULL;
	m->limit = (struct sl_log_limit)SL_LOG_LIMIT(10, 60000);
	m->stats.lag = -1;
	m->rng = sl_clock_mono_ns();
	m->done.efd = -1;
	pthread_mutex_init(&m->lock, NULL);
	sl_rdk_settings_from(c, &m->set);
	snprintf(m->path, sizeof(m->path), "%s/state/mirror", c->gateway.data);
	for (uint32_t i = 0; i < c->uplink.mirror_cnt; i++)
		m->topic[m->topic_cnt++].name = c->uplink.mirror[i];
	rc = sl_rdk_settings_check(&m->set, err, errlen);
	if (!rc && (rc = open_all(m)))
		snprintf(err, errlen, "mirror: %s", strerror(-rc));
	if (rc) {
		sl_mirror_free(m);
		return rc;
	}
	*ret_mirror = m;
	return 0;
}

int sl_mirror_start(struct sl_mirror *m)
{
	sigset_t all, old;
	int rc;

	if (!m)
		return 0;
	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = -pthread_create(&m->thread, NULL, thread_main, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	pthread_setname_np(m->thread, "sl-mirror");
	m->running = true;
	return 0;
}

int sl_mirror_stop(struct sl_mirror *m, uint64_t deadline_ns)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	uint64_t end;
	struct timespec until;

	if (!m || !m->running)
		return 0;
	atomic_store_explicit(&m->stop, true, memory_order_release);
	while (!atomic_load_explicit(&m->released, memory_order_acquire)) {
		if (sl_clock_mono_ns() >= deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&step, NULL);
	}
	end = sl_clock_mono_ns() + LEAVE_MS * NS_PER_MS;
	until = (struct timespec){.tv_sec = (time_t)(end / 1000000000u),
				  .tv_nsec = (long)(end % 1000000000u)};
	if (pthread_clockjoin_np(m->thread, NULL, CLOCK_MONOTONIC, &until))
		pthread_detach(m->thread); /* it touches nothing of ours any more */
	m->running = false;
	return 0;
}

void sl_mirror_free(struct sl_mirror *m)
{
	if (!m)
		return;
	SL_ASSERT(!m->running);
	sl_injector_close(m->inj);
	sl_cursor_mem_fini(&m->mem);
	sl_mpos_fini(&m->saved);
	free(m->hdr);
	if (m->done.efd >= 0)
		close(m->done.efd);
	pthread_mutex_destroy(&m->lock);
	explicit_bzero(&m->set, sizeof(m->set));
	free(m);
}

void sl_mirror_stats(struct sl_mirror *m, struct sl_mirror_stats *ret_stats)
{
	*ret_stats = (struct sl_mirror_stats){.lag = -1};
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	*ret_stats = m->stats;
	pthread_mutex_unlock(&m->lock);
}
