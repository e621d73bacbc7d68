/* SPDX-License-Identifier: Apache-2.0 */
/* Suite net: the poller is stalled on every back end; sent = received + lost, exactly. */
#include <errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane.h"
#include "pool.h"
#include "port_testlib.h"

static struct sl_port *open_on(struct tl_fix *f, enum sl_backend be, const char *device,
			       const char *ns, const struct sl_cfg_listener *l)
{
	struct sl_port *p = NULL;
	char err[TL_ERR];

	memset(&f->ctr->port[0], 0, sizeof(f->ctr->port[0]));
	tl_port(f, be, device, ns);
	if (tl_open(f, l, l ? 1 : 0, &p, err))
		fail_msg("%s", err);
	return p;
}

static void start(struct sl_port *p)
{
	char err[TL_ERR] = "";

	if (sl_port_start(p, err, sizeof(err)))
		fail_msg("%s", err);
}

static void stall_interface(struct tl_fix *f, enum sl_backend be, uint32_t n)
{
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = open_on(f, be, "gw0", tl_gw, &l);
	uint64_t all = 0, udp = 0;

	assert_true(sl_port_loss_exact(p));
	/* before the start: not ours */
	assert_int_equal(tl_send_udp(TL_GW_IP, TL_UDP, 100, 0), 100);
	start(p);
	assert_int_equal(ctr->wire, 0);

	uint64_t dropped = tl_tx_dropped(tl_dev, "dev0");
	int sent = tl_send_udp(TL_GW_IP, TL_UDP, n, 0);
	if (be == SL_BE_AF_XDP) /* somebody else's traffic is not ours to lose */
		assert_int_equal(tl_send_udp(TL_GW_IP, 9, 500, 0), 500);
	uint64_t never = tl_tx_dropped(tl_dev, "dev0") - dropped;
	tl_wait_wire(p, ctr, (uint64_t)sent - never);
	tl_poll_for(p, ctr->wire - ctr->lost_by_device, &all, &udp);
	sl_port_housekeep(p);
	print_message("%s: sent %d, dropped by the sender's veth %lu, received %lu, lost %lu, "
		      "wire %lu\n",
		      sl_port_backend(p), sent, never, udp, ctr->lost_by_device, ctr->wire);
	assert_true(ctr->lost_by_device > 0);
	assert_int_equal(all, udp);
	assert_int_equal(ctr->wire, (uint64_t)sent - never);
	assert_int_equal(ctr->wire, udp + ctr->lost_by_device);

	/* what sits in the device when it is stopped is lost, and counted */
	sent = tl_send_udp(TL_GW_IP, TL_UDP, 100, 0);
	tl_wait_wire(p, ctr, ctr->wire + (uint64_t)sent);
	uint64_t lost = ctr->lost_by_device;
	sl_port_stop(p);
	assert_int_equal(ctr->lost_by_device, lost + (uint64_t)sent);
	assert_int_equal(ctr->wire, udp + ctr->lost_by_device);

	/* a second run goes on from there */
	uint64_t wire = ctr->wire;
	start(p);
	sent = tl_send_udp(TL_GW_IP, TL_UDP, 50, 0);
	udp = 0;
	tl_poll_for(p, 50, &all, &udp);
	sl_port_quiesce(p);
	assert_int_equal(tl_send_udp(TL_GW_IP, TL_UDP, 50, 0), 50);
	tl_poll(p, 20, &all, &udp);
	assert_int_equal(udp, 50);
	sl_port_close(p);
	assert_int_equal(ctr->wire, wire + 50);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), 0);
}

static void af_xdp_stalled(void **state)
{
	stall_interface(*state, SL_BE_AF_XDP, 5000);
}

/* Each buffer of the pool takes its turn in the kernel's hands: none may be out of its reach. */
static void af_xdp_turns_its_pool_over(void **state)
{
	struct tl_fix *f = *state;
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = open_on(f, SL_BE_AF_XDP, "gw0", tl_gw, &l);
	uint64_t all = 0, udp = 0;

	start(p);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(tl_send_udp(TL_GW_IP, TL_UDP, 1000, 0), 1000);
		tl_poll_for(p, 1000u * (unsigned)(i + 1), &all, &udp);
	}
	sl_port_close(p);
	assert_int_equal(udp, 40000);
	assert_int_equal(ctr->lost_by_device, 0);
}

static void af_xdp_refuses_a_pool_with_gaps(void **state)
{
	struct tl_fix *f = *state;
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	struct sl_cfg_port cfg = {.name = "lan0", .device = "gw0", .backend = SL_BE_AF_XDP};
	struct sl_port_cfg pc = {.port = &cfg, .counters = ctr};
	struct sl_port *p = NULL;
	char err[256] = "";

	snprintf(cfg.netns, sizeof(cfg.netns), "%s", tl_gw);
	pc.pool = rte_pktmbuf_pool_create("gaps", 4095, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, 0);
	assert_non_null(pc.pool);
	assert_false(sl_pool_gapless(pc.pool));
	assert_true(sl_pool_gapless(f->pool));
	assert_int_equal(sl_port_open(&pc, &p, err, sizeof(err)), -ENOMEM);
	rte_mempool_free(pc.pool);
}

static void af_packet_stalled(void **state)
{
	stall_interface(*state, SL_BE_AF_PACKET, 20000);
}

/* Frames sent by the gateway's own side of a veth are seen by a packet socket, and not ours. */
static void af_packet_own_frames(void **state)
{
	struct tl_fix *f = *state;
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = open_on(f, SL_BE_AF_PACKET, "gw0", tl_gw, &l);
	uint8_t frame[60] = {2, 0, 0, 0, 0x77, 2, 2, 0, 0, 0, 0x77, 1, 0x88, 0xb5};
	uint64_t all = 0, udp = 0;

	start(p);
	assert_int_equal(tl_send_frame(tl_gw, "gw0", frame, sizeof(frame)), 0);
	tl_poll(p, 50, &all, &udp);
	assert_int_equal(all, 0);
	frame[5] = 9; /* another station's */
	assert_int_equal(tl_send_frame(tl_dev, "dev0", frame, sizeof(frame)), 0);
	tl_poll(p, 50, &all, &udp);
	assert_int_equal(all, 0);
	frame[5] = 1; /* ours */
	assert_int_equal(tl_send_frame(tl_dev, "dev0", frame, sizeof(frame)), 0);
	tl_poll(p, 50, &all, &udp);
	assert_int_equal(all, 1);
	sl_port_close(p);
	assert_int_equal(ctr->wire, 1);
}

static void tap_stalled(void **state)
{
	struct tl_fix *f = *state;
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = open_on(f, SL_BE_TAP, "tapgw", tl_dev, &l);
	uint64_t all = 0, udp = 0;

	start(p);
	assert_true(sl_port_loss_exact(p) && sl_port_trusts_partial_csum(p));
	assert_int_equal(tl_sh("ip -n %s addr add 10.78.0.2/24 dev tapgw", tl_dev), 0);
	assert_int_equal(
		tl_sh("ip -n %s neigh add 10.78.0.1 lladdr 02:00:00:00:78:01 dev tapgw", tl_dev),
		0);
	tl_poll(p, 50, &all, &udp);
	all = 0;
	int sent = tl_send_udp("10.78.0.1", TL_UDP, 3000, 0);
	sl_port_housekeep(p);
	uint64_t wire = ctr->wire; /* what the kernel itself sent at first, and the drops */
	assert_true(ctr->lost_by_device > 0);
	tl_poll(p, 50, &all, &udp);
	sl_port_housekeep(p);
	print_message("tap: sent %d, received %lu, lost %lu, wire %lu\n", sent, udp,
		      ctr->lost_by_device, ctr->wire);
	assert_int_equal(ctr->wire, wire + udp);
	assert_int_equal((uint64_t)sent, udp + ctr->lost_by_device);
	/* closing first stops what comes in, then what is there is still received */
	sent = tl_send_udp("10.78.0.1", TL_UDP, 100, 0);
	sl_port_quiesce(p);
	udp = 0;
	tl_poll(p, 20, &all, &udp);
	assert_int_equal(udp, 100);
	sl_port_close(p);
	assert_int_not_equal(tl_sh("ip -n %s link show tapgw >/dev/null 2>&1", tl_dev), 0);
}

/* A capture of n frames of 60 bytes, the i-th with i in it. */
static void write_capture(const char *path, uint32_t n)
{
	uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fwrite(head, sizeof(head), 1, f);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rec[4] = {i, 0, 60, 60};
		uint8_t frame[60] = {2, 0, 0, 0, 0x77, 1, 2, 0, 0, 0, 0x77, 2, 0x88, 0xb5};
		memcpy(frame + 20, &i, sizeof(i));
		fwrite(rec, sizeof(rec), 1, f);
		fwrite(frame, sizeof(frame), 1, f);
	}
	fclose(f);
}

static void pcap_stalled(void **state)
{
	struct tl_fix *f = *state;
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	char path[64];
	struct rte_mbuf *m[32];
	uint64_t got = 0;

	snprintf(path, sizeof(path), "/tmp/slt,port-%d.pcap", getpid());
	write_capture(path, 20000);
	struct sl_port *p = open_on(f, SL_BE_PCAP, path, "", NULL);
	start(p);
	assert_false(sl_port_done(p));
	/* whoever keeps all mbufs cannot take more: each further poll loses a frame */
	struct rte_mbuf **kept = calloc(20000, sizeof(struct rte_mbuf *));
	for (unsigned i = 0; i < 1000; i++) {
		uint16_t n = rte_eth_rx_burst(sl_port_id(p), 0, kept + got, 32);
		got += n;
	}
	rte_pktmbuf_free_bulk(kept, (unsigned)got);
	free(kept);
	sl_port_housekeep(p);
	assert_true(ctr->lost_by_device > 0);
	assert_int_equal(ctr->wire, got + ctr->lost_by_device);
	for (uint16_t n = 1; n;) {
		n = rte_eth_rx_burst(sl_port_id(p), 0, m, 32);
		rte_pktmbuf_free_bulk(m, n);
		got += n;
	}
	sl_port_housekeep(p);
	assert_true(sl_port_done(p));
	print_message("pcap: received %lu, lost %lu, wire %lu\n", got, ctr->lost_by_device,
		      ctr->wire);
	assert_int_equal(ctr->wire, 20000);
	assert_int_equal(ctr->wire, got + ctr->lost_by_device);
	sl_port_close(p);
	unlink(path);
}

static void pcap_for_ever(void **state)
{
	struct tl_fix *f = *state;
	struct sl_ctr_port *ctr = &f->ctr->port[0];
	struct sl_cfg_port cfg = {.name = "replay", .backend = SL_BE_AUTO, .loop = true};
	struct sl_port_cfg pc = {.port = &cfg, .counters = ctr, .pool = f->pool};
	struct rte_mbuf *m[32];
	uint32_t room, mbufs;
	char err[256] = "";
	struct sl_port *p;
	uint64_t got = 0;

	memset(ctr, 0, sizeof(*ctr));
	snprintf(cfg.file, sizeof(cfg.file), "/tmp/slt-port-%d.pcap", getpid());
	write_capture(cfg.file, 100);
	assert_int_equal(sl_port_needs(&cfg, &room, &mbufs, err, sizeof(err)), 0);
	assert_true(mbufs > 100 && room >= 2048);
	assert_int_equal(sl_port_open(&pc, &p, err, sizeof(err)), 0);
	start(p);
	for (unsigned i = 0; i < 100; i++) {
		uint16_t n = rte_eth_rx_burst(sl_port_id(p), 0, m, 32);
		rte_pktmbuf_free_bulk(m, n);
		got += n;
	}
	assert_int_equal(got, 3200);
	sl_port_close(p);
	assert_int_equal(ctr->wire, 3200);
	assert_int_equal(ctr->lost_by_device, 0);
	unlink(cfg.file);
}

static int setup(void **state)
{
	*state = tl_fix_new(false);
	return 0;
}

static int teardown(void **state)
{
	return tl_fix_free(*state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tl_fresh_pool, tl_drop_pool)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(af_xdp_stalled),
		T(af_xdp_turns_its_pool_over),
		T(af_xdp_refuses_a_pool_with_gaps),
		T(af_packet_stalled),
		T(af_packet_own_frames),
		T(tap_stalled),
		T(pcap_stalled),
		T(pcap_for_ever),
	};

	if (!tl_can_run())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
