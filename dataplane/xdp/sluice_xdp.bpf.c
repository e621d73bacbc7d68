// SPDX-License-Identifier: Apache-2.0
/*
 * sluice_xdp.bpf.c - takes the datagrams of the configured listeners, and nothing else.
 *
 * UDP to a listener's address and port is redirected to the AF_XDP socket of its queue, with up to
 * two VLAN tags, over IPv4 (with options) or IPv6 (with up to four extension headers). The rest
 * goes to the kernel as if this program were not there.
 *
 * Of a fragmented datagram only the first fragment names a port. It is redirected, so that the
 * datagram is counted; the others stay with the kernel, which drops them when its reassembly
 * times out (without an ICMP error, as it never saw the first).
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "sluice_xdp.h"

enum {
	ETH_IPV4 = 0x0800,
	ETH_IPV6 = 0x86dd,
	ETH_CTAG = 0x8100,
	ETH_STAG = 0x88a8,
	PROTO_UDP = 17,
	V6_HOP = 0,
	V6_ROUTING = 43,
	V6_FRAGMENT = 44,
	V6_DEST = 60,
	V6_EXT_MAX = 4,
};

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SL_XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps"); /* the driver looks for this name */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sl_xdp_cfg);
} sluice_cfg SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SL_XDP_LISTENERS_MAX);
	__type(key, struct sl_xdp_key);
	__type(value, __u8);
} sluice_listen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SL_XDP_STAT_CNT);
	__type(key, __u32);
	__type(value, __u64);
} sluice_stat SEC(".maps");

struct eth {
	__u8 dst[6], src[6];
	__be16 type;
} __attribute__((packed));

struct tag {
	__be16 tci, type;
} __attribute__((packed));

struct ipv4 {
	__u8 ver_ihl, tos;
	__be16 len, id, frag;
	__u8 ttl, proto;
	__be16 sum;
	__u8 src[4], dst[4];
} __attribute__((packed));

struct ipv6 {
	__be32 flow;
	__be16 len;
	__u8 next, hops;
	__u8 src[16], dst[16];
} __attribute__((packed));

struct ext {
	__u8 next, len;
	__be16 frag; /* fragment header: offset and flags */
	__be32 rest;
} __attribute__((packed));

struct udp {
	__be16 src, dst, len, sum;
} __attribute__((packed));

static __always_inline void count(__u32 row)
{
	__u64 *n = bpf_map_lookup_elem(&sluice_stat, &row);

	if (n)
		*n += 1;
}

static __always_inline int wanted(struct sl_xdp_key *k)
{
	if (bpf_map_lookup_elem(&sluice_listen, k))
		return 1;
	__builtin_memset(k->ip, 0, sizeof(k->ip));
	return bpf_map_lookup_elem(&sluice_listen, k) != NULL;
}

static __always_inline int for_us(const struct eth *e, const struct sl_xdp_cfg *cfg)
{
	__u8 differ = 0;

	if ((e->dst[0] & 1) || cfg->all_macs)
		return 1;
#pragma unroll
	for (int i = 0; i < 6; i++)
		differ |= e->dst[i] ^ cfg->mac[i];
	return !differ;
}

static __always_inline int udp_port(void *p, void *end, struct sl_xdp_key *k)
{
	struct udp *u = p;

	if ((void *)(u + 1) > end)
		return 0;
	k->port = u->dst;
	return 1;
}

static __always_inline int match_v4(void *p, void *end)
{
	struct sl_xdp_key k = {.family = 4};
	struct ipv4 *ip = p;

	if ((void *)(ip + 1) > end || ip->proto != PROTO_UDP)
		return 0;
	if (ip->frag & bpf_htons(0x1fff))
		return 0;
	__u32 hlen = (ip->ver_ihl & 0x0f) * 4u;
	if (hlen < sizeof(*ip))
		return 0;
	__builtin_memcpy(k.ip, ip->dst, 4);
	return udp_port(p + hlen, end, &k) && wanted(&k);
}

static __always_inline int match_v6(void *p, void *end)
{
	struct sl_xdp_key k = {.family = 6};
	struct ipv6 *ip = p;

	if ((void *)(ip + 1) > end)
		return 0;
	__builtin_memcpy(k.ip, ip->dst, 16);
	__u8 next = ip->next;
	p = ip + 1;
	for (int i = 0; i < V6_EXT_MAX; i++) {
		struct ext *x = p;
		if (next == PROTO_UDP)
			break;
		if ((void *)(x + 1) > end)
			return 0;
		if (next == V6_FRAGMENT) {
			if (x->frag & bpf_htons(0xfff8))
				return 0;
			p += sizeof(*x);
		} else if (next == V6_HOP || next == V6_ROUTING || next == V6_DEST) {
			p += 8 + x->len * 8u;
		} else {
			return 0;
		}
		next = x->next;
	}
	return next == PROTO_UDP && udp_port(p, end, &k) && wanted(&k);
}

static __always_inline int match(void *p, void *end, const struct sl_xdp_cfg *cfg)
{
	struct eth *e = p;

	if ((void *)(e + 1) > end || !for_us(e, cfg))
		return 0;
	__be16 type = e->type;
	p = e + 1;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct tag *t = p;
		if (type != bpf_htons(ETH_CTAG) && type != bpf_htons(ETH_STAG))
			break;
		if ((void *)(t + 1) > end)
			return 0;
		type = t->type;
		p = t + 1;
	}
	if (type == bpf_htons(ETH_IPV4))
		return match_v4(p, end);
	return type == bpf_htons(ETH_IPV6) && match_v6(p, end);
}

SEC("xdp")
int sluice_redirect(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct sl_xdp_cfg *cfg = bpf_map_lookup_elem(&sluice_cfg, &zero);

	if (!cfg || !cfg->open)
		return XDP_PASS;
	if (!match((void *)(long)ctx->data, (void *)(long)ctx->data_end, cfg))
		return XDP_PASS;
	if (bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS) != XDP_REDIRECT) {
		count(SL_XDP_NO_SOCKET);
		return XDP_PASS;
	}
	count(SL_XDP_REDIRECTED);
	return XDP_REDIRECT;
}

char LICENSE[] SEC("license") = "Apache-2.0";
