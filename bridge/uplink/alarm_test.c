/* SPDX-License-Identifier: Apache-2.0 */
/* alarm_test.c - when the uplink stops instead of guessing, and what an adoption then does. */
#include "engine_rig.h"
#include "platform/base/sl_test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	rig_init(r, "gw", NULL);
	rig_topic(r, "a", 1);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static void expect_alarm(struct rig *r, enum sl_up_alarm alarm)
{
	struct sl_uplink_stats s = rig_stats(r);

	if (s.alarm != alarm)
		fail_msg("alarm %s, wanted %s: %s", sl_up_alarm_name(s.alarm),
			 sl_up_alarm_name(alarm), s.last_error);
	assert_int_equal(s.state, alarm ? SL_UP_ALARM : SL_UP_RUNNING);
	if (alarm)
		assert_true(strlen(s.last_error) > 20);
	assert_int_equal(sl_store_link(r->store), alarm == SL_UP_ALARM_NONE);
}

/* It stays stopped, and writes nothing there, also over starts. */
static void expect_stopped(struct rig *r, enum sl_up_alarm alarm)
{
	size_t before = mem_centre_cnt(r->centre);

	for (int i = 0; i < 3; i++) {
		rig_produce(r, "a", 0, 10, 0);
		rig_run(r, 200000);
		expect_alarm(r, alarm);
		assert_int_equal(mem_centre_cnt(r->centre), before);
		if (i % 2)
			rig_stop(r);
		else
			rig_crash(r);
		assert_int_equal(rig_start(r), 0);
	}
	rig_run(r, 10000);
	expect_alarm(r, alarm);
	assert_int_equal(mem_sink_opens(r->sink), 0);
}

static int64_t position(struct rig *r)
{
	return sl_part_forwarded(rig_part(r, "a", 0));
}

static uint64_t at_centre(struct rig *r)
{
	struct rig_seen seen;

	rig_check(r, "a", &seen);
	return seen.forwarded;
}

static void no_alarm_no_adoption(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_start(r), 0);
	rig_run(r, 1000);
	expect_alarm(r, SL_UP_ALARM_NONE);
	assert_int_equal(sl_engine_adopt(r->engine), -EALREADY);
}

/* ---- copy
 * ------------------------------------------------------------------------------------------------
 */

static void a_copied_directory_touches_nothing(void **state)
{
	struct rig *r = *state;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	r->state->identity.inode++; /* written down: another inode than it has */
	rig_stop(r);
	assert_int_equal(rig_start(r), 0);
	expect_alarm(r, SL_UP_ALARM_COPY);
	assert_int_equal(sl_engine_pause(r->engine, true), -EBUSY);
	expect_stopped(r, SL_UP_ALARM_COPY);
	assert_int_equal(at_centre(r), 10);
	assert_int_equal(sl_engine_adopt(r->engine), 0);
	rig_drain(r);
	expect_alarm(r, SL_UP_ALARM_NONE);
	assert_int_equal(at_centre(r), 40); /* what came meanwhile, and nothing twice */
	rig_stop(r);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 1000);
	expect_alarm(r, SL_UP_ALARM_NONE);
}

static void an_adoption_outlives_a_crash_before_it_gets_through(void **state)
{
	struct rig *r = *state;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	r->state->identity.inode++;
	rig_stop(r);
	assert_int_equal(rig_start(r), 0);
	mem_centre_cfg(r->centre)->up = false;
	assert_int_equal(sl_engine_adopt(r->engine), 0);
	rig_run(r, 3000);
	rig_crash(r);
	mem_centre_cfg(r->centre)->up = true;
	assert_int_equal(rig_start(r), 0);
	rig_produce(r, "a", 0, 10, 0);
	rig_drain(r);
	expect_alarm(r, SL_UP_ALARM_NONE);
	assert_int_equal(at_centre(r), 20);
}

/* ---- token
 * ------------------------------------------------------------------------------------------------
 */

/* Two boxes from one disk: same name, same file, the same log so far. */
static void make_clone(struct rig *r, struct rig *clone)
{
	rig_init(clone, "gw", r->centre);
	rig_topic(clone, "a", 1);
	rig_produce(clone, "a", 0, (unsigned)sl_part_end(rig_part(r, "a", 0)), 0);
	rig_clone_state(r, clone);
}

static void a_clone_that_starts_while_the_first_is_idle(void **state)
{
	struct rig *r = *state, clone;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 70000); /* the file is up to date */
	make_clone(r, &clone);
	assert_int_equal(rig_start(&clone), 0);
	rig_run(&clone, 3000);
	expect_alarm(&clone, SL_UP_ALARM_NONE); /* nothing tells it from a restart */
	rig_produce(&clone, "a", 0, 5, 0);
	rig_drain(&clone);
	rig_produce(r, "a", 0, 7, 0);
	rig_run(r, 5000);
	expect_alarm(r, SL_UP_ALARM_TOKEN); /* found at the first fence */
	assert_int_equal(rig_stats(r).backlog, 7);
	assert_int_equal(at_centre(&clone), 15);
	expect_stopped(r, SL_UP_ALARM_TOKEN);
	rig_fini(&clone);
}

static void a_clone_that_starts_after_the_first_went_on(void **state)
{
	struct rig *r = *state, clone;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 70000);
	make_clone(r, &clone);
	rig_produce(r, "a", 0, 10, 0);
	rig_drain(r);
	assert_int_equal(rig_start(&clone), 0);
	rig_run(&clone, 3000);
	expect_alarm(&clone, SL_UP_ALARM_BEYOND);
	rig_produce(r, "a", 0, 10, 0);
	rig_drain(r); /* fenced once by the look of the other one, and on */
	expect_alarm(r, SL_UP_ALARM_NONE);
	assert_int_equal(at_centre(r), 30);
	expect_stopped(&clone, SL_UP_ALARM_BEYOND);
	rig_fini(&clone);
}

static void clones_that_start_together(void **state)
{
	struct rig *r = *state, clone;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_stop(r);
	make_clone(r, &clone);
	assert_int_equal(rig_start(r), 0);
	assert_int_equal(rig_start(&clone), 0);
	for (int i = 0; i < 200; i++) {
		rig_run(r, 10);
		rig_run(&clone, 10);
		if (i % 10 == 0) {
			rig_produce(r, "a", 0, 1, 0);
			rig_produce(&clone, "a", 0, 1, 0);
		}
	}
	/* one of them goes on, the other one has said so and stopped */
	assert_true((rig_stats(r).alarm == SL_UP_ALARM_NONE) !=
		    (rig_stats(&clone).alarm == SL_UP_ALARM_NONE));
	rig_run(r, 1000);
	rig_run(&clone, 1000);
	assert_int_equal(at_centre(r), 30); /* each offset once */
	rig_fini(&clone);
}

/* The operator says who it is: then the other one finds out. */
static void adopting_against_a_clone(void **state)
{
	struct rig *r = *state, clone;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 70000);
	make_clone(r, &clone);
	assert_int_equal(rig_start(&clone), 0);
	rig_produce(&clone, "a", 0, 5, 0);
	rig_drain(&clone);
	rig_produce(r, "a", 0, 8, 0);
	rig_run(r, 5000);
	expect_alarm(r, SL_UP_ALARM_TOKEN);
	assert_int_equal(sl_engine_adopt(r->engine), 0);
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_NONE);
	/* its own eight: the clone's five are another box's, whatever their offsets */
	assert_int_equal(rig_stats(r).forwarded, 18);
	assert_int_equal(position(r), 18);
	rig_produce(&clone, "a", 0, 1, 0);
	rig_run(&clone, 5000);
	expect_alarm(&clone, SL_UP_ALARM_TOKEN);
	rig_fini(&clone);
}

static void a_new_disk_under_the_old_name(void **state)
{
	struct rig *r = *state, fresh;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_stop(r);
	rig_init(&fresh, "gw", r->centre);
	rig_topic(&fresh, "b", 1);
	rig_produce(&fresh, "b", 0, 5, 0);
	assert_int_equal(rig_start(&fresh), 0);
	rig_run(&fresh, 3000);
	expect_alarm(&fresh, SL_UP_ALARM_TOKEN);
	assert_int_equal(sl_engine_adopt(fresh.engine), 0);
	rig_drain(&fresh);
	assert_int_equal(rig_stats(&fresh).forwarded, 5);
	rig_fini(&fresh);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_TOKEN);
}

static void a_lost_file_is_a_new_disk(void **state)
{
	struct rig *r = *state;
	char path[96];

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_stop(r);
	snprintf(path, sizeof(path), "%s/state/uplink", r->data);
	assert_int_equal(remove(path), 0);
	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_TOKEN);
	assert_int_equal(sl_engine_adopt(r->engine), 0);
	rig_drain(r);
	assert_int_equal(at_centre(r), 20);
}

/* ---- beyond
 * ------------------------------------------------------------------------------------------------
 */

/* The centre has ten more than the disk: a restored backup. */
static void restored(struct rig *r, struct rig *old)
{
	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 70000);
	make_clone(r, old);
	rig_produce(r, "a", 0, 10, 0);
	rig_drain(r);
	rig_stop(r);
}

static void a_position_beyond_the_log(void **state)
{
	struct rig *r = *state, old;

	restored(r, &old);
	assert_int_equal(rig_start(&old), 0);
	rig_produce(&old, "a", 0, 100, 0); /* it grows, but what it was is what counts */
	rig_run(&old, 3000);
	expect_alarm(&old, SL_UP_ALARM_BEYOND);
	expect_stopped(&old, SL_UP_ALARM_BEYOND);
	assert_int_equal(sl_engine_adopt(old.engine), 0);
	rig_run(&old, 5000);
	expect_alarm(&old, SL_UP_ALARM_NONE);
	/* all that came after the restore is its own, and goes; nothing of before goes again */
	assert_int_equal(rig_stats(&old).backlog, 0);
	assert_int_equal(position(&old), sl_part_end(rig_part(&old, "a", 0)));
	rig_fini(&old);
}

/* The same, where the centre could not be asked until the log had grown beyond the position. */
static void a_log_that_grew_during_an_outage(void **state)
{
	struct rig *r = *state, old;

	restored(r, &old);
	mem_centre_cfg(r->centre)->up = false;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_start(&old), 0);
		rig_produce(&old, "a", 0, 20, 0);
		rig_run(&old, 5000);
		if (i % 2)
			rig_stop(&old);
		else
			rig_crash(&old);
	}
	mem_centre_cfg(r->centre)->up = true;
	assert_int_equal(rig_start(&old), 0);
	rig_run(&old, 3000);
	expect_alarm(&old, SL_UP_ALARM_BEYOND);
	rig_fini(&old);
}

static void a_partition_that_is_not_here(void **state)
{
	struct rig *r = *state, old;
	struct sl_topic *t;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 70000);
	make_clone(r, &old);
	t = sl_store_topic_find(r->store, "a", 1);
	assert_int_equal(sl_store_partitions_add(r->store, t, 2), 0);
	sl_topic_put(t);
	rig_produce(r, "a", 1, 1, 0);
	rig_drain(r);
	rig_stop(r);
	assert_int_equal(rig_start(&old), 0);
	rig_run(&old, 3000);
	expect_alarm(&old, SL_UP_ALARM_BEYOND);
	rig_fini(&old);
}

/* The offsets are there, but they were written anew: another log of the same length. */
static void another_epoch(void **state)
{
	struct rig *r = *state, old;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 70000);
	rig_init(&old, "gw", r->centre);
	rig_topic(&old, "a", 1);
	rig_produce(&old, "a", 0, 5, 0);
	fake_store_set_epoch(rig_part(&old, "a", 0), 3); /* five were lost here */
	rig_produce(&old, "a", 0, 5, 0);
	rig_clone_state(r, &old);
	rig_crash(r);
	assert_int_equal(rig_start(&old), 0);
	rig_run(&old, 3000);
	expect_alarm(&old, SL_UP_ALARM_BEYOND);
	rig_fini(&old);
}

/* ---- identity
 * ------------------------------------------------------------------------------------------------
 */

static void positions_that_are_not_understood(void **state)
{
	struct rig *r = *state;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_stop(r);
	mem_centre_put(r->centre, "sluice.positions", "gw/whatever", "{}");
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_IDENTITY);
	assert_non_null(strstr(rig_stats(r).last_error, "gw/whatever"));
	expect_stopped(r, SL_UP_ALARM_IDENTITY);
	assert_int_equal(sl_engine_adopt(r->engine), 0);
	rig_drain(r);
	assert_int_equal(at_centre(r), 40);
}

static void positions_that_are_gone(void **state)
{
	struct rig *r = *state;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	mem_centre_delete(r->centre, "sluice.positions");
	rig_stop(r);
	/* records of a deleted topic are nobody's any more */
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++) {
		struct mem_rec *rec = (struct mem_rec *)(uintptr_t)mem_centre_rec(r->centre, i);
		if (!strcmp(rec->topic, "sluice.positions"))
			rec->state = MEM_ABORTED;
	}
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_IDENTITY);
	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(sl_engine_adopt(r->engine), 0);
	rig_drain(r);
	assert_int_equal(at_centre(r), 20); /* what had been confirmed is not sent again */
}

/* A tombstone for one partition, by an operator. */
static void one_position_that_is_gone(void **state)
{
	struct rig *r = *state;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_stop(r);
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++) {
		const struct mem_rec *rec = mem_centre_rec(r->centre, i);
		char key[128];
		if (strcmp(rec->topic, "sluice.positions") || rec->key.len < 10)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)rec->key.len, (const char *)rec->key.p);
		mem_centre_put(r->centre, "sluice.positions", key, NULL);
		break;
	}
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_IDENTITY);
}

/* Somebody writes a position for us while we run. */
static void a_position_that_we_did_not_write(void **state)
{
	struct rig *r = *state;
	char key[128] = "", val[2048] = "", *at;

	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++) {
		const struct mem_rec *rec = mem_centre_rec(r->centre, i);
		if (strcmp(rec->topic, "sluice.positions") || rec->key.len < 10)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)rec->key.len, (const char *)rec->key.p);
		snprintf(val, sizeof(val), "%.*s", (int)rec->value.len, (const char *)rec->value.p);
	}
	at = strstr(val, "\"offset\":10");
	assert_non_null(at);
	memcpy(at, "\"offset\":11", 11);
	at = strstr(val, "\"missing\":0");
	assert_non_null(at);
	memcpy(at, "\"missing\":1", 11);
	mem_centre_put(r->centre, "sluice.positions", key, val);
	rig_produce(r, "a", 0, 10, 0);
	mem_centre_fence(r->centre, "gw");
	rig_run(r, 3000);
	expect_alarm(r, SL_UP_ALARM_TOKEN);
	assert_int_equal(at_centre(r), 10);
}

/* ---- the disk
 * -----------------------------------------------------------------------------------------------------
 */

/* Without its token on stable storage an instance writes nothing there; ingest does not care. */
static void a_disk_that_takes_no_state(void **state)
{
	struct rig *r = *state;
	char path[96];

	rig_produce(r, "a", 0, 10, 0);
	snprintf(path, sizeof(path), "%s/state/uplink.tmp", r->data);
	assert_int_equal(mkdir(path, 0700), 0); /* in the way */
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 60000);
	assert_int_equal(rig_stats(r).state, SL_UP_CONNECTING);
	assert_int_equal(mem_sink_opens(r->sink), 0);
	assert_non_null(strstr(rig_stats(r).last_error, "state/uplink"));
	assert_int_equal(sl_engine_pause(r->engine, true), -EISDIR);
	assert_int_equal(rig_stats(r).state, SL_UP_CONNECTING);
	assert_int_equal(rmdir(path), 0);
	rig_drain(r);
	assert_int_equal(at_centre(r), 10);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(no_alarm_no_adoption),
		T(a_copied_directory_touches_nothing),
		T(an_adoption_outlives_a_crash_before_it_gets_through),
		T(a_clone_that_starts_while_the_first_is_idle),
		T(a_clone_that_starts_after_the_first_went_on),
		T(clones_that_start_together),
		T(adopting_against_a_clone),
		T(a_new_disk_under_the_old_name),
		T(a_lost_file_is_a_new_disk),
		T(a_position_beyond_the_log),
		T(a_log_that_grew_during_an_outage),
		T(a_partition_that_is_not_here),
		T(another_epoch),
		T(positions_that_are_not_understood),
		T(positions_that_are_gone),
		T(one_position_that_is_gone),
		T(a_position_that_we_did_not_write),
		T(a_disk_that_takes_no_state),
	};
	cmocka_set_test_filter(getenv("SL_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
