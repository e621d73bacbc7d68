/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_random_test.c - the engine under random schedules: whatever happens, at the end the centre
 * has each record once, in order, or it is named among the dead letters or the evicted, and the
 * books say exactly that.
 */
#include "engine_rig.h"
#include "platform/base/log.h"
#include "platform/base/sl_test.h"

#include <inttypes.h>

#ifdef SL_SANITIZED
#define SECONDS 3
#else
#define SECONDS 4
#endif
#define TOPICS 3
#define PARTS  4

struct world {
	struct rig r;
	struct sl_rng rng;
	bool running;
	uint64_t big; /* records that the centre will refuse */
	unsigned step;
};

static const char *const names[TOPICS] = {"a", "b", "c"};

static const char *any_topic(struct world *w)
{
	return names[sl_rng_below(&w->rng, TOPICS)];
}

static void start(struct world *w)
{
	assert_int_equal(rig_start(&w->r), 0);
	w->running = true;
}

/* ---- what may happen
 * -------------------------------------------------------------------------------------- */

static void records(struct world *w)
{
	rig_produce(&w->r, any_topic(w), (int32_t)sl_rng_below(&w->rng, PARTS),
		    1 + sl_rng_below(&w->rng, 60), sl_rng_below(&w->rng, 200));
}

static void a_big_one(struct world *w)
{
	rig_produce(&w->r, any_topic(w), (int32_t)sl_rng_below(&w->rng, PARTS), 1, 3000);
	w->big++;
}

static void a_fault(struct world *w)
{
	mem_centre_order(w->r.centre, (enum mem_fault)sl_rng_below(&w->rng, 5));
}

static void a_cut(struct world *w)
{
	struct mem_cfg *c = mem_centre_cfg(w->r.centre);

	c->up = !c->up;
}

static void a_fence(struct world *w)
{
	mem_centre_fence(w->r.centre, "gw");
}

static void a_crash(struct world *w)
{
	if (w->running)
		rig_crash(&w->r);
	start(w);
}

static void a_stop(struct world *w)
{
	if (w->running && mem_centre_cfg(w->r.centre)->up)
		rig_stop(&w->r);
	else if (w->running)
		rig_crash(&w->r);
	w->running = false;
}

static void a_refused_open(struct world *w)
{
	mem_centre_refuse_opens(w->r.centre, 1 + sl_rng_below(&w->rng, 3),
				sl_rng_below(&w->rng, 2) ? SL_SINK_REBUILD : SL_SINK_DENIED);
}

static void another_pace(struct world *w)
{
	struct mem_cfg *c = mem_centre_cfg(w->r.centre);

	c->pace = sl_rng_below(&w->rng, 4);
	c->batch = 1 + sl_rng_below(&w->rng, 40);
	c->window = 2 + sl_rng_below(&w->rng, 200);
}

static void an_eviction(struct world *w)
{
	struct sl_part *p = rig_part(&w->r, any_topic(w), (int32_t)sl_rng_below(&w->rng, PARTS));
	int64_t n = sl_part_end(p) - sl_part_start(p);

	if (n > 0)
		fake_store_set_start(p, sl_part_start(p) + sl_rng_below(&w->rng, (uint32_t)n));
}

static void a_pause(struct world *w)
{
	if (w->running)
		assert_int_equal(sl_engine_pause(w->r.engine, sl_rng_below(&w->rng, 2)), 0);
}

static void a_rate(struct world *w)
{
	if (w->running)
		sl_engine_rate(w->r.engine, sl_rng_below(&w->rng, 3) * 50000);
}

static void a_deleted_topic(struct world *w)
{
	char name[32];

	snprintf(name, sizeof(name), "gw.%s", any_topic(w));
	if (mem_centre_partitions(w->r.centre, name))
		mem_centre_delete(w->r.centre, name);
}

static void a_sync(struct world *w)
{
	fake_store_cfg(w->r.store)->auto_sync = sl_rng_below(&w->rng, 2);
	fake_store_sync(w->r.store);
}

static const struct {
	void (*fn)(struct world *w);
	unsigned weight;
} happens[] = {
	{records, 120}, {a_big_one, 3}, {a_fault, 6},         {a_cut, 6},        {a_fence, 3},
	{a_crash, 4},   {a_stop, 2},    {a_refused_open, 2},  {another_pace, 5}, {an_eviction, 2},
	{a_pause, 3},   {a_rate, 2},    {a_deleted_topic, 1}, {a_sync, 6},
};

static void something(struct world *w)
{
	uint32_t sum = 0, at;

	for (size_t i = 0; i < SL_ARRAY_SIZE(happens); i++)
		sum += happens[i].weight;
	at = sl_rng_below(&w->rng, sum);
	for (size_t i = 0; i < SL_ARRAY_SIZE(happens); i++) {
		if (at < happens[i].weight) {
			happens[i].fn(w);
			return;
		}
		at -= happens[i].weight;
	}
}

/* ---- what must come of it
 * ------------------------------------------------------------------------------------ */

static void settle(struct world *w)
{
	struct mem_cfg *c = mem_centre_cfg(w->r.centre);

	c->up = true;
	mem_centre_refuse_opens(w->r.centre, 0, SL_SINK_REBUILD);
	fake_store_sync(w->r.store);
	if (!w->running)
		start(w);
	assert_int_equal(sl_engine_pause(w->r.engine, false), 0);
	sl_engine_rate(w->r.engine, 0);
	rig_drain(&w->r);
}

static void check(struct world *w)
{
	struct sl_uplink_stats s = rig_stats(&w->r);
	uint64_t forwarded = 0, dead = 0, appended = 0;
	struct rig_seen *seen = malloc(sizeof(*seen));

	assert_non_null(seen);
	for (unsigned t = 0; t < TOPICS; t++) {
		rig_check(&w->r, names[t], seen);
		forwarded += seen->forwarded;
		dead += seen->dead;
		for (int p = 0; p < PARTS; p++)
			appended += (uint64_t)sl_part_end(rig_part(&w->r, names[t], p));
	}
	free(seen);
	assert_int_equal(s.alarm, SL_UP_ALARM_NONE);
	assert_int_equal(s.forwarded, forwarded);
	assert_int_equal(s.dead_letter, dead);
	assert_int_equal(s.evicted_unsent, appended - forwarded - dead);
	assert_true(dead <= w->big);
	assert_int_equal(s.carried, appended);
	assert_int_equal(s.difference, 0);
}

static void one_world(uint64_t seed)
{
	struct world w = {.rng = sl_rng_from(seed)};

	rig_init(&w.r, "gw", NULL);
	w.r.cfg->uplink.commit_bytes = 20000 + sl_rng_below(&w.rng, 100000);
	w.r.cfg->uplink.commit_interval_ms = 1 + sl_rng_below(&w.rng, 300);
	if (sl_rng_below(&w.rng, 3) == 0)
		w.r.cfg->uplink.partitions = 1 + sl_rng_below(&w.rng, 6);
	mem_centre_cfg(w.r.centre)->bytes_max = 2000;
	for (unsigned t = 0; t < TOPICS; t++)
		rig_topic(&w.r, names[t], PARTS);
	start(&w);
	for (w.step = 0; w.step < 400; w.step++) {
		something(&w);
		if (w.running)
			rig_run(&w.r, sl_rng_below(&w.rng, 10) ? sl_rng_below(&w.rng, 50)
							       : sl_rng_below(&w.rng, 3000));
		if (w.step % 100 == 99) {
			settle(&w);
			check(&w);
		}
	}
	rig_fini(&w.r);
}

static void random_worlds(SL_UNUSED void **state)
{
	uint64_t seed = sl_test_seed();
	time_t end = time(NULL) + SECONDS;
	unsigned n = 0;

	sl_log_set_level(SL_LOG_ERROR);
	do { /* SL_TEST_SEED of one that failed is the first one of a run */
		printf("world %llu\n", (unsigned long long)seed);
		fflush(stdout);
		one_world(seed++);
		n++;
	} while (time(NULL) < end);
	printf("%u worlds\n", n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(random_worlds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
