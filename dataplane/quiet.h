/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiet.h - UDP sockets that keep the kernel from answering for an ingest port.
 *
 * Where the kernel sees the datagrams too (af_packet; af_xdp before start, after stop and for
 * what the XDP program leaves to it), nobody would listen and it would send ICMP port
 * unreachable. So each listener's address and port is held by a socket whose filter drops
 * everything: no queue fills up, nothing is sent. Multicast listeners are joined on it as well.
 *
 * One set per network namespace, on its thread (nsctl.h): listeners of several ports may overlap.
 * Sockets are shared with nobody: a port that another program has bound is refused.
 */
#ifndef SL_DATAPLANE_QUIET_H
#define SL_DATAPLANE_QUIET_H

#include "sluice/config.h"

struct sl_quiet;

SL_MUST_CHECK int sl_quiet_new(struct sl_quiet **ret_q); /* -ENOMEM */
void sl_quiet_free(struct sl_quiet *q);                  /* closes all; accepts NULL */

/*
 * Holds what a listener names (family 0: both families, IPv6 only if the kernel has it). `ifindex`
 * is where multicast groups are joined. Counted: each hold wants its release.
 * -EADDRINUSE and others with a sentence in `err`.
 */
SL_MUST_CHECK int sl_quiet_hold(struct sl_quiet *q, const struct sl_cfg_listener *l, int ifindex,
				char *err, size_t errlen);
void sl_quiet_release(struct sl_quiet *q, const struct sl_cfg_listener *l);

#endif
