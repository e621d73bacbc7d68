/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_test.c - the whole listener over loopback, with its threads and a writer thread. */
#include "kafka.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/fake/fake_store.h"
#include "codec.h"
#include "platform/base/clock.h"
#include "platform/record/frame.h"

#define PATIENCE_MS 20000 /* of a test that fails */
#define S           1000000000u

struct fix {
	struct sl_config *c;
	struct sl_store *store;
	struct sl_kafka *k;
	struct sl_kafka_cfg kc;
	char err[128];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	f->c = calloc(1, sizeof(*f->c));
	f->c->kafka.listen_cnt = 1;
	memcpy(f->c->kafka.listen[0].host, "127.0.0.1", 10);
	f->c->kafka.num_partitions = 1;
	f->c->kafka.auto_create = true;
	sl_topic_cfg_defaults(&f->c->kafka.topic_defaults);
	f->c->kafka.max_connections = 4;
	f->c->kafka.request_max_bytes = 8 << 20;
	f->c->kafka.memory_bytes = 32 << 20;
	f->c->kafka.workers = 2;
	f->c->kafka.idle_ms = 60000;
	f->store = fake_store_new();
	f->kc = (struct sl_kafka_cfg){.config = f->c,
				      .store = f->store,
				      .dp = fake_store_dataplane(f->store),
				      .node_id = 1};
	assert_int_equal(sl_kafka_new(&f->kc, &f->k, f->err, sizeof(f->err)), 0);
	assert_int_equal(sl_kafka_start(f->k), 0);
	fake_store_thread_start(f->store);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	struct sl_kafka_stats st;
	assert_int_equal(sl_kafka_stop(f->k, sl_clock_mono_ns() + S), 0);
	sl_kafka_stats(f->k, &st);
	assert_int_equal(st.memory_bytes, 0);
	assert_int_equal(st.connections, 0);
	fake_store_thread_stop(f->store);
	sl_kafka_free(f->k);
	sl_kafka_free(NULL);
	fake_store_free(f->store);
	free(f->c);
	free(f);
	return 0;
}

static int dial(struct fix *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(sl_kafka_port(f->k, 0))};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Exactly n bytes; 0 if the peer closed before. */
static size_t read_all(int fd, uint8_t *p, size_t n)
{
	size_t at = 0;
	while (at < n) {
		struct pollfd pf = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&pf, 1, PATIENCE_MS), 1);
		ssize_t got = read(fd, p + at, n - at);
		if (got <= 0)
			return 0;
		at += (size_t)got;
	}
	return at;
}

/* Returns the response's size without the size field; 0: closed. */
static uint32_t answer(int fd, uint8_t *p, uint32_t cap)
{
	uint8_t head[4];
	if (!read_all(fd, head, 4))
		return 0;
	uint32_t n = sl_be32(head);
	assert_in_range(n, 4, cap);
	return (uint32_t)read_all(fd, p, n);
}

static void begin(struct sl_kw *w, int16_t key, int16_t version, int32_t correlation)
{
	*w = (struct sl_kw){0};
	sl_kw_i32(w, 0);
	sl_kw_i16(w, key);
	sl_kw_i16(w, version);
	sl_kw_i32(w, correlation);
	sl_kw_cstr(w, NULL);
}

static void send_it(int fd, struct sl_kw *w)
{
	sl_put_be32(w->buf, w->len - 4);
	assert_int_equal(write(fd, w->buf, w->len), w->len);
	sl_kw_fini(w);
}

static void send_versions(int fd, int32_t correlation)
{
	struct sl_kw w;
	begin(&w, 18, 0, correlation);
	send_it(fd, &w);
}

static void create_topic(int fd)
{
	uint8_t out[1000];
	struct sl_kw w;
	begin(&w, 3, 1, 1);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	send_it(fd, &w);
	assert_true(answer(fd, out, sizeof(out)) > 0);
}

static void send_produce(int fd, int32_t correlation, int16_t acks, uint32_t val_len)
{
	uint8_t *b = malloc(val_len + 200), *v = calloc(1, val_len + 1);
	struct sl_bb bb;
	struct sl_kw w;
	sl_bb_init(&bb, b, val_len + 200);
	assert_true(
		sl_bb_add(&bb, 1, (struct sl_slice){v, 1}, (struct sl_slice){v, val_len}, NULL, 0));
	uint32_t len = sl_bb_close(&bb);
	begin(&w, 0, 3, correlation);
	sl_kw_cstr(&w, NULL);
	sl_kw_i16(&w, acks);
	sl_kw_i32(&w, 60000);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_bytes_len(&w, len);
	sl_kw_raw(&w, b, len);
	send_it(fd, &w);
	free(b);
	free(v);
}

static void send_fetch(int fd, int32_t correlation, int64_t offset, int32_t max_wait_ms)
{
	struct sl_kw w;
	begin(&w, 1, 4, correlation);
	sl_kw_i32(&w, -1);
	sl_kw_i32(&w, max_wait_ms);
	sl_kw_i32(&w, 1);
	sl_kw_i32(&w, 8 << 20);
	sl_kw_i8(&w, 0);
	sl_kw_array(&w, 1);
	sl_kw_cstr(&w, "t");
	sl_kw_array(&w, 1);
	sl_kw_i32(&w, 0);
	sl_kw_i64(&w, offset);
	sl_kw_i32(&w, 8 << 20);
	send_it(fd, &w);
}

static void test_address_in_use(void **state)
{
	struct fix *f = *state;
	struct sl_kafka *other;
	f->c->kafka.listen[0].port = sl_kafka_port(f->k, 0);
	assert_int_equal(sl_kafka_new(&f->kc, &other, f->err, sizeof(f->err)), -EADDRINUSE);
	assert_non_null(strstr(f->err, "127.0.0.1:"));
	assert_int_equal(sl_kafka_port(f->k, 1), 0);
}

static void test_malformed_closes_that_one_only(void **state)
{
	struct fix *f = *state;
	struct sl_kafka_stats st;
	uint8_t out[1000];
	int a = dial(f), b = dial(f);
	assert_int_equal(write(a, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_int_equal(answer(a, out, sizeof(out)), 0);
	send_versions(b, 5);
	assert_true(answer(b, out, sizeof(out)) > 0);
	assert_int_equal(sl_be32(out), 5);
	sl_kafka_stats(f->k, &st);
	assert_int_equal(st.request_errors_total, 1);
	assert_int_equal(st.connections_total, 2);
	close(a);
	close(b);
}

static void test_too_many_connections(void **state)
{
	struct fix *f = *state;
	uint8_t out[1000];
	int fd[5];
	for (int i = 0; i < 4; i++) {
		fd[i] = dial(f);
		send_versions(fd[i], i);
		assert_true(answer(fd[i], out, sizeof(out)) > 0);
	}
	fd[4] = dial(f);
	assert_int_equal(answer(fd[4], out, sizeof(out)), 0);
	struct sl_kafka_stats st;
	sl_kafka_stats(f->k, &st);
	assert_int_equal(st.connections, 4);
	assert_int_equal(st.connections_refused, 1);
	for (int i = 0; i < 5; i++)
		close(fd[i]);
}

/* Two connections: one waits for what the other one sends; large and small, every acks. */
static void test_produce_and_fetch(void **state)
{
	struct fix *f = *state;
	uint8_t *out = malloc(4 << 20);
	int p = dial(f), c = dial(f);
	int64_t next = 0;
	fake_store_cfg(f->store)->auto_sync = true;
	create_topic(p);
	for (int i = 0; i < 30; i++) {
		uint32_t val_len = i % 3 == 2 ? 900 << 10 : 100;
		int16_t acks = (int16_t)(i % 3 - 1);
		send_fetch(c, 100 + i, next, PATIENCE_MS);
		send_produce(p, i, acks, val_len);
		if (acks) {
			assert_true(answer(p, out, 4 << 20) > 0);
			assert_int_equal(sl_be32(out), i);
		}
		uint32_t n = answer(c, out, 4 << 20);
		assert_int_equal(sl_be32(out), 100 + i);
		assert_true(n > val_len);
		next++;
	}
	close(p);
	close(c);
	free(out);
}

/* Many small and large requests sent at once, without reading an answer in between. */
static void test_pipelined(void **state)
{
	struct fix *f = *state;
	uint8_t out[1000];
	int p = dial(f);
	fake_store_cfg(f->store)->auto_sync = true;
	create_topic(p);
	for (int i = 0; i < 100; i++)
		send_produce(p, i, 1, i % 10 == 9 ? 300 << 10 : 50);
	for (int i = 0; i < 100; i++) {
		assert_true(answer(p, out, sizeof(out)) > 0);
		assert_int_equal(sl_be32(out), i);
	}
	close(p);
}

static void test_stop_answers_what_waits(void **state)
{
	struct fix *f = *state;
	uint8_t out[1000];
	int c = dial(f);
	create_topic(c);
	send_fetch(c, 7, 0, 1000000);
	uint64_t before = sl_clock_mono_ns();
	assert_int_equal(sl_kafka_stop(f->k, before + 10ull * S), 0);
	assert_true(sl_clock_mono_ns() - before < 10ull * S);
	/* the answer, if the request had been read before the stop; then the end */
	uint32_t n = answer(c, out, sizeof(out));
	assert_true(n == 0 || sl_be32(out) == 7);
	if (n)
		assert_int_equal(answer(c, out, sizeof(out)), 0);
	close(c);
}

/* acks=all, and nothing is ever synced: stop does not wait longer than it was told. */
static void test_stop_has_a_bound(void **state)
{
	struct fix *f = *state;
	uint8_t out[1000];
	int c = dial(f);
	create_topic(c);
	send_produce(c, 1, -1, 100);
	send_versions(c, 2);
	/* it is in the log, so it is under way */
	struct sl_topic *t = sl_store_topic_find(f->store, "t", 1);
	sl_topic_put(t); /* the store holds it */
	uint64_t give_up = sl_clock_mono_ns() + (uint64_t)PATIENCE_MS * 1000000;
	while (sl_part_end(sl_topic_part(t, 0)) == 0)
		assert_true(sl_clock_mono_ns() < give_up);
	uint64_t before = sl_clock_mono_ns();
	assert_int_equal(sl_kafka_stop(f->k, before + S / 10), 0);
	assert_int_equal(answer(c, out, sizeof(out)), 0);
	close(c);
}

/* Appends that never come back: the time holds, the caller is told, and what is held stays. */
static void test_stop_gives_up(void **state)
{
	static struct fix *volatile stays; /* what is lost on purpose, for leak checkers */
	struct fix *f = *state, own = *f;
	struct sl_kafka_stats st;
	stays = calloc(1, sizeof(*stays));
	f = stays;
	f->c = own.c;
	f->store = fake_store_new(); /* without its thread */
	f->kc = own.kc;
	f->kc.store = f->store;
	f->kc.dp = fake_store_dataplane(f->store);
	assert_int_equal(sl_kafka_new(&f->kc, &f->k, f->err, sizeof(f->err)), 0);
	assert_int_equal(sl_kafka_start(f->k), 0);
	int c = dial(f);
	create_topic(c);
	send_produce(c, 1, 1, 100);
	uint64_t give_up = sl_clock_mono_ns() + (uint64_t)PATIENCE_MS * 1000000;
	do { /* it has been read, and answers to what follows wait behind it */
		sl_kafka_stats(f->k, &st);
		assert_true(sl_clock_mono_ns() < give_up);
	} while (st.requests_total < 2);
	uint64_t before = sl_clock_mono_ns();
	assert_int_equal(sl_kafka_stop(f->k, before + S / 2), -ETIMEDOUT);
	assert_true(sl_clock_mono_ns() - before < S);
	assert_int_equal(sl_kafka_stop(f->k, before), -ETIMEDOUT);
	sl_kafka_free(f->k);
	close(c);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_address_in_use),
		T(test_malformed_closes_that_one_only),
		T(test_too_many_connections),
		T(test_produce_and_fetch),
		T(test_pipelined),
		T(test_stop_answers_what_waits),
		T(test_stop_has_a_bound),
		T(test_stop_gives_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
