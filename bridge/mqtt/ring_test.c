/* SPDX-License-Identifier: Apache-2.0 */
/* ring_test.c - both ends of the ring: its end and its begin, full, and a hostile other side. */
#include "ring.h"

#include <errno.h>
#include <pthread.h>

#include "platform/base/sl_test.h"

#define BYTES SL_RING_BYTES_MIN

struct pair {
	uint8_t *mem;
	struct sl_ring put, get;
};

static const uint8_t instance[16] = "sixteen bytes..";

static struct pair make(void)
{
	struct pair p = {.mem = aligned_alloc(4096, SL_RING_PAGE + BYTES)};

	assert_non_null(p.mem);
	sl_ring_format(p.mem, BYTES, instance, "a broker");
	assert_int_equal(sl_ring_open(&p.put, p.mem, SL_RING_PAGE + BYTES), 0);
	assert_int_equal(sl_ring_open(&p.get, p.mem, SL_RING_PAGE + BYTES), 0);
	return p;
}

static void unmake(struct pair *p)
{
	free(p->mem);
}

static struct sl_slice text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static struct sl_ring_msg message(uint32_t payload)
{
	static uint8_t bytes[1 << 20];

	return (struct sl_ring_msg){.qos = 1,
				    .version = 4,
				    .flags = SL_RING_F_WAITED | SL_RING_F_RETAIN,
				    .topic = text("a/b/c"),
				    .client = text("client-7"),
				    .payload = {bytes, payload}};
}

static void assert_slice(struct sl_slice s, const char *want)
{
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(s.p, want, s.len);
}

static void there_and_back(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_msg m = message(5), got;
	struct sl_ring_ref ref;
	enum sl_ring_answer a;
	uint64_t id = 0;

	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), 0);
	m.payload = text("hello");
	m.expiry_s = 60;
	m.prop_cnt = 3;
	m.prop[0].type = SL_RING_PROP_USER;
	m.prop[0].name = text("colour");
	m.prop[0].value = text("red");
	m.prop[1].type = SL_RING_PROP_CONTENT_TYPE;
	m.prop[1].value = text("text/plain");
	m.prop[2].type = SL_RING_PROP_USER; /* both empty */
	m.prop[2].name = m.prop[2].value = text("");
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_int_equal(id, 1);
	assert_false(sl_ring_answered(&p.put, id, &a));
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), 1);
	assert_int_equal(got.id, 1);
	assert_int_equal(got.qos, 1);
	assert_int_equal(got.version, 4);
	assert_int_equal(got.expiry_s, 60);
	assert_int_equal(got.flags, SL_RING_F_WAITED | SL_RING_F_RETAIN);
	assert_slice(got.topic, "a/b/c");
	assert_slice(got.client, "client-7");
	assert_slice(got.payload, "hello");
	assert_int_equal(got.prop_cnt, 3);
	assert_slice(got.prop[0].name, "colour");
	assert_slice(got.prop[0].value, "red");
	assert_int_equal(got.prop[1].type, SL_RING_PROP_CONTENT_TYPE);
	assert_slice(got.prop[1].value, "text/plain");
	assert_slice(got.prop[2].name, "");
	assert_true(ref.waited);
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), 0);
	sl_ring_answer(&p.get, &ref, SL_RING_SKIPPED);
	assert_true(sl_ring_answered(&p.put, id, &a));
	assert_int_equal(a, SL_RING_SKIPPED);
	assert_int_equal(sl_ring_wait(&p.put, id, 0, 0, &a), 0);
	assert_int_equal(p.get.hdr->tail, p.get.hdr->head);
	unmake(&p);
}

static void too_large(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_msg m = message(BYTES / 2);
	uint64_t id = 77;

	assert_int_equal(sl_ring_put(&p.put, &m, &id), -EMSGSIZE);
	m = message(0);
	m.topic.len = UINT16_MAX + 1;
	assert_int_equal(sl_ring_put(&p.put, &m, &id), -EMSGSIZE);
	m = message(0);
	m.client.len = UINT16_MAX + 1;
	assert_int_equal(sl_ring_put(&p.put, &m, &id), -EMSGSIZE);
	m = message(0);
	m.prop_cnt = SL_RING_PROPS_MAX + 1;
	memset(m.prop, 0, sizeof(m.prop));
	assert_int_equal(id, 77);
	/* the largest there is */
	m = message(BYTES / 2 - 64 - 5 - 8 - 3);
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_int_equal(id, 1);
	unmake(&p);
}

/* Random sizes through many rounds: every end of the ring is met, nothing is lost or changed. */
static void around(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_rng rng = sl_rng_from(sl_test_seed());
	static uint8_t bytes[BYTES];
	uint32_t sent[4096];
	uint64_t first = 1, next = 1, full = 0;

	for (unsigned round = 0; round < 20000; round++) {
		uint32_t n = sl_rng_below(&rng, 10) ? sl_rng_below(&rng, 300)
						    : sl_rng_below(&rng, BYTES / 2 - 200);
		struct sl_ring_msg m = message(0), got;
		uint64_t id;
		m.payload = (struct sl_slice){bytes, n};
		memset(bytes, (int)(next & 0xff), n);
		int rc = next - first < 4096 ? sl_ring_put(&p.put, &m, &id) : -EAGAIN;
		if (!rc) {
			assert_int_equal(id, next);
			sent[next++ % 4096] = n;
		} else {
			assert_int_equal(rc, -EAGAIN);
			full++;
		}
		while (rc == -EAGAIN || sl_rng_below(&rng, 100) < 45) {
			struct sl_ring_ref ref;
			int got_one = sl_ring_peek(&p.get, &got, &ref);
			assert_in_range(got_one, 0, 1);
			if (!got_one)
				break;
			assert_int_equal(got.id, first);
			assert_int_equal(got.payload.len, sent[first % 4096]);
			for (uint32_t i = 0; i < got.payload.len; i += 97)
				assert_int_equal(got.payload.p[i], first & 0xff);
			sl_ring_answer(&p.get, &ref, SL_RING_STORED);
			first++;
			rc = 0;
		}
	}
	assert_true(full > 100);
	unmake(&p);
}

/* Taken and not answered: a consumer that opens it anew begins there, and reads what was noted. */
static void opened_again(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_msg m = message(10), got;
	struct sl_ring_ref a, b;
	struct sl_ring_taken t = {.partition = 3, .sequence = 9, .end_before = 1234}, u;
	struct sl_ring again;
	uint64_t id;

	memcpy(t.topic_id, "0123456789abcdef", 16);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_int_equal(sl_ring_peek(&p.get, &got, &a), 1);
	sl_ring_answer(&p.get, &a, SL_RING_STORED);
	assert_int_equal(sl_ring_peek(&p.get, &got, &a), 1);
	assert_int_equal(sl_ring_peek(&p.get, &got, &b), 1);
	sl_ring_take(&p.get, &b, &t);
	assert_int_equal(p.get.hdr->taken_id, 3);
	sl_ring_take(&p.get, &a, &t); /* in any order: the newest counts */
	assert_int_equal(p.get.hdr->taken_id, 3);

	assert_int_equal(sl_ring_open(&again, p.mem, SL_RING_PAGE + BYTES), 0);
	assert_int_equal(sl_ring_peek(&again, &got, &a), 1);
	assert_int_equal(got.id, 2);
	sl_ring_taken(&a, &u);
	assert_memory_equal(&u, &t, sizeof(t));
	unmake(&p);
}

static void open_refuses(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_hdr *h = p.put.hdr;
	struct sl_ring r = {.bytes = 42};
	const size_t all = SL_RING_PAGE + BYTES;

	assert_int_equal(sl_ring_open(&r, p.mem, 0), -EPROTO);
	assert_int_equal(sl_ring_open(&r, p.mem, all - 1), -EPROTO);
	h->magic++;
	assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	h->magic--;
	h->version++;
	assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	h->version--;
	static const uint32_t sizes[] = {0,         8,         BYTES / 2, BYTES - 8,
					 BYTES * 2, BYTES + 8, 1u << 31,  UINT32_MAX};
	for (unsigned i = 0; i < SL_ARRAY_SIZE(sizes); i++) {
		h->bytes = sizes[i];
		assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	}
	h->bytes = BYTES;
	h->tail = 4;
	assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	h->tail = 8; /* beyond head */
	assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	h->tail = 0;
	h->head = BYTES + 8;
	assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	h->head = 12;
	assert_int_equal(sl_ring_open(&r, p.mem, all), -EPROTO);
	assert_int_equal(r.bytes, 42);
	unmake(&p);
}

/* A consumer that moves the tail where it cannot be. */
static void hostile_consumer(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_msg m = message(10);
	enum sl_ring_answer a;
	uint64_t id;

	p.put.hdr->tail = 8;
	assert_int_equal(sl_ring_put(&p.put, &m, &id), -EPROTO);
	p.put.hdr->tail = UINT64_MAX - 7;
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0); /* 8 bytes used: could be */
	p.put.hdr->tail = 0;
	p.put.hdr->next_id = 99; /* its own copy counts */
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_int_equal(id, 2);
	p.put.hdr->answered = UINT64_MAX;
	p.put.hdr->answer = 0xdeadbeef;
	assert_true(sl_ring_answered(&p.put, id, &a));
	assert_int_not_equal(a, SL_RING_STORED);
	unmake(&p);
}

/* Each thing that a plugin can write wrong at the second of two frames. */
static void hostile_producer(SL_UNUSED void **st)
{
	enum { HEAD, TOTAL, TOPIC, CLIENT, PAYLOAD, PROPS, COUNT, ID, ID0, QOS, PAD, LEN, CASES };

	for (unsigned i = 0; i < CASES * 4; i++) {
		struct pair p = make();
		struct sl_ring_msg m = message(10), got;
		struct sl_ring_ref ref;
		uint64_t id;
		uint32_t v[] = {UINT32_MAX, BYTES, 8, 1u << 31}, x = v[i / CASES];
		m.prop_cnt = 1;
		m.prop[0].type = SL_RING_PROP_USER;
		m.prop[0].name = m.prop[0].value = text("x");
		assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
		assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
		assert_int_equal(sl_ring_peek(&p.get, &got, &ref), 1);
		struct sl_ring_frame *f = (void *)(p.get.data + p.get.pos);
		uint8_t *body = (uint8_t *)(f + 1);
		switch (i % CASES) {
		case HEAD:
			p.put.hdr->head += x == 8 ? 4 : x;
			break;
		case TOTAL:
			f->total = x;
			break;
		case TOPIC:
			f->topic_len = (uint16_t)(x | 9);
			break;
		case CLIENT:
			f->client_len = (uint16_t)(x | 17);
			break;
		case PAYLOAD:
			f->payload_len = x | 64;
			break;
		case PROPS:
			f->props_len = x | 64;
			break;
		case COUNT:
			f->prop_cnt = (uint8_t)(x | 2);
			break;
		case ID:
			f->id = x;
			break;
		case ID0:
			f->id = 0;
			break;
		case QOS:
			f->qos = 3;
			break;
		case PAD:
			f->flags |= SL_RING_F_PAD;
			break;
		case LEN:
			memcpy(body + 5 + 8 + 10 + 1, &x, 4); /* of the property's name */
			break;
		}
		assert_int_equal(sl_ring_peek(&p.get, &got, &ref), -EPROTO);
		unmake(&p);
	}
}

/* Pads: only at the ring's end, only to its end, only before a frame. */
static void hostile_pads(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_frame pad = {.flags = SL_RING_F_PAD};
	struct sl_ring_msg got;
	struct sl_ring_ref ref;

	pad.total = BYTES;
	memcpy(p.put.data, &pad, 8);
	p.put.hdr->head = BYTES; /* all of it, and nothing behind */
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), -EPROTO);
	pad.total = 64;
	memcpy(p.put.data, &pad, 8);
	p.put.hdr->head = 256;
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), -EPROTO);
	pad.total = 0;
	memcpy(p.put.data, &pad, 8);
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), -EPROTO);
	unmake(&p);
	/* the last 8 bytes are not a frame's header */
	p = make();
	memset(p.put.data, 0, BYTES);
	p.put.hdr->tail = BYTES - 8;
	p.put.hdr->head = BYTES + 64;
	assert_int_equal(sl_ring_open(&p.get, p.mem, SL_RING_PAGE + BYTES), 0);
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), -EPROTO);
	unmake(&p);
}

static void sleeping(SL_UNUSED void **st)
{
	struct pair p = make();
	struct sl_ring_msg m = message(10), got;
	struct sl_ring_ref ref;
	uint64_t id;

	assert_false(sl_ring_must_wake(&p.put, true));
	assert_true(sl_ring_sleep(&p.get, SL_RING_SLEEPS));
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_true(sl_ring_must_wake(&p.put, false));
	assert_false(sl_ring_must_wake(&p.put, false));      /* once */
	assert_false(sl_ring_sleep(&p.get, SL_RING_SLEEPS)); /* there is a frame */
	sl_ring_awake(&p.get);
	assert_false(sl_ring_must_wake(&p.put, true));
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), 1);

	assert_true(sl_ring_sleep(&p.get, SL_RING_NAPS));
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_false(sl_ring_must_wake(&p.put, false)); /* it looks by itself */
	assert_true(sl_ring_must_wake(&p.put, true));
	sl_ring_awake(&p.get);
	assert_int_equal(sl_ring_peek(&p.get, &got, &ref), 1);
	assert_true(sl_ring_sleep(&p.get, SL_RING_NAPS));
	m = message(BYTES / 2 - 100); /* half full */
	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_true(sl_ring_must_wake(&p.put, false));
	unmake(&p);
}

struct answerer {
	struct pair *p;
	unsigned cnt;
};

static void *answer_all(void *arg)
{
	struct answerer *a = arg;
	struct sl_ring_msg got;
	struct sl_ring_ref ref;

	for (unsigned n = 0; n < a->cnt;) {
		int rc = sl_ring_peek(&a->p->get, &got, &ref);
		assert_in_range(rc, 0, 1);
		if (!rc)
			continue;
		sl_ring_answer(&a->p->get, &ref, got.id % 3 ? SL_RING_STORED : SL_RING_REFUSED);
		n++;
	}
	return NULL;
}

/* Two threads, with and without spinning: each wait ends with its own answer. */
static void waiting(SL_UNUSED void **st)
{
	struct pair p = make();
	struct answerer a = {&p, 2000};
	struct sl_ring_msg m = message(100);
	enum sl_ring_answer got = SL_RING_NONE;
	pthread_t t;
	uint64_t id;

	assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	assert_int_equal(sl_ring_wait(&p.put, id, 1000, 1000000, &got), -ETIMEDOUT);
	assert_int_equal(p.put.hdr->waiting, 0);
	assert_int_equal(pthread_create(&t, NULL, answer_all, &a), 0);
	for (unsigned n = 0;; n++) {
		assert_int_equal(sl_ring_wait(&p.put, id, n % 2 ? 50000 : 0, 60000000000ull, &got),
				 0);
		assert_int_equal(got, id % 3 ? SL_RING_STORED : SL_RING_REFUSED);
		if (id == a.cnt)
			break;
		assert_int_equal(sl_ring_put(&p.put, &m, &id), 0);
	}
	pthread_join(t, NULL);
	unmake(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),   cmocka_unit_test(too_large),
		cmocka_unit_test(around),           cmocka_unit_test(opened_again),
		cmocka_unit_test(open_refuses),     cmocka_unit_test(hostile_consumer),
		cmocka_unit_test(hostile_producer), cmocka_unit_test(hostile_pads),
		cmocka_unit_test(sleeping),         cmocka_unit_test(waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
