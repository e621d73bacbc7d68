/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - the loss ledger: adds up the counter file's lines and says what does not close.
 *
 * Frames:  wire = lost_by_device + rx (+ waiting, see below)
 *          rx = other + bad + fragment + refused + control + duplicate + limited + ring_full
 *               + accepted
 *          accepted = appended + append_failed + lost_at_crash + in_flight
 * Log:     appended[all] = forwarded + backlog + evicted_unsent + dead_letter
 *          (only records of topics that an uplink carries; the uplink's own figures)
 * MQTT:    received = stored + duplicate + skipped + refused
 *
 * The lines move while they are read. A snapshot is taken until two readings agree on rx, or, under
 * load, the best of a few is kept; frames that reached the back end and were not polled yet are
 * `waiting`, bounded by what a ring can hold and only while frames move: in a quiet system they
 * would be a difference.
 */
#ifndef SL_APP_LEDGER_H
#define SL_APP_LEDGER_H

#include "sluice/counters.h"

struct sl_ledger {
	uint64_t wire, lost_by_device, waiting, rx;
	uint64_t row[SL_FRAME_ROW_CNT];
	uint64_t note[SL_NOTE_ROW_CNT];
	uint64_t accepted;
	uint64_t appended; /* of ingest */
	uint64_t append_failed[SL_APPEND_REASON_CNT];
	uint64_t lost_at_crash;
	uint64_t in_flight;
	uint64_t difference; /* sum of what does not close, absolute */
	uint64_t log_appended[SL_ORIGIN_CNT];
	uint64_t log_failed[SL_ORIGIN_CNT][SL_APPEND_REASON_CNT];
	uint64_t log_difference;
	uint64_t bridge[SL_BRIDGE_ROW_CNT]; /* all bridges' lines */
	uint64_t mqtt_difference;
	uint64_t crashes, starts;
};

/* One pass over the lines, no judgement of movement: `moving` says whether frames may wait. */
void sl_ledger_read(const struct sl_counters *c, bool moving, struct sl_ledger *ret_ledger);

/* Reads until it closes or `tries` readings were made, napping ~1 ms between. Control threads. */
void sl_ledger_snapshot(const struct sl_counters *c, unsigned tries, struct sl_ledger *ret_ledger);

/*
 * Called once at a start, after recovery made `appended` exact: closes the book of a run that did
 * not stop cleanly. rx becomes the sum of its rows (a burst may have been in hand), the MQTT
 * messages received what became of them (those in hand are taken again), records accepted and never
 * appended become lost_at_crash, rings and open batches are empty. After a clean stop nothing is
 * touched: what does not close then stays to be seen. Returns the records newly counted as lost.
 */
uint64_t sl_ledger_reconcile(struct sl_counters *c, bool clean);

#endif
