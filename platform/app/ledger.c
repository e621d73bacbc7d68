/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <time.h>

/* What all the rings of one port can hold between the back end and the ingest lcore. */
#define WAITING_MAX (64u * 1024)

static uint64_t absdiff(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void add_lcores(const struct sl_counters *c, struct sl_ledger *l, uint64_t *handed)
{
	for (unsigned i = 0; i < SL_CTR_LCORES; i++) {
		const struct sl_ctr_lcore *n = &c->lcore[i];

		l->rx += sl_ctr_get(&n->rx);
		l->in_flight += sl_ctr_get(&n->in_open);
		l->waiting += sl_ctr_get(&n->in_hand);
		*handed += sl_ctr_get(&n->handed);
		for (unsigned r = 0; r < SL_FRAME_ROW_CNT; r++)
			l->row[r] += sl_ctr_get(&n->frame[r]);
		for (unsigned r = 0; r < SL_NOTE_ROW_CNT; r++)
			l->note[r] += sl_ctr_get(&n->note[r]);
	}
	l->accepted = l->row[SL_FR_ACCEPTED];
}

static void add_writers(const struct sl_counters *c, struct sl_ledger *l, uint64_t *taken)
{
	for (unsigned i = 0; i < SL_CTR_WRITERS; i++) {
		const struct sl_ctr_writer *w = &c->writer[i];

		*taken += sl_ctr_get(&w->taken);
		for (unsigned o = 0; o < SL_ORIGIN_CNT; o++) {
			l->log_appended[o] += sl_ctr_get(&w->appended[o]);
			for (unsigned r = 0; r < SL_APPEND_REASON_CNT; r++)
				l->log_failed[o][r] += sl_ctr_get(&w->failed[o][r]);
		}
	}
	l->appended = l->log_appended[SL_ORIGIN_INGEST];
	memcpy(l->append_failed, l->log_failed[SL_ORIGIN_INGEST], sizeof(l->append_failed));
}

/* What can become of a message taken from a broker: a range of rows. */
static uint64_t mqtt_outcomes(const uint64_t *row)
{
	uint64_t sum = 0;

	for (unsigned r = SL_BR_MQTT_STORED; r <= SL_BR_MQTT_REF_SHUTDOWN; r++)
		sum += sl_ctr_get(&row[r]);
	return sum;
}

static void add_bridges(const struct sl_counters *c, struct sl_ledger *l)
{
	for (unsigned i = 0; i < SL_CTR_BRIDGES; i++)
		for (unsigned r = 0; r < SL_BRIDGE_ROW_CNT; r++)
			l->bridge[r] += sl_ctr_get(&c->bridge[i].row[r]);
	l->mqtt_difference = absdiff(l->bridge[SL_BR_MQTT_RECEIVED], mqtt_outcomes(l->bridge));
}

void sl_ledger_read(const struct sl_counters *c, bool moving, struct sl_ledger *l)
{
	uint64_t handed = 0, taken = 0, rows = 0, seen, out;

	memset(l, 0, sizeof(*l));
	add_bridges(c, l);
	add_writers(c, l, &taken);
	add_lcores(c, l, &handed);
	for (unsigned i = 0; i < SL_CTR_PORTS; i++) {
		l->wire += sl_ctr_get(&c->port[i].wire);
		l->lost_by_device += sl_ctr_get(&c->port[i].lost_by_device);
	}
	l->lost_at_crash = sl_ctr_get(&c->global.lost_at_crash);
	l->crashes = sl_ctr_get(&c->global.crashes);
	l->starts = sl_ctr_get(&c->global.starts);
	l->in_flight += handed > taken ? handed - taken : 0;

	for (unsigned r = 0; r < SL_FRAME_ROW_CNT; r++)
		rows += l->row[r];
	/* The port's figure is read less often than rx moves: what was polled was on the wire. */
	seen = l->rx + l->lost_by_device + l->waiting;
	if (moving && l->wire < seen)
		l->wire = seen;
	if (moving && l->wire > seen)
		l->waiting += SL_MIN(l->wire - seen, (uint64_t)WAITING_MAX);

	out = l->appended + l->lost_at_crash + l->in_flight;
	for (unsigned r = 0; r < SL_APPEND_REASON_CNT; r++)
		out += l->append_failed[r];
	l->difference = absdiff(l->wire, l->lost_by_device + l->rx + l->waiting) +
			absdiff(l->rx, rows) + absdiff(l->accepted, out);
}

static uint64_t wrong(const struct sl_ledger *l)
{
	return l->difference + l->mqtt_difference;
}

void sl_ledger_snapshot(const struct sl_counters *c, unsigned tries, struct sl_ledger *ret)
{
	const struct timespec nap = {.tv_nsec = 1000 * 1000};
	struct sl_ledger best, now;
	bool moving = false;

	sl_ledger_read(c, false, &best);
	for (unsigned i = 1; i < tries && wrong(&best); i++) {
		nanosleep(&nap, NULL);
		sl_ledger_read(c, moving, &now);
		/* Movement between two readings, not a clock, decides whether frames may wait. */
		if (!moving && (now.rx != best.rx || now.wire != best.wire)) {
			moving = true;
			sl_ledger_read(c, true, &now);
		}
		if (wrong(&now) <= wrong(&best) || now.rx != best.rx)
			best = now;
	}
	*ret = best;
}

/* Rings and open batches died with the process; a burst may have been in hand. */
static void empty_hands(struct sl_counters *c)
{
	uint64_t handed = 0;

	for (unsigned i = 0; i < SL_CTR_LCORES; i++) {
		struct sl_ctr_lcore *n = &c->lcore[i];

		sl_counters_lcore_rx_fix(n);
		sl_ctr_set(&n->in_open, 0);
		sl_ctr_set(&n->in_hand, 0);
		sl_ctr_set(&n->handed, n->frame[SL_FR_ACCEPTED]);
		handed += n->frame[SL_FR_ACCEPTED];
	}
	for (unsigned i = 0; i < SL_CTR_WRITERS; i++)
		sl_ctr_set(&c->writer[i].taken, i ? 0 : handed);
	for (unsigned i = 0; i < SL_CTR_BRIDGES; i++)
		sl_ctr_set(&c->bridge[i].row[SL_BR_MQTT_RECEIVED], mqtt_outcomes(c->bridge[i].row));
}

static uint64_t close_crashed(struct sl_counters *c)
{
	struct sl_ledger l;
	uint64_t out, lost = 0;

	empty_hands(c);
	sl_ledger_read(c, false, &l);
	out = l.appended + l.lost_at_crash;
	for (unsigned r = 0; r < SL_APPEND_REASON_CNT; r++)
		out += l.append_failed[r];
	if (l.accepted > out) {
		lost = l.accepted - out;
		sl_ctr_add(&c->global.lost_at_crash, lost);
	}
	/* What the back ends counted and nobody polled is gone with the process as well; what was
	 * polled after their counters were last read was on the wire. */
	if (l.wire > l.rx + l.lost_by_device)
		sl_ctr_add(&c->port[0].lost_by_device, l.wire - l.rx - l.lost_by_device);
	else
		sl_ctr_add(&c->port[0].wire, l.rx + l.lost_by_device - l.wire);
	sl_ctr_add(&c->global.crashes, 1);
	return lost;
}

uint64_t sl_ledger_reconcile(struct sl_counters *c, bool clean)
{
	uint64_t lost = clean || !c->global.starts ? 0 : close_crashed(c);

	sl_ctr_add(&c->global.starts, 1);
	return lost;
}
