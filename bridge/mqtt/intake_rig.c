/* SPDX-License-Identifier: Apache-2.0 */
#include "intake_rig.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/clock.h"

static void log_line(void *arg, enum sl_plink_level level, const char *text)
{
	struct rig *r = arg;
	(void)level;

	r->lines++;
	snprintf(r->last_line, sizeof(r->last_line), "%s", text);
}

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->c = calloc(1, sizeof(*r->c));
	assert_non_null(r->c);
	snprintf(r->dir, sizeof(r->dir), "/tmp/slt-intake-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/mqtt.sock", r->dir);
	snprintf(r->c->gateway.id, sizeof(r->c->gateway.id), "gw");
	r->c->mqtt.on = true;
	snprintf(r->c->mqtt.socket, sizeof(r->c->mqtt.socket), "%s", r->path);
	r->c->mqtt.max_topics = 100;
	r->c->kafka.num_partitions = 1;
	sl_topic_cfg_defaults(&r->c->kafka.topic_defaults);
	r->store = fake_store_new();
	fake_store_cfg(r->store)->auto_sync = true;
	assert_int_equal(sl_counters_anon(&r->ctr), 0);
	assert_int_equal(sl_cursor_mem_init(&r->mem), 0);
	r->writer = true;
}

struct sl_cfg_rule *rig_rule(struct rig *r, const char *filter, const char *topic, const char *key)
{
	struct sl_cfg_rule *x = &r->c->mqtt.rule[r->c->mqtt.rule_cnt++];

	snprintf(x->filter, sizeof(x->filter), "%s", filter);
	snprintf(x->topic, sizeof(x->topic), "%s", topic);
	snprintf(x->key, sizeof(x->key), "%s", key);
	x->ack = SL_ACK_LOGGED;
	return x;
}

void rig_start(struct rig *r)
{
	struct sl_mqtt_cfg mc = {.config = r->c,
				 .store = r->store,
				 .dp = fake_store_dataplane(r->store),
				 .counters = r->ctr};
	char err[256] = "";

	assert_int_equal(sl_intake_new(&mc, &r->in, err, sizeof(err)), 0);
	assert_int_equal(sl_intake_start(r->in), 0);
	if (r->writer)
		fake_store_thread_start(r->store);
}

void rig_stop(struct rig *r)
{
	if (!r->in)
		return;
	assert_int_equal(sl_intake_stop(r->in, sl_clock_mono_ns() + 20000000000ull), 0);
	if (r->writer)
		fake_store_thread_stop(r->store);
	sl_intake_free(r->in);
	r->in = NULL;
}

void rig_fini(struct rig *r)
{
	rig_stop(r);
	sl_plink_fini(&r->link);
	sl_cursor_mem_fini(&r->mem);
	fake_store_free(r->store);
	sl_counters_close(r->ctr);
	unlink(r->path);
	rmdir(r->dir);
	free(r->c);
}

uint64_t rig_now(void)
{
	return sl_clock_mono_ns();
}

void rig_nap(void)
{
	usleep(200);
}

void rig_look(struct rig *r)
{
	r->link.look_ns = 0;
	sl_plink_look(&r->link, sl_clock_mono_ns());
}

void rig_wake(struct rig *r)
{
	if (sl_ring_must_wake(&r->link.ring, true))
		assert_int_equal(eventfd_write(r->link.efd, 1), 0);
}

void rig_attach(struct rig *r, unsigned wait_ms)
{
	struct sl_plink_cfg cfg = {.socket = r->path,
				   .ring_bytes = SL_RING_BYTES_MIN,
				   .wait_ns = wait_ms * 1000000ull,
				   .broker = "test",
				   .log = log_line,
				   .arg = r};

	if (!r->link.mem)
		assert_int_equal(sl_plink_init(&r->link, &cfg), 0);
	rig_until(r, (rig_look(r), r->link.state == SL_PLINK_ON));
}

struct sl_slice rig_text(const char *s)
{
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

struct sl_ring_msg rig_msg(int qos, const char *topic, const char *payload)
{
	return (struct sl_ring_msg){.qos = (uint8_t)qos,
				    .version = 4,
				    .topic = rig_text(topic),
				    .client = rig_text("client-7"),
				    .payload = rig_text(payload)};
}

enum sl_plink_result rig_hand(struct rig *r, int qos, const char *topic, const char *payload)
{
	struct sl_ring_msg m = rig_msg(qos, topic, payload);

	return sl_plink_hand(&r->link, &m);
}

uint64_t rig_row(const struct rig *r, enum sl_bridge_row row)
{
	return sl_ctr_get(&r->ctr->bridge[SL_CTR_MQTT_IN].row[row]);
}

void rig_books_close(const struct rig *r)
{
	uint64_t sum = 0;

	for (int i = SL_BR_MQTT_STORED; i <= SL_BR_MQTT_REF_SHUTDOWN; i++)
		sum += rig_row(r, (enum sl_bridge_row)i);
	assert_int_equal(rig_row(r, SL_BR_MQTT_RECEIVED), sum);
}

struct sl_part *rig_part(struct rig *r, const char *topic, int32_t partition)
{
	struct sl_topic *t = sl_store_topic_find(r->store, topic, strlen(topic));
	struct sl_part *p = t ? sl_topic_part(t, partition) : NULL;

	sl_topic_put(t); /* the store keeps it */
	return p;
}

int64_t rig_records(struct rig *r, const char *topic)
{
	int64_t n = 0;
	struct sl_part *p;

	if (!rig_part(r, topic, 0))
		return -1;
	for (int32_t i = 0; (p = rig_part(r, topic, i)); i++)
		n += sl_part_end(p);
	return n;
}

const struct sl_cursor_rec *rig_record(struct rig *r, const char *topic, int32_t partition,
				       int64_t offset)
{
	static struct sl_cursor_rec rec;
	struct sl_cursor cur;
	int64_t next;

	sl_cursor_init(&cur, &r->mem, rig_part(r, topic, partition), offset, false);
	assert_int_equal(sl_cursor_next(&cur, &rec, &next), 1);
	assert_int_equal(rec.offset, offset);
	return &rec;
}

bool rig_is(struct sl_slice s, const char *text)
{
	return s.p && s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

const char *rig_header(const struct sl_cursor_rec *rec, const char *name)
{
	static char value[256];

	for (uint32_t i = 0; i < rec->rec.hdr_cnt; i++) {
		if (!rig_is(rec->hdr[i].name, name))
			continue;
		assert_non_null(rec->hdr[i].value.p);
		snprintf(value, sizeof(value), "%.*s", (int)rec->hdr[i].value.len,
			 (const char *)rec->hdr[i].value.p);
		return value;
	}
	return "(none)";
}
