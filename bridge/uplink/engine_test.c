/* SPDX-License-Identifier: Apache-2.0 */
/* engine_test.c - the uplink's engine: sending, transactions, faults of the centre and the log. */
#include "engine_rig.h"

#include "platform/base/sl_test.h"

#include <errno.h>
#include <inttypes.h>

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	rig_init(r, "gw", NULL);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

/* All that was put there is at the centre, and the books say so. */
static void expect_all(struct rig *r, const char *topic, uint64_t forwarded, uint64_t dead)
{
	struct rig_seen seen;

	rig_check(r, topic, &seen);
	assert_int_equal(seen.forwarded, forwarded);
	assert_int_equal(seen.dead, dead);
}

static void expect_books(struct rig *r, uint64_t forwarded, uint64_t dead, uint64_t evicted)
{
	struct sl_uplink_stats s = rig_stats(r);

	assert_int_equal(s.forwarded, forwarded);
	assert_int_equal(s.dead_letter, dead);
	assert_int_equal(s.evicted_unsent, evicted);
	assert_int_equal(s.difference,
			 s.carried - s.forwarded - s.dead_letter - s.evicted_unsent - s.backlog);
}

/* ---- sending
 * ------------------------------------------------------------------------------------------- */

static void sends_what_is_there(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 3);
	rig_topic(r, "b", 1);
	for (int p = 0; p < 3; p++)
		rig_produce(r, "a", p, 100 + (unsigned)p, 20);
	rig_produce(r, "b", 0, 50, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 303, 0);
	expect_all(r, "b", 50, 0);
	expect_books(r, 353, 0, 0);
	assert_int_equal(rig_stats(r).state, SL_UP_RUNNING);
	assert_int_equal(rig_stats(r).difference, 0);
	assert_int_equal(rig_stats(r).oldest_ms, -1);
	assert_int_equal(mem_centre_partitions(r->centre, "gw.a"), 3);
	assert_int_equal(sl_part_forwarded(rig_part(r, "a", 2)), 102);
	assert_true(sl_store_link(r->store));
}

static void says_where_a_record_comes_from(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *name, *value;
	} want[] = {{"own", "1"},
		    {"sluice.gateway", "gw"},
		    {"sluice.topic", "a"},
		    {"sluice.partition", "1"},
		    {"sluice.offset", "0"}};
	const struct mem_rec *rec = NULL;

	rig_topic(r, "a", 2);
	rig_produce(r, "a", 1, 1, 5);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++)
		if (!strcmp(mem_centre_rec(r->centre, i)->topic, "gw.a"))
			rec = mem_centre_rec(r->centre, i);
	assert_non_null(rec);
	assert_int_equal(rec->partition, 1);
	assert_int_equal(rec->ts, RIG_TS(0));
	assert_int_equal(rec->hdr_cnt, SL_ARRAY_SIZE(want));
	for (size_t i = 0; i < SL_ARRAY_SIZE(want); i++) {
		assert_int_equal(rec->hdr[i].name.len, strlen(want[i].name));
		assert_memory_equal(rec->hdr[i].name.p, want[i].name, rec->hdr[i].name.len);
		assert_int_equal(rec->hdr[i].value.len, strlen(want[i].value));
		assert_memory_equal(rec->hdr[i].value.p, want[i].value, rec->hdr[i].value.len);
	}
}

static void only_what_is_synced(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	fake_store_cfg(r->store)->auto_sync = false;
	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_all(r, "a", 0, 0);
	assert_int_equal(rig_stats(r).backlog, 10);
	fake_store_sync(r->store);
	rig_produce(r, "a", 0, 10, 0);
	rig_run(r, 3000);
	expect_all(r, "a", 10, 0);
}

static void timestamps_that_the_library_would_change(void **state)
{
	struct rig *r = *state;
	static const int64_t ts[] = {0, -1, INT64_MIN + 1, 1};
	static const char *const want[] = {"0", "-1", "-9223372036854775807"};
	unsigned seen = 0;

	rig_topic(r, "a", 1);
	for (size_t i = 0; i < SL_ARRAY_SIZE(ts); i++)
		rig_produce_ts(r, "a", 0, ts[i]);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++) {
		const struct mem_rec *rec = mem_centre_rec(r->centre, i);
		const struct sl_hdr *h = mem_hdr(rec, "sluice.timestamp");
		if (strcmp(rec->topic, "gw.a"))
			continue;
		if (seen == 3) {
			assert_int_equal(rec->ts, 1);
			assert_null(h);
		} else {
			assert_non_null(h);
			assert_int_equal(h->value.len, strlen(want[seen]));
			assert_memory_equal(h->value.p, want[seen], h->value.len);
			assert_true(rec->ts >= RIG_WALL_MS);
		}
		seen++;
	}
	assert_int_equal(seen, 4);
}

static void transactions_end_by_time_and_by_bytes(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	assert_int_equal(rig_start(r), 0);
	for (int i = 0; i < 50; i++) { /* a trickle: 5 s of it */
		rig_produce(r, "a", 0, 1, 0);
		rig_run(r, 100);
	}
	rig_drain(r);
	assert_in_range(rig_row(r, SL_BR_UP_COMMITS), 15, 25);
	uint64_t before = rig_row(r, SL_BR_UP_COMMITS);
	for (int i = 0; i < 10; i++)
		rig_produce(r, "a", 0, 1000, 400); /* 5 MiB, a commit takes 1 MiB */
	rig_drain(r);
	assert_in_range(rig_row(r, SL_BR_UP_COMMITS) - before, 4, 8);
	expect_all(r, "a", 10050, 0);
}

static void topics_come_and_grow(void **state)
{
	struct rig *r = *state;
	struct sl_topic *t;

	strcpy(r->cfg->uplink.mirror[0], "mirrored");
	r->cfg->uplink.mirror_cnt = 1;
	rig_topic(r, "mirrored", 1);
	rig_topic(r, "__consumer_offsets", 1);
	rig_produce(r, "mirrored", 0, 5, 0);
	rig_produce(r, "__consumer_offsets", 0, 5, 0);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 2000);
	assert_int_equal(rig_stats(r).carried, 0);
	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 5, 0);
	rig_drain(r);
	expect_all(r, "a", 5, 0);
	t = sl_store_topic_find(r->store, "a", 1);
	assert_int_equal(sl_store_partitions_add(r->store, t, 3), 0);
	sl_topic_put(t);
	rig_produce(r, "a", 2, 7, 0);
	rig_run(r, 3000);
	expect_all(r, "a", 12, 0); /* partition 2 there is 2 mod 1 */
	mem_centre_topic(r->centre, "gw.a", 3);
	rig_stop(r);
	assert_int_equal(rig_start(r), 0);
	rig_produce(r, "a", 2, 1, 0);
	rig_drain(r);
	const struct mem_rec *last = mem_centre_rec(r->centre, mem_centre_cnt(r->centre) - 2);
	assert_int_equal(last->partition, 2);
	expect_all(r, "a", 13, 0);
	assert_int_equal(sl_part_forwarded(rig_part(r, "mirrored", 0)), -1);
}

static void only_the_topics_that_are_named(void **state)
{
	struct rig *r = *state;

	r->cfg->uplink.all_topics = false;
	strcpy(r->cfg->uplink.topic[0], "a");
	r->cfg->uplink.topic_cnt = 1;
	rig_topic(r, "a", 1);
	rig_topic(r, "b", 1);
	rig_produce(r, "a", 0, 5, 0);
	rig_produce(r, "b", 0, 5, 0);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_all(r, "a", 5, 0);
	expect_all(r, "b", 0, 0);
	expect_books(r, 5, 0, 0);
}

/* Every partition gets its turn though one has more than a transaction can take. */
static void partitions_take_turns(void **state)
{
	struct rig *r = *state;
	enum { N = 500 };

	rig_topic(r, "hot", 1);
	rig_topic(r, "many", N);
	for (int i = 0; i < 60; i++)
		rig_produce(r, "hot", 0, 500, 2000);
	for (int p = 0; p < N; p++)
		rig_produce(r, "many", p, 2, 10);
	assert_int_equal(rig_start(r), 0);
	while (rig_stats(r).forwarded < 10000)
		rig_run(r, 10);
	expect_all(r, "many", 2 * N, 0);
	rig_drain(r);
	expect_all(r, "hot", 30000, 0);
}

static void nothing_to_do_is_left_alone(void **state)
{
	struct rig *r = *state;
	uint64_t before;

	rig_topic(r, "a", 8);
	rig_produce(r, "a", 0, 1, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_run(r, 1000);
	before = rig_row(r, SL_BR_UP_COMMITS);
	rig_run(r, 60000);
	assert_int_equal(rig_row(r, SL_BR_UP_COMMITS), before);
	for (int i = 0; i < 10; i++) {
		struct sl_engine_wait w;
		sl_engine_turn(r->engine, &w);
		assert_true(w.until_ns > r->now_ns || w.store);
		if (w.store)
			assert_true(w.until_ns - r->now_ns > 900000000);
		r->now_ns = w.until_ns;
	}
}

/* ---- starts
 * ---------------------------------------------------------------------------------------------- */

static void goes_on_after_a_stop_and_after_a_crash(void **state)
{
	struct rig *r = *state;
	uint64_t total = 0;

	rig_topic(r, "a", 2);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(rig_start(r), 0);
		rig_produce(r, "a", i % 2, 500, 100);
		total += 500;
		rig_run(r, i % 3 ? 130 : 600);
		if (i % 2)
			rig_crash(r);
		else
			rig_stop(r);
	}
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", total, 0);
	expect_books(r, total, 0, 0);
}

static void a_stop_commits_what_is_open(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 1000);
	rig_produce(r, "a", 0, 10, 0);
	rig_run(r, 50);
	expect_all(r, "a", 0, 0);
	rig_stop(r);
	expect_all(r, "a", 10, 0);
}

static void a_start_that_never_reaches_the_centre_changes_nothing(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	rig_stop(r);
	mem_centre_cfg(r->centre)->up = false;
	for (int i = 0; i < 5; i++) { /* each has a token of its own, which the centre never sees */
		assert_int_equal(rig_start(r), 0);
		rig_produce(r, "a", 0, 10, 0);
		rig_run(r, 5000);
		assert_int_equal(rig_stats(r).state, SL_UP_CONNECTING);
		expect_books(r, 10, 0, 0);
		assert_true(rig_stats(r).oldest_ms > 900000);
		rig_crash(r);
	}
	mem_centre_cfg(r->centre)->up = true;
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 60, 0);
}

/* ---- faults of the centre
 * ---------------------------------------------------------------------------------- */

static void a_commit_may_end_in_any_way(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 2);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 1000);
	for (unsigned f = MEM_COMMIT_LOST; f <= MEM_COMMIT_TIMEOUT; f++) {
		uint64_t was = rig_stats(r).forwarded;
		mem_centre_order(r->centre, f);
		rig_produce(r, "a", f % 2, 10, 0);
		rig_drain(r);
		assert_int_equal(rig_stats(r).forwarded, was + 10);
	}
	expect_all(r, "a", 50, 0);
	expect_books(r, 50, 0, 0);
	assert_int_equal(rig_row(r, SL_BR_UP_FENCES), 1);
	assert_int_equal(rig_row(r, SL_BR_UP_ABORTS), 1);
	assert_int_equal(rig_row(r, SL_BR_UP_REBUILDS), 3);
}

/* The claim's own transaction, and a first one, too. */
static void a_claim_may_end_in_any_way(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 5, 0);
	for (unsigned f = MEM_COMMIT_LOST; f <= MEM_COMMIT_TIMEOUT; f++) {
		mem_centre_order(r->centre, f);
		mem_centre_order(r->centre, f);
		assert_int_equal(rig_start(r), 0);
		rig_drain(r);
		rig_run(r, 5000);
		assert_int_equal(rig_stats(r).state, SL_UP_RUNNING);
		rig_crash(r);
	}
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 5, 0);
}

static void dies_while_its_claim_is_in_doubt(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 5, 0);
	for (int i = 0; i < 4; i++) {
		mem_centre_order(r->centre, i % 2 ? MEM_COMMIT_LOST : MEM_COMMIT_FATAL);
		assert_int_equal(rig_start(r), 0);
		rig_run(r, 1);
		rig_crash(r);
	}
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 5, 0);
	assert_int_equal(rig_stats(r).alarm, SL_UP_ALARM_NONE);
}

static void a_fence_is_recovered_from_at_once(void **state)
{
	struct rig *r = *state;
	uint64_t before;

	rig_topic(r, "a", 1);
	assert_int_equal(rig_start(r), 0);
	for (int i = 0; i < 5; i++) {
		rig_produce(r, "a", 0, 10, 0);
		rig_run(r, 1000);
		mem_centre_fence(r->centre, "gw");
		rig_produce(r, "a", 0, 10, 0);
		before = r->now_ns;
		rig_drain(r);
		assert_true(r->now_ns - before < 1000000000);
	}
	expect_all(r, "a", 100, 0);
	assert_int_equal(rig_row(r, SL_BR_UP_FENCES), 5);
	assert_int_equal(rig_stats(r).alarm, SL_UP_ALARM_NONE);
}

static void nothing_goes_while_the_link_is_down(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	assert_int_equal(rig_start(r), 0);
	rig_produce(r, "a", 0, 10, 0);
	rig_run(r, 1000);
	mem_centre_cfg(r->centre)->up = false;
	rig_produce(r, "a", 0, 10, 0);
	rig_run(r, 60000);
	assert_int_equal(rig_stats(r).state, SL_UP_CONNECTING);
	assert_false(sl_store_link(r->store));
	expect_books(r, 10, 0, 0);
	assert_int_equal(rig_stats(r).backlog, 10);
	assert_true(strlen(rig_stats(r).last_error) > 0);
	rig_produce(r, "a", 0, 100, 0);
	mem_centre_cfg(r->centre)->up = true;
	rig_drain(r);
	expect_all(r, "a", 120, 0);
	assert_int_equal(rig_stats(r).state, SL_UP_RUNNING);
	assert_true(sl_store_link(r->store));
}

static void refused_connections_back_off(void **state)
{
	struct rig *r = *state;
	static const enum sl_sink_class classes[] = {SL_SINK_REBUILD, SL_SINK_DENIED,
						     SL_SINK_FENCED};

	rig_topic(r, "a", 1);
	assert_int_equal(rig_start(r), 0);
	for (size_t i = 0; i < SL_ARRAY_SIZE(classes); i++) {
		unsigned opens = mem_sink_opens(r->sink);
		mem_centre_refuse_opens(r->centre, 1000000, classes[i]);
		mem_centre_fence(r->centre, "gw");
		rig_produce(r, "a", 0, 1, 0);
		rig_run(r, 600000); /* 1, 2, 4 .. 60 s, half of it at least */
		opens = mem_sink_opens(r->sink) - opens;
		assert_in_range(opens, 14, 28);
		assert_int_equal(rig_stats(r).state, SL_UP_CONNECTING);
		assert_true(rig_stats(r).retry_ms <= 60000);
		assert_non_null(strstr(rig_stats(r).last_error, "let it in"));
		mem_centre_refuse_opens(r->centre, 0, classes[i]);
		rig_drain(r);
	}
	expect_all(r, "a", 3, 0);
}

static void a_small_window_is_enough(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->window = 7;
	mem_centre_cfg(r->centre)->pace = 1;
	mem_centre_cfg(r->centre)->batch = 3;
	rig_topic(r, "a", 20); /* more positions than the window has room for */
	for (int p = 0; p < 20; p++)
		rig_produce(r, "a", p, 50, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 1000, 0);
}

/* ---- topics at the centre
 * ----------------------------------------------------------------------------------- */

static void a_topic_deleted_there_is_made_again(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 2);
	rig_topic(r, "b", 1);
	rig_produce(r, "a", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	mem_centre_delete(r->centre, "gw.a");
	rig_produce(r, "a", 0, 10, 0);
	rig_produce(r, "b", 0, 10, 0);
	rig_drain(r);
	expect_all(r, "a", 20, 0); /* the first ten were there once */
	expect_all(r, "b", 10, 0);
	assert_int_equal(mem_centre_partitions(r->centre, "gw.a"), 2);
	assert_int_equal(rig_row(r, SL_BR_UP_TOPICS_REMADE), 1);
	rig_crash(r); /* deleted while nobody looks */
	mem_centre_delete(r->centre, "gw.a");
	rig_produce(r, "a", 1, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	assert_int_equal(rig_row(r, SL_BR_UP_TOPICS_REMADE), 2);
	expect_all(r, "a", 30, 0);
}

static void a_topic_that_cannot_be_made_holds_up_no_other(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->denied = true;
	mem_centre_topic(r->centre, "gw.b", 1);
	r->cfg->uplink.partitions = 5;
	rig_topic(r, "a", 1);
	rig_topic(r, "b", 1);
	rig_produce(r, "a", 0, 10, 0);
	rig_produce(r, "b", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 20000);
	expect_all(r, "a", 0, 0);
	expect_all(r, "b", 10, 0);
	assert_non_null(strstr(rig_stats(r).last_error, "not allowed"));
	mem_centre_cfg(r->centre)->denied = false;
	rig_drain(r);
	expect_all(r, "a", 10, 0);
	assert_int_equal(mem_centre_partitions(r->centre, "gw.a"), 5);
}

static void a_name_that_no_topic_may_have(void **state)
{
	struct rig *r = *state;
	char name[SL_TOPIC_NAME_MAX + 1];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	rig_topic(r, name, 1); /* "gw." before it is too much */
	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 5, 0);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	expect_all(r, "a", 5, 0);
	rig_topic(r, "dead", 1);
	rig_crash(r);
	strcpy(r->cfg->uplink.destination, "sluice.{topic}");
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 3000);
	assert_non_null(strstr(rig_stats(r).last_error, "sluice.{topic}"));
}

/* ---- records that are refused
 * -------------------------------------------------------------------------------- */

static void a_record_too_large_goes_to_the_dead_letters(void **state)
{
	struct rig *r = *state;
	const struct mem_rec *rec = NULL;
	const struct sl_hdr *h;

	mem_centre_cfg(r->centre)->bytes_max = 100000;
	rig_topic(r, "a", 2);
	rig_produce(r, "a", 0, 150, 100);
	rig_produce(r, "a", 0, 1, 150000);
	rig_produce(r, "a", 0, 150, 100);
	rig_produce(r, "a", 1, 300, 100);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 600, 1);
	expect_books(r, 600, 1, 0);
	assert_true(sl_part_dead_in(rig_part(r, "a", 0), 150, 151));
	assert_false(sl_part_dead_in(rig_part(r, "a", 0), 0, 150));
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++)
		if (!strcmp(mem_centre_rec(r->centre, i)->topic, "sluice.dead") &&
		    mem_centre_rec(r->centre, i)->state == MEM_COMMITTED)
			rec = mem_centre_rec(r->centre, i);
	assert_non_null(rec);
	assert_int_equal(rec->value.len, 65536); /* the beginning of it */
	h = mem_hdr(rec, "sluice.value.bytes");
	assert_true(h && h->value.len == 6 && !memcmp(h->value.p, "150008", 6)); /* "a/0/150/" */
	h = mem_hdr(rec, "sluice.error");
	assert_true(h && !memcmp(h->value.p, "MESSAGE_TOO_LARGE", h->value.len));
	h = mem_hdr(rec, "sluice.error.code");
	assert_true(h && h->value.len == 2 && !memcmp(h->value.p, "10", 2));
	assert_non_null(mem_hdr(rec, "sluice.timestamp"));
	assert_int_equal(rec->key.len, 2);
}

static void a_record_dated_ahead(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->ts_max = RIG_WALL_MS + 100 * 3600 * 1000ll;
	rig_topic(r, "a", 1);
	for (int i = 0; i < 20; i++) {
		rig_produce(r, "a", 0, 50, 10);
		rig_produce_ts(r, "a", 0, RIG_WALL_MS + 200 * 3600 * 1000ll);
	}
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 1000, 20);
	expect_books(r, 1000, 20, 0);
}

static void the_rest_flows_meanwhile(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->bytes_max = 1000;
	rig_topic(r, "bad", 1);
	rig_topic(r, "good", 1);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 1000);
	rig_produce(r, "bad", 0, 200, 5000); /* each and every one */
	for (int i = 0; i < 20; i++) {
		rig_produce(r, "good", 0, 10, 0);
		rig_run(r, 1500);
		struct rig_seen seen;
		rig_check(r, "good", &seen);
		assert_int_equal(seen.forwarded, 10 * (i + 1));
	}
	rig_drain(r);
	expect_all(r, "bad", 0, 200);
	expect_all(r, "good", 200, 0);
	expect_books(r, 200, 200, 0);
}

/* Two local partitions in one there: their records share batches. */
static void suspects_of_other_partitions(void **state)
{
	struct rig *r = *state;

	mem_centre_topic(r->centre, "gw.a", 1);
	mem_centre_cfg(r->centre)->bytes_max = 1000;
	rig_topic(r, "a", 3);
	for (int p = 0; p < 3; p++) {
		rig_produce(r, "a", p, 20, 0);
		rig_produce(r, "a", p, p == 1, 2000);
		rig_produce(r, "a", p, 20, 0);
	}
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 120, 1);
}

static void what_the_client_itself_does_not_take(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->client_max = 5000;
	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 1, 6000);
	rig_produce(r, "a", 0, 10, 0);
	rig_produce(r, "a", 0, 2, 6000);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 10, 3);
	expect_books(r, 10, 3, 0);
}

static void a_dead_letter_that_is_refused_loses_its_value(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->bytes_max = 700;
	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 1, 1000);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 0, 1);
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++) {
		const struct mem_rec *rec = mem_centre_rec(r->centre, i);
		if (!strcmp(rec->topic, "sluice.dead") && rec->state == MEM_COMMITTED)
			assert_null(rec->value.p);
	}
}

static void a_refusal_and_a_lost_commit(void **state)
{
	struct rig *r = *state;

	mem_centre_cfg(r->centre)->bytes_max = 1000;
	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 1, 2000);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 5);
	mem_centre_order(r->centre, MEM_COMMIT_LOST); /* the dead letter's */
	rig_drain(r);
	rig_run(r, 2000);
	expect_all(r, "a", 0, 1);
	expect_books(r, 0, 1, 0);
	assert_true(sl_part_dead_in(rig_part(r, "a", 0), 0, 1));
	rig_produce(r, "a", 0, 5, 0);
	rig_drain(r);
	expect_all(r, "a", 5, 1);
}

/* ---- faults of the log
 * ---------------------------------------------------------------------------------------- */

static void what_retention_took_is_counted(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	rig_produce(r, "a", 0, 100, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	mem_centre_cfg(r->centre)->up = false;
	rig_produce(r, "a", 0, 100, 0);
	rig_run(r, 2000);
	fake_store_set_start(rig_part(r, "a", 0), 150);
	expect_books(r, 100, 0, 50); /* as soon as it is gone */
	mem_centre_cfg(r->centre)->up = true;
	rig_drain(r);
	/* what the transaction held that was open when the link went is there */
	assert_int_equal(rig_stats(r).forwarded + rig_stats(r).evicted_unsent, 200);
	assert_int_equal(rig_stats(r).difference, 0);
	uint64_t evicted = rig_stats(r).evicted_unsent;
	expect_all(r, "a", 200 - evicted, 0);
	rig_crash(r);
	rig_produce(r, "a", 0, 100, 0); /* while it was not running */
	fake_store_set_start(rig_part(r, "a", 0), 250);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_books(r, 250 - evicted, 0, evicted + 50);
}

static void damage_is_passed_over(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	for (int i = 0; i < 4; i++)
		rig_produce(r, "a", 0, 10, 0);
	fake_store_set_damage(rig_part(r, "a", 0), 10, 30);
	mem_centre_order(r->centre, MEM_COMMIT_FATAL);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	expect_all(r, "a", 20, 0);
	assert_int_equal(rig_row(r, SL_BR_UP_DAMAGED), 20);
	assert_int_equal(rig_stats(r).difference, 20); /* it does not close, and says by how much */
}

static void a_topic_deleted_here_is_counted_and_let_go(void **state)
{
	struct rig *r = *state;
	struct sl_topic *t;

	rig_topic(r, "a", 2);
	rig_topic(r, "b", 1);
	rig_produce(r, "a", 0, 10, 0);
	rig_produce(r, "b", 0, 10, 0);
	assert_int_equal(rig_start(r), 0);
	rig_drain(r);
	mem_centre_cfg(r->centre)->up = false;
	rig_run(r, 1000);
	rig_produce(r, "a", 1, 5, 0);
	t = sl_store_topic_find(r->store, "a", 1);
	assert_int_equal(sl_store_topic_delete(r->store, t), 0);
	sl_topic_put(t);
	rig_run(r, 1000);
	mem_centre_cfg(r->centre)->up = true;
	rig_produce(r, "b", 0, 10, 0);
	rig_drain(r);
	rig_run(r, 2000);
	expect_books(r, 30, 0, 5);
	assert_int_equal(rig_stats(r).difference, 0);
	rig_topic(r, "a", 1); /* another topic of that name */
	rig_produce(r, "a", 0, 7, 0);
	rig_drain(r);
	expect_books(r, 37, 0, 5);
	rig_crash(r);
	t = sl_store_topic_find(r->store, "a", 1);
	assert_int_equal(sl_store_topic_delete(r->store, t), 0); /* while it is not running */
	sl_topic_put(t);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 2000);
	expect_books(r, 37, 0, 5);
	assert_int_equal(rig_stats(r).difference, 0);
	rig_stop(r);
	assert_int_equal(rig_start(r), 0);
	expect_books(r, 37, 0, 5); /* kept in the file */
}

/* ---- the operator
 * ------------------------------------------------------------------------------------------------
 */

static void pause_is_kept_and_resume_goes_on(void **state)
{
	struct rig *r = *state;
	unsigned opens;

	rig_topic(r, "a", 1);
	assert_int_equal(rig_start(r), 0);
	rig_produce(r, "a", 0, 10, 0);
	rig_run(r, 100);
	assert_int_equal(sl_engine_pause(r->engine, true), 0);
	assert_int_equal(sl_engine_pause(r->engine, true), 0);
	rig_run(r, 1000);
	expect_all(r, "a", 10, 0); /* what was open ended well */
	assert_int_equal(rig_stats(r).state, SL_UP_PAUSED);
	assert_false(sl_store_link(r->store));
	rig_produce(r, "a", 0, 10, 0);
	rig_run(r, 5000);
	expect_all(r, "a", 10, 0);
	rig_crash(r);
	assert_int_equal(rig_start(r), 0);
	opens = mem_sink_opens(r->sink);
	rig_run(r, 5000);
	assert_int_equal(mem_sink_opens(r->sink), opens);
	assert_int_equal(rig_stats(r).state, SL_UP_PAUSED);
	assert_int_equal(sl_engine_pause(r->engine, false), 0);
	rig_drain(r);
	expect_all(r, "a", 20, 0);
}

static void the_rate_is_a_cap(void **state)
{
	struct rig *r = *state;

	r->cfg->uplink.rate_bytes = 100000;
	rig_topic(r, "a", 4);
	for (int p = 0; p < 4; p++)
		for (int i = 0; i < 10; i++)
			rig_produce(r, "a", p, 100, 900);
	assert_int_equal(rig_start(r), 0);
	rig_run(r, 10000);
	assert_in_range(rig_stats(r).forwarded, 700, 1100); /* of about 1 KB each */
	sl_engine_rate(r->engine, 300000);
	rig_run(r, 5000);
	assert_in_range(rig_stats(r).forwarded, 1800, 2600);
	assert_int_equal(rig_stats(r).rate_bytes, 300000);
	sl_engine_rate(r->engine, 0);
	rig_run(r, 2000);
	expect_all(r, "a", 4000, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(sends_what_is_there),
		T(says_where_a_record_comes_from),
		T(only_what_is_synced),
		T(timestamps_that_the_library_would_change),
		T(transactions_end_by_time_and_by_bytes),
		T(topics_come_and_grow),
		T(only_the_topics_that_are_named),
		T(partitions_take_turns),
		T(nothing_to_do_is_left_alone),
		T(goes_on_after_a_stop_and_after_a_crash),
		T(a_stop_commits_what_is_open),
		T(a_start_that_never_reaches_the_centre_changes_nothing),
		T(a_commit_may_end_in_any_way),
		T(a_claim_may_end_in_any_way),
		T(dies_while_its_claim_is_in_doubt),
		T(a_fence_is_recovered_from_at_once),
		T(nothing_goes_while_the_link_is_down),
		T(refused_connections_back_off),
		T(a_small_window_is_enough),
		T(a_topic_deleted_there_is_made_again),
		T(a_topic_that_cannot_be_made_holds_up_no_other),
		T(a_name_that_no_topic_may_have),
		T(a_record_too_large_goes_to_the_dead_letters),
		T(a_record_dated_ahead),
		T(the_rest_flows_meanwhile),
		T(suspects_of_other_partitions),
		T(what_the_client_itself_does_not_take),
		T(a_dead_letter_that_is_refused_loses_its_value),
		T(a_refusal_and_a_lost_commit),
		T(what_retention_took_is_counted),
		T(damage_is_passed_over),
		T(a_topic_deleted_here_is_counted_and_let_go),
		T(pause_is_kept_and_resume_goes_on),
		T(the_rate_is_a_cap),
	};
	cmocka_set_test_filter(getenv("SL_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
