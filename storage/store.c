/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - opening and closing a store, and what belongs to all of it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "store_int.h"

#define DEFAULT_STRIPE_DIR "/dev/shm"
#define PID_FILE           "producer-ids"

int64_t sl_store_now_ms(const struct sl_store *s)
{
	return s->cfg.now_ms ? s->cfg.now_ms(s->cfg.now_arg) : sl_clock_wall_ms();
}

unsigned sl_store_writer_of(const struct sl_store *s, const uint8_t topic_id[16], int32_t part)
{
	return (unsigned)((topic_id[0] + (uint32_t)part) % s->cfg.writers);
}

const char *sl_store_io_name(const struct sl_store *s)
{
	return s->io->name;
}

const char *sl_store_log_dir(const struct sl_store *s)
{
	return s->log_path;
}

const char *sl_store_cluster_id(const struct sl_store *s)
{
	return s->dir.cluster_id;
}

/* ---- wakers -------------------------------------------------------------------------------- */

int sl_store_waker_add(struct sl_store *s, struct sl_waker *k)
{
	for (unsigned i = 0; i < SL_STORE_WAKERS_MAX; i++) {
		struct sl_waker *none = NULL;
		if (atomic_compare_exchange_strong(&s->waker[i], &none, k))
			return 0;
	}
	return -ENOSPC;
}

void sl_store_waker_del(struct sl_store *s, struct sl_waker *k)
{
	for (unsigned i = 0; i < SL_STORE_WAKERS_MAX; i++) {
		struct sl_waker *mine = k;
		atomic_compare_exchange_strong(&s->waker[i], &mine, NULL);
	}
}

void sl_store_ring(struct sl_store *s)
{
	for (unsigned i = 0; i < SL_STORE_WAKERS_MAX; i++) {
		struct sl_waker *k = atomic_load_explicit(&s->waker[i], memory_order_acquire);
		if (k)
			sl_waker_ring(k);
	}
}

/* ---- opening ------------------------------------------------------------------------------- */

static int check_cfg(const struct sl_store_cfg *c, char *err, size_t len)
{
	if (!c->data || c->writers == 0 || c->writers > SL_STORE_WRITERS_MAX) {
		snprintf(err, len, "data directory and 1 to %d writers are needed",
			 SL_STORE_WRITERS_MAX);
		return -EINVAL;
	}
	if (c->stripe_bytes / c->writers < SL_STRIPE_MIN_BYTES) {
		snprintf(err, len, "%u writers need %llu MiB of stripes at least", c->writers,
			 c->writers * SL_STRIPE_MIN_BYTES >> 20);
		return -EINVAL;
	}
	if (c->budget_fraction < 0 || c->budget_fraction > 1 || c->reserve_fraction < 0 ||
	    c->reserve_fraction > 1) {
		snprintf(err, len, "budget and reserve are fractions of 0 to 1");
		return -EINVAL;
	}
	return 0;
}

static void defaults(struct sl_store_cfg *c)
{
	if (!c->sync_interval_us)
		c->sync_interval_us = 10000;
	if (!c->sync_bytes)
		c->sync_bytes = 8u << 20;
	if (!c->flush_interval_ms)
		c->flush_interval_ms = 1000;
	if (!c->retention_check_ms)
		c->retention_check_ms = 30000;
	if (!c->pid_expiry_ms)
		c->pid_expiry_ms = 86400000;
}

static void empty_spares(struct sl_store *s)
{
	int fd = sl_dir_open(s->dir.state_fd, "spare", false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	if (d)
		closedir(d);
}

static int add_to_journal(struct sl_part *p, void *arg)
{
	struct sl_store *s = arg;
	const struct sl_seg *g = atomic_load(&p->active);
	struct sl_tail_mark m = {
		.part = p->pub.id,
		.fresh = g->fresh,
		.seg_base = g->base,
		.end_pos = sl_seg_size(g),
		.synced = sl_part_synced(p),
		.bytes = p->tail_blk,
	};

	memcpy(m.topic_id, p->pub.topic->id, 16);
	return sl_tail_add(&s->tail, &m, &p->journal_slot);
}

/* A journal that says where every log ends now, in the place of the last one. */
static int new_journal(struct sl_store *s)
{
	struct sl_tail t = {.fd = -1};

	sl_tail_fini(&s->tail);
	int err = sl_tail_make(&t, s->dir.state_fd, atomic_load(&s->direct), s->io);
	s->tail = t;
	if (!err)
		err = sl_store_each_part(s, add_to_journal, s);
	if (!err)
		err = sl_tail_sync(&s->tail);
	return err ? err : sl_tail_publish(&s->tail, s->dir.state_fd);
}

static int assign_writer(struct sl_part *p, void *arg)
{
	struct sl_store *s = arg;

	p->pub.writer = (uint16_t)sl_store_writer_of(s, p->pub.topic->id, p->pub.id);
	p->w = &s->writer[p->pub.writer];
	p->pool = p->w->pool;
	return 0;
}

static int make_writers(struct sl_store *s)
{
	size_t bytes = s->cfg.writers * sizeof(*s->writer);

	s->writer = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(bytes, SL_CACHELINE));
	if (!s->writer)
		return -ENOMEM;
	memset(s->writer, 0, bytes);
	int err = 0;
	for (unsigned i = 0; i < s->cfg.writers && !err; i++)
		err = sl_writer_init(&s->writer[i], s, i);
	return err ? err : sl_store_each_part(s, assign_writer, s);
}

static int make_stripes(struct sl_store *s, char *err_text, size_t errlen)
{
	int err = sl_arena_make(&s->arena, s->stripe_dir, s->dir.directory_id, s->dir.run + 1,
				s->cfg.writers, s->cfg.stripe_bytes);

	if (!err)
		err = sl_arena_publish(&s->arena);
	if (err)
		snprintf(err_text, errlen, "%" PRIu64 " MiB of stripes in %s: %s",
			 s->cfg.stripe_bytes >> 20, s->stripe_dir, strerror(-err));
	return err;
}

static int pick_io(struct sl_store *s, char *err_text, size_t errlen)
{
	s->io = sl_io_pick(s->cfg.io);
	if (s->io)
		return 0;
	snprintf(err_text, errlen, "I/O back end %s is not usable here",
		 s->cfg.io ? s->cfg.io : "");
	return -ENOTSUP;
}

static int count_sizes(struct sl_part *p, void *arg)
{
	int64_t sum = 0;
	(void)arg;

	for (uint32_t i = 0; i < p->seg_cnt; i++)
		sum += sl_seg_size(p->segs[i]);
	atomic_store(&p->pub.size_bytes, sum);
	return 0;
}

static void set_budget(struct sl_store *s)
{
	struct statfs fs;

	atomic_store(&s->budget, s->cfg.budget_bytes);
	if (s->cfg.budget_fraction > 0 && fstatfs(s->dir.log_fd, &fs) == 0)
		atomic_store(&s->budget, (uint64_t)(s->cfg.budget_fraction * (double)fs.f_blocks *
						    (double)fs.f_bsize));
}

/*
 * The order matters: what the last run logged is in the files and synced before the journal is
 * replaced, the journal says so before the run number makes the old stripes stale, and only then
 * do they go.
 */
static char *log_path(const char *data)
{
	char *real = realpath(data, NULL), *path = NULL;

	if (real && asprintf(&path, "%s/log", real) < 0)
		path = NULL;
	free(real);
	return path;
}

static int open_store(struct sl_store *s, struct sl_store_recovery *rec, char *e, size_t len)
{
	int err = sl_layout_open(&s->dir, s->cfg.data, s->cfg.lock_fd, e, len);

	if (!err)
		err = pick_io(s, e, len);
	if (!err && !(s->log_path = log_path(s->cfg.data)))
		err = -errno;
	s->hk.checkpoint_sum = -1; /* the first ones are written, whatever they say */
	if (!err)
		err = sl_topics_load(s);
	if (err)
		return err;
	empty_spares(s);
	sl_stock_load(s);
	set_budget(s);
	err = sl_recover(s, rec, e, len);
	if (err)
		return err;
	sl_intents_finish(s);
	err = new_journal(s);
	if (!err)
		err = sl_checkpoints_store(s, false);
	if (!err)
		err = sl_layout_set_run(&s->dir, s->dir.run + 1);
	if (!err)
		err = make_stripes(s, e, len);
	if (!err)
		err = make_writers(s);
	if (!err)
		err = sl_store_each_part(s, count_sizes, NULL);
	return err ? err : sl_hk_start(s);
}

static void free_store(struct sl_store *s, bool unlink_stripes)
{
	sl_hk_stop(s);
	for (unsigned i = 0; s->writer && i < s->cfg.writers; i++)
		sl_writer_fini(&s->writer[i]);
	for (uint32_t i = 0; i < s->topic_cnt; i++)
		sl_topic_free(s->topic[i]);
	sl_tombs_free(s);
	free(s->free_slot);
	free(s->log_path);
	free(s->topic);
	free(s->writer);
	sl_arena_fini(&s->arena, unlink_stripes);
	sl_tail_fini(&s->tail);
	if (s->dir.state_fd > 0)
		empty_spares(s);
	sl_layout_close(&s->dir);
	pthread_rwlock_destroy(&s->topics_lock);
	pthread_mutex_destroy(&s->create_lock);
	pthread_mutex_destroy(&s->slot_lock);
	pthread_mutex_destroy(&s->hk.job_lock);
	pthread_cond_destroy(&s->hk.job_done);
	free(s->stripe_dir);
	free(s);
}

int sl_store_open(const struct sl_store_cfg *cfg, struct sl_store **ret_store,
		  struct sl_store_recovery *ret_rec, char *ret_err, size_t errlen)
{
	struct sl_store_recovery rec = {0};
	char text[256] = "";
	int err = check_cfg(cfg, text, sizeof(text));
	struct sl_store *s =
		err ? NULL : aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*s), SL_CACHELINE));

	if (!err && !s)
		err = -ENOMEM;
	if (!err) {
		memset(s, 0, sizeof(*s));
		s->cfg = *cfg;
		defaults(&s->cfg);
		s->arena.dir_fd = s->tail.fd = -1;
		s->hk.waker.efd = -1;
		s->hk.full_lines = (struct sl_log_limit)SL_LOG_LIMIT(8, 60000);
		s->hk.failed_lines = (struct sl_log_limit)SL_LOG_LIMIT(8, 60000);
		s->hk.unsent_lines = (struct sl_log_limit)SL_LOG_LIMIT(8, 60000);
		atomic_init(&s->direct, true);
		pthread_rwlock_init(&s->topics_lock, NULL);
		pthread_mutex_init(&s->create_lock, NULL);
		pthread_mutex_init(&s->slot_lock, NULL);
		pthread_mutex_init(&s->hk.job_lock, NULL);
		pthread_cond_init(&s->hk.job_done, NULL);
		s->stripe_dir = strdup(cfg->stripe_dir ? cfg->stripe_dir : DEFAULT_STRIPE_DIR);
		err = s->stripe_dir ? open_store(s, &rec, text, sizeof(text)) : -ENOMEM;
		if (err)
			free_store(s, false);
	}
	if (err && ret_err && errlen)
		snprintf(ret_err, errlen, "%s", text[0] ? text : strerror(-err));
	if (err)
		return err;
	if (ret_rec)
		*ret_rec = rec;
	*ret_store = s;
	return 0;
}

/* ---- closing ------------------------------------------------------------------------------- */

/* Writes out, cuts, indexes. A partition that failed stays as it is, for the next start. */
static int close_part(struct sl_part *p, void *arg)
{
	struct sl_seg *g = atomic_load(&p->active);
	struct sl_producer *all = NULL;
	uint32_t cnt = sl_producers_cnt(p->producers);
	bool *ok = arg;

	int err = sl_part_state(p) == SL_PART_FAILED ? -EIO : sl_part_flush_blocking(p);
	for (uint32_t i = 0; i < p->seg_cnt && !err; i++) {
		uint32_t f = sl_seg_flags(p->segs[i]);
		if ((f & SL_SEG_CLOSED) && !(f & SL_SEG_FINAL))
			err = sl_seg_finish(p, p->segs[i], false);
	}
	if (!err && ftruncate(g->wfd, sl_seg_size(g)))
		err = -errno;
	if (!err)
		err = sl_seg_store_index(p, g, false);
	if (!err && cnt) {
		all = calloc(cnt, sizeof(*all));
		err = all && sl_producers_copy(p->producers, all, cnt, &cnt) ? 0 : -ENOMEM;
	}
	if (!err)
		err = sl_part_snapshot(p, sl_part_end(p), all, cnt, false);
	free(all);
	uint32_t tail = sl_seg_size(g) % SL_IO_BLOCK;
	if (!err && tail && p->tail_st)
		memcpy(p->tail_blk, p->tail_st->mem + p->tail_st->used - tail, tail);
	g->fresh = true;
	if (err) {
		sl_log_limited(&p->store->hk.failed_lines, SL_LOG_ERROR, "storage",
			       "%s: not closed cleanly: %s", p->dir, strerror(-err));
		*ok = false;
	}
	return 0;
}

static bool close_clean(struct sl_store *s)
{
	bool ok = true;

	sl_store_each_part(s, close_part, &ok);
	if (!ok)
		return false;
	/* one sync for the files of all partitions; their data was synced file by file */
	int err = syncfs(s->dir.log_fd) ? -errno : 0;
	if (!err)
		err = new_journal(s);
	if (!err)
		err = sl_checkpoints_store(s, true);
	if (!err)
		err = sl_layout_mark_clean(&s->dir);
	if (err)
		sl_log(SL_LOG_ERROR, "storage", "not closed cleanly: %s", strerror(-err));
	return err == 0;
}

int sl_store_close(struct sl_store *s, bool clean)
{
	if (!s)
		return 0;
	for (unsigned i = 0; i < s->cfg.writers; i++)
		SL_ASSERT(!atomic_load(&s->writer[i].attached));
	sl_hk_stop(s);
	sl_trash_finish(s);
	bool ok = clean && close_clean(s);
	free_store(s, ok);
	return ok ? 0 : -EIO;
}

/* ---- producer ids and figures -------------------------------------------------------------- */

int sl_store_producer_id(struct sl_store *s, int64_t *ret_pid)
{
	int err = 0;

	pthread_mutex_lock(&s->create_lock);
	if (s->pid_next ==
	    s->pid_end) { /* the next block is durable before its first id is given */
		char *text = NULL, out[32];
		int64_t from = 0;
		err = sl_file_read(s->dir.state_fd, PID_FILE, 64, &text, NULL);
		if (!err)
			from = strtoll(text, NULL, 10);
		free(text);
		if (err == -ENOENT)
			err = 0;
		if (!err && (from < 0 || from > INT64_MAX - SL_PID_BLOCK))
			err = -EOVERFLOW;
		if (!err) {
			int n = snprintf(out, sizeof(out), "%" PRId64 "\n", from + SL_PID_BLOCK);
			err = sl_file_replace(s->dir.state_fd, PID_FILE, out, (size_t)n);
		}
		if (!err) {
			s->pid_next = from;
			s->pid_end = from + SL_PID_BLOCK;
		}
	}
	if (!err)
		*ret_pid = s->pid_next++;
	pthread_mutex_unlock(&s->create_lock);
	return err;
}

void sl_store_stats(struct sl_store *s, struct sl_store_stats *st)
{
	struct statfs fs;

	memset(st, 0, sizeof(*st));
	if (fstatfs(s->dir.log_fd, &fs) == 0) {
		st->fs_bytes = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
		st->fs_free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	}
	int64_t log = atomic_load(&s->log_bytes);
	st->log_bytes = log > 0 ? (uint64_t)log : 0;
	st->budget_bytes = atomic_load(&s->budget);
	st->evicted_bytes = atomic_load(&s->evicted_bytes);
	st->evicted_records = atomic_load(&s->evicted_records);
	st->evicted_segments = atomic_load(&s->evicted_segments);
	st->expired_segments = atomic_load(&s->expired_segments);
	st->deleted_unsent = atomic_load(&s->deleted_unsent);
	for (unsigned i = 0; i < s->cfg.writers; i++) {
		const struct sl_store_writer *w = &s->writer[i];
		st->writes += atomic_load(&w->writes);
		st->write_bytes += atomic_load(&w->write_bytes);
		st->syncs += atomic_load(&w->syncs);
		st->sync_failed += atomic_load(&w->sync_failed);
		st->write_failed += atomic_load(&w->write_failed);
	}
	st->tail_hits = atomic_load(&s->tail_hits);
	st->tail_misses = atomic_load(&s->tail_misses);
	st->disk_full = atomic_load(&s->disk_full);
}
