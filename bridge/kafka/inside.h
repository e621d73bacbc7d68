/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inside.h - the group coordinator for those inside the daemon: implements sluice/offsets.h.
 *
 * They are other threads. A call is posted to the network thread, which owns the groups, and
 * answered there as a consumer without members would be; the caller sleeps until then, for at most
 * SL_KINSIDE_WAIT_MS. What is committed so never expires (its record says so for ten years): those
 * inside have no other memory, and may have nothing to commit for longer than
 * offsets.retention.minutes. It goes with its topic, and with its group if an admin deletes that.
 */
#ifndef SL_BRIDGE_KAFKA_INSIDE_H
#define SL_BRIDGE_KAFKA_INSIDE_H

#include <sys/queue.h>

#include "groups.h"
#include "platform/net/loop.h"
#include "sluice/offsets.h"

#define SL_KINSIDE_WAIT_MS   5000
#define SL_KINSIDE_GROUP_MAX 1024 /* bytes of a group's name, */
#define SL_KINSIDE_NOTE_MAX  4096 /* and of the metadata of a commit */

/* One call under way; begins what its owner embeds. */
struct sl_kinside_call {
	STAILQ_ENTRY(sl_kinside_call) link;
	struct sl_kinside *inside;
	struct sl_glog_write w;
	bool fresh; /* the group had no offset there */
	/* in, borrowed until done */
	bool commit; /* else fetch */
	struct sl_slice group, topic, metadata;
	int32_t partition;
	int64_t offset; /* fetch: out, -1: none */
	/* 0, or as sluice/offsets.h says; may free the call */
	void (*done)(struct sl_kinside_call *c, int rc);
};

struct sl_kinside {
	struct sl_kserver *server;
	struct sl_loop *loop;                   /* where calls are posted */
	STAILQ_HEAD(, sl_kinside_call) waiting; /* for the coordinator to be there */
	_Atomic bool closed;
	unsigned wait_ms; /* SL_KINSIDE_WAIT_MS; tests shorten it */
};

/* `loop` may be NULL if calls are only begun on the network thread (tests). Control. */
void sl_kinside_init(struct sl_kinside *in, struct sl_kserver *s, struct sl_loop *loop);
/* Takes the call until `done`, which may run before this returns. Network thread. */
void sl_kinside_begin(struct sl_kinside *in, struct sl_kinside_call *c);
/* True: something moved. Network thread, in every turn. */
bool sl_kinside_turn(struct sl_kinside *in);
/* Calls that wait, and all later ones, end with -ESHUTDOWN. Network thread. */
void sl_kinside_close(struct sl_kinside *in);

/* The two of struct sl_offsets_ops; `arg` is a struct sl_kinside. */
int sl_kinside_fetch(void *arg, const char *group, const char *topic, int32_t partition,
		     int64_t *ret_offset);
int sl_kinside_commit(void *arg, const char *group, const char *topic, int32_t partition,
		      int64_t offset, const char *metadata);

#endif
