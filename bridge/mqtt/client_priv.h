/* SPDX-License-Identifier: Apache-2.0 */
/* client_priv.h - what client.c (a connection's life) and client_lib.c (the library's side) share.
 */
#ifndef SL_BRIDGE_MQTT_CLIENT_PRIV_H
#define SL_BRIDGE_MQTT_CLIENT_PRIV_H

#include <mosquitto.h>
#include <pthread.h>

#include "client.h"
#include "lookup.h"

enum sl_mqclient_state {
	SL_MQCLIENT_WAIT,   /* for due_ns */
	SL_MQCLIENT_LOOKUP, /* of the host's name */
	SL_MQCLIENT_TCP,    /* connecting; from here on there is a socket */
	SL_MQCLIENT_HELLO,  /* TLS, CONNECT, CONNACK */
	SL_MQCLIENT_UP,
	SL_MQCLIENT_OVER, /* bye */
};

struct sl_mqclient {
	struct sl_mqclient_cfg cfg;
	char id[SL_MQCLIENT_ID_MAX];
	enum sl_mqclient_state state;
	struct mosquitto *m; /* NULL: none yet */
	struct sl_lookup *lookup;
	int version;     /* MQTT_PROTOCOL_V5 or _V311 */
	uint64_t due_ns; /* WAIT: the next attempt; TCP, HELLO: gives up; UP: keep alive */
	uint64_t up_ns, life;
	unsigned failures; /* one after the other */
	uint64_t chance;   /* state of the generator */
	/* noted by the library's callbacks */
	bool connack; /* came, */
	int connack_reason;
	bool session;          /* the broker had one of ours */
	int disconnect_reason; /* the broker's, 0: none */
	char lib_error[SL_CFG_TEXT_MAX];
	/* any thread reads */
	pthread_mutex_t lock;
	struct sl_mqclient_stats stats;
};

/* client_lib.c: -errno; `err` gets a sentence. */
SL_MUST_CHECK int sl_mqclient_lib_init(void); /* control */
void sl_mqclient_lib_fini(void);
/* A new instance, or the one there is, set as the configuration says. */
SL_MUST_CHECK int sl_mqclient_prepare(struct sl_mqclient *c, char *err, size_t errlen);
/* Begins to connect. */
SL_MUST_CHECK int sl_mqclient_dial(struct sl_mqclient *c, char *err, size_t errlen);
SL_MUST_CHECK int sl_mqclient_subscribe(struct sl_mqclient *c, char *err, size_t errlen);
/* What a code of the library says, with what it last complained about. */
void sl_mqclient_say(const struct sl_mqclient *c, int rc, char *err, size_t errlen);

#endif
