/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sl_test.h - cmocka with what it needs before it, and a seeded generator for tests that draw at
 * random: the seed is printed, and SL_TEST_SEED repeats a run.
 */
#ifndef SL_BASE_TEST_H
#define SL_BASE_TEST_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct sl_rng {
	uint64_t s;
};

static inline struct sl_rng sl_rng_from(uint64_t seed)
{
	return (struct sl_rng){seed * 2 + 1};
}

static inline uint64_t sl_test_seed(void)
{
	const char *env = getenv("SL_TEST_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);

	printf("seed %llu (SL_TEST_SEED repeats it)\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
static inline uint64_t sl_rng_u64(struct sl_rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 .. n - 1; n > 0 */
static inline uint32_t sl_rng_below(struct sl_rng *r, uint32_t n)
{
	return (uint32_t)((sl_rng_u64(r) >> 32) * n >> 32);
}

static inline void sl_rng_fill(struct sl_rng *r, void *p, size_t n)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(sl_rng_u64(r) >> 56);
}

#endif
