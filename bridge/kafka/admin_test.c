/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_test.c - admin requests: limits, refusals, what the store says, and that changed settings
 * hold from the next Produce on. Field by field the answers are compared by golden_test.c.
 */
#include "rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/record/crc32c.h"
#include "settings.h"

#define OUT_MAX (256u << 10)

struct fix {
	struct rig r;
	struct rig_conn c;
	uint8_t *out;
	uint64_t errors; /* request_errors so far */
};

static int setup(void **state)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	memset(f, 0, sizeof(*f));
	f->out = malloc(OUT_MAX);
	rig_init(&f->r, NULL);
	rig_open(&f->r, &f->c);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	rig_close(&f->c);
	rig_fini(&f->r);
	free(f->out);
	free(f);
	return 0;
}

/* Sends a request and returns a reader behind the header of its answer. */
static struct sl_kr ask(struct fix *f, struct sl_kw *w)
{
	struct sl_kr r = {0};
	rig_send(&f->c, w);
	size_t n = rig_take(&f->c, f->out, OUT_MAX);
	assert_true(n > 8);
	sl_rd_init(&r.rd, f->out + 4, n - 4);
	sl_kr_i32(&r); /* correlation */
	return r;
}

/* The connection was closed for the request, and that was counted; a new one is opened. */
static void expect_closed(struct fix *f)
{
	uint8_t out[16];
	assert_int_equal(rig_take(&f->c, out, sizeof(out)), 0);
	assert_non_null(sl_kconn_broken(f->c.c));
	assert_int_equal(atomic_load(&f->r.server.counters.request_errors), ++f->errors);
	rig_close(&f->c);
	rig_open(&f->r, &f->c);
}

/* ---- one topic at a time, in versions without compact types ---------------------------------- */

static void put_topic(struct sl_kw *w, const char *name, int32_t parts, int16_t replication)
{
	sl_kw_cstr(w, name);
	sl_kw_i32(w, parts);
	sl_kw_i16(w, replication);
	sl_kw_array(w, 0); /* assignments */
}

/* CreateTopics v4 of one topic with one setting (NULL: none); its error. */
static int16_t create(struct fix *f, const char *name, int32_t parts, int16_t replication,
		      const char *key, const char *value)
{
	struct sl_kw w;
	rig_begin(&w, 19, 4, 1);
	sl_kw_array(&w, 1);
	put_topic(&w, name, parts, replication);
	sl_kw_array(&w, key ? 1 : 0);
	if (key) {
		sl_kw_cstr(&w, key);
		sl_kw_cstr(&w, value);
	}
	sl_kw_i32(&w, 1000);
	sl_kw_bool(&w, false);
	struct sl_kr r = ask(f, &w);
	sl_kr_i32(&r); /* throttle */
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_str(&r);
	return sl_kr_i16(&r);
}

/* IncrementalAlterConfigs v0 of one setting; its error. */
static int16_t alter(struct fix *f, const char *topic, const char *key, int8_t op,
		     const char *value)
{
	struct sl_kw w;
	rig_begin(&w, 44, 0, 1);
	sl_kw_array(&w, 1);
	sl_kw_i8(&w, 2);
	sl_kw_cstr(&w, topic);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, key);
	sl_kw_i8(&w, op);
	sl_kw_cstr(&w, value);
	sl_kw_bool(&w, false);
	struct sl_kr r = ask(f, &w);
	sl_kr_i32(&r); /* throttle */
	assert_int_equal(sl_kr_array(&r, 1), 1);
	return sl_kr_i16(&r);
}

struct seen { /* a setting as DescribeConfigs shows it */
	char value[64];
	int8_t source;
	bool read_only;
	uint32_t syns;
	int8_t syn_source[4];
	char syn_name[4][48], syn_value[4][48];
};

static void copy(char *to, size_t cap, struct sl_slice s)
{
	assert_true(s.len < cap);
	memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

/* DescribeConfigs v1 of one setting, with synonyms. */
static struct seen see(struct fix *f, const char *topic, const char *key)
{
	struct seen x = {0};
	struct sl_kw w;
	rig_begin(&w, 32, 1, 1);
	sl_kw_array(&w, 1);
	sl_kw_i8(&w, 2);
	sl_kw_cstr(&w, topic);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, key);
	sl_kw_bool(&w, true);
	struct sl_kr r = ask(f, &w);
	sl_kr_i32(&r); /* throttle */
	assert_int_equal(sl_kr_array(&r, 1), 1);
	assert_int_equal(sl_kr_i16(&r), 0);
	sl_kr_nstr(&r);
	sl_kr_i8(&r);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_array(&r, 1), 1);
	sl_kr_str(&r);
	copy(x.value, sizeof(x.value), sl_kr_nstr(&r));
	x.read_only = sl_kr_bool(&r);
	x.source = sl_kr_i8(&r);
	sl_kr_bool(&r);
	x.syns = sl_kr_array(&r, 1);
	assert_true(x.syns <= 4);
	for (uint32_t i = 0; i < x.syns; i++) {
		copy(x.syn_name[i], sizeof(x.syn_name[i]), sl_kr_str(&r));
		copy(x.syn_value[i], sizeof(x.syn_value[i]), sl_kr_nstr(&r));
		x.syn_source[i] = sl_kr_i8(&r);
	}
	assert_false(r.rd.bad);
	assert_int_equal(sl_rd_left(&r.rd), 0);
	return x;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void test_table(void **state)
{
	uint32_t cnt, found = 0;
	const struct sl_topic_setting *x = sl_topic_settings(&cnt);
	(void)state;
	for (uint32_t i = 1; i < sl_ktopic_setting_cnt(); i++)
		assert_true(strcmp(sl_ktopic_setting_name(i - 1), sl_ktopic_setting_name(i)) < 0);
	for (uint32_t i = 1; i < sl_kbroker_setting_cnt(); i++)
		assert_true(strcmp(sl_kbroker_setting_name(i - 1), sl_kbroker_setting_name(i)) < 0);
	for (uint32_t i = 0; i < cnt; i++) {
		struct sl_slice topic = {(const uint8_t *)x[i].name, (uint32_t)strlen(x[i].name)};
		found += sl_ktopic_setting_row(topic) >= 0;
		if (!x[i].broker) /* ours: it must not look like one of Kafka's */
			assert_memory_equal(x[i].name, "sluice.", 7);
		else
			assert_true(sl_kbroker_setting_row(
					    (struct sl_slice){(const uint8_t *)x[i].broker,
							      (uint32_t)strlen(x[i].broker)}) >= 0);
	}
	assert_int_equal(found, cnt);
}

/* Each setting can be set to what it is; those without effect to nothing else, and stay unset. */
static void test_every_setting(void **state)
{
	struct fix *f = *state;
	rig_topic(&f->r, "t", NULL);
	for (uint32_t i = 0; i < sl_ktopic_setting_cnt(); i++) {
		const char *name = sl_ktopic_setting_name(i);
		struct seen was = see(f, "t", name);
		assert_int_equal(alter(f, "t", name, 0, was.value), 0);
		struct seen now = see(f, "t", name);
		assert_string_equal(now.value, was.value);
		assert_int_equal(now.source, was.read_only ? was.source : 1);
		assert_int_equal(alter(f, "t", name, 0, "beside the point"), 40);
		if (was.read_only)
			assert_int_equal(alter(f, "t", name, 0, "77"), 40);
		assert_int_equal(alter(f, "t", name, 1, NULL), 0);
		assert_int_equal(see(f, "t", name).source, was.source);
	}
}

static void test_refused_values(void **state)
{
	static const struct {
		const char *key, *value;
		int16_t err;
	} rows[] = {
		{"cleanup.policy", "compact", 40},
		{"cleanup.policy", "delete,compact", 40},
		{"cleanup.policy", "", 40},
		{"retention.ms", "-2", 40},
		{"retention.ms", "9223372036854775808", 40},
		{"retention.ms", "1 000", 40},
		{"retention.ms", " 1000 ", 0},
		{"segment.bytes", "1048575", 40},
		{"segment.bytes", "1048576", 40}, /* smaller than max.message.bytes */
		{"segment.bytes", "1048588", 0},
		{"max.message.bytes", "2097152", 40}, /* larger than that */
		{"min.insync.replicas", "2", 40},
		{"min.insync.replicas", "1", 0},
		{"unclean.leader.election.enable", "TRUE", 40},
		{"unclean.leader.election.enable", "False", 0},
		{"flush.messages", "1", 40},
		{"flush.ms", "1000", 0},
		{"message.timestamp.type", "logappendtime", 40},
		{"compression.type", "brotli", 40},
		{"no.such", "1", 40},
		{"", "1", 40},
		{"retention.ms", NULL, 42},
	};
	struct fix *f = *state;
	rig_topic(&f->r, "t", NULL);
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		print_message("%s=%s\n", rows[i].key, rows[i].value ? rows[i].value : "null");
		assert_int_equal(alter(f, "t", rows[i].key, 0, rows[i].value), rows[i].err);
	}
	assert_int_equal(alter(f, "t", "cleanup.policy", 2, "compact"), 40);
	assert_int_equal(alter(f, "t", "cleanup.policy", 2, "delete"), 0);
	assert_int_equal(alter(f, "t", "cleanup.policy", 3, "compact"), 0);
	assert_int_equal(alter(f, "t", "cleanup.policy", 3, "delete"), 40);
	assert_int_equal(alter(f, "t", "retention.ms", 2, "1"), 40);
	assert_int_equal(alter(f, "t", "retention.ms", 4, "1"), 42);
	assert_int_equal(alter(f, "t", "retention.ms", -1, "1"), 42);
	assert_int_equal(alter(f, "nobody", "no.such", 0, "1"), 40); /* before the topic */
	assert_int_equal(alter(f, "nobody", "retention.ms", 0, "1"), 3);
	assert_int_equal(alter(f, "no/body", "retention.ms", 0, "1"), 17);
	char *big = calloc(1, 1025);
	memset(big, ',', 1024);
	assert_int_equal(alter(f, "t", "cleanup.policy", 2, big), 0); /* nothing but commas */
	memset(big, 'x', 1024);
	assert_int_equal(alter(f, "t", "cleanup.policy", 2, big), 40);
	free(big);
}

/* ---- the file and the admin ------------------------------------------------------------------ */

static void name_in_file(struct fix *f, const char *topic, int64_t retention_ms)
{
	struct sl_cfg_topic *t = &f->r.config->topic[f->r.config->topic_cnt++];
	uint32_t cnt;
	const struct sl_topic_setting *x = sl_topic_setting_find("retention.ms", 12);
	snprintf(t->name, sizeof(t->name), "%s", topic);
	sl_topic_cfg_defaults(&t->cfg);
	t->cfg.retention_ms = retention_ms;
	t->partitions = 3;
	t->set = sl_topic_setting_bit((uint32_t)(x - sl_topic_settings(&cnt)));
}

/* The file's value holds until one is set here, and again when that is deleted. */
static void test_layers(void **state)
{
	struct fix *f = *state;
	name_in_file(f, "filed", 5000);
	f->r.server.topic_defaults.retention_bytes = 777;
	assert_int_equal(create(f, "filed", -1, -1, NULL, NULL), 0);
	struct sl_topic *t = sl_store_topic_find(f->r.store, "filed", 5);
	assert_int_equal(sl_topic_partitions(t), 3);
	sl_topic_put(t);
	struct seen x = see(f, "filed", "retention.ms");
	assert_string_equal(x.value, "5000");
	assert_int_equal(x.source, 4);
	assert_int_equal(alter(f, "filed", "retention.ms", 0, "9000"), 0);
	x = see(f, "filed", "retention.ms");
	assert_string_equal(x.value, "9000");
	assert_int_equal(x.source, 1);
	assert_int_equal(x.syns, 2); /* own, the file's; Kafka has no default under this name */
	assert_string_equal(x.syn_value[0], "9000");
	assert_string_equal(x.syn_value[1], "5000");
	assert_int_equal(x.syn_source[1], 4);
	assert_int_equal(alter(f, "filed", "retention.ms", 1, NULL), 0);
	assert_string_equal(see(f, "filed", "retention.ms").value, "5000");
	/* another one: the file speaks of all topics */
	assert_int_equal(create(f, "other", 1, 1, NULL, NULL), 0);
	x = see(f, "other", "retention.bytes");
	assert_string_equal(x.value, "777");
	assert_int_equal(x.source, 4);
	assert_int_equal(x.syns, 2);
	assert_string_equal(x.syn_name[0], "log.retention.bytes");
	assert_string_equal(x.syn_value[1], "-1");
	assert_int_equal(x.syn_source[1], 5);
	assert_int_equal(see(f, "other", "retention.ms").source, 5);
}

/* acks=all at the centre is for topics that an uplink carries; what has become impossible since
 * does not stand in the way of other settings, nor of taking it back. */
static void test_central(void **state)
{
	static const char key[] = "sluice.acks.all";
	struct fix *f = *state;
	struct sl_config *c = f->r.config;
	rig_topic(&f->r, "t", NULL);
	struct seen x = see(f, "t", key);
	assert_string_equal(x.value, "synced");
	assert_int_equal(x.source, 5);
	assert_int_equal(x.syns, 0); /* Kafka's brokers have no default for it */
	assert_false(x.read_only);
	assert_int_equal(alter(f, "t", key, 0, "central"), 40);
	assert_int_equal(alter(f, "t", key, 0, "Central"), 40);
	assert_int_equal(alter(f, "t", key, 0, "synced"), 0);
	snprintf(c->uplink.bootstrap, sizeof(c->uplink.bootstrap), "central:9092");
	snprintf(c->uplink.topic[0], sizeof(c->uplink.topic[0]), "t");
	c->uplink.topic_cnt = 1;
	assert_int_equal(alter(f, "t", key, 0, "central"), 0);
	x = see(f, "t", key);
	assert_string_equal(x.value, "central");
	assert_int_equal(x.source, 1);
	assert_int_equal(create(f, "u", 1, 1, key, "central"), 40);
	c->uplink.all_topics = true;
	assert_int_equal(create(f, "u", 1, 1, key, "central"), 0);
	assert_string_equal(see(f, "u", key).value, "central");
	c->uplink.bootstrap[0] = '\0';
	assert_int_equal(alter(f, "t", "retention.ms", 0, "5000"), 0);
	assert_int_equal(alter(f, "t", key, 1, NULL), 0);
	assert_string_equal(see(f, "t", key).value, "synced");
	assert_int_equal(alter(f, "t", key, 0, "central"), 40);
}

/* ---- settings at work ------------------------------------------------------------------------ */

struct answer {
	int16_t err;
	int64_t append_time;
};

static struct answer produce(struct fix *f, const uint8_t *batch, uint32_t len)
{
	struct sl_kr r = {0};
	struct answer a;
	rig_send_produce(&f->c, 1, 1, "t", 0, batch, len);
	size_t n = rig_take(&f->c, f->out, OUT_MAX);
	sl_rd_init(&r.rd, f->out + 4, n - 4);
	sl_kr_i32(&r);
	sl_kr_array(&r, 1);
	sl_kr_str(&r);
	sl_kr_array(&r, 1);
	sl_kr_i32(&r);
	a.err = sl_kr_i16(&r);
	sl_kr_i64(&r);
	a.append_time = sl_kr_i64(&r);
	assert_false(r.rd.bad);
	return a;
}

/* The last batch of t-0 as it is stored. */
static const uint8_t *stored(struct fix *f, uint8_t *buf, uint32_t cap)
{
	struct sl_topic *t = sl_store_topic_find(f->r.store, "t", 1);
	struct sl_part *p = sl_topic_part(t, 0);
	struct sl_read rd = {.offset = sl_part_end(p) - 1,
			     .max_bytes = cap,
			     .at_least_one = true,
			     .buf = buf,
			     .cap = cap,
			     .max_offset = INT64_MAX};
	assert_int_equal(sl_store_read(p, &rd), 0);
	sl_topic_put(t);
	return buf;
}

static void test_changes_hold_at_once(void **state)
{
	struct fix *f = *state;
	uint8_t b[4096], s[4096];
	rig_topic(&f->r, "t", NULL);
	uint32_t len = rig_batch(b, sizeof(b), 4, 200, RIG_WALL_MS - 10000);

	assert_int_equal(produce(f, b, len).err, 0);
	assert_int_equal(alter(f, "t", "max.message.bytes", 0, "500"), 0);
	assert_int_equal(produce(f, b, len).err, SL_KERR_MESSAGE_TOO_LARGE);
	assert_int_equal(alter(f, "t", "max.message.bytes", 1, NULL), 0);
	assert_int_equal(produce(f, b, len).err, 0);

	assert_int_equal(alter(f, "t", "message.timestamp.before.max.ms", 0, "9000"), 0);
	assert_int_equal(produce(f, b, len).err, SL_KERR_INVALID_TIMESTAMP);
	assert_int_equal(alter(f, "t", "message.timestamp.before.max.ms", 0, "11000"), 0);
	assert_int_equal(produce(f, b, len).err, 0);
	len = rig_batch(b, sizeof(b), 4, 200, RIG_WALL_MS + 10000);
	assert_int_equal(produce(f, b, len).err, 0);
	assert_int_equal(alter(f, "t", "message.timestamp.after.max.ms", 0, "9000"), 0);
	assert_int_equal(produce(f, b, len).err, SL_KERR_INVALID_TIMESTAMP);

	assert_int_equal(alter(f, "t", "message.timestamp.type", 0, "LogAppendTime"), 0);
	struct answer a = produce(f, b, len); /* now the window does not matter */
	assert_int_equal(a.err, 0);
	assert_int_equal(a.append_time, f->r.wall_ms);
	stored(f, s, sizeof(s));
	assert_true(sl_batch_attrs(s) & SL_ATTR_LOG_APPEND_TIME);
	assert_int_equal(sl_batch_max_ts(s), f->r.wall_ms);
	assert_int_equal(alter(f, "t", "message.timestamp.type", 1, NULL), 0);

	len = rig_batch(b, sizeof(b), 4, 200, RIG_WALL_MS);
	assert_int_equal(alter(f, "t", "compression.type", 0, "lz4"), 0);
	assert_int_equal(produce(f, b, len).err, 0);
	stored(f, s, sizeof(s));
	assert_int_equal(sl_batch_attrs(s) & SL_ATTR_CODEC_MASK, SL_CODEC_LZ4);
	assert_int_equal(alter(f, "t", "compression.type", 0, "uncompressed"), 0);
	assert_int_equal(produce(f, b, len).err, 0);
	stored(f, s, sizeof(s));
	assert_int_equal(sl_batch_attrs(s) & SL_ATTR_CODEC_MASK, SL_CODEC_NONE);
}

/* ---- what the store says --------------------------------------------------------------------- */

static void test_store_errors(void **state)
{
	static const struct {
		int err;
		int16_t code;
	} creates[] = {{-EMFILE, SL_KERR_POLICY_VIOLATION},
		       {-ENOSPC, SL_KERR_KAFKA_STORAGE_ERROR},
		       {-EIO, SL_KERR_KAFKA_STORAGE_ERROR},
		       {-EEXIST, SL_KERR_TOPIC_ALREADY_EXISTS},
		       {-ENOMEM, SL_KERR_UNKNOWN_SERVER_ERROR}},
	  sets[] = {{-EIO, SL_KERR_KAFKA_STORAGE_ERROR},
		    {-EINVAL, SL_KERR_INVALID_CONFIG},
		    {-ENOENT, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION}};
	struct fix *f = *state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(creates); i++) {
		fake_store_cfg(f->r.store)->create_err = creates[i].err;
		assert_int_equal(create(f, "x", 1, 1, NULL, NULL), creates[i].code);
	}
	fake_store_cfg(f->r.store)->create_err = 0;
	rig_topic(&f->r, "t", NULL);
	for (size_t i = 0; i < SL_ARRAY_SIZE(sets); i++) {
		fake_store_cfg(f->r.store)->own_set_err = sets[i].err;
		assert_int_equal(alter(f, "t", "retention.ms", 0, "1"), sets[i].code);
	}
}

static void test_create_limits(void **state)
{
	struct fix *f = *state;
	assert_int_equal(create(f, "a", SL_PARTITIONS_MAX + 1, 1, NULL, NULL), 37);
	assert_int_equal(atomic_load(&f->r.server.counters.admin_errors), 1);
	assert_int_equal(create(f, "a", 10001, 1, NULL, NULL), 44);
	assert_int_equal(create(f, "a", INT32_MAX, 1, NULL, NULL), 44);
	assert_int_equal(create(f, "a", INT32_MIN, 1, NULL, NULL), 37);
	assert_int_equal(create(f, "a", 1, 3, NULL, NULL), 38);
	f->r.server.cfg.clamp_replication = true;
	assert_int_equal(create(f, "a", 1, 3, NULL, NULL), 0);
	assert_int_equal(create(f, "a", 1, 1, NULL, NULL), 36);
	assert_int_equal(create(f, "__consumer_offsets", 1, 1, NULL, NULL), 42);
	assert_int_equal(create(f, "..", 1, 1, NULL, NULL), 17);
	assert_int_equal(create(f, "a.b", 1, 1, NULL, NULL), 0);
	assert_int_equal(create(f, "a_b", 1, 1, NULL, NULL), 17);
	assert_int_equal(create(f, "b", 1, 1, "retention.ms", NULL), 40);
	assert_int_equal(create(f, "b", 1, 1, "segment.bytes", "1048576"), 40);
}

/* The gateway's own topic is not for clients to change. */
static void test_internal_topic(void **state)
{
	struct fix *f = *state;
	struct sl_kw w;
	rig_topic(&f->r, "__consumer_offsets", NULL);
	assert_int_equal(alter(f, "__consumer_offsets", "retention.ms", 0, "1"), 44);
	rig_begin(&w, 20, 1, 1); /* DeleteTopics */
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "__consumer_offsets");
	sl_kw_i32(&w, 1000);
	struct sl_kr r = ask(f, &w);
	sl_kr_i32(&r);
	sl_kr_array(&r, 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_i16(&r), 17);
	rig_begin(&w, 37, 0, 1); /* CreatePartitions */
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "__consumer_offsets");
	sl_kw_i32(&w, 9);
	sl_kw_null_array(&w);
	sl_kw_i32(&w, 1000);
	sl_kw_bool(&w, false);
	r = ask(f, &w);
	sl_kr_i32(&r);
	sl_kr_array(&r, 1);
	sl_kr_str(&r);
	assert_int_equal(sl_kr_i16(&r), 17);
}

/* DeleteRecords v0 of one partition. */
static int16_t delete_records(struct fix *f, const char *topic, int64_t offset, int64_t *ret_low)
{
	struct sl_kw w;
	rig_begin(&w, 21, 0, 1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, topic);
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_i64(&w, offset);
	sl_kw_i32(&w, 1000);
	struct sl_kr r = ask(f, &w);
	sl_kr_i32(&r);
	sl_kr_array(&r, 1);
	sl_kr_str(&r);
	sl_kr_array(&r, 1);
	sl_kr_i32(&r);
	*ret_low = sl_kr_i64(&r);
	return sl_kr_i16(&r);
}

static void test_delete_records(void **state)
{
	struct fix *f = *state;
	uint8_t b[4096];
	int64_t low;
	rig_topic(&f->r, "t", NULL);
	rig_topic(&f->r, "__consumer_offsets", NULL);
	uint32_t len = rig_batch(b, sizeof(b), 10, 10, RIG_WALL_MS);
	assert_int_equal(produce(f, b, len).err, 0);
	assert_int_equal(delete_records(f, "t", 4, &low), 0); /* amid a batch */
	assert_int_equal(low, 4);
	assert_int_equal(delete_records(f, "t", 2, &low), 0); /* gone before */
	assert_int_equal(low, 4);
	assert_int_equal(delete_records(f, "t", 11, &low), 1);
	assert_int_equal(low, -1);
	assert_int_equal(delete_records(f, "t", -2, &low), 1);
	assert_int_equal(delete_records(f, "t", INT64_MIN, &low), 1);
	assert_int_equal(delete_records(f, "t", -1, &low), 0);
	assert_int_equal(low, 10);
	assert_int_equal(delete_records(f, "nobody", 0, &low), 3);
	assert_int_equal(delete_records(f, "__consumer_offsets", 0, &low), 17);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

struct shape { /* an API whose body begins with an array; what comes before it */
	int16_t key, version;
	uint8_t before;
	bool flex;
	uint32_t elem; /* least bytes of an element */
};

static const struct shape shapes[] = {
	{19, 2, 0, false, 16}, {19, 7, 0, true, 10}, {20, 1, 0, false, 2}, {20, 6, 0, true, 18},
	{21, 0, 0, false, 6},  {21, 2, 0, true, 3},  {32, 1, 0, false, 7}, {32, 4, 0, true, 4},
	{33, 0, 0, false, 7},  {33, 2, 0, true, 4},  {35, 1, 0, false, 6}, {35, 4, 0, true, 3},
	{37, 0, 0, false, 10}, {37, 3, 0, true, 7},  {44, 0, 0, false, 7}, {44, 1, 0, true, 4},
	{46, 0, 4, true, 3},   {48, 0, 0, false, 5}, {48, 1, 0, true, 4},
};

/* Counts beyond what the bytes can hold, bodies that end early: closed and counted. */
static void test_counts_and_cuts(void **state)
{
	static const uint32_t counts[] = {1, 2, 1000, 16385, 0x7ffffffe, 0x7fffffff};
	struct fix *f = *state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(shapes); i++) {
		const struct shape *s = &shapes[i];
		struct sl_kw w;
		rig_begin(&w, s->key, s->version, 1); /* nothing at all */
		rig_send(&f->c, &w);
		expect_closed(f);
		for (size_t k = 0; k < SL_ARRAY_SIZE(counts); k++) {
			rig_begin(&w, s->key, s->version, 1);
			for (uint8_t b = 0; b < s->before; b++)
				sl_kw_i8(&w, 0);
			sl_kw_array(&w, counts[k]);
			for (uint32_t b = 1; b < s->elem; b++) /* a byte less than one element */
				sl_kw_i8(&w, 0);
			rig_send(&f->c, &w);
			expect_closed(f);
		}
	}
}

/* More elements than a request may name, with all their bytes. */
static void test_too_many(void **state)
{
	struct fix *f = *state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(shapes); i++) {
		const struct shape *s = &shapes[i];
		struct sl_kw w;
		rig_begin(&w, s->key, s->version, 1);
		for (uint8_t b = 0; b < s->before; b++)
			sl_kw_i8(&w, 0);
		sl_kw_array(&w, SL_KREQ_TOPICS_MAX + 1);
		for (uint32_t b = 0; b < (SL_KREQ_TOPICS_MAX + 1) * s->elem + 16; b++)
			sl_kw_i8(&w, 0);
		rig_send(&f->c, &w);
		expect_closed(f);
	}
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Two connections change one topic: one after the other, none is lost. */
static void test_changes_take_turns(void **state)
{
	static const char *const key[] = {"retention.ms", "segment.ms"};
	struct fix *f = *state;
	struct rig_conn c[2];
	struct sl_topic_cfg cfg;
	struct sl_topic *t = rig_topic(&f->r, "t", NULL);
	for (int i = 0; i < 2; i++) {
		struct sl_kw w;
		rig_open(&f->r, &c[i]);
		rig_begin(&w, 44, 0, 1);
		sl_kw_array(&w, 1);
		sl_kw_i8(&w, 2);
		sl_kw_cstr(&w, "t");
		sl_kw_array(&w, 1);
		sl_kw_cstr(&w, key[i]);
		sl_kw_i8(&w, 0);
		sl_kw_cstr(&w, "4242");
		sl_kw_bool(&w, false);
		sl_put_be32(w.buf, w.len - 4);
		/* not settled: both are under way */
		assert_int_equal(sl_kconn_input(c[i].c, w.buf, w.len), w.len);
		sl_kw_fini(&w);
	}
	rig_close(&c[0]); /* who leaves is served all the same */
	rig_settle(&f->r);
	sl_topic_cfg_get(t, &cfg);
	assert_int_equal(cfg.retention_ms, 4242);
	assert_int_equal(cfg.segment_ms, 4242);
	assert_true(rig_take(&c[1], f->out, OUT_MAX) > 0);
	rig_close(&c[1]);
}

/* The stop's time is up: what waits ends without doing anything. */
static void test_cancelled(void **state)
{
	struct fix *f = *state;
	struct sl_kw w;
	sl_kserver_cancel(&f->r.server);
	rig_begin(&w, 19, 4, 1);
	sl_kw_array(&w, 1);
	put_topic(&w, "late", 1, 1);
	sl_kw_array(&w, 0);
	sl_kw_i32(&w, 1000);
	sl_kw_bool(&w, false);
	rig_send(&f->c, &w);
	assert_int_equal(rig_take(&f->c, f->out, OUT_MAX), 0);
	assert_null(sl_store_topic_find(f->r.store, "late", 4));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_table),
		T(test_every_setting),
		T(test_refused_values),
		T(test_layers),
		T(test_central),
		T(test_changes_hold_at_once),
		T(test_store_errors),
		T(test_create_limits),
		T(test_internal_topic),
		T(test_delete_records),
		T(test_counts_and_cuts),
		T(test_too_many),
		T(test_changes_take_turns),
		T(test_cancelled),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
