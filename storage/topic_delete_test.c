/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting topics while writers and readers run, again and again, and being killed meanwhile. */
#include "test_util.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "platform/base/sl_test.h"

static struct sl_topic *make(struct tu *t, const char *name, uint32_t parts)
{
	struct sl_topic *x;

	assert_int_equal(sl_store_topic_create(t->s, name, parts, NULL, &x), 0);
	return x;
}

static int try_append(struct tu *t, struct sl_part *p, uint64_t tag)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct sl_append a = {.part = p, .batch = buf, .records = 1, .producer_id = -1};

	a.len = tu_batch(buf, 1, 1000, tag, t->now_ms);
	a.max_ts_ms = t->now_ms;
	return tu_append_raw(t, &a);
}

/* Names below a directory of the data directory that begin with `prefix`. */
static unsigned names(const struct tu *t, const char *dir, const char *prefix)
{
	char path[400];
	unsigned n = 0;
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/%s", t->data, dir);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static unsigned trash(const struct tu *t)
{
	char path[400];
	unsigned n = 0;
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/log", t->data);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += strstr(e->d_name, "-delete") != NULL;
	closedir(d);
	return n;
}

static void wait_gone(struct tu *t)
{
	for (int i = 0; atomic_load(&t->s->trash_parts); i++) {
		if (i > 20000)
			fail_msg("the writer does not let go");
		tu_pump(t);
	}
}

/* ---- what is promised ---------------------------------------------------------------------- */

static void gone_at_once(void **state)
{
	struct tu t;
	struct sl_counters *c;
	struct sl_part *p[3];
	uint8_t id[16], *b;
	int rc;
	(void)state;

	tu_init(&t, NULL, NULL);
	assert_int_equal(sl_counters_anon(&c), 0);
	t.cfg.counters = c;
	tu_open(&t);
	struct sl_topic *x = make(&t, "a", 3), *y;
	sl_topic_put(make(&t, "b", 1));
	memcpy(id, sl_topic_id(x), 16);
	for (int32_t i = 0; i < 3; i++) {
		p[i] = sl_topic_part(x, i);
		for (uint64_t k = 0; k < 20; k++)
			assert_int_equal(try_append(&t, p[i], k), 0);
	}
	tu_sync(&t, p[0]); /* p[1] and p[2] have unwritten stripes and are in the lists */
	uint64_t gen = sl_store_generation(t.s);
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	assert_true(sl_store_generation(t.s) > gen);
	assert_int_equal(sl_store_topic_delete(t.s, x), -ENOENT);
	assert_int_equal(sl_store_partitions_add(t.s, x, 5), -ENOENT);
	struct sl_topic_cfg cfg;
	int64_t at, ts;
	sl_topic_cfg_get(x, &cfg);
	assert_int_equal(sl_store_topic_own_set(t.s, x, &cfg, 0), -ENOENT);
	assert_int_equal(sl_store_delete_records(t.s, p[0], -1, &at), -ENOENT);
	assert_null(sl_store_topic_find(t.s, "a", 1));
	assert_null(sl_store_topic_by_id(t.s, id));
	assert_int_equal(names(&t, "log", "a-"), 3); /* the writer has not let go */
	/* the reference holds memory and nothing else */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sl_part_state(p[i]), SL_PART_DELETED);
		assert_int_equal(sl_part_end(p[i]), 20);
		assert_int_equal(tu_read(p[i], 0, false, &b, &rc), 0);
		assert_int_equal(rc, -ENOENT);
		assert_int_equal(tu_read(p[i], 0, true, &b, &rc), 0);
		assert_int_equal(rc, -ENOENT);
		assert_int_equal(sl_store_offset_for_ts(p[i], 0, &at, &ts), -ENOENT);
		assert_int_equal(try_append(&t, p[i], 0), -ENOENT);
	}
	assert_int_equal(c->writer[0].failed[SL_ORIGIN_INGEST][SL_APPEND_DELETED], 3);
	/* the name is free, for another one */
	y = make(&t, "a", 2);
	assert_memory_not_equal(sl_topic_id(y), id, 16);
	assert_int_equal(sl_part_end(sl_topic_part(y, 0)), 0);
	assert_int_equal(try_append(&t, sl_topic_part(y, 1), 5), 0);
	wait_gone(&t);
	assert_int_equal(names(&t, "log", "a-"), 2);
	assert_int_equal(try_append(&t, p[1], 0), -ENOENT); /* also when all of it is gone */
	assert_int_equal(tu_read(p[1], 0, true, &b, &rc), 0);
	assert_int_equal(rc, -ENOENT);
	sl_topic_put(x);
	tu_sync(&t, sl_topic_part(y, 1));
	tu_check(sl_topic_part(y, 1), 0, 1, 1, 1000, 5, t.now_ms);
	sl_topic_put(y);
	tu_close(&t, true);
	tu_open(&t);
	assert_true(t.rec.clean);
	y = sl_store_topic_find(t.s, "a", 1);
	assert_int_equal(sl_topic_partitions(y), 2);
	assert_int_equal(sl_part_end(sl_topic_part(y, 0)), 0);
	assert_int_equal(sl_part_end(sl_topic_part(y, 1)), 1);
	sl_topic_put(y);
	tu_fini(&t);
	sl_counters_close(c);
}

/* A start must not believe of the new topic what was said of the old one of its name. */
static void no_memory_of_the_name(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_topic *x = make(&t, "a", 1);
	for (uint64_t k = 0; k < 500; k++)
		assert_int_equal(try_append(&t, sl_topic_part(x, 0), k), 0);
	tu_sync(&t, sl_topic_part(x, 0));
	int64_t start;
	assert_int_equal(sl_store_delete_records(t.s, sl_topic_part(x, 0), 400, &start), 0);
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	sl_topic_put(x);
	struct sl_topic *y = make(&t, "a", 1);
	for (uint64_t k = 0; k < 3; k++)
		assert_int_equal(try_append(&t, sl_topic_part(y, 0), 70 + k), 0);
	sl_topic_put(y);
	tu_close(&t, false);
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "a", 1, NULL);
	assert_int_equal(sl_part_start(p), 0);
	assert_int_equal(sl_part_end(p), 3);
	tu_check(p, 0, 3, 1, 1000, 70, t.now_ms);
	assert_int_equal(t.rec.lost_records, 0);
	tu_fini(&t);
}

/* No writer is there to answer: the names are free all the same, and a close cleans up. */
static void without_a_writer(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_topic *x = make(&t, "a", 2);
	assert_int_equal(try_append(&t, sl_topic_part(x, 0), 0), 0);
	sl_store_writer_detach(t.w);
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	sl_topic_put(x);
	sl_topic_put(make(&t, "a", 1));
	assert_int_equal(atomic_load(&t.s->trash_parts), 2);
	assert_int_equal(sl_store_writer_attach(t.s, 0, &t.w), 0);
	assert_int_equal(names(&t, "log", "a-"), 3);
	tu_close(&t, true);
	assert_int_equal(names(&t, "log", "a-"), 1);
	tu_open(&t);
	assert_true(t.rec.clean);
	assert_int_equal(t.rec.partitions, 1);
	tu_fini(&t);
}

/* Long names: the directory's name stays within what a file system takes. */
static void longest_name(void **state)
{
	struct tu t;
	char name[SL_TOPIC_NAME_MAX + 1];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	memset(name, 'n', SL_TOPIC_NAME_MAX);
	name[SL_TOPIC_NAME_MAX] = '\0';
	struct sl_topic *x = make(&t, name, 12);
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	sl_topic_put(x);
	assert_int_equal(names(&t, "log", "nnn"), 12);
	sl_topic_put(make(&t, name, 1));
	wait_gone(&t);
	assert_int_equal(names(&t, "log", "nnn"), 1);
	tu_fini(&t);
}

/* ---- under load ---------------------------------------------------------------------------- */

struct load {
	struct tu *t;
	_Atomic(struct sl_topic *) topic; /* the reader references it under the lock */
	pthread_mutex_t lock;
	_Atomic bool stop;
	_Atomic uint64_t read, refused;
	uint64_t wrong;
};

/* Reads whatever topic there is, from memory and from disk; never another one's bytes. */
static void *reader(void *arg)
{
	struct load *l = arg;
	uint8_t *buf = malloc(1 << 20);

	while (!atomic_load(&l->stop)) {
		pthread_mutex_lock(&l->lock);
		struct sl_topic *x = atomic_load(&l->topic);
		if (x)
			sl_topic_ref(x);
		pthread_mutex_unlock(&l->lock);
		if (!x)
			continue;
		uint64_t tag0 = sl_topic_id(x)[0];
		for (int k = 0; k < 50; k++) {
			struct sl_read rd = {.offset = sl_part_start(sl_topic_part(x, k % 2)),
					     .max_bytes = 1,
					     .at_least_one = true,
					     .buf = buf,
					     .cap = 1 << 20,
					     .max_offset = INT64_MAX};
			int rc = sl_store_read(sl_topic_part(x, k % 2), &rd);
			atomic_fetch_add(&l->read, rc == 0 && rd.len > 0);
			atomic_fetch_add(&l->refused, rc == -ENOENT);
			if (rc && rc != -ENOENT && rc != -ERANGE)
				l->wrong++;
			if (rc == 0 && rd.len && buf[SL_BATCH_HDR + 10] != (uint8_t)tag0)
				l->wrong++;
		}
		sl_topic_put(x);
	}
	free(buf);
	return NULL;
}

/* Deletes from a thread of its own, as a worker does. */
static void *deleter(void *arg)
{
	struct load *l = arg;
	struct sl_topic *x = atomic_load(&l->topic);

	if (sl_store_topic_delete(l->t->s, x))
		l->wrong++;
	return NULL;
}

static void while_all_run(void **state)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct tu t;
	struct sl_topic_layers lay = {0};
	pthread_t rt[2], dt;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct load l = {.t = &t};
	pthread_mutex_init(&l.lock, NULL);
	sl_topic_cfg_defaults(&lay.base);
	lay.base.segment_bytes = 1 << 20;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&rt[i], NULL, reader, &l), 0);
	for (int round = 0; round < 40; round++) {
		struct sl_topic *x, *old;
		assert_int_equal(sl_store_topic_create(t.s, "load", 2, &lay, &x), 0);
		pthread_mutex_lock(&l.lock);
		old = atomic_exchange(&l.topic, x);
		pthread_mutex_unlock(&l.lock);
		sl_topic_put(old);
		struct sl_append a = {.batch = buf, .records = 1, .producer_id = -1};
		bool deleting = false;
		int rc = 0;
		for (unsigned i = 0; rc != -ENOENT; i++) {
			a.part = sl_topic_part(x, (int32_t)(i % 2));
			a.ack = i % 3 ? SL_ACK_LOGGED : SL_ACK_SYNCED;
			a.len = tu_batch(buf, 1, 30000 + 1000 * (i % 7), sl_topic_id(x)[0],
					 t.now_ms);
			a.max_ts_ms = t.now_ms;
			rc = tu_append_raw(&t, &a);
			if (rc && rc != -ENOENT)
				fail_msg("append: %s", strerror(-rc));
			if (i == (unsigned)(round * 3)) {
				assert_int_equal(pthread_create(&dt, NULL, deleter, &l), 0);
				deleting = true;
			}
			if (i % 4 == 0)
				sl_store_poll(t.w, sl_clock_mono_ns());
		}
		assert_true(deleting);
		pthread_join(dt, NULL);
		if (round % 3 == 0)
			wait_gone(&t);
	}
	atomic_store(&l.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(rt[i], NULL);
	assert_int_equal(l.wrong, 0);
	assert_true(atomic_load(&l.read) > 0);
	sl_topic_put(atomic_load(&l.topic));
	wait_gone(&t);
	assert_int_equal(names(&t, "log", "load"), 0);
	assert_int_equal(names(&t, "state/spare", ""), 0);
	assert_int_equal(names(&t, "state/producers", ""), 0);
	assert_null(t.s->hk.trash);
	/* what is left on the account is what lies in the stock */
	uint64_t stock = 0;
	for (unsigned i = 0; i < t.s->hk.stock_cnt; i++)
		stock += t.s->hk.stock[i].bytes;
	assert_int_equal(atomic_load(&t.s->log_bytes), stock);
	pthread_mutex_destroy(&l.lock);
	tu_fini(&t);
}

static unsigned open_fds(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void again_and_again(void **state)
{
	enum { WARM = 40, ROUNDS = 400, PARTS = 3 };
	struct tu t;
	size_t bytes = 0;
	unsigned fds = 0;
	uint32_t slots = 0, tails = 0;
	(void)state;

	tu_init(&t, "/dev/shm", NULL); /* where a sync costs nothing */
	tu_open(&t);
	for (int i = 0; i < WARM + ROUNDS; i++) {
		if (i == WARM) {
			bytes = mallinfo2().uordblks;
			fds = open_fds();
			slots = t.s->tail.parts;
			tails = t.w->tails;
		}
		struct sl_topic *x = make(&t, "again", PARTS);
		for (int32_t k = 0; k < PARTS; k++)
			assert_int_equal(try_append(&t, sl_topic_part(x, k), 1), 0);
		if (i % 2)
			tu_pump(&t);
		assert_int_equal(sl_store_topic_delete(t.s, x), 0);
		sl_topic_put(x);
		wait_gone(&t);
	}
	assert_int_equal(t.s->tail.parts, slots);
	assert_int_equal(slots, PARTS);
	assert_int_equal(t.w->tails, tails);
	assert_int_equal(tails, 0);
	assert_int_equal(open_fds(), fds);
	assert_int_equal(t.s->part_cnt, 0);
	assert_int_equal(names(&t, "log", "again"), 0);
	assert_true(mallinfo2().uordblks < bytes + ROUNDS * 64);
	tu_close(&t, true);
	tu_open(&t);
	assert_int_equal(t.rec.partitions, 0);
	tu_fini(&t);
}

/* ---- killed -------------------------------------------------------------------------------- */

/* state/topics as a run leaves it that was killed after it had said that `a` is deleted. */
static void say_deleted(const struct tu *t, const uint8_t a[16], const uint8_t b[16])
{
	char path[400], text[600], ida[SL_UUID_TEXT], idb[SL_UUID_TEXT];

	sl_uuid_text(a, ida);
	sl_uuid_text(b, idb);
	int n = snprintf(text, sizeof(text), "sluice-topics 2\ntopic b %s 1\ndeleted a %s 3\n", idb,
			 ida);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "end %08x\n", sl_crc32c(text, (size_t)n));
	snprintf(path, sizeof(path), "%s/state/topics", t->data);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, (size_t)n, f), n);
	fclose(f);
}

static void move_dir(const struct tu *t, const uint8_t id[16], int part)
{
	char from[400], to[500], hex[33];

	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	snprintf(from, sizeof(from), "%s/log/a-%d", t->data, part);
	snprintf(to, sizeof(to), "%s/log/a-%d.%s-delete", t->data, part, hex);
	assert_int_equal(rename(from, to), 0);
}

/* Every point between the first durable word and the last file. */
static void cuts(void **state)
{
	(void)state;

	for (int cut = 0; cut <= 6; cut++) {
		struct tu t;
		uint8_t ida[16], idb[16];
		char cmd[1200];
		tu_init(&t, NULL, NULL);
		tu_open(&t);
		struct sl_topic *a = make(&t, "a", 3), *b = make(&t, "b", 1);
		memcpy(ida, sl_topic_id(a), 16);
		memcpy(idb, sl_topic_id(b), 16);
		for (int32_t i = 0; i < 3; i++)
			for (uint64_t k = 0; k < 30; k++)
				assert_int_equal(try_append(&t, sl_topic_part(a, i), k), 0);
		assert_int_equal(try_append(&t, sl_topic_part(b, 0), 9), 0);
		sl_topic_put(a);
		sl_topic_put(b);
		tu_close(&t, false);
		if (cut >= 1)
			say_deleted(&t, ida, idb);
		for (int i = 0; i < 3 && i < cut - 1; i++)
			move_dir(&t, ida, i);
		if (cut == 5) /* and some files of it are gone */
			snprintf(cmd, sizeof(cmd), "rm %s/log/a-1.*-delete/*.log", t.data);
		if (cut == 6) /* a stranger bears the name of one that is to go */
			snprintf(cmd, sizeof(cmd),
				 "mkdir %s/log/a-0 && cp %s/log/b-0/* %s/log/a-0/", t.data, t.data,
				 t.data);
		if (cut >= 5)
			assert_int_equal(system(cmd), 0);
		tu_open(&t);
		a = sl_store_topic_find(t.s, "a", 1);
		if (cut == 0) { /* not a word had been said: it is whole */
			assert_non_null(a);
			for (int32_t i = 0; i < 3; i++)
				tu_check(sl_topic_part(a, i), 0, 30, 1, 1000, 0, t.now_ms);
			sl_topic_put(a);
		} else {
			assert_null(a);
			assert_int_equal(names(&t, "log", "a-"), cut == 6);
			int rc = sl_store_topic_create(t.s, "a", 3, NULL, &a);
			assert_int_equal(rc, cut == 6 ? -EEXIST : 0);
			if (rc == 0) {
				assert_int_equal(sl_part_end(sl_topic_part(a, 2)), 0);
				assert_int_equal(try_append(&t, sl_topic_part(a, 2), 1), 0);
				sl_topic_put(a);
			}
		}
		tu_check(tu_topic(&t, "b", 1, NULL), 0, 1, 1, 1000, 9, t.now_ms);
		tu_fini(&t);
	}
}

/*
 * Killed after the first durable word, when the checkpoints still speak of the deleted topic: of
 * the next one of its name they are not believed, neither its log start nor how far it went.
 */
static void checkpoints_of_the_last_one(void **state)
{
	struct tu t;
	uint8_t ida[16], idb[16];
	int64_t start;
	(void)state;

	for (int power_cut = 0; power_cut < 2; power_cut++) {
		tu_init(&t, NULL, NULL);
		tu_open(&t);
		struct sl_topic *a = make(&t, "a", 3), *b = make(&t, "b", 1);
		memcpy(ida, sl_topic_id(a), 16);
		memcpy(idb, sl_topic_id(b), 16);
		for (uint64_t k = 0; k < 500; k++)
			assert_int_equal(try_append(&t, sl_topic_part(a, 0), k), 0);
		tu_sync(&t, sl_topic_part(a, 0));
		assert_int_equal(sl_store_delete_records(t.s, sl_topic_part(a, 0), 400, &start), 0);
		sl_topic_put(a);
		sl_topic_put(b);
		tu_close(&t, false);
		say_deleted(&t, ida, idb);
		tu_open(&t);
		a = make(&t, "a", 3);
		for (uint64_t k = 0; k < 3; k++)
			assert_int_equal(try_append(&t, sl_topic_part(a, 0), 70 + k), 0);
		tu_sync(&t, sl_topic_part(a, 0));
		sl_topic_put(a);
		tu_close(&t, false);
		if (power_cut) {
			tu_rmtree(t.shm);
			assert_int_equal(mkdir(t.shm, 0700), 0);
		}
		tu_open(&t);
		struct sl_part *p = tu_topic(&t, "a", 3, NULL);
		assert_int_equal(t.rec.lost_records, 0);
		assert_int_equal(t.rec.damaged_records, 0);
		assert_int_equal(sl_part_start(p), 0);
		assert_int_equal(sl_part_end(p), 3);
		tu_check(p, 0, 3, 1, 1000, 70, t.now_ms);
		tu_fini(&t);
	}
}

/* As long as the checkpoints cannot be written without it, its name is not given out again. */
static void checkpoints_that_cannot_be_written(void **state)
{
	struct tu t;
	char path[400];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_topic *a = make(&t, "a", 1), *b;
	for (uint64_t k = 0; k < 50; k++)
		assert_int_equal(try_append(&t, sl_topic_part(a, 0), k), 0);
	tu_sync(&t, sl_topic_part(a, 0));
	snprintf(path, sizeof(path), "%s/log/log-start-offset-checkpoint.tmp", t.data);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(sl_store_topic_delete(t.s, a), 0);
	sl_topic_put(a);
	assert_true(sl_store_topic_create(t.s, "a", 1, NULL, NULL) < 0);
	assert_true(sl_store_topic_create(t.s, "c", 1, NULL, NULL) < 0);
	assert_int_equal(rmdir(path), 0);
	b = make(&t, "a", 1);
	assert_int_equal(sl_part_end(sl_topic_part(b, 0)), 0);
	sl_topic_put(b);
	tu_fini(&t);
}

/* Makes, fills, deletes until it is killed. Says what it has done, one byte each. */
static void child(struct tu *t, int fd, uint64_t seed)
{
	struct sl_rng r = sl_rng_from(seed);
	char name[2] = "a";

	tu_open(t);
	struct sl_topic *keep = sl_store_topic_find(t->s, "keep", 4);
	if (!keep)
		keep = make(t, "keep", 2);
	for (;;) {
		name[0] = (char)('a' + sl_rng_below(&r, 3));
		struct sl_topic *x = sl_store_topic_find(t->s, name, 1);
		if (x) {
			if (write(fd, name, 1) != 1 || sl_store_topic_delete(t->s, x))
				_exit(1);
			char done = (char)(name[0] - 'a' + 'A');
			if (write(fd, &done, 1) != 1)
				_exit(1);
		} else {
			char made = (char)(name[0] - 'a' + '0');
			x = make(t, name, 1 + sl_rng_below(&r, 4));
			for (uint32_t k = 0; k < sl_topic_partitions(x); k++)
				for (uint64_t i = 0; i < 10; i++)
					try_append(t, sl_topic_part(x, (int32_t)k), i);
			if (write(fd, &made, 1) != 1)
				_exit(1);
		}
		sl_topic_put(x);
		try_append(t, sl_topic_part(keep, 0), 1);
		tu_pump(t);
	}
}

/* Whatever the moment: a topic is whole or not there, and nothing of it is in the way. */
static void killed(void **state)
{
	struct tu t;
	struct sl_rng r = sl_rng_from(20240607);
	(void)state;

	tu_init(&t, NULL, NULL);
	for (int run = 0; run < 30; run++) {
		int fd[2];
		char c;
		assert_int_equal(pipe(fd), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(fd[0]);
			child(&t, fd[1], sl_rng_below(&r, UINT32_MAX));
		}
		close(fd[1]);
		unsigned words = 1 + sl_rng_below(&r, 40);
		for (unsigned i = 0; i < words && read(fd[0], &c, 1) == 1; i++)
			;
		struct timespec nap = {.tv_nsec = (long)sl_rng_below(&r, 3000000)};
		nanosleep(&nap, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd[0]);
		tu_open(&t);
		assert_int_equal(trash(&t), 0);
		for (int k = 0; k < 3; k++) {
			char name[2] = {(char)('a' + k), '\0'};
			struct sl_topic *x = sl_store_topic_find(t.s, name, 1);
			for (uint32_t i = 0; x && i < sl_topic_partitions(x); i++) {
				struct sl_part *p = sl_topic_part(x, (int32_t)i);
				tu_check(p, 0, sl_part_end(p), 1, 1000, 0, t.now_ms);
			}
			if (!x) { /* its name is free: also where a creation was cut short */
				x = make(&t, name, 4);
				assert_int_equal(sl_store_topic_delete(t.s, x), 0);
			}
			sl_topic_put(x);
		}
		tu_close(&t, run % 2);
	}
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gone_at_once),
		cmocka_unit_test(no_memory_of_the_name),
		cmocka_unit_test(without_a_writer),
		cmocka_unit_test(longest_name),
		cmocka_unit_test(while_all_run),
		cmocka_unit_test(again_and_again),
		cmocka_unit_test(cuts),
		cmocka_unit_test(checkpoints_of_the_last_one),
		cmocka_unit_test(checkpoints_that_cannot_be_written),
		cmocka_unit_test(killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
