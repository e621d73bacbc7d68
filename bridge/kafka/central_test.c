/* SPDX-License-Identifier: Apache-2.0 */
/* central_test.c - acks=all on topics with sluice.acks.all=central: who waits, for what, and what
 * they are told when it does not come. */
#include "rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "errors.h"
#include "platform/base/topic_cfg.h"
#include "platform/record/crc32c.h"

#define TIMEOUT_MS 1000 /* of every request */

struct fix {
	struct rig r;
	struct rig_conn c;
	struct sl_topic *t, *plain;
	struct sl_part *p; /* partition 0 of t, */
	struct sl_part *q; /* and 1 */
	uint8_t b[4096];
	uint32_t len; /* a batch of two records */
	uint8_t out[4096];
	size_t got, at; /* in out: bytes taken, and looked at */
};

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	struct sl_topic_cfg cfg;

	memset(f, 0, sizeof(*f));
	rig_init(&f->r, NULL);
	rig_open(&f->r, &f->c);
	snprintf(f->r.config->uplink.bootstrap, SL_CFG_TEXT_MAX, "central:9092");
	f->r.config->uplink.all_topics = true;
	sl_topic_cfg_defaults(&cfg);
	f->plain = rig_topic(&f->r, "plain", &cfg);
	cfg.acks_central = true;
	f->t = rig_topic(&f->r, "t", &cfg);
	f->p = sl_topic_part(f->t, 0);
	f->q = sl_topic_part(f->t, 1);
	sl_part_forwarded_set(f->p, 0);
	sl_part_forwarded_set(f->q, 0);
	sl_store_link_set(f->r.store, true);
	f->len = rig_batch(f->b, sizeof(f->b), 2, 20, RIG_WALL_MS);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (f->c.c)
		rig_close(&f->c);
	fake_store_step(f->r.store);
	fake_store_sync(f->r.store);
	rig_fini(&f->r);
	free(f);
	return 0;
}

/* ---- requests and answers -------------------------------------------------------------------- */

struct part { /* of a request */
	const char *topic;
	int32_t index;
};

/* Produce v8 of f->b to each part; each has a topic of its own in the request. */
static void send_to(struct fix *f, int32_t correlation, int16_t acks, const struct part *part,
		    uint32_t n)
{
	struct sl_kw w;

	rig_begin(&w, 0, 8, correlation);
	sl_kw_cstr(&w, NULL);
	sl_kw_i16(&w, acks);
	sl_kw_i32(&w, TIMEOUT_MS);
	sl_kw_array(&w, n);
	for (uint32_t i = 0; i < n; i++) {
		sl_kw_cstr(&w, part[i].topic);
		sl_kw_array(&w, 1);
		sl_kw_i32(&w, part[i].index);
		sl_kw_bytes_len(&w, f->len);
		sl_kw_raw(&w, f->b, f->len);
	}
	rig_send(&f->c, &w);
}

static void send(struct fix *f, int32_t correlation, int16_t acks, int32_t index)
{
	send_to(f, correlation, acks, &(struct part){"t", index}, 1);
}

struct got {
	char topic[16];
	int32_t index;
	int16_t err;
	int64_t base_offset;
	bool said; /* there is a sentence */
};

struct answer {
	int32_t correlation;
	uint32_t cnt;
	struct got part[4];
};

/* The next answer; false: there is none. */
static bool take(struct fix *f, struct answer *ret)
{
	struct sl_kr r = {0};

	if (f->at == f->got) {
		f->got = rig_take(&f->c, f->out, sizeof(f->out));
		f->at = 0;
	}
	if (f->got == 0)
		return false;
	assert_true(f->got - f->at > 4);
	size_t len = sl_be32(f->out + f->at);
	assert_true(len <= f->got - f->at - 4);
	sl_rd_init(&r.rd, f->out + f->at + 4, len);
	f->at += 4 + len;
	ret->correlation = sl_kr_i32(&r);
	ret->cnt = sl_kr_array(&r, 1);
	assert_true(ret->cnt <= SL_ARRAY_SIZE(ret->part));
	for (uint32_t i = 0; i < ret->cnt; i++) {
		struct got *x = &ret->part[i];
		struct sl_slice name = sl_kr_str(&r);
		assert_true(name.len < sizeof(x->topic));
		memcpy(x->topic, name.p, name.len);
		x->topic[name.len] = '\0';
		assert_int_equal(sl_kr_array(&r, 1), 1);
		x->index = sl_kr_i32(&r);
		x->err = sl_kr_i16(&r);
		x->base_offset = sl_kr_i64(&r);
		sl_kr_i64(&r); /* append time */
		sl_kr_i64(&r); /* log start */
		assert_int_equal(sl_kr_array(&r, 6), 0);
		x->said = sl_kr_nstr(&r).p != NULL;
	}
	sl_kr_i32(&r); /* throttle */
	assert_false(r.rd.bad);
	assert_int_equal(sl_rd_left(&r.rd), 0);
	return true;
}

static bool nothing(struct fix *f)
{
	struct answer a;

	rig_settle(&f->r);
	return !take(f, &a);
}

static void expect(struct fix *f, int32_t correlation, int16_t err, int64_t base_offset)
{
	struct answer a;

	rig_settle(&f->r);
	assert_true(take(f, &a));
	assert_int_equal(a.correlation, correlation);
	assert_int_equal(a.cnt, 1);
	assert_int_equal(a.part[0].err, err);
	assert_int_equal(a.part[0].base_offset, base_offset);
	assert_string_equal(a.part[0].topic, "t");
}

static void set_producer(struct fix *f, int32_t seq)
{
	sl_put_be64(f->b + SL_BATCH_PID_OFF, 7);
	sl_put_be16(f->b + SL_BATCH_PEPOCH_OFF, 0);
	sl_put_be32(f->b + SL_BATCH_BASE_SEQ_OFF, (uint32_t)seq);
	sl_put_be32(f->b + SL_BATCH_CRC_OFF,
		    sl_crc32c(f->b + SL_BATCH_CRC_FROM, f->len - SL_BATCH_CRC_FROM));
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void test_waits_for_the_centre(void **state)
{
	struct fix *f = *state;

	fake_store_cfg(f->r.store)->auto_sync = false;
	send(f, 1, -1, 0);
	assert_int_equal(sl_part_end(f->p), 2);
	assert_true(nothing(f));
	fake_store_sync(f->r.store);
	assert_true(nothing(f)); /* synced is not enough, */
	sl_part_forwarded_set(f->p, 1);
	assert_true(nothing(f)); /* nor is one of two records, */
	sl_part_forwarded_set(f->q, 100);
	assert_true(nothing(f)); /* nor another partition */
	sl_part_forwarded_set(f->p, 2);
	expect(f, 1, 0, 0);
	send(f, 2, -1, 1);
	assert_true(nothing(f)); /* forwarded or not, it has to be synced here */
	fake_store_sync(f->r.store);
	expect(f, 2, 0, 0);
}

/* What others ask for is as ever, whatever the link does. */
static void test_other_acks(void **state)
{
	struct fix *f = *state;
	struct answer a;

	sl_store_link_set(f->r.store, false);
	send(f, 1, 1, 0);
	expect(f, 1, 0, 0);
	send(f, 2, 0, 0);
	assert_true(nothing(f));
	assert_null(sl_kconn_broken(f->c.c));
	assert_int_equal(sl_part_end(f->p), 4);
	send_to(f, 3, -1, &(struct part){"plain", 0}, 1);
	rig_settle(&f->r);
	assert_true(take(f, &a));
	assert_int_equal(a.part[0].err, 0);
	assert_int_equal(atomic_load(&f->r.server.counters.central_refused), 0);
}

static void test_refused_without_a_link(void **state)
{
	struct fix *f = *state;
	struct answer a;

	sl_store_link_set(f->r.store, false);
	send(f, 1, -1, 0);
	rig_settle(&f->r); /* at once: no clock was moved */
	assert_true(take(f, &a));
	assert_int_equal(a.part[0].err, SL_KERR_REQUEST_TIMED_OUT);
	assert_int_equal(a.part[0].base_offset, -1);
	assert_true(a.part[0].said);
	assert_int_equal(sl_part_end(f->p), 0); /* and nothing was appended */
	sl_store_link_set(f->r.store, true);
	/* a link, but this topic does not go over it: it was so when the setting was made */
	f->r.config->uplink.all_topics = false;
	send(f, 2, -1, 0);
	expect(f, 2, SL_KERR_REQUEST_TIMED_OUT, -1);
	f->r.config->uplink.all_topics = true;
	f->r.config->uplink.bootstrap[0] = '\0';
	send(f, 3, -1, 0);
	expect(f, 3, SL_KERR_REQUEST_TIMED_OUT, -1);
	assert_int_equal(sl_part_end(f->p), 0);
	assert_int_equal(atomic_load(&f->r.server.counters.central_refused), 3);
}

/* The link goes between the check of a batch and its turn to be injected. */
static void test_refused_at_the_last_moment(void **state)
{
	struct fix *f = *state;

	fake_store_cfg(f->r.store)->ring_depth = 1;
	f->r.manual = true;
	send(f, 1, -1, 0); /* fills the ring */
	send(f, 2, -1, 0);
	assert_false(TAILQ_EMPTY(&f->r.server.wait_inject));
	sl_store_link_set(f->r.store, false);
	fake_store_step(f->r.store);
	rig_settle(&f->r);
	fake_store_step(f->r.store);
	assert_int_equal(sl_part_end(f->p), 2); /* of the first one alone */
	sl_part_forwarded_set(f->p, 2);
	expect(f, 1, 0, 0); /* what was under way arrived all the same */
	expect(f, 2, SL_KERR_REQUEST_TIMED_OUT, -1);
}

/* The link goes while a record waits: its own timeout, then a retry waits for the same record. */
static void test_link_goes_while_it_waits(void **state)
{
	struct fix *f = *state;

	set_producer(f, 0);
	send(f, 1, -1, 0);
	sl_store_link_set(f->r.store, false);
	rig_pass_ms(&f->r, TIMEOUT_MS - 1);
	assert_true(nothing(f));
	rig_pass_ms(&f->r, 1);
	expect(f, 1, SL_KERR_REQUEST_TIMED_OUT, -1);
	send(f, 2, -1, 0); /* no link: refused before anybody looks whether it is a retry */
	expect(f, 2, SL_KERR_REQUEST_TIMED_OUT, -1);
	sl_store_link_set(f->r.store, true);
	send(f, 3, -1, 0);
	assert_true(nothing(f));
	assert_int_equal(sl_part_end(f->p), 2); /* it is known as a repetition */
	sl_part_forwarded_set(f->p, 2);
	expect(f, 3, 0, 0);
	send(f, 4, -1, 0); /* once more, when it has been there for long */
	expect(f, 4, 0, 0);
	assert_int_equal(sl_part_end(f->p), 2);
}

/* The link is back within the timeout. */
static void test_link_comes_back(void **state)
{
	struct fix *f = *state;

	send(f, 1, -1, 0);
	sl_store_link_set(f->r.store, false);
	rig_pass_ms(&f->r, TIMEOUT_MS / 2);
	sl_store_link_set(f->r.store, true);
	sl_part_forwarded_set(f->p, 2);
	expect(f, 1, 0, 0);
}

/* A position that is not known (any more) is none. */
static void test_position_unknown(void **state)
{
	struct fix *f = *state;

	sl_part_forwarded_set(f->p, -1);
	send(f, 1, -1, 0);
	assert_true(nothing(f));
	sl_part_forwarded_set(f->p, 2);
	expect(f, 1, 0, 0);
}

/* ---- what does not arrive as it was ---------------------------------------------------------- */

static void test_dead_letter(void **state)
{
	struct fix *f = *state;
	struct answer a;

	set_producer(f, 0);
	for (int i = 0; i < 4; i++) { /* offsets 0-1, 2-3, 4-5, 6-7 */
		set_producer(f, i * 2);
		send(f, i, -1, 0);
	}
	sl_part_dead_letter(f->p, 3);
	sl_part_dead_letter(f->p, 4);
	sl_part_forwarded_set(f->p, 8);
	static const int16_t want[] = {0, SL_KERR_INVALID_RECORD, SL_KERR_INVALID_RECORD, 0};
	static const int64_t offset[] = {0, -1, -1, 6};
	for (int i = 0; i < 4; i++)
		expect(f, i, want[i], offset[i]);
	set_producer(f, 2); /* a retry hears the same */
	send(f, 9, -1, 0);
	rig_settle(&f->r);
	assert_true(take(f, &a));
	assert_int_equal(a.part[0].err, SL_KERR_INVALID_RECORD);
	assert_true(a.part[0].said);
}

/* The uplink goes on beyond what was deleted here: that is no arrival. */
static void test_deleted_before_it_was_sent(void **state)
{
	struct fix *f = *state;

	send(f, 1, -1, 0);
	fake_store_set_unsent(f->p, 1, 2);
	sl_part_forwarded_set(f->p, 2);
	expect(f, 1, SL_KERR_KAFKA_STORAGE_ERROR, -1);
	send(f, 2, -1, 0);
	sl_part_forwarded_set(f->p, 4);
	expect(f, 2, 0, 2);
}

static void test_topic_goes(void **state)
{
	struct fix *f = *state;

	send(f, 1, -1, 0);
	assert_true(nothing(f));
	assert_int_equal(sl_store_topic_delete(f->r.store, f->t), 0);
	expect(f, 1, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION, -1);
}

static void test_partition_fails(void **state)
{
	struct fix *f = *state;

	fake_store_cfg(f->r.store)->auto_sync = false;
	send(f, 1, -1, 0);
	fake_store_set_state(f->r.store, f->p, SL_PART_FAILED);
	expect(f, 1, SL_KERR_KAFKA_STORAGE_ERROR, -1);
	/* what was synced before can still be sent */
	send(f, 2, -1, 1);
	fake_store_sync(f->r.store);
	fake_store_set_state(f->r.store, f->q, SL_PART_FAILED);
	assert_true(nothing(f));
	sl_part_forwarded_set(f->q, 2);
	expect(f, 2, 0, 0);
}

/* ---- several partitions, several requests ---------------------------------------------------- */

static void test_each_by_its_own_rule(void **state)
{
	struct fix *f = *state;
	struct answer a;
	static const struct part parts[] = {{"t", 1}, {"plain", 0}, {"nobody", 0}, {"t", 0}};
	static const int16_t down[] = {7, 0, 3, 7}, up[] = {0, 0, 3, 0};

	sl_store_link_set(f->r.store, false);
	send_to(f, 1, -1, parts, 4);
	rig_settle(&f->r);
	assert_true(take(f, &a));
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(a.part[i].err, down[i]);
	assert_int_equal(sl_part_end(f->p) + sl_part_end(f->q), 0);
	sl_store_link_set(f->r.store, true);
	send_to(f, 2, -1, parts, 4);
	assert_true(nothing(f));
	sl_part_forwarded_set(f->q, 2);
	assert_true(nothing(f)); /* the answer is one */
	sl_part_forwarded_set(f->p, 2);
	rig_settle(&f->r);
	assert_true(take(f, &a));
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(a.part[i].err, up[i]);
		assert_int_equal(a.part[i].index, parts[i].index);
		assert_string_equal(a.part[i].topic, parts[i].topic);
	}
	/* of two, one arrives in time */
	send_to(f, 3, -1, parts, 4);
	sl_part_forwarded_set(f->q, 4);
	rig_pass_ms(&f->r, TIMEOUT_MS);
	assert_true(take(f, &a));
	assert_int_equal(a.part[0].err, 0);
	assert_int_equal(a.part[0].base_offset, 2);
	assert_int_equal(a.part[3].err, SL_KERR_REQUEST_TIMED_OUT);
}

/* One that waits for the centre does not hold up what was sent before it and behind it, in the
 * log; answers keep their order. */
static void test_pipelined(void **state)
{
	struct fix *f = *state;

	send(f, 1, -1, 0);
	send(f, 2, 1, 0);
	send(f, 3, -1, 0);
	assert_int_equal(sl_part_end(f->p), 6);
	assert_true(nothing(f));
	sl_part_forwarded_set(f->p, 4);
	expect(f, 1, 0, 0);
	expect(f, 2, 0, 2);
	assert_true(nothing(f));
	rig_pass_ms(&f->r, TIMEOUT_MS);
	expect(f, 3, SL_KERR_REQUEST_TIMED_OUT, -1);
}

/* ---- resources ------------------------------------------------------------------------------- */

static uint64_t memory(struct fix *f)
{
	return atomic_load(&f->r.server.counters.memory);
}

/* A request that waits holds what its answer needs, not its records. */
static void test_memory(void **state)
{
	struct fix *f = *state;
	static uint8_t big[600 << 10];
	uint32_t len = rig_batch(big, sizeof(big), 1, 500 << 10, RIG_WALL_MS);

	for (int i = 0; i < 8; i++)
		rig_send_produce(&f->c, i, -1, "t", 0, big, len);
	assert_int_equal(sl_part_end(f->p), 8);
	assert_true(memory(f) < 32 << 10);
	sl_part_forwarded_set(f->p, 8);
	rig_settle(&f->r);
	size_t n = rig_take(&f->c, f->out, sizeof(f->out));
	assert_true(n > 8 * 30);
	assert_int_equal(memory(f), 0);
	/* compressed anew by the topic's setting: those bytes, too */
	struct sl_topic_cfg own = {.compression = SL_CODEC_LZ4};
	uint32_t cnt;
	const struct sl_topic_setting *x = sl_topic_setting_find("compression.type", 16);
	uint32_t bit = sl_topic_setting_bit((uint32_t)(x - sl_topic_settings(&cnt)));
	assert_int_equal(sl_store_topic_own_set(f->r.store, f->t, &own, bit), 0);
	rig_send_produce(&f->c, 8, -1, "t", 0, big, len);
	assert_int_equal(sl_part_end(f->p), 9);
	assert_true(memory(f) < 4 << 10);
	sl_part_forwarded_set(f->p, 9);
	rig_settle(&f->r);
	assert_true(rig_take(&f->c, f->out, sizeof(f->out)) > 30);
	assert_int_equal(memory(f), 0);
}

/* Who has left waits for nothing, however long the outage. */
static void test_peer_leaves(void **state)
{
	struct fix *f = *state;

	send(f, 1, -1, 0);
	send(f, 2, -1, 0);
	assert_int_equal(f->r.server.conn_cnt, 1);
	rig_close(&f->c);
	assert_int_equal(f->r.server.conn_cnt, 0);
	assert_int_equal(memory(f), 0);
	assert_int_equal(sl_timers_next(&f->r.timers), UINT64_MAX);
	/* the same while its append is under way */
	f->r.manual = true;
	rig_open(&f->r, &f->c);
	send(f, 3, -1, 0);
	rig_close(&f->c);
	assert_int_equal(f->r.server.conn_cnt, 1);
	fake_store_step(f->r.store);
	rig_settle(&f->r);
	assert_int_equal(f->r.server.conn_cnt, 0);
	assert_int_equal(sl_part_end(f->p), 6); /* what was read was appended */
}

/* The loop may sleep while one waits: what it waits for rings. */
static void test_rings(void **state)
{
	struct fix *f = *state;
	struct sl_kserver *s = &f->r.server;

	send(f, 1, -1, 0);
	while (sl_kserver_prepare(s))
		;
	assert_int_equal(atomic_load(&s->waker.armed), 1);
	sl_part_forwarded_set(f->p, 2);
	assert_int_equal(atomic_load(&s->waker.armed), 0);
	while (sl_kserver_prepare(s))
		;
	struct answer a;
	assert_true(take(f, &a));
	assert_int_equal(a.part[0].err, 0);
	while (sl_kserver_prepare(s))
		;
	assert_true(TAILQ_EMPTY(&s->wait_central));
}

static void test_stopping(void **state)
{
	struct fix *f = *state;

	send(f, 1, -1, 0);
	sl_kproduce_give_up_central(&f->r.server);
	assert_true(nothing(f)); /* the centre may still answer */
	sl_store_link_set(f->r.store, false);
	sl_kproduce_give_up_central(&f->r.server);
	expect(f, 1, SL_KERR_REQUEST_TIMED_OUT, -1);
	sl_store_link_set(f->r.store, true);
	send(f, 2, -1, 0);
	sl_kproduce_give_up(&f->r.server);
	expect(f, 2, SL_KERR_REQUEST_TIMED_OUT, -1);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_waits_for_the_centre),
		T(test_other_acks),
		T(test_refused_without_a_link),
		T(test_refused_at_the_last_moment),
		T(test_link_goes_while_it_waits),
		T(test_link_comes_back),
		T(test_position_unknown),
		T(test_dead_letter),
		T(test_deleted_before_it_was_sent),
		T(test_topic_goes),
		T(test_partition_fails),
		T(test_each_by_its_own_rule),
		T(test_pipelined),
		T(test_memory),
		T(test_peer_leaves),
		T(test_rings),
		T(test_stopping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
