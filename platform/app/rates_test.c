/* SPDX-License-Identifier: Apache-2.0 */
#include "rates.h"

#include "platform/base/sl_test.h"

#define S 1000000000ull

/* A ledger in which everything is n, but for what its place adds. */
static struct sl_ledger all(uint64_t n)
{
	struct sl_ledger l = {.rx = n, .accepted = n, .appended = n, .lost_by_device = n};

	l.log_appended[SL_ORIGIN_KAFKA] = 2 * n;
	l.log_appended[SL_ORIGIN_MQTT] = 4 * n;
	l.row[SL_FR_RING_FULL] = 3 * n;
	return l;
}

static void nothing_before_time(void **state)
{
	struct sl_ledger l = all(7);
	double per_s[SL_RATE_CNT] = {-1}, over = -1;
	struct sl_rates r;

	(void)state;
	sl_rates_init(&r);
	assert_false(sl_rates_get(&r, &l, 100 * S, per_s, &over));
	sl_rates_keep(&r, &l, 100 * S);
	assert_false(sl_rates_get(&r, &l, 100 * S, per_s, &over));
	assert_false(sl_rates_get(&r, &l, 100 * S + S / 2 - 1, per_s, &over));
	assert_true(per_s[0] == -1 && over == -1); /* untouched */
	assert_true(sl_rates_get(&r, &l, 100 * S + S / 2, per_s, &over));
	assert_true(over == 0.5 && per_s[SL_RATE_RX] == 0);
	sl_rates_fini(&r);
}

/* 10 a second for ten seconds, then 1,000: after five seconds the old pace is forgotten. */
static void the_last_seconds(void **state)
{
	double per_s[SL_RATE_CNT], over;
	struct sl_ledger l;
	struct sl_rates r;
	uint64_t n = 0, at = 1;

	(void)state;
	sl_rates_init(&r);
	for (at = 1; at <= 10; at++, n += 10) {
		l = all(n);
		sl_rates_keep(&r, &l, at * S);
	}
	l = all(n);
	assert_true(sl_rates_get(&r, &l, at * S, per_s, &over));
	assert_true(over == SL_RATES_KEPT);
	assert_true(per_s[SL_RATE_RX] == 10 && per_s[SL_RATE_ACCEPTED] == 10 &&
		    per_s[SL_RATE_APPENDED] == 10 && per_s[SL_RATE_LOST_BY_DEVICE] == 10);
	assert_true(per_s[SL_RATE_KAFKA] == 20 && per_s[SL_RATE_RING_FULL] == 30);
	for (unsigned i = 0; i < SL_RATES_KEPT; i++, at++, n += 1000) {
		l = all(n);
		sl_rates_keep(&r, &l, at * S);
	}
	l = all(n);
	assert_true(sl_rates_get(&r, &l, at * S, per_s, &over));
	assert_true(per_s[SL_RATE_RX] == 1000);
	/* the counters were set aside: not a negative rate */
	l = all(0);
	assert_true(sl_rates_get(&r, &l, at * S, per_s, &over));
	assert_true(per_s[SL_RATE_RX] == 0 && per_s[SL_RATE_KAFKA] == 0);
	sl_rates_fini(&r);
}

static void names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SL_RATE_CNT; i++)
		assert_true(strlen(sl_rate_name((enum sl_rate)i)) > 1);
	assert_string_equal(sl_rate_name(SL_RATE_RING_FULL), "ring_full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_before_time),
		cmocka_unit_test(the_last_seconds),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
