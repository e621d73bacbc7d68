/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify.h - one Ethernet frame: whose datagram is it, or under which row is it counted?
 *
 * A classifier is built for one port from that port's listeners and is constant afterwards; any
 * number of threads may use it. Nothing is allocated per frame, nothing outside the frame is read.
 *
 * The order of the checks decides the row of a frame with several faults, and is part of the
 * contract (docs/formats/frames.md): link layer, then just enough of the IP header to know whether
 * the frame is UDP and meant for a listener. If not, it is `other`, whatever else is wrong with
 * it. Only then lengths, checksums and the source are judged.
 *
 * Addresses: a listener without an address takes every unicast address and 255.255.255.255, never
 * a multicast group; a group or a broadcast address counts where it is listed.
 */
#ifndef SL_DATAPLANE_CLASSIFY_H
#define SL_DATAPLANE_CLASSIFY_H

#include "sluice/config.h"
#include "sluice/counters.h"
#include "sluice/wire.h"

#define SL_CLS_VLAN_MAX      2   /* tags */
#define SL_CLS_EXT_MAX       4   /* IPv6 extension headers */
#define SL_CLS_EXT_BYTES_MAX 256 /* all of them together */

struct sl_classifier;

struct sl_cls_cfg {
	const struct sl_cfg_listener *listener; /* all of the config; */
	uint32_t listener_cnt;
	uint16_t port;           /* those with this port index are taken */
	bool trust_partial_csum; /* the pseudo-header's sum alone is good: veth, tap */
	bool trust_all_csum;     /* UDP checksums are not looked at; IPv4 headers still are */
};

/* A datagram for a listener. The slices borrow from the frame. */
struct sl_pkt {
	struct sl_slice payload; /* what the UDP length covers; p is set even if len is 0 */
	const uint8_t *src;      /* 4 or 16 bytes, network order */
	uint16_t listener;       /* index into sl_cls_cfg.listener */
	uint16_t sport;
	uint8_t family;    /* 4 or 6 */
	bool csum_trusted; /* good only because the port trusts partial checksums */
};

/* Control. -ENOMEM; -EINVAL: two listeners want the same address and UDP port. */
SL_MUST_CHECK int sl_cls_new(const struct sl_cls_cfg *cfg, struct sl_classifier **ret_cls);
void sl_cls_free(struct sl_classifier *c); /* accepts NULL */

/*
 * SL_FR_ACCEPTED and *ret_pkt filled, or the row under which the frame is to be counted; *ret_pkt
 * is then unspecified. `len` bytes are there; what lies behind the UDP length is padding.
 */
enum sl_frame_row sl_classify(const struct sl_classifier *c, const uint8_t *frame, uint32_t len,
			      struct sl_pkt *ret_pkt);

#endif
