/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_af_packet.c - AF_PACKET through DPDK's net_af_packet, one queue.
 *
 * The driver says nothing about losses and hides its socket. We find it, read PACKET_STATISTICS
 * from it (which clears them: this is the only reader), and give it a filter: nothing before
 * start, then everything but what the box itself sends and, unless promiscuous, what is meant for
 * other stations. (PACKET_IGNORE_OUTGOING has no effect on a socket in a fanout group, and the
 * driver puts it into one.) Frames the filter turns away are not in the statistics.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <sys/socket.h>

#include "port_int.h"

#define FRAME_OVERHEAD   80 /* TPACKET_V2's header and alignment in front of a frame */
#define FRAME_MIN        2048
#define FRAMES_PER_BLOCK 16          /* a multiple of 256 times 16 is whole pages */
#define RING_BYTES       (16u << 20) /* 8,192 frames at an MTU of 1,500: 160 ms at 50,000/s */
#define MTU_MAX          9600
#define FRAME_LARGEST    9728 /* frame_size(MTU_MAX) */

/* Longer frames (the loopback's MTU is 65,536) arrive cut, and count as bad[truncated]. */
static uint32_t frame_size(uint32_t mtu)
{
	mtu = SL_MIN(mtu, (uint32_t)MTU_MAX);
	uint32_t n = (uint32_t)SL_ALIGN_UP(mtu + 14 + 4 + FRAME_OVERHEAD, 256);

	return SL_MAX(n, (uint32_t)FRAME_MIN);
}

static int packet_needs(const struct sl_cfg_port *cfg, const struct sl_nl_link *link,
			uint32_t *ret_room, uint32_t *ret_mbufs, char *err, size_t errlen)
{
	(void)err;
	(void)errlen;
	*ret_room = frame_size(cfg->mtu ? cfg->mtu : link->mtu);
	*ret_mbufs = 0;
	return 0;
}

static int packet_prepare(struct sl_port *p, char *args, size_t len, char *err, size_t errlen)
{
	uint32_t frame = frame_size(p->cfg.mtu ? p->cfg.mtu : p->link0.mtu);
	uint32_t block = frame * FRAMES_PER_BLOCK;

	(void)err;
	(void)errlen;
	snprintf(args, len, "iface=%s,qpairs=1,framesz=%u,blocksz=%u,framecnt=%u", p->cfg.device,
		 frame, block, RING_BYTES / block * FRAMES_PER_BLOCK);
	return 0;
}

static int attach_filter(int fd, struct sock_filter *code, unsigned short len)
{
	struct sock_fprog prog = {.len = len, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

static int packet_gate(struct sl_port *p, bool open)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter incoming[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 p->cfg.promiscuous ? PACKET_OUTGOING : PACKET_OTHERHOST, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return open ? attach_filter(p->fd, incoming, SL_ARRAY_SIZE(incoming))
		    : attach_filter(p->fd, nothing, SL_ARRAY_SIZE(nothing));
}

static bool is_packet(int fd, void *arg)
{
	const int *ifindex = arg;
	struct sockaddr_ll ll = {0};
	socklen_t len = sizeof(ll);

	return sl_fd_domain(fd, AF_PACKET) && !getsockname(fd, (struct sockaddr *)&ll, &len) &&
	       ll.sll_ifindex == *ifindex;
}

static int packet_ready(struct sl_port *p, const struct sl_fdset *before, char *err, size_t errlen)
{
	int fd = sl_fd_new(before, is_packet, &p->link0.index);

	if (fd < 0) {
		snprintf(err, errlen, "%s: the packet socket was not found", p->cfg.device);
		return fd;
	}
	p->fd = fd;
	p->loss_exact = true;
	return packet_gate(p, false);
}

static int read_statistics(struct sl_port *p)
{
	struct tpacket_stats st = {0};
	socklen_t len = sizeof(st);

	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len))
		return -errno;
	p->packet.packets += st.tp_packets; /* includes the dropped ones */
	p->packet.drops += st.tp_drops;
	return 0;
}

/* The socket listens since it was made: what came before the gate closed is not ours. */
static int packet_base(struct sl_port *p)
{
	int rc = read_statistics(p);

	p->packet.packets = p->packet.drops = 0;
	return rc;
}

static int packet_losses(struct sl_port *p, struct sl_port_losses *ret_l)
{
	int error = 0;
	socklen_t len = sizeof(error);

	/* After a link went down poll() says POLLERR until somebody takes the error. */
	(void)getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	int rc = read_statistics(p);
	if (rc)
		return rc;
	ret_l->wire = p->packet.packets;
	ret_l->lost = p->packet.drops;
	return 0;
}

const struct sl_port_ops sl_port_af_packet = {
	.name = "af_packet",
	.driver = "net_af_packet",
	.interface = true,
	.quiet = true,
	.descriptors = 512, /* not used by the driver: its ring is in the arguments */
	.ring = RING_BYTES / FRAME_LARGEST,
	.needs = packet_needs,
	.prepare = packet_prepare,
	.ready = packet_ready,
	.gate = packet_gate,
	.base = packet_base,
	.losses = packet_losses,
};
