/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut_test.c - a run on a disk of which every change is recorded; then the power goes at many
 * moments of it, the next start's recovery included, and each time another part of what no sync
 * covered is left. After each cut:
 *   what was published as synced is there, byte for byte, and nothing else than what was appended;
 *   nothing is called lost or damaged;
 *   where offsets that had been given out are free again, the leader epoch is a higher one;
 *   the log can be appended to, and Kafka's rules for files hold after a clean stop.
 * SL_POWERCUT_MS asks for a longer run.
 */
#include "disk_sim.h"
#include "scan.h"
#include "test_util.h"

#define PARTS     4u
#define CUTS      10u /* of each run */
#define STEPS_MAX 1500u
#define RUN_MS    12000u

struct sent { /* a batch that was appended */
	int64_t base;
	uint32_t records, bytes;
	uint64_t tag;
};

struct seen { /* what was known after so many operations */
	uint64_t ops;
	unsigned part;
	int64_t synced, end;
	int32_t epoch;
};

struct truth {
	struct sent *b;
	uint32_t cnt;
	int64_t start; /* the log started nowhere behind it */
};

struct world {
	struct tu t;
	struct truth part[PARTS];
	struct seen now[PARTS], *seen;
	uint32_t seen_cnt, seen_cap;
	uint64_t tag, cut_nr;
	struct sl_rng rng;
};

static const struct {
	const char *topic;
	int32_t id;
	int64_t retention_bytes;
	uint32_t bytes_max;
} parts[PARTS] = {
	{"busy", 0, -1, 6000},
	{"busy", 1, -1, 40000},
	{"short", 0, 1 << 20, 30000}, /* its files are used again and again */
	{"quiet", 0, -1, 300},
};

/* ---- what is known ------------------------------------------------------------------------- */

static struct sl_part *part(struct world *w, unsigned i)
{
	struct sl_topic *t = sl_store_topic_find(w->t.s, parts[i].topic, strlen(parts[i].topic));

	return t ? sl_topic_part(t, parts[i].id) : NULL;
}

static void look(struct world *w, unsigned i)
{
	const struct sl_part *p = part(w, i);
	struct seen s = {.part = i,
			 .synced = sl_part_synced(p),
			 .end = sl_part_end(p),
			 .epoch = p->pub.leader_epoch};

	w->part[i].start = SL_MAX(w->part[i].start, sl_part_start(p));
	if (s.synced == w->now[i].synced && s.end == w->now[i].end && s.epoch == w->now[i].epoch)
		return;
	w->now[i] = s;
	if (w->seen_cnt == w->seen_cap) {
		w->seen_cap = w->seen_cap ? 2 * w->seen_cap : 1024;
		w->seen = realloc(w->seen, w->seen_cap * sizeof(*w->seen));
		assert_non_null(w->seen);
	}
	s.ops = sl_sim_ops(); /* after the look: it may have been so a little earlier */
	w->seen[w->seen_cnt++] = s;
}

/* As of a cut: `from` is what was known before the run. */
static void known_at(const struct world *w, uint64_t at, const struct seen from[PARTS],
		     struct seen ret[PARTS])
{
	memcpy(ret, from, PARTS * sizeof(*ret));
	for (uint32_t i = 0; i < w->seen_cnt; i++)
		if (w->seen[i].ops <= at)
			ret[w->seen[i].part] = w->seen[i];
}

/* ---- checking ------------------------------------------------------------------------------ */

/* Everything from log start to log end is what was appended there. */
static void same_bytes(struct world *w, unsigned i)
{
	static uint8_t buf[TU_BATCH_CAP], want[TU_BATCH_CAP];
	struct sl_part *p = part(w, i);
	const struct truth *tr = &w->part[i];
	int64_t off = sl_part_start(p), end = sl_part_end(p);
	uint32_t k = 0;

	while (k < tr->cnt && tr->b[k].base < off)
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
			assert_true(k < tr->cnt);
			uint32_t len = tu_batch(want, tr->b[k].records, tr->b[k].bytes,
						tr->b[k].tag, w->t.now_ms);
			if (sl_batch_base_offset(buf + pos) != tr->b[k].base ||
			    sl_batch_total(buf + pos) != len ||
			    memcmp(buf + pos + SL_BATCH_MAGIC_OFF, want + SL_BATCH_MAGIC_OFF,
				   len - SL_BATCH_MAGIC_OFF))
				fail_msg("%s: offset %" PRId64 ": other bytes", p->dir,
					 tr->b[k].base);
		}
		off = rd.next_offset;
	}
}

static void check(struct world *w, const struct seen known[PARTS])
{
	if (w->t.rec.lost_records || w->t.rec.damaged_records)
		fail_msg("%" PRId64 " lost, %" PRIu64 " damaged", w->t.rec.lost_records,
			 w->t.rec.damaged_records);
	for (unsigned i = 0; i < PARTS; i++) {
		const struct sl_part *p = part(w, i);
		const struct seen *k = &known[i];
		if (!p && k->epoch < 0)
			continue; /* its creation had not returned */
		if (!p)
			fail_msg("topic %s is gone", parts[i].topic);
		if (sl_part_end(p) < k->synced)
			fail_msg("%s: ends at %" PRId64 ", synced was %" PRId64, p->dir,
				 sl_part_end(p), k->synced);
		if (sl_part_end(p) < k->end && p->pub.leader_epoch <= k->epoch)
			fail_msg("%s: offsets from %" PRId64 " to %" PRId64
				 " are used again in epoch %d",
				 p->dir, sl_part_end(p), k->end, p->pub.leader_epoch);
		/* unless retention has had its turn again */
		if (w->t.cfg.retention_check_ms > RUN_MS && sl_part_start(p) > w->part[i].start)
			fail_msg("%s: starts at %" PRId64 " instead of %" PRId64, p->dir,
				 sl_part_start(p), w->part[i].start);
		same_bytes(w, i);
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
	struct truth *tr = &w->part[i];
	struct sent s = {.records = 1 + sl_rng_below(&w->rng, 3),
			 .bytes = 8 + sl_rng_below(&w->rng, parts[i].bytes_max),
			 .tag = w->tag++};

	s.base = tu_append(&w->t, part(w, i), s.records, s.bytes, s.tag,
			   sl_rng_below(&w->rng, 3) ? SL_ACK_LOGGED : SL_ACK_SYNCED);
	if (tr->cnt % 1024 == 0) {
		tr->b = realloc(tr->b, (tr->cnt + 1024) * sizeof(*tr->b));
		assert_non_null(tr->b);
	}
	tr->b[tr->cnt++] = s;
}

static void make_topics(struct world *w)
{
	for (unsigned i = 0; i < PARTS; i++) {
		struct sl_topic_cfg cfg;
		struct sl_topic *t;
		if (part(w, i))
			continue;
		sl_topic_cfg_defaults(&cfg);
		cfg.segment_bytes = 1 << 20;
		cfg.retention_bytes = parts[i].retention_bytes;
		assert_int_equal(sl_store_topic_create(w->t.s, parts[i].topic,
						       i + 1 < PARTS && parts[i + 1].id ? 2 : 1,
						       &cfg, &t),
				 0);
	}
}

/* Offsets that a cut freed are given out again: what was there is forgotten. */
static void forget_tail(struct world *w)
{
	for (unsigned i = 0; i < PARTS; i++) {
		struct truth *tr = &w->part[i];
		int64_t end = part(w, i) ? sl_part_end(part(w, i)) : 0;
		while (tr->cnt && tr->b[tr->cnt - 1].base >= end)
			tr->cnt--;
		const struct sent *last = tr->cnt ? &tr->b[tr->cnt - 1] : NULL;
		if (part(w, i) && sl_part_start(part(w, i)) < end)
			assert_int_equal(last ? last->base + last->records : 0, end);
	}
}

static void run(struct world *w, const struct seen known[PARTS])
{
	unsigned steps = sl_rng_below(&w->rng, STEPS_MAX);
	bool clean = sl_rng_below(&w->rng, 4) == 0;

	w->seen_cnt = 0;
	memset(w->now, 0xff, sizeof(w->now));
	sl_sim_start(w->t.data);
	w->t.cfg.retention_check_ms = 20;
	tu_open(&w->t);
	check(w, known);
	forget_tail(w);
	make_topics(w);
	for (unsigned i = 0; i < PARTS; i++)
		look(w, i);
	while (steps--) {
		unsigned i = sl_rng_below(&w->rng, PARTS);
		append(w, i);
		look(w, i);
		if (sl_rng_below(&w->rng, 2))
			tu_pump(&w->t);
		for (i = 0; i < PARTS; i++)
			look(w, i);
	}
	if (clean)
		assert_int_equal(sl_store_writer_drain(w->t.w, sl_clock_mono_ns() + 20000000000ull),
				 0);
	sl_hk_stop(w->t.s); /* so that nothing is deleted after the last look */
	for (unsigned i = 0; i < PARTS; i++)
		look(w, i);
	tu_close(&w->t, clean);
	sl_sim_stop();
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

static void after_cut(struct world *w, const struct seen known[PARTS])
{
	uint32_t cnt[PARTS];

	w->t.cfg.retention_check_ms = 3600000;
	tu_open(&w->t);
	check(w, known);
	for (unsigned i = 0; i < PARTS; i++) {
		cnt[i] = w->part[i].cnt;
		if (part(w, i))
			tu_append(&w->t, part(w, i), 2, 5000, 1, SL_ACK_SYNCED);
	}
	tu_close(&w->t, true);
	for (unsigned i = 0; i < PARTS; i++) {
		char dir[600];
		snprintf(dir, sizeof(dir), "%s/log/%s-%d", w->t.data, parts[i].topic, parts[i].id);
		dump(dir);
		assert_int_equal(cnt[i], w->part[i].cnt);
	}
}

static void power_cuts(void **state)
{
	const char *env = getenv("SL_POWERCUT_MS");
	uint64_t until =
		sl_clock_mono_ns() + (env ? strtoull(env, NULL, 10) : RUN_MS) * (uint64_t)1000000;
	static struct world world;
	struct world *w = &world;
	struct seen known[PARTS], next[PARTS];
	char old[sizeof(w->t.data)];
	(void)state;

	w->rng = sl_rng_from(sl_test_seed());
	tu_init(&w->t, access("/dev/shm", W_OK) ? NULL : "/dev/shm", "posix");
	w->t.cfg.stripe_bytes = 8 << 20;
	assert_int_equal(mkdir(w->t.data, 0700), 0);
	memset(known, 0xff, sizeof(known)); /* epoch -1: not even made */
	while (sl_clock_mono_ns() < until) {
		run(w, known);
		for (unsigned i = 0; i < CUTS; i++) {
			uint64_t at = sl_rng_below(&w->rng, (uint32_t)sl_sim_ops() + 1);
			memcpy(old, w->t.data, sizeof(old));
			known_at(w, at, known, next);
			cut(w, at);
			tu_rmtree(old);
			if (i + 1 < CUTS)
				after_cut(w, next);
		}
		memcpy(known, next, sizeof(known)); /* the last one is where the next run begins */
	}
	printf("%" PRIu64 " cuts\n", w->cut_nr);
	tu_rmtree(w->t.dir);
	for (unsigned i = 0; i < PARTS; i++)
		free(w->part[i].b);
	free(w->seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(power_cuts)};

	return cmocka_run_group_tests_name("powercut", tests, NULL, NULL);
}
