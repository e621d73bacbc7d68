/* SPDX-License-Identifier: Apache-2.0 */
#include "downlink_msg.h"

#include <errno.h>
#include <stdio.h>

#include "platform/base/mqtt_filter.h"
#include "platform/base/tpl_vars.h"

#define USER_PREFIX "mqtt.user."
#define DIGITS_MAX  18 /* of sluice.expires: 10^18 ms are enough */

static bool is(struct sl_slice s, const char *text)
{
	size_t n = strlen(text);
	return s.len == n && !memcmp(s.p, text, n);
}

/* The last header of that name; p NULL: none, or a null one. */
static struct sl_slice header(const struct sl_cursor_rec *r, const char *name, bool *ret_there)
{
	struct sl_slice v = {NULL, 0};

	*ret_there = false;
	for (uint32_t i = 0; i < r->rec.hdr_cnt; i++) {
		if (is(r->hdr[i].name, name)) {
			v = r->hdr[i].value;
			*ret_there = true;
		}
	}
	return v;
}

/* ---- topic ----------------------------------------------------------------------------------- */

struct fill {
	const struct sl_down_in *in;
	char number[16];
};

static struct sl_slice header_named(const struct sl_cursor_rec *r, struct sl_slice name)
{
	struct sl_slice v = {NULL, 0};

	for (uint32_t i = 0; i < r->rec.hdr_cnt; i++)
		if (r->hdr[i].name.len == name.len && !memcmp(r->hdr[i].name.p, name.p, name.len))
			v = r->hdr[i].value;
	return v;
}

static struct sl_slice value_of(void *arg, uint32_t var, struct sl_slice param)
{
	struct fill *f = arg;
	const char *topic = f->in->rule->topic;

	switch (var) {
	case SL_DOWN_KEY:
		return f->in->rec->rec.key;
	case SL_DOWN_PARTITION:
		return (struct sl_slice){(const uint8_t *)f->number, (uint32_t)strlen(f->number)};
	case SL_DOWN_TOPIC:
		return (struct sl_slice){(const uint8_t *)topic, (uint32_t)strlen(topic)};
	}
	return header_named(f->in->rec, param);
}

static const char *make_topic(const struct sl_down_in *in, struct sl_down_msg *m)
{
	struct fill f = {.in = in};
	struct sl_mqtt_name name;
	uint32_t len;
	int rc;

	snprintf(f.number, sizeof(f.number), "%d", in->partition);
	rc = sl_tpl_fill(in->tpl, value_of, &f, m->topic, sizeof(m->topic) - 1, &len);
	if (rc == -ENODATA)
		return "the topic needs a key or a header that the record does not have";
	if (rc)
		return "the topic is too long";
	m->topic[len] = 0;
	if (sl_mqtt_name_split((struct sl_slice){(const uint8_t *)m->topic, len}, &name))
		return "what comes out is no MQTT topic name";
	if (m->topic[0] == '$')
		return "the topic begins with $";
	m->pub.topic = m->topic;
	return NULL;
}

/* ---- expiry ---------------------------------------------------------------------------------- */

static bool number(struct sl_slice s, int64_t *ret)
{
	int64_t v = 0;

	if (!s.p || s.len == 0 || s.len > DIGITS_MAX)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*ret = v;
	return true;
}

/* *ret_ms: INT64_MAX: never. */
static const char *expires(const struct sl_down_in *in, int64_t *ret_ms)
{
	int64_t ts = in->rec->rec.ts;
	bool there;
	struct sl_slice text = header(in->rec, "sluice.expires", &there);

	*ret_ms = INT64_MAX;
	if (there) /* a command that may be stale is not guessed at */
		return number(text, ret_ms) ? NULL : "sluice.expires is no time in ms";
	if (!in->rule->expiry_ms)
		return NULL;
	if (ts < 0)
		*ret_ms = 0;
	else if (in->rule->expiry_ms < (uint64_t)(INT64_MAX - ts))
		*ret_ms = ts + (int64_t)in->rule->expiry_ms;
	return NULL;
}

static uint32_t seconds_left(int64_t until_ms, int64_t now_ms)
{
	int64_t s;

	if (until_ms == INT64_MAX)
		return 0;
	s = (until_ms - now_ms + 999) / 1000;
	return (uint32_t)SL_MIN(s, (int64_t)UINT32_MAX - 1);
}

/* ---- properties ------------------------------------------------------------------------------ */

static void make_props(const struct sl_cursor_rec *r, struct sl_down_msg *m)
{
	uint32_t prefix = sizeof(USER_PREFIX) - 1;
	bool there;

	m->pub.content_type = header(r, "mqtt.content-type", &there);
	m->pub.response_topic = header(r, "mqtt.response-topic", &there);
	m->pub.correlation = header(r, "mqtt.correlation", &there);
	for (uint32_t i = 0; i < r->rec.hdr_cnt && m->pub.user_cnt < SL_RING_PROPS_MAX; i++) {
		struct sl_slice name = r->hdr[i].name;
		if (name.len < prefix || memcmp(name.p, USER_PREFIX, prefix) != 0)
			continue;
		m->user[m->pub.user_cnt++] = (struct sl_hdr){
			.name = {name.p + prefix, name.len - prefix}, .value = r->hdr[i].value};
	}
	m->pub.user = m->user;
}

enum sl_down_verdict sl_down_msg_make(const struct sl_down_in *in, struct sl_down_msg *m)
{
	const struct sl_cursor_rec *r = in->rec;
	int64_t until;

	m->pub = (struct sl_mqclient_pub){
		.payload = r->rec.value,
		.qos = in->rule->qos,
		.retain = in->rule->retain,
	};
	if (!r->hdr && r->rec.hdr_cnt) {
		m->why = "too many headers";
		return SL_DOWN_BAD;
	}
	m->why = expires(in, &until);
	if (!m->why && in->now_ms >= until) /* first: an old one is no longer looked at */
		return SL_DOWN_EXPIRED;
	if (!m->why)
		m->why = make_topic(in, m);
	if (m->why)
		return SL_DOWN_BAD;
	m->pub.expiry_s = seconds_left(until, in->now_ms);
	make_props(r, m);
	return SL_DOWN_SEND;
}
