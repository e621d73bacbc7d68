/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp.h - a datagram that carries its sending time, and the latencies seen by who receives it.
 *
 * Layout: 8 bytes magic, 8 bytes CLOCK_MONOTONIC in ns (host order: both ends are on one host).
 */
#ifndef SL_BENCH_STAMP_H
#define SL_BENCH_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SL_STAMP_MAGIC       0x706d6174732d6c73ull
#define SL_STAMP_BYTES       16
#define SL_STAMP_SAMPLES_MAX (1u << 20)

static inline uint64_t sl_stamp_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct sl_stamp_samples {
	uint32_t *ns;
	uint32_t cnt;
	uint32_t skip; /* so many of the first are not kept: warm-up */
	uint32_t seen;
};

/* A datagram's payload just received; false if it is none of ours. */
static inline bool sl_stamp_take(struct sl_stamp_samples *s, const uint8_t *p, size_t len)
{
	uint64_t v[2], now = sl_stamp_now();

	if (len < SL_STAMP_BYTES)
		return false;
	memcpy(v, p, sizeof v);
	if (v[0] != SL_STAMP_MAGIC || v[1] > now)
		return false;
	if (s->seen++ < s->skip || s->cnt == SL_STAMP_SAMPLES_MAX)
		return true;
	uint64_t d = now - v[1];
	s->ns[s->cnt++] = d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
	return true;
}

static inline int sl_stamp_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* {"samples":n,"p50_us":x,"p99_us":x,"cpu_s":x,"seconds":x} */
static inline void sl_stamp_print(struct sl_stamp_samples *s, double cpu_s, double seconds)
{
	qsort(s->ns, s->cnt, sizeof s->ns[0], sl_stamp_cmp);
	uint32_t p50 = s->cnt ? s->ns[s->cnt / 2] : 0,
		 p99 = s->cnt ? s->ns[s->cnt - 1 - s->cnt / 100] : 0;
	printf("{\"samples\":%u,\"p50_us\":%.3f,\"p99_us\":%.3f,\"cpu_s\":%.6f,\"seconds\":%.6f}\n",
	       s->cnt, p50 / 1e3, p99 / 1e3, cpu_s, seconds);
	fflush(stdout);
}

#endif
