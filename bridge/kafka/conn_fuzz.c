/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_fuzz.c - foreign bytes through the connection machine and every handler behind it, over
 * the store in memory. Whatever comes in, afterwards nothing may be left over: no memory, no
 * timer, no connection (rig_fini() looks).
 *
 * An input is what a peer sends. One that is nothing but whole frames is a conversation of two
 * peers: the lowest bit of a frame's correlation id says whose it is, its second byte how long the
 * clock runs after it (in steps of 64 ms). So members of a group meet, and timeouts come.
 *
 * Built twice: with libFuzzer (-Dfuzz=true, clang; conn_mutate.c keeps frames whole), and with a
 * main() that replays the files and folders named on its command line, which the tests run.
 */
#include "groups.h"
#include "rig.h"

#define STEP_MAX    4096
#define FRAMES_MAX  1024
#define CORRELATION 8     /* of a frame with its size field: where the id begins */
#define QUIET_MS    2000  /* at the end: barriers that nobody else comes to */
#define EXPIRED_MS  70000 /* sessions and offsets */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sl_kgroups_cfg few_groups = {
	.initial_delay_ms = 100,
	.min_session_ms = 1,
	.max_session_ms = 60000,
	.max_members = 4,
	.partitions = 2,
	.retention_ms = 60000,
	.check_ms = 10000,
	.metadata_max = 64,
	.max_groups = 8,
	.max_offsets = 64,
	.memory_bytes = 64u << 10,
};

static uint8_t sink[1 << 16];

static void drain(struct rig_conn *c)
{
	while (rig_take(c, sink, sizeof(sink)) > 0)
		;
}

/* As a socket would: what is not taken is offered again once something has moved. */
static void feed(struct rig_conn *c, const uint8_t *p, size_t n, size_t step)
{
	while (n > 0 && !sl_kconn_broken(c->c)) {
		size_t cap, take = SL_MIN(n, step);
		uint8_t *direct = step % 2 ? sl_kconn_direct(c->c, &cap) : NULL;
		if (direct) {
			take = SL_MIN(take, cap);
			memcpy(direct, p, take);
			sl_kconn_direct_done(c->c, take);
		} else {
			take = sl_kconn_input(c->c, p, take);
		}
		p += take;
		n -= take;
		rig_settle(c->rig);
		if (take > 0)
			continue;
		drain(c);
		rig_pass_ms(c->rig, 500); /* the wait of a parked fetch */
		if (!sl_kconn_wants_input(c->c))
			break;
	}
}

/* Number of frames; 0: there is something else in it. */
static size_t count_frames(const uint8_t *p, size_t n)
{
	size_t cnt = 0;

	while (n > 0) {
		if (n < 4 || sl_be32(p) > n - 4 || ++cnt > FRAMES_MAX)
			return 0;
		n -= 4 + sl_be32(p);
		p += 4 + sl_be32(p);
	}
	return cnt;
}

static void converse(struct rig *r, struct rig_conn conn[2], const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t len = 4 + sl_be32(p);
		uint32_t id = len >= CORRELATION + 4 ? sl_be32(p + CORRELATION) : 0;
		struct rig_conn *c = &conn[id & 1];

		if (sl_kconn_broken(c->c)) { /* that peer comes back */
			rig_close(c);
			rig_open(r, c);
		}
		feed(c, p, len, len);
		drain(c);
		rig_pass_ms(r, (id >> 16 & 0xff) * 64);
		p += len;
		n -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sl_kserver_cfg cfg = {.request_max_bytes = 1u << 20,
						  .memory_bytes = 4u << 20,
						  .num_partitions = 2,
						  .auto_create = true,
						  .idle_ms = 60000,
						  .groups = &few_groups};
	struct rig r;
	struct rig_conn conn[2];

	sl_log_set_level(SL_LOG_ERROR);
	if (size == 0)
		return 0;
	rig_init(&r, &cfg);
	rig_topic(&r, "alpha", NULL);
	fake_store_cfg(r.store)->cold = data[size - 1] & 1;
	rig_open(&r, &conn[0]);
	rig_open(&r, &conn[1]);
	if (count_frames(data, size) > 1)
		converse(&r, conn, data, size);
	else
		feed(&conn[0], data, size, 1 + (size * 7 + data[size / 2]) % STEP_MAX);
	rig_pass_ms(&r, QUIET_MS);
	drain(&conn[0]);
	drain(&conn[1]);
	rig_pass_ms(&r, SL_KCONN_PARTIAL_MS);
	sl_kserver_tick(&r.server);
	drain(&conn[0]);
	rig_close(&conn[0]);
	rig_pass_ms(&r, EXPIRED_MS);
	rig_close(&conn[1]);
	rig_fini(&r);
	return 0;
}
