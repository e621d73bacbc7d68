/* SPDX-License-Identifier: Apache-2.0 */
/* api_delete_groups.c - DeleteGroups (key 42), versions 0 to 2. */
#include <errno.h>
#include <stdlib.h>

#include "errors.h"
#include "groups.h"

struct del;

struct one {
	struct del *del;
	struct sl_slice id; /* borrows from the frame */
	int16_t err;
};

struct del {
	struct sl_kgroup_wait wait;
	uint32_t cnt;
	uint32_t left; /* deletions under way, and one until all are begun */
	struct one group[];
};

static void answer(struct del *d)
{
	struct sl_kreq *r = d->wait.req;
	struct sl_kw *w = &r->out.w;

	sl_kreq_begin(r);
	sl_kw_i32(w, 0); /* throttle time */
	sl_kw_array(w, d->cnt);
	for (uint32_t i = 0; i < d->cnt; i++) {
		sl_kw_str(w, d->group[i].id);
		sl_kw_i16(w, d->group[i].err);
		sl_kw_tags(w);
	}
	sl_kw_tags(w);
	sl_kgroups_answer(r->server->groups, &d->wait);
}

static void deleted(void *arg, int16_t err)
{
	struct one *x = arg;

	x->err = err;
	if (--x->del->left == 0)
		answer(x->del);
}

static void begin(struct sl_kgroups *ks, struct one *x)
{
	struct sl_kgroup *kg = sl_kgroups_known(ks, x->id);

	if (!kg) {
		x->err = SL_KERR_GROUP_ID_NOT_FOUND;
	} else if (!sl_group_is_vacant(&kg->g) || kg->writes) {
		x->err = SL_KERR_NON_EMPTY_GROUP; /* somebody who is committing uses it, too */
	} else {
		x->del->left++;
		sl_kgroup_delete(ks, kg, deleted, x);
	}
}

int sl_kapi_delete_groups(struct sl_kreq *r)
{
	struct sl_kr *in = &r->in;
	uint32_t n = sl_kr_array(in, in->flex ? 1 : 2);

	if (n > SL_KREQ_TOPICS_MAX)
		return -E2BIG;
	struct del *d = calloc(1, sizeof(*d) + n * sizeof(d->group[0]));
	if (!d)
		return -ENOMEM;
	d->wait.req = r;
	d->cnt = n;
	d->left = 1;
	for (uint32_t i = 0; i < n; i++)
		d->group[i] = (struct one){.del = d, .id = sl_kr_str(in)};
	sl_kr_tags(in);
	if (in->rd.bad) {
		free(d);
		return -EPROTO;
	}
	for (uint32_t i = 0; i < n; i++)
		begin(r->server->groups, &d->group[i]);
	if (--d->left == 0)
		answer(d);
	return 0;
}
