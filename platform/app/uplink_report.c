/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_report.h"

#include <errno.h>

#include "bridges.h"
#include "platform/http/prom.h"

static void set(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void set_text(json_t *o, const char *key, const char *s)
{
	json_t *v = json_string(s);

	/* what is not UTF-8 came from a library's or a peer's mouth */
	json_object_set_new(o, key, v ? v : json_string("(not readable as text)"));
}

/* ---- the status document -----------------------------------------------------------------------
 */

static void add_mirror(json_t *o, struct sl_uplink *u)
{
	struct sl_mirror_stats m;
	json_t *v;

	if (!sl_uplink_mirror(u, &m))
		return;
	v = json_object();
	json_object_set_new(v, "connected", json_boolean(m.connected));
	json_object_set_new(v, "lag_records", m.lag < 0 ? json_null() : json_integer(m.lag));
	set(v, "refused", m.refused);
	set_text(v, "last_error", m.last_error);
	json_object_set_new(o, "mirror", v);
}

json_t *sl_uplink_json(struct sl_gateway *g, const struct sl_ledger *l)
{
	struct sl_uplink_stats s;
	json_t *o = json_object();

	sl_uplink_stats(g->uplink, &s);
	set_text(o, "state", sl_up_state_name(s.state));
	set_text(o, "alarm", sl_up_alarm_name(s.alarm));
	set(o, "lag_records", s.backlog);
	json_object_set_new(o, "oldest_s",
			    json_real(s.oldest_ms < 0 ? 0 : (double)s.oldest_ms / 1e3));
	set_text(o, "last_error", s.last_error);
	json_object_set_new(o, "retry_s", json_real((double)s.retry_ms / 1e3));
	set(o, "rate_bytes", s.rate_bytes);
	set(o, "carried", s.carried);
	sl_bridges_json(o, "uplink", l);
	add_mirror(o, g->uplink);
	return o;
}

void sl_uplink_log_json(json_t *log, struct sl_gateway *g, const struct sl_ledger *l)
{
	struct sl_uplink_stats s;

	sl_uplink_stats(g->uplink, &s);
	set(log, "forwarded", s.forwarded);
	set(log, "backlog", s.backlog);
	set(log, "evicted_unsent", s.evicted_unsent);
	set(log, "dead_letter", s.dead_letter);
	set(log, "difference", l->log_difference + s.difference);
}

/* ---- Prometheus
 * ---------------------------------------------------------------------------------- */

static void one(FILE *f, const char *name, enum sl_prom_type type, const char *help, uint64_t v)
{
	sl_prom_family(f, name, type, help);
	sl_prom_u64(f, name, NULL, 0, v);
}

static void states(FILE *f, const struct sl_uplink_stats *s)
{
	sl_prom_family(f, "sluice_uplink_state", SL_PROM_GAUGE, "1 for the state it is in.");
	for (unsigned i = 0; i < SL_UP_STATE_CNT; i++)
		sl_prom_u64(f, "sluice_uplink_state",
			    (const struct sl_prom_label[]){{"state", sl_up_state_name(i)}}, 1,
			    i == s->state);
	sl_prom_family(f, "sluice_uplink_alarm", SL_PROM_GAUGE,
		       "1 while the uplink has stopped for that reason.");
	for (unsigned i = SL_UP_ALARM_NONE + 1; i < SL_UP_ALARM_CNT; i++)
		sl_prom_u64(f, "sluice_uplink_alarm",
			    (const struct sl_prom_label[]){{"reason", sl_up_alarm_name(i)}}, 1,
			    i == s->alarm);
}

void sl_uplink_metrics(FILE *f, struct sl_gateway *g)
{
	struct sl_uplink_stats s;
	struct sl_mirror_stats m;

	sl_uplink_stats(g->uplink, &s);
	states(f, &s);
	one(f, "sluice_uplink_lag_records", SL_PROM_GAUGE, "Records not sent to the centre yet.",
	    s.backlog);
	one(f, "sluice_uplink_lag_seconds", SL_PROM_GAUGE,
	    "Age of the oldest record not sent, by its timestamp.",
	    s.oldest_ms < 0 ? 0 : (uint64_t)s.oldest_ms / 1000);
	one(f, "sluice_uplink_rate_limit_bytes", SL_PROM_GAUGE,
	    "Bytes a second that may be sent, 0: no limit.", s.rate_bytes);
	one(f, "sluice_uplink_carried_records_total", SL_PROM_COUNTER,
	    "Records appended to topics that are carried.", s.carried);
	one(f, "sluice_uplink_forwarded_records_total", SL_PROM_COUNTER,
	    "Records that the centre has committed.", s.forwarded);
	one(f, "sluice_uplink_dead_letter_records_total", SL_PROM_COUNTER,
	    "Records that the centre refused for good.", s.dead_letter);
	one(f, "sluice_uplink_evicted_unsent_records_total", SL_PROM_COUNTER,
	    "Records deleted here before they were sent.", s.evicted_unsent);
	one(f, "sluice_uplink_difference_records", SL_PROM_GAUGE,
	    "Records carried that are in none of these and not in the backlog.", s.difference);
	if (!sl_uplink_mirror(g->uplink, &m))
		return;
	one(f, "sluice_mirror_connected", SL_PROM_GAUGE, "1 if the centre answered the mirror.",
	    m.connected);
	sl_prom_family(f, "sluice_mirror_lag_records", SL_PROM_GAUGE,
		       "Records at the centre that are not copied down yet, -1: not known.");
	sl_prom_i64(f, "sluice_mirror_lag_records", NULL, 0, m.lag);
}

/* ---- orders
 * ----------------------------------------------------------------------------------------- */

static json_t *refuse(const char *why)
{
	return json_pack("{s:s}", "error", why);
}

struct lags {
	json_t *topics;
};

static int topic_lag(struct sl_topic *t, void *arg)
{
	struct lags *l = arg;
	uint64_t lag = 0;
	bool carried = false, unknown = false;
	json_t *o;

	for (uint32_t i = 0; i < sl_topic_partitions(t); i++) {
		struct sl_part *p = sl_topic_part(t, (int32_t)i);
		int64_t sent = sl_part_forwarded(p), end = sl_part_end(p);
		unknown |= sent < 0;
		carried |= sent >= 0;
		if (sent >= 0)
			lag += (uint64_t)(end - SL_MIN(SL_MAX(sent, sl_part_start(p)), end));
	}
	if (!carried)
		return 0;
	o = json_object();
	set_text(o, "name", sl_topic_name(t));
	set(o, "partitions", sl_topic_partitions(t));
	set(o, "lag_records", lag);
	json_object_set_new(o, "known", json_boolean(!unknown));
	json_array_append_new(l->topics, o);
	return 0;
}

/* What it is after an order, and on demand: the status document's part with the topics. */
static json_t *answer(struct sl_gateway *g)
{
	struct lags l = {.topics = json_array()};
	struct sl_ledger books;
	json_t *o;

	sl_ledger_read(g->counters, true, &books);
	sl_store_topics(g->store, topic_lag, &l);
	o = sl_uplink_json(g, &books);
	json_object_set_new(o, "topics", l.topics);
	json_object_set_new(o, "gateway", json_string(g->config->gateway.id));
	json_object_set_new(o, "bootstrap", json_string(g->config->uplink.bootstrap));
	return o;
}

static json_t *told(struct sl_gateway *g, int rc)
{
	char text[128];

	switch (rc) {
	case 0:
		return answer(g);
	case -EALREADY:
		return refuse("there is no alarm: nothing to adopt");
	case -EBUSY:
		return refuse("the data directory is a copy: decide about that first (adopt)");
	case -ETIMEDOUT:
		return refuse("the uplink's thread does not answer: it waits for the disk");
	default:
		snprintf(text, sizeof(text),
			 "state/uplink cannot be written, nothing is changed: %s", strerror(-rc));
		return refuse(text);
	}
}

static json_t *none(void)
{
	return refuse("there is no uplink: the config names no uplink.bootstrap");
}

json_t *sl_uplink_on_status(void *arg, SL_UNUSED const json_t *req)
{
	return answer(arg);
}

json_t *sl_uplink_on_pause(void *arg, SL_UNUSED const json_t *req)
{
	struct sl_gateway *g = arg;

	return g->uplink ? told(g, sl_uplink_pause(g->uplink)) : none();
}

json_t *sl_uplink_on_resume(void *arg, SL_UNUSED const json_t *req)
{
	struct sl_gateway *g = arg;

	return g->uplink ? told(g, sl_uplink_resume(g->uplink)) : none();
}

json_t *sl_uplink_on_rate(void *arg, const json_t *req)
{
	struct sl_gateway *g = arg;
	const json_t *v = json_object_get(req, "bytes_per_s");

	if (!g->uplink)
		return none();
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return refuse("bytes_per_s has to be a number, 0 for no cap");
	return told(g, sl_uplink_rate(g->uplink, (uint64_t)json_integer_value(v)));
}

json_t *sl_uplink_on_adopt(void *arg, SL_UNUSED const json_t *req)
{
	struct sl_gateway *g = arg;

	return g->uplink ? told(g, sl_uplink_adopt(g->uplink)) : none();
}
