/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eal_log.h - DPDK's, libbpf's and libxdp's own words, led into our log.
 *
 * Their errors are kept as the last error too, so that a failing call can quote the reason;
 * everything below goes to our debug level. These libraries have one log per process, and so
 * does this.
 */
#ifndef SL_DATAPLANE_EAL_LOG_H
#define SL_DATAPLANE_EAL_LOG_H

#include "sluice/base.h"

SL_MUST_CHECK int sl_eal_log_open(void); /* before rte_eal_init(); -ENOMEM */
void sl_eal_log_close(void);

void sl_eal_log_forget(void); /* forgets the last error: before a call that may fail */
/* Appends ": <last error>" to the sentence in `err`, if there is one. Any thread. */
void sl_eal_log_quote(char *err, size_t errlen);

#endif
