/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_bridge.c - MQTT into Kafka the usual way: a client that subscribes at the broker and
 * produces what comes. What the plugin is measured beside.
 *
 *   mqtt_bridge HOST PORT FILTER QOS BOOTSTRAP TOPIC
 *
 * The key is the topic's third level, the partitioner Kafka's own; headers mqtt.topic, mqtt.qos,
 * mqtt.retain. acks=1, linger 5 ms, batches of 1 MB at most. Two threads do the work: one reads and
 * produces, librdkafka's own sends. Its acknowledgement to the broker says nothing about Kafka:
 * the library gives it before the message is handed over. Prints "ready" when subscribed; ends with
 * SIGTERM after what it has was sent, and prints {"messages":n,"failed":n}.
 */
#include <librdkafka/rdkafka.h>
#include <mosquitto.h>

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEVEL = 2, POLL_EVERY = 512, FLUSH_MS = 20000 };

struct bridge {
	rd_kafka_t *rk;
	const char *topic, *filter;
	int qos;
	uint64_t messages, failed;
};

static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

static void on_connect(struct mosquitto *m, void *arg, int rc)
{
	struct bridge *b = arg;

	if (rc || mosquitto_subscribe(m, NULL, b->filter, b->qos))
		stopping = 1;
}

static void on_subscribe(struct mosquitto *m, void *arg, int mid, int cnt, const int *granted)
{
	(void)m, (void)arg, (void)mid, (void)cnt, (void)granted;
	puts("ready");
	fflush(stdout);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *arg)
{
	struct bridge *b = arg;

	(void)rk;
	b->failed += msg->err != 0;
}

/* The third level of a topic name. */
static char *key_of(char *name, size_t *ret_len)
{
	for (int i = 0; i < KEY_LEVEL && name; i++) {
		name = strchr(name, '/');
		name += name != NULL;
	}
	*ret_len = name ? strcspn(name, "/") : 0;
	return name;
}

static void on_message(struct mosquitto *m, void *arg, const struct mosquitto_message *msg)
{
	struct bridge *b = arg;
	size_t key_len;
	char *key = key_of(msg->topic, &key_len);
	char qos = (char)('0' + msg->qos), retain = msg->retain ? '1' : '0';
	rd_kafka_resp_err_t err;

	(void)m;
	do {
		err = rd_kafka_producev(
			b->rk, RD_KAFKA_V_TOPIC(b->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			RD_KAFKA_V_KEY(key, key_len),
			RD_KAFKA_V_VALUE(msg->payload, (size_t)msg->payloadlen),
			RD_KAFKA_V_HEADER("mqtt.topic", msg->topic, -1),
			RD_KAFKA_V_HEADER("mqtt.qos", &qos, 1),
			RD_KAFKA_V_HEADER("mqtt.retain", &retain, 1), RD_KAFKA_V_END);
		if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			rd_kafka_poll(b->rk, 10);
	} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && !stopping);
	b->failed += err != 0;
	if (++b->messages % POLL_EVERY == 0)
		rd_kafka_poll(b->rk, 0);
}

static rd_kafka_t *producer(const char *bootstrap, struct bridge *b)
{
	static const char *const settings[][2] = {
		{"acks", "1"},
		{"linger.ms", "5"},
		{"partitioner", "murmur2_random"},
		{"queue.buffering.max.messages", "1000000"},
		{"delivery.report.only.error", "true"},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char err[256];

	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], err, sizeof err))
			goto fail;
	if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, err, sizeof err))
		goto fail;
	rd_kafka_conf_set_opaque(conf, b);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err);
	if (rk)
		return rk;
fail:
	fprintf(stderr, "mqtt_bridge: %s\n", err);
	rd_kafka_conf_destroy(conf);
	return NULL;
}

int main(int argc, char **argv)
{
	struct bridge b = {0};
	struct mosquitto *m;

	if (argc != 7) {
		fprintf(stderr, "usage: mqtt_bridge HOST PORT FILTER QOS BOOTSTRAP TOPIC\n");
		return 2;
	}
	b.filter = argv[3];
	b.qos = atoi(argv[4]);
	b.topic = argv[6];
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	b.rk = producer(argv[5], &b);
	mosquitto_lib_init();
	m = mosquitto_new("mqtt-bridge", true, &b);
	if (!b.rk || !m)
		return 1;
	mosquitto_connect_callback_set(m, on_connect);
	mosquitto_subscribe_callback_set(m, on_subscribe);
	mosquitto_message_callback_set(m, on_message);
	if (mosquitto_connect(m, argv[1], atoi(argv[2]), 300)) {
		fprintf(stderr, "mqtt_bridge: cannot connect\n");
		return 1;
	}
	while (!stopping) {
		if (mosquitto_loop(m, 100, 1)) {
			fprintf(stderr, "mqtt_bridge: lost its connection\n");
			break;
		}
		rd_kafka_poll(b.rk, 0);
	}
	rd_kafka_flush(b.rk, FLUSH_MS);
	b.failed += (uint64_t)rd_kafka_outq_len(b.rk);
	printf("{\"messages\":%llu,\"failed\":%llu}\n", (unsigned long long)b.messages,
	       (unsigned long long)b.failed);
	mosquitto_destroy(m);
	rd_kafka_destroy(b.rk);
	mosquitto_lib_cleanup();
	return stopping && !b.failed ? 0 : 1;
}
