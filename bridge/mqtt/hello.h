/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.h - how a plugin and sluiced meet: one message each way over mqtt.socket (SOCK_SEQPACKET).
 * Byte table: docs/formats/mqtt-ring.md.
 *
 * The plugin says hello and passes the ring's memory and an eventfd (SCM_RIGHTS, in this order);
 * sluiced answers. The connection then stays open for as long as both live: its end is how each
 * learns that the other is gone. Nothing else is ever sent.
 */
#ifndef SL_BRIDGE_MQTT_HELLO_H
#define SL_BRIDGE_MQTT_HELLO_H

#include "sluice/base.h"

#define SL_HELLO_MAGIC   0x6f6c6548744d6c53ull /* "SlMtHelo" */
#define SL_HELLO_VERSION 1
#define SL_HELLO_FDS     2

struct sl_hello { /* plugin -> sluiced */
	uint64_t magic;
	uint32_t version;
	uint32_t mem_bytes; /* of the memory: the page of the header and the ring */
	uint8_t instance[16];
	uint8_t reserved[32]; /* 0 */
};
_Static_assert(sizeof(struct sl_hello) == 64, "as in the byte table");

enum sl_welcome_status {
	SL_WELCOME,
	SL_WELCOME_VERSION, /* another version of the ring or the hello: upgrade both */
	SL_WELCOME_MEMORY,  /* not sealed, or not what a ring looks like */
	SL_WELCOME_BUSY,    /* too many plugins, or this ring is still being read: try again */
	SL_WELCOME_STATUS_CNT
};

#define SL_WELCOME_OWN_BYTES 1000

struct sl_welcome { /* sluiced -> plugin */
	uint64_t magic;
	uint32_t version;
	uint32_t status; /* enum sl_welcome_status */
	/*
	 * Whose messages are not handed over, because they are sluiced's own: NUL-terminated
	 * strings, an empty one ends the list. '=' and a client id, or '^' and how ids begin.
	 */
	char own[SL_WELCOME_OWN_BYTES];
	uint8_t reserved[8]; /* 0 */
};
_Static_assert(sizeof(struct sl_welcome) == 1024, "as in the byte table");

#endif
