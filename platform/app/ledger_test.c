/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ledger.h"

static struct sl_counters *fresh(void **state)
{
	struct sl_counters *c;

	assert_int_equal(sl_counters_anon(&c), 0);
	*state = c;
	return c;
}

static int drop(void **state)
{
	sl_counters_close(*state);
	return 0;
}

/* Rows that a message received can end in. */
#define OUTCOMES (SL_BR_MQTT_REF_SHUTDOWN - SL_BR_MQTT_STORED + 1)

/* Two lcores, two writers, one port: 100 frames of which 10 lost by the device. */
static void fill(struct sl_counters *c)
{
	c->port[0].wire = 100;
	c->port[0].lost_by_device = 10;
	c->lcore[0].rx = 60;
	c->lcore[0].frame[SL_FR_ACCEPTED] = 50;
	c->lcore[0].frame[SL_FR_OTHER] = 6;
	c->lcore[0].frame[SL_FR_BAD_TRUNCATED] = 4;
	c->lcore[1].rx = 30;
	c->lcore[1].frame[SL_FR_ACCEPTED] = 20;
	c->lcore[1].frame[SL_FR_RING_FULL] = 10;
	c->lcore[0].in_open = 5;
	c->lcore[0].handed = 45;
	c->lcore[1].handed = 20;
	c->writer[0].taken = 40;
	c->writer[1].taken = 20;
	c->writer[0].appended[SL_ORIGIN_INGEST] = 38;
	c->writer[0].failed[SL_ORIGIN_INGEST][SL_APPEND_DISK_FULL] = 2;
	c->writer[1].appended[SL_ORIGIN_INGEST] = 20;
	c->writer[1].appended[SL_ORIGIN_KAFKA] = 7;
	/* messages of brokers, one of each row; what was never handed over is in no book */
	c->bridge[SL_CTR_MQTT_IN].row[SL_BR_MQTT_RECEIVED] = OUTCOMES;
	for (unsigned r = SL_BR_MQTT_STORED; r <= SL_BR_MQTT_REF_SHUTDOWN; r++)
		c->bridge[SL_CTR_MQTT_IN].row[r] = 1;
	c->bridge[SL_CTR_MQTT_IN].row[SL_BR_MQTT_LOST_QOS0] = 99;
	c->bridge[SL_CTR_DOWNLINK].row[SL_BR_DOWN_SENT] = 5;
	c->bridge[SL_CTR_UPLINK].row[SL_BR_UP_COMMITS] = 6;
}

static void closes_when_all_is_counted(void **state)
{
	struct sl_counters *c = fresh(state);
	struct sl_ledger l;

	fill(c);
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.wire, 100);
	assert_int_equal(l.rx, 90);
	assert_int_equal(l.accepted, 70);
	assert_int_equal(l.appended, 58);
	assert_int_equal(l.in_flight, 10);
	assert_int_equal(l.append_failed[SL_APPEND_DISK_FULL], 2);
	assert_int_equal(l.log_appended[SL_ORIGIN_KAFKA], 7);
	assert_int_equal(l.difference, 0);
	assert_int_equal(l.mqtt_difference, 0);
	assert_int_equal(l.bridge[SL_BR_MQTT_RECEIVED], OUTCOMES);
	assert_int_equal(l.bridge[SL_BR_MQTT_LOST_QOS0], 99);
	assert_int_equal(l.bridge[SL_BR_DOWN_SENT], 5);
	assert_int_equal(l.bridge[SL_BR_UP_COMMITS], 6);
}

/* Each row by itself, so that one that is in neither side, or in both, is found. */
static void each_missing_message_shows(void **state)
{
	struct sl_counters *c = fresh(state);
	uint64_t *row = c->bridge[SL_CTR_MQTT_IN].row;
	struct sl_ledger l;

	fill(c);
	for (unsigned r = 0; r < SL_BRIDGE_ROW_CNT; r++) {
		bool in_book = r <= SL_BR_MQTT_REF_SHUTDOWN; /* received and what became of it */

		row[r] += 2;
		sl_ledger_read(c, false, &l);
		assert_int_equal(l.mqtt_difference, in_book ? 2 : 0);
		assert_int_equal(l.difference, 0);
		row[r] -= 2;
	}
	row[SL_BR_MQTT_STORED]--;
	sl_ledger_snapshot(c, 3, &l); /* nothing moves: no reading closes it */
	assert_int_equal(l.mqtt_difference, 1);
	c->global.starts = 1;
	assert_int_equal(sl_ledger_reconcile(c, true), 0); /* a clean stop sweeps nothing away */
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.mqtt_difference, 1);
	sl_ledger_reconcile(c, false); /* in hand when it died: taken again */
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.mqtt_difference, 0);
	assert_int_equal(l.bridge[SL_BR_MQTT_RECEIVED], OUTCOMES - 1);
}

static void each_missing_frame_shows(void **state)
{
	struct sl_counters *c = fresh(state);
	struct sl_ledger l;

	fill(c);
	c->port[0].wire++; /* reached the back end, never seen again */
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.difference, 1);
	c->port[0].wire--;
	c->lcore[1].rx++; /* polled, in no row */
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.difference, 2); /* and not on the wire */
	c->lcore[1].rx--;
	c->writer[0].appended[SL_ORIGIN_INGEST]--; /* accepted, then nowhere */
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.difference, 1);
}

static void frames_wait_only_while_moving(void **state)
{
	struct sl_counters *c = fresh(state);
	struct sl_ledger l;

	fill(c);
	c->port[0].wire += 300;
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.difference, 300);
	sl_ledger_read(c, true, &l);
	assert_int_equal(l.waiting, 300);
	assert_int_equal(l.difference, 0);
	c->port[0].wire += 1000 * 1000; /* more than any ring holds is a difference even then */
	sl_ledger_read(c, true, &l);
	assert_true(l.difference > 900 * 1000);
	sl_ledger_snapshot(c, 3, &l); /* nothing moves: no excuse */
	assert_int_equal(l.difference, 1000 * 1000 + 300);
}

static void reconcile_names_what_a_crash_took(void **state)
{
	struct sl_counters *c = fresh(state);
	struct sl_ledger l;

	fill(c);
	c->lcore[0].rx -= 3; /* killed within a burst: rows ahead of rx */
	c->global.starts = 1;
	assert_int_equal(sl_ledger_reconcile(c, false), 10);
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.difference, 0);
	assert_int_equal(l.in_flight, 0);
	assert_int_equal(l.lost_at_crash, 10);
	assert_int_equal(l.crashes, 1);
	assert_int_equal(l.rx, 90);
	/* A second start after a clean stop finds nothing new. */
	assert_int_equal(sl_ledger_reconcile(c, true), 0);
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.lost_at_crash, 10);
	assert_int_equal(l.crashes, 1);
	assert_int_equal(l.starts, 3);
}

static void clean_stop_sweeps_nothing_away(void **state)
{
	struct sl_counters *c = fresh(state);
	struct sl_ledger l;

	fill(c);
	c->lcore[0].in_open = 0;
	c->lcore[0].handed = 50;
	c->writer[0].taken = 50;
	c->writer[0].appended[SL_ORIGIN_INGEST] = 47; /* one of 50 is nowhere */
	c->global.starts = 1;
	assert_int_equal(sl_ledger_reconcile(c, true), 0);
	sl_ledger_read(c, false, &l);
	assert_int_equal(l.difference, 1);
	assert_int_equal(l.lost_at_crash, 0);
	assert_int_equal(l.crashes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(closes_when_all_is_counted, drop),
		cmocka_unit_test_teardown(each_missing_frame_shows, drop),
		cmocka_unit_test_teardown(each_missing_message_shows, drop),
		cmocka_unit_test_teardown(frames_wait_only_while_moving, drop),
		cmocka_unit_test_teardown(reconcile_names_what_a_crash_took, drop),
		cmocka_unit_test_teardown(clean_stop_sweeps_nothing_away, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
