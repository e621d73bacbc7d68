/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two loops with a real DPDK port between the test and them, and a log in memory behind. Most
 * tests turn them by hand on this thread; the last ones run them on threads of their own.
 */
#include "ingest.h"

#include <errno.h>
#include <pthread.h>

#include "platform/base/clock.h"
#include "platform/base/sl_test.h"
#include "test_eth.h"
#include "test_frames.h"
#include "test_store.h"
#include "writer.h"

#define WRITERS 2
#define UDP     5514

static struct rte_mempool *pool;
static uint16_t port;

struct fix {
	struct sl_counters *ctr;
	struct sl_store *store;
	struct sl_topic *topic;
	_Atomic uint32_t max_bytes;
	struct sl_classifier *cls;
	struct sl_handoff lane[WRITERS];
	struct sl_writer *writer[WRITERS];
	struct sl_ingest *ingest;
};

struct opt {
	enum sl_protocol protocol;
	enum sl_key_rule key;
	uint32_t headers, partitions, batches, large, max_bytes;
	bool patient, spin;
	uint64_t linger_ns;
	uint64_t near;
	uint32_t ring;
};

static struct fix *make(const struct opt *o)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct sl_cfg_listener l = {.udp = UDP};
	struct sl_cls_cfg cc = {.listener = &l, .listener_cnt = 1, .trust_partial_csum = true};
	struct sl_waker *waker[WRITERS];
	const _Atomic uint32_t *max_bytes = &f->max_bytes;
	uint32_t batches = o->batches ? o->batches : 64;

	assert_int_equal(sl_counters_anon(&f->ctr), 0);
	f->store = ts_new(WRITERS, f->ctr);
	f->max_bytes = o->max_bytes ? o->max_bytes : 1 << 20;
	f->topic = ts_topic(f->store, "logs", o->partitions ? o->partitions : 4,
			    (int32_t)f->max_bytes);
	assert_int_equal(sl_cls_new(&cc, &f->cls), 0);
	for (unsigned w = 0; w < WRITERS; w++) {
		struct sl_writer_cfg wc = {.store = f->store,
					   .idx = w,
					   .ingest_cnt = 1,
					   .spin = o->spin,
					   .ctr = &f->ctr->writer[w]};
		assert_int_equal(sl_handoff_init(&f->lane[w], batches + SL_OB_LARGE_CNT), 0);
		assert_int_equal(sl_writer_new(&wc, &f->writer[w]), 0);
		waker[w] = sl_writer_waker(f->writer[w]);
	}
	struct sl_ingest_port p = {
		.eth_id = port, .fd = -1, .ring = o->ring, .patient = o->patient, .cls = f->cls};
	struct sl_ingest_listener il = {.decoder = sl_decoder_for(o->protocol),
					.key = {o->key, 2, 3},
					.headers = o->headers};
	struct sl_ingest_cfg ic = {.port = &p,
				   .port_cnt = 1,
				   .listener = &il,
				   .listener_cnt = 1,
				   .writer = waker,
				   .near = o->near,
				   .spin = o->spin,
				   .ctr = &f->ctr->lcore[0],
				   .batches = {.topic = &f->topic,
					       .topic_max_bytes = &max_bytes,
					       .topic_cnt = 1,
					       .handoff = f->lane,
					       .writers = WRITERS,
					       .batch_bytes = 4096,
					       .batch_cnt = batches,
					       .large_bytes = o->large,
					       .linger_ns = o->linger_ns}};
	assert_int_equal(sl_ingest_new(&ic, &f->ingest), 0);
	for (unsigned w = 0; w < WRITERS; w++)
		sl_writer_set_ingest(f->writer[w], 0, &f->lane[w], sl_ingest_starved(f->ingest));
	return f;
}

static void unmake(struct fix *f)
{
	sl_ingest_free(f->ingest);
	for (unsigned w = 0; w < WRITERS; w++) {
		sl_writer_free(f->writer[w]);
		sl_handoff_fini(&f->lane[w]);
	}
	sl_cls_free(f->cls);
	ts_free(f->store);
	sl_counters_close(f->ctr);
	free(f);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static void attach(struct fix *f)
{
	for (unsigned w = 0; w < WRITERS; w++)
		assert_int_equal(sl_writer_attach(f->writer[w]), 0);
}

static void write_all(struct fix *f)
{
	for (unsigned w = 0; w < WRITERS; w++)
		while (sl_writer_turn(f->writer[w]))
			;
}

static void send_frame(const struct tf *f)
{
	assert_true(te_send(port, pool, f->buf, f->len));
}

static uint64_t row(const struct fix *f, enum sl_frame_row r)
{
	return sl_ctr_get(&f->ctr->lcore[0].frame[r]);
}

static uint64_t note(const struct fix *f, enum sl_note_row r)
{
	return sl_ctr_get(&f->ctr->lcore[0].note[r]);
}

/* Both books of the ledger, as far as they are kept here. */
static void assert_closes(const struct fix *f)
{
	const struct sl_ctr_lcore *l = &f->ctr->lcore[0];
	uint64_t rows = 0, appended = 0, failed = 0, taken = 0;

	for (unsigned i = 0; i < SL_FRAME_ROW_CNT; i++)
		rows += l->frame[i];
	assert_int_equal(l->rx, rows);
	for (unsigned w = 0; w < WRITERS; w++) {
		const struct sl_ctr_writer *c = &f->ctr->writer[w];
		appended += c->appended[SL_ORIGIN_INGEST];
		taken += c->taken;
		for (unsigned i = 0; i < SL_APPEND_REASON_CNT; i++)
			failed += c->failed[SL_ORIGIN_INGEST][i];
	}
	assert_int_equal(l->frame[SL_FR_ACCEPTED],
			 appended + failed + l->in_open + l->handed - taken);
	assert_int_equal(taken, appended + failed);
}

static void every_frame_is_counted(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_SYSLOG});
	struct tf t;

	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "<13>1 - h a p m - x");
	send_frame(&t);
	t.partial_csum = true;
	tf_build(&t);
	send_frame(&t);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "");
	send_frame(&t);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP + 1, "x");
	send_frame(&t);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "x");
	t.buf[t.udp + 8] = 'y';
	send_frame(&t);
	t.len = 10;
	send_frame(&t);
	assert_int_equal(sl_ingest_turn(f->ingest), 6);
	assert_int_equal(row(f, SL_FR_ACCEPTED), 2);
	assert_int_equal(row(f, SL_FR_REFUSED_EMPTY), 1);
	assert_int_equal(row(f, SL_FR_OTHER), 1);
	assert_int_equal(row(f, SL_FR_BAD_UDP_CHECKSUM), 1);
	assert_int_equal(row(f, SL_FR_BAD_L2_SHORT), 1);
	assert_int_equal(note(f, SL_NR_SYSLOG_RFC5424), 2);
	assert_int_equal(note(f, SL_NR_CSUM_TRUSTED), 1);
	assert_closes(f);
	assert_int_equal(sl_ingest_turn(f->ingest), 0);
	unmake(f);
}

static void in_open_and_handed(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW, .linger_ns = 1u << 30});
	const struct sl_ctr_lcore *l = &f->ctr->lcore[0];
	struct tf t;

	attach(f);
	for (unsigned i = 0; i < 10; i++) {
		tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "payload");
		t.src[3] = (uint8_t)i;
		tf_build(&t);
		send_frame(&t);
	}
	sl_ingest_turn(f->ingest);
	assert_int_equal(l->in_open, 10);
	assert_int_equal(l->handed, 0);
	assert_closes(f);
	sl_ingest_flush(f->ingest);
	assert_int_equal(l->in_open, 0);
	assert_int_equal(l->handed, 10);
	assert_in_range(note(f, SL_NR_BATCHES), 2, 4);
	assert_closes(f);
	write_all(f);
	assert_closes(f);
	assert_int_equal(ts_records(f->topic), 10);
	unmake(f);
}

static void linger_zero_closes_with_the_turn(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW});
	struct tf t;

	attach(f);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "payload");
	send_frame(&t);
	sl_ingest_turn(f->ingest);
	assert_int_equal(f->ctr->lcore[0].in_open, 0);
	write_all(f);
	assert_int_equal(ts_records(f->topic), 1);
	unmake(f);
}

struct seen {
	const struct fix *f;
	int32_t part;
	unsigned n;
};

/* The value names the key that it must have. */
static void check_key(const struct sl_record *r, void *arg)
{
	struct seen *s = arg;

	assert_true(r->key.len < r->value.len);
	assert_memory_equal(r->key.p, r->value.p, r->key.len);
	assert_int_equal(sl_partition_for(sl_murmur2(r->key.p, r->key.len), s->f->topic->parts),
			 s->part);
	assert_int_equal(r->hdr_cnt, 1);
	assert_memory_equal(r->hdr[0].name.p, "source", 6);
	assert_int_equal(r->hdr[0].value.len, r->key.len);
	assert_memory_equal(r->hdr[0].value.p, r->key.p, r->key.len);
	s->n++;
}

static void keyed_by_source(SL_UNUSED void **st)
{
	struct fix *f = make(
		&(struct opt){.protocol = SL_PROTO_RAW, .headers = SL_HDR_SOURCE, .partitions = 7});
	struct seen s = {.f = f};
	char payload[64];
	struct tf t;

	attach(f);
	for (unsigned i = 0; i < 500; i++) {
		char src[32];
		bool v6 = i % 3 == 0;
		snprintf(src, sizeof(src), v6 ? "fd00::%x" : "192.0.2.%u", 1 + i % 250);
		snprintf(payload, sizeof(payload), "%s|%u", src, i);
		(v6 ? tf_v6 : tf_v4)(&t, src, v6 ? "fd00::ffff" : "10.0.0.1", UDP, payload);
		send_frame(&t);
		if (i % 20 == 19) {
			while (sl_ingest_turn(f->ingest))
				;
			write_all(f);
		}
	}
	sl_ingest_flush(f->ingest);
	write_all(f);
	for (s.part = 0; s.part < 7; s.part++)
		ts_walk(&f->topic->part[s.part], check_key, &s);
	assert_int_equal(s.n, 500);
	unmake(f);
}

static void no_key_spreads_by_batch(SL_UNUSED void **st)
{
	struct fix *f = make(
		&(struct opt){.protocol = SL_PROTO_RAW, .key = SL_KEY_NONE, .linger_ns = 1u << 30});
	struct tf t;

	attach(f);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "0123456789012345678901234567890123456789");
	for (unsigned i = 0; i < 400; i++) {
		send_frame(&t);
		sl_ingest_turn(f->ingest);
	}
	sl_ingest_flush(f->ingest);
	write_all(f);
	assert_int_equal(ts_records(f->topic), 400);
	for (unsigned p = 0; p < 4; p++)
		assert_true(sl_part_end(&f->topic->part[p]) >= 60);
	assert_in_range(ts_batches(f->topic), 5, 8); /* full ones */
	unmake(f);
}

static void missing_keys_are_noted(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_SYSLOG, .key = SL_KEY_HOST});
	struct tf t;

	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "<13>1 - host a p m - x");
	send_frame(&t);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "<13>1 - - a p m - x");
	send_frame(&t);
	sl_ingest_turn(f->ingest);
	assert_int_equal(row(f, SL_FR_ACCEPTED), 2);
	assert_int_equal(note(f, SL_NR_KEY_MISSING), 1);
	unmake(f);
}

static void chained_frames(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW});
	struct tf t;

	attach(f);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "in several pieces");
	for (uint32_t piece = 1; piece < t.len + 5; piece += 3)
		assert_true(te_send_chain(port, pool, t.buf, t.len, piece));
	unsigned n = 0, got;
	while ((got = sl_ingest_turn(f->ingest)) > 0)
		n += got;
	assert_int_equal(row(f, SL_FR_ACCEPTED), n);
	sl_ingest_flush(f->ingest);
	write_all(f);
	assert_int_equal(ts_records(f->topic), n);
	unmake(f);
}

static void lagging_writer_drops_by_name(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW, .batches = 8});
	struct tf t;

	attach(f);
	atomic_store(&f->store->busy, true);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "payload");
	for (unsigned i = 0; i < 20; i++) { /* linger 0: a batch each */
		send_frame(&t);
		assert_int_equal(sl_ingest_turn(f->ingest), 1);
		sl_writer_turn(f->writer[0]);
		sl_writer_turn(f->writer[1]);
	}
	assert_int_equal(row(f, SL_FR_ACCEPTED), 8);
	assert_int_equal(row(f, SL_FR_RING_FULL), 12);
	assert_int_equal(f->ctr->lcore[0].handed, 8);
	atomic_store(&f->store->busy, false);
	write_all(f);
	send_frame(&t);
	sl_ingest_turn(f->ingest);
	write_all(f);
	assert_int_equal(ts_records(f->topic), 9);
	assert_closes(f);
	unmake(f);
}

/* A writer on this CPU is rung once for several batches, at once when there is nothing to do; one
 * elsewhere after each turn. */
static void near_writer_is_rung_for_several(SL_UNUSED void **st)
{
	for (unsigned near = 0; near < 2; near++) {
		struct fix *f = make(&(struct opt){
			.protocol = SL_PROTO_RAW, .partitions = 1, .near = near ? 1 : 0});
		struct sl_waker *k = sl_writer_waker(f->writer[0]);
		struct tf t;
		unsigned turns = 0;

		attach(f);
		tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "payload");
		sl_waker_arm(k);
		do { /* linger 0: a batch each */
			send_frame(&t);
			assert_int_equal(sl_ingest_turn(f->ingest), 1);
		} while (++turns <= SL_INGEST_NEAR_BATCHES && atomic_load(&k->armed));
		if (near)
			assert_in_range(turns, 2, SL_INGEST_NEAR_BATCHES);
		else
			assert_int_equal(turns, 1);
		sl_waker_arm(k);
		send_frame(&t);
		sl_ingest_turn(f->ingest);
		assert_int_equal(atomic_load(&k->armed), near);
		assert_int_equal(sl_ingest_turn(f->ingest), 0);
		assert_int_equal(atomic_load(&k->armed), 0);
		write_all(f);
		assert_int_equal(ts_records(f->topic), turns + 1);
		assert_closes(f);
		unmake(f);
	}
}

static void patient_port_waits(SL_UNUSED void **st)
{
	struct fix *f =
		make(&(struct opt){.protocol = SL_PROTO_RAW, .batches = 8, .patient = true});
	struct tf t;

	attach(f);
	atomic_store(&f->store->busy, true);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "payload");
	for (unsigned i = 0; i < 100; i++)
		send_frame(&t);
	for (unsigned i = 0; i < 50; i++) {
		sl_ingest_turn(f->ingest);
		sl_writer_turn(f->writer[0]);
		sl_writer_turn(f->writer[1]);
	}
	assert_true(row(f, SL_FR_ACCEPTED) < 100);
	assert_int_equal(row(f, SL_FR_RING_FULL), 0);
	atomic_store(&f->store->busy, false);
	for (unsigned i = 0; i < 200; i++) {
		write_all(f);
		sl_ingest_turn(f->ingest);
	}
	assert_int_equal(ts_records(f->topic), 100);
	assert_int_equal(row(f, SL_FR_RING_FULL), 0);
	assert_closes(f);
	unmake(f);
}

static void refused_appends_go_back(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW, .batches = 8});
	struct tf t;

	attach(f);
	atomic_store(&f->store->refuse, -EIO);
	tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, "payload");
	for (unsigned i = 0; i < 100; i++) {
		send_frame(&t);
		sl_ingest_turn(f->ingest);
		write_all(f);
	}
	assert_int_equal(row(f, SL_FR_ACCEPTED), 100); /* the pool did not run dry */
	assert_int_equal(ts_records(f->topic), 0);
	assert_closes(f);
	unmake(f);
}

static void order_of(const struct sl_record *r, void *arg)
{
	uint32_t *last = arg, n;

	memcpy(&n, r->value.p, 4);
	assert_true(n > *last);
	*last = n;
}

/* A store that is busy now and then: what is held back stays in order. */
static void busy_store_keeps_order(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW, .batches = 1024});
	struct tf t;

	attach(f);
	atomic_store(&f->store->busy_every, 3);
	for (uint32_t i = 1; i <= 1000; i++) {
		char payload[8] = "xxxxxxx";
		tf_v4(&t, "192.0.2.1", "10.0.0.1", UDP, payload);
		t.src[3] = (uint8_t)(i % 9);
		memcpy(payload, &i, 4);
		tf_build(&t);
		send_frame(&t);
		sl_ingest_turn(f->ingest);
		if (i % 7 == 0) {
			sl_writer_turn(f->writer[0]);
			sl_writer_turn(f->writer[1]);
		}
		if (i % 50 == 0)
			write_all(f);
	}
	for (unsigned i = 0; i < 100; i++)
		write_all(f);
	assert_int_equal(ts_records(f->topic), 1000);
	for (unsigned p = 0; p < 4; p++) {
		uint32_t last = 0;
		ts_walk(&f->topic->part[p], order_of, &last);
	}
	assert_closes(f);
	unmake(f);
}

/* ---- on threads ---------------------------------------------------------------------------------
 */

static void *run_ingest(void *arg)
{
	return (void *)(intptr_t)sl_ingest_run(arg);
}

static void *run_writer(void *arg)
{
	return (void *)(intptr_t)sl_writer_run(arg);
}

struct threads {
	pthread_t ingest, writer[WRITERS];
};

static void start(struct fix *f, struct threads *t)
{
	for (unsigned w = 0; w < WRITERS; w++) {
		assert_int_equal(pthread_create(&t->writer[w], NULL, run_writer, f->writer[w]), 0);
		assert_int_equal(sl_writer_wait_up(f->writer[w]), 0);
	}
	assert_int_equal(pthread_create(&t->ingest, NULL, run_ingest, f->ingest), 0);
}

static int stop(struct fix *f, struct threads *t, uint64_t deadline_ns)
{
	int rc = 0;

	sl_ingest_stop(f->ingest);
	pthread_join(t->ingest, NULL);
	for (unsigned w = 0; w < WRITERS; w++)
		sl_writer_stop(f->writer[w], deadline_ns);
	for (unsigned w = 0; w < WRITERS; w++) {
		pthread_join(t->writer[w], NULL);
		assert_true(sl_writer_gone(f->writer[w]));
		rc = rc ? rc : sl_writer_outcome(f->writer[w]);
	}
	return rc;
}

/*
 * Frame by frame, waiting for each to be appended: both loops fall asleep in between. A lost
 * wake-up of a writer costs a second each time.
 */
static void nothing_sleeps_through(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW, .linger_ns = 100000});
	struct threads t;
	struct tf fr;

	start(f, &t);
	uint64_t begin = sl_clock_mono_ns();
	for (unsigned i = 1; i <= 300; i++) {
		tf_v4(&fr, "192.0.2.1", "10.0.0.1", UDP, "payload");
		fr.src[3] = (uint8_t)i;
		tf_build(&fr);
		send_frame(&fr);
		while (ts_records(f->topic) < i)
			sched_yield();
	}
	assert_true(sl_clock_mono_ns() - begin < 100000000000u);
	assert_int_equal(stop(f, &t, sl_clock_mono_ns() + 10000000000u), 0);
	assert_true(sl_ingest_sleeps(f->ingest) > 10);
	assert_closes(f);
	unmake(f);
}

static void many_with(const struct opt *o)
{
	struct fix *f = make(o);
	struct sl_rng r = sl_rng_from(sl_test_seed());
	struct threads t;
	struct tf fr;
	uint32_t sent = 0;

	start(f, &t);
	for (uint32_t i = 1; i <= 60000; i++) {
		char payload[64];
		memset(payload, 'x', sizeof(payload));
		payload[4 + sl_rng_below(&r, 59)] = 0;
		tf_v4(&fr, "192.0.2.1", "10.0.0.1", UDP, payload);
		fr.src[3] = (uint8_t)(1 + i % 100);
		memcpy(payload, &i, 4);
		tf_build(&fr);
		while (!te_send(port, pool, fr.buf, fr.len))
			sched_yield();
		sent++;
		if (sl_rng_below(&r, 3000) == 0) /* let them fall asleep */
			while (f->ctr->lcore[0].rx < sent)
				sched_yield();
	}
	while (sl_ctr_get(&f->ctr->lcore[0].rx) < sent)
		sched_yield();
	assert_int_equal(stop(f, &t, sl_clock_mono_ns() + 10000000000u), 0);
	assert_closes(f);
	assert_int_equal(ts_records(f->topic) + row(f, SL_FR_RING_FULL), sent);
	for (unsigned p = 0; p < 4; p++) {
		uint32_t last = 0;
		ts_walk(&f->topic->part[p], order_of, &last);
	}
	unmake(f);
}

static void many_on_threads(SL_UNUSED void **st)
{
	many_with(&(struct opt){.protocol = SL_PROTO_RAW, .linger_ns = 1000000, .batches = 1024});
}

/* The same with naps. */
static void many_with_naps(SL_UNUSED void **st)
{
	many_with(&(struct opt){
		.protocol = SL_PROTO_RAW, .linger_ns = 1000000, .batches = 1024, .ring = 8192});
}

static void stop_counts_what_is_left(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW, .linger_ns = 1u << 30});
	struct threads t;
	struct tf fr;

	atomic_store(&f->store->busy, true);
	start(f, &t);
	tf_v4(&fr, "192.0.2.1", "10.0.0.1", UDP, "payload");
	for (unsigned i = 0; i < 100; i++)
		send_frame(&fr);
	/* stop fetches what the port still holds */
	assert_int_equal(stop(f, &t, sl_clock_mono_ns() + 20000000), -ETIMEDOUT);
	assert_int_equal(row(f, SL_FR_ACCEPTED), 100);
	uint64_t left = 0;
	for (unsigned w = 0; w < WRITERS; w++)
		left += f->ctr->writer[w].failed[SL_ORIGIN_INGEST][SL_APPEND_SHUTDOWN];
	assert_int_equal(left, 100);
	assert_closes(f);
	unmake(f);
}

static void writer_that_cannot_attach(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW});
	pthread_t t;

	f->store->attach_rc = -EBUSY;
	assert_int_equal(pthread_create(&t, NULL, run_writer, f->writer[0]), 0);
	assert_int_equal(sl_writer_wait_up(f->writer[0]), -EBUSY);
	pthread_join(t, NULL);
	unmake(f);
}

static void drain_outcome(SL_UNUSED void **st)
{
	struct fix *f = make(&(struct opt){.protocol = SL_PROTO_RAW});

	f->store->drain_rc = -ETIMEDOUT;
	assert_int_equal(sl_writer_attach(f->writer[0]), 0);
	assert_int_equal(sl_writer_finish(f->writer[0], sl_clock_mono_ns()), -ETIMEDOUT);
	assert_true(sl_writer_gone(f->writer[0]));
	sl_writer_free(NULL);
	sl_ingest_free(NULL);
	unmake(f);
}

static int setup(SL_UNUSED void **st)
{
	te_eal(64, false);
	pool = te_pool(4095, 2048);
	port = te_port(pool);
	sl_clock_discipline();
	return 0;
}

static int teardown(SL_UNUSED void **st)
{
	te_port_close(port);
	rte_mempool_free(pool);
	te_eal_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_is_counted),
		cmocka_unit_test(in_open_and_handed),
		cmocka_unit_test(linger_zero_closes_with_the_turn),
		cmocka_unit_test(keyed_by_source),
		cmocka_unit_test(no_key_spreads_by_batch),
		cmocka_unit_test(missing_keys_are_noted),
		cmocka_unit_test(chained_frames),
		cmocka_unit_test(lagging_writer_drops_by_name),
		cmocka_unit_test(near_writer_is_rung_for_several),
		cmocka_unit_test(patient_port_waits),
		cmocka_unit_test(refused_appends_go_back),
		cmocka_unit_test(busy_store_keeps_order),
		cmocka_unit_test(nothing_sleeps_through),
		cmocka_unit_test(many_on_threads),
		cmocka_unit_test(many_with_naps),
		cmocka_unit_test(stop_counts_what_is_left),
		cmocka_unit_test(writer_that_cannot_attach),
		cmocka_unit_test(drain_outcome),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
