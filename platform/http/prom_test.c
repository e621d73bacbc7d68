/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/sl_test.h"
#include "platform/http/prom.h"

static void text(void **state)
{
	static const struct sl_prom_label hostile[] = {{"device", "a\"b\\c\nd\xff\xc3\xb6\xe2\x82"},
						       {"reason", ""}};
	char *got = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&got, &len);

	(void)state;
	sl_prom_family(f, "sluice_frames_total", SL_PROM_COUNTER, "Frames\nby \\ \"bucket\".");
	sl_prom_u64(f, "sluice_frames_total", NULL, 0, UINT64_MAX);
	sl_prom_u64(f, "sluice_frames_total", hostile, 2, 0);
	sl_prom_family(f, "sluice_difference", SL_PROM_GAUGE, "");
	sl_prom_i64(f, "sluice_difference", hostile + 1, 1, INT64_MIN);
	fclose(f);
	assert_string_equal(
		got, "# HELP sluice_frames_total Frames\\nby \\\\ \"bucket\".\n"
		     "# TYPE sluice_frames_total counter\n"
		     "sluice_frames_total 18446744073709551615\n"
		     "sluice_frames_total{device=\"a\\\"b\\\\c\\nd?\xc3\xb6??\",reason=\"\"} 0\n"
		     "# HELP sluice_difference \n"
		     "# TYPE sluice_difference gauge\n"
		     "sluice_difference{reason=\"\"} -9223372036854775808\n");
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(text)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
