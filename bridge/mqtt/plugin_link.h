/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_link.h - the plugin's end of the way to sluiced, without a broker: the ring's memory, the
 * connection, handing a message over within a bound.
 *
 * The link is tried at most every SL_PLINK_TRY_NS and never blocks; a hand-over that nobody waits
 * for makes no system call but, now and then, one that wakes sluiced. One thread, the broker's.
 * Built into the plugin: needs nothing but libc.
 */
#ifndef SL_BRIDGE_MQTT_PLUGIN_LINK_H
#define SL_BRIDGE_MQTT_PLUGIN_LINK_H

#include "hello.h"
#include "ring.h"

#define SL_PLINK_TRY_NS      100000000u /* between two attempts to connect, two looks at the peer */
#define SL_PLINK_PATH_MAX    107        /* unix(7) */
#define SL_PLINK_WAIT_MIN_NS 10000000ull
#define SL_PLINK_WAIT_MAX_NS 10000000000ull
#define SL_PLINK_WAIT_DEF_NS 1000000000ull

enum sl_plink_level { SL_PLINK_INFO, SL_PLINK_WARN, SL_PLINK_ERROR };

struct sl_plink_cfg {
	const char *socket;
	uint32_t ring_bytes; /* a power of two */
	uint64_t wait_ns;    /* the bound of a hand-over */
	const char *broker;  /* for people, at the other end */
	/* At most SL_PLINK_LINES in SL_PLINK_LINES_NS; may be NULL. */
	void (*log)(void *arg, enum sl_plink_level level, const char *text);
	void *arg;
};
#define SL_PLINK_LINES    10
#define SL_PLINK_LINES_NS 10000000000ull

enum sl_plink_state {
	SL_PLINK_OFF,  /* nobody there */
	SL_PLINK_SAID, /* hello is said */
	SL_PLINK_ON,   /* sluiced takes frames */
};

struct sl_plink { /* visible to be embedded */
	struct sl_plink_cfg cfg;
	char socket[SL_PLINK_PATH_MAX + 1];
	char broker[64];
	struct sl_ring ring;
	void *mem;
	size_t mem_bytes;
	int memfd, efd, fd;
	enum sl_plink_state state;
	uint64_t look_ns;     /* when it looks again */
	uint64_t said_ns;     /* when hello was said */
	bool late;            /* a wait for the answer to it ran out */
	int last_err;         /* of connecting: said once */
	bool slow;            /* the last answer took longer than looking on is worth */
	bool refusing;        /* a wait ran out: until the heartbeat moves */
	uint64_t stood_at;    /* the heartbeat then */
	uint64_t refused;     /* since then, or since the link was lost */
	uint64_t lines_ns;    /* begin of the window of log lines */
	unsigned lines, held; /* in it */
	char own[SL_WELCOME_OWN_BYTES];
};

/* Makes the memory. -EINVAL: the path or a bound; -errno. */
SL_MUST_CHECK int sl_plink_init(struct sl_plink *l, const struct sl_plink_cfg *cfg);
void sl_plink_fini(struct sl_plink *l); /* accepts zeroed */

/* Connects, or sees whether sluiced is still there, if it is time. Cheap otherwise. */
void sl_plink_look(struct sl_plink *l, uint64_t now_ns);
/* True: sluiced's own client, not to be handed over. */
bool sl_plink_own(const struct sl_plink *l, const char *client);

enum sl_plink_result {
	SL_PLINK_DONE,    /* handed over, and if it was waited for: acknowledge */
	SL_PLINK_LOST,    /* QoS 0: could not be handed over, counted */
	SL_PLINK_REFUSED, /* QoS 1 and 2: do not acknowledge */
};
/*
 * QoS 1 and 2 wait for the answer, at most cfg.wait_ns, and not at all from one wait that ran out
 * until sluiced's heartbeat moves. Sets SL_RING_F_WAITED itself. Borrows m.
 */
enum sl_plink_result sl_plink_hand(struct sl_plink *l, struct sl_ring_msg *m);
/* Counts user properties that did not fit. */
void sl_plink_cut(struct sl_plink *l, uint32_t props);

uint64_t sl_plink_now(void); /* CLOCK_MONOTONIC, coarse: some ms; cheap */

#endif
