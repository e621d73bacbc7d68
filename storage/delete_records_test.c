/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteRecords: within a batch, to the end, past everything, over restarts and kills. */
#include "checkpoint.h"
#include "test_util.h"

#include <pthread.h>

enum { PER = 10 }; /* records of a batch */

struct call {
	struct tu *t;
	struct sl_part *p;
	int64_t offset, start;
	int rc;
	_Atomic bool done;
};

static void *run(void *arg)
{
	struct call *c = arg;

	c->rc = sl_store_delete_records(c->t->s, c->p, c->offset, &c->start);
	atomic_store(&c->done, true);
	return NULL;
}

/* From a worker, while the writer works: it has to sync first. */
static int delete_to(struct tu *t, struct sl_part *p, int64_t offset, int64_t *ret_start)
{
	struct call c = {.t = t, .p = p, .offset = offset, .start = -7};
	pthread_t th;

	assert_int_equal(pthread_create(&th, NULL, run, &c), 0);
	while (!atomic_load(&c.done))
		tu_pump(t);
	pthread_join(th, NULL);
	*ret_start = c.start;
	return c.rc;
}

static void expect(struct tu *t, struct sl_part *p, int64_t offset, int64_t want)
{
	int64_t start;

	assert_int_equal(delete_to(t, p, offset, &start), 0);
	assert_int_equal(start, want);
	assert_int_equal(sl_part_start(p), want);
}

static struct sl_part *small_segments(struct tu *t)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	cfg.retention_ms = -1;
	return tu_topic(t, "a", 1, &cfg);
}

static void fill(struct tu *t, struct sl_part *p, int batches)
{
	for (int i = 0; i < batches; i++)
		tu_append(t, p, PER, 10000, (uint64_t)sl_part_end(p) / PER, SL_ACK_LOGGED);
}

static uint32_t segments(struct sl_part *p)
{
	pthread_mutex_lock(&p->lock);
	uint32_t n = p->seg_cnt;
	pthread_mutex_unlock(&p->lock);
	return n;
}

static void moves(void **state)
{
	struct tu t;
	int64_t start;
	uint8_t *b;
	int rc;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.retention_check_ms = 3600 * 1000; /* nothing here waits for a timer */
	tu_open(&t);
	struct sl_part *p = small_segments(&t);
	expect(&t, p, -1, 0);
	expect(&t, p, 0, 0);
	assert_int_equal(delete_to(&t, p, 1, &start), -ERANGE);
	assert_int_equal(delete_to(&t, p, -2, &start), -ERANGE);
	fill(&t, p, 50); /* 5 MB */
	tu_sync(&t, p);
	for (int i = 0; segments(p) < 5 && i < 20000; i++)
		tu_pump(&t);
	uint32_t had = segments(p);
	assert_true(had >= 5);
	/* within a batch: it is still read whole, by whoever asks for an offset that is left */
	expect(&t, p, 13, 13);
	assert_int_equal(segments(p), had);
	assert_int_equal(tu_read(p, 12, true, &b, &rc), 0);
	assert_int_equal(rc, -ERANGE);
	assert_true(tu_read(p, 13, true, &b, &rc) > 0);
	assert_int_equal(sl_batch_base_offset(b), 10);
	/* back is no error, and nothing */
	expect(&t, p, 5, 13);
	/* whole segments go at once */
	expect(&t, p, 255, 255);
	for (int i = 0; segments(p) == had && i < 20000; i++)
		tu_pump(&t);
	assert_true(segments(p) < had);
	assert_true(p->segs[0]->base <= 255 && p->segs[1]->base > 255);
	assert_int_equal(delete_to(&t, p, 501, &start), -ERANGE);
	assert_int_equal(sl_part_start(p), 255);
	tu_check(p, 260, 500, PER, 10000, 26, t.now_ms);
	/* all of it: the active segment too */
	fill(&t, p, 1);
	expect(&t, p, -1, 510);
	for (int i = 0; (segments(p) > 1 || sl_seg_size(p->segs[0])) && i < 20000; i++)
		tu_pump(&t);
	assert_int_equal(segments(p), 1);
	assert_int_equal(p->segs[0]->base, 510);
	assert_int_equal(sl_part_end(p), 510);
	fill(&t, p, 2);
	tu_check(p, 510, 530, PER, 10000, 51, t.now_ms);
	tu_fini(&t);
}

/* Durable when it returns: neither a clean stop nor a kill brings back what was deleted. */
static void survives(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = small_segments(&t);
	fill(&t, p, 30);
	expect(&t, p, 47, 47);
	for (int k = 0; k < 4; k++) {
		tu_close(&t, k % 2);
		tu_open(&t);
		p = small_segments(&t);
		assert_int_equal(sl_part_start(p), 47);
		assert_int_equal(sl_part_end(p), 300);
		tu_check(p, 50, 300, PER, 10000, 5, t.now_ms);
	}
	expect(&t, p, -1, 300);
	tu_close(&t, false); /* the segments may be there still */
	tu_open(&t);
	p = small_segments(&t);
	assert_int_equal(sl_part_start(p), 300);
	assert_int_equal(sl_part_end(p), 300);
	fill(&t, p, 1);
	tu_check(p, 300, 310, PER, 10000, 30, t.now_ms);
	tu_fini(&t);
}

/* What log-start-offset-checkpoint says of partition 0 of "a". */
static int64_t checkpointed(const struct tu *t)
{
	char path[400], text[400];

	snprintf(path, sizeof(path), "%s/log/" SL_CP_LOG_START, t->data);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	const char *line = strstr(text, "a 0 ");
	return line ? strtoll(line + 4, NULL, 10) : -1;
}

/* Retention was there first: what is answered is durable all the same. */
static void after_retention(void **state)
{
	struct sl_topic_cfg cfg;
	struct tu t;
	int64_t start;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.retention_check_ms = 10;
	tu_open(&t);
	struct sl_part *p = small_segments(&t);
	fill(&t, p, 50); /* 5 MB */
	sl_topic_cfg_get(p->pub.topic, &cfg);
	cfg.retention_bytes = 1 << 20;
	tu_cfg_set(&t, p->pub.topic, &cfg);
	for (int i = 0; !sl_part_start(p) && i < 20000; i++)
		tu_pump(&t);
	assert_true(sl_part_start(p) > 0);
	assert_int_equal(delete_to(&t, p, 1, &start), 0);
	assert_true(start > 1);
	assert_true(checkpointed(&t) >= start);
	tu_fini(&t);
}

/* Log start is never durable beyond what is synced. */
static void synced_first(void **state)
{
	struct tu t;
	int64_t start;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.flush_interval_ms = 3600 * 1000; /* only who asks gets a sync */
	tu_open(&t);
	struct sl_part *p = small_segments(&t);
	fill(&t, p, 3);
	assert_int_equal(sl_part_synced(p), 0);
	struct call c = {.t = &t, .p = p, .offset = 15};
	pthread_t th;
	assert_int_equal(pthread_create(&th, NULL, run, &c), 0);
	while (sl_part_synced(p) < 15) {
		assert_false(atomic_load(&c.done));
		assert_int_equal(sl_part_start(p), 0);
		tu_pump(&t);
	}
	while (!atomic_load(&c.done))
		tu_pump(&t);
	pthread_join(th, NULL);
	assert_int_equal(c.rc, 0);
	assert_int_equal(c.start, 15);
	assert_int_equal(checkpointed(&t), 15);
	/* a partition that failed cannot promise anything */
	sl_part_fail(p);
	assert_int_equal(delete_to(&t, p, 20, &start), -EIO);
	assert_int_equal(sl_part_start(p), 15);
	tu_fini(&t);
}

/* Deleted while somebody waits for the sync: an answer, not a wait for ever. */
static void topic_goes_meanwhile(void **state)
{
	struct tu t;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.flush_interval_ms = 3600 * 1000;
	tu_open(&t);
	struct sl_part *p = small_segments(&t);
	struct sl_topic *x = sl_store_topic_find(t.s, "a", 1);
	fill(&t, p, 3);
	struct call c = {.t = &t, .p = p, .offset = 15};
	pthread_t th;
	assert_int_equal(pthread_create(&th, NULL, run, &c), 0);
	while (!(atomic_load(&p->to_wr) & SL_WR_SYNC)) /* it waits now */
		sched_yield();
	assert_int_equal(sl_store_topic_delete(t.s, x), 0);
	pthread_join(th, NULL);
	assert_int_equal(c.rc, -ENOENT);
	sl_topic_put(x);
	tu_fini(&t);
}

/* By time: what was deleted is not found, whatever its timestamp. */
static void timestamps(void **state)
{
	struct tu t;
	int64_t off, ts, now;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = small_segments(&t);
	now = t.now_ms;
	t.now_ms = now + 1000; /* the largest comes first */
	fill(&t, p, 1);
	t.now_ms = now + 10;
	fill(&t, p, 1);
	t.now_ms = now + 20;
	fill(&t, p, 1);
	assert_int_equal(sl_store_max_ts(p, &off, &ts), 0);
	assert_int_equal(off, 0);
	expect(&t, p, 12, 12);
	assert_int_equal(sl_store_max_ts(p, &off, &ts), 0);
	assert_int_equal(off, 20);
	assert_int_equal(ts, now + 20);
	assert_int_equal(sl_store_offset_for_ts(p, now, &off, &ts), 0);
	assert_int_equal(off, 12);
	assert_int_equal(ts, now + 10);
	assert_int_equal(sl_store_offset_for_ts(p, now + 500, &off, &ts), 0);
	assert_int_equal(off, -1);
	expect(&t, p, -1, 30);
	assert_int_equal(sl_store_max_ts(p, &off, &ts), 0);
	assert_int_equal(off, -1);
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),        cmocka_unit_test(survives),
		cmocka_unit_test(synced_first), cmocka_unit_test(after_retention),
		cmocka_unit_test(timestamps),   cmocka_unit_test(topic_goes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
