/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill_test.c - a child appends and says through a pipe what was logged and what was synced; it is
 * killed with SIGKILL at a random moment; whatever it said must be there, byte for byte.
 *
 * Every second restart or so is made by yet another child that is killed while it recovers.
 * SL_KILL_ROUNDS asks for more kills than usual.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "platform/base/sl_test.h"
#include "test_util.h"

#define PARTS        3u
#define ROUNDS       12u
#define START_MAX_MS 30000u
#define BATCHES_MAX  200000u

struct said { /* through the pipe, and the parent's memory of it */
	int32_t part;
	uint32_t records, bytes;
	int64_t base; /* -1: `tag` is a synced offset of the partition */
	uint64_t tag;
};

struct truth {
	struct said *b;
	uint32_t cnt;
	int64_t end, synced;
	bool unknown_tail; /* one batch may have been logged without word of it */
};

static const struct {
	const char *io, *base;
	uint64_t budget; /* small: segments go all the time, and their files are used again */
} grounds[] = {{"io_uring", NULL, 0},
	       {"posix", NULL, 0},
	       {"io_uring", "/dev/shm", 0},
	       {"posix", "/dev/shm", 0},
	       {"io_uring", NULL, 32 << 20}};

static void say(int fd, const struct said *s)
{
	if (write(fd, s, sizeof(*s)) != (ssize_t)sizeof(*s))
		_exit(3);
}

/* Runs until it is killed. */
static void child(struct tu *t, int fd, uint64_t seed)
{
	struct sl_rng r = sl_rng_from(seed);
	struct sl_part *p[PARTS];
	int64_t synced[PARTS];
	static uint8_t buf[TU_BATCH_CAP];
	static const uint32_t max[] = {100, 2000, 30000, 400000};

	struct sl_topic_cfg cfg;

	tu_open(t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20; /* many rolls */
	struct sl_topic *topic = tu_topic(t, "k", PARTS, &cfg)->pub.topic;
	for (unsigned i = 0; i < PARTS; i++) {
		p[i] = sl_topic_part(topic, (int32_t)i);
		synced[i] = sl_part_synced(p[i]);
	}
	for (;;) {
		unsigned i = sl_rng_below(&r, PARTS);
		struct said s = {.part = (int32_t)i,
				 .records = 1 + sl_rng_below(&r, 4),
				 .bytes = 8 + sl_rng_below(&r, max[sl_rng_below(&r, 4)] / 4),
				 .tag = sl_rng_u64(&r)};
		struct sl_append a = {.part = p[i],
				      .batch = buf,
				      .records = s.records,
				      .producer_id = -1,
				      .ack = sl_rng_below(&r, 8) ? SL_ACK_LOGGED : SL_ACK_SYNCED};
		a.len = tu_batch(buf, s.records, s.bytes, s.tag, t->now_ms);
		int rc;
		while ((rc = sl_store_append(t->w, &a)) == -EAGAIN)
			tu_pump(t);
		if (rc)
			_exit(4);
		s.base = a.base_offset;
		say(fd, &s);
		if (sl_rng_below(&r, 4) == 0)
			sl_store_poll(t->w, sl_clock_mono_ns());
		for (unsigned k = 0; k < PARTS; k++) {
			if (sl_part_synced(p[k]) == synced[k])
				continue;
			synced[k] = sl_part_synced(p[k]);
			say(fd, &(struct said){.part = (int32_t)k,
					       .base = -1,
					       .tag = (uint64_t)synced[k]});
		}
	}
}

static void hear(struct truth *truth, const struct said *s)
{
	struct truth *t = &truth[s->part];

	if (s->base < 0) {
		t->synced = (int64_t)s->tag;
		return;
	}
	if (s->base != t->end)
		fail_msg("partition %d: offset %" PRId64 " after %" PRId64, s->part, s->base,
			 t->end);
	assert_true(t->cnt < BATCHES_MAX);
	t->b[t->cnt++] = *s;
	t->end = s->base + s->records;
}

/*
 * Listens for ms milliseconds, kills, listens to what is left in the pipe. The time runs from the
 * first word of the child, however slow its start is here, or else from its birth.
 */
static void run_and_kill(struct tu *t, struct truth *truth, uint64_t seed, unsigned ms,
			 bool from_first_word)
{
	int fd[2];
	struct said s;

	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd[0]);
		child(t, fd[1], seed);
	}
	close(fd[1]);
	uint64_t until = sl_clock_mono_ns() + (from_first_word ? START_MAX_MS : ms) * 1000000ull;
	bool killed = false;
	for (;;) {
		uint64_t now = sl_clock_mono_ns();
		if (!killed && now >= until) {
			kill(pid, SIGKILL);
			killed = true;
		}
		struct pollfd pfd = {.fd = fd[0], .events = POLLIN};
		if (!killed && poll(&pfd, 1, (int)((until - now) / 1000000) + 1) <= 0)
			continue;
		ssize_t n = read(fd[0], &s, sizeof(s));
		if (n == 0)
			break;
		assert_int_equal(n, sizeof(s));
		if (from_first_word)
			until = sl_clock_mono_ns() + ms * 1000000ull;
		from_first_word = false;
		hear(truth, &s);
	}
	close(fd[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
}

/* A start that is killed must not make the next one poorer. */
static void open_and_kill(struct tu *t, unsigned us)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sl_store_open(&t->cfg, &t->s, NULL, t->err, sizeof(t->err)))
			_exit(5);
		pause();
	}
	usleep(us);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void verify(struct tu *t, struct truth *truth)
{
	static uint8_t want[TU_BATCH_CAP];
	struct sl_topic *topic = sl_store_topic_find(t->s, "k", 1);

	if (!topic) { /* killed before the topic was there */
		for (unsigned i = 0; i < PARTS; i++)
			assert_int_equal(truth[i].end, 0);
		return;
	}
	unsigned extra = 0;
	for (unsigned i = 0; i < PARTS; i++) {
		struct sl_part *p = sl_topic_part(topic, (int32_t)i);
		struct truth *tr = &truth[i];
		if (sl_part_end(p) < tr->end)
			fail_msg("partition %u ends at %" PRId64 ", logged was %" PRId64, i,
				 sl_part_end(p), tr->end);
		for (uint32_t k = 0; k < tr->cnt; k++) {
			const struct said *s = &tr->b[k];
			uint8_t *b;
			int rc;
			if (s->base < sl_part_start(p)) /* evicted */
				continue;
			uint32_t len = tu_read(p, s->base, true, &b, &rc);
			if (len == 0 && s->base < sl_part_start(p))
				continue;
			if (len == 0)
				fail_msg("partition %u offset %" PRId64 ": %d", i, s->base, rc);
			assert_int_equal(sl_batch_base_offset(b), s->base);
			if (s->bytes == 0)
				continue; /* found at an earlier start */
			if (len != tu_batch(want, s->records, s->bytes, s->tag, t->now_ms) ||
			    memcmp(b + SL_BATCH_CRC_OFF, want + SL_BATCH_CRC_OFF,
				   len - SL_BATCH_CRC_OFF))
				fail_msg("partition %u offset %" PRId64 ": other bytes", i,
					 s->base);
		}
		while (tr->end < sl_part_end(p)) { /* logged, but the word of it was cut off */
			uint8_t *b;
			assert_true(tu_read(p, tr->end, true, &b, NULL) > 0);
			tr->b[tr->cnt++] = (struct said){.part = (int32_t)i,
							 .base = tr->end,
							 .records = (uint32_t)sl_batch_count(b)};
			tr->end += sl_batch_count(b);
			extra++;
		}
	}
	if (extra > 1)
		fail_msg("%u batches that nobody logged", extra);
}

static void killed_at_random(void **state)
{
	const char *io = grounds[(uintptr_t)*state].io;
	struct truth truth[PARTS] = {0};
	struct tu t;
	struct sl_rng r = sl_rng_from(sl_test_seed());

	tu_init(&t, grounds[(uintptr_t)*state].base, io);
	t.cfg.stripe_bytes = SL_STRIPE_MIN_BYTES;
	t.cfg.budget_bytes = grounds[(uintptr_t)*state].budget;
	for (unsigned i = 0; i < PARTS; i++) {
		truth[i].b = calloc(BATCHES_MAX, sizeof(struct said));
		assert_non_null(truth[i].b);
	}
	const char *env = getenv("SL_KILL_ROUNDS");
	unsigned rounds = env ? (unsigned)strtoul(env, NULL, 10) : ROUNDS;
	for (unsigned round = 0; round < rounds; round++) {
		run_and_kill(&t, truth, sl_rng_u64(&r), 5 + sl_rng_below(&r, 200),
			     sl_rng_below(&r, 4) > 0);
		if (sl_rng_below(&r, 2))
			open_and_kill(&t, sl_rng_below(&r, 40000));
		tu_open(&t);
		assert_int_equal(t.rec.lost_records, 0);
		assert_int_equal(t.rec.damaged_records, 0);
		assert_int_equal(t.rec.tails_restored, 0); /* the machine kept its power */
		assert_int_equal(t.rec.cut_bytes, 0);
		verify(&t, truth);
		tu_close(&t, sl_rng_below(&r, 2));
	}
	for (unsigned i = 0; i < PARTS; i++) {
		assert_true(truth[i].end > 0);
		free(truth[i].b);
	}
	tu_fini(&t);
}

int main(void)
{
	static const char *const names[SL_ARRAY_SIZE(grounds)] = {
		"io_uring on disk", "posix on disk", "io_uring on tmpfs", "posix on tmpfs",
		"io_uring on disk, recycled files"};
	struct CMUnitTest tests[SL_ARRAY_SIZE(grounds)];
	int bad = 0, ran = 0;

	for (size_t i = 0; i < SL_ARRAY_SIZE(grounds); i++) {
		const char *base = grounds[i].base;
		if (!sl_io_pick(grounds[i].io))
			print_message("skipped part: %s: no such back end here\n", names[i]);
		else if (base && access(base, W_OK))
			print_message("skipped part: %s: no %s\n", names[i], base);
		else
			tests[ran++] = (struct CMUnitTest){names[i], killed_at_random, NULL, NULL,
							   (void *)i};
	}
	if (ran)
		bad = _cmocka_run_group_tests("kill", tests, (size_t)ran, NULL, NULL);
	if (!ran)
		print_message("skipped: neither io_uring nor posix is usable here\n");
	return ran ? bad : 77;
}
