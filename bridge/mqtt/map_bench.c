/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_bench.c - what mapping a message's name costs, with few rules and with 256: of one shape, as
 * a plant's lines are; without a literal level, which nothing can tell apart beforehand; and names
 * that no rule matches. Medians of many short loops.
 *
 *   ninja -C BUILD bridge/mqtt/mqtt_map_bench && BUILD/bridge/mqtt/mqtt_map_bench
 */
#include <stdio.h>
#include <stdlib.h>

#include "bridge/mqtt/map.h"
#include "platform/base/clock.h"

#define LOOPS 61
#define NAMES 1024 /* taken by turns */
#define ROUND 20000

struct plant {
	const char *what, *filter, *name; /* %u: number of the rule */
	uint32_t rules;
};

static const struct plant PLANTS[] = {
	{"1 rule", "factory/line%u/+/state", "factory/line%u/press-4/state", 1},
	{"16 rules, one shape", "factory/line%u/+/state", "factory/line%u/press-4/state", 16},
	{"256 rules, one shape", "factory/line%u/+/state", "factory/line%u/press-4/state", 256},
	{"256 rules, {name}", "{site}/{line}/m%u/#", "berlin/l4/m%u/temperature/celsius", 256},
	{"256 rules, no match", "factory/line%u/+/state", "office/floor%u/door/state", 256},
	{"256 rules, last, no literal", "+/+/+/+/+/+/+", "a/b/c/d%u", 256},
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void number(char *buf, size_t cap, const char *fmt, uint32_t n)
{
	const char *at = strstr(fmt, "%u");

	if (at)
		snprintf(buf, cap, "%.*s%u%s", (int)(at - fmt), fmt, n, at + 2);
	else
		snprintf(buf, cap, "%s", fmt);
}

static double cost(const struct plant *p)
{
	static double ns[LOOPS];
	static char name[NAMES][64];
	static struct sl_map_out out;
	struct sl_config *cfg = calloc(1, sizeof(*cfg));
	struct sl_map *m = NULL;
	struct sl_slice client = {(const uint8_t *)"press-4", 7};
	uint32_t sum = 0;

	if (!cfg)
		exit(1);
	for (uint32_t i = 0; i < p->rules; i++) {
		struct sl_cfg_rule *r = &cfg->mqtt.rule[cfg->mqtt.rule_cnt++];
		number(r->filter, sizeof(r->filter), p->filter, i);
		strcpy(r->topic, "telemetry");
		strcpy(r->key, "{client}");
	}
	strcpy(cfg->mqtt.default_topic, "rest");
	for (uint32_t i = 0; i < NAMES; i++)
		number(name[i], sizeof(name[i]), p->name, i * 37 % p->rules);
	if (sl_map_new(cfg, &m) < 0)
		exit(1);
	for (int l = 0; l < LOOPS; l++) {
		uint64_t t0 = sl_clock_mono_ns();
		for (uint32_t i = 0; i < ROUND; i++) {
			const char *s = name[i % NAMES];
			struct sl_slice n = {(const uint8_t *)s, (uint32_t)strlen(s)};
			sum += sl_map_apply(m, n, client, &out) + out.topic_len;
		}
		ns[l] = (double)(sl_clock_mono_ns() - t0) / ROUND;
	}
	if (sum == 0) /* looked at, so that it is computed */
		puts("nothing was mapped");
	sl_map_free(m);
	free(cfg);
	qsort(ns, LOOPS, sizeof(*ns), by_value);
	return ns[LOOPS / 2];
}

int main(void)
{
	printf("%-30s %10s %14s\n", "rules", "ns", "messages/s");
	for (size_t i = 0; i < SL_ARRAY_SIZE(PLANTS); i++) {
		double ns = cost(&PLANTS[i]);
		printf("%-30s %10.0f %14.0f\n", PLANTS[i].what, ns, 1e9 / ns);
	}
	return 0;
}
