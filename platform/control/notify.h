/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - telling systemd (Type=notify) how the daemon is: sd_notify(3)'s protocol, one
 * datagram to the socket named in $NOTIFY_SOCKET.
 */
#ifndef SL_CONTROL_NOTIFY_H
#define SL_CONTROL_NOTIFY_H

#include "sluice/base.h"

/*
 * Sends `state`, e.g. "READY=1\nSTATUS=serving". 1: sent; 0: nobody asked to be told (the variable
 * is not set); -errno otherwise. Never blocks. Control thread.
 */
int sl_notify(const char *state);
/* Half of WATCHDOG_USEC in ns: how often to send "WATCHDOG=1"; 0: not asked for, or not this
 * process. */
uint64_t sl_notify_watchdog_ns(void);

#endif
