/* SPDX-License-Identifier: Apache-2.0 */
#include "topic_cfg.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "topic_cfg_table.h"

/* ---- the table ----------------------------------------------------------------------------- */

#define WORD(w, v, l) {w, v, l},
#define WORDS(list, ...)                                                                           \
	(const struct sl_setting_word[])                                                           \
	{                                                                                          \
		list(WORD)                                                                         \
		{                                                                                  \
			NULL, 0, false                                                             \
		}                                                                                  \
	}
#define PLACE(f)                                                                                   \
	.off = offsetof(struct sl_topic_cfg, f), .bytes = sizeof(((struct sl_topic_cfg *)0)->f)
#define NUMBER(n, b, f, t, lo, hi, d, h)                                                           \
	{.name = n,                                                                                \
	 .broker = b,                                                                              \
	 .type = SL_SET_##t,                                                                       \
	 .min = lo,                                                                                \
	 .max = hi,                                                                                \
	 .def = d,                                                                                 \
	 PLACE(f),                                                                                 \
	 .help = h},
#define ENUM(n, b, f, t, list, dw, d, h)                                                           \
	{.name = n,                                                                                \
	 .broker = b,                                                                              \
	 .type = SL_SET_##t,                                                                       \
	 .words = WORDS(list),                                                                     \
	 .def = d,                                                                                 \
	 PLACE(f),                                                                                 \
	 .help = h},
#define OWN(n, f, t, list, dw, d, h) ENUM(n, NULL, f, t, list, dw, d, h)

static const struct sl_topic_setting settings[] = {SL_TOPIC_SETTINGS(NUMBER, NUMBER, ENUM, OWN)};

_Static_assert(SL_ARRAY_SIZE(settings) <= 32, "a `set` mask has 32 bits");

const struct sl_topic_setting *sl_topic_settings(uint32_t *ret_cnt)
{
	*ret_cnt = SL_ARRAY_SIZE(settings);
	return settings;
}

static bool is(const char *have, const char *name, size_t len)
{
	return have && strlen(have) == len && memcmp(have, name, len) == 0;
}

const struct sl_topic_setting *sl_topic_setting_find(const char *name, size_t len)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(settings); i++)
		if (is(settings[i].name, name, len))
			return &settings[i];
	return NULL;
}

const struct sl_topic_setting *sl_topic_setting_of_broker(const char *name, size_t len)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(settings); i++)
		if (is(settings[i].broker, name, len))
			return &settings[i];
	return NULL;
}

/* ---- values -------------------------------------------------------------------------------- */

int64_t sl_topic_setting_get(const struct sl_topic_cfg *cfg, const struct sl_topic_setting *row)
{
	const uint8_t *at = (const uint8_t *)cfg + row->off;
	int32_t v32;
	int64_t v64;

	if (row->bytes == 1)
		return *at != 0;
	if (row->bytes == 4) {
		memcpy(&v32, at, 4);
		return v32;
	}
	memcpy(&v64, at, 8);
	return v64;
}

void sl_topic_setting_put(struct sl_topic_cfg *cfg, const struct sl_topic_setting *row, int64_t v)
{
	uint8_t *at = (uint8_t *)cfg + row->off;
	int32_t v32 = (int32_t)v;

	if (row->bytes == 1)
		*at = v != 0;
	else if (row->bytes == 4)
		memcpy(at, &v32, 4);
	else
		memcpy(at, &v, 8);
}

void sl_topic_cfg_layer(struct sl_topic_cfg *ret_cfg, const struct sl_topic_cfg *base,
			const struct sl_topic_cfg *over, uint32_t set)
{
	struct sl_topic_cfg cfg = *base; /* ret_cfg may be either of them */

	for (uint32_t i = 0; i < SL_ARRAY_SIZE(settings); i++)
		if (set & sl_topic_setting_bit(i))
			sl_topic_setting_put(&cfg, &settings[i],
					     sl_topic_setting_get(over, &settings[i]));
	*ret_cfg = cfg;
}

/* ---- text ---------------------------------------------------------------------------------- */

void sl_topic_setting_text(const struct sl_topic_cfg *cfg, const struct sl_topic_setting *row,
			   char ret_text[SL_TOPIC_SETTING_TEXT])
{
	int64_t v = sl_topic_setting_get(cfg, row);

	for (const struct sl_setting_word *w = row->words; w && w->word; w++) {
		if (w->value == v) {
			snprintf(ret_text, SL_TOPIC_SETTING_TEXT, "%s", w->word);
			return;
		}
	}
	snprintf(ret_text, SL_TOPIC_SETTING_TEXT, "%" PRId64, v);
}

/* Kafka's ConfigDef trims every value, and the elements of a list. */
static bool trim(const char *text, size_t len, bool list, char *buf, size_t cap)
{
	size_t n = 0;

	while (len && isspace((unsigned char)*text))
		text++, len--;
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++) {
		if (list && isspace((unsigned char)text[i]))
			continue;
		if (n + 1 == cap || text[i] == '\0')
			return false;
		buf[n++] = text[i];
	}
	buf[n] = '\0';
	return true;
}

static int parse_word(const struct sl_topic_setting *row, const char *text, int64_t *ret_v)
{
	for (const struct sl_setting_word *w = row->words; w->word; w++) {
		if (strcmp(w->word, text) == 0) {
			*ret_v = w->value;
			return w->later ? -ENOTSUP : 0;
		}
	}
	return -EINVAL;
}

static int parse_number(const struct sl_topic_setting *row, const char *text, int64_t *ret_v)
{
	char *end;

	if (!isdigit((unsigned char)text[text[0] == '-' || text[0] == '+']))
		return -EINVAL;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (*end || errno) /* beyond 64 bits is not of the type: so says Kafka, too */
		return -EINVAL;
	if (row->type == SL_SET_INT && (v < INT32_MIN || v > INT32_MAX))
		return -EINVAL;
	*ret_v = v;
	return v < row->min || v > row->max ? -ERANGE : 0;
}

static void explain(int rc, const struct sl_topic_setting *row, const char *text, int len,
		    char *err, size_t errlen)
{
	static const char *const types[] = {
		[SL_SET_BOOLEAN] = "boolean", [SL_SET_STRING] = "string", [SL_SET_INT] = "INT",
		[SL_SET_SHORT] = "SHORT",     [SL_SET_LONG] = "LONG",     [SL_SET_LIST] = "LIST",
	};

	if (rc == -ENOTSUP)
		snprintf(err, errlen,
			 "Invalid value %.*s for configuration %s: not in this version", len, text,
			 row->name);
	else if (rc == -ERANGE)
		snprintf(err, errlen,
			 "Invalid value %.*s for configuration %s: must be %" PRId64 " to %" PRId64,
			 len, text, row->name, row->min, row->max);
	else if (row->words)
		snprintf(err, errlen,
			 "Invalid value %.*s for configuration %s: not one of its words", len, text,
			 row->name);
	else
		snprintf(err, errlen,
			 "Invalid value %.*s for configuration %s: not a number of type %s", len,
			 text, row->name, types[row->type]);
}

int sl_topic_setting_parse(struct sl_topic_cfg *cfg, const struct sl_topic_setting *row,
			   const char *text, size_t len, char *err, size_t errlen)
{
	char buf[64];
	int64_t v = 0;
	int rc = -EINVAL;

	if (trim(text, len, row->type == SL_SET_LIST, buf, sizeof(buf)))
		rc = row->words ? parse_word(row, buf, &v) : parse_number(row, buf, &v);
	if (rc) {
		if (err && errlen)
			explain(rc, row, text, (int)SL_MIN(len, (size_t)64), err, errlen);
		return rc;
	}
	sl_topic_setting_put(cfg, row, v);
	return 0;
}
