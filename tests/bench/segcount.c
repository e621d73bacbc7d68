/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segcount.c - reads Kafka log segments back and counts what is really in them.
 *
 *   segcount [-v BYTES] DIR...          DIR: partition folders
 *
 * Shares no code with the product. Per batch: magic, length, CRC-32C (crc32 instructions, or a
 * table), count, base offset right behind the batch before; per record of an uncompressed batch:
 * length, offset delta, key and value lengths, with -v that the value has BYTES bytes. A fault is
 * named on stderr and the exit code is 1. Prints one JSON object: records, batches, bytes,
 * compressed batches, first_ms, last_ms, and records per 100 ms of the batches' maxTimestamp.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

enum { BATCH_HDR = 61, CRC_FROM = 21, FILE_BYTES_MAX = 1 << 30, FILES_MAX = 65536 };
enum { BUCKET_MS = 100, BUCKETS_MAX = 20000, PATH_BYTES = 4096, ALIGN = 4096 };

struct tally {
	uint64_t records, batches, bytes, compressed;
	int64_t first_ms, last_ms;    /* of the batches' base and max timestamps */
	uint64_t bucket[BUCKETS_MAX]; /* by (maxTimestamp - epoch_ms) / BUCKET_MS */
	int64_t epoch_ms;
	long value_bytes; /* -1: any */
	uint8_t *buf;
	size_t cap;
};

static uint64_t be(const uint8_t *p, int n)
{
	uint64_t v = 0;
	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c(const uint8_t *p, size_t n)
{
	uint64_t c = 0xffffffffu;
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	for (; n; n--)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return ~(uint32_t)c;
}
#else
static uint32_t crc32c(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffffu;
	while (n--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
	}
	return ~c;
}
#endif

/* Zigzag varint at *p, not beyond end; false if it does not end. */
static bool varint(const uint8_t **p, const uint8_t *end, int64_t *ret_v)
{
	uint64_t v = 0;
	for (int shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t b = *(*p)++;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret_v = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
			return true;
		}
	}
	return false;
}

/* NULL, or what is wrong with a record of `len` bytes at p. */
static const char *check_record(const uint8_t *p, const uint8_t *end, int64_t delta,
				long value_bytes)
{
	int64_t ts, off, len;

	p++; /* attributes */
	if (p > end || !varint(&p, end, &ts) || !varint(&p, end, &off) || !varint(&p, end, &len))
		return "record header";
	if (off != delta)
		return "offset delta";
	if (len > end - p)
		return "key length";
	p += len > 0 ? len : 0;
	if (!varint(&p, end, &len) || len > end - p)
		return "value length";
	if (value_bytes >= 0 && len != value_bytes)
		return "value is not of the size that was sent";
	return NULL;
}

static const char *check_records(const uint8_t *b, size_t total, int32_t count, long value_bytes)
{
	const uint8_t *p = b + BATCH_HDR, *end = b + total;

	for (int32_t i = 0; i < count; i++) {
		int64_t len;
		if (!varint(&p, end, &len) || len < 1 || len > end - p)
			return "record length";
		const char *fault = check_record(p, p + len, i, value_bytes);
		if (fault)
			return fault;
		p += len;
	}
	return p == end ? NULL : "bytes after the last record";
}

static void count_batch(struct tally *t, const uint8_t *b, size_t total, int32_t count)
{
	int64_t base_ms = (int64_t)be(b + 27, 8), max_ms = (int64_t)be(b + 35, 8);

	t->records += (uint64_t)count;
	t->batches++;
	t->bytes += total;
	if (!t->epoch_ms)
		t->epoch_ms = base_ms - 60000; /* partitions start apart: room before the first */
	if (!t->first_ms || base_ms < t->first_ms)
		t->first_ms = base_ms;
	if (max_ms > t->last_ms)
		t->last_ms = max_ms;
	int64_t at = (max_ms - t->epoch_ms) / BUCKET_MS;
	if (at >= 0 && at < BUCKETS_MAX)
		t->bucket[at] += (uint64_t)count;
}

/* Walks one file's bytes; *next is the offset that its first batch must have (-1: any). */
static const char *walk(struct tally *t, const uint8_t *p, size_t left, int64_t *next)
{
	while (left) {
		if (left < BATCH_HDR)
			return "torn batch header";
		uint64_t length = be(p + 8, 4);
		size_t total = (size_t)length + 12;
		int32_t count = (int32_t)be(p + 57, 4);
		int64_t base = (int64_t)be(p, 8);
		if (p[16] != 2)
			return "magic is not 2";
		if (length < 49 || total > left)
			return "batch length";
		if (crc32c(p + CRC_FROM, total - CRC_FROM) != (uint32_t)be(p + 17, 4))
			return "CRC";
		if (count < 1 || (int32_t)be(p + 23, 4) != count - 1)
			return "record count";
		if (*next >= 0 && base != *next)
			return "gap or overlap of offsets";
		if (p[22] & 7) {
			t->compressed++;
		} else {
			const char *fault = check_records(p, total, count, t->value_bytes);
			if (fault)
				return fault;
		}
		count_batch(t, p, total, count);
		*next = base + count;
		p += total;
		left -= total;
	}
	return NULL;
}

/* Reads past the page cache where that works: the bytes on the disk, and memory left alone. */
static ssize_t slurp(struct tally *t, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) || st.st_size > FILE_BYTES_MAX)
		goto fail;
	size_t want = ((size_t)st.st_size + ALIGN - 1) / ALIGN * ALIGN, got = 0;
	if (want > t->cap) {
		free(t->buf);
		t->cap = 0;
		t->buf = aligned_alloc(ALIGN, want);
		if (!t->buf)
			goto fail;
		t->cap = want;
	}
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, t->buf + got, want - got);
		if (n < 0)
			goto fail;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	return (ssize_t)got;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

static int is_log(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return n == 24 && !strcmp(e->d_name + 20, ".log");
}

static int count_dir(struct tally *t, const char *dir)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_log, alphasort), rc = 0;
	int64_t next = -1;

	if (n < 0) {
		fprintf(stderr, "segcount: %s: %s\n", dir, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char path[PATH_BYTES];
		snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
		int64_t base = strtoll(list[i]->d_name, NULL, 10);
		ssize_t got = rc ? 0 : slurp(t, path);
		const char *fault = NULL;
		if (got < 0)
			fault = strerror(errno);
		else if (!rc && next >= 0 && base != next)
			fault = "file name is not the next offset";
		else if (!rc)
			fault = walk(t, t->buf, (size_t)got, &next);
		if (fault) {
			fprintf(stderr, "segcount: %s: %s (next offset %" PRId64 ")\n", path, fault,
				next);
			rc = -1;
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

static void print(const struct tally *t)
{
	const char *comma = "";
	printf("{\"records\":%" PRIu64 ",\"batches\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"compressed\":%" PRIu64 ",\"first_ms\":%" PRId64 ",\"last_ms\":%" PRId64
	       ",\"bucket_ms\":%d,\"buckets\":[",
	       t->records, t->batches, t->bytes, t->compressed, t->first_ms, t->last_ms, BUCKET_MS);
	for (int i = 0; i < BUCKETS_MAX; i++) {
		if (!t->bucket[i])
			continue;
		printf("%s[%" PRId64 ",%" PRIu64 "]", comma, t->epoch_ms + (int64_t)i * BUCKET_MS,
		       t->bucket[i]);
		comma = ",";
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static struct tally t = {.value_bytes = -1};
	int rc = 0, opt;

	while ((opt = getopt(argc, argv, "v:")) != -1) {
		if (opt != 'v') {
			fprintf(stderr, "usage: segcount [-v BYTES] DIR...\n");
			return 2;
		}
		t.value_bytes = strtol(optarg, NULL, 10);
	}
	for (int i = optind; i < argc; i++)
		if (count_dir(&t, argv[i]))
			rc = 1;
	print(&t);
	free(t.buf);
	return rc;
}
