/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden_test.c - plays the files of tests/vectors/kafka through the connection machine: requests
 * and responses as Apache Kafka's own classes write them. The files are the arguments, each one is
 * a conversation with a new server.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINE_MAX_BYTES (64 << 10)

static char *const *vectors;
static int vector_cnt;

static size_t from_hex(const char *s, uint8_t *out)
{
	size_t n = 0;
	unsigned v;
	for (; sscanf(s, "%2x", &v) == 1; s += 2)
		out[n++] = (uint8_t)v;
	return n;
}

/* In one piece, byte by byte, or in threes: where a frame is cut must not matter. */
static void feed(struct rig_conn *c, const uint8_t *p, size_t n, size_t step)
{
	uint8_t head[4];
	sl_put_be32(head, (uint32_t)n);
	rig_feed(c, head, 4);
	for (size_t i = 0; i < n && !sl_kconn_broken(c->c); i += step)
		rig_feed(c, p + i, SL_MIN(step, n - i));
}

static void play_file(const char *path, size_t step)
{
	static char line[LINE_MAX_BYTES], what[256];
	static uint8_t req[LINE_MAX_BYTES / 2], want[LINE_MAX_BYTES / 2], got[LINE_MAX_BYTES];
	struct rig r;
	struct rig_conn c;
	unsigned cnt = 0;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	rig_init(&r, NULL);
	rig_open(&r, &c);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#') {
			snprintf(what, sizeof(what), "%.200s", line);
			continue;
		}
		if (line[0] == '>') {
			feed(&c, req, from_hex(line + 2, req), step);
			rig_pass_ms(&r, 100); /* the max_wait of the fetches */
			cnt++;
			continue;
		}
		size_t n = rig_take(&c, got, sizeof(got));
		if (line[0] == '<') {
			size_t m = from_hex(line + 2, want);
			if (n != m + 4 || sl_be32(got) != m || memcmp(got + 4, want, m)) {
				print_message("differs: %s", what);
				assert_int_equal(n, m + 4);
				assert_memory_equal(got + 4, want, m);
			}
		} else if (line[0] == '-') {
			assert_int_equal(n, 0);
			assert_null(sl_kconn_broken(c.c));
		} else if (line[0] == '!') {
			assert_int_equal(n, 0);
			assert_non_null(sl_kconn_broken(c.c));
			rig_close(&c);
			rig_open(&r, &c);
		}
	}
	fclose(f);
	rig_close(&c);
	rig_fini(&r);
	print_message("%s: %u requests, %zu bytes at a time\n", path, cnt, step);
	assert_true(cnt > 50);
}

static void play(size_t step)
{
	for (int i = 0; i < vector_cnt; i++)
		play_file(vectors[i], step);
}

static void test_whole(void **state)
{
	(void)state;
	play(LINE_MAX_BYTES);
}

static void test_in_pieces(void **state)
{
	(void)state;
	play(1);
	play(3);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_in_pieces),
	};
	if (argc < 2) {
		fprintf(stderr, "usage: golden_test conversation.txt...\n");
		return 1;
	}
	vectors = argv + 1;
	vector_cnt = argc - 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
