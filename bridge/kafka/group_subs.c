/* SPDX-License-Identifier: Apache-2.0 */
/* group_subs.c - what a consumer group reads: the one protocol type whose metadata is looked into.
 */
#include <stdlib.h>

#include "codec.h"
#include "group_priv.h"

bool sl_group_is_consumer(const struct sl_group *g)
{
	static const char type[] = "consumer";
	return sl_slice_eq(g->protocol_type,
			   (struct sl_slice){(const uint8_t *)type, sizeof(type) - 1});
}

static int by_content(const void *x, const void *y)
{
	const struct sl_slice *a = x, *b = y;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len ? memcmp(a->p, b->p, a->len) : 0;
}

/* Sorted, each once: members of a group mostly name the same ones. */
static void sort(struct sl_gsubs *s)
{
	uint32_t n = 0;

	qsort(s->topic, s->cnt, sizeof(*s->topic), by_content);
	for (uint32_t i = 0; i < s->cnt; i++)
		if (i == 0 || by_content(&s->topic[i], &s->topic[n - 1]))
			s->topic[n++] = s->topic[i];
	s->cnt = n;
}

static void add(struct sl_gsubs *s, struct sl_slice topic)
{
	if (s->cnt == SL_GROUP_SUBS_MAX) {
		sort(s);
		/* so many are different: sorting them again and again would take long */
		s->all = s->cnt > SL_GROUP_SUBS_MAX / 2;
	}
	if (!s->all)
		s->topic[s->cnt++] = topic;
}

/* ConsumerProtocolSubscription: version i16, topics [STRING], more that does not matter here. */
static void add_member(struct sl_gsubs *s, struct sl_slice metadata)
{
	struct sl_kr r = {0};

	sl_rd_init(&r.rd, metadata.p, metadata.len);
	sl_kr_i16(&r);
	uint32_t n = sl_kr_array(&r, 2);
	for (uint32_t i = 0; i < n && !r.rd.bad && !s->all; i++)
		add(s, sl_kr_str(&r));
	s->all |= r.rd.bad;
}

void sl_gsubs_init(struct sl_gsubs *s, const struct sl_group *g)
{
	const struct sl_gmember *m = TAILQ_FIRST(&g->members);

	*s = (struct sl_gsubs){0};
	if (!m || !sl_group_is_consumer(g))
		return;
	s->topic = malloc(SL_GROUP_SUBS_MAX * sizeof(*s->topic));
	s->all = !s->topic || !g->protocol.p;
	for (; m && !s->all; m = TAILQ_NEXT(m, link))
		add_member(s, sl_gmember_metadata(m, g->protocol));
	if (!s->all)
		sort(s);
}

bool sl_gsubs_has(const struct sl_gsubs *s, struct sl_slice topic)
{
	return s->all || (s->cnt && bsearch(&topic, s->topic, s->cnt, sizeof(topic), by_content));
}

void sl_gsubs_fini(struct sl_gsubs *s)
{
	free(s->topic);
	*s = (struct sl_gsubs){0};
}
