/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <errno.h>
#include <stdlib.h>

#define USER "mqtt.user."

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* An empty one is empty, not null: null is what a header has that was not there. */
static struct sl_slice present(struct sl_slice s)
{
	return s.p ? s : text("");
}

void sl_mrecord_init(struct sl_mrecord *r)
{
	memset(r, 0, sizeof(*r));
}

void sl_mrecord_fini(struct sl_mrecord *r)
{
	free(r->names);
	r->names = NULL;
	r->names_cap = 0;
}

static void add(struct sl_mrecord *r, struct sl_slice name, struct sl_slice value)
{
	r->hdr[r->hdr_cnt++] = (struct sl_hdr){name, present(value)};
}

/* Room for the names of all user properties, so that none moves later. */
static int names_room(struct sl_mrecord *r, const struct sl_ring_msg *m)
{
	uint64_t need = 0;

	for (uint32_t i = 0; i < m->prop_cnt; i++)
		if (m->prop[i].type == SL_RING_PROP_USER)
			need += sizeof(USER) + m->prop[i].name.len;
	if (need <= r->names_cap)
		return 0;
	if (need > SL_RING_BYTES_MAX) /* the ring does not hold so much */
		return -ENOMEM;
	uint8_t *p = realloc(r->names, need);
	if (!p)
		return -ENOMEM;
	r->names = p;
	r->names_cap = (uint32_t)need;
	return 0;
}

static const char *header_of(uint8_t type)
{
	switch (type) {
	case SL_RING_PROP_CONTENT_TYPE:
		return "mqtt.content-type";
	case SL_RING_PROP_RESPONSE_TOPIC:
		return "mqtt.response-topic";
	case SL_RING_PROP_CORRELATION:
		return "mqtt.correlation";
	default:
		return NULL;
	}
}

static void add_props(struct sl_mrecord *r, const struct sl_ring_msg *m)
{
	uint8_t *at = r->names;

	for (uint32_t i = 0; i < m->prop_cnt; i++) {
		const char *name = header_of(m->prop[i].type);
		if (name) {
			add(r, text(name), m->prop[i].value);
		} else if (m->prop[i].type == SL_RING_PROP_USER) {
			struct sl_slice n = m->prop[i].name;
			uint32_t len = (uint32_t)sizeof(USER) - 1 + n.len;
			memcpy(at, USER, sizeof(USER) - 1);
			if (n.len)
				memcpy(at + sizeof(USER) - 1, n.p, n.len);
			add(r, (struct sl_slice){at, len}, m->prop[i].value);
			at += len;
		}
	}
}

int sl_mrecord_fill(struct sl_mrecord *r, const struct sl_ring_msg *m, const struct sl_map_out *out)
{
	static const char *const digit[] = {"0", "1", "2"};
	int rc = m->prop_cnt ? names_room(r, m) : 0;

	if (rc)
		return rc;
	r->hdr_cnt = 0;
	add(r, text("mqtt.topic"), m->topic);
	add(r, text("mqtt.client"), m->client);
	add(r, text("mqtt.qos"), text(digit[m->qos % 3]));
	add(r, text("mqtt.retain"), text(digit[m->flags & SL_RING_F_RETAIN ? 1 : 0]));
	if (m->prop_cnt)
		add_props(r, m);
	for (uint32_t i = 0; i < out->hdr_cnt; i++)
		r->hdr[r->hdr_cnt++] = out->hdr[i];
	return 0;
}

uint64_t sl_mrecord_bound(const struct sl_mrecord *r, const struct sl_ring_msg *m,
			  const struct sl_map_out *out)
{
	uint64_t n = 64 + (uint64_t)out->key_len + m->payload.len;

	for (uint32_t i = 0; i < r->hdr_cnt; i++)
		n += 10 + (uint64_t)r->hdr[i].name.len + r->hdr[i].value.len;
	return n;
}
