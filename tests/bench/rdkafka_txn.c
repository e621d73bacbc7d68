/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rdkafka_txn.c - a bare transactional producer, as fast as librdkafka goes: what the uplink's
 * catch-up is measured beside.
 *
 *   rdkafka_txn BOOTSTRAP TOPIC PARTITIONS RECORDS COMMIT_MS COMMIT_BYTES WINDOW LINES
 * [NAME=VALUE]...
 *
 * Values are the lines of a file, in turn, from memory; each record has a key (as one of 1,000
 * sources has it), an explicit partition, a timestamp and the four headers that the uplink adds.
 * Transactions by time and bytes, at most WINDOW messages inside the library. NAME=VALUE are its
 * settings. Prints {"records":n,"seconds":s,"commits":[[seconds,records],...]}; time begins with
 * the first produce and every point is a transaction that was committed.
 */
#include <librdkafka/rdkafka.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SOURCES = 1000,
	PARTITIONS_MAX = 1024,
	LINES_MAX = 65536,
	FILE_BYTES_MAX = 256 << 20,
	COMMITS_MAX = 100000,
	INIT_MS = 30000,
};

struct run {
	rd_kafka_t *rk;
	const char *topic;
	unsigned partitions, window;
	uint64_t records, commit_ns, commit_bytes;
	const char *line[LINES_MAX];
	size_t len[LINES_MAX];
	unsigned lines;
	uint64_t refused;
	uint64_t offset[PARTITIONS_MAX]; /* as a log here would have numbered them */
	struct {
		double s;
		uint64_t n;
	} commit[COMMITS_MAX];
	unsigned commits;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *arg)
{
	struct run *r = arg;

	(void)rk;
	r->refused += msg->err != 0;
}

static int load(struct run *r, const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = f ? malloc(FILE_BYTES_MAX) : NULL;
	size_t n = text ? fread(text, 1, FILE_BYTES_MAX - 1, f) : 0;

	if (f)
		fclose(f);
	if (!n)
		return -1;
	text[n] = '\0';
	for (char *p = text; *p && r->lines < LINES_MAX; r->lines++) {
		r->line[r->lines] = p;
		r->len[r->lines] = strcspn(p, "\n");
		p += r->len[r->lines];
		p += *p == '\n';
	}
	return 0;
}

static size_t put_u64(char *to, uint64_t v)
{
	char tmp[20];
	size_t n = 0;

	do
		tmp[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (size_t i = 0; i < n; i++)
		to[i] = tmp[n - 1 - i];
	return n;
}

/* Bytes that went, or 0 if the library refuses. */
static size_t produce(struct run *r, uint64_t i)
{
	unsigned source = (unsigned)(i % SOURCES), part = source % r->partitions;
	unsigned at = (unsigned)(i % r->lines);
	struct timespec t;
	char key[24], part_text[20], offset_text[20];
	size_t part_len, offset_len;
	int key_len;
	rd_kafka_resp_err_t err;

	clock_gettime(CLOCK_REALTIME, &t);
	key_len = snprintf(key, sizeof key, "10.98.%u.%u", (source + 1) >> 8, (source + 1) & 255);
	part_len = put_u64(part_text, part);
	offset_len = put_u64(offset_text, r->offset[part]++);
	do {
		while (rd_kafka_outq_len(r->rk) >= (int)r->window)
			rd_kafka_poll(r->rk, 1);
		err = rd_kafka_producev(
			r->rk, RD_KAFKA_V_TOPIC(r->topic), RD_KAFKA_V_PARTITION((int32_t)part),
			RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			RD_KAFKA_V_KEY(key, (size_t)key_len),
			RD_KAFKA_V_VALUE((void *)(uintptr_t)r->line[at], r->len[at]),
			RD_KAFKA_V_TIMESTAMP((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000),
			RD_KAFKA_V_HEADER("sluice.gateway", "bench", 5),
			RD_KAFKA_V_HEADER("sluice.topic", r->topic, -1),
			RD_KAFKA_V_HEADER("sluice.partition", part_text, (ssize_t)part_len),
			RD_KAFKA_V_HEADER("sluice.offset", offset_text, (ssize_t)offset_len),
			RD_KAFKA_V_END);
	} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	if (err)
		fprintf(stderr, "rdkafka_txn: %s\n", rd_kafka_err2str(err));
	return err ? 0 : (size_t)key_len + r->len[at];
}

static int failed(const char *what, rd_kafka_error_t *e)
{
	if (!e)
		return 0;
	fprintf(stderr, "rdkafka_txn: %s: %s\n", what, rd_kafka_error_string(e));
	rd_kafka_error_destroy(e);
	return -1;
}

static int run(struct run *r)
{
	uint64_t t0 = now_ns(), i = 0;

	while (i < r->records) {
		uint64_t until = now_ns() + r->commit_ns, bytes = 0;
		if (failed("begin", rd_kafka_begin_transaction(r->rk)))
			return -1;
		while (i < r->records && bytes < r->commit_bytes && now_ns() < until) {
			size_t n = produce(r, i++);
			if (!n)
				return -1;
			bytes += n;
			if (i % 256 == 0)
				rd_kafka_poll(r->rk, 0);
		}
		if (failed("commit", rd_kafka_commit_transaction(r->rk, -1)))
			return -1;
		if (r->commits < COMMITS_MAX) {
			r->commit[r->commits].s = (double)(now_ns() - t0) / 1e9;
			r->commit[r->commits++].n = i;
		}
	}
	return r->refused ? -1 : 0;
}

static rd_kafka_t *producer(struct run *r, const char *bootstrap, char **set, int cnt)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char err[256] = "";

	if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, err, sizeof err) ||
	    rd_kafka_conf_set(conf, "transactional.id", "bench-txn", err, sizeof err))
		goto fail;
	for (int i = 0; i < cnt; i++) {
		char *value = strchr(set[i], '=');
		if (!value)
			goto fail;
		*value++ = '\0';
		if (rd_kafka_conf_set(conf, set[i], value, err, sizeof err))
			goto fail;
	}
	rd_kafka_conf_set_opaque(conf, r);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err);
	if (rk)
		return rk;
fail:
	fprintf(stderr, "rdkafka_txn: %s\n", err[0] ? err : "NAME=VALUE expected");
	rd_kafka_conf_destroy(conf);
	return NULL;
}

static void print(const struct run *r)
{
	printf("{\"records\":%llu,\"seconds\":%.6f,\"commits\":[", (unsigned long long)r->records,
	       r->commits ? r->commit[r->commits - 1].s : 0.0);
	for (unsigned i = 0; i < r->commits; i++)
		printf("%s[%.6f,%llu]", i ? "," : "", r->commit[i].s,
		       (unsigned long long)r->commit[i].n);
	puts("]}");
}

int main(int argc, char **argv)
{
	static struct run r;

	if (argc < 9) {
		fprintf(stderr, "usage: rdkafka_txn BOOTSTRAP TOPIC PARTITIONS RECORDS COMMIT_MS "
				"COMMIT_BYTES "
				"WINDOW LINES [NAME=VALUE]...\n");
		return 2;
	}
	r.topic = argv[2];
	r.partitions = (unsigned)strtoul(argv[3], NULL, 10);
	r.records = strtoull(argv[4], NULL, 10);
	r.commit_ns = strtoull(argv[5], NULL, 10) * 1000000u;
	r.commit_bytes = strtoull(argv[6], NULL, 10);
	r.window = (unsigned)strtoul(argv[7], NULL, 10);
	if (r.partitions < 1 || r.partitions > PARTITIONS_MAX || r.records < 1 || r.commit_ns < 1 ||
	    r.commit_bytes < 1 || r.window < 1 || r.window > INT32_MAX || load(&r, argv[8])) {
		fprintf(stderr, "rdkafka_txn: argument out of range\n");
		return 2;
	}
	r.rk = producer(&r, argv[1], argv + 9, argc - 9);
	if (!r.rk || failed("init", rd_kafka_init_transactions(r.rk, INIT_MS)))
		return 1;
	int rc = run(&r);
	if (!rc)
		print(&r);
	rd_kafka_destroy(r.rk);
	return rc ? 1 : 0;
}
