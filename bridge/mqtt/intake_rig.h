/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_rig.h - an intake over the store in memory, with the plugin's end of the link in the same
 * process: for its tests.
 */
#ifndef SL_BRIDGE_MQTT_INTAKE_RIG_H
#define SL_BRIDGE_MQTT_INTAKE_RIG_H

#include "bridge/cursor/cursor.h"
#include "bridge/fake/fake_store.h"
#include "intake.h"
#include "platform/base/sl_test.h"
#include "plugin_link.h"

struct rig {
	struct sl_config *c;
	struct sl_store *store;
	struct sl_counters *ctr;
	struct sl_intake *in;
	struct sl_plink link;
	char dir[64], path[96];
	bool writer; /* the store's own thread appends */
	unsigned lines;
	char last_line[256]; /* of the plugin's log */
	struct sl_cursor_mem mem;
};

/* Store, counters and a config without rules; no intake yet. */
void rig_init(struct rig *r);
void rig_fini(struct rig *r); /* stops what runs */
struct sl_cfg_rule *rig_rule(struct rig *r, const char *filter, const char *topic, const char *key);
void rig_start(struct rig *r); /* the intake; the store's writer thread if r->writer */
void rig_stop(struct rig *r);  /* the intake, cleanly */
/* The plugin's end; connected when it returns. wait_ms: of QoS 1 and 2. */
void rig_attach(struct rig *r, unsigned wait_ms);
void rig_look(struct rig *r); /* the plugin's tick, as if it was due */
void rig_wake(struct rig *r); /* after a put of the test's own: wakes the intake */
/* Until cond is true, at most 20 s; looks every now and then. */
#define rig_until(r, cond)                                                                         \
	do {                                                                                       \
		uint64_t end_ = rig_now() + 20000000000ull;                                        \
		while (!(cond)) {                                                                  \
			assert_true(rig_now() < end_);                                             \
			rig_nap();                                                                 \
		}                                                                                  \
	} while (0)
uint64_t rig_now(void);
void rig_nap(void);
enum sl_plink_result rig_hand(struct rig *r, int qos, const char *topic, const char *payload);
struct sl_ring_msg rig_msg(int qos, const char *topic, const char *payload);
struct sl_slice rig_text(const char *s);

uint64_t rig_row(const struct rig *r, enum sl_bridge_row row);
/* received = the sum of its outcomes */
void rig_books_close(const struct rig *r);
int64_t rig_records(struct rig *r, const char *topic); /* of all its partitions; -1: not there */
struct sl_part *rig_part(struct rig *r, const char *topic, int32_t partition);
/* The record at `offset`: borrowed until the next call. */
const struct sl_cursor_rec *rig_record(struct rig *r, const char *topic, int32_t partition,
				       int64_t offset);
/* A header's value as text in a buffer of its own; "(none)" without such a header. */
const char *rig_header(const struct sl_cursor_rec *rec, const char *name);
bool rig_is(struct sl_slice s, const char *text);

#endif
