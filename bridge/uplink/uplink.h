/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink.h - everything on to the central cluster, exactly once: what platform/app sees of it.
 *
 * One uplink thread reads the carried topics' partitions with cursors (bridge/cursor), up to what
 * is synced, and sends their records with their positions in transactions through a sink (sink.h).
 * The log is the only queue. Positions at the centre are the truth (docs/formats/positions.md); the
 * file <data>/state/uplink keeps this box's identity, its instance token and a copy of the
 * positions as a cross-check. A mirror thread copies topics of the centre down.
 *
 * Ingest goes on whatever happens here.
 */
#ifndef SL_BRIDGE_UPLINK_H
#define SL_BRIDGE_UPLINK_H

#include "mirror.h"
#include "sluice/config.h"
#include "sluice/counters.h"
#include "sluice/ingest.h"

struct sl_uplink;

enum sl_up_state {
	SL_UP_OFF,        /* the config names no centre */
	SL_UP_CONNECTING, /* or backing off: `last_error` says why, `retry_ms` when next */
	SL_UP_RUNNING,
	SL_UP_PAUSED, /* by the operator; kept over a restart */
	SL_UP_ALARM,  /* stopped until the operator decides: `alarm` says why */
	SL_UP_STATE_CNT
};
const char *sl_up_state_name(enum sl_up_state s); /* "off", "connecting", ... any thread */

enum sl_up_alarm {
	SL_UP_ALARM_NONE,
	SL_UP_ALARM_COPY,     /* the data directory is a copy or was restored: other file system or
				 inode than written down; -> adopt */
	SL_UP_ALARM_BEYOND,   /* the centre's position lies beyond our log's end */
	SL_UP_ALARM_TOKEN,    /* another instance writes with our identity */
	SL_UP_ALARM_IDENTITY, /* the positions name another topic id or gateway */
	SL_UP_ALARM_CNT
};
const char *sl_up_alarm_name(enum sl_up_alarm a); /* "copy", "beyond", "token", "identity" */

struct sl_uplink_cfg {
	const struct sl_config *config; /* borrowed */
	struct sl_store *store;
	struct sl_dataplane *dp;      /* for the mirror's injector */
	struct sl_counters *counters; /* lines SL_CTR_UPLINK and SL_CTR_MIRROR */
};

/* Reads <data>/state/uplink, renews and fsyncs the instance token. Touches no network. A sentence
 * in err on failure. Control; blocks. */
SL_MUST_CHECK int sl_uplink_new(const struct sl_uplink_cfg *cfg, struct sl_uplink **ret_up,
				char *err, size_t errlen);
SL_MUST_CHECK int sl_uplink_start(struct sl_uplink *u);
/* Commits or aborts what is under way if the link allows it by then (monotonic ns), and ends. 0;
 * -ETIMEDOUT: the library hangs in the link: neither store nor memory may be freed. Control. */
int sl_uplink_stop(struct sl_uplink *u, uint64_t deadline_ns);
void sl_uplink_free(struct sl_uplink *u); /* accepts NULL */

/* The operator's. Durable when they return. Any thread but the uplink's; block shortly. -errno of
 * writing <data>/state/uplink: then nothing has changed. -EBUSY: the alarm `copy` has to be decided
 * about first; -ETIMEDOUT: the thread hangs in the disk. */
int sl_uplink_pause(struct sl_uplink *u);
int sl_uplink_resume(struct sl_uplink *u);
/* Bytes a second, 0: no cap; until the next start. */
int sl_uplink_rate(struct sl_uplink *u, uint64_t bytes_per_s);
/* This directory is the gateway from now on: takes its place down as identity, clears the alarm,
 * and says so at the centre. Records that the centre's position has passed are not sent again; if
 * that lies beyond our log's end, our log's end becomes the position. -EALREADY: no alarm. */
int sl_uplink_adopt(struct sl_uplink *u);

struct sl_uplink_stats { /* records; counts since the data directory was made */
	enum sl_up_state state;
	enum sl_up_alarm alarm;
	uint64_t forwarded, dead_letter, evicted_unsent, backlog;
	uint64_t carried; /* appended to topics that it carries: what the other four add up to */
	uint64_t difference;
	int64_t oldest_ms;   /* age of the oldest record not sent, by its timestamp; -1: none */
	uint64_t rate_bytes; /* the cap in force */
	uint32_t retry_ms;
	char last_error[SL_CFG_TEXT_MAX]; /* of the alarm, as long as there is one */
};
void sl_uplink_stats(struct sl_uplink *u, struct sl_uplink_stats *ret_stats); /* any thread */
/* False: nothing is copied down. Any thread. */
bool sl_uplink_mirror(struct sl_uplink *u, struct sl_mirror_stats *ret_stats);

#endif
