/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_mqtt.h - for tests: the other end of an MQTT connection, on loopback, byte by byte and by
 * hand. Everything has a bound in time; what does not come fails the test.
 */
#ifndef SL_BRIDGE_MQTT_FAKE_MQTT_H
#define SL_BRIDGE_MQTT_FAKE_MQTT_H

#include "sluice/wire.h"

#define FAKE_PATIENCE_MS 20000
#define FAKE_PACKET_MAX  (1u << 20)

enum { /* types, as in the first byte's upper half */
       FAKE_EOF = 0,
       FAKE_CONNECT = 1,
       FAKE_PUBLISH = 3,
       FAKE_PUBACK = 4,
       FAKE_PUBREC = 5,
       FAKE_PUBREL = 6,
       FAKE_PUBCOMP = 7,
       FAKE_SUBSCRIBE = 8,
       FAKE_PINGREQ = 12,
       FAKE_DISCONNECT = 14,
};

struct fake_mqtt {
	int lfd, fd; /* -1: none */
	uint16_t port;
	uint8_t version; /* 4 or 5, of the last CONNECT */
	/* the packet last read */
	uint8_t type, flags;
	uint32_t len;
	uint8_t *body;
};

struct fake_publish { /* borrowed from the packet */
	uint8_t qos;
	bool retain, dup;
	uint16_t mid;
	struct sl_slice topic, props, payload;
};

void fake_mqtt_open(struct fake_mqtt *f); /* listens */
void fake_mqtt_close(struct fake_mqtt *f);
void fake_mqtt_refuse(struct fake_mqtt *f); /* no more listening; the port stays known */
void fake_mqtt_listen(struct fake_mqtt *f); /* again, on the same port */
void fake_mqtt_listen_unix(struct fake_mqtt *f, const char *path);
void fake_mqtt_accept(struct fake_mqtt *f);
void fake_mqtt_hang_up(struct fake_mqtt *f);
/* The next packet's type; FAKE_EOF: the peer closed. */
int fake_mqtt_read(struct fake_mqtt *f);
void fake_mqtt_expect(struct fake_mqtt *f, int type); /* reads; fails if it is another */
bool fake_mqtt_silent(struct fake_mqtt *f);           /* nothing lies there now */
void fake_mqtt_send(struct fake_mqtt *f, const void *p, size_t n);
/* accept, CONNECT, CONNACK with that reason; v5 without properties. */
void fake_mqtt_hello(struct fake_mqtt *f, bool session, uint8_t reason);
void fake_mqtt_suback(struct fake_mqtt *f, uint8_t granted); /* reads the SUBSCRIBE */
/* PUBLISH to the peer; `props` are the bytes behind their length (v5). */
void fake_mqtt_publish(struct fake_mqtt *f, uint8_t flags, uint16_t mid, const char *topic,
		       struct sl_slice props, struct sl_slice payload);
/* Of a PUBLISH that was read. */
struct fake_publish fake_mqtt_parse(const struct fake_mqtt *f);
void fake_mqtt_ack(struct fake_mqtt *f, uint8_t type, uint16_t mid, uint8_t reason);
struct sl_slice fake_str(const char *s);

#endif
