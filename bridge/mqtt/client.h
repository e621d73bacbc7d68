/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a connection to a broker elsewhere, and the back-off between its lives: libmosquitto
 * behind an interface that never blocks.
 *
 * The owner polls the descriptor that sl_mqclient_poll() names, and calls sl_mqclient_turn() when
 * it is ready, when the owner's eventfd was written, or when sl_mqclient_due() is reached. Nothing
 * is written to the socket but in sl_mqclient_flush(): what the library wants to send meanwhile,
 * its PUBACKs among it, waits in its queue. So an owner that wants an acknowledgement to mean
 * something flushes when it does. A host that begins with / is the path of a Unix socket.
 *
 * MQTT 5; a broker that refuses that version gets 3.1.1 from then on. A connection that is lost or
 * refused is tried again after 1 s, 2 s, ... 60 s, each a quarter more or less by chance; one that
 * has lived for SL_MQCLIENT_STEADY_MS starts from 1 s again.
 *
 * One thread, but for sl_mqclient_stats().
 */
#ifndef SL_BRIDGE_MQTT_CLIENT_H
#define SL_BRIDGE_MQTT_CLIENT_H

#include <poll.h>

#include "platform/record/frame.h"
#include "ring.h"
#include "sluice/config.h"

#define SL_MQCLIENT_HELLO_MS       15000 /* from the first packet of TCP to CONNACK */
#define SL_MQCLIENT_BACKOFF_MS     1000
#define SL_MQCLIENT_BACKOFF_MAX_MS 60000
#define SL_MQCLIENT_STEADY_MS      10000
#define SL_MQCLIENT_WINDOW         64          /* QoS 1 and 2 messages of ours under way */
#define SL_MQCLIENT_RECEIVE_MAX    256         /* QoS 1 and 2 messages of theirs; MQTT 5 */
#define SL_MQCLIENT_PACKET_MAX     (16u << 20) /* larger ones an MQTT 5 broker does not send us */
#define SL_MQCLIENT_READ_MAX       128         /* packets in one turn, about */
#define SL_MQCLIENT_ID_MAX         (SL_CFG_CLIENT_ID_MAX + 16)

struct sl_mqclient;

struct sl_mqclient_cfg {
	const struct sl_cfg_broker *broker; /* borrowed */
	const char *suffix;                 /* of the client id; copied; "" for none */
	/* To broker->sub; the session is kept by the broker (clean start 0), and what the library
	 * knows of it, as long as we live. Else each connection is a new session, and nothing is
	 * known of messages under way any more. A subscription of QoS 2 is asked for as QoS 1: with
	 * 2 the library would answer for a message before it shows it to us. */
	bool subscribe;
	int efd; /* the owner's eventfd: written when turn() has something to do */
	/* of the owner; called in turn() and flush(), must not call back into the client */
	void (*message)(void *arg, const struct sl_ring_msg *m); /* borrowed; may be NULL */
	void (*acked)(void *arg, int mid, uint8_t reason);       /* may be NULL */
	void *arg;
	uint64_t (*mono_ns)(void *arg); /* NULL: sl_clock_mono_ns() */
};

/* -ENOMEM. Control. */
SL_MUST_CHECK int sl_mqclient_new(const struct sl_mqclient_cfg *cfg, struct sl_mqclient **ret);
void sl_mqclient_free(struct sl_mqclient *c); /* accepts NULL; control, its thread has ended */

/* fd -1: none. */
void sl_mqclient_poll(const struct sl_mqclient *c, struct pollfd *ret_pfd);
uint64_t sl_mqclient_due(const struct sl_mqclient *c); /* monotonic ns, UINT64_MAX: never */
void sl_mqclient_turn(struct sl_mqclient *c, short revents);
/* Writes what waits, as much as the socket takes. */
void sl_mqclient_flush(struct sl_mqclient *c);
bool sl_mqclient_up(const struct sl_mqclient *c); /* CONNACK came, and nothing bad since */
/* Counts the connections that were made: nothing sent in an earlier one is answered any more. */
uint64_t sl_mqclient_life(const struct sl_mqclient *c);
bool sl_mqclient_is_v5(const struct sl_mqclient *c); /* of this connection */
/* Ends the connection at once; what waits is not sent. `why` is told to people; NULL: no other
 * connection follows. */
void sl_mqclient_cut(struct sl_mqclient *c, const char *why);
/* DISCONNECT, sent if the socket takes it at once. No other connection follows. */
void sl_mqclient_bye(struct sl_mqclient *c);

struct sl_mqclient_pub { /* all borrowed for the call; p NULL: not there */
	const char *topic;
	struct sl_slice payload;
	uint8_t qos;
	bool retain;
	/* MQTT 5 only, else left out */
	uint32_t expiry_s; /* 0: none */
	struct sl_slice content_type, response_topic, correlation;
	uint32_t user_cnt;
	const struct sl_hdr *user;
};
/*
 * Queues a message; acked() comes with *ret_mid when it is acknowledged, for QoS 0 when it was
 * written. A QoS beyond the broker's is lowered to it. -EMSGSIZE: the broker does not take one so
 * large; -EINVAL: no topic name, a text that is not UTF-8; -ENOTCONN; -ENOMEM.
 */
SL_MUST_CHECK int sl_mqclient_publish(struct sl_mqclient *c, const struct sl_mqclient_pub *p,
				      int *ret_mid);

struct sl_mqclient_stats {
	bool connected;
	char last_error[SL_CFG_TEXT_MAX]; /* "" while connected */
};
void sl_mqclient_stats(struct sl_mqclient *c, struct sl_mqclient_stats *ret); /* any thread */

#endif
