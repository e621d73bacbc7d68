/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_rig.h"

#include "platform/base/sl_test.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_file.h"

#define MS 1000000ull

/* ---- a box
 * ---------------------------------------------------------------------------------------------- */

static uint64_t rig_now(void *arg)
{
	struct rig *r = arg;

	return r->now_ns += 200; /* looking at the clock takes time, too */
}

static int64_t rig_wall(void *arg)
{
	struct rig *r = arg;

	return RIG_WALL_MS + (int64_t)(r->now_ns / MS);
}

void rig_init(struct rig *r, const char *gateway, struct mem_centre *centre)
{
	char path[96];

	memset(r, 0, sizeof(*r));
	strcpy(r->data, "/tmp/sl-engine-XXXXXX");
	assert_non_null(mkdtemp(r->data));
	snprintf(path, sizeof(path), "%s/state", r->data);
	assert_int_equal(mkdir(path, 0700), 0);
	r->cfg = calloc(1, sizeof(*r->cfg));
	r->counters = aligned_alloc(SL_CACHELINE, sizeof(*r->counters));
	assert_true(r->cfg && r->counters);
	memset(r->counters, 0, sizeof(*r->counters));
	snprintf(r->cfg->gateway.id, sizeof(r->cfg->gateway.id), "%s", gateway);
	strcpy(r->cfg->uplink.bootstrap, "memory:1");
	r->cfg->uplink.all_topics = true;
	strcpy(r->cfg->uplink.destination, "{gateway}.{topic}");
	strcpy(r->cfg->uplink.dead_letter, "sluice.dead");
	strcpy(r->cfg->uplink.positions, "sluice.positions");
	r->cfg->uplink.replication = -1;
	r->cfg->uplink.commit_interval_ms = 250;
	r->cfg->uplink.commit_bytes = 1 << 20;
	r->cfg->uplink.backoff_min_ms = 1000;
	r->cfg->uplink.backoff_max_ms = 60000;
	r->store = fake_store_new();
	fake_store_cfg(r->store)->auto_sync = true;
	r->own_centre = !centre;
	r->centre = centre ? centre : mem_centre_new();
	r->now_ns = 1000000 * MS;
}

static int rm(const char *path, SL_UNUSED const struct stat *st, SL_UNUSED int flag,
	      SL_UNUSED struct FTW *ftw)
{
	return remove(path);
}

void rig_fini(struct rig *r)
{
	rig_crash(r);
	if (r->own_centre)
		mem_centre_free(r->centre);
	fake_store_free(r->store);
	nftw(r->data, rm, 8, FTW_DEPTH | FTW_PHYS);
	free(r->counters);
	free(r->cfg);
}

int rig_start(struct rig *r)
{
	char err[256] = "";
	int rc = sl_upstate_open(r->data, r->cfg->gateway.id, &r->state, err, sizeof(err));
	struct sl_engine_cfg cfg = {.config = r->cfg,
				    .store = r->store,
				    .state = r->state,
				    .counters = r->counters,
				    .now_ns = rig_now,
				    .wall_ms = rig_wall,
				    .arg = r,
				    .seed = 42};

	if (rc)
		return rc;
	cfg.sink = r->sink = mem_sink_new(r->centre, r->cfg->gateway.id, r->cfg->uplink.positions);
	rc = sl_engine_new(&cfg, &r->engine, err, sizeof(err));
	assert_true(!rc || err[0]);
	return rc;
}

void rig_crash(struct rig *r)
{
	sl_engine_free(r->engine);
	if (r->sink)
		r->sink->ops->free(r->sink);
	sl_upstate_close(r->state);
	r->engine = NULL;
	r->sink = NULL;
	r->state = NULL;
}

static void turn(struct rig *r, uint64_t until)
{
	struct sl_engine_wait w;

	r->turns++;
	sl_engine_turn(r->engine, &w);
	/* as the owner does: armed, one more look */
	if (w.store)
		sl_engine_turn(r->engine, &w);
	assert_true(w.until_ns != 0 || r->turns < 50000000);
	if (w.until_ns > r->now_ns)
		r->now_ns =
			SL_MIN(SL_MIN(w.until_ns, r->now_ns + 5 * MS), SL_MAX(until, r->now_ns));
}

void rig_run(struct rig *r, unsigned ms)
{
	uint64_t until = r->now_ns + ms * MS;

	while (r->now_ns < until)
		turn(r, until);
}

void rig_stop(struct rig *r)
{
	uint64_t until = r->now_ns + 10000 * MS;

	sl_engine_stop(r->engine);
	while (!sl_engine_stopped(r->engine) && r->now_ns < until)
		turn(r, until);
	assert_true(sl_engine_stopped(r->engine));
	rig_crash(r);
}

struct sl_uplink_stats rig_stats(struct rig *r)
{
	struct sl_uplink_stats s;

	sl_engine_stats(r->engine, &s);
	return s;
}

void rig_drain(struct rig *r)
{
	uint64_t until = r->now_ns + 600000 * MS;

	rig_run(r, 20); /* topics that came are looked for in a turn */
	while (rig_stats(r).backlog && r->now_ns < until)
		turn(r, until);
	if (rig_stats(r).backlog)
		fail_msg("%" PRIu64 " records are still not sent: %s", rig_stats(r).backlog,
			 rig_stats(r).last_error);
}

uint64_t rig_row(const struct rig *r, enum sl_bridge_row row)
{
	return r->counters->row[row];
}

/* ---- records
 * -------------------------------------------------------------------------------------------- */

void rig_topic(struct rig *r, const char *topic, uint32_t partitions)
{
	assert_int_equal(sl_store_topic_create(r->store, topic, partitions, NULL, NULL), 0);
}

struct sl_part *rig_part(struct rig *r, const char *topic, int32_t id)
{
	struct sl_topic *t = sl_store_topic_find(r->store, topic, strlen(topic));
	struct sl_part *p = t ? sl_topic_part(t, id) : NULL;

	sl_topic_put(t); /* the store has it, and the test deletes it knowingly */
	assert_non_null(p);
	return p;
}

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void produce(struct rig *r, const char *topic, int32_t part, unsigned n, uint32_t pad,
		    int64_t ts)
{
	struct sl_part *p = rig_part(r, topic, part);
	int64_t first = sl_part_end(p);
	uint32_t cap = n * (pad + 400) + SL_BATCH_HDR + 64;
	uint8_t *buf = malloc(cap);
	char *val = malloc(pad + 320), key[32];
	struct sl_hdr h = {text("own"), text("1")};
	struct sl_bb b;

	if (n == 0)
		goto out;
	assert_true(buf && val);
	memset(val, 'x', pad + 320);
	sl_bb_init(&b, buf, cap);
	for (unsigned i = 0; i < n; i++) {
		int len = sprintf(val, "%s/%d/%" PRId64 "/", topic, part, first + i);
		struct sl_slice v = {(uint8_t *)val, (uint32_t)len + pad};
		val[len] = 'x';
		snprintf(key, sizeof(key), "k%" PRId64, (first + i) % 7);
		assert_true(sl_bb_add(&b, ts == INT64_MIN ? RIG_TS(first + i) : ts, text(key), v,
				      &h, i % 3 == 0));
	}
	fake_store_put(p, buf, sl_bb_close(&b), n);
out:
	free(val);
	free(buf);
}

void rig_produce(struct rig *r, const char *topic, int32_t part, unsigned n, uint32_t pad)
{
	produce(r, topic, part, n, pad, INT64_MIN);
}

void rig_produce_ts(struct rig *r, const char *topic, int32_t part, int64_t ts)
{
	produce(r, topic, part, 1, 0, ts);
}

/* ---- what the centre has
 * ---------------------------------------------------------------------------------- */

static void copy_text(const struct mem_rec *rec, const char *name, char *to, size_t cap)
{
	const struct sl_hdr *h = mem_hdr(rec, name);

	assert_non_null(h);
	assert_true(h->value.len < cap);
	memcpy(to, h->value.p, h->value.len);
	to[h->value.len] = 0;
}

static bool is_of(const struct rig *r, const struct mem_rec *rec, const char *topic)
{
	const char *gw = r->cfg->gateway.id;
	const struct sl_hdr *g = mem_hdr(rec, "sluice.gateway"), *t = mem_hdr(rec, "sluice.topic");

	return rec->state == MEM_COMMITTED && g && t && g->value.len == strlen(gw) &&
	       !memcmp(g->value.p, gw, g->value.len) && t->value.len == strlen(topic) &&
	       !memcmp(t->value.p, topic, t->value.len);
}

static void check_one(const struct mem_rec *rec, const char *topic, int part, int64_t off)
{
	char want[300], key[32];
	int len = snprintf(want, sizeof(want), "%s/%d/%" PRId64 "/", topic, part, off);

	assert_true(rec->value.len >= (uint32_t)len);
	assert_memory_equal(rec->value.p, want, len);
	len = snprintf(key, sizeof(key), "k%" PRId64, off % 7);
	assert_int_equal(rec->key.len, len);
	assert_memory_equal(rec->key.p, key, len);
	if (!mem_hdr(rec, "sluice.timestamp") && rec->ts < RIG_WALL_MS)
		assert_int_equal(rec->ts, RIG_TS(off));
}

void rig_check(struct rig *r, const char *topic, struct rig_seen *ret)
{
	memset(ret, 0, sizeof(*ret));
	memset(ret->last, 0xff, sizeof(ret->last));
	for (size_t i = 0; i < mem_centre_cnt(r->centre); i++) {
		const struct mem_rec *rec = mem_centre_rec(r->centre, i);
		char text_off[32], text_part[16];
		if (!is_of(r, rec, topic))
			continue;
		copy_text(rec, "sluice.offset", text_off, sizeof(text_off));
		copy_text(rec, "sluice.partition", text_part, sizeof(text_part));
		int64_t off = strtoll(text_off, NULL, 10);
		int part = atoi(text_part);
		if (off <= ret->last[part])
			fail_msg("%s-%d: %" PRId64 " came behind %" PRId64, topic, part, off,
				 ret->last[part]);
		ret->last[part] = off;
		if (!strcmp(rec->topic, r->cfg->uplink.dead_letter)) {
			ret->dead++;
		} else {
			ret->forwarded++;
			check_one(rec, topic, part, off);
		}
	}
}

void rig_clone_state(struct rig *from, struct rig *to)
{
	struct sl_upstate *st = NULL;
	struct sl_up_identity here;
	char *buf, err[256];
	size_t len;
	int dir;

	assert_int_equal(sl_upstate_open(from->data, from->cfg->gateway.id, &st, err, sizeof(err)),
			 0);
	dir = st->dir_fd;
	assert_int_equal(sl_upstate_file_read(dir, &buf, &len), 0);
	free(st->part);
	memset(st, 0, sizeof(*st));
	assert_int_equal(sl_upstate_parse(st, buf, len), 0);
	close(dir);
	assert_int_equal(sl_up_identity_read(to->data, &here), 0);
	st->identity = here; /* as far as the daemon can see */
	st->dir_fd = -1;
	struct sl_upstate *t = NULL;
	assert_int_equal(sl_upstate_open(to->data, to->cfg->gateway.id, &t, err, sizeof(err)), 0);
	st->dir_fd = t->dir_fd;
	assert_int_equal(sl_upstate_save(st), 0);
	st->dir_fd = -1;
	sl_upstate_close(t);
	sl_upstate_close(st);
	free(buf);
}
