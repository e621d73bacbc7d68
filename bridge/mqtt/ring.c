/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - both ends of the ring; no call but memcpy and futex(2), so that the plugin has it too.
 */
#include "ring.h"

#include <errno.h>
#include <stdio.h>

#define LOAD(p)    atomic_load_explicit(&(p), memory_order_relaxed)
#define ACQUIRE(p) atomic_load_explicit(&(p), memory_order_acquire)
#define STORE(p, v)                                                                                \
	atomic_store_explicit(&(p), v, memory_order_relaxed) /* nothing is published by it */
#define RELEASE(p, v) atomic_store_explicit(&(p), v, memory_order_release)

void sl_ring_format(void *mem, uint32_t bytes, const uint8_t instance[16], const char *broker)
{
	struct sl_ring_hdr *h = mem;

	memset(h, 0, SL_RING_PAGE);
	h->version = SL_RING_VERSION;
	h->bytes = bytes;
	memcpy(h->instance, instance, sizeof(h->instance));
	snprintf(h->broker, sizeof(h->broker), "%s", broker);
	STORE(h->next_id, 1);
	STORE(h->producer_id, -1);
	h->magic = SL_RING_MAGIC;
}

int sl_ring_open(struct sl_ring *r, void *mem, size_t mem_bytes)
{
	struct sl_ring_hdr *h = mem;

	if (mem_bytes < SL_RING_PAGE + SL_RING_BYTES_MIN)
		return -EPROTO;
	uint32_t bytes = *(volatile uint32_t *)&h->bytes;
	uint64_t tail = LOAD(h->tail), head = ACQUIRE(h->head);
	if (h->magic != SL_RING_MAGIC || h->version != SL_RING_VERSION ||
	    bytes < SL_RING_BYTES_MIN || bytes > SL_RING_BYTES_MAX || (bytes & (bytes - 1)) ||
	    mem_bytes < SL_RING_PAGE + (size_t)bytes)
		return -EPROTO;
	if (tail % 8 || head % 8 || head - tail > bytes)
		return -EPROTO;
	*r = (struct sl_ring){.hdr = h,
			      .data = (uint8_t *)mem + SL_RING_PAGE,
			      .bytes = bytes,
			      .pos = tail,
			      .tail = tail};
	return 0;
}

/* ---- producer -------------------------------------------------------------------------------- */

static uint64_t props_bytes(const struct sl_ring_msg *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->prop_cnt; i++) {
		n += 5 + (uint64_t)m->prop[i].value.len;
		if (m->prop[i].type == SL_RING_PROP_USER)
			n += 4 + (uint64_t)m->prop[i].name.len;
	}
	return n;
}

static uint8_t *put_slice(uint8_t *p, struct sl_slice s)
{
	if (s.len)
		memcpy(p, s.p, s.len);
	return p + s.len;
}

static uint8_t *put_counted(uint8_t *p, struct sl_slice s)
{
	memcpy(p, &s.len, 4);
	return put_slice(p + 4, s);
}

static void put_body(uint8_t *p, const struct sl_ring_msg *m)
{
	p = put_slice(p, m->topic);
	p = put_slice(p, m->client);
	p = put_slice(p, m->payload);
	for (uint32_t i = 0; i < m->prop_cnt; i++) {
		*p++ = m->prop[i].type;
		if (m->prop[i].type == SL_RING_PROP_USER)
			p = put_counted(p, m->prop[i].name);
		p = put_counted(p, m->prop[i].value);
	}
}

static void put_pad(struct sl_ring *r, uint32_t bytes)
{
	struct sl_ring_frame pad = {.total = bytes, .flags = SL_RING_F_PAD};

	memcpy(r->data + (r->pos & (r->bytes - 1)), &pad, 8); /* there are never fewer */
}

int sl_ring_put(struct sl_ring *r, const struct sl_ring_msg *m, uint64_t *ret_id)
{
	struct sl_ring_hdr *h = r->hdr;
	uint64_t props = props_bytes(m);
	uint64_t total = SL_ALIGN_UP(sizeof(struct sl_ring_frame) + m->topic.len + m->client.len +
					     (uint64_t)m->payload.len + props,
				     8);

	if (total > r->bytes / 2 || m->topic.len > UINT16_MAX || m->client.len > UINT16_MAX ||
	    m->prop_cnt > SL_RING_PROPS_MAX)
		return -EMSGSIZE;
	/* pairs with the release in sl_ring_answer(): what it has read we may overwrite */
	uint64_t used = r->pos - ACQUIRE(h->tail);
	if (used > r->bytes)
		return -EPROTO;
	uint32_t to_end = r->bytes - (uint32_t)(r->pos & (r->bytes - 1));
	uint32_t pad = total > to_end ? to_end : 0;
	if (used + pad + total > r->bytes)
		return -EAGAIN;
	if (pad)
		put_pad(r, pad);
	uint8_t *at = r->data + ((r->pos + pad) & (r->bytes - 1));
	struct sl_ring_frame f = {
		.total = (uint32_t)total,
		.flags = m->flags & (uint8_t)~SL_RING_F_PAD,
		.qos = m->qos,
		.version = m->version,
		.prop_cnt = (uint8_t)m->prop_cnt,
		.id = r->next_id ? r->next_id : 1,
		.topic_len = (uint16_t)m->topic.len,
		.client_len = (uint16_t)m->client.len,
		.payload_len = m->payload.len,
		.props_len = (uint32_t)props,
		.expiry_s = m->expiry_s,
		.partition = -1,
	};
	memcpy(at, &f, sizeof(f));
	put_body(at + sizeof(f), m);
	r->next_id = f.id + 1;
	STORE(h->next_id, r->next_id);
	r->pos += pad + total;
	RELEASE(h->head, r->pos); /* pairs with the acquire in sl_ring_peek() */
	*ret_id = f.id;
	return 0;
}

bool sl_ring_must_wake(struct sl_ring *r, bool waited)
{
	struct sl_ring_hdr *h = r->hdr;

	/* pairs with the fence in sl_ring_sleep(): it sees our head, or we see that it sleeps */
	atomic_thread_fence(memory_order_seq_cst);
	uint32_t how = LOAD(h->asleep);
	if (sl_likely(how == SL_RING_AWAKE) ||
	    (how == SL_RING_NAPS && !waited && r->pos - LOAD(h->tail) < r->bytes / 2))
		return false;
	return atomic_exchange_explicit(&h->asleep, SL_RING_AWAKE, memory_order_acq_rel) !=
	       SL_RING_AWAKE;
}

bool sl_ring_answered(const struct sl_ring *r, uint64_t id, enum sl_ring_answer *ret_answer)
{
	/* pairs with the release in sl_ring_answer(): the answer is there before its id */
	if (ACQUIRE(r->hdr->answered) < id)
		return false;
	*ret_answer = (enum sl_ring_answer)LOAD(r->hdr->answer);
	return true;
}

/* ---- consumer -------------------------------------------------------------------------------- */

/* A copy that the compiler may not take from the ring a second time. */
static void copy_once(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	__asm__ volatile("" ::"r"(to) : "memory");
}

/* One property at *at, which lies in [*at, end). False: it goes beyond. */
static bool get_counted(const uint8_t **at, const uint8_t *end, struct sl_slice *ret)
{
	uint32_t len;

	if (end - *at < 4)
		return false;
	copy_once(&len, *at, 4);
	*at += 4;
	if (len > (uint64_t)(end - *at))
		return false;
	*ret = (struct sl_slice){*at, len};
	*at += len;
	return true;
}

static bool get_props(struct sl_ring_msg *m, const uint8_t *at, uint32_t len, uint32_t cnt)
{
	const uint8_t *end = at + len;

	if (cnt > SL_RING_PROPS_MAX)
		return false;
	for (uint32_t i = 0; i < cnt; i++) {
		if (at == end)
			return false;
		uint8_t type = *(const volatile uint8_t *)at++;
		m->prop[i].type = type;
		m->prop[i].name = (struct sl_slice){NULL, 0};
		if (type == SL_RING_PROP_USER && !get_counted(&at, end, &m->prop[i].name))
			return false;
		if (!get_counted(&at, end, &m->prop[i].value))
			return false;
	}
	m->prop_cnt = cnt;
	return at == end;
}

/* Bytes between pos and head. -EPROTO: positions that cannot be. */
static int unread(const struct sl_ring *r, uint64_t *ret_bytes)
{
	uint64_t head = ACQUIRE(r->hdr->head); /* pairs with the release in sl_ring_put() */

	if (head % 8 || head - r->tail > r->bytes || head - r->pos > r->bytes)
		return -EPROTO;
	*ret_bytes = head - r->pos;
	return 0;
}

/* Skips a pad: one, and only one that reaches to the ring's end. */
static int skip_pad(struct sl_ring *r, uint64_t *left)
{
	struct sl_ring_frame f;
	uint32_t at = (uint32_t)(r->pos & (r->bytes - 1));

	copy_once(&f, r->data + at, 8);
	if (!(f.flags & SL_RING_F_PAD))
		return 0;
	if (f.total != r->bytes - at || f.total >= *left) /* a frame follows, always */
		return -EPROTO;
	r->pos += f.total;
	*left -= f.total;
	return 0;
}

static int check_frame(const struct sl_ring *r, const struct sl_ring_frame *f, uint32_t at,
		       uint64_t left)
{
	uint64_t used =
		sizeof(*f) + f->topic_len + f->client_len + (uint64_t)f->payload_len + f->props_len;

	if ((f->flags & SL_RING_F_PAD) || f->total > r->bytes / 2 || f->total > left ||
	    f->total > r->bytes - at || f->total != SL_ALIGN_UP(used, 8) || f->qos > 2)
		return -EPROTO;
	if (f->id == 0 || (r->next_id && f->id != r->next_id))
		return -EPROTO;
	return 0;
}

int sl_ring_peek(struct sl_ring *r, struct sl_ring_msg *ret_msg, struct sl_ring_ref *ret_ref)
{
	struct sl_ring_frame f;
	uint64_t left;
	int rc = unread(r, &left);

	if (rc || left == 0)
		return rc;
	rc = skip_pad(r, &left);
	if (rc)
		return rc;
	uint32_t at = (uint32_t)(r->pos & (r->bytes - 1));
	if (left < sizeof(f) || r->bytes - at < sizeof(f))
		return -EPROTO;
	copy_once(&f, r->data + at, sizeof(f));
	rc = check_frame(r, &f, at, left);
	if (rc)
		return rc;
	const uint8_t *p = r->data + at + sizeof(f);
	*ret_msg = (struct sl_ring_msg){
		.id = f.id,
		.flags = f.flags,
		.qos = f.qos,
		.version = f.version,
		.expiry_s = f.expiry_s,
		.topic = {p, f.topic_len},
		.client = {p + f.topic_len, f.client_len},
		.payload = {p + f.topic_len + f.client_len, f.payload_len},
	};
	p += (size_t)f.topic_len + f.client_len + f.payload_len;
	if (!get_props(ret_msg, p, f.props_len, f.prop_cnt))
		return -EPROTO;
	r->pos += f.total;
	r->next_id = f.id + 1;
	*ret_ref = (struct sl_ring_ref){.frame = (struct sl_ring_frame *)(void *)(r->data + at),
					.id = f.id,
					.end = r->pos,
					.waited = f.flags & SL_RING_F_WAITED};
	return 1;
}

void sl_ring_take(struct sl_ring *r, const struct sl_ring_ref *ref, const struct sl_ring_taken *t)
{
	struct sl_ring_frame *f = ref->frame;

	memcpy(f->topic_id, t->topic_id, sizeof(f->topic_id));
	f->partition = t->partition;
	f->sequence = t->sequence;
	f->end_before = t->end_before;
	/* what is said of the frame is there before it counts as taken: for whoever comes after a
	 * kill -9, which keeps the order of stores */
	if (LOAD(r->hdr->taken_id) < ref->id)
		RELEASE(r->hdr->taken_id, ref->id);
}

void sl_ring_taken(const struct sl_ring_ref *ref, struct sl_ring_taken *ret_taken)
{
	struct sl_ring_frame f;

	copy_once(&f, ref->frame, sizeof(f));
	*ret_taken = (struct sl_ring_taken){
		.partition = f.partition, .sequence = f.sequence, .end_before = f.end_before};
	memcpy(ret_taken->topic_id, f.topic_id, sizeof(f.topic_id));
}

bool sl_ring_sleep(struct sl_ring *r, enum sl_ring_sleep how)
{
	atomic_store_explicit(&r->hdr->asleep, how, memory_order_seq_cst);
	/* pairs with the fence in sl_ring_must_wake() */
	atomic_thread_fence(memory_order_seq_cst);
	return LOAD(r->hdr->head) == r->pos;
}

void sl_ring_awake(struct sl_ring *r)
{
	STORE(r->hdr->asleep, SL_RING_AWAKE);
}

void sl_ring_beat(struct sl_ring *r)
{
	RELEASE(r->hdr->heartbeat, LOAD(r->hdr->heartbeat) + 1);
}
