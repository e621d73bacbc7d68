/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut_test.c - a run on a disk of which every change is recorded; then the power goes at many
 * moments of it, the next start's recovery included, and each time another part of what no sync
 * covered is left. Meanwhile topics come, grow and go, under the same name again, and records are
 * deleted. After each cut:
 *   what was published as synced is there, byte for byte, and nothing else than what was appended;
 *   nothing is called lost or damaged;
 *   where offsets that had been given out are free again, the leader epoch is a higher one;
 *   a topic that was made, grown or deleted is so; one under way is whole or not there, and what
 *   was known of a deleted one is not believed of the next one of its name;
 *   the log starts where DeleteRecords said;
 *   the log can be appended to, and Kafka's rules for files hold after a clean stop.
 * SL_POWERCUT_MS asks for a longer run.
 */
#include "disk_sim.h"
#include "scan.h"
#include "test_util.h"

#define LOGS_MAX  256u
#define CUTS      10u /* of each run */
#define STEPS_MAX 1500u
#define RUN_MS    12000u

static const struct {
	const char *name;
	uint32_t parts, parts_max;
	int64_t retention_bytes;
	uint32_t bytes_max;
	bool fleeting; /* deleted and made again */
} topics[] = {
	{"busy", 2, 5, -1, 6000, false},
	{"short", 1, 1, 1 << 20, 30000, false}, /* its files are used again and again */
	{"quiet", 1, 1, -1, 300, false},
	{"fleeting", 2, 4, -1, 15000, true},
};

struct sent { /* a batch that was appended */
	int64_t base;
	uint32_t records, bytes;
	uint64_t tag;
};

enum life { UNKNOWN, THERE, GOING, GONE }; /* as far as calls have returned */

struct seen { /* what was known after so many operations */
	uint64_t ops;
	unsigned log;
	enum life life;
	int64_t synced, end, start_least;
	int32_t epoch;
};

struct log { /* a partition that there is or was: another topic of the name is another one */
	unsigned topic;
	int32_t id;
	uint8_t uuid[16];
	struct sl_part *p; /* NULL: not in this store */
	struct sent *b;
	uint32_t cnt;
	int64_t start, start_least; /* the log started nowhere behind and before them */
	struct seen now;
};

struct world {
	struct tu t;
	struct log log[LOGS_MAX];
	unsigned cnt;
	struct seen *seen;
	uint32_t seen_cnt, seen_cap;
	uint64_t tag, cut_nr, made, grown, gone, records_deleted;
	struct sl_rng rng;
};

/* ---- what is known ------------------------------------------------------------------------- */

/* The store's own reference is enough here: nobody else deletes. */
static struct sl_topic *find(struct world *w, unsigned topic)
{
	struct sl_topic *t =
		sl_store_topic_find(w->t.s, topics[topic].name, strlen(topics[topic].name));

	sl_topic_put(t);
	return t;
}

static void resolve(struct world *w)
{
	for (unsigned i = 0; i < w->cnt; i++) {
		struct log *l = &w->log[i];
		struct sl_topic *t = find(w, l->topic);
		bool same = t && memcmp(sl_topic_id(t), l->uuid, 16) == 0;
		l->p = same ? sl_topic_part(t, l->id) : NULL;
	}
}

static bool is_known(const struct world *w, const struct sl_part *p)
{
	for (unsigned i = 0; i < w->cnt; i++)
		if (w->log[i].p == p)
			return true;
	return false;
}

static void note(struct world *w, struct seen s)
{
	if (w->seen_cnt == w->seen_cap) {
		w->seen_cap = w->seen_cap ? 2 * w->seen_cap : 1024;
		w->seen = realloc(w->seen, w->seen_cap * sizeof(*w->seen));
		assert_non_null(w->seen);
	}
	s.ops = sl_sim_ops(); /* after the look: it may have been so a little earlier */
	w->seen[w->seen_cnt++] = s;
	w->log[s.log].now = s;
}

static void look(struct world *w, unsigned i)
{
	struct log *l = &w->log[i];

	if (!l->p)
		return;
	struct seen s = {.log = i,
			 .life = THERE,
			 .synced = sl_part_synced(l->p),
			 .end = sl_part_end(l->p),
			 .start_least = l->start_least,
			 .epoch = l->p->pub.leader_epoch};
	l->start = SL_MAX(l->start, sl_part_start(l->p));
	if (l->now.life != THERE || s.synced != l->now.synced || s.end != l->now.end ||
	    s.epoch != l->now.epoch || s.start_least != l->now.start_least)
		note(w, s);
}

static void look_all(struct world *w)
{
	for (unsigned i = 0; i < w->cnt; i++)
		look(w, i);
}

/* The partitions of a topic that are not known yet. */
static void add_logs(struct world *w, unsigned topic)
{
	struct sl_topic *t = find(w, topic);

	for (int32_t id = 0; t && id < (int32_t)sl_topic_partitions(t); id++) {
		struct sl_part *p = sl_topic_part(t, id);
		if (is_known(w, p))
			continue;
		assert_true(w->cnt < LOGS_MAX);
		struct log *l = &w->log[w->cnt++];
		*l = (struct log){.topic = topic, .id = id, .p = p};
		memcpy(l->uuid, sl_topic_id(t), 16);
		look(w, w->cnt - 1);
	}
}

/* As of a cut: `from` is what was known of the first `cnt` before the run. */
static void known_at(const struct world *w, uint64_t at, const struct seen *from, unsigned cnt,
		     struct seen *ret)
{
	memset(ret, 0, LOGS_MAX * sizeof(*ret));
	memcpy(ret, from, cnt * sizeof(*ret));
	for (uint32_t i = 0; i < w->seen_cnt; i++)
		if (w->seen[i].ops <= at)
			ret[w->seen[i].log] = w->seen[i];
}

/* ---- checking ------------------------------------------------------------------------------ */

/* Everything from log start to log end is what was appended there. */
static void same_bytes(struct world *w, const struct log *l)
{
	static uint8_t buf[TU_BATCH_CAP], want[TU_BATCH_CAP];
	struct sl_part *p = l->p;
	int64_t off = sl_part_start(p), end = sl_part_end(p);
	uint32_t k = 0;

	while (k < l->cnt && l->b[k].base + l->b[k].records <= off)
		k++;
	while (off < end) {
		struct sl_read rd = {.offset = off,
				     .max_bytes = 1 << 20,
				     .at_least_one = true,
				     .buf = buf,
				     .cap = sizeof(buf),
				     .max_offset = INT64_MAX};
		int rc = sl_store_read(p, &rd);
		if (rc || !rd.len)
			fail_msg("%s: offset %" PRId64 " of %" PRId64 ": %s", p->dir, off, end,
				 strerror(-rc));
		for (uint32_t pos = 0; pos < rd.len; pos += sl_batch_total(buf + pos), k++) {
			assert_true(k < l->cnt);
			uint32_t len = tu_batch(want, l->b[k].records, l->b[k].bytes, l->b[k].tag,
						w->t.now_ms);
			if (sl_batch_base_offset(buf + pos) != l->b[k].base ||
			    sl_batch_total(buf + pos) != len ||
			    memcmp(buf + pos + SL_BATCH_MAGIC_OFF, want + SL_BATCH_MAGIC_OFF,
				   len - SL_BATCH_MAGIC_OFF))
				fail_msg("%s: offset %" PRId64 ": other bytes", p->dir,
					 l->b[k].base);
		}
		off = rd.next_offset;
	}
}

static void check_log(struct world *w, struct log *l, const struct seen *k)
{
	const struct sl_part *p = l->p;
	int32_t epoch;
	int64_t ended;

	if (!p && k->life == THERE)
		fail_msg("%s-%d is gone", topics[l->topic].name, l->id);
	if (p && k->life == GONE)
		fail_msg("%s is back", p->dir);
	if (!p)
		return;
	if (sl_part_end(p) < k->synced)
		fail_msg("%s: ends at %" PRId64 ", synced was %" PRId64, p->dir, sl_part_end(p),
			 k->synced);
	if (sl_part_end(p) < k->end && p->pub.leader_epoch <= k->epoch)
		fail_msg("%s: offsets from %" PRId64 " to %" PRId64 " are used again in epoch %d",
			 p->dir, sl_part_end(p), k->end, p->pub.leader_epoch);
	/* who asks where that epoch ended loses nothing that was synced, and keeps nothing else */
	assert_int_equal(sl_part_epoch_end(p, k->epoch, &epoch, &ended), 0);
	if (epoch > k->epoch || ended < k->synced || ended > sl_part_end(p))
		fail_msg("%s: epoch %d ended at %" PRId64 " (%d), synced was %" PRId64
			 ", the log ends at %" PRId64,
			 p->dir, k->epoch, ended, epoch, k->synced, sl_part_end(p));
	/* unless retention has had its turn again */
	if (w->t.cfg.retention_check_ms > RUN_MS && sl_part_start(p) > l->start)
		fail_msg("%s: starts at %" PRId64 " instead of %" PRId64, p->dir, sl_part_start(p),
			 l->start);
	if (sl_part_start(p) < k->start_least)
		fail_msg("%s: starts at %" PRId64 ", records were deleted up to %" PRId64, p->dir,
			 sl_part_start(p), k->start_least);
	same_bytes(w, l);
}

static void check(struct world *w, const struct seen *known)
{
	if (w->t.rec.lost_records || w->t.rec.damaged_records)
		fail_msg("%" PRId64 " lost, %" PRIu64 " damaged", w->t.rec.lost_records,
			 w->t.rec.damaged_records);
	resolve(w);
	for (unsigned i = 0; i < w->cnt; i++)
		check_log(w, &w->log[i], &known[i]);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(topics); i++) { /* their creation was under way */
		struct sl_topic *t = find(w, i);
		for (int32_t id = 0; t && id < (int32_t)sl_topic_partitions(t); id++) {
			const struct sl_part *p = sl_topic_part(t, id);
			if (!is_known(w, p) && (sl_part_end(p) || sl_part_start(p)))
				fail_msg("%s is new: %" PRId64 " to %" PRId64, p->dir,
					 sl_part_start(p), sl_part_end(p));
		}
	}
}

static int names_sort(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_log(const struct dirent *e)
{
	return strstr(e->d_name, ".log") != NULL;
}

/* An entry names the last offset of the batch that starts at its position: the dump tool's rule. */
static void dump_index(const char *log, int fd, int64_t base)
{
	char path[600];
	uint8_t e[8], h[SL_BATCH_HDR];

	snprintf(path, sizeof(path), "%.*s.index", (int)(strlen(log) - 4), log);
	int ifd = open(path, O_RDONLY);
	for (off_t at = 0; ifd >= 0 && pread(ifd, e, sizeof(e), at) == sizeof(e); at += 8) {
		assert_int_equal(pread(fd, h, sizeof(h), sl_be32(e + 4)), sizeof(h));
		assert_int_equal(sl_batch_last_offset(h), base + sl_be32(e));
	}
	if (ifd >= 0)
		close(ifd);
}

static void dump(const char *dir)
{
	struct dirent **e;
	int n = scandir(dir, &e, is_log, names_sort);
	int64_t next = -1;

	for (int i = 0; i < n; i++) {
		char path[600];
		struct stat st;
		int64_t base = strtoll(e[i]->d_name, NULL, 10);
		snprintf(path, sizeof(path), "%.500s/%.60s", dir, e[i]->d_name);
		int fd = open(path, O_RDONLY);
		assert_true(fd >= 0 && fstat(fd, &st) == 0);
		struct sl_scan s = {.fd = fd,
				    .end_pos = (uint32_t)st.st_size,
				    .end_off = INT64_MAX,
				    .strict = true,
				    .next_off = base};
		if (next >= 0)
			assert_int_equal(base, next);
		if (sl_scan_run(&s) != SL_SCAN_LIMIT)
			fail_msg("%s: %u of %jd bytes are good", path, s.pos, (intmax_t)st.st_size);
		next = s.next_off;
		dump_index(path, fd, base);
		sl_scan_fini(&s);
		close(fd);
		free(e[i]);
	}
	if (n >= 0)
		free(e);
}

/* ---- one run ------------------------------------------------------------------------------- */

static void append(struct world *w, unsigned i)
{
	struct log *l = &w->log[i];
	uint32_t max = topics[l->topic].bytes_max * (l->id % 2 ? 6 : 1);
	struct sent s = {.records = 1 + sl_rng_below(&w->rng, 3),
			 .bytes = 8 + sl_rng_below(&w->rng, max),
			 .tag = w->tag++};

	s.base = tu_append(&w->t, l->p, s.records, s.bytes, s.tag,
			   sl_rng_below(&w->rng, 3) ? SL_ACK_LOGGED : SL_ACK_SYNCED);
	if (l->cnt % 1024 == 0) {
		l->b = realloc(l->b, (l->cnt + 1024) * sizeof(*l->b));
		assert_non_null(l->b);
	}
	l->b[l->cnt++] = s;
}

static void make_topic(struct world *w, unsigned i)
{
	struct sl_topic_layers lay = {0};

	sl_topic_cfg_defaults(&lay.base);
	lay.own = lay.base;
	lay.own.segment_bytes = 1 << 20;
	lay.own.retention_bytes = topics[i].retention_bytes;
	lay.own_set = TU_ALL_SET;
	assert_int_equal(sl_store_topic_create(w->t.s, topics[i].name, topics[i].parts, &lay, NULL),
			 0);
	w->made++;
	add_logs(w, i);
}

static void delete_topic(struct world *w, unsigned topic)
{
	for (int pass = 0; pass < 2; pass++) {
		struct sl_topic *t = find(w, topic);
		for (unsigned i = 0; i < w->cnt; i++) {
			struct log *l = &w->log[i];
			if (l->topic != topic || !l->p)
				continue;
			l->now.life = pass ? GONE : GOING;
			note(w, l->now);
			if (pass)
				l->p = NULL;
		}
		if (!pass)
			assert_int_equal(sl_store_topic_delete(w->t.s, t), 0);
	}
	w->gone++;
}

static void grow(struct world *w, unsigned topic)
{
	struct sl_topic *t = find(w, topic);

	if (!t || sl_topic_partitions(t) >= topics[topic].parts_max)
		return;
	assert_int_equal(sl_store_partitions_add(w->t.s, t, sl_topic_partitions(t) + 1), 0);
	w->grown++;
	add_logs(w, topic);
}

/* Up to what is synced: nobody is there who could wait for more. */
static void delete_records(struct world *w, unsigned i)
{
	struct log *l = &w->log[i];
	int64_t from = sl_part_start(l->p), to = sl_part_synced(l->p), start;

	if (to > from && sl_rng_below(&w->rng, 3))
		to = from + (int64_t)sl_rng_below(&w->rng, (uint32_t)(to - from));
	l->start = SL_MAX(l->start, to); /* from now on it may start there */
	assert_int_equal(sl_store_delete_records(w->t.s, l->p, to, &start), 0);
	assert_true(start >= to);
	l->start_least = SL_MAX(l->start_least, start);
	look(w, i);
	w->records_deleted++;
}

static void step(struct world *w)
{
	uint32_t dice = sl_rng_below(&w->rng, 300);
	unsigned i;

	do
		i = sl_rng_below(&w->rng, w->cnt);
	while (!w->log[i].p);
	if (dice < 2) {
		for (unsigned k = 0; k < SL_ARRAY_SIZE(topics) && w->cnt + 8 < LOGS_MAX; k++) {
			if (topics[k].fleeting && find(w, k))
				delete_topic(w, k);
			else if (topics[k].fleeting)
				make_topic(w, k);
		}
	} else if (dice == 2) {
		grow(w, sl_rng_below(&w->rng, SL_ARRAY_SIZE(topics)));
	} else if (dice < 6) {
		delete_records(w, i);
	} else {
		append(w, i);
		look(w, i);
	}
}

/*
 * Logs that are no more are forgotten, and of the others what a cut freed: those offsets are given
 * out again.
 */
static unsigned forget(struct world *w, struct seen *known)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->cnt; i++) {
		struct log *l = &w->log[i];
		if (!l->p) {
			free(l->b);
			continue;
		}
		int64_t end = sl_part_end(l->p);
		while (l->cnt && l->b[l->cnt - 1].base >= end)
			l->cnt--;
		const struct sent *last = l->cnt ? &l->b[l->cnt - 1] : NULL;
		if (sl_part_start(l->p) < end)
			assert_int_equal(last ? last->base + last->records : 0, end);
		memset(&l->now, 0, sizeof(l->now));
		l->start_least = known[i].start_least;
		known[n] = known[i];
		known[n].life = THERE;
		w->log[n++] = *l;
	}
	w->cnt = n;
	return n;
}

/* Returns how many logs there were at its begin, of which `known` speaks then. */
static unsigned run(struct world *w, struct seen *known)
{
	unsigned steps = sl_rng_below(&w->rng, STEPS_MAX);
	bool clean = sl_rng_below(&w->rng, 4) == 0;

	w->seen_cnt = 0;
	sl_sim_start(w->t.data);
	w->t.cfg.retention_check_ms = 20;
	tu_open(&w->t);
	if (sl_rng_below(&w->rng, 2))
		atomic_store(&w->t.s->hk.finished_max, 2 << 20); /* many checkpoints */
	check(w, known);
	unsigned before = forget(w, known);
	look_all(w);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(topics); i++) {
		add_logs(w, i);
		if (!find(w, i) && !topics[i].fleeting)
			make_topic(w, i);
	}
	while (steps--) {
		step(w);
		if (sl_rng_below(&w->rng, 2))
			tu_pump(&w->t);
		look_all(w);
	}
	if (clean)
		assert_int_equal(sl_store_writer_drain(w->t.w, sl_clock_mono_ns() + 20000000000ull),
				 0);
	sl_hk_stop(w->t.s); /* so that nothing is deleted after the last look */
	look_all(w);
	tu_close(&w->t, clean);
	sl_sim_stop();
	return before;
}

/* The directory of a cut; the stripes are gone with the power. */
static void cut(struct world *w, uint64_t at)
{
	snprintf(w->t.data, sizeof(w->t.data), "%.200s/cut-%" PRIu64, w->t.dir, w->cut_nr++);
	assert_int_equal(mkdir(w->t.data, 0700), 0);
	sl_sim_cut(at, &w->rng, w->t.data);
	tu_rmtree(w->t.shm);
	assert_int_equal(mkdir(w->t.shm, 0700), 0);
}

/* A name that is free can be used; one that is not can be made free. */
static void names_can_be_used(struct world *w)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(topics); i++) {
		struct sl_topic *t = find(w, i), *again;
		if (t && topics[i].fleeting) {
			assert_int_equal(sl_store_topic_delete(w->t.s, t), 0);
			t = NULL;
		}
		if (t)
			continue;
		assert_int_equal(sl_store_topic_create(w->t.s, topics[i].name, 3, NULL, &again), 0);
		tu_append(&w->t, sl_topic_part(again, 2), 2, 5000, 1, SL_ACK_SYNCED);
		sl_topic_put(again);
	}
}

static void after_cut(struct world *w, const struct seen *known)
{
	w->t.cfg.retention_check_ms = 3600000;
	tu_open(&w->t);
	check(w, known);
	for (unsigned i = 0; i < w->cnt; i++)
		if (w->log[i].p)
			tu_append(&w->t, w->log[i].p, 2, 5000, 1, SL_ACK_SYNCED);
	names_can_be_used(w);
	tu_close(&w->t, true);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(topics); i++) {
		for (uint32_t id = 0; id < topics[i].parts_max; id++) {
			char dir[600];
			snprintf(dir, sizeof(dir), "%s/log/%s-%u", w->t.data, topics[i].name, id);
			dump(dir);
		}
	}
}

static void power_cuts(void **state)
{
	const char *env = getenv("SL_POWERCUT_MS");
	uint64_t until =
		sl_clock_mono_ns() + (env ? strtoull(env, NULL, 10) : RUN_MS) * (uint64_t)1000000;
	static struct world world;
	static struct seen known[LOGS_MAX], next[LOGS_MAX];
	struct world *w = &world;
	char old[sizeof(w->t.data)];
	(void)state;

	w->rng = sl_rng_from(sl_test_seed());
	tu_init(&w->t, access("/dev/shm", W_OK) ? NULL : "/dev/shm", "posix");
	w->t.cfg.stripe_bytes = 8 << 20;
	assert_int_equal(mkdir(w->t.data, 0700), 0);
	while (sl_clock_mono_ns() < until) {
		unsigned before = run(w, known);
		for (unsigned i = 0; i < CUTS; i++) {
			uint64_t at = sl_rng_below(&w->rng, (uint32_t)sl_sim_ops() + 1);
			memcpy(old, w->t.data, sizeof(old));
			known_at(w, at, known, before, next);
			cut(w, at);
			tu_rmtree(old);
			if (i + 1 < CUTS)
				after_cut(w, next);
		}
		memcpy(known, next, sizeof(known)); /* the last one is where the next run begins */
	}
	printf("%" PRIu64 " cuts; topics: %" PRIu64 " made, %" PRIu64 " grown, %" PRIu64
	       " deleted; records deleted: %" PRIu64 " times\n",
	       w->cut_nr, w->made, w->grown, w->gone, w->records_deleted);
	tu_rmtree(w->t.dir);
	for (unsigned i = 0; i < w->cnt; i++)
		free(w->log[i].b);
	free(w->seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(power_cuts)};

	return cmocka_run_group_tests_name("powercut", tests, NULL, NULL);
}
