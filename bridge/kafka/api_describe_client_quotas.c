/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_describe_client_quotas.c - DescribeClientQuotas (key 48), versions 0 and 1: there are none.
 * A filter that makes no sense is refused as Apache Kafka's ClientQuotasImage does.
 */
#include <errno.h>

#include "admin.h"

#define COMPONENTS_MAX 64 /* of a filter; Kafka knows three entity types */

enum { MATCH_EXACT, MATCH_DEFAULT, MATCH_SPECIFIED };
enum { USER = 1, CLIENT_ID = 2, IP = 4 };

static unsigned entity(struct sl_slice name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} rows[] = {{"user", USER}, {"client-id", CLIENT_ID}, {"ip", IP}};
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == name.len && !memcmp(rows[i].name, name.p, name.len))
			return rows[i].bit;
	return 0;
}

static void check_match(int8_t type, bool has_text, struct sl_kadmin_err *e)
{
	int16_t bad = SL_KERR_INVALID_REQUEST;

	if (type == MATCH_EXACT && !has_text)
		sl_kadmin_err(e, bad,
			      "Request specified MATCH_TYPE_EXACT, but set match string to null.");
	else if (type == MATCH_DEFAULT && has_text)
		sl_kadmin_err(e, bad,
			      "Request specified MATCH_TYPE_DEFAULT, but also specified a match "
			      "string.");
	else if (type == MATCH_SPECIFIED && has_text)
		sl_kadmin_err(e, bad,
			      "Request specified MATCH_TYPE_SPECIFIED, but also specified a match "
			      "string.");
	else if (type < MATCH_EXACT || type > MATCH_SPECIFIED)
		sl_kadmin_err(e, bad, "Unknown match type %d", type);
}

static void check_component(struct sl_slice name, int8_t type, bool has_text, unsigned *seen,
			    struct sl_kadmin_err *e)
{
	unsigned bit = entity(name);

	if (name.len == 0)
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST, "Invalid empty entity type.");
	else if (*seen & bit)
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Entity type %.*s cannot appear more than once in the filter.",
			      SL_KSTR(name));
	else if (!bit)
		sl_kadmin_err(e, SL_KERR_UNSUPPORTED_VERSION, "Unsupported entity type %.*s",
			      SL_KSTR(name));
	else
		check_match(type, has_text, e);
	*seen |= bit;
	if (!e->code && (*seen & IP) && (*seen & ~(unsigned)IP))
		sl_kadmin_err(e, SL_KERR_INVALID_REQUEST,
			      "Invalid entity filter component, IP filter component should not be "
			      "used with user or clientId filter component.");
}

static int parse(struct sl_kr *in, struct sl_kadmin_err *e)
{
	uint32_t n = sl_kr_array(in, in->flex ? 4 : 5);
	unsigned seen = 0;

	if (n > COMPONENTS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < n && !in->rd.bad; i++) {
		struct sl_slice name = sl_kr_str(in);
		int8_t type = sl_kr_i8(in);
		bool has_text = sl_kr_nstr(in).p != NULL;
		sl_kr_tags(in);
		if (!e->code && !in->rd.bad)
			check_component(name, type, has_text, &seen, e);
	}
	sl_kr_bool(in); /* strict */
	sl_kr_tags(in);
	return in->rd.bad ? -EPROTO : 0;
}

int sl_kapi_describe_client_quotas(struct sl_kreq *r)
{
	struct sl_kw *w = &r->out.w;
	struct sl_kadmin_err e = {0};
	int rc = parse(&r->in, &e);

	if (rc)
		return rc;
	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, e.code);
	sl_kw_cstr(w, e.code ? e.msg : "");
	if (e.code)
		sl_kw_null_array(w);
	else
		sl_kw_array(w, 0);
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
