/* SPDX-License-Identifier: Apache-2.0 */
/* group_test.c - the states of a group, with a clock that only moves when told. */
#include "group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"

#define MS 1000000ull

struct fix {
	struct sl_timers timers;
	uint64_t now;
	uint8_t random;
	uint64_t stores[8]; /* tickets that were asked for and not answered */
	unsigned store_cnt, emptied;
	struct sl_group_env env;
	struct sl_group g;
};

/* What a member said, and what it was told. */
struct cl {
	struct sl_gjoin j;
	struct sl_gsync s;
	struct sl_gprotocol protocol[2];
	unsigned joins, syncs; /* answers */
	int16_t join_err, sync_err;
	int32_t generation;
	bool skip;
	uint32_t listed;
	char id[128], leader[128], protocol_name[32], assignment[64];
};

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void copy(char *to, size_t cap, struct sl_slice s)
{
	assert_true(s.len < cap);
	if (s.len)
		memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

static uint64_t mono(void *arg)
{
	return ((struct fix *)arg)->now;
}
static int64_t wall(void *arg)
{
	return (int64_t)(((struct fix *)arg)->now / MS);
}
static void random_bytes(void *arg, uint8_t *p)
{
	memset(p, ++((struct fix *)arg)->random, SL_GROUP_ID_BYTES);
}
static void store(void *arg, struct sl_group *g, uint64_t ticket)
{
	struct fix *f = arg;
	assert_ptr_equal(g, &f->g);
	assert_true(f->store_cnt < SL_ARRAY_SIZE(f->stores));
	f->stores[f->store_cnt++] = ticket;
}
static void emptied(void *arg, struct sl_group *g)
{
	(void)g;
	((struct fix *)arg)->emptied++;
}

static void set_up(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	f->now = 1000 * MS;
	f->env = (struct sl_group_env){.timers = &f->timers,
				       .mono_ns = mono,
				       .wall_ms = wall,
				       .random = random_bytes,
				       .store = store,
				       .emptied = emptied,
				       .arg = f,
				       .min_session_ms = 6000,
				       .max_session_ms = 1800000,
				       .max_members = 3,
				       .bytes_max = 4 << 20};
	sl_group_init(&f->g, &f->env);
}

static void tear_down(struct fix *f)
{
	sl_group_give_up(&f->g, 16);
	sl_group_fini(&f->g);
	assert_int_equal(f->env.bytes, 0);
	assert_int_equal(f->env.members, 0);
	assert_true(sl_timers_next(&f->timers) == UINT64_MAX);
}

static void pass(struct fix *f, uint64_t ms)
{
	uint64_t end = f->now + ms * MS;
	while (sl_timers_next(&f->timers) <= end) {
		f->now = SL_MAX(f->now, sl_timers_next(&f->timers));
		sl_timers_run(&f->timers, f->now);
	}
	f->now = end;
}

static void stored(struct fix *f, int16_t err)
{
	assert_true(f->store_cnt > 0);
	uint64_t t = f->stores[0];
	memmove(f->stores, f->stores + 1, --f->store_cnt * sizeof(f->stores[0]));
	sl_group_stored(&f->g, t, err);
}

static void join_done(struct sl_gjoin *j, const struct sl_gjoined *res)
{
	struct cl *c = SL_CONTAINER_OF(j, struct cl, j);
	c->joins++;
	c->join_err = res->err;
	c->generation = res->generation;
	c->skip = res->skip_assignment;
	c->listed = res->listed ? res->listed->member_cnt : 0;
	copy(c->leader, sizeof(c->leader), res->leader);
	copy(c->protocol_name, sizeof(c->protocol_name), res->protocol);
	if (res->member_id.len)
		copy(c->id, sizeof(c->id), res->member_id);
}

static void sync_done(struct sl_gsync *s, const struct sl_gsynced *res)
{
	struct cl *c = SL_CONTAINER_OF(s, struct cl, s);
	c->syncs++;
	c->sync_err = res->err;
	copy(c->assignment, sizeof(c->assignment), res->assignment);
}

static void client(struct cl *c, const char *name)
{
	memset(c, 0, sizeof(*c));
	c->protocol[0] = (struct sl_gprotocol){str("range"), str("meta")};
	c->j = (struct sl_gjoin){.client_id = str(name),
				 .client_host = str("/192.0.2.1"),
				 .protocol_type = str("consumer"),
				 .protocol = c->protocol,
				 .protocol_cnt = 1,
				 .session_ms = 10000,
				 .rebalance_ms = 60000,
				 .done = join_done};
	c->s.done = sync_done;
}

static void join(struct fix *f, struct cl *c)
{
	c->j.member_id = str(c->id);
	sl_group_join(&f->g, &c->j);
}

static void sync_with(struct fix *f, struct cl *c, const struct sl_gassignment *a, uint32_t n)
{
	c->s.member_id = str(c->id);
	c->s.instance = c->j.instance;
	c->s.generation = c->generation;
	c->s.assignment = a;
	c->s.assignment_cnt = n;
	sl_group_sync(&f->g, &c->s);
}

/* One member that is stable in its group of generation 1. */
static void one_stable(struct fix *f, struct cl *c, const char *name)
{
	struct sl_gassignment a;
	client(c, name);
	join(f, c);
	assert_int_equal(c->joins, 1);
	a = (struct sl_gassignment){str(c->id), str("all")};
	sync_with(f, c, &a, 1);
	assert_int_equal(c->syncs, 0);
	stored(f, 0);
	assert_int_equal(c->syncs, 1);
	assert_int_equal(f->g.state, SL_GROUP_STABLE);
}

static int16_t beat(struct fix *f, const struct cl *c)
{
	return sl_group_heartbeat(&f->g, str(c->id), c->j.instance, c->generation);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_session_range(void **state)
{
	struct fix f;
	struct cl c;
	static const int32_t bad[] = {-1, 0, 5999, 1800001};
	(void)state;
	set_up(&f);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		client(&c, "a");
		c.j.session_ms = bad[i];
		join(&f, &c);
		assert_int_equal(c.join_err, SL_KERR_INVALID_SESSION_TIMEOUT);
	}
	assert_true(sl_group_is_vacant(&f.g));
	tear_down(&f);
}

static void test_protocols(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	client(&a, "a");
	a.j.protocol_cnt = 0;
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_INCONSISTENT_GROUP_PROTOCOL);
	a.j.protocol_type = str("");
	a.j.protocol_cnt = 1;
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_INCONSISTENT_GROUP_PROTOCOL);
	one_stable(&f, &a, "a");
	client(&b, "b");
	b.protocol[0].name = str("sticky");
	join(&f, &b);
	assert_int_equal(b.join_err, SL_KERR_INCONSISTENT_GROUP_PROTOCOL);
	client(&b, "b");
	b.j.protocol_type = str("connect");
	join(&f, &b);
	assert_int_equal(b.join_err, SL_KERR_INCONSISTENT_GROUP_PROTOCOL);
	assert_int_equal(f.g.state, SL_GROUP_STABLE);
	tear_down(&f);
}

static void test_unknown_and_stale(void **state)
{
	struct fix f;
	struct cl a, x;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&x, "x");
	snprintf(x.id, sizeof(x.id), "nobody");
	join(&f, &x);
	assert_int_equal(x.join_err, SL_KERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(beat(&f, &x), SL_KERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(sl_group_leave(&f.g, str("nobody"), x.j.instance),
			 SL_KERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(sl_group_may_commit(&f.g, str("nobody"), x.j.instance, 1),
			 SL_KERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(sl_group_may_commit(&f.g, str(""), x.j.instance, -1),
			 SL_KERR_UNKNOWN_MEMBER_ID);
	a.generation = 0;
	assert_int_equal(beat(&f, &a), SL_KERR_ILLEGAL_GENERATION);
	assert_int_equal(sl_group_may_commit(&f.g, str(a.id), a.j.instance, 0),
			 SL_KERR_ILLEGAL_GENERATION);
	sync_with(&f, &a, NULL, 0);
	assert_int_equal(a.sync_err, SL_KERR_ILLEGAL_GENERATION);
	a.generation = 1;
	a.s.protocol = str("sticky");
	sync_with(&f, &a, NULL, 0);
	assert_int_equal(a.sync_err, SL_KERR_INCONSISTENT_GROUP_PROTOCOL);
	tear_down(&f);
}

static void test_group_is_full(void **state)
{
	struct fix f;
	struct cl c[4];
	(void)state;
	set_up(&f);
	one_stable(&f, &c[0], "a");
	for (int i = 1; i < 4; i++) {
		client(&c[i], "b");
		join(&f, &c[i]);
	}
	assert_int_equal(c[3].joins, 0); /* the barrier takes three of four */
	join(&f, &c[0]);
	assert_int_equal(c[0].join_err, SL_KERR_GROUP_MAX_SIZE_REACHED);
	assert_int_equal(f.g.member_cnt, 3);
	assert_int_equal(f.env.refused, 1);
	assert_int_equal(c[1].joins + c[2].joins + c[3].joins, 3);
	client(&c[0], "a");
	join(&f, &c[0]);
	assert_int_equal(c[0].join_err, SL_KERR_GROUP_MAX_SIZE_REACHED);
	tear_down(&f);
}

static void test_memory_is_bounded(void **state)
{
	struct fix f;
	struct cl a;
	static char large[SL_GROUP_MEMBER_BYTES_MAX + 1];
	(void)state;
	set_up(&f);
	memset(large, 'x', sizeof(large) - 1);
	client(&a, "a");
	a.protocol[0].metadata = str(large);
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_GROUP_MAX_SIZE_REACHED);
	f.env.bytes_max = 100;
	client(&a, "a");
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_GROUP_MAX_SIZE_REACHED);
	a.j.must_know_id = true;
	f.env.bytes_max = 10;
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_GROUP_MAX_SIZE_REACHED);
	assert_int_equal(f.env.refused, 3);
	assert_true(sl_group_is_vacant(&f.g));
	tear_down(&f);
}

/* ---- a generation ---------------------------------------------------------------------------- */

static void test_two_members(void **state)
{
	struct fix f;
	struct cl a, b;
	struct sl_gassignment as[2];
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	assert_int_equal(a.generation, 1);
	assert_string_equal(a.leader, a.id);
	assert_int_equal(a.listed, 1);
	assert_string_equal(a.assignment, "all");
	client(&b, "b");
	join(&f, &b);
	assert_int_equal(b.joins, 0);
	assert_int_equal(beat(&f, &a), SL_KERR_REBALANCE_IN_PROGRESS);
	assert_int_equal(sl_group_may_commit(&f.g, str(a.id), a.j.instance, 1), 0);
	join(&f, &a);
	assert_int_equal(a.joins, 2);
	assert_int_equal(b.joins, 1);
	assert_int_equal(b.generation, 2);
	assert_string_equal(b.leader, a.id);
	assert_int_equal(a.listed, 2);
	assert_int_equal(b.listed, 0);
	assert_int_equal(sl_group_may_commit(&f.g, str(a.id), a.j.instance, 2),
			 SL_KERR_REBALANCE_IN_PROGRESS);
	sync_with(&f, &b, NULL, 0);
	as[0] = (struct sl_gassignment){str(a.id), str("one")};
	as[1] = (struct sl_gassignment){str(b.id), str("two")};
	sync_with(&f, &a, as, 2);
	assert_int_equal(beat(&f, &b), 0);
	assert_int_equal(b.syncs, 0); /* not before it is stored */
	stored(&f, 0);
	assert_string_equal(a.assignment, "one");
	assert_string_equal(b.assignment, "two");
	sync_with(&f, &b, NULL, 0); /* once more: the same */
	assert_int_equal(b.syncs, 2);
	assert_string_equal(b.assignment, "two");
	tear_down(&f);
}

static void test_store_fails(void **state)
{
	struct fix f;
	struct cl a;
	struct sl_gassignment as;
	(void)state;
	set_up(&f);
	client(&a, "a");
	join(&f, &a);
	as = (struct sl_gassignment){str(a.id), str("all")};
	sync_with(&f, &a, &as, 1);
	stored(&f, SL_KERR_NOT_COORDINATOR);
	assert_int_equal(a.sync_err, SL_KERR_NOT_COORDINATOR);
	assert_int_equal(f.g.state, SL_GROUP_PREPARING);
	join(&f, &a); /* it comes back */
	assert_int_equal(a.generation, 2);
	as = (struct sl_gassignment){str(a.id), str("all")};
	sync_with(&f, &a, &as, 1);
	stored(&f, 0);
	assert_int_equal(f.g.state, SL_GROUP_STABLE);
	tear_down(&f);
}

static void test_join_during_store(void **state)
{
	struct fix f;
	struct cl a, b;
	struct sl_gassignment as;
	(void)state;
	set_up(&f);
	client(&a, "a");
	join(&f, &a);
	as = (struct sl_gassignment){str(a.id), str("all")};
	sync_with(&f, &a, &as, 1);
	client(&b, "b");
	join(&f, &b);
	assert_int_equal(a.sync_err, SL_KERR_REBALANCE_IN_PROGRESS);
	stored(&f, 0); /* too late: of no effect */
	assert_int_equal(f.g.state, SL_GROUP_PREPARING);
	join(&f, &a);
	assert_int_equal(f.g.state, SL_GROUP_COMPLETING);
	tear_down(&f);
}

static void test_rejoin_without_change(void **state)
{
	struct fix f;
	struct cl a, b;
	struct sl_gassignment as[2];
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&b, "b");
	join(&f, &b);
	join(&f, &a);
	join(&f, &b); /* its answer was lost */
	assert_int_equal(b.joins, 2);
	assert_int_equal(b.generation, 2);
	as[0] = (struct sl_gassignment){str(a.id), str("one")};
	as[1] = (struct sl_gassignment){str(b.id), str("two")};
	sync_with(&f, &a, as, 2);
	stored(&f, 0);
	join(&f, &b); /* a follower asks in vain */
	assert_int_equal(b.joins, 3);
	assert_int_equal(f.g.state, SL_GROUP_STABLE);
	b.protocol[0].metadata = str("other");
	join(&f, &b);
	assert_int_equal(f.g.state, SL_GROUP_PREPARING);
	join(&f, &a);
	assert_int_equal(f.g.generation, 3);
	tear_down(&f);
}

static void test_leader_rejoins(void **state)
{
	struct fix f;
	struct cl a;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	join(&f, &a);
	assert_int_equal(a.generation, 2);
	assert_int_equal(f.g.state, SL_GROUP_COMPLETING);
	tear_down(&f);
}

/* Most members like "range" best among what all know. */
static void test_vote(void **state)
{
	struct fix f;
	struct cl c[3];
	(void)state;
	set_up(&f);
	for (int i = 0; i < 3; i++) {
		client(&c[i], "c");
		c[i].protocol[0] = (struct sl_gprotocol){str(i ? "range" : "sticky"), str("m")};
		c[i].protocol[1] = (struct sl_gprotocol){str(i ? "sticky" : "range"), str("n")};
		c[i].j.protocol_cnt = 2;
		join(&f, &c[i]);
	}
	assert_string_equal(c[0].protocol_name, "sticky");
	join(&f, &c[0]);
	assert_string_equal(c[0].protocol_name, "range");
	assert_int_equal(c[0].listed, 3);
	tear_down(&f);
}

/* ---- members that must know their id --------------------------------------------------------- */

static void test_member_id_required(void **state)
{
	struct fix f;
	struct cl a;
	(void)state;
	set_up(&f);
	client(&a, "a");
	a.j.must_know_id = true;
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_MEMBER_ID_REQUIRED);
	assert_string_equal(a.id, "a-01010101-0101-4101-8101-010101010101");
	join(&f, &a);
	assert_int_equal(a.join_err, 0);
	assert_int_equal(a.generation, 1);
	assert_int_equal(f.g.pending_cnt, 0);
	tear_down(&f);
}

static void test_promised_members_expire(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	client(&a, "a");
	a.j.must_know_id = true;
	join(&f, &a);
	pass(&f, 9999);
	assert_int_equal(f.g.pending_cnt, 1);
	assert_int_equal(f.emptied, 0);
	pass(&f, 1);
	assert_int_equal(f.g.pending_cnt, 0);
	assert_int_equal(f.emptied, 1);
	join(&f, &a);
	assert_int_equal(a.join_err, SL_KERR_UNKNOWN_MEMBER_ID);
	/* a barrier waits for a promised one a while, not for its whole session */
	one_stable(&f, &a, "a");
	client(&b, "b");
	b.j.must_know_id = true;
	join(&f, &b);
	join(&f, &a);
	assert_int_equal(a.joins, 1);
	pass(&f, SL_GROUP_PENDING_HOLD_MS - 1);
	assert_int_equal(a.joins, 1);
	pass(&f, 1);
	assert_int_equal(a.joins, 2);
	join(&f, &b); /* and its id is still good */
	assert_int_equal(f.g.member_cnt, 2);
	tear_down(&f);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void test_session_expires(void **state)
{
	struct fix f;
	struct cl a;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	pass(&f, 9000);
	assert_int_equal(beat(&f, &a), 0);
	pass(&f, 9000);
	assert_int_equal(sl_group_may_commit(&f.g, str(a.id), a.j.instance, 1), 0);
	pass(&f, 9999);
	assert_int_equal(f.g.member_cnt, 1);
	pass(&f, 1);
	assert_int_equal(f.g.member_cnt, 0);
	assert_int_equal(f.g.state, SL_GROUP_EMPTY);
	assert_int_equal(f.g.generation, 2);
	assert_int_equal(f.emptied, 1);
	assert_int_equal(f.store_cnt, 1); /* the empty group's record */
	tear_down(&f);
}

/* Whoever is not back when the largest rebalance timeout is over is out. */
static void test_barrier_time(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&b, "b");
	b.j.rebalance_ms = 70000;
	join(&f, &b);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(b.joins, 0);
		assert_int_equal(beat(&f, &a), SL_KERR_REBALANCE_IN_PROGRESS);
		pass(&f, 9999);
	}
	pass(&f, 7);
	assert_int_equal(b.joins, 1);
	assert_int_equal(f.g.member_cnt, 1);
	assert_string_equal(b.leader, b.id);
	assert_int_equal(beat(&f, &a), SL_KERR_UNKNOWN_MEMBER_ID);
	tear_down(&f);
}

static void test_sync_time(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&b, "b");
	join(&f, &b);
	join(&f, &a);
	sync_with(&f, &b, NULL, 0);
	for (int i = 0; i < 6; i++) { /* the leader lives, but says nothing */
		assert_int_equal(beat(&f, &a), 0);
		assert_int_equal(b.syncs, 0);
		pass(&f, 9999);
	}
	pass(&f, 6);
	assert_int_equal(b.sync_err, SL_KERR_REBALANCE_IN_PROGRESS);
	assert_int_equal(f.g.member_cnt, 1);
	tear_down(&f);
}

static void test_initial_delay(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	f.env.initial_delay_ms = 3000;
	client(&a, "a");
	client(&b, "b");
	join(&f, &a);
	pass(&f, 2000);
	join(&f, &b);
	pass(&f, 1000);
	assert_int_equal(a.joins, 0); /* one more has come: the delay again */
	pass(&f, 2999);
	assert_int_equal(a.joins, 0);
	pass(&f, 1);
	assert_int_equal(a.joins, 1);
	assert_int_equal(b.joins, 1);
	assert_int_equal(a.listed, 2);
	tear_down(&f);
}

static void test_clients_vanish(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&b, "b"); /* an old client: nobody knows its id */
	join(&f, &b);
	sl_group_join_cancel(&b.j);
	assert_int_equal(f.g.member_cnt, 1);
	join(&f, &a);
	assert_int_equal(a.joins, 2);
	sync_with(&f, &a, NULL, 0);
	sl_group_sync_cancel(&a.s);
	stored(&f, 0);
	assert_int_equal(f.g.state, SL_GROUP_STABLE);
	pass(&f, 10000);
	assert_int_equal(f.g.state, SL_GROUP_EMPTY);
	client(&b, "b");
	b.j.must_know_id = true;
	f.env.initial_delay_ms = 3000;
	join(&f, &b);
	join(&f, &b);
	sl_group_join_cancel(&b.j); /* this one may come back under its id */
	assert_int_equal(f.g.member_cnt, 1);
	tear_down(&f);
}

/* ---- static members -------------------------------------------------------------------------- */

static void test_static_replaced(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	client(&a, "a");
	a.j.instance = str("i1");
	a.j.must_know_id = true;
	join(&f, &a);
	assert_int_equal(a.join_err, 0); /* its instance is identity enough */
	struct sl_gassignment as = {str(a.id), str("mine")};
	sync_with(&f, &a, &as, 1);
	stored(&f, 0);
	for (int skip = 0; skip < 2; skip++) {
		client(&b, "b");
		b.j.instance = str("i1");
		b.j.may_skip = skip;
		join(&f, &b);
		assert_int_equal(b.joins, 0); /* until the new id is stored */
		stored(&f, 0);
		assert_int_equal(b.join_err, 0);
		assert_int_equal(b.generation, 1);
		assert_int_equal(f.g.state, SL_GROUP_STABLE);
		assert_int_equal(b.skip, skip);
		assert_int_equal(strcmp(b.leader, b.id) == 0, skip);
		assert_int_equal(b.listed, skip);
		assert_int_equal(beat(&f, &a), SL_KERR_FENCED_INSTANCE_ID);
		assert_int_equal(sl_group_leave(&f.g, str(a.id), a.j.instance),
				 SL_KERR_FENCED_INSTANCE_ID);
		join(&f, &a);
		assert_int_equal(a.join_err, SL_KERR_FENCED_INSTANCE_ID);
		sync_with(&f, &b, NULL, 0);
		assert_string_equal(b.assignment, "mine");
	}
	assert_int_equal(f.env.rebalances, 1);
	assert_int_equal(sl_group_leave(&f.g, str(""), str("i2")), SL_KERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(sl_group_leave(&f.g, str(""), str("i1")), 0);
	sl_group_left(&f.g);
	assert_int_equal(f.g.state, SL_GROUP_EMPTY);
	tear_down(&f);
}

static void test_static_replaced_in_barrier(void **state)
{
	struct fix f;
	struct cl a, b, c;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&b, "b");
	b.j.instance = str("i1");
	join(&f, &b); /* parked */
	client(&c, "c");
	c.j.instance = str("i1");
	join(&f, &c);
	assert_int_equal(b.join_err, SL_KERR_FENCED_INSTANCE_ID);
	assert_int_equal(f.g.member_cnt, 2);
	join(&f, &a);
	assert_int_equal(c.join_err, 0);
	assert_int_equal(c.generation, 2);
	tear_down(&f);
}

/* ---- leaving, committing, reading back ------------------------------------------------------- */

static void test_leave(void **state)
{
	struct fix f;
	struct cl a, b;
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a");
	client(&b, "b");
	b.j.must_know_id = true;
	join(&f, &b);
	assert_int_equal(sl_group_leave(&f.g, str(b.id), b.j.instance), 0); /* only promised */
	sl_group_left(&f.g);
	assert_int_equal(f.g.state, SL_GROUP_STABLE);
	assert_int_equal(sl_group_leave(&f.g, str(a.id), a.j.instance), 0);
	sl_group_left(&f.g);
	assert_int_equal(f.g.state, SL_GROUP_EMPTY);
	assert_true(sl_group_is_vacant(&f.g));
	assert_int_equal(f.emptied, 2); /* by the machine, and by who left */
	/* nobody is there: anybody may commit */
	assert_int_equal(sl_group_may_commit(&f.g, str(""), a.j.instance, -1), 0);
	assert_int_equal(sl_group_may_commit(&f.g, str(a.id), a.j.instance, 1),
			 SL_KERR_UNKNOWN_MEMBER_ID);
	tear_down(&f);
}

static void test_seed(void **state)
{
	struct fix f;
	struct cl a;
	struct sl_group_seed seed = {.protocol_type = str("consumer"),
				     .protocol = str("range"),
				     .leader = str("m2"),
				     .generation = 7,
				     .state_ms = 5};
	struct sl_gmember_seed m = {.client_id = str("c"),
				    .client_host = str("/h"),
				    .metadata = str("meta"),
				    .assignment = str("mine"),
				    .session_ms = 10000,
				    .rebalance_ms = 60000};
	(void)state;
	set_up(&f);
	assert_int_equal(sl_group_seed(&f.g, &seed), 0);
	m.id = str("m1");
	assert_int_equal(sl_group_seed_member(&f.g, &m, seed.leader), 0);
	m.id = str("m2");
	assert_int_equal(sl_group_seed_member(&f.g, &m, seed.leader), 0);
	sl_group_seed_end(&f.g);
	assert_int_equal(f.g.state, SL_GROUP_STABLE);
	assert_int_equal(f.g.leader->id.len, 2);
	assert_memory_equal(f.g.leader->id.p, "m2", 2);
	client(&a, "a");
	snprintf(a.id, sizeof(a.id), "m1");
	a.generation = 7;
	assert_int_equal(beat(&f, &a), 0);
	sync_with(&f, &a, NULL, 0);
	assert_string_equal(a.assignment, "mine");
	pass(&f, 10000); /* fresh sessions, no longer */
	assert_int_equal(f.g.state, SL_GROUP_EMPTY);
	tear_down(&f);
}

/* Found by fuzzing: the last generation that there can be, read from the log. */
static void test_generations_begin_anew(void **state)
{
	struct sl_group_seed seed = {.protocol_type = str("consumer"), .generation = INT32_MAX};
	struct fix f;
	struct cl a;
	(void)state;
	set_up(&f);
	assert_int_equal(sl_group_seed(&f.g, &seed), 0);
	sl_group_seed_end(&f.g);
	one_stable(&f, &a, "a");
	assert_int_equal(a.generation, 1);
	assert_int_equal(beat(&f, &a), 0);
	tear_down(&f);
}

static bool subscribes(const struct sl_group *g, const char *topic)
{
	struct sl_gsubs s;
	sl_gsubs_init(&s, g);
	bool has = sl_gsubs_has(&s, str(topic));
	sl_gsubs_fini(&s);
	return has;
}

/* Metadata that names `n` topics of four characters, of which `unique` differ; freed by free(). */
static struct sl_slice subscription(uint32_t n, uint32_t unique)
{
	uint8_t *p = malloc(6 + n * 6);
	assert_non_null(p);
	sl_put_be16(p, 1);
	sl_put_be32(p + 2, n);
	for (uint32_t i = 0; i < n; i++) {
		sl_put_be16(p + 6 + i * 6, 4);
		sl_put_be32(p + 8 + i * 6, 0x61616161 + i % unique);
	}
	return (struct sl_slice){p, 6 + n * 6};
}

/* The same few again and again are few; very many different ones are everything. */
static void test_many_subscriptions(void **state)
{
	static const uint32_t unique[] = {10, SL_GROUP_SUBS_MAX / 2, SL_GROUP_SUBS_MAX / 2 + 1};
	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(unique); i++) {
		struct sl_slice metadata = subscription(SL_GROUP_SUBS_MAX + 10000, unique[i]);
		struct fix f;
		struct cl a;
		set_up(&f);
		client(&a, "a");
		a.protocol[0].metadata = metadata;
		join(&f, &a);
		assert_int_equal(a.join_err, 0);
		assert_true(subscribes(&f.g, "aaaa"));
		assert_int_equal(subscribes(&f.g, "none"), i == 2);
		tear_down(&f);
		free((void *)(uintptr_t)metadata.p);
	}
}

static void test_subscriptions(void **state)
{
	struct fix f;
	struct cl a;
	static const uint8_t sub[] = {0, 1, 0, 0, 0, 1, 0, 4, 'l', 'o', 'g', 's', 0, 0, 0, 0};
	(void)state;
	set_up(&f);
	one_stable(&f, &a, "a"); /* "meta" does not parse */
	assert_true(subscribes(&f.g, "any"));
	a.protocol[0].metadata = (struct sl_slice){sub, sizeof(sub)};
	join(&f, &a);
	assert_true(subscribes(&f.g, "logs"));
	assert_false(subscribes(&f.g, "any"));
	assert_true(sl_group_is_consumer(&f.g));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_range),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_unknown_and_stale),
		cmocka_unit_test(test_group_is_full),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_two_members),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_join_during_store),
		cmocka_unit_test(test_rejoin_without_change),
		cmocka_unit_test(test_leader_rejoins),
		cmocka_unit_test(test_vote),
		cmocka_unit_test(test_member_id_required),
		cmocka_unit_test(test_promised_members_expire),
		cmocka_unit_test(test_session_expires),
		cmocka_unit_test(test_barrier_time),
		cmocka_unit_test(test_sync_time),
		cmocka_unit_test(test_initial_delay),
		cmocka_unit_test(test_clients_vanish),
		cmocka_unit_test(test_static_replaced),
		cmocka_unit_test(test_static_replaced_in_barrier),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_generations_begin_anew),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_many_subscriptions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
