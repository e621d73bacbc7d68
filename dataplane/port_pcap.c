/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_pcap.c - replays a capture through DPDK's net_pcap, once or for ever.
 *
 * The file is opened here and given to the driver as a descriptor's path, so that a name with a
 * comma is no trouble. For ever means: the driver keeps all frames in mbufs of the pool and copies
 * them round and round; it asks for as many mbufs as there are frames and delivers nothing at all
 * if there are not a few more.
 *
 * Nothing gets lost on the way but by a pool run dry: the driver has read the frame then
 * (rx_nombuf, or its error count for a frame of several mbufs).
 */
#include <errno.h>
#include <fcntl.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <unistd.h>

#include "pcap_scan.h"
#include "port_int.h"

#define ROOM_MIN        2048
#define ROOM_MAX        9728 /* longer frames come as chains of mbufs, unless for ever */
#define LOOP_FRAMES_MAX 262144
#define LOOP_SPARE      1024 /* mbufs beyond the frames, for the bursts under way */

static int open_file(const struct sl_cfg_port *cfg, int *ret_fd, struct sl_pcap_info *ret_info,
		     char *err, size_t errlen)
{
	const char *path = cfg->file[0] ? cfg->file : cfg->device;
	char why[96] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		int rc = -errno;
		snprintf(err, errlen, "port %s: %s: %s", cfg->name, path, strerror(-rc));
		return rc;
	}
	int rc = sl_pcap_scan(fd, ret_info, why, sizeof(why));
	if (!rc && !ret_info->frames && cfg->loop) {
		snprintf(why, sizeof(why), "has no frames to replay for ever");
		rc = -ENODATA;
	} else if (!rc && cfg->loop && ret_info->frames > LOOP_FRAMES_MAX) {
		snprintf(why, sizeof(why), "has %llu frames; for ever takes at most %d",
			 (unsigned long long)ret_info->frames, LOOP_FRAMES_MAX);
		rc = -EFBIG;
	} else if (!rc && cfg->loop && ret_info->frame_max > ROOM_MAX) {
		snprintf(why, sizeof(why), "has a frame of %u bytes; for ever takes at most %d",
			 ret_info->frame_max, ROOM_MAX);
		rc = -EMSGSIZE;
	}
	if (rc) {
		snprintf(err, errlen, "port %s: %s %s", cfg->name, path, why);
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static int pcap_needs(const struct sl_cfg_port *cfg, const struct sl_nl_link *link,
		      uint32_t *ret_room, uint32_t *ret_mbufs, char *err, size_t errlen)
{
	struct sl_pcap_info info;
	int fd, rc = open_file(cfg, &fd, &info, err, errlen);

	(void)link;
	if (rc)
		return rc;
	close(fd);
	*ret_room = SL_MIN(SL_MAX(info.frame_max, (uint32_t)ROOM_MIN), (uint32_t)ROOM_MAX);
	*ret_mbufs = cfg->loop ? (uint32_t)info.frames + LOOP_SPARE : 0;
	return 0;
}

static int pcap_prepare(struct sl_port *p, char *args, size_t len, char *err, size_t errlen)
{
	struct sl_pcap_info info;
	int rc = open_file(&p->cfg, &p->pcap.fd, &info, err, errlen);

	if (rc)
		return rc;
	p->pcap.frames = info.frames;
	snprintf(args, len, "rx_pcap=/proc/self/fd/%d%s", p->pcap.fd,
		 p->cfg.loop ? ",infinite_rx=1" : "");
	return 0;
}

static int pcap_ready(struct sl_port *p, const struct sl_fdset *before, char *err, size_t errlen)
{
	(void)before;
	(void)err;
	(void)errlen;
	p->loss_exact = true;
	return 0;
}

static int pcap_base(struct sl_port *p)
{
	atomic_store_explicit(&p->done, false, memory_order_release);
	return rte_eth_stats_reset(p->dpdk_port);
}

static int pcap_losses(struct sl_port *p, struct sl_port_losses *ret_l)
{
	struct rte_eth_stats st = {0};
	int rc = rte_eth_stats_get(p->dpdk_port, &st);

	if (rc)
		return rc;
	uint64_t seen = st.ipackets + st.rx_nombuf + st.ierrors;
	if (p->cfg.loop) { /* rx_nombuf here: not now, nothing lost */
		ret_l->wire = st.ipackets;
		ret_l->lost = 0;
		return 0;
	}
	/* At the end of a file that was cut, the driver counts an error with every poll. */
	if (seen > p->pcap.frames)
		seen = p->pcap.frames;
	if (seen == p->pcap.frames)
		atomic_store_explicit(&p->done, true, memory_order_release);
	ret_l->wire = seen;
	ret_l->lost = seen - st.ipackets;
	return 0;
}

static void pcap_closed(struct sl_port *p)
{
	if (p->pcap.fd >= 0)
		close(p->pcap.fd);
	p->pcap.fd = -1;
}

const struct sl_port_ops sl_port_pcap = {
	.name = "pcap",
	.driver = "net_pcap",
	.descriptors = 512,
	.needs = pcap_needs,
	.prepare = pcap_prepare,
	.ready = pcap_ready,
	.base = pcap_base,
	.losses = pcap_losses,
	.closed = pcap_closed,
};
