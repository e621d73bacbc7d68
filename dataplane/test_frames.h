/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_frames.h - Ethernet frames for the tests: built layer by layer, with every field to be
 * spoiled afterwards. Checksums are computed here byte by byte, independently of what is tested.
 */
#ifndef SL_DATAPLANE_TEST_FRAMES_H
#define SL_DATAPLANE_TEST_FRAMES_H

#include "sluice/base.h"

#define TF_MAX 2048

struct tf {             /* zero what does not matter */
	unsigned vlans; /* 0 .. 3 */
	int family;     /* 4 (default) or 6 */
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	unsigned ip_options; /* IPv4: bytes, a multiple of 4 */
	const uint8_t *ext;  /* IPv6: extension headers as they are, */
	unsigned ext_len;
	uint8_t ext_first; /* and the kind of the first */
	const void *payload;
	uint32_t payload_len;
	bool no_csum;      /* 0 in the UDP header */
	bool partial_csum; /* only the pseudo-header's sum */
	/* out */
	uint8_t buf[TF_MAX];
	uint32_t len, ip, udp; /* offsets of the headers */
};

uint16_t tf_csum(const uint8_t *p, uint32_t len, uint32_t start); /* not complemented */
void tf_build(struct tf *f);
void tf_fix_ip4_csum(struct tf *f);
void tf_v4(struct tf *f, const char *src, const char *dst, uint16_t dport, const char *payload);
void tf_v6(struct tf *f, const char *src, const char *dst, uint16_t dport, const char *payload);

#endif
