/* SPDX-License-Identifier: Apache-2.0 */
/* api_api_versions.c - ApiVersions (key 18), versions 0 to 4. */
#include <errno.h>

#include "errors.h"
#include "request.h"

static bool is_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool software_name_valid(struct sl_slice s)
{
	if (s.len == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.len - 1]))
		return false;
	for (uint32_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
			return false;
	return true;
}

static void put_keys(struct sl_kw *w)
{
	size_t n;
	const struct sl_kapi *rows = sl_kapi_rows(&n);

	sl_kw_array(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		sl_kw_i16(w, rows[i].key);
		sl_kw_i16(w, rows[i].advertised_min);
		sl_kw_i16(w, rows[i].max);
		sl_kw_tags(w);
	}
}

/* A version from the future is answered in version 0, so that the client can ask again. */
static int answer_unknown_version(struct sl_kreq *r)
{
	r->version = 0;
	sl_kreq_begin(r);
	sl_kw_i16(&r->out.w, SL_KERR_UNSUPPORTED_VERSION);
	put_keys(&r->out.w);
	sl_kreq_done(r);
	return 0;
}

int sl_kapi_api_versions(struct sl_kreq *r)
{
	struct sl_kw *w = &r->out.w;
	int16_t err = 0;

	if (r->version < r->api->min || r->version > r->api->max)
		return answer_unknown_version(r);
	if (r->version >= 3) {
		struct sl_slice name = sl_kr_str(&r->in);
		struct sl_slice version = sl_kr_str(&r->in);
		sl_kr_tags(&r->in);
		if (r->in.rd.bad)
			return -EPROTO;
		if (!software_name_valid(name) || !software_name_valid(version))
			err = SL_KERR_INVALID_REQUEST;
	}
	sl_kreq_begin(r);
	sl_kw_i16(w, err);
	if (err)
		sl_kw_array(w, 0);
	else
		put_keys(w);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
