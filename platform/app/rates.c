/* SPDX-License-Identifier: Apache-2.0 */
#include "rates.h"

void sl_rates_init(struct sl_rates *r)
{
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
}

void sl_rates_fini(struct sl_rates *r)
{
	pthread_mutex_destroy(&r->lock);
}

static struct sl_rates_total total_of(const struct sl_ledger *l, uint64_t now_ns)
{
	return (struct sl_rates_total){
		.at_ns = now_ns,
		.n = {[SL_RATE_RX] = l->rx,
		      [SL_RATE_ACCEPTED] = l->accepted,
		      [SL_RATE_APPENDED] = l->appended,
		      [SL_RATE_KAFKA] = l->log_appended[SL_ORIGIN_KAFKA],
		      [SL_RATE_MQTT] = l->log_appended[SL_ORIGIN_MQTT],
		      [SL_RATE_LOST_BY_DEVICE] = l->lost_by_device,
		      [SL_RATE_RING_FULL] = l->row[SL_FR_RING_FULL]},
	};
}

void sl_rates_keep(struct sl_rates *r, const struct sl_ledger *l, uint64_t now_ns)
{
	struct sl_rates_total t = total_of(l, now_ns);

	pthread_mutex_lock(&r->lock);
	r->kept[r->next] = t;
	r->next = (r->next + 1) % SL_RATES_KEPT;
	r->cnt = SL_MIN(r->cnt + 1, (unsigned)SL_RATES_KEPT);
	pthread_mutex_unlock(&r->lock);
}

bool sl_rates_get(struct sl_rates *r, const struct sl_ledger *l, uint64_t now_ns,
		  double ret_per_s[SL_RATE_CNT], double *ret_over_s)
{
	struct sl_rates_total now = total_of(l, now_ns), then = {0};
	unsigned cnt;

	pthread_mutex_lock(&r->lock);
	cnt = r->cnt;
	if (cnt)
		then = r->kept[(r->next + SL_RATES_KEPT - cnt) % SL_RATES_KEPT];
	pthread_mutex_unlock(&r->lock);
	if (!cnt || now_ns < then.at_ns + SL_RATES_MIN_MS * 1000000ull)
		return false;
	*ret_over_s = (double)(now_ns - then.at_ns) / 1e9;
	for (unsigned i = 0; i < SL_RATE_CNT; i++)
		ret_per_s[i] =
			now.n[i] > then.n[i] ? (double)(now.n[i] - then.n[i]) / *ret_over_s : 0;
	return true;
}

const char *sl_rate_name(enum sl_rate r)
{
	static const char *const names[] = {
		[SL_RATE_RX] = "rx",
		[SL_RATE_ACCEPTED] = "accepted",
		[SL_RATE_APPENDED] = "appended",
		[SL_RATE_KAFKA] = "kafka",
		[SL_RATE_MQTT] = "mqtt",
		[SL_RATE_LOST_BY_DEVICE] = "lost_by_device",
		[SL_RATE_RING_FULL] = "ring_full",
	};

	SL_ASSERT(r < SL_RATE_CNT);
	return names[r];
}
