/* SPDX-License-Identifier: Apache-2.0 */
/* intake_topic.c - the topics that messages go to: found, made by a worker, at most so many. */
#include <errno.h>
#include <stdlib.h>

#include "intake_int.h"
#include "platform/base/murmur2.h"

#define COUNT_NS 1000000000u /* counting all topics again, at most so often */

struct make {
	struct sl_job job;
	struct sl_in_ring *ring;
	struct sl_store *store;
	char name[SL_TOPIC_NAME_MAX + 1];
	uint32_t partitions;
	struct sl_topic_layers layers;
	bool by_rule; /* counts against mqtt.max_topics */
	int rc;
};

/* ---- those that rules could have made -------------------------------------------------------- */

/* The template's next {name} or its end; braces that are doubled are text. */
static const char *brace(const char *p)
{
	while (*p && *p != '{')
		p++;
	return p[0] == '{' && p[1] == '{' ? brace(p + 2) : p;
}

static bool has_placeholder(const char *rule)
{
	return *brace(rule) == '{';
}

/* As a glob in which each {name} is one byte or more: on a mismatch the last one takes one more. */
bool sl_in_topic_could_be(const char *rule, const char *topic)
{
	const char *behind = NULL, *from = NULL;

	for (;;) {
		if (*rule == '{') {
			behind = strchr(rule, '}');
			if (!behind || !*topic)
				return false;
			rule = ++behind;
			from = ++topic;
		} else if (*rule == *topic) {
			if (!*topic)
				return true;
			rule++;
			topic++;
		} else if (behind && *from) {
			rule = behind;
			topic = ++from;
		} else {
			return false;
		}
	}
}

static bool by_config(const struct sl_config *c, const char *name)
{
	for (uint32_t i = 0; i < c->topic_cnt; i++)
		if (!strcmp(c->topic[i].name, name))
			return true;
	return false;
}

static int count_one(struct sl_topic *t, void *arg)
{
	struct sl_intake *in = arg;
	const struct sl_config *c = in->config;
	const char *name = sl_topic_name(t);

	if (by_config(c, name))
		return 0;
	for (uint32_t i = 0; i < c->mqtt.rule_cnt; i++) {
		if (has_placeholder(c->mqtt.rule[i].topic) &&
		    sl_in_topic_could_be(c->mqtt.rule[i].topic, name)) {
			in->made++;
			break;
		}
	}
	return 0;
}

static void count_all(struct sl_intake *in)
{
	in->made = 0;
	in->counted_ns = in->now_ns;
	sl_store_topics(in->cfg.store, count_one, in);
}

static bool too_many(struct sl_intake *in)
{
	if (in->made >= in->config->mqtt.max_topics && in->now_ns - in->counted_ns > COUNT_NS)
		count_all(in); /* some may have been deleted */
	return in->made >= in->config->mqtt.max_topics;
}

/* ---- making one ------------------------------------------------------------------------------ */

static void make_run(struct sl_job *j, void *worker)
{
	struct make *m = SL_CONTAINER_OF(j, struct make, job);
	(void)worker;

	m->rc = sl_store_topic_create(m->store, m->name, m->partitions, &m->layers, NULL);
}

static void make_done(struct sl_job *j)
{
	struct make *m = SL_CONTAINER_OF(j, struct make, job);
	struct sl_in_ring *r = m->ring;
	struct sl_intake *in = r->in;

	r->making = false;
	r->make_err = m->rc == -EEXIST ? 0 : m->rc;
	if (m->rc == 0) {
		in->made += m->by_rule;
		sl_log(SL_LOG_INFO, "mqtt", "topic %s made, %u partitions", m->name, m->partitions);
	} else if (m->rc != -EEXIST) {
		sl_log_limited(&in->log_topics, SL_LOG_WARN, "mqtt", "topic %s cannot be made: %s",
			       m->name, strerror(-m->rc));
	}
	free(m);
}

/* What the config says of it, as the Kafka port makes topics. */
static void fill_layers(const struct sl_config *c, const struct sl_cfg_rule *rule, struct make *m)
{
	m->layers = (struct sl_topic_layers){.base = c->kafka.topic_defaults};
	m->partitions = rule && rule->partitions ? rule->partitions : c->kafka.num_partitions;
	for (uint32_t i = 0; i < c->topic_cnt; i++) {
		if (strcmp(c->topic[i].name, m->name))
			continue;
		m->layers.base = c->topic[i].cfg;
		m->layers.base_set = c->topic[i].set;
		m->partitions = c->topic[i].partitions;
	}
}

static int make_start(struct sl_in_ring *r)
{
	struct sl_intake *in = r->in;
	const struct sl_map_out *o = &in->out_map;
	bool by_rule = o->rule && has_placeholder(o->rule->topic);

	if (by_rule && too_many(in)) {
		sl_log_limited(&in->log_topics, SL_LOG_ERROR, "mqtt",
			       "topic %s is not made: mqtt.max_topics (%u) is reached", o->topic,
			       in->config->mqtt.max_topics);
		return -EMFILE;
	}
	struct make *m = calloc(1, sizeof(*m));
	if (!m)
		return -EAGAIN;
	m->job = (struct sl_job){.run = make_run, .done = make_done};
	m->ring = r;
	m->store = in->cfg.store;
	m->by_rule = by_rule;
	memcpy(m->name, o->topic, o->topic_len + 1);
	fill_layers(in->config, o->rule, m);
	if (sl_pool_submit(in->pool, &m->job)) {
		free(m);
		return -EAGAIN;
	}
	r->making = true;
	return -EINPROGRESS;
}

/* ---- the cache ------------------------------------------------------------------------------- */

static struct sl_in_topic_list *bucket(struct sl_intake *in, const char *name, uint32_t len)
{
	return &in->topics[sl_murmur2(name, len) & (SL_IN_TOPICS - 1)];
}

static void entry_free(struct sl_in_topic *e)
{
	sl_topic_put(e->t);
	free(e);
}

void sl_in_topic_drop(struct sl_intake *in, struct sl_in_topic *e)
{
	if (!e->cached)
		return;
	e->cached = false;
	TAILQ_REMOVE(bucket(in, e->name, e->len), e, link);
	if (!e->uses)
		entry_free(e);
}

void sl_in_topic_unuse(struct sl_in_topic *e)
{
	SL_ASSERT(e->uses > 0);
	if (--e->uses == 0 && !e->cached)
		entry_free(e);
}

static struct sl_in_topic *cached(struct sl_intake *in, const char *name, uint32_t len)
{
	struct sl_in_topic *e;

	TAILQ_FOREACH(e, bucket(in, name, len), link)
	if (e->len == len && !memcmp(e->name, name, len))
		return e;
	return NULL;
}

/* Takes the reference. */
static void entry_fill(struct sl_in_topic *e, struct sl_topic *t, uint64_t generation)
{
	struct sl_topic_cfg tc;

	sl_topic_cfg_get(t, &tc);
	e->t = t;
	e->generation = generation;
	e->parts = sl_topic_partitions(t);
	e->batch_max =
		(uint32_t)SL_MIN(SL_MAX(tc.max_message_bytes, 0), (int32_t)SL_BATCH_MAX_BYTES);
}

/* Topics have come, gone or grown: NULL if this one is another now. */
static struct sl_in_topic *again(struct sl_intake *in, struct sl_in_topic *e, uint64_t generation)
{
	struct sl_topic *t = sl_store_topic_find(in->cfg.store, e->name, e->len);

	if (t != e->t) {
		sl_topic_put(t);
		sl_in_topic_drop(in, e);
		return NULL;
	}
	sl_topic_put(t); /* the entry has its own */
	entry_fill(e, t, generation);
	return e;
}

static int entry_new(struct sl_intake *in, uint64_t generation, struct sl_in_topic **ret)
{
	const struct sl_map_out *o = &in->out_map;
	struct sl_topic *t = sl_store_topic_find(in->cfg.store, o->topic, o->topic_len);
	struct sl_in_topic *e;

	if (!t)
		return -ENOENT;
	e = calloc(1, sizeof(*e));
	if (!e) {
		sl_topic_put(t);
		return -EAGAIN;
	}
	memcpy(e->name, o->topic, o->topic_len + 1);
	e->len = o->topic_len;
	entry_fill(e, t, generation);
	e->cached = true;
	TAILQ_INSERT_HEAD(bucket(in, e->name, e->len), e, link);
	*ret = e;
	return 0;
}

int sl_in_topic_get(struct sl_in_ring *r, struct sl_in_topic **ret_topic)
{
	struct sl_intake *in = r->in;
	const struct sl_map_out *o = &in->out_map;
	/* before looking: what comes meanwhile is found with the next message */
	uint64_t generation = sl_store_generation(in->cfg.store);
	struct sl_in_topic *e = cached(in, o->topic, o->topic_len);

	if (e && sl_unlikely(e->generation != generation))
		e = again(in, e, generation);
	if (sl_likely(e != NULL)) {
		*ret_topic = e;
		return 0;
	}
	if (r->making)
		return -EINPROGRESS;
	int rc = entry_new(in, generation, ret_topic);
	if (rc != -ENOENT)
		return rc;
	rc = r->make_err;
	r->make_err = 0;
	return rc ? rc : make_start(r);
}

void sl_in_topics_init(struct sl_intake *in)
{
	for (unsigned i = 0; i < SL_IN_TOPICS; i++)
		TAILQ_INIT(&in->topics[i]);
	count_all(in);
}

void sl_in_topics_fini(struct sl_intake *in)
{
	struct sl_in_topic *e;

	for (unsigned i = 0; i < SL_IN_TOPICS; i++)
		while ((e = TAILQ_FIRST(&in->topics[i])))
			sl_in_topic_drop(in, e);
}
