/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_bench - the ingest path on one core, from a datagram in memory to a framed, checksummed
 * batch that nobody keeps. Not a test.
 *
 *   ingest_bench [-c PAYLOAD]... [-p PARTITIONS] [-b BATCH_BYTES] [-n RUNS] [-m MIB] [-z] [-r]
 *                [-C CPU] [-j] [-H] [-f CAPTURE]
 *
 * The source is DPDK's net_pcap replaying a file of 4,096 datagrams from 1,000 senders for ever;
 * beside it, in turns and on the same port, pool and core, runs the bare receive loop (what testpmd
 * rxonly does). -z: UDP checksums are zero; -r: protocol raw instead of syslog; -j: one JSON line
 * per payload size instead of the table; -H: on hugepages, which must have been set up; -f: the
 * frames of this capture, all of one length, to 10.99.0.1, UDP 5514 (as `make bench` makes them)
 * instead of our own. Then each stage by itself, on frames that lie in the cache.
 */
#include <errno.h>
#include <getopt.h>
#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dataplane.h"
#include "dp_mem.h"
#include "ingest.h"
#include "platform/base/clock.h"
#include "platform/record/crc32c.h"
#include "test_eth.h"
#include "test_frames.h"
#include "test_store.h"

#define FRAMES       4096u
#define SENDERS      1000u
#define RUNS_MAX     99
#define SLICE_FRAMES 1000000u
#define STAGE_LOOPS  200u
#define STAGE_FRAMES 256u /* of 200 bytes: in the first two levels of the cache */

struct opt {
	uint32_t payload[8], payloads;
	uint32_t partitions, batch_bytes, runs, memory_mib;
	int cpu;
	bool zero_csum, raw, json, huge;
	const char *capture;
};

struct frames {
	uint8_t *bytes;
	uint32_t stride, len, cnt;
};

/* RFC 5424 text of exactly that length. */
static void make_payload(char *buf, uint32_t len, uint32_t i)
{
	int n = snprintf(buf, len + 1, "<%u>1 2026-01-31T12:%02u:%02u.%03uZ gw-%u app%u %u ID%u - ",
			 8 + i % 180, i / 60 % 60, i % 60, i % 1000, i % SENDERS, i % 7,
			 1000 + i % 5000, i % 50);
	static const char words[] = "state=ok temperature=21.5 voltage=229.8 line=4 press=17 ";

	for (uint32_t k = (uint32_t)n, w = i; k < len; k++, w++)
		buf[k] = words[w % (sizeof(words) - 1)];
}

static void make_frames(struct frames *f, const struct opt *o, uint32_t payload)
{
	static struct tf t;
	static char buf[4096];

	f->stride = (uint32_t)SL_ALIGN_UP(payload + 42, 64);
	f->bytes = calloc(FRAMES, f->stride);
	f->cnt = FRAMES;
	for (uint32_t i = 0; i < FRAMES; i++) {
		make_payload(buf, payload, i);
		memset(&t, 0, sizeof(t));
		t.family = 4;
		memcpy(t.src,
		       (uint8_t[]){10, 1, (uint8_t)(i % SENDERS >> 8),
				   (uint8_t)(i % SENDERS & 255)},
		       4);
		memcpy(t.dst, (uint8_t[]){10, 77, 0, 1}, 4);
		t.dport = 5514;
		t.payload = buf;
		t.payload_len = payload;
		t.no_csum = o->zero_csum;
		tf_build(&t);
		f->len = t.len;
		memcpy(f->bytes + (size_t)i * f->stride, t.buf, t.len);
	}
}

static void write_pcap(const struct frames *f, const char *path)
{
	const uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	FILE *out = fopen(path, "w");

	SL_ASSERT(out);
	fwrite(head, sizeof(head), 1, out);
	for (uint32_t i = 0; i < FRAMES; i++) {
		const uint32_t rec[4] = {i, 0, f->len, f->len};
		fwrite(rec, sizeof(rec), 1, out);
		fwrite(f->bytes + (size_t)i * f->stride, f->len, 1, out);
	}
	fclose(out);
}

/* Little-endian, microseconds; the first FRAMES frames. Returns the payload's length. */
static uint32_t read_pcap(struct frames *f, const char *path)
{
	FILE *in = fopen(path, "r");
	uint32_t head[6], rec[4];

	SL_ASSERT(in && fread(head, sizeof(head), 1, in) == 1 && head[0] == 0xa1b2c3d4);
	for (f->cnt = 0; f->cnt < FRAMES && fread(rec, sizeof(rec), 1, in) == 1; f->cnt++) {
		if (f->cnt == 0) {
			f->len = rec[2];
			f->stride = (uint32_t)SL_ALIGN_UP(f->len, 64);
			f->bytes = calloc(FRAMES, f->stride);
		}
		SL_ASSERT(rec[2] == f->len &&
			  fread(f->bytes + (size_t)f->cnt * f->stride, f->len, 1, in) == 1);
	}
	SL_ASSERT(f->cnt >= STAGE_FRAMES);
	fclose(in);
	return f->len - 42;
}

static uint16_t open_pcap(const char *path, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	char args[300];
	uint16_t port;

	snprintf(args, sizeof(args), "rx_pcap=%s,infinite_rx=1", path);
	SL_ASSERT(rte_eal_hotplug_add("vdev", "net_pcap0", args) == 0);
	SL_ASSERT(rte_eth_dev_get_port_by_name("net_pcap0", &port) == 0);
	SL_ASSERT(rte_eth_dev_configure(port, 1, 0, &conf) == 0);
	SL_ASSERT(rte_eth_rx_queue_setup(port, 0, 512, 0, NULL, pool) == 0);
	SL_ASSERT(rte_eth_dev_start(port) == 0);
	return port;
}

/* ---- the whole path -----------------------------------------------------------------------------
 */

struct rig {
	struct sl_counters *ctr;
	struct sl_store *store;
	struct sl_topic *topic;
	_Atomic uint32_t max_bytes;
	struct sl_classifier *cls;
	struct sl_handoff lane;
	struct sl_idler writer; /* only its waker */
	struct sl_ingest *ingest;
};

static void rig_make(struct rig *r, const struct opt *o, uint16_t port)
{
	static struct sl_cfg_listener l[] = {{.addr = {4, {10, 77, 0, 1}}, .udp = 5514},
					     {.addr = {4, {10, 99, 0, 1}}, .udp = 5514}};
	struct sl_cls_cfg cc = {.listener = l, .listener_cnt = SL_ARRAY_SIZE(l)};
	const _Atomic uint32_t *max_bytes = &r->max_bytes;
	struct sl_waker *waker = &r->writer.waker;

	memset(r, 0, sizeof(*r));
	r->max_bytes = 1 << 20;
	SL_ASSERT(sl_counters_anon(&r->ctr) == 0);
	r->store = ts_new(1, r->ctr);
	r->topic = ts_topic(r->store, "t", o->partitions, 1 << 20);
	SL_ASSERT(sl_cls_new(&cc, &r->cls) == 0);
	SL_ASSERT(sl_idle_init(&r->writer, true) == 0);
	uint32_t batches = o->partitions + 1024;
	SL_ASSERT(sl_handoff_init(&r->lane, batches + SL_OB_LARGE_CNT) == 0);
	struct sl_ingest_port p = {.eth_id = port, .fd = -1, .cls = r->cls};
	const struct sl_decoder *dec = sl_decoder_for(o->raw ? SL_PROTO_RAW : SL_PROTO_SYSLOG);
	struct sl_ingest_listener il[] = {{.decoder = dec}, {.decoder = dec}};
	struct sl_ingest_cfg ic = {.port = &p,
				   .port_cnt = 1,
				   .listener = il,
				   .listener_cnt = SL_ARRAY_SIZE(il),
				   .writer = &waker,
				   .spin = true,
				   .tsc_hz = rte_get_tsc_hz(),
				   .ctr = &r->ctr->lcore[0],
				   .batches = {.topic = &r->topic,
					       .topic_max_bytes = &max_bytes,
					       .topic_cnt = 1,
					       .handoff = &r->lane,
					       .writers = 1,
					       .batch_bytes = o->batch_bytes,
					       .batch_cnt = batches,
					       .linger_ns = 5000000,
					       .alloc = sl_dp_mem_alloc,
					       .release = sl_dp_mem_free}};
	SL_ASSERT(sl_ingest_new(&ic, &r->ingest) == 0);
}

static void rig_unmake(struct rig *r)
{
	sl_ingest_free(r->ingest);
	sl_handoff_fini(&r->lane);
	sl_idle_fini(&r->writer);
	sl_cls_free(r->cls);
	ts_free(r->store);
	sl_counters_close(r->ctr);
}

/* The null sink. */
static void swallow(struct rig *r)
{
	struct sl_append *a[64];
	unsigned n = sl_handoff_take(&r->lane, a, 64);

	if (n)
		sl_handoff_return(&r->lane, a, n);
}

/* CPU time of this thread in TSC cycles: what others do on this core in between does not count. */
static double cpu_cycles(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec * 1e-9) * (double)rte_get_tsc_hz();
}

static double whole_path(struct rig *r)
{
	double from = cpu_cycles();
	uint64_t n = 0;

	while (n < SLICE_FRAMES) {
		n += sl_ingest_turn(r->ingest);
		swallow(r);
	}
	return (cpu_cycles() - from) / (double)n;
}

static double bare_receive(uint16_t port)
{
	struct rte_mbuf *m[SL_INGEST_BURST];
	double from = cpu_cycles();
	uint64_t n = 0;

	while (n < SLICE_FRAMES) {
		unsigned k = rte_eth_rx_burst(port, 0, m, SL_INGEST_BURST);
		rte_pktmbuf_free_bulk(m, k);
		n += k;
	}
	return (cpu_cycles() - from) / (double)n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* ---- stages by themselves
 * --------------------------------------------------------------------------- */

struct stages {
	double classify, decode, key, frame, crc;
};

#define CYCLES_PER(n, code)                                                                        \
	__extension__({                                                                            \
		double best_ = 1e9;                                                                \
		for (unsigned loop_ = 0; loop_ < STAGE_LOOPS; loop_++) {                           \
			uint64_t from_ = rte_rdtsc_precise();                                      \
			code;                                                                      \
			double c_ = (double)(rte_rdtsc_precise() - from_) / (double)(n);           \
			best_ = SL_MIN(best_, c_);                                                 \
		}                                                                                  \
		best_;                                                                             \
	})

static void measure_stages(struct rig *r, const struct opt *o, const struct frames *f,
			   struct stages *s)
{
	static struct sl_pkt pkt[STAGE_FRAMES];
	static struct sl_key_cache cache;
	static uint32_t part[STAGE_FRAMES];
	const struct sl_decoder *dec = sl_decoder_for(o->raw ? SL_PROTO_RAW : SL_PROTO_SYSLOG);
	const struct sl_key_rule_cfg rule = {.rule = SL_KEY_SOURCE};
	struct sl_fastmod fast = sl_fastmod_for(o->partitions);
	struct sl_decoded d;
	SL_UNUSED volatile uint32_t sink = 0;
	bool missing = false;

	s->classify =
		CYCLES_PER(STAGE_FRAMES,
			   for (uint32_t i = 0; i < STAGE_FRAMES; i++)
				   SL_ASSERT(sl_classify(r->cls, f->bytes + (size_t)i * f->stride,
							 f->len, &pkt[i]) == SL_FR_ACCEPTED));
	s->decode = CYCLES_PER(
		STAGE_FRAMES, for (uint32_t i = 0; i < STAGE_FRAMES; i++) {
			dec->decode(pkt[i].payload, 0, &d);
			sink += d.notes;
		});
	s->key = CYCLES_PER(
		STAGE_FRAMES, for (uint32_t i = 0; i < STAGE_FRAMES; i++) {
			struct sl_key k = sl_key_of(&rule, &cache, &pkt[i], d.host, &missing);
			part[i] = sl_partition_fast(k.hash, &fast);
		});
	uint8_t *buf = malloc(o->partitions * (size_t)o->batch_bytes);
	struct sl_bb *bb = calloc(o->partitions, sizeof(*bb));
	for (uint32_t i = 0; i < o->partitions; i++)
		sl_bb_init(&bb[i], buf + i * (size_t)o->batch_bytes, o->batch_bytes);
	s->frame = CYCLES_PER(
		STAGE_FRAMES, for (uint32_t i = 0; i < STAGE_FRAMES; i++) {
			struct sl_bb *b = &bb[part[i]];
			struct sl_key k = sl_key_of(&rule, &cache, &pkt[i], d.host, &missing);
			if (!sl_bb_add(b, 1, k.key, pkt[i].payload, NULL, 0)) {
				sl_bb_init(b, b->buf, b->cap);
				SL_ASSERT(sl_bb_add(b, 1, k.key, pkt[i].payload, NULL, 0));
			}
		});
	s->crc = CYCLES_PER(1, sink += sl_crc32c(buf, o->batch_bytes)) / o->batch_bytes *
		 (pkt[0].payload.len + 20);
	free(bb);
	free(buf);
}

/* ---- main
 * -------------------------------------------------------------------------------------------- */

static void report(const struct opt *o, uint32_t payload, double bare, double whole,
		   const struct stages *s)
{
	double hz = (double)rte_get_tsc_hz();

	if (o->json) {
		printf("{\"payload\":%u,\"rxonly_pps\":%.0f,\"ingest_rps\":%.0f,\"ratio\":%.4f}\n",
		       payload, hz / bare, hz / whole, bare / whole);
		return;
	}
	printf("%5u B  rx+free %6.1f cyc %6.2f M/s   ingest %6.1f cyc %6.2f M/s   ratio %.3f\n",
	       payload, bare, hz / bare / 1e6, whole, hz / whole / 1e6, bare / whole);
	printf("         alone: classify %.1f  decode %.1f  key %.1f  frame %.1f  crc %.1f  sum "
	       "%.1f\n",
	       s->classify, s->decode, s->key, s->frame - s->key, s->crc,
	       s->classify + s->decode + s->frame + s->crc);
}

static void bench(const struct opt *o, uint32_t payload, struct rte_mempool *pool)
{
	double bare[RUNS_MAX], whole[RUNS_MAX];
	char path[] = "/tmp/sl-ingest-bench-XXXXXX";
	int fd = mkstemp(path);
	struct frames f = {0};
	struct stages s;
	struct rig r;

	SL_ASSERT(fd >= 0);
	close(fd);
	if (o->capture) {
		payload = read_pcap(&f, o->capture);
	} else {
		make_frames(&f, o, payload);
		write_pcap(&f, path);
	}
	uint16_t port = open_pcap(o->capture ? o->capture : path, pool);
	rig_make(&r, o, port);
	bare_receive(port);
	whole_path(&r);
	for (uint32_t i = 0; i < o->runs; i++) {
		bare[i] = bare_receive(port);
		whole[i] = whole_path(&r);
	}
	const struct sl_ctr_lcore *c = &r.ctr->lcore[0];
	SL_ASSERT(c->frame[SL_FR_ACCEPTED] == c->rx);
	measure_stages(&r, o, &f, &s);
	report(o, payload, median(bare, o->runs), median(whole, o->runs), &s);
	rig_unmake(&r);
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	rte_eal_hotplug_remove("vdev", "net_pcap0");
	unlink(path);
	free(f.bytes);
}

static void parse(struct opt *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:p:b:n:m:C:f:zrjH")) != -1)
		switch (c) {
		case 'c':
			if (o->payloads < SL_ARRAY_SIZE(o->payload))
				o->payload[o->payloads++] = (uint32_t)SL_MIN(atoi(optarg), 1472);
			break;
		case 'p':
			o->partitions = (uint32_t)atoi(optarg);
			break;
		case 'b':
			o->batch_bytes = (uint32_t)atoi(optarg);
			break;
		case 'n':
			o->runs = (uint32_t)SL_MIN(atoi(optarg), RUNS_MAX);
			break;
		case 'm':
			o->memory_mib = (uint32_t)atoi(optarg);
			break;
		case 'C':
			o->cpu = atoi(optarg);
			break;
		case 'z':
			o->zero_csum = true;
			break;
		case 'r':
			o->raw = true;
			break;
		case 'H':
			o->huge = true;
			break;
		case 'f':
			o->capture = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		default:
			exit(2);
		}
}

int main(int argc, char **argv)
{
	struct opt o = {
		.partitions = 8, .batch_bytes = 65536, .runs = 15, .memory_mib = 256, .cpu = -1};

	parse(&o, argc, argv);
	if (o.capture) {
		o.payloads = 1;
	} else if (!o.payloads) {
		o.payloads = 3;
		o.payload[0] = 100;
		o.payload[1] = 200;
		o.payload[2] = 1000;
	}
	te_eal(o.memory_mib, o.huge);
	if (o.cpu >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET((unsigned)o.cpu, &set);
		SL_ASSERT(sched_setaffinity(0, sizeof(set), &set) == 0);
	}
	sl_clock_discipline();
	struct rte_mempool *pool = te_pool_cached(3 * FRAMES, 2048);
	for (uint32_t i = 0; i < o.payloads; i++)
		bench(&o, o.payload[i], pool);
	rte_mempool_free(pool);
	sl_dp_eal_cleanup();
	return 0;
}
