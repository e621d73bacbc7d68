/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_mqtt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct sl_slice fake_str(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

void fake_mqtt_listen(struct fake_mqtt *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port)};
	socklen_t len = sizeof(a);
	int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SL_ASSERT(f->lfd >= 0);
	setsockopt(f->lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	SL_ASSERT(bind(f->lfd, (struct sockaddr *)&a, sizeof(a)) == 0);
	SL_ASSERT(listen(f->lfd, 8) == 0);
	SL_ASSERT(getsockname(f->lfd, (struct sockaddr *)&a, &len) == 0);
	f->port = ntohs(a.sin_port);
}

void fake_mqtt_listen_unix(struct fake_mqtt *f, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	f->lfd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SL_ASSERT(f->lfd >= 0);
	SL_ASSERT(bind(f->lfd, (struct sockaddr *)&a, sizeof(a)) == 0);
	SL_ASSERT(listen(f->lfd, 8) == 0);
}

void fake_mqtt_open(struct fake_mqtt *f)
{
	*f = (struct fake_mqtt){.lfd = -1, .fd = -1, .body = malloc(FAKE_PACKET_MAX)};
	SL_ASSERT(f->body);
	fake_mqtt_listen(f);
}

void fake_mqtt_refuse(struct fake_mqtt *f)
{
	if (f->lfd >= 0)
		close(f->lfd);
	f->lfd = -1;
}

void fake_mqtt_close(struct fake_mqtt *f)
{
	fake_mqtt_hang_up(f);
	fake_mqtt_refuse(f);
	free(f->body);
}

void fake_mqtt_hang_up(struct fake_mqtt *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static void await(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	SL_ASSERT(poll(&p, 1, FAKE_PATIENCE_MS) == 1);
}

void fake_mqtt_accept(struct fake_mqtt *f)
{
	fake_mqtt_hang_up(f);
	await(f->lfd);
	int on = 1;
	f->fd = accept(f->lfd, NULL, NULL);
	SL_ASSERT(f->fd >= 0);
	setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* False: the peer closed. */
static bool read_all(struct fake_mqtt *f, uint8_t *p, size_t n)
{
	size_t at = 0;
	while (at < n) {
		await(f->fd);
		ssize_t got = read(f->fd, p + at, n - at);
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

int fake_mqtt_read(struct fake_mqtt *f)
{
	uint8_t b;
	unsigned shift = 0;

	f->type = FAKE_EOF;
	f->len = 0;
	if (!read_all(f, &b, 1))
		return FAKE_EOF;
	uint8_t first = b;
	do {
		if (!read_all(f, &b, 1))
			return FAKE_EOF;
		f->len |= (uint32_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	SL_ASSERT(f->len <= FAKE_PACKET_MAX);
	if (!read_all(f, f->body, f->len))
		return FAKE_EOF;
	f->type = first >> 4;
	f->flags = first & 15;
	return f->type;
}

void fake_mqtt_expect(struct fake_mqtt *f, int type)
{
	int got = fake_mqtt_read(f);
	SL_ASSERT(got == type);
}

bool fake_mqtt_silent(struct fake_mqtt *f)
{
	uint8_t b;
	return recv(f->fd, &b, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

void fake_mqtt_send(struct fake_mqtt *f, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n) {
		ssize_t sent = send(f->fd, at, n, MSG_NOSIGNAL);
		SL_ASSERT(sent > 0);
		at += sent;
		n -= (size_t)sent;
	}
}

void fake_mqtt_hello(struct fake_mqtt *f, bool session, uint8_t reason)
{
	uint8_t ack[] = {0x20, 3, session, reason, 0};

	fake_mqtt_accept(f);
	fake_mqtt_expect(f, FAKE_CONNECT);
	SL_ASSERT(f->len > 7 && !memcmp(f->body, "\0\4MQTT", 6));
	f->version = f->body[6];
	ack[1] = f->version == 5 ? 3 : 2;
	fake_mqtt_send(f, ack, 2u + ack[1]);
}

void fake_mqtt_suback(struct fake_mqtt *f, uint8_t granted)
{
	fake_mqtt_expect(f, FAKE_SUBSCRIBE);
	uint8_t ack[] = {0x90, 4, f->body[0], f->body[1], 0, granted};
	if (f->version != 5) {
		ack[1] = 3;
		ack[4] = granted;
	}
	fake_mqtt_send(f, ack, 2u + ack[1]);
}

static uint8_t *put_varint(uint8_t *p, uint32_t v)
{
	do {
		*p++ = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	return p;
}

void fake_mqtt_publish(struct fake_mqtt *f, uint8_t flags, uint16_t mid, const char *topic,
		       struct sl_slice props, struct sl_slice payload)
{
	size_t tn = strlen(topic);
	uint8_t *body = malloc(tn + props.len + payload.len + 16), *p = body, head[8] = {0};
	SL_ASSERT(body);

	sl_put_be16(p, (uint16_t)tn);
	memcpy(p + 2, topic, tn);
	p += 2 + tn;
	if (flags & 6) {
		sl_put_be16(p, mid);
		p += 2;
	}
	if (f->version == 5) {
		p = put_varint(p, props.len);
		if (props.len)
			memcpy(p, props.p, props.len);
		p += props.len;
	}
	if (payload.len)
		memcpy(p, payload.p, payload.len);
	p += payload.len;
	head[0] = (uint8_t)(FAKE_PUBLISH << 4 | flags);
	size_t hn = (size_t)(put_varint(head + 1, (uint32_t)(p - body)) - head);
	fake_mqtt_send(f, head, hn);
	fake_mqtt_send(f, body, (size_t)(p - body));
	free(body);
}

struct fake_publish fake_mqtt_parse(const struct fake_mqtt *f)
{
	struct fake_publish m = {
		.qos = f->flags >> 1 & 3, .retain = f->flags & 1, .dup = f->flags >> 3 & 1};
	struct sl_rd r;

	SL_ASSERT(f->type == FAKE_PUBLISH);
	sl_rd_init(&r, f->body, f->len);
	m.topic = sl_rd_bytes(&r, sl_rd_be16(&r));
	if (m.qos)
		m.mid = sl_rd_be16(&r);
	if (f->version == 5)
		m.props = sl_rd_bytes(&r, sl_rd_uvarint(&r));
	m.payload = sl_rd_bytes(&r, sl_rd_left(&r));
	SL_ASSERT(!r.bad);
	return m;
}

void fake_mqtt_ack(struct fake_mqtt *f, uint8_t type, uint16_t mid, uint8_t reason)
{
	uint8_t p[] = {(uint8_t)(type << 4 | (type == FAKE_PUBREL ? 2 : 0)), 2, (uint8_t)(mid >> 8),
		       (uint8_t)mid, reason};
	if (f->version == 5)
		p[1] = 3;
	fake_mqtt_send(f, p, 2u + p[1]);
}
