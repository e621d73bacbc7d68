/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - replaying a capture with the gaps it was recorded with (`pace: capture`).
 *
 * net_pcap hands out frames as fast as they are asked for, each with its time in the capture, in
 * microseconds, in the mbuf's timestamp field. Here frames are held back until the same time has
 * passed since the first one. Frames without a time, or with an earlier one than a frame before,
 * are due at once. The ingest lcore's thread.
 */
#ifndef SL_DATAPLANE_PACE_H
#define SL_DATAPLANE_PACE_H

#include <rte_mbuf.h>

#include "sluice/base.h"

#define SL_PACE_HELD 32

struct sl_pace {          /* visible to be embedded; sl_pace_init() */
	int ts_off;       /* of the timestamp in an mbuf; < 0: the driver has none */
	uint64_t ts_flag; /* set in ol_flags if it has one */
	bool begun;
	uint64_t first_us, first_ns; /* of the capture's first frame: recorded, replayed */
	uint16_t at, cnt;
	struct rte_mbuf *held[SL_PACE_HELD];
};

/* After the port has been configured: its driver registers the field. Control. */
void sl_pace_init(struct sl_pace *p);
/* Like rte_eth_rx_burst() on queue 0, but only frames that are due; UINT64_MAX: all that is held,
 * and nothing new. n <= SL_PACE_HELD. */
uint16_t sl_pace_rx(struct sl_pace *p, uint16_t eth_id, struct rte_mbuf **ret, uint16_t n,
		    uint64_t now_ns);

#endif
