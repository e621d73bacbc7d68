/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slt_verify - checks what a consumer prints: one line "partition offset payload" per record.
 *
 * Each payload must be a numbered, hashed message of slt_payload.h; each number may come once;
 * offsets of a partition must rise by exactly one. What it sees stands in a mapped file that the
 * test reads at any time: SLT_HEAD counters of 64 bits in host order, then one bit per number.
 * Ends at the end of stdin; exit 0 whatever it saw, since judging is the test's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slt_payload.h"

enum { C_RECORDS, C_UNIQUE, C_DUPLICATES, C_BAD, C_GAPS, C_BEYOND, C_HIGHEST, C_DONE };
#define SLT_HEAD       64 /* counters in the file's head */
#define PARTITIONS_MAX 1024

static void fatal(const char *what)
{
	fprintf(stderr, "slt_verify: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t *map_state(const char *path, uint64_t numbers)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t bytes = SLT_HEAD * 8 + (numbers + 7) / 8;
	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
		fatal(path);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fatal(path);
	close(fd);
	return p;
}

static void count(uint64_t *c, uint8_t *bits, uint64_t numbers, const char *payload, size_t len)
{
	uint64_t seq;
	if (!slt_payload_check(payload, len, &seq)) {
		c[C_BAD]++;
		return;
	}
	if (seq >= numbers) {
		c[C_BEYOND]++;
		return;
	}
	if (seq + 1 > c[C_HIGHEST])
		c[C_HIGHEST] = seq + 1;
	uint8_t bit = (uint8_t)(1u << (seq & 7));
	if (bits[seq >> 3] & bit) {
		c[C_DUPLICATES]++;
	} else {
		bits[seq >> 3] |= bit;
		c[C_UNIQUE]++;
	}
}

int main(int argc, char **argv)
{
	static int64_t next[PARTITIONS_MAX];
	if (argc != 3) {
		fprintf(stderr, "usage: slt_verify STATE-FILE NUMBERS\n");
		return 2;
	}
	uint64_t numbers = strtoull(argv[2], NULL, 10);
	uint64_t *c = map_state(argv[1], numbers);
	uint8_t *bits = (uint8_t *)(c + SLT_HEAD);
	char *line = NULL;
	size_t cap = 0;
	for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0; c[C_RECORDS]++) {
		char *end;
		unsigned long part = strtoul(line, &end, 10);
		int64_t offset = strtoll(end, &end, 10);
		if (*end != ' ' || part >= PARTITIONS_MAX) {
			c[C_BAD]++;
			continue;
		}
		if (offset != next[part])
			c[C_GAPS]++;
		next[part] = offset + 1;
		size_t len = (size_t)(line + n - end) - 1;
		if (len && end[len] == '\n')
			len--;
		count(c, bits, numbers, end + 1, len);
	}
	c[C_DONE] = 1;
	free(line);
	return 0;
}
