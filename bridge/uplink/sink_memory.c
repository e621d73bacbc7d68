/* SPDX-License-Identifier: Apache-2.0 */
#include "sink_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPICS_MAX 64
#define IDS_MAX    8
#define FAULTS_MAX 4096

struct mem_topic {
	char name[SL_TOPIC_NAME_MAX + 1];
	uint32_t partitions;
};

struct mem_id { /* a transactional id */
	char gateway[SL_CFG_NAME_MAX];
	unsigned epoch;
	uint64_t open; /* transaction, 0: none */
};

struct mem_centre {
	struct mem_cfg cfg;
	struct mem_topic topic[TOPICS_MAX];
	unsigned topic_cnt;
	struct mem_id id[IDS_MAX];
	unsigned id_cnt;
	struct mem_rec *rec;
	size_t rec_cnt, rec_cap;
	uint64_t next_txn;
	enum mem_fault fault[FAULTS_MAX];
	unsigned fault_cnt, fault_at;
	unsigned refuse_opens;
	enum sl_sink_class refuse_class;
};

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
	char known[TOPICS_MAX][SL_TOPIC_NAME_MAX + 1]; /* metadata */
	uint32_t known_parts[TOPICS_MAX];
	unsigned known_cnt;
	struct sl_sink_event *ev;
	size_t ev_cnt, ev_cap;
};

/* ---- the centre
 * ---------------------------------------------------------------------------------------- */

struct mem_centre *mem_centre_new(void)
{
	struct mem_centre *c = calloc(1, sizeof(*c));

	SL_ASSERT(c);
	c->cfg = (struct mem_cfg){.bytes_max = 1000000,
				  .ts_max = INT64_MAX,
				  .batch = 100,
				  .window = 1000,
				  .up = true};
	c->next_txn = 1;
	return c;
}

void mem_centre_free(struct mem_centre *c)
{
	for (size_t i = 0; i < c->rec_cnt; i++)
		free(c->rec[i].mem);
	free(c->rec);
	free(c);
}

struct mem_cfg *mem_centre_cfg(struct mem_centre *c)
{
	return &c->cfg;
}

void mem_centre_order(struct mem_centre *c, enum mem_fault f)
{
	SL_ASSERT(c->fault_cnt < FAULTS_MAX);
	c->fault[c->fault_cnt++] = f;
}

void mem_centre_refuse_opens(struct mem_centre *c, unsigned n, enum sl_sink_class class)
{
	c->refuse_opens = n;
	c->refuse_class = class;
}

static struct mem_topic *topic_find(const struct mem_centre *c, const char *name)
{
	for (unsigned i = 0; i < c->topic_cnt; i++)
		if (!strcmp(c->topic[i].name, name))
			return (struct mem_topic *)(uintptr_t)&c->topic[i];
	return NULL;
}

void mem_centre_topic(struct mem_centre *c, const char *topic, uint32_t partitions)
{
	struct mem_topic *t = topic_find(c, topic);

	if (!t) {
		SL_ASSERT(c->topic_cnt < TOPICS_MAX);
		t = &c->topic[c->topic_cnt++];
		snprintf(t->name, sizeof(t->name), "%s", topic);
	}
	t->partitions = partitions;
}

uint32_t mem_centre_partitions(const struct mem_centre *c, const char *topic)
{
	const struct mem_topic *t = topic_find(c, topic);

	return t ? t->partitions : 0;
}

void mem_centre_delete(struct mem_centre *c, const char *topic)
{
	struct mem_topic *t = topic_find(c, topic);

	SL_ASSERT(t);
	*t = c->topic[--c->topic_cnt];
}

static struct mem_id *id_get(struct mem_centre *c, const char *gateway)
{
	for (unsigned i = 0; i < c->id_cnt; i++)
		if (!strcmp(c->id[i].gateway, gateway))
			return &c->id[i];
	SL_ASSERT(c->id_cnt < IDS_MAX);
	snprintf(c->id[c->id_cnt].gateway, SL_CFG_NAME_MAX, "%s", gateway);
	return &c->id[c->id_cnt++];
}

static void end_txn(struct mem_centre *c, uint64_t txn, enum mem_rec_state state)
{
	for (size_t i = c->rec_cnt; i-- > 0 && txn;)
		if (c->rec[i].txn == txn && c->rec[i].state == MEM_OPEN)
			c->rec[i].state = state;
}

static void abort_open(struct mem_centre *c, struct mem_id *id)
{
	end_txn(c, id->open, MEM_ABORTED);
	id->open = 0;
}

void mem_centre_fence(struct mem_centre *c, const char *gateway)
{
	struct mem_id *id = id_get(c, gateway);

	abort_open(c, id);
	id->epoch++;
}

static void *dup_slice(uint8_t **at, struct sl_slice *s)
{
	uint8_t *to = *at;

	if (!s->p)
		return NULL;
	memcpy(to, s->p, s->len);
	*at += s->len;
	s->p = to;
	return to;
}

/* An own copy of what a record borrows. */
static void rec_copy(struct mem_rec *to, const struct sl_sink_rec *r)
{
	size_t n = r->hdr_cnt * sizeof(struct sl_hdr) + r->key.len + r->value.len;
	uint8_t *at;

	for (uint32_t i = 0; i < r->hdr_cnt; i++)
		n += r->hdr[i].name.len + r->hdr[i].value.len;
	memset(to, 0, sizeof(*to));
	to->mem = malloc(n + 1);
	SL_ASSERT(to->mem);
	snprintf(to->topic, sizeof(to->topic), "%s", r->topic);
	to->partition = r->partition;
	to->ts = r->ts_ms;
	to->hdr = to->mem;
	to->hdr_cnt = r->hdr_cnt;
	at = (uint8_t *)to->mem + r->hdr_cnt * sizeof(struct sl_hdr);
	if (r->hdr_cnt)
		memcpy(to->hdr, r->hdr, r->hdr_cnt * sizeof(struct sl_hdr));
	to->key = r->key;
	to->value = r->value;
	dup_slice(&at, &to->key);
	dup_slice(&at, &to->value);
	for (uint32_t i = 0; i < r->hdr_cnt; i++) {
		dup_slice(&at, &to->hdr[i].name);
		dup_slice(&at, &to->hdr[i].value);
	}
}

static void append(struct mem_centre *c, const struct mem_rec *r)
{
	if (c->rec_cnt == c->rec_cap) {
		c->rec_cap = c->rec_cap ? c->rec_cap * 2 : 1024;
		c->rec = realloc(c->rec, c->rec_cap * sizeof(*c->rec));
		SL_ASSERT(c->rec);
	}
	c->rec[c->rec_cnt++] = *r;
}

void mem_centre_put(struct mem_centre *c, const char *topic, const char *key, const char *val)
{
	struct mem_rec r;
	struct sl_sink_rec s = {.topic = topic, .ts_ms = 1};

	s.key = (struct sl_slice){(const uint8_t *)key, (uint32_t)strlen(key)};
	if (val)
		s.value = (struct sl_slice){(const uint8_t *)val, (uint32_t)strlen(val)};
	rec_copy(&r, &s);
	r.state = MEM_COMMITTED;
	append(c, &r);
}

const struct mem_rec *mem_centre_rec(const struct mem_centre *c, size_t i)
{
	return &c->rec[i];
}

size_t mem_centre_cnt(const struct mem_centre *c)
{
	return c->rec_cnt;
}

const struct mem_rec *mem_centre_last(const struct mem_centre *c, const char *topic,
				      const char *key)
{
	for (size_t i = c->rec_cnt; i-- > 0;) {
		const struct mem_rec *r = &c->rec[i];
		if (r->state == MEM_COMMITTED && !strcmp(r->topic, topic) &&
		    r->key.len == strlen(key) && !memcmp(r->key.p, key, r->key.len))
			return r->value.p ? r : NULL;
	}
	return NULL;
}

const struct sl_hdr *mem_hdr(const struct mem_rec *r, const char *name)
{
	for (uint32_t i = r->hdr_cnt; i-- > 0;)
		if (r->hdr[i].name.len == strlen(name) &&
		    !memcmp(r->hdr[i].name.p, name, r->hdr[i].name.len))
			return &r->hdr[i];
	return NULL;
}

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
	abort_open(c, s->id);
	s->epoch = ++s->id->epoch;
	if (!topic_find(c, s->positions))
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
	rec_copy(&o->rec, r);
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

	if (!topic_find(c, first.topic)) {
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
			append(c, &o->rec);
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
		end_txn(c, s->txn, MEM_COMMITTED);
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
		end_txn(c, s->txn, MEM_COMMITTED);
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
	const struct mem_topic *t = topic_find(s->c, topic);
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
	if (!topic_find(s->c, topic))
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
		abort_open(s->c, s->id);
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
	s->id = id_get(c, gateway);
	snprintf(s->gateway, sizeof(s->gateway), "%s", gateway);
	snprintf(s->positions, sizeof(s->positions), "%s", positions);
	return &s->base;
}

unsigned mem_sink_opens(const struct sl_sink *s)
{
	return ((const struct mem_sink *)s)->opens;
}
