/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_fake_server.c - the real listener in front of the store in memory, to be tried with real
 * clients: kafka_fake_server [port] [log level]; ends with SIGINT or SIGTERM. A test helper.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/fake/fake_store.h"
#include "kafka.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"

static void config(struct sl_config *c, uint16_t port)
{
	c->kafka.listen_cnt = 1;
	snprintf(c->kafka.listen[0].host, sizeof(c->kafka.listen[0].host), "127.0.0.1");
	c->kafka.listen[0].port = port;
	c->kafka.num_partitions = 4;
	c->kafka.auto_create = true;
	sl_topic_cfg_defaults(&c->kafka.topic_defaults);
	c->kafka.max_connections = 1024;
	c->kafka.request_max_bytes = 100 << 20;
	c->kafka.memory_bytes = 256 << 20;
	c->kafka.workers = 2;
	c->kafka.idle_ms = 600000;
}

int main(int argc, char **argv)
{
	struct sl_config *c = calloc(1, sizeof(*c));
	struct sl_store *store = fake_store_new();
	struct sl_kafka *k;
	char err[256] = "";
	sigset_t set;
	int sig;

	if (argc > 2)
		sl_log_set_level((enum sl_log_level)atoi(argv[2]));
	sl_clock_discipline();
	fake_store_cfg(store)->auto_sync = true;
	config(c, argc > 1 ? (uint16_t)atoi(argv[1]) : 0);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct sl_kafka_cfg kc = {
		.config = c, .store = store, .dp = fake_store_dataplane(store), .node_id = 1};
	if (sl_kafka_new(&kc, &k, err, sizeof(err)) || sl_kafka_start(k)) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	fake_store_thread_start(store);
	printf("%u\n", sl_kafka_port(k, 0));
	fflush(stdout);
	sigwait(&set, &sig);
	int rc = sl_kafka_stop(k, sl_clock_mono_ns() + 5000000000u);
	struct sl_kafka_stats st;
	sl_kafka_stats(k, &st);
	fprintf(stderr, "connections %lu requests %lu errors %lu records %lu memory %lu\n",
		st.connections_total, st.requests_total, st.request_errors_total,
		st.produce_records, st.memory_bytes);
	if (rc)
		return 1;
	fake_store_thread_stop(store);
	sl_kafka_free(k);
	fake_store_free(store);
	free(c);
	return 0;
}
