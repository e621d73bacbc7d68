/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.h - EAL, ports, ingest and writer lcores: what platform/app sees of them.
 *
 * Life: sl_dp_eal_init() once per process, before other threads exist; sl_dp_new() opens ports
 * and pools; sl_dp_start() launches writers, then ingest; sl_dp_stop() stops ingest, drains rings
 * and writers; sl_dp_free(). All control thread.
 */
#ifndef SL_DATAPLANE_H
#define SL_DATAPLANE_H

#include "sluice/config.h"
#include "sluice/counters.h"
#include "sluice/ingest.h"

struct sl_dp_cfg {
	const struct sl_config *config; /* borrowed for the life of the data plane */
	struct sl_store *store;         /* every topic of a listener exists in it */
	struct sl_counters *counters;
};

/*
 * Checks CPUs and memory, builds the EAL arguments from the config and calls rte_eal_init().
 * `err` gets a sentence for the operator. -ENOMEM, -EINVAL, -EALREADY.
 */
SL_MUST_CHECK int sl_dp_eal_init(const struct sl_config *cfg, char *err, size_t errlen);
void sl_dp_eal_cleanup(void); /* removes the runtime folder too */

SL_MUST_CHECK int sl_dp_new(const struct sl_dp_cfg *cfg, struct sl_dataplane **ret_dp, char *err,
			    size_t errlen);
SL_MUST_CHECK int sl_dp_start(struct sl_dataplane *dp, char *err, size_t errlen);
/* Stops receiving at once, hands over what is open, lets writers drain until deadline_ns
 * (monotonic). 0, or -ETIMEDOUT when records were left and counted as append_failed[shutdown]. */
int sl_dp_stop(struct sl_dataplane *dp, uint64_t deadline_ns);
void sl_dp_free(struct sl_dataplane *dp); /* accepts NULL */

/*
 * Topics were made, deleted or grew (sl_store_generation()): the listeners write to what there is
 * now. A listener whose topic is gone keeps the deleted one, where its records are counted as
 * append_failed[deleted]. -EAGAIN: the last call is not through all lcores yet, call again;
 * -ENOMEM. Control; while lcores run, or before.
 */
SL_MUST_CHECK int sl_dp_rebind(struct sl_dataplane *dp);

/* Reads the back ends' loss counters into the counter file; about once a second. Control. */
void sl_dp_housekeep(struct sl_dataplane *dp);
/* Reads them now: before a ledger is shown, which would otherwise miss the losses of up to a
 * second. Any thread but lcores, while the data plane exists. */
void sl_dp_read_losses(struct sl_dataplane *dp);

struct sl_dp_port_status {
	const char *name;
	const char *backend; /* "af_xdp", ... as chosen */
	const char *why;     /* one sentence: why this back end */
	bool link;
	bool loss_exact;
	bool done; /* pcap replayed once: at its end */
};
unsigned sl_dp_ports(struct sl_dataplane *dp, struct sl_dp_port_status *ret, unsigned n);
/* Names an lcore's place: "ingest 0 on cpu 1". For status. */
unsigned sl_dp_lcores(struct sl_dataplane *dp, char (*ret)[64], unsigned n);

#endif
