/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_rebind.c - the listeners' topics as they are now, while ingest lcores run.
 *
 * A listener whose topic was deleted keeps the deleted one: its records are framed, handed over and
 * refused there, which counts them as append_failed[deleted]. When a topic of that name is there
 * again, they go to it. A topic that grew is used in all of its partitions, unless the lcore's
 * batches are too few for that: then it stays as it was, and a line says so.
 *
 * What was replaced is given back in two steps: each lcore has exchanged its arrays, and every
 * batch that it had handed over until then has come back from its writer.
 */
#include <errno.h>
#include <stdlib.h>

#include "dp_int.h"
#include "platform/base/log.h"
#include "route.h"

struct dp_old {
	struct dp_topic *topic;
	uint32_t topics;
	uint32_t *listener_topic;
	struct sl_route *route[SL_CFG_CPUS_MAX]; /* offered; afterwards with the old arrays */
	bool passed;
	uint32_t *given; /* by lcore and writer: batches handed over until all had passed */
};

/* ---- giving back --------------------------------------------------------------------------- */

static void free_old(struct sl_dataplane *dp)
{
	struct dp_old *o = dp->old;

	if (!o)
		return;
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		sl_route_free(o->route[n]);
	for (uint32_t i = 0; i < o->topics; i++)
		sl_topic_put(o->topic[i].topic);
	free(o->topic);
	free(o->listener_topic);
	free(o->given);
	free(o);
	dp->old = NULL;
}

static bool all_passed(struct sl_dataplane *dp)
{
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		if (!sl_ingest_took(dp->ingest[n].loop))
			return false;
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		for (uint32_t w = 0; w < dp->writer_cnt; w++)
			dp->old->given[n * dp->writer_cnt + w] =
				sl_handoff_given(&dp->ingest[n].lane[w]);
	return true;
}

static bool all_back(const struct sl_dataplane *dp)
{
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		for (uint32_t w = 0; w < dp->writer_cnt; w++)
			if (!sl_handoff_returned(&dp->ingest[n].lane[w],
						 dp->old->given[n * dp->writer_cnt + w]))
				return false;
	return true;
}

bool sl_dp_routes_reap(struct sl_dataplane *dp)
{
	struct dp_old *o = dp->old;

	if (!o)
		return true;
	if (!o->passed)
		o->passed = all_passed(dp);
	if (!o->passed || !all_back(dp))
		return false;
	free_old(dp);
	return true;
}

void sl_dp_routes_drop(struct sl_dataplane *dp)
{
	free_old(dp);
}

/* ---- looking ------------------------------------------------------------------------------- */

struct look { /* the topics of the listeners as they are now */
	struct dp_topic *topic;
	uint32_t topics;
	uint32_t *listener_topic;
};

static void unlook(struct look *l)
{
	for (uint32_t i = 0; l->topic && i < l->topics; i++)
		sl_topic_put(l->topic[i].topic);
	free(l->topic);
	free(l->listener_topic);
}

/* The topic of listener i: by name, or the deleted one that it had. Referenced. */
static struct sl_topic *topic_now(struct sl_dataplane *dp, uint32_t i)
{
	const char *name = dp->config->listener[i].topic;
	struct sl_topic *t = sl_store_topic_find(dp->store, name, strlen(name));

	return t ? t : sl_topic_ref(dp->topic[dp->listener_topic[i]].topic);
}

static int look(struct sl_dataplane *dp, struct look *l)
{
	uint32_t cnt = dp->config->listener_cnt;

	l->topic = calloc(cnt + 1, sizeof(*l->topic));
	l->listener_topic = calloc(cnt + 1, sizeof(*l->listener_topic));
	if (!l->topic || !l->listener_topic)
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct dp_topic *old = &dp->topic[dp->listener_topic[i]];
		struct sl_topic *t = topic_now(dp, i);
		uint32_t k = 0;
		while (k < l->topics && l->topic[k].topic != t)
			k++;
		l->listener_topic[i] = k;
		if (k < l->topics) {
			sl_topic_put(t); /* one reference is enough */
			continue;
		}
		l->topic[l->topics++] = (struct dp_topic){
			.topic = t,
			.used = SL_MIN(old->used, sl_topic_partitions(t)),
			.told = old->told,
		};
	}
	return 0;
}

static bool on_lcore(const struct sl_dataplane *dp, const struct look *l, uint32_t k, uint32_t n)
{
	for (uint32_t i = 0; i < dp->config->listener_cnt; i++)
		if (l->listener_topic[i] == k && dp->config->listener[i].port % dp->ingest_cnt == n)
			return true;
	return false;
}

static uint32_t used_on(const struct sl_dataplane *dp, const struct look *l, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t k = 0; k < l->topics; k++)
		if (on_lcore(dp, l, k, n))
			sum += l->topic[k].used;
	return sum;
}

/* Every partition can have a batch open, and one must be left to go on with. */
static bool fits(const struct sl_dataplane *dp, const struct look *l, uint32_t k, uint32_t more)
{
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		if (on_lcore(dp, l, k, n) &&
		    used_on(dp, l, n) + more >= sl_ingest_batches(dp->ingest[n].loop))
			return false;
	return true;
}

static void use_more(const struct sl_dataplane *dp, struct look *l)
{
	for (uint32_t k = 0; k < l->topics; k++) {
		struct dp_topic *t = &l->topic[k];
		uint32_t all = sl_topic_partitions(t->topic);
		if (fits(dp, l, k, all - t->used)) {
			t->used = all;
		} else if (t->told != all) {
			sl_log(SL_LOG_WARN, "dataplane",
			       "topic %s has %u partitions now; the batches of dataplane.memory "
			       "suffice for no more: listeners go on with its first %u",
			       sl_topic_name(t->topic), all, t->used);
			t->told = all;
		}
	}
}

/* Also keeps in mind what was said. */
static bool same(struct sl_dataplane *dp, const struct look *l)
{
	for (uint32_t i = 0; i < dp->config->listener_cnt; i++) {
		struct dp_topic *a = &dp->topic[dp->listener_topic[i]];
		const struct dp_topic *b = &l->topic[l->listener_topic[i]];
		if (a->topic != b->topic || a->used != b->used)
			return false;
		a->told = b->told;
	}
	return true;
}

/* ---- routes -------------------------------------------------------------------------------- */

static int make_route(struct sl_dataplane *dp, const struct look *l, uint32_t n,
		      struct sl_route **ret_route)
{
	uint32_t cnt = dp->config->listener_cnt, topics = 0;
	struct sl_route_topic *topic = calloc(cnt + 1, sizeof(*topic));
	struct sl_ingest_listener *listener = calloc(cnt + 1, sizeof(*listener));
	int rc = topic && listener ? 0 : -ENOMEM;

	if (!rc)
		memcpy(listener, sl_ingest_listeners(dp->ingest[n].loop), cnt * sizeof(*listener));
	for (uint32_t i = 0; !rc && i < cnt; i++) {
		struct dp_topic *t = &l->topic[l->listener_topic[i]];
		uint32_t k = 0;
		if (!listener[i].decoder) /* not on this lcore */
			continue;
		while (k < topics && topic[k].topic != t->topic)
			k++;
		if (k == topics)
			topic[topics++] = (struct sl_route_topic){.topic = t->topic,
								  .partitions = t->used,
								  .max_bytes = &t->max_bytes};
		listener[i].topic = k;
	}
	if (!rc)
		rc = sl_route_new(topic, topics, listener, cnt, dp->writer_cnt, ret_route);
	free(topic);
	free(listener);
	return rc;
}

static int make_routes(struct sl_dataplane *dp, const struct look *l, struct dp_old *o)
{
	int rc = 0;

	o->given = calloc((size_t)dp->ingest_cnt * dp->writer_cnt + 1, sizeof(*o->given));
	if (!o->given)
		return -ENOMEM;
	for (uint32_t n = 0; !rc && n < dp->ingest_cnt; n++)
		rc = make_route(dp, l, n, &o->route[n]);
	return rc;
}

int sl_dp_rebind(struct sl_dataplane *dp)
{
	struct look l = {0};
	struct dp_old *o = NULL;
	int rc;

	if (!sl_dp_routes_reap(dp))
		return -EAGAIN;
	rc = look(dp, &l);
	if (rc)
		goto fail;
	use_more(dp, &l);
	if (same(dp, &l))
		goto fail; /* nothing of ours has changed */
	o = calloc(1, sizeof(*o));
	rc = o ? make_routes(dp, &l, o) : -ENOMEM;
	if (rc)
		goto fail;
	o->topic = dp->topic;
	o->topics = dp->topics;
	o->listener_topic = dp->listener_topic;
	dp->topic = l.topic;
	dp->topics = l.topics;
	dp->listener_topic = l.listener_topic;
	dp->old = o;
	sl_dp_refresh_topics(dp); /* before anybody reads a size of 0 */
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		sl_ingest_offer(dp->ingest[n].loop, o->route[n]);
	return 0;
fail:
	for (uint32_t n = 0; o && n < dp->ingest_cnt; n++)
		sl_route_free(o->route[n]);
	free(o ? o->given : NULL);
	free(o);
	unlook(&l);
	return rc;
}
