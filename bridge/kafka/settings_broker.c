/* SPDX-License-Identifier: Apache-2.0 */
/* settings_broker.c - the broker's settings, as the config file has them. */
#include <inttypes.h>
#include <stdio.h>

#include "settings.h"

enum kind {
	FIXED,  /* always `def` */
	TOPICS, /* the default of all topics: a row of topic_cfg.h */
	I32,    /* in struct sl_config, at `off` */
	BOOL,
	NODE,
	LISTENERS,
	ADVERTISED,
	LOG_DIRS,
};

struct row {
	const char *name;
	const char *def; /* NULL: there is none, or null */
	const char *help;
	uint32_t off;
	uint8_t type; /* enum sl_setting_type */
	uint8_t kind;
};

#define AT(f) offsetof(struct sl_config, f)
#define FIX(n, t, d, h)                                                                            \
	{                                                                                          \
		n, d, h, 0, SL_SET_##t, FIXED                                                      \
	}
#define NUM(n, t, f, d, h)                                                                         \
	{                                                                                          \
		n, d, h, AT(f), SL_SET_##t, I32                                                    \
	}
#define TOPIC(n)                                                                                   \
	{                                                                                          \
		n, NULL, NULL, 0, 0, TOPICS                                                        \
	}

/* In the order of names. */
static const struct row rows[] = {
	{"advertised.listeners", NULL, "Where clients are told to connect: `kafka.advertise`.", 0,
	 SL_SET_STRING, ADVERTISED},
	FIX("authorizer.class.name", STRING, "", "There is no authorizer."),
	{"auto.create.topics.enable", "true", "Clients may create topics by asking for them.",
	 AT(kafka.auto_create), SL_SET_BOOLEAN, BOOL},
	FIX("auto.leader.rebalance.enable", BOOLEAN, "false", "One node leads all partitions."),
	{"broker.id", NULL, "This node's id.", 0, SL_SET_INT, NODE},
	FIX("broker.rack", STRING, NULL, "Racks are for replicas."),
	TOPIC("compression.type"),
	NUM("connections.max.idle.ms", LONG, kafka.idle_ms, "600000",
	    "A connection idle for longer is closed."),
	FIX("default.replication.factor", INT, "1", "One node holds every partition."),
	FIX("delete.topic.enable", BOOLEAN, "true", "Topics can be deleted."),
	FIX("fetch.max.bytes", INT, "16777216", "Largest answer to a Fetch."),
	NUM("group.initial.rebalance.delay.ms", INT, kafka.group_initial_delay_ms, "0",
	    "How long the first member of an empty group waits for others."),
	NUM("group.max.session.timeout.ms", INT, kafka.group_max_session_ms, "1800000",
	    "A longer session.timeout.ms of a consumer is refused."),
	NUM("group.max.size", INT, kafka.group_max_size, "1000",
	    "Members of one group; a further one is refused."),
	NUM("group.min.session.timeout.ms", INT, kafka.group_min_session_ms, "6000",
	    "A shorter session.timeout.ms of a consumer is refused."),
	FIX("inter.broker.protocol.version", STRING, "3.9-IV0",
	    "The release of Apache Kafka whose behaviour this port follows."),
	{"listeners", NULL, "Addresses listened on: `kafka.listen`.", 0, SL_SET_STRING, LISTENERS},
	FIX("log.cleaner.enable", BOOLEAN, "false", "Nothing is compacted in this version."),
	TOPIC("log.cleanup.policy"),
	{"log.dirs", NULL, "Where the partitions lie.", 0, SL_SET_STRING, LOG_DIRS},
	FIX("log.flush.interval.messages", LONG, "9223372036854775807",
	    "Records are synced by time and bytes: `storage.sync`."),
	NUM("log.flush.interval.ms", LONG, storage.flush_interval_ms, "1000",
	    "Records that nobody waits for are synced after this: `storage.flush_interval`."),
	TOPIC("log.index.interval.bytes"),
	FIX("log.message.downconversion.enable", BOOLEAN, "false",
	    "Records leave as they are stored."),
	FIX("log.message.format.version", STRING, "3.0-IV1", "Record batches of magic 2."),
	TOPIC("log.message.timestamp.after.max.ms"),
	TOPIC("log.message.timestamp.before.max.ms"),
	TOPIC("log.message.timestamp.type"),
	FIX("log.preallocate", BOOLEAN, "false",
	    "Files are written ahead in extents that follow a partition's rate."),
	TOPIC("log.retention.bytes"),
	NUM("log.retention.check.interval.ms", LONG, storage.retention_check_ms, "30000",
	    "How often retention is looked after: `storage.retention_check`."),
	TOPIC("log.retention.ms"),
	TOPIC("log.roll.ms"),
	TOPIC("log.segment.bytes"),
	FIX("log.segment.delete.delay.ms", LONG, "0",
	    "Files go when their last reader has let go."),
	NUM("max.connections", INT, kafka.max_connections, "1000",
	    "A further connection is closed at once: `kafka.max_connections`."),
	FIX("max.connections.per.ip", INT, "2147483647", "There is no limit per address."),
	FIX("max.incremental.fetch.session.cache.slots", INT, "0", "There are no fetch sessions."),
	TOPIC("message.max.bytes"),
	FIX("min.insync.replicas", INT, "1", "One node holds every partition."),
	{"node.id", NULL, "This node's id.", 0, SL_SET_INT, NODE},
	NUM("num.io.threads", INT, kafka.workers, "2", "Worker threads: `kafka.workers`."),
	FIX("num.network.threads", INT, "1", "One thread serves all connections."),
	NUM("num.partitions", INT, kafka.num_partitions, "4",
	    "Partitions of a topic that does not say how many."),
	NUM("offset.metadata.max.bytes", INT, kafka.offset_metadata_max, "4096",
	    "Longest text that a client may commit with an offset."),
	NUM("offsets.commit.required.acks", SHORT, kafka.offsets_commit_acks, "-1",
	    "A commit is answered when it is synced (-1) or logged (1)."),
	NUM("offsets.retention.check.interval.ms", LONG, kafka.offsets_check_ms, "600000",
	    "How often the offsets of empty groups are looked at."),
	NUM("offsets.retention.minutes", INT, kafka.offsets_retention_min, "10080",
	    "A group that has been empty for so long loses its committed offsets."),
	FIX("offsets.topic.compression.codec", INT, "0", "Offsets are stored uncompressed."),
	NUM("offsets.topic.num.partitions", INT, kafka.offsets_partitions, "4",
	    "Partitions of __consumer_offsets when it is made."),
	FIX("offsets.topic.replication.factor", SHORT, "1", "One node holds every partition."),
	FIX("process.roles", LIST, "broker,controller", "One node is both."),
	FIX("producer.id.expiration.ms", INT, "86400000",
	    "A producer that is quiet for longer is forgotten."),
	FIX("remote.log.storage.system.enable", BOOLEAN, "false", "There is no tiered storage."),
	NUM("socket.request.max.bytes", INT, kafka.request_max_bytes, "104857600",
	    "A larger request closes its connection."),
	FIX("unclean.leader.election.enable", BOOLEAN, "false", "One node holds every partition."),
};
_Static_assert(SL_ARRAY_SIZE(rows) <= SL_KSETTINGS_MAX, "more rows than a mask has");

uint32_t sl_kbroker_setting_cnt(void)
{
	return SL_ARRAY_SIZE(rows);
}

const char *sl_kbroker_setting_name(uint32_t row)
{
	return rows[row].name;
}

int sl_kbroker_setting_row(struct sl_slice name)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == name.len && !memcmp(rows[i].name, name.p, name.len))
			return (int)i;
	return -1;
}

bool sl_kbroker_id_ok(const struct sl_kserver *s, struct sl_slice name, struct sl_kadmin_err *e)
{
	char own[16];
	int n = snprintf(own, sizeof(own), "%" PRId32, s->cfg.node_id);
	bool number = name.len < 11;

	for (uint32_t i = 0; i < name.len; i++)
		number &= name.p[i] >= '0' && name.p[i] <= '9';
	if (name.len == 0 || (name.len == (uint32_t)n && !memcmp(name.p, own, name.len)))
		return true;
	if (number)
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Unexpected broker id, expected %s or empty string, but received "
			      "%.*s",
			      own, SL_KSTR(name));
	else
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Broker id must be an integer, but it is: %.*s", SL_KSTR(name));
	return false;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* PLAINTEXT://host:port, with brackets around an IPv6 address. Returns the bytes written. */
static size_t put_address(char *buf, size_t cap, const char *host, uint16_t port)
{
	bool v6 = strchr(host, ':') != NULL;
	int n = snprintf(buf, cap, "PLAINTEXT://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
			 port);
	return SL_MIN((size_t)n, cap - 1);
}

static void put_listeners(const struct sl_config *c, char *buf, size_t cap)
{
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < c->kafka.listen_cnt && n + 1 < cap; i++) {
		if (i)
			buf[n++] = ',';
		n += put_address(buf + n, cap - n, c->kafka.listen[i].host,
				 c->kafka.listen[i].port);
	}
}

static const char *value(const struct sl_kreq *r, const struct row *row, char *buf, size_t cap)
{
	const struct sl_kserver *s = r->server;
	const uint8_t *at = (const uint8_t *)s->cfg.config + row->off;
	int32_t i32; /* no key goes beyond */
	uint16_t port;

	switch ((enum kind)row->kind) {
	case I32:
		memcpy(&i32, at, sizeof(i32));
		snprintf(buf, cap, "%" PRId32, i32);
		return buf;
	case BOOL:
		return *(const bool *)at ? "true" : "false";
	case NODE:
		snprintf(buf, cap, "%" PRId32, s->cfg.node_id);
		return buf;
	case LISTENERS:
		put_listeners(s->cfg.config, buf, cap);
		return buf;
	case ADVERTISED: {
		const char *host = sl_kadmin_advertised(r, &port);
		put_address(buf, cap, host, port);
		return buf;
	}
	case LOG_DIRS:
		return sl_store_log_dir(s->cfg.store);
	case FIXED:
	case TOPICS:
		break;
	}
	return row->def;
}

static void add_syn(struct sl_ksetting *e, const char *text, int8_t source)
{
	if (text)
		e->syn[e->syn_cnt++] =
			(struct sl_ksynonym){.name = e->name, .value = text, .source = source};
}

static void show_topics(const struct sl_kserver *s, struct sl_ksetting *e)
{
	const struct sl_topic_setting *x = sl_topic_setting_of_broker(e->name, strlen(e->name));
	struct sl_topic_cfg defaults = {0};
	uint32_t cnt;

	SL_ASSERT(x);
	uint32_t bit = sl_topic_setting_bit((uint32_t)(x - sl_topic_settings(&cnt)));
	e->type = x->type;
	e->help = x->help;
	e->value = e->buf;
	sl_topic_setting_text(&s->topic_defaults, x, e->buf);
	sl_topic_setting_put(&defaults, x, x->def);
	bool by_file = (s->cfg.config->kafka.topic_defaults_set & bit) ||
		       sl_topic_setting_get(&s->topic_defaults, x) != x->def;
	e->source = by_file ? SL_KSOURCE_FILE : SL_KSOURCE_DEFAULT;
	if (by_file)
		add_syn(e, e->value, SL_KSOURCE_FILE);
	struct sl_ksynonym *y = &e->syn[e->syn_cnt++];
	y->name = e->name;
	y->source = SL_KSOURCE_DEFAULT;
	y->value = y->buf;
	sl_topic_setting_text(&defaults, x, y->buf);
}

void sl_kbroker_setting(const struct sl_kreq *r, uint32_t row, struct sl_ksetting *ret)
{
	const struct row *x = &rows[row];

	ret->name = x->name;
	ret->read_only = true;
	ret->syn_cnt = 0;
	if (x->kind == TOPICS) {
		show_topics(r->server, ret);
		return;
	}
	ret->type = x->type;
	ret->help = x->help;
	ret->value = value(r, x, ret->buf, sizeof(ret->buf));
	bool is_default = x->kind == FIXED || (x->def && !strcmp(ret->value, x->def));
	ret->source = is_default ? SL_KSOURCE_DEFAULT : SL_KSOURCE_FILE;
	if (!is_default)
		add_syn(ret, ret->value, SL_KSOURCE_FILE);
	add_syn(ret, x->def, SL_KSOURCE_DEFAULT);
}
