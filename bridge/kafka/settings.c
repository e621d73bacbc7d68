/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "platform/base/carried.h"

/* ---- the table ------------------------------------------------------------------------------- */

#define FOREVER    "9223372036854775807"
#define NO_REPLICA "one node holds every partition"
#define NO_CLEANER "nothing is compacted in this version"
#define NO_REMOTE  "there is no tiered storage"

/* What has no effect of its own here; with `fixed` NULL: storage.flush_interval. */
struct fixed {
	const char *fixed;
	const char *broker; /* Kafka's broker setting of it; NULL: none */
	uint8_t type;
	const char *why;
};

struct row {
	const char *name;
	const struct fixed *fixed; /* NULL: a row of topic_cfg.h */
	/* Kafka's broker setting has no default of its own (log.retention.ms and the like give way
	 * to others), or there is no such setting: then there is no synonym for it */
	bool no_default;
};

/* clang-format off: a table */
#define SET(n)                                                                                     \
	{                                                                                          \
		.name = n                                                                          \
	}
#define SET_NULL(n)                                                                                \
	{                                                                                          \
		.name = n, .no_default = true                                                      \
	}
#define FIX(n, v, b, t, w)                                                                         \
	{                                                                                          \
		.name = n, .fixed = &(const struct fixed)                                          \
		{                                                                                  \
			v, b, SL_SET_##t, w                                                        \
		}                                                                                  \
	}

/* In the order of names. */
static const struct row rows[] = {
	SET("cleanup.policy"),
	FIX("compression.gzip.level", "-1", "compression.gzip.level", INT,
	    "batches are compressed at zlib's own level"),
	FIX("compression.lz4.level", "9", "compression.lz4.level", INT,
	    "batches are compressed by the fast compressor"),
	SET("compression.type"),
	FIX("compression.zstd.level", "3", "compression.zstd.level", INT,
	    "batches are compressed at zstd's own level"),
	FIX("delete.retention.ms", "86400000", "log.cleaner.delete.retention.ms", LONG, NO_CLEANER),
	FIX("file.delete.delay.ms", "0", "log.segment.delete.delay.ms", LONG,
	    "files go when their last reader has let go"),
	FIX("flush.messages", FOREVER, "log.flush.interval.messages", LONG,
	    "storage.sync in the config file says when records are synced"),
	FIX("flush.ms", NULL, "log.flush.interval.ms", LONG,
	    "storage.flush_interval in the config file says when records are synced at the latest"),
	FIX("follower.replication.throttled.replicas", "", NULL, LIST, NO_REPLICA),
	SET("index.interval.bytes"),
	FIX("leader.replication.throttled.replicas", "", NULL, LIST, NO_REPLICA),
	FIX("local.retention.bytes", "-2", "log.local.retention.bytes", LONG, NO_REMOTE),
	FIX("local.retention.ms", "-2", "log.local.retention.ms", LONG, NO_REMOTE),
	FIX("max.compaction.lag.ms", FOREVER, "log.cleaner.max.compaction.lag.ms", LONG,
	    NO_CLEANER),
	SET("max.message.bytes"),
	FIX("message.downconversion.enable", "false", "log.message.downconversion.enable", BOOLEAN,
	    "records leave as they are stored"),
	FIX("message.format.version", "3.0-IV1", "log.message.format.version", STRING,
	    "there is one format, record batches of magic 2"),
	SET("message.timestamp.after.max.ms"),
	SET("message.timestamp.before.max.ms"),
	FIX("message.timestamp.difference.max.ms", FOREVER,
	    "log.message.timestamp.difference.max.ms", LONG,
	    "message.timestamp.before.max.ms and message.timestamp.after.max.ms replace it"),
	SET("message.timestamp.type"),
	FIX("min.cleanable.dirty.ratio", "0.5", "log.cleaner.min.cleanable.ratio", DOUBLE,
	    NO_CLEANER),
	FIX("min.compaction.lag.ms", "0", "log.cleaner.min.compaction.lag.ms", LONG, NO_CLEANER),
	FIX("min.insync.replicas", "1", "min.insync.replicas", INT, NO_REPLICA),
	FIX("preallocate", "false", "log.preallocate", BOOLEAN,
	    "files are written ahead in extents that follow a partition's rate"),
	FIX("remote.log.copy.disable", "false", NULL, BOOLEAN, NO_REMOTE),
	FIX("remote.log.delete.on.disable", "false", NULL, BOOLEAN, NO_REMOTE),
	FIX("remote.storage.enable", "false", NULL, BOOLEAN, NO_REMOTE),
	SET("retention.bytes"),
	SET_NULL("retention.ms"),
	SET("segment.bytes"),
	FIX("segment.index.bytes", "10485760", "log.index.size.max.bytes", INT,
	    "indexes follow the size of their segment"),
	FIX("segment.jitter.ms", "0", NULL, LONG, "segments are closed at segment.ms exactly"),
	SET_NULL("segment.ms"),
	SET_NULL("sluice.acks.all"), /* ours: no broker of Kafka's has a default for it */
	FIX("unclean.leader.election.enable", "false", "unclean.leader.election.enable", BOOLEAN,
	    NO_REPLICA),
};
/* clang-format on */
_Static_assert(SL_ARRAY_SIZE(rows) <= SL_KSETTINGS_MAX, "more rows than a mask has");

uint32_t sl_ktopic_setting_cnt(void)
{
	return SL_ARRAY_SIZE(rows);
}

const char *sl_ktopic_setting_name(uint32_t row)
{
	return rows[row].name;
}

int sl_ktopic_setting_row(struct sl_slice name)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == name.len && !memcmp(rows[i].name, name.p, name.len))
			return (int)i;
	return -1;
}

static const struct sl_topic_setting *effective(const struct row *row, uint32_t *ret_bit)
{
	const struct sl_topic_setting *x = sl_topic_setting_find(row->name, strlen(row->name));
	uint32_t cnt;

	SL_ASSERT(x);
	*ret_bit = sl_topic_setting_bit((uint32_t)(x - sl_topic_settings(&cnt)));
	return x;
}

/* ---- showing --------------------------------------------------------------------------------- */

static void add_syn(struct sl_ksetting *e, const char *name, int8_t source,
		    const struct sl_topic_cfg *cfg, const struct sl_topic_setting *x)
{
	struct sl_ksynonym *y = &e->syn[e->syn_cnt++];

	y->name = name;
	y->source = source;
	y->value = y->buf;
	sl_topic_setting_text(cfg, x, y->buf);
}

static void show_effective(const struct sl_kserver *s, const struct row *row,
			   const struct sl_topic_layers *l, struct sl_ksetting *e)
{
	uint32_t bit;
	const struct sl_topic_setting *x = effective(row, &bit);
	struct sl_topic_cfg force, defaults = {0};
	uint32_t file_set = s->cfg.config ? s->cfg.config->kafka.topic_defaults_set : 0;
	bool by_file = (file_set & bit) || sl_topic_setting_get(&s->topic_defaults, x) != x->def;

	sl_topic_cfg_layer(&force, &l->base, &l->own, l->own_set);
	sl_topic_setting_text(&force, x, e->buf);
	e->value = e->buf;
	e->type = x->type;
	e->help = x->help;
	sl_topic_setting_put(&defaults, x, x->def);
	if (l->own_set & bit)
		add_syn(e, row->name, SL_KSOURCE_TOPIC, &l->own, x);
	if (l->base_set & bit)
		add_syn(e, row->name, SL_KSOURCE_FILE, &l->base, x);
	if (by_file)
		add_syn(e, x->broker, SL_KSOURCE_FILE, &s->topic_defaults, x);
	e->source = e->syn_cnt ? e->syn[0].source : SL_KSOURCE_DEFAULT;
	if (!row->no_default)
		add_syn(e, x->broker, SL_KSOURCE_DEFAULT, &defaults, x);
}

static const char *fixed_value(const struct sl_kserver *s, const struct fixed *f, char *buf,
			       size_t cap)
{
	if (f->fixed)
		return f->fixed;
	snprintf(buf, cap, "%u", s->cfg.config ? s->cfg.config->storage.flush_interval_ms : 0);
	return buf;
}

static void show_fixed(const struct sl_kserver *s, const struct fixed *f, struct sl_ksetting *e)
{
	e->value = fixed_value(s, f, e->buf, sizeof(e->buf));
	e->type = f->type;
	e->help = f->why;
	e->read_only = true;
	e->source = f->fixed ? SL_KSOURCE_DEFAULT : SL_KSOURCE_FILE;
	if (f->broker)
		e->syn[e->syn_cnt++] = (struct sl_ksynonym){
			.name = f->broker, .value = e->value, .source = e->source};
}

void sl_ktopic_setting(const struct sl_kserver *s, uint32_t row,
		       const struct sl_topic_layers *layers, struct sl_ksetting *ret)
{
	const struct row *r = &rows[row];

	ret->name = r->name;
	ret->read_only = false;
	ret->syn_cnt = 0;
	if (r->fixed)
		show_fixed(s, r->fixed, ret);
	else
		show_effective(s, r, layers, ret);
}

/* ---- changing -------------------------------------------------------------------------------- */

static bool same_text(struct sl_slice v, const char *want)
{
	const char *p = (const char *)v.p;
	size_t n = v.len;

	for (; n && isspace((unsigned char)*p); p++, n--)
		;
	for (; n && isspace((unsigned char)p[n - 1]); n--)
		;
	return n == strlen(want) && strncasecmp(p, want, n) == 0;
}

static bool put_fixed(const struct sl_kserver *s, const struct row *row, struct sl_slice value,
		      struct sl_kadmin_err *e)
{
	char buf[32];
	const char *want = fixed_value(s, row->fixed, buf, sizeof(buf));

	if (same_text(value, want))
		return true;
	sl_kadmin_err(e, SL_KERR_INVALID_CONFIG,
		      "Invalid value %.*s for configuration %s: here it is always '%s', because %s",
		      (int)SL_MIN(value.len, 64u), (const char *)value.p, row->name, want,
		      row->fixed->why);
	return false;
}

bool sl_ktopic_setting_put(const struct sl_kserver *s, struct sl_slice name, struct sl_slice value,
			   struct sl_topic_layers *layers, struct sl_kadmin_err *e)
{
	int at = sl_ktopic_setting_row(name);
	const struct row *row = at < 0 ? NULL : &rows[at];
	uint32_t bit;

	if (!row && value.p) {
		sl_kadmin_err(e, SL_KERR_INVALID_CONFIG, "Unknown topic config name: %.*s",
			      SL_KSTR(name));
		return false;
	}
	if (!row)
		return true;
	if (row->fixed)
		return !value.p || put_fixed(s, row, value, e);
	const struct sl_topic_setting *x = effective(row, &bit);
	if (!value.p) {
		layers->own_set &= ~bit;
		return true;
	}
	char err[256];
	if (sl_topic_setting_parse(&layers->own, x, (const char *)value.p, value.len, err,
				   sizeof(err))) {
		sl_kadmin_err(e, SL_KERR_INVALID_CONFIG, "%s", err);
		return false;
	}
	layers->own_set |= bit;
	return true;
}

static bool is_central(const struct sl_topic_layers *l)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_layer(&cfg, &l->base, &l->own, l->own_set);
	return cfg.acks_central;
}

bool sl_ktopic_settings_fit(const struct sl_kserver *s, struct sl_slice topic,
			    const struct sl_topic_layers *was, const struct sl_topic_layers *layers,
			    struct sl_kadmin_err *e)
{
	struct sl_topic_cfg cfg;

	sl_topic_cfg_layer(&cfg, &layers->base, &layers->own, layers->own_set);
	if (cfg.max_message_bytes > cfg.segment_bytes) {
		sl_kadmin_err(e, SL_KERR_INVALID_CONFIG,
			      "max.message.bytes (%" PRId32
			      ") does not fit into segment.bytes (%" PRId64 ")",
			      cfg.max_message_bytes, cfg.segment_bytes);
		return false;
	}
	if (!cfg.acks_central || (was && is_central(was)) ||
	    sl_uplink_carries(s->cfg.config, (const char *)topic.p, topic.len))
		return true;
	sl_kadmin_err(e, SL_KERR_INVALID_CONFIG,
		      "Invalid value central for configuration sluice.acks.all: no uplink carries "
		      "topic '%.*s' (uplink.topics in the gateway's config file)",
		      SL_KSTR(topic));
	return false;
}
