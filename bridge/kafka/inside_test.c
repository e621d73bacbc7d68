/* SPDX-License-Identifier: Apache-2.0 */
/* inside_test.c - committed offsets for those inside: on the rig, and over a listener's thread. */
#include "inside.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"
#include "platform/base/clock.h"
#include "rig.h"

#define DAY_MS 86400000

struct fix {
	struct rig r;
	struct rig_conn c;
	struct sl_kinside in;
	struct sl_loop *loop;
	unsigned done;
	int rc;
	int64_t offset;
	int32_t correlation;
};

static void set_up(struct fix *f, const struct sl_kgroups_cfg *cfg)
{
	struct sl_kserver_cfg c = {.request_max_bytes = 1 << 20,
				   .memory_bytes = 64u << 20,
				   .num_partitions = 2,
				   .groups = cfg};
	struct sl_loop_cfg lc = {0};

	memset(f, 0, sizeof(*f));
	rig_init(&f->r, &c);
	rig_open(&f->r, &f->c);
	assert_int_equal(sl_loop_new(&lc, &f->loop), 0);
	sl_kinside_init(&f->in, &f->r.server, f->loop);
	rig_topic(&f->r, "t", NULL);
}

static void tear_down(struct fix *f)
{
	rig_close(&f->c);
	rig_fini(&f->r);
	sl_loop_free(f->loop);
}

struct call {
	struct sl_kinside_call c;
	struct fix *f;
};

static void on_done(struct sl_kinside_call *c, int rc)
{
	struct call *x = SL_CONTAINER_OF(c, struct call, c);
	x->f->done++;
	x->f->rc = rc;
	x->f->offset = c->offset;
	free(x);
}

static struct sl_slice str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void begin(struct fix *f, bool commit, const char *group, const char *topic,
		  int32_t partition, int64_t offset, const char *metadata)
{
	struct call *x = calloc(1, sizeof(*x));
	assert_non_null(x);
	x->f = f;
	x->c = (struct sl_kinside_call){.commit = commit,
					.group = str(group),
					.topic = str(topic),
					.metadata = str(metadata),
					.partition = partition,
					.offset = offset,
					.done = on_done};
	sl_kinside_begin(&f->in, &x->c);
}

/* As the listener's loop does. */
static void settle(struct fix *f)
{
	do
		rig_settle(&f->r);
	while (sl_kinside_turn(&f->in));
}

static int commit(struct fix *f, const char *group, const char *topic, int32_t partition,
		  int64_t offset)
{
	unsigned before = f->done;
	begin(f, true, group, topic, partition, offset, "note");
	settle(f);
	assert_int_equal(f->done, before + 1);
	return f->rc;
}

static int64_t fetch(struct fix *f, const char *group, int32_t partition)
{
	unsigned before = f->done;
	begin(f, false, group, "t", partition, 0, "");
	settle(f);
	assert_int_equal(f->done, before + 1);
	assert_int_equal(f->rc, 0);
	return f->offset;
}

/* What a Kafka client is told: OffsetFetch v5; the metadata must be ours. */
static int64_t client_fetch(struct fix *f, const char *group, int32_t partition)
{
	uint8_t buf[1000];
	struct sl_kr in = {0};
	struct sl_kw w;

	rig_begin(&w, 9, 5, ++f->correlation);
	sl_kw_cstr(&w, group);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, partition);
	rig_send(&f->c, &w);
	size_t n = rig_take(&f->c, buf, sizeof(buf));
	assert_true(n > 8);
	sl_rd_init(&in.rd, buf + 8, n - 8);
	sl_kr_i32(&in);
	sl_kr_array(&in, 1);
	sl_kr_str(&in);
	sl_kr_array(&in, 1);
	sl_kr_i32(&in);
	int64_t offset = sl_kr_i64(&in);
	sl_kr_i32(&in);
	struct sl_slice note = sl_kr_nstr(&in);
	if (offset >= 0)
		assert_true(note.len == 4 && !memcmp(note.p, "note", 4));
	assert_int_equal(sl_kr_i16(&in), 0);
	return offset;
}

/* A commit as a Kafka consumer without members sends it; its error. */
static int16_t client_commit(struct fix *f, const char *group, int64_t offset)
{
	uint8_t buf[1000];
	struct sl_kr in = {0};
	struct sl_kw w;

	rig_begin(&w, 8, 5, ++f->correlation);
	sl_kw_cstr(&w, group);
	sl_kw_i32(&w, -1);
	sl_kw_cstr(&w, "");
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_i64(&w, offset);
	sl_kw_cstr(&w, "note");
	rig_send(&f->c, &w);
	size_t n = rig_take(&f->c, buf, sizeof(buf));
	assert_true(n > 8);
	sl_rd_init(&in.rd, buf + 8, n - 8);
	sl_kr_i32(&in);
	sl_kr_array(&in, 1);
	sl_kr_str(&in);
	sl_kr_array(&in, 1);
	sl_kr_i32(&in);
	return sl_kr_i16(&in);
}

static void client_join(struct fix *f, const char *group)
{
	uint8_t buf[1000];
	struct sl_kw w;

	rig_begin(&w, 11, 3, ++f->correlation);
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
	assert_true(rig_take(&f->c, buf, sizeof(buf)) > 0);
}

/* Nobody has asked for the coordinator yet: the first call makes it. */
static void test_first_call_makes_the_coordinator(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	begin(&f, false, "g", "t", 0, 0, "");
	assert_int_equal(f.done, 0);
	settle(&f);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.rc, 0);
	assert_int_equal(f.offset, -1);
	tear_down(&f);
}

static void test_clients_see_the_same(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	assert_int_equal(commit(&f, "g", "t", 0, 41), 0);
	assert_int_equal(commit(&f, "g", "t", 0, 42), 0);
	assert_int_equal(commit(&f, "g", "t", 1, 7), 0);
	assert_int_equal(fetch(&f, "g", 0), 42);
	assert_int_equal(client_fetch(&f, "g", 0), 42);
	assert_int_equal(client_fetch(&f, "g", 1), 7);
	assert_int_equal(fetch(&f, "h", 0), -1);
	/* and the other way round: an admin who resets the offset */
	assert_int_equal(client_commit(&f, "g", 3), 0);
	assert_int_equal(fetch(&f, "g", 0), 3);
	assert_int_equal(f.r.server.groups->new_offsets, 0);
	tear_down(&f);
}

/* Answered only when synced; with the setting for it, when logged. */
static void test_waits_for_synced(void **state)
{
	struct sl_kgroups_cfg logged = {.max_groups = 4,
					.max_offsets = 4,
					.partitions = 1,
					.metadata_max = 10,
					.check_ms = 60000,
					.memory_bytes = 1 << 20,
					.commit_logged = true};
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	fake_store_cfg(f.r.store)->auto_sync = false;
	begin(&f, true, "g", "t", 0, 5, "");
	settle(&f);
	assert_int_equal(f.done, 0);
	fake_store_sync(f.r.store);
	settle(&f);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.rc, 0);
	begin(&f, true, "g", "t", 0, 6, "");
	settle(&f);
	rig_pass_ms(&f.r, SL_GLOG_SYNC_MS + 1);
	assert_int_equal(f.rc, -EAGAIN);
	fake_store_sync(f.r.store);
	tear_down(&f);
	set_up(&f, &logged);
	fake_store_cfg(f.r.store)->auto_sync = false;
	assert_int_equal(commit(&f, "g", "t", 0, 5), 0);
	tear_down(&f);
}

static void test_refusals(void **state)
{
	struct sl_kgroups_cfg few = {.min_session_ms = 6000,
				     .max_session_ms = 60000,
				     .max_members = 10,
				     .max_groups = 2,
				     .max_offsets = 2,
				     .partitions = 1,
				     .metadata_max = 10,
				     .check_ms = 60000,
				     .retention_ms = DAY_MS,
				     .memory_bytes = 1 << 20};
	struct fix f;
	(void)state;
	set_up(&f, &few);
	assert_int_equal(commit(&f, "g", "no-such-topic", 0, 1), -ENOENT);
	assert_int_equal(commit(&f, "g", "t", 2, 1), -ENOENT);
	assert_int_equal(commit(&f, "g", "t", -1, 1), -ENOENT);
	begin(&f, true, "g", "t", 0, 1, "eleven byte");
	assert_int_equal(f.rc, -EMSGSIZE);
	assert_int_equal(commit(&f, "g", "t", 0, 1), 0);
	assert_int_equal(commit(&f, "g", "t", 1, 1), 0);
	assert_int_equal(commit(&f, "h", "t", 0, 1), -ENOSPC);
	assert_int_equal(f.r.server.groups->new_offsets, 0);
	client_join(&f, "g");
	assert_int_equal(commit(&f, "g", "t", 0, 2), -EBUSY);
	assert_int_equal(fetch(&f, "g", 0), 1);
	tear_down(&f);
}

static void test_log_fails(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	fake_store_cfg(f.r.store)->create_err = -ENOSPC;
	begin(&f, true, "g", "t", 0, 1, "");
	settle(&f);
	assert_int_equal(f.rc, -EAGAIN);
	begin(&f, false, "g", "t", 0, 1, ""); /* not asked again at once */
	assert_int_equal(f.done, 2);
	assert_int_equal(f.rc, -EAGAIN);
	fake_store_cfg(f.r.store)->create_err = 0;
	rig_pass_ms(&f.r, 1001);
	assert_int_equal(commit(&f, "g", "t", 0, 1), 0);
	fake_store_cfg(f.r.store)->append_err = -EIO;
	assert_int_equal(commit(&f, "g", "t", 0, 2), -EIO);
	assert_int_equal(fetch(&f, "g", 0), 1);
	tear_down(&f);
}

/* A client's commit ends with offsets.retention.minutes; one from inside does not. */
static void test_does_not_expire(void **state)
{
	struct fix f;
	(void)state;
	set_up(&f, NULL);
	assert_int_equal(commit(&f, "g", "t", 0, 5), 0);
	assert_int_equal(client_commit(&f, "client", 5), 0);
	for (int i = 0; i < 30; i++)
		rig_pass_ms(&f.r, DAY_MS);
	assert_int_equal(fetch(&f, "client", 0), -1);
	assert_int_equal(fetch(&f, "g", 0), 5);
	tear_down(&f);
}

static void test_closed(void **state)
{
	struct fix f;
	int64_t offset;
	(void)state;
	set_up(&f, NULL);
	begin(&f, false, "g", "t", 0, 0, ""); /* waits for the coordinator */
	sl_kinside_close(&f.in);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.rc, -ESHUTDOWN);
	begin(&f, true, "g", "t", 0, 1, "");
	assert_int_equal(f.rc, -ESHUTDOWN);
	assert_int_equal(sl_kinside_fetch(&f.in, "g", "t", 0, &offset), -ESHUTDOWN);
	assert_int_equal(sl_kinside_commit(&f.in, "g", "t", 0, 1, NULL), -ESHUTDOWN);
	tear_down(&f);
}

/* The network thread is busy elsewhere: the caller leaves, the call ends without him. */
static void test_caller_leaves(void **state)
{
	static char longer[SL_KINSIDE_GROUP_MAX + 2];
	struct fix f;
	int64_t offset = 77;
	(void)state;
	set_up(&f, NULL);
	assert_int_equal(fetch(&f, "g", 0), -1);
	f.in.wait_ms = 1;
	assert_int_equal(sl_kinside_commit(&f.in, "g", "t", 0, 9, NULL), -ETIMEDOUT);
	assert_int_equal(sl_kinside_fetch(&f.in, "g", "t", 0, &offset), -ETIMEDOUT);
	assert_int_equal(offset, 77);
	assert_int_equal(sl_loop_turn(f.loop, 0), 0);
	settle(&f);
	assert_int_equal(fetch(&f, "g", 0), 9);
	memset(longer, 'g', sizeof(longer) - 1);
	assert_int_equal(sl_kinside_fetch(&f.in, longer, "t", 0, &offset), -EINVAL);
	assert_int_equal(sl_kinside_commit(&f.in, "g", longer, 0, 1, NULL), -EINVAL);
	assert_int_equal(sl_kinside_commit(&f.in, "g", "t", 0, -1, NULL), -EINVAL);
	tear_down(&f);
}

/* ---- over a listener that has no sockets ----------------------------------------------------- */

struct outside {
	struct sl_config *c;
	struct sl_store *store;
	struct sl_kafka *k;
};

static void start(struct outside *o)
{
	struct sl_kafka_cfg kc = {.config = o->c,
				  .store = o->store,
				  .dp = fake_store_dataplane(o->store),
				  .node_id = 1};
	char err[128];
	assert_int_equal(sl_kafka_new(&kc, &o->k, err, sizeof(err)), 0);
	assert_int_equal(sl_kafka_start(o->k), 0);
}

static void stop(struct outside *o)
{
	assert_int_equal(sl_kafka_stop(o->k, sl_clock_mono_ns() + 5000000000u), 0);
	sl_kafka_free(o->k);
}

#define ROUNDS 50

static void *commit_many(void *arg)
{
	const struct sl_offsets_ops *ops = sl_kafka_offsets_ops();
	struct outside *o = arg;
	int64_t offset;
	int bad = 0;

	for (int64_t i = 1; i <= ROUNDS; i++) {
		bad += ops->commit(o->k, "other", "t", 1, i, NULL) != 0;
		bad += ops->fetch(o->k, "other", "t", 1, &offset) != 0 || offset != i;
	}
	return (void *)(intptr_t)bad;
}

static void test_threads_and_restart(void **state)
{
	const struct sl_offsets_ops *ops = sl_kafka_offsets_ops();
	struct outside o = {.c = calloc(1, sizeof(*o.c)), .store = fake_store_new()};
	struct sl_topic_layers layers = {0};
	pthread_t other;
	int64_t offset;
	void *bad;
	(void)state;

	sl_topic_cfg_defaults(&o.c->kafka.topic_defaults);
	sl_topic_cfg_defaults(&layers.base);
	o.c->kafka.memory_bytes = 32 << 20;
	o.c->kafka.workers = 1;
	fake_store_cfg(o.store)->auto_sync = true;
	assert_int_equal(sl_store_topic_create(o.store, "t", 2, &layers, NULL), 0);
	fake_store_thread_start(o.store);
	start(&o);
	assert_int_equal(sl_kafka_port(o.k, 0), 0);
	assert_int_equal(ops->fetch(o.k, "g", "t", 0, &offset), 0);
	assert_int_equal(offset, -1);
	assert_int_equal(pthread_create(&other, NULL, commit_many, &o), 0);
	for (int64_t i = 1; i <= ROUNDS; i++)
		assert_int_equal(ops->commit(o.k, "g", "t", 0, i, "x"), 0);
	assert_int_equal(pthread_join(other, &bad), 0);
	assert_null(bad);
	stop(&o);
	start(&o);
	assert_int_equal(ops->fetch(o.k, "g", "t", 0, &offset), 0);
	assert_int_equal(offset, ROUNDS);
	assert_int_equal(sl_kafka_stop(o.k, sl_clock_mono_ns() + 5000000000u), 0);
	assert_int_equal(ops->commit(o.k, "g", "t", 0, 1, NULL), -ESHUTDOWN);
	sl_kafka_free(o.k);
	fake_store_thread_stop(o.store);
	fake_store_free(o.store);
	free(o.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_call_makes_the_coordinator),
		cmocka_unit_test(test_clients_see_the_same),
		cmocka_unit_test(test_waits_for_synced),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_log_fails),
		cmocka_unit_test(test_does_not_expire),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_caller_leaves),
		cmocka_unit_test(test_threads_and_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
