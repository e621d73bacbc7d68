/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several keys must keep between them. Runs also after errors of single values: what such a
 * value would have said is then its default, so checks look at the node before they blame it.
 */
#include <ctype.h>

#include "platform/base/carried.h"
#include "platform/base/topic_cfg.h"
#include "platform/config/check.h"

/* ---- for all checks -------------------------------------------------------------------------- */

const struct sl_node *sl_check_get(const struct sl_node *list, uint32_t i, const char *key)
{
	const struct sl_node *n = sl_doc_get(sl_doc_at(list, i), key);

	return n && !n->bad && n->type != SL_NODE_NULL ? n : NULL;
}

const struct sl_node *sl_check_name(const struct sl_node *list, uint32_t i)
{
	const struct sl_node *n = sl_check_get(list, i, "name");

	return n ? n : sl_doc_at(list, i);
}

uint32_t sl_check_line(const struct sl_check *c, const struct sl_node *n)
{
	return sl_load_line(c->l, sl_doc_value_place(n));
}

int sl_check_topic(const struct sl_config *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->topic_cnt; i++) {
		if (!strcmp(cfg->topic[i].name, name))
			return (int)i;
	}
	return -1;
}

/* A topic that is there already has its partitions from who named it first. */
static void same_partitions(struct sl_check *c, uint32_t i, uint32_t want,
			    const struct sl_node *where)
{
	const struct sl_cfg_topic *t = &c->cfg->topic[i];

	if (want && want != t->partitions && c->made_by[i])
		sl_err_value(c->l, where, "topic '%s' has %u partition%s already (line %u)",
			     t->name, t->partitions, t->partitions == 1 ? "" : "s",
			     sl_check_line(c, c->made_by[i]));
}

void sl_check_add_topic(struct sl_check *c, const char *name, uint32_t partitions,
			const struct sl_node *by, const struct sl_node *partitions_by)
{
	struct sl_config *cfg = c->l->cfg;
	struct sl_cfg_topic *t = &cfg->topic[SL_MIN(cfg->topic_cnt, SL_CFG_TOPICS_MAX - 1u)];
	int have = name[0] ? sl_check_topic(cfg, name) : 0;

	if (!name[0] || !by) /* an error of its own */
		return;
	if (have >= 0) {
		same_partitions(c, (uint32_t)have, partitions, partitions_by ? partitions_by : by);
		return;
	}
	if (cfg->topic_cnt == SL_CFG_TOPICS_MAX) {
		sl_err_value(c->l, by, "needs topic '%s', and there are %d topics already", name,
			     SL_CFG_TOPICS_MAX);
		return;
	}
	memset(t, 0, sizeof(*t));
	memcpy(t->name, name, strlen(name) + 1);
	t->partitions = partitions ? partitions : cfg->kafka.num_partitions;
	t->cfg = cfg->kafka.topic_defaults;
	c->made_by[cfg->topic_cnt++] = by;
}

/* ---- ports ----------------------------------------------------------------------------------- */

#define BE(b)         (1u << SL_BE_##b)
#define KERNEL_DEVICE (BE(AUTO) | BE(AF_XDP) | BE(AF_PACKET) | BE(TAP))

/* Which key makes sense for which back ends, and which of them need it. */
static const struct {
	const char *key;
	uint32_t may, must;
} PORT_KEYS[] = {
	{"device", KERNEL_DEVICE | BE(PCI), KERNEL_DEVICE | BE(PCI)},
	{"netns", KERNEL_DEVICE, 0},
	{"file", BE(PCAP), BE(PCAP)},
	{"replay", BE(PCAP), 0},
	{"pace", BE(PCAP), 0},
	{"promiscuous", KERNEL_DEVICE | BE(PCI), 0},
};

static const char *const BACKEND_NAMES[] = {
	[SL_BE_AUTO] = "auto",           [SL_BE_PCI] = "pci", [SL_BE_AF_XDP] = "af_xdp",
	[SL_BE_AF_PACKET] = "af_packet", [SL_BE_TAP] = "tap", [SL_BE_PCAP] = "pcap",
};

static void check_port_keys(const struct sl_check *c, uint32_t i)
{
	uint32_t be = 1u << c->cfg->port[i].backend;
	const struct sl_node *node = sl_doc_at(c->ports, i), *b = sl_doc_get(node, "backend");

	if (node->type != SL_NODE_MAP || (b && b->bad))
		return;
	for (size_t k = 0; k < SL_ARRAY_SIZE(PORT_KEYS); k++) {
		const struct sl_node *n = sl_doc_get(node, PORT_KEYS[k].key);
		const char *name = BACKEND_NAMES[c->cfg->port[i].backend];
		if (!n && (PORT_KEYS[k].must & be))
			sl_err_value(c->l, b ? b : sl_check_name(c->ports, i),
				     "backend %s needs `%s`", name, PORT_KEYS[k].key);
		else if (n && !(PORT_KEYS[k].may & be))
			sl_err_key(c->l, n, "means nothing with backend %s", name);
	}
}

/* 0000:03:00.0, the domain may be left out */
static bool is_pci_address(const char *s)
{
	static const char *const forms[] = {"xxxx:xx:xx.x", "xx:xx.x"};

	for (size_t f = 0; f < SL_ARRAY_SIZE(forms); f++) {
		size_t i = 0, n = strlen(forms[f]);
		while (i < n && (forms[f][i] == 'x' ? isxdigit((unsigned char)s[i]) != 0
						    : s[i] == forms[f][i]))
			i++;
		if (i == n && s[i] == '\0')
			return true;
	}
	return false;
}

static void check_device(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_port *p = &c->cfg->port[i];
	const struct sl_node *n = sl_check_get(c->ports, i, "device");
	const struct sl_node *ns = sl_check_get(c->ports, i, "netns");
	bool pci;

	if (!n || !p->device[0])
		return;
	pci = is_pci_address(p->device);
	if (p->backend == SL_BE_PCI && !pci)
		sl_err_value(c->l, n, "'%s' is not a PCI address such as 0000:03:00.0", p->device);
	else if (p->backend != SL_BE_PCI && p->backend != SL_BE_AUTO && pci)
		sl_err_value(c->l, n, "a PCI address needs `backend: pci`");
	else if (!pci && p->backend != SL_BE_PCI && strlen(p->device) > 15)
		sl_err_value(c->l, n, "an interface name has at most 15 characters");
	if (pci && ns && p->backend == SL_BE_AUTO)
		sl_err_key(c->l, ns, "a PCI device is in no network namespace");
	if (ns && (!strcmp(p->netns, ".") || !strcmp(p->netns, "..")))
		sl_err_value(c->l, ns, "'%s' is no namespace's name", p->netns);
}

/* A capture has gaps between its frames, and none between its end and its beginning. */
static void check_replay(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_port *p = &c->cfg->port[i];
	const struct sl_node *pace = sl_check_get(c->ports, i, "pace");
	const struct sl_node *replay = sl_check_get(c->ports, i, "replay");

	if (p->backend == SL_BE_PCAP && pace && replay && p->pace_capture && p->loop)
		sl_err_value(c->l, pace,
			     "a capture replayed for ever has no pace of its own: "
			     "`replay: once`, or `pace: full`");
}

static void check_port_pair(const struct sl_check *c, uint32_t i, uint32_t k)
{
	const struct sl_cfg_port *a = &c->cfg->port[i], *b = &c->cfg->port[k];
	const struct sl_node *dev = sl_check_get(c->ports, k, "device");

	if (a->name[0] && !strcmp(a->name, b->name))
		sl_err_value(c->l, sl_check_name(c->ports, k),
			     "port '%s' is there already (line %u)", b->name,
			     sl_check_line(c, sl_check_name(c->ports, i)));
	if (dev && a->device[0] && !strcmp(a->device, b->device) && !strcmp(a->netns, b->netns))
		sl_err_value(c->l, dev, "device '%s' belongs to port '%s' already (line %u)",
			     b->device, a->name, sl_check_line(c, sl_check_name(c->ports, i)));
}

static void check_ports(const struct sl_check *c)
{
	for (uint32_t k = 0; k < c->cfg->port_cnt; k++) {
		check_port_keys(c, k);
		check_device(c, k);
		check_replay(c, k);
		for (uint32_t i = 0; i < k; i++)
			check_port_pair(c, i, k);
	}
}

/* ---- listeners ------------------------------------------------------------------------------- */

#define SYSLOG_HEADERS (SL_HDR_FACILITY | SL_HDR_SEVERITY | SL_HDR_HOST | SL_HDR_APP | SL_HDR_TIME)

static void check_raw(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_listener *lis = &c->cfg->listener[i];
	const struct sl_node *p = sl_check_get(c->listeners, i, "protocol"), *n;

	if (!p || lis->protocol != SL_PROTO_RAW)
		return;
	n = sl_check_get(c->listeners, i, "key");
	if (n && lis->key == SL_KEY_HOST)
		sl_err_value(c->l, n, "only syslog has a host: protocol is raw");
	n = sl_check_get(c->listeners, i, "headers");
	if (n && (lis->headers & SYSLOG_HEADERS))
		sl_err_key(c->l, n, "of a raw listener can only be [source]");
}

static bool addr_clash(const struct sl_cfg_addr *a, const struct sl_cfg_addr *b)
{
	if (a->family == 0 || b->family == 0)
		return true;
	return a->family == b->family && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

static void check_listener_pair(const struct sl_check *c, uint32_t i, uint32_t k)
{
	const struct sl_cfg_listener *a = &c->cfg->listener[i], *b = &c->cfg->listener[k];
	const struct sl_node *name = sl_check_name(c->listeners, k);

	if (a->name[0] && !strcmp(a->name, b->name))
		sl_err_value(c->l, name, "listener '%s' is there already (line %u)", b->name,
			     sl_check_line(c, sl_check_name(c->listeners, i)));
	if (!sl_check_get(c->listeners, i, "port") || !sl_check_get(c->listeners, k, "port") ||
	    a->port != b->port || a->udp == 0 || a->udp != b->udp ||
	    !addr_clash(&a->addr, &b->addr))
		return;
	sl_err_value(c->l, sl_check_get(c->listeners, k, "udp"),
		     "udp %u of this %s belongs to listener '%s' already (line %u)", b->udp,
		     a->addr.family && b->addr.family ? "port and address" : "port", a->name,
		     sl_check_line(c, sl_check_name(c->listeners, i)));
}

static void check_listeners(const struct sl_check *c)
{
	for (uint32_t k = 0; k < c->cfg->listener_cnt; k++) {
		check_raw(c, k);
		for (uint32_t i = 0; i < k; i++)
			check_listener_pair(c, i, k);
	}
}

/* ---- topics ---------------------------------------------------------------------------------- */

static void check_sizes(const struct sl_check *c, const struct sl_topic_cfg *t,
			const struct sl_node *where)
{
	if (t->max_message_bytes > t->segment_bytes)
		sl_err_value(c->l, where, "a batch of %d bytes does not fit a segment of %lld",
			     t->max_message_bytes, (long long)t->segment_bytes);
}

/* Which settings the file names: under the topic's names, or the broker's. */
static uint32_t named_settings(const struct sl_node *config, bool broker)
{
	uint32_t cnt, set = 0;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	for (uint32_t i = 0; i < cnt; i++) {
		const char *name = broker ? row[i].broker : row[i].name;
		if (name && sl_doc_get(config, name))
			set |= sl_topic_setting_bit(i);
	}
	return set;
}

static void note_named(const struct sl_check *c, const struct sl_node *root)
{
	struct sl_config *cfg = c->l->cfg;

	for (uint32_t k = 0; k < cfg->topic_cnt; k++)
		cfg->topic[k].set = named_settings(sl_check_get(c->topics, k, "config"), false);
	cfg->kafka.topic_defaults_set =
		named_settings(sl_doc_get(sl_doc_get(root, "kafka"), "config"), true);
}

static void check_topics(const struct sl_check *c)
{
	for (uint32_t k = 0; k < c->cfg->topic_cnt; k++) {
		const struct sl_cfg_topic *t = &c->cfg->topic[k];
		const struct sl_node *config = sl_check_get(c->topics, k, "config");
		int first = t->name[0] ? sl_check_topic(c->cfg, t->name) : (int)k;
		if (first < (int)k)
			sl_err_value(c->l, sl_check_name(c->topics, k),
				     "topic '%s' is there already (line %u)", t->name,
				     sl_check_line(c, sl_check_name(c->topics, (uint32_t)first)));
		const struct sl_node *max = sl_doc_get(config, "max.message.bytes");
		if (max) /* like Kafka: a small segment alone just takes smaller batches */
			check_sizes(c, &t->cfg, max);
		if (t->cfg.acks_central && !sl_uplink_carries(c->cfg, t->name, strlen(t->name)))
			sl_err_value(c->l, sl_doc_get(config, "sluice.acks.all"),
				     "no uplink carries topic '%s': nobody would ever be answered",
				     t->name);
	}
}

/* Every topic that a listener names exists afterwards. */
static void add_listener_topics(struct sl_check *c)
{
	for (uint32_t i = 0; i < c->cfg->listener_cnt; i++) {
		const struct sl_node *n = sl_check_get(c->listeners, i, "topic");
		sl_check_add_topic(c, c->cfg->listener[i].topic, 0,
				   n ? n : sl_check_name(c->listeners, i), NULL);
	}
}

static void check_partitions(const struct sl_check *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->cfg->topic_cnt; i++)
		sum += c->cfg->topic[i].partitions;
	if (sum > SL_STORE_PARTS_MAX && (c->topics || c->rules))
		sl_err_key(c->l, c->topics ? c->topics : c->rules,
			   "%llu partitions in all, more than %d", (unsigned long long)sum,
			   SL_STORE_PARTS_MAX);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void check_kafka(const struct sl_check *c, const struct sl_node *kafka)
{
	const struct sl_node *config = sl_doc_get(kafka, "config"), *n;

	n = sl_doc_get(config, "socket.request.max.bytes");
	if (!n)
		n = sl_doc_get(kafka, "memory");
	if (n && c->cfg->kafka.request_max_bytes > c->cfg->kafka.memory_bytes)
		sl_err_value(c->l, n,
			     "a request of %u bytes does not fit kafka.memory (%llu bytes)",
			     c->cfg->kafka.request_max_bytes,
			     (unsigned long long)c->cfg->kafka.memory_bytes);
	n = sl_doc_get(config, "message.max.bytes");
	if (n)
		check_sizes(c, &c->cfg->kafka.topic_defaults, n);
}

static void check_admin(const struct sl_check *c, const struct sl_node *root)
{
	const struct sl_cfg_listen *a = &c->cfg->admin.listen;
	const struct sl_node *n = sl_doc_get(sl_doc_get(root, "admin"), "listen");

	if (!n)
		n = sl_doc_get(sl_doc_get(root, "kafka"), "listen");
	for (uint32_t i = 0; n && a->port && i < c->cfg->kafka.listen_cnt; i++) {
		const struct sl_cfg_listen *k = &c->cfg->kafka.listen[i];
		if (k->port == a->port && !strcmp(k->host, a->host))
			sl_err_value(c->l, n, "%s:%u is both admin.listen and in kafka.listen",
				     a->host, a->port);
	}
}

/* Whoever else names a topic in topics[] comes behind its own line. */
static void note_makers(struct sl_check *c)
{
	for (uint32_t i = 0; i < c->cfg->topic_cnt; i++)
		c->made_by[i] = sl_check_name(c->topics, i);
}

void sl_check(struct sl_load *l)
{
	const struct sl_node *mqtt = sl_doc_get(l->root, "mqtt");
	struct sl_check c = {
		.l = l,
		.cfg = l->cfg,
		.ports = sl_doc_get(l->root, "ports"),
		.listeners = sl_doc_get(l->root, "listeners"),
		.topics = sl_doc_get(l->root, "topics"),
		.mqtt = mqtt,
		.rules = sl_doc_get(mqtt, "map"),
		.brokers = sl_doc_get(mqtt, "brokers"),
		.downlinks = sl_doc_get(l->root, "downlink"),
		.uplink = sl_doc_get(l->root, "uplink"),
	};

	check_ports(&c);
	check_listeners(&c);
	check_topics(&c);
	note_named(&c, l->root);
	note_makers(&c);
	add_listener_topics(&c);
	sl_check_rules(&c);
	sl_check_brokers(&c);
	sl_check_downlinks(&c);
	sl_check_uplink(&c);
	check_partitions(&c);
	check_kafka(&c, sl_doc_get(l->root, "kafka"));
	check_admin(&c, l->root);
	if (l->files)
		sl_check_files(&c);
	sl_check_rules_fini(&c);
}
