/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/config/keys.h"

#include "platform/base/log.h"
#include "platform/base/topic_cfg_table.h"

/* ---- words ----------------------------------------------------------------------------------- */

static const struct sl_choice AUTO_0[] = {{"auto", 0, false}, {NULL, 0, false}};
static const struct sl_choice OFF[] = {{"off", 0, false}, {NULL, 0, false}};
static const struct sl_choice HUGEPAGES[] = {{"auto", SL_HUGE_AUTO, false},
					     {"off", SL_HUGE_OFF, false},
					     {"required", SL_HUGE_REQUIRED, false},
					     {NULL, 0, false}};
static const struct sl_choice IDLE[] = {
	{"sleep", SL_IDLE_SLEEP, false}, {"spin", SL_IDLE_SPIN, false}, {NULL, 0, false}};
static const struct sl_choice STORAGE_IO[] = {
	{"auto", 0, false}, {"io_uring", 0, false}, {"posix", 0, false}, {NULL, 0, false}};
static const struct sl_choice BACKENDS[] = {{"auto", SL_BE_AUTO, false},
					    {"pci", SL_BE_PCI, false},
					    {"af_xdp", SL_BE_AF_XDP, false},
					    {"af_packet", SL_BE_AF_PACKET, false},
					    {"tap", SL_BE_TAP, false},
					    {"pcap", SL_BE_PCAP, false},
					    {"socket", 0, true},
					    {"memif", 0, true},
					    {NULL, 0, false}};
static const struct sl_choice REPLAY[] = {
	{"once", false, false}, {"forever", true, false}, {NULL, 0, false}};
static const struct sl_choice PACE[] = {
	{"full", false, false}, {"capture", true, false}, {NULL, 0, false}};
static const struct sl_choice CHECKSUM[] = {{"auto", SL_CSUM_AUTO, false},
					    {"verify", SL_CSUM_VERIFY, false},
					    {"trust", SL_CSUM_TRUST, false},
					    {NULL, 0, false}};
static const struct sl_choice PROTOCOLS[] = {{"raw", SL_PROTO_RAW, false},
					     {"syslog", SL_PROTO_SYSLOG, false},
					     {"coap", 0, true},
					     {"mqtt-sn", 0, true},
					     {NULL, 0, false}};
static const struct sl_choice KEY_RULES[] = {
	{"source", SL_KEY_SOURCE, false}, {"host", SL_KEY_HOST, false},
	{"none", SL_KEY_NONE, false},     {"path", 0, true},
	{"client-id", 0, true},           {NULL, 0, false}};
static const struct sl_choice ACKS[] = {{"received", SL_ACK_RECEIVED, false},
					{"logged", 0, true},
					{"synced", 0, true},
					{"central", 0, true},
					{NULL, 0, false}};
static const struct sl_choice HEADERS[] = {{"facility", SL_HDR_FACILITY, false},
					   {"severity", SL_HDR_SEVERITY, false},
					   {"host", SL_HDR_HOST, false},
					   {"app", SL_HDR_APP, false},
					   {"time", SL_HDR_TIME, false},
					   {"source", SL_HDR_SOURCE, false},
					   {NULL, 0, false}};
static const struct sl_choice MQTT_ACKS[] = {{"logged", SL_ACK_LOGGED, false},
					     {"synced", SL_ACK_SYNCED, false},
					     {"central", 0, true},
					     {NULL, 0, false}};
static const struct sl_choice RETAINED[] = {
	{"store", false, false}, {"skip", true, false}, {NULL, 0, false}};
static const struct sl_choice ALL_TOPICS[] = {{"*", true, false}, {NULL, 0, false}};
static const struct sl_choice COMMIT_ACKS[] = {
	{"-1", -1, false}, {"1", 1, false}, {NULL, 0, false}};
#define WORD(w, v, l) {w, v, l},
static const struct sl_choice ACKS_ALL[] = {SL_WORDS_ACKS_ALL(WORD){NULL, 0, false}};
static const struct sl_choice TS_TYPES[] = {SL_WORDS_TS_TYPE(WORD){NULL, 0, false}};
static const struct sl_choice COMPRESSION[] = {SL_WORDS_COMPRESSION(WORD){NULL, 0, false}};
static const struct sl_choice CLEANUP[] = {SL_WORDS_CLEANUP(WORD){NULL, 0, false}};
static const struct sl_choice LEVELS[] = {{"error", SL_LOG_ERROR, false},
					  {"warn", SL_LOG_WARN, false},
					  {"info", SL_LOG_INFO, false},
					  {"debug", SL_LOG_DEBUG, false},
					  {NULL, 0, false}};

/* ---- lists ----------------------------------------------------------------------------------- */

static void topic_init(const struct sl_config *cfg, void *elem)
{
	struct sl_cfg_topic *t = elem;

	t->partitions = cfg->kafka.num_partitions;
	t->cfg = cfg->kafka.topic_defaults;
}

#define LIST(type, field, cnt, fn)                                                                 \
	{                                                                                          \
		.cnt_off = offsetof(struct type, cnt), .off = offsetof(struct type, field),        \
		.stride = sizeof(((struct type *)0)->field[0]),                                    \
		.max = SL_ARRAY_SIZE(((struct type *)0)->field), .init = (fn)                      \
	}
static const struct sl_key_list PORTS = LIST(sl_config, port, port_cnt, NULL);
static const struct sl_key_list LISTENERS = LIST(sl_config, listener, listener_cnt, NULL);
static const struct sl_key_list TOPICS = LIST(sl_config, topic, topic_cnt, topic_init);
static const struct sl_key_list RULES = LIST(sl_config, mqtt.rule, mqtt.rule_cnt, NULL);
static const struct sl_key_list BROKERS = LIST(sl_config, mqtt.broker, mqtt.broker_cnt, NULL);
static const struct sl_key_list SUBS = LIST(sl_cfg_broker, sub, sub_cnt, NULL);
static const struct sl_key_list DOWNLINKS = LIST(sl_config, downlink, downlink_cnt, NULL);
static const struct sl_key_list CARRIED = LIST(sl_config, uplink.topic, uplink.topic_cnt, NULL);
static const struct sl_key_list MIRRORED = LIST(sl_config, uplink.mirror, uplink.mirror_cnt, NULL);

/* A row is read as one, not as a column of its fields. */
/* clang-format off */

/* ---- rows ------------------------------------------------------------------------------------ */

#define IN(type, field)                                                                            \
	.off = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)
#define CFG(field) IN(sl_config, field)
#define PORT(field) IN(sl_cfg_port, field)
#define LISTENER(field) IN(sl_cfg_listener, field)
#define TOPIC(field) IN(sl_cfg_topic, field)
#define MAP(field) IN(sl_cfg_rule, field)
#define BROKER(field) IN(sl_cfg_broker, field)
#define SUB(field) IN(sl_cfg_sub, field)
#define DOWN(field) IN(sl_cfg_downlink, field)
#define DEFAULTS(field) CFG(kafka.topic_defaults.field)
#define RANGE(a, b) .min = (a), .max = (b)
#define SECTION(p, h) {.path = p, .type = &SL_T_SECTION, .help = h}
#define LATER(p, i) {.path = p, .flags = SL_KEY_LATER, .instead = i}

#define US 1000ull
#define MS 1000000ull
#define SEC (1000 * MS)
#define MINUTE (60 * SEC)
#define HOUR (60 * MINUTE)
#define KIB 1024ll
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

/* The rows of topic_cfg_table.h, once under the broker's names, once under the topic's. */
#define OF_BROKER(broker, field) .path = "kafka/config/" broker, DEFAULTS(field)
#define OF_TOPIC(topic, broker, field)                                                             \
	.path = "topics[]/config/" topic, TOPIC(cfg.field),                                        \
	.def_doc = "`kafka.config." broker "`"
#define S_BROKER(topic, broker, field, type_, lo, hi, d, h)                                        \
	{OF_BROKER(broker, field), .type = &SL_T_INT, RANGE(lo, hi),                               \
	 .def_from = offsetof(struct sl_config, storage.segment_bytes),                            \
	 .def_doc = "`storage.segment`", .help = h " Default of all topics."},
#define N_BROKER(topic, broker, field, type_, lo, hi, d, h)                                        \
	{OF_BROKER(broker, field), .type = &SL_T_INT, RANGE(lo, hi), .def = #d,                    \
	 .help = h " Default of all topics."},
#define E_BROKER(topic, broker, field, type_, list_, dw, d, h)                                     \
	{OF_BROKER(broker, field), .type = &SL_T_ENUM, .choices = CHOICES_##list_, .def = dw,      \
	 .help = h " Default of all topics."},
#define N_TOPIC(topic, broker, field, type_, lo, hi, d, h)                                         \
	{OF_TOPIC(topic, broker, field), .type = &SL_T_INT, RANGE(lo, hi), .help = h},
#define E_TOPIC(topic, broker, field, type_, list_, dw, d, h)                                      \
	{OF_TOPIC(topic, broker, field), .type = &SL_T_ENUM, .choices = CHOICES_##list_, .help = h},
#define T_BROKER(topic, field, type_, list_, dw, d, h) /* a topic's alone */
#define T_TOPIC(topic, field, type_, list_, dw, d, h)                                              \
	{.path = "topics[]/config/" topic, TOPIC(cfg.field), .type = &SL_T_ENUM,                   \
	 .choices = CHOICES_##list_, .def = dw, .help = h},
#define CHOICES_SL_WORDS_ACKS_ALL ACKS_ALL
#define CHOICES_SL_WORDS_TS_TYPE TS_TYPES
#define CHOICES_SL_WORDS_COMPRESSION COMPRESSION
#define CHOICES_SL_WORDS_CLEANUP CLEANUP

_Static_assert(sizeof(((struct sl_config *)0)->storage.segment_bytes) ==
		       sizeof(((struct sl_topic_cfg *)0)->segment_bytes),
	       "log.segment.bytes is copied from storage.segment");

const struct sl_key SL_KEYS[] = {
	SECTION("gateway", "The box itself."),
	{.path = "gateway/id", .type = &SL_T_NAME, CFG(gateway.id), .flags = SL_KEY_REQUIRED,
	 .help = "Names this box at the centre: 1 to 63 of letters, digits, `.`, `_`, `-`."},
	{.path = "gateway/data", .type = &SL_T_PATH, CFG(gateway.data), .def = "/var/lib/sluice",
	 .help = "The data directory, made if missing: Kafka's log in `log/`, our own state in "
		 "`state/`."},
	{.path = "gateway/drain", .type = &SL_T_DURATION, CFG(drain_ms), RANGE(0, 10 * MINUTE),
	 .scale = MS, .def = "10s",
	 .help = "Bound of a clean stop; what could not be written by then is counted as lost."},

	SECTION("dataplane", "Receiving and writing threads."),
	{.path = "dataplane/memory", .type = &SL_T_SIZE, CFG(dataplane.memory_bytes),
	 RANGE(16 * MIB, TIB), .def = "256MiB",
	 .help = "Packet and batch pools, claimed at start."},
	{.path = "dataplane/hugepages", .type = &SL_T_ENUM, CFG(dataplane.hugepages),
	 .choices = HUGEPAGES, .def = "auto",
	 .help = "`auto` takes them if there are enough; `required` refuses to start without."},
	{.path = "dataplane/ingest", .type = &SL_T_CPUS, CFG(dataplane.ingest), .def = "auto",
	 .help = "CPUs that receive, one thread each; the same CPU twice is allowed. `auto`: the "
		 "last ones, shared with the writers if there are few."},
	{.path = "dataplane/writers", .type = &SL_T_CPUS, CFG(dataplane.writers), .def = "auto",
	 .help = "CPUs that write the log, one thread each."},
	{.path = "dataplane/idle", .type = &SL_T_ENUM, CFG(dataplane.idle), .choices = IDLE,
	 .def = "sleep",
	 .help = "`sleep` waits for packets in the kernel when it is quiet; `spin` never leaves the "
		 "CPU."},
	{.path = "dataplane/linger", .type = &SL_T_DURATION, CFG(dataplane.linger_us), RANGE(0, SEC),
	 .scale = US, .def = "5ms",
	 .help = "How long an open batch waits for more records at most."},
	{.path = "dataplane/batch", .type = &SL_T_SIZE, CFG(dataplane.batch_bytes),
	 RANGE(4 * KIB, MIB), .choices = AUTO_0, .def = "auto",
	 .help = "An open batch is closed at this size."},
	{.path = "dataplane/file_prefix", .type = &SL_T_NAME, CFG(dataplane.file_prefix),
	 .def_doc = "from the process id",
	 .help = "Name of DPDK's runtime folder; several daemons on a box need different ones."},

	SECTION("storage", "The log on disk."),
	{.path = "storage/budget", .type = &SL_T_SHARE, CFG(storage.budget), RANGE(16 * MIB, INT64_MAX),
	 .def = "70%",
	 .help = "What all logs together may take of their file system; beyond it the oldest "
		 "segments go, and are counted."},
	{.path = "storage/reserve", .type = &SL_T_SHARE, CFG(storage.reserve), RANGE(0, INT64_MAX),
	 .def = "2%", .help = "Kept free: below it records are refused as `disk_full`."},
	{.path = "storage/segment", .type = &SL_T_SIZE, CFG(storage.segment_bytes),
	 RANGE(MIB, GIB), .def = "64MiB", .help = "Size of a segment file."},
	{.path = "storage/tail_cache", .type = &SL_T_SIZE, CFG(storage.tail_cache_bytes),
	 RANGE(8 * MIB, TIB), .def = "64MiB",
	 .help = "Memory for write stripes and what was just written; consumers that keep up read "
		 "no disk. At least 8MiB per writer."},
	SECTION("storage/sync", "Group sync, for records that somebody wants `synced`."),
	{.path = "storage/sync/interval", .type = &SL_T_DURATION, CFG(storage.sync_interval_us),
	 RANGE(0, 10 * SEC), .scale = US, .def = "10ms",
	 .help = "Window in which syncs are gathered into one."},
	{.path = "storage/sync/bytes", .type = &SL_T_SIZE, CFG(storage.sync_bytes),
	 RANGE(64 * KIB, GIB), .def = "8MiB", .help = "A sync starts at once beyond this much."},
	{.path = "storage/flush_interval", .type = &SL_T_DURATION, CFG(storage.flush_interval_ms),
	 RANGE(10 * MS, HOUR), .scale = MS, .def = "1s",
	 .help = "Records that nobody waits for are synced after this at the latest: what a power "
		 "cut can take."},
	{.path = "storage/retention_check", .type = &SL_T_DURATION, CFG(storage.retention_check_ms),
	 RANGE(10 * MS, 24 * HOUR), .scale = MS, .def = "30s",
	 .help = "How often retention and the budget are looked after."},
	{.path = "storage/io", .type = &SL_T_WORD, CFG(storage.io), .choices = STORAGE_IO, .def = "auto",
	 .help = "How files are written; `auto` is io_uring if the kernel has it."},
	{.path = "storage/stripes", .type = &SL_T_PATH, CFG(storage.stripes), .def_doc = "/dev/shm",
	 .help = "Directory of the stripe file (tmpfs or hugetlbfs), which outlives the process."},

	SECTION("kafka", "The port for Kafka clients."),
	{.path = "kafka/listen", .type = &SL_T_HOSTPORTS, CFG(kafka.listen), .def = "127.0.0.1:9092",
	 .help = "Addresses to listen on, at most 8. Port 0 takes any free one."},
	{.path = "kafka/advertise", .type = &SL_T_HOSTPORT, CFG(kafka.advertise), RANGE(1, 65535),
	 .def_doc = "the local address of the connection that asks",
	 .help = "Where clients are told to connect."},
	{.path = "kafka/max_connections", .type = &SL_T_INT, CFG(kafka.max_connections),
	 RANGE(1, 100000), .def = "1000", .help = "A further connection is closed at once."},
	{.path = "kafka/memory", .type = &SL_T_SIZE, CFG(kafka.memory_bytes), RANGE(4 * MIB, TIB),
	 .def = "256MiB", .help = "Requests and answers of all connections together."},
	{.path = "kafka/workers", .type = &SL_T_INT, CFG(kafka.workers), RANGE(1, 64), .def = "2",
	 .help = "Threads for what would make the network thread wait: decompression, cold reads, "
		 "new topics."},
	{.path = "kafka/clamp_replication", .type = &SL_T_BOOL, CFG(kafka.clamp_replication),
	 .def = "false",
	 .help = "A topic that is asked for with several replicas is made with one, instead of being "
		 "refused."},
	{.path = "kafka/max_groups", .type = &SL_T_INT, CFG(kafka.max_groups), RANGE(1, 1000000),
	 .def = "10000", .help = "Consumer groups; a further one is refused."},
	{.path = "kafka/max_offsets", .type = &SL_T_INT, CFG(kafka.max_offsets),
	 RANGE(1, 100000000), .def = "200000",
	 .help = "Committed offsets of all groups together; a further one is refused."},
	{.path = "kafka/group_memory", .type = &SL_T_SIZE, CFG(kafka.group_memory_bytes),
	 RANGE(MIB, TIB), .def = "64MiB",
	 .help = "What the members of all groups together say of themselves; beyond it joins are "
		 "refused."},
	SECTION("kafka/config", "Broker settings under Kafka's own names and in Kafka's own units."),
	{.path = "kafka/config/num.partitions", .type = &SL_T_INT, CFG(kafka.num_partitions),
	 RANGE(1, SL_PARTITIONS_MAX), .def = "4",
	 .help = "Partitions of a topic that does not say how many."},
	{.path = "kafka/config/auto.create.topics.enable", .type = &SL_T_BOOL, CFG(kafka.auto_create),
	 .def = "true", .help = "Clients may create topics by asking for them."},
	{.path = "kafka/config/socket.request.max.bytes", .type = &SL_T_INT,
	 CFG(kafka.request_max_bytes), RANGE(64 * KIB, GIB), .def = "104857600",
	 .help = "A larger request closes its connection."},
	{.path = "kafka/config/connections.max.idle.ms", .type = &SL_T_INT, CFG(kafka.idle_ms),
	 RANGE(1000, INT32_MAX), .def = "600000", .help = "A connection idle for longer is closed."},
	{.path = "kafka/config/group.initial.rebalance.delay.ms", .type = &SL_T_INT,
	 CFG(kafka.group_initial_delay_ms), RANGE(0, INT32_MAX), .def = "0",
	 .help = "How long the first member of an empty group waits for others."},
	{.path = "kafka/config/group.min.session.timeout.ms", .type = &SL_T_INT,
	 CFG(kafka.group_min_session_ms), RANGE(1, INT32_MAX), .def = "6000",
	 .help = "A shorter session.timeout.ms of a consumer is refused."},
	{.path = "kafka/config/group.max.session.timeout.ms", .type = &SL_T_INT,
	 CFG(kafka.group_max_session_ms), RANGE(1, INT32_MAX), .def = "1800000",
	 .help = "A longer one is refused."},
	{.path = "kafka/config/group.max.size", .type = &SL_T_INT, CFG(kafka.group_max_size),
	 RANGE(1, 100000), .def = "1000", .help = "Members of one group; a further one is refused."},
	{.path = "kafka/config/offsets.topic.num.partitions", .type = &SL_T_INT,
	 CFG(kafka.offsets_partitions), RANGE(1, 256), .def = "4",
	 .help = "Partitions of `__consumer_offsets` when it is made; not changed later."},
	{.path = "kafka/config/offsets.retention.minutes", .type = &SL_T_INT,
	 CFG(kafka.offsets_retention_min), RANGE(1, INT32_MAX), .def = "10080",
	 .help = "A group that has been empty for so long loses its committed offsets."},
	{.path = "kafka/config/offsets.retention.check.interval.ms", .type = &SL_T_INT,
	 CFG(kafka.offsets_check_ms), RANGE(100, INT32_MAX), .def = "600000",
	 .help = "How often that is looked at."},
	{.path = "kafka/config/offset.metadata.max.bytes", .type = &SL_T_INT,
	 CFG(kafka.offset_metadata_max), RANGE(0, 32767), .def = "4096",
	 .help = "Longest text that a client may commit with an offset."},
	{.path = "kafka/config/offsets.commit.required.acks", .type = &SL_T_ENUM,
	 CFG(kafka.offsets_commit_acks), .choices = COMMIT_ACKS, .def = "-1",
	 .help = "A commit is answered when it is synced (-1) or logged (1)."},
	SL_TOPIC_SETTINGS(S_BROKER, N_BROKER, E_BROKER, T_BROKER)
	LATER("kafka/config/log.retention.minutes", "log.retention.ms"),
	LATER("kafka/config/log.retention.hours", "log.retention.ms"),
	LATER("kafka/config/log.roll.hours", "log.roll.ms"),
	LATER("kafka/config/listeners", "kafka.listen"),
	LATER("kafka/config/advertised.listeners", "kafka.advertise"),
	LATER("kafka/config/max.connections", "kafka.max_connections"),
	LATER("kafka/config/log.dirs", "gateway.data"),
	LATER("kafka/config/group.consumer.*", NULL),
	LATER("kafka/config/group.coordinator.*", NULL),
	LATER("kafka/config/transaction*", NULL),
	LATER("kafka/config/log.cleaner.*", NULL),
	LATER("kafka/config/ssl.*", NULL),
	LATER("kafka/config/sasl.*", NULL),
	LATER("kafka/tls", NULL),
	LATER("kafka/sasl", NULL),

	SECTION("admin", "Operators' ways in. They only read."),
	{.path = "admin/listen", .type = &SL_T_HOSTPORT, CFG(admin.listen), RANGE(1, 65535),
	 .choices = OFF, .def = "127.0.0.1:9640",
	 .help = "HTTP: `/metrics`, `/healthz`, `/readyz`, `/api/v1/status`; `off` for none."},
	{.path = "admin/socket", .type = &SL_T_PATH, CFG(admin.socket), RANGE(0, 107),
	 .def = "/run/sluice/control.sock", .help = "Control socket of `sluice status` and the like."},

	SECTION("log", "The daemon's own messages, on stderr."),
	{.path = "log/level", .type = &SL_T_ENUM, CFG(log.level), .choices = LEVELS, .def = "info",
	 .help = "Least severe level that is written."},

	{.path = "ports", .type = &SL_T_LIST, .list = &PORTS, .help = "Where frames come from."},
	{.path = "ports[]/name", .type = &SL_T_NAME, PORT(name), .flags = SL_KEY_REQUIRED,
	 .help = "What listeners, status and metrics call it."},
	{.path = "ports[]/backend", .type = &SL_T_ENUM, PORT(backend), .choices = BACKENDS,
	 .def = "auto",
	 .help = "How frames are taken. `auto`: the fastest that works there; `sluice status` says "
		 "which and why. `pci` gives the whole card to DPDK."},
	{.path = "ports[]/device", .type = &SL_T_WORD, PORT(device),
	 .help = "Interface, e.g. `eth1`; for `pci` its address, e.g. `0000:03:00.0`; for `tap` the "
		 "interface to make. Not for `pcap`."},
	{.path = "ports[]/netns", .type = &SL_T_WORD, PORT(netns), .def_doc = "the daemon's own",
	 .help = "Network namespace (`ip netns`) in which the device is opened."},
	{.path = "ports[]/file", .type = &SL_T_PATH, PORT(file),
	 .help = "`pcap` only: the capture to replay."},
	{.path = "ports[]/replay", .type = &SL_T_ENUM, PORT(loop), .choices = REPLAY, .def = "once",
	 .help = "`pcap` only."},
	{.path = "ports[]/pace", .type = &SL_T_ENUM, PORT(pace_capture), .choices = PACE,
	 .def = "full", .help = "`pcap` only: at full speed, or as it was captured (with `replay: once`)."},
	{.path = "ports[]/checksum", .type = &SL_T_ENUM, PORT(checksum), .choices = CHECKSUM,
	 .def = "auto",
	 .help = "`auto` accepts what a kernel left to the card (veth, tap) on those back ends; "
		 "`trust` checks none."},
	{.path = "ports[]/mtu", .type = &SL_T_INT, PORT(mtu), RANGE(576, 9600),
	 .def_doc = "as the device has it", .help = "Set on the device."},
	{.path = "ports[]/promiscuous", .type = &SL_T_BOOL, PORT(promiscuous), .def = "false",
	 .help = "Take frames for other stations too."},

	{.path = "listeners", .type = &SL_T_LIST, .list = &LISTENERS,
	 .help = "Which datagrams become records, and of which topic."},
	{.path = "listeners[]/name", .type = &SL_T_NAME, LISTENER(name), .flags = SL_KEY_REQUIRED,
	 .help = "What status and metrics call it."},
	{.path = "listeners[]/port", .type = &SL_T_PORT, LISTENER(port), .flags = SL_KEY_REQUIRED,
	 .help = "Name of a port of the list above."},
	{.path = "listeners[]/address", .type = &SL_T_ADDR, LISTENER(addr), .def = "any",
	 .help = "Destination address, IPv4 or IPv6; a multicast group too."},
	{.path = "listeners[]/udp", .type = &SL_T_INT, LISTENER(udp), RANGE(1, 65535),
	 .help = "Destination port."},
	{.path = "listeners[]/protocol", .type = &SL_T_ENUM, LISTENER(protocol),
	 .choices = PROTOCOLS, .flags = SL_KEY_REQUIRED,
	 .help = "`raw`: the payload is the value; `syslog`: RFC 5424 and 3164, the value is the "
		 "message as received."},
	{.path = "listeners[]/topic", .type = &SL_T_TOPIC, LISTENER(topic), .flags = SL_KEY_REQUIRED,
	 .help = "Where records go; made with the defaults if `topics` does not have it."},
	{.path = "listeners[]/key", .type = &SL_T_RULE, LISTENER(key), .choices = KEY_RULES,
	 .def = "source",
	 .help = "Record key: `source` (the sender's address), `host` (syslog's), `none`, or bytes "
		 "of the payload, `payload[4:12]` for bytes 4 to 11. Records of one key keep their "
		 "order."},
	{.path = "listeners[]/ack", .type = &SL_T_ENUM, .choices = ACKS, .def = "received",
	 .help = "What the sender may rely on; UDP without replies cannot promise more."},
	{.path = "listeners[]/headers", .type = &SL_T_HEADERS, LISTENER(headers), .choices = HEADERS,
	 .def_doc = "none", .help = "Record headers to add; all but `source` are syslog's."},
	LATER("listeners[]/limit", NULL),
	LATER("listeners[]/tcp", NULL),

	{.path = "topics", .type = &SL_T_LIST, .list = &TOPICS,
	 .help = "Topics that are made at start."},
	{.path = "topics[]/name", .type = &SL_T_TOPIC, TOPIC(name), .flags = SL_KEY_REQUIRED,
	 .help = "1 to 249 of letters, digits, `.`, `_`, `-`."},
	{.path = "topics[]/partitions", .type = &SL_T_INT, TOPIC(partitions),
	 RANGE(1, SL_PARTITIONS_MAX), .def_doc = "`kafka.config.num.partitions`",
	 .help = "A key stays in one partition: murmur2, like Kafka's own clients."},
	SECTION("topics[]/config", "Settings under Kafka's own names and in Kafka's own units."),
	SL_TOPIC_SETTINGS(N_TOPIC, N_TOPIC, E_TOPIC, T_TOPIC)
	LATER("topics[]/config/delete.retention.ms", NULL),
	LATER("topics[]/config/file.delete.delay.ms", NULL),
	LATER("topics[]/config/flush.*", "storage.sync and storage.flush_interval"),
	LATER("topics[]/config/min.compaction.lag.ms", NULL),
	LATER("topics[]/config/max.compaction.lag.ms", NULL),
	LATER("topics[]/config/min.cleanable.dirty.ratio", NULL),
	LATER("topics[]/config/min.insync.replicas", NULL),
	LATER("topics[]/config/message.timestamp.difference.max.ms",
	      "message.timestamp.before.max.ms and message.timestamp.after.max.ms"),
	LATER("topics[]/config/preallocate", NULL),
	LATER("topics[]/config/segment.index.bytes", NULL),
	LATER("topics[]/config/segment.jitter.ms", NULL),

#include "platform/config/keys_bridges.inc"
};

/* clang-format on */

const size_t SL_KEY_CNT = SL_ARRAY_SIZE(SL_KEYS);

/* ---- finding --------------------------------------------------------------------------------- */

bool sl_key_below(const struct sl_key *k, const char *path, const char **ret_name)
{
	size_t n = strlen(path);
	const char *name = k->path;

	if (n) {
		if (strncmp(k->path, path, n) || k->path[n] != '/')
			return false;
		name += n + 1;
	}
	if (strchr(name, '/'))
		return false;
	*ret_name = name;
	return true;
}

static bool name_matches(const char *pattern, const char *key)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return !strncmp(pattern, key, n - 1);
	return !strcmp(pattern, key);
}

const struct sl_key *sl_key_find(const char *path, const char *key)
{
	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const char *name;
		if (sl_key_below(&SL_KEYS[i], path, &name) && name_matches(name, key))
			return &SL_KEYS[i];
	}
	return NULL;
}
