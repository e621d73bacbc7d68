/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - the shared memory between a broker's plugin and sluiced: layout and the two ends of it.
 * Byte table: docs/formats/mqtt-ring.md.
 *
 * The plugin makes the memory (memfd, sealed against shrinking) and passes it with SCM_RIGHTS over
 * mqtt.socket, so it outlives sluiced: a new daemon goes on at the tail, and knows what the last
 * one had taken but not answered. It is freed when both have let go; frames that a dead broker left
 * are stored first.
 *
 * One producer, one consumer. Frames lie in a ring of bytes, 8-aligned, in order of their id. Head
 * and tail are byte counts that only grow. The producer waits for `answered` to reach its frame's
 * id (spins a little, then futex); frames nobody waits for (QoS 0) may pile up until the ring is
 * full. What the other side wrote is checked before use, on both sides.
 */
#ifndef SL_BRIDGE_MQTT_RING_H
#define SL_BRIDGE_MQTT_RING_H

#include <stdatomic.h>

#include "sluice/base.h"
#include "sluice/wire.h"

#define SL_RING_MAGIC     0x6e695274744d6c53ull /* "SlMttRin" */
#define SL_RING_VERSION   1
#define SL_RING_PAGE      4096 /* the header's; the ring lies behind it */
#define SL_RING_BYTES_MIN (256u << 10)
#define SL_RING_BYTES_MAX (256u << 20)
#define SL_RING_BYTES_DEF (8u << 20)
#define SL_RING_PROPS_MAX 64 /* user properties of a message; more are cut, and counted */

/* What became of a frame. */
enum sl_ring_answer {
	SL_RING_NONE,
	SL_RING_STORED,  /* at the level that its rule asks for: acknowledge */
	SL_RING_SKIPPED, /* no rule, a bad name, a retained one that is skipped: acknowledge as any
			    broker would; counted by sluiced */
	SL_RING_REFUSED, /* push back: full disk, too large, failed partition, shutdown */
};

/* Whether sluiced must be woken: sl_ring_hdr.asleep. */
enum sl_ring_sleep {
	SL_RING_AWAKE,  /* looks by itself */
	SL_RING_NAPS,   /* looks again within milliseconds: only for those who wait, or if half full
			 */
	SL_RING_SLEEPS, /* for every frame */
};

/* Each group on its own cache line, by who writes it. All are in the memory's first page. */
struct sl_ring_hdr {
	/* the plugin, once */
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;       /* of the ring itself, a power of two, behind this page */
	uint8_t instance[16]; /* random: this life of the broker */
	char broker[64];      /* for people: "mosquitto 2.0.11, process 123" */
	/* the plugin */
	_Atomic uint64_t head SL_ALIGNED(SL_CACHELINE); /* bytes ever written */
	_Atomic uint64_t next_id;                       /* of the next frame; the first is 1 */
	_Atomic uint32_t waiting;                       /* 1: sleeps on `bell`, wake it */
	_Atomic uint64_t lost_qos0;     /* QoS 0, not handed over: daemon away or ring full */
	_Atomic uint64_t pushed_back;   /* QoS 1 and 2 refused, whatever the reason */
	_Atomic uint64_t waits_expired; /* of them: a wait that ran out */
	_Atomic uint64_t cut_props;
	/* sluiced */
	_Atomic uint64_t tail SL_ALIGNED(SL_CACHELINE); /* bytes done with, answered */
	_Atomic uint64_t answered; /* id of the newest frame that is; in order */
	_Atomic uint32_t answer;   /* enum sl_ring_answer of `answered` */
	_Atomic uint32_t bell;     /* futex word: moves when a sleeper is woken */
	_Atomic uint32_t asleep;   /* enum sl_ring_sleep */
	/* Moves at least every SL_RING_HEARTBEAT_MS while sluiced lives and nothing that somebody
	 * waits for has been under way for longer than SL_RING_STALL_MS: then it stands still. */
	_Atomic uint64_t heartbeat;
	/* Id up to which all are logged or need not be; `answered` is the same at each frame's own
	 * level. So a gate before the acks may let go at either. */
	_Atomic uint64_t logged;
	/* sluiced: what it has in hand, for the next one after a kill -9 */
	_Atomic uint64_t taken_id SL_ALIGNED(SL_CACHELINE); /* newest frame whose place is noted */
	_Atomic int64_t producer_id;    /* marks this instance's batches in the log; -1: none yet */
	_Atomic uint64_t producer_mark; /* of it, the instance and the data directory: if it is
					   another's, both fields above say nothing */
	_Atomic uint64_t counted[4];    /* of lost_qos0, pushed_back, waits_expired, cut_props: what
					   is in sluiced's counters already */
	_Atomic uint32_t sequence;      /* of the next batch: each attempt has its own, for good */
};
_Static_assert(sizeof(struct sl_ring_hdr) <= SL_RING_PAGE, "the first page");
_Static_assert(offsetof(struct sl_ring_hdr, head) == 128 &&
		       offsetof(struct sl_ring_hdr, cut_props) == 176 &&
		       offsetof(struct sl_ring_hdr, tail) == 192 &&
		       offsetof(struct sl_ring_hdr, asleep) == 216 &&
		       offsetof(struct sl_ring_hdr, logged) == 232 &&
		       offsetof(struct sl_ring_hdr, taken_id) == 256 &&
		       offsetof(struct sl_ring_hdr, counted) == 280 &&
		       offsetof(struct sl_ring_hdr, sequence) == 312,
	       "as in the byte table");

#define SL_RING_HEARTBEAT_MS 50
#define SL_RING_STALL_MS     100

enum sl_ring_flag {
	SL_RING_F_RETAIN = 1u << 0,
	SL_RING_F_DUP = 1u << 1,    /* not known of 2.0.11's events: never set there */
	SL_RING_F_WAITED = 1u << 2, /* somebody waits: QoS 1 and 2 */
	SL_RING_F_PAD = 1u << 3,    /* no frame: goes on at the ring's begin */
	SL_RING_F_UTF8 = 1u << 4,   /* MQTT 5 payload format indicator 1 */
};

/* A frame: this, then topic, client, payload, and MQTT 5's properties as (type u8, length u32 and
 * bytes, for a user property twice); see the byte table. A pad has only the first 8 bytes. */
struct sl_ring_frame {
	uint32_t total; /* bytes with this header and the padding to 8 */
	uint8_t flags;
	uint8_t qos;
	uint8_t version; /* 3 (3.1), 4 (3.1.1), 5 */
	uint8_t prop_cnt;
	uint64_t id;
	uint16_t topic_len, client_len;
	uint32_t payload_len;
	uint32_t props_len;
	uint32_t expiry_s; /* MQTT 5 message expiry interval; 0: none */
	/* sluiced, before it hands the frame to a writer: where to look for it after a kill -9 */
	uint8_t topic_id[16];
	int32_t partition;  /* -1: not yet */
	uint32_t sequence;  /* baseSequence of the batch that has it */
	int64_t end_before; /* log end then */
};
_Static_assert(sizeof(struct sl_ring_frame) == 64 &&
		       offsetof(struct sl_ring_frame, topic_id) == 32 &&
		       offsetof(struct sl_ring_frame, end_before) == 56,
	       "as in the byte table");

enum sl_ring_prop { /* MQTT 5, 2.2.2.2: the property's own identifier */
		    SL_RING_PROP_CONTENT_TYPE = 3,
		    SL_RING_PROP_RESPONSE_TOPIC = 8,
		    SL_RING_PROP_CORRELATION = 9,
		    SL_RING_PROP_USER = 38,
};

struct sl_ring_msg { /* one message, on either side; slices are borrowed */
	uint64_t id;
	uint8_t flags, qos, version;
	uint32_t expiry_s;
	struct sl_slice topic, client, payload;
	uint32_t prop_cnt;
	struct {
		uint8_t type;
		struct sl_slice name, value; /* name: user properties only */
	} prop[SL_RING_PROPS_MAX];
};

/* Where a frame lies; the consumer's own memory, so that nothing is read twice from the ring. */
struct sl_ring_ref {
	struct sl_ring_frame *frame;
	uint64_t id;
	uint64_t end; /* tail, once it is answered */
	bool waited;
};

/* Of a frame that a sluiced which died had taken: what it wrote there, checked by nobody. */
struct sl_ring_taken {
	uint8_t topic_id[16];
	int32_t partition;
	uint32_t sequence;
	int64_t end_before;
};

/* One side's view; embedded. `mem` is mapped by the caller. */
struct sl_ring {
	struct sl_ring_hdr *hdr;
	uint8_t *data;
	uint32_t bytes;   /* taken from the header once, checked */
	uint64_t pos;     /* producer: head; consumer: up to where it has read, >= tail */
	uint64_t tail;    /* consumer: its own; what lies in the memory anybody could change */
	uint64_t next_id; /* of the next frame; consumer: 0, any will do, before the first one */
};

/* Formats new memory of SL_RING_PAGE + bytes. The producer's side. */
void sl_ring_format(void *mem, uint32_t bytes, const uint8_t instance[16], const char *broker);
/* Checks what lies there against the mapped size. -EPROTO: version, size or positions. Either side;
 * a producer opens only what it has just formatted. */
SL_MUST_CHECK int sl_ring_open(struct sl_ring *r, void *mem, size_t mem_bytes);

/* ---- producer -------------------------------------------------------------------------------- */

/*
 * Copies the message into the ring; *ret_id is its id. -EAGAIN: no room now; -EMSGSIZE: never will
 * be (beyond half the ring, or a field's own limit); -EPROTO: the consumer's tail cannot be.
 */
SL_MUST_CHECK int sl_ring_put(struct sl_ring *r, const struct sl_ring_msg *m, uint64_t *ret_id);
/* After a put: true if the consumer's eventfd must be written. */
SL_MUST_CHECK bool sl_ring_must_wake(struct sl_ring *r, bool waited);
/* True once `id` is answered; *ret_answer is then valid if it is the newest one put. */
bool sl_ring_answered(const struct sl_ring *r, uint64_t id, enum sl_ring_answer *ret_answer);
/* Waits for that: looks for spin_ns, then sleeps. -ETIMEDOUT after timeout_ns, both from now. May
 * return it a little early when a signal comes. One thread, the producer's. */
SL_MUST_CHECK int sl_ring_wait(struct sl_ring *r, uint64_t id, uint64_t spin_ns,
			       uint64_t timeout_ns, enum sl_ring_answer *ret_answer);

/* ---- consumer -------------------------------------------------------------------------------- */

/*
 * 1: the next frame after the last peek, *ret_msg borrows its bytes until it is answered; 0: none;
 * -EPROTO: what lies there cannot be (the plugin is broken: let go of it). The bytes may change
 * while they are read if the other side is hostile; the lengths are copies.
 */
SL_MUST_CHECK int sl_ring_peek(struct sl_ring *r, struct sl_ring_msg *ret_msg,
			       struct sl_ring_ref *ret_ref);
/* Notes where the frame will be found, before it is handed to a writer. In any order. */
void sl_ring_take(struct sl_ring *r, const struct sl_ring_ref *ref, const struct sl_ring_taken *t);
void sl_ring_taken(const struct sl_ring_ref *ref, struct sl_ring_taken *ret_taken);
/* Everything up to and including this frame is done. Wakes the waiter. */
void sl_ring_answer(struct sl_ring *r, const struct sl_ring_ref *ref, enum sl_ring_answer a);
/* Announces sleep; false: there is a frame, stay awake (announced already). */
SL_MUST_CHECK bool sl_ring_sleep(struct sl_ring *r, enum sl_ring_sleep how);
void sl_ring_awake(struct sl_ring *r);
void sl_ring_beat(struct sl_ring *r); /* the heartbeat */

#endif
