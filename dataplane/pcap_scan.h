/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap_scan.h - counts the frames of a capture before it is replayed.
 *
 * Reads classic pcap (both byte orders, micro- and nanoseconds) and pcapng, as libpcap under
 * net_pcap does, so that a file it would choke on is refused with a sentence beforehand, and its
 * end can be told. Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef SL_DATAPLANE_PCAP_SCAN_H
#define SL_DATAPLANE_PCAP_SCAN_H

#include "sluice/base.h"

#define SL_PCAP_FILE_MAX  (4ull << 30)
#define SL_PCAP_FRAME_MAX 262144 /* libpcap's largest */

struct sl_pcap_info {
	uint64_t frames;    /* whole ones */
	uint32_t frame_max; /* bytes of the largest, as captured */
	bool cut;           /* the file ends inside a frame */
};

/*
 * Scans from the descriptor's start (its offset is not kept). -EPROTO: no capture of Ethernet
 * frames; -EFBIG; -EILSEQ: damaged, with a sentence each in `err` that begins with a verb. Reads
 * the whole file: control threads.
 */
SL_MUST_CHECK int sl_pcap_scan(int fd, struct sl_pcap_info *ret_info, char *err, size_t errlen);

#endif
