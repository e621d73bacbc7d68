/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole data plane: EAL, a capture as its port, real lcores, a log in memory. Shown: every
 * frame of the capture is counted under the right name, its datagrams are in the log, an injector
 * works beside it, and stopping leaves nothing open.
 */
#include "dataplane.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "eal.h"
#include "platform/base/clock.h"
#include "platform/base/sl_test.h"
#include "platform/record/frame.h"
#include "test_frames.h"
#include "test_store.h"

#define FRAMES  20000u
#define WAIT_NS 60000000000u

static struct sl_config *cfg;

static void put_le32(FILE *f, uint32_t v)
{
	fwrite(&v, 4, 1, f);
}

/* Every tenth frame is spoiled, every tenth is for somebody else. */
static void write_capture(const char *path)
{
	FILE *f = fopen(path, "w");
	struct tf t;

	assert_non_null(f);
	put_le32(f, 0xa1b2c3d4);
	put_le32(f, 0x00040002);
	put_le32(f, 0);
	put_le32(f, 0);
	put_le32(f, 65535);
	put_le32(f, 1);
	for (uint32_t i = 0; i < FRAMES; i++) {
		char msg[64];
		snprintf(msg, sizeof(msg), "<13>1 - host%u app - - - %u", i % 20, i);
		tf_v4(&t, "192.0.2.1", "10.0.0.1", i % 10 == 1 ? 99 : 5514, msg);
		t.src[3] = (uint8_t)(1 + i % 200);
		tf_build(&t);
		if (i % 10 == 2)
			t.buf[t.udp + 9] ^= 1;
		put_le32(f, i * 10 / 1000000);
		put_le32(f, i * 10 % 1000000);
		put_le32(f, t.len);
		put_le32(f, t.len);
		fwrite(t.buf, t.len, 1, f);
	}
	fclose(f);
}

struct fix {
	struct sl_counters *ctr;
	struct sl_store *store;
	struct sl_topic *topic;
	struct sl_dataplane *dp;
};

static void make(struct fix *f)
{
	char err[256] = "";

	memset(f, 0, sizeof(*f));
	struct sl_eal_lcores lc;
	assert_int_equal(sl_eal_lcores(cfg, &lc, err, sizeof(err)), 0);
	assert_int_equal(sl_counters_anon(&f->ctr), 0);
	f->store = ts_new(lc.writer_cnt, f->ctr);
	f->topic = ts_topic(f->store, "logs", 4, 1048588);
	struct sl_dp_cfg dc = {.config = cfg, .store = f->store, .counters = f->ctr};
	int rc = sl_dp_new(&dc, &f->dp, err, sizeof(err));
	if (rc)
		fail_msg("%d: %s", rc, err);
}

static void unmake(struct fix *f)
{
	sl_dp_free(f->dp);
	ts_free(f->store);
	sl_counters_close(f->ctr);
}

static void start(struct fix *f)
{
	char err[256] = "";

	if (sl_dp_start(f->dp, err, sizeof(err)))
		fail_msg("%s", err);
}

/* Records between accepted and appended: in open batches and rings. */
static uint64_t in_flight(const struct fix *f)
{
	const struct sl_ctr_lcore *l = f->ctr->lcore;
	uint64_t n = 0;

	for (unsigned i = 0; i < SL_CTR_LCORES; i++)
		n += sl_ctr_get(&l[i].in_open) + sl_ctr_get(&l[i].handed);
	for (unsigned i = 0; i < SL_CTR_WRITERS; i++)
		n -= sl_ctr_get(&f->ctr->writer[i].taken);
	return n;
}

static void replay(SL_UNUSED void **st)
{
	struct fix f;
	char name[8][64];
	struct sl_dp_port_status ps;

	make(&f);
	assert_int_equal(sl_dp_lcores(f.dp, name, 8), 2);
	assert_memory_equal(name[0], "ingest 0 on cpu ", 16);
	assert_memory_equal(name[1], "writer 0 on cpu ", 16);
	start(&f);
	uint64_t begin = sl_clock_mono_ns();
	while (sl_ctr_get(&f.ctr->lcore[0].rx) < FRAMES && sl_clock_mono_ns() - begin < WAIT_NS)
		usleep(1000);
	sl_dp_housekeep(f.dp);
	assert_int_equal(sl_dp_ports(f.dp, &ps, 1), 1);
	assert_string_equal(ps.name, "cap");
	assert_string_equal(ps.backend, "pcap");
	assert_true(ps.done);
	assert_int_equal(sl_dp_stop(f.dp, sl_clock_mono_ns() + 10000000000u), 0);
	assert_int_equal(in_flight(&f), 0);
	const struct sl_ctr_lcore *l = &f.ctr->lcore[0];
	assert_int_equal(l->rx, FRAMES);
	assert_int_equal(f.ctr->port[0].wire, FRAMES);
	assert_int_equal(l->frame[SL_FR_OTHER], FRAMES / 10);
	assert_int_equal(l->frame[SL_FR_BAD_UDP_CHECKSUM], FRAMES / 10);
	assert_int_equal(l->frame[SL_FR_ACCEPTED], FRAMES / 10 * 8);
	assert_int_equal(ts_records(f.topic), FRAMES / 10 * 8);
	unmake(&f);
}

/* With the capture's own gaps it takes as long as the capture: 200 ms, ten microseconds a frame. */
static void paced(SL_UNUSED void **st)
{
	struct fix f;

	cfg->port[0].pace_capture = true;
	make(&f);
	uint64_t begin = sl_clock_mono_ns();
	start(&f);
	while (sl_ctr_get(&f.ctr->lcore[0].rx) < FRAMES && sl_clock_mono_ns() - begin < WAIT_NS)
		usleep(100);
	uint64_t took = sl_clock_mono_ns() - begin;
	assert_int_equal(sl_dp_stop(f.dp, sl_clock_mono_ns() + 10000000000u), 0);
	assert_true(took >= (FRAMES - 1) * 10000u);
	assert_int_equal(f.ctr->lcore[0].rx, FRAMES);
	assert_int_equal(ts_records(f.topic), FRAMES / 10 * 8);
	unmake(&f);
	/* stopped in the middle: what was taken from the file is counted */
	make(&f);
	start(&f);
	while (sl_ctr_get(&f.ctr->lcore[0].rx) == 0)
		usleep(100);
	assert_int_equal(sl_dp_stop(f.dp, sl_clock_mono_ns() + 10000000000u), 0);
	sl_dp_housekeep(f.dp);
	assert_int_equal(f.ctr->lcore[0].rx, f.ctr->port[0].wire);
	unmake(&f);
	cfg->port[0].pace_capture = false;
}

static void inject_beside(SL_UNUSED void **st)
{
	struct sl_waker *done = aligned_alloc(SL_CACHELINE, sizeof(*done));
	struct sl_injector *inj;
	struct sl_append a, *back;
	uint8_t bytes[256];
	struct sl_bb b;
	struct fix f;

	make(&f);
	start(&f);
	memset(done, 0, sizeof(*done));
	done->efd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(sl_injector_open(f.dp, done, &inj), 0);
	sl_bb_init(&b, bytes, sizeof(bytes));
	assert_true(
		sl_bb_add(&b, 1, (struct sl_slice){NULL, 0}, (struct sl_slice){bytes, 0}, NULL, 0));
	a = (struct sl_append){.part = sl_topic_part(f.topic, 2),
			       .batch = bytes,
			       .len = sl_bb_close(&b),
			       .records = 1,
			       .max_ts_ms = 1,
			       .producer_id = -1,
			       .origin = SL_ORIGIN_KAFKA};
	for (unsigned i = 0; i < 200; i++) {
		uint64_t n;
		sl_waker_arm(done);
		assert_int_equal(sl_inject(inj, &a), 0);
		while (sl_inject_reap(inj, &back, 1) == 0)
			assert_int_equal(read(done->efd, &n, 8), 8);
		assert_int_equal(a.err, 0);
	}
	sl_injector_close(inj);
	assert_int_equal(sl_dp_stop(f.dp, sl_clock_mono_ns() + 10000000000u), 0);
	assert_int_equal(f.ctr->writer[0].appended[SL_ORIGIN_KAFKA], 200);
	assert_int_equal(in_flight(&f), 0);
	close(done->efd);
	free(done);
	unmake(&f);
}

static void a_writer_that_cannot_have_its_log(SL_UNUSED void **st)
{
	struct fix f;
	char err[256] = "";

	make(&f);
	f.store->attach_rc = -EBUSY;
	assert_int_equal(sl_dp_start(f.dp, err, sizeof(err)), -EBUSY);
	assert_non_null(strstr(err, "writer 0"));
	unmake(&f);
}

static void wait_for(struct fix *f, const uint64_t *counter, uint64_t more)
{
	uint64_t from = sl_ctr_get(counter), begin = sl_clock_mono_ns();

	while (sl_ctr_get(counter) < from + more) {
		if (sl_clock_mono_ns() - begin > WAIT_NS)
			fail_msg("nothing moves");
		usleep(500);
		sl_dp_housekeep(f->dp);
	}
}

/* A route that was replaced is given back once no lcore uses it. */
static void wait_refs(struct fix *f, const struct sl_topic *t, int want)
{
	uint64_t begin = sl_clock_mono_ns();

	while (t->refs != want) {
		if (sl_clock_mono_ns() - begin > WAIT_NS)
			fail_msg("the old route is not given back");
		usleep(500);
		sl_dp_housekeep(f->dp);
	}
}

static void rebind(struct fix *f)
{
	int rc;

	while ((rc = sl_dp_rebind(f->dp)) == -EAGAIN)
		usleep(500);
	assert_int_equal(rc, 0);
}

/* The listener's topic is deleted, made again and grown under full load: every record is somewhere.
 */
static void topics_come_and_go(SL_UNUSED void **st)
{
	struct fix f;

	cfg->port[0].loop = true;
	make(&f);
	const struct sl_ctr_lcore *l = &f.ctr->lcore[0];
	const struct sl_ctr_writer *w = &f.ctr->writer[0];
	const uint64_t *in = &w->appended[SL_ORIGIN_INGEST];
	const uint64_t *gone = &w->failed[SL_ORIGIN_INGEST][SL_APPEND_DELETED];
	start(&f);
	wait_for(&f, in, 1000);
	rebind(&f); /* nothing has changed */
	assert_int_equal(f.topic->refs, 1);
	ts_delete(f.topic);
	rebind(&f); /* there is nothing else to go to: refused there, by name */
	wait_for(&f, gone, 1000);
	assert_int_equal(f.topic->refs, 1);
	struct sl_topic *again = ts_topic(f.store, "logs", 300, 1048588);
	again->parts = 2;
	rebind(&f);
	assert_int_equal(again->refs, 1);
	wait_for(&f, in, 1000);
	wait_refs(&f, f.topic, 0);
	uint64_t refused = sl_ctr_get(gone);
	wait_for(&f, in, 1000);
	assert_int_equal(sl_ctr_get(gone), refused);
	again->parts = 100; /* as many as there are batches for */
	rebind(&f);
	wait_for(&f, in, 20000);
	wait_refs(&f, again, 1);
	again->parts = 300; /* more than that: it stays at 100 */
	rebind(&f);
	rebind(&f);
	wait_for(&f, in, 20000);
	assert_int_equal(sl_dp_stop(f.dp, sl_clock_mono_ns() + 10000000000u), 0);
	assert_int_equal(in_flight(&f), 0);
	assert_int_equal(l->frame[SL_FR_ACCEPTED], *in + *gone);
	unsigned used = 0;
	for (int32_t p = 0; p < 300; p++) {
		used += sl_part_end(sl_topic_part(again, p)) > 0;
		assert_true(p < 100 || sl_part_end(sl_topic_part(again, p)) == 0);
	}
	assert_true(used > 50); /* 200 senders over 100 partitions */
	assert_int_equal(ts_records(again) + ts_records(f.topic), *in);
	sl_dp_free(f.dp);
	assert_int_equal(again->refs, 0);
	ts_free(f.store);
	sl_counters_close(f.ctr);
	cfg->port[0].loop = false;
}

static void refusals(SL_UNUSED void **st)
{
	struct sl_dp_cfg dc = {.config = cfg};
	struct sl_dataplane *dp = NULL;
	char err[256] = "";

	assert_int_equal(sl_counters_anon(&dc.counters), 0);
	dc.store = ts_new(1, dc.counters);
	assert_int_equal(sl_dp_new(&dc, &dp, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "topic logs"));
	assert_null(dp);
	sl_dp_free(NULL);
	ts_free(dc.store);
	dc.store = ts_new(1, dc.counters);
	ts_topic(dc.store, "logs", 16000, 1048588);
	assert_int_equal(sl_dp_new(&dc, &dp, err, sizeof(err)), -ENOMEM);
	assert_non_null(strstr(err, "16000 partitions"));
	ts_free(dc.store);
	sl_counters_close(dc.counters);
}

int main(void)
{
	char path[] = "/tmp/sl-dataplane-test-XXXXXX", err[256] = "";
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	write_capture(path);
	cfg = calloc(1, sizeof(*cfg));
	cfg->dataplane.memory_bytes = 64u << 20;
	cfg->dataplane.hugepages = SL_HUGE_OFF;
	cfg->dataplane.ingest.automatic = cfg->dataplane.writers.automatic = true;
	cfg->dataplane.linger_us = 1000;
	cfg->port_cnt = 1;
	snprintf(cfg->port[0].name, sizeof(cfg->port[0].name), "cap");
	snprintf(cfg->port[0].file, sizeof(cfg->port[0].file), "%s", path);
	cfg->port[0].backend = SL_BE_PCAP;
	cfg->listener_cnt = 1;
	cfg->listener[0] = (struct sl_cfg_listener){.udp = 5514, .protocol = SL_PROTO_SYSLOG};
	snprintf(cfg->listener[0].name, sizeof(cfg->listener[0].name), "syslog");
	snprintf(cfg->listener[0].topic, sizeof(cfg->listener[0].topic), "logs");
	if (sl_dp_eal_init(cfg, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	sl_clock_discipline();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replay),
		cmocka_unit_test(paced),
		cmocka_unit_test(inject_beside),
		cmocka_unit_test(a_writer_that_cannot_have_its_log),
		cmocka_unit_test(topics_come_and_go),
		cmocka_unit_test(refusals),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	sl_dp_eal_cleanup();
	free(cfg);
	return rc;
}
