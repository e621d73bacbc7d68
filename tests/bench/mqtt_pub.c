/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_pub.c - MQTT publishers as fast as a broker takes them: many clients on one thread.
 *
 *   mqtt_pub HOST PORT CLIENTS MESSAGES QOS BYTES WINDOW
 *
 * Client c publishes its share of MESSAGES to factory/line-<c mod 8>/dev-<c>/state, with at most
 * WINDOW of them unacknowledged (QoS 1 and 2), or as fast as its socket takes them (QoS 0). The
 * last one of each client is QoS 1 whatever QOS says: a broker takes a connection's packets in
 * order, so its PUBACK says that all before it were taken. Prints {"messages":n,"seconds":s}, from
 * the first publish to the last acknowledgement.
 */
#include <mosquitto.h>

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CLIENTS_MAX = 1000,
	BYTES_MAX = 65536,
	WINDOW_MAX = 1000,
	MESSAGES_MAX = 100000000,
	LINES = 8,
	BURST = 16, /* of one client, before the next has its turn */
	SILENT_S = 30,
};

struct client {
	struct mosquitto *m;
	char topic[64];
	unsigned no, want, sent, open, qos;
	bool connected, failed;
	uint64_t *acked; /* of all clients */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_connect(struct mosquitto *m, void *arg, int rc)
{
	struct client *c = arg;

	(void)m;
	c->connected = rc == 0;
	c->failed |= rc != 0;
}

static void on_disconnect(struct mosquitto *m, void *arg, int rc)
{
	struct client *c = arg;

	(void)m;
	c->failed |= rc != 0;
}

/* Of QoS 0 this says only that the socket has it: those are counted when they are sent. */
static void on_publish(struct mosquitto *m, void *arg, int mid)
{
	struct client *c = arg;

	(void)m, (void)mid;
	if (c->qos || c->sent == c->want) {
		c->open -= c->open > 0;
		++*c->acked;
	}
}

static bool may_send(const struct client *c, unsigned window)
{
	return c->sent < c->want && c->open < window && !mosquitto_want_write(c->m);
}

static int send_some(struct client *c, unsigned window, char *payload, int bytes)
{
	for (unsigned i = 0; i < BURST && may_send(c, window); i++) {
		bool last = c->sent + 1 == c->want;
		int qos = c->qos ? (int)c->qos : last;
		int n = snprintf(payload, 32, "c%04u n%09u", c->no, c->sent);

		payload[n] = ' ';
		c->sent++;
		c->open += qos > 0;
		if (mosquitto_publish(c->m, NULL, c->topic, bytes, payload, qos, false))
			return -1;
	}
	return 0;
}

static int serve(struct client *c, short revents)
{
	if (revents & (POLLIN | POLLHUP | POLLERR) && mosquitto_loop_read(c->m, 1))
		return -1;
	if (revents & POLLOUT && mosquitto_loop_write(c->m, 1))
		return -1;
	return c->failed ? -1 : 0;
}

/* One turn over all; -1 if a connection fails or nothing moves for a long time. */
static int turn(struct client *cl, unsigned cnt, struct pollfd *fd, int timeout_ms)
{
	for (unsigned i = 0; i < cnt; i++) {
		fd[i].fd = mosquitto_socket(cl[i].m);
		fd[i].events = mosquitto_want_write(cl[i].m) ? POLLIN | POLLOUT : POLLIN;
	}
	if (poll(fd, cnt, timeout_ms) <= 0)
		return timeout_ms ? -1 : 0;
	for (unsigned i = 0; i < cnt; i++)
		if (fd[i].revents && serve(&cl[i], fd[i].revents)) {
			fprintf(stderr, "mqtt_pub: client %u lost its connection\n", i);
			return -1;
		}
	return 0;
}

static int connect_all(struct client *cl, unsigned cnt, struct pollfd *fd, const char *host,
		       int port)
{
	for (unsigned i = 0; i < cnt; i++) {
		char id[32];
		snprintf(id, sizeof id, "bench-%u", i);
		cl[i].m = mosquitto_new(id, true, &cl[i]);
		if (!cl[i].m)
			return -1;
		mosquitto_connect_callback_set(cl[i].m, on_connect);
		mosquitto_disconnect_callback_set(cl[i].m, on_disconnect);
		mosquitto_publish_callback_set(cl[i].m, on_publish);
		mosquitto_max_inflight_messages_set(cl[i].m, 0); /* the window is kept here */
		if (mosquitto_connect(cl[i].m, host, port, 300)) {
			fprintf(stderr, "mqtt_pub: cannot connect\n");
			return -1;
		}
	}
	for (unsigned i = 0; i < cnt; i++)
		while (!cl[i].connected)
			if (turn(cl, cnt, fd, SILENT_S * 1000))
				return -1;
	return 0;
}

static int publish_all(struct client *cl, unsigned cnt, struct pollfd *fd, unsigned window,
		       int bytes, const uint64_t *acked, uint64_t want)
{
	static char payload[BYTES_MAX];

	memset(payload, 'x', sizeof payload);
	while (*acked < want) {
		bool more = false;
		for (unsigned i = 0; i < cnt; i++) {
			if (send_some(&cl[i], window, payload, bytes))
				return -1;
			more |= may_send(&cl[i], window);
		}
		if (turn(cl, cnt, fd, more ? 0 : SILENT_S * 1000))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct client cl[CLIENTS_MAX];
	static struct pollfd fd[CLIENTS_MAX];
	uint64_t acked = 0, want = 0;

	if (argc != 8) {
		fprintf(stderr, "usage: mqtt_pub HOST PORT CLIENTS MESSAGES QOS BYTES WINDOW\n");
		return 2;
	}
	unsigned cnt = (unsigned)strtoul(argv[3], NULL, 10),
		 qos = (unsigned)strtoul(argv[5], NULL, 10);
	unsigned long total = strtoul(argv[4], NULL, 10), bytes = strtoul(argv[6], NULL, 10);
	unsigned window = (unsigned)strtoul(argv[7], NULL, 10);
	if (cnt < 1 || cnt > CLIENTS_MAX || total < cnt || total > MESSAGES_MAX || qos > 2 ||
	    bytes < 32 || bytes > BYTES_MAX || window < 1 || window > WINDOW_MAX) {
		fprintf(stderr, "mqtt_pub: argument out of range\n");
		return 2;
	}
	mosquitto_lib_init();
	for (unsigned i = 0; i < cnt; i++) {
		cl[i] = (struct client){.no = i, .qos = qos, .acked = &acked};
		cl[i].want = (unsigned)(total / cnt + (i < total % cnt));
		snprintf(cl[i].topic, sizeof cl[i].topic, "factory/line-%u/dev-%04u/state",
			 i % LINES, i);
		want += qos ? cl[i].want : 1;
	}
	if (connect_all(cl, cnt, fd, argv[1], (int)strtoul(argv[2], NULL, 10)))
		return 1;
	uint64_t t0 = now_ns();
	if (publish_all(cl, cnt, fd, window, (int)bytes, &acked, want)) {
		fprintf(stderr, "mqtt_pub: %llu of %llu acknowledged\n", (unsigned long long)acked,
			(unsigned long long)want);
		return 1;
	}
	printf("{\"messages\":%lu,\"seconds\":%.6f,\"began\":%.6f}\n", total,
	       (double)(now_ns() - t0) / 1e9, (double)t0 / 1e9);
	for (unsigned i = 0; i < cnt; i++) {
		mosquitto_disconnect(cl[i].m);
		mosquitto_destroy(cl[i].m);
	}
	mosquitto_lib_cleanup();
	return 0;
}
