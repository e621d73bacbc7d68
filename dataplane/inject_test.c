/* SPDX-License-Identifier: Apache-2.0 */
#include "inject.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/sl_test.h"
#include "platform/record/frame.h"
#include "test_store.h"

#define WRITERS 2

struct sl_dataplane { /* stands for dataplane.c's */
	struct sl_injectors injectors;
};

struct sl_injectors *sl_dp_injectors(struct sl_dataplane *dp)
{
	return &dp->injectors;
}

struct fix {
	struct sl_dataplane dp;
	struct sl_counters *ctr;
	struct sl_store *store;
	struct sl_topic *topic;
	struct sl_writer *writer[WRITERS];
	struct sl_waker done;
	uint8_t batch[256];
	uint32_t len;
};

static struct fix *make(void)
{
	struct fix *f = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP(sizeof(*f), SL_CACHELINE));
	struct sl_bb b;

	memset(f, 0, sizeof(*f));
	assert_int_equal(sl_counters_anon(&f->ctr), 0);
	f->store = ts_new(WRITERS, f->ctr);
	f->topic = ts_topic(f->store, "t", 4, 1 << 20);
	for (unsigned w = 0; w < WRITERS; w++) {
		struct sl_writer_cfg wc = {.store = f->store, .idx = w, .ctr = &f->ctr->writer[w]};
		assert_int_equal(sl_writer_new(&wc, &f->writer[w]), 0);
	}
	assert_int_equal(sl_injectors_init(&f->dp.injectors, f->writer, WRITERS), 0);
	f->done.efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sl_bb_init(&b, f->batch, sizeof(f->batch));
	static const uint8_t key[] = "key";
	assert_true(
		sl_bb_add(&b, 5, (struct sl_slice){key, 3}, (struct sl_slice){key, 3}, NULL, 0));
	f->len = sl_bb_close(&b);
	return f;
}

static void unmake(struct fix *f)
{
	sl_injectors_fini(&f->dp.injectors);
	for (unsigned w = 0; w < WRITERS; w++)
		sl_writer_free(f->writer[w]);
	close(f->done.efd);
	ts_free(f->store);
	sl_counters_close(f->ctr);
	free(f);
}

static struct sl_append batch_for(struct fix *f, int32_t part)
{
	return (struct sl_append){.part = sl_topic_part(f->topic, part),
				  .batch = f->batch,
				  .len = f->len,
				  .records = 1,
				  .max_ts_ms = 5,
				  .producer_id = -1,
				  .origin = SL_ORIGIN_KAFKA};
}

static void attach(struct fix *f)
{
	for (unsigned w = 0; w < WRITERS; w++)
		assert_int_equal(sl_writer_attach(f->writer[w]), 0);
}

static void turn(struct fix *f)
{
	for (unsigned w = 0; w < WRITERS; w++)
		sl_writer_turn(f->writer[w]);
}

static void there_and_back(SL_UNUSED void **st)
{
	struct fix *f = make();
	struct sl_injector *inj;
	struct sl_append a[8], *back[8];

	attach(f);
	assert_int_equal(sl_injector_open(&f->dp, &f->done, &inj), 0);
	for (int i = 0; i < 8; i++) {
		a[i] = batch_for(f, i % 4);
		assert_int_equal(sl_inject(inj, &a[i]), 0);
	}
	assert_int_equal(sl_inject_reap(inj, back, 8), 0);
	turn(f);
	assert_int_equal(sl_inject_reap(inj, back, 3), 3);
	assert_int_equal(sl_inject_reap(inj, back + 3, 8), 5);
	assert_int_equal(ts_records(f->topic), 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(a[i].base_offset, i / 4);
	assert_int_equal(f->ctr->writer[0].appended[SL_ORIGIN_KAFKA], 4);
	assert_int_equal(f->ctr->writer[0].taken, 0); /* of ingest lcores only */
	sl_injector_close(inj);
	unmake(f);
}

static void depth_is_bounded(SL_UNUSED void **st)
{
	struct fix *f = make();
	struct sl_injector *inj;
	struct sl_append *a = calloc(SL_INJECT_DEPTH + 2, sizeof(*a));
	struct sl_append **back = calloc(2 * SL_INJECT_DEPTH, sizeof(struct sl_append *));

	attach(f);
	assert_int_equal(sl_injector_open(&f->dp, &f->done, &inj), 0);
	for (unsigned i = 0; i < SL_INJECT_DEPTH + 2; i++)
		a[i] = batch_for(f, i == SL_INJECT_DEPTH ? 1 : 0);
	for (unsigned i = 0; i < SL_INJECT_DEPTH; i++)
		assert_int_equal(sl_inject(inj, &a[i]), 0);
	assert_int_equal(sl_inject(inj, &a[SL_INJECT_DEPTH + 1]), -EAGAIN);
	assert_int_equal(sl_inject(inj, &a[SL_INJECT_DEPTH]), 0); /* the other writer's */
	for (unsigned i = 0; i < SL_INJECT_DEPTH / SL_WRITER_BURST; i++)
		turn(f);
	/* done, but not reaped: still under way */
	assert_int_equal(sl_inject(inj, &a[SL_INJECT_DEPTH + 1]), -EAGAIN);
	assert_int_equal(sl_inject_reap(inj, back, 2 * SL_INJECT_DEPTH), SL_INJECT_DEPTH + 1);
	assert_int_equal(sl_inject(inj, &a[SL_INJECT_DEPTH + 1]), 0);
	turn(f);
	assert_int_equal(sl_inject_reap(inj, back, 1), 1);
	sl_injector_close(inj);
	unmake(f);
	free(a);
	free(back);
}

static void places_are_bounded_and_reused(SL_UNUSED void **st)
{
	struct fix *f = make();
	struct sl_injector *inj[SL_INJECTORS_MAX], *more;
	struct sl_append a, *back;

	attach(f);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SL_INJECTORS_MAX; i++)
			assert_int_equal(sl_injector_open(&f->dp, &f->done, &inj[i]), 0);
		assert_int_equal(sl_injector_open(&f->dp, &f->done, &more), -ENOSPC);
		for (unsigned i = 0; i < SL_INJECTORS_MAX; i++) {
			a = batch_for(f, (int32_t)(i % 4));
			assert_int_equal(sl_inject(inj[i], &a), 0);
			turn(f);
			assert_int_equal(sl_inject_reap(inj[i], &back, 1), 1);
			assert_ptr_equal(back, &a);
		}
		for (unsigned i = 0; i < SL_INJECTORS_MAX; i++)
			sl_injector_close(inj[i]);
	}
	sl_injector_close(NULL);
	unmake(f);
}

static void rings_only_if_armed(SL_UNUSED void **st)
{
	struct fix *f = make();
	struct sl_injector *inj;
	struct sl_append a, *back;
	uint64_t n;

	attach(f);
	assert_int_equal(sl_injector_open(&f->dp, &f->done, &inj), 0);
	a = batch_for(f, 0);
	assert_int_equal(sl_inject(inj, &a), 0);
	turn(f);
	assert_int_equal(read(f->done.efd, &n, 8), -1);
	assert_int_equal(sl_inject_reap(inj, &back, 1), 1);
	sl_waker_arm(&f->done);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sl_inject(inj, &a), 0);
		turn(f);
		assert_int_equal(sl_inject_reap(inj, &back, 1), 1);
	}
	assert_int_equal(read(f->done.efd, &n, 8), 8);
	assert_int_equal(n, 1);
	sl_injector_close(inj);
	unmake(f);
}

static void errors_come_back(SL_UNUSED void **st)
{
	struct fix *f = make();
	struct sl_injector *inj;
	struct sl_append a, *back;

	attach(f);
	assert_int_equal(sl_injector_open(&f->dp, &f->done, &inj), 0);
	atomic_store(&f->store->refuse, -ENOSPC);
	a = batch_for(f, 0);
	assert_int_equal(sl_inject(inj, &a), 0);
	turn(f);
	assert_int_equal(sl_inject_reap(inj, &back, 1), 1);
	assert_int_equal(a.err, -ENOSPC);
	sl_injector_close(inj);
	unmake(f);
}

/* Writers end: what they could not append comes back, and so does what reached them too late. */
static void after_the_writers(SL_UNUSED void **st)
{
	struct fix *f = make();
	struct sl_injector *inj;
	struct sl_append a[3], *back[3];

	attach(f);
	assert_int_equal(sl_injector_open(&f->dp, &f->done, &inj), 0);
	for (int i = 0; i < 3; i++)
		a[i] = batch_for(f, i ? 1 : 0);
	atomic_store(&f->store->busy, true);
	assert_int_equal(sl_inject(inj, &a[0]), 0);
	assert_int_equal(sl_inject(inj, &a[1]), 0);
	assert_int_equal(sl_writer_finish(f->writer[1], sl_clock_mono_ns()), -ETIMEDOUT);
	assert_int_equal(f->ctr->writer[1].failed[SL_ORIGIN_KAFKA][SL_APPEND_SHUTDOWN], 1);
	assert_int_equal(sl_inject(inj, &a[2]), -ESHUTDOWN);
	/* as if it had been given between the last look and the end */
	assert_int_equal(sl_writer_finish(f->writer[0], sl_clock_mono_ns()), -ETIMEDOUT);
	assert_int_equal(sl_inject_reap(inj, back, 3), 2);
	assert_int_equal(a[0].err, -ESHUTDOWN);
	assert_int_equal(a[1].err, -ESHUTDOWN);
	sl_injector_close(inj);
	unmake(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(places_are_bounded_and_reused),
		cmocka_unit_test(rings_only_if_armed),
		cmocka_unit_test(errors_come_back),
		cmocka_unit_test(after_the_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
