/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/http/prom.h"

#include <ctype.h>
#include <inttypes.h>

static bool name_valid(const char *s, bool metric)
{
	if (!*s || isdigit((unsigned char)*s))
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && *s != '_' && !(metric && *s == ':'))
			return false;
	}
	return true;
}

/* Bytes of the UTF-8 character at s, 0 if it is none; ends before a NUL by itself. */
static unsigned char_len(const uint8_t *s)
{
	unsigned n = *s < 0x80                 ? 1
		     : *s >= 0xc2 && *s < 0xe0 ? 2
		     : *s >= 0xe0 && *s < 0xf0 ? 3
		     : *s >= 0xf0 && *s < 0xf5 ? 4
					       : 0;

	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

static void put_escaped(FILE *f, const char *value, bool quote)
{
	for (const uint8_t *s = (const uint8_t *)value; *s;) {
		unsigned n = char_len(s);
		if (*s == '\\' || (quote && *s == '"'))
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else if (n == 0)
			fputc('?', f);
		else
			fwrite(s, 1, n, f);
		s += n ? n : 1;
	}
}

void sl_prom_family(FILE *f, const char *name, enum sl_prom_type type, const char *help)
{
	SL_ASSERT(name_valid(name, true));
	fprintf(f, "# HELP %s ", name);
	put_escaped(f, help, false);
	fprintf(f, "\n# TYPE %s %s\n", name, type == SL_PROM_COUNTER ? "counter" : "gauge");
}

static void put_series(FILE *f, const char *name, const struct sl_prom_label *labels, unsigned cnt)
{
	SL_ASSERT(name_valid(name, true));
	fputs(name, f);
	for (unsigned i = 0; i < cnt; i++) {
		SL_ASSERT(name_valid(labels[i].name, false));
		fprintf(f, "%s%s=\"", i ? "," : "{", labels[i].name);
		put_escaped(f, labels[i].value, true);
		fputs("\"", f);
	}
	fputs(cnt ? "} " : " ", f);
}

void sl_prom_u64(FILE *f, const char *name, const struct sl_prom_label *labels, unsigned cnt,
		 uint64_t v)
{
	put_series(f, name, labels, cnt);
	fprintf(f, "%" PRIu64 "\n", v);
}

void sl_prom_i64(FILE *f, const char *name, const struct sl_prom_label *labels, unsigned cnt,
		 int64_t v)
{
	put_series(f, name, labels, cnt);
	fprintf(f, "%" PRId64 "\n", v);
}
