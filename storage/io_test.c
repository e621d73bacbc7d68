/* SPDX-License-Identifier: Apache-2.0 */
/* io_test.c - what every back end of the table must do. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "platform/base/sl_test.h"

#define MEM  (2u << 20)
#define REQS 1000u

static void wait_one(int efd)
{
	struct pollfd pfd = {.fd = efd, .events = POLLIN};
	uint64_t v;

	if (poll(&pfd, 1, 10000) != 1)
		fail_msg("no ring for 10 s");
	assert_int_equal(read(efd, &v, 8), 8);
}

/* More requests than the queue is deep, on memory inside and outside of what was registered. */
static void writes_and_syncs(void **state)
{
	const struct sl_io_ops *ops = *state;
	char path[] = "./slt-io-XXXXXX";
	struct sl_io *io;
	bool direct = true;
	uint8_t *mem = aligned_alloc(SL_IO_BLOCK, MEM),
		*other = aligned_alloc(SL_IO_BLOCK, SL_IO_BLOCK);
	struct sl_io_req *req = calloc(REQS + 1, sizeof(*req)), *done[64];
	uint8_t back[SL_IO_BLOCK];

	close(mkstemp(path));
	int fd = ops->open(AT_FDCWD, path, true, &direct);
	assert_true(fd >= 0);
	assert_int_equal(ops->prealloc(fd, 0, 1 << 20, true), 0);
	assert_int_equal(ops->prealloc(fd, 1 << 20, (uint64_t)REQS * SL_IO_BLOCK, false), 0);
	struct sl_io_cfg cfg = {
		.mem = mem, .mem_bytes = MEM, .efd = eventfd(0, EFD_NONBLOCK), .hold_fd = -1};
	assert_int_equal(ops->attach(&cfg, &io), 0);
	for (uint32_t i = 0; i < MEM / SL_IO_BLOCK; i++)
		memset(mem + i * SL_IO_BLOCK, (int)(i % 251), SL_IO_BLOCK);
	memset(other, 0xee, SL_IO_BLOCK);
	for (uint32_t i = 0; i < REQS; i++) {
		bool fixed = i % 3 != 0;
		req[i] = (struct sl_io_req){
			.op = SL_IO_WRITE,
			.fixed = fixed,
			.fd = fd,
			.len = SL_IO_BLOCK,
			.buf = fixed ? mem + i % (MEM / SL_IO_BLOCK) * SL_IO_BLOCK : other,
			.off = (uint64_t)i * SL_IO_BLOCK,
			.owner = &req[i]};
		ops->submit(io, &req[i]);
	}
	req[REQS] = (struct sl_io_req){.op = SL_IO_SYNC, .fd = fd, .owner = &req[REQS]};
	unsigned got = 0;
	bool synced = false;
	while (got < REQS + 1) {
		if (got == REQS && !synced) {
			synced = true;
			ops->submit(io, &req[REQS]);
		}
		ops->flush(io);
		unsigned n = ops->reap(io, done, 64);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(done[i]->res, 0);
			assert_ptr_equal(done[i]->owner, done[i]);
		}
		got += n;
		if (!n)
			wait_one(cfg.efd);
	}
	for (uint32_t i = 0; i < REQS; i++) {
		int rfd = open(path, O_RDONLY);
		assert_int_equal(pread(rfd, back, sizeof(back), (off_t)i * SL_IO_BLOCK),
				 sizeof(back));
		close(rfd);
		assert_int_equal(back[77], i % 3 ? i % (MEM / SL_IO_BLOCK) % 251 : 0xee);
	}
	/* errors come back with the request */
	int ro = open(path, O_RDONLY);
	req[0] = (struct sl_io_req){.op = SL_IO_WRITE, .fd = ro, .buf = other, .len = SL_IO_BLOCK};
	ops->submit(io, &req[0]);
	ops->flush(io);
	while (!ops->reap(io, done, 64))
		wait_one(cfg.efd);
	assert_int_equal(req[0].res, -EBADF);
	close(ro);
	ops->detach(io);
	ops->detach(NULL);
	close(cfg.efd);
	close(fd);
	unlink(path);
	free(mem);
	free(other);
	free(req);
}

static void opening(void **state)
{
	const struct sl_io_ops *ops = *state;
	bool direct = true;

	assert_int_equal(ops->open(AT_FDCWD, "./slt-none", false, &direct), -ENOENT);
	assert_int_equal(symlink("/etc/passwd", "./slt-link"), 0);
	assert_int_equal(ops->open(AT_FDCWD, "./slt-link", false, &direct), -ELOOP);
	unlink("./slt-link");
	assert_null(sl_io_pick("none"));
	assert_non_null(sl_io_pick(NULL));
}

int main(void)
{
	static const char *const names[] = {"io_uring", "posix"};
	int bad = 0;

	for (size_t i = 0; i < SL_ARRAY_SIZE(names); i++) {
		void *ops = (void *)(uintptr_t)sl_io_pick(names[i]);
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(writes_and_syncs, ops),
			cmocka_unit_test_prestate(opening, ops),
		};
		if (ops)
			bad += cmocka_run_group_tests_name(names[i], tests, NULL, NULL);
		else
			print_message("skipped part: %s is not usable here\n", names[i]);
	}
	return bad;
}
