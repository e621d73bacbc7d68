/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live_gen.h - what live_gen.c tells its XDP program, and what that counts.
 *
 * One array map with one entry; the program is its only writer while a run lasts.
 */
#ifndef SL_BENCH_LIVE_GEN_H
#define SL_BENCH_LIVE_GEN_H

#include <linux/types.h>

enum {
	LG_ETH = 14,
	LG_IP_CSUM_OFF = LG_ETH + 10,
	LG_IP_SRC_OFF = LG_ETH + 12,
	LG_UDP_CSUM_OFF = LG_ETH + 20 + 6,
	LG_PAYLOAD_OFF = LG_ETH + 20 + 8,
	LG_SEQ_OFF = LG_PAYLOAD_OFF + 44, /* even: eight hex digits of the sequence number */
	LG_SEQ_LEN = 8,
};

struct lg_state {
	__u64 seq;         /* frames made so far */
	__u64 start_ns;    /* CLOCK_MONOTONIC of frame 0; 0 = set by the first frame */
	__u64 interval_ns; /* 0 = as fast as it goes */
	__u32 devices;     /* source addresses src .. src + devices - 1 */
	__u32 src;         /* host order; the low 16 bits must not overflow */
	__u32 ip_sum;      /* sum of the IP header's 16-bit words (as they lie), source low word and
			      checksum 0 */
	__u32 udp_sum; /* the same of pseudo-header and UDP, source low word, sequence and checksum
			  0 */
};

#endif
