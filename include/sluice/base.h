/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h - what every module leans on: assertions, annotations, byte order.
 *
 * Two kinds of wrong exist. Bad input is counted and refused with an error
 * code; it never reaches SL_ASSERT. A broken invariant of our own aborts:
 * SL_ASSERT is always compiled in, SL_DASSERT only in builds with
 * -Dhot_asserts=true (the default of sanitizer builds).
 */
#ifndef SLUICE_BASE_H
#define SLUICE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SL_CACHELINE    64
#define SL_ALIGNED(n)   __attribute__((aligned(n)))
#define SL_MUST_CHECK   __attribute__((warn_unused_result))
#define SL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SL_NORETURN     __attribute__((noreturn))
#define SL_UNUSED       __attribute__((unused))
#define SL_INLINE       static inline __attribute__((always_inline))
#define SL_HOT          __attribute__((hot))
#define SL_COLD         __attribute__((cold, noinline))

#define sl_likely(x)   __builtin_expect(!!(x), 1)
#define sl_unlikely(x) __builtin_expect(!!(x), 0)

#define SL_ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define SL_MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define SL_MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define SL_ALIGN_UP(x, a)                (((x) + ((a)-1)) & ~((uint64_t)(a)-1))
#define SL_ALIGN_DOWN(x, a)              ((x) & ~((uint64_t)(a)-1))
#define SL_CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* Prints the expression, place and message to stderr, then abort(). Any thread. */
SL_NORETURN SL_COLD void sl_panic(const char *file, int line, const char *func, const char *expr);

#define SL_ASSERT(x)                                                                               \
	do {                                                                                       \
		if (sl_unlikely(!(x)))                                                             \
			sl_panic(__FILE__, __LINE__, __func__, #x);                                \
	} while (0)

#ifdef SL_HOT_ASSERTS
#define SL_DASSERT(x) SL_ASSERT(x)
#else
#define SL_DASSERT(x) ((void)sizeof(!(x)))
#endif

/* Big-endian access to bytes of any alignment. The caller has checked the bounds. */
SL_INLINE uint16_t sl_be16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

SL_INLINE uint32_t sl_be32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

SL_INLINE uint64_t sl_be64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

SL_INLINE void sl_put_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

SL_INLINE void sl_put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

SL_INLINE void sl_put_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian port needs other sl_be*");

/* ---- names that may come from a peer ------------------------------------------------------- */

#define SL_TOPIC_NAME_MAX 249  /* Kafka's own limit, without the NUL */
#define SL_PARTITIONS_MAX 4096 /* of one topic */

/*
 * True if `len` bytes are a legal Kafka topic name: 1 to 249 of [A-Za-z0-9._-] and neither "."
 * nor "..". Only a name that passed here may become part of a path. Any thread.
 */
bool sl_topic_name_valid(const char *name, size_t len);

/* True for the names that Kafka keeps for itself, __consumer_offsets and __transaction_state: no
 * rule, listener or bridge may write there. Any thread. */
bool sl_topic_name_internal(const char *name, size_t len);

#endif
