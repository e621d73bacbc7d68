/* SPDX-License-Identifier: Apache-2.0 */
/* api_list_groups.c - ListGroups (key 16), versions 0 to 5, filtered by state and type. */
#include <errno.h>
#include <strings.h>

#include "groups.h"

#define GROUP_TYPE "classic"

struct filter { /* words of the request, checked; none: everything passes */
	struct sl_kr words;
	uint32_t cnt;
};

static int parse_filter(struct sl_kr *in, struct filter *ret)
{
	ret->words = *in;
	ret->cnt = sl_kr_array(in, 1);
	if (ret->cnt > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < ret->cnt && !in->rd.bad; i++)
		sl_kr_str(in);
	return 0;
}

static bool passes(const struct filter *f, const char *word)
{
	struct sl_kr words = f->words;

	if (f->cnt == 0)
		return true;
	sl_kr_array(&words, 1);
	for (uint32_t i = 0; i < f->cnt; i++) {
		struct sl_slice s = sl_kr_str(&words);
		if (s.len == strlen(word) && !strncasecmp((const char *)s.p, word, s.len))
			return true;
	}
	return false;
}

static void put_group(struct sl_kreq *r, const struct sl_kgroup *kg)
{
	struct sl_kw *w = &r->out.w;
	struct sl_slice type = kg->g.protocol_type;

	sl_kw_str(w, kg->id);
	sl_kw_str(w, type.p ? type : (struct sl_slice){(const uint8_t *)"", 0});
	if (r->version >= 4)
		sl_kw_cstr(w, sl_group_state_name(kg->g.state));
	if (r->version >= 5)
		sl_kw_cstr(w, GROUP_TYPE);
	sl_kw_tags(w);
}

int sl_kapi_list_groups(struct sl_kreq *r)
{
	const struct sl_kgroups *ks = r->server->groups;
	struct filter states = {0}, types = {0};
	struct sl_kw *w = &r->out.w;
	const struct sl_kgroup *kg;
	bool pass[SL_GROUP_DEAD + 1];
	uint32_t n = 0;

	if ((r->version >= 4 && parse_filter(&r->in, &states)) ||
	    (r->version >= 5 && parse_filter(&r->in, &types)))
		return -E2BIG;
	sl_kr_tags(&r->in);
	if (r->in.rd.bad)
		return -EPROTO;
	bool open = ks->state == SL_KGROUPS_OPEN && passes(&types, GROUP_TYPE);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(pass); i++)
		pass[i] = open && passes(&states, sl_group_state_name((enum sl_group_state)i));
	TAILQ_FOREACH(kg, &ks->all, link)
	n += pass[kg->g.state];
	sl_kreq_begin(r);
	if (r->version >= 1)
		sl_kw_i32(w, 0); /* throttle time */
	sl_kw_i16(w, 0);
	sl_kw_array(w, n);
	TAILQ_FOREACH(kg, &ks->all, link)
	if (pass[kg->g.state])
		put_group(r, kg);
	sl_kw_tags(w);
	sl_kreq_done(r);
	return 0;
}
