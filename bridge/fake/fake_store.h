/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_store.h - store.h and ingest.h in memory, for the tests of the bridges: linked in place of
 * storage and data plane. Nothing is random and nothing happens by itself unless asked for:
 * injected appends wait for fake_store_step(), `synced` for fake_store_sync(). A topic's id is made
 * of its name (and of how often that was deleted), so that tests know it.
 */
#ifndef SL_BRIDGE_FAKE_STORE_H
#define SL_BRIDGE_FAKE_STORE_H

#include "sluice/ingest.h"

struct fake_cfg {
	bool auto_sync;      /* what is appended is synced at once */
	bool cold;           /* nothing is in memory: read_tail says -EAGAIN */
	bool damaged;        /* cold reads say -EILSEQ */
	unsigned ring_depth; /* appends that may wait, 0: SL_INJECT_DEPTH */
	int append_err;      /* every append fails so, 0: none does */
	int create_err;
	int own_set_err;
};

/* Settings may be changed through *fake_store_cfg() between calls. */
struct sl_store *fake_store_new(void);
void fake_store_free(struct sl_store *s);
struct fake_cfg *fake_store_cfg(struct sl_store *s);
/* append_err and create_err while other threads are at work. */
void fake_store_fail(struct sl_store *s, int append_err, int create_err);
struct sl_dataplane *fake_store_dataplane(struct sl_store *s);

void fake_store_step(struct sl_store *s); /* the writer's turn: appends what waits, rings */
void fake_store_sync(struct sl_store *s); /* all partitions, rings */
void fake_store_set_state(struct sl_store *s, struct sl_part *p, enum sl_part_state st);
void fake_store_set_start(struct sl_part *p, int64_t log_start);
/* What lies in [from, to) cannot be read: reads there say -EILSEQ and `to`. from == to: it can. */
void fake_store_set_damage(struct sl_part *p, int64_t from, int64_t to);
/* A batch as it is, unchecked, which takes `offsets` of them: for what no writer would append. */
void fake_store_put(struct sl_part *p, const uint8_t *batch, uint32_t len, int64_t offsets);
/* [from, to) was deleted before the uplink had sent it; log start stays where it is. */
void fake_store_set_unsent(struct sl_part *p, int64_t from, int64_t to);
/* A new leader epoch, higher than before, from the log's present end. */
void fake_store_set_epoch(struct sl_part *p, int32_t epoch);

/* A writer thread of its own that steps (and syncs by auto_sync) when something is injected. */
void fake_store_thread_start(struct sl_store *s);
void fake_store_thread_stop(struct sl_store *s);

#endif
