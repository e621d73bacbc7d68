/* SPDX-License-Identifier: Apache-2.0 */
/* Types of values that name CPUs, addresses and places in a packet, and lists of them. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "platform/config/keys.h"
#include "platform/config/values.h"

/* ---- CPUs ------------------------------------------------------------------------------------ */

/* "0-3,8": what this process may use. */
static void usable_text(const cpu_set_t *set, char *buf, size_t cap)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int c = 0; c < CPU_SETSIZE; c++) {
		int first = c;
		if (!CPU_ISSET(c, set))
			continue;
		while (c + 1 < CPU_SETSIZE && CPU_ISSET(c + 1, set))
			c++;
		snprintf(buf + used, cap - used, "%s%d", used ? "," : "", first);
		used = strlen(buf);
		if (c > first)
			snprintf(buf + used, cap - used, "-%d", c);
		used = strlen(buf);
	}
}

static void check_cpus(struct sl_load *l, const struct sl_node *n, const struct sl_cfg_cpus *cpus,
		       uint32_t from)
{
	char usable[128];
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return; /* more CPUs than cpu_set_t knows: EAL will tell */
	for (uint32_t i = from; i < cpus->cnt; i++) {
		if (cpus->cpu[i] < CPU_SETSIZE && CPU_ISSET(cpus->cpu[i], &set))
			continue;
		usable_text(&set, usable, sizeof(usable));
		sl_err_value(l, n, "CPU %u does not exist here (usable: %s)", cpus->cpu[i], usable);
		return;
	}
}

static void add_cpus(struct sl_load *l, const struct sl_key *k, const struct sl_node *n,
		     struct sl_cfg_cpus *cpus)
{
	uint32_t from = cpus->cnt;
	int rc = n->type == SL_NODE_SCALAR ? sl_value_cpus(n->text, cpus) : -EINVAL;

	if (rc == -E2BIG)
		sl_err_value(l, n, "more than %d CPUs", SL_CFG_CPUS_MAX);
	else if (n->type != SL_NODE_SCALAR)
		sl_err_value(l, n, "must be %s", k->type->wants);
	else if (rc < 0)
		sl_key_wrong(l, k, n, NULL);
	else
		check_cpus(l, n, cpus, from);
}

static void set_cpus(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	struct sl_cfg_cpus *cpus = dst;

	memset(cpus, 0, sizeof(*cpus));
	if (n->type == SL_NODE_SCALAR && !strcmp(n->text, "auto")) {
		cpus->automatic = true;
	} else if (n->type == SL_NODE_SCALAR) {
		add_cpus(l, k, n, cpus);
	} else if (n->type == SL_NODE_LIST && n->cnt) {
		for (struct sl_node *c = n->first; c; c = c->next)
			add_cpus(l, k, c, cpus);
	} else {
		sl_err_value(l, n, "must be %s", k->type->wants);
	}
}

const struct sl_key_type SL_T_CPUS = {"CPUs", "auto, a list such as [0, 1], or a range such as 0-3",
				      true, set_cpus, NULL};

/* ---- addresses ------------------------------------------------------------------------------- */

static void set_addr(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	static const uint8_t zero[16];
	struct sl_cfg_addr a = {0};

	if (strcmp(n->text, "any")) {
		if (sl_value_addr(n->text, &a) < 0) {
			sl_key_wrong(l, k, n, NULL);
			return;
		}
		if (!memcmp(a.ip, zero, sizeof(zero))) {
			sl_err_value(l, n, "'%s' is no destination: `any` takes all", n->text);
			return;
		}
	}
	memcpy(dst, &a, sizeof(a));
}

static bool take_hostport(struct sl_load *l, const struct sl_key *k, struct sl_node *n,
			  struct sl_cfg_listen *ret)
{
	struct sl_cfg_listen out = {0};
	int rc = sl_value_hostport(n->text, &out);

	if (rc == -ENOENT)
		sl_key_wrong(l, k, n, "has no port");
	else if (rc == -ERANGE)
		sl_err_value(l, n, "'%s': a port is at most 65535", n->text);
	else if (rc == -E2BIG)
		sl_err_value(l, n, "the host is longer than %d bytes", SL_CFG_NAME_MAX - 1);
	else if (rc < 0)
		sl_key_wrong(l, k, n, NULL);
	else if (out.port < k->min)
		sl_err_value(l, n, "'%s': port 0 is not possible here", n->text);
	else
		*ret = out;
	return rc == 0;
}

static void set_hostport(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	struct sl_cfg_listen *out = dst;
	int64_t word;

	if (sl_key_choice(l, k->choices, n, &word))
		memset(out, 0, sizeof(*out)); /* "off" */
	else if (!n->bad)
		take_hostport(l, k, n, out);
}

static bool same_listen(const struct sl_cfg_listen *a, const struct sl_cfg_listen *b)
{
	return a->port && a->port == b->port && !strcmp(a->host, b->host);
}

/* dst is the array; its count stands right before it in struct sl_config. */
static void set_hostports(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	struct sl_cfg_listen *out = dst;
	uint32_t *cnt = &l->cfg->kafka.listen_cnt;
	struct sl_node *one = n->type == SL_NODE_LIST ? n->first : n;

	SL_ASSERT(dst == l->cfg->kafka.listen);
	*cnt = 0;
	if (!one || n->type == SL_NODE_MAP)
		sl_err_value(l, n, "must be %s", k->type->wants);
	for (; one && n->type != SL_NODE_MAP; one = n == one ? NULL : one->next) {
		if (*cnt == SL_CFG_LISTEN_MAX) {
			sl_err_value(l, one, "more than %d addresses", SL_CFG_LISTEN_MAX);
			return;
		}
		if (one->type != SL_NODE_SCALAR) {
			sl_err_value(l, one, "must be an address such as 127.0.0.1:9092");
			continue;
		}
		if (one->bad || !take_hostport(l, k, one, &out[*cnt]))
			continue;
		for (uint32_t i = 0; i < *cnt; i++) {
			if (same_listen(&out[i], &out[*cnt]))
				sl_err_value(l, one, "'%s' is in the list twice", one->text);
		}
		++*cnt;
	}
}

const struct sl_key_type SL_T_ADDR = {"address", "an IPv4 or IPv6 address, or any", false, set_addr,
				      NULL};
const struct sl_key_type SL_T_HOSTPORT = {"host:port",
					  "host and port such as 127.0.0.1:9092 or [::1]:9092",
					  false, set_hostport, NULL};
const struct sl_key_type SL_T_HOSTPORTS = {
	"list of host:port", "hosts and ports such as [127.0.0.1:9092]", true, set_hostports, NULL};

/* ---- listeners ------------------------------------------------------------------------------- */

static void set_port(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	const struct sl_config *cfg = l->cfg;
	char have[256] = "";

	(void)k;
	for (uint32_t i = 0; i < cfg->port_cnt; i++) {
		if (!strcmp(cfg->port[i].name, n->text)) {
			uint16_t idx = (uint16_t)i;
			memcpy(dst, &idx, sizeof(idx));
			return;
		}
		size_t used = strlen(have);
		snprintf(have + used, sizeof(have) - used, "%s%s", used ? ", " : "",
			 cfg->port[i].name);
	}
	sl_err_value(l, n, "no port is named '%.*s' (have: %s)", (int)SL_MIN(n->len, 80u), n->text,
		     have[0] ? have : "none");
}

#define SLICE_LEN_MAX 1024

/* dst is `key` of a listener, whose slice fields lie beside it. */
static void set_rule(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	struct sl_cfg_listener *lis = SL_CONTAINER_OF(dst, struct sl_cfg_listener, key);
	uint16_t off = 0, len = 0;
	int64_t word;
	int rc;

	if (sl_key_choice(l, k->choices, n, &word)) {
		lis->key = (enum sl_key_rule)word;
		return;
	}
	if (n->bad)
		return;
	rc = sl_value_slice(n->text, &off, &len);
	if (rc == -ERANGE || (rc == 0 && len > SLICE_LEN_MAX)) {
		sl_err_value(l, n, "'%s': a slice has 1 to %d bytes and ends at 65535", n->text,
			     SLICE_LEN_MAX);
	} else if (rc < 0) {
		sl_key_wrong(l, k, n, NULL);
	} else {
		lis->key = SL_KEY_SLICE;
		lis->slice_off = off;
		lis->slice_len = len;
	}
}

static void set_headers(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	uint32_t bits = 0;

	if (n->type != SL_NODE_LIST) {
		sl_err_value(l, n, "must be %s", k->type->wants);
		return;
	}
	for (struct sl_node *c = n->first; c; c = c->next) {
		char have[128];
		int64_t bit = 0;
		sl_key_choices_text(k->choices, have, sizeof(have));
		if (c->bad)
			continue;
		if (c->type != SL_NODE_SCALAR || !sl_key_choice(l, k->choices, c, &bit))
			sl_err_value(l, c, "'%s' is not one of: %s",
				     c->type == SL_NODE_SCALAR ? c->text : "", have);
		else if (bits & (uint32_t)bit)
			sl_err_value(l, c, "'%s' is in the list twice", c->text);
		bits |= (uint32_t)bit;
	}
	memcpy(dst, &bits, sizeof(bits));
}

const struct sl_key_type SL_T_PORT = {"port name", "the name of a port", false, set_port, NULL};
const struct sl_key_type SL_T_RULE = {"word", "a slice such as payload[4:12]", false, set_rule,
				      NULL};
const struct sl_key_type SL_T_HEADERS = {"list of words", "a list such as [severity, host]", true,
					 set_headers, NULL};
