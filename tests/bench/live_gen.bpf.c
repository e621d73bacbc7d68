/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live_gen.bpf.c - makes each frame of a BPF live-frame test run its own: source address,
 * sequence number, both checksums; and waits for the frame's time when a rate is asked for.
 *
 * The kernel recycles the frames of a run without restoring them, so everything that varies is
 * written every time. XDP_TX sends the frame out of the device that the run names.
 */
#include "live_gen.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lg_state);
} lg_map SEC(".maps");

struct wait_ctx {
	__u64 until;
};

static long wait_step(__u32 i, struct wait_ctx *w)
{
	(void)i;
	return bpf_ktime_get_ns() >= w->until;
}

/* Sum of 16-bit words to a checksum; the words are summed as they lie, so no byte swap. */
static __u16 fold(__u32 s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}

SEC("xdp")
int sl_bench_gen(struct xdp_md *ctx)
{
	__u8 *p = (__u8 *)(long)ctx->data;
	__u8 *end = (__u8 *)(long)ctx->data_end;
	__u32 key = 0;
	struct lg_state *st = bpf_map_lookup_elem(&lg_map, &key);

	if (!st || p + LG_SEQ_OFF + LG_SEQ_LEN > end)
		return XDP_DROP;
	__u64 n = st->seq++;
	if (st->interval_ns) {
		if (!st->start_ns)
			st->start_ns = bpf_ktime_get_ns();
		struct wait_ctx w = {.until = st->start_ns + n * st->interval_ns};
		if (bpf_ktime_get_ns() < w.until)
			bpf_loop(1 << 20, wait_step, &w, 0);
	}
	__u32 src = st->src + (__u32)(st->devices ? n % st->devices : 0);
	__u16 lo = __builtin_bswap16((__u16)src);
	__u32 seq_sum = 0;
	__u16 word = 0;

#pragma unroll
	for (int i = 0; i < LG_SEQ_LEN; i++) {
		__u8 d = (__u8)(n >> (28 - 4 * i)) & 15;
		__u8 c = d < 10 ? '0' + d : 'a' + d - 10;
		p[LG_SEQ_OFF + i] = c;
		if (i & 1) {
			word |= (__u16)((__u16)c << 8);
			seq_sum += word;
		} else {
			word = c;
		}
	}
	*(__u16 *)(p + LG_IP_SRC_OFF + 2) = lo;
	*(__u16 *)(p + LG_IP_CSUM_OFF) = fold(st->ip_sum + lo);
	__u16 udp = fold(st->udp_sum + lo + seq_sum);
	*(__u16 *)(p + LG_UDP_CSUM_OFF) = udp ? udp : 0xffff;
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
