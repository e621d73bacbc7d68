/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the checked configuration, as plain data.
 *
 * platform/config fills it from YAML (libfyaml) by one table of keys; everybody else reads it.
 * Nothing here points into the YAML document. Byte sizes are bytes, times have their unit in the
 * name, strings are NUL-terminated and bounded. See configs/sluice.yaml for what each key means.
 */
#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

#include "sluice/base.h"
#include "sluice/store.h"

#define SL_CFG_NAME_MAX      64
#define SL_CFG_PATH_MAX      256
#define SL_CFG_PORTS_MAX     16
#define SL_CFG_LISTENERS_MAX 256
#define SL_CFG_TOPICS_MAX    1024
#define SL_CFG_CPUS_MAX      32
#define SL_CFG_LISTEN_MAX    8
#define SL_CFG_FILE_MAX      (1u << 20)
#define SL_CFG_RULES_MAX     256 /* mqtt.map */
#define SL_CFG_RULE_HDRS_MAX 8
#define SL_CFG_BROKERS_MAX   8
#define SL_CFG_SUBS_MAX      16 /* of one broker */
#define SL_CFG_DOWNLINKS_MAX 64
#define SL_CFG_PROPS_MAX     64  /* uplink.client */
#define SL_CFG_TEXT_MAX      256 /* a filter or template, bytes with its NUL */
#define SL_CFG_BOOTSTRAP_MAX 1024
#define SL_CFG_CLIENT_ID_MAX 256

struct sl_cfg_cpus {
	bool automatic;
	uint32_t cnt;
	uint16_t cpu[SL_CFG_CPUS_MAX]; /* one lcore each; the same CPU twice is allowed */
};

struct sl_cfg_size {     /* "70%" or "10GiB" */
	double fraction; /* 0 .. 1, used if bytes is 0 */
	uint64_t bytes;
};

enum sl_hugepages { SL_HUGE_AUTO, SL_HUGE_OFF, SL_HUGE_REQUIRED };
enum sl_idle { SL_IDLE_SLEEP, SL_IDLE_SPIN };
enum sl_backend { SL_BE_AUTO, SL_BE_PCI, SL_BE_AF_XDP, SL_BE_AF_PACKET, SL_BE_TAP, SL_BE_PCAP };
enum sl_csum { SL_CSUM_AUTO, SL_CSUM_VERIFY, SL_CSUM_TRUST };
enum sl_protocol { SL_PROTO_RAW, SL_PROTO_SYSLOG };
enum sl_key_rule { SL_KEY_SOURCE, SL_KEY_HOST, SL_KEY_NONE, SL_KEY_SLICE };

/* Record headers a listener adds; `headers: [facility, severity, host, app, time]`. */
enum sl_hdr_bit {
	SL_HDR_FACILITY = 1u << 0,
	SL_HDR_SEVERITY = 1u << 1,
	SL_HDR_HOST = 1u << 2,
	SL_HDR_APP = 1u << 3,
	SL_HDR_TIME = 1u << 4,
	SL_HDR_SOURCE = 1u << 5, /* the sender's address as text */
};

struct sl_cfg_port {
	char name[SL_CFG_NAME_MAX];
	enum sl_backend backend;
	char device[SL_CFG_PATH_MAX]; /* interface name, or PCI address for pci */
	char netns[SL_CFG_NAME_MAX];  /* "" = the daemon's own */
	char file[SL_CFG_PATH_MAX];   /* pcap */
	bool loop;                    /* pcap: `replay: forever` instead of once */
	bool pace_capture;            /* pcap: `pace: capture` instead of full speed */
	enum sl_csum checksum;
	uint16_t mtu; /* 0: leave as it is */
	bool promiscuous;
};

struct sl_cfg_addr {
	uint8_t family; /* 0 any, 4, 6 */
	uint8_t ip[16]; /* network order, IPv4 in the first four bytes */
};

struct sl_cfg_listener {
	char name[SL_CFG_NAME_MAX];
	uint16_t port; /* index into ports */
	struct sl_cfg_addr addr;
	uint16_t udp;
	enum sl_protocol protocol;
	char topic[SL_TOPIC_NAME_MAX + 1];
	enum sl_key_rule key;
	uint16_t slice_off, slice_len; /* SL_KEY_SLICE: `key: payload[4:12]`, bytes 4 .. 11 */
	uint32_t headers;              /* enum sl_hdr_bit */
};

struct sl_cfg_topic {
	char name[SL_TOPIC_NAME_MAX + 1];
	uint32_t partitions;
	struct sl_topic_cfg cfg;
	uint32_t set; /* settings that the file names for it: platform/base/topic_cfg.h */
};

struct sl_cfg_listen { /* host:port, [v6]:port */
	char host[SL_CFG_NAME_MAX];
	uint16_t port;
};

/*
 * mqtt.map: which messages become records of which topic. `topic`, `key` and a header's value are
 * templates: text with {name} for what the filter's {name} matched, and {topic}, {client}, {0} (the
 * whole of what # matched). bridge/mqtt/map.h has the rules in full. Checked: filters and templates
 * compile. A topic without placeholders is among `topic` too.
 */
struct sl_cfg_rule_hdr {
	char name[SL_CFG_NAME_MAX];
	char value[SL_CFG_TEXT_MAX];
};

struct sl_cfg_rule {
	char filter[SL_CFG_TEXT_MAX];
	char topic[SL_CFG_TEXT_MAX];
	char key[SL_CFG_TEXT_MAX]; /* default '{client}'; "": no key */
	uint32_t partitions;       /* of a topic that this rule makes; 0: num.partitions */
	enum sl_ack ack;           /* what a PUBACK means: SL_ACK_LOGGED or SL_ACK_SYNCED */
	bool skip_retained;        /* `retained: skip`: counted, not stored */
	uint32_t hdr_cnt;
	struct sl_cfg_rule_hdr hdr[SL_CFG_RULE_HDRS_MAX];
};

struct sl_cfg_sub {
	char filter[SL_CFG_TEXT_MAX];
	uint8_t qos; /* 0 .. 2 */
};

struct sl_cfg_tls { /* of a client of ours; "" = not set */
	bool on;
	char ca[SL_CFG_PATH_MAX], cert[SL_CFG_PATH_MAX], key[SL_CFG_PATH_MAX];
	bool insecure; /* the peer's name is not checked */
};

/* mqtt.brokers: a broker elsewhere (or the local one), to which we are a client. */
struct sl_cfg_broker {
	char name[SL_CFG_NAME_MAX];
	char host[SL_CFG_PATH_MAX];
	uint16_t port;                        /* default 1883, with TLS 8883 */
	char client_id[SL_CFG_CLIENT_ID_MAX]; /* default sluice-<gateway.id>-<name> */
	char user[SL_CFG_TEXT_MAX];           /* "": none */
	char password_file[SL_CFG_PATH_MAX];
	uint16_t keep_alive_s;
	uint32_t session_expiry_s; /* MQTT 5; the session outlives a cut by so long */
	struct sl_cfg_tls tls;
	uint32_t sub_cnt; /* 0: only for commands down */
	struct sl_cfg_sub sub[SL_CFG_SUBS_MAX];
};

/* downlink: records of a topic go to devices as MQTT messages. */
struct sl_cfg_downlink {
	char topic[SL_TOPIC_NAME_MAX + 1];
	char mqtt[SL_CFG_TEXT_MAX]; /* template: {key}, {header:NAME}, {partition} */
	uint8_t qos;                /* 0 .. 2 */
	bool retain;
	uint64_t expiry_ms; /* after the record's timestamp; 0: never. sluice.expires wins */
	uint16_t broker;    /* index into mqtt.brokers */
};

struct sl_cfg_prop { /* a setting of librdkafka under its own name */
	char name[SL_CFG_NAME_MAX];
	char value[SL_CFG_PATH_MAX];
	bool file; /* `client_files`: value is the path of a file that has it */
};

struct sl_config {
	struct {
		char id[SL_CFG_NAME_MAX];
		char data[SL_CFG_PATH_MAX];
	} gateway;
	struct {
		uint64_t memory_bytes;
		enum sl_hugepages hugepages;
		struct sl_cfg_cpus ingest, writers;
		enum sl_idle idle;
		uint32_t linger_us;
		uint32_t batch_bytes;              /* an open batch is closed at this size */
		char file_prefix[SL_CFG_NAME_MAX]; /* "" = derived from the process id */
	} dataplane;
	struct {
		struct sl_cfg_size budget, reserve;
		uint64_t segment_bytes;
		uint64_t tail_cache_bytes;
		uint32_t sync_interval_us;
		uint64_t sync_bytes;
		uint32_t flush_interval_ms;
		uint32_t retention_check_ms;
		char io[16];                   /* auto | io_uring | posix */
		char stripes[SL_CFG_PATH_MAX]; /* directory of the stripe file */
	} storage;
	uint32_t port_cnt;
	struct sl_cfg_port port[SL_CFG_PORTS_MAX];
	uint32_t listener_cnt;
	struct sl_cfg_listener listener[SL_CFG_LISTENERS_MAX];
	uint32_t topic_cnt;
	struct sl_cfg_topic topic[SL_CFG_TOPICS_MAX];
	struct {
		uint32_t listen_cnt;
		struct sl_cfg_listen listen[SL_CFG_LISTEN_MAX];
		struct sl_cfg_listen advertise; /* host "" = the local address of the connection */
		uint32_t num_partitions;        /* kafka.config num.partitions */
		bool auto_create;               /* auto.create.topics.enable */
		bool clamp_replication;         /* more replicas than one count as one */
		struct sl_topic_cfg topic_defaults; /* log.retention.ms and the like */
		uint32_t topic_defaults_set;        /* of them named by the file */
		uint32_t max_connections;
		uint32_t request_max_bytes;       /* socket.request.max.bytes */
		uint64_t memory_bytes;            /* of all connections together */
		uint32_t workers;                 /* threads of the worker pool */
		uint32_t idle_ms;                 /* connections.max.idle.ms */
		uint32_t max_groups, max_offsets; /* of committed offsets, all groups together */
		uint64_t group_memory_bytes;
		/* kafka.config, under Kafka's own names */
		uint32_t group_initial_delay_ms; /* group.initial.rebalance.delay.ms */
		uint32_t group_min_session_ms, group_max_session_ms;
		uint32_t group_max_size;
		uint32_t offsets_partitions;    /* offsets.topic.num.partitions */
		uint32_t offsets_retention_min; /* offsets.retention.minutes */
		uint32_t offsets_check_ms;      /* offsets.retention.check.interval.ms */
		uint32_t offset_metadata_max;   /* offset.metadata.max.bytes */
		int32_t offsets_commit_acks;    /* offsets.commit.required.acks: -1 or 1 */
	} kafka;
	struct {
		bool on;                      /* there is an `mqtt` section */
		char socket[SL_CFG_PATH_MAX]; /* where plugins come in */
		uint32_t rule_cnt;
		struct sl_cfg_rule rule[SL_CFG_RULES_MAX]; /* in order, first match wins */
		char default_topic[SL_TOPIC_NAME_MAX + 1]; /* of what no rule matches; "": none */
		uint32_t max_topics; /* that rules with placeholders may make */
		uint32_t broker_cnt;
		struct sl_cfg_broker broker[SL_CFG_BROKERS_MAX];
	} mqtt;
	uint32_t downlink_cnt;
	struct sl_cfg_downlink downlink[SL_CFG_DOWNLINKS_MAX];
	struct {
		char bootstrap[SL_CFG_BOOTSTRAP_MAX]; /* "host:port,host:port"; "": no uplink */
		uint32_t topic_cnt;
		char topic[SL_CFG_TOPICS_MAX][SL_TOPIC_NAME_MAX + 1];
		bool all_topics; /* `topics: ['*']`: all but internal and mirrored ones */
		char destination[SL_CFG_TEXT_MAX]; /* template: {gateway}, {topic} */
		char dead_letter[SL_TOPIC_NAME_MAX + 1];
		char positions[SL_TOPIC_NAME_MAX + 1];
		uint32_t partitions; /* of topics made at the centre; 0: as many as here */
		int32_t replication; /* -1: the centre's default */
		uint32_t commit_interval_ms;
		uint64_t commit_bytes;
		uint64_t rate_bytes; /* a second; 0: no cap */
		uint32_t window;     /* messages inside librdkafka at most */
		uint32_t backoff_min_ms, backoff_max_ms;
		uint32_t mirror_cnt; /* topics of the centre that are copied down */
		char mirror[SL_CFG_DOWNLINKS_MAX][SL_TOPIC_NAME_MAX + 1];
		uint32_t prop_cnt;
		struct sl_cfg_prop prop[SL_CFG_PROPS_MAX];
	} uplink;
	struct {
		struct sl_cfg_listen listen; /* port 0 = off */
		char socket[SL_CFG_PATH_MAX];
	} admin;
	struct {
		int level; /* enum sl_log_level */
	} log;
	uint32_t drain_ms; /* bound of a clean stop */
};

#endif
