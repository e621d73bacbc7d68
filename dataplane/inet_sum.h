/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet_sum.h - the Internet checksum (RFC 1071) over bytes in memory.
 *
 * Sums are kept in 64 bits, unfolded and in the machine's own byte order: the one's complement
 * sum does not care (RFC 1071 section 2.B), as long as everything that is added was loaded the
 * same way. A buffer of odd length is padded with a zero byte. Any thread.
 */
#ifndef SL_DATAPLANE_INET_SUM_H
#define SL_DATAPLANE_INET_SUM_H

#include "sluice/base.h"

/* Below 2^16 bytes the sum stays far below 2^64, so that several may be added before folding. */
typedef uint64_t (*sl_inet_sum_fn)(const uint8_t *p, uint32_t len);

uint64_t sl_inet_sum_scalar(const uint8_t *p, uint32_t len);
/* The fastest on this CPU; chosen once, kept by the caller. */
sl_inet_sum_fn sl_inet_sum_best(void);

SL_INLINE uint16_t sl_inet_fold(uint64_t s)
{
	s = (s & 0xffffffffu) + (s >> 32);
	s = (s & 0xffffffffu) + (s >> 32);
	s = (s & 0xffffu) + (s >> 16);
	s = (s & 0xffffu) + (s >> 16);
	return (uint16_t)s;
}

/* Sum of the 20 bytes that every IPv4 header has; 0xffff after folding means good. */
SL_INLINE uint64_t sl_inet_sum20(const uint8_t *p)
{
	uint64_t a, b;
	uint32_t c;

	memcpy(&a, p, 8);
	memcpy(&b, p + 8, 8);
	memcpy(&c, p + 16, 4);
	return (a & 0xffffffffu) + (a >> 32) + (b & 0xffffffffu) + (b >> 32) + c;
}

#endif
