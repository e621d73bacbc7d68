/* SPDX-License-Identifier: Apache-2.0 */
/* What lands in struct sl_config; the table against itself; limits. Texts of errors: tests/config.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/base/sl_test.h"
#include "platform/base/topic_cfg.h"
#include "platform/config/config_test.h"
#include "platform/config/keys.h"

static void defaults(void **state)
{
	struct sl_config *c = good(ID);
	const struct sl_topic_cfg *t = &c->kafka.topic_defaults;

	(void)state;
	assert_string_equal(c->gateway.id, "gw-01");
	assert_string_equal(c->gateway.data, "/var/lib/sluice");
	assert_int_equal(c->drain_ms, 10000);
	assert_int_equal(c->dataplane.memory_bytes, 256ll << 20);
	assert_int_equal(c->dataplane.hugepages, SL_HUGE_AUTO);
	assert_true(c->dataplane.ingest.automatic && c->dataplane.writers.automatic);
	assert_int_equal(c->dataplane.idle, SL_IDLE_SLEEP);
	assert_int_equal(c->dataplane.linger_us, 5000);
	assert_int_equal(c->dataplane.batch_bytes, 0);
	assert_string_equal(c->dataplane.file_prefix, "");
	assert_true(c->storage.budget.fraction == 0.7 && c->storage.budget.bytes == 0);
	assert_true(c->storage.reserve.fraction == 0.02 && c->storage.reserve.bytes == 0);
	assert_int_equal(c->storage.segment_bytes, 64 << 20);
	assert_int_equal(c->storage.tail_cache_bytes, 64 << 20);
	assert_int_equal(c->storage.sync_interval_us, 10000);
	assert_int_equal(c->storage.sync_bytes, 8 << 20);
	assert_int_equal(c->storage.flush_interval_ms, 1000);
	assert_int_equal(c->storage.retention_check_ms, 30000);
	assert_string_equal(c->storage.io, "auto");
	assert_string_equal(c->storage.stripes, "");
	assert_int_equal(c->port_cnt + c->listener_cnt + c->topic_cnt, 0);
	assert_int_equal(c->kafka.listen_cnt, 1);
	assert_string_equal(c->kafka.listen[0].host, "127.0.0.1");
	assert_int_equal(c->kafka.listen[0].port, 9092);
	assert_string_equal(c->kafka.advertise.host, "");
	assert_int_equal(c->kafka.num_partitions, 4);
	assert_true(c->kafka.auto_create);
	assert_int_equal(c->kafka.max_connections, 1000);
	assert_int_equal(c->kafka.request_max_bytes, 104857600);
	assert_int_equal(c->kafka.memory_bytes, 256 << 20);
	assert_int_equal(c->kafka.workers, 2);
	assert_int_equal(c->kafka.idle_ms, 600000);
	assert_string_equal(c->admin.listen.host, "127.0.0.1");
	assert_int_equal(c->admin.listen.port, 9640);
	assert_string_equal(c->admin.socket, "/run/sluice/control.sock");
	assert_int_equal(c->log.level, SL_LOG_INFO);
	assert_int_equal(t->retention_ms, 604800000);
	assert_int_equal(t->retention_bytes, -1);
	assert_int_equal(t->segment_bytes, 64 << 20);
	assert_int_equal(t->segment_ms, 604800000);
	assert_int_equal(t->max_message_bytes, 1048588);
	assert_int_equal(t->index_interval_bytes, 4096);
	assert_int_equal(t->ts_before_max_ms, INT64_MAX);
	assert_int_equal(t->ts_after_max_ms, INT64_MAX);
	assert_int_equal(t->ts_type, SL_TS_CREATE_TIME);
	assert_int_equal(t->compression, SL_COMP_PRODUCER);
	assert_false(t->compact);
	sl_config_free(c);
}

static uint32_t bit_of(const char *name)
{
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_setting_find(name, strlen(name));

	return sl_topic_setting_bit((uint32_t)(row - sl_topic_settings(&cnt)));
}

/* The order in the file does not matter: topics stand before what their defaults come from. */
static void topic_defaults(void **state)
{
	struct sl_config *c = good("topics:\n"
				   "  - {name: a}\n"
				   "  - {name: b, partitions: 2, config: {compression.type: lz4,"
				   " segment.bytes: 2097152}}\n"
				   "kafka: {config: {num.partitions: 7, log.retention.ms: 5}}\n"
				   "storage: {segment: 32MiB}\n" ID);

	(void)state;
	assert_int_equal(c->topic_cnt, 2);
	assert_int_equal(c->topic[0].partitions, 7);
	assert_int_equal(c->topic[0].cfg.retention_ms, 5);
	assert_int_equal(c->topic[0].cfg.segment_bytes, 32 << 20);
	assert_int_equal(c->topic[0].cfg.compression, SL_COMP_PRODUCER);
	assert_int_equal(c->topic[1].partitions, 2);
	assert_int_equal(c->topic[1].cfg.retention_ms, 5);
	assert_int_equal(c->topic[0].set, 0);
	assert_int_equal(c->topic[1].set, bit_of("compression.type") | bit_of("segment.bytes"));
	assert_int_equal(c->kafka.topic_defaults_set, bit_of("retention.ms"));
	assert_int_equal(c->topic[1].cfg.segment_bytes, 2 << 20);
	assert_int_equal(c->topic[1].cfg.compression, SL_CODEC_LZ4);
	sl_config_free(c);
}

static void listeners(void **state)
{
	struct sl_config *c =
		good(ID "listeners:\n"
			"  - {name: s, port: p1, udp: 5514, protocol: syslog, topic: logs,"
			" address: 10.77.0.1, key: host, headers: [severity, time, source]}\n"
			"  - {name: r, port: p0, udp: 5600, protocol: raw, topic: other,"
			" key: 'payload[4:12]'}\n"
			"ports:\n"
			"  - {name: p0, backend: pcap, file: /x.pcap, replay: forever}\n"
			"  - {name: p1, backend: af_packet, device: eth1, netns: lab, mtu: 9000,"
			" checksum: trust, promiscuous: true}\n"
			"  - {name: p2, backend: pcap, file: /y.pcap, pace: capture}\n"
			"topics: [{name: logs, partitions: 3}]\n");

	(void)state;
	assert_int_equal(c->port_cnt, 3);
	assert_int_equal(c->port[0].backend, SL_BE_PCAP);
	assert_true(c->port[0].loop && !c->port[0].pace_capture);
	assert_true(!c->port[2].loop && c->port[2].pace_capture);
	assert_string_equal(c->port[0].file, "/x.pcap");
	assert_int_equal(c->port[1].backend, SL_BE_AF_PACKET);
	assert_string_equal(c->port[1].device, "eth1");
	assert_string_equal(c->port[1].netns, "lab");
	assert_int_equal(c->port[1].mtu, 9000);
	assert_int_equal(c->port[1].checksum, SL_CSUM_TRUST);
	assert_true(c->port[1].promiscuous);
	assert_int_equal(c->listener_cnt, 2);
	assert_int_equal(c->listener[0].port, 1);
	assert_int_equal(c->listener[0].addr.family, 4);
	assert_int_equal(c->listener[0].addr.ip[1], 77);
	assert_int_equal(c->listener[0].udp, 5514);
	assert_int_equal(c->listener[0].protocol, SL_PROTO_SYSLOG);
	assert_int_equal(c->listener[0].key, SL_KEY_HOST);
	assert_int_equal(c->listener[0].headers, SL_HDR_SEVERITY | SL_HDR_TIME | SL_HDR_SOURCE);
	assert_int_equal(c->listener[1].port, 0);
	assert_int_equal(c->listener[1].addr.family, 0);
	assert_int_equal(c->listener[1].key, SL_KEY_SLICE);
	assert_int_equal(c->listener[1].slice_off, 4);
	assert_int_equal(c->listener[1].slice_len, 8);
	assert_int_equal(c->topic_cnt, 2); /* the second one for the listener */
	assert_int_equal(c->topic[0].partitions, 3);
	assert_string_equal(c->topic[1].name, "other");
	assert_int_equal(c->topic[1].partitions, 4);
	assert_int_equal(c->topic[1].cfg.segment_bytes, 64 << 20);
	sl_config_free(c);
}

static void shapes(void **state)
{
	struct sl_config *c = good(ID "dataplane: {ingest: 0, writers: ['0', 0], batch: 64KiB}\n"
				      "storage: {budget: 10GiB, reserve: 0}\n"
				      "kafka: {listen: ['[::1]:0', 'localhost:9093'],"
				      " advertise: 'gw.example:9092'}\n"
				      "admin: {listen: off}\n"
				      "log: {level: debug}\n");

	(void)state;
	assert_false(c->dataplane.ingest.automatic);
	assert_int_equal(c->dataplane.ingest.cnt, 1);
	assert_int_equal(c->dataplane.writers.cnt, 2);
	assert_int_equal(c->dataplane.batch_bytes, 65536);
	assert_true(c->storage.budget.fraction == 0 && c->storage.budget.bytes == 10ull << 30);
	assert_true(c->storage.reserve.fraction == 0 && c->storage.reserve.bytes == 0);
	assert_int_equal(c->kafka.listen_cnt, 2);
	assert_string_equal(c->kafka.listen[0].host, "::1");
	assert_int_equal(c->kafka.listen[0].port, 0);
	assert_string_equal(c->kafka.advertise.host, "gw.example");
	assert_int_equal(c->admin.listen.port, 0);
	assert_int_equal(c->log.level, SL_LOG_DEBUG);
	sl_config_free(c);
}

static void environment(void **state)
{
	struct sl_config *c;

	(void)state;
	setenv("SLT_CFG_ID", "gw-77", 1);
	setenv("SLT_CFG_EMPTY", "", 1);
	unsetenv("SLT_CFG_NONE");
	c = good("gateway: {id: '${SLT_CFG_ID}', "
		 "data: '/a/${SLT_CFG_NONE:-b/c}/$$/${SLT_CFG_EMPTY:-e}$x'}\n");
	assert_string_equal(c->gateway.id, "gw-77");
	assert_string_equal(c->gateway.data, "/a/b/c/$/e$x");
	sl_config_free(c);
	bad("gateway: {id: 'x${SLT_CFG_NONE}'}\n", "gateway.id", 1, 16);
	bad("gateway: {id: '${SLT_CFG_EMPTY}'}\n", "gateway.id", 1, 16);
	bad("gateway: {id: '${1A}'}\n", "gateway.id", 1, 16);
}

static void places(void **state)
{
	(void)state;
	bad("gateway:\n  id: gw-01\n  colour: red\n", "gateway.colour", 3, 3);
	bad("gateway:\n  id: g\xc3\xb6\n", "gateway.id", 2, 7);
	bad("gateway: {data: '/\xc3\xb6', id: 'x y'}\n", "gateway.id", 1, 28);
	bad("\xef\xbb\xbfgateway: {id: 'x y'}\n", "gateway.id", 1, 16);
	bad("gateway:\r\n  id: 'x y'\r\n", "gateway.id", 2, 8);
	bad("", "gateway.id", 1, 1);
	bad("# only a comment", "gateway.id", 1, 1);
	bad("gateway: {id: a}\nstorage: {sync: {bytes: 1}}", "storage.sync.bytes", 2, 25);
}

static void later_errors_are_counted(void **state)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;
	char text[4096] = ID;
	size_t n = strlen(text);

	(void)state;
	for (int i = 0; i < SL_CONFIG_ERRORS_MAX + 3; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "unknown%d: 1\n", i);
	assert_int_equal(sl_config_parse("t", text, n, &cfg, &errs), -EINVAL);
	assert_int_equal(errs.errors.cnt, SL_CONFIG_ERRORS_MAX);
	assert_int_equal(errs.errors.hidden, 3);
	sl_config_errors_fini(&errs);
	sl_config_errors_fini(NULL);
	sl_config_free(NULL);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void expect_rc(const char *text, size_t len, int rc, const char *says)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;

	assert_int_equal(sl_config_parse("t", text, len, &cfg, &errs), rc);
	if (rc) {
		assert_true(errs.errors.cnt >= 1);
		assert_non_null(strstr(errs.errors.err[0].text, says));
	}
	sl_config_free(cfg);
	sl_config_errors_fini(&errs);
}

static void sizes(void **state)
{
	char *text = malloc(SL_CFG_FILE_MAX + 2);

	(void)state;
	memset(text, '#', SL_CFG_FILE_MAX + 1);
	memcpy(text, ID, strlen(ID));
	expect_rc(text, SL_CFG_FILE_MAX, 0, NULL);
	expect_rc(text, SL_CFG_FILE_MAX + 1, -EFBIG, "larger than 1024 KiB");
	memset(text, '\0', 16);
	expect_rc(text, 16, -EINVAL, "control byte");

	size_t n = (size_t)sprintf(text, "a: [");
	for (int i = 0; i < SL_DOC_NODES_MAX; i++)
		n += (size_t)sprintf(text + n, "1,");
	n += (size_t)sprintf(text + n, "]\n");
	expect_rc(text, n, -EINVAL, "more than 100000 values");

	for (n = 0; n < 2u * (SL_DOC_MAP_MAX + 1) * 8;) /* "k00001: \n" */
		n += (size_t)sprintf(text + n, "k%06zu:\n", n / 9);
	expect_rc(text, n, -EINVAL, "more than 1024 keys");

	n = (size_t)sprintf(text, "gateway: {id: '${SLT_CFG_NONE:-");
	memset(text + n, 'x', 5000);
	n += 5000;
	n += (size_t)sprintf(text + n, "}'}\n");
	expect_rc(text, n, -EINVAL, "longer than 4096 bytes");
	free(text);
}

static void lists(void **state)
{
	char *text = malloc(1 << 20);
	size_t n = (size_t)sprintf(text, ID "topics:\n");
	struct sl_config *c;

	(void)state;
	for (int i = 0; i < SL_CFG_TOPICS_MAX; i++)
		n += (size_t)sprintf(text + n, "- {name: t%d, partitions: 1}\n", i);
	c = good(text);
	assert_int_equal(c->topic_cnt, SL_CFG_TOPICS_MAX);
	sl_config_free(c);
	n += (size_t)sprintf(text + n, "- {name: one-more, partitions: 1}\n");
	expect_rc(text, n, -EINVAL, "more than 1024 of them");
	free(text);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int load(const char *dir, const char *name, struct sl_config **ret,
		struct sl_config_errors *e)
{
	char path[256];

	memset(e, 0, sizeof(*e));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return sl_config_load(path, ret, e);
}

/* What a secret's file has to be: said, and no more than that. */
static void secrets(const char *dir)
{
	struct sl_config_errors errs;
	struct sl_config *c = NULL;
	char path[256], text[1024];

	snprintf(path, sizeof(path), "%s/secret", dir);
	snprintf(text, sizeof(text),
		 ID "mqtt: {default_topic: t, brokers: [{name: b, host: h, user: u, "
		    "password_file: %s, subscribe: [{filter: a}]}]}\n"
		    "uplink: {bootstrap: h, topics: [t], client_files: {sasl.password: %s}}\n",
		 path, path);
	write_file(dir, "secrets.yaml", text);
	write_file(dir, "secret", "s3cret\n");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(load(dir, "secrets.yaml", &c, &errs), 0);
	assert_int_equal(errs.warnings.cnt, 0);
	sl_config_errors_fini(&errs);
	sl_config_free(c);
	for (int i = 0; i < 3; i++) {
		static const char *const says[] = {"every user of this box", "more than one line",
						   "No such file"};
		if (i == 0)
			assert_int_equal(chmod(path, 0644), 0);
		else if (i == 1)
			write_file(dir, "secret", "a\nb\n");
		else
			assert_int_equal(unlink(path), 0);
		assert_int_equal(load(dir, "secrets.yaml", &c, &errs), 0);
		assert_int_equal(errs.warnings.cnt, 2);
		assert_string_equal(errs.warnings.err[0].key, "mqtt.brokers[0].password_file");
		assert_string_equal(errs.warnings.err[1].key, "uplink.client_files.sasl.password");
		assert_non_null(strstr(errs.warnings.err[0].text, says[i]));
		assert_non_null(strstr(errs.warnings.err[1].text, says[i]));
		sl_config_errors_fini(&errs);
		sl_config_free(c);
	}
	snprintf(path, sizeof(path), "%s/secrets.yaml", dir);
	assert_int_equal(unlink(path), 0);
}

static void files(void **state)
{
	char dir[] = "/tmp/slt-config-XXXXXX", conf_d[64], path[256];
	struct sl_config_errors errs;
	struct sl_config *c = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(load(dir, "missing.yaml", &c, &errs), -ENOENT);
	assert_int_equal(errs.errors.cnt, 1);
	assert_int_equal(errs.errors.err[0].line, 0);
	sl_config_errors_fini(&errs);
	assert_int_equal(load(dir, "", &c, &errs), -EISDIR);
	sl_config_errors_fini(&errs);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load(dir, "fifo", &c, &errs), -EINVAL);
	assert_non_null(strstr(errs.errors.err[0].text, "not a regular file"));
	sl_config_errors_fini(&errs);

	write_file(dir, "sluice.yaml", ID "storage: {budget: 50%}\ntopics:\n");
	assert_int_equal(load(dir, "sluice.yaml", &c, &errs), 0);
	assert_int_equal(c->topic_cnt, 0);
	sl_config_free(c);

	snprintf(conf_d, sizeof(conf_d), "%s/conf.d", dir);
	assert_int_equal(mkdir(conf_d, 0700), 0);
	write_file(conf_d, "20-b.yaml", "topics: [{name: b}]\nstorage: {segment: 1MiB}\n");
	write_file(conf_d, "10-a.yaml", "topics: [{name: a}]\n");
	write_file(conf_d, ".hidden.yaml", "nonsense: [\n");
	write_file(conf_d, "30-c.yml", "nonsense: [\n");
	assert_int_equal(load(dir, "sluice.yaml", &c, &errs), 0);
	assert_int_equal(c->topic_cnt, 2);
	assert_string_equal(c->topic[0].name, "a");
	assert_string_equal(c->topic[1].name, "b");
	assert_int_equal(c->storage.segment_bytes, 1 << 20);
	assert_true(c->storage.budget.fraction == 0.5);
	sl_config_free(c);

	secrets(dir);
	for (const char *const *f = (const char *const[]){"conf.d/20-b.yaml", "conf.d/10-a.yaml",
							  "conf.d/.hidden.yaml", "conf.d/30-c.yml",
							  "sluice.yaml", "fifo", NULL};
	     *f; f++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *f);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(conf_d), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* ---- the table and the manual ---------------------------------------------------------------- */

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const struct sl_key *k = &SL_KEYS[i];
		for (size_t n = 0; n < i; n++)
			assert_string_not_equal(k->path, SL_KEYS[n].path);
		if (k->flags & SL_KEY_LATER)
			continue;
		if (!k->type || !k->help)
			fail_msg("%s: no type or help", k->path);
		if (k->type == &SL_T_SECTION || k->type == &SL_T_LIST)
			continue;
		if (k->min > k->max || (k->type == &SL_T_DURATION && !k->scale))
			fail_msg("%s: range or scale", k->path);
		if (!!k->def + !!k->def_doc + !!(k->flags & SL_KEY_REQUIRED) > 1)
			fail_msg("%s: more than one default", k->path);
	}
}

static void check_manual(const char *text, const char *path)
{
	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const char *name, *at;
		char want[128], list[128];
		if (!sl_key_below(&SL_KEYS[i], path, &name) || (SL_KEYS[i].flags & SL_KEY_LATER))
			continue;
		snprintf(want, sizeof(want), "%s:", name);
		at = strstr(text, want);
		while (at && at > text && at[-1] != ' ' && at[-1] != '\n' && at[-1] != '{')
			at = strstr(at + 1, want);
		if (!at)
			fail_msg("%s is not in configs/sluice.yaml", SL_KEYS[i].path);
		snprintf(list, sizeof(list), "%s[]", SL_KEYS[i].path);
		if (SL_KEYS[i].type == &SL_T_SECTION)
			check_manual(at, SL_KEYS[i].path);
		else if (SL_KEYS[i].type == &SL_T_LIST)
			check_manual(at, list);
	}
}

/* Of sections whose examples no default has: what stands there with its default. */
static void manual_bridges(const struct sl_config *c, const struct sl_config *d)
{
	const struct sl_config *e =
		good(ID "mqtt: {map: [{filter: a, topic: t}], brokers: [{name: b, host: h}]}\n"
			"downlink: [{topic: commands, mqtt: x}]\n");

	assert_string_equal(c->mqtt.socket, d->mqtt.socket);
	assert_int_equal(c->mqtt.max_topics, d->mqtt.max_topics);
	assert_string_equal(c->mqtt.rule[0].key, e->mqtt.rule[0].key);
	assert_int_equal(c->mqtt.rule[0].ack, e->mqtt.rule[0].ack);
	assert_int_equal(c->mqtt.rule[0].skip_retained, e->mqtt.rule[0].skip_retained);
	assert_int_equal(c->mqtt.broker[0].port, e->mqtt.broker[0].port);
	assert_int_equal(c->mqtt.broker[0].keep_alive_s, e->mqtt.broker[0].keep_alive_s);
	assert_int_equal(c->mqtt.broker[0].session_expiry_s, e->mqtt.broker[0].session_expiry_s);
	assert_int_equal(c->downlink[0].qos, e->downlink[0].qos);
	assert_int_equal(c->downlink[0].retain, e->downlink[0].retain);
	assert_true(c->downlink[0].expiry_ms == e->downlink[0].expiry_ms);
	assert_string_equal(c->uplink.destination, d->uplink.destination);
	assert_int_equal(c->uplink.replication, d->uplink.replication);
	assert_int_equal(c->uplink.partitions, d->uplink.partitions);
	assert_string_equal(c->uplink.dead_letter, d->uplink.dead_letter);
	assert_string_equal(c->uplink.positions, d->uplink.positions);
	assert_int_equal(c->uplink.commit_interval_ms, d->uplink.commit_interval_ms);
	assert_true(c->uplink.commit_bytes == d->uplink.commit_bytes);
	assert_true(c->uplink.rate_bytes == d->uplink.rate_bytes);
	assert_int_equal(c->uplink.window, d->uplink.window);
	assert_int_equal(c->uplink.backoff_min_ms, d->uplink.backoff_min_ms);
	assert_int_equal(c->uplink.backoff_max_ms, d->uplink.backoff_max_ms);
	sl_config_free((struct sl_config *)(uintptr_t)e);
}

/* configs/sluice.yaml has every key, in its section, and says the defaults. */
static void manual(void **state)
{
	char *text = calloc(1, SL_CFG_FILE_MAX);
	struct sl_config *c, *d = good(ID);
	FILE *f = fopen(SL_MANUAL, "r");

	(void)state;
	assert_non_null(f);
	assert_true(fread(text, 1, SL_CFG_FILE_MAX - 1, f) > 0);
	fclose(f);
	check_manual(text, "");
	c = good(text);
	assert_memory_equal(&c->gateway, &d->gateway, sizeof(c->gateway));
	assert_memory_equal(&c->dataplane, &d->dataplane, sizeof(c->dataplane));
	assert_memory_equal(&c->storage, &d->storage, sizeof(c->storage));
	assert_int_not_equal(c->kafka.topic_defaults_set, 0);
	c->kafka.topic_defaults_set = 0; /* the manual names them, with the values they have */
	assert_memory_equal(&c->kafka, &d->kafka, sizeof(c->kafka));
	assert_memory_equal(&c->admin, &d->admin, sizeof(c->admin));
	assert_memory_equal(&c->log, &d->log, sizeof(c->log));
	assert_int_equal(c->drain_ms, d->drain_ms);
	manual_bridges(c, d);
	assert_memory_equal(&c->topic[0].cfg, &d->kafka.topic_defaults, sizeof(c->topic[0].cfg));
	sl_config_free(c);
	sl_config_free(d);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),    cmocka_unit_test(topic_defaults),
		cmocka_unit_test(listeners),   cmocka_unit_test(shapes),
		cmocka_unit_test(environment), cmocka_unit_test(places),
		cmocka_unit_test(sizes),       cmocka_unit_test(lists),
		cmocka_unit_test(files),       cmocka_unit_test(table),
		cmocka_unit_test(manual),      cmocka_unit_test(later_errors_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
