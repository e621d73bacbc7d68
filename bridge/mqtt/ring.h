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
	_Atomic uint32_t bell;     /* futex word: moves with every answer somebody waits for */
	_Atomic uint32_t asleep;   /* 1: sluiced sleeps, write the eventfd */
	_Atomic uint64_t
		heartbeat; /* moves at least every SL_RING_HEARTBEAT_MS while sluiced lives */
	_Atomic uint64_t logged, synced; /* id up to which all are so: for a gate before the acks */
	/* sluiced: what it has in hand, for the next one after a kill -9 */
	_Atomic uint64_t taken_id SL_ALIGNED(SL_CACHELINE); /* newest frame handed to a writer */
	_Atomic int64_t producer_id; /* marks this instance's batches in the log */
};
_Static_assert(sizeof(struct sl_ring_hdr) <= 4096, "the first page");

#define SL_RING_HEARTBEAT_MS 50

enum sl_ring_flag {
	SL_RING_F_RETAIN = 1u << 0,
	SL_RING_F_DUP = 1u << 1,    /* not known of 2.0.11's events: never set there */
	SL_RING_F_WAITED = 1u << 2, /* somebody waits: QoS 1 and 2 */
	SL_RING_F_PAD = 1u << 3,    /* no frame: goes on at the ring's begin */
	SL_RING_F_UTF8 = 1u << 4,   /* MQTT 5 payload format indicator 1 */
};

/* A frame: this, then topic, client, payload, and MQTT 5's properties as (type u8, length u32 and
 * bytes, for a user property twice); see the byte table. */
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
	int32_t partition; /* -1: not yet */
	uint32_t reserved;
	int64_t end_before; /* log end then */
};
_Static_assert(sizeof(struct sl_ring_frame) == 64, "as in the byte table");

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

/* One side's view; embedded. `mem` is mapped by the caller. */
struct sl_ring {
	struct sl_ring_hdr *hdr;
	uint8_t *data;
	uint32_t bytes; /* taken from the header once, checked */
	uint64_t pos;   /* consumer: up to where it has read, >= tail */
};

/* Formats new memory of 4096 + bytes. The producer's side. */
void sl_ring_format(void *mem, uint32_t bytes, const uint8_t instance[16], const char *broker);
/* Checks what lies there against the mapped size. -EPROTO: version or size. Either side. */
SL_MUST_CHECK int sl_ring_open(struct sl_ring *r, void *mem, size_t mem_bytes);

/*
 * Producer. Copies the message into the ring; *ret_id is its id. -EAGAIN: no room now; -EMSGSIZE:
 * never will be (beyond half the ring).
 */
SL_MUST_CHECK int sl_ring_put(struct sl_ring *r, const struct sl_ring_msg *m, uint64_t *ret_id);
/* Producer: true once `id` is answered; *ret_answer is then valid if it is the newest one. */
bool sl_ring_answered(const struct sl_ring *r, uint64_t id, enum sl_ring_answer *ret_answer);

/*
 * Consumer. 1: the next frame after the last peek, *ret_msg borrows it; 0: none; -EPROTO: what lies
 * there cannot be (the plugin is broken: let go of it). ret_frame is for sl_ring_take().
 */
SL_MUST_CHECK int sl_ring_peek(struct sl_ring *r, struct sl_ring_msg *ret_msg,
			       struct sl_ring_frame **ret_frame);
/* Consumer: notes where the frame will be found, before it is handed to a writer. */
void sl_ring_take(struct sl_ring *r, struct sl_ring_frame *f, const uint8_t topic_id[16],
		  int32_t partition, int64_t end_before);
/* Consumer: everything up to and including this frame is done. Rings the waiter. */
void sl_ring_answer(struct sl_ring *r, const struct sl_ring_frame *f, enum sl_ring_answer a);

#endif
