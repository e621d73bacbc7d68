/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_null.c - the product's data plane in front of a store that throws everything away. P3.
 *
 *   ingest_null CAPTURE INGEST_CPU WRITER_CPU WARM_S SECONDS [huge]
 *
 * A pcap port replays CAPTURE for ever; ingest and writer lcores are the product's own, built and
 * run through dataplane.h; only the functions of sluice/store.h that they call are ours. Every
 * SAMPLE-th batch is checked (length, magic, CRC, count). Prints
 * {"records":n,"seconds":s,"rate":r,"cpu_ns_per_record":x,"appended":n,"checked":n,"refused":n}.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/dataplane.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/record/check.h"

enum { PARTITIONS = 8, SAMPLE = 64, SECONDS_MAX = 30, MEMORY_MIB = 256, LINGER_US = 5000 };

/* ---- a store that counts ------------------------------------------------------------------------
 */

struct sl_part {
	struct sl_part_pub pub;
};

struct sl_topic {
	struct sl_part part[PARTITIONS];
};

struct sl_store_writer {
	uint64_t records, batches, checked, broken;
	int efd;
};

struct sl_store {
	struct sl_topic topic;
	struct sl_store_writer writer;
};

struct sl_topic *sl_store_topic_find(struct sl_store *s, SL_UNUSED const char *name,
				     SL_UNUSED size_t len)
{
	return &s->topic;
}

const char *sl_topic_name(SL_UNUSED const struct sl_topic *t)
{
	return "bench";
}

struct sl_topic *sl_topic_ref(struct sl_topic *t)
{
	return t;
}

void sl_topic_put(SL_UNUSED struct sl_topic *t)
{
}

uint32_t sl_topic_partitions(SL_UNUSED const struct sl_topic *t)
{
	return PARTITIONS;
}

struct sl_part *sl_topic_part(const struct sl_topic *t, int32_t id)
{
	return id >= 0 && id < PARTITIONS ? (struct sl_part *)(uintptr_t)&t->part[id] : NULL;
}

void sl_topic_cfg_get(SL_UNUSED const struct sl_topic *t, struct sl_topic_cfg *ret_cfg)
{
	*ret_cfg = (struct sl_topic_cfg){.max_message_bytes = 1048588};
}

int sl_store_writer_attach(struct sl_store *s, SL_UNUSED unsigned idx,
			   struct sl_store_writer **ret_writer)
{
	s->writer.efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*ret_writer = &s->writer;
	return s->writer.efd < 0 ? -errno : 0;
}

int sl_store_append(struct sl_store_writer *w, struct sl_append *a)
{
	if (w->batches++ % SAMPLE == 0) {
		uint32_t total;
		w->checked++;
		w->broken += sl_batch_check_frame(a->batch, a->len, &total) != SL_BF_OK ||
			     total != a->len || (uint32_t)sl_batch_count(a->batch) != a->records;
	}
	w->records += a->records;
	a->err = 0;
	return 0;
}

unsigned sl_store_poll(SL_UNUSED struct sl_store_writer *w, SL_UNUSED uint64_t now_ns)
{
	return 0;
}

int sl_store_writer_fd(const struct sl_store_writer *w)
{
	return w->efd;
}

uint64_t sl_store_deadline(SL_UNUSED const struct sl_store_writer *w)
{
	return UINT64_MAX;
}

int sl_store_writer_drain(SL_UNUSED struct sl_store_writer *w, SL_UNUSED uint64_t deadline_ns)
{
	return 0;
}

void sl_store_writer_detach(struct sl_store_writer *w)
{
	if (w && w->efd > 0)
		close(w->efd);
}

/* ---- the run ------------------------------------------------------------------------------------
 */

struct args {
	double warm_s, seconds;
};

static void fill_config(char **argv, bool huge, struct sl_config *c)
{
	c->dataplane.memory_bytes = (uint64_t)MEMORY_MIB << 20;
	c->dataplane.hugepages = huge ? SL_HUGE_REQUIRED : SL_HUGE_OFF;
	c->dataplane.ingest = (struct sl_cfg_cpus){.cnt = 1, .cpu = {(uint16_t)atoi(argv[2])}};
	c->dataplane.writers = (struct sl_cfg_cpus){.cnt = 1, .cpu = {(uint16_t)atoi(argv[3])}};
	c->dataplane.linger_us = LINGER_US;
	c->port_cnt = c->listener_cnt = 1;
	c->port[0] = (struct sl_cfg_port){.name = "lan0", .backend = SL_BE_PCAP, .loop = true};
	snprintf(c->port[0].file, sizeof c->port[0].file, "%s", argv[1]);
	c->listener[0] = (struct sl_cfg_listener){.name = "syslog",
						  .udp = 5514,
						  .protocol = SL_PROTO_SYSLOG,
						  .topic = "bench",
						  .key = SL_KEY_SOURCE};
}

static void nap(double s)
{
	struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
	nanosleep(&t, NULL);
}

static uint64_t cpu_ns(void) /* of all threads */
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int run(const struct args *a, const struct sl_config *c, struct sl_store *store,
	       struct sl_counters *ctr, char *err, size_t errlen)
{
	const struct sl_dp_cfg dc = {.config = c, .store = store, .counters = ctr};
	const uint64_t *accepted = &ctr->lcore[0].frame[SL_FR_ACCEPTED], *rx = &ctr->lcore[0].rx;
	struct sl_dataplane *dp = NULL;
	int rc = sl_dp_new(&dc, &dp, err, errlen);

	if (!rc)
		rc = sl_dp_start(dp, err, errlen);
	if (rc) {
		sl_dp_free(dp);
		return rc;
	}
	nap(a->warm_s);
	uint64_t n0 = sl_ctr_get(accepted), t0 = sl_clock_mono_ns(), c0 = cpu_ns();
	nap(a->seconds);
	uint64_t n1 = sl_ctr_get(accepted), t1 = sl_clock_mono_ns(), c1 = cpu_ns();
	rc = sl_dp_stop(dp, sl_clock_mono_ns() + 5000000000ull);
	uint64_t took = sl_ctr_get(accepted), refused = sl_ctr_get(rx) - took;
	sl_dp_free(dp);
	if (!rc && (store->writer.broken || store->writer.records != took)) {
		snprintf(err, errlen, "%llu records accepted, %llu appended, %llu broken batches",
			 (unsigned long long)took, (unsigned long long)store->writer.records,
			 (unsigned long long)store->writer.broken);
		return -EILSEQ;
	}
	double records = (double)(n1 - n0), seconds = (double)(t1 - t0) / 1e9;
	printf("{\"records\":%.0f,\"seconds\":%.6f,\"rate\":%.1f,\"cpu_ns_per_record\":%.2f,",
	       records, seconds, records / seconds, (double)(c1 - c0) / records);
	printf("\"appended\":%llu,\"checked\":%llu,\"refused\":%llu}\n",
	       (unsigned long long)store->writer.records, (unsigned long long)store->writer.checked,
	       (unsigned long long)refused);
	return rc;
}

int main(int argc, char **argv)
{
	static struct sl_config c;
	static struct sl_store store;
	struct sl_counters *ctr = NULL;
	char err[512] = "";

	if (argc < 6 || argc > 7) {
		fprintf(stderr,
			"usage: ingest_null CAPTURE INGEST_CPU WRITER_CPU WARM_S SECONDS [huge]\n");
		return 2;
	}
	struct args a = {.warm_s = strtod(argv[4], NULL), .seconds = strtod(argv[5], NULL)};
	if (!(a.warm_s >= 0 && a.warm_s <= SECONDS_MAX && a.seconds > 0 &&
	      a.seconds <= SECONDS_MAX))
		return 2;
	sl_log_set_level(SL_LOG_WARN);
	fill_config(argv, argc == 7, &c);
	sl_clock_discipline();
	int rc = sl_counters_anon(&ctr);
	if (!rc)
		rc = sl_dp_eal_init(&c, err, sizeof err);
	if (!rc)
		rc = run(&a, &c, &store, ctr, err, sizeof err);
	sl_dp_eal_cleanup();
	sl_counters_close(ctr);
	if (rc)
		fprintf(stderr, "ingest_null: %s (%s)\n", err, strerror(-rc));
	return rc ? 1 : 0;
}
