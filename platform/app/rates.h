/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rates.h - how fast things go now: totals of the last seconds, kept by the main thread once a
 * second, asked for by whoever serves a status.
 *
 * A rate is the growth since the oldest total that is kept, SL_RATES_KEPT seconds ago at most,
 * over the time since then: an average of the last seconds, not of the whole run.
 */
#ifndef SL_APP_RATES_H
#define SL_APP_RATES_H

#include <pthread.h>

#include "ledger.h"

#define SL_RATES_KEPT   5   /* totals, one a second */
#define SL_RATES_MIN_MS 500 /* a shorter span says nothing */

enum sl_rate {
	SL_RATE_RX,       /* frames received */
	SL_RATE_ACCEPTED, /* records accepted by the ingest lcores */
	SL_RATE_APPENDED, /* records of these in the log */
	SL_RATE_KAFKA,    /* records of Kafka producers in the log */
	SL_RATE_MQTT,     /* MQTT messages in the log */
	SL_RATE_LOST_BY_DEVICE,
	SL_RATE_RING_FULL,
	SL_RATE_CNT
};

struct sl_rates_total {
	uint64_t at_ns;
	uint64_t n[SL_RATE_CNT];
};

struct sl_rates { /* embedded; the lock guards the rest */
	pthread_mutex_t lock;
	struct sl_rates_total kept[SL_RATES_KEPT];
	unsigned cnt, next;
};

void sl_rates_init(struct sl_rates *r);
void sl_rates_fini(struct sl_rates *r);
/* Once a second, `now_ns` monotonic. Main thread. */
void sl_rates_keep(struct sl_rates *r, const struct sl_ledger *l, uint64_t now_ns);
/*
 * Per second, over *ret_over_s seconds up to now; what went backwards counts as 0. False: nothing
 * is kept from SL_RATES_MIN_MS ago or earlier. Any thread but lcores.
 */
bool sl_rates_get(struct sl_rates *r, const struct sl_ledger *l, uint64_t now_ns,
		  double ret_per_s[SL_RATE_CNT], double *ret_over_s);
const char *sl_rate_name(enum sl_rate r); /* as in the status document */

#endif
