/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - for tests: a server without sockets over the store in memory, with a clock that only
 * moves when told, and connections that are fed by hand.
 */
#ifndef SL_BRIDGE_KAFKA_RIG_H
#define SL_BRIDGE_KAFKA_RIG_H

#include "bridge/fake/fake_store.h"
#include "conn.h"

#define RIG_WALL_MS 1700000000000

struct rig {
	struct sl_store *store;
	struct sl_timers timers;
	struct sl_kserver server;
	uint64_t now_ns;
	int64_t wall_ms;
	unsigned randoms;         /* times that random bytes were asked for */
	struct sl_config *config; /* what the broker's settings are taken from */
	bool manual;              /* the writer's turns are the test's */
};

struct rig_conn {
	struct rig *rig;
	struct sl_kconn *c;
	unsigned changed;
};

/* Defaults in cfg (may be NULL) are filled in: 2 partitions, auto-create, auto-sync. */
void rig_init(struct rig *r, const struct sl_kserver_cfg *cfg);
void rig_fini(struct rig *r); /* checks that nothing is left over */

void rig_open(struct rig *r, struct rig_conn *ret);
void rig_close(struct rig_conn *c);
/* Turns until nothing moves any more. */
void rig_settle(struct rig *r);
void rig_pass_ms(struct rig *r, unsigned ms); /* moves both clocks and fires timers */
/* Feeds bytes (all of them must be taken). */
void rig_feed(struct rig_conn *c, const void *p, size_t n);
/* Takes what is to be sent, at most cap bytes. Returns the number. */
size_t rig_take(struct rig_conn *c, uint8_t *buf, size_t cap);

/* ---- building requests ----------------------------------------------------------------------- */

/* Starts a frame in w (zeroed): room for the size, then the header. */
void rig_begin(struct sl_kw *w, int16_t key, int16_t version, int32_t correlation);
/* Sets the size, feeds it, frees w. */
void rig_send(struct rig_conn *c, struct sl_kw *w);
/* A batch of n records "k<i>" -> `val_len` bytes; returns its length. */
uint32_t rig_batch(uint8_t *buf, uint32_t cap, unsigned n, uint32_t val_len, int64_t ts);
/* Produce v7 of one batch to one partition. */
void rig_send_produce(struct rig_conn *c, int32_t correlation, int16_t acks, const char *topic,
		      int32_t partition, const uint8_t *batch, uint32_t len);
/* Fetch v11 of one partition. */
void rig_send_fetch(struct rig_conn *c, int32_t correlation, const char *topic, int32_t partition,
		    int64_t offset, int32_t max_wait_ms, int32_t min_bytes, int32_t max_bytes);
/* Two partitions; the pointer is good until the topic is deleted. */
struct sl_topic *rig_topic(struct rig *r, const char *name, const struct sl_topic_cfg *cfg);

#endif
