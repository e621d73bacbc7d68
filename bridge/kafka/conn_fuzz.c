/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_fuzz.c - foreign bytes through the connection machine and every handler behind it, over
 * the store in memory. Whatever comes in, afterwards nothing may be left over: no memory, no
 * timer, no connection (rig_fini() looks).
 *
 * Built twice: with libFuzzer (-Dfuzz=true, clang), and with a main() that replays the files and
 * folders named on its command line, which the tests run.
 */
#include "rig.h"

#define STEP_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sl_kserver_cfg cfg = {.request_max_bytes = 1u << 20,
						  .memory_bytes = 4u << 20,
						  .num_partitions = 2,
						  .auto_create = true,
						  .idle_ms = 60000};
	struct rig r;
	struct rig_conn c;

	sl_log_set_level(SL_LOG_ERROR);
	if (size == 0)
		return 0;
	rig_init(&r, &cfg);
	rig_topic(&r, "alpha", NULL);
	fake_store_cfg(r.store)->cold = data[size - 1] & 1;
	rig_open(&r, &c);
	feed(&c, data, size, 1 + (size * 7 + data[size / 2]) % STEP_MAX);
	drain(&c);
	rig_pass_ms(&r, SL_KCONN_PARTIAL_MS);
	sl_kserver_tick(&r.server);
	drain(&c);
	rig_close(&c);
	rig_fini(&r);
	return 0;
}
