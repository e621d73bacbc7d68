/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a rule file and as messages: "filter \n topic \n key \n header \n client \n
 * name...". What compiles is applied to every further line; what comes out is checked against what
 * map.h promises.
 */
#include <stdlib.h>

#include "bridge/mqtt/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, without its newline; false at the end. */
static bool line(const uint8_t **p, const uint8_t *end, struct sl_slice *ret)
{
	const uint8_t *nl;

	if (*p == end)
		return false;
	nl = memchr(*p, '\n', (size_t)(end - *p));
	*ret = (struct sl_slice){*p, (uint32_t)((nl ? nl : end) - *p)};
	*p = nl ? nl + 1 : end;
	return true;
}

static void take(char *dst, size_t cap, struct sl_slice s)
{
	size_t n = SL_MIN((size_t)s.len, cap - 1);

	memcpy(dst, s.p, n);
	dst[n] = '\0';
}

static void check(const struct sl_map *m, const struct sl_config *cfg, struct sl_slice name,
		  struct sl_slice client)
{
	static struct sl_map_out out;
	enum sl_map_result r = sl_map_apply(m, name, client, &out);

	SL_ASSERT(r < SL_MAP_RESULT_CNT && sl_map_result_name(r));
	if (r != SL_MAP_OK)
		return;
	SL_ASSERT(out.rule == &cfg->mqtt.rule[0] || out.rule == &cfg->mqtt.rule[1]);
	SL_ASSERT(out.topic_len == strlen(out.topic));
	SL_ASSERT(sl_topic_name_valid(out.topic, out.topic_len));
	SL_ASSERT(!sl_topic_name_internal(out.topic, out.topic_len));
	SL_ASSERT(out.key_len <= SL_MAP_KEY_MAX && (out.has_key || out.key_len == 0));
	SL_ASSERT(out.hdr_cnt == out.rule->hdr_cnt);
	for (uint32_t i = 0; i < out.hdr_cnt; i++)
		SL_ASSERT(out.hdr[i].value.p >= out.text &&
			  out.hdr[i].value.p + out.hdr[i].value.len <= out.text + sizeof(out.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sl_config *cfg;
	const uint8_t *p = data, *end = data + size;
	struct sl_slice part[5] = {{data, 0}, {data, 0}, {data, 0}, {data, 0}, {data, 0}}, name;
	struct sl_map *m = NULL;

	if (!cfg)
		cfg = calloc(1, sizeof(*cfg));
	SL_ASSERT(cfg);
	for (size_t i = 0; i < SL_ARRAY_SIZE(part); i++)
		line(&p, end, &part[i]);
	struct sl_cfg_rule *r = &cfg->mqtt.rule[0];
	take(r->filter, sizeof(r->filter), part[0]);
	take(r->topic, sizeof(r->topic), part[1]);
	take(r->key, sizeof(r->key), part[2]);
	take(r->hdr[0].value, sizeof(r->hdr[0].value), part[3]);
	strcpy(r->hdr[0].name, "h");
	r->hdr_cnt = 1;
	strcpy(cfg->mqtt.rule[1].filter, "{first}/#");
	strcpy(cfg->mqtt.rule[1].topic, "{first}");
	strcpy(cfg->mqtt.rule[1].key, "{0}");
	cfg->mqtt.rule_cnt = 2;
	if (sl_map_new(cfg, &m) == 0) {
		while (line(&p, end, &name))
			check(m, cfg, name, part[4]);
		sl_map_free(m);
	}
	return 0;
}
