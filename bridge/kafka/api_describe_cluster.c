/* SPDX-License-Identifier: Apache-2.0 */
/* api_describe_cluster.c - DescribeCluster (key 60), versions 0 and 1: this node, which is also the
 * controller. */
#include <errno.h>

#include "admin.h"

enum { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

static void put_node(struct sl_kreq *r)
{
	struct sl_kw *w = &r->out.w;
	uint16_t port;
	const char *host = sl_kadmin_advertised(r, &port);

	sl_kw_array(w, 1);
	sl_kw_i32(w, r->server->cfg.node_id);
	sl_kw_cstr(w, host);
	sl_kw_i32(w, port);
	sl_kw_cstr(w, NULL); /* rack */
	sl_kw_tags(w);
}

static void answer(struct sl_kreq *r, const struct sl_kadmin_err *e, bool operations)
{
	const struct sl_kserver_cfg *cfg = &r->server->cfg;
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, e->code);
	sl_kadmin_put_msg(w, e);
	if (r->version >= 1)
		sl_kw_i8(w, ENDPOINT_BROKER);
	sl_kw_cstr(w, e->code ? "" : sl_store_cluster_id(cfg->store));
	sl_kw_i32(w, e->code ? -1 : cfg->node_id); /* controller */
	if (e->code)
		sl_kw_array(w, 0);
	else
		put_node(r);
	sl_kw_i32(w, operations && !e->code ? SL_KOPS_CLUSTER : SL_KOPS_UNKNOWN);
	sl_kw_tags(w);
	sl_kreq_done(r);
}

int sl_kapi_describe_cluster(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in;
	struct sl_kadmin_err e = {0};
	bool operations = sl_kr_bool(in);
	int8_t type = r->version >= 1 ? sl_kr_i8(in) : ENDPOINT_BROKER;

	sl_kr_tags(in);
	if (in->rd.bad)
		return -EPROTO;
	if (type == ENDPOINT_CONTROLLER)
		sl_kadmin_err(
			&e, SL_KERR_MISMATCHED_ENDPOINT_TYPE,
			"The request was sent to an endpoint of type BROKER, but we wanted an "
			"endpoint of type CONTROLLER");
	else if (type != ENDPOINT_BROKER)
		sl_kadmin_err(&e, SL_KERR_UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type %d",
			      type);
	answer(r, &e, operations);
	return 0;
}
