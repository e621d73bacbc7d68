/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - where the uplink's records go, as a table: `rdkafka` (sink_rdkafka.c) is the one,
 * `memory` (sink_memory.c, tests) a centre in memory with faults to order.
 *
 * A sink is one transactional producer with one stable transactional id, and what it needs beside:
 * an admin client, a consumer for the positions. The engine (engine.h) calls it from the uplink
 * thread only and never waits in it for longer than stated: what blocks (init, commit, abort, topic
 * creation) is begun here, runs on a thread of the sink's own, and ends with an event from poll.
 *
 *          open ──READY──> begin, produce…, commit ──COMMITTED──> begin …
 *                             └──> abort ──ABORTED──> begin …
 *   FAILED of class ABORT: abort. Of class REBUILD, FENCED or DENIED: close, open again.
 */
#ifndef SL_BRIDGE_UPLINK_SINK_H
#define SL_BRIDGE_UPLINK_SINK_H

#include "platform/record/frame.h"
#include "position.h"

struct sl_sink;

/* What an error asks for (reference: librdkafka's error classes). */
enum sl_sink_class {
	SL_SINK_RETRY,   /* nothing is decided: the link is away; the call that ended goes on or is
			    made   again */
	SL_SINK_ABORT,   /* the transaction has to be aborted */
	SL_SINK_REBUILD, /* the producer is of no use any more: close and open */
	SL_SINK_FENCED,  /* the same, by a newer epoch: a second instance, or the coordinator's
			    timeout */
	SL_SINK_DENIED,  /* authentication or authorisation: as REBUILD, but tell the operator */
};

enum sl_sink_event_kind {
	SL_SINK_READY,        /* open ended: positions are complete */
	SL_SINK_POSITION,     /* while opening: the last record of one of this gateway's keys */
	SL_SINK_CLAIM,        /* while opening, at most one: without it there is none */
	SL_SINK_BAD_POSITION, /* while opening: such a record that is not understood; `text` */
	SL_SINK_DELIVERED,    /* `count` more are in the log there (their transaction is open) */
	SL_SINK_REFUSED, /* record `tag` was refused for good, alone or with others of its batch */
	SL_SINK_UNSENT,  /* `count` more were not sent: purged by abort or failure */
	SL_SINK_COMMITTED,
	SL_SINK_ABORTED,
	SL_SINK_TOPIC_READY,  /* `topic` exists: make_topic or a first look ended well */
	SL_SINK_TOPIC_GONE,   /* `topic` does not exist there (any more) */
	SL_SINK_TOPIC_FAILED, /* make_topic did not make `topic`: `class` is RETRY or DENIED */
	SL_SINK_LINK_DOWN,    /* all brokers are away, or nobody answers; nothing else changes */
	SL_SINK_LINK_UP,
	SL_SINK_FAILED, /* what was under way failed: `class` says what to do */
};

struct sl_sink_event { /* what the kind does not name is not set */
	enum sl_sink_event_kind kind;
	enum sl_sink_class class; /* FAILED, TOPIC_FAILED */
	uint64_t tag;             /* REFUSED */
	uint32_t count;           /* DELIVERED, UNSENT */
	int kafka_error; /* FAILED, TOPIC_FAILED, REFUSED: Kafka's error code, or 0; with REFUSED
			    why: 10 too large, 32 bad timestamp, ... */
	char topic[SL_TOPIC_NAME_MAX + 1]; /* TOPIC_* */
	char text[256];                    /* for people: all but DELIVERED, UNSENT */
	struct sl_claim claim;
	struct sl_position position;
};

struct sl_sink_rec { /* borrowed until produce returns */
	const char *topic;
	int32_t partition;
	int64_t ts_ms;              /* > 0 */
	struct sl_slice key, value; /* p NULL = null */
	const struct sl_hdr *hdr;
	uint32_t hdr_cnt;
	uint64_t tag; /* of the engine; comes back */
};

struct sl_sink_ops {
	const char *name;
	/* Starts to connect: init_transactions first, then the positions topic is made if it is
	 * missing (compacted) and read to its end, read_committed. 0; -EBUSY: earlier ones that
	 * were closed still hang in the library; -ENOMEM. Then events. */
	int (*open)(struct sl_sink *s);
	/* 0; -EINVAL: not ready or one is open. */
	int (*begin)(struct sl_sink *s);
	/* Copies the record. 0; -EAGAIN: the window is full, poll; -ENOENT: the topic is not known
	 * there (TOPIC_GONE follows or make_topic it); -EPIPE: a FAILED event follows; -EMSGSIZE:
	 * larger than the client itself takes: as refused, no event follows; -EINVAL: no
	 * transaction is open. For the positions topic r->partition is not looked at: the record
	 * goes where this gateway's others lie. */
	int (*produce)(struct sl_sink *s, const struct sl_sink_rec *r);
	/* Bring DELIVERED or REFUSED for all that is out, then COMMITTED or FAILED; with refusals
	 * it ends FAILED/ABORT without a try. */
	int (*commit)(struct sl_sink *s);
	int (*abort)(struct sl_sink *s); /* ABORTED or FAILED; UNSENT for what was out */
	/* Partitions of a topic there: > 0; 0: not known (yet): asks, and TOPIC_READY or
	 * TOPIC_GONE follows. What is known is looked at again now and then. */
	int (*topic_partitions)(struct sl_sink *s, const char *topic);
	/* TOPIC_READY or TOPIC_FAILED follows. partitions > 0; replication -1: the centre's
	 * default. -EINVAL: not ready; -EMFILE: too many topics. */
	int (*make_topic)(struct sl_sink *s, const char *topic, uint32_t partitions,
			  int32_t replication, bool compacted);
	/* Up to n events; waits for the first one up to timeout_ms (0: not at all). Their number.
	 * Delivery reports are served here and nowhere else: so call it also while open, commit
	 * or abort is under way, every 200 ms or so. FAILED may come at any time, once. */
	unsigned (*poll)(struct sl_sink *s, struct sl_sink_event *ret_ev, unsigned n,
			 int timeout_ms);
	int (*poll_fd)(struct sl_sink *s); /* readable when poll would find something; -1: none */
	/* Lets go within about 1 s whatever is under way; nothing is committed by it. */
	void (*close)(struct sl_sink *s);
	void (*free)(struct sl_sink *s); /* after close; accepts NULL */
};

struct sl_sink { /* first member of a sink */
	const struct sl_sink_ops *ops;
};

/* Checks the client settings (a property that librdkafka does not know: -EINVAL with a sentence).
 * transactional.id is "sluice.<gateway>". Control. */
SL_MUST_CHECK int sl_sink_rdkafka_new(const struct sl_config *cfg, struct sl_sink **ret_sink,
				      char *err, size_t errlen);

#endif
