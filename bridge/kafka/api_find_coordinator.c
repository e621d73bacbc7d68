/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_find_coordinator.c - FindCoordinator (key 10), versions 0 to 4: this node, for groups. There
 * are no transactions: a transactional id gets an error that no client retries.
 */
#include <errno.h>

#include "admin.h"
#include "errors.h"
#include "groups.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1 };

static const char *message_of(int16_t err)
{
	switch (err) {
	case 0:
		return NULL;
	case SL_KERR_UNSUPPORTED_VERSION:
		return "there are no transactions here";
	case SL_KERR_COORDINATOR_NOT_AVAILABLE:
		return "committed offsets cannot be stored now";
	}
	return "unknown type of key";
}

static void put_node(struct sl_kreq *r, int16_t err)
{
	struct sl_kw *w = &r->out.w;
	uint16_t port = 0;
	const char *host = err ? "" : sl_kadmin_advertised(r, &port);

	sl_kw_i32(w, err ? -1 : r->server->cfg.node_id);
	sl_kw_cstr(w, host);
	sl_kw_i32(w, err ? -1 : port);
}

static void answer_one(struct sl_kreq *r, int16_t err)
{
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, err);
	if (r->version >= 1)
		sl_kw_cstr(w, message_of(err));
	put_node(r, err);
	sl_kw_tags(w);
	sl_kreq_done(r);
}

/* The keys are read a second time: they have been checked. */
static void answer_all(struct sl_kreq *r, struct sl_kr keys, int16_t err)
{
	struct sl_kw *w = &r->out.w;
	uint32_t n = sl_kr_array(&keys, 1);

	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, n);
	for (uint32_t i = 0; i < n && !w->bad; i++) {
		sl_kw_str(w, sl_kr_str(&keys));
		put_node(r, err);
		sl_kw_i16(w, err);
		sl_kw_cstr(w, message_of(err));
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
	sl_kreq_done(r);
}

int sl_kapi_find_coordinator(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in, keys;
	int16_t err = 0;

	if (r->version <= 3)
		sl_kr_str(in);
	int8_t type = r->version >= 1 ? sl_kr_i8(in) : KEY_GROUP;
	keys = *in;
	if (r->version >= 4) {
		uint32_t n = sl_kr_array(in, 1);
		if (n > SL_KREQ_TOPICS_MAX)
			return -E2BIG;
		for (uint32_t i = 0; i < n && !in->rd.bad; i++)
			sl_kr_str(in);
	}
	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	if (type == KEY_TRANSACTION)
		err = SL_KERR_UNSUPPORTED_VERSION;
	else if (type != KEY_GROUP)
		err = SL_KERR_INVALID_REQUEST;
	else if (sl_kgroups_open(r->server->groups, &err))
		return -EAGAIN;
	if (r->version >= 4)
		answer_all(r, keys, err);
	else
		answer_one(r, err);
	return 0;
}
