/* SPDX-License-Identifier: Apache-2.0 */
#include "sink_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "centre_memory.h"

enum mem_pending { P_NONE, P_OPEN, P_COMMIT, P_ABORT };

struct mem_out { /* a record on its way */
	struct mem_rec rec;
	uint64_t tag;
};

struct mem_sink {
	struct sl_sink base;
	struct mem_centre *c;
	struct mem_id *id;
	char gateway[SL_CFG_NAME_MAX], positions[SL_TOPIC_NAME_MAX + 1];
	unsigned epoch, opens;
	bool is_open, ready, in_txn, link, dead;
	uint64_t txn;
	unsigned refused; /* of the transaction */
	enum mem_pending pending;
	struct mem_out *out;
	size_t out_cnt, out_cap;
	char known[MEM_TOPICS_MAX][SL_TOPIC_NAME_MAX + 1]; /* metadata */
	uint32_t known_parts[MEM_TOPICS_MAX];
	unsigned known_cnt;
	struct sl_sink_event *ev;
	size_t ev_cnt, ev_cap;
};

/* ---- a sink: events
 * ------------------------------------------------------------------------------------ */

static struct sl_sink_event *emit(struct mem_sink *s, enum sl_sink_event_kind kind)
{
	if (s->ev_cnt == s->ev_cap) {
		s->ev_cap = s->ev_cap ? s->ev_cap * 2 : 64;
		s->ev = realloc(s->ev, s->ev_cap * sizeof(*s->ev));
		SL_ASSERT(s->ev);
	}
	memset(&s->ev[s->ev_cnt], 0, sizeof(*s->ev));
	s->ev[s->ev_cnt].kind = kind;
	return &s->ev[s->ev_cnt++];
}

static void emit_topic(struct mem_sink *s, enum sl_sink_event_kind kind, const char *topic)
{
	snprintf(emit(s, kind)->topic, SL_TOPIC_NAME_MAX + 1, "%s", topic);
}

static void fail(struct mem_sink *s, enum sl_sink_class class, const char *text)
{
	struct sl_sink_event *ev = emit(s, SL_SINK_FAILED);

	ev->class = class;
	snprintf(ev->text, sizeof(ev->text), "%s", text);
	if (class != SL_SINK_RETRY && class != SL_SINK_ABORT)
		s->dead = true;
	s->pending = P_NONE;
}

static bool fenced(struct mem_sink *s)
{
	if (s->epoch == s->id->epoch)
		return false;
	if (!s->dead)
		fail(s, SL_SINK_FENCED, "fenced by a newer epoch");
	return true;
}

static void drop_out(struct mem_sink *s, bool tell)
{
	if (tell && s->out_cnt)
		emit(s, SL_SINK_UNSENT)->count = (uint32_t)s->out_cnt;
	for (size_t i = 0; i < s->out_cnt; i++)
		free(s->out[i].rec.mem);
	s->out_cnt = 0;
}

/* ---- a sink: opening
 * -------------------------------------------------------------------------------------- */

static bool same_key(const struct mem_rec *a, const struct mem_rec *b)
{
	return a->key.len == b->key.len && !memcmp(a->key.p, b->key.p, a->key.len);
}

static void emit_position(struct mem_sink *s, const struct mem_rec *r)
{
	struct sl_claim claim;
	struct sl_position pos;
	enum sl_pos_kind kind;
	struct sl_sink_event *ev;

	if (sl_pos_decode(s->gateway, r->key, r->value, &kind, &claim, &pos)) {
		ev = emit(s, SL_SINK_BAD_POSITION);
		snprintf(ev->text, sizeof(ev->text), "the position of %.*s is not understood",
			 (int)SL_MIN(r->key.len, 100u), (const char *)r->key.p);
	} else if (kind == SL_POS_CLAIM) {
		emit(s, SL_SINK_CLAIM)->claim = claim;
	} else if (kind == SL_POS_POSITION) {
		emit(s, SL_SINK_POSITION)->position = pos;
	}
}

/* The last record of each key, as compaction leaves them. */
static void emit_positions(struct mem_sink *s)
{
	const struct mem_centre *c = s->c;
	const struct mem_rec **seen = NULL;
	size_t cnt = 0;

	for (size_t i = c->rec_cnt; i-- > 0;) {
		const struct mem_rec *r = &c->rec[i];
		size_t k = 0;
		if (r->state != MEM_COMMITTED || strcmp(r->topic, s->positions))
			continue;
		while (k < cnt && !same_key(seen[k], r))
			k++;
		if (k < cnt)
			continue;
		if ((cnt & (cnt - 1)) == 0)
			seen = realloc(seen, (cnt ? 2 * cnt : 1) * sizeof(*seen));
		SL_ASSERT(seen);
		seen[cnt++] = r;
		emit_position(s, r);
	}
	free(seen);
}

static void do_open(struct mem_sink *s)
{
	struct mem_centre *c = s->c;

	s->pending = P_NONE;
	if (c->refuse_opens) {
		c->refuse_opens--;
		fail(s, c->refuse_class, "the centre does not let it in");
		return;
	}
	mem_centre_abort(c, s->id);
	s->epoch = ++s->id->epoch;
	if (!mem_centre_find(c, s->positions))
		mem_centre_topic(c, s->positions, 3);
	emit_positions(s);
	s->ready = true;
	emit(s, SL_SINK_READY);
}

static int mem_open(struct sl_sink *sink)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	SL_ASSERT(!s->is_open);
	s->is_open = true;
	s->dead = false;
	s->link = true;
	s->opens++;
	s->pending = P_OPEN;
	return 0;
}

static void mem_close(struct sl_sink *sink)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	drop_out(s, false);
	s->is_open = s->ready = s->in_txn = false;
	s->pending = P_NONE;
	s->ev_cnt = 0;
	s->known_cnt = 0;
}

/* ---- a sink: sending
 * --------------------------------------------------------------------------------------- */

static int mem_begin(struct sl_sink *sink)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	if (!s->ready || s->in_txn || s->dead)
		return -EINVAL;
	s->in_txn = true;
	s->refused = 0;
	s->txn = s->c->next_txn++;
	return 0;
}

static uint32_t known(const struct mem_sink *s, const char *topic)
{
	for (unsigned i = 0; i < s->known_cnt; i++)
		if (!strcmp(s->known[i], topic))
			return s->known_parts[i];
	return 0;
}

static int mem_produce(struct sl_sink *sink, const struct sl_sink_rec *r)
{
	struct mem_sink *s = (struct mem_sink *)sink;
	bool position = !strcmp(r->topic, s->positions);
	struct mem_out *o;

	if (s->dead)
		return -EPIPE;
	SL_ASSERT(s->in_txn && s->pending == P_NONE && r->ts_ms > 0);
	if (s->out_cnt >= s->c->cfg.window)
		return -EAGAIN;
	if (s->c->cfg.client_max && r->value.len > s->c->cfg.client_max)
		return -EMSGSIZE;
	if (!position && !known(s, r->topic))
		return -ENOENT;
	SL_ASSERT(position || (uint32_t)r->partition < known(s, r->topic));
	if (s->out_cnt == s->out_cap) {
		s->out_cap = s->out_cap ? s->out_cap * 2 : 1024;
		s->out = realloc(s->out, s->out_cap * sizeof(*s->out));
		SL_ASSERT(s->out);
	}
	o = &s->out[s->out_cnt++];
	mem_rec_copy(&o->rec, r);
	o->tag = r->tag;
	return 0;
}

static int refusal(const struct mem_cfg *c, const struct mem_rec *r)
{
	if (r->key.len + r->value.len > c->bytes_max)
		return 10;
	return r->ts > c->ts_max ? 32 : 0;
}

static bool same_batch(const struct mem_rec *a, const struct mem_rec *b)
{
	return a->partition == b->partition && !strcmp(a->topic, b->topic);
}

/* The first record's batch: at most cfg.batch of its partition, up to the end of what is out. All
 * of it is taken, or none. */
static void deliver_batch(struct mem_sink *s)
{
	struct mem_centre *c = s->c;
	struct mem_rec first = s->out[0].rec;
	unsigned n = 0, kept = 0;
	int error = 0;

	if (!mem_centre_find(c, first.topic)) {
		char topic[SL_TOPIC_NAME_MAX + 1];
		strcpy(topic, first.topic);
		emit_topic(s, SL_SINK_TOPIC_GONE, topic);
		drop_out(s, true);
		fail(s, SL_SINK_REBUILD, "a topic is gone");
		return;
	}
	for (size_t i = 0; i < s->out_cnt && n < c->cfg.batch; i++)
		if (same_batch(&s->out[i].rec, &first)) {
			error = error ? error : refusal(&c->cfg, &s->out[i].rec);
			n++;
		}
	for (size_t i = 0, left = n; i < s->out_cnt; i++) {
		struct mem_out *o = &s->out[i];
		if (!left || !same_batch(&o->rec, &first)) {
			s->out[kept++] = *o;
			continue;
		}
		left--;
		if (error) {
			struct sl_sink_event *ev = emit(s, SL_SINK_REFUSED);
			ev->tag = o->tag;
			ev->kafka_error = error;
			snprintf(ev->text, sizeof(ev->text), "refused: %d", error);
			free(o->rec.mem);
			s->refused++;
		} else {
			o->rec.txn = s->id->open = s->txn;
			o->rec.state = MEM_OPEN;
			mem_centre_append(c, &o->rec);
		}
	}
	s->out_cnt = kept;
	if (!error)
		emit(s, SL_SINK_DELIVERED)->count = n;
}

static void do_commit(struct mem_sink *s)
{
	struct mem_centre *c = s->c;
	enum mem_fault f = (enum mem_fault) - 1;

	s->pending = P_NONE;
	if (s->refused) {
		fail(s, SL_SINK_ABORT, "records were refused");
		return;
	}
	if (c->fault_at < c->fault_cnt)
		f = c->fault[c->fault_at++];
	switch ((int)f) {
	case MEM_COMMIT_LOST:
		mem_centre_end(c, s->txn, MEM_COMMITTED);
		s->id->open = 0;
		fail(s, SL_SINK_REBUILD, "the answer to a commit was lost");
		break;
	case MEM_COMMIT_FATAL:
		fail(s, SL_SINK_REBUILD, "invalid transaction state");
		break;
	case MEM_COMMIT_ABORT:
		fail(s, SL_SINK_ABORT, "timed out");
		break;
	case MEM_COMMIT_RETRY:
		fail(s, SL_SINK_RETRY, "the coordinator is loading");
		break;
	case MEM_COMMIT_TIMEOUT:
		mem_centre_fence(c, s->gateway);
		fail(s, SL_SINK_FENCED, "the transaction timed out at the coordinator");
		break;
	default:
		mem_centre_end(c, s->txn, MEM_COMMITTED);
		s->id->open = 0;
		s->in_txn = false;
		emit(s, SL_SINK_COMMITTED);
	}
}

static int mem_commit(struct sl_sink *sink)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	if (!s->in_txn || s->pending || s->dead)
		return s->dead ? 0 : -EINVAL; /* FAILED is on its way */
	s->pending = P_COMMIT;
	return 0;
}

static int mem_abort(struct sl_sink *sink)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	if (!s->in_txn || s->pending || s->dead)
		return s->dead ? 0 : -EINVAL;
	drop_out(s, true);
	s->pending = P_ABORT;
	return 0;
}

/* ---- a sink: topics
 * ----------------------------------------------------------------------------------------- */

static void learn(struct mem_sink *s, const char *topic)
{
	const struct mem_topic *t = mem_centre_find(s->c, topic);
	unsigned i = 0;

	if (!t) {
		emit_topic(s, SL_SINK_TOPIC_GONE, topic);
		return;
	}
	while (i < s->known_cnt && strcmp(s->known[i], topic))
		i++;
	if (i == s->known_cnt)
		snprintf(s->known[s->known_cnt++], SL_TOPIC_NAME_MAX + 1, "%s", topic);
	s->known_parts[i] = t->partitions;
	emit_topic(s, SL_SINK_TOPIC_READY, topic);
}

static int mem_partitions(struct sl_sink *sink, const char *topic)
{
	struct mem_sink *s = (struct mem_sink *)sink;
	uint32_t n = known(s, topic);

	if (!n)
		learn(s, topic);
	return (int)n;
}

static int mem_make(struct sl_sink *sink, const char *topic, uint32_t partitions,
		    SL_UNUSED int32_t replication, SL_UNUSED bool compacted)
{
	struct mem_sink *s = (struct mem_sink *)sink;
	struct sl_sink_event *ev;

	if (!s->ready)
		return -EINVAL;
	if (s->c->cfg.denied) {
		ev = emit(s, SL_SINK_TOPIC_FAILED);
		ev->class = SL_SINK_DENIED;
		snprintf(ev->topic, sizeof(ev->topic), "%s", topic);
		snprintf(ev->text, sizeof(ev->text), "not allowed");
		return 0;
	}
	if (!mem_centre_find(s->c, topic))
		mem_centre_topic(s->c, topic, partitions);
	learn(s, topic);
	return 0;
}

/* ---- a sink: poll
 * -------------------------------------------------------------------------------------------- */

static void work(struct mem_sink *s)
{
	uint32_t pace = s->c->cfg.pace ? s->c->cfg.pace : UINT32_MAX;

	if (s->link != s->c->cfg.up) {
		s->link = s->c->cfg.up;
		snprintf(emit(s, s->link ? SL_SINK_LINK_UP : SL_SINK_LINK_DOWN)->text, 256,
			 "all brokers are down");
	}
	if (!s->link || s->dead)
		return;
	if (s->pending == P_OPEN) {
		do_open(s);
		return;
	}
	if ((s->out_cnt || s->pending) && fenced(s))
		return;
	while (s->out_cnt && pace-- && !s->dead)
		deliver_batch(s);
	if (s->dead || s->out_cnt)
		return;
	if (s->pending == P_COMMIT) {
		do_commit(s);
	} else if (s->pending == P_ABORT) {
		mem_centre_abort(s->c, s->id);
		s->in_txn = false;
		s->pending = P_NONE;
		emit(s, SL_SINK_ABORTED);
	}
}

static unsigned mem_poll(struct sl_sink *sink, struct sl_sink_event *ret_ev, unsigned n,
			 SL_UNUSED int timeout_ms)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	SL_ASSERT(s->is_open);
	if (!s->ev_cnt)
		work(s);
	n = (unsigned)SL_MIN((size_t)n, s->ev_cnt);
	if (n)
		memcpy(ret_ev, s->ev, n * sizeof(*ret_ev));
	s->ev_cnt -= n;
	if (s->ev_cnt)
		memmove(s->ev, s->ev + n, s->ev_cnt * sizeof(*s->ev));
	return n;
}

static int mem_fd(SL_UNUSED struct sl_sink *sink)
{
	return -1;
}

static void mem_free(struct sl_sink *sink)
{
	struct mem_sink *s = (struct mem_sink *)sink;

	if (!s)
		return;
	SL_ASSERT(!s->is_open);
	free(s->out);
	free(s->ev);
	free(s);
}

struct sl_sink *mem_sink_new(struct mem_centre *c, const char *gateway, const char *positions)
{
	static const struct sl_sink_ops ops = {
		.name = "memory",
		.open = mem_open,
		.begin = mem_begin,
		.produce = mem_produce,
		.commit = mem_commit,
		.abort = mem_abort,
		.topic_partitions = mem_partitions,
		.make_topic = mem_make,
		.poll = mem_poll,
		.poll_fd = mem_fd,
		.close = mem_close,
		.free = mem_free,
	};
	struct mem_sink *s = calloc(1, sizeof(*s));

	SL_ASSERT(s);
	s->base.ops = &ops;
	s->c = c;
	s->id = mem_centre_id(c, gateway);
	snprintf(s->gateway, sizeof(s->gateway), "%s", gateway);
	snprintf(s->positions, sizeof(s->positions), "%s", positions);
	return &s->base;
}

unsigned mem_sink_opens(const struct sl_sink *s)
{
	return ((const struct mem_sink *)s)->opens;
}
