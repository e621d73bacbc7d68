/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_report.h - the uplink where people see it: its part of the status document and of
 * /metrics, and what they order over the control socket.
 */
#ifndef SL_APP_UPLINK_REPORT_H
#define SL_APP_UPLINK_REPORT_H

#include "gateway.h"

/* The part `uplink`; owned. Any thread. */
json_t *sl_uplink_json(struct sl_gateway *g, const struct sl_ledger *l);
/* The uplink's figures into the part `log`. Any thread. */
void sl_uplink_log_json(json_t *log, struct sl_gateway *g, const struct sl_ledger *l);
/* Gauges and the log book; the bridges' rows are told elsewhere. Any thread. */
void sl_uplink_metrics(FILE *out, struct sl_gateway *g);

/* Commands uplink.*: docs/formats/control-socket.md. `arg` is the gateway. Control socket. */
json_t *sl_uplink_on_status(void *arg, const json_t *req);
json_t *sl_uplink_on_pause(void *arg, const json_t *req);
json_t *sl_uplink_on_resume(void *arg, const json_t *req);
json_t *sl_uplink_on_rate(void *arg, const json_t *req);
json_t *sl_uplink_on_adopt(void *arg, const json_t *req);

#endif
