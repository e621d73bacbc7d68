/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups_test.c - the coordinator over the store in memory: the log of offsets and groups, what a
 * restart at any point makes of it, limits, and failures of the log.
 */
#include "groups.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"
#include "group_record.h"
#include "rig.h"

#define TAKE_MAX (4u << 20)

struct fix {
	struct rig r;
	struct rig_conn c;
	uint8_t *buf;
	struct sl_kr in; /* of the response last taken, after the correlation id */
	int32_t correlation;
};

static const struct sl_kgroups_cfg few = {
	.min_session_ms = 6000,
	.max_session_ms = 1800000,
	.max_members = 10,
	.partitions = 2,
	.retention_ms = 3600000,
	.check_ms = 600000,
	.metadata_max = 4096,
	.max_groups = 4,
	.max_offsets = 40,
	.memory_bytes = 1 << 20,
};

static void set_up(struct fix *f, const struct sl_kgroups_cfg *cfg)
{
	struct sl_kserver_cfg c = {.request_max_bytes = 100u << 20,
				   .memory_bytes = 64u << 20,
				   .num_partitions = 2,
				   .auto_create = true,
				   .groups = cfg};
	memset(f, 0, sizeof(*f));
	rig_init(&f->r, &c);
	rig_open(&f->r, &f->c);
	f->buf = malloc(TAKE_MAX);
	assert_non_null(f->buf);
}

static void tear_down(struct fix *f)
{
	rig_close(&f->c);
	rig_fini(&f->r);
	free(f->buf);
}

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void begin(struct fix *f, struct sl_kw *w, int16_t key, int16_t version)
{
	rig_begin(w, key, version, ++f->correlation);
}

/* 0: no answer yet. */
static size_t take(struct fix *f)
{
	size_t n = rig_take(&f->c, f->buf, TAKE_MAX);
	memset(&f->in, 0, sizeof(f->in));
	if (n == 0)
		return 0;
	assert_int_equal(sl_be32(f->buf), n - 4);
	sl_rd_init(&f->in.rd, f->buf + 4, n - 4);
	assert_int_equal(sl_kr_i32(&f->in), f->correlation);
	return n;
}

/* FindCoordinator v0: its error, or -2: none yet. */
static int find_coordinator(struct fix *f)
{
	struct sl_kw w;
	begin(f, &w, 10, 0);
	sl_kw_cstr(&w, "g");
	rig_send(&f->c, &w);
	return take(f) ? sl_kr_i16(&f->in) : -2;
}

static void send_commit(struct fix *f, const char *group, const char *member, int32_t generation,
			uint32_t parts, int64_t offset, uint32_t metadata)
{
	static const char note[8193] = {0};
	struct sl_kw w;
	begin(f, &w, 8, 7);
	sl_kw_cstr(&w, group);
	sl_kw_i32(&w, generation);
	sl_kw_cstr(&w, member);
	sl_kw_cstr(&w, NULL);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, parts);
	for (uint32_t i = 0; i < parts; i++) {
		sl_kw_i32(&w, (int32_t)i);
		sl_kw_i64(&w, offset + i);
		sl_kw_i32(&w, 7);
		sl_kw_str(&w, (struct sl_slice){(const uint8_t *)note, metadata});
	}
	rig_send(&f->c, &w);
}

/* The error of the last partition of a commit's answer. */
static int commit_answer(struct fix *f, uint32_t parts)
{
	int err = 0;
	assert_true(take(f) > 0);
	sl_kr_i32(&f->in);
	assert_int_equal(sl_kr_array(&f->in, 1), 1);
	sl_kr_str(&f->in);
	assert_int_equal(sl_kr_array(&f->in, 1), parts);
	for (uint32_t i = 0; i < parts; i++) {
		assert_int_equal(sl_kr_i32(&f->in), i);
		err = sl_kr_i16(&f->in);
	}
	assert_false(f->in.rd.bad);
	return err;
}

static int commit(struct fix *f, const char *group, uint32_t parts, int64_t offset)
{
	send_commit(f, group, "", -1, parts, offset, 4);
	return commit_answer(f, parts);
}

static int64_t fetch(struct fix *f, const char *group, int32_t partition)
{
	struct sl_kw w;
	begin(f, &w, 9, 5);
	sl_kw_cstr(&w, group);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, partition);
	rig_send(&f->c, &w);
	assert_true(take(f) > 0);
	sl_kr_i32(&f->in);
	sl_kr_array(&f->in, 1);
	sl_kr_str(&f->in);
	sl_kr_array(&f->in, 1);
	sl_kr_i32(&f->in);
	int64_t offset = sl_kr_i64(&f->in);
	int32_t epoch = sl_kr_i32(&f->in);
	struct sl_slice metadata = sl_kr_nstr(&f->in);
	assert_int_equal(epoch, offset < 0 ? -1 : 7);
	assert_int_equal(metadata.len > 0, offset >= 0);
	assert_int_equal(sl_kr_i16(&f->in), 0);
	return offset;
}

/* JoinGroup v3 and SyncGroup v2 of one member; returns its id, borrowed until the next take. */
static struct sl_slice join(struct fix *f, const char *group, int32_t *ret_generation)
{
	struct sl_kw w;
	begin(f, &w, 11, 3);
	sl_kw_cstr(&w, group);
	sl_kw_i32(&w, 10000);
	sl_kw_i32(&w, 60000);
	sl_kw_cstr(&w, "");
	sl_kw_cstr(&w, "consumer");
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "range");
	sl_kw_bytes_len(&w, 4);
	sl_kw_raw(&w, "meta", 4);
	rig_send(&f->c, &w);
	assert_true(take(f) > 0);
	sl_kr_i32(&f->in);
	assert_int_equal(sl_kr_i16(&f->in), 0);
	*ret_generation = sl_kr_i32(&f->in);
	sl_kr_str(&f->in);
	sl_kr_str(&f->in);
	return sl_kr_str(&f->in);
}

static int16_t sync_group(struct fix *f, const char *group, const char *member, int32_t generation)
{
	struct sl_kw w;
	begin(f, &w, 14, 2);
	sl_kw_cstr(&w, group);
	sl_kw_i32(&w, generation);
	sl_kw_cstr(&w, member);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, member);
	sl_kw_bytes_len(&w, 3);
	sl_kw_raw(&w, "all", 3);
	rig_send(&f->c, &w);
	assert_true(take(f) > 0);
	sl_kr_i32(&f->in);
	return sl_kr_i16(&f->in);
}

static int16_t heartbeat(struct fix *f, const char *group, const char *member, int32_t generation)
{
	struct sl_kw w;
	begin(f, &w, 12, 1);
	sl_kw_cstr(&w, group);
	sl_kw_i32(&w, generation);
	sl_kw_cstr(&w, member);
	rig_send(&f->c, &w);
	assert_true(take(f) > 0);
	sl_kr_i32(&f->in);
	return sl_kr_i16(&f->in);
}

static int16_t delete_group(struct fix *f, const char *group)
{
	struct sl_kw w;
	begin(f, &w, 42, 1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, group);
	rig_send(&f->c, &w);
	assert_true(take(f) > 0);
	sl_kr_i32(&f->in);
	sl_kr_array(&f->in, 1);
	sl_kr_str(&f->in);
	return sl_kr_i16(&f->in);
}

static struct sl_kgroups *groups(struct fix *f)
{
	return f->r.server.groups;
}

static struct sl_topic *log_topic(struct fix *f)
{
	struct sl_topic *t =
		sl_store_topic_find(f->r.store, SL_OFFSETS_TOPIC, strlen(SL_OFFSETS_TOPIC));
	sl_topic_put(t); /* the store holds it */
	return t;
}

/* ---- a copy of the log, as a restart finds it ------------------------------------------------ */

static void append_raw(struct fix *f, struct sl_part *p, const uint8_t *batch, uint32_t len)
{
	struct sl_append a = {.part = p,
			      .batch = batch,
			      .len = len,
			      .records = (uint32_t)sl_batch_last_delta(batch) + 1,
			      .producer_id = -1};
	struct sl_append *done;
	assert_int_equal(sl_inject(f->r.server.inj, &a), 0);
	fake_store_step(f->r.store);
	assert_int_equal(sl_inject_reap(f->r.server.inj, &done, 1), 1);
	assert_int_equal(a.err, 0);
}

static void copy_part(struct fix *to, struct sl_part *tp, struct sl_part *fp)
{
	struct sl_read rd = {
		.offset = sl_part_start(fp), .at_least_one = true, .max_offset = INT64_MAX};
	uint8_t *buf = malloc(SL_BATCH_MAX_BYTES);

	rd.buf = buf;
	rd.cap = SL_BATCH_MAX_BYTES;
	rd.max_bytes = 1; /* one batch at a time */
	while (rd.offset < sl_part_end(fp)) {
		assert_int_equal(sl_store_read(fp, &rd), 0);
		append_raw(to, tp, buf, rd.len);
		rd.offset = rd.next_offset;
	}
	free(buf);
}

/* Another server that starts over the same log, with the topic t. */
static void set_up_from(struct fix *to, struct fix *from)
{
	struct sl_topic_layers layers = {0};
	struct sl_topic *ft = log_topic(from), *tt;

	set_up(to, &from->r.server.groups->cfg);
	rig_topic(&to->r, "t", NULL);
	if (!ft)
		return;
	sl_topic_cfg_defaults(&layers.base);
	assert_int_equal(sl_store_topic_create(to->r.store, SL_OFFSETS_TOPIC,
					       sl_topic_partitions(ft), &layers, &tt),
			 0);
	sl_topic_put(tt);
	for (int32_t i = 0; i < (int32_t)sl_topic_partitions(ft); i++)
		copy_part(to, sl_topic_part(tt, i), sl_topic_part(ft, i));
	sl_kgroups_load(to->r.server.groups);
}

static void expect_after_restart(struct fix *f, const char *group, int64_t offset)
{
	struct fix g;
	set_up_from(&g, f);
	assert_int_equal(fetch(&g, group, 0), offset);
	assert_int_equal(fetch(&g, group, 1), offset < 0 ? -1 : offset + 1);
	tear_down(&g);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void test_made_at_first_use(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	assert_int_equal(fetch(&f, "g", 0), -1);
	assert_null(log_topic(&f));
	assert_int_equal(find_coordinator(&f), 0);
	assert_non_null(log_topic(&f));
	assert_int_equal(sl_topic_partitions(log_topic(&f)), 4);
	tear_down(&f);
}

static void test_cannot_be_made(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	rig_topic(&f.r, "t", NULL);
	fake_store_cfg(f.r.store)->create_err = -ENOSPC;
	assert_int_equal(find_coordinator(&f), SL_KERR_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(commit(&f, "g", 2, 10), SL_KERR_COORDINATOR_NOT_AVAILABLE);
	fake_store_cfg(f.r.store)->create_err = 0;
	assert_int_equal(find_coordinator(&f), SL_KERR_COORDINATOR_NOT_AVAILABLE);
	rig_pass_ms(&f.r, 1000);
	assert_int_equal(find_coordinator(&f), 0);
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	tear_down(&f);
}

/* ---- committing ------------------------------------------------------------------------------ */

static void test_commit_and_restart(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 2, 100), 0);
	assert_int_equal(fetch(&f, "g", 1), 101);
	assert_int_equal(fetch(&f, "h", 0), -1);
	assert_int_equal(commit(&f, "g", 2, 200), 0);
	assert_int_equal(fetch(&f, "g", 0), 200);
	expect_after_restart(&f, "g", 200);
	assert_int_equal(atomic_load(&groups(&f)->counters.commits), 4);
	tear_down(&f);
}

static void test_commit_refused(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	assert_int_equal(commit(&f, "g", 1, 1), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 3, 1), SL_KERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(fetch(&f, "g", 1), 2); /* the others are committed */
	send_commit(&f, "g", "", -1, 1, 5, 4097);
	assert_int_equal(commit_answer(&f, 1), SL_KERR_OFFSET_METADATA_TOO_LARGE);
	send_commit(&f, "g", "m", 3, 1, 5, 4);
	assert_int_equal(commit_answer(&f, 1), SL_KERR_UNKNOWN_MEMBER_ID);
	send_commit(&f, "nobody", "m", 3, 1, 5, 4);
	assert_int_equal(commit_answer(&f, 1), SL_KERR_ILLEGAL_GENERATION);
	assert_int_equal(fetch(&f, "g", 0), 1);
	tear_down(&f);
}

static void test_answered_when_synced(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	fake_store_cfg(f.r.store)->auto_sync = false;
	send_commit(&f, "g", "", -1, 2, 10, 4);
	assert_int_equal(take(&f), 0);
	fake_store_sync(f.r.store);
	rig_settle(&f.r);
	assert_int_equal(commit_answer(&f, 2), 0);
	/* never synced: a retriable error after a bound, and the offset may be there all the same
	 */
	send_commit(&f, "g", "", -1, 2, 20, 4);
	rig_pass_ms(&f.r, SL_GLOG_SYNC_MS - 1);
	assert_int_equal(take(&f), 0);
	rig_pass_ms(&f.r, 1);
	assert_int_equal(commit_answer(&f, 2), SL_KERR_COORDINATOR_NOT_AVAILABLE);
	tear_down(&f);
}

static void test_answered_when_logged(void **state)
{
	struct sl_kgroups_cfg cfg = few;
	struct fix f;
	(void)state;
	cfg.commit_logged = true;
	set_up(&f, &cfg);
	rig_topic(&f.r, "t", NULL);
	fake_store_cfg(f.r.store)->auto_sync = false;
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	tear_down(&f);
}

static void test_log_fails(void **state)
{
	static const struct {
		int err;
		int16_t code;
	} known[] = {{-ENOSPC, SL_KERR_NOT_COORDINATOR},
		     {-EIO, SL_KERR_NOT_COORDINATOR},
		     {-ESHUTDOWN, SL_KERR_NOT_COORDINATOR},
		     {-ENOENT, SL_KERR_COORDINATOR_NOT_AVAILABLE},
		     {-EMSGSIZE, SL_KERR_INVALID_COMMIT_OFFSET_SIZE}};
	struct fix f;
	char member[128];
	int32_t generation;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	for (size_t i = 0; i < SL_ARRAY_SIZE(known); i++) {
		fake_store_cfg(f.r.store)->append_err = known[i].err;
		assert_int_equal(commit(&f, "g", 2, 20), known[i].code);
		assert_int_equal(commit(&f, "h", 2, 20), known[i].code);
	}
	assert_int_equal(fetch(&f, "g", 0), 10);
	assert_int_equal(groups(&f)->cnt, 1); /* of h nothing is left */
	struct sl_slice id = join(&f, "j", &generation);
	snprintf(member, sizeof(member), "%.*s", (int)id.len, (const char *)id.p);
	assert_int_equal(sync_group(&f, "j", member, generation), SL_KERR_UNKNOWN_SERVER_ERROR);
	fake_store_cfg(f.r.store)->append_err = 0;
	assert_int_equal(commit(&f, "g", 2, 30), 0);
	tear_down(&f);
}

static void test_limits(void **state)
{
	struct fix f;
	char name[8];
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		assert_int_equal(commit(&f, name, 2, 10), 0);
	}
	assert_int_equal(commit(&f, "more", 2, 10), SL_KERR_INVALID_COMMIT_OFFSET_SIZE);
	assert_int_equal(commit(&f, "g0", 2, 11), 0);
	groups(&f)->offsets.max = 8; /* as many as there are */
	assert_int_equal(commit(&f, "g0", 2, 12), 0);
	assert_int_equal(delete_group(&f, "g1"), 0);
	assert_int_equal(commit(&f, "h", 2, 12), 0);
	assert_int_equal(delete_group(&f, "g2"), 0);
	groups(&f)->offsets.max = 7;
	assert_int_equal(commit(&f, "i", 2, 12), SL_KERR_INVALID_COMMIT_OFFSET_SIZE);
	assert_int_equal(atomic_load(&groups(&f)->counters.refused), 2);
	tear_down(&f);
}

static void test_ring_is_full(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(find_coordinator(&f), 0);
	fake_store_cfg(f.r.store)->ring_depth = 1;
	f.r.manual = true;
	struct rig_conn d;
	struct fix g = f;
	rig_open(&f.r, &d);
	send_commit(&f, "g", "", -1, 2, 10, 4);
	g.c = d;
	g.correlation = 0;
	send_commit(&g, "h", "", -1, 2, 20, 4);
	f.r.manual = false;
	rig_settle(&f.r);
	assert_int_equal(commit_answer(&f, 2), 0);
	assert_int_equal(commit_answer(&g, 2), 0);
	rig_close(&g.c);
	tear_down(&f);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void test_group_survives(void **state)
{
	struct fix f, g;
	char member[128];
	int32_t generation;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(find_coordinator(&f), 0);
	struct sl_slice id = join(&f, "g", &generation);
	snprintf(member, sizeof(member), "%.*s", (int)id.len, (const char *)id.p);
	assert_int_equal(sync_group(&f, "g", member, generation), 0);
	send_commit(&f, "g", member, generation, 2, 10, 4);
	assert_int_equal(commit_answer(&f, 2), 0);
	assert_int_equal(delete_group(&f, "g"), SL_KERR_NON_EMPTY_GROUP);
	assert_int_equal(delete_group(&f, "nobody"), SL_KERR_GROUP_ID_NOT_FOUND);
	set_up_from(&g, &f);
	assert_int_equal(heartbeat(&g, "g", member, generation), 0);
	assert_int_equal(heartbeat(&g, "g", member, generation + 1), SL_KERR_ILLEGAL_GENERATION);
	assert_int_equal(sync_group(&g, "g", member, generation), 0);
	rig_pass_ms(&g.r, 10000); /* its session is a fresh one, and ends */
	assert_int_equal(heartbeat(&g, "g", member, generation), SL_KERR_UNKNOWN_MEMBER_ID);
	tear_down(&g);
	rig_pass_ms(&f.r, 10000);
	assert_int_equal(delete_group(&f, "g"), 0);
	assert_int_equal(groups(&f)->cnt, 0);
	set_up_from(&g, &f);
	assert_int_equal(groups(&g)->cnt, 0);
	tear_down(&g);
	tear_down(&f);
}

static void test_unneeded_groups_go(void **state)
{
	struct fix f;
	struct sl_kw w;
	(void)state;
	set_up(&f, &few);
	for (int i = 0; i < 2 * (int)few.max_groups; i++) {
		char name[8];
		snprintf(name, sizeof(name), "g%d", i);
		begin(&f, &w, 11, 5); /* it is told an id and never comes back */
		sl_kw_cstr(&w, name);
		sl_kw_i32(&w, 6000);
		sl_kw_i32(&w, 60000);
		sl_kw_cstr(&w, "");
		sl_kw_cstr(&w, NULL);
		sl_kw_cstr(&w, "consumer");
		sl_kw_array(&w, 1);
		sl_kw_cstr(&w, "range");
		sl_kw_bytes_len(&w, 0);
		rig_send(&f.c, &w);
		assert_true(take(&f) > 0);
		sl_kr_i32(&f.in);
		assert_int_equal(sl_kr_i16(&f.in), i < 4 ? SL_KERR_MEMBER_ID_REQUIRED
							 : SL_KERR_GROUP_MAX_SIZE_REACHED);
	}
	assert_int_equal(groups(&f)->cnt, 4);
	rig_pass_ms(&f.r, 3000);
	rig_pass_ms(&f.r, 3000);
	assert_int_equal(groups(&f)->cnt, 0);
	assert_int_equal(groups(&f)->env.bytes, 0);
	tear_down(&f);
}

static void test_expiry(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	rig_pass_ms(&f.r, 1800000);
	assert_int_equal(commit(&f, "g", 1, 20), 0);
	rig_pass_ms(&f.r, 1800000 - 1);
	assert_int_equal(fetch(&f, "g", 1), 11);
	rig_pass_ms(&f.r, 600000);
	assert_int_equal(fetch(&f, "g", 1), -1);
	assert_int_equal(fetch(&f, "g", 0), 20);
	rig_pass_ms(&f.r, 3600000);
	assert_int_equal(fetch(&f, "g", 0), -1);
	assert_int_equal(groups(&f)->cnt, 0);
	assert_int_equal(atomic_load(&groups(&f)->counters.expired), 2);
	expect_after_restart(&f, "g", -1);
	tear_down(&f);
}

static void test_topic_forgotten(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	assert_int_equal(commit(&f, "h", 2, 10), 0);
	sl_kgroups_topic_deleted(groups(&f), str("s"));
	rig_settle(&f.r);
	assert_int_equal(fetch(&f, "g", 0), 10);
	sl_kgroups_topic_deleted(groups(&f), str("t"));
	rig_settle(&f.r);
	assert_int_equal(fetch(&f, "g", 0), -1);
	assert_int_equal(fetch(&f, "h", 1), -1);
	expect_after_restart(&f, "g", -1);
	tear_down(&f);
}

/* ---- the log itself -------------------------------------------------------------------------- */

static void test_foreign_records(void **state)
{
	struct fix f, g;
	struct sl_gbatch b = {0};
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	sl_kw_i16(&b.key, 77); /* a kind of record from the future */
	sl_kw_cstr(&b.value, "?");
	sl_gbatch_add(&b, 1, false);
	sl_kw_i16(&b.key, 1); /* cut short */
	sl_gbatch_add(&b, 1, false);
	sl_gkey_write_offset(&b.key, str("g"), str("t"), 0);
	sl_kw_i16(&b.value, 3); /* a value that is cut short */
	sl_gbatch_add(&b, 1, false);
	sl_gkey_write_group(&b.key, str("g"));
	sl_kw_i16(&b.value, 3);
	sl_kw_cstr(&b.value, "consumer");
	sl_kw_i32(&b.value, 5);
	sl_kw_cstr(&b.value, "range");
	sl_kw_cstr(&b.value, "m");
	sl_kw_i64(&b.value, 5);
	sl_kw_array(&b.value, 0x7fffffff); /* members that are not there */
	sl_gbatch_add(&b, 1, false);
	uint32_t len = sl_bb_close(&b.bb);
	append_raw(&f, sl_topic_part(log_topic(&f), 1), b.bb.buf, len);
	sl_gbatch_fini(&b);
	set_up_from(&g, &f);
	assert_int_equal(fetch(&g, "g", 0), 10);
	assert_int_equal(atomic_load(&groups(&g)->counters.foreign), 4);
	assert_int_equal(commit(&g, "g", 2, 20), 0);
	tear_down(&g);
	tear_down(&f);
}

static void test_unreadable(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(commit(&f, "g", 2, 10), 0);
	struct fix g;
	fake_store_cfg(f.r.store)->auto_sync = true;
	set_up(&g, &few);
	rig_topic(&g.r, "t", NULL);
	struct sl_topic_layers layers = {0};
	struct sl_topic *t;
	sl_topic_cfg_defaults(&layers.base);
	assert_int_equal(sl_store_topic_create(g.r.store, SL_OFFSETS_TOPIC, 2, &layers, &t), 0);
	sl_topic_put(t);
	copy_part(&g, sl_topic_part(t, 0), sl_topic_part(log_topic(&f), 0));
	copy_part(&g, sl_topic_part(t, 1), sl_topic_part(log_topic(&f), 1));
	fake_store_cfg(g.r.store)->damaged = true;
	sl_kgroups_load(groups(&g));
	fake_store_cfg(g.r.store)->damaged = false;
	/* never as if there had been nothing */
	assert_int_equal(find_coordinator(&g), SL_KERR_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(commit(&g, "g", 2, 10), SL_KERR_COORDINATOR_NOT_AVAILABLE);
	tear_down(&g);
	tear_down(&f);
}

/* A start over the log as it is: `g` has the last commit or, as it is under way, the one before. */
static void cut_here(struct fix *f, int64_t offset)
{
	struct fix g;
	char name[8];
	int64_t got;

	set_up_from(&g, f);
	got = fetch(&g, "g", 0);
	assert_true(got == offset || got == offset - 1);
	assert_int_equal(fetch(&g, "g", 1), got + 1);
	for (int i = 0; i < 150; i += 7) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(fetch(&g, name, 0), i);
	}
	assert_int_equal(groups(&g)->cnt, 151);
	tear_down(&g);
}

/*
 * Commits until a partition is rewritten, step by step of the writer: at each a second server
 * starts over the log as it is. The writer takes one batch a step, the rewrite has several.
 */
static void test_rewrite_cut_anywhere(void **state)
{
	struct sl_kgroups_cfg cfg = few;
	struct fix f;
	int64_t offset = 0;
	unsigned cuts = 0;
	char name[8];
	(void)state;
	cfg.max_groups = 200;
	cfg.max_offsets = 1000;
	set_up(&f, &cfg);
	rig_topic(&f.r, "t", NULL);
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		send_commit(&f, name, "", -1, 2, i, 4096);
		assert_int_equal(commit_answer(&f, 2), 0);
	}
	assert_int_equal(commit(&f, "g", 2, 0), 0);
	uint32_t at = sl_kgroups_known(groups(&f), str("g"))->partition;
	struct sl_part *p = sl_topic_part(log_topic(&f), (int32_t)at);
	struct sl_glog_part *lp = &groups(&f)->log.part[at];
	while (lp->bytes < SL_GLOG_REWRITE_BYTES - 20000) {
		send_commit(&f, "g", "", -1, 2, ++offset, 4096);
		assert_int_equal(commit_answer(&f, 2), 0);
	}
	fake_store_cfg(f.r.store)->ring_depth = 1;
	f.r.manual = true;
	while (sl_part_start(p) == 0) {
		send_commit(&f, "g", "", -1, 2, ++offset, 4096);
		while (groups(&f)->log.writes) {
			fake_store_step(f.r.store);
			cut_here(&f, offset);
			cuts++;
			while (sl_kserver_turn(&f.r.server))
				;
		}
		assert_int_equal(commit_answer(&f, 2), 0);
		assert_true(cuts < 100);
	}
	assert_int_equal(atomic_load(&groups(&f)->counters.compactions), 1);
	assert_true(lp->bytes < SL_GLOG_REWRITE_BYTES / 4);
	assert_true(cuts > 4);
	f.r.manual = false;
	cut_here(&f, offset);
	print_message("%u starts amid a rewrite\n", cuts);
	tear_down(&f);
}

static void test_stop(void **state)
{
	struct fix f;
	char member[128];
	int32_t generation;
	struct sl_kw w;
	(void)state;
	set_up(&f, &few);
	rig_topic(&f.r, "t", NULL);
	assert_int_equal(find_coordinator(&f), 0);
	struct sl_slice id = join(&f, "g", &generation);
	snprintf(member, sizeof(member), "%.*s", (int)id.len, (const char *)id.p);
	assert_int_equal(sync_group(&f, "g", member, generation), 0);
	begin(&f, &w, 11, 3); /* a second one waits for the first */
	sl_kw_cstr(&w, "g");
	sl_kw_i32(&w, 10000);
	sl_kw_i32(&w, 60000);
	sl_kw_cstr(&w, "");
	sl_kw_cstr(&w, "consumer");
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "range");
	sl_kw_bytes_len(&w, 0);
	rig_send(&f.c, &w);
	assert_int_equal(take(&f), 0);
	sl_kgroups_give_up(groups(&f), false);
	assert_true(take(&f) > 0);
	sl_kr_i32(&f.in);
	assert_int_equal(sl_kr_i16(&f.in), SL_KERR_NOT_COORDINATOR);
	assert_true(sl_kgroups_quiet(groups(&f)));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_at_first_use),
		cmocka_unit_test(test_cannot_be_made),
		cmocka_unit_test(test_commit_and_restart),
		cmocka_unit_test(test_commit_refused),
		cmocka_unit_test(test_answered_when_synced),
		cmocka_unit_test(test_answered_when_logged),
		cmocka_unit_test(test_log_fails),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_ring_is_full),
		cmocka_unit_test(test_group_survives),
		cmocka_unit_test(test_unneeded_groups_go),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_topic_forgotten),
		cmocka_unit_test(test_foreign_records),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_rewrite_cut_anywhere),
		cmocka_unit_test(test_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
