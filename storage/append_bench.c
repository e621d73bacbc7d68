/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append_bench.c - one writer thread, batches of one size into some partitions, to the file.
 *
 *   storage_append_bench [-d DIR] [-s STRIPES] [-i io_uring|posix] [-g MiB] [-b batch KiB]
 *                        [-p partitions] [-S sync every MiB, 0: only by time] [-B budget MiB]
 *                        [-m stripe memory MiB]
 *
 * Prints rate, CPU of the writer thread and of the whole process per MiB, and what the store
 * counted. The figures of P4 and P9 come from the harness in tests/bench; this is for working.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/record/frame.h"
#include "sluice/store.h"

#define PARTS_MAX 1024

struct bench {
	struct sl_store_cfg cfg;
	struct sl_store *s;
	struct sl_store_writer *w;
	struct sl_part *part[PARTS_MAX];
	unsigned parts;
	uint64_t bytes, sync_every;
	uint32_t batch_bytes, records;
	uint8_t *batch;
	uint64_t retries;
};

static double cpu_s(clockid_t c)
{
	struct timespec ts;

	clock_gettime(c, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void wait_writer(struct bench *b)
{
	struct pollfd pfd = {.fd = sl_store_writer_fd(b->w), .events = POLLIN};

	poll(&pfd, 1, 1);
}

static int run(struct bench *b)
{
	uint64_t done = 0, since_sync = 0;
	unsigned idle = 0;

	for (unsigned i = 0; done < b->bytes; i++) {
		struct sl_append a = {
			.part = b->part[i % b->parts],
			.batch = b->batch,
			.len = b->batch_bytes,
			.records = b->records,
			.producer_id = -1,
			.origin = SL_ORIGIN_INTERNAL,
			.ack = SL_ACK_LOGGED,
		};
		if (b->sync_every && since_sync >= b->sync_every) {
			a.ack = SL_ACK_SYNCED;
			since_sync = 0;
		}
		int rc;
		while ((rc = sl_store_append(b->w, &a)) == -EAGAIN) {
			b->retries++;
			if (sl_store_poll(b->w, sl_clock_mono_ns()))
				idle = 0;
			else if (++idle > 1)
				wait_writer(b);
		}
		if (rc)
			return rc;
		done += a.len;
		since_sync += a.len;
		if (i % 4 == 3)
			sl_store_poll(b->w, sl_clock_mono_ns());
	}
	return 0;
}

static int set_up(struct bench *b)
{
	char err[256];
	struct sl_topic *t = NULL;
	struct sl_store_recovery rec;
	int rc = sl_store_open(&b->cfg, &b->s, &rec, err, sizeof(err));
	if (rc) {
		fprintf(stderr, "%s\n", err);
		return rc;
	}
	printf("start: %s, %u partitions in %.0f ms, %.0f MiB looked at\n",
	       rec.clean ? "clean" : "after a crash", rec.partitions,
	       (double)rec.duration_us / 1000, (double)rec.scanned_bytes / (1 << 20));
	t = sl_store_topic_find(b->s, "bench", 5);
	if (!t)
		rc = sl_store_topic_create(b->s, "bench", b->parts, NULL, &t);
	for (unsigned i = 0; !rc && i < b->parts; i++)
		b->part[i] = sl_topic_part(t, (int32_t)i);
	sl_topic_put(t); /* the store keeps its own */
	if (!rc)
		rc = sl_store_writer_attach(b->s, 0, &b->w);
	return rc;
}

static void make_batch(struct bench *b, uint32_t bytes)
{
	struct sl_bb bb;
	uint8_t val[200];
	int64_t ts = (int64_t)time(NULL) * 1000;

	b->batch = aligned_alloc(64, bytes + 4096);
	if (!b->batch)
		abort();
	for (unsigned i = 0; i < sizeof(val); i++)
		val[i] = (uint8_t)(i * 7);
	sl_bb_init(&bb, b->batch, bytes);
	struct sl_slice key = {val, 4}, v = {val, sizeof(val)};
	while (sl_bb_add(&bb, ts, key, v, NULL, 0))
		;
	b->records = bb.cnt;
	b->batch_bytes = sl_bb_close(&bb);
}

static void report(struct bench *b, double wall, double thread, double process)
{
	struct sl_store_stats st;
	double mib = (double)b->bytes / (1 << 20);

	sl_store_stats(b->s, &st);
	printf("%s: %.0f MiB in %.2f s = %.2f GB/s; CPU per MiB: writer %.1f us, process %.1f us\n",
	       sl_store_io_name(b->s), mib, wall, (double)b->bytes / wall / 1e9, thread * 1e6 / mib,
	       process * 1e6 / mib);
	printf("  %llu writes of %.0f KiB, %llu syncs, written/appended %.3f, retries %llu, "
	       "evicted %llu\n",
	       (unsigned long long)st.writes,
	       (double)st.write_bytes / 1024 / (double)(st.writes + !st.writes),
	       (unsigned long long)st.syncs, (double)st.write_bytes / (double)b->bytes,
	       (unsigned long long)b->retries, (unsigned long long)st.evicted_segments);
}

static int options(struct bench *b, int argc, char **argv, uint32_t *batch_kib)
{
	int o;

	while ((o = getopt(argc, argv, "d:s:i:g:b:p:S:B:m:")) != -1) {
		switch (o) {
		case 'd':
			b->cfg.data = optarg;
			break;
		case 's':
			b->cfg.stripe_dir = optarg;
			break;
		case 'i':
			b->cfg.io = optarg;
			break;
		case 'g':
			b->bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'b':
			*batch_kib = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			b->parts = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'S':
			b->sync_every = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'B':
			b->cfg.budget_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'm':
			b->cfg.stripe_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		default:
			return -EINVAL;
		}
	}
	return b->parts >= 1 && b->parts <= PARTS_MAX && *batch_kib >= 1 && *batch_kib <= 1000
		       ? 0
		       : -EINVAL;
}

int main(int argc, char **argv)
{
	struct bench b = {
		.cfg = {.data = "bench-data",
			.writers = 1,
			.stripe_bytes = 64u << 20,
			.budget_bytes = 4ull << 30,
			.retention_check_ms = 1000},
		.bytes = 8ull << 30,
		.parts = 4,
	};
	uint32_t batch_kib = 64;

	sl_log_set_level(SL_LOG_ERROR);
	if (options(&b, argc, argv, &batch_kib)) {
		fprintf(stderr, "see the head of append_bench.c\n");
		return 2;
	}
	make_batch(&b, batch_kib << 10);
	if (set_up(&b))
		return 1;
	double wall = cpu_s(CLOCK_MONOTONIC), thread = cpu_s(CLOCK_THREAD_CPUTIME_ID);
	double process = cpu_s(CLOCK_PROCESS_CPUTIME_ID);
	int rc = run(&b);
	if (!rc)
		rc = sl_store_writer_drain(b.w, UINT64_MAX);
	wall = cpu_s(CLOCK_MONOTONIC) - wall;
	thread = cpu_s(CLOCK_THREAD_CPUTIME_ID) - thread;
	process = cpu_s(CLOCK_PROCESS_CPUTIME_ID) - process;
	if (rc)
		fprintf(stderr, "%s\n", strerror(-rc));
	report(&b, wall, thread, process);
	sl_store_writer_detach(b.w);
	sl_store_close(b.s, true);
	free(b.batch);
	return rc ? 1 : 0;
}
