/* SPDX-License-Identifier: Apache-2.0 */
#include "pace.h"

#include <rte_ethdev.h>
#include <rte_mbuf_dyn.h>

void sl_pace_init(struct sl_pace *p)
{
	memset(p, 0, sizeof(*p));
	p->ts_off = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
	int bit = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);
	if (bit >= 0)
		p->ts_flag = RTE_BIT64(bit);
	else
		p->ts_off = -1;
}

static bool due(struct sl_pace *p, const struct rte_mbuf *m, uint64_t now_ns)
{
	if (p->ts_off < 0 || !(m->ol_flags & p->ts_flag))
		return true;
	uint64_t us = *RTE_MBUF_DYNFIELD(m, p->ts_off, const rte_mbuf_timestamp_t *);
	if (!p->begun) {
		p->begun = true;
		p->first_us = us;
		p->first_ns = now_ns;
	}
	return us <= p->first_us || us - p->first_us <= (now_ns - p->first_ns) / 1000;
}

uint16_t sl_pace_rx(struct sl_pace *p, uint16_t eth_id, struct rte_mbuf **ret, uint16_t n,
		    uint64_t now_ns)
{
	uint16_t got = 0;

	if (p->at == p->cnt && now_ns != UINT64_MAX) {
		p->at = 0;
		p->cnt = rte_eth_rx_burst(eth_id, 0, p->held, SL_PACE_HELD);
	}
	while (got < n && p->at < p->cnt && due(p, p->held[p->at], now_ns))
		ret[got++] = p->held[p->at++];
	return got;
}
