/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "sluice/store.h"
#include "tail.h"

static uint8_t block[SL_IO_BLOCK];

static struct sl_tail_mark mark(uint64_t end_pos, uint64_t seq)
{
	struct sl_tail_mark m = {.part = 3,
				 .fresh = true,
				 .seg_base = 10,
				 .end_pos = end_pos,
				 .synced = 99,
				 .seq = seq,
				 .bytes = block};

	memset(m.topic_id, 0xab, 16);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 13);
	return m;
}

static void round_trip(void **state)
{
	static const uint32_t tails[] = {0, 1, 4023, 4024, 4025, 4095};
	uint8_t buf[SL_TAIL_SLOT];
	struct sl_tail_mark got;
	(void)state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(tails); i++) {
		struct sl_tail_mark m = mark(8 * SL_IO_BLOCK + tails[i], 5);
		uint32_t n = sl_tail_fill(&m, buf);
		assert_int_equal(n, tails[i] + sizeof(struct sl_tail_slot) <= SL_IO_BLOCK
					    ? SL_IO_BLOCK
					    : SL_TAIL_SLOT);
		assert_true(sl_tail_parse(buf, &got));
		assert_int_equal(got.end_pos, m.end_pos);
		assert_int_equal(got.synced, 99);
		assert_int_equal(got.seg_base, 10);
		assert_int_equal(got.part, 3);
		assert_true(got.fresh);
		assert_memory_equal(got.bytes, block, tails[i]);
	}
}

/* A slot of which only a part reached the disk is no slot, whatever lay there before. */
static void torn_slots(void **state)
{
	uint8_t old[SL_TAIL_SLOT], fresh[SL_TAIL_SLOT], torn[SL_TAIL_SLOT];
	struct sl_tail_mark got;
	(void)state;

	struct sl_tail_mark m = mark(3000, 4);
	sl_tail_fill(&m, old);
	m = mark(3900, 6);
	block[10] = 0xff;
	sl_tail_fill(&m, fresh);
	for (unsigned from = 0; from < 8; from++) {
		memcpy(torn, old, sizeof(torn));
		memcpy(torn, fresh, from * 512); /* the first sectors made it */
		bool whole = sl_tail_parse(torn, &got);
		assert_int_equal(whole, from == 0);
		memcpy(torn, fresh, sizeof(torn));
		memcpy(torn + from * 512, old + from * 512, 512); /* one did not */
		whole = sl_tail_parse(torn, &got);
		/* without its first sector it is still the old one: the log only grows */
		assert_true(!whole || from == 0 ||
			    !memcmp(fresh + from * 512, old + from * 512, 512));
	}
	memset(torn, 0, sizeof(torn));
	assert_false(sl_tail_parse(torn, &got));
}

struct seen {
	int n;
	uint64_t seq;
};

static int see(const struct sl_tail_mark *m, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->seq = SL_MAX(s->seq, m->seq);
	return 0;
}

static void journal(void **state)
{
	char dir[] = "./slt-tail-XXXXXX";
	struct sl_tail t = {.fd = -1};
	struct seen s = {0};
	uint32_t slot;
	uint8_t *buf = aligned_alloc(SL_IO_BLOCK, SL_TAIL_SLOT);
	(void)state;

	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(sl_tail_each(fd, see, &s), -ENOENT);
	assert_int_equal(sl_tail_make(&t, fd, true, sl_io_pick(NULL)), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct sl_tail_mark m = mark(100 * i, 77);
		assert_int_equal(sl_tail_add(&t, &m, &slot), 0);
		assert_int_equal(slot, i);
	}
	assert_int_equal(sl_tail_sync(&t), 0);
	assert_int_equal(sl_tail_publish(&t, fd), 0);
	assert_int_equal(sl_tail_each(fd, see, &s), 0);
	assert_int_equal(s.n, 3); /* the second slot of each is empty yet */
	assert_int_equal(s.seq, 0);
	struct sl_tail_mark m = mark(4000, 1);
	memset(buf, 0, SL_TAIL_SLOT);
	sl_tail_fill(&m, buf);
	assert_int_equal(sl_io_pwrite_all(t.fd, buf, SL_TAIL_SLOT, sl_tail_off(2, 1)), 0);
	s = (struct seen){0};
	assert_int_equal(sl_tail_each(fd, see, &s), 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.seq, 1);
	sl_tail_fini(&t);
	unlinkat(fd, SL_TAIL_FILE, 0);
	close(fd);
	rmdir(dir);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(torn_slots),
		cmocka_unit_test(journal),
	};

	return cmocka_run_group_tests_name("tail", tests, NULL, NULL);
}
