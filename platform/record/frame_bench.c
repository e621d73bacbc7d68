/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_bench.c - what one record costs: framing and copy, with and without the checksum of its
 * batch, at 100, 200 and 1000 B; and what each way of CRC-32C costs per byte. Medians of many
 * short loops. Cycles are TSC cycles.
 *
 *   ninja -C BUILD platform/record/record_frame_bench && BUILD/platform/record/record_frame_bench
 */
#include <stdio.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "platform/base/clock.h"
#include "platform/record/crc32c.h"
#include "platform/record/frame.h"

#define BATCH   (16u << 10) /* x PARTS: within L2 */
#define PARTS   8
#define LOOPS   61
#define ADDS    20000
#define MIXED   0
#define SOURCES 256 /* messages taken by turns, 1 KiB apart */

static uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#else
	return sl_clock_mono_ns();
#endif
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct cost {
	double ns, cycles;
};

static struct cost median(double *ns, double *cycles)
{
	qsort(ns, LOOPS, sizeof(*ns), by_value);
	qsort(cycles, LOOPS, sizeof(*cycles), by_value);
	return (struct cost){ns[LOOPS / 2], cycles[LOOPS / 2]};
}

/* noinline: as in the ingest loop, the compiler knows neither the lengths nor the batch. */
static __attribute__((noinline)) void fill(struct sl_bb *b, const uint8_t *src, uint32_t most,
					   bool crc)
{
	uint64_t draw = 1;

	for (uint32_t i = 0; i < ADDS; i++) {
		uint32_t len = most;

		if (most == MIXED) { /* 60 .. 315 B without a pattern, as log lines are */
			draw = draw * 6364136223846793005u + 1442695040888963407u;
			len = 60 + (uint32_t)(draw >> 56);
		}
		struct sl_bb *to = &b[i * 2654435761u >> 29];
		const uint8_t *m = src + (size_t)(i % SOURCES) * 1024;
		struct sl_slice key = {m, 9}, val = {m, len};

		if (sl_likely(sl_bb_add(to, 1769860800000 + i / 64, key, val, NULL, 0)))
			continue;
		if (crc)
			sl_bb_close(to);
		sl_bb_init(to, to->buf, to->cap);
	}
}

static struct cost frame_cost(const uint8_t *src, uint32_t len, bool crc)
{
	static double ns[LOOPS], cycles[LOOPS];
	struct sl_bb b[PARTS];

	for (int i = 0; i < PARTS; i++)
		sl_bb_init(&b[i], calloc(1, BATCH), BATCH);
	for (int l = 0; l < LOOPS; l++) {
		uint64_t t0 = sl_clock_mono_ns(), c0 = ticks();

		fill(b, src, len, crc);
		cycles[l] = (double)(ticks() - c0) / ADDS;
		ns[l] = (double)(sl_clock_mono_ns() - t0) / ADDS;
	}
	for (int i = 0; i < PARTS; i++)
		free(b[i].buf);
	return median(ns, cycles);
}

typedef uint32_t (*crc_fn)(uint32_t crc, const void *p, size_t len);

static double crc_cost(crc_fn fn, const uint8_t *src, size_t len)
{
	static double ns[LOOPS], cycles[LOOPS];
	size_t rounds = (1u << 18) / len + 16;
	volatile uint32_t sink = 0;

	for (int l = 0; l < LOOPS; l++) {
		uint64_t c0 = ticks();

		for (size_t i = 0; i < rounds; i++)
			sink = fn(sink, src, len);
		cycles[l] = (double)(ticks() - c0) / (double)(rounds * len);
		ns[l] = 0;
	}
	return median(ns, cycles).cycles;
}

int main(void)
{
	static const uint32_t lens[] = {100, 200, 1000, MIXED};
	static const size_t runs[] = {64, 128, 256, 512, 1024, 4096, 65536};
	uint8_t *src = malloc(SOURCES * 1024);

	if (!src)
		return 1;
	for (size_t i = 0; i < SOURCES * 1024; i++)
		src[i] = (uint8_t)(i * 7);
	printf("%-22s %10s %10s\n", "record", "ns", "cycles");
	for (size_t i = 0; i < SL_ARRAY_SIZE(lens); i++)
		for (int crc = 0; crc < 2; crc++) {
			struct cost c = frame_cost(src, lens[i], crc);

			printf("%4u%s B %-14s %10.1f %10.1f\n", lens[i] ? lens[i] : 60,
			       lens[i] ? "    " : "-315", crc ? "framing + CRC" : "framing", c.ns,
			       c.cycles);
		}
	printf("\n%-22s %10s %10s %10s\n", "CRC-32C, cycles/B", "isa-l", "insn", "chosen");
	for (size_t i = 0; i < SL_ARRAY_SIZE(runs); i++)
		printf("%20zu B %10.3f %10.3f %10.3f\n", runs[i],
		       crc_cost(sl_crc32c_isal, src, runs[i]),
		       crc_cost(sl_crc32c_insn, src, runs[i]),
		       crc_cost(sl_crc32c_more, src, runs[i]));
	free(src);
	return 0;
}
