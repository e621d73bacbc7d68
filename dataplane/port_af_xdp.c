/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_af_xdp.c - AF_XDP through DPDK's net_af_xdp, with our own XDP program.
 *
 * What the driver leaves to us, all seen in 22.11: the whole pool is one UMEM of chunks of at most
 * a page; 2,048 mbufs sit in the fill ring for good; closing forgets the AF_XDP socket, the
 * program's and the maps' descriptors; a failed queue set-up leaves the program attached.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool.h"
#include "port_int.h"
#include "xdp.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define ROOM_EXTRA     400  /* Ethernet, VLAN tags, and the 256 bytes XDP wants in front */
#define ROOM_MIN       2048 /* the kernel refuses chunks below 2,048 bytes */
#define CHUNK_MAX      4096
#define CHUNK_OVERHEAD (64 + 128 + 64 + 128) /* object header, mbuf, private area, headroom */
#define FILL_RING      2048
#define QUEUE_WAIT_MS  2000
#define QUEUE_STEP_MS  10
#define SPIN_BUDGET    64 /* the driver's default */

static int xdp_needs(const struct sl_cfg_port *cfg, const struct sl_nl_link *link,
		     uint32_t *ret_room, uint32_t *ret_mbufs, char *err, size_t errlen)
{
	uint32_t mtu = cfg->mtu ? cfg->mtu : link->mtu;
	uint32_t room = SL_MAX(mtu + ROOM_EXTRA, (uint32_t)ROOM_MIN);

	if (room + CHUNK_OVERHEAD > CHUNK_MAX) {
		snprintf(err, errlen,
			 "%s has an MTU of %u; af_xdp takes at most %d (use mtu: or af_packet)",
			 cfg->device, mtu, CHUNK_MAX - CHUNK_OVERHEAD - ROOM_EXTRA);
		return -EMSGSIZE;
	}
	*ret_room = room;
	*ret_mbufs = FILL_RING;
	return 0;
}

uint32_t sl_port_rx_queues(const char *device)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (void *)&ch};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t n = 1;

	if (fd < 0)
		return n;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", device);
	if (!ioctl(fd, SIOCETHTOOL, &ifr))
		n = ch.combined_count + ch.rx_count;
	close(fd);
	return n ? n : 1;
}

/*
 * Asks for queue 0 in the zero-copy way and reports what the kernel says: -EBUSY while another
 * socket has it, which is also so for some 50 ms after a socket was closed.
 */
static int ask_for_queue(int ifindex)
{
	struct sockaddr_xdp sx = {.sxdp_family = AF_XDP,
				  .sxdp_ifindex = (uint32_t)ifindex,
				  .sxdp_flags = XDP_ZEROCOPY};
	struct xdp_umem_reg reg = {.len = 4 * 4096, .chunk_size = 4096};
	int ring = 2, fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *mem = mmap(NULL, reg.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	reg.addr = (uintptr_t)mem;
	int rc = fd < 0 || mem == MAP_FAILED ||
				 setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ||
				 setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &ring, sizeof(ring)) ||
				 setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &ring,
					    sizeof(ring)) ||
				 setsockopt(fd, SOL_XDP, XDP_RX_RING, &ring, sizeof(ring)) ||
				 bind(fd, (struct sockaddr *)&sx, sizeof(sx))
			 ? -errno
			 : 0;
	if (fd >= 0)
		close(fd);
	if (mem != MAP_FAILED)
		munmap(mem, reg.len);
	return rc;
}

static int wait_for_queue(const struct sl_port *p, char *err, size_t errlen)
{
	for (unsigned i = 0; i < QUEUE_WAIT_MS / QUEUE_STEP_MS; i++) {
		int rc = ask_for_queue(p->link0.index);
		if (rc < 0 && rc != -EBUSY) /* -EOPNOTSUPP: free, but no zero copy here */
			return 0;
		usleep(QUEUE_STEP_MS * 1000);
		if (!rc) { /* zero copy: it was ours for a moment, and is let go */
			usleep(QUEUE_STEP_MS * 10000);
			return 0;
		}
	}
	snprintf(err, errlen, "%s: another program has an AF_XDP socket on its queue 0",
		 p->cfg.device);
	return -EBUSY;
}

static int xdp_prepare(struct sl_port *p, char *args, size_t len, char *err, size_t errlen)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	uint32_t queues = sl_port_rx_queues(p->cfg.device);

	if (queues > 1) {
		snprintf(err, errlen,
			 "%s spreads what it receives over %u queues and af_xdp takes one; "
			 "run ethtool -L %s combined 1, or use af_packet",
			 p->cfg.device, queues, p->cfg.device);
		return -EINVAL;
	}
	if (!sl_pool_gapless(p->pool)) {
		snprintf(err, errlen,
			 "%s: the packet buffers are not one piece of memory, which "
			 "af_xdp needs; raise dataplane.memory",
			 p->cfg.device);
		return -ENOMEM;
	}
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited); /* needless with CAP_IPC_LOCK */
	int rc = sl_xdp_open(p->cfg.device, p->link0.index, &p->xdp, err, errlen);
	if (!rc)
		rc = wait_for_queue(p, err, errlen);
	if (rc)
		return rc;
	snprintf(args, len, "iface=%s,start_queue=0,queue_count=1,xdp_prog=%s,busy_budget=%d",
		 p->cfg.device, sl_xdp_path(p->xdp), p->idle == SL_IDLE_SPIN ? SPIN_BUDGET : 0);
	return 0;
}

static bool is_xsk(int fd, void *arg)
{
	(void)arg;
	return sl_fd_domain(fd, AF_XDP);
}

static bool zero_copy(int fd)
{
	struct xdp_options o = {0};
	socklen_t len = sizeof(o);

	return !getsockopt(fd, SOL_XDP, XDP_OPTIONS, &o, &len) && (o.flags & XDP_OPTIONS_ZEROCOPY);
}

static int xdp_ready(struct sl_port *p, const struct sl_fdset *before, char *err, size_t errlen)
{
	int fd = sl_fd_new(before, is_xsk, NULL);

	if (fd < 0) {
		snprintf(err, errlen, "%s: the AF_XDP socket was not found", p->cfg.device);
		return fd;
	}
	p->fd = fd;
	int rc = sl_xdp_attached(p->xdp, err, errlen);
	if (rc)
		return rc;
	rc = sl_xdp_listeners(p->xdp, p->listener, p->listener_cnt);
	if (rc) {
		snprintf(err, errlen, "%s: cannot tell XDP its %u listeners: %s", p->cfg.device,
			 p->listener_cnt, strerror(-rc));
		return rc;
	}
	/* With zero copy the card drops before our program counts: nothing proves the figure. */
	p->loss_exact = !zero_copy(fd);
	if (!sl_xdp_native(p->xdp))
		snprintf(
			p->why, sizeof(p->why),
			"af_xdp: the driver of %.15s takes no XDP program, so it runs in the "
			"network "
			"stack (generic, slower); the kernel keeps everything but the ingest ports",
			p->cfg.device);
	return 0;
}

static int xdp_gate(struct sl_port *p, bool open)
{
	struct sl_xdp_cfg c = {.open = open, .all_macs = p->cfg.promiscuous};

	memcpy(c.mac, p->link0.mac, sizeof(c.mac));
	return sl_xdp_gate(p->xdp, &c);
}

/*
 * The program counts what it redirects. A frame is then either in the socket's ring or counted by
 * the socket: rx_dropped (no free buffer, or too long), rx_ring_full. The interface's rx_dropped
 * has these too, but also everybody else's.
 */
static int xdp_losses(struct sl_port *p, struct sl_port_losses *ret_l)
{
	uint64_t stat[SL_XDP_STAT_CNT];
	struct xdp_statistics xs = {0};
	socklen_t len = sizeof(xs);

	if (getsockopt(p->fd, SOL_XDP, XDP_STATISTICS, &xs, &len))
		return -errno;
	int rc = sl_xdp_stats(p->xdp, stat);
	if (rc)
		return rc;
	ret_l->wire = stat[SL_XDP_REDIRECTED] + stat[SL_XDP_NO_SOCKET];
	ret_l->lost = xs.rx_dropped + xs.rx_ring_full + stat[SL_XDP_NO_SOCKET];
	return 0;
}

static void xdp_closing(struct sl_port *p)
{
	if (p->xdp)
		sl_xdp_hold_stranger(p->xdp);
}

static void xdp_closed(struct sl_port *p)
{
	if (p->fd >= 0 && is_xsk(p->fd, NULL))
		close(p->fd);
	p->fd = -1;
	sl_xdp_close(p->xdp);
	p->xdp = NULL;
}

const struct sl_port_ops sl_port_af_xdp = {
	.name = "af_xdp",
	.driver = "net_af_xdp",
	.interface = true,
	.quiet = true,
	.descriptors = FILL_RING,
	.ring = FILL_RING,
	.needs = xdp_needs,
	.prepare = xdp_prepare,
	.ready = xdp_ready,
	.gate = xdp_gate,
	.losses = xdp_losses,
	.closing = xdp_closing,
	.closed = xdp_closed,
};
