/* SPDX-License-Identifier: Apache-2.0 */
#include "classify.h"

#include <errno.h>
#include <stdlib.h>

#include "inet_sum.h"
#include "listen_table.h"

enum {
	ETH_HDR = 14,
	ETH_TYPE_OFF = 12,
	ETH_TYPE_MIN = 0x600, /* below: an 802.3 length */
	ETH_IPV4 = 0x0800,
	ETH_IPV6 = 0x86dd,
	ETH_VLAN = 0x8100,
	ETH_QINQ = 0x88a8,
	ETH_QINQ_OLD = 0x9100,
	VLAN_TAG = 4,

	IP4_HDR = 20,
	IP4_LEN_OFF = 2,
	IP4_FRAG_OFF = 6,
	IP4_FRAG_MASK = 0x3fff, /* more fragments, offset */
	IP4_PROTO_OFF = 9,
	IP4_SRC_OFF = 12,
	IP4_DST_OFF = 16,

	IP6_HDR = 40,
	IP6_LEN_OFF = 4,
	IP6_NEXT_OFF = 6,
	IP6_SRC_OFF = 8,
	IP6_DST_OFF = 24,
	IP6_FRAG_HDR = 8,
	IP6_FRAG_MASK = 0xfff9, /* offset, more fragments */

	PROTO_HOPOPTS = 0,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_DSTOPTS = 60,

	UDP_HDR = 8,
	UDP_DPORT_OFF = 2,
	UDP_LEN_OFF = 4,
	UDP_CSUM_OFF = 6,
};

struct sl_classifier {
	struct sl_listen_table t;
	bool trust_partial, trust_all;
	sl_inet_sum_fn sum;
};

/* ---- life ------------------------------------------------------------------------------------ */

int sl_cls_new(const struct sl_cls_cfg *cfg, struct sl_classifier **ret_cls)
{
	struct sl_classifier *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	int rc = sl_lt_init(&c->t, cfg->listener, cfg->listener_cnt, cfg->port);
	if (rc) {
		free(c);
		return rc;
	}
	c->trust_partial = cfg->trust_partial_csum;
	c->trust_all = cfg->trust_all_csum;
	c->sum = sl_inet_sum_best();
	*ret_cls = c;
	return 0;
}

void sl_cls_free(struct sl_classifier *c)
{
	if (!c)
		return;
	sl_lt_fini(&c->t);
	free(c);
}

/* ---- sources that nobody may have
 * ---------------------------------------------------------------- */

SL_INLINE bool bad_source4(const struct sl_classifier *c, const uint8_t *src, const uint8_t *dst)
{
	uint32_t s = sl_lt_load32(src);

	if (src[0] == 0 || src[0] == 127 || src[0] >= 224 || s == sl_lt_load32(dst))
		return true;
	return sl_unlikely(c->t.own4 & sl_lt_own_bit4(s)) && sl_lt_ours4(&c->t, src, false);
}

SL_INLINE bool bad_source6(const struct sl_classifier *c, const uint8_t *src, const uint8_t *dst)
{
	uint64_t s[2], d[2];

	memcpy(s, src, 16);
	memcpy(d, dst, 16);
	if (src[0] == 0xff || (s[0] == d[0] && s[1] == d[1]))
		return true;
	if (s[0] == 0 && (s[1] == 0 || s[1] == UINT64_C(1) << 56)) /* :: and ::1 */
		return true;
	return sl_unlikely(c->t.own6 & sl_lt_own_bit6(s)) && sl_lt_ours6(&c->t, src, false);
}

/* ---- UDP ----------------------------------------------------------------------------------- */

/*
 * The datagram itself: `udp` points at its header, `room` bytes (>= 8) belong to the IP payload
 * and lie in the frame, `pseudo` is the sum of both addresses.
 */
SL_INLINE enum sl_frame_row check_udp(const struct sl_classifier *c, const uint8_t *udp,
				      uint32_t room, uint64_t pseudo, struct sl_pkt *pkt)
{
	uint32_t ulen = sl_be16(udp + UDP_LEN_OFF);
	uint16_t raw_len, csum;

	if (sl_unlikely(ulen < UDP_HDR || ulen > room))
		return SL_FR_BAD_UDP_LENGTH;
	pkt->sport = sl_be16(udp);
	if (sl_unlikely(pkt->sport == 0))
		return SL_FR_BAD_UDP_PORT;
	pkt->payload.p = udp + UDP_HDR;
	pkt->payload.len = ulen - UDP_HDR;
	pkt->csum_trusted = false;
	if (c->trust_all)
		return SL_FR_ACCEPTED;
	memcpy(&csum, udp + UDP_CSUM_OFF, 2);
	if (csum == 0)
		return pkt->family == 4 ? SL_FR_ACCEPTED : SL_FR_BAD_UDP_CHECKSUM;
	memcpy(&raw_len, udp + UDP_LEN_OFF, 2);
	pseudo += raw_len + ((uint64_t)PROTO_UDP << 8);
	if (c->trust_partial && csum == sl_inet_fold(pseudo)) {
		pkt->csum_trusted = true;
		return SL_FR_ACCEPTED;
	}
	if (sl_unlikely(sl_inet_fold(pseudo + c->sum(udp, ulen)) != 0xffff))
		return SL_FR_BAD_UDP_CHECKSUM;
	return SL_FR_ACCEPTED;
}

/* ---- IPv4 ---------------------------------------------------------------------------------- */

SL_INLINE bool good_header4(const uint8_t *ip, uint32_t hl)
{
	uint64_t s = sl_inet_sum20(ip);

	if (sl_unlikely(hl > IP4_HDR))
		s += sl_inet_sum_scalar(ip + IP4_HDR, hl - IP4_HDR);
	return sl_inet_fold(s) == 0xffff;
}

/* UDP over IPv4 that is not whole or too short for a UDP header: no port to go by. */
SL_COLD static enum sl_frame_row odd4(const struct sl_classifier *c, const uint8_t *ip, uint32_t hl,
				      uint32_t left)
{
	if (!sl_lt_ours4(&c->t, ip + IP4_DST_OFF, true))
		return SL_FR_OTHER;
	if (left < hl)
		return SL_FR_BAD_TRUNCATED;
	if (!good_header4(ip, hl))
		return SL_FR_BAD_IP_CHECKSUM;
	if (sl_be16(ip + IP4_FRAG_OFF) & IP4_FRAG_MASK)
		return SL_FR_FRAG_V4;
	if (sl_be16(ip + IP4_LEN_OFF) < hl + UDP_HDR)
		return SL_FR_BAD_UDP_LENGTH;
	return SL_FR_BAD_TRUNCATED;
}

SL_INLINE enum sl_frame_row classify4(const struct sl_classifier *c, const uint8_t *ip,
				      uint32_t left, struct sl_pkt *pkt)
{
	if (sl_unlikely(left < IP4_HDR))
		return SL_FR_BAD_TRUNCATED;
	uint32_t hl = (uint32_t)(ip[0] & 15) * 4, total = sl_be16(ip + IP4_LEN_OFF);
	if (sl_unlikely(ip[0] >> 4 != 4))
		return SL_FR_BAD_IP_VERSION;
	if (sl_unlikely(hl < IP4_HDR || total < hl))
		return SL_FR_BAD_IP_HEADER;
	if (ip[IP4_PROTO_OFF] != PROTO_UDP)
		return SL_FR_OTHER;
	if (sl_unlikely((sl_be16(ip + IP4_FRAG_OFF) & IP4_FRAG_MASK) ||
			SL_MIN(total, left) < hl + UDP_HDR))
		return odd4(c, ip, hl, left);
	const uint8_t *udp = ip + hl;
	uint16_t dport = sl_be16(udp + UDP_DPORT_OFF);
	uint16_t idx = sl_lt_lookup4(&c->t, ip + IP4_DST_OFF, dport);
	if (sl_unlikely(idx == 0))
		return dport == 0 && sl_lt_ours4(&c->t, ip + IP4_DST_OFF, true) ? SL_FR_BAD_UDP_PORT
										: SL_FR_OTHER;
	if (sl_unlikely(total > left))
		return SL_FR_BAD_TRUNCATED;
	if (sl_unlikely(!good_header4(ip, hl)))
		return SL_FR_BAD_IP_CHECKSUM;
	pkt->src = ip + IP4_SRC_OFF;
	if (sl_unlikely(bad_source4(c, pkt->src, ip + IP4_DST_OFF)))
		return SL_FR_BAD_IP_SOURCE;
	pkt->listener = idx - 1;
	pkt->family = 4;
	uint64_t pseudo = (uint64_t)sl_lt_load32(pkt->src) + sl_lt_load32(ip + IP4_DST_OFF);
	return check_udp(c, udp, total - hl, pseudo, pkt);
}

/* ---- IPv6 ---------------------------------------------------------------------------------- */

struct ext6 {
	const uint8_t *p; /* the header after the extensions */
	uint32_t left;    /* bytes from there that belong to the payload and lie in the frame */
	uint8_t next;
	bool cut; /* the frame ends before the payload does */
};

/*
 * Steps over one extension header. SL_FR_ACCEPTED: done, look at `next` again. Each kind states
 * its length differently (RFC 8200 section 4, RFC 4302 section 2.2).
 */
static enum sl_frame_row step6(struct ext6 *x, unsigned nth, uint32_t *bytes)
{
	uint32_t n;

	if (x->left < 8)
		return x->cut ? SL_FR_BAD_TRUNCATED : SL_FR_BAD_IP_HEADER;
	if (x->next == PROTO_ROUTING || nth >= SL_CLS_EXT_MAX)
		return SL_FR_BAD_IP_HEADER;
	if (x->next == PROTO_HOPOPTS && nth > 0)
		return SL_FR_BAD_IP_HEADER;
	if (x->next == PROTO_FRAGMENT) {
		n = IP6_FRAG_HDR;
		if (sl_be16(x->p + 2) & IP6_FRAG_MASK)
			return SL_FR_FRAG_V6;
	} else if (x->next == PROTO_AH) {
		n = ((uint32_t)x->p[1] + 2) * 4;
	} else {
		n = ((uint32_t)x->p[1] + 1) * 8;
	}
	*bytes += n;
	if (*bytes > SL_CLS_EXT_BYTES_MAX)
		return SL_FR_BAD_IP_HEADER;
	if (n > x->left)
		return x->cut ? SL_FR_BAD_TRUNCATED : SL_FR_BAD_IP_HEADER;
	x->next = x->p[0];
	x->p += n;
	x->left -= n;
	return SL_FR_ACCEPTED;
}

static bool is_ext6(uint8_t next)
{
	return next == PROTO_HOPOPTS || next == PROTO_ROUTING || next == PROTO_FRAGMENT ||
	       next == PROTO_DSTOPTS || next == PROTO_AH;
}

/* All of them. What follows a fragment header says whether the fragment is UDP's at all. */
SL_COLD static enum sl_frame_row skip6(struct ext6 *x)
{
	uint32_t bytes = 0;

	for (unsigned nth = 0; is_ext6(x->next); nth++) {
		bool frag = x->next == PROTO_FRAGMENT;
		enum sl_frame_row row = step6(x, nth, &bytes);
		if (row == SL_FR_FRAG_V6 && x->p[0] != PROTO_UDP && !is_ext6(x->p[0]))
			return SL_FR_OTHER;
		if (row != SL_FR_ACCEPTED)
			return row;
		if (frag && x->next == PROTO_FRAGMENT)
			return SL_FR_BAD_IP_HEADER;
	}
	return SL_FR_ACCEPTED;
}

SL_INLINE enum sl_frame_row classify6(const struct sl_classifier *c, const uint8_t *ip,
				      uint32_t left, struct sl_pkt *pkt)
{
	if (sl_unlikely(left < IP6_HDR))
		return SL_FR_BAD_TRUNCATED;
	if (sl_unlikely(ip[0] >> 4 != 6))
		return SL_FR_BAD_IP_VERSION;
	const uint8_t *dst = ip + IP6_DST_OFF;
	uint32_t plen = sl_be16(ip + IP6_LEN_OFF);
	struct ext6 x = {.p = ip + IP6_HDR,
			 .left = SL_MIN(plen, left - IP6_HDR),
			 .next = ip[IP6_NEXT_OFF],
			 .cut = plen > left - IP6_HDR};
	if (sl_unlikely(x.next != PROTO_UDP)) {
		if (!is_ext6(x.next) || !sl_lt_ours6(&c->t, dst, true))
			return SL_FR_OTHER;
		enum sl_frame_row row = skip6(&x);
		if (row != SL_FR_ACCEPTED)
			return row;
		if (x.next != PROTO_UDP)
			return SL_FR_OTHER;
	}
	if (sl_unlikely(x.left < UDP_HDR))
		return !sl_lt_ours6(&c->t, dst, true) ? SL_FR_OTHER
		       : x.cut                        ? SL_FR_BAD_TRUNCATED
						      : SL_FR_BAD_UDP_LENGTH;
	uint16_t dport = sl_be16(x.p + UDP_DPORT_OFF);
	uint16_t idx = sl_lt_lookup6(&c->t, dst, dport);
	if (sl_unlikely(idx == 0))
		return dport == 0 && sl_lt_ours6(&c->t, dst, true) ? SL_FR_BAD_UDP_PORT
								   : SL_FR_OTHER;
	if (sl_unlikely(x.cut))
		return SL_FR_BAD_TRUNCATED;
	pkt->src = ip + IP6_SRC_OFF;
	if (sl_unlikely(bad_source6(c, pkt->src, dst)))
		return SL_FR_BAD_IP_SOURCE;
	pkt->listener = idx - 1;
	pkt->family = 6;
	return check_udp(c, x.p, x.left, sl_inet_sum_scalar(pkt->src, 32), pkt);
}

/* ---- the link layer ------------------------------------------------------------------------ */

SL_INLINE bool is_tag(uint16_t type)
{
	return type == ETH_VLAN || type == ETH_QINQ || type == ETH_QINQ_OLD;
}

SL_HOT enum sl_frame_row sl_classify(const struct sl_classifier *c, const uint8_t *frame,
				     uint32_t len, struct sl_pkt *ret_pkt)
{
	if (sl_unlikely(len < ETH_HDR))
		return SL_FR_BAD_L2_SHORT;
	uint32_t off = ETH_HDR;
	uint16_t type = sl_be16(frame + ETH_TYPE_OFF);
	for (unsigned tags = 0; sl_unlikely(is_tag(type)); tags++) {
		if (tags == SL_CLS_VLAN_MAX)
			return SL_FR_BAD_VLAN_DEPTH;
		if (len < off + VLAN_TAG)
			return SL_FR_BAD_L2_SHORT;
		type = sl_be16(frame + off + 2);
		off += VLAN_TAG;
	}
	if (sl_likely(type == ETH_IPV4))
		return classify4(c, frame + off, len - off, ret_pkt);
	if (type == ETH_IPV6)
		return classify6(c, frame + off, len - off, ret_pkt);
	return type < ETH_TYPE_MIN ? SL_FR_BAD_L2_LENGTH : SL_FR_OTHER;
}
