/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live_gen.c - UDP frames out of a device by BPF live-frame test runs, as fast as one core goes
 * or at a rate.
 *
 *   live_gen OBJ DEV DST_MAC DST_IP DST_PORT BYTES SECONDS [RATE [DEVICES]]
 *
 * Runs in the network namespace of DEV. BYTES: UDP payload, an RFC 5424 line that bears the
 * sequence number in hex. RATE 0 or absent: full speed. Prints {"sent":n,"seconds":s}.
 */
#include "live_gen.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAYLOAD_MIN = 64, PAYLOAD_MAX = 1472, FRAME_MAX = LG_PAYLOAD_OFF + PAYLOAD_MAX };
enum { SECONDS_MAX = 30, RATE_MAX = 100000000, DEVICES_MAX = 60000 };

#define SRC_BASE 0x0a620001u /* 10.98.0.1 */

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Adds 16-bit words as they lie in memory. len even, or the last byte is padded with zero. */
static uint32_t sum16(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint16_t w;
		memcpy(&w, p + i, 2);
		s += w;
	}
	if (len & 1)
		s += p[len - 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static int parse_mac(const char *s, uint8_t *ret_mac)
{
	unsigned v[6];
	if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6)
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		ret_mac[i] = (uint8_t)v[i];
	return 0;
}

static void make_payload(uint8_t *p, size_t len)
{
	static const char head[] = "<134>1 2026-01-31T12:00:00.000Z gw-host app ";
	static const char tail[] =
		" - [m@1 line=\"7\" temp=\"21.4\" rpm=\"1480\"] spindle state ok, ";
	_Static_assert(sizeof head - 1 == LG_SEQ_OFF - LG_PAYLOAD_OFF, "sequence number's place");
	memcpy(p, head, sizeof head - 1);
	memset(p + sizeof head - 1, 0, LG_SEQ_LEN);
	size_t at = sizeof head - 1 + LG_SEQ_LEN;
	for (size_t i = 0; at + i < len; i++)
		p[at + i] = (uint8_t)tail[i % (sizeof tail - 1)];
}

static size_t make_frame(uint8_t *f, const uint8_t *mac, struct in_addr dst, uint16_t port,
			 size_t payload, struct lg_state *st)
{
	uint16_t ip_len = htons((uint16_t)(28 + payload)), udp_len = htons((uint16_t)(8 + payload));
	uint16_t sport = htons(40000), dport = htons(port), src_hi = htons(SRC_BASE >> 16);
	uint8_t pseudo[4] = {0, 17};

	memset(f, 0, FRAME_MAX);
	memcpy(f, mac, 6);
	f[6] = 2;
	f[11] = 0x62;
	f[12] = 8;
	f[14] = 0x45;
	memcpy(f + 16, &ip_len, 2);
	f[20] = 0x40; /* do not fragment */
	f[22] = 64;
	f[23] = 17;
	memcpy(f + LG_IP_SRC_OFF, &src_hi, 2);
	memcpy(f + 30, &dst, 4);
	memcpy(f + 34, &sport, 2);
	memcpy(f + 36, &dport, 2);
	memcpy(f + 38, &udp_len, 2);
	make_payload(f + LG_PAYLOAD_OFF, payload);
	memcpy(pseudo + 2, &udp_len, 2);
	st->ip_sum = sum16(f + LG_ETH, 20, 0);
	st->udp_sum = sum16(f + 34, 8 + payload, sum16(pseudo, 4, sum16(f + LG_IP_SRC_OFF, 8, 0)));
	return LG_PAYLOAD_OFF + payload;
}

/* One run of `repeat` frames; a signal ends it early, which the state's seq shows. */
static int run(int prog, uint32_t ifindex, const uint8_t *frame, size_t len, uint32_t repeat,
	       uint32_t batch)
{
	struct xdp_md ctx = {.data_end = (uint32_t)len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof ctx, .repeat = (int)repeat,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = batch);
	int rc = bpf_prog_test_run_opts(prog, &opts);
	return rc < 0 ? -errno : 0;
}

struct args {
	const char *obj;
	uint32_t ifindex;
	uint8_t mac[6];
	struct in_addr dst;
	uint16_t port;
	size_t payload;
	double seconds;
	uint64_t rate;
	uint32_t devices;
};

static int parse_args(int argc, char **argv, struct args *a)
{
	if (argc < 8 || argc > 10)
		return -EINVAL;
	a->obj = argv[1];
	a->ifindex = if_nametoindex(argv[2]);
	if (!a->ifindex || parse_mac(argv[3], a->mac) || inet_pton(AF_INET, argv[4], &a->dst) != 1)
		return -EINVAL;
	a->port = (uint16_t)strtoul(argv[5], NULL, 10);
	a->payload = strtoul(argv[6], NULL, 10);
	a->seconds = strtod(argv[7], NULL);
	a->rate = argc > 8 ? strtoull(argv[8], NULL, 10) : 0;
	a->devices = argc > 9 ? (uint32_t)strtoul(argv[9], NULL, 10) : 1000;
	if (a->payload < PAYLOAD_MIN || a->payload > PAYLOAD_MAX || a->rate > RATE_MAX ||
	    !(a->seconds > 0 && a->seconds <= SECONDS_MAX) || a->devices > DEVICES_MAX)
		return -EINVAL;
	return 0;
}

/* Full speed: chunks until the time is over, since a run has a count and no clock. */
static int drive(const struct args *a, int prog, int map, const uint8_t *frame, size_t len)
{
	uint32_t key = 0;
	struct lg_state st;
	double start = now_s();

	if (a->rate) {
		uint32_t batch = a->rate < 20000 ? 1 : a->rate < 1000000 ? 16 : 64;
		return run(prog, a->ifindex, frame, len, (uint32_t)((double)a->rate * a->seconds),
			   batch);
	}
	uint32_t chunk = 250000;
	while (!stop && now_s() - start < a->seconds) {
		int rc = run(prog, a->ifindex, frame, len, chunk, 64);
		if (rc)
			return rc;
		if (bpf_map_lookup_elem(map, &key, &st))
			return -errno;
		double left = a->seconds - (now_s() - start);
		double rate = (double)st.seq / (now_s() - start);
		chunk = left * rate > 250000 ? (uint32_t)(left * rate) : 250000;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct args a;
	if (parse_args(argc, argv, &a)) {
		fprintf(stderr, "usage: live_gen OBJ DEV DST_MAC DST_IP DST_PORT BYTES SECONDS "
				"[RATE [DEVICES]]\n");
		return 2;
	}
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);

	struct lg_state st = {.devices = a.devices, .src = SRC_BASE};
	static uint8_t frame[FRAME_MAX];
	size_t len = make_frame(frame, a.mac, a.dst, a.port, a.payload, &st);
	if (a.rate)
		st.interval_ns = 1000000000u / a.rate;

	struct bpf_object *obj = bpf_object__open_file(a.obj, NULL);
	if (!obj || bpf_object__load(obj)) {
		fprintf(stderr, "live_gen: cannot load %s: %s\n", a.obj, strerror(errno));
		bpf_object__close(obj);
		return 1;
	}
	int prog = bpf_program__fd(bpf_object__find_program_by_name(obj, "sl_bench_gen"));
	int map = bpf_object__find_map_fd_by_name(obj, "lg_map");
	uint32_t key = 0;
	int rc = bpf_map_update_elem(map, &key, &st, 0) ? -errno : 0;
	double start = now_s();
	if (!rc)
		rc = drive(&a, prog, map, frame, len);
	double took = now_s() - start;
	if (bpf_map_lookup_elem(map, &key, &st))
		rc = -errno;
	bpf_object__close(obj);
	if (rc && !(rc == -EINTR && stop)) {
		fprintf(stderr, "live_gen: %s\n", strerror(-rc));
		return 1;
	}
	printf("{\"sent\":%llu,\"seconds\":%.6f}\n", (unsigned long long)st.seq, took);
	return 0;
}
