/* SPDX-License-Identifier: Apache-2.0 */
/* Settings in two layers, growth, epochs, references: what is not deleting. */
#include "platform/base/topic_cfg.h"
#include "test_util.h"

#include <pthread.h>

static uint32_t bit_of(const char *name)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_setting_find(name, strlen(name));

	assert_non_null(row);
	return sl_topic_setting_bit((uint32_t)(row - sl_topic_settings(&cnt)));
}

static struct sl_topic *get(struct tu *t, const char *name)
{
	struct sl_topic *x = sl_store_topic_find(t->s, name, strlen(name));

	assert_non_null(x);
	sl_topic_put(x); /* the store has one, and nobody deletes here unless it says so */
	return x;
}

static struct sl_topic *make(struct tu *t, const char *name, uint32_t parts)
{
	assert_int_equal(sl_store_topic_create(t->s, name, parts, NULL, NULL), 0);
	return get(t, name);
}

static int64_t retention(const struct sl_topic *x)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_get(x, &cfg);
	return cfg.retention_ms;
}

static char *read_topics(struct tu *t, size_t *ret_len)
{
	char path[400], *text = calloc(1, 65536);
	snprintf(path, sizeof(path), "%s/state/topics", t->data);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	*ret_len = fread(text, 1, 65535, f);
	fclose(f);
	return text;
}

/* The lines given, with header and checksum. */
static void write_topics(struct tu *t, int format, const char *lines)
{
	char path[400], text[8192];
	int n = snprintf(text, sizeof(text), "sluice-topics %d\n%s", format, lines);

	n += snprintf(text + n, sizeof(text) - (size_t)n, "end %08x\n", sl_crc32c(text, (size_t)n));
	snprintf(path, sizeof(path), "%s/state/topics", t->data);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, (size_t)n, f), n);
	fclose(f);
}

/* ---- settings ------------------------------------------------------------------------------ */

static void layers(void **state)
{
	struct tu t;
	struct sl_topic_layers l = {0}, got;
	struct sl_topic_cfg own;
	struct sl_topic *x;
	size_t len;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	sl_topic_cfg_defaults(&l.base);
	l.base.retention_ms = 1000;
	l.base_set = bit_of("retention.ms");
	l.own = l.base;
	l.own.segment_bytes = 2 << 20;
	l.own_set = bit_of("segment.bytes");
	assert_int_equal(sl_store_topic_create(t.s, "a", 1, &l, &x), 0);
	sl_topic_layers_get(x, &got);
	assert_int_equal(got.base_set, l.base_set);
	assert_int_equal(got.own_set, l.own_set);
	assert_int_equal(retention(x), 1000);
	/* own wins, setting by setting */
	own = l.own;
	own.retention_ms = 5000;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("retention.ms")), 0);
	sl_topic_cfg_get(x, &own);
	assert_int_equal(own.retention_ms, 5000);
	assert_int_equal(own.segment_bytes, l.base.segment_bytes); /* not named any more */
	/* and nothing is taken that is out of range */
	own.retention_ms = -2;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("retention.ms")), -EINVAL);
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, 1u << 31), -EINVAL);
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, 0), 0); /* not looked at then */
	own.retention_ms = 5000;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("retention.ms")), 0);
	sl_topic_put(x);
	tu_close(&t, true);
	char *text = read_topics(&t, &len);
	assert_non_null(strstr(text, " 1 retention.ms=5000\n"));
	assert_null(strstr(text, "segment.bytes"));
	free(text);
	/* a start: the base is given anew, the own layer was kept */
	tu_open(&t);
	x = get(&t, "a");
	assert_int_equal(retention(x), 5000);
	l.base.retention_ms = 7000;
	l.base.segment_bytes = 4 << 20;
	assert_int_equal(sl_topic_base_set(x, &l.base, l.base_set), 0);
	assert_int_equal(retention(x), 5000);
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, 0), 0); /* deleted there */
	assert_int_equal(retention(x), 7000);
	sl_topic_cfg_get(x, &own);
	assert_int_equal(own.segment_bytes, 4 << 20);
	l.base.segment_ms = 0;
	assert_int_equal(sl_topic_base_set(x, &l.base, 0), -EINVAL);
	assert_int_equal(retention(x), 7000);
	tu_fini(&t);
}

#define V1(extra)                                                                                  \
	" retention.bytes=-1 segment.bytes=67108864 segment.ms=604800000"                          \
	" max.message.bytes=1048588 index.interval.bytes=4096"                                     \
	" message.timestamp.before.max.ms=9223372036854775807"                                     \
	" message.timestamp.after.max.ms=9223372036854775807 message.timestamp.type=0" extra "\n"

/* Files from before have all settings of a topic and no mask. */
static void file_without_masks(void **state)
{
	struct tu t;
	struct sl_topic_layers got;
	struct sl_topic_cfg base;
	char lines[4096], id[2][SL_UUID_TEXT];
	size_t len;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	sl_uuid_text(sl_topic_id(make(&t, "a", 1)), id[0]);
	sl_uuid_text(sl_topic_id(make(&t, "b", 2)), id[1]);
	tu_close(&t, true);
	snprintf(
		lines, sizeof(lines),
		"topic a %s 1 retention.ms=-1" V1(
			" compression.type=3 compact=0") "topic b %s 2 retention.ms=5" V1(" compres"
											  "sion."
											  "type=-1 "
											  "compact="
											  "0"),
		id[0], id[1]);
	write_topics(&t, 1, lines);
	for (int start = 0; start < 2; start++) { /* a start that was killed changes nothing */
		tu_open(&t);
		assert_int_equal(retention(get(&t, "a")), -1);
		assert_int_equal(retention(get(&t, "b")), 5);
		if (start == 0)
			tu_close(&t, false);
	}
	/* a is in the config file, which has said nothing of retention for a while; b is not */
	sl_topic_cfg_defaults(&base);
	base.compression = SL_CODEC_ZSTD;
	assert_int_equal(sl_topic_base_set(get(&t, "a"), &base, bit_of("compression.type")), 0);
	sl_topic_layers_get(get(&t, "a"), &got);
	assert_int_equal(got.own_set, bit_of("retention.ms")); /* it keeps the data */
	sl_topic_cfg_get(get(&t, "a"), &base);
	assert_int_equal(base.compression, SL_CODEC_ZSTD);
	assert_int_equal(base.retention_ms, -1);
	sl_topic_cfg_defaults(&base);
	base.retention_ms = 5;
	assert_int_equal(sl_topic_base_set(get(&t, "b"), &base, 0), 0);
	sl_topic_layers_get(get(&t, "b"), &got);
	assert_int_equal(got.own_set, 0); /* what the base says as well is the base's */
	tu_close(&t, false);
	char *text = read_topics(&t, &len);
	assert_ptr_equal(strstr(text, "sluice-topics 2\n"), text);
	assert_non_null(strstr(text, " 1 retention.ms=-1\n"));
	assert_null(strstr(text, "unlayered"));
	free(text);
	tu_open(&t);
	sl_topic_cfg_defaults(&base);
	base.retention_ms = 9; /* what changes in the file now is in force for b, not for a */
	assert_int_equal(sl_topic_base_set(get(&t, "a"), &base, bit_of("retention.ms")), 0);
	assert_int_equal(sl_topic_base_set(get(&t, "b"), &base, bit_of("retention.ms")), 0);
	assert_int_equal(retention(get(&t, "a")), -1);
	assert_int_equal(retention(get(&t, "b")), 9);
	tu_fini(&t);
}

/* Bad lines make the file damaged: the directories tell then. Unknown settings do not. */
static void lines(void **state)
{
	static const struct {
		const char *tail;
		bool good;
	} cases[] = {
		{" 1\n", true},
		{" 1 cleanup.policy=compact\n", true},
		{" 1 some.later.setting=7 retention.ms=8\n", true},
		{" 1 retention.ms=x\n", false},
		{" 1 retention.ms=-2\n", false},
		{" 1 retention.ms\n", false},
		{" 0\n", false},
		{" 5000\n", false},
		{"\n", false},
	};
	struct tu t;
	char text[512], id[SL_UUID_TEXT];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	sl_uuid_text(sl_topic_id(make(&t, "a", 1)), id);
	tu_close(&t, true);
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_topic_layers l;
		snprintf(text, sizeof(text), "topic a %s%s", id, cases[i].tail);
		write_topics(&t, 2, text);
		tu_open(&t);
		sl_topic_layers_get(get(&t, "a"), &l);
		assert_int_equal(sl_topic_partitions(get(&t, "a")), 1);
		if (i == 1)
			assert_true(l.own.compact && l.own_set == bit_of("cleanup.policy"));
		if (i == 2)
			assert_true(l.own.retention_ms == 8 && l.own_set == bit_of("retention.ms"));
		if (!cases[i].good)
			assert_int_equal(l.own_set, 0);
		tu_close(&t, true);
	}
	tu_fini(&t);
}

static uint32_t segments(struct sl_part *p)
{
	pthread_mutex_lock(&p->lock);
	uint32_t n = p->seg_cnt;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* In force at once: the next append rolls, is refused; retention runs without its timer. */
static void at_once(void **state)
{
	static uint8_t buf[TU_BATCH_CAP];
	struct tu t;
	struct sl_topic_cfg own;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.retention_check_ms = 3600 * 1000;
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "a", 1, NULL);
	struct sl_topic *x = p->pub.topic;
	sl_topic_cfg_get(x, &own);
	for (int i = 0; i < 30; i++)
		tu_append(&t, p, 1, 100000, (uint64_t)i, SL_ACK_LOGGED);
	assert_int_equal(segments(p), 1); /* 3 MB */
	own.segment_bytes = 1 << 20;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("segment.bytes")), 0);
	tu_append(&t, p, 1, 100000, 30, SL_ACK_SYNCED);
	for (int i = 0; segments(p) < 2 && i < 20000; i++)
		tu_pump(&t);
	assert_int_equal(p->segs[1]->base, 30);
	/* longer than allowed now */
	own.max_message_bytes = 50000;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("max.message.bytes")), 0);
	struct sl_append a = {.part = p, .batch = buf, .records = 1, .producer_id = -1};
	a.len = tu_batch(buf, 1, 100000, 1, t.now_ms);
	a.max_ts_ms = t.now_ms;
	assert_int_equal(tu_append_raw(&t, &a), -EMSGSIZE);
	/* by time: a record of two seconds later rolls a segment of one second */
	own.segment_ms = 1000;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("segment.ms")), 0);
	t.now_ms += 2000;
	tu_append(&t, p, 1, 1000, 31, SL_ACK_SYNCED);
	for (int i = 0; segments(p) < 3 && i < 20000; i++)
		tu_pump(&t);
	assert_int_equal(p->segs[2]->base, 31);
	/* retention is asked for, not waited for */
	own.retention_ms = 1000;
	tu_sync(&t, p);
	t.now_ms += 5000;
	assert_int_equal(sl_store_topic_own_set(t.s, x, &own, bit_of("retention.ms")), 0);
	for (int i = 0; sl_part_start(p) < 31 && i < 20000; i++)
		tu_pump(&t);
	assert_true(sl_part_start(p) >= 31);
	tu_fini(&t);
}

/* Neither retention nor the budget takes what the gateway itself keeps. */
static void internal_topics_stay(void **state)
{
	struct tu t;
	struct sl_topic_cfg cfg;
	struct sl_store_stats st;
	(void)state;

	tu_init(&t, NULL, NULL);
	t.cfg.budget_bytes = 24u << 20;
	tu_open(&t);
	sl_topic_cfg_defaults(&cfg);
	cfg.segment_bytes = 1 << 20;
	cfg.retention_ms = 1000;
	cfg.retention_bytes = 1;
	struct sl_part *in = tu_topic(&t, "__consumer_offsets", 1, &cfg);
	cfg.retention_ms = cfg.retention_bytes = -1;
	struct sl_part *p = tu_topic(&t, "a", 1, &cfg);
	for (int i = 0; i < 40; i++)
		tu_append(&t, in, 1, 100000, (uint64_t)i, SL_ACK_SYNCED);
	t.now_ms += 3600 * 1000;
	for (int i = 0; i < 400; i++)
		tu_append(&t, p, 1, 100000, (uint64_t)i, SL_ACK_SYNCED);
	tu_sync(&t, p);
	for (int i = 0; i < 100; i++)
		tu_pump(&t);
	assert_int_equal(sl_part_start(in), 0);
	assert_true(sl_part_start(p) > 0);
	sl_store_stats(t.s, &st);
	assert_int_equal(st.expired_segments, 0);
	assert_true(st.evicted_segments > 0);
	tu_fini(&t);
}

/* ---- growing ------------------------------------------------------------------------------- */

struct looker {
	struct sl_topic *x;
	_Atomic bool stop;
	uint32_t wrong;
};

static void *look(void *arg)
{
	struct looker *l = arg;

	while (!atomic_load(&l->stop)) {
		uint32_t n = sl_topic_partitions(l->x);
		for (uint32_t i = 0; i < n; i++) {
			const struct sl_part *p = sl_topic_part(l->x, (int32_t)i);
			l->wrong += !p || p->pub.id != (int32_t)i || p->pub.topic != l->x;
		}
		l->wrong += sl_topic_part(l->x, -1) != NULL;
	}
	return NULL;
}

static void grow(void **state)
{
	struct tu t;
	pthread_t th;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct looker l = {.x = make(&t, "a", 3)};
	uint64_t gen = sl_store_generation(t.s);
	struct sl_part *first = sl_topic_part(l.x, 0);
	tu_append(&t, first, 1, 100, 0, SL_ACK_SYNCED);
	assert_int_equal(sl_store_partitions_add(t.s, l.x, 3), -EINVAL);
	assert_int_equal(sl_store_partitions_add(t.s, l.x, 2), -EINVAL);
	assert_int_equal(sl_store_partitions_add(t.s, l.x, SL_PARTITIONS_MAX + 1), -EINVAL);
	assert_int_equal(sl_store_generation(t.s), gen);
	assert_int_equal(pthread_create(&th, NULL, look, &l), 0);
	for (uint32_t n = 4; n <= 40; n += 1 + n / 8)
		assert_int_equal(sl_store_partitions_add(t.s, l.x, n), 0);
	assert_int_equal(sl_store_partitions_add(t.s, l.x, 41), 0);
	atomic_store(&l.stop, true);
	pthread_join(th, NULL);
	assert_int_equal(l.wrong, 0);
	assert_true(sl_store_generation(t.s) > gen);
	assert_ptr_equal(sl_topic_part(l.x, 0), first);
	assert_null(sl_topic_part(l.x, 41));
	for (int32_t i = 0; i < 41; i++)
		assert_int_equal(tu_append(&t, sl_topic_part(l.x, i), 1, 100, 7, SL_ACK_LOGGED),
				 i == 0);
	tu_close(&t, false); /* durable without a clean stop */
	tu_open(&t);
	struct sl_topic *x = get(&t, "a");
	assert_int_equal(sl_topic_partitions(x), 41);
	for (int32_t i = 0; i < 41; i++)
		assert_int_equal(sl_part_end(sl_topic_part(x, i)), 1 + (i == 0));
	tu_fini(&t);
}

/* A directory that is in the way: nothing is left of the attempt. */
static void grow_fails_whole(void **state)
{
	struct tu t;
	char path[400];
	struct stat st;
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_topic *x = make(&t, "a", 1);
	snprintf(path, sizeof(path), "%s/log/a-2", t.data);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/log/a-2/00000000000000000000.log", t.data);
	FILE *f = fopen(path, "w");
	fputs("somebody's", f);
	fclose(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sl_store_partitions_add(t.s, x, 4), -EEXIST);
	assert_int_equal(sl_topic_partitions(x), 1);
	assert_int_equal(t.s->tail.parts, 2); /* the slot of a-1 is used again */
	assert_int_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%s/log/a-1", t.data);
	assert_int_not_equal(stat(path, &st), 0);
	assert_int_equal(sl_store_partitions_add(t.s, x, 2), 0);
	assert_int_equal(tu_append(&t, sl_topic_part(x, 1), 1, 10, 0, SL_ACK_SYNCED), 0);
	tu_fini(&t);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void finding(void **state)
{
	static const uint8_t none[16] = {1};
	struct tu t;
	char want[600];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_topic *a = make(&t, "a", 1), *b = make(&t, "b", 1);
	struct sl_topic *x = sl_store_topic_by_id(t.s, sl_topic_id(b));
	assert_ptr_equal(x, b);
	assert_int_equal(atomic_load(&b->refs), 2);
	assert_ptr_equal(sl_topic_ref(x), b);
	sl_topic_put(x);
	sl_topic_put(x);
	sl_topic_put(NULL);
	assert_int_equal(atomic_load(&a->refs), 1);
	assert_int_equal(atomic_load(&b->refs), 1);
	assert_null(sl_store_topic_by_id(t.s, none));
	char *real = realpath(t.data, NULL);
	snprintf(want, sizeof(want), "%s/log", real);
	free(real);
	assert_string_equal(sl_store_log_dir(t.s), want);
	tu_fini(&t);
}

static void expect_epoch(struct sl_part *p, int32_t asked, int rc, int32_t epoch, int64_t end)
{
	int32_t got_epoch = -1;
	int64_t got_end = -1;

	assert_int_equal(sl_part_epoch_end(p, asked, &got_epoch, &got_end), rc);
	assert_int_equal(got_epoch, rc ? -1 : epoch);
	assert_int_equal(got_end, rc ? -1 : end);
}

static void epochs(void **state)
{
	struct tu t;
	char path[400];
	(void)state;

	tu_init(&t, NULL, NULL);
	tu_open(&t);
	struct sl_part *p = tu_topic(&t, "a", 1, NULL);
	expect_epoch(p, 0, 0, 0, 0);
	for (int i = 0; i < 50; i++)
		tu_append(&t, p, 1, 100, (uint64_t)i, SL_ACK_SYNCED);
	expect_epoch(p, 0, 0, 0, 50);
	expect_epoch(p, -1, -ENOENT, 0, 0);
	expect_epoch(p, 1, -ENOENT, 0, 0);
	tu_close(&t, true);
	snprintf(path, sizeof(path), "%s/log/a-0/leader-epoch-checkpoint", t.data);
	FILE *f = fopen(path, "w");
	fputs("0\n3\n2 10\n5 20\n6 40\n", f);
	fclose(f);
	tu_open(&t);
	p = tu_topic(&t, "a", 1, NULL);
	expect_epoch(p, 0, 0, 0, 10); /* before all that are known: as Kafka answers */
	expect_epoch(p, 2, 0, 2, 20);
	expect_epoch(p, 3, 0, 2, 20);
	expect_epoch(p, 5, 0, 5, 40);
	expect_epoch(p, 6, 0, 6, 50);
	expect_epoch(p, 7, -ENOENT, 0, 0);
	assert_int_equal(tu_append(&t, p, 1, 100, 50, SL_ACK_SYNCED), 50);
	expect_epoch(p, 6, 0, 6, 51);
	tu_close(&t, false);
	/* synced records are gone: the start says so, with an epoch of its own */
	snprintf(path, sizeof(path), "%s/log/a-0/00000000000000000000.log", t.data);
	assert_int_equal(truncate(path, 0), 0);
	char cmd[700];
	snprintf(cmd, sizeof(cmd), "rm -f %s/*", t.shm);
	assert_int_equal(system(cmd), 0);
	tu_open(&t);
	assert_true(t.rec.lost_records > 0);
	p = tu_topic(&t, "a", 1, NULL);
	assert_int_equal(sl_part_pub(p)->leader_epoch, 7);
	expect_epoch(p, 7, 0, 7, sl_part_end(p));
	tu_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers),
		cmocka_unit_test(file_without_masks),
		cmocka_unit_test(lines),
		cmocka_unit_test(at_once),
		cmocka_unit_test(internal_topics_stay),
		cmocka_unit_test(grow),
		cmocka_unit_test(grow_fails_whole),
		cmocka_unit_test(finding),
		cmocka_unit_test(epochs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
