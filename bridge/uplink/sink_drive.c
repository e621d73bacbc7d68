/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_drive.c - the sink to a real cluster, driven line by line: for
 * tests/integration/t11_sink.py.
 *
 *   sink_drive GATEWAY BOOTSTRAP WINDOW [NAME=VALUE ...]     properties of librdkafka
 *
 * Commands on stdin, one a line; each is answered by a line `= <return code>`; what poll brings is
 * printed as it comes, as `! EVENT ...`.
 *
 *   open | close | begin | commit | abort | quit
 *   parts TOPIC             make TOPIC PARTITIONS REPLICATION COMPACTED(0|1)
 *   send TOPIC PARTITION COUNT BYTES TS_MS TAG     COUNT records "<tag>:xxx..", tags counting up;
 *                           TS_MS 0: now. Answered when all are handed over, or at the first error
 *   record TOPIC PARTITION TS_MS TAG KEY VALUE NAME VALUE ...   `-` is null, `""` is empty
 *   position OFFSET TAG     of topic "logs", partition 0
 *   claim TOKEN PREVIOUS TAG
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "sink.h"

#define LINE  8192
#define WORDS 64

struct drive {
	struct sl_config *cfg;
	struct sl_sink *sink;
	bool quit;
};

static const char *const kinds[] = {
	[SL_SINK_READY] = "READY",           [SL_SINK_POSITION] = "POSITION",
	[SL_SINK_CLAIM] = "CLAIM",           [SL_SINK_BAD_POSITION] = "BAD_POSITION",
	[SL_SINK_DELIVERED] = "DELIVERED",   [SL_SINK_REFUSED] = "REFUSED",
	[SL_SINK_UNSENT] = "UNSENT",         [SL_SINK_COMMITTED] = "COMMITTED",
	[SL_SINK_ABORTED] = "ABORTED",       [SL_SINK_TOPIC_READY] = "TOPIC_READY",
	[SL_SINK_TOPIC_GONE] = "TOPIC_GONE", [SL_SINK_TOPIC_FAILED] = "TOPIC_FAILED",
	[SL_SINK_LINK_DOWN] = "LINK_DOWN",   [SL_SINK_LINK_UP] = "LINK_UP",
	[SL_SINK_FAILED] = "FAILED",
};
static const char *const classes[] = {
	[SL_SINK_RETRY] = "RETRY",   [SL_SINK_ABORT] = "ABORT",   [SL_SINK_REBUILD] = "REBUILD",
	[SL_SINK_FENCED] = "FENCED", [SL_SINK_DENIED] = "DENIED",
};

static void print_event(const struct sl_sink_event *ev)
{
	printf("! %s", kinds[ev->kind]);
	switch (ev->kind) {
	case SL_SINK_DELIVERED:
	case SL_SINK_UNSENT:
		printf(" %u", ev->count);
		break;
	case SL_SINK_REFUSED:
		printf(" %llu %d", (unsigned long long)ev->tag, ev->kafka_error);
		break;
	case SL_SINK_POSITION:
		printf(" %s %d %lld %s", ev->position.topic, ev->position.partition,
		       (long long)ev->position.offset, ev->position.instance);
		break;
	case SL_SINK_CLAIM:
		printf(" %s", ev->claim.instance);
		break;
	case SL_SINK_TOPIC_READY:
	case SL_SINK_TOPIC_GONE:
		printf(" %s %s", ev->topic, ev->text);
		break;
	case SL_SINK_TOPIC_FAILED:
		printf(" %s %s %d %s", ev->topic, classes[ev->class], ev->kafka_error, ev->text);
		break;
	case SL_SINK_FAILED:
		printf(" %s %d %s", classes[ev->class], ev->kafka_error, ev->text);
		break;
	default:
		printf(" %s", ev->kind == SL_SINK_COMMITTED ? "" : ev->text);
	}
	putchar('\n');
}

static unsigned drain(struct drive *d, int timeout_ms)
{
	static struct sl_sink_event ev[16];
	unsigned n = d->sink->ops->poll(d->sink, ev, SL_ARRAY_SIZE(ev), timeout_ms);

	for (unsigned i = 0; i < n; i++)
		print_event(&ev[i]);
	return n;
}

static struct sl_slice word(const char *w)
{
	if (strcmp(w, "-") == 0)
		return (struct sl_slice){NULL, 0};
	return (struct sl_slice){(const uint8_t *)w, strcmp(w, "\"\"") ? (uint32_t)strlen(w) : 0};
}

static int hand_over(struct drive *d, const struct sl_sink_rec *r)
{
	int rc;

	while ((rc = d->sink->ops->produce(d->sink, r)) == -EAGAIN)
		drain(d, 100);
	return rc;
}

static int cmd_send(struct drive *d, char **w)
{
	uint32_t cnt = (uint32_t)atol(w[3]), bytes = (uint32_t)atol(w[4]);
	uint64_t tag = strtoull(w[6], NULL, 10);
	char *buf = malloc(bytes + 32), key[32];
	static const struct sl_hdr hdr[] = {
		{{(const uint8_t *)"sluice.gateway", 14}, {(const uint8_t *)"gw-drive", 8}},
		{{(const uint8_t *)"sluice.partition", 16}, {(const uint8_t *)"0", 1}},
		{{(const uint8_t *)"sluice.offset", 13}, {(const uint8_t *)"123456", 6}},
	};
	int rc = 0;

	memset(buf, 'x', bytes + 32);
	for (uint32_t i = 0; !rc && i < cnt; i++) {
		int n = snprintf(buf, 32, "%llu", (unsigned long long)(tag + i));
		struct sl_sink_rec r = {.topic = w[1], .partition = atoi(w[2]), .tag = tag + i};

		buf[n] = ':';
		snprintf(key, sizeof(key), "key-%u", i % 100);
		r.ts_ms = atoll(w[5]) ? atoll(w[5]) : sl_clock_wall_ms();
		r.key = word(key);
		r.value = (struct sl_slice){(uint8_t *)buf, SL_MAX(bytes, (uint32_t)n + 1)};
		r.hdr = hdr;
		r.hdr_cnt = SL_ARRAY_SIZE(hdr);
		rc = hand_over(d, &r);
		if (i % 256 == 0)
			drain(d, 0);
	}
	free(buf);
	return rc;
}

static int cmd_record(struct drive *d, char **w, int cnt)
{
	struct sl_hdr hdr[WORDS];
	struct sl_sink_rec r = {.topic = w[1],
				.partition = atoi(w[2]),
				.ts_ms = atoll(w[3]),
				.tag = strtoull(w[4], NULL, 10),
				.key = word(w[5]),
				.value = word(w[6]),
				.hdr = hdr};

	for (int i = 7; i + 1 < cnt; i += 2)
		hdr[r.hdr_cnt++] = (struct sl_hdr){word(w[i]), word(w[i + 1])};
	return hand_over(d, &r);
}

static int cmd_bookkeeping(struct drive *d, char **w)
{
	char key[SL_POS_KEY_MAX + 1], val[SL_POS_VALUE_MAX + 1];
	bool claim = strcmp(w[0], "claim") == 0;
	struct sl_sink_rec r = {.topic = d->cfg->uplink.positions,
				.ts_ms = sl_clock_wall_ms(),
				.tag = strtoull(w[claim ? 3 : 2], NULL, 10)};
	struct sl_position p = {.topic = "logs", .topic_id = {1, 2, 3}};
	struct sl_claim c = {.since_ms = sl_clock_wall_ms()};
	int n;

	if (claim) {
		snprintf(c.gateway, sizeof(c.gateway), "%s", d->cfg->gateway.id);
		snprintf(c.instance, sizeof(c.instance), "%s", w[1]);
		snprintf(c.previous, sizeof(c.previous), "%s", strcmp(w[2], "-") ? w[2] : "");
		n = sl_claim_encode(&c, key, sizeof(key), val, sizeof(val));
	} else {
		snprintf(p.gateway, sizeof(p.gateway), "%s", d->cfg->gateway.id);
		memset(p.instance, 'a', SL_TOKEN_TEXT - 1);
		p.offset = atoll(w[1]);
		p.forwarded = (uint64_t)p.offset;
		n = sl_position_encode(&p, key, sizeof(key), val, sizeof(val));
	}
	if (n < 0)
		return n;
	r.key = word(key);
	r.value = (struct sl_slice){(uint8_t *)val, (uint32_t)n};
	return hand_over(d, &r);
}

static int run(struct drive *d, char **w, int cnt)
{
	const struct sl_sink_ops *o = d->sink->ops;

	if (!strcmp(w[0], "open"))
		return o->open(d->sink);
	if (!strcmp(w[0], "close"))
		return o->close(d->sink), 0;
	if (!strcmp(w[0], "begin"))
		return o->begin(d->sink);
	if (!strcmp(w[0], "commit"))
		return o->commit(d->sink);
	if (!strcmp(w[0], "abort"))
		return o->abort(d->sink);
	if (!strcmp(w[0], "quit"))
		return d->quit = true, 0;
	if (!strcmp(w[0], "parts") && cnt == 2)
		return o->topic_partitions(d->sink, w[1]);
	if (!strcmp(w[0], "make") && cnt == 5)
		return o->make_topic(d->sink, w[1], (uint32_t)atol(w[2]), atoi(w[3]), atoi(w[4]));
	if (!strcmp(w[0], "send") && cnt == 7)
		return cmd_send(d, w);
	if (!strcmp(w[0], "record") && cnt >= 7)
		return cmd_record(d, w, cnt);
	if ((!strcmp(w[0], "position") && cnt == 3) || (!strcmp(w[0], "claim") && cnt == 4))
		return cmd_bookkeeping(d, w);
	return -ENOSYS;
}

static void command(struct drive *d, char *line)
{
	char *w[WORDS], *save = NULL;
	int n = 0;

	for (char *p = strtok_r(line, " \n", &save); p && n < WORDS;
	     p = strtok_r(NULL, " \n", &save))
		w[n++] = p;
	if (n)
		printf("= %d\n", run(d, w, n));
}

static void loop(struct drive *d)
{
	char line[LINE];
	size_t len = 0;

	while (!d->quit) {
		struct pollfd p[2] = {{.fd = 0, .events = POLLIN},
				      {.fd = d->sink->ops->poll_fd(d->sink), .events = POLLIN}};

		(void)poll(p, 2, 100);
		while (drain(d, 0))
			;
		if (p[0].revents) {
			ssize_t n = read(0, line + len, sizeof(line) - 1 - len);
			char *nl;

			if (n <= 0)
				return;
			len += (size_t)n;
			line[len] = 0;
			while (!d->quit && (nl = memchr(line, '\n', len))) {
				size_t used = (size_t)(nl - line) + 1;

				*nl = 0;
				command(d, line);
				memmove(line, line + used, len - used);
				len -= used;
			}
		}
	}
}

static int configure(struct sl_config *c, char **argv, int argc)
{
	snprintf(c->gateway.id, sizeof(c->gateway.id), "%s", argv[1]);
	snprintf(c->uplink.bootstrap, sizeof(c->uplink.bootstrap), "%s", argv[2]);
	snprintf(c->uplink.positions, sizeof(c->uplink.positions), "sluice.positions");
	c->uplink.window = (uint32_t)atol(argv[3]);
	c->uplink.commit_bytes = 8u << 20;
	c->uplink.replication = -1;
	for (int i = 4; i < argc && c->uplink.prop_cnt < SL_CFG_PROPS_MAX; i++) {
		struct sl_cfg_prop *p = &c->uplink.prop[c->uplink.prop_cnt++];
		char *eq = strchr(argv[i], '=');

		if (!eq)
			return -EINVAL;
		p->file = eq[1] == '@'; /* NAME=@FILE: client_files */
		snprintf(p->name, sizeof(p->name), "%.*s", (int)(eq - argv[i]), argv[i]);
		snprintf(p->value, sizeof(p->value), "%s", eq + 1 + p->file);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct drive d = {.cfg = calloc(1, sizeof(*d.cfg))};
	char err[256] = "usage";

	setvbuf(stdout, NULL, _IOLBF, 0);
	sl_log_set_level(SL_LOG_DEBUG);
	sl_clock_discipline();
	if (!d.cfg || argc < 4 || configure(d.cfg, argv, argc) ||
	    sl_sink_rdkafka_new(d.cfg, &d.sink, err, sizeof(err))) {
		fprintf(stderr, "sink_drive: %s\n", err);
		free(d.cfg);
		return 2;
	}
	loop(&d);
	d.sink->ops->free(d.sink);
	free(d.cfg);
	return 0;
}
