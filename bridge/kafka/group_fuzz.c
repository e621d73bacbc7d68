/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_fuzz.c - records of __consumer_offsets, whoever wrote them, through what reads them back
 * at start, and through everything that then speaks of them.
 *
 * An input is one byte of batch attributes (codec, transactional, control), then records: a byte
 * whose lowest bit says in which partition, a key and a value, each with a 16-bit length before
 * it; the length 0xffff is null. Built twice, as conn_fuzz.c is.
 */
#include <stdlib.h>

#include "group_record.h"
#include "groups.h"
#include "rig.h"

#define PARTS       2
#define NULL_LEN    0xffff
#define EXPIRED_MS  70000
#define BATCH_EXTRA 64 /* more than a record adds to its key and value */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sl_kgroups_cfg few_groups = {
	.min_session_ms = 1,
	.max_session_ms = 60000,
	.max_members = 4,
	.partitions = PARTS,
	.retention_ms = 60000,
	.check_ms = 10000,
	.metadata_max = 4096,
	.max_groups = 8,
	.max_offsets = 32,
	.memory_bytes = 64u << 10,
};

static bool same(struct sl_slice a, struct sl_slice b)
{
	return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

/* ---- each value by itself -------------------------------------------------------------------- */

/* What has been read says the same when it is written and read again. */
static void check_offset(struct sl_slice value)
{
	struct sl_offset v = {0}, again = {0};
	struct sl_kw w = {0};

	if (!sl_goffset_read(value, &v))
		return;
	sl_goffset_write(&w, &v);
	SL_ASSERT(!w.bad);
	bool ok = sl_goffset_read((struct sl_slice){w.buf, w.len}, &again);
	SL_ASSERT(ok && again.offset == v.offset && again.commit_ms == v.commit_ms);
	SL_ASSERT(same(again.metadata, v.metadata));
	sl_kw_fini(&w);
}

static void check_group(struct sl_slice value)
{
	struct sl_gmember_seed m;
	struct sl_group_seed seed;
	struct sl_gmeta_rd rd;

	if (!sl_gmeta_read(value, &rd, &seed))
		return;
	SL_ASSERT(rd.left <= value.len);
	while (rd.left > 0 && sl_gmeta_read_member(&rd, &m))
		;
}

/* ---- the log --------------------------------------------------------------------------------- */

static struct sl_slice next_field(struct sl_rd *r)
{
	uint16_t n = sl_rd_be16(r);
	if (n == NULL_LEN)
		return (struct sl_slice){NULL, 0};
	return sl_rd_bytes(r, SL_MIN((size_t)n, sl_rd_left(r)));
}

/* Builds a batch for each partition; the buffers are at least `size` and what records add. */
static void build(const uint8_t *data, size_t size, struct sl_bb bb[PARTS])
{
	struct sl_rd r;

	sl_rd_init(&r, data, size);
	while (sl_rd_left(&r) > 0) {
		uint8_t part = sl_rd_u8(&r) & 1;
		struct sl_slice key = next_field(&r), value = next_field(&r);
		struct sl_gkey k;
		if (sl_gkey_read(key, &k) && value.p) {
			check_offset(value);
			check_group(value);
		}
		bool fits = sl_bb_add(&bb[part], RIG_WALL_MS, key, value, NULL, 0);
		SL_ASSERT(fits);
	}
}

static void append(struct rig *r, struct sl_topic *t, unsigned part, struct sl_bb *bb,
		   uint8_t attrs)
{
	uint32_t len = sl_bb_close(bb);
	struct sl_append *done, a = {.part = sl_topic_part(t, (int32_t)part),
				     .batch = bb->buf,
				     .len = len,
				     .records = bb->cnt,
				     .producer_id = -1};

	bb->buf[SL_BATCH_ATTRS_OFF + 1] |= attrs;
	int rc = sl_inject(r->server.inj, &a);
	SL_ASSERT(rc == 0);
	fake_store_step(r->store);
	unsigned n = sl_inject_reap(r->server.inj, &done, 1);
	SL_ASSERT(n == 1 && a.err == 0);
}

static void fill_log(struct rig *r, const uint8_t *data, size_t size)
{
	struct sl_topic_layers layers = {0};
	struct sl_bb bb[PARTS];
	struct sl_topic *t;
	/* a record of three bytes of input takes more in a batch */
	size_t cap = SL_BATCH_HDR + BATCH_EXTRA + size * 16;

	sl_topic_cfg_defaults(&layers.base);
	int rc = sl_store_topic_create(r->store, SL_OFFSETS_TOPIC, PARTS, &layers, &t);
	SL_ASSERT(rc == 0);
	for (unsigned i = 0; i < PARTS; i++) {
		uint8_t *buf = malloc(cap);
		SL_ASSERT(buf);
		sl_bb_init(&bb[i], buf, (uint32_t)cap);
	}
	build(data + 1, size - 1, bb);
	for (unsigned i = 0; i < PARTS; i++) {
		if (bb[i].cnt)
			append(r, t, i, &bb[i], data[0] & 0x37);
		free(bb[i].buf);
	}
	sl_topic_put(t);
}

/* ---- what is said of them -------------------------------------------------------------------- */

static void drain(struct rig_conn *c)
{
	static uint8_t sink[1 << 16];
	while (rig_take(c, sink, sizeof(sink)) > 0)
		;
}

static void ask_of(struct rig_conn *c, struct sl_slice group)
{
	struct sl_kw w;

	rig_begin(&w, 15, 5, 1); /* DescribeGroups */
	sl_kw_array(&w, 1);
	sl_kw_str(&w, group);
	sl_kw_bool(&w, false);
	sl_kw_tags(&w);
	rig_send(c, &w);
	rig_begin(&w, 9, 7, 2); /* OffsetFetch of all */
	sl_kw_str(&w, group);
	sl_kw_null_array(&w);
	sl_kw_bool(&w, false);
	sl_kw_tags(&w);
	rig_send(c, &w);
	drain(c);
}

static void ask_of_all(struct rig *r, struct rig_conn *c)
{
	struct sl_kgroups *ks = r->server.groups;
	const struct sl_kgroup *kg;
	struct sl_kw w;

	rig_begin(&w, 16, 4, 3); /* ListGroups */
	sl_kw_array(&w, 0);
	sl_kw_tags(&w);
	rig_send(c, &w);
	drain(c);
	TAILQ_FOREACH(kg, &ks->all, link)
	ask_of(c, kg->id);
}

/* What is written in place of the log can be read. */
static int check_snapshot(void *arg, struct sl_gbatch *b)
{
	struct sl_record_walk walk;
	struct sl_record rec;
	struct sl_scratch s;
	struct sl_gkey key;
	int rc;

	(void)arg;
	SL_ASSERT(!b->bad);
	sl_scratch_init(&s, 1u << 20);
	sl_bb_close(&b->bb);
	rc = sl_record_walk_init(&walk, b->bb.buf, &s);
	while (!rc && (rc = sl_record_walk_next(&walk, &rec)) == 1) {
		SL_ASSERT(sl_gkey_read(rec.key, &key) && key.kind != SL_GREC_FOREIGN);
		rc = 0;
	}
	SL_ASSERT(rc == 0);
	sl_scratch_fini(&s);
	sl_gbatch_fini(b);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sl_kserver_cfg cfg = {.request_max_bytes = 1u << 20,
						  .memory_bytes = 4u << 20,
						  .num_partitions = 2,
						  .idle_ms = 600000,
						  .groups = &few_groups};
	struct rig r;
	struct rig_conn c;

	sl_log_set_level(SL_LOG_ERROR);
	if (size < 2 || size > SL_BATCH_MAX_BYTES / 32)
		return 0;
	rig_init(&r, &cfg);
	rig_topic(&r, "alpha", NULL);
	fill_log(&r, data, size);
	sl_kgroups_load(r.server.groups);
	rig_open(&r, &c);
	ask_of_all(&r, &c);
	for (uint32_t i = 0; i < PARTS; i++) {
		int rc = sl_kgroups_snapshot(r.server.groups, i, check_snapshot, NULL);
		SL_ASSERT(rc == 0);
	}
	rig_pass_ms(&r, EXPIRED_MS); /* sessions end, and offsets expire */
	ask_of_all(&r, &c);
	rig_close(&c);
	rig_fini(&r);
	return 0;
}
