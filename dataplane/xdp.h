/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp.h - our XDP program (xdp/sluice_xdp.bpf.c): offering it to the driver, finding its maps
 * once it is attached, and leaving no trace of it.
 *
 * All on the thread of the interface's network namespace.
 */
#ifndef SL_DATAPLANE_XDP_H
#define SL_DATAPLANE_XDP_H

#include "sluice/config.h"
#include "xdp/sluice_xdp.h"

struct sl_xdp;

/*
 * Attaches the program in the driver (native) or in the network stack (generic), and takes it off
 * again. 0: possible; -EOPNOTSUPP, -ERANGE (veth with a large MTU), -EBUSY, -EPERM.
 */
SL_MUST_CHECK int sl_xdp_try(int ifindex, bool native);

/* Somebody else's program is attached: its name, or NULL. */
const char *sl_xdp_stranger(int ifindex, char *buf, size_t len);

/*
 * Claims the interface for this process, takes off a program that a dead Sluice left, and makes
 * the program's file (sl_xdp_path()) for the driver. -EBUSY with a sentence: a program of
 * somebody else, or another living Sluice. -EPERM, -ENOMEM.
 */
SL_MUST_CHECK int sl_xdp_open(const char *ifname, int ifindex, struct sl_xdp **ret_x, char *err,
			      size_t errlen);
const char *sl_xdp_path(const struct sl_xdp *x);
/* After the driver has attached it: finds the maps. Nothing is redirected yet. */
SL_MUST_CHECK int sl_xdp_attached(struct sl_xdp *x, char *err, size_t errlen);
/* Replaces what is redirected. -E2BIG beyond SL_XDP_LISTENERS_MAX. */
SL_MUST_CHECK int sl_xdp_listeners(struct sl_xdp *x, const struct sl_cfg_listener *l, uint32_t cnt);
SL_MUST_CHECK int sl_xdp_gate(struct sl_xdp *x, const struct sl_xdp_cfg *cfg);
/* Sums over CPUs, since the program was loaded. */
SL_MUST_CHECK int sl_xdp_stats(const struct sl_xdp *x, uint64_t ret_stat[SL_XDP_STAT_CNT]);
bool sl_xdp_native(const struct sl_xdp *x);

/*
 * The driver detaches whatever is attached to the interface's index when it closes. If that is no
 * longer ours, hold keeps the stranger and restore puts it back.
 */
void sl_xdp_hold_stranger(struct sl_xdp *x);
/* After the driver has closed: the program, its maps and descriptors are gone afterwards.
 * Accepts NULL. */
void sl_xdp_close(struct sl_xdp *x);

#endif
