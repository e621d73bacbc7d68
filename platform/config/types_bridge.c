/* SPDX-License-Identifier: Apache-2.0 */
/* Types of values of the bridges: texts, rates, hosts, lists of topics, free-form mappings. */
#include <errno.h>
#include <stdio.h>

#include "platform/base/utf8.h"
#include "platform/config/client_props.h"
#include "platform/config/keys.h"
#include "platform/config/values.h"

/* ---- texts ----------------------------------------------------------------------------------- */

/* Any UTF-8 without control characters, `cap` with its NUL. ${...} may have brought anything. */
static bool take_utf8(struct sl_load *l, const struct sl_node *n, char *dst, size_t cap)
{
	const uint8_t *p = (const uint8_t *)n->text;

	if (n->len >= cap) {
		sl_err_value(l, n, "longer than %zu bytes", cap - 1);
		return false;
	}
	if (sl_utf8_span(p, n->len) != n->len) {
		sl_err_value(l, n, "is not UTF-8 text");
		return false;
	}
	for (uint32_t i = 0; i < n->len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f) {
			sl_err_value(l, n, "control byte 0x%02x is not allowed here", p[i]);
			return false;
		}
	}
	memcpy(dst, n->text, n->len + 1);
	return true;
}

static void set_text(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	if (n->len == 0 && !(k->flags & SL_KEY_OPTIONAL))
		sl_err_value(l, n, "is empty");
	else
		take_utf8(l, n, dst, k->size);
}

const struct sl_key_type SL_T_TEXT = {"text", "a text (in quotes if it begins with '{' or '#')",
				      false, set_text, NULL};

/* ---- rates ----------------------------------------------------------------------------------- */

static void set_rate(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	uint64_t v = 0;
	int64_t word;
	int rc = sl_value_rate(n->text, &v);

	if (rc == 0 && v > INT64_MAX)
		rc = -ERANGE;
	if (rc < 0 && sl_key_choice(l, k->choices, n, &word))
		v = (uint64_t)word;
	else if (rc == -ENOENT)
		sl_key_wrong(l, k, n, "needs a unit (KB/s, MB/s, KiB/s, MiB/s)");
	else if (rc < 0)
		sl_key_refuse(l, k, n, rc);
	if (rc == 0 && !sl_key_in_range(l, k, n, (int64_t)v))
		return;
	memcpy(dst, &v, sizeof(v));
}

static void rate_text(int64_t v, char *buf)
{
	sl_value_rate_text((uint64_t)v, buf);
}

const struct sl_key_type SL_T_RATE = {"rate", "a rate such as 10MB/s", false, set_rate, rate_text};

/* ---- hosts ----------------------------------------------------------------------------------- */

#define UNIX_PATH_MAX_LEN 107 /* of a socket */

static void set_host(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	bool path = n->text[0] == '/';

	if (n->len >= k->size || (path && n->len > UNIX_PATH_MAX_LEN))
		sl_err_value(l, n, "longer than %u bytes", path ? UNIX_PATH_MAX_LEN : k->size - 1);
	else if (path)
		memcpy(dst, n->text, n->len + 1);
	else if (strchr(n->text, ':') && !sl_value_is_host(n->text, n->len))
		sl_key_wrong(l, k, n, "is no host alone (`port` has the port)");
	else if (!sl_value_is_host(n->text, n->len))
		sl_key_wrong(l, k, n, NULL);
	else
		memcpy(dst, n->text, n->len + 1);
}

#define KAFKA_PORT "9092"

/* Adds "host:port" to out; what is wrong with it, or NULL. */
static const char *add_server(const char *s, size_t len, char *out, size_t cap)
{
	const char *close = *s == '[' ? memchr(s, ']', len) : NULL;
	const char *host = close ? s + 1 : s, *end = close ? close + 1 : s;
	size_t used = strlen(out);
	int64_t port;
	char num[8];

	while (!close && end < s + len && *end != ':')
		end++;
	size_t host_len = (size_t)((close ? close : end) - host);
	size_t left = (size_t)(s + len - end);
	if (memmem(s, len, "://", 3))
		return "has a protocol: that is security.protocol in uplink.client";
	if (!close && left && memchr(end + 1, ':', left - 1))
		return "has several ':': an IPv6 address stands in brackets";
	if (!sl_value_is_host(host, host_len))
		return "has no valid host";
	if (left && (*end != ':' || left < 2 || left > sizeof(num)))
		return "has no valid port";
	snprintf(num, sizeof(num), "%.*s", left ? (int)left - 1 : 4, left ? end + 1 : KAFKA_PORT);
	if (sl_value_int(num, &port) < 0 || port < 1 || port > 65535)
		return "has no valid port (1 to 65535)";
	if (used + host_len + sizeof("[]:65535,") > cap)
		return "does not fit: too many servers";
	snprintf(out + used, cap - used, "%s%s%.*s%s:%d", used ? "," : "", close ? "[" : "",
		 (int)host_len, host, close ? "]" : "", (int)port);
	return NULL;
}

/* "a:9092, b": each of them. */
static void add_servers(struct sl_load *l, const struct sl_node *n, char *out, size_t cap)
{
	const char *p = n->text, *end;

	for (;; p = end + 1) {
		end = strchrnul(p, ',');
		const char *from = p + strspn(p, " "), *to = end;
		while (to > from && to[-1] == ' ')
			to--;
		const char *why =
			from == to ? "is empty" : add_server(from, (size_t)(to - from), out, cap);
		if (why) {
			struct sl_text_err e;
			sl_text_err_set(&e, (size_t)(from - n->text), (size_t)(to - from),
					"'%.*s' %s", (int)SL_MIN(to - from, 120), from, why);
			sl_err_text(l, n, &e);
			return;
		}
		if (!*end)
			return;
	}
}

static void set_bootstrap(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	char out[SL_CFG_BOOTSTRAP_MAX] = "";
	struct sl_node *one = n->type == SL_NODE_LIST ? n->first : n;

	SL_ASSERT(k->size == sizeof(out));
	if (!one || n->type == SL_NODE_MAP) {
		sl_err_value(l, n, "must be %s", k->type->wants);
		return;
	}
	for (; one; one = one == n ? NULL : one->next) {
		if (one->type != SL_NODE_SCALAR)
			sl_err_value(l, one, "must be %s", k->type->wants);
		else if (!one->bad)
			add_servers(l, one, out, sizeof(out));
	}
	memcpy(dst, out, sizeof(out));
}

const struct sl_key_type SL_T_HOST = {"host", "a host's name or address, or a Unix socket's path",
				      false, set_host, NULL};
const struct sl_key_type SL_T_BOOTSTRAP = {"list of host:port",
					   "host and port such as central.example:9092, or several",
					   true, set_bootstrap, NULL};

/* ---- topics ---------------------------------------------------------------------------------- */

/* One name into the list, once. */
static void add_topic_name(struct sl_load *l, const struct sl_key *k, struct sl_node *n)
{
	uint32_t *cnt = (uint32_t *)(void *)((char *)l->cfg + k->list->cnt_off);
	char *base = (char *)l->cfg + k->list->off;
	const struct sl_key topic = {.type = &SL_T_TOPIC};
	unsigned errors = sl_err_cnt(l);

	if (*cnt == k->list->max) {
		sl_err_value(l, n, "more than %u topics", k->list->max);
		return;
	}
	SL_T_TOPIC.set(l, &topic, n, base + (size_t)*cnt * k->list->stride);
	if (sl_err_cnt(l) != errors)
		return;
	for (uint32_t i = 0; i < *cnt; i++) {
		if (!strcmp(base + (size_t)i * k->list->stride, n->text))
			sl_err_value(l, n, "'%s' is in the list twice", n->text);
	}
	++*cnt;
}

/* The list is k->list's; dst says whether it is all of them, where `choices` has a word for it. */
static void set_topics(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	struct sl_node *one = n->type == SL_NODE_LIST ? n->first : n;
	int64_t all;

	if (n->type == SL_NODE_MAP) {
		sl_err_value(l, n, "must be %s", k->type->wants);
		return;
	}
	for (; one; one = one == n ? NULL : one->next) {
		if (one->type != SL_NODE_SCALAR)
			sl_err_value(l, one, "must be a topic's name");
		else if (!one->bad && k->choices && sl_key_choice(l, k->choices, one, &all))
			*(bool *)dst = true;
		else if (!one->bad)
			add_topic_name(l, k, one);
		if (k->choices && one != n && *(bool *)dst && n->cnt > 1) {
			sl_err_value(l, n, "'*' is all topics: it stands alone");
			return;
		}
	}
}

const struct sl_key_type SL_T_TOPICS = {"list of topics", "a list of topics such as [logs, alarms]",
					true, set_topics, NULL};

/* ---- which broker ---------------------------------------------------------------------------- */

static void set_broker(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	const struct sl_config *cfg = l->cfg;
	char have[256] = "";

	(void)k;
	for (uint32_t i = 0; i < cfg->mqtt.broker_cnt; i++) {
		size_t used = strlen(have);
		if (!strcmp(cfg->mqtt.broker[i].name, n->text)) {
			uint16_t idx = (uint16_t)i;
			memcpy(dst, &idx, sizeof(idx));
			return;
		}
		snprintf(have + used, sizeof(have) - used, "%s%s", used ? ", " : "",
			 cfg->mqtt.broker[i].name);
	}
	sl_err_value(l, n, "no broker of mqtt.brokers is named '%.*s' (have: %s)",
		     (int)SL_MIN(n->len, 80u), n->text, have[0] ? have : "none");
}

const struct sl_key_type SL_T_BROKER = {"broker name", "the name of a broker", false, set_broker,
					NULL};

/* ---- free-form mappings ---------------------------------------------------------------------- */

/* A scalar of a free-form mapping; false: reported. */
static bool is_value(struct sl_load *l, const struct sl_node *c)
{
	if (c->bad)
		return false;
	if (c->type == SL_NODE_NULL)
		sl_err_key(l, c, "has no value");
	else if (c->type != SL_NODE_SCALAR)
		sl_err_value(l, c, "must be a text (in quotes if it begins with '{' or '#')");
	return c->type == SL_NODE_SCALAR;
}

static bool begins_with(const char *s, const char *lead)
{
	return !strncmp(s, lead, strlen(lead));
}

/* dst is hdr of a rule. */
static void set_rule_headers(struct sl_load *l, const struct sl_key *k, struct sl_node *n,
			     void *dst)
{
	struct sl_cfg_rule *r = (struct sl_cfg_rule *)(void *)((char *)dst - k->off);

	if (n->type != SL_NODE_MAP) {
		sl_err_value(l, n, "must be %s", k->type->wants);
		return;
	}
	for (struct sl_node *c = n->first; c; c = c->next) {
		struct sl_cfg_rule_hdr *h = &r->hdr[r->hdr_cnt];
		if (r->hdr_cnt == SL_CFG_RULE_HDRS_MAX) {
			sl_err_key(l, c, "more than %d headers", SL_CFG_RULE_HDRS_MAX);
			return;
		}
		if (strlen(c->key) >= sizeof(h->name))
			sl_err_key(l, c, "a header's name has at most %zu bytes",
				   sizeof(h->name) - 1);
		else if (begins_with(c->key, "mqtt.") || begins_with(c->key, "sluice."))
			sl_err_key(l, c, "mqtt.* and sluice.* are set by Sluice itself");
		else if (is_value(l, c) && take_utf8(l, c, h->value, sizeof(h->value))) {
			strcpy(h->name, c->key);
			r->hdr_cnt++;
		}
	}
}

/* "${NAME}" in the file: not in clear text. */
static bool is_env(const struct sl_load *l, const struct sl_node *n)
{
	const char *p = l->src[n->file].text + n->pos;
	size_t len = n->end - n->pos;

	return len > 3 && p[0] == '$' && p[1] == '{' && memchr(p, '}', len) == p + len - 1 &&
	       !memmem(p, len, ":-", 2);
}

static bool client_key_ok(struct sl_load *l, const struct sl_node *c, bool file)
{
	const struct sl_config *cfg = l->cfg;
	const char *why = sl_client_why_not(c->key);

	if (why) {
		sl_err_key(l, c, "%s", why);
		return false;
	}
	for (uint32_t i = 0; i < cfg->uplink.prop_cnt; i++) {
		if (!strcmp(cfg->uplink.prop[i].name, c->key)) {
			sl_err_key(l, c, "is in client and in client_files");
			return false;
		}
	}
	if (!file && sl_client_is_secret(c->key) && !is_env(l, c)) {
		sl_err_value(l, c,
			     "is a secret: `client_files: {%s: /path/of/a/file}` keeps it out of "
			     "here (or ${NAME} from the environment)",
			     c->key);
		return false;
	}
	if (cfg->uplink.prop_cnt == SL_CFG_PROPS_MAX) {
		sl_err_key(l, c, "more than %d settings", SL_CFG_PROPS_MAX);
		return false;
	}
	return true;
}

static void add_props(struct sl_load *l, const struct sl_key *k, struct sl_node *n, bool file)
{
	if (n->type != SL_NODE_MAP) {
		sl_err_value(l, n, "must be %s", k->type->wants);
		return;
	}
	for (struct sl_node *c = n->first; c; c = c->next) {
		struct sl_cfg_prop *p = &l->cfg->uplink.prop[l->cfg->uplink.prop_cnt];
		if (strlen(c->key) >= sizeof(p->name)) {
			sl_err_key(l, c, "a setting's name has at most %zu bytes",
				   sizeof(p->name) - 1);
			continue;
		}
		if (!is_value(l, c) || !client_key_ok(l, c, file) ||
		    !take_utf8(l, c, p->value, sizeof(p->value)))
			continue;
		if (file && p->value[0] != '/') {
			sl_err_value(l, c, "'%s' is not an absolute path", p->value);
			continue;
		}
		strcpy(p->name, c->key);
		p->file = file;
		l->cfg->uplink.prop_cnt++;
	}
}

static void set_client(struct sl_load *l, const struct sl_key *k, struct sl_node *n, void *dst)
{
	(void)dst;
	add_props(l, k, n, false);
}

static void set_client_files(struct sl_load *l, const struct sl_key *k, struct sl_node *n,
			     void *dst)
{
	(void)dst;
	add_props(l, k, n, true);
}

const struct sl_key_type SL_T_RULE_HEADERS = {"mapping of name to text",
					      "a mapping such as {site: berlin}", true,
					      set_rule_headers, NULL};
const struct sl_key_type SL_T_CLIENT = {"mapping of name to text",
					"a mapping such as {security.protocol: SSL}", true,
					set_client, NULL};
const struct sl_key_type SL_T_CLIENT_FILES = {
	"mapping of name to path", "a mapping such as {sasl.password: /etc/sluice/sasl.password}",
	true, set_client_files, NULL};
